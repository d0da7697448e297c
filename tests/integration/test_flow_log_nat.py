# SPDX-License-Identifier: Apache-2.0
"""Flow logs of translated flows: both tuples in the records, and RFC 8158's events, as JSON and by nfcapd.

    host-a: the gateway; near 10.0.1.10    host-b: far 10.0.1.11    outside network `internet` of host-a
"""

import json
import os

import pytest
from lib import wait_for
from test_flow_log import Nfcapd, lines_of


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud(hosts=2, outside={"internet": ["a"]})
    cloud.create("eip_pool", name="pool", cidr="198.51.100.64/26", node="host-a", external="internet")
    cloud.network("red", {"red-1": {"cidr": "10.0.1.0/24"}})
    for name, host, end in (("near", "a", 10), ("far", "b", 11)):
        cloud.machine(name, "red-1", host, addresses=[f"10.0.1.{end}"], security_groups=["red-open"])
    cloud.create("eip", name="out", pool="pool")
    cloud.create("nat_gateway", name="nat", vpc="red", node="host-a", eips=["out"], snat=[{"source": "10.0.0.0/16"}])
    internet = cloud.outside["internet"].internet
    for machine in ("near", "far"):
        wait_for(lambda name=machine: cloud.machines[name].udp_echo(internet, port=4000), 20, "the way out")
    return cloud


def test_events(cloud):
    """Each translated session begins and ends; flows have the outside tuple where the gateway is theirs."""
    path = os.path.join(cloud.dir, "nat.json")
    eip, internet = cloud.get("eip", "out")["address"], cloud.outside["internet"].internet
    collector = Nfcapd(cloud, 9995)
    cloud.call("session.flush")
    cloud.create("flow_log", name="nat", scope={"vpc": "red"}, collector=f"file:{path}", format="json", interval_s=1)
    cloud.create("flow_log", name="audit", scope={"vpc": "red"}, collector="udp://127.0.0.1:9995", interval_s=1)
    for name in ("near", "far"):
        assert cloud.machines[name].udp_echo(internet, port=4001)
    cloud.call("session.flush")

    def events():
        return [i for i in lines_of(path) if i["event"] == "nat"]

    wait_for(lambda: len(events()) >= 4, 20, lambda: lines_of(path))
    for name, ip in (("near", "10.0.1.10"), ("far", "10.0.1.11")):
        mine = [i for i in events() if i["source"] == ip]
        assert [(i["nat_event"], i["node"]) for i in mine] == [(4, "host-a"), (5, "host-a")], mine
        assert {(i["post_nat_source"], i["destination_port"], i["source_name"]) for i in mine} == {(eip, 4001, name)}

    def flows():
        lines = [i for i in lines_of(path) if i["event"] == "flow" and i["direction"] == "initiator"]
        return {(i["source"], i["node"], i.get("post_nat_source")) for i in lines}

    wait_for(lambda: len(flows()) >= 2, 20, lambda: lines_of(path))  # each node writes for itself
    assert flows() == {("10.0.1.10", "host-a", eip), ("10.0.1.11", "host-b", None)}
    answers = next(i for i in lines_of(path) if i["event"] == "flow" and i["direction"] == "responder" and i["node"] == "host-a")
    assert (answers["destination"], answers["post_nat_destination"], answers["source_port"]) == (eip, "10.0.1.10", 4001)
    wait_for(lambda: all(n["records"] + n["lost"] >= 2 for n in cloud.get("flow_log", "audit")["status"]["nodes"]), 20)
    wait_for(lambda: cloud.get("flow_log", "audit")["status"]["records"] >= 6, 20, lambda: cloud.get("flow_log", "audit"))
    records = collector.records()
    assert any(r.get("src4_xlt_ip") == eip for r in records), json.dumps(records)[:3000]
    cloud.delete("flow_log", "nat", "audit")
