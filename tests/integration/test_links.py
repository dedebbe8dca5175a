"""What people do to conversations, what the CRM does to links, and what can be taken back; on a real database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from app import links
from app.errors import Conflict, NotAllowed, NotFound, RequestRefused
from app.store.database import Database
from tests.integration.building import ADA, BEA, CAN, DAN, EVE, PROVEN_FALSE, SOMEBODY, TOM, Office, northwind, refused

pytestmark = pytest.mark.integration

SALES = "sales@northwind.test"


@pytest.fixture
def office(database: Database, team: Callable[..., int]) -> Office:
    return northwind(database, team)


# --- who may ---


@pytest.mark.parametrize(
    ("who", "answer"),
    [
        ("owner", None),
        ("administrator", None),
        ("other member", (NotFound, "not_found")),
        ("member who sees it through the item", (NotAllowed, "not_owner")),
    ],
)
@pytest.mark.parametrize("action", ["link", "unlink", "dismiss"])
def test_owners_and_administrators_act_on_a_conversation(
    office: Office, who: str, answer: tuple[type[RequestRefused], str] | None, action: str
) -> None:
    conversation = office.mail("m1", BEA, ADA)
    if who == "other member":
        office.unlink(ADA, conversation)  # not linked, it is private
        office.link(DAN, conversation, office.ref("deal", "d1"))
        office.share(ADA, conversation, "private")
    member = {"owner": ADA, "administrator": DAN}.get(who, CAN)
    acts: dict[str, Callable[[], object]] = {
        "link": lambda: office.link(member, conversation, office.ref("deal", "d2"), move=True),
        "unlink": lambda: office.unlink(member, conversation),
        "dismiss": lambda: office.dismiss(member, conversation),
    }
    if answer is None:
        acts[action]()
    else:
        assert refused(acts[action]) == answer


def test_collaborators_of_a_team_account_are_owners_and_other_members_are_not(office: Office) -> None:
    office.mailbox(SALES, kind="team", collaborators=[CAN])
    conversation = office.mail("m1", TOM, SALES, at=[SALES])
    assert refused(lambda: office.link(ADA, conversation, office.ref("deal", "d2"))) == (NotFound, "not_found")
    office.link(CAN, conversation, office.ref("deal", "d2"))
    assert refused(lambda: office.unlink(ADA, conversation)) == (NotAllowed, "not_owner")


def test_a_conversation_of_another_team_is_not_there(office: Office, team: Callable[..., int]) -> None:
    conversation = office.mail("m1", BEA, ADA)
    other = Office(office.database, team("Agency"))
    other.member(EVE, "admin")
    other.person("p1", "Bea", BEA)
    mine = other.deal("d1", "Rollout", "p1")
    other.refresh()
    assert refused(lambda: other.link(EVE, conversation, mine)) == (NotFound, "not_found")
    assert refused(lambda: other.unlink(EVE, conversation)) == (NotFound, "not_found")


def test_a_colleague_in_copy_without_a_witness_of_rights_may_not_link(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    office.mail("m2", BEA, CAN, at=[CAN], subject="Re: Prices", answers="m1", refers=["m1"])
    assert office.conversation_of("m2") == conversation  # Bea takes part: W2
    assert refused(lambda: office.unlink(CAN, conversation)) == (NotAllowed, "not_owner")


# --- link ---


def test_linking_by_hand_says_who_did_it_and_asks_for_the_note(office: Office) -> None:
    conversation = office.mail("m1", TOM, ADA)
    office.link(ADA, conversation, office.ref("deal", "d2"))
    primary = office.load(conversation).primary_link
    assert primary is not None
    assert (str(primary.ref), primary.title, primary.origin) == ("deal/d2", "Refit", "manual")
    assert primary.made_by == office.members[ADA].id
    assert office.wanted(conversation) == {"deal/d2": 1}
    assert office.trail(conversation) == [("link", office.members[ADA].id)]
    assert office.decision(conversation).decision.reason == "several_open_items"  # why a person had to


def test_a_link_elsewhere_needs_a_confirmation_that_can_name_both(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    with pytest.raises(Conflict) as caught:
        office.link(ADA, conversation, office.ref("deal", "d2"))
    assert (caught.value.reason, caught.value.params["item"]) == ("already_linked", "Rollout")
    office.link(ADA, conversation, office.ref("deal", "d2"), move=True)
    assert office.linked(conversation) == "deal/d2"
    assert office.wanted(conversation) == {"deal/d1": 2, "deal/d2": 1}


def test_a_move_to_the_item_it_is_linked_to_is_no_move(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    again = refused(lambda: office.link(ADA, conversation, office.ref("deal", "d1"), move=True))
    assert again == (Conflict, "already_linked")
    assert office.trail(conversation) == []


@pytest.mark.parametrize(
    ("kind", "external_id", "answer"),
    [
        ("deal", "gone", (Conflict, "item_deleted")),
        ("deal", "nothing", (NotFound, "item_unknown")),
        ("person", "p2", (Conflict, "kind_not_linkable")),
        ("organization", "o1", (Conflict, "kind_not_linkable")),
    ],
)
def test_what_cannot_be_linked_is_refused_with_its_reason(
    office: Office, kind: str, external_id: str, answer: tuple[type[RequestRefused], str]
) -> None:
    office.deal("gone", "Gone", "p2")
    office.refresh()
    office.crm.delete("deal", "gone")
    office.refresh()
    conversation = office.mail("m1", TOM, ADA)
    assert refused(lambda: office.link(ADA, conversation, office.ref(kind, external_id))) == answer


def test_a_closed_item_is_linked_by_hand(office: Office) -> None:
    won = office.deal("d9", "Won", "p1", state="won")
    office.refresh()
    conversation = office.mail("m1", TOM, ADA)
    office.link(ADA, conversation, won)
    assert office.linked(conversation) == "deal/d9"


def test_a_link_by_hand_waits_for_mail_that_is_being_read_and_is_told_what_that_linked(office: Office) -> None:
    conversation = office.mail("m1", TOM, ADA)
    office.crm.change("deal", "d3", {"status": "lost"})
    office.refresh()
    answers: list[str] = []

    def link() -> None:
        try:
            office.link(ADA, conversation, office.ref("deal", "d1"))
        except Conflict as refusal:
            answers.append(refusal.reason)

    person = threading.Thread(target=link)
    with office.receiving("m2", TOM, ADA, subject="Re: Prices", answers="m1"):
        person.start()
        person.join(timeout=0.3)
        assert person.is_alive()
    person.join(timeout=10)
    assert answers == ["already_linked"]
    assert office.linked(conversation) == "deal/d2"


# --- unlink ---


def test_unlinking_is_sticky_and_the_decision_says_who_and_what(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    assert office.linked(conversation) == "deal/d1"
    office.unlink(ADA, conversation)
    assert office.linked(conversation) is None
    decision = office.decision(conversation).decision
    assert decision.reason == "unlinked_by_person"
    assert (decision.params["member"], decision.params["item"]) == ("Ada", "Rollout")
    assert office.mail("m2", BEA, ADA, subject="Re: Prices", answers="m1") == conversation
    assert office.linked(conversation) is None
    assert [tombstone.member_name for tombstone in office.load(conversation).tombstones] == ["Ada"]
    assert office.wanted(conversation) == {"deal/d1": 2}


def test_what_is_not_linked_cannot_be_unlinked(office: Office) -> None:
    conversation = office.mail("m1", TOM, ADA)
    assert refused(lambda: office.unlink(ADA, conversation)) == (Conflict, "not_linked")


def test_linking_by_hand_again_removes_the_tombstone(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    office.unlink(ADA, conversation)
    office.link(ADA, conversation, office.ref("deal", "d1"))
    assert office.load(conversation).tombstones == ()


def test_a_move_leaves_a_tombstone_for_the_first_item(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    office.link(ADA, conversation, office.ref("deal", "d2"), move=True)
    assert [str(tombstone.ref) for tombstone in office.load(conversation).tombstones] == ["deal/d1"]


# --- dismiss ---


def test_a_dismissed_conversation_comes_back_with_a_new_candidate_alone(office: Office) -> None:
    conversation = office.mail("m1", TOM, ADA)
    assert not office.is_dismissed(conversation)
    office.dismiss(ADA, conversation)
    assert office.is_dismissed(conversation)
    office.crm.change("deal", "d3", {"status": "lost"})
    office.refresh()
    assert office.is_dismissed(conversation)
    office.deal("d4", "Pool", "p2")
    office.refresh()
    assert not office.is_dismissed(conversation)


def test_linking_puts_a_dismissed_conversation_back(office: Office) -> None:
    conversation = office.mail("m1", TOM, ADA)
    office.dismiss(ADA, conversation)
    office.link(ADA, conversation, office.ref("deal", "d2"))
    assert not office.load(conversation).dismissed


# --- many at once ---


@pytest.mark.parametrize(("elsewhere", "moved"), [("skip", False), ("move", True)])
def test_a_bulk_action_lists_what_it_did_not_link(office: Office, elsewhere: str, moved: bool) -> None:
    there, choice = office.mail("m1", BEA, ADA), office.mail("m2", TOM, ADA)
    shown, private = office.mail("m3", BEA, CAN, at=[CAN]), office.mail("m4", SOMEBODY, CAN, at=[CAN])
    same = office.mail("m5", TOM, ADA, subject="Another")
    office.link(ADA, same, office.ref("deal", "d2"))
    asked = [there, choice, shown, private, same, choice, 0]
    with office.database.for_team(office.team_id) as connection:
        result = links.bulk_link(
            connection,
            office.acting(ADA),
            asked,
            office.ref("deal", "d2"),
            elsewhere=elsewhere,  # type: ignore[arg-type]  # one of the two
        )
    refusals = {shown: "not_owner", private: "not_found", same: "already_linked", 0: "not_found"}
    assert set(result.linked) == ({there, choice} if moved else {choice})
    assert result.not_linked == (refusals if moved else {**refusals, there: "already_linked"})
    assert office.linked(there) == ("deal/d2" if moved else "deal/d1")
    assert [
        str(row.batch_id) for row in office.rows("SELECT batch_id FROM audit WHERE conversation_id = :id", id=choice)
    ] == [result.batch_id]


def test_an_item_that_cannot_be_linked_refuses_the_whole_bulk_action(office: Office) -> None:
    conversation = office.mail("m1", TOM, ADA)
    with office.database.for_team(office.team_id) as connection, pytest.raises(NotFound):
        links.bulk_link(connection, office.acting(ADA), [conversation], office.ref("deal", "nothing"))


# --- visibility ---


def test_visibility_is_for_owners_alone_and_the_note_follows(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    for member in (DAN, CAN):
        assert refused(lambda: office.share(member, conversation, "private")) == (NotAllowed, "not_owner")  # noqa: B023 - called at once
    office.share(ADA, conversation, "private")
    assert office.load(conversation).visibility == "private"
    assert office.wanted(conversation) == {"deal/d1": 2}
    assert refused(lambda: office.unlink(CAN, conversation)) == (NotFound, "not_found")


# --- it is genuine ---


def test_a_genuine_sender_is_linked_as_if_the_mail_just_arrived(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA, headers=[PROVEN_FALSE])
    assert office.decision(conversation).decision.reason == "sender_not_authenticated"
    assert office.trust(ADA, conversation) == conversation
    assert office.linked(conversation) == "deal/d1"
    assert {link.ref.external_id for link in office.load(conversation).links} == {"d1", "p1"}
    assert office.wanted(conversation) == {"deal/d1": 1}
    assert office.trail(conversation) == [("trust_sender", office.members[ADA].id)]


def test_a_genuine_answer_joins_what_it_answers(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    answer = office.mail("m2", BEA, ADA, subject="Re: Prices", answers="m1", headers=[PROVEN_FALSE])
    assert answer != conversation
    assert office.trust(ADA, answer) == conversation
    assert [message.internet_id for message in office.load(conversation).messages] == ["<m1@x.test>", "<m2@x.test>"]
    assert office.wanted(conversation)["deal/d1"] >= 2


def test_only_the_newest_doubtful_mail_is_trusted(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA, headers=[PROVEN_FALSE])
    other = office.mail("m2", BEA, ADA, subject="Other", headers=[PROVEN_FALSE])
    office.trust(ADA, conversation)
    assert office.linked(other) is None
    assert refused(lambda: office.trust(ADA, conversation)) == (Conflict, "sender_not_in_doubt")


def test_a_sender_is_trusted_by_who_may_link(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA, headers=[PROVEN_FALSE])
    assert refused(lambda: office.trust(CAN, conversation)) == (NotFound, "not_found")
    office.trust(DAN, conversation)
    assert office.linked(conversation) == "deal/d1"


# --- the trail ---


def test_an_action_writes_one_audit_row_for_each_conversation_with_its_time(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    before = office.now
    office.unlink(ADA, conversation)
    (row,) = office.rows("SELECT * FROM audit")
    assert (row.action, row.conversation_id, row.at - before) == ("unlink", conversation, timedelta(seconds=1))
    assert row.detail["item"] == "deal/d1"
