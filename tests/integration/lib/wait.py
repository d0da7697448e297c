# SPDX-License-Identifier: Apache-2.0
"""Waiting for a condition instead of for the clock."""

import os
import time

# Sanitizers and a shared machine are slow: one factor for every deadline of the tests.
SLOWNESS = float(os.environ.get("VPC_TEST_SLOWNESS") or ("4" if "asan" in os.environ.get("VPC_BUILD", "") else "1"))


def deadline(timeout_s):
    """The moment (time.monotonic) at which a wait of so many seconds is over on this machine."""
    return time.monotonic() + timeout_s * SLOWNESS


def wait_for(condition, timeout_s=5.0, what=None, interval_s=0.02):
    """Calls condition() until it is true and returns its value; AssertionError when the time is up.

    An exception of the condition counts as "not yet"; the last one is told when the time is up. `what` may be a
    string or a function that tells the state at that moment.
    """
    end = deadline(timeout_s)
    while True:
        error = None
        value = None
        try:
            value = condition()
        except Exception as e:  # pylint: disable=broad-except
            error = e
        if value:
            return value
        if time.monotonic() >= end:
            told = what() if callable(what) else what or getattr(condition, "__name__", "condition")
            last = error if error else f"last value {value!r}"
            raise AssertionError(f"not within {timeout_s} s: {told} ({last})") from error
        time.sleep(interval_s)
