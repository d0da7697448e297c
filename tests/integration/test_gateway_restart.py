# SPDX-License-Identifier: Apache-2.0
"""A gateway's processes die: no flow notices the controller's death; the services are back within 2 s of the dataplane's start.

    host-a: the gateway of all; beside 10.0.1.10     host-b: web 10.0.1.11, web2 10.0.1.12
    web has an EIP; nat translates, and forwards 8080 to web; public and private balance over web and web2
    outside network `internet` of host-a
"""

import re
import time

import pytest
from lib import wait_for
from lib.wait import SLOWNESS

CHECK = {"type": "tcp", "interval_ms": 500, "timeout_ms": 300, "rise": 1, "fall": 2}


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud(hosts=2, outside={"internet": ["a"]})
    cloud.create("eip_pool", name="public", cidr="198.51.100.64/26", node="host-a", external="internet")
    cloud.network("v", {"s": {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64"}}, mtu=1500)
    for name, host, end in (("beside", "a", 10), ("web", "b", 11), ("web2", "b", 12)):
        cloud.machine(name, "s", host, addresses=[f"10.0.1.{end}", f"fd00:0:0:1::{end}"], security_groups=["v-open"])
        cloud.machines[name].serve_http(80)
    cloud.outside["internet"].internet.serve_http(80)
    for name in ("web", "nat", "balancer"):
        cloud.create("eip", name=name, pool="public", **({"port": "web"} if name == "web" else {}))
    forward = {"eip": "nat", "protocol": "tcp", "port": "8080", "to_address": "10.0.1.12", "to_port": 80}
    cloud.create("nat_gateway", name="nat", vpc="v", eips=["nat"], snat=[{"subnet": "s", "eips": ["nat"]}], dnat=[forward])
    backends = [{"port": name, "port_number": 80} for name in ("web", "web2")]
    listener = {"protocol": "tcp", "port": 80, "scheduler": "round_robin", "health_check": CHECK, "backends": backends}
    cloud.create("load_balancer", name="public", vpc="v", eip="balancer", node="host-a", listeners=[listener])
    cloud.create("load_balancer", name="private", vpc="v", address="10.0.1.100", node="host-a", listeners=[listener])
    return cloud


def address(cloud, name):
    return cloud.get("eip", name)["address"]


def roads(cloud):
    """What goes through each service: (who asks, what, at which port)."""
    internet, client = cloud.outside["internet"].internet, cloud.outside["internet"].client()
    return {
        "in by an EIP": (internet, address(cloud, "web"), 80),
        "out by an EIP": (cloud.machines["web"], client, 80),
        "out by NAT": (cloud.machines["web2"], client, 80),
        "in by a forward": (internet, address(cloud, "nat"), 8080),
        "public balancer": (internet, address(cloud, "balancer"), 80),
        "private balancer, from beside": (cloud.machines["beside"], "10.0.1.100", 80),
        "private balancer, from afar": (cloud.machines["web"], "10.0.1.100", 80),
    }


def works(road):
    asker, at, port = road
    return asker.curl(at, port=port, timeout_s=1) is not None


@pytest.fixture
def all_roads(cloud):
    found = roads(cloud)
    for name, road in found.items():
        wait_for(lambda road=road: works(road), 15, name)
    return found


def test_no_flow_notices_the_controllers_death(cloud, all_roads):
    """Killed and started again: open connections go on, pings through EIP and NAT lose nothing, new flows begin."""
    internet = cloud.outside["internet"].internet
    web, web2 = cloud.machines["web"], cloud.machines["web2"]
    connections = [
        internet.connect(web, at=address(cloud, "web")),
        web.connect(internet, port=7778),
        web2.connect(internet, port=7779),
    ]
    pings = [m.popen("ping", "-n", "-q", "-i", "0.02", to, stdout=-1) for m, to in
             ((internet, address(cloud, "web")), (web2, cloud.outside["internet"].client()))]
    assert all(c.exchange() for c in connections)
    cloud.kill_controller()
    assert all(c.exchange() for c in connections)
    for name, road in all_roads.items():
        assert works(road), f"{name}, without a controller"
    cloud.start_controller()
    cloud.wait_converged()
    assert all(c.exchange() for c in connections)
    for ping in pings:
        ping.send_signal(2)
        out = ping.communicate(timeout=20)[0]
        sent, received = (int(n) for n in re.search(r"(\d+) packets transmitted, (\d+) received", out).groups())
        assert sent - received <= 1, out  # the one under way when ping is told to end
    for c in connections:
        c.close()


@pytest.mark.parametrize("controller", ["there", "away"])
def test_services_are_back_after_the_gateways_death(cloud, all_roads, controller):
    """Of its start each answers within 2 s, by what the gateway had applied last."""
    if controller == "away":
        cloud.kill_controller()
    host = cloud.host("a")
    host.kill()
    host.start()
    started = time.monotonic()
    waiting = dict(all_roads)
    while waiting and time.monotonic() - started < 20:
        for name in [name for name, road in waiting.items() if works(road)]:
            del waiting[name]
    took = time.monotonic() - started
    if controller == "away":
        cloud.start_controller()
    assert not waiting, f"never back: {sorted(waiting)}"
    # Asking them all one after another takes its time, too.
    assert took < 2 * SLOWNESS + 1, f"all are back after {took:.1f} s"
