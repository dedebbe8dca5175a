"""Notes in the CRM: one for each conversation and item, whatever fails between asking and hearing the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from app import jobs, links, writes
from app.errors import AccessRevoked, Gone, ProviderError, RateLimited, Rejected, Unavailable
from app.ports import LinkWrite, WrittenLink
from app.store import crm, figures
from app.store.crm import CrmWrite
from app.testing.fake_crm import FakeCrm
from tests.integration.office import ADA, Killed, Office, connect, killed_at
from tests.integration.stub_mail import AUTHSERV_ID

pytestmark = pytest.mark.integration

BOB = "bob@northwind.test"
ANSWER = {"Subject": "Re: Offer 1", "References": "<m1@acme.test>"}
# bring_up_to_date begins and commits the intent, then the outcome; the CRM is called between the two.
STEPS = 4


def linked(office: Office) -> CrmWrite:
    """Let a mail come in that is linked to deal d1, and return the note that is owed."""
    office.mail.deliver(ADA, 1)
    office.sync()
    (owed,) = office.write_rows()
    return owed


def grow(office: Office, number: int = 2) -> None:
    """Let the conversation get one more mail."""
    office.clock.step(minutes=2)
    office.mail.deliver(ADA, number, **ANSWER)
    office.sync()


def bring(office: Office, write_id: int) -> object:
    return writes.bring_up_to_date(office.installation, office.team_id, write_id)


def the(office: Office) -> CrmWrite:
    (row,) = office.write_rows()
    return row


def conversation(office: Office) -> int:
    return int(office.value("SELECT id FROM conversation WHERE merged_into IS NULL"))


def unlink(office: Office) -> None:
    with office.team() as connection:
        acting = links.Acting(office.team_id, office.members["ada"], office.clock.now())
        links.unlink(connection, acting, conversation(office))


def delete_notes(office: Office) -> None:
    """Delete every note in the CRM, as a person there may."""
    office.crm._notes.clear()


# --- the life of a note ---


def test_a_linked_conversation_gets_one_note_in_one_call(office: Office) -> None:
    owed = linked(office)
    assert (owed.state, owed.wanted, owed.written) == ("wanted", 1, 0)
    assert bring(office, owed.id) is None
    (note,) = office.notes()
    assert "Offer 1" in note
    assert "Bea <bea@acme.test>" in note
    assert office.crm.notes("person", "p1") == office.crm.notes("organization", "o1") == [note]
    written = the(office)
    assert (written.state, written.written, written.writes, written.reads) == ("written", 1, 1, 0)
    assert written.written_at == office.clock.now()
    assert office.crm.calls["find_link"] == 0


def test_a_note_that_is_up_to_date_is_not_looked_at(office: Office) -> None:
    owed = linked(office)
    bring(office, owed.id)
    calls = office.crm.calls.total()
    assert bring(office, owed.id) is None
    assert office.crm.calls.total() == calls


def test_a_note_that_would_say_the_same_is_not_written_again(office: Office) -> None:
    owed = linked(office)
    bring(office, owed.id)
    with office.team() as connection:
        crm.want_notes(connection, office.team_id, {(owed.conversation_id, owed.ref)})
    office.clock.step(minutes=2)
    assert bring(office, owed.id) is None
    again = the(office)
    assert (again.state, again.written, again.writes) == ("written", 2, 1)
    assert office.crm.calls["update_link"] == 0


def test_a_conversation_that_grew_has_its_note_brought_up_to_date_in_place(office: Office) -> None:
    linked(office)
    office.write_notes()
    written_id = the(office).written_id
    grow(office)
    office.write_notes()
    (note,) = office.notes()
    assert "Snippet 1" in note
    assert "Snippet 2" in note
    assert the(office).written_id == written_id
    assert office.crm.calls["write_link"] == office.crm.calls["update_link"] == 1


def test_unlinking_takes_the_note_away(office: Office) -> None:
    linked(office)
    office.write_notes()
    unlink(office)
    office.write_notes()
    assert office.notes() == []
    removed = the(office)
    assert (removed.state, removed.written_id) == ("removed", None)


def test_unlinking_before_the_note_was_written_asks_the_crm_nothing(office: Office) -> None:
    linked(office)
    unlink(office)
    office.write_notes()
    assert the(office).state == "removed"
    assert {"write_link", "find_link", "remove_link"}.isdisjoint(office.crm.calls)


def test_linking_elsewhere_moves_the_note(office: Office) -> None:
    linked(office)
    office.write_notes()
    office.crm.put_item("deal", "d2", "Other")
    office.clock.step(minutes=2)
    office.sync()
    office.link(conversation(office), "d2")
    office.write_notes()
    assert office.notes("d1") == []
    assert len(office.notes("d2")) == 1


def test_linking_again_writes_the_note_afresh(office: Office) -> None:
    linked(office)
    office.write_notes()
    unlink(office)
    office.write_notes()
    office.link(conversation(office), "d1")
    office.write_notes()
    assert len(office.notes()) == 1
    assert the(office).state == "written"


def test_a_note_deleted_in_the_crm_is_written_afresh_when_the_conversation_grows(office: Office) -> None:
    linked(office)
    office.write_notes()
    delete_notes(office)
    grow(office)
    office.write_notes()
    (note,) = office.notes()
    assert "Snippet 2" in note
    assert office.crm.calls["find_link"] == 0


def test_a_note_deleted_in_the_crm_may_be_removed_again(office: Office) -> None:
    linked(office)
    office.write_notes()
    delete_notes(office)
    unlink(office)
    office.write_notes()
    assert the(office).state == "removed"


def test_a_merge_leaves_one_note(office: Office) -> None:
    office.mail.deliver(ADA, 1)
    office.mail.deliver(ADA, 2)
    office.sync()
    office.write_notes()
    assert len(office.notes()) == 2
    office.clock.step(minutes=2)
    office.mail.deliver(ADA, 3, Subject="Re: Offer 1", References="<m1@acme.test> <m2@acme.test>")
    office.sync()
    office.write_notes()
    (note,) = office.notes()
    assert all(f"Snippet {number}" in note for number in (1, 2, 3))
    assert sorted(row.state for row in office.write_rows()) == ["removed", "written"]


# --- answers that were lost ---


def test_a_note_whose_answer_was_lost_is_found_by_its_marker_and_not_written_twice(office: Office) -> None:
    owed = linked(office)
    office.crm.drop_answer("write_link")
    with pytest.raises(Unavailable):
        bring(office, owed.id)
    assert the(office).state == "intended"
    bring(office, owed.id)
    assert len(office.notes()) == 1
    assert office.crm.calls["write_link"] == 1
    written = the(office)
    assert (written.state, written.reads) == ("written", 1)
    grow(office)
    office.write_notes()
    assert len(office.notes()) == 1


def test_an_update_whose_answer_was_lost_leaves_one_note(office: Office) -> None:
    linked(office)
    office.write_notes()
    grow(office)
    office.crm.drop_answer("update_link")
    with pytest.raises(Unavailable):
        bring(office, the(office).id)
    bring(office, the(office).id)
    (note,) = office.notes()
    assert "Snippet 2" in note


def test_a_note_written_afresh_whose_answer_was_lost_leaves_one_note(office: Office) -> None:
    linked(office)
    office.write_notes()
    delete_notes(office)
    grow(office)
    office.crm.drop_answer("write_link")
    with pytest.raises(Unavailable):
        bring(office, the(office).id)
    bring(office, the(office).id)
    assert len(office.notes()) == 1


@pytest.mark.parametrize("was_deleted", [False, True])
def test_unlinking_after_a_lost_answer_leaves_no_note(office: Office, was_deleted: bool) -> None:
    owed = linked(office)
    if was_deleted:
        office.write_notes()
        delete_notes(office)
        grow(office)
    office.crm.drop_answer("write_link")
    with pytest.raises(Unavailable):
        bring(office, owed.id)
    assert len(office.notes()) == 1
    unlink(office)
    office.write_notes()
    assert office.notes() == []
    assert the(office).state == "removed"


def test_a_removal_whose_answer_was_lost_is_made_again(office: Office) -> None:
    linked(office)
    office.write_notes()
    unlink(office)
    office.crm.drop_answer("remove_link")
    with pytest.raises(Unavailable):
        bring(office, the(office).id)
    bring(office, the(office).id)
    assert office.notes() == []
    assert the(office).state == "removed"


def test_a_removal_is_done_when_the_item_is_gone_with_its_notes(office: Office) -> None:
    owed = linked(office)
    office.crm.fail("write_link", Unavailable())
    with pytest.raises(Unavailable):
        bring(office, owed.id)
    unlink(office)
    office.crm.fail("find_link", Gone())
    bring(office, owed.id)
    assert the(office).state == "removed"


@pytest.mark.parametrize("step", range(STEPS))
@pytest.mark.parametrize("what", ["write", "update", "remove"])
def test_a_job_killed_at_any_step_and_run_again_leaves_the_right_notes(office: Office, what: str, step: int) -> None:
    owed = linked(office)
    if what != "write":
        office.write_notes()
    if what == "update":
        grow(office)
    if what == "remove":
        unlink(office)
    with pytest.raises(Killed), killed_at(office.installation.database, step):
        bring(office, owed.id)
    bring(office, owed.id)
    assert len(office.notes()) == (0 if what == "remove" else 1)
    settled = the(office)
    assert (settled.state, settled.written) == ("removed" if what == "remove" else "written", settled.wanted)


def test_a_job_killed_after_the_crm_wrote_looks_before_it_writes(office: Office) -> None:
    owed = linked(office)
    with pytest.raises(Killed), killed_at(office.installation.database, 2):
        bring(office, owed.id)
    assert len(office.notes()) == 1
    assert the(office).state == "intended"
    bring(office, owed.id)
    assert len(office.notes()) == 1
    assert (office.crm.calls["find_link"], office.crm.calls["write_link"]) == (1, 1)


def test_the_steps_of_a_write_are_four(office: Office) -> None:
    owed = linked(office)
    with killed_at(office.installation.database, -2) as met:
        bring(office, owed.id)
    assert met == ["begin", "commit"] * (STEPS // 2)


def test_what_changed_during_the_write_is_written_next(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    owed = linked(office)
    write_link = FakeCrm.write_link

    def grown_meanwhile(crm: FakeCrm, write: LinkWrite) -> WrittenLink:
        grow(office)
        return write_link(crm, write)

    monkeypatch.setattr(FakeCrm, "write_link", grown_meanwhile)
    assert bring(office, owed.id) == office.clock.now()
    assert the(office).state == "wanted"
    bring(office, owed.id)
    (note,) = office.notes()
    assert "Snippet 2" in note


# --- refusals ---


def test_a_crm_that_asks_us_to_slow_down_is_asked_again_when_it_said(office: Office) -> None:
    owed = linked(office)
    office.forget_jobs()
    office.crm.fail("write_link", RateLimited(retry_after_s=300))
    jobs.crm_write(office.installation, office.team_id, owed.id)
    (again,) = office.jobs(waiting=True)
    assert (again.task_name, again.lock, office.waits_s(again)) == ("crm_write", f"crm_write:{owed.id}", 300)
    (row,) = office.rows("SELECT state, next_at, error FROM crm_write")
    assert tuple(row) == ("intended", office.clock.now() + timedelta(seconds=300), "RateLimited")
    office.forget_jobs()
    jobs.write_due(office.installation)
    assert office.jobs("crm_write") == [], "nothing enqueues it before that"
    office.clock.step(seconds=300)
    jobs.write_due(office.installation)
    office.write_notes()
    assert len(office.notes()) == 1
    assert office.rows("SELECT state, next_at, error, attempts FROM crm_write") == [("written", None, "", 0)]


def test_a_crm_that_is_away_is_asked_again_and_again(office: Office) -> None:
    owed = linked(office)
    office.crm.fail("write_link", *[Unavailable()], times=3)
    for attempts in (1, 2, 3):
        office.clock.step(minutes=15)  # longer than a CRM that failed is left alone
        jobs.crm_write(office.installation, office.team_id, owed.id)
        assert the(office).attempts == attempts
    office.clock.step(minutes=15)
    jobs.crm_write(office.installation, office.team_id, owed.id)
    assert len(office.notes()) == 1


@pytest.mark.parametrize("error", [Rejected(), Gone(), AccessRevoked()], ids=lambda error: type(error).__name__)
def test_a_note_that_is_refused_is_parked_where_it_is_seen(office: Office, error: ProviderError) -> None:
    owed = linked(office)
    office.forget_jobs()
    office.crm.fail("write_link", error)
    jobs.crm_write(office.installation, office.team_id, owed.id)
    parked = the(office)
    assert (parked.state, parked.error) == ("parked", type(error).__name__)
    with office.installation.database.without_team() as connection:
        assert ("crm_write", "parked", 1) in figures.totals(connection)
    assert office.jobs(waiting=True) == []
    jobs.write_due(office.installation)
    jobs.crm_write(office.installation, office.team_id, owed.id)
    assert office.crm.calls["write_link"] == 1, "only something new leads on"
    grow(office)
    office.write_notes()
    assert len(office.notes()) == 1
    assert (the(office).state, the(office).error) == ("written", "")


def test_a_note_parked_after_a_lost_answer_is_not_written_twice(office: Office) -> None:
    owed = linked(office)
    office.crm.drop_answer("write_link")
    jobs.crm_write(office.installation, office.team_id, owed.id)
    office.crm.fail("find_link", AccessRevoked())
    jobs.crm_write(office.installation, office.team_id, owed.id)
    assert the(office).state == "parked"
    office.forget_jobs()
    grow(office)
    office.write_notes()
    (note,) = office.notes()
    assert "Snippet 2" in note


def test_a_note_is_brought_up_to_date_no_more_than_once_an_interval(make_office: Callable[..., Office]) -> None:
    office = make_office(note_interval_s=60)
    office.sync()
    owed = linked(office)
    bring(office, owed.id)
    written_at = office.clock.now()
    for number in (2, 3):
        office.clock.step(seconds=10)
        office.mail.deliver(ADA, number, **ANSWER)
        office.sync()
        assert bring(office, owed.id) == written_at + timedelta(seconds=60)
    office.forget_jobs()
    jobs.crm_write(office.installation, office.team_id, owed.id)
    (later,) = office.jobs("crm_write", waiting=True)
    assert office.waits_s(later) == 40
    assert office.crm.calls["update_link"] == 0
    office.clock.step(seconds=40)
    assert bring(office, owed.id) is None
    assert office.crm.calls["update_link"] == 1
    assert "Snippet 3" in office.notes()[0]


def test_taking_a_note_away_waits_for_no_interval(make_office: Callable[..., Office]) -> None:
    office = make_office(note_interval_s=60)
    office.sync()
    linked(office)
    office.write_notes()
    unlink(office)
    office.write_notes()
    assert office.notes() == []


def test_the_note_of_a_crm_connection_that_is_gone_is_gone(office: Office) -> None:
    owed = linked(office)
    office.change("DELETE FROM crm_connection")
    assert bring(office, owed.id) is None
    assert office.write_rows() == []


# --- what a note may show ---


def test_a_private_conversation_has_no_note(office: Office) -> None:
    office.change("UPDATE account SET visibility = 'private'")
    linked(office)
    office.write_notes()
    assert office.notes() == []
    assert the(office).state == "removed"


def test_making_a_conversation_private_takes_its_note_away_and_opening_it_brings_it_back(office: Office) -> None:
    linked(office)
    office.write_notes()
    for level, notes in (("private", 0), ("full", 1)):
        with office.team() as connection:
            acting = links.Acting(office.team_id, office.members["ada"], office.clock.now())
            links.set_visibility(connection, acting, conversation(office), level)  # type: ignore[arg-type]  # a level
        office.write_notes()
        assert len(office.notes()) == notes


@pytest.mark.parametrize(
    ("level", "shown"), [("metadata", set()), ("subject", {"Offer 1"}), ("full", {"Offer 1", "Snippet 1"})]
)
def test_a_note_shows_as_much_as_the_account_shares(office: Office, level: str, shown: set[str]) -> None:
    office.change("UPDATE account SET visibility = :level", level=level)
    linked(office)
    office.write_notes()
    (note,) = office.notes()
    assert {text for text in ("Offer 1", "Snippet 1") if text in note} == shown
    assert "bea@acme.test" in note


def test_mail_of_a_private_account_stays_out_of_a_shared_conversations_note(office: Office) -> None:
    bob = connect(office, BOB, office.members["bob"].id, visibility="private")
    office.sync(bob)
    linked(office)
    office.mail.deliver(BOB, 1)
    office.mail.deliver(BOB, 2, To=BOB, **ANSWER)
    office.sync(bob)
    office.write_notes()
    (note,) = office.notes()
    assert "Snippet 1" in note
    assert "Snippet 2" not in note


def test_mail_among_ourselves_never_stands_in_a_note(office: Office) -> None:
    linked(office)
    grow_internal = {"From": f"Ada <{ADA}>", "To": BOB, **ANSWER}
    office.mail.deliver(ADA, 2, folder="sent", **grow_internal)
    office.sync()
    office.write_notes()
    (note,) = office.notes()
    assert "Snippet 2" not in note
    assert office.value("SELECT count(*) FROM message") == 2


def test_mail_of_a_sender_proven_false_never_stands_in_a_note(office: Office) -> None:
    linked(office)
    failed = f"{AUTHSERV_ID}; dmarc=fail header.from=acme.test"
    office.mail.deliver(ADA, 2, Authentication_Results=failed, **ANSWER)
    office.sync()
    office.write_notes()
    (note,) = office.notes()
    assert "Snippet 2" not in note


def test_a_note_says_where_it_leads_and_in_which_language(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[LinkWrite] = []
    write_link = FakeCrm.write_link
    monkeypatch.setattr(FakeCrm, "write_link", lambda crm, write: written.append(write) or write_link(crm, write))
    office.change("UPDATE team SET locale = 'tr'")
    owed = linked(office)
    office.write_notes()
    (write,) = written
    public_id = office.value("SELECT public_id FROM conversation")
    assert write.note.url == f"https://threadlink.test/conversations/{public_id}"
    assert (write.note.locale, write.note.marker, write.note.people) == ("tr", owed.marker, (("Bea", "bea@acme.test"),))
    assert replace(write.note, messages=()).subject == "Offer 1"


def test_an_item_is_looked_for_before_the_first_note_when_the_mirror_is_old(office: Office) -> None:
    owed = linked(office)
    office.crm.delete("deal", "d1")
    office.clock.step(hours=2)
    assert bring(office, owed.id) is not None
    assert office.rows("SELECT removed_why FROM link WHERE is_primary") == [("item_deleted",)]
    bring(office, owed.id)
    assert office.notes() == []
    assert the(office).error == ""


def test_an_item_that_is_there_costs_an_old_mirror_one_look(office: Office) -> None:
    owed = linked(office)
    office.clock.step(hours=2)
    asked = []
    get = office.crm.get
    office.crm.get = lambda ref: asked.append(ref) or get(ref)
    assert bring(office, owed.id) is None
    assert len(office.notes()) == 1
    assert asked == [owed.ref]
    grow(office)
    bring(office, owed.id)
    assert asked == [owed.ref]  # a note that stands is brought up to date as it is
