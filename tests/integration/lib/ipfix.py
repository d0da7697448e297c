# SPDX-License-Identifier: Apache-2.0
"""IPFIX as RFC 7011 has it, read strictly: what a collector would make of a stream of messages."""

import ipaddress
import struct

REVERSE_PEN = 29305
NAMES = {
    1: "octets", 2: "packets", 4: "protocol", 6: "tcp_flags", 7: "sport", 8: "src", 10: "ingress", 11: "dport", 12: "dst",
    14: "egress", 27: "src", 28: "dst", 32: "icmp", 42: "sent", 89: "status", 136: "end", 139: "icmp", 144: "process",
    148: "flow", 149: "domain", 152: "start_ms", 153: "end_ms", 166: "lost", 225: "post_src", 226: "post_dst", 227: "post_sport",
    228: "post_dport", 230: "nat_event", 234: "vrf_in", 235: "vrf_out", 239: "direction", 281: "post_src", 282: "post_dst",
    311: "probability", 323: "time_ms", 390: "selector",
}
ADDRESSES = {8, 12, 27, 28, 225, 226, 281, 282}


class Session:
    """One transport session: templates, the sequence, and the records that it has brought."""

    def __init__(self):
        self.templates = {}
        self.scopes = {}  # of options: how many of the first fields are their scope
        self.sequence = None
        self.records = []
        self.options = []
        self.messages = 0

    def message(self, data):
        version, length, _, sequence, self.domain = struct.unpack("!HHIII", data[:16])
        assert version == 10 and length == len(data)
        assert self.sequence is None or sequence == self.sequence, f"sequence {sequence}, expected {self.sequence}"
        at, before = 16, len(self.records) + len(self.options)
        while at < length:
            kind, size = struct.unpack("!HH", data[at : at + 4])
            assert size >= 4 and at + size <= length
            (self._templates if kind in (2, 3) else self._data)(kind, data[at + 4 : at + size])
            at += size
        self.sequence = sequence + len(self.records) + len(self.options) - before
        self.messages += 1

    def stream(self, data):
        """Whole messages of a stream; returns what is left."""
        while len(data) >= 16 and len(data) >= int.from_bytes(data[2:4], "big"):
            size = int.from_bytes(data[2:4], "big")
            self.message(data[:size])
            data = data[size:]
        return data

    def _templates(self, kind, data):
        at = 0
        while at + 4 <= len(data):
            ident, count = struct.unpack("!HH", data[at : at + 4])
            at += 4
            if kind == 3:
                self.scopes[ident] = int.from_bytes(data[at : at + 2], "big")
                assert 0 < self.scopes[ident] <= count
                at += 2
            fields = []
            for _ in range(count):
                element, size = struct.unpack("!HH", data[at : at + 4])
                at += 4
                reverse = bool(element & 0x8000)
                if reverse:
                    assert int.from_bytes(data[at : at + 4], "big") == REVERSE_PEN
                    at += 4
                fields.append((element & 0x7FFF, size, reverse))
            assert ident >= 256 and self.templates.get(ident, fields) == fields
            self.templates[ident] = fields
        assert at == len(data)

    def _data(self, ident, data):
        fields = self.templates[ident]
        size = sum(f[1] for f in fields)
        assert len(data) % size == 0
        for start in range(0, len(data), size):
            record, at = {}, start
            for element, length, reverse in fields:
                raw = data[at : at + length]
                at += length
                value = str(ipaddress.ip_address(raw)) if element in ADDRESSES else int.from_bytes(raw, "big")
                if element == 311:
                    value = struct.unpack("!d", raw)[0]
                if element not in (32, 139) or value:
                    record[("reverse_" if reverse else "") + NAMES[element]] = value
            (self.options if ident in self.scopes else self.records).append(record)
