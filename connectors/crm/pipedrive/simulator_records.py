"""One simulated company: its users and records, changed as its people and the API change them. Part of the simulator.

Every change has a number and is told to `on_change`, which sends the webhooks.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from app.errors import Rejected
from app.ports import Clock

ITEM_KINDS = ("deal", "lead", "project")
NOTE_FIELDS: Mapping[str, str] = {
    "deal_id": "deal",
    "lead_id": "lead",
    "person_id": "person",
    "org_id": "organization",
    "project_id": "project",
}
Id = int | str
Key = tuple[str, Id]


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who works in Pipedrive."""

    id: int
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Record:
    """A deal, lead, project, person, organization, note, activity or mail thread, in any state.

    `links` are the records it belongs to by the API's own names; `fields` what else the API may set.
    """

    kind: str
    id: Id
    title: str
    add_time: datetime
    update_time: datetime
    status: str = "open"
    is_deleted: bool = False
    is_archived: bool = False
    person: int | None = None
    participants: tuple[int, ...] = ()
    organization: int | None = None
    emails: tuple[str, ...] = ()
    source_lead_id: str | None = None
    merge_what_id: int | None = None
    content: str = ""
    links: Mapping[str, Id] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    user_id: int = 1

    @property
    def key(self) -> Key:
        """Its place among the records."""
        return self.kind, self.id

    @property
    def people(self) -> tuple[int, ...]:
        """Return the main contact and the participants, each once."""
        main = () if self.person is None else (self.person,)
        return tuple(dict.fromkeys((*main, *self.participants)))


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one record, as webhooks tell it."""

    action: str  # create, change, delete
    record: Record
    previous: Record | None
    by_api: bool
    user_id: int
    merged_to: Id | None = None
    merged_from: Id | None = None


class Company:
    """The records of one company. `usage` and limits are kept elsewhere; the caller holds the lock."""

    def __init__(self, number: int, domain: str, clock: Clock) -> None:
        self.id = number
        self.domain = domain
        self.users = {1: User(1, "Ada Yılmaz", f"ada@{domain}.test")}
        self.records: dict[Key, Record] = {}
        self.on_change: Callable[[Change], None] = lambda _change: None
        self._clock = clock
        self._numbers: dict[str, int] = {}
        self._of_caller: dict[tuple[str, str], Id] = {}
        self._callers: dict[Key, str] = {}

    # --- ids ---

    def crm_id(self, kind: str, external_id: str) -> Id:
        """Return the company's own id for a caller's, giving one out the first time."""
        if (kind, external_id) not in self._of_caller:
            made = self._new_id(kind)
            self._of_caller[kind, external_id] = made
            self._callers[kind, made] = external_id
        return self._of_caller[kind, external_id]

    def callers_id(self, kind: str, crm_id: str) -> str:
        """Return the caller's id of a record, or its own."""
        wanted: Id = int(crm_id) if crm_id.isdecimal() else crm_id
        return self._callers.get((kind, wanted), crm_id)

    def _new_id(self, kind: str) -> Id:
        number = self._numbers[kind] = self._numbers.get(kind, 0) + 1
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.domain}/lead/{number}")) if kind == "lead" else number

    def _maybe(self, kind: str, external_id: str | None) -> int | None:
        return None if external_id is None else int(self.crm_id(kind, external_id))

    # --- looking ---

    def get(self, kind: str, crm_id: Id) -> Record | None:
        """Return a record in any state."""
        return self.records.get((kind, crm_id))

    def standing(self, kind: str) -> list[Record]:
        """Return the records of a kind that are not deleted, oldest id first."""
        return [record for record in self.all(kind) if not record.is_deleted]

    def all(self, kind: str) -> list[Record]:
        """Return the records of a kind in any state."""
        return [record for record in self.records.values() if record.kind == kind]

    def notes_on(self, kind: str, crm_id: Id) -> list[Record]:
        """Return the notes on a record, oldest first."""
        names = [name for name, of in NOTE_FIELDS.items() if of == kind]
        notes = [note for note in self.standing("note") if any(note.links.get(name) == crm_id for name in names)]
        return sorted(notes, key=lambda note: int(note.id))

    def activities_on(self, kind: str, crm_id: Id) -> list[Record]:
        """Return the activities on a record, oldest first; all their participants have them."""
        names = [name for name, of in NOTE_FIELDS.items() if of == kind]
        return [
            activity
            for activity in self.standing("activity")
            if any(activity.links.get(name) == crm_id for name in names)
            or (kind == "person" and crm_id in activity.participants)
        ]

    # --- changing ---

    def add(self, kind: str, title: str, *, by_api: bool = True, user_id: int = 1, **fields: Any) -> Record:
        """Add a record under an id of the company's own."""
        now = self._clock.now()
        values = {"add_time": now, "update_time": now, "user_id": user_id, **fields}
        record = Record(kind, values.pop("id", None) or self._new_id(kind), title, **values)
        self._save(record, None, by_api=by_api, user_id=user_id)
        return record

    def update(
        self,
        record: Record,
        *,
        by_api: bool = True,
        user_id: int = 1,
        merged_to: Id | None = None,
        merged_from: Id | None = None,
        **fields: Any,
    ) -> Record:
        """Change fields of a record."""
        newer = replace(record, **{"update_time": self._clock.now(), **fields})
        self._save(newer, record, by_api=by_api, user_id=user_id, merged_to=merged_to, merged_from=merged_from)
        return newer

    def delete_record(self, record: Record, *, by_api: bool = True, user_id: int = 1, **told: Any) -> Record:
        """Mark a record as deleted."""
        return self.update(record, by_api=by_api, user_id=user_id, is_deleted=True, **told)

    def _save(self, record: Record, previous: Record | None, *, by_api: bool, user_id: int, **told: Any) -> None:
        self.records.pop(record.key, None)  # so that the newest change stands last
        self.records[record.key] = record
        action = "change" if previous else "create"
        if record.is_deleted and previous is not None and not previous.is_deleted:
            action = "delete"
        elif previous is not None and previous.is_deleted and not record.is_deleted:
            action = "create"
        self.on_change(Change(action, record, previous, by_api, user_id, **told))

    def convert(self, lead: Record, deal_id: Id | None = None, *, by_api: bool = True) -> Record:
        """Make a deal from a lead: its notes move along, and the lead is marked as deleted."""
        deal = self.add(
            "deal",
            lead.title,
            by_api=by_api,
            id=deal_id,
            add_time=lead.add_time,
            person=lead.person,
            organization=lead.organization,
            source_lead_id=str(lead.id),
        )
        for note in self.notes_on("lead", lead.id):
            links = {name: other for name, other in note.links.items() if name != "lead_id"}
            self.update(note, by_api=by_api, links={**links, "deal_id": deal.id})
        self.delete_record(lead, by_api=by_api, status="converted")
        return deal

    def merge(self, gone: Record, into: Record, *, by_api: bool = True) -> Record:
        """Merge two persons: the survivor gets addresses, items and notes of the other."""
        self.delete_record(gone, by_api=by_api, merged_to=into.id)
        survivor = self.update(
            into,
            by_api=by_api,
            merged_from=gone.id,
            emails=tuple(dict.fromkeys((*into.emails, *gone.emails))),
            organization=into.organization or gone.organization,
            merge_what_id=gone.id,
        )
        gone_id, into_id = int(gone.id), int(into.id)
        for record in list(self.records.values()):
            if gone_id in record.people:
                person = into_id if record.person == gone_id else record.person
                others = (into_id if other == gone_id else other for other in record.participants)
                kept = tuple(other for other in dict.fromkeys(others) if other != person)
                self.update(record, by_api=by_api, person=person, participants=kept)
            elif record.links.get("person_id") == gone_id:
                self.update(record, by_api=by_api, links={**record.links, "person_id": into_id})
        return survivor

    # --- what the caller puts (ports.CrmRecords) ---

    def put(self, kind: str, external_id: str, title: str, *, state: str = "", **fields: Any) -> None:
        """Create the record under the caller's id, or overwrite it, as a person would in the web application."""
        crm_id = self.crm_id(kind, external_id)
        there = self.get(kind, crm_id)
        values = {name: value for name, value in fields.items() if name != "add_time" or value is not None}
        if state != "converted":
            values |= _state(kind, state)
        if there is not None:
            self.update(there, by_api=False, title=title, **values)
        else:
            self.add(kind, title, by_api=False, id=crm_id, **values)
        if state == "converted":
            self.convert(self.records[kind, crm_id], by_api=False)

    def change(self, kind: str, external_id: str, changes: Mapping[str, Any]) -> None:
        """Set fields of an existing record, by the names of ports.CrmRecords."""
        values: dict[str, Any] = {}
        for name, value in changes.items():
            if name in ("title", "name"):
                values["title"] = value
            elif name == "status":
                values |= _state(kind, value)
            elif name == "emails":
                values["emails"] = tuple(value)
            elif name == "participants":
                values["participants"] = self.ids_of("person", value)
            else:
                values[name] = self._maybe(name, value)
        self.update(self.the(kind, external_id), by_api=False, **values)

    def the(self, kind: str, external_id: str) -> Record:
        """Return the record under the caller's id, or one the API made under its own. Raises Rejected."""
        found = self._of_caller.get((kind, external_id))
        if found is None:
            found = int(external_id) if external_id.isdecimal() else external_id
        record = self.get(kind, found)
        if record is None:
            raise Rejected(f"There is no {kind} {external_id}.", provider="pipedrive")
        return record

    def ids_of(self, kind: str, external_ids: Sequence[str]) -> tuple[int, ...]:
        """Return the company's ids of records the caller knows."""
        return tuple(int(self.crm_id(kind, external_id)) for external_id in external_ids)


def _state(kind: str, state: str) -> dict[str, Any]:
    """Return the fields that say in Pipedrive what a state of ours is."""
    if kind not in ITEM_KINDS:
        return {}
    if state == "archived":
        return {"is_archived": True, "is_deleted": False}
    if state == "deleted":
        return {"is_deleted": True}
    return {"status": state or "open", "is_archived": False, "is_deleted": False}
