#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A million endpoints through the southbound socket while a flow runs, then rules and routes: endpoints.py [--count N] [--runs N] [--json FILE]

    machine left - TAP - vpc-dataplane - TAP - machine right      a ping every 2 ms meanwhile; none may be lost

Told: seconds from the first state.put to the answer of state.commit, CPU seconds of the control thread, memory; of rules (ten in a group)
and routes, a tenth of the number of endpoints each (at most 10,000 routes), how many a second.
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
ROUTES_MOST = 10000  # in one VPC
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


def group(n):
    return ["group", f"group-{n}", 1]


def route(n):
    return ["route", VNI, f"172.{16 + (n >> 16)}.{n >> 8 & 255}.{n & 255}/32", f"route-{n}", "blackhole", None, None, None, None, 1]


def calls(transaction, count, item):
    """The lines to send, made before the clock starts."""
    for first in range(0, count, CHUNK):
        params = {"transaction": transaction, "items": [item(n) for n in range(first, min(first + CHUNK, count))]}
        call = {"jsonrpc": "2.0", "id": f"put-{first}", "method": "state.put", "params": params}
        yield json.dumps(call, separators=(",", ":")).encode() + b"\n"


def load(rpc, count, revision, *items):
    transaction = rpc.call("state.begin")["transaction"]
    lines = [line for item in items for line in calls(transaction, count, item)]
    start = time.monotonic()
    for number, line in enumerate(lines):
        rpc.send_bytes(line)
        if number >= AHEAD:
            assert "error" not in rpc.receive()
    for _ in range(min(AHEAD, len(lines))):
        assert "error" not in rpc.receive()
    rpc.call("state.commit", transaction=transaction, revision=revision)
    return time.monotonic() - start


def cpu_seconds(pid):
    with open(f"/proc/{pid}/task/{pid}/stat", encoding="ascii") as f:
        words = f.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) // 1024


def one_run(build, count, directory, spaces):
    path = os.path.join(directory, "dataplane.sock")
    config = {"node": "a", "rpc": path, "state": "", "workers": [os.cpu_count() - 1], "main_cpu": 0}
    config["memory"] = {"size_mb": 256}
    config["capacity"] = {"sessions": 65536, "endpoints": count + 1000, "ports": 64}
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
        cpu, memory = cpu_seconds(pid), resident_mb(pid)
        pinger = left.popen("ping", "-n", "-q", "-i", "0.002", "10.0.0.11", stdout=-1)
        seconds = load(rpc, count, 2, endpoint)
        used, held = cpu_seconds(pid) - cpu, resident_mb(pid) - memory
        groups, routes = count // 10 // RULES_EACH, min(count // 10, ROUTES_MOST)
        rules_s = load(rpc, groups, 3, group, rules)
        routes_s = load(rpc, routes, 4, route)
        pinger.send_signal(2)
        lost = re.search(r"(\d+) packets transmitted, (\d+) received", pinger.communicate(timeout=20)[0])
        return {
            "seconds": round(seconds, 2),
            "cpu_seconds": round(used, 2),
            "mb": held,
            "endpoints_per_s": round(count / seconds),
            "rules_per_s": round(groups * RULES_EACH / rules_s),
            "routes_per_s": round(routes / routes_s),
            "pings": int(lost[1]),
            "lost": int(lost[1]) - int(lost[2]),
        }
    finally:
        daemon.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000000)
    parser.add_argument("--runs", type=int, default=3)
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
    print(" ".join(f"{key} {median[key]:,.0f}" for key in ("endpoints_per_s", "rules_per_s", "routes_per_s")))
    Results(args.json).put("endpoints", {"count": args.count, "runs": results})
    return 1 if any(r["lost"] for r in results) else 0


if __name__ == "__main__":
    sys.exit(main())
