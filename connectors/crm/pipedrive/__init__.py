"""Pipedrive by its API v2 (v1 where v2 has nothing): people, deals, leads, projects, and notes on them."""

from __future__ import annotations

from app.ports import CrmConnection, Services
from connectors.crm.pipedrive.adapter import PipedriveCrm
from connectors.crm.pipedrive.consent import PipedriveConsent
from connectors.crm.pipedrive.panel import PipedrivePanel
from connectors.crm.pipedrive.settings import load


def create(services: Services, connection: CrmConnection) -> PipedriveCrm:
    """Open a team's Pipedrive. Raises SettingsError when a setting is wrong."""
    return PipedriveCrm(load(services.environ), services.clock, connection, services.public_base_url)


def consent(services: Services) -> PipedriveConsent:
    """Return how Pipedrive is connected: in the browser with an app of yours, or with an API token."""
    return PipedriveConsent(load(services.environ), services.clock)


def panel(services: Services) -> PipedrivePanel:
    """Return the panel that Pipedrive shows beside a deal, a person or an organization."""
    return PipedrivePanel(load(services.environ), services.clock)
