# SPDX-License-Identifier: Apache-2.0
"""vpcctl with files: apply, diff, delete, export. Backup and restore: test_backup.py."""

import json
import os

import pytest
import yaml
from harness import BASE, NODE
from vpcctl import REFUSED, USAGE, Vpcctl

ALL = [NODE, *BASE]


@pytest.fixture
def ctl(controller):
    return Vpcctl(controller)


@pytest.fixture
def net(base):
    """A vpcctl with the base network, of the test's own."""
    return Vpcctl(base)


def stream(resources):
    return "---\n" + "---\n".join(yaml.safe_dump(r, sort_keys=False) for r in resources)


# -- apply


@pytest.mark.parametrize(
    "text",
    [stream(ALL), json.dumps(ALL), json.dumps({"resources": ALL}), "\n".join(json.dumps(r) for r in ALL), yaml.safe_dump(ALL)],
    ids=["yaml", "list", "export", "lines", "yaml list"],
)  # fmt: skip
def test_apply_takes_every_form(ctl, controller, text, tmp_path):
    if text.startswith('{"kind"'):
        text = "---\n".join(text.splitlines(keepends=True))
    file = tmp_path / "net.yaml"
    file.write_text(text)
    said = ctl.lines("apply", "-f", str(file))
    assert "created vpc prod" in said and said[-1] == f"{len(ALL)} created, 0 updated, 0 deleted, 0 unchanged"
    assert ctl.lines("apply", "--file", "-", stdin=text) == [f"0 created, 0 updated, 0 deleted, {len(ALL)} unchanged"]
    assert len(controller.call("export")["resources"]) == len(ALL)


def test_apply_several_files_dry_run_and_prune(ctl, controller, tmp_path):
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text(stream([{"kind": "vpc", "name": "a", "cidrs": ["10.0.0.0/16"]}]))
    second.write_text(stream([{"kind": "vpc", "name": "b", "cidrs": ["10.0.0.0/16"]}]))
    words = ["apply", "-f", str(first), "-f", str(second)]
    assert ctl.lines(*words, "--dry-run")[-1] == "dry run: 2 created, 0 updated, 0 deleted, 0 unchanged"
    assert controller.names("vpc") == []
    assert ctl.json(*words)["created"] == 2
    assert ctl.lines("apply", "-f", str(first), "--prune", "-o", "name") == ["vpc/b"]
    assert controller.names("vpc") == ["a"]
    first.write_text(stream([{"kind": "vpc", "name": "a", "cidrs": ["10.0.0.0/16", "10.1.0.0/16"], "description": "x"}]))
    assert ctl.lines("apply", "-f", str(first))[0] == "updated vpc a (description, cidrs)"


def test_errors_say_where(ctl, controller, tmp_path):
    file = tmp_path / "net.yaml"
    file.write_text("kind: vpc\nname: a\ncidrs: [10.0.0.0/16]\n---\nkind: vpc\nname: b\ncidrs:\n- 10.1.0.0/16\n- 10.1.0.1/8\n")
    assert f"{file}:9: cidrs[1]: 10.1.0.1/8 has host bits set" in ctl.error(REFUSED, "apply", "-f", str(file))
    assert f"{file}:9: " in ctl.error(REFUSED, "diff", "-f", str(file))
    assert controller.names("vpc") == []
    for text, hint in (
        ("kind: [", ":"),
        ("name: a\n", "no kind"),
        ("- 7\n", "no resource"),
        ("a: 1\na: 2\n", "duplicate"),
    ):
        file.write_text(text)
        said = ctl.error(USAGE, "apply", "-f", str(file))
        assert said.startswith(f"vpcctl: {file}:") and hint in said
    assert "No such file" in ctl.error(USAGE, "apply", "-f", str(tmp_path / "none"))
    assert "stdin:" in ctl.error(USAGE, "apply", "-f", "-", stdin="x: [")


# -- diff


def test_diff(net, tmp_path):
    file = tmp_path / "net.yaml"
    resources = net.controller.call("export")["resources"]
    file.write_text(stream(resources))
    assert net.text("diff", "-f", str(file)) == ""
    assert net.text("diff", "-f", str(file), "--exit-code") == ""
    for resource in resources:
        if resource["kind"] == "security_group":
            resource["rules"][0]["ports"] = "8443"
    resources = [r for r in resources if r["kind"] not in ("tenant", "route")]
    resources.append({"kind": "vpc", "name": "new", "cidrs": ["10.8.0.0/16"]})
    resources.append({"kind": "tenant", "name": "zeta"})
    file.write_text(stream(resources))
    text = net("diff", "-f", str(file), "--prune", "--exit-code", status=REFUSED).stdout
    lines = text.splitlines()
    for line in (
        "--- security_group/web", "+++ security_group/web", '-  ports: "443"', '+  ports: "8443"', "@@ rules:",
        "+++ vpc/new", "+name: new", "+- 10.8.0.0/16", "--- tenant/acme", "+++ /dev/null", "-name: acme",
    ):  # fmt: skip
        assert line in lines, text
    assert net.text("diff", "-f", str(file), "--prune") == text
    assert net.json("diff", "-f", str(file))["created"] == 2
    assert net.controller.names("vpc") == ["prod", "shared"]


# -- delete


def test_delete_files(net, tmp_path):
    file = tmp_path / "net.yaml"
    file.write_text(stream([{"kind": r["kind"], "name": r["name"]} for r in ALL]))
    assert len(net.lines("delete", "-f", str(file), "--dry-run")) == len(ALL)
    listed = net.json("delete", "-f", str(file), "--dry-run")
    assert len(listed) == len(ALL) and {"kind": "vpc", "name": "prod"} in listed
    assert len(net.controller.call("export")["resources"]) == len(ALL)
    said = net.lines("delete", "-f", str(file))
    assert said.index("deleted port web1") < said.index("deleted subnet front") < said.index("deleted vpc prod")
    assert net.controller.call("export")["resources"] == []
    assert "does not exist" in net.error(REFUSED, "delete", "-f", str(file))
    assert net.text("delete", "-f", str(file), "--ignore-missing") == ""
    assert net.json("delete", "-f", str(file), "--ignore-missing") == []


def test_delete_goes_on_when_a_node_is_late(net):
    net.controller.call("load_balancer.delete", name="shop")
    text = stream([{"kind": "port", "name": "web1"}, {"kind": "route", "name": "office"}])
    done = net("delete", "-f", "-", "--wait", "--wait-timeout-ms", "50", stdin=text, status=REFUSED)
    assert "host-a" in done.stderr and done.stdout.splitlines() == ["deleted route office", "deleted port web1"]
    assert net.controller.names("port") == []


def test_delete_touches_nothing_when_something_is_missing(net):
    text = stream([{"kind": "route", "name": "office"}, {"kind": "vpc", "name": "nothere"}])
    assert "vpc nothere" in net.error(REFUSED, "delete", "-f", "-", stdin=text)
    assert net.controller.names("route") == ["office"]
    assert net.lines("delete", "-f", "-", "--ignore-missing", stdin=text) == ["deleted route office"]
    net.error(REFUSED, "delete", "-f", "-", stdin=stream([{"kind": "vpc", "name": "prod"}]))
    assert "unknown kind" in net.error(USAGE, "delete", "-f", "-", stdin=stream([{"kind": "vcp", "name": "prod"}]))


# -- export


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_what_is_exported_is_applied(net, make_controller, form):
    text = net.text("export", "-o", form)
    other = Vpcctl(make_controller())
    assert other.json("apply", "-f", "-", stdin=text)["created"] == len(ALL)
    assert other.json("export") == net.json("export")
    assert net.json("apply", "-f", "-", stdin=text)["unchanged"] == len(ALL)
