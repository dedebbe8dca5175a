"""One-time links that sign a member in, and the browsers a member is signed in with. Both are stored as hashes only."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

_TOUCH_EVERY = timedelta(minutes=5)


def hashed(value: str) -> bytes:
    """Return how a token, a state or a cookie is stored: each has 256 random bits, so a hash cannot be reversed."""
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest()


# --- links ---


def add_link(
    connection: sa.Connection, team_id: int, member_id: int, token_hash: bytes, expires_at: datetime, now: datetime
) -> None:
    """Store a link that is about to be handed out; those that have ended go."""
    connection.execute(sa.text("DELETE FROM sign_in_link WHERE expires_at <= :now"), {"now": now})
    connection.execute(
        sa.text(
            "INSERT INTO sign_in_link (team_id, token_hash, member_id, expires_at)"
            " VALUES (:team, :hash, :member, :expires_at)"
        ),
        {"team": team_id, "hash": token_hash, "member": member_id, "expires_at": expires_at},
    )


def member_of_link(connection: sa.Connection, token_hash: bytes, now: datetime) -> int | None:
    """Return whom a link signs in, while it is neither used nor over."""
    return connection.execute(
        sa.text(
            "SELECT member_id FROM sign_in_link WHERE token_hash = :hash AND used_at IS NULL AND expires_at > :now"
        ),
        {"hash": token_hash, "now": now},
    ).scalar()


def use_link(connection: sa.Connection, token_hash: bytes, now: datetime) -> int | None:
    """Use a link up; return whom it signs in, None when it was used or is over."""
    return connection.execute(
        sa.text(
            "UPDATE sign_in_link SET used_at = :now WHERE token_hash = :hash AND used_at IS NULL AND expires_at > :now"
            " RETURNING member_id"
        ),
        {"hash": token_hash, "now": now},
    ).scalar()


def end_links_of(connection: sa.Connection, member_id: int) -> None:
    """End every link of a member."""
    connection.execute(sa.text("DELETE FROM sign_in_link WHERE member_id = :member"), {"member": member_id})


# --- browsers ---


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that a member is signed in with."""

    public_id: str
    browser: str  # what it calls itself
    created_at: datetime
    last_seen_at: datetime
    is_this: bool


def begin(
    connection: sa.Connection,
    team_id: int,
    member_id: int,
    token_hash: bytes,
    browser: str,
    expires_at: datetime,
    now: datetime,
) -> None:
    """Store a session; those that have ended go."""
    connection.execute(sa.text("DELETE FROM member_session WHERE expires_at <= :now"), {"now": now})
    connection.execute(
        sa.text(
            """
            INSERT INTO member_session (team_id, token_hash, member_id, browser, created_at, last_seen_at, expires_at)
            VALUES (:team, :hash, :member, :browser, :now, :now, :expires_at)
            """
        ),
        {
            "team": team_id,
            "hash": token_hash,
            "member": member_id,
            "browser": browser,
            "now": now,
            "expires_at": expires_at,
        },
    )


def member_of(connection: sa.Connection, token_hash: bytes, now: datetime) -> int | None:
    """Return who is signed in with a session that has not ended; note that it was seen, at most every few minutes."""
    row = connection.execute(
        sa.text(
            "SELECT id, member_id, last_seen_at FROM member_session WHERE token_hash = :hash AND expires_at > :now"
        ),
        {"hash": token_hash, "now": now},
    ).one_or_none()
    if row is None:
        return None
    if row.last_seen_at is None or now - row.last_seen_at >= _TOUCH_EVERY:
        connection.execute(
            sa.text("UPDATE member_session SET last_seen_at = :now WHERE id = :id"), {"now": now, "id": row.id}
        )
    return int(row.member_id)


def of_member(connection: sa.Connection, member_id: int, token_hash: bytes, now: datetime) -> list[Session]:
    """Return a member's browsers, the one seen last first; `token_hash` is of the one that asks."""
    rows = connection.execute(
        sa.text(
            """
            SELECT public_id, browser, created_at, coalesce(last_seen_at, created_at) AS seen_at,
                   token_hash = :hash AS is_this
            FROM member_session WHERE member_id = :member AND expires_at > :now ORDER BY seen_at DESC, id DESC
            """
        ),
        {"hash": token_hash, "member": member_id, "now": now},
    )
    return [Session(str(row.public_id), row.browser, row.created_at, row.seen_at, row.is_this) for row in rows]


def end(connection: sa.Connection, token_hash: bytes) -> int | None:
    """End one session; return whose it was."""
    return connection.execute(
        sa.text("DELETE FROM member_session WHERE token_hash = :hash RETURNING member_id"), {"hash": token_hash}
    ).scalar()


def end_of_member(connection: sa.Connection, member_id: int, public_id: str) -> bool:
    """End one of a member's sessions; False when there is none of this id."""
    return bool(
        connection.execute(
            sa.text("DELETE FROM member_session WHERE member_id = :member AND public_id = CAST(:public_id AS uuid)"),
            {"member": member_id, "public_id": public_id},
        ).rowcount
    )


def end_all(connection: sa.Connection, member_id: int, *, but: bytes = b"") -> int:
    """End a member's sessions, except the one with the hash `but`; return how many."""
    return connection.execute(
        sa.text("DELETE FROM member_session WHERE member_id = :member AND token_hash <> :but"),
        {"member": member_id, "but": but},
    ).rowcount
