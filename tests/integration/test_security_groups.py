# SPDX-License-Identifier: Apache-2.0
"""Every field of a rule, ties, group references, prefix lists, and changes that reach running flows.

    host-a: left .10, other .12   ---vxlan---   host-b: right .11          one subnet, both families

A probe is one packet of left to right. Its group always lets IP protocol 253 in: the marker after which a probe that
has not been heard was dropped.
"""

import time

import pytest
from lib import wait_for
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

MARKER = {"direction": "ingress", "protocol": "253", "priority": 1}
SUBNETS = {"s": {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64"}}


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud(hosts=2)
    cloud.network("v", SUBNETS)
    cloud.create("security_group", name="tested", rules=[MARKER])
    cloud.create("security_group", name="second", rules=[])
    cloud.create("security_group", name="members", rules=[MARKER])
    cloud.create("security_group", name="out", rules=[MARKER])
    for name, host, number, groups in (
        ("left", "a", 10, ["out"]),
        ("other", "a", 12, ["out"]),
        ("right", "b", 11, ["tested"]),
    ):
        cloud.machine(
            name,
            "s",
            host,
            raw=True,
            addresses=[f"10.0.1.{number}", f"fd00:0:0:1::{number}"],
            security_groups=groups,
        )
    return cloud


@pytest.fixture(autouse=True)
def as_at_first(cloud):
    """Each test starts with the same groups and without sessions."""
    yield
    for name in ("tested", "members", "out"):
        cloud.update("security_group", name, rules=[MARKER])
    cloud.update("security_group", "second", rules=[])
    cloud.update("port", "left", security_groups=["out"])
    cloud.update("port", "right", security_groups=["tested"])
    cloud.call("session.flush")


def packet(source, destination, family, l4):
    """A frame between machines of the subnet with this L4."""
    layer = IP(src=source.ip4, dst=destination.ip4) if family == 4 else IPv6(src=source.ip6, dst=destination.ip6)
    return Ether(src=source.mac, dst=destination.mac) / layer / l4


def marker(source, destination, family):
    layer = (
        IP(src=source.ip4, dst=destination.ip4, proto=253)
        if family == 4
        else IPv6(src=source.ip6, dst=destination.ip6, nh=253)
    )
    return Ether(src=source.mac, dst=destination.mac) / layer / Raw(b"marker")


def heard(source, destination, family, probes):
    """Names of the probes ({name: l4}) that arrive; each carries its name."""
    arrived = set()
    with source.wire() as mouth, destination.wire() as ear:
        for name, l4 in probes.items():
            mouth.send(packet(source, destination, family, l4 / Raw(f"<{name}>".encode())))
        # Twice: the first marker's session is known, so it may overtake a probe that is the first of its flow; the
        # second one enters after both have left.
        for _ in range(2):
            mouth.send(marker(source, destination, family))
            for got in ear.until(lambda p: b"marker" in bytes(p)):
                arrived |= {name for name in probes if f"<{name}>".encode() in bytes(got)}
        ear.check()
    return arrived


_source_port = iter(range(10000, 60000))


def tcp(port):
    return TCP(sport=next(_source_port), dport=port, flags="S")


def udp(port):
    return UDP(sport=next(_source_port), dport=port)


def echo(family):
    return ICMP(type=8, id=next(_source_port)) if family == 4 else ICMPv6EchoRequest(id=next(_source_port))


def probes_of_all(family):
    """One probe of each sort; a rule's row names those that it lets in."""
    return {
        "tcp80": tcp(80),
        "tcp81": tcp(81),
        "tcp443": tcp(443),
        "udp80": udp(80),
        "udp53": udp(53),
        "echo": echo(family),
    }


ALL = {"tcp80", "tcp81", "tcp443", "udp80", "udp53", "echo"}
TCP_ALL, UDP_ALL = {"tcp80", "tcp81", "tcp443"}, {"udp80", "udp53"}
HERE = {4: "10.0.1.10/32", 6: "fd00:0:0:1::10/128"}
NET = {4: "10.0.1.0/24", 6: "fd00:0:0:1::/64"}
ELSEWHERE = {4: "10.0.1.12/32", 6: "fd00:0:0:1::12/128"}
ICMP_NAME = {4: "icmp", 6: "icmpv6"}
ECHO_TYPE = {4: 8, 6: 128}


def allow(**fields):
    return lambda family: {"direction": "ingress", **{k: v(family) if callable(v) else v for k, v in fields.items()}}


def deny(**fields):
    return allow(action="deny", **fields)


RULES = {
    "nothing": ([], set()),
    "any": ([allow(protocol="any")], ALL),
    "tcp": ([allow(protocol="tcp")], TCP_ALL),
    "udp": ([allow(protocol="udp")], UDP_ALL),
    "number": ([allow(protocol="17")], UDP_ALL),
    "icmp": ([allow(protocol=ICMP_NAME.get)], {"echo"}),
    "icmp of the other family": ([allow(protocol=lambda f: ICMP_NAME[10 - f])], set()),
    "icmp type": ([allow(protocol=ICMP_NAME.get, icmp_type=ECHO_TYPE.get)], {"echo"}),
    "icmp type and code": ([allow(protocol=ICMP_NAME.get, icmp_type=ECHO_TYPE.get, icmp_code=0)], {"echo"}),
    "another icmp code": ([allow(protocol=ICMP_NAME.get, icmp_type=ECHO_TYPE.get, icmp_code=1)], set()),
    "another icmp type": ([allow(protocol=ICMP_NAME.get, icmp_type=13)], set()),
    "one port": ([allow(protocol="tcp", ports="80")], {"tcp80"}),
    "range of ports": ([allow(protocol="tcp", ports="80-81")], {"tcp80", "tcp81"}),
    "port of udp": ([allow(protocol="udp", ports="80")], {"udp80"}),
    "two rules": ([allow(protocol="tcp", ports="443"), allow(protocol="udp", ports="53")], {"tcp443", "udp53"}),
    "cidr of the sender": ([allow(protocol="any", remote_cidr=HERE.get)], ALL),
    "cidr around the sender": ([allow(protocol="any", remote_cidr=NET.get)], ALL),
    "cidr of another": ([allow(protocol="any", remote_cidr=ELSEWHERE.get)], set()),
    "cidr of the other family": ([allow(protocol="any", remote_cidr=lambda f: NET[10 - f])], set()),
    "everywhere": ([allow(protocol="tcp", remote_cidr=lambda f: "0.0.0.0/0" if f == 4 else "::/0")], TCP_ALL),
    "deny one of many": ([allow(protocol="any"), deny(protocol="tcp", ports="81", priority=10)], ALL - {"tcp81"}),
    "later deny": ([allow(protocol="tcp", priority=10), deny(protocol="any", priority=20)], TCP_ALL),
    "deny wins a tie": ([allow(protocol="any"), deny(protocol="udp")], ALL - UDP_ALL),
    "hole in a denied range": (
        [deny(protocol="tcp", ports="1-1000", priority=20), allow(protocol="tcp", ports="80", priority=10)],
        {"tcp80"},
    ),
    "egress rules do not let in": ([lambda f: {"direction": "egress", "protocol": "any"}], set()),
}


@pytest.mark.parametrize("name", RULES)
def test_ingress_rule(cloud, family, name):
    rules, expected = RULES[name]
    left, right = cloud.machines["left"], cloud.machines["right"]
    cloud.update("security_group", "tested", rules=[MARKER] + [rule(family) for rule in rules])
    assert heard(left, right, family, probes_of_all(family)) == expected


EGRESS = {
    "nothing said: allowed": ([], ALL),
    "deny": ([{"action": "deny", "protocol": "tcp"}], ALL - TCP_ALL),
    "deny a port": ([{"action": "deny", "protocol": "udp", "ports": "53"}], ALL - {"udp53"}),
    "allow before deny": (
        [{"protocol": "tcp", "ports": "443", "priority": 10}, {"action": "deny", "protocol": "any", "priority": 20}],
        {"tcp443"},
    ),
}


@pytest.mark.parametrize("name", EGRESS)
def test_egress_rule(cloud, family, name):
    rules, expected = EGRESS[name]
    left, right = cloud.machines["left"], cloud.machines["right"]
    out = {"direction": "egress", "protocol": "253", "priority": 1}
    cloud.update("security_group", "tested", rules=[{"direction": "ingress", "protocol": "any"}])
    cloud.update("security_group", "out", rules=[MARKER, out] + [{"direction": "egress", **rule} for rule in rules])
    assert heard(left, right, family, probes_of_all(family)) == expected


def test_groups_of_a_port_are_merged(cloud, family):
    left, right = cloud.machines["left"], cloud.machines["right"]
    cloud.update("security_group", "tested", rules=[MARKER, allow(protocol="tcp", ports="80")(family)])
    cloud.update("security_group", "second", rules=[allow(protocol="udp")(family), deny(protocol="udp", ports="53", priority=5)(family)])
    cloud.update("port", "right", security_groups=["tested", "second"])
    assert heard(left, right, family, probes_of_all(family)) == {"tcp80", "udp80"}


def test_no_group_lets_nothing_in(cloud, family):
    """Also not the marker; ARP and ND are answered all the same, so its silence is heard as a counted drop."""
    left, right = cloud.machines["left"], cloud.machines["right"]
    cloud.update("port", "right", security_groups=[])
    before = cloud.drops(port="right").get("policy_ingress", 0)
    with left.wire() as mouth, right.wire() as ear:
        mouth.send(packet(left, right, family, udp(53) / Raw(b"x")))
        wait_for(lambda: cloud.drops(port="right").get("policy_ingress", 0) > before, 3, "drop as policy_ingress")
        assert not [p for p in ear.drain() if UDP in p]


def test_remote_group_follows_membership(cloud, family):
    """Members come and go on the other host; the address of a member is never written anywhere."""
    left, right = cloud.machines["left"], cloud.machines["right"]
    cloud.update("security_group", "tested", rules=[MARKER, allow(protocol="udp", remote_group="members")(family)])
    for groups, expected in ((["out"], set()), (["out", "members"], {"one"}), (["members"], {"one"}), (["out"], set())):
        cloud.update("port", "left", security_groups=groups)
        assert heard(left, right, family, {"one": udp(53)}) == expected, groups


def test_prefix_list_follows_its_entries(cloud, family):
    left, right = cloud.machines["left"], cloud.machines["right"]
    cloud.create("prefix_list", name=f"list-{family}", cidrs=[])
    cloud.update("security_group", "tested", rules=[MARKER, allow(protocol="udp", remote_prefix_list=f"list-{family}")(family)])
    for cidrs, expected in (([], set()), ([ELSEWHERE[family]], set()), ([ELSEWHERE[family], HERE[family]], {"one"}), ([], set())):
        cloud.update("prefix_list", f"list-{family}", cidrs=cidrs)
        assert heard(left, right, family, {"one": udp(53)}) == expected, cidrs
    cloud.update("security_group", "tested", rules=[MARKER])
    cloud.delete("prefix_list", f"list-{family}")


def test_answers_pass_and_new_flows_do_not(cloud, family):
    left, right = cloud.machines["left"], cloud.machines["right"]
    cloud.update("security_group", "tested", rules=[MARKER, allow(protocol="udp", ports="53")(family)])
    with left.wire() as a, right.wire() as b:
        a.send(packet(left, right, family, UDP(sport=4000, dport=53) / Raw(b"question")))
        b.receive(lambda p: Raw in p and p[Raw].load == b"question")
        b.send(packet(right, left, family, UDP(sport=53, dport=4000) / Raw(b"answer")))
        a.receive(lambda p: Raw in p and p[Raw].load == b"answer")
    assert heard(right, left, family, {"new": UDP(sport=53, dport=4001)}) == set()


def test_related_icmp_error_passes(cloud, family):
    """Port unreachable for an allowed flow comes back through a group that lets no ICMP in; an invented one does not."""
    left, right = cloud.machines["left"], cloud.machines["right"]
    cloud.update("security_group", "tested", rules=[MARKER, allow(protocol="udp", ports="53")(family)])
    with left.wire() as a, right.wire() as b:

        def error_about(port):
            quoted = packet(left, right, family, UDP(sport=port, dport=53) / Raw(b"question"))[IP if family == 4 else IPv6]
            head = ICMP(type=3, code=3) if family == 4 else ICMPv6DestUnreach(code=4)
            return packet(right, left, family, head / quoted)

        a.send(packet(left, right, family, UDP(sport=4100, dport=53) / Raw(b"question")))
        b.receive(lambda p: Raw in p and p[Raw].load == b"question")
        b.send(error_about(4101))
        b.send(error_about(4100))

        def about(p):
            return (4100).to_bytes(2, "big") in bytes(p) and (ICMP in p or ICMPv6DestUnreach in p)

        def invented(p):
            return (4101).to_bytes(2, "big") in bytes(p) and (ICMP in p or ICMPv6DestUnreach in p)

        a.silence(invented, about, lambda: None)


def test_rule_removed_cuts_a_running_connection(make_cloud):
    """Within 100 ms of the call's answer, on both hosts; and the flow does not come back with the rule."""
    cloud = make_cloud(hosts=2)
    cloud.network("v", SUBNETS)
    rule = {"direction": "ingress", "protocol": "tcp", "ports": "7777"}
    cloud.create("security_group", name="g", rules=[rule])
    left = cloud.machine("left", "s", "a", security_groups=["g"])
    right = cloud.machine("right", "s", "b", security_groups=["g"])
    for family in (4, 6):
        connection = left.connect(right, 7777, family)
        assert connection.exchange()
        cloud.call("security_group.remove_rules", name="g", rules=[rule], wait=True)
        answered = time.monotonic()
        while connection.exchange(b"x", timeout_s=0.02):
            assert time.monotonic() - answered < 0.1
        with pytest.raises(OSError):
            left.connect(right, 7778, family, timeout_s=0.3)
        cloud.call("security_group.add_rules", name="g", rules=[rule], wait=True)
        assert not connection.exchange(timeout_s=0.5)
        connection.close()
        assert left.connect(right, 7777, family).exchange(), "a new connection is allowed again"


def test_membership_change_cuts_a_running_connection(make_cloud):
    cloud = make_cloud(hosts=2)
    cloud.network("v", SUBNETS)
    cloud.create("security_group", name="clients", rules=[])
    cloud.create("security_group", name="g", rules=[{"direction": "ingress", "protocol": "tcp", "remote_group": "clients"}])
    left = cloud.machine("left", "s", "a", security_groups=["clients"])
    right = cloud.machine("right", "s", "b", security_groups=["g"])
    connection = left.connect(right)
    assert connection.exchange()
    cloud.update("port", "left", security_groups=[])
    wait_for(lambda: not connection.exchange(b"x", timeout_s=0.02), 1, "the connection is cut")
    connection.close()


def test_unrelated_change_leaves_flows_alone(make_cloud):
    cloud = make_cloud(hosts=2)
    cloud.network("v", SUBNETS)
    rule = {"direction": "ingress", "protocol": "tcp", "ports": "7777"}
    cloud.create("security_group", name="g", rules=[rule])
    left = cloud.machine("left", "s", "a", security_groups=["g"])
    right = cloud.machine("right", "s", "b", security_groups=["g"])
    connection = left.connect(right)
    other = {"direction": "ingress", "protocol": "udp", "ports": "1-1000"}
    for _ in range(5):
        cloud.call("security_group.add_rules", name="g", rules=[other], wait=True)
        assert connection.exchange()
        cloud.call("security_group.remove_rules", name="g", rules=[other], wait=True)
        assert connection.exchange()
    connection.close()


def test_fragments_of_large_datagrams_pass_port_rules(make_cloud, family):
    """8 kB UDP: only the first fragment has ports, all follow it; a port that is not allowed gets none."""
    cloud = make_cloud(hosts=2)
    cloud.network("v", SUBNETS)
    cloud.create("security_group", name="g", rules=[{"direction": "ingress", "protocol": "udp", "ports": "7000"}])
    left = cloud.machine("left", "s", "a", security_groups=["g"])
    right = cloud.machine("right", "s", "b", security_groups=["g"])
    assert left.udp_echo(right, 7000, b"x" * 8000, family)
    assert not left.udp_echo(right, 7001, b"x" * 8000, family, timeout_s=0.3)
    assert left.udp_echo(right, 7000, b"y" * 8000, family)
