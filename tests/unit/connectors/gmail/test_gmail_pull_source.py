"""Pulling from Pub/Sub: what is read, acknowledged and refused, and which key files are taken."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import responses

from app.errors import ApplicationMisconfigured, ProviderError, RateLimited, SettingsError, Unavailable
from app.model import Notification
from app.ports import Pulled
from app.testing.fakes import SteppedClock
from connectors.mail.gmail.pull import PubSubPull
from connectors.mail.gmail.settings import load
from connectors.mail.gmail.simulator_pubsub import PulledSubscription
from connectors.simulated_faults import Faults

NAME = "projects/p-1/subscriptions/threadlink"
PULL = f"https://pubsub.googleapis.com/v1/{NAME}:pull"
ACKNOWLEDGE = f"https://pubsub.googleapis.com/v1/{NAME}:acknowledge"
TOKEN = "https://oauth2.googleapis.com/token"


@pytest.fixture
def environ() -> Iterator[dict[str, str]]:
    subscription = PulledSubscription(NAME, Faults("mailbox"))
    given = subscription.start("https://pubsub.googleapis.com", SteppedClock())
    yield {**given, "GMAIL_SUBSCRIPTION": NAME}
    subscription.stop()


@pytest.fixture
def google() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as google:
        google.post(TOKEN, json={"access_token": "t1", "expires_in": 3599})
        yield google


@pytest.fixture
def source(environ: dict[str, str], google: responses.RequestsMock) -> PubSubPull:
    return make(environ)


def make(environ: dict[str, str], **changed: str) -> PubSubPull:
    return PubSubPull(load({**environ, **changed}), SteppedClock())


def pull(source: PubSubPull) -> Pulled:
    return next(source.pull(lambda: False))


def encoded(data: object) -> str:
    return base64.b64encode(json.dumps(data).encode()).decode()


def entry(number: int, data: object) -> dict[str, Any]:
    return {"ackId": f"a{number}", "message": {"data": encoded(data), "messageId": str(number)}}


def asked(google: responses.RequestsMock, url: str) -> list[responses.Call]:
    return [call for call in google.calls if call.request.url == url]


def test_messages_are_read_as_those_of_a_push_are(source: PubSubPull, google: responses.RequestsMock) -> None:
    messages = [
        entry(1, {"emailAddress": "Ada@Northwind.test", "historyId": 9876543210}),
        entry(2, {"emailAddress": "bob@northwind.test", "historyId": "18446744073709551616"}),
    ]
    google.post(PULL, json={"receivedMessages": messages})
    pulled = pull(source)
    assert pulled.notifications == (
        Notification("gmail", "ada@northwind.test", "9876543210"),
        Notification("gmail", "bob@northwind.test", "18446744073709551616"),
    )
    assert pulled.unreadable == 0
    (call,) = asked(google, PULL)
    assert json.loads(call.request.body or "") == {"maxMessages": 100}
    assert call.request.headers["Authorization"] == "Bearer t1"


def test_the_token_is_asked_of_the_operators_endpoint_and_kept(
    environ: dict[str, str], google: responses.RequestsMock
) -> None:
    google.post("https://sts.operator.test/token", json={"access_token": "t2", "expires_in": 3599})
    google.post(PULL, json={})
    source = make(environ, GMAIL_TOKEN_URL="https://sts.operator.test/token")
    pull(source)
    pull(source)
    assert len(asked(google, "https://sts.operator.test/token")) == 1
    assert asked(google, TOKEN) == []


@pytest.mark.parametrize(
    "message",
    [
        None,
        {},
        {"data": 7},
        {"data": "!!!"},
        {"data": encoded([])},
        {"data": encoded({"emailAddress": 5})},
        {"data": encoded({"emailAddress": "no address"})},
        {"data": encoded({"emailAddress": "nul\x00@b.test"})},
        {"data": encoded({"emailAddress": "half\ud800@b.test"})},
        {"data": base64.b64encode(b"[" * 70_000).decode()},
    ],
    ids=lambda message: repr(message)[:40],
)
def test_a_message_that_cannot_be_read_is_counted_and_acknowledged_with_the_others(
    source: PubSubPull, google: responses.RequestsMock, message: object
) -> None:
    readable = entry(2, {"emailAddress": "ada@northwind.test", "historyId": 7})
    google.post(PULL, json={"receivedMessages": [{"ackId": "a1", "message": message}, readable]})
    google.post(ACKNOWLEDGE, json={})
    pulled = pull(source)
    assert [notification.mailbox for notification in pulled.notifications] == ["ada@northwind.test"]
    assert pulled.unreadable == 1
    pulled.acknowledge()
    (call,) = asked(google, ACKNOWLEDGE)
    assert json.loads(call.request.body or "") == {"ackIds": ["a1", "a2"]}


@pytest.mark.parametrize("received", [None, {}, "x", [], [None], [{"ackId": 5}], [[]]], ids=repr)
def test_where_there_is_nothing_to_acknowledge_nothing_is_asked(
    source: PubSubPull, google: responses.RequestsMock, received: object
) -> None:
    google.post(PULL, json={"receivedMessages": received})
    pulled = pull(source)
    pulled.acknowledge()
    assert pulled.notifications == ()
    assert asked(google, ACKNOWLEDGE) == []


def test_nothing_is_asked_once_it_is_to_stop(source: PubSubPull, google: responses.RequestsMock) -> None:
    assert list(source.pull(lambda: True)) == []
    assert len(google.calls) == 0


@pytest.mark.parametrize(("status", "raised"), [(503, Unavailable), (429, RateLimited), (500, Unavailable)])
def test_what_passes_is_to_be_tried_again(
    source: PubSubPull, google: responses.RequestsMock, status: int, raised: type[ProviderError]
) -> None:
    google.post(PULL, status=status)
    with pytest.raises(raised):
        pull(source)


@pytest.mark.parametrize("body", ["", "<html>", "[]", "[" * 50_000])
def test_an_answer_that_cannot_be_read_is_to_be_asked_for_again(
    source: PubSubPull, google: responses.RequestsMock, body: str
) -> None:
    google.post(PULL, body=body)
    with pytest.raises(Unavailable):
        pull(source)


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (400, "GMAIL_SUBSCRIPTION cannot be pulled: give it the delivery type Pull"),
        (401, "does not accept the tokens"),
        (403, "needs the role Pub/Sub Subscriber on GMAIL_SUBSCRIPTION"),
        (404, "GMAIL_SUBSCRIPTION does not exist: create it again"),
    ],
)
def test_a_wrong_set_up_is_said_with_what_to_do(
    source: PubSubPull, google: responses.RequestsMock, status: int, says: str
) -> None:
    google.post(PULL, status=status, json={"error": {"code": status, "message": "no"}})
    with pytest.raises(ApplicationMisconfigured, match=says):
        pull(source)


def test_an_acknowledgement_is_tried_twice(source: PubSubPull, google: responses.RequestsMock) -> None:
    google.post(PULL, json={"receivedMessages": [entry(1, {"emailAddress": "ada@northwind.test"})]})
    google.post(ACKNOWLEDGE, status=503)
    google.post(ACKNOWLEDGE, json={})
    pull(source).acknowledge()
    assert len(asked(google, ACKNOWLEDGE)) == 2


def test_an_acknowledgement_that_fails_twice_is_given_up(source: PubSubPull, google: responses.RequestsMock) -> None:
    google.post(PULL, json={"receivedMessages": [entry(1, {"emailAddress": "ada@northwind.test"})]})
    google.post(ACKNOWLEDGE, status=503)
    with pytest.raises(Unavailable):
        pull(source).acknowledge()
    assert len(asked(google, ACKNOWLEDGE)) == 2


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refused_key_is_the_operators_matter(
    environ: dict[str, str], google: responses.RequestsMock, status: int
) -> None:
    google.replace(responses.POST, TOKEN, status=status, json={"error": "invalid_grant"})
    with pytest.raises(ApplicationMisconfigured, match="make a new one"):
        pull(make(environ))


@pytest.mark.parametrize(
    ("status", "body"),
    [(503, ""), (200, ""), (200, "<html>"), (200, "{}"), (200, "[]"), (200, '{"access_token":"t","expires_in":"x"}')],
)
def test_a_token_that_does_not_come_is_asked_for_again_later(
    environ: dict[str, str], google: responses.RequestsMock, status: int, body: str
) -> None:
    google.replace(responses.POST, TOKEN, status=status, body=body)
    with pytest.raises(Unavailable):
        pull(make(environ))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "no json",
        "[" * 50_000,
        '{"type": "authorized_user", "refresh_token": "CANARY"}',
        '{"type": "service_account", "client_email": "CANARY@p.test"}',
        '{"type": "service_account", "client_email": "CANARY@p.test", "private_key": "CANARY"}',
        '{"type": "service_account", "client_email": "CANARY@p.test", "private_key": 5}',
    ],
    ids=lambda content: content[:60],
)
def test_a_file_that_is_no_key_is_named_and_not_shown(environ: dict[str, str], tmp_path: Path, content: str) -> None:
    file = tmp_path / "key.json"
    file.write_text(content)
    with pytest.raises(SettingsError, match="GMAIL_PUBSUB_CREDENTIALS") as raised:
        make(environ, GMAIL_PUBSUB_CREDENTIALS=str(file))
    assert "CANARY" not in str(raised.value)


def test_a_file_that_is_not_there_is_said(environ: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"GMAIL_PUBSUB_CREDENTIALS.*FileNotFoundError"):
        make(environ, GMAIL_PUBSUB_CREDENTIALS=str(tmp_path / "none.json"))


@pytest.mark.parametrize(
    "name", ["", "threadlink", "projects/p/topics/t", "projects/p/subscriptions/../x", "a\n" + NAME]
)
def test_a_subscription_must_be_named_in_full(environ: dict[str, str], name: str) -> None:
    with pytest.raises(SettingsError, match="GMAIL_SUBSCRIPTION"):
        make(environ, GMAIL_SUBSCRIPTION=name)
