"""What today's policy, or a changed one, would do with the mail of the last days: a report that changes nothing (B3).

Each conversation is decided on as if nothing automatic had happened to it: its automatic link is left out, links made
by hand and tombstones stand (T4, T6). Items are looked at as the CRM is now. Computed for its reader (conversations.md
V4): only conversations that this member may link, and no more of each than the member may read.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from app import deciding
from app.acting import Seen, may_name, see
from app.linking.decide import decide
from app.linking.reasons import sentence
from app.model import Conversation, Decision, ItemRef, Member, Policy
from app.store import mirror

Kind = Literal["would_link", "would_choose", "would_differ"]
MOST = 10_000  # conversations of one report, the newest
_AT_ONCE = 200  # conversations read with one set of queries
_AUTOMATIC = frozenset({"automatic", "rule_replay"})


@dataclass(frozen=True, slots=True)
class Difference:
    """A conversation with which the policy would do something else than what stands."""

    kind: Kind
    conversation: str  # its public id
    subject: str | None
    at: datetime  # of the message that would trigger it, as far as the reader may know of it
    linked_to: ItemRef | None
    linked_title: str  # "" for an item that the CRM hides from the reader, like item_title
    item: ItemRef | None  # what it would be linked to
    item_title: str
    reason: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Report:
    """What would change, newest first, and how many conversations were looked at."""

    since: datetime
    looked_at: int
    is_cut: bool  # there were more than MOST
    differences: tuple[Difference, ...]

    def count(self, kind: Kind) -> int:
        """Return how many conversations differ in this way."""
        return sum(difference.kind == kind for difference in self.differences)


def replay(
    connection: sa.Connection, member: Member, since: datetime, policy: Policy | None = None, locale: str = "en"
) -> Report:
    """Say what the policy (the team's own without one) would do with every conversation that had mail since then."""
    around = deciding.surroundings(connection)
    if policy is not None:
        around = replace(around, policy=policy)
    ids = _with_mail_since(connection, since)
    looked_at, found = 0, []
    for start in range(0, min(len(ids), MOST), _AT_ONCE):
        some = ids[start : min(start + _AT_ONCE, MOST)]
        seen = {key: each for key, each in see(connection, member, some).items() if each.may_link}
        looked_at += len(seen)
        undecided = [_without_automatic_link(each.conversation) for each in seen.values()]
        told = [(seen[g.conversation.id], decide(g)) for g in deciding.inputs(connection, undecided, around)]
        named = may_name(connection, member, told)
        hidden = mirror.hidden(connection, member, {decision.item for _, decision in told if decision.item})
        for each, decision in told:
            params = decision.params if each.conversation.id in named else {}
            difference = _difference(each, replace(decision, params=params), hidden, locale)
            if difference is not None:
                found.append(difference)
    found.sort(key=lambda each: (each.at, each.conversation), reverse=True)
    return Report(since, looked_at, len(ids) > MOST, tuple(found))


def _with_mail_since(connection: sa.Connection, since: datetime) -> list[int]:
    """Return the conversations with mail since then, the newest first, one more than MOST at the most."""
    rows = connection.execute(  # ix_conversation_recent
        sa.text(
            "SELECT id FROM conversation WHERE last_message_at >= :since AND merged_into IS NULL"
            " ORDER BY last_message_at DESC, id DESC LIMIT :most"
        ),
        {"since": since, "most": MOST + 1},
    )
    return list(rows.scalars())


def _without_automatic_link(conversation: Conversation) -> Conversation:
    primary = conversation.primary_link
    if primary is None or primary.origin not in _AUTOMATIC:
        return conversation
    return replace(conversation, links=tuple(link for link in conversation.links if link is not primary))


def _difference(seen: Seen, decision: Decision, hidden: Collection[ItemRef], locale: str) -> Difference | None:
    """Compare a decision with what stands; what the CRM hides from the reader has no title."""
    conversation = seen.conversation
    primary, kind = conversation.primary_link, _kind(conversation, decision)
    if kind is None:
        return None
    known = seen.known
    trigger = next((message for message in known if message.id == decision.trigger_id), known[-1])
    return Difference(
        kind=kind,
        conversation=conversation.public_id,
        subject=seen.subject,
        at=trigger.at,
        linked_to=primary.ref if primary else None,
        linked_title=primary.title if primary and seen.sees_item else "",
        item=decision.item,
        item_title="" if decision.item in hidden else decision.item_title,
        reason=decision.reason,
        sentence=sentence(decision.reason, decision.params, locale),
    )


def _kind(conversation: Conversation, decision: Decision) -> Kind | None:
    primary = conversation.primary_link
    if primary is not None:
        if primary.origin not in _AUTOMATIC or decision.item == primary.ref:
            return None
        return "would_differ"
    if decision.outcome == "link":
        return "would_link"
    return "would_choose" if decision.outcome == "ambiguous" and not conversation.dismissed else None
