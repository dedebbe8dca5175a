"""What the page of a CRM record shows a member: an item, a person or an organization with its conversations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from app.acting import Seen, see
from app.inbox import PAGE_SIZE, RECORD_KINDS, Related, Row, rows_of
from app.model import ITEM_KINDS, Item, ItemRef, Member
from app.store import links as link_rows
from app.store import mirror, mirror_records
from app.store import offers as offer_rows
from app.store.inbox import Neighbours
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
    end: int | None  # the conversation after which there are more; None for the last page


def history(
    connection: sa.Connection, member: Member, ref: ItemRef, locale: str, after: int | None = None
) -> ShownRecord | None:
    """Return a record for its page; None when the mirror does not know it, or the CRM hides it from the member.

    Its conversations are those that stand `after` one. What could be linked to an item stands on its first page.

    To a person or an organization belong the conversations that are related to it; those without an item could be
    linked to one.
    """
    audience = mirror.audience(connection, member)
    record = _record(connection, ref, audience)
    if record is None:
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
    belong = link_rows.conversations_of(connection, ref, PAGE_SIZE + 1, after=after)
    ids = belong[:PAGE_SIZE]
    if ref.kind in ITEM_KINDS and after is None:
        ids += _could_be(connection, ref)
    listed = rows_of(connection, member, dict.fromkeys(ids), locale)
    return ShownRecord(
        record=record,
        survivor=shown.get(record.merged_into) if record.merged_into else None,
        people=tuple(shown[each] for each in dict.fromkeys(people) if each in shown and not _is_gone(named[each])),
        items=tuple(sorted(items, key=lambda item: (not item.is_open, item.title))[:SHOWN_ITEMS]),
        linked=tuple(row for row in listed if row.link is not None),
        unlinked=tuple(row for row in listed if row.link is None),
        end=ids[PAGE_SIZE - 1] if len(belong) > PAGE_SIZE else None,
    )


def neighbours(connection: sa.Connection, seen: Seen, ref: ItemRef, *, is_unlinked: bool) -> Neighbours:
    """Return what stands next to a conversation in a list of a record: its history, or what is not linked.

    One that has left the list keeps its place. Nothing stands next to it when the record's page is not there.
    """
    if _record(connection, ref, mirror.audience(connection, seen.member)) is None:
        return Neighbours()
    own = seen.conversation.id
    if is_unlinked and ref.kind in ITEM_KINDS:
        ids = _could_be(connection, ref)
    else:
        newer = link_rows.conversations_of(connection, ref, PAGE_SIZE, before=own)
        ids = [*reversed(newer), own, *link_rows.conversations_of(connection, ref, PAGE_SIZE, after=own)]
    listed = see(connection, seen.member, ids)
    of_list = [listed[key] for key in ids if key in listed]
    order = [each for each in of_list if (each.conversation.primary_link is None) == is_unlinked]
    place = sum(_newest(each) > _newest(seen) for each in order)
    return Neighbours.of([each.conversation.public_id for each in order], seen.conversation.public_id, place)


def _newest(seen: Seen) -> tuple[datetime, int]:
    return seen.conversation.messages[-1].at, seen.conversation.id


def _record(connection: sa.Connection, ref: ItemRef, audience: mirror.Audience) -> Record | None:
    record = mirror_records.records(connection, [ref]).get(ref)
    return record if record is not None and audience.is_in(ref.connection_id, record.visible_to) else None


def _could_be(connection: sa.Connection, ref: ItemRef) -> list[int]:
    """Return what an item's people have without a link, newest first."""
    return offer_rows.conversations_with(connection, [ref]).get(ref, [])[:PAGE_SIZE]


def _is_gone(record: Record) -> bool:
    return record.state == "deleted"
