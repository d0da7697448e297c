# SPDX-License-Identifier: Apache-2.0
"""What a VTEP that somebody else runs must be able to do with ours. A test file imports all of this, and has a fixture `cloud`
that returns two_ends()."""

import pytest
from scapy.layers.vxlan import VXLAN

__all__ = ["ends", "test_full_mtu", "test_http", "test_no_bad_checksum_on_the_underlay", "test_tcp_without_retransmission_storm"]


def two_ends(cloud, make_vtep, pace=()):
    """`ours` on the dataplane, `theirs` on what make_vtep(cloud, vpc) returns; both serve HTTP."""
    vpc = cloud.network("red", {"red-1": {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64"}})
    assert vpc["mtu"] == (1550 if cloud.underlay == "ipv4" else 1530)
    ours = cloud.machine("ours", "red-1", addresses=["10.0.1.10", "fd00:0:0:1::10"], security_groups=["red-open"])
    theirs = make_vtep(cloud, vpc).machine(
        "theirs", "red-1", addresses=["10.0.1.20", "fd00:0:0:1::20"], security_groups=["red-open"]
    )
    cloud.pace = pace
    ours.serve_http()
    theirs.serve_http()
    return cloud


@pytest.fixture(params=[("ours", "theirs"), ("theirs", "ours")], ids=["to-them", "from-them"])
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


def test_tcp_without_retransmission_storm(cloud, ends, family):
    """A storm comes every time; with every CPU busy the kernel's veth may reorder some segments now and then. A switch whose
    sockets hold little tells a fast sender so by losses, which is nobody's fault: it is sent to at the pace it can take."""
    client, server = ends
    runs = []
    for _ in range(3):
        sent = client.iperf3(server, family=family, size="16M" if cloud.pace else "64M", extra=cloud.pace)["end"]["sum_sent"]
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
