"""Filters of the inbox that a member keeps under a name."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa


@dataclass(frozen=True, slots=True)
class SavedFilter:
    """A name and what it stands for, as it stands in a link."""

    public_id: str
    name: str
    query: str


def saved_filters(connection: sa.Connection, member_id: int) -> list[SavedFilter]:
    """Return what a member keeps, oldest first."""
    rows = connection.execute(
        sa.text("SELECT public_id, name, query FROM saved_filter WHERE member_id = :member ORDER BY id"),
        {"member": member_id},
    )
    return [SavedFilter(str(row.public_id), row.name, row.query) for row in rows]


def save(connection: sa.Connection, team_id: int, member_id: int, name: str, query: str) -> None:
    """Keep a filter; what had the name before stands for this one now."""
    connection.execute(
        sa.text(
            """
            INSERT INTO saved_filter (team_id, member_id, name, query) VALUES (:team, :member, :name, :query)
            ON CONFLICT (team_id, member_id, name) DO UPDATE SET query = excluded.query
            """
        ),
        {"team": team_id, "member": member_id, "name": name, "query": query},
    )


def delete(connection: sa.Connection, member_id: int, public_id: str) -> bool:
    """Delete a filter of a member; return whether there was one."""
    return bool(
        connection.execute(
            sa.text("DELETE FROM saved_filter WHERE member_id = :member AND public_id = CAST(:id AS uuid)"),
            {"member": member_id, "id": public_id},
        ).rowcount
    )
