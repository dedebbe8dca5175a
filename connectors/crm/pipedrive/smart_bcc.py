"""Showing a conversation by mail to an item's Smart Bcc address: the only way to real e-mail entries in Pipedrive.

Each message is mailed once, as threadlink knows it (who, when, subject, snippet), under a Message-ID that is made of
the conversation's marker and the message, so mailing it again is the same mail. Pipedrive takes mail only from an
address that one of its users registered. support.pipedrive.com/en/article/smart-bcc
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import replace
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from app import smtp
from app.errors import ApplicationMisconfigured
from app.model import NoteMessage
from app.ports import LinkWrite
from connectors.crm import note as plain
from connectors.crm.pipedrive.failures import PROVIDER
from connectors.crm.pipedrive.settings import PipedriveSettings
from connectors.crm.words import line

KEY_CHARS = 8
MAX_PEOPLE = 50
_OPERATION = "smart_bcc"


class SmartBcc:
    """Mails messages through the operator's own SMTP server."""

    def __init__(self, settings: PipedriveSettings) -> None:
        self._url = settings.smtp_server.get_secret_value()
        self._sender = settings.mail_from
        self._timeout_s = settings.timeout_s

    def send(self, write: LinkWrite, to: str, sent: Collection[str]) -> list[str]:
        """Mail every message that was not sent, oldest first; return the keys of all that are sent now.

        Raises ApplicationMisconfigured, Rejected for an address that is not taken, Unavailable. What was mailed before
        a failure is mailed again by the next try, under the same Message-IDs.
        """
        if not self._url or not self._sender:
            raise ApplicationMisconfigured(
                "PIPEDRIVE_SMTP_SERVER and PIPEDRIVE_MAIL_FROM must be set for the mode smart_bcc",
                provider=PROVIDER,
                operation=_OPERATION,
            )
        missing = [message for message in write.note.messages if key_of(message) not in sent]
        if missing:
            with smtp.server(
                self._url,
                setting="PIPEDRIVE_SMTP_SERVER",
                provider=PROVIDER,
                operation=_OPERATION,
                timeout_s=self._timeout_s,
            ) as server:
                for message in missing:
                    server.send_message(self._mail(write, message), self._sender, [to])
        return [*sent, *(key_of(message) for message in missing)]

    def _mail(self, write: LinkWrite, message: NoteMessage) -> EmailMessage:
        mail = EmailMessage(policy=SMTP)
        mail["From"] = self._sender
        people = [_address(name, address) for name, address in write.note.people[:MAX_PEOPLE]]
        mail["To"] = [each for each in people if each is not None] or [self._sender]
        mail["Subject"] = line(message.subject or write.note.subject or "")[:250]
        mail["Date"] = format_datetime(message.at)
        mail["Message-ID"] = message_id(write.note.marker, message)
        if message.internet_id.isascii() and 2 < len(message.internet_id) < 900:
            mail["References"] = f"<{line(message.internet_id).strip('<> ')}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(plain.text(replace(write.note, messages=(message,))))
        return mail


def key_of(message: NoteMessage) -> str:
    """Name a message in few characters, by its Message-ID or by when and from whom it came."""
    known = message.internet_id.strip("<>") or f"{message.at.isoformat()} {message.from_address}"
    return hashlib.sha256(known.encode("utf-8", "surrogatepass")).hexdigest()[:KEY_CHARS]


def message_id(marker: str, message: NoteMessage) -> str:
    """Return the Message-ID under which a message is mailed for a conversation."""
    return f"<{key_of(message)}.{marker}@threadlink.invalid>"


def _address(name: str, address: str) -> Address | None:
    try:
        return Address(display_name=line(name, 200), addr_spec=address) if address.isascii() else None
    except (ValueError, IndexError):
        return None
