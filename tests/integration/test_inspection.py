# SPDX-License-Identifier: Apache-2.0
"""Attacks between machines and what is done about them, with everything that takes part in it.

    host-a: scan1, scan2, scan3, flood, beacon, web, client       host-b: victim        one subnet, all may talk
    vpc-inspectd on both
"""

import os
import time

import pytest
import yaml
from lib import wait_for
from lib.cloud import build_dir, program
from lib.process import Daemon, run
from lib.rpc import Rpc
from scapy.all import DNS, DNSQR, IP, TCP, UDP, Ether

pytestmark = pytest.mark.skipif(
    not os.path.exists(os.path.join(build_dir(), "ebpf", "vpc-inspectd")), reason="built without eBPF"
)
SUBNETS = {"s": {"cidr": "10.0.1.0/24"}}
ANY = [{"direction": "ingress"}]
QUICK = ["-n", "-Pn", "--disable-arp-ping", "--max-retries", "0", "-p", "1-60"]


class Inspectd:
    """Beside a host's dataplane, with a BPF file system of its own."""

    def __init__(self, cloud, host):
        self.bpf = os.path.join(cloud.dir, f"bpf-{host.name}")
        os.mkdir(self.bpf)
        if run(["mount", "-t", "bpf", "bpf", self.bpf], check=False).returncode:
            pytest.skip("no BPF file system can be mounted here")
        self.rpc = os.path.join(cloud.dir, f"inspectd-{host.name}.sock")
        path = os.path.join(cloud.dir, f"inspect-{host.name}.yaml")
        with open(path, "w", encoding="utf-8") as f:
            yaml.safe_dump({"dataplane": host.rpc_path, "rpc": self.rpc, "pin": f"{self.bpf}/vpc"}, f)
        self.daemon = Daemon(f"inspectd-{host.name}", [program("vpc-inspectd"), "-c", path], host.ns, cloud.dir)
        self.daemon.start(lambda: os.path.exists(self.rpc) and self.status()["dataplane"])

    def status(self):
        with Rpc(self.rpc) as rpc:
            return rpc.call("inspectd.status")

    def is_attached(self):
        return any(i["attached"] for i in self.status()["interfaces"])

    def close(self):
        self.daemon.stop()
        run(["umount", self.bpf], check=False)


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud(hosts=2)
    cloud.network("v", SUBNETS)
    cloud.create("security_group", name="all", rules=ANY)
    names = ("scan1", "scan2", "scan3", "flood", "beacon", "web", "client", "thief")
    for number, name in enumerate(names, 10):
        cloud.machine(name, "s", "a", addresses=[f"10.0.1.{number}"], security_groups=["all"])
    cloud.machine("victim", "s", "b", addresses=["10.0.1.99"], security_groups=["all"])
    daemons = [Inspectd(cloud, host) for host in cloud.hosts.values()]
    detectors = [{"type": t} for t in ("port_scan", "host_scan", "syn_flood", "icmp_sweep", "dns_tunnel")]
    cloud.create("inspection", name="watch", scope={"vpc": "v"}, detectors=[*detectors, {"type": "beacon"}])
    wait_for(lambda: all(d.is_attached() for d in daemons), 20, lambda: str([d.status() for d in daemons]))
    yield cloud
    for daemon in daemons:
        daemon.close()


def alerts(cloud, **filters):
    return cloud.call("alert.list", **filters)["items"]


def alert_of(cloud, port, detector):
    wait_for(lambda: alerts(cloud, port=port, detector=detector), 20, lambda: str(alerts(cloud)))
    return alerts(cloud, port=port, detector=detector)[0]


@pytest.mark.parametrize("name, how", [("scan1", "-sS"), ("scan2", "-sT"), ("scan3", "-sU")])
def test_nmap(cloud, name, how):
    scanner, victim = cloud.machines[name], cloud.machines["victim"]
    scanner.run("nmap", how, *QUICK, victim.ip4, timeout_s=60)
    alert = alert_of(cloud, name, "port_scan")
    assert (alert["vpc"], alert["node"], alert["source"]) == ("v", "host-a", scanner.ip4)
    assert victim.ip4 in alert["targets"][0] and alert["count"] >= 20 and alert["evidence"]["packets"]


def test_syn_flood(cloud):
    flood, victim = cloud.machines["flood"], cloud.machines["victim"]
    with flood.wire() as wire:
        for sport in range(1024, 1424):
            frame = Ether(src=flood.mac, dst=victim.mac) / IP(src=flood.ip4, dst=victim.ip4)
            wire.send(frame / TCP(sport=sport, dport=80, flags="S"))
    assert alert_of(cloud, "flood", "syn_flood")["source"] == flood.ip4


def test_a_busy_web_server_is_none(cloud):
    web, client = cloud.machines["web"], cloud.machines["client"]
    web.serve_http()
    for _ in range(40):
        client.curl(web.ip4)
    # What is told in the same way comes after it.
    assert not alerts(cloud, port="client") and not alerts(cloud, port="web")


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
    assert alert["source"] == caller.ip4 and "198.51.100.9" in alert["targets"][0] and victim.ip4 not in alert["targets"]


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
    for name in ("client", "web", "victim"):
        assert not alerts(cloud, port=name), alerts(cloud, port=name)
    cloud.delete("load_balancer", "lb")


def test_quarantine_within_200_ms(cloud):
    """From the packet that is one too many to the first that does not arrive, by the times at which they were sent."""
    thief, victim = cloud.machines["thief"], cloud.machines["victim"]
    cloud.create("inspection", name="cut", scope={"vpc": "v"}, detectors=[{"type": "port_scan", "threshold": 10}], action="quarantine")
    item = lambda: [d for v in _asked(cloud)["vpcs"] for d in v["detectors"] if d["inspection"] == "cut"]  # noqa: E731
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
    # 200 ms are promised, 10 usual; five times as much is for machines that run everything at once.
    assert took < 1, f"{took * 1000:.0f} ms"
    # Everything is denied, both ways; release restores.
    assert not thief.ping(victim.ip4) and not victim.ping(thief.ip4)
    cloud.call("alert.release", name=alert["name"], wait=True)
    wait_for(lambda: thief.ping(victim.ip4), 10)


def _asked(cloud):
    with cloud.hosts["host-a"].rpc() as rpc:
        return rpc.call("inspect.get")


def test_first_contact_over_a_peering(cloud):
    """A machine of a peer is told at its first flow, and only then; both are inside."""
    cloud.network("w", {"wide": {"cidr": "10.9.1.0/24"}})
    cloud.create("peering", name="v-w", vpcs=["v", "w"])
    far = cloud.machine("far", "wide", "b", security_groups=["w-open"])
    cloud.create("inspection", name="contacts", scope={"vpc": "v"}, detectors=[{"type": "first_contact"}])
    web = cloud.machines["web"]
    for _ in range(2):
        web.run("ping", "-c1", "-W5", far.ip4)
    alert = alert_of(cloud, "web", "first_contact")
    assert (alert["inspection"], alert["source"], alert["targets"]) == ("contacts", web.ip4, [far.ip4])
    assert len(alerts(cloud, detector="first_contact")) == 1
