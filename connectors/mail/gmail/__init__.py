"""Gmail, with Google's own client library; pushes come by Pub/Sub."""

from __future__ import annotations

from app.ports import Services
from connectors.mail.gmail.connector import GmailConnector
from connectors.mail.gmail.settings import load


def create(services: Services) -> GmailConnector:
    """Build the connector from the operator's settings. Raises SettingsError when one is wrong."""
    return GmailConnector(load(services.environ), services.public_base_url, services.clock)
