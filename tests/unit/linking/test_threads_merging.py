"""When conversations become one, and what is answered: a test for each sentence of conversations.md M."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.linking.threads import MAX_MERGES_AN_HOUR, Threads, keys
from app.model import Conversation, ItemRef, Level, Link, Message, Origin, Tombstone
from tests.unit.linking.mails import (
    ADA,
    BEA,
    CAN,
    CEM,
    DAN,
    DIRECTOR,
    START,
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


def link(item: str = "1", origin: Origin = "automatic", number: int = 1) -> Link:
    return Link(number, ItemRef("deal", item), True, origin, None, START)


def with_link(conversations: list[Conversation], key: str, **how: object) -> list[Conversation]:
    """Return the conversations, the one with that message linked or otherwise changed."""
    return [
        replace(each, **how) if any(m.internet_id == f"<{key}@x>" for m in each.messages) else each
        for each in conversations
    ]


def two_conversations(sender: str = BEA, **second: object) -> list[Conversation]:
    """Return two stored conversations of Ada's, m and then n."""
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    place(threads, mail("n", sender, ADA, subject="Another plan", at=1, **second), ADA)
    return stored(threads)


def bridge(known: list[Conversation], answers: str = "n", sender: str = BEA, **more: object) -> tuple[Threads, object]:
    threads = new(known, **more)
    return threads, place(threads, mail("x", sender, ADA, subject="Both", refs=["m", "n"], answers=answers, at=9), ADA)


def test_two_conversations_of_the_same_people_merge_and_the_eldest_survives() -> None:
    known = two_conversations()
    threads, placed = bridge(known)
    assert groups(threads) == {together("m", "n", "x")}
    [merge] = placed.merges
    ids = {c.messages[0].internet_id: c.id for c in known}
    assert (merge.survivor, merge.absorbed) == (ids["<m@x>"], ids["<n@x>"])
    assert (merge.account_id, merge.message_id) == (1, placed.message_id)
    assert threads.merges == [merge]


def test_a_merge_stores_what_stood_before_it() -> None:
    known = two_conversations()
    _, placed = bridge(known)
    assert placed.merges[0].absorbed_before == next(c for c in known if c.id == placed.merges[0].absorbed)


@pytest.mark.parametrize("linked", ["m", "n"])
def test_the_linked_conversation_survives(linked: str) -> None:
    known = with_link(two_conversations(), linked, links=(link(),))
    threads, _ = bridge(known)
    [conversation] = threads.conversations
    assert conversation.id == next(c.id for c in known if c.links)
    assert conversation.primary_link == link()


def test_links_and_tombstones_survive_a_merge() -> None:
    gone = Tombstone(ItemRef("deal", "7"), "Ada", START)
    known = with_link(two_conversations(), "m", links=(link(),), tombstones=(gone,))
    person = Link(5, ItemRef("person", "p1"), False, "automatic", None, START)
    other = Tombstone(ItemRef("deal", "8"), "Ada", START)
    known = with_link(known, "n", links=(person,), tombstones=(gone, other))
    threads, _ = bridge(known)
    [conversation] = threads.conversations
    assert conversation.links == (link(), person)
    assert conversation.tombstones == (gone, other)


def test_of_two_links_to_one_item_the_one_made_by_hand_stays() -> None:
    by_hand = link(origin="manual", number=2)
    for first, second in [(link(), by_hand), (by_hand, link())]:
        known = with_link(with_link(two_conversations(), "m", links=(first,)), "n", links=(second,))
        threads, _ = bridge(known)
        assert threads.conversations[0].links == (by_hand,)


def test_conversations_with_different_primary_links_do_not_merge() -> None:
    known = with_link(with_link(two_conversations(), "m", links=(link("1"),)), "n", links=(link("2"),))
    threads, placed = bridge(known)
    assert groups(threads) == {together("m"), together("n", "x")}
    assert [pair.why for pair in placed.pairs] == ["different_links"]


def test_conversations_with_different_visibility_do_not_merge() -> None:
    known = with_link(two_conversations(), "m", visibility="private")
    _, placed = bridge(known)
    assert [pair.why for pair in placed.pairs] == ["visibility"]


def test_a_new_message_joins_a_conversation_of_any_visibility() -> None:
    known = with_link(two_conversations(), "m", visibility="private")
    threads = new(known)
    place(threads, mail("r", BEA, ADA, refs=["m"], at=5), ADA)
    assert together("m", "r") in groups(threads)


@pytest.mark.parametrize("answers", ["m", "n"])
def test_without_the_same_counterparts_both_stay_and_the_message_joins_the_one_it_answers(answers: str) -> None:
    threads, placed = bridge(two_conversations(DAN), answers, sender=ADA)
    assert together(answers, "x") in groups(threads)
    assert [pair.why for pair in placed.pairs] == ["counterparts"]
    assert not threads.merges


@pytest.mark.parametrize("wider", ["m", "n"])
def test_it_is_enough_that_the_counterparts_of_one_include_those_of_the_other(wider: str) -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA, cc=[DAN] if wider == "m" else []), ADA)
    place(threads, mail("n", BEA, ADA, subject="Other", cc=[DAN] if wider == "n" else [], at=1), ADA)
    place(threads, mail("x", ADA, BEA, subject="Both", refs=["m", "n"], at=9), ADA)
    assert len(groups(threads)) == 1


def test_counterparts_count_as_they_stood_before_the_message() -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    place(threads, mail("n", DAN, ADA, subject="Other", at=1), ADA)
    place(threads, mail("x", ADA, [BEA, DAN], subject="Both", refs=["m", "n"], answers="n", at=9), ADA)
    assert groups(threads) == {together("m"), together("n", "x")}


def test_counterparts_that_hang_on_a_conversation_without_rights_count_against_a_merge() -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    place(threads, mail("w", BEA, [CAN, DAN], refs=["m"], at=1), CAN)
    place(threads, mail("n", CEM, [ADA, BEA], subject="Other", at=2), ADA)
    place(threads, mail("x", BEA, ADA, subject="Both", refs=["m", "n"], answers="n", at=9), ADA)
    assert groups(threads) == {together("m", "w"), together("n", "x")}


def test_a_refused_merge_is_looked_at_again_when_more_is_known() -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA, at=1), ADA)
    place(threads, mail("n", DAN, ADA, subject="Other", at=2), ADA)
    place(threads, mail("x", ADA, DAN, subject="Both", refs=["m", "n"], answers="n", at=9), ADA)
    assert len(groups(threads)) == 2
    place(threads, mail("l", BEA, [ADA, DAN], refs=["m"], at=3), ADA)
    assert groups(threads) == {together("m", "n", "x", "l")}


def test_a_late_ancestor_merges_two_conversations() -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    place(threads, mail("s", CEM, ADA, answers="r", at=9), ADA)
    threads = new(stored(threads))
    placed = place(threads, mail("r", ADA, [BEA, CEM], answers="m", at=5), ADA)
    assert groups(threads) == {together("m", "r", "s")}
    assert len(placed.merges) == 1


def test_conversations_linked_to_different_items_stay_apart_for_a_late_ancestor() -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    place(threads, mail("s", CEM, ADA, answers="r", at=9), ADA)
    known = with_link(with_link(stored(threads), "m", links=(link("1"),)), "s", links=(link("2"),))
    threads = new(known)
    placed = place(threads, mail("r", ADA, [BEA, CEM], answers="m", at=5), ADA)
    assert groups(threads) == {together("m", "r"), together("s")}
    assert [pair.why for pair in placed.pairs] == ["different_links"]


def test_conversations_that_a_person_took_apart_are_not_merged_again() -> None:
    known = two_conversations()
    threads, placed = bridge(known, kept_apart=[tuple(c.id for c in known)])
    assert groups(threads) == {together("m"), together("n", "x")}
    assert not placed.merges


def test_what_a_person_took_apart_does_not_hang_together_either() -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    place(threads, mail("r", CEM, CAN, refs=["m"], at=5), CAN)
    known = stored(threads)
    threads = new(known, kept_apart=[tuple(c.id for c in known)])
    place(threads, mail("s", ADA, CEM, refs=["m"], at=6), ADA)
    assert groups(threads) == {together("m", "s"), together("r")}


def test_more_than_20_merges_of_one_account_in_an_hour_stop() -> None:
    known = two_conversations()
    _, placed = bridge(known, merges_this_hour={1: MAX_MERGES_AN_HOUR - 1})
    assert len(placed.merges) == 1
    _, placed = bridge(known, merges_this_hour={1: MAX_MERGES_AN_HOUR})
    assert not placed.merges
    assert [pair.why for pair in placed.pairs] == ["many_merges"]


def test_merges_of_one_batch_count_as_well() -> None:
    threads = new()
    for number in range(MAX_MERGES_AN_HOUR + 1):
        place(threads, mail(f"m{number}", BEA, ADA, subject=f"Plan {number}", at=number), ADA)
        place(threads, mail(f"n{number}", BEA, ADA, subject=f"Map {number}", at=number), ADA)
    threads = new(stored(threads))
    for number in range(MAX_MERGES_AN_HOUR + 1):
        refs = [f"m{number}", f"n{number}"]
        last = place(threads, mail(f"x{number}", BEA, ADA, subject=f"Both {number}", refs=refs, at=90 + number), ADA)
    assert len(threads.merges) == MAX_MERGES_AN_HOUR
    assert [pair.why for pair in last.pairs] == ["many_merges"]


def test_a_conversation_that_ended_before_it_was_stored_survives_in_no_merge() -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA, refs=["l"], at=2), ADA)
    place(threads, mail("n", BEA, ADA, subject="Other", at=3), ADA)
    place(threads, mail("x", BEA, ADA, subject="Both", refs=["m", "n"], answers="n", at=9), ADA)
    assert len(threads.merges) == 1
    place(threads, mail("l", BEA, ADA, at=1), ADA)
    [conversation] = threads.conversations
    assert [merge.survivor for merge in threads.merges] == [conversation.id]


# what hangs on a conversation without rights


def founded_apart(**changes: object) -> tuple[list[Conversation], Message]:
    """Return two stored conversations, the second (r, of Can's) claiming the first, and what makes it join."""
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    place(threads, mail("r", CEM, CAN, refs=["m"], at=5), CAN)
    known = with_link(stored(threads), "r", **changes)
    return known, copy_in(mail("s", ADA, CEM, refs=["m"], at=6), ADA)


def test_a_stored_conversation_that_comes_to_hang_on_another_is_merged_into_it() -> None:
    known, witness = founded_apart(links=(link(),))
    threads = new(known)
    placed = threads.place(witness)
    [conversation] = threads.conversations
    assert (conversation.id, conversation.primary_link) == (known[0].id, link())
    assert [(merge.survivor, merge.absorbed) for merge in placed.merges] == [(known[0].id, known[1].id)]
    assert rights(conversation) == {ADA}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"links": (link(origin="manual"),)}, "claims"),
        ({"visibility": "private"}, "visibility"),
        ({"links": (link("2"),)}, "different_links"),
    ],
)
def test_what_a_person_chose_keeps_a_conversation_from_hanging_on_another(changes: dict[str, object], why: str) -> None:
    known, witness = founded_apart(**changes)
    if why == "different_links":
        known = with_link(known, "m", links=(link("1"),))
    threads = new(known)
    threads.place(witness)
    assert groups(threads) == {together("m", "s"), together("r")}
    assert [pair.why for pair in threads.pairs] == [why]


def test_hanging_on_another_conversation_counts_as_a_merge() -> None:
    known, witness = founded_apart()
    threads = new(known, merges_this_hour={2: MAX_MERGES_AN_HOUR})
    threads.place(witness)
    assert [pair.why for pair in threads.pairs] == ["many_merges"]


def test_what_hangs_on_a_stored_conversation_stays_there_when_nothing_says_otherwise() -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    place(threads, mail("r", BEA, CAN, refs=["m"], at=5), CAN)
    place(threads, mail("s", CAN, BEA, refs=["m", "r"], answers="r", at=6), CAN)
    [known] = stored(threads)
    moved = replace(
        known,
        messages=tuple(
            replace(m, references=(), in_reply_to=None) if m.at > START and "r@" in m.internet_id else m
            for m in known.messages
        ),
    )
    again = new([moved])
    place(again, mail("t", BEA, CAN, refs=["s"], at=7), CAN)
    assert groups(again) == {together("m", "r", "s", "t")}
    assert {m.internet_id: m.joined for m in again.conversations[0].messages} == {
        "<m@x>": "founded",
        "<r@x>": "w2",
        "<s@x>": "w2",
        "<t@x>": "w2",
    }


def test_a_block_that_moves_takes_what_hangs_on_it_along() -> None:
    messages = [
        copy_in(mail("m", BEA, ADA), ADA),
        copy_in(mail("n", CEM, CAN, cc=[BEA], subject="Other", refs=["m"], at=2), CAN),
        copy_in(mail("r", BEA, [CAN, DAN], refs=["m", "n"], answers="n", at=5), CAN),
        copy_in(mail("s", DAN, DIRECTOR, refs=["r"], at=6), DIRECTOR),
    ]
    for threads in in_every_order(*messages):
        assert groups(threads) == {together("m"), together("n", "r", "s")}


def test_a_conversation_does_not_become_part_of_another_by_an_answer_to_what_hangs_there() -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    place(threads, mail("r", BEA, CAN, refs=["m"], at=5), CAN)
    place(threads, mail("n", BEA, CAN, subject="Other", at=6), CAN)
    placed = place(threads, mail("x", CAN, BEA, subject="Both", refs=["r", "n"], answers="n", at=9), CAN)
    assert groups(threads) == {together("m", "r"), together("n", "x")}
    assert [pair.why for pair in placed.pairs] == ["claims"]


def test_w2_counts_for_the_message_it_answers_first() -> None:
    messages = [
        copy_in(mail("m", BEA, ADA), ADA),
        copy_in(mail("n", BEA, DIRECTOR, subject="Other", at=2), DIRECTOR),
        copy_in(mail("r", BEA, CAN, refs=["m", "n"], answers="n", at=5), CAN),
    ]
    for threads in in_every_order(*messages):
        assert groups(threads) == {together("m"), together("n", "r")}


def test_a_conversation_given_back_by_undoing_a_merge_has_a_founder_again() -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    [known] = stored(threads)
    again = new([replace(known, messages=(replace(known.messages[0], joined="w1"),))])
    assert place(again, mail("r", BEA, CAN, refs=["m"], at=5), CAN).joined == "w2"
    assert held(again, "m").joined == "founded"


def test_a_stored_conversation_of_nothing_but_weak_messages_is_one_all_the_same() -> None:
    threads = new()
    place(threads, mail("m", BEA, ADA), ADA)
    [known] = stored(threads)
    again = new([replace(known, messages=(replace(known.messages[0], joined="w2"),))])
    assert place(again, mail("r", ADA, BEA, refs=["m"], at=5), ADA).joined == "w1"


# --- answers ---------------------------------------------------------------------------------------------------------


def test_only_what_changed_is_touched() -> None:
    known = two_conversations()
    threads = new(known)
    assert threads.touched == []
    place(threads, mail("r", BEA, ADA, refs=["m"], at=5), ADA)
    assert [len(c.messages) for c in threads.touched] == [2]
    assert [c for c in threads.conversations if c in known] == known[1:]


def test_a_message_can_be_asked_for_its_conversation() -> None:
    threads = new()
    first = place(threads, mail("m", BEA, ADA), ADA)
    answer = place(threads, mail("r", ADA, BEA, refs=["m"], at=5), ADA)
    assert threads.conversation_of(answer.message_id) == first.conversation_id


@pytest.mark.parametrize("visibility", ["private", "full"])
def test_what_a_conversation_is_otherwise_stays(visibility: Level) -> None:
    known = with_link(two_conversations(), "m", visibility=visibility, public_id="u", dismissed=True)
    threads = new(known)
    place(threads, mail("r", BEA, ADA, refs=["m"], at=5), ADA)
    [touched] = threads.touched
    assert (touched.visibility, touched.public_id, touched.dismissed) == (visibility, "u", True)


def test_two_messages_that_could_be_one_conversation_share_a_key() -> None:
    def digests(message: Message, *, claimed: bool | None = None) -> set[bytes]:
        return {key.digest for key in keys(message) if claimed is None or key.claimed == claimed}

    m = copy_in(mail("m", BEA, ADA, thread="t", thread_index="aa"), ADA)
    answer = copy_in(mail("r", CEM, CAN, refs=["m"], subject="Else"), CAN)
    sibling = copy_in(mail("s", CEM, CAN, refs=["m"], subject="More"), CAN)
    assert digests(m, claimed=False) & digests(answer, claimed=True)
    assert digests(answer, claimed=True) & digests(sibling, claimed=True)
    for other in (
        mail("o", CEM, ADA, subject="Else", thread="t"),
        mail("o", CEM, ADA, subject="Else", thread_index="aa"),
        mail("o", CEM, ADA, subject="Re: Rollout plan", at=30 * 24 * 60),
        mail("o", CEM, ADA, subject="R: Rollout plan"),
    ):
        assert digests(m) & digests(copy_in(other, ADA))
        assert not digests(m) & digests(copy_in(other, CAN))


def test_no_key_is_given_twice_and_none_is_fact_and_claim() -> None:
    message = copy_in(mail("m", ADA, BEA, refs=["a", "b"], answers="b", other_ids=("<a@x>",)), ADA)
    digests = [key.digest for key in keys(message)]
    assert len(digests) == len(set(digests))
