# SPDX-License-Identifier: Apache-2.0
"""IP fragments follow their first one: any order, both families, under port rules, over hosts; abuse is dropped.

    host-a: left 10.0.1.10, near 10.0.1.11 (front)   ---vxlan---   host-b: right 10.0.2.10 (back), lets in UDP 7000 only
"""

import itertools

import pytest
from lib import wait_for
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import Ether
from scapy.packet import Raw

PIECE = 1200
idents = itertools.count(1000)


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud(hosts=2)
    subnets = {"front": {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64"}, "back": {"cidr": "10.0.2.0/24", "cidr6": "fd00:0:0:2::/64"}}
    cloud.network("v", subnets)
    cloud.create("security_group", name="udp", rules=[{"direction": "ingress", "protocol": "udp", "ports": "7000"}])
    cloud.machine("left", "front", "a", raw=True, addresses=["10.0.1.10", "fd00:0:0:1::10"], security_groups=["v-open"])
    cloud.machine("near", "front", "a", raw=True, addresses=["10.0.1.11", "fd00:0:0:1::11"], security_groups=["udp"])
    cloud.machine("right", "back", "b", raw=True, addresses=["10.0.2.10", "fd00:0:0:2::10"], security_groups=["udp"])
    return cloud


@pytest.fixture(scope="module")
def gateway_mac(cloud):
    return cloud.get("subnet", "front")["status"]["gateway_mac"]


def pieces(cloud, to, gateway_mac, family, size=3000, port=7000, sport=None):
    """The fragments of one UDP datagram from left, and its identification."""
    left, to = cloud.machines["left"], cloud.machines[to]
    ident = next(idents)
    udp = UDP(sport=sport or 20000 + ident, dport=port, len=8 + size, chksum=0) / Raw(bytes(i * 7 % 251 for i in range(size)))
    head = Ether(src=left.mac, dst=to.mac if to.name == "near" else gateway_mac)
    payload = bytes(udp)
    cuts = range(0, len(payload), PIECE)
    result = []
    for at in cuts:
        more = at + PIECE < len(payload)
        part = Raw(payload[at : at + PIECE])
        if family == 4:
            ip = IP(src=left.ip4, dst=to.ip4, id=ident, proto=17, flags="MF" if more else 0, frag=at // 8)
        else:
            ip = IPv6(src=left.ip6, dst=to.ip6, nh=44) / IPv6ExtHdrFragment(nh=17, offset=at // 8, m=int(more), id=ident)
        result.append(head / ip / part)
    return result, ident


def ident_of(packet):
    if IP in packet:
        return packet[IP].id
    return packet[IPv6ExtHdrFragment].id if IPv6ExtHdrFragment in packet else None


def offset_of(packet):
    return packet[IP].frag if IP in packet else packet[IPv6ExtHdrFragment].offset


def is_whole(port):
    return lambda p: UDP in p and p[UDP].dport == port and (IP not in p or p[IP].frag == 0) and IPv6ExtHdrFragment not in p


def marker(cloud, to, gateway_mac, family, port=7000):
    """An unfragmented datagram that is let in."""
    left, machine = cloud.machines["left"], cloud.machines[to]
    ip = IP(src=left.ip4, dst=machine.ip4) if family == 4 else IPv6(src=left.ip6, dst=machine.ip6)
    dst = machine.mac if to == "near" else gateway_mac
    return Ether(src=left.mac, dst=dst) / ip / UDP(sport=next(idents) + 30000, dport=port) / Raw(b"marker")


def held(cloud):
    return sum(host.status()["packets"]["held"] for host in cloud.hosts.values())


@pytest.mark.parametrize("to", ["near", "right"])
def test_any_order(cloud, gateway_mac, family, to):
    """RFC 4787 REQ-14: all six orders of three fragments, each with its session's verdict (and hop limit)."""
    with cloud.machines["left"].wire() as out, cloud.machines[to].wire() as ear:
        for order in itertools.permutations(range(3)):
            fragments, ident = pieces(cloud, to, gateway_mac, family)
            out.send(*(fragments[n] for n in order))
            got = [ear.receive(lambda p: ident_of(p) == ident, what=f"a fragment of order {order}") for _ in range(3)]
            assert sorted(offset_of(p) for p in got) == [0, 150, 300], order
            for packet in got:
                ttl = packet[IP].ttl if family == 4 else packet[IPv6].hlim
                assert ttl == (64 if to == "near" else 63)
    wait_for(lambda: held(cloud) == 0, 3, "nothing is held")


def test_denied_first_denies_all(cloud, gateway_mac, family):
    """Rules look at ports that only the first fragment has."""
    with cloud.machines["left"].wire() as out, cloud.machines["right"].wire() as ear:
        for order in ([0, 1, 2], [2, 1, 0]):
            fragments, ident = pieces(cloud, "right", gateway_mac, family, port=7001)
            out.send(*(fragments[n] for n in order))
            ear.silence(
                lambda p, ident=ident: ident_of(p) == ident and UDP not in p,
                is_whole(7000),
                lambda: out.send(marker(cloud, "right", gateway_mac, family)),
            )
    wait_for(lambda: held(cloud) == 0, 5, "nothing is held")


def test_later_fragments_alone_wait_and_are_dropped(cloud, gateway_mac, family):
    before = cloud.drops(port="left").get("fragment", 0)
    with cloud.machines["left"].wire() as out, cloud.machines["near"].wire() as ear:
        fragments, ident = pieces(cloud, "near", gateway_mac, family)
        out.send(*fragments[1:])
        wait_for(lambda: held(cloud) == 2, 2, lambda: f"two are held: {held(cloud)}")
        cloud.check_conservation()
        wait_for(lambda: cloud.drops(port="left").get("fragment", 0) == before + 2, 6, "both are dropped in the end")
        assert held(cloud) == 0
        ear.silence(
            lambda p: ident_of(p) == ident,
            is_whole(7000),
            lambda: out.send(marker(cloud, "near", gateway_mac, family)),
        )


def test_overlaps_are_dropped(cloud, gateway_mac, family):
    """RFC 1858, RFC 5722: a piece over another one, and everything after it."""
    before = cloud.drops(port="left").get("fragment", 0)
    with cloud.machines["left"].wire() as out, cloud.machines["near"].wire() as ear:
        fragments, ident = pieces(cloud, "near", gateway_mac, family)
        evil = fragments[1].copy()
        if family == 4:
            evil[IP].frag -= 1
        else:
            evil[IPv6ExtHdrFragment].offset -= 1
        out.send(fragments[0], evil, fragments[2])
        assert offset_of(ear.receive(lambda p: ident_of(p) == ident)) == 0
        ear.silence(
            lambda p: ident_of(p) == ident,
            is_whole(7000),
            lambda: out.send(marker(cloud, "near", gateway_mac, family)),
        )
    assert cloud.drops(port="left").get("fragment", 0) == before + 2


def test_tiny_first_fragment_is_dropped(cloud, gateway_mac):
    """RFC 1858 3: the flags of a TCP header may not hide in the second fragment."""
    left, near = cloud.machines["left"], cloud.machines["near"]
    syn = bytes(TCP(sport=1, dport=7000, flags="S"))
    with left.wire() as out, near.wire() as ear:
        ident = next(idents)
        ip = IP(src=left.ip4, dst=near.ip4, id=ident, proto=6)
        first, second = ip.copy(), ip.copy()
        first.flags, second.frag = "MF", 2
        head = Ether(src=left.mac, dst=near.mac)
        out.send(head / first / Raw(syn[:16]), head / second / Raw(syn[16:]))
        ear.silence(
            lambda p: ident_of(p) == ident,
            is_whole(7000),
            lambda: out.send(marker(cloud, "near", gateway_mac, 4)),
        )


def test_large_datagrams_of_a_kernel(cloud, family):
    """What iperf3, NFS or DNS do: 8 kB and 60 kB datagrams, fragmented and put together by Linux."""
    fields = {"security_groups": ["v-open"]}
    a = cloud.machine("kernel-a", "front", "a", **fields)
    b = cloud.machine("kernel-b", "back", "b", **fields)
    for size in (8000, 60000):
        assert b.ping(a.address(family), size=size, timeout_s=3), size
    a.delete()
    b.delete()
