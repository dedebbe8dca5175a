"""Consent, tokens and watches."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from app.errors import (
    AccessRevoked,
    AdminBlocked,
    ApplicationMisconfigured,
    MailboxUnavailable,
    Rejected,
    Unavailable,
)
from app.ports import Mailbox
from app.testing.fakes import MemoryCredentials

if TYPE_CHECKING:
    from tests.integration.gmail.conftest import Gmail

ADDRESS = "ada@northwind.test"
REDIRECT_URI = "https://threadlink.test/connect/gmail"
pytestmark = pytest.mark.integration


def secrets_of(mailbox: Mailbox) -> MemoryCredentials:
    assert isinstance(mailbox.credentials, MemoryCredentials)
    return mailbox.credentials


def test_the_consent_page_is_asked_for_lasting_access_with_pkce(gmail: Gmail) -> None:
    authorization = gmail.connector.authorize(REDIRECT_URI, "state", "ada@northwind.test")
    query = {name: values[0] for name, values in parse_qs(urlsplit(authorization.url).query).items()}
    assert query["response_type"] == "code"
    assert query["access_type"] == "offline"
    assert query["prompt"] == "consent"
    assert query["code_challenge_method"] == "S256"
    assert query["login_hint"] == "ada@northwind.test"
    assert query["scope"].split() == ["openid", "email", "https://www.googleapis.com/auth/gmail.readonly"]
    assert "include_granted_scopes" not in query
    assert authorization.kept["verifier"] not in authorization.url


def test_each_consent_has_a_verifier_of_its_own(gmail: Gmail) -> None:
    kept = [gmail.connector.authorize(REDIRECT_URI, "state", None).kept["verifier"] for _ in range(2)]
    assert kept[0] != kept[1]


def test_headers_only_never_asks_for_more(gmail: Gmail) -> None:
    url = gmail.new_connector(GMAIL_SCOPES="metadata").authorize(REDIRECT_URI, "state", None).url
    assert "gmail.metadata" in url
    assert "gmail.readonly" not in url


def test_an_account_is_known_by_its_subject(gmail: Gmail) -> None:
    connected = gmail.consent()
    assert connected.provider_user_id.isdecimal()
    assert connected.mailbox == ADDRESS


def test_a_consent_without_gmail_is_refused(gmail: Gmail) -> None:
    gmail.simulator.fault("scope_not_granted")
    with pytest.raises(AccessRevoked, match="not ticked"):
        gmail.consent()


@pytest.mark.parametrize(
    ("code", "error"),
    [("access_denied", AccessRevoked), ("admin_policy_enforced", AdminBlocked), ("something_new", Rejected)],
)
def test_a_refused_consent_says_why(gmail: Gmail, code: str, error: type[Exception]) -> None:
    gmail.simulator.fault("consent_refused", error=code)
    with pytest.raises(error):
        gmail.consent()


@pytest.mark.parametrize(
    "args", [{}, {"code": ""}, {"code": "made-up"}, {"code": "x", "iss": "https://login.microsoftonline.com"}]
)
def test_what_is_no_answer_of_google_is_refused(gmail: Gmail, args: dict[str, str]) -> None:
    authorization = gmail.connector.authorize(REDIRECT_URI, "state", None)
    with pytest.raises((Rejected, AccessRevoked)):
        gmail.connector.connect(REDIRECT_URI, args, authorization.kept)


def test_an_account_without_gmail_is_named(gmail: Gmail) -> None:
    gmail.simulator.fault("mail_disabled")
    with pytest.raises(MailboxUnavailable):
        gmail.consent()


def test_without_a_client_nothing_is_tried(gmail: Gmail, mailbox: Mailbox) -> None:
    connector = gmail.new_connector(GMAIL_CLIENT_ID="")
    with pytest.raises(ApplicationMisconfigured):
        connector.authorize(REDIRECT_URI, "state", None)
    with pytest.raises(ApplicationMisconfigured):
        connector.connect(REDIRECT_URI, {"code": "x"}, {"verifier": "y"})
    gmail.clock.step(hours=2)
    with pytest.raises(ApplicationMisconfigured):
        connector.own_addresses(mailbox)


def test_a_token_is_used_while_it_lasts(gmail: Gmail, mailbox: Mailbox) -> None:
    gmail.clock.step(minutes=30)
    gmail.connector.own_addresses(mailbox)
    assert secrets_of(mailbox).writes == 0


def test_a_token_that_ends_soon_is_refreshed_and_kept(gmail: Gmail, mailbox: Mailbox) -> None:
    gmail.clock.step(minutes=59)
    gmail.connector.own_addresses(mailbox)
    gmail.connector.own_addresses(mailbox)
    assert secrets_of(mailbox).writes == 1
    assert mailbox.credentials.read()["refresh_token"]
    assert mailbox.credentials.read()["sub"]


def test_many_at_once_refresh_once(gmail: Gmail, mailbox: Mailbox) -> None:
    gmail.clock.step(hours=2)
    threads = [threading.Thread(target=gmail.connector.own_addresses, args=(mailbox,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert secrets_of(mailbox).writes == 1


def test_a_withdrawn_consent_is_named_even_while_the_token_lasts(gmail: Gmail, mailbox: Mailbox) -> None:
    gmail.simulator.fault("token_revoked")
    with pytest.raises(AccessRevoked):
        gmail.connector.own_addresses(mailbox)


def test_a_wrong_application_secret_blames_no_account(gmail: Gmail, mailbox: Mailbox) -> None:
    gmail.clock.step(hours=2)
    gmail.simulator.fault("invalid_client")
    with pytest.raises(ApplicationMisconfigured):
        gmail.connector.own_addresses(mailbox)
    assert gmail.connector.own_addresses(mailbox)


def test_a_token_endpoint_that_is_away_changes_nothing(gmail: Gmail, mailbox: Mailbox) -> None:
    gmail.clock.step(hours=2)
    gmail.simulator.fault("token_endpoint_down")
    with pytest.raises(Unavailable):
        gmail.connector.own_addresses(mailbox)
    assert secrets_of(mailbox).writes == 0
    assert gmail.connector.own_addresses(mailbox)


def test_a_token_of_another_account_is_not_kept(gmail: Gmail, mailbox: Mailbox) -> None:
    with secrets_of(mailbox).locked() as row:
        row.write({**row.read(), "sub": "somebody-else", "expires_at": 0})
    with pytest.raises(AccessRevoked):
        gmail.connector.own_addresses(mailbox)
    assert secrets_of(mailbox).writes == 1


def test_a_watch_lasts_a_week(gmail: Gmail, mailbox: Mailbox) -> None:
    subscription = gmail.connector.subscribe(mailbox)
    assert (subscription.expires_at - gmail.clock.now()).days == 7
    assert gmail.simulator.is_watched(ADDRESS)


def test_a_watch_in_the_way_is_stopped_first(gmail: Gmail, mailbox: Mailbox) -> None:
    gmail.simulator.fault("watch_conflict")
    gmail.connector.subscribe(mailbox)
    assert gmail.usage()["stop"] == 1
    assert gmail.simulator.is_watched(ADDRESS)


def test_a_watch_that_ended_is_made_again(gmail: Gmail, mailbox: Mailbox) -> None:
    gmail.connector.subscribe(mailbox)
    gmail.simulator.fault("watch_ended")
    assert not gmail.simulator.is_watched(ADDRESS)
    gmail.connector.subscribe(mailbox)
    assert gmail.simulator.is_watched(ADDRESS)


def test_a_topic_gmail_may_not_publish_to_is_the_operators(gmail: Gmail, mailbox: Mailbox) -> None:
    gmail.simulator.fault("watch_forbidden")
    with pytest.raises(ApplicationMisconfigured):
        gmail.connector.subscribe(mailbox)


def test_a_topic_that_is_none_is_the_operators(gmail: Gmail, mailbox: Mailbox) -> None:
    with pytest.raises(ApplicationMisconfigured):
        gmail.new_connector(GMAIL_TOPIC="threadlink").subscribe(mailbox)


def test_without_a_topic_mailboxes_are_polled(gmail: Gmail) -> None:
    capabilities = gmail.new_connector(GMAIL_TOPIC="").capabilities
    assert not capabilities.subscriptions
    assert "subscriptions" in capabilities.missing


def test_only_the_last_account_stops_the_watch(gmail: Gmail, mailbox: Mailbox) -> None:
    other = gmail.connect()
    gmail.connector.subscribe(mailbox)
    gmail.connector.disconnect(mailbox, last=False)
    assert gmail.simulator.is_watched(ADDRESS)
    assert gmail.connector.own_addresses(other)
    gmail.connector.disconnect(other, last=True)
    assert not gmail.simulator.is_watched(ADDRESS)


def test_a_disconnection_that_google_does_not_answer_is_tried_again(gmail: Gmail, mailbox: Mailbox) -> None:
    gmail.simulator.fault("server_error", operation="stop")
    with pytest.raises(Unavailable):
        gmail.connector.disconnect(mailbox, last=True)
    assert mailbox.credentials.read()
    gmail.connector.disconnect(mailbox, last=True)
    assert mailbox.credentials.read() == {}


def test_an_alias_nobody_confirmed_is_not_ours(gmail: Gmail, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {
        "sendAs": [
            {"sendAsEmail": "Ada@Northwind.test", "isPrimary": True},
            {"sendAsEmail": " Sales@Northwind.test ", "verificationStatus": "accepted"},
            {"sendAsEmail": "ceo@acme.test", "verificationStatus": "pending"},
            {"sendAsEmail": 7, "verificationStatus": "accepted"},
            "nonsense",
        ]
    }
    monkeypatch.setattr(gmail.connector._api, "call", lambda *_: entries)
    assert gmail.connector.own_addresses(mailbox) == {ADDRESS, "sales@northwind.test"}


def test_a_browser_may_choose_the_mailbox(gmail: Gmail) -> None:
    authorization = gmail.connector.authorize(REDIRECT_URI, "state", None)
    page = requests.get(authorization.url, timeout=5)
    assert ADDRESS in page.text
    chosen = requests.get(f"{authorization.url}&choose={ADDRESS}", timeout=5, allow_redirects=False)
    assert chosen.status_code == 302
    back = {name: values[0] for name, values in parse_qs(urlsplit(chosen.headers["Location"]).query).items()}
    assert gmail.connector.connect(REDIRECT_URI, back, authorization.kept).address == ADDRESS
