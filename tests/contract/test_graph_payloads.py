"""Graph's messages, one file for each event, and what they become; every file of the folder is read."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from connectors.mail.graph.normalize import normalize

PAYLOADS = sorted((Path(__file__).parent / "graph").glob("*.json"))


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
def test_a_payload_becomes_the_message_expected(path: Path) -> None:
    payload: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    expected = payload["expected"]
    message = normalize(payload["message"], folder=payload["folder"])
    headers = {name.lower(): value for name, value in message.headers}
    assert {name: headers[name] for name in expected.get("header", {})} == expected.pop("header", {})
    method = expected.pop("method", None)
    assert method is None or any(f"method={method}".lower() in part.lower() for part in message.part_types)
    read = json.loads(json.dumps({**asdict(message), "at": message.at.isoformat()}))
    assert {name: read[name] for name in expected} == expected


def test_there_are_payloads() -> None:
    assert len(PAYLOADS) >= 6
