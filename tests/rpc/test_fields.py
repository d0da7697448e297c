# SPDX-License-Identifier: Apache-2.0
"""Every field of every method, with what its schema forbids: refused as invalid, with a pointer to it.

The cases are made from rpc.discover, so a new field is covered when it is described.
"""

import json
import os

import pytest
from harness import PASS_ALL, build_dir

with open(os.path.join(build_dir(), "lib", "openrpc.json"), encoding="utf-8") as file:
    DOCUMENT = json.load(file)

# A good call of each method, for its required params.
GOOD = {
    "tenant": {"name": "new"},
    "node": {"name": "new", "vtep": "192.0.2.99"},
    "vpc": {"name": "new", "cidrs": ["10.9.0.0/16"]},
    "prefix_list": {"name": "new"},
    "security_group": {"name": "new"},
    "subnet": {"name": "new", "vpc": "prod", "cidr": "10.0.9.0/24"},
    "port": {"name": "new", "subnet": "front", "node": "host-a"},
    "peering": {"name": "new", "vpcs": ["prod", "shared"]},
    "route": {"name": "new", "vpc": "prod", "destination": "172.16.0.0/12", "next_hop": {"kind": "blackhole"}},
    "eip_pool": {"name": "new", "cidr": "203.0.113.0/28"},
    "eip": {"name": "new", "pool": "public"},
    "nat_gateway": {"name": "new", "vpc": "prod", "eips": ["spare"]},
    "load_balancer": {"name": "new", "vpc": "prod", "address": "10.0.1.200"},
    "flow_log": {"name": "new", "scope": {"vpc": "prod"}, "collector": "udp://192.0.2.10:4739"},
    "mirror": {"name": "new", "sources": [{"port": "web1"}], "target": {"type": "erspan", "address": "192.0.2.200", "session_id": 7, "version": 2}},
    "hook": {"name": "new", "scope": [{"port": "web1"}], "role": "filter", "program": PASS_ALL},
    "indicator_list": {"name": "new"},
    "inspection": {"name": "new", "scope": {"all": True}, "detectors": [{"type": "beacon"}]},
}
EXISTING = {
    "tenant": "acme",
    "node": "host-a",
    "vpc": "prod",
    "prefix_list": "offices",
    "security_group": "web",
    "subnet": "front",
    "port": "web1",
    "peering": "prod-shared",
    "route": "office",
    "eip_pool": "public",
    "eip": "spare",
    "nat_gateway": "out",
    "load_balancer": "shop",
    "flow_log": "audit",
    "mirror": "tap",
    "hook": "gate",
    "indicator_list": "botnets",
    "inspection": "east-west",
}
GENERAL = {
    "apply": {"resources": []},
    "explain": {"from": "web1", "to": "10.0.1.3"},
    "eip.bind": {"name": "spare", "port": "web1"},
    "port.attach": {"name": "web1", "attachment": {"type": "none"}},
    "security_group.add_rules": {"name": "web", "rules": [{"direction": "egress"}]},
    "security_group.remove_rules": {"name": "web", "rules": [{"direction": "egress"}]},
}


def resolve(schema):
    if "$ref" in schema:
        node = DOCUMENT
        for part in schema["$ref"].split("/")[1:]:
            node = node[part]
        return resolve(node)
    return schema


def branches(schema):
    schema = resolve(schema)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return [leaf for branch in schema[key] for leaf in branches(branch)]
    return [schema]


def types_of(schema):
    return {branch.get("type") for branch in branches(schema)}


def wrong_type(schema):
    """A value of a JSON type that the schema does not take."""
    types = types_of(schema)
    if None in types:
        return []
    # Numbers are taken for some texts (ports, protocols), so they are no safe bet.
    for name, value in (("boolean", True), ("object", {"x": 1}), ("array", [[]])):
        if name not in types:
            return [value]
    return []


def bad_values(schema, depth=0):
    """(pointer below the field, bad value) pairs."""
    for value in wrong_type(schema):
        yield "", value
    leaves = [leaf for leaf in branches(schema) if leaf.get("type") != "null"]
    if len(leaves) == 1:
        yield from bad_of_leaf(leaves[0], depth)


def good_value(schema):
    """Some value that the schema takes, for members that must be there beside the one in question."""
    leaf = branches(schema)[0]
    for values in (schema.get("examples"), leaf.get("examples"), leaf.get("enum")):
        if values:
            return values[0]
    return leaf.get("minimum", 1)


def required_of(schema):
    return {name: good_value(schema["properties"][name]) for name in schema.get("required", [])}


def bad_of_leaf(schema, depth):
    kind = schema.get("type")
    if kind == "integer":
        for bound, step in (("minimum", -1), ("maximum", 1)):
            if bound in schema:
                yield "", schema[bound] + step
        yield "", 1.5
    elif kind == "string":
        if "enum" in schema or "pattern" in schema or "format" in schema:
            yield "", "No such Thing!"
            yield "", ""
        if "maxLength" in schema:
            yield "", "x" * (schema["maxLength"] + 1)
    elif kind == "array":
        yield from bad_of_array(schema, depth)
    elif kind == "object" and "properties" in schema:
        yield "/unheard_of", {**required_of(schema), "unheard_of": 1}
        if depth < 2:
            for name, member in schema["properties"].items():
                for pointer, value in bad_values(member, depth + 1):
                    yield f"/{name}{pointer}", {**required_of(schema), name: value}


def bad_of_array(schema, depth):
    item = schema.get("items", {})
    for pointer, value in bad_values(item, depth + 1):
        yield f"/0{pointer}", [value]
    if schema.get("minItems"):
        yield "", []
    example = (schema.get("examples") or [[]])[0]
    if schema.get("uniqueItems") and example:
        yield "/1", [example[0], example[0]]
    if "maxItems" in schema and schema["maxItems"] <= 64 and example:
        yield "", [example[0]] * (schema["maxItems"] + 1)


def good_params(method):
    kind, _, verb = method["name"].partition(".")
    if method["name"] in GENERAL:
        return GENERAL[method["name"]]
    if verb == "create":
        return GOOD[kind]
    if kind == "alert" and verb != "list":
        return {"name": "a0000000001"}  # the server makes them; fields are looked at before names
    if kind in EXISTING and verb not in ("list", "delete"):
        return {"name": EXISTING[kind]}
    return {}


def cases():
    for method in DOCUMENT["methods"]:
        for param in method["params"]:
            seen = []
            for pointer, value in bad_values(param["schema"]):
                if (pointer, value) in seen:
                    continue
                seen.append((pointer, value))
                text = json.dumps(value)
                label = f"{method['name']}-{param['name']}{pointer}-{text if len(text) < 40 else len(text)}"
                yield pytest.param(method, param["name"], pointer, value, id=label)


@pytest.mark.parametrize("method, name, pointer, value", cases())
def test_bad_field(shared, method, name, pointer, value):
    error = shared.refused("invalid", method["name"], **{**good_params(method), name: value})
    path = error.data["path"]
    wanted = f"/{name}{pointer}"
    # A missing or contradicting sibling may be found first; it is still inside the field.
    assert path == wanted or path.startswith(f"/{name}") and (path + "/").startswith(wanted.rsplit("/", 1)[0]), path
    assert error.data["reason"] and error.message


@pytest.mark.parametrize("method", DOCUMENT["methods"], ids=lambda m: m["name"])
def test_unknown_and_missing_params(shared, method):
    error = shared.refused("invalid", method["name"], **{**good_params(method), "unheard_of": 1})
    assert error.data["path"] == "/unheard_of"
    for param in method["params"]:
        if param.get("required"):
            rest = {key: value for key, value in good_params(method).items() if key != param["name"]}
            assert shared.refused("invalid", method["name"], **rest).data["path"] == f"/{param['name']}"


@pytest.mark.parametrize("kind", EXISTING)
def test_read_only_fields(shared, kind):
    for field, value in (("revision", 1), ("status", {})):
        error = shared.refused("invalid", f"{kind}.create", **{**GOOD[kind], field: value})
        assert error.data["path"] == f"/{field}"
    assert shared.refused("invalid", f"{kind}.update", name=EXISTING[kind], status={}).data["path"] == "/status"


IMMUTABLE = {
    "vpc": {"vni": 4242, "mtu": 1400},
    "subnet": {"vpc": "shared", "cidr": "10.0.2.0/24", "gateway": "10.0.1.9"},
    "port": {"subnet": "other"},
    "peering": {"vpcs": ["shared", "prod"]},
    "route": {"vpc": "shared"},
    "eip_pool": {"cidr": "203.0.113.0/24"},
    "eip": {"address": "198.51.100.30", "pool": "other"},
    "nat_gateway": {"vpc": "shared"},
    "load_balancer": {"vpc": "shared"},
}


@pytest.mark.parametrize("kind, field, value", [(k, f, v) for k, fields in IMMUTABLE.items() for f, v in fields.items()])
def test_immutable_fields(shared, kind, field, value):
    before = shared.call(f"{kind}.get", name=EXISTING[kind])
    assert shared.refused("invalid", f"{kind}.update", name=EXISTING[kind], **{field: value}).data["path"] == f"/{field}"
    follows = {"cidr": "gateway"}.get(field)  # its default is made from the field
    resource = {key: v for key, v in before.items() if key not in ("status", "revision", follows)}
    error = shared.refused("invalid", "apply", resources=[{"kind": kind, **resource, field: value}])
    assert error.data["path"] == f"/resources/0/{field}"
    assert shared.call(f"{kind}.get", name=EXISTING[kind]) == before


@pytest.mark.parametrize("kind", EXISTING)
def test_tenant_is_immutable(shared, kind):
    assert shared.refused("invalid", f"{kind}.update", name=EXISTING[kind], tenant="other").data["path"] == "/tenant"
