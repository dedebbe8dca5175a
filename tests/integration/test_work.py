"""Long work: done in parts, a result for each conversation, taken back as one, and seen by who asked alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from app import jobs, links, work
from app.errors import Conflict, NotAllowed, NotFound
from app.installation import Installation
from app.links import Elsewhere
from app.settings import Settings
from app.store import lookups, teams
from app.store import work as rows
from app.store.database import Database
from app.store.secrets import SecretBox
from app.store.work import Work
from tests.integration.building import ADA, BEA, CAN, DAN, SOMEBODY, TOM, Office, northwind, refused
from tests.integration.office import Killed

pytestmark = pytest.mark.integration


@pytest.fixture
def office(database: Database, team: Callable[..., int]) -> Office:
    return northwind(database, team)


@pytest.fixture
def installation(office: Office) -> Installation:
    """Return the office's installation, as far as long work asks for it."""
    settings = Settings(_env_file=None)  # type: ignore[call-arg]  # pydantic's own argument
    box = SecretBox([Fernet.generate_key().decode()])
    return Installation(settings, office.database, box, office.clock, {}, lambda _: office.crm)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let three conversations be many, and two a part."""
    monkeypatch.setattr(work, "AT_ONCE", 2)
    monkeypatch.setattr(work, "PART", 2)


def bulk_link(
    office: Office, email: str, ids: Sequence[int], item: str = "d2", elsewhere: Elsewhere | None = None
) -> Work:
    with office.database.for_team(office.team_id) as connection:
        return work.bulk_link(connection, office.acting(email), ids, office.ref("deal", item), elsewhere=elsewhere)


def begin(office: Office, email: str, asked: Work, elsewhere: Elsewhere = "skip") -> Work:
    with office.database.for_team(office.team_id) as connection:
        return work.begin(connection, office.acting(email), asked.public_id, elsewhere=elsewhere)


def advance(office: Office, asked: Work) -> bool:
    with office.database.for_team(office.team_id) as connection:
        return work.advance(connection, office.team_id, asked.id, office.now)


def finish(office: Office, asked: Work) -> None:
    while advance(office, asked):
        pass


def shown(office: Office, email: str, asked: Work) -> work.Shown:
    with office.database.for_team(office.team_id) as connection:
        return work.show(connection, office.members[email], asked.public_id, "en")


def enqueued(office: Office) -> list[Any]:
    return [row.args for row in office.rows("SELECT args FROM procrastinate_jobs WHERE task_name = 'do_work'")]


def final(office: Office, ids: Sequence[int]) -> Any:
    """Return what is there in the end: links, trail and wanted notes of each conversation."""
    return [(office.linked(each), office.trail(each), office.wanted(each)) for each in ids]


# --- a bulk link ---


def test_a_few_without_anything_to_say_are_linked_at_once(office: Office) -> None:
    ids = [office.mail(f"m{n}", TOM, ADA) for n in range(3)]
    done = bulk_link(office, ADA, ids)
    assert (done.state, enqueued(office)) == ("done", [])
    assert [office.linked(each) for each in ids] == ["deal/d2"] * 3
    assert sorted(office.undo(ADA, done.batch_id)) == ids


def test_refusals_are_told_before_anything_is_linked_and_moving_is_one_choice(office: Office) -> None:
    free, there, elsewhere = office.mail("m1", TOM, ADA), office.mail("m2", TOM, ADA), office.mail("m3", BEA, ADA)
    theirs = office.mail("m4", BEA, CAN, at=[CAN])  # linked to what everybody sees, so Ada reads it and owns it not
    hidden = office.mail("m5", SOMEBODY, CAN, at=[CAN])
    office.link(ADA, there, office.ref("deal", "d2"))
    ids = [free, there, elsewhere, theirs, hidden]
    asked = bulk_link(office, ADA, ids)
    told = shown(office, ADA, asked)
    assert asked.state == "ready"
    assert told.counts == {"would_link": 1, "would_move": 1, "refused": 2}
    reasons = {line.seen.conversation.id: line.entry.reason for line in told.lines}
    assert reasons == {free: "", there: "already_linked", elsewhere: "", theirs: "not_owner"}
    assert office.linked(free) is None
    assert begin(office, ADA, asked, "move").state == "done"
    assert [office.linked(each) for each in (free, elsewhere, theirs)] == ["deal/d2", "deal/d2", "deal/d1"]
    assert office.tombstones(elsewhere) == ["deal/d1"]
    office.undo(ADA, asked.batch_id)
    assert [office.linked(each) for each in (free, elsewhere)] == [None, "deal/d1"]
    assert refused(lambda: begin(office, ADA, asked)) == (Conflict, "work_begun")


def test_what_is_linked_elsewhere_may_stay(office: Office) -> None:
    free, elsewhere = office.mail("m1", TOM, ADA), office.mail("m2", BEA, ADA)
    asked = bulk_link(office, ADA, [free, elsewhere])
    begin(office, ADA, asked, "skip")
    assert [office.linked(each) for each in (free, elsewhere)] == ["deal/d2", "deal/d1"]
    assert shown(office, ADA, asked).counts == {"done": 1, "would_move": 1}


def test_what_may_not_be_seen_is_like_what_is_not_there(office: Office) -> None:
    hidden = office.mail("m1", SOMEBODY, CAN, at=[CAN])
    for ids in ([hidden], [10**9], []):
        assert refused(lambda ids=ids: bulk_link(office, ADA, ids))[0] is NotFound
    assert office.rows("SELECT * FROM work") == []


def test_many_are_linked_by_a_job_part_by_part(office: Office, few: None) -> None:
    ids = [office.mail(f"m{n}", TOM, ADA) for n in range(5)]
    asked = bulk_link(office, ADA, ids)
    assert (asked.state, asked.total) == ("looking", 5)
    assert enqueued(office) == [{"team_id": office.team_id, "work_id": asked.id}]
    seen = []
    while advance(office, asked):
        now = shown(office, ADA, asked).work
        seen.append((now.state, now.done, now.total))
    assert seen == [("looking", 2, 5), ("looking", 4, 5), ("doing", 0, 5), ("doing", 2, 5), ("doing", 4, 5)]
    assert [office.linked(each) for each in ids] == ["deal/d2"] * 5
    assert not advance(office, asked)  # a second job of it does nothing
    assert {len(office.trail(each)) for each in ids} == {1}
    with office.database.for_team(office.team_id) as connection:
        undoing = work.undo(connection, office.acting(ADA), asked.batch_id)
    assert isinstance(undoing, Work)
    finish(office, undoing)
    assert [office.linked(each) for each in ids] == [None] * 5
    assert shown(office, ADA, undoing).counts == {"done": 5}
    assert shown(office, ADA, asked).is_undone


def test_what_runs_is_not_taken_back_and_what_changed_meanwhile_stays(office: Office, few: None) -> None:
    ids = [office.mail(f"m{n}", TOM, ADA) for n in range(5)]
    asked = bulk_link(office, ADA, ids)
    while shown(office, ADA, asked).work.state != "doing":
        advance(office, asked)
    advance(office, asked)
    assert refused(lambda: office.undo(ADA, asked.batch_id)) == (Conflict, "work_running")
    finish(office, asked)
    office.unlink(ADA, ids[4])
    with office.database.for_team(office.team_id) as connection:
        undoing = work.undo(connection, office.acting(ADA), asked.batch_id)
    assert isinstance(undoing, Work)
    finish(office, undoing)
    assert shown(office, ADA, undoing).counts == {"done": 4, "refused": 1}
    assert [line.entry.reason for line in shown(office, ADA, undoing).lines] == ["changed_meanwhile"]
    assert office.tombstones(ids[4]) == ["deal/d2"]


def test_an_item_that_goes_in_the_middle_refuses_the_rest(office: Office, few: None) -> None:
    ids = [office.mail(f"m{n}", TOM, ADA) for n in range(3)]
    asked = bulk_link(office, ADA, ids)
    office.crm.put_item("deal", "d2", "Refit", person="p2", state="deleted", created_at=office.now)
    office.refresh()
    finish(office, asked)
    told = shown(office, ADA, asked)
    assert told.counts == {"refused": 3}
    assert {line.entry.reason for line in told.lines} == {"item_deleted"}


def test_a_member_who_is_removed_has_nothing_done_any_more(office: Office, few: None) -> None:
    ids = [office.mail(f"m{n}", TOM, ADA) for n in range(3)]
    asked = bulk_link(office, ADA, ids)
    office.rows("UPDATE member SET removed_at = now() WHERE email = :ada RETURNING id", ada=ADA)
    finish(office, asked)
    assert [office.linked(each) for each in ids] == [None] * 3
    assert office.rows("SELECT state FROM work")[0].state == "stopped"


def test_parts_take_as_many_queries_however_many_conversations(office: Office, database: Database) -> None:
    counted: list[str] = []
    sa.event.listen(database.engine, "before_cursor_execute", lambda _c, _u, statement, *_: counted.append(statement))

    def cost(count: int, name: str) -> tuple[int, int]:
        ids = [office.mail(f"{name}{n}", BEA, ADA) for n in range(count)]
        counted.clear()
        action = bulk_link(office, ADA, ids, elsewhere="move").batch_id
        linking = len(counted)
        assert {office.linked(each) for each in ids} == {"deal/d2"}
        counted.clear()
        assert office.undo(ADA, action) == ids
        taking_back = len(counted)
        assert [(office.linked(each), office.tombstones(each)) for each in ids] == [("deal/d1", [])] * count
        return linking, taking_back

    assert cost(1, "a") == cost(9, "b")


# --- a bulk dismissal ---


def test_many_are_dismissed_with_a_line_for_each_that_was_not_and_taken_back_as_one(office: Office, few: None) -> None:
    free = [office.mail(f"m{n}", TOM, ADA) for n in range(3)]
    linked, theirs = office.mail("m4", BEA, ADA), office.mail("m5", BEA, CAN, at=[CAN])
    hidden = office.mail("m6", SOMEBODY, CAN, at=[CAN])
    with office.database.for_team(office.team_id) as connection:
        asked = work.bulk_dismiss(connection, office.acting(ADA), [*free, linked, theirs, hidden, free[0]])
    assert (asked.state, asked.total, enqueued(office)[0]["work_id"]) == ("doing", 6, asked.id)
    finish(office, asked)
    told = shown(office, ADA, asked)
    assert told.counts == {"done": 3, "refused": 2}
    reasons = {line.seen.conversation.id: line.entry.reason for line in told.lines}
    assert reasons == {linked: "already_linked", theirs: "not_owner"}
    assert [office.is_dismissed(each) for each in (*free, linked, hidden)] == [True] * 3 + [False] * 2
    (last,) = office.rows("SELECT batch_id, done, n, left_as_is FROM last_action")  # its undo stands on every page
    assert (str(last.batch_id), last.done, last.n, last.left_as_is) == (asked.batch_id, "bulk_dismissed", 3, 2)
    with office.database.for_team(office.team_id) as connection:
        undoing = work.undo(connection, office.acting(ADA), asked.batch_id)
    assert isinstance(undoing, Work)
    finish(office, undoing)
    assert not any(office.is_dismissed(each) for each in free)
    with office.database.for_team(office.team_id) as connection:
        assert refused(lambda: work.bulk_dismiss(connection, office.acting(ADA), [hidden]))[0] is NotFound


# --- who sees it, and what becomes of it when nobody looks after it ---


def test_only_who_asked_sees_it(office: Office, database: Database, team: Callable[..., int]) -> None:
    asked = bulk_link(office, ADA, [office.mail("m1", TOM, ADA)])
    for email in (CAN, DAN):
        assert refused(lambda email=email: shown(office, email, asked)) == (NotFound, "not_found")
        assert refused(lambda email=email: begin(office, email, asked)) == (NotFound, "not_found")
    other = northwind(database, team)
    assert refused(lambda: shown(other, ADA, asked)) == (NotFound, "not_found")


def test_work_without_a_job_gets_one_and_old_work_goes(office: Office, installation: Installation, few: None) -> None:
    ids = [office.mail(f"m{n}", TOM, ADA) for n in range(3)]
    asked = bulk_link(office, ADA, ids)
    with office.database.without_team() as connection:
        assert lookups.due_work(connection, 10) == []
        connection.execute(sa.text("UPDATE procrastinate_jobs SET status = 'failed' WHERE task_name = 'do_work'"))
        assert lookups.due_work(connection, 10) == [(office.team_id, asked.id)]
    jobs.work_due(installation)
    assert len(enqueued(office)) == 2
    jobs.do_work(installation, office.team_id, asked.id)
    assert [office.linked(each) for each in ids] == ["deal/d2"] * 3
    office.clock.step(days=rows.KEPT.days + 1)
    again = bulk_link(office, ADA, [office.mail("later", TOM, ADA)])
    assert [row.id for row in office.rows("SELECT id FROM work")] == [again.id]


def test_what_nobody_foresaw_ends_the_work_so_that_its_member_is_told(
    office: Office, installation: Installation, few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [office.mail(f"m{n}", TOM, ADA) for n in range(3)]
    asked = bulk_link(office, ADA, ids)

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(links, "bulk_link", broken)
    with pytest.raises(ZeroDivisionError):
        jobs.do_work(installation, office.team_id, asked.id)
    told = shown(office, ADA, asked)
    assert (told.work.state, told.counts, told.may_undo) == ("stopped", {"waiting": 3}, False)


@pytest.mark.parametrize(("step", "survived"), [("work.part_committed", 0), ("work.part_done", 1)])
def test_a_worker_killed_in_or_after_every_part_loses_and_doubles_nothing(
    office: Office, installation: Installation, few: None, monkeypatch: pytest.MonkeyPatch, step: str, survived: int
) -> None:
    ids = [office.mail(f"m{n}", TOM, ADA) for n in range(5)]
    asked, deaths, passed = bulk_link(office, ADA, ids), 0, 0

    def dies_there(name: str) -> None:
        nonlocal passed
        passed += name == step
        if name == step and passed > survived:
            raise Killed

    monkeypatch.setattr(work, "crash_point", dies_there)
    while shown(office, ADA, asked).work.is_running:
        with suppress(Killed):
            jobs.do_work(installation, office.team_id, asked.id)
        deaths, passed = deaths + 1, 0
    assert deaths >= 5
    assert final(office, ids) == [("deal/d2", [("link", office.members[ADA].id)], {"deal/d2": 1})] * 5
    assert shown(office, ADA, asked).counts == {"done": 5}
    assert len(office.rows("SELECT id FROM link WHERE is_primary")) == 5


# --- replay ---


def replayed(office: Office, email: str = DAN, **policy: Any) -> Work:
    with office.database.for_team(office.team_id) as connection:
        return work.look_back(connection, office.acting(email), timedelta(days=30), policy or None)


def late_item(office: Office, *keys: str) -> list[int]:
    """Return conversations of somebody who became a person with a deal after they came."""
    ids = [office.mail(key, SOMEBODY, ADA) for key in keys]
    office.person("p9", "Sam", SOMEBODY)
    office.deal("d9", "Sofas", "p9")
    office.refresh()
    return ids


def test_a_replay_is_applied_and_taken_back_as_one_batch(office: Office) -> None:
    linked = office.mail("m1", BEA, ADA)
    by_hand = office.mail("m2", BEA, ADA)
    office.link(ADA, by_hand, office.ref("deal", "d2"), move=True)
    choice = office.mail("m3", TOM, ADA)
    late = late_item(office, "m4")[0]
    before = final(office, [linked, by_hand, choice, late])
    asked = replayed(office, blocklist=["acme.test"])
    assert (asked.state, shown(office, DAN, asked).counts) == (
        "ready",
        {"would_differ": 1, "would_choose": 1, "would_link": 1},
    )
    assert final(office, [linked, by_hand, choice, late]) == before  # a report changes nothing
    done = begin(office, DAN, asked)
    assert (done.state, shown(office, DAN, done).counts) == ("done", {"done": 2, "would_choose": 1})
    assert [office.linked(each) for each in (linked, by_hand, choice, late)] == [None, "deal/d2", None, "deal/d9"]
    (made,) = office.rows("SELECT origin, made_by, batch_id, decision_id FROM link WHERE external_id = 'd9'")
    assert (made.origin, made.made_by, str(made.batch_id)) == ("rule_replay", office.members[DAN].id, asked.batch_id)
    assert office.tombstones(linked) == []  # nobody took it off by hand
    assert office.decision(late).decision.reason == "only_open_item"
    assert (office.wanted(late), office.wanted(linked)) == ({"deal/d9": 1}, {"deal/d1": 2})
    office.undo(DAN, asked.batch_id)
    assert [office.linked(each) for each in (linked, by_hand, choice, late)] == ["deal/d1", "deal/d2", None, None]


def test_what_was_decided_in_between_is_decided_again_with_a_line_for_each_that_was_not(office: Office) -> None:
    kept, chosen, gone = late_item(office, "m1", "m2", "m3")
    asked = replayed(office)
    office.link(ADA, chosen, office.ref("deal", "d2"))
    office.dismiss(ADA, gone)
    begin(office, DAN, asked)
    assert [office.linked(each) for each in (kept, chosen, gone)] == ["deal/d9", "deal/d2", None]
    told = shown(office, DAN, asked)
    assert {line.seen.conversation.id: line.entry.reason for line in told.lines} == {
        chosen: "changed_meanwhile",
        gone: "changed_meanwhile",
    }
    assert [action for action, _ in office.trail(chosen)] == ["link"]


def test_a_replay_of_a_replay_finds_nothing_left(office: Office) -> None:
    late_item(office, "m1")
    begin(office, DAN, replayed(office))
    again = replayed(office)
    assert (again.state, shown(office, DAN, again).counts) == ("ready", {})


def test_replay_is_for_administrators_at_every_step(office: Office) -> None:
    late = late_item(office, "m1")[0]
    assert refused(lambda: replayed(office, ADA)) == (NotAllowed, "not_administrator")
    asked = replayed(office)
    office.rows("UPDATE member SET role = 'member' WHERE email = :dan RETURNING id", dan=DAN)
    with office.database.for_team(office.team_id) as connection:
        office.members |= {member.email: member for member in teams.members(connection)}
    assert refused(lambda: begin(office, DAN, asked)) == (NotAllowed, "not_administrator")
    assert refused(lambda: shown(office, DAN, asked)) == (NotAllowed, "not_administrator")
    assert office.linked(late) is None


def test_one_report_of_a_team_runs_at_a_time(office: Office, few: None) -> None:
    late_item(office, "m1", "m2", "m3")
    asked = replayed(office)
    assert refused(lambda: replayed(office)) == (Conflict, "work_running")
    finish(office, asked)
    assert [row.action for row in office.rows("SELECT action FROM audit")] == ["replay_report"]
    replayed(office)


def test_a_report_tells_an_administrator_no_more_than_that_member_may_read(office: Office) -> None:
    late_item(office, "m1")
    (line,) = shown(office, DAN, replayed(office)).lines
    assert line.difference is not None
    assert (line.difference.subject, "Sam" in line.difference.sentence) == (None, False)


# --- a change of the policy ---


def tried(office: Office, **given: Any) -> Work:
    with office.database.for_team(office.team_id) as connection:
        return work.try_policy(connection, office.acting(DAN), given)


def policy_of(office: Office) -> dict[str, Any]:
    return dict(office.rows("SELECT policy FROM team")[0].policy)


def test_a_dry_run_tells_what_the_change_changes_and_nothing_else(office: Office) -> None:
    blocked, choice = office.mail("m1", BEA, ADA), office.mail("m2", TOM, ADA)
    late_item(office, "m3")  # would be linked by either
    asked = tried(office, blocklist=["acme.test", "brightwater.test"])
    told = shown(office, DAN, asked)
    assert {line.seen.conversation.id: line.entry.detail["kind"] for line in told.lines if line.entry.detail} == {
        blocked: "would_differ",
        choice: "would_leave",
    }
    assert policy_of(office) == {}
    assert begin(office, DAN, asked).state == "done"
    assert policy_of(office)["blocklist"] == ["acme.test", "brightwater.test"]
    assert office.linked(blocked) == "deal/d1"  # what is linked stays
    assert [row.action for row in office.rows("SELECT action FROM audit ORDER BY id")] == [
        "policy_report",
        "change_policy",
    ]


def test_a_policy_that_somebody_changed_in_between_is_not_written_over(office: Office) -> None:
    first, second = tried(office, max_counterparts=5), tried(office, learned_auto_link=True)
    begin(office, DAN, first)
    assert refused(lambda: begin(office, DAN, second)) == (Conflict, "changed_meanwhile")
    assert policy_of(office)["max_counterparts"] == 5
    assert policy_of(office)["learned_auto_link"] is False
