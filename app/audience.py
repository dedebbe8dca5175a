"""Who may read a conversation: now, and once it is linked to another item (B7).

What is said of others is itself judged for who asks: a copy in a mailbox that the member may not know of (it would say
who was in Bcc) does not show, and neither does what only that copy would open.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import sqlalchemy as sa

from app.acting import Seen
from app.linking.visibility import LEVELS, Reader, message_level
from app.model import Conversation, Item, ItemRef, Level, Link, Member
from app.store import mirror, teams
from app.store.mirror import Audience

Why = Literal["owner", "item", "administrator"]
_ANYBODY = Reader(0, False, frozenset())  # who holds no copy and sees the item


@dataclass(frozen=True, slots=True)
class Witness:
    """A member of the team who may read something of a conversation: how much, and why."""

    member_id: int  # two members may have one name
    name: str
    level: Level
    why: Why


@dataclass(frozen=True, slots=True)
class Preview:
    """What linking to an item would change: who could read more than now, and what the CRM's note would hold."""

    more: tuple[Witness, ...]
    level: Level  # what everybody who sees the item there reads in the note


Sighted = Sequence[tuple[Member, Audience]]  # the members of the team, each with what the CRM shows them


def sighted(connection: sa.Connection) -> Sighted:
    """Return the members of the team, each with what the CRM shows them; two queries."""
    members = teams.members(connection)
    sees = mirror.audiences(connection, members)
    return [(member, sees.get(member.id, Audience())) for member in members]


def previews(
    connection: sa.Connection, wanted: Collection[tuple[Seen, Collection[ItemRef]]]
) -> list[dict[ItemRef, Preview]]:
    """Return, for each conversation, what linking it to each of the items would change (B7).

    An item that is not in the mirror is left out. Three queries, however many conversations.
    """
    everybody = sighted(connection)
    linked = [seen.conversation.primary_link for seen, _ in wanted]
    known = mirror.items(
        connection, {ref for _, refs in wanted for ref in refs} | {each.ref for each in linked if each}
    )
    found = []
    for (seen, refs), link in zip(wanted, linked, strict=True):
        readership = Readership(everybody, seen)
        now = readership.now(known.get(link.ref) if link else None)
        found.append(readership.after({ref: known[ref] for ref in refs if ref in known}, now))
    return found


def same(shown: Collection[Preview]) -> Preview | None:
    """Return what all of these say; None when they differ, or there is none."""
    first = next(iter(shown), None)
    return first if all(each == first for each in shown) else None


def together(shown: Collection[Preview]) -> Preview:
    """Return what linking several conversations at once would change; of each member and the note the most of any."""
    more: dict[int, Witness] = {}
    for each in (witness for preview in shown for witness in preview.more):
        known = more.get(each.member_id)
        if known is None or LEVELS.index(each.level) > LEVELS.index(known.level):
            more[each.member_id] = each
    levels = (preview.level for preview in shown)
    return Preview(tuple(more.values()), max(levels, key=LEVELS.index, default="private"))


class Readership:
    """Who may read one conversation, as far as the member who asks may know; nothing is asked of the database."""

    def __init__(self, everybody: Sighted, seen: Seen) -> None:
        self._everybody = [(m, sees, Reader.of(m, seen.accounts).account_ids) for m, sees in everybody]
        self._seen = seen
        self._conversation = _of_copies(seen, {account.id for account in seen.known_accounts})

    def now(self, item: Item | None) -> tuple[Witness, ...]:
        """Return who may read it now; `item` is the linked one, as far as the mirror knows it."""
        return self._readers(self._conversation, item)

    def after(self, items: Mapping[ItemRef, Item], now: tuple[Witness, ...]) -> dict[ItemRef, Preview]:
        """Return what a link to each of the items would change."""
        had = {each.member_id: each.level for each in now}
        found: dict[ItemRef, Preview] = {}
        for ref, item in items.items():
            linked = replace(self._conversation, links=(_as_linked(item),))
            more = [
                each
                for each in self._readers(linked, item)
                if LEVELS.index(each.level) > LEVELS.index(had.get(each.member_id, "private"))
            ]
            found[ref] = Preview(tuple(more), self._shared(linked))
        return found

    def shared(self) -> Level:
        """Return how much of it everybody who sees the linked item may read."""
        return self._shared(self._conversation)

    def _readers(self, conversation: Conversation, item: Item | None) -> tuple[Witness, ...]:
        shared = self._shared(conversation)
        copies = {copy.account_id for message in conversation.messages for copy in message.copies}
        found = []
        for member, audience, own in self._everybody:
            sees_item = item is None or audience.sees(item)
            if own & copies:
                found.append(Witness(member.id, member.name, "full", "owner"))
            elif sees_item and shared != "private":
                found.append(Witness(member.id, member.name, shared, "item"))
            elif member.role == "admin":
                found.append(Witness(member.id, member.name, "metadata", "administrator"))
        return tuple(found)

    def _shared(self, conversation: Conversation) -> Level:
        if conversation.primary_link is None:
            return "private"
        levels = (
            message_level(_ANYBODY, message, conversation, self._seen.accounts, self._seen.ours)
            for message in conversation.messages
        )
        return max(levels, key=LEVELS.index, default="private")


def _of_copies(seen: Seen, accounts: Collection[int]) -> Conversation:
    """Return the conversation with the copies of these accounts alone."""
    messages = (
        replace(message, copies=tuple(copy for copy in message.copies if copy.account_id in accounts))
        for message in seen.known
    )
    return replace(seen.conversation, messages=tuple(each for each in messages if each.copies))


def _as_linked(item: Item) -> Link:
    return Link(0, item.ref, True, "manual", None, item.created_at, item.title)
