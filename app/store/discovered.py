"""The durable queue of discovered messages: every id a mailbox ever listed, and what became of it.

`pending` is read next; `stored`, `filtered` (by a named rule) and `gone` are done; `parked` waits for a person. The
cursor moves in the transaction that records the ids it covers, so nothing discovered is forgotten.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.errors import Conflict
from app.ports import Change, ChangePage
from app.store import schema
from app.store.rows import insert_rows


@dataclass(frozen=True, slots=True)
class Position:
    """Where a mailbox has been read to. `version` fences: a second runner with an old one cannot move it."""

    cursor: str | None
    version: int


def record_page(
    connection: sa.Connection, team_id: int, account_id: int, page: ChangePage, position: Position, now: datetime
) -> tuple[Position, list[int]]:
    """Record a page of changes and move the cursor over it.

    Returns the new position, and the conversations whose copies the provider deleted. Raises Conflict when another
    runner moved the cursor meanwhile.
    """
    record(connection, team_id, account_id, page.changes, now)
    last = {change.provider_id: change for change in page.changes}  # a deletion may be taken back within a page
    touched = erase(connection, account_id, [change.provider_id for change in last.values() if change.deleted], now)
    moved = connection.execute(
        sa.text(
            """
            UPDATE account SET cursor = :cursor, cursor_version = cursor_version + 1
            WHERE id = :id AND cursor_version = :version
            """
        ),
        {"cursor": page.cursor, "id": account_id, "version": position.version},
    )
    if moved.rowcount != 1:
        raise Conflict("superseded", "Another worker moved this mailbox's cursor.")
    return Position(page.cursor, position.version + 1), touched


def record(
    connection: sa.Connection, team_id: int, account_id: int, changes: Iterable[Change], now: datetime
) -> Counter[str]:
    """Record changes without moving a cursor; return how many ids were new, by state."""
    last = {change.provider_id: change for change in changes if not change.deleted}
    rows = insert_rows(
        connection,
        schema.discovered_message,
        [
            {
                "team_id": team_id,
                "account_id": account_id,
                "provider_id": change.provider_id,
                "provider_thread_id": change.provider_thread_id,
                "state": "filtered" if change.filtered_by else "pending",
                "rule": change.filtered_by or "",
                "next_at": now,
                "discovered_at": now,
                "settled_at": now if change.filtered_by else None,
            }
            for change in last.values()
        ],
        returning=["state"],
        # A draft that was sent, a spam that was rescued or a deletion taken back is read again.
        on_conflict=(
            "(team_id, account_id, provider_id) DO UPDATE SET state = 'pending', rule = '', attempts = 0,"
            " next_at = excluded.next_at, settled_at = NULL"
            " WHERE discovered_message.state IN ('filtered', 'gone') AND excluded.state = 'pending'"
        ),
    )
    return Counter(row.state for row in rows)


def erase(connection: sa.Connection, account_id: int, provider_ids: Collection[str], now: datetime) -> list[int]:
    """Mark copies the provider deleted and erase their texts; return their conversations."""
    if not provider_ids:
        return []
    params = {"account": account_id, "ids": sorted(provider_ids), "now": now}
    connection.execute(
        sa.text(
            """
            UPDATE discovered_message SET state = 'gone', settled_at = :now
            WHERE account_id = :account AND provider_id = ANY(:ids)
            """
        ),
        params,
    )
    rows = connection.execute(
        sa.text(
            """
            WITH erased AS (
              UPDATE message_copy SET deleted_at = :now, snippet = ''
              WHERE account_id = :account AND provider_id = ANY(:ids) AND deleted_at IS NULL
              RETURNING team_id, id, message_id
            ), bodies AS (
              DELETE FROM message_body b USING erased e WHERE b.team_id = e.team_id AND b.copy_id = e.id
            )
            SELECT DISTINCT m.conversation_id FROM erased e
            JOIN message m ON m.team_id = e.team_id AND m.id = e.message_id
            """
        ),
        params,
    )
    return list(rows.scalars())


def forget_erased(connection: sa.Connection, account_id: int, provider_ids: Collection[str]) -> None:
    """Drop what erase() left of copies that the provider shows again, so that they are stored anew and whole."""
    if not provider_ids:
        return
    connection.execute(
        sa.text(
            """
            DELETE FROM message_copy
            WHERE account_id = :account AND provider_id = ANY(:ids) AND deleted_at IS NOT NULL
            """
        ),
        {"account": account_id, "ids": sorted(provider_ids)},
    )


def pending(connection: sa.Connection, account_id: int, limit: int, now: datetime) -> list[str]:
    """Return the ids to read next, oldest first."""
    return list(
        connection.execute(
            sa.text(
                """
                SELECT provider_id FROM discovered_message
                WHERE account_id = :account AND state = 'pending' AND next_at <= :now
                ORDER BY next_at, provider_id LIMIT :limit
                """
            ),
            {"account": account_id, "limit": limit, "now": now},
        ).scalars()
    )


def settle(connection: sa.Connection, account_id: int, settled: Sequence[tuple[str, str, str]], now: datetime) -> None:
    """Record what became of ids: (provider id, state, rule)."""
    if not settled:
        return
    connection.execute(
        sa.text(
            """
            UPDATE discovered_message d SET state = r.state, rule = r.rule, settled_at = :now
            FROM jsonb_to_recordset(CAST(:settled AS jsonb)) AS r (provider_id text, state text, rule text)
            WHERE d.account_id = :account AND d.provider_id = r.provider_id
            """
        ),
        {
            "account": account_id,
            "now": now,
            "settled": json.dumps([{"provider_id": i, "state": state, "rule": rule} for i, state, rule in settled]),
        },
    )


def retry(connection: sa.Connection, account_id: int, failed: Sequence[tuple[str, str, datetime]]) -> None:
    """Put ids off: (provider id, why, when to try again); each counts as an attempt."""
    if not failed:
        return
    connection.execute(
        sa.text(
            """
            UPDATE discovered_message d SET attempts = attempts + 1, rule = r.why, next_at = r.next_at
            FROM jsonb_to_recordset(CAST(:failed AS jsonb)) AS r (provider_id text, why text, next_at timestamptz)
            WHERE d.account_id = :account AND d.provider_id = r.provider_id
            """
        ),
        {
            "account": account_id,
            "failed": json.dumps([{"provider_id": i, "why": why, "next_at": at.isoformat()} for i, why, at in failed]),
        },
    )


def attempts(connection: sa.Connection, account_id: int, provider_ids: Collection[str]) -> dict[str, int]:
    """Return how often each id was tried."""
    rows = connection.execute(
        sa.text(
            "SELECT provider_id, attempts FROM discovered_message"
            " WHERE account_id = :account AND provider_id = ANY(:ids)"
        ),
        {"account": account_id, "ids": sorted(provider_ids)},
    )
    return {row.provider_id: row.attempts for row in rows}


def next_due(connection: sa.Connection, account_id: int) -> datetime | None:
    """Return when the earliest pending id may be tried; None when nothing is pending."""
    return connection.execute(
        sa.text("SELECT min(next_at) FROM discovered_message WHERE account_id = :account AND state = 'pending'"),
        {"account": account_id},
    ).scalar()


def states(connection: sa.Connection, account_id: int) -> list[sa.Row[Any]]:
    """Return how many ids are in each state, with the oldest, for one account."""
    return list(
        connection.execute(
            sa.text(
                """
                SELECT state, rule, count(*) AS messages, min(discovered_at) AS oldest
                FROM discovered_message WHERE account_id = :account GROUP BY state, rule ORDER BY state, rule
                """
            ),
            {"account": account_id},
        )
    )
