# SPDX-License-Identifier: Apache-2.0
"""Two hosts, one programmed by its Unix socket, one by TLS over a link: traffic, deaths, a link that breaks.

    mgmt: vpc-controller ──unix──▶ host-a: left .10   ---vxlan---   host-b: right .11
                         └──198.18.2.0/24, tls://198.18.2.2:9471──────▲
"""

import pytest
from lib import RpcError, wait_for
from lib.authority import Authority


@pytest.fixture
def cloud(make_cloud, tmp_path):
    cloud = make_cloud(hosts=2, start=False)
    cloud.host("b").listen_tls(Authority(tmp_path), 2)
    cloud.start()
    cloud.network("v", {"s": {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64"}})
    cloud.machine("left", "s", "a", security_groups=["v-open"])
    cloud.machine("right", "s", "b", security_groups=["v-open"])
    return cloud


def test_a_host_by_tls_forwards_and_is_programmed_again(cloud):
    left, right, b = cloud.machines["left"], cloud.machines["right"], cloud.host("b")
    assert left.ping(right) and right.ping(left)
    assert "client connected" in b.daemon.log_text() and "certificate=controller" in b.daemon.log_text()

    # A change reaches both; with `wait` each obeys when the call is answered.
    cloud.update("port", "right", security_groups=[])
    assert not left.ping(right, count=1)
    cloud.update("port", "right", security_groups=["v-open"])
    assert left.ping(right)

    # Killed: what has changed meanwhile is there after its return.
    b.kill()
    cloud.call("security_group.create", name="none")
    cloud.call("port.update", name="right", security_groups=["none"])
    with pytest.raises(RpcError, match="host-b"):
        cloud.call("port.update", name="right", description="seen by nobody", wait=True, wait_timeout_ms=100)
    b.start()
    cloud.wait_converged()
    cloud.update("port", "right", security_groups=["v-open"])
    wait_for(lambda: left.ping(right, count=1), 10, "it forwards again")

    # The controller, too.
    cloud.kill_controller()
    assert left.ping(right), "it goes on without a controller"
    cloud.start_controller()
    assert left.ping(right)


def test_a_dead_link_is_noticed_and_healed(cloud, long_run):
    """The far end's link goes down: no end of the connection is told. Probes find out or, with a change on its way, that
    nobody acknowledges it."""
    b = cloud.host("b")
    for busy in (True, False) if long_run else (True,):
        b.ns.ip("link set mgmt0 down")
        if busy:
            cloud.call("port.update", name="right", security_groups=[])
        wait_for(lambda: cloud.get("node", "host-b")["status"]["state"] == "away", 40, "it is noticed", interval_s=0.2)
        cloud.call("port.update", name="right", security_groups=["v-open"])
        b.ns.ip("link set mgmt0 up")
        cloud.wait_converged(timeout_s=30)
        assert cloud.machines["left"].ping(cloud.machines["right"])
