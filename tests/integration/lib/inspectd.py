# SPDX-License-Identifier: Apache-2.0
"""vpc-inspectd beside a host's dataplane."""

import os

import pytest
import yaml

from .cloud import SANITIZER_ENV, program
from .process import Daemon, run
from .rpc import Rpc


class Inspectd:
    """With a BPF file system of its own. `settings` are laid over its configuration."""

    def __init__(self, cloud, host, **settings):
        self.bpf = os.path.join(cloud.dir, f"bpf-{host.name}")
        os.mkdir(self.bpf)
        if run(["mount", "-t", "bpf", "bpf", self.bpf], check=False).returncode:
            pytest.skip("no BPF file system can be mounted here")
        self.host = host
        self.rpc = os.path.join(cloud.dir, f"inspectd-{host.name}.sock")
        self.config = os.path.join(cloud.dir, f"inspect-{host.name}.yaml")
        self.settings = {"dataplane": host.rpc_path, "rpc": self.rpc, "pin": f"{self.bpf}/vpc", **settings}
        argv = [program("vpc-inspectd"), "-c", self.config]
        self.daemon = Daemon(f"inspectd-{host.name}", argv, host.ns, cloud.dir, SANITIZER_ENV)
        self.start()

    def start(self):
        with open(self.config, "w", encoding="utf-8") as f:
            yaml.safe_dump(self.settings, f)
        if os.path.exists(self.rpc):
            os.unlink(self.rpc)
        self.daemon.start(lambda: os.path.exists(self.rpc) and self.status()["dataplane"])

    def kill(self):
        self.daemon.kill()

    def status(self):
        with Rpc(self.rpc) as rpc:
            return rpc.call("inspectd.status")

    def is_attached(self):
        return any(i["attached"] for i in self.status()["interfaces"])

    def asked(self):
        """What its dataplane tells it."""
        with self.host.rpc() as rpc:
            return rpc.call("inspect.get")

    def close(self):
        status = self.daemon.stop()
        run(["umount", self.bpf], check=False)
        assert status == 0, self.daemon.log_tail(80)
