"""Which conversation a message joins: a test for each sentence of conversations.md J and mail-connectors.md 4.3."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from tests.unit.linking.mails import (
    ADA,
    BEA,
    CAN,
    CEM,
    DAN,
    DIRECTOR,
    EVE,
    MALLORY,
    copy_in,
    groups,
    held,
    in_every_order,
    mail,
    new,
    place,
    rights,
    stored,
    together,
)


@pytest.mark.parametrize("named", [{"refs": ["m"]}, {"answers": "m"}], ids=["References", "In-Reply-To"])
def test_w1_an_account_with_a_copy_already_holds_a_message_of_the_conversation(named: dict[str, object]) -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    placed = place(threads, mail("r", CEM, ADA, at=5, **named), ADA)
    assert groups(threads) == {together("m", "r")}
    assert placed.joined == "w1"


def test_w1_any_message_of_the_conversation_will_do() -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    place(threads, mail("r", BEA, [ADA, CAN], refs=["m"], at=5), ADA, CAN)
    placed = place(threads, mail("s", CEM, CAN, answers="m", at=6), CAN)
    assert (placed.joined, groups(threads)) == ("w1", {together("m", "r", "s")})


def test_a_stranger_who_joins_by_w1_is_marked_new_here() -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    assert place(threads, mail("r", BEA, ADA, refs=["m"], at=4), ADA).flags == ()
    assert place(threads, mail("s", EVE, ADA, refs=["m"], at=5), ADA).flags == ("new_here",)
    assert place(threads, mail("t", EVE, ADA, refs=["m", "s"], at=6), ADA).flags == ("new_here",)


def test_who_was_written_to_is_not_new_here() -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    place(threads, mail("r", ADA, [BEA, CEM], refs=["m"], at=5), ADA)
    assert place(threads, mail("s", CEM, ADA, refs=["m", "r"], at=6), ADA).flags == ()


def test_w3_a_copy_of_a_message_gives_its_account_the_conversation() -> None:
    threads = new()
    m = mail("m", BEA, [ADA, CAN])
    place(threads, m, ADA)
    assert place(threads, m, CAN).joined == "w3"
    assert place(threads, mail("r", EVE, CAN, refs=["m"], at=5), CAN).joined == "w1"


@pytest.mark.parametrize("sender", [BEA, DAN])
def test_w2_the_sender_already_takes_part_as_sender_or_recipient(sender: str) -> None:
    threads = new()
    place(threads, mail("m", BEA, [ADA, DAN]), ADA)
    placed = place(threads, mail("r", sender, CAN, refs=["m"], at=5), CAN)
    assert groups(threads) == {together("m", "r")}
    assert placed.joined == "w2"
    assert rights(threads.conversations[0]) == {ADA}


def test_w2_counts_for_a_colleague_only_when_it_is_proved_who_wrote() -> None:
    threads = new()
    place(threads, mail("m", BEA, [ADA, CAN]), ADA)
    proved = place(threads, mail("r", CAN, DIRECTOR, refs=["m"], at=5), DIRECTOR, verdict="pass")
    claimed = place(threads, mail("s", CAN, MALLORY, answers="m", at=6), MALLORY, verdict="weak")
    assert (proved.joined, groups(threads)) == ("w2", {together("m", "r"), together("s")})
    assert claimed.claims == (proved.conversation_id,)


def test_w2_does_not_count_when_there_is_w1_for_another_conversation_it_refers_to() -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    place(threads, mail("n", CEM, CAN, subject="Other"), CAN)
    placed = place(threads, mail("r", BEA, CAN, refs=["m", "n"], answers="m", at=5), CAN)
    assert groups(threads) == {together("m"), together("n", "r")}
    assert [pair.why for pair in placed.pairs] == ["claims"]


def test_w2_is_given_up_when_w1_turns_up_for_another_conversation() -> None:
    messages = [
        copy_in(mail("m", BEA, ADA), ADA),
        copy_in(mail("n", CEM, CAN, subject="Other", refs=["m"], at=2), CAN),
        copy_in(mail("r", BEA, CAN, refs=["m", "n"], answers="n", at=5), CAN),
    ]
    for threads in in_every_order(*messages):
        assert groups(threads) == {together("m"), together("n", "r")}


def test_what_answers_a_message_that_joined_by_w2_goes_with_it() -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    place(threads, mail("r", BEA, CAN, refs=["m"], at=5), CAN)
    placed = place(threads, mail("s", CAN, BEA, refs=["m", "r"], answers="r", at=6), CAN)
    stranger = place(threads, mail("t", EVE, CAN, refs=["m"], at=7), CAN)
    assert groups(threads) == {together("m", "r", "s", "t")}
    assert (placed.joined, stranger.joined, stranger.flags) == ("w2", "w2", ("new_here",))


def test_no_witness_its_own_conversation_which_claims_the_other() -> None:
    threads = new()
    first = place(threads, mail("m", BEA, ADA), ADA)
    placed = place(threads, mail("r", EVE, CAN, refs=["m"], at=5), CAN)
    assert groups(threads) == {together("m"), together("r")}
    assert (placed.joined, placed.claims) == ("founded", (first.conversation_id,))
    [pair] = threads.pairs
    assert (pair.conversation, pair.other) == (placed.conversation_id, first.conversation_id)
    assert (pair.why, pair.message_id) == ("claims", placed.message_id)


def test_a_late_ancestor_joins_the_conversation_that_refers_to_it() -> None:
    threads = new()
    place(threads, mail("s", BEA, ADA, refs=["m", "r"], answers="r", at=9), ADA)
    place(threads, mail("r", ADA, BEA, refs=["m"], answers="m", at=5), ADA)
    placed = place(threads, mail("m", BEA, ADA), ADA)
    assert groups(threads) == {together("m", "r", "s")}
    assert placed.joined == "founded"
    assert held(threads, "s").joined == "w1"


def test_a_late_ancestor_in_another_mailbox_needs_its_own_witness() -> None:
    threads = new()
    place(threads, mail("r", EVE, CAN, refs=["m"], at=5), CAN)
    place(threads, mail("m", BEA, ADA), ADA)
    assert groups(threads) == {together("m"), together("r")}


@pytest.mark.parametrize("late", ["message", "copy"])
def test_a_witness_that_comes_later_is_as_good(late: str) -> None:
    threads = new()
    m = mail("m", BEA, [ADA, CAN])
    place(threads, m, ADA)
    place(threads, mail("r", CEM, CAN, refs=["m"], at=5), CAN)
    assert len(groups(threads)) == 2
    if late == "copy":
        place(threads, m, CAN)
    else:
        place(threads, mail("s", BEA, [ADA, CAN], refs=["m"], at=6), ADA, CAN)
    assert held(threads, "r").joined == "w1"
    assert together("m", "r") <= max(groups(threads), key=len)


def test_somebody_who_takes_part_later_is_a_witness_for_what_he_wrote_before() -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    place(threads, mail("r", CEM, CAN, refs=["m"], at=5), CAN)
    place(threads, mail("s", ADA, [BEA, CEM], refs=["m"], at=6), ADA)
    assert groups(threads) == {together("m", "r", "s")}


def test_what_joined_by_w2_joins_with_rights_when_the_account_gets_a_copy() -> None:
    threads = new()
    m = mail("m", BEA, [ADA, CAN])
    place(threads, m, ADA)
    assert place(threads, mail("r", BEA, CAN, refs=["m"], at=5), CAN).joined == "w2"
    place(threads, m, CAN)
    assert held(threads, "r").joined == "w1"
    assert rights(threads.conversations[0]) == {ADA, CAN}


def test_two_mails_of_one_account_that_name_the_same_unknown_id_belong_together() -> None:
    r, s = mail("r", BEA, ADA, refs=["m"], at=5), mail("s", CEM, ADA, refs=["m"], at=6)
    for threads in in_every_order(copy_in(r, ADA), copy_in(s, ADA)):
        assert groups(threads) == {together("r", "s")}
        assert (held(threads, "r").joined, held(threads, "s").joined) == ("founded", "w1")


def test_two_mails_of_different_accounts_that_name_the_same_unknown_id_do_not() -> None:
    threads = new()
    place(threads, mail("r", BEA, ADA, refs=["m"], at=5), ADA)
    place(threads, mail("s", BEA, CAN, refs=["m"], at=6), CAN)
    assert len(groups(threads)) == 2


def test_a_sender_whose_verdict_is_fail_joins_nothing() -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    placed = place(threads, mail("r", BEA, ADA, refs=["m"], at=5), ADA, verdict="fail")
    assert groups(threads) == {together("m"), together("r")}
    assert [pair.why for pair in placed.pairs] == ["sender_failed"]
    assert len(placed.claims) == 1


def test_a_message_said_to_be_genuine_joins_after_all() -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    r = copy_in(mail("r", BEA, ADA, refs=["m"], at=5), ADA, verdict="fail")
    threads.place(r)
    placed = threads.place(replace(r, copies=(replace(r.copies[0], genuine=True),)))
    assert groups(threads) == {together("m", "r")}
    assert (placed.is_new_copy, placed.joined) == (False, "w1")
    assert held(threads, "r").copies[0].genuine


def test_a_message_can_be_looked_at_although_all_its_copies_are_gone() -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    [known] = stored(threads)
    again = new([replace(known, messages=(replace(known.messages[0], copies=()),))])
    assert place(again, mail("r", CEM, ADA, refs=["m"], at=5), ADA).joined == "founded"
    assert place(again, mail("s", ADA, BEA, refs=["m"], at=5), ADA).joined == "w2"


# provider thread, Exchange thread, subject (mail-connectors.md 4.3)


@pytest.mark.parametrize(
    ("sender", "to", "subject", "joins"),
    [
        (EVE, [ADA, CEM, DAN], "Re: Rollout plan", True),
        (BEA, [ADA], "A new subject", True),
        (BEA, [ADA, CEM], "A new subject", True),
        (BEA, [ADA, CEM, DAN], "A new subject", False),
    ],
)
def test_a_provider_thread_joins_with_the_same_subject_or_the_same_people(
    sender: str, to: list[str], subject: str, joins: bool
) -> None:
    m, r = mail("m", BEA, ADA, thread="t"), mail("r", sender, to, subject=subject, at=5, thread="t")
    for threads in in_every_order(copy_in(m, ADA), copy_in(r, ADA)):
        assert (len(groups(threads)) == 1) == joins
        assert {message.joined for c in threads.conversations for message in c.messages} == (
            {"founded", "w1"} if joins else {"founded"}
        )


def test_a_provider_thread_of_another_mailbox_joins_nothing() -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA, thread="t"), ADA)
    place(threads, mail("r", BEA, CAN, thread="t", at=5), CAN)
    assert len(groups(threads)) == 2


def test_a_provider_thread_does_not_count_against_a_reference() -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA, subject="One plan", thread="t"), ADA)
    place(threads, mail("n", BEA, ADA, subject="Two plans", at=1), ADA)
    place(threads, mail("o", BEA, ADA, subject="Three plans", cc=[CEM, DAN], refs=["n"], at=2, thread="t"), ADA)
    assert groups(threads) == {together("m"), together("n", "o")}


@pytest.mark.parametrize(
    ("sender", "to", "subject", "joins"),
    [
        (BEA, ADA, "Re: Rollout plan", True),
        (BEA, ADA, "A new subject", False),
        (EVE, ADA, "Re: Rollout plan", False),
        (BEA, CAN, "Re: Rollout plan", False),
    ],
)
def test_a_thread_index_joins_with_the_same_subject_and_a_common_counterpart(
    sender: str, to: str, subject: str, joins: bool
) -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA, thread_index="aa", automated="bulk"), ADA)
    place(threads, mail("r", sender, to, subject=subject, thread_index="aa", automated="bulk", at=5), to)
    assert (len(groups(threads)) == 1) == joins


REPLY = {"sender": BEA, "to": ADA, "subject": "Re: Rollout plan", "at": 5}


@pytest.mark.parametrize(
    ("first", "reply", "joins"),
    [
        ({}, {}, True),
        ({}, {"subject": "YNT: rollout PLAN"}, True),
        ({}, {"subject": "R: Rollout plan"}, True),
        ({}, {"subject": "Rollout plan"}, False),
        ({}, {"subject": "Fwd: Rollout plan"}, False),
        ({"subject": "Fix"}, {"subject": "Re: Fix"}, False),
        ({"subject": "Invoice"}, {"subject": "Re: Invoice"}, False),
        ({"subject": "Toplantı"}, {"subject": "Ynt: toplantı"}, False),
        ({}, {"sender": EVE}, False),
        ({}, {"sender": EVE, "to": [ADA, BEA]}, False),
        ({"to": [ADA, CAN]}, {"to": CAN, "in": CAN}, False),
        ({}, {"at": 30 * 24 * 60}, True),
        ({}, {"at": 30 * 24 * 60 + 1}, False),
        ({}, {"automated": "auto_reply"}, False),
        ({"sender": CAN}, {"sender": CAN, "to": ADA}, False),
    ],
)
def test_a_reply_that_lost_its_headers_joins_by_subject_under_every_condition(
    first: dict[str, object], reply: dict[str, object], joins: bool
) -> None:
    holder = str(reply.get("in", ADA))
    original = mail("m", **{"sender": BEA, "to": ADA, **first})
    answer = mail("r", **{**REPLY, **{key: value for key, value in reply.items() if key != "in"}})
    for threads in in_every_order(copy_in(original, ADA), copy_in(answer, holder)):
        assert (len(groups(threads)) == 1) == joins


def test_a_subject_joins_the_newest_conversation_that_has_it() -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    place(threads, mail("n", BEA, ADA, at=5), ADA)
    place(threads, mail("r", BEA, ADA, subject="Re: Rollout plan", at=9), ADA)
    assert groups(threads) == {together("m"), together("n", "r")}


def test_a_reply_that_another_conversation_has_joins_nothing_by_subject() -> None:
    threads = new()
    place(threads, mail("x", BEA, ADA, subject="Else"), ADA)
    place(threads, mail("r", BEA, ADA, subject="Re: Rollout plan", refs=["x"], at=9), ADA)
    place(threads, mail("m", BEA, ADA, at=5), ADA)
    assert groups(threads) == {together("m"), together("x", "r")}


def test_a_conversation_of_500_messages_is_not_continued_by_its_subject() -> None:
    threads = new()
    for number in range(501):
        refs = [f"m{number - 1}"] if number else []
        place(threads, mail(f"m{number}", BEA, ADA, refs=refs, at=number), ADA)
    place(threads, mail("r", BEA, ADA, subject="Re: Rollout plan", at=600), ADA)
    assert sorted(map(len, groups(threads))) == [1, 501]


def test_a_mail_without_a_sender_joins_only_what_the_account_holds() -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    for key, subject, refs in [("r", "Re: Rollout plan", []), ("s", "Else", ["m"])]:
        message = mail(key, BEA, CAN, subject=subject, refs=refs, at=5)
        place(threads, replace(message, participants=message.participants[1:]), CAN)
    assert {together("m"), together("r"), together("s")} == groups(threads)
    message = mail("t", BEA, ADA, subject="Re: Rollout plan", at=6)
    place(threads, replace(message, participants=message.participants[1:]), ADA)
    assert together("t") in groups(threads)


def test_a_list_tag_makes_no_other_message_of_a_copy() -> None:
    threads = new()
    place(threads, mail("m", BEA, ["dev@lists.test"], subject="Typing"), ADA)
    tagged = mail("m", BEA, ["dev@lists.test"], subject="[dev] Typing", list_ids=["<dev.lists.test>"])
    assert not place(threads, tagged, CAN).is_new_message


# forwards, bounces, circles, namespaces


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_forward_to_new_people_under_a_new_subject_is_a_conversation_of_its_own(order: tuple[int, ...]) -> None:
    messages = [
        mail("m", BEA, ADA),
        mail("f", ADA, DAN, subject="Fwd: For your eyes", refs=["m"], answers="m", at=5),
        mail("g", DAN, ADA, subject="Re: For your eyes", refs=["m", "f"], answers="f", at=6),
    ]
    threads = new()
    for index in order:
        place(threads, messages[index], ADA, thread="t")
    # What answers a forward that is not there yet belongs to what it also refers to.
    is_answered_too_early = order[-1] == 1
    assert groups(threads) == (
        {together("m", "g"), together("f")} if is_answered_too_early else {together("m"), together("f", "g")}
    )
    assert held(threads, "f").flags == ("derived",)
    assert all(pair.message_id != held(threads, "f").id for pair in threads.pairs)


@pytest.mark.parametrize(
    ("to", "subject"),
    [([DAN], "Fwd: Rollout plan"), ([BEA], "Fwd: Again"), ([CAN], "Fwd: Look"), ([DAN, BEA], "Fwd: Hm")],
)
def test_every_other_forward_stays_in_the_conversation(to: list[str], subject: str) -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    place(threads, mail("f", ADA, to, subject=subject, refs=["m"], answers="m", at=5), ADA)
    assert groups(threads) == {together("m", "f")}


def test_a_forward_and_an_answer_to_the_same_unknown_mail_are_two_conversations() -> None:
    threads = new()
    place(threads, mail("f", ADA, DAN, subject="Fwd: For your eyes", refs=["m"], at=5), ADA)
    place(threads, mail("r", BEA, ADA, subject="Re: Rollout plan", refs=["m"], at=6), ADA)
    assert len(groups(threads)) == 2


@pytest.mark.parametrize("holder", [ADA, CAN])
def test_a_bounce_attaches_to_the_original_when_its_account_holds_it(holder: str) -> None:
    threads = new()
    place(threads, mail("m", ADA, BEA), ADA)
    bounce = mail(
        "b", "mailer-daemon@acme.test", holder, subject="Undelivered", at=5, automated="bounce", bounce_of="<m@x>"
    )
    place(threads, bounce, holder)
    assert (groups(threads) == {together("m", "b")}) == (holder == ADA)


def test_circles_of_references_end() -> None:
    circle = [mail(f"c{i}", BEA, ADA, refs=[f"c{(i + 1) % 3}", f"c{(i + 2) % 3}"], at=i) for i in range(3)]
    for threads in in_every_order(*(copy_in(message, ADA) for message in circle)):
        assert groups(threads) == {together("c0", "c1", "c2")}
        assert sum(m.joined == "founded" for c in threads.conversations for m in c.messages) == 1


def test_a_message_that_refers_to_itself_is_alone() -> None:
    threads = new()
    message = mail("m", BEA, ADA, refs=["m"])
    assert place(threads, message, ADA).claims == ()


def test_a_smart_bcc_copy_is_a_conversation_of_its_own() -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    f = mail("f", ADA, "deal+1@in.test", subject="Fwd: Rollout plan", refs=["m"], at=5, namespace="bcc:1")
    place(threads, f, ADA, provider_id="smtp-1")
    assert groups(threads) == {together("m"), together("f")}
    assert {c.namespace for c in threads.conversations} == {"", "bcc:1"}
    assert not threads.pairs


@pytest.mark.parametrize("first", ["smart_bcc", "sent"])
@pytest.mark.parametrize("alone", [True, False])
def test_the_sent_copy_of_a_forward_belongs_to_the_smart_bcc_conversation(first: str, alone: bool) -> None:
    threads = new()
    if not alone:
        place(threads, mail("m", BEA, ADA), ADA)
    f = mail("f", ADA, "deal+1@in.test", subject="Fwd: Rollout plan", refs=["m"], at=5)
    smtp = copy_in(replace(f, namespace="bcc:1"), ADA, provider_id="smtp-1")
    sent = copy_in(f, ADA)
    for message in [smtp, sent] if first == "smart_bcc" else [sent, smtp]:
        threads.place(message)
    place(threads, mail("r", BEA, ADA, refs=["m", "f"], answers="f", at=9), ADA)
    assert groups(threads) == {together("f"), together("r") if alone else together("m", "r")}
    assert len(held(threads, "f").copies) == 2
    assert held(threads, "f").namespace == "bcc:1"


def test_what_hung_on_a_forward_to_smart_bcc_goes_back() -> None:
    threads = new()
    f = mail("f", ADA, BEA, subject="Fwd: Rollout plan", at=5)
    place(threads, f, ADA)
    place(threads, mail("r", BEA, CAN, refs=["f"], at=6), CAN)
    assert len(groups(threads)) == 1
    threads.place(copy_in(replace(f, namespace="bcc:1"), ADA, provider_id="smtp-1"))
    assert groups(threads) == {together("f"), together("r")}
    assert held(threads, "r").joined == "founded"


def test_a_forward_to_two_smart_bcc_addresses_is_two_conversations() -> None:
    threads = new()
    f = mail("f", ADA, "deal+1@in.test", at=5)
    for number in (1, 2):
        threads.place(copy_in(replace(f, namespace=f"bcc:{number}"), ADA, provider_id=f"smtp-{number}"))
    assert sorted(c.namespace for c in threads.conversations) == ["bcc:1", "bcc:2"]
    assert held(threads, "f").flags == ()
