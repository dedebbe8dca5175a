"""Mail that threadlink itself writes: notices and digests, plain text, to members of a team and nobody else.

Each says that a machine wrote it (RFC 3834), so nobody's vacation answers it and our own rules leave it alone (T2).
Without THREADLINK_SMTP_SERVER nothing is sent, and the doctor says so.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from urllib.parse import urlsplit

from app import smtp
from app.errors import Rejected
from app.linking.text import one_line
from app.settings import Settings

PROVIDER = "smtp"
SENDER_NAME = "threadlink"
TIMEOUT_S = 15.0
LONGEST_SUBJECT = 200
LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail to one person; `key` names it among all of this installation, so that a second try is the same mail."""

    to_name: str
    to_address: str
    locale: str
    subject: str
    text: str
    key: str


def is_set_up(settings: Settings) -> bool:
    """Say whether mail can be sent at all."""
    return bool(settings.smtp_server.get_secret_value() and settings.mail_from)


def send(settings: Settings, letter: Letter, now: datetime) -> bool:
    """Hand a letter to the SMTP server; False when none is set up.

    Raises ApplicationMisconfigured, Rejected for an address that is not taken, Unavailable.
    """
    if not is_set_up(settings):
        return False
    mail = _mail(settings, letter, now)
    with smtp.server(
        settings.smtp_server.get_secret_value(),
        setting="THREADLINK_SMTP_SERVER",
        provider=PROVIDER,
        operation="send",
        timeout_s=TIMEOUT_S,
    ) as server:
        server.send_message(mail, settings.mail_from, [letter.to_address])
    return True


def _mail(settings: Settings, letter: Letter, now: datetime) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address(SENDER_NAME, addr_spec=settings.mail_from)
    try:
        mail["To"] = Address(one_line(letter.to_name, LONGEST_NAME), addr_spec=letter.to_address)
    except (ValueError, IndexError):
        raise Rejected("This is no address that mail can be sent to", provider=PROVIDER, operation="send") from None
    mail["Subject"] = one_line(letter.subject, LONGEST_SUBJECT)
    mail["Date"] = format_datetime(now)
    host = urlsplit(settings.public_base_url).hostname or "threadlink.invalid"
    mail["Message-ID"] = f"<{hashlib.sha256(letter.key.encode()).hexdigest()[:40]}@{host}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"  # Exchange goes by this one
    mail.set_content(letter.text)
    mail["Content-Language"] = letter.locale  # after the content, which takes every Content header away
    return mail
