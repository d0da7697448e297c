# SPDX-License-Identifier: Apache-2.0
"""The source and the sink with nothing but testpmd's loop between them: what no program on this device can surpass."""

import shutil
import tempfile

from . import testpmd
from .device import Counts


class Ceiling:
    name = "ceiling"
    title = "device alone"

    @staticmethod
    def version():
        return None

    @staticmethod
    def missing():
        return None if shutil.which("dpdk-testpmd") else "dpdk-testpmd is not installed (package dpdk-dev)"

    @staticmethod
    def why_not(cell):
        """The device costs the same for all cases but by what it has to write."""
        return None if cell.case in ("l3", "decap") else "as l3 (or decap, from a tunnel)"

    def __init__(self, cell, **_):
        self.dir = tempfile.mkdtemp(prefix="pmd-", dir="/tmp")
        devices = [f"net_flowgen0,{cell.source()},count={self.dir}/source", f"net_flowgen1,rx=0,count={self.dir}/sink"]
        options = ("--auto-start", "--forward-mode=io", "--nb-cores=1", "--burst=32", "--total-num-mbufs=32768")
        self.child = testpmd.start(self.dir, "0@0,1@1", 512, devices, *options)
        self.pid = self.child.pid
        try:
            self.sink = Counts(f"{self.dir}/sink")
        except BaseException:
            self.close()
            raise

    def taken(self):
        return self.sink.taken()

    @staticmethod
    def describe():
        return "testpmd"

    def close(self):
        testpmd.stop(self.child)
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
