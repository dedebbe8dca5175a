"""Health, figures, headers and error answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app.errors import SettingsError
from app.installation import Installation
from app.store.database import Database
from app.web.application import application
from tests.integration.web.conftest import ORIGIN, StoppedClock

pytestmark = pytest.mark.integration

DEAD = "postgresql://nobody@127.0.0.1:1/nothing"


def test_a_process_that_lives_says_so_without_the_database(
    client: FlaskClient, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation.database, "without_team", Database(DEAD).without_team)
    assert client.get("/healthz").get_json() == {"status": "ok"}


def test_a_process_is_ready_when_the_database_is(client: FlaskClient) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, answer.get_json()) == (200, {"status": "ok"})


def test_a_process_without_a_database_is_not_ready(
    client: FlaskClient, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation.database, "without_team", Database(DEAD).without_team)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.get_json()) == (503, {"status": "database_unreachable"})


def test_a_process_whose_role_sees_every_team_is_not_ready(
    client: FlaskClient, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise SettingsError("The database role in force can see every team.")

    monkeypatch.setattr(installation.database, "check_role", refuse)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.get_json()) == (503, {"status": "database_role_wrong"})


def test_an_error_that_no_answer_is_foreseen_for_is_a_500_without_its_text(
    client: FlaskClient, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise SettingsError("CANARY")

    monkeypatch.setattr("app.connecting.open_link", fail)
    answer = client.get("/connect/x")
    assert (answer.status_code, answer.get_json()["reason"]) == (500, "internal")
    assert b"CANARY" not in answer.data


@pytest.mark.parametrize(
    ("revision", "status"),
    [("0001", "migrations_pending"), ("0002", "migrations_pending"), ("9999 of a newer release", "ok")],
)
def test_a_process_is_ready_when_its_revisions_ran(
    client: FlaskClient, database: Database, server: Any, revision: str, status: str
) -> None:
    def set_revision(value: str) -> str:
        with psycopg.connect(server.url) as connection:
            connection.execute("SET ROLE threadlink_owner")
            (before,) = connection.execute("SELECT version_num FROM alembic_version").fetchone() or ("",)
            connection.execute("UPDATE alembic_version SET version_num = %s", [value])
        return str(before)

    before = set_revision(revision)
    try:
        assert client.get("/readyz").get_json() == {"status": status}
    finally:
        set_revision(before)


def figures(client: FlaskClient) -> dict[str, float]:
    lines = client.get("/metrics").get_data(as_text=True).splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}


def test_figures_count_accounts_messages_and_jobs(
    client: FlaskClient, connect: Callable[..., int], database: Database, team_id: int, clock: StoppedClock
) -> None:
    account_id = connect()
    clock.advance(timedelta(hours=2))
    with database.for_team(team_id) as connection:
        connection.execute(
            sa.text("UPDATE account SET state = 'live', created_at = :before"),
            {"before": clock.now() - timedelta(days=1)},
        )
        for provider_id, state, minutes in (("1", "pending", 10), ("2", "parked", 5), ("3", "stored", 1)):
            connection.execute(
                sa.text(
                    "INSERT INTO discovered_message (team_id, account_id, provider_id, state, discovered_at)"
                    " VALUES (:team, :account, :provider_id, :state, :at)"
                ),
                {
                    "team": team_id,
                    "account": account_id,
                    "provider_id": provider_id,
                    "state": state,
                    "at": clock.now() - timedelta(minutes=minutes),
                },
            )
        connection.execute(sa.text("UPDATE hint SET pushed_at = :at"), {"at": clock.now() - timedelta(minutes=8)})
    found = figures(client)
    assert found["threadlink_database_up"] == 1
    assert found['threadlink_accounts{state="live"}'] == 1
    assert found['threadlink_messages{state="pending"}'] == 1
    assert found['threadlink_messages{state="parked"}'] == 1
    assert found['threadlink_jobs{state="todo"}'] == 2
    assert found["threadlink_oldest_pending_seconds"] == 600
    assert found["threadlink_found_by_poll_share"] == pytest.approx(1 / 3)


def test_figures_of_an_idle_installation_are_zero(client: FlaskClient) -> None:
    found = figures(client)
    assert found["threadlink_oldest_pending_seconds"] == 0
    assert found["threadlink_found_by_poll_share"] == 0


def test_figures_without_a_database_say_so(
    client: FlaskClient, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation.database, "without_team", Database(DEAD).without_team)
    assert figures(client)["threadlink_database_up"] == 0


def test_figures_name_nobody(client: FlaskClient, connect: Callable[..., int]) -> None:
    connect("canary@northwind.test")
    client.post("/webhooks/gmail", data="canary@northwind.test 1", headers={"Authorization": "Bearer good"})
    text = client.get("/metrics").get_data(as_text=True)
    assert "canary" not in text
    assert "orthwind" not in text


@pytest.mark.parametrize("path", ["/healthz", "/connect/unknown", "/nothing", "/webhooks/gmail"])
def test_every_answer_carries_the_security_headers(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Strict-Transport-Security"].startswith("max-age=")
    assert headers["Cache-Control"] == "no-store"


def test_the_style_sheet_may_be_cached(client: FlaskClient) -> None:
    with client.get("/static/page.css") as answer:
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "public, max-age=3600"


def test_an_error_is_a_problem_document_for_programs_and_a_page_for_browsers(client: FlaskClient) -> None:
    problem = client.get("/nothing", headers={"Accept": "application/json"})
    assert problem.mimetype == "application/problem+json"
    assert json.loads(problem.data)["status"] == 404
    page = client.get("/nothing", headers={"Accept": "text/html", "Accept-Language": "tr"})
    assert page.status_code == 404
    assert page.mimetype == "text/html"
    assert "Burada görebileceğiniz bir şey yok." in page.get_data(as_text=True)


def test_a_large_body_is_refused_on_pages(client: FlaskClient) -> None:
    form = {"state": "x" * 64_001}
    assert client.post("/connect/gmail/confirm", data=form, headers={"Origin": ORIGIN}).status_code == 413


def test_webhooks_and_pages_may_live_in_separate_processes(installation: Installation) -> None:
    def routes(*parts: str) -> set[str]:
        return {rule.rule for rule in application(installation, parts).url_map.iter_rules()}

    assert "/connect/<token>" not in routes("webhooks")
    assert "/webhooks/<provider>" in routes("webhooks")
    assert "/webhooks/<provider>" not in routes("pages")
    assert "/healthz" in routes("webhooks") & routes("pages")
