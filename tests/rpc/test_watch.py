# SPDX-License-Identifier: Apache-2.0
"""Those who are told: watchers, the event list, the audit log."""

import json
import os
import time

import pytest
from harness import BASE, CODES, NODE, RpcError
from lib.wait import wait_for


def drain(client, count):
    return [client.event() for _ in range(count)]


def test_watch_tells_every_change_in_order(controller):
    watcher = controller.client()
    start = watcher.call("watch")["revision"]
    controller.apply(NODE, *BASE)
    controller.call("vpc.update", name="prod", description="x")
    controller.call("vpc.update", name="prod", description="x")  # changes nothing: no event
    controller.refused("in_use", "vpc.delete", name="prod")
    controller.call("route.delete", name="office")
    events = drain(watcher, len(BASE) + 1 + 2)
    for event in events:
        controller.document.check_notification("event", event)
    revisions = [event["revision"] for event in events]
    assert revisions == sorted(set(revisions)) and revisions[0] > start
    assert [e["op"] for e in events] == ["create"] * (len(BASE) + 1) + ["update", "delete"]
    assert {(e["kind"], e["object"]["name"]) for e in events[:-2]} == {(r["kind"], r["name"]) for r in [NODE, *BASE]}
    assert events[-2]["object"]["description"] == "x" and events[-2]["object"]["revision"] == events[-2]["revision"]
    assert (events[-1]["kind"], events[-1]["object"]["name"]) == ("route", "office")


def test_watch_of_some_kinds(controller):
    watcher = controller.client()
    watcher.call("watch", kinds=["vpc", "route"])
    controller.apply(NODE, *BASE)
    assert {e["kind"] for e in drain(watcher, 3)} == {"vpc", "route"}
    watcher.call("watch", kinds=["tenant"])
    controller.call("vpc.update", name="prod", description="x")
    controller.call("tenant.create", name="t")
    assert watcher.event()["kind"] == "tenant"


def test_watchers_replay_to_the_same_state(controller):
    """What a watcher makes of the events is what export says, whoever changed it."""
    watcher = controller.client()
    watcher.call("watch")
    controller.apply(NODE, *BASE)
    controller.call("port.update", name="web1", enabled=False)
    controller.call("route.delete", name="office")
    last = controller.call("tenant.create", name="last")["revision"]
    state = {}
    while True:
        event = watcher.event()
        key = event["kind"], event["object"]["name"]
        if event["op"] == "delete":
            del state[key]
        else:
            state[key] = event["object"]
        if event["revision"] == last:
            break
    for resource in controller.call("export")["resources"]:
        shown = state.pop((resource["kind"], resource["name"]))
        assert resource.items() <= {"kind": resource["kind"], **shown}.items() or all(
            shown[k] == v for k, v in resource.items() if k != "kind"
        )
    assert not state


def test_a_watcher_that_goes_is_forgotten(controller):
    for _ in range(10):
        watcher = controller.client()
        watcher.call("watch")
        watcher.close()
    controller.call("tenant.create", name="t")
    assert controller.call("tenant.get", name="t")


def test_events(make_controller):
    controller = make_controller(nodes=[{"name": "n", "rpc": "/nowhere/n.sock"}])
    (event,) = wait_for(lambda: controller.call("event.list", kind="node")["items"])
    assert event["reason"] == "node_away" and event["severity"] == "warning" and event["node"] == event["name"] == "n"
    assert controller.call("event.list", severity="error")["items"] == []
    assert controller.call("event.list", kind="vpc")["items"] == []
    assert controller.call("event.list", since=event["time"])["items"] == []
    before = ["2020-01-01T00:00:00Z", event["time"][:-5] + "Z", event["time"][:-5] + "+00:00", event["time"][:-1] + "999Z", 0, 1.5]
    for since in before:
        whole_second = event["time"].endswith(".000Z") and str(since)[:19] == event["time"][:19] and "." not in str(since)
        assert controller.call("event.list", since=since)["items"] == ([] if whole_second else [event]), since
    controller.restart()
    items = wait_for(lambda: (lambda i: i if len(i) == 2 else None)(controller.call("event.list")["items"]))
    assert items[0] == event and items[1]["time"] > event["time"]
    page = controller.call("event.list", limit=1)
    assert page["items"] == items[:1] and page["cursor"]
    assert controller.call("event.list", cursor=page["cursor"]) == {"items": items[1:], "cursor": None}


def test_audit(base):
    done = len(base.audit())
    base.call("vpc.get", name="prod")
    assert len(base.audit()) == done, "reads are not in it"
    base.call("vpc.update", name="prod", description="x")
    base.refused("in_use", "vpc.delete", name="prod")
    base.refused("invalid", "vpc.create", name="No", cidrs=["10.0.0.0/8"])
    update, delete, create = base.audit()[done:]
    assert update["method"] == "vpc.update" and update["result"] == "ok" and update["code"] == 0
    assert update["objects"] == [{"op": "update", "kind": "vpc", "name": "prod"}]
    assert update["params"] == {"name": "prod", "description": "x"}
    assert update["who"] == {"source": "unix", "uid": os.getuid(), "pid": os.getpid()}
    assert update["revision"] == base.call("vpc.get", name="prod")["revision"]
    assert update["time"].endswith("Z") and update["time"][:4] >= "2024"
    assert (delete["result"], delete["code"]) == ("in_use", CODES["in_use"])
    assert (create["result"], create["params"]["name"]) == ("invalid", "No")


def test_audit_of_something_large(controller):
    controller.apply(*({"kind": "prefix_list", "name": f"l{n}", "description": "x" * 200} for n in range(100)))
    (line,) = controller.audit()
    assert set(line["params"]) == {"bytes", "fnv1a"} and line["params"]["bytes"] > 20000
    assert len(line["objects"]) == 100


def test_audit_is_written_before_the_answer(controller):
    for n in range(20):
        controller.call("tenant.create", name=f"t{n}")
        assert controller.audit()[-1]["params"]["name"] == f"t{n}"
    controller.kill()
    controller.start()
    assert len(controller.audit()) == 20


def test_wait_without_the_node(make_controller):
    """The node is away: stored, and said so; without wait it is no error at all."""
    controller = make_controller(nodes=[{"name": "n", "rpc": "/nowhere/n.sock", "vtep": "192.0.2.1"}])
    controller.call("vpc.create", name="v", cidrs=["10.0.0.0/8"], wait=True)  # concerns no node
    controller.call("subnet.create", name="s", vpc="v", cidr="10.0.0.0/24", wait=True)
    began = time.monotonic()
    error = controller.refused("unavailable", "port.create", name="p", subnet="s", wait=True, wait_timeout_ms=300)
    assert 0.25 < time.monotonic() - began < 5
    assert error.data["nodes"] == ["n"]
    port = controller.call("port.get", name="p")
    assert port["revision"] == error.data["revision"]
    assert port["status"]["state"] == "down" and "n" in port["status"]["reason"]
    controller.call("port.update", name="p", description="x")
    with pytest.raises(RpcError):
        controller.call("port.delete", name="p", wait=True, wait_timeout_ms=0)
    controller.refused("not_found", "port.get", name="p")
    assert [line["result"] for line in controller.audit()][-1] == "unavailable"


def test_status_of_nodes_that_are_away(shared):
    status = shared.call("status")
    (node,) = status["nodes"]
    assert node["name"] == "host-a" and node["connected"] is False and node["version"] is None
    assert json.dumps(status)


def send_together(client, *calls):
    """Several requests in one write: the server handles them in one turn, and stores them together."""
    ids = []
    lines = b""
    for method, params in calls:
        ids.append(client._next_id)
        lines += json.dumps({"jsonrpc": "2.0", "id": client._next_id, "method": method, "params": params}).encode() + b"\n"
        client._next_id += 1
    client.send_bytes(lines)
    return [client.finish(request_id, method) for request_id, (method, _) in zip(ids, calls)]


def test_what_comes_and_goes_in_one_turn(base):
    """Each answer and each event shows the object after its own change, not after the next one."""
    watcher = base.client()
    watcher.call("watch")
    for _ in range(20):
        calls = [
            ("vpc.create", {"name": "v", "cidrs": ["10.0.0.0/16"]}),
            ("subnet.create", {"name": "s", "vpc": "v", "cidr": "10.0.0.0/24"}),
            ("port.create", {"name": "p", "subnet": "s", "node": "host-a"}),
            ("port.update", {"name": "p", "description": "x"}),
            ("port.update", {"name": "p", "description": "y"}),
            ("port.delete", {"name": "p"}),
            ("subnet.delete", {"name": "s"}),
            ("vpc.delete", {"name": "v"}),
            ("vpc.create", {"name": "v", "cidrs": ["10.0.0.0/16"]}),
            ("vpc.delete", {"name": "v"}),
        ]
        answers = send_together(base.rpc, *calls)
        assert answers[3]["description"] == "x" and answers[4]["description"] == "y"
        assert answers[1]["status"]["gateway_mac"]
        events = drain(watcher, len(calls))
        for event in events:
            base.document.check_notification("event", event)
        assert [e["op"] for e in events] == [method.split(".")[1] for method, _ in calls]
        assert [e["object"].get("description") for e in events[2:6]] == ["", "x", "y", "y"]
        revisions = [e["revision"] for e in events]
        assert revisions == sorted(set(revisions))
