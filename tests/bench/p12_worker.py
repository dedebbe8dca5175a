"""P12: one worker and 500 accounts whose provider takes 100 ms to answer, against latency divided by concurrency.

Each account is asked for its changes once, and has none: what is measured is how well a worker fills its waiting.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import cast

import sqlalchemy as sa

from app.bootstrap import Worker, open_installation
from app.ports import ChangePage, Mailbox, MailCapabilities, MailConnector
from app.settings import load_settings
from app.store import lookups, queue, schema
from app.store.rows import insert_rows
from tests.bench.row import Row
from tests.bench.served import database_server

ACCOUNTS, LATENCY_S, CONCURRENCY = 500, 0.1, 8
BAR = 0.8


class SlowConnector:
    """A provider that takes its time and has nothing new."""

    provider = "gmail"
    capabilities = MailCapabilities(batch_size=25, subscription_renew_before_s=0, authserv_id="mx.google.com")

    def __init__(self) -> None:
        self.asked = 0

    def list_changes(self, mailbox: Mailbox, cursor: str | None, until: str | None = None) -> Iterator[ChangePage]:
        self.asked += 1
        time.sleep(LATENCY_S)
        yield ChangePage((), cursor="1")


def measure() -> list[Row]:
    """Hint every account at once, then time one worker until nothing waits."""
    with ExitStack() as stack:
        data_dir, url = stack.enter_context(database_server())
        settings = load_settings(database_url="", data_dir=data_dir, encryption_keys=())
        opened = open_installation(settings, url, environ={}, pool_size=CONCURRENCY + 2)
        stack.callback(opened.database.close)
        connector = SlowConnector()
        installation = replace(opened, mail={"gmail": cast("MailConnector", connector)})
        database = installation.database
        with database.without_team() as connection:
            team_id = lookups.add_team(connection, "Bench")
        known = {"team_id": team_id, "provider": "gmail", "kind": "team", "state": "live", "cursor": "0"}
        addresses = [f"user{number}@northwind.test" for number in range(ACCOUNTS)]
        with database.for_team(team_id) as connection:
            rows = [{**known, "address": each, "mailbox": each} for each in addresses]
            made = insert_rows(connection, schema.account, rows, returning=["id"])
            insert_rows(connection, schema.hint, [{"team_id": team_id, "account_id": row.id} for row in made])
        with database.autocommit() as connection:
            assert queue.hint(connection, "gmail", [(each, "1") for each in addresses]) == ACCOUNTS
        worker = Worker(installation, url, concurrency=CONCURRENCY)
        start = time.perf_counter()
        worker.start()
        while _waiting(installation.database.engine):
            time.sleep(0.02)
        spent_s = time.perf_counter() - start
        worker.stop()
    ideal_s = ACCOUNTS * LATENCY_S / CONCURRENCY
    ratio = ideal_s / spent_s
    what = f"accounts/s of one worker, {CONCURRENCY} jobs at once; {connector.asked} of {ACCOUNTS} read"
    is_met = ratio >= BAR and connector.asked == ACCOUNTS
    return [Row("P12", what, ACCOUNTS / spent_s, ACCOUNTS / ideal_s, "/s", ratio, f">= {BAR}", is_met)]


def _waiting(engine: sa.Engine) -> bool:
    query = "SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE task_name = 'sync_account' AND status <> 'failed')"
    with engine.connect() as connection:
        return bool(connection.execute(sa.text(query)).scalar())
