# SPDX-License-Identifier: Apache-2.0
"""Inspections, alerts and what is done about them. Nodes are played by peers, which raise alerts at will."""

import base64
import json
import os
import re
import socket
import time

import pytest
from lib.wait import wait_for

VPC = {"kind": "vpc", "name": "v", "cidrs": ["10.0.0.0/16"]}
SUBNET = {"kind": "subnet", "name": "s", "vpc": "v", "cidr": "10.0.1.0/24"}
GROUPS = [
    {"kind": "security_group", "name": "web", "rules": [{"direction": "ingress", "protocol": 6, "ports": "80"}]},
    {"kind": "security_group", "name": "forensics", "rules": [{"direction": "ingress", "remote_cidr": "10.0.9.0/24"}]},
]
SEALED = "!quarantine"
FLOW = {"protocol": 6, "source": "10.0.1.10", "source_port": 4000, "target": "10.0.1.11", "target_port": 22}


def port(name, node, address):
    return {"kind": "port", "name": name, "subnet": "s", "node": node, "addresses": [address], "security_groups": ["web"]}


def inspection(name="i", types=("port_scan",), **fields):
    return {"kind": "inspection", "name": name, "scope": {"vpc": "v"}, "detectors": [{"type": t} for t in types], **fields}


@pytest.fixture
def two(cluster, tmp_path):
    """Two hosts with a port each; alerts go to a file, too."""

    def make(*resources, **alerts):
        controller, (a, b) = cluster("host-a", "host-b", alerts={"file": str(tmp_path / "alerts" / "a.jsonl"), **alerts})
        controller.apply(
            *(VPC, SUBNET, *GROUPS, *resources),
            *(port("pa", "host-a", "10.0.1.10"), port("pb", "host-b", "10.0.1.11")),
            wait=True,
        )
        return controller, a, b

    return make


def raise_alert(peer, **fields):
    peer.notify(
        "inspect.alert",
        **{
            **{"vni": 10000, "inspection": "i", "detector": "port_scan", "port": "pa", "source": "10.0.1.10"},
            **{"targets": ["10.0.1.11:22", "10.0.1.11:23"], "count": 20},
            **{"evidence": {"flow": FLOW, "slow": False, "packets": base64.b64encode(b"pcapng").decode()}},
            **fields,
        },
    )


def alerts(controller, **filters):
    return controller.call("alert.list", **filters)["items"]


def heard(controller, count=1):
    wait_for(lambda: len(alerts(controller)) >= count, 10, lambda: controller.log()[-2000:])
    return alerts(controller)[-1]


def groups(peer, name="pa"):
    return peer.of("port")[name][6]


def lines(tmp_path):
    with open(tmp_path / "alerts" / "a.jsonl", encoding="utf-8") as f:
        return [json.loads(line) for line in f]


# ---- What nodes are told ----


def test_items(two):
    lists = [
        {"kind": "indicator_list", "name": "one", "entries": ["203.0.113.66", "2001:db8::/32"]},
        {"kind": "indicator_list", "name": "two", "entries": []},
    ]
    detectors = [{"type": "syn_flood", "threshold": 77}, {"type": "indicator", "window_s": 9}]
    controller, a, b = two(*lists, inspection(detectors=detectors, sample=10, first_packets=4, snaplen=256))
    for peer in (a, b):
        (item,) = peer.all("inspection")
        assert item[:2] == ["i", 10000] and item[3:7] == [["one", "two"], 4, 10, 256]
        assert item[2] == {"syn_flood": {"threshold": 77, "window_s": 10}, "indicator": {"threshold": 1, "window_s": 9}}
        assert peer.of("indicator_list")["one"][2] == ["203.0.113.66", "2001:db8::/32"]
    controller.call("inspection.update", name="i", indicator_lists=["two"], wait=True)
    assert set(a.of("indicator_list")) == {"two"}
    controller.call("indicator_list.update", name="two", entries=["192.0.2.0/24"], wait=True)
    assert a.of("indicator_list")["two"][2] == ["192.0.2.0/24"]
    # Without a detector that looks for them, and elsewhere, nothing.
    controller.call("inspection.update", name="i", detectors=[{"type": "beacon"}], wait=True)
    assert not a.of("indicator_list") and a.all("inspection")[0][2] == {"beacon": {"threshold": 10, "window_s": 3600}}
    contacts = {"type": "first_contact", "threshold": 3, "learn_s": 5}
    controller.call("inspection.update", name="i", detectors=[contacts], wait=True)
    assert a.all("inspection")[0][2] == {"first_contact": {"threshold": 3, "window_s": 86400, "learn_s": 5}}
    error = controller.refused("invalid", "inspection.update", name="i", detectors=[{"type": "beacon", "learn_s": 5}])
    assert error.data["path"] == "/detectors/0/learn_s"
    controller.call("inspection.update", name="i", scope={"vpc": None, "all": True}, detectors=[{"type": "indicator"}], indicator_lists=[])
    controller.apply(
        *({"kind": "vpc", "name": "w", "cidrs": ["10.1.0.0/16"]}, {"kind": "subnet", "name": "t", "vpc": "w", "cidr": "10.1.0.0/24"}),
        *({"kind": "port", "name": "pw", "subnet": "t", "node": "host-b"}, {"kind": "indicator_list", "name": "three"}),
        wait=True,
    )
    assert len(a.all("inspection")) == 1 and [item[:2] for item in b.all("inspection")] == [["i", 10000], ["i", 10001]]
    assert set(a.of("indicator_list")) == set(b.of("indicator_list")) == {"one", "two", "three"}
    controller.call("inspection.delete", name="i", wait=True)
    assert not a.all("inspection") and not a.of("indicator_list") and not b.all("inspection")


# ---- Alerts ----


def test_an_alert(two, tmp_path):
    controller, a, _ = two(inspection())
    with controller.client() as watcher:
        watcher.call("watch", kinds=["alert"])
        raise_alert(a)
        alert = heard(controller)
        event = watcher.receive(10)["params"]
    assert event["op"] == "create" and event["object"] == alert
    assert re.fullmatch(r"a\d{10}", alert["name"]) and alert["tenant"] == "default"
    assert {key: alert[key] for key in ("inspection", "detector", "vpc", "node", "port", "source", "count")} == {
        **{"inspection": "i", "detector": "port_scan", "vpc": "v", "node": "host-a", "port": "pa"},
        **{"source": "10.0.1.10", "count": 20},
    }
    assert alert["targets"] == ["10.0.1.11:22", "10.0.1.11:23"] and alert["action_taken"] == "alert"
    assert alert["evidence"]["flow"] == "tcp 10.0.1.10:4000 10.0.1.11:22" and not alert["evidence"]["slow"]
    assert base64.b64decode(alert["evidence"]["packets"]) == b"pcapng"
    assert alert["status"] == {"state": "none", "reason": ""}
    assert lines(tmp_path) == [alert] and groups(a) == ["web"]
    # Of a port elsewhere the address says which one it is.
    raise_alert(a, port="", source="10.0.1.11", inspection="i")
    assert heard(controller, 2)["port"] == "pb"
    raise_alert(a, port="", source="192.0.2.9")
    assert "port" not in heard(controller, 3)
    # Kept, and numbered on.
    controller.restart()
    wait_for(lambda: all(n["connected"] for n in controller.call("status")["nodes"]), 10)
    raise_alert(a)
    names = [alert["name"] for alert in [heard(controller, 4), *alerts(controller)]]
    assert names[0] == names[-1] and len(set(names)) == 4
    assert [x["name"] for x in alerts(controller, port="pb")] == names[2:3]


def test_what_nodes_have_no_say_in(two):
    controller, a, b = two(
        *(inspection(), inspection("other", scope={"vpcs": ["w"]}), {"kind": "vpc", "name": "w", "cidrs": ["10.1.0.0/16"]})
    )
    raise_alert(b)  # a port of another node
    raise_alert(a, port="nobody")
    raise_alert(a, vni=10001)  # a VPC that is not there
    raise_alert(a, vni=4711)
    raise_alert(a, inspection="nobody")
    raise_alert(a, inspection="other")
    raise_alert(a, detector="beacon")
    raise_alert(a, source="nobody")
    a.notify("inspect.alert")
    a.notify("inspect.alert", vni="x", inspection=[], detector=7, targets={}, evidence=[])
    raise_alert(a, port="", source="10.0.1.10")  # of its own it knows the port
    raise_alert(a, count=7, targets="x", evidence=None)
    alert = heard(controller, 2)
    assert alert["count"] == 7 and alert["targets"] == [] and alert["evidence"] == {"flow": "", "slow": False, "packets": ""}
    assert [("port" in x, x["source"]) for x in alerts(controller)] == [(False, "10.0.1.10"), (True, "10.0.1.10")]


def test_alerts_are_the_servers(two):
    controller, a, _ = two(inspection())
    raise_alert(a)
    alert = heard(controller)
    assert controller.refused("invalid", "apply", resources=[{"kind": "alert", **alert}]).data["path"] == "/resources/0/kind"
    assert not [r for r in controller.call("export")["resources"] if r["kind"] == "alert"]
    methods = {m["name"] for m in controller.call("rpc.discover")["methods"]}
    assert {m for m in methods if m.startswith("alert.")} == {"alert.get", "alert.list", "alert.release"}


def test_a_flood_of_alerts_is_bounded(two):
    controller, a, _ = two(inspection(), inspection("j", scope={"all": True}))
    for number in range(400):
        raise_alert(a, count=number)
    events = lambda: [e for e in controller.call("event.list")["items"] if e["reason"] == "alerts_lost"]  # noqa: E731
    wait_for(lambda: len(events()) == 1 and events()[0]["name"] == "v", 20)
    assert 50 <= len(alerts(controller)) < 400


# ---- Quarantine ----


def test_quarantine_and_release(two, tmp_path):
    controller, a, b = two(inspection(action="quarantine"))
    raise_alert(a)
    alert = heard(controller)
    assert alert["action_taken"] == "quarantine" and alert["status"]["state"] == "active" and "answer" not in alert
    wait_for(lambda: groups(a) == [SEALED], 10)
    assert a.of("group")[SEALED][1:] == [SEALED, 0]
    assert a.rules(SEALED) == ["i d 1 -1 0 65535 -1 -1 any", "e d 1 -1 0 65535 -1 -1 any"]
    wait_for(lambda: b.of("endpoint")["10.0.1.10"][7] == [SEALED], 10)  # it is no member of its groups elsewhere either
    shown = controller.call("port.get", name="pa")
    assert shown["security_groups"] == ["web"] and shown["status"]["quarantine"] == alert["name"]
    assert "quarantine" not in controller.call("port.get", name="pb")["status"]
    # Another one finds it done; what does not concern the groups changes nothing.
    raise_alert(a, detector="port_scan", count=40)
    assert heard(controller, 2)["status"] == {"state": "none", "reason": "it holds already, by an earlier alert"}
    controller.call("port.update", name="pa", description="x", wait=True)
    assert groups(a) == [SEALED]

    released = controller.call("alert.release", name=alert["name"], wait=True)
    assert released["status"] == {"state": "ended", "until": alert["status"]["until"], "reason": "released"}
    assert groups(a) == ["web"] and b.of("endpoint")["10.0.1.10"][7] == ["web"]
    assert SEALED not in a.of("group") and not a.rules(SEALED)
    assert controller.call("alert.release", name=alert["name"]) == released, "and once more"
    # The operator has judged it: for its time there is no other by this inspection.
    raise_alert(a)
    assert heard(controller, 3)["status"]["reason"] == "the operator ended the last one before its time"
    assert groups(a) == ["web"]
    told = [(line["name"], line["status"]["state"]) for line in lines(tmp_path)]
    assert told.count((alert["name"], "active")) == told.count((alert["name"], "ended")) == 1
    reasons = [e["reason"] for e in controller.call("event.list")["items"] if e["name"] == "pa"]
    assert reasons.count("alert_answered") == reasons.count("alert_answer_ended") == 1


def test_the_operators_change_wins(two):
    controller, a, b = two(inspection(action="quarantine"))
    raise_alert(a)
    alert = heard(controller)
    wait_for(lambda: groups(a) == [SEALED], 10)
    assert controller.call("port.update", name="pa", security_groups=["web", "forensics"], wait=True)["status"].get("quarantine") is None
    assert groups(a) == ["web", "forensics"] and b.of("endpoint")["10.0.1.10"][7] == ["web", "forensics"]
    assert controller.call("alert.get", name=alert["name"])["status"]["reason"] == "the operator gave the port other groups"
    raise_alert(a)
    assert heard(controller, 2)["status"]["state"] == "none"
    assert groups(a) == ["web", "forensics"]


def test_the_operators_change_by_apply(two):
    controller, a, _ = two(inspection(action="quarantine"))
    raise_alert(a)
    alert = heard(controller)
    wait_for(lambda: groups(a) == [SEALED], 10)
    changed = {**port("pa", "host-a", "10.0.1.10"), "security_groups": []}
    dry = controller.apply(changed, dry_run=True)
    assert dry["updated"] == 1 and [c["kind"] for c in dry["changes"]] == ["port"]
    assert controller.call("alert.get", name=alert["name"])["status"]["state"] == "active", "that was no change"
    controller.apply(changed, wait=True)
    assert groups(a) == []


def test_a_port_that_goes(two):
    controller, a, _ = two(inspection(action="quarantine"))
    raise_alert(a)
    alert = heard(controller)
    wait_for(lambda: groups(a) == [SEALED], 10)
    controller.call("port.delete", name="pa", wait=True)
    assert controller.call("alert.get", name=alert["name"])["status"]["reason"] == "the port was deleted"
    controller.apply(port("pa", "host-a", "10.0.1.10"), wait=True)
    assert groups(a) == ["web"] and SEALED not in a.of("group")


def test_a_quarantine_of_its_own_group(two, tmp_path):
    controller, a, b = two(inspection(action="quarantine", quarantine_group="forensics"))
    controller.refused("in_use", "security_group.delete", name="forensics")
    raise_alert(a)
    assert heard(controller)["answer"] == "forensics"
    wait_for(lambda: groups(a) == ["forensics"], 10)
    assert set(a.of("group")) == {"forensics"}
    wait_for(lambda: b.of("endpoint")["10.0.1.10"][7] == ["forensics"], 10)
    # The inspection and its group may go: nothing passes then.
    controller.call("inspection.delete", name="i")
    controller.call("security_group.delete", name="forensics", wait=True)
    assert groups(a) == [SEALED]
    alert = alerts(controller)[-1]
    assert "answer" not in alert and alert["status"]["state"] == "active"
    # Another one of that name lets through what it likes, but not for this port.
    controller.apply({"kind": "security_group", "name": "forensics", "rules": [{"direction": "ingress"}]}, wait=True)
    controller.restart()
    wait_for(lambda: all(n["connected"] for n in controller.call("status")["nodes"]), 10)
    controller.call("vpc.update", name="v", description="x", wait=True)
    assert groups(a) == [SEALED], "it outlives the controller"
    assert [line["status"]["state"] for line in lines(tmp_path)] == ["active"], "and is told once"


def test_its_time_is_over(two):
    controller, a, _ = two(inspection(action="quarantine", duration_s=2))
    raise_alert(a)
    alert = heard(controller)
    wait_for(lambda: groups(a) == [SEALED], 10)
    wait_for(lambda: groups(a) == ["web"], 20)
    assert controller.call("alert.get", name=alert["name"])["status"]["reason"] == "its time is over"
    raise_alert(a)
    assert heard(controller, 2)["status"]["state"] == "active", "it may happen again"


def test_an_end_that_can_not_be_stored(cluster, tmp_path):
    """The disk is full when its time is over: tried now and then, not all the time; and stored when there is room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or os.system(f"mount -t tmpfs -o size=2m none {disk} 2>/dev/null") != 0:
        pytest.skip("needs to mount a tmpfs")
    try:
        controller, (a,) = cluster("host-a", store=f"sqlite:{disk}/state.db")
        controller.apply(
            *(VPC, SUBNET, *GROUPS, inspection(action="quarantine", duration_s=5), port("pa", "host-a", "10.0.1.10")), wait=True
        )
        raise_alert(a)
        name = heard(controller)["name"]
        wait_for(lambda: groups(a) == [SEALED], 10)
        with open(disk / "filler", "wb", buffering=0) as filler, pytest.raises(OSError):
            while filler.write(bytes(512)):
                pass

        def state():
            return controller.call("alert.get", name=name)["status"]["state"]

        def failed():
            return controller.log().count("store failed")

        wait_for(lambda: failed() > 0, 30)
        before, since = failed(), time.monotonic()
        wait_for(lambda: failed() > before + 2, 30)
        assert time.monotonic() - since > 0.9
        assert state() == "active" and groups(a) == [SEALED]
        os.unlink(disk / "filler")
        wait_for(lambda: state() == "ended" and groups(a) == ["web"], 30)
        controller.stop()
    finally:
        os.system(f"umount {disk}")


def test_a_source_outside(two):
    controller, a, _ = two(inspection(action="quarantine"))
    raise_alert(a, port="", source="198.51.100.7")
    alert = heard(controller)
    assert alert["action_taken"] == "alert" and alert["status"]["reason"] == "the source is no port of ours"


def test_a_quarantine_is_quick(two):
    """From the dataplane's word to its new groups, through the store: the controller's part of 200 ms."""
    controller, a, _ = two(*(inspection(f"i{number}", action="quarantine") for number in range(5)))
    took = []
    for number in range(5):
        began = time.monotonic()
        raise_alert(a, inspection=f"i{number}")
        wait_for(lambda: groups(a) == [SEALED], 10, interval_s=0.002)
        took.append(time.monotonic() - began)
        controller.call("alert.release", name=heard(controller, number + 1)["name"], wait=True)
    assert min(took) < 0.15, took


# ---- Syslog ----


def test_syslog(two, tmp_path):
    """RFC 5424: each message has a header, structured data with what is in it escaped, and a text."""
    path = str(tmp_path / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(path)
        log.settimeout(10)
        controller, a, _ = two(inspection(action="quarantine"), syslog=f"unix:{path}")
        raise_alert(a)
        message = log.recv(4096).decode()
        alert = heard(controller)
        controller.call("alert.release", name=alert["name"])
        ended = log.recv(4096).decode()
    match = re.fullmatch(r"<34>1 (\S+) (\S+) vpc-controller (\d+) alert \[alert@32473((?: \w+=\"[^\"]*\")+)\] (.*)", message)
    assert match, message
    assert match[1] == alert["time"] and match[2] == socket.gethostname() and int(match[3]) == controller.process.pid
    params = dict(re.findall(r'(\w+)="([^"]*)"', match[4]))
    assert params == {key: str(alert[key]) for key in params} and {"name", "vpc", "port", "source", "count"} <= set(params)
    assert match[5] == "port_scan from 10.0.1.10, port pa in VPC v, 20 counted: quarantine"
    assert " ended [" in ended and ended.endswith(": quarantine ended: released") and ended.startswith("<36>1 ")


def test_syslog_over_udp_that_nobody_hears(two):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as log:
        log.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % log.getsockname()[1]
        controller, a, _ = two(inspection(), syslog=f"udp://{address}")
        raise_alert(a)
        log.settimeout(10)
        assert log.recv(4096).startswith(b"<36>1 ")
    raise_alert(a)
    raise_alert(a)
    heard(controller, 3)


@pytest.mark.parametrize("text", ["tcp://192.0.2.1:514", "udp://collector:514", "udp://192.0.2.1", "/dev/log", "unix:log"])
def test_syslog_in_the_configuration(controller, text):
    controller.config["alerts"] = {"syslog": text}
    done = os.popen(" ".join(controller.argv("--check")) + " 2>&1").read()
    assert "alerts.syslog: must be unix:PATH or udp://ADDRESS:PORT" in done


# ---- Mirror ----


def test_mirror(two):
    tap = {"kind": "mirror", "name": "tap", "sources": [], "target": {"type": "erspan", "address": "192.0.2.200", "session_id": 7}}
    controller, a, b = two(tap, inspection(action="mirror", mirror="tap", duration_s=600))
    assert not a.of("mirror")
    raise_alert(a)
    alert = heard(controller)
    assert (alert["action_taken"], alert["answer"], alert["status"]["state"]) == ("mirror", "tap", "active")
    wait_for(lambda: a.of("mirror")["tap"][2] == ["port pa"], 10)
    assert not b.of("mirror") and groups(a) == ["web"]
    # It goes where the port goes.
    controller.call("port.update", name="pa", node="host-b", wait=True)
    assert b.of("mirror")["tap"][2] == ["port pa"] and not a.of("mirror")
    controller.call("alert.release", name=alert["name"], wait=True)
    assert not a.of("mirror") and not b.of("mirror")
