"""What a person, or a change in the CRM, does to a conversation: link, unlink, link elsewhere, bulk, dismiss.

Everything runs in the caller's transaction under the team's row-level security, writes the audit trail, and asks for
the CRM note to be looked at in the same transaction, so that a committed change always reaches the CRM. undoing.py
takes it back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from app import ingest
from app.acting import (
    Acting,
    Seen,
    audit,
    audit_all,
    lock_and_see,
    owned_by,
    see,
    seen_by,
)
from app.deciding import counterparts_digest, inputs, record_only, surroundings, want_notes
from app.errors import Conflict, NotAllowed, NotFound, RequestRefused
from app.linking.authenticity import message_verdict
from app.linking.decide import decide
from app.model import ITEM_KINDS, Conversation, Item, ItemRef, Level, Link, Origin, Tombstone
from app.store import conversations, messages, mirror
from app.store import links as rows
from app.store.mirror import Changed

__all__ = [
    "Acting",
    "BulkResult",
    "Elsewhere",
    "Seen",
    "bulk_dismiss",
    "bulk_link",
    "dismiss",
    "dismissed",
    "follow_items",
    "foresee",
    "item_to_link",
    "link",
    "link_all",
    "see",
    "set_visibility",
    "trust_sender",
    "unlink",
]  # fmt: skip


Elsewhere = Literal["skip", "move"]  # what becomes of conversations that are linked to another item (S13)


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a bulk link would meet in a conversation: why it would be refused, what it is linked to."""

    refusal: RequestRefused | None
    linked_to: Link | None


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What a bulk action did: the conversations it linked, and one reason code for each that it did not."""

    batch_id: str
    linked: tuple[int, ...]
    not_linked: Mapping[int, str]


# --- what a person does ---


def link(connection: sa.Connection, acting: Acting, conversation_id: int, ref: ItemRef, *, move: bool = False) -> None:
    """Link a conversation to an item by hand.

    Raises NotFound, NotAllowed (not_owner), Conflict (item_deleted, already_linked: ask, then call with `move`).
    """
    item = item_to_link(connection, acting, ref)
    seen = seen_by(connection, acting, conversation_id)
    refusal = link_all(connection, acting, [seen], item, move=move).get(conversation_id)
    if refusal is not None:
        raise refusal


def bulk_link(
    connection: sa.Connection,
    acting: Acting,
    conversation_ids: Sequence[int],
    ref: ItemRef,
    *,
    elsewhere: Elsewhere = "skip",
) -> BulkResult:
    """Link many conversations to one item as one batch; each one refused is listed with its reason.

    As many queries as for one. Raises NotFound (item_unknown), Conflict (item_deleted, kind_not_linkable).
    """
    item = item_to_link(connection, acting, ref)
    seen = lock_and_see(connection, acting, conversation_ids)
    asked = list(dict.fromkeys(conversation_ids))
    refusals = link_all(
        connection, acting, [seen[each] for each in asked if each in seen], item, move=elsewhere == "move"
    )
    not_linked = {
        each: refusals[each].reason if each in seen else "not_found"
        for each in asked
        if each not in seen or each in refusals
    }
    return BulkResult(acting.batch_id, tuple(each for each in asked if each not in not_linked), not_linked)


def foresee(
    connection: sa.Connection, acting: Acting, conversation_ids: Collection[int], item: Item
) -> dict[int, Foreseen]:
    """Say what a bulk link would meet before it begins (S13); what the member may not see is left out."""
    seen = see(connection, acting.member, conversation_ids)
    return {
        key: Foreseen(_refusal(each, item, move=True), each.conversation.primary_link) for key, each in seen.items()
    }


def unlink(connection: sa.Connection, acting: Acting, conversation_id: int) -> None:
    """Take the primary link off; automatic linking does not put it back (T4).

    Raises NotFound, NotAllowed (not_owner), Conflict (not_linked).
    """
    seen = owned_by(connection, acting, conversation_id)
    primary = seen.conversation.primary_link
    if primary is None:
        raise Conflict("not_linked")
    _take_off(connection, acting, [(conversation_id, primary)], "unlinked")
    audit(connection, acting, "unlink", seen.conversation, {"item": str(primary.ref)}, [primary.ref])
    record_only(connection, acting.team_id, conversations.load(connection, [conversation_id]), acting.now)


def dismiss(connection: sa.Connection, acting: Acting, conversation_id: int) -> None:
    """Say that a conversation is not about any item, until it has a new candidate.

    Raises NotFound, NotAllowed (not_owner).
    """
    _dismiss(connection, acting, [owned_by(connection, acting, conversation_id).conversation])


def bulk_dismiss(connection: sa.Connection, acting: Acting, conversation_ids: Sequence[int]) -> dict[int, str]:
    """Say of many conversations that they are not about any item, as one batch; return why not of the others.

    What is linked, and what the member may not link, is left as it is. As many queries as for one.
    """
    seen = lock_and_see(connection, acting, conversation_ids)
    left = {each: "not_found" for each in conversation_ids if each not in seen}
    left |= {key: "not_owner" for key, each in seen.items() if not each.may_link}
    left |= {key: "already_linked" for key, each in seen.items() if each.may_link and each.conversation.primary_link}
    _dismiss(connection, acting, [each.conversation for key, each in seen.items() if key not in left])
    return left


def dismissed(connection: sa.Connection, asked: Sequence[Conversation]) -> frozenset[int]:
    """Return those of the conversations that were dismissed and have no new candidate since, as the CRM is now."""
    known = rows.dismissed_candidates(connection, [conversation.id for conversation in asked])
    now = _candidates(connection, [conversation for conversation in asked if conversation.id in known])
    return frozenset(conversation_id for conversation_id in known if now[conversation_id] <= known[conversation_id])


def set_visibility(connection: sa.Connection, acting: Acting, conversation_id: int, level: Level | None) -> None:
    """Set who may read a conversation; only its owners may, and its note follows in the same job (V5)."""
    seen = seen_by(connection, acting, conversation_id)
    if not seen.owns:
        raise NotAllowed("not_owner")
    conversations.set_visibility(connection, {conversation_id: level})
    audit(connection, acting, "set_visibility", seen.conversation, {"level": level})
    primary = seen.conversation.primary_link
    if primary is not None:
        want_notes(connection, acting.team_id, {(conversation_id, primary.ref)})


def trust_sender(connection: sa.Connection, acting: Acting, conversation_id: int) -> int:
    """Say that the newest message whose sender the provider refused is genuine: it counts as if it just arrived.

    It joins what it answers and may link. Returns the conversation it is in now. Raises NotFound, NotAllowed
    (not_owner), Conflict (sender_not_in_doubt).
    """
    conversation = owned_by(connection, acting, conversation_id).conversation
    message = next((each for each in reversed(conversation.messages) if message_verdict(each) == "fail"), None)
    if message is None:
        raise Conflict("sender_not_in_doubt")
    audit(connection, acting, "trust_sender", conversation, {"message": message.internet_id})
    messages.mark_genuine(connection, message.id)
    return ingest.place_again(connection, acting.team_id, message, acting.now)


def item_to_link(connection: sa.Connection, acting: Acting, ref: ItemRef) -> Item:
    """Return the item that a conversation is to be linked to.

    Raises NotFound (item_unknown), Conflict (item_deleted, kind_not_linkable).
    """
    if ref.kind not in ITEM_KINDS:
        raise Conflict("kind_not_linkable", kind=ref.kind)
    item = mirror.item(connection, ref)
    if item is None or mirror.hidden(connection, acting.member, [ref]):  # what the CRM hides is not there (C13)
        raise NotFound("item_unknown", item=str(ref))
    if item.state == "deleted":
        raise Conflict("item_deleted", item=item.title)
    return item


def _refusal(seen: Seen, item: Item, *, move: bool) -> RequestRefused | None:
    if not seen.may_link:
        return NotAllowed("not_owner")
    primary = seen.conversation.primary_link
    if primary is not None and primary.ref == item.ref:
        return Conflict("already_linked", item=item.title, kind=item.ref.kind)
    if primary is not None and not move:
        return Conflict("already_linked", item=primary.title, kind=primary.ref.kind)
    return None


def link_all(
    connection: sa.Connection,
    acting: Acting,
    asked: Sequence[Seen],
    item: Item,
    *,
    move: bool,
    origin: Origin = "manual",
) -> dict[int, RequestRefused]:
    """Link those that may be linked, as somebody's choice; return why the others were not."""
    found = {each.conversation.id: _refusal(each, item, move=move) for each in asked}
    refusals = {key: refusal for key, refusal in found.items() if refusal is not None}
    willing = [each for each in asked if each.conversation.id not in refusals]
    ids = [each.conversation.id for each in willing]
    moved = [(each.conversation, each.conversation.primary_link) for each in willing]
    audit_all(
        connection,
        acting,
        "link",
        [
            (
                conversation,
                {"item": str(item.ref), "moved": primary is not None},
                [item.ref, *([primary.ref] if primary else [])],
            )
            for conversation, primary in moved
        ],
    )
    _take_off(
        connection, acting, [(conversation.id, primary) for conversation, primary in moved if primary], "replaced"
    )
    rows.unbury(connection, {(each, item.ref) for each in ids})
    rows.undismiss(connection, ids, acting.now)
    rows.add(
        connection,
        acting.team_id,
        [
            rows.NewLink(
                each.conversation.id,
                item.ref,
                item.title,
                True,
                origin,
                acting.now,
                made_by=acting.member.id,
                counterparts=counterparts_digest(each.conversation, each.ours),
                batch_id=acting.batch_id,
            )
            for each in willing
        ],
    )
    want_notes(connection, acting.team_id, {(each, item.ref) for each in ids})
    return refusals


def _dismiss(connection: sa.Connection, acting: Acting, settled: Sequence[Conversation]) -> None:
    audit_all(connection, acting, "dismiss", [(conversation, {}, []) for conversation in settled])
    rows.dismiss(connection, acting.team_id, _candidates(connection, settled), acting.now, acting.member.id)


def _take_off(connection: sa.Connection, acting: Acting, ended: Collection[tuple[int, Link]], why: str) -> None:
    """End primary links, (conversation, link), so that automatic linking does not put them back."""
    ids = [link.id for _, link in ended]
    rows.remove(connection, ids, why=why, at=acting.now, by=acting.member.id, batch_id=acting.batch_id)
    stones = [(key, Tombstone(link.ref, acting.member.name, acting.now, link.title)) for key, link in ended]
    rows.bury(connection, acting.team_id, stones, acting.member.id)
    want_notes(connection, acting.team_id, {(key, link.ref) for key, link in ended})


def _candidates(connection: sa.Connection, asked: Sequence[Conversation]) -> dict[int, frozenset[str]]:
    """Return what each conversation could be linked to, as the CRM is now."""
    given = inputs(connection, asked, surroundings(connection)) if asked else []
    return {
        each.conversation.id: frozenset(str(c.ref) for c in decide(each).candidates if c.ruled_out is None)
        for each in given
    }


# --- what a change in the CRM does ---


def follow_items(connection: sa.Connection, team_id: int, changed: Changed, now: datetime) -> None:
    """Let links follow their items: deleted ends them, restored returns them, converted or merged moves them (S12)."""
    if not (changed.deleted or changed.restored or changed.merges):
        return
    ingest.lock_team(connection, team_id)  # a link that is being made to one of these must not be missed
    ended = rows.to_records(connection, changed.deleted) if changed.deleted else []
    rows.remove(connection, [row.id for row in ended], why="item_deleted", at=now)
    back = rows.to_records(connection, changed.restored, ended_because="item_deleted") if changed.restored else []
    returned = rows.bring_back(connection, [row.id for row in back], now)
    moved: list[Any] = []
    for merge in changed.merges:
        stood = rows.to_records(connection, [merge.gone])
        moved += stood
        rows.remove(connection, [row.id for row in stood], why="merged", at=now)
        rows.follow_tombstones(connection, merge.gone, merge.into)
        rows.add(
            connection,
            team_id,
            [
                rows.NewLink(
                    row.conversation_id,
                    merge.into,
                    row.title,
                    row.is_primary,
                    row.origin,
                    row.made_at,
                    made_by=row.made_by,
                    decision_id=row.decision_id,
                    counterparts=bytes(row.counterparts) if row.counterparts else None,
                    batch_id=str(row.batch_id) if row.batch_id else None,
                )
                for row in stood
            ],
        )
        want_notes(connection, team_id, {(row.conversation_id, merge.into) for row in stood if row.is_primary})
    want_notes(connection, team_id, rows.primary_refs([*ended, *returned, *moved]))
