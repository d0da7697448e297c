# SPDX-License-Identifier: Apache-2.0
"""A port moves to another host while it talks: its connections live on, and next to no packet is lost.

    host-a: web .10, near .11   ---vxlan---   host-b: there .12   ---vxlan---   host-c: far .13

web goes to host-b and back. Nobody's rules let anybody in but those who connect: what is not carried over by
a session does not pass. recover_s is 0: nothing is picked up in its middle.
"""

import re
import threading
import time

import pytest
from lib import wait_for
from lib.process import end

FRONT = {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64"}
BACK = {"cidr": "10.0.2.0/24", "cidr6": "fd00:0:0:2::/64"}
PEERS = ("near", "there", "far")
ICMP = [{"direction": "ingress", "protocol": p} for p in ("icmp", "icmpv6")]
LOST_PINGS = 10


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud(hosts=3, node_config={"recover_s": 0})
    cloud.network("v", {"front": FRONT, "back": BACK})
    cloud.create("security_group", name="some", rules=[*ICMP, {"direction": "ingress", "protocol": "tcp", "ports": "7000-7999"}])
    cloud.machine("web", "front", "a", security_groups=["some"])
    for name, subnet, host in zip(PEERS, ("front", "back", "front"), "abc"):
        cloud.machine(name, subnet, host, security_groups=["some"])
    return cloud


def move(cloud, machine, host):
    """The answer comes when the old attachment is gone and both nodes obey."""
    port = cloud.get("port", machine.name)
    cloud.update("port", machine.name, node=f"host-{host}", attachment=port["attachment"])


def moved_sessions(cloud, before):
    """Waits for the end of the move; (copied, refused)."""

    def events():
        return [e for e in cloud.call("event.list")["items"] if e["reason"] in ("sessions_moved", "sessions_left_behind")]

    wait_for(lambda: len(events()) > before, 10, "the sessions have followed")
    last = events()[-1]
    assert last["reason"] == "sessions_moved", last
    return tuple(int(n) for n in re.findall(r"(\d+) (?:sessions|can)", last["message"]))


def count_moves(cloud):
    return len([e for e in cloud.call("event.list")["items"] if e["reason"].startswith("sessions_")])


class Stream(threading.Thread):
    """Bytes that say their own place, without end, through a connection in one direction; checked at the other end."""

    PIECE = bytes(range(256)) * 8

    def __init__(self, source, sink):
        super().__init__(daemon=True)
        self.source, self.sink = source, sink
        self.stop, self.error, self.received = threading.Event(), None, 0
        self.reader = threading.Thread(target=self.read, daemon=True)

    def run(self):
        self.source.settimeout(30)
        try:
            while not self.stop.is_set():
                self.source.sendall(self.PIECE)
                time.sleep(0.002)
        except OSError as e:
            self.error = e

    def read(self):
        self.sink.settimeout(30)
        try:
            while not self.stop.is_set():
                piece = self.sink.recv(65536)
                at = self.received % 256
                want = (self.PIECE[at:256] + self.PIECE * (len(piece) // len(self.PIECE) + 2))[: len(piece)]
                if not piece or piece != want:
                    raise OSError(f"wrong content at {self.received}")
                self.received += len(piece)
        except OSError as e:
            if not self.stop.is_set():
                self.error = e

    def begin(self):
        self.start()
        self.reader.start()
        return self

    def flows(self):
        """More comes through than there is now."""
        least = self.received + 4 * len(self.PIECE)
        wait_for(lambda: self.received >= least or self.error, 20, "the stream flows")
        assert self.error is None, self.error

    def finish(self):
        self.stop.set()
        self.join(40)
        assert self.error is None, self.error


class Pinger:
    """A ping each 20 ms from one machine to another."""

    def __init__(self, source, target, family):
        self.name = f"{source} to {target}, IPv{family}"
        self.process = source.popen("ping", "-n", "-q", "-i", "0.02", target.address(family), stdout=-1)

    def lost(self):
        self.process.send_signal(2)
        out = self.process.communicate(timeout=20)[0]
        end(self.process)
        sent, received = (int(n) for n in re.search(r"(\d+) packets transmitted, (\d+) received", out).groups())
        return sent - received


def test_connections_live_and_pings_pass(cloud, family):
    """To host-b and back: streams both ways on a connection of either's making, and connections that rest meanwhile."""
    web, far = cloud.machines["web"], cloud.machines["far"]
    resting = {}
    for port, name in enumerate(PEERS, 7100):
        resting[f"web to {name}"] = web.connect(cloud.machines[name], port, family)
        resting[f"{name} to web"] = cloud.machines[name].connect(web, port, family)
    busy = [web.connect(far, 7200, family), far.connect(web, 7200, family)]
    streams = [Stream(c.client, c.server).begin() for c in busy] + [Stream(c.server, c.client).begin() for c in busy]
    for stream in streams:
        stream.flows()
    for host in "ba":
        pingers = [Pinger(far, web, family), Pinger(web, far, family)]
        time.sleep(0.2)
        moves = count_moves(cloud)
        move(cloud, web, host)
        for stream in streams:
            stream.flows()
        copied, refused = moved_sessions(cloud, moves)
        assert copied >= 6 and refused == 0, (copied, refused)
        for what, connection in resting.items():
            assert connection.exchange(timeout_s=5), f"{what}, web on host-{host}"
        for pinger in pingers:
            lost = pinger.lost()
            assert lost <= LOST_PINGS, f"{pinger.name}: {lost} lost on the way to host-{host}"
    for stream in streams:
        stream.finish()
    for connection in [*resting.values(), *busy]:
        connection.close()


def test_a_host_is_emptied(make_cloud, long_run):
    """All its machines go at once: the connections among them, and to one that stays, live on."""
    cloud = make_cloud(hosts=2, node_config={"recover_s": 0})
    cloud.network("v", {"front": FRONT})
    names = [f"m{n}" for n in range(16 if long_run else 6)]
    machines = [cloud.machine(name, "front", "a", security_groups=["v-open"]) for name in names]
    stays = cloud.machine("stays", "front", "b", security_groups=["v-open"])
    pairs = list(zip(machines, machines[1:] + machines[:1])) + [(m, stays) for m in machines] + [(stays, m) for m in machines]
    connections = {f"{a} to {b}": a.connect(b, port) for port, (a, b) in enumerate(pairs, 7000)}
    moves = count_moves(cloud)
    resources = [{**port, "kind": "port", "node": "host-b"} for port in cloud.list("port") if port["name"] in names]
    cloud.apply(resources)
    wait_for(lambda: count_moves(cloud) >= moves + len(names), 20, "the sessions of all have followed")
    for what, connection in connections.items():
        assert connection.exchange(timeout_s=5), what
        connection.close()


def test_old_host_is_dead(make_cloud, family):
    """Its sessions can not be had: the new one picks connections up in their middle, where rules admit them."""
    cloud = make_cloud(hosts=3)
    cloud.network("v", {"front": FRONT})
    cloud.create("security_group", name="some", rules=[{"direction": "ingress", "protocol": "tcp", "ports": "7000-7999"}])
    web = cloud.machine("web", "front", "a", security_groups=["some"])
    far = cloud.machine("far", "front", "c", security_groups=["some"])
    begun, received = web.connect(far, 7000, family), far.connect(web, 7001, family)
    cloud.host("a").kill()
    web.ns.ip("link del eth0")  # what a dead host takes along
    port = cloud.get("port", "web")
    cloud.call("port.update", name="web", node="host-b", attachment=port["attachment"])
    cloud.port_attached(web)
    wait_for(lambda: any(e["reason"] == "sessions_left_behind" for e in cloud.call("event.list")["items"]), 10, "it is told")
    for connection in (begun, received):
        assert connection.exchange(b"from the middle", timeout_s=10)
        connection.close()
    cloud.host("a").start()
    cloud.wait_converged()
    assert web.connect(far, 7002, family).exchange()
