# SPDX-License-Identifier: Apache-2.0
"""What each step of the packet path takes, from the running program.

    host-a: left 10.0.0.2 --- dataplane --- right 10.0.0.3        they ping each other all the time
"""

import subprocess

import pytest
from lib import RpcError, wait_for
from lib.cloud import program


@pytest.fixture(scope="module")
def busy(make_module_cloud):
    cloud = make_module_cloud(hosts=1, underlay=None)
    cloud.network("v", {"s": {"cidr": "10.0.0.0/24"}})
    left, right = (cloud.machine(name, "s", security_groups=["v-open"]) for name in ("left", "right"))
    assert left.ping(right)
    pinger = left.ns.popen("ping", "-n", "-q", "-i", "0.002", right.ip4, stdout=subprocess.DEVNULL)
    yield cloud
    pinger.kill()
    pinger.wait()


def steps(items):
    """Packets of each step, over all workers."""
    packets = {}
    for item in items:
        packets[item["step"]] = packets.get(item["step"], 0) + item["packets"]
    return packets


def test_steps_that_packets_pass(busy):
    """Echo requests and replies pass port_rx, fast_path and port_tx; none of them cost nothing, none is counted twice."""
    node = busy.host().name
    items = wait_for(
        lambda: (lambda found: steps(found).get("port_tx", 0) >= 10 and found)(busy.call("node.perf", name=node, milliseconds=300)["items"]),
        20,
        "packets are seen",
    )
    packets = steps(items)
    assert packets["all"] == packets["port_rx"] >= packets["fast_path"] >= packets["port_tx"] - 2
    for item in items:
        assert 0 <= item["share_percent"] <= 101
        assert (item["cycles_per_packet"] is None) == (item["packets"] == 0)
        assert item["packets"] == 0 or item["cycles_per_packet"] > 1
    alone = next(i for i in items if i["step"] == "fast_path")
    everything = next(i for i in items if i["step"] == "all" and i["worker"] == alone["worker"])
    assert everything["share_percent"] >= alone["share_percent"]


def test_two_questions_at_once(busy):
    """A short question within a long one: each is answered for its own time."""
    node = busy.host().name
    with busy.connect() as one, busy.connect() as other:
        long = one.start("node.perf", name=node, milliseconds=1500)
        short = other.finish(other.start("node.perf", name=node, milliseconds=100), "node.perf")
        long = one.finish(long, "node.perf")
    assert steps(long["items"])["port_rx"] > steps(short["items"])["port_rx"]


def test_command(busy):
    argv = [program("vpcctl"), "--socket", busy.socket_path, "node", "perf", busy.host().name, "--milliseconds", "300"]
    shown = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert "fast_path" in shown and "CYCLES" in shown, shown


@pytest.mark.parametrize(
    "params, word",
    [
        ({"name": "nobody"}, "nobody"),
        ({"milliseconds": 100}, "name"),
        ({"name": "host-a", "milliseconds": 0}, "milliseconds"),
        ({"name": "host-a", "milliseconds": 60001}, "milliseconds"),
    ],
)
def test_refused(busy, params, word):
    with pytest.raises(RpcError, match=word):
        busy.call("node.perf", **params)


def test_node_away(busy):
    busy.create("node", name="far", vtep="192.0.2.99")
    with pytest.raises(RpcError, match="not connected"):
        busy.call("node.perf", name="far")
