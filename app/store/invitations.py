"""Links with which somebody becomes a member. Stored as hashes only; one that was used or taken back is gone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.model import MemberRole


@dataclass(frozen=True, slots=True)
class Invitation:
    """An open invitation."""

    public_id: str
    name: str
    email: str
    role: MemberRole
    invited_by: int
    expires_at: datetime


_COLUMNS = "public_id, name, email, role, invited_by, expires_at"


def add(
    connection: sa.Connection,
    team_id: int,
    *,
    token_hash: bytes,
    name: str,
    email: str,
    role: MemberRole,
    invited_by: int,
    expires_at: datetime,
    now: datetime,
) -> None:
    """Store an invitation in place of an older one of the same address; those that have ended go."""
    connection.execute(
        sa.text("DELETE FROM invitation WHERE expires_at <= :now OR email = :email"), {"now": now, "email": email}
    )
    connection.execute(
        sa.text(
            """
            INSERT INTO invitation (team_id, token_hash, name, email, role, invited_by, created_at, expires_at)
            VALUES (:team, :hash, :name, :email, :role, :by, :now, :expires_at)
            """
        ),
        {
            "team": team_id,
            "hash": token_hash,
            "name": name,
            "email": email,
            "role": role,
            "by": invited_by,
            "now": now,
            "expires_at": expires_at,
        },
    )


def standing(connection: sa.Connection, now: datetime) -> list[Invitation]:
    """Return the open invitations, the newest first."""
    rows = connection.execute(
        sa.text(f"SELECT {_COLUMNS} FROM invitation WHERE expires_at > :now ORDER BY id DESC"), {"now": now}
    )
    return [_invitation(row) for row in rows]


def find(connection: sa.Connection, token_hash: bytes, now: datetime) -> Invitation | None:
    """Return the invitation of a link, while it is open."""
    row = connection.execute(
        sa.text(f"SELECT {_COLUMNS} FROM invitation WHERE token_hash = :hash AND expires_at > :now"),
        {"hash": token_hash, "now": now},
    ).one_or_none()
    return None if row is None else _invitation(row)


def use(connection: sa.Connection, token_hash: bytes, now: datetime) -> Invitation | None:
    """Use an invitation up; None when it was used, taken back or is over."""
    row = connection.execute(
        sa.text(f"DELETE FROM invitation WHERE token_hash = :hash AND expires_at > :now RETURNING {_COLUMNS}"),
        {"hash": token_hash, "now": now},
    ).one_or_none()
    return None if row is None else _invitation(row)


def revoke(connection: sa.Connection, public_id: str) -> str | None:
    """Take an invitation back; return its address, None when there is none of this id."""
    return connection.execute(
        sa.text("DELETE FROM invitation WHERE public_id = CAST(:public_id AS uuid) RETURNING email"),
        {"public_id": public_id},
    ).scalar()


def revoke_of(connection: sa.Connection, member_id: int) -> None:
    """Take back what a member invited, who may no longer invite."""
    connection.execute(sa.text("DELETE FROM invitation WHERE invited_by = :member"), {"member": member_id})


def _invitation(row: sa.Row[Any]) -> Invitation:
    return Invitation(str(row.public_id), row.name, row.email, row.role, row.invited_by, row.expires_at)
