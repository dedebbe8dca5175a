"""What every part of a running process shares: settings, database, secrets, clock, connectors and adapters.

bootstrap.py fills it; tests fill it with their own. Nothing here chooses an implementation.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import sqlalchemy as sa

from app.model import Account
from app.oidc import OpenIdClient
from app.ports import Clock, Credentials, CrmAdapter, CrmConnection, CrmConsent, CrmPanel, MailConnector, WebhookSender
from app.settings import Settings
from app.store import crm
from app.store.database import Database
from app.store.secrets import AccountCredentials, ConnectionCredentials, SecretBox


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current time in UTC."""
        return datetime.now(UTC)


@dataclass(frozen=True)
class Installation:
    """One process' view of threadlink."""

    settings: Settings
    database: Database
    secrets: SecretBox
    clock: Clock
    mail: Mapping[str, MailConnector]
    open_crm: Callable[[CrmConnection], CrmAdapter]
    consents: Mapping[str, CrmConsent] = field(default_factory=dict)  # of the CRMs that need one
    issuers: Mapping[str, OpenIdClient] = field(default_factory=dict)  # with which people sign in
    webhooks: WebhookSender | None = None  # None: nobody is told anything
    # What only this installation knows, the same in all its processes; one made up where none is given.
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    panels: Mapping[str, CrmPanel] = field(default_factory=dict)  # of the CRMs that show one of ours

    def due(self, at: datetime) -> datetime:
        """Return when the machine's clock, by which jobs are scheduled, shows a moment of this installation's clock."""
        return SystemClock().now() + (at - self.clock.now())

    def credentials_of(self, account: Account) -> Credentials:
        """Return the secrets of an account, encrypted at rest."""
        return AccountCredentials(self.database, self.secrets, account.team_id, account.id)

    def crm_connections(self, team_id: int) -> list[CrmConnection]:
        """Return a team's CRM connections with their secrets, oldest first, without those that were ended."""
        with self.database.for_team(team_id) as connection:
            return self.crm_connections_in(connection)

    def crm_connections_in(self, connection: sa.Connection) -> list[CrmConnection]:
        """Return the CRM connections of the team whose transaction this is, as crm_connections() does."""
        return [self.crm_connection(row) for row in crm.connections(connection) if row.state != "disconnected"]

    def crm_connection(self, row: sa.Row[object]) -> CrmConnection:
        """Make what an adapter is opened with from its row."""
        return crm.as_connection(row, ConnectionCredentials(self.database, self.secrets, row.team_id, row.id))
