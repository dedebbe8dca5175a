"""FakeCrm: a CRM in memory, held to CrmAdapterSuite, with failures on order for tests of everything above the port."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from app.errors import CursorExpired, Gone, ProviderError, Rejected, Unavailable, Unsupported
from app.linking.addresses import normalize
from app.linking.suggest import fold
from app.linking.text import one_line
from app.model import ITEM_KINDS, ConversationNote, Item, ItemKind, ItemRef, ItemState, Person, RecordKind
from app.ports import (
    Clock,
    CrmCapabilities,
    CrmChanges,
    CrmEvent,
    CrmIdentity,
    CrmOrganization,
    LinkWrite,
    Merge,
    PushRequest,
    SearchHit,
    WrittenLink,
)

_FIELDS = {"title": "name", "status": "state", "emails": "addresses"}
_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Record:
    """A record of any kind; people and organizations are named by their ids."""

    kind: RecordKind
    external_id: str
    name: str
    created_at: datetime
    changed: int = 0
    state: ItemState = "open"
    state_before: ItemState = "open"
    organization: str | None = None
    person: str | None = None
    participants: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    merged_into: _Key | None = None


@dataclass(frozen=True, slots=True)
class _Note:
    """A conversation shown on records, the item first."""

    marker: str
    records: tuple[_Key, ...]
    text: str


class FakeCrm:
    """One connection's CRM in memory: ports.CrmAdapter and ports.CrmRecords.

    `calls` counts what was asked of the adapter, refused and failed calls included. fail() and drop_answer() order
    failures; they are met in the order in which they were ordered, one a call.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        connection_id: int = 1,
        company: str = "fake",
        page_size: int = 2,
        capabilities: CrmCapabilities | None = None,
    ) -> None:
        self.capabilities = capabilities or CrmCapabilities(
            kinds=frozenset(ITEM_KINDS), records=True, missing={"webhooks": "The fake CRM sends no webhooks."}
        )
        self.company = company
        self.calls: Counter[str] = Counter()
        self._clock = clock
        self._connection_id = connection_id
        self._page_size = page_size
        self._records: dict[_Key, _Record] = {}
        self._notes: dict[str, _Note] = {}
        self._changes = 0
        self._made = 0
        self._failures: dict[str, deque[tuple[ProviderError, bool]]] = {}

    # --- failures on order ---

    def fail(self, operation: str, error: ProviderError, times: int = 1) -> None:
        """Let the next calls of a method fail before they do anything."""
        self._failures.setdefault(operation, deque()).extend([(error, False)] * times)

    def drop_answer(self, operation: str, times: int = 1) -> None:
        """Let the next calls of a method do their work and then fail as if the answer was lost."""
        lost = Unavailable("The connection was lost before the answer came.", provider="fake", operation=operation)
        self._failures.setdefault(operation, deque()).extend([(lost, True)] * times)

    @contextmanager
    def _answering(self, operation: str) -> Iterator[None]:
        self.calls[operation] += 1
        ordered = self._failures.get(operation)
        error, applies = ordered.popleft() if ordered else (None, True)
        if error is not None and not applies:
            raise error
        yield
        if error is not None:
            raise error

    # --- ports.CrmAdapter ---

    def who_am_i(self) -> CrmIdentity:
        """Return the identity given at the start."""
        with self._answering("who_am_i"):
            return CrmIdentity(company=self.company, user_id="1", user_name="Fake")

    def people_by_address(self, addresses: Sequence[str]) -> list[Person]:
        """Return the persons with one of the addresses."""
        wanted = set(_normal(addresses))
        with self._answering("people_by_address"):
            return [self._person(found) for found in self._standing("person") if wanted.intersection(found.addresses)]

    def items_of_people(self, persons: Sequence[ItemRef]) -> list[Item]:
        """Return the items of these persons in any state."""
        wanted = {ref.external_id for ref in persons if ref.kind == "person"}
        with self._answering("items_of_people"):
            return [
                self._item(found)
                for found in self._records.values()
                if found.kind in ITEM_KINDS and wanted.intersection((found.person, *found.participants))
            ]

    def search(self, query: str, kinds: Sequence[str] = (), limit: int = 20) -> list[SearchHit]:
        """Find items by the beginnings of the words of their titles."""
        words = fold(query).split()
        with self._answering("search"):
            hits = [
                SearchHit(self._ref(found), found.name, found.state, self._name_of_organization(found))
                for kind in kinds or ITEM_KINDS
                for found in self._standing(kind)
                if words and all(f" {word}" in f" {fold(found.name)}" for word in words)
            ]
        return hits[:limit]

    def get(self, ref: ItemRef) -> Item | None:
        """Return the item, or None."""
        with self._answering("get"):
            found = self._records.get((ref.kind, ref.external_id))
            return None if found is None or found.kind not in ITEM_KINDS else self._item(found)

    def create_person(self, name: str, addresses: Sequence[str], organization: ItemRef | None = None) -> Person:
        """Create a person, unless the capability is missing."""
        with self._answering("create_person"):
            self._require("create_person")
            external_id = self._new_id()
            self.put_person(external_id, name, addresses, _id_of(organization))
            return self._person(self._the("person", external_id))

    def create_item(
        self, kind: ItemKind, title: str, person: ItemRef | None, organization: ItemRef | None = None
    ) -> Item:
        """Create an item, unless the capability is missing."""
        with self._answering("create_item"):
            self._require("create_item")
            external_id = self._new_id()
            self.put_item(kind, external_id, title, person=_id_of(person), organization=_id_of(organization))
            return self._item(self._the(kind, external_id))

    def find_link(self, write: LinkWrite) -> WrittenLink | None:
        """Look for the note with this marker on the item."""
        with self._answering("find_link"):
            wanted = (write.note.marker, _key(write.item))
            found = (note_id for note_id, note in self._notes.items() if (note.marker, note.records[0]) == wanted)
            return next(map(WrittenLink, found), None)

    def write_link(self, write: LinkWrite) -> WrittenLink:
        """Add a note: calling it twice adds two, so that a caller who does not look first is found out."""
        with self._answering("write_link"):
            self._refuse_deleted(write.item)
            note_id = self._new_id()
            self._notes[note_id] = _note(write)
            return WrittenLink(note_id)

    def update_link(self, written: WrittenLink, write: LinkWrite) -> WrittenLink:
        """Replace a note."""
        with self._answering("update_link"):
            self._refuse_deleted(write.item)
            if written.external_id not in self._notes:
                raise Gone("The note was deleted.", provider="fake", operation="update_link")
            self._notes[written.external_id] = _note(write)
            return written

    def remove_link(self, written: WrittenLink, item: ItemRef) -> None:
        """Remove a note, if it is there."""
        with self._answering("remove_link"):
            self._notes.pop(written.external_id, None)

    def changes_since(self, cursor: str | None) -> Iterator[CrmChanges]:
        """Yield what changed, page_size records a page."""
        with self._answering("changes_since"):
            if cursor is not None and not cursor.isdecimal():
                raise CursorExpired(provider="fake", operation="changes_since")
        after = int(cursor or 0)
        while page := self._changed_after(after):
            after = page[-1].changed
            yield CrmChanges(
                cursor=str(after),
                persons=tuple(self._person(found) for found in page if found.kind == "person"),
                organizations=tuple(
                    CrmOrganization(self._ref(found), found.name, found.state == "deleted")
                    for found in page
                    if found.kind == "organization"
                ),
                items=tuple(self._item(found) for found in page if found.kind in ITEM_KINDS),
                merges=tuple(
                    Merge(self._ref(found), self._ref(self._the(*found.merged_into)))
                    for found in page
                    if found.merged_into is not None
                ),
            )

    def read_webhook(self, request: PushRequest) -> list[CrmEvent]:
        """Refuse: the capability is missing."""
        with self._answering("read_webhook"):
            raise Unsupported(self.capabilities.missing["webhooks"], provider="fake", operation="read_webhook")

    # --- ports.CrmRecords ---

    def put_organization(self, external_id: str, name: str) -> None:
        """Create the organization or overwrite it."""
        self._put("organization", external_id, name, None)

    def put_person(
        self, external_id: str, name: str, addresses: Sequence[str], organization: str | None = None
    ) -> None:
        """Create the person or overwrite it."""
        self._put("person", external_id, name, None, addresses=_normal(addresses), organization=organization)

    def put_item(
        self,
        kind: ItemKind,
        external_id: str,
        title: str,
        *,
        state: str = "open",
        created_at: datetime | None = None,
        person: str | None = None,
        participants: Sequence[str] = (),
        organization: str | None = None,
    ) -> None:
        """Create the item or overwrite it."""
        self._put(
            kind,
            external_id,
            title,
            created_at,
            state=state,
            person=person,
            participants=tuple(participants),
            organization=organization,
        )

    def change(self, kind: str, external_id: str, changes: Mapping[str, Any]) -> None:
        """Set fields of an existing record."""
        values = {_FIELDS.get(name, name): value for name, value in changes.items()}
        clean: Mapping[str, Callable[[Any], object]] = {"name": _line, "addresses": _normal, "participants": tuple}
        values |= {name: clean[name](values[name]) for name in clean.keys() & values.keys()}
        self._save(replace(self._the(kind, external_id), **values))

    def delete(self, kind: str, external_id: str) -> None:
        """Delete a record."""
        record = self._the(kind, external_id)
        if record.state != "deleted":
            self._save(replace(record, state="deleted", state_before=record.state))

    def restore(self, kind: str, external_id: str) -> None:
        """Bring a deleted record back."""
        record = self._the(kind, external_id)
        if record.state == "deleted":
            self._save(replace(record, state=record.state_before, merged_into=None))

    def convert_lead(self, lead: str, deal: str) -> None:
        """Make a deal from a lead."""
        record = self._the("lead", lead)
        self._save(replace(record, kind="deal", external_id=deal))
        self._save(replace(record, state="converted", merged_into=("deal", deal)))

    def merge_persons(self, gone: str, into: str) -> None:
        """Merge two persons."""
        leaves, stays = self._the("person", gone), self._the("person", into)
        addresses = tuple(dict.fromkeys((*stays.addresses, *leaves.addresses)))
        self._save(replace(leaves, state="deleted", state_before=leaves.state, merged_into=("person", into)))
        self._save(replace(stays, addresses=addresses, organization=stays.organization or leaves.organization))
        for record in list(self._records.values()):
            if gone in (record.person, *record.participants) or record.merged_into == ("person", gone):
                self._save(_moved(record, gone, into))
        for note_id, note in self._notes.items():
            records = tuple(("person", into) if key == ("person", gone) else key for key in note.records)
            self._notes[note_id] = replace(note, records=tuple(dict.fromkeys(records)))

    def notes(self, kind: str, external_id: str) -> list[str]:
        """Return the text of every note on the record, oldest first."""
        return [note.text for note in self._notes.values() if (kind, external_id) in note.records]

    # --- pieces ---

    def _put(self, kind: str, external_id: str, name: str, created_at: datetime | None, **fields: Any) -> None:
        there = self._records.get((kind, external_id))
        at = created_at or (there.created_at if there else self._clock.now())
        self._save(_Record(cast("RecordKind", kind), external_id, _line(name), at, **fields))

    def _save(self, record: _Record) -> None:
        self._changes += 1
        self._records[record.kind, record.external_id] = replace(record, changed=self._changes)

    def _the(self, kind: str, external_id: str) -> _Record:
        if (kind, external_id) not in self._records:
            raise Rejected(f"There is no {kind} {external_id}.", provider="fake")
        return self._records[kind, external_id]

    def _standing(self, kind: str) -> list[_Record]:
        return [found for found in self._records.values() if found.kind == kind and found.state != "deleted"]

    def _changed_after(self, changed: int) -> list[_Record]:
        newer = (found for found in self._records.values() if found.changed > changed)
        return sorted(newer, key=lambda found: found.changed)[: self._page_size]

    def _require(self, capability: str) -> None:
        if not getattr(self.capabilities, capability):
            raise Unsupported(self.capabilities.missing[capability], provider="fake", operation=capability)

    def _refuse_deleted(self, item: ItemRef) -> None:
        found = self._records.get(_key(item))
        if found is None or found.state == "deleted":
            raise Gone("The item was deleted.", provider="fake", operation="write_link")

    def _new_id(self) -> str:
        self._made += 1
        return f"made-{self._made}"

    def _ref(self, record: _Record) -> ItemRef:
        return ItemRef(record.kind, record.external_id, self._connection_id)

    def _ref_of(self, kind: RecordKind, external_id: str | None) -> ItemRef | None:
        return None if external_id is None else ItemRef(kind, external_id, self._connection_id)

    def _name_of_organization(self, record: _Record) -> str:
        found = self._records.get(("organization", record.organization or ""))
        return found.name if found else ""

    def _person(self, record: _Record) -> Person:
        return Person(
            ref=self._ref(record),
            name=record.name,
            addresses=record.addresses,
            organization=self._ref_of("organization", record.organization),
            organization_name=self._name_of_organization(record),
            deleted=record.state == "deleted",
            created_at=record.created_at,
        )

    def _item(self, record: _Record) -> Item:
        return Item(
            ref=self._ref(record),
            title=record.name,
            state=record.state,
            created_at=record.created_at,
            person=self._ref_of("person", record.person),
            participants=tuple(ItemRef("person", other, self._connection_id) for other in record.participants),
            organization=self._ref_of("organization", record.organization),
        )


def _moved(record: _Record, gone: str, into: str) -> _Record:
    person = into if record.person == gone else record.person
    renamed = dict.fromkeys(into if other == gone else other for other in record.participants)
    merged_into = ("person", into) if record.merged_into == ("person", gone) else record.merged_into
    participants = tuple(other for other in renamed if other != person)
    return replace(record, person=person, participants=participants, merged_into=merged_into)


def _note(write: LinkWrite) -> _Note:
    records = (_key(write.item), *map(_key, (*write.persons, *write.organizations)))
    return _Note(write.note.marker, records, _text(write.note))


def _text(note: ConversationNote) -> str:
    lines = [f"Subject: {_line(note.subject or '')}"]
    for message in note.messages:
        lines.append(f"From: {_line(message.from_name)} <{_line(message.from_address)}>")
        lines += [f"Text: {_line(text)}" for text in (message.subject, message.snippet, *message.attachments) if text]
    return "\n".join(lines)


def _key(ref: ItemRef) -> _Key:
    return ref.kind, ref.external_id


def _line(text: str) -> str:
    return one_line(text, 500)


def _id_of(ref: ItemRef | None) -> str | None:
    return None if ref is None else ref.external_id


def _normal(addresses: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(normal for address in addresses if (normal := normalize(address))))
