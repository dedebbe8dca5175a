"""Pushes: what is accepted, what is refused, and in which shapes and orders they come."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from app.errors import NotificationForged, NotificationMalformed, VerificationUnavailable
from app.model import Notification
from app.ports import PushRequest
from app.testing.fakes import PushListener
from connectors.mail.gmail.simulator_google import push_claims
from connectors.simulated_keys import Signer

if TYPE_CHECKING:
    from tests.integration.gmail.conftest import Gmail

ADDRESS = "ada@northwind.test"
AUDIENCE = "https://threadlink.test/webhooks/gmail"
pytestmark = pytest.mark.integration


def bearer(token: str) -> dict[str, dict[str, str]]:
    return {"headers": {"authorization": f"Bearer {token}"}}


def signed(gmail: Gmail, **claims: Any) -> str:
    return gmail.simulator.signer.sign({**push_claims(AUDIENCE, gmail.clock.now()), **claims})


def test_a_push_names_mailbox_and_position(gmail: Gmail) -> None:
    assert gmail.connector.read_push(gmail.push(9876543210)) == [Notification("gmail", ADDRESS, "9876543210")]


def test_a_position_may_be_text(gmail: Gmail) -> None:
    assert gmail.connector.read_push(gmail.push("9876543210")) == [Notification("gmail", ADDRESS, "9876543210")]


def test_the_case_of_an_address_does_not_matter(gmail: Gmail) -> None:
    assert gmail.connector.read_push(gmail.push(5, "Ada@Northwind.TEST")) == [Notification("gmail", ADDRESS, "5")]


def test_an_unknown_mailbox_is_read_like_a_known_one(gmail: Gmail) -> None:
    read = gmail.connector.read_push(gmail.push(5, "nobody@nowhere.test"))
    assert read == [Notification("gmail", "nobody@nowhere.test", "5")]


def test_a_push_without_an_envelope_is_read(gmail: Gmail) -> None:
    body = json.dumps({"emailAddress": ADDRESS, "historyId": 7}).encode()
    assert gmail.connector.read_push(gmail.push(body=body)) == [Notification("gmail", ADDRESS, "7")]


@pytest.mark.parametrize("alphabet", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("padding", ["", "="])
def test_both_base64_alphabets_are_read(gmail: Gmail, alphabet: Any, padding: str) -> None:
    data = alphabet(json.dumps({"emailAddress": "a~~~??>@b.test", "historyId": 7}).encode()).decode()
    data = data if padding else data.rstrip("=")
    body = json.dumps({"message": {"data": data}, "subscription": "projects/simulated/subscriptions/threadlink"})
    (notification,) = gmail.connector.read_push(gmail.push(body=body.encode()))
    assert notification.mailbox == "a~~~??>@b.test"


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://elsewhere.test"},
        {"aud": AUDIENCE.upper()},
        {"aud": [AUDIENCE]},
        {"iss": "https://accounts.google.com.evil.test"},
        {"email": "somebody@else.test"},
        {"email_verified": "true"},
        {"email_verified": False},
        {"exp": 1},
        {"exp": None},
        {"exp": "never"},
        {"exp": float("nan")},
        {"iat": 4_000_000_000, "exp": 4_000_003_600},
        {"iat": True},
    ],
    ids=str,
)
def test_a_token_with_wrong_claims_is_forged(gmail: Gmail, claims: dict[str, Any]) -> None:
    with pytest.raises(NotificationForged):
        gmail.connector.read_push(gmail.push(**bearer(signed(gmail, **claims))))


def test_an_expired_token_is_forged(gmail: Gmail) -> None:
    push = gmail.push()
    gmail.clock.step(hours=1, seconds=11)
    with pytest.raises(NotificationForged):
        gmail.connector.read_push(push)


def test_a_clock_that_is_seconds_off_is_forgiven(gmail: Gmail) -> None:
    push = gmail.push()
    gmail.clock.step(seconds=-9)
    assert gmail.connector.read_push(push)


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer a.b", "Basic YTpi", "Bearer a.b.c", "Bearer ü.b.c"])
def test_a_push_without_a_token_is_forged(gmail: Gmail, authorization: str) -> None:
    with pytest.raises(NotificationForged):
        gmail.connector.read_push(gmail.push(headers={"authorization": authorization}))


def test_a_token_without_a_signature_is_forged(gmail: Gmail) -> None:
    token = gmail.simulator.signer.sign(push_claims(AUDIENCE, gmail.clock.now()), alg="none")
    with pytest.raises(NotificationForged):
        gmail.connector.read_push(gmail.push(**bearer(token.rpartition(".")[0] + ".")))


def test_a_token_of_another_algorithm_is_forged(gmail: Gmail) -> None:
    token = gmail.simulator.signer.sign(push_claims(AUDIENCE, gmail.clock.now()), alg="HS256")
    with pytest.raises(NotificationForged):
        gmail.connector.read_push(gmail.push(**bearer(token)))


def test_a_token_of_another_key_is_forged(gmail: Gmail) -> None:
    forger = Signer()
    forger.number = 99
    token = forger.sign(push_claims(AUDIENCE, gmail.clock.now()), kid=gmail.simulator.signer.key_id)
    with pytest.raises(NotificationForged):
        gmail.connector.read_push(gmail.push(**bearer(token)))


def test_a_changed_claim_breaks_the_signature(gmail: Gmail) -> None:
    header, _, signature = signed(gmail).split(".")
    claims = base64.urlsafe_b64encode(json.dumps(push_claims(AUDIENCE, gmail.clock.now()) | {"x": 1}).encode()).decode()
    with pytest.raises(NotificationForged):
        gmail.connector.read_push(gmail.push(**bearer(f"{header}.{claims.rstrip('=')}.{signature}")))


def test_a_push_of_another_subscription_is_refused(gmail: Gmail) -> None:
    data = base64.b64encode(json.dumps({"emailAddress": ADDRESS, "historyId": 7}).encode()).decode()
    body = json.dumps({"message": {"data": data}, "subscription": "projects/other/subscriptions/x"}).encode()
    with pytest.raises(NotificationForged):
        gmail.connector.read_push(gmail.push(body=body))


def test_without_a_service_account_every_push_is_refused(gmail: Gmail) -> None:
    connector = gmail.new_connector(GMAIL_PUSH_SERVICE_ACCOUNT="")
    with pytest.raises(NotificationForged):
        connector.read_push(gmail.push())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"null",
        b"[" * 50_000,
        b'{"message": null}',
        b'{"message": {"data": 7}}',
        b'{"message": {"data": "!!!"}}',
        b'{"message": {"data": "bnVsbA"}}',
        b'{"emailAddress": 5}',
        b'{"emailAddress": "no address"}',
        b'{"emailAddress": "' + b"a" * 400 + b'@b.test"}',
        b'{"x": "' + b"a" * 200_000 + b'"}',
        b"\xff\xfe",
        b'{"x": ' + b"9" * 5_000 + b"}",
    ],
    ids=lambda body: repr(body[:30]),
)
def test_a_signed_push_that_cannot_be_read_is_malformed(gmail: Gmail, body: bytes) -> None:
    with pytest.raises(NotificationMalformed):
        gmail.connector.read_push(gmail.push(body=body))


@pytest.mark.parametrize("position", ["-1", "1.5", "", "x", "9" * 30, None, True, {}])
def test_an_unreadable_position_is_left_out(gmail: Gmail, position: object) -> None:
    body = json.dumps({"emailAddress": ADDRESS, "historyId": position}).encode()
    assert gmail.connector.read_push(gmail.push(body=body)) == [Notification("gmail", ADDRESS, None)]


def test_without_any_keys_a_push_cannot_be_verified_yet(gmail: Gmail) -> None:
    gmail.simulator.fault("certs_down")
    with pytest.raises(VerificationUnavailable):
        gmail.connector.read_push(gmail.push())
    gmail.clock.step(seconds=61)
    assert gmail.connector.read_push(gmail.push())


def test_old_keys_serve_while_new_ones_cannot_be_fetched(gmail: Gmail) -> None:
    assert gmail.connector.read_push(gmail.push())
    gmail.simulator.fault("certs_down", count=-1)
    gmail.clock.step(hours=30)
    assert gmail.connector.read_push(gmail.push())


def test_a_new_key_is_found(gmail: Gmail) -> None:
    assert gmail.connector.read_push(gmail.push())
    gmail.clock.step(seconds=61)
    gmail.simulator.fault("keys_rotated")
    assert gmail.connector.read_push(gmail.push())


def test_a_wave_of_unknown_keys_causes_one_fetch_a_minute(gmail: Gmail, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []
    certificates = gmail.simulator.signer.certificates
    monkeypatch.setattr(gmail.simulator.signer, "certificates", lambda: fetched.append(1) or certificates())
    assert gmail.connector.read_push(gmail.push())
    gmail.clock.step(seconds=61)
    claims = push_claims(AUDIENCE, gmail.clock.now())
    for number in range(50):
        token = gmail.simulator.signer.sign(claims, kid=f"random-{number}")
        with pytest.raises(NotificationForged):
            gmail.connector.read_push(gmail.push(**bearer(token)))
    assert gmail.connector.read_push(gmail.push())
    assert len(fetched) == 2


def test_a_key_that_was_unknown_is_not_looked_for_again_soon(gmail: Gmail, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []
    certificates = gmail.simulator.signer.certificates
    monkeypatch.setattr(gmail.simulator.signer, "certificates", lambda: fetched.append(1) or certificates())
    for _ in range(5):
        token = gmail.simulator.signer.sign(push_claims(AUDIENCE, gmail.clock.now()), kid="unknown")
        with pytest.raises(NotificationForged):
            gmail.connector.read_push(gmail.push(**bearer(token)))
        gmail.clock.step(minutes=2)
    assert len(fetched) == 1


def test_wrong_claims_never_cause_a_fetch(gmail: Gmail, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []
    monkeypatch.setattr(gmail.simulator.signer, "certificates", lambda: fetched.append(1) or {})
    with pytest.raises(NotificationForged):
        gmail.connector.read_push(gmail.push(**bearer(signed(gmail, aud="elsewhere"))))
    assert fetched == []


def test_a_wrong_answer_for_keys_is_no_key(gmail: Gmail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gmail.simulator.signer, "certificates", lambda: {"simulated-key-0": "no certificate"})
    with pytest.raises(VerificationUnavailable):
        gmail.connector.read_push(gmail.push())


def test_new_mail_is_pushed_at_once(gmail: Gmail, listener: PushListener) -> None:
    gmail.deliver(1)
    gmail.simulator.settle()
    assert [notification.mailbox for notification in listener.notifications] == [ADDRESS]


@pytest.mark.parametrize("folder", ["draft", "spam", "trash"])
def test_what_is_left_out_is_not_pushed(gmail: Gmail, listener: PushListener, folder: str) -> None:
    gmail.deliver(1, folder)
    gmail.simulator.settle()
    assert listener.notifications == []


def test_archived_mail_is_pushed(gmail: Gmail, listener: PushListener) -> None:
    gmail.deliver(1, "other")
    gmail.simulator.settle()
    assert len(listener.notifications) == 1


@pytest.mark.parametrize(
    ("fault", "count"), [("duplicate_push", 3), ("lost_push", 1), ("string_history_id", 2), ("unwrapped_push", 2)]
)
def test_pushes_come_as_they_like(gmail: Gmail, listener: PushListener, fault: str, count: int) -> None:
    gmail.simulator.fault(fault)
    gmail.deliver(1)
    gmail.deliver(2)
    gmail.simulator.settle()
    assert [notification.mailbox for notification in listener.notifications] == [ADDRESS] * count


def test_pushes_may_overtake_each_other(gmail: Gmail, listener: PushListener) -> None:
    gmail.simulator.fault("out_of_order_push")
    gmail.deliver(1)
    gmail.deliver(2)
    gmail.simulator.settle()
    first, second = (int(notification.position or 0) for notification in listener.notifications)
    assert first > second


def test_a_push_may_be_an_hour_late(gmail: Gmail, listener: PushListener) -> None:
    gmail.simulator.fault("late_push", by_s=3600)
    gmail.deliver(1)
    gmail.simulator.settle()
    assert listener.notifications == []
    gmail.clock.step(hours=1)
    gmail.simulator.settle()
    assert len(listener.notifications) == 1


def test_a_push_that_is_refused_comes_again(gmail: Gmail, listener: PushListener) -> None:
    gmail.simulator.fault("forged_push")
    gmail.deliver(1)
    gmail.simulator.settle()
    assert listener.forged == 1
    assert len(listener.notifications) == 1


def test_an_ended_watch_pushes_nothing(gmail: Gmail, listener: PushListener) -> None:
    gmail.clock.step(days=8)
    gmail.deliver(1)
    gmail.simulator.settle()
    assert listener.notifications == []


def test_reading_a_push_asks_gmail_nothing(gmail: Gmail) -> None:
    gmail.connector.read_push(gmail.push())
    assert gmail.usage()["requests"] == 0


def test_a_push_is_plain_data(gmail: Gmail) -> None:
    push = gmail.push()
    assert isinstance(push, PushRequest)
    assert set(push.headers) == {"content-type", "authorization"}
