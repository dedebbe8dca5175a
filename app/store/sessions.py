"""One-time links that sign a member in, and the browsers a member is signed in with. Both are stored as hashes only."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa


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


def begin(
    connection: sa.Connection, team_id: int, member_id: int, token_hash: bytes, expires_at: datetime, now: datetime
) -> None:
    """Store a session; those that have ended go."""
    connection.execute(sa.text("DELETE FROM member_session WHERE expires_at <= :now"), {"now": now})
    connection.execute(
        sa.text(
            "INSERT INTO member_session (team_id, token_hash, member_id, created_at, expires_at)"
            " VALUES (:team, :hash, :member, :now, :expires_at)"
        ),
        {"team": team_id, "hash": token_hash, "member": member_id, "now": now, "expires_at": expires_at},
    )


def member_of(connection: sa.Connection, token_hash: bytes, now: datetime) -> int | None:
    """Return who is signed in with a session that has not ended."""
    return connection.execute(
        sa.text("SELECT member_id FROM member_session WHERE token_hash = :hash AND expires_at > :now"),
        {"hash": token_hash, "now": now},
    ).scalar()


def end(connection: sa.Connection, token_hash: bytes) -> None:
    """End one session."""
    connection.execute(sa.text("DELETE FROM member_session WHERE token_hash = :hash"), {"hash": token_hash})
