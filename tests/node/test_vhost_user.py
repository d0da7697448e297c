# SPDX-License-Identifier: Apache-2.0
"""vhost-user ports with real traffic: DPDK's virtio_user, a port of a second process, is the guest.

    a: eth0 ── tap ══ port_loop ══ vhost_user ┄socket┄ virtio_user ══ port_loop ══ tap ── eth0 :b
"""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

# pylint: disable=wrong-import-position,unused-import
from test_port import ADDRESSES, Loop, _pair, check_tcp, check_udp, tap  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def virtio_user(path, ours, options=""):
    return f"device,net_virtio_user0,path={path},queue_size=1024{',server=1' if ours == 'client' else ''}{options}"


@pytest.mark.parametrize("role", ["server", "client"])
def test_traffic(pair, tmp_path, role):
    path = tmp_path / "guest.sock"
    backend = Loop(pair[2], "--sleep", tap(None, pair[0], 0), f"vhost_user,{path},{role},1")
    guest = Loop(pair[2], "--sleep", tap(None, pair[1], 1), virtio_user(path, role))
    assert backend.line == "ready"
    backend.expect("active")
    for family in (4, 6):
        check_tcp(pair, family)
        check_udp(pair, family)
    guest.stop()
    backend.expect("no peer is connected" if role == "server" else "nobody serves")
    backend.stop()
    assert not path.exists()
