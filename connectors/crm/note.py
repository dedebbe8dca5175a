"""A conversation as the plain text of a note, in English or Turkish. Pure; what came by mail stays on its line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from app.model import ConversationNote, Direction, NoteMessage
from connectors.crm.words import line

MAX_MESSAGES = 100
MAX_PEOPLE = 50
MAX_ATTACHMENTS = 20

_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "conversation": "E-mail conversation",
        "no_subject": "(no subject)",
        "people": "People",
        "more_people": "and {n} more",
        "message": "1 message",
        "messages": "{n} messages",
        "earlier": "({n} earlier messages are not shown)",
        "inbound": "received",
        "outbound": "sent",
        "internal": "internal",
        "subject": "Subject",
        "text": "Text",
        "attachments": "Attachments",
        "open": "Open",
    },
    "tr": {
        "conversation": "E-posta konuşması",
        "no_subject": "(konu yok)",
        "people": "Kişiler",
        "more_people": "ve {n} kişi daha",
        "message": "1 mesaj",
        "messages": "{n} mesaj",
        "earlier": "(önceki {n} mesaj gösterilmiyor)",
        "inbound": "alındı",
        "outbound": "gönderildi",
        "internal": "ekip içi",
        "subject": "Konu",
        "text": "Metin",
        "attachments": "Ekler",
        "open": "Aç",
    },
}
_MONTHS: Mapping[str, tuple[str, ...]] = {
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    "tr": ("Oca", "Şub", "Mar", "Nis", "May", "Haz", "Tem", "Ağu", "Eyl", "Eki", "Kas", "Ara"),
}


def text(note: ConversationNote, *, max_messages: int = MAX_MESSAGES) -> str:
    """Render a note: who, when, subjects and snippets, at most the newest `max_messages` messages.

    Every line begins with words or a number of ours, so no line is a formula to a spreadsheet, and no mail can write
    a line that looks like another message. Nothing in it is markup.
    """
    locale = note.locale if note.locale in _WORDS else "en"
    say = _WORDS[locale]
    number = len(note.messages)
    head = [f"{say['conversation']}: {line(note.subject or '') or say['no_subject']}"]
    if note.people:
        head.append(f"{say['people']}: {_people(note, say)}")
    head.append(say["message"] if number == 1 else say["messages"].format(n=number))
    shown = note.messages[max(0, number - max_messages) :]
    if len(shown) < number:
        head.append(say["earlier"].format(n=number - len(shown)))
    blocks = ["\n".join(head)]
    blocks += ["\n".join(_message(message, note.subject, locale)) for message in shown]
    if note.url:
        blocks.append(f"{say['open']}: {line(note.url, 2000)}")
    return "\n\n".join(blocks)


def _people(note: ConversationNote, say: Mapping[str, str]) -> str:
    shown = ", ".join(_mailbox(name, address) for name, address in note.people[:MAX_PEOPLE])
    more = len(note.people) - MAX_PEOPLE
    return f"{shown} {say['more_people'].format(n=more)}" if more > 0 else shown


def _message(message: NoteMessage, subject: str | None, locale: str) -> list[str]:
    say = _WORDS[locale]
    direction: Direction = message.direction
    lines = [f"{_time(message.at, locale)} · {_mailbox(message.from_name, message.from_address)} · {say[direction]}"]
    if message.subject and message.subject != subject:
        lines.append(f"{say['subject']}: {line(message.subject)}")
    if message.snippet:
        lines.append(f"{say['text']}: {line(message.snippet)}")
    if message.attachments:
        names = ", ".join(line(name, 200) for name in message.attachments[:MAX_ATTACHMENTS])
        lines.append(f"{say['attachments']}: {names}")
    return lines


def _mailbox(name: str, address: str) -> str:
    name, address = line(name, 200), line(address, 320)
    return f"{name} <{address}>" if name and name != address else address


def _time(at: datetime, locale: str) -> str:
    at = at.astimezone(UTC)
    return f"{at.day} {_MONTHS[locale][at.month - 1]} {at.year} {at:%H:%M} UTC"
