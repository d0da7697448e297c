# SPDX-License-Identifier: Apache-2.0
"""Rates on a machine that others may use too, and what that machine is."""

import os
import platform
import re
import statistics
import subprocess
import time

FULL = 0.97  # of a CPU: a polling thread with less was disturbed


def tsc_hz():
    """Cycles a second of the time stamp counter."""
    text = subprocess.run(["dmesg"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"tsc: (?:Refined|Detected)[^0-9]*([0-9.]+) MHz", text)
    if not found:
        with open("/proc/cpuinfo", encoding="ascii") as f:
            found = re.search(r"cpu MHz\s*: ([0-9.]+)", f.read())
    return float(found.group(1)) * 1e6


def output(*argv):
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = re.search(r"model name\s*: (.*)", f.read())
    return {
        "cpu": model.group(1) if model else platform.machine(),
        "cpus": os.cpu_count(),
        "tsc_hz": tsc_hz(),
        "kernel": platform.release(),
        "dpdk": output("pkg-config", "--modversion", "libdpdk"),
        "compiler": output("cc", "--version").split("\n", maxsplit=1)[0],
        "commit": output("git", "rev-parse", "--short=12", "HEAD"),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "load": os.getloadavg()[0],
    }


def thread_seconds(pid):
    """CPU seconds of each thread of a process."""
    seconds = {}
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as f:
                seconds[thread] = int(f.read().split()[0]) / 1e9
    except OSError:
        pass
    return seconds


class Window:
    """Something that grows, watched for a while: its rate for each second of CPU that the busiest threads of `pid`, its workers, had."""

    def __init__(self, read, pid, workers=1):
        self.read, self.pid, self.workers = read, pid, workers
        self.cpu = thread_seconds(pid)
        self.start, self.first = time.monotonic(), read()

    def close(self):
        """(rate, share of its CPU that the thread had); the rate is scaled to a whole CPU when that was not the case."""
        seconds = time.monotonic() - self.start
        grown = self.read() - self.first
        spent = sorted((now - self.cpu.get(thread, 0) for thread, now in thread_seconds(self.pid).items()), reverse=True)
        share = min(1.0, sum(spent[: self.workers]) / self.workers / seconds)
        return grown / seconds / (share if 0.02 < share < FULL else 1.0), share


def rates(read, pid, seconds, runs, workers=1):
    """So many windows of so many seconds, the undisturbed ones first in choice: [(rate, share)]."""
    good, rest = [], []
    for _ in range(2 * runs):
        window = Window(read, pid, workers)
        time.sleep(seconds)
        rate, share = window.close()
        (good if share >= FULL else rest).append((rate, share))
        if len(good) >= runs or (not good and len(rest) >= runs):
            break
    return (good + sorted(rest, key=lambda one: -one[1]))[:runs]


def summary(windows):
    """Median, least and most of the rates, and the least share of a CPU behind them."""
    values = [rate for rate, _ in windows]
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "runs": len(values),
        "share": round(min(share for _, share in windows), 3),
    }


def wait(condition, timeout_s, what):
    """Until it holds."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(what() if callable(what) else what)
        time.sleep(0.05)
