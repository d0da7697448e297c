# SPDX-License-Identifier: Apache-2.0
"""What is acknowledged is there after kill -9; older stores are brought up to date; a damaged one is not guessed at."""

import json
import os
import random
import sqlite3
import struct
import threading
import time

import pytest
from harness import NODE, Controller, Exited, RpcError, counts
from lib.rpc import Rpc
from lib.wait import SLOWNESS, wait_for


def stream(controller, number, acknowledged, stop):
    """Creates, changes and deletes until the controller goes; remembers what was acknowledged."""
    client = controller.client()
    n = 0
    try:
        while not stop.is_set():
            name = f"t{number}-{n}"
            client.call("prefix_list.create", name=name, cidrs=["10.0.0.0/8"])
            acknowledged[name] = "created"
            client.call("prefix_list.update", name=name, description="changed")
            acknowledged[name] = "changed"
            if n % 3 == 0:
                acknowledged[name] = "being deleted"
                client.call("prefix_list.delete", name=name)
                acknowledged[name] = "deleted"
            n += 1
    except (OSError, ConnectionError, RpcError):
        pass


def test_kill_loses_nothing_acknowledged(make_controller):
    controller = make_controller()
    for _ in range(5):
        acknowledged, stop = {}, threading.Event()
        threads = [threading.Thread(target=stream, args=(controller, n, acknowledged, stop)) for n in range(4)]
        for thread in threads:
            thread.start()
        until = time.monotonic() + 30 * SLOWNESS
        while len(acknowledged) < 200 and time.monotonic() < until:
            time.sleep(0.005)
        controller.kill()
        stop.set()
        for thread in threads:
            thread.join()
        assert len(acknowledged) >= 200
        controller.start()
        there = {item["name"]: item["description"] for item in controller.call("prefix_list.list")["items"]}
        for name, state in acknowledged.items():
            if state == "deleted":
                assert name not in there, name
            elif state == "changed":
                assert there[name] == "changed", name
            elif state == "created":
                assert name in there, name
        revisions = [item["revision"] for item in controller.call("prefix_list.list")["items"]]
        assert controller.call("status")["revision"] >= max(revisions)
        controller.call("prefix_list.delete", names=sorted(there))


def rule(n):
    return {"direction": "ingress", "protocol": "tcp", "ports": str(n)}


def ports_of(rules):
    return [int(r["ports"]) for r in rules]


class Rules:
    """A long group that one client changes, rule by rule: what was acknowledged, and what it has asked for since."""

    def __init__(self, controller, name, seed):
        self.controller, self.name = controller, name
        self.generator = random.Random(seed)
        self.acknowledged = list(range(1, 1001))
        self.asked = self.acknowledged
        self.changes = 0
        controller.call("security_group.create", name=name, rules=[rule(n) for n in self.acknowledged])

    def change(self, client):
        some = self.generator.choice((1, 1, 1, 2, 60))
        if self.generator.random() < 0.5:
            free = self.generator.sample(sorted(set(range(1, 10000)) - set(self.acknowledged)), some)
            self.asked = self.acknowledged + free
            client.call("security_group.add_rules", name=self.name, rules=[rule(n) for n in free])
        elif self.generator.random() < 0.8:
            at = self.generator.randrange(len(self.acknowledged) - some)
            self.asked = self.acknowledged[:at] + self.acknowledged[at + some :]
            gone = [rule(n) for n in self.acknowledged[at : at + some]]
            client.call("security_group.remove_rules", name=self.name, rules=gone)
        else:
            at = self.generator.randrange(len(self.acknowledged))
            self.asked = self.acknowledged[at:] + self.acknowledged[:at]
            client.call("security_group.update", name=self.name, rules=[rule(n) for n in self.asked])
        self.acknowledged = self.asked
        self.changes += 1

    def run(self):
        with Rpc(self.controller.socket_path) as client:
            try:
                while True:
                    self.change(client)
            except (OSError, ConnectionError):
                pass

    def check(self):
        there = ports_of(self.controller.call("security_group.get", name=self.name)["rules"])
        assert there in (self.acknowledged, self.asked), f"{self.name} after {self.changes} changes"
        self.acknowledged = self.asked = there


def stored_rules(path):
    """What is in the file, put together as docs/architecture.md says: {group: ports}, and the number of parts."""
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT name, json FROM list_parts WHERE field = 'rules' ORDER BY name, part").fetchall()
        groups = {name: json.loads(text) for name, text in db.execute("SELECT name, json FROM objects")}
    db.close()
    rules = {name: [] for name in groups}
    for name, text in rows:
        assert groups[name]["rules"] == []
        rules[name] += ports_of(json.loads(text))
    return rules, len(rows)


def test_kill_while_the_rules_of_long_groups_change(make_controller):
    """One rule is one small row: after kill -9 at any instant the list is the one acknowledged, or the one asked for."""
    controller = make_controller()
    groups = [Rules(controller, f"g{n}", n) for n in range(3)]
    generator = random.Random(7)
    for _ in range(8):
        before = sum(group.changes for group in groups)
        threads = [threading.Thread(target=group.run) for group in groups]
        for thread in threads:
            thread.start()
        enough = before + generator.randint(5, 40)
        wait_for(lambda: sum(group.changes for group in groups) >= enough, 30, interval_s=0.001)  # pylint: disable=W0640
        time.sleep(generator.random() * 0.01)
        controller.kill()
        for thread in threads:
            thread.join()
        controller.start()
        for group in groups:
            group.check()
    assert controller.stop() == 0
    rules, parts = stored_rules(os.path.join(controller.dir, "state.db"))
    assert rules == {group.name: group.acknowledged for group in groups}
    assert parts <= sum(len(group.acknowledged) for group in groups) / 16 + 30


def test_a_transaction_is_there_whole_or_not_at_all(make_controller):
    controller = make_controller()
    resources = [{"kind": "prefix_list", "name": f"l{n}"} for n in range(3000)]
    for delay in (0.02, 0.05, 0.1, 0.15, 0.2, 0.3):
        client = controller.client()
        client.start("apply", resources=resources)
        time.sleep(delay * SLOWNESS)
        controller.kill()
        client.close()
        controller.start()
        there = controller.names("prefix_list")
        assert len(there) in (0, 3000)
        if there:
            controller.call("prefix_list.delete", names=there)


def test_revisions_rise_over_a_restart(make_controller):
    controller = make_controller()
    last = 0
    for n in range(3):
        revision = controller.call("tenant.create", name=f"t{n}")["revision"]
        assert revision > last
        last = revision
        controller.call("tenant.delete", name=f"t{n}")
        controller.restart()


# The store as version 1 of the schema had it.
VERSION_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE objects (kind TEXT NOT NULL, name TEXT NOT NULL, tenant TEXT NOT NULL,
 revision INTEGER NOT NULL, json TEXT NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID;
PRAGMA user_version = 1;
"""


def old_store(path, objects):
    with sqlite3.connect(path) as db:
        db.executescript(VERSION_1)
        for kind, value in objects:
            row = (kind, value["name"], value["tenant"], value["revision"], json.dumps(value))
            db.execute("INSERT INTO objects VALUES (?,?,?,?,?)", row)
        db.execute("INSERT INTO meta VALUES ('revision', '41')")
    db.close()


def test_migration_from_the_first_version(tmp_path, make_controller):
    vpc = {"name": "v", "tenant": "default", "description": "", "cidrs": ["10.0.0.0/8"], "vni": 77, "mtu": 1500, "revision": 40}
    old_store(tmp_path / "state.db", [("vpc", vpc)])
    controller = make_controller(directory=str(tmp_path))
    assert controller.call("vpc.get", name="v") == {**vpc, "status": {}}
    assert controller.call("tenant.create", name="t")["revision"] == 42
    assert controller.stop() == 0
    with sqlite3.connect(tmp_path / "state.db") as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == 4
    db.close()


def test_a_store_of_a_newer_version_is_refused(tmp_path):
    with sqlite3.connect(tmp_path / "state.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    refused_to_start(tmp_path, "newer version")


def test_a_store_that_contradicts_itself_is_refused(tmp_path):
    subnet = {"name": "s", "tenant": "default", "vpc": "gone", "cidr": "10.0.0.0/24", "gateway": "10.0.0.1", "revision": 1}
    old_store(tmp_path / "state.db", [("subnet", subnet)])
    refused_to_start(tmp_path, "contradicts itself")


def test_a_damaged_store_is_refused(tmp_path):
    (tmp_path / "state.db").write_bytes(b"SQLite format 3\0" + os.urandom(4000))
    refused_to_start(tmp_path, "store failed")


def refused_to_start(directory, why):
    controller = Controller(str(directory))
    with pytest.raises(Exited):
        controller.start()
    assert controller.process.returncode == 1
    assert why in controller.log()


def test_two_controllers_do_not_share_a_store(make_controller):
    first = make_controller()
    second = Controller(first.dir)
    second.socket_path = second.config["listen"] = second.socket_path + "2"
    second.log_path += "2"
    with pytest.raises(Exited):
        second.start()
    assert second.process.returncode == 1 and "locked" in second.log()
    assert first.call("status")["version"]


def test_a_hundred_thousand_objects_start_quickly(make_controller):
    controller = make_controller()
    controller.apply(NODE, {"kind": "vpc", "name": "v", "cidrs": ["10.0.0.0/8"]})
    subnets = [{"kind": "subnet", "name": f"s{n}", "vpc": "v", "cidr": f"10.{n}.0.0/16"} for n in range(10)]
    controller.apply(*subnets)
    for first in range(0, 100000, 20000):
        ports = [{"kind": "port", "name": f"p{n}", "subnet": f"s{n % 10}", "node": "host-a"} for n in range(first, first + 20000)]
        assert counts(controller.apply(*ports))["created"] == 20000
    assert controller.stop() == 0
    controller.start()
    assert controller.cpu_s() < 5 * SLOWNESS, f"{controller.cpu_s():.1f} s"
    assert len(controller.call("port.list", limit=10000)["items"]) == 10000
    took = []
    for n in range(300):
        before = controller.cpu_s()
        controller.call("port.update", name=f"p{n * 331 % 100000}", description="changed")
        took.append(controller.cpu_s() - before)
    assert sum(took) / len(took) < 0.005 * SLOWNESS and sorted(took)[-4] < 0.02 * SLOWNESS, took


def test_a_rule_that_finds_no_room_changes_nothing(make_controller, tmp_path):
    """A long group whose rules change until the disk is full; what is stored then goes on being the group."""
    if os.geteuid() != 0 or os.system(f"mount -t tmpfs -o size=2m none {tmp_path} 2>/dev/null") != 0:
        pytest.skip("needs to mount a tmpfs")
    try:
        controller = make_controller(store=f"sqlite:{tmp_path}/state.db")
        group = Rules(controller, "g", 3)
        with Rpc(controller.socket_path) as client, pytest.raises(RpcError) as refused:
            for _ in range(2000):
                group.change(client)
        assert refused.value.code == 7, refused.value
        assert ports_of(controller.call("security_group.get", name="g")["rules"]) == group.acknowledged
        group.asked = group.acknowledged
        os.system(f"mount -o remount,size=16m {tmp_path}")
        with Rpc(controller.socket_path) as client:
            for _ in range(20):
                group.change(client)
        controller.kill()
        controller.start()
        group.check()
        assert controller.stop() == 0
        assert stored_rules(tmp_path / "state.db")[0] == {"g": group.acknowledged}
    finally:
        os.system(f"umount {tmp_path}")


def log_pages(path):
    """Pages in the store's write-ahead log, and how many of them are in the store itself (sqlite.org/walformat.html)."""
    with open(f"{path}-shm", "rb") as f:
        index = f.read(136)
    return struct.unpack_from("=I", index, 16)[0], struct.unpack_from("=I", index, 96)[0]


def test_the_log_is_emptied_beside_the_calls(make_controller):
    """A thread copies what the log has gathered; a commit that finds all of it copied begins the log anew."""
    controller = make_controller()
    path = os.path.join(controller.dir, "state.db")
    lists = [{"kind": "prefix_list", "name": f"l{n}", "cidrs": [f"10.{n}.{m}.0/24" for m in range(200)]} for n in range(200)]
    grown = 0
    for n in range(20):
        controller.apply(*[{**item, "description": f"{n}"} for item in lists])
        grown = max(grown, log_pages(path)[0])
    assert grown > 1000, "enough to be copied"

    def begun_anew():
        controller.call("prefix_list.update", name="l1", description=f"{time.monotonic_ns()}")
        return log_pages(path)[0] < 1000

    wait_for(begun_anew, 10, lambda: f"{log_pages(path)} pages in the log and copied")
    controller.kill()
    controller.start()
    assert len(controller.names("prefix_list")) == 200


def test_a_disk_that_is_full_changes_nothing(make_controller, tmp_path):
    """The store on a file system of 2 MiB."""
    if os.geteuid() != 0 or os.system(f"mount -t tmpfs -o size=2m none {tmp_path} 2>/dev/null") != 0:
        pytest.skip("needs to mount a tmpfs")
    try:
        controller = make_controller(store=f"sqlite:{tmp_path}/state.db")
        there = []
        for n in range(1000):
            name = f"l{n}"
            try:
                controller.call("prefix_list.create", name=name, description="x" * 1000, cidrs=[f"10.{m}.0.0/16" for m in range(200)])
                there.append(name)
            except RpcError as e:
                assert e.code == 7, e
                break
        else:
            raise AssertionError("the disk never was full")
        assert sorted(there) == controller.names("prefix_list")
        revision = controller.call("status")["revision"]
        controller.refused("unavailable", "prefix_list.create", name="more", cidrs=[f"10.{m}.0.0/16" for m in range(200)])
        assert controller.call("status")["revision"] == revision
        os.system(f"mount -o remount,size=16m {tmp_path}")
        controller.call("prefix_list.create", name="more")
        controller.kill()
        controller.start()
        assert sorted([*there, "more"]) == controller.names("prefix_list")
        assert controller.stop() == 0
    finally:
        os.system(f"umount {tmp_path}")
