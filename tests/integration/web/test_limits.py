"""How often somebody may ask: addresses, members and teams, and who is never limited (W16, W18)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import signing_in
from app.installation import Installation
from tests.integration.building import ADA, BEA, CAN, DAN, Office
from tests.integration.web.conftest import ORIGIN
from tests.integration.web.program import Program

pytestmark = pytest.mark.integration

Programs = Callable[..., Program]
FIGURES = {"limit_requests": 5, "limit_sign_ins": 2, "limit_writes": 2, "limit_searches": 2, "limit_heavy": 2}


@pytest.fixture
def installation(installation: Installation) -> Installation:
    return replace(installation, settings=installation.settings.model_copy(update=FIGURES))


def asked(client: FlaskClient, path: str, address: str, *, method: str = "GET", html: bool = False) -> TestResponse:
    headers = {"Accept": "text/html"} if html else {}
    return client.open(path, method=method, headers=headers, environ_overrides={"REMOTE_ADDR": address})


def test_an_address_tries_only_so_many_links_in_a_minute(client: FlaskClient) -> None:
    tried = [asked(client, "/sign-in/guessed", "93.184.216.34", html=True) for _ in range(3)]
    assert [answer.status_code for answer in tried] == [404, 404, 429]
    assert 1 <= int(tried[-1].headers["Retry-After"]) <= 60
    assert "That was too often." in tried[-1].text
    assert asked(client, "/sign-in/guessed", "93.184.216.35").status_code == 404
    assert asked(client, "/connect/guessed", "93.184.216.34").status_code == 429


@pytest.mark.parametrize(
    "path",
    [
        "/invitation/guessed",
        "/gmail/connect/guessed",
        "/outlook/connect/guessed",
        "/panels/pipedrive/connect/17/guessed",
        "/preferences/smart-bcc/verify/guessed",
    ],
)
def test_every_path_with_a_token_counts_as_such_a_link(client: FlaskClient, path: str) -> None:
    assert [asked(client, path, "93.184.216.34").status_code == 429 for _ in range(3)] == [False, False, True]


def test_an_address_asks_only_so_often_whatever_it_asks(client: FlaskClient) -> None:
    for _ in range(5):
        assert asked(client, "/api/v1/accounts", "2606:2800:220:1::1").status_code == 401
    refused = asked(client, "/api/v1/accounts", "2606:2800:220:1::2")  # the same network is the same client
    assert (refused.status_code, refused.mimetype) == (429, "application/problem+json")
    assert refused.json["reason"] == "too_many_requests"
    assert asked(client, "/api/v1/accounts", "2606:2800:220:2::1").status_code == 401


def test_who_comes_by_ipv4_to_a_socket_of_ipv6_is_one_client_each(client: FlaskClient) -> None:
    tried = [asked(client, "/sign-in/guessed", "::ffff:93.184.216.34") for _ in range(3)]
    assert [answer.status_code for answer in tried] == [404, 404, 429]
    assert asked(client, "/sign-in/guessed", "93.184.216.34").status_code == 429
    assert asked(client, "/sign-in/guessed", "::ffff:93.184.216.35").status_code == 404
    assert [asked(client, "/sign-in/guessed", "::ffff:10.0.0.7").status_code for _ in range(3)] == [404] * 3


def test_webhooks_health_and_a_proxy_nobody_told_us_of_are_not_limited(client: FlaskClient) -> None:
    for _ in range(8):
        assert asked(client, "/webhooks/gmail", "93.184.216.34", method="POST").status_code == 403
        assert asked(client, "/healthz", "93.184.216.34").status_code == 200
        assert asked(client, "/sign-in/guessed", "10.0.0.7").status_code == 404


def test_a_member_changes_searches_and_traces_only_so_often(office: Office, program: Programs) -> None:
    path = f"/conversations/{office.load(office.mail('m1', BEA, ADA)).public_id}"
    ada, again = program(ADA), program(ADA)
    assert [ada.post(f"{path}/unlink")[0] for _ in range(2)] == [200, 409]
    assert again.post(f"{path}/dismiss")[0] == 429  # another key of the same member
    assert [ada.get("/items", q="refit")[0] for _ in range(3)] == [200, 200, 429]
    assert [ada.get("/doctor", q="m1")[0] for _ in range(3)] == [200, 200, 429]
    assert [ada.get("/conversations")[0] for _ in range(4)] == [200] * 4  # looking costs nothing
    assert program(CAN).get("/items", q="refit")[0] == 200


def test_a_team_does_only_five_times_as_much_as_a_member(office: Office, program: Programs) -> None:
    for number in range(5):
        office.member(f"m{number}@northwind.test")
        assert {program(f"m{number}@northwind.test").get("/items", q="refit")[0] for _ in range(2)} == {200}
    assert program(DAN).get("/items", q="refit")[0] == 429


def test_a_page_says_so_in_words(office: Office, installation: Installation, client: FlaskClient) -> None:
    link = signing_in.invite(installation, office.team_id, office.members[ADA])
    client.post(urlsplit(link.url).path, headers={"Origin": ORIGIN})
    answers = [client.get("/inbox?s=prices", headers={"Accept": "text/html"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    mail = f"/conversations/{uuid4()}/messages/{uuid4()}"  # what asks a mailbox costs whether or not it is there
    asked_for = ("original", "attachments/0", "original")
    assert [client.get(f"{mail}/{what}").status_code for what in asked_for] == [404, 404, 429]
    assert "That was too often." in answers[-1].text
