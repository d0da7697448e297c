# SPDX-License-Identifier: Apache-2.0
"""The OpenRPC document of the build (environment OPENRPC): valid, closed, and of one mind with the examples."""

import copy
import json
import os
import sys

import jsonschema
import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from lib.openrpc import Document  # noqa: E402

with open(os.environ["OPENRPC"], encoding="utf-8") as file:
    DOCUMENT = json.load(file)
API = Document(DOCUMENT)

PORT = {
    "name": "p",
    "tenant": "default",
    "description": "",
    "subnet": "s",
    "node": "n",
    "mac": "02:00:00:00:00:01",
    "addresses": ["10.0.0.5", "fd00::5"],
    "security_groups": [],
    "port_security": True,
    "allowed_addresses": [],
    "rate": {"ingress_mbps": 0, "egress_mbps": 0, "ingress_pps": 0, "egress_pps": 0},
    "enabled": True,
    "attachment": {"type": "tap", "ifname": "t0", "configure": False},
    "revision": 3,
    "status": {
        "state": "active",
        "reason": "",
        "counters": {"rx_packets": 0, "rx_bytes": 0, "tx_packets": 0, "tx_bytes": 0, "drops": 0},
    },
}

EXPLAIN = {
    "verdict": "drop",
    "reason": "policy_ingress",
    "delivered_to": None,
    "packet": {"before": {"source": "10.0.0.1", "destination": "10.0.0.2", "protocol": "tcp"}, "after": None},
    "steps": [
        {
            "node": "a",
            "stage": "policy_ingress",
            "object": {"kind": "security_group", "name": "web", "revision": 4, "rule": 0},
            "decision": "deny",
        },
        {"node": "a", "stage": "route", "object": None, "decision": "local"},
    ],
}


def test_document():
    API.check_document()


@pytest.mark.parametrize("name", sorted(API.methods))
def test_example_params(name):
    example = API.methods[name].get("x-example-params")
    if example is not None:
        API.check_params(name, example)


def test_params_are_closed():
    with pytest.raises(jsonschema.ValidationError):
        API.check_params("vpc.get", {"name": "v", "other": 1})
    with pytest.raises(jsonschema.ValidationError):
        API.check_params("vpc.create", {"name": "v"})
    with pytest.raises(jsonschema.ValidationError):
        API.check_params("vpc.create", {"name": "v", "cidrs": ["10.0.0.0"]})
    with pytest.raises(jsonschema.ValidationError):
        API.check_params("apply", {"resources": [{"kind": "vpc", "name": "v"}]})


def test_update_takes_null_and_revision():
    API.check_params("vpc.update", {"name": "v", "description": None, "revision": 3})


def test_result_port():
    API.check_result("port.get", PORT)
    API.check_result("port.list", {"items": [PORT], "cursor": None})
    for broken in (
        {**PORT, "extra": 1},
        {**PORT, "addresses": ["10.0.0.256"]},
        {**PORT, "mac": "02:00:00:00:00:0G"},
        {key: value for key, value in PORT.items() if key != "status"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            API.check_result("port.get", broken)
    nested = copy.deepcopy(PORT)
    nested["attachment"] = {"type": "tap", "socket": "/x"}
    with pytest.raises(jsonschema.ValidationError):
        API.check_result("port.get", nested)


def test_result_general():
    API.check_result("vpc.delete", {})
    API.check_result("explain", EXPLAIN)
    API.check_result(
        "apply",
        {
            "created": 1,
            "updated": 0,
            "deleted": 0,
            "unchanged": 0,
            "changes": [{"op": "create", "kind": "vpc", "name": "v", "diff": {"cidrs": [None, ["10.0.0.0/8"]]}}],
        },
    )
    API.check_result("export", {"resources": [{"kind": "vpc", "name": "v", "cidrs": ["10.0.0.0/8"]}]})
    API.check_notification("event", {"op": "create", "kind": "vpc", "object": {}, "revision": 1})
    with pytest.raises(jsonschema.ValidationError):
        API.check_result("vpc.delete", {"name": "v"})
