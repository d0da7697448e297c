#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""New connections a second of one worker beside its peers, what rules cost them and established flows, and memory a session.

    UDP   every packet is the first of a flow; counted: those that come out
    TCP   SYN, SYN ACK, ACK, FIN, FIN ACK, ACK between two ports, each answered when it has come through; counted: whole conversations

    setup.py [--peers ours,ovs,…] [--rules 1,100,10000] [--runs 5] [--seconds 0.2] [--json FILE]
"""

import argparse
import os
import re
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import QUICK, device, measure, peers, table  # noqa: E402
from harness.cell import Cell  # noqa: E402
from harness.results import Results  # noqa: E402

CAPACITY = 1 << 22  # sessions: more than are made while it is measured
HELD = 1 << 22  # sessions of a full table
EVER_NEW = 4000000  # flows of a source that knows no other way to have new ones
TALK = {"source": ",l4=client,window=256", "sink": ",l4=server,rss=1"}


def windows(run, read, runs, seconds):
    """Rates while the table fills; not for longer than it has room."""
    measure.wait(lambda: read() > 20000, 60, run.describe)
    return measure.summary(measure.rates(read, run.pid, seconds, runs))


def udp(peer, case, rules, args, **options):
    fresh = peer.name != "kernel"
    cell = Cell(case, 1 if fresh else EVER_NEW, fresh=1 if fresh else 0)
    why = peer.why_not(cell)
    if why:
        return {"left_out": why}
    with peer(cell, rules=rules, sessions=CAPACITY, **options) as run:
        return windows(run, run.taken, args.runs, args.seconds)


def tcp(peer, rules, args):
    cell = Cell("sg", 250 * 60000)
    with peer(cell, rules=rules, sessions=CAPACITY, **TALK) as run:
        found = windows(run, lambda: run.source.sum(device.CONNECTIONS), args.runs, args.seconds)
        found["lost"] = run.source.sum(device.LOST)
        return found


def established(peer, rules, args):
    with peer(Cell("chain"), rules=rules) as run:
        return windows(run, run.taken, args.runs, max(args.seconds, 0.3))


def held_mb(flows, capacity):
    """What the whole dataplane holds with so many sessions, huge pages too."""
    ours = peers.Ours
    with ours(Cell("chain", flows), sessions=capacity) as run:
        measure.wait(lambda: run.sessions() >= flows, 60, run.describe)
        with open(f"/proc/{run.pid}/status", encoding="ascii") as f:
            text = f.read()
        used = sum(int(re.search(rf"{key}:\s+(\d+) kB", text)[1]) for key in ("RssAnon", "RssShmem", "HugetlbPages"))
        return run.sessions(), used / 1024


def memory():
    """Bytes of a session: two dataplanes, full, one with many times the table of the other."""
    few, small = held_mb(1 << 16, 1 << 16)
    many, large = held_mb(HELD, HELD)
    return {"sessions": many, "bytes": (large - small) * (1 << 20) / (many - few), "dataplane_mb": large}


def attempt(peer, what, *rest):
    try:
        return what(peer, *rest)
    except Exception as e:  # pylint: disable=broad-except
        return {"failed": f"{type(e).__name__}: {e}"[:1500]}


def plan(quick):
    """[(what, rules, how, of whom)]; the words of `what` are those that harness/targets.py looks for."""
    rules = (1, 10000) if quick else (1, 100, 1000, 10000)
    all_of_them = ("ours", "ovs", "kernel")
    rows = [("new UDP flows, policy", r, lambda p, a, r=r: udp(p, "chain", r, a), all_of_them) for r in rules]
    rows += [("TCP, handshake and close", r, lambda p, a, r=r: tcp(p, r, a), ("ours", "ovs")) for r in rules]
    rows += [("new UDP flows, SNAT", 1, lambda p, a: udp(p, "snat", 1, a), ("ours", "ovs", "grout", "kernel"))]
    if not quick:
        for case, word in (("eip", "elastic IP"), ("dnat", "DNAT"), ("lb", "balancer")):
            rows.append((f"new UDP flows, {word}", 1, lambda p, a, c=case: udp(p, c, 1, a), all_of_them))
        rows += [("established flows", r, lambda p, a, r=r: established(p, r, a), all_of_them) for r in (1, 10000)]
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.15)
    parser.add_argument("--json")
    parser.add_argument("--budget", type=float, default=50 if QUICK else 0, help="begin no line after so many seconds")
    args = parser.parse_args()
    present = [p for p, missing in peers.chosen(args.peers.split(",") if args.peers else None) if not missing and p.name != "ceiling"]
    results, rows, hz, began = Results(args.json), [], measure.tsc_hz(), time.monotonic()
    print(table.head(present).replace("Mpps", "M/s "))
    for what, rules, run, of in plan(QUICK):
        if args.budget and time.monotonic() - began > args.budget:
            print("time is up: the rest is left out")
            break
        row = {"what": what, "rules": rules, "peers": {}}
        for peer in present:
            row["peers"][peer.name] = attempt(peer, run, args) if peer.name in of else {"left_out": "no such source"}
        rows.append(row)
        ours = row["peers"].get("ours", {})
        shown = "".join(table.figure(row["peers"][p.name], ours, hz, p.name == "ours") for p in present)
        print(f"{what + ', ' + format(rules, ',') + ' rules':{table.WHAT}}{shown}", flush=True)
        for peer in present:
            if "failed" in row["peers"][peer.name]:
                print(f"  {peer.title}: {row['peers'][peer.name]['failed'][:300]}")
        results.put("setup", {"rows": rows})
    found = None if QUICK else memory()
    if found:
        print(f"{found['bytes']:.0f} bytes a session, all in; {found['sessions']:,} sessions held in {found['dataplane_mb']:,.0f} MB")
    results.put("setup", {"rows": rows, "memory": found})
    return 1 if any("failed" in row["peers"].get("ours", {}) for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
