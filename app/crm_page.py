"""What the administrators' page of the CRM shows: what is connected, how it is doing, and what could be connected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.connecting_crm import EMBEDDED
from app.doctor import crm_findings
from app.installation import Installation
from app.store import crm, crm_connections, mirror
from app.store.crm_connections import DISCONNECTED, Owed
from app.store.mirror import Age


@dataclass(frozen=True, slots=True)
class ConnectedCrm:
    """The CRM that is connected; `troubles` are the doctor's codes, `settings` hold nothing secret."""

    adapter: str
    company: str
    state: str
    settings: Mapping[str, Any]
    age: Age
    webhooks_at: datetime | None
    left_alone_until: datetime | None
    failures: int
    owed: Owed
    troubles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Connectable:
    """A CRM that could be connected; no options and no browser: it needs nothing but a yes."""

    adapter: str
    by_browser: bool
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CrmPage:
    """What the page shows; what was connected before stands among its links and mirror alone."""

    connected: ConnectedCrm | None
    connectable: tuple[Connectable, ...]


def show(installation: Installation, connection: sa.Connection) -> CrmPage:
    """Return what an administrator is shown."""
    now = installation.clock.now()
    row = next((each for each in crm.connections(connection) if each.state != DISCONNECTED), None)
    connectable = [
        Connectable(adapter, consent.by_browser, consent.options)
        for adapter, consent in sorted(installation.consents.items())
    ]
    return CrmPage(
        None if row is None else _connected(connection, row, now),
        (Connectable(EMBEDDED, False, {}), *connectable),
    )


def _connected(connection: sa.Connection, row: sa.Row[Any], now: datetime) -> ConnectedCrm:
    is_left_alone = row.throttled_until is not None and row.throttled_until > now
    return ConnectedCrm(
        adapter=row.adapter,
        company=row.company,
        state=row.state,
        settings={
            name: value for name, value in sorted(row.settings.items()) if isinstance(value, str | int) and value
        },
        age=mirror.age(connection, row.id),
        webhooks_at=row.subscribed_at,
        left_alone_until=row.throttled_until if is_left_alone else None,
        failures=row.failures,
        owed=crm_connections.owed(connection, row.id),
        troubles=tuple(finding.code for finding in crm_findings(connection, now)),
    )
