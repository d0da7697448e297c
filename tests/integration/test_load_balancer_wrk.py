# SPDX-License-Identifier: Apache-2.0
"""Real web servers under real load (nginx, wrk) while back ends come and go: nobody sees an error but those whose server was killed.

    host-a (gateway)   near, client      10.0.1.0/24, virtual address .100
    host-b             far, other        (near, far, other: nginx)
    internet           beyond host-a, with a public address of the same servers
"""

import os
import re
import shutil

import pytest
from lib import wait_for
from lib.process import end

NAMES = ("near", "far", "other")
CHECK = {"type": "http", "path": "/healthz", "interval_ms": 250, "timeout_ms": 250, "rise": 2, "fall": 2}
CONFIG = """
daemon off;
master_process off;
pid {dir}/pid;
error_log {dir}/log warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
    uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
    server {{
        listen 80 backlog=4096; listen [::]:80;
        location /healthz {{ if (-f {dir}/ill) {{ return 503; }} return 200 "ok\\n"; }}
        location / {{ return 200 "{name}\\n"; }}
    }}
}}
"""


class Servers:
    """nginx in each machine; killed, ill and well again as a test wants it."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.processes = {}

    def dir(self, name):
        return os.path.join(self.cloud.dir, f"nginx-{name}")

    def start(self, name):
        os.makedirs(self.dir(name), exist_ok=True)
        config = os.path.join(self.dir(name), "conf")
        with open(config, "w", encoding="utf-8") as f:
            f.write(CONFIG.format(dir=self.dir(name), name=name))
        machine = self.cloud.machines[name]
        self.processes[name] = machine.popen("nginx", "-c", config, "-e", os.path.join(self.dir(name), "log"))
        wait_for(lambda: machine.listens(80), 10, f"nginx of {name}")

    def kill(self, name):
        self.processes[name].kill()
        self.processes[name].wait()

    def ill(self, name, yes):
        path = os.path.join(self.dir(name), "ill")
        if yes:
            open(path, "w", encoding="ascii").close()
        else:
            os.unlink(path)


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    if not (shutil.which("nginx") and shutil.which("wrk")):
        pytest.skip("nginx and wrk are not installed: scripts/setup")
    cloud = make_module_cloud(hosts=2, outside={"internet": ["a"]})
    cloud.network("prod", {"web": {"cidr": "10.0.1.0/24", "cidr6": "fd00:0:1::/64"}})
    cloud.servers = Servers(cloud)
    for name, host in (("near", "a"), ("far", "b"), ("other", "b"), ("client", "a")):
        cloud.machine(name, "web", host, security_groups=["prod-open"])
    for name in NAMES:
        cloud.servers.start(name)
    cloud.create("eip_pool", name="public", cidr="198.51.100.16/28", node="host-a", external="internet")
    cloud.create("eip", name="site", pool="public")
    for name, target in (("inside", {"address": "10.0.1.100"}), ("site", {"eip": "site"})):
        cloud.create("load_balancer", name=name, vpc="prod", node="host-a", listeners=listeners(), **target)
    cloud.public = cloud.get("eip", "site")["address"]
    for name in ("inside", "site"):
        becomes(cloud, name, dict.fromkeys(NAMES, "up"))
    return cloud


def listeners(names=NAMES, **weights):
    backends = [{"port": n, "weight": weights.get(n, 1)} for n in names]
    return [{"protocol": "tcp", "port": 80, "drain_s": 60, "health_check": CHECK, "backends": backends}]


def health(cloud, name):
    return {b["port"]: b["health"] for b in cloud.get("load_balancer", name)["status"]["listeners"][0]["backends"]}


def becomes(cloud, name, wanted):
    wait_for(lambda: health(cloud, name) == wanted, 20, lambda: f"{name}: {health(cloud, name)}")


class Load:
    """wrk on a machine: `new` connections for each request, or kept ones. At work when it is made: its first connection decides
    whether it goes on at all."""

    def __init__(self, machine, address, seconds, new):
        words = ["-t", "1", "-c", "16", "-d", f"{seconds}s", "--timeout", "4s"]
        if new:
            words += ["-H", "Connection: close"]
        before = self.opened(machine)
        self.process = machine.popen("wrk", *words, f"http://{address}/", stdout=-1, stderr=-1, text=True)
        wait_for(lambda: not self.running() or self.opened(machine) > before + 16, 10, "wrk at work")

    @staticmethod
    def opened(machine):
        """Connections that the machine has begun in its life."""
        names, values = (line.split() for line in machine.run("cat", "/proc/net/snmp").stdout.splitlines() if line.startswith("Tcp:"))
        return int(values[names.index("ActiveOpens")])

    def running(self):
        return self.process.poll() is None

    def result(self):
        """(requests, errors); what sort they are is printed."""
        out, err = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, err
        requests = int(re.search(r"(\d+) requests in", out)[1])
        sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
        print(sockets[0] if sockets else "no socket errors")
        odd = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
        return requests, sum(map(int, sockets.groups() if sockets else [])) + (int(odd[1]) if odd else 0)


class Kept:
    """A connection that is kept open, to a server that we know."""

    def __init__(self, machine, address):
        self.socket = machine.socket()
        self.socket.settimeout(10)
        self.socket.connect((address, 80))
        self.server = self.ask()

    def ask(self):
        self.socket.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while b"\r\n\r\n" not in answer or not answer.endswith(b"\n") or answer.endswith(b"\r\n\r\n"):
            piece = self.socket.recv(4096)
            if not piece:
                raise ConnectionError("closed")
            answer += piece
        return answer.rsplit(b"\r\n\r\n", 1)[1].decode().strip()


def keep(machine, address):
    """A kept connection to each server."""
    kept = {}
    while len(kept) < len(NAMES):
        one = Kept(machine, address)
        kept.setdefault(one.server, one)
    return kept


@pytest.fixture(params=["inside", "site"])
def target(request, cloud):
    """(balancer, client, address)"""
    if request.param == "inside":
        return "inside", cloud.machines["client"], "10.0.1.100"
    return "site", cloud.outside["internet"].internet, cloud.public


@pytest.mark.parametrize("new", [True, False], ids=["new", "kept"])
def test_no_error_while_back_ends_come_and_go(cloud, target, new, long_run):
    """Checks fail, weights change, back ends are taken out and in, under load all the time: no request fails."""
    name, client, address = target
    seconds = 30 if long_run else 5
    kept = keep(client, address)
    load = Load(client, address, seconds, new)
    turns = 0
    while load.running():
        cloud.servers.ill("other", True)
        becomes(cloud, name, {"near": "up", "far": "up", "other": "down"})
        cloud.servers.ill("other", False)
        becomes(cloud, name, dict.fromkeys(NAMES, "up"))
        cloud.update("load_balancer", name, listeners=listeners(near=0, far=3))
        cloud.update("load_balancer", name, listeners=listeners(("near", "other")))
        cloud.update("load_balancer", name, listeners=listeners())
        becomes(cloud, name, dict.fromkeys(NAMES, "up"))
        turns += 1
    requests, errors = load.result()
    print(f"{requests} requests, {errors} errors, {turns} turns")
    assert errors == 0
    assert requests > 100 * seconds
    for server, one in kept.items():
        assert one.ask() == server


def test_only_the_killed_one_fails(cloud, target, long_run):
    """A server is killed: once it is out no request fails, nor while it comes back; connections to the others live on."""
    name, client, address = target
    kept = keep(client, address)
    for _ in range(4 if long_run else 1):
        load = Load(client, address, 6, True)
        cloud.servers.kill("far")
        becomes(cloud, name, {"near": "up", "far": "down", "other": "up"})
        after = Load(client, address, 3, True)
        requests, errors = after.result()
        assert errors == 0 and requests > 100
        back = Load(client, address, 3, True)
        cloud.servers.start("far")
        becomes(cloud, name, dict.fromkeys(NAMES, "up"))
        requests, errors = back.result()
        assert errors == 0 and requests > 100
        load.result()
    for server, one in kept.items():
        if server != "far":
            assert one.ask() == server
    with pytest.raises(OSError):
        kept["far"].ask()


@pytest.fixture(scope="module", autouse=True)
def _servers_end(cloud):
    yield
    for process in cloud.servers.processes.values():
        end(process)
