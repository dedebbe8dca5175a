"""The pages of webhooks, for administrators: the secret shown once, the deliveries, on again and away."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import outgoing_webhooks, signing_in
from app.installation import Installation
from tests.integration.building import ADA, BEA, DAN, Office
from tests.integration.web.conftest import ORIGIN

pytestmark = pytest.mark.integration

PAGE = "/settings/webhooks"


@pytest.fixture
def browse(app: Flask, installation: Installation, office: Office) -> Callable[[str], FlaskClient]:
    """Sign a member in with a browser of one's own."""

    def at(email: str) -> FlaskClient:
        client = app.test_client()
        link = signing_in.invite(installation, office.team_id, office.members[email])
        client.post(urlsplit(link.url).path, headers={"Origin": ORIGIN})
        return client

    return at


def post(client: FlaskClient, path: str, **form: str | list[str]) -> str:
    answer = client.post(path, data=form, headers={"Origin": ORIGIN}, follow_redirects=True)
    assert answer.status_code == 200
    return answer.text


def test_a_webhook_is_added_told_turned_on_again_and_removed(
    office: Office, installation: Installation, browse: Callable[[str], FlaskClient]
) -> None:
    dan = browse(DAN)
    page = post(dan, PAGE, url="https://hooks.acme.test/in", kind=["conversation.linked"])
    secret = re.search(r'value="(whsec_[^"]+)"', page)
    assert secret is not None
    assert secret.group(1) not in dan.get(PAGE).text
    (row,) = office.rows("SELECT id, public_id, kinds FROM webhook")
    assert row.kinds == ["conversation.linked"]
    office.mail("m1", BEA, ADA)
    page = post(dan, f"{PAGE}/{row.public_id}/test")
    assert "The test is on its way." in page
    assert page.count("waiting") == 2
    outgoing_webhooks.deliver(installation, office.team_id, row.id)
    page = dan.get(f"{PAGE}/{row.public_id}").text
    assert page.count("delivered") == 2
    assert re.findall(r'<a href="([^"]*)" aria-current="true"', page) == [PAGE]  # it stands below all of them
    assert "whsec_" in post(dan, f"{PAGE}/{row.public_id}/rotate")
    office.rows("UPDATE webhook SET state = 'disabled', state_reason = 'gone' RETURNING id")
    assert "off" in dan.get(PAGE).text
    assert "It answered that it is gone" in dan.get(f"{PAGE}/{row.public_id}").text
    assert "It is told again" in post(dan, f"{PAGE}/{row.public_id}/enable")
    assert "No program is told anything yet." in post(dan, f"{PAGE}/{row.public_id}/remove")


def test_the_pages_are_for_administrators(office: Office, browse: Callable[[str], FlaskClient]) -> None:
    ada = browse(ADA)
    assert ada.get(PAGE).status_code == 403
    assert ada.post(PAGE, data={"url": "https://hooks.acme.test"}, headers={"Origin": ORIGIN}).status_code == 403
