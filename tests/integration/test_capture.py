# SPDX-License-Identifier: Apache-2.0
"""Captures on a cloud that forwards, read by the programs of others: tshark, capinfos, tcpdump.

    host-a: web 10.0.1.x, raw 10.0.1.y   ---vxlan---   host-b: db 10.0.2.x       db: ping and tcp/80 from anyone
"""

import base64
import json
import os
import signal
import subprocess

import pytest
from lib import Rpc, wait_for
from lib.cloud import ROOT, program
from lib.freeze import frozen
from lib.process import end
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.utils import PcapNgReader, PcapReader

RULES = [
    {"direction": "ingress", "protocol": "tcp", "ports": "80"},
    {"direction": "ingress", "protocol": "tcp", "ports": "5201"},
    {"direction": "ingress", "protocol": "icmp"},
]
PATIENCE = 20  # seconds that a condition may take on a busy machine


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud(hosts=2, node_config={"recover_s": 0})
    cloud.network("prod", {"front": {"cidr": "10.0.1.0/24"}, "back": {"cidr": "10.0.2.0/24"}})
    cloud.create("security_group", name="db", rules=RULES)
    cloud.machine("web", "front", "a", security_groups=["prod-open"])
    cloud.machine("raw", "front", "a", raw=True, security_groups=["prod-open"])
    cloud.machine("db", "back", "b", security_groups=["db"]).serve_http(80)
    cloud.machines["web"].ping(cloud.machines["db"])
    return cloud


class Capture:
    """vpcctl capture, from its beginning (it is listed) to its end."""

    def __init__(self, cloud, *words, command="capture"):
        self.cloud = cloud
        before = {item["capture"] for item in cloud.call("capture.list")["items"]}
        self.process = subprocess.Popen(
            [program("vpcctl"), "--socket", cloud.socket_path, command, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.id = None

        def begun():
            new = [i["capture"] for i in cloud.call("capture.list")["items"] if i["capture"] not in before]
            self.id = new[0] if new else None
            return new or self.process.poll() is not None

        wait_for(begun, PATIENCE, "the capture has begun")

    def packets(self):
        return next((i["packets"] for i in self.cloud.call("capture.list")["items"] if i["capture"] == self.id), None)

    def wait_packets(self, count):
        wait_for(lambda: (self.packets() or 0) >= count, PATIENCE, lambda: f"{count} packets, now {self.packets()}")

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        return self.end()

    def end(self):
        """(status, stdout, stderr) once it has ended."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out.decode(), err.decode()


def tshark(path, *fields, display=None):
    """A dictionary for each packet."""
    words = ["tshark", "-r", path, "-T", "fields", "-E", "separator=|"]
    for field in fields:
        words += ["-e", field]
    if display:
        words += ["-Y", display]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    return [dict(zip(fields, line.split("|"))) for line in done.stdout.splitlines()]


def comment_of(packet):
    return dict(word.split("=", 1) for word in packet["frame.comment"].split(" ") if "=" in word)


def check_file(path, count=None):
    """capinfos and tcpdump find nothing wrong with it."""
    info = subprocess.run(["capinfos", "-Mc", path], capture_output=True, text=True, timeout=60, check=True).stdout
    dump = subprocess.run(["tcpdump", "-n", "-r", path], capture_output=True, text=True, timeout=60, check=True)
    packets = int(info.split("Number of packets:")[1].split()[0])
    assert len([line for line in dump.stdout.splitlines() if line[:1].isdigit()]) == packets
    assert count is None or packets == count
    return packets


def test_a_port_as_a_file(cloud, tmp_path):
    """What a port sends and is given is in the file as its machine sees it, with what became of it."""
    web, db = cloud.machines["web"], cloud.machines["db"]
    path, own = str(tmp_path / "web.pcapng"), str(tmp_path / "own.pcap")
    capture = Capture(cloud, "--port", "web", "-w", path, "icmp")
    tcpdump = web.tcpdump(own, "icmp")
    assert web.ping(db, count=3)
    capture.wait_packets(6)
    wait_for(lambda: len(tshark(own, "icmp.type")) == 6, PATIENCE, "tcpdump has them, too")
    end(tcpdump)
    status, _, err = capture.interrupt()
    assert status == 0 and err == "6 packets captured\n"
    check_file(path, 6)
    fields = ("frame.interface_name", "frame.packet_flags_direction", "icmp.type", "icmp.seq", "frame.comment")
    packets = tshark(path, *fields)
    assert [(p["icmp.type"], int(p["frame.packet_flags_direction"], 0)) for p in packets] == [("8", 1), ("0", 2)] * 3
    assert {p["frame.interface_name"] for p in packets} == {"host-a/web"}
    vni = cloud.get("vpc", "prod")["vni"]
    for packet in packets[::2]:
        said = comment_of(packet)
        assert said["vni"] == str(vni) and said["verdict"] == "forward" and said["in"] == "web", said
        assert said["out"] == "tunnel:host-b" and said["session"].endswith("/0"), said
    ours = [bytes(p) for p in PcapNgReader(path)]
    assert ours == [bytes(p) for p in PcapReader(own)]


@pytest.mark.parametrize("reader", [["tcpdump", "-n", "-r", "-"], ["tshark", "-n", "-r", "-"]])
def test_piped_into_a_reader(cloud, reader):
    """-w - goes into whatever reads pcapng from its input."""
    web, db = cloud.machines["web"], cloud.machines["db"]
    capture = Capture(cloud, "--port", "web", "-c", "2", "-w", "-", "icmp")
    # Its pipe is the reader's from here on.
    reading = subprocess.Popen(reader, stdin=capture.process.stdout, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    capture.process.stdout.close()
    assert web.ping(db)
    out, _ = reading.communicate(timeout=PATIENCE)
    assert capture.process.wait(PATIENCE) == 0 and reading.returncode == 0
    lines = [line for line in out.splitlines() if web.ip4 in line and db.ip4 in line]
    assert len(lines) == 2 and all("echo" in line.lower() for line in lines), out
    capture.process.stderr.close()


def test_lines_filter_and_count(cloud):
    web, db = cloud.machines["web"], cloud.machines["db"]
    capture = Capture(cloud, "--port", "web", "-c", "2", "tcp", "dst", "port", "80")
    web.ping(db)
    assert web.curl(db)
    status, out, err = capture.end()
    lines = out.splitlines()
    assert status == 0 and err == "2 packets captured\n" and len(lines) == 2
    assert f"host-a/web sent {web.ip4}." in lines[0] and f"> {db.ip4}.80: tcp S, length" in lines[0], lines
    assert cloud.call("capture.list")["items"] == []

    capture = Capture(cloud, "--port", "web", "-c", "1", "-o", "json", "icmp")
    web.ping(db)
    line = json.loads(capture.end()[1])
    assert line["interface"] == "host-a/web" and "echo request" in line["packet"] and "verdict=forward" in line["comment"]


def test_a_vpc_on_two_hosts(cloud, tmp_path):
    """Several nodes are one section: a request is seen where it is sent and where it is given."""
    web, db = cloud.machines["web"], cloud.machines["db"]
    path = str(tmp_path / "prod.pcapng")
    capture = Capture(cloud, "--vpc", "prod", "--snaplen", "42", "-w", path, "icmp")
    assert cloud.call("capture.list")["items"][0]["nodes"] == ["host-a", "host-b"]
    assert web.ping(db, count=2)
    capture.wait_packets(8)
    assert capture.interrupt()[0] == 0
    check_file(path, 8)
    packets = tshark(path, "frame.interface_name", "frame.packet_flags_direction", "icmp.type", "frame.cap_len")
    seen = sorted((p["frame.interface_name"], p["icmp.type"], int(p["frame.packet_flags_direction"], 0)) for p in packets)
    assert seen == sorted([("host-a/web", "8", 1), ("host-b/db", "8", 2), ("host-b/db", "0", 1), ("host-a/web", "0", 2)] * 2)
    assert {p["frame.cap_len"] for p in packets} == {"42"}


def test_before_and_after_rewriting(cloud, tmp_path):
    """A routed packet twice: as web sent it, and as it leaves, with the same id."""
    web, db = cloud.machines["web"], cloud.machines["db"]
    path = str(tmp_path / "both.pcapng")
    capture = Capture(cloud, "--port", "web", "--rewritten", "both", "-c", "2", "-w", path, "icmp[icmptype]", "==", "icmp-echo")
    assert web.ping(db)
    assert capture.end()[0] == 0
    before, after = tshark(path, "frame.interface_name", "ip.ttl", "eth.dst", "frame.packet_id", "frame.packet_flags_direction")
    assert before["frame.interface_name"] == "host-a/web" and after["frame.interface_name"] == "host-a/tunnel:host-b"
    assert (before["ip.ttl"], after["ip.ttl"]) == ("64", "63")
    assert after["eth.dst"] == db.mac != before["eth.dst"]
    assert before["frame.packet_id"] == after["frame.packet_id"] != ""

    path = str(tmp_path / "after.pcapng")
    capture = Capture(cloud, "--port", "web", "--rewritten", "after", "-c", "1", "-w", path, "icmp[icmptype]", "==", "icmp-echo")
    assert web.ping(db)
    assert capture.end()[0] == 0
    assert [p["ip.ttl"] for p in tshark(path, "ip.ttl")] == ["63"]


def test_node_with_its_underlay(cloud, tmp_path):
    web, db = cloud.machines["web"], cloud.machines["db"]
    path = str(tmp_path / "node.pcapng")
    capture = Capture(cloud, "--node", "host-a", "-w", path, "icmp", "or", "udp", "port", "4789")
    assert web.ping(db)
    capture.wait_packets(4)
    assert capture.interrupt()[0] == 0
    packets = tshark(path, "frame.interface_name", "vxlan.vni", "icmp.type", display="icmp.type == 8")
    names = {p["frame.interface_name"]: p["vxlan.vni"] for p in packets}
    assert names["host-a/web"] == "" and names["host-a/underlay"] == str(cloud.get("vpc", "prod")["vni"])


def raw_frames(cloud):
    """Frames of `raw` that must not be carried, by reason."""
    raw, db = cloud.machines["raw"], cloud.machines["db"]
    gateway = cloud.get("subnet", "front")["status"]["gateway_mac"]
    ether = Ether(src=raw.mac, dst=gateway)
    ip = IP(src=raw.ip4, dst=db.ip4)
    return {
        "spoofed": Ether(src=raw.mac, dst=gateway) / IP(src="10.0.1.77", dst=db.ip4) / ICMP(),
        "no_route": ether / IP(src=raw.ip4, dst="172.31.0.1") / UDP(sport=1000, dport=2000),
        "policy_ingress": ether / ip / TCP(sport=1000, dport=22, flags="S"),
        "broadcast": Ether(src=raw.mac, dst="ff:ff:ff:ff:ff:ff") / IP(src=raw.ip4, dst="10.0.1.255") / UDP(sport=1, dport=9),
        "malformed": ether / IP(src=raw.ip4, dst=db.ip4, ihl=3, len=60) / ICMP(),
        "no_session": ether / ip / TCP(sport=1001, dport=80, flags="A"),
    }


def counts(cloud, reasons):
    drops = cloud.drops()
    return {reason: drops.get(reason, 0) for reason in reasons}


def test_drops_with_their_reasons(cloud, tmp_path):
    """Every dropped packet is in the capture under the reason that counters and explain give, byte for byte."""
    frames = raw_frames(cloud)
    path = str(tmp_path / "drops.pcapng")
    before = counts(cloud, frames)
    capture = Capture(cloud, "--drops", "-w", path)
    with cloud.machines["raw"].wire() as wire:
        for frame in frames.values():
            wire.send(frame, frame)

        def risen():
            now = counts(cloud, frames)
            return all(now[reason] > before[reason] for reason in frames)

        wait_for(risen, PATIENCE, lambda: f"all are dropped: {before} → {counts(cloud, frames)}")
        capture.wait_packets(sum(counts(cloud, frames).values()) - sum(before.values()))
    assert capture.interrupt()[0] == 0
    check_file(path)
    packets = tshark(path, "frame.comment", "frame.interface_name", "frame.verdict.hw")
    bytes_of = [bytes(p) for p in PcapNgReader(path)]
    found = {}
    for packet, data in zip(packets, bytes_of):
        said = comment_of(packet)
        assert said["verdict"] == "drop", said
        found.setdefault(said["reason"], []).append((packet["frame.interface_name"], data))
    after = counts(cloud, frames)
    for reason, frame in frames.items():
        assert len(found.get(reason, [])) == after[reason] - before[reason], (reason, {r: len(f) for r, f in found.items()})
        if reason != "policy_ingress":
            assert ("host-a/raw", bytes(frame)) in found[reason], reason
        else:
            assert found[reason][0][0] == "host-b/tunnel:host-a"

    capture = Capture(cloud, "--drops", "--port", "raw", "-c", "1", "icmp")
    with cloud.machines["raw"].wire() as wire:
        wire.send(frames["no_route"], frames["spoofed"])
    out = capture.end()[1]
    assert "host-a/raw sent 10.0.1.77 > " in out and out.rstrip().endswith("[drop spoofed]"), out


def test_dropped_on_its_way(cloud):
    """The capture of a port says of each packet it sends what became of it."""
    frames = raw_frames(cloud)
    capture = Capture(cloud, "--port", "raw", "-c", "3", "-o", "json", "udp", "or", "icmp[icmptype]", "==", "icmp-echo", "or", "arp")
    raw = cloud.machines["raw"]
    with raw.wire() as wire:
        wire.send(frames["spoofed"])
        wire.send(frames["no_route"])
        wire.send(Ether(src=raw.mac, dst="ff:ff:ff:ff:ff:ff") / ARP(hwsrc=raw.mac, psrc=raw.ip4, pdst="10.0.1.1"))
        lines = [json.loads(line) for line in capture.end()[1].splitlines()]
    ends = [[word for word in line["comment"].split() if word.startswith(("verdict=", "reason="))] for line in lines]
    assert ends[:2] == [["verdict=drop", "reason=spoofed"], ["verdict=drop", "reason=no_route"]]
    assert ends[2] == ["verdict=consumed"] and "arp who-has 10.0.1.1" in lines[2]["packet"]


def test_trace(cloud):
    web, db = cloud.machines["web"], cloud.machines["db"]
    capture = Capture(cloud, "web", "icmp", "-c", "1", command="trace")
    assert web.ping(db)
    status, out, _ = capture.end()
    head, *hops, end = out.splitlines()
    assert status == 0 and f"{web.ip4} > {db.ip4}: icmp echo request" in head
    nodes = [hop.split()[0] for hop in hops]
    assert nodes[0] == "port_rx" and "fast_path" in nodes and nodes[-1] == "underlay_tx", out
    assert all(int(hop.split()[1]) > 0 for hop in hops), out
    assert "verdict forward" in end and "out tunnel:host-b" in end, out


def test_trace_of_a_drop(cloud):
    """Through the nodes to `drop`, and why."""
    capture = Capture(cloud, "raw", "-c", "1", command="trace")
    with cloud.machines["raw"].wire() as wire:
        wire.send(raw_frames(cloud)["no_route"])
    status, out, _ = capture.end()
    head, *hops, end = out.splitlines()
    assert status == 0 and "> 172.31.0.1.2000: udp" in head, out
    nodes = [hop.split()[0] for hop in hops]
    assert nodes[0] == "port_rx" and nodes[-1] == "drop" and "road" in nodes, out
    assert "verdict drop" in end and "reason no_route" in end, out


def test_refusals(cloud):
    def refused(*words, status=1):
        done = cloud.vpcctl("capture", *words, check=False)
        assert done.returncode == status, done
        return done.stderr

    assert "/filter" in refused("--port", "web", "tcp", "prot", "80")
    assert "there is no port `nobody`" in refused("--port", "nobody")
    assert "only one of" in refused("--port", "web", "--vpc", "prod", status=2)
    assert "one of --port, --vpc, --node and --drops" in refused(status=2)
    assert "of drops alone no way" in refused("--drops", "--path")
    assert "nowhere/x" in refused("--port", "web", "-w", "/nowhere/x", status=2)
    assert "there is no capture 999" in cloud.vpcctl("capture", "stop", "999", check=False).stderr
    assert cloud.call("capture.list")["items"] == []


def test_stopped_by_somebody_else(cloud):
    capture = Capture(cloud, "--port", "web")
    cloud.vpcctl("capture", "stop", str(capture.id))
    status, _, err = capture.end()
    assert status == 0 and err == "0 packets captured\n"


def test_nothing_is_left_behind(cloud):
    """Clients are killed and connections closed more often than a node has room for captures."""
    for _ in range(3):
        capture = Capture(cloud, "--vpc", "prod")
        capture.process.kill()
        capture.end()
        wait_for(lambda: cloud.call("capture.list")["items"] == [], PATIENCE, "the killed client's capture is gone")
    for number in range(80):
        with cloud.hosts["host-a"].rpc() as rpc:
            rpc.call("capture.start", capture=1 + number, scope="port", name="web", rewritten="both")
            rpc.call("capture.start", capture=1000 + number, scope="all", drops=True)
            if number % 2:
                rpc.call("capture.stop", capture=1 + number)
    path = Capture(cloud, "--port", "web", "-c", "2")
    assert cloud.machines["web"].ping(cloud.machines["db"])
    assert path.end()[0] == 0


def test_a_client_that_does_not_read(cloud):
    """It loses packets, which are counted; the tenant loses none, and others capture on."""
    web, db = cloud.machines["web"], cloud.machines["db"]
    with Rpc(cloud.socket_path) as lazy:
        number = lazy.call("capture", port="web")["capture"]

        def lost():
            item = next(i for i in cloud.call("capture.list")["items"] if i["capture"] == number)
            return item["lost"]

        dropped = cloud.drops()
        size = 0
        while not lost():
            size += web.iperf3(db, seconds=1)["end"]["sum_received"]["bytes"]
            assert size < 20e9
        beside = Capture(cloud, "--port", "web", "-c", "2", "icmp")
        assert web.ping(db, count=5, timeout_s=PATIENCE)
        assert beside.end()[2] == "2 packets captured\n"
        after = cloud.drops()
        assert {r: n for r, n in after.items() if n != dropped.get(r, 0)}.keys() <= {"tcp_state", "no_session"}, after
        result = lazy.call("capture.stop", capture=number)
        assert result["lost"] > 0 and result["packets"] > 0
        assert cloud.call("capture.list")["items"] == []


DOWNLOAD = 40_000_000  # several times what the rings of all workers hold


def test_workers_wait_for_nobody(cloud, tmp_path):
    """While each packet is captured, every thread of a dataplane stands still but its workers: they forward all the same, with rings
    that nobody empties. What these have no room for is counted as lost; when the others go on, so do the captures."""
    web, db, raw = (cloud.machines[name] for name in ("web", "db", "raw"))
    paths = {words: str(tmp_path / f"{number}.pcapng") for number, words in enumerate((("--port", "web"), ("--vpc", "prod"), ("--drops",)))}
    captures = [Capture(cloud, *words, "-w", path) for words, path in paths.items()]
    with frozen(cloud.hosts["host-a"].daemon.pid, lambda name: not name.startswith("rte-worker")) as others:
        assert "sight" in others and "vpc-dataplane" in others, others
        assert len(web.curl(db, path=f"/bytes/{DOWNLOAD}", timeout_s=60)) == DOWNLOAD
        assert web.ping(db, count=5, timeout_s=PATIENCE), "a new flow, each request answered"
        with raw.wire() as wire:
            wire.send(*[raw_frames(cloud)["spoofed"]] * 20)
    with raw.wire() as wire:
        wire.send(raw_frames(cloud)["spoofed"])
    for capture in captures[:2]:
        before = capture.packets()
        assert web.ping(db, timeout_s=PATIENCE)
        capture.wait_packets(before + 2)
    captures[2].wait_packets(1)
    for capture, path in zip(captures, paths.values()):
        status, _, err = capture.interrupt()
        assert status == 0 and (capture is captures[2] or "lost" in err), err
        check_file(path)


def test_extcap(cloud, tmp_path):
    """What Wireshark asks of its capture programs."""
    web, db = cloud.machines["web"], cloud.machines["db"]
    environment = {**os.environ, "VPC_SOCKET": cloud.socket_path, "VPCCTL": program("vpcctl")}

    def extcap(*words):
        done = subprocess.run(
            [os.path.join(ROOT, "configs", "extcap", "vpc"), *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    said = extcap("--extcap-interfaces")
    assert "interface {value=vpc-port-web}{display=VPC port web}" in said and "interface {value=vpc-drops}" in said
    assert extcap("--extcap-interface", "vpc-port-web", "--extcap-dlts").startswith("dlt {number=1}{name=EN10MB}")
    assert "{call=--rewritten}" in extcap("--extcap-interface", "vpc-port-web", "--extcap-config")
    fifo = str(tmp_path / "fifo")
    os.mkfifo(fifo)
    process = subprocess.Popen(
        [os.path.join(ROOT, "configs", "extcap", "vpc"), "--capture", "--extcap-interface", "vpc-port-web", "--fifo", fifo]
        + ["--extcap-capture-filter", "icmp"],
        env=environment,
    )
    with open(fifo, "rb") as stream:
        wait_for(lambda: cloud.call("capture.list")["items"], PATIENCE, "it has begun")
        assert web.ping(db)
        wait_for(lambda: cloud.call("capture.list")["items"][0]["packets"] == 2, PATIENCE, "both packets")
        process.terminate()
        data = stream.read()
    assert process.wait(PATIENCE) == 0
    path = str(tmp_path / "extcap.pcapng")
    with open(path, "wb") as file:
        file.write(data)
    check_file(path, 2)


def test_a_host_comes_back(cloud):
    """A capture ends with its only node, and is possible again."""
    capture = Capture(cloud, "--port", "db")
    cloud.hosts["host-b"].restart()
    status, _, err = capture.end()
    assert status == 0 and "its nodes are away" in err
    capture = Capture(cloud, "--port", "db", "-c", "1", "icmp")
    wait_for(lambda: cloud.machines["web"].ping(cloud.machines["db"]), PATIENCE, "ping after the restart")
    assert capture.end()[0] == 0


def test_stream_is_one_section(cloud):
    """As the API has it: all data of a capture are one pcapng file."""
    web, db = cloud.machines["web"], cloud.machines["db"]
    with Rpc(cloud.socket_path) as rpc:
        number = rpc.call("capture", vpc="prod", filter="icmp", count=4)["capture"]
        web.ping(db)
        data = b""
        while True:
            event = rpc.receive(PATIENCE)
            assert event["params"]["capture"] == number
            if event["method"] == "capture.end":
                break
            data += base64.b64decode(event["params"]["data"])
    assert event["params"] == {"capture": number, "reason": "count", "packets": 4, "lost": 0}
    assert data[:4] == b"\x0a\x0d\x0d\x0a" and data.count(b"\x0a\x0d\x0d\x0a") == 1
