"""What a member did last and neither took back nor dismissed, so that its undo stays on every page."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa


@dataclass(frozen=True, slots=True)
class LastAction:
    """An action that can be taken back: its batch, the word for it, how many conversations it met and left alone."""

    batch_id: str
    done: str
    n: int
    left: int


def remember(connection: sa.Connection, team_id: int, member_id: int, last: LastAction) -> None:
    """Store what a member just did, in place of what was before."""
    connection.execute(
        sa.text(
            """
            INSERT INTO last_action (team_id, member_id, batch_id, done, n, left_as_is)
            VALUES (:team, :member, CAST(:batch AS uuid), :done, :n, :left)
            ON CONFLICT (team_id, member_id) DO UPDATE SET
              batch_id = excluded.batch_id, done = excluded.done, n = excluded.n, left_as_is = excluded.left_as_is
            """
        ),
        {
            "team": team_id,
            "member": member_id,
            "batch": last.batch_id,
            "done": last.done,
            "n": last.n,
            "left": last.left,
        },
    )


def last_of(connection: sa.Connection, member_id: int) -> LastAction | None:
    """Return what a member did last, while it is neither taken back nor dismissed."""
    row = connection.execute(
        sa.text("SELECT batch_id, done, n, left_as_is FROM last_action WHERE member_id = :member"),
        {"member": member_id},
    ).one_or_none()
    return LastAction(str(row.batch_id), row.done, row.n, row.left_as_is) if row else None


def forget(connection: sa.Connection, member_id: int, batch_id: str) -> None:
    """Forget an action of a member: it was taken back or dismissed. Another one stays."""
    connection.execute(
        sa.text("DELETE FROM last_action WHERE member_id = :member AND batch_id = CAST(:batch AS uuid)"),
        {"member": member_id, "batch": batch_id},
    )
