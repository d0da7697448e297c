#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What looking at traffic costs the worker: flows that run and flows that begin, with nothing set up, with mirrors and inspection of
others, and with each of them for the flow itself.

    sight.py [--runs N] [--seconds S] [--json FILE]

All lines take turns in one running program, so that what the machine does meanwhile touches all of them; told is the median of turns.
"""

import argparse
import os
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import QUICK, device, measure, peers, testpmd  # noqa: E402
from harness.cell import COLLECTOR, NOBODY, Cell  # noqa: E402
from harness.results import Results  # noqa: E402

CAPACITY = 1 << 22


def mirror(port, target=None):
    return {"kind": "mirror", "name": f"of-{port}", "sources": [{"port": port}], "target": target or vxlan(COLLECTOR)}


def vxlan(address):
    return {"type": "vxlan", "address": address, "vni": 77}


def inspection(vpc):
    return {"kind": "inspection", "name": f"of-{vpc}", "scope": {"vpc": vpc}, "detectors": [{"type": "port_scan"}]}


def flow_log(vpc):
    return {"kind": "flow_log", "name": f"of-{vpc}", "scope": {"vpc": vpc}, "collector": "udp://127.0.0.1:9995"}


OTHERS = [mirror("other"), inspection("others")]
# (what, what is set up meanwhile); the first of each is what the others are compared with.
RUNNING = (
    ("established", []),
    ("established, mirror and inspection of others", OTHERS),
    ("established, inspected", [inspection("bench")]),
    ("established, logged", [flow_log("bench")]),
    ("established, each packet mirrored", [mirror("here")]),
    ("established, mirrored to nobody", [mirror("here", vxlan(NOBODY))]),
    ("established, mirrored to a port that is full", [mirror("here", {"type": "port", "port": "analyser"})]),
)
NEW = (
    ("new flows", []),
    ("new flows, mirror and inspection of others", OTHERS),
    ("new flows, first packets inspected", [inspection("bench")]),
    ("new flows, logged", [flow_log("bench")]),
)


def beside(cloud, node, socket):
    """Others' ports on this node, from which nothing comes; that of an analyser waits for its peer."""
    port = {"kind": "port", "subnet": "others", "node": node}
    cloud.apply(
        [
            {"kind": "vpc", "name": "others", "cidrs": ["10.0.0.0/16"], "vni": 10002},
            {"kind": "subnet", "name": "others", "vpc": "others", "cidr": "10.0.1.0/24"},
            {**port, "name": "other", "attachment": {"type": "device", "devargs": "net_null9,no-rx=1"}},
            {**port, "name": "analyser", "attachment": {"type": "memif", "socket": socket, "id": 0, "role": "server"}},
        ]
    )


class Standstill:
    """A peer of the analyser's port that takes nothing: what it is given fills the ring between them."""

    def __init__(self, cloud, socket):
        self.dir = tempfile.TemporaryDirectory(prefix="pmd-", dir="/tmp")
        self.child = testpmd.start(self.dir.name, "0@0,1@0", 128, [f"net_memif0,role=client,id=0,socket={socket},socket-abstract=no"], "-i", "--total-num-mbufs=8192")
        measure.wait(lambda: cloud.get("port", "analyser")["status"]["state"] == "active", 30, "testpmd does not come")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        testpmd.stop(self.child)
        self.dir.cleanup()


def turn(run, lines, args, windows):
    """One window of each line, one after the other in the same program."""
    for what, resources in lines:
        if resources:
            run.cloud.apply(resources)
        # Copies leave by the sink too: counted is what was taken in.
        windows[what] += measure.rates(lambda: run.source.sum(device.RX_PACKETS), run.pid, args.seconds, 1)
        for one in resources:
            run.cloud.delete(one["kind"], one["name"])


def measured(cell, lines, programs, turns, args, **options):
    windows = {what: [] for what, _ in lines}
    for _ in range(programs):
        with peers.Ours(cell, **options) as run:
            socket = os.path.join(run.cloud.dir, "analyser.sock")
            beside(run.cloud, run.node, socket)
            measure.wait(lambda: run.taken() > 2.2 * cell.flows + 1000, 60, run.describe)  # pylint: disable=cell-var-from-loop
            with Standstill(run.cloud, socket):
                for _ in range(turns):
                    turn(run, lines, args, windows)
    return [{"what": what, **measure.summary(windows[what])} for what, _ in lines]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2 if QUICK else 7)
    parser.add_argument("--seconds", type=float, default=0.15)
    parser.add_argument("--json")
    args = parser.parse_args()
    hz, rows = measure.tsc_hz(), []
    # Flows that begin fill the table: a program for each turn.
    for part in (measured(Cell("chain"), RUNNING, 1, args.runs, args), measured(Cell("chain", 1, fresh=1), NEW, args.runs, 1, args, sessions=CAPACITY)):
        for row in part:
            rate, share = row["median"] / 1e6, row["median"] / part[0]["median"]
            print(f"{row['what']:46}{rate:8.2f} Mpps [{row['min'] / 1e6:.2f} {row['max'] / 1e6:.2f}] {hz / row['median']:6.0f} cycles {share:6.1%}", flush=True)
        rows += part
    Results(args.json).put("sight", {"rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
