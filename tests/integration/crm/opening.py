"""Opens embedded CRMs in a test database."""

from __future__ import annotations

from app.ports import Clock, CrmConnection, Services
from app.store import crm
from app.store.database import Database
from app.testing.fakes import MemoryCredentials, SteppedClock
from connectors.crm.embedded import create
from connectors.crm.embedded.adapter import EmbeddedCrm


def open_connection(
    database: Database, team_id: int, adapter: str = "embedded", company: str = "acme"
) -> CrmConnection:
    """Add a CRM connection to a team and return what an adapter is opened with."""
    with database.for_team(team_id) as connection:
        row = crm.connection_row(connection, crm.add_connection(connection, team_id, adapter, company))
        assert row is not None
        return crm.as_connection(row, MemoryCredentials({}))


def open_embedded(database: Database, connection: CrmConnection, clock: Clock | None = None) -> EmbeddedCrm:
    """Open the embedded CRM of a connection."""
    services = Services(clock or SteppedClock(), "https://threadlink.test", {}, database)
    return create(services, connection)
