# SPDX-License-Identifier: Apache-2.0
"""vpcctl top: on a terminal of ours, and printed."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import xml.etree.ElementTree

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from lib import Cloud  # noqa: E402
from lib.wait import wait_for  # noqa: E402
from vpcctl import NO_SERVER, PROGRAM, USAGE, Vpcctl, environment  # noqa: E402

NET = [
    {"kind": "vpc", "name": "prod", "cidrs": ["10.0.0.0/16"]},
    {"kind": "vpc", "name": "test", "cidrs": ["10.1.0.0/16"]},
    {"kind": "subnet", "name": "front", "vpc": "prod", "cidr": "10.0.0.0/24"},
    {"kind": "subnet", "name": "lab", "vpc": "test", "cidr": "10.1.0.0/24"},
    *({"kind": "port", "name": f"web{n}", "subnet": "front", "node": "host-a"} for n in range(1, 6)),
    {"kind": "port", "name": "lab1", "subnet": "lab", "node": "host-a"},
]
DROPS = [
    {"node": "host-a", "port": "web1", "vpc": "prod", "reason": "policy_ingress", "packets": 5, "last_packet": "tcp 1 > 2"},
    {"node": "host-a", "port": None, "vpc": None, "reason": "unknown_vni", "packets": 7, "last_packet": None},
]
STATUS = {
    "version": "0",
    "uptime_s": 7200.0,
    "workers": [{"cpu": 1, "load_percent": 12.0}, {"cpu": 2, "load_percent": 80.0}],
    "packets": {"received": 1000, "generated": 0, "sent": 900, "consumed": 0, "dropped": {"no_route": 100}, "held": 0},
    "sessions": {"used": 250, "capacity": 1000},
    "revision": {"desired": 0, "applied": 0},
}


class Rates(dict):
    """Counters that rise by so many packets of 100 bytes a second: port → rate."""

    def __init__(self, rates):
        super().__init__()
        self.rates = rates
        self.began = time.monotonic()

    def get(self, name, default=None):
        packets = int(self.rates.get(name, 0) * (time.monotonic() - self.began))
        counters = {"rx_packets": packets, "rx_bytes": 100 * packets, "tx_packets": 0, "tx_bytes": 0, "drops": 0}
        return {"counters": counters}


def flow(client, packets_per_s):
    """An item of session.top."""
    return {
        **{"node": "host-a", "vpc": "prod", "protocol": "tcp", "state": "established", "client": client},
        **{"server": "10.0.0.9:443", "translated_client": None, "translated_server": None, "backend": None},
        **{"packets": 10, "bytes": 1000, "age_s": 90.0, "idle_s": 0.1, "expires_s": 7000.0},
        **{"packets_per_s": packets_per_s, "bytes_per_s": packets_per_s * 100.0},
    }


@pytest.fixture
def net(cluster):
    controller, (peer,) = cluster("host-a")
    peer.port_status = Rates({"web1": 1000, "web2": 3000, "lab1": 50})
    peer.answers.update(
        {
            "status": STATUS,
            "drops.list": {"items": DROPS},
            "session.top": {"items": [flow("10.0.0.1:1000", 5.0), flow("10.0.0.2:2000", 80000.0)]},
        }
    )
    controller.apply(*NET, wait=True)
    return controller


class Terminal:
    """A pty with vpcctl behind it, and what a terminal would show of the sequences that top uses."""

    def __init__(self, controller, *words, size=(80, 24), term="xterm", **env):
        self.master, slave = pty.openpty()
        self.size = size
        self.raw = ""
        self.lines = []
        self.row = 0
        self.column = 0
        self.alternate = False
        self.scrolled = False
        self._resize(slave)
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            [PROGRAM, "--socket", controller.socket_path, "top", *words],
            **{"stdin": slave, "stdout": slave, "stderr": slave, "start_new_session": True},
            env=environment(TERM=term, **env),
        )
        self.clear()

    def clear(self):
        self.lines = [[" "] * self.size[0] for _ in range(self.size[1])]
        self.row = self.column = 0

    def _resize(self, fd):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", self.size[1], self.size[0], 0, 0))

    def resize(self, columns, rows):
        self.size = (columns, rows)
        self.clear()
        self._resize(self.slave)
        os.kill(self.process.pid, signal.SIGWINCH)

    def press(self, keys):
        os.write(self.master, keys.encode())

    def _control(self, sequence):
        if sequence == "[H":
            self.row = self.column = 0
        elif sequence == "[K":
            self.lines[self.row][self.column :] = [" "] * (self.size[0] - self.column)
        elif sequence in ("[J", "[2J"):
            self.lines[self.row][self.column :] = [" "] * (self.size[0] - self.column)
            for line in self.lines[self.row + 1 :]:
                line[:] = [" "] * self.size[0]
        elif sequence in ("[?1049h", "[?1049l"):
            self.alternate = sequence.endswith("h")
        else:
            assert re.fullmatch(r"\[[\d;]*m|\[\?25[hl]", sequence), f"unknown sequence {sequence!r}"

    def _character(self, character):
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self.row += 1
            if self.row >= self.size[1]:
                self.scrolled = self.scrolled or self.alternate
                self.row = self.size[1] - 1
        elif self.column < self.size[0]:
            self.lines[self.row][self.column] = character
            self.column += 1
        else:
            self.scrolled = True  # it would go on in the next line

    def read(self):
        while select.select([self.master], [], [], 0)[0]:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                break
            if not data:
                break
            self.raw += data.decode()
            for sequence, character in re.findall(r"\x1b(\[[?\d;]*[A-Za-z])|([^\x1b])", data.decode()):
                if sequence:
                    self._control(sequence)
                else:
                    self._character(character)
        return self.text()

    def text(self):
        return "\n".join("".join(line).rstrip() for line in self.lines)

    def until(self, *patterns, timeout_s=15):
        def there():
            text = self.read()
            return all(re.search(pattern, text) for pattern in patterns)

        wait_for(there, timeout_s, lambda: f"{patterns} in:\n{self.text()}")
        assert not self.scrolled, self.text()
        return self.text()

    def column_of(self, number):
        """Words of a column of the rows."""
        rows = self.text().splitlines()[3:-1]
        return [row.split()[number] for row in rows if row.strip()]

    def ends(self, status=0):
        wait_for(lambda: (self.read(), self.process.poll() is not None)[1], 10, self.text)
        self.read()
        assert self.process.returncode == status, self.raw
        assert not self.alternate, "the usual screen is back"
        assert termios.tcgetattr(self.slave) == self.before, "and the usual keys"

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal(net):
    opened = []

    def make(*words, **kwargs):
        opened.append(Terminal(net, *words, **kwargs))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def test_ports_at_80x24(terminal):
    screen = terminal("--interval", "1")
    text = screen.until(r"web2\s+\S+\s+prod.*\d+\.?\dk", r"1 node,")
    lines = text.splitlines()
    assert len(lines) == 24 and max(map(len, lines)) <= 80
    assert "top: ports" in lines[0] and "PORT" in lines[2] and "q end" in lines[23]
    screen.until(r"NODE\s+VPC.*BOTH b/sv")
    screen.press("<")
    screen.until(r"DROPS/sv")
    screen.press("\x1b[D" * 2)
    screen.until(r"GIVEN/sv")
    screen.press("<")
    screen.until(r"SENT b/sv")
    assert screen.column_of(0)[:3] == ["web2", "web1", "lab1"], "the busiest first"
    screen.press("r")
    screen.until(r"SENT b/s\^")
    assert screen.column_of(0)[-3:] == ["lab1", "web1", "web2"]
    screen.press("q")
    screen.ends()


def test_every_view(terminal):
    screen = terminal("--interval", "1")
    screen.until("top: ports", "web1")
    screen.press("f")
    screen.until("top: flows", r"10\.0\.0\.2:2000\s+10\.0\.0\.9:443.*80\.0k\s+64\.0M")
    assert screen.text().index("10.0.0.2:2000") < screen.text().index("10.0.0.1:1000")
    screen.press("v")
    screen.until("top: vpcs", r"prod\s+5\s+5\s", r"test\s+1\s+1\s", r"4\.0k|3\.\dk")
    screen.press("d")
    screen.until("top: drops", r"web1\s+prod\s+policy_ingress\s+0\s+5", r"unknown_vni\s+0\s+7")
    screen.press("n")
    screen.until("top: nodes", r"host-a\s+connected\s+80%\s+12,80", r"250\s+25%")
    screen.press("\t")
    screen.until("top: ports")
    screen.press("?")
    screen.until("filter: only rows with a text")
    screen.press("5")
    screen.until("top: nodes", "host-a")
    os.kill(screen.process.pid, signal.SIGINT)
    screen.ends()


def test_filter_pause_interval_and_scrolling(terminal):
    screen = terminal("--interval", "1", size=(80, 8))
    screen.until("top: ports", "of 6")
    assert len(screen.column_of(0)) == 4, "what fits"
    screen.press("\x1b[F")
    screen.until("web5")
    screen.press("\x1b[H")
    screen.press("/WEB")
    screen.until("filter: WEB_", "5 of 6")
    screen.press("\x7f2")
    screen.until("filter: WE2_", "0 of 6")
    screen.press("\x1b")
    screen.until("6 of 6")
    screen.press("/lab\r")
    screen.until("filter: lab\n", "1 of 6")
    screen.press(" ")
    screen.until("PAUSED")
    screen.press(" +")
    screen.until("every 2 s")
    screen.press("--")
    screen.until("every 1 s")
    assert "PAUSED" not in screen.text()


@pytest.mark.parametrize("size", [(20, 3), (40, 10), (200, 60), (80, 24)])
def test_resize(terminal, size):
    screen = terminal("--interval", "3600")
    screen.until("web1")
    screen.resize(*size)
    text = screen.until("vpcctl top", "web")
    assert len(text.splitlines()) <= size[1]
    assert ("NODE" in text) == (size[0] >= 80), "narrow terminals show what matters most"


def test_colours(terminal):
    plain = terminal("--no-color")
    plain.until("web1")
    assert not re.search(r"\x1b\[[\d;]*m", plain.raw)
    colours = terminal()
    colours.until("web1")
    assert re.search(r"\x1b\[7m", colours.raw)
    by_environment = terminal(NO_COLOR="1")
    by_environment.until("web1")
    assert not re.search(r"\x1b\[[\d;]*m", by_environment.raw)


def test_the_controller_goes_and_comes_back(terminal, net):
    screen = terminal("--interval", "1")
    screen.until("web1", "1 node,")
    net.kill()
    screen.until("does not answer", "web1")
    net.start()
    screen.until("1 node,", "web1")
    assert "does not answer" not in screen.text()
    screen.press("q")
    screen.ends()


def test_a_bound_on_looks(terminal):
    screen = terminal("-n", "2", "--interval", "1")
    screen.ends()
    assert "web1" in screen.raw


def test_printed(net, terminal):
    vpcctl = Vpcctl(net)
    lines = vpcctl.lines("top", "--interval", "1")
    assert lines[0].startswith("1 node, ") and lines[1].split()[:2] == ["PORT", "NODE"] and len(lines) == 2 + 6
    assert vpcctl.lines("top", "-n", "2", "--interval", "1", "--filter", "lab").count("") == 1
    page = vpcctl.json("top", "--interval", "1", "--sort", "sent_pps")
    assert page["view"] == "ports" and [row["port"] for row in page["items"]][:3] == ["web2", "web1", "lab1"]
    rates = {row["port"]: row["sent_pps"] for row in page["items"]}
    assert rates["web5"] == 0 and 0 < rates["lab1"] < rates["web1"] < rates["web2"]
    row = page["items"][0]
    assert row["sent_bps"] == pytest.approx(800 * row["sent_pps"])
    nodes = vpcctl.json("top", "nodes", "--interval", "1")["items"]
    assert nodes[0]["load"] == 80 and nodes[0]["full"] == 25
    dumb = terminal("-n", "1", "--interval", "1", term="dumb")
    dumb.ends()
    assert "\x1b[?1049h" not in dumb.raw and "PORT" in dumb.raw
    assert "no column" in vpcctl.error(USAGE, "top", "--sort", "colour")
    assert "view" in vpcctl.error(USAGE, "top", "weather")
    net.stop()
    vpcctl.error(NO_SERVER, "top")


def test_plot(net, tmp_path):
    vpcctl = Vpcctl(net)
    rates = vpcctl.json("plot", "rx_packets", "--port", "web2", "--samples", "2")
    assert len(rates) == 2 and all(rate == pytest.approx(3000, rel=0.5) for rate in rates)
    assert sum(vpcctl.json("plot", "rx_packets", "--samples", "1")) > rates[0]
    path = tmp_path / "plot.svg"
    bars, told = vpcctl.lines("plot", "rx_bytes", "--port", "web1", "--samples", "3", "--svg", str(path))
    assert len(bars) == 3 and set(bars) <= set("▁▂▃▄▅▆▇█") and "█" in bars
    assert told.startswith("rx_bytes of web1: most ")
    picture = xml.etree.ElementTree.parse(path).getroot()
    (line,) = picture.iter("{http://www.w3.org/2000/svg}polyline")
    assert len(line.attrib["points"].split()) == 3
    assert "counter" in vpcctl.error(USAGE, "plot", "weather")
    vpcctl.error(1, "plot", "drops", "--port", "nobody")


# ---- With a real dataplane ----


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces")
def test_the_busiest_flows():
    """The loudest is first, with its rate; what a node keeps for it is bounded."""
    cloud = Cloud(hosts=1)
    try:
        cloud.network("v", {"s": {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64"}})
        left, right = (cloud.machine(name, "s", security_groups=["v-open"]) for name in ("left", "right"))
        pings = [left.popen("ping", "-n", "-q", "-i", "0.2", "-s", "10", right.address(family)) for family in (4, 6)]
        loud = left.popen("ping", "-n", "-q", "-i", "0.002", "-s", "1400", right.ip4)

        def top(**params):
            return cloud.call("session.top", **params)["items"]

        def measured():
            """One look at which everybody was on the air; on a busy machine a ping may pause."""
            items = top()
            rates = [item["bytes_per_s"] for item in items]
            if len(items) != 3 or rates[0] <= 20 * rates[1] or not 0 < items[2]["packets_per_s"] < 30:
                return None
            return items

        def shown(view, *words, until):
            """Rows of `vpcctl top`, which measures for a second, once they say that."""

            def look():
                rows = json.loads(cloud.vpcctl("top", view, "-o", "json", "--interval", "1", *words).stdout)["items"]
                return rows if until(rows) else None

            return wait_for(look, 30, lambda: json.dumps(top()))

        assert top() == [], "nothing is measured before somebody asks"
        items = wait_for(measured, 30, lambda: json.dumps(top()))
        first = items[0]
        assert first["client"].split(":")[0] == left.ip4 and first["server"].split(":")[0] == right.ip4
        assert first["bytes_per_s"] / first["packets_per_s"] == pytest.approx(1428, abs=1)
        rates = [item["bytes_per_s"] for item in items]
        # What a stalled ping sends at once afterwards counts for one interval: a bound on nonsense, not on speed.
        assert rates == sorted(rates, reverse=True) and rates[0] <= 5 * 2 * 500 * 1428
        wait_for(lambda: len(top(limit=1)) == 1 and top(port="left", vpc="v"), 30, lambda: json.dumps(top()))
        assert top(protocol="tcp") == []
        wait_for(lambda: {item["protocol"] for item in top(address=left.ip6)} == {"icmpv6"}, 30, lambda: json.dumps(top()))
        flows = shown("flows", until=lambda rows: rows and rows[0]["bits_per_s"] > 1e5)
        assert flows[0]["protocol"] == "icmp"
        nodes = shown("nodes", until=lambda rows: rows[0].get("received_pps", 0) > 20)
        assert nodes[0]["sessions"] >= 3
        ports = shown("ports", "--sort", "given_bps", until=lambda rows: rows[0].get("given_bps", 0) > 1e5)
        assert {row["port"] for row in ports} == {"left", "right"}
        for process in [*pings, loud]:
            process.kill()
            process.wait()
        cloud.call("session.flush")
        wait_for(lambda: top() == [], 30, lambda: json.dumps(top()))
    finally:
        cloud.close()
