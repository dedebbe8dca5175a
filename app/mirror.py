"""Keeps the local copy of a CRM fresh: what changed since the cursor, one transaction a page, the cursor last.

Decisions read the mirror and never the CRM, so a conversation costs no CRM call.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import sqlalchemy as sa

from app.errors import Conflict, CursorExpired
from app.ports import Clock, CrmAdapter, CrmChanges, CrmConnection
from app.store import mirror as rows
from app.store import mirror_pages as pages
from app.store.database import Database
from app.store.mirror import Changed

Follow = Callable[[sa.Connection, Changed], None]


def refresh_if_stale(
    database: Database,
    adapter: CrmAdapter,
    crm: CrmConnection,
    clock: Clock,
    *,
    max_age_s: float,
    follow: Follow | None = None,
) -> Changed | None:
    """Refresh a mirror that is older than allowed; None when it is fresh enough. See refresh()."""
    with database.for_team(crm.team_id) as connection:
        refreshed_at = rows.age(connection, crm.id).refreshed_at
    if refreshed_at is not None and clock.now() - refreshed_at < timedelta(seconds=max_age_s):
        return None
    return refresh(database, adapter, crm, clock, follow=follow)


def refresh(
    database: Database, adapter: CrmAdapter, crm: CrmConnection, clock: Clock, *, follow: Follow | None = None
) -> Changed:
    """Read what changed in the CRM since the cursor, and return it: the mirror is then as new as the call.

    `follow` is called for each page in the transaction that writes it, so a crash never loses what links must follow.
    Several workers may refresh at once: who finds that another moved the cursor goes on from there. Raises the
    adapter's ProviderError, and Conflict when the connection now leads to another company (T8).
    """
    _refuse_other_company(adapter, crm)
    started_at = clock.now()
    changed = Changed()
    may_start_over = True
    while True:
        with database.for_team(crm.team_id) as connection:
            cursor = rows.age(connection, crm.id).cursor
        try:
            for page in adapter.changes_since(cursor):
                found = _write(database, crm, page, cursor, follow)
                if found is None:
                    break
                changed, cursor = changed.then(found), page.cursor
            else:
                with database.for_team(crm.team_id) as connection:
                    pages.refreshed(connection, crm, started_at)
                return changed
        except CursorExpired:
            if cursor is None or not may_start_over:
                raise
            may_start_over = False
            with database.for_team(crm.team_id) as connection:
                pages.lock(connection, crm.id)
                pages.forget_cursor(connection, crm)


def _write(
    database: Database, crm: CrmConnection, page: CrmChanges, read_from: str | None, follow: Follow | None
) -> Changed | None:
    """Write one page, unless the cursor is no longer where the page was read from: its records may be old by now."""
    with database.for_team(crm.team_id) as connection:
        if pages.lock(connection, crm.id).cursor != read_from:
            return None
        changed = pages.write(connection, crm, page)
        if follow is not None:
            follow(connection, changed)
    return changed


def _refuse_other_company(adapter: CrmAdapter, crm: CrmConnection) -> None:
    if adapter.who_am_i().company != crm.company:
        raise Conflict("other_company", "This CRM connection leads to another company: add it as a new connection.")
