"""P1: Gmail pushes acknowledged a second, signature verified, hint and job committed; 10,000 different accounts.

The reference is a bare Flask route behind the same gunicorn with the same threads, in the same run.
"""

from __future__ import annotations

from contextlib import ExitStack

import sqlalchemy as sa

from app import registry
from app.installation import SystemClock
from app.store import lookups, schema
from app.store.database import Database
from app.store.rows import insert_rows
from tests.bench.load import prepared, send
from tests.bench.row import Row
from tests.bench.served import bare, database_server, free_port, web

ACCOUNTS = 10_000
BAR = 0.30


def measure() -> list[Row]:
    """Push once for each account, and send as many requests to the bare route."""
    with ExitStack() as stack:
        data_dir, url = stack.enter_context(database_server())
        database = Database(url)
        stack.callback(database.close)
        _make_accounts(database)
        simulator = registry.simulator("gmail")
        port, bare_port = free_port(), free_port()
        environ = simulator.start(SystemClock())
        stack.callback(simulator.stop)
        simulator.push_to(f"http://127.0.0.1:{port}/webhooks/gmail")
        simulator.add_mailbox(_address(0))
        requests = _requests(simulator, port)
        with web(data_dir, port, environ):
            send(port, requests[:200])  # keys fetched, pool filled
            ours = send(port, requests)
        with bare(bare_port):
            send(bare_port, requests[:200])
            reference = send(bare_port, requests)
        with database.without_team() as connection:
            (team,) = lookups.all_teams(connection)
        with database.for_team(team.id) as connection:
            hinted = connection.execute(sa.text("SELECT count(*) FROM hint WHERE generation > 0 AND queued")).scalar()
            jobs = connection.execute(sa.text("SELECT count(*) FROM procrastinate_jobs")).scalar()
    ratio = ours.per_s / reference.per_s
    is_complete = hinted == ACCOUNTS == jobs and set(ours.statuses) == {204}
    what = f"Gmail pushes acknowledged; {hinted:,} of {ACCOUNTS:,} hints and {jobs:,} jobs stored"
    bar = f">= {BAR:.2f}, no lost hint"
    return [Row("P1", what, ours.per_s, reference.per_s, "req/s", ratio, bar, ratio >= BAR and is_complete)]


def _address(number: int) -> str:
    return f"user{number}@northwind.test"


def _make_accounts(database: Database) -> None:
    with database.without_team() as connection:
        team_id = lookups.add_team(connection, "Bench")
    with database.for_team(team_id) as connection:
        rows = insert_rows(
            connection,
            schema.account,
            [
                {
                    "team_id": team_id,
                    "provider": "gmail",
                    "kind": "team",
                    "address": _address(number),
                    "mailbox": _address(number),
                    "state": "live",
                }
                for number in range(ACCOUNTS)
            ],
            returning=["id"],
        )
        insert_rows(connection, schema.hint, [{"team_id": team_id, "account_id": row.id} for row in rows])


def _requests(simulator: object, port: int) -> list[bytes]:
    """Return one signed push for each account; Pub/Sub, too, uses a token for many pushes."""
    headers, _ = simulator.push_request(_address(0))  # type: ignore[attr-defined]  # the Gmail simulator's own
    return [
        prepared(
            f"127.0.0.1:{port}",
            "/webhooks/gmail",
            headers,
            simulator.push_request(_address(n))[1],
        )
        for n in range(ACCOUNTS)
    ]
