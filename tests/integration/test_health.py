# SPDX-License-Identifier: Apache-2.0
"""Health checks with real servers, over hosts and tenants, without a controller; and what other nodes are told.

    host-a (gateway)   red-near  blue-near  closed      10.0.1.0/24 and fd00:1::/64 in VPC red and, the same again, in VPC blue
    host-b             red-far   blue-far               both balancers have host-a as their gateway

The nodes get the balancers' items from this test, so that nothing but the dataplanes is at work.
"""

import collections
import contextlib
import time

import pytest
from lib import wait_for
from lib.wait import SLOWNESS

TCP, UDP = 6, 17
# Answers with each datagram that it gets.
UDP_ECHO = """
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.bind(("::", 7))
while True:
    data, sender = s.recvfrom(2048)
    s.sendto(b"echo " + data, sender)
"""
# Takes whatever comes, and never says a word.
UDP_SILENT = """
import socket, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.bind(("::", 9))
while True:
    s.recv(2048)
"""
# Greets, as many protocols do.
TCP_GREETS = """
import socket
s = socket.create_server(("::", 25), family=socket.AF_INET6, dualstack_ipv6=True)
while True:
    c, _ = s.accept()
    c.sendall(b"220 at your service\\r\\n")
    c.close()
"""
# What checks in this file do unless they say otherwise: quick, and patient with a busy machine.
QUICK = {"interval_ms": 200, "timeout_ms": 200, "rise": 2, "fall": 2, "path": "", "expect": ""}


class Balancers:
    """Items of balancers on both nodes: host-a is the gateway, host-b a node with clients."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.keys = []
        self.revision = 1000

    def commit(self, host, items=(), keys=()):
        with self.cloud.host(host).rpc() as rpc:
            tx = rpc.call("state.begin")["transaction"]
            for i in range(0, len(items), 1000):
                rpc.call("state.put", transaction=tx, items=items[i : i + 1000])
            for i in range(0, len(keys), 1000):
                rpc.call("state.del", transaction=tx, keys=keys[i : i + 1000])
            self.revision += 1
            rpc.call("state.commit", transaction=tx, revision=self.revision)

    def put(self, name, vpc, backends, check, protocol=TCP, hosts="ab"):
        """`backends`: [(address, port)]; `check`: fields of health_check beside QUICK."""
        items = [
            ["listener", name, protocol, 80, "round_robin", 0, [], 0, 0, False, {**QUICK, "port": None, **check}],
            *(["backend", name, protocol, 80, address, port, 1, ""] for address, port in backends),
        ]
        vip = f"10.0.1.{200 + len(self.keys) % 40}"
        for host in hosts:
            vtep = None if host == "a" else "host-a"
            self.commit(host, [["load_balancer", name, vpc["vni"], vip, None, vtep, 1], *items])
        keys = [["load_balancer", name], *(item[: {"listener": 4, "backend": 6}[item[0]]] for item in items)]
        self.keys.append((hosts, keys))

    def clear(self):
        for hosts, keys in self.keys:
            for host in hosts:
                self.commit(host, keys=keys)
        self.keys = []

    def status(self, name, host="a"):
        with self.cloud.host(host).rpc() as rpc:
            return {i["address"]: i for i in rpc.call("lb.status", names=[name])["items"]}

    def health(self, name, address, host="a"):
        now = self.status(name, host)[address]
        return now["health"], now["reason"]

    def becomes(self, name, address, health, reason=None, host="a", timeout_s=10):
        wait_for(
            lambda: self.health(name, address, host)[0] == health
            and (reason is None or self.health(name, address, host)[1] == reason),
            timeout_s,
            lambda: f"{name} {address} is {health} {reason}: {self.status(name, host)}",
        )


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud(hosts=2)
    cloud.vpcs = {}
    for name in ("red", "blue"):
        cloud.vpcs[name] = cloud.network(name, {f"{name}-1": {"cidr": "10.0.1.0/24", "cidr6": "fd00:1::/64"}})
        for place, host in (("near", "a"), ("far", "b")):
            address = "10.0.1.10" if place == "near" else "10.0.1.11"
            machine = cloud.machine(f"{name}-{place}", f"{name}-1", host, addresses=[address, address.replace("10.0.1.", "fd00:1::")])
            setattr(cloud, f"{name}_{place}", machine)
    cloud.stop_controller()
    cloud.balancers = Balancers(cloud)
    gateway = cloud.host("a")
    cloud.balancers.commit("b", [["vtep", gateway.name, gateway.address, True]])
    yield cloud
    cloud.balancers.clear()


@pytest.fixture
def balancers(cloud):
    yield cloud.balancers
    cloud.balancers.clear()


@contextlib.contextmanager
def serving(machine, port=80):
    """A web server that is gone, with its connections, when this is over."""
    process = machine.serve_http(port)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def both(machine):
    return [machine.ip4, machine.ip6]


@pytest.mark.parametrize("place", ["near", "far"])
def test_types(cloud, balancers, place):
    """Each type over each family, to a machine of this host and of the other; its groups let nothing in."""
    machine = getattr(cloud, f"red_{place}")
    echo = machine.popen("/usr/bin/python3", "-c", UDP_ECHO)
    checks = {
        "tcp": ({"type": "tcp"}, 80, "connected"),
        "http": ({"type": "http", "path": "/x", "expect": "200"}, 80, "HTTP 200"),
        "text": ({"type": "http", "path": "/", "expect": machine.name}, 80, "HTTP 200"),
        "udp": ({"type": "udp", "expect": "echo"}, 7, "answered"),
        "icmp": ({"type": "icmp"}, 80, "answered"),
        "other-port": ({"type": "tcp", "port": 80}, 9999, "connected"),
    }
    with serving(machine):
        for name, (check, port, _) in checks.items():
            balancers.put(name, cloud.vpcs["red"], [(a, port) for a in both(machine)], check, UDP if name == "udp" else TCP)
        for name, (_, _, reason) in checks.items():
            for address in both(machine):
                balancers.becomes(name, address, "up", reason)
        echo.kill()
        echo.wait()
        for address in both(machine):
            balancers.becomes("udp", address, "down", "port unreachable")
    for name in ("tcp", "http", "text", "other-port"):
        for address in both(machine):
            balancers.becomes(name, address, "down", "connection refused")
    for address in both(machine):
        assert balancers.health("icmp", address) == ("up", "answered")


@contextlib.contextmanager
def running(machine, program, port, kind):
    process = machine.popen("/usr/bin/python3", "-c", program)
    try:
        wait_for(lambda: machine.listens(port, kind), 10, f"{machine.name} listens")
        yield process
    finally:
        process.kill()
        process.wait()


def test_datagrams_that_are_not_answered(cloud, balancers):
    """Without `expect` silence is fine, an ICMP error is not, however few of them the machine sends."""
    machine = cloud.red_far
    with running(machine, UDP_SILENT, 9, "udp"):
        balancers.put("silent", cloud.vpcs["red"], [(a, 9) for a in both(machine)], {"type": "udp"}, UDP)
        for address in both(machine):
            balancers.becomes("silent", address, "up", "not refused")
    for address in both(machine):
        balancers.becomes("silent", address, "down", "port unreachable")
    begin = time.monotonic()
    while time.monotonic() - begin < 1.5:  # some checks that get no error of their own
        assert balancers.health("silent", machine.ip4) == ("down", "port unreachable")
    with running(machine, UDP_SILENT, 9, "udp"):
        for address in both(machine):
            balancers.becomes("silent", address, "up", "not refused")


def test_expected_greeting(cloud, balancers):
    near = cloud.red_near
    with running(near, TCP_GREETS, 25, "tcp"):
        balancers.put("good", cloud.vpcs["red"], [(near.ip4, 25)], {"type": "tcp", "expect": "220 "})
        balancers.put("bad", cloud.vpcs["red"], [(near.ip4, 25)], {"type": "tcp", "expect": "SSH"})
        balancers.becomes("good", near.ip4, "up", "answered")
        balancers.becomes("bad", near.ip4, "down", "closed without the expected text")


def test_answers(cloud, balancers):
    """What is wrong is said in words."""
    near = cloud.red_near
    nobody = "10.0.1.99"
    cases = {
        "status": ({"type": "http", "path": "/", "expect": "204"}, near.ip4, "HTTP 200"),
        "text": ({"type": "http", "path": "/", "expect": "nonsense"}, near.ip4, "HTTP 200 without the expected text"),
        "nobody": ({"type": "tcp"}, nobody, "no port has this address"),
        "deaf": ({"type": "udp"}, near.ip4, "port unreachable"),
    }
    with serving(near):
        for name, (check, address, _) in cases.items():
            balancers.put(name, cloud.vpcs["red"], [(address, 80)], check)
        for name, (_, address, reason) in cases.items():
            balancers.becomes(name, address, "down", reason)
        # A machine that is there and says nothing at all.
        near.run("ip", "route", "add", "blackhole", "10.0.1.1/32")
        try:
            balancers.put("silent", cloud.vpcs["red"], [(near.ip4, 80)], {"type": "tcp"})
            balancers.becomes("silent", near.ip4, "down", "timeout")
        finally:
            near.run("ip", "route", "del", "blackhole", "10.0.1.1/32")
        balancers.becomes("silent", near.ip4, "up")


def test_tenants_with_the_same_addresses(cloud, balancers):
    """Red's servers run and blue's do not, at the same addresses; then the other way round."""
    addresses = both(cloud.red_near) + both(cloud.red_far)
    assert addresses == both(cloud.blue_near) + both(cloud.blue_far)
    for name in ("red", "blue"):
        balancers.put(name, cloud.vpcs[name], [(a, 80) for a in addresses], {"type": "tcp"})
    for serves, silent in (("red", "blue"), ("blue", "red")):
        with serving(getattr(cloud, f"{serves}_near")), serving(getattr(cloud, f"{serves}_far")):
            for address in addresses:
                balancers.becomes(serves, address, "up")
                balancers.becomes(silent, address, "down", "connection refused")


def test_bounds(cloud, balancers):
    """Down within fall x interval + timeout and not before fall - 1 intervals; up within rise x interval."""
    check = {"type": "tcp", "interval_ms": 500, "timeout_ms": 300, "rise": 3, "fall": 3}
    # On top: the servers' start and end, this test's own steps, and a machine that others keep busy.
    slack_s = 2.0 * SLOWNESS
    address = cloud.red_far.ip4
    with serving(cloud.red_far) as server:
        balancers.put("timed", cloud.vpcs["red"], [(address, 80)], check)
        balancers.becomes("timed", address, "up")
        begin = time.monotonic()
        server.kill()
        server.wait()
        balancers.becomes("timed", address, "down")
        took_s = time.monotonic() - begin
        assert 2 * 0.5 - 0.1 <= took_s <= 3 * 0.5 + 0.3 + slack_s
    with serving(cloud.red_far):
        begin = time.monotonic()
        balancers.becomes("timed", address, "up")
        assert time.monotonic() - begin <= 3 * 0.5 + slack_s


def test_other_node_follows(cloud, balancers):
    """host-b hears of changes, and after a start of its own, or of host-a's, of all."""
    near, far = cloud.red_near, cloud.red_far
    with serving(near), serving(far) as server:
        balancers.put("told", cloud.vpcs["red"], [(near.ip4, 80), (far.ip4, 80), (far.ip6, 80)], {"type": "tcp"})
        for address in (near.ip4, far.ip4, far.ip6):
            balancers.becomes("told", address, "up", host="b")
        server.kill()
        server.wait()
        for address in (far.ip4, far.ip6):
            balancers.becomes("told", address, "down", host="b")
        assert balancers.health("told", near.ip4, "b")[0] == "up"
        cloud.host("b").kill()
        cloud.host("b").start()
        # Restarted it knows nothing at first, and what is up again as soon as it has asked.
        balancers.becomes("told", near.ip4, "up", host="b", timeout_s=15)
        balancers.becomes("told", far.ip4, "down", host="b")
        # A gateway that starts again takes nothing back that is not known to be otherwise.
        cloud.host("a").kill()
        assert balancers.health("told", near.ip4, "b")[0] == "up"
        cloud.host("a").start()
        balancers.becomes("told", near.ip4, "up", host="a", timeout_s=15)
        with serving(far):
            balancers.becomes("told", far.ip4, "up", host="b", timeout_s=15)


def test_changed_settings(cloud, balancers):
    """Other settings are obeyed at once, and the state stays until they say otherwise."""
    near = cloud.red_near
    with serving(near):
        balancers.put("set", cloud.vpcs["red"], [(near.ip4, 80)], {"type": "tcp"})
        balancers.becomes("set", near.ip4, "up")
        balancers.put("set", cloud.vpcs["red"], [(near.ip4, 80)], {"type": "http", "path": "/", "expect": "404"})
        balancers.becomes("set", near.ip4, "down", "HTTP 200")
        balancers.put("set", cloud.vpcs["red"], [(near.ip4, 80)], {"type": "none"})
        balancers.becomes("set", near.ip4, "up")


# Connections are taken and closed at once, as many as come.
TCP_TAKES = """
import socket
s = socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True, backlog=4096)
while True:
    c, _ = s.accept()
    c.close()
"""


def test_many(cloud, balancers, long_run):
    """2,000 back ends [10,000]: all are asked soon, nobody is taken for dead, and the other node knows what this one knows."""
    near, vpc = cloud.red_near, cloud.vpcs["red"]
    count = 10000 if long_run else 2000
    names = [f"many-{n}" for n in range(10)]
    near.run("sysctl", "-w", "net.core.somaxconn=4096")
    with running(near, TCP_TAKES, 80, "tcp"):
        backends = [(near.ip4, 1000 + n) for n in range(count // len(names))]
        for name in names:
            balancers.put(name, vpc, backends, {"type": "tcp", "port": 80, "interval_ms": 5000, "timeout_ms": 2000})

        def states(host):
            with cloud.host(host).rpc() as rpc:
                return collections.Counter(i["health"] for i in rpc.call("lb.status", names=names)["items"])

        for host in "ab":
            wait_for(lambda host=host: states(host) == {"up": count}, 20, lambda host=host: f"{host}: {states(host)}")
        # Two questions later they are still there: the many do not disturb each other.
        begin = time.monotonic()
        while time.monotonic() - begin < 6:
            assert states("a") == {"up": count}
            time.sleep(0.5)


def test_through_the_api(make_cloud):
    """A balancer as users make it: clients on both hosts never meet a back end that is known to be out; status, events, metrics."""
    cloud = make_cloud(hosts=2)
    cloud.network("shop", {"shop-1": {"cidr": "10.0.1.0/24", "cidr6": "fd00:1::/64"}})
    near, far = (
        cloud.machine(f"web-{host}", "shop-1", host, addresses=[f"10.0.1.{n}", f"fd00:1::{n}"], security_groups=["shop-open"])
        for host, n in (("a", 10), ("b", 11))
    )
    clients = [cloud.machine(f"client-{host}", "shop-1", host, security_groups=["shop-open"]) for host in "ab"]
    check = {"type": "http", "path": "/", "expect": "200", "interval_ms": 300, "timeout_ms": 300, "rise": 2, "fall": 2}
    listener = {"protocol": "tcp", "port": 80, "scheduler": "round_robin", "health_check": check}
    listener["backends"] = [{"port": near.name, "port_number": 80}, {"port": far.name, "port_number": 80}]

    def health(name):
        backends = cloud.get("load_balancer", "front")["status"]["listeners"][0]["backends"]
        return next(b for b in backends if b["port"] == name)

    def answers(client, times):
        """Who answers new connections to the virtual address."""
        said = [client.curl("10.0.1.100") for _ in range(times)]
        return {body.split()[0] if body else None for body in said}

    with serving(near), serving(far) as server:
        cloud.create("load_balancer", name="front", vpc="shop", node="host-a", address="10.0.1.100", listeners=[listener])
        for machine in (near, far):
            wait_for(lambda machine=machine: health(machine.name)["health"] == "up", 10, lambda: health(machine.name))
            assert health(machine.name)["reason"] == "HTTP 200" and health(machine.name)["since"].endswith("Z")
        for client in clients:
            assert answers(client, 6) == {near.name, far.name}
        server.kill()
        server.wait()
        wait_for(lambda: health(far.name)["health"] == "down", 10, lambda: health(far.name))
        assert health(far.name)["reason"] == "connection refused"
        for client in clients:
            wait_for(lambda client=client: answers(client, 4) == {near.name}, 10, f"{client.name} knows")
            assert answers(client, 10) == {near.name}
        wait_for(
            lambda: [e for e in cloud.call("event.list", kind="load_balancer")["items"] if (e["name"], e["reason"]) == ("front", "backend_down")],
            5,
            "event",
        )
        assert 'vpc_balancer_backends{load_balancer="front",health="down"} 1' in cloud.http("/metrics").stdout
        # Nobody is missed: the controller is away when it comes back and the other one goes.
        cloud.kill_controller()
        with serving(far):
            for client in clients:
                wait_for(lambda client=client: answers(client, 4) == {near.name, far.name}, 15, f"{client.name} knows again")
