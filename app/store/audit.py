"""The audit log as it is read: a team's rows, newest first. Rows are written by links.audit()."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

NOBODY = 0  # filters by what no member did: the command line and threadlink itself


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the log."""

    id: int
    at: datetime
    member_id: int | None
    action: str
    conversation_id: int | None
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Known:
    """A member as the log names one, removed or not."""

    public_id: str
    name: str
    email: str


def page(connection: sa.Connection, *, before: int | None, member_id: int | None, action: str, limit: int) -> list[Row]:
    """Return rows older than `before`, newest first; of one member (or NOBODY) and one action when they are given."""
    asked = {"before": before, "member": member_id, "action": action}
    conditions = [
        *(["id < :before"] if before is not None else []),
        *([] if member_id is None else ["member_id IS NULL"] if member_id == NOBODY else ["member_id = :member"]),
        *(["action = :action"] if action else []),
    ]
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    columns = "id, at, member_id, action, conversation_id, detail"
    rows = connection.execute(
        sa.text(f"SELECT {columns} FROM audit {where} ORDER BY id DESC LIMIT :limit"),
        {**{name: value for name, value in asked.items() if f":{name}" in where}, "limit": limit},
    )
    return [Row(row.id, row.at, row.member_id, row.action, row.conversation_id, row.detail) for row in rows]


def members(connection: sa.Connection) -> dict[int, Known]:
    """Return everybody who is or was a member, by id."""
    rows = connection.execute(sa.text("SELECT id, public_id, name, email FROM member ORDER BY name, id"))
    return {row.id: Known(str(row.public_id), row.name, row.email) for row in rows}


def was_done_to(connection: sa.Connection, action: str, address: str, since: datetime) -> bool:
    """Say whether something was done to an address since then."""
    found = connection.execute(
        sa.text(
            "SELECT EXISTS (SELECT FROM audit"
            " WHERE action = :action AND detail ->> 'address' = :address AND at > :since)"
        ),
        {"action": action, "address": address, "since": since},
    )
    return bool(found.scalar())
