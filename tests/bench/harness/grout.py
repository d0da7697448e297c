# SPDX-License-Identifier: Apache-2.0
"""grout, the DPDK graph router, of Debian sid in a chroot: tests/bench/grout-chroot makes it. One worker alone on CPU 1.

It has no stateful policy and no balancer: forwarding, tunnels and translation of sources.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time

from lib import Namespace  # see __init__.py
from lib.netns import PREFIX

from . import cell as C
from .device import Counts, frames

CHROOT = os.environ.get("BENCH_GROUT") or "/var/tmp/vpc-bench/sid"
PLUGIN = "/opt/librte_net_flowgen.so"  # in the chroot
NEW_FLOWS = 1 << 22  # connections that it has room for where flows begin
MACS = "02:00:00:00:00:bb"  # whose frames leave by the sink


class Grout:
    name = "grout"
    title = "grout"

    @staticmethod
    def version():
        done = subprocess.run(["chroot", CHROOT, "dpkg-query", "-W", "-f", "${Version}", "grout"], capture_output=True, text=True, check=False)
        return done.stdout or None

    @staticmethod
    def missing():
        if os.path.exists(f"{CHROOT}/usr/bin/grout") and os.path.exists(CHROOT + PLUGIN):
            return None
        return "no chroot with it (tests/bench/grout-chroot makes one, if Debian sid can be reached)"

    @staticmethod
    def why_not(cell):
        if cell.case not in ("l3", "encap", "decap", "snat"):
            return "not a case of grout here: it has no stateful policy, no balancer"
        if cell.family == 6:
            return "measured with IPv4"
        return None

    def __init__(self, cell, **options):
        self.cell = cell
        self.dump = options.get("dump")
        self.child = None
        self.ns = Namespace(f"{PREFIX}-{os.getpid()}-grout")
        # Device arguments are few for grout: 128 characters.
        self.dir = tempfile.mkdtemp(prefix="g", dir=f"{CHROOT}/tmp")
        self.inside = self.dir[len(CHROOT) :]
        self.mounts = []
        try:
            self._start()
            self._network()
            self.sink = Counts(f"{self.dir}/k")
        except BaseException:
            self.close()
            raise

    def _mount(self, *argv):
        subprocess.run(["mount", *argv], check=True)
        self.mounts.append(argv[-1])

    def _start(self):
        self._mount("-t", "proc", "proc", f"{CHROOT}/proc")
        self._mount("-t", "sysfs", "sys", f"{CHROOT}/sys")
        self._mount("--bind", "/dev", f"{CHROOT}/dev")
        self._mount("--bind", "/dev/hugepages", f"{CHROOT}/dev/hugepages")
        # `ip netns exec` would mount /sys anew.
        self.enter = ["nsenter", f"--net=/run/netns/{self.ns.name}", "chroot", CHROOT]
        self.socket = f"{self.inside}/s"
        self.log = open(f"{self.dir}/log", "w", encoding="utf-8")  # pylint: disable=consider-using-with
        env = dict(os.environ, GROUT_MAX_CONNTRACKS=str(NEW_FLOWS if self.cell.fresh else max(16384, 2 * self.cell.flows)))
        argv = ["grout", "-p", "-M", ":0", "-s", self.socket, "--", "-d", PLUGIN, "--no-pci", "--file-prefix", os.path.basename(self.dir)]
        self.child = subprocess.Popen(self.enter + argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=env)
        self.pid = self.child.pid
        end = time.monotonic() + 30
        while not os.path.exists(CHROOT + self.socket):
            if self.child.poll() is not None or time.monotonic() > end:
                with open(f"{self.dir}/log", encoding="utf-8") as f:
                    raise RuntimeError("grout does not start: " + f.read()[-1500:])
            time.sleep(0.1)
        self._cli("affinity cpus set control 0 datapath 1")

    def _cli(self, command):
        argv = [*self.enter, "grcli", "-e", "-s", self.socket, *command.split()]
        for _ in range(50):
            done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
            # An interface that was made just now is not there yet for the next command.
            if "ENONET" not in done.stdout + done.stderr:
                break
            time.sleep(0.1)
        if done.returncode:
            raise RuntimeError(f"grcli {command}: {done.stdout}{done.stderr}")
        return done.stdout

    def _source(self, mac, dmac=None):
        """The device packets come from, in few words: what is the device's default is not said."""
        cell = self.cell
        first, to, count = cell.addresses()
        flows = cell.ever_new or f"flows={cell.flows},sips={min(count, cell.flows)}"
        words = [f"net_flowgen0,mac={mac},{flows}", C.FAIR]
        if cell.size != 60:
            words.append(f"size={cell.size}")
        if (first, to) != (C.SOURCE[0], C.DESTINATION[0]):
            words.append(f"src={first},dst={to}")
        if cell.case in C.FROM_TUNNEL:
            words.append(f"vni={C.VNI}")
        if dmac:
            words.append(f"dmac={dmac}")
        if cell.fresh and not cell.ever_new:
            words.append(f"fresh={cell.fresh}")
        return ",".join(words)

    def _network(self):
        case = self.cell.case
        sink = f"net_flowgen1,rx=0,mac=02:00:00:00:00:03,count={self.inside}/k"
        if self.dump:
            sink += f",dump={self.inside}/d,dumpn=8,dumpskip=100"
        if case == "encap":
            self._encap(sink)
        elif case == "decap":
            self._decap(sink)
        else:
            self._routed(sink)

    def _routed(self, sink):
        case = self.cell.case
        self._cli(f"interface add port p1 devargs {sink} up")
        self._cli("address add 10.9.0.1/24 iface p1")
        self._cli(f"nexthop add l3 iface p1 address 10.9.0.2 mac {MACS}")
        for prefix in ("10.2.0.0/16", "203.0.0.0/15"):
            self._cli(f"route add {prefix} via 10.9.0.2")
        if case == "snat":
            self._snat()
        self._cli(f"interface add port p0 devargs {self._source(C.DESTINATION_MAC)} up")
        self._cli("address add 10.1.255.254/16 iface p0")

    def _snat(self):
        """A policy has one address, good for 64 K flows to one destination: the sources are shared out."""
        length = 24 if self.cell.flows <= 30000 else 26 if self.cell.flows <= 200000 else 28
        step = 1 << (32 - length)
        for number, low in enumerate(range(0, 2 + (C.MACHINES if self.cell.ever_new else C.SOURCES), step)):
            self._cli(f"address add 198.18.1.{1 + number}/32 iface p1")
            self._cli(f"snat44 add interface p1 subnet 10.1.{low // 256}.{low % 256}/{length} replace 198.18.1.{1 + number}")

    def _encap(self, sink):
        self._cli(f"interface add port p1 devargs {sink} up")
        self._cli(f"address add {C.VTEP}/24 iface p1")
        self._cli("interface add bridge br0 up")
        self._cli(f"interface add vxlan vx0 vni {C.VNI} local {C.VTEP} domain br0 up")
        # Over a route: a VTEP in the connected subnet would wait for its neighbour at each packet.
        self._cli(f"nexthop add l3 iface p1 address 172.16.0.9 mac {C.FAR_VTEP_MAC}")
        self._cli(f"route add {C.FAR_VTEP}/32 via 172.16.0.9")
        self._cli(f"flood vtep add {C.FAR_VTEP} vni {C.VNI}")
        self._cli(f"fdb add {MACS} iface vx0 vtep {C.FAR_VTEP}")
        self._cli(f"interface add port p0 devargs {self._source(C.DESTINATION_MAC, MACS)} domain br0 up")

    def _decap(self, sink):
        self._cli("interface add bridge br0 up")
        self._cli(f"interface add port p1 devargs {sink} domain br0 up")
        self._cli(f"interface add port p0 devargs {self._source(C.VTEP_MAC, MACS)} up")
        self._cli(f"address add {C.VTEP}/24 iface p0")
        self._cli(f"nexthop add l3 iface p0 address {C.FAR_VTEP} mac {C.FAR_VTEP_MAC}")
        self._cli(f"interface add vxlan vx0 vni {C.VNI} local {C.VTEP} domain br0 up")
        self._cli(f"flood vtep add {C.FAR_VTEP} vni {C.VNI}")
        self._cli(f"fdb add {MACS} iface p1")

    # -- while it runs

    def taken(self):
        return self.sink.taken()

    def sessions(self):
        return None

    def describe(self):
        return json.dumps(self._cli("interface stats")[-800:])

    def frames(self):
        return frames(f"{self.dir}/d")

    def close(self):
        if self.child is not None and self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(15)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        if hasattr(self, "log"):
            self.log.close()
        for path in reversed(self.mounts):
            subprocess.run(["umount", path], check=False)
        self.mounts = []
        shutil.rmtree(self.dir, ignore_errors=True)
        self.ns.delete()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
