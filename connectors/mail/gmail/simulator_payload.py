"""Shows RFC 5322 bytes the way Gmail does: a tree of parts, bodies in base64url. Part of the simulator."""

from __future__ import annotations

import base64
import email
import html
import re
from collections.abc import Collection
from email.message import Message
from typing import Any

_FOLD = re.compile(r"\r?\n[ \t]*")


def payload_of(raw: bytes) -> dict[str, Any]:
    """Return `payload` of format full."""
    return _part(email.message_from_bytes(raw), "")


def metadata_of(raw: bytes, wanted: Collection[str]) -> dict[str, Any]:
    """Return `payload` of format metadata: the headers asked for, all of them when none is named."""
    message = email.message_from_bytes(raw)
    names = {name.lower() for name in wanted}
    headers = [header for header in _headers(message) if not names or header["name"].lower() in names]
    return {"mimeType": message.get_content_type(), "headers": headers}


def snippet_of(raw: bytes) -> str:
    """Return the first words of the text, escaped as HTML like Gmail's."""
    for part in email.message_from_bytes(raw).walk():
        if part.get_content_type() == "text/plain":
            return html.escape(" ".join(_utf8(part).decode().split())[:200], quote=True)
    return ""


def attachment_of(raw: bytes, attachment_id: str) -> bytes | None:
    """Return the bytes of an attachment; None when there is none of that id."""
    parts = email.message_from_bytes(raw).walk()
    return next((_bytes(part) for part in parts if _attachment_id(part) == attachment_id), None)


def base64url(content: bytes) -> str:
    """Encode as Gmail does."""
    return base64.urlsafe_b64encode(content).decode()


def _part(part: Message, part_id: str) -> dict[str, Any]:
    filename = part.get_filename() or ""
    shown: dict[str, Any] = {
        "partId": part_id,
        "mimeType": part.get_content_type(),
        "filename": filename,
        "headers": _headers(part),
        "body": {"size": 0},
    }
    children = part.get_payload() if part.is_multipart() else []
    if isinstance(children, list) and children:
        prefix = f"{part_id}." if part_id else ""
        shown["parts"] = [
            _part(child, f"{prefix}{i}") for i, child in enumerate(children) if isinstance(child, Message)
        ]
    elif filename:
        content = _bytes(part)
        shown["body"] = {"attachmentId": _attachment_id(part), "size": len(content)}
    elif not part.is_multipart():
        content = _utf8(part)
        shown["body"] = {"size": len(content), "data": base64url(content)} if content else {"size": 0}
    return shown


def _headers(part: Message) -> list[dict[str, str]]:
    return [{"name": name, "value": _FOLD.sub(" ", _text(str(value)))} for name, value in part.raw_items()]


def _text(value: str) -> str:
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _bytes(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _utf8(part: Message) -> bytes:
    """Gmail hands texts out as UTF-8 whatever the part declares."""
    content = _bytes(part)
    if part.get_content_maintype() != "text":
        return content
    try:
        return content.decode(part.get_content_charset("utf-8"), "replace").encode()
    except (LookupError, ValueError):
        return content.decode("latin-1").encode()


def _attachment_id(part: Message) -> str:
    return base64url(f"attachment:{part.get_filename()}:{len(_bytes(part))}".encode())
