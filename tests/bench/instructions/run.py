#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions per packet, counted exactly, against what they were: more than 3 % more or less is a failure.

    run.py PROGRAM BASELINE        as the test `instructions` of meson, which tells COMPILER and OPTIONS; UPDATE=1: writes BASELINE

Counts are those of one compiler and one sort of build: with another there is nothing to compare with, and the test says so and is
skipped. Time and load of the machine do not matter. After a change that is meant: scripts/bench instructions --update.
"""

import argparse
import glob
import json
import os
import platform
import re
import subprocess
import sys
import tempfile

SKIPPED = 77
TOLERANCE = 0.03


def build_of():
    """What the counts depend on beside the sources."""
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        avx2 = " avx2 " in f.read()
    return {
        "compiler": os.environ.get("COMPILER", ""),
        "options": os.environ.get("OPTIONS", ""),
        "machine": platform.machine() + ("+avx2" if avx2 else ""),
    }


def counts(program):
    """{sort: instructions per packet} of a run under callgrind."""
    with tempfile.TemporaryDirectory() as directory:
        out = os.path.join(directory, "out")
        argv = ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--callgrind-out-file={out}", program]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(argv)}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        found = {}
        for path in glob.glob(f"{out}.*"):
            with open(path, encoding="utf-8") as f:
                text = f.read()
            name = re.search(r"^desc: Trigger: Client Request: (\S+) (\d+)$", text, re.M)
            total = re.search(r"^(?:totals|summary): (\d+)", text, re.M)
            if name and total:
                found[name[1]] = round(int(total[1]) / int(name[2]), 1)
        if not found:
            sys.exit("callgrind has counted nothing")
        return found


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def compare(found, before):
    wrong = 0
    for sort in sorted(found.keys() | before.keys()):
        is_now, was = found.get(sort), before.get(sort)
        if is_now is None or was is None:
            verdict = "is not in the baseline" if was is None else "is not counted any more"
            wrong += 1
        else:
            change = is_now / was - 1
            verdict = f"was {was:8.1f}  {change:+.1%}"
            if abs(change) > TOLERANCE:
                verdict += "  FAILED"
                wrong += 1
        print(f"{sort:8} {is_now if is_now is not None else 0:8.1f} instructions a packet  {verdict}")
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("baseline")
    args = parser.parse_args()
    update = os.environ.get("UPDATE") == "1"
    try:
        subprocess.run(["valgrind", "--version"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        skip("valgrind is not installed")
    build = build_of()
    with open(args.baseline, encoding="utf-8") as f:
        baseline = json.load(f)
    if not update and build != baseline["build"]:
        skip("; ".join(f"{k} is {build[k]!r}, that of the baseline {baseline['build'][k]!r}" for k in build if build[k] != baseline["build"].get(k)))
    found = counts(args.program)
    if update:
        with open(args.baseline, "w", encoding="utf-8") as f:
            json.dump({"build": build, "instructions_per_packet": dict(sorted(found.items()))}, f, indent=1)
            f.write("\n")
        print(json.dumps(found))
        return 0
    if compare(found, baseline["instructions_per_packet"]):
        print(f"beyond {TOLERANCE:.0%}: cure it, or, if it is meant: scripts/bench instructions --update")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
