"""P5: decide() for a usual conversation: 4 counterparts, 3 items, 6 messages, on one core."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from app.linking.decide import decide
from app.model import (
    Account,
    Conversation,
    Copy,
    DecisionInput,
    Item,
    ItemRef,
    Message,
    Ours,
    Participant,
    Person,
)
from tests.bench.row import Row

BAR_PER_S = 20_000
ROUNDS, CALLS = 40, 500
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def usual_input(strangers: int = 0) -> DecisionInput:
    """Return what decide() sees of a usual conversation; `strangers` are persons nobody wrote to."""
    people = tuple(Participant(f"person{n}@acme.test", "to" if n else "from", f"Person {n}") for n in range(4))
    messages = tuple(
        Message(
            id=n + 1,
            internet_id=f"<{n}@acme.test>",
            mid_hash=bytes([n]) * 32,
            fingerprint=bytes([n]) * 32,
            at=NOW + timedelta(minutes=n),
            subject="Rollout",
            base_subject="rollout",
            participants=(*people, Participant("ada@northwind.test", "to", "Ada")),
            copies=(
                Copy(
                    n + 1, 1, str(n), "t", NOW + timedelta(minutes=n), in_sent=False, verdict="pass", joined="founded"
                ),
            ),
        )
        for n in range(6)
    )
    persons = tuple(
        Person(ItemRef("person", str(n), 1), f"Person {n}", (f"person{n}@acme.test",), ItemRef("organization", "1", 1))
        for n in range(4 + strangers)
    )
    items = tuple(
        Item(
            ItemRef("deal", str(n), 1),
            f"Deal {n}",
            "open" if n == 0 else "won",
            NOW - timedelta(days=30),
            person=persons[n].ref,
        )
        for n in range(3)
    )
    account = Account(
        1,
        "a",
        1,
        "gmail",
        "personal",
        "ada@northwind.test",
        "ada@northwind.test",
        frozenset({"ada@northwind.test"}),
        auto_link=True,
        visibility="full",
        owner_id=1,
    )
    ours = Ours(frozenset({"ada@northwind.test"}), frozenset({"northwind.test"}))
    return DecisionInput(Conversation(1, messages), (account,), ours, persons, items)


def measure() -> list[Row]:
    """Time the best of a few rounds."""
    given = usual_input()
    assert decide(given).outcome == "link"
    best = min(_round(given) for _ in range(ROUNDS))
    per_s = CALLS / best
    return [Row("P5", "decide() calls a second", per_s, None, "/s", None, f">= {BAR_PER_S:,}/s", per_s >= BAR_PER_S)]


def _round(given: DecisionInput) -> float:
    start = time.thread_time()  # what one core works, whatever else the machine does
    for _ in range(CALLS):
        decide(given)
    return time.thread_time() - start
