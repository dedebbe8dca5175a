"""Mail on disk between the answer "250" and the database: nothing that was acknowledged is lost.

A mail is one file with a random name that only its owner may read: a line of JSON with the envelope, then the bytes.
It has its name once it is whole and on the disk, and so has its directory.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from threading import Lock

from app.errors import SettingsError
from app.model import ItemRef
from app.reception import ReceivedMail, Recipient

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_WHOLE, _PART, _BROKEN = ".mail", ".part", ".broken"


class SpoolFull(Exception):
    """There is no room for this mail now."""


class Spool:
    """A directory of mails. `step` is called between the steps of keeping one."""

    def __init__(self, directory: str, max_bytes: int, step: Callable[[str], None]) -> None:
        self._directory = Path(directory)
        self._max_bytes = max_bytes
        self._step = step
        self._lock = Lock()
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            for rest in self._directory.glob(f"*{_PART}"):  # never acknowledged: its sender sends it again
                rest.unlink()
            self._bytes = sum(path.stat().st_size for path in self._directory.iterdir())
        except OSError as error:
            raise SettingsError(f"The spool {directory} cannot be used: {error.strerror}.") from None

    def keep(self, mails: Sequence[ReceivedMail]) -> None:
        """Keep one mail for each of its recipients; on return it survives whatever happens. Raises SpoolFull."""
        first = mails[0]
        envelope = {
            "recipients": [{**asdict(mail.recipient), "member": mail.member_id} for mail in mails],
            "mail_from": first.mail_from,
            "peer": first.peer,
            "helo": first.helo,
            "received_at": first.received_at.isoformat(),
        }
        whole = json.dumps(envelope).encode() + b"\n" + first.raw
        with self._lock:
            if self._bytes + len(whole) > self._max_bytes:
                raise SpoolFull
            self._bytes += len(whole)
        name = self._directory / secrets.token_hex(16)
        try:
            self._write(name.with_suffix(_PART), name.with_suffix(_WHOLE), whole)
        except OSError as error:
            with self._lock:
                self._bytes -= len(whole)
            with suppress(OSError):
                name.with_suffix(_PART).unlink()
            if error.errno in _FULL:
                raise SpoolFull from None
            raise

    def _write(self, part: Path, whole: Path, content: bytes) -> None:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._step("smtp.spool_opened")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            self._step("smtp.spool_written")
            os.fsync(file.fileno())
        self._step("smtp.spool_synced")
        part.rename(whole)
        self._step("smtp.spool_named")
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        self._step("smtp.spool_kept")

    def waiting(self) -> Iterator[Path]:
        """Yield the files of the mails that were kept, the eldest first."""
        found = [(path.stat().st_mtime_ns, path) for path in self._directory.glob(f"*{_WHOLE}")]
        yield from (path for _, path in sorted(found))

    def read(self, path: Path) -> list[ReceivedMail]:
        """Return the mail in a file, once for each recipient. Raises ValueError when it is none."""
        head, _, raw = path.read_bytes().partition(b"\n")
        envelope = json.loads(head)
        return [
            ReceivedMail(
                Recipient(each["team_id"], each["address_id"], each["member_id"], _item(each["item"])),
                each["member"],
                raw,
                envelope["mail_from"],
                envelope["peer"],
                envelope["helo"],
                datetime.fromisoformat(envelope["received_at"]),
            )
            for each in envelope["recipients"]
        ]

    def forget(self, path: Path) -> None:
        """Delete a mail that is in the database."""
        size = path.stat().st_size
        path.unlink()
        with self._lock:
            self._bytes -= size

    def set_aside(self, path: Path) -> None:
        """Take a file that cannot be read out of the way, for somebody to look at."""
        path.rename(path.with_suffix(_BROKEN))


def _item(stored: dict[str, object] | None) -> ItemRef | None:
    return ItemRef(**stored) if stored else None  # type: ignore[arg-type]  # as keep() wrote it
