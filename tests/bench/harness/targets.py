# SPDX-License-Identifier: Apache-2.0
"""What is wanted of one worker on this kind of machine, and what a run says of it: met, missed, or not measured."""

import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """One line. `met` None: this run has no figure of it."""

    what: str
    target: str
    figure: str
    met: object


def rows(results, part):
    return (results.get(part) or {}).get("rows", [])


def cell(results, case, flows=10000, size=60, family=4, fresh=0):
    """Ours of that line of the packets' table, or None."""
    wanted = {"case": case, "flows": flows, "size": size, "family": family, "fresh": fresh}
    for row in rows(results, "packets"):
        if row["cell"] == wanted:
            return row["peers"].get("ours", {}).get("median")
    return None


def connections(results, what, rules=1):
    """Ours of that line of the new connections' table, or None."""
    for row in rows(results, "setup"):
        if (row["what"], row["rules"]) == (what, rules):
            return row["peers"].get("ours", {}).get("median")
    return None


def median(results, part, key):
    runs = (results.get(part) or {}).get("runs", [])
    return statistics.median(run[key] for run in runs) if runs and key in runs[0] else None


def at_least(what, figure, target, unit="Mpps", scale=1e6):
    text = "" if figure is None else f"{figure / scale:.2f} {unit}"
    return Verdict(what, f"≥ {target:g} {unit}", text, None if figure is None else figure / scale >= target)


def at_most(what, figure, target, unit):
    text = "" if figure is None else f"{figure:.3g} {unit}" if figure < 1000 else f"{figure:,.0f} {unit}"
    return Verdict(what, f"≤ {target:g} {unit}", text, None if figure is None else figure <= target)


def ratio(what, part, whole, least):
    """`part` is so large a part of `whole` at least."""
    if part is None or not whole:
        return Verdict(what, f"≥ {least:.0%}", "", None)
    return Verdict(what, f"≥ {least:.0%}", f"{part / whole:.1%}", part / whole >= least)


def packets(results):
    cases = (
        ("chain", "policy + VXLAN encapsulation", (20, 16, 13)),
        ("reverse", "VXLAN decapsulation + policy", (16, 13, 10)),
        ("snat", "policy + SNAT", (18, 14, 11)),
        ("lb", "load-balanced flow", (18, 14, 12)),
    )
    for case, what, targets in cases:
        for flows, target in zip((10000, 100000, 1000000), targets):
            yield at_least(f"established: {what}, {flows:,} flows", cell(results, case, flows), target)


def ahead(results):
    """Where a peer that ran beside ours is faster. VPP did not run: its column is for reading."""
    compared = [row["peers"] for part in ("packets", "setup") for row in rows(results, part) if "median" in row["peers"].get("ours", {})]
    slower = [
        name
        for peers in compared
        for name, found in peers.items()
        if name not in ("ours", "ceiling") and found.get("median", 0) > peers["ours"]["median"]
    ]
    return at_most("lines of both tables in which a peer is faster", len(slower) if compared else None, 0, "lines")


def scaling(results):
    found = results.get("scaling") or {}
    one, two = ((found.get(n) or {}).get("median") for n in ("1", "2"))
    return at_least("two workers to one", two / one if one and two else None, 1.8, "x", 1)


def relations(results):
    policy = "new UDP flows, policy"
    for family in ("chain", "reverse", "sg"):
        yield ratio(f"IPv6 to IPv4, `{family}`", cell(results, family, family=6), cell(results, family), 0.75)
    for case in ("chain", "reverse", "l3"):
        yield ratio(f"1,400 bytes to 60, `{case}`", cell(results, case, size=1400), cell(results, case), 0.80)
    # Two medians of the same thing lie that far apart.
    yield ratio("established flow, 10,000 rules to one", connections(results, "established flows", 10000), connections(results, "established flows"), 0.95)
    yield ratio("set-up, 1,000 rules to one", connections(results, policy, 1000), connections(results, policy), 0.5)


def sight(results):
    found = {row["what"]: row["median"] for row in rows(results, "sight")}
    bounds = (
        ("established, mirror and inspection of others", 0.98),
        ("established, inspected", 0.90),
        ("established, mirrored to nobody", 0.97),
        ("established, mirrored to a port that is full", 0.97),
    )
    for what, least in bounds:
        yield ratio(what, found.get(what), found.get("established"), least)


def control(results):
    seconds, count = median(results, "endpoints", "seconds"), (results.get("endpoints") or {}).get("count")
    if count != 1000000:
        seconds = None
    yield at_most("1,000,000 endpoints through the southbound socket", seconds, 5, "s")
    yield at_most("packets lost meanwhile", median(results, "endpoints", "lost"), 0, "packets")
    changes = results.get("changes") or {}
    worst = [kind["answered_ms"]["p99"] for kind in changes.get("sorts", {}).values()]
    yield at_most("change accepted → the node obeys, p99, the slowest sort", max(worst, default=None), 10, "ms")
    yield at_most("change → first packet that obeys, p99", (changes.get("packet_ms") or {}).get("p99"), 10, "ms")
    yield at_most("start with 100,000 objects in the store", changes.get("start_s"), 5, "s")


def tcp(results):
    figures = (results.get("iperf3") or {}).get("figures", {})
    for name, what, target in (("vpc, one host", "TCP, TAP to TAP, one host", 8), ("vpc, two hosts", "TCP, TAP to TAP over VXLAN, two hosts", 3)):
        for family in (4, 6):
            runs = figures.get(f"{name}, IPv{family}")
            found = statistics.median(run["gbits"] for run in runs) if runs else None
            yield at_least(f"{what}, IPv{family}", found, target, "Gbit/s", 1)


def verdicts(results):
    """All, in the order in which they are told. `results`: what a run has written, by part."""
    memory = (results.get("setup") or {}).get("memory") or {}
    return [
        *packets(results),
        at_least("new UDP flows through policy", connections(results, "new UDP flows, policy"), 3, "M/s"),
        at_least("new UDP flows through SNAT", connections(results, "new UDP flows, SNAT"), 2, "M/s"),
        at_most("memory a session, all in, IPv4", memory.get("bytes"), 256, "bytes"),
        ahead(results),
        scaling(results),
        *relations(results),
        *sight(results),
        *control(results),
        *tcp(results),
    ]


def told(found):
    """met, MISSED, or a dash."""
    return "–" if found.met is None else "met" if found.met else "MISSED"


def lines(results):
    """For a terminal."""
    found = verdicts(results)
    width = max(len(one.what) for one in found)
    table = [f"{one.what:{width}}  {one.target:>14}  {one.figure:>14}  {told(one)}" for one in found]
    counts = [sum(one.met is met for one in found) for met in (True, False, None)]
    return [f"{'target':{width}}  {'wanted':>14}  {'measured':>14}", *table, "{} met, {} missed, {} not measured".format(*counts)]


def markdown(results):
    """For docs/performance.md."""
    table = ["| target | wanted | measured | |", "|---|---:|---:|---|"]
    table += [f"| {one.what} | {one.target} | {one.figure} | {told(one).replace('MISSED', '**missed**')} |" for one in verdicts(results)]
    return "\n".join(table) + "\n"
