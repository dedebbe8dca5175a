"""Earlier conversations that a new or reopened item could gather: offered and never linked alone (linking.md B4)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from app import links, offers, undoing
from app.errors import Conflict, NotFound
from app.offers import Standing
from app.store import offers as rows
from app.store.database import Database
from tests.integration.building import ADA, BEA, CAN, DAN, EVE, TOM, Office

pytestmark = pytest.mark.integration


@pytest.fixture
def office(database: Database, team: Callable[..., int]) -> Office:
    made = Office(database, team("Northwind"))
    made.mailbox(ADA)
    made.mailbox(CAN)
    made.member(DAN, "admin")
    made.member(EVE)
    made.person("p1", "Bea", BEA)
    made.person("p2", "Tom", TOM)
    made.deal("d0", "Old rollout", "p1", state="lost")
    made.refresh()
    return made


def standing(office: Office, email: str) -> list[Standing]:
    with office.database.for_team(office.team_id) as connection:
        return offers.standing(connection, office.members[email])


def held(office: Office, email: str) -> dict[str, list[int]]:
    return {
        str(each.offer.ref).split("@", maxsplit=1)[0]: sorted(seen.conversation.id for seen in each.conversations)
        for each in standing(office, email)
    }


def accept(office: Office, email: str, public_id: str) -> int:
    with office.database.for_team(office.team_id) as connection:
        return len(offers.accept(connection, office.acting(email), public_id).linked)


def later(office: Office) -> None:
    office.clock.step(days=1)


def test_a_new_deal_is_offered_the_earlier_conversations_and_nothing_is_linked(office: Office) -> None:
    conversations = [office.mail(f"m{n}", BEA, ADA, subject=f"Question {n}") for n in range(3)]
    office.mail("other", TOM, ADA)
    later(office)
    office.deal("d1", "Rollout", "p1", created_at=office.now)
    office.refresh()
    assert held(office, ADA) == {"deal/d1": conversations}
    assert [office.linked(each) for each in conversations] == [None] * 3


def test_accepting_links_all_as_one_action_that_can_be_undone(office: Office) -> None:
    conversations = [office.mail(f"m{n}", BEA, ADA, subject=f"Question {n}") for n in range(3)]
    later(office)
    office.deal("d1", "Rollout", "p1", created_at=office.now)
    office.refresh()
    (offer,) = standing(office, ADA)
    with office.database.for_team(office.team_id) as connection:
        acting = office.acting(ADA)
        assert len(offers.accept(connection, acting, offer.offer.public_id).linked) == 3
    assert {office.linked(each) for each in conversations} == {"deal/d1"}
    assert held(office, ADA) == {}
    with office.database.for_team(office.team_id) as connection:
        undoing.undo(connection, office.acting(ADA), acting.batch_id)
    assert {office.linked(each) for each in conversations} == {None}
    with pytest.raises(Conflict):
        accept(office, ADA, offer.offer.public_id)


def test_declined_is_gone_for_everybody_and_comes_back_with_the_item(office: Office) -> None:
    office.mail("m1", BEA, ADA)
    later(office)
    office.deal("d1", "Rollout", "p1", created_at=office.now)
    office.refresh()
    (offer,) = standing(office, ADA)
    with office.database.for_team(office.team_id) as connection:
        offers.decline(connection, office.acting(ADA), offer.offer.public_id)
    assert held(office, ADA) == held(office, DAN) == {}
    office.crm.change("deal", "d1", {"status": "won"})
    office.refresh()
    office.crm.change("deal", "d1", {"status": "open"})
    office.refresh()
    assert held(office, ADA) != {}


def test_a_reopened_deal_is_offered_what_came_while_it_was_closed(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    assert office.linked(conversation) is None
    office.crm.change("deal", "d0", {"status": "open"})
    office.refresh()
    assert held(office, ADA) == {"deal/d0": [conversation]}
    assert office.linked(conversation) is None


def test_a_new_person_brings_the_open_items_that_are_theirs(office: Office) -> None:
    conversation = office.mail("m1", "nora@kestrel.test", ADA)
    later(office)
    office.person("p9", "Nora", "nora@kestrel.test")
    office.deal("d9", "Gatehouse", "p9", created_at=office.now)
    office.refresh()
    assert held(office, ADA) == {"deal/d9": [conversation]}


def test_what_is_ambiguous_dismissed_linked_or_someone_elses_is_not_offered(office: Office) -> None:
    mine = office.mail("m1", BEA, ADA, subject="Mine")
    dismissed = office.mail("m2", BEA, ADA, subject="Dismissed")
    theirs = office.mail("m3", BEA, CAN, at=[CAN], subject="Theirs")
    later(office)
    office.deal("d1", "Rollout", "p1", created_at=office.now)
    office.refresh()
    with office.database.for_team(office.team_id) as connection:
        links.dismiss(connection, office.acting(ADA), dismissed)
    assert held(office, ADA) == {"deal/d1": [mine]}
    assert held(office, CAN) == {"deal/d1": [theirs]}
    assert held(office, DAN) == {"deal/d1": [mine, theirs]}
    assert held(office, EVE) == {}
    office.deal("d2", "Spa", "p1", created_at=office.now)
    office.refresh()
    assert held(office, DAN) == {}  # two open deals: a choice, not an offer


def test_who_may_link_none_of_it_can_neither_accept_nor_decline(office: Office) -> None:
    office.mail("m1", BEA, ADA)
    later(office)
    office.deal("d1", "Rollout", "p1", created_at=office.now)
    office.refresh()
    (offer,) = standing(office, ADA)
    with pytest.raises(Conflict):
        accept(office, EVE, offer.offer.public_id)
    with office.database.for_team(office.team_id) as connection, pytest.raises(NotFound):
        offers.decline(connection, office.acting(EVE), offer.offer.public_id)
    assert held(office, ADA) != {}


def test_the_first_load_of_a_crm_makes_no_offers(database: Database, team: Callable[..., int]) -> None:
    made = Office(database, team("Northwind"))
    made.mailbox(ADA)
    made.mail("m1", BEA, ADA)
    made.clock.step(days=1)
    made.person("p1", "Bea", BEA)
    made.deal("d1", "Rollout", "p1", created_at=made.now)
    made.refresh()
    with made.database.for_team(made.team_id) as connection:
        assert rows.standing(connection) == []


def test_as_many_queries_however_many_offers(office: Office) -> None:
    def queries(count: int) -> int:
        for number in range(count):
            office.person(f"x{count}-{number}", "X", f"x{count}-{number}@acme.test")
            office.mail(f"x{count}-{number}", f"x{count}-{number}@acme.test", ADA)
        later(office)
        for number in range(count):
            office.deal(f"x{count}-{number}", "X", f"x{count}-{number}", created_at=office.now)
        office.refresh()
        sent: list[str] = []
        listener = lambda *arguments: sent.append(arguments[2])  # noqa: E731 - SQLAlchemy gives the statement third
        sa.event.listen(office.database.engine, "before_cursor_execute", listener)
        assert len(standing(office, ADA)) >= count
        sa.event.remove(office.database.engine, "before_cursor_execute", listener)
        return len(sent)

    assert queries(2) == queries(10)
