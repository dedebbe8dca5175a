"""Suggestions for a conversation, ranked with their evidence, and taking the first; on a real database."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from app import links, review
from app.errors import Conflict, NotAllowed, NotFound, RequestRefused
from app.linking.reasons import utc
from app.linking.suggest import Suggestion
from app.store.database import Database
from tests.integration.building import ADA, CAN, DAN, TOM, Office

pytestmark = pytest.mark.integration


@pytest.fixture
def office(database: Database, team: Callable[..., int]) -> Office:
    """Tom of Brightwater has two open deals and a lost one; his colleague Una has one."""
    made = Office(database, team("Northwind"))
    made.mailbox(ADA)
    made.mailbox(CAN)
    made.member(DAN, "admin")
    made.crm.put_organization("o2", "Brightwater")
    made.person("p2", "Tom", TOM, organization="o2")
    made.person("p3", "Una", "una@brightwater.test", organization="o2")
    made.deal("d2", "Brightwater lobby", "p2")
    made.deal("d3", "Riverside spa", "p2")
    made.deal("d4", "Old stairs", "p2", state="lost")
    made.deal("d5", "Pool", "p3", organization="o2")
    made.refresh()
    return made


def ranked(office: Office, email: str, conversation: int) -> tuple[Suggestion, ...]:
    with office.database.for_team(office.team_id) as connection:
        return review.suggestions(connection, office.seen(connection, email, conversation))


def names(found: tuple[Suggestion, ...]) -> list[str]:
    return [suggestion.ref.external_id for suggestion in found]


def codes(found: tuple[Suggestion, ...], external_id: str) -> set[str]:
    return {e.code for suggestion in found if suggestion.ref.external_id == external_id for e in suggestion.evidence}


def accept(office: Office, email: str, conversation: int) -> None:
    with office.database.for_team(office.team_id) as connection:
        review.accept(connection, office.acting(email), conversation)


def test_who_else_takes_part_is_told_who_wrote_last_first_by_the_last_name_given(office: Office) -> None:
    una = "una@brightwater.test"
    office.mail("m1", f"Tom B <{TOM}>", ADA, cc=una)
    conversation = office.mail("m2", una, ADA, cc=TOM, answers="m1")
    with office.database.for_team(office.team_id) as connection:
        people = office.seen(connection, ADA, conversation).counterparts
    assert list(people.items()) == [(una, ""), (TOM, "Tom B")]


def test_the_item_the_subject_names_comes_first_and_closed_ones_last(office: Office) -> None:
    conversation = office.mail("m1", TOM, ADA, subject="Riverside spa")
    found = ranked(office, ADA, conversation)
    assert names(found) == ["d3", "d2", "d5", "d4"]
    assert "title_in_subject" in codes(found, "d3")
    assert "main_contact" in codes(found, "d2")
    assert "organization_item" in codes(found, "d5")


def test_what_was_chosen_for_the_same_people_comes_first_the_next_time(office: Office) -> None:
    first = office.mail("m1", TOM, ADA, subject="Hello")
    office.link(ADA, first, office.ref("deal", "d3"))
    found = ranked(office, ADA, office.mail("m2", TOM, ADA, subject="Good morning"))
    assert names(found)[0] == "d3"
    assert "chosen_before" in codes(found, "d3")


def test_whom_answers_go_to_and_whose_address_differs_by_a_tag_is_suggested_and_never_linked(office: Office) -> None:
    form = office.mail("m1", "form@website.test", ADA, headers=[("Reply-To", TOM)], subject="Enquiry")
    assert office.linked(form) is None
    found = ranked(office, ADA, form)
    assert (names(found)[:2], codes(found, "d2")) == (["d2", "d3"], {"reply_to", "recent_activity"})
    tagged = office.mail("m2", "una+orders@brightwater.test", ADA, subject="Enquiry")
    assert office.linked(tagged) is None
    found = ranked(office, ADA, tagged)
    assert (names(found), codes(found, "d5")) == (["d5"], {"similar_address", "recent_activity"})


def test_what_was_taken_off_comes_last(office: Office) -> None:
    conversation = office.mail("m1", TOM, ADA, subject="Riverside spa")
    office.link(ADA, conversation, office.ref("deal", "d3"))
    office.unlink(ADA, conversation)
    found = ranked(office, ADA, conversation)
    assert names(found)[-1] == "d3"
    assert "unlinked_before" in codes(found, "d3")


def test_a_subject_the_reader_may_not_read_is_no_evidence(office: Office) -> None:
    conversation = office.mail("m1", TOM, ADA, subject="Riverside spa")
    found = ranked(office, DAN, conversation)
    assert names(found)[:2] == ["d2", "d3"]
    assert codes(found, "d3").isdisjoint({"title_in_subject", "shared_words"})


def test_the_first_suggestion_is_accepted_by_hand(office: Office) -> None:
    conversation = office.mail("m1", TOM, ADA, subject="Riverside spa")
    accept(office, ADA, conversation)
    primary = office.load(conversation).primary_link
    assert primary is not None
    assert (str(primary.ref), primary.origin) == ("deal/d3", "manual")


@pytest.mark.parametrize(
    ("member", "answer"),
    [(CAN, (NotFound, "not_found")), (DAN, None)],
    ids=["other member", "administrator"],
)
def test_accepting_needs_the_rights_of_linking(
    office: Office, member: str, answer: tuple[type[RequestRefused], str] | None
) -> None:
    conversation = office.mail("m1", TOM, ADA, subject="Riverside spa")
    if answer is None:
        accept(office, member, conversation)
        assert office.linked(conversation) is not None
        return
    with pytest.raises(RequestRefused) as caught:
        accept(office, member, conversation)
    assert (type(caught.value), caught.value.reason) == answer


def test_a_linked_conversation_is_not_moved_by_accepting(office: Office) -> None:
    conversation = office.mail("m1", TOM, ADA, subject="Riverside spa")
    office.link(ADA, conversation, office.ref("deal", "d2"))
    with pytest.raises(Conflict, match="already_linked"):
        accept(office, ADA, conversation)
    with pytest.raises(NotAllowed, match="not_owner"):
        accept(office, CAN, conversation)


def test_without_a_suggestion_there_is_nothing_to_accept(office: Office) -> None:
    conversation = office.mail("m1", "nora@kestrel.test", ADA)
    with pytest.raises(Conflict, match="no_open_item"):
        accept(office, ADA, conversation)


def choices(office: Office, email: str) -> dict[int, list[str]]:
    with office.database.for_team(office.team_id) as connection:
        found = review.choices(connection, office.members[email])
    return {choice.seen.conversation.id: names(choice.suggestions) for choice in found}


def test_the_queue_holds_what_the_member_may_link_and_that_needs_a_choice(office: Office) -> None:
    mine = office.mail("m1", TOM, ADA, subject="Riverside spa")
    theirs = office.mail("m2", TOM, CAN, at=[CAN], subject="Lobby")
    office.mail("m3", "una@brightwater.test", ADA)  # one open item: linked
    office.mail("m4", "nobody@elsewhere.test", ADA)
    assert choices(office, ADA) == {mine: ["d3", "d2", "d5", "d4"]}
    assert list(choices(office, CAN)) == [theirs]
    assert list(choices(office, DAN)) == [theirs, mine]


def test_what_was_chosen_or_dismissed_leaves_the_queue(office: Office) -> None:
    first = office.mail("m1", TOM, ADA, subject="Riverside spa")
    second = office.mail("m2", TOM, ADA, subject="Lobby")
    accept(office, ADA, first)
    assert list(choices(office, ADA)) == [second]
    with office.database.for_team(office.team_id) as connection:
        links.dismiss(connection, office.acting(ADA), second)
    assert choices(office, ADA) == {}


def test_a_linked_item_that_closed_while_another_is_open_is_in_the_queue(office: Office) -> None:
    conversation = office.mail("m1", "una@brightwater.test", ADA)
    assert office.linked(conversation) == "deal/d5"
    office.crm.change("deal", "d5", {"status": "won"})
    office.deal("d6", "Second pool", "p3")
    office.refresh()
    office.mail("m5", "una@brightwater.test", ADA, answers="m1")
    assert conversation in choices(office, ADA)
    assert office.linked(conversation) == "deal/d5"


def test_choices_of_others_do_not_fill_the_queue(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = office.mail("m1", TOM, ADA)
    for n in range(3):
        office.mail(f"c{n}", TOM, CAN, at=[CAN], subject=f"Of Can {n}")
    monkeypatch.setattr(review, "MOST_CHOICES", 2)
    with office.database.for_team(office.team_id) as connection:
        found = review.choices(connection, office.members[ADA])
        assert [choice.seen.conversation.id for choice in found] == [mine]
        assert len(review.choices(connection, office.members[DAN])) == 2


def test_a_choice_tells_the_time_of_the_newest_message_the_member_may_know_of(office: Office) -> None:
    conversation = office.mail("m1", TOM, ADA)
    office.mail("m2", TOM, CAN, at=[CAN], answers="m1")
    with office.database.for_team(office.team_id) as connection:
        connection.execute(sa.text("UPDATE account SET visibility = 'private'"))
        first, _ = (message.at for message in office.load(conversation).messages)
        (choice,) = review.choices(connection, office.members[ADA])
        assert review.document(choice, "en")["last_message_at"] == utc(first)
