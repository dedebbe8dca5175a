"""Turns a Graph message into the message threadlink knows. Pure, total and bounded.

Whatever the JSON holds, reading it ends quickly and raises nothing but ValueError, for a message without an id or a
time. Vendor page: learn.microsoft.com/graph/api/resources/message
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from app.model import Attachment, Folder, ProviderMessage

MAX_HEADERS = 1_000
MAX_HEADER_CHARS = 300_000
MAX_RECIPIENTS = 2_500
MAX_TEXT_CHARS = 65_536
MAX_ATTACHMENTS = 100
MAX_MIME_CHARS = 400_000
MAX_RELATED_IDS = 20

# MAPI properties that say what Graph leaves out of sent mail: Message-ID, References, In-Reply-To.
MESSAGE_ID, REFERENCES, IN_REPLY_TO = "String 0x1035", "String 0x1039", "String 0x1042"
_PROPERTY_HEADERS = {MESSAGE_ID: "Message-ID", REFERENCES: "References", IN_REPLY_TO: "In-Reply-To"}
_PEOPLE = {"toRecipients": "To", "ccRecipients": "Cc", "bccRecipients": "Bcc", "replyTo": "Reply-To"}
_METHODS = {"meetingrequest": "REQUEST", "meetingcancelled": "CANCEL"}

_FOLD = re.compile(r"[\r\n]+[ \t]*")
_UNWANTED = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL takes neither
_ATTACHED_ID = re.compile(r"(?im)^message-id:[ \t]*(?:\r?\n[ \t]+)?(<[^<>\s]{1,990}>)")
_PLAIN_NAME = re.compile(r"[\w .'-]{1,200}")


def normalize(
    message: Mapping[str, Any], *, folder: Folder, mime: bytes = b"", parked: str | None = None
) -> ProviderMessage:
    """Return the message as threadlink knows it.

    `mime` is the whole mail where it was asked for (a bounce), `parked` says why part of it was not asked for. Raises
    ValueError for a message without an id or a time.
    """
    provider_id = _text(message.get("id"), 512)
    if not provider_id:
        raise ValueError("The message has no id")
    headers = headers_of(message)
    attachments = [_attachment(entry) for entry in _list(message.get("attachments"))[:MAX_ATTACHMENTS]]
    return ProviderMessage(
        provider_id=provider_id,
        provider_thread_id=_text(message.get("conversationId"), 512),
        at=_time(message.get("sentDateTime") if folder == "sent" else message.get("receivedDateTime")),
        folder=folder,
        headers=headers,
        text=_body(message.get("body")),
        snippet=_text(message.get("bodyPreview"), 500),
        attachments=tuple(attachment for attachment in attachments if attachment.name),
        part_types=_part_types(message, headers, attachments),
        size_bytes=0,
        related_ids=_related_ids(mime),
        parked=parked,
    )


def is_report(message: Mapping[str, Any]) -> bool:
    """Whether the message is a report (a bounce, a receipt), whose parts only its MIME shows."""
    return any(
        name.lower() == "content-type" and value.lower().lstrip().startswith("multipart/report")
        for name, value in headers_of(message)
    )


def headers_of(message: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the mail's own headers; those Graph leaves out (all of them, of sent mail) are written from its fields."""
    written = []
    for entry in _list(message.get("internetMessageHeaders"))[:MAX_HEADERS]:
        name = _text(_mapping(entry).get("name"), 200)
        if name:
            written.append((name, _line(_mapping(entry).get("value"))))
    present = {name.lower() for name, _ in written}
    return (
        *written,
        *((name, value) for name, value in _from_fields(message) if name.lower() not in present and value),
    )


def _from_fields(message: Mapping[str, Any]) -> list[tuple[str, str]]:
    author, sender = _mailbox(message.get("from")), _mailbox(message.get("sender"))
    fields = [("From", author or sender), ("Sender", sender if author and sender != author else "")]
    for key, name in _PEOPLE.items():
        people = (_mailbox(entry) for entry in _list(message.get(key))[:MAX_RECIPIENTS])
        fields.append((name, ", ".join(person for person in people if person)))
    fields.append(("Subject", _line(message.get("subject"))))
    sent_at = _moment(message.get("sentDateTime"))
    fields.append(("Date", sent_at.strftime("%a, %d %b %Y %H:%M:%S +0000") if sent_at else ""))
    properties = {
        str(_mapping(entry).get("id")).lower(): _line(_mapping(entry).get("value"))
        for entry in _list(message.get("singleValueExtendedProperties"))[:20]
    }
    fields += [(name, properties.get(key.lower(), "")) for key, name in _PROPERTY_HEADERS.items()]
    fields.append(("Message-ID", _line(message.get("internetMessageId"))))
    fields.append(("Thread-Index", _text(message.get("conversationIndex"), 4_000)))
    names = dict[str, tuple[str, str]]()
    for name, value in fields:  # the first that says anything
        if value:
            names.setdefault(name, (name, value))
    return list(names.values())


def _mailbox(recipient: object) -> str:
    """Write a recipient as RFC 5322 does; one without an @ (an X.500 name of Exchange) is nobody we could know."""
    person = _mapping(_mapping(recipient).get("emailAddress"))
    address, name = _line(person.get("address"))[:320].strip(), _line(person.get("name"))[:200].strip()
    if "@" not in address or any(sign in address for sign in ' <>",;:()'):
        return ""
    if not name or name == address:
        return address
    if not _PLAIN_NAME.fullmatch(name) or name.startswith((".", "'", " ")):
        name = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{name} <{address}>"


def _part_types(
    message: Mapping[str, Any], headers: Sequence[tuple[str, str]], attachments: Sequence[Attachment]
) -> tuple[str, ...]:
    written = next((value[:1_000].lower() for name, value in headers if name.lower() == "content-type"), "")
    types = [written] if written else []
    kind = _text(message.get("@odata.type"), 200).lower()
    if "eventmessage" in kind:
        method = _METHODS.get(_text(message.get("meetingMessageType"), 100).lower(), "REPLY")
        types.append(f"text/calendar; method={method.lower()}")
    return (*types, *(attachment.content_type for attachment in attachments if attachment.content_type))


def _attachment(entry: object) -> Attachment:
    read = _mapping(entry)
    is_mail = _text(read.get("@odata.type"), 200).endswith("itemAttachment")
    content_type = "message/rfc822" if is_mail else _text(read.get("contentType"), 200).lower()
    size = read.get("size")
    size = size if isinstance(size, int) and 0 <= size < 2**53 else 0
    return Attachment(_text(read.get("name"), 255), size, content_type)


def _body(body: object) -> str:
    """Return the text; Graph was asked for plain text, and anything else is left out."""
    read = _mapping(body)
    is_plain = _text(read.get("contentType"), 20).lower() == "text"
    return _text(read.get("content"), MAX_TEXT_CHARS).replace("\r\n", "\n") if is_plain else ""


def _related_ids(mime: bytes) -> tuple[str, ...]:
    """Return the Message-IDs below the mail's own header: of the mails or headers a report brings back."""
    whole = mime[:MAX_MIME_CHARS].decode("latin-1").replace("\r\n", "\n")
    below = whole.partition("\n\n")[2]
    return tuple(dict.fromkeys(_ATTACHED_ID.findall(below)))[:MAX_RELATED_IDS]


def _time(value: object) -> datetime:
    moment = _moment(value)
    if moment is None:
        raise ValueError("The message has no time")
    return moment


def _moment(value: object) -> datetime | None:
    """Read Graph's time, the only one the sender cannot choose."""
    written = value[:40] if isinstance(value, str) else ""
    try:
        return datetime.fromisoformat(written).astimezone(UTC) if written.endswith("Z") else None
    except (ValueError, OverflowError):
        return None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def _line(value: object) -> str:
    return _FOLD.sub(" ", _text(value, MAX_HEADER_CHARS))


def _text(value: object, longest: int) -> str:
    return _UNWANTED.sub("\ufffd", value[:longest]) if isinstance(value, str) else ""
