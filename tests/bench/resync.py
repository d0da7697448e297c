#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A node that has to know a million endpoints is told of them again: resync.py [--endpoints N] [--json FILE]

    this process --- calls ---> vpc-controller (N addresses of ports elsewhere) ---> vpc-dataplane with one TAP in their VPC

An endpoint is an address. A port may have sixteen, and has them here: so the controller has a sixteenth as many objects.

Told for each way to meet again: seconds until the node obeys, CPU seconds of both main threads, memory.
"""

import argparse
import ipaddress
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness.results import Results  # noqa: E402
from lib import Cloud  # noqa: E402  pylint: disable=wrong-import-order
from scale import Bench  # noqa: E402

EACH = 16  # addresses of a port
AT_ONCE = 2500  # ports of a call
FIRST = int(ipaddress.ip_address("10.16.0.0"))


def port(number):
    first = FIRST + number * EACH
    addresses = [str(ipaddress.ip_address(first + n)) for n in range(EACH)]
    return {"kind": "port", "name": f"e{number}", "subnet": "s", "node": "far", "addresses": addresses, "security_groups": ["g"]}


def fill(cloud, endpoints):
    cloud.apply(
        [
            {"kind": "node", "name": "far", "vtep": "192.0.2.77"},
            {"kind": "vpc", "name": "v", "cidrs": ["10.0.0.0/8"]},
            {"kind": "subnet", "name": "s", "vpc": "v", "cidr": "10.0.0.0/8"},
            {"kind": "security_group", "name": "g", "rules": [{"direction": "ingress", "protocol": "any"}]},
        ]
    )
    count = endpoints // EACH
    for first in range(0, count, AT_ONCE):
        cloud.call("apply", resources=[port(n) for n in range(first, min(first + AT_ONCE, count))])


def attach(cloud, bench):
    here = {"name": "here", "subnet": "s", "node": cloud.host().name, "security_groups": ["g"], "attachment": {"type": "tap", "ifname": "t0"}}
    cloud.call("port.create", **here, wait=False)
    bench.settle()


def one_differs(cloud, bench):
    """While the node is away a port changes: at its return one item is sent."""
    bench.host.kill()
    cloud.call("port.update", name="e7", mac="02:00:00:00:77:77", wait=False)
    bench.host.daemon.start(lambda: cloud.answers(bench.host.rpc_path), 300)
    bench.settle()


def run(args, cloud):
    bench = Bench(cloud)
    bench.costs("stored", lambda: fill(cloud, args.endpoints))
    bench.costs("first port of the VPC: all of it sent", lambda: attach(cloud, bench))
    bench.costs("node away, one endpoint changed, back", lambda: one_differs(cloud, bench))
    bench.costs("node killed, its file gone: all sent again", lambda: bench.restart_dataplane(True))
    bench.costs("controller killed, started, compared", bench.restart_controller)
    return {"endpoints": args.endpoints, "steps": bench.results}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--endpoints", type=int, default=1000000)
    parser.add_argument("--json")
    args = parser.parse_args()
    capacity = {"endpoints": args.endpoints + 1000, "sessions": 65536, "ports": 64}
    with Cloud(hosts=1, node_config={"memory": {"size_mb": 256}, "capacity": capacity}) as cloud:
        found = run(args, cloud)
    Results(args.json).put("resync", found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
