"""E-mail accounts on their pages: connecting bound to the session, settings, pausing, ending; who may do what."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from app.installation import Installation
from app.model import Account
from app.ports import ConnectedMailbox
from app.store import accounts
from app.store.database import Database
from tests.integration.building import ADA, BEA, CAN, DAN, EVE, Office
from tests.integration.web.conftest import ORIGIN, ObedientMail, StoppedClock
from tests.integration.web.test_inbox import Page, browse

__all__ = ["browse"]
pytestmark = pytest.mark.integration

OWN, TEAM = "/preferences/email-sync", "/settings/accounts"
SALES = "sales@northwind.test"


@pytest.fixture
def office(database: Database, team: Callable[..., int]) -> Office:
    """Ada and Can have mailboxes, Sales is shared by Can, Dan is the administrator, Eve has nothing."""
    made = Office(database, team("Northwind"))
    made.mailbox(ADA)
    made.mailbox(CAN)
    made.mailbox(SALES, kind="team", collaborators=[CAN])
    made.member(DAN, "admin")
    made.member(EVE)
    made.person("p1", "Bea", BEA)
    made.deal("d1", "Rollout", "p1")
    made.refresh()
    return made


def start(browser: Page, path: str, **form: Any) -> str:
    """Press the button that connects; return the state the provider is sent."""
    away = browser.client.post(path, data={"provider": "gmail", **form}, headers={"Origin": ORIGIN})
    assert away.status_code == 303, away.get_data(as_text=True)
    return parse_qs(urlsplit(away.headers["Location"]).query)["state"][0]


def come_back(client: FlaskClient, state: str) -> Any:
    return client.get("/connect/gmail/callback", query_string={"state": state, "code": "c"})


def stored(office: Office, address: str) -> Account | None:
    with office.database.for_team(office.team_id) as connection:
        return accounts.account_by_address(connection, address)


def path_of(office: Office, address: str) -> str:
    return f"{OWN}/{office.accounts[address].public_id}"


# --- connecting ---


def test_a_member_connects_a_mailbox_of_its_own_as_it_was_chosen(
    office: Office, browse: Callable[[str], Page], mail: ObedientMail, clock: StoppedClock
) -> None:
    mail.mailbox = ConnectedMailbox(EVE, "user-eve", EVE, {"refresh_token": "CANARY"})
    eve = browse(EVE)
    page = eve.client.get(OWN)
    assert "Connect Gmail" in page.get_data(as_text=True)
    assert "form-action 'self' https:" in page.headers["Content-Security-Policy"]
    back = come_back(eve.client, start(eve, f"{OWN}/connect", visibility="subject", history_days="30"))
    assert back.headers["Location"] == f"{OWN}?done=connected"
    account = stored(office, EVE)
    assert account is not None
    assert (account.owner_id, account.visibility, account.auto_link) == (office.members[EVE].id, "subject", False)
    (row,) = office.rows("SELECT history_from FROM account WHERE address = :address", address=EVE)
    assert row.history_from == clock.now() - timedelta(days=30)
    assert "being read" in eve.get(back.headers["Location"])


def test_a_consent_started_on_a_page_belongs_to_the_session_that_started_it(
    office: Office, browse: Callable[[str], Page], mail: ObedientMail, app: Flask
) -> None:
    mail.mailbox = ConnectedMailbox(EVE, "user-eve", EVE, {})
    eve = browse(EVE)
    state = start(eve, f"{OWN}/connect")
    for stranger in (app.test_client(), browse(CAN).client):  # W6: another browser, another member
        assert come_back(stranger, state).status_code == 404
    eve.client.post("/sign-out", headers={"Origin": ORIGIN})
    assert come_back(eve.client, state).status_code == 404
    assert stored(office, EVE) is None
    assert mail.connected_with == []


def test_another_mailbox_than_the_members_own_is_asked_about(
    office: Office, browse: Callable[[str], Page], mail: ObedientMail, app: Flask
) -> None:
    mail.mailbox = ConnectedMailbox("victim@else.test", "user-9", "victim@else.test", {})
    eve = browse(EVE)
    question = come_back(eve.client, start(eve, f"{OWN}/connect"))
    page = question.get_data(as_text=True)
    assert "Is this the mailbox you meant?" in page
    assert stored(office, "victim@else.test") is None
    form = {"state": page.partition('name="state" value="')[2].partition('"')[0], "meant": "yes"}
    stranger = app.test_client()
    assert stranger.post("/connect/gmail/confirm", data=form, headers={"Origin": ORIGIN}).status_code == 404
    done = eve.client.post("/connect/gmail/confirm", data=form, headers={"Origin": ORIGIN})
    assert done.headers["Location"] == f"{OWN}?done=connected"
    assert stored(office, "victim@else.test") is not None


def test_an_administrator_connects_a_shared_mailbox_here_or_by_a_link(
    office: Office, browse: Callable[[str], Page], mail: ObedientMail
) -> None:
    mail.mailbox = ConnectedMailbox("help@northwind.test", "user-2", "help@northwind.test", {})
    dan, eve = browse(DAN), office.members[EVE]
    form = {"address": "help@northwind.test", "member": eve.public_id}
    page = come_back(dan.client, start(dan, f"{TEAM}/connect", **form)).get_data(as_text=True)
    answer = {"state": page.partition('name="state" value="')[2].partition('"')[0], "meant": "yes"}
    done = dan.client.post("/connect/gmail/confirm", data=answer, headers={"Origin": ORIGIN})
    assert done.headers["Location"] == f"{TEAM}?done=connected"
    account = stored(office, "help@northwind.test")
    assert account is not None
    assert (account.kind, account.owner_id, account.collaborator_ids) == ("team", None, {eve.id})
    made = dan.client.post(f"{TEAM}/connect", data={**form, "by_link": "gmail"}, headers={"Origin": ORIGIN})
    assert f"{ORIGIN}/connect/" in made.get_data(as_text=True)
    assert dan.refused(f"{TEAM}/connect", provider="gmail", address="no address") == 422
    assert dan.refused(f"{TEAM}/connect", provider="gmail", member="4b4c9f8a-0000-4000-8000-000000000000") == 404


def test_what_cannot_be_connected_says_why_and_the_way_out(
    office: Office, browse: Callable[[str], Page], database: Database
) -> None:
    dan, eve = browse(DAN), browse(EVE)
    for browser, path, address in ((dan, f"{TEAM}/connect", ADA), (eve, f"{OWN}/connect", SALES)):  # S17
        refused = browser.client.post(
            path,
            data={"provider": "gmail", "address": address},
            headers={"Origin": ORIGIN, "Accept": "text/html"},
        )
        assert refused.status_code == 409
        assert f"{address} is already connected. Disconnect it there" in refused.get_data(as_text=True)
    with database.for_team(office.team_id) as connection:
        connection.execute(sa.text("UPDATE team SET plan = 'lite'"))
    assert "Your plan does not include mailbox sync" in eve.get(OWN)
    assert eve.refused(f"{OWN}/connect", provider="gmail") == 409


def test_a_plan_without_mailboxes_lets_smart_bcc_go_on(office: Office, browse: Callable[[str], Page]) -> None:
    ada, can = browse(ADA), browse(CAN)
    office.rows("UPDATE account SET provider = 'smart_bcc' WHERE id = :id RETURNING id", id=office.accounts[CAN].id)
    office.rows("UPDATE account SET paused = true RETURNING id")
    office.rows("UPDATE team SET plan = 'lite' RETURNING id")
    assert ada.refused(f"{path_of(office, ADA)}/resume") == 409
    assert can.post(f"{path_of(office, CAN)}/resume")["done"] == "resumed"
    assert [row.id for row in office.rows("SELECT id FROM account WHERE NOT paused")] == [office.accounts[CAN].id]


# --- settings and rights ---


def test_a_member_sees_health_and_settings_of_its_own_and_shared_accounts(
    office: Office, browse: Callable[[str], Page], database: Database, clock: StoppedClock
) -> None:
    with database.for_team(office.team_id) as connection:
        accounts.set_state(connection, office.accounts[CAN].id, "reauth_required", clock.now(), reason="x")
        connection.execute(sa.text("""UPDATE team SET policy = '{"blocklist": ["spam.test"]}'"""))
        connection.execute(
            sa.text(
                "INSERT INTO discovered_message (team_id, account_id, provider_id, discovered_at)"
                " VALUES (:team, :account, 'p', :at)"
            ),
            {"team": office.team_id, "account": office.accounts[SALES].id, "at": clock.now() - timedelta(hours=1)},
        )
    page = browse(CAN).get(OWN)
    for text in (CAN, SALES, "General settings", "Advanced settings", "no longer accepts our access", "Connect again"):
        assert text in page
    assert "waiting for more than a quarter of an hour" in page
    assert "spam.test" in page
    assert "x@spam.test is blocked by “spam.test”" in browse(CAN).get(f"{OWN}?address=x@spam.test")
    assert f"nothing in the list blocks {BEA}" in browse(CAN).get(f"{OWN}?address={BEA}")
    assert ADA not in page


def test_earlier_mail_shows_how_far_it_is_read_and_what_that_came_to(
    office: Office, browse: Callable[[str], Page], clock: StoppedClock
) -> None:
    account, since = office.accounts[ADA], clock.now() - timedelta(days=30)
    office.rows("UPDATE account SET history_from = :at, state = 'backfilling' WHERE id = :id RETURNING id",
                at=since, id=account.id)  # fmt: skip
    office.mail("m1", BEA, ADA)
    for number, state in enumerate(("stored", "filtered", "pending", "pending", "pending")):
        office.rows(
            "INSERT INTO discovered_message (team_id, account_id, provider_id, state)"
            " VALUES (:team, :account, :id, :state) RETURNING state",
            team=office.team_id, account=account.id, id=f"d{number}", state=state,
        )  # fmt: skip
    part = f"{path_of(office, ADA)}/health"
    for page in (browse(ADA).get(OWN), browse(ADA).get(part), browse(DAN).get(TEAM), browse(DAN).get(part)):
        assert 'max="5" value="2"' in page
        assert "Messages found so far: 5; dealt with: 2. It is read back to 31 Jan 2026, 08:00. The earliest" in page
        assert f'hx-get="{part}" hx-trigger="every 3s"' in page
    assert [browse(each).status(part) for each in (CAN, EVE)] == [404, 404]
    with office.database.for_team(office.team_id) as connection:
        accounts.set_state(connection, account.id, "reauth_required", clock.now())
    assert "hx-get" not in browse(ADA).get(part)
    with office.database.for_team(office.team_id) as connection:
        accounts.synced(connection, account.id, clock.now())
    for _ in range(2):  # what is read later is not counted
        page = browse(ADA).get(OWN)
        assert "<progress" not in page
        assert "The mail since 31 Jan 2026, 08:00 was read by 2 Mar 2026, 08:00; messages: 1." in page
        office.rows("UPDATE discovered_message SET state = 'stored' RETURNING state")
        with office.database.for_team(office.team_id) as connection:
            accounts.synced(connection, account.id, clock.now() + timedelta(hours=1))
    office.rows(
        "UPDATE account SET state = 'backfilling', history_from = NULL RETURNING id"
    )  # more folders were chosen
    assert 'max="5" value="5"' in browse(ADA).get(OWN)


def test_visibility_is_the_owners_and_notes_follow(office: Office, browse: Callable[[str], Page]) -> None:
    conversation = office.mail("m1", BEA, ADA)
    wanted = office.wanted(conversation)["deal/d1"]
    ada = browse(ADA)
    assert ada.post(f"{path_of(office, ADA)}/visibility", visibility="private")["done"] == "saved"
    assert office.wanted(conversation)["deal/d1"] == wanted + 1
    ada.post(f"{path_of(office, ADA)}/visibility", visibility="private")  # nothing changed
    assert office.wanted(conversation)["deal/d1"] == wanted + 1
    assert ada.refused(f"{path_of(office, ADA)}/visibility", visibility="everything") == 422
    assert [row.visibility for row in office.rows("SELECT visibility FROM account WHERE address = :a", a=ADA)] == [
        "private"
    ]


def test_somebody_elses_account_is_not_there(
    office: Office, browse: Callable[[str], Page], team: Callable[..., int], database: Database
) -> None:
    """For a colleague, for an administrator where it is personal (C12), and for another team."""
    other = Office(database, team("Southwind"))
    other.mailbox("zoe@southwind.test")
    form = {"auto_link": "off", "visibility": "private"}
    eve, dan, can = browse(EVE), browse(DAN), browse(CAN)
    tried = [(eve, office, ADA), (eve, office, SALES), (dan, office, ADA), (can, office, ADA)]
    for browser, of, address in (*tried, (dan, other, "zoe@southwind.test")):
        for action in ("", "/visibility", "/collaborators", "/pause", "/resume", "/disconnect"):
            assert browser.refused(f"{path_of(of, address)}{action}", **form) == 404, (address, action)
        assert browser.status(f"{path_of(of, address)}/disconnect") == 404
    rows = office.rows("SELECT auto_link, visibility, paused, state FROM account")
    assert {tuple(row) for row in rows} == {(True, "full", False, "connecting")}


def test_the_page_of_the_team_is_for_administrators_and_shows_of_others_accounts_their_health(
    office: Office, browse: Callable[[str], Page]
) -> None:
    office.mail("m1", BEA, ADA, subject="CANARY of Ada")
    assert [browse(email).status(TEAM) for email in (CAN, EVE)] == [403, 403]
    assert browse(CAN).refused(f"{TEAM}/connect", provider="gmail") == 403
    page = browse(DAN).get(TEAM)
    for text in (ADA, CAN, SALES):
        assert text in page
    assert "CANARY" not in page
    for address in (ADA, CAN):
        assert path_of(office, address) not in page
    assert f"{path_of(office, SALES)}/pause" in page


def test_an_administrator_says_who_shares_an_account(office: Office, browse: Callable[[str], Page]) -> None:
    dan, eve = browse(DAN), browse(EVE)
    path = f"{path_of(office, SALES)}/collaborators"
    assert browse(CAN).refused(path, member=office.members[EVE].public_id) == 403
    done = dan.post(path, member=office.members[EVE].public_id, back="team")
    assert (done["path"], done["done"]) == (TEAM, "saved")
    account = stored(office, SALES)
    assert account is not None
    assert account.collaborator_ids == {office.members[EVE].id}
    assert SALES in eve.get(OWN)
    assert SALES not in browse(CAN).get(OWN)
    assert dan.refused(path, member="nobody") == 404


def test_an_account_is_paused_and_goes_on(office: Office, browse: Callable[[str], Page]) -> None:
    ada = browse(ADA)
    assert ada.post(f"{path_of(office, ADA)}/pause")["done"] == "paused"
    assert "Nothing is read until it is resumed" in ada.get(OWN)
    assert ada.post(f"{path_of(office, ADA)}/resume")["done"] == "resumed"
    trail = [
        tuple(row)
        for row in office.rows("SELECT action, member_id FROM audit WHERE action LIKE '%account' ORDER BY id")
    ]
    assert trail == [("pause_account", office.members[ADA].id), ("resume_account", office.members[ADA].id)]


def test_disconnecting_says_what_stays_first_and_erasing_takes_the_copies(
    office: Office, browse: Callable[[str], Page], mail: ObedientMail, installation: Installation
) -> None:
    with office.database.for_team(office.team_id) as connection:
        installation.secrets.store_account(connection, office.team_id, office.accounts[ADA].id, {"token": "t"})
    office.mail("m1", BEA, ADA)
    ada, path = browse(ADA), f"{path_of(office, ADA)}/disconnect"
    page = ada.get(path)
    for text in ("What stays", "What is erased if you say so", "Keep what is stored"):
        assert text in page
    assert mail.disconnected == []
    assert ada.post(path, stored="keep")["done"] == "disconnected"
    assert mail.disconnected == [(ADA, {"token": "t"}, True)]
    assert len(office.rows("SELECT FROM message_copy")) == 1
    assert office.rows("SELECT FROM account_credential") == []
    page = ada.get(OWN)
    assert "Connect again" in page
    assert "Erase what is stored of" in ada.get(path)
    assert ada.post(path, stored="erase")["done"] == "erased"
    assert len(mail.disconnected) == 1
    assert office.rows("SELECT FROM message_copy") == []
    assert ADA not in ada.get(OWN).replace(f"{ADA}<br>", "")


def test_who_was_removed_meanwhile_connects_nothing(
    office: Office, browse: Callable[[str], Page], mail: ObedientMail, database: Database
) -> None:
    mail.mailbox = ConnectedMailbox(EVE, "user-eve", EVE, {})
    eve = browse(EVE)
    state = start(eve, f"{OWN}/connect")
    with database.for_team(office.team_id) as connection:
        connection.execute(sa.text("UPDATE member SET removed_at = now() WHERE email = :email"), {"email": EVE})
    assert come_back(eve.client, state).status_code == 404
    assert stored(office, EVE) is None
