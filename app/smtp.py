"""An SMTP server that mail is handed to, named by one URL: encrypted, its certificate verified, with time-outs.

smtp://name:password@host:587 speaks STARTTLS, smtps://…:465 TLS from the start. In the clear only to this machine, and
never a password.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

from app.errors import ApplicationMisconfigured, Rejected, Unavailable

_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})


def is_server(url: str) -> bool:
    """Say whether a URL names an SMTP server."""
    try:
        parts = urlsplit(url)
        return parts.scheme in {"smtp", "smtps"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def is_mailbox(address: str) -> bool:
    """Say whether this is one plain address that mail can be sent from."""
    return address.isascii() and address.count("@") == 1 and not any(c in address for c in " <>,;\r\n")


@contextmanager
def server(url: str, *, setting: str, provider: str, operation: str, timeout_s: float) -> Iterator[smtplib.SMTP]:
    """Connect and sign in; the errors are those of sending, too, and name `setting`, never its value.

    Raises ApplicationMisconfigured (password, encryption), Rejected for a mail or an address that is never taken,
    Unavailable.
    """
    parts = urlsplit(url)
    host, context = parts.hostname or "", ssl.create_default_context()
    try:
        with (
            smtplib.SMTP_SSL(host, parts.port or 465, timeout=timeout_s, context=context)
            if parts.scheme == "smtps"
            else smtplib.SMTP(host, parts.port or 587, timeout=timeout_s)
        ) as connected:
            if parts.scheme == "smtp" and (host not in _THIS_MACHINE or parts.username):
                connected.starttls(context=context)
            if parts.username:
                connected.login(unquote(parts.username), unquote(parts.password or ""))
            yield connected
    except smtplib.SMTPAuthenticationError:
        raise ApplicationMisconfigured(
            f"The SMTP server refused the name or password of {setting}", provider=provider, operation=operation
        ) from None
    except smtplib.SMTPNotSupportedError:
        raise ApplicationMisconfigured(
            f"The SMTP server of {setting} offers no encryption (use STARTTLS, or smtps://), or cannot take an address"
            " like this one",
            provider=provider,
            operation=operation,
        ) from None
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
        code = _code_of(error)
        kind = Rejected if code >= 500 else Unavailable
        raise kind(f"The SMTP server refused the mail ({code})", provider=provider, operation=operation) from None
    except (smtplib.SMTPException, OSError) as error:
        raise Unavailable(
            f"The SMTP server does not answer ({type(error).__name__})", provider=provider, operation=operation
        ) from None


def _code_of(error: smtplib.SMTPException) -> int:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return max((refused[0] for refused in error.recipients.values()), default=0)
    return int(getattr(error, "smtp_code", 0))
