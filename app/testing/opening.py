"""Opening an adapter as threadlink does, by its entry point, without an installation around it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app import registry
from app.errors import SettingsError
from app.ports import Clock, CrmAdapter, CrmConnection, CrmConsent, Services
from app.testing.fakes import MemoryCredentials, SteppedClock


def open_crm(
    adapter: str,
    *,
    environ: Mapping[str, str] | None = None,
    secrets: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    company: str = "company",
    clock: Clock | None = None,
) -> CrmAdapter:
    """Open the CRM adapter that an installed package provides. Raises SettingsError when none does."""
    services = Services(clock or SteppedClock(), "https://threadlink.test", environ or {})
    connection = CrmConnection(
        id=1,
        team_id=1,
        public_id="00000000-0000-4000-8000-000000000001",
        adapter=adapter,
        company=company,
        credentials=MemoryCredentials(secrets or {}),
        settings=settings or {},
    )
    return registry.crm_adapter(services, connection)


def open_consent(adapter: str, *, environ: Mapping[str, str] | None = None, clock: Clock | None = None) -> CrmConsent:
    """Return how the CRM adapter that an installed package provides is connected. Raises SettingsError without that."""
    consent = registry.crm_consent(adapter, Services(clock or SteppedClock(), "https://threadlink.test", environ or {}))
    if consent is None:
        raise SettingsError(f"No entry point threadlink.crm_consent says how {adapter} is connected.")
    return consent
