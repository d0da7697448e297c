# SPDX-License-Identifier: Apache-2.0
"""Users' programs in the path of real packets: a filter, a sampler, what is refused, one that is too slow.

    host-a: left 10.0.1.10, right 10.0.2.10, analyser 10.0.9.10       host-b: far 10.0.1.11
"""

import base64
import os
import subprocess

import pytest
from lib import wait_for
from lib.hook import HOOKS, compile_hook
from scapy.layers.inet import UDP

WAIT_S = 30


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud(hosts=2, underlay="ipv4", mtu=1600)
    cloud.network("v", {"s": {"cidr": "10.0.1.0/24"}, "t": {"cidr": "10.0.2.0/24"}})
    cloud.network("watch", {"w": {"cidr": "10.0.9.0/24"}})
    cloud.machine("left", "s", "a", security_groups=["v-open"])
    cloud.machine("right", "t", "a", security_groups=["v-open"])
    cloud.machine("far", "s", "b", security_groups=["v-open"])
    cloud.machine("analyser", "w", "a", security_groups=["watch-open"], raw=True)
    return cloud


@pytest.fixture
def build(tmp_path):
    """Compiles a program: the path of a file, or the text of one."""

    def make(source, name="program"):
        path = source
        if not os.path.exists(source):
            path = tmp_path / f"{name}.bpf.c"
            path.write_text(f'#include "vpc_hook.h"\nVPC_HOOK_PROGRAM int run(const struct vpc_hook *packet)\n{{\n{source}\n}}\n')
        out = tmp_path / f"{name}.o"
        return compile_hook(path, out)

    return make


@pytest.fixture
def attach(cloud):
    made = []

    def run(name, file, *flags, ok=True):
        done = cloud.vpcctl("hook", "attach", name, file, *flags, "--wait", check=False)
        assert (done.returncode == 0) == ok, done.stdout + done.stderr
        if ok:
            made.append(name)
        return done.stderr

    yield run
    for name in {hook["name"] for hook in cloud.list("hook")} & set(made):
        cloud.vpcctl("hook", "detach", name)
    assert not cloud.list("hook")


def status(cloud, name):
    return cloud.get("hook", name)["status"]


def until(cloud, name, **fields):
    return wait_for(
        lambda: (now := status(cloud, name)) and all(now[k] == v for k, v in fields.items()) and now,
        WAIT_S,
        lambda: f"{fields}: {status(cloud, name)}",
    )


def connects(cloud, port, of="left", timeout_s=10):
    """Does a TCP connection to `right` come about?"""
    try:
        cloud.machines[of].connect(cloud.machines["right"], port=port, timeout_s=timeout_s).close()
    except OSError:
        return False
    return True


def test_filter(cloud, build, attach):
    attach("no-telnet", build(os.path.join(HOOKS, "no_telnet.bpf.c")), "--vpc", "v", "--role", "filter")
    now = until(cloud, "no-telnet", state="attached", ports=3)
    assert {node["node"]: node["ports"] for node in now["nodes"]} == {"host-a": 2, "host-b": 1}
    assert connects(cloud, 80) and connects(cloud, 80, of="far")
    assert not connects(cloud, 23, timeout_s=1)
    assert not connects(cloud, 23, of="far", timeout_s=1)
    now = status(cloud, "no-telnet")
    assert now["dropped"] >= 2 and now["runs"] > now["dropped"] and now["mean_cycles"] > 0
    assert "hook" in {drop["reason"] for drop in cloud.call("drops.list", port="left")["items"]}
    assert "no-telnet" in cloud.vpcctl("hook", "list").stdout
    # Not while it is not enabled.
    cloud.call("hook.update", name="no-telnet", enabled=False, wait=True)
    assert status(cloud, "no-telnet")["state"] == "disabled"
    assert connects(cloud, 23)
    cloud.call("hook.update", name="no-telnet", enabled=True, wait=True)
    assert not connects(cloud, 23, timeout_s=1)


def explained(cloud, source, **params):
    """What explain says, which a probe agrees with; and what it says of hooks."""
    answer = cloud.call("explain", **{"from": source, "to": cloud.machines["right"].ip4, "live": True, **params})
    assert answer["live"]["agrees"], answer
    steps = [step for step in answer["steps"] if step["stage"] == "hook"]
    for step in steps:
        assert step["object"]["revision"] == cloud.get("hook", step["object"]["name"])["revision"]
    return answer, steps


@pytest.mark.parametrize("direction", ["egress", "ingress", "both"])
@pytest.mark.parametrize("source", ["left", "far"])
def test_explain(cloud, build, attach, source, direction):
    """What a filter drops, explain drops, and so is a probe: at the sender, at the receiver, on one host and over two."""
    attach("no-telnet", build(os.path.join(HOOKS, "no_telnet.bpf.c")), "--vpc", "v", "--role", "filter", "--direction", direction)
    until(cloud, "no-telnet", state="attached", ports=3)
    answer, steps = explained(cloud, source, protocol="tcp", port=23)
    assert (answer["verdict"], answer["reason"]) == ("drop", "hook"), answer
    assert answer["steps"][-1] == steps[-1] and "drops it" in steps[-1]["decision"]
    assert steps[-1]["node"] == ("host-a" if direction == "ingress" or source == "left" else "host-b")
    assert not connects(cloud, 23, of=source, timeout_s=1)
    text = cloud.vpcctl("explain", "--from", source, "--to", cloud.machines["right"].ip4, "--protocol", "tcp", "--port", "23", "--live").stdout
    assert "hook no-telnet rev " in text and "verdict drop, hook" in text and "live    drop, hook, as explained" in text, text
    for params in ({"protocol": "tcp", "port": 80}, {"protocol": "udp", "port": 23}, {}):
        answer, steps = explained(cloud, source, **params)
        assert answer["verdict"] == "forward" and len(steps) == (2 if direction == "both" else 1), answer
        assert all("passes it" in step["decision"] for step in steps), steps
    assert connects(cloud, 80, of=source)


@pytest.mark.parametrize("example", sorted(name for name in os.listdir(HOOKS) if name.endswith(".bpf.c")))
def test_examples(cloud, build, attach, example):
    """Every example is compiled, passes verification and is attached."""
    name = example.split(".")[0].replace("_", "-")
    attach(name, build(os.path.join(HOOKS, example), name), "--port", "left", "--role", "filter")
    until(cloud, name, state="attached", ports=1)


def test_sample(cloud, build, attach):
    cloud.create("mirror", name="tap", sources=[], target={"type": "port", "port": "analyser"})
    try:
        attach("to-9", build("return packet->destination_port == 9;"), "--port", "left", "--role", "sample", "--mirror", "tap", "--direction", "egress")
        until(cloud, "to-9", state="attached", ports=1)
        with cloud.machines["analyser"].wire() as wire:
            for port in (9, 10, 9):
                assert cloud.machines["left"].udp_echo(cloud.machines["right"], port=port, timeout_s=10)
            assert [wire.receive(lambda p: UDP in p, WAIT_S)[UDP].dport for _ in range(2)] == [9, 9]
        answer, steps = explained(cloud, "left", protocol="udp", port=9)
        assert answer["verdict"] == "forward" and "picks it for mirror tap" in steps[0]["decision"], answer
        assert status(cloud, "to-9")["sampled"] == 2, "of a probe no mirror has a copy"
    finally:
        for hook in cloud.list("hook"):
            cloud.delete("hook", hook["name"])
        cloud.delete("mirror", "tap")


@pytest.mark.parametrize(
    "source, reason",
    [
        ("return packet->frame[packet->length];", "without bounds|reads bytes"),
        ("return packet->length / packet->vni;", "may divide by zero"),
        ("int n = 0; for (unsigned i = 0; i < packet->length; i++) n += i ^ packet->vni; return n;", "jumps backwards"),
        ("return ((int (*)(void))5)();", "calls a helper"),
        ("static int count; return count++;", "outside the program"),
        ("((struct vpc_hook *)packet)->vni = 7; return 1;", "only to be read"),
    ],
    ids=["bounds", "division", "loop", "helper", "global", "write"],
)
def test_refused(cloud, build, attach, source, reason):
    said = attach("bad", build(source), "--port", "left", "--role", "filter", ok=False)
    assert any(text in said for text in reason.split("|")), said
    assert not cloud.list("hook")


def test_too_slow(cloud, build, attach):
    """Detached under traffic, which goes on; told; and still so after a restart."""
    work = "unsigned long long n = packet->length;\n" + "n *= n ^ packet->vni;\n" * 400 + "return n != 0x123456789;"
    attach("slow", build(work), "--port", "left", "--role", "filter", "--budget", "1000000")
    left, right = cloud.machines["left"], cloud.machines["right"].port["addresses"][0]

    def ping(count):
        done = left.run("ping", "-q", "-f", "-c", str(count), right, check=False)
        assert f"{count} received" in done.stdout, done.stdout

    ping(1500)
    assert until(cloud, "slow", state="attached")["runs"] >= 3000
    cloud.call("hook.update", name="slow", budget_cycles=10, wait=True)
    ping(1500)
    until(cloud, "slow", state="detached")
    events = wait_for(lambda: [e for e in cloud.call("event.list", kind="hook")["items"] if e["reason"] == "hook.detached"], WAIT_S)
    assert (events[0]["name"], events[0]["node"], events[0]["severity"]) == ("slow", "host-a", "warning")
    runs = status(cloud, "slow")["runs"]
    ping(50)
    assert status(cloud, "slow")["runs"] == runs
    cloud.host("a").restart()
    cloud.wait_converged()
    ping(50)
    now = until(cloud, "slow", state="detached")
    assert now["runs"] == 0
    cloud.call("hook.update", name="slow", budget_cycles=1000000, wait=True)
    ping(10)
    assert until(cloud, "slow", state="attached")["runs"] >= 20


def test_change_under_traffic(cloud, build, attach):
    """Exchanged again and again while packets come: none is lost, counters balance (the fixture looks)."""
    one, other = build("return 1;", "one"), build("return packet->length != 0;", "other")
    attach("turn", one, "--vpc", "v", "--role", "filter")
    right = cloud.machines["right"].port["addresses"][0]
    with open(other, "rb") as file:
        program = base64.b64encode(file.read()).decode()
    ping = cloud.machines["left"].popen("ping", "-q", "-f", "-c", "3000", right, stdout=subprocess.PIPE, text=True)
    for number in range(20):
        cloud.call("hook.update", name="turn", program=program, enabled=number % 3 != 2, wait=True)
    out, _ = ping.communicate(timeout=60)
    assert "3000 received" in out, out
