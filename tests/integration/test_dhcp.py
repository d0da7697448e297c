# SPDX-License-Identifier: Apache-2.0
"""Addresses by DHCP, with the clients that machines really run: dhclient, udhcpc, dhcpcd; and what a server must refuse.

    host-a: left, others   subnet s: 10.0.1.0/24, fd00:0:0:1::/64, gateways .1 and ::1, name servers of both families
"""

import ipaddress
import os

import pytest
from lib import wait_for
from scapy.layers.dhcp6 import (
    DHCP6_Advertise,
    DHCP6_Confirm,
    DHCP6_Decline,
    DHCP6_InfoRequest,
    DHCP6_Release,
    DHCP6_RelayForward,
    DHCP6_Renew,
    DHCP6_Reply,
    DHCP6_Request,
    DHCP6_Solicit,
    DHCP6OptClientId,
    DHCP6OptDNSServers,
    DHCP6OptIA_NA,
    DHCP6OptIAAddress,
    DHCP6OptOptReq,
    DHCP6OptRapidCommit,
    DHCP6OptServerId,
    DHCP6OptStatusCode,
    DUID_LL,
)
from scapy.layers.inet import UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils6 import in6_mactoifaceid

GW4, GW6 = "10.0.1.1", "fd00:0:0:1::1"
SERVERS, SERVERS_MAC = "ff02::1:2", "33:33:00:01:00:02"
# What a client tells its script goes to a file, one event a line, before it is done.
SCRIPT = """#!/bin/sh
[ "$1" = "" ] || reason=$1
echo "$reason $(env | grep -E '^(new_|ip=|router=|dns=|mtu=|mask=|lease=|staticroutes=)' | tr '\\n' ' ')" >>{log}
case $reason in
BOUND|RENEW|REBIND|REBOOT) [ "$new_ip_address" = "" ] || ip addr replace $new_ip_address/$new_subnet_mask dev {ifname} ;;
BOUND6|RENEW6|REBIND6) ip addr replace $new_ip6_address/128 dev {ifname} ;;
bound|renew) ip addr replace $ip/$mask dev {ifname} ;;
esac
exit 0
"""


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud(hosts=1, underlay=None)
    subnet = {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64", "dns_servers": ["10.0.0.53", "fd00::53"]}
    cloud.network("v", {"s": subnet, "plain": {"cidr": "10.0.2.0/24", "cidr6": "fd00:0:0:2::/64", "dhcp": False}})
    return cloud


@pytest.fixture(scope="module")
def left(cloud):
    return cloud.machine("left", "s", raw=True, addresses=["10.0.1.10", "fd00:0:0:1::10"], security_groups=["v-open"])


@pytest.fixture
def wire(left):
    with left.wire() as wire:
        yield wire


class Client:
    """A machine whose addresses a real client asks for."""

    def __init__(self, cloud, name, **fields):
        self.machine = cloud.machine(name, "s", ra=True, attachment={"configure": False}, security_groups=["v-open"], **fields)
        self.machine.ns.ip("link set dev eth0 up")
        self.log = os.path.join(cloud.dir, f"{name}.events")
        self.script = os.path.join(cloud.dir, f"{name}.script")
        with open(self.script, "w", encoding="ascii") as f:
            f.write(SCRIPT.format(log=self.log, ifname="eth0"))
        os.chmod(self.script, 0o755)
        self.dir = cloud.dir
        wait_for(lambda: "fe80" in self.machine.run("ip", "-6", "addr").stdout, 5, "its link-local address")

    def path(self, name):
        return os.path.join(self.dir, f"{self.machine.name}.{name}")

    def dhclient(self, *words, check=True):
        common = ("-v", "-sf", self.script, "-lf", self.path("leases"), "-pf", self.path("pid"), "-cf", "/dev/null")
        return self.machine.run("dhclient", *words, *common, "eth0", check=check, timeout_s=60)

    def events(self):
        """What the script was told: [(reason, {variable: value})]."""
        with open(self.log, encoding="ascii") as f:
            lines = [line.split() for line in f]
        return [(words[0], dict(word.split("=", 1) for word in words[1:] if "=" in word)) for words in lines]

    def told(self, reason):
        return next(values for what, values in reversed(self.events()) if what == reason)

    def addresses(self):
        return self.machine.run("ip", "-br", "addr", "show", "eth0").stdout


def test_dhclient_ipv4(cloud):
    """Address, mask, router, name server, MTU, the default route of option 121; renewed; released."""
    client = Client(cloud, "dhc4")
    ip4 = client.machine.ip4
    client.dhclient("-4", "-1")
    bound = client.told("BOUND")
    assert (bound["new_ip_address"], bound["new_subnet_mask"], bound["new_routers"]) == (ip4, "255.255.255.0", GW4)
    assert bound["new_dhcp_server_identifier"] == GW4 and bound["new_domain_name_servers"] == "10.0.0.53"
    assert f"{ip4}/24" in client.addresses()
    assert client.machine.ping(GW4)
    done = client.dhclient("-4", "-r", check=False)
    assert "DHCPRELEASE" in done.stderr, done.stderr


def test_dhclient_ipv6(cloud):
    """Solicit, advertise, request, reply; the same address and server again after a release."""
    client = Client(cloud, "dhc6")
    ip6 = client.machine.ip6
    for _ in range(2):
        client.dhclient("-6", "-1")
        bound = client.told("BOUND6")
        assert bound["new_ip6_address"] == ip6 and bound["new_dhcp6_name_servers"] == "fd00::53"
        assert ip6 in client.addresses()
        assert client.machine.ping(GW6)
        done = client.dhclient("-6", "-r", check=False)
        assert "XMT: Release" in done.stderr, done.stderr
        client.machine.ns.ip(f"addr del {ip6}/128 dev eth0")


def test_dhclient_ipv6_information_only(cloud):
    """Stateless: the name servers alone (RFC 8415 18.2.6)."""
    client = Client(cloud, "info6")
    client.dhclient("-6", "-S", "-1")
    assert client.told("RENEW6")["new_dhcp6_name_servers"] == "fd00::53"


def test_udhcpc(cloud):
    client = Client(cloud, "udhc")
    client.machine.run("udhcpc", "-i", "eth0", "-f", "-q", "-n", "-O", "staticroutes", "-O", "mtu", "-s", client.script)
    bound = client.told("bound")
    assert (bound["ip"], bound["router"], bound["dns"]) == (client.machine.ip4, GW4, "10.0.0.53")
    assert int(bound["mtu"]) == cloud.get("vpc", "v")["mtu"]
    assert bound["staticroutes"].startswith("0.0.0.0/0")
    assert client.machine.ping(GW4)


def test_dhcpcd_both_families(cloud):
    """One daemon for all: DHCP with its ARP probes, router advertisements, DHCPv6 with duplicate detection."""
    client = Client(cloud, "dhcd")
    config = client.path("conf")
    with open(config, "w", encoding="ascii") as f:
        f.write("slaac hwaddr\nduid\nnohook resolv.conf, hostname, ntp.conf\noption domain_name_servers, interface_mtu\nipv6rs\nia_na\n")
    client.machine.popen("dhcpcd", "-B", "-d", "-f", config, "-c", "/bin/true", "eth0")
    for address in client.machine.port["addresses"]:
        wait_for(lambda a=address: f"{a}/" in client.addresses(), 30, lambda: f"{address}: {client.addresses()}")
    wait_for(lambda: client.machine.ping(GW4) and client.machine.ping(GW6), 10, "both gateways")
    routes = client.machine.run("ip", "-6", "route", "show", "default").stdout
    assert "via fe80::" in routes, routes


# -- The same, message by message, for what no client does of itself


def link_local(machine):
    return str(ipaddress.ip_address(f"fe80::{in6_mactoifaceid(machine.mac.upper())}"))


def ask6(machine, message, *options, src=None, dst=SERVERS, dmac=SERVERS_MAC, client=True, trid=0x112233):
    message = message.copy()
    message.trid = trid
    if client:
        message /= DHCP6OptClientId(duid=DUID_LL(lladdr=machine.mac))
    for option in options:
        message /= option
    return Ether(src=machine.mac, dst=dmac) / IPv6(src=src or link_local(machine), dst=dst) / UDP(sport=546, dport=547) / message


def is_answer6(p):
    return UDP in p and p[UDP].dport == 546 and p[UDP].sport == 547


@pytest.fixture(scope="module")
def server_id(cloud, left):
    with left.wire() as wire:
        return wire.ask(ask6(left, DHCP6_Solicit(), DHCP6OptIA_NA(iaid=1)), is_answer6)[DHCP6OptServerId].duid


def server(duid):
    return DHCP6OptServerId(duid=duid)


def ia(*addresses, iaid=7):
    return DHCP6OptIA_NA(iaid=iaid, ianaopts=[DHCP6OptIAAddress(addr=a) for a in addresses])


def test_advertise_and_reply(cloud, left, wire, server_id):
    """From the gateway's link-local address to the client's; the transaction and both identities come back (18.3)."""
    gateway_mac = cloud.get("subnet", "s")["status"]["gateway_mac"]
    advertised = wire.ask(ask6(left, DHCP6_Solicit(), ia(), DHCP6OptOptReq(reqopts=[23])), is_answer6)
    assert DHCP6_Advertise in advertised and advertised[DHCP6_Advertise].trid == 0x112233
    assert advertised.src == gateway_mac and advertised.dst == left.mac
    assert advertised[IPv6].src.startswith("fe80::") and advertised[IPv6].dst == link_local(left)
    assert advertised[DHCP6OptClientId].duid.lladdr == left.mac
    assert server_id.type == 3 and server_id.lladdr == gateway_mac
    address = advertised[DHCP6OptIAAddress]
    assert address.addr == left.ip6 and 0 < address.preflft <= address.validlft
    assert 0 < advertised[DHCP6OptIA_NA].T1 < advertised[DHCP6OptIA_NA].T2 < address.preflft
    assert advertised[DHCP6OptDNSServers].dnsservers == ["fd00::53"]
    reply = wire.ask(ask6(left, DHCP6_Request(), server(server_id), ia(left.ip6), trid=5), lambda p: DHCP6_Reply in p)
    assert reply[DHCP6_Reply].trid == 5 and reply[DHCP6OptIAAddress].addr == left.ip6
    assert DHCP6OptDNSServers not in reply, "never more than was asked for (21.7)"


def test_rapid_commit(left, wire):
    reply = wire.ask(ask6(left, DHCP6_Solicit(), DHCP6OptRapidCommit(), ia()), is_answer6)
    assert DHCP6_Reply in reply and DHCP6OptRapidCommit in reply and reply[DHCP6OptIAAddress].addr == left.ip6


@pytest.mark.parametrize("addresses, code", [([None], 0), (["fd00:0:0:1::99"], 4)], ids=["own", "another"])
def test_confirm(left, wire, addresses, code):
    reply = wire.ask(ask6(left, DHCP6_Confirm(), ia(*[a or left.ip6 for a in addresses])), is_answer6)
    assert reply[DHCP6OptStatusCode].statuscode == code


def test_renew_takes_away_what_is_not_the_ports(left, wire, server_id):
    reply = wire.ask(ask6(left, DHCP6_Renew(), server(server_id), ia("fd00:0:0:1::99")), is_answer6)
    lives = {o.addr: o.validlft for o in reply[DHCP6OptIA_NA].ianaopts}
    assert lives[left.ip6] > 0 and lives["fd00:0:0:1::99"] == 0


@pytest.mark.parametrize("message", [DHCP6_Release, DHCP6_Decline])
def test_release_and_decline_change_nothing(left, wire, server_id, message):
    reply = wire.ask(ask6(left, message(), server(server_id), ia(left.ip6)), is_answer6)
    assert reply[DHCP6OptStatusCode].statuscode == 0
    again = wire.ask(ask6(left, DHCP6_Solicit(), ia(), trid=9), is_answer6)
    assert again[DHCP6OptIAAddress].addr == left.ip6


def test_information_request(left, wire):
    reply = wire.ask(ask6(left, DHCP6_InfoRequest(), DHCP6OptOptReq(reqopts=[23]), client=False), is_answer6)
    assert DHCP6_Reply in reply and reply[DHCP6OptDNSServers].dnsservers == ["fd00::53"]
    assert DHCP6OptIA_NA not in reply


def marker(left):
    return ask6(left, DHCP6_InfoRequest(), trid=0xABCDEF)


def is_marker(p):
    return DHCP6_Reply in p and p[DHCP6_Reply].trid == 0xABCDEF


def test_message_for_another_server_gets_nothing(left, wire):
    other = server(DUID_LL(lladdr="02:00:00:00:00:99"))
    wire.send(ask6(left, DHCP6_Request(), other, ia(left.ip6)))
    wire.silence(lambda p: is_answer6(p) and not is_marker(p), is_marker, lambda: wire.send(marker(left)))


def dropped(cloud, port, reason, send):
    before = cloud.drops(port=port).get(reason, 0)
    send()
    wait_for(lambda: cloud.drops(port=port).get(reason, 0) > before, 5, lambda: f"{reason}: {cloud.drops(port=port)}")


@pytest.mark.parametrize("src", ["fe80::1234", "::", "fd00:0:0:1::10"], ids=["another", "none", "global"])
def test_only_from_the_own_link_local_address(cloud, left, wire, src):
    dropped(cloud, "left", "spoofed", lambda: wire.send(ask6(left, DHCP6_Solicit(), ia(), src=src)))


def test_relayed_messages_are_refused(cloud, left, wire):
    relayed = DHCP6_RelayForward(linkaddr=GW6, peeraddr=link_local(left))
    head = Ether(src=left.mac, dst=SERVERS_MAC) / IPv6(src=link_local(left), dst=SERVERS) / UDP(sport=547, dport=547)
    dropped(cloud, "left", "unsupported", lambda: wire.send(head / relayed))


@pytest.mark.parametrize("wrapping", ["plain", "extension", "fragment", "to-servers"])
def test_server_in_a_machine_is_dropped(cloud, left, wire, wrapping):
    """Whatever it is wrapped in (RFC 7610)."""
    ip = IPv6(src=link_local(left), dst="fe80::1234")
    between = {"extension": IPv6ExtHdrDestOpt(), "fragment": IPv6ExtHdrFragment(m=1, id=77)}.get(wrapping)
    message = DHCP6_Advertise(trid=1) / DHCP6OptServerId(duid=DUID_LL(lladdr=left.mac)) / Raw(b"")
    udp = UDP(sport=547, dport=547 if wrapping == "to-servers" else 546) / message
    packet = ip / between / udp if between else ip / udp
    dropped(cloud, "left", "rogue_dhcp", lambda: wire.send(Ether(src=left.mac, dst="33:33:00:00:00:01") / packet))


def test_subnet_without_dhcp_answers_nobody(cloud):
    machine = cloud.machine("silent", "plain", raw=True, security_groups=["v-open"])
    with machine.wire() as wire:
        dropped(cloud, "silent", "broadcast", lambda: wire.send(ask6(machine, DHCP6_Solicit(), ia())))
