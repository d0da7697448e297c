#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the figures of a run (build-bench/bench.json) into docs/performance.md, between its marks, and draws docs/performance.svg.

    report.py [--json FILE] [--check]       --check: writes nothing, only says which parts the file has
    report.py --targets                     what was wanted and what was measured, on the terminal

A part that the run does not have stays as it is. Each table of the page is made by one function of MAKERS: nothing is copied by hand.
"""

import argparse
import json
import os
import re
import statistics
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import ROOT, peers, plot, targets  # noqa: E402
from harness.results import Results  # noqa: E402

PAGE = os.path.join(ROOT, "docs", "performance.md")
INSTRUCTIONS = os.path.join(ROOT, "tests", "bench", "instructions", "baseline.json")
TITLES = {p.name: p.title for p in peers.ALL}


def table(head, rows):
    """Markdown; columns whose title begins with a blank are numbers."""
    numbers = ["---:" if title.startswith(" ") else "---" for title in head]
    lines = ["| " + " | ".join(str(cell).strip() for cell in row) + " |" for row in [head, *rows]]
    lines.insert(1, "|" + "|".join(numbers) + "|")
    return "\n".join(lines) + "\n"


def mpps(found):
    if "median" not in found:
        return "failed" if "failed" in found else ""
    return f"{found['median'] / 1e6:.2f}"


def spread(found):
    return [f"**{mpps(found)}**", f"{found['min'] / 1e6:.2f}", f"{found['max'] / 1e6:.2f}"]


def ratio(ours, found):
    return f" ({ours['median'] / found['median']:.1f}x)" if "median" in ours and "median" in found else ""


def beside(row, names):
    """What the peers did, and how much of it ours is."""
    ours = row["peers"]["ours"]
    return [mpps(row["peers"].get(n, {})) + ratio(ours, row["peers"].get(n, {})) for n in names]


def measured(part):
    """Lines with a figure of ours, and the peers that have one somewhere."""
    rows = [row for row in part["rows"] if "median" in row["peers"].get("ours", {})]
    names = [n for n in ("ovs", "grout", "kernel") if any("median" in row["peers"].get(n, {}) for row in rows)]
    return rows, names


def row_name(cell):
    size = cell["size"] if cell["size"] == "imix" else f"{cell['size']} B"
    new = f", {100 / cell['fresh']:g} % new" if cell["fresh"] else ""
    return f"`{cell['case']}` IPv{cell['family']} {size}{new}"


def shares_note(part):
    shares = [f["share"] for row in part["rows"] for f in row["peers"].values() if "share" in f]
    share = min(shares, default=1)
    return "" if share >= 0.9 else f"\nA worker had {share:.0%} of its CPU at worst; those rates are scaled to a whole CPU.\n"


def packets(part, machine):
    rows, names = measured(part)
    versions = {n: v for n, v in part.get("versions", {}).items() if v}
    titles = [f" {TITLES[n]} {versions.get(n, '')}".rstrip() for n in names]
    lines = []
    for row in rows:
        ours, vpp = row["peers"]["ours"], peers.vpp(row)
        cells = [row_name(row["cell"]), f"{row['cell']['flows']:,}", *spread(ours), f"{machine['tsc_hz'] / ours['median']:.0f}", *beside(row, names)]
        lines.append([*cells, f"{vpp / 1e6:.1f} ({ours['median'] / vpp:.1f}x)" if vpp else ""])
    made = table(["case", " flows", " ours, Mpps", " min", " max", " cycles", *titles, " VPP, by its ratio"], lines)
    alone = [row["peers"]["ceiling"]["median"] / 1e6 for row in part["rows"] if "median" in row["peers"].get("ceiling", {})]
    if alone:
        made += f"\nSource and sink alone: {min(alone):.0f} to {max(alone):.0f} Mpps.\n"
    return made + shares_note(part)


def scaling(part, _machine):
    rows = [[workers, *spread(part[str(workers)])] for workers in (1, 2) if "median" in part.get(str(workers), {})]
    made = table(["workers, `chain`, 10,000 flows", " Mpps", " min", " max"], rows)
    if len(rows) == 2:
        made += f"\nTwo do {part['2']['median'] / part['1']['median']:.2f} times what one does, each scaled to whole CPUs.\n"
    return made


def setup(part, machine):
    rows, names = measured(part)
    lines = []
    for row in rows:
        ours = row["peers"]["ours"]
        lines.append([row["what"], f"{row['rules']:,}", *spread(ours), f"{machine['tsc_hz'] / ours['median']:.0f}", *beside(row, names)])
    made = table(["what", " rules", " ours, M/s", " min", " max", " cycles", *(f" {TITLES[n]}" for n in names)], lines)
    if part.get("memory"):
        held = part["memory"]
        made += f"\n{held['bytes']:.0f} bytes a session, all in; {held['sessions']:,} sessions held by a dataplane of {held['dataplane_mb']:,.0f} MB.\n"
    return made + shares_note(part)


def sight(part, machine):
    bases = {row["what"]: row["median"] for row in part["rows"] if "," not in row["what"]}
    lines = [
        [row["what"], *spread(row), f"{machine['tsc_hz'] / row['median']:.0f}", f"{row['median'] / bases[row['what'].split(',')[0]]:.1%}"]
        for row in part["rows"]
    ]
    return table(["flows", " Mpps", " min", " max", " cycles", " of the first"], lines)


def latency(part, _machine):
    lines = []
    for row in part["rows"]:
        times = ["" if v is None else f"{v:.1f}" for v in row["us"].values()]
        lines.append([row["idle"], row["load"], f"{row['through'] / 1e6:.3f}", *times])
    most = f"Most that came through: {part['most'] / 1e6:.2f} Mpps, {part['size']}-byte frames.\n\n"
    return most + table(["idle", " load", " Mpps", " p50 µs", " p99 µs", " p99.9 µs"], lines)


def iperf3(part, _machine):
    lines = []
    for name, runs in part["figures"].items():
        rates = [run["gbits"] for run in runs]
        again = statistics.median(run["retransmits"] for run in runs)
        lines.append([name, f"{statistics.median(rates):.2f}", f"{min(rates):.2f}", f"{max(rates):.2f}", f"{again:,.0f}"])
    return table([f"one stream, {part['seconds']} s", " Gbit/s", " min", " max", " retransmits"], lines)


def structures(part, _machine):
    sessions = [
        [f"{one['sessions']:,.0f}", f"{one['lookup']:.0f}", f"{one['counted']:.0f}", f"{one['miss']:.0f}", f"{one['pair']:.0f}"]
        for one in part["session"]["tables"]
    ]
    made = table([" sessions", " look-up", " and its counters", " miss", " insert and remove"], sessions)
    made += f"\nCycles a key. {part['session']['bytes']:.0f} bytes a session are resident when the table is full.\n\n"
    rules = [[one["rules"], f"{one['cycles']:.0f}", f"{one['change_us']:.0f}", f"{one['worst_us'] / 1e3:.1f}"] for one in part["policy"]]
    return made + table(["rules", " cycles of a check", " µs to change one, median", " ms, worst"], rules)


def endpoints(part, _machine):
    median = {key: statistics.median(run[key] for run in part["runs"]) for key in part["runs"][0]}
    lines = [
        [what, f"{median[what + '_per_s']:,.0f}", f"{median[what + '_per_cpu_s']:,.0f}"]
        for what in ("endpoints", "rules", "routes", "sessions")
        if what + "_per_cpu_s" in median
    ]
    told = f"\n{part['count']:,} endpoints took {median['seconds']:.1f} s ({median['cpu_seconds']:.1f} s of CPU) and {median['mb']:.0f} MB; "
    lost = f"{median['lost']:.0f} of {median['pings']:,.0f} pings were lost meanwhile.\n"
    return table(["through the southbound socket", " a second", " a CPU second of the control thread"], lines) + told + lost


def steps_table(steps):
    lines = []
    for name, cost in steps.items():
        if "controller_mb" not in cost:
            continue
        cells = [f"{cost['seconds']:.1f}", f"{cost['controller_cpu_s']:.2f}", f"{cost['controller_mb']:,}"]
        lines.append([name, *cells, f"{cost['dataplane_cpu_s']:.2f}", f"{cost['dataplane_mb']:,}"])
    return table(["what", " s", " controller, CPU s", " MB", " dataplane, CPU s", " MB"], lines)


def resync(part, _machine):
    return f"{part['endpoints']:,} endpoints.\n\n" + steps_table(part["steps"])


def change_lines(sorts):
    lines = []
    for name, kind in sorts.items():
        answered, cpu = kind["answered_ms"], kind["controller_ms"]
        lines.append([name, *(f"{answered[key]:.1f}" for key in ("p50", "p99", "max")), f"{cpu['p50']:.2f}", f"{cpu['p99']:.2f}"])
    return lines


CHANGE_HEAD = ["change", " p50 ms", " p99", " max", " controller's CPU, p50 ms", " p99"]


def changes(part, _machine):
    lines = change_lines(part["sorts"])
    lines.append(["a rule added: call → first packet that passes", *(f"{part['packet_ms'][key]:.1f}" for key in ("p50", "p99", "max")), "", ""])
    start = f"\n{part['objects']:,} ports in the store; {part['runs']:,} calls of each sort. Killed and started again, the controller answers after {part['start_s']:.1f} s.\n"
    return table(CHANGE_HEAD, lines) + start


def scale(part, _machine):
    sizes = part["sizes"]
    told = f"{sizes['vpcs']:,} VPCs, {sizes['endpoints']:,} endpoints, {sizes['rules']:,} rules, {sizes['ports']:,} TAPs.\n\n"
    sorts = {name: kind for name, kind in part["steps"].items() if "answered_ms" in kind}
    return told + steps_table(part["steps"]) + f"\nChanges there, {sizes['runs']:,} of each sort:\n\n" + table(CHANGE_HEAD, change_lines(sorts))


def steps(part, _machine):
    lines = {}
    for flows, items in part.items():
        for item in items:
            if item["packets"]:
                lines.setdefault(item["step"], {})[flows] = f"{item['cycles_per_packet']:.0f}"
    return table(["step, `chain`", " established: cycles a packet", " new: cycles a packet"], [[f"`{s}`", c.get("established", ""), c.get("new", "")] for s, c in lines.items()])


def instructions():
    """Not of a run: what the test holds packets to."""
    with open(INSTRUCTIONS, encoding="utf-8") as f:
        baseline = json.load(f)
    rows = [[f"`{name}`", count] for name, count in baseline["instructions_per_packet"].items()]
    build = baseline["build"]
    return table(["packet", " instructions"], rows) + f"\n{build['compiler']}, {build['machine']}, {build['options']}.\n"


def about(machine):
    return (
        f"{machine['cpus']} CPUs ({machine['cpu']}, TSC {machine['tsc_hz'] / 1e9:.3f} GHz), Linux {machine['kernel']}, DPDK {machine['dpdk']}, "
        f"{machine['compiler']}; commit {machine['commit']}, {machine['date']}, load {machine['load']:.1f} at the end.\n"
    )


MAKERS = {
    maker.__name__: maker
    for maker in (packets, scaling, setup, sight, latency, iperf3, structures, endpoints, resync, changes, scale, steps)
}


def put(page, name, made):
    """The page with that part in its place; None when it has none."""
    mark = re.compile(rf"(<!-- figures: {name} -->\n).*?(<!-- end -->)", re.S)
    return mark.sub(lambda m: f"{m[1]}\n{made.strip()}\n\n{m[2]}", page) if mark.search(page) else None


def parts(results):
    """(name, text) of all that the run has, and how it compares with what is wanted."""
    machine = results.get("machine")
    yield "machine", about(machine)
    yield "targets", targets.markdown(results.all)
    yield "instructions", instructions()
    for name, make in MAKERS.items():
        if results.get(name) is None:
            print(f"{name}: not in the run")
            continue
        at = (results.get("at") or {}).get(name, machine)
        other = "" if at["commit"] == machine["commit"] else f"\nMeasured at commit {at['commit']}, {at['date']}.\n"
        yield name, make(results.get(name), machine) + other


def write(results):
    with open(PAGE, encoding="utf-8") as f:
        page = f.read()
    for name, made in parts(results):
        changed = put(page, name, made)
        print(f"{name}: {'no mark in the page' if changed is None else str(made.count(chr(10))) + ' lines'}")
        page = changed or page
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(page)
    drawing = plot.draw(results.get("packets"), results.get("machine")) if results.get("packets") else None
    if drawing:
        with open(os.path.join(ROOT, "docs", "performance.svg"), "w", encoding="utf-8") as f:
            f.write(drawing)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--targets", action="store_true")
    args = parser.parse_args()
    results = Results(args.json)
    if results.get("machine") is None:
        sys.exit(f"{results.path} has no figures: make bench")
    if args.targets:
        print("\n".join(targets.lines(results.all)))
    elif args.check:
        for name, made in parts(results):
            print(f"{name}: {made.count(chr(10))} lines")
    else:
        write(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
