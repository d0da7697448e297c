# SPDX-License-Identifier: Apache-2.0
"""Threads of a process that stand still, while its others go on."""

import contextlib
import ctypes
import os

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _ptrace(request, thread):
    if _libc.ptrace(request, ctypes.c_long(thread), None, None) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"ptrace of {thread}: {os.strerror(error)}")


def threads(pid):
    """{thread id: its name}."""
    names = {}
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/comm", encoding="utf-8") as name:
            names[int(thread)] = name.read().strip()
    return names


@contextlib.contextmanager
def frozen(pid, which):
    """All threads stand still for whose name which(name) is true: as if the scheduler had forgotten them. Yields their names."""
    chosen = {thread: name for thread, name in threads(pid).items() if which(name)}
    stopped = []
    try:
        for thread in chosen:
            _ptrace(PTRACE_SEIZE, thread)
            stopped.append(thread)
            _ptrace(PTRACE_INTERRUPT, thread)
            os.waitpid(thread, WALL)
        yield sorted(chosen.values())
    finally:
        for thread in stopped:
            _ptrace(PTRACE_DETACH, thread)
