# SPDX-License-Identifier: Apache-2.0
"""A Linux host with a kernel VXLAN device as the other VTEP: TCP at full MTU in both directions, over both underlays.

    host-a: ours 10.0.1.10, fd00:0:0:1::10   ---vxlan---   kernel: theirs 10.0.1.20, fd00:0:0:1::20 on vx0
"""

import pytest
from lib.vtep_cases import *  # noqa: F403  pylint: disable=wildcard-import,unused-wildcard-import
from lib.vtep_cases import two_ends


@pytest.fixture(scope="module", params=["ipv4", "ipv6"], ids=["over-ipv4", "over-ipv6"])
def cloud(make_module_cloud, request):
    return two_ends(
        make_module_cloud(hosts=1, underlay=request.param), lambda cloud, vpc: cloud.kernel_vtep("legacy", vpc["vni"], vpc["mtu"])
    )
