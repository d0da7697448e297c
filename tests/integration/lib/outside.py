# SPDX-License-Identifier: Apache-2.0
"""Outside networks: what gateway nodes have beyond them.

    host-a, host-b …   out0 .1, .2 …                             gateway nodes: only their dataplanes speak there
        |
      lan: bridge br0              198.51.100.0/24   2001:db8:100::/64      elastic addresses are of these
        |
      router: lan0 .254, ::fe
        | wan0  100.64.0.1  ----- a link of any MTU (`mtu`) -----  wan0 100.64.0.2
      far: eth0 .254
        |
      internet: eth0               203.0.113.10 … .19   2001:db8:1000::10 … ::19      real clients and servers

A second network has 198.51.101.0/24, 203.0.114.0/24 and so on. The hop of a smaller MTU is neither the gateway's nor the
server's: both learn of it by ICMP errors alone.
"""

from .machine import Machine, tcpdump
from .netns import veth
from .packet import Wire

ALIASES = 10


class Outside:
    """Made by Cloud(outside=…) or Cloud.add_outside() before the hosts start.

    name     as in node.yaml
    internet a Machine: curl, serve_http, iperf3 …; its addresses internet.ip4, internet.ip6
    """

    def __init__(self, cloud, name, hosts, number, families=(4, 6), vlan=0, mtu=1500):
        self.cloud = cloud
        self.name = name
        self.number = number
        self.families = families
        self.vlan = vlan
        self.lan = cloud.namespace(f"{name}-lan")
        self.lan.ip("link add br0 type bridge mcast_snooping 0 stp_state 0", "link set br0 mtu 1500 up")
        self.lan.sysctl(net__ipv6__conf__all__disable_ipv6=1)
        self.router = self._forwarding(f"{name}-router")
        self.far = self._forwarding(f"{name}-far")
        ns = cloud.namespace(f"{name}-net")
        self._link_router()
        veth(self.router, "wan0", self.far, "wan0", 1500)
        veth(self.far, "eth0", ns, "eth0", 1500)
        self._address(ns)
        self.internet = Machine(cloud, name, ns)
        self.internet.port = {"name": name, "mac": None, "addresses": [self.client(f) for f in (4, 6)]}
        cloud.machines[name] = self.internet
        if mtu != 1500:
            self.set_mtu(mtu)
        for host in hosts:
            self._plug(cloud.host(host))

    def __repr__(self):
        return self.name

    # -- addresses

    def address(self, last, family=4):
        """Of the segment: address(10) is 198.51.100.10, address(10, 6) is 2001:db8:100::10."""
        return f"198.51.{100 + self.number}.{last}" if family == 4 else f"2001:db8:{100 + self.number}::{last}"

    def cidr(self, family=4):
        return self.address(0) + "/24" if family == 4 else f"2001:db8:{100 + self.number}::/64"

    def gateway(self, family=4):
        """The router's address in the segment."""
        return self.address(254 if family == 4 else "fe", family)

    def client(self, family=4, alias=0):
        """An address of the internet's machine; it has ALIASES of each family."""
        n = f"{10 + alias}"
        return f"203.0.{113 + self.number}.{n}" if family == 4 else f"2001:db8:{1000 + self.number}::{n}"

    # -- building

    def _forwarding(self, name):
        ns = self.cloud.namespace(name)
        ns.sysctl(
            net__ipv4__ip_forward=1,
            net__ipv6__conf__all__forwarding=1,
            net__ipv4__icmp_ratelimit=0,
            net__ipv6__icmp__ratelimit=0,
            net__ipv4__conf__all__send_redirects=0,
            net__ipv4__conf__default__send_redirects=0,
        )
        return ns

    def _link_router(self):
        veth(self.lan, "p-router", self.router, "lan0", 1500)
        self.lan.ip("link set p-router master br0")
        if self.vlan:
            self.router.ip(f"link add link lan0 name {self.lan_if} type vlan id {self.vlan}", f"link set {self.lan_if} up")

    @property
    def lan_if(self):
        """The router's interface in the segment."""
        return f"lan0.{self.vlan}" if self.vlan else "lan0"

    def _address(self, ns):
        n = self.number
        self.router.ip(
            f"addr add {self.gateway(4)}/24 dev {self.lan_if}",
            f"addr add {self.gateway(6)}/64 dev {self.lan_if} nodad",
            f"addr add 100.64.{n}.1/24 dev wan0",
            f"addr add 2001:db8:64:{n}::1/64 dev wan0 nodad",
            f"route add default via 100.64.{n}.2",
            f"route add default via 2001:db8:64:{n}::2",
        )
        self.far.ip(
            f"addr add 100.64.{n}.2/24 dev wan0",
            f"addr add 2001:db8:64:{n}::2/64 dev wan0 nodad",
            f"addr add 203.0.{113 + n}.254/24 dev eth0",
            f"addr add 2001:db8:{1000 + n}::fe/64 dev eth0 nodad",
            f"route add default via 100.64.{n}.1",
            f"route add default via 2001:db8:64:{n}::1",
        )
        ns.ip(
            *(f"addr add {self.client(4, i)}/24 dev eth0" for i in range(ALIASES)),
            # The last one that is added would be the source of all.
            *(f"addr add {self.client(6, i)}/64 dev eth0 nodad {'preferred_lft 0' if i else ''}" for i in range(ALIASES)),
            f"route add default via 203.0.{113 + n}.254",
            f"route add default via 2001:db8:{1000 + n}::fe",
        )

    def _plug(self, host):
        """A link of the host to the segment, and its entries of node.yaml."""
        ifname, number = f"out{self.number}", list(self.cloud.hosts).index(host.name) + 1
        veth(self.lan, f"p-{host.name}"[:15], host.ns, ifname, 1500)
        self.lan.ip(f"link set {f'p-{host.name}'[:15]} master br0")
        host.ns.sysctl(**{f"net__ipv6__conf__{ifname}__disable_ipv6": 1})
        entries = host.config.setdefault("external", [])
        for family in self.families:
            prefix = 24 if family == 4 else 64
            entries.append(
                {
                    "name": self.name,
                    "ifname": ifname,
                    **({"vlan": self.vlan} if self.vlan else {}),
                    "address": f"{self.address(number, family)}/{prefix}",
                    "gateway": self.gateway(family),
                }
            )

    # -- what tests do with it

    def set_mtu(self, mtu):
        """The MTU of the hop between the router and the far one, both ways; nobody else's."""
        self.router.ip(f"link set wan0 mtu {mtu}")
        self.far.ip(f"link set wan0 mtu {mtu}")

    def route(self, prefix, host):
        """The router sends a prefix to a gateway node: addresses that are not of the segment."""
        number = list(self.cloud.hosts).index(self.cloud.host(host).name) + 1
        family = 6 if ":" in prefix else 4
        self.router.ip(f"route replace {prefix} via {self.address(number, family)}")

    def wire(self, host):
        """Raw frames on the segment's end of a host's link: hears what it sends, sends what it hears."""
        return Wire(self.lan, f"p-{self.cloud.host(host).name}"[:15])

    def tcpdump(self, path, expression=""):
        """What passes between the gateway nodes and the router."""
        return tcpdump(self.router, self.lan_if, path, expression)
