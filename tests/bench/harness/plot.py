# SPDX-License-Identifier: Apache-2.0
"""Figures as a drawing: bars for each case with its peers beside it, and what flows cost, as SVG."""

import math
from html import escape

COLOURS = {"ours": "#1a6faf", "ovs": "#d9822b", "grout": "#4f9d4f", "kernel": "#8a8a8a", "ceiling": "#c9b6d9", "vpp": "#b04a5a"}
TITLES = {"ours": "vpc-dataplane", "ovs": "OVS-DPDK", "grout": "grout", "kernel": "Linux", "ceiling": "device alone"}
WIDTH, LEFT, TOP, BAR, GAP = 860, 120, 64, 11, 14


def text(x, y, what, anchor="start", size=12, colour="#222"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">{escape(str(what))}</text>'


def line(x1, y1, x2, y2, colour="#222", width=1.0):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def ticks(most):
    """Round steps of an axis up to there."""
    step = 10 ** math.floor(math.log10(most)) if most > 0 else 1
    step = next(s for s in (step / 5, step / 2, step, step * 2, step * 5) if most / s <= 8)
    return [n * step for n in range(int(most / step) + 2)]


def legend(names, y):
    out, x = [], LEFT
    for name in names:
        out.append(f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{COLOURS[name]}"/>')
        out.append(text(x + 14, y, TITLES[name]))
        x += 24 + 7.5 * len(TITLES[name])
    return out


def bars(rows, names, top):
    """A group for each row; a whisker from the least to the most. (elements, where it ends)"""
    values = [row["peers"][n] for row in rows for n in names if "median" in row["peers"].get(n, {})]
    scale = ticks(max(v["max"] for v in values) / 1e6)
    to_x = (WIDTH - LEFT - 30) / scale[-1]
    out, y = [], top
    for row in rows:
        shown = [(n, row["peers"][n]) for n in names if "median" in row["peers"].get(n, {})]
        out.append(text(LEFT - 8, y + BAR * len(shown) / 2 + 4, row["cell"]["case"], "end"))
        for name, found in shown:
            x = LEFT + found["median"] / 1e6 * to_x
            out.append(f'<rect x="{LEFT}" y="{y}" width="{x - LEFT:.1f}" height="{BAR - 1}" fill="{COLOURS[name]}"/>')
            out.append(line(LEFT + found["min"] / 1e6 * to_x, y + BAR / 2, LEFT + found["max"] / 1e6 * to_x, y + BAR / 2))
            out.append(text(max(x, LEFT + found["max"] / 1e6 * to_x) + 4, y + BAR - 2, f"{found['median'] / 1e6:.1f}", size=10))
            y += BAR
        y += GAP
    for tick in scale:
        x = LEFT + tick * to_x
        out.insert(0, line(x, top - 6, x, y, "#ddd"))
        out.append(text(x, y + 14, f"{tick:g}", "middle", 11))
    return out, y + 34


def curves(rows, name, top):
    """What the number of flows costs us, a line for each case."""
    height, out = 220, []
    cases = sorted({row["cell"]["case"] for row in rows})
    most = ticks(max(row["peers"][name]["max"] for row in rows) / 1e6)
    palette = ("#1a6faf", "#d9822b", "#4f9d4f", "#b04a5a", "#6a51a3", "#8c6d31", "#17becf", "#e377c2", "#7f7f7f", "#222222")

    def place(flows, mpps):
        return LEFT + math.log10(flows) / 6 * (WIDTH - LEFT - 180), top + height * (1 - mpps / most[-1])

    for tick in most:
        out.append(line(*place(1, tick), *place(1e6, tick), "#ddd"))
        out.append(text(LEFT - 8, place(1, tick)[1] + 4, f"{tick:g}", "end", 11))
    for flows, label in ((1, "1"), (1e4, "10 k"), (1e5, "100 k"), (1e6, "1 M")):
        out.append(text(place(flows, 0)[0], top + height + 16, label, "middle", 11))
    for case, colour in zip(cases, palette):
        points = sorted((row["cell"]["flows"], row["peers"][name]["median"] / 1e6) for row in rows if row["cell"]["case"] == case)
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*p) for p in points))
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
    # Names at the right, apart from each other.
    ends = sorted((place(*max((r["cell"]["flows"], r["peers"][name]["median"] / 1e6) for r in rows if r["cell"]["case"] == c))[1], c) for c in cases)
    y = top - 14
    for end, case in ends:
        y = max(end, y + 14)
        out.append(text(WIDTH - 165, y + 4, case, colour=palette[cases.index(case)]))
    return out, top + height + 40


def ours_of(rows):
    return [row for row in rows if "median" in row["peers"].get("ours", {})]


def plain(row, flows=None):
    cell = row["cell"]
    return cell["family"] == 4 and cell["size"] == 60 and not cell["fresh"] and (flows is None or cell["flows"] == flows)


def draw(packets, machine):
    """The SVG of a run; None when there is nothing to draw."""
    rows = ours_of(packets["rows"])
    first = [row for row in rows if plain(row, 10000)]
    if not first:
        return None
    names = [n for n in TITLES if n != "ceiling" and any("median" in row["peers"].get(n, {}) for row in first)]
    out = [text(LEFT, 24, "Millions of packets a second, one worker, 60-byte IPv4 frames, 10,000 flows", size=15), *legend(names, 44)]
    drawn, end = bars(first, names, TOP)
    out += drawn
    many = [row for row in rows if plain(row)]
    if len({row["cell"]["flows"] for row in many}) > 1:
        out.append(text(LEFT, end + 10, "vpc-dataplane by the number of flows", size=15))
        drawn, end = curves(many, "ours", end + 34)
        out += drawn
    out.append(text(LEFT, end, f"{machine['cpu']}, Linux {machine['kernel']}, commit {machine['commit']}; bars: medians, lines: least to most", size=10))
    style = 'xmlns="http://www.w3.org/2000/svg" font-family="sans-serif"'
    body = "\n".join(out)
    return f'<svg {style} width="{WIDTH}" height="{end + 14:.0f}">\n<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
