"""What the page of one conversation shows a member: its messages, why it stands as it does, and what could be done.

Everything is judged for its reader, message by message and copy by copy (conversations.md V).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app import review
from app.acting import Seen, see
from app.explain import explain
from app.linking.authenticity import direction, sender
from app.linking.reasons import sentence
from app.linking.suggest import Suggestion
from app.model import Attachment, Copy, Direction, ItemRef, Level, Member, Message
from app.store import conversations


@dataclass(frozen=True, slots=True)
class ShownMessage:
    """A message as its reader may see it; without `copy` there is no text."""

    message: Message
    level: Level
    way: Direction
    sender_name: str
    sender_address: str
    to: tuple[str, ...]
    copy: Copy | None
    attachments: tuple[Attachment, ...]
    is_trigger: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """A conversation with everything its page says."""

    seen: Seen
    told: Mapping[str, Any]  # what explain() says
    messages: tuple[ShownMessage, ...]
    suggestions: tuple[Suggestion, ...]
    evidence: Mapping[ItemRef, tuple[str, ...]]


def shown(connection: sa.Connection, member: Member, public_id: str, locale: str) -> Shown | None:
    """Return one conversation for its page; None when it does not exist for the member."""
    conversation_id = conversations.id_of(connection, public_id)
    seen = see(connection, member, [conversation_id]).get(conversation_id) if conversation_id is not None else None
    if seen is None:
        return None
    (with_text,) = conversations.load(connection, [seen.conversation.id], with_text=True)
    told = explain(connection, seen, locale)
    suggested = review.suggestions(connection, seen) if seen.may_link else ()
    linked = seen.conversation.primary_link
    return Shown(
        seen=seen,
        told=told,
        messages=tuple(
            _message(seen, message, told["trigger"])
            for message in with_text.messages
            if seen.level_of(message) != "private"
        ),
        suggestions=tuple(each for each in suggested if linked is None or each.ref != linked.ref),
        evidence={
            each.ref: tuple(sentence(found.code, found.params, locale) for found in each.evidence) for each in suggested
        },
    )


def _message(seen: Seen, message: Message, trigger: str | None) -> ShownMessage:
    level = seen.level_of(message)
    author = sender(message)
    copy = seen.copy_of(message)
    return ShownMessage(
        message=message,
        level=level,
        way=direction(message, seen.ours),
        sender_name=(author.name or author.address) if author else "",
        sender_address=author.address if author else "",
        to=tuple(person.name or person.address for person in message.participants if person.role in {"to", "cc"}),
        copy=copy,
        attachments=copy.attachments if copy else (),
        is_trigger=trigger is not None and message.internet_id == trigger,
    )
