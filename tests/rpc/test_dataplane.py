# SPDX-License-Identifier: Apache-2.0
"""Controller and real dataplanes under random changes and deaths: in the end each node has exactly what it should.

        mgmt: vpc-controller       host-a: vpc-dataplane       host-b: vpc-dataplane
"""

import os
import random
import sys

import pytest
from harness import CODES, counts

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from lib import Cloud, RpcError  # noqa: E402
from lib.wait import wait_for  # noqa: E402
from peer import BUCKETS, bucket_of, item_hash, key_of  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces")

SEED = int(os.environ.get("VPC_TEST_SEED", "20260401"), 0)
LONG = os.environ.get("VPC_TEST_SIZE") == "long"
KINDS = ["vpc", "subnet", "port", "security_group", "peering", "eip", "nat_gateway", "load_balancer", "route", "mirror", "flow_log"]
CHECKED = ("vpc", "port", "endpoint", "eip", "nat_gateway", "load_balancer")
NAMES = [f"n{n}" for n in range(6)]


@pytest.fixture
def cloud():
    cloud = Cloud(hosts=2)
    yield cloud
    cloud.close(check=False)


def random_resource():
    pick, chance = random.choice, random.random
    kind = pick([*KINDS, "port", "port", "port", "port", "eip", "nat_gateway", "load_balancer"])
    name = pick(NAMES)
    node = pick(["host-a", "host-b"])
    fields = {
        "vpc": lambda: {"cidrs": [f"10.{NAMES.index(name) * 16}.0.0/12"]},
        "subnet": lambda: {"vpc": name, "cidr": f"10.{NAMES.index(name) * 16}.0.0/24"},
        "port": lambda: {
            **{"subnet": pick(NAMES), "node": node, "security_groups": random.sample(NAMES, random.randint(0, 3))},
            **({"enabled": False} if chance() < 0.2 else {}),
        },
        "security_group": lambda: {
            "rules": [{"direction": "ingress", "remote_group": pick(NAMES)}, {"direction": "egress", "priority": random.randint(1, 9)}]
        },
        "peering": lambda: {"vpcs": random.sample(NAMES, 2)},
        "flow_log": lambda: {
            "scope": {pick(["port", "subnet", "vpc"]): pick(NAMES)},
            "collector": f"udp://127.0.0.1:{random.randint(2, 4)}",
            "biflow": pick([True, False]),
        },
        "mirror": lambda: {
            "sources": [{pick(["port", "subnet", "vpc"]): pick(NAMES)}],
            "target": pick([{"type": "port", "port": pick(NAMES)}, {"type": "erspan", "address": "192.0.2.200", "session_id": random.randint(0, 9)}]),
        },
        "route": lambda: {
            **{"vpc": pick(NAMES), "destination": f"{random.randint(20, 25)}.0.0.0/8"},
            **pick(
                [
                    {"next_hop": {"kind": "blackhole"}},
                    {"next_hop": {"kind": "port", "name": pick(NAMES)}},
                    {"next_hop": {"kind": "nat_gateway", "name": pick(NAMES)}},
                    {"next_hop": {"kind": "external", "name": "line"}, "node": node},
                ]
            ),
        },
        "eip": lambda: {"pool": "pool", "node": node, **({"port": pick(NAMES)} if chance() < 0.6 else {})},
        "nat_gateway": lambda: {
            **{"vpc": name, "eips": [f"nat-{name}"], "snat": [{"subnet": name}]},
            "dnat": [{"eip": f"nat-{name}", "protocol": "udp", "port": f"{n}-{n + 5}", "to_address": f"10.{NAMES.index(name) * 16}.0.9"} for n in (50, 60)],
        },
        "load_balancer": lambda: {
            **{"vpc": name, "node": node, "address": f"10.{NAMES.index(name) * 16}.0.100"},
            "listeners": [
                {
                    **{"protocol": pick(["tcp", "udp"]), "port": n, "scheduler": pick(["round_robin", "maglev"])},
                    **{"health_check": {"type": "none"}, "backends": [{"port": f"fixed-{name}"}]},
                }
                for n in (80, 81)
            ],
        },
    }
    return {"kind": kind, "name": name, **fields[kind]()}


def start(cloud):
    """Enough for most random changes to be good ones."""
    resources = [{"kind": "eip_pool", "name": "pool", "cidr": "198.51.100.0/24", "external": "internet"}]
    for number, name in enumerate(NAMES):
        resources += [
            {"kind": "vpc", "name": name, "cidrs": [f"10.{number * 16}.0.0/12"]},
            {"kind": "subnet", "name": name, "vpc": name, "cidr": f"10.{number * 16}.0.0/24"},
            {"kind": "security_group", "name": name},
            {"kind": "eip", "name": f"nat-{name}", "pool": "pool", "node": random.choice(["host-a", "host-b"])},
            {"kind": "port", "name": f"fixed-{name}", "subnet": name, "node": random.choice(["host-a", "host-b"])},
        ]
    cloud.apply(resources)


def change(cloud):
    """One random change; what is refused is refused for a reason."""
    try:
        if random.random() < 0.8:
            resources = {(r["kind"], r["name"]): r for r in (random_resource() for _ in range(random.randint(1, 4)))}
            cloud.call("apply", resources=list(resources.values()))
        else:
            kind = random.choice([*KINDS, "port"])
            there = [item["name"] for item in cloud.list(kind)]
            if there:
                cloud.call(f"{kind}.delete", names=random.sample(there, random.randint(1, len(there))))
    except RpcError as e:
        assert e.code in CODES.values(), e


def state_of(host):
    """Items of a node as its dataplane lists them: key → hash."""
    with host.rpc() as rpc:
        keys, cursor = {}, None
        while True:
            page = rpc.call("state.keys", buckets=list(range(BUCKETS)), **({"cursor": cursor} if cursor else {}))
            keys.update({key_of(entry): entry[-1] for entry in page["items"]})
            cursor = page["cursor"]
            if cursor is None:
                return keys


def wanted(cloud, node):
    """What the node should know of, made from the objects alone: keys of ports, endpoints and VPCs."""
    objects = {kind: {o["name"]: o for o in cloud.list(kind)} for kind in KINDS}
    vpc_of = {name: objects["subnet"][port["subnet"]]["vpc"] for name, port in objects["port"].items()}
    present = {vpc_of[name] for name, port in objects["port"].items() if port["node"] == node}
    served = [service for kind in ("nat_gateway", "load_balancer", "route") for service in objects[kind].values()]
    present |= {service["vpc"] for service in served if service.get("node") == node}
    present |= {vpc_of[eip["port"]] for eip in objects["eip"].values() if eip["node"] == node and "port" in eip}
    peers = [set(p["vpcs"]) for p in objects["peering"].values() if p["status"]["state"] == "active"]
    relevant = present | {vpc for pair in peers if pair & present for vpc in pair}
    keys = {f"vpc\x1f{objects['vpc'][vpc]['vni']}" for vpc in relevant}
    for name, port in objects["port"].items():
        if port["node"] == node:
            keys.add(f"port\x1f{name}")
        elif vpc_of[name] in relevant:
            keys |= {f"endpoint\x1f{objects['vpc'][vpc_of[name]]['vni']}\x1f{a}" for a in port["addresses"]}
    for name, eip in objects["eip"].items():
        if eip["node"] == node or "port" in eip and objects["port"][eip["port"]]["node"] == node:
            keys.add(f"eip\x1f{name}")
    for kind in ("nat_gateway", "load_balancer"):
        keys |= {f"{kind}\x1f{name}" for name, service in objects[kind].items() if service["vpc"] in relevant}
    return keys


def check(cloud):
    """Returns how many items the nodes have."""
    count = 0
    cloud.wait_converged()
    assert not [e for e in cloud.call("event.list", severity="error")["items"]], "nothing was refused"
    for host in cloud.hosts.values():
        keys = state_of(host)
        count += len(keys)
        of_objects = {key for key in keys if key.split("\x1f")[0] in CHECKED}
        assert of_objects == wanted(cloud, host.name)
        with host.rpc() as rpc:
            digest = [0] * BUCKETS
            for key, value in keys.items():
                digest[bucket_of(key)] ^= int(value, 16)
            assert rpc.call("hello", api_version=1)["digest"] == [f"{value:016x}" for value in digest]
    return count


def test_random_changes(cloud):
    random.seed(SEED)
    start(cloud)
    most, seen = 0, set()
    for number in range(400 if LONG else 60):
        change(cloud)
        if number % 20 == 19:
            most = max(most, check(cloud))
            seen |= {item.split("\x1f")[0] for host in cloud.hosts.values() for item in state_of(host)}
    assert most > 20, "the test has something to compare"
    assert seen >= {*CHECKED, "snat", "dnat", "listener", "backend", "route", "mirror", "flow_log"}, seen
    exported = cloud.call("export")["resources"]
    assert counts(cloud.call("apply", resources=exported, wait=True))["unchanged"] == len(exported)


def test_random_changes_and_deaths(cloud):
    """kill -9 of the controller and of dataplanes between the changes."""
    random.seed(SEED + 1)
    start(cloud)
    for number in range(60 if LONG else 12):
        for _ in range(random.randint(1, 6)):
            change(cloud)
        before = cloud.call("export")
        victim = random.choice(["controller", "controller", "host-a", "host-b"])
        if victim == "controller":
            cloud.kill_controller()
            cloud.start_controller()
            assert cloud.call("export") == before
        else:
            cloud.host(victim).kill()
            change(cloud)
            cloud.host(victim).start()
        if number % 4 == 3:
            check(cloud)
    check(cloud)


def test_hashes_agree(cloud):
    """What both sides compute of an item is the same number, whatever is in its texts."""
    cloud.apply(
        [
            {"kind": "vpc", "name": "v", "cidrs": ["10.0.0.0/16", "fd00::/48"]},
            {"kind": "subnet", "name": "s", "vpc": "v", "cidr": "10.0.0.0/24", "dns_servers": ["9.9.9.9"]},
            {"kind": "prefix_list", "name": "l", "cidrs": ["9.0.0.0/8", "2001:db8::/32"]},
            {"kind": "security_group", "name": "g", "rules": [{"direction": "ingress", "remote_prefix_list": "l"}]},
            {
                **{"kind": "port", "name": "p", "subnet": "s", "node": "host-a", "security_groups": ["g"]},
                "attachment": {"type": "device", "devargs": 'net_null0,a="\\ü€"'},
            },
        ],
        wait=False,
    )
    wait_for(lambda: "group\x1fg" in state_of(cloud.host("a")))
    keys = state_of(cloud.host("a"))
    group = ["group", "g", cloud.get("security_group", "g")["revision"]]
    assert keys["group\x1fg"] == f"{item_hash(group):016x}"
    rules = ["rules", "g", 1024, ["i a 1000 -1 0 65535 -1 -1 list l"]]
    assert keys["rules\x1fg\x1f1024"] == f"{item_hash(rules):016x}"
    cloud.kill_controller()
    log_before = len(cloud.controller.log_text())
    cloud.start_controller()
    assert "refuse" not in cloud.controller.log_text()[log_before:]
    assert state_of(cloud.host("a")) == keys
