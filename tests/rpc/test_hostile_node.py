# SPDX-License-Identifier: Apache-2.0
"""A node that lies: what it says of captures, flow logs, mirrors and alerts harms nobody but its own figures.

Everything random has a fixed seed. The controller answers others meanwhile, and its memory stays bounded.
"""

import base64
import random
import re
import struct
import subprocess
import urllib.request

import pytest
from harness import BASE, PASS_ALL
from lib import wait_for
from lib.rpc import RpcError
from vpcctl import PROGRAM, environment


def option(code, data):
    return struct.pack("<HH", code, len(data)) + data + bytes(-len(data) % 4)


def block(kind, body):
    size = len(body) + 12
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def interface(name=b"host-a/web1"):
    return block(1, struct.pack("<HHI", 1, 0, 0) + option(2, name) + bytes(4))


def packet(number=0, data=bytes(60), comment=b"verdict=drop reason=policy_ingress"):
    body = struct.pack("<IIIII", number, 0, 1, len(data), len(data)) + data + bytes(-len(data) % 4)
    return block(6, body + option(1, comment) + bytes(4))


def statistics(number=0):
    return block(5, struct.pack("<III", number, 0, 1) + option(5, bytes(8)) + bytes(4))


@pytest.fixture
def hostile(cluster):
    """A controller with one VPC on a node that is ours to speak for."""
    controller, (peer,) = cluster("host-a")
    controller.apply(*BASE)
    controller.apply({"kind": "port", "name": "web1", "subnet": "front", "node": "host-a"})
    wait_for(lambda: "web1" in peer.of("port"), 20, "the port")
    return controller, peer


def begin(controller, **params):
    """A capture, on a connection of its own."""
    client = controller.client()
    return client, client.call("capture", vpc="prod", **params)["capture"]


def tell(peer, number, data):
    peer.notify("capture.data", capture=number, data=data if isinstance(data, str) else base64.b64encode(data).decode())


def rss_kb(controller):
    with open(f"/proc/{controller.process.pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])


def metrics(controller):
    with urllib.request.urlopen(f"http://{controller.http}/metrics", timeout=60) as answer:
        return answer.read().decode()


def captures(controller):
    return {item["capture"]: item for item in controller.call("capture.list")["items"]}


def test_damaged_blocks(hostile):
    """Cut, flipped and forged blocks end their node's part of a capture, and nothing else."""
    controller, peer = hostile
    rng = random.Random(7)
    good = interface() + packet() * 3 + statistics()
    for _ in range(150):
        client, number = begin(controller)
        bad = bytearray(good)
        for _ in range(rng.randint(0, 4)):
            bad[rng.randrange(len(bad))] = rng.choice((0, 1, 4, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        if rng.random() < 0.3:
            del bad[rng.randrange(len(bad)) :]
        tell(peer, number, bytes(bad) if rng.random() < 0.9 else "=" * rng.randrange(9))
        tell(peer, number, packet(rng.choice((0, 1, 0xFFFFFFFF))))
        client.close()
    wait_for(lambda: not captures(controller), 20, lambda: captures(controller))
    assert controller.call("status")


def test_floods(hostile):
    """Interfaces and figures without end: their client reads nothing, the controller keeps no more than it may."""
    controller, peer = hostile
    client, number = begin(controller)
    tell(peer, number, interface() + packet())
    wait_for(lambda: captures(controller)[number]["packets"] == 1, 20, lambda: captures(controller))
    before = rss_kb(controller)
    many = (interface() + statistics()) * 5000
    for _ in range(20):  # 13 MB
        tell(peer, number, many)
    tell(peer, number, packet())
    controller.call("status")
    wait_for(lambda: number not in captures(controller) or rss_kb(controller) - before < 40_000, 20, lambda: rss_kb(controller) - before)
    client.close()
    wait_for(lambda: number not in captures(controller), 20, lambda: captures(controller))


def test_nothing_for_a_terminal(hostile):
    """vpcctl prints no byte of a node's that a terminal would obey."""
    controller, peer = hostile
    argv = [PROGRAM, "--socket", controller.socket_path, "capture", "--vpc", "prod", "--count", "2"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
        wait_for(lambda: captures(controller), 20, "the capture")
        (number,) = captures(controller)
        escape = b"\x1b]0;owned\x07\x9b\xc2\x9b31m"
        tell(peer, number, interface(b"host-a/" + escape) + packet(comment=b"verdict=drop reason=" + escape) * 2)
        said, told = process.communicate(timeout=60)
    assert b"host-a/" in said and b"length 60" in said, (said, told)
    assert not [byte for byte in said + told if (byte < 32 and byte != 10) or byte > 126], (said, told)


def test_figures(hostile):
    """Of flow logs and mirrors: numbers of any size, names that are none, answers of any form."""
    controller, peer = hostile
    controller.apply(
        {"kind": "flow_log", "name": "figures", "scope": {"vpc": "prod"}, "collector": "udp://127.0.0.1:9"},
        {"kind": "mirror", "name": "copies", "sources": [{"vpc": "prod"}], "target": {"type": "erspan", "address": "198.51.100.9", "session_id": 7}},
    )
    most = 2**63 - 1
    forged = 'x"} 1\nvpc_forged_total{a="'
    for name in ("figures", forged):
        item = {"name": name, "mirror": "copies", "records": most, "lost": -most, "ports": most, "packets": most, "bytes": most, "reason": ""}
        for method in ("flow_log.status", "mirror.status"):
            peer.answers[method] = {"items": [item, item, {"name": "figures"}, {}, 5, None, [item]]}
        assert controller.call("flow_log.get", name="figures")["status"]["state"]
        assert controller.call("mirror.get", name="copies")["status"]["state"]
        assert "vpc_forged_total" not in metrics(controller)
    for answer in (None, [], 3, "items", {"items": {}}, {"items": [[]]}, {"items": [{"name": "figures", "records": "x", "reason": 9}]}):
        peer.answers["flow_log.status"] = peer.answers["mirror.status"] = answer
        for kind, name in (("flow_log", "figures"), ("mirror", "copies")):
            try:
                controller.call(f"{kind}.get", name=name)
                controller.call(f"{kind}.list")
            except RpcError as e:
                assert e.code > 0, e
        metrics(controller)


def test_hooks(hostile):
    """Of hooks: a state without a reason, states that there are none of, sums beyond what fits."""
    controller, peer = hostile
    controller.apply({"kind": "hook", "name": "gate", "scope": [{"vpc": "prod"}], "role": "filter", "program": PASS_ALL})
    wait_for(lambda: controller.call("hook.get", name="gate")["status"]["state"] == "attached", 20, "the hook")
    most = 2**63 - 1
    for said in ({"state": "attached"}, {"state": "broken"}, {"state": 3, "reason": 4}, {"reason": "?"}, {"state": "attached", "reason": "", "runs": -1, "cycles": -most}, {"runs": most, "cycles": most, "ports": most, "mean_cycles": -1}):
        peer.answers["hook.status"] = {"items": [{}, 5, {"hook": "gate", **said}]}
        status = controller.call("hook.get", name="gate")["status"]
        assert status["state"] == ("error" if said.get("state") == "broken" else "attached"), (said, status)
        assert min(status[k] for k in ("ports", "runs", "dropped", "sampled", "mean_cycles")) >= 0, (said, status)
        assert status["nodes"][0]["node"] == "host-a" and status["nodes"][0]["mean_cycles"] >= 0


def test_alerts(hostile):
    """Alerts about nothing, of any form; the log says so a few times."""
    controller, peer = hostile
    controller.apply({"kind": "inspection", "name": "watch", "scope": {"vpc": "prod"}, "detectors": [{"type": "port_scan"}]})
    rng = random.Random(3)
    values = [None, True, 0, -1, 2**63 - 1, 1.5, "", "x" * 5000, "10.0.1.1", "web1", "watch", "port_scan", "\x1b[2J", [], [1, "a"], {}, {"packets": "A" * 300000}]
    vni = controller.call("vpc.get", name="prod")["vni"]
    for _ in range(150):
        params = {key: rng.choice(values) for key in ("vni", "inspection", "detector", "port", "source", "targets", "count", "evidence")}
        if rng.random() < 0.7:
            params.update(vni=vni, inspection="watch", detector="port_scan", source="10.0.1.77", port=rng.choice(("", "web1", "no")))
        peer.notify("inspect.alert", **params)
    wait_for(lambda: controller.call("alert.list", limit=1000)["items"], 20, "some were good")
    for alert in controller.call("alert.list", limit=1000)["items"]:
        assert (alert["vpc"], alert["source"]) == ("prod", "10.0.1.77") and len(alert["evidence"]["packets"]) < 270000
    assert controller.log().count("an alert about nothing") <= 10
