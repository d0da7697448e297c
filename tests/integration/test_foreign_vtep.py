# SPDX-License-Identifier: Apache-2.0
"""A VTEP that somebody else runs and several nodes of ours: whichever it sends to, all of the VPC is reached.

    host-a: near 10.0.1.10 (s1)   host-b: far 10.0.2.10 (s2)   legacy: theirs 10.0.3.10 (s3), a Linux VXLAN device
    peer VPC w on host-b: other 10.9.1.10
"""

import pytest
from lib import wait_for
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN

NAMES = ("near", "far", "other")


@pytest.fixture(scope="module", params=["ipv4", "ipv6"], ids=["over-ipv4", "over-ipv6"])
def cloud(make_module_cloud, request):
    cloud = make_module_cloud(hosts=2, underlay=request.param)
    subnets = {f"s{n}": {"cidr": f"10.0.{n}.0/24", "cidr6": f"fd00:0:0:{n}::/64"} for n in (1, 2, 3)}
    vpc = cloud.network("v", subnets)
    cloud.network("w", {"w1": {"cidr": "10.9.1.0/24", "cidr6": "fd09:0:0:1::/64"}})
    cloud.create("peering", name="vw", vpcs=["v", "w"])
    cloud.machine("near", "s1", "a", security_groups=["v-open"])
    cloud.machine("far", "s2", "b", security_groups=["v-open"])
    cloud.machine("other", "w1", "b", security_groups=["w-open"])
    cloud.machine("second", "w1", "a", security_groups=["w-open"])  # so that host-a has w, too
    cloud.vtep = cloud.kernel_vtep("legacy", vpc["vni"], vpc["mtu"])
    cloud.vtep.machine("theirs", "s3", security_groups=["v-open"])
    for name in (*NAMES, "theirs"):
        cloud.machines[name].serve_http()
    return cloud


@pytest.fixture(params=["host-a", "host-b"])
def gateway_node(cloud, request):
    """The node that it knows for the gateway's MAC, and does not learn another one (learning, it would refuse a fixed MAC's move)."""
    cloud.vtep.ns.ip("link set vx0 type vxlan nolearning")
    mac = cloud.get("subnet", "s3")["status"]["gateway_mac"]
    for host in cloud.hosts.values():
        cloud.vtep.ns.run("bridge", "fdb", "del", mac, "dev", "vx0", "dst", host.address, check=False)
    cloud.vtep.ns.run("bridge", "fdb", "replace", mac, "dev", "vx0", "dst", cloud.host(request.param).address)
    return request.param


@pytest.mark.parametrize("name", NAMES)
def test_both_directions(cloud, gateway_node, name, family):
    """Connections from both ends, and back again, whatever node takes the frames to the gateway."""
    theirs, ours = cloud.machines["theirs"], cloud.machines[name]
    assert theirs.ping(ours.address(family)), gateway_node
    assert theirs.curl(ours, family=family) == f"{name} {theirs.address(family)}\n"
    assert ours.curl(theirs, family=family) == f"theirs {ours.address(family)}\n"
    assert len(theirs.curl(ours, path="/bytes/300000", family=family)) == 300000


def test_rules_are_asked_where_the_receiver_is(cloud, gateway_node):
    theirs, far = cloud.machines["theirs"], cloud.machines["far"]
    cloud.update("port", "far", security_groups=[])
    assert not theirs.ping(far.ip4)
    assert cloud.drops(port="far").get("policy_ingress", 0) > 0
    cloud.update("port", "far", security_groups=["v-open"])
    assert theirs.ping(far.ip4)


def test_path_of_the_other_node_is_told_by_it(cloud, gateway_node):
    """The time to live ends at the node that routes: once."""
    theirs, far = cloud.machines["theirs"], cloud.machines["far"]
    said = theirs.run("ping", "-n", "-c", 1, "-t", 1, "-W", 2, far.ip4, check=False).stdout
    assert "From 10.0.3.1" in said and "Time to live exceeded" in said, said
    said = theirs.run("ping", "-n", "-c", 1, "-t", 2, "-W", 2, far.ip4, check=False).stdout
    assert "1 received" in said, said


def test_nobody_else_is_passed_on(cloud):
    """A source that does not live behind the VTEP, and frames of our own nodes: no detour."""
    mac = cloud.get("subnet", "s3")["status"]["gateway_mac"]
    near, far, vni = cloud.machines["near"], cloud.machines["far"], cloud.get("vpc", "v")["vni"]
    a, b = cloud.host("a"), cloud.host("b")

    def outer(wire, source):
        frame = wire.receive(lambda p: VXLAN in p and p[VXLAN].vni == 0, timeout_s=5)
        layer = frame.getlayer(1).copy()
        layer.remove_payload()
        to_a = layer.dst == a.address
        for field in ("len", "plen", "chksum"):
            if field in layer.fields:
                delattr(layer, field)
        layer.src, layer.dst = source, a.address
        from scapy.layers.inet import UDP  # pylint: disable=import-outside-toplevel

        return Ether(src="02:00:00:00:00:99", dst=frame.dst if to_a else frame.src) / layer / UDP(sport=50000, dport=4789) / VXLAN(vni=vni)

    with a.wire() as wire:
        for source, src, reason in (
            (cloud.vtep.address, near.ip4, "wrong_vtep"),  # not theirs to say
            (cloud.vtep.address, "10.0.3.77", "wrong_vtep"),  # nobody's
            (b.address, "10.0.3.77", "wrong_vtep"),
        ):
            before = cloud.drops(node="host-a").get(reason, 0)
            inner = Ether(src="02:00:00:00:00:55", dst=mac) / IP(src=src, dst=far.ip4) / ICMP(id=9)
            wire.send(outer(wire, source) / inner)
            wait_for(lambda r=reason, n=before: cloud.drops(node="host-a").get(r, 0) > n, 5, f"{reason} for {src}")
