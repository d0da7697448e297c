# SPDX-License-Identifier: Apache-2.0
"""A virtual machine, its network device a vhost-user port, and a container on the other host.

    host-a: vpc-dataplane ┄ guest.sock ┄ QEMU: eth0 by DHCP   ---vxlan---   host-b: right, a TAP
"""

import hashlib
import os
import socket
import threading

import pytest
from lib import wait_for
from lib.guest import Guest, Unavailable, kernel
from lib.process import end, popen

SUBNETS = {"s": {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64"}}


@pytest.fixture(scope="module", autouse=True)
def _can_run():
    try:
        kernel()
    except Unavailable as e:
        print(e)
        pytest.skip(str(e))


@pytest.fixture
def make_guest(make_cloud):
    """make_guest(role, queues): a cloud with its virtual machine. The machine uses all pairs of the port's unless told."""
    processes = []

    def make(role, queues, used=None):
        cloud = make_cloud(hosts=2)
        cloud.network("v", SUBNETS)
        right = cloud.machine("right", "s", "b", security_groups=["v-open"])
        path = os.path.join(cloud.dir, "guest.sock")
        port = cloud.create(
            "port",
            name="guest",
            subnet="s",
            node="host-a",
            security_groups=["v-open"],
            attachment={"type": "vhost_user", "socket": path, "role": role, "queues": queues},
        )
        assert cloud.get("port", "guest")["status"]["state"] == "down"
        guest = Guest(popen, path, port["mac"], role, used or queues)
        processes.append(guest.process)
        return cloud, guest, port, right

    yield make
    for process in processes:
        end(process)


class Transfer:
    """One TCP connection to a port of the machine; what comes in is counted and hashed, `data` is sent."""

    def __init__(self, machine, data=b""):
        self.data = data
        self.received = 0
        self.digest = hashlib.sha256()
        self.listener = machine.socket(4)
        self.listener.bind(("0.0.0.0", 0))
        self.listener.listen(1)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        with self.listener, self.listener.accept()[0] as peer:
            if self.data:
                peer.sendall(self.data)
                peer.shutdown(socket.SHUT_WR)
            while chunk := peer.recv(1 << 20):
                self.received += len(chunk)
                self.digest.update(chunk)

    def join(self, timeout_s):
        self.thread.join(timeout_s)
        assert not self.thread.is_alive(), f"{self.received} bytes came"


def send_command(right, transfer, megabytes):
    """The guest sends random bytes and prints their digest."""
    return (
        "rm -f /tmp/f; mkfifo /tmp/f; sha256sum </tmp/f >/tmp/sum & "
        f"dd if=/dev/urandom bs=1M count={megabytes} 2>/dev/null | tee /tmp/f | nc {right.ip4} {transfer.port}; "
        "wait; cat /tmp/sum"
    )


@pytest.mark.parametrize("role, queues", [("server", 1), ("client", 2)])
def test_guest(make_guest, role, queues, long_run):
    """An address by DHCP, ping, TCP both ways with equal digests; then the dataplane is killed under a transfer."""
    megabytes = 100 if long_run else 20 if role == "server" else 8
    cloud, guest, port, right = make_guest(role, queues)
    guest.wait_ready()
    assert len(guest.run("ls -d /sys/class/net/eth0/queues/tx-*").split()) == queues
    lease = guest.dhcp()
    assert lease["ip"] in port["addresses"]
    assert cloud.get("port", "guest")["status"]["state"] == "active"
    assert "3 packets received" in guest.run(f"ping -c 3 -W 2 {right.ip4}")
    assert right.ping(lease["ip"])

    down = Transfer(right, os.urandom(megabytes << 20))
    out = guest.run(f"nc {right.ip4} {down.port} </dev/null | sha256sum", timeout_s=300)
    assert hashlib.sha256(down.data).hexdigest() in out
    down.join(10)
    counters = cloud.get("port", "guest")["status"]["counters"]
    assert counters["tx_bytes"] > 2 * 1500 * counters["tx_packets"], "segments were not put together for the guest"

    up = Transfer(right)
    guest.start(send_command(right, up, megabytes))
    wait_for(lambda: up.received > megabytes << 18, 60, "a quarter of the transfer")
    host = cloud.host("a")
    host.kill()
    assert up.received < megabytes << 20, "killed too late"
    host.start()
    out = guest.finish(timeout_s=300)
    up.join(30)
    assert up.received == megabytes << 20
    assert up.digest.hexdigest() in out


def test_more_queues_than_the_port_has(make_guest):
    """QEMU is told how many there are, and does not start a machine with more."""
    _, guest, _, _ = make_guest("server", 2, used=3)
    guest.wait_says("you are asking more queues than supported: 2", 60)
