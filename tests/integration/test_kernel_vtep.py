# SPDX-License-Identifier: Apache-2.0
"""A Linux host with a kernel VXLAN device as the other VTEP: TCP at full MTU in both directions, over both underlays, which the
dataplane drives by packet sockets and by XDP sockets.

    host-a: ours 10.0.1.10, fd00:0:0:1::10   ---vxlan---   kernel: theirs 10.0.1.20, fd00:0:0:1::20 on vx0
"""

import pytest
from lib.vtep_cases import *  # noqa: F403  pylint: disable=wildcard-import,unused-wildcard-import
from lib.vtep_cases import two_ends


MODES = [(underlay, mode) for mode in ("af_packet", "af_xdp") for underlay in ("ipv4", "ipv6")]


@pytest.fixture(scope="module", params=MODES, ids=[f"over-{underlay}-{mode}" for underlay, mode in MODES])
def cloud(make_module_cloud, request):
    underlay, mode = request.param
    cloud = make_module_cloud(hosts=1, underlay=underlay, node_config={"underlay": {"mode": mode}})
    return two_ends(cloud, lambda cloud, vpc: cloud.kernel_vtep("legacy", vpc["vni"], vpc["mtu"]))
