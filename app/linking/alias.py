"""The keys under which a message is found again: what the store keeps as conversation_alias.

A key only says which conversations have to be looked at together; whether a message joins one is decided in threads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.linking.subjects import is_generic, without_short_reply_prefix
from app.model import Copy, Message

SUBJECT_WINDOW = timedelta(days=30)
MIN_SUBJECT_CHARS = 4


@dataclass(frozen=True, slots=True)
class Key:
    """A digest to look for. `claimed`: the message only refers to it; else it is a fact about the message."""

    digest: bytes
    claimed: bool


def keys(message: Message) -> list[Key]:
    """Return every key of a message with its copies, each once.

    Facts are its ids and, for each copy, the provider's thread, the Exchange thread and the subject; claims are the ids
    it refers to. Two messages that could be one conversation share a digest.
    """
    facts = dict.fromkeys(f"id:{each}" for each in own_ids(message, message.copies))
    facts.update(dict.fromkeys(_hints(message)))
    claims = dict.fromkeys(f"id:{each}" for each in claimed_ids(message))
    return [Key(_digest(text), False) for text in facts] + [
        Key(_digest(text), True) for text in claims if text not in facts
    ]


def own_ids(message: Message, copies: Sequence[Copy]) -> tuple[str, ...]:
    """Return the ids of this very message.

    Of another id than its Message-ID (Gmail replaces those of mails sent through its API) only the sender's own copy
    can tell: on a received one it is what somebody wrote.
    """
    is_sent = any(copy.in_sent for copy in copies)
    return (message.internet_id, *message.other_ids) if is_sent else (message.internet_id,)


def claimed_ids(message: Message) -> tuple[str, ...]:
    """Return the ids a message refers to, the one it answers first, then the nearest ones."""
    ids = [message.bounce_of, message.in_reply_to, *reversed(message.references)]
    return tuple(dict.fromkeys(each for each in ids if each and each != message.internet_id))


def subjects(message: Message) -> tuple[str, ...]:
    """Return the base subjects by which a message may be joined to others, the one it has and the one it answers.

    None for what no person wrote and for subjects that unrelated people use.
    """
    if message.automated is not None:
        return ()
    found = dict.fromkeys((message.base_subject, answered_subject(message) or ""))
    return tuple(base for base in found if len(base) >= MIN_SUBJECT_CHARS and not is_generic(base))


def answered_subject(message: Message) -> str | None:
    """Return the base subject that a message says it answers, or None when its subject is no reply's."""
    return message.base_subject if message.is_reply else without_short_reply_prefix(message.base_subject)


def _hints(message: Message) -> Iterator[str]:
    bases = subjects(message)
    for copy in message.copies:
        if copy.provider_thread_id:
            yield f"thread:{copy.account_id}:{copy.provider_thread_id}"
        if message.thread_index:
            yield f"index:{copy.account_id}:{message.thread_index}"
        for base in bases:
            for period in _periods(message.at):
                yield f"subject:{copy.account_id}:{period}:{base}"


def _periods(at: datetime) -> tuple[int, int]:
    """Return two periods of SUBJECT_WINDOW; messages at most that far apart share one."""
    period = int(at.timestamp() // SUBJECT_WINDOW.total_seconds())
    return period, period + 1


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
