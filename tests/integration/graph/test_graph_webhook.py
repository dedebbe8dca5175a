"""Graph's pushes at the webhook itself: one statement for a batch, and a handshake that touches nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.bootstrap import create_app, open_installation
from app.installation import Installation
from app.settings import load_settings
from app.store import schema
from app.store.rows import insert_rows
from app.store.secrets import installation_secret
from app.testing.fakes import SteppedClock
from connectors.mail.graph.push import ClientStates

pytestmark = pytest.mark.integration

ACCOUNTS = 50
TENANT = "5d3c1f0e-0000-4000-8000-000000000001"


@dataclass
class Webhook:
    """The web application of an installation, with fifty mailboxes at Microsoft and what their pushes carry."""

    installation: Installation
    client: FlaskClient
    team_id: int
    states: ClientStates
    sent: list[str]

    def item(self, number: int, **changed: object) -> dict[str, object]:
        return {
            "subscriptionId": f"s{number}",
            "clientState": self.states.new(mailbox(number)),
            "changeType": "created",
            "resource": f"Users/{number}/Messages/m{number}",
            "resourceData": {"id": f"m{number}"},
            "tenantId": TENANT,
            **changed,
        }

    def push(self, *items: dict[str, object]) -> int:
        self.sent.clear()
        return self.post("/webhooks/graph", json.dumps({"value": items}).encode()).status_code

    def post(self, path: str, body: bytes) -> TestResponse:
        return self.client.post(path, data=body, base_url=self.installation.settings.public_base_url)

    def hinted(self) -> int:
        with self.installation.database.for_team(self.team_id) as connection:
            return int(connection.execute(sa.text("SELECT count(*) FROM hint WHERE generation > 0")).scalar_one())


def mailbox(number: int) -> str:
    return f"{TENANT}/00000000-0000-4000-8000-{number:012d}"


@pytest.fixture
def webhook(database_url: str, team: Callable[..., int]) -> Iterator[Webhook]:
    settings = load_settings(encryption_keys=Fernet.generate_key().decode())
    installation = open_installation(settings, database_url, clock=SteppedClock(), environ={})
    team_id, database = team(), installation.database
    with database.for_team(team_id) as connection:
        known = {"team_id": team_id, "provider": "graph", "kind": "team", "state": "live"}
        rows = [{**known, "address": f"u{n}@northwind.test", "mailbox": mailbox(n)} for n in range(ACCOUNTS)]
        made = insert_rows(connection, schema.account, rows, returning=["id"])
        insert_rows(connection, schema.hint, [{"team_id": team_id, "account_id": row.id} for row in made])
    sent: list[str] = []

    def keep(_connection: object, _cursor: object, sql: str, *_: object) -> None:
        sent.append(sql)

    for engine in (database.engine, database._autocommit):
        sa.event.listen(engine, "before_cursor_execute", keep)
    states = ClientStates(installation_secret(database, installation.secrets))
    sent.clear()
    yield Webhook(installation, create_app(installation).test_client(), team_id, states, sent)
    database.close()


@pytest.mark.parametrize("size", [1, 500])
def test_a_batch_is_stored_with_one_statement(webhook: Webhook, size: int) -> None:
    items = [webhook.item(number % ACCOUNTS, resourceData={"id": f"m{number}"}) for number in range(size)]
    assert webhook.push(*items) == 204
    assert len(webhook.sent) == 1
    assert "hint" in webhook.sent[0]
    assert webhook.hinted() == min(size, ACCOUNTS)


def test_wrong_items_of_a_batch_are_left_out_and_the_others_stored(webhook: Webhook) -> None:
    stranger = ClientStates(b"another installation's secret....")
    wrong = [
        webhook.item(1, clientState=stranger.new(mailbox(1))),
        webhook.item(2, clientState="<script>"),
        webhook.item(3, clientState=None),
        webhook.item(4, clientState=webhook.states.new(mailbox(10_000))),  # of no account: stored for nobody
    ]
    assert webhook.push(*wrong, webhook.item(5), webhook.item(6)) == 204
    assert webhook.hinted() == 2
    assert webhook.push(*wrong[:3]) == 403
    assert webhook.hinted() == 2


@pytest.mark.parametrize(
    ("sent", "back"),
    [("Validation%3A+Testing%2Bplus", "Validation: Testing+plus"), ("%3Cscript%3E", "<script>"), ("a%2520b", "a%20b")],
)
def test_the_handshake_is_answered_before_anything_is_read_or_asked(webhook: Webhook, sent: str, back: str) -> None:
    webhook.sent.clear()
    answer = webhook.post(f"/webhooks/graph?validationToken={sent}", b"{not json")
    assert (answer.status_code, answer.get_data(as_text=True), answer.mimetype) == (200, back, "text/plain")
    assert webhook.sent == []
