# SPDX-License-Identifier: Apache-2.0
"""Raw frames out of and into an interface; every frame received is verified: lengths and checksums."""

import logging
import os
import select
import socket
import struct
import time

from .netns import in_netns
from .wait import deadline

logging.getLogger("scapy").setLevel(logging.ERROR)
# pylint: disable=wrong-import-position
from scapy.layers.l2 import Ether  # noqa: E402

ETH_P_ALL = 0x0003
SOL_PACKET = 263
PACKET_AUXDATA = 8
PACKET_VNET_HDR = 15
VNET_HDR = struct.Struct("=BBHHHH")  # <linux/virtio_net.h>: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset
GSO_UDP_L4 = 5
PACKET_OUTGOING = 4
SO_RCVBUFFORCE = 33
TP_STATUS_VLAN_VALID = 1 << 4
VXLAN_PORT = 4789
# A packet of a known flow may overtake a new flow's first one, and flows on different workers each other, by
# microseconds: for so long stragglers are listened for behind a marker.
STRAGGLE_S = 0.05 if "," in os.environ.get("VPC_WORKERS", "") else 0.02


def _sum(data, start=0):
    """The one's complement sum, folded to 16 bits."""
    if len(data) % 2:
        data += b"\0"
    total = start + sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _check_l4(protocol, pseudo, data, partial, what):
    """Lengths and checksum of what follows the IP headers; partial: only the pseudo header's sum may be there."""
    at = {6: 16, 17: 6, 1: 2, 58: 2}.get(protocol)
    if at is None:
        return
    least = {6: 20, 17: 8, 1: 8, 58: 4}[protocol]
    assert len(data) >= least, f"{what}: {len(data)} bytes are too short for protocol {protocol}"
    field = struct.unpack_from("!H", data, at)[0]
    dport = struct.unpack_from("!H", data, 2)[0]
    if protocol == 6:
        offset = (data[12] >> 4) * 4
        assert 20 <= offset <= len(data), f"{what}: TCP data offset {offset} of {len(data)}"
    if protocol == 17:
        length = struct.unpack_from("!H", data, 4)[0]
        assert length == len(data), f"{what}: UDP length {length}, carried {len(data)}"
        if field == 0:
            assert len(pseudo) == 12 or dport == VXLAN_PORT, f"{what}: UDP over IPv6 without a checksum"
    start = _sum(pseudo) if protocol != 1 else 0
    full = _sum(data, start) == 0xFFFF or (protocol == 17 and field == 0)
    assert full or (partial and field == start), f"{what}: bad checksum {field:#06x}, protocol {protocol}"
    if protocol == 1 and data[0] in (3, 11, 12) and len(data) >= 28:
        assert _sum(data[8 : 8 + (data[8] & 15) * 4]) == 0xFFFF, f"{what}: quoted IPv4 header has a bad checksum"
    if protocol == 17 and dport == VXLAN_PORT and len(data) > 30:
        verify(data[16:], partial, what + " > vxlan")


def _check_ipv4(data, frame_length, partial, what):
    assert len(data) >= 20 and data[0] >> 4 == 4, f"{what}: no IPv4 header"
    header = (data[0] & 15) * 4
    length = struct.unpack_from("!H", data, 2)[0]
    assert 20 <= header <= length <= len(data), f"{what}: IPv4 header {header}, total {length}, carried {len(data)}"
    assert length == len(data) or frame_length <= 60, f"{what}: {len(data) - length} bytes after the IPv4 packet"
    assert _sum(data[:header]) == 0xFFFF, f"{what}: bad IPv4 header checksum"
    if struct.unpack_from("!H", data, 6)[0] & 0x3FFF:
        return  # a fragment: its checksum is over all of them
    payload = data[header:length]
    pseudo = data[12:20] + struct.pack("!BBH", 0, data[9], len(payload))
    _check_l4(data[9], pseudo, payload, partial, f"{what} > ipv4")


def _check_ipv6(data, frame_length, partial, what):
    assert len(data) >= 40 and data[0] >> 4 == 6, f"{what}: no IPv6 header"
    length = struct.unpack_from("!H", data, 4)[0]
    assert length + 40 <= len(data), f"{what}: IPv6 payload {length}, carried {len(data) - 40}"
    assert length + 40 == len(data) or frame_length <= 60, f"{what}: bytes after the IPv6 packet"
    protocol, at = data[6], 40
    while protocol in (0, 43, 60, 44):
        assert at + 8 <= length + 40, f"{what}: IPv6 extension headers end early"
        if protocol == 44:
            if struct.unpack_from("!H", data, at + 2)[0] & 0xFFF9:
                return
            size = 8
        else:
            size = (data[at + 1] + 1) * 8
        protocol, at = data[at], at + size
    payload = data[at : length + 40]
    pseudo = data[8:40] + struct.pack("!IHBB", len(payload), 0, 0, protocol)
    _check_l4(protocol, pseudo, payload, partial, f"{what} > ipv6")


def verify(frame, partial=False, what="frame"):
    """AssertionError when a length or a checksum of an Ethernet frame is wrong, also inside VXLAN.

    partial: the kernel said that checksums are still to be completed (CHECKSUM_PARTIAL).
    """
    assert len(frame) >= 14, f"{what}: {len(frame)} bytes"
    at = 12
    kind = struct.unpack_from("!H", frame, at)[0]
    while kind in (0x8100, 0x88A8):
        at += 4
        kind = struct.unpack_from("!H", frame, at)[0]
    data = frame[at + 2 :]
    if kind == 0x0800:
        _check_ipv4(data, len(frame), partial, what)
    elif kind == 0x86DD:
        _check_ipv6(data, len(frame), partial, what)
    elif kind == 0x0806:
        assert len(data) >= 28, f"{what}: ARP of {len(data)} bytes"


def split(frame, size, csum_start):
    """The datagrams of a frame that the kernel keeps whole (GSO_UDP_L4), as they are on a wire: `size` bytes of payload each.

    Its partial checksum is checked; the datagrams get none.
    """
    ipv4 = frame[12:14] == b"\x08\x00"
    head, payload = frame[: csum_start + 8], frame[csum_start + 8 :]
    length = struct.pack("!I", len(payload) + 8)
    pseudo = frame[26:34] + b"\0\x11" + length[2:] if ipv4 else frame[22:54] + length + b"\0\0\0\x11"
    assert struct.unpack_from("!H", head, csum_start + 6)[0] == _sum(pseudo), "UDP super-frame: bad partial checksum"
    for number, at in enumerate(range(0, len(payload), size)):
        part = payload[at : at + size]
        new = bytearray(head)
        struct.pack_into("!HH", new, csum_start + 4, len(part) + 8, 0)
        if ipv4:
            identification = struct.unpack_from("!H", head, 18)[0] + number
            struct.pack_into("!HH", new, 16, csum_start - 14 + 8 + len(part), identification & 0xFFFF)
            struct.pack_into("!H", new, 24, 0)
            struct.pack_into("!H", new, 24, _sum(bytes(new[14:csum_start])) ^ 0xFFFF)
        else:
            struct.pack_into("!H", new, 18, csum_start - 54 + 8 + len(part))
        yield bytes(new) + part


class Wire:
    """A raw socket on one interface of a namespace. Hears what comes in from the moment it is made."""

    def __init__(self, namespace, ifname):
        self.name = f"{namespace.name}/{ifname}"
        self.bad = []  # (frame, what is wrong) of everything received
        self._pending = []  # (frame, its checksums may be partial)
        self.socket = in_netns(namespace.name, self._open, ifname)

    @staticmethod
    def _open(ifname):
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        s.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        s.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        s.bind((ifname, ETH_P_ALL))
        return s

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.close()
        if kind is None:
            self.check()

    def close(self):
        self.socket.close()

    def check(self):
        """AssertionError when anything received so far was malformed."""
        assert not self.bad, f"{self.name}: {self.bad[0][1]}: {self.bad[0][0].hex()}"

    def send(self, *packets):
        """Scapy packets or bytes, as they are."""
        for packet in packets:
            data = bytes(VNET_HDR.size) + bytes(packet)
            while True:
                try:
                    self.socket.send(data)
                    break
                except (BlockingIOError, OSError) as e:
                    if not isinstance(e, BlockingIOError) and e.errno != 105:  # ENOBUFS: the queue is full
                        raise
                    select.select([], [self.socket], [], 0.1)

    def _fetch(self):
        """Moves what the socket has next to `_pending`; False: it is empty."""
        try:
            data, ancillary, _, address = self.socket.recvmsg(1 << 17, 256)
        except BlockingIOError:
            return False
        if address[2] == PACKET_OUTGOING:
            return True
        flags, gso_type, _, gso_size, csum_start, _ = VNET_HDR.unpack_from(data)
        data = data[VNET_HDR.size :]
        if gso_type == GSO_UDP_L4:
            try:
                self._pending += [(part, False) for part in split(data, gso_size, csum_start)]
            except AssertionError as e:
                self.bad.append((data, str(e)))
            return True
        for level, kind, payload in ancillary:
            if level == SOL_PACKET and kind == PACKET_AUXDATA:
                status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", payload[:20])
                if status & TP_STATUS_VLAN_VALID:
                    data = data[:12] + struct.pack("!HH", tpid, tci) + data[12:]
        self._pending.append((data, bool(flags & 1)))
        return True

    def _read(self):
        """One frame (bytes) that came in, or None."""
        while not self._pending:
            if not self._fetch():
                return None
        data, partial = self._pending.pop(0)
        try:
            verify(data, partial)
        except AssertionError as e:
            self.bad.append((data, str(e)))
        return data

    def drain(self):
        """All packets that have come in so far."""
        packets = []
        while (data := self._read()) is not None:
            packets.append(Ether(data))
        return packets

    def packets(self, timeout_s=3):
        """Packets as they come in, until the time is up."""
        end = deadline(timeout_s)
        while True:
            data = self._read()
            if data is not None:
                yield Ether(data)
                continue
            left = end - time.monotonic()
            if left <= 0:
                return
            select.select([self.socket], [], [], left)

    def receive(self, match=None, timeout_s=3, what="a matching packet"):
        """The first packet for which match(packet) is true; AssertionError tells what came instead."""
        others = []
        for packet in self.packets(timeout_s):
            if match is None or match(packet):
                self.check()
                return packet
            others.append(packet.summary())
        raise AssertionError(f"{self.name}: {what} did not come within {timeout_s} s; came: {others[:20]}")

    def ask(self, packet, match, timeout_s=3, what="an answer"):
        """Sends a packet and waits for the answer to it."""
        self.send(packet)
        return self.receive(match, timeout_s, what)

    def until(self, marker, timeout_s=3):
        """Packets as they come in, until shortly after the one for which marker(packet) is true.

        AssertionError when that does not come.
        """
        for packet in self.packets(timeout_s):
            yield packet
            if marker(packet):
                yield from self.packets(STRAGGLE_S)
                return
        raise AssertionError(f"{self.name}: the marker was not heard, so silence proves nothing")

    def silence(self, forbidden, marker, send_marker, timeout_s=3):
        """Proves that nothing forbidden came in.

        send_marker() sends, after the probe, something that is known to arrive by the same way; once it has
        (marker(packet) is true), the probe would have been heard, too.
        """
        send_marker()
        for packet in self.until(marker, timeout_s):
            assert not forbidden(packet), f"{self.name}: came in: {packet.summary()}"
