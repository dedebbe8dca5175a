"""Rich notifications: what Microsoft must have signed, what only our certificate opens, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from app.errors import NotificationForged, SettingsError, VerificationUnavailable
from app.model import Notification
from app.ports import Mailbox, MailConnector, PushRequest
from app.testing.fakes import PushListener
from tests.integration.graph.certificates import write_certificate
from tests.integration.graph.conftest import mailbox_of

if TYPE_CHECKING:
    from tests.integration.graph.conftest import Graph

pytestmark = pytest.mark.integration

Body = dict[str, Any]


@dataclass
class Rich:
    """A mailbox whose pushes are rich, and a push of it to play with."""

    graph: Graph
    connector: MailConnector
    mailbox: Mailbox

    def read(self, body: Body) -> list[str]:
        read = self.connector.read_push(PushRequest("POST", {}, {}, json.dumps(body).encode()))
        assert isinstance(read, list)
        return [notification.mailbox for notification in read]

    def pushed(self) -> Body:
        """Deliver a message and return what was pushed for it."""
        before = len(self.graph.simulator.subscriptions.sent)
        self.graph.deliver(before)
        self.graph.simulator.settle()
        body: Body = self.graph.simulator.subscriptions.sent[-1]
        assert len(self.graph.simulator.subscriptions.sent) > before
        return json.loads(json.dumps(body))  # type: ignore[no-any-return]  # a copy


@pytest.fixture
def rich(graph: Graph, tmp_path: Path) -> Iterator[Rich]:
    pem = write_certificate(tmp_path / "rich.pem")
    connector = graph.new_connector(GRAPH_NOTIFICATIONS="rich", GRAPH_NOTIFICATION_CERTIFICATE=str(pem))
    mailbox = mailbox_of(graph.consent(connector))
    with PushListener(connector.read_push) as listener:
        graph.simulator.push_to(listener.url)
        connector.subscribe(mailbox)
        yield Rich(graph, connector, mailbox)
        graph.simulator.settle()


def test_a_rich_push_names_its_mailbox(rich: Rich) -> None:
    assert rich.read(rich.pushed()) == [rich.mailbox.account.mailbox]


def test_the_subscription_ends_within_what_graph_allows_for_rich_ones(rich: Rich) -> None:
    (made,) = rich.graph.simulator.subscriptions.active.values()
    assert made.expires_at - rich.graph.clock.now() <= timedelta(minutes=1_440)
    assert made.select == "id"


def _without_tokens(body: Body) -> None:
    del body["validationTokens"]


def _nonsense_token(body: Body) -> None:
    body["validationTokens"] = ["x", "a.b.c", "x" * 100_000, 7]


def _no_content(body: Body) -> None:
    del body["value"][0]["encryptedContent"]


def _content_of_nobody(body: Body) -> None:
    body["value"][0]["encryptedContent"] = {"data": "x", "encryptionCertificateId": "other"}


def _changed_data(body: Body) -> None:
    content = body["value"][0]["encryptedContent"]
    content["data"] = content["data"][:-8] + "AAAAAAA="


def _changed_signature(body: Body) -> None:
    content = body["value"][0]["encryptedContent"]
    content["dataSignature"] = content["dataSignature"][::-1]


def _other_message(body: Body) -> None:
    body["value"][0]["resourceData"]["id"] = "another-message"


def _not_base64(body: Body) -> None:
    body["value"][0]["encryptedContent"]["dataKey"] = "ü"


@pytest.mark.parametrize(
    "change",
    [
        _without_tokens,
        _nonsense_token,
        _no_content,
        _content_of_nobody,
        _changed_data,
        _changed_signature,
        _other_message,
        _not_base64,
    ],
    ids=lambda change: change.__name__.strip("_"),
)
def test_what_does_not_prove_itself_is_refused(rich: Rich, change: Callable[[Body], None]) -> None:
    body = rich.pushed()
    assert rich.read(body) == [rich.mailbox.account.mailbox]
    change(body)
    with pytest.raises(NotificationForged):
        rich.read(body)


def test_one_item_that_was_changed_leaves_the_others(rich: Rich) -> None:
    body = rich.pushed()
    forged = json.loads(json.dumps(body["value"][0]))
    forged["resourceData"]["id"] = "another-message"
    body["value"].append(forged)
    assert rich.read(body) == [rich.mailbox.account.mailbox]


def test_a_forger_who_knows_the_state_is_refused(rich: Rich) -> None:
    subscriptions = rich.graph.simulator.subscriptions
    body = subscriptions.body_of(*rich.pushed()["value"], is_forged=True)
    with pytest.raises(NotificationForged):
        rich.read(body)


def test_a_token_that_has_ended_is_refused(rich: Rich) -> None:
    body = rich.pushed()
    rich.graph.clock.step(hours=3)
    with pytest.raises(NotificationForged):
        rich.read(body)


def test_a_lifecycle_event_needs_no_content(rich: Rich) -> None:
    rich.graph.simulator.fault("reauthorization_required")
    rich.graph.simulator.settle()
    body = rich.graph.simulator.subscriptions.sent[-1]
    read = rich.connector.read_push(PushRequest("POST", {}, {}, json.dumps(body).encode()))
    assert read == [Notification("graph", rich.mailbox.account.mailbox, renew=True)]


def test_without_keys_a_push_is_asked_for_again(rich: Rich, tmp_path: Path) -> None:
    body = rich.pushed()
    rich.graph.simulator.fault("keys_down", count=-1)
    pem = str(tmp_path / "rich.pem")
    started_anew = rich.graph.new_connector(GRAPH_NOTIFICATIONS="rich", GRAPH_NOTIFICATION_CERTIFICATE=pem)
    with pytest.raises(VerificationUnavailable):
        started_anew.read_push(PushRequest("POST", {}, {}, json.dumps(body).encode()))


def test_new_keys_are_looked_for_once_a_minute(rich: Rich) -> None:
    rich.read(rich.pushed())
    rich.graph.simulator.fault("keys_rotated")
    subscriptions = rich.graph.simulator.subscriptions
    with pytest.raises(NotificationForged):  # the keys were fetched less than a minute ago
        rich.read(subscriptions.body_of(*rich.pushed()["value"]))
    rich.graph.clock.step(minutes=2)
    assert rich.read(subscriptions.body_of(*rich.pushed()["value"])) == [rich.mailbox.account.mailbox]


@pytest.mark.parametrize("content", ["", "no pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"])
def test_a_certificate_that_cannot_be_used_is_said_at_the_start(graph: Graph, tmp_path: Path, content: str) -> None:
    path = tmp_path / "wrong.pem"
    path.write_text(content, encoding="ascii")
    with pytest.raises(SettingsError, match="GRAPH_NOTIFICATION_CERTIFICATE"):
        graph.new_connector(GRAPH_NOTIFICATIONS="rich", GRAPH_NOTIFICATION_CERTIFICATE=str(path))
    with pytest.raises(SettingsError, match="GRAPH_NOTIFICATION_CERTIFICATE"):
        graph.new_connector(GRAPH_NOTIFICATIONS="rich", GRAPH_NOTIFICATION_CERTIFICATE=str(tmp_path / "missing.pem"))
