# SPDX-License-Identifier: Apache-2.0
"""`make demo` from a test: runs it, with KEEP=1 or not, and knows what it must not leave behind."""

import os

from .cloud import ROOT
from .netns import existing
from .process import run

DEMO = os.path.join(ROOT, "scripts", "demo")
MACHINES = ("red-web", "blue-web", "red-app", "vpc-demo-")


def left_behind():
    return [name for name in existing() if name.startswith(MACHINES)]


def demo(keep=False):
    """What it printed; every step of it has succeeded."""
    assert not left_behind(), "an earlier demo is still up: scripts/demo --stop"
    # The demo's own processes have to outlive it with KEEP=1: no pipe that they could hold open.
    done = run([DEMO], check=False, timeout_s=300, env={**os.environ, "KEEP": "1" if keep else ""})
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "✗" not in done.stdout and "✓" in done.stdout
    return done.stdout


def stop():
    """Ends a kept one, or finds none."""
    assert run([DEMO, "--stop"], check=False).returncode == 0
    assert not left_behind()
