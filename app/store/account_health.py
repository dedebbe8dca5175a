"""How connected accounts are doing: what the doctor and the list of accounts say, read from rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from app.model import Account
from app.store.accounts import accounts


@dataclass(frozen=True, slots=True)
class AccountHealth:
    """What an account says about itself: `account`, since when, why, and how far behind it is."""

    account: Account
    state: str
    state_reason: str
    state_since: datetime
    paused: bool
    history_from: datetime | None
    subscription_expires_at: datetime | None
    throttled_until: datetime | None
    last_push_at: datetime | None
    last_sync_at: datetime | None
    last_audit_at: datetime | None
    last_error: str | None
    failures: int
    pending: int
    oldest_pending_at: datetime | None
    parked: int
    first_read_at: datetime | None  # when the mail since history_from was read, and how many messages it was
    first_read_messages: int | None


@dataclass(frozen=True, slots=True)
class EarlierReading:
    """How far a reading of a mailbox's earlier mail has come."""

    since: datetime  # it reaches back to
    found: int  # messages, so far
    done: int  # of these: stored, left out, or parked
    earliest_at: datetime | None  # of what is stored


def health_of_accounts(connection: sa.Connection) -> list[AccountHealth]:
    """Return how every account of the team is doing, oldest account first."""
    rows = connection.execute(
        sa.text(
            """
            SELECT a.id, a.state, a.state_reason, a.state_since, a.paused, a.history_from, a.subscription_expires_at,
                   a.throttled_until, h.pushed_at AS last_push_at, a.last_sync_at, a.last_audit_at, a.last_error,
                   a.failures, a.first_read_at, a.first_read_messages,
                   count(d.*) FILTER (WHERE d.state = 'pending') AS pending,
                   min(d.discovered_at) FILTER (WHERE d.state = 'pending') AS oldest_pending_at,
                   count(d.*) FILTER (WHERE d.state = 'parked') AS parked
            FROM account a
            JOIN hint h ON h.team_id = a.team_id AND h.account_id = a.id
            LEFT JOIN discovered_message d ON d.team_id = a.team_id AND d.account_id = a.id
                 AND d.state IN ('pending', 'parked')
            GROUP BY a.team_id, a.id, h.pushed_at ORDER BY a.id
            """
        )
    ).all()
    known = {account.id: account for account in accounts(connection)}
    return [
        AccountHealth(
            account=known[row.id],
            **{name: getattr(row, name) for name in AccountHealth.__slots__ if name != "account"},
        )
        for row in rows
    ]


def earlier_readings(connection: sa.Connection) -> dict[int, EarlierReading]:
    """Return how far the team's accounts have come whose earlier mail is being read.

    That is once, when a mailbox was connected, and again when more folders were chosen.
    """
    rows = connection.execute(
        sa.text(
            """
            SELECT a.id, coalesce(a.history_from, a.created_at) AS since, d.found, d.done, c.earliest_at FROM account a
            CROSS JOIN LATERAL (
              SELECT count(*) AS found, count(*) FILTER (WHERE state <> 'pending') AS done
              FROM discovered_message WHERE team_id = a.team_id AND account_id = a.id
            ) d
            CROSS JOIN LATERAL (
              SELECT min(at) AS earliest_at FROM message_copy WHERE team_id = a.team_id AND account_id = a.id
            ) c
            WHERE CASE WHEN a.last_sync_at IS NULL THEN a.history_from IS NOT NULL ELSE a.state = 'backfilling' END
            """
        )
    )
    return {row.id: EarlierReading(row.since, row.found, row.done, row.earliest_at) for row in rows}
