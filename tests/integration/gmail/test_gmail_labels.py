"""Mail limited to chosen labels: what Gmail offers, what is listed and what that costs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from app.model import NOT_CHOSEN
from app.ports import Change, FilteredMessage, Mailbox
from connectors.mail.gmail.connector import GmailConnector
from tests.integration.gmail.conftest import ADDRESS

if TYPE_CHECKING:
    from tests.integration.gmail.conftest import Gmail

pytestmark = pytest.mark.integration


def choosing(gmail: Gmail, mailbox: Mailbox, *names: str) -> Mailbox:
    """Limit the mailbox to labels, and let it reach back three days."""
    chosen = frozenset(each.id for each in gmail.connector.list_folders(mailbox) if each.name in names)
    assert len(chosen) == len(names)
    account = replace(mailbox.account, folders=chosen)
    return replace(mailbox, account=account, history_from=gmail.clock.now() - timedelta(days=3))


def to_read(connector: GmailConnector, mailbox: Mailbox) -> tuple[set[str], set[str]]:
    """Read the mailbox for the first time; return what is to be fetched, and what is reported as not chosen only."""
    changes: list[Change] = [each for page in connector.list_changes(mailbox, None) for each in page.changes]
    wanted = {each.provider_id for each in changes if each.filtered_by is None}
    return wanted, {each.provider_id for each in changes if each.filtered_by == NOT_CHOSEN} - wanted


def test_gmails_own_labels_come_first_and_none_of_what_is_never_or_always_read(gmail: Gmail, mailbox: Mailbox) -> None:
    gmail.deliver(1, "b/Offers")
    gmail.deliver(2, "A")
    offered = gmail.connector.list_folders(mailbox)
    own = [each.well_known for each in offered if each.well_known]
    assert own[:3] == ["inbox", "important", "starred"]
    assert len(own) == 8
    assert [each.name for each in offered[8:]] == ["A", "b/Offers"]
    assert gmail.usage()["labels"] == 1


@pytest.mark.parametrize("scopes", ["readonly", "metadata"])
def test_mail_without_a_chosen_label_is_told_apart_without_reading_it(gmail: Gmail, scopes: str) -> None:
    connector = gmail.new_connector(GMAIL_SCOPES=scopes)
    mailbox = gmail.connect(connector)
    chosen = {gmail.deliver(number, "Offers") for number in range(3)} | {gmail.deliver(3, "sent")}
    others = {gmail.deliver(number) for number in range(4, 40)}
    limited = choosing(gmail, mailbox, "Offers")
    before = gmail.usage().get("get", 0)
    assert to_read(connector, limited) == (chosen, others)
    assert gmail.usage().get("get", 0) - before <= 3, "without a search the time of the oldest of a list is looked at"


def test_a_label_that_was_deleted_holds_nothing_up(gmail: Gmail, mailbox: Mailbox) -> None:
    lost, kept = gmail.deliver(1, "Lost"), gmail.deliver(2, "Offers")
    limited = choosing(gmail, mailbox, "Lost", "Offers")
    pages = gmail.connector.list_changes(limited, None)
    first = next(pages)
    assert [each.provider_id for each in first.changes] == [lost]
    gmail.simulator.remove_label(ADDRESS, "Offers")
    found, _, _ = gmail.read(limited, first.cursor)
    assert found[kept].filtered_by == NOT_CHOSEN
    gmail.simulator.remove_label(ADDRESS, "Lost")
    assert to_read(gmail.connector, limited) == (set(), {lost, kept})


def test_a_history_without_labels_is_told_apart_when_it_is_read(gmail: Gmail, mailbox: Mailbox, start: str) -> None:
    gmail.deliver(1, "Offers")
    limited = choosing(gmail, mailbox, "Offers")
    other, archived = gmail.deliver(2), gmail.deliver(3, "other")
    gmail.simulator.fault("history_without_labels")
    changes, _, _ = gmail.read(limited, start)
    assert (changes[other].filtered_by, changes[archived].filtered_by) == (None, None)
    assert set(gmail.fetch(limited, other, archived).values()) == {
        FilteredMessage(each, NOT_CHOSEN) for each in (other, archived)
    }
