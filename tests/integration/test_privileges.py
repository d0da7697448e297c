# SPDX-License-Identifier: Apache-2.0
"""What our processes may do: no more than their units say, each of it for a reason, and all that ports need.

    host-a: vpc-dataplane, a port of each type      mgmt: vpc-controller
"""

import contextlib
import os
import re
import resource
import shutil
import socket
import subprocess
import tempfile

import pytest
from lib import wait_for
from lib.cloud import build_dir
from lib.process import end, popen

SUBNETS = {"s": {"cidr": "10.0.1.0/24"}}


def unit(name):
    """The settings of a unit: {name: [values]}."""
    settings = {}
    with open(os.path.join(build_dir(), "configs", f"{name}.service"), encoding="utf-8") as f:
        for line in f:
            key, equals, value = line.strip().partition("=")
            if equals and not line.startswith("#"):
                settings.setdefault(key, []).append(value)
    return settings


def capability_names():
    """By number, as the kernel's header has them."""
    with open("/usr/include/linux/capability.h", encoding="utf-8") as f:
        return {int(number): name for name, number in re.findall(r"^#define (CAP_\w+)\s+(\d+)$", f.read(), re.MULTILINE)}


def names_of(mask):
    known = capability_names()
    return {known.get(bit, f"CAP_{bit}") for bit in range(64) if int(mask, 16) >> bit & 1}


def where_memory_is_limited():
    """The unit has the limit of pinned memory off; where we may not do that, the dataplane keeps what stands above it."""
    try:
        limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_MEMLOCK, limit)
        return set()
    except ValueError:
        return {"CAP_IPC_LOCK"}


def threads(pid):
    """The status of each thread: {field: text}."""
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/status", encoding="utf-8") as f:
            yield dict(re.findall(r"^(\w+):\s*(.*)$", f.read(), re.MULTILINE))


# ---- a port of each type, and what it needs ----


@contextlib.contextmanager
def stranger_namespace(host):
    """A process with all capabilities in a network namespace that has no name: a container as its runtime knows it."""
    process = popen(["unshare", "--net", "sleep", "600"])
    own = os.readlink("/proc/self/ns/net")
    path = f"/proc/{process.pid}/ns/net"
    wait_for(lambda: os.readlink(path) != own and open(f"/proc/{process.pid}/comm").read().strip() == "sleep", 5)
    assert host.daemon.alive()
    try:
        yield path
    finally:
        end(process)


@contextlib.contextmanager
def monitor_socket():
    """The socket of a virtual machine's monitor that runs as another user."""
    directory = tempfile.mkdtemp(prefix="vpct-vm-", dir="/tmp")
    path = os.path.join(directory, "vm.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen(4)
        os.chown(path, 65534, 65534)
        os.chown(directory, 65534, 65534)
        os.chmod(directory, 0o700)
        try:
            yield path, listener
        finally:
            shutil.rmtree(directory)


class Ports:
    """Makes ports and says what became of them: "" is well."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.host = cloud.host()
        self.count = 0
        cloud.network("v", SUBNETS)

    def attach(self, **attachment):
        self.count += 1
        name = f"p{self.count}"
        self.cloud.call("port.create", name=name, subnet="s", node=self.host.name, attachment=attachment)
        wait_for(lambda: self.cloud.get("port", name)["status"]["state"] not in ("pending", "detached"), 10)
        status = self.cloud.get("port", name)["status"]
        self.last = name
        return status["reason"] if status["state"] == "error" else ""

    def veth(self, name):
        self.host.ns.ip(f"link add {name} type veth peer name {name}p", f"link set {name} up", f"link set {name}p up")
        return name

    def tap(self):
        return self.attach(type="tap", ifname=f"t{self.count}")

    def tap_in_namespace(self):
        return self.attach(type="tap", ifname="eth0", netns=self.cloud.namespace(f"c{self.count}").name, configure=True)

    def tap_in_container(self):
        with stranger_namespace(self.host) as path:
            return self.attach(type="tap", ifname="eth0", netns=path, configure=True)

    def packet_socket(self):
        return self.attach(type="netdev", ifname=self.veth(f"v{self.count}"), mode="af_packet")

    def xdp_socket(self):
        return self.attach(type="netdev", ifname=self.veth(f"v{self.count}"), mode="af_xdp")

    def machine_of_another_user(self):
        """It connects to the monitor's socket; whether it does is seen from the socket."""
        with monitor_socket() as (path, listener):
            reason = self.attach(type="vhost_user", socket=path, role="client")
            listener.settimeout(3)
            try:
                listener.accept()[0].close()
            except TimeoutError:
                reason = reason or "it does not connect"
            self.cloud.delete("port", self.last)
            return reason


WAYS = {
    "CAP_NET_ADMIN": "tap",
    "CAP_NET_RAW": "packet_socket",
    "CAP_SYS_ADMIN": "tap_in_namespace",
    "CAP_SYS_PTRACE": "tap_in_container",
    "CAP_DAC_OVERRIDE": "machine_of_another_user",
}


@pytest.fixture
def cloud(make_cloud):
    return make_cloud(hosts=1, underlay=None)


def test_processes_may_do_what_their_units_say(cloud):
    for name, pid in (("vpc-dataplane", cloud.host().daemon.pid), ("vpc-controller", cloud.controller.pid)):
        expected = set(" ".join(unit(name)["CapabilityBoundingSet"]).split())
        assert name == "vpc-controller" or expected == set(WAYS)
        if name == "vpc-dataplane":
            expected |= where_memory_is_limited()
        count = 0
        for status in threads(pid):
            for field in ("CapPrm", "CapEff", "CapBnd"):
                assert names_of(status[field]) == expected, f"{name}, {status['Name']}: {field}"
            for field in ("CapInh", "CapAmb"):
                assert not names_of(status[field]), f"{name}, {status['Name']}: {field}"
            assert status["NoNewPrivs"] == "1" == unit(name)["NoNewPrivileges"][0].replace("yes", "1")
            count += 1
        assert count > (1 if name == "vpc-dataplane" else 0), "workers, too"


def test_ports_of_every_type_come_while_it_runs(cloud):
    ports = Ports(cloud)
    for way in (*WAYS.values(), "xdp_socket"):
        assert getattr(ports, way)() == "", way


@pytest.mark.parametrize("capability", WAYS)
def test_each_capability_is_needed(capability, make_cloud):
    """Without it the program starts, says what fails, and goes on with the rest."""
    cloud = make_cloud(hosts=1, underlay=None, start=False)
    host = cloud.host()
    host.daemon.argv = ["capsh", f"--drop={capability.lower()}", "--", "-c", 'exec "$0" "$@"', *host.daemon.argv]
    cloud.start()
    assert all(capability not in names_of(status["CapPrm"]) for status in threads(host.daemon.pid))
    ports = Ports(cloud)
    assert getattr(ports, WAYS[capability])() != "", f"it works without {capability}"
    for other, way in (("CAP_NET_ADMIN", "tap"), ("CAP_NET_RAW", "packet_socket")):
        if other != capability:
            assert getattr(ports, way)() == "", f"{way} without {capability}"


# ---- system calls ----


def filter_names(settings):
    """The system calls that SystemCallFilter= allows: systemd's groups spelt out."""
    allowed = set()
    for line in settings["SystemCallFilter"]:
        names = expand(line.lstrip("~").split())
        allowed = allowed - names if line.startswith("~") else allowed | names
    return allowed | expand(["@default"])


def expand(words):
    names = set()
    for word in words:
        if not word.startswith("@"):
            names.add(word)
            continue
        done = subprocess.run(
            ["systemd-analyze", "syscall-filter", word], capture_output=True, text=True, timeout=30, check=True
        )
        inner = [line.strip() for line in done.stdout.splitlines()[1:]]
        names |= expand([line for line in inner if line and not line.startswith("#")])
    return names


@pytest.mark.skipif(not shutil.which("strace") or not shutil.which("systemd-analyze"), reason="needs strace and systemd")
@pytest.mark.skipif("asan" in build_dir(), reason="a sanitizer has system calls of its own")
def test_system_calls_are_among_those_of_the_units(make_cloud):
    """From the start to the end, with a port of each type."""
    cloud = make_cloud(hosts=1, underlay="ipv4", start=False)
    traces = {}
    for name, daemon in (("vpc-dataplane", cloud.host().daemon), ("vpc-controller", cloud.controller)):
        traces[name] = os.path.join(cloud.dir, f"{name}.strace")
        daemon.argv = ["strace", "-D", "-f", "-qq", "--trace=!epoll_wait", "-o", traces[name], *daemon.argv]
    cloud.start()
    ports = Ports(cloud)
    for way in (*WAYS.values(), "xdp_socket"):
        assert getattr(ports, way)() == "", way
    cloud.vpcctl("status")
    cloud.stop_controller()
    cloud.host().stop()
    for name, path in traces.items():
        with open(path, encoding="utf-8", errors="replace") as f:
            used = set(re.findall(r"^\d+ +(\w+)\(", f.read(), re.MULTILINE))
        # iopl: DPDK asks for ports of legacy PCI devices, is refused here and there, and goes on.
        used -= {"execve", "iopl"}
        assert unit(name)["SystemCallErrorNumber"] == ["EPERM"]
        assert len(used) > 30
        assert used <= filter_names(unit(name)), f"{name}: {sorted(used - filter_names(unit(name)))}"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
@pytest.mark.parametrize("name, worst", [("vpc-dataplane", 50), ("vpc-controller", 25)])
def test_units_are_hardened(name, worst):
    """systemd's own judgement: 0 is best, a unit without settings has 96."""
    path = os.path.join(build_dir(), "configs", f"{name}.service")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={worst}", path],
        **{"capture_output": True, "text": True, "timeout": 60, "check": False},
    )
    assert done.returncode == 0, done.stdout
