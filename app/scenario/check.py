"""Compares what a scenario expects with what came of it. Pure: the outcome is a plain snapshot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import singledispatch

from app.scenario.model import (
    BulkExpectation,
    ConversationExpectation,
    DifferentConversations,
    Expectation,
    NoteExpectation,
    ReadableExpectation,
    RecordedExpectation,
    RefusedExpectation,
    SameConversation,
    Scenario,
)

OPEN = (None, "pending")  # what may stand for a copy of which nothing is settled yet

# --- what came of it -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConversationOutcome:
    """One conversation: `messages` holds, for each stored message, the keys under which it was delivered.

    Candidates are those not ruled out; items are "deal/d1", persons and organizations bare ids, `claims` the ids of the
    conversations that this one says it answers.
    """

    id: str
    messages: tuple[frozenset[str], ...]
    link: str | None = None
    origin: str | None = None
    outcome: str | None = None
    reason: str | None = None
    candidates: frozenset[str] = frozenset()
    persons: frozenset[str] = frozenset()
    organizations: frozenset[str] = frozenset()
    claims: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ActionOutcome:
    """What became of an action: the code it was refused with, or None; for a bulk action, key by key."""

    refused: str | None = None
    linked: frozenset[str] = frozenset()
    not_linked: Mapping[str, str] = field(default_factory=dict)  # key -> the code that says why


@dataclass(frozen=True, slots=True)
class Readable:
    """Whether a member may read subject and text of a message."""

    subject: bool
    text: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """The state of the product at one moment, in the names of the scenario."""

    conversations: tuple[ConversationOutcome, ...] = ()
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # "deal/d1" -> the text of each note
    readable: Mapping[tuple[str, str], Readable] = field(default_factory=dict)  # (member, key)
    recorded: Mapping[tuple[str, str], str] = field(default_factory=dict)  # (key, mailbox) -> stored, spam, pending, …
    actions: Mapping[int, ActionOutcome] = field(default_factory=dict)  # event index; filled by run()

    def conversation_of(self, key: str) -> ConversationOutcome | None:
        """Return the conversation that holds the message."""
        for conversation in self.conversations:
            if any(key in keys for keys in conversation.messages):
                return conversation
        return None


@dataclass(frozen=True, slots=True)
class Failure:
    """One expectation that was not met."""

    conversation: str  # what it is about: a key, or "event 3", "note deal/d1", …
    expected: str
    got: str


# --- what to ask -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Questions:
    """What a snapshot must answer beside the conversations."""

    notes: tuple[str, ...]  # records as "deal/d1"
    readable: tuple[tuple[str, str], ...]  # (member, key)


def expected_at(scenario: Scenario, now: datetime | None) -> tuple[Expectation, ...]:
    """Return the expectations of that moment; None is the end."""
    return tuple(expected for expected in scenario.expectations if expected.at == now)


def questions(scenario: Scenario, now: datetime | None) -> Questions:
    """Return what the expectations of that moment ask."""
    due = expected_at(scenario, now)
    return Questions(
        notes=tuple(sorted({expected.record for expected in due if isinstance(expected, NoteExpectation)})),
        readable=tuple(
            sorted({(expected.member, expected.key) for expected in due if isinstance(expected, ReadableExpectation)})
        ),
    )


def check(scenario: Scenario, now: datetime | None, outcome: Outcome) -> list[Failure]:
    """Return what was expected of that moment (None: of the end) and is not so, at most one failure an expectation."""
    failures = (_check(expected, scenario, outcome) for expected in expected_at(scenario, now))
    return [failure for failure in failures if failure is not None]


# --- one expectation -------------------------------------------------------------------------------------------------


@singledispatch
def _check(expected: Expectation, _scenario: Scenario, _outcome: Outcome) -> Failure | None:
    raise NotImplementedError(type(expected))


@_check.register
def _conversation(expected: ConversationExpectation, _scenario: Scenario, outcome: Outcome) -> Failure | None:
    conversation = outcome.conversation_of(expected.conversation)
    if conversation is None:
        return Failure(expected.conversation, _facts(expected.facts), "not stored")
    got = {fact: FACTS[fact](conversation, outcome, wanted) for fact, wanted in expected.facts.items()}
    wrong = [fact for fact, wanted in expected.facts.items() if got[fact] != wanted]
    if not wrong:
        return None
    return Failure(
        expected.conversation,
        _facts({fact: expected.facts[fact] for fact in wrong}),
        _facts({fact: got[fact] for fact in wrong}),
    )


def _claimed(conversation: ConversationOutcome, outcome: Outcome, wanted: object) -> object:
    """Return the wanted key when its conversation is claimed, else what is: any key of each claimed conversation."""
    claimed = [other for other in outcome.conversations if other.id in conversation.claims]
    keys = sorted(key for other in claimed for keys in other.messages for key in keys)
    if wanted in keys:
        return wanted
    if not conversation.claims:
        return None
    return frozenset(keys) or "a conversation without a message of the scenario"


FACTS: Mapping[str, Callable[[ConversationOutcome, Outcome, object], object]] = {
    "link": lambda conversation, _outcome, _wanted: conversation.link,
    "origin": lambda conversation, _outcome, _wanted: conversation.origin,
    "outcome": lambda conversation, _outcome, _wanted: conversation.outcome,
    "reason": lambda conversation, _outcome, _wanted: conversation.reason,
    "candidates": lambda conversation, _outcome, _wanted: conversation.candidates,
    "persons": lambda conversation, _outcome, _wanted: conversation.persons,
    "organizations": lambda conversation, _outcome, _wanted: conversation.organizations,
    "messages": lambda conversation, _outcome, _wanted: len(conversation.messages),
    "claims": _claimed,
}


@_check.register
def _same(expected: SameConversation, _scenario: Scenario, outcome: Outcome) -> Failure | None:
    ids = _ids(expected.keys, outcome)
    if None not in ids.values() and len(set(ids.values())) == 1:
        return None
    return Failure(" + ".join(expected.keys), "one conversation", _grouping(ids))


@_check.register
def _different(expected: DifferentConversations, _scenario: Scenario, outcome: Outcome) -> Failure | None:
    ids = _ids(expected.keys, outcome)
    if None not in ids.values() and len(set(ids.values())) == len(ids):
        return None
    return Failure(" + ".join(expected.keys), f"{len(ids)} conversations", _grouping(ids))


def _ids(keys: tuple[str, ...], outcome: Outcome) -> dict[str, str | None]:
    found = {key: outcome.conversation_of(key) for key in keys}
    return {key: None if conversation is None else conversation.id for key, conversation in found.items()}


def _grouping(ids: Mapping[str, str | None]) -> str:
    """Say which keys are together: "m1 m2 | m3"; those not stored come last."""
    groups: dict[str, list[str]] = {}
    for key, conversation in ids.items():
        if conversation is not None:
            groups.setdefault(conversation, []).append(key)
    together = " | ".join(" ".join(keys) for keys in groups.values())
    missing = [key for key, conversation in ids.items() if conversation is None]
    return "; ".join(part for part in (together, f"not stored: {' '.join(missing)}" if missing else "") if part)


@_check.register
def _refused(expected: RefusedExpectation, _scenario: Scenario, outcome: Outcome) -> Failure | None:
    action = outcome.actions.get(expected.event)
    if action is not None and action.refused == expected.refused:
        return None
    return Failure(
        f"event {expected.event}", _answer(expected.refused), _answer(action.refused) if action else "not done"
    )


def _answer(refused: str | None) -> str:
    return "done" if refused is None else f"refused: {refused}"


@_check.register
def _bulk(expected: BulkExpectation, _scenario: Scenario, outcome: Outcome) -> Failure | None:
    what = f"event {expected.event}"
    action = outcome.actions.get(expected.event)
    wanted = {"linked": expected.linked, "not_linked": expected.not_linked}
    wanted = {fact: value for fact, value in wanted.items() if value is not None}
    if action is None or action.refused is not None:
        return Failure(what, _facts(wanted), _answer(action.refused) if action else "not done")
    got = {"linked": action.linked, "not_linked": dict(action.not_linked)}
    wrong = [fact for fact, value in wanted.items() if got[fact] != value]
    if not wrong:
        return None
    return Failure(what, _facts({fact: wanted[fact] for fact in wrong}), _facts({fact: got[fact] for fact in wrong}))


@_check.register
def _note(expected: NoteExpectation, _scenario: Scenario, outcome: Outcome) -> Failure | None:
    notes = outcome.notes.get(expected.record, ())
    wanted, got = [], []
    if expected.count is not None and len(notes) != expected.count:
        wanted.append(f"{expected.count} notes")
        got.append(f"{len(notes)} notes")
    for text in expected.contains:
        if not any(text in note for note in notes):
            wanted.append(f"contains {text!r}")
            got.append(f"lacks {text!r}")
    for text in expected.lacks:
        if any(text in note for note in notes):
            wanted.append(f"lacks {text!r}")
            got.append(f"contains {text!r}")
    return Failure(f"note {expected.record}", "; ".join(wanted), "; ".join(got)) if wanted else None


@_check.register
def _readable(expected: ReadableExpectation, _scenario: Scenario, outcome: Outcome) -> Failure | None:
    readable = outcome.readable.get((expected.member, expected.key), Readable(subject=False, text=False))
    wanted = {"subject": expected.subject, "text": expected.text}
    got = {"subject": readable.subject, "text": readable.text}
    wrong = [fact for fact, value in wanted.items() if value is not None and value != got[fact]]
    if not wrong:
        return None
    return Failure(
        f"readable {expected.key} as {expected.member}",
        _facts({fact: wanted[fact] for fact in wrong}),
        _facts({fact: got[fact] for fact in wrong}),
    )


@_check.register
def _recorded(expected: RecordedExpectation, scenario: Scenario, outcome: Outcome) -> Failure | None:
    delivered = [
        (message.key, mailbox)
        for message in scenario.messages.values()
        if expected.at is None or message.due <= expected.at
        for mailbox in message.mailboxes
    ]
    missing = [f"{key} in {mailbox}" for key, mailbox in delivered if outcome.recorded.get((key, mailbox)) in OPEN]
    if expected.recorded == (not missing):
        return None
    wanted = "every message recorded" if expected.recorded else "a message missing"
    return Failure("outcomes", wanted, f"not recorded: {', '.join(missing)}" if missing else "every message recorded")


def _facts(facts: Mapping[str, object]) -> str:
    return "; ".join(f"{fact} {_shown(value)}" for fact, value in facts.items())


def _shown(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, frozenset):
        return f"[{', '.join(sorted(value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {reason}" for key, reason in sorted(value.items())) + "}"
    return str(value)
