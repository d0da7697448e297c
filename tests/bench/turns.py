#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a change is worth: dataplanes of several builds take turns at the same traffic, so that the machine's moods hit all of them.

    turns.py [--cases chain,lb] [--flows 10000] [--fresh 0] [--rounds 3] [--seconds 0.5] BUILD BUILD...

A build is a directory that `BENCH_BUILD=DIRECTORY scripts/bench build` has made. Told are medians of windows: of four each round, of two
for flows that come once, which fill the table.
"""

import argparse
import os
import statistics
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import measure, peers  # noqa: E402
from harness.cell import Cell  # noqa: E402

CAPACITY = 1 << 22  # sessions, where none comes twice


def windows(cell, seconds):
    """Rates of the build that VPC_BUILD names."""
    once = cell.fresh == 1
    with peers.Ours(cell, **({"sessions": CAPACITY} if once else {})) as run:
        measure.wait(lambda: run.taken() > 2.2 * cell.flows + 1000, 60, run.describe)
        return [rate for rate, _ in measure.rates(run.taken, run.pid, seconds, 2 if once else 4)]


def asked(build, case, args):
    """The same in a process of its own: a build is chosen at its start."""
    argv = [sys.executable, __file__, "--one", "--cases", case, "--flows", str(args.flows), "--fresh", str(args.fresh), "--seconds", str(args.seconds)]
    done = subprocess.run(argv, env={**os.environ, "VPC_BUILD": os.path.abspath(build)}, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{build}: {done.stderr[-2000:]}")
    return [float(rate) for rate in done.stdout.split()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default="chain,lb")
    parser.add_argument("--flows", type=int, default=10000)
    parser.add_argument("--fresh", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("builds", nargs="*")
    args = parser.parse_args()
    if args.one:
        print(*windows(Cell(args.cases, args.flows, fresh=args.fresh), args.seconds))
        return 0
    hz = measure.tsc_hz()
    for case in args.cases.split(","):
        rates = {build: [] for build in args.builds}
        for _ in range(args.rounds):
            for build in args.builds:
                rates[build] += asked(build, case, args)
        for build, found in rates.items():
            median = statistics.median(found)
            spread = f"[{min(found) / 1e6:.2f} {max(found) / 1e6:.2f}]"
            print(f"{case:8} {args.flows:>9,} flows {build:30}{median / 1e6:8.2f} Mpps {spread} {hz / median:6.0f} cycles", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
