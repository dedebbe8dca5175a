"""A whole mail, read again where it lies, for somebody who looks: its HTML, its pictures, its attachments.

Nothing of it is stored. Like everything from a mail it is taken apart with fixed limits (app.linking.mime).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.linking import mime, text
from app.linking.clean_html import clean
from app.linking.mime import Part
from app.model import Attachment

MAX_HTML_BYTES = 4_000_000
MAX_PICTURE_BYTES = 3_000_000
MAX_PICTURES_BYTES = 9_000_000
MAX_FILE_NAME_CHARS = 120
# What a picture begins with; what a part says of itself does not count.
_PICTURES = (("png", b"\x89PNG\r\n\x1a\n"), ("jpeg", b"\xff\xd8\xff"), ("gif", b"GIF87a"), ("gif", b"GIF89a"))
_NOT_IN_A_FILE_NAME = re.compile(r'[\\/:*?"<>|\x7f-\x9f]+')


@dataclass(frozen=True, slots=True)
class Original:
    """What is shown of a mail: `html`, safe to show as it is, or `text` when the mail has no HTML."""

    html: str
    text: str


def read(raw: bytes) -> Original:
    """Return what to show of a whole mail."""
    parts = mime.parts(raw)
    page = next((part for part in parts if part.is_body and part.media_type == "text/html"), None)
    plain = next((part for part in parts if part.is_body and part.media_type == "text/plain"), None)
    if page is None:
        return Original("", _text(raw, plain) if plain else "")
    return Original(clean(_text(raw, page), _pictures(raw, parts)), "")


def file_of(raw: bytes, described: Sequence[Attachment], number: int) -> bytes | None:
    """Return the content of the attachment that was described at this place; None when the mail has it no more.

    Providers count attachments in their own order, so it is found by its name; of several with one name by its turn.
    """
    name = described[number].name
    turn = sum(each.name == name for each in described[:number])
    named = [part for part in mime.parts(raw) if part.is_attachment and _same(part.file_name, name)]
    if turn >= len(named):
        return None
    return mime.content(raw, named[turn], mime.MAX_BYTES)


def file_name(name: str) -> str:
    """Return a name that a file may be saved by: no path, no controls, no marks that reorder text, not hidden."""
    shown = _NOT_IN_A_FILE_NAME.sub("_", text.one_line(name, 1_000)).strip(". ")
    stem, dot, ending = shown.rpartition(".")
    if len(shown) > MAX_FILE_NAME_CHARS and dot and len(ending) <= 10:
        shown = f"{stem[: MAX_FILE_NAME_CHARS - 1 - len(ending)]}.{ending}"
    return shown[:MAX_FILE_NAME_CHARS] or "attachment"


def _same(written: str, name: str) -> bool:
    return text.one_line(text.decode_words(written), 255) == text.one_line(name, 255)


def _text(raw: bytes, part: Part) -> str:
    is_cut = part.end - part.start > MAX_HTML_BYTES
    return text.storable(text.decode(mime.content(raw, part, MAX_HTML_BYTES), part.charset, is_cut=is_cut))


def _pictures(raw: bytes, parts: Sequence[Part]) -> dict[str, str]:
    """Return the mail's own pictures by Content-ID, as `data:` URLs: a frame without an origin may load nothing."""
    found: dict[str, str] = {}
    left = MAX_PICTURES_BYTES
    for part in parts:
        if not part.content_id or part.content_id in found:
            continue
        content = mime.content(raw, part, 2 * MAX_PICTURE_BYTES)
        kind = next((kind for kind, begins in _PICTURES if content.startswith(begins)), None)
        if kind is None or not len(content) <= min(MAX_PICTURE_BYTES, left):
            continue
        left -= len(content)
        found[part.content_id] = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return found
