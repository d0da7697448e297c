# SPDX-License-Identifier: Apache-2.0
"""Outside networks themselves, without any service: who answers there, which gateway is used, interfaces that come and go.

    host-a: out0 198.51.100.1, 2001:db8:100::1 ── segment ── router .254, ::fe ── internet 203.0.113.10
                                                        └── spare .253, ::fd: a second gateway
"""

import select
import struct
import threading

import pytest
from lib import wait_for
from lib.netns import veth
from lib.packet import PACKET_AUXDATA, PACKET_OUTGOING, SOL_PACKET, TP_STATUS_VLAN_VALID, VNET_HDR, Wire
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

BROADCAST = "ff:ff:ff:ff:ff:ff"
SOMEBODY = "02:55:00:00:00:09"


def network(host, name="internet"):
    """What the node says of it."""
    with host.rpc() as rpc:
        return next(n for n in rpc.call("external.list")["items"] if n["name"] == name)


def gateways(host, name="internet"):
    return {g["address"]: g["state"] for g in network(host, name)["gateways"]}


def node_drops(host, reason):
    with host.rpc() as rpc:
        return rpc.call("status")["packets"]["dropped"].get(reason, 0)


def wait_gateways(host, **states):
    want = {address.replace("_", ":"): state for address, state in states.items()}
    wait_for(lambda: gateways(host) == want, 20, lambda: f"gateways {want}, not {gateways(host)}")


def up(cloud):
    """Both gateways of the first network answer."""
    outside = cloud.outside["internet"]
    wait_gateways(cloud.host("a"), **{outside.gateway(4): "active", outside.gateway(6): "active"})


def told(cloud, reason, text):
    """Waits for an event about the node with that text in its message."""

    def heard():
        return [e for e in cloud.call("event.list")["items"] if e["reason"] == reason and text in e["message"]]

    wait_for(heard, 10, lambda: f"event {reason} about {text}: {cloud.call('event.list')['items']}")


def ip(family, src, dst):
    return IP(src=src, dst=dst) if family == 4 else IPv6(src=src, dst=dst)


def echo(family, src, dst, mac):
    ping = ICMP(id=7) if family == 4 else ICMPv6EchoRequest(id=7)
    return Ether(src=SOMEBODY, dst=mac) / ip(family, src, dst) / ping / Raw(b"p" * 40)


def is_reply(packet):
    return (packet.haslayer(ICMP) and packet[ICMP].type == 0) or packet.haslayer(ICMPv6EchoReply)


def question(family, asker, target):
    """Who has `target`?"""
    if family == 4:
        return Ether(src=SOMEBODY, dst=BROADCAST) / ARP(hwsrc=SOMEBODY, psrc=asker, pdst=target)
    ask = Ether(src=SOMEBODY, dst="33:33:ff:00:00:01") / IPv6(src=asker, dst="ff02::1:ff00:1", hlim=255)
    return ask / ICMPv6ND_NS(tgt=target) / ICMPv6NDOptSrcLLAddr(lladdr=SOMEBODY)


def is_answer(packet):
    """To SOMEBODY: where an address is."""
    return packet.dst == SOMEBODY and ((packet.haslayer(ARP) and packet[ARP].op == 2) or packet.haslayer(ICMPv6ND_NA))


def test_own_address(make_cloud, family):
    """Found by its neighbours, pinged by them and from afar; nothing but ping is answered, by nobody."""
    cloud = make_cloud(hosts=1, outside={"internet": ["a"]})
    outside, host = cloud.outside["internet"], cloud.host("a")
    own, asker = outside.address(1, family), outside.address(77, family)
    # A kernel that forwards must not speak for us, either.
    host.ns.sysctl(net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1)
    host.ns.ip("link set lo up", "route add 198.51.100.0/24 dev lo", "route add default dev lo")
    up(cloud)
    wait_for(lambda: outside.internet.ping(own), 5, "the own address answers ping")
    assert outside.internet.ping(own, size=1400)
    mac = network(host)["mac"]
    with outside.wire("a") as wire:
        answer = wire.ask(question(family, asker, own), is_answer)
        if family == 4:
            assert (answer[ARP].hwsrc, answer[ARP].psrc) == (mac, own)
        else:
            assert (answer.src, answer[ICMPv6ND_NA].tgt, answer[ICMPv6ND_NA].S) == (mac, own, 1)
        # The answer goes back to the MAC that the question came from.
        answer = wire.ask(echo(family, "203.0.113.200" if family == 4 else "2001:db8:9::1", own, mac), is_reply)
        assert (answer.src, answer.dst) == (mac, SOMEBODY)
        # Ports of ours, others' addresses, other MACs: silence.
        before = node_drops(host, "not_for_us")
        wire.send(
            Ether(src=SOMEBODY, dst=mac) / ip(family, asker, own) / TCP(dport=22, flags="S"),
            Ether(src=SOMEBODY, dst=mac) / ip(family, asker, own) / UDP(dport=53) / Raw(b"x"),
            Ether(src=SOMEBODY, dst=mac) / ip(family, asker, outside.address(99, family)) / TCP(dport=80, flags="S"),
            Ether(src=SOMEBODY, dst="02:55:00:00:00:0a") / ip(family, asker, own) / TCP(dport=80, flags="S"),
            question(family, asker, outside.address(99, family)),
        )
        wire.silence(
            lambda p: p.dst == SOMEBODY and not is_reply(p),
            lambda p: p.dst == SOMEBODY and is_reply(p),
            lambda: wire.send(echo(family, asker, own, mac)),
        )
        wait_for(lambda: node_drops(host, "not_for_us") >= before + 5, 5, "five frames are not for us")


def spare_gateway(cloud):
    """A second router in the segment, known to the node as its second gateway."""
    outside, host = cloud.outside["internet"], cloud.host("a")
    spare = outside._forwarding("spare")  # pylint: disable=protected-access
    veth(outside.lan, "p-spare", spare, "eth0", 1500)
    outside.lan.ip("link set p-spare master br0")
    spare.ip(f"addr add {outside.address(253)}/24 dev eth0", f"addr add {outside.address('fd', 6)}/64 dev eth0 nodad")
    for entry, address in zip(host.config["external"], (outside.address(253), outside.address("fd", 6))):
        entry["gateway"] = [entry["gateway"], address]
    return spare


def test_gateways(make_cloud):
    """The first that answers is used; another one within seconds when it does not; it is used again when it is back."""
    cloud = make_cloud(hosts=1, outside={"internet": ["a"]}, start=False)
    spare_gateway(cloud)
    cloud.start()
    outside, host = cloud.outside["internet"], cloud.host("a")
    first = {outside.gateway(4): "active", outside.gateway(6): "active"}
    second = [outside.address(253), outside.address("fd", 6)]
    wait_gateways(host, **first, **dict.fromkeys(second, "standby"))
    outside.lan.ip("link set p-router down")
    wait_gateways(host, **dict.fromkeys(first, "down"), **dict.fromkeys(second, "active"))
    told(cloud, "external_gateway_down", outside.gateway(4))
    told(cloud, "external_gateway_down", outside.gateway(6))
    outside.lan.ip("link set p-router up")
    wait_gateways(host, **first, **dict.fromkeys(second, "standby"))
    told(cloud, "external_gateway_up", outside.gateway(4))
    # None is left: the node says so, and finds them again.
    outside.lan.ip("link set p-router down", "link set p-spare down")
    wait_gateways(host, **dict.fromkeys(first, "down"), **dict.fromkeys(second, "down"))
    outside.lan.ip("link set p-spare up")
    wait_gateways(host, **dict.fromkeys(first, "down"), **dict.fromkeys(second, "active"))


def test_gateway_with_another_mac(make_cloud):
    """Followed when it announces itself, as VRRP does it."""
    cloud = make_cloud(hosts=1, outside={"internet": ["a"]})
    outside, host = cloud.outside["internet"], cloud.host("a")
    up(cloud)
    mac = "02:55:00:00:00:fe"
    outside.router.ip(f"link set lan0 address {mac}")
    wait_for(lambda: {g["mac"] for g in network(host)["gateways"]} == {mac}, 10, "both gateways have another MAC")
    assert outside.internet.ping(outside.address(1))


def test_interface_comes_later_and_goes(make_cloud):
    """Neither is an end: the node says so, and is there again."""
    cloud = make_cloud(hosts=1, outside={"internet": ["a"]}, start=False)
    outside, host = cloud.outside["internet"], cloud.host("a")
    outside.lan.ip("link del p-host-a")
    cloud.start()
    assert network(host)["state"] == "down" and "out0" in network(host)["reason"]

    def plug():
        veth(outside.lan, "p-host-a", host.ns, "out0", 1500)
        outside.lan.ip("link set p-host-a master br0")

    for _ in range(2):
        plug()
        wait_for(lambda: network(host)["state"] == "up", 10, "the network is up")
        up(cloud)
        wait_for(lambda: outside.internet.ping(outside.address(1)), 5, "it answers")
        outside.lan.ip("link del p-host-a")
        wait_for(lambda: network(host)["state"] == "down", 10, "the network is down")
    told(cloud, "external_down", "internet")
    told(cloud, "external_up", "internet")


def announcements(wire, address, count):
    """Waits for so many gratuitous ARPs or unsolicited advertisements for an address; the MACs they name."""

    def is_one(p):
        if p.haslayer(ARP):
            return p.dst == BROADCAST and p[ARP].psrc == p[ARP].pdst == address
        return p.haslayer(ICMPv6ND_NA) and p[ICMPv6ND_NA].S == 0 and p[ICMPv6ND_NA].tgt == address and p[IPv6].dst == "ff02::1"

    return {wire.receive(is_one, 10, f"announcement {n + 1} of {address}").src for n in range(count)}


def test_service_address_is_announced(make_cloud, family):
    """RFC 5227 2.3, RFC 4861 7.2.6: when it appears, three times, and when the link is back."""
    cloud = make_cloud(hosts=1, outside={"internet": ["a"]})
    outside, host = cloud.outside["internet"], cloud.host("a")
    up(cloud)
    cloud.network("red", {"red-1": {"cidr": "10.0.1.0/24", "cidr6": "fd00:1::/64"}})
    cloud.machine("m", "red-1", security_groups=["red-open"])
    address = outside.address(70, family)
    with Wire(outside.router, outside.lan_if) as wire:
        cloud.create("eip", name="public", address=address, node="host-a", external="internet", port="m")
        assert announcements(wire, address, 3) == {network(host)["mac"]}
        outside.lan.ip("link set p-host-a down")
        wait_for(lambda: network(host)["state"] == "down", 10, "the link is down")
        outside.lan.ip("link set p-host-a up")
        assert announcements(wire, address, 3) == {network(host)["mac"]}
    wait_for(lambda: outside.internet.ping(address), 10, "the address answers")


TAGGED = [("red", 100, 4), ("blue", 200, 5), ("plain", 0, 6)]


def tagged(vlan, packet):
    """With the tag between the addresses and the type."""
    if not vlan:
        return packet
    inner = packet.copy()
    return Ether(src=packet.src, dst=packet.dst, type=0x8100) / Dot1Q(vlan=vlan, type=inner.type) / inner.payload


def test_vlans(make_cloud, family):
    """Networks of one interface by their tags: each answers in its own, by its own MAC; other tags are refused."""
    cloud = make_cloud(hosts=1, outside={"internet": ["a"]}, start=False)
    outside, host = cloud.outside["internet"], cloud.host("a")
    host.config["external"] = [
        {"name": name, "ifname": "out0", "vlan": vlan, "address": address}
        for name, vlan, n in TAGGED
        for address in (f"198.18.{n}.1/24", f"2001:db8:18:{n}::1/64")
    ]
    cloud.start()
    with outside.wire("a") as wire:
        for name, vlan, n in TAGGED:
            own, asker = (f"198.18.{n}.1", f"198.18.{n}.9") if family == 4 else (f"2001:db8:18:{n}::1", f"2001:db8:18:{n}::9")
            wait_for(lambda: network(host, name)["state"] == "up", 10, f"{name} is up")  # pylint: disable=cell-var-from-loop
            mac = network(host, name)["mac"]
            in_it = lambda p: (p[Dot1Q].vlan if p.haslayer(Dot1Q) else 0) == vlan  # noqa: E731 pylint: disable=cell-var-from-loop
            answer = wire.ask(tagged(vlan, question(family, asker, own)), lambda p: is_answer(p) and in_it(p))
            assert answer.src == mac
            answer = wire.ask(tagged(vlan, echo(family, asker, own, mac)), lambda p: is_reply(p) and in_it(p))
            assert answer.dst == SOMEBODY and len(answer) >= 14 + 20 + 8 + 40
            counted = lambda: all(network(host, name)["counters"][c] >= 2 for c in ("rx_packets", "tx_packets"))  # noqa: E731 pylint: disable=cell-var-from-loop
            wait_for(counted, 10, f"{name} counts what it has answered")
            # In another network's tag it is nobody.
            other = 200 if vlan != 200 else 100
            wire.send(tagged(other, echo(family, asker, own, mac)))
            wire.silence(
                lambda p: is_reply(p) and not in_it(p),
                lambda p: is_reply(p) and in_it(p),
                lambda: wire.send(tagged(vlan, echo(family, asker, own, mac))),
            )
        before = node_drops(host, "vlan")
        wire.send(tagged(300, echo(family, asker, own, mac)), tagged(4000, question(family, asker, own)))
        wait_for(lambda: node_drops(host, "vlan") == before + 2, 5, "two frames have unknown tags")


def test_device_and_modes(make_cloud):
    """An XDP socket in place of a packet socket: the interface's own MAC, and all the same."""
    cloud = make_cloud(hosts=1, outside={"internet": ["a"]}, start=False)
    outside, host = cloud.outside["internet"], cloud.host("a")
    for entry in host.config["external"]:
        entry["mode"] = "af_xdp"
    cloud.start()
    # Without checksum offload at the peer: XDP takes frames as they are.
    outside.lan.run("ethtool", "-K", "p-host-a", "tx", "off")
    up(cloud)
    assert network(host)["mac"] == host.ns.run("cat", "/sys/class/net/out0/address").stdout.strip()
    wait_for(lambda: outside.internet.ping(outside.address(1)), 5, "it answers")
    assert outside.internet.ping(outside.address(1, 6))


def dedicated_line(make_cloud, hosts):
    """A VPC with a machine on the last host and a route to whatever is beyond the network, which is on the first."""
    cloud = make_cloud(hosts=hosts, outside={"internet": ["a"]})
    outside = cloud.outside["internet"]
    up(cloud)
    cloud.network("red", {"red-1": {"cidr": "10.0.1.0/24", "cidr6": "fd00:1::/64"}})
    machine = cloud.machine("m", "red-1", "ab"[hosts - 1], security_groups=["red-open"])
    for name, destination in (("line", "203.0.113.0/24"), ("line6", "2001:db8:1000::/64")):
        cloud.create("route", name=name, vpc="red", destination=destination, next_hop={"kind": "external", "name": "internet"})
    for prefix in ("10.0.1.0/24", "fd00:1::/64"):
        outside.route(prefix, "a")
    return cloud, outside, machine


@pytest.mark.parametrize("hosts", [1, 2], ids=["same-host", "over-hosts"])
def test_dedicated_line(make_cloud, hosts, family):
    """Untranslated both ways, with the port's node as gateway and with another; a smaller MTU beyond is found by both ends."""
    cloud, outside, machine = dedicated_line(make_cloud, hosts)
    wait_for(lambda: machine.ping(outside.client(family)), 10, "the line carries pings")
    assert outside.internet.ping(machine.address(family))
    machine.serve_http()
    outside.internet.serve_http()
    # Each sees the other's own address.
    assert outside.internet.curl(machine, family=family).split() == ["m", outside.client(family)]
    assert machine.curl(outside.client(family), family=family).split() == ["internet", machine.address(family)]
    outside.set_mtu(1300)
    for client, server in ((outside.internet, machine.address(family)), (machine, outside.client(family))):
        assert len(client.curl(server, path="/bytes/500000", family=family, timeout_s=10)) == 500000
    # Without the route nothing comes or goes.
    outside.set_mtu(1500)
    cloud.delete("route", "line", "line6")
    assert not outside.internet.ping(machine.address(family))
    assert not machine.ping(outside.client(family))


class TagRelay(threading.Thread):
    """A switch port: frames of one interface get a tag on their way to another, and lose it on the way back. The kernel here has no
    VLAN devices. What the kernels say about checksums that are still to be completed travels along."""

    def __init__(self, plain, tagged_wire, vlan):
        super().__init__(daemon=True)
        self.plain, self.tagged = plain.socket, tagged_wire.socket
        self.tag = struct.pack("!HH", 0x8100, vlan)
        self.ended = threading.Event()
        self.moved = 0

    @staticmethod
    def shift(header, by):
        flags, gso_type, hdr_len, gso_size, csum_start, csum_offset = VNET_HDR.unpack(header)
        assert gso_type == 0, "a frame that is not cut into segments"
        return VNET_HDR.pack(flags & 1, 0, hdr_len, gso_size, csum_start + by if flags & 1 else 0, csum_offset if flags & 1 else 0)

    def move(self, source, target):
        data, ancillary, _, address = source.recvmsg(1 << 17, 256)
        if address[2] == PACKET_OUTGOING:
            return
        header, frame = data[: VNET_HDR.size], data[VNET_HDR.size :]
        if source is self.plain:
            target.send(self.shift(header, 4) + frame[:12] + self.tag + frame[12:])
        else:
            # The kernel takes the tag of what it receives out of the frame.
            tags = [struct.unpack("IIIHHHH", p[:20]) for level, kind, p in ancillary if level == SOL_PACKET and kind == PACKET_AUXDATA]
            assert tags and tags[0][0] & TP_STATUS_VLAN_VALID and struct.pack("!HH", 0x8100, tags[0][5]) == self.tag, "a tagged frame"
            # csum_start counts from the frame without its tag, too.
            target.send(self.shift(header, 0) + frame)
        self.moved += 1

    def run(self):
        while not self.ended.is_set():
            for s in select.select([self.plain, self.tagged], [], [], 0.2)[0]:
                self.move(s, self.tagged if s is self.plain else self.plain)


def test_tcp_behind_a_tag(make_cloud, family):
    """Real connections of real kernels through a tagged network: partial checksums survive the tag on both ways."""
    cloud = make_cloud(hosts=1, outside={"internet": ["a"]}, start=False)
    outside, host = cloud.outside["internet"], cloud.host("a")
    for entry in host.config["external"]:
        entry["vlan"] = 300
    veth(outside.lan, "p-relay", outside.lan, "relay", 1500)
    outside.lan.ip("link set p-host-a nomaster", "link set p-relay master br0", "link set relay promisc on")
    outside.internet.run("ethtool", "-K", "eth0", "tso", "off", "gso", "off")
    with Wire(outside.lan, "relay") as plain, Wire(outside.lan, "p-host-a") as tagged_wire:
        relay = TagRelay(plain, tagged_wire, 300)
        relay.start()
        try:
            cloud.start()
            up(cloud)
            cloud.network("red", {"red-1": {"cidr": "10.0.1.0/24", "cidr6": "fd00:1::/64"}}, mtu=1500)
            machine = cloud.machine("m", "red-1", security_groups=["red-open"])
            address = outside.address(70, family)
            cloud.create("eip", name="public", address=address, node="host-a", external="internet", port="m")
            machine.serve_http()
            outside.internet.serve_http()
            for client, server in ((outside.internet, address), (machine, outside.client(family))):
                assert len(client.curl(server, path="/bytes/300000", family=family, timeout_s=20)) == 300000
            assert relay.is_alive() and relay.moved > 400
        finally:
            relay.ended.set()
            relay.join()
