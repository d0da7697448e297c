# SPDX-License-Identifier: Apache-2.0
"""Two tenants with the same addresses over two hosts: each reaches its own, nothing crosses.

    host-a: red-a .10, blue-a .10   ---vxlan---   host-b: red-b .11, blue-b .11      all in 10.0.1.0/24, fd00:0:0:1::/64
"""

import pytest
from lib import wait_for
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6ND_RA, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

BROADCAST = "ff:ff:ff:ff:ff:ff"
ADDRESSES = {"a": ["10.0.1.10", "fd00:0:0:1::10"], "b": ["10.0.1.11", "fd00:0:0:1::11"]}


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud(hosts=2)
    for tenant in ("red", "blue"):
        cloud.network(tenant, {f"{tenant}-1": {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64"}}, tenant)
        for host in ("a", "b"):
            machine = cloud.machine(
                f"{tenant}-{host}", f"{tenant}-1", host, addresses=ADDRESSES[host], security_groups=[f"{tenant}-open"]
            )
            machine.serve_http()
    return cloud


def ip(source, destination, family):
    """The IP layer from one machine to another."""
    layer = IP if family == 4 else IPv6
    return layer(src=source.address(family), dst=destination.address(family))


def udp(source, destination, payload, family=4, port=9):
    """A frame as the source would send it to a machine of its subnet."""
    return Ether(src=source.mac, dst=destination.mac) / ip(source, destination, family) / UDP(sport=5000, dport=port) / Raw(payload)


def carries(payload):
    return lambda packet: Raw in packet and packet[Raw].load == payload


def carries_anywhere(payload):
    return lambda packet: payload in bytes(packet)


def dropped(cloud, reason, before, **filters):
    wait_for(
        lambda: cloud.drops(**filters).get(reason, 0) > before.get(reason, 0),
        3,
        lambda: f"a drop as {reason}; before {before}, now {cloud.drops(**filters)}",
    )


def test_http_reaches_the_own_machine_only(cloud, family):
    m = cloud.machines
    for tenant in ("red", "blue"):
        for client, server in (("a", "b"), ("b", "a")):
            got = m[f"{tenant}-{client}"].curl(m[f"{tenant}-{server}"], family=family)
            assert got == f"{tenant}-{server} {m[f'{tenant}-{client}'].address(family)}\n"


@pytest.mark.parametrize("sender", ["blue-a", "blue-b"])
def test_unicast_does_not_cross(cloud, family, sender):
    """Not even to red's MAC: the frame goes to blue's owner of the address, or nowhere."""
    m = cloud.machines
    other = "b" if sender.endswith("a") else "a"
    red, sender = m[f"red-{other}"], m[sender]
    friend = m["red-a" if other == "b" else "red-b"]
    with red.wire() as ear, sender.wire() as mouth, friend.wire() as marker:
        for mac in (red.mac, m[f"blue-{other}"].mac, friend.mac):
            mouth.send(Ether(src=sender.mac, dst=mac) / ip(sender, red, family) / UDP(sport=5000, dport=9) / Raw(b"crossing"))
        ear.silence(carries_anywhere(b"crossing"), carries(b"marker"), lambda: marker.send(udp(friend, red, b"marker", family)))


def test_broadcast_stays(cloud):
    """Nobody else hears a tenant's broadcast: not the other tenant, and not its own network either (`broadcast`)."""
    m = cloud.machines
    sender = m["blue-a"]
    before = cloud.drops(port="blue-a")
    with sender.wire() as mouth:
        probes = [
            Ether(src=sender.mac, dst=BROADCAST) / IP(src=sender.ip4, dst="255.255.255.255") / UDP(sport=5000, dport=9) / Raw(b"loud"),
            Ether(src=sender.mac, dst=BROADCAST) / ip(sender, m["red-b"], 4) / UDP(sport=5000, dport=9) / Raw(b"loud"),
            Ether(src=sender.mac, dst="33:33:00:00:00:fb") / IPv6(src=sender.ip6, dst="ff02::fb") / UDP(sport=5353, dport=5353) / Raw(b"loud"),
        ]
        for ear_name, friend_name in (("red-a", "red-b"), ("red-b", "red-a"), ("blue-b", "blue-a")):
            ear, friend = m[ear_name], m[friend_name]
            with ear.wire() as heard, friend.wire() as marker:
                mouth.send(*probes)
                heard.silence(carries(b"loud"), carries(b"marker"), lambda a=ear, f=friend, w=marker: w.send(udp(f, a, b"marker")))
    dropped(cloud, "broadcast", before, port="blue-a")


def test_arp_and_nd_are_answered_for_the_own_tenant(cloud):
    """The question for an address that both tenants use is answered with the MAC of the own one, and heard by nobody."""
    m = cloud.machines
    asker, owner, stranger = m["blue-a"], m["blue-b"], m["red-b"]
    arp = Ether(src=asker.mac, dst=BROADCAST) / ARP(hwsrc=asker.mac, psrc=asker.ip4, pdst=owner.ip4)
    nd = (
        Ether(src=asker.mac, dst="33:33:ff:00:00:11")
        / IPv6(src=asker.ip6, dst="ff02::1:ff00:11", hlim=255)
        / ICMPv6ND_NS(tgt=owner.ip6)
    )
    with asker.wire() as wire, stranger.wire() as ear, m["red-a"].wire() as marker:
        answer = wire.ask(arp, lambda p: ARP in p and p[ARP].op == 2 and p[ARP].psrc == owner.ip4)
        assert answer[ARP].hwsrc == owner.mac and answer.dst == asker.mac
        answer = wire.ask(nd, lambda p: IPv6 in p and p[IPv6].nh == 58 and p[IPv6].src == owner.ip6)
        assert answer[IPv6].hlim == 255 and owner.mac.replace(":", "") in bytes(answer[IPv6]).hex()
        ear.silence(
            # Its own router's advertisements come when they come.
            lambda p: ARP in p or (IPv6 in p and p[IPv6].nh == 58 and ICMPv6ND_RA not in p),
            carries(b"marker"),
            lambda: marker.send(udp(m["red-a"], stranger, b"marker")),
        )


@pytest.mark.parametrize("what", ["source MAC", "source IPv4", "source IPv6", "ARP sender", "ND target"])
def test_spoofed_sources_are_dropped(cloud, what):
    m = cloud.machines
    sender, target, red = m["blue-a"], m["blue-b"], m["red-a"]
    good = udp(sender, target, b"spoof")
    frame = {
        "source MAC": Ether(src=red.mac, dst=target.mac) / good[IP],
        "source IPv4": Ether(src=sender.mac, dst=target.mac) / IP(src="10.0.1.99", dst=target.ip4) / UDP(sport=5000, dport=9) / Raw(b"spoof"),
        "source IPv6": Ether(src=sender.mac, dst=target.mac) / IPv6(src="fd00:0:0:1::99", dst=target.ip6) / UDP(sport=5000, dport=9) / Raw(b"spoof"),
        "ARP sender": Ether(src=sender.mac, dst=BROADCAST) / ARP(hwsrc=sender.mac, psrc="10.0.1.99", pdst=target.ip4),
        "ND target": Ether(src=sender.mac, dst="33:33:ff:00:00:11")
        / IPv6(src="fd00:0:0:1::99", dst="ff02::1:ff00:11", hlim=255)
        / ICMPv6ND_NS(tgt=target.ip6),
    }[what]
    before = cloud.drops(port="blue-a")
    with sender.wire() as mouth, target.wire() as ear:
        mouth.send(good)
        ear.receive(carries(b"spoof"), what="the same with its true source")
        mouth.send(frame)
        ear.silence(carries(b"spoof"), carries(b"marker"), lambda: mouth.send(udp(sender, target, b"marker")))
        mouth.drain()
    dropped(cloud, "spoofed", before, port="blue-a")


def test_vxlan_made_by_a_tenant_is_payload(cloud):
    """VXLAN with the other tenant's VNI, sent by a machine to a machine or to a VTEP, is only UDP to port 4789."""
    m = cloud.machines
    sender, friend, target = m["blue-a"], m["blue-b"], m["red-b"]
    vni = cloud.get("vpc", "red")["vni"]
    inner = udp(m["red-a"], target, b"forged")
    gateway_mac = cloud.get("subnet", "blue-1")["status"]["gateway_mac"]
    with sender.wire() as mouth, target.wire() as ear, friend.wire() as friends_ear, m["red-a"].wire() as marker:
        tunnel = UDP(sport=50000, dport=4789) / VXLAN(vni=vni) / inner
        mouth.send(Ether(src=sender.mac, dst=friend.mac) / ip(sender, friend, 4) / tunnel)
        friends_ear.receive(lambda p: UDP in p and p[UDP].dport == 4789, what="the datagram at the own tenant's machine")
        before = cloud.drops(port="blue-a")
        vtep = cloud.host("b").address
        head = IPv6(src=sender.ip6, dst=vtep) if ":" in vtep else IP(src=sender.ip4, dst=vtep)
        mouth.send(Ether(src=sender.mac, dst=gateway_mac) / head / tunnel)
        dropped(cloud, "no_route", before, port="blue-a")
        ear.silence(carries_anywhere(b"forged"), carries(b"marker"), lambda: marker.send(udp(m["red-a"], target, b"marker")))


@pytest.fixture(scope="module")
def on_the_wire(cloud):
    """A genuine VXLAN frame of red-a to red-b, as host-a put it on the underlay."""
    m = cloud.machines
    with cloud.host("a").wire() as underlay, m["red-a"].wire() as mouth:
        mouth.send(udp(m["red-a"], m["red-b"], b"genuine"))
        return underlay.receive(lambda p: VXLAN in p and carries_anywhere(b"genuine")(p))


def changed(frame, change):
    """A copy with change(copy) done to it and its lengths and checksums made right again."""
    copy = Ether(bytes(frame))
    change(copy)
    for layer in (copy, copy[VXLAN].payload if VXLAN in copy else copy):
        for kind in (IP, UDP):
            if kind in layer:
                layer[kind].chksum = None
    return copy


def set_payload(payload):
    def change(packet):
        packet[VXLAN][Raw].load = payload
        packet[VXLAN][UDP].chksum = None

    return change


FORGERIES = {
    "another VNI": ("unknown_vni", lambda p, c: setattr(p[VXLAN], "vni", 0xABCDE)),
    "the other tenant's VNI": (None, lambda p, c: setattr(p[VXLAN], "vni", c.get("vpc", "blue")["vni"])),
    "no I flag": ("malformed", lambda p, c: setattr(p[VXLAN], "flags", 0)),
    "unknown VTEP": ("unknown_vtep", lambda p, c: setattr(p.getlayer(1), "src", c.host("a").address + "00")),
    "source that lives elsewhere": ("wrong_vtep", lambda p, c: setattr(p[VXLAN][IP], "src", c.machines["red-b"].ip4)),
    "source outside the VPC": ("wrong_vtep", lambda p, c: setattr(p[VXLAN][IP], "src", "8.8.8.8")),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_forged_frames_on_the_underlay(cloud, on_the_wire, what):
    """Somebody who can write on the underlay gets nothing in that is not what a known VTEP may send."""
    reason, change = FORGERIES[what]
    m = cloud.machines
    forged = changed(on_the_wire, lambda p: (set_payload(b"forged!")(p), change(p, cloud)))
    marker = changed(on_the_wire, set_payload(b"marker!"))
    before = cloud.drops()
    with cloud.host("b").wire() as underlay, m["red-b"].wire() as ear:
        underlay.send(forged)
        ear.silence(carries(b"forged!"), carries(b"marker!"), lambda: underlay.send(marker))
    if reason:
        dropped(cloud, reason, before)
