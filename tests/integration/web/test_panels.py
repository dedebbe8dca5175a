"""The panel inside Pipedrive: who it is for, what it shows, and what its forms may do without a cookie."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import urlsplit

import jwt
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.test import TestResponse

from app import signing_in
from app.installation import Installation
from app.ports import CrmConnection
from app.store import crm
from app.store.database import Database
from app.testing.fake_crm import FakeCrm
from app.testing.fakes import MemoryCredentials
from app.web.application import application
from connectors.crm.pipedrive.panel import PipedrivePanel
from connectors.crm.pipedrive.settings import PipedriveSettings
from tests.integration.building import ADA, BEA, CAN, TOM, Office
from tests.integration.web.conftest import ORIGIN, StoppedClock

pytestmark = pytest.mark.integration

SECRET = "panel-secret-of-this-test-0123456789"
COMPANY, ADA_THERE, CAN_THERE = 17, 7, 8
WRITES = 6  # a minute, of one member


@dataclass
class Pipedrive:
    """Pipedrive's pages with our panel in them."""

    client: FlaskClient
    clock: StoppedClock

    def open(self, user: int, item: str = "42", resource: str = "deal", company: int = COMPANY) -> TestResponse:
        claims = {"userId": user, "companyId": company, "exp": (self.clock.now() + timedelta(minutes=5)).timestamp()}
        query = {"resource": resource, "selectedIds": item, "token": jwt.encode(claims, SECRET, "HS256")}
        return self.client.get("/panels/pipedrive", query_string=query, base_url=ORIGIN)

    def send(self, what: str, page: TestResponse, **form: str) -> TestResponse:
        found = re.search(r'name="pass" value="([^"]+)"', page.get_data(as_text=True))
        form = {"pass": found.group(1) if found else "", **form}
        return self.client.post(f"/panels/pipedrive/{what}", data=form, base_url=ORIGIN)


@pytest.fixture
def office(database: Database, team: Callable[..., int]) -> Office:
    made = Office(database, team("Northwind"))
    with database.for_team(made.team_id) as connection:
        connection.execute(sa.text("UPDATE crm_connection SET adapter = 'pipedrive', company = '17'"))
        row = crm.connection_row(connection, made.connection.id)
    made.connection = crm.as_connection(row, MemoryCredentials({}))  # type: ignore[arg-type]  # it is there
    made.crm = FakeCrm(made.clock, connection_id=made.connection.id, company="17")
    made.mailbox(ADA)
    made.mailbox(CAN)
    made.person("1", "Bea", BEA)
    made.person("2", "Tom", TOM)
    made.deal("42", "Rollout", "1")
    made.deal("43", "Refit", "2")
    made.deal("44", "Spa", "2")
    made.refresh()
    with database.for_team(made.team_id) as connection:
        for user, address in ((ADA_THERE, ADA), (CAN_THERE, CAN)):
            connection.execute(
                sa.text(
                    "INSERT INTO crm_user (team_id, connection_id, company, external_id, email, sees_everything)"
                    " VALUES (:team, :id, '17', :user, :address, false)"
                ),
                {"team": made.team_id, "id": made.connection.id, "user": str(user), "address": address},
            )
    return made


@pytest.fixture
def app(installation: Installation, office: Office) -> Flask:
    settings = PipedriveSettings(panel_secret=SecretStr(SECRET))

    def open_crm(_connection: CrmConnection) -> FakeCrm:
        return office.crm

    panels = {"pipedrive": PipedrivePanel(settings, installation.clock)}
    chosen = installation.settings.model_copy(update={"limit_writes": WRITES})
    return application(replace(installation, settings=chosen, open_crm=open_crm, panels=panels))


@pytest.fixture
def pipedrive(app: Flask, clock: StoppedClock) -> Pipedrive:
    return Pipedrive(app.test_client(), clock)


@pytest.fixture
def known(app: Flask, installation: Installation, office: Office, pipedrive: Pipedrive) -> Callable[[str, int], None]:
    """Let a member say who that is in Pipedrive, on the page that the panel leads to."""

    def say(email: str, user: int) -> None:
        browser = app.test_client()
        link = urlsplit(signing_in.invite(installation, office.team_id, office.members[email]).url).path
        browser.post(link, headers={"Origin": ORIGIN}, base_url=ORIGIN)
        page = pipedrive.open(user).get_data(as_text=True)
        found = re.search(r'href="https://threadlink\.test(/panels/[^"]+)"', page)
        assert found is not None, page
        assert browser.get(found.group(1), base_url=ORIGIN).status_code == 200
        answer = browser.post(found.group(1), headers={"Origin": ORIGIN}, base_url=ORIGIN)
        assert answer.status_code == 303, answer.get_data(as_text=True)

    return say


def text_of(answer: TestResponse) -> str:
    return html.unescape(answer.get_data(as_text=True))


def test_a_stranger_is_asked_to_say_who_it_is_and_shown_nothing(office: Office, pipedrive: Pipedrive) -> None:
    office.mail("m1", BEA, ADA, subject="CANARY")
    answer = pipedrive.open(ADA_THERE)
    assert answer.status_code == 200
    assert "Say who you are" in text_of(answer)
    assert "CANARY" not in text_of(answer)


def test_a_member_says_it_once_and_not_for_a_colleague(
    office: Office, pipedrive: Pipedrive, known: Callable[[str, int], None]
) -> None:
    office.mail("m1", BEA, ADA, subject="Prices of Ada")
    with pytest.raises(AssertionError):
        known(CAN, ADA_THERE)  # the CRM calls that user by Ada's address
    assert "Prices of Ada" not in text_of(pipedrive.open(ADA_THERE))
    known(ADA, ADA_THERE)
    assert "Prices of Ada" in text_of(pipedrive.open(ADA_THERE))


def test_only_pipedrive_may_frame_it(pipedrive: Pipedrive) -> None:
    for answer in (pipedrive.open(ADA_THERE), pipedrive.client.get("/panels/pipedrive", base_url=ORIGIN)):
        assert "frame-ancestors https://*.pipedrive.com" in answer.headers["Content-Security-Policy"]
        assert "X-Frame-Options" not in answer.headers
    assert pipedrive.client.get("/panels/other", base_url=ORIGIN).headers["X-Frame-Options"] == "DENY"


def test_what_proves_nothing_is_told_so_inside_the_panel(pipedrive: Pipedrive) -> None:
    answer = pipedrive.client.get("/panels/pipedrive?resource=deal&selectedIds=42&token=x", base_url=ORIGIN)
    assert answer.status_code == 403
    assert "did not prove who opened this panel" in text_of(answer)


def test_conversations_are_linked_unlinked_and_taken_back(
    office: Office, pipedrive: Pipedrive, known: Callable[[str, int], None]
) -> None:
    linked = office.mail("m1", BEA, ADA, subject="Prices")
    choice = office.mail("m2", TOM, ADA, subject="Which deal")
    known(ADA, ADA_THERE)

    page = pipedrive.send("unlink", pipedrive.open(ADA_THERE), c=office.load(linked).public_id)
    assert office.linked(linked) is None
    action = re.search(r'name="action" value="([^"]+)"', page.get_data(as_text=True))
    assert action is not None
    pipedrive.send("undo", page, action=action.group(1))
    assert office.linked(linked) == "deal/42"

    page = pipedrive.send("link", pipedrive.open(ADA_THERE, "43"), c=office.load(choice).public_id)
    assert office.linked(choice) == "deal/43"
    assert "Linked." in text_of(page)


def test_a_pass_is_good_for_ten_minutes_and_for_a_member_who_is_still_there(
    office: Office, pipedrive: Pipedrive, known: Callable[[str, int], None]
) -> None:
    conversation = office.mail("m1", BEA, ADA)
    known(ADA, ADA_THERE)
    page, public_id = pipedrive.open(ADA_THERE), office.load(conversation).public_id
    assert pipedrive.client.post("/panels/pipedrive/unlink", data={"c": public_id}, base_url=ORIGIN).status_code == 403
    pipedrive.clock.advance(timedelta(minutes=11))
    assert pipedrive.send("unlink", page, c=public_id).status_code == 403
    page = pipedrive.open(ADA_THERE)
    office.rows("DELETE FROM addon_user RETURNING id")
    assert pipedrive.send("unlink", page, c=public_id).status_code == 403
    known(ADA, ADA_THERE)
    page = pipedrive.open(ADA_THERE)
    office.rows("UPDATE member SET removed_at = now() WHERE email = :email RETURNING id", email=ADA)
    assert pipedrive.send("unlink", page, c=public_id).status_code == 403
    assert office.linked(conversation) == "deal/42"


def test_a_colleague_sees_and_changes_what_rights_allow(
    office: Office, pipedrive: Pipedrive, known: Callable[[str, int], None]
) -> None:
    office.mail("m1", "nobody@elsewhere.test", ADA, subject="CANARY")
    hidden = office.mail("m2", TOM, ADA, subject="CANARY too")
    known(CAN, CAN_THERE)
    page = pipedrive.open(CAN_THERE, "43")
    assert "CANARY" not in text_of(page)
    pipedrive.send("link", page, c=office.load(hidden).public_id)
    assert office.linked(hidden) is None
    assert "Which" not in text_of(pipedrive.open(CAN_THERE, "2", "person"))
    assert "does not know this record" in text_of(pipedrive.open(CAN_THERE, "999"))


def test_who_presses_without_end_is_told_so_inside_the_panel_and_nothing_is_done(
    office: Office, pipedrive: Pipedrive, known: Callable[[str, int], None]
) -> None:
    conversation = office.mail("m1", BEA, ADA)
    known(ADA, ADA_THERE)
    page = pipedrive.open(ADA_THERE)
    tried = [pipedrive.send("undo", page, action="x").status_code for _ in range(WRITES - 1)]  # one said who Ada is
    assert tried == [200] * (WRITES - 1)
    answer = pipedrive.send("unlink", page, c=office.load(conversation).public_id)
    assert (answer.status_code, "That was too often." in text_of(answer)) == (429, True)
    assert "frame-ancestors https://*.pipedrive.com" in answer.headers["Content-Security-Policy"]
    assert office.linked(conversation) == "deal/42"
