# SPDX-License-Identifier: Apache-2.0
"""Our dataplane with its controller: one worker alone on CPU 1, everything else on CPU 0.

    net_flowgen0: a port | net_flowgen1: the underlay | net_flowgen2: the network outside       a second port where it is local
"""

import ipaddress
import os

from lib import Cloud  # see __init__.py

from . import cell as C
from .device import Counts, frames, plugin

NODE_MB = 1024


def counted(first, count):
    """So many addresses from that one on."""
    return [str(ipaddress.ip_address(first) + n) for n in range(count)]


class Ours:
    """`run` is the program under test while it forwards the cell's traffic."""

    name = "ours"
    title = "vpc-dataplane"

    @staticmethod
    def why_not(cell):
        if cell.family == 6 and cell.case in ("dnat", "eip", "snat"):
            return "IPv6 is not translated"
        return None

    def __init__(self, cell, **options):
        self.cell = cell
        self.rules = options.get("rules", 1)
        self.dump = options.get("dump")
        self.source_extra = options.get("source", "")
        self.sink_extra = options.get("sink", "")
        self.fresh_sessions = options.get("sessions", 0)
        self.workers = options.get("workers", [1])
        self.cloud = None
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    # -- what it consists of

    def _start(self):
        cell = self.cell
        self.local = cell.case in ("l3", "sg")
        sessions = self.fresh_sessions or 1 << max(16, (2 * cell.flows - 1).bit_length())
        if cell.fresh:
            sessions = max(sessions, 1 << 23)
        node = {
            "idle": "poll",
            "workers": self.workers,
            "memory": {"hugepages": "auto", "size_mb": NODE_MB},
            "capacity": {"sessions": sessions},
            "limits": {"unanswered_percent": 100},
            "underlay": {
                "device": f"net_flowgen1,{self._device('underlay')},mac={C.VTEP_MAC}",
                "address": f"{C.VTEP}/24",
                "mtu": 9000,
                "neighbours": [{"address": address, "mac": C.FAR_VTEP_MAC} for address in (C.FAR_VTEP, C.COLLECTOR)],
            },
            "eal": ["-d", plugin()],
        }
        if cell.case in C.FROM_OUTSIDE + C.TO_OUTSIDE:
            node["external"] = [
                {
                    "name": "internet",
                    "device": f"net_flowgen2,{self._device('outside')},mac={C.OUTSIDE_MAC}",
                    "address": f"{C.OUTSIDE}/15",
                    "gateway": C.ROUTER,
                    "neighbours": [{"address": C.ROUTER, "mac": C.ROUTER_MAC}],
                }
            ]
        self.cloud = Cloud(hosts=1, underlay=None, node_config=node, controller_config={"nodes": []}, start=False)
        self.node = self.cloud.host().name
        self.cloud.controller_config["nodes"] = [
            {"name": self.node, "rpc": self.cloud.host().rpc_path, "vtep": C.VTEP},
            {"name": "elsewhere", "vtep": C.FAR_VTEP},
        ]
        self.cloud.host().config["underlay"]["device"] = self._placed(node["underlay"]["device"])
        for external in self.cloud.host().config.get("external", []):
            external["device"] = self._placed(external["device"])
        self.cloud.start()
        self._network()
        self.sink = Counts(self._count("sink"))
        self.source = Counts(self._count("source"))
        self.pid = self.cloud.host().daemon.pid

    def _count(self, end):
        return os.path.join(self.cloud.dir, f"{end}.count")

    def _placed(self, devargs):
        return devargs.replace("SOURCE-COUNT", self._count("source")).replace("SINK-COUNT", self._count("sink"))

    def _device(self, place, gateway_mac=None):
        """Arguments of the device there: the cell's source, its sink, or neither."""
        case = self.cell.case
        source = "outside" if case in C.FROM_OUTSIDE else "underlay" if case in C.FROM_TUNNEL else "port"
        sink = "underlay" if case in C.TO_TUNNEL else "outside" if case in C.TO_OUTSIDE else "far-port" if self.local else "port"
        if place == source:
            if case in C.FROM_OUTSIDE:
                gateway_mac = C.OUTSIDE_MAC
            args = self.cell.source(gateway_mac) + ",count=SOURCE-COUNT" + self.source_extra
            return args.replace(f"vni={C.VNI}", "vni=10001")
        if place == sink:
            dump = f",dump={self.dump},dumpn=8,dumpskip=100" if self.dump else ""
            return f"rx=0,count=SINK-COUNT{dump}{self.sink_extra}"
        return "rx=0"

    def _groups(self):
        open_rules = [{"direction": d, "protocol": "any"} for d in ("ingress", "egress")]
        web = [{"direction": d, "priority": 100, "protocol": p, "ports": "80"} for d in ("ingress", "egress") for p in ("udp", "tcp")]
        web.append({"direction": "egress", "action": "deny", "protocol": "any"})
        # Rules that are looked at and do not apply: other ports, other addresses, allowed and denied in turn.
        others = [
            {
                "direction": ("ingress", "egress")[n % 2],
                "priority": 200 + n % 700,
                "protocol": "udp",
                "ports": str(2000 + n % 50000),
                "remote_cidr": f"10.{100 + n % 100}.{n // 100 % 256}.0/24",
                "action": ("allow", "deny")[n // 2 % 2],
            }
            for n in range(self.rules - 1)
        ]
        return [
            {"kind": "security_group", "name": "open", "rules": open_rules},
            {"kind": "security_group", "name": "web", "rules": web + others},
        ]

    def _network(self):
        cell, cloud = self.cell, self.cloud
        six = cell.family == 6
        vpc = {"kind": "vpc", "name": "bench", "cidrs": ["10.0.0.0/8", "fd00::/16"], "vni": 10001, "mtu": 8900}
        ranges = {"here": ("10.1.0.0/16", "fd00:1::/64"), "there": ("10.2.0.0/15", "fd00:2::/64"), "backends": ("10.4.0.0/16", "fd00:4::/64")}
        subnets = [{"kind": "subnet", "name": n, "vpc": "bench", "cidr": c4, "cidr6": c6} for n, (c4, c6) in ranges.items()]
        cloud.apply([vpc, *subnets, *self._groups()])
        group = ["web"] if cell.stateful else ["open"]
        here = {"kind": "port", "name": "here", "subnet": "here", "mac": C.SOURCE_MAC, "addresses": [C.SOURCE[six]], "security_groups": group}
        here["allowed_addresses"] = ["fd00:1::/64" if six else "10.1.0.0/16"]
        there = {"kind": "port", "name": "there", "subnet": "there", "mac": C.DESTINATION_MAC, "addresses": [C.DESTINATION[six]], "security_groups": group}
        if cell.case == "eip":
            here["addresses"] = counted(C.SOURCE[0], 16)
        elsewhere = {"node": "elsewhere", "attachment": {"type": "none"}}
        gateway = {name: cloud.get("subnet", name)["status"]["gateway_mac"] for name in ranges}
        if self.local:
            cloud.create(**self._plugged(there, "net_flowgen1", "far-port", gateway["there"]))
        elif cell.case in ("encap", "chain"):
            cloud.apply([{**there, **elsewhere}])
        if cell.case in C.FROM_TUNNEL:
            # The machine is `there`; the sources are endpoints behind the other VTEP. One of them has the frames' MAC address.
            sources = [{**here, **elsewhere, "name": f"here-{n}", "addresses": [a]} for n, a in enumerate(counted(C.SOURCE[six], C.SOURCES))]
            cloud.apply([{k: v for k, v in port.items() if n == 0 or k != "mac"} for n, port in enumerate(sources)])
            cloud.create(**self._plugged(there, "net_flowgen0", "port", gateway["there"]))
        elif cell.case in C.FROM_OUTSIDE:
            cloud.create(**self._plugged(there, "net_flowgen0", "port", gateway["there"]))
        self._services(elsewhere, group)
        if cell.case == "eip":
            attachment = self._plugged(here, "net_flowgen0", "port", gateway["here"])["attachment"]
            cloud.call("port.attach", name="here", attachment=attachment, wait=True, wait_timeout_ms=30000)
        elif cell.case not in C.FROM_TUNNEL + C.FROM_OUTSIDE:
            cloud.create(**self._plugged(here, "net_flowgen0", "port", gateway["here"]))

    def _plugged(self, port, device, place, gateway_mac):
        # The underlay's device is net_flowgen1: a second port needs another name.
        device = "net_flowgen3" if place == "far-port" else device
        devargs = self._placed(f"{device},{self._device(place, gateway_mac)}")
        return {**port, "node": self.node, "attachment": {"type": "device", "devargs": devargs}}

    def _services(self, elsewhere, group):
        cloud, case = self.cloud, self.cell.case
        eips = {"eip": 16, "snat": 32, "dnat": 1}.get(case, 0)
        if eips:
            cloud.create("eip_pool", name="public", cidr=C.POOL, node=self.node, external="internet")
        if case == "eip":
            # Its traffic begins when all of them are bound: until then the port has no device.
            port = {"name": "here", "subnet": "here", "mac": C.SOURCE_MAC, "addresses": counted(C.SOURCE[0], 16), "security_groups": group}
            cloud.create("port", **port, node=self.node, attachment={"type": "none"})
        for n in range(eips):
            bound = {"port": "here", "private_address": counted(C.SOURCE[0], 16)[n]} if case == "eip" else {}
            cloud.create("eip", name=f"eip-{n}", pool="public", **bound)
        if case in ("snat", "dnat"):
            rules = {"snat": [{"subnet": "here", "eips": [f"eip-{n}" for n in range(eips)]}]}
            if case == "dnat":
                rules = {"dnat": [{"eip": "eip-0", "protocol": "udp", "port": "80", "to_address": C.DESTINATION[0], "to_port": 80}]}
            mapping = "endpoint_dependent" if self.cell.fresh == 1 else "endpoint_independent"
            cloud.create("nat_gateway", name="nat", vpc="bench", eips=[f"eip-{n}" for n in range(eips)], mapping=mapping, **rules)
        if case == "lb":
            addresses, address = (C.BACKENDS6, C.VIP6) if self.cell.family == 6 else (C.BACKENDS, C.VIP)
            names = [f"backend-{n}" for n in range(len(addresses))]
            cloud.apply(
                [
                    {"kind": "port", "name": name, "subnet": "backends", "addresses": [one], "security_groups": group, **elsewhere}
                    for name, one in zip(names, addresses)
                ]
            )
            backends = [{"port": name, "port_number": 80} for name in names]
            listener = {"protocol": "udp", "port": 80, "scheduler": "maglev", "health_check": {"type": "none"}, "backends": backends}
            cloud.create("load_balancer", name="lb", vpc="bench", address=address, node=self.node, listeners=[listener])

    # -- while it runs

    def taken(self):
        return self.sink.taken()

    def status(self):
        return self.cloud.host().status()

    def sessions(self):
        return self.status()["sessions"]["used"]

    def describe(self):
        return str(self.status()["packets"])

    def frames(self):
        return frames(self.dump)

    def close(self):
        if self.cloud is not None:
            self.cloud.close(check=False)
            self.cloud = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
