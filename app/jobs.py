"""The Procrastinate tasks and their schedules, one short function each, and what each class of error leads to.

Arguments are ids only; a job reads everything else from the rows. Nothing here decides anything about mail.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import procrastinate
import sqlalchemy as sa
import structlog

from app import crm_calls, erasing, notices, outgoing_webhooks, subscriptions, sync, work, writes
from app.crash_points import crash_point
from app.errors import (
    AccessRevoked,
    AdminBlocked,
    ApplicationMisconfigured,
    Conflict,
    CrmRests,
    CursorExpired,
    DailyLimitReached,
    DatabaseUnreachable,
    Gone,
    MailboxUnavailable,
    NotFound,
    ProviderError,
    RateLimited,
    Rejected,
    TransientError,
    Unavailable,
    Unsupported,
)
from app.installation import Installation
from app.ports import CrmSubscribing
from app.store import accounts, crm, crm_connections, lookups, queue, smart_bcc
from app.store import outgoing_webhooks as webhook_rows
from app.store.accounts import AccountState

log = structlog.get_logger(__name__)

# A mailbox that was read a moment ago rests: a burst of pushes costs a run a second, not a run each.
COALESCE = timedelta(seconds=1)
AUDIT_WINDOW = timedelta(hours=48)
LONGEST_WAIT_S = 3600.0
# A worker says every few seconds that it lives; the jobs of one that does not are started again by another.
HEARTBEAT_S = 5.0
STALLED_AFTER_S = 15.0
# How many rows a schedule looks at in one run; the next run takes the rest.
SCHEDULE_LIMIT = 10_000
# Received mail is kept a while after it was stored, and longer while it waits for somebody to release it.
STORED_MAIL_FOR = timedelta(days=1)
HELD_MAIL_FOR = timedelta(days=30)
PURGE_MAILS = 500  # up to 25 MB each
# For what nobody foresaw (a bug, a database that restarts): a few tries, then the failed job is there to be seen.
RETRY = procrastinate.RetryStrategy(max_attempts=6, exponential_wait=3)


@dataclass(frozen=True, slots=True)
class Action:
    """What follows an error of a vendor, for the account or the CRM write that met it."""

    state: AccountState | None = None  # the account's new state; None leaves it as it is
    wait_s: float | None = None  # try again after this long; None: growing with each failure
    again: bool = True  # False: only a person leads on


# The one place that says what a class of error leads to (README, "Errors"). A test holds it to every leaf.
ACTIONS: Mapping[type[ProviderError], Action] = {
    RateLimited: Action("throttled"),
    DailyLimitReached: Action("throttled"),
    Unavailable: Action("degraded"),
    CursorExpired: Action(wait_s=LONGEST_WAIT_S),  # the recovery itself found no position
    AccessRevoked: Action("reauth_required", again=False),
    AdminBlocked: Action("admin_blocked", again=False),
    MailboxUnavailable: Action("mailbox_unavailable", wait_s=86_400),
    Gone: Action(again=False),
    Rejected: Action(again=False),
    Unsupported: Action(again=False),
    ApplicationMisconfigured: Action(wait_s=900),  # no account is touched: the operator is told
}


def add_tasks(app: procrastinate.App, installation: Installation) -> None:
    """Register every task on a fresh app, under the names that store.queue enqueues."""

    def of_account(run: Callable[[Installation, int, int], None]) -> None:
        @app.task(name=run.__name__, retry=RETRY)
        def task(team_id: int, account_id: int) -> None:
            run(installation, team_id, account_id)

    def scheduled(cron: str, run: Callable[[Installation], None]) -> None:
        @app.periodic(cron=cron)
        @app.task(name=run.__name__)
        def task(timestamp: int) -> None:  # noqa: ARG001 - Procrastinate gives it
            run(installation)

    for task_of_account in (sync_account, wake_account, renew_subscription, audit_account):
        of_account(task_of_account)

    @app.task(name="crm_write", retry=RETRY)
    def write(team_id: int, write_id: int) -> None:
        crm_write(installation, team_id, write_id)

    @app.task(name="refresh_mirror", retry=RETRY)
    def refresh_mirror(team_id: int) -> None:
        sync.refresh_mirror(installation, team_id, max_age_s=0)

    @app.task(name="subscribe_crm", retry=RETRY)
    def subscribe(team_id: int, connection_id: int) -> None:
        subscribe_crm(installation, team_id, connection_id)

    @app.task(name="deliver_webhook", retry=RETRY)
    def deliver(team_id: int, webhook_id: int) -> None:
        outgoing_webhooks.deliver(installation, team_id, webhook_id)

    @app.task(name="erase_account", retry=RETRY)
    def erase_account(team_id: int, account_id: int) -> None:
        erasing.go_on(installation, team_id, account_id)

    @app.task(name="do_work", retry=RETRY)
    def work_on(team_id: int, work_id: int) -> None:
        do_work(installation, team_id, work_id)

    add_tasks_of_notices(app, installation)
    scheduled("* * * * *", notices.examine_accounts)
    scheduled("* * * * *", notices.send_letters)
    scheduled("*/10 * * * *", notices.owe_digests)
    scheduled("*/10 * * * *", notices.owe_held_letters)
    scheduled("* * * * *", poll_quiet)
    scheduled("* * * * *", write_due)
    scheduled("* * * * *", work_due)
    scheduled("* * * * *", refresh_mirrors)
    scheduled("* * * * *", deliver_due_webhooks)
    scheduled("23 * * * *", subscribe_crms)
    scheduled("*/10 * * * *", renew_subscriptions)
    scheduled("17 * * * *", audit_windows)
    scheduled("42 3 * * *", purge_bodies)

    _retry_stalled_with(app)


def _retry_stalled_with(app: procrastinate.App) -> None:
    @app.periodic(cron="* * * * * */10")  # the sixth field: seconds
    @app.task(name="retry_stalled")
    async def retry_stalled(timestamp: int) -> None:  # noqa: ARG001 - Procrastinate gives it
        """Start the jobs of workers that died again."""
        for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_AFTER_S):
            await app.job_manager.retry_job(job)


def add_tasks_of_notices(app: procrastinate.App, installation: Installation) -> None:
    """Register the tasks that notice trouble and write to members."""

    @app.task(name="examine_team", retry=RETRY)
    def examine(team_id: int) -> None:
        notices.examine(installation, team_id)

    @app.task(name="send_letter", retry=RETRY)
    def send(team_id: int, letter_id: int) -> None:
        notices.send(installation, team_id, letter_id)

    @app.task(name="owe_digest", retry=RETRY)
    def owe_digest(team_id: int, member_id: int) -> None:
        notices.owe_digest(installation, team_id, member_id)

    @app.task(name="owe_held", retry=RETRY)
    def owe_held(team_id: int, member_id: int) -> None:
        notices.owe_held(installation, team_id, member_id)


# --- one account ---


def sync_account(installation: Installation, team_id: int, account_id: int) -> None:
    """Bring one mailbox up to date; what is hinted meanwhile gets a run of its own."""
    database = installation.database
    now = installation.clock.now()
    with database.for_team(team_id) as connection:
        reading = accounts.find_reading(connection, account_id)
        rest_until = reading.rests_until(now, COALESCE) if reading else None
        if rest_until is not None:  # the hint stays queued, so the pushes of the meantime come along
            queue.defer(
                connection,
                "sync_account",
                [_account_job(team_id, account_id, kind="account")],
                at=installation.due(rest_until),
            )
            return
        hint = queue.take(connection, account_id)
    if reading is None or not reading.may_be_asked(now):  # a wake_account waits for the end of a throttling
        return
    if not hint.is_open:
        return
    crash_point("sync.hint_taken")

    def close(connection: sa.Connection, again_at: datetime | None) -> None:
        hint_now = queue.synced(connection, account_id, hint.generation)
        if again_at is not None:
            _wake(connection, installation, team_id, account_id, again_at)
        if hint_now.is_open:  # hinted during the run: once more, after a rest
            queue.hint_accounts(connection, [account_id])

    try:
        sync.sync_account(installation, team_id, account_id, until=hint.position, close=close)
    except ProviderError as error:
        _account_failed(installation, team_id, account_id, error)
        return
    except (NotFound, Conflict) as error:  # deleted, or another worker moved on, who may not know of this hint
        log.info("sync_superseded", account=account_id, error=type(error).__name__)
        with database.for_team(team_id) as connection:
            queue.hint_accounts(connection, [account_id])
        return
    crash_point("sync.end_committed")


def wake_account(installation: Installation, team_id: int, account_id: int) -> None:
    """Hint an account that asked to be read again at this time."""
    with installation.database.for_team(team_id) as connection:
        account = accounts.account_by_id(connection, account_id)
        if account is not None and account.state == "mailbox_unavailable":
            accounts.set_state(connection, account_id, "degraded", installation.clock.now())
        queue.hint_accounts(connection, [account_id])
    crash_point("wake.hinted")


def renew_subscription(installation: Installation, team_id: int, account_id: int) -> None:
    """Renew one account's registration for pushes, and read what came before it stood."""
    if not _may_ask(installation, team_id, account_id):
        return
    try:
        subscriptions.renew(installation, team_id, account_id)
    except ProviderError as error:
        _account_failed(installation, team_id, account_id, error)
        return
    crash_point("renew.committed")
    with installation.database.for_team(team_id) as connection:
        queue.hint_accounts(connection, [account_id])


def audit_account(installation: Installation, team_id: int, account_id: int) -> None:
    """Compare the last 48 hours of one mailbox with what was discovered."""
    if not _may_ask(installation, team_id, account_id):
        return
    try:
        missing = sync.audit_account(installation, team_id, account_id, AUDIT_WINDOW)
    except ProviderError as error:
        _account_failed(installation, team_id, account_id, error)
        return
    crash_point("audit.committed")
    if missing:
        log.warning("audit_found_missing", account=account_id, missing=missing)
        with installation.database.for_team(team_id) as connection:
            queue.hint_accounts(connection, [account_id])


def _may_ask(installation: Installation, team_id: int, account_id: int) -> bool:
    """Whether an account is there and read, and its provider did not ask us to wait; a schedule asks again later."""
    with installation.database.for_team(team_id) as connection:
        reading = accounts.find_reading(connection, account_id)
    return reading is not None and reading.may_be_asked(installation.clock.now())


# --- one note ---


def crm_write(installation: Installation, team_id: int, write_id: int) -> None:
    """Bring one CRM note up to date."""
    try:
        again_at = writes.bring_up_to_date(installation, team_id, write_id)
    except CrmRests as rests:
        # Nothing was asked, so nothing counts as an attempt; a spread, or all that is owed would come back at once.
        wait_s = rests.wait_s + random.random() * min(rests.wait_s, 30)  # noqa: S311 - jitter
        again_at = installation.clock.now() + timedelta(seconds=wait_s)
    except ProviderError as error:
        _write_failed(installation, team_id, write_id, error)
        return
    crash_point("write.settled")
    if again_at is not None:
        with installation.database.for_team(team_id) as connection:
            _write_again(connection, installation, team_id, write_id, again_at)


def subscribe_crm(installation: Installation, team_id: int, connection_id: int) -> None:
    """Look after the webhooks of one CRM connection; what fails is tried again with the next schedule."""
    for crm_connection in installation.crm_connections(team_id):
        if crm_connection.id != connection_id:
            continue
        try:
            with crm_calls.calling(installation, crm_connection) as adapter:
                if isinstance(adapter, CrmSubscribing) and adapter.capabilities.webhooks:
                    base_url = installation.settings.public_base_url
                    adapter.subscribe(f"{base_url}/webhooks/crm/{crm_connection.public_id}")
        except (ProviderError, CrmRests) as error:
            log.warning("crm_not_subscribed", connection=connection_id, error=type(error).__name__)
            return
        with installation.database.for_team(team_id) as connection:
            crm_connections.subscribed(connection, connection_id, installation.clock.now())


# --- what a member asked to be done to many conversations ---


def do_work(installation: Installation, team_id: int, work_id: int) -> None:
    """Go on with a piece of work to its end; what nobody foresaw ends it, so that its member is told."""
    try:
        work.run(installation, team_id, work_id)
    except (DatabaseUnreachable, sa.exc.DBAPIError):  # somebody holds a lock, or the server restarts: tried again
        raise
    except Exception:
        with installation.database.for_team(team_id) as connection:
            work.stop(connection, work_id, installation.clock.now())
        raise


# --- schedules ---


def refresh_mirrors(installation: Installation) -> None:
    """Enqueue a refresh of each mirror that is older than the poll period, or was never filled."""
    now = installation.clock.now()
    before = now - timedelta(seconds=installation.settings.poll_quiet_s)
    with installation.database.without_team() as connection:
        due = lookups.due_mirrors(connection, before, now, SCHEDULE_LIMIT)
        teams = sorted({team_id for team_id, _ in due})
        queue.defer(connection, "refresh_mirror", [({"team_id": each}, f"mirror:{each}") for each in teams])


def subscribe_crms(installation: Installation) -> None:
    """Look after the webhooks of each CRM connection once a day: CRMs drop webhooks that failed."""
    before = installation.clock.now() - timedelta(days=1)
    with installation.database.without_team() as connection:
        due = lookups.due_crm_subscriptions(connection, before, SCHEDULE_LIMIT)
        jobs = [({"team_id": team_id, "connection_id": each}, f"subscribe_crm:{each}") for team_id, each in due]
        queue.defer(connection, "subscribe_crm", jobs)


def renew_subscriptions(installation: Installation) -> None:
    """Enqueue a renewal for each account whose registration ends soon or is missing."""
    now = installation.clock.now()
    with installation.database.without_team() as connection:
        for provider, connector in installation.mail.items():  # each has its own idea of well before the end
            before = now + timedelta(seconds=connector.capabilities.subscription_renew_before_s)
            due = lookups.due_subscriptions(connection, provider, before, SCHEDULE_LIMIT)
            queue.defer(connection, "renew_subscription", [_account_job(*ids, kind="renew") for ids in due])


def poll_quiet(installation: Installation) -> None:
    """Hint each account without a push or a read for the poll period."""
    before = installation.clock.now() - timedelta(seconds=installation.settings.poll_quiet_s)
    with installation.database.without_team() as connection:
        quiet = lookups.quiet_accounts(connection, before, SCHEDULE_LIMIT)
        queue.hint_accounts(connection, sorted(account_id for _, account_id in quiet))


def write_due(installation: Installation) -> None:
    """Enqueue the notes that are owed and that no job looks after."""
    with installation.database.without_team() as connection:
        due = lookups.due_crm_writes(connection, installation.clock.now(), SCHEDULE_LIMIT)
        queue.defer(connection, "crm_write", [crm.job(*each) for each in due])


def deliver_due_webhooks(installation: Installation) -> None:
    """Enqueue the webhooks that are to be told something now and that no job looks after."""
    with installation.database.without_team() as connection:
        due = lookups.due_webhooks(connection, installation.clock.now(), SCHEDULE_LIMIT)
        queue.defer(connection, "deliver_webhook", [webhook_rows.job(*each) for each in due])


def work_due(installation: Installation) -> None:
    """Enqueue the long work that no job looks after."""
    with installation.database.without_team() as connection:
        due = lookups.due_work(connection, SCHEDULE_LIMIT)
        queue.defer(connection, "do_work", [work.job(team_id, work_id) for team_id, work_id in due])


def audit_windows(installation: Installation) -> None:
    """Start the audit of every account whose last one is a day old."""
    before = installation.clock.now() - timedelta(days=1)
    with installation.database.without_team() as connection:
        due = lookups.due_audits(connection, before, SCHEDULE_LIMIT)
        queue.defer(connection, "audit_account", [_account_job(*ids, kind="audit") for ids in due])


def purge_bodies(installation: Installation) -> None:
    """Erase message texts whose retention is over, and received mail that is stored or was held back too long."""
    erased = SCHEDULE_LIMIT
    while erased == SCHEDULE_LIMIT:  # a day of a big installation is more than one transaction should hold
        with installation.database.without_team() as connection:
            erased = lookups.purge_bodies(connection, installation.clock.now(), SCHEDULE_LIMIT)
    purged = PURGE_MAILS
    while purged == PURGE_MAILS:
        now = installation.clock.now()
        with installation.database.without_team() as connection:
            purged = smart_bcc.purge(connection, now - STORED_MAIL_FOR, now - HELD_MAIL_FOR, PURGE_MAILS)


# --- what errors lead to ---


def _account_failed(installation: Installation, team_id: int, account_id: int, error: ProviderError) -> None:
    action = ACTIONS[type(error)]
    now = installation.clock.now()
    crash_point("sync.failed")
    log.warning(
        "account_failed",
        account=account_id,
        error=type(error).__name__,
        operation=error.operation,
        provider=error.provider,
        state=action.state,
    )
    with installation.database.for_team(team_id) as connection:
        failures = accounts.failed(connection, account_id, type(error).__name__)
        until = now + timedelta(seconds=_wait_s(action, error, failures)) if action.again else None
        if action.state is not None:
            accounts.set_state(connection, account_id, action.state, now, reason=action.state, throttled_until=until)
        elif until is not None:
            accounts.throttle(connection, account_id, until)
        if until is not None:
            _wake(connection, installation, team_id, account_id, until)
    crash_point("sync.failure_committed")


def _write_failed(installation: Installation, team_id: int, write_id: int, error: ProviderError) -> None:
    action = ACTIONS[type(error)]
    log.warning("crm_write_failed", write=write_id, error=type(error).__name__, operation=error.operation)
    with installation.database.for_team(team_id) as connection:
        note = crm.lock_note(connection, write_id)
        if note is None:
            return
        until = installation.clock.now() + timedelta(seconds=_wait_s(action, error, note.attempts))
        crm.postpone(
            connection,
            write_id,
            until=until if action.again else None,
            error=type(error).__name__,
            parked=not action.again,
        )
        if action.again:
            _write_again(connection, installation, team_id, write_id, until)


def _wake(connection: sa.Connection, installation: Installation, team_id: int, account_id: int, at: datetime) -> None:
    queue.defer(
        connection,
        "wake_account",
        [({"team_id": team_id, "account_id": account_id}, None)],
        at=installation.due(at),
    )


def _write_again(
    connection: sa.Connection, installation: Installation, team_id: int, write_id: int, at: datetime
) -> None:
    queue.defer(connection, "crm_write", [crm.job(team_id, write_id)], at=installation.due(at))


def _account_job(team_id: int, account_id: int, kind: str) -> tuple[dict[str, int], str]:
    return {"team_id": team_id, "account_id": account_id}, f"{kind}:{account_id}"


def _wait_s(action: Action, error: ProviderError, failures: int) -> float:
    """Return how long to wait: what the vendor asked for, the action's own wait, or doubling with full jitter."""
    if action.wait_s is not None:
        return action.wait_s
    asked = error.retry_after_s if isinstance(error, TransientError) and error.retry_after_s else 0.0
    growing = min(2.0 ** min(failures + 1, 12), LONGEST_WAIT_S)
    return max(asked, 1 + random.random() * growing)  # noqa: S311 - jitter, not a secret
