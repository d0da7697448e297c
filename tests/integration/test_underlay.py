# SPDX-License-Identifier: Apache-2.0
"""Next hops on the underlay: found, told about when they are missing, followed when they move, by gateway or by the kernel.

    host-a ours ── fabric ── legacy: theirs (a Linux VXLAN device)
                         └── router ── far: theirs (the same, behind a router)
"""

import pytest
from lib.cloud import UNDERLAY_IF, KernelVtep
from lib import wait_for
from lib.netns import veth
from scapy.layers.inet import ICMP, IP, UDP, UDPerror
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

BROADCAST = "ff:ff:ff:ff:ff:ff"
# The router's address on the fabric, and the network behind it.
NEAR = {"ipv4": ("192.0.2.254", 24, "192.0.2.0/24"), "ipv6": ("2001:db8:ff::254", 64, "2001:db8:ff::/64")}
FAR = {"ipv4": ("198.51.100.{}", 24), "ipv6": ("2001:db8:fe::{}", 64)}


@pytest.fixture(params=["ipv4", "ipv6"], ids=["over-ipv4", "over-ipv6"])
def underlay(request):
    return request.param


def network(cloud):
    vpc = cloud.network("red", {"red-1": {"cidr": "10.0.1.0/24"}})
    return vpc, cloud.machine("ours", "red-1", addresses=["10.0.1.10"], security_groups=["red-open"])


def theirs(vtep):
    return vtep.machine("theirs", "red-1", addresses=["10.0.1.20"], security_groups=["red-open"])


def told(cloud, node, reason):
    """Waits for an event about a node."""

    def heard():
        return [e for e in cloud.call("event.list")["items"] if e["name"] == node and e["reason"] == reason]

    wait_for(heard, 10, f"event: {node} {reason}")


def far_vtep(cloud, vpc):
    """A Linux VXLAN device behind a router."""
    near, near_length, near_net = NEAR[cloud.underlay]
    pattern, length = FAR[cloud.underlay]
    router, far = cloud.namespace("router"), cloud.namespace("far")
    nodad = "nodad" if cloud.underlay == "ipv6" else ""
    cloud.plug(router, "p-router")
    veth(router, "far0", far, UNDERLAY_IF, cloud.mtu)
    router.sysctl(net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1)
    router.ip(f"addr add {near}/{near_length} dev {UNDERLAY_IF} {nodad}", f"addr add {pattern.format(254)}/{length} dev far0 {nodad}")
    far.ip(
        f"addr add {pattern.format(7)}/{length} dev {UNDERLAY_IF} {nodad}",
        f"route add {near_net} via {pattern.format(254)}",
        f"link add vx0 mtu {vpc['mtu']} type vxlan id {vpc['vni']} local {pattern.format(7)} dev {UNDERLAY_IF} dstport 4789",
        "link set vx0 up",
    )
    far.run("bridge", "fdb", "append", "00:00:00:00:00:00", "dev", "vx0", "dst", cloud.host().address)
    vtep = KernelVtep.__new__(KernelVtep)
    vtep.cloud, vtep.name, vtep.ns, vtep.address = cloud, "far", far, pattern.format(7)
    cloud.create("node", name="far", vtep=vtep.address)
    return vtep


def test_missing_next_hop_is_told_and_recovers(make_cloud, underlay):
    cloud = make_cloud(hosts=1, underlay=underlay)
    vpc, ours = network(cloud)
    vtep = cloud.kernel_vtep("legacy", vpc["vni"], vpc["mtu"])
    vtep.ns.ip(f"link set {UNDERLAY_IF} down")
    machine = theirs(vtep)
    told(cloud, "legacy", "unreachable")
    assert not ours.ping(machine.ip4)
    assert cloud.drops()["no_neighbour"] > 0
    nodad = "nodad" if underlay == "ipv6" else ""
    vtep.ns.ip(f"link set {UNDERLAY_IF} up", f"addr replace {vtep.address}/{NEAR[underlay][1]} dev {UNDERLAY_IF} {nodad}")
    wait_for(lambda: ours.ping(machine.ip4), 10, "the next hop is back")
    told(cloud, "legacy", "reachable")


def test_next_hop_that_moves_is_followed(make_cloud, underlay):
    """Its kernel announces the new MAC by gratuitous ARP or an unsolicited advertisement."""
    cloud = make_cloud(hosts=1, underlay=underlay)
    vpc, ours = network(cloud)
    vtep = cloud.kernel_vtep("legacy", vpc["vni"], vpc["mtu"])
    machine = theirs(vtep)
    assert ours.ping(machine.ip4)
    vtep.ns.sysctl(
        **{
            f"net__ipv4__conf__{UNDERLAY_IF}__arp_notify": 1,
            f"net__ipv6__conf__{UNDERLAY_IF}__ndisc_notify": 1,
        }
    )
    vtep.ns.ip(f"link set {UNDERLAY_IF} address 02:00:00:00:77:77")
    with cloud.host().wire() as wire:
        wait_for(lambda: ours.ping(machine.ip4), 10, "the new MAC is used")
        assert any(VXLAN in p and p.dst == "02:00:00:00:77:77" for p in wire.drain())


def test_gateway(make_cloud, underlay):
    cloud = make_cloud(hosts=1, underlay=underlay, node_config={"underlay": {"gateway": NEAR[underlay][0]}})
    vpc, ours = network(cloud)
    machine = theirs(far_vtep(cloud, vpc))
    wait_for(lambda: ours.ping(machine.ip4), 5, "an answer from behind the router")
    assert not cloud.drops().get("no_neighbour")


def test_kernel_routes_decide_without_a_gateway(make_cloud, underlay):
    cloud = make_cloud(hosts=1, underlay=underlay)
    host = cloud.host().ns
    vpc, ours = network(cloud)
    machine = theirs(far_vtep(cloud, vpc))
    told(cloud, "far", "unreachable")
    near, length, _ = NEAR[underlay]
    net = "198.51.100.0/24" if underlay == "ipv4" else "2001:db8:fe::/64"
    host.sysctl(**{f"net__ipv6__conf__{UNDERLAY_IF}__disable_ipv6": 0})
    nodad = "nodad" if underlay == "ipv6" else ""
    host.ip(f"addr add {cloud.host().address}/{length} dev {UNDERLAY_IF} {nodad}", f"route add {net} via {near} dev {UNDERLAY_IF}")
    told(cloud, "far", "reachable")
    wait_for(lambda: ours.ping(machine.ip4), 5, "an answer from behind the router")
    host.ip(f"route del {net} via {near} dev {UNDERLAY_IF}")
    wait_for(lambda: not ours.ping(machine.ip4), 5, "the route is gone")
    host.ip(f"route add {net} via {near} dev {UNDERLAY_IF}")
    wait_for(lambda: ours.ping(machine.ip4), 5, "the route is back")


def test_fixed_neighbour_of_the_kernel(make_cloud):
    """A next hop that does not answer ARP; the administrator has told the kernel its MAC."""
    cloud = make_cloud(hosts=1, underlay="ipv4")
    vpc, ours = network(cloud)
    vtep = cloud.kernel_vtep("legacy", vpc["vni"], vpc["mtu"])
    vtep.ns.sysctl(**{f"net__ipv4__conf__{UNDERLAY_IF}__arp_ignore": 8})
    machine = theirs(vtep)
    told(cloud, "legacy", "unreachable")
    mac = vtep.ns.run("cat", f"/sys/class/net/{UNDERLAY_IF}/address").stdout.strip()
    cloud.host().ns.ip(f"neigh add {vtep.address} lladdr {mac} nud permanent dev {UNDERLAY_IF}")
    told(cloud, "legacy", "reachable")
    assert ours.ping(machine.ip4)


def test_we_answer_for_our_address(make_cloud):
    """While the kernel does not have it: then it answers, and we are silent."""
    cloud = make_cloud(hosts=1, underlay="ipv4")
    host = cloud.host()
    mac = host.ns.run("cat", f"/sys/class/net/{UNDERLAY_IF}/address").stdout.strip()
    ask = Ether(src="02:00:00:00:00:66", dst=BROADCAST) / ARP(hwsrc="02:00:00:00:00:66", psrc="192.0.2.66", pdst=host.address)

    def answer(p):
        return ARP in p and p[ARP].op == 2 and p[ARP].psrc == host.address

    with host.wire() as wire:
        got = wire.ask(ask, answer)
        assert got[ARP].hwsrc == mac and got.dst == "02:00:00:00:00:66"
        wire.send(Ether(src="02:00:00:00:00:66", dst=BROADCAST) / ARP(psrc="192.0.2.66", pdst="192.0.2.67"))
        host.ns.ip(f"addr add {host.address}/24 dev {UNDERLAY_IF}")
        wire.drain()

        def answers():
            """How many come for one question; the second question's answer ends the first one's time."""
            wire.send(ask)
            wire.receive(answer)
            wire.send(Ether(src="02:00:00:00:00:66", dst=BROADCAST) / ARP(hwsrc="02:00:00:00:00:66", psrc="192.0.2.68", pdst=host.address))
            more = 1
            for p in wire.packets():
                if answer(p) and p[ARP].pdst == "192.0.2.68":
                    return more
                more += answer(p)
            raise AssertionError("the marker was not answered")

        wait_for(lambda: answers() == 1, 5, "one answer, the kernel's")


def test_we_answer_solicitations(make_cloud):
    cloud = make_cloud(hosts=1, underlay="ipv6")
    host = cloud.host()
    last = host.address.split(":")[-1].rjust(4, "0")
    group = f"33:33:ff:00:{last[:2]}:{last[2:]}"
    ask = (
        Ether(src="02:00:00:00:00:66", dst=group)
        / IPv6(src="2001:db8:ff::66", dst=f"ff02::1:ff00:{last}", hlim=255)
        / ICMPv6ND_NS(tgt=host.address)
        / ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:00:66")
    )
    with host.wire() as wire:
        got = wire.ask(ask, lambda p: ICMPv6ND_NA in p and p[ICMPv6ND_NA].tgt == host.address and p[ICMPv6ND_NA].S)
        assert got[IPv6].hlim == 255 and got[IPv6].dst == "2001:db8:ff::66"


def test_what_is_not_for_us(make_cloud):
    """A promiscuous port hears more than it is meant to: another host's VXLAN, ICMP errors, foreign UDP."""
    cloud = make_cloud(hosts=1, underlay="ipv4")
    vpc, ours = network(cloud)
    machine = theirs(cloud.kernel_vtep("legacy", vpc["vni"], vpc["mtu"]))
    assert ours.ping(machine.ip4)
    host = cloud.host()
    mac = host.ns.run("cat", f"/sys/class/net/{UNDERLAY_IF}/address").stdout.strip()
    vtep = cloud.get("node", "legacy")["vtep"]
    inner = Ether(src=machine.mac, dst=ours.mac) / IP(src=machine.ip4, dst=ours.ip4) / UDP(sport=5000, dport=9) / Raw(b"for us")
    vxlan = UDP(sport=50000, dport=4789, chksum=0) / VXLAN(vni=vpc["vni"], flags="Instance") / inner
    good = Ether(src="02:00:00:00:00:66", dst=mac) / IP(src=vtep, dst=host.address) / vxlan
    others = [
        Ether(src="02:00:00:00:00:66", dst="02:00:00:00:00:99") / IP(src=vtep, dst=host.address) / vxlan,
        Ether(src="02:00:00:00:00:66", dst=BROADCAST) / IP(src=vtep, dst=host.address) / vxlan,
        Ether(src="02:00:00:00:00:66", dst=mac) / IP(src=vtep, dst="192.0.2.99") / vxlan,
        Ether(src="02:00:00:00:00:66", dst=mac) / IP(src=vtep, dst=host.address) / ICMP(type=3, code=4) / Raw(bytes(28)),
        Ether(src="02:00:00:00:00:66", dst=mac) / IP(src=vtep, dst=host.address) / UDP(sport=5, dport=53),
    ]
    before = cloud.drops().get("not_for_us", 0)
    with host.wire() as wire, ours.wire() as ear:
        wire.send(good)
        ear.receive(lambda p: b"for us" in bytes(p))
        for other in others:
            changed = bytes(other).replace(b"for us", b"others")
            wire.send(Ether(changed))
        ear.silence(lambda p: b"others" in bytes(p), lambda p: b"for us" in bytes(p), lambda: wire.send(good))
    wait_for(lambda: cloud.drops().get("not_for_us", 0) >= before + len(others), 3, "all counted")


def test_an_underlay_that_goes_down_is_told(make_cloud):
    cloud = make_cloud(hosts=1, underlay="ipv4")
    vpc, ours = network(cloud)
    machine = theirs(cloud.kernel_vtep("legacy", vpc["vni"], vpc["mtu"]))
    assert ours.ping(machine.ip4)
    host = cloud.host().ns
    host.ip(f"link set {UNDERLAY_IF} down")
    told(cloud, "host-a", "underlay_down")
    host.ip(f"link set {UNDERLAY_IF} up")
    told(cloud, "host-a", "underlay_up")
    wait_for(lambda: ours.ping(machine.ip4), 5, "traffic goes on")


def test_an_interface_made_anew_is_taken(make_cloud):
    cloud = make_cloud(hosts=1, underlay="ipv4")
    vpc, ours = network(cloud)
    machine = theirs(cloud.kernel_vtep("legacy", vpc["vni"], vpc["mtu"]))
    assert ours.ping(machine.ip4)
    cloud.fabric.ip("link del p-host-a")
    told(cloud, "host-a", "underlay_down")
    assert not ours.ping(machine.ip4)
    cloud.plug(cloud.host().ns, "p-host-a")
    told(cloud, "host-a", "underlay_up")
    wait_for(lambda: ours.ping(machine.ip4), 5, "traffic goes on")


def test_the_kernel_stays_quiet(make_cloud):
    """With our address on the interface its stack sees the VXLAN packets, too, and must not call the port unreachable."""
    cloud = make_cloud(hosts=1, underlay="ipv4")
    host = cloud.host()
    mac = host.ns.run("cat", f"/sys/class/net/{UNDERLAY_IF}/address").stdout.strip()
    host.ns.ip(
        f"addr add {host.address}/24 dev {UNDERLAY_IF}",
        f"neigh add 192.0.2.66 lladdr 02:00:00:00:00:66 nud permanent dev {UNDERLAY_IF}",
    )

    def to(port):
        return Ether(src="02:00:00:00:00:66", dst=mac) / IP(src="192.0.2.66", dst=host.address) / UDP(sport=5000, dport=port) / Raw(bytes(64))

    def unreachable(port):
        return lambda p: UDPerror in p and p[UDPerror].dport == port

    with host.wire() as wire:
        wire.send(to(4789))
        wire.silence(unreachable(4789), unreachable(9), lambda: wire.send(to(9)))
