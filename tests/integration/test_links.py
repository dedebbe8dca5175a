"""What people do to conversations, what the CRM does to links, and what can be taken back; on a real database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from app import links
from app.errors import Conflict, NotAllowed, NotFound, RequestRefused
from app.model import ItemRef
from app.store.database import Database
from tests.integration.building import ADA, BEA, CAN, DAN, EVE, PROVEN_FALSE, TOM, Office

pytestmark = pytest.mark.integration

SALES = "sales@northwind.test"
NOBODY = "somebody@else.test"


@pytest.fixture
def office(database: Database, team: Callable[..., int]) -> Office:
    """Ada and Can have mailboxes; Dan is an administrator without one. Bea has one open deal, Tom two."""
    made = Office(database, team("Northwind"))
    made.mailbox(ADA)
    made.mailbox(CAN)
    made.member(DAN, "admin")
    made.person("p1", "Bea", BEA)
    made.person("p2", "Tom", TOM)
    made.deal("d1", "Rollout", "p1")
    made.deal("d2", "Refit", "p2")
    made.deal("d3", "Spa", "p2")
    made.refresh()
    return made


def refused(office: Office, act: Callable[[], object]) -> tuple[type[RequestRefused], str]:
    with pytest.raises(RequestRefused) as caught:
        act()
    return type(caught.value), caught.value.reason


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
        assert refused(office, acts[action]) == answer


def test_collaborators_of_a_team_account_are_owners_and_other_members_are_not(office: Office) -> None:
    office.mailbox(SALES, kind="team", collaborators=[CAN])
    conversation = office.mail("m1", TOM, SALES, at=[SALES])
    assert refused(office, lambda: office.link(ADA, conversation, office.ref("deal", "d2"))) == (NotFound, "not_found")
    office.link(CAN, conversation, office.ref("deal", "d2"))
    assert refused(office, lambda: office.unlink(ADA, conversation)) == (NotAllowed, "not_owner")


def test_a_conversation_of_another_team_is_not_there(office: Office, team: Callable[..., int]) -> None:
    conversation = office.mail("m1", BEA, ADA)
    other = Office(office.database, team("Agency"))
    other.member(EVE, "admin")
    other.person("p1", "Bea", BEA)
    mine = other.deal("d1", "Rollout", "p1")
    other.refresh()
    assert refused(other, lambda: other.link(EVE, conversation, mine)) == (NotFound, "not_found")
    assert refused(other, lambda: other.unlink(EVE, conversation)) == (NotFound, "not_found")


def test_a_colleague_in_copy_without_a_witness_of_rights_may_not_link(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    office.mail("m2", BEA, CAN, at=[CAN], subject="Re: Prices", answers="m1", refers=["m1"])
    assert office.conversation_of("m2") == conversation  # Bea takes part: W2
    assert refused(office, lambda: office.unlink(CAN, conversation)) == (NotAllowed, "not_owner")


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
    assert office.decision(conversation).decision.reason == "follows_conversation"


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
    again = refused(office, lambda: office.link(ADA, conversation, office.ref("deal", "d1"), move=True))
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
    assert refused(office, lambda: office.link(ADA, conversation, office.ref(kind, external_id))) == answer


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


def test_an_item_that_is_deleted_while_mail_is_linked_to_it_ends_that_link(office: Office) -> None:
    office.crm.delete("deal", "d1")
    crm = threading.Thread(target=office.refresh)
    with office.receiving("m1", BEA, ADA):
        crm.start()
        crm.join(timeout=0.3)
        assert crm.is_alive()
    crm.join(timeout=10)
    assert office.linked(office.conversation_of("m1")) is None


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
    assert refused(office, lambda: office.unlink(ADA, conversation)) == (Conflict, "not_linked")


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


def is_dismissed(office: Office, conversation: int) -> bool:
    with office.database.for_team(office.team_id) as connection:
        return conversation in links.dismissed(connection, [office.load(conversation)])


def test_a_dismissed_conversation_comes_back_with_a_new_candidate_alone(office: Office) -> None:
    conversation = office.mail("m1", TOM, ADA)
    assert not is_dismissed(office, conversation)
    office.dismiss(ADA, conversation)
    assert is_dismissed(office, conversation)
    office.crm.change("deal", "d3", {"status": "lost"})
    office.refresh()
    assert is_dismissed(office, conversation)
    office.deal("d4", "Pool", "p2")
    office.refresh()
    assert not is_dismissed(office, conversation)


def test_linking_puts_a_dismissed_conversation_back(office: Office) -> None:
    conversation = office.mail("m1", TOM, ADA)
    office.dismiss(ADA, conversation)
    office.link(ADA, conversation, office.ref("deal", "d2"))
    assert not office.load(conversation).dismissed


# --- many at once ---


@pytest.mark.parametrize(("elsewhere", "moved"), [("skip", False), ("move", True)])
def test_a_bulk_action_lists_what_it_did_not_link(office: Office, elsewhere: str, moved: bool) -> None:
    there, choice = office.mail("m1", BEA, ADA), office.mail("m2", TOM, ADA)
    shown, private = office.mail("m3", BEA, CAN, at=[CAN]), office.mail("m4", NOBODY, CAN, at=[CAN])
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


# --- undo ---


def tombstones(office: Office, conversation: int) -> list[str]:
    return [str(tombstone.ref) for tombstone in office.load(conversation).tombstones]


def test_undoing_a_link_leaves_no_tombstone_and_removes_its_note(office: Office) -> None:
    conversation = office.mail("m1", TOM, ADA)
    action = office.link(ADA, conversation, office.ref("deal", "d2"))
    assert office.undo(ADA, action) == [conversation]
    assert (office.linked(conversation), tombstones(office, conversation)) == (None, [])
    assert office.wanted(conversation) == {"deal/d2": 2}
    assert office.decision(conversation).decision.reason == "several_open_items"
    assert [action for action, _ in office.trail(conversation)] == ["link", "undo"]


def test_undoing_an_unlink_returns_the_link_and_what_is_said_of_it(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    office.undo(ADA, office.unlink(ADA, conversation))
    primary = office.load(conversation).primary_link
    assert primary is not None
    assert (str(primary.ref), primary.origin) == ("deal/d1", "automatic")
    assert tombstones(office, conversation) == []
    assert office.decision(conversation).decision.reason != "unlinked_by_person"
    assert office.wanted(conversation) == {"deal/d1": 3}


def test_undoing_a_move_returns_the_first_link(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    action = office.link(ADA, conversation, office.ref("deal", "d2"), move=True)
    office.undo(ADA, action)
    assert (office.linked(conversation), tombstones(office, conversation)) == ("deal/d1", [])
    assert office.wanted(conversation) == {"deal/d1": 3, "deal/d2": 2}


def test_undoing_a_relink_returns_the_tombstone(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    office.unlink(ADA, conversation)
    office.undo(ADA, office.link(ADA, conversation, office.ref("deal", "d1")))
    assert (office.linked(conversation), tombstones(office, conversation)) == (None, ["deal/d1"])


def test_undoing_a_dismissal_and_a_link_that_ended_one(office: Office) -> None:
    conversation = office.mail("m1", TOM, ADA)
    dismissal = office.dismiss(ADA, conversation)
    office.undo(ADA, office.link(ADA, conversation, office.ref("deal", "d2")))
    assert is_dismissed(office, conversation)
    office.undo(ADA, dismissal)
    assert not is_dismissed(office, conversation)


def test_undoing_a_change_of_visibility_looks_at_the_note_again(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    office.share(ADA, conversation, "metadata")
    office.undo(ADA, office.share(ADA, conversation, "private"))
    assert office.load(conversation).visibility == "metadata"
    assert office.wanted(conversation) == {"deal/d1": 4}


def test_an_administrator_cannot_widen_a_conversation_by_undoing(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    action = office.share(ADA, conversation, "private")
    assert refused(office, lambda: office.undo(DAN, action)) == (NotAllowed, "not_owner")
    assert office.load(conversation).visibility == "private"


def test_undoing_a_bulk_action_leaves_alone_what_was_chosen_since(office: Office) -> None:
    kept, chosen = office.mail("m1", BEA, ADA), office.mail("m2", TOM, ADA)
    with office.database.for_team(office.team_id) as connection:
        result = links.bulk_link(
            connection, office.acting(ADA), [kept, chosen], office.ref("deal", "d3"), elsewhere="move"
        )
    office.link(ADA, chosen, office.ref("deal", "d2"), move=True)
    assert office.undo(ADA, result.batch_id) == [kept]
    assert (office.linked(kept), tombstones(office, kept)) == ("deal/d1", [])
    assert (office.linked(chosen), tombstones(office, chosen)) == ("deal/d2", ["deal/d3"])


def test_an_action_that_was_overtaken_is_not_undone(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    first = office.unlink(ADA, conversation)
    office.link(ADA, conversation, office.ref("deal", "d1"))
    office.unlink(ADA, conversation)
    assert refused(office, lambda: office.undo(ADA, first)) == (Conflict, "changed_meanwhile")
    assert (office.linked(conversation), tombstones(office, conversation)) == (None, ["deal/d1"])


def test_actions_are_undone_one_after_the_other(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    first = office.unlink(ADA, conversation)
    second = office.link(ADA, conversation, office.ref("deal", "d2"))
    office.undo(ADA, second)
    office.undo(ADA, first)
    assert (office.linked(conversation), tombstones(office, conversation)) == ("deal/d1", [])


def test_an_action_is_undone_once(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    action = office.unlink(ADA, conversation)
    office.undo(ADA, action)
    office.unlink(ADA, conversation)
    assert refused(office, lambda: office.undo(ADA, action)) == (Conflict, "nothing_to_undo")
    assert tombstones(office, conversation) == ["deal/d1"]


def test_undoing_asks_the_rights_of_the_action(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    action = office.link(ADA, conversation, office.ref("deal", "d2"), move=True)
    assert refused(office, lambda: office.undo(CAN, action)) == (NotAllowed, "not_owner")
    hidden = office.link(ADA, office.mail("m2", NOBODY, ADA), office.ref("deal", "d2"))
    office.share(ADA, office.conversation_of("m2"), "private")
    assert refused(office, lambda: office.undo(CAN, hidden)) == (NotFound, "not_found")
    unknown = "4b4c9f8a-0000-4000-8000-000000000000"
    assert refused(office, lambda: office.undo(ADA, unknown)) == (NotFound, "not_found")


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


# --- visibility ---


def test_visibility_is_for_owners_alone_and_the_note_follows(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    for member in (DAN, CAN):
        assert refused(office, lambda: office.share(member, conversation, "private")) == (NotAllowed, "not_owner")  # noqa: B023 - called at once
    office.share(ADA, conversation, "private")
    assert office.load(conversation).visibility == "private"
    assert office.wanted(conversation) == {"deal/d1": 2}
    assert refused(office, lambda: office.unlink(CAN, conversation)) == (NotFound, "not_found")


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
    assert refused(office, lambda: office.trust(ADA, conversation)) == (Conflict, "sender_not_in_doubt")


def test_a_sender_is_trusted_by_who_may_link(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA, headers=[PROVEN_FALSE])
    assert refused(office, lambda: office.trust(CAN, conversation)) == (NotFound, "not_found")
    office.trust(DAN, conversation)
    assert office.linked(conversation) == "deal/d1"


# --- what the CRM does ---


def test_a_deleted_item_ends_its_links_and_a_restored_one_returns_them(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    office.crm.delete("deal", "d1")
    office.refresh()
    assert office.linked(conversation) is None
    assert tombstones(office, conversation) == []
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


def test_an_action_writes_one_audit_row_for_each_conversation_with_its_time(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    before = office.now
    office.unlink(ADA, conversation)
    (row,) = office.rows("SELECT * FROM audit")
    assert (row.action, row.conversation_id, row.at - before) == ("unlink", conversation, timedelta(seconds=1))
    assert row.detail["item"] == "deal/d1"
