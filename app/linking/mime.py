"""From the bytes of a mail (.eml, maildir, mbox, SMTP) to what a connector delivers.

Written by whoever sends, so it is taken apart in one pass with fixed limits: the standard library's parser is
quadratic or recursive on short input (threats.md F4). What is over a limit is left out and `parked` says why.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes

from app.errors import MailUnreadable
from app.linking import text
from app.linking.headers import MAX_HEADERS, MAX_LINE_CHARS, MAX_STRUCTURED_CHARS, limit_of
from app.linking.message_ids import read_date
from app.model import Attachment, Folder, ProviderMessage

MAX_BYTES = 25 * 1024 * 1024
MAX_HEADER_BYTES = 1024 * 1024
MAX_PART_HEADER_BYTES = 16 * 1024
MAX_PART_HEADERS = 100
MAX_DEPTH = 20
MAX_PARTS = 200
_MAX_DELIMITERS = 10_000  # lines that begin with "--", boundaries or not
_MAX_ENCODED_BYTES = 512 * 1024  # 64 kB of text are in it, however it is encoded
_MAX_BOUNDARY_CHARS = 200
_MAX_CONTINUATIONS = 50
_MAX_TYPE_CHARS = 1_000
_MAX_ID_CHARS = 1_000
_UNKNOWN_TIME = datetime(1970, 1, 1, tzinfo=UTC)

_END_OF_HEADERS = re.compile(rb"\n\r?\n|(?=\n--)")
_HEADER = re.compile(rb"^([!-9;-~]{1,100})[ \t]*:[ \t]*([^\n]*(?:\n[ \t][^\n]*)*+)", re.MULTILINE)
_FOLD = re.compile(r"[\r\n]+[ \t]?")
_PARAMETER = re.compile(r';\s*([^\s=;]{1,60})\s*=\s*("(?:[^"\\]|\\.)*+"|[^;]*+)', re.DOTALL)

_Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Part:
    """A part that holds no others: what its headers say, and where its content lies."""

    start: int
    end: int
    media_type: str
    charset: str
    encoding: str
    disposition: str
    file_name: str
    content_id: str = ""  # without its brackets

    @property
    def is_body(self) -> bool:
        is_readable = self.media_type in {"text/plain", "text/html"}
        return is_readable and not self.file_name and self.disposition != "attachment"

    @property
    def is_attachment(self) -> bool:
        is_named = bool(self.file_name) or self.disposition == "attachment"
        is_content = not self.media_type.startswith(("text/", "message/", "multipart/"))
        return is_named or is_content or self.media_type == "message/rfc822"

    @property
    def is_mail_file(self) -> bool:
        """Whether it is a mail that a mail program did not call one."""
        is_file = self.media_type in {"application/octet-stream", "text/plain"}
        return is_file and self.file_name.lower().endswith(".eml")

    @property
    def is_attached_mail(self) -> bool:
        return self.media_type in {"message/rfc822", "text/rfc822-headers", "message/rfc822-headers"}


@dataclass(slots=True)
class _Structure:
    part_types: list[str] = field(default_factory=list)
    leaves: list[Part] = field(default_factory=list)
    parked: str | None = None


def parse(raw: bytes, *, provider_id: str, at: datetime | None, folder: Folder) -> ProviderMessage:
    """Read a whole mail as if a provider had delivered it.

    Without `at` its time is the Date header, else the oldest Received, else 1970. The text is the first text/plain
    part, else the first text/html part made readable. Raises MailUnreadable when there is no header at all.
    """
    whole = raw[:MAX_BYTES].lstrip(b"\r\n")
    headers, body = _headers(whole, 0, MAX_HEADER_BYTES, MAX_HEADERS)
    if not headers:
        raise MailUnreadable
    structure = _structure(whole, headers, body)
    is_too_large = len(raw) > MAX_BYTES or body >= MAX_HEADER_BYTES
    return ProviderMessage(
        provider_id=provider_id,
        provider_thread_id="",
        at=at or _time(headers),
        folder=folder,
        headers=tuple(headers),
        text=_body_text(whole, structure.leaves),
        attachments=tuple(_attachment(whole, part) for part in structure.leaves if part.is_attachment),
        part_types=tuple(structure.part_types),
        size_bytes=len(raw),
        related_ids=tuple(_related_ids(whole, structure.leaves)),
        parked="too large" if is_too_large else structure.parked,
    )


def parts(raw: bytes) -> tuple[Part, ...]:
    """Return the parts of a whole mail that hold no others, in its order; content() reads them."""
    whole = raw[:MAX_BYTES]
    headers, body = _headers(whole, 0, MAX_HEADER_BYTES, MAX_HEADERS)
    return tuple(_structure(whole, headers, body).leaves)


def content(raw: bytes, part: Part, max_encoded_bytes: int = _MAX_ENCODED_BYTES) -> bytes:
    """Return the beginning of a part's content, its transfer encoding undone."""
    encoded = raw[part.start : min(part.end, part.start + max_encoded_bytes)]
    if part.encoding == "base64":
        return text.decode_base64(encoded)
    return binascii.a2b_qp(encoded) if part.encoding == "quoted-printable" else encoded


def headers_of(raw: bytes) -> list[tuple[str, str]]:
    """Return the headers of a mail alone, topmost first, as parse() reads them."""
    return _headers(raw[: MAX_HEADER_BYTES + 1].lstrip(b"\r\n"), 0, MAX_HEADER_BYTES, MAX_HEADERS)[0]


def attached_mails(raw: bytes, most: int) -> list[bytes]:
    """Return the mails that are attached to a mail, as they were attached or as files named .eml, at most so many."""
    whole = raw[:MAX_BYTES].lstrip(b"\r\n")
    found = [part for part in parts(whole) if part.media_type == "message/rfc822" or part.is_mail_file]
    return [content(whole, part, MAX_BYTES) for part in found[:most]]


def _time(headers: _Headers) -> datetime:
    oldest_first = [value.rpartition(";")[2] for name, value in reversed(headers) if name.lower() == "received"]
    dates = (read_date(value) for value in (_first(headers, "date"), *oldest_first))
    return next((date for date in dates if date is not None), _UNKNOWN_TIME)


# --- headers --------------------------------------------------------------------------------------------------------


def _headers(whole: bytes, start: int, max_bytes: int, max_headers: int) -> tuple[list[tuple[str, str]], int]:
    """Return the headers that begin at start, and where the content behind them begins.

    Each is cut one character above what is read of it, and one more header is returned than are read, so that
    `headers.read` sees what was too long. Lines that are no headers are skipped, the "From " of an mbox among them.
    """
    limit = min(start + max_bytes, len(whole))
    end = _END_OF_HEADERS.search(whole, max(start - 1, 0), limit)
    headers: list[tuple[str, str]] = []
    for found in _HEADER.finditer(whole[start : end.start() if end else limit]):
        name = found[1].decode("ascii")
        max_chars = (limit_of(name.lower()) or MAX_LINE_CHARS) + 1
        written = found[2]
        is_cut = len(written) > 4 * max_chars
        value = _FOLD.sub(" ", text.decode(written[: 4 * max_chars], is_cut=is_cut))
        headers.append((name, value[:max_chars].rstrip()))
        if len(headers) > max_headers:
            break
    return headers, end.end() if end else limit


def _first(headers: _Headers, wanted: str) -> str:
    return next((value for name, value in headers if name.lower() == wanted), "")


def _parameters(value: str) -> tuple[str, dict[str, str]]:
    """Take a Content-Type or Content-Disposition apart; type and names in lower case."""
    value = value[:MAX_STRUCTURED_CHARS]
    parameters: dict[str, str] = {}
    for name, written in _PARAMETER.findall(value):
        content = re.sub(r"\\(.)", r"\1", written[1:-1]) if written.startswith('"') else written.strip()
        parameters.setdefault(name.lower(), content)
    return value.partition(";")[0].strip().lower(), parameters


def _parameter(parameters: Mapping[str, str], name: str) -> str:
    """Return a parameter, however RFC 2231 wrote it: in one piece or several, percent-encoded or not."""
    whole = parameters.get(f"{name}*")
    if whole is None:
        numbers = range(_MAX_CONTINUATIONS)
        pieces = [parameters.get(f"{name}*{n}*", parameters.get(f"{name}*{n}", "")) for n in numbers]
        if f"{name}*0*" not in parameters:
            return "".join(pieces) or parameters.get(name, "")
        whole = "".join(pieces)
    charset, _, rest = whole.partition("'")
    return text.decode(unquote_to_bytes(rest.partition("'")[2]), charset)


# --- structure ----------------------------------------------------------------------------------------------------


def _structure(whole: bytes, headers: _Headers, body: int) -> _Structure:
    """Find the parts in one pass over the lines that begin with "--"."""
    structure = _Structure()
    boundaries: list[bytes] = []  # of the multiparts that are open, outermost first
    part = _begin(structure, boundaries, headers, body)
    end = len(whole)
    for line_start, line, line_end in _dashed_lines(structure, whole, body):
        if not boundaries:
            break
        depth, is_last = _match(boundaries, line)
        if depth is None:
            continue
        _finish(structure, whole, part, line_start)
        part = None
        del boundaries[depth if is_last else depth + 1 :]
        if len(structure.part_types) >= MAX_PARTS:
            structure.parked = "too many parts"
            break
        if not is_last:
            part_headers, content = _headers(whole, line_end + 1, MAX_PART_HEADER_BYTES, MAX_PART_HEADERS)
            part = _begin(structure, boundaries, part_headers, content)
    _finish(structure, whole, part, end)
    return structure


def _dashed_lines(structure: _Structure, whole: bytes, body: int) -> Iterator[tuple[int, bytes, int]]:
    """Yield (start, what follows the "--", end) of each line that may be a boundary."""
    position = max(body - 1, 0)
    for _ in range(_MAX_DELIMITERS):
        start = whole.find(b"\n--", position)
        if start < 0:
            return
        end = whole.find(b"\n", start + 1)
        position = len(whole) if end < 0 else end
        yield start, whole[start + 3 : min(position, start + 2 * _MAX_BOUNDARY_CHARS)].rstrip(), position
    structure.parked = "too many parts"


def _match(boundaries: Sequence[bytes], line: bytes) -> tuple[int | None, bool]:
    """Return which open multipart a line delimits, the innermost first, and whether it ends it."""
    for depth in range(len(boundaries) - 1, -1, -1):
        if line == boundaries[depth]:
            return depth, False
        if line == boundaries[depth] + b"--":
            return depth, True
    return None, False


def _begin(structure: _Structure, boundaries: list[bytes], headers: _Headers, start: int) -> Part | None:
    """Note the type of a part; open it when it is a multipart, else return it as a leaf that has no end yet."""
    written = _first(headers, "content-type")
    media_type, parameters = _parameters(written)
    if "/" not in media_type:
        written = media_type = "text/plain"
    structure.part_types.append(written[:_MAX_TYPE_CHARS].lower())
    boundary = parameters.get("boundary", "").rstrip().encode()
    if media_type.startswith("multipart/") and 0 < len(boundary) <= _MAX_BOUNDARY_CHARS:
        if len(boundaries) < MAX_DEPTH:
            boundaries.append(boundary)
            return None
        structure.parked = "too many parts"
    disposition, more = _parameters(_first(headers, "content-disposition"))
    return Part(
        start=start,
        end=start,
        media_type=media_type,
        charset=parameters.get("charset", ""),
        encoding=_first(headers, "content-transfer-encoding").lower(),
        disposition=disposition,
        file_name=_parameter(more, "filename") or _parameter(parameters, "name"),
        content_id=_first(headers, "content-id").strip().strip("<>").strip()[:_MAX_ID_CHARS],
    )


def _finish(structure: _Structure, whole: bytes, part: Part | None, end: int) -> None:
    if part is not None:
        end -= whole[part.start : end].endswith(b"\r")
        structure.leaves.append(replace(part, end=max(end, part.start)))


# --- content --------------------------------------------------------------------------------------------------------


def _body_text(whole: bytes, leaves: Sequence[Part]) -> str:
    for part in leaves:
        if part.is_body and part.media_type == "text/plain":
            plain = _text(whole, part)
            if plain.strip():
                return plain
    page = next((part for part in leaves if part.is_body and part.media_type == "text/html"), None)
    return "" if page is None else text.from_html(_text(whole, page))


def _text(whole: bytes, part: Part) -> str:
    is_cut = part.end - part.start > _MAX_ENCODED_BYTES
    return text.decode(content(whole, part), part.charset, is_cut=is_cut).replace("\r\n", "\n")


def _attachment(whole: bytes, part: Part) -> Attachment:
    """Describe an attachment; its size is about right without decoding it."""
    size = part.end - part.start
    if part.encoding == "base64":
        size = (size - 2 * whole.count(b"\n", part.start, part.end)) * 3 // 4
    return Attachment(part.file_name, max(size, 0), part.media_type)


def _related_ids(whole: bytes, leaves: Sequence[Part]) -> list[str]:
    """Return the Message-IDs of attached mails: a bounce brings the mail back that did not arrive."""
    attached = (content(whole, part).lstrip(b"\r\n") for part in leaves if part.is_attached_mail)
    ids = (_first(_headers(mail, 0, MAX_PART_HEADER_BYTES, MAX_PART_HEADERS)[0], "message-id") for mail in attached)
    return [each for each in ids if each]
