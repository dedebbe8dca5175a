"""Turns a Gmail message (format full or metadata) into the message threadlink knows. Pure, total and bounded.

Whatever the JSON holds, reading it ends quickly and raises nothing but ValueError, for a message without an id or a
time. Vendor page: developers.google.com/gmail/api/reference/rest/v1/users.messages#Message
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

from app.model import NOT_CHOSEN, Attachment, Folder, ProviderMessage

MAX_HEADERS = 1_000
MAX_HEADER_CHARS = 300_000  # above the 256 kB the reader of headers allows, so that it sees what it cuts
MAX_PARTS = 500
MAX_TEXT_CHARS = 65_536
MAX_ENCODED_CHARS = 400_000  # base64 characters looked at for one text; 300 kB hold more than MAX_TEXT_CHARS
MAX_ATTACHMENTS = 100
MAX_RELATED_IDS = 20
LATEST_MS = 32_503_680_000_000  # the year 3000

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SENT = "SENT"
# Labels that leave a message out, with the name of the rule, in the order they are looked at.
FILTER_RULES = {"CHAT": "chat", "DRAFT": "draft", "SPAM": "spam", "TRASH": "trash"}

_MESSAGE_ID = re.compile(r"(?im)^message-id:[ \t]*(?:\r?\n[ \t]+)?(<[^<>\s]{1,990}>)")
_FOLD = re.compile(r"\r?\n[ \t]*")
_CHARSET = re.compile(
    r"(?:us-ascii|utf-?(?:8|16|32)|iso-?8859|iso-2022|windows-|cp\d|koi8|big5|gb|euc|shift|mac)[\w-]*"
)
_UNWANTED = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL takes neither
_STRAY_LESS_THAN = re.compile(r"<(?![a-zA-Z/!?])")
_QUIET_TAGS = frozenset({"script", "style", "head", "title", "template"})
_LINE_TAGS = frozenset({"br", "p", "div", "tr", "li", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "table"})


def filter_rule(label_ids: object, chosen: Collection[str] = ()) -> str | None:
    """Return the rule that leaves a message with these labels out, or None.

    draft, spam, trash, chat; NOT_CHOSEN when labels are chosen and it has none of them and was not sent.
    """
    labels = {label for label in _list(label_ids) if isinstance(label, str)}
    for label, rule in FILTER_RULES.items():
        if label in labels:
            return rule
    return NOT_CHOSEN if chosen and labels.isdisjoint({*chosen, SENT}) else None


def folder_of(label_ids: object) -> Folder:
    """Return where the mailbox holds it. A mail to oneself is in both places and counts as sent."""
    labels = _list(label_ids)
    if SENT in labels:
        return "sent"
    return "inbox" if "INBOX" in labels else "other"


def normalize(message: Mapping[str, Any], *, parked: str | None = None) -> ProviderMessage:
    """Return the message as threadlink knows it; `parked` says why part of it was not asked for.

    Raises ValueError for a message without an id or a time.
    """
    provider_id = _text(message.get("id"), 200)
    if not provider_id:
        raise ValueError("The message has no id")
    payload = _mapping(message.get("payload"))
    parts = list(_walk(payload))
    attachments = [part.attachment for part in parts if part.attachment is not None]
    return ProviderMessage(
        provider_id=provider_id,
        provider_thread_id=_text(message.get("threadId"), 200),
        at=_time(message.get("internalDate")),
        folder=folder_of(message.get("labelIds")),
        headers=_headers(payload),
        text=_best_text(parts),
        snippet=html.unescape(_text(message.get("snippet"), 1_000))[:500],
        attachments=tuple(attachments[:MAX_ATTACHMENTS]),
        part_types=tuple(part.content_type for part in parts if part.content_type),
        size_bytes=_size(message.get("sizeEstimate")),
        related_ids=_related_ids(parts),
        parked=parked,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """One MIME part; `depth` counts the attached messages around it."""

    mime_type: str
    content_type: str  # with its parameters
    charset: str
    attachment: Attachment | None
    data: str  # base64url, "" when Gmail keeps it apart
    depth: int
    message_id: str  # of the attached message this part is the top of


def _walk(payload: Mapping[str, Any]) -> Iterator[_Part]:
    """Yield the parts in the order of the mail, without recursion, MAX_PARTS at most."""
    waiting: list[tuple[Mapping[str, Any], int, bool]] = [(payload, 0, False)] if payload else []
    for _ in range(MAX_PARTS):
        if not waiting:
            return
        part, depth, is_top_of_attached = waiting.pop()
        read = _read_part(part, depth, is_top_of_attached)
        yield read
        is_message = read.mime_type == "message/rfc822"
        children = [_mapping(child) for child in _list(part.get("parts"))[:MAX_PARTS]]
        waiting.extend((child, depth + is_message, is_message) for child in reversed(children) if child)


def _read_part(part: Mapping[str, Any], depth: int, is_top_of_attached: bool) -> _Part:
    headers = dict[str, str]()
    for name, value in reversed(_headers(part)):
        headers[name.lower()] = value
    body = _mapping(part.get("body"))
    mime_type = _text(part.get("mimeType"), 200).lower()
    content_type = _FOLD.sub(" ", headers.get("content-type", ""))[:1_000].lower() or mime_type
    filename = _text(part.get("filename"), 255)
    attachment = Attachment(filename, _size(body.get("size")), mime_type) if filename and depth == 0 else None
    return _Part(
        mime_type=mime_type,
        content_type=content_type,
        charset=_charset(content_type),
        attachment=attachment,
        data=_raw(body.get("data"), MAX_ENCODED_CHARS),
        depth=depth,
        message_id=headers.get("message-id", "").strip()[:1_000] if is_top_of_attached else "",
    )


def _headers(part: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    pairs = []
    for header in _list(part.get("headers"))[:MAX_HEADERS]:
        name = _text(_mapping(header).get("name"), 200)
        if name:
            pairs.append((name, _FOLD.sub(" ", _text(_mapping(header).get("value"), MAX_HEADER_CHARS))))
    return tuple(pairs)


def _best_text(parts: Sequence[_Part]) -> str:
    """Return the plain text a person would read first; without one, the words of the first HTML part."""
    own = [part for part in parts if part.depth == 0 and part.attachment is None and part.data]
    plain = next((part for part in own if part.mime_type == "text/plain"), None)
    if plain is not None:
        return _decode(plain)[:MAX_TEXT_CHARS]
    rich = next((part for part in own if part.mime_type == "text/html"), None)
    return _words_of(_decode(rich))[:MAX_TEXT_CHARS] if rich is not None else ""


def _related_ids(parts: Sequence[_Part]) -> tuple[str, ...]:
    """Return the ids of attached messages: their own header, or the headers a bounce carries as text."""
    found: list[str] = []
    for part in parts:
        if part.message_id:
            found.append(part.message_id)
        elif part.mime_type in {"text/rfc822-headers", "message/rfc822-headers", "message/rfc822"} and part.data:
            found.extend(_MESSAGE_ID.findall(_decode(part))[:1])
    return tuple(dict.fromkeys(found))[:MAX_RELATED_IDS]


def _decode(part: _Part) -> str:
    """Decode a body. Gmail mostly hands out UTF-8 whatever the part declares, so that is tried first."""
    encoded = part.data.rstrip("=").replace("+", "-").replace("/", "_")
    encoded = encoded[: len(encoded) - 1] if len(encoded) % 4 == 1 else encoded
    try:
        content = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except (binascii.Error, ValueError):
        return ""
    try:
        return _clean(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        # A text cut at the limit may end inside a character; anything earlier is another encoding.
        if error.start >= len(content) - 3:
            return _clean(content[: error.start].decode("utf-8"))
    try:
        return _clean(content.decode(part.charset, "replace"))
    except (LookupError, ValueError):
        return _clean(content.decode("latin-1"))


def _charset(content_type: str) -> str:
    """Return the declared encoding if it is an ordinary one: codecs such as punycode or zip are never run."""
    named = re.search(r"charset\s{0,9}=\s{0,9}\"?([\w.:-]{1,40})", content_type)
    return named[1] if named and _CHARSET.fullmatch(named[1]) else "latin-1"


class _Words(HTMLParser):
    """Collects the words of an HTML text; what is hidden or runs is left out."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self._quiet = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002  # the parser's
        self._quiet += tag in _QUIET_TAGS
        if tag in _LINE_TAGS:
            self.words.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._quiet = max(0, self._quiet - (tag in _QUIET_TAGS))

    def handle_data(self, data: str) -> None:
        if not self._quiet:
            self.words.append(data)


def _words_of(markup: str) -> str:
    words = _Words()
    words.feed(_STRAY_LESS_THAN.sub("&lt;", markup))  # the parser is slow on each of them
    lines = (" ".join(line.split()) for line in "".join(words.words).splitlines())
    return "\n".join(line for line in lines if line)


def _time(internal_date: object) -> datetime:
    """Read epoch milliseconds, the only time of Gmail that the sender cannot choose."""
    value = _raw(internal_date, 20) if isinstance(internal_date, str) else str(_size(internal_date) or "")
    if not re.fullmatch(r"[0-9]{1,15}", value) or int(value) > LATEST_MS:
        raise ValueError("The message has no time")
    return EPOCH + timedelta(milliseconds=int(value))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def _raw(value: object, longest: int) -> str:
    return value[:longest] if isinstance(value, str) else ""


def _text(value: object, longest: int) -> str:
    return _clean(_raw(value, longest))


def _clean(text: str) -> str:
    return _UNWANTED.sub("\ufffd", text)


def _size(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**53 else 0
