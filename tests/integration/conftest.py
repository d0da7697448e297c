# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the integration tests. After each test packets must be accounted for and every daemon be well.

    def test_x(make_cloud):                a cloud of the test's own
        cloud = make_cloud(hosts=2)

    @pytest.fixture(scope="module")        one that a file's tests share
    def cloud(make_module_cloud): ...
"""

import contextlib
import fcntl
import os
import random
import signal
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lib import Cloud  # noqa: E402  pylint: disable=wrong-import-position

SEED = int(os.environ.get("VPC_TEST_SEED", "20260401"), 0)


def pytest_report_header():
    return f"VPC_TEST_SEED={SEED} VPC_BUILD={os.environ.get('VPC_BUILD', 'build')} VPC_WORKERS={os.environ.get('VPC_WORKERS', '1')} VPC_UNDERLAY={os.environ.get('VPC_UNDERLAY', 'ipv4')}"


def pytest_configure(config):
    config.addinivalue_line("markers", "long: a case of make test-long only; short runs do not know it")
    # meson ends a test that takes too long with SIGTERM: clean up then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def pytest_collection_modifyitems(config, items):
    if os.environ.get("VPC_TEST_SIZE") != "long":
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("long")])
        items[:] = [item for item in items if not item.get_closest_marker("long")]
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="needs root for network namespaces"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, f"report_{call.when}", outcome.get_result())


@pytest.fixture(scope="session")
def long_run():
    """True when sizes are to be full (make test-long)."""
    return os.environ.get("VPC_TEST_SIZE") == "long"


@pytest.fixture
def rng(request):
    """Random numbers: the same in every run with the same VPC_TEST_SEED."""
    return random.Random(f"{SEED} {request.node.nodeid}")


def _factory():
    with contextlib.ExitStack() as stack:

        def make(**options):
            cloud = Cloud(**options)
            stack.callback(cloud.close)
            return cloud

        yield make


@pytest.fixture
def make_cloud():
    yield from _factory()


@pytest.fixture(scope="module")
def make_module_cloud():
    yield from _factory()


@pytest.fixture(autouse=True)
def _after_each(request, make_cloud):  # make_cloud: so that we run before its clouds are closed
    yield
    report = getattr(request.node, "report_call", None)
    failed = report is None or report.failed
    try:
        if not failed:
            for cloud in Cloud.live:
                cloud.check_alive()
                cloud.check_conservation()
    except AssertionError:
        failed = True
        raise
    finally:
        if failed:
            for cloud in Cloud.live:
                cloud.diagnose()


@pytest.fixture(params=[4, 6], ids=["ipv4", "ipv6"])
def family(request):
    return request.param


@pytest.fixture(scope="module")
def only_demo():
    """The demo's names are the computer's: one at a time, also of other trees' tests."""
    with open("/run/vpc-demo.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
