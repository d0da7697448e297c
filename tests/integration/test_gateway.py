# SPDX-License-Identifier: Apache-2.0
"""What the dataplane answers itself: ARP, ND, ping, DHCP, router advertisements, and errors about packets.

    host-a: left 10.0.1.10 (front)   ---vxlan---   host-b: right 10.0.2.10 (back)        gateways .1, ::1
"""

import pytest
from lib import wait_for
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror
from scapy.layers.inet6 import (
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_RS,
    ICMPv6NDOptSrcLLAddr,
    ICMPv6PacketTooBig,
    ICMPv6TimeExceeded,
    IPv6,
)
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

BROADCAST = "ff:ff:ff:ff:ff:ff"
GW4, GW6 = "10.0.1.1", "fd00:0:0:1::1"


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud(hosts=2)
    front = {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64", "dns_servers": ["10.0.0.53", "fd00::53"]}
    cloud.network("v", {"front": front, "back": {"cidr": "10.0.2.0/24", "cidr6": "fd00:0:0:2::/64"}}, cidrs=["10.0.0.0/16", "fd00::/48"])
    cloud.machine("left", "front", "a", raw=True, addresses=["10.0.1.10", "fd00:0:0:1::10"], security_groups=["v-open"])
    cloud.machine("right", "back", "b", raw=True, addresses=["10.0.2.10", "fd00:0:0:2::10"], security_groups=["v-open"])
    return cloud


@pytest.fixture
def left(cloud):
    return cloud.machines["left"]


@pytest.fixture
def wire(left):
    with left.wire() as wire:
        yield wire


@pytest.fixture(scope="module")
def gateway_mac(cloud):
    return cloud.get("subnet", "front")["status"]["gateway_mac"]


def test_gateway_mac_is_the_same_everywhere(cloud, gateway_mac):
    """Both nodes answer with it: the machine may move without learning a new one."""
    attachment = {"configure": False}
    other = cloud.machine("other", "front", "b", raw=True, attachment=attachment)
    with other.wire() as wire:
        ask = Ether(src=other.mac, dst=BROADCAST) / ARP(hwsrc=other.mac, psrc=other.ip4, pdst=GW4)
        assert wire.ask(ask, lambda p: ARP in p and p[ARP].op == 2)[ARP].hwsrc == gateway_mac
    other.delete()


def test_arp(left, wire, gateway_mac):
    ask = Ether(src=left.mac, dst=BROADCAST) / ARP(hwsrc=left.mac, psrc=left.ip4, pdst=GW4)
    answer = wire.ask(ask, lambda p: ARP in p and p[ARP].op == 2)
    assert (answer[ARP].hwsrc, answer[ARP].psrc, answer[ARP].hwdst) == (gateway_mac, GW4, left.mac)


def test_nd(left, wire, gateway_mac):
    ask = (
        Ether(src=left.mac, dst="33:33:ff:00:00:01")
        / IPv6(src=left.ip6, dst="ff02::1:ff00:1", hlim=255)
        / ICMPv6ND_NS(tgt=GW6)
        / ICMPv6NDOptSrcLLAddr(lladdr=left.mac)
    )
    answer = wire.ask(ask, lambda p: ICMPv6ND_NA in p)
    assert answer[ICMPv6ND_NA].tgt == GW6 and answer[ICMPv6ND_NA].R == 1 and answer[ICMPv6ND_NA].S == 1
    assert answer[IPv6].hlim == 255 and answer.src == gateway_mac
    assert gateway_mac.replace(":", "") in bytes(answer[ICMPv6ND_NA]).hex()


def test_dad_probe_for_the_own_address_is_never_answered(left, wire):
    probe = Ether(src=left.mac, dst="33:33:ff:00:00:10") / IPv6(src="::", dst="ff02::1:ff00:10", hlim=255) / ICMPv6ND_NS(tgt=left.ip6)
    other = Ether(src=left.mac, dst="33:33:ff:00:00:01") / IPv6(src=left.ip6, dst="ff02::1:ff00:1", hlim=255) / ICMPv6ND_NS(tgt=GW6)
    wire.send(probe)
    wire.silence(
        lambda p: ICMPv6ND_NA in p and p[ICMPv6ND_NA].tgt == left.ip6,
        lambda p: ICMPv6ND_NA in p and p[ICMPv6ND_NA].tgt == GW6,
        lambda: wire.send(other),
    )


def test_ping(left, wire, gateway_mac, family):
    head = Ether(src=left.mac, dst=gateway_mac)
    if family == 4:
        ask = head / IP(src=left.ip4, dst=GW4) / ICMP(id=7, seq=3) / Raw(b"hello")
        answer = wire.ask(ask, lambda p: ICMP in p and p[ICMP].type == 0)
        assert (answer[ICMP].id, answer[ICMP].seq, answer[Raw].load, answer[IP].src) == (7, 3, b"hello", GW4)
    else:
        ask = head / IPv6(src=left.ip6, dst=GW6) / ICMPv6EchoRequest(id=7, seq=3, data=b"hello")
        answer = wire.ask(ask, lambda p: ICMPv6EchoReply in p)
        assert answer[ICMPv6EchoReply].data == b"hello" and answer[IPv6].src == GW6


def test_ttl_ends_at_the_gateway(cloud, left, wire, gateway_mac, family):
    """Routed with TTL 1: time exceeded from the gateway, quoting the packet (RFC 1812 5.3.1, RFC 4443 3.3)."""
    right = cloud.machines["right"]
    head = Ether(src=left.mac, dst=gateway_mac)
    if family == 4:
        ask = head / IP(src=left.ip4, dst=right.ip4, ttl=1) / UDP(sport=4000, dport=9) / Raw(b"x")
        answer = wire.ask(ask, lambda p: ICMP in p and p[ICMP].type == 11)
        assert answer[IP].src == GW4 and answer[IPerror].dst == right.ip4
    else:
        ask = head / IPv6(src=left.ip6, dst=right.ip6, hlim=1) / UDP(sport=4000, dport=9) / Raw(b"x")
        answer = wire.ask(ask, lambda p: ICMPv6TimeExceeded in p)
        assert answer[IPv6].src == GW6
    assert cloud.drops(port="left").get("ttl_expired", 0) > 0


def test_too_big(cloud, left, gateway_mac, family):
    """A routed packet larger than the VPC's MTU is answered with that MTU (RFC 1191, RFC 8201)."""
    right = cloud.machines["right"]
    mtu = cloud.get("vpc", "v")["mtu"]
    left.ns.ip(f"link set dev eth0 mtu {mtu + 100}")
    head = Ether(src=left.mac, dst=gateway_mac)
    with left.wire() as wire:
        if family == 4:
            ask = head / IP(src=left.ip4, dst=right.ip4, flags="DF") / UDP(sport=4000, dport=9) / Raw(b"x" * mtu)
            answer = wire.ask(ask, lambda p: ICMP in p and p[ICMP].type == 3)
            assert answer[ICMP].code == 4 and answer[ICMP].nexthopmtu == mtu and answer[IP].src == GW4
        else:
            ask = head / IPv6(src=left.ip6, dst=right.ip6) / UDP(sport=4000, dport=9) / Raw(b"x" * mtu)
            answer = wire.ask(ask, lambda p: ICMPv6PacketTooBig in p)
            assert answer[ICMPv6PacketTooBig].mtu == mtu and answer[IPv6].src == GW6
    left.ns.ip(f"link set dev eth0 mtu {mtu}")
    assert cloud.drops(port="left").get("too_big", 0) > 0


@pytest.mark.parametrize("offered, excess", [(9000, True), (500, False)])
def test_mss_is_clamped_and_never_raised(cloud, left, wire, gateway_mac, family, offered, excess):
    right = cloud.machines["right"]
    mtu = cloud.get("vpc", "v")["mtu"]
    layer = IP(src=left.ip4, dst=right.ip4) if family == 4 else IPv6(src=left.ip6, dst=right.ip6)
    sport = 5000 + offered % 1000 + family
    with right.wire() as ear:
        wire.send(Ether(src=left.mac, dst=gateway_mac) / layer / TCP(sport=sport, dport=80, flags="S", options=[("MSS", offered)]))
        syn = ear.receive(lambda p: TCP in p and p[TCP].sport == sport)
        limit = mtu - (40 if family == 4 else 60)
        assert dict(syn[TCP].options)["MSS"] == (limit if excess else offered)


# -- DHCP (RFC 2131, 2132, 3442)


def dhcp(left, kind, source="0.0.0.0", ciaddr="0.0.0.0", chaddr=None, **options):
    chaddr = bytes.fromhex((chaddr or left.mac).replace(":", ""))
    wanted = [("message-type", kind), *[(k.replace("__", "-"), v) for k, v in options.items()], "end"]
    return (
        Ether(src=left.mac, dst=BROADCAST)
        / IP(src=source, dst="255.255.255.255")
        / UDP(sport=68, dport=67)
        / BOOTP(chaddr=chaddr, xid=0x11223344, ciaddr=ciaddr, flags=0x8000)
        / DHCP(options=wanted)
    )


def is_answer(packet):
    return BOOTP in packet and packet[BOOTP].op == 2


def options_of(packet):
    return {o[0]: o[1] if len(o) == 2 else o[1:] for o in packet[DHCP].options if isinstance(o, tuple)}


def test_dhcp_offer_and_ack(cloud, left, wire):
    offer = wire.ask(dhcp(left, "discover"), is_answer)
    options = options_of(offer)
    assert options["message-type"] == 2 and offer[BOOTP].xid == 0x11223344
    assert offer[BOOTP].chaddr[:6] == bytes.fromhex(left.mac.replace(":", ""))
    assert offer[BOOTP].yiaddr == left.ip4 and offer[IP].src == GW4 and options["server_id"] == GW4
    ack = wire.ask(dhcp(left, "request", requested_addr=left.ip4, server_id=GW4), is_answer)
    options = options_of(ack)
    assert options["message-type"] == 5 and ack[BOOTP].yiaddr == left.ip4
    assert options["subnet_mask"] == "255.255.255.0" and options["router"] == GW4
    assert options["name_server"] == "10.0.0.53"
    assert options["lease_time"] > options["rebinding_time"] > options["renewal_time"] > 0
    raw = bytes(ack[DHCP])
    mtu = cloud.get("vpc", "v")["mtu"]
    assert b"\x1a\x02" + mtu.to_bytes(2, "big") in raw, "option 26"
    assert 121 in raw and bytes([0, 10, 0, 1, 1]) in raw, "option 121 with the default route"


def test_dhcp_wrong_address_gets_a_nak(left, wire):
    nak = wire.ask(dhcp(left, "request", requested_addr="10.0.1.77", server_id=GW4), is_answer)
    assert options_of(nak)["message-type"] == 6


def test_dhcp_for_another_server_gets_nothing(left, wire):
    wire.send(dhcp(left, "request", requested_addr=left.ip4, server_id="10.0.1.200"))
    wire.silence(
        lambda p: is_answer(p) and options_of(p)["message-type"] != 2,
        lambda p: is_answer(p) and options_of(p)["message-type"] == 2,
        lambda: wire.send(dhcp(left, "discover")),
    )


def test_dhcp_renewal(left, wire, gateway_mac):
    """Unicast from the bound address (RFC 2131 4.3.2, RENEWING)."""
    request = dhcp(left, "request", source=left.ip4, ciaddr=left.ip4)
    request[Ether].dst, request[IP].dst = gateway_mac, GW4
    ack = wire.ask(request, is_answer)
    assert options_of(ack)["message-type"] == 5 and ack[BOOTP].yiaddr == left.ip4


def test_dhcp_server_in_a_machine_is_dropped(cloud, left, wire):
    before = cloud.drops(port="left").get("rogue_dhcp", 0)
    wire.send(
        Ether(src=left.mac, dst=BROADCAST)
        / IP(src=left.ip4, dst="255.255.255.255")
        / UDP(sport=67, dport=68)
        / BOOTP(op=2, yiaddr="10.0.1.66")
        / DHCP(options=[("message-type", "offer"), "end"])
    )
    wait_for(lambda: cloud.drops(port="left").get("rogue_dhcp", 0) > before, 3, "rogue_dhcp")


def test_router_advertisement_of_a_machine_is_dropped(cloud, left, wire):
    before = cloud.drops(port="left").get("rogue_ra", 0)
    wire.send(Ether(src=left.mac, dst="33:33:00:00:00:01") / IPv6(src="fe80::1", dst="ff02::1", hlim=255) / ICMPv6ND_RA())
    wait_for(lambda: cloud.drops(port="left").get("rogue_ra", 0) > before, 3, "rogue_ra")


def test_router_advertisement_on_solicitation(left, wire, gateway_mac):
    ask = (
        Ether(src=left.mac, dst="33:33:00:00:00:02")
        / IPv6(src="::", dst="ff02::2", hlim=255)
        / ICMPv6ND_RS()
    )
    answer = wire.ask(ask, lambda p: ICMPv6ND_RA in p)
    assert answer[ICMPv6ND_RA].M == 1 and answer[ICMPv6ND_RA].routerlifetime > 0
    assert answer.src == gateway_mac and answer[IPv6].src.startswith("fe80::")


def test_explain_to_the_gateway(cloud, family):
    """What is answered is no loss: delivered to the gateway; what nobody answers there is called so."""
    to = GW4 if family == 4 else GW6
    said = cloud.call("explain", **{"from": "left", "to": to})
    assert (said["verdict"], said["reason"], said["delivered_to"]) == ("forward", None, "gateway of subnet front")
    assert [step["stage"] for step in said["steps"]] == ["spoof", "gateway"]
    said = cloud.call("explain", **{"from": "left", "to": to, "protocol": "tcp", "port": 80})
    assert (said["verdict"], said["reason"], said["delivered_to"]) == ("drop", "unsupported", None)
    said = cloud.call("explain", **{"from": "left", "to": to, "source_address": "10.0.1.99" if family == 4 else "fd00:0:0:1::99"})
    assert (said["verdict"], said["reason"]) == ("drop", "spoofed")
