"""decide() and digest() over generated conversations: order never matters, equal facts give equal answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import TypeVar, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.linking.decide import decide, digest
from app.linking.reasons import REASONS, sentence
from app.model import (
    Account,
    Automated,
    DecisionInput,
    Item,
    ItemState,
    Message,
    Ours,
    Person,
    Policy,
    RememberedChoice,
    Tombstone,
    Verdict,
)
from tests.unit.linking import building
from tests.unit.linking.building import ADA, BEA, CAN, NINE, ref

ADDRESSES = (ADA, "can@northwind.test", BEA, CAN, "eve@else.test", "b.ea@gmail.com", "bea@gmail.com", "a.da@gmail.com")
T = TypeVar("T")
ITEM_NAMES = ("deal/d1", "deal/d2", "lead/l1", "project/j1")

some_addresses = st.lists(st.sampled_from(ADDRESSES), max_size=3)
moments = st.integers(0, 5).map(lambda count: NINE + timedelta(hours=count))


def mostly(usual: T, others: Sequence[T]) -> st.SearchStrategy[T]:
    return st.sampled_from((*[usual] * 2 * len(others), *others))


@st.composite
def messages(draw: st.DrawFn, number: int) -> Message:
    return building.message(
        draw(st.sampled_from(("", *ADDRESSES))),
        draw(some_addresses),
        number=number,
        at=draw(moments),
        cc=draw(some_addresses),
        bcc=draw(some_addresses),
        reply_to=draw(st.none() | st.sampled_from(ADDRESSES)),
        automated=draw(mostly(None, get_args(Automated))),
        verdict=draw(mostly("pass", get_args(Verdict))),
        in_sent=draw(st.booleans()),
    )


@st.composite
def persons(draw: st.DrawFn, number: int) -> Person:
    addresses = draw(st.lists(st.sampled_from(ADDRESSES), min_size=1, max_size=2))
    organization = draw(st.sampled_from((None, "o1", "o2")))
    return building.person(f"p{number}", *addresses, organization=organization, deleted=draw(st.integers(0, 5)) == 5)


@st.composite
def items(draw: st.DrawFn, name: str) -> Item:
    return building.item(
        name,
        of=draw(st.sampled_from((None, "p1", "p2"))),
        participants=draw(st.lists(st.sampled_from(("p1", "p2", "p3")), max_size=3)),
        state=draw(mostly("open", get_args(ItemState))),
        created_at=draw(moments),
    )


policies = st.builds(
    Policy,
    retroactive=st.sampled_from(("message", "conversation")),
    blocklist=mostly(frozenset(), [frozenset({"acme.test"}), frozenset({BEA, "else.test"})]),
    blocklist_scope=st.sampled_from(("sole", "any")),
    skip_automated=st.booleans(),
    max_counterparts=mostly(25, [1]),
    learned_auto_link=st.booleans(),
    sender_must_be_known=mostly(False, [True]),
)


def up_to(count: int) -> st.SearchStrategy[int]:
    return st.integers(0, count)


@st.composite
def inputs(draw: st.DrawFn) -> DecisionInput:
    accounts: list[Account] = [
        building.account(f"a{number}@northwind.test", number=number, auto_link=draw(up_to(5)) < 5)
        for number in range(draw(up_to(2)))
    ]
    tombstones: list[Tombstone] = [building.tombstone(name) for name in ITEM_NAMES if draw(up_to(4)) == 4]
    return building.given(
        *[draw(messages(number)) for number in range(1, 2 + draw(up_to(4)))],
        persons=[draw(persons(number)) for number in range(1, 1 + draw(up_to(3)))],
        items=[draw(items(name)) for name in ITEM_NAMES[: draw(up_to(4))]],
        accounts=accounts or [building.account()],
        links=[building.link()] if draw(up_to(5)) == 5 else [],
        tombstones=tombstones,
        policy=draw(policies),
        remembered=[RememberedChoice(ref(name), draw(up_to(4))) for name in ITEM_NAMES[: draw(up_to(4))]],
    )


def shuffled(case: DecisionInput, chance: Random) -> DecisionInput:
    """Bring everything that has no order of its own into another order."""

    def mixed(values: tuple[T, ...]) -> tuple[T, ...]:
        return tuple(chance.sample(values, len(values)))

    conversation = replace(
        case.conversation,
        messages=mixed(tuple(replace(one, participants=mixed(one.participants)) for one in case.conversation.messages)),
        tombstones=mixed(case.conversation.tombstones),
    )
    return replace(
        case,
        conversation=conversation,
        accounts=mixed(case.accounts),
        persons=mixed(tuple(replace(one, addresses=mixed(one.addresses)) for one in case.persons)),
        items=mixed(tuple(replace(one, participants=mixed(one.participants)) for one in case.items)),
        remembered=mixed(case.remembered),
    )


@given(inputs(), st.randoms())
@settings(max_examples=200)
def test_the_order_of_what_is_given_never_matters(case: DecisionInput, chance: Random) -> None:
    other = shuffled(case, chance)
    assert decide(other) == decide(case)
    assert digest(other) == digest(case)


@given(inputs())
def test_every_decision_keeps_the_promises_of_its_outcome(case: DecisionInput) -> None:
    decision = decide(case)
    open_ones = {candidate.ref for candidate in decision.candidates if candidate.ruled_out is None}
    assert (decision.item is not None) == (decision.outcome == "link")
    assert decision.outcome != "link" or decision.item in open_ones
    assert decision.outcome != "ambiguous" or len(open_ones) > 1
    assert (decision.outcome == "keep") == (case.conversation.primary_link is not None)
    assert decision.reason in REASONS
    assert "{" not in sentence(decision.reason, decision.params, "tr")


@given(inputs())
def test_nothing_is_linked_against_a_tombstone_or_to_a_closed_or_younger_item(case: DecisionInput) -> None:
    decision = decide(case)
    if decision.outcome != "link":
        return
    item = next(one for one in case.items if one.ref == decision.item)
    trigger = next(one for one in case.conversation.messages if one.id == decision.trigger_id)
    assert item.is_open
    assert item.created_at <= trigger.at
    assert item.ref not in {tombstone.ref for tombstone in case.conversation.tombstones}


@given(inputs())
def test_deciding_again_after_linking_keeps_the_link(case: DecisionInput) -> None:
    decision = decide(case)
    if decision.item is None:
        return
    linked = replace(case, conversation=replace(case.conversation, links=(building.link(str(decision.item)),)))
    again = decide(linked)
    assert (again.outcome, again.persons) == ("keep", decision.persons)


@given(inputs(), policies)
def test_another_decision_means_another_digest(case: DecisionInput, policy: Policy) -> None:
    other = replace(case, policy=policy)
    assert decide(other) == decide(case) or digest(other) != digest(case)


USUAL = building.given()
ONE = USUAL.conversation.messages[0]


def with_message(**changes: object) -> DecisionInput:
    changed = replace(ONE, **changes)
    return replace(USUAL, conversation=replace(USUAL.conversation, messages=(changed,)))


@pytest.mark.parametrize(
    "changed",
    [
        with_message(id=2),
        with_message(at=NINE + timedelta(hours=1)),
        with_message(automated="bulk"),
        with_message(participants=ONE.participants[:1]),
        with_message(copies=(replace(ONE.copies[0], verdict="fail"),)),
        building.given(links=[building.link()]),
        building.given(tombstones=[building.tombstone()]),
        building.given(accounts=[building.account(auto_link=False)]),
        building.given(persons=[building.person(name="Beate")]),
        building.given(persons=[building.person(organization=None)]),
        building.given(items=[building.item(title="Other")]),
        building.given(items=[building.item(state="won")]),
        building.given(items=[building.item(of=None, participants=["p1"])]),
        building.given(remembered=[RememberedChoice(ref("deal/d1"), 1)]),
        building.given(policy=Policy(max_counterparts=3)),
        building.given(policy=Policy(learned_auto_link=True)),
        building.given(policy=Policy(blocklist=frozenset({BEA}))),
        building.given(ours=Ours(frozenset({ADA, BEA}))),
    ],
)
def test_whatever_decide_reads_is_in_the_digest(changed: DecisionInput) -> None:
    assert digest(changed) != digest(USUAL)


@pytest.mark.parametrize(
    "changed",
    [
        with_message(subject="Other"),
        with_message(copies=(replace(ONE.copies[0], snippet="text", provider_id="other"),)),
        building.given(ours=Ours(frozenset({ADA, "new@northwind.test"}), frozenset({"northwind.test"}))),
        building.given(policy=Policy(blocklist=frozenset({"somebody@else.test"}))),
    ],
    ids=["subject", "snippet", "a colleague's mailbox", "a block elsewhere"],
)
def test_what_decide_does_not_read_is_not_in_the_digest(changed: DecisionInput) -> None:
    assert digest(changed) == digest(USUAL)
