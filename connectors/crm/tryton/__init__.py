"""Tryton: parties, sale opportunities and projects of a Tryton 8 server, over its JSON-RPC."""

from __future__ import annotations

from app.ports import CrmConnection, Services
from connectors.crm.tryton import settings
from connectors.crm.tryton.adapter import TrytonCrm
from connectors.crm.tryton.auth import TrytonConsent, TrytonSession, place


def create(services: Services, connection: CrmConnection) -> TrytonCrm:
    """Open a team's Tryton; nothing is asked of it yet. Raises SettingsError."""
    where = place(connection.settings)
    session = TrytonSession(where, settings.load(services.environ), services.clock, connection.credentials)
    return TrytonCrm(session, where, connection.id)


def consent(services: Services) -> TrytonConsent:
    """Say how a Tryton is connected. Raises SettingsError for wrong settings."""
    return TrytonConsent(settings.load(services.environ), services.clock)
