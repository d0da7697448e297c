# SPDX-License-Identifier: Apache-2.0
"""Open vSwitch with its userspace datapath as the other VTEP: the same as with a kernel's, over both underlays.

    host-a: ours 10.0.1.10, fd00:0:0:1::10   ---vxlan---   ovs: theirs 10.0.1.20, fd00:0:0:1::20 behind br-int
"""

import os

import pytest
from lib.vtep import SCHEMA
from lib.vtep_cases import *  # noqa: F403  pylint: disable=wildcard-import,unused-wildcard-import
from lib.vtep_cases import two_ends

pytestmark = pytest.mark.skipif(not os.path.exists(SCHEMA), reason="needs openvswitch-switch")


@pytest.fixture(scope="module", params=["ipv4", pytest.param("ipv6", marks=pytest.mark.long)], ids=["over-ipv4", "over-ipv6"])
def cloud(make_module_cloud, request):
    return two_ends(
        make_module_cloud(hosts=1, underlay=request.param),
        lambda cloud, vpc: cloud.ovs_vtep("ovs", vpc["vni"]),
        pace=["--fq-rate", "100M"],
    )
