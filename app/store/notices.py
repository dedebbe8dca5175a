"""Which accounts are in trouble and who was told, and the letters that are owed."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from app.store import schema
from app.store.rows import insert_rows


@dataclass(frozen=True, slots=True)
class Notice:
    """An account in trouble; announced once it was so for long enough. `id` is 0 for one that is not stored."""

    id: int
    account_id: int
    code: str
    found_at: datetime
    announced_at: datetime | None


@dataclass(frozen=True, slots=True)
class Owed:
    """A letter that was not sent yet: what kind, to whom, about what (a notice's id, or a day)."""

    id: int
    member_id: int
    kind: str
    about: str
    account_id: int | None
    made_at: datetime
    attempts: int


_NOTICE = "id, account_id, code, found_at, announced_at"


def open_notices(connection: sa.Connection) -> list[Notice]:
    """Return the accounts that are in trouble."""
    query = f"SELECT {_NOTICE} FROM account_notice WHERE recovered_at IS NULL ORDER BY id"
    return [Notice(*row) for row in connection.execute(sa.text(query))]


def notice(connection: sa.Connection, notice_id: int) -> Notice | None:
    """Return a notice, open or not."""
    query = f"SELECT {_NOTICE} FROM account_notice WHERE id = :id"
    row = connection.execute(sa.text(query), {"id": notice_id}).one_or_none()
    return Notice(*row) if row else None


def write(
    connection: sa.Connection, team_id: int, troubled: Collection[Notice], well: Collection[int], now: datetime
) -> dict[int, int]:
    """Store what is wrong with accounts and close the notices of those that are well; return the ids by account."""
    connection.execute(
        sa.text("UPDATE account_notice SET recovered_at = :now WHERE recovered_at IS NULL AND account_id = ANY(:well)"),
        {"now": now, "well": sorted(well)},
    )
    kept = connection.execute(
        sa.text(
            """
            INSERT INTO account_notice (team_id, account_id, code, found_at, announced_at)
            SELECT :team_id, r.account_id, r.code, r.found_at, r.announced_at
            FROM jsonb_to_recordset(CAST(:rows AS jsonb))
                 AS r (account_id bigint, code text, found_at timestamptz, announced_at timestamptz)
            ON CONFLICT (team_id, account_id) WHERE recovered_at IS NULL
            DO UPDATE SET code = excluded.code, announced_at = excluded.announced_at
            RETURNING account_id, id
            """
        ),
        {
            "team_id": team_id,
            "rows": json.dumps(
                [
                    {
                        "account_id": each.account_id,
                        "code": each.code,
                        "found_at": each.found_at.isoformat(),
                        "announced_at": each.announced_at.isoformat() if each.announced_at else None,
                    }
                    for each in troubled
                ]
            ),
        },
    )
    return {row.account_id: row.id for row in kept}


# --- letters ---


def owe(
    connection: sa.Connection, team_id: int, letters: Sequence[tuple[int, str, str, int | None]], now: datetime
) -> None:
    """Owe (member, kind, about, account) a letter; one that was owed before is not owed again."""
    insert_rows(
        connection,
        schema.letter,
        [
            {
                "team_id": team_id,
                "member_id": member_id,
                "kind": kind,
                "about": about,
                "account_id": account_id,
                "made_at": now,
                "next_at": now,
            }
            for member_id, kind, about, account_id in letters
        ],
        on_conflict="DO NOTHING",
    )


def owed(connection: sa.Connection, letter_id: int) -> Owed | None:
    """Return a letter that was neither sent nor given up."""
    row = connection.execute(
        sa.text(
            "SELECT id, member_id, kind, about, account_id, made_at, attempts FROM letter"
            " WHERE id = :id AND next_at IS NOT NULL"
        ),
        {"id": letter_id},
    ).one_or_none()
    return Owed(*row) if row else None


def settle(connection: sa.Connection, letter_id: int, sent_at: datetime | None, error: str) -> None:
    """Record that a letter was sent, or (without a time) given up."""
    connection.execute(
        sa.text(
            "UPDATE letter SET sent_at = :sent_at, next_at = NULL, error = :error, attempts = attempts + 1"
            " WHERE id = :id"
        ),
        {"id": letter_id, "sent_at": sent_at, "error": error},
    )


def postpone(connection: sa.Connection, letter_id: int, until: datetime, error: str) -> None:
    """Record that a letter was not taken, and when it is tried again."""
    connection.execute(
        sa.text("UPDATE letter SET next_at = :until, error = :error, attempts = attempts + 1 WHERE id = :id"),
        {"id": letter_id, "until": until, "error": error},
    )
