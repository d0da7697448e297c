#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""TCP between machines, beside what the kernel does on the same computer: iperf3.py [--seconds N] [--runs N] [--json FILE]

    veth              namespace - veth - namespace
    bridge + vxlan    machine - veth - bridge - kernel vxlan - underlay - kernel vxlan - bridge - veth - machine
    one host          machine - TAP - vpc-dataplane - TAP - machine
    two hosts         machine - TAP - vpc-dataplane - VXLAN over the underlay - vpc-dataplane - TAP - machine

Over IPv4 and IPv6. The cases take turns, run after run, so that a disturbance of the computer hits all; the median of each is told.
"""

import argparse
import os
import statistics
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness.results import Results  # noqa: E402
from lib import Cloud, Machine, Namespace  # noqa: E402  pylint: disable=wrong-import-position
from lib.netns import PREFIX, veth  # noqa: E402  pylint: disable=wrong-import-position


class Plain:
    """What a Machine needs of its cloud when there is none."""

    detach = False


def kernel_machine(namespace, subnet, number):
    """With addresses of both families on its eth0."""
    addresses = [f"10.8.{subnet}.{number}", f"fd08:0:0:{subnet}::{number}"]
    namespace.ip(f"addr add {addresses[0]}/24 dev eth0", f"addr add {addresses[1]}/64 dev eth0 nodad")
    machine = Machine(Plain, namespace.name, namespace)
    machine.port = {"addresses": addresses}
    return machine


class Kernel:
    """The two peers that need none of our programs."""

    def __init__(self):
        self.namespaces = []
        try:
            self.veth = self._veth()
            self.vxlan = self._vxlan()
        except BaseException:
            self.close()
            raise

    def namespace(self, name):
        ns = Namespace(f"{PREFIX}-{os.getpid()}-k-{name}")
        self.namespaces.append(ns)
        return ns

    def _veth(self):
        left, right = self.namespace("left"), self.namespace("right")
        veth(left, "eth0", right, "eth0")
        return kernel_machine(left, 0, 1), kernel_machine(right, 0, 2)

    def _vxlan(self):
        hosts = [self.namespace("host-1"), self.namespace("host-2")]
        veth(hosts[0], "under0", hosts[1], "under0", mtu=1600)
        machines = []
        for i, host in enumerate(hosts, 1):
            ns = self.namespace(f"machine-{i}")
            veth(host, "m0", ns, "eth0", mtu=1550)
            host.ip(
                f"addr add 192.0.2.{i}/24 dev under0",
                f"link add vx0 mtu 1550 type vxlan id 7 local 192.0.2.{i} remote 192.0.2.{3 - i} dev under0 dstport 4789",
                "link add br0 type bridge",
                "link set vx0 master br0",
                "link set m0 master br0",
                "link set vx0 up",
                "link set br0 up",
            )
            machines.append(kernel_machine(ns, 1, i))
        return tuple(machines)

    def close(self):
        for ns in reversed(self.namespaces):
            ns.delete()


def our_machines(cloud):
    """Three machines of one subnet: two on host-a, one on host-b; anybody may reach them."""
    cloud.create("vpc", name="bench", cidrs=["10.0.0.0/16", "fd00::/48"])
    cloud.create("subnet", name="bench", vpc="bench", cidr="10.0.1.0/24", cidr6="fd00:0:0:1::/64")
    cloud.create("security_group", name="open", rules=[{"direction": "ingress", "protocol": "any"}])
    return [
        cloud.machine(name, "bench", host, security_groups=["open"])
        for name, host in (("here", "a"), ("beside", "a"), ("there", "b"))
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=2, help="of one run")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json")
    args = parser.parse_args()

    kernel = Kernel()
    try:
        with Cloud(hosts=2, node_config={"memory": {"hugepages": "auto"}}) as cloud:
            here, beside, there = our_machines(cloud)
            pairs = {
                "veth": kernel.veth,
                "bridge + kernel vxlan": kernel.vxlan,
                "vpc, one host": (here, beside),
                "vpc, two hosts": (here, there),
            }
            cases = {f"{name}, IPv{family}": (*pair, family) for name, pair in pairs.items() for family in (4, 6)}
            figures = {name: [] for name in cases}
            for _ in range(args.runs):
                for name, (client, server, family) in cases.items():
                    report = client.iperf3(server, seconds=args.seconds, family=family)
                    end = report["end"]
                    figures[name].append(
                        {
                            "gbits": end["sum_received"]["bits_per_second"] / 1e9,
                            "retransmits": end["sum_sent"].get("retransmits", 0),
                        }
                    )
            cloud.check_conservation()
    finally:
        kernel.close()

    print(f"| iperf3 TCP, {args.seconds} s, {args.runs} runs | median Gbit/s | min | max | retransmits |\n|---|---:|---:|---:|---:|")
    for name, runs in figures.items():
        rates = [run["gbits"] for run in runs]
        again = statistics.median(run["retransmits"] for run in runs)
        print(f"| {name} | {statistics.median(rates):.2f} | {min(rates):.2f} | {max(rates):.2f} | {again:.0f} |")
    Results(args.json).put("iperf3", {"seconds": args.seconds, "figures": figures})
    return 0


if __name__ == "__main__":
    sys.exit(main())
