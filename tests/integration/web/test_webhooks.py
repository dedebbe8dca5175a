"""POST /webhooks/<provider>: what is stored, what is refused, and that nothing shows whether a mailbox is known."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app.errors import DatabaseUnreachable, VerificationUnavailable
from app.installation import Installation
from app.store import acknowledge
from app.store.database import Database
from app.web import webhooks
from tests.integration.web.conftest import ObedientMail, StoppedClock

pytestmark = pytest.mark.integration

GOOD = {"Authorization": "Bearer good"}


def push(client: FlaskClient, body: str | bytes = "ada@northwind.test 41", **more: Any) -> Any:
    return client.post("/webhooks/gmail", data=body, headers={**GOOD, **more.pop("headers", {})}, **more)


def hint_row(database: Database, team_id: int) -> Any:
    with database.for_team(team_id) as connection:
        return connection.execute(sa.text("SELECT generation, position, queued, pushed_at FROM hint")).one()


def jobs(database: Database) -> list[str]:
    with database.without_team() as connection:
        return list(
            connection.execute(sa.text("SELECT task_name FROM procrastinate_jobs WHERE status = 'todo'")).scalars()
        )


def count(client: FlaskClient, outcome: str) -> float:
    text = client.get("/metrics").get_data(as_text=True)
    name = f'threadlink_pushes_total{{outcome="{outcome}",provider="gmail"}} '
    return next((float(line.removeprefix(name)) for line in text.splitlines() if line.startswith(name)), 0.0)


def test_a_push_raises_the_hint_and_enqueues_one_job(
    client: FlaskClient, database: Database, connect: Callable[..., int], team_id: int, clock: StoppedClock
) -> None:
    connect()
    before, waiting = hint_row(database, team_id), jobs(database)
    answer = push(client)
    assert (answer.status_code, answer.data) == (204, b"")
    after = hint_row(database, team_id)
    assert after.generation == before.generation + 1
    assert (after.position, after.queued, after.pushed_at) == ("41", True, clock.now())
    assert jobs(database) == waiting  # the job of the first read has not started yet


def test_the_request_reaches_the_connector_as_plain_data(client: FlaskClient, mail: ObedientMail) -> None:
    push(client, b"\x00\xff", headers={"X-Some-Header": "Value"}, query_string={"a": "1"}, content_type="text/plain")
    (seen,) = mail.seen
    assert (seen.method, seen.body, dict(seen.args)) == ("POST", b"\x00\xff", {"a": "1"})
    assert seen.headers["x-some-header"] == "Value"
    assert seen.headers["authorization"] == "Bearer good"


def test_a_form_body_is_passed_on_unparsed(client: FlaskClient, mail: ObedientMail) -> None:
    push(client, b"a=1&b=2", content_type="application/x-www-form-urlencoded")
    assert mail.seen[0].body == b"a=1&b=2"


def test_a_handshake_is_answered_literally(client: FlaskClient, mail: ObedientMail) -> None:
    answer = client.post("/webhooks/gmail?validationToken=%3Cscript%3E%2B%20x", data=b"not json")
    assert answer.status_code == 200
    assert answer.data == b"<script>+ x"
    assert answer.mimetype == "text/plain"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_forged_push_is_refused_counted_and_stores_nothing(
    client: FlaskClient, database: Database, connect: Callable[..., int], team_id: int
) -> None:
    connect()
    before, counted = hint_row(database, team_id), count(client, "forged")
    assert push(client, headers={"Authorization": "Bearer forged"}).status_code == 403
    assert count(client, "forged") == counted + 1
    assert hint_row(database, team_id) == before


def test_an_unreadable_push_is_acknowledged_because_sending_it_again_would_not_help(
    client: FlaskClient, database: Database
) -> None:
    counted = count(client, "malformed")
    assert push(client, b"nothing of use here").status_code == 204
    assert count(client, "malformed") == counted + 1
    assert jobs(database) == []


def test_a_push_that_cannot_be_verified_now_is_asked_for_again(client: FlaskClient, mail: ObedientMail) -> None:
    mail.fails_with = VerificationUnavailable()
    assert push(client).status_code == 503


def test_a_push_that_cannot_be_stored_is_asked_for_again(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise DatabaseUnreachable

    monkeypatch.setattr(acknowledge.queue, "hint", gone)
    assert push(client).status_code == 503


def test_a_push_after_the_database_has_gone_is_asked_for_again(
    client: FlaskClient, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = Database("postgresql://nobody@127.0.0.1:1/nothing")
    monkeypatch.setattr(installation.database, "autocommit", dead.autocommit)
    assert push(client).status_code == 503


def test_an_unknown_mailbox_gets_the_very_same_answer(
    client: FlaskClient, connect: Callable[..., int], database: Database, team_id: int
) -> None:
    connect()
    known, unknown = push(client), push(client, "nobody@elsewhere.test 41")
    assert (known.status_code, known.data, dict(known.headers)) == (
        unknown.status_code,
        unknown.data,
        dict(unknown.headers),
    )


def test_an_unknown_mailbox_costs_the_same_number_of_statements(
    client: FlaskClient, connect: Callable[..., int]
) -> None:
    connect()
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)  # on whichever pool it runs
    try:
        push(client)
        for_known = len(statements)
        push(client, "nobody@elsewhere.test 41")
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    assert for_known == len(statements) - for_known == 1


def test_an_unknown_provider_is_not_found(client: FlaskClient) -> None:
    assert client.post("/webhooks/nobody", data=b"x").status_code == 404


def test_a_get_is_not_a_push(client: FlaskClient, mail: ObedientMail) -> None:
    assert client.get("/webhooks/gmail").status_code == 405
    assert mail.seen == []


def test_a_body_over_a_megabyte_is_refused_before_it_is_read(client: FlaskClient, mail: ObedientMail) -> None:
    assert push(client, b"x" * (webhooks.LONGEST_BODY + 1)).status_code == 413
    assert mail.seen == []


def test_a_body_over_a_megabyte_without_a_length_is_refused_too(client: FlaskClient, mail: ObedientMail) -> None:
    body = io.BytesIO(b"x" * (webhooks.LONGEST_BODY + 1))
    answer = client.post(
        "/webhooks/gmail",
        input_stream=body,
        headers={**GOOD, "Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert answer.status_code == 413
    assert mail.seen == []


def test_a_bug_in_a_connector_is_a_500_without_its_text(client: FlaskClient, mail: ObedientMail) -> None:
    mail.fails_with = RuntimeError("CANARY-secret")
    answer = push(client)
    assert answer.status_code == 500
    assert json.loads(answer.data) == {
        "type": "about:blank",
        "status": 500,
        "title": "Something unforeseen went wrong; it was noted.",
        "reason": "internal",
    }


def test_a_foreign_host_is_refused(client: FlaskClient, mail: ObedientMail) -> None:
    assert push(client, base_url="https://evil.test").status_code == 400
    assert mail.seen == []


def test_a_push_fans_out_to_every_team_that_reads_the_mailbox(
    client: FlaskClient, database: Database, connect: Callable[..., int], team: Callable[..., int], team_id: int
) -> None:
    first = connect()
    second_team = team("Agency")
    with database.for_team(second_team) as connection:
        connection.execute(
            sa.text(
                "INSERT INTO account (team_id, provider, kind, address, mailbox, state)"
                " VALUES (:team, 'gmail', 'team', 'ada@northwind.test', 'ada@northwind.test', 'live')"
            ),
            {"team": second_team},
        )
        connection.execute(sa.text("INSERT INTO hint (team_id, account_id) SELECT team_id, id FROM account"))
    push(client)
    assert hint_row(database, team_id).position == hint_row(database, second_team).position == "41"
    assert first
