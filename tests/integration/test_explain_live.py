# SPDX-License-Identifier: Apache-2.0
"""explain with `live`: a probe goes the real way and ends before anybody gets it; every decision has its object's revision.

    host-a: web 10.0.1.10, db 10.0.1.11   ---vxlan---   host-b: api 10.0.2.12, the gateway   ---   internet
            other VPC, peered: peer 10.1.0.10
"""

import re
import socket

import pytest
from lib import wait_for

@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud(hosts=2, outside={"internet": ["b"]})
    net = cloud.outside["internet"]
    subnets = {"front": {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64"}, "back": {"cidr": "10.0.2.0/24", "cidr6": "fd00:0:0:2::/64"}}
    cloud.network("v", subnets, cidrs=["10.0.0.0/16", "fd00::/48"])
    cloud.network("w", {"far": {"cidr": "10.1.0.0/24"}}, cidrs=["10.1.0.0/16"])
    cloud.create("peering", name="v-and-w", vpcs=["v", "w"])
    strict = [{"direction": "ingress", "protocol": "udp", "ports": "9000-9009"}]
    cloud.create("security_group", name="strict", rules=strict)
    cloud.machine("web", "front", "a", addresses=["10.0.1.10", "fd00:0:0:1::10"], security_groups=["v-open"])
    cloud.machine("db", "front", "a", addresses=["10.0.1.11", "fd00:0:0:1::11"], security_groups=["strict"])
    cloud.machine("api", "back", "b", addresses=["10.0.2.12", "fd00:0:0:2::12"], security_groups=["strict"])
    cloud.machine("peer", "far", "a", addresses=["10.1.0.10"], security_groups=["w-open"])
    cloud.create("eip_pool", name="pool", cidr=net.cidr(), external="internet")
    cloud.create("eip", name="out", pool="pool")
    cloud.create("eip", name="api", pool="pool", port="api")
    cloud.create("nat_gateway", name="out", vpc="v", eips=["out"], snat=[{"source": "10.0.0.0/16"}])
    listener = {"protocol": "udp", "port": 53, "health_check": {"type": "none"}, "backends": [{"port": "api", "port_number": 9000}]}
    cloud.create("load_balancer", name="lb", vpc="v", address="10.0.1.100", listeners=[listener])
    cloud.create("route", name="hole", vpc="v", destination="192.0.2.0/24", next_hop={"kind": "blackhole"})
    cloud.wait_converged()
    for kind in ("eip", "nat_gateway", "load_balancer"):
        wait_for(lambda kind=kind: all(one["status"]["state"] == "active" for one in cloud.list(kind)), 10)
    # The gateway has to know its next hop, which it asks for when the first packet wants to go there.
    wait_for(lambda: live(cloud, "web", net.client(), protocol="udp", port=53)["live"]["verdict"] == "forward", 15)
    return cloud


def live(cloud, source, to, **params):
    return cloud.call("explain", **{"from": source, "to": to, "live": True, **params})


UDP = {"protocol": "udp"}
CASES = {
    "one host": ("web", "10.0.1.11", {**UDP, "port": 9000}, "forward", "db"),
    "one host, IPv6": ("web", "fd00:0:0:1::11", {**UDP, "port": 9000}, "forward", "db"),
    "refused": ("web", "10.0.1.11", {"protocol": "tcp", "port": 80}, "drop", "policy_ingress"),
    "another host": ("web", "10.0.2.12", {**UDP, "port": 9001}, "forward", "api"),
    "another host, IPv6": ("web", "fd00:0:0:2::12", {**UDP, "port": 9001}, "forward", "api"),
    "refused there": ("web", "10.0.2.12", {"protocol": "tcp", "port": 443}, "drop", "policy_ingress"),
    "ping refused there": ("web", "10.0.2.12", {}, "drop", "policy_ingress"),
    "over a peering": ("web", "10.1.0.10", {"protocol": "tcp", "port": 80}, "forward", "peer"),
    "ping over a peering": ("web", "10.1.0.10", {}, "forward", "peer"),
    "the gateway": ("web", "10.0.1.1", {}, "forward", "gateway of subnet front"),
    "the gateway, IPv6": ("web", "fd00:0:0:1::1", {}, "forward", "gateway of subnet front"),
    "nobody": ("web", "10.0.1.77", {**UDP, "port": 1}, "drop", "no_route"),
    "black hole": ("web", "192.0.2.7", {**UDP, "port": 1}, "drop", "blackhole"),
    "a balancer": ("web", "10.0.1.100", {**UDP, "port": 53}, "forward", "api"),
    "not listened to": ("web", "10.0.1.100", {**UDP, "port": 54}, "drop", "lb_no_listener"),
    "out by NAT": ("web", "CLIENT", {**UDP, "port": 53}, "forward", "external internet"),
    "out by an EIP": ("api", "CLIENT", {"protocol": "tcp", "port": 80}, "forward", "external internet"),
    "ping out by NAT": ("web", "CLIENT", {}, "forward", "external internet"),
    "another protocol": ("web", "10.1.0.10", {"protocol": 132}, "forward", "peer"),
    "a false source": ("web", "10.0.1.11", {**UDP, "port": 9000, "source_address": "10.0.1.99"}, "drop", "spoofed"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_as_explained(cloud, case):
    source, to, params, verdict, end = CASES[case]
    to = cloud.outside["internet"].client() if to == "CLIENT" else to
    answer = live(cloud, source, to, **params)
    seen = answer["live"]
    assert (seen["verdict"], seen["delivered_to"] if verdict == "forward" else seen["reason"]) == (verdict, end), answer
    assert seen["agrees"] and not seen["differences"], answer
    for step in answer["steps"]:
        assert step["object"] is None or isinstance(step["object"]["revision"], int), step
        if step["object"]:
            known = cloud.get(step["object"]["kind"], step["object"]["name"])
            assert known["revision"] == step["object"]["revision"], step


@pytest.mark.parametrize("case", ["another host", "out by NAT", "a balancer", "over a peering", "refused there"])
def test_the_same_in_words(cloud, case):
    """A line for each decision on each node, with its object and the object's revision."""
    source, to, params, verdict, _ = CASES[case]
    to = cloud.outside["internet"].client() if to == "CLIENT" else to
    question = {"protocol": "icmp", **params}
    answer = cloud.call("explain", **{"from": source, "to": to, **question})
    words = [word for key, value in question.items() for word in (f"--{key}", str(value))]
    head, *lines = cloud.vpcctl("explain", "--from", source, "--to", to, *words).stdout.splitlines()
    assert head.split() == ["NODE", "STAGE", "OBJECT", "DECISION"]
    for line, step in zip(lines, answer["steps"]):
        decision = re.sub(r" port \d+, for example$", "", step["decision"])  # drawn anew each time
        assert line.split()[:2] == [step["node"], step["stage"]] and decision in line, (line, step)
        thing = step["object"]
        rule = f" rule {thing['rule']}" if thing and thing.get("rule") is not None else ""
        assert not thing or f" {thing['kind']} {thing['name']}{rule} rev {thing['revision']} " in line, (line, step)
    assert any(line.startswith("verdict ") and verdict in line for line in lines[len(answer["steps"]) :]), lines
    if case != "over a peering":
        assert {step["node"] for step in answer["steps"]} == {"host-a", "host-b"}, "every node that it crosses"


def test_nothing_is_left(cloud):
    for case in ("one host", "another host", "over a peering", "a balancer", "out by NAT", "the gateway"):
        test_it_is_as_explained(cloud, case)
    wait_for(lambda: not cloud.call("session.list")["items"], 10, lambda: cloud.call("session.list")["items"])


@pytest.mark.parametrize("to", ["db", "api"])
def test_the_receiver_gets_nothing_unless_asked(cloud, to):
    machine = cloud.machines[to]
    with machine.socket(4, socket.SOCK_DGRAM) as listener:
        listener.bind(("0.0.0.0", 9005))
        listener.setblocking(False)
        got = []

        def heard(count):
            try:
                while True:
                    got.append(listener.recvfrom(2048))
            except BlockingIOError:
                return len(got) >= count

        question = {**UDP, "port": 9005}
        assert live(cloud, "web", machine.ip4, deliver=True, **question)["live"]["agrees"]
        wait_for(lambda: heard(1), 10)
        for _ in range(5):
            assert live(cloud, "web", machine.ip4, **question)["live"]["delivered_to"] == to
        assert live(cloud, "web", machine.ip4, deliver=True, **question)["live"]["agrees"]
        wait_for(lambda: heard(2), 10)
        assert len(got) == 2, "only those that were to be delivered"


def test_the_sender_gets_nothing(cloud):
    """An answer of the gateway, and its errors, end before the port."""
    web = cloud.machines["web"]

    def icmp_received():
        return int(re.findall(r"^Icmp: (\d+)", web.run("cat", "/proc/net/snmp").stdout, re.MULTILINE)[0])

    before = icmp_received()
    for _ in range(5):
        assert live(cloud, "web", "10.0.1.1")["live"]["delivered_to"] == "gateway of subnet front"
    assert icmp_received() == before
    assert web.ping("10.0.1.1")
    assert icmp_received() > before


def test_a_running_flow_is_left_alone(cloud):
    web, db = cloud.machines["web"], cloud.machines["db"]
    with web.socket(4, socket.SOCK_DGRAM) as client:
        client.bind((web.ip4, 40001))
        client.sendto(b"x", (db.ip4, 9007))
        wait_for(lambda: cloud.call("session.list", port="web")["items"], 10)
        with pytest.raises(Exception, match="source_port"):
            live(cloud, "web", db.ip4, **UDP, port=9007, source_port=40001)
        assert cloud.call("session.list", port="web")["items"]
    cloud.call("session.flush")


def test_what_may_not_be_asked(cloud):
    for wrong in ({"from": "external", "source_address": "198.51.100.7", "live": True}, {"from": "web", "deliver": True}):
        with pytest.raises(Exception, match="invalid|only with live|begins at a port"):
            cloud.call("explain", to="10.0.1.11", **wrong)


def test_a_difference_is_told(cloud):
    """The hosts' fabric is cut: no node knows yet, and the probe is lost."""

    def isolate(on):
        for name in ("p-host-a", "p-host-b"):
            cloud.fabric.run("bridge", "link", "set", "dev", name, "isolated", on)

    isolate("on")
    try:
        answer = live(cloud, "web", "10.0.2.12", **UDP, port=9001)
    finally:
        isolate("off")
    assert answer["verdict"] == "forward" and answer["live"]["verdict"] == "lost", answer
    assert not answer["live"]["agrees"] and "verdict: explained forward, was lost" in answer["live"]["differences"]
    wait_for(lambda: live(cloud, "web", "10.0.2.12", **UDP, port=9001)["live"]["agrees"], 30)


def test_for_people(cloud):
    text = cloud.vpcctl("explain", "--from", "web", "--to", "10.0.1.11", "--protocol", "udp", "--port", "9000", "--live").stdout
    assert "live    forward to db, as explained" in text and "rev " in text
