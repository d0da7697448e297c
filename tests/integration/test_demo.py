# SPDX-License-Identifier: Apache-2.0
"""`make demo` shows all it says and leaves nothing behind; with KEEP=1 it stays until --stop."""

import os
import shlex
import subprocess

import pytest
from lib.cloud import ROOT
from lib.netns import existing
from lib.process import run

DEMO = os.path.join(ROOT, "scripts", "demo")
MACHINES = ("red-web", "blue-web", "red-app", "vpc-demo-")


def left_behind():
    return [name for name in existing() if name.startswith(MACHINES)]


def demo(keep=False):
    # The demo's own processes have to outlive it with KEEP=1: no pipe that they could hold open.
    done = run([DEMO], check=False, timeout_s=300, env={**os.environ, "KEEP": "1" if keep else ""})
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "✗" not in done.stdout and "✓" in done.stdout
    return done.stdout


@pytest.fixture(autouse=True)
def nothing_before_and_after(only_demo):  # pylint: disable=unused-argument
    assert not left_behind(), "an earlier demo is still up: scripts/demo --stop"
    yield
    run([DEMO, "--stop"], check=False)
    assert not left_behind()


def test_demo_cleans_up():
    demo()
    assert not left_behind()


def test_commands_of_a_kept_demo():
    """Each command that it tells people to try works; then --stop removes all."""
    said = demo(keep=True)
    lines = [line.strip() for line in said.splitlines() if line.startswith("  ")]
    vpcctl = next(shlex.split(line)[1] for line in lines if line.startswith("alias")).removeprefix("v=")
    tried = 0
    for line in lines:
        for command in line.split("; "):
            if command.startswith("v "):
                run(shlex.split(vpcctl) + shlex.split(command)[1:])
                tried += 1
            elif command.startswith("ip netns exec"):
                run(shlex.split(command) + (["-c1"] if " ping " in command else []))
                tried += 1
    assert tried >= 8
    run([DEMO, "--stop"])
    assert not left_behind()
    assert subprocess.run([DEMO, "--stop"], capture_output=True, check=False).returncode == 0
