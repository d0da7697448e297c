# SPDX-License-Identifier: Apache-2.0
"""keepalived in machines of two hosts: its address moves to whoever is alive, in both families.

    host-a: client .20, one .11   ---vxlan---   host-b: two .12, far .21      shared: .100, ::100 (VRRP by unicast)
"""

import os

import pytest
from lib import wait_for

VIP = {4: "10.0.1.100", 6: "fd00:0:0:1::100"}
CONFIG = """
global_defs {{
    router_id {name}
    vrrp_garp_master_repeat 2
    vrrp_garp_master_refresh 2
}}
vrrp_instance VI4 {{
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int 0.3
    version 3
    unicast_src_ip {own4}
    unicast_peer {{
        {peer4}
    }}
    virtual_ipaddress {{
        {vip4}/24
    }}
}}
vrrp_instance VI6 {{
    state BACKUP
    interface eth0
    virtual_router_id 52
    priority {priority}
    advert_int 0.3
    version 3
    unicast_src_ip {own6}
    unicast_peer {{
        {peer6}
    }}
    virtual_ipaddress {{
        {vip6}/64
    }}
}}
"""


@pytest.fixture(scope="module", params=["ipv4", pytest.param("ipv6", marks=pytest.mark.long)], ids=["over-ipv4", "over-ipv6"])
def cloud(make_module_cloud, request):
    cloud = make_module_cloud(hosts=2, underlay=request.param)
    cloud.network("v", {"s": {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64"}})
    fields = {"security_groups": ["v-open"]}
    shared = {**fields, "allowed_addresses": [VIP[4], VIP[6]]}
    cloud.machine("client", "s", "a", **fields)
    cloud.machine("far", "s", "b", **fields)
    cloud.machine("one", "s", "a", **shared)
    cloud.machine("two", "s", "b", **shared)
    return cloud


class Keepalived:
    def __init__(self, cloud, machine, peer, priority):
        self.machine = machine
        config = os.path.join(cloud.dir, f"{machine.name}.keepalived")
        with open(config, "w", encoding="ascii") as f:
            f.write(CONFIG.format(name=machine.name, priority=priority, own4=machine.ip4, peer4=peer.ip4, own6=machine.ip6,
                                  peer6=peer.ip6, vip4=VIP[4], vip6=VIP[6]))
        pids = [word for kind in ("-p", "-r") for word in (kind, f"{config}{kind}.pid")]
        self.process = machine.popen("keepalived", "-n", "-l", "-P", "-f", config, *pids)

    def stop(self):
        """It takes its addresses away and says so: priority 0."""
        self.process.terminate()
        self.process.wait(20)


def holds(machine, family):
    return f"{VIP[family]}/" in machine.run("ip", "addr", "show", "eth0").stdout


def reached_at(cloud, holder, family):
    """Every machine reaches it, there."""
    wait_for(lambda: holds(holder, family), 20, f"{holder} has {VIP[family]}")
    for watcher in ("client", "far"):
        machine = cloud.machines[watcher]

        def there(m=machine):
            return m.ping(VIP[family]) and holder.mac in m.run("ip", "neigh", "show", VIP[family]).stdout

        wait_for(there, 20, lambda m=machine: f"{m} reaches it at {holder}: {m.run('ip', 'neigh').stdout}")


def test_failover(cloud):
    """The first holds it; dies; the second takes it; the first comes back and takes it again."""
    one, two = cloud.machines["one"], cloud.machines["two"]
    first = Keepalived(cloud, one, two, 200)
    Keepalived(cloud, two, one, 100)
    for family in (4, 6):
        reached_at(cloud, one, family)
        assert not holds(two, family)
    first.stop()
    for family in (4, 6):
        reached_at(cloud, two, family)
    first = Keepalived(cloud, one, two, 200)
    for family in (4, 6):
        reached_at(cloud, one, family)
    claims = [e for e in cloud.call("event.list")["items"] if e["reason"] == "address_claimed"]
    assert {e["name"] for e in claims} == {"one", "two"} and {e["message"] for e in claims} == set(VIP.values())
    # Its host goes altogether.
    cloud.update("port", "one", enabled=False)
    for family in (4, 6):
        reached_at(cloud, two, family)
    cloud.update("port", "one", enabled=True)
    for family in (4, 6):
        reached_at(cloud, one, family)
