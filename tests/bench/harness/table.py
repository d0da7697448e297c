# SPDX-License-Identifier: Apache-2.0
"""Figures for eyes: a line for each thing measured, a column for each program."""

from . import peers

WHAT = 42


def head(present):
    titles = [f"{p.title:>22}" if p.name == "ours" else f"{p.title:>17}" for p in present]
    under = [f"{'Mpps [min max] cycles':>22}" if p.name == "ours" else f"{'Mpps':>9}{'ours is':>8}" for p in present]
    return f"{'':{WHAT}}{''.join(titles)}\n{'one worker':{WHAT}}{''.join(under)}"


def name(cell):
    size = cell["size"] if cell["size"] == "imix" else f"{cell['size']} B"
    new = f", {100 / cell['fresh']:g} % new" if cell["fresh"] else ""
    return f"{cell['case']:8} IPv{cell['family']} {size:>6} {cell['flows']:>9,} flows{new}"


def figure(found, ours, hz, own):
    if "median" not in found:
        return f"{'failed' if 'failed' in found else '-':>{22 if own else 17}}"
    mpps = found["median"] / 1e6
    mark = "~" if found["share"] < 0.9 else ""
    if own:
        text = f"{mark}{mpps:.2f} [{found['min'] / 1e6:.1f} {found['max'] / 1e6:.1f}] {hz / found['median']:.0f}"
        return f"{text:>22}"
    ratio = f"{ours['median'] / found['median']:.1f}x" if "median" in ours else ""
    return f"{mark + format(mpps, '.2f'):>9}{ratio:>8}"


def line(row, present, hz):
    ours = row["peers"].get("ours", {})
    return f"{name(row['cell']):{WHAT}}" + "".join(figure(row["peers"][p.name], ours, hz, p.name == "ours") for p in present)


def notes(rows, present):
    """What a reader has to know beyond the figures."""
    told = []
    disturbed = [f["share"] for row in rows for f in row["peers"].values() if f.get("share", 1) < 0.9]
    if disturbed:
        told.append(f"~ the worker had less than nine tenths of its CPU ({min(disturbed):.0%} at worst): scaled to a whole one")
    for row in rows:
        estimate, ours = peers.vpp(row), row["peers"].get("ours", {})
        if estimate and "median" in ours:
            told.append(f"{name(row['cell'])}: VPP {estimate / 1e6:.1f} Mpps by its ratio to OVS-DPDK elsewhere; ours is {ours['median'] / estimate:.1f}x")
    for row in rows:
        for peer in present:
            why = row["peers"][peer.name].get("failed")
            if why:
                told.append(f"{peer.title} failed, {name(row['cell'])}: {why.splitlines()[0][:300]}")
    return told
