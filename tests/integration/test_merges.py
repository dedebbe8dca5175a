"""Two conversations become one, and a person takes that back; through the real ingest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from app.errors import Conflict, NotAllowed, NotFound, RequestRefused
from app.store import conversations, merges
from app.store.database import Database
from tests.integration.building import ADA, BEA, CAN, DAN, Office

pytestmark = pytest.mark.integration


@pytest.fixture
def office(database: Database, team: Callable[..., int]) -> Office:
    made = Office(database, team("Northwind"))
    made.mailbox(ADA)
    made.mailbox(CAN)
    made.member(DAN, "admin")
    made.person("p1", "Bea", BEA)
    made.refresh()
    return made


def two(office: Office) -> tuple[int, int]:
    """Let Bea begin two conversations with Ada."""
    return office.mail("a1", BEA, ADA, subject="Lamps"), office.mail("b1", BEA, ADA, subject="Parking")


def bridge(office: Office, key: str = "b2", subject: str = "Re: Parking") -> int:
    """Let Bea answer both."""
    return office.mail(key, BEA, ADA, subject=subject, answers="b1", refers=["a1", "b1"])


def merge_id(office: Office, survivor: int) -> int:
    with office.database.for_team(office.team_id) as connection:
        return int(merges.into(connection, survivor)[0].id)


def keys(office: Office, conversation: int) -> list[str]:
    return [message.internet_id.partition("@")[0][1:] for message in office.load(conversation).messages]


def count(office: Office, conversation: int) -> tuple[int, str]:
    (row,) = office.rows("SELECT message_count, subject FROM conversation WHERE id = :id", id=conversation)
    return row.message_count, row.subject


def with_deals(office: Office, *deals: str) -> None:
    for deal in deals:
        office.deal(deal, f"Deal {deal}", "p1")
    office.refresh()


# --- merging ---


def test_the_elder_of_two_that_are_not_linked_survives(office: Office) -> None:
    elder, younger = two(office)
    assert bridge(office) == elder
    assert keys(office, elder) == ["a1", "b1", "b2"]
    assert count(office, elder) == (3, "Lamps")
    assert office.rows("SELECT merged_into FROM conversation WHERE id = :id", id=younger)[0].merged_into == elder


def test_the_linked_one_survives_though_it_is_younger(office: Office) -> None:
    with_deals(office, "d1", "d2")
    elder, younger = two(office)
    office.link(ADA, younger, office.ref("deal", "d2"))
    assert bridge(office) == younger
    assert office.linked(younger) == "deal/d2"
    assert keys(office, younger) == ["a1", "b1", "b2"]
    assert elder != younger


def test_the_public_id_of_the_one_that_is_gone_leads_to_the_survivor(office: Office) -> None:
    elder, younger = two(office)
    public_id = office.load(younger).public_id
    bridge(office)
    with office.database.for_team(office.team_id) as connection:
        assert conversations.id_of(connection, public_id) == elder


def test_of_two_links_to_one_item_that_made_by_hand_stays_and_one_note(office: Office) -> None:
    with_deals(office, "d1")
    elder, younger = two(office)
    office.unlink(ADA, younger)
    office.link(ADA, younger, office.ref("deal", "d1"))
    wanted = office.wanted(younger)["deal/d1"]
    bridge(office)
    primary = office.load(elder).primary_link
    assert primary is not None
    assert (str(primary.ref), primary.origin, primary.made_by) == ("deal/d1", "manual", office.members[ADA].id)
    assert office.wanted(younger) == {"deal/d1": wanted + 1}  # it is looked at, and goes
    standing = office.rows("SELECT conversation_id FROM link WHERE is_primary AND removed_at IS NULL")
    assert [row.conversation_id for row in standing] == [elder]


def test_different_items_keep_two_conversations_apart(office: Office) -> None:
    with_deals(office, "d1", "d2")
    elder, younger = two(office)
    office.link(ADA, elder, office.ref("deal", "d1"))
    office.link(ADA, younger, office.ref("deal", "d2"))
    assert bridge(office) == younger
    assert keys(office, elder) == ["a1"]
    (pair,) = office.rows("SELECT conversation_id, other_id, why FROM merge_pair")
    assert ({pair.conversation_id, pair.other_id}, pair.why) == ({elder, younger}, "different_links")


# --- taking it back ---


def test_a_merge_is_taken_back_and_later_mail_stays_where_it_was_put(office: Office) -> None:
    elder, younger = two(office)
    bridge(office)
    assert office.undo_merge(ADA, elder, merge_id(office, elder)) == younger
    assert (keys(office, elder), keys(office, younger)) == (["a1", "b2"], ["b1"])
    assert (count(office, elder), count(office, younger)) == ((2, "Lamps"), (1, "Parking"))
    assert [action for action, _ in office.trail(elder)] == ["undo_merge"]
    assert [action for action, _ in office.trail(younger)] == ["undo_merge"]


def test_conversations_that_were_taken_apart_stay_apart(office: Office) -> None:
    elder, younger = two(office)
    bridge(office)
    office.undo_merge(ADA, elder, merge_id(office, elder))
    bridge(office, "b3", subject="Re: Parking")
    assert keys(office, younger)[0] == "b1"
    assert set(keys(office, elder)) | set(keys(office, younger)) == {"a1", "b1", "b2", "b3"}
    assert office.conversation_of("a1") != office.conversation_of("b1")
    assert office.mail("b4", BEA, ADA, subject="Re: Parking", answers="b1") == younger
    assert office.mail("a2", BEA, ADA, subject="Re: Lamps", answers="a1") == elder


def test_links_and_notes_are_again_what_they_were(office: Office) -> None:
    with_deals(office, "d1")
    elder, younger = two(office)
    assert (office.linked(elder), office.linked(younger)) == ("deal/d1", "deal/d1")
    bridge(office)
    before = office.wanted(elder)["deal/d1"], office.wanted(younger)["deal/d1"]
    office.undo_merge(ADA, elder, merge_id(office, elder))
    assert (office.linked(elder), office.linked(younger)) == ("deal/d1", "deal/d1")
    assert {str(link.ref) for link in office.load(younger).links} == {"deal/d1", "person/p1"}
    assert (office.wanted(elder)["deal/d1"], office.wanted(younger)["deal/d1"]) == (before[0] + 1, before[1] + 1)
    assert office.decision(younger).decision.reason == "follows_conversation"


def test_a_link_of_the_meantime_is_left_alone(office: Office) -> None:
    with_deals(office, "d1", "d2")
    elder, younger = two(office)
    office.link(ADA, elder, office.ref("deal", "d1"))
    office.link(ADA, younger, office.ref("deal", "d1"))
    bridge(office)
    office.link(ADA, elder, office.ref("deal", "d2"), move=True)
    office.undo_merge(ADA, elder, merge_id(office, elder))
    assert (office.linked(elder), office.linked(younger)) == ("deal/d2", "deal/d1")


def test_the_public_id_leads_to_its_own_conversation_again(office: Office) -> None:
    elder, younger = two(office)
    public_id = office.load(younger).public_id
    bridge(office)
    office.undo_merge(ADA, elder, merge_id(office, elder))
    with office.database.for_team(office.team_id) as connection:
        assert conversations.id_of(connection, public_id) == younger


def test_a_merge_is_taken_back_for_thirty_days(office: Office) -> None:
    elder, _ = two(office)
    bridge(office)
    office.clock.step(days=30, seconds=-1)
    office.undo_merge(ADA, elder, merge_id(office, elder))
    second = Office.conversation_of(office, "a1")
    assert second == elder


def test_after_thirty_days_it_is_too_late(office: Office) -> None:
    elder, _ = two(office)
    bridge(office)
    office.clock.step(days=30)
    with pytest.raises(Conflict, match="undo_expired"):
        office.undo_merge(ADA, elder, merge_id(office, elder))


@pytest.mark.parametrize(
    ("member", "answer"), [(ADA, None), (DAN, None), (CAN, (NotFound, "not_found"))], ids=["owner", "admin", "other"]
)
def test_owners_and_administrators_take_a_merge_back(
    office: Office, member: str, answer: tuple[type[RequestRefused], str] | None
) -> None:
    elder, younger = two(office)
    bridge(office)
    merge = merge_id(office, elder)
    if answer is None:
        assert office.undo_merge(member, elder, merge) == younger
        return
    with pytest.raises(RequestRefused) as caught:
        office.undo_merge(member, elder, merge)
    assert (type(caught.value), caught.value.reason) == answer


def test_who_sees_it_through_the_item_alone_may_not_take_it_apart(office: Office) -> None:
    with_deals(office, "d1")
    elder, _ = two(office)
    bridge(office)
    with pytest.raises(NotAllowed, match="not_owner"):
        office.undo_merge(CAN, elder, merge_id(office, elder))


def test_a_merge_is_taken_back_once_and_of_its_own_conversation(office: Office) -> None:
    elder, younger = two(office)
    bridge(office)
    merge = merge_id(office, elder)
    other = office.mail("c1", "nora@kestrel.test", ADA, subject="Hello")
    with pytest.raises(Conflict, match="nothing_to_undo"):
        office.undo_merge(ADA, other, merge)
    office.undo_merge(ADA, elder, merge)
    for conversation in (elder, younger):
        with pytest.raises(Conflict, match="nothing_to_undo"):
            office.undo_merge(ADA, conversation, merge)


def test_who_held_one_of_the_two_has_rights_over_that_one_again(office: Office) -> None:
    elder = office.mail("a1", BEA, [ADA], subject="Lamps")
    younger = office.mail("b1", BEA, [ADA, CAN], at=[ADA, CAN], subject="Parking")
    bridge(office)
    office.undo_merge(ADA, elder, merge_id(office, elder))
    with_deals(office, "d1")
    office.link(CAN, younger, office.ref("deal", "d1"))
    with pytest.raises(RequestRefused):
        office.link(CAN, elder, office.ref("deal", "d1"))


def test_what_hung_on_another_without_rights_has_its_own_rights_again(office: Office) -> None:
    # Can's copy joins Ada's conversation because Bea takes part there (W2): Can gets no rights, and keeps them at home.
    theirs = office.mail("b1", BEA, CAN, at=[CAN], subject="Re: Lamps", answers="a1", refers=["a1"])
    ours = office.mail("a1", BEA, ADA, subject="Lamps")
    assert office.conversation_of("b1") == ours != theirs
    office.undo_merge(ADA, ours, merge_id(office, ours))
    assert office.conversation_of("b1") == theirs
    with_deals(office, "d1")
    office.link(CAN, theirs, office.ref("deal", "d1"))
    assert office.linked(theirs) == "deal/d1"


def test_undo_for_is_what_the_specification_says() -> None:
    assert timedelta(days=30) == merges.UNDO_FOR
