# SPDX-License-Identifier: Apache-2.0
"""What mirrors cost: flows that they do not look at take at most 2 % more instructions, counted by callgrind; one whose
target is dead or slow costs less than one that works.

Instructions are counted, not time, so the bound holds on a machine that is busy.
"""

import os
import re
import shutil
import subprocess

import pytest

BUILD = os.environ.get("VPC_BUILD") or os.path.join(os.path.dirname(__file__), "..", "..", "build")
PROGRAM = os.path.join(BUILD, "tests", "node", "cost_mirror")
BOUND = 1.02


def sanitized():
    with open(PROGRAM, "rb") as file:
        return b"__asan_init" in file.read()


def instructions(mode, directory):
    words = ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--callgrind-out-file={directory}/{mode}", PROGRAM, mode]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


def test_instructions_of_a_packet(tmp_path):
    if shutil.which("valgrind") is None or sanitized():
        pytest.skip("counts instructions of the program as it is installed, with valgrind")
    count = {mode: instructions(mode, tmp_path) for mode in ("none", "elsewhere", "here", "dead", "slow")}
    print({mode: n / 64 / 32 for mode, n in count.items()}, "instructions a packet")
    assert count["elsewhere"] <= BOUND * count["none"], count
    assert max(count["dead"], count["slow"]) < count["here"], count
    assert count["here"] > BOUND * count["none"], f"the count sees mirrors: {count}"
