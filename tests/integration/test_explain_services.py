# SPDX-License-Identifier: Apache-2.0
"""explain through gateway services, both ways and over nodes; what real packets do is asked beside it.

    host-a: web 10.0.1.10, db 10.0.1.11   ---vxlan---   host-b: the gateway   ---   internet
"""

import pytest
from lib import wait_for


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud(hosts=2, outside={"internet": ["b"]})
    net = cloud.outside["internet"]
    cloud.network("v", {"front": {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64"}}, cidrs=["10.0.0.0/16", "fd00::/48"])
    for number, name in enumerate(("web", "db")):
        addresses = [f"10.0.1.1{number}", f"fd00:0:0:1::1{number}"]
        cloud.machine(name, "front", "a", addresses=addresses, security_groups=["v-open"])
    cloud.create("eip_pool", name="pool", cidr=net.cidr(), external="internet")
    cloud.create("eip", name="web", pool="pool", port="web")
    cloud.create("eip", name="out", pool="pool")
    cloud.create("eip", name="shop", pool="pool")
    cloud.create(
        "nat_gateway",
        name="out",
        vpc="v",
        eips=["out"],
        snat=[{"source": "10.0.0.0/16"}],
        dnat=[{"eip": "out", "protocol": "tcp", "port": "8080", "to_address": "10.0.1.11", "to_port": 80}],
    )
    listener = {"protocol": "tcp", "port": 80, "health_check": {"type": "none"}, "backends": [{"port": "web"}]}
    cloud.create("load_balancer", name="shop", vpc="v", eip="shop", listeners=[listener])
    cloud.create("load_balancer", name="inner", vpc="v", address="10.0.1.100", listeners=[listener])
    cloud.wait_converged()
    for kind in ("eip", "nat_gateway", "load_balancer"):
        for service in cloud.list(kind):
            assert service["status"]["state"] == "active", service
    return cloud


def explain(cloud, **params):
    answer = cloud.call("explain", **params)
    said = [(step["node"], step["object"]["kind"], step["object"]["name"]) for step in answer["steps"] if step["object"]]
    return answer, said


def address(cloud, eip):
    return cloud.get("eip", eip)["address"]


def test_eips_are_no_addresses_of_the_gateway(cloud):
    net = cloud.outside["internet"]
    assert [address(cloud, name) for name in ("web", "out", "shop")] == [net.address(n) for n in (2, 3, 4)] or (
        net.address(2) not in [address(cloud, name) for name in ("web", "out", "shop")]
    )
    own = cloud.host("b").rpc().call("external.list")["items"][0]["addresses"]
    assert not {a.split("/")[0] for a in own} & {address(cloud, name) for name in ("web", "out", "shop")}


def test_out_by_an_eip(cloud):
    to = cloud.outside["internet"].client()
    answer, said = explain(cloud, **{"from": "web"}, to=to, protocol="tcp", port=80)
    assert answer["verdict"] == "forward" and answer["delivered_to"] == "external internet", answer
    assert answer["packet"]["after"]["source"] == address(cloud, "web")
    assert {("host-a", "eip", "web"), ("host-b", "eip", "web")} & set(said), said
    assert {step["node"] for step in answer["steps"]} == {"host-a", "host-b"}


def test_in_by_an_eip(cloud):
    client = cloud.outside["internet"].client()
    answer, said = explain(
        cloud, **{"from": "external", "source_address": client}, to=address(cloud, "web"), protocol="tcp", port=80
    )
    assert answer["verdict"] == "forward" and answer["delivered_to"] == "web", answer
    assert answer["packet"]["after"]["destination"] == "10.0.1.10" and answer["packet"]["after"]["source"] == client
    assert ("host-b", "eip", "web") in said
    assert [step["node"] for step in answer["steps"]] == sorted(
        (step["node"] for step in answer["steps"]), reverse=True
    ), "the gateway first"


def test_out_by_a_nat_gateway(cloud):
    to = cloud.outside["internet"].client()
    answer, said = explain(cloud, **{"from": "db"}, to=to, protocol="tcp", port=80)
    assert answer["verdict"] == "forward" and answer["delivered_to"] == "external internet", answer
    assert answer["packet"]["after"]["source"] == address(cloud, "out")
    assert ("host-b", "nat_gateway", "out") in said, said
    assert not cloud.call("session.list", vpc="v")["items"], "it makes no session"


def test_in_by_a_forward(cloud):
    client = cloud.outside["internet"].client()
    question = {"from": "external", "source_address": client, "to": address(cloud, "out"), "protocol": "tcp"}
    answer, said = explain(cloud, **question, port=8080)
    assert answer["verdict"] == "forward" and answer["delivered_to"] == "db", answer
    assert (answer["packet"]["after"]["destination"], answer["packet"]["after"]["port"]) == ("10.0.1.11", 80)
    assert ("host-b", "nat_gateway", "out") in said, said
    answer, said = explain(cloud, **question, port=8081)
    assert answer["verdict"] == "drop" and answer["reason"] == "nat_filtered", answer


def test_in_by_a_balancer(cloud):
    client = cloud.outside["internet"].client()
    question = {"from": "external", "source_address": client, "to": address(cloud, "shop"), "protocol": "tcp"}
    answer, said = explain(cloud, **question, port=80)
    assert answer["verdict"] == "forward" and answer["delivered_to"] == "web", answer
    assert ("host-b", "load_balancer", "shop") in said, said


def test_a_private_balancer(cloud):
    answer, said = explain(cloud, **{"from": "db"}, to="10.0.1.100", protocol="tcp", port=80)
    assert answer["verdict"] == "forward" and answer["delivered_to"] == "web", answer
    assert ("host-a", "load_balancer", "inner") in said, said


def test_nobody_has_the_address(cloud):
    net = cloud.outside["internet"]
    question = {"from": "external", "source_address": net.client()}
    answer, _ = explain(cloud, **question, to=net.address(200), protocol="tcp", port=80)
    assert answer["verdict"] == "drop" and answer["steps"], answer
    answer, _ = explain(cloud, **question, to="10.0.1.10", protocol="tcp", port=80)
    assert answer["verdict"] == "drop", "a VPC's own address is nobody's outside"


def test_what_is_told_is_what_happens(cloud):
    """And it is billed and shown: use of addresses, connections of back ends, metrics."""
    net = cloud.outside["internet"]
    for machine in (net.internet, cloud.machines["web"], cloud.machines["db"]):
        machine.serve_http(80)
    client = net.client()
    wait_for(lambda: cloud.machines["web"].curl(client, timeout_s=1) == f"internet {address(cloud, 'web')}\n", 10)
    assert cloud.machines["db"].curl(client) == f"internet {address(cloud, 'out')}\n"
    assert net.internet.curl(address(cloud, "web")) == f"web {client}\n"
    assert net.internet.curl(address(cloud, "out"), port=8080) == f"db {client}\n"
    assert net.internet.curl(address(cloud, "shop")) == f"web {client}\n"
    assert cloud.machines["db"].curl("10.0.1.100") == "web 10.0.1.11\n"
    status = cloud.get("nat_gateway", "out")["status"]
    (tcp,) = (a for a in status["addresses"] if a["protocol"] == "tcp")
    assert tcp["address"] == address(cloud, "out") and tcp["ports_total"] > 60000
    shown = cloud.vpcctl("describe", "nat-gateway", "out").stdout
    assert "ports_total" in shown and address(cloud, "out") in shown and "exhausted_in_s" in shown
    (backend,) = cloud.get("load_balancer", "shop")["status"]["listeners"][0]["backends"]
    assert backend["health"] == "up" and backend["port"] == "web"
    metrics = cloud.http("/metrics").stdout
    for line in (
        'vpc_eips{node="host-b",use="port"} 1',
        'vpc_nat_ports{nat_gateway="out",protocol="tcp"} ' + str(tcp["ports_total"]),
        'vpc_balancer_backends{load_balancer="shop",health="up"} 1',
    ):
        assert line in metrics.splitlines(), metrics
    used = {(i["kind"], i["name"]): i for i in cloud.list("usage")}
    for key in (("eip", "web"), ("eip", "out"), ("eip", "shop"), ("nat_gateway", "out")):
        assert key in used
    wait_for(lambda: {(i["kind"], i["name"]): i for i in cloud.list("usage")}[("eip", "web")]["rx_bytes"] > 0, 15)
