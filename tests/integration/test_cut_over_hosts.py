# SPDX-License-Identifier: Apache-2.0
"""A flow over two hosts that a change made illegal is gone from both, without a packet of it.

    host-a: left (VPC v)   ---vxlan---   host-b: right (VPC v), far (VPC w, peered with v)

Only one of the nodes sees the rule that is taken away; the other has to be told.
"""

import pytest
from lib import wait_for

SUBNETS = {"s": {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64"}}
PEERS = {"t": {"cidr": "10.9.1.0/24", "cidr6": "fd00:9:0:1::/64"}}
BOTH = ["host-a", "host-b"]
CUT_TCP, CUT_UDP, KEPT = ("tcp", "7777"), ("udp", "7000"), ("tcp", "7778")


def rule(direction, what):
    return {"direction": direction, "protocol": what[0], "ports": what[1], "priority": 10}


def rules(direction):
    return [rule(direction, what) for what in (CUT_TCP, CUT_UDP, KEPT)]


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud(hosts=2)
    cloud.network("v", SUBNETS)
    cloud.network("w", PEERS)
    cloud.create("peering", name="vw", vpcs=["v", "w"])
    nothing_else = {"direction": "egress", "action": "deny", "protocol": "any", "priority": 20}
    cloud.create("security_group", name="egress", rules=[*rules("egress"), nothing_else])
    cloud.create("security_group", name="ingress", rules=rules("ingress"))
    # A group is its VPC's tenant's, so both ends of the peering may have the same.
    cloud.machine("left", "s", "a", security_groups=["egress"])
    cloud.machine("right", "s", "b", security_groups=["ingress"])
    cloud.machine("far", "t", "b", security_groups=["ingress"])
    return cloud


def tcp_nodes(cloud, connection):
    """Names of the nodes that have a session of the connection."""
    client = f":{connection.client.getsockname()[1]}"
    return sorted(item["node"] for item in cloud.call("session.list", protocol="tcp")["items"] if item["client"].endswith(client))


def udp_nodes(cloud):
    return sorted(item["node"] for item in cloud.call("session.list", protocol="udp")["items"])


@pytest.mark.parametrize("busy", [False, True], ids=["silent", "busy"])
@pytest.mark.parametrize("to", ["right", "far"])
@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_gone_from_both_hosts(cloud, family, direction, to, busy):
    """In 1 s from the call's answer: the hand takes 0.8 s to come around, telling the other node some milliseconds.

    Silent: the hand finds it. Busy: a worker may, at a packet, of which more come from who has lost its connection.
    """
    left, right = cloud.machines["left"], cloud.machines[to]
    cloud.call("session.flush")
    cut = left.connect(right, 7777, family)
    kept = left.connect(right, 7778, family)
    assert cut.exchange() and kept.exchange()
    assert left.udp_echo(right, 7000, family=family)
    assert [tcp_nodes(cloud, cut), tcp_nodes(cloud, kept), udp_nodes(cloud)] == 3 * [BOTH]
    gone = [rule(direction, what) for what in (CUT_TCP, CUT_UDP)]
    cloud.call("security_group.remove_rules", name=direction, rules=gone, wait=True)
    try:
        if busy:
            cut.client.send(b"more")
            cut.server.send(b"more")
        wait_for(lambda: not tcp_nodes(cloud, cut) + udp_nodes(cloud), 1, "no session of what was cut is left")
        assert tcp_nodes(cloud, kept) == BOTH
    finally:
        cloud.call("security_group.add_rules", name=direction, rules=gone, wait=True)
    assert kept.exchange()
    assert not cut.exchange(timeout_s=0.2), "it does not come back with the rule"
    cut.close()
    kept.close()
