"""Attacks on conversations (conversations.md "Shown by", threats.md C1-C12): nothing is gained by writing a header.

The victims are three conversations: Ada's with Bea (a1, a2), the director's with Bea (d1, d2), Ada's with Dan (z1). An
attack adds mail; the victims' messages must stay together, alone, and with those who had rights before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import pytest

from app.linking.threads import Threads
from app.model import Message
from tests.unit.linking.mails import (
    ADA,
    BEA,
    CAN,
    DAN,
    DIRECTOR,
    EVE,
    MALLORY,
    copy_in,
    groups,
    mail,
    new,
    rights,
)

VICTIMS = {
    frozenset({"a1", "a2"}): {ADA},
    frozenset({"d1", "d2"}): {DIRECTOR},
    frozenset({"z1"}): {ADA},
}
Attack = list[Message]


def honest_mail() -> list[Message]:
    a1 = mail("a1", BEA, ADA, verdict="pass")
    a2 = mail("a2", ADA, BEA, subject="Re: Rollout plan", refs=["a1"], answers="a1", at=5)
    d1 = mail("d1", BEA, DIRECTOR, subject="Merger talks", at=6, verdict="pass")
    d2 = mail("d2", DIRECTOR, BEA, subject="Re: Merger talks", refs=["d1"], answers="d1", at=7)
    z1 = mail("z1", DAN, ADA, subject="Spare parts", at=8, verdict="pass")
    return [
        copy_in(a1, ADA),
        copy_in(a2, ADA),
        copy_in(d1, DIRECTOR),
        copy_in(d2, DIRECTOR),
        copy_in(z1, ADA),
    ]


def an_outsider_names_a_conversation_that_the_account_does_not_hold() -> Attack:
    return [copy_in(mail("x", EVE, CAN, refs=["a1", "a2"], answers="a2", at=20, verdict="pass"), CAN)]


def an_outsider_names_only_the_message_answered() -> Attack:
    return [copy_in(mail("x", EVE, CAN, answers="d2", at=20, verdict="pass"), CAN)]


def an_outsider_names_it_with_its_subject() -> Attack:
    x = mail("x", EVE, CAN, subject="Re: Merger talks", refs=["d1", "d2"], cc=[BEA, DIRECTOR], at=20, verdict="pass")
    return [copy_in(x, CAN)]


def an_outsider_names_it_again_and_again() -> Attack:
    return [
        copy_in(mail(f"x{i}", EVE, CAN, refs=["a1", *(f"x{j}" for j in range(i))], at=20 + i, verdict="pass"), CAN)
        for i in range(5)
    ]


def a_member_mails_herself_with_the_directors_references() -> Attack:
    return [copy_in(mail("x", MALLORY, MALLORY, refs=["d1", "d2"], answers="d2", at=20), MALLORY)]


def a_member_mails_herself_from_another_address() -> Attack:
    return [copy_in(mail("x", EVE, MALLORY, refs=["d1"], answers="d1", at=20), MALLORY)]


def a_member_mails_herself_as_the_director() -> Attack:
    x = mail("x", DIRECTOR, MALLORY, refs=["d1", "d2"], at=20)
    return [copy_in(x, MALLORY, folder="inbox", verdict="none")]


def a_member_mails_herself_as_the_customer_and_dmarc_fails() -> Attack:
    return [copy_in(mail("x", BEA, MALLORY, refs=["d1", "d2"], at=20), MALLORY, verdict="fail")]


def a_member_mails_a_colleague_who_does_not_hold_it() -> Attack:
    x = mail("x", MALLORY, CAN, refs=["d1"], answers="d1", at=20)
    return [copy_in(x, MALLORY), copy_in(x, CAN)]


def an_outsider_in_copy_names_an_id_before_the_real_mail_is_there() -> Attack:
    x = mail("x", EVE, CAN, cc=[BEA, ADA], refs=["a1"], at=-20, verdict="pass")
    return [copy_in(x, CAN)]


def an_id_is_squatted_from_the_customers_colleagues_address() -> Attack:
    return [copy_in(mail("x", "cem@acme.test", CAN, cc=[BEA], answers="d1", at=-20, verdict="pass"), CAN)]


def an_id_is_reused_in_another_mailbox() -> Attack:
    x = mail("x", EVE, CAN, internet_id="<a1@x>", at=-5, verdict="pass")
    return [copy_in(x, CAN)]


def an_id_is_reused_with_references() -> Attack:
    x = mail("x", EVE, CAN, internet_id="<d1@x>", refs=["d2"], at=20, verdict="pass")
    return [copy_in(x, CAN)]


def an_id_is_reused_in_the_same_mailbox() -> Attack:
    return [copy_in(mail("x", EVE, ADA, internet_id="<a1@x>", at=-5, verdict="pass"), ADA, provider_id="x")]


def a_received_mail_says_it_had_another_id_before() -> Attack:
    x = mail("x", EVE, CAN, other_ids=("<a2@x>", "<a1@x>"), at=-5, verdict="pass")
    y = mail("y", EVE, CAN, answers="a2", at=20, verdict="pass")
    return [copy_in(x, CAN), copy_in(y, CAN)]


def the_customer_is_spoofed_and_dmarc_fails() -> Attack:
    x = mail("x", BEA, ADA, subject="Re: Rollout plan", refs=["a1", "a2"], answers="a2", at=20, verdict="fail")
    return [copy_in(x, ADA)]


def the_customer_is_spoofed_towards_another_account() -> Attack:
    return [copy_in(mail("x", BEA, CAN, refs=["a1", "a2"], at=20, verdict="fail"), CAN)]


def the_customer_is_spoofed_in_the_same_provider_thread() -> Attack:
    x = mail("x", BEA, ADA, subject="Re: Rollout plan", at=20, verdict="fail", thread="t")
    return [copy_in(x, ADA)]


def we_are_spoofed_towards_another_account() -> Attack:
    return [copy_in(mail("x", ADA, CAN, refs=["a1", "a2"], at=20), CAN, folder="inbox", verdict="none")]


def we_are_spoofed_and_dmarc_fails() -> Attack:
    return [copy_in(mail("x", ADA, ADA, refs=["a1", "a2"], at=20), ADA, folder="inbox", verdict="fail")]


def an_answer_to_a_spoofed_mail_does_not_bring_it_in() -> Attack:
    x = mail("x", BEA, CAN, refs=["a1"], at=20, verdict="fail")
    y = mail("y", CAN, BEA, refs=["a1", "x"], answers="x", at=25)
    return [copy_in(x, CAN), copy_in(y, CAN)]


def a_customers_answer_to_a_forged_mail_does_not_bring_it_in() -> Attack:
    x = mail("x", EVE, [CAN, BEA], refs=["a1"], at=20, verdict="pass")
    y = mail("y", BEA, [EVE, CAN], refs=["a1", "x"], answers="x", at=25, verdict="pass")
    return [copy_in(x, CAN), copy_in(y, CAN)]


def a_bounce_is_forged_towards_another_account() -> Attack:
    x = mail("x", "mailer-daemon@evil.test", CAN, at=20, verdict="pass", automated="bounce", bounce_of="<a2@x>")
    return [copy_in(x, CAN)]


def a_provider_thread_of_another_mailbox_has_the_same_name() -> Attack:
    return [copy_in(mail("x", EVE, CAN, subject="Re: Rollout plan", at=20, verdict="pass"), CAN, thread="t")]


def a_stranger_writes_under_the_same_subject() -> Attack:
    return [copy_in(mail("x", EVE, ADA, subject="Re: Rollout plan", cc=[BEA], at=20, verdict="pass"), ADA)]


def a_participant_writes_to_another_account_under_the_same_subject() -> Attack:
    return [copy_in(mail("x", BEA, CAN, subject="Re: Merger talks", at=20, verdict="pass"), CAN)]


def a_thread_index_is_copied_under_a_new_subject() -> Attack:
    return [copy_in(mail("x", BEA, ADA, subject="New prices", thread_index="aa", at=20, verdict="pass"), ADA)]


def a_thread_index_is_copied_towards_another_account() -> Attack:
    return [copy_in(mail("x", EVE, CAN, thread_index="aa", at=20, verdict="pass"), CAN)]


def forged_mails_name_each_other_in_a_circle() -> Attack:
    x = [mail(f"x{i}", EVE, CAN, refs=["a1", f"x{(i + 1) % 3}"], at=20 + i, verdict="pass") for i in range(3)]
    return [copy_in(each, CAN) for each in x]


def forged_mails_in_two_mailboxes_name_each_other() -> Attack:
    x = mail("x", EVE, CAN, refs=["d1", "y"], at=20, verdict="pass")
    y = mail("y", EVE, MALLORY, refs=["d1", "x"], at=21, verdict="pass")
    return [copy_in(x, CAN), copy_in(y, MALLORY)]


def a_smart_bcc_copy_names_the_original() -> Attack:
    x = mail("x", MALLORY, EVE, subject="Fwd: Merger talks", refs=["d1", "d2"], at=20, namespace="bcc:1")
    return [copy_in(x, MALLORY)]


def an_id_in_a_reference_is_no_fact_for_a_third_mail() -> Attack:
    x = mail("x", EVE, CAN, refs=["d1"], at=20, verdict="pass")
    y = mail("y", "fay@evil.test", CAN, subject="Other", answers="d1", at=21, verdict="pass")
    return [copy_in(x, CAN), copy_in(y, CAN)]


ATTACKS = [
    attack
    for name, attack in list(globals().items())
    if callable(attack) and getattr(attack, "__annotations__", {}).get("return") == "Attack"
]


def deliver(messages: list[Message]) -> Threads:
    threads = new()
    for message in messages:
        threads.place(message)
    return threads


def with_hints(messages: list[Message]) -> list[Message]:
    """Give the first victim a provider thread and an Exchange thread, for the attacks that use them."""
    return [
        replace(each, thread_index="aa", copies=(replace(each.copies[0], provider_thread_id="t"),))
        if each.internet_id == "<a1@x>"
        else each
        for each in messages
    ]


def test_there_are_thirty_attacks() -> None:
    assert len(ATTACKS) >= 30


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
@pytest.mark.parametrize("order", ["after", "before", "between"])
def test_nothing_is_gained(attack: Callable[[], Attack], order: str) -> None:
    victims, forged = with_hints(honest_mail()), attack()
    messages = {
        "after": victims + forged,
        "before": forged + victims,
        "between": victims[:1] + forged + victims[1:],
    }[order]
    threads = deliver(messages)
    forged_copies = {(each.copies[0].account_id, each.copies[0].provider_id) for each in forged}
    found = {
        frozenset(message.internet_id[1:-3] for message in conversation.messages): rights(conversation)
        for conversation in threads.conversations
        if not any(
            (copy.account_id, copy.provider_id) in forged_copies
            for message in conversation.messages
            for copy in message.copies
        )
    }
    assert found == VICTIMS
    assert not threads.merges


# --- in an account that holds the conversation a stranger's answer joins, and gives nothing ---


def test_a_member_who_writes_into_the_directors_conversation_gains_no_right() -> None:
    threads = deliver(honest_mail())
    x = mail("x", MALLORY, DIRECTOR, cc=[CAN], refs=["d1", "d2"], answers="d2", at=20)
    placed = [threads.place(copy_in(x, holder)) for holder in (DIRECTOR, MALLORY, CAN)]
    assert [each.joined for each in placed] == ["w1", "w2", "w2"]
    assert placed[-1].flags == ("new_here",)
    again = mail("y", MALLORY, [DIRECTOR, MALLORY], refs=["d1", "d2", "x"], answers="x", at=21)
    assert [threads.place(copy_in(again, holder)).joined for holder in (DIRECTOR, MALLORY)] == ["w1", "w2"]
    alone = mail("z", MALLORY, MALLORY, refs=["d1", "x", "y"], answers="y", at=22)
    assert threads.place(copy_in(alone, MALLORY)).joined == "w2"
    conversation = next(each for each in threads.conversations if len(each.messages) == 5)
    assert rights(conversation) == {DIRECTOR}


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_it_makes_no_difference_which_copy_of_a_strangers_mail_comes_first(order: tuple[int, ...]) -> None:
    x = mail("x", MALLORY, DIRECTOR, cc=[CAN], refs=["d1", "d2"], answers="d2", at=20)
    copies = [copy_in(x, holder) for holder in (DIRECTOR, MALLORY, CAN)]
    threads = deliver([copies[i] for i in order] + honest_mail())
    conversation = next(each for each in threads.conversations if len(each.messages) == 3)
    assert rights(conversation) == {DIRECTOR}


def test_who_is_answered_belongs_to_the_conversation_from_then_on() -> None:
    threads = deliver(honest_mail())
    x = mail("x", CAN, DIRECTOR, refs=["d1", "d2"], answers="d2", at=20)
    answer = mail("y", DIRECTOR, [CAN, BEA], refs=["d1", "d2", "x"], answers="x", at=25)
    for message, holder in [(x, DIRECTOR), (x, CAN), (answer, DIRECTOR), (answer, CAN)]:
        threads.place(copy_in(message, holder))
    conversation = next(each for each in threads.conversations if len(each.messages) == 4)
    assert rights(conversation) == {DIRECTOR, CAN}
    assert {m.internet_id: m.flags for m in conversation.messages}["<x@x>"] == ("new_here",)


def test_a_copy_that_joined_by_its_sender_gives_no_right_however_often_it_is_answered() -> None:
    threads = deliver(honest_mail())
    x = mail("x", BEA, MALLORY, refs=["d1", "d2"], answers="d2", at=20, verdict="pass")
    y = mail("y", MALLORY, BEA, refs=["d1", "d2", "x"], answers="x", at=21)
    z = mail("z", MALLORY, [BEA, DIRECTOR], refs=["d1", "d2", "x", "y"], answers="d2", at=22)
    for message, holder in [(x, MALLORY), (y, MALLORY), (z, MALLORY), (z, DIRECTOR)]:
        threads.place(copy_in(message, holder))
    conversation = next(each for each in threads.conversations if len(each.messages) == 5)
    assert rights(conversation) == {DIRECTOR}


# --- bridges between conversations that one account holds ---


def bridge(threads: Threads, sender: str, to: str, refs: list[str], answers: str | None = None) -> object:
    return threads.place(copy_in(mail("x", sender, to, refs=refs, answers=answers, at=30, verdict="pass"), to))


def test_a_bridge_between_two_customers_merges_nothing_and_joins_what_it_answers() -> None:
    threads = deliver(honest_mail())
    placed = threads.place(
        copy_in(mail("x", EVE, ADA, refs=["z1", "a1", "a2"], answers="z1", at=30, verdict="pass"), ADA)
    )
    assert {"z1", "x"} in groups(threads)
    assert {"a1", "a2"} in groups(threads)
    assert [pair.why for pair in placed.pairs] == ["counterparts"]


def test_a_supplier_who_takes_part_in_both_cannot_merge_them() -> None:
    supplier = "sam@supply.test"
    threads = deliver(
        [
            copy_in(mail("p", BEA, [ADA, supplier], verdict="pass"), ADA),
            copy_in(mail("q", DAN, [ADA, supplier], subject="Other", at=1, verdict="pass"), ADA),
        ]
    )
    bridge(threads, supplier, ADA, ["p", "q"], "q")
    assert groups(threads) == {frozenset({"p"}), frozenset({"q", "x"})}


def test_a_bridge_in_two_steps_merges_nothing() -> None:
    threads = deliver(honest_mail())
    first = mail("w", EVE, ADA, cc=[DAN], refs=["a1", "a2"], answers="a2", at=20, verdict="pass")
    threads.place(copy_in(first, ADA))
    bridge(threads, EVE, ADA, ["a1", "w", "z1"], "w")
    assert {"z1"} in groups(threads)


def test_a_member_cannot_merge_her_own_conversation_with_the_directors() -> None:
    threads = deliver(honest_mail())
    k = mail("k", MALLORY, [DIRECTOR, BEA], subject="Lunch", at=10)
    threads.place(copy_in(k, MALLORY))
    threads.place(copy_in(k, DIRECTOR))
    placed = threads.place(copy_in(mail("x", MALLORY, DIRECTOR, refs=["d1", "k"], answers="k", at=30), DIRECTOR))
    assert {"d1", "d2"} in groups(threads)
    assert [pair.why for pair in placed.pairs] == ["counterparts"]


def test_an_internal_conversation_is_no_way_into_another() -> None:
    threads = deliver(honest_mail())
    k = mail("k", MALLORY, DIRECTOR, subject="Lunch", at=10)
    threads.place(copy_in(k, MALLORY))
    threads.place(copy_in(k, DIRECTOR))
    threads.place(copy_in(mail("x", MALLORY, DIRECTOR, refs=["d1", "k"], answers="d1", at=30), DIRECTOR))
    directors = next(c for c in threads.conversations if any(m.internet_id == "<d1@x>" for m in c.messages))
    assert rights(directors) == {DIRECTOR}
    assert {"k"} in groups(threads)


def test_an_answer_to_a_spoofed_mail_in_the_same_mailbox_does_not_merge_it() -> None:
    threads = deliver(honest_mail())
    threads.place(copy_in(mail("x", BEA, ADA, refs=["a1", "a2"], answers="a2", at=20, verdict="fail"), ADA))
    placed = threads.place(copy_in(mail("y", ADA, BEA, refs=["a1", "a2", "x"], answers="x", at=21), ADA))
    assert {"a1", "a2"} in groups(threads)
    assert {"x", "y"} in groups(threads)
    assert [pair.why for pair in placed.pairs] == ["sender_failed"]


def test_a_false_copy_of_a_true_message_gives_its_holder_no_right() -> None:
    threads = deliver(honest_mail())
    a1 = mail("a1", BEA, ADA, verdict="pass")
    placed = threads.place(copy_in(a1, MALLORY, verdict="fail"))
    assert (placed.is_new_message, placed.joined) == (False, "w2")


def test_a_true_copy_of_a_message_takes_the_place_of_a_false_one() -> None:
    threads = deliver([])
    a1 = mail("a1", BEA, ADA)
    assert threads.place(copy_in(a1, MALLORY, verdict="fail")).joined == "founded"
    threads.place(copy_in(a1, ADA, verdict="pass"))
    assert rights(threads.conversations[0]) == {ADA}
