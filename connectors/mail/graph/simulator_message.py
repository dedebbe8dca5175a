"""Shows RFC 5322 bytes the way Graph does: decoded fields, addresses as objects. Part of the simulator."""

from __future__ import annotations

import base64
import email
import hashlib
import html
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime
from functools import cached_property
from typing import Any

LONGEST_HEADERS = 1_000_000
GENERATED_ID_DOMAIN = "simulated.prod.outlook.test"
MEETING_KINDS = {
    "REQUEST": ("#microsoft.graph.eventMessageRequest", "meetingRequest"),
    "CANCEL": ("#microsoft.graph.eventMessage", "meetingCancelled"),
    "REPLY": ("#microsoft.graph.eventMessageResponse", "meetingAccepted"),
}
# MAPI properties that stand for headers; they are there in Sent Items too, where the headers are not.
HEADER_PROPERTIES = {"String 0x1035": "Message-ID", "String 0x1039": "References", "String 0x1042": "In-Reply-To"}
TRANSPORT_HEADERS = "String 0x007D"
SIZE = "Integer 0x0E08"
_FOLD = re.compile(r"\r?\n[ \t]*")
_REPLY_PREFIX = re.compile(r"(?i)^(?:\s*(?:re|aw|fwd?|ynt|ilt)\s*:)+\s*")
_MESSAGE_ID = re.compile(r"<[^<>\s]+>")
_TAG = re.compile(r"(?s)<(style|script)\b.*?</\1>|<[^>]*>")


class ParsedMail:
    """A mail read once; every field is what Graph would show of it."""

    def __init__(self, raw: bytes) -> None:
        self.size = len(raw)
        self._raw = raw

    @cached_property
    def _message(self) -> Message:
        return email.message_from_bytes(self._raw)

    @cached_property
    def headers(self) -> list[dict[str, str]]:
        """Every header as it came, unfolded; Exchange adds a Message-ID to a mail without one."""
        shown = [{"name": name, "value": _FOLD.sub(" ", _text(str(v)))} for name, v in self._message.raw_items()]
        if not any(header["name"].lower() == "message-id" for header in shown):
            shown.append({"name": "Message-ID", "value": self.internet_id})
        return shown

    @cached_property
    def subject(self) -> str:
        """The subject, decoded."""
        return _decoded(self.header("Subject"))

    @property
    def base_subject(self) -> str:
        """The subject without what answers put before it."""
        return _REPLY_PREFIX.sub("", self.subject[:1_000]).strip().lower()

    @cached_property
    def internet_id(self) -> str:
        """The Message-ID, in brackets."""
        named = self.header("Message-ID").strip()
        return named or f"<{hashlib.sha256(self._raw).hexdigest()[:32]}@{GENERATED_ID_DOMAIN}>"

    @cached_property
    def ids(self) -> list[str]:
        """Every Message-ID it names, its own first."""
        named = " ".join(self.header(name) for name in ("In-Reply-To", "References"))[:20_000]
        return list(dict.fromkeys([self.internet_id, *_MESSAGE_ID.findall(named)]))

    @cached_property
    def text(self) -> str:
        """The plain text of the body, made from the HTML where there is none."""
        plain = self._part("text/plain")
        if plain is not None:
            return plain
        return html.unescape(_TAG.sub("", self._part("text/html") or ""))

    @cached_property
    def html(self) -> str:
        """The HTML of the body, made from the text where there is none."""
        rich = self._part("text/html")
        return rich if rich is not None else f"<html><body><pre>{html.escape(self.text)}</pre></body></html>"

    @cached_property
    def sent_at(self) -> datetime | None:
        """The Date header, in UTC; None when it is missing or no date."""
        try:
            read = parsedate_to_datetime(self.header("Date")[:200])
        except (ValueError, TypeError, OverflowError):
            return None
        return read.replace(tzinfo=read.tzinfo or UTC).astimezone(UTC)

    @cached_property
    def attachments(self) -> list[dict[str, Any]]:
        """The attachments, without their content."""
        found = []
        for number, part in enumerate(self._leaves()):
            name = _decoded(part.get_filename() or "")
            is_item = part.get_content_type() == "message/rfc822"
            if not name and not is_item:
                continue
            kind = "itemAttachment" if is_item else "fileAttachment"
            found.append(
                {
                    "@odata.type": f"#microsoft.graph.{kind}",
                    "id": base64.urlsafe_b64encode(f"attachment {number} of {self.internet_id}".encode()).decode(),
                    "name": name or "attached message",
                    "contentType": None if is_item else part.get_content_type(),
                    "size": len(_bytes(part)),
                    "isInline": part.get_content_disposition() == "inline",
                }
            )
        return found

    @property
    def meeting(self) -> tuple[str, str] | None:
        """The type of an event message and what it says; None for other mail."""
        for part in self._leaves():
            if part.get_content_type() == "text/calendar":
                return MEETING_KINDS.get(str(part.get_param("method", "")).upper())
        return None

    def header(self, name: str) -> str:
        """Return a header as it came, unfolded, "" without one."""
        value = next((v for n, v in self._message.raw_items() if n.lower() == name.lower()), "")
        return _FOLD.sub(" ", _text(str(value)))[:LONGEST_HEADERS]

    def recipients(self, name: str) -> list[dict[str, Any]]:
        """Return the mailboxes of an address header; groups are taken apart, what is no address is left out."""
        values = [_FOLD.sub(" ", _text(str(v))) for n, v in self._message.raw_items() if n.lower() == name.lower()]
        found = [(_decoded(shown), address) for shown, address in getaddresses(values) if address]
        return [{"emailAddress": {"name": shown or address, "address": address}} for shown, address in found]

    def property(self, name: str, *, is_sent: bool) -> str | None:
        """Return the value of a MAPI property; None where the item has none."""
        if name in HEADER_PROPERTIES:
            is_own = name == "String 0x1035"
            return self.internet_id if is_own else self.header(HEADER_PROPERTIES[name]) or None
        if name == SIZE:
            return str(self.size)
        if name == TRANSPORT_HEADERS and not is_sent:
            return "\r\n".join(f"{header['name']}: {header['value']}" for header in self.headers)
        return None

    def conversation_index(self, conversation: int, at: datetime) -> str:
        """Return the Thread-Index it came with, or the one Exchange makes (MS-OXOMSG 2.2.1.3)."""
        named = self.header("Thread-Index").strip()
        if named:
            return named
        ticks = int(at.timestamp() * 10_000_000) + 116_444_736_000_000_000
        guid = hashlib.sha256(f"{self.base_subject} {conversation}".encode()).digest()[:16]
        return base64.b64encode(b"\x01" + ticks.to_bytes(8, "big")[:5] + guid).decode()

    def _leaves(self) -> Iterator[Message]:
        """Yield the parts, a message that is attached as one of them."""
        waiting = [self._message]
        while waiting:
            part = waiting.pop(0)
            inner = part.get_payload()
            if part.get_content_maintype() == "multipart" and isinstance(inner, list):
                waiting[:0] = [child for child in inner if isinstance(child, Message)]
            else:
                yield part

    def _part(self, kind: str) -> str | None:
        for part in self._leaves():
            if part.get_content_type() == kind and not part.get_filename():
                return _body(part)
        return None


def _bytes(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else part.as_bytes()


def _body(part: Message) -> str:
    content = _bytes(part)
    try:
        return content.decode(part.get_content_charset("utf-8"), "replace")
    except (LookupError, ValueError):
        return content.decode("latin-1")


def _text(value: str) -> str:
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _decoded(value: str) -> str:
    """Decode encoded words (RFC 2047); what cannot be decoded stays as it is."""
    unfolded = _FOLD.sub(" ", _text(value))
    try:
        return _text(str(make_header(decode_header(unfolded))))
    except (HeaderParseError, LookupError, ValueError):
        return unfolded
