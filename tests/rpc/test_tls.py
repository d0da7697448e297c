# SPDX-License-Identifier: Apache-2.0
"""Controller and dataplane by mutual TLS 1.3: who is refused and what is said about it, new certificates, rude clients.

    vpc-controller ──tls──▶ vpc-dataplane ◀──tls── good client (127.0.0.1), bad clients (127.0.0.2 …)
"""

import json
import os
import re
import signal
import socket
import ssl
import statistics
import subprocess
import threading
import time

import pytest
from harness import build_dir, free_port
from lib.authority import FUTURE, PAST, Authority
from lib.process import end, popen
from lib.wait import SLOWNESS, wait_for

LONG = os.environ.get("VPC_TEST_SIZE") == "long"
NODE_NAMES = "DNS:host-a,IP:127.0.0.1"


class Dataplane:
    """vpc-dataplane that listens for TLS on the loopback."""

    def __init__(self, directory, tls):
        self.dir = str(directory)
        self.port = free_port()
        self.url = f"tls://127.0.0.1:{self.port}"
        self.log_path = os.path.join(self.dir, "dataplane.log")
        self.process = None
        self.config = {
            "node": "host-a",
            "rpc": self.url,
            "tls": tls,
            "state": "",
            "workers": [int(cpu) for cpu in (os.environ.get("VPC_WORKERS") or "1").split(",")],
            "memory": {"hugepages": "never", "size_mb": 128},
            "capacity": {"sessions": 1024, "endpoints": 64, "ports": 4, "vpcs": 4},
            "eal": [f"--file-prefix=vpct-tls-{os.getpid()}-{self.port}"],
        }

    def argv(self, *words):
        path = os.path.join(self.dir, "node.yaml")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(self.config, f, indent=1)
        return [os.path.join(build_dir(), "dataplane", "vpc-dataplane"), "-c", path, *words]

    def start(self):
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.process = popen(self.argv(), stdout=log, stderr=log)
        wait_for(lambda: " forwarding" in self.log() or self.process.poll() is not None, 30, self.log)
        assert self.process.poll() is None, self.log()
        return self

    def log(self):
        with open(self.log_path, encoding="utf-8") as f:
            return f.read()

    def stop(self):
        status = end(self.process) if self.process else 0
        log = self.log() if self.process else ""
        assert status == 0 and "Sanitizer" not in log and "runtime error" not in log, f"exit {status}:\n{log}"


class Client:
    """A controller of the test's own: `identity` None shows no certificate."""

    def __init__(self, port, authority, identity=None, version=ssl.TLSVersion.TLSv1_3, source="127.0.0.1"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = context.maximum_version = version
        context.load_verify_locations(authority.ca)
        if identity:
            context.load_cert_chain(identity.cert, identity.key)
        plain = socket.create_connection(("127.0.0.1", port), 20 * SLOWNESS, source_address=(source, 0))
        self.peer = "%s:%d" % plain.getsockname()[:2]
        try:
            self.socket = context.wrap_socket(plain, server_hostname="host-a")
        except (OSError, ssl.SSLError):
            plain.close()
            raise
        self.number = 0
        self.buffer = b""

    def call(self, method, **params):
        self.number += 1
        request = {"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        while b"\n" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("closed")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        answer = json.loads(line)
        assert answer["id"] == self.number
        return answer["result"]

    def hello(self):
        return self.call("hello", api_version=1, controller="test", node="host-a")

    def certificate(self):
        return self.socket.getpeercert(binary_form=True)

    def close(self):
        self.socket.close()


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def make_dataplane(tmp_path):
    made = []

    def make(tls):
        made.append(Dataplane(tmp_path, tls))
        return made[-1].start()

    yield make
    for dataplane in made:
        dataplane.stop()


def files(identity, authority, **more):
    return {"cert": identity.cert, "key": identity.key, "ca": authority.ca, **more}


def refusal(dataplane, peer):
    """What the log says about the refused client."""
    pattern = rf'client refused\W.*peer[=:" ]+{re.escape(peer)}.*'
    return wait_for(lambda: re.search(pattern, dataplane.log()), 10, dataplane.log)[0]


# ---- the dataplane's side ----


def bad_clients(tmp_path, authority):
    """(what is wrong, identity, what the log says)"""
    other = Authority(tmp_path, "other-ca")
    revoked = authority.issue("revoked")
    authority.revoke(revoked)
    return [
        ("missing", None, "peer did not return a certificate"),
        ("of another CA", other.issue("controller"), "unable to get local issuer certificate"),
        ("expired", authority.issue("controller", valid=PAST, file="expired"), "certificate has expired"),
        ("not valid yet", authority.issue("controller", valid=FUTURE, file="early"), "certificate is not yet valid"),
        ("revoked", revoked, "certificate revoked"),
        ("for servers only", authority.issue("controller", usage="serverAuth", file="server"), "unsuitable certificate purpose"),
        ("of somebody else", authority.issue("host-b", file="else"), "is not that of controller"),
    ]


def test_bad_clients_are_refused_and_named(tmp_path, authority, make_dataplane):
    bad = bad_clients(tmp_path, authority)
    good = authority.issue("controller")
    other_name = authority.issue("any", san="DNS:standby.example", file="standby")
    crl = authority.make_crl()
    tls = files(authority.issue("host-a", NODE_NAMES), authority, crl=crl, clients=["controller", "standby.example"])
    dataplane = make_dataplane(tls)
    first = Client(dataplane.port, authority, good)
    assert first.hello()["node"] == "host-a"
    assert Client(dataplane.port, authority, other_name).hello()["node"] == "host-a"
    for what, identity, said in bad:
        client = Client(dataplane.port, authority, identity)  # TLS 1.3: the refusal comes after our side is done
        with pytest.raises((ssl.SSLError, ConnectionError)) as told:
            client.hello()
        assert "alert" in str(told.value).lower(), f"{what}: the client is told why, not only cut off: {told.value}"
        assert said in refusal(dataplane, client.peer), what
        client.close()
    assert first.hello()["node"] == "host-a", "nobody else was harmed"


def test_no_other_protocol_is_spoken(authority, make_dataplane):
    good = authority.issue("controller")
    dataplane = make_dataplane(files(authority.issue("host-a", NODE_NAMES), authority))
    with pytest.raises(ssl.SSLError):
        Client(dataplane.port, authority, good, version=ssl.TLSVersion.TLSv1_2)
    wait_for(lambda: "unsupported protocol" in dataplane.log(), 10, dataplane.log)
    for text in (b'{"jsonrpc": "2.0", "id": 1, "method": "hello"}\n', b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 64):
        with socket.create_connection(("127.0.0.1", dataplane.port), 10 * SLOWNESS) as plain:
            peer = "%s:%d" % plain.getsockname()
            plain.sendall(text)
            try:
                while answer := plain.recv(4096):
                    assert b"jsonrpc" not in answer
            except ConnectionError:
                pass
        assert "reason" in refusal(dataplane, peer)
    assert Client(dataplane.port, authority, good).hello()["node"] == "host-a"


def test_a_list_of_revoked_certificates_that_is_out_of_date_lets_nobody_in(authority, make_dataplane):
    good = authority.issue("controller")
    dataplane = make_dataplane(files(authority.issue("host-a", NODE_NAMES), authority, crl=authority.make_crl(days=0)))
    client = Client(dataplane.port, authority, good)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        client.hello()
    assert "CRL has expired" in refusal(dataplane, client.peer)
    authority.make_crl()
    assert Client(dataplane.port, authority, good).hello()["node"] == "host-a"


# ---- the controller's side ----


class Impostor:
    """Accepts by TLS with a certificate that is not what it should be."""

    def __init__(self, authority, identity):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(identity.cert, identity.key)
        self.context.load_verify_locations(authority.ca)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.heard = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                plain, _ = self.listener.accept()
                with self.context.wrap_socket(plain, server_side=True) as secure:
                    self.heard.append(secure.recv(1))
            except ssl.SSLError:
                continue
            except OSError:
                if self.listener.fileno() < 0:
                    return

    def close(self):
        self.listener.close()


def bad_nodes(tmp_path, authority):
    other = Authority(tmp_path, "other-ca")
    revoked = authority.issue("host-a", NODE_NAMES, file="revoked")
    authority.revoke(revoked)
    return [
        (other.issue("host-a", NODE_NAMES), "unable to get local issuer certificate"),
        (authority.issue("host-a", NODE_NAMES, valid=PAST, file="expired"), "certificate has expired"),
        (revoked, "certificate revoked"),
        (authority.issue("host-a", file="nameless"), "is not that of host-a or 127.0.0.1"),
        (authority.issue("host-a", "DNS:host-b,IP:127.0.0.2", file="else"), "is not that of host-a or 127.0.0.1"),
        (authority.issue("host-a", NODE_NAMES, usage="clientAuth", file="client"), "unsuitable certificate purpose"),
    ]


def node_reason(controller):
    status = controller.call("node.get", name="host-a")["status"]
    return status["reason"] if status["state"] == "away" else None


def test_bad_nodes_are_refused_and_the_node_says_why(tmp_path, authority, make_controller):
    bad = bad_nodes(tmp_path, authority)
    good = authority.issue("controller")
    controller = make_controller(tls=files(good, authority, crl=authority.make_crl()))
    for identity, said in bad:
        impostor = Impostor(authority, identity)
        controller.call("node.create", name="host-a", rpc=f"tls://127.0.0.1:{impostor.port}")
        wait_for(lambda said=said: said in (node_reason(controller) or ""), 10, lambda: node_reason(controller))
        events = [e for e in controller.call("event.list", kind="node")["items"] if e["reason"] == "node_away"]
        assert any(said in event["message"] for event in events), events
        assert not impostor.heard, "not a byte was said to it"
        controller.call("node.delete", name="host-a")
        impostor.close()


def test_the_controller_says_what_the_node_has_against_it(authority, make_dataplane, make_controller):
    """Its own certificate has expired; then a node object brings another identity, and it is let in."""
    dataplane = make_dataplane(files(authority.issue("host-a", NODE_NAMES), authority))
    expired = authority.issue("controller", valid=PAST, file="expired")
    controller = make_controller(
        nodes=[{"name": "host-a", "rpc": dataplane.url}], tls=files(expired, authority)
    )
    wait_for(lambda: "it refused us: certificate expired" in (node_reason(controller) or ""), 10, lambda: node_reason(controller))
    assert "certificate has expired" in dataplane.log() and "our certificate has expired" in controller.log()
    missing = files(authority.issue("spare"), authority, ca=authority.dir + "/none.crt")
    controller.call("node.update", name="host-a", tls=missing)
    wait_for(lambda: "tls.ca" in (node_reason(controller) or ""), 10, lambda: node_reason(controller))
    controller.call("node.update", name="host-a", tls=files(authority.issue("controller"), authority))
    wait_for(lambda: node_reason(controller) is None, 10, lambda: node_reason(controller))
    assert controller.call("node.get", name="host-a")["status"]["state"] == "connected"


def test_a_node_by_tls_without_certificates_is_refused_in_words(make_controller):
    controller = make_controller(nodes=[{"name": "host-a", "rpc": "tls://127.0.0.1:9"}])
    assert "needs `tls`" in node_reason(controller)


def test_a_node_is_found_by_its_host_name(authority, make_dataplane, make_controller):
    dataplane = make_dataplane(files(authority.issue("x", "DNS:localhost"), authority))
    tls = files(authority.issue("controller"), authority)
    controller = make_controller(nodes=[{"name": "host-a", "rpc": f"tls://localhost:{dataplane.port}"}], tls=tls)
    wait_for(lambda: node_reason(controller) is None, 10, lambda: node_reason(controller))


def test_a_node_by_ipv6(authority, tmp_path, make_controller):
    """Listening on all addresses of both families."""
    dataplane = Dataplane(tmp_path, files(authority.issue("x", "IP:0:0:0:0:0:0:0:1,IP:127.0.0.1"), authority))
    dataplane.config["rpc"] = f"tls://[::]:{dataplane.port}"
    dataplane.start()
    tls = files(authority.issue("controller"), authority)
    for host, seen in (("[::1]", "[::1]"), ("127.0.0.1", "127.0.0.1")):
        controller = make_controller(nodes=[{"name": "host-a", "rpc": f"tls://{host}:{dataplane.port}"}], tls=tls)
        wait_for(lambda c=controller: node_reason(c) is None, 10, lambda c=controller: node_reason(c))
        assert f"client connected peer={seen}:" in dataplane.log()
        controller.stop()
    dataplane.stop()


# ---- new certificates ----


def replace(old, new):
    """As a certificate agent does it: first one file, then the other, each at once."""
    for name in ("cert", "key"):
        source, target = getattr(new, name), getattr(old, name)
        os.replace(source, target)


def test_new_certificates_are_read_and_connections_go_on(authority, make_dataplane, make_controller):
    own = authority.issue("host-a", NODE_NAMES)
    good = authority.issue("controller")
    dataplane = make_dataplane(files(own, authority))
    controller = make_controller(nodes=[{"name": "host-a", "rpc": dataplane.url}], tls=files(good, authority))
    wait_for(lambda: node_reason(controller) is None, 10, lambda: node_reason(controller))
    old = Client(dataplane.port, authority, good)
    replace(own, authority.issue("host-a", NODE_NAMES, file="second"))
    new = Client(dataplane.port, authority, good)
    assert new.certificate() != old.certificate(), "noticed without being told"

    # A mistake: the former certificate stays in use, and the log says so.
    with open(own.key, "w", encoding="utf-8") as f:
        f.write("no key\n")
    dataplane.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "the former ones stay in use" in dataplane.log(), 10, dataplane.log)
    third = Client(dataplane.port, authority, good)
    assert third.certificate() == new.certificate()

    # Told by SIGHUP, both sides.
    before = dataplane.log().count("certificates read")
    replace(own, authority.issue("host-a", NODE_NAMES, file="third"))
    dataplane.process.send_signal(signal.SIGHUP)
    wait_for(lambda: dataplane.log().count("certificates read") > before, 10, dataplane.log)
    replace(good, authority.issue("controller", file="renewed"))
    controller.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "certificates read" in controller.log(), 10, controller.log)
    assert Client(dataplane.port, authority, good).certificate() != third.certificate()
    for client in (old, new, third):
        assert client.hello()["node"] == "host-a", "a connection goes on with what it began with"
    assert not [e for e in controller.call("event.list", kind="node")["items"] if e["reason"] == "node_away"]


def test_who_is_revoked_later_does_not_come_back(authority, make_dataplane):
    first, second = authority.issue("first"), authority.issue("second")
    dataplane = make_dataplane(files(authority.issue("host-a", NODE_NAMES), authority, crl=authority.make_crl()))
    client = Client(dataplane.port, authority, first)
    authority.revoke(first)
    authority.make_crl()
    again = Client(dataplane.port, authority, first)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        again.hello()
    assert "certificate revoked" in refusal(dataplane, again.peer)
    assert client.hello()["node"] == "host-a"
    assert Client(dataplane.port, authority, second).hello()["node"] == "host-a"


# ---- rude clients ----


class Crowd:
    """Threads that do something rude again and again until the block ends. What refuses or cuts them off is as it should be."""

    def __init__(self, rudeness, *sources):
        self.stop = threading.Event()
        self.count = 0
        self.threads = [threading.Thread(target=self._run, args=(rudeness, source), daemon=True) for source in sources]

    def _run(self, rudeness, source):
        while not self.stop.is_set():
            try:
                rudeness(source, self.stop)
            except OSError:
                pass
            self.count += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(30 * SLOWNESS)


def loopback(first, count):
    return [f"127.0.0.{n}" for n in range(first, first + count)]


def connect(port, source):
    return socket.create_connection(("127.0.0.1", port), 5, source_address=(source, 0))


def client_hello(authority):
    """The first bytes of a proper handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority.ca)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_hostname="host-a")
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


def quick(client, seconds):
    """Median and worst time of a call, in ms, over so many seconds."""
    times = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        client.hello()
        times.append((time.monotonic() - began) * 1000)
    return statistics.median(times), max(times)


@pytest.fixture
def besieged(authority, make_dataplane):
    """A dataplane and a proper client. The bounds hold on a busy machine: idle, a call takes well under a millisecond."""
    good = authority.issue("controller")
    dataplane = make_dataplane(files(authority.issue("host-a", NODE_NAMES), authority))
    return dataplane, Client(dataplane.port, authority, good), good


def check_unharmed(besieged, authority):
    dataplane, client, good = besieged
    median, worst = quick(client, 5 if LONG else 2)
    assert median < 50 * SLOWNESS and worst < 1000 * SLOWNESS, f"median {median:.1f} ms, worst {worst:.1f} ms"
    newcomer = Client(dataplane.port, authority, good)
    assert newcomer.hello()["node"] == "host-a", "one may still come in"
    newcomer.close()


def test_half_open_clients_harm_nobody(besieged, authority):
    """More of them than may shake hands at a time, from several addresses: they make room, and go after 5 seconds."""
    dataplane = besieged[0]
    hello = client_hello(authority)
    silent = []
    for source in loopback(2, 6):
        for n in range(30):
            try:
                silent.append(connect(dataplane.port, source))
                silent[-1].sendall(hello if n % 2 else b"")
            except OSError:
                pass
    assert len(silent) > 64
    check_unharmed(besieged, authority)
    wait_for(lambda: "too slow while others wait" in dataplane.log(), 10, dataplane.log)

    def all_gone():
        for s in list(silent):
            s.setblocking(False)
            try:
                while s.recv(65536):
                    pass
                silent.remove(s)
            except BlockingIOError:
                pass
            except OSError:
                silent.remove(s)
        return not silent

    wait_for(all_gone, 20, lambda: f"{len(silent)} are still there")


def test_slow_clients_harm_nobody(besieged, authority):
    """A byte now and then does not put the deadline off."""
    dataplane = besieged[0]
    hello = client_hello(authority)
    lives = []

    def trickle(source, stop):
        began = time.monotonic()
        with connect(dataplane.port, source) as s:
            s.sendall(hello[:5])
            for byte in hello[5:]:
                if stop.wait(0.1):
                    return
                s.sendall(bytes([byte]))
                s.setblocking(False)
                try:
                    if s.recv(100) == b"":
                        break
                except BlockingIOError:
                    pass
                s.setblocking(True)
        lives.append(time.monotonic() - began)

    with Crowd(trickle, *loopback(2, 8)):
        check_unharmed(besieged, authority)
        wait_for(lambda: len(lives) >= 8, 30, lambda: f"{len(lives)} were cut off")
    assert max(lives[:8]) < 15 * SLOWNESS
    assert "no handshake in time" in dataplane.log()


def test_flooding_clients_harm_nobody(besieged, authority):
    """Connections as fast as they go, empty, with rubbish and with the beginning of a handshake."""
    dataplane = besieged[0]
    hello = client_hello(authority)

    def flood(source, _stop):
        for text in (b"", b"\x16\x03\x01\xff\xff" + bytes(2000), hello):
            with connect(dataplane.port, source) as s:
                s.sendall(text)

    with Crowd(flood, *loopback(2, 4)) as crowd:
        wait_for(lambda: crowd.count > 50, 10, "the flood has begun")
        check_unharmed(besieged, authority)
    assert "too many new connections of this address" in dataplane.log()
    assert len(dataplane.log()) < 1 << 20, "a flood of clients is no flood of lines"
    with open(f"/proc/{dataplane.process.pid}/status", encoding="ascii") as f:
        size = int(re.search(r"FDSize:\s+(\d+)", f.read())[1])
    assert size <= 1024


def test_one_address_gets_its_share_of_connections(besieged, authority):
    """A client with a good certificate that does not stop connecting."""
    dataplane, _, good = besieged
    held = []

    def grow():
        try:
            held.append(Client(dataplane.port, authority, good, source="127.0.0.9"))
            held[-1].hello()
        except (OSError, ssl.SSLError):
            pass
        return "too many connections of this address" in dataplane.log()

    wait_for(grow, 30, dataplane.log, interval_s=0.05)
    check_unharmed(besieged, authority)
    for client in held:
        client.close()


# ---- configuration ----


def check(argv):
    return subprocess.run(argv, capture_output=True, text=True, timeout=60 * SLOWNESS, check=False)


def bad_files(authority):
    """(member, value, what is said)"""
    identity, other = authority.issue("host-a", file="one"), authority.issue("host-a", file="two")
    shown = authority.issue("host-a", file="shown")
    os.chmod(shown.key, 0o644)
    locked = os.path.join(authority.dir, "locked.key")
    subprocess.run(["openssl", "ec", "-in", identity.key, "-aes128", "-passout", "pass:x", "-out", locked], check=True, capture_output=True)
    return files(identity, authority), [
        ("cert", "/no/such.crt", "No such file"),
        ("cert", identity.key, "no certificate"),
        ("key", other.key, "key"),
        ("key", shown.key, "everybody on this host may read"),
        ("key", identity.cert, "everybody|no private key"),
        ("key", locked, "no private key"),
        ("ca", authority.dir, "is no file"),
        ("ca", identity.key, "no certificate"),
        ("crl", authority.ca, "no revocation list"),
        ("cert", None, "required"),
    ]


def test_check_looks_into_the_files(tmp_path, authority, make_controller):
    good, bad = bad_files(authority)
    dataplane = Dataplane(tmp_path, good)
    controller = make_controller()
    assert check(dataplane.argv("--check")).returncode == 0
    for member, value, said in bad:
        tls = {key: v for key, v in {**good, member: value}.items() if v is not None}
        dataplane.config["tls"] = controller.config["tls"] = tls
        for program in (dataplane, controller):
            done = check(program.argv("--check"))
            assert done.returncode == 2, f"{member}: {value}"
            assert re.search(rf"(yaml|json):\d+: tls.{member}: .*({said})", done.stderr), done.stderr
    del controller.config["tls"]
    controller.config["nodes"] = [{"name": "a", "rpc": "tls://192.0.2.1:1", "tls": {**good, "key": "/no/such.key"}}]
    assert "nodes[0].tls.key: /no/such.key: No such file" in check(controller.argv("--check")).stderr
    del dataplane.config["tls"]
    done = check(dataplane.argv("--check"))
    assert done.returncode == 2 and "rpc: needs `tls`" in done.stderr
    dataplane.config.update(tls=good, rpc="tls://localhost:9471")
    assert "rpc: must have an address of this host" in check(dataplane.argv("--check")).stderr
    dataplane.config.update(rpc=str(tmp_path / "x.sock"))
    assert "tls: is for rpc: tls://" in check(dataplane.argv("--check")).stderr
