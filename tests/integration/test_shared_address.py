# SPDX-License-Identifier: Apache-2.0
"""An address that several ports may use follows the last announcement: keepalived, over hosts.

    host-a: client .10, one .11 (allowed .100, ::100)   ---vxlan---   host-b: two .12 (allowed .100, ::100), far .13
"""

import pytest
from lib import wait_for
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether

VIP = {4: "10.0.1.100", 6: "fd00:0:0:1::100"}


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud(hosts=2)
    cloud.network("v", {"s": {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64"}})
    fields = {"security_groups": ["v-open"]}
    shared = {**fields, "allowed_addresses": [VIP[4], VIP[6]]}
    cloud.machine("client", "s", "a", **fields)
    cloud.machine("far", "s", "b", **fields)
    cloud.machine("one", "s", "a", **shared)
    cloud.machine("two", "s", "b", **shared)
    return cloud


def hold(machine, family):
    """What keepalived does when it becomes master: takes the address and says so."""
    prefix = 24 if family == 4 else 64
    machine.ns.ip(f"addr add {VIP[family]}/{prefix} dev {machine.ifname}" + (" nodad" if family == 6 else ""))
    with machine.wire() as wire:
        if family == 4:
            wire.send(Ether(src=machine.mac, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=machine.mac, psrc=VIP[4], pdst=VIP[4]))
        else:
            head = Ether(src=machine.mac, dst="33:33:00:00:00:01") / IPv6(src=VIP[6], dst="ff02::1", hlim=255)
            wire.send(head / ICMPv6ND_NA(tgt=VIP[6], R=0, S=0, O=1) / ICMPv6NDOptDstLLAddr(lladdr=machine.mac))


def release(machine, family):
    machine.ns.ip(f"addr del {VIP[family]}/{24 if family == 4 else 64} dev {machine.ifname}")


def test_address_moves_with_its_holder(cloud, family):
    """Reached from both hosts wherever it is; neighbours that had its MAC follow within moments, without a lost route."""
    client, far, one, two = (cloud.machines[n] for n in ("client", "far", "one", "two"))
    for holder, other in ((one, None), (two, one), (one, two)):
        if other is not None:
            release(other, family)
        hold(holder, family)
        for watcher in (client, far):
            wait_for(lambda w=watcher: w.ping(VIP[family]), 5, f"{watcher} reaches it at {holder}")
            out = watcher.run("ip", "neigh", "show", VIP[family]).stdout
            assert holder.mac in out, out
    release(one, family)


def test_address_of_a_port_is_not_to_be_had(cloud):
    """Allowed or not: what is another port's own stays there."""
    client, far = cloud.machines["client"], cloud.machines["far"]
    cloud.update("port", "two", allowed_addresses=[client.ip4])
    with cloud.machines["two"].wire() as wire:
        mac = cloud.machines["two"].mac
        for _ in range(3):
            wire.send(Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=mac, psrc=client.ip4, pdst=client.ip4))
        assert far.ping(client.ip4)
        assert cloud.machines["one"].ping(client.ip4)
