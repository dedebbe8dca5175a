"""Bringing a mailbox up to date: nothing is lost and nothing doubled, wherever the process dies and whatever fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from app import sync
from app.errors import (
    AdminBlocked,
    Conflict,
    CursorExpired,
    NotFound,
    ProviderError,
    RateLimited,
    Rejected,
    Unavailable,
)
from app.linking.alias import keys
from app.model import ItemRef
from app.ports import Change, ChangePage
from app.store import accounts, conversations, discovered, merges, queue, roles
from app.sync import LAG_WAITS_S, MAX_ATTEMPTS, RECOVERY_MARGIN
from tests.integration.office import ADA, Killed, Office, connect, killed_at
from tests.integration.stub_mail import AUTHSERV_ID, StubMail

pytestmark = pytest.mark.integration

BOB = "bob@northwind.test"
# The transactions that bring the day below up to date begin and commit; see test_the_list_of_steps_is_complete.
STEPS = 20


def deliver_a_day(office: Office) -> None:
    """Fill the mailbox with three pages and two batches: new mail, an answer, a draft, a deletion."""
    for number in range(1, 4):
        office.mail.deliver(ADA, number)
    office.mail.deliver(ADA, 4, Subject="Re: Offer 1", References="<m1@acme.test>")
    office.mail.deliver(ADA, 5, filtered_by="draft")
    office.mail.delete(ADA, "ada-2")


# --- crashes ---


def test_the_list_of_steps_is_complete(office: Office) -> None:
    deliver_a_day(office)
    with killed_at(office.installation.database, -2) as met:
        office.sync()
    assert len(met) == STEPS


@pytest.mark.parametrize("step", range(STEPS))
def test_a_run_killed_at_any_step_and_run_again_ends_in_the_same_state(
    make_office: Callable[..., Office], step: int
) -> None:
    calm, killed = make_office(), make_office()
    for office in (calm, killed):
        office.sync()
        office.clock.step(minutes=1)
        deliver_a_day(office)
    calm.sync()
    with pytest.raises(Killed), killed_at(killed.installation.database, step):
        killed.sync()
    killed.sync()
    assert killed.picture() == calm.picture()
    assert killed.states() == {
        "ada-1": ("stored", ""),
        "ada-2": ("gone", ""),
        "ada-3": ("stored", ""),
        "ada-4": ("stored", ""),
        "ada-5": ("filtered", "draft"),
    }


@pytest.mark.parametrize("page", range(3))
def test_a_list_that_breaks_off_between_pages_is_gone_on_with(office: Office, page: int) -> None:
    for number in range(1, 6):
        office.mail.deliver(ADA, number)
    office.mail.fail("page", *[None] * page, Unavailable())
    with pytest.raises(Unavailable):
        office.sync()
    assert len(office.states()) == 2 * page, "what was listed before stays recorded"
    office.sync()
    assert {state for state, _ in office.states().values()} == {"stored"}
    assert sorted(office.mail.fetched) == [f"ada-{number}" for number in range(1, 6)]


def test_ids_are_recorded_before_any_of_them_is_read(office: Office) -> None:
    office.mail.deliver(ADA, 1)
    office.mail.fail("fetch", RateLimited())
    with pytest.raises(RateLimited):
        office.sync()
    assert office.states() == {"ada-1": ("pending", "")}
    assert office.value("SELECT cursor FROM account") == "1"


def test_a_message_that_is_stored_is_not_read_twice(office: Office) -> None:
    office.mail.deliver(ADA, 1)
    office.sync()
    office.change("UPDATE discovered_message SET state = 'pending', settled_at = NULL")
    assert office.sync().stored == 0
    assert office.mail.fetched == ["ada-1"]
    assert office.states() == {"ada-1": ("stored", "")}


def test_running_again_changes_no_row(office: Office) -> None:
    deliver_a_day(office)
    office.sync()
    office.write_notes()
    before = office.contents()
    assert office.sync() == sync.Synced(0, 0, None)
    after = office.contents()
    moved = {name for name in before if before[name] != after[name]}
    assert moved == {"account"}, "the account's fence counts every page"
    assert {name: len(rows) for name, rows in after.items()} == {name: len(rows) for name, rows in before.items()}


def test_every_message_found_twice_over_adds_nothing(office: Office) -> None:
    deliver_a_day(office)
    office.sync()
    before = office.picture()
    box = office.mail.boxes[ADA]
    box.log += [change for change in box.log if change.provider_id != "ada-2"]
    office.sync()
    assert office.picture() == {**before, "cursor": str(len(box.log))}


# --- positions ---


def test_a_first_read_takes_the_history_that_was_asked_for(make_office: Callable[..., Office]) -> None:
    long_ago = make_office().clock.now() - timedelta(days=10)
    office = make_office(history_from=long_ago + timedelta(days=1))
    office.mail.deliver(ADA, 1, at=long_ago)
    office.mail.deliver(ADA, 2)
    assert office.account().state == "connecting"
    assert office.sync().stored == 1
    assert office.states() == {"ada-2": ("stored", "")}
    assert office.account().state == "live"


def test_a_first_read_says_that_it_is_one(make_office: Callable[..., Office]) -> None:
    office = make_office()
    office.mail.fail("list_changes", RateLimited())
    with pytest.raises(RateLimited):
        office.sync()
    assert office.account().state == "backfilling"


@pytest.mark.parametrize("expired_in", ["list_changes", "page"])
def test_an_expired_cursor_is_recovered_from_with_a_margin_and_loses_nothing(office: Office, expired_in: str) -> None:
    synced_at = office.value("SELECT last_sync_at FROM account")
    office.mail.deliver(ADA, 1, at=synced_at - timedelta(hours=20), is_logged=False)
    office.mail.deliver(ADA, 2)
    office.mail.deliver(ADA, 3)
    office.mail.fail(expired_in, CursorExpired())
    assert office.sync() == sync.Synced(3, 3, None)
    assert office.mail.recovered_since == synced_at - RECOVERY_MARGIN
    office.mail.deliver(ADA, 4)
    office.sync()
    assert sorted(office.states()) == ["ada-1", "ada-2", "ada-3", "ada-4"]
    assert len(office.mail.fetched) == 4


@pytest.mark.parametrize("step", range(20))
def test_a_recovery_killed_at_any_step_loses_nothing(office: Office, step: int) -> None:
    for number in range(1, 6):
        office.mail.deliver(ADA, number)
    office.mail.boxes[ADA].forgotten = 5
    with pytest.raises(Killed), killed_at(office.installation.database, step):
        office.sync()
    office.sync()
    assert {state for state, _ in office.states().values()} == {"stored"}
    assert len(office.states()) == 5


def test_a_mailbox_never_in_step_is_recovered_from_where_its_history_begins(make_office: Callable[..., Office]) -> None:
    office = make_office(history_from=make_office().clock.now() - timedelta(days=9))
    for error in (CursorExpired(), CursorExpired()):
        office.mail.fail("list_changes", error)
    office.sync()
    assert office.mail.recovered_since == office.clock.now() - timedelta(days=9) - RECOVERY_MARGIN
    office = make_office()
    office.mail.fail("list_changes", CursorExpired())
    office.sync()
    assert office.mail.recovered_since == office.clock.now() - RECOVERY_MARGIN


def test_the_second_of_two_workers_cannot_move_the_cursor(office: Office) -> None:
    with office.team() as connection:
        position = accounts.reading(connection, office.account_id).position
    page = ChangePage((Change("ada-1"),), "7")
    with office.team() as connection:
        discovered.record_page(connection, office.team_id, office.account_id, page, position, office.clock.now())
    late = ChangePage((Change("ada-2"),), "3")
    with pytest.raises(Conflict) as refused, office.team() as connection:
        discovered.record_page(connection, office.team_id, office.account_id, late, position, office.clock.now())
    assert refused.value.reason == "superseded"
    assert office.value("SELECT cursor FROM account") == "7"
    assert office.states() == {"ada-1": ("pending", "")}, "its page is not recorded by halves"


def test_an_account_that_is_gone_is_not_found(office: Office) -> None:
    with office.team() as connection:
        accounts.delete(connection, office.account_id)
    with pytest.raises(NotFound):
        office.sync()
    with pytest.raises(NotFound), office.team() as connection:
        accounts.reading(connection, office.account_id)


# --- single messages ---


def test_a_failed_part_stays_pending_while_the_others_are_stored(office: Office) -> None:
    for number in (1, 2, 3):
        office.mail.deliver(ADA, number)
    office.mail.fail_part("ada-2", Unavailable())
    again_at = office.clock.now() + timedelta(seconds=2)
    assert office.sync() == sync.Synced(3, 2, again_at)
    assert office.states()["ada-2"] == ("pending", "Unavailable")
    assert office.sync().again_at == again_at, "before that it is not asked for"
    assert office.mail.fetched.count("ada-2") == 1
    office.mail.fail_part("ada-2", None)
    office.clock.step(seconds=2)
    assert office.sync() == sync.Synced(0, 1, None)
    assert office.states()["ada-2"] == ("stored", "")


def test_a_part_waits_as_long_as_the_provider_asks(office: Office) -> None:
    office.mail.deliver(ADA, 1)
    office.mail.fail_part("ada-1", RateLimited(retry_after_s=90))
    assert office.sync().again_at == office.clock.now() + timedelta(seconds=90)


def test_a_part_that_keeps_failing_is_parked(office: Office) -> None:
    office.mail.deliver(ADA, 1)
    office.mail.fail_part("ada-1", Unavailable())
    waits = []
    while (again_at := office.sync().again_at) is not None:
        waits.append((again_at - office.clock.now()).total_seconds())
        office.clock.step(seconds=waits[-1])
    assert waits == [min(2.0**n, 3600) for n in range(1, MAX_ATTEMPTS)]
    assert len(office.mail.fetched) == MAX_ATTEMPTS
    assert office.states() == {"ada-1": ("parked", "Unavailable")}


@pytest.mark.parametrize("error", [Rejected(), ProviderError()], ids=lambda error: type(error).__name__)
def test_a_part_that_can_never_be_read_is_parked_at_once(office: Office, error: ProviderError) -> None:
    office.mail.deliver(ADA, 1)
    office.mail.fail_part("ada-1", error)
    assert office.sync() == sync.Synced(1, 0, None)
    assert office.states() == {"ada-1": ("parked", type(error).__name__)}


def test_a_message_without_an_answer_is_asked_for_again_later(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.mail.deliver(ADA, 1)
    monkeypatch.setattr(StubMail, "fetch", lambda *_: [])
    assert office.sync().again_at == office.clock.now() + timedelta(seconds=2)
    assert office.states() == {"ada-1": ("pending", "Unavailable")}
    monkeypatch.undo()
    office.clock.step(seconds=2)
    assert office.sync().stored == 1


POISON = {
    "a thread with NUL": {"provider_thread_id": "\x00"},
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON)
def test_a_poison_message_is_parked_and_the_rest_of_its_batch_is_stored(
    office: Office, poison: dict[str, object]
) -> None:
    for number in (1, 2, 3):
        office.mail.deliver(ADA, number, changed=poison if number == 2 else None)
    assert office.sync().stored == 2
    states = office.states()
    assert (states["ada-1"], states["ada-3"]) == (("stored", ""), ("stored", ""))
    assert states["ada-2"][0] == "parked"
    assert states["ada-2"][1].startswith("unreadable: ")


def test_a_message_gone_before_it_was_read_is_gone(office: Office) -> None:
    office.mail.deliver(ADA, 1)
    office.mail.delete(ADA, "ada-1", is_logged=False)
    assert office.sync() == sync.Synced(1, 0, None)
    assert office.states() == {"ada-1": ("gone", "")}


def test_a_deleted_copy_is_marked_its_texts_are_erased_and_its_note_is_asked_for(office: Office) -> None:
    office.mail.deliver(ADA, 1)
    office.mail.deliver(ADA, 2, Subject="Re: Offer 1", References="<m1@acme.test>")
    office.sync()
    office.write_notes()
    assert "Snippet 1" in office.notes()[0]
    office.clock.step(minutes=1)
    office.mail.delete(ADA, "ada-1")
    office.sync()
    (copy,) = office.rows("SELECT deleted_at, snippet FROM message_copy WHERE provider_id = 'ada-1'")
    assert (copy.deleted_at, copy.snippet) == (office.clock.now(), "")
    assert office.rows("SELECT text FROM message_body") == [("Text 2",)]
    office.write_notes()
    (note,) = office.notes()
    assert "Snippet 1" not in note
    assert "Snippet 2" in note


def test_a_message_deleted_and_brought_back_is_whole_again(office: Office) -> None:
    office.mail.deliver(ADA, 1)
    office.sync()
    office.mail.delete(ADA, "ada-1")
    office.sync()
    office.write_notes()
    office.clock.step(minutes=1)
    office.mail.deliver(ADA, 1)
    office.sync()
    office.write_notes()
    assert office.states() == {"ada-1": ("stored", "")}
    assert office.rows(
        "SELECT deleted_at, snippet, text FROM message_copy c JOIN message_body b ON b.copy_id = c.id"
    ) == [(None, "Snippet 1", "Text 1")]
    (note,) = office.notes()
    assert "Snippet 1" in note


def test_a_message_deleted_and_back_within_a_page_stays(office: Office) -> None:
    office.mail.deliver(ADA, 1)
    office.sync()
    office.mail.boxes[ADA].log += [Change("ada-1", deleted=True), Change("ada-1")]
    office.sync()
    assert office.states() == {"ada-1": ("stored", "")}
    assert office.value("SELECT deleted_at FROM message_copy") is None


# --- rules ---


def test_what_a_rule_leaves_out_is_recorded_with_the_rule(office: Office) -> None:
    office.mail.deliver(ADA, 1, filtered_by="draft")
    office.mail.deliver(ADA, 2)
    office.mail.boxes[ADA].filtered["ada-2"] = "spam"
    assert office.sync() == sync.Synced(2, 0, None)
    assert office.states() == {"ada-1": ("filtered", "draft"), "ada-2": ("filtered", "spam")}
    assert office.mail.fetched == ["ada-2"], "what the list already rules out costs no call"


@pytest.mark.parametrize("rule", ["draft", "spam", "trash"])
def test_a_sent_draft_or_rescued_spam_is_read_again(office: Office, rule: str) -> None:
    office.mail.deliver(ADA, 1, filtered_by=rule)
    office.sync()
    office.mail.boxes[ADA].log.append(Change("ada-1"))
    assert office.sync().stored == 1
    assert office.states() == {"ada-1": ("stored", "")}


def test_a_stored_message_that_a_rule_now_leaves_out_stays(office: Office) -> None:
    office.mail.deliver(ADA, 1)
    office.sync()
    office.mail.boxes[ADA].log.append(Change("ada-1", filtered_by="trash"))
    office.sync()
    assert office.states() == {"ada-1": ("stored", "")}


def test_the_states_of_an_account_are_counted(office: Office) -> None:
    office.mail.deliver(ADA, 1)
    office.mail.deliver(ADA, 2, filtered_by="draft")
    at = office.clock.now()
    office.sync()
    with office.team() as connection:
        assert [tuple(row) for row in discovered.states(connection, office.account_id)] == [
            ("filtered", "draft", 1, at),
            ("stored", "", 1, at),
        ]


# --- the audit ---


def test_the_audit_finds_what_pushes_and_history_missed(office: Office) -> None:
    office.mail.deliver(ADA, 1)
    office.sync()
    for number in (2, 3):
        office.mail.deliver(ADA, number, is_logged=False)
    office.mail.deliver(ADA, 4, is_logged=False, at=office.clock.now() - timedelta(hours=49))
    window = timedelta(hours=48)
    assert sync.audit_account(office.installation, office.team_id, office.account_id, window) == 2
    assert office.value("SELECT cursor FROM account") == "1", "the audit moves no cursor"
    assert office.value("SELECT last_audit_at FROM account") == office.clock.now()
    assert office.sync().stored == 2
    assert sync.audit_account(office.installation, office.team_id, office.account_id, window) == 0


# --- a provider whose index lags ---


def test_what_a_push_promised_is_asked_for_after_2_5_15_and_60_seconds_and_then_no_more(office: Office) -> None:
    office.mail.deliver(ADA, 1)
    office.mail.boxes[ADA].hidden = 1
    with office.installation.database.autocommit() as connection:
        queue.hint(connection, "stub", [(ADA, "1")], office.clock.now())
    waits = []
    while (again_at := office.sync(until="1").again_at) is not None:
        waits.append((again_at - office.clock.now()).total_seconds())
        office.clock.step(seconds=waits[-1])
    assert waits == list(LAG_WAITS_S)
    office.mail.boxes[ADA].hidden = 0
    assert office.sync(until="1") == sync.Synced(1, 1, None)


def test_what_shows_in_time_is_not_asked_for_again(office: Office) -> None:
    office.mail.deliver(ADA, 1)
    with office.installation.database.autocommit() as connection:
        queue.hint(connection, "stub", [(ADA, "1")], office.clock.now())
    assert office.sync(until="1").again_at is None


def test_without_a_push_nothing_was_promised(office: Office) -> None:
    office.mail.boxes[ADA].hidden = 1
    office.mail.deliver(ADA, 1)
    assert office.sync(until="1").again_at is None


# --- two mailboxes, two conversations ---


def test_one_mail_in_two_mailboxes_is_one_message_with_two_copies(office: Office) -> None:
    bob = connect(office, BOB, office.members["bob"].id)
    office.sync(bob)
    for address in (ADA, BOB):
        office.mail.deliver(address, 1, To=f"{ADA}, {BOB}")
    office.sync()
    before = office.rows("SELECT id, decision_id FROM conversation")
    office.sync(bob)
    assert office.rows("SELECT provider_id FROM message_copy ORDER BY provider_id") == [("ada-1",), ("bob-1",)]
    assert office.value("SELECT count(*) FROM message") == 1
    assert office.rows("SELECT id, decision_id FROM conversation") == before, "the decision that linked stays"


def test_a_blind_copy_recipient_is_kept_with_the_senders_copy_alone(office: Office) -> None:
    bob = connect(office, BOB, office.members["bob"].id)
    office.sync(bob)
    sent = {"From": f"Ada <{ADA}>", "To": "bea@acme.test", "Cc": BOB}
    office.mail.deliver(ADA, 1, folder="sent", **sent, Bcc="eve@other.test")
    office.mail.deliver(BOB, 1, **sent)
    office.sync()
    office.sync(bob)
    assert office.rows(
        """
        SELECT c.provider_id, p.address FROM participant p JOIN message_copy c ON c.id = p.copy_id WHERE p.role = 'bcc'
        """
    ) == [("ada-1", "eve@other.test")]


def bridge(office: Office) -> None:
    """Deliver two conversations with Bea, and then the mail that shows that they are one."""
    office.mail.deliver(ADA, 1)
    office.mail.deliver(ADA, 2)
    office.sync()
    office.write_notes()
    office.clock.step(minutes=1)
    office.mail.deliver(ADA, 3, Subject="Re: Offer 1", References="<m1@acme.test> <m2@acme.test>")


def test_a_mail_that_joins_two_conversations_merges_them_with_what_hangs_on_them(office: Office) -> None:
    bridge(office)
    office.sync()
    (survivor, absorbed) = office.rows("SELECT id, merged_into FROM conversation ORDER BY id")
    assert (survivor.merged_into, absorbed.merged_into) == (None, survivor.id)
    assert office.rows("SELECT DISTINCT conversation_id FROM message") == [(survivor.id,)]
    standing = office.rows("SELECT conversation_id, external_id FROM link WHERE is_primary AND removed_at IS NULL")
    assert standing == [(survivor.id, "d1")]
    assert office.rows("SELECT removed_why FROM link WHERE removed_at IS NOT NULL AND is_primary") == [("merged",)]
    with office.team() as connection:
        (merge,) = merges.into(connection, survivor.id)
        assert merges.recent(connection, office.clock.now() - timedelta(hours=1)) == {office.account_id: 1}
        (whole,) = conversations.load(connection, [survivor.id, absorbed.id])
    assert merge.absorbed_id == absorbed.id
    assert whole.primary_link is not None
    assert len(whole.messages) == 3


def test_two_links_to_one_deal_leave_the_one_made_by_hand(office: Office) -> None:
    office.mail.deliver(ADA, 1)
    office.mail.deliver(ADA, 2)
    office.sync()
    (_, second) = office.rows("SELECT id FROM conversation ORDER BY id")
    office.crm.put_item("deal", "d2", "Other")
    office.clock.step(minutes=2)
    office.sync()
    office.link(second.id, "d2")
    office.link(second.id, "d1")
    office.mail.deliver(ADA, 3, Subject="Re: Offer 1", References="<m1@acme.test> <m2@acme.test>")
    office.sync()
    (stands,) = office.rows("SELECT external_id, origin FROM link WHERE is_primary AND removed_at IS NULL")
    assert stands == ("d1", "manual")
    tombs = office.rows("SELECT DISTINCT t.external_id FROM tombstone t JOIN link l USING (conversation_id)")
    assert tombs == [("d2",)], "what a person took off stays off after the merge"


def test_a_merge_that_is_taken_back_is_not_done_again(office: Office) -> None:
    bridge(office)
    office.sync()
    (survivor, absorbed) = office.rows("SELECT id FROM conversation ORDER BY id")
    with office.team() as connection:
        (merge,) = merges.into(connection, survivor.id)
        merges.undo(connection, office.team_id, merge, office.clock.now())
        assert merges.into(connection, survivor.id) == []
        assert merges.kept_apart(connection, [survivor.id, absorbed.id]) == [(absorbed.id, survivor.id)]
    standing = office.rows("SELECT conversation_id FROM link WHERE is_primary AND removed_at IS NULL ORDER BY 1")
    assert standing == [(survivor.id,), (absorbed.id,)]
    office.mail.deliver(ADA, 4, Subject="Re: Offer 1", References="<m1@acme.test> <m2@acme.test>")
    office.sync()
    assert office.rows("SELECT merged_into FROM conversation WHERE id = :id", id=absorbed.id) == [(None,)]


def test_conversations_linked_to_two_deals_are_left_apart_and_shown(office: Office) -> None:
    office.crm.put_item("deal", "d2", "Other")
    office.mail.deliver(ADA, 1)
    office.mail.deliver(ADA, 2)
    office.sync()
    (first, second) = office.rows("SELECT id FROM conversation ORDER BY id")
    office.link(second.id, "d2")
    for number in (3, 4):
        office.mail.deliver(ADA, number, Subject="Re: Offer 1", References="<m1@acme.test> <m2@acme.test>")
        office.sync()
    (pair,) = office.rows("SELECT conversation_id, other_id, why FROM merge_pair")
    assert {pair.conversation_id, pair.other_id} == {first.id, second.id}
    assert pair.why == "different_links"


# --- the mirror ---


def test_a_crm_that_fails_is_told_and_holds_up_no_mail(office: Office) -> None:
    office.mail.deliver(ADA, 1)
    office.crm.fail("changes_since", AdminBlocked())
    office.clock.step(minutes=2)
    assert office.sync().stored == 1
    state = "SELECT state, state_reason FROM crm_connection"
    assert office.rows(state) == [("trouble", "AdminBlocked")]
    sync.refresh_mirror(office.installation, office.team_id)
    assert office.rows(state) == [("live", "")]


def test_a_mirror_that_is_young_enough_is_left_alone(office: Office) -> None:
    sync.refresh_mirror(office.installation, office.team_id)
    before = office.crm.calls["changes_since"]
    sync.refresh_mirror(office.installation, office.team_id)
    assert office.crm.calls["changes_since"] == before
    sync.refresh_mirror(office.installation, office.team_id, max_age_s=0)
    assert office.crm.calls["changes_since"] == before + 1


def test_a_link_ends_with_its_deal_when_the_mirror_is_refreshed(office: Office) -> None:
    office.mail.deliver(ADA, 1)
    office.sync()
    office.crm.delete("deal", "d1")
    sync.refresh_mirror(office.installation, office.team_id, max_age_s=0)
    assert office.rows("SELECT removed_why FROM link WHERE is_primary") == [("item_deleted",)]


# --- cost ---


def statements_of_a_batch(office: Office, size: int) -> list[str]:
    office.sync()
    for number in range(size):
        office.clock.step(milliseconds=100)
        answered = f"<m{number - 1}@acme.test>"
        office.mail.deliver(ADA, number, **({"References": answered} if number % 5 else {}))
    sent: list[str] = []
    engine = office.installation.database.engine

    def keep(_connection: object, _cursor: object, sql: str, *_: object) -> None:
        sent.append(sql.partition("SET LOCAL")[0])  # the team is part of the statement

    sa.event.listen(engine, "before_cursor_execute", keep)
    assert office.sync().stored == size
    sa.event.remove(engine, "before_cursor_execute", keep)
    return sent


def test_a_batch_costs_the_same_statements_however_many_messages_it_has(make_office: Callable[..., Office]) -> None:
    sent = {size: statements_of_a_batch(make_office(batch_size=100, page_size=100), size) for size in (25, 100)}
    assert len(sent[100]) == len(sent[25])
    assert sent[100] == sent[25]


def explained(connection: sa.Connection, statement: sa.TextClause, parameters: dict[str, object]) -> str:
    connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
    plan = sa.text(f"EXPLAIN {statement.text}")
    return "\n".join(connection.execute(plan, parameters).scalars())


def test_related_conversations_and_pending_messages_are_found_by_index(office: Office, database_url: str) -> None:
    for number in range(4):
        office.mail.deliver(ADA, number)
    office.sync()
    # As many as make a difference: among four rows the planner takes one index for another.
    office.change(
        "INSERT INTO conversation_alias (team_id, key, message_id, claimed)"
        " SELECT team_id, sha256(n::text::bytea), id, true FROM message, generate_series(1, 1000) n"
    )
    with psycopg.connect(database_url) as connection:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(roles.OWNER)))
        connection.execute("ANALYZE message, conversation_alias")
    with office.team() as connection:
        found = conversations.load(
            connection, list(connection.execute(sa.text("SELECT id FROM conversation")).scalars())
        )
        digests = [key.digest for conversation in found for message in conversation.messages for key in keys(message)]
        related = explained(connection, conversations._RELATED, {"keys": digests})
        assert "pk_conversation_alias" in related, related
        assert "Seq Scan" not in related, related
        pending: list[tuple[sa.TextClause, dict[str, object]]] = []
        sa.event.listen(
            connection, "before_execute", lambda _c, clause, _m, params, _o: pending.append((clause, params))
        )
        discovered.pending(connection, office.account_id, 25, office.clock.now())
        plan = explained(connection, *pending[0])
    assert "ix_discovered_message_pending" in plan
    assert "Seq Scan" not in plan


def test_a_sender_that_is_proven_false_is_stored_and_not_linked(office: Office) -> None:
    office.mail.deliver(
        ADA, 1, Authentication_Results=f"{AUTHSERV_ID}; dmarc=fail header.from=acme.test; spf=fail; dkim=fail"
    )
    office.sync()
    assert office.value("SELECT verdict FROM message_copy") == "fail"
    assert office.rows("SELECT external_id FROM link WHERE is_primary") == []


def test_a_message_refers_to_the_deal_of_its_people(office: Office) -> None:
    office.mail.deliver(ADA, 1)
    office.sync()
    with office.team() as connection:
        (found,) = conversations.load(connection, [office.value("SELECT id FROM conversation")], with_text=True)
    assert found.primary_link is not None
    assert found.primary_link.ref == ItemRef("deal", "d1", office.crm_id)
    assert replace(found.messages[0].copies[0], id=0).text == "Text 1"
