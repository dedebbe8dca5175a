"""P2: Graph's notification batches acknowledged a second: 100 items each, of 10,000 different mailboxes.

The reference is a bare Flask route behind the same gunicorn with the same threads, which is sent the same batches.
"""

from __future__ import annotations

import json
from contextlib import ExitStack

import sqlalchemy as sa

from app.bootstrap import open_installation
from app.settings import load_settings
from app.store import lookups, schema
from app.store.database import Database
from app.store.rows import insert_rows
from app.store.secrets import installation_secret
from connectors.mail.graph.push import ClientStates
from tests.bench.load import prepared, send
from tests.bench.row import Row
from tests.bench.served import bare, database_server, free_port, web

ACCOUNTS, ITEMS, BATCHES = 10_000, 100, 1_000
BAR = 0.15
TENANT = "5d3c1f0e-0000-4000-8000-000000000001"


def measure() -> list[Row]:
    """Send the batches to both."""
    with ExitStack() as stack:
        data_dir, url = stack.enter_context(database_server())
        settings = load_settings(database_url="", data_dir=data_dir, encryption_keys=())
        installation = open_installation(settings, url, environ={})
        stack.callback(installation.database.close)
        team_id = _make_accounts(installation.database)
        states = ClientStates(installation_secret(installation.database, installation.secrets))
        port, bare_port = free_port(), free_port()
        requests = _requests(states, port)
        with web(data_dir, port, {}):
            send(port, requests[:50])
            ours = send(port, requests)
        with bare(bare_port):
            send(bare_port, requests[:50])
            reference = send(bare_port, requests)
        with installation.database.for_team(team_id) as connection:
            hinted = connection.execute(sa.text("SELECT count(*) FROM hint WHERE generation > 0 AND queued")).scalar()
            jobs = connection.execute(sa.text("SELECT count(*) FROM procrastinate_jobs")).scalar()
    ratio = ours.per_s / reference.per_s
    is_complete = hinted == ACCOUNTS == jobs and set(ours.statuses) == {204}
    what = f"Graph batches of {ITEMS} items acknowledged; {hinted:,} of {ACCOUNTS:,} hints and {jobs:,} jobs stored"
    bar = f">= {BAR:.2f}, no lost hint"
    return [Row("P2", what, ours.per_s, reference.per_s, "req/s", ratio, bar, ratio >= BAR and is_complete)]


def _mailbox(number: int) -> str:
    return f"{TENANT}/00000000-0000-4000-8000-{number:012d}"


def _make_accounts(database: Database) -> int:
    with database.without_team() as connection:
        team_id = lookups.add_team(connection, "Bench")
    known = {"team_id": team_id, "provider": "graph", "kind": "team", "state": "live"}
    with database.for_team(team_id) as connection:
        rows = insert_rows(
            connection,
            schema.account,
            [
                {**known, "address": f"user{number}@northwind.test", "mailbox": _mailbox(number)}
                for number in range(ACCOUNTS)
            ],
            returning=["id"],
        )
        insert_rows(connection, schema.hint, [{"team_id": team_id, "account_id": row.id} for row in rows])
    return team_id


def _requests(states: ClientStates, port: int) -> list[bytes]:
    """Return the batches; after as many as there are mailboxes, those of the first come again."""
    items = [
        {
            "subscriptionId": f"7f105c7d-2dc5-4530-97cd-{number:012d}",
            "subscriptionExpirationDateTime": "2026-11-20T18:23:45.9356913Z",
            "changeType": "created",
            "resource": f"Users/{number}/Messages/AAMkADBhMGZl",
            "resourceData": {"@odata.type": "#Microsoft.Graph.Message", "id": f"AAMkADBhMGZl{number}"},
            "clientState": states.new(_mailbox(number)),
            "tenantId": TENANT,
        }
        for number in range(ACCOUNTS)
    ]
    bodies = [json.dumps({"value": items[at : at + ITEMS]}).encode() for at in range(0, ACCOUNTS, ITEMS)]
    headers = {"Content-Type": "application/json"}
    path = "/webhooks/graph"
    return [prepared(f"127.0.0.1:{port}", path, headers, bodies[n % len(bodies)]) for n in range(BATCHES)]
