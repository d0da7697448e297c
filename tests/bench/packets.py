#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What one worker forwards, beside its peers: millions of packets a second and cycles a packet.

    net_flowgen0 -> the program, one worker alone on its CPU -> net_flowgen1

The same device makes and counts the packets of all of them (tests/bench/flowgen); it is endless, so a figure is what the worker can do.
Programs take turns for each line of the table. What comes out is looked at: a program that does not do what the case says has no figure.

    packets.py [--peers ours,ovs,…] [--cases l3,…] [--flows 1,10000,…] [--sizes 60,imix,…] [--families 4,6] [--fresh 100]
               [--runs 5] [--seconds 1] [--budget SECONDS] [--json FILE]

Without cases, flows, sizes or families: the plan of `make bench` (QUICK=1: a short one).
"""

import argparse
import dataclasses
import os
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import QUICK, check, measure, peers, table  # noqa: E402
from harness.cell import CASES, Cell  # noqa: E402
from harness.results import Results  # noqa: E402

FLOWS = (1, 10000, 100000, 1000000)
MAIN = ("chain", "reverse", "sg", "snat", "l3", "lb", "dnat", "eip", "encap", "decap")


def plan(quick):
    """What is worth its time, the most telling first."""
    if quick:
        return [Cell("chain"), Cell("chain", 1000000), Cell("reverse"), Cell("snat"), Cell("sg", family=6), Cell("l3")]
    cells = [Cell(case, flows) for flows in (10000, 1000000, 100000) for case in MAIN]
    cells += [Cell(case, 10000, 60, 6) for case in ("chain", "reverse", "sg", "lb", "l3", "encap", "decap")]
    cells += [Cell(case, 10000, size) for size in (1400, "imix", 124) for case in ("chain", "reverse", "l3", "snat")]
    cells += [Cell(case, 100000, 60, 4, 100) for case in ("chain", "sg", "snat")]
    cells += [Cell(case, 1000000, 60, 6) for case in ("chain", "reverse")]
    cells += [Cell(case, 1) for case in MAIN]
    return cells


def asked(args):
    return [
        Cell(case, int(flows), size if size == "imix" else int(size), int(family), args.fresh)
        for case in (args.cases or ",".join(MAIN)).split(",")
        for family in (args.families or "4").split(",")
        for size in (args.sizes or "60").split(",")
        for flows in (args.flows or "10000").split(",")
    ]


def one(peer, cell, args, options=None):
    """The figures of one program, or {"left_out": why} or {"failed": why}."""
    why = peer.why_not(cell)
    if why:
        return {"left_out": why}
    workers = len((options or {}).get("workers", [1]))
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        # One thread at a time can write a dump.
        dump = os.path.join(directory, "out.pcap") if peer.name != "ceiling" and workers == 1 else None
        try:
            with peer(cell, dump=dump, **(options or {})) as run:
                seen = (2.2 if cell.stateful else 1.2) * cell.flows + 1000
                measure.wait(lambda: run.taken() > seen, 60, run.describe)
                if dump:
                    check.check(cell, run.frames())
                return measure.summary(measure.rates(run.taken, run.pid, args.seconds, args.runs, workers))
        except Exception as e:  # pylint: disable=broad-except
            # A peer that does not start must not cost the figures of the others.
            return {"failed": f"{type(e).__name__}: {e}"[:2000]}


def steps(args):
    """Cycles a packet of each step of the path, from the running program: of flows that run, of flows that begin."""
    found = {}
    for what, cell in (("established", Cell("chain")), ("new", Cell("chain", 1, fresh=1))):
        with peers.Ours(cell, sessions=1 << 22) as run:
            measure.wait(lambda: run.taken() > 30000, 60, run.describe)  # pylint: disable=cell-var-from-loop
            items = run.cloud.call("node.perf", name=run.node, milliseconds=int(1000 * args.seconds))["items"]
        # What only the control thread's few packets pass is none of the path.
        most = max(item["packets"] for item in items)
        found[what] = [item for item in items if item["packets"] > most / 100]
        for item in found[what]:
            print(f"{what:12} {item['step']:20}{item['cycles_per_packet']:8.1f} cycles a packet")
    return found


def scaling(args):
    """Ours with one worker and with two, each with a queue of its own."""
    found = {}
    for workers in ([1], [0, 1]):
        found[str(len(workers))] = one(peers.Ours, Cell("chain"), args, {"workers": workers})
    rates = [found[n].get("median") for n in ("1", "2")]
    if all(rates):
        print(f"two workers: {rates[1] / 1e6:.2f} Mpps, {rates[1] / rates[0]:.2f} times one (each scaled to whole CPUs)")
    else:
        print(f"two workers: {found}")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", help="names: " + ", ".join(p.name for p in peers.ALL))
    parser.add_argument("--cases", help="names: " + ", ".join(CASES))
    parser.add_argument("--flows")
    parser.add_argument("--sizes", help="of the inner frame, or imix")
    parser.add_argument("--families")
    parser.add_argument("--fresh", type=int, default=0, help="each so many-th packet is of a new flow")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2 if QUICK else 0.3)
    parser.add_argument("--budget", type=float, default=75 if QUICK else 960, help="begin no line after so many seconds; 0: all")
    parser.add_argument("--json")
    args = parser.parse_args()

    chosen = peers.chosen(args.peers.split(",") if args.peers else None)
    for peer, reason in chosen:
        if reason:
            print(f"{peer.title} is left out: {reason}")
    present = [peer for peer, reason in chosen if not reason]
    explicit = args.cases or args.flows or args.sizes or args.families or args.fresh
    cells = asked(args) if explicit else plan(QUICK)
    results, rows, began = Results(args.json), [], time.monotonic()
    hz = measure.tsc_hz()
    print(table.head(present), flush=True)
    for number, cell in enumerate(cells):
        if args.budget and time.monotonic() - began > args.budget:
            print(f"time is up: {len(cells) - number} lines left out")
            break
        row = {"cell": dataclasses.asdict(cell), "peers": {}}
        for peer in present:
            row["peers"][peer.name] = one(peer, cell, args)
        rows.append(row)
        print(table.line(row, present, hz), flush=True)
        results.put("packets", {"versions": versions(present), "missing": {p.name: r for p, r in chosen if r}, "rows": rows})
    if not explicit and not QUICK:
        results.put("scaling", scaling(args))
        results.put("steps", steps(args))
    for text in table.notes(rows, present):
        print(text)
    print(f"{time.monotonic() - began:.0f} s; figures in {results.path}")
    return 1 if any("failed" in row["peers"].get("ours", {}) for row in rows) else 0


def versions(present):
    return {peer.name: peer.version() for peer in present if hasattr(peer, "version")}


if __name__ == "__main__":
    sys.exit(main())
