"""Subscriptions: one for each mailbox, made again where it is in doubt whether what it pushes would count."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from app.errors import Rejected, Unavailable, Unsupported
from app.ports import Mailbox, MailConnector
from app.testing.fakes import SteppedClock
from connectors.mail.graph.push import ClientStates
from tests.unit.connectors.graph.conftest import TENANT, USER, Script, mailbox_with

URL = "https://threadlink.test/webhooks/graph"
CONFLICT = {"error": {"code": "Conflict", "message": "Subscription Id s1 already exists for the requested combination"}}


def made(clock: SteppedClock, subscription_id: str = "s2", **more: Any) -> dict[str, Any]:
    ends_at = (clock.now() + timedelta(days=6)).strftime("%Y-%m-%dT%H:%M:%S.0000000Z")
    return {"id": subscription_id, "expirationDateTime": ends_at, **more}


def standing(**more: Any) -> dict[str, Any]:
    return {"id": "s1", "notificationUrl": URL, "resource": f"Users/{USER}/Messages", "clientState": None, **more}


def test_what_is_asked_for(connector: MailConnector, mailbox: Mailbox, script: Script, clock: SteppedClock) -> None:
    script.on("GET", "/subscriptions", (200, {"value": []}))
    script.on("POST", "/subscriptions", (201, made(clock)))
    assert connector.subscribe(mailbox).external_id == "s2"
    _, _, headers, body = script.asked[-1]
    assert headers["Prefer"] == 'IdType="ImmutableId"'
    state = body.pop("clientState")
    assert ClientStates(b"s" * 32).mailbox(state) == f"{TENANT}/{USER}"
    assert body == {
        "changeType": "created,updated",
        "notificationUrl": URL,
        "lifecycleNotificationUrl": URL,
        "resource": f"users/{USER}/messages",
        "expirationDateTime": (clock.now() + timedelta(minutes=10_065)).strftime("%Y-%m-%dT%H:%M:%S.0000000Z"),
        "latestSupportedTlsVersion": "v1_2",
    }
    assert mailbox.credentials.read()["subscription"] == "s2"


def test_the_one_made_last_is_renewed(connector: MailConnector, script: Script, clock: SteppedClock) -> None:
    script.on("PATCH", "/subscriptions/s1", (200, made(clock, "s1")))
    assert connector.subscribe(mailbox_with(subscription="s1")).external_id == "s1"
    assert script.methods() == ["PATCH"]


def test_one_that_is_gone_is_made_again(connector: MailConnector, script: Script, clock: SteppedClock) -> None:
    script.on("PATCH", "/subscriptions/s1", (404, {"error": {"code": "ResourceNotFound"}}))
    script.on("GET", "/subscriptions", (200, {"value": []}))
    script.on("POST", "/subscriptions", (201, made(clock)))
    mailbox = mailbox_with(subscription="s1")
    assert connector.subscribe(mailbox).external_id == "s2"
    assert mailbox.credentials.read()["subscription"] == "s2"


def test_another_account_s_subscription_is_taken_over(
    connector: MailConnector, mailbox: Mailbox, script: Script, clock: SteppedClock
) -> None:
    foreign = [standing(id="x1", notificationUrl="https://else.test/"), standing(id="x2", resource="me/events"), 5]
    second = {"value": [standing()]}
    link = "https://graph.microsoft.com/v1.0/subscriptions?$skiptoken=2"
    script.on("GET", "/subscriptions", (200, {"value": foreign, "@odata.nextLink": link}), (200, second))
    script.on("PATCH", "/subscriptions/s1", (200, made(clock, "s1")))
    assert connector.subscribe(mailbox).external_id == "s1"
    assert script.methods() == ["GET", "GET", "PATCH"]


def test_one_in_the_way_is_ended_and_never_adopted(
    connector: MailConnector, mailbox: Mailbox, script: Script, clock: SteppedClock
) -> None:
    script.on("GET", "/subscriptions", (200, {"value": []}), (200, {"value": [standing()]}))
    script.on("POST", "/subscriptions", (409, CONFLICT), (201, made(clock)))
    script.on("DELETE", "/subscriptions/s1", (204, None))
    assert connector.subscribe(mailbox).external_id == "s2"
    assert script.methods() == ["GET", "POST", "GET", "DELETE", "POST"]


def test_one_in_the_way_may_go_by_itself(
    connector: MailConnector, mailbox: Mailbox, script: Script, clock: SteppedClock
) -> None:
    script.on("GET", "/subscriptions", (200, {"value": []}), (200, {"value": [standing()]}))
    script.on("POST", "/subscriptions", (409, CONFLICT), (201, made(clock)))
    script.on("DELETE", "/subscriptions/s1", (404, {"error": {"code": "ResourceNotFound"}}))
    assert connector.subscribe(mailbox).external_id == "s2"


def test_a_conflict_that_nothing_explains_is_told(connector: MailConnector, mailbox: Mailbox, script: Script) -> None:
    script.on("GET", "/subscriptions", (200, {"value": [standing(id=None)]}))
    script.on("POST", "/subscriptions", (409, CONFLICT))
    with pytest.raises(Rejected):
        connector.subscribe(mailbox)
    assert script.methods().count("POST") == 1


def test_a_subscription_of_another_form_is_ended(
    connector: MailConnector, mailbox: Mailbox, script: Script, clock: SteppedClock
) -> None:
    rich = standing(resource=f"users/{USER}/messages?$select=id")
    script.on("GET", "/subscriptions", (200, {"value": [rich]}))
    script.on("DELETE", "/subscriptions/s1", (204, None))
    script.on("POST", "/subscriptions", (201, made(clock)))
    assert connector.subscribe(mailbox).external_id == "s2"
    assert script.methods() == ["GET", "DELETE", "POST"]


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"id": "s2"},
        {"id": 5, "expirationDateTime": "2999-01-01T00:00:00Z"},
        {"id": "s2", "expirationDateTime": "2999-01-01T00:00:00"},
        {"id": "s2", "expirationDateTime": "soonZ"},
        {"id": "s2", "expirationDateTime": "2001-01-01T00:00:00.0000000Z"},
    ],
)
def test_a_subscription_without_a_usable_end_is_none(
    connector: MailConnector, mailbox: Mailbox, script: Script, answer: dict[str, Any]
) -> None:
    script.on("GET", "/subscriptions", (200, {"value": []}))
    script.on("POST", "/subscriptions", (201, answer))
    with pytest.raises(Unavailable):
        connector.subscribe(mailbox)
    assert "subscription" not in mailbox.credentials.read()


def test_a_shared_mailbox_is_polled(connector: MailConnector, script: Script) -> None:
    with pytest.raises(Unsupported, match="polled"):
        connector.subscribe(mailbox_with(kind="shared"))
    assert script.asked == []


def test_the_last_account_ends_it(new_connector: Callable[..., MailConnector], script: Script) -> None:
    script.on("GET", "/subscriptions", (200, {"value": [standing()]}))
    script.on("DELETE", "/subscriptions/s1", (204, None))
    mailbox = mailbox_with(subscription="s1")
    new_connector().disconnect(mailbox, last=False)
    assert script.asked == []
    mailbox = mailbox_with(subscription="s1")
    new_connector().disconnect(mailbox, last=True)
    assert script.methods() == ["GET", "DELETE"]
    assert mailbox.credentials.read() == {}
