#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a change costs until its node obeys: changes.py [--objects N] [--runs N] [--json FILE]

    this process --- calls with wait ---> vpc-controller (N ports in its store) ---> vpc-dataplane

Told for each sort of change: milliseconds from the call to the whole answer, and CPU milliseconds of the controller.
"""

import argparse
import json
import os
import random
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "integration"))

from lib import Cloud  # noqa: E402  pylint: disable=wrong-import-position

RULES = 10000
AT_ONCE = 20000


def rule(number):
    return {"direction": "ingress", "protocol": "tcp", "ports": str(1000 + number), "remote_cidr": f"10.9.{number % 256}.0/24"}


def fill(cloud, objects):
    """Ports of a node that somebody else runs; one here is in a large group and in a small one."""
    cloud.apply(
        [
            {"kind": "vpc", "name": "v", "cidrs": ["10.0.0.0/8"]},
            *({"kind": "subnet", "name": f"s{n}", "vpc": "v", "cidr": f"10.{n}.0.0/16"} for n in range(10)),
            {"kind": "node", "name": "far", "vtep": "192.0.2.77"},
            {"kind": "security_group", "name": "small"},
            {"kind": "security_group", "name": "large", "rules": [rule(n) for n in range(RULES)]},
        ]
    )
    for first in range(0, objects, AT_ONCE):
        ports = range(first, min(objects, first + AT_ONCE))
        cloud.call("apply", resources=[{"kind": "port", "name": f"p{n}", "subnet": f"s{n % 10}", "node": "far"} for n in ports], wait=False)
    here = {"subnet": "s1", "node": cloud.host().name, "security_groups": ["small", "large"]}
    cloud.call("port.create", name="here", **here, wait=True, wait_timeout_ms=60000)


def sorts(objects):
    """Name → the method and parameters of the n-th change."""
    extra = {"direction": "ingress", "protocol": "udp", "ports": "53"}
    mac = "02:00:{:02x}:{:02x}:00:01"
    return {
        "a small group's rules": lambda n: (
            "security_group.update",
            {"name": "small", "rules": [{"direction": "ingress", "priority": n % 1000 + 1}]},
        ),
        "a port elsewhere": lambda n: (
            "port.update",
            {"name": f"p{random.randrange(objects)}", "mac": mac.format(n >> 8 & 255, n & 255)},
        ),
        "a port made or deleted": lambda n: (
            ("port.create", {"name": "x", "subnet": "s3", "node": "far"}) if n % 2 == 0 else ("port.delete", {"name": "x"})
        ),
        f"one rule among {RULES:,}": lambda n: (
            ("security_group.add_rules", "security_group.remove_rules")[n % 2],
            {"name": "large", "rules": [extra]},
        ),
    }


def cpu_ms(pid):
    with open(f"/proc/{pid}/task/{pid}/schedstat", encoding="ascii") as f:
        return int(f.read().split()[0]) / 1e6


def ask(connection, method, params):
    """The answer as text: to parse a large one would cost more than to make it."""
    connection.start(method, **params, wait=True)
    answer = b""
    while not answer.endswith(b"\n"):
        answer += connection.socket.recv(1 << 20)
    if b'"error"' in answer[:200]:
        sys.exit(f"{method}: {answer[:1000].decode()}")


def shares(values):
    ordered = sorted(values)
    return {name: round(ordered[int(len(ordered) * part)], 2) for name, part in (("p50", 0.5), ("p99", 0.99), ("max", 0.99999))}


def measure(cloud, connection, change, runs):
    took, cpu = [], []
    pid = cloud.controller.pid
    for n in range(-2, runs):
        before, began = cpu_ms(pid), time.monotonic()
        ask(connection, *change(n))
        if n >= 0:
            took.append((time.monotonic() - began) * 1e3)
            cpu.append(cpu_ms(pid) - before)
    return {"answered_ms": shares(took), "controller_ms": shares(cpu)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--objects", type=int, default=100000)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--json")
    args = parser.parse_args()
    results = {}
    cloud = Cloud(hosts=1)
    try:
        fill(cloud, args.objects)
        print(f"{args.objects:,} ports in the store; ms: p50 p99 max")
        with cloud.connect() as connection:
            for name, change in sorts(args.objects).items():
                results[name] = measure(cloud, connection, change, args.runs)
                answered, cpu = (" ".join(f"{v:8.2f}" for v in results[name][key].values()) for key in ("answered_ms", "controller_ms"))
                print(f"{name:26} answered {answered}   CPU of the controller {cpu}", flush=True)
    finally:
        cloud.close(check=False)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump(results, f, indent=2)


if __name__ == "__main__":
    main()
