#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What one worker forwards: millions of packets a second and cycles a packet, by case and number of flows.

    source device -> vpc-dataplane, one worker alone on its CPU -> sink device

Both devices are net_flowgen (tests/bench/flowgen): the source makes packets in place, the sink counts and frees them;
together they cost about 30 cycles a packet. The source is endless, so the figure is what the worker can do.

    encap    stateful policy + VXLAN encapsulation; every flow has a session
    decap    VXLAN decapsulation + stateful policy; every flow has a session
    new      as encap, but never a flow twice: sessions made a second

    packets.py [--cases encap,decap,new] [--flows 10000,100000,1000000] [--size 60] [--seconds 3] [--runs 3] [--json FILE]
"""

import argparse
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


class Bench:
    """A dataplane between two flowgen devices, and a VTEP elsewhere that does not answer."""

    def __init__(self, case, flows, size):
        self.case = case
        self.flows = flows
        sessions = 1 << max(16, (2 * flows - 1).bit_length()) if case != "new" else 1 << 24
        source = f"flows={flows},sips={SOURCES},size={size},{FAIR}"
        sink = "rx=0"
        vxlan = f"vxlan={VNI},osip={VTEP_THERE},odip={VTEP_HERE},osmac={NEIGHBOUR_MAC},odmac={UNDERLAY_MAC}"
        tenant, outside = (sink, f"{source},{vxlan}") if case == "decap" else (source, sink)
        self.cloud = Cloud(
            hosts=1,
            underlay=None,
            node_config={
                "idle": "poll",
                "memory": {"hugepages": "auto", "size_mb": NODE_MB},
                "capacity": {"sessions": sessions},
                "underlay": {
                    "device": f"net_flowgen1,{outside},mac={UNDERLAY_MAC},smac={HERE_MAC},dmac={THERE_MAC}",
                    "address": f"{VTEP_HERE}/24",
                    "mtu": 9000,
                    "neighbours": [{"address": VTEP_THERE, "mac": NEIGHBOUR_MAC}],
                },
                "eal": ["-d", PLUGIN],
            },
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
            self._network(f"net_flowgen0,{tenant}")
        except BaseException:
            cloud.close(check=False)
            raise

    def _network(self, devargs):
        """The source's addresses are one port here (encap), or 256 endpoints behind the other VTEP (decap)."""
        cloud = self.cloud
        rules = [{"direction": d, "priority": 100, "protocol": "udp", "ports": "80"} for d in ("ingress", "egress")]
        rules.append({"direction": "egress", "action": "deny", "protocol": "any"})
        resources = [
            {"kind": "vpc", "name": "bench", "cidrs": ["10.0.0.0/8"], "vni": VNI, "mtu": 1500},
            {"kind": "subnet", "name": "bench", "vpc": "bench", "cidr": "10.0.0.0/8"},
            {"kind": "security_group", "name": "web", "rules": rules},
        ]
        common = {"kind": "port", "subnet": "bench", "security_groups": ["web"]}
        attachment = {"type": "device", "devargs": devargs}
        if self.case == "decap":
            first = 10 << 24 | 1 << 16 | 2
            for i in range(SOURCES):
                address = ".".join(str((first + i) >> shift & 255) for shift in (24, 16, 8, 0))
                resources.append(
                    {
                        **common,
                        "name": f"there-{i}",
                        "node": "elsewhere",
                        "addresses": [address],
                        "attachment": {"type": "none"},
                        # Frames carry one source MAC: behind a router of theirs.
                        **({"mac": HERE_MAC} if i == 0 else {}),
                    }
                )
            here = {"name": "here", "addresses": [THERE], "mac": THERE_MAC}
        else:
            there = {"name": "there", "addresses": [THERE], "mac": THERE_MAC}
            resources.append({**common, **there, "node": "elsewhere", "attachment": {"type": "none"}})
            here = {"name": "here", "addresses": [HERE], "mac": HERE_MAC, "allowed_addresses": ["10.1.0.0/16"]}
        cloud.apply(resources)
        cloud.create(**{**common, **here}, node=cloud.host().name, attachment=attachment)

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

    def worker_seconds(self):
        """CPU seconds of the busiest thread: the worker polls."""
        most = 0
        pid = self.cloud.host().daemon.pid
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as f:
                most = max(most, int(f.read().split()[0]))
        return most / 1e9

    def window(self, seconds):
        """Packets a second of the worker's own CPU time: (rate, share of the CPU that it really had)."""
        cpu = self.worker_seconds()
        start, sent, _, _ = self.counters()
        time.sleep(seconds)
        share = self.worker_seconds() - cpu
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
            cpu = self.worker_seconds()
            time.sleep(0.3)
            end, _, made_now, _ = self.counters()
            share = min(1.0, (self.worker_seconds() - cpu) / (end - start))
            rates.append(((made_now - made) / (end - start) / (share if share < 0.97 else 1.0), share))
            start, made = end, made_now
        return rates


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default="encap,decap,new")
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
        for flows in [1 << 24] if case == "new" else [int(n) for n in args.flows.split(",")]:
            with Bench(case, flows, args.size) as bench:
                windows = bench.fresh(args.runs) if case == "new" else bench.established(args.seconds, args.runs)
            rates = [rate for rate, _ in windows]
            median = statistics.median(rates)
            share = min(share for _, share in windows)
            rows.append({"case": case, "flows": flows, "rates": rates, "share": share})
            told = "never twice" if case == "new" else f"{flows:,}"
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
