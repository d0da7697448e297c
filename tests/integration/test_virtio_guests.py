# SPDX-License-Identifier: Apache-2.0
"""Ports of virtual machines that come and go under load; the guests are DPDK's (tests/node/virtio_guest.c).

    left ──ping──▶ right            TAPs; not one may be lost
    left ──ping──▶ guest 10.0.1.99  a vhost-user port, made and removed again and again
"""

import os
import re
import time

import pytest
from lib import wait_for
from lib.cloud import build_dir
from lib.process import end, popen

GUEST = os.path.join(build_dir(), "tests/node/virtio_guest")
ADDRESS, MAC = "10.0.1.99", "02:00:00:00:00:99"


@pytest.fixture
def start_guest():
    started = []

    def start(path, role, queues):
        guest = popen([GUEST, path, role, queues, MAC], stdin=-1, stdout=-1)
        started.append(guest)
        return guest

    yield start
    for guest in started:
        end(guest)


def create_port(cloud, path, role, queues):
    return cloud.create(
        "port",
        name="guest",
        subnet="s",
        addresses=[ADDRESS],
        mac=MAC,
        security_groups=["v-open"],
        attachment={"type": "vhost_user", "socket": path, "role": role, "queues": queues},
    )


def holds(host):
    """(file descriptors, packet buffers in use) of a dataplane."""
    with host.rpc() as rpc:
        return len(os.listdir(f"/proc/{host.daemon.pid}/fd")), rpc.call("buffers")["used"]


def memory(host):
    with open(f"/proc/{host.daemon.pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)) * 1024


def test_state_follows_the_peer(make_cloud, start_guest):
    """Down with the reason, active, down again; what was sent meanwhile counts as port_down."""
    cloud = make_cloud(hosts=1, underlay=None)
    cloud.network("v", {"s": {"cidr": "10.0.1.0/24"}})
    left = cloud.machine("left", "s", security_groups=["v-open"])
    path = os.path.join(cloud.dir, "guest.sock")
    create_port(cloud, path, "server", 1)

    def status():
        return cloud.get("port", "guest")["status"]

    assert (status()["state"], status()["reason"]) == ("down", f"no peer is connected to {path}")
    assert not left.ping(ADDRESS)
    assert cloud.host().status()["packets"]["dropped"]["port_down"] == 1
    guest = start_guest(path, "client", 1)
    wait_for(lambda: left.ping(ADDRESS), 10, "the guest answers")
    assert status()["state"] == "active" and status()["reason"] == ""
    guest.kill()
    wait_for(lambda: status()["state"] == "down", 5, "the port is down")
    assert "no peer is connected" in status()["reason"]


def cpu_seconds(host):
    with open(f"/proc/{host.daemon.pid}/stat", encoding="ascii") as f:
        words = f.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def test_silent_guest_costs_nothing(make_cloud, start_guest):
    """Workers sleep beside a running guest, and its frames wake them.

    The bound is on CPU time, of which a busy computer does not take more; polling would use all of a worker's.
    """
    cloud = make_cloud(hosts=1, underlay=None, node_config={"idle": "adaptive"})
    cloud.network("v", {"s": {"cidr": "10.0.1.0/24"}})
    left = cloud.machine("left", "s", security_groups=["v-open"])
    path = os.path.join(cloud.dir, "guest.sock")
    create_port(cloud, path, "server", 2)
    start_guest(path, "client", 2)
    wait_for(lambda: left.ping(ADDRESS), 10, "the guest answers")
    used, began = cpu_seconds(cloud.host()), time.monotonic()
    wait_for(lambda: time.monotonic() - began > 2, 10)
    assert cpu_seconds(cloud.host()) - used < 0.2 * (time.monotonic() - began)
    assert left.ping(ADDRESS)


def test_come_and_go_under_load(make_cloud, start_guest, long_run):
    rounds = 100 if long_run else 10
    cloud = make_cloud(hosts=1, underlay=None)
    cloud.network("v", {"s": {"cidr": "10.0.1.0/24"}})
    left = cloud.machine("left", "s", security_groups=["v-open"])
    right = cloud.machine("right", "s", security_groups=["v-open"])
    host = cloud.host()
    assert left.ping(right)
    steady = left.popen("ping", "-n", "-q", "-i", "0.002", right.ip4, stdout=-1)
    load = left.popen("ping", "-n", "-q", "-i", "0.001", "-s", "1400", ADDRESS)
    ours, theirs = (os.path.join(cloud.dir, f"{whose}.sock") for whose in ("ours", "theirs"))
    lasting = start_guest(theirs, "server", 2)  # serves its socket over all rounds
    before = resident = None
    for number in range(rounds):
        if number % 2:
            create_port(cloud, theirs, "client", 2)
            guest = None
        else:
            create_port(cloud, ours, "server", 2)
            guest = start_guest(ours, "client", 2)
        wait_for(lambda: left.ping(ADDRESS), 10, "the guest answers")
        if guest and number % 4:  # dies before its port goes, or after
            guest.kill()
        cloud.delete("port", "guest")
        if guest:
            guest.kill()
            guest.communicate()
        before = before or holds(host)
        resident = memory(host) if number == 3 else resident
        wait_for(lambda: holds(host)[0] == before[0], 5, lambda: f"descriptors: {holds(host)}, {before} at first")
    assert lasting.poll() is None
    load.send_signal(2)
    steady.send_signal(2)
    out = steady.communicate(timeout=20)[0]
    sent, received = (int(n) for n in re.search(r"(\d+) packets transmitted, (\d+) received", out).groups())
    assert sent - received <= 1, out  # the one under way when ping is told to end
    assert sent > 100 * rounds
    assert memory(host) < resident + (4 << 20)
    wait_for(lambda: holds(host)[1] <= before[1] + 64, 5, lambda: f"buffers: {holds(host)}, {before} at first")
