# SPDX-License-Identifier: Apache-2.0
"""A tenant's machine: a namespace whose eth0 is a TAP of the dataplane, with real programs in it."""

import json
import os
import re
import select
import socket
import subprocess

from .packet import Wire
from .process import end
from .wait import SLOWNESS, wait_for

HTTPD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "httpd.py")

def bracket(address):
    """An address as it stands in a URL."""
    return f"[{address}]" if ":" in address else address


class Connection:
    """A TCP connection between two machines, both ends in our hands."""

    def __init__(self, client, server):
        self.client = client
        self.server = server

    def close(self):
        self.client.close()
        self.server.close()

    @staticmethod
    def _pass(source, sink, data, timeout_s):
        source.settimeout(timeout_s)
        sink.settimeout(timeout_s)
        source.sendall(data)
        got = b""
        while len(got) < len(data):
            piece = sink.recv(65536)
            if not piece:
                raise ConnectionError("closed")
            got += piece
        assert got == data

    def exchange(self, data=b"hello", timeout_s=1.0):
        """True when data passes in both directions in time, else False (also when it was reset)."""
        try:
            self._pass(self.client, self.server, data, timeout_s * SLOWNESS)
            self._pass(self.server, self.client, data, timeout_s * SLOWNESS)
            return True
        except OSError:
            return False


class Machine:
    """Made by Cloud.machine(). `port` is the port object as the API gave it, `ifname` its interface inside."""

    def __init__(self, cloud, name, namespace, ifname="eth0"):
        self.cloud = cloud
        self.name = name
        self.ns = namespace
        self.ifname = ifname
        self.port = None
        self.processes = []

    def __repr__(self):
        return self.name

    # -- what it is

    @property
    def ip4(self):
        return next((a for a in self.port["addresses"] if "." in a), None)

    @property
    def ip6(self):
        return next((a for a in self.port["addresses"] if ":" in a), None)

    def address(self, family):
        """family: 4 or 6."""
        return self.ip4 if family == 4 else self.ip6

    @property
    def mac(self):
        return self.port["mac"]

    # -- running things

    def run(self, *command, check=True, timeout_s=60, stdin=None):
        return self.ns.run(*command, check=check, timeout_s=timeout_s, stdin=stdin)

    def popen(self, *command, **kwargs):
        process = self.ns.popen(*command, detach=self.cloud.detach, **kwargs)
        self.processes.append(process)
        return process

    def wire(self):
        """Raw frames of its interface."""
        return Wire(self.ns, self.ifname)

    def socket(self, family=4, kind=socket.SOCK_STREAM):
        return self.ns.call(socket.socket, socket.AF_INET if family == 4 else socket.AF_INET6, kind)

    def ping(self, to, count=1, timeout_s=1, size=None, dont_fragment=False):
        """True when every echo came back. `to`: an address or a machine (its IPv4 address, else IPv6)."""
        to = to if isinstance(to, str) else to.ip4 or to.ip6
        command = ["ping", "-n", "-q", "-c", count, "-i", "0.2", "-W", max(1, round(timeout_s * SLOWNESS))]
        if size is not None:
            command += ["-s", size]
        if dont_fragment:
            command += ["-M", "do"]
        out = self.run(*command, to, check=False).stdout
        return f" {count} received" in out

    def listens(self, port, kind="tcp"):
        """True when something in it listens on this port, either family."""

        def look():
            for family in ("", "6"):
                with open(f"/proc/thread-self/net/{kind}{family}", encoding="ascii") as f:
                    for line in f.readlines()[1:]:
                        words = line.split()
                        if int(words[1].rsplit(":", 1)[1], 16) == port and words[3] in ("0A", "07"):
                            return True
            return False

        return self.ns.call(look)

    def serve_http(self, port=80):
        """Starts its web server and returns once it listens."""
        process = self.popen("/usr/bin/python3", HTTPD, self.name, port)
        wait_for(lambda: self.listens(port) or process.poll() is not None, 15, f"web server of {self.name}")
        assert process.poll() is None, f"web server of {self.name} did not start"
        return process

    def curl(self, to, port=80, path="/", timeout_s=3, family=4, extra=()):
        """The body of http://to:port/path, or None when curl failed."""
        to = to if isinstance(to, str) else to.address(family)
        url = f"http://{bracket(to)}:{port}{path}"
        done = self.run(
            "curl", "-sS", "--max-time", round(timeout_s * SLOWNESS, 1), *extra, url, check=False, timeout_s=timeout_s + 30
        )
        return done.stdout if done.returncode == 0 else None

    def connect(self, to, port=7777, family=4, timeout_s=3, at=None):
        """A TCP connection to another machine, on which we listen and accept; OSError when it does not come up.

        at: the address by which we reach it, if that is not its own (an elastic IP). So in udp_echo() and iperf3().
        """
        address = at or to.address(family)
        with to.socket(family) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("0.0.0.0" if family == 4 else "::", port))
            listener.listen(8)
            client = self.socket(family)
            try:
                client.settimeout(timeout_s * SLOWNESS)
                client.connect((address, port))
                listener.settimeout(timeout_s * SLOWNESS)
                server, _ = listener.accept()
            except OSError:
                client.close()
                raise
        for s in (client, server):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Connection(client, server)

    def udp_echo(self, to, port=7777, data=b"hello", family=4, timeout_s=1.0, at=None):
        """True when a datagram reaches the other machine whole and its echo comes back."""
        address = at or to.address(family)
        wildcard = "0.0.0.0" if family == 4 else "::"
        with to.socket(family, socket.SOCK_DGRAM) as server, self.socket(family, socket.SOCK_DGRAM) as client:
            server.bind((wildcard, port))
            server.settimeout(timeout_s * SLOWNESS)
            client.settimeout(timeout_s * SLOWNESS)
            try:
                client.sendto(data, (address, port))
                got, source = server.recvfrom(65536)
                server.sendto(got, source)
                return got == data and client.recvfrom(65536)[0] == data
            except OSError:
                return False

    def iperf3(self, to, seconds=2, size=None, family=4, extra=(), at=None):
        """iperf3's own JSON report of a run to another machine, by time or by size ("64M")."""
        server = to.popen("iperf3", "-s", "-1")
        try:
            wait_for(lambda: to.listens(5201), 5, "iperf3 server")
            done = self.run(
                "iperf3", "-J", *(["-n", size] if size else ["-t", seconds]), "-c", at or to.address(family), *extra, check=False, timeout_s=seconds + 30
            )
            report = json.loads(done.stdout)
            assert "error" not in report, report["error"]
            return report
        finally:
            end(server)

    def gbits(self, to, **kwargs):
        """Gbit/s that arrived in an iperf3 run."""
        report = self.iperf3(to, **kwargs)
        return report["end"]["sum_received"]["bits_per_second"] / 1e9

    def tcpdump(self, path, expression=""):
        """Captures into a pcap file until process.end() of what it returns."""
        return tcpdump(self.ns, self.ifname, path, expression)

    # -- its end

    def stop(self):
        for process in reversed(self.processes):
            end(process)
        self.processes.clear()

    def delete(self):
        """Deletes the port and the namespace."""
        self.cloud.delete("port", self.port["name"])
        self.remove()

    def remove(self):
        self.stop()
        self.ns.delete()
        self.cloud.machines.pop(self.name, None)


def tcpdump(namespace, ifname, path, expression=""):
    """Starts tcpdump into `path`; returns the process once it listens. SIGTERM makes it write all it has."""
    process = namespace.popen(
        "tcpdump", "-i", ifname, "-n", "-U", "-B", "32768", "-Z", "root", "-w", path, *expression.split(),
        stderr=subprocess.PIPE,
    )
    said = ""
    while not re.search(r"listening on", said):
        ready, _, _ = select.select([process.stderr], [], [], 10 * SLOWNESS)
        line = process.stderr.readline() if ready else ""
        assert line, f"tcpdump did not start: {said}"
        said += line
    return process

