"""Pipedrive's JSON into the model. Pure: no I/O, no clock; what comes from outside is read leniently, never trusted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from app.model import Item, ItemRef, ItemState, Person, RecordKind
from app.ports import CrmOrganization, CrmUser, Merge, SearchHit
from connectors.crm.words import addresses_of, line

Json = Mapping[str, Any]
Visible = tuple[str, ...] | None
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_NUMBER = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_DEAL_STATES: Mapping[object, ItemState] = {"open": "open", "won": "won", "lost": "lost", "deleted": "deleted"}
_PROJECT_STATES: Mapping[object, ItemState] = {
    "open": "open",
    "completed": "completed",
    "canceled": "canceled",
    "deleted": "deleted",
}
_COMPANY, _COMPANY_WITH_GROUPS = 3, 7  # `visible_to`: what means everybody depends on the plan
_EVERYTHING = frozenset({"global", "sales"})  # apps whose administrators see every record


# --- pieces ---


def number(value: object) -> str | None:
    """Return an id that is a number, as text; None for anything else. Version 1 wraps some ids in an object."""
    if isinstance(value, Mapping):
        value = value.get("value", value.get("id"))
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value)
    return text if _NUMBER.fullmatch(text) else None


def is_id(kind: str, external_id: str) -> bool:
    """Say whether a record of this kind can have this id: a lead's is a UUID, every other's a number."""
    return bool((_UUID if kind == "lead" else _NUMBER).fullmatch(external_id))


def time(value: object) -> datetime | None:
    """Read a time of version 1 (no zone, UTC) or 2 (RFC 3339); None when there is none."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        at = datetime.fromisoformat(value)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def rfc3339(at: datetime) -> str:
    """Write a time as version 2 wants it, in whole seconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def spaced(at: datetime) -> str:
    """Write a time as version 1 wants it."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def changed_at(row: Json) -> datetime:
    """Return when a record was last changed; long ago when it does not say."""
    return time(row.get("update_time")) or time(row.get("add_time")) or EPOCH


def _text(value: object) -> str:
    return line(value) if isinstance(value, str) else ""


def _ref(kind: RecordKind, external_id: str | None, connection_id: int) -> ItemRef | None:
    return None if external_id is None else ItemRef(kind, external_id, connection_id)


def emails(value: object) -> tuple[str, ...]:
    """Return addresses: objects with a value and perhaps `primary` (that one first), or plain texts (a search's)."""
    entries = value if isinstance(value, list) else []
    found = [
        (not (isinstance(entry, Mapping) and entry.get("primary")), written)
        for entry in entries
        if isinstance(written := entry.get("value") if isinstance(entry, Mapping) else entry, str)
    ]
    return addresses_of(written for _, written in sorted(found, key=lambda pair: pair[0]))


def visible(row: Json, *, groups: bool) -> Visible:
    """Return who may see a record: None for the whole company, else its owner alone.

    `visible_to` 3 is the company on most plans and the owner's group on those with visibility groups, where 7 is the
    company. Followers and group members are not known without a call for each record, so they are left out: less is
    shown, never more. Source: the description of `visible_to` in Pipedrive's OpenAPI.
    """
    level = row.get("visible_to")
    level = int(level) if isinstance(level, int | str) and str(level).isdecimal() and len(str(level)) < 5 else None
    if level is None or level == _COMPANY_WITH_GROUPS or (level == _COMPANY and not groups):
        return None
    owner = number(row.get("owner_id") or row.get("owner"))
    return (owner,) if owner else ()


# --- records ---


def person(row: Json, connection_id: int, *, groups: bool, organization_name: str = "") -> Person | None:
    """Read a person of version 2, or of /recents; None for what has no id."""
    external_id = number(row.get("id"))
    if external_id is None:
        return None
    return Person(
        ref=ItemRef("person", external_id, connection_id),
        name=_text(row.get("name")),
        addresses=emails(row.get("emails", row.get("email"))),
        organization=_ref("organization", number(row.get("org_id")), connection_id),
        organization_name=line(organization_name),
        deleted=_is_deleted(row),
        created_at=time(row.get("add_time")),
        visible_to=visible(row, groups=groups),
    )


def organization(row: Json, connection_id: int, *, groups: bool) -> CrmOrganization | None:
    """Read an organization of version 2, or of /recents."""
    external_id = number(row.get("id"))
    if external_id is None:
        return None
    ref = ItemRef("organization", external_id, connection_id)
    return CrmOrganization(ref, _text(row.get("name")), _is_deleted(row), visible(row, groups=groups))


def _is_deleted(row: Json) -> bool:
    return row.get("is_deleted") is True or row.get("active_flag") is False


def deal(row: Json, participants: Sequence[str], connection_id: int, *, groups: bool) -> Item | None:
    """Read a deal of version 2 with the ids of its people; the main contact is none of its participants."""
    external_id = number(row.get("id"))
    if external_id is None:
        return None
    state = _DEAL_STATES.get(row.get("status"), "open")
    if row.get("is_archived") is True and state != "deleted":
        state = "archived"
    main = number(row.get("person_id"))
    return Item(
        ref=ItemRef("deal", external_id, connection_id),
        title=_text(row.get("title")),
        state="deleted" if row.get("is_deleted") is True else state,
        created_at=time(row.get("add_time")) or EPOCH,
        updated_at=time(row.get("update_time")),
        person=_ref("person", main, connection_id),
        participants=_others(participants, main, connection_id),
        organization=_ref("organization", number(row.get("org_id")), connection_id),
        visible_to=visible(row, groups=groups),
    )


def has_participants(row: Json) -> bool:
    """Whether a deal has people besides its main contact, who is counted as well."""
    count = row.get("participants_count")
    return isinstance(count, int) and count > (0 if number(row.get("person_id")) is None else 1)


def participants(rows: Iterable[Json]) -> tuple[str, ...]:
    """Read the ids of the people on a deal."""
    found = (number(row.get("person_id")) or number(row.get("person")) for row in rows)
    return tuple(dict.fromkeys(external_id for external_id in found if external_id))


def lead_of(deal_row: Json, made: Item) -> tuple[Item, Merge] | None:
    """Return the lead that a deal was made from, and what became of it; None for a deal of its own.

    Pipedrive deletes a lead when it is converted: the deal is all that tells of it.
    """
    source = deal_row.get("source_lead_id")
    if not isinstance(source, str) or not is_id("lead", source):
        return None
    lead = Item(
        ref=ItemRef("lead", source, made.ref.connection_id),
        title=made.title,
        state="converted",
        created_at=made.created_at,
        updated_at=None,
        person=made.person,
        organization=made.organization,
        visible_to=made.visible_to,
    )
    return lead, Merge(lead.ref, made.ref)


def lead(row: Json, connection_id: int, *, groups: bool) -> Item | None:
    """Read a lead of version 1. It has no status: one that is not archived is open."""
    external_id = row.get("id")
    if not isinstance(external_id, str) or not is_id("lead", external_id):
        return None
    return Item(
        ref=ItemRef("lead", external_id, connection_id),
        title=_text(row.get("title")),
        state="archived" if row.get("is_archived") is True else "open",
        created_at=time(row.get("add_time")) or EPOCH,
        updated_at=time(row.get("update_time")),
        person=_ref("person", number(row.get("person_id")), connection_id),
        organization=_ref("organization", number(row.get("organization_id")), connection_id),
        visible_to=visible(row, groups=groups),
    )


def project(row: Json, connection_id: int) -> Item | None:
    """Read a project of version 2: its first person is the main contact. Projects have no visibility of their own."""
    external_id = number(row.get("id"))
    if external_id is None:
        return None
    state = _PROJECT_STATES.get(row.get("status"), "open")
    if row.get("archive_time") and state != "deleted":
        state = "archived"
    people, organizations = _numbers(row.get("person_ids")), _numbers(row.get("org_ids"))
    main = people[0] if people else None
    return Item(
        ref=ItemRef("project", external_id, connection_id),
        title=_text(row.get("title")),
        state=state,
        created_at=time(row.get("add_time")) or EPOCH,
        updated_at=time(row.get("update_time")),
        person=_ref("person", main, connection_id),
        participants=_others(people, main, connection_id),
        organization=_ref("organization", organizations[0] if organizations else None, connection_id),
    )


def _numbers(values: object) -> list[str]:
    return [found for value in values if (found := number(value))] if isinstance(values, list) else []


def _others(people: Iterable[str], main: str | None, connection_id: int) -> tuple[ItemRef, ...]:
    return tuple(ItemRef("person", other, connection_id) for other in dict.fromkeys(people) if other != main)


def hit(row: Json, connection_id: int) -> SearchHit | None:
    """Read what a search found: the `item` of a result; None for a kind that is no item."""
    found = row.get("item")
    if not isinstance(found, Mapping) or found.get("type") not in ("deal", "lead", "project"):
        return None
    kind: RecordKind = found["type"]
    external_id = str(found.get("id"))
    if not is_id(kind, external_id):
        return None
    states = _PROJECT_STATES if kind == "project" else _DEAL_STATES
    state = "archived" if found.get("is_archived") is True else states.get(found.get("status"), "open")
    owner = found.get("organization")
    name = _text(owner.get("name")) if isinstance(owner, Mapping) else ""
    return SearchHit(ItemRef(kind, external_id, connection_id), _text(found.get("title")), state, name)


def merge_of(row: Json, connection_id: int) -> Merge | None:
    """Return the merge that a person of /recents tells of; it names the one that went into it."""
    gone, into = number(row.get("merge_what_id")), number(row.get("id"))
    if gone is None or into is None or gone == into:
        return None
    return Merge(ItemRef("person", gone, connection_id), ItemRef("person", into, connection_id))


def user(row: Json) -> CrmUser | None:
    """Read somebody who works in Pipedrive; an administrator of sales sees every record."""
    user_id = number(row.get("id"))
    if user_id is None:
        return None
    access = row.get("access")
    rights = [right for right in access if isinstance(right, Mapping)] if isinstance(access, list) else []
    return CrmUser(
        user_id=user_id,
        name=_text(row.get("name")),
        email=_text(row.get("email")),
        is_active=row.get("active_flag") is not False and row.get("is_deleted") is not True,
        sees_everything=any(right.get("app") in _EVERYTHING and right.get("admin") is True for right in rights),
    )
