"""Comparing what is expected with what came of it."""

from __future__ import annotations

import pytest

from app.scenario.check import (
    ActionOutcome,
    ConversationOutcome,
    Failure,
    Outcome,
    Questions,
    Readable,
    check,
    questions,
)
from tests.unit.scenario.scenarios import ADA, CAN, scenario

EVENTS = (
    "- {at: 2026-03-02T09:00:00Z, message: {key: m1, in: [ada@northwind.test, can@northwind.test], from: b@a.test}}\n"
    "- {at: 2026-03-02T09:01:00Z, message: {key: m2, in: [ada@northwind.test], from: b@acme.test}}\n"
    "- {at: 2026-03-02T09:02:00Z, message: {key: m3, in: [ada@northwind.test], from: b@acme.test}}\n"
    "- {at: 2026-03-02T09:03:00Z, as: Can, do: {unlink: m1}}\n"
    "- {at: 2026-03-02T09:04:00Z, as: Can, do: {bulk_link: {conversations: [m1, m3], item: deal/d1}}}\n"
)
FIRST = ConversationOutcome(
    id="c1",
    messages=(frozenset({"m1"}), frozenset({"m2"})),
    link="deal/d1",
    origin="automatic",
    outcome="link",
    reason="only_open_item",
    candidates=frozenset({"deal/d1"}),
    persons=frozenset({"p1"}),
    organizations=frozenset({"o1"}),
)
SECOND = ConversationOutcome(id="c2", messages=(frozenset({"m3"}),), claims=frozenset({"c1"}))
OUTCOME = Outcome(
    conversations=(FIRST, SECOND),
    notes={"deal/d1": ("Prices: 40 licences", "Another note")},
    readable={(CAN, "m1"): Readable(subject=True, text=False)},
    recorded={("m1", ADA): "stored", ("m1", CAN): "stored", ("m2", ADA): "filtered: spam"},
    actions={3: ActionOutcome("not_owner"), 4: ActionOutcome(None, frozenset({"m1"}), {"m3": "not_owner"})},
)


def failures(expect: str, outcome: Outcome = OUTCOME) -> list[Failure]:
    return check(scenario(EVENTS, f"- {{{expect}}}\n"), None, outcome)


@pytest.mark.parametrize(
    "expect",
    [
        (
            "conversation: m1, link: deal/d1, origin: automatic, outcome: link, reason: only_open_item, messages: 2,"
            " candidates: [deal/d1], persons: [p1], organizations: [o1], claims: null"
        ),
        "conversation: m3, link: null, claims: m1, candidates: []",
        "conversation: m3, claims: m2",
        "same_conversation: [m1, m2]",
        "different_conversations: [m2, m3]",
        "event: 3, refused: not_owner",
        "event: 4, refused: null",
        "event: 4, linked: [m1], not_linked: {m3: not_owner}",
        "event: 4, linked: [m1]",
        "note: deal/d1, count: 2, contains: [Prices, Another], lacks: [margin]",
        "note: lead/l1, count: 0, lacks: [anything]",
        "readable: {as: Can, conversation: m1, subject: true, text: false}",
        "readable: {as: Can, conversation: m3, subject: false, text: false}",
        "outcomes_recorded: false",
    ],
)
def test_what_is_so_is_no_failure(expect):
    assert failures(expect) == []


@pytest.mark.parametrize(
    ("expect", "failure"),
    [
        (
            "conversation: m1, link: null, origin: manual, messages: 2",
            Failure("m1", "link null; origin manual", "link deal/d1; origin automatic"),
        ),
        (
            "conversation: m2, candidates: [deal/d1, lead/l1], persons: []",
            Failure("m2", "candidates [deal/d1, lead/l1]; persons []", "candidates [deal/d1]; persons [p1]"),
        ),
        ("conversation: m1, claims: m3", Failure("m1", "claims m3", "claims null")),
        ("conversation: m3, claims: m3", Failure("m3", "claims m3", "claims [m1, m2]")),
        ("same_conversation: [m1, m2, m3]", Failure("m1 + m2 + m3", "one conversation", "m1 m2 | m3")),
        ("different_conversations: [m1, m2, m3]", Failure("m1 + m2 + m3", "3 conversations", "m1 m2 | m3")),
        ("event: 3, refused: null", Failure("event 3", "done", "refused: not_owner")),
        ("event: 4, refused: not_owner", Failure("event 4", "refused: not_owner", "done")),
        (
            "event: 4, linked: [m1, m3], not_linked: {}",
            Failure("event 4", "linked [m1, m3]; not_linked {}", "linked [m1]; not_linked {m3: not_owner}"),
        ),
        (
            "note: deal/d1, count: 1, contains: [Prices, Rebate], lacks: [Another, margin]",
            Failure(
                "note deal/d1",
                "1 notes; contains 'Rebate'; lacks 'Another'",
                "2 notes; lacks 'Rebate'; contains 'Another'",
            ),
        ),
        (
            "readable: {as: Can, conversation: m1, subject: false, text: false}",
            Failure(f"readable m1 as {CAN}", "subject false", "subject true"),
        ),
        (
            "outcomes_recorded: true",
            Failure("outcomes", "every message recorded", f"not recorded: m3 in {ADA}"),
        ),
    ],
)
def test_what_is_not_so_is_one_failure_that_names_the_difference(expect, failure):
    assert failures(expect) == [failure]


def test_a_message_that_is_not_stored_has_no_conversation():
    assert failures("conversation: m1, link: null", Outcome()) == [Failure("m1", "link null", "not stored")]


@pytest.mark.parametrize("relation", ["same_conversation", "different_conversations"])
def test_messages_that_are_not_stored_are_neither_together_nor_apart(relation):
    only_first = Outcome(conversations=(FIRST,))

    (failure,) = failures(f"{relation}: [m1, m3]", only_first)

    assert failure.got == "m1; not stored: m3"


def test_nothing_stored_at_all_is_said_so():
    (failure,) = failures("same_conversation: [m1, m3]", Outcome())

    assert failure.got == "not stored: m1 m3"


@pytest.mark.parametrize("expect", ["event: 3, refused: null", "event: 4, linked: []"])
def test_an_action_that_did_not_happen_fails(expect):
    (failure,) = failures(expect, Outcome())

    assert failure.got == "not done"


def test_a_bulk_action_that_was_refused_as_a_whole_says_why():
    refused = Outcome(actions={4: ActionOutcome("item_deleted")})

    assert failures("event: 4, linked: [m1]", refused) == [Failure("event 4", "linked [m1]", "refused: item_deleted")]


def test_everything_recorded_against_expectation_is_a_failure():
    everything = Outcome(recorded={("m1", ADA): "", ("m1", CAN): "", ("m2", ADA): "", ("m3", ADA): ""})

    assert failures("outcomes_recorded: false", everything) == [
        Failure("outcomes", "a message missing", "every message recorded")
    ]


def test_a_message_that_waits_to_be_read_is_not_recorded():
    waiting = Outcome(
        recorded={("m1", ADA): "stored", ("m1", CAN): "pending", ("m2", ADA): "spam", ("m3", ADA): "gone"}
    )

    (failure,) = failures("outcomes_recorded: true", waiting)

    assert failure.got == f"not recorded: m1 in {CAN}"


def test_before_the_end_only_what_was_delivered_must_be_recorded():
    read = scenario(EVENTS, "- {outcomes_recorded: true, at: 2026-03-02T09:01:00Z}\n")

    assert check(read, read.moments[0], OUTCOME) == []


def test_a_claim_on_a_conversation_that_nobody_knows_is_shown():
    claims = Outcome(conversations=(ConversationOutcome("c9", (frozenset({"m1"}),), claims=frozenset({"c0"})),))

    (failure,) = failures("conversation: m1, claims: null", claims)

    assert failure.got == "claims a conversation without a message of the scenario"


def test_each_moment_asks_only_what_is_expected_of_it():
    read = scenario(
        EVENTS,
        "- {note: deal/d1, count: 1}\n"
        "- {note: deal/d1, lacks: [x]}\n"
        "- {note: person/p1, count: 0, at: 2026-03-02T10:00:00Z}\n"
        "- {readable: {as: Ada, conversation: m1, text: true}}\n",
    )

    assert questions(read, None) == Questions(notes=("deal/d1",), readable=((ADA, "m1"),))
    assert questions(read, read.moments[0]) == Questions(notes=("person/p1",), readable=())
