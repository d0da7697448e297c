# SPDX-License-Identifier: Apache-2.0
"""Every reason for which traffic is dropped, made by traffic: in drops.list and vpcctl drops, and in a capture of drops.

    host-a: raw 10.0.1.10, peer .12, slow .13 (reads nothing), few 10.9.1.x     ---vxlan---   host-b: far 10.0.2.10, full 10.8.1.x
      | gateway to `internet`: EIP of peer, NAT of the others, a balancer 10.0.1.100
"""

import fcntl
import json
import os
import re
import struct

import pytest
from lib import wait_for
from lib.cloud import ROOT
from lib.hook import compile_hook
from lib.netns import in_netns
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6ND_RA, IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw
from test_capture import Capture, check_file, comment_of, tshark

PATIENCE = 20  # seconds that a condition may take on a busy machine

# What traffic alone can not be made to cause, whenever a test wants it.
UNMADE = {
    "none": "no drop",
    "stale": "a race: of a packet that waits for its rate, a fifth of a second at most, while its port goes; tests/node/test_rates.c wins it",
    "no_buffer": "no queue of ours is so long that it takes all packet buffers; a frame that finds none is not even read: it is counted without a last packet",
}


def reasons():
    """All of them, in the order of dataplane/core/drop.h."""
    with open(os.path.join(ROOT, "dataplane", "core", "drop.h"), encoding="utf-8") as header:
        return re.findall(r'^\tX\(\w+, +"(\w+)"', header.read(), re.MULTILINE)


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud(hosts=2, underlay="ipv4", outside={"internet": ["a"]}, node_config={"recover_s": 0}, start=False)
    small = {"capacity": {"sessions": 1024}, "limits": {"vpc_sessions_percent": 100, "unanswered_percent": 100}}
    cloud.host("b").config.update(small)
    cloud.host("a").config.update({"limits": {"unanswered_percent": 50}})
    cloud.start()
    prod = cloud.network("prod", {"front": {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64"}, "back": {"cidr": "10.0.2.0/24"}})
    rules = [{"direction": "ingress", "protocol": "tcp", "ports": "80"}, {"direction": "ingress", "protocol": "udp"}]
    cloud.create("security_group", name="web", rules=[*rules, {"direction": "egress", "protocol": "tcp", "action": "deny"}])
    front = {"addresses": ["10.0.1.10", "fd00:0:0:1::10"], "security_groups": ["prod-open"]}
    cloud.machine("raw", "front", "a", raw=True, **front)
    cloud.machine("peer", "front", "a", raw=True, addresses=["10.0.1.12"], security_groups=["web"])
    cloud.machine("far", "back", "b", raw=True, addresses=["10.0.2.10"], security_groups=["prod-open"])
    cloud.create("eip_pool", name="pool", cidr="198.51.100.64/26", node="host-a", external="internet")
    cloud.create("eip", name="peer", pool="pool", port="peer", deny_cidrs=["203.0.113.11/32"])
    cloud.create("eip", name="nat", pool="pool")
    cloud.create("nat_gateway", name="nat", vpc="prod", eips=["nat"], snat=[{"source": "10.0.0.0/16"}], limits={"per_port": 1})
    listener = {"protocol": "tcp", "health_check": {"type": "none"}}
    backend = {"backends": [{"port": "peer"}]}
    listeners = [{**listener, "port": 80, **backend, "allow_cidrs": ["10.0.2.0/24"]}, {**listener, "port": 81, "backends": []}]
    cloud.create("load_balancer", name="lb", vpc="prod", address="10.0.1.100", listeners=listeners)
    cloud.prod, cloud.sinks = prod, []
    yield cloud
    for fd in cloud.sinks:
        os.close(fd)


class Drops:
    """drops.list since now, and beside it a capture of all drops by the API."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.makers = {}
        self.first = {}
        self.first = self.by_reason()
        self.path = os.path.join(cloud.dir, "drops.pcapng")
        self.capture = Capture(cloud, "--drops", "-w", self.path)

    def rows(self, **filters):
        return self.cloud.call("drops.list", **filters)["items"]

    def packets(self, reason, **filters):
        return sum(row["packets"] for row in self.rows(reason=reason, **filters))

    def row(self, reason, where):
        """Of that port (or none), VPC (or none) and node."""
        return next((r for r in self.rows(reason=reason) if {**r, **where} == r), None)

    def by_reason(self, since_start=True, **filters):
        counts = {}
        for row in self.rows(**filters):
            counts[row["reason"]] = counts.get(row["reason"], 0) + row["packets"]
        if since_start:
            counts = {reason: packets - self.first.get(reason, 0) for reason, packets in counts.items()}
        return {reason: packets for reason, packets in counts.items() if packets}

    def made(self, reason, maker):
        """Makes it; returns once it is counted where it belongs."""
        before = (self.row(reason, maker.where) or {"packets": 0})["packets"]
        self.makers[reason] = maker
        maker.make(self.cloud)
        wait_for(
            lambda: (self.row(reason, maker.where) or {"packets": 0})["packets"] > before,
            PATIENCE,
            lambda: f"{reason} at {maker.where}, not in {json.dumps(self.rows(), indent=1)}",
        )

    def once(self, reason):
        if reason not in self.makers:
            self.made(reason, Maker.all[reason])

    def end(self):
        """What was captured once it has all that is counted, packets and counts."""
        for port in {"queue_full": "slow", "port_down": "down"}.items() & {(r, m.where["port"]) for r, m in self.makers.items()}:
            self.cloud.delete("port", port[1])  # what the gateway announces is lost there, now and then
        self.capture.wait_packets(sum(self.by_reason().values()))
        counted = self.by_reason()
        status, _, err = self.capture.interrupt()
        assert status == 0 and err == f"{sum(counted.values())} packets captured\n", (err, counted)
        check_file(self.path, sum(counted.values()))
        return tshark(self.path, "frame.interface_name", "frame.comment"), counted


@pytest.fixture(scope="module")
def drops(cloud):
    return Drops(cloud)


class Maker:
    """How to make a reason, and where it must be counted. `text`: what the last packet looks like, a regular expression."""

    all = {}

    def __init__(self, node, port, text, vpc="prod"):
        self.where = {"node": node, "port": port, "vpc": vpc}
        self.text = text
        self.make = None

    def __call__(self, make):
        self.make = make
        Maker.all[make.__name__] = self
        return make


def ether(cloud, **fields):
    """To the gateway, from raw."""
    return Ether(src=cloud.machines["raw"].mac, dst=cloud.get("subnet", "front")["status"]["gateway_mac"], **fields)


def send(cloud, *frames, machine="raw"):
    with cloud.machines[machine].wire() as wire:
        wire.send(*frames)


def udp(to, sport=5000, dport=9, **ip):
    return IP(src="10.0.1.10", dst=to, **ip) / UDP(sport=sport, dport=dport) / Raw(b"drop me")


FROM_RAW = r"10\.0\.1\.10\.5000 > {}\.9: udp"


@Maker("host-a", "raw", r"10\.0\.1\.10 > 10\.0\.2\.10: icmp")
def malformed(cloud):
    send(cloud, ether(cloud) / IP(src="10.0.1.10", dst="10.0.2.10", ihl=5, len=900) / ICMP())


@Maker("host-a", "raw", FROM_RAW.format("10.0.2.10"))
def bad_checksum(cloud):
    send(cloud, ether(cloud) / udp("10.0.2.10", chksum=0x1234))


@Maker("host-a", "raw", r"vlan 7 10\.0\.1\.10")
def vlan(cloud):
    send(cloud, ether(cloud) / Dot1Q(vlan=7) / udp("10.0.2.10"))


@Maker("host-a", "raw", r"10\.0\.1\.77 > 10\.0\.2\.10: icmp echo request")
def spoofed(cloud):
    send(cloud, ether(cloud) / IP(src="10.0.1.77", dst="10.0.2.10") / ICMP())


@Maker("host-a", "raw", r"> 10\.0\.1\.255\.9: udp")
def broadcast(cloud):
    send(cloud, Ether(src=cloud.machines["raw"].mac, dst="ff:ff:ff:ff:ff:ff") / udp("10.0.1.255"))


@Maker("host-a", "raw", r"fd00:0:0:1::10 > ff02::1: icmp6 type 134")
def rogue_ra(cloud):
    head = Ether(src=cloud.machines["raw"].mac, dst="33:33:00:00:00:01")
    send(cloud, head / IPv6(src="fd00:0:0:1::10", dst="ff02::1", hlim=255) / ICMPv6ND_RA())


@Maker("host-a", "raw", r"10\.0\.1\.10\.67 > 10\.0\.1\.12\.68: udp")
def rogue_dhcp(cloud):
    head = Ether(src=cloud.machines["raw"].mac, dst=cloud.machines["peer"].mac) / IP(src="10.0.1.10", dst="10.0.1.12")
    send(cloud, head / UDP(sport=67, dport=68) / BOOTP(op=2) / DHCP(options=[("message-type", "offer"), "end"]))


@Maker("host-a", "raw", FROM_RAW.format("10.0.2.10"))
def ttl_expired(cloud):
    send(cloud, ether(cloud) / udp("10.0.2.10", ttl=1))


@Maker("host-a", "raw", FROM_RAW.format("10.0.2.10"))
def too_big(cloud):
    raw = cloud.machines["raw"]
    mtu = cloud.prod["mtu"]
    raw.ns.ip(f"link set {raw.ifname} mtu {mtu + 100}")
    send(cloud, ether(cloud) / udp("10.0.2.10", flags="DF") / Raw(bytes(mtu)))
    raw.ns.ip(f"link set {raw.ifname} mtu {mtu}")


@Maker("host-a", "raw", FROM_RAW.format("10.0.1.99"))
def no_route(cloud):
    send(cloud, ether(cloud) / udp("10.0.1.99"))


@Maker("host-a", "raw", FROM_RAW.format("20.1.2.3"))
def blackhole(cloud):
    cloud.create("route", name="hole", vpc="prod", destination="20.1.0.0/16", next_hop={"kind": "blackhole"})
    send(cloud, ether(cloud) / udp("20.1.2.3"))


def on_underlay(cloud, change, source="raw", target="far"):
    """A frame between the two as the source's host puts it on the underlay, changed, to the target's host."""
    source, target = cloud.machines[source], cloud.machines[target]
    hosts = [cloud.hosts[machine.port["node"]] for machine in (source, target)]
    gateway = cloud.get("subnet", source.port["subnet"])["status"]["gateway_mac"]
    with hosts[0].wire() as heard:
        datagram = IP(src=source.ip4, dst=target.ip4) / UDP(sport=5000, dport=9) / Raw(b"drop me")
        send(cloud, Ether(src=source.mac, dst=gateway) / datagram, machine=source.name)
        frame = heard.receive(lambda p: VXLAN in p and b"drop me" in bytes(p) and p[VXLAN][IP].src == source.ip4)
    change(frame)
    for layer in (frame, frame[VXLAN].payload):
        layer[IP].chksum = layer[UDP].chksum = None
    with hosts[1].wire() as wire:
        wire.send(frame)


OUTER = r"192\.0\.2\.{}\.\d+ > 192\.0\.2\.2\.4789: udp vxlan {}"


@Maker("host-b", None, OUTER.format("99", r"\d+"), vpc=None)
def unknown_vtep(cloud):
    on_underlay(cloud, lambda p: setattr(p.getlayer(1), "src", "192.0.2.99"))


@Maker("host-b", None, OUTER.format("1", 0xABCDE), vpc=None)
def unknown_vni(cloud):
    on_underlay(cloud, lambda p: setattr(p[VXLAN], "vni", 0xABCDE))


@Maker("host-a", None, r"10\.0\.2\.77\.5000 > 10\.0\.1\.10\.9: udp")
def wrong_vtep(cloud):
    """host-b is no gateway: it speaks for its own machines only."""
    on_underlay(cloud, lambda p: setattr(p[VXLAN][IP], "src", "10.0.2.77"), "far", "raw")


@Maker("host-b", None, FROM_RAW.format("10.0.2.10"))
def ecn(cloud):
    on_underlay(cloud, lambda p: setattr(p.getlayer(1), "tos", 3))


@Maker("host-b", None, r"192\.0\.2\.1\.\d+ > 192\.0\.2\.222\.4789: udp vxlan", vpc=None)
def not_for_us(cloud):
    on_underlay(cloud, lambda p: setattr(p.getlayer(1), "dst", "192.0.2.222"))


def tcp(to, dport, flags="S", sport=5001, **fields):
    return IP(src="10.0.1.10", dst=to) / TCP(sport=sport, dport=dport, flags=flags, **fields)


@Maker("host-a", "peer", r"10\.0\.1\.10\.5001 > 10\.0\.1\.12\.22: tcp S")
def policy_ingress(cloud):
    send(cloud, Ether(src=cloud.machines["raw"].mac, dst=cloud.machines["peer"].mac) / tcp("10.0.1.12", 22))


@Maker("host-a", "peer", r"10\.0\.1\.12\.5001 > 10\.0\.1\.10\.80: tcp S")
def policy_egress(cloud):
    peer, raw = cloud.machines["peer"], cloud.machines["raw"]
    head = Ether(src=peer.mac, dst=raw.mac) / IP(src="10.0.1.12", dst="10.0.1.10")
    send(cloud, head / TCP(sport=5001, dport=80, flags="S"), machine="peer")


@Maker("host-a", "raw", r"10\.0\.1\.10\.5002 > 10\.0\.1\.12\.80: tcp \.")
def no_session(cloud):
    send(cloud, Ether(src=cloud.machines["raw"].mac, dst=cloud.machines["peer"].mac) / tcp("10.0.1.12", 80, "A", 5002))


@Maker("host-a", "raw", r"10\.0\.1\.10\.5003 > 10\.0\.1\.12\.80: tcp P\.")
def tcp_state(cloud):
    """Data far beyond the window of an open connection."""
    raw, peer = cloud.machines["raw"], cloud.machines["peer"]
    head, back = Ether(src=raw.mac, dst=peer.mac), Ether(src=peer.mac, dst=raw.mac)
    with raw.wire() as client, peer.wire() as server:
        client.send(head / tcp("10.0.1.12", 80, "S", 5003, seq=1000))
        server.receive(lambda p: TCP in p and p[TCP].flags == "S")
        server.send(back / IP(src="10.0.1.12", dst="10.0.1.10") / TCP(sport=80, dport=5003, flags="SA", seq=9000, ack=1001))
        client.receive(lambda p: TCP in p and p[TCP].flags == "SA")
        client.send(head / tcp("10.0.1.12", 80, "A", 5003, seq=1001, ack=9001))
        client.send(head / tcp("10.0.1.12", 80, "PA", 5003, seq=0x40000000, ack=9001) / Raw(b"drop me"))


@Maker("host-b", "full", r"10\.8\.1\.\d+\.\d+ > 10\.8\.1\.\d+\.9: udp", vpc="full")
def session_table_full(cloud):
    cloud.network("full", {"full-1": {"cidr": "10.8.1.0/24"}}, tenant="full")
    machine = cloud.machine("full", "full-1", "b", raw=True, security_groups=["full-open"])
    other = cloud.machine("full-2", "full-1", "b", raw=True, security_groups=["full-open"])
    ask = Ether(src=machine.mac, dst=other.mac) / IP(src=machine.ip4, dst=other.ip4)
    answer = Ether(src=other.mac, dst=machine.mac) / IP(src=other.ip4, dst=machine.ip4)
    with machine.wire() as client, other.wire() as server:
        for first in range(1000, 2200, 50):
            client.send(*(ask / UDP(sport=port, dport=9) for port in range(first, first + 50)))
            if first < 2000:  # what is answered is not replaced by what is new
                for _ in range(50):
                    server.receive(lambda p: UDP in p)
                server.send(*(answer / UDP(sport=9, dport=port) for port in range(first, first + 50)))
    wait_for(lambda: cloud.drops(vpc="full").get("session_table_full"), PATIENCE, "the table is full")
    cloud.call("session.flush", vpc="full")


def few(cloud, quota=20):
    """Two machines of a tenant that may have so many sessions, and has none."""
    if "few" not in cloud.machines:
        cloud.create("tenant", name="few", quotas={"sessions": quota})
        cloud.network("few", {"few-1": {"cidr": "10.9.1.0/24"}}, tenant="few")
        for name in ("few", "few-2"):
            cloud.machine(name, "few-1", "a", raw=True, security_groups=["few-open"])
    cloud.call("session.flush", vpc="few")
    a, b = cloud.machines["few"], cloud.machines["few-2"]
    ask = Ether(src=a.mac, dst=b.mac) / IP(src=a.ip4, dst=b.ip4)
    answer = Ether(src=b.mac, dst=a.mac) / IP(src=b.ip4, dst=a.ip4)
    return ask, answer


@Maker("host-a", "few", r"10\.9\.1\.\d+\.\d+ > 10\.9\.1\.\d+\.9: udp", vpc="few")
def session_unanswered(cloud):
    ask, _ = few(cloud)
    send(cloud, *(ask / UDP(sport=1000 + n, dport=9) for n in range(30)), machine="few")


@Maker("host-a", "few", r"10\.9\.1\.\d+\.\d+ > 10\.9\.1\.\d+\.9: udp", vpc="few")
def session_share(cloud):
    ask, answer = few(cloud)
    with cloud.machines["few"].wire() as client, cloud.machines["few-2"].wire() as server:
        for n in range(25):
            client.send(ask / UDP(sport=2000 + n, dport=9))
            if n < 20:
                server.receive(lambda p, n=n: UDP in p and p[UDP].sport == 2000 + n)
                server.send(answer / UDP(sport=9, dport=2000 + n))
                client.receive(lambda p, n=n: UDP in p and p[UDP].dport == 2000 + n)


@Maker("host-a", "raw", FROM_RAW.format("10.0.1.12"))
def rate_limited(cloud):
    cloud.update("port", "raw", rate={"egress_pps": 10})
    head = Ether(src=cloud.machines["raw"].mac, dst=cloud.machines["peer"].mac)
    send(cloud, *[head / udp("10.0.1.12")] * 100)
    wait_for(lambda: cloud.drops(port="raw").get("rate_limited"), PATIENCE, "its rate is over")
    cloud.update("port", "raw", rate={"egress_pps": 0})


@Maker("host-a", "slow", FROM_RAW.format("10.0.1.13"))
def queue_full(cloud):
    """Its machine is a TAP of ours that nobody reads."""
    slow = sink(cloud, "slow", "10.0.1.13")
    send(cloud, *[Ether(src=cloud.machines["raw"].mac, dst=slow["mac"]) / udp("10.0.1.13")] * 2000)


def sink(cloud, name, address):
    """A port that takes no more than a few packets."""

    def tap():
        fd = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x1002))  # TUNSETIFF, IFF_TAP | IFF_NO_PI
        return fd

    host = cloud.host("a")
    cloud.sinks.append(in_netns(host.ns.name, tap))
    host.ns.ip(f"link set {name} txqueuelen 10 up")
    port = {"attachment": {"type": "netdev", "ifname": name, "mode": "af_packet"}, "security_groups": ["prod-open"]}
    cloud.create("port", name=name, subnet="front", node="host-a", addresses=[address], **port)
    wait_for(lambda: cloud.get("port", name)["status"]["state"] == "active", PATIENCE, f"the port {name}")
    return cloud.get("port", name)


@Maker("host-a", "down", FROM_RAW.format("10.0.1.14"))
def port_down(cloud):
    port = {"attachment": {"type": "netdev", "ifname": "nowhere"}, "security_groups": ["prod-open"]}
    down = cloud.create("port", name="down", subnet="front", node="host-a", addresses=["10.0.1.14"], **port)
    send(cloud, Ether(src=cloud.machines["raw"].mac, dst=down["mac"]) / udp("10.0.1.14"))


@Maker("host-a", "raw", FROM_RAW.format("10.0.1.15"))
def no_neighbour(cloud):
    cloud.create("node", name="ghost", vtep="192.0.2.200")
    port = {"attachment": {"type": "none"}, "security_groups": ["prod-open"]}
    ghost = cloud.create("port", name="ghost", subnet="front", node="ghost", addresses=["10.0.1.15"], **port)
    frame = Ether(src=cloud.machines["raw"].mac, dst=ghost["mac"]) / udp("10.0.1.15")

    def unanswered():
        send(cloud, frame)
        return cloud.drops(port="raw").get("no_neighbour")

    wait_for(unanswered, PATIENCE, "a packet that no next hop takes")


@Maker("host-a", "raw", r"10\.0\.1\.10 > 10\.0\.1\.12: fragment of protocol 17")
def fragment(cloud):
    """The second piece overlaps the first."""
    head = Ether(src=cloud.machines["raw"].mac, dst=cloud.machines["peer"].mac)
    first = IP(src="10.0.1.10", dst="10.0.1.12", id=7, flags="MF", proto=17) / Raw(bytes(UDP(sport=5000, dport=9, len=72)) + bytes(56))
    second = IP(src="10.0.1.10", dst="10.0.1.12", id=7, frag=4, proto=17) / Raw(bytes(40))
    send(cloud, head / first, head / second)


def outside(cloud):
    return cloud.outside["internet"].client(4)


@Maker("host-a", "raw", r"10\.0\.1\.10\.60\d\d > 203\.0\.113\.10\.\d+: udp")
def nat_exhausted(cloud):
    send(cloud, *(ether(cloud) / udp(outside(cloud), sport=6000 + n, dport=9 + n) for n in range(5)))


@Maker("host-a", None, r"203\.0\.113\.10\.5000 > 198\.51\.100\.\d+\.9: udp", vpc=None)
def nat_filtered(cloud):
    from_internet(cloud, "nat", "203.0.113.10")


@Maker("host-a", None, r"203\.0\.113\.11\.5000 > 198\.51\.100\.\d+\.9: udp", vpc=None)
def eip_denied(cloud):
    from_internet(cloud, "peer", "203.0.113.11")


def from_internet(cloud, eip, source):
    """A datagram of the internet's machine, by the router as it is."""
    address = cloud.get("eip", eip)["address"]
    code = f"import socket; s=socket.socket(2,2); s.setsockopt(0,15,1); s.bind(('{source}',5000)); s.sendto(b'drop me',('{address}',9))"
    cloud.outside["internet"].internet.run("/usr/bin/python3", "-c", code)


@Maker("host-a", "raw", r"10\.0\.1\.10\.5001 > 10\.0\.1\.100\.80: tcp S")
def lb_not_allowed(cloud):
    send(cloud, ether(cloud) / tcp("10.0.1.100", 80))


@Maker("host-a", "raw", r"10\.0\.1\.10\.5001 > 10\.0\.1\.100\.81: tcp S")
def lb_no_backend(cloud):
    send(cloud, ether(cloud) / tcp("10.0.1.100", 81))


@Maker("host-a", "raw", r"10\.0\.1\.10\.5001 > 10\.0\.1\.100\.82: tcp S")
def lb_no_listener(cloud):
    send(cloud, ether(cloud) / tcp("10.0.1.100", 82))


@Maker("host-a", "raw", r"ethertype 9999")
def unsupported(cloud):
    send(cloud, ether(cloud, type=0x9999) / Raw(bytes(46)))


@Maker("host-a", "raw", r"10\.0\.1\.10\.5001 > 10\.0\.1\.12\.23: tcp S")
def hook(cloud):
    program = compile_hook("no_telnet.bpf.c", os.path.join(cloud.dir, "no_telnet.o"))
    cloud.vpcctl("hook", "attach", "no-telnet", program, "--port", "raw", "--role", "filter", "--wait")
    send(cloud, Ether(src=cloud.machines["raw"].mac, dst=cloud.machines["peer"].mac) / tcp("10.0.1.12", 23))


def test_none_is_forgotten():
    assert set(Maker.all) == set(reasons()) - set(UNMADE)


@pytest.mark.parametrize("reason", [reason for reason in reasons() if reason not in UNMADE])
def test_reason(drops, reason):
    """Made by traffic it is counted to the right port, VPC and node; the row says what the last packet was, and filters find it."""
    maker = Maker.all[reason]
    drops.made(reason, maker)
    row = drops.row(reason, maker.where)
    assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z " + ".*" + maker.text, row["last_packet"]), row
    what = {"node": row["node"], "port": row["port"], "vpc": row["vpc"], "reason": reason}
    what = {key: value for key, value in what.items() if value}
    for filters in [{key: value} for key, value in what.items()] + [what]:
        rows = drops.rows(**filters)
        assert any(r["packets"] >= row["packets"] and {**what, **r} == r for r in rows), (filters, rows)
        assert all({**r, **filters} == r for r in rows), (filters, rows)


def test_a_capture_of_drops_has_each(drops):
    """Each reason as often as it was counted; a file that other programs read."""
    packets, counted = drops.end()
    seen, where = {}, {}
    for packet in packets:
        said = comment_of(packet)
        assert said["verdict"] == "drop", packet
        seen[said["reason"]] = seen.get(said["reason"], 0) + 1
        where.setdefault(said["reason"], set()).add(packet["frame.interface_name"])
    assert seen == counted
    for reason, maker in drops.makers.items():
        node, port = maker.where["node"], maker.where["port"]
        assert any(name.startswith(f"{node}/") for name in where[reason]), (reason, where[reason])
        if port == "raw":
            assert f"{node}/{port}" in where[reason], (reason, where[reason])


def test_every_packet_is_in_one_row(cloud, drops):
    """The rows of a node are what its status counts, reason by reason."""
    cloud.check_conservation()
    for node in cloud.call("status")["nodes"]:
        if node["name"] in cloud.hosts:
            assert drops.by_reason(since_start=False, node=node["name"]) == node["packets"]["dropped"]


def test_vpcctl(cloud, drops):
    """The same rows as a table and as JSON, with the filters as flags."""
    drops.once("no_route")
    raw = json.loads(cloud.vpcctl("drops", "--port", "raw", "--reason", "no_route", "-o", "json").stdout)
    assert raw == drops.rows(port="raw", reason="no_route")
    head, line = cloud.vpcctl("drops", "list", "--vpc", "prod", "--node", "host-a", "--reason", "no_route").stdout.splitlines()
    assert head.split() == ["NODE", "PORT", "VPC", "REASON", "PACKETS", "LAST-PACKET"]
    assert re.match(r"host-a +raw +prod +no_route +\d+ +\d{4}-.*Z 10\.0\.1\.10\.5000 > 10\.0\.1\.99\.9: udp$", line), line
    for flag in ("--port", "--vpc", "--node"):
        refused = cloud.vpcctl("drops", flag, "nobody", check=False)
        assert refused.returncode == 1 and "nobody" in refused.stderr, refused


def test_what_is_deleted(cloud, drops):
    """The packets of a deleted port stay its VPC's, those of a VPC that goes the node's; who comes after them inherits nothing."""
    idle = {"attachment": {"type": "netdev", "ifname": "nowhere"}}
    for turn in range(2):
        cloud.network("brief", {"brief": {"cidr": "10.6.1.0/24"}})
        cloud.create("port", name="brief-2", subnet="brief", node="host-a", **idle)
        brief = cloud.machine("brief", "brief", "a", raw=True)
        assert drops.rows(vpc="brief") == [], turn
        before = drops.packets("spoofed", node="host-a")
        send(cloud, *[Ether(src=brief.mac, dst=brief.mac) / IP(src="8.8.8.8", dst="10.6.1.1") / ICMP()] * 3, machine="brief")
        wait_for(lambda: drops.packets("spoofed", port="brief") == 3, PATIENCE, "three are dropped")
        cloud.delete("port", "brief")
        cloud.machines.pop("brief").ns.delete()
        rows = wait_for(lambda: [r for r in drops.rows(vpc="brief") if r["packets"] == 3], PATIENCE, lambda: f"{drops.rows()}")
        assert rows[0]["port"] is None and "8.8.8.8 > 10.6.1.1: icmp" in rows[0]["last_packet"], rows
        cloud.delete("port", "brief-2")
        cloud.delete("security_group", "brief-open")
        cloud.delete("subnet", "brief")
        cloud.delete("vpc", "brief")
        wait_for(lambda b=before: drops.packets("spoofed", node="host-a") == b + 3, PATIENCE, lambda: f"{drops.rows()}")


def test_restarts(cloud, drops):
    """A dataplane counts from its start, ports and VPCs by name as before; a controller changes nothing."""
    drops.once("no_route")
    before = drops.rows(reason="no_route")
    cloud.stop_controller()
    cloud.start_controller()
    assert drops.rows(reason="no_route") == before != []
    cloud.host("a").restart()
    assert drops.rows(node="host-a", reason="no_route", port="raw") == []
    no_route(cloud)
    rows = wait_for(lambda: drops.rows(node="host-a", reason="no_route"), PATIENCE, "a new row")
    assert [(r["port"], r["vpc"], r["packets"]) for r in rows] == [("raw", "prod", 1)], rows
