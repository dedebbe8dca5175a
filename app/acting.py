"""A person who acts on conversations: what that member may see and change, and the trail by which it is taken back."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import ingest
from app.errors import NotAllowed, NotFound
from app.linking.addresses import is_ours
from app.linking.visibility import Reader, may_link, may_see, message_level, readable_copy, visible_bcc
from app.model import Account, Conversation, Copy, Decision, ItemRef, Level, Member, Message, Ours
from app.store import accounts as account_rows
from app.store import conversations, mirror
from app.store import links as rows

NOBODYS = 0  # the id of no conversation: looked at like another member's, so the answers cannot be told apart


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts, in which team, when. One batch id for one action of a person, however many conversations it meets."""

    team_id: int
    member: Member
    now: datetime
    batch_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True, slots=True)
class Seen:
    """A conversation a member may see, with what rights are judged by."""

    conversation: Conversation
    accounts: tuple[Account, ...]
    ours: Ours
    reader: Reader
    member: Member
    sees_item: bool = True  # whether the CRM shows the linked item to the member (C13)

    @property
    def may_link(self) -> bool:
        """Whether the member is an owner of the conversation or an administrator (S14)."""
        return may_link(self.reader, self.conversation)

    @property
    def owns(self) -> bool:
        """Whether the member is an owner of the conversation, not counting what an administrator may."""
        return may_link(self.reader.without_administration(), self.conversation)

    @property
    def subject(self) -> str | None:
        """The subject of the first message whose subject the member may read."""
        readable = (m.subject for m in self.conversation.messages if self.level_of(m) in ("subject", "full"))
        return next(readable, None)

    @property
    def known(self) -> tuple[Message, ...]:
        """The messages that exist for the member, oldest first; there is at least one."""
        return tuple(message for message in self.conversation.messages if self.level_of(message) != "private")

    @property
    def snippet(self) -> str:
        """The beginning of the newest message that the member may read; "" for none."""
        newest = next((message for message in reversed(self.known) if self.level_of(message) == "full"), None)
        copy = self.copy_of(newest) if newest else None
        return copy.snippet if copy else ""

    @property
    def addresses(self) -> frozenset[str]:
        """Every address on the messages that exist for the member, those in Bcc as far as the member sees them."""
        shown = (person for message in self.known for person in message.participants)
        hidden = (person for message in self.known for person in visible_bcc(self.reader, message))
        return frozenset(person.address for people in (shown, hidden) for person in people)

    @property
    def known_accounts(self) -> tuple[Account, ...]:
        """The accounts of which the member may know that they hold copies.

        A copy in the mailbox of somebody who is not named on the message says who was in Bcc.
        """
        holding = {copy.account_id for message in self.known for copy in message.copies}
        named = self.addresses
        return tuple(
            account
            for account in self.accounts
            if account.id in holding
            and (
                account.id in self.reader.account_ids or not named.isdisjoint({account.address, *account.own_addresses})
            )
        )

    @property
    def counterparts(self) -> dict[str, str]:
        """Who else takes part as far as the member may know, address to name ("" for none), who wrote last first."""
        found: dict[str, str] = {}
        for message in reversed(self.known):
            for person in message.participants:
                if person.role != "reply_to" and not is_ours(person.address, self.ours):
                    found[person.address] = found.get(person.address) or person.name
        return found

    def level_of(self, message: Message) -> Level:
        """Return how much of a message the member may read."""
        return message_level(
            self.reader, message, self.conversation, self.accounts, self.ours, sees_item=self.sees_item
        )

    def own_copy_of(self, message: Message) -> Copy | None:
        """Return the copy of a message in one of the member's own accounts, if there is one.

        One that lies in a mailbox goes before one that was sent to Smart BCC: there it can be read again.
        """
        mine = [copy for copy in message.copies if copy.account_id in self.reader.account_ids and not copy.deleted]
        sent_here = {each.id for each in self.accounts if each.provider == account_rows.SMART_BCC}
        return min(mine, key=lambda copy: copy.account_id in sent_here, default=None)

    def copy_of(self, message: Message) -> Copy | None:
        """Return the copy of a message whose text the member may read, if there is one."""
        return self.own_copy_of(message) or readable_copy(
            self.reader, message, self.conversation, self.accounts, self.ours, sees_item=self.sees_item
        )


def see(connection: sa.Connection, member: Member, conversation_ids: Collection[int]) -> dict[int, Seen]:
    """Return those of the conversations that the member may see."""
    accounts = tuple(account_rows.accounts(connection))
    ours = account_rows.ours(connection)
    reader = Reader.of(member, accounts)
    found = conversations.load(connection, conversation_ids)
    linked = {each.id: each.primary_link.ref for each in found if each.primary_link}
    hidden = mirror.hidden(connection, member, set(linked.values()))
    return {
        each.id: Seen(each, accounts, ours, reader, member, sees_item)
        for each in found
        if may_see(reader, each, accounts, ours, sees_item=(sees_item := linked.get(each.id) not in hidden))
    }


def see_one(connection: sa.Connection, member: Member, public_id: str) -> Seen:
    """Return one conversation as a member sees it, for a question about it. Raises NotFound."""
    conversation_id = conversations.id_of(connection, public_id) or NOBODYS
    seen = see(connection, member, [conversation_id]).get(conversation_id)
    if seen is None:
        raise NotFound
    return seen


def may_name(connection: sa.Connection, member: Member, told: Collection[tuple[Seen, Decision]]) -> frozenset[int]:
    """Return the conversations whose decision's sentence may name people and items to the member.

    They are those of which the member reads every message and is shown every record by the CRM (V4, C13). In a list the
    others are told the reason alone; explain() says of one conversation what may be known of it.
    """
    named = {seen.conversation.id: records_of(decision) for seen, decision in told}
    hidden = mirror.hidden(connection, member, frozenset().union(*named.values()))
    return frozenset(
        seen.conversation.id
        for seen, _ in told
        if seen.sees_item
        and hidden.isdisjoint(named[seen.conversation.id])
        and all(seen.level_of(message) == "full" for message in seen.conversation.messages)
    )


def records_of(decision: Decision) -> frozenset[ItemRef]:
    """Return every record that the sentence of a decision may name."""
    items = {candidate.ref for candidate in decision.candidates} | ({decision.item} if decision.item else set())
    return frozenset(items.union(decision.persons, decision.organizations))


def lock_and_see(connection: sa.Connection, acting: Acting, conversation_ids: Collection[int]) -> dict[int, Seen]:
    """Return those of the conversations that who acts may see; nobody else changes them before the transaction ends."""
    ingest.lock_team(connection, acting.team_id)
    return see(connection, acting.member, conversation_ids)


def seen_by(connection: sa.Connection, acting: Acting, conversation_id: int) -> Seen:
    """Return a conversation as who acts sees it, to change it. Raises NotFound."""
    seen = lock_and_see(connection, acting, [conversation_id]).get(conversation_id)
    if seen is None:
        raise NotFound
    return seen


def owned_by(connection: sa.Connection, acting: Acting, conversation_id: int) -> Seen:
    """Return a conversation that who acts may link (S14). Raises NotFound, NotAllowed (not_owner)."""
    seen = seen_by(connection, acting, conversation_id)
    if not seen.may_link:
        raise NotAllowed("not_owner")
    return seen


def act_once(connection: sa.Connection, acting: Acting, work: Callable[[], None]) -> bool:
    """Do something that a repeated request must not repeat; False when this very action was done before.

    Nobody else acts in the team before the transaction ends, so two requests that come at once are told apart too.
    """
    ingest.lock_team(connection, acting.team_id)
    if rows.audited(connection, acting.batch_id):
        return False
    work()
    return True


# --- the trail ---


def audit(
    connection: sa.Connection,
    acting: Acting,
    action: str,
    conversation: Conversation,
    detail: Mapping[str, Any],
    items: Collection[ItemRef] = (),
) -> None:
    """Write who did what, with what stood before, so that the action can be taken back.

    `items` are those whose tombstones the action sets or removes.
    """
    audit_all(connection, acting, action, [(conversation, detail, items)])


def audit_all(
    connection: sa.Connection,
    acting: Acting,
    action: str,
    done: Sequence[tuple[Conversation, Mapping[str, Any], Collection[ItemRef]]],
) -> None:
    """Write for many conversations what audit() writes for one: (conversation, detail, items)."""
    known = rows.dismissed_candidates(connection, [conversation.id for conversation, *_ in done])
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
                "detail": {
                    **detail,
                    "items": [ref_json(ref) for ref in items],
                    "before": _before(conversation, items, known.get(conversation.id)),
                },
            }
            for conversation, detail, items in done
        ],
    )


def _before(conversation: Conversation, items: Collection[ItemRef], known: frozenset[str] | None) -> dict[str, Any]:
    return {
        "tombstones": [
            {
                "ref": ref_json(tombstone.ref),
                "title": tombstone.title,
                "member_name": tombstone.member_name,
                "at": tombstone.at.isoformat(),
            }
            for tombstone in conversation.tombstones
            if tombstone.ref in items
        ],
        "dismissed": None if known is None else sorted(known),
        "visibility": conversation.visibility,
    }


def ref_json(ref: ItemRef) -> dict[str, Any]:
    """Return a record's name as the fields of an ItemRef."""
    return {"kind": ref.kind, "external_id": ref.external_id, "connection_id": ref.connection_id}
