"""Finds connectors, adapters and simulators by entry point; the built-in ones come in through the same door.

Groups: `threadlink.mail` (create(Services) -> MailConnector), `threadlink.crm` (create(Services, CrmConnection) ->
CrmAdapter), `threadlink.crm_consent` (consent(Services) -> CrmConsent, for a CRM that is connected in the browser or
with a token), `threadlink.crm_panel` (panel(Services) -> CrmPanel, for a CRM that shows one of ours in its pages),
`threadlink.mail_servers` (serve(Serving) -> MailServer, for mail that is sent to us), `threadlink.webhooks`
(create(Services, allowed_urls) -> WebhookSender, the one that calls teams' webhooks), and a class without arguments for
demo and tests: `threadlink.simulators` (SimulatedMail) and `threadlink.crm_simulators` (SimulatedCrm).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.metadata import EntryPoints, entry_points
from typing import Any, cast

from app.errors import SettingsError
from app.ports import (
    CrmAdapter,
    CrmConnection,
    CrmConsent,
    CrmPanel,
    MailConnector,
    Services,
    SimulatedCrm,
    SimulatedMail,
    WebhookSender,
)
from app.reception import MailServer, Serving

MAIL, CRM, CRM_CONSENT = "threadlink.mail", "threadlink.crm", "threadlink.crm_consent"
CRM_PANEL = "threadlink.crm_panel"
WEBHOOKS = "threadlink.webhooks"
MAIL_SERVERS = "threadlink.mail_servers"
SIMULATORS, CRM_SIMULATORS = "threadlink.simulators", "threadlink.crm_simulators"


def names(group: str) -> tuple[str, ...]:
    """Return the installed names of a group, sorted."""
    return tuple(sorted(_points(group).names))


def mail_connector(provider: str, services: Services) -> MailConnector:
    """Build the connector of a provider. Raises SettingsError when no package provides it."""
    return cast("MailConnector", _load(MAIL, provider)(services))


def mail_server(name: str, serving: Serving) -> MailServer:
    """Build a mail server. Raises SettingsError when no package provides it, or when it is set up wrong."""
    return cast("MailServer", _load(MAIL_SERVERS, name)(serving))


def crm_adapter(services: Services, connection: CrmConnection) -> CrmAdapter:
    """Open a team's CRM. Raises SettingsError when no package provides the adapter."""
    return cast("CrmAdapter", _load(CRM, connection.adapter)(services, connection))


def crm_consent(adapter: str, services: Services) -> CrmConsent | None:
    """Return how a CRM is connected; None for one that needs no consent. Raises SettingsError for wrong settings."""
    if adapter not in names(CRM_CONSENT):
        return None
    return cast("CrmConsent", _load(CRM_CONSENT, adapter)(services))


def webhook_sender(services: Services, allowed_urls: Sequence[str]) -> WebhookSender:
    """Build what calls teams' webhooks, besides public addresses at these origins."""
    return cast("WebhookSender", _load(WEBHOOKS, "sender")(services, allowed_urls))


def crm_panel(adapter: str, services: Services) -> CrmPanel:
    """Build a CRM's panel. Raises SettingsError for wrong settings."""
    return cast("CrmPanel", _load(CRM_PANEL, adapter)(services))


def simulator(provider: str) -> SimulatedMail:
    """Make a simulated provider, not started. Raises SettingsError when there is none."""
    return cast("SimulatedMail", _load(SIMULATORS, provider)())


def crm_simulator(adapter: str) -> SimulatedCrm:
    """Make a simulated CRM, not started. Raises SettingsError when there is none."""
    return cast("SimulatedCrm", _load(CRM_SIMULATORS, adapter)())


def _load(group: str, name: str) -> Any:
    if name not in _points(group).names:
        installed = ", ".join(names(group)) or "nothing"
        raise SettingsError(f"No package provides {name!r} for {group}; installed: {installed}.")
    return _points(group)[name].load()


@cache
def _points(group: str) -> EntryPoints:
    """Return what is installed; to look goes through the files of every package, and a CRM is opened for every note."""
    return entry_points(group=group)
