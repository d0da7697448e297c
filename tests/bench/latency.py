#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How long a packet takes through the dataplane, port to port with a security group, at parts of the rate that it can do.

    testpmd on CPU 0: net_flowgen0 -> memif ==> vpc-dataplane, worker on CPU 1 ==> memif -> net_flowgen1

The time is in the packet; the same clock (the time stamp counter) is read when it comes back. In it are both memifs and testpmd's turns.

    latency.py [--load 10,50,90] [--idle poll,adaptive] [--seconds 2] [--size 60] [--json FILE]
"""

import argparse
import os
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import QUICK, device, measure, testpmd  # noqa: E402
from harness import cell as C  # noqa: E402
from harness.results import Results  # noqa: E402
from lib import Cloud  # noqa: E402

PARTS = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
TRICKLE = 1000  # packets a second: the worker sleeps between them if it may


class Path:
    """The dataplane with two memif ports, and whatever rate is asked for through them."""

    def __init__(self, idle, size):
        self.size = size
        self.cell = C.Cell("sg", 1000, size)
        # A short name: paths of Unix sockets end at 108 bytes.
        self.directory = tempfile.TemporaryDirectory(prefix="lat-", dir="/tmp")
        self.sockets = [os.path.join(self.directory.name, f"{n}.sock") for n in ("in", "out")]
        node = {"idle": idle, "workers": [1], "memory": {"hugepages": "auto", "size_mb": 256}, "limits": {"unanswered_percent": 100}}
        self.cloud = Cloud(hosts=1, underlay=None, node_config=node)
        self.pid = self.cloud.host().daemon.pid
        try:
            self._network()
        except BaseException:
            self.close()
            raise

    def _network(self):
        cloud = self.cloud
        rules = [{"direction": d, "protocol": "udp", "ports": "80"} for d in ("ingress", "egress")]
        cloud.apply(
            [
                {"kind": "vpc", "name": "v", "cidrs": ["10.0.0.0/8"]},
                {"kind": "subnet", "name": "here", "vpc": "v", "cidr": "10.1.0.0/16"},
                {"kind": "subnet", "name": "there", "vpc": "v", "cidr": "10.2.0.0/16"},
                {"kind": "security_group", "name": "web", "rules": rules},
            ]
        )
        ports = [("here", C.SOURCE, C.SOURCE_MAC, self.sockets[0]), ("there", C.DESTINATION, C.DESTINATION_MAC, self.sockets[1])]
        for name, addresses, mac, socket in ports:
            attachment = {"type": "memif", "socket": socket, "id": 0, "role": "server"}
            port = {"name": name, "subnet": name, "addresses": [addresses[0]], "mac": mac, "security_groups": ["web"]}
            cloud.create("port", **port, allowed_addresses=["10.1.0.0/16"] if name == "here" else [], attachment=attachment)
        self.gateway_mac = cloud.get("subnet", "here")["status"]["gateway_mac"]

    def run(self, rate, seconds):
        """(packets a second that came through, histogram of their ages, what was offered) once it is under way."""
        with tempfile.TemporaryDirectory(prefix="pmd-", dir="/tmp") as directory:
            source = f"net_flowgen0,{self.cell.source(self.gateway_mac)},csum=0,stamp=1,rate={rate},count={directory}/source"
            sink = f"net_flowgen1,rx=0,stamp=1,count={directory}/sink"
            memifs = [f"net_memif{n},role=client,id=0,socket={s},socket-abstract=no,rsize=11" for n, s in enumerate(self.sockets)]
            # In pairs: what the source makes goes to the first memif, what the second gives to the sink.
            options = ("--auto-start", "--forward-mode=io", "--nb-cores=1", "--port-topology=paired", "--total-num-mbufs=16384")
            child = testpmd.start(directory, "0@0,1@0", 256, (source, *memifs, sink), *options)
            try:
                made, taken = device.Counts(f"{directory}/source"), device.Counts(f"{directory}/sink")
                measure.wait(lambda: taken.taken() > 200, 30, lambda: f"nothing comes through: {self.cloud.call('drops.list')}")
                time.sleep(0.3)
                before, first, offered, began = taken.latency(), taken.taken(), made.sum(device.RX_PACKETS), time.monotonic()
                time.sleep(seconds)
                took = time.monotonic() - began
                after = taken.latency()
                through = (taken.taken() - first) / took
                offered = (made.sum(device.RX_PACKETS) - offered) / took
                return through, [a - b for a, b in zip(after, before)], offered
            finally:
                testpmd.stop(child)

    def close(self):
        self.cloud.close(check=False)
        self.directory.cleanup()


def one(path, idle, name, rate, args, hz):
    through, ages, offered = path.run(rate, args.seconds)
    found = dict(zip(PARTS, device.quantiles(ages, PARTS.values())))
    row = {"idle": idle, "load": name, "offered": offered, "through": through, "us": {k: v and v / hz * 1e6 for k, v in found.items()}}
    times = "".join(f"{v if v is not None else float('nan'):10.1f}" for v in row["us"].values())
    print(f"{idle:10}{name:>12}{offered / 1e6:10.3f}{through / 1e6:10.3f}{times}", flush=True)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--load", default="50" if QUICK else "10,50,90")
    parser.add_argument("--idle", default="poll,adaptive")
    parser.add_argument("--seconds", type=float, default=0.5 if QUICK else 2)
    parser.add_argument("--size", type=int, default=60)
    parser.add_argument("--json")
    args = parser.parse_args()
    hz, rows, most = measure.tsc_hz(), [], None
    print(f"{'idle':10}{'load':>12}{'offered':>10}{'through':>10}" + "".join(f"{p + ' us':>10}" for p in PARTS) + "\n" + f"{'':22}{'Mpps':>10}{'Mpps':>10}")
    for idle in args.idle.split(","):
        path = Path(idle, args.size)
        try:
            if most is None:
                most = path.run(0, args.seconds)[0]
                print(f"{'':10}{'most':>12}{'':10}{most / 1e6:10.3f}")
            for load in args.load.split(","):
                rows.append(one(path, idle, f"{load} %", int(most * int(load) / 100), args, hz))
            rows.append(one(path, idle, "1,000 pps", TRICKLE, args, hz))
        finally:
            path.close()
    Results(args.json).put("latency", {"size": args.size, "most": most, "rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
