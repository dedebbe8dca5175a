"""The embedded CRM: persons, organizations, deals, leads and projects in threadlink's own PostgreSQL; the default."""

from __future__ import annotations

from app.errors import SettingsError
from app.ports import CrmConnection, Services
from connectors.crm.embedded.adapter import EmbeddedCrm


def create(services: Services, connection: CrmConnection) -> EmbeddedCrm:
    """Open a team's embedded CRM. Raises SettingsError without a database."""
    if services.database is None:
        raise SettingsError("The embedded CRM lives in threadlink's database, and none was given.")
    return EmbeddedCrm(services.database, services.clock, connection)
