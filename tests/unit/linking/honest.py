"""Honest conversations, as people have them: the same ones for the same seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from app.model import Message
from tests.unit.linking.mails import ADA, BEA, CAN, CEM, DAN, DIRECTOR, copy_in, mail

MAILBOXES = (ADA, CAN, DIRECTOR)
STRANGERS = ("fay@acme.test", "gus@acme.test", "hal@partner.test")
WORDS = ("Rollout", "Renewal", "Price list", "Yeni ofis", "Site visit", "Contract", "Kurulum", "Training")


@dataclass
class Said:
    """A mail somebody wrote: its key, the chain of keys it answers, who knows it."""

    key: str
    chain: tuple[str, ...]
    sender: str
    people: frozenset[str]
    message: Message
    deliveries: list[Message] = field(default_factory=list)


def conversation(seed: int, *, has_threads: bool = True, loss: float = 0.1) -> list[Said]:
    """Return an honest conversation, by time: replies, copies to colleagues, forwards, lost headers, lists.

    `has_threads`: the provider groups mails itself, as Gmail and Exchange do. `loss`: how many mails lack References,
    half of them In-Reply-To as well.
    """
    random = Random(seed)  # made-up mail
    thread = f"t{seed}" if has_threads else ""
    subject = f"{random.choice(WORDS)} {seed}"
    list_id = random.random() < 0.15
    customer, other = random.sample([BEA, CEM, DAN], 2)
    first = random.choice([(customer, [ADA]), (ADA, [customer]), (customer, [ADA, other]), (customer, [ADA, CAN])])
    said = [_say(seed, random, 0, None, first[0], first[1], subject, thread, loss, list_id)]
    for number in range(1, random.randint(2, 8)):
        parent = random.choice(said[-2:])
        sender, recipients = _answer(random, parent)
        said.append(_say(seed, random, number, parent, sender, recipients, subject, thread, loss, list_id))
    return said


def _answer(random: Random, parent: Said) -> tuple[str, list[str]]:
    """Choose who answers a mail, and to whom."""
    others = sorted(parent.people - {parent.sender})
    kind = random.random()
    ours = [each for each in sorted(parent.people) if each in MAILBOXES]
    if kind < 0.1 and ours:  # forwarded among ourselves
        sender = random.choice(ours)
        return sender, [random.choice([each for each in MAILBOXES if each != sender])]
    if kind < 0.2 and ours:  # a colleague of the customer answers for the first time
        return random.choice(STRANGERS), [random.choice(ours)]
    sender = random.choice(others)
    recipients = sorted(parent.people - {sender}) if random.random() < 0.7 else [parent.sender]
    if random.random() < 0.15:
        recipients.append(random.choice([*MAILBOXES, *STRANGERS]))
    return sender, [each for each in dict.fromkeys(recipients) if each != sender]


def _say(
    seed: int,
    random: Random,
    number: int,
    parent: Said | None,
    sender: str,
    to: list[str],
    subject: str,
    thread: str,
    loss: float,
    listed: bool,
) -> Said:
    key = f"c{seed}-{number}"
    chain = (*parent.chain, parent.key) if parent else ()
    chance = random.random()
    refs, answers = chain, parent.key if parent else None
    if chance < loss / 2:  # a client that writes In-Reply-To only
        refs = ()
    elif chance < loss:  # one that writes neither: the provider's thread and the subject are left
        refs, answers = (), None
    text = f"Re: {subject}" if parent else subject
    if listed and random.random() < 0.5:
        text = f"[dev] {text}"
    message = mail(
        key,
        sender,
        to,
        subject=text,
        refs=refs,
        answers=answers,
        at=seed * 1000 + number * 7,
        list_ids=["<dev.lists.test>"] if listed else (),
    )
    people = frozenset([sender, *to])
    said = Said(key, chain, sender, people, message)
    said.deliveries = [
        copy_in(message, holder, thread=thread, late=random.choice([0, 0, 1]))
        for holder in MAILBOXES
        if holder in people
    ]
    return said


def deliveries(said: list[Said]) -> list[Message]:
    return [copy for each in said for copy in each.deliveries]
