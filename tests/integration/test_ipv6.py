# SPDX-License-Identifier: Apache-2.0
"""IPv6 as machines really use it: router advertisements, autoconfiguration, duplicate detection, link-local addresses.

    host-a: left, near   ---vxlan---   host-b: right        subnet s: fd00:0:0:1::/64; far in subnet t, on host-a
    legacy: theirs in s, behind a Linux VXLAN device
"""

import ipaddress

import pytest
from lib import wait_for
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_Redirect,
    ICMPv6ND_RS,
    ICMPv6NDOptMTU,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptRDNSS,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.l2 import ARP, Ether
from scapy.utils6 import in6_mactoifaceid

BROADCAST = "ff:ff:ff:ff:ff:ff"


def link_local(machine):
    return str(ipaddress.ip_address(f"fe80::{in6_mactoifaceid(machine.mac.upper())}"))


@pytest.fixture(scope="module", params=["ipv4", "ipv6"], ids=["over-ipv4", "over-ipv6"])
def cloud(make_module_cloud, request):
    cloud = make_module_cloud(hosts=2, underlay=request.param)
    s = {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64", "dns_servers": ["10.0.0.53", "fd00::53", "fd00::54"]}
    vpc = cloud.network("v", {"s": s, "t": {"cidr": "10.0.2.0/24", "cidr6": "fd00:0:0:2::/64"}})
    cloud.machine("left", "s", "a", security_groups=["v-open"])
    cloud.machine("near", "s", "a", security_groups=["v-open"])
    cloud.machine("right", "s", "b", security_groups=["v-open"])
    cloud.machine("far", "t", "a", security_groups=["v-open"])
    cloud.vtep = cloud.kernel_vtep("legacy", vpc["vni"], vpc["mtu"])
    theirs = cloud.vtep.machine("theirs", "s", security_groups=["v-open"])
    theirs.ns.ip("addr flush dev vx0 scope link", f"addr add {link_local(theirs)}/64 dev vx0 nodad")  # of its MAC as it is now
    return cloud


@pytest.fixture(scope="module")
def raw(cloud):
    return cloud.machine("raw", "s", "a", raw=True, security_groups=["v-open"])


@pytest.fixture
def wire(raw):
    with raw.wire() as wire:
        yield wire


# -- router advertisements (RFC 4861, 8106)


def kernel_address(machine):
    return machine.run("ip", "-6", "addr", "show", "dev", "eth0").stdout


def autoconfigured(cloud, name, **fields):
    machine = cloud.machine(name, "s", ra=True, attachment={"configure": False}, security_groups=["v-open"], **fields)
    machine.ns.ip("link set dev eth0 up")
    return machine


def test_kernel_takes_the_router_but_no_address(cloud):
    """Addresses come by DHCPv6: the prefix is on the link and not for autoconfiguration."""
    machine = autoconfigured(cloud, "auto")
    routes = wait_for(lambda: machine.run("ip", "-6", "route", "show", "default").stdout, 10, "a default route")
    assert "via fe80::" in routes and "proto ra" in routes, routes
    assert "fd00:0:0:1::/64" in machine.run("ip", "-6", "route").stdout
    assert "fd00" not in machine.run("ip", "-6", "addr").stdout


def test_kernel_makes_its_address_where_that_is_the_ports(cloud):
    """A = 1 when the port's address is the EUI-64 one: then it works without any client."""
    mac = "02:11:22:33:44:55"
    machine = autoconfigured(cloud, "eui", mac=mac, addresses=["10.0.1.200", "fd00:0:0:1:11:22ff:fe33:4455"])
    wait_for(lambda: "fd00::1:11:22ff:fe33:4455/64" in kernel_address(machine), 10, lambda: kernel_address(machine))
    wait_for(lambda: machine.ping(cloud.machines["far"].ip6), 5, "the other subnet")


def test_rdisc6(cloud):
    """What a router's friend sees of it."""
    out = cloud.machines["left"].run("rdisc6", "-1", "-n", "eth0").stdout
    for line in ("Stateful address conf.    :          Yes", "Stateful other conf.      :          Yes", "Router lifetime           :         1800",
                 "MTU                      :", "fd00:0:0:1::/64", "On-link                 :          Yes", "Autonomous address conf.:           No",
                 "fd00::53", "fd00::54"):
        assert line in out, out


def test_unasked_advertisements(cloud):
    """Soon after a port came up, and when its subnet has changed (RFC 4861 6.2.4)."""
    machine = cloud.machine("quiet", "s", "a", raw=True)
    with machine.wire() as wire:
        first = wire.receive(lambda p: ICMPv6ND_RA in p, timeout_s=10)
        assert first.dst == "33:33:00:00:00:01" and first[IPv6].dst == "ff02::1" and first[IPv6].hlim == 255
        assert (first[ICMPv6ND_RA].M, first[ICMPv6ND_RA].O, first[ICMPv6ND_RA].routerlifetime) == (1, 1, 1800)
        assert (first[ICMPv6NDOptPrefixInfo].L, first[ICMPv6NDOptPrefixInfo].A) == (1, 0)
        assert first[ICMPv6NDOptMTU].mtu == cloud.get("vpc", "v")["mtu"]
        assert first[ICMPv6NDOptRDNSS].dns == ["fd00::53", "fd00::54"]
        cloud.update("subnet", "s", dns_servers=["10.0.0.53", "fd00::55"])
        wire.receive(lambda p: ICMPv6NDOptRDNSS in p and p[ICMPv6NDOptRDNSS].dns == ["fd00::55"], timeout_s=10)
    cloud.update("subnet", "s", dns_servers=["10.0.0.53", "fd00::53", "fd00::54"])
    machine.delete()


def dropped(cloud, port, reason, send):
    before = cloud.drops(port=port).get(reason, 0)
    send()
    wait_for(lambda: cloud.drops(port=port).get(reason, 0) > before, 5, lambda: f"{reason}: {cloud.drops(port=port)}")


@pytest.mark.parametrize("wrapping", [None, IPv6ExtHdrHopByHop(), IPv6ExtHdrDestOpt(), IPv6ExtHdrFragment(m=1, id=5), IPv6ExtHdrFragment()],
                         ids=["plain", "hop-by-hop", "destination", "fragment", "atomic"])
@pytest.mark.parametrize("message", [ICMPv6ND_RA(), ICMPv6ND_Redirect(tgt="fe80::1", dst="fd00::1")], ids=["ra", "redirect"])
def test_router_in_a_machine_is_dropped(cloud, raw, wire, wrapping, message):
    """Whatever its words are wrapped in (RFC 6105, 7113, 6980)."""
    head = Ether(src=raw.mac, dst="33:33:00:00:00:01") / IPv6(src=link_local(raw), dst="ff02::1", hlim=255)
    dropped(cloud, "raw", "rogue_ra", lambda: wire.send(head / wrapping / message if wrapping else head / message))


def test_router_behind_a_foreign_vtep_is_dropped(cloud):
    """It reaches no machine of ours."""
    theirs, left = cloud.machines["theirs"], cloud.machines["left"]
    before = cloud.drops(vpc="v").get("rogue_ra", 0)
    with theirs.wire() as wire:
        wire.send(Ether(src=theirs.mac, dst=left.mac) / IPv6(src=link_local(theirs), dst=left.ip6, hlim=255) / ICMPv6ND_RA())
    wait_for(lambda: cloud.drops(vpc="v").get("rogue_ra", 0) > before, 5, "rogue_ra")


# -- duplicate address detection (RFC 4862, RFC 5227)


def probe(machine, target):
    last = target.replace("::", ":0:").split(":")[-1].rjust(4, "0")
    group = f"33:33:ff:00:{last[:2]}:{last[2:]}"
    return Ether(src=machine.mac, dst=group) / IPv6(src="::", dst=f"ff02::1:ff00:{last}", hlim=255) / ICMPv6ND_NS(tgt=target)


@pytest.mark.parametrize("name", ["near", "right", "theirs"])
def test_conflict_is_told(cloud, raw, wire, name):
    """An address that another port has, wherever: who probes for it is told, in both families."""
    other = cloud.machines[name]
    answer = wire.ask(probe(raw, other.ip6), lambda p: ICMPv6ND_NA in p and p[ICMPv6ND_NA].tgt == other.ip6)
    assert answer[IPv6].dst == "ff02::1" and answer[ICMPv6ND_NA].S == 0 and answer[ICMPv6ND_NA].O == 1
    ask = Ether(src=raw.mac, dst=BROADCAST) / ARP(op=1, hwsrc=raw.mac, psrc="0.0.0.0", pdst=other.ip4)
    assert wire.ask(ask, lambda p: ARP in p and p[ARP].op == 2)[ARP].psrc == other.ip4


def test_own_addresses_never_conflict(cloud, raw, wire):
    marker = lambda p: ICMPv6ND_NA in p and p[ICMPv6ND_NA].tgt == "fd00:0:0:1::1"  # noqa: E731
    for address in (raw.ip6, link_local(raw)):
        wire.send(probe(raw, address) if address == raw.ip6 else
                  Ether(src=raw.mac, dst="33:33:ff:00:00:01") / IPv6(src="::", dst="ff02::1:ff00:1", hlim=255) / ICMPv6ND_NS(tgt=address))
    wire.send(Ether(src=raw.mac, dst=BROADCAST) / ARP(op=1, hwsrc=raw.mac, psrc="0.0.0.0", pdst=raw.ip4))
    wire.silence(
        lambda p: (ICMPv6ND_NA in p and not marker(p)) or (ARP in p and p[ARP].op == 2),
        marker,
        lambda: wire.send(probe(raw, "fd00:0:0:1::1")),
    )


def test_kernel_detects(cloud):
    """A kernel that is given another machine's address marks it as a duplicate, its own not."""
    machine = autoconfigured(cloud, "dad")
    machine.ns.sysctl(net__ipv6__conf__all__accept_dad=1, net__ipv6__conf__eth0__accept_dad=1, net__ipv6__conf__eth0__dad_transmits=1)
    near = cloud.machines["near"]
    machine.ns.ip(f"addr add {near.ip6}/64 dev eth0", f"addr add {machine.ip6}/64 dev eth0")
    wait_for(lambda: "dadfailed" in next(line for line in machine.run("ip", "-o", "-6", "addr").stdout.splitlines() if near.ip6 in line), 10, "a duplicate")
    own = lambda: next(line for line in machine.run("ip", "-o", "-6", "addr").stdout.splitlines() if f"{machine.ip6}/" in line)  # noqa: E731
    wait_for(lambda: "tentative" not in own(), 10, "its own")
    assert "dadfailed" not in own()


@pytest.mark.parametrize("what", ["hop-limit", "code", "unspecified-with-mac", "unspecified-to-unicast"])
def test_solicitations_are_checked(cloud, raw, wire, what):
    """RFC 4861 7.1.1."""
    option = ICMPv6NDOptSrcLLAddr(lladdr=raw.mac)
    src, dst, hlim, code = raw.ip6, "ff02::1:ff00:1", 255, 0
    if what == "hop-limit":
        hlim = 254
    elif what == "code":
        code = 1
    else:
        src = "::"
    if what == "unspecified-to-unicast":
        dst, option = "fd00:0:0:1::1", None
    frame = Ether(src=raw.mac, dst="33:33:ff:00:00:01") / IPv6(src=src, dst=dst, hlim=hlim) / ICMPv6ND_NS(tgt="fd00:0:0:1::1", code=code)
    dropped(cloud, "raw", "malformed", lambda: wire.send(frame / option if option else frame))


def test_solicitation_of_routers_is_checked(cloud, raw, wire):
    """RFC 4861 6.1.1: who has no address names no MAC."""
    head = Ether(src=raw.mac, dst="33:33:00:00:00:02") / IPv6(src="::", dst="ff02::2", hlim=255)
    dropped(cloud, "raw", "malformed", lambda: wire.send(head / ICMPv6ND_RS() / ICMPv6NDOptSrcLLAddr(lladdr=raw.mac)))


# -- link-local addresses: within a subnet as on any link


@pytest.mark.parametrize("client, server", [("left", "near"), ("left", "right"), ("right", "left"), ("left", "theirs"), ("theirs", "right")])
def test_neighbours_by_their_link_local_addresses(cloud, client, server):
    client, server = cloud.machines[client], cloud.machines[server]
    scoped = f"{link_local(server)}%{client.ifname}"
    wait_for(lambda: client.ping(scoped), 10, f"{client} reaches {scoped}")
    out = client.run("ndisc6", "-1", "-q", link_local(server), client.ifname).stdout
    assert out.strip().lower() == server.mac.lower(), out


def test_link_local_ends_at_the_subnet(cloud):
    far, left = cloud.machines["far"], cloud.machines["left"]
    before = cloud.drops(port="left").get("no_route", 0)
    assert not left.ping(f"{link_local(far)}%eth0")
    assert cloud.drops(port="left").get("no_route", 0) > before


def test_rules_hold_for_link_local_addresses(cloud):
    left, right = cloud.machines["left"], cloud.machines["right"]
    scoped = f"{link_local(right)}%eth0"
    assert left.ping(scoped)
    cloud.update("port", "right", security_groups=[])
    assert not left.ping(scoped)
    cloud.create("security_group", name="from-open", rules=[{"direction": "ingress", "remote_group": "v-open"}])
    cloud.update("port", "right", security_groups=["from-open"])
    assert left.ping(scoped), "membership goes by the port, not by the address"
    cloud.update("port", "right", security_groups=["v-open"])
    cloud.delete("security_group", "from-open")


def test_another_link_local_address_is_spoofed(cloud, raw, wire):
    near = cloud.machines["near"]
    frame = Ether(src=raw.mac, dst=near.mac) / IPv6(src="fe80::1234", dst=link_local(near)) / b"x"
    dropped(cloud, "raw", "spoofed", lambda: wire.send(frame))
