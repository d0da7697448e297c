# SPDX-License-Identifier: Apache-2.0
"""vpc-inspectd alone: a dataplane that is only a socket and a TAP, and the kernel's programs between.

    test ──(frames of the feed)──▶ TAP feed0 ──▶ XDP program ──▶ vpc-inspectd ──(inspect.alert)──▶ test's socket
                                        namespace vpct-…
"""

import base64
import contextlib
import fcntl
import io
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading

import pytest
import yaml
from lib import guest, wait_for
from lib.cloud import build_dir, program
from lib.kernel_btf import kernel_btf
from lib.netns import Namespace, veth
from lib.process import Daemon, run
from lib.rpc import Rpc
from scapy.all import ARP, DNS, DNSQR, ICMP, IP, TCP, UDP, Ether, IPv6, PcapNgReader

VNI = 4711
OUTSIDE = 0xFFFFFF
DENIED, FIRST, ANSWER = 1, 2, 4
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 2, 0x1000


class Dataplane:
    """Answers inspect.get, keeps what inspect.alert says."""

    def __init__(self, path):
        self.path = path
        self.answer = {"instance": 11, "revision": 1, "interface": "feed0", "vpcs": [], "indicators": []}
        self.asked = 0
        self.alerts = []
        self.listener = None
        self.connections = []
        self.start()

    def start(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(4)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.connections.clear()
        os.unlink(self.path)

    def _accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self.connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError), connection.makefile("r", encoding="utf-8") as lines:
            for line in lines:
                call = json.loads(line)
                result = {}
                if call["method"] == "inspect.get":
                    result = self.answer
                    self.asked += 1
                elif call["method"] == "inspect.alert":
                    self.alerts.append(call["params"])
                connection.sendall((json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": result}) + "\n").encode())

    def rules(self, *detectors, **more):
        """Detectors as "port_scan" or {"type": …}, of one VPC; told to whoever is connected."""
        detectors = [{"type": d} if isinstance(d, str) else d for d in detectors]
        vpc = {"vni": VNI, "vpc": "prod", "detectors": [{"inspection": "watch", **d} for d in detectors]}
        self.answer = {**self.answer, "revision": self.answer["revision"] + 1, "vpcs": [vpc], "indicators": [], **more}
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.sendall(b'{"jsonrpc": "2.0", "method": "inspect.changed", "params": {}}\n')
        return self.answer["revision"]

    def kinds(self):
        return [alert["detector"] for alert in self.alerts]


class Feed:
    """The dataplane's end of the TAP."""

    def __init__(self, ns, name="feed0"):
        self.ns = ns
        self.name = name
        self.fd = None
        self.open()

    def open(self):
        def attach():
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", self.name.encode(), IFF_TAP | IFF_NO_PI))
            return fd

        self.fd = self.ns.call(attach)
        self.ns.ip(f"link set {self.name} up")

    def close(self):
        if self.fd is not None:
            os.close(self.fd)
        self.fd = None

    def send(self, frame, flags=FIRST, sender=7, receiver=8, vni=VNI):
        inner = bytes(frame)
        outer = (
            bytes(12)
            + struct.pack(">HBBHHHBBH", 0x0800, 0x45, 0, 36 + len(inner), 0, 0, 64, 17, 0)
            + struct.pack(">II", sender, receiver)
            + struct.pack(">HHHH", flags, 4789, 16 + len(inner), 0)
            + struct.pack(">II", 0x08000000, vni << 8)
        )
        assert os.write(self.fd, outer + inner) == len(outer) + len(inner)


if not os.path.exists("/sys/kernel/btf/vmlinux"):
    pytest.skip("this kernel has no BTF of itself", allow_module_level=True)


class Rig:
    """Namespace, BPF file system, dataplane, feed, vpc-inspectd."""

    def __init__(self, **config):
        self.directory = tempfile.mkdtemp(prefix="vpct-inspect-", dir="/tmp")
        self.bpf = os.path.join(self.directory, "bpf")
        os.mkdir(self.bpf)
        if run(["mount", "-t", "bpf", "bpf", self.bpf], check=False).returncode:
            pytest.skip("no BPF file system can be mounted here")
        self.ns = Namespace(f"vpct-{os.getpid()}-inspect")
        self.dataplane = Dataplane(os.path.join(self.directory, "dataplane.sock"))
        self.feed = Feed(self.ns)
        self.rpc = os.path.join(self.directory, "inspectd.sock")
        self.config = os.path.join(self.directory, "inspect.yaml")
        self.settings = {
            "dataplane": self.dataplane.path,
            "rpc": self.rpc,
            "pin": os.path.join(self.bpf, "vpc"),
            "capacity": {"flows": 4096, "sources": 1024, "contacts": 4096},
            **config,
        }
        self.write()
        argv = [program("vpc-inspectd"), "-c", self.config]
        self.daemon = Daemon("vpc-inspectd", argv, self.ns, self.directory)

    def write(self):
        with open(self.config, "w", encoding="utf-8") as f:
            yaml.safe_dump(self.settings, f)

    def status(self):
        with Rpc(self.rpc) as rpc:
            return rpc.call("inspectd.status")

    def start(self):
        if os.path.exists(self.rpc):
            os.unlink(self.rpc)
        self.daemon.start(lambda: os.path.exists(self.rpc) and self.status()["dataplane"])
        return self

    def rules(self, *detectors, **more):
        revision = self.dataplane.rules(*detectors, **more)
        wait_for(lambda: self.status()["revision"] == revision, 10)
        feed = self.dataplane.answer["interface"]
        wait_for(lambda: {"ifname": feed, "attached": True}.items() <= self.status()["interfaces"][0].items(), 10)

    def alert(self, detector, count=1):
        """The newest alert of a detector, once there are so many."""
        wait_for(lambda: self.dataplane.kinds().count(detector) >= count, 10, lambda: str(self.dataplane.kinds()))
        return [alert for alert in self.dataplane.alerts if alert["detector"] == detector][-1]

    def counter(self, name):
        return self.status()["counters"][name]

    def close(self):
        status = self.daemon.stop()
        self.feed.close()
        self.dataplane.stop()
        self.ns.delete()
        run(["umount", self.bpf], check=False)
        said = self.daemon.log_text()
        shutil.rmtree(self.directory, ignore_errors=True)
        assert status == 0 and "ERROR: " not in said, said


@pytest.fixture
def make_rig():
    with contextlib.ExitStack() as stack:

        def make(**config):
            rig = Rig(**config)
            stack.callback(rig.close)
            return rig

        yield make


@pytest.fixture
def rig(make_rig):
    return make_rig().start()


def syn(port, source="10.0.0.5", destination="10.0.0.9", sport=40000):
    return Ether() / IP(src=source, dst=destination) / TCP(sport=sport, dport=port, flags="S")


def scan(rig, ports, **kwargs):
    for port in ports:
        rig.feed.send(syn(port, **kwargs))


# ---- what is told ----


def test_port_scan_is_told_with_its_evidence(rig):
    rig.rules("port_scan")
    scan(rig, range(1, 20))
    wait_for(lambda: rig.counter("packets") == 19, 10)
    assert rig.dataplane.alerts == []
    scan(rig, [20])
    alert = rig.alert("port_scan")
    assert (alert["vni"], alert["inspection"], alert["instance"], alert["port_index"]) == (VNI, "watch", 11, 7)
    assert (alert["source"], alert["targets"], alert["count"]) == ("10.0.0.5", ["10.0.0.9"], 20)
    flow = alert["evidence"]["flow"]
    assert flow == {"protocol": 6, "source": "10.0.0.5", "source_port": 40000, "target": "10.0.0.9", "target_port": 20}
    packets = list(PcapNgReader(io.BytesIO(base64.b64decode(alert["evidence"]["packets"]))))
    assert [bytes(p) for p in packets] == [bytes(syn(port)) for port in range(1, 21)]
    # Once in a window, however long it goes on.
    scan(rig, range(21, 300))
    wait_for(lambda: rig.counter("packets") == 299, 10)
    assert len(rig.dataplane.alerts) == 1


def test_each_detector_speaks(rig):
    """One true case each, through the whole process; what each counts is tests/bpf/test_detect.c's."""
    rig.rules(
        {"type": "host_scan", "threshold": 5},
        {"type": "syn_flood", "threshold": 30},
        {"type": "icmp_sweep", "threshold": 5},
        {"type": "first_contact", "window_s": 1},
        "indicator",
        {"type": "beacon", "threshold": 4},
        {"type": "volume", "threshold": 1},
        {"type": "dns_tunnel", "threshold": 8},
        indicators=[{"list": "bad", "entries": ["203.0.113.66", "2001:db8:bad::/48"]}],
    )
    for host in range(10, 16):
        rig.feed.send(syn(22, source="10.0.1.1", destination=f"10.0.0.{host}"))
        rig.feed.send(Ether() / IP(src="10.0.1.2", dst=f"10.0.0.{host}") / ICMP(id=9))
    # Up to the packet that was one too many.
    assert sorted(rig.alert("host_scan")["targets"]) == [f"10.0.0.{host}" for host in range(10, 15)]
    assert sorted(rig.alert("icmp_sweep")["targets"]) == [f"10.0.0.{host}" for host in range(10, 15)]

    for sport in range(1000, 1040):
        rig.feed.send(syn(80, source=f"198.51.100.{sport % 200}", sport=sport), sender=OUTSIDE)
    flood = rig.alert("syn_flood")
    assert flood["port_index"] is None and flood["targets"] == ["10.0.0.9"]

    rig.feed.send(Ether() / IPv6(src="fd00::5", dst="2001:db8:bad::1") / TCP(dport=443, flags="S"))
    contact = rig.alert("indicator")
    assert (contact["source"], contact["targets"]) == ("fd00::5", ["2001:db8:bad::1"])
    assert contact["evidence"]["list"] == "bad"

    big = Ether() / IP(src="10.0.1.4", dst="198.51.100.7", len=65000) / TCP(sport=5, dport=443, flags="PA") / bytes(60)
    for _ in range(18):
        rig.feed.send(big, flags=0)
    assert rig.alert("volume")["source"] == "10.0.1.4"

    for i in range(8):
        name = f"{i:02d}{'abcdefgh' * 4}.tunnel.example"
        query = Ether() / IP(src="10.0.1.5", dst="10.0.0.53") / UDP(sport=4000 + i, dport=53) / DNS(qd=DNSQR(qname=name))
        rig.feed.send(query)
    assert rig.alert("dns_tunnel")["targets"] == ["10.0.0.53"]

    # Learning is over by now or soon: a new pair each time until one is told.
    pairs = iter(range(1, 250))

    def new_pair():
        rig.feed.send(syn(22, source="10.0.1.6", destination=f"10.0.3.{next(pairs)}"))
        return "first_contact" in rig.dataplane.kinds()

    wait_for(new_pair, 15, interval_s=0.1)

    sports = iter(range(20000, 30000))

    def call_home():
        rig.feed.send(syn(443, source="10.0.1.7", destination="198.51.100.99", sport=next(sports)))
        return "beacon" in rig.dataplane.kinds()

    # Even intervals as far as this machine is: the detector allows for a sixth.
    wait_for(call_home, 30, interval_s=0.5)
    assert rig.alert("beacon")["targets"] == ["198.51.100.99"]


def test_answers_clear_a_suspicion(rig):
    """A monitor that asks many hosts at once: they answer, as hosts do, a little later."""
    rig.rules({"type": "icmp_sweep", "threshold": 8}, {"type": "host_scan", "threshold": 8})
    hosts = [f"10.0.0.{i}" for i in range(20, 40)]
    # Stopped, it sees the event only when the answers are there: however slow this machine is, they are in time.
    os.kill(rig.daemon.pid, signal.SIGSTOP)
    try:
        for host in hosts:
            rig.feed.send(Ether() / IP(src="10.0.2.1", dst=host) / ICMP(id=1))
        for host in hosts:
            rig.feed.send(Ether() / IP(src=host, dst="10.0.2.1") / ICMP(type=0, id=1), flags=ANSWER)
    finally:
        os.kill(rig.daemon.pid, signal.SIGCONT)
    wait_for(lambda: rig.status()["alerts"]["answered"] >= 1, 10)
    assert rig.dataplane.alerts == []
    for host in hosts:
        rig.feed.send(Ether() / IP(src="10.0.2.2", dst=host) / ICMP(id=2))
    assert rig.alert("icmp_sweep")["source"] == "10.0.2.2"
    assert rig.dataplane.kinds() == ["icmp_sweep"]


def test_rules_follow_the_dataplane(rig):
    rig.rules({"type": "port_scan", "threshold": 5})
    scan(rig, range(1, 6), source="10.0.0.1")
    rig.alert("port_scan")
    rig.rules("indicator")
    scan(rig, range(1, 200), source="10.0.0.2")
    wait_for(lambda: rig.counter("packets") >= 204, 10)
    # A flow that runs is compared again when a list changes.
    rig.feed.send(syn(443, destination="192.0.2.66"))
    wait_for(lambda: rig.counter("packets") >= 205, 10)
    rig.rules("indicator", indicators=[{"list": "new", "entries": ["192.0.2.64/28"]}])
    rig.feed.send(Ether() / IP(src="10.0.0.5", dst="192.0.2.66") / TCP(sport=40000, dport=443, flags="A"), flags=0)
    assert rig.alert("indicator")["evidence"]["list"] == "new"
    assert rig.dataplane.kinds() == ["port_scan", "indicator"]
    # What another VPC lists is nothing to this one.
    indicators = [{"list": "theirs", "entries": ["192.0.2.128/28"]}, {"list": "ours", "entries": ["192.0.2.160/28"]}]
    vpcs = [{"vni": vni, "vpc": f"v{vni}", "lists": lists, "detectors": [{"inspection": "watch", "type": "indicator"}]}
            for vni, lists in ((VNI, ["ours"]), (VNI + 1, ["theirs"]))]  # fmt: skip
    rig.rules("indicator", vpcs=vpcs, indicators=indicators)
    for vni, last in ((VNI, 129), (VNI + 1, 161), (VNI + 1, 130), (VNI, 162)):
        rig.feed.send(syn(443, destination=f"192.0.2.{last}", sport=last), vni=vni)
    wait_for(lambda: len(rig.dataplane.alerts) == 4, 10)
    assert [(a["vni"], a["targets"], a["evidence"]["list"]) for a in rig.dataplane.alerts[2:]] == [
        (VNI + 1, ["192.0.2.130"], "theirs"),
        (VNI, ["192.0.2.162"], "ours"),
    ]
    # A VPC that is no longer inspected is not looked at.
    rig.rules("port_scan", vpcs=[])
    scan(rig, [1])
    wait_for(lambda: rig.counter("foreign") >= 1, 10)


# ---- restarts and losses ----


def test_killed_it_keeps_its_tables(rig):
    """Programs go on without it; the next one finds what they counted."""
    rig.rules("port_scan")
    scan(rig, range(1, 9))
    wait_for(lambda: rig.counter("packets") == 8, 10)
    rig.daemon.kill()
    scan(rig, range(9, 17))
    rig.start()
    assert rig.counter("packets") == 16
    rig.rules("port_scan")
    assert rig.status()["interfaces"][0]["mode"] == "xdp", "it knows its own program"
    scan(rig, range(17, 21))
    assert rig.alert("port_scan")["count"] == 20
    assert rig.counter("packets") == 20


def test_feed_of_a_new_dataplane(rig):
    """The dataplane and its TAP go and come back."""
    rig.rules("port_scan")
    rig.dataplane.stop()
    rig.feed.close()
    wait_for(lambda: not rig.status()["dataplane"], 10)
    rig.feed.open()
    rig.dataplane.start()
    wait_for(lambda: rig.status()["dataplane"], 10)
    sources = iter(range(1, 250))

    def heard():
        # A whole scan by a source each time: the one that was under way when it was attached counts for too little.
        scan(rig, range(1, 30), source=f"10.0.5.{next(sources)}")
        return rig.dataplane.alerts

    wait_for(heard, 20, interval_s=0.2)
    assert rig.dataplane.kinds()[0] == "port_scan"


def test_a_port_is_of_the_run_that_numbered_it(rig):
    """What was seen before the dataplane went is told with that one's instance, whenever it is told; what goes on is told anew."""
    rig.rules("port_scan", {"type": "icmp_sweep", "threshold": 5})
    os.kill(rig.daemon.pid, signal.SIGSTOP)
    try:
        scan(rig, range(1, 30))
        # This one is looked at again, later.
        for host in range(10, 16):
            rig.feed.send(Ether() / IP(src="10.0.1.2", dst=f"10.0.0.{host}") / ICMP(id=9))
        rig.dataplane.stop()
        rig.feed.close()
        rig.feed.open()
        rig.dataplane.answer.update(instance=12)
        rig.dataplane.start()
    finally:
        os.kill(rig.daemon.pid, signal.SIGCONT)
    for detector in ("port_scan", "icmp_sweep"):
        alert = rig.alert(detector)
        assert (alert["instance"], alert["port_index"]) == (11, 7)
    wait_for(lambda: rig.status()["dataplane"] and rig.status()["interfaces"][0]["attached"], 10)
    scan(rig, range(30, 40))
    again = rig.alert("port_scan", 2)
    assert (again["instance"], again["port_index"], again["source"]) == (12, 7, "10.0.0.5")


def test_a_dataplane_that_knows_nothing_yet(rig):
    """It has been started and not been told its state: what was asked for before holds."""
    revision = rig.dataplane.rules("port_scan")
    wait_for(lambda: rig.status()["revision"] == revision, 10)
    asked, before = rig.dataplane.asked, rig.dataplane.answer
    rig.dataplane.stop()
    rig.dataplane.answer = {**before, "revision": 0, "interface": None, "vpcs": []}
    rig.dataplane.start()
    wait_for(lambda: rig.dataplane.asked > asked, 10)
    assert rig.status()["vpcs"] == 1 and rig.status()["revision"] == revision
    rig.dataplane.answer = before
    rig.dataplane.rules("port_scan")
    wait_for(lambda: rig.status()["revision"] > 0 and rig.status()["interfaces"][0]["attached"], 10)


def test_alerts_wait_for_the_dataplane(rig):
    rig.rules("port_scan")
    rig.dataplane.stop()
    wait_for(lambda: not rig.status()["dataplane"], 10)
    scan(rig, range(1, 30))
    wait_for(lambda: rig.status()["alerts"]["raised"] == 1, 10)
    assert rig.dataplane.alerts == []
    rig.dataplane.start()
    rig.alert("port_scan")


def test_full_ring_is_counted(make_rig):
    """Nobody reads events for a while: some are lost, that is counted and said, less is looked at; then it recovers."""
    rig = make_rig(capacity={"events_kb": 4}).start()
    entries = [f"203.0.113.{i}" for i in range(1, 100)]
    rig.rules("indicator", indicators=[{"list": "bad", "entries": entries}], sample=1000)
    os.kill(rig.daemon.pid, signal.SIGSTOP)
    try:
        for entry in entries:
            rig.feed.send(syn(443, destination=entry))
    finally:
        os.kill(rig.daemon.pid, signal.SIGCONT)
    lost = wait_for(lambda: rig.counter("events_lost"), 10)
    events = rig.counter("events")
    assert 0 < events < 99 and events + lost == 99
    wait_for(lambda: rig.dataplane.kinds().count("indicator") == events, 10)
    wait_for(lambda: "the ring of events was full" in rig.daemon.log_text(), 10)
    wait_for(lambda: rig.status()["sampling"] == 1, 15)
    rig.feed.send(syn(443, source="10.0.0.77", destination=entries[0]))
    rig.alert("indicator", events + 1)


# ---- ports of the kernel ----


def test_interface_of_a_port(make_rig):
    """A veth that is a port's: both directions are looked at, and pass."""
    rig = make_rig(interfaces=[{"ifname": "port0", "vni": VNI, "port": "web1"}])
    machine = Namespace(f"vpct-{os.getpid()}-machine")
    try:
        veth(rig.ns, "port0", machine, "eth0")
        rig.ns.ip("addr add 10.9.0.1/24 dev port0")
        machine.ip("addr add 10.9.0.2/24 dev eth0")
        rig.start()
        rig.rules("port_scan", {"type": "icmp_sweep", "threshold": 5})
        wait_for(lambda: all(i["attached"] for i in rig.status()["interfaces"]), 10)
        machine.run("ping", "-c", "1", "-W", "5", "10.9.0.1")
        before = rig.counter("packets")
        assert before >= 2, "request and answer"

        def connect_all():
            for port in range(1, 40):
                with socket.socket() as s, contextlib.suppress(OSError):
                    s.settimeout(5)
                    s.connect(("10.9.0.1", port))

        machine.call(connect_all)
        alert = rig.alert("port_scan")
        assert (alert["source"], alert["port"]) == ("10.9.0.2", "web1") and "port_index" not in alert
        assert rig.dataplane.kinds() == ["port_scan"]
        # Taken out of the configuration, the next start leaves the interface alone.
        rig.daemon.stop()
        rig.settings["interfaces"] = []
        rig.write()
        rig.start()
        assert "bpf" not in rig.ns.run("tc", "filter", "show", "dev", "port0", "ingress").stdout
    finally:
        machine.delete()


def test_foreign_program_stays(make_rig, tmp_path):
    """An XDP program of somebody else on the feed's interface: it stays, and TC is used."""
    rig = make_rig()
    source = tmp_path / "pass.c"
    source.write_text('__attribute__((section("xdp"), used)) int f(void *c) { return 2; }\n')
    run(["clang", "-O2", "-target", "bpf", "-c", source, "-o", tmp_path / "pass.o"])
    rig.ns.ip(f"link set dev feed0 xdp obj {tmp_path / 'pass.o'} sec xdp")
    rig.start()
    rig.rules("port_scan")
    assert rig.status()["interfaces"][0]["mode"] == "tc"
    scan(rig, range(1, 30))
    rig.alert("port_scan")
    rig.daemon.stop()
    assert "xdp" in rig.ns.run("ip", "link", "show", "feed0").stdout


# ---- what it may, and what it says when it can not ----


def test_few_capabilities(rig):
    with open(f"/proc/{rig.daemon.pid}/status", encoding="utf-8") as f:
        status = dict(re.findall(r"^(\w+):\s*(.*)$", f.read(), re.MULTILINE))
    with open("/usr/include/linux/capability.h", encoding="utf-8") as f:
        number = {name: int(n) for name, n in re.findall(r"^#define (CAP_\w+)\s+(\d+)$", f.read(), re.MULTILINE)}
    expected = sum(1 << number[name] for name in ("CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"))
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapBnd"], 16) == expected
    assert status["NoNewPrivs"] == "1"


def fails(rig, *prefix):
    """Starts it where it cannot run; returns what it says. The feed's interface is not touched."""
    done = subprocess.run(
        rig.ns.argv([*prefix, *rig.daemon.argv]), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "xdp" not in rig.ns.run("ip", "link", "show", "feed0").stdout
    return done.stderr


def test_what_it_lacks_is_said(make_rig, tmp_path):
    rig = make_rig()
    for capability in ("cap_bpf", "cap_net_admin"):
        told = fails(rig, "capsh", f"--drop={capability}", "--", "-c", 'exec "$0" "$@"')
        assert "needs CAP_BPF and CAP_NET_ADMIN" in told, told
    told = fails(rig, "unshare", "-m", "sh", "-c", 'mount -t tmpfs none /sys/kernel/btf && exec "$0" "$@"')
    assert re.search(r"this kernel lacks a feature .*BTF.*since_linux=", told), told
    rig.settings["pin"] = str(tmp_path / "nowhere")
    rig.write()
    assert "is on no BPF file system: mount -t bpf" in fails(rig)


def test_program_that_cannot_be_loaded(make_rig, tmp_path):
    rig = make_rig()
    rig.settings["object"] = str(tmp_path / "object.o")
    rig.write()
    (tmp_path / "object.o").write_bytes(os.urandom(1000))
    assert "the programs cannot be read" in fails(rig)
    source = tmp_path / "bad.c"
    source.write_text('__attribute__((section("xdp"), used)) int f(int *c) { return c[1000]; }\n')
    run(["clang", "-O2", "-target", "bpf", "-c", source, "-o", tmp_path / "object.o"])
    told = fails(rig)
    assert "this kernel does not load the programs" in told or "verifier refuses the programs" in told, told
    assert "invalid bpf_context access" in told, "the verifier's reason"


def test_relocations_for_debians_cloud_kernel(tmp_path):
    """What the programs ask of kernel types has an answer in that kernel, too."""
    try:
        vmlinuz, _ = guest.kernel()
    except guest.Unavailable as e:
        pytest.skip(str(e))
    if shutil.which("lz4") is None:
        pytest.skip("lz4 is not installed (scripts/setup)")
    (tmp_path / "btf").write_bytes(kernel_btf(vmlinuz))
    test = os.path.join(build_dir(), "tests", "bpf", "test_bpf_relocations")
    done = run([test], check=False, env={**os.environ, "VPC_KERNEL_BTF": str(tmp_path / "btf")})
    if done.returncode == 77:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr


def test_hostile_frames_do_no_harm(rig, rng):
    rig.rules("port_scan", "host_scan", "dns_tunnel")
    for _ in range(500):
        frame = bytearray(bytes(syn(80) if rng.random() < 0.5 else Ether() / ARP()))
        for _ in range(rng.randrange(6)):
            frame[rng.randrange(len(frame))] = rng.randrange(256)
        rig.feed.send(bytes(frame[: rng.randrange(1, len(frame))]))
        os.write(rig.feed.fd, rng.randbytes(rng.randrange(14, 200)))
    scan(rig, range(1, 30), source="10.0.0.99")
    wait_for(lambda: "10.0.0.99" in [a["source"] for a in rig.dataplane.alerts], 10)
    assert rig.counter("not_feed") > 0 and rig.counter("truncated") > 0
