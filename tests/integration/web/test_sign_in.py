"""Signing in with a one-time link: good once, for ten minutes, and only while the member is there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from app import signing_in
from app.installation import Installation
from app.model import Member
from app.store.database import Database
from tests.integration.web.conftest import ORIGIN, StoppedClock

pytestmark = pytest.mark.integration

OWN = {"Origin": ORIGIN}


@pytest.fixture
def path(installation: Installation, team_id: int, member: Callable[..., Member]) -> str:
    return urlsplit(signing_in.invite(installation, team_id, member()).url).path


def test_a_link_shows_a_button_and_signs_in_once(client: FlaskClient, app: Flask, path: str) -> None:
    page = client.get(path)
    assert (page.status_code, "Northwind" in page.get_data(as_text=True)) == (200, True)
    assert client.get("/inbox").status_code == 303  # opening it, as a scanner does, signs nobody in
    done = client.post(path, headers=OWN)
    assert (done.status_code, done.headers["Location"]) == (303, "/inbox")
    cookie = done.headers["Set-Cookie"]
    assert cookie.startswith("__Host-threadlink-member=")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert client.get("/inbox").status_code == 200
    assert app.test_client().post(path, headers=OWN).status_code == 404


def test_another_site_signs_nobody_in(client: FlaskClient, path: str) -> None:
    assert client.post(path, headers={"Origin": "https://evil.test"}).status_code == 403
    assert client.post(path).status_code == 403
    assert client.get(path).status_code == 200


def test_a_link_ends_after_ten_minutes(client: FlaskClient, clock: StoppedClock, path: str) -> None:
    clock.advance(timedelta(minutes=10))
    assert (client.get(path).status_code, client.post(path, headers=OWN).status_code) == (404, 404)


def test_a_session_ends_when_another_begins_in_its_browser_and_not_before(
    client: FlaskClient, installation: Installation, clock: StoppedClock, team_id: int, member: Callable[..., Member]
) -> None:
    first, late, last = (urlsplit(signing_in.invite(installation, team_id, member()).url).path for _ in range(3))
    client.post(first, headers=OWN)
    kept = client.get_cookie("__Host-threadlink-member", domain="threadlink.test")
    assert kept is not None
    assert client.post(last, headers=OWN).status_code == 303
    assert signing_in.signed_in(installation, kept.value) is None
    clock.advance(timedelta(minutes=10))
    assert client.post(late, headers=OWN).status_code == 404
    assert client.get("/inbox").status_code == 200


@pytest.mark.parametrize("token", ["x", "x" * 5000, "ı", "%00"])
def test_what_is_no_link_is_not_there(client: FlaskClient, token: str) -> None:
    assert client.get(f"/sign-in/{token}").status_code == 404


def test_signing_out_ends_the_session_for_good(client: FlaskClient, path: str) -> None:
    client.post(path, headers=OWN)
    kept = client.get_cookie("__Host-threadlink-member", domain="threadlink.test")
    assert kept is not None
    assert client.post("/sign-out", headers=OWN).headers["Location"] == "/sign-in"
    client.set_cookie("__Host-threadlink-member", kept.value, domain="threadlink.test", secure=True)
    assert client.get("/inbox").headers["Location"] == "/sign-in"


def test_a_session_ends_with_its_time_and_with_its_member(
    client: FlaskClient, clock: StoppedClock, database: Database, team_id: int, path: str
) -> None:
    client.post(path, headers=OWN)
    clock.advance(timedelta(days=13))
    assert client.get("/inbox").status_code == 200
    with database.for_team(team_id) as connection:
        connection.execute(sa.text("UPDATE member SET removed_at = now()"))
    assert client.get("/inbox").status_code == 303  # T13: with the next request
    with database.for_team(team_id) as connection:
        connection.execute(sa.text("UPDATE member SET removed_at = NULL"))
    assert client.get("/inbox").status_code == 200
    clock.advance(timedelta(days=2))
    assert client.get("/inbox").status_code == 303


def test_tokens_and_cookies_are_stored_as_hashes_alone(
    client: FlaskClient, database: Database, team_id: int, path: str
) -> None:
    client.post(path, headers=OWN)
    kept = client.get_cookie("__Host-threadlink-member", domain="threadlink.test")
    assert kept is not None
    with database.for_team(team_id) as connection:
        rows = connection.execute(sa.text("SELECT s::text || l::text FROM member_session s, sign_in_link l")).scalars()
        stored = " ".join(rows)
    assert kept.value not in stored
    assert path.rpartition("/")[2] not in stored
