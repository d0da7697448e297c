#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What one worker forwards: millions of packets a second and cycles a packet, by case and number of flows.

    source device -> vpc-dataplane, one worker alone on its CPU -> sink device

Both devices are net_flowgen (tests/bench/flowgen): the source makes packets in place, the sink counts and frees them;
together they cost about 30 cycles a packet. The source is endless, so the figure is what the worker can do.

    encap    stateful policy + VXLAN encapsulation; every flow has a session
    decap    VXLAN decapsulation + stateful policy; every flow has a session
    eip      stateful policy + 1:1 translation to elastic IPs, out of the node's outside network
    snat     stateful policy + translation to ports of a NAT gateway's addresses, out
    dnat     from the outside through a NAT gateway's port forward into the VPC, to a machine here
    lb       stateful policy + a balancer's choice among 8 back ends + VXLAN encapsulation
    new      as encap, but never a flow twice: sessions made a second
    new-snat new destinations from 4,096 machines through a NAT gateway that maps by destination
    new-lb   as lb, but never a flow twice

    packets.py [--cases encap,…] [--flows 10000,100000,1000000] [--size 60] [--seconds 3] [--runs 3] [--json FILE]
"""

import argparse
import ipaddress
import json
import os
import re
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "integration"))

from lib import Cloud, wait_for  # noqa: E402  pylint: disable=wrong-import-position
from lib.cloud import build_dir  # noqa: E402  pylint: disable=wrong-import-position

PLUGIN = os.path.join(build_dir(), "tests", "bench", "librte_net_flowgen.so")
NODE_MB = 2048
VNI = 10001
SOURCES = 256  # addresses that the source uses, from 10.1.0.2
HERE_MAC, THERE_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
HERE, THERE = "10.1.0.2", "10.2.0.2"
VTEP_HERE, VTEP_THERE = "172.16.0.1", "172.16.0.2"
VIP = "10.3.0.1"  # of the balancer
OUTSIDE, ROUTER, POOL = "198.18.0.1", "198.18.0.2", "198.18.1.0/24"
ROUTER_MAC = "02:00:00:00:02:01"
EXTERNAL_MAC = "02:00:00:00:02:02"
FORWARDED = "198.18.1.1"  # whose port 80 is a machine's
TRANSLATED = ("eip", "snat", "dnat", "new-snat")
CASES = ("encap", "decap", "eip", "snat", "dnat", "lb", "new", "new-snat", "new-lb")
UNDERLAY_MAC, NEIGHBOUR_MAC = "02:00:00:00:01:02", "02:00:00:00:01:01"
FAIR = "ring=1024,rss=1"  # buffers not hot in L1, a hash as NICs give it


def tsc_hz():
    """Cycles a second of the time stamp counter."""
    text = subprocess.run(["dmesg"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"tsc: (?:Refined|Detected)[^0-9]*([0-9.]+) MHz", text)
    if not found:
        with open("/proc/cpuinfo", encoding="ascii") as f:
            found = re.search(r"cpu MHz\s*: ([0-9.]+)", f.read())
    return float(found.group(1)) * 1e6


GATEWAY = "GATEWAY"  # stands for the subnet's gateway's MAC, which is known once there is one


def addresses(first, count):
    """So many IPv4 addresses, from that one."""
    return [str(ipaddress.ip_address(first) + i) for i in range(count)]


class Bench:
    """A dataplane between two flowgen devices, and a VTEP elsewhere that does not answer."""

    def __init__(self, case, flows, size):
        self.case = case
        self.flows = flows
        fresh = case.startswith("new")
        sessions = 1 << max(16, (2 * flows - 1).bit_length()) if not fresh else 1 << 24
        from_here, from_underlay, from_outside = self._devices(f"flows={flows},size={size},{FAIR}")
        node = {
            "idle": "poll",
            "memory": {"hugepages": "auto", "size_mb": NODE_MB},
            "capacity": {"sessions": sessions},
            "limits": {"unanswered_percent": 100},
            "underlay": {
                "device": f"net_flowgen1,{from_underlay},mac={UNDERLAY_MAC}",
                "address": f"{VTEP_HERE}/24",
                "mtu": 9000,
                "neighbours": [{"address": VTEP_THERE, "mac": NEIGHBOUR_MAC}],
            },
            "eal": ["-d", PLUGIN],
        }
        if case in TRANSLATED:
            node["external"] = [
                {
                    "name": "internet",
                    "device": f"net_flowgen2,{from_outside},mac={EXTERNAL_MAC}",
                    "address": f"{OUTSIDE}/15",
                    "gateway": ROUTER,
                    "neighbours": [{"address": ROUTER, "mac": ROUTER_MAC}],
                }
            ]
        self.cloud = Cloud(
            hosts=1,
            underlay=None,
            node_config=node,
            controller_config={"nodes": []},
            start=False,
        )
        cloud, host = self.cloud, self.cloud.host()
        cloud.controller_config["nodes"] = [
            {"name": host.name, "rpc": host.rpc_path, "vtep": VTEP_HERE},
            {"name": "elsewhere", "vtep": VTEP_THERE},
        ]
        cloud.start()
        try:
            self._network(f"net_flowgen0,{from_here}")
        except BaseException:
            cloud.close(check=False)
            raise

    def _devices(self, common):
        """What the machine here, the underlay and the outside send: one of them does."""
        macs = f"smac={HERE_MAC},dmac={THERE_MAC if self.case in ('encap', 'decap', 'new') else GATEWAY}"
        if self.case == "decap":
            vxlan = f"vxlan={VNI},osip={VTEP_THERE},odip={VTEP_HERE},osmac={NEIGHBOUR_MAC},odmac={UNDERLAY_MAC}"
            return "rx=0", f"{common},sips={SOURCES},{vxlan},{macs}", "rx=0"
        if self.case == "dnat":
            to = f"sip=203.0.113.1,sips=64,dip={FORWARDED},smac={ROUTER_MAC},dmac={EXTERNAL_MAC}"
            return "rx=0", "rx=0", f"{common},{to}"
        # A port has 16 addresses that elastic IPs can stand for; a flow of one of them is as good as any.
        sources = {"eip": 16, "new-snat": 4096}.get(self.case, SOURCES)
        if self.case in ("lb", "new-lb"):
            macs += f",dip={VIP}"
        elif self.case == "new-snat":
            macs += f",dip=203.0.0.1,dips={1 << 16}"
        elif self.case in TRANSLATED:
            macs += ",dip=203.0.113.1"
        return f"{common},sips={sources},{macs}", "rx=0", "rx=0"

    def _network(self, devargs):
        """The source's addresses are one port here, or 256 endpoints behind the other VTEP (decap), or outside (dnat)."""
        cloud, case = self.cloud, self.case
        rules = [{"direction": d, "priority": 100, "protocol": "udp", "ports": "80"} for d in ("ingress", "egress")]
        rules.append({"direction": "egress", "action": "deny", "protocol": "any"})
        cloud.apply(
            [
                {"kind": "vpc", "name": "bench", "cidrs": ["10.0.0.0/8"], "vni": VNI, "mtu": 1500},
                {"kind": "subnet", "name": "bench", "vpc": "bench", "cidr": "10.0.0.0/8"},
                {"kind": "security_group", "name": "web", "rules": rules},
            ]
        )
        common = {"kind": "port", "subnet": "bench", "security_groups": ["web"]}
        here = {"name": "here", "addresses": [HERE], "mac": HERE_MAC, "allowed_addresses": ["10.1.0.0/16"]}
        if case in ("decap", "dnat"):
            here = {"name": "here", "addresses": [THERE], "mac": THERE_MAC}
        if case == "eip":
            here["addresses"] = addresses(HERE, 16)
        elsewhere = {"encap": [THERE], "new": [THERE], "decap": addresses(HERE, SOURCES)}.get(case, [])
        if case in ("lb", "new-lb"):
            elsewhere = addresses("10.4.0.2", 8)
        # Frames carry one source MAC: behind a router of theirs.
        mac = HERE_MAC if case == "decap" else THERE_MAC
        none = {"node": "elsewhere", "attachment": {"type": "none"}}
        cloud.apply(
            [
                {**common, **none, "name": f"there-{i}", "addresses": [address], **({"mac": mac} if i == 0 else {})}
                for i, address in enumerate(elsewhere)
            ]
        )
        devargs = devargs.replace(GATEWAY, cloud.get("subnet", "bench")["status"]["gateway_mac"])
        cloud.create(**{**common, **here}, node=cloud.host().name, attachment={"type": "device", "devargs": devargs})
        self._services(here, elsewhere)

    def _services(self, here, elsewhere):
        cloud, case = self.cloud, self.case
        eips = {"eip": 16, "snat": 32, "new-snat": 32, "dnat": 1}.get(case, 0)
        if eips:
            cloud.create("eip_pool", name="public", cidr=POOL, node=cloud.host().name, external="internet")
        bound = [{"port": "here", "private_address": a} for a in here["addresses"]] if case == "eip" else [{}] * eips
        for i, port in enumerate(bound):
            cloud.create("eip", name=f"eip-{i}", pool="public", **port)
        if case in ("snat", "new-snat", "dnat"):
            rules = {"snat": [{"subnet": "bench", "eips": [f"eip-{i}" for i in range(eips)]}]}
            if case == "dnat":
                rules = {"dnat": [{"eip": "eip-0", "protocol": "udp", "port": "80", "to_address": THERE, "to_port": 80}]}
            mapping = "endpoint_dependent" if case == "new-snat" else "endpoint_independent"
            cloud.create("nat_gateway", name="nat", vpc="bench", eips=[f"eip-{i}" for i in range(eips)], mapping=mapping, **rules)
        if case in ("lb", "new-lb"):
            backends = [{"port": f"there-{i}", "port_number": 80} for i in range(len(elsewhere))]
            listener = {"protocol": "udp", "port": 80, "scheduler": "maglev", "health_check": {"type": "none"}, "backends": backends}
            cloud.create("load_balancer", name="lb", vpc="bench", address=VIP, node=cloud.host().name, listeners=[listener])

    def close(self):
        self.cloud.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.cloud.diagnose()
        self.cloud.close(check=kind is None)

    # -- reading

    def counters(self):
        """(moment, packets sent, sessions) of the node."""
        before = time.monotonic()
        status = self.cloud.host().status()
        moment = (before + time.monotonic()) / 2
        return moment, status["packets"]["sent"], status["sessions"]["used"], status

    def cpu_seconds(self):
        """Of each thread of the dataplane."""
        seconds = {}
        pid = self.cloud.host().daemon.pid
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as f:
                seconds[thread] = int(f.read().split()[0]) / 1e9
        return seconds

    def worker_seconds(self, before):
        """CPU seconds since then of the busiest thread: the worker polls."""
        return max(now - before.get(thread, 0) for thread, now in self.cpu_seconds().items())

    def window(self, seconds):
        """Packets a second of the worker's own CPU time: (rate, share of the CPU that it really had)."""
        cpu = self.cpu_seconds()
        start, sent, _, _ = self.counters()
        time.sleep(seconds)
        share = self.worker_seconds(cpu)
        end, sent_now, _, _ = self.counters()
        share = min(1.0, share / (end - start))
        return (sent_now - sent) / (end - start) / (share if share < 0.97 else 1.0), share

    def established(self, seconds, runs):
        wait_for(
            lambda: self.counters()[1] > 3 * self.flows,
            30,
            lambda: f"every flow is seen: {json.dumps(self.counters()[3]['packets'])}",
        )
        return [self.window(seconds) for _ in range(runs)]

    def fresh(self, runs):
        """Sessions made a second while the table fills up to a fifth."""
        rates = []
        start, _, made, _ = self.counters()
        for _ in range(runs):
            cpu = self.cpu_seconds()
            time.sleep(0.3)
            end, _, made_now, _ = self.counters()
            share = min(1.0, self.worker_seconds(cpu) / (end - start))
            rates.append(((made_now - made) / (end - start) / (share if share < 0.97 else 1.0), share))
            start, made = end, made_now
        return rates


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--flows", default="10000,100000,1000000")
    parser.add_argument("--size", type=int, default=60, help="of the inner frame")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", metavar="FILE", help="write every figure there")
    args = parser.parse_args()

    hz = tsc_hz()
    rows = []
    print(f"one worker, {args.size}-byte frames, TSC {hz / 1e9:.3f} GHz\n")
    print("| case | flows | median Mpps | min | max | cycles a packet | CPU share |\n|---|---:|---:|---:|---:|---:|---:|")
    for case in args.cases.split(","):
        for flows in [1 << 24] if case.startswith("new") else [int(n) for n in args.flows.split(",")]:
            with Bench(case, flows, args.size) as bench:
                windows = bench.fresh(args.runs) if case.startswith("new") else bench.established(args.seconds, args.runs)
            rates = [rate for rate, _ in windows]
            median = statistics.median(rates)
            share = min(share for _, share in windows)
            rows.append({"case": case, "flows": flows, "rates": rates, "share": share})
            told = "never twice" if case.startswith("new") else f"{flows:,}"
            print(
                f"| {case} | {told} | {median / 1e6:.2f} | {min(rates) / 1e6:.2f} | {max(rates) / 1e6:.2f} "
                f"| {hz / median if median else 0:.0f} | {share:.2f} |",
                flush=True,
            )
    if args.json:
        with open(args.json, "w", encoding="utf-8") as out:
            json.dump(rows, out, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
