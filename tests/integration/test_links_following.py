"""Links follow their items: deleted, restored, converted, merged; on a real database."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from app.model import ItemRef
from app.store.database import Database
from tests.integration.building import ADA, BEA, TOM, Office, northwind

pytestmark = pytest.mark.integration


@pytest.fixture
def office(database: Database, team: Callable[..., int]) -> Office:
    return northwind(database, team)


def test_a_deleted_item_ends_its_links_and_a_restored_one_returns_them(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    office.crm.delete("deal", "d1")
    office.refresh()
    assert office.linked(conversation) is None
    assert office.tombstones(conversation) == []
    office.crm.restore("deal", "d1")
    office.refresh()
    assert office.linked(conversation) == "deal/d1"
    assert office.wanted(conversation) == {"deal/d1": 3}


def test_a_restored_item_takes_no_conversation_from_another(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    office.crm.delete("deal", "d1")
    office.refresh()
    office.link(ADA, conversation, office.ref("deal", "d2"))
    office.crm.restore("deal", "d1")
    office.refresh()
    assert office.linked(conversation) == "deal/d2"


def test_what_a_person_took_off_does_not_return_with_a_restored_item(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    office.unlink(ADA, conversation)
    office.crm.delete("deal", "d1")
    office.refresh()
    office.crm.restore("deal", "d1")
    office.refresh()
    assert office.linked(conversation) is None


def lead_of_tom(office: Office) -> ItemRef:
    for deal in ("d2", "d3"):
        office.crm.change("deal", deal, {"status": "lost"})
    lead = office.item("lead", "l1", "Idea", "p2")
    office.refresh()
    return lead


def test_links_follow_a_lead_into_its_deal(office: Office) -> None:
    lead_of_tom(office)
    conversation = office.mail("m1", TOM, ADA)
    assert office.linked(conversation) == "lead/l1"
    office.crm.convert_lead("l1", "d7")
    office.refresh()
    primary = office.load(conversation).primary_link
    assert primary is not None
    assert (str(primary.ref), primary.origin) == ("deal/d7", "automatic")
    assert office.wanted(conversation) == {"lead/l1": 2, "deal/d7": 1}


def test_what_was_taken_off_as_a_lead_stays_off_as_a_deal(office: Office) -> None:
    lead_of_tom(office)
    conversation = office.mail("m1", TOM, ADA)
    office.unlink(ADA, conversation)
    office.crm.convert_lead("l1", "d7")
    office.refresh()
    office.mail("m2", TOM, ADA, subject="Re: Prices", answers="m1")
    assert office.linked(conversation) is None
    assert office.decision(conversation).decision.reason == "unlinked_by_person"


def test_links_follow_a_person_into_another(office: Office) -> None:
    conversation = office.mail("m1", TOM, ADA)
    office.person("p9", "Tomas", "tomas@brightwater.test")
    office.refresh()
    office.crm.merge_persons("p2", "p9")
    office.refresh()
    assert [str(link.ref) for link in office.load(conversation).links] == ["person/p9"]


def test_an_item_that_is_deleted_while_mail_is_linked_to_it_ends_that_link(office: Office) -> None:
    office.crm.delete("deal", "d1")
    crm = threading.Thread(target=office.refresh)
    with office.receiving("m1", BEA, ADA):
        crm.start()
        crm.join(timeout=0.3)
        assert crm.is_alive()
    crm.join(timeout=10)
    assert office.linked(office.conversation_of("m1")) is None
