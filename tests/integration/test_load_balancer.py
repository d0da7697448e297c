# SPDX-License-Identifier: Apache-2.0
"""Load balancers with real servers and clients.

    host-a (gateway)   near, client       prod 10.0.1.0/24 fd00:0:1::/64    virtual addresses .100 ::100
    host-b             far, other, guest  prod                              guest: 10.9.1.0/24 fd00:9:1::/64 of peer
    internet           beyond host-a      198.51.100.0/24 2001:db8:100::/64: public addresses
"""

import json
import socket

import pytest
from lib import wait_for
from lib.wait import SLOWNESS

NAMES = ("near", "far", "other")
CHECK = {"type": "http", "path": "/", "interval_ms": 300, "timeout_ms": 300, "rise": 2, "fall": 2}


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud(hosts=2, outside={"internet": ["a"]})
    cloud.network("prod", {"web": {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:1::/64"}})
    cloud.network("peer", {"guests": {"cidr": "10.9.1.0/24", "cidr6": "fd00:9:1::/64"}})
    cloud.create("peering", name="both", vpcs=["prod", "peer"])
    for name, host in (("near", "a"), ("far", "b"), ("other", "b"), ("client", "a")):
        machine = cloud.machine(name, "web", host, security_groups=["prod-open"])
        setattr(cloud, name, machine)
        machine.serve_http(80)
    cloud.guest = cloud.machine("guest", "guests", "b", security_groups=["peer-open"])
    cloud.create("eip_pool", name="public4", cidr="198.51.100.16/28", node="host-a", external="internet")
    cloud.create("eip_pool", name="public6", cidr="2001:db8:100::10/124", node="host-a", external="internet")
    return cloud


@pytest.fixture
def balancers(cloud):
    """Makes balancers `lb4` and `lb6`; they are gone afterwards."""
    made = []

    def make(public=False, node="host-a", backends=NAMES, allow=None, **listener):
        where = {}
        for family in (4, 6):
            if public:
                eip = cloud.create("eip", name=f"e{family}", pool=f"public{family}")
                made.append(("eip", eip["name"]))
                where[family] = eip["address"]
                target = {"eip": eip["name"]}
            else:
                where[family] = "10.0.1.100" if family == 4 else "fd00:0:1::100"
                target = {"address": where[family]}
            rest = {"health_check": {"type": "none"}, "allow_cidrs": allow[family] if allow else [], **listener}
            listeners = [{"protocol": "tcp", "port": 80, **rest, "backends": [{"port": n} for n in backends]}]
            cloud.create("load_balancer", name=f"lb{family}", vpc="prod", node=node, listeners=listeners, **target)
            made.append(("load_balancer", f"lb{family}"))
        return where

    yield make
    for kind, name in reversed(made):
        cloud.delete(kind, name)


def answers(machine, address, n, family=4):
    """Who answered, of so many connections of the machine; and the client's addresses as they saw them."""
    said = [machine.curl(address, family=family) for _ in range(n)]
    assert None not in said, f"{said.count(None)} of {n} connections failed"
    words = [s.split() for s in said]
    return [w[0] for w in words], {w[1] for w in words}


def health(cloud, name="lb4"):
    listener = cloud.get("load_balancer", name)["status"]["listeners"][0]
    return {b["port"]: b["health"] for b in listener["backends"]}


@pytest.mark.parametrize("who", ["client", "far", "guest"])
def test_private_address(cloud, balancers, family, who):
    """From either host, from a back end (itself included) and from a peer; servers see who calls."""
    address = balancers()[family]
    machine = getattr(cloud, who)
    names, seen = answers(machine, address, 6, family)
    assert set(names) == set(NAMES) and max(names.count(n) for n in NAMES) <= 3, names
    own = {machine.address(family)}
    assert seen == (own | {address} if who in NAMES else own)


def test_public_address(cloud, balancers, family):
    """From the internet to servers of the gateway's host and of the other; they see who calls."""
    address = balancers(public=True, scheduler="round_robin")[family]
    internet = cloud.outside["internet"].internet
    names, seen = answers(internet, address, 6, family)
    assert set(names) == set(NAMES) and max(names.count(n) for n in NAMES) <= 3, names
    assert seen == {internet.address(family)}


def test_large_downloads(cloud, balancers, family):
    """Many packets both ways, to a back end of each host."""
    where = balancers()
    for _ in range(3):
        body = cloud.client.curl(where[family], path="/bytes/3000000", timeout_s=20, family=family)
        assert body is not None and len(body) == 3000000


def test_path_mtu(cloud, balancers, family):
    """A narrow hop on the way: its ICMP errors reach the server that they are about."""
    address = balancers(public=True, backends=("near", "far"))[family]
    outside = cloud.outside["internet"]
    outside.set_mtu(1400)
    try:
        for _ in range(2):
            body = outside.internet.curl(address, path="/bytes/500000", timeout_s=20, family=family)
            assert body is not None and len(body) == 500000
    finally:
        outside.set_mtu(1500)
        for machine in (cloud.near, cloud.far, outside.internet):
            machine.run("ip", "-4" if family == 4 else "-6", "route", "flush", "cache", check=False)


def test_allowed(cloud, balancers, family):
    """Who is not in allow_cidrs gets no answer."""
    where = balancers(allow={4: ["10.0.1.0/24"], 6: ["fd00:0:1::/64"]})
    assert cloud.client.curl(where[family], family=family) is not None
    assert cloud.guest.curl(where[family], family=family, timeout_s=1) is None
    assert cloud.drops(reason="lb_not_allowed")["lb_not_allowed"] > 0


@pytest.mark.parametrize("backend", ["near", "far"])
def test_icmp_errors(cloud, balancers, family, backend):
    """A datagram to a port where the back end has no server: its error reaches the client's socket, as from the virtual address."""
    address = balancers(protocol="udp", backends=(backend,))[family]
    with cloud.client.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(2 * SLOWNESS)
        s.connect((address, 80))
        s.send(b"x")
        with pytest.raises(ConnectionRefusedError):
            s.recv(16)


def test_explained(cloud, balancers):
    balancers(backends=("far",))
    text = cloud.vpcctl("explain", "--from", "client", "--to", "10.0.1.100", "--protocol", "tcp", "--port", "80").stdout
    assert "lb4" in text and "back end far 10.0.1" in text
    told = json.loads(
        cloud.vpcctl("explain", "--from", "client", "--to", "10.0.1.100", "--protocol", "tcp", "--port", "80", "-o", "json").stdout
    )
    assert told["verdict"] == "forward" and told["delivered_to"] == "far"


def test_listed(cloud, balancers):
    """A balanced connection as sessions and status show it."""
    address = balancers(backends=("far",))[4]
    server = cloud.far.address(4)
    assert answers(cloud.client, address, 1)[0] == ["far"]
    items = [s for s in cloud.call("session.list", address=address)["items"] if s["backend"] == f"{server}:80"]
    assert {(s["server"], s["translated_server"]) for s in items} == {(f"{address}:80", f"{server}:80")}


def test_dead_and_back(cloud, balancers):
    """A server that dies is out, nobody sees an error from then on, and it is used again when it is back."""
    address = balancers(health_check=CHECK, backends=("near", "far"))[4]
    doomed = cloud.other
    cloud.call("load_balancer.update", name="lb4", wait=True, listeners=[
        {"protocol": "tcp", "port": 80, "health_check": CHECK, "backends": [{"port": n} for n in ("near", "far")] + [
            {"port": "other", "port_number": 8080}]}])
    server = doomed.serve_http(8080)
    wait_for(lambda: set(health(cloud).values()) == {"up"}, 10, lambda: health(cloud))
    wait_for(lambda: set(answers(cloud.client, address, 6)[0]) == set(NAMES), 5, "all are used")
    server.kill()
    server.wait()
    wait_for(lambda: health(cloud)["other"] == "down", 10, lambda: health(cloud))
    assert set(answers(cloud.client, address, 20)[0]) == {"near", "far"}
    doomed.serve_http(8080)
    wait_for(lambda: health(cloud)["other"] == "up", 10, lambda: health(cloud))
    wait_for(lambda: "other" in answers(cloud.client, address, 3)[0], 5, "it is used again")


@pytest.mark.parametrize("public", [False, True], ids=["private", "public"])
def test_restart_of_the_gateway(cloud, balancers, public):
    """Killed and started again: the address is back within 2 s, and hashed connections from before find their server."""
    address = balancers(public=public, scheduler="maglev")[4]
    client = cloud.outside["internet"].internet if public else cloud.client
    kept = [client.socket() for _ in range(24)]
    served = []
    for s in kept:
        s.settimeout(5 * SLOWNESS)
        s.connect((address, 80))
        served.append(ask(s))
    assert len(set(served)) > 1
    gateway = cloud.host("a")
    gateway.kill()
    gateway.start()
    wait_for(lambda: client.curl(address, timeout_s=0.5) is not None, 2, "the address answers")
    assert [ask(s) for s in kept] == served
    for s in kept:
        s.close()
    cloud.wait_converged()


def ask(connection):
    """Who answers on a connection that is kept."""
    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = b""
    while not answer.endswith(b"\n") or answer.endswith(b"\r\n"):
        piece = connection.recv(4096)
        assert piece, "the connection was closed"
        answer += piece
    return answer.split()[-2].decode()
