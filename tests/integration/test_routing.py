# SPDX-License-Identifier: Apache-2.0
"""Subnets, custom routes, peerings, a port that moves: who reaches whom, and by which way.

    host-a: web 10.0.1.10 (front)            ---vxlan---   host-b: db 10.0.2.10 (back), fw 10.0.2.20 (back)
            other 10.9.1.10 (VPC other)                            peer 10.9.1.11
"""

import errno

import pytest
from lib import RpcError, wait_for
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

FRONT = {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64"}
BACK = {"cidr": "10.0.2.0/24", "cidr6": "fd00:0:0:2::/64"}


@pytest.fixture
def cloud(make_cloud):
    cloud = make_cloud(hosts=2)
    cloud.network("red", {"front": FRONT, "back": BACK}, "red")
    cloud.machine("web", "front", "a", addresses=["10.0.1.10", "fd00:0:0:1::10"], security_groups=["red-open"])
    cloud.machine("db", "back", "b", addresses=["10.0.2.10", "fd00:0:0:2::10"], security_groups=["red-open"])
    return cloud


def add_other(cloud, tenant):
    cloud.network("other", {"other-1": {"cidr": "10.9.1.0/24", "cidr6": "fd09:0:0:1::/64"}}, tenant)
    return (
        cloud.machine("here", "other-1", "a", addresses=["10.9.1.10", "fd09:0:0:1::10"], security_groups=["other-open"]),
        cloud.machine("there", "other-1", "b", addresses=["10.9.1.11", "fd09:0:0:1::11"], security_groups=["other-open"]),
    )


def arrives(source, address, at, gateway_mac):
    """True when a datagram of `source` to any address comes in at machine `at`; it is sent to the gateway."""
    frame = Ether(src=source.mac, dst=gateway_mac) / IP(src=source.ip4, dst=address) / UDP(sport=5000, dport=9) / Raw(b"probe")
    with source.wire() as mouth, at.wire() as ear:
        mouth.send(frame)
        return ear.receive(lambda p: Raw in p and p[Raw].load == b"probe")


def test_between_subnets_routed_once(cloud, family):
    web, db = cloud.machines["web"], cloud.machines["db"]
    db.serve_http()
    assert web.curl(db, family=family) == f"db {web.address(family)}\n"
    gateway_mac = cloud.get("subnet", "back")["status"]["gateway_mac"]
    with db.wire() as ear:
        assert web.ping(db.address(family))
        request = ear.receive(lambda p: p.haslayer("ICMP") or p.haslayer("ICMPv6 Echo Request"))
        assert request.src == gateway_mac and request.dst == db.mac
        assert (request[IP].ttl if family == 4 else request["IPv6"].hlim) == 63


def test_blackhole_and_longest_prefix(cloud):
    """A /8 to a port, a /16 in it into the ground, a /24 in that to the port again."""
    web, db = cloud.machines["web"], cloud.machines["db"]
    gateway_mac = cloud.get("subnet", "front")["status"]["gateway_mac"]
    cloud.update("port", "db", port_security=False)
    to_db = {"kind": "port", "name": "db"}
    before = cloud.drops(port="web")
    assert not web.ping("20.1.2.3")
    wait_for(lambda: cloud.drops(port="web").get("no_route", 0) > before.get("no_route", 0), 3, "no_route")
    cloud.create("route", name="wide", vpc="red", destination="20.0.0.0/8", next_hop=to_db)
    assert arrives(web, "20.1.2.3", db, gateway_mac)
    cloud.create("route", name="hole", vpc="red", destination="20.1.0.0/16", next_hop={"kind": "blackhole"})
    assert not web.ping("20.1.2.3")
    wait_for(lambda: cloud.drops(port="web").get("blackhole", 0) > before.get("blackhole", 0), 3, "blackhole")
    assert arrives(web, "20.2.2.3", db, gateway_mac)
    cloud.create("route", name="narrow", vpc="red", destination="20.1.2.0/24", next_hop=to_db)
    assert arrives(web, "20.1.2.3", db, gateway_mac)
    cloud.delete("route", "narrow")
    cloud.delete("route", "hole")
    assert arrives(web, "20.1.2.3", db, gateway_mac)


def test_who_sends_nowhere_is_told(cloud, family):
    """Where no route leads the gateway says so (RFC 1812 5.2.7.1, RFC 4443 3.1): a client fails at once. A black hole is silent."""
    web = cloud.machines["web"]
    nowhere, prefix, gateway, said = {
        4: ("20.1.2.3", "20.0.0.0/8", "10.0.1.1", "Destination Net Unreachable"),
        6: ("2001:db8::9", "2001:db8::/32", "fd00:0:0:1::1", "Destination unreachable: No route"),
    }[family]

    def ping():
        return web.run("ping", "-n", "-c", 1, "-W", 1, nowhere, check=False).stdout

    heard = wait_for(lambda: ping() if "nreachable" in ping() else "", 10, "an error from the gateway")
    assert f"From {gateway} " in heard and said in heard, heard
    with web.socket(family) as client, pytest.raises(OSError) as failed:
        client.settimeout(30)
        client.connect((nowhere, 80))
    assert failed.value.errno == errno.ENETUNREACH
    assert cloud.drops(port="web").get("no_route", 0) >= 2
    cloud.create("route", name="hole", vpc="red", destination=prefix, next_hop={"kind": "blackhole"})
    wait_for(lambda: "nreachable" not in ping() and cloud.drops(port="web").get("blackhole"), 10, "silence")


def test_machine_as_router(cloud):
    """A machine between: packets for a foreign prefix go to it with their addresses, it answers for them."""
    web, db = cloud.machines["web"], cloud.machines["db"]
    cloud.update("port", "db", allowed_addresses=["172.20.0.0/16"])
    cloud.create("route", name="r", vpc="red", destination="172.20.0.0/16", next_hop={"kind": "port", "name": "db"})
    db.ns.ip("addr add 172.20.0.1/32 dev lo")
    assert web.ping("172.20.0.1", count=3)


def test_peering_in_one_tenant(cloud, family):
    web, db = cloud.machines["web"], cloud.machines["db"]
    here, there = add_other(cloud, "red")
    assert not web.ping(here.address(family))
    peering = cloud.create("peering", name="p", tenant="red", vpcs=["red", "other"])
    assert peering["status"]["state"] == "active"
    for a in (web, db):
        for b in (here, there):
            assert a.ping(b.address(family)) and b.ping(a.address(family)), f"{a} and {b}"
    cloud.delete("peering", "p")
    assert not web.ping(here.address(family))


def test_peering_between_tenants_waits_for_the_other_side(cloud):
    web = cloud.machines["web"]
    here, there = add_other(cloud, "blue")
    peering = cloud.create("peering", name="p", tenant="red", vpcs=["red", "other"])
    assert peering["status"]["state"] == "pending"
    assert not web.ping(here.ip4)
    cloud.call("peering.accept", name="p", wait=True)
    assert web.ping(here.ip4) and web.ping(there.ip4) and there.ping(web.ip4)


def test_peering_holds_groups_and_is_not_transitive(cloud):
    web = cloud.machines["web"]
    here, there = add_other(cloud, "red")
    cloud.network("third", {"third-1": {"cidr": "10.77.1.0/24"}}, "red")
    third = cloud.machine("third", "third-1", "a", security_groups=["third-open"])
    cloud.create("peering", name="p1", tenant="red", vpcs=["red", "other"])
    cloud.create("peering", name="p2", tenant="red", vpcs=["other", "third"])
    assert web.ping(here.ip4) and here.ping(third.ip4)
    assert not web.ping(third.ip4)
    # Groups: members of red's group only, looked up through the peering.
    rules = [{"direction": "ingress", "protocol": "any", "remote_group": "red-open"}]
    cloud.create("security_group", name="from-red", tenant="red", rules=rules)
    cloud.update("port", "there", security_groups=["from-red"])
    assert web.ping(there.ip4)
    assert not here.ping(there.ip4)
    cloud.update("port", "web", security_groups=[])
    assert not web.ping(there.ip4)


def test_overlapping_vpcs_cannot_peer(cloud):
    cloud.create("vpc", name="twin", tenant="red", cidrs=["10.0.0.0/16"])
    with pytest.raises(RpcError) as error:
        cloud.create("peering", name="p", tenant="red", vpcs=["red", "twin"])
    assert error.value.code == 4


def test_port_moves_and_traffic_follows(cloud, family):
    """web goes from host-a to host-b and back."""
    web, db = cloud.machines["web"], cloud.machines["db"]
    assert db.ping(web.address(family))
    attachment = cloud.get("port", "web")["attachment"]
    for host in ("host-b", "host-a"):
        cloud.update("port", "web", node=host, attachment=attachment)
        cloud.port_attached(web)
        wait_for(lambda: db.ping(web.address(family)), 5, f"web answers on {host}")
        assert web.ping(db.address(family))
        assert cloud.get("port", "web")["node"] == host


def test_address_of_nobody(cloud):
    """Inside the VPC's range but nobody's: nothing is flooded, the drop is counted."""
    web, db = cloud.machines["web"], cloud.machines["db"]
    before = sum(cloud.drops(port="web").values())
    with db.wire() as ear, web.wire() as mouth:
        gateway_mac = cloud.get("subnet", "front")["status"]["gateway_mac"]
        mouth.send(Ether(src=web.mac, dst=gateway_mac) / IP(src=web.ip4, dst="10.0.2.99") / ICMP() / Raw(b"nobody"))
        wait_for(lambda: sum(cloud.drops(port="web").values()) > before, 3, "a counted drop")
        assert not [p for p in ear.drain() if Raw in p and p[Raw].load == b"nobody"]
