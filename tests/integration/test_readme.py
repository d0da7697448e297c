# SPDX-License-Identifier: Apache-2.0
"""The commands that README.md shows, and those that the demo tells people to try, against the cloud that the demo leaves up.

One shell runs all of them in their order. A command has to succeed, and to say what the page says it says: the first
word of each line of output, in their order (numbers, times and addresses that are drawn by lot differ).
"""

import importlib.machinery
import importlib.util
import os
import re
import shlex
import subprocess

import pytest
from lib.cloud import ROOT, build_dir
from lib.demo import demo, stop
from lib.process import run

DONE = "=== done"
# The kept cloud is where the demo left it, elsewhere built than the page assumes.
HERE = {"$PWD/build/": f"{build_dir()}/"}


def commands():
    """(command, lines of output) of every `console` block."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        blocks = re.findall(r"^```console\n(.*?)^```", f.read(), re.DOTALL | re.MULTILINE)
    found = []
    for block in blocks:
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif line.strip():
                found[-1][1].append(line)
    return found


def first_words(lines):
    return [line.split()[0] for line in lines if line.strip()]


def missing(told, said):
    """The first of `told` that does not come in `said`, in order."""
    rest = iter(said)
    return next((word for word in told if word not in rest), None)


@pytest.fixture(scope="module", name="kept_demo")
def _kept_demo(only_demo):  # pylint: disable=unused-argument
    """What it printed. At the end it is stopped, and stopped once more, when nothing is up."""
    try:
        yield demo(keep=True)
    finally:
        stop()
        stop()
        exported = "/tmp/vpc-demo-export.yaml"
        if os.path.exists(exported):
            os.unlink(exported)


class Shell:
    """A bash that keeps what one command exports for the next."""

    def __init__(self):
        self.bash = subprocess.Popen(
            ["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
        )

    def run(self, command):
        """(exit status, lines of output)"""
        self.bash.stdin.write(f"{command} </dev/null\necho; echo {DONE} $?\n")
        self.bash.stdin.flush()
        lines = []
        for line in self.bash.stdout:
            if line.startswith(DONE):
                return int(line.split()[-1]), lines
            lines.append(line.rstrip("\n"))
        raise AssertionError(f"{command}: the shell ended")

    def close(self):
        self.bash.stdin.close()
        self.bash.wait(timeout=10)


def test_commands(kept_demo):  # pylint: disable=unused-argument
    shell = Shell()
    try:
        tried = 0
        for command, told in commands():
            for text, here in HERE.items():
                command = command.replace(text, here)
            status, said = shell.run(command)
            output = "\n".join(said)
            assert status == 0, f"$ {command}\n{output}\nexit status {status}"
            word = missing(first_words(told), first_words(said))
            assert word is None, f"$ {command}\n{output}\nREADME.md shows a line that begins with {word}"
            tried += 1
        assert tried >= 15
    finally:
        shell.close()


def test_commands_to_try(kept_demo):
    """Each command that a kept demo tells people to try works."""
    lines = [line.strip() for line in kept_demo.splitlines() if line.startswith("  ")]
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


def mentions():
    """Every `vpcctl …` in a page, without its options: (page, words)."""
    pages = ["README.md"] + [f"docs/{name}" for name in sorted(os.listdir(f"{ROOT}/docs")) if name.endswith(".md")]
    for page in pages:
        with open(os.path.join(ROOT, page), encoding="utf-8") as f:
            for line in re.findall(r"(?:`|^ {4})vpcctl((?: [\w-]+)*)", f.read(), re.MULTILINE):
                words = line.split()
                if words and not {"KIND", "VERB"} & set(words):
                    yield page, tuple(w for w in words if not w.startswith("-"))


@pytest.mark.parametrize("words", sorted({words for _, words in mentions()}), ids=" ".join)
def test_commands_that_pages_mention(words):
    """They exist: the longest command among the words has help; what follows is its argument."""
    vpcctl = os.path.join(build_dir(), "cli", "vpcctl")
    done = [run([vpcctl, *words[:n], "--help"], check=False).returncode for n in (2, 1) if len(words) >= n]
    assert 0 in done, words


def test_drawn_graph_is_the_running_one():
    """docs/graph.svg has the nodes and edges of the dataplane that was built."""
    loader = importlib.machinery.SourceFileLoader("docs", os.path.join(ROOT, "scripts", "docs"))
    docs = importlib.util.module_from_spec(importlib.util.spec_from_loader("docs", loader))
    loader.exec_module(docs)
    docs.BUILD = build_dir()
    with open(os.path.join(ROOT, "docs", "graph.svg"), encoding="utf-8") as f:
        drawn = set(re.findall(r"<title>(\w+)&#45;&gt;(\w+)</title>", f.read()))
    running = docs.edges(docs.running_graph())
    assert len(running) > 20
    assert drawn == running, "run make docs"


def test_console_blocks_are_there():
    assert any(told for _, told in commands())
    assert missing(["a", "b"], ["a", "x", "b"]) is None
    assert missing(["b", "a"], ["a", "b"]) == "a"
