"""What the page of one conversation shows a member: its messages, why it stands as it does, and what could be done.

Everything is judged for its reader, message by message and copy by copy (conversations.md V).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import review, trail
from app.acting import Seen, see_one
from app.audience import Preview, Readership, Witness, previews, sighted
from app.errors import NotAllowed, NotFound
from app.explain import explain
from app.linking.addresses import is_ours, match_key, without_secret
from app.linking.authenticity import direction, message_verdict, sender
from app.linking.reasons import sentence, utc
from app.linking.suggest import Suggestion
from app.linking.text import excerpt, fold
from app.linking.visibility import visible_bcc
from app.model import Attachment, Copy, Direction, Item, ItemRef, Level, Member, Message, Participant, Person
from app.standing import Standing, standing
from app.store import conversations, mirror
from app.trail import Entry

SHOWN_PEOPLE = 25
PREVIEW_CHARS = 200


@dataclass(frozen=True, slots=True)
class ShownMessage:
    """A message as its reader may see it; without `copy` there is no text.

    `pieces` are the text with what is quoted in it: (text, is quoted). `mailbox` is the provider of the copy, `own`
    that of the copy in an account of the reader's own; "" without one.
    """

    message: Message
    level: Level
    way: Direction
    sender_name: str
    sender_address: str
    to: tuple[str, ...]
    bcc: tuple[str, ...]
    copy: Copy | None
    preview: str
    pieces: tuple[tuple[str, bool], ...]
    attachments: tuple[Attachment, ...]
    mailbox: str
    own: str
    is_trigger: bool
    is_in_doubt: bool  # the provider refused its sender, and nobody said that it is genuine
    forwarded_by: str = ""  # whose word it is that the sender wrote this


@dataclass(frozen=True, slots=True)
class ShownPerson:
    """Somebody who takes part, with who that is in the CRM."""

    address: str
    name: str
    is_ours: bool
    known_as: str  # the name of the CRM's person; "" for nobody there
    organization: str
    ref: ItemRef | None  # of that person


@dataclass(frozen=True, slots=True)
class Shown:
    """A conversation with everything its page says."""

    seen: Seen
    told: Mapping[str, Any]  # what explain() says
    messages: tuple[ShownMessage, ...]
    people: tuple[ShownPerson, ...]  # counterparts first
    more_people: int
    suggestions: tuple[Suggestion, ...]
    evidence: Mapping[ItemRef, tuple[str, ...]]
    readers: tuple[Witness, ...]
    shared: Level  # what everybody who sees the linked item may read
    previews: Mapping[ItemRef, Preview]  # of what is suggested or was found
    history: tuple[Entry, ...]
    standing: Standing


@dataclass(frozen=True, slots=True)
class Move:
    """A conversation that is to be linked to another item than now; `linked` is None for one the CRM hides."""

    seen: Seen
    linked: str | None
    item: Item
    preview: Preview


def shown(
    connection: sa.Connection,
    member: Member,
    public_id: str,
    locale: str,
    now: datetime,
    found: Collection[ItemRef] = (),
) -> Shown:
    """Return one conversation for its page. Raises NotFound when it does not exist for the member.

    `found` are items that the member looked for, to say beside each who could read the conversation.
    """
    seen = see_one(connection, member, public_id)
    (with_text,) = conversations.load(connection, [seen.conversation.id], with_text=True)
    told = explain(connection, seen, locale)
    linked = seen.conversation.primary_link
    suggested = review.suggestions(connection, seen) if seen.may_link else ()
    suggested = tuple(each for each in suggested if linked is None or each.ref != linked.ref)
    refs = {*found, *(each.ref for each in suggested)} if seen.may_link else set()
    items = mirror.items(connection, refs | ({linked.ref} if linked else set()))
    readership = Readership(sighted(connection), seen)
    readers = readership.now(items.get(linked.ref) if linked else None)
    people = _people(connection, seen)
    return Shown(
        seen=seen,
        told=told,
        messages=tuple(
            _message(seen, message, told["trigger"])
            for message in with_text.messages
            if seen.level_of(message) != "private"
        ),
        people=people[:SHOWN_PEOPLE],
        more_people=max(0, len(people) - SHOWN_PEOPLE),
        suggestions=suggested,
        evidence={
            each.ref: tuple(sentence(found.code, found.params, locale) for found in each.evidence) for each in suggested
        },
        readers=readers,
        shared=readership.shared(),
        previews=readership.after({ref: items[ref] for ref in refs if ref in items}, readers),
        history=trail.entries(connection, seen, told["history"]),
        standing=standing(connection, seen, now),
    )


def messages_document(connection: sa.Connection, seen: Seen) -> dict[str, Any]:
    """Return the messages of a conversation and who takes part, as programs read them: what its page shows."""
    (with_text,) = conversations.load(connection, [seen.conversation.id], with_text=True)
    levels = {message.id: seen.level_of(message) for message in with_text.messages}
    return {
        "messages": [
            _message_document(seen, message, levels[message.id])
            for message in with_text.messages
            if levels[message.id] != "private"
        ],
        "people": [
            {
                "address": person.address,
                "name": person.name,
                "is_ours": person.is_ours,
                "person": person.known_as or None,
                "organization": person.organization or None,
            }
            for person in _people(connection, seen)
        ],
    }


def _message_document(seen: Seen, message: Message, level: Level) -> dict[str, Any]:
    author, copy = sender(message), seen.copy_of(message)
    return {
        "id": message.public_id,
        "internet_id": message.internet_id,
        "sent_at": utc(message.at),
        "direction": direction(message, seen.ours),
        "readable": level,
        "from": _address_document(seen, author) if author else None,
        "to": [_address_document(seen, each) for each in message.participants if each.role in {"to", "cc"}],
        "bcc": [_address_document(seen, each) for each in visible_bcc(seen.reader, message)],
        "subject": message.subject if level in {"subject", "full"} else None,
        "text": (copy.text or copy.snippet) if copy else None,
        "attachments": [
            {"name": each.name, "size_bytes": each.size_bytes} for each in (copy.attachments if copy else ())
        ],
        "in_doubt": message_verdict(message) == "fail",
    }


def _address_document(seen: Seen, person: Participant) -> dict[str, str]:
    return {"address": without_secret(person.address, seen.ours), "name": person.name}


def move(connection: sa.Connection, member: Member, public_id: str, ref: ItemRef) -> Move | None:
    """Return what linking a conversation elsewhere would change; None when it is linked to nothing.

    Raises NotFound for a conversation or an item that does not exist for the member, NotAllowed (not_owner).
    """
    seen = see_one(connection, member, public_id)
    if not seen.may_link:
        raise NotAllowed("not_owner")
    linked = seen.conversation.primary_link
    item = mirror.item(connection, ref)
    if item is None or mirror.hidden(connection, member, [ref]):
        raise NotFound("item_unknown", item=str(ref))
    if linked is None:
        return None
    title = (linked.title or str(linked.ref)) if seen.sees_item else None
    (preview,) = previews(connection, [(seen, [ref])])
    return Move(seen, title, item, preview[ref])


def _message(seen: Seen, message: Message, trigger: str | None) -> ShownMessage:
    author = sender(message)
    copy, own = seen.copy_of(message), seen.own_copy_of(message)
    return ShownMessage(
        message=message,
        level=seen.level_of(message),
        way=direction(message, seen.ours),
        sender_name=(author.name or author.address) if author else _flagged(message, "named"),
        sender_address=author.address if author else "",
        to=tuple(
            person.name or without_secret(person.address, seen.ours)
            for person in message.participants
            if person.role in {"to", "cc"}
        ),
        bcc=tuple(person.name or person.address for person in visible_bcc(seen.reader, message)),
        copy=copy,
        preview=excerpt(copy.text or copy.snippet, PREVIEW_CHARS) if copy else "",
        pieces=fold(copy.text or copy.snippet) if copy else (),
        attachments=copy.attachments if copy else (),
        mailbox=_provider(seen, copy),
        own=_provider(seen, own),
        is_trigger=trigger is not None and message.internet_id == trigger,
        is_in_doubt=message_verdict(message) == "fail",
        forwarded_by=_flagged(message, "forwarded_by"),
    )


def _flagged(message: Message, name: str) -> str:
    """Return what stands behind a flag of a message that says more than a word."""
    return next((flag.partition(":")[2] for flag in message.flags if flag.startswith(f"{name}:")), "")


def _provider(seen: Seen, copy: Copy | None) -> str:
    return next((each.provider for each in seen.accounts if copy is not None and each.id == copy.account_id), "")


def _people(connection: sa.Connection, seen: Seen) -> tuple[ShownPerson, ...]:
    """Return who takes part as far as the member may know, counterparts first, each with the CRM's person."""
    names: dict[str, str] = {}
    for message in seen.known:
        for each in (*message.participants, *visible_bcc(seen.reader, message)):
            address = without_secret(each.address, seen.ours)
            names[address] = names.get(address) or each.name
    theirs = [address for address in names if not is_ours(address, seen.ours)]
    known = _persons(connection, seen, theirs)
    people = [
        ShownPerson(
            address=address,
            name=names[address],
            is_ours=address not in theirs,
            known_as=known[address].name if address in known else "",
            organization=known[address].organization_name if address in known else "",
            ref=known[address].ref if address in known else None,
        )
        for address in names
    ]
    return tuple(sorted(people, key=lambda person: person.is_ours))


def _persons(connection: sa.Connection, seen: Seen, addresses: list[str]) -> dict[str, Person]:
    """Return the CRM's person behind each address, those left out that it hides from the member (C13)."""
    by_key: dict[str, Person] = {}
    found = mirror.persons_by_addresses(connection, addresses, [match_key(address) for address in addresses])
    for person in mirror.as_shown(connection, seen.member, found):
        by_key |= {match_key(address): person for address in person.addresses}
    return {address: by_key[match_key(address)] for address in addresses if match_key(address) in by_key}
