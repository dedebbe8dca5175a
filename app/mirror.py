"""Keeps the local copy of a CRM fresh: what changed since the cursor, one transaction a page, the cursor last.

Decisions read the mirror and never the CRM, so a conversation costs no CRM call.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from app.errors import Conflict, CursorExpired
from app.model import ItemRef
from app.ports import Clock, CrmAdapter, CrmChanges, CrmConnection, CrmDirectory, CrmRereading
from app.store import crm_connections
from app.store import mirror as rows
from app.store import mirror_pages as pages
from app.store.database import Database
from app.store.mirror import Changed

Follow = Callable[[sa.Connection, Changed], None]

READ_AT_ONCE = 100  # records read again with one call
# An address that the CRM knew nobody with is asked about again after a week; a run asks about so many at most.
UNKNOWN_FOR = timedelta(days=7)
MOST_LOOKED_UP = 20
USERS_FOR = timedelta(days=1)


def refresh_if_stale(
    database: Database,
    adapter: CrmAdapter,
    crm: CrmConnection,
    clock: Clock,
    *,
    max_age_s: float,
    follow: Follow | None = None,
    until: datetime | None = None,
) -> Changed | None:
    """Refresh a mirror that is older than allowed; None when it is fresh enough. See refresh()."""
    with database.for_team(crm.team_id) as connection:
        refreshed_at = rows.age(connection, crm.id).refreshed_at
    if refreshed_at is not None and clock.now() - refreshed_at < timedelta(seconds=max_age_s):
        return None
    return refresh(database, adapter, crm, clock, follow=follow, until=until)


def refresh(
    database: Database,
    adapter: CrmAdapter,
    crm: CrmConnection,
    clock: Clock,
    *,
    follow: Follow | None = None,
    until: datetime | None = None,
) -> Changed:
    """Read what changed in the CRM since the cursor, and return it: the mirror is then as new as the call.

    With `until`, it stops after the page at hand at that time, and the next call goes on from there. `follow` is called
    for each page in the transaction that writes it, so a crash never loses what links must follow. Several workers may
    refresh at once: who finds that another moved the cursor goes on from there. Raises the adapter's ProviderError, and
    Conflict when the connection now leads to another company (T8).
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
                found = _write(database, crm, page, cursor, follow, moves_at=started_at)
                if found is None:
                    break
                changed, cursor = changed.then(found), page.cursor
                if until is not None and clock.now() >= until:
                    return changed
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


def read_named(database: Database, adapter: CrmAdapter, crm: CrmConnection, *, follow: Follow | None = None) -> Changed:
    """Read again what webhooks named, where the adapter can; a webhook is a hint, and only this is believed (W4)."""
    changed = Changed()
    while True:
        with database.for_team(crm.team_id) as connection:
            cursor = rows.age(connection, crm.id).cursor
            named = crm_connections.named(connection, crm.id, READ_AT_ONCE)
        if not named.up_to:
            return changed
        found = None
        if isinstance(adapter, CrmRereading):
            page = adapter.read_records(named.records, named.merges)
            found = _write(database, crm, replace(page, cursor=cursor or ""), cursor, follow)
            if found is None:  # another run moved the mirror on meanwhile: what was read may be old by now
                continue
            changed = changed.then(found)
        with database.for_team(crm.team_id) as connection:
            crm_connections.read_again(connection, crm.id, named.up_to)


def not_looked_up(connection: sa.Connection, crm: CrmConnection, clock: Clock, addresses: Collection[str]) -> list[str]:
    """Return addresses to ask the CRM about: nobody is known with them, and they were not asked about for a week.

    At most MOST_LOOKED_UP: the others come with the next mail, or with what changed.
    """
    return crm_connections.not_asked(connection, crm, addresses, clock.now() - UNKNOWN_FOR)[:MOST_LOOKED_UP]


def look_up(
    database: Database,
    adapter: CrmAdapter,
    crm: CrmConnection,
    clock: Clock,
    addresses: Collection[str],
    *,
    follow: Follow | None = None,
) -> None:
    """Ask the CRM who has these addresses, and remember those that nobody has."""
    with database.for_team(crm.team_id) as connection:
        cursor = rows.age(connection, crm.id).cursor
    persons = adapter.people_by_address(sorted(addresses))
    items = adapter.items_of_people([person.ref for person in persons]) if persons else []
    if persons:
        page = CrmChanges(cursor or "", persons=tuple(persons), items=tuple(items))
        if _write(database, crm, page, cursor, follow) is None:
            return  # another run moved the mirror on, and knows better by now
    known = {address for person in persons for address in person.addresses}
    with database.for_team(crm.team_id) as connection:
        crm_connections.asked(connection, crm, set(addresses) - known, clock.now())


def read_users(database: Database, adapter: CrmAdapter, crm: CrmConnection, clock: Clock) -> None:
    """Read who works in the CRM, once a day, where records may be hidden from some (C13)."""
    if not isinstance(adapter, CrmDirectory):
        return
    with database.for_team(crm.team_id) as connection:
        users_at = rows.age(connection, crm.id).users_at
    if users_at is not None and clock.now() - users_at < USERS_FOR:
        return
    users = adapter.users()
    with database.for_team(crm.team_id) as connection:
        crm_connections.write_users(connection, crm, users, clock.now())


def verify(
    database: Database, adapter: CrmAdapter, crm: CrmConnection, ref: ItemRef, *, follow: Follow | None = None
) -> bool:
    """Ask the CRM whether an item is still there, and mirror what it says; links follow one that was deleted."""
    with database.for_team(crm.team_id) as connection:
        cursor, known = rows.age(connection, crm.id).cursor, rows.item(connection, ref)
    now = adapter.get(ref)
    found = now if now is not None or known is None else replace(known, state="deleted")
    if found is not None:
        _write(database, crm, CrmChanges(cursor or "", items=(found,)), cursor, follow)
    return now is not None and now.state != "deleted"


def add(connection: sa.Connection, crm: CrmConnection, made: CrmChanges, *, follow: Follow) -> None:
    """Mirror what was made in the CRM a moment ago, in the caller's transaction; no cursor moves."""
    pages.lock(connection, crm.id)
    follow(connection, pages.write(connection, crm, made, moves=False))


def _write(
    database: Database,
    crm: CrmConnection,
    page: CrmChanges,
    read_from: str | None,
    follow: Follow | None,
    *,
    moves_at: datetime | None = None,
) -> Changed | None:
    """Write one page, unless the cursor is no longer where the page was read from: its records may be old by now.

    A page of single records moves no cursor.
    """
    with database.for_team(crm.team_id) as connection:
        if pages.lock(connection, crm.id).cursor != read_from:
            return None
        changed = pages.write(connection, crm, page, moves=moves_at is not None)
        if moves_at is not None:
            pages.load_began(connection, crm, moves_at, changed.records)
        if follow is not None:
            follow(connection, changed)
    return changed


def _refuse_other_company(adapter: CrmAdapter, crm: CrmConnection) -> None:
    if adapter.who_am_i().company != crm.company:
        raise Conflict("other_company", "This CRM connection leads to another company: add it as a new connection.")
