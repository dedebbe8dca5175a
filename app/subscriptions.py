"""Keeps pushes alive: registrations are renewed well before they end, and own addresses follow the provider's."""

from __future__ import annotations

from datetime import timedelta

from app.crash_points import crash_point
from app.errors import Unsupported
from app.installation import Installation
from app.ports import Mailbox, MailConnector, Subscription
from app.store import accounts

ASK_POLLED_AFTER = timedelta(days=1)


def renew(installation: Installation, team_id: int, account_id: int) -> None:
    """Create or renew an account's subscription and read its own addresses again.

    The cursor is not touched. Raises the connector's ProviderError.
    """
    with installation.database.for_team(team_id) as connection:
        account = accounts.account_by_id(connection, account_id)
    if account is None or account.state not in accounts.WORKING_STATES:
        return
    connector = installation.mail[account.provider]
    mailbox = Mailbox(account, installation.credentials_of(account))
    subscription = _subscribed(installation, connector, mailbox)
    crash_point("renew.subscribed")
    addresses = connector.own_addresses(mailbox)
    with installation.database.for_team(team_id) as connection:
        if subscription is not None:
            accounts.set_subscription(connection, account_id, subscription)
        accounts.set_own_addresses(connection, account_id, addresses)
        if account.state == "connecting":
            accounts.set_state(connection, account_id, "live", installation.clock.now())


def _subscribed(installation: Installation, connector: MailConnector, mailbox: Mailbox) -> Subscription | None:
    """Register for pushes; a mailbox that is only polled is asked about again tomorrow, and is not in trouble."""
    if not connector.capabilities.subscriptions:
        return None
    try:
        return connector.subscribe(mailbox)
    except Unsupported:
        until_renewal = timedelta(seconds=connector.capabilities.subscription_renew_before_s)
        return Subscription("", installation.clock.now() + until_renewal + ASK_POLLED_AFTER)
