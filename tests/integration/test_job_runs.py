"""What jobs do with their accounts and notes: waits, refusals, bursts, dead workers, and what the schedules enqueue."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import procrastinate
import pytest
import sqlalchemy as sa

from app import bootstrap, jobs, sync
from app.errors import (
    AccessRevoked,
    AdminBlocked,
    ApplicationMisconfigured,
    Conflict,
    CursorExpired,
    Gone,
    MailboxUnavailable,
    ProviderError,
    RateLimited,
    Rejected,
    Unavailable,
    Unsupported,
)
from app.ports import Subscription
from app.store import accounts, queue
from app.store.queue import Hint
from tests.integration.office import ADA, Killed, Office, connect, killed_at

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)


def push(office: Office, position: str = "1", address: str = ADA) -> None:
    with office.installation.database.autocommit() as connection:
        queue.hint(connection, "stub", [(address, position)], office.clock.now())


def hint(office: Office) -> Hint:
    with office.team() as connection:
        return queue.generation(connection, office.account_id)


def state(office: Office) -> tuple[Any, ...]:
    (row,) = office.rows(
        "SELECT state, state_reason, throttled_until FROM account WHERE id = :id", id=office.account_id
    )
    return tuple(row)


def run_failing(office: Office, error: ProviderError, operation: str = "list_changes") -> None:
    """Let a push start a run that fails, and take its job out of the queue as a worker does."""
    push(office)
    office.forget_jobs()
    office.mail.fail(operation, error)
    office.run_job()


# --- a run ---


def test_a_push_leads_to_a_run_that_reads_the_mail_and_leaves_nothing_open(office: Office) -> None:
    office.mail.deliver(ADA, 1)
    push(office)
    office.forget_jobs()
    office.run_job()
    assert office.states() == {"ada-1": ("stored", "")}
    assert hint(office) == Hint(1, 1, "1")
    assert [job.task_name for job in office.jobs(waiting=True)] == ["crm_write"]


def test_a_job_without_an_open_hint_asks_nobody(office: Office) -> None:
    before = office.mail.calls.total()
    office.run_job()
    assert office.mail.calls.total() == before


def test_a_hint_during_a_run_has_a_job_of_its_own(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    push(office)
    office.forget_jobs()
    fetch = office.mail.list_changes

    def pushed_meanwhile(*arguments: Any) -> Any:
        push(office, "2")
        office.forget_jobs()  # it waits for the lock; say that its worker died, for the run to find it open
        office.change("UPDATE hint SET queued = false")
        return fetch(*arguments)

    monkeypatch.setattr(office.mail, "list_changes", pushed_meanwhile)
    office.run_job()
    assert hint(office) == Hint(3, 1, "2")
    assert [job.task_name for job in office.jobs()] == ["sync_account"]


def test_a_burst_rests_a_second_between_runs(office: Office) -> None:
    push(office, "0")
    office.forget_jobs()
    office.run_job()
    calls = office.mail.calls["list_changes"]
    for _ in range(50):
        push(office, "0")
    (waiting,) = office.jobs(waiting=True)
    office.forget_jobs()
    office.run_job()
    assert office.mail.calls["list_changes"] == calls
    (rested,) = office.jobs(waiting=True)
    assert (rested.task_name, rested.lock, rested.args) == (waiting.task_name, waiting.lock, waiting.args)
    assert office.waits_s(rested) == 1
    office.clock.step(seconds=1)
    office.run_job()
    assert office.mail.calls["list_changes"] == calls + 1
    assert hint(office) == Hint(51, 51, "0")


def test_what_the_provider_does_not_show_yet_is_woken_for(office: Office) -> None:
    office.mail.deliver(ADA, 1)
    office.mail.boxes[ADA].hidden = 1
    push(office)
    office.forget_jobs()
    office.run_job()
    (wake,) = office.jobs(waiting=True)
    assert wake.task_name == "wake_account"
    assert office.waits_s(wake) == 2
    office.mail.boxes[ADA].hidden = 0
    office.forget_jobs()
    office.clock.step(seconds=2)
    jobs.wake_account(office.installation, **wake.args)
    assert [job.task_name for job in office.jobs()] == ["sync_account"]
    office.run_job()
    assert office.states() == {"ada-1": ("stored", "")}


@pytest.mark.parametrize("step", range(14))
def test_a_job_killed_at_any_step_is_made_good_by_running_it_again(office: Office, step: int) -> None:
    office.mail.deliver(ADA, 1)
    push(office)
    office.forget_jobs()
    with pytest.raises(Killed), killed_at(office.installation.database, step):
        office.run_job()
    office.run_job()
    office.clock.step(seconds=2)
    office.run_job()
    assert office.states() == {"ada-1": ("stored", "")}
    assert not hint(office).is_open


# --- refusals ---


def test_a_limit_is_waited_out_and_nobody_asks_before(office: Office) -> None:
    run_failing(office, RateLimited(retry_after_s=120))
    until = office.clock.now() + timedelta(seconds=120)
    assert state(office) == ("throttled", "throttled", until)
    (wake,) = office.jobs(waiting=True)
    assert (wake.task_name, office.waits_s(wake)) == ("wake_account", 120)
    calls = office.mail.calls.total()
    for _ in range(3):
        office.clock.step(seconds=39)
        push(office)
        office.run_job()
        jobs.renew_subscription(office.installation, office.team_id, office.account_id)
        jobs.audit_account(office.installation, office.team_id, office.account_id)
    assert office.mail.calls.total() == calls
    office.clock.step(seconds=3)
    office.forget_jobs()
    jobs.wake_account(office.installation, **wake.args)
    office.run_job()
    assert office.mail.calls.total() > calls
    assert state(office) == ("live", "", None)


def test_a_provider_that_is_away_is_asked_again_later_each_time(office: Office) -> None:
    for failures in (1, 2, 3):
        run_failing(office, Unavailable())
        assert state(office)[0] == "degraded"
        assert office.value("SELECT failures FROM account") == failures
        (wake,) = office.jobs(waiting=True)
        assert 1 <= office.waits_s(wake) <= 2 + 2 ** (failures + 1)
        office.clock.step(hours=1)
    push(office)
    office.run_job()
    assert office.rows("SELECT state, failures, last_error FROM account") == [("live", 0, None)]


@pytest.mark.parametrize(
    ("error", "stopped"), [(AccessRevoked(), "reauth_required"), (AdminBlocked(), "admin_blocked")], ids=str
)
def test_an_account_that_is_refused_stops_once_until_a_person_connects_it_again(
    office: Office, error: ProviderError, stopped: str
) -> None:
    run_failing(office, error)
    since = office.value("SELECT state_since FROM account")
    assert state(office) == (stopped, stopped, None)
    assert office.jobs(waiting=True) == []
    calls = office.mail.calls.total()
    office.clock.step(hours=1)
    push(office)
    assert office.jobs(waiting=True) == [], "a push enqueues nothing for it"
    office.run_job()
    for task in (jobs.wake_account, jobs.renew_subscription, jobs.audit_account):
        task(office.installation, office.team_id, office.account_id)
    assert office.mail.calls.total() == calls
    assert office.value("SELECT state_since FROM account") == since


def test_an_application_set_up_wrongly_leaves_the_account_as_it_is_and_makes_one_call_a_wait(office: Office) -> None:
    before = office.rows("SELECT state, state_reason, state_since FROM account")
    run_failing(office, ApplicationMisconfigured())
    assert office.rows("SELECT state, state_reason, state_since FROM account") == before
    (wake,) = office.jobs(waiting=True)
    assert office.waits_s(wake) == 900
    calls = office.mail.calls.total()
    office.clock.step(seconds=899)
    jobs.poll_quiet(office.installation)
    office.run_job()
    assert office.mail.calls.total() == calls
    assert len(office.jobs("wake_account", waiting=True)) == 1, "failing for long enqueues no more and more jobs"


def test_a_recovery_that_finds_no_position_is_tried_again_in_an_hour(office: Office) -> None:
    office.mail.fail("recover", CursorExpired())
    run_failing(office, CursorExpired())
    (wake,) = office.jobs(waiting=True)
    assert office.waits_s(wake) == 3600
    assert state(office)[0] == "live"


def test_a_mailbox_that_is_away_is_looked_for_the_next_day(office: Office) -> None:
    run_failing(office, MailboxUnavailable())
    assert state(office)[0] == "mailbox_unavailable"
    (wake,) = office.jobs(waiting=True)
    assert office.waits_s(wake) == 86_400
    office.clock.step(days=1)
    jobs.wake_account(office.installation, **wake.args)
    assert state(office)[0] == "degraded"
    office.run_job()
    assert state(office)[0] == "live"


@pytest.mark.parametrize("error", [Rejected(), Gone()], ids=str)
def test_a_refusal_of_one_call_is_kept_and_the_poll_goes_on(office: Office, error: ProviderError) -> None:
    run_failing(office, error)
    assert state(office)[0] == "live"
    assert office.value("SELECT last_error FROM account") == type(error).__name__
    assert office.jobs(waiting=True) == []


def test_a_run_that_another_overtook_is_run_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    push(office)
    office.forget_jobs()

    def overtaken(*_: object, **__: object) -> None:
        raise Conflict("superseded")

    monkeypatch.setattr(sync, "sync_account", overtaken)
    office.run_job()
    assert hint(office).is_open
    assert [job.task_name for job in office.jobs()] == ["sync_account"]


@pytest.mark.parametrize("task", [jobs.sync_account, jobs.wake_account, jobs.renew_subscription, jobs.audit_account])
def test_the_job_of_a_deleted_account_ends_quietly(office: Office, task: Callable[..., None]) -> None:
    with office.team() as connection:
        accounts.delete(connection, office.account_id)
    calls = office.mail.calls.total()
    task(office.installation, office.team_id, office.account_id)
    assert office.mail.calls.total() == calls
    assert office.jobs(waiting=True) == []


def test_an_account_deleted_during_its_run_ends_quietly(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    push(office)
    office.forget_jobs()
    run = sync.sync_account

    def deleted_meanwhile(*arguments: Any, **named: Any) -> sync.Synced:
        with office.team() as connection:
            accounts.delete(connection, office.account_id)
        return run(*arguments, **named)

    monkeypatch.setattr(sync, "sync_account", deleted_meanwhile)
    office.run_job()
    assert office.jobs(waiting=True) == []


def test_the_job_of_a_deleted_note_ends_quietly(office: Office) -> None:
    jobs.crm_write(office.installation, office.team_id, 1)
    jobs._write_failed(office.installation, office.team_id, 1, Unavailable())
    assert office.jobs(waiting=True) == []


# --- subscriptions and audits ---


def test_a_renewal_stores_registration_and_addresses_and_reads_what_came_before(
    make_office: Callable[..., Office],
) -> None:
    office = make_office()
    jobs.renew_subscription(office.installation, office.team_id, office.account_id)
    (row,) = office.rows("SELECT state, subscription_id, subscription_expires_at FROM account")
    assert tuple(row) == ("live", "watch-1", office.clock.now() + timedelta(days=7))
    assert office.account().own_addresses == {ADA, f"alias.{ADA}"}
    assert [job.task_name for job in office.jobs()] == ["sync_account"]


def test_a_renewal_of_a_live_account_leaves_its_state_and_cursor(office: Office) -> None:
    before = office.rows("SELECT state, state_since, cursor FROM account")
    jobs.renew_subscription(office.installation, office.team_id, office.account_id)
    assert office.rows("SELECT state, state_since, cursor FROM account") == before


def test_a_connector_without_registrations_still_tells_its_addresses(office: Office) -> None:
    object.__setattr__(office.mail.capabilities, "subscriptions", False)
    jobs.renew_subscription(office.installation, office.team_id, office.account_id)
    assert office.value("SELECT subscription_id FROM account") is None
    assert f"alias.{ADA}" in office.account().own_addresses


def test_a_mailbox_that_the_provider_does_not_push_about_is_polled_and_not_in_trouble(office: Office) -> None:
    office.mail.fail("subscribe", Unsupported("This mailbox is polled."))
    jobs.renew_subscription(office.installation, office.team_id, office.account_id)
    assert state(office)[0] == "live"
    assert f"alias.{ADA}" in office.account().own_addresses
    office.forget_jobs()
    jobs.renew_subscriptions(office.installation)
    assert office.jobs("renew_subscription") == []
    office.clock.step(days=2)
    jobs.renew_subscriptions(office.installation)
    assert len(office.jobs("renew_subscription")) == 1


def test_a_renewal_that_fails_says_so(office: Office) -> None:
    office.mail.fail("subscribe", AccessRevoked())
    jobs.renew_subscription(office.installation, office.team_id, office.account_id)
    assert state(office)[0] == "reauth_required"


def test_an_audit_that_finds_mail_starts_a_run(office: Office) -> None:
    jobs.audit_account(office.installation, office.team_id, office.account_id)
    assert office.jobs() == []
    office.mail.deliver(ADA, 1, is_logged=False)
    jobs.audit_account(office.installation, office.team_id, office.account_id)
    assert [job.task_name for job in office.jobs()] == ["sync_account"]
    office.run_job()
    assert office.states() == {"ada-1": ("stored", "")}


def test_an_audit_that_fails_is_counted_like_a_run(office: Office) -> None:
    office.mail.fail("list_window", RateLimited(retry_after_s=60))
    jobs.audit_account(office.installation, office.team_id, office.account_id)
    assert state(office)[0] == "throttled"


# --- schedules ---


def test_the_poll_hints_quiet_accounts_alone(office: Office) -> None:
    jobs.poll_quiet(office.installation)
    assert office.jobs() == []
    office.clock.step(seconds=601)
    bob = connect(office, "bob@northwind.test", office.members["bob"].id)
    with office.team() as connection:
        accounts.synced(connection, bob, office.clock.now())
    jobs.poll_quiet(office.installation)
    assert [(job.task_name, job.args["account_id"]) for job in office.jobs()] == [("sync_account", office.account_id)]
    jobs.poll_quiet(office.installation)
    assert len(office.jobs()) == 1


def test_registrations_that_end_soon_or_are_missing_are_renewed(office: Office) -> None:
    ends = {"soon": timedelta(days=5), "late": timedelta(days=6, hours=1), "missing": None}
    ids = {name: connect(office, f"{name}@northwind.test", None, kind="team") for name in ends}
    with office.team() as connection:
        accounts.set_paused(connection, office.account_id, True)
        for name, left in ends.items():
            if left is not None:
                accounts.set_subscription(connection, ids[name], Subscription("s", office.clock.now() + left))
    jobs.renew_subscriptions(office.installation)
    found = [(job.task_name, job.lock, job.args["account_id"]) for job in office.jobs()]
    assert found == [("renew_subscription", f"renew:{ids[name]}", ids[name]) for name in ("soon", "missing")]


def test_audits_are_a_day_apart(office: Office) -> None:
    jobs.audit_windows(office.installation)
    (job,) = office.jobs()
    assert (job.task_name, job.lock) == ("audit_account", f"audit:{office.account_id}")
    office.forget_jobs()
    jobs.audit_account(office.installation, **job.args)
    jobs.audit_windows(office.installation)
    assert office.jobs() == []
    office.clock.step(hours=25)
    jobs.audit_windows(office.installation)
    assert len(office.jobs()) == 1


def test_notes_that_no_job_looks_after_are_enqueued(office: Office) -> None:
    office.mail.deliver(ADA, 1)
    office.sync()
    (there,) = office.jobs("crm_write")
    jobs.write_due(office.installation)
    assert len(office.jobs("crm_write")) == 1
    office.forget_jobs()
    jobs.write_due(office.installation)
    (job,) = office.jobs("crm_write")
    assert (job.lock, job.args) == (there.lock, there.args)
    office.write_notes()
    jobs.write_due(office.installation)
    assert office.jobs("crm_write") == []


def test_texts_whose_retention_is_over_are_erased_and_the_others_stay(
    make_office: Callable[..., Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    office = make_office(body_retention_days=30)
    office.sync()
    for number in range(5):
        office.mail.deliver(ADA, number)
    office.sync()
    office.clock.step(days=20)
    office.mail.deliver(ADA, 7)
    office.sync()
    jobs.purge_bodies(office.installation)
    assert office.value("SELECT count(*) FROM message_body") == 6
    office.clock.step(days=11)
    monkeypatch.setattr(jobs, "SCHEDULE_LIMIT", 2)
    jobs.purge_bodies(office.installation)
    assert office.rows("SELECT text FROM message_body") == [("Text 7",)]
    assert office.value("SELECT count(*) FROM message_copy") == 6


# --- the queue itself ---


def doing(office: Office, job_id: int, heartbeat_s: float) -> None:
    """Say that a worker took the job, and last told that many seconds ago that it lives."""
    with office.installation.database.without_team() as connection:
        connection.execute(
            sa.text(
                """
                WITH worker AS (
                  INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - make_interval(secs => :ago))
                  RETURNING id
                )
                UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT id FROM worker) WHERE id = :id
                """
            ),
            {"ago": heartbeat_s, "id": job_id},
        )


def retry_stalled(office: Office, url: str) -> None:
    app = procrastinate.App(connector=bootstrap._connector(url))
    jobs.add_tasks(app, office.installation)

    async def run() -> None:
        async with app.open_async():
            await app.tasks["retry_stalled"].func(0)

    asyncio.run(run())


def test_the_job_of_a_dead_worker_is_started_again_and_that_of_a_living_one_is_not(
    office: Office, database_url: str
) -> None:
    office.mail.deliver(ADA, 1)
    office.sync()
    (job,) = office.jobs("crm_write")
    doing(office, job.id, jobs.STALLED_AFTER_S - 10)
    retry_stalled(office, database_url)
    assert office.jobs("crm_write") == []
    doing(office, job.id, jobs.STALLED_AFTER_S + 1)
    retry_stalled(office, database_url)
    assert [again.id for again in office.jobs("crm_write")] == [job.id]


def test_a_worker_runs_what_a_push_a_note_and_the_mirror_enqueue(office: Office, database_url: str) -> None:
    office.mail.deliver(ADA, 1)
    with office.team() as connection:
        queue.defer(connection, "refresh_mirror", [({"team_id": office.team_id}, f"mirror:{office.team_id}")])
    push(office)
    worker = bootstrap.Worker(office.installation, database_url, concurrency=2)
    worker.start()
    deadline = time.monotonic() + 20
    while not office.notes() and time.monotonic() < deadline:
        time.sleep(0.02)
    worker.stop()
    worker.stop()
    (note,) = office.notes()
    assert "Snippet 1" in note
    assert hint(office).synced_generation >= 1


def test_the_schedules_of_a_worker_do_their_work(office: Office, database_url: str) -> None:
    office.clock.step(seconds=700)
    app = procrastinate.App(connector=bootstrap._connector(database_url))
    jobs.add_tasks(app, office.installation)
    for name in ("poll_quiet", "write_due", "renew_subscriptions", "audit_windows", "purge_bodies"):
        app.tasks[name].func(0)
    assert sorted(job.task_name for job in office.jobs()) == ["audit_account", "renew_subscription", "sync_account"]
