#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""One node with a lot on it: scale.py [--vpcs N] [--ports N] [--endpoints N] [--rules N] [--runs N] [--json FILE]

    this process --- calls ---> vpc-controller ---> vpc-dataplane with 1,000 TAPs

10,000 VPCs, 100,000 endpoints, 100,000 rules and 1,000 ports by default: each port is in a VPC and a group of its own,
whose VPC is joined by peerings to nine others that have no port here.

Told: what loading, a start of either process, a resync and reading cost in CPU seconds and memory; what a change costs, from
the call to the answer that the node obeys. Fails when p99 of a change is above 10 ms of the controller's CPU.
"""

import argparse
import os
import re
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness.results import Results  # noqa: E402
from changes import measure  # noqa: E402  pylint: disable=wrong-import-order
from lib import Cloud  # noqa: E402  pylint: disable=wrong-import-position

AT_ONCE = 5000
CHANGE_CPU_MS = 10
TIMEOUT_S = 300


def cpu_s(pid):
    """Of all its threads but those that forward."""
    with open(f"/proc/{pid}/task/{pid}/schedstat", encoding="ascii") as f:
        return int(f.read().split()[0]) / 1e9


def resident_mb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) // 1024


def resources(args):
    """In an order that can be cut anywhere."""
    near = args.ports
    per_vpc = args.endpoints // args.vpcs
    per_group = args.rules // args.ports
    yield {"kind": "node", "name": "far", "vtep": "192.0.2.77"}
    for n in range(args.vpcs):
        # The peers of a VPC are those whose numbers differ by a multiple of `near`: no two of them overlap.
        yield {"kind": "vpc", "name": f"v{n}", "cidrs": [f"10.{n // near}.0.0/16"]}
    for n in range(args.ports):
        rules = [
            {"direction": "ingress", "protocol": "tcp", "ports": str(1000 + r), "remote_cidr": f"10.{r % 100}.{r // 100}.0/24"}
            for r in range(per_group - 1)
        ]
        yield {"kind": "security_group", "name": f"g{n}", "rules": [{"direction": "ingress", "protocol": "icmp"}, *rules]}
    for n in range(args.vpcs):
        yield {"kind": "subnet", "name": f"s{n}", "vpc": f"v{n}", "cidr": f"10.{n // near}.1.0/24"}
    for n in range(args.vpcs):
        for port in range(per_vpc):
            yield {"kind": "port", "name": f"e{n}-{port}", "subnet": f"s{n}", "node": "far", "security_groups": [f"g{n % near}"]}
    for n in range(near, args.vpcs):
        yield {"kind": "peering", "name": f"j{n}", "vpcs": [f"v{n % near}", f"v{n}"]}


def ports(args):
    """TAPs in the host's own namespace."""
    for n in range(args.ports):
        attachment = {"type": "tap", "ifname": f"t{n}"}
        yield {"kind": "port", "name": f"p{n}", "subnet": f"s{n}", "node": "host-a", "security_groups": [f"g{n}"], "attachment": attachment}


def apply_all(cloud, items):
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == AT_ONCE:
            cloud.call("apply", resources=batch)
            batch = []
    cloud.call("apply", resources=batch)


class Bench:
    def __init__(self, cloud):
        self.cloud = cloud
        self.host = cloud.host()
        self.results = {}

    def costs(self, name, step):
        """Runs it; CPU seconds of both main threads, and how much they hold then. A process that is new counts from 0."""
        before = {what: (daemon.pid, cpu_s(daemon.pid)) for what, daemon in self.daemons().items() if daemon.alive()}
        began = time.monotonic()
        step()
        cost = {"seconds": time.monotonic() - began}
        for what, daemon in self.daemons().items():
            pid, was = before.get(what, (0, 0))
            cost[what + "_cpu_s"] = cpu_s(daemon.pid) - (was if daemon.pid == pid else 0)
            cost[what + "_mb"] = resident_mb(daemon.pid)
        self.results[name] = cost
        print(
            f"{name:42} controller {cost['controller_cpu_s']:6.2f} s {cost['controller_mb']:5} MB   "
            f"dataplane {cost['dataplane_cpu_s']:6.2f} s {cost['dataplane_mb']:5} MB   wall {cost['seconds']:6.1f} s",
            flush=True,
        )

    def daemons(self):
        return {"controller": self.cloud.controller, "dataplane": self.host.daemon}

    def settle(self):
        self.cloud.wait_converged(TIMEOUT_S)

    def restart_controller(self):
        self.cloud.kill_controller()
        self.cloud.controller.start(lambda: self.cloud.answers(self.cloud.socket_path), TIMEOUT_S)
        self.settle()

    def restart_dataplane(self, forget):
        self.host.kill()
        if forget:
            for ending in ("state", "usage", "sessions"):
                path = self.host.rpc_path.removesuffix(".sock") + "." + ending
                if os.path.exists(path):
                    os.unlink(path)
        self.host.daemon.start(lambda: self.cloud.answers(self.host.rpc_path), TIMEOUT_S)
        self.settle()

    def backup(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "net.backup")
            self.costs("backup", lambda: self.cloud.vpcctl("backup", path))
            self.results["backup"]["mb"] = os.path.getsize(path) >> 20
            self.costs("restore of what is there", lambda: self.cloud.vpcctl("restore", path, "--prune"))


def changes(args):
    """Name → the method and parameters of the n-th change; each is one that the node has to obey."""
    extra = {"direction": "ingress", "protocol": "udp", "ports": "53"}
    per_vpc = args.endpoints // args.vpcs
    return {
        "a rule more or less": lambda n: (
            ("security_group.add_rules", "security_group.remove_rules")[n % 2],
            {"name": f"g{n // 2 % args.ports}", "rules": [extra]},
        ),
        "an endpoint's MAC": lambda n: (
            "port.update",
            {"name": f"e{n * 7 % args.vpcs}-{n % per_vpc}", "mac": f"02:00:{n >> 8 & 255:02x}:{n & 255:02x}:00:01"},
        ),
        "a port's groups": lambda n: (
            "port.update",
            {"name": f"p{n // 2 % args.ports}", "security_groups": [f"g{(n // 2 + n % 2) % args.ports}"]},
        ),
        "a VPC, a subnet, a peering made or deleted": lambda n: (
            "apply",
            {"resources": [{"kind": "vpc", "name": "x", "cidrs": ["10.250.0.0/16"]}, {"kind": "peering", "name": "x", "vpcs": ["v0", "x"]}]},
        )
        if n % 2 == 0
        else ("peering.delete", {"name": "x"}),
    }


def run(args, cloud):
    bench = Bench(cloud)
    bench.costs("empty", bench.settle)
    bench.costs("stored: VPCs, groups, endpoints, peerings", lambda: apply_all(cloud, resources(args)))

    def attach():
        apply_all(cloud, ports(args))
        bench.settle()

    bench.costs(f"programmed: {args.ports} ports and all they reach", attach)
    bench.costs("controller killed, started, compared", bench.restart_controller)
    bench.costs("dataplane killed, started from its file", lambda: bench.restart_dataplane(False))
    bench.costs("dataplane killed, file gone, all sent again", lambda: bench.restart_dataplane(True))
    bench.costs("all usage listed", lambda: cloud.vpcctl("usage", "list", "-o", "json"))
    bench.costs("top, one look", lambda: cloud.vpcctl("top", "-o", "json", "--interval", "1"))
    bench.backup()
    print(f"changes, answered when the node obeys ({args.runs} each); ms: p50 p99 max")
    with cloud.connect() as connection:
        for name, change in changes(args).items():
            node = cpu_s(bench.host.daemon.pid)
            result = bench.results[name] = measure(cloud, connection, change, args.runs)
            result["dataplane_ms"] = (cpu_s(bench.host.daemon.pid) - node) * 1e3 / (args.runs + 2)
            told = [" ".join(f"{v:8.2f}" for v in result[key].values()) for key in ("answered_ms", "controller_ms")]
            print(f"{name:42} answered {told[0]}   CPU: controller {told[1]}, dataplane {result['dataplane_ms']:.2f} on average", flush=True)
    return bench.results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in (("vpcs", 10000), ("ports", 1000), ("endpoints", 100000), ("rules", 100000), ("runs", 200)):
        parser.add_argument("--" + name, type=int, default=value)
    parser.add_argument("--json")
    args = parser.parse_args()
    cloud = Cloud(hosts=1, node_config={"memory": {"size_mb": 256}})
    try:
        results = run(args, cloud)
    finally:
        cloud.close(check=False)
    Results(args.json).put("scale", {"sizes": {n: getattr(args, n) for n in ("vpcs", "ports", "endpoints", "rules", "runs")}, "steps": results})
    slow = [name for name, result in results.items() if result.get("controller_ms", {}).get("p99", 0) > CHANGE_CPU_MS]
    if slow:
        print(f"more than {CHANGE_CPU_MS} ms of CPU: {', '.join(slow)}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
