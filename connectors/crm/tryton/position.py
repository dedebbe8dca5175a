"""How far a Tryton was read, as the text of a cursor. Pure.

Tryton tells no one what was deleted, so the cursor remembers which records there were; runs of ids keep it short.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from app.errors import CursorExpired
from app.model import RecordKind

KINDS: tuple[RecordKind, ...] = ("person", "organization", "lead", "deal", "project")
_RUNS = re.compile(r"(?:\d{1,10}(?:-\d{1,10})?(?:,\d{1,10}(?:-\d{1,10})?)*)?", re.ASCII)
_HIGHEST_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Position:
    """What was read of a Tryton, and where the pass that is under way stands."""

    since: datetime | None = None  # when the last whole pass began, by Tryton's clock
    known: Mapping[RecordKind, frozenset[int]] = field(default_factory=lambda: dict.fromkeys(KINDS, frozenset()))
    recent: Mapping[str, str] = field(default_factory=dict)  # a record read lately, and the digest of what it was
    started: datetime | None = None  # when the pass under way began
    stage: int = 0  # which model it reads
    after: int = 0  # up to which id
    merged: frozenset[int] = frozenset()  # the parties that others were replaced by in this pass


def digest(record: object) -> str:
    """Return a short digest of a record, to tell whether it was read like this before."""
    return format(zlib.crc32(repr(record).encode("utf-8", "replace")), "08x")


def to_text(position: Position) -> str:
    """Write a position as a cursor."""
    values = {
        "since": position.since and position.since.isoformat(),
        "known": {kind: _runs(ids) for kind, ids in position.known.items()},
        "recent": position.recent,
        "started": position.started and position.started.isoformat(),
        "at": [position.stage, position.after],
        "merged": _runs(position.merged),
    }
    return json.dumps(values, separators=(",", ":"), sort_keys=True)


def from_text(cursor: str | None) -> Position:
    """Read a cursor that to_text() wrote. Raises CursorExpired for any other."""
    if cursor is None:
        return Position()
    try:
        values = json.loads(cursor)
        stage, after = map(int, values["at"])
        return Position(
            since=_moment(values["since"]),
            known={kind: _ids(values["known"][kind]) for kind in KINDS},
            recent={str(key): str(value) for key, value in values["recent"].items()},
            started=_moment(values["started"]),
            stage=stage,
            after=after,
            merged=_ids(values["merged"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise CursorExpired("The position in Tryton cannot be read; everything is read again.") from None


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _runs(ids: Iterable[int]) -> str:
    runs: list[list[int]] = []
    for number in sorted(ids):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _ids(text: str) -> frozenset[int]:
    if not _RUNS.fullmatch(text):
        raise ValueError("no runs of ids")
    ids: set[int] = set()
    for run in filter(None, text.split(",")):
        first, _, last = run.partition("-")
        if int(last or first) > _HIGHEST_ID:
            raise ValueError("no id")
        ids.update(range(int(first), int(last or first) + 1))
    return frozenset(ids)
