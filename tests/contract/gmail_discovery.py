"""The discovery document Google's client library carries, as JSON Schema that allows nothing extra."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator

DISCOVERY = json.loads(files("googleapiclient").joinpath("discovery_cache/documents/gmail.v1.json").read_text())
# The simulator's operation and the document's method.
METHODS = {
    "profile": "getProfile",
    "watch": "watch",
    "stop": "stop",
    "history": "history.list",
    "list": "messages.list",
    "get": "messages.get",
    "attachment": "messages.attachments.get",
    "thread": "threads.get",
    "labels": "labels.list",
    "send_as": "settings.sendAs.list",
}
# Google writes 64-bit numbers as text.
FORMATS = {"uint64": r"^[0-9]{1,20}$", "int64": r"^-?[0-9]{1,19}$", "byte": r"^[A-Za-z0-9_-]*={0,2}$"}


def method(operation: str) -> Mapping[str, Any]:
    resource = DISCOVERY["resources"]["users"]
    *path, name = METHODS[operation].split(".")
    for step in path:
        resource = resource["resources"][step]
    found: Mapping[str, Any] = resource["methods"][name]
    return found


def as_json_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a discovery schema as JSON Schema that allows no further properties."""
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{schema['$ref']}"}
    shown: dict[str, Any] = {"type": schema["type"]}
    if "properties" in schema:
        shown["properties"] = {name: as_json_schema(value) for name, value in schema["properties"].items()}
        shown["additionalProperties"] = False
    if "items" in schema:
        shown["items"] = as_json_schema(schema["items"])
    if schema.get("format") in FORMATS:
        shown["pattern"] = FORMATS[schema["format"]]
    if "enum" in schema:
        shown["enum"] = schema["enum"]
    return shown


SCHEMAS = {name: as_json_schema(schema) for name, schema in DISCOVERY["schemas"].items()}


@cache
def _validator(name: str) -> Draft202012Validator:
    schema = {"$ref": f"#/$defs/{name}", "$defs": SCHEMAS}
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def check(operation: str, answer: object) -> None:
    """Validate an answer of an operation."""
    _validator(method(operation)["response"]["$ref"]).validate(answer)
