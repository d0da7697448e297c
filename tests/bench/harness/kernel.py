# SPDX-License-Identifier: Apache-2.0
"""The Linux kernel as a router with nftables, conntrack and a vxlan device, all of it on CPU 1.

    kerngen -> r0 (receive path of a veth) -> routes, nftables, vxlan -> k0 (an ifb that counts and frees)

The kernel takes no DPDK device: kerngen has it make the same frames itself, as if r0 had received them (BPF_F_TEST_XDP_LIVE_FRAMES).
"""

import json
import os
import platform
import subprocess
import tempfile
import time

from lib import Namespace  # see __init__.py
from lib.netns import PREFIX

from . import ROOT
from . import cell as C

NEXT_HOP, NEXT_HOP_MAC = ("10.9.0.2", "fd00:9::2"), "02:00:00:00:00:bb"
CONNTRACKS = 4000000


def setting(path, value=None):
    """Of the kernel as a whole; with a value: set."""
    with open(path, "r" if value is None else "w", encoding="ascii") as f:
        return f.read().strip() if value is None else f.write(str(value))


class Kernel:
    name = "kernel"
    title = "Linux"
    settings = {"/proc/sys/net/netfilter/nf_conntrack_max": CONNTRACKS, "/sys/module/nf_conntrack/parameters/hashsize": 1 << 20}

    @staticmethod
    def version():
        return platform.release()

    @staticmethod
    def missing():
        return None if os.path.exists(f"{Kernel.folder()}/kerngen") else "kerngen is not built (clang, libbpf-dev)"

    @staticmethod
    def folder():
        return os.path.join(ROOT, os.environ.get("VPC_BUILD") or "build-bench", "tests", "bench")

    @staticmethod
    def why_not(cell):
        if cell.family == 6 and cell.case in ("snat", "dnat", "eip", "lb"):
            return "measured with IPv4"
        return None

    def __init__(self, cell, **options):
        self.cell = cell
        self.rules = options.get("rules", 1)
        self.dump = options.get("dump")
        self.child, self.old = None, {}
        self.ns = Namespace(f"{PREFIX}-{os.getpid()}-kern")
        self.log = tempfile.TemporaryFile()
        try:
            self._network()
            self._spawn()
        except BaseException:
            self.close()
            raise

    def _network(self):
        cell, ns, six = self.cell, self.ns, self.cell.family == 6
        tunnel = cell.case in C.FROM_TUNNEL + C.TO_TUNNEL
        if not six:
            # What the devices would say of themselves is none of the case's frames.
            ns.run("sysctl", "-qw", *(f"net.ipv6.conf.{i}.disable_ipv6=1" for i in ("all", "default")))
        ns.ip("link add g0 type veth peer name r0", "link set g0 up")
        mac = C.VTEP_MAC if cell.case in C.FROM_TUNNEL else C.OUTSIDE_MAC if cell.case in C.FROM_OUTSIDE else C.DESTINATION_MAC
        ns.ip(f"link set r0 address {mac} mtu 3400 up", "link add k0 txqueuelen 0 mtu 9000 type ifb", "link set k0 up")
        ns.run("tc", "qdisc", "replace", "dev", "k0", "root", "noqueue", check=False)
        forwarding = ("ipv4/ip_forward", "ipv6/conf/all/forwarding")
        for key, value in [(k, 1) for k in forwarding] + [(f"ipv4/conf/{i}/rp_filter", 0) for i in ("all", "default", "r0")]:
            ns.run("sysctl", "-qw", f"net.{key.replace('/', '.')}={value}", check=False)
        out = "k0"
        if tunnel:
            end = "r0" if cell.case in C.FROM_TUNNEL else "k0"
            ns.ip(f"addr add {C.VTEP}/24 dev {end}", f"neigh replace {C.FAR_VTEP} lladdr {C.FAR_VTEP_MAC} dev {end} nud permanent")
            ns.ip(f"link add vx0 mtu 3200 type vxlan id {C.VNI} local {C.VTEP} remote {C.FAR_VTEP} dstport 4789 nolearning")
            ns.ip(f"link set vx0 address {C.DESTINATION_MAC} up")
            out = "vx0" if cell.case in C.TO_TUNNEL else "k0"
        inside = "vx0" if cell.case in C.FROM_TUNNEL else "r0"
        ns.ip(f"addr add {'fd00:1::ffff/64 nodad' if six else '10.1.255.254/16'} dev {inside}")
        if cell.case in C.FROM_OUTSIDE:
            ns.ip(f"addr add {C.OUTSIDE}/15 dev r0", f"route add {C.AFAR}/32 dev r0")
        ns.ip(f"addr add {'fd00:9::1/64 nodad' if six else '10.9.0.1/24'} dev {out}")
        hop = NEXT_HOP[six]
        ns.ip(f"neigh replace {hop} lladdr {NEXT_HOP_MAC} dev {out} nud permanent")
        for prefix in ["fd00:2::/64"] if six else ["10.2.0.0/16", "10.4.0.0/16"] + ([f"{C.AFAR}/32"] if cell.case in C.TO_OUTSIDE else []):
            ns.ip(f"route add {prefix} via {hop} dev {out}")
        rules = self._rules(inside)
        if rules:
            with tempfile.NamedTemporaryFile("w", suffix=".nft") as f:
                f.write(rules)
                f.flush()
                ns.run("nft", "-f", f.name)

    def _rules(self, inside):
        case, six = self.cell.case, self.cell.family == 6
        family = "ip6" if six else "ip"
        if not self.cell.stateful:
            return None
        others = "".join(
            f"udp dport {2000 + n % 50000} ip saddr 10.{100 + n % 100}.{n // 100 % 256}.0/24 ct state new {'drop' if n // 2 % 2 else 'accept'}\n"
            for n in range(self.rules - 1)
        )
        came = inside if case not in C.FROM_OUTSIDE else "r0"
        text = f"""table {family} fw {{
 chain forward {{ type filter hook forward priority 0; policy drop;
  ct state established,related accept
  {others}iifname "{came}" udp dport 80 ct state new accept
 }}
}}
"""
        spread = ", ".join(f"{n} : {address}" for n, address in enumerate(C.BACKENDS))
        own = ", ".join(f"10.1.0.{2 + n} : 198.18.1.{1 + n}" for n in range(16))
        nat = {
            "snat": ("postrouting", "srcnat", "ip saddr 10.1.0.0/16 snat to 198.18.1.1-198.18.1.32"),
            "eip": ("postrouting", "srcnat", f"snat to ip saddr map {{ {own} }}"),
            "dnat": ("prerouting", "dstnat", f"ip daddr {C.FORWARDED} udp dport 80 dnat to {C.DESTINATION[0]}:80"),
            "lb": ("prerouting", "dstnat", f"ip daddr {C.VIP} udp dport 80 dnat to jhash ip saddr . udp sport mod {len(C.BACKENDS)} map {{ {spread} }}"),
        }.get(case)
        if nat:
            text += f"table ip nat {{\n chain c {{ type nat hook {nat[0]} priority {nat[1]};\n  {nat[2]}\n }}\n}}\n"
        if case in C.TO_TUNNEL + C.FROM_TUNNEL:
            # The tunnel's own flows are not the tenants'.
            text += "table ip raw {\n chain o { type filter hook output priority raw; udp dport 4789 notrack; }\n"
            text += " chain p { type filter hook prerouting priority raw; udp dport 4789 notrack; }\n}\n"
        return text

    def _spawn(self):
        for path, value in self.settings.items():
            if os.path.exists(path):
                self.old[path] = setting(path)
                setting(path, value)
        mac = C.OUTSIDE_MAC if self.cell.case in C.FROM_OUTSIDE else None
        args = self.cell.source(mac, fair=None).split(",")
        argv = ["taskset", "-c", "1", f"{self.folder()}/kerngen", f"{self.folder()}/kerngen.bpf.o", "r0", *args]
        # The sink counts what it is given; a dump is the kernel's own look at it.
        self.tap = None
        if self.dump:
            listen = ["tcpdump", "-i", "k0", "-p", "-c", "8", "-w", self.dump, "-U"]
            self.tap = subprocess.Popen(["ip", "netns", "exec", self.ns.name, *listen], stderr=subprocess.PIPE)
            self.tap.stderr.readline()
        self.child = subprocess.Popen(["ip", "netns", "exec", self.ns.name, *argv], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.pid = self.child.pid
        time.sleep(0.3)
        if self.child.poll() is not None:
            self.log.seek(0)
            raise RuntimeError("kerngen: " + self.log.read().decode()[-500:])

    # -- while it runs

    def taken(self):
        shown = subprocess.run(["ip", "-n", self.ns.name, "-s", "-j", "link", "show", "k0"], capture_output=True, check=True).stdout
        return json.loads(shown)[0]["stats64"]["rx"]["packets"]

    def sessions(self):
        return int(self.ns.run("sysctl", "-n", "net.netfilter.nf_conntrack_count").stdout)

    def describe(self):
        return self.ns.run("ip", "-s", "link").stdout[-1200:]

    def frames(self):
        from .device import frames  # pylint: disable=import-outside-toplevel

        self.tap.wait(10)
        return frames(self.dump)

    def close(self):
        for child in (self.child, getattr(self, "tap", None)):
            if child is not None and child.poll() is None:
                child.terminate()
                child.wait()
            if child is not None and child.stderr is not None:
                child.stderr.close()
        self.ns.delete()
        for path, value in self.old.items():
            setting(path, value)
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
