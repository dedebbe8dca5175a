"""The folders an account may be limited to, and a choice that a folder inside another does not share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from app.model import NOT_CHOSEN
from app.ports import FilteredMessage, Mailbox
from tests.integration.graph.wire import ADDRESS

if TYPE_CHECKING:
    from connectors.mail.graph.simulator_mailbox import SimulatedMailbox
    from tests.integration.graph.conftest import Graph

pytestmark = pytest.mark.integration


def mailbox_at(graph: Graph) -> SimulatedMailbox:
    found = graph.simulator.api.find(ADDRESS)
    assert found is not None
    return found


def test_folders_are_offered_with_those_inside_them_and_over_many_pages(graph: Graph, mailbox: Mailbox) -> None:
    box = mailbox_at(graph)
    inbox, trash, sent = (box.folder_for(word).id for word in ("inbox", "trash", "sent"))
    customers = box.make_folder("Customers", inbox)
    box.make_folder("Acme", customers.id)
    box.make_folder("Old", trash)
    box.make_folder("Sent to Acme", sent)
    for number in range(120):
        box.make_folder(f"Project {number:03}")
    offered = graph.connector.list_folders(mailbox)
    names = [each.name for each in offered]
    assert (names[0], [each.name for each in offered if each.well_known]) == ("Inbox", ["Inbox"])
    assert {"Archive", "Inbox / Customers", "Inbox / Customers / Acme", "Sent Items / Sent to Acme"} < set(names)
    assert sum(name.startswith("Project") for name in names) == 120
    assert not {"Drafts", "Outbox", "Junk Email", "Deleted Items", "Deleted Items / Old", "Old", "Sent Items"} & set(
        names
    )
    assert graph.usage("folders") + graph.usage("child_folders") <= 8, (
        "a request for each page and each folder with more"
    )


def test_a_chosen_folder_counts_for_itself_alone(graph: Graph, mailbox: Mailbox) -> None:
    box = mailbox_at(graph)
    customers = box.make_folder("Customers")
    box.make_folder("Acme", customers.id)
    account = replace(mailbox.account, folders=frozenset({customers.id}))
    limited = replace(mailbox, account=account, history_from=graph.clock.now())
    _, start = graph.read(limited, None)
    inside, chosen = graph.deliver(1, "Acme"), graph.deliver(2, "Customers")
    for cursor in (start, None):
        changes, _ = graph.read(limited, cursor)
        assert (changes[inside].filtered_by, changes[chosen].filtered_by) == (NOT_CHOSEN, None)
    assert graph.fetch(limited, inside) == {inside: FilteredMessage(inside, NOT_CHOSEN)}
    assert graph.connector.fetch_original(limited, inside), "what was stored before is still shown"
