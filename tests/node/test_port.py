# SPDX-License-Identifier: Apache-2.0
"""Port drivers with real traffic, two ports back to back in tests/node/port_loop.

    namespace a: eth0 10.9.0.1 ── port ══ port_loop (namespace host) ══ port ── eth0 10.9.0.2 :namespace b
"""

import fcntl
import hashlib
import json
import mmap
import os
import socket
import struct
import sys
import threading

import pytest

TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(TESTS, "integration"))

# pylint: disable=wrong-import-position
from lib.netns import PREFIX, Namespace, reap  # noqa: E402
from lib.netns import veth as connect  # noqa: E402
from lib.wait import wait_for  # noqa: E402

PROGRAM = os.path.join(os.environ.get("VPC_BUILD", os.path.join(TESTS, "..", "build")), "tests/node/port_loop")
ADDRESSES = {4: ("10.9.0.1", "10.9.0.2"), 6: ("fd00:9::1", "fd00:9::2")}
CSUM, MULTI_SEG = 0x01, 0x10
UDP_SEGMENT = 103

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


class Loop:
    """The program, running until stop()."""

    def __init__(self, host, *args):
        self.process = host.popen(PROGRAM, *args, stdin=-1, stdout=-1, stderr=-1)
        self.line = self.process.stdout.readline().strip() or self.process.stderr.read()

    def expect(self, text):
        """Reads lines up to one that contains the text."""
        for line in self.process.stdout:
            if text in line:
                return line
        raise AssertionError(f"no line with {text!r}")

    def idle(self, seconds):
        """Lets it turn for a while."""
        assert self.process.poll() is None
        threading.Event().wait(seconds)

    def stop(self):
        """Its counters. Every frame that came in left or was dropped by name, and no buffer is lost."""
        out, err = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, err
        assert "runtime error" not in err, err
        counters = json.loads(out.splitlines()[-1])
        named = {"received", "generated", "sent", "consumed", "turns", "worker_ns", "small_free", "jumbo_free"}
        drops = sum(n for name, n in counters.items() if name not in named)
        assert counters["received"] + counters["generated"] == counters["sent"] + counters["consumed"] + drops, counters
        return counters


@pytest.fixture(name="pair")
def _pair():
    reap()
    spaces = [Namespace(f"{PREFIX}-{os.getpid()}-port{x}") for x in ("a", "b", "host")]
    yield spaces
    for space in spaces:
        space.delete()


def tap(_, space, side):
    return f"tap,eth0,{space.name},,fd00:9::ff,{ADDRESSES[4][side]}/24,{ADDRESSES[6][side]}/64"


def veth(host, space, side):
    """An interface of the host whose peer is eth0 of the namespace; the host's own stack does not speak on it."""
    name = f"veth{side}"
    connect(host, name, space, "eth0")
    host.sysctl(**{f"net__ipv6__conf__{name}__disable_ipv6": 1})
    space.ip(
        f"addr add {ADDRESSES[4][side]}/24 dev eth0",
        f"addr add {ADDRESSES[6][side]}/64 dev eth0 nodad",
    )
    return f"netdev,{name}"


def xdp(host, space, side):
    return veth(host, space, side) + ",af_xdp"


def make_socket(kind, address):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    s.settimeout(20)
    return s


def listen(address):
    s = make_socket(socket.SOCK_STREAM, address)
    s.bind((address, 0))
    s.listen(1)
    return s


def bound_udp(address):
    s = make_socket(socket.SOCK_DGRAM, address)
    s.bind((address, 0))
    return s


def check_tcp(pair, family, size=12_000_000):
    """A stream arrives as it was sent, both ways."""
    addresses = ADDRESSES[family]
    for sender, receiver in ((0, 1), (1, 0)):
        server = pair[receiver].call(listen, addresses[receiver])
        client = pair[sender].call(make_socket, socket.SOCK_STREAM, addresses[sender])
        client.connect((addresses[receiver], server.getsockname()[1]))
        peer, _ = server.accept()
        peer.settimeout(20)
        data = os.urandom(size)
        digest = hashlib.sha256()

        def send(client=client, data=data):
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=send)
        thread.start()
        while chunk := peer.recv(1 << 20):
            digest.update(chunk)
        thread.join()
        assert digest.digest() == hashlib.sha256(data).digest()
        for s in (server, client, peer):
            s.close()


def check_udp(pair, family, size=1000):
    """Datagrams of all lengths; then several that the sender's kernel hands on as one frame, the last shorter."""
    addresses = ADDRESSES[family]
    to = pair[1].call(bound_udp, addresses[1])
    by = pair[0].call(bound_udp, addresses[0])
    for length in (0, 1, 2, 17, 999, 1400):
        data = os.urandom(length)
        by.sendto(data, to.getsockname())
        assert to.recv(2000) == data
    by.setsockopt(socket.SOL_UDP, UDP_SEGMENT, size)
    data = os.urandom(20 * size + 333)
    by.sendto(data, to.getsockname())
    got = [to.recv(2000) for _ in range(21)]
    assert b"".join(got) == data
    assert {len(d) for d in got[:-1]} == {size} and len(got[-1]) == 333
    by.close()
    to.close()


@pytest.mark.parametrize("caps", ["0xff", hex(CSUM | MULTI_SEG), hex(MULTI_SEG), "0"])
@pytest.mark.parametrize(
    "kinds", [(tap, tap), (veth, veth), (tap, veth), (xdp, xdp), (tap, xdp)], ids=["tap", "veth", "tap-veth", "xdp", "tap-xdp"]
)
def test_traffic(pair, kinds, caps):
    """Whatever the outputs can not do is done in software: nothing, segmenting, checksums, both and chains."""
    host = pair[2]
    ports = [kind(host, space, side) for side, (kind, space) in enumerate(zip(kinds, pair))]
    loop = Loop(host, "--sleep", "--caps", caps, *ports)
    assert loop.line == "ready"
    for family in (4, 6):
        check_tcp(pair, family)
        check_udp(pair, family)
    counters = loop.stop()
    # An XDP socket neither gives nor takes more than a frame of the wire.
    large = kinds != (xdp, xdp)
    assert (counters["generated"] > 0) == (large and (caps != "0xff" or xdp in kinds))


@pytest.mark.parametrize("mode", ["af_packet", "af_xdp"])
def test_vxlan(pair, mode):
    """Two processes, a tunnel between them over a veth: runs of frames travel as one, segments come together again.

    a: tap ══ port_loop (host) ── veth ── port_loop (host2) ══ tap :b
    """
    far = Namespace(f"{PREFIX}-{os.getpid()}-porthost2")
    try:
        connect(pair[2], "u0", far, "u0")
        for host in (pair[2], far):
            host.sysctl(net__ipv6__conf__u0__disable_ipv6=1)
        near_loop = Loop(pair[2], "--sleep", "--vxlan", tap(None, pair[0], 0), f"netdev,u0,{mode}")
        far_loop = Loop(far, "--sleep", "--vxlan", tap(None, pair[1], 1), f"netdev,u0,{mode}")
        assert near_loop.line == "ready"
        assert far_loop.line == "ready"
        for family in (4, 6):
            check_tcp(pair, family)
            check_udp(pair, family)
        assert far_loop.stop()["consumed"] > 0
        assert near_loop.stop()["generated"] > 0
    finally:
        far.delete()


@pytest.mark.parametrize("mode", ["af_packet", "af_xdp"])
def test_kernel_vxlan(pair, mode):
    """A kernel's VXLAN device at the other end hands over large frames whose inner TCP is unfinished; to an XDP socket small
    ones, just as unfinished.

    a: tap ══ port_loop (host) ── veth ── b: vxlan device
    """
    near, far, host = pair
    connect(host, "u0", far, "u0")
    host.sysctl(net__ipv6__conf__u0__disable_ipv6=1)
    far.ip(
        "link set u0 address 02:00:00:00:00:02",
        "addr add 192.0.2.2/24 dev u0",
        "neigh add 192.0.2.1 lladdr 02:00:00:00:00:01 dev u0",
        "link add vx0 type vxlan id 42 local 192.0.2.2 remote 192.0.2.1 dstport 4789 dev u0",
        "link set vx0 mtu 1450 up",
        f"addr add {ADDRESSES[4][1]}/24 dev vx0",
        f"addr add {ADDRESSES[6][1]}/64 dev vx0 nodad",
    )
    loop = Loop(host, "--sleep", "--vxlan", tap(None, near, 0), f"netdev,u0,{mode}")
    assert loop.line == "ready"
    for family in (4, 6):
        check_tcp(pair, family)
        check_udp(pair, family)
    # Cut into segments it would be more than 17,000.
    assert (loop.stop()["received"] < 12000) == (mode == "af_packet")


def xdp_program(space, ifname):
    """The id of the program on an interface, or None."""
    link = json.loads(space.run("ip", "-j", "-d", "link", "show", "dev", ifname).stdout)[0]
    return link.get("xdp", {}).get("prog", {}).get("id")


def test_xdp_program(pair):
    """It comes with the port, alone, and goes with it, also when the process is killed; then it can come again."""
    host = pair[2]
    port = xdp(host, pair[0], 0)
    first = Loop(host, port, tap(None, pair[1], 1))
    assert first.line == "ready"
    assert xdp_program(host, "veth0")
    second = Loop(host, port, "netdev,lo")
    assert "veth0 has another XDP program" in second.line
    first.process.kill()
    first.process.wait()
    wait_for(lambda: not xdp_program(host, "veth0"), 5, "the kernel takes the program off")
    third = Loop(host, "--sleep", port, tap(None, pair[1], 1))
    assert third.line == "ready"
    check_udp(pair, 4)
    third.stop()
    assert not xdp_program(host, "veth0")


def test_xdp_queues(pair):
    """An interface with several queues: a socket for each, and every one of them is heard."""
    host, near = pair[2], pair[0]
    host.ip(
        f"link add veth0 numrxqueues 4 numtxqueues 4 type veth peer name eth0 numrxqueues 4 numtxqueues 4 netns {near.name}",
        "link set veth0 up",
    )
    near.ip("link set eth0 up", f"addr add {ADDRESSES[4][0]}/24 dev eth0")
    loop = Loop(host, "--sleep", "netdev,veth0,af_xdp", tap(None, pair[1], 1))
    assert loop.line == "ready"
    for _ in range(20):  # the kernel chooses the queue by the flow
        check_udp(pair, 4)
    loop.stop()


def test_memif(pair, tmp_path):
    """Two processes joined by a memif; the client's end says that it is down until the server is there."""
    path = tmp_path / "memif.sock"
    client = Loop(pair[2], "--sleep", tap(None, pair[0], 0), f"memif,{path},client")
    server = Loop(pair[2], "--sleep", tap(None, pair[1], 1), f"memif,{path},server")
    assert client.line == "ready"
    assert server.line == "ready"
    client.expect("port 1: active")
    server.expect("port 1: active")
    check_tcp(pair, 4)
    check_udp(pair, 6)
    server.stop()
    assert "active" not in client.expect("port 1: ")
    client.stop()


@pytest.mark.parametrize("ours", ["server", "client"])
def test_memif_with_dpdk(pair, tmp_path, ours):
    """DPDK's own memif device at the other end, in either role."""
    path = tmp_path / "memif.sock"
    theirs = "client" if ours == "server" else "server"
    words = [
        (ours, tap(None, pair[0], 0), f"memif,{path},{ours}"),
        (theirs, tap(None, pair[1], 1), f"device,net_memif0,role={theirs},id=0,socket={path},socket-abstract=no"),
    ]
    loops = []
    for _, *ports in sorted(words, reverse=True):  # DPDK's client connects once: the server first
        loops.append(Loop(pair[2], "--sleep", *ports))
        assert loops[-1].line == "ready"
    wait_for(lambda: pair[0].run("ping", "-c1", "-W1", ADDRESSES[4][1], check=False).returncode == 0, 10, "frames pass")
    for family in (4, 6):
        check_tcp(pair, family, size=4_000_000)
        check_udp(pair, family)
    for loop in loops:
        loop.stop()


class MemifClient:
    """A client that says what it likes."""

    ACK, HELLO, INIT, ADD_REGION, ADD_RING, CONNECT, CONNECTED, DISCONNECT = range(1, 9)

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(5)
        self.socket.connect(str(path))
        assert self.answer()[0] == self.HELLO

    def answer(self):
        message = self.socket.recv(256)
        assert len(message) == 128
        return struct.unpack_from("<H", message)[0], message[6:].rstrip(b"\0").decode("ascii", "replace")

    def say(self, kind, layout="", *values, fd=None):
        message = struct.pack("<H" + layout, kind, *values).ljust(128, b"\0")
        socket.send_fds(self.socket, [message], [] if fd is None else [fd])

    def init(self, number=0, version=0x200, mode=0):
        self.say(self.INIT, "HIB", version, number, mode)

    def region(self, size=1 << 16, seal=True, index=0, claim=None):
        fd = os.memfd_create("memif", os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, size)
        if seal:
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        self.memory = mmap.mmap(fd, size)
        self.say(self.ADD_REGION, "HQ", index, claim or size, fd=fd)
        os.close(fd)

    def ring(self, to_server, offset, region=0, log2=4, index=0, fd=None):
        event = os.eventfd(0) if fd is None else os.dup(fd)
        if offset + 4 <= len(self.memory):
            self.memory[offset : offset + 4] = struct.pack("<I", 0x3E31F20)
        self.say(self.ADD_RING, "HHHIBH", to_server, index, region, offset, log2, 0, fd=event)
        os.close(event)


MEMIF_NONSENSE = {
    "a message of a wrong size": lambda c: c.socket.send(b"hello"),
    "a message that is not known": lambda c: c.say(99),
    "another version of memif": lambda c: c.init(version=0x100),
    "not in Ethernet mode": lambda c: c.init(mode=1),
    "no such id here": lambda c: c.init(7),
    "ADD_REGION out of place": lambda c: c.region(),
    "ADD_RING out of place": lambda c: (setattr(c, "memory", b""), c.ring(1, 0)),
    "CONNECT comes before the rings": lambda c: (c.init(), c.say(c.CONNECT)),
    "INIT came twice": lambda c: (c.init(), c.init()),
    "a region must be sealed": lambda c: (c.init(), c.region(seal=False)),
    "a region is not as large as said": lambda c: (c.init(), c.region(claim=1 << 20)),
    "regions come in order": lambda c: (c.init(), c.region(index=1)),
    "a ring is outside of its region": lambda c: (c.init(), c.region(), c.ring(1, (1 << 16) - 64)),
    "a ring is too large": lambda c: (c.init(), c.region(), c.ring(1, 0, log2=15)),
    "a ring comes with an eventfd": lambda c: (c.init(), c.region(), c.ring(1, 0, fd=0)),
    "one ring each way": lambda c: (c.init(), c.region(), c.ring(1, 0), c.ring(1, 0)),
}


def connect_memif(path):
    client = MemifClient(path)
    client.init()
    client.region()
    client.ring(1, 0)
    client.ring(0, 4096)
    client.say(client.CONNECT)
    for _ in range(4):
        assert client.answer()[0] == client.ACK
    assert client.answer()[0] == client.CONNECTED
    return client


def test_memif_peers_that_talk_nonsense(pair, tmp_path):
    """Each is told what is wrong and hung up on, none harms anybody, and the next sensible one is served."""
    path = tmp_path / "memif.sock"
    loop = Loop(pair[2], "--sleep", tap(None, pair[0], 0), f"memif,{path},server")
    assert loop.line == "ready"
    for expected, act in MEMIF_NONSENSE.items():
        client = MemifClient(path)
        act(client)
        kind = client.ACK
        while kind == client.ACK:
            kind, said = client.answer()
        assert kind == client.DISCONNECT and said.startswith(expected), (expected, said)
        assert client.socket.recv(256) == b""
    good = connect_memif(path)
    other = MemifClient(path)
    other.init()
    assert other.answer() == (other.DISCONNECT, "another client is connected to this id")
    # Descriptors that point anywhere, a head out of the ring: dropped by name, then the peer is.
    for number in range(16):
        good.memory[128 + 16 * number : 144 + 16 * number] = struct.pack("<HHIII", number % 2, number % 3, 1 << number, 0xFFFFFF00, 0)
    good.memory[6:8] = struct.pack("<H", 16)
    wait_for(lambda: good.memory[64:66] == struct.pack("<H", 16), 5, "the ring is read")
    good.memory[6:8] = struct.pack("<H", 999)
    assert good.answer() == (good.DISCONNECT, "your ring makes no sense")
    connect_memif(path)
    assert loop.stop()["malformed"] > 0


def turn_ns(pair, extra):
    """What a turn of the loop takes with two TAPs and so many more, all of them idle: of the worker's own CPU time."""
    more = [f"tap,t{n},{pair[0].name}" for n in range(extra)]
    loop = Loop(pair[2], tap(None, pair[0], 0), tap(None, pair[1], 1), *more)
    assert loop.line == "ready"
    loop.idle(0.5)
    counters = loop.stop()
    return counters["worker_ns"] / counters["turns"]


def test_idle_ports_take_no_time(pair):
    """A port that says nothing takes less than 50 ns of a turn. Others who want the CPU do not count, and what the caches lose by
    them is far below the 50 µs that 1,000 ports may take together."""
    few, many = turn_ns(pair, 0), turn_ns(pair, 1000)
    print(f"a turn takes {few:.0f} ns with 2 ports, {many:.0f} ns with 1,002")
    assert (many - few) / 1000 < 50


def test_configured(pair):
    """A TAP with `configure` has its MAC, MTU, addresses and routes, is up, and goes when the port closes."""
    loop = Loop(pair[2], f"tap,eth0,{pair[0].name},192.0.2.1,fd00:9::ff,10.9.0.1/32,fd00:9::1/128", tap(None, pair[1], 1))
    assert loop.line == "ready"
    link = json.loads(pair[0].run("ip", "-j", "addr", "show", "dev", "eth0").stdout)[0]
    assert link["mtu"] == 1500 and "UP" in link["flags"]
    found = {(a["local"], a["prefixlen"]) for a in link["addr_info"] if a["scope"] == "global"}
    assert found == {("10.9.0.1", 32), ("fd00:9::1", 128)}
    assert "default via 192.0.2.1 dev eth0" in pair[0].run("ip", "route").stdout
    assert "default via fd00:9::ff dev eth0" in pair[0].run("ip", "-6", "route").stdout
    loop.stop()
    wait_for(lambda: pair[0].links() == ["lo"])


def test_deleted_from_outside(pair):
    """An interface that somebody deletes is said to be gone; the other port goes on."""
    loop = Loop(pair[2], "--sleep", tap(None, pair[0], 0), tap(None, pair[1], 1))
    assert loop.line == "ready"
    pair[0].ip("link del eth0")
    assert "was deleted" in loop.expect("port 0:")
    loop.stop()


@pytest.mark.parametrize(
    "port, reason",
    [
        ("tap,lo,{netns}", "exists already"),
        ("tap,sixteen_letters_,{netns}", "can not be an interface's name"),
        ("tap,a%d,{netns}", "can not be an interface's name"),
        ("tap,eth0,no-such-namespace", "network namespace no-such-namespace: No such file"),
        ("tap,eth0,{netns},,,10.9.0.300/24", "10.9.0.300/24 is no address"),
        ("netdev,no_such_if", "no interface no_such_if"),
        ("netdev,lo", "lo is no Ethernet interface"),
        ("netdev,lo,af_xdp", "lo is no Ethernet interface"),
        ("netdev,lo,af_xdp,4000", "an MTU of 4000 does not fit the frames of af_xdp (at most 3498); use af_packet"),
        ("netdev,lo,netmap", "attachment type netdev with mode netmap is not known"),
        ("device,no_such_device", "device no_such_device"),
        ("memif,/tmp/x,neither", "role must be server or client"),
        ("wire,x", "attachment type wire is not known"),
    ],
)
def test_refused(pair, port, reason):
    """What is wrong is said so that a person can act on it, and nothing is left behind."""
    done = pair[2].run(PROGRAM, port.format(netns=pair[0].name), check=False)
    assert done.returncode == 2
    assert reason in done.stderr
    assert pair[0].links() == ["lo"]
