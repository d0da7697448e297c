# SPDX-License-Identifier: Apache-2.0
"""EIPs, NAT gateways, load balancers and the routes to them: what is refused, what is chosen, what nodes are told."""

import pytest
from harness import NODE
from lib.wait import wait_for

NODE_B = {"kind": "node", "name": "host-b", "rpc": "/nowhere/b.sock", "vtep": "192.0.2.2"}
FOREIGN = {"kind": "node", "name": "legacy", "vtep": "192.0.2.77"}
NET = [
    {"kind": "vpc", "name": "v", "cidrs": ["10.0.0.0/16", "fd00::/48"]},
    {"kind": "subnet", "name": "s", "vpc": "v", "cidr": "10.0.1.0/24", "cidr6": "fd00::/64"},
    {"kind": "subnet", "name": "four", "vpc": "v", "cidr": "10.0.2.0/24"},
    {"kind": "port", "name": "p1", "subnet": "s", "node": "host-a", "addresses": ["10.0.1.10", "fd00::10"]},
    {"kind": "port", "name": "p2", "subnet": "four", "node": "host-a", "addresses": ["10.0.2.10"]},
    {"kind": "vpc", "name": "other", "cidrs": ["10.0.0.0/16"]},
    {"kind": "subnet", "name": "os", "vpc": "other", "cidr": "10.0.1.0/24"},
    {"kind": "port", "name": "op", "subnet": "os", "node": "host-a", "addresses": ["10.0.1.10"]},
    {"kind": "eip_pool", "name": "pool", "cidr": "198.51.100.16/29", "node": "host-a", "external": "internet"},
    {"kind": "eip_pool", "name": "pool6", "cidr": "2001:db8:1::/64", "node": "host-a"},
    *({"kind": "eip", "name": f"e{n}", "pool": "pool"} for n in range(1, 4)),
    {"kind": "eip", "name": "e6", "pool": "pool6"},
]


@pytest.fixture(name="net")
def _net(make_controller):
    controller = make_controller()
    controller.apply(NODE, NODE_B, FOREIGN, *NET)
    return controller


def refused(controller, code, method, path, **params):
    error = controller.refused(code, method, **params)
    assert error.data["path"] == path, error
    return error


# ---- Pools and EIPs ----


def test_addresses_come_from_the_pool(net):
    assert [net.call("eip.get", name=f"e{n}")["address"][-2:] for n in (1, 2, 3)] == ["17", "18", "19"]
    assert net.call("eip.get", name="e6")["address"] == "2001:db8:1::1"
    net.call("eip.delete", name="e2")
    made = net.call("eip.create", name="again", pool="pool")
    assert made["address"] == "198.51.100.18" and made["node"] == "host-a", "the lowest free one"
    for n in range(3):
        net.call("eip.create", name=f"more{n}", pool="pool")
    error = refused(net, "exhausted", "eip.create", "/address", name="last", pool="pool")
    assert error.data["what"] == "addresses"


def test_fixed_addresses(net):
    made = net.call("eip.create", name="fixed", address="203.0.113.7", node="host-b")
    assert made["address"] == "203.0.113.7" and "pool" not in made and "external" not in made
    refused(net, "conflict", "eip.create", "/address", name="x", address="203.0.113.7", node="host-a")
    refused(net, "conflict", "eip.create", "/address", name="x", address="198.51.100.17", pool="pool")
    refused(net, "invalid", "eip.create", "/address", name="x", address="203.0.113.8", pool="pool")
    assert net.call("eip.create", name="inside", address="198.51.100.20", pool="pool")["address"] == "198.51.100.20"
    net.call("eip.create", name="alone", address="198.51.100.21", node="host-a")
    assert net.call("eip.create", name="next", pool="pool")["address"] == "198.51.100.22", "taken ones are left out"
    refused(net, "invalid", "eip.create", "/pool", name="x")
    for bad in ("224.0.0.1", "127.0.0.1", "0.0.0.0", "169.254.1.1", "ff02::1"):
        refused(net, "invalid", "eip.create", "/address", name="x", address=bad, node="host-a")


def test_pools_are_apart(net):
    refused(net, "conflict", "eip_pool.create", "/cidr", name="x", cidr="198.51.100.0/24")
    refused(net, "conflict", "eip_pool.create", "/cidr", name="x", cidr="2001:db8:1:0:8000::/65")
    refused(net, "invalid", "eip_pool.create", "/cidr", name="x", cidr="224.0.0.0/8")
    refused(net, "invalid", "eip_pool.create", "/node", name="x", cidr="203.0.113.0/24", node="legacy")
    net.call("eip_pool.create", name="x", cidr="198.51.100.24/29")
    error = net.refused("in_use", "eip_pool.delete", name="pool")
    assert {r["name"] for r in error.data["referrers"]} == {"e1", "e2", "e3"}


def test_node_of_an_eip(net):
    net.call("eip_pool.create", name="x", cidr="203.0.113.0/28")
    refused(net, "invalid", "eip.create", "/node", name="x", pool="x")
    refused(net, "invalid", "eip.create", "/node", name="x", pool="x", node="legacy")
    assert net.call("eip.create", name="x", pool="x", node="host-b")["node"] == "host-b"
    assert net.call("eip.create", name="y", pool="pool", node="host-b")["node"] == "host-b", "the pool's is a default"


def test_bind_and_unbind(net):
    bound = net.call("eip.bind", name="e1", port="p1")
    assert bound["port"] == "p1"
    assert bound["status"]["used_by"] == {"kind": "port", "name": "p1"}
    assert bound["status"]["private_address"] == "10.0.1.10"
    assert net.call("eip.bind", name="e1", port="p1")["revision"] == bound["revision"]
    error = refused(net, "in_use", "eip.bind", "/name", name="e1", port="p2")
    assert error.data["referrers"] == [{"kind": "port", "name": "p1"}]
    refused(net, "conflict", "eip.bind", "/port", name="e2", port="p1")
    refused(net, "not_found", "eip.bind", "/port", name="e2", port="nobody")
    refused(net, "not_found", "eip.bind", "/name", name="nobody", port="p1")
    refused(net, "not_found", "eip.unbind", "/name", name="nobody")
    assert net.call("eip.update", name="e1", port="p2")["status"]["private_address"] == "10.0.2.10"
    refused(net, "invalid", "eip.bind", "/port", name="e6", port="p2")
    assert net.call("eip.bind", name="e6", port="p1")["status"]["private_address"] == "fd00::10"
    error = net.refused("in_use", "port.delete", name="p2")
    assert error.data["referrers"] == [{"kind": "eip", "name": "e1"}]
    free = net.call("eip.unbind", name="e1")
    assert "port" not in free and free["status"]["used_by"] is None and free["status"]["private_address"] is None
    assert net.call("eip.unbind", name="e1") == free
    net.call("port.delete", name="p2")


def test_private_address(net):
    net.call("port.update", name="p1", addresses=["10.0.1.10", "10.0.1.11"], allowed_addresses=["10.0.1.99"])
    assert net.call("eip.bind", name="e1", port="p1", private_address="10.0.1.11")["private_address"] == "10.0.1.11"
    assert net.call("eip.bind", name="e2", port="p1")["status"]["private_address"] == "10.0.1.10"
    assert net.call("eip.bind", name="e3", port="p1", private_address="10.0.1.99")["port"] == "p1", "a shared one"
    refused(net, "conflict", "eip.update", "/port", name="e2", private_address="10.0.1.11")
    refused(net, "invalid", "eip.update", "/private_address", name="e2", private_address="10.0.1.12")
    refused(net, "invalid", "eip.update", "/private_address", name="e2", private_address="fd00::10")
    refused(net, "invalid", "port.update", "/addresses", name="p1", addresses=["10.0.1.10"])
    net.call("eip.unbind", name="e1")
    refused(net, "invalid", "eip.update", "/private_address", name="e1", private_address="10.0.1.10")


def test_deny_cidrs_are_of_its_family(net):
    assert net.call("eip.update", name="e1", deny_cidrs=["203.0.113.0/24"])["deny_cidrs"] == ["203.0.113.0/24"]
    refused(net, "invalid", "eip.update", "/deny_cidrs/1", name="e1", deny_cidrs=["203.0.113.0/24", "2001:db8::/32"])


def test_an_eip_serves_one_thing(net):
    net.call("eip.bind", name="e1", port="p1")
    nat = {"name": "n", "vpc": "v", "eips": ["e2", "e1"]}
    refused(net, "in_use", "nat_gateway.create", "/eips/1", **nat)
    refused(net, "in_use", "load_balancer.create", "/eip", name="l", vpc="v", eip="e1")
    net.call("nat_gateway.create", name="n", vpc="v", eips=["e2"])
    refused(net, "in_use", "eip.bind", "/port", name="e2", port="p2")
    refused(net, "in_use", "load_balancer.create", "/eip", name="l", vpc="v", eip="e2")
    refused(net, "in_use", "nat_gateway.create", "/eips/0", name="m", vpc="v", eips=["e2"])
    net.call("load_balancer.create", name="l", vpc="v", eip="e3")
    refused(net, "in_use", "nat_gateway.update", "/eips/1", name="n", eips=["e2", "e3"])
    refused(net, "in_use", "eip.update", "/port", name="e3", port="p2")
    error = net.refused("in_use", "eip.delete", name="e3")
    assert error.data["referrers"] == [{"kind": "load_balancer", "name": "l"}]
    assert net.call("eip.get", name="e2")["status"]["used_by"] == {"kind": "nat_gateway", "name": "n"}
    # One call may hand it on.
    net.apply(
        {"kind": "eip", "name": "e1", "pool": "pool"},
        {"kind": "nat_gateway", "name": "n", "vpc": "v", "eips": ["e1", "e2"]},
    )


def test_tenants(net):
    net.apply(
        {"kind": "vpc", "name": "theirs", "tenant": "acme", "cidrs": ["10.0.0.0/16"]},
        {"kind": "subnet", "name": "ts", "vpc": "theirs", "cidr": "10.0.1.0/24"},
        {"kind": "port", "name": "tp", "subnet": "ts", "node": "host-a"},
    )
    assert net.call("eip.create", name="te", pool="pool", port="tp")["tenant"] == "acme", "that of its port"
    refused(net, "denied", "eip.bind", "/port", name="e1", port="tp")
    refused(net, "denied", "nat_gateway.create", "/eips/0", name="x", vpc="theirs", eips=["e1"])
    refused(net, "denied", "load_balancer.create", "/eip", name="x", vpc="theirs", eip="e1")
    refused(
        *(net, "denied", "load_balancer.create", "/listeners/0/backends/0/port"),
        **{"name": "x", "vpc": "theirs", "address": "10.0.1.200"},
        listeners=[{"protocol": "tcp", "port": 80, "backends": [{"port": "p1"}]}],
    )
    assert net.call("eip.create", name="tf", tenant="acme", pool="pool")["tenant"] == "acme"
    made = net.call("nat_gateway.create", name="tn", vpc="theirs", eips=["tf"])
    assert made["tenant"] == "acme"
    hop = {"kind": "nat_gateway", "name": "tn"}
    refused(net, "denied", "route.create", "/next_hop/name", name="x", vpc="v", destination="9.0.0.0/8", next_hop=hop)


@pytest.mark.parametrize("kind", ["eips", "nat_gateways", "load_balancers"])
def test_quotas(net, kind):
    net.call("tenant.create", name="default", quotas={kind: 1 if kind != "eips" else 4})
    new = {
        "eips": ("eip", {"pool": "pool"}),
        "nat_gateways": ("nat_gateway", {"vpc": "v", "eips": ["e2"]}),
        "load_balancers": ("load_balancer", {"vpc": "v", "address": "10.0.1.101"}),
    }
    if kind != "eips":
        first = {"nat_gateways": {"eips": ["e1"]}, "load_balancers": {"address": "10.0.1.100"}}[kind]
        net.call(f"{new[kind][0]}.create", name="first", vpc="v", **first)
    error = net.refused("exhausted", f"{new[kind][0]}.create", name="x", **new[kind][1])
    assert error.data["what"] == kind
    assert net.call("tenant.get", name="default")["status"]["used"][kind] == (4 if kind == "eips" else 1)


# ---- NAT gateways ----


def nat_refused(net, code, path, **fields):
    refused(net, code, "nat_gateway.create", path, **{"name": "x", "vpc": "v", "eips": ["e1", "e6"], **fields})


def test_nat_defaults(net):
    made = net.call(
        *("nat_gateway.create",),
        **{"name": "n", "vpc": "v"},
        snat=[{"subnet": "s", "eips": ["e1"]}],
        dnat=[{"eip": "e2", "protocol": "udp", "port": "5000-5010", "to_address": "10.0.1.10"}],
    )
    assert made["eips"] == ["e1", "e2"] and made["node"] == "host-a"
    assert made["mapping"] == "endpoint_independent" and made["filtering"] == "address_and_port"
    assert made["port_block"] == 0 and made["hairpin"] is True and made["quarantine_s"] == 120 and made["log"] == "none"
    assert made["limits"] == {"per_port": 0, "per_vpc": 0}
    assert made["timeouts"] == {"tcp_established_s": 7440, "tcp_transitory_s": 240, "udp_s": 300, "icmp_s": 60}
    assert made["snat"] == [{"subnet": "s", "eips": ["e1"], "nat64": False}]


def test_nat_sources(net):
    nat_refused(net, "invalid", "/snat/0/source", snat=[{}])
    nat_refused(net, "invalid", "/snat/0/subnet", snat=[{"source": "10.0.0.0/16", "subnet": "s"}])
    nat_refused(net, "invalid", "/snat/0/source", snat=[{"source": "10.1.0.0/16"}])
    nat_refused(net, "invalid", "/snat/0/source", snat=[{"source": "0.0.0.0/0"}])
    nat_refused(net, "invalid", "/snat/1/subnet", snat=[{"source": "10.0.0.0/24"}, {"subnet": "os"}])
    nat_refused(net, "invalid", "/snat/1", snat=[{"source": "10.0.0.0/24"}, {"source": "10.0.0.0/24"}])
    nat_refused(net, "invalid", "/snat/0/eips/0", snat=[{"source": "10.0.0.0/24", "eips": ["e2"]}])
    nat_refused(net, "invalid", "/snat/0/eips", snat=[{"source": "10.0.0.0/24", "eips": ["e6"]}])
    nat_refused(net, "invalid", "/snat/0/eips", snat=[{"source": "fd00::/64", "eips": ["e1"]}])
    nat_refused(net, "invalid", "/snat/0/eips", snat=[{"subnet": "four", "eips": ["e6"]}])
    nat_refused(net, "invalid", "/eips", eips=None, snat=[{"source": "10.0.0.0/24"}])
    nat_refused(net, "invalid", "/snat/0/nat64", snat=[{"source": "10.0.0.0/24", "nat64": True}])
    nat_refused(net, "invalid", "/snat/0/nat64", snat=[{"source": "fd00::/64", "nat64": True}], eips=["e6"])
    nat_refused(net, "invalid", "/snat/0/nat64", snat=[{"subnet": "four", "nat64": True}])
    net.call("nat_gateway.create", name="n", vpc="v", eips=["e1", "e6"], snat=[{"source": "fd00::/64", "nat64": True}])
    net.call("vpc.create", name="bare", cidrs=["10.0.0.0/16", "10.5.0.0/16"])
    net.call("nat_gateway.create", name="m", vpc="bare", eips=["e2"], snat=[{"source": "10.5.0.0/24"}])
    refused(net, "invalid", "vpc.update", "/cidrs", name="bare", cidrs=["10.0.0.0/16"])


def forward(**fields):
    return {"eip": "e1", "protocol": "tcp", "port": "8000-8010", "to_address": "10.0.1.10", **fields}


def test_nat_forwards(net):
    nat_refused(net, "invalid", "/dnat/0/eip", dnat=[forward(eip="e2")])
    nat_refused(net, "not_found", "/dnat/0/eip", eips=None, dnat=[forward(eip="nobody")])
    nat_refused(net, "invalid", "/dnat/0/port", dnat=[forward(port="0-1")])
    nat_refused(net, "invalid", "/dnat/0/to_port", dnat=[forward(to_port=65530)])
    nat_refused(net, "invalid", "/dnat/0/to_address", dnat=[forward(to_address="10.9.0.1")])
    nat_refused(net, "invalid", "/dnat/0/to_address", dnat=[forward(to_address="fd00::10")])
    nat_refused(net, "invalid", "/dnat/0/to_address", dnat=[forward(eip="e6")])
    nat_refused(net, "invalid", "/dnat/0/protocol", dnat=[forward(protocol="icmp")])
    nat_refused(net, "conflict", "/dnat/1/port", dnat=[forward(), forward(port="8010")])
    nat_refused(net, "conflict", "/dnat/2/port", dnat=[forward(), forward(protocol="udp"), forward(port="7000-9000")])
    made = net.call(
        *("nat_gateway.create",),
        **{"name": "n", "vpc": "v", "eips": ["e1", "e2"]},
        dnat=[forward(), forward(protocol="udp"), forward(eip="e2"), forward(port=8011, to_port=65535)],
    )
    assert made["dnat"][3]["port"] == "8011"


def test_nat_is_where_its_eips_are(net):
    net.call("eip.create", name="far", pool="pool", node="host-b")
    nat_refused(net, "invalid", "/node", node="host-b")
    nat_refused(net, "invalid", "/node", eips=["e1", "far"])
    assert net.call("nat_gateway.create", name="n", vpc="v", eips=["far"])["node"] == "host-b"
    refused(net, "invalid", "eip.update", "/node", name="far", node="host-a")
    net.apply(
        {"kind": "eip", "name": "far", "pool": "pool", "node": "host-a"},
        {"kind": "nat_gateway", "name": "n", "vpc": "v", "eips": ["far"], "node": "host-a"},
    )
    assert {"kind": "nat_gateway", "name": "n"} in net.refused("in_use", "vpc.delete", name="v").data["referrers"]


# ---- Load balancers ----


def lb_refused(net, code, path, **fields):
    refused(net, code, "load_balancer.create", path, **{"name": "x", "vpc": "v", "address": "10.0.1.100", **fields})


def listener(*backends, **fields):
    return {"protocol": "tcp", "port": 80, "backends": list(backends), **fields}


def test_lb_defaults(net):
    http = {"type": "http", "interval_ms": 1000}
    made = net.call(
        *("load_balancer.create",),
        **{"name": "l", "vpc": "v", "address": "10.0.1.100"},
        listeners=[
            listener({"port": "p1"}, {"address": "10.0.2.77", "port_number": 8080, "weight": 0}),
            listener(protocol="udp", health_check=http),
        ],
    )
    first, second = made["listeners"]
    assert made["node"] == "host-a", "where its first back end is"
    assert first["backends"] == [
        {"port": "p1", "port_number": 80, "weight": 1},
        {"address": "10.0.2.77", "port_number": 8080, "weight": 0},
    ]
    assert first["scheduler"] == "round_robin" and first["persistence_s"] == 0 and first["fail_open"] is False
    assert first["health_check"] == {"type": "tcp", "interval_ms": 5000, "timeout_ms": 2000, "rise": 2, "fall": 3}
    http = {"type": "http", "interval_ms": 1000, "timeout_ms": 1000, "rise": 2, "fall": 3}
    assert second["health_check"] == {**http, "path": "/", "expect": "200-399"}
    shown = made["status"]["listeners"]
    assert [b["address"] for b in shown[0]["backends"]] == ["10.0.1.10", "10.0.2.77"]
    assert {b["health"] for b in shown[0]["backends"]} == {"unknown"}


def test_lb_addresses(net):
    lb_refused(net, "invalid", "/address", address=None)
    lb_refused(net, "invalid", "/eip", eip="e1")
    lb_refused(net, "invalid", "/address", address="10.1.0.1")
    lb_refused(net, "conflict", "/address", address="10.0.1.10")
    lb_refused(net, "conflict", "/address", address="10.0.1.1")
    lb_refused(net, "conflict", "/address", address="10.0.1.0")
    lb_refused(net, "conflict", "/address", address="10.0.1.255")
    net.call("load_balancer.create", name="l", vpc="v", address="10.0.1.2")
    lb_refused(net, "conflict", "/address", address="10.0.1.2")
    port = {"name": "x", "subnet": "s", "node": "host-a"}
    refused(net, "conflict", "port.create", "/addresses/0", **port, addresses=["10.0.1.2"])
    assert net.call("port.create", **port)["addresses"][0] == "10.0.1.3", "no port is given it"
    net.call("load_balancer.create", name="o", vpc="other", address="10.0.1.2")
    net.call("load_balancer.update", name="l", address="10.0.1.4")
    assert net.call("port.create", **{**port, "name": "y"})["addresses"][0] == "10.0.1.2"
    net.call("load_balancer.delete", name="l")
    assert net.call("port.create", **{**port, "name": "z"})["addresses"][0] == "10.0.1.4"
    refused(net, "conflict", "vpc.update", "/cidrs", name="v", cidrs=["10.0.1.0/24", "fd00::/48"])


def test_lb_before_its_subnet(net):
    net.call("load_balancer.create", name="l", vpc="v", address="10.0.9.2")
    refused(net, "conflict", "subnet.create", "/gateway", name="x", vpc="v", cidr="10.0.9.0/24", gateway="10.0.9.2")
    net.call("load_balancer.update", name="l", address="10.0.9.0")
    refused(net, "conflict", "subnet.create", "/cidr", name="x", vpc="v", cidr="10.0.9.0/24")
    net.call("load_balancer.update", name="l", address="10.0.9.2")
    net.call("subnet.create", name="x", vpc="v", cidr="10.0.9.0/24")
    assert net.call("port.create", name="x", subnet="x", node="host-a")["addresses"] == ["10.0.9.3"]
    net.call("subnet.update", name="x", description="the same")
    net.restart()
    assert net.call("port.create", name="y", subnet="x", node="host-a")["addresses"] == ["10.0.9.4"]
    refused(net, "conflict", "port.create", "/addresses/0", name="z", subnet="x", node="host-a", addresses=["10.0.9.2"])


def test_a_named_address_goes_before_a_chosen_one(net):
    net.apply(
        {"kind": "subnet", "name": "x", "vpc": "v", "cidr": "10.0.9.0/24"},
        {"kind": "port", "name": "x", "subnet": "x", "node": "host-a"},
        {"kind": "load_balancer", "name": "l", "vpc": "v", "address": "10.0.9.2"},
    )
    assert net.call("port.get", name="x")["addresses"] == ["10.0.9.3"]


def test_lb_listeners(net):
    lb_refused(net, "conflict", "/listeners/1/port", listeners=[listener(), listener()])
    lb_refused(net, "invalid", "/listeners/0/port", listeners=[listener(port=0)])
    lb_refused(net, "invalid", "/listeners/0/allow_cidrs/0", listeners=[listener(allow_cidrs=["fd00::/8"])])
    check = "/listeners/0/health_check"
    for path, fields in (
        ("/timeout_ms", {"interval_ms": 100, "timeout_ms": 200}),
        ("/path", {"type": "tcp", "path": "/"}),
        ("/path", {"type": "http", "path": "x"}),
        ("/path", {"type": "http", "path": "/a b"}),
        ("/expect", {"type": "http", "expect": "2xx"}),
        ("/expect", {"type": "http", "expect": "200-700"}),
        ("/expect", {"type": "icmp", "expect": "pong"}),
        ("/type", {"type": "ping"}),
    ):
        lb_refused(net, "invalid", check + path, listeners=[listener(health_check=fields)])
    net.call("load_balancer.create", name="l", vpc="v", address="10.0.1.100", listeners=[listener(), listener(protocol="udp")])


def test_lb_backends(net):
    where = "/listeners/0/backends/0"
    for code, path, backend in (
        ("invalid", "/port", {}),
        ("invalid", "/address", {"port": "p1", "address": "10.0.1.10"}),
        ("not_found", "/port", {"port": "nobody"}),
        ("invalid", "/port", {"port": "op"}),
        ("invalid", "/address", {"address": "10.9.0.1"}),
        ("invalid", "/address", {"address": "fd00::10"}),
        ("invalid", "/address", {"address": "10.0.1.100"}),
        ("invalid", "/weight", {"port": "p1", "weight": 101}),
        ("invalid", "/port_number", {"port": "p1", "port_number": 0}),
    ):
        lb_refused(net, code, where + path, listeners=[listener(backend)])
    lb_refused(net, "invalid", "/listeners/0/backends/1", listeners=[listener({"port": "p1"}, {"address": "10.0.1.10"})])
    lb_refused(net, "invalid", where + "/port", address=None, eip="e6", listeners=[listener({"port": "p2"})])
    net.call("load_balancer.create", name="l", vpc="v", address="10.0.1.100", listeners=[listener({"port": "p1"})])
    error = net.refused("in_use", "port.delete", name="p1")
    assert error.data["referrers"] == [{"kind": "load_balancer", "name": "l"}]
    refused(net, "invalid", "port.update", "/addresses", name="p1", addresses=["fd00::10"])


def test_lb_is_where_its_eip_is(net):
    lb_refused(net, "invalid", "/node", address=None, eip="e1", node="host-b")
    lb_refused(net, "invalid", "/node", node="legacy")
    net.call("eip.create", name="far", pool="pool", node="host-b")
    assert net.call("load_balancer.create", name="l", vpc="v", eip="far")["node"] == "host-b"
    refused(net, "invalid", "eip.update", "/node", name="far", node="host-a")


# ---- Routes ----


def test_routes_to_services(net):
    net.call("nat_gateway.create", name="n", vpc="v", eips=["e1"])
    route = {"destination": "9.0.0.0/8", "next_hop": {"kind": "nat_gateway", "name": "n"}}
    refused(net, "invalid", "route.create", "/next_hop/name", name="r", vpc="other", **route)
    made = net.call("route.create", name="r", vpc="v", **route)
    assert "node" not in made
    error = net.refused("in_use", "nat_gateway.delete", name="n")
    assert error.data["referrers"] == [{"kind": "route", "name": "r"}]
    line = {"destination": "172.16.0.0/12", "next_hop": {"kind": "external", "name": "line"}}
    refused(net, "invalid", "route.create", "/node", name="x", vpc="v", **line)
    refused(net, "invalid", "route.create", "/node", name="x", vpc="v", node="legacy", **line)
    assert net.call("route.create", name="x", vpc="v", node="host-a", **line)["node"] == "host-a"
    error = refused(net, "conflict", "route.create", "/next_hop/name", name="y", vpc="other", node="host-a", **line)
    assert "addresses of VPC `other`" in error.message
    elsewhere = {"destination": "172.16.0.0/12", "next_hop": {"kind": "external", "name": "another"}}
    net.call("route.create", name="y", vpc="other", node="host-b", **elsewhere)
    refused(net, "conflict", "route.update", "/next_hop/name", name="y", next_hop=line["next_hop"])
    assert "node" not in net.call("route.update", name="y", next_hop={"kind": "blackhole"})
    net.call("vpc.create", name="apart", cidrs=["10.7.0.0/16"])
    net.call("route.create", name="z", vpc="apart", node="host-b", **line)
    refused(net, "conflict", "vpc.update", "/cidrs", name="apart", cidrs=["10.7.0.0/16", "10.0.0.0/20"])


def test_export_can_be_applied(net):
    net.call("nat_gateway.create", name="n", vpc="v", snat=[{"subnet": "s", "eips": ["e1"]}])
    net.call("load_balancer.create", name="l", vpc="v", eip="e2", listeners=[listener({"port": "p1"})])
    net.call("eip.bind", name="e3", port="p2")
    hop = {"kind": "external", "name": "line"}
    net.call("route.create", name="x", vpc="v", destination="9.0.0.0/8", node="host-a", next_hop=hop)
    exported = net.call("export")["resources"]
    result = net.call("apply", resources=exported)
    assert result["unchanged"] == len(exported) and not result["changes"]
    # As it was written: what was chosen stays.
    for resource in (
        {"kind": "eip", "name": "e1", "pool": "pool"},
        {"kind": "nat_gateway", "name": "n", "vpc": "v", "snat": [{"subnet": "s", "eips": ["e1"]}]},
        {"kind": "load_balancer", "name": "l", "vpc": "v", "eip": "e2", "listeners": [listener({"port": "p1"})]},
        {"kind": "route", "name": "x", "vpc": "v", "destination": "9.0.0.0/8", "next_hop": hop},
    ):
        assert net.apply(resource)["unchanged"] == 1, resource
    net.restart()
    assert net.call("export")["resources"] == exported


# ---- What nodes are told ----


def names(peer, *kinds):
    return {key.replace("\x1f", " ") for key in peer.items if not kinds or key.split("\x1f")[0] in kinds}


INSIDE = [
    {"kind": "vpc", "name": "v", "cidrs": ["10.0.0.0/16", "fd00::/48"]},
    {"kind": "subnet", "name": "s", "vpc": "v", "cidr": "10.0.1.0/24", "cidr6": "fd00::/64"},
    {"kind": "port", "name": "pa", "subnet": "s", "node": "host-a", "addresses": ["10.0.1.10", "fd00::10"]},
    {"kind": "eip_pool", "name": "pool", "cidr": "198.51.100.16/28", "node": "gw", "external": "internet"},
]


def test_an_eip_is_told_to_its_gateway_and_its_port(cluster):
    controller, (a, b, gw, other) = cluster("host-a", "host-b", "gw", "other")
    controller.apply(*INSIDE, {"kind": "eip", "name": "e", "pool": "pool"}, wait=True)
    free = ["e", "internet", "198.51.100.17", None, "none", None, None, None, 0, 0, [], False]
    assert [item[:-1] for item in gw.all("eip")] == [free]
    assert names(gw) == {"eip e"} and not a.all("eip")
    controller.call("eip.bind", name="e", port="pa", wait=True)
    assert gw.of("eip")["e"][4:9] == [None, "port", 10000, "10.0.1.10", "pa"]
    assert a.of("eip")["e"][4:9] == ["gw", "port", 10000, "10.0.1.10", "pa"]
    assert a.of("vtep")["gw"][2:] == ["192.0.2.3", True], "what comes from it may have outside sources"
    assert names(gw) >= {"vpc 10000", "subnet s", "endpoint 10000 10.0.1.10", "endpoint 10000 fd00::10", "vtep host-a"}
    assert gw.of("vtep")["host-a"][3] is False
    assert not b.items and not other.items
    controller.call("eip.update", name="e", bandwidth_mbps=100, new_per_s=50, deny_cidrs=["203.0.113.0/24"], blackhole=True, wait=True)
    assert gw.of("eip")["e"][9:13] == a.of("eip")["e"][9:13] == [100, 50, ["203.0.113.0/24"], True]
    # The port moves, then the EIP.
    controller.call("port.update", name="pa", node="host-b", wait=True)
    assert not names(a, "eip", "vpc") and b.of("eip")["e"][4] == "gw" and gw.of("endpoint")["10.0.1.10"][4] == "host-b"
    controller.call("eip.update", name="e", node="other", wait=True)
    assert not gw.items and other.of("eip")["e"][4] is None and b.of("eip")["e"][4] == "other"
    assert b.of("vtep")["other"][3] is True
    # One node for both.
    controller.call("eip.update", name="e", node="host-b", wait=True)
    assert b.of("eip")["e"][4] is None and not other.items and "vtep other" not in names(b)
    controller.call("eip.unbind", name="e", wait=True)
    assert b.of("eip")["e"][4:9] == [None, "none", None, None, None]
    controller.call("eip.delete", name="e", wait=True)
    assert not names(b, "eip")


def test_the_pool_says_which_network(cluster):
    controller, (_, gw) = cluster("host-a", "gw")
    controller.apply(*INSIDE, {"kind": "eip", "name": "e", "pool": "pool"}, wait=True)
    controller.call("eip_pool.update", name="pool", external=None, wait=True)
    assert gw.of("eip")["e"][2] == ""
    controller.call("eip.update", name="e", external="office", wait=True)
    assert gw.of("eip")["e"][2] == "office"


def test_a_nat_gateway_is_told_to_all_of_its_vpc(cluster):
    controller, (a, gw, other) = cluster("host-a", "gw", "other")
    controller.apply(
        *INSIDE,
        *({"kind": "eip", "name": f"e{n}", "pool": "pool"} for n in (1, 2)),
        {"kind": "eip", "name": "e6", "address": "2001:db8::7", "node": "gw"},
        {
            **{"kind": "nat_gateway", "name": "n", "vpc": "v", "eips": ["e1", "e2", "e6"], "port_block": 512},
            "snat": [{"source": "10.0.8.0/24", "eips": ["e2"]}, {"subnet": "s"}, {"source": "fd00:0:0:1::/64", "nat64": True}],
            "dnat": [
                {"eip": "e1", "protocol": "tcp", "port": "80", "to_address": "10.0.1.10", "to_port": 8080},
                {"eip": "e2", "protocol": "udp", "port": "5000-5010", "to_address": "10.0.1.10"},
            ],
        },
        wait=True,
    )
    timeouts = {"tcp_established_s": 7440, "tcp_transitory_s": 240, "udp_s": 300, "icmp_s": 60}
    rest = ["endpoint_independent", "address_and_port", 512, True, 0, 0, 120, "none", timeouts]
    assert gw.of("nat_gateway")["n"][1:-1] == ["n", 10000, None, *rest]
    assert a.of("nat_gateway")["n"][1:-1] == ["n", 10000, "gw", *rest]
    assert gw.all("snat") == [
        ["n", 0, "10.0.8.0/24", ["e2"], False],
        ["n", 1, "10.0.1.0/24", ["e1", "e2"], False],
        ["n", 2, "fd00::/64", ["e6"], False],
        ["n", 3, "fd00:0:0:1::/64", ["e1", "e2", "e6"], True],
    ]
    assert a.all("snat") == [[*item[:3], [], item[4]] for item in gw.all("snat")]
    assert gw.all("dnat") == [
        ["n", 0, "e1", 6, 80, 80, "10.0.1.10", 8080],
        ["n", 1, "e2", 17, 5000, 5010, "10.0.1.10", 5000],
    ]
    assert not a.all("dnat") and not a.all("eip") and not other.items
    assert {item[4] for item in gw.all("eip")} == {"nat"}
    assert names(gw) >= {"vpc 10000", "subnet s", "endpoint 10000 10.0.1.10"}
    # It moves with its EIPs; a route to it follows.
    controller.call("route.create", name="r", vpc="v", destination="0.0.0.0/0", next_hop={"kind": "nat_gateway", "name": "n"}, wait=True)
    assert a.of("route")["0.0.0.0/0"][3:9] == ["r", "nat_gateway", None, None, "gw", "n"]
    assert gw.of("route")["0.0.0.0/0"][3:9] == ["r", "nat_gateway", None, None, None, "n"]
    exported = [r for r in controller.call("export")["resources"] if r["kind"] in ("eip", "nat_gateway")]
    controller.apply(*({**r, "node": "other"} for r in exported), wait=True)
    assert not gw.items and other.of("nat_gateway")["n"][3] is None and len(other.all("dnat")) == 2
    assert a.of("nat_gateway")["n"][3] == "other" and a.of("route")["0.0.0.0/0"][7] == "other"
    controller.call("route.delete", name="r")
    controller.call("nat_gateway.delete", name="n", wait=True)
    assert not names(a, "nat_gateway", "snat", "vtep") and names(other) == {"eip e1", "eip e2", "eip e6"}
    assert {item[4] for item in other.all("eip")} == {"none"}


def test_a_private_address_is_told_to_clients_of_peers_too(cluster):
    controller, (a, b, gw) = cluster("host-a", "host-b", "gw")
    controller.apply(
        *INSIDE,
        {"kind": "vpc", "name": "w", "cidrs": ["10.1.0.0/16"]},
        {"kind": "subnet", "name": "ws", "vpc": "w", "cidr": "10.1.1.0/24"},
        {"kind": "port", "name": "pb", "subnet": "ws", "node": "host-b"},
        {
            **{"kind": "load_balancer", "name": "l", "vpc": "v", "address": "10.0.1.100", "node": "gw"},
            "listeners": [listener({"port": "pa"}, {"address": "10.0.1.77", "port_number": 8080, "weight": 3}, scheduler="maglev")],
        },
        wait=True,
    )
    check = {"type": "tcp", "interval_ms": 5000, "timeout_ms": 2000, "rise": 2, "fall": 3}
    for peer, vtep in ((a, "gw"), (gw, None)):
        assert peer.of("load_balancer")["l"][1:-1] == ["l", 10000, "10.0.1.100", None, vtep]
        assert peer.all("listener") == [["l", 6, 80, "maglev", 0, [], 0, 60, False, check]]
        assert peer.all("backend") == [["l", 6, 80, "10.0.1.10", 80, 1, "pa"], ["l", 6, 80, "10.0.1.77", 8080, 3, ""]]
    assert not names(b, "load_balancer")
    controller.call("peering.create", name="vw", vpcs=["v", "w"], wait=True)
    assert b.of("load_balancer")["l"][5] == "gw" and len(b.all("backend")) == 2
    controller.call("port.update", name="pa", addresses=["10.0.1.20", "fd00::10"], wait=True)
    assert [item[3] for item in a.all("backend")] == ["10.0.1.20", "10.0.1.77"]
    controller.call("load_balancer.update", name="l", listeners=[], wait=True)
    assert not a.all("backend") and not b.all("listener")
    controller.call("load_balancer.delete", name="l", wait=True)
    assert not gw.items and not names(a, "load_balancer") and not names(b, "load_balancer")


def test_a_public_address_is_served_by_its_gateway(cluster):
    controller, (a, gw) = cluster("host-a", "gw")
    controller.apply(
        *INSIDE,
        {"kind": "eip", "name": "e", "pool": "pool"},
        {"kind": "load_balancer", "name": "l", "vpc": "v", "eip": "e", "listeners": [listener({"port": "pa"})]},
        wait=True,
    )
    assert gw.of("load_balancer")["l"][1:-1] == ["l", 10000, None, "e", None]
    assert gw.of("eip")["e"][4:6] == [None, "lb"] and len(gw.all("backend")) == 1
    assert not names(a, "load_balancer", "listener", "backend", "eip")
    assert a.all("endpoint") == [] and names(gw) >= {"endpoint 10000 10.0.1.10"}


def test_a_dedicated_line(cluster):
    controller, (a, gw) = cluster("host-a", "gw")
    hop = {"kind": "external", "name": "line"}
    controller.apply(*INSIDE, {"kind": "route", "name": "r", "vpc": "v", "destination": "172.16.0.0/12", "node": "gw", "next_hop": hop}, wait=True)
    assert a.of("route")["172.16.0.0/12"][3:9] == ["r", "external", None, None, "gw", "line"]
    assert gw.of("route")["172.16.0.0/12"][3:9] == ["r", "external", None, None, None, "line"]
    assert names(gw) >= {"vpc 10000", "endpoint 10000 10.0.1.10"} and a.of("vtep")["gw"][3] is True
    controller.call("route.update", name="r", next_hop={"kind": "external"}, wait=True)
    assert a.of("route")["172.16.0.0/12"][8] == ""
    controller.call("route.update", name="r", next_hop={"kind": "blackhole"}, wait=True)
    assert not gw.items and "vtep gw" not in names(a)


def test_nodes_say_which_networks_they_have(cluster):
    controller, (a, gw) = cluster("host-a", "gw")
    gw.externals = [{"name": "internet", "families": [4], "addresses": ["198.51.100.17/24", "198.51.100.19"]}]
    a.externals = []
    for peer in (a, gw):
        peer.stop()
        peer.start()
    wait_for(lambda: all(n["connected"] for n in controller.call("status")["nodes"]), 10)
    controller.apply(*INSIDE[:3], {**INSIDE[3], "node": None}, wait=True)
    e = controller.call("eip.create", name="e", pool="pool", wait=True)
    assert e["node"] == "gw", "it has the network"
    assert e["address"] == "198.51.100.18", "not the gateway's own"
    assert controller.call("eip.create", name="f", pool="pool")["address"] == "198.51.100.20"
    assert e["status"] == {"state": "active", "reason": "", "used_by": None, "private_address": None}
    refused(controller, "invalid", "eip.create", "/node", name="g", pool="pool", external="office")
    away = controller.call("eip.create", name="g", pool="pool", node="host-a", wait=True)["status"]
    assert away["state"] == "error" and away["reason"] == "node `host-a` has no outside network `internet` of IPv4"
    hop = {"kind": "external", "name": "internet"}
    assert controller.call("route.create", name="r", vpc="v", destination="9.0.0.0/8", next_hop=hop)["node"] == "gw"
    nat = controller.call("nat_gateway.create", name="n", vpc="v", eips=["g"], wait=True)["status"]
    assert nat["state"] == "error" and nat["reason"].startswith("EIP `g`: node `host-a` has no outside network")
    own = controller.call("eip.create", name="own", address="198.51.100.17", node="gw", wait=True)["status"]
    assert own["state"] == "error" and own["reason"] == "198.51.100.17 is an address of the outside network itself"
    gw.stop()
    wait_for(lambda: controller.call("eip.get", name="e")["status"]["state"] == "pending", 10)
    assert controller.call("eip.get", name="e")["status"]["reason"] == "node `gw` is away"


def test_outside_networks_of_a_node(cluster):
    controller, (_, gw) = cluster("host-a", "gw")
    network = {"name": "internet", "state": "up", "reason": "", "ifname": "eth1", "vlan": 7, "mtu": 1500}
    network |= {"addresses": ["198.51.100.1/24"], "gateways": [{"address": "198.51.100.254", "state": "up", "mac": None}]}
    gw.answers["external.list"] = {"items": [{**network, "mac": "02:00:00:00:00:01", "counters": {}}]}
    wait_for(lambda: controller.call("node.get", name="gw")["status"]["externals"] == [network], 10, "the node is asked")
    assert controller.call("node.get", name="host-a")["status"]["externals"] == []


def test_a_new_controller_tells_the_same(cluster):
    controller, (a, gw) = cluster("host-a", "gw")
    controller.apply(*INSIDE, {"kind": "eip", "name": "e", "pool": "pool", "port": "pa"}, wait=True)
    before = dict(a.items), dict(gw.items)
    assert a.of("eip") and gw.of("eip")
    controller.restart()
    wait_for(lambda: all(n["connected"] and n["revision"]["desired"] == n["revision"]["applied"] for n in controller.call("status")["nodes"]), 10)
    assert (a.items, gw.items) == before


def test_a_gateway_without_vtep(cluster):
    controller, (a, gw) = cluster("host-a", "gw")
    controller.apply(*INSIDE, {"kind": "eip", "name": "e", "pool": "pool", "port": "pa"}, wait=True)
    assert a.of("eip")
    controller.call("node.update", name="gw", vtep=None, wait=True)
    status = controller.call("eip.get", name="e")["status"]
    assert status["state"] == "error" and status["reason"] == "node `gw` has no vtep, and port `pa` is on another node"
    assert not a.of("eip") and gw.of("eip"), "there is no way to it"
    controller.call("port.update", name="pa", node="gw", wait=True)
    assert controller.call("eip.get", name="e")["status"]["state"] == "active"


def test_a_refused_service_says_why(cluster):
    controller, (_, gw) = cluster("host-a", "gw")
    gw.refuse = lambda item: "no room" if item[0] == "eip" else None
    controller.apply(*INSIDE, {"kind": "eip", "name": "e", "pool": "pool"})
    wait_for(lambda: controller.call("eip.get", name="e")["status"]["state"] == "error", 10)
    assert "no room" in controller.call("eip.get", name="e")["status"]["reason"]


# ---- Status ----


def test_status_of_a_nat_gateway(cluster):
    controller, (_, gw) = cluster("host-a", "gw")
    use = {"eip": "e", "address": "198.51.100.17", "protocol": 6, "ports_used": 4512, "ports_total": 64512}
    use |= {"blocks_used": 9, "blocks_total": 126, "quarantined": 7}
    gw.answers["nat.status"] = {
        "items": [{"nat_gateway": "n", "addresses": [use], "sessions": 5000, "refused": 3, "rate_per_s": 100.0}]
    }
    controller.apply(*INSIDE, {"kind": "eip", "name": "e", "pool": "pool"}, {"kind": "nat_gateway", "name": "n", "vpc": "v", "eips": ["e"]}, wait=True)
    status = controller.call("nat_gateway.get", name="n")["status"]
    assert status["state"] == "active" and status["sessions"] == 5000 and status["refused"] == 3
    assert status["addresses"] == [{**use, "protocol": "tcp", "exhausted_in_s": 600}]
    assert controller.call("nat_gateway.list")["items"][0]["status"] == status
    gw.silent.add("nat.status")
    assert controller.call("nat_gateway.get", name="n")["status"]["addresses"] == []


def test_status_of_a_load_balancer(cluster):
    controller, (a, gw) = cluster("host-a", "gw")
    controller.apply(
        *INSIDE,
        {
            **{"kind": "load_balancer", "name": "l", "vpc": "v", "address": "10.0.1.100", "node": "gw"},
            "listeners": [listener({"port": "pa"}, {"address": "10.0.1.77", "port_number": 8080})],
        },
        wait=True,
    )
    backend = {"load_balancer": "l", "protocol": 6, "port": 80, "address": "10.0.1.10", "port_number": 80}
    down = {"health": "down", "since": "2026-01-01T00:00:00.000Z", "reason": "connection refused"}
    gw.answers["lb.status"] = {"items": [{**backend, **down, "connections": 2}]}
    a.answers["lb.status"] = {"items": [{**backend, "health": "unknown", "since": None, "reason": "", "connections": 5}]}
    (shown,) = controller.call("load_balancer.get", name="l")["status"]["listeners"]
    assert shown["protocol"] == "tcp" and shown["port"] == 80
    first, second = shown["backends"]
    assert first == {**{"port": "pa", "address": "10.0.1.10", "port_number": 80, "weight": 1}, **down, "connections": 7}
    assert second["health"] == "unknown" and second["port"] is None and second["since"] is None
