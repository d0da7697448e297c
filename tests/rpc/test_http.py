# SPDX-License-Identifier: Apache-2.0
"""The HTTP side: who may do what, and what each page shows."""

import http.client
import json
import re

import pytest
from harness import CODES, TOKEN


def ask(controller, verb, path, body=None, headers=None, host=None):
    connection = http.client.HTTPConnection(*controller.http.split(":"), timeout=20)
    connection.putrequest(verb, path, skip_host=True)
    if host is not False:
        connection.putheader("Host", host or controller.http)
    for name, value in (headers or {}).items():
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    response = connection.getresponse()
    got = response.read()
    connection.close()
    return response.status, response.headers, got


def rpc(controller, method, params=None, token=None, **more):
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    body = json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params or {}}).encode()
    status, _, got = ask(controller, "POST", "/rpc", body, {**headers, **more.pop("headers", {})}, **more)
    return status, json.loads(got) if status == 200 else got


def test_reads_need_no_token(shared):
    status, answer = rpc(shared, "vpc.get", {"name": "prod"})
    assert status == 200 and answer["id"] == 7 and answer["result"]["name"] == "prod"


def test_changes_need_one(shared):
    status, answer = rpc(shared, "vpc.create", {"name": "x", "cidrs": ["10.0.0.0/8"]})
    assert status == 200 and answer["error"]["code"] == CODES["denied"]
    assert "x" not in shared.names("vpc")
    status, answer = rpc(shared, "vpc.create", {"name": "x", "cidrs": ["10.0.0.0/8"]}, token=TOKEN)
    assert status == 200 and answer["result"]["name"] == "x"
    status, answer = rpc(shared, "vpc.delete", {"name": "x"}, token=TOKEN)
    assert answer["result"] == {}


def test_a_probe_needs_one(shared):
    """explain is a question; with live it sends a packet."""
    question = {"from": "web1", "to": "10.0.1.3", "live": True}
    status, answer = rpc(shared, "explain", question)
    assert status == 200 and answer["error"]["code"] == CODES["denied"]
    status, answer = rpc(shared, "explain", question, token=TOKEN)
    assert status == 200 and answer["error"]["code"] != CODES["denied"]


def test_no_method_that_changes_passes_without_a_token(shared):
    before = shared.call("export")
    for name, method in shared.document.methods.items():
        writes = name.partition(".")[2] in ("create", "update", "delete", "accept", "attach", "detach", "bind", "unbind", "flush") or name in (
            "apply",
            "restore",
            "capture",  # what others say to each other
            "capture.stop",
            "alert.release",
            "security_group.add_rules",
            "security_group.remove_rules",
        )
        status, answer = rpc(shared, name, method.get("x-example-params"))
        assert status == 200
        denied = answer.get("error", {}).get("code") == CODES["denied"]
        assert denied == writes, (name, answer)
    assert shared.call("export") == before


@pytest.mark.parametrize("token", ["wrong", TOKEN[:-1], TOKEN + "x", "x" + TOKEN, TOKEN.upper(), "tester " + TOKEN, ""])
def test_a_wrong_token_is_refused_even_for_reads(shared, token):
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    body = b'{"jsonrpc":"2.0","id":1,"method":"status"}'
    status, headers, _ = ask(shared, "POST", "/rpc", body, headers)
    assert status == 401 and headers["WWW-Authenticate"].startswith("Bearer")


def test_another_scheme_is_refused(shared):
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {TOKEN}"}
    assert ask(shared, "POST", "/rpc", b"{}", headers)[0] == 401


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "10.0.0.1", "[::2]:{port}", ""])
@pytest.mark.parametrize("path", ["/rpc", "/metrics", "/openrpc.json", "/healthz", "/else"])
def test_a_foreign_host_is_refused(shared, host, path):
    port = shared.http.split(":")[1]
    verb = "POST" if path == "/rpc" else "GET"
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    body = b'{"jsonrpc":"2.0","id":1,"method":"export"}' if verb == "POST" else None
    status, _, got = ask(shared, verb, path, body, headers, host=host.format(port=port) or " ")
    assert status in (400, 403) and b"prod" not in got


@pytest.mark.parametrize("host", ["localhost", "localhost:{port}", "LOCALHOST", "127.0.0.1", "127.0.0.1:{port}", "[::1]:{port}"])
def test_our_own_names_are_served(shared, host):
    assert ask(shared, "GET", "/healthz", host=host.format(port=shared.http.split(":")[1]))[0] == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
def test_content_type(shared, kind):
    """A page of somebody else's can make a browser send these without asking us first. Who is no browser may."""
    status_call = b'{"jsonrpc":"2.0","id":1,"method":"status"}'
    origin = {"Origin": "http://evil.example"}
    named = {"Content-Type": kind} if kind else {}
    assert ask(shared, "POST", "/rpc", status_call, {**named, **origin})[0] == 415
    assert ask(shared, "POST", "/rpc", status_call, named)[0] == 200
    good = {"Content-Type": "application/json; charset=utf-8"}
    assert ask(shared, "POST", "/rpc", status_call, {**good, **origin})[0] == 200


def test_no_answer_may_be_read_by_other_origins(shared):
    for verb, path in (("GET", "/metrics"), ("OPTIONS", "/rpc"), ("GET", "/healthz")):
        _, headers, _ = ask(shared, verb, path, headers={"Origin": "http://evil.example"})
        assert not [name for name in headers if name.lower().startswith("access-control")]


def test_verbs_and_paths(shared):
    assert ask(shared, "GET", "/rpc")[0] == 405
    assert ask(shared, "POST", "/metrics", b"", {"Content-Type": "application/json"})[0] == 405
    assert ask(shared, "DELETE", "/healthz")[0] == 405
    assert ask(shared, "GET", "/")[0] == 404
    assert ask(shared, "GET", "/rpc/../metrics")[0] == 404


def test_json_rpc_over_http(shared):
    headers = {"Content-Type": "application/json"}
    for body, code in ((b"{", -32700), (b"[]", -32600), (b"1", -32600), (b'{"jsonrpc":"2.0","id":1,"method":"nobody"}', -32601)):
        status, _, got = ask(shared, "POST", "/rpc", body, headers)
        assert status == 200 and json.loads(got)["error"]["code"] == code, body
    batch = [{"jsonrpc": "2.0", "id": n, "method": "vpc.get", "params": {"name": "prod"}} for n in range(3)]
    status, _, got = ask(shared, "POST", "/rpc", json.dumps(batch).encode(), headers)
    assert sorted(answer["id"] for answer in json.loads(got)) == [0, 1, 2]
    status, _, got = ask(shared, "POST", "/rpc", b'{"jsonrpc":"2.0","method":"status"}', headers)
    assert status == 204 and got == b""


def test_watch_is_no_page(shared):
    status, answer = rpc(shared, "watch")
    assert status == 200 and answer["error"]["code"] == CODES["unavailable"]


def test_a_body_that_is_too_large(shared):
    headers = {"Content-Type": "application/json"}
    try:
        status = ask(shared, "POST", "/rpc", b" " * (17 << 20), headers)[0]
    except (BrokenPipeError, ConnectionResetError):
        status = 413
    assert status == 413
    assert ask(shared, "GET", "/healthz")[0] == 200


def test_openrpc_page(shared):
    status, headers, got = ask(shared, "GET", "/openrpc.json")
    assert status == 200 and headers["Content-Type"] == "application/json"
    assert json.loads(got) == shared.call("rpc.discover")


def test_metrics(shared):
    shared.call("vpc.list")
    status, headers, got = ask(shared, "GET", "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    values = parse_metrics(got.decode())
    assert values['vpc_objects{kind="vpc"}'] == 2
    assert values['vpc_node_up{node="host-a"}'] == 0
    assert values["vpc_revision"] == shared.call("status")["revision"]
    assert values['vpc_rpc_duration_seconds_count{method="vpc.list"}'] >= 1


def parse_metrics(text):
    """The text format of Prometheus, strictly: every sample has its type before it, no sample comes twice."""
    types, values = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ", 3)
            assert name not in types and kind in ("counter", "gauge", "histogram")
            types[name] = kind
        elif not line.startswith("# HELP "):
            match = re.fullmatch(r'([a-z_]+)(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? ([-+0-9.e]+)', line)
            assert match, line
            base = re.sub(r"_(bucket|sum|count)$", "", match[1])
            assert match[1] in types or types.get(base) == "histogram", line
            key = match[1] + (match[2] or "")
            assert key not in values, key
            values[key] = float(match[4])
    return values


def test_without_a_token_file_nobody_writes(make_controller):
    controller = make_controller()
    assert rpc(controller, "status")[0] == 200
    assert rpc(controller, "tenant.create", {"name": "x"})[1]["error"]["code"] == CODES["denied"]
    assert rpc(controller, "tenant.create", {"name": "x"}, token="anything")[0] == 401
