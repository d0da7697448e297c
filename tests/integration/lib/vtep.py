# SPDX-License-Identifier: Apache-2.0
"""VTEPs that somebody else runs: a Linux host with a kernel VXLAN device, one with Open vSwitch."""

import os

from .machine import Machine
from .process import end, run
from .wait import wait_for

UNDERLAY_IF = "under0"
UNDERLAY = {"ipv4": ("192.0.2.{}", 24), "ipv6": ("2001:db8:ff::{}", 64)}
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


class ForeignVtep:
    """A host on the fabric that is a node without an RPC socket."""

    def __init__(self, cloud, name, number):
        self.cloud = cloud
        self.name = name
        self.ns = cloud.namespace(name)
        pattern, self.prefix = UNDERLAY[cloud.underlay]
        self.address = pattern.format(number)
        self.nodad = "nodad" if cloud.underlay == "ipv6" else ""
        cloud.plug(self.ns, f"p-{name}"[:15])
        cloud.vteps.append(self)
        self.make()
        cloud.create("node", name=name, vtep=self.address)

    def configure(self, ns, device, port):
        """Gives a device the port's addresses and default routes."""
        subnet = self.cloud.get("subnet", port["subnet"])
        ns.ip(f"link set {device} address {port['mac']}", f"link set {device} up")
        for address in port["addresses"]:
            family6 = ":" in address
            cidr = subnet["cidr6"] if family6 and subnet.get("cidr6") else subnet["cidr"]
            gateway = subnet["gateway6"] if family6 and subnet.get("gateway6") else subnet["gateway"]
            ns.ip(
                f"addr add {address}/{cidr.split('/')[1]} dev {device} {'nodad' if family6 else ''}",
                f"route add default via {gateway} dev {device}",
            )

    def port(self, name, subnet, fields):
        return self.cloud.create("port", name=name, subnet=subnet, node=self.name, attachment={"type": "none"}, **fields)

    def stop(self):
        pass


class KernelVtep(ForeignVtep):
    """Linux with a VXLAN device."""

    DEVICE = "vx0"

    def __init__(self, cloud, name, number, vni, mtu):
        """mtu: of the VXLAN device, the VPC's."""
        self.vni, self.mtu = vni, mtu
        super().__init__(cloud, name, number)

    def make(self):
        flags = "udp6zerocsumrx" if self.cloud.underlay == "ipv6" else ""
        self.ns.ip(
            f"addr add {self.address}/{self.prefix} dev {UNDERLAY_IF} {self.nodad}",
            f"link add {self.DEVICE} mtu {self.mtu} type vxlan id {self.vni} local {self.address} dev {UNDERLAY_IF} "
            f"dstport 4789 {flags}",
            f"link set {self.DEVICE} up",
        )
        for host in self.cloud.hosts.values():
            self.ns.run("bridge", "fdb", "append", "00:00:00:00:00:00", "dev", self.DEVICE, "dst", host.address)

    def machine(self, name, subnet, **fields):
        """A port of the VPC on this VTEP; its namespace is the VTEP's own, its interface the VXLAN device."""
        machine = Machine(self.cloud, name, self.ns, self.DEVICE)
        machine.port = self.port(name, subnet, fields)
        self.configure(self.ns, self.DEVICE, machine.port)
        self.cloud.machines[name] = machine
        return machine


class OvsVtep(ForeignVtep):
    """Open vSwitch with its userspace datapath, in directories of its own.

        machine: eth0 --- br-int --- vx0 ))) br-phy (the VTEP's address) --- under0
    """

    def __init__(self, cloud, name, number, vni):
        self.vni = vni
        self.dir = os.path.join(cloud.dir, f"ovs-{name}")
        self.processes = []
        super().__init__(cloud, name, number)

    def _start(self, program, *words):
        log = os.path.join(self.dir, f"{program}.log")
        process = self.ns.popen(
            program, *words, f"--unixctl={self.dir}/{program}.ctl", f"--log-file={log}", "-vconsole:off",
            env={**os.environ, "OVS_RUNDIR": self.dir, "OVS_DBDIR": self.dir, "OVS_LOGDIR": self.dir},
        )  # fmt: skip
        self.processes.append(process)
        return process

    def vsctl(self, *words):
        """Returns once the switch has done it."""
        return self.ns.run("ovs-vsctl", f"--db=unix:{self.dir}/db.sock", "--timeout=20", *words).stdout.strip()

    def make(self):
        os.mkdir(self.dir)
        run(["ovsdb-tool", "create", f"{self.dir}/conf.db", SCHEMA])
        self._start("ovsdb-server", f"{self.dir}/conf.db", f"--remote=punix:{self.dir}/db.sock")
        wait_for(lambda: os.path.exists(f"{self.dir}/db.sock"), 10, "ovsdb-server")
        self._start("ovs-vswitchd", f"unix:{self.dir}/db.sock", "--disable-system")
        self.ns.sysctl(net__ipv6__conf__under0__disable_ipv6=1)
        # A packet socket without offloads takes what a wire carries: frames cut apart, checksums in place.
        self.cloud.fabric.run("ethtool", "-K", f"p-{self.name}"[:15], "tx", "off", "tso", "off", "gso", "off")
        self.vsctl(
            *"--no-wait init -- add-br br-phy -- set bridge br-phy datapath_type=netdev fail_mode=standalone".split(),
            *f"-- add-port br-phy {UNDERLAY_IF}".split(),
        )
        self.vsctl(
            *"add-br br-int -- set bridge br-int datapath_type=netdev fail_mode=standalone".split(),
            *f"-- add-port br-int vx0 -- set interface vx0 type=vxlan options:key={self.vni}".split(),
            f"options:local_ip={self.address}",
            f"options:remote_ip={self.cloud.host().address}",
        )
        self.ns.ip(f"addr add {self.address}/{self.prefix} dev br-phy {self.nodad}", "link set br-phy up")

    def machine(self, name, subnet, **fields):
        """A port of the VPC on this VTEP: a namespace of its own, joined to the switch by a veth."""
        machine = self.cloud.bare_machine(name, f"{self.cloud.tag}-m-{name}")
        machine.port = self.port(name, subnet, fields)
        mtu = self.cloud.get("vpc", self.cloud.get("subnet", subnet)["vpc"])["mtu"]
        self.ns.ip(
            f"link add m-{name} mtu {mtu} type veth peer name eth0 mtu {mtu} netns {machine.ns.name}", f"link set m-{name} up"
        )
        self.ns.sysctl(**{f"net__ipv6__conf__m-{name}__disable_ipv6": 1})
        machine.run("ethtool", "-K", "eth0", "tx", "off", "tso", "off", "gso", "off")
        self.vsctl("add-port", "br-int", f"m-{name}")
        self.configure(machine.ns, "eth0", machine.port)
        return machine

    def stop(self):
        for process in reversed(self.processes):
            end(process)
