# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the northbound API's tests."""

import os
import shutil
import signal
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import BASE, NODE, TOKEN, Controller  # noqa: E402  pylint: disable=wrong-import-position
from peer import Peer  # noqa: E402  pylint: disable=wrong-import-position


def pytest_configure():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def _end(controller):
    alive = controller.process is not None and controller.process.poll() is None
    status = controller.stop()
    log = controller.log() if os.path.exists(controller.log_path) else ""
    shutil.rmtree(controller.dir, ignore_errors=True)
    assert "Sanitizer" not in log and "runtime error" not in log, log
    assert not alive or status == 0, f"exit {status}:\n{log}"


@pytest.fixture
def make_controller():
    made = []

    def make(**config):
        controller = Controller(**config)
        made.append(controller)
        return controller.start()

    yield make
    for controller in made:
        _end(controller)


@pytest.fixture
def controller(make_controller):
    """One without anything."""
    return make_controller()


@pytest.fixture(scope="module")
def shared():
    """One with the base network, for tests that leave it as it was."""
    controller = Controller()
    tokens = os.path.join(controller.dir, "tokens")
    with open(tokens, "w", encoding="utf-8") as f:
        f.write(f"# who may write\ntester {TOKEN}\n")
    os.chmod(tokens, 0o600)
    controller.config["http_token_file"] = tokens
    controller.start()
    controller.apply(NODE, *BASE)
    yield controller
    _end(controller)


@pytest.fixture
def base(make_controller):
    """One with the base network, of the test's own."""
    controller = make_controller()
    controller.apply(NODE, *BASE)
    return controller


@pytest.fixture
def cluster(make_controller, tmp_path):
    """A controller and its nodes, played by peers: cluster("host-a", "host-b") → controller, [peer, …]"""
    peers = []

    def make(*names, **config):
        for number, name in enumerate(names):
            path = str(tmp_path / f"{name}.sock")
            peers.append(Peer(path, name, {"mtu": 1600, "family": 4}).start())
        nodes = [
            {"name": peer.name, "rpc": peer.path, "vtep": f"192.0.2.{number}"} for number, peer in enumerate(peers, 1)
        ]
        return make_controller(nodes=nodes, **config), peers

    yield make
    for peer in peers:
        peer.stop()
