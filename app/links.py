"""What a person, or a change in the CRM, does to a conversation: link, unlink, link elsewhere, bulk, dismiss, undo.

Everything runs in the caller's transaction under the team's row-level security, writes the audit trail, and asks for
the CRM note to be looked at in the same transaction, so that a committed change always reaches the CRM.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from app.deciding import counterparts_digest, record_only, want_notes
from app.errors import Conflict, NotAllowed, NotFound, RequestRefused
from app.linking.visibility import Reader, may_link, may_see, message_level
from app.model import (
    ITEM_KINDS,
    Account,
    Conversation,
    Item,
    ItemRef,
    Level,
    Link,
    Member,
    Message,
    Ours,
    Tombstone,
)
from app.store import accounts as account_rows
from app.store import conversations, decisions, mirror
from app.store import links as rows
from app.store.mirror import Changed


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts, in which team, when. One batch id for one action of a person, however many conversations it meets."""

    team_id: int
    member: Member
    now: datetime
    batch_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What a bulk action did: the conversations it linked, and one reason code for each that it did not."""

    batch_id: str
    linked: tuple[int, ...]
    not_linked: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Seen:
    """A conversation a member may see, with what rights are judged by."""

    conversation: Conversation
    accounts: tuple[Account, ...]
    ours: Ours
    reader: Reader

    @property
    def may_link(self) -> bool:
        """Whether the member is an owner of the conversation or an administrator (S14)."""
        return may_link(self.reader, self.conversation)

    @property
    def reads_subject(self) -> bool:
        """Whether the member may read the subject of some message."""
        return any(self.level_of(message) in ("subject", "full") for message in self.conversation.messages)

    def level_of(self, message: Message) -> Level:
        """Return how much of a message the member may read."""
        return message_level(self.reader, message, self.conversation, self.accounts, self.ours)


# --- what a person does ---


def see(connection: sa.Connection, member: Member, conversation_ids: Collection[int]) -> dict[int, Seen]:
    """Return those of the conversations that the member may see."""
    accounts = tuple(account_rows.accounts(connection))
    ours = account_rows.ours(connection)
    reader = Reader.of(member, accounts)
    return {
        conversation.id: Seen(conversation, accounts, ours, reader)
        for conversation in conversations.load(connection, conversation_ids)
        if may_see(reader, conversation, accounts, ours)
    }


def link(connection: sa.Connection, acting: Acting, conversation_id: int, ref: ItemRef, *, move: bool = False) -> None:
    """Link a conversation to an item by hand.

    Raises NotFound, NotAllowed (not_owner), Conflict (item_deleted, already_linked: ask, then call with `move`).
    """
    item = _item(connection, ref)
    seen = _seen(connection, acting, conversation_id)
    refusal = _link_one(connection, acting, seen, item, move=move)
    if refusal is not None:
        raise refusal


def bulk_link(
    connection: sa.Connection,
    acting: Acting,
    conversation_ids: Sequence[int],
    ref: ItemRef,
    *,
    elsewhere: Literal["skip", "move"] = "skip",
) -> BulkResult:
    """Link many conversations to one item as one batch; each one refused is listed with its reason."""
    item = _item(connection, ref)
    seen = see(connection, acting.member, conversation_ids)
    linked: list[int] = []
    not_linked: dict[int, str] = {}
    for conversation_id in dict.fromkeys(conversation_ids):
        if conversation_id not in seen:
            not_linked[conversation_id] = "not_found"
            continue
        refusal = _link_one(connection, acting, seen[conversation_id], item, move=elsewhere == "move")
        if refusal is None:
            linked.append(conversation_id)
        else:
            not_linked[conversation_id] = refusal.reason
    return BulkResult(acting.batch_id, tuple(linked), not_linked)


def unlink(connection: sa.Connection, acting: Acting, conversation_id: int) -> None:
    """Take the primary link off; automatic linking does not put it back (T4).

    Raises NotFound, NotAllowed (not_owner), Conflict (not_linked).
    """
    seen = _owned(connection, acting, conversation_id)
    primary = seen.conversation.primary_link
    if primary is None:
        raise Conflict("not_linked")
    _take_off(connection, acting, seen.conversation, primary, why="unlinked")
    _audit(connection, acting, "unlink", seen.conversation, {"item": str(primary.ref)})
    (now,) = conversations.load(connection, [conversation_id])
    record_only(connection, acting.team_id, now, acting.now)


def dismiss(connection: sa.Connection, acting: Acting, conversation_id: int) -> None:
    """Say that a conversation is not about any item, until it has a new candidate."""
    seen = _owned(connection, acting, conversation_id)
    decision = decisions.current(connection, [conversation_id]).get(conversation_id)
    known = [str(c.ref) for c in decision.decision.candidates if c.ruled_out is None] if decision else []
    rows.dismiss(connection, acting.team_id, conversation_id, known, acting.now, acting.member.id)
    _audit(connection, acting, "dismiss", seen.conversation, {})


def set_visibility(connection: sa.Connection, acting: Acting, conversation_id: int, level: Level | None) -> None:
    """Set who may read a conversation; only its owners may, and its note follows in the same job (V5)."""
    seen = _seen(connection, acting, conversation_id)
    if not may_link(seen.reader.without_administration(), seen.conversation):
        raise NotAllowed("not_owner")
    connection.execute(
        sa.text("UPDATE conversation SET visibility = :level WHERE id = :id"), {"id": conversation_id, "level": level}
    )
    _audit(connection, acting, "set_visibility", seen.conversation, {"level": level})
    primary = seen.conversation.primary_link
    if primary is not None:
        want_notes(connection, acting.team_id, {(conversation_id, primary.ref)})


def undo(connection: sa.Connection, acting: Acting, batch_id: str) -> list[int]:
    """Take an action back: what it made ends, what it ended returns, and no tombstone is left (T4).

    Returns the conversations it touched. Raises NotFound for an unknown batch, NotAllowed (not_owner).
    """
    trail = rows.audited(connection, batch_id)
    touched = sorted({entry.conversation_id for entry in trail if entry.conversation_id})
    seen = see(connection, acting.member, touched)
    if not seen:
        raise NotFound
    if not all(conversation.may_link for conversation in seen.values()):
        raise NotAllowed("not_owner")
    made_and_ended = rows.of_batch(connection, batch_id)
    made = [row.id for row in made_and_ended if str(row.batch_id) == batch_id and row.removed_at is None]
    ended = [row.id for row in made_and_ended if str(row.removed_batch_id) == batch_id]
    rows.remove(connection, made, why="undone", at=acting.now, by=acting.member.id, batch_id=acting.batch_id)
    rows.bring_back(connection, ended)
    for entry in trail:
        _restore(connection, acting, entry)
    for conversation_id in touched:
        if conversation_id in seen:
            _audit(connection, acting, "undo", seen[conversation_id].conversation, {"batch_id": batch_id})
    want_notes(
        connection,
        acting.team_id,
        {
            (row.conversation_id, ItemRef(row.kind, row.external_id, row.crm_connection_id))
            for row in made_and_ended
            if row.is_primary
        },
    )
    return touched


def _seen(connection: sa.Connection, acting: Acting, conversation_id: int) -> Seen:
    seen = see(connection, acting.member, [conversation_id]).get(conversation_id)
    if seen is None:
        raise NotFound
    return seen


def _owned(connection: sa.Connection, acting: Acting, conversation_id: int) -> Seen:
    seen = _seen(connection, acting, conversation_id)
    if not seen.may_link:
        raise NotAllowed("not_owner")
    return seen


def _item(connection: sa.Connection, ref: ItemRef) -> Item:
    if ref.kind not in ITEM_KINDS:
        raise Conflict("kind_not_linkable", kind=ref.kind)
    item = mirror.item(connection, ref)
    if item is None:
        raise NotFound("item_unknown", item=str(ref))
    if item.state == "deleted":
        raise Conflict("item_deleted", item=item.title)
    return item


def _link_one(
    connection: sa.Connection, acting: Acting, seen: Seen, item: Item, *, move: bool
) -> RequestRefused | None:
    conversation = seen.conversation
    if not seen.may_link:
        return NotAllowed("not_owner")
    primary = conversation.primary_link
    if primary is not None and primary.ref == item.ref:
        return Conflict("already_linked", item=item.title, kind=item.ref.kind)
    if primary is not None and not move:
        return Conflict("already_linked", item=primary.title, kind=primary.ref.kind)
    _audit(connection, acting, "link", conversation, {"item": str(item.ref), "moved": primary is not None})
    if primary is not None:
        _take_off(connection, acting, conversation, primary, why="replaced")
    rows.unbury(connection, conversation.id, item.ref)
    rows.undismiss(connection, [conversation.id])
    rows.add(
        connection,
        acting.team_id,
        [
            rows.NewLink(
                conversation.id,
                item.ref,
                item.title,
                True,
                "manual",
                acting.now,
                made_by=acting.member.id,
                counterparts=counterparts_digest(conversation, seen.ours),
                batch_id=acting.batch_id,
            )
        ],
    )
    want_notes(connection, acting.team_id, {(conversation.id, item.ref)})
    return None


def _take_off(
    connection: sa.Connection, acting: Acting, conversation: Conversation, primary: Link, *, why: str
) -> None:
    rows.remove(connection, [primary.id], why=why, at=acting.now, by=acting.member.id, batch_id=acting.batch_id)
    tombstone = Tombstone(primary.ref, acting.member.name, acting.now, primary.title)
    rows.bury(connection, acting.team_id, conversation.id, [tombstone], acting.member.id)
    want_notes(connection, acting.team_id, {(conversation.id, primary.ref)})


def _audit(
    connection: sa.Connection, acting: Acting, action: str, conversation: Conversation, detail: Mapping[str, Any]
) -> None:
    """Write who did what, with what stood before, so that the action can be taken back."""
    before = {
        "tombstones": [
            {
                "kind": tombstone.ref.kind,
                "external_id": tombstone.ref.external_id,
                "connection_id": tombstone.ref.connection_id,
                "title": tombstone.title,
                "member_name": tombstone.member_name,
                "at": tombstone.at.isoformat(),
            }
            for tombstone in conversation.tombstones
        ],
        "dismissed": conversation.dismissed,
        "visibility": conversation.visibility,
    }
    rows.audit(
        connection,
        acting.team_id,
        [
            {
                "at": acting.now,
                "member_id": acting.member.id,
                "action": action,
                "conversation_id": conversation.id,
                "batch_id": acting.batch_id,
                "detail": {**detail, "before": before},
            }
        ],
    )


def _restore(connection: sa.Connection, acting: Acting, entry: sa.Row[Any]) -> None:
    """Put tombstones, dismissal and visibility back to what stood before an audited action."""
    before = entry.detail["before"]
    rows.unbury(connection, entry.conversation_id)
    rows.bury(
        connection,
        acting.team_id,
        entry.conversation_id,
        [
            Tombstone(
                ItemRef(t["kind"], t["external_id"], t["connection_id"]),
                t["member_name"],
                datetime.fromisoformat(t["at"]),
                t["title"],
            )
            for t in before["tombstones"]
        ],
        None,
    )
    if entry.action == "dismiss" and not before["dismissed"]:
        rows.undismiss(connection, [entry.conversation_id])
    if entry.action == "link" and before["dismissed"]:
        rows.dismiss(connection, acting.team_id, entry.conversation_id, [], acting.now, acting.member.id)
    if entry.action == "set_visibility":
        connection.execute(
            sa.text("UPDATE conversation SET visibility = :level WHERE id = :id"),
            {"id": entry.conversation_id, "level": before["visibility"]},
        )


# --- what a change in the CRM does ---


def follow_items(connection: sa.Connection, team_id: int, changed: Changed, now: datetime) -> None:
    """Let links follow their items: deleted ends them, restored returns them, converted or merged moves them (S12)."""
    ended = rows.to_records(connection, changed.deleted) if changed.deleted else []
    rows.remove(connection, [row.id for row in ended], why="item_deleted", at=now)
    back = rows.to_records(connection, changed.restored, ended_because="item_deleted") if changed.restored else []
    returned = rows.bring_back(connection, [row.id for row in back])
    moved: list[Any] = []
    for merge in changed.merges:
        stood = rows.to_records(connection, [merge.gone])
        moved += stood
        rows.remove(connection, [row.id for row in stood], why="merged", at=now)
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
                )
                for row in stood
            ],
        )
        want_notes(connection, team_id, {(row.conversation_id, merge.into) for row in stood if row.is_primary})
    want_notes(
        connection,
        team_id,
        {
            (row.conversation_id, ItemRef(row.kind, row.external_id, row.crm_connection_id))
            for row in (*ended, *returned, *moved)
            if row.is_primary
        },
    )
