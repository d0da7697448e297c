# SPDX-License-Identifier: Apache-2.0
"""create, get, list, update, delete of every kind, and the verbs of single ones."""

import pytest
from harness import BASE, NODE
from test_fields import EXISTING, GOOD


@pytest.mark.parametrize("kind", EXISTING)
def test_life_of_an_object(base, kind):
    if kind == "peering":
        base.call("peering.delete", name="prod-shared")
    made = base.call(f"{kind}.create", **GOOD[kind])
    assert made.items() >= GOOD[kind].items()
    assert made["tenant"] == "default" and made["description"] == "" and made["revision"] > 0
    assert base.call(f"{kind}.get", name="new") == made
    assert "new" in base.names(kind)
    base.refused("already_exists", f"{kind}.create", **GOOD[kind])
    changed = base.call(f"{kind}.update", name="new", description="better")
    assert changed["revision"] > made["revision"]
    assert changed == {**made, "description": "better", "revision": changed["revision"]}
    same = base.call(f"{kind}.update", name="new", description="better")
    assert same == changed, "an update that changes nothing is none"
    assert base.call(f"{kind}.update", name="new", description=None)["description"] == ""
    assert base.call(f"{kind}.delete", name="new") == {}
    for verb in ("get", "update", "delete"):
        assert base.refused("not_found", f"{kind}.{verb}", name="new").data["path"] == "/name"
    assert "new" not in base.names(kind)


def test_revision_guards_an_update(base):
    first = base.call("vpc.get", name="prod")
    second = base.call("vpc.update", name="prod", description="1", revision=first["revision"])
    error = base.refused("conflict", "vpc.update", name="prod", description="2", revision=first["revision"])
    assert error.data["path"] == "/revision"
    assert base.call("vpc.get", name="prod") == second


def test_lists(base):
    for number in range(25):
        base.call("prefix_list.create", name=f"list-{number:02}", tenant="acme" if number % 2 else None)
    every = base.names("prefix_list")
    assert every == sorted(every) and len(every) == 26
    assert base.names("prefix_list", tenant="acme") == [f"list-{n:02}" for n in range(25) if n % 2]
    assert base.names("prefix_list", name="list-03") == ["list-03"]
    for limit in (1, 4, 25, 26, 100):
        got, cursor, pages = [], None, 0
        while True:
            page = base.call("prefix_list.list", limit=limit, **({"cursor": cursor} if cursor else {}))
            assert len(page["items"]) <= limit
            got += [item["name"] for item in page["items"]]
            cursor, pages = page["cursor"], pages + 1
            if cursor is None:
                break
        assert got == every and pages == -(-26 // limit)


def test_list_filters(base):
    assert base.names("subnet", vpc="prod") == ["front"] and base.names("subnet", vpc="shared") == []
    assert base.names("port", vpc="prod") == ["web1"] and base.names("port", vpc="shared") == []
    assert base.names("port", node="host-a") == ["web1"] and base.names("port", node="host-b") == []
    assert base.names("port", security_groups="web") == ["web1"] and base.names("port", security_groups="x") == []
    assert base.names("vpc", cidrs="10.1.0.0/16") == ["shared"]
    assert base.names("peering", vpcs="shared") == ["prod-shared"] and base.names("peering", vpcs="nobody") == []
    assert base.names("port", subnet="front", node="host-a", enabled=True) == ["web1"]
    assert base.names("port", subnet="front", enabled=False) == []


def test_pages_of_a_filter_by_reference(base):
    base.apply(*({"kind": "port", "name": f"p{n:02}", "subnet": "front", "node": "host-a"} for n in range(20)))
    every = base.names("port", node="host-a")
    assert every == sorted(every) and len(every) == 21
    got, cursor = [], None
    while True:
        page = base.call("port.list", node="host-a", limit=6, **({"cursor": cursor} if cursor else {}))
        got += [item["name"] for item in page["items"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert got == every


def test_delete_of_several_is_all_or_nothing(base):
    for name in ("a", "b", "c"):
        base.call("prefix_list.create", name=name)
    error = base.refused("not_found", "prefix_list.delete", names=["a", "nobody", "b"])
    assert error.data["path"] == "/names/1"
    error = base.refused("in_use", "prefix_list.delete", names=["a", "offices"])
    assert error.data["referrers"] == [{"kind": "security_group", "name": "web"}]
    assert set("abc") <= set(base.names("prefix_list"))
    assert base.call("prefix_list.delete", names=["a", "b", "c"]) == {}
    assert not set("abc") & set(base.names("prefix_list"))


@pytest.mark.parametrize(
    "kind, name, referrers",
    [
        ("vpc", "prod", {("subnet", "front"), ("peering", "prod-shared"), ("route", "office"), ("nat_gateway", "out"), ("load_balancer", "shop"), ("inspection", "east-west"), ("hook", "gate")}),
        ("mirror", "tap", {("hook", "gate")}),
        ("subnet", "front", {("port", "web1"), ("nat_gateway", "out"), ("flow_log", "audit")}),
        ("security_group", "web", {("port", "web1"), ("inspection", "east-west")}),
        ("indicator_list", "botnets", {("inspection", "east-west")}),
        ("prefix_list", "offices", {("security_group", "web")}),
        (
            "node",
            "host-a",
            {("port", "web1"), ("eip", "spare"), ("eip", "nat-1"), ("nat_gateway", "out"), ("load_balancer", "shop")},
        ),
        ("port", "web1", {("route", "office"), ("load_balancer", "shop")}),
        ("eip_pool", "public", {("eip", "spare"), ("eip", "nat-1")}),
        ("eip", "nat-1", {("nat_gateway", "out")}),
    ],
)
def test_in_use(base, kind, name, referrers):
    error = base.refused("in_use", f"{kind}.delete", name=name)
    assert {(r["kind"], r["name"]) for r in error.data["referrers"]} == referrers
    assert name in base.names(kind)


@pytest.mark.parametrize(
    "kind, field, value, path",
    [
        ("subnet", "vpc", "nobody", "/vpc"),
        ("port", "subnet", "nobody", "/subnet"),
        ("port", "node", "nobody", "/node"),
        ("port", "security_groups", ["web", "nobody"], "/security_groups/1"),
        ("peering", "vpcs", ["prod", "nobody"], "/vpcs/1"),
        ("route", "next_hop", {"kind": "port", "name": "nobody"}, "/next_hop/name"),
        ("route", "next_hop", {"kind": "peering", "name": "nobody"}, "/next_hop/name"),
        ("security_group", "rules", [{"direction": "ingress", "remote_group": "nobody"}], "/rules/0/remote_group"),
        (
            "security_group",
            "rules",
            [{"direction": "ingress"}, {"direction": "ingress", "remote_prefix_list": "nobody"}],
            "/rules/1/remote_prefix_list",
        ),
    ],
)
def test_reference_to_nothing(shared, kind, field, value, path):
    assert shared.refused("not_found", f"{kind}.create", **{**GOOD[kind], field: value}).data["path"] == path
    resource = {"kind": kind, **GOOD[kind], field: value}
    error = shared.refused("not_found", "apply", resources=[{"kind": "tenant", "name": "t"}, resource])
    assert error.data["path"] == f"/resources/1{path}"
    assert "new" not in shared.names(kind) and "t" not in shared.names("tenant")


def test_tenants(base):
    vpc = base.call("vpc.create", name="theirs", cidrs=["10.0.0.0/16"], tenant="acme")
    subnet = base.call("subnet.create", name="theirs", vpc="theirs", cidr="10.0.1.0/24")
    port = base.call("port.create", name="theirs", subnet="theirs", node="host-a")
    assert {vpc["tenant"], subnet["tenant"], port["tenant"]} == {"acme"}
    assert vpc["vni"] != base.call("vpc.get", name="prod")["vni"]
    assert port["addresses"] == base.call("port.get", name="web1")["addresses"][:1], "the same address in another VPC"
    mirror = {"sources": [{"port": "theirs"}], "target": {"type": "erspan", "address": "192.0.2.200", "session_id": 8}}
    assert base.call("mirror.create", name="theirs", **mirror)["tenant"] == "acme"
    watched = {"detectors": [{"type": "port_scan"}]}
    assert base.call("inspection.create", name="theirs", scope={"vpc": "theirs"}, **watched)["tenant"] == "acme"
    assert base.call("inspection.create", name="several", scope={"vpcs": ["theirs"]}, **watched)["tenant"] == "acme"
    assert base.call("inspection.create", name="all", scope={"all": True}, **watched)["tenant"] == "default"
    log = {"scope": {"port": "theirs"}, "collector": "udp://192.0.2.10:4739"}
    assert base.call("flow_log.create", name="theirs", **log)["tenant"] == "acme"
    for method, params, path in (
        ("subnet.create", {"vpc": "theirs", "cidr": "10.0.2.0/24", "tenant": "default"}, "/vpc"),
        ("port.create", {"subnet": "theirs", "node": "host-a", "tenant": "default"}, "/subnet"),
        ("port.create", {"subnet": "theirs", "node": "host-a", "security_groups": ["web"]}, "/security_groups/0"),
        ("route.create", {"vpc": "theirs", "destination": "9.0.0.0/8", "next_hop": {"kind": "port", "name": "web1"}}, None),
    ):
        error = base.refused("denied", method, name="x", **params)
        assert path is None or error.data["path"] == path


def test_peering_between_tenants_waits_for_acceptance(base):
    base.call("vpc.create", name="theirs", cidrs=["10.7.0.0/16"], tenant="acme")
    made = base.call("peering.create", name="both", vpcs=["theirs", "shared"])
    assert made["status"] == {"state": "pending"} and made["tenant"] == "acme"
    accepted = base.call("peering.accept", name="both")
    assert accepted["status"] == {"state": "active"} and accepted["revision"] > made["revision"]
    assert base.call("peering.accept", name="both") == accepted
    base.restart()
    assert base.call("peering.get", name="both") == accepted
    assert base.call("peering.get", name="prod-shared")["status"] == {"state": "active"}
    base.call("peering.update", name="both", description="x")
    assert base.call("peering.get", name="both")["status"] == {"state": "active"}


def test_peering_needs_disjoint_ranges(base):
    base.call("vpc.create", name="same", cidrs=["10.0.128.0/17"])
    assert base.refused("conflict", "peering.create", name="x", vpcs=["prod", "same"]).data["path"] == "/vpcs"
    assert base.refused("conflict", "peering.create", name="x", vpcs=["shared", "prod"]).data["path"] == "/vpcs"
    error = base.refused("conflict", "vpc.update", name="shared", cidrs=["10.1.0.0/16", "10.0.0.0/24"])
    assert error.data["path"] == "/cidrs"


def test_rules(base):
    rule = {"direction": "egress", "action": "deny", "remote_cidr": "10.0.0.0/8"}
    before = base.call("security_group.get", name="web")["rules"]
    after = base.call("security_group.add_rules", name="web", rules=[rule, rule])
    assert len(after["rules"]) == len(before) + 1 and after["rules"][-1].items() >= rule.items()
    again = base.call("security_group.add_rules", name="web", rules=[rule])
    assert again == after
    error = base.refused(
        "not_found", "security_group.remove_rules", name="web", rules=[rule, {"direction": "egress", "priority": 7}]
    )
    assert error.data["path"] == "/rules/1"
    nowhere = {"direction": "ingress", "remote_group": "nowhere"}
    error = base.refused("not_found", "security_group.add_rules", name="web", rules=[rule, nowhere])
    assert error.data["path"] == "/rules/1/remote_group", "the path counts within the call"
    assert base.call("security_group.get", name="web") == after
    assert base.call("security_group.remove_rules", name="web", rules=[rule])["rules"] == before


def test_attach_and_detach(base):
    tap = {"type": "tap", "ifname": "tap0"}
    made = base.call("port.attach", name="web1", attachment=tap)
    assert made["attachment"].items() >= tap.items()
    assert base.call("port.detach", name="web1")["attachment"] == {"type": "none"}


def test_nodes_at_run_time(base):
    base.call("node.create", name="legacy", vtep="192.0.2.77")
    port = base.call("port.create", name="far", subnet="front", node="legacy", mac="02:00:00:00:00:07")
    assert port["status"]["state"] == "active"
    assert base.call("node.get", name="legacy")["status"] == {"state": "foreign", "reason": "", "tunnels": [], "externals": []}
    assert base.call("node.get", name="host-a")["status"]["state"] == "away"
    error = base.refused(
        "invalid", "port.create", name="x", subnet="front", node="legacy", attachment={"type": "tap", "ifname": "t"}
    )
    assert error.data["path"] == "/attachment/type"
    base.call("port.delete", name="far")
    base.call("node.delete", name="legacy")


def test_the_only_node_is_the_default(controller):
    controller.call("vpc.create", name="v", cidrs=["10.0.0.0/16"])
    controller.call("subnet.create", name="s", vpc="v", cidr="10.0.0.0/24")
    assert controller.refused("invalid", "port.create", name="p", subnet="s").data["path"] == "/node"
    controller.call("node.create", name="legacy", vtep="192.0.2.77")
    one = controller.call("node.create", name="one", rpc="/nowhere/1.sock")
    assert one["status"]["state"] == "away", "it is ours, though its link is not made yet"
    assert controller.call("port.create", name="p", subnet="s")["node"] == "one"
    controller.call("node.create", name="two", rpc="/nowhere/2.sock")
    assert controller.refused("invalid", "port.create", name="q", subnet="s").data["path"] == "/node"


def test_export_is_what_is_there(base):
    exported = base.call("export")["resources"]
    kinds = [resource["kind"] for resource in exported]
    assert {(r["kind"], r["name"]) for r in exported} == {(r["kind"], r["name"]) for r in [NODE, *BASE]}
    assert kinds.index("vpc") < kinds.index("subnet") < kinds.index("port") < kinds.index("route")
    assert not any(key in resource for resource in exported for key in ("status", "revision"))
