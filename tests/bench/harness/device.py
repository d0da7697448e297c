# SPDX-License-Identifier: Apache-2.0
"""Reads what a net_flowgen device counts, from the file that it maps (tests/bench/flowgen/counts.h)."""

import mmap
import os
import struct
import time

from . import ROOT

QUEUES, WORDS = 16, 8
RX_PACKETS, TX_PACKETS, TX_BYTES, NO_BUFFER, CONNECTIONS, LOST = 0, 2, 3, 4, 5, 6
STEP_BITS, BUCKETS = 5, 2048
SIZE = 8 * (QUEUES * WORDS + BUCKETS)


def plugin():
    """The device as a plugin, for the DPDK of this system."""
    return os.path.join(ROOT, os.environ.get("VPC_BUILD") or "build-bench", "tests", "bench", "librte_net_flowgen.so")


class Counts:
    """The counters of one device, while they run and once they have stopped."""

    def __init__(self, path, timeout_s=20):
        end = time.monotonic() + timeout_s
        while not os.path.exists(path) or os.path.getsize(path) < SIZE:
            if time.monotonic() > end:
                raise TimeoutError(f"no device counts in {path}")
            time.sleep(0.02)
        with open(path, "rb") as f:
            self.map = mmap.mmap(f.fileno(), SIZE, prot=mmap.PROT_READ)

    def sum(self, word):
        return sum(struct.unpack_from("=Q", self.map, 8 * (queue * WORDS + word))[0] for queue in range(QUEUES))

    def taken(self):
        """Packets that the program under test has sent to the device."""
        return self.sum(TX_PACKETS)

    def latency(self):
        """The histogram of ages, so far."""
        return struct.unpack_from(f"={BUCKETS}Q", self.map, 8 * QUEUES * WORDS)


def bucket_cycles(bucket):
    """The middle of a bucket of the histogram."""
    if bucket < 1 << STEP_BITS:
        return bucket
    exponent = (bucket >> STEP_BITS) - 1
    return ((bucket - (exponent << STEP_BITS)) + 0.5) * (1 << exponent)


def quantiles(histogram, parts):
    """Cycles below which so large a part of the ages is."""
    total, result = sum(histogram), []
    for part in parts:
        seen, wanted = 0, total * part
        for bucket, count in enumerate(histogram):
            seen += count
            if count and seen >= wanted:
                result.append(bucket_cycles(bucket))
                break
        else:
            result.append(None)
    return result


def frames(path):
    """The frames of a dump."""
    with open(path, "rb") as f:
        data = f.read()
    at, found = 24, []
    while at + 16 <= len(data):
        length = struct.unpack_from("=I", data, at + 8)[0]
        found.append(data[at + 16 : at + 16 + length])
        at += 16 + length
    return found
