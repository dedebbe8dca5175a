"""Pushes that arrive together are stored together, and none is answered before its hint is committed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from app.errors import DatabaseUnreachable
from app.model import Notification
from app.store import schema
from app.store.acknowledge import Acknowledger
from app.store.database import Database
from app.store.rows import insert_rows

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PUSHES = 40


@pytest.fixture
def mailboxes(database: Database, team: Callable[..., int]) -> int:
    team_id = team()
    with database.for_team(team_id) as connection:
        accounts = insert_rows(
            connection,
            schema.account,
            [
                {
                    "team_id": team_id,
                    "provider": "gmail",
                    "kind": "team",
                    "state": "live",
                    "address": f"a{n}@x.test",
                    "mailbox": f"a{n}@x.test",
                }
                for n in range(PUSHES)
            ],
            returning=["id"],
        )
        insert_rows(connection, schema.hint, [{"team_id": team_id, "account_id": row.id} for row in accounts])
    return team_id


def generations(database: Database, team_id: int) -> list[int]:
    with database.for_team(team_id) as connection:
        return sorted(connection.execute(sa.text("SELECT generation FROM hint")).scalars())


def push(acknowledger: Acknowledger, number: int) -> None:
    acknowledger.store([Notification("gmail", f"a{number}@x.test", str(number))], NOW)


def test_a_push_alone_is_committed_when_store_returns(database: Database, mailboxes: int) -> None:
    push(Acknowledger(database), 0)
    assert generations(database, mailboxes) == [0] * (PUSHES - 1) + [1]


def test_pushes_of_many_threads_are_all_stored_in_fewer_statements(database: Database, mailboxes: int) -> None:
    acknowledger, statements = Acknowledger(database), []
    sa.event.listen(database._autocommit, "before_cursor_execute", lambda _c, _cur, sql, *_: statements.append(sql))
    begin = threading.Barrier(PUSHES)

    def run(number: int) -> None:
        begin.wait()
        push(acknowledger, number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(PUSHES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert generations(database, mailboxes) == [1] * PUSHES
    assert len(statements) < PUSHES


def test_every_push_of_a_batch_that_was_not_stored_says_so(database: Database, mailboxes: int) -> None:
    acknowledger = Acknowledger(database)
    with database.engine.connect() as connection:
        url = database.engine.url
        connection.close()
    gone = Database(url.set(port=1, host="127.0.0.1").render_as_string(hide_password=False))
    failing, failed = Acknowledger(gone), []

    def run(number: int) -> None:
        try:
            push(failing, number)
        except DatabaseUnreachable:
            failed.append(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(failed) == list(range(8))
    push(acknowledger, 1)
    assert generations(database, mailboxes)[-1] == 1


def test_what_the_provider_says_of_a_registration_renews_it_once_for_every_account(
    database: Database, mailboxes: int
) -> None:
    acknowledger = Acknowledger(database)
    for _ in range(2):
        acknowledger.store([Notification("gmail", "a1@x.test", renew=True), Notification("gmail", "a2@x.test")], NOW)
    with database.without_team() as connection:
        jobs = connection.execute(
            sa.text("SELECT task_name, count(*) FROM procrastinate_jobs GROUP BY 1 ORDER BY 1")
        ).all()
    assert [tuple(row) for row in jobs] == [("renew_subscription", 1), ("sync_account", 2)]
