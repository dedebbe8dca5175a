"""`threadlink threads PATH`: the conversations in a maildir, an mbox, a folder of .eml files or a single one.

The code is the one the sync uses (linking.mime, headers, threads), with everything in memory. The files count as one
mailbox. Nothing is written, and what is no e-mail is reported.
"""

from __future__ import annotations

import mmap
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from app.errors import MailUnreadable
from app.linking import headers, mime
from app.linking.addresses import make_ours
from app.linking.threads import Threads
from app.model import Message, Ours

ACCOUNT_ID = 1
NO_LIMIT = {ACCOUNT_ID: -(10**9)}  # merges in this hour so far: the alarm is for live mailboxes, not for files
MAILDIR_FOLDERS = ("cur", "new")  # what lies in tmp is not delivered yet
MAIL_SUFFIXES = (".eml", ".mbox")

_LINE = re.compile(rb"[^\n]*(?:\n|\Z)")
_HEADER = re.compile(rb">?From |[!-9;-~]{1,100}[ \t]*:")
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Source:
    """One mail on disk, named as people look for it; `why` says why its bytes are not there."""

    file: str
    raw: bytes = b""
    why: str = ""


def conversations_of(path: Path, ours: Sequence[str] = ()) -> dict[str, Any]:
    """Group the mails in or below a path; `ours` are addresses of the mailbox' owner, and domains without an @.

    Without `ours` the owner is whoever takes part in most of the mails. Conversations come by their oldest message,
    the messages of each by time; the same message in several files is one. Raises OSError when there is nothing at the
    path or it may not be read.
    """
    given = make_ours((entry for entry in ours if "@" in entry), (entry for entry in ours if "@" not in entry))
    messages: list[Message] = []
    unreadable: list[dict[str, str]] = []
    for source in sources(path):
        try:
            messages.append(_message(source, given))
        except MailUnreadable:
            unreadable.append({"file": source.file, "why": source.why or "This is no e-mail: it has no header."})
    return {
        "conversations": [{"messages": ids} for ids in _grouped(messages, given if ours else owner(messages))],
        "unreadable": unreadable,
    }


def owner(messages: Iterable[Message]) -> Ours:
    """Say whose mailbox it is: who takes part in most of the messages, in at least half of them."""
    count = 0
    mails_of: Counter[str] = Counter()
    for message in messages:
        count += 1
        mails_of.update({person.address for person in message.participants if person.role != "reply_to"})
    often = sorted(mails_of, key=lambda address: (-mails_of[address], address))[:1]
    return make_ours((address for address in often if 2 * mails_of[address] >= count), ())


def sources(path: Path) -> Iterator[Source]:
    """Yield every mail in or below a path, in the order of the file names. Raises OSError for the path itself."""
    if not path.is_dir():
        yield from _of_file(path, path.name)
        return
    list(path.iterdir())  # a folder that may not be read is no empty folder
    for file in sorted(_files(path)):
        name = file.relative_to(path).as_posix()
        try:
            yield from _of_file(file, name)
        except OSError as error:
            yield Source(name, why=error.strerror or str(error))


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and of those in it: a maildir's mails, and what is named as mail.

    A folder that cannot be listed is yielded itself, so that it is reported like a file that cannot be opened.
    """
    try:
        entries = list(folder.iterdir())
    except OSError:
        yield folder
        return
    is_mail_folder = folder.name in MAILDIR_FOLDERS
    for entry in entries:
        if entry.is_dir():
            is_undelivered = entry.name == "tmp" and (folder / "cur").is_dir()
            if not entry.is_symlink() and not is_undelivered:  # a link may lead back here
                yield from _files(entry)
        elif entry.is_file() and (
            entry.suffix.lower() in MAIL_SUFFIXES or (is_mail_folder and not entry.name.startswith("."))
        ):
            yield entry


def _of_file(file: Path, name: str) -> Iterator[Source]:
    with file.open("rb") as opened:
        start = opened.read(5)
        opened.seek(0)
        if file.suffix.lower() != ".mbox" and (start != b"From " or file.suffix.lower() == ".eml"):
            yield Source(name, opened.read(mime.MAX_BYTES + 1))
        elif start:
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
                yield from _of_mbox(content, name)


def _of_mbox(content: mmap.mmap, name: str) -> Iterator[Source]:
    postmarks = list(_postmarks(content))
    if not postmarks:
        yield Source(name, why="This is no mbox: it does not begin with a line “From …”.")
        return
    ends = [start for start, _ in postmarks[1:]] + [len(content)]
    for number, ((_, start), end) in enumerate(zip(postmarks, ends, strict=True), start=1):
        raw = content[start : min(end, start + mime.MAX_BYTES + 1)]
        yield Source(f"{name}, message {number}", _QUOTED_FROM.sub(rb"\1", raw))


def _postmarks(content: mmap.mmap) -> Iterator[tuple[int, int]]:
    """Yield where each line "From …" begins and ends that begins a mail: after an empty line, with a header below."""
    start = 0 if content[:5] == b"From " else _next_from(content, 0)
    while start >= 0:
        line = _LINE.match(content, start)
        end = line.end() if line else len(content)
        if start == 0 or (
            content[max(start - 3, 0) : start].endswith((b"\n\n", b"\n\r\n")) and _HEADER.match(content, end)
        ):
            yield start, end
        start = _next_from(content, end - 1)


def _next_from(content: mmap.mmap, position: int) -> int:
    found = content.find(b"\nFrom ", max(position, 0))
    return found + 1 if found >= 0 else -1


def _message(source: Source, ours: Ours) -> Message:
    """Read one mail; its text is not kept, so that large mailboxes fit into memory."""
    delivered = mime.parse(source.raw, provider_id=source.file, at=None, folder="inbox")
    message = headers.read(delivered, account_id=ACCOUNT_ID, ours=ours, authserv_id=None)
    copies = tuple(replace(copy, text="", snippet="", attachments=()) for copy in message.copies)
    return replace(message, copies=copies)


def _grouped(messages: Sequence[Message], ours: Ours) -> list[list[str]]:
    threads = Threads((), ours, NO_LIMIT)
    for message in sorted(messages, key=_order):
        threads.place(message)
    conversations = [sorted(conversation.messages, key=_order) for conversation in threads.conversations]
    conversations.sort(key=lambda found: _order(found[0]))
    return [list(dict.fromkeys(message.internet_id for message in found)) for found in conversations]


def _order(message: Message) -> tuple[datetime, bytes, bytes]:
    return message.at, message.mid_hash, message.fingerprint
