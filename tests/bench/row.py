"""One line of the table of measurements."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table: `ratio` and `reference` are None where the bar is a count or a plain figure."""

    id: str
    what: str
    ours: float
    reference: float | None
    unit: str
    ratio: float | None
    bar: str
    ok: bool
