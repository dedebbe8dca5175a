"""Reads a mail again where it lies, when somebody looks: to show its HTML, to save an attachment, to open it there.

It is judged by the same copy whose text the member may read, and read with the access of that copy's account. The
provider is asked outside of any transaction.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from app.acting import see_one
from app.errors import AccessRevoked, Gone, NotFound, Unsupported
from app.installation import Installation
from app.linking import original as mails
from app.linking.original import Original
from app.model import Account, Copy, Member
from app.ports import Mailbox, OriginalMail


@dataclass(frozen=True, slots=True)
class Place:
    """Where a mail lies that a member may read."""

    account: Account
    copy: Copy


@dataclass(frozen=True, slots=True)
class File:
    """An attachment, with a name that it may be saved by."""

    name: str
    content: bytes


def place(connection: sa.Connection, member: Member, conversation: str, message: str, *, own: bool = False) -> Place:
    """Return the copy through which a member reads a message, or with `own` the one in an account of the member's.

    Raises NotFound where there is none.
    """
    seen = see_one(connection, member, conversation)
    found = next((each for each in seen.conversation.messages if each.public_id == message), None)
    if found is None:
        raise NotFound
    copy = seen.own_copy_of(found) if own else seen.copy_of(found)
    account = next((each for each in seen.accounts if copy is not None and each.id == copy.account_id), None)
    if copy is None or account is None:
        raise NotFound
    return Place(account, copy)


def read(installation: Installation, where: Place) -> Original:
    """Return what to show of the mail. Raises ProviderError."""
    return mails.read(_fetch(installation, where))


def attachment(installation: Installation, where: Place, number: int) -> File:
    """Return an attachment by its place among those of the copy. Raises ProviderError, NotFound."""
    described = where.copy.attachments
    if not 0 <= number < len(described):
        raise NotFound
    content = mails.file_of(_fetch(installation, where), described, number)
    if content is None:
        raise Gone(provider=where.account.provider, operation="attachment")
    return File(mails.file_name(described[number].name), content)


def web_url(installation: Installation, where: Place) -> str:
    """Return where the owner of the account reads the mail in a browser. Raises ProviderError."""
    connector, mailbox = _access(installation, where)
    return connector.web_url(mailbox, where.copy.provider_id)


def _fetch(installation: Installation, where: Place) -> bytes:
    connector, mailbox = _access(installation, where)
    return connector.fetch_original(mailbox, where.copy.provider_id)


def _access(installation: Installation, where: Place) -> tuple[OriginalMail, Mailbox]:
    account = where.account
    connector: object = installation.mail.get(account.provider)
    if not isinstance(connector, OriginalMail):
        raise Unsupported("This mail lies in no mailbox that can be read again.", provider=account.provider)
    if account.state == "disconnected":
        raise AccessRevoked(provider=account.provider, operation="original")
    return connector, Mailbox(account, installation.credentials_of(account))
