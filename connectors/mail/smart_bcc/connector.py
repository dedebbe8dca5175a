"""Smart BCC as a MailConnector: the mailbox is what our own mail server took for a member.

The cursor is the id of the last row that was listed; the server makes ids rise in the order of its commits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NoReturn

import sqlalchemy as sa

from app.errors import MailUnreadable, NotificationForged, ProviderError, Rejected, Unavailable, Unsupported
from app.linking import text
from app.linking.authenticity import verdict
from app.linking.mime import headers_of
from app.model import Account, Handshake, ItemRef, Notification, ProviderMessage
from app.ports import (
    Authorization,
    Change,
    ChangePage,
    Clock,
    ConnectedMailbox,
    Database,
    FailedMessage,
    Fetched,
    FetchOutcome,
    FilteredMessage,
    GoneMessage,
    Mailbox,
    MailCapabilities,
    MailFolder,
    PushRequest,
    Subscription,
)
from connectors.mail.smart_bcc.authenticity import Checked, Envelope, check
from connectors.mail.smart_bcc.dns_lookup import Dns, LookupFailed
from connectors.mail.smart_bcc.reading import Held, Known, Received, author_of, interpret, references_of
from connectors.mail.smart_bcc.settings import SmartBccSettings, is_within

PROVIDER = "smart_bcc"
PAGE_SIZE = 500
FOR_EVER = timedelta(days=3650)
RENEW_BEFORE_S = 86_400
HELD = "held_back"
DNS_PATIENCE = timedelta(hours=1)  # less than after how long a message that cannot be read is given up
_NO_CONSENT = "Smart BCC needs no mailbox: mail is sent to the addresses that the preferences show."

_PAGE = sa.text(
    "SELECT id, provider_id FROM received_mail WHERE account_id = :account AND id > :after ORDER BY id LIMIT :limit"
)
_SINCE = sa.text(
    "SELECT provider_id FROM received_mail WHERE account_id = :account AND received_at >= :since ORDER BY id"
)
_ROWS = sa.text(
    """
    SELECT provider_id, connection_id, kind, external_id, mail_from, peer, helo, raw, received_at,
           released_by IS NOT NULL AS is_released, needs_proof
    FROM received_mail WHERE account_id = :account AND provider_id = ANY(:ids)
    """
)
_KNOWN = sa.text("SELECT address, unsigned FROM threadlink_known_addresses() WHERE member_id = :member")
_KEPT = sa.text(
    """
    SELECT DISTINCT m.mid_hash FROM message m
    JOIN message_copy c ON c.team_id = m.team_id AND c.message_id = m.id
    JOIN account a ON a.team_id = c.team_id AND a.id = c.account_id
    WHERE m.mid_hash = ANY(:hashes) AND a.owner_id = :member
    """
)
_HOLD_BACK = sa.text(
    "UPDATE received_mail SET held_why = :why, held_from = :author, held_subject = :subject"
    " WHERE account_id = :account AND provider_id = :provider_id"
)


class SmartBccConnector:
    """Reads what the mail server took, and judges who sent it. Raises only errors of app.errors."""

    provider = PROVIDER

    def __init__(self, database: Database, clock: Clock, settings: SmartBccSettings, domain: str, dns: Dns) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._domain = domain
        self._dns = dns
        self.capabilities = MailCapabilities(
            batch_size=10,
            subscription_renew_before_s=RENEW_BEFORE_S,
            authserv_id=settings.front or domain or None,
            missing={"consent": "Nobody connects it: mail is sent to its addresses."},
        )

    # --- what there is no provider for ---

    def read_push(self, request: PushRequest) -> list[Notification] | Handshake:
        """Refuse: our own server hints in the transaction that stores the mail."""
        raise NotificationForged

    def authorize(self, redirect_uri: str, state: str, login_hint: str | None) -> Authorization:
        """Refuse: there is nothing to consent to."""
        self._no_consent()

    def connect(self, redirect_uri: str, args: Mapping[str, str], kept: Mapping[str, str]) -> ConnectedMailbox:
        """Refuse: there is nothing to consent to."""
        self._no_consent()

    def disconnect(self, mailbox: Mailbox, *, last: bool) -> None:
        """Do nothing: a disconnected account's address is unknown from now on."""

    def subscribe(self, mailbox: Mailbox) -> Subscription:
        """Say that hints come as long as the account stands."""
        return Subscription(PROVIDER, self._clock.now() + FOR_EVER)

    def own_addresses(self, mailbox: Mailbox) -> frozenset[str]:
        """Return what the account has: its addresses come with the team's name in them, and change by themselves."""
        return mailbox.account.own_addresses

    def list_folders(self, mailbox: Mailbox) -> Sequence[MailFolder]:
        """Refuse: what is sent to us lies in no folder."""
        raise Unsupported("What is sent to a Smart BCC address lies in no folder.", provider=PROVIDER)

    # --- what was taken ---

    def list_changes(self, mailbox: Mailbox, cursor: str | None, until: str | None = None) -> Iterator[ChangePage]:
        """Yield what was taken since the cursor; everything without one."""
        after = int(cursor or 0)
        while True:
            with self._database.transaction(mailbox.account.team_id) as connection:
                asked = {"account": mailbox.account.id, "after": after, "limit": PAGE_SIZE}
                found = connection.execute(_PAGE, asked).all()
            after = found[-1].id if found else after
            yield ChangePage(tuple(Change(row.provider_id) for row in found), str(after))
            if len(found) < PAGE_SIZE:
                return

    def recover(self, mailbox: Mailbox, since: datetime) -> Iterator[ChangePage]:
        """Yield everything there is."""
        return self.list_changes(mailbox, None)

    def list_window(self, mailbox: Mailbox, since: datetime) -> Iterator[tuple[Change, ...]]:
        """Yield what was taken since a moment."""
        with self._database.transaction(mailbox.account.team_id) as connection:
            asked = {"account": mailbox.account.id, "since": since}
            yield tuple(Change(provider_id) for provider_id in connection.execute(_SINCE, asked).scalars())

    def fetch(self, mailbox: Mailbox, provider_ids: Sequence[str]) -> list[FetchOutcome]:
        """Judge each mail: who sent it, and what it is. What is held back waits for its member to release it."""
        account = mailbox.account
        with self._database.transaction(account.team_id) as connection:
            rows = connection.execute(_ROWS, {"account": account.id, "ids": list(provider_ids)}).all()
            mails = {row.provider_id: _received(account.id, row) for row in rows}
            unsigned = {row.address: row.unsigned for row in connection.execute(_KNOWN, {"member": account.owner_id})}
            answered = {each: _hashes_of(mail) for each, mail in mails.items()}
            asked = {"hashes": list(frozenset().union(*answered.values())), "member": account.owner_id}
            kept = frozenset(bytes(found) for found in connection.execute(_KEPT, asked).scalars())
        known = Known(unsigned, self._domain)
        read = {each: self._read(mail, known, not kept.isdisjoint(answered[each])) for each, mail in mails.items()}
        self._hold_back(account, {each: found for each, found in read.items() if isinstance(found, Held)})
        return [_outcome(each, read.get(each)) for each in provider_ids]

    def _read(self, mail: Received, known: Known, answers_known: bool) -> ProviderMessage | Held | ProviderError:
        try:
            checked = self._check(mail, headers_of(mail.raw))
        except LookupFailed:
            if self._clock.now() - mail.received_at < DNS_PATIENCE:
                return Unavailable(provider=PROVIDER, operation="dns")
            checked = Checked("", is_proven=False)  # its member may say what nobody else does
        try:
            return interpret(mail, known, checked, answers_known=answers_known)
        except MailUnreadable:
            return Rejected(provider=PROVIDER, operation="read")

    def _check(self, mail: Received, headers: Sequence[tuple[str, str]]) -> Checked:
        """Ask the DNS who sent a mail, unless a server of the operator's own knows."""
        author = author_of(headers)
        if self._settings.front:
            written = [value for name, value in headers if name.lower() == "authentication-results"]
            found = verdict(written, [author], in_sent=False, authserv_id=self._settings.front)
            return Checked(written[0] if written and found != "none" else "", found == "pass")
        if is_within(mail.peer, self._settings.trusted_networks):
            return Checked("", is_proven=True)
        envelope = Envelope(mail.mail_from, mail.peer, mail.helo)
        return check(mail.raw, author, envelope, authserv_id=self._domain, dns=self._dns)

    def _hold_back(self, account: Account, held: Mapping[str, Held]) -> None:
        if not held:
            return
        shown = [
            {
                "account": account.id,
                "provider_id": provider_id,
                "why": each.why,
                "author": each.author[:320],
                "subject": text.one_line(text.decode_words(each.subject[:4_000]), 255),
            }
            for provider_id, each in held.items()
        ]
        with self._database.transaction(account.team_id) as connection:
            connection.execute(_HOLD_BACK, shown)

    def _no_consent(self) -> NoReturn:
        raise Unsupported(_NO_CONSENT, provider=PROVIDER, operation="connect")


def _received(account_id: int, row: sa.Row[Any]) -> Received:
    item = ItemRef(row.kind, row.external_id, row.connection_id) if row.kind else None
    return Received(
        account_id,
        row.provider_id,
        bytes(row.raw),
        row.mail_from,
        row.peer,
        row.helo,
        row.received_at,
        item,
        row.is_released,
        row.needs_proof,
    )


def _hashes_of(mail: Received) -> frozenset[bytes]:
    """Return the Message-IDs that a mail refers to, as messages are stored by them."""
    references = references_of(headers_of(mail.raw))
    return frozenset(hashlib.sha256(text.storable(each).encode()).digest() for each in references)


def _outcome(provider_id: str, read: ProviderMessage | Held | ProviderError | None) -> FetchOutcome:
    if read is None:
        return GoneMessage(provider_id)
    if isinstance(read, ProviderError):
        return FailedMessage(provider_id, read)
    return FilteredMessage(provider_id, HELD) if isinstance(read, Held) else Fetched(provider_id, read)
