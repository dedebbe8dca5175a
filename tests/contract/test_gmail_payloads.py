"""Gmail's messages, one file for each event, and what they become; every file of the folder is read."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from connectors.mail.gmail.normalize import filter_rule, normalize
from tests.contract.gmail_discovery import SCHEMAS

PAYLOADS = sorted((Path(__file__).parent / "gmail").glob("*.json"))


@pytest.fixture(params=PAYLOADS, ids=lambda path: path.stem)
def payload(request: pytest.FixtureRequest) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(request.param.read_text(encoding="utf-8"))
    return read


def test_a_payload_becomes_the_message_expected(payload: dict[str, Any]) -> None:
    expected = dict(payload["expected"])
    assert filter_rule(payload["message"].get("labelIds")) == expected.pop("rule", None)
    message = normalize(payload["message"])
    headers = {name.lower(): value for name, value in message.headers}
    assert {name: headers[name] for name in expected.get("header", {})} == expected.pop("header", {})
    read = json.loads(json.dumps({**asdict(message), "at": message.at.isoformat()}))
    assert {name: read[name] for name in expected} == expected


def test_a_payload_is_one_that_gmail_could_send(payload: dict[str, Any]) -> None:
    jsonschema.validate(payload["message"], {"$ref": "#/$defs/Message", "$defs": SCHEMAS})


def test_there_are_payloads() -> None:
    assert len(PAYLOADS) >= 10
