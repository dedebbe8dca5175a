"""The page that describes the API, made on the server from the OpenAPI document: no script, nothing of anybody else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, render_template

_REF = "#/components/schemas/"
_PLACES = {"path": "in the path", "query": "query", "header": "header"}


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
    """One route."""

    name: str
    method: str
    path: str
    about: str
    parameters: tuple[Value, ...]
    body: str
    answer: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """What goes in or out."""

    name: str
    about: str
    fields: tuple[Value, ...]


def page(document: Mapping[str, Any]) -> Response:
    """Render the page of an OpenAPI document."""
    groups: dict[str, list[Operation]] = {}
    for tag, operation in operations(document):
        groups.setdefault(tag, []).append(operation)
    return Response(
        render_template("api_docs.html", about=document["info"]["description"], groups=groups, shapes=shapes(document))
    )


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, Operation]]:
    """Yield every route with what it belongs to, in the order of the document."""
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
                            each.get("description", ""),
                            _PLACES[each["in"]],
                        )
                        for each in operation.get("parameters", [])
                    ),
                    _shape_of(operation["requestBody"]) if "requestBody" in operation else "",
                    _shape_of(answers["200"]),
                    tuple(sorted(status for status in answers if status >= "400")),
                ),
            )


def shapes(document: Mapping[str, Any]) -> list[Shape]:
    """Return every shape with its fields, by name."""
    return [
        Shape(
            name,
            schema.get("description", ""),
            tuple(
                Value(field, type_of(each), field in schema.get("required", ()), each.get("description", ""))
                for field, each in schema.get("properties", {}).items()
            ),
        )
        for name, schema in sorted(document["components"]["schemas"].items())
    ]


def type_of(schema: Mapping[str, Any]) -> Type:
    """Return in words what a JSON schema lets through, as far as a reader wants to know."""
    if "$ref" in schema:
        return Type("", schema["$ref"].removeprefix(_REF))
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
