# SPDX-License-Identifier: Apache-2.0
"""TCP's states by packet scripts, full tables, expiry: the session table as its users see it.

    host-a: client .10   ---vxlan---   host-b: server .11         both raw: every segment is the test's
"""

import pytest
from lib import wait_for
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

SUBNETS = {"s": {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64"}}
RULES = [{"direction": "ingress", "protocol": "tcp", "ports": "80"}, {"direction": "ingress", "protocol": "udp"}]
MARKER = {"direction": "ingress", "protocol": "253", "priority": 1}
CAPACITY = 1024


def raw_pair(cloud):
    """Two raw machines: `client` may be reached by nobody, `server` on tcp/80 and udp (beside the marker)."""
    cloud.network("v", SUBNETS)
    cloud.create("security_group", name="closed", rules=[MARKER])
    cloud.create("security_group", name="served", rules=[MARKER, *RULES])
    client = cloud.machine("client", "s", "a", raw=True, security_groups=["closed"])
    server = cloud.machine("server", "s", "b", raw=True, security_groups=["served"])
    return client, server


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud(hosts=2, node_config={"recover_s": 0})
    raw_pair(cloud)
    return cloud


class Talk:
    """One TCP connection between the raw machines, segment by segment."""

    ports = iter(range(20000, 60000))

    def __init__(self, cloud, family=4):
        self.cloud = cloud
        self.family = family
        self.ends = {"c": cloud.machines["client"], "s": cloud.machines["server"]}
        self.port = {"c": next(self.ports), "s": 80}
        self.next = {"c": 1_000_000, "s": 9_000_000}  # what each side sends next
        self.wires = {side: machine.wire() for side, machine in self.ends.items()}
        self.marks = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for wire in self.wires.values():
            wire.close()

    @staticmethod
    def other(side):
        return "s" if side == "c" else "c"

    def head(self, side, **fields):
        a, b = self.ends[side], self.ends[self.other(side)]
        layer = IP if self.family == 4 else IPv6
        return Ether(src=a.mac, dst=b.mac) / layer(src=a.address(self.family), dst=b.address(self.family), **fields)

    def segment(self, side, flags, data=b"", seq=None, ack=None, window=64000, options=()):
        other = self.other(side)
        seq = self.next[side] if seq is None else seq
        ack = (self.next[other] if ack is None else ack) if "A" in flags else 0
        tcp = TCP(
            sport=self.port[side], dport=self.port[other], flags=flags, seq=seq, ack=ack, window=window, options=list(options)
        )
        return self.head(side) / tcp / Raw(data)

    def passes(self, side, flags, data=b"", **fields):
        """Sends a segment and says whether the other side hears it; then it counts as sent."""
        self.marks += 1
        mark = f"mark {self.port['c']} {self.marks}".encode()
        frame = self.segment(side, flags, data, **fields)
        seq = frame[TCP].seq
        self.wires[side].send(frame)
        number = {"proto": 253} if self.family == 4 else {"nh": 253}
        self.wires[side].send(self.head(side, **number) / Raw(mark))
        came = False
        for packet in self.wires[self.other(side)].until(lambda p: mark in bytes(p)):
            if TCP in packet and packet[TCP].seq == seq and packet[TCP].sport == self.port[side]:
                came = True
        self.wires[self.other(side)].check()
        if came and "seq" not in fields:
            self.next[side] = (seq + len(data) + ("S" in flags) + ("F" in flags)) % 2**32
        return came

    def open(self):
        assert self.passes("c", "S")
        assert self.passes("s", "SA")
        assert self.passes("c", "A")
        return self

    def states(self):
        """The state of this connection on each node that has it."""
        items = self.cloud.call("session.list", protocol="tcp", limit=1000)["items"]
        return {item["node"]: item["state"] for item in items if item["client"].endswith(f":{self.port['c']}")}

    def state(self, expected, timeout_s=3):
        wait_for(
            lambda: set(self.states().values()) == {expected} and len(self.states()) == 2,
            timeout_s,
            lambda: f"{expected} on both nodes; are {self.states()}",
        )


@pytest.fixture
def talk(cloud, family):
    with Talk(cloud, family) as talk:
        yield talk
    cloud.call("session.flush")


def test_normal_connection(talk):
    assert talk.passes("c", "S")
    talk.state("syn_sent")
    assert talk.passes("s", "SA")
    talk.state("syn_received")
    assert talk.passes("c", "A")
    talk.state("established")
    assert talk.passes("c", "PA", b"request")
    assert talk.passes("s", "PA", b"answer")
    assert talk.passes("c", "FA")
    assert talk.passes("s", "A")
    assert talk.passes("s", "FA")
    talk.state("last_ack")
    assert talk.passes("c", "A")
    talk.state("time_wait")


def test_half_close(talk):
    """After the client's FIN the server may go on sending for as long as it likes."""
    talk.open()
    assert talk.passes("c", "FA")
    for _ in range(5):
        assert talk.passes("s", "PA", b"x" * 1000)
        assert talk.passes("c", "A")
    assert talk.passes("s", "FA")
    assert talk.passes("c", "A")
    talk.state("time_wait")


def test_simultaneous_open(talk):
    """RFC 9293 figure 8: both send SYN, both answer SYN-ACK."""
    assert talk.passes("c", "S")
    assert talk.passes("s", "S")
    isn = {side: talk.next[side] - 1 for side in "cs"}
    assert talk.passes("c", "SA", seq=isn["c"])
    assert talk.passes("s", "SA", seq=isn["s"])
    talk.state("established")
    assert talk.passes("c", "PA", b"x") and talk.passes("s", "PA", b"y")


@pytest.mark.parametrize("flags", ["A", "PA", "FA", "R", "RA", "SA", "", "SF", "SR"])
def test_mid_stream_makes_no_session(talk, flags):
    assert not talk.passes("c", flags)
    assert talk.states() == {}


def test_answer_without_question(talk):
    assert not talk.passes("s", "SA")
    assert not talk.passes("s", "S"), "nobody may open towards the client"


def test_reset_in_window_ends(talk):
    """The session is kept for a short while: the receiver may find the reset unacceptable (RFC 5961)."""
    talk.open()
    assert talk.passes("s", "RA")
    talk.state("closed")
    items = talk.cloud.call("session.list", protocol="tcp", limit=1000)["items"]
    assert all(i["expires_s"] <= 30 for i in items if i["client"].endswith(f":{talk.port['c']}"))


def test_reset_out_of_window_does_nothing(talk):
    talk.open()
    assert not talk.passes("s", "R", seq=(talk.next["s"] + 500_000) % 2**32)
    assert not talk.passes("s", "R", seq=(talk.next["s"] - 500_000) % 2**32)
    assert talk.passes("c", "PA", b"still there") and talk.passes("s", "A")
    talk.state("established")


def test_data_out_of_window_is_dropped(talk):
    talk.open()
    before = talk.cloud.drops().get("tcp_state", 0)
    assert not talk.passes("c", "PA", b"x", seq=(talk.next["c"] + 2_000_000) % 2**32)
    assert not talk.passes("c", "PA", b"x", ack=(talk.next["s"] + 2_000_000) % 2**32)
    assert talk.cloud.drops().get("tcp_state", 0) >= before + 2


def test_window_scaling(talk):
    """A window of 64 kB << 7 lets far more pass than 64 kB, and only when both sides offered it."""
    scale = [("WScale", 7)]
    assert talk.passes("c", "S", options=scale) and talk.passes("s", "SA", options=scale) and talk.passes("c", "A")
    assert talk.passes("s", "A", window=60000)
    assert talk.passes("c", "PA", b"far", seq=talk.next["c"] + 5_000_000)


def test_retransmissions_pass(talk):
    talk.open()
    start = talk.next["c"]
    assert talk.passes("c", "PA", b"first") and talk.passes("s", "A")
    assert talk.passes("c", "PA", b"first", seq=start)
    assert talk.passes("c", "S", seq=start - 1) in (True, False)  # a late SYN is the ends' business
    assert talk.passes("c", "PA", b"second")


def test_syn_on_time_wait_opens_again(talk):
    talk.open()
    assert talk.passes("c", "FA") and talk.passes("s", "FA") and talk.passes("c", "A")
    talk.state("time_wait")
    talk.next = {"c": 77_000_000, "s": 88_000_000}
    talk.open()
    talk.state("established")


def test_packets_are_counted(talk):
    talk.open()
    for _ in range(10):
        assert talk.passes("c", "PA", b"x" * 100)
    items = talk.cloud.call("session.list", protocol="tcp", limit=1000)["items"]
    mine = [item for item in items if item["client"].endswith(f":{talk.port['c']}")]
    assert len(mine) == 2
    for item in mine:
        assert item["packets"] == 13 and item["bytes"] >= 1000 and item["vpc"] == "v"
        assert item["server"].endswith(":80") and item["age_s"] >= item["idle_s"] >= 0 and item["expires_s"] > 7000


def test_flush_cuts(talk):
    talk.open()
    talk.cloud.call("session.flush", protocol="tcp")
    wait_for(lambda: not talk.states(), 3, "sessions are gone")
    assert not talk.passes("c", "PA", b"x")


def used(cloud):
    return {n["name"]: n["sessions"]["used"] for n in cloud.call("status")["nodes"] if n["name"] in cloud.hosts}


def test_full_table_refuses_the_new_and_keeps_the_old(make_cloud):
    """And everything that expires is free again, also with nothing arriving any more."""
    timeouts = {"udp_s": 2, "udp_unanswered_s": 2}
    cloud = make_cloud(hosts=2, node_config={"capacity": {"sessions": CAPACITY}, "timeouts": timeouts})
    raw_pair(cloud)
    with Talk(cloud) as old:
        old.open()
        datagrams = [
            old.head("c") / UDP(sport=1024 + i % 60000, dport=1 + i // 60000) / Raw(b"flood") for i in range(3 * CAPACITY)
        ]
        old.wires["c"].send(*datagrams)
        reasons = ("session_table_full", "session_share")
        wait_for(lambda: sum(cloud.drops().get(r, 0) for r in reasons) > 0, 5, "new flows are refused")
        old.wires["s"].drain()
        assert old.passes("c", "PA", b"old flows go on")
        for protocol in ("tcp", "253"):  # the connection and the marker's flow; the flood has to go by itself
            cloud.call("session.flush", protocol=protocol)
    wait_for(lambda: not any(used(cloud).values()), 30, lambda: f"every session expires: {used(cloud)}")
