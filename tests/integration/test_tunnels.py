# SPDX-License-Identifier: Apache-2.0
"""Probes between VTEPs: state, round trip and path MTU of every tunnel, events when they change, and nobody who forges answers.

    host-a: left 10.0.1.10  ── fabric ──  host-b: right 10.0.1.11
                               └── legacy: theirs (a Linux VXLAN device)
"""

import pytest
from lib import wait_for
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, IPv6
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

MTU = 1600
# Three signs of life, a second each, and the time stamp of the last good one; the rest is for a machine that is busy.
DOWN_S = 20


@pytest.fixture(scope="module", params=["ipv4", "ipv6"], ids=["over-ipv4", "over-ipv6"])
def cloud(make_module_cloud, request):
    cloud = make_module_cloud(hosts=2, underlay=request.param, mtu=MTU)
    vpc = cloud.network("v", {"s": {"cidr": "10.0.1.0/24"}})
    cloud.machine("left", "s", "a", security_groups=["v-open"])
    cloud.machine("right", "s", "b", security_groups=["v-open"])
    cloud.vtep = cloud.kernel_vtep("legacy", vpc["vni"], vpc["mtu"])
    cloud.vtep.machine("theirs", "s", security_groups=["v-open"])
    return cloud


def tunnel(cloud, node, peer):
    return next(t for t in cloud.get("node", node)["status"]["tunnels"] if t["peer"] == peer)


def becomes(cloud, node, peer, timeout_s=DOWN_S, **fields):
    """Waits until the tunnel looks like that; returns it."""

    def look():
        now = tunnel(cloud, node, peer)
        return now if all(now[k] == v for k, v in fields.items()) else None

    return wait_for(look, timeout_s, lambda: f"{fields}: {tunnel(cloud, node, peer)}")


def events(cloud, node, peer, reason):
    return [e for e in cloud.call("event.list")["items"] if (e["node"], e["name"], e["reason"]) == (node, peer, reason)]


@pytest.mark.parametrize("node, peer", [("host-a", "host-b"), ("host-b", "host-a"), ("host-a", "legacy")])
def test_tunnels_of_a_node(cloud, node, peer):
    up = becomes(cloud, node, peer, state="up", path_mtu=MTU)
    assert 0 < up["rtt_us"] < 1_000_000
    other = cloud.host(peer).address if peer != "legacy" else cloud.vtep.address
    assert up["address"] == other and up["since"].endswith("Z")


def test_shown_everywhere(cloud):
    becomes(cloud, "host-a", "host-b", state="up")
    by_name = {node["name"]: node for node in cloud.call("status")["nodes"]}
    assert {t["peer"] for t in by_name["host-a"]["tunnels"]} == {"host-b", "legacy"}
    assert (by_name["legacy"]["state"], by_name["legacy"]["tunnels"]) == ("foreign", [])
    shown = cloud.vpcctl("status").stdout.splitlines()
    assert "TUNNELS" in next(line for line in shown if line.startswith("NODE"))
    assert "2/2" in next(line for line in shown if line.startswith("host-a"))
    assert "foreign" in next(line for line in shown if line.startswith("legacy"))
    assert "host-b" in cloud.vpcctl("describe", "node", "host-a").stdout
    metrics = cloud.http("/metrics").stdout
    assert 'vpc_tunnel_up{node="host-a",peer="host-b"} 1' in metrics
    assert 'vpc_tunnel_path_mtu_bytes{node="host-a",peer="legacy"} 1600' in metrics
    assert 'vpc_tunnel_rtt_seconds{node="host-a",peer="host-b"} ' in metrics


def isolate(cloud, on):
    """Cuts the fabric between the two hosts; their links stay up."""
    for name in ("p-host-a", "p-host-b"):
        cloud.fabric.run("bridge", "link", "set", "dev", name, "isolated", "on" if on else "off")


def test_cut_between_hosts(cloud):
    """Down in bounded time, told by both ends; the other tunnel does not care; up again, told again."""
    both = (("host-a", "host-b"), ("host-b", "host-a"))
    for node, peer in both:
        becomes(cloud, node, peer, state="up", path_mtu=MTU)
    told = {node: [len(events(cloud, node, peer, f"tunnel_{what}")) for what in ("down", "up")] for node, peer in both}
    isolate(cloud, True)
    try:
        for node, peer in both:
            down = becomes(cloud, node, peer, state="down")
            assert down["rtt_us"] is None
            assert len(events(cloud, node, peer, "tunnel_down")) == told[node][0] + 1
            assert 'peer="host-b"} 0' in cloud.http("/metrics").stdout
        assert tunnel(cloud, "host-a", "legacy")["state"] == "up"
    finally:
        isolate(cloud, False)
    for node, peer in both:
        again = becomes(cloud, node, peer, state="up")
        assert again["since"] > down["since"]
        wait_for(lambda n=node, p=peer: len(events(cloud, n, p, "tunnel_up")) == told[n][1] + 1, 5, "tunnel_up")
    wait_for(lambda: cloud.machines["left"].ping(cloud.machines["right"]), 10, "machines reach each other")


@pytest.mark.parametrize("other", [False, pytest.param(True, marks=pytest.mark.long)])
def test_path_mtu(cloud, other, long_run):
    """A path that carries less: found to the byte, told because the VPC needs more; and that it is well again."""
    mtu = 1463 if (cloud.underlay == "ipv4") != other else 1500  # in long runs both for each family
    becomes(cloud, "host-b", "legacy", state="up", path_mtu=MTU)
    told = len(events(cloud, "host-b", "legacy", "mtu_too_small"))
    cloud.vtep.ns.ip(f"link set under0 mtu {mtu}")
    # It is confirmed every 10 s, and searched by halves: ten sizes at most, half a second for each that is lost, thrice.
    becomes(cloud, "host-b", "legacy", 60, state="up", path_mtu=mtu)
    wait_for(lambda: len(events(cloud, "host-b", "legacy", "mtu_too_small")) == told + 1, 5, "mtu_too_small")
    cloud.vtep.ns.ip(f"link set under0 mtu {MTU}")
    if long_run:
        becomes(cloud, "host-b", "legacy", 100, path_mtu=MTU)  # asked again every minute
        wait_for(lambda: events(cloud, "host-b", "legacy", "mtu_sufficient"), 5, "mtu_sufficient")


def layers(cloud, src, dst):
    return IPv6(src=src, dst=dst) if cloud.underlay == "ipv6" else IP(src=src, dst=dst)


def probe(kind, nonce):
    head = b"vpcp"[:4]
    return Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x88B5) / Raw(
        head + bytes([1, kind]) + b"\x00\x4a" + nonce.to_bytes(8, "big") + bytes(8)
    )


def test_forged_answers(cloud):
    """Nobody but the VTEP that was asked answers, and only with the number it was sent: all else is dropped and changes nothing."""
    a, b = cloud.host("a"), cloud.host("b")
    becomes(cloud, "host-a", "host-b", state="up")
    stranger = "2001:db8:ff::99" if cloud.underlay == "ipv6" else "192.0.2.99"
    echo = ICMPv6EchoReply(data=bytes(16)) if cloud.underlay == "ipv6" else ICMP(type=0) / Raw(bytes(16))
    with a.wire() as wire:
        frames = wire.receive(lambda p: VXLAN in p and p[VXLAN].vni == 0, timeout_s=5)
        mac = frames[Ether].src if (frames[IPv6] if cloud.underlay == "ipv6" else frames[IP]).src == a.address else frames[Ether].dst
        outer = Ether(src="02:00:00:00:00:99", dst=mac)
        tunnel_head = UDP(sport=50000, dport=4789) / VXLAN(vni=0)
        for source, payload, reason in (
            (stranger, tunnel_head / probe(1, 1), "unknown_vtep"),
            (stranger, tunnel_head / probe(2, 1), "unknown_vtep"),
            (stranger, echo, "not_for_us"),
            (b.address, tunnel_head / probe(2, 1), "stale"),
            (b.address, tunnel_head / probe(3, 1), "unsupported"),
            (b.address, tunnel_head / Ether(type=0x88B5) / Raw(b"vpcp"), "unsupported"),
            (cloud.vtep.address, echo, "stale"),
        ):
            before = cloud.drops(node="host-a").get(reason, 0)
            wire.send(outer / layers(cloud, source, a.address) / payload)
            wait_for(lambda r=reason, n=before: cloud.drops(node="host-a").get(r, 0) > n, 5, reason)


def test_machine_can_not_forge(cloud):
    """What a machine sends stays in its VPC: VXLAN with VNI 0 of its own is a datagram like any other."""
    left, right = cloud.machines["left"], cloud.machines["right"]
    since = tunnel(cloud, "host-b", "host-a")["since"]
    packet = Ether(src=left.mac, dst=right.mac) / IP(src=left.ip4, dst=right.ip4) / UDP(sport=4789, dport=4789) / VXLAN(vni=0) / probe(1, 7)
    with right.wire() as ear, left.wire() as wire:
        wire.send(packet)
        assert ear.receive(lambda p: UDP in p and p[UDP].dport == 4789)[IP].src == left.ip4
    before = cloud.drops(port="left").get("unsupported", 0)
    with left.wire() as wire:
        wire.send(Ether(src=left.mac, dst=right.mac, type=0x88B5) / Raw(bytes(64)))
    wait_for(lambda: cloud.drops(port="left").get("unsupported", 0) > before, 5, "unsupported")
    assert tunnel(cloud, "host-b", "host-a")["since"] == since


def test_silent_foreign_vtep_stays_unknown(cloud):
    """One that never answers may have its reasons; one that did and stops is down."""
    cloud.create("node", name="mute", vtep=cloud.vtep.address.replace(cloud.vtep.address[-3:], "201"))
    cloud.create("port", name="far", subnet="s", node="mute", attachment={"type": "none"})
    wait_for(lambda: tunnel(cloud, "host-a", "mute"), 5, "it is asked")
    cloud.vtep.ns.run("nft", "add table inet quiet; add chain inet quiet in { type filter hook input priority 0; }; "
                      "add rule inet quiet in icmp type echo-request drop; add rule inet quiet in icmpv6 type echo-request drop")
    becomes(cloud, "host-a", "legacy", state="down")
    assert tunnel(cloud, "host-a", "mute")["state"] == "unknown"
    assert not events(cloud, "host-a", "mute", "tunnel_down")
    cloud.vtep.ns.run("nft", "delete table inet quiet")
    becomes(cloud, "host-a", "legacy", state="up")
