# SPDX-License-Identifier: Apache-2.0
"""Every file in configs/ works: the programs accept it, systemd accepts it, a controller applies it."""

import json
import os
import re
import shutil
import subprocess

import pytest
import yaml
from lib.cloud import ROOT, build_dir, program
from lib.process import run

CONFIGS = os.path.join(ROOT, "configs")
EXAMPLES = {"node.yaml": "vpc-dataplane", "controller.yaml": "vpc-controller"}
UNITS = ["vpc-dataplane", "vpc-controller"]
if os.path.exists(os.path.join(build_dir(), "ebpf", "vpc-inspectd")):  # built where clang and bpftool are
    EXAMPLES["inspect.yaml"] = "vpc-inspectd"
    UNITS.append("vpc-inspectd")
TOPOLOGIES = ["topologies/two-tenants.yaml", "topologies/peering.yaml", "topologies/gateway.yaml"]
SYSUSERS, TMPFILES = "vpc.sysusers.conf", "vpc.tmpfiles.conf"


def config(name):
    return os.path.join(CONFIGS, name)


@pytest.mark.parametrize("name, who", EXAMPLES.items())
def test_example_is_accepted(name, who):
    run([program(who), "--check", "-c", config(name)])


@pytest.mark.parametrize("name, who", EXAMPLES.items())
def test_a_mistake_is_told_with_its_line(name, who, tmp_path):
    with open(config(name), encoding="utf-8") as f:
        lines = f.read().splitlines()
    lines.insert(4, "no_such_key: 1")
    wrong = tmp_path / name
    wrong.write_text("\n".join(lines) + "\n")
    done = run([program(who), "--check", "-c", wrong], check=False)
    assert done.returncode == 2
    assert re.search(rf"^{re.escape(str(wrong))}:5: no_such_key: ", done.stderr, re.MULTILINE), done.stderr


def test_tls_without_certificates_is_refused(tmp_path):
    path = tmp_path / "node.yaml"
    path.write_text("node: a\nrpc: tls://127.0.0.1:9471\n")
    done = run([program("vpc-dataplane"), "--check", "-c", path], check=False)
    assert done.returncode == 2 and f"{path}:2: rpc: " in done.stderr, done.stderr


UNDERLAY = {"ifname": "eth0", "address": "192.0.2.1/24", "address6": "2001:db8::1/64"}


@pytest.mark.parametrize(
    "key, value, told",
    [
        ("address", "192.0.2.1", "is no address with prefix length"),
        ("address", "192.0.2.1/33", "is no address with prefix length"),
        ("address6", "192.0.2.2/24", "is of the same family as `address`"),
        ("gateway", "198.51.100.1", "is not in 192.0.2.0/24"),
        ("gateway", "192.0.2.1", "is this node's own address"),
        ("gateway6", "2001:db8:1::1", "is not in 2001:db8::/64"),
        ("neighbours", [{"address": "192.0.2.2", "mac": "02:00"}], ""),
    ],
)
def test_a_wrong_underlay_is_told(key, value, told, tmp_path):
    path = tmp_path / "node.yaml"

    def check(underlay):
        path.write_text("node: a\nunderlay:\n" + "".join(f"  {k}: {json.dumps(v)}\n" for k, v in underlay.items()))
        return run([program("vpc-dataplane"), "--check", "-c", path], check=False)

    right = check({**UNDERLAY, "gateway": "192.0.2.254", "gateway6": "fe80::1"})
    assert right.returncode == 0, right.stderr
    done = check({k: v for k, v in UNDERLAY.items() if k != key} | {key: value})
    assert done.returncode == 2
    assert re.search(rf"^{re.escape(str(path))}:[0-9]+: underlay\.{key}.*: .*{re.escape(told)}", done.stderr, re.MULTILINE), done.stderr


def test_a_gateway_needs_an_address_of_its_family(tmp_path):
    path = tmp_path / "node.yaml"
    path.write_text("underlay: {ifname: eth0, address: 192.0.2.1/24, gateway6: 'fe80::1'}\n")
    done = run([program("vpc-dataplane"), "--check", "-c", path], check=False)
    assert done.returncode == 2 and "underlay.gateway6: there is no IPv6 address to reach it from" in done.stderr, done.stderr


def test_example_has_every_key():
    """The example of a node is complete: without a file the same defaults hold, so it may not miss one."""
    with open(config("node.yaml"), encoding="utf-8") as f:
        node = yaml.safe_load(f)
    assert set(node) == {"node", "rpc", "workers", "main_cpu", "idle", "memory", "underlay", "capacity", "timeouts", "eal"}


@pytest.mark.parametrize("unit", UNITS)
def test_unit_is_accepted_by_systemd(unit, tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    with open(os.path.join(build_dir(), "configs", f"{unit}.service"), encoding="utf-8") as f:
        text = f.read()
    assert not re.search(r"@\w+@", text), "a variable of the build is left"
    # It is verified before it is installed: with the program where it was built.
    text = re.sub(r"^ExecStart=\S+", f"ExecStart={program(unit)}", text, flags=re.MULTILINE)
    path = tmp_path / f"{unit}.service"
    path.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True, check=False
    )
    complaints = [line for line in done.stderr.splitlines() if unit in line]
    assert not complaints, complaints


def test_user_and_directories(tmp_path):
    """systemd makes the user and the directories that the units and the defaults name."""
    if not shutil.which("systemd-sysusers"):
        pytest.skip("no systemd-sysusers here")
    (tmp_path / "etc").mkdir()
    run(["systemd-sysusers", f"--root={tmp_path}", config(SYSUSERS)])
    assert "vpc:" in (tmp_path / "etc/passwd").read_text()
    assert "vpc:" in (tmp_path / "etc/group").read_text()
    run(["systemd-tmpfiles", f"--root={tmp_path}", "--create", config(TMPFILES)])
    for path in ("run/vpc", "var/lib/vpc", "var/log/vpc"):
        assert (tmp_path / path).stat().st_mode & 0o7777 == 0o2770


def test_topologies_are_applied_and_unapplied(make_cloud):
    """The topologies fit each other and two hosts; applied again they change nothing; deleted, nothing is left."""
    cloud = make_cloud(hosts=2, outside={"internet": ["a"]})
    resources = []
    for name in TOPOLOGIES:
        with open(config(name), encoding="utf-8") as f:
            resources += [r for r in yaml.safe_load_all(f) if r]
    # The machines' namespaces are shared by the whole computer: ours have names of this run.
    for resource in resources:
        if resource["kind"] == "port":
            machine = cloud.namespace(f"m-{resource['attachment']['netns']}")
            resource["attachment"]["netns"] = machine.name
    first = cloud.apply(resources)
    assert first["created"] == len(resources)
    again = cloud.apply(resources)
    assert again["unchanged"] == len(resources) and not again["changes"]
    for kind in ("port", "eip", "nat_gateway", "load_balancer"):
        assert all(thing["status"]["state"] == "active" for thing in cloud.list(kind)), cloud.list(kind)
    stream = "---\n".join(yaml.safe_dump(r) for r in resources)
    cloud.vpcctl("delete", "-f", "-", "--wait", stdin=stream)
    assert {r["kind"] for r in cloud.call("export")["resources"]} <= {"node"}


def test_no_file_is_left_out():
    elsewhere = {"extcap/vpc", "grafana/vpc.json", "prometheus/vpc.rules.yml", "prometheus/vpc.rules.test.yml"}  # test_capture.py, test_dashboards.py
    elsewhere |= {"hooks/vpc_hook.h", "hooks/no_telnet.bpf.c", "hooks/tls_hello.bpf.c"}  # test_hook.py
    tested = {"meson.build", "inspect.yaml", "vpc-inspectd.service.in", *elsewhere, *EXAMPLES, *(f"{unit}.service.in" for unit in UNITS), *TOPOLOGIES, SYSUSERS, TMPFILES}
    present = set()
    for folder, _, files in os.walk(CONFIGS):
        present |= {os.path.relpath(os.path.join(folder, name), CONFIGS) for name in files}
    assert present == tested
