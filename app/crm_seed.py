"""Fills a CRM from CSV files: `threadlink crm seed FILE.csv…`.

The first line names the columns, in any order: `kind` (person, organization, deal, lead, project), `id`, `name` (or
`title`), and where they apply `emails`, `organization`, `person`, `participants`, `status`, `created_at`. Several
addresses or participants in one cell are parted by `;` or `|`. Cells may be parted by commas, semicolons or tabs, with
or without a byte order mark, in UTF-8 or Windows-1254. An apostrophe in front of `=`, `+`, `-` or `@`, which keeps a
spreadsheet from running the cell, is taken off again (threats.md C18).
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast, get_args

from app.errors import SeedError
from app.linking.addresses import normalize
from app.linking.text import decode
from app.model import ITEM_KINDS, ItemState, RecordKind
from app.ports import CrmRecords

MAX_FILE_BYTES = 50 * 1024 * 1024
MAX_ID_CHARS = 200
STATES: tuple[str, ...] = get_args(ItemState)
# What a row of each kind may fill in, and in which order kinds are written: nothing refers to what comes later.
COLUMNS: Mapping[str, frozenset[str]] = {
    "organization": frozenset({"kind", "id", "name"}),
    "person": frozenset({"kind", "id", "name", "emails", "organization"}),
    **dict.fromkeys(
        ITEM_KINDS,
        frozenset({"kind", "id", "name", "organization", "person", "participants", "status", "created_at"}),
    ),
}
_ALL_COLUMNS = frozenset[str]().union(*COLUMNS.values())
_SEVERAL = re.compile(r"[;|]")
_KEPT_FROM_RUNNING = re.compile(r"'(?=[=+\-@\t\r])")


@dataclass(frozen=True, slots=True)
class SeedRow:
    """One record of a CSV file; `where` is its file and line."""

    where: str
    kind: RecordKind
    id: str
    name: str
    emails: tuple[str, ...] = ()
    organization: str | None = None
    person: str | None = None
    participants: tuple[str, ...] = ()
    status: ItemState = "open"
    created_at: datetime | None = None


def parse(paths: Iterable[Path]) -> tuple[SeedRow, ...]:
    """Read CSV files that belong together, everything before anything is written.

    Raises SeedError with file and line: an unknown column, kind or status, a value that cannot be read or does not
    belong to its kind, a record written twice, a reference to a record that no file has.
    """
    rows = tuple(row for path in paths for row in _parse_file(path))
    first: dict[tuple[str, str], SeedRow] = {}
    for row in rows:
        before = first.setdefault((row.kind, row.id), row)
        if before is not row:
            raise SeedError(f"{row.where}: {row.kind} {row.id} was written before, at {before.where}")
    for row in rows:
        for kind, external_id in _references(row):
            if (kind, external_id) not in first:
                raise SeedError(f"{row.where}: no row has the {kind} {external_id}")
    return rows


def seed(records: CrmRecords, rows: Sequence[SeedRow]) -> Counter[str]:
    """Write the rows into a CRM; records that exist are overwritten. Return how many of each kind were written."""
    order = list(COLUMNS)
    for row in sorted(rows, key=lambda row: order.index(row.kind)):
        if row.kind == "organization":
            records.put_organization(row.id, row.name)
        elif row.kind == "person":
            records.put_person(row.id, row.name, row.emails, row.organization)
        else:
            records.put_item(
                row.kind,
                row.id,
                row.name,
                state=row.status,
                created_at=row.created_at,
                person=row.person,
                participants=row.participants,
                organization=row.organization,
            )
    return Counter(row.kind for row in rows)


def _parse_file(path: Path) -> Iterator[SeedRow]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise SeedError(f"{path}: larger than {MAX_FILE_BYTES // 1024**2} MB")
        text = decode(path.read_bytes()).removeprefix("\ufeff")
    except OSError as error:
        raise SeedError(f"{path}: cannot be read ({error.strerror})") from None
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    try:
        header = [_column(f"{path}:1", name) for name in next(lines, [])]
        _check_header(f"{path}:1", header)
        for cells in lines:
            if any(cell.strip() for cell in cells):
                yield _Cells.of(f"{path}:{lines.line_num}", header, cells).row()
    except csv.Error as error:
        raise SeedError(f"{path}:{lines.line_num}: no CSV ({error})") from None


def _delimiter(text: str) -> str:
    """Return what parts the column names; spreadsheets write what the country of the user has."""
    header = text.partition("\n")[0]
    return max(",;\t", key=header.count)


def _column(where: str, name: str) -> str:
    name = name.strip().lower()
    name = "name" if name == "title" else name
    if name not in _ALL_COLUMNS:
        raise SeedError(f"{where}: no column {name!r}; there are {', '.join(sorted(_ALL_COLUMNS))}")
    return name


def _check_header(where: str, header: Sequence[str]) -> None:
    for name in ("kind", "id", "name"):
        if name not in header:
            raise SeedError(f"{where}: the first line must name the columns, and {name!r} is not among them")
    if len(set(header)) < len(header):
        raise SeedError(f"{where}: a column is named twice")


def _references(row: SeedRow) -> Iterator[tuple[str, str]]:
    if row.organization:
        yield "organization", row.organization
    for person in (*([row.person] if row.person else []), *row.participants):
        yield "person", person


@dataclass(frozen=True, slots=True)
class _Cells:
    """The cells of one line that hold something, by their columns."""

    where: str
    values: Mapping[str, str]

    @classmethod
    def of(cls, where: str, header: Sequence[str], cells: Sequence[str]) -> _Cells:
        if len(cells) > len(header) and any(cell.strip() for cell in cells[len(header) :]):
            raise SeedError(f"{where}: more cells than columns")
        values = {name: _plain(cell) for name, cell in zip(header, cells, strict=False)}
        return cls(where, {name: value for name, value in values.items() if value})

    def row(self) -> SeedRow:
        kind = self._one_of("kind", COLUMNS)
        for name in self.values:
            if name not in COLUMNS[kind]:
                raise SeedError(f"{self.where}: {kind} has no {name!r}")
        return SeedRow(
            where=self.where,
            kind=cast("RecordKind", kind),
            id=self._id("id", self._required("id")),
            name=self._required("name"),
            emails=self._emails(),
            organization=self._id_or_none("organization"),
            person=self._id_or_none("person"),
            participants=tuple(self._id("participants", part) for part in self._several("participants")),
            status=cast("ItemState", self._one_of("status", STATES, "open")),
            created_at=self._time(),
        )

    def _required(self, name: str) -> str:
        if name not in self.values:
            raise SeedError(f"{self.where}: {name!r} is empty")
        return self.values[name]

    def _one_of(self, name: str, known: Iterable[str], default: str | None = None) -> str:
        value = (self._required(name) if default is None else self.values.get(name, default)).lower()
        if value not in known:
            raise SeedError(f"{self.where}: {name} {value!r} is none of {', '.join(known)}")
        return value

    def _several(self, name: str) -> list[str]:
        parts = (_plain(part) for part in _SEVERAL.split(self.values.get(name, "")))
        return list(dict.fromkeys(part for part in parts if part))

    def _emails(self) -> tuple[str, ...]:
        normal = []
        for written in self._several("emails"):
            address = normalize(written)
            if address is None:
                raise SeedError(f"{self.where}: {written!r} is no e-mail address")
            normal.append(address)
        return tuple(dict.fromkeys(normal))

    def _id_or_none(self, name: str) -> str | None:
        return self._id(name, self.values[name]) if name in self.values else None

    def _id(self, name: str, value: str) -> str:
        if len(value) > MAX_ID_CHARS or not value.isprintable():
            raise SeedError(f"{self.where}: {name} must be printable and at most {MAX_ID_CHARS} characters long")
        return value

    def _time(self) -> datetime | None:
        written = self.values.get("created_at")
        if written is None:
            return None
        try:
            time = datetime.fromisoformat(written)
        except ValueError:
            raise SeedError(
                f"{self.where}: created_at {written!r} is no time such as 2026-02-01 or 2026-02-01T10:00:00Z"
            ) from None
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _plain(cell: str) -> str:
    cell = cell.strip()
    return cell[1:] if _KEPT_FROM_RUNNING.match(cell) else cell
