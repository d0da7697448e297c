# SPDX-License-Identifier: Apache-2.0
"""NAT gateways with real clients and servers: out by addresses that machines share, in by forwards.

    host-a: the gateway of all; near 10.0.1.10, blue 10.0.1.10 (another tenant)    host-b: far 10.0.1.11
    red leaves by nat-4 and nat-6, with forwards to near and far; blue by blue-4, blue-6
    outside network `internet` of host-a: router, a hop whose MTU tests change, a machine with ten addresses
"""

import threading
import time

import pytest
from lib import wait_for
from lib.wait import SLOWNESS

MACHINES = ("near", "far", "blue")
# Of 32 MiB that iperf3 sends: it stops counting what arrives once all is sent.
MOST = 16_000_000
PORTS = {"near": 8010, "far": 8011}
GATEWAY = {
    "mapping": "endpoint_independent",
    "filtering": "address_and_port",
    "port_block": 0,
    "hairpin": True,
    "limits": {"per_port": 0, "per_vpc": 0},
    "quarantine_s": 120,
}


def forwards(ip):
    """To the web servers, and ranges: TCP 9000-9003 to near's 7000-7003 with the distance kept."""
    rules = []
    for family in (4, 6):
        for name, port in PORTS.items():
            rules.append({"eip": f"nat-{family}", "protocol": "tcp", "port": str(port), "to_address": ip[name, family], "to_port": 80})
        rules.append({"eip": f"nat-{family}", "protocol": "tcp", "port": "9000-9003", "to_address": ip["near", family], "to_port": 7000})
    return rules


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud(hosts=2, outside={"internet": ["a"]})
    outside = cloud.outside["internet"]
    for family, cidr in ((4, "198.51.100.64/26"), (6, "2001:db8:100::40/122")):
        cloud.create("eip_pool", name=f"pool-{family}", cidr=cidr, node="host-a", external="internet")
    ip = {}
    for vpc in ("red", "blue"):
        cloud.network(vpc, {f"{vpc}-1": {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64"}}, tenant=vpc)
    for name, subnet, host, end in (("near", "red-1", "a", 10), ("far", "red-1", "b", 11), ("blue", "blue-1", "a", 10)):
        ip[name, 4], ip[name, 6] = f"10.0.1.{end}", f"fd00:0:0:1::{end}"
        addresses = [ip[name, 4], ip[name, 6]]
        cloud.machine(name, subnet, host, addresses=addresses, security_groups=[f"{subnet[:-2]}-open"])
        cloud.machines[name].serve_http(80)
    for family in (4, 6):
        cloud.create("eip", name=f"nat-{family}", pool=f"pool-{family}", tenant="red")
        cloud.create("eip", name=f"blue-{family}", pool=f"pool-{family}", tenant="blue")
    cloud.create("nat_gateway", name="red-nat", vpc="red", node="host-a", eips=["nat-4", "nat-6"],
                 snat=[{"subnet": "red-1", "eips": ["nat-4", "nat-6"]}], dnat=forwards(ip))
    cloud.create("nat_gateway", name="blue-nat", vpc="blue", node="host-a", eips=["blue-4", "blue-6"],
                 snat=[{"subnet": "blue-1", "eips": ["blue-4", "blue-6"]}],
                 dnat=[{"eip": f"blue-{f}", "protocol": "tcp", "port": "80", "to_address": ip["blue", f], "to_port": 80} for f in (4, 6)])
    outside.internet.serve_http(80)
    return cloud


@pytest.fixture(autouse=True)
def as_it_was(cloud):
    yield
    cloud.outside["internet"].set_mtu(1500)
    cloud.update("nat_gateway", "red-nat", **GATEWAY)


@pytest.fixture(params=["near", "far"])
def machine(request, cloud):
    """On the gateway, on another host."""
    return cloud.machines[request.param]


@pytest.fixture(params=["endpoint_independent", "endpoint_dependent"])
def mapping(request, cloud):
    cloud.update("nat_gateway", "red-nat", mapping=request.param)
    return request.param


def address(cloud, name, family):
    return cloud.get("eip", f"{name}-{family}")["address"]


def leaves(cloud, machine, family, by="nat"):
    client = cloud.outside["internet"].client(family)
    return machine.curl(client, family=family, timeout_s=1) == f"internet {address(cloud, by, family)}\n"


def test_out(cloud, machine, family, mapping):
    """The server sees the gateway's address; TCP, datagrams, fragments, pings, downloads."""
    internet = cloud.outside["internet"].internet
    wait_for(lambda: leaves(cloud, machine, family), 10, "the first curl, once neighbours are known")
    assert machine.ping(cloud.outside["internet"].client(family))
    assert machine.udp_echo(internet, family=family)
    wait_for(lambda: machine.udp_echo(internet, family=family, data=bytes(8000)), 5, "fragments, of the size that passes")
    assert machine.iperf3(internet, size="32M", family=family)["end"]["sum_received"]["bytes"] >= MOST
    assert machine.iperf3(internet, extra=["-R"], size="32M", family=family)["end"]["sum_received"]["bytes"] >= MOST


def test_sessions_name_both_sides(cloud, family):
    """session.list: the tenant is the client, with its outside address and port beside; the gateway's timeouts."""
    near, outside = cloud.machines["near"], cloud.outside["internet"]
    running = near.connect(outside.internet, port=7778, family=family)
    assert running.exchange()
    items = cloud.call("session.list", port="near", protocol="tcp", limit=100)["items"]
    item = next(i for i in items if i["server"].endswith(":7778") and (i["server"][0] == "[") == (family == 6))
    ip = near.ip6 if family == 6 else near.ip4
    assert ip in item["client"] and address(cloud, "nat", family) in item["translated_client"]
    assert 7000 < item["expires_s"] <= 7440
    running.close()


def test_forwards(cloud, machine, family):
    """From the internet: the real client is seen; a removed rule ends its connection."""
    internet, outside = cloud.outside["internet"].internet, cloud.outside["internet"]
    eip, port = address(cloud, "nat", family), PORTS[machine.name]
    expected = f"{machine.name} {outside.client(family)}\n"
    wait_for(lambda: internet.curl(eip, port=port, family=family, timeout_s=1) == expected, 10, "the first curl")
    assert internet.curl(eip, port=port + 5, family=family, timeout_s=0.5) is None


def test_hairpins(cloud, machine, family):
    """SNAT to the gateway's own forward, and to another tenant's: the source is the outside address (RFC 4787 REQ-9)."""
    own, other = address(cloud, "nat", family), address(cloud, "blue", family)
    blue = cloud.machines["blue"]
    wait_for(lambda: leaves(cloud, machine, family), 10, "the first curl")
    for name, port in PORTS.items():
        assert machine.curl(own, port=port, family=family) == f"{name} {own}\n"
    assert machine.curl(other, family=family) == f"blue {own}\n"
    assert blue.curl(own, port=PORTS["far"], family=family) == f"far {other}\n"
    cloud.update("nat_gateway", "red-nat", hairpin=False)
    assert machine.curl(own, port=PORTS["near"], family=family, timeout_s=0.5) is None
    assert machine.curl(other, family=family) == f"blue {own}\n"


def test_path_mtu(cloud, machine, family):
    """A hop of 1,400 bytes beyond the gateway: its errors reach the right machine, and the transfers complete both ways."""
    outside = cloud.outside["internet"]
    wait_for(lambda: leaves(cloud, machine, family), 10, "the first curl")
    outside.set_mtu(1400)
    for way in ([], ["-R"]):
        assert machine.iperf3(outside.internet, extra=way, size="32M", family=family)["end"]["sum_received"]["bytes"] >= MOST


def test_limits_and_the_event(cloud, machine):
    """Above limits.per_port new flows are refused at once and the controller hears of it; running ones go on."""
    outside = cloud.outside["internet"]
    wait_for(lambda: leaves(cloud, machine, 4), 10, "the first curl")
    cloud.call("session.flush", vpc="red")
    running = machine.connect(outside.internet, port=7778)
    assert running.exchange()
    cloud.update("nat_gateway", "red-nat", limits={"per_port": 1, "per_vpc": 0})
    asked = time.monotonic()
    assert machine.curl(outside.client(4), timeout_s=5) is None
    assert time.monotonic() - asked < 4, "refused, not timed out"
    assert running.exchange()

    def told():
        events = cloud.call("event.list", kind="nat_gateway")["items"]
        return any(e["name"] == "red-nat" and e["reason"] == "nat_exhausted" for e in events)

    wait_for(told, 5, "the event")
    drops = cloud.call("drops.list", reason="nat_exhausted")["items"]
    assert sum(d["packets"] for d in drops) >= 1
    running.close()


def test_explain(cloud, machine):
    """Over the nodes: the gateway, its rule, the outside address; nothing is taken."""
    said = cloud.call("explain", **{"from": machine.name, "to": cloud.outside["internet"].client(4), "protocol": "tcp", "port": 80})
    assert said["verdict"] == "forward", said
    assert any((s.get("object") or {}).get("name") == "red-nat" for s in said["steps"]), said["steps"]
    assert said["packet"]["after"]["source"] == address(cloud, "nat", 4)


def test_many_at_once(cloud, machine):
    """Sixty connections at once, each with its own outside port."""
    outside = cloud.outside["internet"]
    wait_for(lambda: leaves(cloud, machine, 4), 10, "the first curl")
    results = []

    def ask():
        results.append(machine.curl(outside.client(4), timeout_s=10))

    threads = [threading.Thread(target=ask) for _ in range(60)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == [f"internet {address(cloud, 'nat', 4)}\n"] * 60


def test_restarts(cloud, machine, family):
    """A controller that dies is not noticed; a gateway's dataplane is back within 2 s of its start."""
    outside = cloud.outside["internet"]
    wait_for(lambda: leaves(cloud, machine, family), 10, "the first curl")
    running = machine.connect(outside.internet, port=7778, family=family)
    assert running.exchange()
    expected = f"internet {address(cloud, 'nat', family)}\n"
    cloud.kill_controller()
    assert running.exchange()
    assert machine.curl(outside.client(family), family=family) == expected
    cloud.host("a").kill()
    cloud.host("a").start()
    started = time.monotonic()
    wait_for(lambda: machine.curl(outside.client(family), family=family, timeout_s=0.5) == expected, 10, "curl after the start")
    assert time.monotonic() - started < 2 * SLOWNESS
    cloud.start_controller()
    cloud.wait_converged()
    running.close()
