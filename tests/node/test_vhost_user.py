# SPDX-License-Identifier: Apache-2.0
"""vhost-user ports with real traffic between processes; the guest is DPDK's virtio_user driver.

    a: eth0 ── tap ══ port_loop ══ vhost_user ┄socket┄ virtio_user ══ port_loop ══ tap ── eth0 :b
    a: eth0 ── tap ══ port_loop ══ vhost_user ┄socket┄ virtio_guest, which sends back what it gets
"""

import json
import os
import re
import socket
import stat
import struct
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

# pylint: disable=wrong-import-position,unused-import
from test_port import ADDRESSES, PROGRAM, Loop, _pair, check_tcp, check_udp, tap  # noqa: E402
from lib.process import end  # noqa: E402
from lib.wait import wait_for  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

GUEST = os.path.join(os.path.dirname(PROGRAM), "virtio_guest")
GUEST_MAC = "02:00:00:00:00:99"
SOL_PACKET, PACKET_VNET_HDR = 263, 15
NEEDS_CSUM = 1
GSO_TCPV4, GSO_TCPV6 = 1, 4


class Guest:
    """The program, at a socket; role is its own."""

    def __init__(self, space, path, role="client", queues=1):
        self.process = space.popen(GUEST, path, role, queues, GUEST_MAC, stdin=-1, stdout=-1, stderr=-1)

    def wait_ready(self):
        assert self.process.stdout.readline().strip() == "ready", self.process.stderr.read()

    def stop(self):
        out, err = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, err
        return json.loads(out.splitlines()[-1])

    def kill(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture(name="start")
def _start(pair, tmp_path):
    """start(what, …): a process of the host that ends with the test."""
    started = []

    def start(make, *args, **kwargs):
        started.append(make(pair[2], *args, **kwargs))
        return started[-1]

    yield start
    for one in started:
        end(one.process)


def other(role):
    return {"server": "client", "client": "server"}[role]


@pytest.mark.parametrize("role", ["server", "client"])
def test_traffic(pair, tmp_path, start, role):
    """TCP and UDP between two kernels, both families; the port is down before and after, and its socket goes with it."""
    path = tmp_path / "guest.sock"
    backend = start(Loop, "--sleep", tap(None, pair[0], 0), f"vhost_user,{path},{role},1")
    options = "" if role == "server" else ",server=1"
    guest = start(Loop, "--sleep", tap(None, pair[1], 1), f"device,net_virtio_user0,path={path},queue_size=1024{options}")
    assert backend.line == "ready"
    backend.expect("port 1: active")
    for family in (4, 6):
        check_tcp(pair, family)
        check_udp(pair, family)
    guest.stop()
    backend.expect("no peer is connected" if role == "server" else "nobody serves")
    backend.stop()
    assert not path.exists()


# -- frames as they are, with their offload headers


class Raw:
    """A packet socket on eth0 of a namespace that speaks with offload headers (struct virtio_net_hdr)."""

    def __init__(self, space):
        self.socket = space.call(self._open)

    @staticmethod
    def _open():
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        s.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        s.bind(("eth0", 3))
        s.settimeout(10)
        return s

    def exchange(self, frame, header=bytes(10), timeout_s=10):
        """Sends a frame of ours and returns (header, frame) of its echo."""
        self.socket.settimeout(timeout_s)
        self.socket.send(header + frame)
        while True:
            data, source = self.socket.recvfrom(70000)
            echo, ports = data[10:], 34 if frame[12] == 8 else 54
            if source[2] != socket.PACKET_OUTGOING and echo[ports : ports + 4] == (
                frame[ports + 2 : ports + 4] + frame[ports : ports + 2]
            ):
                return data[:10], echo

    def wait_answer(self):
        """Until the guest sends frames back: its driver starts the device more than once."""
        probe, _ = packet(4, socket.IPPROTO_UDP, b"p" * 60, sport=999)
        wait_for(lambda: self.exchange(probe, timeout_s=0.2), 10, "the guest answers")


def fold(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def packet(family, proto, payload, sport=1000, dport=2000):
    """(frame, offset of its checksum from L4's start): an Ethernet frame whose checksum is the pseudo header's sum."""
    a, b = (socket.inet_pton({4: socket.AF_INET, 6: socket.AF_INET6}[family], x) for x in ADDRESSES[family])
    if proto == socket.IPPROTO_TCP:
        l4, at = struct.pack("!HHIIBBHHH", sport, dport, 1, 1, 5 << 4, 0x10, 1000, 0, 0), 16
    else:
        l4, at = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0), 6
    length = len(l4) + len(payload)
    if family == 4:
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 7, 0x4000, 64, proto, 0) + a + b
        ip = ip[:10] + struct.pack("!H", fold(ip) ^ 0xFFFF) + ip[12:]
    else:
        ip = struct.pack("!IHBB", 6 << 28, length, proto, 64) + a + b
    pseudo = fold(a + b + struct.pack("!II", length, proto))
    l4 = l4[:at] + struct.pack("!H", pseudo) + l4[at + 2 :]
    ether = bytes.fromhex(GUEST_MAC.replace(":", "")) + bytes.fromhex("020000000001") + (b"\x08\x00" if family == 4 else b"\x86\xdd")
    return ether + ip + l4 + payload, at


def offload_header(family, proto, segment=0):
    start = 14 + (20 if family == 4 else 40)
    tcp = proto == socket.IPPROTO_TCP
    kind = (GSO_TCPV4 if family == 4 else GSO_TCPV6) if segment else 0
    return struct.pack("=BBHHHH", NEEDS_CSUM, kind, start + 20 if segment else 0, segment, start, 16 if tcp else 6)


@pytest.mark.parametrize("family", [4, 6])
def test_offloads_there_and_back(pair, tmp_path, start, family):
    """Partial checksums and TCP frames of 60 kB travel whole, both ways; the pseudo header's sum has the whole length in it."""
    path = tmp_path / "guest.sock"
    backend = start(Loop, "--sleep", tap(None, pair[0], 0), f"vhost_user,{path},server,1")
    guest = start(Guest, path)
    guest.wait_ready()
    raw = Raw(pair[0])
    raw.wait_answer()
    l4 = 14 + (20 if family == 4 else 40)
    cases = [
        (proto, size, segment)
        for proto in (socket.IPPROTO_TCP, socket.IPPROTO_UDP)
        for size, segment in [(1, 0), (700, 0), (1400, 0), (1400, 1400), (2801, 1400), (60000, 1400), (60000, 100)]
        if segment == 0 or proto == socket.IPPROTO_TCP
    ]
    for proto, size, segment in cases:
        payload = os.urandom(size)
        frame, at = packet(family, proto, payload)
        header, echo = raw.exchange(frame, offload_header(family, proto, segment))
        whole = segment > 0 and size > segment
        flags, kind, _, gso_size, csum_start, csum_offset = struct.unpack("=BBHHHH", header)
        assert (flags & NEEDS_CSUM, csum_start, csum_offset) == (NEEDS_CSUM, l4, at)
        assert (kind, gso_size) == (((GSO_TCPV4 if family == 4 else GSO_TCPV6), segment) if whole else (0, 0))
        assert echo[len(echo) - size :] == payload and len(echo) == len(frame)
        assert echo[l4 + at : l4 + at + 2] == frame[l4 + at : l4 + at + 2], "the pseudo header's sum"
    counters = guest.stop()
    assert counters["bad"] == 0 and counters["partial"] == len(cases)
    assert counters["gso"] == sum(size > segment > 0 for _, size, segment in cases)
    backend.stop()


def test_complete_checksums_stay(pair, tmp_path, start):
    """A frame without any request comes back without one."""
    path = tmp_path / "guest.sock"
    backend = start(Loop, "--sleep", tap(None, pair[0], 0), f"vhost_user,{path},server,1")
    start(Guest, path).wait_ready()
    raw = Raw(pair[0])
    raw.wait_answer()
    frame, _ = packet(4, socket.IPPROTO_UDP, b"x" * 100)
    header, echo = raw.exchange(frame)
    assert header[0] & NEEDS_CSUM == 0 and echo[42:] == frame[42:]
    backend.stop()


# -- who comes and goes


def test_queues(pair, tmp_path, start):
    """Flows are spread over the pairs that the guest runs, each flow on one."""
    path = tmp_path / "guest.sock"
    backend = start(Loop, "--sleep", tap(None, pair[0], 0), f"vhost_user,{path},server,4")
    guest = start(Guest, path, queues=4)
    guest.wait_ready()
    raw = Raw(pair[0])
    raw.wait_answer()
    for sport in range(1000, 1064):
        for _ in range(2):
            frame, _ = packet(4, socket.IPPROTO_UDP, b"y" * 60, sport=sport)
            assert raw.exchange(frame)[1][42:] == frame[42:]
    frames = guest.stop()["frames"]
    assert len(frames) == 4 and all(n >= 4 for n in frames), frames
    backend.stop()


def test_guest_killed_returns(pair, tmp_path, start, long_run=os.environ.get("VPC_TEST_SIZE") == "long"):
    """kill -9 of the guest in full traffic: the port is down, and up again with the next; nothing leaks."""
    path = tmp_path / "guest.sock"
    backend = start(Loop, "--sleep", tap(None, pair[0], 0), f"vhost_user,{path},server,1")
    raw = Raw(pair[0])
    frame, _ = packet(4, socket.IPPROTO_UDP, b"z" * 1000)
    pid = backend.process.pid
    before = None
    for turn in range(20 if long_run else 5):
        guest = start(Guest, path)
        guest.wait_ready()
        raw.wait_answer()
        assert raw.exchange(frame)[1][42:] == frame[42:]
        fds = len(os.listdir(f"/proc/{pid}/fd"))
        before = before or fds
        assert fds == before, f"turn {turn}"
        for _ in range(200):
            raw.socket.send(bytes(10) + frame)
        guest.kill()
        backend.expect("no peer is connected")
        raw.socket.send(bytes(10) + frame)
    counters = backend.stop()
    assert counters["port_down"] >= 1
    # All but the buffer that waits for the TAP's next frame.
    assert counters["small_free"] >= 8190 and counters["jumbo_free"] >= 254


def test_backend_killed_returns(pair, tmp_path, start):
    """kill -9 of the backend: a guest that serves the socket goes on with the next one."""
    path = tmp_path / "guest.sock"
    frame, _ = packet(6, socket.IPPROTO_UDP, b"z" * 1000)
    guest = start(Guest, path, role="server")
    for _ in range(3):
        backend = start(Loop, "--sleep", tap(None, pair[0], 0), f"vhost_user,{path},client,1")
        assert backend.line == "ready"
        raw = Raw(pair[0])
        raw.wait_answer()
        assert raw.exchange(frame)[1][62:] == frame[62:]
        backend.process.kill()
        backend.process.communicate()
        wait_for(lambda: pair[0].links() == ["lo"], 10, "the TAP is gone")
    guest.kill()


def test_second_peer_waits(pair, tmp_path, start):
    """A second guest at the same socket waits until the first is gone."""
    path = tmp_path / "guest.sock"
    backend = start(Loop, "--sleep", tap(None, pair[0], 0), f"vhost_user,{path},server,1")
    first = start(Guest, path)
    first.wait_ready()
    raw = Raw(pair[0])
    raw.wait_answer()
    second = start(Guest, path)
    second.wait_ready()
    frame, _ = packet(4, socket.IPPROTO_UDP, b"w" * 1000)
    assert raw.exchange(frame)[1][42:] == frame[42:]
    assert sum(first.stop()["frames"]) >= 2
    raw.wait_answer()
    assert sum(second.stop()["frames"]) >= 1
    backend.stop()


# -- the socket


def test_socket(pair, tmp_path, start):
    """What a dead server left is replaced; the group of the directory may connect, others may not."""
    path = tmp_path / "guest.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    os.chown(tmp_path, 0, 12345)
    os.chmod(tmp_path, 0o2770)
    backend = start(Loop, "--sleep", tap(None, pair[0], 0), f"vhost_user,{path},server,1")
    assert backend.line == "ready"
    st = os.stat(path)
    assert stat.S_IMODE(st.st_mode) == 0o660 and st.st_gid == 12345
    backend.stop()
    assert not path.exists()


def test_refused(pair, tmp_path):
    """What is wrong is said, and a file or a socket of somebody else stays."""
    path = tmp_path / "guest.sock"

    def refused(port, reason):
        done = pair[2].run(PROGRAM, port, check=False)
        assert done.returncode == 2 and re.search(reason, done.stderr), done.stderr

    path.write_text("precious")
    refused(f"vhost_user,{path},server,1", "exists and is no socket")
    assert path.read_text() == "precious"
    path.unlink()
    with socket.socket(socket.AF_UNIX) as living:
        living.bind(str(path))
        living.listen(1)
        refused(f"vhost_user,{path},server,1", "another program's socket")
        assert path.exists()
    path.unlink()
    refused(f"vhost_user,{tmp_path}/none/guest.sock,server,1", "can not be served: No such file")
    refused("vhost_user,guest.sock,server,1", "needs the path of a socket")
    refused(f"vhost_user,{path},both,1", "role must be server or client")
    refused(f"vhost_user,{path},server,17", "queues must be 1 to 16")
    refused(f"vhost_user,/{'x' * 120},server,1", "too long")
