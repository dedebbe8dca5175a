"""Pushes and subscriptions: the handshake, what is accepted and what is left out, and how pushes are kept alive."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from app.errors import AdminBlocked, ApplicationMisconfigured, NotificationForged, NotificationMalformed, ProviderError
from app.model import Handshake
from app.ports import Mailbox, PushRequest
from app.testing.fakes import PushListener
from tests.integration.graph.wire import ADDRESS, items

if TYPE_CHECKING:
    from tests.integration.graph.conftest import Graph

pytestmark = pytest.mark.integration


def push(graph: Graph, *changed: dict[str, Any]) -> PushRequest:
    """Return the last push again, each of its items changed as told."""
    sent = graph.simulator.subscriptions.sent[-1]["value"]
    body = {"value": [{**sent[-1], **change} for change in changed]}
    return PushRequest("POST", {"content-type": "application/json"}, {}, json.dumps(body).encode())


def active(graph: Graph) -> list[str]:
    return list(graph.simulator.subscriptions.active)


# --- the handshake ---


@pytest.mark.parametrize("token", ["a+b c&d=<script>", "Validation: Testing", "ğ%2B"])
def test_the_handshake_gives_the_token_back_before_anything_is_read(graph: Graph, token: str) -> None:
    answer = graph.connector.read_push(PushRequest("POST", {}, {"validationToken": token}, b"{not json"))
    assert answer == Handshake(token, "text/plain", 200)


def test_an_oversized_token_is_not_given_back(graph: Graph) -> None:
    request = PushRequest("POST", {}, {"validationToken": "x" * 100_000}, b"")
    try:
        answer = graph.connector.read_push(request)
    except NotificationMalformed:
        return
    assert isinstance(answer, Handshake)
    assert len(answer.body) < 10_000
    assert answer.status >= 400


# --- what is accepted ---


@pytest.mark.parametrize(("fault", "count"), [("duplicate_push", 3), ("lost_push", 1), ("mixed_push", 2)])
def test_pushes_come_as_they_like(
    graph: Graph, mailbox: Mailbox, listener: PushListener, fault: str, count: int
) -> None:
    graph.simulator.fault(fault)
    graph.deliver(1)
    graph.deliver(2)
    graph.simulator.settle()
    assert [notification.mailbox for notification in listener.notifications] == [mailbox.account.mailbox] * count
    assert listener.forged == 0


def test_a_wrong_item_is_left_out_and_the_others_are_stored(
    graph: Graph, mailbox: Mailbox, listener: PushListener
) -> None:
    graph.deliver(1)
    graph.simulator.settle()
    wrong = [{"clientState": "wrong"}, {"clientState": None}, {"clientState": 7}, {"subscriptionId": "unknown-id"}]
    read = graph.connector.read_push(push(graph, *wrong, {}))
    assert isinstance(read, list)
    assert {notification.mailbox for notification in read} == {mailbox.account.mailbox}
    with pytest.raises(NotificationForged):
        graph.connector.read_push(push(graph, *wrong[:3]))


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'"x"', b"{", b'{"value": 7}', b'{"value": [7, null, []]}', b"\xff", b"[" * 100_000]
)
def test_an_unreadable_push_names_nothing(graph: Graph, body: bytes) -> None:
    try:
        read = graph.connector.read_push(PushRequest("POST", {}, {}, body))
    except NotificationMalformed:
        return
    assert read == []


def test_a_push_of_the_subscription_before_is_still_accepted(
    graph: Graph, mailbox: Mailbox, listener: PushListener
) -> None:
    graph.deliver(1)
    graph.simulator.settle()
    before = push(graph, {})
    graph.simulator.fault("subscription_ended")
    graph.connector.subscribe(mailbox)
    read = graph.connector.read_push(before)
    assert isinstance(read, list)
    assert [notification.mailbox for notification in read] == [mailbox.account.mailbox]


def test_another_mailboxs_state_opens_nothing(graph: Graph, mailbox: Mailbox, listener: PushListener) -> None:
    graph.deliver(1)
    graph.simulator.settle()
    sent = graph.simulator.subscriptions.sent[-1]["value"][-1]
    other = {"resource": "Users/00000000-0000-4000-8000-00000000ffff/Messages/x", "clientState": sent["clientState"]}
    read = graph.connector.read_push(push(graph, other))
    assert isinstance(read, list)
    assert {notification.mailbox for notification in read} <= {mailbox.account.mailbox}


def test_reading_a_push_asks_graph_nothing(graph: Graph, listener: PushListener) -> None:
    graph.deliver(1)
    graph.simulator.settle()
    before = len(graph.simulator.api.calls)
    graph.connector.read_push(push(graph, {}, {}, {}))
    assert len(graph.simulator.api.calls) == before


def test_five_hundred_items_are_read_at_once(graph: Graph, mailbox: Mailbox, listener: PushListener) -> None:
    graph.deliver(1)
    graph.simulator.settle()
    read = graph.connector.read_push(push(graph, *[{"resourceData": {"id": str(n)}} for n in range(500)]))
    assert isinstance(read, list)
    assert {notification.mailbox for notification in read} == {mailbox.account.mailbox}


# --- subscriptions ---


def test_a_subscription_asks_for_immutable_ids_and_both_addresses(graph: Graph, listener: PushListener) -> None:
    (made,) = graph.simulator.subscriptions.active.values()
    assert made.immutable_ids
    assert made.asked["lifecycleNotificationUrl"].startswith("https://threadlink.test/webhooks/graph")
    assert set(made.asked["changeType"].split(",")) >= {"created", "updated"}
    assert len(made.asked["clientState"]) >= 32


@pytest.mark.usefixtures("listener")
def test_renewing_keeps_the_subscription(graph: Graph, mailbox: Mailbox) -> None:
    before = active(graph)
    graph.clock.step(days=5)
    renewed = graph.connector.subscribe(mailbox)
    assert active(graph) == before
    assert renewed.expires_at > graph.clock.now() + timedelta(days=6)


@pytest.mark.usefixtures("listener")
@pytest.mark.parametrize("fault", ["subscription_ended", "subscription_removed"])
def test_a_subscription_that_ended_is_made_again(graph: Graph, mailbox: Mailbox, fault: str) -> None:
    before = active(graph)
    graph.simulator.fault(fault)
    graph.connector.subscribe(mailbox)
    assert len(active(graph)) == 1
    assert active(graph) != before


def test_a_conflicting_subscription_is_replaced(graph: Graph, mailbox: Mailbox) -> None:
    with PushListener(graph.connector.read_push) as listener:
        graph.simulator.push_to(listener.url)
        graph.simulator.fault("subscription_conflict")
        graph.connector.subscribe(mailbox)
        (made,) = graph.simulator.subscriptions.active.values()
        assert made.asked["clientState"] != "nobody knows"
        graph.deliver(1)
        graph.simulator.settle()
        assert listener.notifications


def test_a_lost_answer_leaves_one_subscription(graph: Graph, mailbox: Mailbox) -> None:
    with PushListener(graph.connector.read_push) as listener:
        graph.simulator.push_to(listener.url)
        graph.simulator.fault("subscription_answer_lost")
        try:
            graph.connector.subscribe(mailbox)
        except ProviderError:
            graph.connector.subscribe(mailbox)
        assert len(active(graph)) == 1
        graph.deliver(1)
        graph.simulator.settle()
        assert listener.notifications


def test_two_renewals_at_once_leave_one_subscription(graph: Graph, mailbox: Mailbox) -> None:
    with PushListener(graph.connector.read_push) as listener:
        graph.simulator.push_to(listener.url)
        connectors = [graph.connector, graph.new_connector()]
        with ThreadPoolExecutor(2) as pool:
            made = list(pool.map(lambda connector: connector.subscribe(mailbox), connectors))
        assert len(active(graph)) == 1
        assert active(graph)[0] in {subscription.external_id for subscription in made}


def test_an_address_that_does_not_answer_is_our_own_mistake(graph: Graph, mailbox: Mailbox) -> None:
    with pytest.raises(ApplicationMisconfigured):
        graph.connector.subscribe(mailbox)
    assert active(graph) == []


def test_a_missing_permission_is_named(graph: Graph, mailbox: Mailbox) -> None:
    graph.simulator.fault("subscription_refused")
    with pytest.raises(AdminBlocked):
        graph.connector.subscribe(mailbox)


# --- what Graph says of a subscription ---


@pytest.mark.parametrize("fault", ["missed", "subscription_removed", "reauthorization_required"])
def test_a_lifecycle_event_names_the_mailbox(
    graph: Graph, mailbox: Mailbox, listener: PushListener, fault: str
) -> None:
    graph.simulator.fault(fault)
    graph.simulator.settle()
    assert {notification.mailbox for notification in listener.notifications} == {mailbox.account.mailbox}


def test_what_was_held_back_comes_once_the_subscription_is_authorized_again(
    graph: Graph, mailbox: Mailbox, listener: PushListener
) -> None:
    graph.simulator.fault("reauthorization_required")
    graph.deliver(1)
    graph.simulator.settle()
    assert not [item for item in items(listener) if "resourceData" in item]
    graph.clock.step(minutes=20)
    graph.connector.subscribe(mailbox)
    graph.simulator.settle()
    assert [item for item in items(listener) if "resourceData" in item]


def test_a_forged_lifecycle_event_names_nothing(graph: Graph, listener: PushListener) -> None:
    graph.simulator.fault("missed")
    graph.simulator.settle()
    with pytest.raises(NotificationForged):
        graph.connector.read_push(push(graph, {"clientState": "wrong"}))


def test_the_last_account_ends_the_subscription(graph: Graph, mailbox: Mailbox, listener: PushListener) -> None:
    graph.connector.disconnect(replace(mailbox), last=False)
    assert len(active(graph)) == 1
    other = graph.connect()
    graph.connector.disconnect(other, last=True)
    assert not graph.simulator.is_watched(ADDRESS)
