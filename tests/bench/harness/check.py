# SPDX-License-Identifier: Apache-2.0
"""Looks at frames that a program has sent: a figure of packets that are not what the case asks for says nothing."""

import ipaddress
import struct

from . import cell as C

VXLAN = 50


class Wrong(Exception):
    """A frame is not what the case asks for."""


def address(data):
    return ipaddress.ip_address(data)


def among(found, first, count):
    return 0 <= int(found) - int(ipaddress.ip_address(first)) < count


def inner(cell, frame):
    """What is in the tunnel, its header looked at."""
    ethertype, proto, port = struct.unpack_from("!H", frame, 12)[0], frame[23], struct.unpack_from("!H", frame, 36)[0]
    if (ethertype, proto, port) != (0x0800, 17, 4789):
        raise Wrong(f"no VXLAN: ethertype {ethertype:04x}, protocol {proto}, port {port}")
    if str(address(frame[26:30])) != C.VTEP or str(address(frame[30:34])) != C.FAR_VTEP:
        raise Wrong(f"tunnel from {address(frame[26:30])} to {address(frame[30:34])}")
    return frame[VXLAN:]


def one(cell, frame):
    if cell.case in C.TO_TUNNEL:
        frame = inner(cell, frame)
    six = cell.family == 6
    if struct.unpack_from("!H", frame, 12)[0] != (0x86DD if six else 0x0800):
        raise Wrong(f"ethertype {frame[12:14].hex()}")
    source, destination = (address(frame[22:38]), address(frame[38:54])) if six else (address(frame[26:30]), address(frame[30:34]))
    first, to, count = cell.addresses()
    if cell.ever_new and cell.case in C.FROM_OUTSIDE:
        count = C.ELSEWHERE
    in_pool = source.version == 4 and source in ipaddress.ip_network(C.POOL)
    fresh = cell.fresh and source.version == 4 and source in ipaddress.ip_network("10.1.128.0/17")
    if cell.case in C.TO_OUTSIDE and not in_pool:
        raise Wrong(f"source is {source}: not translated")
    if cell.case not in C.TO_OUTSIDE and not among(source, first, count) and not fresh:
        raise Wrong(f"source is {source}")
    expected = {"lb": C.BACKENDS6 if six else C.BACKENDS, "dnat": [C.DESTINATION[0]]}.get(cell.case, [to])
    if str(destination) not in expected and not (cell.ever_new and among(destination, to, C.ELSEWHERE)):
        raise Wrong(f"destination is {destination}")
    hops = frame[21] if six else frame[22]
    if cell.case == "l3" and hops != 63:
        raise Wrong(f"TTL is {hops}: not routed")
    if cell.size != "imix" and len(frame) != max(cell.size, 62 if six else 60):
        raise Wrong(f"{len(frame)} bytes long")


def check(cell, found):
    """Raises Wrong."""
    if not found:
        raise Wrong("no frame came out")
    for frame in found:
        one(cell, frame)
