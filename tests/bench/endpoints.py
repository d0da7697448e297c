#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A million endpoints through the southbound socket while a flow runs, then rules, routes and sessions: endpoints.py [--count N] [--runs N] [--json FILE]

    machine left - TAP - vpc-dataplane - TAP - machine right      a ping every 2 ms meanwhile; none may be lost

Told: seconds from the first state.put to the answer of state.commit, CPU seconds of the control thread, memory; how many a second of
rules (ten in a group), routes of one VPC and sessions (as a port brings them that comes from another node), a tenth of the number of
endpoints each.
"""

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "integration"))

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness.results import Results  # noqa: E402  pylint: disable=wrong-import-position
from lib import Namespace, Rpc  # noqa: E402  pylint: disable=wrong-import-position
from lib.netns import PREFIX  # noqa: E402  pylint: disable=wrong-import-position
from lib.process import Daemon  # noqa: E402  pylint: disable=wrong-import-position
from lib.wait import wait_for  # noqa: E402  pylint: disable=wrong-import-position

CHUNK = 1000  # items of a state.put
AHEAD = 4  # calls under way
VNI = 100
RULES_EACH = 10
RULES = ["i a 1000 -1 0 65535 -1 -1 any"]


def ready(path):
    try:
        Rpc(path).close()
        return True
    except OSError:
        return False


def port(name, number, netns):
    attachment = {"type": "tap", "ifname": "eth0", "netns": netns, "configure": True}
    mac, address = f"02:00:00:00:00:{number:02x}", f"10.0.0.{number}"
    return ["port", name, VNI, "s", mac, [address], ["g"], True, [], True, None, attachment, 1]


def base(spaces):
    return [
        ["vtep", "b", "192.0.2.2", False],
        ["vpc", VNI, "v", "default", 1450, "02:00:00:00:01:00", ["10.0.0.0/8"], [], 1],
        ["subnet", "s", VNI, "10.0.0.0/8", "10.0.0.1", None, None, True, [], 1],
        ["group", "g", 1],
        ["rules", "g", 1, RULES],
        port("left", 10, spaces["left"].name),
        port("right", 11, spaces["right"].name),
    ]


def endpoint(n):
    low, mid, high = n & 255, n >> 8 & 255, n >> 16
    return ["endpoint", VNI, f"10.{16 + high}.{mid}.{low}", f"02:00:01:{high:02x}:{mid:02x}:{low:02x}", "b", "s", f"port-{n}", ["g"]]


def transact(rpc, items, revision):
    number = rpc.call("state.begin")["transaction"]
    rpc.call("state.put", transaction=number, items=items)
    rpc.call("state.commit", transaction=number, revision=revision)


def rules(n):
    """A group of ten rules with two items: itself, and they."""
    ten = [f"i a {900 + k} {6 + 11 * (k % 2)} {1000 + n % 5000} {1000 + n % 5000 + k} -1 -1 any" for k in range(RULES_EACH)]
    return ["rules", f"group-{n}", 1, ten]


def session(n):
    """A record as session.export makes them (dataplane/session/record.h): left's, of UDP, to right."""
    return f"i 17 10.0.0.10 {1024 + n % 60000} 10.0.0.11 {1024 + n // 60000} 0 02:00:00:00:00:0b 02:00:00:00:00:0a - 1000 10 10 9 900 9 900"


def group(n):
    return ["group", f"group-{n}", 1]


def route(n):
    return ["route", VNI, f"172.{16 + (n >> 16)}.{n >> 8 & 255}.{n & 255}/32", f"route-{n}", "blackhole", None, None, None, None, 1]


def calls(method, count, item, **params):
    """The lines to send, made before the clock starts."""
    for first in range(0, count, CHUNK):
        params["items"] = [item(n) for n in range(first, min(first + CHUNK, count))]
        call = {"jsonrpc": "2.0", "id": f"put-{first}", "method": method, "params": params}
        yield json.dumps(call, separators=(",", ":")).encode() + b"\n"


def send(rpc, lines):
    """Sends all, some of them ahead of their answers; the results."""
    answers = []
    for number, line in enumerate(lines):
        rpc.send_bytes(line)
        if number >= AHEAD:
            answers.append(rpc.receive())
    answers += [rpc.receive() for _ in range(min(AHEAD, len(lines)))]
    wrong = [answer for answer in answers if "error" in answer]
    assert not wrong, wrong[0]
    return [answer["result"] for answer in answers]


class Clock:
    """Seconds and CPU seconds of a control thread."""

    def __init__(self, pid):
        self.pid, self.start, self.cpu = pid, time.monotonic(), cpu_seconds(pid)

    def read(self):
        return time.monotonic() - self.start, cpu_seconds(self.pid) - self.cpu


def load(rpc, pid, count, revision, *items):
    """All of them in one transaction: how long that took, and how much CPU."""
    transaction = rpc.call("state.begin")["transaction"]
    lines = [line for item in items for line in calls("state.put", count, item, transaction=transaction)]
    clock = Clock(pid)
    send(rpc, lines)
    rpc.call("state.commit", transaction=transaction, revision=revision)
    return clock.read()


def import_sessions(rpc, pid, count):
    lines = list(calls("session.import", count, session, port="left"))
    clock = Clock(pid)
    imported = sum(answer["imported"] for answer in send(rpc, lines))
    assert imported == count, f"{imported} of {count} sessions"
    return clock.read()


def cpu_seconds(pid):
    with open(f"/proc/{pid}/task/{pid}/schedstat", encoding="ascii") as f:
        return int(f.read().split()[0]) / 1e9


def resident_mb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) // 1024


def one_run(build, count, directory, spaces):
    path = os.path.join(directory, "dataplane.sock")
    config = {"node": "a", "rpc": path, "state": "", "workers": [os.cpu_count() - 1], "main_cpu": 0}
    config["memory"] = {"size_mb": 256}
    config["capacity"] = {"sessions": max(65536, count // 4), "endpoints": count + 1000, "ports": 64}
    with open(os.path.join(directory, "node.yaml"), "w", encoding="utf-8") as f:
        json.dump(config, f)
    program = os.path.join(build, "dataplane/vpc-dataplane")
    daemon = Daemon("dataplane", [program, "-c", f.name], spaces["host"], directory)
    daemon.start(lambda: ready(path))
    try:
        rpc = Rpc(path, timeout_s=120)
        transact(rpc, base(spaces), 1)
        left = spaces["left"]
        wait_for(lambda: left.run("ping", "-c1", "-W1", "10.0.0.11", check=False).returncode == 0, 10, "left reaches right")
        pid = daemon.pid  # `ip netns exec` becomes the program
        memory = resident_mb(pid)
        pinger = left.popen("ping", "-n", "-q", "-i", "0.002", "10.0.0.11", stdout=-1)
        seconds, used = load(rpc, pid, count, 2, endpoint)
        held, few = resident_mb(pid) - memory, count // 10
        took = {
            "rules": load(rpc, pid, few // RULES_EACH, 3, group, rules),
            "routes": load(rpc, pid, few, 4, route),
            "sessions": import_sessions(rpc, pid, few),
        }
        pinger.send_signal(2)
        lost = re.search(r"(\d+) packets transmitted, (\d+) received", pinger.communicate(timeout=20)[0])
        return {
            "seconds": round(seconds, 2),
            "cpu_seconds": round(used, 2),
            "mb": held,
            "endpoints_per_s": round(count / seconds),
            "endpoints_per_cpu_s": round(count / used),
            **{f"{what}_per_s": round(few / wall) for what, (wall, _) in took.items()},
            **{f"{what}_per_cpu_s": round(few / cpu) for what, (_, cpu) in took.items()},
            "pings": int(lost[1]),
            # The one that was under way when ping was told to stop is not lost.
            "lost": max(0, int(lost[1]) - int(lost[2]) - 1),
        }
    finally:
        daemon.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json")
    args = parser.parse_args()
    build = os.environ.get("VPC_BUILD", "build")
    spaces = {name: Namespace(f"{PREFIX}-{os.getpid()}-{name}") for name in ("left", "right", "host")}
    results = []
    try:
        for _ in range(args.runs):
            with tempfile.TemporaryDirectory() as directory:
                results.append(one_run(build, args.count, directory, spaces))
            print(json.dumps(results[-1]), flush=True)
    finally:
        for space in spaces.values():
            space.delete()
    median = {key: statistics.median(r[key] for r in results) for key in results[0]}
    print(f"{args.count} endpoints: {median['seconds']} s, {median['cpu_seconds']} s of CPU, {median['mb']} MB; lost {median['lost']} of {median['pings']} pings")
    for what in ("endpoints", "rules", "routes", "sessions"):
        print(f"{what:9} a second {median[what + '_per_s']:>10,.0f}, a CPU second of the control thread {median[what + '_per_cpu_s']:>10,.0f}")
    Results(args.json).put("endpoints", {"count": args.count, "runs": results})
    return 1 if any(r["lost"] for r in results) else 0


if __name__ == "__main__":
    sys.exit(main())
