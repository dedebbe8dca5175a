"""Who a member is at Google and Microsoft, which organizations join by themselves, and sign-ins that were begun."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa


@dataclass(frozen=True, slots=True)
class BoundIdentity:
    """An account at an issuer that a member signs in with."""

    public_id: str
    member_id: int
    issuer: str
    organization: str
    shown: str
    bound_at: datetime


_COLUMNS = "public_id, member_id, issuer, organization, shown, bound_at"


# --- sign-ins that were begun ---


def begin_attempt(
    connection: sa.Connection,
    *,
    state_hash: bytes,
    browser_hash: bytes,
    issuer: str,
    kept: bytes,
    expires_at: datetime,
    now: datetime,
) -> None:
    """Store a sign-in that is about to begin; those that came to nothing go."""
    connection.execute(sa.text("DELETE FROM sign_in_attempt WHERE expires_at <= :now"), {"now": now})
    connection.execute(
        sa.text(
            "INSERT INTO sign_in_attempt (state_hash, browser_hash, issuer, kept, expires_at)"
            " VALUES (:state, :browser, :issuer, :kept, :expires_at)"
        ),
        {"state": state_hash, "browser": browser_hash, "issuer": issuer, "kept": kept, "expires_at": expires_at},
    )


def take_attempt(
    connection: sa.Connection, *, state_hash: bytes, browser_hash: bytes, issuer: str, now: datetime
) -> bytes | None:
    """Use a sign-in up, once, for its browser and its issuer; return what was kept for it."""
    kept = connection.execute(
        sa.text(
            "DELETE FROM sign_in_attempt WHERE state_hash = :state AND browser_hash = :browser AND issuer = :issuer"
            " AND expires_at > :now RETURNING kept"
        ),
        {"state": state_hash, "browser": browser_hash, "issuer": issuer, "now": now},
    ).scalar()
    return None if kept is None else bytes(kept)


# --- identities ---


def bind(
    connection: sa.Connection,
    team_id: int,
    member_id: int,
    *,
    issuer: str,
    subject: str,
    organization: str,
    shown: str,
    now: datetime,
) -> bool:
    """Bind an identity to a member; False when it is bound to somebody of the team already."""
    return bool(
        connection.execute(
            sa.text(
                """
                INSERT INTO member_identity (team_id, member_id, issuer, subject, organization, shown, bound_at)
                VALUES (:team, :member, :issuer, :subject, :organization, :shown, :now) ON CONFLICT DO NOTHING
                """
            ),
            {
                "team": team_id,
                "member": member_id,
                "issuer": issuer,
                "subject": subject,
                "organization": organization,
                "shown": shown,
                "now": now,
            },
        ).rowcount
    )


def holder(connection: sa.Connection, issuer: str, subject: str) -> tuple[int, bool] | None:
    """Return whose an identity is in this team, and whether that member was removed."""
    row = connection.execute(
        sa.text(
            "SELECT m.id, m.removed_at IS NOT NULL AS is_removed FROM member_identity i"
            " JOIN member m ON m.team_id = i.team_id AND m.id = i.member_id"
            " WHERE i.issuer = :issuer AND i.subject = :subject"
        ),
        {"issuer": issuer, "subject": subject},
    ).one_or_none()
    return None if row is None else (row.id, row.is_removed)


def of_member(connection: sa.Connection, member_id: int) -> list[BoundIdentity]:
    """Return what a member signs in with, oldest first."""
    rows = connection.execute(
        sa.text(f"SELECT {_COLUMNS} FROM member_identity WHERE member_id = :member ORDER BY id"), {"member": member_id}
    )
    return [_identity(row) for row in rows]


def of_team(connection: sa.Connection) -> list[BoundIdentity]:
    """Return what everybody of the team signs in with, oldest first."""
    return [
        _identity(row) for row in connection.execute(sa.text(f"SELECT {_COLUMNS} FROM member_identity ORDER BY id"))
    ]


def unbind(connection: sa.Connection, member_id: int, public_id: str) -> str | None:
    """Take an identity from a member; return its issuer, None when the member has none of this id."""
    return connection.execute(
        sa.text(
            "DELETE FROM member_identity WHERE member_id = :member AND public_id = CAST(:public_id AS uuid)"
            " RETURNING issuer"
        ),
        {"member": member_id, "public_id": public_id},
    ).scalar()


# --- who joins by signing in ---


def joining(connection: sa.Connection) -> frozenset[tuple[str, str]]:
    """Return the organizations, as (issuer, organization), whose people join this team."""
    rows = connection.execute(sa.text("SELECT issuer, organization FROM joining"))
    return frozenset((row.issuer, row.organization) for row in rows)


def set_joining(
    connection: sa.Connection, team_id: int, issuer: str, organization: str, *, may_join: bool, now: datetime
) -> bool:
    """Let an organization's people join, or no longer; True when that changed something."""
    statement = (
        "INSERT INTO joining (team_id, issuer, organization, at) VALUES (:team, :issuer, :organization, :now)"
        " ON CONFLICT DO NOTHING"
        if may_join
        else "DELETE FROM joining WHERE team_id = :team AND issuer = :issuer AND organization = :organization"
    )
    asked = {"team": team_id, "issuer": issuer, "organization": organization, **({"now": now} if may_join else {})}
    return bool(connection.execute(sa.text(statement), asked).rowcount)


def _identity(row: sa.Row[Any]) -> BoundIdentity:
    return BoundIdentity(str(row.public_id), row.member_id, row.issuer, row.organization, row.shown, row.bound_at)
