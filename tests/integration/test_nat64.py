# SPDX-License-Identifier: Apache-2.0
"""IPv6-only machines reach IPv4 servers by a NAT gateway with nat64 (RFC 6146): real clients and servers.

    host-a: the gateway; near fd00:0:0:1::10    host-b: far fd00:0:0:1::11
    outside network `internet` of host-a, asked for by its IPv4 addresses in 64:ff9b::/96 only
"""

import pytest
from lib import wait_for
from lib.wait import SLOWNESS

# Of 32 MiB that iperf3 sends: it stops counting what arrives once all is sent.
MOST = 16_000_000


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud(hosts=2, outside={"internet": ["a"]})
    cloud.create("eip_pool", name="pool-4", cidr="198.51.100.64/26", node="host-a", external="internet")
    cloud.network("red", {"red-1": {"cidr6": "fd00:0:0:1::/64"}}, tenant="red")
    for name, host, end in (("near", "a", 10), ("far", "b", 11)):
        cloud.machine(name, "red-1", host, addresses=[f"fd00:0:0:1::{end}"], security_groups=["red-open"])
    cloud.create("eip", name="nat-4", pool="pool-4", tenant="red")
    cloud.create("nat_gateway", name="red-nat", vpc="red", node="host-a", eips=["nat-4"],
                 snat=[{"subnet": "red-1", "eips": ["nat-4"], "nat64": True}])
    cloud.outside["internet"].internet.serve_http(80)
    return cloud


@pytest.fixture(autouse=True)
def as_it_was(cloud):
    yield
    cloud.outside["internet"].set_mtu(1500)


@pytest.fixture(params=["near", "far"])
def machine(request, cloud):
    """On the gateway, on another host."""
    machine = cloud.machines[request.param]
    wait_for(lambda: leaves(cloud, machine), 10, "the first curl, once neighbours are known")
    return machine


def synthesized(cloud, alias=0):
    """What DNS64 would answer (RFC 6147)."""
    return "64:ff9b::" + cloud.outside["internet"].client(4, alias)


def leaves(cloud, machine):
    eip = cloud.get("eip", "nat-4")["address"]
    return machine.curl(synthesized(cloud), family=6, timeout_s=1) == f"internet {eip}\n"


def echoes(cloud, machine, data):
    """A datagram and its echo, by sockets of two families."""
    internet = cloud.outside["internet"].internet
    with internet.socket(4, 2) as server, machine.socket(6, 2) as client:
        server.bind(("0.0.0.0", 7777))
        for s in (server, client):
            s.settimeout(SLOWNESS)
        try:
            client.sendto(data, (synthesized(cloud), 7777))
            got, source = server.recvfrom(65536)
            server.sendto(got, source)
            return got == data and client.recvfrom(65536)[0] == data
        except TimeoutError:
            return False


def test_tcp(cloud, machine):
    """Downloads and uploads; every alias of the server is another address."""
    for alias in range(3):
        assert machine.curl(synthesized(cloud, alias), family=6) is not None
    for extra in ([], ["-R"]):
        report = machine.iperf3(cloud.outside["internet"].internet, size="32M", family=6, at=synthesized(cloud), extra=extra)
        assert report["end"]["sum_received"]["bytes"] >= MOST


def test_ping_and_datagrams(cloud, machine):
    """Echo of both families, small and in fragments; what IPv4 may leave without a checksum."""
    assert machine.ping(synthesized(cloud))
    assert echoes(cloud, machine, b"hello")
    wait_for(lambda: echoes(cloud, machine, bytes(4000)), 10, "fragments, of the size that passes")


def test_path_mtu(cloud, machine):
    """A narrower link beyond the gateway: its router's IPv4 error reaches the machine as packet too big."""
    cloud.outside["internet"].set_mtu(1400)
    for extra in ([], ["-R"]):
        report = machine.iperf3(cloud.outside["internet"].internet, size="32M", family=6, at=synthesized(cloud), extra=extra)
        assert report["end"]["sum_received"]["bytes"] >= MOST


def test_sessions_and_explain(cloud, machine):
    """Both tuples of a flow, each in its family."""
    eip = cloud.get("eip", "nat-4")["address"]
    server = cloud.outside["internet"].client(4)
    assert machine.curl(synthesized(cloud), family=6) is not None
    items = cloud.call("session.list", vpc="red", protocol="tcp", limit=1000)["items"]
    assert any(i["translated_server"] == f"{server}:80" and i["translated_client"].startswith(f"{eip}:") for i in items), items
    said = cloud.call("explain", **{"from": machine.name, "to": synthesized(cloud), "protocol": "tcp", "port": 80})
    assert said["verdict"] == "forward", said
    assert (said["packet"]["after"]["source"], said["packet"]["after"]["destination"]) == (eip, server)


def test_refused(cloud, machine):
    """A closed port answers at once, by its IPv4 machine's reset; nobody's address by a router's error."""
    assert machine.curl(synthesized(cloud), port=81, family=6, timeout_s=3) is None
