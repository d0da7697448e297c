# SPDX-License-Identifier: Apache-2.0
"""Child processes that never outlive the test run, and daemons with their log in a file."""

import ctypes
import os
import signal
import subprocess
import time

from .wait import SLOWNESS, deadline

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def popen(command, detach=False, **kwargs):
    """subprocess.Popen that says nothing and reads nothing by itself; the child gets SIGTERM when we die, unless detached."""
    for stream in ("stdin", "stdout", "stderr"):
        kwargs.setdefault(stream, subprocess.DEVNULL)
    kwargs.setdefault("text", True)
    if detach:
        kwargs["start_new_session"] = True
    else:
        kwargs["preexec_fn"] = _die_with_parent
    return subprocess.Popen([str(word) for word in command], **kwargs)


def run(command, check=True, timeout_s=60, stdin=None, env=None):
    """Runs a command to its end and returns its CompletedProcess; a failure raises with all that it said."""
    command = [str(word) for word in command]
    source = {"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=timeout_s * SLOWNESS, env=env, **source
    )
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}".rstrip())
    return done


def end(process, timeout_s=10):
    """SIGTERM, then SIGKILL when it does not listen; returns the exit status."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout_s * SLOWNESS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode


class Daemon:
    """One of our programs in a namespace, its output in a file."""

    def __init__(self, name, argv, namespace, directory, env=None, detach=False):
        self.name = name
        self.argv = argv
        self.namespace = namespace
        self.log_path = os.path.join(directory, f"{name}.log")
        self.env = env or {}
        self.detach = detach
        self.process = None
        self.expected_dead = False

    def start(self, ready, timeout_s=20):
        """Starts it and waits until ready() is true; raises with the log's end when it exits before."""
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.process = popen(
                self.namespace.argv(self.argv), detach=self.detach, stdout=log, stderr=log, env={**os.environ, **self.env}
            )
        self.expected_dead = False
        end_at = deadline(timeout_s)
        while not ready():
            status = self.process.poll()
            if status is not None:
                raise AssertionError(f"{self.name} exited with {status} while starting:\n{self.log_tail()}")
            if time.monotonic() > end_at:
                raise AssertionError(f"{self.name} is not ready after {timeout_s} s:\n{self.log_tail()}")
            time.sleep(0.02)
        return self

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """SIGKILL, as a crash would be."""
        self.expected_dead = True
        self.process.kill()
        self.process.wait()

    def stop(self):
        """SIGTERM; returns the exit status (0 is a clean stop)."""
        if self.process is None:
            return 0
        self.expected_dead = True
        return end(self.process)

    def log_text(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    def log_tail(self, lines=40):
        return "\n".join(self.log_text().splitlines()[-lines:])
