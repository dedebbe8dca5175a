"""Personal API keys, and the answers that a repeated write is given again. Keys are stored as hashes only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app.errors import Conflict

ANSWERS_LAST = timedelta(days=1)
_TOUCH_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that its member gave to a program."""

    id: int
    public_id: str
    member_id: int
    name: str
    may_write: bool
    created_at: datetime
    last_used_at: datetime | None


_COLUMNS = "id, public_id, member_id, name, may_write, created_at, last_used_at"


def add(
    connection: sa.Connection,
    team_id: int,
    member_id: int,
    *,
    name: str,
    key_hash: bytes,
    may_write: bool,
    now: datetime,
) -> ApiKey:
    """Store a key that is about to be handed out."""
    row = connection.execute(
        sa.text(
            f"""
            INSERT INTO api_key (team_id, member_id, name, key_hash, may_write, created_at)
            VALUES (:team_id, :member_id, :name, :key_hash, :may_write, :now) RETURNING {_COLUMNS}
            """
        ),
        {
            "team_id": team_id,
            "member_id": member_id,
            "name": name,
            "key_hash": key_hash,
            "may_write": may_write,
            "now": now,
        },
    ).one()
    return _key(row)


def use(connection: sa.Connection, key_hash: bytes, now: datetime) -> ApiKey | None:
    """Return the key with this hash unless it was revoked, and note that it was used, at most once a minute."""
    row = connection.execute(
        sa.text(f"SELECT {_COLUMNS} FROM api_key WHERE key_hash = :key_hash AND revoked_at IS NULL"),
        {"key_hash": key_hash},
    ).one_or_none()
    if row is None:
        return None
    if row.last_used_at is None or now - row.last_used_at >= _TOUCH_EVERY:
        connection.execute(sa.text("UPDATE api_key SET last_used_at = :now WHERE id = :id"), {"now": now, "id": row.id})
    return _key(row)


def of_member(connection: sa.Connection, member_id: int) -> list[ApiKey]:
    """Return a member's keys that were not revoked, oldest first."""
    rows = connection.execute(
        sa.text(f"SELECT {_COLUMNS} FROM api_key WHERE member_id = :member_id AND revoked_at IS NULL ORDER BY id"),
        {"member_id": member_id},
    )
    return [_key(row) for row in rows]


def revoke(connection: sa.Connection, member_id: int, public_id: str, now: datetime) -> bool:
    """End a member's key; False when the member has none of this id."""
    return bool(
        connection.execute(
            sa.text(
                "UPDATE api_key SET revoked_at = :now"
                " WHERE member_id = :member_id AND public_id = CAST(:public_id AS uuid) AND revoked_at IS NULL"
            ),
            {"now": now, "member_id": member_id, "public_id": public_id},
        ).rowcount
    )


def revoke_all(connection: sa.Connection, member_id: int, now: datetime) -> None:
    """End every key of a member."""
    connection.execute(
        sa.text("UPDATE api_key SET revoked_at = :now WHERE member_id = :member_id AND revoked_at IS NULL"),
        {"now": now, "member_id": member_id},
    )


# --- repeated writes ---


def claim(
    connection: sa.Connection,
    team_id: int,
    key_id: int,
    idempotency_hash: bytes,
    request_digest: bytes,
    now: datetime,
) -> dict[str, Any] | None:
    """Begin a write, or return what the same write answered before; a concurrent one is waited for.

    Raises Conflict: idempotency_key_reused for another request, still_running while the first has no answer yet.
    """
    mine = {"key_id": key_id, "hash": idempotency_hash}
    connection.execute(
        sa.text("DELETE FROM api_answer WHERE api_key_id = :key_id AND at < :before"),
        {"key_id": key_id, "before": now - ANSWERS_LAST},
    )
    is_first = connection.execute(
        sa.text(
            """
            INSERT INTO api_answer (team_id, api_key_id, idempotency_hash, request_digest, at)
            VALUES (:team_id, :key_id, :hash, :digest, :now) ON CONFLICT DO NOTHING
            """
        ),
        {"team_id": team_id, **mine, "digest": request_digest, "now": now},
    ).rowcount
    if is_first:
        return None
    row = connection.execute(
        sa.text(
            "SELECT request_digest, document FROM api_answer WHERE api_key_id = :key_id AND idempotency_hash = :hash"
        ),
        mine,
    ).one()
    if bytes(row.request_digest) != request_digest:
        raise Conflict("idempotency_key_reused")
    if row.document is None:
        raise Conflict("still_running")
    return dict(row.document)


def release(connection: sa.Connection, key_id: int, idempotency_hash: bytes) -> None:
    """Let a write be repeated of which nothing was done."""
    connection.execute(
        sa.text("DELETE FROM api_answer WHERE api_key_id = :key_id AND idempotency_hash = :hash"),
        {"key_id": key_id, "hash": idempotency_hash},
    )


def keep(connection: sa.Connection, key_id: int, idempotency_hash: bytes, document: Mapping[str, Any]) -> None:
    """Keep what a write answered, for who repeats it."""
    connection.execute(
        sa.text(
            "UPDATE api_answer SET document = CAST(:document AS jsonb)"
            " WHERE api_key_id = :key_id AND idempotency_hash = :hash"
        ),
        {"document": json.dumps(document, ensure_ascii=False), "key_id": key_id, "hash": idempotency_hash},
    )


def _key(row: sa.Row[Any]) -> ApiKey:
    return ApiKey(row.id, str(row.public_id), row.member_id, row.name, row.may_write, row.created_at, row.last_used_at)
