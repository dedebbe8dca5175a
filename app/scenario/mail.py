"""Makes the RFC 5322 bytes of a scenario's messages: the same file gives the same bytes, whenever it is played."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from email.header import Header
from email.parser import BytesHeaderParser
from email.policy import compat32
from email.utils import format_datetime, formataddr, getaddresses

from app.scenario.model import MailEvent, Scenario

CRLF = "\r\n"
MAX_HEADER_BYTES = 200_000
FALLBACK_DOMAIN = "scenario.test"
# Enough of each kind of file for a mail reader to show it; nothing opens them.
ATTACHMENTS = {
    "pdf": ("application/pdf", "%PDF-1.4\n%%EOF\n"),
    "ics": (
        "text/calendar; method=REQUEST; charset=utf-8",
        "BEGIN:VCALENDAR\nVERSION:2.0\nMETHOD:REQUEST\nEND:VCALENDAR\n",
    ),
    "eml": ("message/rfc822", "Subject: attached\n\nattached\n"),
    "csv": ("text/csv; charset=utf-8", "a,b\n1,2\n"),
    "txt": ("text/plain; charset=utf-8", "text\n"),
    "png": ("image/png", "png\n"),
    "jpg": ("image/jpeg", "jpg\n"),
    "docx": ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx\n"),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx\n"),
}
OTHER_ATTACHMENT = ("application/octet-stream", "bytes\n")


def build_mail(scenario: Scenario, event: MailEvent, address: str) -> bytes:
    """Return the message as the mailbox with that address holds it: Bcc stands only in the sender's Sent copy."""
    if event.eml is not None:
        return event.eml
    own = {name.lower() for name, _ in event.headers}
    lines = [_line(name, value) for name, value in event.headers if value is not None]
    with_bcc = folder_of(scenario, event, address) == "sent"
    lines += [line for name, line in _generated(scenario, event, with_bcc=with_bcc) if name.lower() not in own]
    content = _content(scenario, event, own)
    return (CRLF.join(lines) + CRLF + content).replace("\r\n", "\n").replace("\n", CRLF).encode()


def folder_of(scenario: Scenario, event: MailEvent, address: str) -> str:
    """Return the folder of a copy: the From mailbox holds it in Sent, others in the inbox, unless the file says."""
    written = event.folders.get(address)
    if written is not None:
        return written
    return "sent" if sender_address(event) in scenario.account(address).own_addresses else "inbox"


def sender_address(event: MailEvent) -> str:
    """Return the address in the From header that the message will have, lower case, "" without one."""
    if event.eml is not None:
        written: Iterable[str] = [_eml_header(event.eml, "From")]
    else:
        raw = [value or "" for name, value in event.headers if name.lower() == "from"]
        written = raw[:1] or [event.sender or ""]
    return next((address.lower() for _, address in getaddresses(list(written)) if address), "")


def internet_id(scenario: Scenario, key: str) -> str:
    """Return the Message-ID of a message: the one written, that of the message whose key is written, or our own."""
    event = scenario.messages[key]
    other = scenario.messages.get(event.message_id or "")
    return _own_id(scenario, event if other is None else other)


def _own_id(scenario: Scenario, event: MailEvent) -> str:
    if event.eml is not None:
        return _eml_header(event.eml, "Message-ID")
    for name, value in event.headers:
        if name.lower() == "message-id":
            return value or ""
    if event.message_id is not None and event.message_id not in scenario.messages:
        return event.message_id
    digest = _digest(scenario, event)[:12]
    domain = sender_address(event).rpartition("@")[2]
    plain = "".join(letter for letter in event.key if letter.isascii() and letter.isalnum())
    return f"<{plain}.{digest}@{domain if domain.isascii() and domain else FALLBACK_DOMAIN}>"


def _digest(scenario: Scenario, event: MailEvent) -> str:
    return hashlib.sha256(f"{scenario.name}\0{event.key}".encode("utf-8", "replace")).hexdigest()


def _eml_header(eml: bytes, name: str) -> str:
    """Return the first header of that name; only the head of the file is looked at."""
    head = BytesHeaderParser(policy=compat32).parsebytes(eml[:MAX_HEADER_BYTES])
    return str(head.get(name, "")).strip()


def _generated(scenario: Scenario, event: MailEvent, *, with_bcc: bool) -> Iterator[tuple[str, str]]:
    """Yield (name, line) of each header we write, in the usual order."""
    values = [
        ("Date", event.date_header or format_datetime(event.at)),
        ("From", event.sender),
        ("To", event.to),
        ("Cc", event.cc),
        ("Bcc", event.bcc if with_bcc else ()),
        ("Reply-To", event.reply_to),
        ("Subject", event.subject),
        ("Message-ID", internet_id(scenario, event.key)),
        ("In-Reply-To", event.in_reply_to and _reference(scenario, event.in_reply_to)),
        ("References", " ".join(_reference(scenario, entry) for entry in event.references)),
        ("MIME-Version", "1.0"),
    ]
    for name, value in values:
        if isinstance(value, tuple):
            if value:
                yield name, f"{name}: " + f",{CRLF} ".join(map(_mailbox, value))
        elif name in ("From", "Reply-To") and value:
            yield name, f"{name}: {_mailbox(value)}"
        elif name == "Subject" and value is not None:
            yield name, f"{name}: {_encoded(value, name)}"
        elif value:
            yield name, _line(name, value)


def _reference(scenario: Scenario, written: str) -> str:
    return internet_id(scenario, written) if written in scenario.messages else written


def _line(name: str, value: str) -> str:
    """Write a header as it is; further lines of the value become continuation lines."""
    first, *rest = value.rstrip("\r\n").replace(CRLF, "\n").split("\n")
    return CRLF.join([f"{name}: {first}", *(line if line[:1] in (" ", "\t") else f" {line}" for line in rest)])


def _mailbox(written: str) -> str:
    """Return `Name <address>` with the name encoded where needed; what is no single address stays as written."""
    parsed = getaddresses([written])
    if len(parsed) != 1 or not parsed[0][1].isascii() or "@" not in parsed[0][1]:
        return written
    return formataddr(parsed[0], charset="utf-8")


def _encoded(text: str, name: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return Header(text, "utf-8", header_name=name).encode(linesep=CRLF)


def _content(scenario: Scenario, event: MailEvent, own: set[str]) -> str:
    """Return the remaining headers and the body; a Content-Type in `headers` makes the text the raw body."""
    if "content-type" in own:
        return f"{CRLF}{event.text}"
    body = f"Content-Type: text/plain; charset=utf-8{CRLF}Content-Transfer-Encoding: 8bit{CRLF}{CRLF}{event.text}"
    if not event.attachments:
        return body
    boundary = _digest(scenario, event)[-24:]
    parts = [body, *map(_attachment, event.attachments)]
    separator = f"{CRLF}--{boundary}"
    return "".join(
        [
            f'Content-Type: multipart/mixed; boundary="{boundary}"{CRLF}',
            *(f"{separator}{CRLF}{part}" for part in parts),
            f"{separator}--{CRLF}",
        ]
    )


def _attachment(name: str) -> str:
    content_type, content = ATTACHMENTS.get(name.rpartition(".")[2].lower(), OTHER_ATTACHMENT)
    encoded = _encoded(name.replace('"', "'"), "Content-Disposition")
    return CRLF.join(
        [
            f"Content-Type: {content_type}",
            f'Content-Disposition: attachment; filename="{encoded}"',
            "Content-Transfer-Encoding: 7bit",
            "",
            content,
        ]
    )
