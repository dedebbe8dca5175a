"""Reading messages: the headers of Sent Items, immutable ids everywhere, batches, and not too much at once."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from app.errors import ProviderError, RateLimited
from app.ports import FailedMessage, Fetched, GoneMessage, Mailbox
from app.testing.fakes import PushListener
from tests.integration.graph.wire import ADDRESS

if TYPE_CHECKING:
    from tests.integration.graph.conftest import Graph

pytestmark = pytest.mark.integration


def headers_of(outcome: object) -> dict[str, str]:
    assert isinstance(outcome, Fetched)
    return {name.lower(): value for name, value in outcome.message.headers}


@pytest.mark.parametrize("folder", ["inbox", "sent"])
def test_threading_headers_are_there_whatever_graph_leaves_out(graph: Graph, mailbox: Mailbox, folder: str) -> None:
    name = graph.deliver(1, folder, "References: <a@acme.test> <b@acme.test>", "In-Reply-To: <b@acme.test>")
    headers = headers_of(graph.fetch(mailbox, name)[name])
    assert headers["message-id"] == "<m1@acme.test>"
    assert headers["references"] == "<a@acme.test> <b@acme.test>"
    assert headers["in-reply-to"] == "<b@acme.test>"


def test_a_received_message_without_headers_is_still_threaded(graph: Graph, mailbox: Mailbox) -> None:
    name = graph.deliver(1, "inbox", "In-Reply-To: <b@acme.test>")
    graph.simulator.fault("headers_missing", count=-1)
    headers = headers_of(graph.fetch(mailbox, name)[name])
    assert headers["in-reply-to"] == "<b@acme.test>"
    assert "bea@acme.test" in headers["from"]
    assert headers["subject"] == "Prices 1"


def test_bcc_is_read_from_the_senders_copy(graph: Graph, mailbox: Mailbox) -> None:
    name = graph.deliver(1, "sent", "Bcc: finance@northwind.test")
    assert "finance@northwind.test" in headers_of(graph.fetch(mailbox, name)[name])["bcc"]


@pytest.mark.parametrize(
    ("folder", "shown"), [("inbox", "inbox"), ("sent", "sent"), ("other", "other"), ("Customers", "other")]
)
def test_the_folder_is_told(graph: Graph, mailbox: Mailbox, folder: str, shown: str) -> None:
    name = graph.deliver(1, folder)
    outcome = graph.fetch(mailbox, name)[name]
    assert isinstance(outcome, Fetched)
    assert outcome.message.folder == shown


def test_immutable_ids_are_asked_for_everywhere(
    graph: Graph, mailbox: Mailbox, start: str, listener: PushListener
) -> None:
    moved, deleted, _ = (graph.deliver(number) for number in range(3))
    _, cursor = graph.read(mailbox, start)
    graph.simulator.move(ADDRESS, moved, "other")
    graph.simulator.delete(ADDRESS, deleted)
    changes, _ = graph.read(mailbox, cursor)
    graph.fetch(mailbox, *changes)
    calls = [(op, call) for op, call in graph.simulator.api.calls if op not in {"batch", "user"}]
    assert {op for op, _ in calls} >= {"subscribe", "delta", "folder_delta", "get"}
    lacking = [op for op, call in calls if 'idtype="immutableid"' not in call.headers.get("prefer", "").lower()]
    assert lacking == []


def test_a_message_that_is_moved_keeps_its_id(graph: Graph, mailbox: Mailbox, start: str) -> None:
    name = graph.deliver(1, "draft")
    _, cursor = graph.read(mailbox, start)
    graph.simulator.move(ADDRESS, name, "sentitems")
    changes, _ = graph.read(mailbox, cursor)
    assert changes[name].filtered_by is None
    assert isinstance(graph.fetch(mailbox, name)[name], Fetched)


def test_messages_are_read_in_batches(graph: Graph, mailbox: Mailbox) -> None:
    size = graph.connector.capabilities.batch_size
    names = [graph.deliver(number) for number in range(size)]
    before = graph.usage("requests")
    assert all(isinstance(outcome, Fetched) for outcome in graph.fetch(mailbox, *names).values())
    assert graph.usage("requests") - before <= max(2, size // 20 + 1)


def test_a_throttled_part_holds_up_nobody(graph: Graph, mailbox: Mailbox) -> None:
    names = [graph.deliver(number) for number in range(5)]
    graph.simulator.fault("batch_part_429", retry_after_s=7)
    outcomes = graph.fetch(mailbox, *names)
    assert set(outcomes) == set(names)
    failed = [outcome for outcome in outcomes.values() if isinstance(outcome, FailedMessage)]
    assert len(failed) <= 1
    for outcome in failed:
        assert isinstance(outcome.error, RateLimited)
        assert outcome.error.retry_after_s == 7


@pytest.mark.parametrize("fault", ["batch_part_500", "batch_part_missing"])
def test_a_part_that_fails_holds_up_nobody(graph: Graph, mailbox: Mailbox, fault: str) -> None:
    names = [graph.deliver(number) for number in range(3)]
    graph.simulator.fault(fault)
    outcomes = graph.fetch(mailbox, *names)
    assert set(outcomes) == set(names)
    assert sum(isinstance(outcome, Fetched) for outcome in outcomes.values()) >= 2


def test_a_message_deleted_meanwhile_is_gone(graph: Graph, mailbox: Mailbox) -> None:
    names = [graph.deliver(number) for number in range(3)]
    graph.simulator.fault("message_gone", provider_id=names[1])
    outcomes = graph.fetch(mailbox, *names)
    assert isinstance(outcomes[names[1]], GoneMessage)
    assert sum(isinstance(outcome, Fetched) for outcome in outcomes.values()) == 2


def test_ten_readers_of_one_mailbox_stay_below_its_limit(graph: Graph, mailbox: Mailbox) -> None:
    names = [graph.deliver(number) for number in range(20)]
    graph.simulator.fault("slow", count=-1, seconds=0.05)
    with ThreadPoolExecutor(10) as pool:
        outcomes = list(pool.map(lambda _: _fetch(graph, mailbox, names), range(10)))
    assert graph.usage("most_at_once") <= 4
    assert all(isinstance(outcome, dict | ProviderError) for outcome in outcomes)
    assert any(isinstance(outcome, dict) for outcome in outcomes)


def _fetch(graph: Graph, mailbox: Mailbox, names: list[str]) -> object:
    try:
        return graph.fetch(mailbox, *names)
    except ProviderError as error:  # asked to come again is an answer
        return error


def test_a_bounce_names_the_message_that_came_back(graph: Graph, mailbox: Mailbox) -> None:
    raw = (
        b"From: mailer-daemon@outlook.test\r\nTo: ada@northwind.test\r\nSubject: Undeliverable\r\n"
        b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\nIt failed.\r\n"
        b"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; outlook.test\r\n\r\n"
        b"Final-Recipient: rfc822; bea@acme.test\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <lost@northwind.test>\r\nSubject: Hi\r\n\r\n"
        b"Hi\r\n--b--\r\n"
    )
    name = graph.simulator.deliver(ADDRESS, raw, at=graph.clock.now())
    outcome = graph.fetch(mailbox, name)[name]
    assert isinstance(outcome, Fetched)
    assert "<lost@northwind.test>" in outcome.message.related_ids


def test_nothing_of_a_message_is_written_to_where_it_is_counted(graph: Graph, mailbox: Mailbox) -> None:
    graph.deliver(1)
    assert "Prices" not in json.dumps(dict(graph.simulator.usage(ADDRESS)))
