# SPDX-License-Identifier: Apache-2.0
"""configs/prometheus and configs/grafana: promtool accepts them, and a running controller has what they ask for."""

import json
import os
import re
import shutil
import subprocess

import pytest
from harness import ROOT
from test_http import ask, parse_metrics

RULES = os.path.join(ROOT, "configs", "prometheus", "vpc.rules.yml")
DASHBOARD = os.path.join(ROOT, "configs", "grafana", "vpc.json")
SUFFIX = re.compile(r"_(bucket|sum|count)$")

pytestmark = pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool (Debian: prometheus)")


def promtool(*words, stdin=None):
    done = subprocess.run(["promtool", *words], input=stdin, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def expressions():
    """Of the panels of the dashboard, and its variables' queries."""
    dashboard = json.loads(read(DASHBOARD))
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def has_them(controller, text):
    """Every metric that is named is there."""
    status, _, got = ask(controller, "GET", "/metrics")
    assert status == 200
    there = set(re.findall(r"^# TYPE (\w+)", got.decode(), re.MULTILINE))
    named = {name if name in there else SUFFIX.sub("", name) for name in re.findall(r"\bvpc_\w+", text)}
    assert len(named) > 10
    assert named <= there, f"not in /metrics: {sorted(named - there)}"


def test_rules():
    promtool("check", "rules", RULES)
    promtool("test", "rules", RULES.replace(".yml", ".test.yml"))


def test_dashboard_is_promql(tmp_path):
    rules = [
        f"  - record: panel:{number}\n    expr: {json.dumps(expr.replace('$__rate_interval', '5m').replace('$node', '.*'))}\n"
        for number, expr in enumerate(expressions())
    ]
    path = tmp_path / "panels.yml"
    path.write_text("groups:\n- name: panels\n  rules:\n" + "".join(rules), encoding="utf-8")
    promtool("check", "rules", str(path))


def test_dashboard_is_whole():
    """What Grafana would not say before it is opened: panels do not overlap, each has a title, what it means, and where it asks."""
    dashboard = json.loads(read(DASHBOARD))
    cells = set()
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in dashboard["panels"]:
        assert panel["title"] and panel["description"] and panel["datasource"]["uid"] == "${source}"
        at = panel["gridPos"]
        mine = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not mine & cells and at["x"] + at["w"] <= 24, panel["title"]
        cells |= mine


def test_every_metric_exists(shared):
    has_them(shared, read(RULES))
    has_them(shared, "\n".join(expressions()))


def test_metrics_are_prometheus(shared):
    _, _, got = ask(shared, "GET", "/metrics")
    assert parse_metrics(got.decode())
    promtool("check", "metrics", stdin=got.decode())
