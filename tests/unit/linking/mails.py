"""Mails for the tests of threads and visibility, in few words."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

from app.linking.message_ids import fingerprint
from app.linking.subjects import base_subject
from app.linking.threads import Threads
from app.model import Conversation, Copy, Folder, Message, Ours, Participant, Verdict

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
OURS = Ours(frozenset(), frozenset({"northwind.test"}))

ADA, CAN, DIRECTOR, MALLORY = (f"{name}@northwind.test" for name in ("ada", "can", "director", "mallory"))
BEA, CEM, DAN, EVE = "bea@acme.test", "cem@acme.test", "dan@zeta.test", "eve@evil.test"
ACCOUNTS = {ADA: 1, CAN: 2, DIRECTOR: 3, MALLORY: 4}


def mail(
    key: str,
    sender: str,
    to: str | Sequence[str],
    *,
    subject: str = "Rollout plan",
    refs: Sequence[str] = (),
    answers: str | None = None,
    at: int = 0,
    cc: Sequence[str] = (),
    verdict: Verdict = "none",
    thread: str = "",
    bcc: Sequence[str] = (),
    sent_at: datetime | None = None,
    list_ids: Sequence[str] = (),
    **more: Any,
) -> Message:
    """Return a message without copies. `key` is its id, `at` minutes after START, `refs` and `answers` keys."""
    to = [to] if isinstance(to, str) else list(to)
    base = base_subject(subject, list_ids, bool(refs or answers))
    people = (
        Participant(sender, "from"),
        *(Participant(each, "to") for each in to),
        *(Participant(each, "cc") for each in cc),
    )
    time = START + timedelta(minutes=at)
    internet_id = more.pop("internet_id", f"<{key}@x>")
    references = tuple(f"<{each}@x>" for each in dict.fromkeys([*refs, *([answers] if answers else [])]))
    return Message(
        id=0,
        internet_id=internet_id,
        mid_hash=hashlib.sha256(internet_id.encode()).digest(),
        fingerprint=fingerprint([sender], sent_at or time, base.base, [*to, *cc]),
        at=time,
        subject=subject,
        base_subject=base.base,
        participants=people,
        references=references,
        in_reply_to=f"<{answers}@x>" if answers else None,
        is_reply=base.is_reply,
        is_forward=base.is_forward,
        copies=(
            Copy(
                0,
                0,
                "",
                thread,
                time,
                in_sent=False,
                verdict=verdict,
                joined="founded",
                bcc=tuple(Participant(each, "bcc") for each in bcc),
            ),
        ),
        **more,
    )


def copy_in(
    message: Message,
    holder: str,
    *,
    verdict: Verdict | None = None,
    provider_id: str = "",
    thread: str | None = None,
    folder: Folder | None = None,
    late: int = 0,
) -> Message:
    """Return the message as one mailbox got it; in the Sent folder when the holder wrote it."""
    model = message.copies[0]
    is_sent = folder == "sent" or (folder is None and message.participants[0].address == holder)
    return replace(
        message,
        copies=(
            replace(
                model,
                account_id=ACCOUNTS[holder],
                provider_id=provider_id or message.internet_id,
                provider_thread_id=model.provider_thread_id if thread is None else thread,
                at=model.at + timedelta(minutes=late),
                in_sent=is_sent,
                verdict=verdict or ("own" if is_sent else model.verdict),
                bcc=model.bcc if is_sent else (),
            ),
        ),
    )


def place(threads: Threads, message: Message, *holders: str, **how: Any) -> Any:
    """Place a copy of the message in each of these mailboxes; return the last placement."""
    return [threads.place(copy_in(message, holder, **how)) for holder in holders][-1]


def in_every_order(*copies: Message) -> Iterator[Threads]:
    """Place the copies in every order there is, each time from nothing."""
    for order in permutations(copies):
        threads = new()
        for message in order:
            threads.place(message)
        yield threads


def new(conversations: Sequence[Conversation] = (), **more: Any) -> Threads:
    return Threads(conversations, OURS, **more)


def stored(threads: Threads, **changes: Any) -> list[Conversation]:
    """Return the conversations as a store would give them back: with ids of their own."""
    kept = []
    for conversation in threads.conversations:
        messages = tuple(
            replace(
                message, id=abs(message.id), copies=tuple(replace(copy, id=abs(copy.id)) for copy in message.copies)
            )
            for message in conversation.messages
        )
        kept.append(replace(conversation, id=abs(conversation.id), messages=messages, **changes))
    return kept


def groups(threads: Threads) -> set[frozenset[str]]:
    """Return which messages are together, by key."""
    return {
        frozenset(message.internet_id[1:].partition("@")[0] for message in conversation.messages)
        for conversation in threads.conversations
    }


def together(*keys: str) -> frozenset[str]:
    return frozenset(keys)


def rights(conversation: Conversation) -> set[str]:
    """Return who has a copy that gives rights over a conversation (V3)."""
    holders = {number: address for address, number in ACCOUNTS.items()}
    return {
        holders[copy.account_id] for message in conversation.messages for copy in message.copies if copy.joined != "w2"
    }


def held(threads: Threads, key: str) -> Message:
    return next(m for c in threads.conversations for m in c.messages if m.internet_id == f"<{key}@x>")
