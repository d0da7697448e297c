# SPDX-License-Identifier: Apache-2.0
"""Mirrors: copies equal to what the tenant sent, decoded by tshark; targets that are dead or slow harm nobody.

    host-a: left 10.0.1.10, right 10.0.2.10, analyser 10.0.9.10 ── fabric ── collector (nobody but a capture)
    host-b: far 10.0.1.11
"""

import json
import os
import subprocess

import pytest
from lib import wait_for
from lib.machine import tcpdump
from lib.rpc import RpcError
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw
from scapy.utils import PcapNgReader, PcapReader

WAIT_S = 30


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud(hosts=2, underlay="ipv4", mtu=1600)
    cloud.network("v", {"s": {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64"}, "t": {"cidr": "10.0.2.0/24"}})
    cloud.network("watch", {"w": {"cidr": "10.0.9.0/24"}})
    cloud.machine("left", "s", "a", security_groups=["v-open"], raw=True)
    cloud.machine("right", "t", "a", security_groups=["v-open"])
    cloud.machine("far", "s", "b", security_groups=["v-open"])
    cloud.machine("analyser", "w", "a", security_groups=["watch-open"], raw=True)
    cloud.machine("outpost", "w", "b", security_groups=["watch-open"], raw=True)
    cloud.collector = cloud.namespace("collector")
    cloud.plug(cloud.collector, "p-collector")
    # Datagrams of one size come one by one, as on a wire.
    cloud.fabric.run("ethtool", "-K", "p-collector", "tx-udp-segmentation", "off")
    subnet = ".".join(cloud.host("a").address.split(".")[:3])
    cloud.collector_ip = f"{subnet}.200"
    cloud.collector.ip(f"addr add {cloud.collector_ip}/24 dev under0", "link set under0 up")
    return cloud


@pytest.fixture
def mirror(cloud):
    """Makes one; it goes with the test."""
    made = []

    def make(target, **fields):
        name = f"tap-{len(made)}"
        made.append(name)
        cloud.create("mirror", **{"name": name, "sources": [{"port": "left"}], "target": target, **fields})
        return name

    yield make
    if made:
        cloud.delete("mirror", *made)


def status(cloud, name):
    return cloud.get("mirror", name)["status"]


def seen(cloud, name, **fields):
    return wait_for(
        lambda: (now := status(cloud, name)) and all(now[k] == v for k, v in fields.items()) and now,
        WAIT_S,
        lambda: f"{fields}: {status(cloud, name)}",
    )


def frames(cloud):
    """What a tenant may send: to be forwarded, dropped, answered, of all sizes."""
    left, right = cloud.machines["left"].port, cloud.machines["right"].port
    gateway = cloud.get("subnet", "s")["status"]["gateway_mac"]
    base = Ether(src=left["mac"], dst=gateway)
    source, target = left["addresses"][0], right["addresses"][0]
    packets = [
        base / IP(src=source, dst=target, id=7, ttl=9) / UDP(sport=5000, dport=7000) / Raw(b"x" * 40),
        base / IP(src=source, dst=target) / TCP(sport=5000, dport=80, flags="S", options=[("MSS", 1400)]),
        base / IP(src="10.0.1.99", dst=target) / UDP(sport=5000, dport=7000) / Raw(b"spoofed"),
        base / IP(src=source, dst="192.168.7.7") / UDP(sport=5000, dport=7000) / Raw(b"no route"),
        Ether(src=left["mac"], dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=left["mac"], psrc=source, pdst="10.0.1.1"),
        base / IPv6(src=left["addresses"][1], dst="fd00:0:0:1::77") / UDP(sport=5000, dport=7000) / Raw(b"six"),
        base / IP(src=source, dst=target) / UDP(sport=5000, dport=7000) / Raw(os.urandom(1300)),
    ]
    return [bytes(packet) for packet in packets]


def send(cloud, what):
    with cloud.machines["left"].wire() as wire:
        wire.send(*what)


def decoded(path, layer, *fields):
    """What tshark says of the frames: the fields, and the bytes of the innermost Ethernet frame."""
    words = ["tshark", "-r", path, "-Y", layer, "-T", "json", "-x", "-o", "udp.check_checksum:TRUE"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    result = []
    for packet in json.loads(done.stdout or "[]"):
        layers = packet["_source"]["layers"]
        result.append((layers, bytes.fromhex(layers["frame_raw"][0])))
    return result


def captured(process, path, count):
    """Waits until the capture has so many packets, ends it."""

    def look():
        try:
            with PcapReader(path) as reader:
                return sum(1 for _ in reader) >= count
        except Exception:  # pylint: disable=broad-except  # not written yet
            return False

    try:
        wait_for(look, WAIT_S, lambda: f"{count} packets in {path}")
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize(
    "target, layer, header",
    [
        ({"type": "vxlan", "vni": 9000}, "vxlan", 50),
        ({"type": "erspan", "session_id": 513}, "erspan", 50),
        ({"type": "erspan", "session_id": 7, "version": 3}, "erspan", 54),
    ],
    ids=["vxlan", "erspan-2", "erspan-3"],
)
def test_tunnelled_copies(cloud, mirror, tmp_path, target, layer, header):
    what = frames(cloud)
    path = str(tmp_path / "copies.pcap")
    name = mirror({**target, "address": cloud.collector_ip}, direction="egress")
    seen(cloud, name, state="active", ports=1)
    expression = "udp port 4789 and dst host" if layer == "vxlan" else "proto 47 and dst host"
    capture = tcpdump(cloud.collector, "under0", path, f"{expression} {cloud.collector_ip}")
    send(cloud, what)
    captured(capture, path, len(what))
    shown = decoded(path, layer)
    assert [frame[header:] for _, frame in shown] == what
    for number, (layers, _) in enumerate(shown):
        text = json.dumps(layers)
        if layer == "vxlan":
            assert layers["vxlan"]["vxlan.vni"] == "9000"
        else:
            assert layers["erspan"]["erspan.spanid"] == str(target["session_id"])
            assert layers["gre"]["gre.sequence_number"] == str(number)
            assert ('"erspan.timestamp"' in text) == (target.get("version") == 3)
        assert "malformed" not in text.lower()
    assert seen(cloud, name, packets=len(what))["lost"] == 0


def test_filter_sample_snaplen(cloud, mirror, tmp_path):
    path = str(tmp_path / "copies.pcap")
    name = mirror(
        {"type": "vxlan", "vni": 9000, "address": cloud.collector_ip},
        filter="udp port 7000 and ip",
        sample=3,
        snaplen=60,
        direction="egress",
    )
    seen(cloud, name, state="active")
    packet = frames(cloud)[0]
    capture = tcpdump(cloud.collector, "under0", path, "udp port 4789")
    send(cloud, [packet, frames(cloud)[1]] * 30)
    captured(capture, path, 10)
    assert [frame[50:] for _, frame in decoded(path, "vxlan.vni == 9000")] == [packet[:60]] * 10
    assert seen(cloud, name, packets=10)["lost"] == 0


def test_copies_for_a_port(cloud, mirror):
    """What a real TCP connection sends and is given, at the analyser; nothing of it is answered."""
    what = frames(cloud)
    name = mirror({"type": "port", "port": "analyser"}, direction="egress")
    seen(cloud, name, state="active")
    with cloud.machines["analyser"].wire() as wire:
        send(cloud, what)
        heard = [bytes(wire.receive(timeout_s=WAIT_S)) for _ in what]
    assert heard == what
    assert seen(cloud, name, packets=len(what))["lost"] == 0


def test_real_connection_into_files(cloud, mirror, tmp_path):
    """Megabytes of TCP between two hosts: the file's stream is whole, in both directions, with right checksums."""
    directory = tmp_path / "mirror"
    directory.mkdir()
    path = str(directory / "far.pcapng")
    right, far = cloud.machines["right"], cloud.machines["far"]
    name = mirror(
        {"type": "file", "path": path, "rotate_mb": 1, "keep": 3}, sources=[{"port": "right"}], filter="tcp port 5201", snaplen=200
    )
    seen(cloud, name, state="active", ports=1)
    right.iperf3(far, size="24M")
    # Written when the thread has nothing else to do.
    total = seen(cloud, name, state="active")["packets"]
    assert total > 50  # frames as the kernel hands them over, of up to 64 kB
    names = wait_for(lambda: len(os.listdir(directory)) == 3 and sorted(os.listdir(directory)), WAIT_S, lambda: os.listdir(directory))
    assert names == ["far.pcapng", "far.pcapng.1", "far.pcapng.2"]
    for file in names[1:]:
        full = str(directory / file)
        assert 1 << 20 <= os.path.getsize(full) < 2 << 20
        done = subprocess.run(["capinfos", "-M", "-T", "-r", full], capture_output=True, text=True, check=True)
        assert "pcapng" in done.stdout
        with PcapNgReader(full) as reader:
            assert all({packet[TCP].sport, packet[TCP].dport} & {5201} for packet in reader)
    shown = subprocess.run(
        ["tshark", "-r", str(directory / names[1]), "-T", "fields", "-e", "frame.interface_name", "-e", "frame.len"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = [line.split("\t") for line in shown.stdout.splitlines()]
    assert {interface for interface, _ in lines} == {"host-a/right"}
    assert max(int(length) for _, length in lines) <= right.port["mtu"] + 14 if "mtu" in right.port else True


def move(cloud, machine, node):
    cloud.update("port", machine.name, node=node, attachment=cloud.get("port", machine.name)["attachment"])
    cloud.port_attached(machine, WAIT_S)
    machine.ns.ip(f"link set dev {machine.ifname} up")


def test_copies_for_a_port_on_another_node(cloud, mirror):
    """The analyser here, the machine there: every frame byte for byte, up to the longest; the analyser moves; both ends of a VPC."""
    port = cloud.machines["left"].port
    base = Ether(src=port["mac"], dst=cloud.get("subnet", "s")["status"]["gateway_mac"])
    longest = base / IP(src=port["addresses"][0], dst=cloud.machines["right"].ip4) / UDP(sport=5000, dport=7000)
    what = frames(cloud) + [bytes(longest / Raw(os.urandom(cloud.get("vpc", "v")["mtu"] - 28)))]
    name = mirror({"type": "port", "port": "outpost"}, direction="egress")
    vni = cloud.get("mirror", name)["vni"]
    assert vni not in [vpc["vni"] for vpc in cloud.list("vpc")]
    seen(cloud, name, state="active", ports=1)
    outpost = cloud.machines["outpost"]
    with outpost.wire() as wire:
        send(cloud, what)
        assert [bytes(wire.receive(timeout_s=WAIT_S)) for _ in what] == what
    assert seen(cloud, name, packets=len(what))["lost"] == 0
    # Nothing of it was taken for traffic of the other node.
    sessions = cloud.call("session.list", address=port["addresses"][0])["items"]
    assert not [session for session in sessions if session["node"] == "host-b"], sessions
    assert not {"unknown_vni", "wrong_vtep"} & set(cloud.drops())
    # Local and remote sources of one mirror: what `far` sends is copied on its own node.
    cloud.update("mirror", name, sources=[{"vpc": "v"}], filter="icmp")
    seen(cloud, name, state="active", ports=3)
    with outpost.wire() as wire:
        cloud.machines["right"].run("ping", "-c", "1", cloud.machines["far"].ip4)
        heard = [wire.receive(timeout_s=WAIT_S) for _ in range(2)]
        assert sorted(packet[ICMP].type for packet in heard) == [0, 8]
    # Its port goes to the other node; the mirror goes with it, and from there on to files.
    cloud.update("mirror", name, sources=[{"port": "left"}], filter="")
    move(cloud, outpost, "host-a")
    seen(cloud, name, state="active", ports=1)
    with outpost.wire() as wire:
        send(cloud, what)
        assert [bytes(wire.receive(timeout_s=WAIT_S)) for _ in what] == what
    assert cloud.get("mirror", name)["vni"] == vni
    move(cloud, outpost, "host-b")
    seen(cloud, name, state="active", ports=1)
    with outpost.wire() as wire:
        send(cloud, what)
        assert [bytes(wire.receive(timeout_s=WAIT_S)) for _ in what] == what
    cloud.update("mirror", name, target={"type": "vxlan", "vni": 9000, "address": cloud.collector_ip})
    assert "vni" not in cloud.get("mirror", name)


@pytest.mark.parametrize("target", ["dead", "slow", "away"])
def test_target_harms_nobody(cloud, mirror, target):
    """Nobody at the collector's address; a port whose machine does not read, here and on another node. Every packet arrives; what
    throughput can be lost at most is counted in tests/node/test_mirror_cost.py."""
    right, far = cloud.machines["right"], cloud.machines["far"]
    where = {
        "dead": {"type": "vxlan", "vni": 9000, "address": cloud.collector_ip.replace(".200", ".222")},
        "slow": {"type": "port", "port": "analyser"},
        "away": {"type": "port", "port": "outpost"},
    }[target]
    deaf = cloud.machines[where["port"]].ns if target != "dead" else None
    if deaf:
        deaf.ip("link set dev eth0 down")
    name = mirror(where, sources=[{"port": "right"}])
    if target == "dead":
        said = seen(cloud, name, state="error")["reason"]
        assert "host-a" in said and "next hop" in said
    try:
        said = right.run("ping", "-q", "-i", "0.01", "-c", "200", far.ip4).stdout
        assert "200 received" in said, said
        assert right.iperf3(far, size="4M")["end"]["sum_sent"]["bytes"] >= 4_000_000
        # Lost copies are nobody's drops. (Its kernel says something to everybody now and then.)
        assert not {"queue_full", "no_neighbour", "port_down", "no_buffer"} & set(cloud.drops(port="right"))
        wait_for(lambda: (now := status(cloud, name)) and now["lost"] >= now["packets"] > 400, WAIT_S, lambda: status(cloud, name))
    finally:
        if deaf:
            deaf.ip("link set dev eth0 up")


def test_vpc_follows_its_ports(cloud, mirror):
    name = mirror({"type": "erspan", "session_id": 1, "address": cloud.collector_ip}, sources=[{"vpc": "v"}, {"subnet": "w"}])
    seen(cloud, name, state="active", ports=5)
    cloud.machine("late", "s", "b", security_groups=["v-open"])
    seen(cloud, name, ports=6)
    cloud.machines["late"].delete()
    seen(cloud, name, ports=5)
    shown = cloud.vpcctl("mirror", "list").stdout
    assert name in shown and "active" in shown


def test_refused(cloud):
    target = {"type": "erspan", "session_id": 1, "address": cloud.collector_ip}
    for path, fields in (
        ("/filter", {"filter": "tcp prot 80"}),
        ("/filter", {"filter": "host www.example.com"}),
        ("/sources/0/port", {"sources": [{"port": "nobody"}]}),
        ("/sources/0/port", {"target": {"type": "port", "port": "left"}}),
    ):
        with pytest.raises(RpcError) as error:
            cloud.create("mirror", **{"name": "bad", "sources": [{"port": "left"}], "target": target, **fields})
        assert error.value.data["path"] == path
    assert "bad" not in [m["name"] for m in cloud.list("mirror")]


def test_file_that_can_not_be_made(cloud, mirror):
    with pytest.raises(RpcError) as error:
        mirror({"type": "file", "path": "/proc/nowhere/a.pcapng"})
    assert error.value.data["nodes"] == ["host-a"]
    assert "/proc/nowhere" in seen(cloud, "tap-0", state="error")["reason"]
