# SPDX-License-Identifier: Apache-2.0
"""The harness itself, without any of our programs: can it hear, does it see what is wrong, does it clean up?

    left: eth0 10.9.0.1  ----  right: eth0 10.9.0.2
"""

import os
import socket

import pytest
from lib.cloud import Cloud
from lib.machine import Connection, Machine, tcpdump
from lib.netns import PREFIX, Namespace, existing, in_netns, reap, veth
from lib.packet import Wire, verify
from lib.process import end, popen
from lib.wait import wait_for
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.layers.vxlan import VXLAN
from scapy.utils import rdpcap


@pytest.fixture(scope="module")
def pair():
    tag = f"{PREFIX}-{os.getpid()}-h"
    left, right = Namespace(f"{tag}-left"), Namespace(f"{tag}-right")
    veth(left, "eth0", right, "eth0")
    left.ip("addr add 10.9.0.1/24 dev eth0", "addr add fd09::1/64 dev eth0")
    right.ip("addr add 10.9.0.2/24 dev eth0", "addr add fd09::2/64 dev eth0")
    yield left, right
    left.delete()
    right.delete()
    assert not [name for name in existing() if name.startswith(tag)]


@pytest.mark.parametrize("address", ["10.9.0.2", "fd09::2"])
def test_ping(pair, address):
    assert " 1 received" in pair[0].run("ping", "-n", "-q", "-c1", address).stdout


def test_frames_arrive_as_they_were_sent(pair):
    left, right = pair
    frame = Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01") / IP(src="10.9.0.1", dst="10.9.0.2") / UDP(dport=9) / b"x"
    with Wire(left, "eth0") as a, Wire(right, "eth0") as b:
        a.send(frame)
        heard = b.receive(lambda p: UDP in p and p[UDP].dport == 9)
        assert bytes(heard) == bytes(frame)
        assert not [p for p in a.drain() if UDP in p], "a wire must not hear what it sent"


def test_silence_needs_a_marker(pair):
    left, right = pair
    marker = Ether(dst="ff:ff:ff:ff:ff:ff") / ARP(pdst="10.9.0.99")
    probe = Ether(dst="ff:ff:ff:ff:ff:ff") / IP(dst="10.9.0.2") / UDP(dport=10)

    def is_marker(p):
        return ARP in p and p[ARP].pdst == "10.9.0.99"

    def is_probe(p):
        return UDP in p and p[UDP].dport == 10

    with Wire(left, "eth0") as a, Wire(right, "eth0") as b:
        b.silence(is_probe, is_marker, lambda: a.send(marker))
        a.send(probe)
        with pytest.raises(AssertionError, match="came in"):
            b.silence(is_probe, is_marker, lambda: a.send(marker))
        with pytest.raises(AssertionError, match="proves nothing"):
            b.silence(is_probe, lambda p: False, lambda: None, timeout_s=0.1)


def test_partial_checksums_of_the_kernel_are_accepted(pair):
    """A veth hands over TCP with checksums still to be completed; that is no error of the sender."""
    left, right = pair
    with Wire(right, "eth0") as wire:
        server = right.call(socket.create_server, ("10.9.0.2", 7001))
        client = left.call(socket.create_connection, ("10.9.0.2", 7001))
        connection = Connection(client, server.accept()[0])
        assert connection.exchange(b"x" * 20000)
        connection.close()
        server.close()
        assert any(len(p) > 1514 for p in wire.drain()), "a GSO frame was expected"
        assert not wire.bad


IP4 = Ether() / IP(src="10.0.0.1", dst="10.0.0.2")
IP6 = Ether() / IPv6(src="fd00::1", dst="fd00::2")
GOOD = {
    "tcp": IP4 / TCP(flags="S"),
    "udp": IP4 / UDP() / b"abc",
    "icmp": IP4 / ICMP() / b"abc",
    "tcp6": IP6 / TCP() / b"abc",
    "udp6": IP6 / UDP() / b"abc",
    "icmp6": IP6 / ICMPv6EchoRequest(data=b"abc"),
    "vxlan": IP4 / UDP(dport=4789, chksum=0) / VXLAN(vni=5) / IP4 / TCP(),
    "quoted": IP4 / ICMP(type=3, code=4) / (IP(src="10.0.0.2", dst="10.0.0.1") / UDP()),
}


@pytest.mark.parametrize("name", GOOD)
def test_verify_sees_each_flipped_bit_of_a_checksum(name):
    """A good packet passes, and the same with any bit changed behind the Ethernet header does not.

    Left out are bits that no checksum covers: what makes it another protocol or a fragment, IPv6's class and
    label, the outer headers of VXLAN.
    """
    frame = bytes(GOOD[name])
    verify(frame)
    first = {"vxlan": 64, "quoted": 34}.get(name, 54 if name.endswith("6") else 34)
    for at in range(first, len(frame)):
        if name == "quoted" and at >= 62:
            break
        broken = bytearray(frame)
        broken[at] ^= 0x10
        with pytest.raises(AssertionError):
            verify(bytes(broken))


@pytest.mark.parametrize(
    "frame, what",
    [
        (bytes(IP4 / UDP(len=20) / b"abc"), "UDP length"),
        (bytes(IP4 / UDP(len=6) / b"abc"), "UDP length"),
        (bytes(IP4 / TCP(dataofs=15)), "data offset"),
        (bytes(Ether() / IP(len=60) / UDP()), "total 60"),
        (bytes(Ether() / IP(chksum=1) / UDP()), "header checksum"),
        (bytes(IP6 / UDP(chksum=0)), "without a checksum"),
        (bytes(IP4 / UDP() / (b"a" * 100)) + b"tail", "after the IPv4 packet"),
        (bytes(Ether(type=0x0806)) + b"short", "ARP of"),
        (b"short", "bytes"),
    ],
)
def test_verify_names_what_is_wrong(frame, what):
    with pytest.raises(AssertionError, match=what):
        verify(frame)


def test_tcpdump(pair, tmp_path):
    left, _ = pair
    path = tmp_path / "x.pcap"
    dump = tcpdump(left, "eth0", path, "icmp")
    left.run("ping", "-n", "-q", "-c1", "10.9.0.2")
    wait_for(lambda: len(rdpcap(str(path))) == 2, 5, "request and reply in the file")
    end(dump)


def test_a_namespace_is_quiet(pair):
    """No autoconfigured address besides the link's own, nothing in DAD."""
    out = pair[0].run("ip", "-6", "-o", "addr", "show", "dev", "eth0").stdout
    assert "tentative" not in out and out.count("inet6") == 2, out


def test_errors_inside_a_namespace_come_out(pair):
    with pytest.raises(FileNotFoundError):
        in_netns(pair[0].name, open, "/does/not/exist", encoding="ascii")
    with pytest.raises(FileNotFoundError):
        in_netns("no-such-namespace", os.getpid)


def test_reap_removes_what_a_dead_run_left():
    dead = popen(["true"])
    dead.wait()
    name = f"{PREFIX}-{dead.pid}-1-x"
    Namespace(name)
    reap()
    assert name not in existing()


def test_outside_network(family):
    """A machine in the segment, in a gateway's place: the internet is there, and a hop of 1400 bytes is told to both ends."""
    with Cloud(hosts=0, start=False) as cloud:
        outside = cloud.add_outside("internet", [], mtu=1400)
        guest = Machine(cloud, "guest", cloud.namespace("guest"))
        veth(outside.lan, "p-guest", guest.ns, "eth0")
        outside.lan.ip("link set p-guest master br0")
        bits, nodad = (24, "") if family == 4 else (64, "nodad")
        guest.ns.ip(
            f"addr add {outside.address(1, family)}/{bits} dev eth0 {nodad}",
            f"route add default via {outside.gateway(family)}",
        )
        cloud.machines["guest"] = guest
        internet = outside.internet
        internet.serve_http(80)
        assert guest.curl(internet, family=family) == f"internet {outside.address(1, family)}\n"
        header = 28 if family == 4 else 48
        assert guest.ping(outside.client(family), size=1400 - header, dont_fragment=True)
        assert not guest.ping(outside.client(family), size=1401 - header, dont_fragment=True)
        assert len(guest.curl(internet, path="/bytes/1000000", family=family)) == 1000000
        assert internet.ping(outside.address(1, family))
    assert not [name for name in existing() if name.startswith(cloud.tag)]
