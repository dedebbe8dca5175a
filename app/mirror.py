"""The local copy of a CRM: brought up to date by what changed since last time, page by page, cursor last.

Decisions read the mirror and never the CRM, so a conversation costs no CRM call.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from app.errors import Conflict
from app.model import Item
from app.ports import Clock, CrmAdapter, CrmChanges, CrmConnection
from app.store import mirror as rows
from app.store.database import Database
from app.store.mirror import Changed


def refresh_if_stale(
    database: Database, adapter: CrmAdapter, crm: CrmConnection, clock: Clock, *, max_age_s: float
) -> Changed | None:
    """Refresh a mirror that is older than allowed; None when it is fresh enough or another worker refreshes it.

    Raises the adapter's ProviderError, and Conflict when the connection now leads to another company (T8).
    """
    with database.for_team(crm.team_id) as connection:
        age = rows.age(connection, crm.id)
    if age.refreshed_at is not None and clock.now() - age.refreshed_at < timedelta(seconds=max_age_s):
        return None
    return refresh(database, adapter, crm, clock)


def refresh(database: Database, adapter: CrmAdapter, crm: CrmConnection, clock: Clock) -> Changed | None:
    """Read what changed in the CRM since the cursor, one transaction a page; None when another worker does."""
    company = adapter.who_am_i().company
    if company != crm.company:
        raise Conflict("other_company", "This CRM connection leads to another company: add it as a new connection.")
    changed = Changed()
    with database.for_team(crm.team_id) as holding:
        if not rows.lock(holding, crm.id):
            return None
        cursor = rows.age(holding, crm.id).cursor
        started_at = clock.now()
        for page in adapter.changes_since(cursor):
            with database.for_team(crm.team_id) as connection:
                _write(connection, crm, page, changed, clock.now())
            cursor = page.cursor
        with database.for_team(crm.team_id) as connection:
            rows.advance(connection, crm, cursor, started_at)
    return changed


def _write(connection: sa.Connection, crm: CrmConnection, page: CrmChanges, changed: Changed, now: datetime) -> None:
    before = rows.items(connection, [item.ref for item in page.items])
    rows.put_organizations(connection, crm, page.organizations, now)
    rows.put_persons(connection, crm, page.persons, now)
    rows.put_items(connection, crm, page.items)
    rows.put_merges(connection, crm, page.merges)
    rows.advance(connection, crm, page.cursor, None)
    for item in page.items:
        _compare(before.get(item.ref), item, changed)
    merged = {merge.gone for merge in page.merges}
    changed.deleted |= {person.ref for person in page.persons if person.deleted and person.ref not in merged}
    changed.restored |= {person.ref for person in page.persons if not person.deleted}
    changed.deleted |= {each.ref for each in page.organizations if each.deleted}
    changed.restored |= {each.ref for each in page.organizations if not each.deleted}
    changed.merges += page.merges
    changed.records += len(page.items) + len(page.persons) + len(page.organizations)


def _compare(before: Item | None, now: Item, changed: Changed) -> None:
    if now.state == "deleted":
        changed.deleted.add(now.ref)
        changed.restored.discard(now.ref)
    elif before is not None and before.state == "deleted":
        changed.restored.add(now.ref)
        changed.deleted.discard(now.ref)
