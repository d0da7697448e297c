# SPDX-License-Identifier: Apache-2.0
"""Compiles a hook's program."""

import os
import subprocess

from .cloud import ROOT

HOOKS = os.path.join(ROOT, "configs", "hooks")


def compile_hook(source, out):
    """source: a file's path; a bare name is one of the examples. Returns out."""
    source = os.path.join(HOOKS, source)
    words = ["clang", "-O2", "-Wall", "-Werror", "-target", "bpf", "-mcpu=v2", "-I", HOOKS, "-c", str(source), "-o", str(out)]
    subprocess.run(words, check=True)
    return str(out)
