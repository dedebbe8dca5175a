"""Tables that people open in a spreadsheet: streamed, and no cell is one that it would run (threats.md C18)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from flask import Response

# owasp.org/www-community/attacks/CSV_Injection: the wide ones are read like the others where people write Japanese.
_RUNS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def csv_file(name: str, rows: Iterable[Sequence[str]]) -> Response:
    """Answer with rows as they come, as a file to save; the mark in front lets a spreadsheet see that it is UTF-8."""
    answer = Response(_lines(rows), mimetype="text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def cell(text: str) -> str:
    """Return a text as a cell that is read, not run."""
    return f"'{text}" if text.startswith(_RUNS) else text


def _lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "\ufeff"
    for row in rows:
        line = io.StringIO()
        csv.writer(line).writerow([cell(text) for text in row])
        yield line.getvalue()
