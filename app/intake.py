"""What our own mail server asks the core (reception.Reception): who may be written to, and whose the mail is."""

from __future__ import annotations

import hashlib
from base64 import b32encode

import structlog

from app import smart_bcc
from app.installation import Installation
from app.linking.mime import headers_of
from app.reception import ReceivedMail, Recipient
from app.store import queue, teams
from app.store import smart_bcc as rows

log = structlog.get_logger(__name__)


class Intake:
    """Takes mail for the members of every team."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def recipient(self, local_part: str) -> Recipient | None:
        """Return whose address this is."""
        database = self._installation.database
        with database.without_team() as connection:
            found = rows.address_by_hash(connection, smart_bcc.identified_by(local_part))
        if found is None:
            return None
        team_id, address_id = found
        with database.for_team(team_id) as connection:
            row = rows.address(connection, address_id)
        return Recipient(team_id, row.id, row.member_id, row.item) if row else None

    def member_who_sends(self, recipient: Recipient, author: str) -> int | None:
        """Return whose account takes the mail: a member's own address takes it for that member, whoever sends."""
        if recipient.member_id is not None:
            return recipient.member_id
        with self._installation.database.for_team(recipient.team_id) as connection:
            return rows.member_of_author(connection, author)

    def take(self, mail: ReceivedMail) -> None:
        """Store the mail for its account, and hint it in the same transaction."""
        with self._installation.database.for_team(mail.recipient.team_id) as connection:
            member = teams.member_by_id(connection, mail.member_id)
            if member is None:  # removed since the mail was taken: nobody is there who may read it
                log.warning("mail_of_nobody", team=mail.recipient.team_id)
                return
            account = smart_bcc.account_of(self._installation, connection, member)
            new = rows.receive(
                connection,
                account.team_id,
                account.id,
                _provider_id(mail),
                mail.recipient.item,
                raw=mail.raw,
                mail_from=mail.mail_from,
                peer=mail.peer,
                helo=mail.helo,
                received_at=mail.received_at,
                needs_proof=mail.recipient.is_public,
            )
            if new is not None:
                queue.hint(connection, account.provider, [(account.mailbox, str(new))], self._installation.clock.now())


def _provider_id(mail: ReceivedMail) -> str:
    """Name a mail by what it is: it may come again, because our answer was lost or by two ways, with other Received.

    The same is: to one address, of one Message-ID and author, with one body. Without a Message-ID the very bytes count.
    """
    named = [(name.lower(), value) for name, value in headers_of(mail.raw) if name.lower() in ("message-id", "from")]
    has_id = any(name == "message-id" for name, _ in named)
    same = mail.raw.partition(b"\r\n\r\n")[2] if has_id else mail.raw
    to_one = (mail.recipient.team_id, mail.recipient.address_id, *(value for each in sorted(named) for value in each))
    whole = hashlib.sha256(repr(to_one).encode("utf-8", "replace"))
    whole.update(hashlib.sha256(same).digest())
    return b32encode(whole.digest()[:16]).decode("ascii").lower().rstrip("=")
