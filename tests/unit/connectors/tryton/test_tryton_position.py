"""How far a Tryton was read, as text."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import CursorExpired
from connectors.crm.tryton.position import KINDS, Position, digest, from_text, to_text

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
IDS = st.frozensets(st.integers(min_value=1, max_value=300))


def test_without_a_cursor_nothing_was_read() -> None:
    assert from_text(None) == Position()


@given(st.tuples(*(IDS for _ in KINDS)), IDS, st.integers(min_value=0, max_value=2))
def test_a_position_is_read_as_it_was_written(
    ids: tuple[frozenset[int], ...], merged: frozenset[int], stage: int
) -> None:
    known = dict(zip(KINDS, ids, strict=True))
    position = Position(NOON, known, {"deal/5": "1:ab"}, NOON, stage, 7, merged)
    assert from_text(to_text(position)) == position


def test_many_records_without_gaps_are_a_short_cursor() -> None:
    known = dict.fromkeys(KINDS, frozenset(range(1, 100_001)))
    assert len(to_text(Position(NOON, known))) < 300


@pytest.mark.parametrize(
    "changes",
    [
        {"since": "yesterday"},
        {"known": {}},
        {"known": dict.fromkeys(KINDS, "1-x")},
        {"known": dict.fromkeys(KINDS, "1-9999999999")},
        {"at": [1]},
        {"recent": []},
        {"merged": None},
    ],
)
def test_a_cursor_that_nobody_wrote_means_reading_everything_again(changes: dict[str, Any]) -> None:
    text = json.dumps(json.loads(to_text(Position(NOON))) | changes)
    with pytest.raises(CursorExpired):
        from_text(text)


@pytest.mark.parametrize("text", ["", "7", "[]", "null", "x", "[" * 100_000])
def test_what_is_no_cursor_means_reading_everything_again(text: str) -> None:
    with pytest.raises(CursorExpired):
        from_text(text)


def test_a_digest_tells_records_apart() -> None:
    assert digest(("a", 1)) == digest(("a", 1)) != digest(("a", 2))
    assert digest("\ud800")
