"""What changed in a Tryton since a cursor: a pass over parties, opportunities and projects by their dates.

A transaction may become visible later than its date says, so each pass looks back a little further than the last one
began; what was read like this already is left out. What is there no more is found by counting: only when the numbers
differ are all ids compared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count

from app.model import Item, ItemRef, Person, RecordKind
from app.ports import CrmChanges, CrmOrganization, Merge
from connectors.crm.tryton import mapping, position
from connectors.crm.tryton.mapping import OPPORTUNITY, PARTY, WORK, Domain, Row
from connectors.crm.tryton.position import Position
from connectors.crm.tryton.reading import IS_PROJECT, Records

PAGE_SIZE = 200
LOOK_BACK = timedelta(minutes=2)
OPERATION = "changes_since"
_DATES = ("create_date", "write_date")


@dataclass(frozen=True, slots=True)
class _Stage:
    """One model of a pass."""

    model: str
    kinds: tuple[RecordKind, ...]
    all: Domain
    changed: Domain
    moved: Domain | None  # what belongs to a party that another was replaced by


@dataclass
class _Page:
    """A page as it is put together: what was known is left out of it."""

    recent: dict[str, str]
    since: datetime
    known: dict[RecordKind, set[int]]
    persons: list[Person] = field(default_factory=list)
    organizations: list[CrmOrganization] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    merges: list[Merge] = field(default_factory=list)
    merged: set[int] = field(default_factory=set)

    def is_news(self, ref: ItemRef, record: Person | CrmOrganization | Item, at: datetime) -> bool:
        """Remember a record, and say whether it is not what was read of it lately."""
        self.known[ref.kind].add(int(ref.external_id))
        digest = position.digest(record)
        before = self.recent.pop(str(ref), "")
        if at >= self.since:
            self.recent[str(ref)] = f"{int(at.timestamp())}:{digest}"
        return before.partition(":")[2] != digest

    def changes(self, cursor: str) -> CrmChanges:
        """Return the page."""
        return CrmChanges(cursor, tuple(self.persons), tuple(self.organizations), tuple(self.items), tuple(self.merges))

    @property
    def is_empty(self) -> bool:
        """Whether nothing is told."""
        return not (self.persons or self.organizations or self.items or self.merges)


class Changes:
    """Reads a Tryton on from a cursor."""

    def __init__(self, records: Records, relation: str) -> None:
        self._records = records
        self._relation = relation
        self._connection_id = records.connection_id

    def since(self, at: Position, now: datetime) -> Iterator[CrmChanges]:
        """Yield pages of what changed; the last one is empty and ends the pass, begun `now` by Tryton's clock."""
        if at.started is None:
            at = replace(at, started=now)
        started = at.started or now
        for number in count(at.stage):
            stage = self._stage(number, at)
            if stage is None:
                break
            for page, reached in self._pages(stage, at, started - LOOK_BACK):
                at = reached
                if not page.is_empty:
                    yield page.changes(position.to_text(at))
            at = replace(at, stage=number + 1, after=0)
        oldest_s = (started - LOOK_BACK).timestamp()
        recent = {key: value for key, value in at.recent.items() if int(value.partition(":")[0]) >= int(oldest_s)}
        yield CrmChanges(position.to_text(Position(since=started, known=at.known, recent=recent)))

    def _stage(self, number: int, at: Position) -> _Stage | None:
        since = at.since and at.since - LOOK_BACK
        merged = sorted(at.merged)
        if number == 0:
            parts = ("contact_mechanisms", *(("relations",) if self._relation else ()))
            dates = (*_DATES, *(f"{part}.{date}" for part in parts for date in _DATES))
            every = self._records.not_ours
            return _Stage(PARTY, ("person", "organization"), every, mapping.changed_since(since, *dates), None)
        changed = mapping.changed_since(since, *_DATES)
        if number == 1:
            moved = ["OR", ["party", "in", merged], ["contact.party", "in", merged]] if merged else None
            return _Stage(OPPORTUNITY, ("lead", "deal"), [], changed, moved)
        if number == 2:
            return _Stage(WORK, ("project",), [IS_PROJECT], changed, [["party", "in", merged]] if merged else None)
        return None

    def _pages(self, stage: _Stage, at: Position, recent_since: datetime) -> Iterator[tuple[_Page, Position]]:
        known = frozenset[int]().union(*(at.known[kind] for kind in stage.kinds))
        wanted, gone = self._ids(stage, known)
        todo = sorted(number for number in wanted if number > at.after)
        while todo or gone:
            chunk, todo = todo[:PAGE_SIZE], todo[PAGE_SIZE:]
            page = _Page(dict(at.recent), recent_since, {kind: set(ids) for kind, ids in at.known.items()})
            self._add_gone(stage, page, gone)
            self._add(stage, page, chunk)
            gone = frozenset()
            at = replace(
                at,
                after=chunk[-1] if chunk else at.after,
                known={kind: frozenset(ids) for kind, ids in page.known.items()},
                recent=page.recent,
                merged=at.merged | page.merged,
            )
            yield page, at

    def _ids(self, stage: _Stage, known: frozenset[int]) -> tuple[set[int], frozenset[int]]:
        """Return the ids to read, and those of records that are there no more or may no longer be seen."""
        ids = self._records.ids(stage.model, [stage.all, stage.changed], OPERATION)
        if stage.moved is not None:
            ids |= self._records.ids(stage.model, [stage.all, stage.moved], OPERATION)
        if not known or self._records.count(stage.model, stage.all, OPERATION) == len(known | ids):
            return ids, frozenset()
        every = self._records.ids(stage.model, stage.all, OPERATION)
        return ids | (every - known), known - every

    # --- what is told ---

    def _add(self, stage: _Stage, page: _Page, ids: Collection[int]) -> None:
        if not ids:
            return
        if stage.model == PARTY:
            self._add_parties(page, ids)
            return
        rows = self._records.rows(stage.model, [["id", "in", list(ids)]], OPERATION, active_test=True)
        if stage.model == WORK:
            items = [mapping.work(row, self._connection_id) for row in rows]
        else:
            items = self._records.opportunities_of(rows, OPERATION)
        for row, item in zip(rows, items, strict=True):
            self._add_converted(page, item)
            if page.is_news(item.ref, item, mapping.stamp(row)):
                page.items.append(item)

    def _add_converted(self, page: _Page, item: Item) -> None:
        """Tell of a lead that became a deal (or went back): Tryton keeps both in one record."""
        other: RecordKind = "deal" if item.ref.kind == "lead" else "lead"
        number = int(item.ref.external_id)
        if item.ref.kind in ("lead", "deal") and number in page.known[other]:
            page.known[other].discard(number)
            was = mapping.ref(other, number, self._connection_id)
            page.recent.pop(str(was), None)
            page.items.append(replace(item, ref=was, state="converted"))
            page.merges.append(Merge(was, item.ref))

    def _add_parties(self, page: _Page, ids: Collection[int]) -> None:
        rows = {row["id"]: row for row in self._party_rows(ids)}
        survivors = self._survivors(rows)
        for number, row in sorted(rows.items()):
            self._add_party(page, row, survivors.get(number))

    def _party_rows(self, ids: Collection[int]) -> list[Row]:
        return self._records.rows(PARTY, [["id", "in", sorted(ids)]], OPERATION)

    def _survivors(self, rows: dict[int, Row]) -> dict[int, int]:
        """Return which party stands for each replaced one at last; those are read as well."""
        while missing := {row["replaced_by"] for row in rows.values() if row["replaced_by"]} - rows.keys():
            rows |= {row["id"]: row for row in self._party_rows(missing)}
        survivors: dict[int, int] = {}
        for number in rows:
            stands, seen = number, {number}
            while (into := rows[stands]["replaced_by"]) and into not in seen:
                stands = into
                seen.add(into)
            if stands != number:
                survivors[number] = stands
        return survivors

    def _add_party(self, page: _Page, row: Row, survivor: int | None) -> None:
        person = mapping.person(row, self._relation, self._connection_id)
        number, at = row["id"], mapping.stamp(row)
        is_known = {kind: number in page.known[kind] for kind in ("person", "organization")}
        if person.addresses or is_known["person"] or (survivor is not None and not is_known["organization"]):
            if page.is_news(person.ref, person, at):
                page.persons.append(person)
                self._add_merge(page, person.ref, survivor)
                self._add_employer(page, row)
        elif not is_known["organization"]:
            is_known["organization"] = True
        if is_known["organization"]:
            organization = mapping.organization(row, self._connection_id)
            if page.is_news(organization.ref, organization, at):
                page.organizations.append(organization)
                self._add_merge(page, organization.ref, survivor)

    def _add_merge(self, page: _Page, gone: ItemRef, survivor: int | None) -> None:
        if survivor is not None:
            page.merges.append(Merge(gone, mapping.ref(gone.kind, survivor, self._connection_id)))
            page.merged.add(survivor)

    def _add_employer(self, page: _Page, row: Row) -> None:
        """Tell of a person's organization, which may be a party with addresses of its own."""
        found = mapping.employer(row, self._relation)
        if found is not None and found[0] not in page.known["organization"]:
            page.known["organization"].add(found[0])
            organization = mapping.ref("organization", found[0], self._connection_id)
            page.organizations.append(CrmOrganization(organization, found[1]))

    def _add_gone(self, stage: _Stage, page: _Page, gone: frozenset[int]) -> None:
        if not gone:
            return
        last_seen = self._records.last_seen(gone, OPERATION) if stage.model == OPPORTUNITY else {}
        for kind in stage.kinds:
            for number in sorted(gone & page.known[kind]):
                page.known[kind].discard(number)
                ref = mapping.ref(kind, number, self._connection_id)
                page.recent.pop(str(ref), None)
                if ref.kind == "person":
                    page.persons.append(Person(ref, "", (), deleted=True))
                elif ref.kind == "organization":
                    page.organizations.append(CrmOrganization(ref, "", deleted=True))
                else:
                    page.items.append(self._deleted(ref, last_seen.get(number)))

    def _deleted(self, ref: ItemRef, row: Row | None) -> Item:
        if row is None:
            return Item(ref, "", "deleted", mapping.EPOCH)
        item = mapping.opportunity(row, (), self._connection_id)
        return replace(item, ref=ref, state="deleted", updated_at=None)
