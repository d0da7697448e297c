# SPDX-License-Identifier: Apache-2.0
"""What the controller chooses: VNIs, MACs, addresses, gateways, MTU; and what it does not let be taken twice."""

import ipaddress

import pytest


@pytest.fixture
def net(make_controller):
    controller = make_controller(nodes=[{"name": "n", "rpc": "/nowhere/n.sock"}], vni_range=[100, 103])
    controller.call("vpc.create", name="v", cidrs=["10.0.0.0/16", "fd00::/48"])
    return controller


def test_vnis(net):
    assert net.call("vpc.get", name="v")["vni"] == 100
    assert net.call("vpc.create", name="own", cidrs=["10.0.0.0/8"], vni=102)["vni"] == 102
    assert net.refused("conflict", "vpc.create", name="x", cidrs=["10.0.0.0/8"], vni=102).data["path"] == "/vni"
    assert [net.call("vpc.create", name=n, cidrs=["10.0.0.0/8"])["vni"] for n in "ab"] == [101, 103]
    error = net.refused("exhausted", "vpc.create", name="x", cidrs=["10.0.0.0/8"])
    assert error.data["what"] == "vni"
    assert net.call("vpc.create", name="far", cidrs=["10.0.0.0/8"], vni=7777)["vni"] == 7777
    net.call("vpc.delete", name="a")
    assert net.call("vpc.create", name="x", cidrs=["10.0.0.0/8"])["vni"] == 101


def test_vnis_of_mirrors(net):
    """From the other end; where the target is a port."""
    net.call("subnet.create", name="s", vpc="v", cidr="10.0.1.0/24")
    for name in ("p", "q"):
        net.call("port.create", name=name, subnet="s")
    mirror = {"sources": [{"port": "p"}], "target": {"type": "port", "port": "q"}}
    assert net.call("mirror.create", name="m", **mirror)["vni"] == 103
    assert net.call("mirror.create", name="own", vni=101, **mirror)["vni"] == 101
    assert net.refused("conflict", "vpc.create", name="x", cidrs=["10.0.0.0/8"], vni=103).data["path"] == "/vni"
    assert net.refused("conflict", "mirror.create", name="x", vni=100, **mirror).data["path"] == "/vni"
    assert net.call("mirror.create", name="last", **mirror)["vni"] == 102
    assert net.refused("exhausted", "mirror.create", name="x", **mirror).data["what"] == "vni"
    tunnel = {"type": "vxlan", "address": "192.0.2.200", "vni": 9}
    assert "vni" not in net.call("mirror.create", name="t", sources=[], target=tunnel)
    net.restart()
    assert {m["name"]: m.get("vni") for m in net.call("mirror.list")["items"]} == {"m": 103, "own": 101, "last": 102, "t": None}
    assert "vni" not in net.call("mirror.update", name="m", target=tunnel)
    assert net.call("vpc.create", name="b", cidrs=["10.0.0.0/8"])["vni"] == 103
    net.call("mirror.delete", names=["own", "last"])
    assert net.call("mirror.update", name="m", **mirror)["vni"] == 102
    assert all(change == "unchanged" for change in [c["op"] for c in net.call("apply", resources=net.call("export")["resources"])["changes"]])


def test_mtu_without_an_underlay(net):
    assert net.call("vpc.get", name="v")["mtu"] == 1500
    assert net.call("vpc.create", name="w", cidrs=["10.0.0.0/8"], mtu=9000)["mtu"] == 9000


def test_addresses_are_the_lowest_free(net):
    net.call("subnet.create", name="s", vpc="v", cidr="10.0.1.0/29", cidr6="fd00::/64", gateway="10.0.1.3")
    got = [net.call("port.create", name=f"p{n}", subnet="s")["addresses"] for n in range(5)]
    assert [a[0] for a in got] == ["10.0.1.1", "10.0.1.2", "10.0.1.4", "10.0.1.5", "10.0.1.6"]
    assert [a[1] for a in got] == ["fd00::2", "fd00::3", "fd00::4", "fd00::5", "fd00::6"]
    error = net.refused("exhausted", "port.create", name="x", subnet="s")
    assert error.data["what"] == "addresses" and error.data["path"] == "/addresses"
    net.call("port.delete", name="p1")
    assert net.call("port.create", name="x", subnet="s")["addresses"] == ["10.0.1.2", "fd00::3"]


def test_an_exhausted_family_takes_nothing_of_the_other(net):
    net.call("subnet.create", name="s", vpc="v", cidr="10.0.1.0/30", cidr6="fd00::/64")
    net.call("port.create", name="p", subnet="s", addresses=["10.0.1.2"])
    net.refused("exhausted", "port.create", name="x", subnet="s")
    assert net.call("port.create", name="y", subnet="s", addresses=["fd00::2"])["addresses"] == ["fd00::2"]


@pytest.mark.parametrize(
    "address, code",
    [
        ("10.0.1.0", "invalid"),
        ("10.0.1.255", "invalid"),
        ("10.0.1.1", "invalid"),
        ("10.0.2.5", "invalid"),
        ("fd00::", "invalid"),
        ("fd00::1", "invalid"),
        ("fd00:0:0:1::5", "invalid"),
        ("10.0.1.10", "conflict"),
        ("fd00::10", "conflict"),
    ],
)
def test_addresses_that_cannot_be(net, address, code):
    net.call("subnet.create", name="s", vpc="v", cidr="10.0.1.0/24", cidr6="fd00::/64")
    net.call("port.create", name="p", subnet="s", addresses=["10.0.1.10", "fd00::10"])
    error = net.refused(code, "port.create", name="x", subnet="s", addresses=["10.0.1.11", address])
    assert error.data["path"] == "/addresses/1"
    assert net.call("port.create", name="y", subnet="s", addresses=["10.0.1.11"]), "what the refused one took is free"


def test_addresses_change_hands_within_one_call(net):
    net.call("subnet.create", name="s", vpc="v", cidr="10.0.1.0/24")
    a = net.call("port.create", name="a", subnet="s", addresses=["10.0.1.10"])
    b = net.call("port.create", name="b", subnet="s", addresses=["10.0.1.11"])
    net.apply(
        {"kind": "port", "name": "a", "subnet": "s", "addresses": ["10.0.1.11"], "mac": b["mac"]},
        {"kind": "port", "name": "b", "subnet": "s", "addresses": ["10.0.1.10"], "mac": a["mac"]},
    )
    assert net.call("port.get", name="a")["addresses"] == ["10.0.1.11"]
    assert net.call("port.get", name="b")["mac"] == a["mac"]


def test_named_addresses_come_before_chosen_ones(net):
    net.apply(
        {"kind": "subnet", "name": "s", "vpc": "v", "cidr": "10.0.1.0/24"},
        {"kind": "port", "name": "a", "subnet": "s"},
        {"kind": "port", "name": "b", "subnet": "s", "addresses": ["10.0.1.2"]},
    )
    assert net.call("port.get", name="a")["addresses"] == ["10.0.1.3"]


def test_macs(net):
    net.call("subnet.create", name="s", vpc="v", cidr="10.0.1.0/24")
    macs = {net.call("port.create", name=f"p{n}", subnet="s")["mac"] for n in range(50)}
    assert len(macs) == 50
    for mac in macs:
        first = int(mac[:2], 16)
        assert first & 2 and not first & 1, f"{mac} is locally administered and no group"
    gateway = net.call("subnet.get", name="s")["status"]["gateway_mac"]
    assert gateway not in macs
    for taken in (next(iter(macs)), gateway):
        assert net.refused("conflict", "port.create", name="x", subnet="s", mac=taken).data["path"] == "/mac"
    before = net.call("port.get", name="p7")
    net.restart()
    assert net.call("port.get", name="p7") == before
    assert net.call("port.update", name="p7", addresses=None)["addresses"] == before["addresses"]


def test_gateways(net):
    one = net.call("subnet.create", name="a", vpc="v", cidr="10.0.1.0/24", cidr6="fd00::/64")
    assert (one["gateway"], one["gateway6"]) == ("10.0.1.1", "fd00::1")
    two = net.call("subnet.create", name="b", vpc="v", cidr="fd00:0:0:1::/64", gateway="fd00:0:0:1::fe")
    assert two["gateway"] == "fd00:0:0:1::fe" and "gateway6" not in two
    assert one["status"]["gateway_mac"] == two["status"]["gateway_mac"]


@pytest.mark.parametrize(
    "cidr, code, reason",
    [
        ("10.0.1.0/24", "conflict", "front"),
        ("10.0.0.0/16", "conflict", "front"),
        ("10.0.1.128/25", "conflict", "front"),
        ("10.1.0.0/24", "invalid", "outside"),
        ("10.0.0.0/8", "invalid", "outside"),
        ("fd00::/56", "conflict", "front"),
        ("fd01::/64", "invalid", "outside"),
    ],
)
def test_subnets_that_cannot_be(net, cidr, code, reason):
    net.call("subnet.create", name="front", vpc="v", cidr="10.0.1.0/24", cidr6="fd00::/64")
    error = net.refused(code, "subnet.create", name="x", vpc="v", cidr=cidr)
    assert error.data["path"] == "/cidr" and reason in error.data["reason"]
    net.call("subnet.create", name="x", vpc="v", cidr="10.0.2.0/24")


def test_a_vpc_cannot_shrink_under_its_subnets(net):
    net.call("subnet.create", name="s", vpc="v", cidr="10.0.1.0/24")
    assert net.refused("conflict", "vpc.update", name="v", cidrs=["10.0.2.0/24"]).data["path"] == "/cidrs"
    net.call("vpc.update", name="v", cidrs=["10.0.0.0/20"])
    net.call("subnet.create", name="t", vpc="v", cidr="10.0.2.0/24")


def test_routes(net):
    net.call("subnet.create", name="s", vpc="v", cidr="10.0.1.0/24")
    net.call("port.create", name="p", subnet="s")
    hop = {"kind": "port", "name": "p"}
    net.call("route.create", name="r", vpc="v", destination="9.0.0.0/8", next_hop=hop)
    error = net.refused("conflict", "route.create", name="x", vpc="v", destination="9.0.0.0/8", next_hop=hop)
    assert error.data["path"] == "/destination"
    error = net.refused("invalid", "route.create", name="x", vpc="v", destination="2001:db8::/32", next_hop=hop)
    assert error.data["path"] == "/next_hop/name"
    net.call("vpc.create", name="w", cidrs=["10.9.0.0/16"])
    error = net.refused("invalid", "route.create", name="x", vpc="w", destination="9.0.0.0/8", next_hop=hop)
    assert error.data["path"] == "/next_hop/name"
    net.call("vpc.create", name="u", cidrs=["10.8.0.0/16"])
    net.call("peering.create", name="vw", vpcs=["v", "w"])
    peer = {"kind": "peering", "name": "vw"}
    net.call("route.create", name="ok", vpc="v", destination="10.9.1.0/24", next_hop=peer)
    error = net.refused("invalid", "route.create", name="x", vpc="u", destination="9.0.0.0/8", next_hop=peer)
    assert error.data["path"] == "/next_hop/name"


def test_a_large_subnet_fills_without_slowing(net):
    net.call("subnet.create", name="s", vpc="v", cidr="10.0.128.0/19")
    count = 4000
    net.apply(*({"kind": "port", "name": f"p{n}", "subnet": "s"} for n in range(count)))
    got = [item["addresses"][0] for item in net.call("port.list")["items"]]
    first = int(ipaddress.ip_address("10.0.128.2"))
    assert sorted(int(ipaddress.ip_address(a)) for a in got) == list(range(first, first + count))
