"""Changes: the rules learnt from others' bugs (mail-connectors.md 1.4), each against the simulated history."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from app.errors import AccessRevoked, CursorExpired, Rejected, Unavailable
from app.ports import Fetched, FilteredMessage, Mailbox
from connectors.mail.gmail import changes as gmail_changes

if TYPE_CHECKING:
    from tests.integration.gmail.conftest import Gmail

ADDRESS = "ada@northwind.test"
pytestmark = pytest.mark.integration


def test_a_lagging_history_is_not_passed(gmail: Gmail, mailbox: Mailbox, start: str) -> None:
    new = gmail.deliver(1)
    hinted = gmail.simulator._mailboxes[ADDRESS].history_id
    gmail.simulator.fault("history_lag")
    changes, cursor, complete = gmail.read(mailbox, start, until=str(hinted))
    assert changes == {}
    assert not complete
    changes, _, complete = gmail.read(mailbox, cursor, until=str(hinted))
    assert set(changes) == {new}
    assert complete


def test_what_a_lagging_history_did_show_is_passed(gmail: Gmail, mailbox: Mailbox, start: str) -> None:
    shown, hidden = gmail.deliver(1), gmail.deliver(2)
    gmail.simulator.fault("history_lag")
    changes, cursor, complete = gmail.read(mailbox, start, until="99999999")
    assert set(changes) == {shown}
    assert not complete
    changes, _, _ = gmail.read(mailbox, cursor)
    assert set(changes) == {hidden}


def test_a_hint_that_never_comes_true_does_not_hold_the_cursor_back(gmail: Gmail, mailbox: Mailbox, start: str) -> None:
    gmail.deliver(1)
    _, cursor, complete = gmail.read(mailbox, start, until=str(2**64 - 1))
    assert not complete
    assert gmail.read(mailbox, cursor)[0] == {}


def test_the_cursor_is_never_the_pushed_position(gmail: Gmail, mailbox: Mailbox, start: str) -> None:
    _, cursor, _ = gmail.read(mailbox, start, until="99999999")
    assert json.loads(cursor)["start"] == json.loads(start)["start"]


def test_a_page_with_a_next_page_and_no_records_is_an_empty_page(gmail: Gmail, mailbox: Mailbox, start: str) -> None:
    new = gmail.deliver(1)
    gmail.simulator.fault("empty_page_with_token", count=2)
    changes, _, complete = gmail.read(mailbox, start)
    assert set(changes) == {new}
    assert complete


def test_all_pages_start_from_the_same_position(
    gmail: Gmail, mailbox: Mailbox, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gmail_changes, "PAGE_SIZE", 2)
    delivered = {gmail.deliver(number) for number in range(5)}
    pages = list(gmail.connector.list_changes(mailbox, start))
    assert {change.provider_id for page in pages for change in page.changes} == delivered
    assert [json.loads(page.cursor)["start"] for page in pages[:-1]] == [json.loads(start)["start"]] * 2


def test_a_page_token_that_is_refused_starts_the_phase_again(
    gmail: Gmail, mailbox: Mailbox, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gmail_changes, "PAGE_SIZE", 2)
    delivered = {gmail.deliver(number) for number in range(5)}
    first = next(gmail.connector.list_changes(mailbox, start))
    gmail.simulator.fault("page_token_expired")
    changes, _, _ = gmail.read(mailbox, first.cursor)
    assert set(changes) == delivered


def test_a_refusal_without_a_page_token_is_told(gmail: Gmail, mailbox: Mailbox, start: str) -> None:
    gmail.simulator.fault("bad_request", operation="history")
    with pytest.raises(Rejected):
        gmail.read(mailbox, start)


def test_a_long_run_stops_and_says_that_there_is_more(
    gmail: Gmail, mailbox: Mailbox, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gmail_changes, "PAGE_SIZE", 1)
    monkeypatch.setattr(gmail_changes, "MAX_PAGES", 3)
    delivered = {gmail.deliver(number) for number in range(5)}
    seen, cursor, complete = gmail.read(mailbox, start)
    assert len(seen) == 3
    assert not complete
    rest, _, complete = gmail.read(mailbox, cursor)
    assert set(seen) | set(rest) == delivered
    assert complete


def test_history_without_labels_is_read_and_left_out_later(gmail: Gmail, mailbox: Mailbox, start: str) -> None:
    gmail.simulator.fault("history_without_labels")
    spam = gmail.deliver(1, "spam")
    changes, _, _ = gmail.read(mailbox, start)
    assert changes[spam].filtered_by is None
    assert gmail.fetch(mailbox, spam) == {spam: FilteredMessage(spam, "spam")}


@pytest.mark.parametrize("folder", ["draft", "spam", "trash", "chat"])
def test_what_is_left_out_names_its_rule(gmail: Gmail, mailbox: Mailbox, start: str, folder: str) -> None:
    left_out = gmail.deliver(1, folder)
    changes, _, _ = gmail.read(mailbox, start)
    assert changes[left_out].filtered_by == folder


def test_drafts_that_churn_leave_nothing_to_read(gmail: Gmail, mailbox: Mailbox, start: str) -> None:
    gmail.simulator.fault("draft_churn", times=5)
    changes, _, _ = gmail.read(mailbox, start)
    assert len(changes) == 5
    assert all(change.deleted or change.filtered_by == "draft" for change in changes.values())


def test_a_draft_that_is_sent_is_read(gmail: Gmail, mailbox: Mailbox, start: str) -> None:
    draft = gmail.deliver(1, "draft")
    gmail.simulator.delete(ADDRESS, draft)
    sent = gmail.deliver(2, "sent")
    changes, _, _ = gmail.read(mailbox, start)
    assert changes[draft].deleted
    assert changes[sent].filtered_by is None


def test_a_spam_that_is_rescued_is_read(gmail: Gmail, mailbox: Mailbox, start: str) -> None:
    spam = gmail.deliver(1, "spam")
    _, cursor, _ = gmail.read(mailbox, start)
    gmail.simulator.relabel(ADDRESS, spam, add=["INBOX"], remove=["SPAM"])
    changes, _, _ = gmail.read(mailbox, cursor)
    assert changes[spam].filtered_by is None
    assert isinstance(gmail.fetch(mailbox, spam)[spam], Fetched)


def test_a_message_taken_out_of_the_trash_is_read(gmail: Gmail, mailbox: Mailbox, start: str) -> None:
    trashed = gmail.deliver(1, "trash")
    _, cursor, _ = gmail.read(mailbox, start)
    gmail.simulator.relabel(ADDRESS, trashed, remove=["TRASH"])
    changes, _, _ = gmail.read(mailbox, cursor)
    assert changes[trashed].filtered_by is None


def test_labels_of_no_interest_are_no_change(gmail: Gmail, mailbox: Mailbox, start: str) -> None:
    message = gmail.deliver(1)
    _, cursor, _ = gmail.read(mailbox, start)
    gmail.simulator.relabel(ADDRESS, message, add=["STARRED"], remove=["UNREAD"])
    assert gmail.read(mailbox, cursor)[0] == {}


def test_a_message_that_came_and_went_is_a_deletion(gmail: Gmail, mailbox: Mailbox, start: str) -> None:
    message = gmail.deliver(1)
    gmail.simulator.delete(ADDRESS, message)
    changes, _, _ = gmail.read(mailbox, start)
    assert changes[message].deleted


@pytest.mark.parametrize(
    "cursor",
    ["", "{}", "null", "[]", "17", '{"v":2,"start":"1"}', '{"v":1,"start":"x"}', '{"v":1,"start":"%s"}' % ("1" * 30)],
)
def test_a_cursor_that_is_none_of_ours_has_expired(gmail: Gmail, mailbox: Mailbox, cursor: str) -> None:
    with pytest.raises(CursorExpired):
        gmail.read(mailbox, cursor)


def test_an_expired_cursor_is_recovered_from(gmail: Gmail, mailbox: Mailbox, start: str) -> None:
    missed = gmail.deliver(1)
    gmail.simulator.fault("history_expired")
    with pytest.raises(CursorExpired):
        gmail.read(mailbox, start)
    pages = list(gmail.connector.recover(mailbox, gmail.clock.now() - timedelta(days=1)))
    assert missed in {change.provider_id for page in pages for change in page.changes}


def test_a_recovery_that_was_cut_short_goes_on(gmail: Gmail, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gmail_changes, "PAGE_SIZE", 2)
    delivered = {gmail.deliver(number) for number in range(5)}
    first = next(gmail.connector.recover(mailbox, gmail.clock.now() - timedelta(days=1)))
    late = gmail.deliver(9)
    rest, _, _ = gmail.read(mailbox, first.cursor)
    assert {change.provider_id for change in first.changes} | set(rest) == delivered | {late}


def test_a_recovery_pins_the_position_before_it_lists(gmail: Gmail, mailbox: Mailbox) -> None:
    gmail.deliver(1)
    pinned = str(gmail.simulator._mailboxes[ADDRESS].history_id)
    first = next(gmail.connector.recover(mailbox, gmail.clock.now() - timedelta(days=1)))
    gmail.deliver(2)
    assert json.loads(first.cursor)["start"] == pinned


def test_drafts_are_not_listed(gmail: Gmail, mailbox: Mailbox) -> None:
    gmail.deliver(1, "draft")
    kept = gmail.deliver(2)
    (page,) = gmail.connector.list_window(mailbox, gmail.clock.now() - timedelta(days=1))
    assert {change.provider_id for change in page} == {kept}


def test_another_mailbox_moves_no_cursor(gmail: Gmail, mailbox: Mailbox, start: str) -> None:
    gmail.deliver(1)
    gmail.simulator.fault("wrong_profile")
    with pytest.raises(Unavailable):
        gmail.read(mailbox, start)


@pytest.mark.parametrize("operation", ["profile", "history"])
@pytest.mark.parametrize(
    "fault", ["html_error", "truncated_json", "connection_cut", "empty_answer", "connection_dropped", "server_error"]
)
def test_an_answer_that_is_none_moves_no_cursor(
    gmail: Gmail, mailbox: Mailbox, start: str, fault: str, operation: str
) -> None:
    new = gmail.deliver(1)
    # The library asks again by itself when a connection that was kept open turns out to be closed.
    gmail.simulator.fault(fault, operation=operation, count=3)
    with pytest.raises(Unavailable):
        gmail.read(mailbox, start)
    gmail.simulator.fault(fault, count=0)
    assert set(gmail.read(mailbox, start)[0]) == {new}


def test_an_answer_without_a_list_is_no_empty_mailbox(gmail: Gmail, mailbox: Mailbox) -> None:
    gmail.simulator.fault("empty_answer", operation="list")
    with pytest.raises(Unavailable):
        list(gmail.connector.list_window(mailbox, gmail.clock.now()))


def test_a_quiet_mailbox_costs_three_units(gmail: Gmail, mailbox: Mailbox, start: str) -> None:
    before = gmail.usage()["units"]
    gmail.read(mailbox, start)
    assert gmail.usage()["units"] - before == 3


def test_headers_only_never_searches(gmail: Gmail) -> None:
    gmail.connector = gmail.new_connector(GMAIL_SCOPES="metadata")
    mailbox = gmail.connect()
    for day in range(10):
        gmail.simulator.deliver(
            ADDRESS, f"Subject: Day {day}\r\n\r\n".encode(), at=gmail.clock.now() - timedelta(days=day)
        )
    since = replace(mailbox, history_from=gmail.clock.now() - timedelta(days=4, hours=1))
    changes, cursor, _ = gmail.read(since, None)
    assert len(changes) == 5
    new = gmail.deliver(1)
    assert set(gmail.read(since, cursor)[0]) == {new}


def test_headers_only_lists_everything_when_all_of_it_is_recent(gmail: Gmail) -> None:
    gmail.connector = gmail.new_connector(GMAIL_SCOPES="metadata")
    mailbox = gmail.connect()
    assert list(gmail.connector.list_window(mailbox, gmail.clock.now() - timedelta(days=1))) == [()]
    delivered = {gmail.deliver(number) for number in range(3)}
    (page,) = gmail.connector.list_window(mailbox, gmail.clock.now() - timedelta(days=1))
    assert {change.provider_id for change in page} == delivered


def test_a_search_with_a_consent_for_headers_asks_to_connect_again(gmail: Gmail) -> None:
    mailbox = gmail.connect(gmail.new_connector(GMAIL_SCOPES="metadata"))
    with pytest.raises(AccessRevoked):
        list(gmail.connector.list_window(mailbox, gmail.clock.now()))
