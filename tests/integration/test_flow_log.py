# SPDX-License-Identifier: Apache-2.0
"""Flow logs against real collectors: nfcapd and nfdump, listeners of our own, files.

    host-a: one .10, two .11, closed .12 (lets nothing in)     host-b: far .13
    collectors listen in host-a's namespace, at 127.0.0.1
"""

import json
import os
import signal
import socket

import pytest
from lib import wait_for
from lib.ipfix import Session

SUBNETS = {"s": {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64"}}


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud(hosts=2)
    cloud.network("v", SUBNETS)
    cloud.create("security_group", name="nobody", rules=[])
    for name, host, end in (("one", "a", 10), ("two", "a", 11), ("closed", "a", 12), ("far", "b", 13)):
        group = "nobody" if name == "closed" else "v-open"
        cloud.machine(name, "s", host, addresses=[f"10.0.1.{end}", f"fd00:0:0:1::{end}"], security_groups=[group])
    wait_for(lambda: cloud.machines["one"].ping(cloud.machines["far"]), 20, "the underlay")
    return cloud


@pytest.fixture
def log(cloud):
    """Makes flow logs, when nothing of earlier tests is left to log; they go at the end."""
    made = []
    cloud.call("session.flush")

    def make(name, **fields):
        made.append(name)
        return cloud.create("flow_log", **{"name": name, "scope": {"vpc": "v"}, "interval_s": 1, **fields})

    yield make
    if made:
        cloud.delete("flow_log", *made)


def lines_of(path):
    """Whole lines so far."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="ascii") as f:
        return [json.loads(line) for line in f if line.endswith("\n")]


def told(*paths):
    """Packets and bytes of all lines so far."""
    lines = [line for path in paths for line in lines_of(path)]
    return tuple(sum(i.get(key, 0) + i.get(f"reverse_{key}", 0) for i in lines) for key in ("packets", "bytes"))


def carried(cloud, node="host-a"):
    """Packets and bytes of a node's sessions, as session.list has them."""
    items = [i for i in cloud.call("session.list", limit=1000)["items"] if i["node"] == node]
    return sum(i["packets"] for i in items), sum(i["bytes"] for i in items)


def status(cloud, name):
    return cloud.get("flow_log", name)["status"]


def trouble(cloud, name):
    """What host-a, where the collectors are, says is wrong."""
    return next((n["reason"] for n in status(cloud, name)["nodes"] if n["node"] == "host-a"), None)


def talk(cloud, family=4, to="two"):
    """Some of everything: an echo, datagrams, a connection."""
    one, two = cloud.machines["one"], cloud.machines[to]
    assert one.ping(two.address(family), count=3)
    assert one.udp_echo(two, port=4000, data=b"x" * 500, family=family)
    connection = one.connect(two, port=8080, family=family)
    assert connection.exchange(b"y" * 30000, timeout_s=10)
    connection.close()


def end_all(cloud):
    """What all sessions carried, when no packet is on its way any more; then they end."""

    def quiet():
        items = [i for i in cloud.call("session.list", limit=1000)["items"] if i["protocol"] == "tcp"]
        return all(i["state"] in ("time_wait", "closed") for i in items)

    wait_for(quiet, 20, lambda: cloud.call("session.list", limit=1000)["items"])
    figures = carried(cloud)
    cloud.call("session.flush")
    return figures


class Nfcapd:
    """Debian's collector in host-a's namespace."""

    def __init__(self, cloud, port):
        self.ns, self.port = cloud.host("a").ns, port
        self.dir = os.path.join(cloud.dir, f"nfcapd-{port}")
        os.mkdir(self.dir)
        self.process = self.ns.popen("nfcapd", "-w", self.dir, "-p", port, "-b", "127.0.0.1", "-t", "3600")
        wait_for(lambda: f":{port} " in self.ns.run("ss", "-Hluan").stdout, 10, "nfcapd listens")

    def unread(self):
        """Bytes in its socket."""
        line = next(line for line in self.ns.run("ss", "-Hluan").stdout.splitlines() if f":{self.port} " in line)
        return int(line.split()[1])

    def records(self):
        """Ends it; what it has collected, as nfdump prints it."""
        wait_for(lambda: self.unread() == 0, 20, "what has arrived is read")
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        done = self.ns.run("nfdump", "-R", self.dir, "-q", "-o", "json", check=False)
        decoder, text, records = json.JSONDecoder(), done.stdout.strip("[],\n "), []
        while text:
            record, end = decoder.raw_decode(text)
            records.append(record)
            text = text[end:].lstrip(",\n ")
        return records


@pytest.mark.parametrize("biflow", [False, True], ids=["uniflow", "biflow"])
def test_nfcapd_totals(cloud, log, biflow):
    """What nfdump adds up are the sessions' own counters, packets and bytes, of both families."""
    port = 9990 + biflow
    collector, path = Nfcapd(cloud, port), os.path.join(cloud.dir, f"beside-{port}.json")
    log("audit", collector=f"udp://127.0.0.1:{port}", biflow=biflow)
    log("beside", collector=f"file:{path}", format="json", biflow=biflow)  # which can be read while it grows
    talk(cloud, 4)
    talk(cloud, 6)
    one = cloud.machines["one"]
    one.iperf3(cloud.machines["two"], size="64M")
    one.iperf3(cloud.machines["far"], size="16M", extra=["-R"], family=6)
    packets, octets = end_all(cloud)
    assert octets > 80_000_000

    wait_for(lambda: told(path)[0] >= packets, 20, lambda: (packets, told(path)))
    assert told(path) == (packets, octets)
    wait_for(lambda: status(cloud, "audit")["records"] == len(lines_of(path)), 20, lambda: status(cloud, "audit"))
    records = collector.records()
    assert sum(r.get("in_packets", 0) + r.get("out_packets", 0) for r in records) == packets, records
    assert sum(r.get("in_bytes", 0) + r.get("out_bytes", 0) for r in records) == octets, records
    assert len(records) == status(cloud, "audit")["records"]
    assert {r["proto"] for r in records} == {1, 6, 17, 58}
    ends = {(r.get("src4_addr") or r.get("src6_addr"), r.get("dst4_addr") or r.get("dst6_addr")) for r in records}
    assert ("10.0.1.10", "10.0.1.11") in ends and ("fd00:0:0:1::10", "fd00:0:0:1::11") in ends


def test_json_lines(cloud, log):
    """Both directions of a flow belong together; names, reasons and flags are there."""
    path = os.path.join(cloud.dir, "flows.json")
    log("lines", collector=f"file:{path}", format="json")
    talk(cloud)
    packets, octets = end_all(cloud)
    wait_for(lambda: sum(i["packets"] for i in lines_of(path)) >= packets, 20, lambda: lines_of(path))
    lines = lines_of(path)
    assert sum(i["packets"] for i in lines) == packets and sum(i["bytes"] for i in lines) == octets
    tcp = [i for i in lines if i["protocol"] == "tcp"]
    assert {i["flow"] for i in tcp} == {tcp[0]["flow"]} and {i["direction"] for i in tcp} == {"initiator", "responder"}
    first = next(i for i in tcp if i["direction"] == "initiator")
    assert (first["source_name"], first["destination_name"], first["destination_port"]) == ("one", "two", 8080)
    assert any("fin" in i["tcp_flags"] and i["end_reason"] == "end_of_flow" for i in tcp)
    echo = [i for i in lines if i["protocol"] == "icmp"]
    assert {(i["direction"], i["icmp_type"]) for i in echo} == {("initiator", 8), ("responder", 0)}
    assert all(i["start"] <= i["end"] and i["vpc"] == "v" and i["log"] == "lines" for i in lines)


def test_each_flow_once(cloud, log):
    """Over two hosts: the initiator's node reports, whoever that is; of a port's log its own node does."""
    whole, own = (os.path.join(cloud.dir, f"{name}.json") for name in ("whole", "own"))
    log("whole", collector=f"file:{whole}", format="json")
    log("own", scope={"port": "far"}, collector=f"file:{own}", format="json")
    one, far = cloud.machines["one"], cloud.machines["far"]
    assert one.udp_echo(far, port=4001) and far.udp_echo(one, port=4002)
    cloud.call("session.flush")
    for path in (whole, own):
        wait_for(lambda: len(lines_of(path)) >= 4, 20, lambda: lines_of(path))
        lines = lines_of(path)
        assert len(lines) == 4 and {(i["destination_port"] if i["direction"] == "initiator" else i["source_port"]) for i in lines} == {4001, 4002}
    assert {(i["source_name"], i["node"]) for i in lines_of(whole) if i["direction"] == "initiator"} == {("one", "host-a"), ("far", "host-b")}
    assert {i["node"] for i in lines_of(own)} == {"host-b"}


def test_a_machine_goes(cloud, log):
    """Nobody tells twice, or not at all, what a machine has sent and got that is deleted: as initiator and as responder, over hosts."""
    path = os.path.join(cloud.dir, "goes.json")
    log("goes", collector=f"file:{path}", format="json", interval_s=3600)
    brief, far = cloud.machine("brief", "s", "a", addresses=["10.0.1.14"], security_groups=["v-open"]), cloud.machines["far"]
    wait_for(lambda: brief.ping(far), 20, "the new machine")
    cloud.call("session.flush")
    assert brief.udp_echo(far, port=4001) and far.udp_echo(brief, port=4002)
    cloud.delete("port", "brief")
    wait_for(lambda: len([i for i in lines_of(path) if i["protocol"] == "udp"]) >= 4, 20, lambda: lines_of(path))
    lines = [i for i in lines_of(path) if i["protocol"] == "udp"]
    assert {(i["source"], i["destination"], i["node"], i["packets"], i["end_reason"]) for i in lines} == {
        (brief.ip4, far.ip4, "host-a", 1, "forced"), (far.ip4, brief.ip4, "host-a", 1, "forced"),
        (brief.ip4, far.ip4, "host-b", 1, "forced"), (far.ip4, brief.ip4, "host-b", 1, "forced")}
    assert len(lines) == 4 and {i["source_name"] for i in lines if i["source"] == brief.ip4 and i["node"] == "host-a"} == {"brief"}


def test_denied(cloud, log):
    """Added up by flow with the reason; a log of denied flows has no other."""
    path, port = os.path.join(cloud.dir, "denied.json"), 9992
    collector = Collector(cloud, port)
    log("denied", collector=f"file:{path}", format="json", verdicts="denied")
    log("denied-ipfix", collector=f"tcp://127.0.0.1:{port}", verdicts="denied")
    talk(cloud)
    one, closed = cloud.machines["one"], cloud.machines["closed"]
    with one.socket(4, socket.SOCK_DGRAM) as s:
        s.bind(("0.0.0.0", 5555))
        for _ in range(7):
            s.sendto(bytes(100), (closed.ip4, 53))
    cloud.call("session.flush")
    wait_for(lambda: sum(i["packets"] for i in lines_of(path)) >= 7, 20, lambda: lines_of(path))
    lines = lines_of(path)
    assert {(i["verdict"], i["reason"], i["source_port"], i["destination_name"]) for i in lines} == {("denied", "policy_ingress", 5555, "closed")}
    assert (sum(i["packets"] for i in lines), sum(i["bytes"] for i in lines)) == (7, 7 * 128)
    wait_for(lambda: sum(r["packets"] for r in collector.records()) >= 7, 20, collector.records)
    assert {(r["status"], r["src"], r["dport"]) for r in collector.records()} == {(129, one.ip4, 53)}
    collector.close()


class Collector:
    """A TCP collector of our own in host-a's namespace, read when asked."""

    def __init__(self, cloud, port):
        self.ns = cloud.host("a").ns
        self.port = port
        self.sessions = []
        self.streams = []
        self.listen()

    def listen(self):
        self.listener = self.ns.call(socket.socket)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(4)
        self.listener.setblocking(False)

    def accept(self):
        try:
            connection, _ = self.listener.accept()
        except BlockingIOError:
            return
        connection.setblocking(False)
        self.streams.append([connection, b""])
        self.sessions.append(Session())

    def records(self):
        self.accept()
        for stream, session in zip(self.streams, self.sessions[-len(self.streams) :] if self.streams else []):
            try:
                while piece := stream[0].recv(65536):
                    stream[1] = session.stream(stream[1] + piece)
            except BlockingIOError:
                pass
        return [r for session in self.sessions for r in session.records]

    def close(self):
        self.listener.close()
        for connection, _ in self.streams:
            connection.close()
        self.streams = []


def test_tcp_collector_returns(cloud, log):
    """It goes and comes back: templates and sequence begin anew, what waited arrives, nothing twice."""
    port = 9993
    collector = Collector(cloud, port)
    log("tcp", collector=f"tcp://127.0.0.1:{port}")
    talk(cloud)
    packets, octets = end_all(cloud)
    wait_for(lambda: sum(r["packets"] for r in collector.records()) >= packets, 20, collector.records)
    collector.close()
    wait_for(lambda: trouble(cloud, "tcp"), 20, lambda: status(cloud, "tcp"))
    talk(cloud)
    more = end_all(cloud)
    collector.listen()
    wait_for(lambda: sum(r["packets"] for r in collector.records()) >= packets + more[0], 30, collector.records)
    assert sum(r["packets"] for r in collector.records()) == packets + more[0]
    assert sum(r["octets"] for r in collector.records()) == octets + more[1]
    assert [s.sequence for s in collector.sessions] == [len(s.records) + len(s.options) for s in collector.sessions]
    assert [[o.get("probability", o.get("lost")) for o in s.options] for s in collector.sessions] == [[1.0, 0], [1.0, 0]]
    wait_for(lambda: trouble(cloud, "tcp") == "", 20, lambda: status(cloud, "tcp"))
    assert (status(cloud, "tcp")["records"], status(cloud, "tcp")["lost"]) == (len(collector.records()), 0)
    collector.close()


def test_dead_and_slow(cloud, log):
    """Nobody listens, or nobody reads: records are lost and counted, packets pass."""
    slow = Collector(cloud, 9994)
    log("dead", collector="udp://127.0.0.1:9")
    log("slow", collector=f"tcp://127.0.0.1:9994", verdicts="denied")
    one, two, closed = (cloud.machines[name] for name in ("one", "two", "closed"))
    wait_for(lambda: slow.accept() or slow.streams, 20, "a connection")
    talk(cloud)
    cloud.call("session.flush")
    wait_for(lambda: status(cloud, "dead")["lost"] > 0 and "refused" in trouble(cloud, "dead"), 20, lambda: status(cloud, "dead"))

    def flood():
        with one.socket(4, socket.SOCK_DGRAM) as s:
            for port in range(20000, 28000):
                s.sendto(b"", (closed.ip4, port))
        return status(cloud, "slow")["lost"] > 0

    wait_for(flood, 60, lambda: status(cloud, "slow"))
    assert one.ping(two, count=5) and one.udp_echo(two)
    slow.close()


def test_changes_and_restarts(cloud, log):
    """Interval, sample, collector and format change while a flow runs: nothing is told twice or left out. Restarts."""
    first, second = (os.path.join(cloud.dir, f"change-{n}.json") for n in (1, 2))
    one, two = cloud.machines["one"], cloud.machines["two"]
    log("change", collector=f"file:{first}", format="json")
    connection = one.connect(two, port=8081)
    for change in ({"interval_s": 3600}, {"interval_s": 1}, {"biflow": True}, {"biflow": False}, {"collector": f"file:{second}"}):
        assert connection.exchange(b"z" * 1000, timeout_s=10)
        cloud.update("flow_log", "change", **change)
    assert connection.exchange(b"z" * 1000, timeout_s=10)
    connection.close()
    packets, octets = end_all(cloud)

    wait_for(lambda: told(first, second)[0] >= packets, 20, lambda: told(first, second))
    assert told(first, second) == (packets, octets) and lines_of(second)
    host = cloud.host("a")
    before = len(lines_of(second))
    assert one.udp_echo(two, port=4003)
    host.restart()  # a clean end tells what there is
    assert any(i.get("destination_port") == 4003 and i["end_reason"] == "forced" for i in lines_of(second)[before:])
    host.kill()
    host.start()
    cloud.wait_converged()
    before = len(lines_of(second))
    wait_for(lambda: one.udp_echo(two, port=4004), 10, "an echo")
    cloud.call("session.flush")
    wait_for(lambda: any(i.get("destination_port") == 4004 for i in lines_of(second)[before:]), 20, lambda: lines_of(second))


def test_sample(cloud, log):
    """One flow in two, whole or not at all."""
    path = os.path.join(cloud.dir, "sample.json")
    log("sample", collector=f"file:{path}", format="json", sample=2)
    one, two = cloud.machines["one"], cloud.machines["two"]
    for port in range(4100, 4140):
        assert one.udp_echo(two, port=port)
    cloud.call("session.flush")
    wait_for(lambda: len(lines_of(path)) >= 10, 20, lambda: lines_of(path))
    wait_for(lambda: len(lines_of(path)) == status(cloud, "sample")["records"], 20, lambda: status(cloud, "sample"))
    flows = [i["flow"] for i in lines_of(path)]
    assert all(flows.count(flow) == 2 for flow in flows) and 4 <= len(set(flows)) <= 36


def test_refused(cloud):
    """What is no collector or no scope says so."""
    for fields, path in (
        ({"collector": "udp://127.0.0.1"}, "/collector"),
        ({"collector": "udp://127.0.0.1:70000"}, "/collector"),
        ({"collector": "http://127.0.0.1:80"}, "/collector"),
        ({"collector": "file:flows"}, "/collector"),
        ({"collector": "udp://[::1]:4739", "scope": {}}, "/scope"),
        ({"collector": "udp://[::1]:4739", "scope": {"vpc": "v", "port": "one"}}, "/scope"),
    ):
        with pytest.raises(Exception) as refused:
            cloud.create("flow_log", **{"name": "no", "scope": {"vpc": "v"}, **fields})
        assert refused.value.data["path"] == path
