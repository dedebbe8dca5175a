"""The pages that describe the API, made on the server from the OpenAPI document: no script, nothing of anybody else.

One page says how to call it; each group of routes has a chapter with its examples and the shapes it uses, so that a
page stays small however many routes there are.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from flask import Response, render_template

from app.errors import NotFound
from app.linking.refusals import REFUSALS
from app.linking.wording import DECISIONS
from app.web.api.openapi import REF
from app.web.limits import TEAM_FACTOR
from app.work import AT_ONCE

_PLACES = {"path": "in the path", "query": "query"}  # the one header, the Idempotency-Key, is described once for all
_PROBLEM = "Problem"  # described on the first page, for every chapter
_REASONS = "reasons"


@dataclass(frozen=True, slots=True)
class Type:
    """What a value may be, in words; `ref` names the shape it is or is made of."""

    text: str
    ref: str = ""


@dataclass(frozen=True, slots=True)
class Value:
    """A parameter, or a field of a shape."""

    name: str
    type: Type
    is_required: bool
    about: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One route, with a request that a shell understands and what it is answered."""

    name: str
    method: str
    path: str
    about: str
    parameters: tuple[Value, ...]
    body: str
    answer: str
    problems: tuple[str, ...]
    request: str
    answered: str


@dataclass(frozen=True, slots=True)
class Shape:
    """What goes in or out."""

    name: str
    about: str
    fields: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """What a webhook is told."""

    name: str
    about: str
    body: str


def page(document: Mapping[str, Any], chapter: str = "") -> Response:
    """Render a page of an OpenAPI document: the first one, or a chapter. Raises NotFound for a chapter there is not."""
    groups: dict[str, list[Operation]] = {}
    for tag, operation in operations(document):
        groups.setdefault(tag, []).append(operation)
    frame = {"groups": groups, "chapter": chapter, "base_url": _base_url(document)}
    if not chapter:
        (problem,) = shapes(document, [_PROBLEM])
        limits = {"team_factor": TEAM_FACTOR, "at_once": AT_ONCE}
        return Response(render_template("api_docs_start.html", problem=problem, limits=limits, **frame))
    if chapter == _REASONS:
        return Response(render_template("api_docs_reasons.html", refusals=REFUSALS, decisions=DECISIONS, **frame))
    if chapter not in groups:
        raise NotFound
    events = list(events_of(document)) if chapter == "webhooks" else []
    used = {name for each in groups[chapter] for name in (each.body, each.answer) if name}
    used |= {"WebhookEvent"} if events else set()
    shown = shapes(document, _made_of(document, used) - {_PROBLEM})
    return Response(render_template("api_docs_chapter.html", events=events, shapes=shown, **frame))


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, Operation]]:
    """Yield every route with the chapter it belongs to, in the order of the document."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            answers = operation["responses"]
            yield (
                operation["tags"][0],
                Operation(
                    operation["operationId"],
                    method.upper(),
                    path,
                    operation["summary"],
                    tuple(
                        Value(
                            each["name"],
                            type_of(each["schema"]),
                            each["required"],
                            _about(each),
                            _PLACES[each["in"]],
                        )
                        for each in operation["parameters"]
                        if each["in"] in _PLACES
                    ),
                    _shape_of(operation["requestBody"]) if "requestBody" in operation else "",
                    _shape_of(answers["200"]),
                    tuple(sorted(status for status in answers if status >= "400")),
                    _request(_base_url(document), method.upper(), path, operation),
                    _pretty(answers["200"]["content"]["application/json"]["example"]),
                ),
            )


def events_of(document: Mapping[str, Any]) -> Iterator[Event]:
    """Yield what webhooks are told."""
    for name, methods in document["webhooks"].items():
        told = methods["post"]
        yield Event(name, told["summary"], _pretty(told["requestBody"]["content"]["application/json"]["example"]))


def shapes(document: Mapping[str, Any], names: Iterable[str]) -> list[Shape]:
    """Return the shapes of these names with their fields, by name."""
    schemas = document["components"]["schemas"]
    return [
        Shape(
            name,
            schemas[name].get("description", "").replace("`", ""),
            tuple(
                Value(field, type_of(each), field in schemas[name].get("required", ()), _about(each))
                for field, each in schemas[name].get("properties", {}).items()
            ),
        )
        for name in sorted(names)
    ]


def _made_of(document: Mapping[str, Any], names: Collection[str]) -> set[str]:
    """Return these shapes with all that they are made of."""
    found, left = set(names), list(names)
    while left:
        (shape,) = shapes(document, [left.pop()])
        new = {value.type.ref for value in shape.fields if value.type.ref} - found
        found |= new
        left += new
    return found


def _request(base_url: str, method: str, path: str, operation: Mapping[str, Any]) -> str:
    """Write a route's example as a command."""
    given = {each["name"]: each["example"] for each in operation["parameters"] if "example" in each}
    query = {
        each["name"]: given[each["name"]]
        for each in operation["parameters"]
        if each["in"] == "query" and each["name"] in given
    }
    for each in operation["parameters"]:
        if each["in"] == "path":
            path = path.replace(f"{{{each['name']}}}", quote(given[each["name"]]))
    url = f"{base_url}{path}" + (f"?{urlencode(query)}" if query else "")
    parts = [f'curl "{url}"' if method == "GET" else f'curl -X {method} "{url}"', '-H "Authorization: Bearer $KEY"']
    if method != "GET":
        parts.append('-H "Idempotency-Key: $(uuidgen)"')
    if "requestBody" in operation:
        body = json.dumps(operation["requestBody"]["content"]["application/json"]["example"], ensure_ascii=False)
        parts += ['-H "Content-Type: application/json"', f"-d '{body}'"]
    return " \\\n  ".join(parts)


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _base_url(document: Mapping[str, Any]) -> str:
    url: str = document["servers"][0]["url"]
    return url.rstrip("/")


def _about(value: Mapping[str, Any]) -> str:
    """Return what a value means, with what it is when it is left out."""
    said, default = value.get("description", "").replace("`", ""), value.get("schema", value).get("default")
    return f"{said} Default: {json.dumps(default)}.".strip() if default not in (None, "") else said


def type_of(schema: Mapping[str, Any]) -> Type:
    """Return in words what a JSON schema lets through, as far as a reader wants to know."""
    if "$ref" in schema:
        return Type("", schema["$ref"].removeprefix(REF))
    if "anyOf" in schema:
        (first, *_), is_nullable = _without_null(schema["anyOf"])
        inner = type_of(first)
        return Type(f"{inner.text} or null".strip() if is_nullable else inner.text, inner.ref)
    if "enum" in schema:
        return Type("one of " + ", ".join(map(str, schema["enum"])))
    if schema.get("type") == "array":
        inner = type_of(schema["items"])
        count = _range(schema.get("minItems"), schema.get("maxItems"), "")
        return Type(f"list of {inner.text}{count}".strip(), inner.ref)
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return Type(f"object of {type_of(schema['additionalProperties']).text}")
    kind = schema.get("format") or schema.get("type", "any")
    limits = _range(schema.get("minLength"), schema.get("maxLength"), " characters")
    limits += _range(schema.get("minimum"), schema.get("maximum"), "")
    return Type(f"{kind}{limits}")


def _without_null(choices: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], bool]:
    left = [each for each in choices if each.get("type") != "null"]
    return left, len(left) < len(choices)


def _range(least: int | None, most: int | None, unit: str) -> str:
    if most is not None:
        return f", {least or 0} to {most}{unit}"
    return "" if least is None else f", at least {least}{unit}"


def _shape_of(content: Mapping[str, Any]) -> str:
    return type_of(content["content"]["application/json"]["schema"]).ref
