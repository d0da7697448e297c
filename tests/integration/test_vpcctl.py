# SPDX-License-Identifier: Apache-2.0
"""vpcctl on a cloud that forwards: explain, sessions, drops, status and what describe makes of them.

    host-a: web 10.0.1.x   ---vxlan---   host-b: db 10.0.2.x      db: tcp/5432 and ping from anyone
"""

import json
import re

import pytest
from lib import wait_for

RULES = [{"direction": "ingress", "protocol": "tcp", "ports": "5432"}, {"direction": "ingress", "protocol": "icmp"}]


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud(hosts=2)
    cloud.network("prod", {"front": {"cidr": "10.0.1.0/24"}, "back": {"cidr": "10.0.2.0/24"}})
    cloud.create("security_group", name="db", rules=RULES)
    cloud.machine("web", "front", "a", security_groups=["prod-open"])
    cloud.machine("db", "back", "b", security_groups=["db"]).serve_http(5432)
    return cloud


def lines(cloud, *words):
    return cloud.vpcctl(*words).stdout.splitlines()


def rows(text):
    """A table as a list of {head: cell}."""
    head, *body = [re.split(r" {2,}", line.strip()) for line in text if line]
    return [dict(zip(head, cells)) for cells in body]


def test_explain(cloud):
    db = cloud.machines["db"]
    said = lines(cloud, "explain", "--from", "web", "--to", db.ip4, "--protocol", "tcp", "--port", "5432")
    end = said.index("")
    steps = rows(said[:end])
    rule = next(step for step in steps if step["OBJECT"].startswith("security_group db"))
    assert re.fullmatch(r"security_group db rule 0 rev \d+", rule["OBJECT"]) and rule["NODE"] == "host-b"
    assert said[end + 1].startswith("verdict forward to ") and "db" in said[end + 1]
    assert re.match(rf"before  tcp {cloud.machines['web'].ip4}:\d+ > {db.ip4}:5432 ttl 64", said[end + 2])
    assert "ttl 63" in said[end + 3] and said[end + 3].startswith("after ")

    said = lines(cloud, "explain", "--from=web", f"--to={db.ip4}", "--protocol=tcp", "--port=80")
    assert "verdict drop, policy_ingress" in said and not any(line.startswith("after") for line in said)
    answer = json.loads(cloud.vpcctl("explain", "--from", "web", "--to", db.ip4, "--port", "80", "-o", "json").stdout)
    asked = {"from": "web", "to": db.ip4, "protocol": "tcp", "port": 80}
    assert answer == cloud.call("explain", **asked)


def test_sessions_drops_and_describe(cloud):
    web, db = cloud.machines["web"], cloud.machines["db"]
    assert web.curl(db, 5432)
    assert web.curl(db, 80, timeout_s=0.5) is None
    sessions = rows(lines(cloud, "session", "list", "--port", "db", "--protocol", "tcp"))
    assert any(s["SERVER"] == f"{db.ip4}:5432" and s["NODE"] == "host-b" for s in sessions)
    assert "TRANSLATED-CLIENT" not in sessions[0]
    assert "TRANSLATED-CLIENT" in rows(lines(cloud, "session", "list", "-o", "wide"))[0]
    drops = wait_for(lambda: rows(lines(cloud, "drops", "--port", "db", "--reason", "policy_ingress")), 5, "the drop")
    assert drops[0]["NODE"] == "host-b" and int(drops[0]["PACKETS"]) >= 1

    text = cloud.vpcctl("describe", "port", "db").stdout
    for part in ("state: active", "\nsession (", "\ndrops (", f"{db.ip4}:5432", "policy_ingress"):
        assert part in text
    assert rows(lines(cloud, "port", "list"))[0]["STATE"] == "active"

    assert re.fullmatch(r"flushed: [1-9]\d*", cloud.vpcctl("session", "flush", "--port", "db").stdout.strip())
    assert cloud.vpcctl("session", "list", "--port", "db").stderr == "no sessions\n"


def test_status(cloud):
    status = rows(lines(cloud, "status")[2:])
    assert [row["NODE"] for row in status] == ["host-a", "host-b"]
    assert all(row["STATE"] == "connected" for row in status)
    assert all(row["SESSIONS"].endswith("/1048576") for row in status)


def test_a_change_with_wait_is_obeyed_when_it_returns(cloud):
    web, db = cloud.machines["web"], cloud.machines["db"]
    deny = "direction=ingress,action=deny,priority=1,protocol=icmp"
    assert web.ping(db)
    cloud.vpcctl("security-group", "add-rules", "db", "--rules", deny, "--wait")
    assert not web.ping(db)
    cloud.vpcctl("security-group", "remove-rules", "db", "--rules", deny, "--wait")
    assert web.ping(db)
