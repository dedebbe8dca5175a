"""Smart BCC: mail that people send to threadlink itself, over SMTP or LMTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.errors import SettingsError
from app.ports import Services
from app.reception import Serving
from connectors.mail.smart_bcc.connector import SmartBccConnector
from connectors.mail.smart_bcc.dns_lookup import SystemDns
from connectors.mail.smart_bcc.settings import load

if TYPE_CHECKING:
    from connectors.mail.smart_bcc.server import SmartBccServer


def create(services: Services) -> SmartBccConnector:
    """Build the connector, which reads what the mail server took. Raises SettingsError when a setting is wrong."""
    if services.database is None:
        raise SettingsError("Smart BCC keeps received mail in threadlink's database, and none was given.")
    settings = load(services.environ)
    return SmartBccConnector(
        services.database, services.clock, settings, services.mail_domain, SystemDns(settings.dns_timeout_s)
    )


def serve(serving: Serving) -> SmartBccServer:
    """Build the mail server. Raises SettingsError when a setting is wrong."""
    from connectors.mail.smart_bcc.server import SmartBccServer  # aiosmtpd, which only one process needs

    return SmartBccServer(serving)
