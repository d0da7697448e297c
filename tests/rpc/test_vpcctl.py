# SPDX-License-Identifier: Apache-2.0
"""vpcctl: commands of kinds, formats of output, errors and exit statuses, over the socket and over HTTP."""

import json
import os
import pty
import subprocess

import pytest
import yaml
from harness import BASE, NODE, TOKEN
from vpcctl import DONE, NO_SERVER, NOBODY, PROGRAM, REFUSED, USAGE, Vpcctl, dashes, environment, flags, run

from lib.wait import SLOWNESS


@pytest.fixture
def ctl(controller):
    return Vpcctl(controller)


@pytest.fixture(name="net")
def _net(shared):
    """A vpcctl and the base network, for tests that leave it as it was."""
    return Vpcctl(shared)


def settled(object_):
    """Without the status, which may change by itself."""
    return {name: value for name, value in object_.items() if name != "status"}


def split(resource):
    fields = dict(resource)
    return fields.pop("kind"), fields.pop("name"), fields


# -- every kind


def test_every_kind_is_created_shown_changed_and_deleted(ctl, controller):
    kinds = {method.split(".")[0] for method in controller.document.methods if method.endswith(".create")}
    assert kinds == {resource["kind"] for resource in [NODE, *BASE]}
    for resource in [NODE, *BASE]:
        kind, name, fields = split(resource)
        made = ctl.json(dashes(kind), "create", name, *flags(fields))
        assert settled(made) == settled(controller.call(f"{kind}.get", name=name))
    for resource in [NODE, *BASE]:
        kind, name, _ = split(resource)
        assert settled(ctl.json(kind, "get", name)) == settled(controller.call(f"{kind}.get", name=name))
        items = controller.call(f"{kind}.list")["items"]
        assert [settled(o) for o in ctl.json(dashes(kind), "list")] == [settled(o) for o in items]
        assert name in ctl.text(dashes(kind), "list")
        changed = ctl.json(dashes(kind), "update", name, "--description", "von Ärzten")
        assert changed["description"] == "von Ärzten"
        assert ctl.json(dashes(kind), "update", name, "--description", "null")["description"] == ""
        assert name in ctl.text("describe", dashes(kind), name)
        assert ctl.json("describe", f"{kind}", name)["object"]["name"] == name
    for resource in reversed([NODE, *BASE]):
        kind, name, _ = split(resource)
        assert ctl.lines(kind, "delete", name) == [f"deleted {dashes(kind)} {name}"]
    assert controller.call("export")["resources"] == []


def test_every_method_is_a_command(controller):
    for method in controller.document.methods:
        if method != "apply":
            words = [dashes(word) for word in method.split(".")]
            assert f"Usage: vpcctl {' '.join(words)}" in run(*words, "--help").stdout


def test_words_may_be_swapped_and_spelled_otherwise(net):
    same = net.json("security-group", "list")
    assert same and same == net.json("security_group", "list") == net.json("security-groups", "list")
    assert same == net.json("list", "security-groups")
    assert net.json("get", "vpc", "prod") == net.json("vpcs", "get", "prod") == net.json("vpc", "get", "--name", "prod")
    assert net.json("port", "describe", "web1") == net.json("describe", "port", "web1")
    assert net.json("events") == net.json("event", "list")


def test_extra_verbs(ctl, controller):
    controller.apply(NODE, *BASE)
    before = controller.call("security_group.get", name="web")["rules"]
    ctl("security-group", "add-rules", "web", "--rules", "direction=egress,action=deny,protocol=udp,ports=53")
    added = controller.call("security_group.get", name="web")["rules"]
    assert added[: len(before)] == before and added[-1]["ports"] == "53" and added[-1]["action"] == "deny"
    ctl("security_group", "remove_rules", "web", "--rules", json.dumps([added[-1]]))
    assert controller.call("security_group.get", name="web")["rules"] == before
    port = ctl.json("port", "attach", "web1", "--attachment.type", "tap", "--attachment.ifname", "tap9")
    assert port["attachment"]["ifname"] == "tap9"
    assert ctl.json("port", "detach", "web1")["attachment"] == {"type": "none"}
    ctl("vpc", "create", "other", "--cidrs", "10.7.0.0/16", "--tenant", "acme")
    ctl("peering", "create", "foreign", "--vpcs", "prod,other")
    assert "pending" in ctl.text("peering", "list")
    assert ctl.json("peering", "accept", "foreign")["status"]["state"] == "active"


# -- flags


def test_flags_of_every_form(ctl, controller):
    controller.apply(NODE, *BASE)
    ctl("vpc", "create", "many", "--cidrs", "10.2.0.0/16,10.3.0.0/16", "--cidrs=10.4.0.0/16", "--mtu", "1400")
    vpc = controller.call("vpc.get", name="many")
    assert vpc["cidrs"] == ["10.2.0.0/16", "10.3.0.0/16", "10.4.0.0/16"] and vpc["mtu"] == 1400
    ctl("vpc", "create", "json", "--cidrs", '["10.5.0.0/16"]')
    assert ctl.json("subnet", "create", "s1", "--vpc", "many", "--cidr", "10.2.1.0/24", "--dhcp", "false")["dhcp"] is False
    assert ctl.json("subnet", "create", "s2", "--dhcp", "--vpc", "many", "--cidr", "10.2.2.0/24")["dhcp"] is True
    assert ctl.json("subnet", "update", "s2", "--dns-servers", "10.2.2.5,fd00::1")["dns_servers"] == ["10.2.2.5", "fd00::1"]
    assert ctl.json("subnet", "update", "s2", "--dns_servers", "")["dns_servers"] == []
    ctl("port", "create", "p1", "--subnet", "s1", "--rate.egress-mbps", "5", "--attachment", '{"type": "tap", "ifname": "t1"}')
    assert ctl.json("port", "update", "p1", "--rate.ingress_mbps=7")["rate"]["egress_mbps"] == 5
    port = ctl.json("port", "update", "p1", "--attachment", "type=tap,ifname=t2,netns=blue", "--rate", '{"egress_mbps": 6}')
    assert port["attachment"] == {"type": "tap", "ifname": "t2", "netns": "blue", "configure": False}
    assert port["rate"]["egress_mbps"] == 6 and port["rate"]["ingress_mbps"] == 7
    assert ctl.json("port", "update", "p1", "--attachment", "none")["attachment"] == {"type": "none"}
    assert ctl.json("port", "update", "p1", "--attachment", "null")["attachment"] == {"type": "none"}
    rules = ctl.json("security-group", "create", "proto", "--rules", "direction=ingress,protocol=132")["rules"]
    assert rules[0]["protocol"] == 132
    revision = str(controller.call("vpc.get", name="many")["revision"])
    ctl("vpc", "update", "many", "--revision", revision, "--description", "x")
    assert "revision" in ctl.error(REFUSED, "vpc", "update", "many", "--revision", revision, "--description", "y")


def test_any_name_may_be_an_argument(ctl, controller):
    for name in ("null", "true", "list", "all", "10", "1e3"):
        ctl("security-group", "create", name)
        assert ctl.json("security-group", "get", name)["name"] == name
    ctl("vpc", "create", "v", "--cidrs", "10.0.0.0/16")
    assert "-x" in ctl.error(REFUSED, "vpc", "get", "--", "-x")
    ctl("security-group", "delete", "--", *controller.names("security_group"))
    assert controller.names("security_group") == []


def test_delete_takes_several_all_or_none(ctl, controller):
    for name in ("a", "b", "c"):
        ctl("vpc", "create", name, "--cidrs", "10.0.0.0/16")
    assert "nothere" in ctl.error(REFUSED, "vpc", "delete", "a", "nothere", "b")
    assert controller.names("vpc") == ["a", "b", "c"]
    assert ctl.lines("vpc", "delete", "a", "b", "-o", "name") == ["a", "b"]
    assert ctl.json("vpc", "delete", "c") == {}
    assert controller.names("vpc") == []


def test_lists_are_filtered_and_fetched_page_by_page(ctl, controller):
    controller.apply(*({"kind": "prefix_list", "name": f"l{i:04}", "tenant": f"t{i % 2}"} for i in range(2300)))
    assert ctl.lines("prefix-list", "list", "-o", "name") == [f"l{i:04}" for i in range(2300)]
    assert len(ctl.json("prefix-list", "list", "--tenant", "t1")) == 1150
    assert [o["name"] for o in ctl.json("prefix-list", "list", "--limit", "2")] == ["l0000", "l0001"]
    cursor = controller.call("prefix_list.list", limit=3)["cursor"]
    assert [o["name"] for o in ctl.json("prefix-list", "list", "--limit", "1", "--cursor", cursor)] == ["l0003"]


def test_wait(cluster):
    controller, peers = cluster("host-a")
    ctl = Vpcctl(controller)
    controller.call("vpc.create", name="v", cidrs=["10.0.0.0/16"], wait=True)
    ctl("subnet", "create", "s", "--vpc", "v", "--cidr", "10.0.1.0/24", "--wait")
    ctl("--wait", "port", "create", "p", "--subnet", "s", "-o", "json")
    assert any(item[0] == "port" for item in peers[0].items.values())
    peers[0].stop()
    said = ctl.error(REFUSED, "port", "create", "q", "--subnet", "s", "--wait", "--wait-timeout-ms", "50")
    assert "host-a" in said
    assert ctl.json("port", "get", "q", "--wait")["name"] == "q"


# -- output


def columns(line):
    return [word for word in line.split("  ") if word.strip()]


def test_tables(net, shared):
    head, row = net.lines("port", "list")
    assert columns(head)[0] == "NAME" and "STATE" in head and "MAC" not in head
    assert head.index("SUBNET") == row.index("front") and row.rstrip() == row
    head, row = net.lines("port", "list", "-o", "wide")
    assert "MAC" in head and shared.call("port.get", name="web1")["mac"] in row
    assert head.index("ATTACHMENT") == row.index("none")
    assert net.lines("port", "get", "web1", "-o", "table")[0].startswith("NAME")
    empty = net("session", "list")
    assert empty.stdout == "" and empty.stderr == "no sessions\n"


def test_texts_of_every_script_stay_whole(net, shared):
    shared.call("security_group.create", name="utf")
    try:
        for text in ("schöne Größe", "東京", "e\u0301"):
            shared.call("security_group.update", name="utf", description=text)
            assert f"description: {text}\n" in net.text("security-group", "get", "utf")
            assert f"description: {text}\n" in net.text("get", "all", "-o", "yaml", env={"LC_ALL": "C"})
    finally:
        shared.call("security_group.delete", name="utf")


def test_json_and_yaml_are_the_answer(net, shared):
    answer = shared.call("port.get", name="web1")
    assert net.json("port", "get", "web1") == answer
    assert list(net.json("port", "get", "web1"))[:4] == ["name", "tenant", "description", "subnet"]
    assert yaml.safe_load(net.text("port", "get", "web1", "-o", "yaml")) == answer
    assert yaml.safe_load(net.text("port", "get", "web1")) == answer
    assert yaml.safe_load(net.text("port", "list", "-o", "yaml")) == [answer]
    assert net.json("status")["nodes"][0]["name"] == "host-a"
    assert net.json("rpc", "discover")["openrpc"] == "1.2.6"
    assert net.json("export") == shared.call("export")
    assert net.json("drops") == shared.call("drops.list")["items"]


STRINGS = ["", "yes", "No", "null", "~", "1", "1.5", "0x1f", "1e3", "10:20:30", "2026-01-31", "a: b", "# x", "- x", "'", '"',
           "two\nlines", "tab\tx", " x ", "ä", "!tag", "&a", "*a", "{}", "[]", "%", "@", "`", "=", "<<", ".5", ".inf", "0o17"]  # fmt: skip


def test_yaml_brings_every_text_back(ctl, controller):
    for number, text in enumerate(STRINGS):
        name = f"t{number}"
        controller.call("tenant.create", name=name, description=text)
        shown = ctl.text("tenant", "get", name, "-o", "yaml")
        assert yaml.safe_load(shown)["description"] == text, shown
    stream = ctl.text("export")
    assert ctl.json("apply", "-f", "-", "--dry-run", stdin=stream)["unchanged"] == len(STRINGS)


def test_names(net):
    assert net.lines("vpc", "list", "-o", "name") == ["prod", "shared"]
    assert net.lines("vpc", "get", "prod", "-oname") == ["prod"]
    every = net.lines("get", "all", "-o", "name")
    assert "security_group/web" in every and every == net.lines("export", "--output=name")
    assert "no names" in net.error(USAGE, "status", "-o", "name")


def test_get_all(net, shared):
    text = net.text("get", "all")
    for resource in [NODE, *BASE]:
        assert resource["name"] in text
    every = net.json("get", "all")
    assert {(o["kind"], o["name"]) for o in every} == {(o["kind"], o["name"]) for o in shared.call("export")["resources"]}
    assert next(o for o in every if o["kind"] == "port")["status"]["state"] == "down"


def test_describe_shows_what_is_inside_and_who_refers(net):
    vpc = net.json("describe", "vpc", "prod")
    assert [o["name"] for o in vpc["inside"]["subnet"]] == ["front"]
    assert [o["name"] for o in vpc["inside"]["port"]] == ["web1"]
    assert [o["name"] for o in vpc["inside"]["route"]] == ["office"]
    referrers = {"peering": "prod-shared", "hook": "gate", "inspection": "east-west"}
    assert vpc["referrers"] == [{"kind": kind, "name": name} for kind, name in referrers.items()]
    group = net.json("describe", "security-group", "web")
    assert {"kind": "port", "name": "web1"} in group["referrers"]
    lists = net.json("describe", "prefix-list", "offices")
    assert lists["referrers"] == [{"kind": "security_group", "name": "web"}]
    node = net.json("describe", "node", "host-a")
    assert node["events"] and all(event["name"] == "host-a" for event in node["events"])
    text = net.text("describe", "vpc", "prod")
    for part in ("subnets (1)", "ports (1)", "referred to by (3)", "peering/prod-shared"):
        assert part in text
    assert "nothere" in net.error(REFUSED, "describe", "vpc", "nothere")
    assert "unknown kind" in net.error(USAGE, "describe", "nonsense", "x")


def test_status_and_version(net):
    text = net.text("status")
    assert text.startswith("controller ") and "host-a" in text and "away" in text
    assert "HELD" in net.text("status", "-o", "wide")
    version = net.json("version")
    assert version["client"] == version["controller"] == net.json("status")["version"]
    assert run("--version").stdout == f"vpcctl {version['client']}\n"
    assert "not reached" in run("version", "--socket", NOBODY).stdout


def on_terminal(*words, env=None):
    """What vpcctl writes on a terminal."""
    master, slave = pty.openpty()
    with subprocess.Popen([PROGRAM, *words], stdout=slave, stdin=slave, env=environment(**(env or {}))) as process:
        os.close(slave)
        data = b""
        try:
            while chunk := os.read(master, 65536):
                data += chunk
        except OSError:
            pass
        assert process.wait(60 * SLOWNESS) == DONE
    os.close(master)
    return data.decode()


def test_colours_only_on_a_terminal(net, shared):
    words = ["--socket", shared.socket_path, "port", "list"]
    assert "\033[31mdown\033[0m" in on_terminal(*words)
    assert "\033" not in on_terminal(*words, "--no-color")
    assert "\033" not in on_terminal(*words, env={"NO_COLOR": "1"})
    assert "\033" not in on_terminal(*words, "-o", "json")
    assert "\033" not in net.text("port", "list")


# -- errors


def test_what_the_server_refuses(net):
    assert "/cidrs/0: 10.0.0.1/8 has host bits set" in net.error(REFUSED, "vpc", "create", "x", "--cidrs", "10.0.0.1/8")
    assert "unknown value" in net.error(REFUSED, "security-group", "create", "x", "--rules", "direction=sideways")
    assert "nothere" in net.error(REFUSED, "vpc", "get", "nothere")
    said = net.error(REFUSED, "vpc", "delete", "prod")
    assert "subnet/front" in said and "peering/prod-shared" in said
    net.error(REFUSED, "vpc", "create", "prod", "--cidrs", "10.0.0.0/8")


@pytest.mark.parametrize(
    "words, hint",
    [
        ("porrt list", 'did you mean "port"?'),
        ("port lits", 'did you mean "list"?'),
        ("port create x --subnte s", 'did you mean "--subnet"?'),
        ("vpc list --ouput json", 'did you mean "--output"?'),
        ("statsu", 'did you mean "status"?'),
        ("port create", "NAME is missing"),
        ("port create x", "--subnet is missing"),
        ("port get", "NAME is missing"),
        ("port", "port needs a command"),
        ("explain --from web1", "--to is missing"),
        ("apply", "--file is missing"),
        ("vpc create x --cidrs", "--cidrs needs a value"),
        ("vpc create x --cidrs 10.0.0.0/16 --vni abc", "whole number"),
        ("subnet update x --dhcp=maybe", "true or false"),
        ("port update x --rate nonsense", "member=value"),
        ("port update x --rate.speed 5", "unknown option"),
        ("port update x --attachment {", "no JSON"),
        ("vpc get prod extra", "what is"),
        ("vpc list -o xml", "none of table"),
        ("vpc list -x", 'unknown option "-x"'),
        ("--cidrs x vpc create", "unknown option"),
        ("vpc list --socket a --server b", "exclude"),
        ("completion tcsh", "bash or zsh"),
        ("help nonsense", "unknown command"),
        ("capture", "one of --port, --vpc, --node and --drops"),
        ("capture --port a --node b", "only one of --port, --vpc and --node"),
        ("vpc list --server ftp://x", "http://host:port"),
        ("vpc list --server x", "--server x: it must be http://host:port"),
        ("vpc list --server http://", "http://host:port"),
        ("vpc list --server http://x:99999", "http://host:port"),
        ("elastic list", 'unknown command "elastic": there is no such kind or command'),
        ("vcp list", 'did you mean "vpc"?'),
        ("", "Usage"),
    ],
)
def test_bad_usage(words, hint):
    done = run(*words.split(), status=USAGE)
    assert hint in done.stderr and done.stdout == ""


def test_nobody_is_there(tmp_path):
    for where in (["--socket", NOBODY], ["--server", "http://127.0.0.1:1"]):
        done = run("vpc", "list", *where, status=NO_SERVER)
        assert done.stdout == "" and where[1] in done.stderr
    assert NOBODY in run("status", env={"VPC_SOCKET": NOBODY}, status=NO_SERVER).stderr
    assert "127.0.0.1:1" in run("status", env={"VPC_SERVER": "http://127.0.0.1:1"}, status=NO_SERVER).stderr
    file = tmp_path / "file"
    file.write_text("")
    run("status", "--socket", str(file), status=NO_SERVER)


def test_a_full_disk_is_no_success(net):
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [PROGRAM, "--socket", net.controller.socket_path, "get", "all"],
            stdout=full, stderr=subprocess.PIPE, check=False, env=environment(),
        )  # fmt: skip
    assert done.returncode == REFUSED and b"No space" in done.stderr


# -- HTTP


def test_over_http(shared, tmp_path):
    server = ["--server", f"http://{shared.http}"]
    assert json.loads(run("vpc", "list", "-o", "json", *server).stdout) == shared.call("vpc.list")["items"]
    assert "host-a" in run("status", env={"VPC_SERVER": f"http://{shared.http}"}).stdout
    make = ["security-group", "create", "byhttp"]
    assert run(*make, *server, status=REFUSED).stderr
    assert "401" in run(*make, *server, env={"VPC_TOKEN": "wrong-token"}, status=REFUSED).stderr
    tokens = tmp_path / "tokens"
    tokens.write_text(f"# mine\ntester {TOKEN}\n")
    run(*make, *server, "--token-file", str(tokens))
    run("security-group", "delete", "byhttp", *server, env={"VPC_TOKEN": TOKEN})
    tokens.write_text(f"{TOKEN}\n")
    assert "referred to by" in run("vpc", "delete", "prod", *server, "--token-file", str(tokens), status=REFUSED).stderr
    run("vpc", "list", *server, "--token-file", str(tmp_path / "none"), status=NO_SERVER)
    assert "--socket" in run("watch", *server, status=USAGE).stderr


# -- watch


def watching(controller, *words):
    return subprocess.Popen(
        [PROGRAM, "--socket", controller.socket_path, "watch", *words],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def test_watch_streams_until_it_is_stopped(ctl, controller):
    with watching(controller, "vpc", "-o", "json") as process:
        try:
            seen = None
            for number in range(1000):  # the watch begins some time after the process does
                ctl("tenant", "create", f"t{number}")
                controller.call("vpc.create", name=f"v{number}", cidrs=["10.0.0.0/16"])
                os.set_blocking(process.stdout.fileno(), False)
                line = process.stdout.readline()
                if line:
                    seen = json.loads(line)
                    break
            assert seen["op"] == "create" and seen["kind"] == "vpc" and seen["object"]["cidrs"] == ["10.0.0.0/16"]
        finally:
            process.terminate()
    with watching(controller) as process:
        assert controller.stop() == 0
        assert process.wait(60 * SLOWNESS) in (NO_SERVER,)
