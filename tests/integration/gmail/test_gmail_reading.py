"""Reading messages: batches whose parts fail each in its own way."""

from __future__ import annotations

import threading
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import pytest

from app.errors import (
    AccessRevoked,
    AdminBlocked,
    MailboxUnavailable,
    RateLimited,
    Rejected,
    Unavailable,
)
from app.ports import FailedMessage, Fetched, GoneMessage, Mailbox
from connectors.mail.gmail import transport
from connectors.mail.gmail.simulator_mailbox import SimulatedMessage

if TYPE_CHECKING:
    from tests.integration.gmail.conftest import Gmail

ADDRESS = "ada@northwind.test"
pytestmark = pytest.mark.integration


def test_a_batch_is_one_request_and_reads_each_message_once(gmail: Gmail, mailbox: Mailbox) -> None:
    wanted = [gmail.deliver(number) for number in range(25)]
    before = gmail.usage()
    outcomes = gmail.fetch(mailbox, *wanted)
    after = gmail.usage()
    assert all(isinstance(outcome, Fetched) for outcome in outcomes.values())
    assert set(outcomes) == set(wanted)
    assert after["requests"] - before["requests"] == 1
    assert after["units"] - before["units"] == 25 * 20


def test_a_thousand_messages_in_bursts_cost_little_more_than_reading_them(
    gmail: Gmail, mailbox: Mailbox, start: str
) -> None:
    before, cursor, read = gmail.usage()["units"], start, 0
    for burst in range(40):
        for number in range(25):
            gmail.deliver(burst * 25 + number)
        changes, cursor, _ = gmail.read(mailbox, cursor)
        read += len(gmail.fetch(mailbox, *changes))
    assert read == 1_000
    assert gmail.usage()["units"] - before <= 1.15 * 20 * 1_000


def test_only_the_parts_that_were_refused_are_tried_again(gmail: Gmail, mailbox: Mailbox) -> None:
    wanted = [gmail.deliver(number) for number in range(25)]
    gmail.simulator.fault("batch_part_429", count=4)
    before = gmail.usage()
    outcomes = gmail.fetch(mailbox, *wanted)
    assert all(isinstance(outcome, Fetched) for outcome in outcomes.values())
    assert gmail.usage()["get"] - before.get("get", 0) == 25 + 4
    assert len(gmail.slept) == 1


@pytest.mark.parametrize("fault", ["batch_part_429", "batch_part_500"])
def test_a_part_that_keeps_failing_is_reported_alone(gmail: Gmail, mailbox: Mailbox, fault: str) -> None:
    wanted = [gmail.deliver(number) for number in range(3)]
    gmail.simulator.fault(fault, count=-1)
    outcomes = gmail.fetch(mailbox, *wanted)
    assert set(outcomes) == set(wanted)
    assert all(isinstance(outcome, FailedMessage) for outcome in outcomes.values())
    assert len(gmail.slept) == 3


@pytest.mark.parametrize("fault", ["batch_part_missing", "truncated_json"])
def test_an_answer_that_breaks_in_the_middle_is_asked_for_again(gmail: Gmail, mailbox: Mailbox, fault: str) -> None:
    wanted = [gmail.deliver(number) for number in range(3)]
    gmail.simulator.fault(fault)
    outcomes = gmail.fetch(mailbox, *wanted)
    assert set(outcomes) == set(wanted)
    assert all(isinstance(outcome, Fetched) for outcome in outcomes.values())


def test_a_message_deleted_meanwhile_is_gone(gmail: Gmail, mailbox: Mailbox) -> None:
    first, second = gmail.deliver(1), gmail.deliver(2)
    gmail.simulator.fault("message_gone", provider_id=first)
    outcomes = gmail.fetch(mailbox, first, second)
    assert outcomes[first] == GoneMessage(first)
    assert isinstance(outcomes[second], Fetched)


def test_an_id_asked_for_twice_is_read_once(gmail: Gmail, mailbox: Mailbox) -> None:
    wanted = gmail.deliver(1)
    assert len(gmail.connector.fetch(mailbox, [wanted, wanted])) == 1


def test_nothing_asked_costs_nothing(gmail: Gmail, mailbox: Mailbox) -> None:
    before = gmail.usage()
    assert gmail.connector.fetch(mailbox, []) == []
    assert gmail.usage() == before


def test_an_odd_id_is_gone_and_nothing_else(gmail: Gmail, mailbox: Mailbox) -> None:
    wanted = gmail.deliver(1)
    outcomes = gmail.fetch(mailbox, "../profile", "a b?c#d", wanted)
    assert outcomes["../profile"] == GoneMessage("../profile")
    assert outcomes["a b?c#d"] == GoneMessage("a b?c#d")
    assert isinstance(outcomes[wanted], Fetched)


def test_one_refused_token_is_renewed_and_the_call_repeated(gmail: Gmail, mailbox: Mailbox) -> None:
    wanted = gmail.deliver(1)
    token = mailbox.credentials.read()["access_token"]
    gmail.simulator.fault("unauthorized_once")
    assert isinstance(gmail.fetch(mailbox, wanted)[wanted], Fetched)
    assert mailbox.credentials.read()["access_token"] != token


def test_a_token_refused_twice_asks_to_connect_again(gmail: Gmail, mailbox: Mailbox) -> None:
    wanted = gmail.deliver(1)
    gmail.simulator.fault("unauthorized_once", count=2)
    with pytest.raises(AccessRevoked):
        gmail.fetch(mailbox, wanted)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("insufficient_permissions", AccessRevoked),
        ("domain_policy", AdminBlocked),
        ("mail_disabled", MailboxUnavailable),
        ("failed_precondition", Unavailable),
        ("daily_limit", RateLimited),
        ("server_error", Unavailable),
        ("html_error", Unavailable),
        ("connection_dropped", Unavailable),
        ("connection_cut", Unavailable),
    ],
)
def test_what_concerns_all_messages_is_raised(
    gmail: Gmail, mailbox: Mailbox, fault: str, error: type[Exception]
) -> None:
    wanted = gmail.deliver(1)
    gmail.simulator.fault(fault, count=3)
    with pytest.raises(error):
        gmail.fetch(mailbox, wanted)


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize("header", [True, False])
def test_gmail_says_how_long_to_wait(gmail: Gmail, mailbox: Mailbox, status: int, header: bool) -> None:
    wanted = gmail.deliver(1)
    gmail.simulator.fault("rate_limited", status=status, header=header, retry_after_s=47)
    with pytest.raises(RateLimited) as raised:
        gmail.fetch(mailbox, wanted)
    assert raised.value.retry_after_s == pytest.approx(47)


def test_while_gmail_wants_us_to_wait_it_is_not_asked(gmail: Gmail, mailbox: Mailbox) -> None:
    wanted = gmail.deliver(1)
    gmail.simulator.fault("rate_limited", retry_after_s=47)
    with pytest.raises(RateLimited):
        gmail.fetch(mailbox, wanted)
    before = gmail.usage()
    with pytest.raises(RateLimited) as raised:
        gmail.fetch(mailbox, wanted)
    assert raised.value.retry_after_s == pytest.approx(47)
    assert gmail.usage() == before
    gmail.clock.step(seconds=48)
    assert isinstance(gmail.fetch(mailbox, wanted)[wanted], Fetched)


def test_the_quota_of_one_mailbox_is_kept(gmail: Gmail, mailbox: Mailbox) -> None:
    gmail.connector = gmail.new_connector(GMAIL_UNITS_PER_MINUTE="4500")
    wanted = [gmail.deliver(number) for number in range(25)]
    for _ in range(4):  # 20 seconds' worth is saved up, and a worker waits 10 more
        gmail.fetch(mailbox, *wanted)
    with pytest.raises(RateLimited) as raised:
        gmail.fetch(mailbox, *wanted)
    assert raised.value.retry_after_s is not None
    assert raised.value.retry_after_s > 10
    assert max(gmail.slept) <= 10


def test_headers_only_reads_headers_only(gmail: Gmail) -> None:
    gmail.connector = gmail.new_connector(GMAIL_SCOPES="metadata")
    mailbox = gmail.connect()
    wanted = gmail.deliver(1, X_Other="not asked for", List_Id="<list.acme.test>")
    outcome = gmail.fetch(mailbox, wanted)[wanted]
    assert isinstance(outcome, Fetched)
    names = {name for name, _ in outcome.message.headers}
    assert "List-Id" in names
    assert "X-Other" not in names
    assert outcome.message.text == ""
    assert gmail.connector.own_addresses(mailbox) == {ADDRESS}
    assert "texts" in gmail.connector.capabilities.missing


def test_texts_attachments_and_attached_messages_are_seen(gmail: Gmail, mailbox: Mailbox) -> None:
    attached = EmailMessage()
    attached["Message-ID"] = "<inner@acme.test>"
    attached["Subject"] = "Inner"
    attached.set_content("Inner text")
    message = EmailMessage()
    message["Subject"] = "Angebot für Çelik"
    message.set_content("Grüße")
    message.add_attachment(b"%PDF" * 100, maintype="application", subtype="pdf", filename="quote.pdf")
    message.add_attachment(attached)
    wanted = gmail.simulator.deliver(ADDRESS, message.as_bytes(), at=gmail.clock.now())
    outcome = gmail.fetch(mailbox, wanted)[wanted]
    assert isinstance(outcome, Fetched)
    assert outcome.message.text.strip() == "Grüße"
    assert [(a.name, a.size_bytes, a.content_type) for a in outcome.message.attachments] == [
        ("quote.pdf", 400, "application/pdf")
    ]
    assert outcome.message.related_ids == ("<inner@acme.test>",)


def test_messages_too_large_together_are_read_apart(
    gmail: Gmail, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MAX_ANSWER_BYTES", 60_000)
    wanted = [deliver_large(gmail, number, 15_000) for number in range(8)]
    outcomes = gmail.fetch(mailbox, *wanted)
    assert len(outcomes) == 8
    assert all(isinstance(outcome, Fetched) and not outcome.message.parked for outcome in outcomes.values())


def test_of_a_message_too_large_alone_the_headers_are_read(
    gmail: Gmail, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MAX_ANSWER_BYTES", 60_000)
    small, large = gmail.deliver(1), deliver_large(gmail, 2, 200_000)
    outcomes = gmail.fetch(mailbox, small, large)
    for provider_id, parked in ((small, None), (large, "too large")):
        outcome = outcomes[provider_id]
        assert isinstance(outcome, Fetched)
        assert outcome.message.parked == parked
        assert dict(outcome.message.headers)["Subject"].startswith("Prices")


def test_headers_too_large_to_read_park_that_one_message(
    gmail: Gmail, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MAX_ANSWER_BYTES", 60_000)
    small, large = gmail.deliver(1), gmail.deliver(2, References="<x@y.test> " * 10_000)
    outcomes = gmail.fetch(mailbox, small, large)
    assert isinstance(outcomes[small], Fetched)
    failed = outcomes[large]
    assert isinstance(failed, FailedMessage)
    assert isinstance(failed.error, Rejected)


def deliver_large(gmail: Gmail, number: int, size: int) -> str:
    raw = f"Subject: Prices {number}\r\nMessage-ID: <large{number}@acme.test>\r\n\r\n{'x' * size}\r\n".encode()
    return gmail.simulator.deliver(ADDRESS, raw, at=gmail.clock.now())


def test_what_was_read_is_kept_when_gmail_goes_away(gmail: Gmail, mailbox: Mailbox) -> None:
    wanted = [gmail.deliver(number) for number in range(25)]
    gmail.simulator.fault("batch_part_429", count=15)
    gmail.connector._reader._sleep = lambda _: gmail.simulator.fault("server_error", count=-1)
    before = gmail.usage()
    outcomes = gmail.fetch(mailbox, *wanted)
    failed = [outcome for outcome in outcomes.values() if isinstance(outcome, FailedMessage)]
    assert len(outcomes) == 25
    assert len(failed) == 15
    assert all(isinstance(outcome.error, Unavailable) for outcome in failed)
    assert gmail.usage()["requests"] - before["requests"] == 2  # a provider that is away is not asked for each message


@pytest.mark.parametrize(("changed", "error"), [({"id": "another"}, Unavailable), ({"internalDate": "soon"}, Rejected)])
def test_an_answer_that_makes_no_sense_fails_alone(
    gmail: Gmail, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], error: type[Exception]
) -> None:
    odd, even = gmail.deliver(1), gmail.deliver(2)
    show = SimulatedMessage.show

    def shown(message: SimulatedMessage, *args: Any) -> dict[str, Any]:
        return show(message, *args) | (changed if message.id == odd else {})

    monkeypatch.setattr(SimulatedMessage, "show", shown)
    outcomes = gmail.fetch(mailbox, odd, even)
    failed = outcomes[odd]
    assert isinstance(failed, FailedMessage)
    assert isinstance(failed.error, error)
    assert isinstance(outcomes[even], Fetched)


def test_threads_read_at_the_same_time(gmail: Gmail, mailbox: Mailbox) -> None:
    wanted = [gmail.deliver(number) for number in range(10)]
    read: list[int] = []

    def work() -> None:
        for _ in range(10):
            outcomes = gmail.fetch(mailbox, *wanted)
            read.append(sum(isinstance(outcome, Fetched) for outcome in outcomes.values()))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == [10] * 40
