"""Numbers of the whole installation for /metrics: sums over all teams, never one team's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

WINDOW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Behind:
    """How far behind its mailboxes an installation is, and whether pushes still lead it there."""

    oldest_pending_s: float
    found_by_poll_share: float


def totals(connection: sa.Connection) -> list[tuple[str, str, int]]:
    """Return (what, state, how many) of accounts, unstored messages and CRM writes."""
    rows = connection.execute(sa.text("SELECT what, state, number FROM threadlink_totals() ORDER BY what, state"))
    return [(row.what, row.state, row.number) for row in rows]


def jobs(connection: sa.Connection) -> Mapping[str, int]:
    """Return how many jobs wait (todo), run (doing) or were given up (failed)."""
    rows = connection.execute(
        sa.text(
            """
            SELECT status::text AS status, count(*) AS number FROM procrastinate_jobs
            WHERE status IN ('todo', 'doing', 'failed') GROUP BY status
            """
        )
    )
    return {row.status: row.number for row in rows}


def behind(connection: sa.Connection, now: datetime) -> Behind:
    """Return the age of the oldest message that waits, and the share of the last hour's that no push announced."""
    row = connection.execute(
        sa.text("SELECT oldest_pending_at, found, found_unannounced FROM threadlink_behind(:since)"),
        {"since": now - WINDOW},
    ).one()
    oldest_s = (now - row.oldest_pending_at).total_seconds() if row.oldest_pending_at else 0.0
    return Behind(max(0.0, oldest_s), row.found_unannounced / row.found if row.found else 0.0)
