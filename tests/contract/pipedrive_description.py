"""Pipedrive's own OpenAPI descriptions, where they lie beside the project: requests strictly, answers leniently.

The descriptions leave out some nulls (pipedrive SDK 32.0 made them nullable), so nulls of an answer are not looked at.
"""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import yaml
from openapi_schema_validator import OAS30Validator

from connectors.simulated_http import Call, Reply

FOLDER = Path(__file__).parents[2].parent / "shared" / "contracts"
FILES = {version: FOLDER / f"pipedrive-{version}.yaml" for version in ("v1", "v2")}
REFUSED = 400  # answers from here on are not described


class Misfits(list[str]):
    """Observes a simulated Pipedrive and keeps what fits the descriptions neither as request nor as answer."""

    def __call__(self, call: Call, reply: Reply) -> None:
        """Look at one call of the API; what was refused is a request that was meant to be wrong."""
        try:
            if reply.status < REFUSED:
                check_request(call)
            check_answer(call, reply)
        except Exception as error:  # noqa: BLE001 - it is raised again in the test
            self.append(f"{call.method} {call.path}: {error}")


def is_here() -> bool:
    """Whether the descriptions lie beside the project."""
    return all(file.exists() for file in FILES.values())


@functools.lru_cache
def operations() -> list[tuple[str, re.Pattern[str], str, dict[str, Any]]]:
    """Return (method, path, path as described, description) of every operation, the plainest paths first."""
    found = []
    for version, file in FILES.items():
        paths = yaml.load(file.read_text("utf-8"), Loader=yaml.CSafeLoader)["paths"]
        for path, methods in paths.items():
            pattern = re.compile(f"(?:/api)?/{version}" + re.sub(r"\{\w+\}", "[^/]+", path))
            found += [(method.upper(), pattern, f"/{version}{path}", told) for method, told in methods.items()]
    return sorted(found, key=lambda entry: entry[2].count("{"))


def described(method: str, path: str) -> dict[str, Any]:
    """Return the description of a call; fails when Pipedrive has no such call."""
    for known, pattern, _, description in operations():
        if known == method and pattern.fullmatch(path):
            return description
    pytest.fail(f"Pipedrive has no {method} {path}")


@functools.lru_cache(maxsize=256)
def _validator(method: str, path: str, where: str) -> OAS30Validator | None:
    description = next(d for m, _, p, d in operations() if (m, p) == (method, path))
    part = description.get("requestBody", {}) if where == "body" else description["responses"].get(where, {})
    content = next(iter(part.get("content", {}).values()), {})
    return OAS30Validator(content["schema"]) if "schema" in content else None


def _path_of(call: Call) -> str:
    return next(p for m, pattern, p, _ in operations() if m == call.method and pattern.fullmatch(call.path))


def check_request(call: Call) -> None:
    """Hold a request to the description: its parameters are known and fit, its body fits and has known fields only."""
    description = described(call.method, call.path)
    parameters = {p["name"]: p for p in description.get("parameters", ()) if p["in"] == "query"}
    assert set(call.query) <= set(parameters), f"{call.path} knows no {set(call.query) - set(parameters)}"
    for name, parameter in parameters.items():
        assert name in call.query or not parameter.get("required"), f"{call.path} needs {name}"
        for value in call.query.get(name, ()):
            schema = parameter["schema"]
            parts = value.split(",") if "enum" in schema else [value]
            if "sorting mode" in parameter.get("description", ""):  # its enum lists the fields alone
                parts = [re.sub(" (ASC|DESC)$", "", part) for part in parts]
            for part in parts:
                OAS30Validator(schema).validate(_typed(part, schema))
    validator = _validator(call.method, _path_of(call), "body")
    if validator is None:
        assert not call.body
        return
    is_form = call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    known = _properties(validator.schema)
    if is_form:
        form = parse_qs(call.body.decode(), keep_blank_values=True)
        body: Any = {name: _typed(values[0], known.get(name, {})) for name, values in form.items()}
    else:
        body = json.loads(call.body)
    assert set(body) <= set(known), f"{call.path} takes no {set(body) - set(known)}"
    validator.validate(body)


def check_answer(call: Call, reply: Reply) -> None:
    """Hold an answer that carried a request out to the description, nulls aside."""
    if reply.status >= REFUSED:
        return
    description = described(call.method, call.path)
    assert str(reply.status) in description["responses"], f"{call.method} {call.path} never answers {reply.status}"
    validator = _validator(call.method, _path_of(call), str(reply.status))
    if validator is not None:
        validator.validate(_without_nulls(json.loads(reply.body)))


def _properties(schema: dict[str, Any]) -> dict[str, Any]:
    found = dict(schema.get("properties", {}))
    for part in (*schema.get("allOf", ()), *schema.get("oneOf", ()), *schema.get("anyOf", ())):
        found |= _properties(part)
    return found


def _typed(text: str, schema: dict[str, Any]) -> Any:
    kinds = {part.get("type") for part in (schema, *schema.get("allOf", ()))}
    if kinds & {"integer", "number"} and re.fullmatch(r"-?\d+", text):
        return int(text)
    return {"true": True, "false": False}.get(text, text) if "boolean" in kinds else text


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(part) for name, part in value.items() if part is not None}
    return [_without_nulls(part) for part in value] if isinstance(value, list) else value
