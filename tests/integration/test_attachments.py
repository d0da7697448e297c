# SPDX-License-Identifier: Apache-2.0
"""What is plugged into ports: TAPs that outlive their dataplane, ports that come and go under load.

    host-a: left 10.0.1.10, right 10.0.1.11, …
"""

import json
import os

import pytest
from lib import wait_for

SUBNETS = {"s": {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64"}}


@pytest.fixture
def cloud(make_cloud):
    cloud = make_cloud(hosts=1, underlay=None)
    cloud.network("v", SUBNETS)
    cloud.machine("left", "s", security_groups=["v-open"])
    cloud.machine("right", "s", security_groups=["v-open"])
    return cloud


def port_state(cloud, name):
    return cloud.get("port", name)["status"]["state"]


class Interface:
    """eth0 of a machine, and what its kernel has on it."""

    def __init__(self, machine):
        self.machine = machine

    def _json(self, *words):
        return json.loads(self.machine.run("ip", "-j", *words).stdout or "[]")

    def index(self):
        return self._json("link", "show", "dev", "eth0")[0]["ifindex"]

    def settings(self):
        """Addresses and routes, as sets of text."""
        addresses = {
            f"{a['local']}/{a['prefixlen']}" for link in self._json("addr", "show", "dev", "eth0") for a in link["addr_info"]
        }
        routes = {
            (family, r["dst"], r.get("gateway"), r.get("metric"))
            for family in ("-4", "-6")
            for r in self._json(family, "route", "show", "dev", "eth0")
        }
        return addresses, routes


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_tap_outlives_its_dataplane(cloud, end):
    """The machine notices nothing but silence: its interface is the same, with what was set on it from either side."""
    left, right = cloud.machines["left"], cloud.machines["right"]
    left.ns.ip(
        "addr add 10.0.1.77/32 dev eth0",
        "route add 198.51.100.0/24 via 10.0.1.1 dev eth0",
        "route add 2001:db8:77::/48 via fd00:0:0:1::1 dev eth0",
    )
    assert left.ping(right)
    before = Interface(left).index(), Interface(left).settings()
    cloud.stop_controller()
    getattr(cloud.host(), end)()
    assert (Interface(left).index(), Interface(left).settings()) == before
    cloud.host().start()
    wait_for(lambda: left.ping(right) and left.ping(right.ip6), 10, "packets flow again, without a controller")
    assert (Interface(left).index(), Interface(left).settings()) == before
    cloud.start_controller()
    cloud.delete("port", "left")
    assert left.ns.links() == ["lo"]


@pytest.mark.parametrize("restart", [False, True], ids=["made", "adopted"])
def test_tap_goes_with_its_port(cloud, restart):
    """Detached or deleted, nothing is left behind; also of one that this process did not make."""
    left, right = cloud.machines["left"], cloud.machines["right"]
    if restart:
        cloud.host().kill()
        cloud.host().start()
        cloud.wait_converged()
        assert port_state(cloud, "left") == "active"
    attachment = cloud.get("port", "left")["attachment"]
    cloud.call("port.detach", name="left", wait=True)
    assert left.ns.links() == ["lo"]
    assert port_state(cloud, "left") == "detached"
    cloud.call("port.attach", name="left", attachment=attachment, wait=True)
    assert left.ping(right)
    cloud.delete("port", "right")
    assert right.ns.links() == ["lo"]


def test_tap_of_another_is_refused(cloud):
    """Neither an interface of somebody else nor one of another port is taken; when it is gone the port comes up."""
    spare = cloud.bare_machine("spare", f"{cloud.tag}-m-spare")
    spare.ns.ip("tuntap add dev eth0 mode tap", "link set eth0 alias somebody-else")
    tap = {"type": "tap", "ifname": "eth0", "netns": spare.ns.name, "configure": True}
    cloud.create("port", name="third", subnet="s", attachment=tap)
    status = cloud.get("port", "third")["status"]
    assert status["state"] == "error"
    assert "an interface named eth0 exists already and belongs to: somebody-else" in status["reason"]
    spare.ns.ip("link del eth0")
    wait_for(lambda: port_state(cloud, "third") == "active", 10, "the port is attached")
    cloud.create("port", name="fourth", subnet="s", attachment=tap)
    status = cloud.get("port", "fourth")["status"]
    assert status["state"] == "error"
    assert "belongs to: vpc host-a third #" in status["reason"]


def test_tap_made_for_something_else_is_made_anew(cloud):
    """The port changed while its dataplane was away and had forgotten all: the old interface is not kept."""
    left, right = cloud.machines["left"], cloud.machines["right"]
    index = Interface(left).index()
    cloud.host().kill()
    cloud.call("port.update", name="left", mac="02:00:5e:00:00:50", addresses=["10.0.1.50", "fd00:0:0:1::50"])
    os.unlink(os.path.splitext(cloud.host().rpc_path)[0] + ".state")
    cloud.host().start()
    cloud.wait_converged()
    wait_for(lambda: left.ping(right), 10, "packets flow")
    assert Interface(left).index() != index
    assert "10.0.1.50/24" in Interface(left).settings()[0]
