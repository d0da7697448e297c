# SPDX-License-Identifier: Apache-2.0
"""apply: one transaction whatever its order; diff, dry run, prune; large ones and their inverse."""

import random

import pytest
from harness import BASE, CODES, NODE, RpcError, counts
from lib.wait import SLOWNESS

EMPTY = {"created": 0, "updated": 0, "deleted": 0, "unchanged": 0}


def test_order_does_not_matter(controller):
    random.seed(7)
    for _ in range(5):
        resources = [NODE, *BASE]
        random.shuffle(resources)
        result = controller.apply(*resources)
        assert counts(result) == {**EMPTY, "created": len(resources)}
        backwards = [{"kind": kind, "names": [r["name"] for r in resources if r["kind"] == kind]} for kind in (
            "flow_log", "inspection", "indicator_list", "hook", "mirror", "route", "load_balancer", "nat_gateway", "eip", "eip_pool", "peering", "port", "subnet", "security_group", "prefix_list", "vpc", "node", "tenant")]
        for group in backwards:
            controller.call(f"{group['kind']}.delete", names=group["names"])


def test_groups_may_name_each_other(controller):
    rule = {"direction": "ingress"}
    a = {"kind": "security_group", "name": "a", "rules": [{**rule, "remote_group": "b"}]}
    b = {"kind": "security_group", "name": "b", "rules": [{**rule, "remote_group": "a"}, {**rule, "remote_group": "b"}]}
    assert controller.apply(a, b)["created"] == 2
    controller.refused("in_use", "security_group.delete", name="a")
    controller.call("security_group.delete", names=["a", "b"])


def test_what_is_exported_is_unchanged(base):
    exported = base.call("export")["resources"]
    before = base.call("status")["revision"]
    result = base.apply(*exported)
    assert counts(result) == {**EMPTY, "unchanged": len(exported)} and result["changes"] == []
    assert base.call("status")["revision"] == before
    assert counts(base.apply(*exported, prune=True)) == {**EMPTY, "unchanged": len(exported)}


def test_what_get_shows_can_be_applied(base):
    shown = [{"kind": r["kind"], **base.call(f"{r['kind']}.get", name=r["name"])} for r in [NODE, *BASE]]
    assert counts(base.apply(*shown)) == {**EMPTY, "unchanged": len(shown)}


def test_omitted_fields_return_to_their_default_and_automatic_ones_stay(base):
    before = base.call("port.update", name="web1", description="x", enabled=False, rate={"egress_mbps": 5})
    result = base.apply({"kind": "port", "name": "web1", "subnet": "front"})
    assert counts(result) == {**EMPTY, "updated": 1}
    (change,) = result["changes"]
    assert change == {
        "op": "update",
        "kind": "port",
        "name": "web1",
        "diff": {
            "description": ["x", ""],
            "enabled": [False, True],
            "rate": [before["rate"], {**before["rate"], "egress_mbps": 0}],
            "security_groups": [["web"], []],
        },
    }
    after = base.call("port.get", name="web1")
    assert all(after[key] == before[key] for key in ("mac", "addresses", "node", "tenant"))


def test_diff_of_a_new_object(controller):
    result = controller.apply({"kind": "vpc", "name": "v", "cidrs": ["10.0.0.0/8"]})
    (change,) = result["changes"]
    assert (change["op"], change["kind"], change["name"]) == ("create", "vpc", "v")
    assert change["diff"]["cidrs"] == [None, ["10.0.0.0/8"]] and change["diff"]["vni"][1] >= 10000
    assert not {"revision", "status"} & set(change["diff"])


def test_dry_run_changes_nothing(base):
    before = base.call("export")
    revision = base.call("status")["revision"]
    wanted = [r for r in [NODE, *BASE] if r["name"] != "office"]
    wanted += [
        {"kind": "vpc", "name": "more", "cidrs": ["10.5.0.0/16"]},
        {"kind": "route", "name": "other", "vpc": "prod", "destination": "172.16.0.0/12", "next_hop": {"kind": "blackhole"}},
    ]
    told = base.apply(*wanted, dry_run=True, prune=True)
    assert counts(told) == {"created": 2, "updated": 0, "deleted": 1, "unchanged": len(wanted) - 2}
    assert base.call("export") == before and base.call("status")["revision"] == revision
    assert base.apply(*wanted, prune=True) == told
    base.refused("not_found", "route.get", name="office")


def test_prune_stays_within_kinds_and_tenants(base):
    base.apply(
        {"kind": "prefix_list", "name": "ours"},
        {"kind": "prefix_list", "name": "theirs", "tenant": "acme"},
        {"kind": "vpc", "name": "theirs", "cidrs": ["10.0.0.0/8"], "tenant": "acme"},
    )
    result = base.apply({"kind": "prefix_list", "name": "offices", "cidrs": ["198.51.100.0/24"]}, prune=True)
    assert counts(result) == {**EMPTY, "deleted": 1, "unchanged": 1}
    assert base.names("prefix_list") == ["offices", "theirs"]
    result = base.apply({"kind": "subnet", "name": "s", "vpc": "theirs", "cidr": "10.0.0.0/24"}, prune=True)
    assert counts(result) == {**EMPTY, "created": 1}, "the new subnet is acme's, the others are not"
    error = base.refused("in_use", "apply", resources=[{"kind": "vpc", "name": "shared", "cidrs": ["10.1.0.0/16"]}], prune=True)
    assert {"kind": "subnet", "name": "front"} in error.data["referrers"]


def test_what_goes_makes_room_for_what_comes(base):
    base.apply(
        {"kind": "subnet", "name": "a", "vpc": "shared", "cidr": "10.1.0.0/24", "tenant": "default"},
    )
    result = base.apply(
        {"kind": "subnet", "name": "b", "vpc": "shared", "cidr": "10.1.0.0/16"},
        {"kind": "subnet", "name": "front", "vpc": "prod", "cidr": "10.0.1.0/24", "cidr6": "fd00:10:0:1::/64"},
        prune=True,
    )
    assert counts(result) == {"created": 1, "updated": 0, "deleted": 1, "unchanged": 1}


LAST_ITEMS = [
    ("invalid", {"kind": "vpc", "name": "x", "cidrs": ["10.0.0.1/8"]}, "/cidrs/0"),
    ("invalid", {"kind": "vpc", "name": "x"}, "/cidrs"),
    ("invalid", {"kind": "nonsense", "name": "x"}, "/kind"),
    ("invalid", {"kind": "vpc", "name": "prod", "cidrs": ["10.0.0.0/16"], "vni": 5}, "/vni"),
    ("not_found", {"kind": "subnet", "name": "x", "vpc": "nobody", "cidr": "10.0.0.0/24"}, "/vpc"),
    ("conflict", {"kind": "subnet", "name": "x", "vpc": "prod", "cidr": "10.0.1.0/25"}, "/cidr"),
    ("conflict", {"kind": "port", "name": "x", "subnet": "front", "node": "host-a", "addresses": ["10.0.1.2"]}, "/addresses/0"),
    ("denied", {"kind": "subnet", "name": "x", "vpc": "prod", "cidr": "10.0.9.0/24", "tenant": "acme"}, "/vpc"),
]


@pytest.mark.parametrize("code, last, path", LAST_ITEMS, ids=lambda v: v if isinstance(v, str) else "")
def test_a_failing_last_item_undoes_all(base, code, last, path):
    before = base.call("export")
    resources = [
        {"kind": "vpc", "name": "first", "cidrs": ["10.0.0.0/8"]},
        {"kind": "subnet", "name": "first", "vpc": "first", "cidr": "10.0.0.0/24"},
        {"kind": "port", "name": "first", "subnet": "first", "node": "host-a"},
        {"kind": "security_group", "name": "web", "rules": []},
        {"kind": "vpc", "name": "shared", "cidrs": ["10.3.0.0/16"]},
        last,
    ]
    error = base.refused(code, "apply", resources=resources)
    assert error.data["path"] == f"/resources/{len(resources) - 1}{path}"
    assert base.call("export") == before
    # What was claimed for a moment is free, and what was given back is taken.
    assert base.apply(*resources[:3])["created"] == 3
    base.refused("conflict", "port.create", name="y", subnet="front", node="host-a", addresses=["10.0.1.2"])


def test_two_of_one_name(base):
    error = base.refused(
        "invalid", "apply", resources=[{"kind": "tenant", "name": "t"}, {"kind": "tenant", "name": "t", "description": "x"}]
    )
    assert error.data["path"] == "/resources/1/name"


def big(count):
    subnets = [{"kind": "subnet", "name": f"s{n}", "vpc": "v", "cidr": f"10.{n}.0.0/20"} for n in range(10)]
    ports = [
        {"kind": "port", "name": f"p{n}", "subnet": f"s{n % 10}", "node": "host-a", "security_groups": ["g"]}
        for n in range(count - len(subnets) - 3)
    ]
    return [
        *ports,
        *subnets,
        {"kind": "security_group", "name": "g", "rules": [{"direction": "ingress", "remote_group": "g"}]},
        {"kind": "vpc", "name": "v", "cidrs": ["10.0.0.0/8"]},
        NODE,
    ]


def test_ten_thousand_objects_and_back(controller):
    resources = big(10000)
    assert counts(controller.apply(*resources)) == {**EMPTY, "created": 10000}
    assert controller.cpu_s() < 3 * SLOWNESS, f"{controller.cpu_s():.1f} s"
    exported = controller.call("export")["resources"]
    assert counts(controller.apply(*exported)) == {**EMPTY, "unchanged": 10000}
    controller.restart()
    assert controller.call("export")["resources"] == exported
    keep = [NODE, {"kind": "vpc", "name": "v", "cidrs": ["10.0.0.0/8"]}]
    for kind in ("port", "subnet", "security_group"):
        page = controller.names(kind)
        controller.call(f"{kind}.delete", names=page)
    assert counts(controller.apply(*keep, prune=True)) == {**EMPTY, "unchanged": 2}
    assert len(controller.call("export")["resources"]) == 2


def test_ten_thousand_objects_or_none(controller):
    resources = big(10000)
    resources.append({"kind": "port", "name": "last", "subnet": "s0", "node": "host-a", "addresses": ["10.0.0.1"]})
    error = controller.refused("invalid", "apply", resources=resources)
    assert error.data["path"] == "/resources/10000/addresses/0"
    assert controller.call("export") == {"resources": []}


def test_random_changes_keep_the_rules(base):
    """Many random transactions, most of which fail: what is there is always consistent, also after a restart."""
    random.seed(11)
    names = [f"n{n}" for n in range(8)]
    for _ in range(300):
        resources = {}
        for _ in range(random.randint(1, 6)):
            kind = random.choice(["vpc", "subnet", "port", "security_group", "peering"])
            name = random.choice(names)
            resources[kind, name] = {"kind": kind, "name": name, **random_fields(kind, names)}
        try:
            base.apply(*resources.values(), prune=random.random() < 0.1)
        except RpcError as e:
            assert e.code in CODES.values(), e
    exported = base.call("export")["resources"]
    assert counts(base.apply(*exported)) == {**EMPTY, "unchanged": len(exported)}
    base.restart()
    assert base.call("export")["resources"] == exported
    addresses = [(p["subnet"], a) for p in base.call("port.list")["items"] for a in p["addresses"]]
    assert len(addresses) == len(set(addresses))


def random_fields(kind, names):
    pick = random.choice
    if kind == "vpc":
        return {"cidrs": [f"10.{pick([0, 16, 32])}.0.0/{pick([8, 12])}"] if random.random() < 0.2 else [f"10.{pick(range(4)) * 16}.0.0/12"]}
    if kind == "subnet":
        return {"vpc": pick(names), "cidr": f"10.{pick(range(4)) * 16}.{pick(range(4))}.0/{pick([24, 28])}"}
    if kind == "port":
        fields = {"subnet": pick(names), "node": "host-a", "security_groups": random.sample(names, random.randint(0, 2))}
        return {**fields, "addresses": [f"10.0.0.{pick(range(1, 6))}"]} if random.random() < 0.3 else fields
    if kind == "security_group":
        return {"rules": [{"direction": "ingress", "remote_group": pick(names)}] if random.random() < 0.5 else []}
    return {"vpcs": random.sample(names, 2)}
