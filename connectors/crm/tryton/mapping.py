"""Tryton's JSON into the model and back: parties, opportunities, projects, notes, domains. Pure."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from app.errors import Rejected
from app.model import Item, ItemKind, ItemRef, ItemState, Person, RecordKind
from app.ports import CrmOrganization, LinkWrite
from connectors.crm.words import addresses_of, fold, line

Row = Mapping[str, Any]
Domain = list[Any]

PARTY = "party.party"
OPPORTUNITY = "sale.opportunity"
WORK = "project.work"
MODELS: Mapping[RecordKind, str] = {
    "person": PARTY,
    "organization": PARTY,
    "lead": OPPORTUNITY,
    "deal": OPPORTUNITY,
    "project": WORK,
}
PARTY_FIELDS = (
    "name",
    "active",
    "replaced_by",
    "create_date",
    "write_date",
    *(f"contact_mechanisms.{name}" for name in ("type", "value", "active", "create_date", "write_date")),
)
RELATION_FIELDS = ("relations.to", "relations.to.name", "relations.type.name", "relations.active")
OPPORTUNITY_FIELDS = (
    *("description", "number", "state", "create_date", "write_date"),
    *("party", "party.name", "party.email", "contact.party"),
)
WORK_FIELDS = ("name", "number", "create_date", "write_date", "status.progress", "party", "party.name", "party.email")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PARTS = ("year", "month", "day", "hour", "minute", "second", "microsecond")

# A converted opportunity has a quotation that is still talked about: it is open until its sale is won or lost.
_DEAL_STATES: Mapping[str, ItemState] = {
    "opportunity": "open",
    "converted": "open",
    "won": "won",
    "lost": "lost",
    "cancelled": "archived",
}
_LEAD_STATES: Mapping[str, ItemState] = {"lead": "open", "lost": "lost", "cancelled": "archived"}
_CLOSED = frozenset({"lost", "cancelled"})
_HIGHEST_ID = 2**31 - 1
# Letters that are often written with a mark: in a search they stand for any one letter.
_MARKED = re.compile("[acegilnosuyzdrt]")
_MARKER = re.compile(r"threadlink ([0-9a-f-]{36})((?: \d{1,10}){0,1000})", re.ASCII)
_WRITTEN = re.compile(r"(\d{1,10})((?: \d{1,10}@\d{1,10}){0,1000})", re.ASCII)


# --- values ---


def moment(value: object) -> datetime | None:
    """Read a date and time of Tryton, which is UTC without saying so."""
    if not isinstance(value, Mapping) or value.get("__class__") != "datetime":
        return None
    year, month, day, hour, minute, second, microsecond = (int(value[name]) for name in _PARTS)
    return datetime(year, month, day, hour, minute, second, microsecond, UTC)


def as_moment(at: datetime) -> dict[str, Any]:
    """Write a date and time as Tryton's JSON has it."""
    at = at.astimezone(UTC)
    return {"__class__": "datetime", **{name: getattr(at, name) for name in _PARTS}}


def stamp(row: Row) -> datetime:
    """Return when a record, or a contact mechanism of it, was written last."""
    rows = [row, *row.get("contact_mechanisms.", ())]
    moments = (moment(one.get(name)) for one in rows for name in ("create_date", "write_date"))
    return max((at for at in moments if at is not None), default=EPOCH)


def record_id(external_id: str) -> int | None:
    """Return the id of a record; None for what no record of Tryton is called."""
    if not re.fullmatch(r"[1-9][0-9]{0,9}", external_id, re.ASCII):
        return None
    number = int(external_id)
    return number if number <= _HIGHEST_ID else None


def resource(ref: ItemRef) -> str | None:
    """Return how a note names the record it hangs on, as `sale.opportunity,5`."""
    number = record_id(ref.external_id)
    return None if number is None else f"{MODELS[ref.kind]},{number}"


def ref(kind: RecordKind, number: int, connection_id: int) -> ItemRef:
    """Name a record."""
    return ItemRef(kind, str(number), connection_id)


# --- what is asked for ---


def changed_since(since: datetime | None, *names: str) -> Domain:
    """Ask for records of which one of these dates is not older; for all without a date."""
    if since is None:
        return []
    return ["OR", *([name, ">=", as_moment(since)] for name in names)]


def with_address(addresses: Sequence[str]) -> Domain:
    """Ask for parties with one of the addresses as an e-mail, case ignored."""
    values = [["value", "ilike", _literal(address)] for address in addresses]
    return [["contact_mechanisms", "where", [["type", "=", "email"], ["OR", *values]]]]


def with_words(field: str, words: Iterable[str]) -> Domain:
    """Ask for titles that may have words beginning like these; matches() looks at them closely."""
    return [[field, "ilike", f"%{_MARKED.sub('_', word)}%"] for word in words]


def matches(title: str, words: Iterable[str]) -> bool:
    """Say whether every word begins a word of the title, without case and marks."""
    folded = f" {fold(title)}"
    return all(f" {word}" in folded for word in words)


def _literal(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)


# --- parties ---


def addresses(row: Row) -> tuple[str, ...]:
    """Return the e-mail addresses of a party that are in use."""
    mechanisms = row.get("contact_mechanisms.", ())
    return addresses_of(one["value"] for one in mechanisms if one["type"] == "email" and one["active"])


def employer(row: Row, relation: str) -> tuple[int, str] | None:
    """Return id and name of the party that the configured relation leads to, the oldest when there are several."""
    found = (one for one in row.get("relations.", ()) if one["type."]["name"] == relation and one["active"])
    first = min(found, key=lambda one: int(one["id"]), default=None)
    return None if first is None else (int(first["to"]), line(first["to."]["name"] or ""))


def person(row: Row, relation: str, connection_id: int) -> Person:
    """Read a party as a person; one that is not active, or was replaced by another, is deleted."""
    organization = employer(row, relation)
    return Person(
        ref=ref("person", row["id"], connection_id),
        name=line(row["name"] or ""),
        addresses=addresses(row),
        organization=ref("organization", organization[0], connection_id) if organization else None,
        organization_name=organization[1] if organization else "",
        deleted=not row["active"],
        created_at=moment(row["create_date"]),
    )


def organization(row: Row, connection_id: int) -> CrmOrganization:
    """Read a party as an organization."""
    return CrmOrganization(ref("organization", row["id"], connection_id), line(row["name"] or ""), not row["active"])


# --- opportunities and projects ---


def needs_history(row: Row) -> bool:
    """Say whether an opportunity's state leaves open if it was a lead or a deal when it was closed."""
    return row["state"] in _CLOSED


def opportunity_kind(row: Row, were_deals: Collection[int]) -> ItemKind:
    """Return what an opportunity is now: Tryton keeps lead and deal in one record."""
    if row["state"] == "lead" or (needs_history(row) and row["id"] not in were_deals):
        return "lead"
    return "deal"


def opportunity(row: Row, were_deals: Collection[int], connection_id: int) -> Item:
    """Read an opportunity.

    Its person is the party its contact belongs to, otherwise its party; its organization is the party when the contact
    is somebody else, or when it has no e-mail address.
    """
    kind = opportunity_kind(row, were_deals)
    states = _LEAD_STATES if kind == "lead" else _DEAL_STATES
    contact = (row.get("contact.") or {}).get("party")
    title = line(row["description"] or "") or f"#{row['number']}"
    return _item(row, kind, title, states.get(row["state"], "archived"), contact, connection_id)


def work(row: Row, connection_id: int) -> Item:
    """Read a project: completed when its status stands for all of the work."""
    progress = (row.get("status.") or {}).get("progress")
    state: ItemState = "completed" if progress is not None and progress >= 1 else "open"
    return _item(row, "project", line(row["name"] or "") or f"#{row['number']}", state, None, connection_id)


def organization_name(row: Row) -> str:
    """Return the name of the party that an opportunity's or project's contact is not."""
    party = row.get("party.") or {}
    contact = (row.get("contact.") or {}).get("party")
    return line(party.get("name") or "") if party and _is_organization(party, contact) else ""


def _is_organization(party: Row, contact: int | None) -> bool:
    return not party.get("email") if contact is None else contact != party["id"]


def _item(row: Row, kind: ItemKind, title: str, state: ItemState, contact: int | None, connection_id: int) -> Item:
    party = row.get("party.") or {}
    is_organization = bool(party) and _is_organization(party, contact)
    person_id = contact or (None if is_organization else row["party"])
    return Item(
        ref=ref(kind, row["id"], connection_id),
        title=title,
        state=state,
        created_at=moment(row["create_date"]) or EPOCH,
        updated_at=moment(row["write_date"]),
        person=None if person_id is None else ref("person", person_id, connection_id),
        organization=ref("organization", row["party"], connection_id) if is_organization else None,
    )


# --- notes ---


def marker(text: str) -> str:
    """Return a note's marker, which is a uuid. Raises Rejected."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise Rejected("A note's marker is a uuid.") from None


def parties(write: LinkWrite) -> tuple[int, ...]:
    """Return the parties that a conversation is shown on besides its item, each once."""
    numbers = (record_id(related.external_id) for related in (*write.persons, *write.organizations))
    return tuple(dict.fromkeys(number for number in numbers if number is not None))


def message(text: str, note_marker: str, others: Sequence[int]) -> str:
    """Return a note's text with our marker as its last line, and the parties that have the same note."""
    return "\n\n".join((text, " ".join(("threadlink", note_marker, *map(str, others)))))


def marked(text: str, note_marker: str) -> tuple[int, ...] | None:
    """Return the parties named beside a marker in a note's last line; None when it is another's note."""
    found = _MARKER.fullmatch(text.rstrip().rpartition("\n")[2])
    if found is None or found[1] != note_marker:
        return None
    return tuple(map(int, found[2].split()))


def written_id(item_note: int, party_notes: Mapping[int, int]) -> str:
    """Name all notes of a conversation: the item's, then each party's as NOTE@PARTY."""
    return " ".join((str(item_note), *(f"{note}@{party}" for party, note in party_notes.items())))


def written_notes(external_id: str) -> tuple[int, dict[int, int]] | None:
    """Read what written_id() wrote; None for anything else."""
    found = _WRITTEN.fullmatch(external_id)
    if found is None:
        return None
    pairs = (pair.split("@") for pair in found[2].split())
    return int(found[1]), {int(party): int(note) for note, party in pairs}
