"""A mail server for tests: its reception knows two addresses, in memory, and its spool is a folder of the test.

`python -m tests.unit.connectors.smart_bcc.mail_server FOLDER STEP …` runs one in a process of its own for each step of
taking a mail, which SIGKILLs itself there; each prints its step, its port and its process id.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from app.errors import DatabaseUnreachable
from app.reception import ReceivedMail, Recipient, Serving
from connectors.mail.smart_bcc.server import SmartBccServer

DOMAIN = "in.threadlink.test"
TOKEN = "abcdefgh234567ab"
ADA = f"northwind+{TOKEN}@{DOMAIN}"
TEAM = f"northwind@{DOMAIN}"
AUTHOR = "ada@northwind.test"


@dataclass
class TwoAddresses:
    """Knows Ada's address and her team's. `taken` is what was carried out of the spool."""

    is_reachable: bool = True
    carries: bool = True
    taken: list[ReceivedMail] = field(default_factory=list)

    def recipient(self, local_part: str) -> Recipient | None:
        if not self.is_reachable:
            raise DatabaseUnreachable
        known = {f"northwind+{TOKEN}": Recipient(1, 1, 7), "northwind": Recipient(1, 2, None)}
        return known.get(local_part)

    def member_who_sends(self, recipient: Recipient, author: str) -> int | None:
        if not self.is_reachable:
            raise DatabaseUnreachable
        return recipient.member_id or (7 if author == AUTHOR else None)

    def take(self, mail: ReceivedMail) -> None:
        if not self.carries:
            raise DatabaseUnreachable
        self.taken.append(mail)


@dataclass
class Running:
    """A server that runs."""

    port: int
    reception: TwoAddresses
    spool: Path

    def bodies(self) -> list[bytes]:
        """Return what was taken so far, once nothing waits."""
        deadline = time.monotonic() + 10
        while any(self.spool.glob("*.mail")):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        return [mail.raw for mail in self.reception.taken]


def serving(folder: Path, reception: TwoAddresses, environ: Mapping[str, str], step: Callable[[str], None]) -> Serving:
    settings = {"SMART_BCC_LISTEN": "127.0.0.1:0", **environ}
    return Serving(reception, settings, DOMAIN, lambda: datetime(2026, 3, 2, 8, 0, tzinfo=UTC), str(folder), step)


@contextmanager
def running(folder: Path, **environ: str) -> Iterator[Running]:
    """Run a server on a thread."""
    reception = TwoAddresses()
    server = SmartBccServer(serving(folder, reception, environ, lambda _step: None))
    port = server.start()
    try:
        yield Running(port, reception, folder)
    finally:
        server.stop()


def main(folder: str, *steps: str) -> None:
    """Start a server for each step, and wait until all were killed; nothing is carried."""
    for step in steps:
        if os.fork() == 0:  # what was imported is there already, and no thread runs yet
            serve_until(folder, step)
    for _ in steps:
        os.wait()


def serve_until(folder: str, step: str) -> None:
    """Serve until the step is met, or for ever."""

    def die(name: str) -> None:
        if name == step:
            os.kill(os.getpid(), signal.SIGKILL)

    server = SmartBccServer(serving(Path(folder) / step, TwoAddresses(carries=False), {}, die))
    os.write(1, f"{step} {server.start()} {os.getpid()}\n".encode())
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
