"""What changed: positions for each folder, and everything delta gets wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from app.errors import CursorExpired, ProviderError, RateLimited
from app.ports import GoneMessage, Mailbox
from tests.integration.graph.wire import ADDRESS

if TYPE_CHECKING:
    from tests.integration.graph.conftest import Graph

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("folder", ["inbox", "sent", "other", "Customers"])
def test_new_mail_of_every_folder_is_found(graph: Graph, mailbox: Mailbox, start: str, folder: str) -> None:
    new = graph.deliver(1, folder)
    changes, cursor = graph.read(mailbox, start)
    assert set(changes) == {new}
    again = graph.deliver(2, folder)
    assert set(graph.read(mailbox, cursor)[0]) == {again}


@pytest.mark.parametrize("folder", ["draft", "spam", "trash"])
def test_what_is_left_out_is_rescued_by_a_move(graph: Graph, mailbox: Mailbox, start: str, folder: str) -> None:
    name = graph.deliver(1, folder)
    changes, cursor = graph.read(mailbox, start)
    assert all(change.filtered_by for change in changes.values())
    graph.simulator.move(ADDRESS, name, "inbox")
    changes, _ = graph.read(mailbox, cursor)
    assert changes[name].filtered_by is None
    assert not changes[name].deleted


def test_removed_is_a_hint_that_is_looked_into(graph: Graph, mailbox: Mailbox, start: str) -> None:
    moved, deleted = graph.deliver(1), graph.deliver(2)
    _, cursor = graph.read(mailbox, start)
    graph.simulator.move(ADDRESS, moved, "other")
    graph.simulator.delete(ADDRESS, deleted)
    changes, _ = graph.read(mailbox, cursor)
    assert changes[deleted].deleted
    assert moved not in changes or not changes[moved].deleted


def test_moved_and_back_is_not_deleted(graph: Graph, mailbox: Mailbox, start: str) -> None:
    name = graph.deliver(1)
    _, cursor = graph.read(mailbox, start)
    graph.simulator.fault("moved_and_back")
    changes, cursor = graph.read(mailbox, cursor)
    assert name not in changes or not changes[name].deleted
    assert name not in graph.read(mailbox, cursor)[0]


def test_a_new_message_that_was_moved_and_back_before_anybody_looked_is_found(
    graph: Graph, mailbox: Mailbox, start: str
) -> None:
    """Graph shows it as removed only, and it was never seen before: what answers must still be stored."""
    name = graph.deliver(1)
    graph.simulator.fault("moved_and_back")
    changes, _ = graph.read(mailbox, start)
    assert not changes[name].deleted


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"status": 410, "code": "SyncStateNotFound"},
        {"status": 404, "code": "syncStateNotFound"},
        {"status": 400, "code": "SyncStateInvalid"},
        {"status": 410, "code": "resyncRequired"},
    ],
    ids=str,
)
def test_a_forgotten_position_is_recovered_from(
    graph: Graph, mailbox: Mailbox, start: str, params: dict[str, str | int]
) -> None:
    last_good = graph.clock.now()
    graph.clock.step(minutes=5)
    missed = {graph.deliver(number, folder) for number, folder in enumerate(("inbox", "sent", "other"))}
    graph.simulator.fault("delta_expired", **params)
    with pytest.raises(CursorExpired):
        graph.read(mailbox, start)
    pages = list(graph.connector.recover(mailbox, last_good - timedelta(days=1)))
    assert {change.provider_id for page in pages for change in page.changes} >= missed
    new = graph.deliver(9)
    assert set(graph.read(mailbox, pages[-1].cursor)[0]) == {new}


def test_first_rounds_are_not_started_again_and_again(graph: Graph, mailbox: Mailbox, start: str) -> None:
    """Each one grows a hidden state in the mailbox until nothing works (microsoft-graph-docs #5730)."""
    last_good = graph.clock.now()
    for _ in range(6):
        graph.clock.step(minutes=5)
        graph.simulator.fault("delta_expired")
        new = graph.deliver(int(graph.clock.now().timestamp()))
        try:
            graph.read(mailbox, start)
        except CursorExpired:
            pages = list(graph.connector.recover(mailbox, last_good - timedelta(days=1)))
            assert new in {change.provider_id for page in pages for change in page.changes}
            start = pages[-1].cursor
    rounds = graph.usage("initial_rounds")
    assert rounds <= 3 * 8  # connecting, and two times all folders within half an hour


def test_a_full_hidden_state_is_read_around(graph: Graph, mailbox: Mailbox, start: str) -> None:
    graph.simulator.fault("delta_quota", count=-1)
    new = graph.deliver(1)
    changes, _ = graph.read(mailbox, start)
    assert new in changes


def test_replays_and_empty_pages_lose_nothing(graph: Graph, mailbox: Mailbox, start: str) -> None:
    names = {graph.deliver(number) for number in range(5)}
    graph.simulator.fault("empty_page_with_next_link", count=2)
    graph.simulator.fault("delta_replayed", count=2)
    assert set(graph.read(mailbox, start)[0]) == names


def test_a_delta_that_lags_is_caught_up_with(graph: Graph, mailbox: Mailbox, start: str) -> None:
    graph.deliver(1)
    _, cursor = graph.read(mailbox, start)
    late = graph.deliver(2)
    graph.simulator.fault("delta_lag", count=10)
    changes, cursor = graph.read(mailbox, cursor)
    graph.simulator.fault("delta_lag", count=0)
    assert late in {**changes, **graph.read(mailbox, cursor)[0]}


def test_a_history_beyond_the_cap_of_a_filter_is_read(graph: Graph, mailbox: Mailbox) -> None:
    names = {graph.deliver(number) for number in range(30)}
    graph.simulator.fault("delta_cap", messages=10, count=-1)
    since = replace(mailbox, history_from=graph.clock.now() - timedelta(days=1))
    changes, _ = graph.read(since, None)
    assert set(changes) == names


def test_a_page_on_another_host_is_not_followed(graph: Graph, mailbox: Mailbox, start: str) -> None:
    connector = graph.new_connector(GRAPH_PAGE_SIZE="10")
    names = {graph.deliver(number) for number in range(25)}
    graph.simulator.fault("foreign_next_link")
    with pytest.raises(ProviderError):
        graph.read(mailbox, start, connector)
    assert set(graph.read(mailbox, start, connector)[0]) == names


def test_a_listing_without_its_next_page_is_audited_by_the_window(graph: Graph, mailbox: Mailbox) -> None:
    names = {graph.deliver(number) for number in range(5)}
    window = list(graph.connector.list_window(mailbox, graph.clock.now() - timedelta(hours=48)))
    assert {change.provider_id for page in window for change in page} == names


def test_a_folder_that_is_deleted_takes_its_mail(graph: Graph, mailbox: Mailbox, start: str) -> None:
    name = graph.deliver(1, "Projects")
    changes, cursor = graph.read(mailbox, start)
    assert name in changes
    graph.simulator.remove_folder(ADDRESS, "Projects")
    changes, cursor = graph.read(mailbox, cursor)
    assert isinstance(graph.fetch(mailbox, name)[name], GoneMessage)
    new = graph.deliver(2)
    assert set(graph.read(mailbox, cursor)[0]) >= {new}


def test_draft_churn_is_no_mail(graph: Graph, mailbox: Mailbox, start: str) -> None:
    graph.simulator.fault("draft_churn", times=4)
    changes, _ = graph.read(mailbox, start)
    assert all(change.filtered_by or change.deleted for change in changes.values())


@pytest.mark.parametrize(("header", "expected"), [(True, 45), ("date", 45), (False, 30)])
def test_throttling_is_told_as_long_as_graph_says(
    graph: Graph, mailbox: Mailbox, start: str, header: bool | str, expected: int
) -> None:
    graph.simulator.fault("rate_limited", retry_after_s=45, header=header)
    with pytest.raises(RateLimited) as raised:
        graph.read(mailbox, start)
    assert raised.value.retry_after_s == pytest.approx(expected, abs=1)


@pytest.mark.parametrize(
    ("fault", "params"),
    [
        ("server_error", {"status": 502}),
        ("server_error", {"status": 504}),
        ("server_error", {"status": 509}),
        ("mailbox_info_stale", {}),
        ("html_error", {}),
        ("truncated_json", {}),
        ("connection_cut", {}),
        ("connection_dropped", {}),
        ("empty_answer", {}),
    ],
    ids=str,
)
def test_trouble_moves_no_position(
    graph: Graph, mailbox: Mailbox, start: str, fault: str, params: dict[str, int]
) -> None:
    new = graph.deliver(1)
    graph.simulator.fault(fault, operation="batch", **params)
    graph.simulator.fault(fault, operation="delta", **params)
    try:
        found, cursor = graph.read(mailbox, start)
    except ProviderError:
        found, cursor = {}, start
    graph.simulator.fault(fault, count=0)
    assert new in {**found, **graph.read(mailbox, cursor)[0]}
