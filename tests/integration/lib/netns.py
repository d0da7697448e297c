# SPDX-License-Identifier: Apache-2.0
"""Network namespaces and the links between them.

Every namespace we make is called `vpct-PID-…`, so that one of a run that was killed can be told from one in use
(`reap`). Code of this process acts inside a namespace through a thread of its own (`in_netns`): a socket made
there stays there.
"""

import ctypes
import os
import re
import subprocess
import threading

from .process import popen, run

PREFIX = "vpct"
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def in_netns(name, function, *args, **kwargs):
    """Calls function in a thread whose network namespace is `name`, and returns or raises what it does."""
    outcome = {}

    def body():
        try:
            fd = os.open(f"/run/netns/{name}", os.O_RDONLY)
            try:
                if _libc.setns(fd, CLONE_NEWNET) != 0:
                    errno = ctypes.get_errno()
                    raise OSError(errno, f"setns {name}: {os.strerror(errno)}")
            finally:
                os.close(fd)
            outcome["value"] = function(*args, **kwargs)
        except BaseException as e:  # pylint: disable=broad-except
            outcome["error"] = e

    thread = threading.Thread(target=body, name=f"netns-{name}")
    thread.start()
    thread.join()
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]


def ip_batch(lines, netns=None):
    """Runs several `ip` commands in one process; a failing one raises with its text."""
    command = ["ip"] + (["-n", netns] if netns else []) + ["-batch", "-"]
    done = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip -batch in {netns}: {done.stderr.strip()}\n  " + "\n  ".join(lines))


def existing():
    """Names of the namespaces on this machine."""
    try:
        return os.listdir("/run/netns")
    except FileNotFoundError:
        return []


def reap():
    """Removes namespaces of test runs whose process is gone (killed before it could clean up)."""
    for name in existing():
        match = re.match(rf"{PREFIX}-(\d+)-", name)
        if match and not os.path.exists(f"/proc/{match.group(1)}"):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


class Namespace:
    """One network namespace; it is quiet: no autoconfigured addresses, no DAD, no router solicitations."""

    def __init__(self, name, ra=False):
        """ra: interfaces that come into it take router advertisements (a test of those)."""
        self.name = name
        run(["ip", "netns", "add", name])
        accept = "1" if ra else "0"
        settings = {
            "net/ipv6/conf/all/accept_ra": accept,
            "net/ipv6/conf/default/accept_ra": accept,
            "net/ipv6/conf/default/autoconf": accept,
            "net/ipv6/conf/all/accept_dad": "0",
            "net/ipv6/conf/default/accept_dad": "0",
            "net/ipv6/conf/default/dad_transmits": "0",
            "net/ipv6/conf/default/router_solicitations": "-1" if ra else "0",
            "net/ipv6/conf/default/force_mld_version": "0",
            "net/ipv4/conf/all/rp_filter": "0",
            "net/ipv4/conf/default/rp_filter": "0",
            "net/ipv4/ping_group_range": "0 2147483647",
        }
        in_netns(name, self._write, settings)
        self.ip("link set lo up")

    @staticmethod
    def _write(settings):
        # /proc/sys/net follows the thread's namespace, /sys does not.
        for key, value in settings.items():
            try:
                with open(f"/proc/sys/{key}", "w", encoding="ascii") as f:
                    f.write(value)
            except FileNotFoundError:
                pass

    def sysctl(self, **settings):
        """sysctl(net__ipv4__ip_forward=1): two underscores stand for the slash of the path."""
        in_netns(self.name, self._write, {k.replace("__", "/"): str(v) for k, v in settings.items()})

    def __repr__(self):
        return self.name

    def ip(self, *commands):
        """Runs `ip` commands, one a string, inside."""
        ip_batch(commands, self.name)

    def argv(self, command):
        return ["ip", "netns", "exec", self.name, *map(str, command)]

    def run(self, *command, check=True, timeout_s=60, stdin=None):
        """Runs a command to its end; returns its CompletedProcess (text). A failure raises with all output."""
        return run(self.argv(command), check=check, timeout_s=timeout_s, stdin=stdin)

    def popen(self, *command, **kwargs):
        """Starts a command that ends with us at the latest."""
        return popen(self.argv(command), **kwargs)

    def call(self, function, *args, **kwargs):
        return in_netns(self.name, function, *args, **kwargs)

    def links(self):
        """Names of the interfaces inside."""
        out = self.run("ip", "-br", "link").stdout
        return [line.split()[0].split("@")[0] for line in out.splitlines() if line.strip()]

    def delete(self):
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)


def veth(a, a_name, b, b_name, mtu=1500):
    """A pair of interfaces, one in each namespace, both up."""
    ip_batch(
        [
            f"link add name {a_name} mtu {mtu} type veth peer name {b_name} mtu {mtu} netns {b.name}",
            f"link set dev {a_name} up",
        ],
        a.name,
    )
    b.ip(f"link set dev {b_name} up")
