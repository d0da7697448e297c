# SPDX-License-Identifier: Apache-2.0
"""What is plugged into ports: TAPs that outlive their dataplane, ports that come and go under load.

    host-a: left 10.0.1.10, right 10.0.1.11, …
"""

import contextlib
import json
import os
import re
import socket
import threading

import pytest
from lib import process, wait_for
from lib.cloud import build_dir
from lib.netns import veth

SUBNETS = {"s": {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:0:1::/64"}}


@pytest.fixture
def cloud(make_cloud):
    cloud = make_cloud(hosts=1, underlay=None)
    cloud.network("v", SUBNETS)
    cloud.machine("left", "s", security_groups=["v-open"])
    cloud.machine("right", "s", security_groups=["v-open"])
    return cloud


def port_state(cloud, name):
    return cloud.get("port", name)["status"]["state"]


class Interface:
    """eth0 of a machine, and what its kernel has on it."""

    def __init__(self, machine):
        self.machine = machine

    def _json(self, *words):
        return json.loads(self.machine.run("ip", "-j", *words).stdout or "[]")

    def index(self):
        return self._json("link", "show", "dev", "eth0")[0]["ifindex"]

    def settings(self):
        """Addresses and routes, as sets of text."""
        addresses = {
            f"{a['local']}/{a['prefixlen']}" for link in self._json("addr", "show", "dev", "eth0") for a in link["addr_info"]
        }
        routes = {
            (family, r["dst"], r.get("gateway"), r.get("metric"))
            for family in ("-4", "-6")
            for r in self._json(family, "route", "show", "dev", "eth0")
        }
        return addresses, routes


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_tap_outlives_its_dataplane(cloud, end):
    """The machine notices nothing but silence: its interface is the same, with what was set on it from either side."""
    left, right = cloud.machines["left"], cloud.machines["right"]
    left.ns.ip(
        "addr add 10.0.1.77/32 dev eth0",
        "route add 198.51.100.0/24 via 10.0.1.1 dev eth0",
        "route add 2001:db8:77::/48 via fd00:0:0:1::1 dev eth0",
    )
    assert left.ping(right)
    before = Interface(left).index(), Interface(left).settings()
    cloud.stop_controller()
    getattr(cloud.host(), end)()
    assert (Interface(left).index(), Interface(left).settings()) == before
    cloud.host().start()
    wait_for(lambda: left.ping(right) and left.ping(right.ip6), 10, "packets flow again, without a controller")
    assert (Interface(left).index(), Interface(left).settings()) == before
    cloud.start_controller()
    cloud.delete("port", "left")
    assert left.ns.links() == ["lo"]


@pytest.mark.parametrize("restart", [False, True], ids=["made", "adopted"])
def test_tap_goes_with_its_port(cloud, restart):
    """Detached or deleted, nothing is left behind; also of one that this process did not make."""
    left, right = cloud.machines["left"], cloud.machines["right"]
    if restart:
        cloud.host().kill()
        cloud.host().start()
        cloud.wait_converged()
        assert port_state(cloud, "left") == "active"
    attachment = cloud.get("port", "left")["attachment"]
    cloud.call("port.detach", name="left", wait=True)
    assert left.ns.links() == ["lo"]
    assert port_state(cloud, "left") == "detached"
    cloud.call("port.attach", name="left", attachment=attachment, wait=True)
    assert left.ping(right)
    cloud.delete("port", "right")
    assert right.ns.links() == ["lo"]


def test_tap_of_another_is_refused(cloud):
    """Neither an interface of somebody else nor one of another port is taken; when it is gone the port comes up."""
    spare = cloud.bare_machine("spare", f"{cloud.tag}-m-spare")
    spare.ns.ip("tuntap add dev eth0 mode tap", "link set eth0 alias somebody-else")
    tap = {"type": "tap", "ifname": "eth0", "netns": spare.ns.name, "configure": True}
    cloud.create("port", name="third", subnet="s", attachment=tap)
    status = cloud.get("port", "third")["status"]
    assert status["state"] == "error"
    assert "an interface named eth0 exists already and belongs to: somebody-else" in status["reason"]
    spare.ns.ip("link del eth0")
    wait_for(lambda: port_state(cloud, "third") == "active", 10, "the port is attached")
    cloud.create("port", name="fourth", subnet="s", attachment=tap)
    status = cloud.get("port", "fourth")["status"]
    assert status["state"] == "error"
    assert "belongs to: vpc host-a third #" in status["reason"]


def test_tap_made_for_something_else_is_made_anew(cloud):
    """The port changed while its dataplane was away and had forgotten all: the old interface is not kept."""
    left, right = cloud.machines["left"], cloud.machines["right"]
    index = Interface(left).index()
    cloud.host().kill()
    cloud.call("port.update", name="left", mac="02:00:5e:00:00:50", addresses=["10.0.1.50", "fd00:0:0:1::50"])
    os.unlink(os.path.splitext(cloud.host().rpc_path)[0] + ".state")
    cloud.host().start()
    cloud.wait_converged()
    wait_for(lambda: left.ping(right), 10, "packets flow")
    assert Interface(left).index() != index
    assert "10.0.1.50/24" in Interface(left).settings()[0]


class Stream:
    """Numbered datagrams from one machine to another, five hundred a second, until end(). None may be lost: the receiver's kernel
    has room for all of them, and the sender's TAP for two seconds in which its dataplane is not given a CPU."""

    SIZE, ROOM = 200, 256 << 20
    SO_RCVBUFFORCE = 33

    def __init__(self, sender, receiver):
        self.sink = receiver.socket(4, socket.SOCK_DGRAM)
        self.sink.setsockopt(socket.SOL_SOCKET, self.SO_RCVBUFFORCE, self.ROOM)
        self.sink.bind((receiver.ip4, 5555))
        self.source = sender.socket(4, socket.SOCK_DGRAM)
        self.source.connect((receiver.ip4, 5555))
        self.sent = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._send)
        self.thread.start()

    def _send(self):
        while not self.stop.wait(0.01):
            for _ in range(5):
                self.source.send(self.sent.to_bytes(8, "big").ljust(self.SIZE, b"."))
                self.sent += 1

    def end(self):
        """(sent, received)"""
        self.stop.set()
        self.thread.join()
        got = set()
        self.sink.settimeout(2)
        try:
            while len(got) < self.sent:
                got.add(int.from_bytes(self.sink.recv(2048)[:8], "big"))
        except TimeoutError:
            pass
        self.source.close()
        self.sink.close()
        return self.sent, len(got)


def held(host):
    """What a dataplane holds that could leak: file descriptors, those it sleeps on, mappings, packet buffers; resident bytes."""
    pid = host.daemon.pid
    slept_on = 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as f:
            slept_on += f.read().count("tfd:")
    with open(f"/proc/{pid}/maps", encoding="ascii") as f:
        maps = len(f.readlines())
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        resident = int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)) * 1024
    with host.rpc() as rpc:
        buffers = rpc.call("buffers")["used"]
    return {"fds": len(os.listdir(f"/proc/{pid}/fd")), "slept_on": slept_on, "maps": maps, "buffers": buffers, "bytes": resident}


def memif_guest(cloud, near):
    """A machine of another VPC on host-b, joined to near's subnet by a memif: each side has a port in the other's place.

    host-a: near --- v --- to-far ==memif== to-near --- w --- far :host-b
    """
    path = os.path.join(cloud.dir, "memif.sock")
    cloud.network("w", {"w-s": SUBNETS["s"]})
    far = cloud.machine("far", "w-s", "b", addresses=["10.0.1.99", "fd00:0:0:1::99"], security_groups=["w-open"])
    place = {"mac": far.port["mac"], "addresses": far.port["addresses"]}
    cloud.create("port", name="to-far", subnet="s", node="host-a", security_groups=["v-open"], **place)
    place = {"mac": near.port["mac"], "addresses": near.port["addresses"]}
    cloud.create("port", name="to-near", subnet="w-s", node="host-b", security_groups=["w-open"], **place)
    return far, *({"type": "memif", "socket": path, "id": 7, "role": role} for role in ("server", "client"))


@pytest.mark.parametrize("order", [("to-far", "to-near"), ("to-near", "to-far")], ids=["server-first", "client-first"])
def test_memif_between_dataplanes(make_cloud, order, long_run):
    """Whichever side is there first; when one dies, under load, the other lives, and they find each other again."""
    cloud = make_cloud(hosts=2, underlay=None)
    cloud.network("v", SUBNETS)
    near = cloud.machine("near", "s", "a", security_groups=["v-open"])
    far, *roles = memif_guest(cloud, near)
    attachments = dict(zip(("to-far", "to-near"), roles))
    for name in order:
        cloud.call("port.attach", name=name, attachment=attachments[name], wait=True)
        if name == order[0]:
            assert port_state(cloud, name) == "down"
            reason = cloud.get("port", name)["status"]["reason"]
            assert ("no peer is connected" if name == "to-far" else "nobody serves") in reason
    wait_for(lambda: near.ping(far) and far.ping(near.ip6), 10, "frames pass both ways")
    for family in (4, 6):
        assert near.gbits(far, family=family, size="64M") > 0
    far.popen("iperf3", "-s")
    wait_for(lambda: far.listens(5201), 10, "iperf3 server")
    for round_ in range(20 if long_run else 2):
        load = near.popen("iperf3", "-u", "-b", "300M", "-t", "3600", "-c", far.ip4)
        victim = cloud.host("ab"[round_ % 2])
        before = cloud.get("port", "to-far")["status"]["counters"]["tx_packets"]
        wait_for(lambda b=before: cloud.get("port", "to-far")["status"]["counters"]["tx_packets"] > b + 1000, 10, "load")
        victim.kill()
        victim.start()
        cloud.wait_converged()
        wait_for(lambda: near.ping(far), 10, "they find each other again")
        process.end(load)
    for name in order:
        cloud.call("port.detach", name=name, wait=True)
    assert not os.path.exists(attachments["to-far"]["socket"])


def veth_guest(cloud, name, ifname):
    """A machine at the other end of a veth, whose near end a port is to be attached to."""
    guest = cloud.bare_machine(name, f"{cloud.tag}-m-{name}")
    veth(cloud.host().ns, ifname, guest.ns, "eth0")
    cloud.host().ns.sysctl(**{f"net__ipv6__conf__{ifname}__disable_ipv6": 1})
    guest.port = cloud.create("port", name=name, subnet="s", node="host-a", security_groups=["v-open"])
    guest.ns.ip(
        f"link set eth0 address {guest.port['mac']}",
        f"addr add {guest.port['addresses'][0]}/24 dev eth0",
        f"addr add {guest.port['addresses'][1]}/64 dev eth0 nodad",
    )
    return guest


def tap_guest(cloud, name, ifname):
    guest = cloud.bare_machine(name, f"{cloud.tag}-m-{name}")
    guest.port = cloud.create("port", name=name, subnet="s", node="host-a", security_groups=["v-open"])
    return guest, {"type": "tap", "ifname": ifname, "netns": guest.ns.name, "configure": True}


def test_ports_come_and_go_under_load(make_cloud, long_run):
    """Every type attached, used and detached again and again: others lose nothing meanwhile, and nothing stays behind."""
    cloud = make_cloud(hosts=2, underlay=None)
    cloud.network("v", SUBNETS)
    left, right, talker, listener = (
        cloud.machine(name, "s", "a", security_groups=["v-open"]) for name in ("left", "right", "talker", "listener")
    )
    guest, attachment = tap_guest(cloud, "by-tap", "eth0")
    guests = [("by-tap", attachment, guest)]
    for mode in ("af_packet", "af_xdp"):
        name = f"by-{mode.replace('_', '-')}"
        guests.append((name, {"type": "netdev", "ifname": f"n-{mode}", "mode": mode}, veth_guest(cloud, name, f"n-{mode}")))
    far, server, client = memif_guest(cloud, left)
    cloud.call("port.attach", name="to-near", attachment=client, wait=True)
    guests.append(("to-far", server, far))
    assert left.ping(right)

    def round_trip():
        for name, attachment, _ in guests:
            cloud.call("port.attach", name=name, attachment=attachment, wait=True)
        for name, _, guest in guests:
            wait_for(lambda name=name: port_state(cloud, name) == "active", 10, "attached")
            wait_for(lambda guest=guest: guest.ping(left), 10, f"{name} reaches a neighbour")
        for name, _, _ in guests:
            cloud.call("port.detach", name=name, wait=True)
            assert port_state(cloud, name) == "detached"

    server = listener.popen("iperf3", "-s", "-1")
    wait_for(lambda: listener.listens(5201), 10, "iperf3 server")
    load = talker.popen("iperf3", "-c", listener.ip4, "-t", "3600", "-b", "100M")
    stream = Stream(left, right)
    round_trip()
    round_trip()
    before = held(cloud.host())
    for _ in range(100 if long_run else 10):
        round_trip()
    assert load.poll() is None
    sent, received = stream.end()
    process.end(load)
    process.end(server)
    assert sent == received
    # Frames on their way, and those that a worker's drivers hold ready, are few.
    wait_for(
        lambda: held(cloud.host())["buffers"] <= before["buffers"] + 128,
        10,
        lambda: f"buffers come back: {before} {held(cloud.host())}",
    )
    after = held(cloud.host())
    # A connection may be on its way out while we look; what leaks does so in each round.
    for what in ("fds", "slept_on"):
        assert after[what] <= before[what] + 2, (before, after)
    assert after["maps"] <= before["maps"] + 4, (before, after)
    # AddressSanitizer keeps what is freed for a while, and looks for leaks itself.
    if "asan" not in build_dir():
        assert after["bytes"] <= before["bytes"] + (4 << 20), (before, after)


@pytest.mark.parametrize(
    "attachment, state, reason",
    [
        ({"type": "device", "devargs": "net_null0"}, "active", ""),
        ({"type": "vhost_user", "socket": "{dir}/vm.sock"}, "down", "no peer is connected"),
        ({"type": "vhost_user", "socket": "{dir}/vm.sock", "role": "client"}, "down", "nobody serves"),
        ({"type": "memif", "socket": "{dir}/m.sock"}, "down", "no peer is connected"),
        ({"type": "memif", "socket": "{dir}/m.sock", "role": "client"}, "down", "nobody serves"),
        ({"type": "netdev", "ifname": "nowhere", "mode": "af_xdp"}, "error", "no interface nowhere"),
        ({"type": "netdev", "ifname": "lo"}, "error", "lo is no Ethernet interface"),
    ],
)
def test_attach_and_detach(make_cloud, attachment, state, reason):
    """What has nobody at its other end, or can not be had, is said to be so; detached, it leaves nothing."""
    cloud = make_cloud(hosts=1, underlay=None)
    cloud.network("v", SUBNETS)
    attachment = {key: value.format(dir=cloud.dir) for key, value in attachment.items()}
    cloud.create("port", name="p", subnet="s")
    files = set(os.listdir(cloud.dir))
    fds = held(cloud.host())["fds"]
    for _ in range(3):
        cloud.call("port.attach", name="p", attachment=attachment, wait=True)
        status = cloud.get("port", "p")["status"]
        assert status["state"] == state and reason in status["reason"], status
        cloud.call("port.detach", name="p", wait=True)
        assert port_state(cloud, "p") == "detached"
    assert set(os.listdir(cloud.dir)) <= files
    wait_for(lambda: held(cloud.host())["fds"] <= fds + 2, 10, "file descriptors are closed")


def test_missing_interface_is_told(cloud):
    """A port whose interface is not there says so where people look later, too; so does its coming."""

    def told():
        return [(e["severity"], e["reason"]) for e in cloud.call("event.list", kind="port")["items"] if e["name"] == "late"]

    attachment = {"type": "netdev", "ifname": "vpct-late", "mode": "af_packet"}
    made = cloud.call("port.create", name="late", subnet="s", attachment=attachment, wait=True)
    assert made["status"]["state"] == "error" and made["status"]["reason"]
    wait_for(lambda: told() == [("warning", "port_error")], what="an event of the missing interface")
    said = cloud.call("explain", **{"from": "late", "to": cloud.machines["left"].ip4})
    assert (said["verdict"], said["reason"]) == ("drop", "port_down")
    assert said["steps"][-1]["object"]["name"] == "late" and said["steps"][-1]["decision"] == made["status"]["reason"]
    cloud.call("port.attach", name="late", attachment={"type": "tap", "ifname": "vpct-late"}, wait=True)
    wait_for(lambda: sorted(told()) == [("info", "port_healed"), ("warning", "port_error")], what="an event of its coming")


def test_a_port_that_is_off_answers_for_what_it_does_not_get(make_cloud):
    """Whoever asks why a port gets nothing finds it with that port, wherever the packets came from."""
    cloud = make_cloud(hosts=2)
    cloud.network("v", SUBNETS)
    near, off, far = (cloud.machine(n, "s", h, security_groups=["v-open"]) for n, h in (("near", "a"), ("off", "b"), ("far", "b")))
    assert near.ping(off.ip4) and far.ping(off.ip4)
    for turn, change in enumerate(({"enabled": False}, {"enabled": True, "attachment": {"type": "none"}}), 1):
        cloud.update("port", "off", **change)
        assert not near.ping(off.ip4) and not far.ping(off.ip4)
        assert cloud.drops(port="off").get("port_down", 0) >= 2 * turn, cloud.call("drops.list")
        assert not cloud.drops(port="far").get("port_down") and not cloud.drops(port="near").get("port_down")
