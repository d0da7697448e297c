# SPDX-License-Identifier: Apache-2.0
"""vpcctl as a user runs it, against a controller of harness.py or against nobody."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import build_dir  # noqa: E402
from lib.wait import SLOWNESS  # noqa: E402

DONE, REFUSED, USAGE, NO_SERVER = 0, 1, 2, 3
PROGRAM = os.path.join(build_dir(), "cli", "vpcctl")
NOBODY = "/nowhere/controller.sock"


def environment(**more):
    """Ours without what vpcctl would read from it."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("VPC_") and key != "NO_COLOR"}
    return {**env, **more}


def run(*words, status=DONE, stdin=None, env=None, cwd=None):
    """Runs vpcctl; its CompletedProcess, whose exit status must be the one expected."""
    done = subprocess.run(
        [PROGRAM, *words],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        check=False,
        timeout=60 * SLOWNESS,
        env=environment(**(env or {})),
        cwd=cwd,
    )
    said = f"vpcctl {' '.join(words)}: exit {done.returncode}, not {status}\n{done.stdout}{done.stderr}"
    assert done.returncode == status, said
    return done


class Vpcctl:
    """vpcctl with a controller's socket."""

    def __init__(self, controller):
        self.controller = controller

    def __call__(self, *words, **kwargs):
        return run("--socket", self.controller.socket_path, *words, **kwargs)

    def text(self, *words, **kwargs):
        return self(*words, **kwargs).stdout

    def json(self, *words, **kwargs):
        return json.loads(self(*words, "-o", "json", **kwargs).stdout)

    def lines(self, *words, **kwargs):
        return self(*words, **kwargs).stdout.splitlines()

    def error(self, status, *words, **kwargs):
        """What it says on stderr when it fails so; nothing is on stdout then."""
        done = self(*words, status=status, **kwargs)
        assert done.stdout == ""
        assert done.stderr.startswith("vpcctl: ")
        return done.stderr


def dashes(name):
    return name.replace("_", "-")


def flags(fields):
    """The flags that say what an object of JSON says: dots for members, commas in lists of scalars."""
    words = []
    for name, value in fields.items():
        flag = "--" + dashes(name)
        if isinstance(value, dict):
            for word in flags(value):
                words.append(f"{flag}.{word[2:]}" if word.startswith("--") else word)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for item in value:
                words += [flag, json.dumps(item)]
        elif isinstance(value, list):
            words += [flag, ",".join(str(item) for item in value)]
        else:
            words += [flag, value if isinstance(value, str) else json.dumps(value)]
    return words
