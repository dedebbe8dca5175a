"""Holds answers of the Gmail add-on to what Google publishes about cards, and to limits that nobody checks for us.

Two validators, for each misses what the other finds: the protocol buffers of google-apps-card know which widgets
exclude each other and reject what is newer than Gmail; the discovery document of the Chat API, which shows the same
cards, rejects keys in another case. What stands around a card is published by neither; the schema of that is here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema
from google.apps.card_v1.types import Card
from google.protobuf.json_format import ParseDict

MOST_WIDGETS = 30  # Google takes 100; nobody reads them
MOST_BUTTONS = 4
LONGEST_TEXT = 700
LONGEST_PARAMETER = 1_000
MARKUP = ("<b>", "</b>")

_PREFIX = "GoogleAppsCardV1"
_NAVIGATION = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
    "properties": {
        "pushCard": {"type": "object"},
        "updateCard": {"type": "object"},
        "pop": {"const": True},
        "popToRoot": {"const": True},
    },
}
_ACTION = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "navigations": {"type": "array", "minItems": 1, "items": _NAVIGATION},
        "notification": {
            "type": "object",
            "additionalProperties": False,
            "required": ["text"],
            "properties": {"text": {"type": "string", "minLength": 1, "maxLength": 400}},
        },
    },
}
# A trigger shows a card; a click acts; Google asks for permissions.
ANSWER = {
    "oneOf": [
        {
            "type": "object",
            "required": ["action"],
            "additionalProperties": False,
            "properties": {"action": {**_ACTION, "required": ["navigations"]}},
        },
        {
            "type": "object",
            "required": ["renderActions"],
            "additionalProperties": False,
            "properties": {
                "renderActions": {
                    "type": "object",
                    "required": ["action"],
                    "additionalProperties": False,
                    "properties": {"action": {**_ACTION, "minProperties": 1}},
                },
                "stateChanged": {"type": "boolean"},
            },
        },
        {
            "type": "object",
            "required": ["requesting_google_scopes"],
            "additionalProperties": False,
            "properties": {
                "requesting_google_scopes": {
                    "type": "object",
                    "required": ["scopes"],
                    "additionalProperties": False,
                    "properties": {"scopes": {"type": "array", "minItems": 1, "items": {"type": "string"}}},
                }
            },
        },
    ]
}


def check_answer(answer: Mapping[str, Any], base_url: str) -> list[dict[str, Any]]:
    """Return the cards of an answer, each held to everything here. Raises when one does not fit."""
    jsonschema.validate(answer, ANSWER)
    found = list(cards_of(answer))
    for card in found:
        check_card(card, base_url)
    return found


def cards_of(answer: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the cards that an answer shows, in their order."""
    action = answer.get("action") or answer.get("renderActions", {}).get("action", {})
    for navigation in action.get("navigations", ()):
        yield from (navigation[verb] for verb in ("pushCard", "updateCard") if verb in navigation)


def check_card(card: Mapping[str, Any], base_url: str) -> None:
    """Hold a card to both validators and to our limits."""
    ParseDict(card, Card.pb(Card()))
    _validator().validate(card)
    widgets = [widget for section in card["sections"] for widget in section["widgets"]]
    assert card["sections"], "an empty card"
    assert 0 < len(widgets) <= MOST_WIDGETS
    for path, value in _leaves(card):
        key = path[-1]
        if key in ("imageUrl", "iconUrl"):
            assert value.startswith(f"{base_url}/icons/"), (path, value)
        elif key in ("url", "function"):
            assert value.startswith(f"{base_url}/"), (path, value)
        elif key == "value" and "parameters" in path:
            assert len(value) <= LONGEST_PARAMETER, path
        elif isinstance(value, str):
            assert len(value) <= LONGEST_TEXT, path
            if key in ("text", "topLabel", "bottomLabel", "header") and {"textParagraph", "decoratedText"} & {*path}:
                plain = value.replace(MARKUP[0], "").replace(MARKUP[1], "")
                assert "<" not in plain, (path, value)
    for widget in widgets:
        assert len(widget) == 1
        assert len(widget.get("buttonList", {}).get("buttons", ())) <= MOST_BUTTONS
        assert len(widget.get("selectionInput", {}).get("items", ())) <= 100


def _leaves(value: object, path: tuple[object, ...] = ("card",)) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _leaves(each, (*path, key))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _leaves(each, (*path, number))
    else:
        yield path, value


@cache
def _validator() -> jsonschema.Draft202012Validator:
    document = files("googleapiclient.discovery_cache.documents").joinpath("chat.v1.json")
    schemas = json.loads(document.read_text("utf-8"))["schemas"]
    definitions = {name: _schema(each) for name, each in schemas.items() if name.startswith(_PREFIX)}
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{_PREFIX}Card", "$defs": definitions})


def _schema(described: Mapping[str, Any]) -> dict[str, Any]:
    """Turn one description of a discovery document into JSON Schema that takes no key it does not name."""
    if "$ref" in described:
        return {"$ref": f"#/$defs/{described['$ref']}"} if described["$ref"].startswith(_PREFIX) else {}
    schema: dict[str, Any] = {"type": described["type"]}
    if "enum" in described:
        schema["enum"] = described["enum"]
    if described["type"] == "array":
        schema["items"] = _schema(described["items"])
    if described["type"] == "object":
        schema["properties"] = {key: _schema(each) for key, each in described.get("properties", {}).items()}
        schema["additionalProperties"] = False
    return schema
