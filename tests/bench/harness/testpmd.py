# SPDX-License-Identifier: Apache-2.0
"""DPDK's own testpmd: loops between devices, and a peer of memif ports."""

import os
import subprocess

from .device import plugin


def start(directory, lcores, megabytes, devices, *options):
    """The process. `directory` is its own, as its name tells EAL's files apart. With the option -i it has its devices and reads none."""
    argv = ["dpdk-testpmd", "--lcores", lcores, "--no-pci", "--no-telemetry", "-m", str(megabytes), "--single-file-segments", "-d", plugin()]
    argv += [f"--file-prefix={os.path.basename(directory)}", *(f"--vdev={device}" for device in devices), "--", *options]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)


def stop(child):
    # A line ends its forwarding, or is an empty command before the end of its input.
    try:
        child.communicate(b"\n", timeout=15)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
