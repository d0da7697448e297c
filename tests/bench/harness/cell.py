# SPDX-License-Identifier: Apache-2.0
"""One thing to measure: a case with so many flows of such frames, the same for every program."""

from dataclasses import dataclass

CASES = {
    "l3": "forwarded to another subnet: prefix, MAC addresses, TTL",
    "encap": "into a VXLAN tunnel",
    "decap": "out of a VXLAN tunnel",
    "sg": "stateful security group, port to port",
    "snat": "security group, source to ports of a few outside addresses",
    "dnat": "from the outside, a port of an outside address to a machine",
    "eip": "security group, source to an outside address of its own",
    "lb": "security group, a balancer's choice among 8 back ends, into a tunnel",
    "chain": "port, security group, session, VXLAN tunnel: the whole way out",
    "reverse": "VXLAN tunnel, security group, session, port: the whole way in",
}
# Packets come from the outside in these, from the tunnel in those, from a machine in all others.
FROM_OUTSIDE = ("dnat",)
FROM_TUNNEL = ("decap", "reverse")
TO_TUNNEL = ("encap", "chain", "lb")
TO_OUTSIDE = ("snat", "eip")
STATEFUL = ("sg", "snat", "dnat", "eip", "lb", "chain", "reverse")

VNI = 100
SOURCES = 256  # addresses that flows come from
SOURCE, DESTINATION = ("10.1.0.2", "fd00:1::2"), ("10.2.0.2", "fd00:2::2")
VIP, VIP6 = "10.3.0.1", "fd00:3::1"
BACKENDS, BACKENDS6 = [f"10.4.0.{n}" for n in range(2, 10)], [f"fd00:4::{n}" for n in range(2, 10)]
SOURCE_MAC, DESTINATION_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
VTEP, VTEP_MAC = "172.16.0.1", "02:00:00:00:01:02"  # the program's own end of the tunnel
FAR_VTEP, FAR_VTEP_MAC = "172.16.0.2", "02:00:00:00:01:01"
COLLECTOR, NOBODY = "172.16.0.9", "172.16.0.77"  # of mirrors: no VTEPs, and the second does not answer
OUTSIDE, OUTSIDE_MAC = "198.18.0.1", "02:00:00:00:02:02"  # the program's foot outside
ROUTER, ROUTER_MAC = "198.18.0.2", "02:00:00:00:02:01"
POOL = "198.18.1.0/24"
FORWARDED = "198.18.1.1"  # whose port 80 is a machine's
AFAR = "203.0.113.1"
# Of cases where no flow comes twice. A prime: sources, ports and destinations go round together only when each pair has been.
MACHINES, ELSEWHERE, EVER_NEW = 4096, 65521, 1 << 40
FAIR = "ring=1024,rss=1"  # buffers that are not hot in the first cache, and a hash, as from a NIC


@dataclass(frozen=True)
class Cell:
    case: str
    flows: int = 10000
    size: object = 60  # of the inner frame without its FCS, or "imix"
    family: int = 4
    fresh: int = 0  # each so many-th packet is of a flow never seen

    @property
    def name(self):
        extra = f", 1 in {self.fresh} new" if self.fresh else ""
        return f"{self.case} IPv{self.family} {self.size} B {self.flows:,} flows{extra}"

    @property
    def stateful(self):
        return self.case in STATEFUL

    def addresses(self):
        """First source, destination, and how many sources."""
        index = self.family == 6
        if self.case in FROM_OUTSIDE:
            return AFAR, FORWARDED, 64
        to = {"lb": (VIP, VIP6)[index], "snat": AFAR, "eip": AFAR}.get(self.case, DESTINATION[index])
        return SOURCE[index], to, 16 if self.case == "eip" else SOURCES

    @property
    def ever_new(self):
        """How flows through a gateway, each of which comes once, are told apart; None: as those of all other cases. To one destination
        there are no more than its addresses have ports, and only machines that are known have addresses outside."""
        if self.fresh != 1 or self.case not in TO_OUTSIDE + FROM_OUTSIDE:
            return None
        sources = {"snat": MACHINES, "eip": self.addresses()[2], "dnat": ELSEWHERE}[self.case]
        return f"flows={EVER_NEW},sips={sources},dips={1 if self.case == 'dnat' else ELSEWHERE}"

    def source(self, gateway_mac=None, fair=FAIR, tunnel=True):
        """Arguments of the device that packets come from. gateway_mac: where the program wants them sent."""
        first, to, count = self.addresses()
        size = max(self.size, 62) if self.family == 6 and self.size != "imix" else self.size  # the least with UDP
        args = f"flows={self.flows},sips={min(count, self.flows)},size={size},src={first},dst={to}"
        if self.ever_new:
            args = args.replace(f"flows={self.flows},sips={min(count, self.flows)}", self.ever_new)
        elif self.fresh:
            args += f",fresh={self.fresh}"
        if fair:
            args += f",{fair}"
        smac = ROUTER_MAC if self.case in FROM_OUTSIDE else SOURCE_MAC
        args += f",smac={smac},dmac={gateway_mac or DESTINATION_MAC}"
        if tunnel and self.case in FROM_TUNNEL:
            args += f",vni={VNI},osrc={FAR_VTEP},odst={VTEP},osmac={FAR_VTEP_MAC},odmac={VTEP_MAC}"
        return args
