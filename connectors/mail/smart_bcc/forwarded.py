"""The originals in a forward: attached as mails, or written into the text by the mail program.

Pure, and linear in what it reads: at most 200 kB of text, 2,000 characters of a line, 20 attached mails three levels
deep. Whatever comes out is what the forwarder says somebody wrote: it proves nothing (threats.md C15).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from app.errors import MailUnreadable
from app.linking.addresses import read_list
from app.linking.message_ids import read_date
from app.linking.mime import attached_mails, parse
from app.linking.text import decode_words
from app.model import Attachment
from connectors.mail.smart_bcc.forward_words import is_separator, labelled, says_wrote

MAX_TEXT_CHARS = 200_000
MAX_LINE_CHARS = 2_000
MAX_DEPTH = 3
MAX_ORIGINALS = 20
_MAX_BLANK_LINES = 3  # between a separator and the first header
_MAX_HEADER_LINES = 40

_SHOWN = ("from", "to", "cc", "subject", "date")
_INVISIBLE = dict.fromkeys([0xFEFF, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x202A, 0x202C, 0xAD])
_QUOTED = re.compile(r"(?:[ \t]{0,8}>[ \t]?)+")
_MAILTO = re.compile(r"\[mailto:([^\[\]<>\s]{3,320})\]|<mailto:([^\[\]<>\s]{3,320})>")
_BRACKETED_TWICE = re.compile(r"<([^<>\s]{3,320})<[^<>]{0,340}>>?")


@dataclass(frozen=True, slots=True)
class Original:
    """A mail that somebody forwarded: header lines (name, value), what it says, and whether its time was readable."""

    headers: tuple[tuple[str, str], ...]
    text: str
    attachments: tuple[Attachment, ...] = ()
    is_dated: bool = False
    is_attached: bool = False


@dataclass(slots=True)
class _Block:
    """Header lines that were found in a text, and the number of the line behind them."""

    end: int
    values: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        return bool(self.first("from")) and len(self.values) > 1

    def first(self, name: str) -> str:
        return " ".join(self.values.get(name, ())).strip()


def originals(raw: bytes, text: str) -> list[Original]:
    """Return the mails that a forward brings along; attached ones go before what its text shows."""
    attached = list(_attached(raw, MAX_DEPTH))[:MAX_ORIGINALS]
    if attached:
        return attached
    inline = in_text(text)
    return [inline] if inline else []


def is_outlook_file(attachment: Attachment) -> bool:
    """Say whether this is a mail in Outlook's own format, which nothing here reads ([MS-OXMSG])."""
    return attachment.content_type == "application/vnd.ms-outlook" or decode_words(attachment.name).lower().endswith(
        ".msg"
    )


# --- attached ---------------------------------------------------------------------------------------------------------


def _attached(raw: bytes, depth: int) -> Iterator[Original]:
    if depth == 0:
        return
    for mail in attached_mails(raw, MAX_ORIGINALS):
        try:
            read = parse(mail, provider_id="", at=None, folder="inbox")
        except MailUnreadable:
            continue
        shown = tuple((name, value) for name, value in read.headers if name.lower() in _SHOWN)
        date = next((value for name, value in shown if name.lower() == "date"), "")
        yield Original(shown, read.text, read.attachments, is_dated=read_date(date) is not None, is_attached=True)
        yield from _attached(mail, depth - 1)


# --- in the text ------------------------------------------------------------------------------------------------------


def in_text(text: str) -> Original | None:
    """Return the topmost mail that a text shows as forwarded, or None."""
    lines = _lines(text)
    block = _block(lines)
    if block is not None:
        return _original(block, lines[block.end :])
    return _introduced(lines)


def _lines(text: str) -> list[str]:
    """Return the lines without marks of quoting, invisible characters and what is too long."""
    plain = text[:MAX_TEXT_CHARS].translate(_INVISIBLE).replace("\u00a0", " ").replace("\r\n", "\n").replace("\r", "\n")
    return [_unquoted(line[:MAX_LINE_CHARS]) for line in plain.split("\n")]


def _unquoted(line: str) -> str:
    quoted = _QUOTED.match(line)
    if quoted:
        return line[quoted.end() :].rstrip()
    return line[4:].rstrip() if line.startswith("    ") else line.rstrip()


def _block(lines: Sequence[str]) -> _Block | None:
    """Find the topmost header lines: behind a separator, or standing by themselves as Outlook writes them."""
    for number, line in enumerate(lines):
        if is_separator(line):
            start = next(
                (n for n in range(number + 1, min(number + 2 + _MAX_BLANK_LINES, len(lines))) if lines[n]), None
            )
            block = _read_block(lines, start) if start is not None else None
            if block is not None and block.is_whole:
                return block
        elif (found := labelled(line)) and found[0] == "from":
            block = _read_block(lines, number)
            if block.is_whole and len(block.values) > 2:  # by itself a line "From: …" is a line like any other
                return block
    return None


def _read_block(lines: Sequence[str], start: int) -> _Block:
    block, last = _Block(start), ""
    for number in range(start, min(start + _MAX_HEADER_LINES, len(lines))):
        line = lines[number]
        block.end = number + 1
        if not line.strip():
            if block.values:
                break
            continue
        found = labelled(line)
        if found is None and not last:
            block.end = number
            break
        name, value = found or (last, line.strip())
        if found and name in block.values:  # its text begins with something that looks like a header
            block.end = number
            break
        block.values.setdefault(name, []).append(value)
        last = name
    return block


def _introduced(lines: Sequence[str]) -> Original | None:
    """Return what stands behind "On Monday Bea <bea@acme.test> wrote:"; that line may be folded in two."""
    for number, line in enumerate(lines):
        if not says_wrote(line):
            continue
        for said in (line, f"{lines[number - 1]} {line}" if number else line):
            address = re.search(r"([^\s<>,;:\"]{1,64}@[^\s<>,;:\"]{1,255})", said)
            if address:
                before = said[: address.start()].rstrip(" <")
                name = " ".join(re.split(r"[,:]|\d{1,2}[:.]\d{2}", before)[-1].split()[-3:])
                headers = (("From", f'"{_quotable(name)}" <{address[1]}>'),)
                return Original(headers, "\n".join(lines[number + 1 :]).strip())
    return None


def _original(block: _Block, rest: Sequence[str]) -> Original:
    date = _date(block.first("date"))
    people = [(name.title(), _people(block.first(name))) for name in ("from", "to", "cc")]
    headers = [*people, ("Subject", block.first("subject"))]
    if date is not None:
        headers.append(("Date", date.strftime("%a, %d %b %Y %H:%M:%S +0000")))
    kept = tuple((name, value) for name, value in headers if value)
    return Original(kept, "\n".join(rest).strip(), is_dated=date is not None)


def _people(value: str) -> str:
    """Write a list of people as a header does; what names nobody by address stays as it is, to be read by people."""
    value = _BRACKETED_TWICE.sub(r"<\1>", _MAILTO.sub(lambda found: f"<{found[1] or found[2]}>", value))
    found = read_list(value).mailboxes
    return ", ".join(f'"{_quotable(name)}" <{address}>' if name else address for name, address in found) or value


def _quotable(name: str) -> str:
    return name.replace("\\", " ").replace('"', " ").strip()


def _date(value: str) -> datetime | None:
    """Return the time a forward shows, when it is written as in a header.

    Gmail and Outlook write the forwarder's local time in the forwarder's language and no zone: no moment to compare.
    """
    return read_date(value)
