# SPDX-License-Identifier: Apache-2.0
"""An OpenRPC document as a judge of calls and answers."""

import jsonschema


def _closed(required, /, **properties):
    return {
        "type": "object",
        "required": required,
        "additionalProperties": False,
        "patternProperties": {"^x-": {}},
        "properties": properties,
    }


_TEXT = {"type": "string", "minLength": 1}
_SCHEMA = {"$ref": "http://json-schema.org/draft-07/schema#"}
_REFERENCE = {
    "type": "object",
    "required": ["$ref"],
    "additionalProperties": False,
    "properties": {"$ref": {"type": "string", "pattern": "^#/components/"}},
}
_ERROR = _closed(["code", "message"], code={"type": "integer"}, message=_TEXT, data={})
_DESCRIPTOR = _closed(
    ["name", "schema"],
    name=_TEXT,
    description=_TEXT,
    summary=_TEXT,
    schema=_SCHEMA,
    required={"type": "boolean"},
    deprecated={"type": "boolean"},
)
_METHOD = _closed(
    ["name", "params", "result"],
    name=_TEXT,
    summary=_TEXT,
    description=_TEXT,
    tags={"type": "array", "items": _closed(["name"], name=_TEXT, description=_TEXT)},
    paramStructure={"enum": ["by-position", "by-name", "either"]},
    params={"type": "array", "items": _DESCRIPTOR},
    result=_DESCRIPTOR,
    errors={"type": "array", "items": {"oneOf": [_ERROR, _REFERENCE]}},
    deprecated={"type": "boolean"},
)
# The OpenRPC specification, version 1.2.6: the objects that a document of ours uses.
DOCUMENT_SCHEMA = _closed(
    ["openrpc", "info", "methods"],
    openrpc={"const": "1.2.6"},
    info=_closed(
        ["title", "version"],
        title=_TEXT,
        version=_TEXT,
        description=_TEXT,
        license=_closed([], name=_TEXT, url=_TEXT),
    ),
    methods={"type": "array", "items": _METHOD},
    components=_closed(
        [],
        schemas={"type": "object", "additionalProperties": _SCHEMA},
        errors={"type": "object", "additionalProperties": _ERROR},
    ),
)


class Document:
    """Checks the document itself, and params and results against it; each raises jsonschema.ValidationError."""

    def __init__(self, document):
        self.document = document
        self.methods = {method["name"]: method for method in document["methods"]}
        self._resolver = jsonschema.RefResolver("", document)
        self._validators = {}

    def check_document(self):
        jsonschema.validate(self.document, DOCUMENT_SCHEMA, cls=jsonschema.Draft7Validator)
        assert len(self.methods) == len(self.document["methods"]), "two methods of one name"
        for method in self.methods.values():
            required = [param.get("required", False) for param in method["params"]]
            assert required == sorted(required, reverse=True), f"{method['name']}: required params come first"
            names = [param["name"] for param in method["params"]]
            assert len(set(names)) == len(names), f"{method['name']}: two params of one name"

    def _validate(self, key, schema, value):
        """One validator a schema: making it costs more than using it."""
        validator = self._validators.get(key)
        if validator is None:
            validator = jsonschema.Draft7Validator(
                schema, resolver=self._resolver, format_checker=jsonschema.draft7_format_checker
            )
            self._validators[key] = validator
        validator.validate(value)

    def check_params(self, method, params):
        descriptors = self.methods[method]["params"]
        schema = {
            "type": "object",
            "additionalProperties": False,
            "required": [param["name"] for param in descriptors if param.get("required")],
            "properties": {param["name"]: param["schema"] for param in descriptors},
        }
        self._validate((method, "params"), schema, params)

    def check_result(self, method, result):
        self._validate((method, "result"), self.methods[method]["result"]["schema"], result)

    def check_error(self, error):
        """The `error` member of an answer: one of the document's codes, and `data` as that code wants it."""
        codes = {known["code"]: name for name, known in self.document["components"]["errors"].items()}
        assert error["code"] in codes, error
        assert isinstance(error["message"], str) and error["message"], error
        wanted = {"invalid": {"path", "reason"}, "in_use": {"referrers"}, "exhausted": {"what"}}
        assert wanted.get(codes[error["code"]], set()) <= set(error.get("data") or {}), error

    def check_notification(self, name, params):
        schemas = {known["name"]: known["schema"] for known in self.document["x-notifications"]}
        self._validate((name, "notification"), schemas[name], params)
