# SPDX-License-Identifier: Apache-2.0
"""Quotas of tenants: every way to make something, lowering, and what a tenant is said to have."""

import json

import pytest
from harness import NODE, counts

TENANT = {"kind": "tenant", "name": "acme"}
NOTHING = {
    **{"vpcs": 0, "subnets": 0, "ports": 0, "routes": 0, "peerings": 0},
    **{"security_groups": 0, "prefix_lists": 0, "rules": 0, "eips": 0},
    **{"nat_gateways": 0, "load_balancers": 0},
}
RULES = [{"direction": "ingress", "priority": n} for n in range(1, 10)]


def resources(number=1):
    """One of each kind that a quota counts; `number` tells several apart."""
    n = str(number)
    return [
        {"kind": "vpc", "name": "v" + n, "tenant": "acme", "cidrs": [f"10.{number}.0.0/16"]},
        {"kind": "prefix_list", "name": "l" + n, "tenant": "acme", "cidrs": []},
        {"kind": "security_group", "name": "g" + n, "tenant": "acme"},
        {"kind": "subnet", "name": "s" + n, "vpc": "v" + n, "cidr": f"10.{number}.0.0/24"},
        {"kind": "port", "name": "p" + n, "subnet": "s" + n, "node": "host-a"},
        {"kind": "route", "name": "r" + n, "vpc": "v" + n, "destination": "9.0.0.0/8", "next_hop": {"kind": "blackhole"}},
    ]


def used(controller):
    return controller.call("tenant.get", name="acme")["status"]["used"]


def limit(controller, **quotas):
    controller.call("tenant.update", name="acme", quotas=quotas)


@pytest.fixture
def acme(controller):
    controller.apply(NODE, TENANT)
    return controller


@pytest.mark.parametrize("kind", ["vpc", "prefix_list", "security_group", "subnet", "port", "route", "peering"])
def test_each_kind(acme, kind):
    acme.apply(*resources(1), *resources(2), {"kind": "peering", "name": "x1", "vpcs": ["v1", "v2"]})
    quota = kind + "s"
    has = 1 if kind == "peering" else 2
    assert used(acme)[quota] == has
    limit(acme, **{quota: has})
    third = resources(3)
    if kind == "peering":
        acme.apply(*third)
        new = {"kind": "peering", "name": "x2", "vpcs": ["v1", "v3"]}
    else:
        new = next(r for r in third if r["kind"] == kind)
        acme.apply(*third[: third.index(new)])
    error = acme.refused("exhausted", f"{kind}.create", **{k: v for k, v in new.items() if k != "kind"})
    assert error.data["what"] == quota and quota.split("_")[0] in error.message.lower()
    error = acme.refused("exhausted", "apply", resources=[TENANT | {"quotas": {quota: has}}, new])
    assert error.data["what"] == quota and error.data["path"].startswith("/resources/1")
    limit(acme, **{quota: has + 1})
    acme.apply(new)
    assert used(acme)[quota] == has + 1


def test_one_transaction_may_swap(acme):
    """What counts is what is there in the end."""
    limit(acme, prefix_lists=1)
    acme.call("prefix_list.create", name="old", tenant="acme", cidrs=[])
    done = acme.apply({"kind": "prefix_list", "name": "new", "tenant": "acme", "cidrs": []}, prune=True)
    assert counts(done) == {"created": 1, "updated": 0, "deleted": 1, "unchanged": 0}
    assert used(acme) == NOTHING | {"prefix_lists": 1}


def test_rules(acme):
    limit(acme, rules=4)
    acme.call("security_group.create", name="a", tenant="acme", rules=RULES[:3])
    acme.call("security_group.create", name="b", tenant="acme", rules=RULES[:1])
    assert used(acme) == NOTHING | {"security_groups": 2, "rules": 4}
    for method, rules in (("add_rules", RULES[5:6]), ("update", RULES[:2])):
        error = acme.refused("exhausted", f"security_group.{method}", name="b", rules=rules)
        assert error.data["what"] == "rules"
    acme.call("security_group.update", name="a", rules=RULES[3:6])
    acme.call("security_group.remove_rules", name="a", rules=RULES[3:4])
    acme.call("security_group.add_rules", name="b", rules=RULES[5:6])
    assert used(acme)["rules"] == 4


def test_lowered_below_what_is_there(acme):
    """Nothing is taken away; what is there can be changed and made smaller, but nothing is added."""
    acme.apply(*resources(1), *resources(2))
    acme.call("security_group.update", name="g1", rules=RULES[:5])
    limit(acme, vpcs=1, ports=1, rules=2)
    assert used(acme)["vpcs"] == 2 and used(acme)["rules"] == 5
    acme.call("vpc.update", name="v1", description="still mine")
    acme.call("security_group.update", name="g1", rules=RULES[:4])
    acme.refused("exhausted", "security_group.add_rules", name="g1", rules=RULES[8:])
    acme.refused("exhausted", "vpc.create", name="v3", tenant="acme", cidrs=["10.3.0.0/16"])
    acme.call("port.delete", name="p1")
    acme.refused("exhausted", "port.create", name="p1", subnet="s1", node="host-a")
    acme.call("port.delete", name="p2")
    acme.call("port.create", name="p1", subnet="s1", node="host-a")


def test_others_are_not_concerned(acme):
    limit(acme, vpcs=1)
    acme.call("vpc.create", name="a", tenant="acme", cidrs=["10.0.0.0/16"])
    acme.call("vpc.create", name="b", tenant="globex", cidrs=["10.0.0.0/16"])
    acme.call("vpc.create", name="c", cidrs=["10.0.0.0/16"])
    assert used(acme)["vpcs"] == 1
    acme.call("tenant.delete", name="acme")
    acme.call("vpc.create", name="d", tenant="acme", cidrs=["10.0.0.0/16"])


def test_a_refused_call_counts_nothing(acme):
    limit(acme, vpcs=2, ports=1)
    acme.refused("exhausted", "apply", resources=resources(1) + resources(2))
    assert used(acme) == NOTHING
    acme.call("apply", resources=resources(1), dry_run=True)
    assert used(acme) == NOTHING
    acme.apply(*resources(1))
    assert used(acme) == {key: int(key in ("vpcs", "subnets", "ports", "routes", "security_groups", "prefix_lists")) for key in NOTHING}


def test_counted_again_after_a_restart(acme):
    acme.apply(*resources(1))
    acme.call("security_group.update", name="g1", rules=RULES)
    limit(acme, vpcs=1)
    before = acme.call("tenant.list")
    acme.disconnect()
    acme.restart()
    assert acme.call("tenant.list") == before
    acme.refused("exhausted", "vpc.create", name="v2", tenant="acme", cidrs=["10.2.0.0/16"])
    assert json.dumps(acme.call("export")).count('"used"') == 0
