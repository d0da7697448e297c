# SPDX-License-Identifier: Apache-2.0
"""pulse.py ADDRESS INTERVAL_US PORT...: a datagram to each port in turn, for ever; each holds the moment it was sent.

CLOCK_MONOTONIC in ns, the same for every process of the computer: time.monotonic_ns().
"""

import socket
import struct
import sys
import time


def main():
    address, interval_ns = sys.argv[1], int(sys.argv[2]) * 1000
    targets = [(address, int(port)) for port in sys.argv[3:]]
    at = time.monotonic_ns()
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as s:
        while True:
            for target in targets:
                s.sendto(struct.pack("!Q", time.monotonic_ns()), target)
            at = max(at + interval_ns, time.monotonic_ns() - interval_ns)
            time.sleep(max(0, at - time.monotonic_ns()) / 1e9)


if __name__ == "__main__":
    main()
