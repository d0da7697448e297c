#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the figures of a run (build-bench/bench.json) into docs/performance.md, between its marks, and draws docs/performance.svg.

    report.py [--json FILE] [--check]       --check: only says which parts the file has

A part that the run does not have stays as it is.
"""

import argparse
import os
import re
import statistics
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import ROOT, peers, plot  # noqa: E402
from harness.results import Results  # noqa: E402

PAGE = os.path.join(ROOT, "docs", "performance.md")
TITLES = {p.name: p.title for p in peers.ALL}


def mpps(found):
    if "median" not in found:
        return "failed" if "failed" in found else ""
    return f"{found['median'] / 1e6:.2f}"


def ratio(ours, found):
    return f" ({ours['median'] / found['median']:.1f}x)" if "median" in ours and "median" in found else ""


def row_name(cell):
    size = cell["size"] if cell["size"] == "imix" else f"{cell['size']} B"
    new = f", {100 / cell['fresh']:g} % new" if cell["fresh"] else ""
    return f"`{cell['case']}` IPv{cell['family']} {size}{new} | {cell['flows']:,}"


def least_share(rows):
    shares = [f["share"] for row in rows for f in row["peers"].values() if "share" in f]
    return min(shares, default=1)


def shares_note(rows):
    share = least_share(rows)
    return "" if share >= 0.9 else f"\nA worker had {share:.0%} of its CPU at worst; those rates are scaled to a whole CPU.\n"


def packets(part, machine):
    scaled = Results(machine["json"]).get("scaling", {}) or {}
    names = [n for n in ("ovs", "grout", "kernel") if any("median" in row["peers"].get(n, {}) for row in part["rows"])]
    versions = {n: v for n, v in part.get("versions", {}).items() if v}
    with_versions = [f"{TITLES[n]} {versions.get(n, '')}".strip() for n in names]
    lines = [f"| case | flows | ours, Mpps | min | max | cycles | {' | '.join(with_versions)} | VPP, by its ratio |"]
    lines.append("|---|---:|---:|---:|---:|---:|" + "---:|" * (len(names) + 1))
    for row in part["rows"]:
        ours = row["peers"].get("ours", {})
        if "median" not in ours:
            continue
        cells = [row_name(row["cell"]), f"**{mpps(ours)}**", f"{ours['min'] / 1e6:.2f}", f"{ours['max'] / 1e6:.2f}"]
        cells.append(f"{machine['tsc_hz'] / ours['median']:.0f}")
        cells += [mpps(row["peers"].get(n, {})) + ratio(ours, row["peers"].get(n, {})) for n in names]
        vpp = peers.vpp(row)
        cells.append(f"{vpp / 1e6:.1f} ({ours['median'] / vpp:.1f}x)" if vpp else "")
        lines.append("| " + " | ".join(cells) + " |")
    alone = [row["peers"]["ceiling"] for row in part["rows"] if "median" in row["peers"].get("ceiling", {})]
    if alone:
        lines.append(f"\nSource and sink alone: {min(a['median'] for a in alone) / 1e6:.0f} to {max(a['median'] for a in alone) / 1e6:.0f} Mpps.")
    two = scaled.get("2", {})
    if "median" in two and "median" in scaled.get("1", {}):
        lines.append(f"\nTwo workers, `chain`, 10,000 flows: {mpps(two)} Mpps, {two['median'] / scaled['1']['median']:.2f} times one.")
    return "\n".join(lines) + "\n" + shares_note(part["rows"])


def setup(part, machine):
    lines = ["| what | rules | ours, M/s | min | max | cycles | OVS-DPDK | Linux |", "|---|---:|---:|---:|---:|---:|---:|---:|"]
    for row in part["rows"]:
        ours = row["peers"].get("ours", {})
        if "median" not in ours:
            continue
        cells = [row["what"], f"{row['rules']:,}", f"**{mpps(ours)}**", f"{ours['min'] / 1e6:.2f}", f"{ours['max'] / 1e6:.2f}"]
        cells.append(f"{machine['tsc_hz'] / ours['median']:.0f}")
        cells += [mpps(row["peers"].get(n, {})) + ratio(ours, row["peers"].get(n, {})) for n in ("ovs", "kernel")]
        lines.append("| " + " | ".join(cells) + " |")
    if part.get("memory"):
        lines.append(f"\n{part['memory']['bytes']:.0f} bytes a session, all in, with {part['memory']['sessions']:,} of them held.")
    return "\n".join(lines) + "\n" + shares_note(part["rows"])


def latency(part, _machine):
    lines = [f"Most that came through: {part['most'] / 1e6:.2f} Mpps, {part['size']}-byte frames.\n"]
    lines += ["| idle | load | Mpps | p50 µs | p99 µs | p99.9 µs |", "|---|---:|---:|---:|---:|---:|"]
    for row in part["rows"]:
        times = " | ".join("" if v is None else f"{v:.1f}" for v in row["us"].values())
        lines.append(f"| {row['idle']} | {row['load']} | {row['through'] / 1e6:.3f} | {times} |")
    return "\n".join(lines) + "\n"


def about(machine):
    return (
        f"{machine['cpus']} CPUs ({machine['cpu']}, TSC {machine['tsc_hz'] / 1e9:.3f} GHz), Linux {machine['kernel']}, DPDK {machine['dpdk']}, "
        f"{machine['compiler']}; {machine['date']}, commit {machine['commit']}, load {machine['load']:.1f} at the end.\n"
    )


def endpoints(part, _machine):
    median = {key: statistics.median(run[key] for run in part["runs"]) for key in part["runs"][0]}
    lines = ["| through the southbound socket | a second |", "|---|---:|"]
    lines += [f"| {what} | {median[key]:,.0f} |" for what, key in (("endpoints", "endpoints_per_s"), ("rules", "rules_per_s"), ("routes", "routes_per_s"))]
    told = f"\n{part['count']:,} endpoints took {median['seconds']:.1f} s ({median['cpu_seconds']:.1f} s of CPU) and {median['mb']:.0f} MB; "
    return "\n".join(lines) + "\n" + told + f"{median['lost']:.0f} of {median['pings']:.0f} pings were lost meanwhile.\n"


MAKERS = {"endpoints": endpoints, "packets": packets, "setup": setup, "latency": latency}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    results = Results(args.json)
    machine = results.get("machine")
    if machine is None:
        sys.exit(f"{results.path} has no figures: make bench")
    machine["json"] = results.path
    with open(PAGE, encoding="utf-8") as f:
        page = f.read()
    for name, make in MAKERS.items():
        part = results.get(name)
        mark = re.compile(rf"(<!-- figures: {name} -->\n).*?(<!-- end -->)", re.S)
        if part is None or not mark.search(page):
            print(f"{name}: {'not in the run' if part is None else 'no mark in the page'}")
            continue
        made = "\n" + about(machine) + "\n" + make(part, machine) + "\n"
        page = mark.sub(lambda m, made=made: m[1] + made + m[2], page)
        print(f"{name}: {len(part.get('rows', part.get('runs')))} lines")
    if args.check:
        return 0
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(page)
    drawing = plot.draw(results.get("packets"), machine) if results.get("packets") else None
    if drawing:
        with open(os.path.join(ROOT, "docs", "performance.svg"), "w", encoding="utf-8") as f:
            f.write(drawing)
    return 0


if __name__ == "__main__":
    sys.exit(main())
