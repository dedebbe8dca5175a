"""Connecting a mailbox in the browser: one link, one browser, one provider, and a question when it is another's."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from app import accounts, connecting
from app.errors import AdminBlocked, ApplicationMisconfigured, Conflict, NotAllowed, NotFound, Unavailable
from app.installation import Installation
from app.model import Account, Member
from app.ports import ConnectedMailbox
from app.store import accounts as account_rows
from app.store.database import Database
from tests.integration.web.conftest import ORIGIN, ObedientMail, StoppedClock

pytestmark = pytest.mark.integration

FROM_OUR_PAGE = {"Origin": ORIGIN}
VICTIM = ConnectedMailbox(
    "victim@elsewhere.test", "user-9", "victim@elsewhere.test", {"refresh_token": "CANARY-victim"}
)


@pytest.fixture
def link(installation: Installation, team_id: int, member: Callable[..., Member]) -> str:
    """Make a link for Ada and return its path."""
    return path_of(connecting.invite(installation, team_id, member(), "gmail"))


def path_of(invitation: connecting.Invitation) -> str:
    return urlsplit(invitation.url).path


def press_button(client: FlaskClient, link: str, **form: str) -> Any:
    return client.post(link, data=form or {"auto_link": "on"}, headers=FROM_OUR_PAGE)


def state_of(answer: Any) -> str:
    return parse_qs(urlsplit(answer.headers["Location"]).query)["state"][0]


def come_back(client: FlaskClient, state: str, provider: str = "gmail", **args: str) -> Any:
    return client.get(f"/connect/{provider}/callback", query_string={"state": state, "code": "c", **args})


def stored(database: Database, team_id: int) -> list[Account]:
    with database.for_team(team_id) as connection:
        return account_rows.accounts(connection)


def reason(answer: Any) -> str:
    return str(answer.get_json()["reason"])


# --- the way through ---


def test_the_page_names_team_member_and_what_happens(client: FlaskClient, link: str) -> None:
    answer = client.get(link)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 200
    for text in ("Northwind", "Ada (ada@northwind.test)", "Personal account", "Continue to Google"):
        assert text in page
    assert re.search(r'<input type="checkbox" id="auto_link"[^>]* checked', page)
    assert '<label for="auto_link">' in page
    assert '<html lang="en">' in page


def test_the_page_speaks_the_language_of_the_team(
    client: FlaskClient, link: str, database: Database, team_id: int
) -> None:
    with database.for_team(team_id) as connection:
        connection.execute(sa.text("UPDATE team SET locale = 'tr'"))
    page = client.get(link, headers={"Accept-Language": "en"}).get_data(as_text=True)
    assert '<html lang="tr">' in page
    assert "Posta kutusu bağla" in page


def test_the_page_holds_no_script_and_no_inline_style(client: FlaskClient, link: str) -> None:
    answer = client.get(link)
    page = answer.get_data(as_text=True)
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=", page)
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy


def test_names_are_escaped(client: FlaskClient, link: str, database: Database, team_id: int) -> None:
    with database.for_team(team_id) as connection:
        connection.execute(sa.text("UPDATE team SET name = '<script>alert(1)</script>'"))
    page = client.get(link).get_data(as_text=True)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_the_own_mailbox_becomes_an_account_with_its_secrets_sealed(
    client: FlaskClient,
    link: str,
    database: Database,
    team_id: int,
    installation: Installation,
    mail: ObedientMail,
) -> None:
    start = press_button(client, link)
    assert start.status_code == 303
    assert start.headers["Location"].startswith("https://provider.test/consent")
    assert "hint=ada@northwind.test" in start.headers["Location"]
    done = come_back(client, state_of(start))
    assert done.status_code == 200
    assert "The mailbox is connected" in done.get_data(as_text=True)
    (account,) = stored(database, team_id)
    assert (account.address, account.kind, account.auto_link) == ("ada@northwind.test", "personal", True)
    assert account.state == "connecting"
    assert mail.connected_with[0][1] == {"verifier": "CANARY-pkce"}
    assert installation.credentials_of(account).read() == {"refresh_token": "CANARY-refresh"}
    with database.for_team(team_id) as connection:
        sealed = connection.execute(sa.text("SELECT ciphertext FROM account_credential")).scalar_one()
        actions = connection.execute(sa.text("SELECT action FROM audit ORDER BY id")).scalars().all()
    assert b"CANARY" not in bytes(sealed)
    assert actions == ["begin_connecting", "connect_account"]


def test_subscription_and_first_read_are_enqueued_with_the_account(
    client: FlaskClient, link: str, database: Database, team_id: int
) -> None:
    come_back(client, state_of(press_button(client, link)))
    (account,) = stored(database, team_id)
    with database.without_team() as connection:
        rows = connection.execute(sa.text("SELECT task_name, args FROM procrastinate_jobs ORDER BY task_name")).all()
    wanted = {"team_id": team_id, "account_id": account.id}
    assert [(row.task_name, row.args) for row in rows] == [("renew_subscription", wanted), ("sync_account", wanted)]


def test_the_owner_may_say_no_to_automatic_links(
    client: FlaskClient, link: str, database: Database, team_id: int
) -> None:
    start = press_button(client, link, other="field")
    come_back(client, state_of(start))
    assert [account.auto_link for account in stored(database, team_id)] == [False]


def test_a_team_account_has_collaborators_and_no_owner(
    client: FlaskClient,
    installation: Installation,
    team_id: int,
    member: Callable[..., Member],
    mail: ObedientMail,
    database: Database,
) -> None:
    ada, bob = member(), member("bob@northwind.test")
    invitation = connecting.invite(
        installation, team_id, ada, "gmail", kind="team", address="sales@northwind.test", collaborators=[ada.id, bob.id]
    )
    mail.mailbox = ConnectedMailbox("sales@northwind.test", "user-2", "sales@northwind.test", {})
    page = client.get(path_of(invitation)).get_data(as_text=True)
    assert "Team account" in page
    assert "sales@northwind.test" in page
    question = come_back(client, state_of(press_button(client, path_of(invitation))))
    answer_question(client, question, "yes")
    (account,) = stored(database, team_id)
    assert (account.kind, account.owner_id, account.collaborator_ids) == ("team", None, {ada.id, bob.id})


def test_connecting_again_replaces_the_secrets_and_keeps_the_account(
    client: FlaskClient,
    link: str,
    installation: Installation,
    team_id: int,
    member: Callable[..., Member],
    mail: ObedientMail,
    database: Database,
) -> None:
    come_back(client, state_of(press_button(client, link)))
    (before,) = stored(database, team_id)
    with database.for_team(team_id) as connection:
        account_rows.set_state(connection, before.id, "reauth_required", installation.clock.now())
    again = path_of(connecting.invite(installation, team_id, member(), "gmail"))
    mail.mailbox = ConnectedMailbox(before.mailbox, "user-1", before.address, {"refresh_token": "newer"})
    come_back(client, state_of(press_button(client, again)))
    (after,) = stored(database, team_id)
    assert (after.id, after.state) == (before.id, "connecting")
    assert installation.credentials_of(after).read() == {"refresh_token": "newer"}


# --- the question (W6) ---


def answer_question(client: FlaskClient, question: Any, meant: str) -> Any:
    state = re.search(r'name="state" value="([^"]+)"', question.get_data(as_text=True))
    assert state is not None
    return client.post("/connect/gmail/confirm", data={"state": state.group(1), "meant": meant}, headers=FROM_OUR_PAGE)


def test_a_mailbox_of_another_address_is_asked_about_before_anything_is_stored(
    client: FlaskClient, link: str, mail: ObedientMail, database: Database, team_id: int
) -> None:
    mail.mailbox = VICTIM
    question = come_back(client, state_of(press_button(client, link)))
    page = question.get_data(as_text=True)
    assert "victim@elsewhere.test" in page
    assert "Ada" in page
    assert "Northwind" in page
    assert stored(database, team_id) == []
    assert answer_question(client, question, "yes").status_code == 200
    assert [account.address for account in stored(database, team_id)] == ["victim@elsewhere.test"]


def test_a_no_gives_the_consent_back_and_ends_the_link(
    client: FlaskClient, link: str, mail: ObedientMail, database: Database, team_id: int
) -> None:
    mail.mailbox = VICTIM
    question = come_back(client, state_of(press_button(client, link)))
    assert "Nothing was connected" in answer_question(client, question, "no").get_data(as_text=True)
    assert stored(database, team_id) == []
    assert mail.disconnected == [("victim@elsewhere.test", {"refresh_token": "CANARY-victim"}, True)]
    assert client.get(link).status_code == 404


def test_the_question_is_answered_once_and_by_the_same_browser(
    app: Flask, client: FlaskClient, link: str, mail: ObedientMail, database: Database, team_id: int
) -> None:
    mail.mailbox = VICTIM
    question = come_back(client, state_of(press_button(client, link)))
    assert answer_question(app.test_client(), question, "yes").status_code == 404
    assert answer_question(client, question, "yes").status_code == 200
    assert answer_question(client, question, "yes").status_code == 404


def test_what_waits_for_the_answer_is_sealed(
    client: FlaskClient, link: str, mail: ObedientMail, database: Database, team_id: int
) -> None:
    mail.mailbox = VICTIM
    come_back(client, state_of(press_button(client, link)))
    with database.for_team(team_id) as connection:
        kept = connection.execute(sa.text("SELECT kept FROM connect_request")).scalar_one()
    assert b"CANARY" not in bytes(kept)
    assert b"victim" not in bytes(kept)


# --- what is refused ---


def test_opening_the_link_uses_nothing_up(client: FlaskClient, link: str) -> None:
    for _ in range(3):
        assert client.get(link).status_code == 200
        assert client.head(link).status_code == 200


@pytest.mark.parametrize("origin", [None, "https://evil.test", "null", "http://threadlink.test"])
def test_the_button_works_from_our_own_page_alone(client: FlaskClient, link: str, origin: str | None) -> None:
    answer = client.post(link, headers={} if origin is None else {"Origin": origin})
    assert answer.status_code == 403
    assert reason(answer) == "other_origin"
    assert "Set-Cookie" not in answer.headers


def test_the_cookie_is_for_this_server_alone(client: FlaskClient, link: str) -> None:
    cookie = press_button(client, link).headers["Set-Cookie"]
    assert cookie.startswith("__Host-threadlink=")
    for part in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=3600"):
        assert part in cookie
    assert "Domain" not in cookie


def test_a_link_bound_to_a_browser_does_nothing_in_another(app: Flask, client: FlaskClient, link: str) -> None:
    assert press_button(client, link).status_code == 303
    other = press_button(app.test_client(), link)
    assert (other.status_code, reason(other)) == (404, "link_not_valid")


def test_a_consent_link_sent_to_somebody_else_attaches_nothing(
    app: Flask, client: FlaskClient, link: str, mail: ObedientMail, database: Database, team_id: int
) -> None:
    state = state_of(press_button(client, link))
    mail.mailbox = VICTIM
    assert come_back(app.test_client(), state).status_code == 404
    assert mail.connected_with == []
    assert stored(database, team_id) == []


@pytest.mark.parametrize(
    ("state", "status"), [("", 404), ("forged", 404), ("x" * 5000, 404), ("\x00", 400), ("ı", 404)]
)
def test_a_forged_state_is_refused_before_the_provider_is_asked(
    client: FlaskClient, link: str, mail: ObedientMail, state: str, status: int
) -> None:
    press_button(client, link)
    assert come_back(client, state).status_code == status
    assert mail.connected_with == []


def test_a_code_cannot_be_replayed(client: FlaskClient, link: str, database: Database, team_id: int) -> None:
    state = state_of(press_button(client, link))
    assert come_back(client, state).status_code == 200
    assert come_back(client, state).status_code == 404
    assert len(stored(database, team_id)) == 1


def test_another_providers_callback_is_refused(
    client: FlaskClient, link: str, installation: Installation, mail: ObedientMail
) -> None:
    other = ObedientMail(provider="graph")
    installation.mail["graph"] = other  # type: ignore[index]  # a dict underneath
    state = state_of(press_button(client, link))
    assert come_back(client, state, provider="graph").status_code == 404
    assert other.connected_with == []
    assert come_back(client, state, provider="nobody").status_code == 404


def test_an_expired_link_is_not_valid(client: FlaskClient, link: str, clock: StoppedClock) -> None:
    state = state_of(press_button(client, link))
    clock.advance(timedelta(hours=1))
    assert client.get(link).status_code == 404
    assert press_button(client, link).status_code == 404
    assert come_back(client, state).status_code == 404


def test_a_link_of_a_removed_member_is_not_valid(
    client: FlaskClient, link: str, database: Database, team_id: int
) -> None:
    with database.for_team(team_id) as connection:
        connection.execute(sa.text("UPDATE member SET removed_at = now()"))
    assert client.get(link).status_code == 404


@pytest.mark.parametrize("path", ["/connect/unknown", "/connect/%00", "/connect/" + "x" * 3000])
def test_an_unknown_link_is_not_found(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_refusal_at_the_provider_leaves_the_link_usable(
    client: FlaskClient, link: str, database: Database, team_id: int
) -> None:
    refused = come_back(client, state_of(press_button(client, link)), error="access_denied")
    assert (refused.status_code, reason(refused)) == (403, "consent_refused")
    assert come_back(client, state_of(press_button(client, link))).status_code == 200
    assert len(stored(database, team_id)) == 1


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (AdminBlocked(), 403, "admin_blocked"),
        (Unavailable(), 503, "provider_unavailable"),
        (ApplicationMisconfigured(), 502, "misconfigured"),
    ],
)
def test_trouble_at_the_provider_is_told_in_words(
    client: FlaskClient, link: str, mail: ObedientMail, error: Exception, status: int, told: str
) -> None:
    state = state_of(press_button(client, link))
    mail.fails_with = error
    answer = come_back(client, state)
    assert (answer.status_code, reason(answer)) == (status, told)


def test_a_lite_plan_connects_no_mailbox(
    client: FlaskClient,
    link: str,
    installation: Installation,
    team_id: int,
    member: Callable[..., Member],
    database: Database,
    mail: ObedientMail,
) -> None:
    state = state_of(press_button(client, link))
    with database.for_team(team_id) as connection:
        connection.execute(sa.text("UPDATE team SET plan = 'lite'"))
    with pytest.raises(Conflict) as refused:
        connecting.invite(installation, team_id, member(), "gmail")
    assert refused.value.reason == "plan_required"
    assert reason(press_button(client, link)) == "plan_required"
    assert reason(come_back(client, state)) == "plan_required"
    assert stored(database, team_id) == []
    assert [last for _, _, last in mail.disconnected] == [True]


def test_an_address_is_not_connected_both_ways(
    client: FlaskClient,
    installation: Installation,
    team_id: int,
    member: Callable[..., Member],
    connect: Callable[..., int],
    mail: ObedientMail,
    database: Database,
) -> None:
    connect("ada@northwind.test")
    with pytest.raises(Conflict) as refused:
        connecting.invite(installation, team_id, member(), "gmail", kind="team", address="ada@northwind.test")
    assert refused.value.reason == "address_in_use"
    link = path_of(connecting.invite(installation, team_id, member(), "gmail", kind="team"))
    answer = come_back(client, state_of(press_button(client, link)))
    assert (answer.status_code, reason(answer)) == (409, "address_in_use")
    assert [account.kind for account in stored(database, team_id)] == ["personal"]
    assert mail.disconnected == []  # the account that is there lives by the same consent


def test_a_colleagues_mailbox_cannot_be_taken_over(
    client: FlaskClient,
    installation: Installation,
    team_id: int,
    member: Callable[..., Member],
    connect: Callable[..., int],
    database: Database,
) -> None:
    connect("ada@northwind.test")
    link = path_of(connecting.invite(installation, team_id, member("bob@northwind.test"), "gmail"))
    question = come_back(client, state_of(press_button(client, link)))
    assert reason(answer_question(client, question, "yes")) == "address_in_use"
    assert [account.owner_id for account in stored(database, team_id)] == [member().id]


def test_a_recycled_address_is_another_mailbox(
    client: FlaskClient, link: str, connect: Callable[..., int], mail: ObedientMail, installation: Installation
) -> None:
    connect("ada@northwind.test")
    mail.mailbox = ConnectedMailbox("ada@northwind.test", "somebody new", "ada@northwind.test", {})
    assert reason(come_back(client, state_of(press_button(client, link)))) == "other_mailbox"


def test_an_unknown_provider_makes_no_link(
    installation: Installation, team_id: int, member: Callable[..., Member]
) -> None:
    with pytest.raises(NotFound):
        connecting.invite(installation, team_id, member(), "nobody")


def test_a_disconnected_address_may_be_connected_the_other_way_as_a_new_account(
    client: FlaskClient,
    installation: Installation,
    team_id: int,
    member: Callable[..., Member],
    connect: Callable[..., int],
    database: Database,
) -> None:
    before = connect("ada@northwind.test")
    accounts.pause(installation, team_id, before)
    accounts.disconnect(installation, team_id, before, None, erase=False)
    link = path_of(
        connecting.invite(installation, team_id, member(), "gmail", kind="team", address="ada@northwind.test")
    )
    assert come_back(client, state_of(press_button(client, link))).status_code == 200
    ended, fresh = stored(database, team_id)
    assert (ended.id, ended.state, ended.owner_id) == (before, "disconnected", member().id)
    assert (fresh.address, fresh.kind, fresh.owner_id) == ("ada@northwind.test", "team", None)
    assert "ada@northwind.test" in ended.own_addresses


# --- ending it ---


def test_the_last_account_of_a_mailbox_ends_watch_and_consent(
    installation: Installation, team_id: int, connect: Callable[..., int], mail: ObedientMail, database: Database
) -> None:
    account_id = connect()
    accounts.disconnect(installation, team_id, account_id, None, erase=False)
    (account,) = stored(database, team_id)
    assert mail.disconnected == [("ada@northwind.test", {"refresh_token": "CANARY-refresh"}, True)]
    assert account.state == "disconnected"
    assert installation.credentials_of(account).read() == {}


def test_an_account_that_shares_its_mailbox_leaves_watch_and_consent_alone(
    installation: Installation,
    team_id: int,
    team: Callable[..., int],
    connect: Callable[..., int],
    mail: ObedientMail,
    database: Database,
) -> None:
    account_id, other_team = connect(), team("Agency")
    with database.for_team(other_team) as connection:
        connection.execute(
            sa.text(
                "INSERT INTO account (team_id, provider, kind, address, mailbox, state)"
                " VALUES (:team, 'gmail', 'team', 'ada@northwind.test', 'ada@northwind.test', 'live')"
            ),
            {"team": other_team},
        )
    accounts.disconnect(installation, team_id, account_id, None, erase=False)
    assert [last for _, _, last in mail.disconnected] == [False]


def test_a_disconnected_account_elsewhere_keeps_no_consent_alive(
    installation: Installation,
    team_id: int,
    team: Callable[..., int],
    connect: Callable[..., int],
    mail: ObedientMail,
    database: Database,
) -> None:
    account_id, other_team = connect(), team("Agency")
    with database.for_team(other_team) as connection:
        connection.execute(
            sa.text(
                "INSERT INTO account (team_id, provider, kind, address, mailbox, state)"
                " VALUES (:team, 'gmail', 'team', 'ada@northwind.test', 'ada@northwind.test', 'disconnected')"
            ),
            {"team": other_team},
        )
    accounts.disconnect(installation, team_id, account_id, None, erase=False)
    assert [last for _, _, last in mail.disconnected] == [True]


def test_a_provider_that_does_not_answer_keeps_no_secret_alive(
    installation: Installation, team_id: int, connect: Callable[..., int], mail: ObedientMail, database: Database
) -> None:
    account_id = connect()
    mail.fails_with = Unavailable()
    accounts.disconnect(installation, team_id, account_id, None, erase=False)
    (account,) = stored(database, team_id)
    assert account.state == "disconnected"
    assert installation.credentials_of(account).read() == {}


def test_erasing_leaves_an_audit_row_without_content(
    installation: Installation, team_id: int, connect: Callable[..., int], database: Database
) -> None:
    accounts.disconnect(installation, team_id, connect(), None, erase=True)
    assert stored(database, team_id) == []
    with database.for_team(team_id) as connection:
        row = connection.execute(
            sa.text("SELECT detail::text AS detail FROM audit WHERE action = 'disconnect_account'")
        ).one()
    assert '"erased": true' in row.detail
    assert "northwind" not in row.detail


def test_a_paused_account_is_read_again_after_resume(
    installation: Installation, team_id: int, connect: Callable[..., int], database: Database
) -> None:
    account_id = connect()
    assert accounts.pause(installation, team_id, account_id)
    assert not accounts.pause(installation, team_id, account_id)
    with database.for_team(team_id) as connection:
        before = connection.execute(sa.text("SELECT generation FROM hint")).scalar_one()
    assert accounts.resume(installation, team_id, account_id)
    assert not accounts.resume(installation, team_id, account_id)
    with database.for_team(team_id) as connection:
        assert connection.execute(sa.text("SELECT generation FROM hint")).scalar_one() == before + 1


def test_the_switch_of_a_personal_account_is_its_owners_alone(
    installation: Installation,
    team_id: int,
    connect: Callable[..., int],
    member: Callable[..., Member],
    database: Database,
    clock: StoppedClock,
) -> None:
    connect()
    with database.for_team(team_id) as connection:
        with pytest.raises(NotAllowed):
            accounts.set_auto_link(connection, member("bob@northwind.test"), "ada@northwind.test", False, clock.now())
        accounts.set_auto_link(connection, member(), "ada@northwind.test", False, clock.now())
    assert [account.auto_link for account in stored(database, team_id)] == [False]
