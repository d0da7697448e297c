# SPDX-License-Identifier: Apache-2.0
"""Runs programs that are made of cost.h, under callgrind. Instructions are counted, not time, so a bound on them holds on a
machine that is busy."""

import os
import re
import shutil
import subprocess

import pytest

BUILD = os.environ.get("VPC_BUILD") or os.path.join(os.path.dirname(__file__), "..", "..", "build")
PACKETS = 64 * 32


def instructions(name, modes, directory):
    """{mode: instructions a packet} of the program. Skips without valgrind, or with a program that is not as it is installed."""
    program = os.path.join(BUILD, "tests", "node", name)
    with open(program, "rb") as file:
        sanitized = b"__asan_init" in file.read()
    if shutil.which("valgrind") is None or sanitized:
        pytest.skip("counts instructions of the program as it is installed, with valgrind")
    count = {}
    for mode in modes:
        words = ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--callgrind-out-file={directory}/{mode}", program, mode]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        count[mode] = int(re.search(r"Collected : (\d+)", done.stderr)[1]) / PACKETS
    print(count, "instructions a packet")
    return count
