"""Long work and its conversations: rows only; app.work holds what is done to them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

Kind = Literal["bulk_link", "bulk_dismiss", "undo", "replay", "policy"]
State = Literal["looking", "ready", "doing", "done", "stopped"]
EntryState = Literal["waiting", "found", "done", "refused"]

KEPT = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Work:
    """What a member asked to be done to many conversations, and how far it is.

    `looking` finds out what would be done, `ready` waits for the member, `doing` does it; `done` of `total`
    conversations are behind it. `stopped` ended before its end, for `reason`.
    """

    id: int
    public_id: str
    member_id: int
    kind: Kind
    state: State
    reason: str
    request: Mapping[str, Any]
    batch_id: str
    total: int
    done: int
    created_at: datetime
    ended_at: datetime | None

    @property
    def is_running(self) -> bool:
        return self.state in ("looking", "doing")


@dataclass(frozen=True, slots=True)
class Entry:
    """A conversation of a piece of work: what a report found about it, what became of it."""

    position: int
    conversation_id: int
    state: EntryState
    reason: str = ""
    detail: Mapping[str, Any] | None = None


def create(
    connection: sa.Connection,
    team_id: int,
    *,
    member_id: int,
    kind: Kind,
    state: State,
    request: Mapping[str, Any],
    batch_id: str,
    conversation_ids: Sequence[int],
    now: datetime,
) -> Work:
    """Store a piece of work with its conversations, in their order; what the team does not have is left out.

    The team's oldest pieces of work go.
    """
    connection.execute(sa.text("DELETE FROM work WHERE created_at < :before"), {"before": now - KEPT})
    row = connection.execute(
        sa.text(
            """
            INSERT INTO work (team_id, member_id, kind, state, request, batch_id, total, created_at)
            VALUES (:team_id, :member_id, :kind, :state, CAST(:request AS jsonb), CAST(:batch AS uuid), 0, :now)
            RETURNING id
            """
        ),
        {
            "team_id": team_id,
            "member_id": member_id,
            "kind": kind,
            "state": state,
            "request": json.dumps(dict(request)),
            "batch": batch_id,
            "now": now,
        },
    ).one()
    stored = connection.execute(
        sa.text(
            """
            INSERT INTO work_entry (team_id, work_id, position, conversation_id)
            SELECT :team_id, :work_id, e.position, c.id
            FROM unnest(CAST(:ids AS bigint[])) WITH ORDINALITY AS e (id, position) JOIN conversation c ON c.id = e.id
            """
        ),
        {"team_id": team_id, "work_id": row.id, "ids": list(conversation_ids)},
    ).rowcount
    made = connection.execute(
        sa.text("UPDATE work SET total = :total WHERE id = :id RETURNING *"), {"id": row.id, "total": stored}
    )
    return _work(made.one())


def of_member(connection: sa.Connection, member_id: int, public_id: str) -> Work | None:
    """Return a piece of work that this member asked for."""
    row = connection.execute(
        sa.text("SELECT * FROM work WHERE public_id = CAST(:id AS uuid) AND member_id = :member"),
        {"id": public_id, "member": member_id},
    ).one_or_none()
    return _work(row) if row else None


def by_id(connection: sa.Connection, work_id: int) -> Work:
    """Return a piece of work as it is now."""
    return _work(connection.execute(sa.text("SELECT * FROM work WHERE id = :id"), {"id": work_id}).one())


def recent(connection: sa.Connection, member_id: int, kind: Kind, limit: int) -> list[Work]:
    """Return what a member asked for of one kind, the newest first."""
    rows = connection.execute(
        sa.text("SELECT * FROM work WHERE member_id = :member AND kind = :kind ORDER BY id DESC LIMIT :limit"),
        {"member": member_id, "kind": kind, "limit": limit},
    )
    return [_work(row) for row in rows]


def lock(connection: sa.Connection, work_id: int) -> Work | None:
    """Return a piece of work that nobody else goes on with before the transaction ends."""
    row = connection.execute(sa.text("SELECT * FROM work WHERE id = :id FOR UPDATE"), {"id": work_id}).one_or_none()
    return _work(row) if row else None


def is_running(connection: sa.Connection, batch_id: str) -> bool:
    """Say whether what a batch does is not at its end yet."""
    return bool(
        connection.execute(
            sa.text("SELECT EXISTS (SELECT FROM work WHERE batch_id = CAST(:batch AS uuid) AND state = 'doing')"),
            {"batch": batch_id},
        ).scalar_one()
    )


def any_running(connection: sa.Connection, kinds: Collection[Kind]) -> bool:
    """Say whether the team has work of these kinds that runs."""
    return bool(
        connection.execute(
            sa.text("SELECT EXISTS (SELECT FROM work WHERE kind = ANY(:kinds) AND state IN ('looking', 'doing'))"),
            {"kinds": list(kinds)},
        ).scalar_one()
    )


def next_entries(connection: sa.Connection, work_id: int, limit: int) -> list[Entry]:
    """Return the conversations that come next."""
    return page(connection, work_id, ["waiting"], 0, limit)


def page(
    connection: sa.Connection, work_id: int, states: Collection[EntryState], after: int, limit: int
) -> list[Entry]:
    """Return the conversations in these states behind a position, in order."""
    rows = connection.execute(
        sa.text(
            """
            SELECT position, conversation_id, state, reason, detail FROM work_entry
            WHERE work_id = :work AND state = ANY(:states) AND position > :after ORDER BY position LIMIT :limit
            """
        ),
        {"work": work_id, "states": list(states), "after": after, "limit": limit},
    )
    return [Entry(row.position, row.conversation_id, row.state, row.reason, row.detail) for row in rows]


def settle(connection: sa.Connection, work: Work, entries: Collection[Entry], *, looked_at: int) -> None:
    """Store what became of a part of `looked_at` conversations; those of the part without an entry are let go."""
    connection.execute(
        sa.text(
            """
            WITH part AS (
              SELECT position FROM work_entry WHERE work_id = :work AND state = 'waiting' ORDER BY position LIMIT :size
            ), told AS (
              SELECT * FROM jsonb_to_recordset(CAST(:entries AS jsonb))
                AS r (position integer, state text, reason text, detail jsonb)
            ), gone AS (
              DELETE FROM work_entry e USING part
              WHERE e.work_id = :work AND e.position = part.position
                AND NOT EXISTS (SELECT FROM told WHERE told.position = e.position)
            ), counted AS (
              UPDATE work SET done = done + :size WHERE id = :work
            )
            UPDATE work_entry e SET state = told.state, reason = told.reason, detail = e.detail || told.detail
            FROM told WHERE e.work_id = :work AND e.position = told.position
            """
        ),
        {
            "work": work.id,
            "size": looked_at,
            "entries": json.dumps(
                [
                    {"position": e.position, "state": e.state, "reason": e.reason, "detail": dict(e.detail or {})}
                    for e in entries
                ]
            ),
        },
    )


def refuse_rest(connection: sa.Connection, work: Work, reason: str) -> None:
    """Refuse whatever is left, for one reason."""
    connection.execute(
        sa.text(
            "UPDATE work_entry SET state = 'refused', reason = :reason WHERE work_id = :work AND state = 'waiting'"
        ),
        {"work": work.id, "reason": reason},
    )
    connection.execute(sa.text("UPDATE work SET done = total WHERE id = :work"), {"work": work.id})


def set_state(connection: sa.Connection, work: Work, state: State, now: datetime, *, reason: str = "") -> None:
    """Store where a piece of work has come to."""
    connection.execute(
        sa.text(
            """
            UPDATE work SET state = :state, reason = :reason,
              ended_at = CASE WHEN :state IN ('done', 'stopped') THEN CAST(:now AS timestamptz) END
            WHERE id = :work
            """
        ),
        {"work": work.id, "state": state, "now": now, "reason": reason},
    )


def start(connection: sa.Connection, work: Work, request: Mapping[str, Any], kinds: Collection[str] = ()) -> int:
    """Begin to do what was looked at: what a report found of these kinds, or what waits; return how many."""
    connection.execute(
        sa.text(
            "UPDATE work_entry SET state = 'waiting'"
            " WHERE work_id = :work AND state = 'found' AND detail ->> 'kind' = ANY(:kinds)"
        ),
        {"work": work.id, "kinds": list(kinds)},
    )
    return int(
        connection.execute(
            sa.text(
                """
                UPDATE work SET state = 'doing', done = 0, request = request || CAST(:request AS jsonb),
                  total = (SELECT count(*) FROM work_entry e WHERE e.work_id = work.id AND e.state = 'waiting')
                WHERE id = :work RETURNING total
                """
            ),
            {"work": work.id, "request": json.dumps(dict(request))},
        ).scalar_one()
    )


def tally(connection: sa.Connection, work_id: int) -> dict[tuple[EntryState, str], int]:
    """Count the conversations by state and by the kind of what was found."""
    rows = connection.execute(
        sa.text(
            """
            SELECT state, coalesce(detail ->> 'kind', '') AS kind, count(*) AS n
            FROM work_entry WHERE work_id = :work GROUP BY 1, 2
            """
        ),
        {"work": work_id},
    )
    return {(row.state, row.kind): row.n for row in rows}


def _work(row: sa.Row[Any]) -> Work:
    return Work(
        row.id,
        str(row.public_id),
        row.member_id,
        row.kind,
        row.state,
        row.reason,
        row.request,
        str(row.batch_id),
        row.total,
        row.done,
        row.created_at,
        row.ended_at,
    )
