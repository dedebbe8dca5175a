"""Reads what must be true at the end of a scenario, or at a moment of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import get_args

import yaml

from app.model import Origin, Outcome
from app.scenario.model import (
    ActionEvent,
    BulkExpectation,
    BulkLinkAction,
    ConversationExpectation,
    DifferentConversations,
    Event,
    Expectation,
    NoteExpectation,
    ReadableExpectation,
    RecordedExpectation,
    RefusedExpectation,
    SameConversation,
)
from app.scenario.names import Names
from app.scenario.nodes import Section, error_at, flag_of, number_of, pairs_of, text_of
from app.scenario.records import RECORD_KINDS

FACT_KEYS = "link origin outcome reason candidates persons organizations messages claims"
KINDS: Mapping[str, str] = {  # the key that says which expectation it is -> the keys it may have
    "conversation": f"conversation {FACT_KEYS} at",
    "same_conversation": "same_conversation at",
    "different_conversations": "different_conversations at",
    "event": "event refused linked not_linked at",
    "note": "note count contains lacks at",
    "readable": "readable at",
    "outcomes_recorded": "outcomes_recorded at",
}


def read(node: yaml.Node, names: Names, events: Sequence[Event]) -> Expectation:
    """Read one expectation."""
    written = [key for _, key, _ in pairs_of(node, "an expectation")]
    kind = next((kind for kind in KINDS if kind in written), None)
    if kind is None:
        raise error_at(node, f"an expectation has one of {', '.join(KINDS)}")
    section = Section(node, f"an expectation about {kind}", KINDS[kind])
    at = section.time_or_none("at")
    if kind == "event":
        return _event(section, names, events, at)
    return READERS[kind](section, names, at)


def _conversation(section: Section, names: Names, at: datetime | None) -> Expectation:
    key = names.message(section.required("conversation"))
    wanted = [fact for fact in FACT_KEYS.split() if fact in section.written()]
    if not wanted:
        raise section.error(f"say what to expect of the conversation: {', '.join(FACT_KEYS.split())}")
    return ConversationExpectation(key, {fact: _fact(section, fact, names) for fact in wanted}, at)


def _fact(section: Section, fact: str, names: Names) -> object:
    node = section.node_of(fact)
    if fact in SETS:
        return frozenset(SETS[fact](names, entry) for entry in section.nodes(fact))
    if fact == "messages":
        return number_of(section.required(fact), "'messages'")
    if node is None:
        return None
    if fact == "link":
        return names.item(node)
    if fact == "claims":
        return names.message(node)
    if fact == "origin":
        return section.choice(fact, get_args(Origin))
    if fact == "outcome":
        return section.choice(fact, get_args(Outcome))
    return section.text(fact)


SETS: Mapping[str, Callable[[Names, yaml.Node], str]] = {
    "candidates": Names.item,
    "persons": Names.person,
    "organizations": Names.organization,
}


def _same(section: Section, names: Names, at: datetime | None) -> Expectation:
    return SameConversation(_two_or_more(section, "same_conversation", names), at)


def _different(section: Section, names: Names, at: datetime | None) -> Expectation:
    return DifferentConversations(_two_or_more(section, "different_conversations", names), at)


def _two_or_more(section: Section, key: str, names: Names) -> tuple[str, ...]:
    node = section.required(key)
    keys = names.all_messages(node, repr(key))
    if len(set(keys)) < 2:
        raise error_at(node, f"{key!r} names at least two messages")
    return keys


def _event(section: Section, names: Names, events: Sequence[Event], at: datetime | None) -> Expectation:
    node = section.required("event")
    index = number_of(node, "'event'")
    event = events[index] if index < len(events) else None
    if not isinstance(event, ActionEvent):
        raise error_at(node, f"event {index} (counted from 0) is no action of a member")
    written = section.written()
    if "refused" in written and "linked" not in written and "not_linked" not in written:
        return RefusedExpectation(index, section.text_or_none("refused"), at)
    if "refused" in written or not ("linked" in written or "not_linked" in written):
        raise section.error("say either 'refused', or 'linked' and 'not_linked' of a bulk action")
    if not isinstance(event.action, BulkLinkAction):
        raise error_at(node, f"event {index} is no bulk action")
    linked = frozenset(names.message(entry) for entry in section.nodes("linked")) if "linked" in written else None
    not_linked = _reasons(section, names) if "not_linked" in written else None
    return BulkExpectation(index, linked, not_linked, at)


def _reasons(section: Section, names: Names) -> dict[str, str]:
    node = section.node_of("not_linked")
    if node is None:
        return {}
    pairs = pairs_of(node, "'not_linked'")
    return {names.message(key_node): text_of(value, "a reason") for key_node, _, value in pairs}


def _note(section: Section, names: Names, at: datetime | None) -> Expectation:
    node = section.required("note")
    count = section.node_of("count")
    contains, lacks = section.texts("contains"), section.texts("lacks")
    if count is None and not contains and not lacks:
        raise section.error("say what to expect of the note: count, contains, lacks")
    return NoteExpectation(
        record=_record(node, names),
        count=None if count is None else number_of(count, "'count'"),
        contains=contains,
        lacks=lacks,
        at=at,
    )


def _record(node: yaml.Node, names: Names) -> str:
    """Return a record written as kind/id, persons and organizations included."""
    written = text_of(node, "a record")
    kind, _, external_id = written.partition("/")
    known = {"person": names.persons, "organization": names.organizations}.get(kind)
    if kind not in RECORD_KINDS or (external_id not in known if known is not None else written not in names.items):
        raise error_at(node, f"no record {written!r} in this scenario; write kind/id, as in deal/d1")
    return written


def _readable(section: Section, names: Names, at: datetime | None) -> Expectation:
    asked = Section(section.required("readable"), "readable", "as conversation text subject")
    subject, text = asked.node_of("subject"), asked.node_of("text")
    if subject is None and text is None:
        raise asked.error("say what is readable: subject, text")
    return ReadableExpectation(
        member=names.member(asked.required("as")),
        key=names.message(asked.required("conversation")),
        subject=None if subject is None else flag_of(subject, "'subject'"),
        text=None if text is None else flag_of(text, "'text'"),
        at=at,
    )


def _recorded(section: Section, _names: Names, at: datetime | None) -> Expectation:
    return RecordedExpectation(flag_of(section.required("outcomes_recorded"), "'outcomes_recorded'"), at)


READERS: Mapping[str, Callable[[Section, Names, datetime | None], Expectation]] = {
    "conversation": _conversation,
    "same_conversation": _same,
    "different_conversations": _different,
    "note": _note,
    "readable": _readable,
    "outcomes_recorded": _recorded,
}
