# SPDX-License-Identifier: Apache-2.0
"""Where the linker has put what workers read and what is written while packets flow (dataplane/base/cache_line.h): a variable that a
worker reads for each packet and that shares its line with a counter of another thread costs a miss each time that one counts."""

import os
import subprocess

import pytest

BUILD = os.environ.get("VPC_BUILD") or os.path.join(os.path.dirname(__file__), "..", "..", "build")
PROGRAM = os.path.join(BUILD, "dataplane", "vpc-dataplane")
LINE = 64

# Read by workers for a packet, a burst or a flow.
READ = (
    "bucket_table epoch_values index_states nat_records perf_open port_table rcu_qsbr session_accounts session_colds session_dirs "
    "session_exts session_holds session_hots session_meters session_mores session_seed session_watcher start_tsc tsc_per_ms "
    "worker_count worker_walk"
).split()
# Written while packets flow: alone in their lines. What is written by its worker only stands in arrays of whole lines.
WRITTEN = ("bucket_table", "epoch_word", "high_water", "workers")


def symbols():
    """{name: (address, size)} of the program's variables, and where its section read_mostly is."""
    found = {}
    for line in subprocess.run(["nm", "--print-size", PROGRAM], capture_output=True, text=True, check=True).stdout.splitlines():
        words = line.split()
        if len(words) == 4 and words[2] in "bBdDsS":
            found.setdefault(words[3], []).append((int(words[0], 16), int(words[1], 16)))
    headers = subprocess.run(["readelf", "--section-headers", "--wide", PROGRAM], capture_output=True, text=True, check=True).stdout
    section = next(line.split("read_mostly")[1].split() for line in headers.splitlines() if " read_mostly " in line)
    return found, range(int(section[1], 16), int(section[1], 16) + int(section[3], 16))


@pytest.fixture(scope="module")
def program():
    with open(PROGRAM, "rb") as f:
        if b"__asan_init" in f.read():
            pytest.skip("sanitizers put room between variables")
    return symbols()


def only(found, name):
    assert len(found.get(name, [])) == 1, f"{name}: {found.get(name)}"
    return found[name][0]


def lines_of(address, size):
    return range(address // LINE, (address + size - 1) // LINE + 1)


def neighbours(found, name):
    """Variables with a part in one of its lines."""
    mine = lines_of(*only(found, name))
    return {
        other
        for other, places in found.items()
        for address, size in places
        if other != name and size and set(lines_of(address, size)) & {mine[0], mine[-1]}
    }


@pytest.mark.parametrize("name", READ)
def test_what_workers_read_stands_together(program, name):
    found, section = program
    if name in WRITTEN:
        return
    assert only(found, name)[0] in section, f"{name} is not READ_MOSTLY"


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_is_alone(program, name):
    found, _ = program
    address, size = only(found, name)
    assert address % LINE == 0 and size % LINE == 0, f"{name}: {size} bytes at {address:#x}"
    assert not neighbours(found, name)


def test_nothing_else_is_among_them(program):
    """The section's lines are its own, but for variables that are set at the start as well."""
    found, section = program
    inside = [(name, address) for name, places in found.items() for address, _ in places if address in section]
    assert len(inside) >= len(READ)
    last = (section[-1] // LINE, section[0] // LINE)
    beside = {name for name, places in found.items() for address, size in places if size and address not in section and set(last) & set(lines_of(address, size))}
    assert not beside & {"workers", "epoch_word", "n_endpoints", "n_staged", "used", "fresh"}, beside
