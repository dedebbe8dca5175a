"""What a person, or a change in the CRM, does to a conversation: link, unlink, link elsewhere, bulk, dismiss, undo.

Everything runs in the caller's transaction under the team's row-level security, writes the audit trail, and asks for
the CRM note to be looked at in the same transaction, so that a committed change always reaches the CRM.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from app import ingest
from app.acting import (
    NOBODYS,
    Acting,
    Seen,
    audit,
    audit_all,
    lock_and_see,
    owned_by,
    restore,
    see,
    seen_by,
)
from app.deciding import counterparts_digest, inputs, record_only, surroundings, want_notes
from app.errors import Conflict, NotAllowed, NotFound, RequestRefused
from app.linking.authenticity import message_verdict
from app.linking.blocks import Home, exported
from app.linking.blocks import load as load_blocks
from app.linking.decide import decide
from app.linking.search import words_of
from app.model import ITEM_KINDS, Conversation, Item, ItemRef, Level, Link, Message, Origin, Tombstone
from app.store import conversations, inbox, merges, messages, mirror, work
from app.store import links as rows
from app.store.mirror import Changed

__all__ = [
    "OVERTAKEN_BY",
    "Acting",
    "BulkResult",
    "Elsewhere",
    "Seen",
    "bulk_dismiss",
    "bulk_link",
    "conversations_of_batch",
    "dismiss",
    "dismissed",
    "follow_items",
    "foresee",
    "item_to_link",
    "link",
    "link_all",
    "may_undo",
    "part",
    "see",
    "set_visibility",
    "trust_sender",
    "undo",
    "undo_merge",
    "unlink",
]  # fmt: skip

# What people did since that leaves nothing of an action to take back.
OVERTAKEN_BY: Mapping[str, frozenset[str]] = {
    "link": frozenset({"link", "unlink"}),
    "unlink": frozenset({"link", "unlink"}),
    "dismiss": frozenset({"dismiss"}),
    "set_visibility": frozenset({"set_visibility"}),
}


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
    _record(connection, acting, [conversation_id])


def dismiss(connection: sa.Connection, acting: Acting, conversation_id: int) -> None:
    """Say that a conversation is not about any item, until it has a new candidate.

    Raises NotFound, NotAllowed (not_owner).
    """
    _dismiss(connection, acting, [owned_by(connection, acting, conversation_id).conversation])


def bulk_dismiss(connection: sa.Connection, acting: Acting, conversation_ids: Sequence[int]) -> list[int]:
    """Say of many conversations that they are not about any item, as one batch; return those of which it was said.

    What is linked, and what the member may not link, is left as it is.
    """
    seen = lock_and_see(connection, acting, conversation_ids)
    found = [each for each in seen.values() if each.may_link and each.conversation.primary_link is None]
    _dismiss(connection, acting, [each.conversation for each in found])
    return [each.conversation.id for each in found]


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


def undo(connection: sa.Connection, acting: Acting, batch_id: str, *, only: Collection[int] | None = None) -> list[int]:
    """Take an action back: what it made ends, what it ended returns, and no tombstone is left (T4).

    What somebody chose for a conversation after it stays. With `only` it is taken back on these conversations alone.
    As many queries as for one. Returns the conversations on which it was taken back. Raises NotFound for an unknown
    batch, NotAllowed (not_owner), Conflict (nothing_to_undo, changed_meanwhile; work_running while the action is not at
    its end).
    """
    if work.is_running(connection, batch_id):
        raise Conflict("work_running")
    ingest.lock_team(connection, acting.team_id)
    trail = [row for row in rows.audited(connection, batch_id) if only is None or row.conversation_id in only]
    changed = [row for row in rows.of_batch(connection, batch_id) if only is None or row.conversation_id in only]
    named = _named(trail, changed)
    seen = see(connection, acting.member, named)  # a conversation that was merged away meanwhile is not among them
    if not seen:
        raise NotFound
    actions = {(row.conversation_id, "link") for row in changed} | {
        (entry.conversation_id, entry.action) for entry in trail
    }
    if not all(
        may_undo(seen[conversation_id], action) for conversation_id, action in actions if conversation_id in seen
    ):
        raise NotAllowed("not_owner")
    overtaken = _overtaken(connection, batch_id, trail)
    undone = rows.taken_back(connection, batch_id)
    left = [e for e in trail if e.action in OVERTAKEN_BY and e.conversation_id in seen.keys() - undone]
    if not left:
        raise Conflict("nothing_to_undo")
    entries = [entry for entry in left if entry.conversation_id not in overtaken]
    if not entries:
        raise Conflict("changed_meanwhile")
    may_change = {row.conversation_id for row in changed if row.conversation_id in seen} - overtaken - undone
    links_changed = [row for row in changed if row.conversation_id in may_change]
    made = [row.id for row in links_changed if str(row.batch_id) == batch_id and row.removed_at is None]
    ended = [row.id for row in links_changed if str(row.removed_batch_id) == batch_id != str(row.batch_id)]
    rows.remove(connection, made, why="undone", at=acting.now, by=acting.member.id, batch_id=acting.batch_id)
    rows.bring_back(connection, ended)
    restore(connection, acting, entries)
    taken_back = [(seen[entry.conversation_id].conversation, {"batch_id": batch_id}, ()) for entry in entries]
    audit_all(connection, acting, "undo", taken_back)
    touched = sorted({entry.conversation_id for entry in entries} | may_change)
    _settle(connection, acting, touched, _primary_refs(links_changed))
    return touched


def conversations_of_batch(connection: sa.Connection, batch_id: str) -> list[int]:
    """Return the conversations that an action changed."""
    return sorted(_named(rows.audited(connection, batch_id), rows.of_batch(connection, batch_id)))


def undo_merge(connection: sa.Connection, acting: Acting, conversation_id: int, merge_id: int) -> int:
    """Take a merge back that threadlink made: each conversation has the messages it had, and they stay apart.

    Messages that came since stay in the conversation that survived. Returns the conversation that is there again.
    Raises NotFound, NotAllowed (not_owner), Conflict (nothing_to_undo; undo_expired after 30 days).
    """
    conversation = owned_by(connection, acting, conversation_id).conversation
    merge = next((row for row in merges.into(connection, conversation_id) if row.id == merge_id), None)
    if merge is None:
        raise Conflict("nothing_to_undo")
    if acting.now - merge.at > merges.UNDO_FOR:
        raise Conflict("undo_expired")
    merges.undo(connection, acting.team_id, merge, acting.now)
    apart = conversations.load(connection, [conversation_id, merge.absorbed_id])
    inbox.write_words(connection, {each.id: words_of(each) for each in apart})
    merges.set_rights(connection, [message for each in apart for message in _placed_anew(each)])
    for each in apart:
        audit(connection, acting, "undo_merge", each, {"merge": merge_id})
    stood = {(conversation_id, link.ref) for link in conversation.links if link.is_primary}
    _settle(connection, acting, [conversation_id, merge.absorbed_id], stood)
    return int(merge.absorbed_id)


def part(connection: sa.Connection, acting: Acting, conversation_id: int, merged: str) -> int:
    """Take back the newest merge that brought a conversation, named by its public id, into this one.

    Returns and raises as undo_merge() does.
    """
    found = merges.into(connection, conversation_id)
    merge = next((row.id for row in found if str(row.absorbed_public_id) == merged), NOBODYS)
    return undo_merge(connection, acting, conversation_id, merge)


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
    rows.undismiss(connection, ids)
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


def _record(connection: sa.Connection, acting: Acting, conversation_ids: Sequence[int]) -> list[Conversation]:
    """Store how conversations stand, so that what is told of them fits; return them."""
    now = conversations.load(connection, conversation_ids)
    record_only(connection, acting.team_id, now, acting.now)
    return now


def _settle(
    connection: sa.Connection, acting: Acting, conversation_ids: Sequence[int], stood: Collection[tuple[int, ItemRef]]
) -> None:
    """Store how conversations stand after something was taken back, and look at their notes of before and now."""
    now = _record(connection, acting, conversation_ids)
    stands = {(conversation.id, link.ref) for conversation in now for link in conversation.links if link.is_primary}
    want_notes(connection, acting.team_id, stands | set(stood))


def _candidates(connection: sa.Connection, asked: Sequence[Conversation]) -> dict[int, frozenset[str]]:
    """Return what each conversation could be linked to, as the CRM is now."""
    given = inputs(connection, asked, surroundings(connection)) if asked else []
    return {
        each.conversation.id: frozenset(str(c.ref) for c in decide(each).candidates if c.ruled_out is None)
        for each in given
    }


def _placed_anew(conversation: Conversation) -> list[Message]:
    """Work out again how the messages of a conversation came in, and so who has which rights over it."""
    home = Home(conversation.id, conversation.namespace, conversation, conversation.links, conversation.tombstones)
    return [exported(node) for block in load_blocks(conversation, home).tree() for node in block.nodes]


def _named(trail: Sequence[sa.Row[Any]], changed: Sequence[sa.Row[Any]]) -> set[int]:
    """Return the conversations of a batch; a change of the policy names none."""
    return {row.conversation_id for row in (*trail, *changed)} - {None}


def may_undo(seen: Seen, action: str) -> bool:
    """Say whether the member may take an action back: whoever might do it."""
    return seen.owns if action == "set_visibility" else seen.may_link


def _overtaken(connection: sa.Connection, batch_id: str, trail: Sequence[sa.Row[Any]]) -> frozenset[int]:
    """Return the conversations for which somebody chose otherwise since."""
    later = rows.later_actions(connection, batch_id)
    return frozenset(
        entry.conversation_id
        for entry in trail
        if any((entry.conversation_id, action) in later for action in OVERTAKEN_BY.get(entry.action, ()))
    )


def _primary_refs(links: Sequence[sa.Row[Any]]) -> set[tuple[int, ItemRef]]:
    return {
        (row.conversation_id, ItemRef(row.kind, row.external_id, row.crm_connection_id))
        for row in links
        if row.is_primary
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
    returned = rows.bring_back(connection, [row.id for row in back])
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
    want_notes(connection, team_id, _primary_refs([*ended, *returned, *moved]))
