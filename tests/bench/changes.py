#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a change costs until its node obeys, and a start, with a full store: changes.py [--objects N] [--runs N] [--json FILE]

    this process --- calls with wait ---> vpc-controller (N ports in its store) ---> vpc-dataplane

Told for each sort of change: milliseconds from the call to the whole answer, and CPU milliseconds of the controller. Then, of a rule that
lets a flow pass: milliseconds from the call, before it is sent, to the first packet that has come through. At last, seconds from the
start of the controller after kill -9 to its first answer.
"""

import argparse
import os
import random
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness.results import Results  # noqa: E402
from lib import Cloud  # noqa: E402  pylint: disable=wrong-import-position

RULES = 10000
PORT, EVERY_S = 7777, 0.0002  # of the flow that a rule lets pass: a packet's port, and how often one is sent
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
            {"kind": "security_group", "name": "small-door"},
            {"kind": "security_group", "name": "all-out"},
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


def listener():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", PORT))
    return s


# A process of its own: packets come evenly whatever this one does.
SENDER = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
due = time.monotonic()
while True:
    s.sendto(b"x", (sys.argv[1], int(sys.argv[2])))
    due = max(due + float(sys.argv[3]), time.monotonic() - 0.01)
    while time.monotonic() < due:
        time.sleep(max(0.0, due - time.monotonic() - 0.00005))
"""


def drain(ears):
    """Until nothing has come for a while."""
    ears.settimeout(0.02)
    try:
        while True:
            ears.recv(16)
    except TimeoutError:
        ears.settimeout(10)


def first_packets(cloud, runs):
    """A rule is added to the group of a machine that is sent packets all the time: milliseconds until one arrives."""
    sender, taker = (cloud.machine(name, "s1", security_groups=groups) for name, groups in (("sender", ["all-out"]), ("taker", ["small-door"])))
    ears = taker.ns.call(listener)
    child = sender.ns.popen("/usr/bin/python3", "-c", SENDER, taker.ip4, str(PORT), str(EVERY_S), stdout=subprocess.DEVNULL)
    rule = {"direction": "ingress", "protocol": "udp", "ports": str(PORT)}
    took = []
    try:
        with cloud.connect() as connection:
            for n in range(runs + 2):
                began = time.monotonic()
                call = connection.start("security_group.add_rules", name="small-door", rules=[rule])
                ears.settimeout(10)
                ears.recv(16)
                took.append((time.monotonic() - began) * 1e3)
                connection.finish(call)
                connection.call("security_group.remove_rules", name="small-door", rules=[rule], wait=True)
                drain(ears)
    finally:
        child.kill()
        child.wait()
        ears.close()
    return shares(took[2:])


def restart(cloud):
    """Seconds from the controller's start to its first answer; the fastest of three: a disk's others only add to it."""
    took = []
    for _ in range(3):
        cloud.kill_controller()
        began = time.monotonic()
        cloud.controller.start(lambda: cloud.answers(cloud.socket_path), 60)
        cloud.call("status")
        took.append(time.monotonic() - began)
    cloud.wait_converged(60)
    return min(took)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=100000)
    parser.add_argument("--runs", type=int, default=500)
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
        packet = first_packets(cloud, args.runs)
        print(f"{'call → first packet':26} " + " ".join(f"{v:8.2f}" for v in packet.values()), flush=True)
        start = restart(cloud)
        print(f"killed and started: answers after {start:.2f} s")
    finally:
        cloud.close(check=False)
    Results(args.json).put("changes", {"objects": args.objects, "runs": args.runs, "sorts": results, "packet_ms": packet, "start_s": start})


if __name__ == "__main__":
    main()
