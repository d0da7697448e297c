# SPDX-License-Identifier: Apache-2.0
"""Attacks between machines and what is done about them, with everything that takes part in it.

    VPC v, all may talk                                                                             VPC u, its peer
    host-a: scan1, scan2, scan3, flood, beacon, web, client, thief, mallory, backup   host-b: victim   host-b: mole
    vpc-inspectd on both
    outside network `internet` of host-a, by a NAT gateway of v
"""

import os
import subprocess
import time

import pytest
from lib import wait_for
from lib.cloud import build_dir, program
from lib.inspectd import Inspectd
from scapy.all import DNS, DNSQR, IP, TCP, UDP, Ether

pytestmark = pytest.mark.skipif(
    not os.path.exists(os.path.join(build_dir(), "ebpf", "vpc-inspectd")), reason="built without eBPF"
)
V = {"s": {"cidr": "10.0.1.0/24"}}
U = {"t": {"cidr": "10.9.1.0/24"}}
BAD = "203.0.113.13"  # of the internet's machine
QUICK = ["-n", "-Pn", "--disable-arp-ping", "--max-retries", "0"]
# One window of its scan detector is a second; what takes longer is slow.
WINDOW_S = 1
FEW = 25


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud(hosts=2, outside={"internet": ["a"]})
    cloud.network("v", V)
    cloud.network("u", U)
    cloud.create("peering", name="vu", vpcs=["v", "u"])
    cloud.create("eip_pool", name="pool", cidr="198.51.100.64/26", node="host-a", external="internet")
    cloud.create("eip", name="out", pool="pool")
    cloud.create("nat_gateway", name="nat", vpc="v", node="host-a", eips=["out"], snat=[{"subnet": "s", "eips": ["out"]}])
    names = ("scan1", "scan2", "scan3", "flood", "beacon", "web", "client", "thief", "mallory", "backup")
    for number, name in enumerate(names, 10):
        cloud.machine(name, "s", "a", addresses=[f"10.0.1.{number}"], security_groups=["v-open"])
    cloud.machine("victim", "s", "b", addresses=["10.0.1.99"], security_groups=["v-open"])
    cloud.machine("mole", "t", "b", addresses=["10.9.1.10"], security_groups=["u-open"])
    cloud.inspectd = {name: Inspectd(cloud, host) for name, host in cloud.hosts.items()}
    cloud.create("indicator_list", name="bad", entries=[f"{BAD}/32"])
    detectors = [{"type": t} for t in ("port_scan", "host_scan", "syn_flood", "icmp_sweep", "dns_tunnel", "beacon", "indicator")]
    cloud.create("inspection", name="watch", scope={"vpc": "v"}, detectors=[*detectors, {"type": "volume", "threshold": 8}])
    slow = {"type": "port_scan", "threshold": FEW, "window_s": WINDOW_S}
    cloud.create("inspection", name="inner", scope={"vpc": "u"}, detectors=[slow, {"type": "first_contact"}])
    for daemon in cloud.inspectd.values():
        wait_for(daemon.is_attached, 20, lambda d=daemon: str(d.status()))
    yield cloud
    for daemon in cloud.inspectd.values():
        daemon.close()


def alerts(cloud, **filters):
    return cloud.call("alert.list", **filters)["items"]


def seen(cloud):
    """For people: without the evidence."""
    return str([(a["name"], a["detector"], a["vpc"], a.get("port"), a["targets"][:2], a["count"]) for a in alerts(cloud)])


def alert_of(cloud, port, detector, but=()):
    """The first one that is not among those."""
    new = lambda: [a for a in alerts(cloud, port=port, detector=detector) if a["name"] not in but]  # noqa: E731
    wait_for(new, 20, lambda: seen(cloud))
    return new()[0]


def names_of(cloud, **filters):
    return {alert["name"] for alert in alerts(cloud, **filters)}


def is_of(alert, machine, vpc="v", node="host-a"):
    return (alert["vpc"], alert["node"], alert["source"]) == (vpc, node, machine.ip4) and alert["evidence"]["packets"]


# ---- What is told ----


@pytest.mark.parametrize("name, how", [("scan1", "-sS"), ("scan2", "-sT"), ("scan3", "-sU")])
def test_nmap(cloud, name, how):
    scanner, victim = cloud.machines[name], cloud.machines["victim"]
    scanner.run("nmap", how, *QUICK, "-p", "1-60", victim.ip4, timeout_s=60)
    alert = alert_of(cloud, name, "port_scan")
    assert is_of(alert, scanner) and victim.ip4 in alert["targets"][0] and alert["count"] >= 20


def scans_slowly(cloud, *pace):
    mole, victim = cloud.machines["mole"], cloud.machines["victim"]
    before = names_of(cloud)
    mole.run("nmap", "-sS", *pace, "-n", "-Pn", "--max-retries", "0", victim.ip4, timeout_s=120)
    alert = alert_of(cloud, "mole", "port_scan", before)
    assert is_of(alert, mole, "u", "host-b") and alert["targets"][0] == victim.ip4
    assert alert["evidence"]["slow"] and alert["count"] >= 2 * FEW


def test_a_slow_scan(cloud):
    """Never too many in one window; all of them together are."""
    scans_slowly(cloud, "--scan-delay", "100ms", "-p", f"1-{2 * FEW + 5}")


@pytest.mark.long
def test_a_slow_scan_of_nmap(cloud):
    scans_slowly(cloud, "-T2", "-p", "1001-1100")


def test_a_sweep(cloud):
    mallory = cloud.machines["mallory"]
    mallory.run("nmap", "-sn", "-PE", *QUICK[2:], "-n", "10.0.7.0/26", timeout_s=60)
    alert = alert_of(cloud, "mallory", "icmp_sweep")
    assert is_of(alert, mallory) and alert["count"] >= 20 and len(alert["targets"]) > 1
    assert all(target.startswith("10.0.7.") for target in alert["targets"])


def test_syn_flood(cloud):
    flood, victim = cloud.machines["flood"], cloud.machines["victim"]
    with flood.wire() as wire:
        for sport in range(1024, 1424):
            frame = Ether(src=flood.mac, dst=victim.mac) / IP(src=flood.ip4, dst=victim.ip4)
            wire.send(frame / TCP(sport=sport, dport=80, flags="S"))
    alert = alert_of(cloud, "flood", "syn_flood")
    assert is_of(alert, flood) and alert["targets"] == [victim.ip4]


def test_a_beacon(cloud):
    """Calls of the same address outside, at even times; also when nobody answers there."""
    caller, victim = cloud.machines["beacon"], cloud.machines["victim"]
    began = time.monotonic()
    with caller.wire() as wire:
        for number in range(14):
            time.sleep(max(0, began + number * 0.4 - time.monotonic()))
            gateway = cloud.get("subnet", "s")["status"]["gateway_mac"]
            frame = Ether(src=caller.mac, dst=gateway) / IP(src=caller.ip4, dst="198.51.100.9")
            wire.send(frame / TCP(sport=5000 + number, dport=443, flags="S"))
    alert = alert_of(cloud, "beacon", "beacon")
    assert is_of(alert, caller) and "198.51.100.9" in alert["targets"][0] and victim.ip4 not in alert["targets"]


def test_a_first_contact(cloud):
    """With a machine of the peer: told at the first flow, and only then."""
    mole, victim = cloud.machines["mole"], cloud.machines["victim"]

    def contacts(address):
        return [a for a in alerts(cloud, port="mole", detector="first_contact") if a["targets"] == [address]]

    connection = mole.connect(victim, port=7070)
    assert connection.exchange()
    connection.close()
    # The slow scan of another test may have been the first.
    wait_for(lambda: contacts(victim.ip4), 20, lambda: seen(cloud))
    assert is_of(contacts(victim.ip4)[0], mole, "u", "host-b")
    mole.connect(victim, port=7071).close()
    mole.run("ping", "-c", "1", "-W", "1", "-n", "10.0.1.200", check=False)
    wait_for(lambda: contacts("10.0.1.200"), 20, lambda: seen(cloud))
    assert len(contacts(victim.ip4)) == 1


def test_a_listed_address(cloud):
    mallory, internet = cloud.machines["mallory"], cloud.outside["internet"].internet
    internet.serve_http(8080)
    assert mallory.curl(BAD, 8080)
    alert = alert_of(cloud, "mallory", "indicator")
    assert is_of(alert, mallory) and alert["targets"] == [BAD] and alert["evidence"]["list"] == "bad"


def test_a_scan_from_outside(cloud):
    """Of a machine's elastic address: it has no port, and the target is the machine."""
    victim, internet = cloud.machines["victim"], cloud.outside["internet"].internet
    cloud.create("eip", name="victim", pool="pool", port="victim")
    internet.run("nmap", "-sS", *QUICK, "-p", "1-60", cloud.get("eip", "victim")["address"], timeout_s=60)
    wait_for(lambda: alerts(cloud, source=internet.ip4), 20, lambda: seen(cloud))
    alert = alerts(cloud, source=internet.ip4)[0]
    assert is_of(alert, internet) and alert["detector"] == "port_scan" and "port" not in alert
    assert alert["targets"] == [victim.ip4]
    cloud.delete("eip", "victim")


def test_a_tunnel_by_names(cloud):
    mallory, victim = cloud.machines["mallory"], cloud.machines["victim"]
    with mallory.socket(kind=2) as asker:
        for number in range(60):
            name = f"{number:03d}{'0123456789abcdef' * 3}.t.evil.example"
            asker.sendto(bytes(DNS(rd=1, qd=DNSQR(qname=name, qtype="TXT"))), (victim.ip4, 53))
    alert = alert_of(cloud, "mallory", "dns_tunnel")
    assert is_of(alert, mallory) and alert["count"] >= 50


def test_a_backup_is_none_and_a_leak_is(cloud):
    """A backup inside is as large as it likes, one outside as large as is usual; much more than that is a leak."""
    backup, victim, internet = cloud.machines["backup"], cloud.machines["victim"], cloud.outside["internet"].internet
    backup.iperf3(victim, size="128M")
    backup.iperf3(internet, size="2M")
    assert not alerts(cloud, port="backup")
    backup.iperf3(internet, size="64M")
    alert = alert_of(cloud, "backup", "volume")
    assert is_of(alert, backup) and alert["targets"] == [internet.ip4] and alert["count"] >= 8
    assert names_of(cloud, port="backup") == {alert["name"]}, "and nothing else"


# ---- What is not ----

BROWSE = """
import http.client, sys
for number in range(int(sys.argv[2])):
    c = http.client.HTTPConnection(sys.argv[1], timeout=20)
    c.request("GET", "/")
    assert c.getresponse().read()
    c.close()
"""


def test_a_busy_web_server_is_none(cloud):
    """More connections in ten seconds than a flood has."""
    web, client = cloud.machines["web"], cloud.machines["client"]
    web.serve_http()
    client.run("/usr/bin/python3", "-c", BROWSE, web.ip4, 300)
    # What is told in the same way comes after it.
    assert not alerts(cloud, port="client") and not alerts(cloud, port="web")


def test_a_resolver_and_health_checks_are_none(cloud):
    client, web, victim = (cloud.machines[name] for name in ("client", "web", "victim"))
    cloud.create(
        "load_balancer", name="lb", vpc="v", address="10.0.1.50",
        listeners=[{"protocol": "tcp", "port": 80, "health_check": {"type": "tcp", "interval_ms": 200, "timeout_ms": 100},
                    "backends": [{"port": "web"}, {"port": "scan1"}]}],
    )
    with client.wire() as mouth, victim.wire() as server:
        for number in range(80):
            names = IP(src=client.ip4, dst=victim.ip4) / UDP(sport=10000 + number, dport=53)
            mouth.send(Ether(src=client.mac, dst=victim.mac) / names / DNS(qd=DNSQR(qname=f"host{number}.example.com")))
            back = IP(src=victim.ip4, dst=client.ip4) / UDP(sport=53, dport=10000 + number)
            server.receive(lambda p, n=number: UDP in p and p[UDP].sport == 10000 + n)
            server.send(Ether(src=victim.mac, dst=client.mac) / back / DNS(qr=1, qd=DNSQR(qname=f"host{number}.example.com")))
    # More of the same checks than a beacon has calls.
    checks = []
    with web.wire() as door:

        def many():
            checks.extend(p[IP].src for p in door.packets(0.3) if IP in p and TCP in p and p[TCP].dport == 80 and p[TCP].flags == "S")
            return len(checks) > 15

        wait_for(many, 30, lambda: f"16 checks: {checks}")
    for name in ("client", "web", "victim"):
        assert not alerts(cloud, port=name), seen(cloud)
    assert not [alert for alert in alerts(cloud, vpc="v") if alert["source"] in checks], seen(cloud)
    cloud.delete("load_balancer", "lb")


# ---- What is done about it ----


def test_quarantine_within_200_ms(cloud):
    """From the packet that is one too many to the first that does not arrive, by the times at which they were sent."""
    thief, victim = cloud.machines["thief"], cloud.machines["victim"]
    cloud.create("inspection", name="cut", scope={"vpc": "v"}, detectors=[{"type": "port_scan", "threshold": 10}], action="quarantine")
    asked = cloud.inspectd["host-a"].asked
    item = lambda: [d for v in asked()["vpcs"] for d in v["detectors"] if d["inspection"] == "cut"]  # noqa: E731
    wait_for(item, 10)
    sent, arrived = [], set()
    with thief.wire() as mouth, victim.wire() as ear:
        for port in range(1, 2001):
            frame = Ether(src=thief.mac, dst=victim.mac) / IP(src=thief.ip4, dst=victim.ip4) / TCP(sport=4000, dport=port, flags="S")
            mouth.send(frame)
            sent.append(time.monotonic())
            time.sleep(0.002)
            if port % 50 == 0 and cloud.get("port", "thief")["status"].get("quarantine"):
                break
        wait_for(lambda: cloud.get("port", "thief")["status"].get("quarantine"), 20)
        arrived = {p[TCP].dport for p in ear.packets(1) if TCP in p and IP in p and p[IP].src == thief.ip4}
    last = max(arrived)
    alert = [a for a in alerts(cloud, port="thief") if a["action_taken"] == "quarantine"][0]
    assert last >= 10 and last < len(sent), "some did not arrive"
    took = sent[last] - sent[9]
    print(f"quarantine after {took * 1000:.0f} ms")
    # 10 ms are usual; five times of what is promised is for sanitizers that run everything at once.
    assert took < (1 if "asan" in build_dir() else 0.2), f"{took * 1000:.0f} ms"
    # Everything is denied, both ways; release restores.
    assert not thief.ping(victim.ip4) and not victim.ping(thief.ip4)
    cloud.call("alert.release", name=alert["name"], wait=True)
    wait_for(lambda: thief.ping(victim.ip4), 10)
    cloud.delete("inspection", "cut")


# ---- Restarts ----


def knock(daemon, machine, victim, ports):
    """Returns once they and their answers were looked at."""
    before = daemon.status()["counters"]["packets"] if daemon.daemon.alive() else None
    with machine.wire() as wire:
        for port in ports:
            frame = Ether(src=machine.mac, dst=victim.mac) / IP(src=machine.ip4, dst=victim.ip4)
            wire.send(frame / TCP(sport=4321, dport=port, flags="S"))
    if before is not None:
        wait_for(lambda: daemon.status()["counters"]["packets"] >= before + 2 * len(ports), 20, lambda: str(daemon.status()))


def test_a_dataplane_is_killed(cloud):
    """vpc-inspectd stays, and finds the new one's feed; a port's number of before says nothing about a port of now."""
    host, daemon = cloud.hosts["host-a"], cloud.inspectd["host-a"]
    scanner, victim, pid, before = cloud.machines["mallory"], cloud.machines["victim"], daemon.daemon.pid, daemon.asked()
    # Suspicion is half way when it happens.
    knock(daemon, scanner, victim, range(2000, 2012))
    host.kill()
    wait_for(lambda: not daemon.status()["dataplane"] and not daemon.is_attached(), 20, lambda: str(daemon.status()))
    host.start()
    cloud.wait_converged(20)
    wait_for(daemon.is_attached, 20, lambda: str(daemon.status()))
    assert daemon.daemon.pid == pid and daemon.daemon.alive() and daemon.asked()["instance"] != before["instance"]
    assert daemon.asked()["vpcs"] == before["vpcs"]
    assert scanner.ping(victim.ip4)
    known = names_of(cloud)
    knock(daemon, scanner, victim, range(2012, 2024))
    alert = alert_of(cloud, "mallory", "port_scan", known)
    assert is_of(alert, scanner) and alert["count"] >= 20
    with host.rpc() as rpc:
        for number in range(40):
            rpc.call("inspect.alert", vni=cloud.get("vpc", "v")["vni"], inspection="watch", detector="beacon", port_index=number,
                     instance=before["instance"], source=scanner.ip4)
    wait_for(lambda: len(alerts(cloud, detector="beacon", source=scanner.ip4)) == 40, 20)
    assert not [a for a in alerts(cloud, detector="beacon", source=scanner.ip4) if "port" in a]


def test_vpc_inspectd_is_killed(cloud):
    """No packet is lost by it; the dataplane says that it is gone; the next one goes on with what was counted."""
    daemon, client, scanner = cloud.inspectd["host-a"], cloud.machines["client"], cloud.machines["mallory"]
    victim, web = cloud.machines["victim"], cloud.machines["web"]
    assert client.ping(web.ip4)
    pinger = client.popen("ping", "-n", "-q", "-i", "0.01", "-c", "300", web.ip4, stdout=subprocess.PIPE)
    gone = lambda: [e for e in cloud.call("event.list")["items"] if e["reason"] == "inspectd_away" and e["node"] == "host-a"]  # noqa: E731
    earlier = len(gone())
    knock(daemon, scanner, victim, range(3000, 3012))
    known = names_of(cloud)
    daemon.kill()
    wait_for(lambda: len(gone()) > earlier, 20)
    # Programs count on while nobody listens.
    knock(daemon, scanner, victim, range(3012, 3018))
    daemon.start()
    wait_for(daemon.is_attached, 20, lambda: str(daemon.status()))
    knock(daemon, scanner, victim, range(3018, 3024))
    assert alert_of(cloud, "mallory", "port_scan", known)["count"] >= 20
    assert " 300 received" in pinger.communicate(timeout=60)[0]


def test_programs_that_can_not_be_loaded(cloud, tmp_path):
    """One that does not come up says why; the dataplane and the one that is there go on."""
    daemon, client, web = cloud.inspectd["host-a"], cloud.machines["client"], cloud.machines["web"]
    (tmp_path / "object.o").write_bytes(b"\x7fELF nonsense")
    path = tmp_path / "inspect.yaml"
    path.write_text(f"dataplane: {daemon.host.rpc_path}\nrpc: {tmp_path}/sock\npin: {daemon.bpf}/other\nobject: {tmp_path}/object.o\n")
    pid = daemon.host.daemon.pid
    done = daemon.host.ns.run(program("vpc-inspectd"), "-c", path, check=False)
    assert done.returncode == 1 and "the programs cannot be read" in done.stderr
    assert daemon.is_attached() and daemon.host.daemon.pid == pid and client.ping(web.ip4)
