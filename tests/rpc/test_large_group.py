# SPDX-License-Identifier: Apache-2.0
"""A group of 10,000 rules: what a node is told of a change is as small as the change."""

import random

import pytest
from lib.wait import wait_for

BASE = [
    {"kind": "vpc", "name": "v", "cidrs": ["10.0.0.0/16"]},
    {"kind": "subnet", "name": "s", "vpc": "v", "cidr": "10.0.1.0/24"},
]
PORT = {"kind": "port", "name": "p", "subnet": "s", "node": "host-a", "security_groups": ["g"]}
COUNT = 10000


def rule(n):
    return {"direction": "ingress", "protocol": "tcp", "ports": str(n)}


def text(n):
    return f"i a 1000 6 {n} {n} -1 -1 any"


def sent(peer):
    """What was put and deleted since it was asked last."""
    with peer.lock:
        puts = [item for method, params in peer.calls if method == "state.put" for item in params["items"]]
        deleted = [key for method, params in peer.calls if method == "state.del" for key in params["keys"]]
        peer.calls.clear()
    return puts, deleted


@pytest.fixture
def large(cluster):
    controller, (peer,) = cluster("host-a")
    group = {"kind": "security_group", "name": "g", "rules": [rule(n) for n in range(1, COUNT + 1)]}
    controller.apply(*BASE, group, PORT, wait=True)
    assert peer.rules("g") == [text(n) for n in range(1, COUNT + 1)]
    sent(peer)
    return controller, peer


def test_one_rule_more_or_less(large):
    controller, peer = large
    expected = list(range(1, COUNT + 1))

    def check(limit):
        puts, deleted = sent(peer)
        assert len(puts) + len(deleted) <= limit, (puts, deleted)
        assert peer.rules("g") == [text(n) for n in expected]

    for n in (20000, 20001):
        controller.call("security_group.add_rules", name="g", rules=[rule(n)], wait=True)
        expected.append(n)
        check(2)
    for n in (1, 5000, 20001):
        controller.call("security_group.remove_rules", name="g", rules=[rule(n)], wait=True)
        expected.remove(n)
        check(2)
    # One that is put in the middle of a list that is otherwise the same.
    expected.insert(3333, 30000)
    controller.call("security_group.update", name="g", rules=[rule(n) for n in expected], wait=True)
    check(2)
    # A whole part goes.
    del expected[4000:4300]
    controller.call("security_group.update", name="g", rules=[rule(n) for n in expected], wait=True)
    check(8)


def test_after_a_restart_and_another_list(large):
    controller, peer = large
    controller.call("security_group.add_rules", name="g", rules=[rule(n) for n in range(20000, 20300)], wait=True)
    controller.call("security_group.remove_rules", name="g", rules=[rule(n) for n in range(500, 900)], wait=True)
    expected = [text(n) for n in [*range(1, 500), *range(900, COUNT + 1), *range(20000, 20300)]]
    assert peer.rules("g") == expected
    controller.kill()
    controller.start()
    controller.call("security_group.update", name="g", description="again", wait=True)
    wait_for(lambda: peer.rules("g") == expected)
    numbers = [*range(COUNT, 0, -1)]
    controller.call("security_group.update", name="g", rules=[rule(n) for n in numbers], wait=True)
    assert peer.rules("g") == [text(n) for n in numbers]
    controller.call("security_group.update", name="g", rules=[], wait=True)
    assert peer.rules("g") == [] and "group\x1fg" in peer.items
    controller.call("port.delete", names=["p"], wait=True)
    assert not peer.items


def test_any_changes(cluster):
    """Whatever happens to a list, its parts are that list."""
    controller, (peer,) = cluster("host-a")
    controller.apply(*BASE, {"kind": "security_group", "name": "g"}, PORT, wait=True)
    generator = random.Random(1)
    numbers = []
    for _ in range(60):
        at, count = generator.randint(0, len(numbers)), generator.choice((1, 1, 3, 130, 400))
        if generator.random() < 0.5:
            free = [n for n in range(1, 4000) if n not in set(numbers)]
            numbers[at:at] = generator.sample(free, min(count, len(free)))
        else:
            del numbers[at : at + count]
        controller.call("security_group.update", name="g", rules=[rule(n) for n in numbers], wait=True)
        assert peer.rules("g") == [text(n) for n in numbers]


def test_a_refused_part_leaves_out_the_whole_list(cluster):
    controller, (peer,) = cluster("host-a")
    peer.refuse = lambda item: "no room" if item[0] == "rules" and text(700) in item[3] else None
    group = {"kind": "security_group", "name": "g", "rules": [rule(n) for n in range(1, 1001)]}
    error = controller.refused("unavailable", "apply", resources=[*BASE, group, PORT], wait=True)
    assert "`g`: no room" in error.message
    wait_for(lambda: "subnet\x1fs" in peer.items)
    assert not peer.of("rules") and not peer.of("group") and not peer.of("port")
    peer.refuse = lambda item: None
    wait_for(lambda: peer.rules("g") == [text(n) for n in range(1, 1001)] and "p" in peer.of("port"), 15)
