"""What a person did is taken back, and nothing else; on a real database."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app import links
from app.errors import Conflict, NotAllowed, NotFound
from app.store.database import Database
from tests.integration.building import ADA, BEA, CAN, DAN, SOMEBODY, TOM, Office, northwind, refused

pytestmark = pytest.mark.integration


@pytest.fixture
def office(database: Database, team: Callable[..., int]) -> Office:
    return northwind(database, team)


def test_undoing_a_link_leaves_no_tombstone_and_removes_its_note(office: Office) -> None:
    conversation = office.mail("m1", TOM, ADA)
    action = office.link(ADA, conversation, office.ref("deal", "d2"))
    assert office.undo(ADA, action) == [conversation]
    assert (office.linked(conversation), office.tombstones(conversation)) == (None, [])
    assert office.wanted(conversation) == {"deal/d2": 2}
    assert office.decision(conversation).decision.reason == "several_open_items"
    assert [action for action, _ in office.trail(conversation)] == ["link", "undo"]


def test_undoing_an_unlink_returns_the_link_and_what_is_said_of_it(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    office.undo(ADA, office.unlink(ADA, conversation))
    primary = office.load(conversation).primary_link
    assert primary is not None
    assert (str(primary.ref), primary.origin) == ("deal/d1", "automatic")
    assert office.tombstones(conversation) == []
    assert office.decision(conversation).decision.reason != "unlinked_by_person"
    assert office.wanted(conversation) == {"deal/d1": 3}


def test_undoing_a_move_returns_the_first_link(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    action = office.link(ADA, conversation, office.ref("deal", "d2"), move=True)
    office.undo(ADA, action)
    assert (office.linked(conversation), office.tombstones(conversation)) == ("deal/d1", [])
    assert office.wanted(conversation) == {"deal/d1": 3, "deal/d2": 2}


def test_undoing_a_relink_returns_the_tombstone(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    office.unlink(ADA, conversation)
    office.undo(ADA, office.link(ADA, conversation, office.ref("deal", "d1")))
    assert (office.linked(conversation), office.tombstones(conversation)) == (None, ["deal/d1"])


def test_undoing_a_dismissal_and_a_link_that_ended_one(office: Office) -> None:
    conversation = office.mail("m1", TOM, ADA)
    dismissal = office.dismiss(ADA, conversation)
    office.undo(ADA, office.link(ADA, conversation, office.ref("deal", "d2")))
    assert office.is_dismissed(conversation)
    office.undo(ADA, dismissal)
    assert not office.is_dismissed(conversation)


def test_undoing_one_action_of_several_steps_returns_to_before_the_first(office: Office) -> None:
    conversation = office.mail("m1", TOM, ADA)
    office.link(ADA, conversation, office.ref("deal", "d2"))
    office.unlink(ADA, conversation)
    office.dismiss(ADA, conversation)
    acting = office.acting(ADA)
    with office.database.for_team(office.team_id) as connection:
        links.link(connection, acting, conversation, office.ref("deal", "d2"))
        links.unlink(connection, acting, conversation)
    assert not office.is_dismissed(conversation)
    assert office.undo(ADA, acting.batch_id) == [conversation]
    assert (office.linked(conversation), office.tombstones(conversation)) == (None, ["deal/d2"])
    assert office.is_dismissed(conversation)


def test_undoing_a_change_of_visibility_looks_at_the_note_again(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    office.share(ADA, conversation, "metadata")
    office.undo(ADA, office.share(ADA, conversation, "private"))
    assert office.load(conversation).visibility == "metadata"
    assert office.wanted(conversation) == {"deal/d1": 4}


def test_an_administrator_cannot_widen_a_conversation_by_undoing(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    action = office.share(ADA, conversation, "private")
    assert refused(lambda: office.undo(DAN, action)) == (NotAllowed, "not_owner")
    assert office.load(conversation).visibility == "private"


def test_undoing_a_bulk_action_leaves_alone_what_was_chosen_since(office: Office) -> None:
    kept, chosen = office.mail("m1", BEA, ADA), office.mail("m2", TOM, ADA)
    with office.database.for_team(office.team_id) as connection:
        result = links.bulk_link(
            connection, office.acting(ADA), [kept, chosen], office.ref("deal", "d3"), elsewhere="move"
        )
    office.link(ADA, chosen, office.ref("deal", "d2"), move=True)
    assert office.undo(ADA, result.batch_id) == [kept]
    assert (office.linked(kept), office.tombstones(kept)) == ("deal/d1", [])
    assert (office.linked(chosen), office.tombstones(chosen)) == ("deal/d2", ["deal/d3"])


def test_an_action_that_was_overtaken_is_not_undone(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    first = office.unlink(ADA, conversation)
    office.link(ADA, conversation, office.ref("deal", "d1"))
    office.unlink(ADA, conversation)
    assert refused(lambda: office.undo(ADA, first)) == (Conflict, "changed_meanwhile")
    assert (office.linked(conversation), office.tombstones(conversation)) == (None, ["deal/d1"])


def test_actions_are_undone_one_after_the_other(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    first = office.unlink(ADA, conversation)
    second = office.link(ADA, conversation, office.ref("deal", "d2"))
    office.undo(ADA, second)
    office.undo(ADA, first)
    assert (office.linked(conversation), office.tombstones(conversation)) == ("deal/d1", [])


def test_an_action_is_undone_once(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    action = office.unlink(ADA, conversation)
    office.undo(ADA, action)
    office.unlink(ADA, conversation)
    assert refused(lambda: office.undo(ADA, action)) == (Conflict, "nothing_to_undo")
    assert office.tombstones(conversation) == ["deal/d1"]


def test_undoing_asks_the_rights_of_the_action(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    action = office.link(ADA, conversation, office.ref("deal", "d2"), move=True)
    assert refused(lambda: office.undo(CAN, action)) == (NotAllowed, "not_owner")
    hidden = office.link(ADA, office.mail("m2", SOMEBODY, ADA), office.ref("deal", "d2"))
    office.share(ADA, office.conversation_of("m2"), "private")
    assert refused(lambda: office.undo(CAN, hidden)) == (NotFound, "not_found")
    unknown = "4b4c9f8a-0000-4000-8000-000000000000"
    assert refused(lambda: office.undo(ADA, unknown)) == (NotFound, "not_found")


def test_undoing_a_link_finds_it_under_the_name_its_item_took_since(office: Office) -> None:
    lead = office.item("lead", "l1", "Idea", "p2")
    office.refresh()
    conversation = office.mail("m1", TOM, ADA)
    action = office.link(ADA, conversation, lead)
    office.crm.convert_lead("l1", "d7")
    office.refresh()
    assert office.linked(conversation) == "deal/d7"
    office.undo(ADA, action)
    assert office.linked(conversation) is None
