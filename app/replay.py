"""What today's policy, or a changed one, would do with the mail of the last days, and doing it as one batch (B3).

Each conversation is decided on as if nothing automatic had happened to it: its automatic link is left out, links made
by hand and tombstones stand (T4, T6). Items are looked at as the CRM is now. Computed for its reader (conversations.md
V4): only conversations that this member may link, and no more of each than the member may read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from app import deciding
from app.acting import Acting, Seen, audit_all, lock_and_see, may_name, records_of, ref_json, see
from app.deciding import Surroundings
from app.linking.decide import decide, digest
from app.linking.reasons import sentence
from app.model import Candidate, Conversation, Decision, DecisionInput, ItemRef, Link, Member, Policy
from app.store import decisions, inbox, mirror
from app.store import links as link_rows

# `would_leave` is what a dry run alone finds: a choice that nobody would be asked for any more.
Kind = Literal["would_link", "would_choose", "would_differ", "would_leave"]
APPLIED: tuple[Kind, ...] = ("would_link", "would_differ")  # a choice is a person's
MOST = 10_000  # conversations of one report, the newest
_AT_ONCE = 200  # conversations read with one set of queries
_AUTOMATIC = frozenset({"automatic", "rule_replay"})


@dataclass(frozen=True, slots=True)
class Found:
    """A conversation that would be decided otherwise, judged for nobody yet."""

    conversation_id: int
    kind: Kind
    linked_to: ItemRef | None
    linked_title: str
    item: ItemRef | None  # what it would be linked to
    item_title: str
    reason: str
    params: Mapping[str, object]
    about: tuple[ItemRef, ...]  # the records that the sentence may name
    trigger_id: int | None

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data, without the conversation."""
        return {
            "kind": self.kind,
            "linked_to": ref_json(self.linked_to) if self.linked_to else None,
            "linked_title": self.linked_title,
            "item": ref_json(self.item) if self.item else None,
            "item_title": self.item_title,
            "reason": self.reason,
            "params": dict(self.params),
            "about": [ref_json(ref) for ref in self.about],
            "trigger_id": self.trigger_id,
        }

    @classmethod
    def of_json(cls, conversation_id: int, stored: Mapping[str, Any]) -> Found:
        """Read what as_json() wrote."""
        refs = {name: ItemRef(**stored[name]) if stored[name] else None for name in ("linked_to", "item")}
        about = tuple(ItemRef(**ref) for ref in stored["about"])
        return cls(conversation_id=conversation_id, **{**stored, **refs, "about": about})


@dataclass(frozen=True, slots=True)
class Difference:
    """A conversation with which the policy would do something else than what stands, as its reader may know it."""

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
    around = under(connection, policy)
    ids = with_mail_since(connection, since)
    looked_at: int = 0
    told: list[Difference] = []
    for start in range(0, min(len(ids), MOST), _AT_ONCE):
        count, found = find(connection, member, ids[start : min(start + _AT_ONCE, MOST)], around)
        looked_at += count
        told += tell(connection, member, found, locale).values()
    told.sort(key=lambda each: (each.at, each.conversation), reverse=True)
    return Report(since, looked_at, len(ids) > MOST, tuple(told))


def under(connection: sa.Connection, policy: Policy | None) -> Surroundings:
    """Return the team's surroundings under a policy; its own without one."""
    around = deciding.surroundings(connection)
    return around if policy is None else replace(around, policy=policy)


def with_mail_since(connection: sa.Connection, since: datetime) -> list[int]:
    """Return the conversations with mail since then, the newest first, one more than MOST at the most."""
    rows = connection.execute(  # ix_conversation_recent
        sa.text(
            "SELECT id FROM conversation WHERE last_message_at >= :since AND merged_into IS NULL"
            " ORDER BY last_message_at DESC, id DESC LIMIT :most"
        ),
        {"since": since, "most": MOST + 1},
    )
    return list(rows.scalars())


def find(
    connection: sa.Connection,
    member: Member,
    ids: Collection[int],
    around: Surroundings,
    *,
    instead_of: Policy | None = None,
) -> tuple[int, list[Found]]:
    """Return how many of the conversations the member may link, and those that would be decided otherwise.

    Otherwise than what stands; with `instead_of` otherwise than under that policy, which is what a change of the policy
    changes.
    """
    seen = {key: each for key, each in see(connection, member, ids).items() if each.may_link}
    undecided = [_without_automatic_link(each.conversation) for each in seen.values()]
    found = []
    for given in deciding.inputs(connection, undecided, around):
        conversation, decision = seen[given.conversation.id].conversation, decide(given)
        if instead_of is None:
            difference = _from_what_stands(conversation, decision)
        else:
            difference = _from_decision(conversation, decide(replace(given, policy=instead_of)), decision)
        if difference is not None:
            found.append(difference)
    return len(seen), found


def tell(connection: sa.Connection, member: Member, found: Collection[Found], locale: str) -> dict[int, Difference]:
    """Return what was found as this member may know it now; what the member may not see is left out."""
    seen = see(connection, member, {each.conversation_id for each in found})
    known = [each for each in found if each.conversation_id in seen]
    named = may_name(connection, member, [(seen[each.conversation_id], _naming(each)) for each in known])
    items = {ref for each in known for ref in (each.item, each.linked_to) if ref}
    hidden = mirror.hidden(connection, member, items)
    return {each.conversation_id: _told(each, seen[each.conversation_id], named, hidden, locale) for each in known}


# --- doing it ---


def apply(
    connection: sa.Connection, acting: Acting, promised: Collection[Found], around: Surroundings
) -> dict[int, str]:
    """Do what a report promised, where it would be decided the same again; return why it was not done for the others.

    `changed_meanwhile`, `not_owner`, `not_found`. A link made by hand is never touched (T6). Everything can be taken
    back by the batch of who acts.
    """
    seen = lock_and_see(connection, acting, {each.conversation_id for each in promised})
    undecided = [_without_automatic_link(each.conversation) for each in seen.values() if each.may_link]
    decided = {g.conversation.id: (g, decide(g)) for g in deciding.inputs(connection, undecided, around)}
    refused = {
        each.conversation_id: why
        for each in promised
        if (why := _refusal(each, seen.get(each.conversation_id), decided.get(each.conversation_id)))
    }
    doing = [each for each in promised if each.conversation_id not in refused]
    standing = {each.conversation_id: seen[each.conversation_id].conversation.primary_link for each in doing}
    _end_links(connection, acting, {key: link for key, link in standing.items() if link is not None})
    _link(connection, acting, [decided[each.conversation_id] for each in doing])
    _audit(connection, acting, [(seen[each.conversation_id].conversation, each) for each in doing])
    inbox.refresh(connection, standing)
    return refused


def _refusal(promised: Found, seen: Seen | None, decided: tuple[DecisionInput, Decision] | None) -> str | None:
    if seen is None:
        return "not_found"
    if decided is None:
        return "not_owner"
    now = _from_what_stands(seen.conversation, decided[1])
    same = now is not None and (now.linked_to, now.item) == (promised.linked_to, promised.item)
    return None if same else "changed_meanwhile"


def _end_links(connection: sa.Connection, acting: Acting, ended: Mapping[int, Link]) -> None:
    """End automatic links; no tombstone is left, for no person took them off."""
    ids = [link.id for link in ended.values()]
    link_rows.remove(connection, ids, why="replaced", at=acting.now, by=acting.member.id, batch_id=acting.batch_id)
    deciding.want_notes(connection, acting.team_id, {(key, link.ref) for key, link in ended.items()})


def _link(connection: sa.Connection, acting: Acting, decided: Sequence[tuple[DecisionInput, Decision]]) -> None:
    stored = decisions.record(
        connection,
        acting.team_id,
        [(given.conversation.id, digest(given), decision) for given, decision in decided],
        acting.now,
    )
    deciding.apply_decisions(
        connection,
        acting.team_id,
        [(given.conversation, decision, stored[given.conversation.id]) for given, decision in decided],
        *deciding.names_of([given for given, _ in decided]),
        acting.now,
        origin="rule_replay",
        made_by=acting.member.id,
        batch_id=acting.batch_id,
    )


def _audit(connection: sa.Connection, acting: Acting, done: Sequence[tuple[Conversation, Found]]) -> None:
    linked = [
        (conversation, {"item": str(each.item), "moved": each.linked_to is not None, "origin": "rule_replay"}, ())
        for conversation, each in done
        if each.item is not None
    ]
    unlinked = [
        (conversation, {"item": str(each.linked_to), "origin": "rule_replay"}, ())
        for conversation, each in done
        if each.item is None
    ]
    audit_all(connection, acting, "link", linked)
    audit_all(connection, acting, "unlink", unlinked)


# --- comparing ---


def _without_automatic_link(conversation: Conversation) -> Conversation:
    primary = conversation.primary_link
    if primary is None or primary.origin not in _AUTOMATIC:
        return conversation
    return replace(conversation, links=tuple(link for link in conversation.links if link is not primary))


def _from_what_stands(conversation: Conversation, decision: Decision) -> Found | None:
    """Compare a decision with how a conversation is linked."""
    primary = conversation.primary_link
    if primary is not None:
        if primary.origin not in _AUTOMATIC or decision.item == primary.ref:
            return None
        return _found(conversation, "would_differ", decision, primary.ref, primary.title)
    if conversation.dismissed:  # a person said that it is about no item
        return None
    if decision.outcome == "link":
        return _found(conversation, "would_link", decision)
    return _found(conversation, "would_choose", decision) if decision.outcome == "ambiguous" else None


def _from_decision(conversation: Conversation, before: Decision, decision: Decision) -> Found | None:
    """Compare a decision with the one under another policy."""
    if (before.outcome, before.item) == (decision.outcome, decision.item):
        return None
    if before.item is not None:
        return _found(conversation, "would_differ", decision, before.item, before.item_title)
    if conversation.dismissed:
        return None
    if decision.item is not None:
        return _found(conversation, "would_link", decision)
    return _found(conversation, "would_choose" if decision.outcome == "ambiguous" else "would_leave", decision)


def _found(
    conversation: Conversation,
    kind: Kind,
    decision: Decision,
    linked_to: ItemRef | None = None,
    linked_title: str = "",
) -> Found:
    return Found(
        conversation_id=conversation.id,
        kind=kind,
        linked_to=linked_to,
        linked_title=linked_title,
        item=decision.item,
        item_title=decision.item_title,
        reason=decision.reason,
        params=decision.params,
        about=tuple(sorted(records_of(decision), key=str)),
        trigger_id=decision.trigger_id,
    )


def _naming(found: Found) -> Decision:
    """Return a decision that names what was found, to ask who may be told of it."""
    return Decision("none", found.reason, candidates=tuple(Candidate(ref, "", None) for ref in found.about))


def _told(found: Found, seen: Seen, named: Collection[int], hidden: Collection[ItemRef], locale: str) -> Difference:
    known = seen.known
    trigger = next((message for message in known if message.id == found.trigger_id), known[-1])
    params = found.params if found.conversation_id in named else {}
    return Difference(
        kind=found.kind,
        conversation=seen.conversation.public_id,
        subject=seen.subject,
        at=trigger.at,
        linked_to=found.linked_to,
        linked_title="" if found.linked_to in hidden else found.linked_title,
        item=found.item,
        item_title="" if found.item in hidden else found.item_title,
        reason=found.reason,
        sentence=sentence(found.reason, params, locale),
    )
