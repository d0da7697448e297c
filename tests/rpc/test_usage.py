# SPDX-License-Identifier: Apache-2.0
"""usage.list: nothing is lost, nothing counts twice, nothing falls, whoever dies."""

import contextlib
import os
import random
import sqlite3
import sys

import pytest
from scapy.all import IP, UDP, Ether, Raw

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from lib import Cloud  # noqa: E402
from lib.wait import wait_for  # noqa: E402
from vpcctl import Vpcctl  # noqa: E402

FIGURES = ("rx_packets", "rx_bytes", "tx_packets", "tx_bytes")
NET = [
    {"kind": "vpc", "name": "v", "tenant": "acme", "cidrs": ["10.0.0.0/16"]},
    {"kind": "subnet", "name": "s", "vpc": "v", "cidr": "10.0.0.0/24"},
]
SEED = int(os.environ.get("VPC_TEST_SEED", "20260401"), 0)
LONG = os.environ.get("VPC_TEST_SIZE") == "long"


class Meter:
    """What a peer says of its ports: counters that rise, ends that stay until they are acknowledged."""

    def __init__(self, peer):
        self.peer = peer
        self.live = {}  # instance → [kind, name, instance, revision, figures…]
        self.ended = {}
        peer.answers["usage.read"] = {"items": [], "ended": []}
        self.done = []

    def tell(self):
        with self.peer.lock:
            self.peer.answers["usage.read"] = {
                "items": [list(entry) for entry in self.live.values()],
                "ended": [list(entry) for entry in self.ended.values()],
            }

    def acknowledged(self):
        with self.peer.lock:
            return {n for method, params in self.peer.calls if method == "usage.read" for n in params.get("done", [])}

    def count(self, instance, name, revision, packets):
        entry = self.live.setdefault(instance, ["port", name, instance, revision, 0, 0, 0, 0])
        entry[3] = revision
        for place, factor in enumerate((1, 100, 2, 300)):
            entry[4 + place] += packets * factor
        self.tell()

    def end(self, instance):
        self.ended[instance] = self.live.pop(instance)
        self.tell()

    def restart(self):
        """As after kill -9 without a file: what was not collected is gone."""
        self.live, self.ended = {}, {}
        self.tell()


def figures(packets):
    return dict(zip(FIGURES, (packets, packets * 100, packets * 2, packets * 300)))


def usage(controller, name, **params):
    """Figures of the newest object of that name."""
    items = [item for item in controller.call("usage.list", **params)["items"] if item["name"] == name]
    return {key: items[-1][key] for key in FIGURES} if items else None


def wait_usage(controller, name, packets):
    wait_for(lambda: usage(controller, name) == figures(packets), 10, lambda: f"{usage(controller, name)} of {packets}")


@pytest.fixture
def metered(cluster):
    controller, peers = cluster("host-a", "host-b", usage={"interval_s": 1})
    controller.apply(*NET, {"kind": "port", "name": "p", "subnet": "s", "node": "host-a"}, wait=True)
    return controller, [Meter(peer) for peer in peers]


def revision(controller, name="p"):
    return controller.call("port.get", name=name)["revision"]


def test_totals_survive_the_controller(metered):
    controller, (a, _) = metered
    assert usage(controller, "p") == figures(0), "an object is listed before it has carried anything"
    a.count(1, "p", revision(controller), 10)
    wait_usage(controller, "p", 10)
    controller.kill()
    a.count(1, "p", 1, 5)
    controller.start()
    assert usage(controller, "p") in (figures(10), figures(15)), "what was answered once is on the disk"
    wait_usage(controller, "p", 15)


def test_totals_survive_the_dataplane(metered):
    controller, (a, _) = metered
    for life in range(1, 4):
        a.restart()
        a.count(life, "p", revision(controller), 10)
        wait_usage(controller, "p", 10 * life)
    a.live[3][4:] = [1, 1, 1, 1]
    a.tell()
    a.count(4, "p", revision(controller), 1)
    wait_usage(controller, "p", 31)


def test_a_node_that_is_away_takes_nothing_away(metered):
    controller, (a, _) = metered
    a.count(1, "p", revision(controller), 10)
    wait_usage(controller, "p", 10)
    a.peer.stop()
    wait_for(lambda: not controller.call("status")["nodes"][0]["connected"])
    assert usage(controller, "p") == figures(10)
    a.restart()
    a.peer.start()
    a.count(2, "p", revision(controller), 7)
    wait_usage(controller, "p", 17)


def test_a_port_that_moves(metered):
    controller, (a, b) = metered
    a.count(1, "p", revision(controller), 10)
    wait_usage(controller, "p", 10)
    controller.call("port.update", name="p", node="host-b", wait=True)
    a.count(1, "p", revision(controller), 3)
    a.end(1)
    b.count(9, "p", revision(controller), 20)
    wait_usage(controller, "p", 33)
    wait_for(lambda: 1 in a.acknowledged(), 10, "the end is acknowledged")
    a.ended.clear()
    a.tell()
    b.count(9, "p", revision(controller), 1)
    wait_usage(controller, "p", 34)
    assert len(controller.call("usage.list")["items"]) == 1


def test_an_end_counts_once(metered):
    """The node tells it until it is acknowledged, also to a controller that died in between."""
    controller, (a, _) = metered
    a.count(1, "p", revision(controller), 10)
    a.end(1)
    for _ in range(3):
        wait_usage(controller, "p", 10)
        controller.kill()
        controller.start()
    wait_for(lambda: 1 in a.acknowledged(), 10, "the end is acknowledged")
    controller.kill()
    controller.start()
    assert usage(controller, "p") == figures(10)
    a.ended.clear()
    a.count(2, "p", revision(controller), 1)
    wait_usage(controller, "p", 11)
    controller.kill()
    controller.start()
    assert usage(controller, "p") == figures(11)


def test_deleted_and_made_again(metered):
    """Each object has its own figures; the last ones of a deleted one come after its end."""
    controller, (a, _) = metered
    first = revision(controller)
    controller.call("port.delete", name="p", wait=True)
    controller.call("port.create", name="p", subnet="s", node="host-a", wait=True)
    second = revision(controller)
    a.count(1, "p", first, 10)
    a.end(1)
    a.count(2, "p", second, 3)
    wait_usage(controller, "p", 3)
    controller.call("port.delete", name="p", wait=True)
    a.end(2)
    old, new = controller.call("usage.list")["items"]
    assert {key: old[key] for key in FIGURES} == figures(10) and old["deleted"]
    assert {key: new[key] for key in FIGURES} == figures(3) and new["deleted"] >= old["deleted"]
    before = controller.call("usage.list")["items"]
    controller.kill()
    controller.start()
    assert controller.call("usage.list")["items"] == before


def test_ports_that_others_run_are_not_counted(metered):
    """Until they move to a node of ours, or theirs becomes one."""
    controller, (a, b) = metered
    controller.call("node.create", name="legacy", vtep="192.0.2.77")
    controller.apply(*({"kind": "port", "name": f"far{n}", "subnet": "s", "node": "legacy"} for n in range(3)))
    assert [item["name"] for item in controller.call("usage.list")["items"]] == ["p"]
    controller.call("port.update", name="far0", node="host-b")
    assert usage(controller, "far0") == figures(0)
    b.count(7, "far0", revision(controller, "far0"), 3)
    a.count(8, "nobody", 1, 3)
    a.count(9, "far1", 1, 4)
    wait_usage(controller, "far0", 3)
    wait_usage(controller, "far1", 4)
    controller.kill()
    controller.start()
    assert usage(controller, "far0") == figures(3) and usage(controller, "far1") == figures(4)
    controller.call("port.delete", names=["far0", "far1", "far2"])
    assert {item["name"] for item in controller.call("usage.list")["items"] if item["deleted"]} == {"far0", "far1"}


def test_filters_and_pages(metered):
    controller, (a, _) = metered
    controller.apply(
        {"kind": "vpc", "name": "w", "tenant": "globex", "cidrs": ["10.0.0.0/16"]},
        {"kind": "subnet", "name": "t", "vpc": "w", "cidr": "10.0.0.0/24"},
        *({"kind": "port", "name": f"q{n}", "subnet": "t", "node": "host-a"} for n in range(5)),
    )
    a.count(1, "q0", revision(controller, "q0"), 1)
    wait_usage(controller, "q0", 1)

    def names(**params):
        return [item["name"] for item in controller.call("usage.list", **params)["items"]]

    assert names() == ["p", "q0", "q1", "q2", "q3", "q4"]
    assert names(tenant="acme") == ["p"]
    assert names(tenant="nobody") == []
    assert names(since="2020-01-01T00:00:00Z") == ["q0"]
    updated = controller.call("usage.list", tenant="globex")["items"][0]["updated"]
    assert names(since=updated) == []
    controller.call("port.delete", name="q3")
    assert names(since=updated) == ["q3"], "deleted since"
    page = controller.call("usage.list", limit=4)
    assert [item["name"] for item in page["items"]] == ["p", "q0", "q1", "q2"]
    rest = controller.call("usage.list", limit=4, cursor=page["cursor"])
    assert [item["name"] for item in rest["items"]] == ["q3", "q4"] and rest["cursor"] is None
    vpcctl = Vpcctl(controller)
    assert [item["name"] for item in vpcctl.json("usage", "list", "--tenant", "acme")] == ["p"]
    assert "RX-PACKETS" in vpcctl.lines("usage", "list")[0].upper().replace("_", "-")


def test_old_figures_are_let_go(metered):
    controller, _ = metered
    controller.call("port.delete", name="p")
    controller.stop()
    with contextlib.closing(sqlite3.connect(f"{controller.dir}/state.db", isolation_level=None)) as db:
        db.execute("UPDATE usage SET deleted = deleted - 93 * 86400000")
    controller.start()
    wait_for(lambda: controller.call("usage.list")["items"] == [], 10)


def test_a_thousand_ports_are_cheap(metered):
    """One transaction an interval: what it costs does not depend on how many fsyncs a port would take."""
    controller, (a, _) = metered
    names = [f"n{n}" for n in range(1000)]
    controller.apply({"kind": "subnet", "name": "big", "vpc": "v", "cidr": "10.0.16.0/20"})
    controller.apply(*({"kind": "port", "name": name, "subnet": "big", "node": "host-a"} for name in names))
    at = revision(controller, names[-1])
    for number, name in enumerate(names, 1):
        a.live[number] = ["port", name, number, at, 0, 0, 0, 0]
    a.count(1000, names[-1], at, 1)
    wait_usage(controller, names[-1], 1)
    before = controller.cpu_s()
    for packets in range(2, 5):
        for entry in a.live.values():
            entry[4] += 1
        a.count(1000, names[-1], at, 1)
        wait_for(lambda n=packets: usage(controller, names[-1])["rx_packets"] >= n, 20)
    assert controller.cpu_s() - before < 6, "a second of processor for 1,000 ports, and the polls of this test"


# ---- With real dataplanes and traffic ----


class Traffic:
    """Frames of 100 IP bytes from `left` to `right`, counted."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.sent = 0
        self.left, self.right = cloud.machines["left"], cloud.machines["right"]

    def send(self, count):
        left, right = self.left.port, self.right.port
        frame = (
            Ether(src=left["mac"], dst=right["mac"])
            / IP(src=left["addresses"][0], dst=right["addresses"][0])
            / UDP(sport=1000, dport=2000)
            / Raw(b"x" * 72)
        )
        with self.left.wire() as wire:
            wire.send(*[frame] * count)
        self.sent += count

    def seen(self):
        """Packets sent by left and given to right; the bytes must fit them."""
        items = {item["name"]: item for item in self.cloud.call("usage.list", tenant="acme")["items"]}
        left, right = items["left"], items["right"]
        assert left["rx_bytes"] == 100 * left["rx_packets"] and right["tx_bytes"] == 100 * right["tx_packets"]
        assert left["tx_packets"] == 0 and right["rx_packets"] == 0
        return left["rx_packets"], right["tx_packets"]

    def settle(self):
        wait_for(lambda: self.seen() == (self.sent, self.sent), 10, lambda: f"{self.seen()} of {self.sent}")

    def come_back(self):
        """After a death of the dataplane."""
        for machine in (self.left, self.right):
            self.cloud.port_attached(machine)
            machine.ns.ip(f"link set dev {machine.ifname} up")


@pytest.fixture
def traffic():
    if os.geteuid() != 0:
        pytest.skip("needs root for network namespaces")
    cloud = Cloud(hosts=2, controller_config={"usage": {"interval_s": 1}})
    cloud.network("v", {"s": {"cidr": "10.0.1.0/24"}}, tenant="acme")
    for name in ("left", "right"):
        cloud.machine(name, "s", "a", raw=True, security_groups=["v-open"])
    yield Traffic(cloud)
    cloud.close(check=False)


def test_equals_what_was_sent(traffic):
    """Over kill -9 of each process, a clean restart and a move to another host."""
    cloud, host = traffic.cloud, traffic.cloud.host("a")
    traffic.send(50)
    traffic.settle()
    cloud.kill_controller()
    traffic.send(30)
    cloud.start_controller()
    traffic.settle()  # nothing is lost by the controller's death
    host.kill()
    host.start()
    cloud.wait_converged()
    traffic.come_back()
    traffic.send(20)
    traffic.settle()  # what had been collected is not lost by the dataplane's
    traffic.send(20)
    host.stop()
    host.start()
    cloud.wait_converged()
    traffic.settle()  # nothing is lost by a clean stop
    cloud.update("port", "right", node="host-b")
    cloud.wait_converged()
    traffic.come_back()
    traffic.send(10)
    traffic.settle()


def test_deaths_at_any_moment(traffic):
    """Never falling, never more than was sent; a dataplane's death costs at most what nobody had asked for."""
    random.seed(SEED)
    cloud, host = traffic.cloud, traffic.cloud.host("a")
    last, lost = (0, 0), 0
    for _ in range(12 if LONG else 4):
        traffic.send(random.randint(1, 40))
        victim = random.choice(["controller", "dataplane", "both"])
        recent = random.randint(1, 40)
        traffic.send(recent)
        if victim != "controller":
            host.kill()
            lost += traffic.sent - last[1]
        if victim != "dataplane":
            cloud.kill_controller()
            cloud.start_controller()
        if victim != "controller":
            host.start()
            cloud.wait_converged()
            traffic.come_back()
        now = traffic.seen()
        assert now[0] >= last[0] and now[1] >= last[1]
        assert now[0] <= traffic.sent and now[1] <= traffic.sent
        last = now
    traffic.send(5)
    wait_for(lambda: traffic.seen()[1] >= traffic.sent - lost, 10, lambda: f"{traffic.seen()} of {traffic.sent}")
