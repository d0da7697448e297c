# SPDX-License-Identifier: Apache-2.0
"""vpcctl backup and restore: everything, as it was at one moment; back whole or not at all."""

import hashlib
import json
import os
import random
import sys
import threading

import pytest
from harness import BASE, NODE, TOKEN, Exited
from test_usage import Meter, figures, revision, usage, wait_usage

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from lib import Cloud, RpcError  # noqa: E402
from lib.wait import wait_for  # noqa: E402
from vpcctl import DONE, NO_SERVER, REFUSED, USAGE, Vpcctl, run  # noqa: E402

SEED = int(os.environ.get("VPC_TEST_SEED", "20260401"), 0)
LONG = os.environ.get("VPC_TEST_SIZE") == "long"
MORE = [
    {"kind": "vpc", "name": "other", "tenant": "globex", "cidrs": ["10.7.0.0/16"]},
    {"kind": "peering", "name": "agreed", "vpcs": ["shared", "other"]},
]


@pytest.fixture
def net(base):
    """Every kind, and a peering that somebody accepted."""
    base.apply(*MORE)
    base.call("peering.accept", name="agreed")
    return base


@pytest.fixture
def file(net, tmp_path):
    path = tmp_path / "net.backup"
    Vpcctl(net)("backup", str(path))
    return path


def restore(controller, path, *words, **kwargs):
    return Vpcctl(controller)("restore", str(path), *words, **kwargs)


def state(controller):
    """All objects as they are, without what says when."""
    kinds = ["tenant", "node", "vpc", "prefix_list", "security_group", "subnet", "port", "peering", "eip_pool", "eip", "nat_gateway", "load_balancer", "route", "mirror", "hook", "indicator_list", "inspection", "flow_log"]
    objects = [item for kind in kinds for item in controller.call(f"{kind}.list")["items"]]
    return [{key: value for key, value in item.items() if key != "revision"} for item in objects]


def test_into_an_empty_controller(net, file, make_controller):
    other = make_controller()
    restore(other, file)
    assert other.call("export") == net.call("export")
    assert state(other) == state(net), "also that the peering was accepted"
    assert other.call("status")["revision"] > net.call("status")["revision"], "revisions go on"
    restore(other, file, "--prune")
    assert state(other) == state(net)
    before = state(other)
    other.restart()
    assert state(other) == before


def test_into_a_running_one(net, file):
    before = state(net)
    net.call("route.delete", name="office")
    net.call("vpc.update", name="prod", description="changed")
    net.call("vpc.create", name="later", cidrs=["10.0.0.0/16"])
    changed = state(net)
    assert "1 created, 1 updated" in restore(net, file, "--dry-run").stdout
    assert state(net) == changed
    lines = restore(net, file).stdout.splitlines()
    assert {"created route office", "updated vpc prod (description)"} <= set(lines)
    assert "later" in net.names("vpc")
    assert Vpcctl(net).lines("restore", str(file), "--prune", "-o", "name") == ["vpc/later"]
    assert state(net) == before


def test_only_for_its_owner(net, tmp_path):
    path = tmp_path / "net.backup"
    path.write_text("old")
    path.chmod(0o644)
    Vpcctl(net)("backup", str(path))
    assert path.stat().st_mode & 0o777 == 0o600 and os.listdir(tmp_path) == [path.name]
    assert "No such file" in Vpcctl(net).error(USAGE, "backup", str(tmp_path / "nowhere" / "file"))
    assert "No such file" in Vpcctl(net).error(USAGE, "restore", str(tmp_path / "nowhere"))


def test_through_pipes_and_http(shared, tmp_path):
    vpcctl = Vpcctl(shared)
    text = vpcctl.text("backup", "-")
    assert vpcctl.json("restore", "-", stdin=text)["updated"] == 0
    web = ["--server", f"http://{shared.http}"]
    path = tmp_path / "token"
    path.write_text(TOKEN)
    assert "needs a token" in run(*web, "restore", "-", stdin=text, status=REFUSED).stderr
    assert "0 created" in run(*web, "--token-file", str(path), "restore", "-", stdin=text).stdout


def sealed(lines):
    """Lines with an end that fits them."""
    body = "".join(line + "\n" for line in lines)
    end = {"record": "end", "lines": len(lines) + 1, "sha256": hashlib.sha256(body.encode()).hexdigest()}
    return body + json.dumps(end) + "\n"


def damage(lines):
    """What may happen to a file: what → (the text, what is said)."""
    text = "".join(line + "\n" for line in lines)
    header, first = json.loads(lines[0]), json.loads(lines[1])
    return {
        "empty": ("", "cut off"),
        "no backup": ("kind: vpc\nname: a\n", "no backup"),
        "an export": (json.dumps({"resources": []}) + "\n", "no backup"),
        "cut": (text[: len(text) // 2], "damaged"),
        "cut at a line": ("".join(line + "\n" for line in lines[:-3]), "cut off"),
        "a line less": ("".join(line + "\n" for line in lines[:2] + lines[3:]), "damaged"),
        "a bit": (text.replace("10.0.1.0", "10.0.2.0", 1), "checksum"),
        "swapped": ("".join(line + "\n" for line in [lines[0], lines[2], lines[1], *lines[3:]]), "checksum"),
        "more behind": (text + lines[1] + "\n", "damaged"),
        "a newer format": (sealed([json.dumps({**header, "version": 99}), *lines[1:-1]]), "format 99"),
        "a newer kind": (sealed([lines[0], json.dumps({**first, "kind": "warp"}), *lines[1:-1]]), "kind `warp`"),
        "a newer field": (
            sealed([lines[0], json.dumps({**first, "object": {**first["object"], "colour": 1}}), *lines[2:-1]]),
            "colour",
        ),
        "a newer record": (sealed([*lines[:-1], '{"record": "dream"}']), "does not know"),
        "twice": (sealed([*lines[:2], *lines[1:-1]]), "twice"),
        "a contradiction": (sealed([line for line in lines[:-1] if '"kind":"vpc"' not in line]), "there is no"),
    }


@pytest.mark.parametrize("what", damage(['{"a": "10.0.1.0"}', '{"object": {}}', "3", "4", "5"]))
def test_refused_whole(file, make_controller, what):
    text, said = damage(file.read_text().splitlines())[what]
    file.write_text(text)
    empty = make_controller()
    error = Vpcctl(empty).error(REFUSED, "restore", str(file))
    assert said in error
    assert empty.call("export") == {"resources": []}


def test_no_line_may_be_missing_or_changed(net, file):
    """Whatever single line is changed."""
    random.seed(SEED)
    lines = file.read_text().splitlines()
    before = state(net)
    for number in random.sample(range(len(lines)), min(len(lines), 30 if LONG else 8)):
        place = random.randrange(len(lines[number]))
        old = lines[number][place]
        bad = lines[number][:place] + chr(ord(old) ^ 1) + lines[number][place + 1 :]
        file.write_text("\n".join([*lines[:number], bad, *lines[number + 1 :]]) + "\n")
        restore(net, file, "--prune", status=REFUSED)
    assert state(net) == before


def big(count):
    """More than a page of a backup holds."""
    return [
        {"kind": "prefix_list", "name": f"l{n}", "description": "x" * 900, "cidrs": ["198.51.100.0/24"]} for n in range(count)
    ]


def test_one_moment(net, make_controller):
    """What changes while it is read is not in it."""
    net.apply(*big(3000))
    before = net.call("export")
    first = net.call("backup")
    assert first["cursor"]
    net.call("prefix_list.delete", names=[f"l{n}" for n in range(1000)])
    net.call("vpc.update", name="prod", description="changed")
    lines, cursor = list(first["lines"]), first["cursor"]
    while cursor:
        page = net.call("backup", cursor=cursor)
        lines, cursor = lines + page["lines"], page["cursor"]
    other = make_controller()
    assert net.refused("invalid", "backup", cursor=first["cursor"]).data["path"] == "/cursor"
    half = len(lines) // 2
    upload = other.call("restore", lines=lines[:half])["upload"]
    assert other.refused("invalid", "restore", upload="17", commit=True).data["path"] == "/upload"
    other.call("restore", upload=upload, lines=lines[half:], commit=True)
    assert other.call("export") == before


def test_bounded(net):
    """Who begins and does not go on holds no more than a few."""
    net.apply(*big(1200))
    cursors = [net.call("backup")["cursor"] for _ in range(4)]
    assert all(cursors)
    net.refused("unavailable", "backup")
    while cursors[0]:
        cursors[0] = net.call("backup", cursor=cursors[0])["cursor"]
    assert net.call("backup")["cursor"]


def test_killed_in_the_middle(net, file):
    """kill -9 at random moments of a restore: all of it or nothing."""
    random.seed(SEED)
    net.apply(*big(300))
    later = net.call("export")
    Vpcctl(net)("backup", str(file) + ".later")
    restore(net, file, "--prune")
    earlier = net.call("export")
    for number in range(12 if LONG else 4):
        source = (str(file) + ".later") if number % 2 == 0 else file
        done = []
        thread = threading.Thread(target=lambda s=source: done.append(_try_restore(net, s)))
        thread.start()
        threading.Event().wait(random.random() * 0.06)
        net.kill()
        thread.join()
        try:
            net.start()
        except Exited:  # its socket was still the old one's
            net.start()
        there = net.call("export")
        assert there in (earlier, later)
        if done[0]:
            assert there == (later if number % 2 == 0 else earlier), "what was answered is stored"
        restore(net, source, "--prune")


def _try_restore(controller, path):
    done = Vpcctl(controller)
    for status in (DONE, REFUSED, NO_SERVER):
        try:
            done("restore", str(path), "--prune", status=status)
            return status == DONE
        except AssertionError as e:
            if f"exit {DONE}" in str(e):
                return True
    return False


def test_history(cluster, make_controller, tmp_path):
    """Usage goes on where the backup left it, also for lives that go on; nothing counts twice or falls."""
    controller, (a,) = cluster("host-a", usage={"interval_s": 1})
    meter = Meter(a)
    controller.apply(
        {"kind": "vpc", "name": "v", "cidrs": ["10.0.0.0/16"]},
        {"kind": "subnet", "name": "s", "vpc": "v", "cidr": "10.0.0.0/24"},
        {"kind": "port", "name": "p", "subnet": "s"},
        {"kind": "port", "name": "gone", "subnet": "s"},
        wait=True,
    )
    meter.count(1, "p", revision(controller), 10)
    meter.count(2, "gone", revision(controller, "gone"), 4)
    wait_usage(controller, "p", 10)
    wait_usage(controller, "gone", 4)
    controller.call("port.delete", name="gone")
    file = str(tmp_path / "net.backup")
    Vpcctl(controller)("backup", file)
    meter.count(1, "p", revision(controller), 5)
    wait_usage(controller, "p", 15)
    events = controller.call("event.list")["items"]
    restore(controller, file)
    assert usage(controller, "p") == figures(15), "never falling"
    assert controller.call("event.list")["items"] == events
    controller.stop()

    nodes = [{"name": "host-a", "rpc": a.path, "vtep": "192.0.2.1"}]
    other = make_controller(nodes=nodes, usage={"interval_s": 1})
    own = other.call("event.list")["items"]
    restore(other, file)
    restore(other, file)
    wait_usage(other, "p", 15)
    assert usage(other, "gone") == figures(4)
    kept = other.call("event.list")["items"]
    assert all(event in kept for event in own)
    assert [event["time"] for event in kept] == sorted(event["time"] for event in kept)
    assert len(kept) > len(own) and len({json.dumps(event) for event in kept}) == len(kept)
    before = other.call("usage.list")["items"]
    other.kill()
    other.start()
    assert other.call("usage.list")["items"] == before
    assert all(event in other.call("event.list")["items"] for event in kept)


def test_the_configuration_knows_its_nodes(net, file, make_controller):
    """A node of the configuration stays what the configuration says."""
    other = make_controller(nodes=[{"name": "host-a", "rpc": "/elsewhere.sock"}, {"name": "mine", "rpc": "/mine.sock"}])
    restore(other, file, "--prune")
    assert other.call("node.get", name="host-a")["rpc"] == "/elsewhere.sock" and NODE["rpc"] != "/elsewhere.sock"
    assert other.names("node") == ["host-a", "mine"]
    assert other.names("vpc") == sorted(r["name"] for r in BASE + MORE if r["kind"] == "vpc")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces")
def test_untouched_ports_lose_no_packet(tmp_path):
    """With real dataplanes, while everything else changes back and forth."""
    cloud = Cloud(hosts=2)
    try:
        cloud.network("v", {"s": {"cidr": "10.0.1.0/24"}})
        left = cloud.machine("left", "s", "a", security_groups=["v-open"])
        right = cloud.machine("right", "s", "b", security_groups=["v-open"])
        file = str(tmp_path / "net.backup")
        cloud.vpcctl("backup", file)
        wait_for(lambda: left.ping(right))
        ping = left.popen("ping", "-n", "-q", "-c", "200", "-i", "0.01", right.ip4, stdout=-1)
        for number in range(4):
            cloud.network(f"w{number}", {f"t{number}": {"cidr": "10.0.1.0/24"}})
            cloud.create("port", name="new", subnet=f"t{number}", node="host-a", security_groups=[f"w{number}-open"])
            cloud.create("port", name="newer", subnet="s", node="host-b")
            cloud.vpcctl("restore", file, "--prune", "--wait")
            assert [port["name"] for port in cloud.list("port")] == ["left", "right"]
        out = ping.communicate(timeout=60)[0]
        assert "200 received" in out, out
        with pytest.raises(RpcError):
            cloud.call("restore", lines=["{}"], commit=True)
    finally:
        cloud.close()
