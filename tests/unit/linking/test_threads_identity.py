"""Which copies are one message: a test for each sentence of conversations.md I and mail-connectors.md 4.3."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from app.model import Message
from tests.unit.linking.mails import (
    ADA,
    BEA,
    CAN,
    CEM,
    START,
    copy_in,
    groups,
    held,
    mail,
    new,
    place,
    stored,
    together,
)


def test_the_same_id_and_the_same_fingerprint_are_the_same_message() -> None:
    threads = new()
    m = mail("m", BEA, [ADA, CAN])
    first, second = place(threads, m, ADA), place(threads, m, CAN)
    assert (first.is_new_message, first.is_new_copy) == (True, True)
    assert (second.is_new_message, second.is_new_copy) == (False, True)
    assert first.message_id == second.message_id
    assert [(c.account_id, c.joined) for c in held(threads, "m").copies] == [(1, "founded"), (2, "w3")]


@pytest.mark.parametrize(
    "other",
    [
        mail("m", CEM, ADA),
        mail("m", BEA, ADA, at=1),
        mail("m", BEA, ADA, subject="Another plan"),
        mail("m", BEA, CAN),
    ],
    ids=["From", "Date", "subject", "recipients"],
)
def test_the_same_id_with_another_fingerprint_is_two_messages_both_kept_and_flagged(other: Message) -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    placed = place(threads, other, ADA, provider_id="other")
    assert placed.is_new_message
    assert placed.flags == ("message_id_reused",)
    assert [m.flags for c in threads.conversations for m in c.messages] == [("message_id_reused",)] * 2


def test_a_flag_for_a_reused_id_stays_when_the_other_message_is_not_looked_at() -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    place(threads, mail("m", CEM, CAN), CAN)
    [known] = [c for c in stored(threads) if c.messages[0].participants[0].address == BEA]
    again = new([known])
    place(again, mail("r", ADA, BEA, refs=["m"], at=3), ADA)
    assert held(again, "m").flags == ("message_id_reused",)


def test_body_snippet_attachments_and_bcc_belong_to_the_copy() -> None:
    threads = new()
    m = mail("m", ADA, BEA, bcc=[CAN])
    sent, got = copy_in(m, ADA), copy_in(m, CAN)
    threads.place(replace(got, copies=(replace(got.copies[0], snippet="seen by Can"),)))
    threads.place(replace(sent, copies=(replace(sent.copies[0], snippet="seen by Ada"),)))
    copies = held(threads, "m").copies
    assert [copy.snippet for copy in copies] == ["seen by Can", "seen by Ada"]
    assert [[person.address for person in copy.bcc] for copy in copies] == [[], [CAN]]


def test_the_time_of_a_message_is_the_earliest_over_its_copies() -> None:
    threads = new()
    m = mail("m", BEA, [ADA, CAN], at=5)
    place(threads, m, ADA, late=3)
    place(threads, m, CAN)
    assert held(threads, "m").at == START + timedelta(minutes=5)


def test_the_id_gmail_replaced_is_one_of_the_message_when_the_senders_copy_says_so() -> None:
    threads = new()
    m = mail("m", ADA, BEA, other_ids=("<original@x>",))
    place(threads, m, ADA)
    place(threads, mail("r", BEA, ADA, answers="original", at=5), ADA)
    assert groups(threads) == {together("m", "r")}


def test_the_id_gmail_replaced_is_learned_from_a_later_copy() -> None:
    threads = new()
    m = mail("m", ADA, [BEA, CAN], other_ids=("<original@x>",))
    place(threads, m, CAN)
    place(threads, mail("r", BEA, ADA, answers="original", at=5), ADA)
    assert len(groups(threads)) == 2
    place(threads, m, ADA)
    assert groups(threads) == {together("m", "r")}
