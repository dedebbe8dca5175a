"""P4: messages a second from a provider's page to stored conversation and decision, the connector in this process.

The reference writes the very same rows into the same tables, as the same role under the same row-level security, with
executemany and without any logic. Both work on tables that hold mail already and were analysed, as autovacuum does
within seconds: plans made for empty tables are no measure of either.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import psycopg
import sqlalchemy as sa
from psycopg import sql
from psycopg.types.json import Jsonb

from app import sync
from app.model import ProviderMessage
from app.ports import Change, ChangePage, Fetched, FetchOutcome, Mailbox, MailCapabilities, MailConnector
from app.store import schema
from tests.bench.row import Row
from tests.bench.stage import MAILBOX, START, stage

MESSAGES, TURNS, PAGE, BATCH = 2_000, 5, 500, 100
CONVERSATIONS = MESSAGES // TURNS
STORED_BEFORE = 500
ACTIVE = 50  # conversations that go on at the same time; when they end, as many others begin
BAR = 0.25
TABLES = (
    "conversation", "message", "message_copy", "participant", "message_body", "conversation_alias",
    "decision", "link", "discovered_message", "inbox_entry",
)  # fmt: skip


class StubConnector:
    """A mailbox of made-up conversations between Ada and customers, served from memory."""

    provider = "gmail"
    capabilities = MailCapabilities(batch_size=BATCH, subscription_renew_before_s=0, authserv_id="mx.google.com")

    def __init__(self, numbers: range) -> None:
        self._messages = {message.provider_id: message for message in map(_message, numbers)}

    def list_changes(self, mailbox: Mailbox, cursor: str | None, until: str | None = None) -> Iterator[ChangePage]:
        ids = list(self._messages)
        for start in range(0, len(ids), PAGE):
            yield ChangePage(tuple(Change(i, "t") for i in ids[start : start + PAGE]), cursor=str(start + PAGE))

    def fetch(self, mailbox: Mailbox, provider_ids: Sequence[str]) -> list[FetchOutcome]:
        return [Fetched(i, self._messages[i]) for i in provider_ids]


def _message(number: int) -> ProviderMessage:
    """Return message `number`: five in a conversation, asked and answered in turn."""
    block, place = divmod(number, ACTIVE * TURNS)
    turn, active = divmod(place, ACTIVE)
    conversation = block * ACTIVE + active
    customer, inbound = f"person{conversation}@customer{conversation % 50}.test", turn % 2 == 0
    ids = [f"<{conversation}.{earlier}@bench.test>" for earlier in range(turn + 1)]
    at = START + timedelta(minutes=number)
    headers = [
        ("From", f"Person <{customer}>" if inbound else f"Ada <{MAILBOX}>"),
        ("To", f"Ada <{MAILBOX}>" if inbound else f"Person <{customer}>"),
        ("Cc", f"colleague@customer{conversation % 50}.test"),
        ("Subject", f"Re: Order {conversation}" if turn else f"Order {conversation}"),
        ("Date", at.strftime("%a, %d %b %Y %H:%M:%S +0000")),
        ("Message-ID", ids[-1]),
    ]
    if turn:
        headers += [("In-Reply-To", ids[-2]), ("References", " ".join(ids[:-1]))]
    return ProviderMessage(
        provider_id=f"m{number}",
        provider_thread_id=f"t{conversation}",
        at=at,
        folder="inbox" if inbound else "sent",
        headers=tuple(headers),
        text=f"Hello,\n\nthis is message {turn} about order {conversation}.\n" * 5,
        snippet=f"this is message {turn} about order {conversation}",
    )


def measure() -> list[Row]:
    """Sync the stub mailbox, then write what it left with executemany, on the same server."""
    with stage() as world:
        installation = world.installation
        with installation.database.for_team(world.team_id) as connection:
            account_id = connection.execute(sa.text("SELECT id FROM account")).scalar_one()
            connection.execute(sa.text("UPDATE account SET cursor = NULL"))
        world.pause_worker()
        warm, stubbed = (
            replace(installation, mail={"gmail": cast("MailConnector", StubConnector(numbers))})
            for numbers in (range(STORED_BEFORE), range(STORED_BEFORE, STORED_BEFORE + MESSAGES))
        )
        sync.sync_account(warm, world.team_id, account_id)
        _analyse(world.database_url)
        start = time.perf_counter()
        synced = sync.sync_account(stubbed, world.team_id, account_id)
        ours = MESSAGES / (time.perf_counter() - start)
        assert synced.stored == MESSAGES, synced
        reference = MESSAGES / _write_without_logic(world.database_url, world.team_id)
    ratio = ours / reference
    what = f"messages/s stored and decided on ({MESSAGES:,} in {CONVERSATIONS} conversations)"
    return [Row("P4", what, ours, reference, "/s", ratio, f">= {BAR}", ratio >= BAR)]


def _analyse(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET ROLE threadlink_owner")
        for name in TABLES:
            connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(name)))


def _write_without_logic(url: str, team_id: int) -> float:
    """Copy all rows, delete them, time writing them again; return the seconds for as many messages as were synced."""
    with psycopg.connect(url) as connection:
        connection.execute("SET ROLE threadlink_owner")
        rows = {name: _rows(connection, name) for name in TABLES}
        stored = len(rows["message"])
        connection.execute("DELETE FROM conversation")
        connection.execute("DELETE FROM discovered_message")
        connection.commit()
        connection.execute("SET ROLE threadlink_app")
        connection.commit()
        start = time.perf_counter()
        connection.execute("SELECT set_config('threadlink.team', %s, true)", (str(team_id),))
        with connection.cursor() as cursor:
            for name in TABLES:
                cursor.executemany(_insert(name), rows[name])
        connection.commit()
        return (time.perf_counter() - start) * MESSAGES / stored


def _rows(connection: psycopg.Connection[Any], name: str) -> list[Mapping[str, Any]]:
    cursor = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(name)))
    columns = [column.name for column in cursor.description or ()]
    table = schema.metadata.tables[name]
    is_json = {column for column in columns if isinstance(table.c[column].type, sa.JSON)}
    return [
        {
            column: Jsonb(value) if column in is_json else value
            for column, value in zip(columns, row, strict=True)
            if (name, column) != ("conversation", "decision_id")
        }
        for row in cursor
    ]


def _insert(name: str) -> sql.Composed:
    columns = [c.name for c in schema.metadata.tables[name].c if (name, c.name) != ("conversation", "decision_id")]
    return sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})").format(
        sql.Identifier(name),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join(map(sql.Placeholder, columns)),
    )
