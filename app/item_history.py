"""What the page of a CRM record shows a member: an item, a person or an organization with its conversations."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from app.inbox import PAGE_SIZE, RECORD_KINDS, Related, Row, rows_of
from app.model import ITEM_KINDS, Item, ItemRef, Member
from app.store import links as link_rows
from app.store import mirror, mirror_records
from app.store import offers as offer_rows
from app.store.mirror_records import Record

SHOWN_ITEMS = 50


@dataclass(frozen=True, slots=True)
class ShownRecord:
    """A record with what belongs to it, as far as the member may see: linked conversations, and those that could be."""

    record: Record
    survivor: Related | None  # what it went into, when it was merged or converted
    people: tuple[Related, ...]
    items: tuple[Item, ...]  # of a person or an organization, open ones first
    linked: tuple[Row, ...]
    unlinked: tuple[Row, ...]


def history(connection: sa.Connection, member: Member, ref: ItemRef, locale: str) -> ShownRecord | None:
    """Return a record for its page; None when the mirror does not know it, or the CRM hides it from the member.

    To a person or an organization belong the conversations that are related to it; those without an item could be
    linked to one.
    """
    audience = mirror.audience(connection, member)
    record = mirror_records.records(connection, [ref]).get(ref)
    if record is None or not audience.is_in(ref.connection_id, record.visible_to):
        return None
    items: list[Item] = []
    people: list[ItemRef] = []
    if ref.kind in RECORD_KINDS:
        of = mirror.items_of_persons if ref.kind == "person" else mirror.items_of_organizations
        items = [item for item in of(connection, [ref]) if audience.sees(item)]
    else:
        found = mirror.item(connection, ref)
        people = [each for each in (found.person, *found.participants) if each is not None] if found else []
    named = mirror_records.records(connection, [*people, *([record.merged_into] if record.merged_into else [])])
    shown = {key: Related(key, r.title) for key, r in named.items() if audience.is_in(key.connection_id, r.visible_to)}
    ids = link_rows.conversations_of(connection, ref, PAGE_SIZE)
    if ref.kind in ITEM_KINDS:
        could_be = offer_rows.conversations_with(connection, [ref]).get(ref, [])[:PAGE_SIZE]
        ids = list(dict.fromkeys([*ids, *could_be]))
    listed = rows_of(connection, member, dict.fromkeys(ids), locale)
    return ShownRecord(
        record=record,
        survivor=shown.get(record.merged_into) if record.merged_into else None,
        people=tuple(shown[each] for each in dict.fromkeys(people) if each in shown and not _is_gone(named[each])),
        items=tuple(sorted(items, key=lambda item: (not item.is_open, item.title))[:SHOWN_ITEMS]),
        linked=tuple(row for row in listed if row.link is not None),
        unlinked=tuple(row for row in listed if row.link is None),
    )


def _is_gone(record: Record) -> bool:
    return record.state == "deleted"
