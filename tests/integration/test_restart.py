# SPDX-License-Identifier: Apache-2.0
"""Either process dies at any moment: nothing acknowledged is lost, traffic goes on, the other side catches up.

    host-a: left .10   ---vxlan---   host-b: right .11
"""

import os
import re
import shutil
import stat
import threading
import time

import pytest
from lib import RpcError, wait_for
from lib.process import end

SUBNETS = {"s": {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64"}}


@pytest.fixture
def cloud(make_cloud):
    cloud = make_cloud(hosts=2)
    cloud.network("v", SUBNETS)
    cloud.machine("left", "s", "a", security_groups=["v-open"])
    cloud.machine("right", "s", "b", security_groups=["v-open"])
    return cloud


def test_controller_killed_under_a_stream_of_changes(cloud, long_run):
    """kill -9 at a random moment, several times: what was acknowledged is there, and not a ping was lost."""
    left, right = cloud.machines["left"], cloud.machines["right"]
    assert left.ping(right)
    pinger = left.popen("ping", "-n", "-q", "-i", "0.02", right.ip4, stdout=-1)
    acknowledged, attempted = set(), 0
    for _ in range(10 if long_run else 3):
        stop = threading.Event()

        def changes(stop=stop):
            nonlocal attempted
            with cloud.connect() as connection:
                while not stop.is_set():
                    attempted += 1
                    name = f"list-{attempted}"
                    connection.call("prefix_list.create", name=name, cidrs=["198.51.100.0/24"])
                    acknowledged.add(name)

        def stream(stop=stop):
            try:
                changes(stop)
            except (OSError, RpcError):
                pass  # the server died with this request under way: it may or may not stand

        thread = threading.Thread(target=stream)
        thread.start()
        least = len(acknowledged) + 20
        wait_for(lambda least=least: len(acknowledged) >= least, 10, "changes are acknowledged")
        cloud.kill_controller()
        stop.set()
        thread.join()
        cloud.start_controller()
        present = {item["name"] for item in cloud.list("prefix_list")}
        assert acknowledged <= present, f"lost: {sorted(acknowledged - present)}"
    pinger.send_signal(2)
    out = pinger.communicate(timeout=20)[0]
    sent, received = (int(n) for n in re.search(r"(\d+) packets transmitted, (\d+) received", out).groups())
    assert sent - received <= 1, out  # the one under way when ping is told to end


def test_controller_start_changes_nothing(cloud):
    before = cloud.call("export")["resources"]
    cloud.stop_controller()
    cloud.start_controller()
    assert cloud.call("export")["resources"] == before
    assert cloud.apply(before)["changes"] == []


def test_connections_live_through_a_controller_restart(cloud, family):
    connection = cloud.machines["left"].connect(cloud.machines["right"], family=family)
    cloud.kill_controller()
    assert connection.exchange()
    cloud.start_controller()
    assert connection.exchange()
    connection.close()


def test_dataplane_killed_is_programmed_again(cloud):
    """Within 2 s of its start, desired equals applied, and traffic flows."""
    left, right = cloud.machines["left"], cloud.machines["right"]
    host = cloud.host("b")
    host.kill()
    host.start()
    started = time.monotonic()
    cloud.wait_converged(2)
    wait_for(lambda: left.ping(right) and right.ping(left), 5, "traffic flows again")
    assert host.status()["revision"]["desired"] == host.status()["revision"]["applied"]
    assert time.monotonic() - started < 20


def test_changes_made_while_a_dataplane_is_away(cloud):
    """They are acknowledged, stand, and are obeyed once it is back; with `wait` the answer says who did not obey."""
    left, right = cloud.machines["left"], cloud.machines["right"]
    cloud.host("b").kill()
    cloud.call("security_group.update", name="v-open", rules=[])
    with pytest.raises(RpcError) as error:
        cloud.call("port.update", name="right", description="away", wait=True, wait_timeout_ms=300)
    assert error.value.code == 7 and error.value.data["nodes"] == ["host-b"]
    assert cloud.get("port", "right")["description"] == "away"
    cloud.host("b").start()
    cloud.wait_converged()
    assert not left.ping(right)
    cloud.update("security_group", "v-open", rules=[{"direction": "ingress", "protocol": "any"}])
    wait_for(lambda: left.ping(right), 5, "right answers again")


def test_dataplane_starts_without_a_controller(cloud):
    """It forwards by what it applied last."""
    left, right = cloud.machines["left"], cloud.machines["right"]
    cloud.kill_controller()
    for host in cloud.hosts.values():
        host.kill()
        host.start()
    wait_for(lambda: left.ping(right), 10, "traffic flows without a controller")
    cloud.start_controller()
    assert left.ping(right)


def test_state_outlives_a_reboot(make_cloud):
    """A dataplane whose socket is in /run keeps its state where /run's end does not take it, for root's eyes only."""
    cloud = make_cloud(hosts=1, start=False)
    host = cloud.host()
    name = f"{cloud.tag}-{host.name}"
    host.rpc_path = host.config["rpc"] = f"/run/{cloud.tag}/{name}.sock"
    host.daemon.argv = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /var/lib && exec "$@"', "sh", *host.daemon.argv]
    try:
        host.start()
        lib = f"/proc/{host.daemon.pid}/root/var/lib"
        wait_for(lambda: os.path.exists(f"{lib}/vpc-dataplane/{name}.state"), 10, "the state is saved")
        directory, file = (os.stat(f"{lib}/vpc-dataplane{rest}") for rest in ("", f"/{name}.state"))
        assert stat.S_IMODE(directory.st_mode) == 0o700 and stat.S_IMODE(file.st_mode) == 0o600
        assert host.stop() == 0
    finally:
        shutil.rmtree(f"/run/{cloud.tag}", ignore_errors=True)


def test_clean_stop_is_clean(cloud):
    """SIGTERM ends each with status 0 and takes its TAPs' machines nothing but the link."""
    assert cloud.stop_controller() == 0
    for host in cloud.hosts.values():
        assert host.stop() == 0


def test_traffic_during_a_resync(cloud):
    """A controller that comes back compares and sends nothing that disturbs: no retransmission in a transfer."""
    left, right = cloud.machines["left"], cloud.machines["right"]
    right.serve_http()
    transfer = left.popen("curl", "-sS", "--max-time", "60", "-o", "/dev/null", f"http://{right.ip4}/bytes/200000000")
    for _ in range(3):
        cloud.kill_controller()
        cloud.start_controller()
    assert transfer.wait(60) == 0
    end(transfer)
