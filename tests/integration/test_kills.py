# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random instants, of controller and dataplanes, under a stream of changes and traffic.

    host-a: left .10, moving   ---vxlan---   host-b: right .11, moving

The stream makes, changes, moves and deletes; it knows what was acknowledged. left and right are not part of it: they
talk all the time. Random, but the same with the same VPC_TEST_SEED.
"""

import os
import re
import threading
import time

from lib import RpcError, wait_for
from lib.process import end

SUBNETS = {
    "s": {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64"},
    "churn": {"cidr": "10.0.2.0/24", "cidr6": "fd00:0:0:2::/64"},
}
TCP_IN = [{"direction": "ingress", "protocol": "tcp"}, {"direction": "ingress", "protocol": "icmp"}]
NAMES = 12  # of each kind in the stream
VICTIMS = ["controller", "controller", "a", "b", "a+b", "controller+a", "controller+b", "controller+a+b"]


class Changes:
    """A stream of changes to objects of its own, and what of them was acknowledged."""

    def __init__(self, cloud, rng):
        self.cloud = cloud
        self.rng = rng
        self.model = {}  # (kind, name) → {field: value}; what must be there, and nothing else of the stream's
        self.doubt = None  # the change without an answer: (kind, name), fields or None (a deletion)
        self.acknowledged = 0

    def start(self):
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def finish(self):
        self.stop.set()
        self.thread.join(30)
        assert not self.thread.is_alive()

    def run(self):
        try:
            with self.cloud.connect() as connection:
                while not self.stop.is_set():
                    self.change(connection)
        except OSError:
            pass  # the server died with a change under way

    def fields(self, kind):
        """Values that an object of the kind may get, whether it is new or not."""
        rng = self.rng
        if kind == "prefix_list":
            return {"cidrs": sorted(f"198.51.{n}.0/24" for n in rng.sample(range(256), rng.randrange(1, 5)))}
        if kind == "security_group":
            lists = [n for k, n in self.model if k == "prefix_list"]
            remote = {"remote_prefix_list": rng.choice(lists)} if lists else {"remote_cidr": "203.0.113.0/24"}
            return {"rules": [{"direction": "ingress", "protocol": "udp", "ports": str(rng.randrange(1, 65535)), **remote}]}
        groups = [n for k, n in self.model if k == "security_group"]
        return {
            "node": f"host-{rng.choice('ab')}",
            "security_groups": sorted(rng.sample(groups, min(len(groups), rng.randrange(3)))),
        }

    def change(self, connection):
        rng = self.rng
        kind = rng.choice(["prefix_list", "security_group", "port", "port"])
        name = f"x-{kind.replace('_', '')}-{rng.randrange(NAMES)}"
        old = self.model.get((kind, name))
        new = None if old is not None and rng.random() < 0.3 else self.fields(kind)
        extra = {"subnet": "churn", "attachment": {"type": "none"}} if kind == "port" and old is None else {}
        self.doubt = ((kind, name), new)
        try:
            if new is None:
                connection.call(f"{kind}.delete", name=name)
            else:
                connection.call(f"{kind}.{'create' if old is None else 'update'}", name=name, **new, **extra)
        except RpcError as e:
            if e.code not in (2, 5):  # not_found, in_use: of lists and groups that come and go
                raise
        else:
            self.keep((kind, name), new)
            self.acknowledged += 1
        self.doubt = None

    def keep(self, key, new):
        if new is None:
            self.model.pop(key, None)
        else:
            self.model[key] = new

    def check(self):
        """What the controller has is what it has acknowledged; of the change without an answer, either."""
        there = {}
        for kind in ("prefix_list", "security_group", "port"):
            for item in self.cloud.list(kind):
                if item["name"].startswith("x-"):
                    there[(kind, item["name"])] = item
        if self.doubt is not None:
            key, new = self.doubt
            if (key in there) == (new is not None) and self.same(there.get(key), new):
                self.keep(key, new)
            self.doubt = None
        assert set(there) == set(self.model), f"lost or left over: {set(there) ^ set(self.model)}"
        for key, want in self.model.items():
            assert self.same(there[key], want), f"{key}: {there[key]} instead of {want}"

    @staticmethod
    def same(item, want):
        """Rules come back with their defaults."""
        if item is None or want is None:
            return item is want
        for field, value in want.items():
            if field == "rules":
                if [{k: r.get(k) for k in v} for r, v in zip(item[field], value)] != value or len(item[field]) != len(value):
                    return False
            elif (sorted(item[field]) if isinstance(value, list) else item[field]) != value:
                return False
        return True


def applied(host):
    """What a dataplane forwards by: its digest and how many items there are."""
    with host.rpc() as rpc:
        hello = rpc.call("hello", api_version=1, controller="test", node=host.name)
    return hello["items"], hello["digest"]


def interfaces(cloud):
    """Addresses and routes inside the machines."""
    return {
        name: [cloud.machines[name].run("ip", *what).stdout.replace(" linkdown", "") for what in (("-o", "-4", "addr"), ("route",))]
        + [re.findall(r"inet6 (\S+)", cloud.machines[name].run("ip", "-o", "-6", "addr").stdout)]
        for name in ("left", "right")
    }


class Scene:
    """The cloud, its stream, and a TCP connection that lives through all of it."""

    def __init__(self, cloud, rng):
        self.cloud, self.rng = cloud, rng
        cloud.network("v", SUBNETS)
        cloud.create("security_group", name="in", rules=TCP_IN)
        cloud.create("security_group", name="shut", rules=TCP_IN[1:])
        self.left = cloud.machine("left", "s", "a", security_groups=["shut"])
        self.right = cloud.machine("right", "s", "b", security_groups=["in"])
        for machine in (self.left, self.right):  # set from inside: nobody would set it again
            machine.ns.ip(f"addr add 172.16.0.{len(machine.name)}/24 dev eth0", "route add 172.17.0.0/24 dev eth0")
        self.inside = interfaces(cloud)
        self.connection = self.left.connect(self.right)
        self.changes = Changes(cloud, rng)

    def kill(self, victims):
        for victim in victims:
            if victim == "controller":
                self.cloud.kill_controller()
            else:
                self.cloud.host(victim).kill()

    def start(self, victims):
        """Dataplanes first: each forwards before any controller is back."""
        for victim in victims:
            if victim != "controller":
                self.cloud.host(victim).start()
        if victims != ["controller"]:
            wait_for(lambda: self.left.ping(self.right), 10, f"traffic flows after {victims} were killed")
        if "controller" in victims:
            self.cloud.start_controller()

    def round(self, victims):
        pinger = self.left.popen("ping", "-n", "-q", "-i", "0.02", self.right.ip4, stdout=-1)
        self.changes.start()
        least = self.changes.acknowledged + self.rng.randrange(1, 60)
        wait_for(lambda: self.changes.acknowledged >= least or not self.changes.thread.is_alive(), 20, "changes are acknowledged")
        time.sleep(self.rng.random() * 0.02)  # anywhere in what is under way, not at the answer
        self.kill(victims)
        if "a" in victims or "b" in victims:
            assert interfaces(self.cloud) == self.inside
        self.changes.finish()
        self.start(victims)
        self.cloud.wait_converged()
        self.changes.check()
        assert interfaces(self.cloud) == self.inside
        assert self.connection.exchange(timeout_s=5), "the connection lives on"
        pinger.send_signal(2)
        out = pinger.communicate(timeout=20)[0]
        end(pinger)
        sent, received = (int(n) for n in re.search(r"(\d+) packets transmitted, (\d+) received", out).groups())
        if victims == ["controller"]:
            assert sent - received <= 1, out  # the one under way when ping is told to end

    def check_applied(self):
        """Each dataplane has what one has that was told everything anew."""
        before = {host.name: applied(host) for host in self.cloud.hosts.values()}
        for host in self.cloud.hosts.values():
            host.kill()
            os.unlink(re.sub("sock$", "state", host.rpc_path))
            host.start()
        self.cloud.wait_converged()
        for host in self.cloud.hosts.values():
            assert applied(host) == before[host.name], f"{host} was not told what it should"


def test_killed_at_random_instants(make_cloud, rng, long_run):
    """200 times, or 20: after each, nothing acknowledged is lost, traffic flows, machines keep what they have."""
    scene = Scene(make_cloud(hosts=2), rng)
    kills = 0
    while kills < (200 if long_run else 20):
        victims = rng.choice(VICTIMS).split("+")
        scene.round(victims)
        kills += len(victims)
        if rng.random() < 0.2:
            scene.check_applied()
    scene.check_applied()
    scene.connection.close()
