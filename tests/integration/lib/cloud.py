# SPDX-License-Identifier: Apache-2.0
"""Hosts with a dataplane each, the underlay between them, a controller, and the machines of tenants.

        mgmt: vpc-controller                      (Unix sockets in the run directory reach every namespace)

        host-a: vpc-dataplane      host-b: vpc-dataplane      …
           | under0 192.0.2.1         | under0 192.0.2.2
           +-----------+--------------+
                   fabric: bridge br0

        machine "web": eth0 = a TAP of its host's dataplane
"""

import atexit
import ipaddress
import json
import os
import shutil
import sys
import tempfile
import time

import yaml

from .machine import Machine
from .netns import PREFIX, Namespace, existing, reap, veth
from .outside import Outside
from .packet import Wire
from .process import Daemon, run
from .rpc import Rpc
from .vtep import UNDERLAY, UNDERLAY_IF, KernelVtep, OvsVtep
from .wait import wait_for

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", ".."))
SANITIZER_ENV = {
    "ASAN_OPTIONS": os.environ.get("VPC_ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0:exitcode=99"),
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=98",
}
SANITIZER_MARKS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:")


def build_dir():
    """The build directory under test: VPC_BUILD, relative to the tree."""
    return os.path.join(ROOT, os.environ.get("VPC_BUILD") or "build")


def program(name):
    """Path of one of our programs in the build directory under test."""
    folder = {"vpc-dataplane": "dataplane", "vpc-controller": "controller", "vpcctl": "cli", "vpc-inspectd": "ebpf"}[name]
    path = os.path.join(build_dir(), folder, name)
    assert os.path.exists(path), f"{path} is not built"
    return path


def workers():
    """CPUs of the forwarding threads: VPC_WORKERS, "1" or "0,1" …"""
    return [int(cpu) for cpu in (os.environ.get("VPC_WORKERS") or "1").split(",")]


def merge(base, extra):
    """base with extra's keys over it, mappings merged in depth."""
    merged = dict(base)
    for key, value in (extra or {}).items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            value = merge(merged[key], value)
        merged[key] = value
    return merged


def write_yaml(path, value):
    with open(path, "w", encoding="utf-8") as f:
        yaml.safe_dump(value, f, sort_keys=False)


class Host:
    """One host: a namespace with an underlay interface and a dataplane."""

    def __init__(self, cloud, name, number):
        self.cloud = cloud
        self.name = name
        self.ns = cloud.namespace(name)
        self.address = None
        self.rpc_path = os.path.join(cloud.dir, f"{name}.sock")
        self.config_path = os.path.join(cloud.dir, f"{name}.yaml")
        config = {
            "node": name,
            "rpc": self.rpc_path,
            "workers": workers(),
            "main_cpu": 0,
            # Without hugepages: a result must not depend on who else is using the few there are.
            "memory": {"hugepages": "never", "size_mb": 256},
            "eal": [f"--file-prefix={cloud.tag}-{name}"],
        }
        if cloud.underlay:
            pattern, prefix = UNDERLAY[cloud.underlay]
            self.address = pattern.format(number)
            cloud.plug(self.ns, f"p-{name}"[:15])
            # Nobody but the dataplane speaks on it: the kernel has no address there and stays silent.
            self.ns.sysctl(**{f"net__ipv6__conf__{UNDERLAY_IF}__disable_ipv6": 1})
            config["underlay"] = {"ifname": UNDERLAY_IF, "address": f"{self.address}/{prefix}", "mtu": cloud.mtu}
        self.config = merge(config, cloud.node_config)
        argv = [program("vpc-dataplane"), "-c", self.config_path, "--log-level", cloud.log_level]
        self.daemon = Daemon(name, argv, self.ns, cloud.dir, SANITIZER_ENV, cloud.detach)

    def __repr__(self):
        return self.name

    def listen_tls(self, authority, number):
        """Before the start: it is programmed by TLS, over a link of its own between mgmt and its namespace."""
        ours, its = f"198.18.{number}.1", f"198.18.{number}.2"
        veth(self.cloud.mgmt, f"to-{self.name}"[:15], self.ns, "mgmt0", 1500)
        self.cloud.mgmt.ip(f"addr add {ours}/24 dev {f'to-{self.name}'[:15]}")
        self.ns.ip(f"addr add {its}/24 dev mgmt0")
        identity = authority.issue(self.name, f"DNS:{self.name}", "serverAuth")
        self.config["rpc"] = f"tls://{its}:9471"
        self.config["tls"] = {"cert": identity.cert, "key": identity.key, "ca": authority.ca, "clients": ["controller"]}
        self.config.setdefault("state", os.path.join(self.cloud.dir, f"{self.name}.state"))
        if "tls" not in self.cloud.controller_config:
            own = authority.issue("controller", usage="clientAuth")
            self.cloud.controller_config["tls"] = {"cert": own.cert, "key": own.key, "ca": authority.ca}
        for node in self.cloud.controller_config["nodes"]:
            if node["name"] == self.name:
                node["rpc"] = self.config["rpc"]
        return self

    def is_ready(self):
        if "tls" not in self.config:
            return self.cloud.answers(self.rpc_path)
        return self.ns.run("ss", "-Hltn", "sport = 9471").stdout.strip() != ""

    def vtep(self):
        return {"vtep": self.address} if self.address else {}

    def start(self):
        write_yaml(self.config_path, self.config)
        self.daemon.start(self.is_ready)
        return self

    def stop(self):
        return self.daemon.stop()

    def kill(self):
        self.daemon.kill()

    def restart(self):
        """A clean stop and a new start; returns once the controller sees it again and it obeys."""
        self.stop()
        self.start()
        self.cloud.wait_converged()

    def rpc(self):
        """A connection to its southbound socket."""
        return Rpc(self.rpc_path)

    def wire(self):
        """Raw frames on the fabric's end of its underlay link: hears what it sends, sends what it hears."""
        return Wire(self.cloud.fabric, f"p-{self.name}"[:15])

    def status(self):
        """Its entry in the controller's status."""
        return next(node for node in self.cloud.call("status")["nodes"] if node["name"] == self.name)


class Cloud:
    """Everything a test needs; a context manager that leaves nothing behind.

    hosts           how many dataplanes (host-a, host-b, …); 0: a controller alone
    underlay        "ipv4", "ipv6" or None (a dataplane without underlay); VPC_UNDERLAY where a test does not care
    mtu             of the underlay
    node_config     laid over every node.yaml
    controller_config  laid over controller.yaml
    outside         {name: [gateway hosts]}: outside networks, see outside.py; then cloud.outside[name]
    detach          processes outlive us (scripts/demo with KEEP=1)
    """

    live = []
    _count = 0

    def __init__(
        self,
        hosts=2,
        underlay=os.environ.get("VPC_UNDERLAY") or "ipv4",
        mtu=1600,
        node_config=None,
        controller_config=None,
        outside=None,
        start=True,
        tag=None,
        detach=False,
        log_level="info",
    ):
        reap()
        Cloud._count += 1
        self.tag = tag or f"{PREFIX}-{os.getpid()}-{Cloud._count}"
        self.dir = tempfile.mkdtemp(prefix=f"{self.tag}-", dir="/tmp")
        self.underlay = underlay if hosts else None
        self.mtu = mtu
        self.node_config = node_config
        self.detach = detach
        self.log_level = log_level
        self.namespaces = []
        self.hosts = {}
        self.machines = {}
        self.vteps = []
        self.outside = {}
        self.fabric = None
        self.controller = None
        self._rpc = None
        self._stopped = False
        Cloud.live.append(self)
        atexit.register(self._at_exit)
        try:
            self._make(hosts, controller_config)
            for name, gateways in (outside or {}).items():
                self.add_outside(name, gateways)
            if start:
                self.start()
        except BaseException:
            self.close(check=False)
            raise

    def _make(self, hosts, controller_config):
        if self.underlay:
            self.fabric = self.namespace("fabric")
            self.fabric.ip(
                "link add br0 type bridge mcast_snooping 0 stp_state 0",
                f"link set br0 mtu {self.mtu} up",
            )
            self.fabric.sysctl(net__ipv6__conf__all__disable_ipv6=1)
        for number in range(1, hosts + 1):
            name = f"host-{chr(ord('a') + number - 1)}"
            self.hosts[name] = Host(self, name, number)
        self.mgmt = self.namespace("mgmt")
        self.socket_path = os.path.join(self.dir, "controller.sock")
        self.controller_config_path = os.path.join(self.dir, "controller.yaml")
        config = {
            "listen": self.socket_path,
            "http": "127.0.0.1:9470",
            "http_token_file": os.path.join(self.dir, "tokens"),
            "store": f"sqlite:{self.dir}/state.db",
            "nodes": [{"name": h.name, "rpc": h.rpc_path, **h.vtep()} for h in self.hosts.values()],
            "audit_log": os.path.join(self.dir, "audit.jsonl"),
        }
        with open(config["http_token_file"], "w", encoding="utf-8") as tokens:
            tokens.write("tester test-token\n")
        os.chmod(config["http_token_file"], 0o600)
        self.controller_config = merge(config, controller_config)
        argv = [program("vpc-controller"), "-c", self.controller_config_path, "--log-level", self.log_level]
        self.controller = Daemon("controller", argv, self.mgmt, self.dir, SANITIZER_ENV, self.detach)

    # -- building blocks

    def namespace(self, name):
        ns = Namespace(f"{self.tag}-{name}")
        self.namespaces.append(ns)
        return ns

    def plug(self, namespace, port):
        """Connects a namespace to the fabric: under0 inside, `port` on the bridge."""
        veth(self.fabric, port, namespace, UNDERLAY_IF, self.mtu)
        self.fabric.ip(f"link set {port} master br0")

    def add_outside(self, name, hosts, **options):
        """An outside network with a link to each of these hosts, before they start; options are Outside's."""
        network = self.outside[name] = Outside(self, name, hosts, len(self.outside), **options)
        return network

    def host(self, name=None):
        """A host by name ("host-a" or "a"); the first without one."""
        if name is None:
            return next(iter(self.hosts.values()))
        return self.hosts.get(name) or self.hosts[f"host-{name}"]

    @staticmethod
    def answers(path):
        """True when a server accepts on a Unix socket."""
        try:
            Rpc(path).close()
            return True
        except OSError:
            return False

    # -- its processes

    def start(self):
        for host in self.hosts.values():
            host.start()
        self.start_controller()
        return self

    def start_controller(self):
        write_yaml(self.controller_config_path, self.controller_config)
        self.controller.start(lambda: self.answers(self.socket_path))
        self.wait_converged()

    def stop_controller(self):
        self._disconnect()
        return self.controller.stop()

    def kill_controller(self):
        self._disconnect()
        self.controller.kill()

    def _disconnect(self):
        if self._rpc:
            self._rpc.close()
            self._rpc = None

    def wait_converged(self, timeout_s=10):
        """Until every dataplane is connected and forwards by the newest revision."""

        def converged():
            return all(
                node["connected"] and node["revision"]["desired"] == node["revision"]["applied"]
                for node in self.call("status")["nodes"]
                if node["name"] in self.hosts and self.hosts[node["name"]].daemon.alive()
            )

        wait_for(converged, timeout_s, lambda: f"dataplanes obey: {json.dumps(self.call('status'))}")

    # -- the API

    def connect(self):
        """A connection of one's own to the controller."""
        return Rpc(self.socket_path)

    def call(self, method, **params):
        """The result of a call to the controller, or RpcError."""
        if self._rpc is None:
            self._rpc = self.connect()
        try:
            return self._rpc.call(method, **params)
        except (ConnectionError, BrokenPipeError, TimeoutError):
            self._disconnect()
            raise

    def create(self, kind, **fields):
        return self.call(f"{kind}.create", **fields, wait=True)

    def get(self, kind, name):
        return self.call(f"{kind}.get", name=name)

    def list(self, kind, **filters):
        """All objects of a kind, over every page."""
        items, cursor = [], None
        while True:
            page = self.call(f"{kind}.list", **filters, **({"cursor": cursor} if cursor else {}))
            items += page["items"]
            cursor = page["cursor"]
            if not cursor:
                return items

    def update(self, kind, name, **fields):
        return self.call(f"{kind}.update", name=name, **fields, wait=True)

    def delete(self, kind, *names):
        which = {"name": names[0]} if len(names) == 1 else {"names": list(names)}
        return self.call(f"{kind}.delete", **which, wait=True)

    def apply(self, resources, **params):
        """resources: a list of objects with `kind`, or the path of a YAML stream of such."""
        if isinstance(resources, str):
            with open(resources, encoding="utf-8") as f:
                resources = [document for document in yaml.safe_load_all(f) if document]
        return self.call("apply", resources=resources, **{"wait": True, **params})

    def vpcctl(self, *words, check=True, stdin=None):
        """Runs vpcctl against this controller; its CompletedProcess. Machines' names etc. go as they are."""
        return run([program("vpcctl"), "--socket", self.socket_path, *words], check=check, stdin=stdin)

    def http(self, path, *curl_words, token=None):
        """Asks the controller's HTTP port with curl; its CompletedProcess."""
        auth = ["-H", f"Authorization: Bearer {token}"] if token else []
        url = f"http://{self.controller_config['http']}{path}"
        return self.mgmt.run("curl", "-sS", "--max-time", "10", *auth, *curl_words, url, check=False)

    # -- what tenants have

    def network(self, name, subnets, tenant="default", **fields):
        """A VPC with its subnets ({name: {"cidr":, "cidr6":}}) and a group NAME-open that lets everything in.

        The VPC's ranges are the /16 and /48 around the subnets' unless fields say otherwise.
        """
        ranges = set()
        for subnet in subnets.values():
            for cidr in subnet.values():
                if "/" in str(cidr):
                    network = ipaddress.ip_network(cidr)
                    ranges.add(str(network.supernet(new_prefix=16 if network.version == 4 else 48)))
        vpc = self.create("vpc", **{"name": name, "tenant": tenant, "cidrs": sorted(ranges), **fields})
        for subnet, its in subnets.items():
            self.create("subnet", name=subnet, vpc=name, **its)
        rules = [{"direction": "ingress", "protocol": "any"}]
        self.create("security_group", name=f"{name}-open", tenant=tenant, rules=rules)
        return vpc

    def machine(self, name, subnet, host=None, ra=False, raw=False, attachment=None, **fields):
        """A machine with a TAP port in a subnet, on a host (the first by default), configured and reachable.

        fields: further fields of the port. attachment: laid over the TAP's. ra: it takes router advertisements.
        raw: its kernel has no address and says nothing, so that a test plays the machine by wire() alone.
        """
        machine = self.bare_machine(name, f"{self.tag}-m-{name}", ra=ra)
        tap = {"type": "tap", "ifname": "eth0", "netns": machine.ns.name, "configure": not raw}
        if raw:
            machine.ns.sysctl(net__ipv6__conf__default__disable_ipv6=1, net__ipv6__conf__all__disable_ipv6=1)
        machine.port = self.create(
            "port",
            name=name,
            subnet=subnet,
            node=self.host(host).name,
            attachment=merge(tap, attachment),
            **fields,
        )
        self.port_attached(machine)
        if raw:
            machine.ns.ip(f"link set dev {machine.ifname} up")
        return machine

    def bare_machine(self, name, namespace_name, ra=False):
        """The namespace of a machine, without a port."""
        ns = Namespace(namespace_name, ra=ra)
        self.namespaces.append(ns)
        machine = self.machines[name] = Machine(self, name, ns)
        return machine

    def port_attached(self, machine, timeout_s=5):
        """Waits until the machine's port is active and its interface stands in it."""

        def attached():
            machine.port = self.get("port", machine.name)
            return machine.port["status"]["state"] == "active" and machine.ifname in machine.ns.links()

        wait_for(attached, timeout_s, lambda: f"port {machine.name} is attached: {json.dumps(machine.port)}")
        return machine

    def kernel_vtep(self, name, vni, mtu=1500):
        """A Linux host with a kernel VXLAN device; also makes the node."""
        return KernelVtep(self, name, 100 + len(self.namespaces), vni, mtu)

    def ovs_vtep(self, name, vni):
        """A host with Open vSwitch; also makes the node."""
        return OvsVtep(self, name, 100 + len(self.namespaces), vni)

    # -- what it says about itself

    def drops(self, **filters):
        """{reason: packets} over all nodes, once every packet they have taken is accounted for (an answer may be heard
        before the packet it answers is counted as dropped)."""
        end = time.monotonic() + 1
        while any(self.imbalance(n) for n in self.call("status")["nodes"] if n["packets"]) and time.monotonic() < end:
            pass
        reasons = {}
        for item in self.call("drops.list", **filters)["items"]:
            reasons[item["reason"]] = reasons.get(item["reason"], 0) + item["packets"]
        return reasons

    @staticmethod
    def imbalance(node):
        """What conservation misses in a node's status: 0 when every packet is accounted for."""
        p = node["packets"]
        dropped = sum(p["dropped"].values())
        return p["received"] + p["generated"] - p["sent"] - dropped - p["consumed"] - p["held"]

    def check_conservation(self, timeout_s=5):
        """received + generated = sent + dropped + consumed + held on every node, once traffic is quiet."""
        if not self.controller.alive():
            return
        names = {name for name, host in self.hosts.items() if host.daemon.alive()}

        def balances():
            status = self.call("status")
            return {n["name"]: self.imbalance(n) for n in status["nodes"] if n["name"] in names and n["connected"]}

        wait_for(
            lambda: not any(balances().values()),
            timeout_s,
            lambda: f"conservation of packets; missing: {balances()}\n{json.dumps(self.call('status')['nodes'], indent=1)}",
        )

    def check_alive(self):
        """No daemon has died or been told off by a sanitizer."""
        for daemon in self.daemons():
            if daemon.process is not None and not daemon.alive() and not daemon.expected_dead:
                raise AssertionError(f"{daemon.name} died ({daemon.process.returncode}):\n{daemon.log_tail()}")
            marks = [mark for mark in SANITIZER_MARKS if mark in daemon.log_text()]
            assert not marks, f"{daemon.name}: {marks[0]}:\n{daemon.log_tail(80)}"

    def daemons(self):
        return [h.daemon for h in self.hosts.values()] + ([self.controller] if self.controller else [])

    def diagnose(self, out=sys.stderr):
        """What somebody wants to see who has to find out why a test failed."""

        def section(title, make):
            try:
                text = make()
            except Exception as e:  # pylint: disable=broad-except
                text = f"({type(e).__name__}: {e})"
            print(f"---- {self.tag}: {title}\n{text}", file=out)

        if self.controller and self.controller.alive():
            self._disconnect()
            section("status", lambda: json.dumps(self.call("status"), indent=1))
            section("drops", lambda: json.dumps(self.call("drops.list")["items"], indent=1))
            section("sessions", lambda: json.dumps(self.call("session.list", limit=50)["items"], indent=1))
            section("events", lambda: json.dumps(self.call("event.list")["items"][-20:], indent=1))
        for machine in self.machines.values():
            section(f"machine {machine.name}", lambda m=machine: m.run("ip", "-br", "addr").stdout)
        for daemon in self.daemons():
            section(f"log of {daemon.name}", daemon.log_tail)

    # -- its end

    def close(self, check=True):
        """Ends what it started and removes what it made; with check, a daemon that did not end cleanly fails."""
        if self._stopped:
            return
        self._stopped = True
        if self in Cloud.live:
            Cloud.live.remove(self)
        atexit.unregister(self._at_exit)
        complaints = []
        self._disconnect()
        for machine in list(self.machines.values()):
            machine.stop()
        for vtep in self.vteps:
            vtep.stop()
        daemons = [self.controller] if self.controller else []
        for daemon in daemons + [h.daemon for h in self.hosts.values()]:
            if daemon.process is None:
                continue
            was_alive = daemon.alive()
            status = daemon.stop()
            if was_alive and status != 0:
                complaints.append(f"{daemon.name} ended with {status}:\n{daemon.log_tail(80)}")
            marks = [mark for mark in SANITIZER_MARKS if mark in daemon.log_text()]
            if marks:
                complaints.append(f"{daemon.name}: {marks[0]}:\n{daemon.log_tail(80)}")
        for namespace in reversed(self.namespaces):
            namespace.delete()
        left = [name for name in existing() if name.startswith(f"{self.tag}-")]
        if left:
            complaints.append(f"namespaces left behind: {left}")
        if os.environ.get("VPC_KEEP_LOGS"):
            print(f"logs: {self.dir}", file=sys.stderr)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)
        if check and complaints:
            raise AssertionError("\n".join(complaints))

    def _at_exit(self):
        if not self.detach:
            self.close(check=False)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.diagnose()
        self.close(check=kind is None)

