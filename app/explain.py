"""Says what a conversation is linked to and why, as plain data for the command line, the demo and later the pages.

describe() is the operator's view. explain() is a member's: everything in it is what that member may see, and what
rests on people or accounts that the member may not know of is left out (conversations.md V4).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from app.linking.addresses import is_ours, match_key
from app.linking.authenticity import direction
from app.linking.reasons import action_label, sentence, utc
from app.linking.visibility import may_see
from app.links import Seen, dismissed
from app.model import (
    Account,
    Candidate,
    Conversation,
    Decision,
    Evidence,
    ItemRef,
    ItemState,
    Link,
    Message,
    Ours,
    Participant,
    Tombstone,
)
from app.store import accounts, conversations, crm, decisions, merges, mirror

States = Mapping[ItemRef, ItemState]


def describe(connection: sa.Connection, conversation_ids: Sequence[int], locale: str) -> list[dict[str, Any]]:
    """Return conversations in the shape of command-line.md, oldest first."""
    by_id = {account.id: account for account in accounts.accounts(connection)}
    ours = accounts.ours(connection)
    current = {i: stored.decision for i, stored in decisions.current(connection, conversation_ids).items()}
    states = _states(connection, current.values())
    calls = _calls(connection, conversation_ids)
    found = sorted(conversations.load(connection, conversation_ids), key=_first)
    return [
        {
            "id": conversation.public_id,
            "subject": conversation.messages[0].subject if conversation.messages else "",
            **_holders([by_id[i] for i in sorted(_holding(conversation.messages)) if i in by_id]),
            "messages": [_message(message, ours) for message in conversation.messages],
            "decision": _decision(decision, states, locale) if (decision := current.get(conversation.id)) else None,
            "link": _link(conversation.primary_link),
            "persons": _related(conversation.links, "person"),
            "organizations": _related(conversation.links, "organization"),
            "crm": calls[conversation.id],
        }
        for conversation in found
    ]


def explain(connection: sa.Connection, seen: Seen, locale: str) -> dict[str, Any]:
    """Return all that a member may know of one conversation: what it is, why, what would change it, and its history."""
    conversation = seen.conversation
    stored = decisions.current(connection, [conversation.id]).get(conversation.id)
    trail = decisions.trail(connection, conversation.id)
    known = Known.to(connection, seen, _named(conversation, [each.decision for each in trail]))
    now = known.of_decision(stored.decision) if stored else None
    return {
        "id": conversation.public_id,
        "subject": seen.subject,
        **_holders(known.accounts),
        "messages": [
            {**_message(message, seen.ours), "readable": seen.level_of(message)} for message in known.messages
        ],
        "decision": _decision(now, _states(connection, [now]), locale) if now else None,
        "link": _link(conversation.primary_link, known.hidden),
        "persons": _related(known.links, "person"),
        "organizations": _related(known.links, "organization"),
        "crm": _calls(connection, [conversation.id])[conversation.id],
        "action": {"code": now.action, "label": action_label(now.action, locale)} if now and now.action else None,
        "trigger": next((m.internet_id for m in known.messages if now and m.id == now.trigger_id), None),
        "may_link": seen.may_link,
        "dismissed": conversation.id in dismissed(connection, [conversation]),
        "claims": _claims(connection, seen),
        "merged": [f"merge/{row.id}" for row in merges.into(connection, conversation.id)] if seen.may_link else [],
        "notes": [
            {
                "item": str(note.ref),
                "state": note.state,
                "error": note.error,
                "written_at": utc(note.written_at) if note.written_at else None,
            }
            for note in crm.notes_of(connection, [conversation.id])
        ],
        "history": [
            {
                "at": utc(earlier.at),
                "outcome": earlier.decision.outcome,
                "reason": earlier.decision.reason,
                "sentence": _sentence(known.of_decision(earlier.decision), locale),
            }
            for earlier in trail
        ],
    }


def decided(connection: sa.Connection, seen: Seen, locale: str) -> list[dict[str, Any]]:
    """Return every stored decision on a conversation as its member may know it, oldest first."""
    conversation = seen.conversation
    trail = decisions.trail(connection, conversation.id)
    known = Known.to(connection, seen, _named(conversation, [each.decision for each in trail]))
    told = [known.of_decision(stored.decision) for stored in trail]
    states = _states(connection, told)
    current = decisions.current(connection, [conversation.id]).get(conversation.id)
    return [
        {
            "at": utc(stored.at),
            "is_current": current is not None and stored.id == current.id,
            **_decision(decision, states, locale),
        }
        for stored, decision in zip(trail, told, strict=True)
    ]


# --- what a member may know ---


@dataclass(frozen=True, slots=True)
class Known:
    """What a member may know of a conversation, for telling a decision to that member.

    `people` are the addresses on the messages that member may see, `names` these and what the CRM calls the
    persons behind them, `links` the related ones; `is_all`: nobody else takes part, and the CRM hides none of them.
    """

    messages: tuple[Message, ...]
    people: frozenset[str]
    names: frozenset[str]
    hidden: frozenset[ItemRef]  # what the CRM does not show to the member (C13)
    hidden_titles: frozenset[str]  # of items that the conversation is linked to, or was
    accounts: tuple[Account, ...]
    links: tuple[Link, ...]
    is_all: bool

    @classmethod
    def to(cls, connection: sa.Connection, seen: Seen, named: Collection[ItemRef]) -> Known:
        """Work out what a member may know; `named` are the items that will be spoken of."""
        conversation = seen.conversation
        messages, people = seen.known, seen.addresses
        everybody = {p.address for m in conversation.messages for p in (*m.participants, *_bcc(m))}
        theirs = sorted(address for address in people if not is_ours(address, seen.ours))
        persons = mirror.persons_by_addresses(connection, theirs, [match_key(address) for address in theirs])
        refs = mirror.refs_of(persons)
        linked: list[Link | Tombstone] = [*conversation.links, *conversation.tombstones]
        hidden = mirror.hidden(connection, seen.member, refs.union(named, (each.ref for each in linked)))
        return cls(
            messages=messages,
            people=people,
            names=people | {person.name for person in persons if person.ref not in hidden},
            hidden=hidden,
            hidden_titles=frozenset(each.title or str(each.ref) for each in linked if each.ref in hidden),
            accounts=seen.known_accounts,
            links=tuple(link for link in conversation.links if link.ref in refs - hidden),
            is_all=everybody <= people and hidden.isdisjoint(refs),
        )

    def of_decision(self, decision: Decision) -> Decision:
        """Return a decision without what rests on people and accounts the member may not know of.

        A sentence whose params are gone says "this person" and "some" instead.
        """
        decision = self._of_items(decision)
        if self.is_all:
            return replace(decision, params=self._of_params(decision, decision.candidates))
        candidates = tuple(
            replace(candidate, evidence=tuple(self._of_evidence(e) for e in candidate.evidence if self._may_know(e)))
            for candidate in decision.candidates
            if not any("address" in e.params for e in candidate.evidence)
            or any("address" in e.params and self._may_know(e) for e in candidate.evidence)
        )
        return replace(decision, candidates=candidates, params=self._of_params(decision, candidates))

    def _of_items(self, decision: Decision) -> Decision:
        """Leave out the items that the CRM hides from the member, and a sentence's name for one of them."""
        gone = {
            candidate.title or str(candidate.ref) for candidate in decision.candidates if candidate.ref in self.hidden
        }
        if decision.item in self.hidden:
            gone.add(decision.item_title)
        gone |= self.hidden_titles
        if not gone:
            return decision
        params = {name: None if name == "item" and value in gone else value for name, value in decision.params.items()}
        shown = tuple(candidate for candidate in decision.candidates if candidate.ref not in self.hidden)
        return replace(decision, candidates=shown, params=params)

    def _may_know(self, evidence: Evidence) -> bool:
        address = evidence.params.get("address")
        return address is None or address in self.people

    def _of_evidence(self, evidence: Evidence) -> Evidence:
        """Leave out the names of persons whom the CRM hides from the member."""
        if "person" not in evidence.params:
            return evidence
        return replace(evidence, params={**evidence.params, "person": _only(evidence.params["person"], self.names)})

    def _of_params(self, decision: Decision, candidates: Sequence[Candidate]) -> dict[str, object]:
        """Leave out of a decision's params who may not be known, and what was counted over them."""
        known: dict[str, Collection[str]] = {
            "address": self.people,
            "account": {account.address for account in self.accounts},
        }
        params = dict(decision.params)
        if not self.is_all:
            known["person"] = self.names
            params.pop("n", None)
            if decision.outcome not in ("link", "keep"):
                known["item"] = {candidate.title or str(candidate.ref) for candidate in candidates}
        for name in known.keys() & params.keys():
            params[name] = _only(params[name], known[name])
        if params.get("item", "") is None:
            params.pop("state", None)
        return params


def _only(value: object, known: Collection[str]) -> object:
    """Leave of one name or a list of them what is known."""
    if isinstance(value, list | tuple):
        left = [each for each in value if each in known]
        return left[0] if len(left) == 1 else left
    return value if value in known else None


# --- plain data ---


def _decision(decision: Decision, states: States, locale: str) -> dict[str, Any]:
    """Return a decision with its sentence and every candidate with its evidence."""
    return {
        "outcome": decision.outcome,
        "reason": decision.reason,
        "sentence": _sentence(decision, locale),
        "candidates": [_candidate(candidate, decision, states, locale) for candidate in decision.candidates],
    }


def _candidate(candidate: Candidate, decision: Decision, states: States, locale: str) -> dict[str, Any]:
    state = states.get(candidate.ref)
    named = {
        **decision.params,  # who took it off, and when
        "item": candidate.title or str(candidate.ref),
        "kind": candidate.ref.kind,
        "state": None if state == "open" else state,  # opened again since: it was closed when this was decided
    }
    return {
        "kind": candidate.ref.kind,
        "id": candidate.ref.external_id,
        "title": candidate.title,
        "ruled_out": candidate.ruled_out,
        "why_not": sentence(candidate.ruled_out, named, locale) if candidate.ruled_out else None,
        "evidence": [sentence(evidence.code, evidence.params, locale) for evidence in candidate.evidence],
    }


def _sentence(decision: Decision, locale: str) -> str:
    return sentence(decision.reason, decision.params, locale)


def _states(connection: sa.Connection, decided: Iterable[Decision]) -> States:
    """Return the states, as the CRM is now, of the items that were ruled out."""
    refs = {candidate.ref for decision in decided for candidate in decision.candidates if candidate.ruled_out}
    return {ref: item.state for ref, item in mirror.items(connection, refs).items()}


def _calls(connection: sa.Connection, conversation_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Count what the notes of each conversation cost the CRM."""
    calls: dict[int, dict[str, int]] = {
        conversation_id: {"writes": 0, "reads": 0} for conversation_id in conversation_ids
    }
    for note in crm.notes_of(connection, conversation_ids):
        calls[note.conversation_id]["writes"] += note.writes
        calls[note.conversation_id]["reads"] += note.reads
    return calls


def _holders(found: Sequence[Account]) -> dict[str, list[str]]:
    return {
        "accounts": sorted(account.address for account in found),
        "providers": sorted({account.provider for account in found}),
    }


def _message(message: Message, ours: Ours) -> dict[str, Any]:
    return {"internet_id": message.internet_id, "sent_at": utc(message.at), "direction": direction(message, ours)}


def _link(link: Link | None, hidden: Collection[ItemRef] = ()) -> dict[str, Any] | None:
    if link is None:
        return None
    title = "" if link.ref in hidden else link.title
    return {"kind": link.ref.kind, "id": link.ref.external_id, "title": title, "origin": link.origin}


def _named(conversation: Conversation, told: Sequence[Decision]) -> set[ItemRef]:
    """Return every item that an explanation of the conversation could name."""
    named = {candidate.ref for decision in told for candidate in decision.candidates}
    named |= {decision.item for decision in told if decision.item}
    return named | ({conversation.primary_link.ref} if conversation.primary_link else set())


def _related(links: Iterable[Link], kind: str) -> list[dict[str, Any]]:
    return [{"id": link.ref.external_id, "name": link.title} for link in links if link.ref.kind == kind]


def _claims(connection: sa.Connection, seen: Seen) -> list[dict[str, str]]:
    """Return the conversations this one says it answers without a witness, of those the member may see."""
    rows = connection.execute(
        sa.text("SELECT other_id, why FROM merge_pair WHERE conversation_id = :id ORDER BY at, other_id"),
        {"id": seen.conversation.id},
    ).all()
    others = {other.id: other for other in conversations.load(connection, [row.other_id for row in rows])}
    return [
        {"conversation": others[row.other_id].public_id, "why": row.why}
        for row in rows
        if row.other_id in others and may_see(seen.reader, others[row.other_id], seen.accounts, seen.ours)
    ]


def _holding(messages: Iterable[Message]) -> set[int]:
    return {copy.account_id for message in messages for copy in message.copies}


def _bcc(message: Message) -> list[Participant]:
    return [person for copy in message.copies for person in copy.bcc]


def _first(conversation: Conversation) -> tuple[datetime, int]:
    return (conversation.messages[0].at if conversation.messages else datetime.max.replace(tzinfo=UTC), conversation.id)
