"""Rows of the embedded CRM into the model, and what happens to a record as pure functions. No I/O, no clock."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol, cast, get_args

from app.errors import CursorExpired, Rejected
from app.model import ITEM_KINDS, Item, ItemRef, ItemState, Person, RecordKind
from app.ports import CrmChanges, CrmOrganization, Merge, SearchHit
from connectors.crm.words import addresses_of, fold, line

KINDS: tuple[RecordKind, ...] = get_args(RecordKind)
STATES: tuple[ItemState, ...] = get_args(ItemState)
MAX_ID_CHARS = 200

# What change() may set, and the field of Record that holds it.
_FIELDS: Mapping[str, Mapping[str, str]] = {
    "person": {"name": "name", "emails": "addresses", "organization": "organization"},
    "organization": {"name": "name"},
    "item": {
        "title": "name",
        "status": "state",
        "person": "person",
        "participants": "participants",
        "organization": "organization",
    },
}
_CURSOR = re.compile(r"[0-9]{1,18}", re.ASCII)


class Row(Protocol):
    """A row of crm_record with the name of its organization."""

    kind: str
    external_id: str
    name: str
    state: str
    organization_id: str | None
    organization_name: str | None
    person_id: str | None
    participants: Sequence[str]
    addresses: Sequence[str]
    merged_into: str | None
    state_before: str | None
    created_at: datetime
    changed: int


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it is stored: one shape for all five kinds."""

    kind: RecordKind
    external_id: str
    name: str
    created_at: datetime
    state: ItemState = "open"
    organization: str | None = None
    person: str | None = None
    participants: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    merged_into: str | None = None
    state_before: ItemState | None = None

    @property
    def key(self) -> str:
        """Return how others refer to it, as `deal/5`."""
        return f"{self.kind}/{self.external_id}"


def is_id(external_id: str) -> bool:
    """Say whether a record can have this id; what cannot is never looked up."""
    return 0 < len(external_id) <= MAX_ID_CHARS and external_id.isprintable()


# --- what happens to records ---


def new_record(kind: str, external_id: str, name: str, created_at: datetime, **fields: Any) -> Record:
    """Make a record of untrusted values. Raises Rejected."""
    if kind not in KINDS:
        raise Rejected(f"The embedded CRM has no records of the kind {line(kind)!r}.")
    if not is_id(external_id):
        raise Rejected(f"A {kind} needs an id of 1 to {MAX_ID_CHARS} printable characters.")
    record = Record(kind, external_id, line(name), created_at)
    return _with_state(replace(record, **_cleaned(fields)), fields.get("state", "open"))


def overwritten(stored: Record | None, record: Record, *, keep_created_at: bool) -> Record:
    """Return a put record in the place of the stored one."""
    if stored is None:
        return record
    state_before = record.state_before and (stored.state_before or stored.state)
    created_at = stored.created_at if keep_created_at else record.created_at
    return replace(record, created_at=created_at, state_before=state_before)


def changed(record: Record, changes: Mapping[str, Any]) -> Record:
    """Set fields of a record by their public names. Raises Rejected for one that its kind does not have."""
    fields = _FIELDS.get(record.kind, _FIELDS["item"])
    if unknown := sorted(changes.keys() - fields.keys()):
        raise Rejected(f"A {record.kind} has no {line(unknown[0])!r} to change; it has {', '.join(fields)}.")
    values = {fields[name]: value for name, value in changes.items()}
    state = values.pop("state", record.state)
    return _with_state(replace(record, **_cleaned(values)), state)


def deleted(record: Record) -> Record:
    """Delete a record, remembering its state; deleting it again changes nothing."""
    return _with_state(record, "deleted")


def restored(record: Record) -> Record:
    """Bring a deleted record back in the state it had; it is its own again when it had been merged."""
    return _with_state(record, record.state_before or "open") if record.state == "deleted" else record


def converted(lead: Record, deal: str) -> tuple[Record, Record]:
    """Return the converted lead and its deal, which keeps the lead's creation time. Raises Rejected."""
    if lead.state in ("converted", "deleted"):
        raise Rejected(f"{lead.key} is {lead.state} and cannot be converted.")
    made = replace(new_record("deal", deal, lead.name, lead.created_at), organization=lead.organization)
    made = replace(made, person=lead.person, participants=lead.participants)
    return replace(lead, state="converted", merged_into=made.key), made


def merged(gone: Record, into: Record) -> tuple[Record, Record]:
    """Return the person that went and the one that stays, which has the addresses of both. Raises Rejected."""
    if gone.external_id == into.external_id or "deleted" in (gone.state, into.state):
        raise Rejected("Two different persons, neither of them deleted, can be merged.")
    survivor = replace(
        into,
        addresses=tuple(dict.fromkeys((*into.addresses, *gone.addresses))),
        organization=into.organization or gone.organization,
    )
    return replace(deleted(gone), merged_into=into.key), survivor


def moved(record: Record, gone: Record, into: Record) -> Record:
    """Return what a merge of persons makes of a record that refers to the one that went."""
    if record.merged_into == gone.key:
        return replace(record, merged_into=into.key)
    person = into.external_id if record.person == gone.external_id else record.person
    renamed = (into.external_id if other == gone.external_id else other for other in record.participants)
    participants = tuple(other for other in dict.fromkeys(renamed) if other != person)
    return replace(record, person=person, participants=participants)


def _with_state(record: Record, state: object) -> Record:
    if state not in STATES:
        raise Rejected(f"{record.key} cannot be {line(str(state))!r}; a status is one of {', '.join(STATES)}.")
    if state == record.state:
        return record
    return replace(
        record,
        state=state,
        state_before=record.state if state == "deleted" else None,
        merged_into=record.merged_into if state in ("converted", "deleted") else None,
    )


def _cleaned(values: Mapping[str, Any]) -> dict[str, Any]:
    cleaned: dict[str, Any] = {}
    for name, value in values.items():
        if name == "name":
            cleaned[name] = line(value)
        elif name == "addresses":
            cleaned[name] = addresses_of(value)
        elif name == "participants":
            cleaned[name] = tuple(dict.fromkeys(map(_reference, value)))
        elif name in ("person", "organization"):
            cleaned[name] = None if value is None else _reference(value)
    return cleaned


def _reference(external_id: str) -> str:
    if not is_id(external_id):
        raise Rejected(f"A record is referred to by its id, 1 to {MAX_ID_CHARS} printable characters.")
    return external_id


# --- rows in, model out ---


def record(row: Row) -> Record:
    """Read a row as it was stored."""
    return Record(
        kind=cast("RecordKind", row.kind),
        external_id=row.external_id,
        name=row.name,
        created_at=row.created_at,
        state=cast("ItemState", row.state),
        organization=row.organization_id,
        person=row.person_id,
        participants=tuple(row.participants),
        addresses=tuple(row.addresses),
        merged_into=row.merged_into,
        state_before=cast("ItemState | None", row.state_before),
    )


def columns(record: Record) -> dict[str, Any]:
    """Return the columns a record is stored in."""
    return {
        "kind": record.kind,
        "external_id": record.external_id,
        "name": record.name,
        "search": fold(record.name),
        "state": record.state,
        "organization_id": record.organization,
        "person_id": record.person,
        "participants": record.participants,
        "addresses": record.addresses,
        "merged_into": record.merged_into,
        "state_before": record.state_before,
        "created_at": record.created_at.isoformat(),
    }


def person(row: Row, connection_id: int) -> Person:
    """Read a person."""
    return Person(
        ref=ItemRef("person", row.external_id, connection_id),
        name=row.name,
        addresses=tuple(row.addresses),
        organization=_ref("organization", row.organization_id, connection_id),
        organization_name=row.organization_name or "",
        deleted=row.state == "deleted",
        created_at=row.created_at,
    )


def organization(row: Row, connection_id: int) -> CrmOrganization:
    """Read an organization."""
    return CrmOrganization(ItemRef("organization", row.external_id, connection_id), row.name, row.state == "deleted")


def item(row: Row, connection_id: int) -> Item:
    """Read a deal, lead or project."""
    return Item(
        ref=ItemRef(cast("RecordKind", row.kind), row.external_id, connection_id),
        title=row.name,
        state=cast("ItemState", row.state),
        created_at=row.created_at,
        person=_ref("person", row.person_id, connection_id),
        participants=tuple(ItemRef("person", other, connection_id) for other in row.participants),
        organization=_ref("organization", row.organization_id, connection_id),
    )


def hit(row: Row, connection_id: int) -> SearchHit:
    """Read what a search shows of a record."""
    ref = ItemRef(cast("RecordKind", row.kind), row.external_id, connection_id)
    return SearchHit(ref, row.name, row.state, row.organization_name or "")


def page(rows: Sequence[Row], connection_id: int) -> CrmChanges:
    """Read a page of changed rows, which are in the order of their change; the last one's is the cursor."""
    return CrmChanges(
        cursor=str(rows[-1].changed),
        persons=tuple(person(row, connection_id) for row in rows if row.kind == "person"),
        organizations=tuple(organization(row, connection_id) for row in rows if row.kind == "organization"),
        items=tuple(item(row, connection_id) for row in rows if row.kind in ITEM_KINDS),
        merges=tuple(merge for row in rows if (merge := _merge(row, connection_id)) is not None),
    )


def position(cursor: str | None) -> int:
    """Read a cursor that page() wrote. Raises CursorExpired for any other."""
    if cursor is None:
        return 0
    if not _CURSOR.fullmatch(cursor):
        raise CursorExpired("The position in the embedded CRM cannot be read; everything is read again.")
    return int(cursor)


def marker(text: str) -> str:
    """Return a note's marker, which is a uuid. Raises Rejected."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise Rejected("A note's marker is a uuid.") from None


def note_id(external_id: str) -> int | None:
    """Return the id of a note; None for what no note of this CRM is called."""
    return int(external_id) if _CURSOR.fullmatch(external_id) else None


def _merge(row: Row, connection_id: int) -> Merge | None:
    if row.merged_into is None:
        return None
    kind, _, external_id = row.merged_into.partition("/")
    gone = ItemRef(cast("RecordKind", row.kind), row.external_id, connection_id)
    return Merge(gone, ItemRef(cast("RecordKind", kind), external_id, connection_id))


def _ref(kind: RecordKind, external_id: str | None, connection_id: int) -> ItemRef | None:
    return None if external_id is None else ItemRef(kind, external_id, connection_id)
