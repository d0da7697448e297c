# SPDX-License-Identifier: Apache-2.0
"""A small cloud of real processes in network namespaces, for tests and for scripts/demo.

    netns.py    namespaces, links, running things inside
    process.py  children that never outlive us, daemons with logs
    packet.py   raw frames out of and into an interface, every received one verified
    rpc.py      JSON-RPC over a Unix socket
    machine.py  a tenant's machine and the real programs in it
    vtep.py     VTEPs that somebody else runs
    outside.py  outside networks of gateway nodes, and the internet beyond them
    cloud.py    hosts, underlay, controller, machines: what a test starts from
    wait.py     waiting for a condition instead of for the clock
"""

from .cloud import Cloud, Host
from .machine import Machine
from .netns import Namespace, in_netns
from .outside import Outside
from .packet import Wire, verify
from .rpc import Rpc, RpcError
from .vtep import KernelVtep, OvsVtep
from .wait import wait_for

__all__ = [
    "Cloud",
    "Host",
    "KernelVtep",
    "Machine",
    "Namespace",
    "Outside",
    "OvsVtep",
    "Rpc",
    "RpcError",
    "Wire",
    "in_netns",
    "verify",
    "wait_for",
]
