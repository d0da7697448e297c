# SPDX-License-Identifier: Apache-2.0
"""Virtual machines: QEMU, its own CPU in software (TCG), so that no test depends on KVM.

The guest runs Debian's cloud kernel with an initramfs of busybox and the virtio modules. The kernel is not installed:
its package is downloaded once and unpacked into a cache directory (VPC_TEST_CACHE, else /var/cache/vpc-tests).

    cd tests/integration && /usr/bin/python3 -m lib.guest      fills the cache and prints where (scripts/setup does)
"""

import fcntl
import glob
import hashlib
import os
import platform
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time

from .wait import deadline

CACHE = os.environ.get("VPC_TEST_CACHE", "/var/cache/vpc-tests")
META_PACKAGE = "linux-image-cloud-amd64"
QEMU = "qemu-system-x86_64"
BUSYBOX = "/bin/busybox"
# In the order of their needs.
MODULES = (
    "virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci failover net_failover virtio_net"
).split()
MEMORY_MB = 256

# Commands come by the serial line, one a line; there is no shell prompt to be told from their output.
INIT = """#!/bin/busybox sh
export PATH=/bin HOME=/
/bin/busybox mkdir -p /dev /proc /sys /tmp
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t tmpfs tmp /tmp
/bin/busybox --install -s /bin
exec </dev/ttyS0 >/dev/ttyS0 2>&1
stty -echo
for m in %s; do insmod /modules/$m.ko || echo "no module $m"; done
ip link set lo up
echo guest is ready
while read -r line; do eval "$line"; done
poweroff -f
"""

# As Debian's example for udhcpc; what was offered stays in /tmp/lease.
UDHCPC = """#!/bin/sh
[ "$1" = bound ] || exit 0
env >/tmp/lease
ip addr add $ip/$mask dev $interface
ip link set dev $interface mtu ${mtu:-1500}
ip route add ${router%% *} dev $interface 2>/dev/null
ip route add default via ${router%% *} dev $interface
"""


class Unavailable(Exception):
    """No guest can run here; the text says why."""


def _output(*command, **kwargs):
    return subprocess.run(command, check=True, capture_output=True, **kwargs).stdout


def _download(directory):
    """The package file of Debian's newest cloud kernel."""
    try:
        depends = _output("apt-cache", "depends", META_PACKAGE, text=True)
        package = re.search(r"Depends: (linux-image-\S+)", depends)
        if package is None:
            raise Unavailable(f"apt knows no {META_PACKAGE}: run apt-get update")
        _output("apt-get", "download", package.group(1), cwd=directory, text=True)
    except subprocess.CalledProcessError as e:
        raise Unavailable(f"{META_PACKAGE} can not be downloaded: {e.stderr.strip()}") from e
    return glob.glob(f"{directory}/*.deb")[0]


def _unpack(package, root):
    tar = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
    wanted = ["./boot/vmlinuz-*"] + [f"*/{module}.ko" for module in MODULES]
    _output("tar", "-C", root, "-xf", "-", "--wildcards", *wanted, stdin=tar.stdout)
    assert tar.wait() == 0


def _initramfs(root, path):
    tree = os.path.join(root, "initramfs")
    for folder in ("bin", "modules"):
        os.makedirs(os.path.join(tree, folder))
    shutil.copy(BUSYBOX, f"{tree}/bin/busybox")
    for module in MODULES:
        shutil.copy(glob.glob(f"{root}/lib/modules/**/{module}.ko", recursive=True)[0], f"{tree}/modules")
    for name, text in (("init", INIT % " ".join(MODULES)), ("bin/udhcpc.script", UDHCPC)):
        with open(f"{tree}/{name}", "w", encoding="ascii") as f:
            f.write(text)
        os.chmod(f"{tree}/{name}", 0o755)
    files = "\n".join(os.path.relpath(p, tree) for p in glob.glob(f"{tree}/**", recursive=True) if p != f"{tree}/")
    with open(path, "wb") as f:
        f.write(_output(BUSYBOX, "cpio", "-o", "-H", "newc", input=files.encode(), cwd=tree))


def _fill(directory):
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        package = _download(work)
        _unpack(package, work)
        made = os.path.join(work, "made")
        os.mkdir(made)
        shutil.move(glob.glob(f"{work}/boot/vmlinuz-*")[0], f"{made}/vmlinuz")
        _initramfs(work, f"{made}/initramfs")
        os.rename(made, directory)


def kernel():
    """(kernel, initramfs), from the cache or made now; Unavailable."""
    if platform.machine() != "x86_64":
        raise Unavailable(f"the guest is an x86 one, this is {platform.machine()}")
    for program in (QEMU, BUSYBOX):
        if shutil.which(program) is None:
            raise Unavailable(f"{program} is not installed (scripts/setup)")
    os.makedirs(CACHE, exist_ok=True)
    made_of = INIT + UDHCPC + " ".join(MODULES)
    directory = os.path.join(CACHE, "guest-" + hashlib.sha256(made_of.encode()).hexdigest()[:8])
    with open(f"{CACHE}/lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(directory):
            _fill(directory)
    return f"{directory}/vmlinuz", f"{directory}/initramfs"


class Guest:
    """A running virtual machine with one network device at a vhost-user socket.

    role    of the port: "server" or "client"; QEMU takes the other one, and connects again after it lost us
    """

    def __init__(self, popen, path, mac, role="server", queues=1):
        vmlinuz, initramfs = kernel()
        chardev = f"socket,id=c0,path={path}," + ("reconnect=1" if role == "server" else "server=on,wait=off")
        multi = ",mq=on" if queues > 1 else ""
        # fmt: off
        self.process = popen([
            QEMU, "-machine", "q35,accel=tcg", "-m", str(MEMORY_MB), "-smp", str(min(queues, 2)), "-nodefaults",
            "-display", "none", "-no-reboot", "-serial", "stdio",
            # The dataplane maps the guest's memory.
            "-object", f"memory-backend-memfd,id=m,size={MEMORY_MB}M,share=on", "-numa", "node,memdev=m",
            "-chardev", chardev, "-netdev", f"vhost-user,id=n0,chardev=c0,queues={queues}",
            # vectors=0: QEMU 7.2 crashes with MSI-X, a vhost-user device and no KVM.
            "-device", f"virtio-net-pci,netdev=n0,mac={mac},romfile=,vectors=0{multi}",
            "-kernel", vmlinuz, "-initrd", initramfs, "-append", "console=ttyS0 quiet panic=-1 mitigations=off",
        ], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=False)
        # fmt: on
        self.said = ""
        self._commands = 0

    def wait_says(self, pattern, timeout_s):
        """Until QEMU or the guest's serial line has said the pattern; its match."""
        end = deadline(timeout_s)
        fd = self.process.stdout.fileno()
        while (match := re.search(pattern, self.said)) is None:
            ready, _, _ = select.select([fd], [], [], max(0, end - time.monotonic()))
            data = os.read(fd, 65536) if ready else b""
            assert data, f"the guest did not say {pattern!r} in {timeout_s} s but: {self.said[-2000:]}"
            self.said += data.decode(errors="replace").replace("\r", "")
        return match

    def wait_ready(self, timeout_s=90):
        self.wait_says("guest is ready\n", timeout_s)

    def start(self, command):
        """Sends a command; finish() waits for its end."""
        self._commands += 1
        self.said = ""
        self.process.stdin.write(f"{command}; echo end-{self._commands}-$?\n".encode())
        self.process.stdin.flush()

    def finish(self, timeout_s=60, check=True):
        """The output of the command that was started."""
        match = self.wait_says(rf"end-{self._commands}-(\d+)\n", timeout_s)
        out = self.said[: match.start()]
        assert not check or match.group(1) == "0", out
        return out

    def run(self, command, timeout_s=60, check=True):
        self.start(command)
        return self.finish(timeout_s, check)

    def dhcp(self):
        """Asks for a lease with busybox's client and uses it; what was offered, by name."""
        self.run("ip link set eth0 up; udhcpc -i eth0 -n -q -f -t 10 -T 1 -O mtu -s /bin/udhcpc.script")
        lines = self.run("cat /tmp/lease").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


if __name__ == "__main__":
    try:
        print(*kernel())
    except Unavailable as e:
        sys.exit(str(e))
