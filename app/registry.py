"""Finds connectors, adapters and simulators by entry point; the built-in ones come in through the same door.

Groups: `threadlink.mail` (create(Services) -> MailConnector), `threadlink.crm` (create(Services, CrmConnection) ->
CrmAdapter) and `threadlink.simulators` (a class without arguments -> SimulatedMail).
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any, cast

from app.errors import SettingsError
from app.ports import CrmAdapter, CrmConnection, MailConnector, Services, SimulatedMail

MAIL, CRM, SIMULATORS = "threadlink.mail", "threadlink.crm", "threadlink.simulators"


def names(group: str) -> tuple[str, ...]:
    """Return the installed names of a group, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=group)}))


def mail_connector(provider: str, services: Services) -> MailConnector:
    """Build the connector of a provider. Raises SettingsError when no package provides it."""
    return cast("MailConnector", _load(MAIL, provider)(services))


def crm_adapter(services: Services, connection: CrmConnection) -> CrmAdapter:
    """Open a team's CRM. Raises SettingsError when no package provides the adapter."""
    return cast("CrmAdapter", _load(CRM, connection.adapter)(services, connection))


def simulator(provider: str) -> SimulatedMail:
    """Make a simulated provider, not started. Raises SettingsError when there is none."""
    return cast("SimulatedMail", _load(SIMULATORS, provider)())


def _load(group: str, name: str) -> Any:
    found = [point for point in entry_points(group=group) if point.name == name]
    if not found:
        installed = ", ".join(names(group)) or "nothing"
        raise SettingsError(f"No package provides {name!r} for {group}; installed: {installed}.")
    return found[0].load()
