# SPDX-License-Identifier: Apache-2.0
"""vpcctl's help, manual page and completion in real shells: made from the descriptions, so checked against them."""

import os
import re
import shlex
import shutil
import subprocess

import pytest
from harness import BASE, NODE, build_dir
from vpcctl import NO_SERVER, NOBODY, PROGRAM, Vpcctl, dashes, environment, run

PAGE = os.path.join(build_dir(), "cli", "vpcctl.1")


@pytest.fixture(name="net")
def _net(shared):
    return Vpcctl(shared)


def parameters(document, method):
    return {p["name"] for p in document.methods[method]["params"]}


# What vpcctl says itself while it carries a file piece by piece, and what are words there.
PIECES = {
    "backup": {"cursor"},
    "restore": {"upload", "lines", "commit"},
    "capture": {"filter"},
    "capture.stop": {"capture"},
}

# -- help


def test_help_at_every_level(shared):
    top = run("--help").stdout
    assert top == run("-h").stdout == run("help").stdout
    for resource in [NODE, *BASE]:
        kind = dashes(resource["kind"])
        assert f"\n  {kind} " in top
        assert run(kind, "--help").stdout == run("help", kind).stdout
    for method in shared.document.methods:
        words = [dashes(word) for word in method.split(".")]
        text = run(*words, "--help").stdout
        assert text == run("help", *words).stdout
        others = {"wait", "wait_timeout_ms", "name", "names", "resources", "kinds"} | PIECES.get(method, set())
        for name in parameters(shared.document, method) - others:
            known = f"--{dashes(name)} " in text
            read_only = name in ("status", "revision") and method.endswith(".create") or name == "status"
            assert known != read_only, f"{method}: {name}"


def test_help_tells_defaults_ranges_values_and_members():
    text = run("port", "create", "--help").stdout
    for part in ("default true", "required", "0 to 10000000", "--attachment.type tap", "--attachment.ifname", "--rate.egress-mbps"):
        assert part in text
    text = run("security-group", "add-rules", "--help").stdout
    for part in ("direction  <ingress | egress>", "remote_cidr", "default 1000"):
        assert part in text
    assert "default" not in run("port", "update", "--help").stdout.split("--enabled")[1].split("--attachment")[0]


def commands():
    """Every command line of vpcctl's own lists of commands."""
    top = run("--help").stdout
    nouns = re.findall(r"^  ([a-z-]+)", top.split("Kinds:")[1].split("Options:")[0], re.M)
    for noun in dict.fromkeys(nouns):
        text = run("help", noun).stdout
        if "\nCommands:" not in text:
            yield [noun]
            continue
        verbs = re.findall(rf"^  {noun} ([a-z-]+)", text, re.M)
        assert verbs, noun
        for verb in verbs:
            yield [noun, verb]


def test_examples_are_right(tmp_path):
    """Whatever an example needs is there but the server: so far it comes, and no mistake is found before."""
    resources = '{"kind": "vpc", "name": "a"}\n'
    seen = 0
    for words in commands():
        text = run(*words, "--help").stdout
        if "Examples:" not in text:
            continue
        for line in re.findall(r"^  vpcctl (.*)$", text.split("Examples:")[1], re.M):
            (tmp_path / "network.yaml").write_text(resources)
            (tmp_path / "network.backup").write_text(resources)
            for program in re.findall(r"\S+\.o\b", line):
                (tmp_path / program).write_bytes(b"\x7fELF")
            for part in re.split(r" \| | > ", line)[:1]:
                quiet = part.split()[0] in ("help", "completion", "version")
                run(*shlex.split(part), "--socket", NOBODY, status=0 if quiet else NO_SERVER, cwd=tmp_path)
                seen += 1
    assert seen > 40


# -- manual page


def test_manual_page(shared):
    done = subprocess.run(
        ["man", "--warnings", "-l", PAGE],
        capture_output=True, text=True, check=True, env={**os.environ, "MANWIDTH": "200", "LC_ALL": "C.UTF-8", "MAN_KEEP_FORMATTING": ""},
    )  # fmt: skip
    assert done.stderr == ""
    text = re.sub(".\b", "", done.stdout)
    for part in ("EXIT STATUS", "VPC_SOCKET", "vpcctl vpc create NAME", "already_exists (3)", "--wait-timeout-ms", "vpcctl explain"):
        assert part in text
    for resource in [NODE, *BASE]:
        for name in parameters(shared.document, f"{resource['kind']}.create") - {"wait", "wait_timeout_ms"}:
            assert name in text


# -- completion


BASH = r"""
source <("$1" completion bash)
COMP_LINE=$2 COMP_POINT=${#2}
_vpcctl
printf '%s\n' "${COMPREPLY[@]}"
complete -p vpcctl >/dev/null
"""


def in_bash(controller, line):
    """What bash would put in place of the last word of `vpcctl LINE`."""
    env = environment(VPC_SOCKET=controller.socket_path if controller else NOBODY)
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH, "bash", PROGRAM, f"{PROGRAM} {line}"], capture_output=True, text=True, check=True, env=env
    )
    assert done.stderr == ""
    return [word for word in done.stdout.splitlines() if word]


CASES = {
    "po": ["port"],
    "security": ["security-group"],
    "vpc ": ["create", "update", "delete", "get", "list", "describe"],
    "port det": ["detach"],
    "port get ": ["web1"],
    "port create ": [],
    "vpc delete ": ["prod", "shared"],
    "vpc delete prod sh": ["shared"],
    "describe vpc ": ["prod", "shared"],
    "get vpc p": ["prod"],
    "create pee": ["peering"],
    "port create x --subn": ["--subnet"],
    "port create x --subnet ": ["front"],
    "port create x --subnet=": ["front"],
    "port create x --security-groups ": ["web"],
    "port create x --security-groups web,": ["web,web"],
    "port create x --attachment.ty": ["--attachment.type"],
    "port create x --attachment.type memif --attachment.": ["--attachment.socket", "--attachment.id", "--attachment.role"],
    "port create x --attachment.type ": ["tap", "netdev", "vhost_user", "memif", "device", "none"],
    "port create x --attachment.type netdev --attachment.mode ": ["af_packet", "af_xdp"],
    "subnet create x --dhcp ": ["true", "false"],
    "route create x --next_hop.kind po": ["port"],
    "explain --from ": ["web1"],
    "explain --protocol=u": ["udp"],
    "event list --severity ": ["info", "warning", "error"],
    "event list --kind pre": ["prefix-list"],
    "watch sub": ["subnet"],
    "session list --vpc ": ["prod", "shared"],
    "-o ": ["table", "wide", "json", "yaml", "name"],
    "vpc list -o j": ["json"],
    "vpc list --out": ["--output"],
    "completion ": ["bash", "zsh"],
    "nonsense ": [],
}


@pytest.mark.parametrize("line", CASES)
def test_completion_in_bash(shared, line):
    assert in_bash(shared, line) == CASES[line]


def test_completion_of_files(tmp_path):
    (tmp_path / "network.yaml").write_text("")
    assert in_bash(None, f"apply -f {tmp_path}/net") == [f"{tmp_path}/network.yaml"]
    assert in_bash(None, f"backup {tmp_path}/net") == [f"{tmp_path}/network.yaml"]


def test_completion_without_a_server():
    assert in_bash(None, "vpc get ") == []
    assert in_bash(None, "vpc ge") == ["get"]


ZSH = r"""
_describe() { print -rl -- ${(P)4} }
_files() { print FILES }
compdef() { print compdef $* }
source $1
words=($2 ${(z)3})
[[ $3 == *' ' ]] && words+=('')
CURRENT=$#words
_vpcctl
"""


@pytest.mark.skipif(not shutil.which("zsh"), reason="no zsh here")
def test_completion_in_zsh(shared, tmp_path):
    script = tmp_path / "_vpcctl"
    script.write_text(run("completion", "zsh").stdout)
    env = environment(VPC_SOCKET=shared.socket_path)

    def complete(line):
        done = subprocess.run(
            ["zsh", "-f", "-c", ZSH, "zsh", str(script), PROGRAM, line], capture_output=True, text=True, check=True, env=env
        )
        assert done.stderr == ""
        first, *words = done.stdout.splitlines()
        assert first == "compdef _vpcctl vpcctl"
        return [word.split(":")[0] for word in words]

    assert complete("port det") == ["detach"]
    assert complete("vpc delete ") == ["prod", "shared"]
    assert complete("apply -f ") == ["FILES"]
    assert complete("-o j") == ["json"]


def test_scripts_are_sound(tmp_path):
    script = tmp_path / "vpcctl.bash"
    script.write_text("#!/bin/bash\n" + run("completion", "bash").stdout)
    subprocess.run(["bash", "-n", str(script)], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", "--exclude=SC2034", str(script)], check=True)
    if shutil.which("zsh"):
        (tmp_path / "_vpcctl").write_text(run("completion", "zsh").stdout)
        subprocess.run(["zsh", "-n", str(tmp_path / "_vpcctl")], check=True)
