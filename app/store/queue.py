"""The one place that enqueues: hints about mailboxes, and jobs of any other kind.

A hint lives on a row of its own, so that a hundred pushes make one job. Whoever turns `queued` from false to true
enqueues the job, in the same statement. The job's first act is take(), which turns it back and waits for hints that
are not committed yet; then it works while the generation is ahead of what was synced and reads it again after each
round, with synced(). Only take() resets `queued`, so a hint during a run has a job of its own and none is lost.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa


@dataclass(frozen=True, slots=True)
class Hint:
    """What is known to have changed in a mailbox: there is something to do while `generation` is ahead."""

    generation: int
    synced_generation: int
    position: str | None = None  # the latest position that a push named

    @property
    def is_open(self) -> bool:
        return self.generation > self.synced_generation


_HINT = sa.text(
    "SELECT threadlink_hint(:provider, CAST(:mailboxes AS text[]), CAST(:positions AS text[]),"
    " coalesce(CAST(:at AS timestamptz), now()))"
)
_HINT_ACCOUNTS = sa.text(
    "SELECT threadlink_hint_accounts(CAST(:accounts AS bigint[]), coalesce(CAST(:at AS timestamptz), now()))"
)
_NOTHING = Hint(0, 0)
_COLUMNS = "generation, synced_generation, position"


def hint(
    connection: sa.Connection, provider: str, pushed: Sequence[tuple[str, str | None]], at: datetime | None = None
) -> int:
    """Raise the hints of every account that reads one of the pushed (mailbox, position); return how many.

    This is the whole acknowledgement of a push, in one statement: on a connection of Database.autocommit() it is one
    round trip and durable when it returns. Unknown mailboxes cost the same and change nothing.
    """
    parameters = {
        "provider": provider,
        "mailboxes": [mailbox for mailbox, _ in pushed],
        "positions": [position for _, position in pushed],
        "at": at,
    }
    return int(connection.execute(_HINT, parameters).scalar_one())


def renew(connection: sa.Connection, provider: str, mailboxes: Collection[str]) -> int:
    """Enqueue the renewal of these mailboxes' registrations for pushes, for every account; return how many jobs."""
    parameters = {"provider": provider, "mailboxes": sorted(mailboxes)}
    return int(connection.execute(sa.text("SELECT threadlink_renew(:provider, :mailboxes)"), parameters).scalar_one())


def hint_accounts(connection: sa.Connection, account_ids: Collection[int], at: datetime | None = None) -> int:
    """Raise the hints of these accounts, for the poll, the audit and people; return how many.

    In a team's transaction the accounts of other teams are left alone.
    """
    return int(connection.execute(_HINT_ACCOUNTS, {"accounts": list(account_ids), "at": at}).scalar_one())


def take(connection: sa.Connection, account_id: int) -> Hint:
    """Begin a job: hints from now on enqueue a job of their own. Commit at once, pushes wait for this row."""
    return _hint(
        connection,
        f"UPDATE hint SET queued = false WHERE account_id = :account_id RETURNING {_COLUMNS}",
        account_id=account_id,
    )


def generation(connection: sa.Connection, account_id: int) -> Hint:
    """Read the hint again."""
    return _hint(connection, f"SELECT {_COLUMNS} FROM hint WHERE account_id = :account_id", account_id=account_id)


def synced(connection: sa.Connection, account_id: int, generation: int) -> Hint:
    """End a round: everything hinted up to this generation was read. Returns the hint as it is now."""
    return _hint(
        connection,
        f"""
        UPDATE hint SET synced_generation = greatest(synced_generation, :generation)
        WHERE account_id = :account_id RETURNING {_COLUMNS}
        """,
        account_id=account_id,
        generation=generation,
    )


def defer(
    connection: sa.Connection,
    task: str,
    jobs: Sequence[tuple[Mapping[str, int], str | None]],
    *,
    at: datetime | None = None,
) -> None:
    """Enqueue a job for each (arguments, lock), to start at `at` or at once, with this transaction.

    Arguments are ids and versions only: everybody's jobs lie in one table. Jobs of one lock run one after another.
    """
    if not jobs:
        return
    connection.execute(
        sa.text(
            """
            SELECT threadlink_defer(array_agg(
              ROW('default', CAST(:task AS text), 0, j.lock, NULL, j.args, CAST(:at AS timestamptz)
              )::procrastinate_job_to_defer_v1 ORDER BY j.position))
            FROM ROWS FROM (jsonb_to_recordset(CAST(:jobs AS jsonb)) AS (args jsonb, lock text)) WITH ORDINALITY
                 AS j (args, lock, position)
            """
        ),
        {"task": task, "at": at, "jobs": json.dumps([{"args": dict(args), "lock": lock} for args, lock in jobs])},
    )


def _hint(connection: sa.Connection, sql: str, **parameters: object) -> Hint:
    row = connection.execute(sa.text(sql), parameters).one_or_none()
    return Hint(row.generation, row.synced_generation, row.position) if row else _NOTHING
