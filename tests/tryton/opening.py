"""Opens the adapter on the running Tryton."""

from __future__ import annotations

from app.ports import CrmConnection, Services
from app.testing.fakes import MemoryCredentials, SteppedClock
from connectors.crm.tryton import create
from connectors.crm.tryton.adapter import TrytonCrm
from tests.tryton.rpc import DATABASE
from tests.tryton.server import RELATION, USER, USER_PASSWORD, TrytonServer


def credentials() -> MemoryCredentials:
    """Return the secrets of a new connection."""
    return MemoryCredentials({"login": USER, "password": USER_PASSWORD})


def services(server: TrytonServer) -> Services:
    """Return services whose operator vouches for the server."""
    return Services(SteppedClock(), "https://threadlink.test", {"TRYTON_ALLOWED_URLS": server.url})


def open_tryton(
    server: TrytonServer, secrets: MemoryCredentials | None = None, *, relation: str = RELATION
) -> TrytonCrm:
    """Open the adapter as threadlink's user."""
    settings = {"url": server.url, "database": DATABASE, "organization_relation": relation}
    connection = CrmConnection(1, 1, "crm-1", "tryton", "northwind", secrets or credentials(), settings)
    return create(services(server), connection)
