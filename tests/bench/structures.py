#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the benchmarks of single tables and keeps their figures: structures.py [--json FILE]

    tests/bench/session/session_bench   the table of sessions: cycles of a look-up, of an insert and removal, bytes of a session
    tests/bench/policy/bench_policy     rules: cycles of a check, microseconds to compile one changed rule
"""

import argparse
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import ROOT  # noqa: E402
from harness.results import Results  # noqa: E402


def output(name):
    """What the program says, shown as well."""
    path = os.path.join(ROOT, os.environ.get("VPC_BUILD") or "build-bench", "tests", "bench", name)
    text = subprocess.run([path], capture_output=True, text=True, check=True).stdout
    print(text, end="", flush=True)
    return text


def session(text):
    """[{sessions, lookup, counted, miss, pair}], and bytes of one."""
    number = r"([0-9.]+)"
    lines = re.findall(rf"(\d+) sessions: look-up +{number}, with counters +{number}, miss +{number} .*?insert \+ remove {number} ", text)
    tables = [dict(zip(("sessions", "lookup", "counted", "miss", "pair"), map(float, one))) for one in lines]
    return {"tables": tables, "bytes": float(re.search(rf"{number} B resident", text)[1])}


def policy(text):
    """[{rules, cycles, change_us, worst_us}] in the order of the program."""
    number = r"([0-9.]+)"
    lines = re.findall(rf"^(\S.*?) +{number} +{number} +{number} +{number} +{number}$", text, re.M)
    return [{"rules": name, "cycles": float(cycles), "change_us": float(change), "worst_us": float(worst)} for name, cycles, _, change, worst, _ in lines]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json")
    args = parser.parse_args()
    Results(args.json).put("structures", {"session": session(output("session/session_bench")), "policy": policy(output("policy/bench_policy"))})
    return 0


if __name__ == "__main__":
    sys.exit(main())
