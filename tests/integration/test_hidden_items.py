"""C13: what the CRM hides from a member is not there for that member: in searches, links, suggestions, explanations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from app import beside, inbox, links, review
from app.conversation import shown
from app.errors import NotFound
from app.explain import explain
from app.replay import replay
from app.store import mirror
from app.store.database import Database
from tests.integration.building import ADA, CAN, TOM, Office, northwind, refused

pytestmark = pytest.mark.integration


def show_to_can_alone(connection: sa.Connection) -> None:
    """Let the CRM hide Tom's deal Refit from everybody but its user u-can."""
    connection.execute(sa.text("UPDATE mirror_item SET visibility = '[\"u-can\"]' WHERE external_id = 'd2'"))


@pytest.fixture
def office(database: Database, team: Callable[..., int]) -> Office:
    """Tom's deal Refit is shown to the CRM's user u-can alone, who is Can."""
    made = northwind(database, team)
    with database.for_team(made.team_id) as connection:
        show_to_can_alone(connection)
        connection.execute(
            sa.text(
                "INSERT INTO crm_user (team_id, connection_id, company, external_id, name, email, sees_everything)"
                " VALUES (:team, :crm, 'fake', 'u-can', 'Can', :can, false)"
            ),
            {"team": made.team_id, "crm": made.connection.id, "can": CAN},
        )
    return made


def test_a_hidden_item_is_linked_by_who_sees_it_and_is_unknown_to_others(office: Office) -> None:
    conversation = office.mail("m1", "stranger@else.test", [ADA, CAN], at=[ADA, CAN])
    assert refused(lambda: office.link(ADA, conversation, office.ref("deal", "d2"))) == (NotFound, "item_unknown")
    office.link(CAN, conversation, office.ref("deal", "d2"))
    assert office.linked(conversation) == "deal/d2"


def test_suggestions_and_explanations_leave_it_out(office: Office) -> None:
    conversation = office.mail("m1", TOM, [ADA, CAN], at=[ADA, CAN])
    with office.database.for_team(office.team_id) as connection:
        for email, titles in ((ADA, {"Spa"}), (CAN, {"Refit", "Spa"})):
            seen = office.seen(connection, email, conversation)
            assert {each.title for each in review.suggestions(connection, seen)} == titles
            told = explain(connection, seen, "en")
            assert {each["title"] for each in told["decision"]["candidates"]} == titles
            assert ("Refit" in str(told)) == ("Refit" in titles)


def test_an_owner_is_not_told_the_name_of_a_hidden_item_the_conversation_is_linked_to(office: Office) -> None:
    conversation = office.mail("m1", TOM, [ADA, CAN], at=[ADA, CAN])
    office.link(CAN, conversation, office.ref("deal", "d2"))
    with office.database.for_team(office.team_id) as connection:
        told = explain(connection, office.seen(connection, ADA, conversation), "en")
        assert (told["link"]["id"], told["link"]["title"]) == ("d2", "")
        assert "Refit" not in str(told)


def test_a_linked_conversation_is_shared_with_who_sees_the_item_alone(office: Office) -> None:
    conversation = office.mail("m1", "stranger@else.test", ADA)
    office.member("fay@northwind.test")
    with office.database.for_team(office.team_id) as connection:
        connection.execute(sa.text("UPDATE mirror_item SET visibility = NULL WHERE external_id = 'd2'"))
    office.link(ADA, conversation, office.ref("deal", "d2"))
    with office.database.for_team(office.team_id) as connection:
        assert conversation in links.see(connection, office.members["fay@northwind.test"], [conversation])
        show_to_can_alone(connection)
        assert conversation in links.see(connection, office.members[CAN], [conversation])
        assert conversation not in links.see(connection, office.members["fay@northwind.test"], [conversation])


def test_a_search_for_a_reader_leaves_it_out(office: Office) -> None:
    with office.database.for_team(office.team_id) as connection:
        for email, found in ((ADA, []), (CAN, ["Refit"])):
            reader = mirror.audience(connection, office.members[email])
            assert [hit.title for hit in mirror.search_items(connection, "refit", reader=reader)] == found


def test_a_list_neither_names_a_hidden_item_nor_gives_it_away_in_a_reason(office: Office) -> None:
    linked = office.mail("m1", TOM, [ADA, CAN], at=[ADA, CAN])
    office.mail("m2", TOM, [ADA, CAN], at=[ADA, CAN], subject="Another")
    office.link(CAN, linked, office.ref("deal", "d2"))
    with office.database.for_team(office.team_id) as connection:
        for email, is_shown in ((ADA, False), (CAN, True)):
            member = office.members[email]
            rows = {row.seen.conversation.id: row for row in inbox.listing(connection, member, "en").rows}
            assert rows[linked].seen.sees_item == is_shown
            told = str([review.document(choice, "en") for choice in review.choices(connection, member)])
            assert ("Refit" in told) == is_shown
            assert ("Tom has 2" in " ".join(row.reason for row in rows.values())) == is_shown


def test_a_replay_gives_a_hidden_item_no_title(office: Office) -> None:
    conversation = office.mail("m1", TOM, [ADA, CAN], at=[ADA, CAN])
    office.deal("d3", "Spa", "p2", state="lost")
    office.refresh()
    with office.database.for_team(office.team_id) as connection:
        show_to_can_alone(connection)
        for email, title in ((ADA, ""), (CAN, "Refit")):
            (told,) = replay(connection, office.members[email], office.now - timedelta(days=1)).differences
            assert (told.conversation, told.item_title) == (office.load(conversation).public_id, title)
            assert ("Tom" in told.sentence) == bool(title)


def test_a_message_that_follows_does_not_name_the_hidden_item(office: Office) -> None:
    conversation = office.mail("m1", TOM, [ADA, CAN], at=[ADA, CAN])
    office.link(CAN, conversation, office.ref("deal", "d2"))
    assert office.mail("m2", TOM, [ADA, CAN], at=[ADA, CAN], answers="m1") == conversation
    with office.database.for_team(office.team_id) as connection:
        for email, is_shown in ((ADA, False), (CAN, True)):
            told = explain(connection, office.seen(connection, email, conversation), "en")
            assert told["decision"]["reason"] == "follows_conversation"
            assert ("Refit" in str(told)) == is_shown


@pytest.mark.parametrize("record", ["person", "organization"])
def test_neither_a_hidden_person_nor_a_hidden_organization_is_named_for_an_item_that_is_shown(
    office: Office, record: str
) -> None:
    name = {"person": "Shady Tom", "organization": "Brightwater"}[record]
    office.crm.put_organization("o2", "Brightwater")
    office.person("p2", "Shady Tom", TOM, organization="o2")
    for number, title in (("d2", "Refit"), ("d3", "Spa")):
        office.deal(number, title, "p2", organization="o2")
    office.refresh()
    with office.database.for_team(office.team_id) as connection:
        connection.execute(sa.text("UPDATE mirror_item SET visibility = NULL"))
        connection.execute(sa.text(f"UPDATE mirror_{record} SET visibility = '[\"u-can\"]'"))
    conversation = office.mail("m1", TOM, [ADA, CAN], at=[ADA, CAN])
    tagged = office.mail("m2", TOM.replace("@", "+x@"), [ADA, CAN], at=[ADA, CAN])
    with office.database.for_team(office.team_id) as connection:
        for email, is_shown in ((ADA, False), (CAN, True)):
            member, seen = office.members[email], office.seen(connection, email, conversation)
            alike = office.seen(connection, email, tagged)
            told = explain(connection, seen, "en")
            assert {each["title"] for each in told["decision"]["candidates"]} == {"Refit", "Spa"}
            if record == "person":
                assert (name in str(told["decision"])) == (name in str(told["persons"])) == is_shown
                assert (name in str(review.suggestions(connection, alike))) == is_shown
                rows = inbox.listing(connection, member, "en").rows
                assert any(name in row.reason for row in rows) == is_shown
            else:
                assert (name in str(told["organizations"])) == is_shown
            assert (name in str(review.suggestions(connection, seen))) == is_shown
            page = shown(connection, member, seen.conversation.public_id, "en", office.now)
            assert (name in str(page.people)) == is_shown
            assert (name in str(beside.people_of(connection, seen))) == is_shown


def test_a_replay_does_not_name_a_hidden_person(office: Office) -> None:
    office.mail("m1", TOM, [ADA, CAN], at=[ADA, CAN])
    office.deal("d3", "Spa", "p2", state="lost")
    office.refresh()
    with office.database.for_team(office.team_id) as connection:
        connection.execute(sa.text("UPDATE mirror_item SET visibility = NULL"))
        connection.execute(sa.text("UPDATE mirror_person SET visibility = '[\"u-can\"]' WHERE external_id = 'p2'"))
        for email, is_shown in ((ADA, False), (CAN, True)):
            (told,) = replay(connection, office.members[email], office.now - timedelta(days=1)).differences
            assert told.item_title == "Refit"
            assert ("Tom" in told.sentence) == is_shown
