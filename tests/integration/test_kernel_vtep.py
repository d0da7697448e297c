# SPDX-License-Identifier: Apache-2.0
"""A Linux host with a kernel VXLAN device as the other VTEP: TCP at full MTU in both directions, over both underlays.

    host-a: ours 10.0.1.10, fd00:0:0:1::10   ---vxlan---   kernel: theirs 10.0.1.20, fd00:0:0:1::20 on vx0
"""

import pytest
from scapy.layers.vxlan import VXLAN


@pytest.fixture(scope="module", params=["ipv4", "ipv6"], ids=["over-ipv4", "over-ipv6"])
def cloud(make_module_cloud, request):
    cloud = make_module_cloud(hosts=1, underlay=request.param)
    vpc = cloud.network("red", {"red-1": {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64"}})
    assert vpc["mtu"] == (1550 if request.param == "ipv4" else 1530)
    ours = cloud.machine("ours", "red-1", addresses=["10.0.1.10", "fd00:0:0:1::10"], security_groups=["red-open"])
    vtep = cloud.kernel_vtep("legacy", vpc["vni"], vpc["mtu"])
    theirs = vtep.machine("theirs", "red-1", addresses=["10.0.1.20", "fd00:0:0:1::20"], security_groups=["red-open"])
    ours.serve_http()
    theirs.serve_http()
    return cloud


@pytest.fixture(params=[("ours", "theirs"), ("theirs", "ours")], ids=["to-kernel", "from-kernel"])
def ends(cloud, request):
    client, server = request.param
    return cloud.machines[client], cloud.machines[server]


def test_http(ends, family):
    client, server = ends
    assert client.curl(server, family=family) == f"{server.name} {client.address(family)}\n"


def test_full_mtu(cloud, ends, family):
    client, server = ends
    mtu = cloud.get("vpc", "red")["mtu"]
    headers = 28 if family == 4 else 48
    assert client.ping(server.address(family), size=mtu - headers, dont_fragment=True)


def test_tcp_without_retransmission_storm(ends, family):
    """A storm comes every time; with every CPU busy the kernel's veth may reorder some segments now and then."""
    client, server = ends
    runs = []
    for _ in range(3):
        sent = client.iperf3(server, family=family, size="64M")["end"]["sum_sent"]
        runs.append(sent["retransmits"] / (sent["bytes"] / 1450))
        if runs[-1] < 0.01:
            return
    raise AssertionError(f"parts of the segments sent again: {runs}")


def test_no_bad_checksum_on_the_underlay(cloud, ends, family):
    """Every frame of a TCP transfer is right outside and inside, also those that the kernel hands over whole."""
    client, server = ends
    with cloud.host().wire() as underlay:
        assert len(client.curl(server, path="/bytes/2000000", family=family)) == 2000000
        assert sum(VXLAN in packet for packet in underlay.drain()) > 10
        assert not underlay.bad, underlay.bad[0][1]
