"""Teams and their members."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.model import Member, MemberRole, Preferences


@dataclass(frozen=True, slots=True)
class Team:
    """One customer organisation."""

    id: int
    public_id: str
    name: str
    plan: str
    locale: str
    domains: tuple[str, ...] = ()
    policy: Mapping[str, Any] = field(default_factory=dict)


_MEMBERS = "SELECT id, public_id, name, email, role, preferences FROM member WHERE removed_at IS NULL"


def team(connection: sa.Connection) -> Team | None:
    """Return the team whose transaction this is."""
    row = connection.execute(
        sa.text("SELECT id, public_id, name, plan, locale, domains, policy FROM team")
    ).one_or_none()
    if row is None:
        return None
    return Team(row.id, str(row.public_id), row.name, row.plan, row.locale, tuple(row.domains), row.policy)


def configure(
    connection: sa.Connection,
    *,
    domains: Sequence[str],
    plan: str = "unrestricted",
    locale: str = "en",
    policy: Mapping[str, Any] | None = None,
) -> None:
    """Set what a team is: its mail domains, plan, language and policy (the fields of model.Policy)."""
    connection.execute(
        sa.text("UPDATE team SET domains = :domains, plan = :plan, locale = :locale, policy = CAST(:policy AS jsonb)"),
        {"domains": sorted(domains), "plan": plan, "locale": locale, "policy": json.dumps(policy or {})},
    )


def set_team(connection: sa.Connection, *, domains: Sequence[str], locale: str, plan: str) -> None:
    """Store a team's mail domains, language and plan."""
    connection.execute(
        sa.text("UPDATE team SET domains = :domains, locale = :locale, plan = :plan"),
        {"domains": sorted(set(domains)), "locale": locale, "plan": plan},
    )


def set_policy(connection: sa.Connection, policy: Mapping[str, Any]) -> None:
    """Store the team's policy (the fields of model.Policy)."""
    connection.execute(sa.text("UPDATE team SET policy = CAST(:policy AS jsonb)"), {"policy": json.dumps(policy)})


def add_member(
    connection: sa.Connection,
    team_id: int,
    name: str,
    email: str,
    role: MemberRole = "member",
) -> int | None:
    """Add a member, or bring a removed one back; None when the address is a member's already."""
    return connection.execute(
        sa.text(
            """
            INSERT INTO member (team_id, name, email, role) VALUES (:team_id, :name, :email, :role)
            ON CONFLICT (team_id, email) DO UPDATE SET name = excluded.name, role = excluded.role, removed_at = NULL
            WHERE member.removed_at IS NOT NULL
            RETURNING id
            """
        ),
        {"team_id": team_id, "name": name, "email": email, "role": role},
    ).scalar()


def members(connection: sa.Connection) -> list[Member]:
    """Return the members of the team who were not removed, by name."""
    return [_member(row) for row in connection.execute(sa.text(f"{_MEMBERS} ORDER BY name, id"))]


def member_by_id(connection: sa.Connection, member_id: int) -> Member | None:
    """Return the member with this id; None for one who was removed."""
    row = connection.execute(sa.text(f"{_MEMBERS} AND id = :id"), {"id": member_id}).one_or_none()
    return _member(row) if row else None


def _member(row: sa.Row[Any]) -> Member:
    return Member(row.id, str(row.public_id), row.name, row.email, row.role, Preferences(**row.preferences))


def set_preferences(connection: sa.Connection, member_id: int, preferences: Preferences) -> None:
    """Store what a member chose for the pages."""
    connection.execute(
        sa.text("UPDATE member SET preferences = CAST(:preferences AS jsonb) WHERE id = :id"),
        {"preferences": json.dumps(asdict(preferences)), "id": member_id},
    )


# --- members who come and go ---


def lock_administrators(connection: sa.Connection) -> frozenset[int]:
    """Return the administrators; none of them is lowered or removed by others before the transaction ends."""
    rows = connection.execute(
        sa.text("SELECT id FROM member WHERE role = 'admin' AND removed_at IS NULL ORDER BY id FOR NO KEY UPDATE")
    )
    return frozenset(rows.scalars())


def set_role(connection: sa.Connection, member_id: int, role: MemberRole) -> None:
    """Make a member an administrator, or no longer."""
    connection.execute(sa.text("UPDATE member SET role = :role WHERE id = :id"), {"role": role, "id": member_id})


def remove_member(connection: sa.Connection, member_id: int, now: datetime) -> None:
    """Remove a member, whose mailboxes are no longer read and whose links that connect one end."""
    asked = {"id": member_id, "now": now}
    connection.execute(sa.text("UPDATE member SET removed_at = :now WHERE id = :id"), asked)
    connection.execute(sa.text("UPDATE account SET paused = true WHERE owner_id = :id AND NOT paused"), asked)
    connection.execute(sa.text("DELETE FROM connect_request WHERE member_id = :id AND used_at IS NULL"), asked)


def bring_back(connection: sa.Connection, member_id: int, name: str, email: str, role: MemberRole) -> None:
    """Make a removed member one again, under the name and address that are known now."""
    connection.execute(
        sa.text("UPDATE member SET removed_at = NULL, name = :name, email = :email, role = :role WHERE id = :id"),
        {"name": name, "email": email, "role": role, "id": member_id},
    )


def is_known(connection: sa.Connection, email: str) -> bool:
    """Say whether an address is, or was, a member's."""
    known = connection.execute(sa.text("SELECT 1 FROM member WHERE email = :email"), {"email": email})
    return known.scalar() is not None


def free_address(connection: sa.Connection, email: str, *, but: int | None = None) -> None:
    """Free the address of a removed member for somebody who does not become that member (threats.md T9)."""
    connection.execute(
        sa.text(
            "UPDATE member SET email = email || ' (removed ' || public_id || ')'"
            " WHERE email = :email AND removed_at IS NOT NULL AND id IS DISTINCT FROM :but"
        ),
        {"email": email, "but": but},
    )
