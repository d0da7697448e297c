# SPDX-License-Identifier: Apache-2.0
"""Open vSwitch with DPDK of Debian: one PMD thread alone on CPU 1, the rest on CPU 0.

    net_flowgen0 = p0, bridge br0, p1 = net_flowgen1      tunnels as OpenStack and OVN have them: a VXLAN port in br0,
                                                          p1 (or p0) in br-phy, which has the VTEP's address
"""

import os
import re
import shutil
import subprocess
import tempfile
import time

from . import cell as C
from .device import Counts, frames, plugin

VSWITCHD = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
IN, OUT, TUNNEL = 1, 2, 10  # OpenFlow port numbers
ZONE = 7


class Ovs:
    name = "ovs"
    title = "OVS-DPDK"

    @staticmethod
    def version():
        try:
            text = subprocess.run([VSWITCHD, "--version"], capture_output=True, text=True, check=False).stdout
        except OSError:
            return None
        found = re.search(r"Open vSwitch\) ([0-9.]+)", text)
        return found.group(1) if found else None

    @staticmethod
    def missing():
        return None if os.path.exists(VSWITCHD) else "package openvswitch-switch-dpdk is not installed"

    @staticmethod
    def why_not(cell):
        if cell.family == 6 and cell.case in ("snat", "dnat", "eip", "lb"):
            return "measured with IPv4"
        return None

    def __init__(self, cell, **options):
        self.cell = cell
        self.rules = options.get("rules", 1)
        self.dump = options.get("dump")
        self.source_extra, self.sink_extra = options.get("source", ""), options.get("sink", "")
        self.dir = tempfile.mkdtemp(prefix="ovs-", dir="/tmp")
        self.env = dict(os.environ, OVS_RUNDIR=self.dir, OVS_LOGDIR=self.dir, OVS_DBDIR=self.dir)
        self.children = []
        try:
            self._start()
            self._network()
            self.sink, self.source = Counts(f"{self.dir}/sink"), Counts(f"{self.dir}/source")
        except BaseException:
            self.close()
            raise

    # -- its programs

    def _spawn(self, *argv):
        with open(f"{self.dir}/{os.path.basename(argv[0])}.out", "w", encoding="utf-8") as out:
            child = subprocess.Popen(argv, env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.children.append(child)
        return child

    def _run(self, *argv, check=True):
        done = subprocess.run(argv, env=self.env, capture_output=True, text=True, timeout=60, check=False)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(argv)}: {done.stdout}{done.stderr}")
        return done.stdout

    def _vsctl(self, *words):
        return self._run("ovs-vsctl", "--timeout=30", f"--db=unix:{self.dir}/db.sock", *words)

    def _appctl(self, *words, check=True):
        return self._run("ovs-appctl", "--timeout=30", "-t", f"{self.dir}/vswitchd.ctl", *words, check=check)

    def _start(self):
        self._run("ovsdb-tool", "create", f"{self.dir}/conf.db", "/usr/share/openvswitch/vswitch.ovsschema")
        self._spawn("ovsdb-server", f"--remote=punix:{self.dir}/db.sock", f"--unixctl={self.dir}/db.ctl", f"{self.dir}/conf.db")
        self._await(lambda: os.path.exists(f"{self.dir}/db.sock"))
        self._vsctl("--no-wait", "init")
        settings = {
            "dpdk-init": "true",
            "pmd-cpu-mask": "0x2",
            "dpdk-lcore-mask": "0x1",
            "dpdk-socket-mem": "768",
            "dpdk-extra": f"--no-pci --no-telemetry --file-prefix={os.path.basename(self.dir)} -d {plugin()}",
        }
        for key, value in settings.items():
            self._vsctl("--no-wait", "set", "Open_vSwitch", ".", f'other_config:{key}="{value}"')
        vswitchd = self._spawn(VSWITCHD, f"unix:{self.dir}/db.sock", f"--unixctl={self.dir}/vswitchd.ctl", f"--log-file={self.dir}/log")
        self.pid = vswitchd.pid
        self._await(lambda: vswitchd.poll() is not None or "true" in self._vsctl("--no-wait", "get", "Open_vSwitch", ".", "dpdk_initialized"))
        if vswitchd.poll() is not None:
            with open(f"{self.dir}/log", encoding="utf-8") as f:
                raise RuntimeError("ovs-vswitchd: " + f.read()[-1500:])
        self._appctl("dpctl/ct-set-maxconns", "netdev@ovs-netdev", "20000000", check=False)

    @staticmethod
    def _await(condition, timeout_s=60):
        end = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError("Open vSwitch does not start")
            time.sleep(0.1)

    # -- its network

    def _network(self):
        case = self.cell.case
        self._vsctl(*"add-br br0 -- set bridge br0 datapath_type=netdev fail-mode=secure".split())
        self._flows([])
        dump = f",dump={self.dump},dumpn=8,dumpskip=100" if self.dump else ""
        source = f"net_flowgen0,{self.cell.source()},count={self.dir}/source{self.source_extra}"
        sink = f"net_flowgen1,rx=0,count={self.dir}/sink{dump}{self.sink_extra}"
        if case in C.TO_TUNNEL + C.FROM_TUNNEL:
            self._tunnel()
        out_bridge = "br-phy" if case in C.TO_TUNNEL else "br0"
        in_bridge = "br-phy" if case in C.FROM_TUNNEL else "br0"
        self._port(out_bridge, "p1", OUT, sink)
        if case in C.TO_TUNNEL + C.FROM_TUNNEL:
            self._appctl("ovs/route/add", "172.16.0.0/24", "br-phy", check=False)
            known = "tnl/neigh/set" if "tnl/neigh/set" in self._appctl("list-commands") else "tnl/arp/set"
            self._appctl(known, "br-phy", C.FAR_VTEP, C.FAR_VTEP_MAC)
        self._appctl("dpctl/ct-set-maxconns", "netdev@ovs-netdev", "20000000", check=False)
        # Flows first, then the source: nothing of it is to be seen by the wrong ones.
        self._flows(self._pipeline(TUNNEL if case in C.FROM_TUNNEL else IN, TUNNEL if case in C.TO_TUNNEL else OUT))
        self._port(in_bridge, "p0", IN, source)
        self._appctl("dpctl/ct-set-maxconns", "netdev@ovs-netdev", "20000000", check=False)

    def _port(self, bridge, name, number, devargs):
        self._vsctl(
            *f"add-port {bridge} {name} -- set Interface {name} type=dpdk ofport_request={number}".split(), f"options:dpdk-devargs={devargs}"
        )
        error = self._vsctl("get", "Interface", name, "error").strip()
        if error not in ("[]", '""'):
            raise RuntimeError(f"port {name}: {error}")

    def _tunnel(self):
        self._vsctl(*f"add-br br-phy -- set bridge br-phy datapath_type=netdev other-config:hwaddr={C.VTEP_MAC}".split())
        self._run("ip", "addr", "replace", f"{C.VTEP}/24", "dev", "br-phy")
        self._run("ip", "link", "set", "br-phy", "up")
        options = f"type=vxlan ofport_request={TUNNEL} options:remote_ip={C.FAR_VTEP} options:key={C.VNI}"
        self._vsctl(*f"add-port br0 vx0 -- set Interface vx0 {options}".split())

    def _flows(self, flows):
        path = f"{self.dir}/flows"
        with open(path, "w", encoding="ascii") as f:
            f.write("\n".join(["priority=0,actions=drop", *flows]) + "\n")
        self._run("ovs-ofctl", "-O", "OpenFlow15", "replace-flows", f"unix:{self.dir}/br0.mgmt", path)

    def _pipeline(self, came, out):
        """What a router with such a service does, as OVN would say it."""
        case, six = self.cell.case, self.cell.family == 6
        ip, hop = ("ipv6", "set_field:{}->eth_src") if six else ("ip", "set_field:{}->eth_src")
        if case in ("encap", "decap"):
            return [f"in_port={came},actions=output:{out}"]
        routed = f"{hop.format('02:00:00:00:00:aa')},set_field:02:00:00:00:00:bb->eth_dst,dec_ttl"
        if case == "l3":
            prefix = "ipv6,ipv6_dst=fd00:2::/64" if six else "ip,nw_dst=10.2.0.0/16"
            return [f"priority=10,in_port={came},{prefix},actions={routed},output:{out}"]
        new = f"ct(commit,zone={ZONE}{{}}),output:{out}"
        old = f"priority=10,table=1,in_port={came},ct_state=+trk+est,{ip},actions=output:{out}"
        nat = case in ("snat", "dnat", "eip", "lb")
        first = f"priority=10,in_port={came},{ip},actions=ct(table=1,zone={ZONE}{',nat' if nat else ''})"
        if nat:
            ranges = {"snat": "nat(src=198.18.1.1-198.18.1.32:1024-65535)", "eip": "nat(src=198.18.1.1)", "dnat": f"nat(dst={C.DESTINATION[0]}:80)"}
        if case == "lb":
            self._group()
            chosen = f"priority=10,table=2,in_port={came},actions=output:{out}"
            return [first, old, f"priority=10,table=1,in_port={came},ct_state=+trk+new,{ip},actions=group:1", chosen]
        if case == "eip":
            each = [
                f"priority=10,table=1,in_port={came},ct_state=+trk+new,ip,nw_src=10.1.0.{2 + n},actions="
                + new.format(f",nat(src=198.18.1.{1 + n})")
                for n in range(16)
            ]
            # A flow that nobody has answered is new, and translated already.
            again = f"priority=9,table=1,in_port={came},ct_state=+trk+new,ip,nw_src={C.POOL},actions=output:{out}"
            return [first, old, *each, again]
        if nat:
            return [first, old, f"priority=10,table=1,in_port={came},ct_state=+trk+new,{ip},actions=" + new.format("," + ranges[case])]
        proto = ("udp6", "tcp6") if six else ("udp", "tcp")
        allowed = [f"priority=10,table=1,in_port={came},ct_state=+trk+new,{p},tp_dst=80,actions=" + new.format("") for p in proto]
        others = [
            f"priority=9,table=1,in_port={came},ct_state=+trk+new,udp,nw_src=10.{100 + n % 100}.{n // 100 % 256}.0/24,tp_dst={2000 + n % 50000},"
            + ("actions=drop" if n // 2 % 2 else "actions=" + new.format(""))
            for n in range(self.rules - 1)
        ]
        back = []
        if "client" in self.source_extra:
            # The way back of a conversation.
            other = OUT if came == IN else IN
            back = [
                f"priority=10,in_port={other},{ip},actions=ct(table=1,zone={ZONE})",
                f"priority=10,table=1,in_port={other},ct_state=+trk+est,{ip},actions=output:{came}",
            ]
        return [first, old, *allowed, *others, *back]

    def _group(self):
        buckets = ",".join(
            f"bucket=bucket_id={n},weight=100,actions=ct(commit,table=2,zone={ZONE},nat(dst={address}:80))"
            for n, address in enumerate(C.BACKENDS)
        )
        group = f"group_id=1,type=select,selection_method=dp_hash,{buckets}"
        self._run("ovs-ofctl", "-O", "OpenFlow15", "add-group", f"unix:{self.dir}/br0.mgmt", group)

    # -- while it runs

    def taken(self):
        return self.sink.taken()

    def sessions(self):
        return int(self._appctl("dpctl/ct-get-nconns", "netdev@ovs-netdev").split()[-1])

    def describe(self):
        return self._appctl("dpif-netdev/pmd-stats-show", check=False)[:800] + self._appctl("dpctl/dump-flows", "netdev@ovs-netdev", check=False)[:800]

    def frames(self):
        return frames(self.dump)

    def close(self):
        if self.children and self.children[-1].poll() is None and len(self.children) > 1:
            try:
                self._appctl("exit", "--cleanup", check=False)
                self.children[-1].wait(20)
            except (subprocess.TimeoutExpired, OSError):
                pass
        for child in reversed(self.children):
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(10)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
        self.children = []
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
