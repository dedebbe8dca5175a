"""Taking back what was done to conversations: an action of a person, by the trail it left, and a merge of threadlink's.

Like links.py everything runs in the caller's transaction and asks for the CRM notes of before and now.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import ingest
from app.acting import NOBODYS, Acting, Seen, audit, audit_all, owned_by, see
from app.deciding import record_only, want_notes
from app.errors import Conflict, NotAllowed, NotFound
from app.linking.blocks import Home, exported
from app.linking.blocks import load as load_blocks
from app.linking.search import words_of
from app.model import Conversation, ItemRef, Level, Message, Tombstone
from app.store import conversations, inbox, merges, work
from app.store import links as rows

# What people did since that leaves nothing of an action to take back.
OVERTAKEN_BY: Mapping[str, frozenset[str]] = {
    "link": frozenset({"link", "unlink"}),
    "unlink": frozenset({"link", "unlink"}),
    "dismiss": frozenset({"dismiss"}),
    "set_visibility": frozenset({"set_visibility"}),
}


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
    rows.bring_back(connection, ended, acting.now)
    _restore(connection, acting, entries)
    taken_back = [(seen[entry.conversation_id].conversation, {"batch_id": batch_id}, ()) for entry in entries]
    audit_all(connection, acting, "undo", taken_back)
    touched = sorted({entry.conversation_id for entry in entries} | may_change)
    _settle(connection, acting, touched, rows.primary_refs(links_changed))
    return touched


def conversations_of_batch(connection: sa.Connection, batch_id: str) -> list[int]:
    """Return the conversations that an action changed."""
    return sorted(_named(rows.audited(connection, batch_id), rows.of_batch(connection, batch_id)))


def may_undo(seen: Seen, action: str) -> bool:
    """Say whether the member may take an action back: whoever might do it."""
    return seen.owns if action == "set_visibility" else seen.may_link


# --- merges ---


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


# --- inside ---


def _restore(connection: sa.Connection, acting: Acting, entries: Sequence[sa.Row[Any]]) -> None:
    """Put what audited actions changed back to what stood before them: tombstones, dismissals, visibility.

    The newest comes first, so that what the oldest found is what stands. As many queries as for one.
    """
    stones: dict[tuple[int, ItemRef], Tombstone | None] = {}
    dismissals: dict[int, list[str] | None] = {}
    levels: dict[int, Level | None] = {}
    for entry in entries:
        before = entry.detail["before"]
        stones |= {(entry.conversation_id, ItemRef(**ref)): None for ref in entry.detail["items"]}
        for t in before["tombstones"]:
            ref = ItemRef(**t["ref"])
            stone = Tombstone(ref, t["member_name"], datetime.fromisoformat(t["at"]), t["title"])
            stones[entry.conversation_id, ref] = stone
        if entry.action in ("link", "dismiss"):
            dismissals[entry.conversation_id] = before["dismissed"]
        if entry.action == "set_visibility":
            levels[entry.conversation_id] = before["visibility"]
    rows.unbury(connection, stones)
    rows.bury(connection, acting.team_id, [(key, stone) for (key, _), stone in stones.items() if stone], None)
    rows.undismiss(connection, dismissals, acting.now)
    known = {key: candidates for key, candidates in dismissals.items() if candidates is not None}
    rows.dismiss(connection, acting.team_id, known, acting.now, acting.member.id)
    conversations.set_visibility(connection, levels)


def _settle(
    connection: sa.Connection, acting: Acting, conversation_ids: Sequence[int], stood: Collection[tuple[int, ItemRef]]
) -> None:
    """Store how conversations stand after something was taken back, and look at their notes of before and now."""
    now = conversations.load(connection, conversation_ids)
    record_only(connection, acting.team_id, now, acting.now)
    stands = {(conversation.id, link.ref) for conversation in now for link in conversation.links if link.is_primary}
    want_notes(connection, acting.team_id, stands | set(stood))


def _placed_anew(conversation: Conversation) -> list[Message]:
    """Work out again how the messages of a conversation came in, and so who has which rights over it."""
    home = Home(conversation.id, conversation.namespace, conversation, conversation.links, conversation.tombstones)
    return [exported(node) for block in load_blocks(conversation, home).tree() for node in block.nodes]


def _named(trail: Sequence[sa.Row[Any]], changed: Sequence[sa.Row[Any]]) -> set[int]:
    """Return the conversations of a batch; a change of the policy names none."""
    return {row.conversation_id for row in (*trail, *changed)} - {None}


def _overtaken(connection: sa.Connection, batch_id: str, trail: Sequence[sa.Row[Any]]) -> frozenset[int]:
    """Return the conversations for which somebody chose otherwise since."""
    later = rows.later_actions(connection, batch_id)
    return frozenset(
        entry.conversation_id
        for entry in trail
        if any((entry.conversation_id, action) in later for action in OVERTAKEN_BY.get(entry.action, ()))
    )
