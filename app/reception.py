"""The contract between a mail server of our own and the core: who may be written to, and what becomes of the mail.

The counterpart of ports.MailConnector for mail that comes to us instead of being fetched: connectors/mail/smart_bcc
speaks SMTP, app/intake.py knows members and addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.model import ItemRef


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom an address belongs to: a member, or whoever of the team sends; and the item it stands for, if any."""

    team_id: int
    address_id: int
    member_id: int | None
    item: ItemRef | None = None

    @property
    def is_public(self) -> bool:
        """Whether the address has no secret in it: the team's own."""
        return self.member_id is None and self.item is None


@dataclass(frozen=True, slots=True)
class ReceivedMail:
    """One mail as it came to one recipient: the bytes, the envelope, and where it came from."""

    recipient: Recipient
    member_id: int  # in whose account it goes
    raw: bytes
    mail_from: str  # "" for a bounce
    peer: str  # the IP address of who delivered it
    helo: str
    received_at: datetime


class Reception(Protocol):
    """What a mail server asks the core. Raises DatabaseUnreachable; then the mail is asked to come again later."""

    def recipient(self, local_part: str) -> Recipient | None:
        """Return whose address this is; None for one that is unknown or was changed, which nobody can tell apart."""
        ...

    def member_who_sends(self, recipient: Recipient, author: str) -> int | None:
        """Return whose account takes a mail by this author to that recipient; None when nobody's does."""
        ...

    def take(self, mail: ReceivedMail) -> None:
        """Store the mail for its account and have it read; doing it again changes nothing."""
        ...


class MailServer(Protocol):
    """A server that takes mail (entry point `threadlink.mail_servers`)."""

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; what was taken is handed over first. Raises SettingsError."""
        ...

    def start(self) -> int:
        """Serve from a thread of its own, and return the port."""
        ...

    def stop(self) -> None:
        """Stop what start() began; calling it again is harmless."""
        ...


@dataclass(frozen=True, slots=True)
class Serving:
    """What a mail server is built with."""

    reception: Reception
    environ: Mapping[str, str]
    domain: str
    now: Callable[[], datetime]
    spool: str  # a directory of its own
    step: Callable[[str], None]  # called between the steps of taking a mail (crash_points)
