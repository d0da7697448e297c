# SPDX-License-Identifier: Apache-2.0
"""controller.yaml: what is refused, and where it says so; what its nodes do; ends of the process."""

import os
import signal
import stat
import subprocess

import pytest
from harness import Controller, Exited, build_dir
from lib.rpc import Rpc

BAD = [
    ("listne: /x", "1: listne:"),
    ("listen: relative", "1: listen:"),
    ("http: nowhere", "1: http:"),
    ("http: 127.0.0.1:99999", "1: http:"),
    ("store: postgres://x", "1: store:"),
    ("vni_range: [1]", "1: vni_range:"),
    ("vni_range: [20, 10]", "1: vni_range:"),
    ("vni_range: [0, 10]", "1: vni_range[0]:"),
    ("nodes: {}", "1: nodes:"),
    ("http: 127.0.0.1:1\nnodes:\n  - {name: a, vtep: 192.0.2.1}\n  - {name: B, vtep: 192.0.2.1}", "4: nodes[1].name:"),
    ("nodes:\n  - {name: a}", "2: nodes[0]"),
    ("nodes:\n  - {name: a, vtep: 192.0.2.1}\n  - {name: a, vtep: 192.0.2.2}", "3: nodes[1].name:"),
    ("nodes:\n  - {name: a, rpc: /r}\n  - {name: b, vtep: 192.0.2.2}\n  - {name: c, rpc: /r}", "4: nodes[2].rpc:"),
    ("nodes:\n  - {name: a, vtep: 'fd00::1'}\n  - {name: b, vtep: 'FD00:0::1'}", "3: nodes[1].vtep:"),
    ("nodes:\n  - {name: a, vtep: 192.0.2.1, colour: red}", "2: nodes[0].colour:"),
    ("listen: /a\nlisten: /b", "2:"),
    ("listen: /a\nhttp_token_file: /no/such", "2: http_token_file: /no/such cannot be read: No such file"),
    ("tls: {cert: /c, key: /k}", "1: tls.ca:"),
    ("vni_range: [5, 5]\ntls:\n  cert: /no/such\n  key: /k\n  ca: /a", "3: tls.cert:"),
    ("[1, 2]", "1:"),
    ("listen: [", "2:"),
]


BAD_NODE = [
    ("node: Host-A", "1: node:"),
    ("workers: [0, 0]", "1: workers[1]:"),
    ("main_cpu: 0\nworkers: [4095]", "2: workers[0]:"),
    ("underlay:\n  ifname: eth0\n  address: 192.0.2.0/24", "3: underlay.address:"),
    ("underlay: {ifname: eth0, address: 192.0.2.1}", "1: underlay.address:"),
    ("external:\n  - {name: n, ifname: e, address: 192.0.2.1/24}\n  - {name: n, ifname: f, address: 192.0.3.1/24}", "3: external[1].name:"),
    ("external: [{name: n, ifname: e, address: 192.0.2.1}]", "1: external[0].address:"),
    ("external:\n  - name: n\n    ifname: e\n    address: 192.0.2.1/24\n    gateway: 192.0.2", "5: external[0].gateway[0]:"),
    ("external:\n  - name: n\n    ifname: e\n    address: 192.0.2.1/24\n    gateway: [192.0.2.2, 192.0.3.2]", "5: external[0].gateway[1]:"),
    ("external:\n  - name: n\n    ifname: e\n    address: 192.0.2.1/24\n    gateway: 192.0.2.1", "5: external[0].gateway[0]:"),
    ("external:\n  - {name: n, address: 192.0.2.1/24}", "2: external[0]:"),
    ("external:\n  - {name: n, ifname: e, device: d, address: 192.0.2.1/24}", "2: external[0]:"),
    ("external:\n  - {name: n, ifname: e, address: 192.0.2.1/24}\n  - {name: m, ifname: e, address: 192.0.3.1/24}", "3: external[1].vlan:"),
    ("external:\n  - {name: n, ifname: e, address: 192.0.2.1/24}\n  - {name: m, ifname: e, vlan: 5, mode: af_xdp, address: 192.0.3.1/24}", "3: external[1].mode:"),
    ("external:\n  - {name: n, ifname: e, address: 192.0.2.1/24}\n  - {name: n, ifname: f, address: 'fd00::1/64'}", "3: external[1].ifname:"),
    ("external:\n  - {name: n, ifname: e, address: 192.0.2.1/24, mtu: 1400}\n  - {name: n, ifname: e, mtu: 1300, address: 'fd00::1/64'}", "3: external[1].mtu:"),
]
# What a user copies first: every key of a node's configuration that needs no particular machine.
WHOLE_NODE = """
node: host-a
rpc: /run/vpc/dataplane.sock
workers: [0]
main_cpu: 0
idle: adaptive
memory: {hugepages: auto, size_mb: 512}
underlay: {ifname: eth0, address: 192.0.2.1/24, gateway: 192.0.2.254, mtu: 1600}
external:
  - {name: internet, ifname: eth1, vlan: 0, address: 198.51.100.1/24, gateway: 198.51.100.254}
  - {name: internet, ifname: eth1, address: 2001:db8::1/64, gateway: ["2001:db8::fe", "2001:db8::ff"]}
capacity: {sessions: 1048576, endpoints: 262144, ports: 4096}
eal: []
"""
GOOD_NODE = [
    "",
    "capacity: {sessions: 16, endpoints: 16, ports: 1}",
    WHOLE_NODE,
    "underlay: {ifname: eth0, address: 192.0.2.0/31}",
    "external: [{name: n, ifname: e, address: 192.0.2.1/24}, {name: n, ifname: e, address: 'fd00::1/64'}]",
    "external: [{name: n, ifname: e, address: 192.0.2.1/24, mtu: 1400}, {name: m, ifname: e, vlan: 7, address: 192.0.2.1/24, gateway: 192.0.2.9}]",
]


def check(tmp_path, text, name="controller"):
    path = tmp_path / f"{name}.yaml"
    path.write_text(text)
    program = os.path.join(build_dir(), name, f"vpc-{name}")
    return subprocess.run([program, "--check", "-c", str(path)], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("text, where", BAD)
def test_bad_config(tmp_path, text, where):
    done = check(tmp_path, text + "\n")
    assert done.returncode == 2
    assert done.stderr.startswith(f"{tmp_path}/controller.yaml:{where}"), done.stderr


@pytest.mark.parametrize("text, where", BAD_NODE)
def test_bad_config_of_a_node(tmp_path, text, where):
    done = check(tmp_path, text + "\n", "dataplane")
    assert done.returncode == 2
    assert done.stderr.startswith(f"{tmp_path}/dataplane.yaml:{where}"), done.stderr


@pytest.mark.parametrize("text", GOOD_NODE)
def test_good_config_of_a_node(tmp_path, text):
    done = check(tmp_path, text + "\n", "dataplane")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("text", ["", "vni_range: [5, 5]", "nodes: []"])
def test_good_config(tmp_path, text):
    done = check(tmp_path, text + "\n")
    assert done.returncode == 0, done.stderr
    assert not [name for name in os.listdir(tmp_path) if name != "controller.yaml"], "--check only looks"


def test_nodes_of_the_configuration(make_controller):
    nodes = [{"name": "a", "rpc": "/nowhere/a.sock", "vtep": "192.0.2.1"}, {"name": "b", "vtep": "192.0.2.2"}]
    controller = make_controller(nodes=nodes)
    assert controller.names("node") == ["a", "b"]
    controller.call("node.create", name="c", vtep="192.0.2.3")
    controller.config["nodes"][1]["vtep"] = "192.0.2.22"
    revision = controller.call("node.get", name="a")["revision"]
    controller.restart()
    assert controller.names("node") == ["a", "b", "c"]
    assert controller.call("node.get", name="b")["vtep"] == "192.0.2.22"
    assert controller.call("node.get", name="a")["revision"] == revision, "what did not change was not touched"


def test_without_nodes_it_is_the_local_host(make_controller, tmp_path):
    controller = Controller(str(tmp_path))
    del controller.config["nodes"]
    controller.start()
    (node,) = controller.call("node.list")["items"]
    assert node["rpc"] == "/run/vpc/dataplane.sock"
    assert controller.stop() == 0


def test_socket(make_controller):
    controller = make_controller()
    mode = os.stat(controller.socket_path).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660


def test_the_store_is_for_its_owner(make_controller):
    controller = make_controller()
    controller.call("vpc.create", name="v", cidrs=["10.0.0.0/8"])
    for name in ("state.db", "state.db-wal", "state.db-shm"):
        assert stat.S_IMODE(os.stat(os.path.join(controller.dir, name)).st_mode) == 0o600, name


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_clean_stop(make_controller, number):
    controller = make_controller()
    connection = Rpc(controller.socket_path)
    controller.process.send_signal(number)
    assert controller.process.wait(20) == 0
    assert connection.receive() is None
    assert not os.path.exists(controller.socket_path)


def test_stop_answers_those_who_wait(make_controller):
    controller = make_controller(nodes=[{"name": "n", "rpc": "/nowhere/n.sock"}])
    controller.call("vpc.create", name="v", cidrs=["10.0.0.0/8"])
    controller.call("subnet.create", name="s", vpc="v", cidr="10.0.0.0/24")
    client = controller.client()
    client.start("port.create", name="p", subnet="s", wait=True, wait_timeout_ms=60000)
    while "p" not in controller.names("port"):
        pass
    assert controller.stop() == 0
    controller.start()
    assert controller.names("port") == ["p"]


def test_an_address_that_is_taken(make_controller):
    first = make_controller()
    second = Controller()
    second.config["http"] = first.config["http"]
    with pytest.raises(Exited):
        second.start()
    assert second.process.returncode == 1 and "HTTP" in second.log()


@pytest.mark.parametrize("text", ["tester", "tester short", "a b c"])
def test_bad_token_file(tmp_path, text):
    controller = Controller(str(tmp_path))
    (tmp_path / "tokens").write_text(text + "\n")
    controller.config["http_token_file"] = str(tmp_path / "tokens")
    with pytest.raises(Exited):
        controller.start()
    assert controller.process.returncode == 1 and "tokens" in controller.log()
    controller.config["http_token_file"] = str(tmp_path / "missing")
    with pytest.raises(Exited):
        controller.start()
    assert controller.process.returncode == 2 and "http_token_file: " in controller.log()


def test_a_node_with_another_name(make_controller):
    """One dataplane under two names: refused by a call; the configuration's word stands, and is reported."""
    nodes = [{"name": "a", "rpc": "/nowhere/a.sock", "vtep": "192.0.2.1"}]
    controller = make_controller(nodes=nodes)
    error = controller.refused("conflict", "node.create", name="b", vtep="192.0.2.1")
    assert error.data["path"] == "/vtep" and "`a`" in error.message
    error = controller.refused("conflict", "node.create", name="b", rpc="/nowhere/a.sock")
    assert error.data["path"] == "/rpc" and "`a`" in error.message
    twins = [{"kind": "node", "name": name, "vtep": "192.0.2.2"} for name in ("b", "c")]
    error = controller.refused("conflict", "apply", resources=twins)
    assert error.data["path"] == "/resources/1/vtep" and "`b`" in error.message
    controller.call("node.create", name="b", vtep="192.0.2.2")
    assert controller.refused("conflict", "node.update", name="b", vtep="192.0.2.1").data["path"] == "/vtep"
    controller.apply({**twins[0], "vtep": "192.0.2.3"}, {**twins[1], "vtep": "192.0.2.2"})
    nodes[0]["name"] = "renamed"
    controller.config["nodes"] = nodes
    controller.restart()
    assert controller.call("node.get", name="renamed")["rpc"] == "/nowhere/a.sock"
    (event,) = [e for e in controller.call("event.list", kind="node")["items"] if e["reason"] == "node_conflict"]
    assert event["severity"] == "warning" and event["name"] == "renamed" and "`a`" in event["message"]
    controller.call("node.delete", name="a")
    controller.restart()
    assert controller.names("node") == ["b", "c", "renamed"]
    assert controller.refused("conflict", "node.create", name="d", vtep="192.0.2.1").data["path"] == "/vtep"
