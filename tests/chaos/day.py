"""The day that every fault is measured on: two mailboxes, 300 messages in 40 conversations, a CRM with 60 items."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.scenario.model import MailEvent, Scenario
from app.scenario.read import parse
from app.scenario.run import Delivery, steps

ADA, BOB = "ada@northwind.test", "bob@northwind.test"
MESSAGES, CONVERSATIONS, PERSONS, ITEMS = 300, 40, 30, 60
# One moment for every run of this process, so that two runs of the day hold the same messages. By the machine's clock,
# which is the one that worker processes have, it comes after every mailbox was connected, whenever in the run that is:
# Graph reads what was received from then on.
BEGAN = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)


def scenario(provider: str) -> Scenario:
    """Return the team with its two mailboxes and its CRM, at the end of the day."""
    setting = parse(
        json.dumps(
            {
                "now": _iso(datetime.now(UTC)),
                "team": {"domains": ["northwind.test"]},
                "members": [
                    {"name": "Ada", "email": ADA, "role": "admin"},
                    {"name": "Bob", "email": BOB, "role": "member"},
                ],
                "accounts": [
                    {"address": address, "provider": provider, "kind": "personal", "owner": address}
                    for address in (ADA, BOB)
                ],
                "crm": {
                    "persons": [
                        {"id": f"p{n}", "name": f"Person {n}", "emails": [_customer(n)]} for n in range(PERSONS)
                    ],
                    "items": _items(),
                },
            }
        ),
        Path("day.yaml"),
    )
    return replace(setting, events=_events())


def deliveries(of: Scenario) -> list[Delivery]:
    """Return every copy, in the order in which the mailboxes get them."""
    return [step for step in steps(of) if isinstance(step, Delivery)]


def waves(copies: Sequence[Delivery], count: int) -> list[Sequence[Delivery]]:
    """Cut the day into parts of about the same size."""
    return [copies[len(copies) * n // count : len(copies) * (n + 1) // count] for n in range(count)]


def _items() -> list[dict[str, str]]:
    """Return 60 items: people have one open deal, two, a closed one, a lead or a project; 20 are nobody's."""

    def item(kind: str, title: str, status: str, person: int | None) -> dict[str, str]:
        record = {"kind": kind, "title": title, "status": status, "created_at": _iso(BEGAN - timedelta(days=30))}
        return record if person is None else {**record, "person": f"p{person}"}

    found = [item("deal", f"Order of {n}", "open", n) for n in range(15)]
    found += [item("deal", f"Last year's of {n}", "lost", n) for n in range(5)]
    found += [item("deal", f"Second of {n}", "open", n) for n in range(10, 15)]
    found += [item("deal", f"Done with {n}", "won", n) for n in range(15, 20)]
    found += [item("lead", f"Interest of {n}", "open", n) for n in range(20, 25)]
    found += [item("project", f"At {n}", "open", n) for n in range(25, 30)]
    found += [item("deal", f"Nobody's {n}", "open", None) for n in range(ITEMS - len(found))]
    return [{**record, "id": f"{record['kind'][0]}{number}"} for number, record in enumerate(found)]


def _events() -> tuple[MailEvent, ...]:
    """Return the messages of the day: the conversations go on side by side, asked and answered in turn."""
    chance = random.Random(3)
    turns = [MESSAGES // CONVERSATIONS + (n < MESSAGES % CONVERSATIONS) for n in range(CONVERSATIONS)]
    events: list[MailEvent] = []
    for turn in range(max(turns)):
        for conversation in range(CONVERSATIONS):
            if turn < turns[conversation]:
                events.append(_event(len(events), conversation, turn, late=chance.random()))
    return tuple(events)


def _event(index: int, conversation: int, turn: int, late: float) -> MailEvent:
    """Return a turn of a conversation; some replies reach the mailbox before the question (`late`: 0 to 1)."""
    owner, colleague = (ADA, BOB) if conversation % 2 == 0 else (BOB, ADA)
    other = colleague if conversation == CONVERSATIONS - 1 else _customer(conversation)  # the last is among ourselves
    is_shared = conversation % 5 == 0 or other == colleague
    is_bulk = conversation == CONVERSATIONS - 2
    earlier = tuple(f"{conversation}-{n}" for n in range(turn))
    at = BEGAN + timedelta(minutes=index)
    return MailEvent(
        index=index,
        at=at,
        key=f"{conversation}-{turn}",
        mailboxes=(owner, colleague) if is_shared else (owner,),
        sender=owner if turn % 2 else other,
        to=(other if turn % 2 else owner,),
        cc=(colleague,) if is_shared and other != colleague else (),
        subject=f"{'Re: ' if turn else ''}Matter {conversation}",
        text=f"Hello,\n\nthis is turn {turn} of matter {conversation}.\n",
        in_reply_to=earlier[-1] if turn else None,
        references=earlier,
        headers=(("List-Unsubscribe", "<https://news.test/off>"), ("Precedence", "bulk")) if is_bulk else (),
        delivered_at=at + timedelta(minutes=round(late * CONVERSATIONS * 1.5)),
    )


def _customer(number: int) -> str:
    return f"person{number}@customer{number % 10}.test"


def _iso(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
