# SPDX-License-Identifier: Apache-2.0
"""The real controller in a directory of its own, with a client that checks every answer against the OpenRPC document."""

import json
import os
import socket
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from lib.openrpc import Document  # noqa: E402
from lib.process import end, popen  # noqa: E402
from lib.rpc import Rpc, RpcError  # noqa: E402
from lib.wait import deadline  # noqa: E402

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
CODES = {
    "invalid": 1,
    "not_found": 2,
    "already_exists": 3,
    "conflict": 4,
    "in_use": 5,
    "exhausted": 6,
    "unavailable": 7,
    "denied": 8,
}
TOKEN = "test-token-0123456789"


def build_dir():
    return os.path.join(ROOT, os.environ.get("VPC_BUILD") or "build")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Client(Rpc):
    """As Rpc, and no answer passes that the document does not describe."""

    def __init__(self, path, document=None, timeout_s=60):
        super().__init__(path, timeout_s)
        self.document = document

    def finish(self, request_id, method="", timeout_s=None):
        try:
            result = super().finish(request_id, method, timeout_s)
        except RpcError as e:
            if self.document:
                self.document.check_error({"code": e.code, "message": e.message, "data": e.data})
            raise
        if self.document and method in self.document.methods:
            self.document.check_result(method, sample(result))
        return result


def sample(result):
    """Of a long list its first items: the judge is slow, and the others are made by the same code."""
    if not isinstance(result, dict):
        return result
    return {key: value[:100] if isinstance(value, list) else value for key, value in result.items()}


class Exited(Exception):
    """It ended instead of getting ready."""


class Controller:
    """vpc-controller with its files under `directory`."""

    def __init__(self, directory=None, nodes=None, **config):
        self.dir = directory or tempfile.mkdtemp(prefix="vpct-rpc-", dir="/tmp")
        self.socket_path = os.path.join(self.dir, "controller.sock")
        self.http = f"127.0.0.1:{free_port()}"
        self.audit_path = os.path.join(self.dir, "audit.jsonl")
        self.log_path = os.path.join(self.dir, "controller.log")
        self.config = {
            "listen": self.socket_path,
            "http": self.http,
            "store": f"sqlite:{self.dir}/state.db",
            "audit_log": self.audit_path,
            "nodes": nodes if nodes is not None else [],
            **config,
        }
        self.process = None
        self.document = None
        self._rpc = None

    def argv(self, *words):
        path = os.path.join(self.dir, "controller.yaml")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(self.config, f)
        return [os.path.join(build_dir(), "controller", "vpc-controller"), "-c", path, *words]

    def start(self):
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.process = popen(self.argv("--log-level", "info"), stdout=log, stderr=log)

        until = deadline(20)
        while True:
            if self.process.poll() is not None:
                raise Exited(f"exit {self.process.returncode}:\n{self.log()}")
            try:
                Rpc(self.socket_path).close()
                break
            except OSError:
                assert time.monotonic() < until, f"not ready:\n{self.log()}"
                time.sleep(0.005)
        if self.document is None:
            with Rpc(self.socket_path) as rpc:
                self.document = Document(rpc.call("rpc.discover"))
        return self

    def log(self):
        with open(self.log_path, encoding="utf-8") as f:
            return f.read()

    def client(self):
        return Client(self.socket_path, self.document)

    @property
    def rpc(self):
        if self._rpc is None:
            self._rpc = self.client()
        return self._rpc

    def call(self, method, **params):
        return self.rpc.call(method, **params)

    def refused(self, code, method, **params):
        """The error of a call that must fail with that code (a name of CODES)."""
        try:
            result = self.call(method, **params)
        except RpcError as e:
            assert e.code == CODES[code], f"{method} {params}: {e}, not {code}"
            return e
        raise AssertionError(f"{method} {params}: not refused as {code} but {result}")

    def apply(self, *resources, **params):
        return self.call("apply", resources=list(resources), **params)

    def names(self, kind, **filters):
        return [item["name"] for item in self.call(f"{kind}.list", **filters)["items"]]

    def disconnect(self):
        if self._rpc:
            self._rpc.close()
            self._rpc = None

    def cpu_s(self):
        """Processor time it has used: what a busy machine does not stretch."""
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self):
        self.disconnect()
        self.process.kill()
        self.process.wait()

    def stop(self):
        """A clean stop: its exit status."""
        self.disconnect()
        return end(self.process) if self.process else 0

    def restart(self):
        assert self.stop() == 0, self.log()
        return self.start()

    def audit(self):
        with open(self.audit_path, encoding="utf-8") as f:
            return [json.loads(line) for line in f]


def counts(result):
    return {key: value for key, value in result.items() if key != "changes"}


# A small network in which every kind is there once. The nodes are never reachable: see peer.py for those that are.
NODE = {"kind": "node", "name": "host-a", "rpc": "/nowhere/a.sock", "vtep": "192.0.2.1"}
# A hook's program: r0 = 1; exit. The shortest ELF object there is.
PASS_ALL = (
    "f0VMRgIBAQAAAAAAAAAAAAEA9wABAAAAAAAAAAAAAAAAAAAAAAAAAEAAAAAAAAAAAAAAAEAAAAAAAEAAAgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQAAAAYAAAAAAAAAAAAAAAAAAADAAAAAAAAAABAAAAAAAAAAAAAAAAAAAAAIAAAAAAAAAAAAAAAAAAAAtwAAAAEAAACVAAAAAAAAAA=="
)
BASE = [
    {"kind": "vpc", "name": "prod", "cidrs": ["10.0.0.0/16", "fd00:10::/48"]},
    {"kind": "vpc", "name": "shared", "cidrs": ["10.1.0.0/16"]},
    {"kind": "prefix_list", "name": "offices", "cidrs": ["198.51.100.0/24"]},
    {
        "kind": "security_group",
        "name": "web",
        "rules": [
            {"direction": "ingress", "protocol": "tcp", "ports": "443"},
            {"direction": "ingress", "remote_prefix_list": "offices"},
        ],
    },
    {"kind": "subnet", "name": "front", "vpc": "prod", "cidr": "10.0.1.0/24", "cidr6": "fd00:10:0:1::/64"},
    {"kind": "port", "name": "web1", "subnet": "front", "node": "host-a", "security_groups": ["web"]},
    {"kind": "peering", "name": "prod-shared", "vpcs": ["prod", "shared"]},
    {
        "kind": "route",
        "name": "office",
        "vpc": "prod",
        "destination": "192.168.0.0/16",
        "next_hop": {"kind": "port", "name": "web1"},
    },
    {"kind": "tenant", "name": "acme"},
    {"kind": "eip_pool", "name": "public", "cidr": "198.51.100.16/28", "external": "internet"},
    {"kind": "eip", "name": "spare", "pool": "public"},
    {"kind": "eip", "name": "nat-1", "pool": "public"},
    {
        "kind": "nat_gateway",
        "name": "out",
        "vpc": "prod",
        "eips": ["nat-1"],
        "snat": [{"subnet": "front"}],
        "dnat": [{"eip": "nat-1", "protocol": "tcp", "port": "8080", "to_address": "10.0.1.10", "to_port": 80}],
    },
    {
        "kind": "load_balancer",
        "name": "shop",
        "vpc": "prod",
        "address": "10.0.1.100",
        "listeners": [{"protocol": "tcp", "port": 80, "backends": [{"port": "web1"}, {"address": "10.0.1.77"}]}],
    },
    {"kind": "flow_log", "name": "audit", "scope": {"subnet": "front"}, "collector": "udp://192.0.2.10:4739"},
    {
        "kind": "mirror",
        "name": "tap",
        "sources": [],
        "filter": "tcp",
        "target": {"type": "erspan", "address": "192.0.2.200", "session_id": 7},
    },
    {"kind": "hook", "name": "gate", "scope": [{"vpc": "prod"}], "role": "sample", "mirror": "tap", "program": PASS_ALL},
    {"kind": "indicator_list", "name": "botnets", "entries": ["203.0.113.66", "198.51.100.0/24"]},
    {
        "kind": "inspection",
        "name": "east-west",
        "scope": {"vpc": "prod"},
        "detectors": [{"type": "port_scan", "threshold": 10}, {"type": "indicator"}],
        "indicator_lists": ["botnets"],
        "action": "quarantine",
        "quarantine_group": "web",
    },
]
