"""Brings one mailbox up to date: list changes, fetch, ingest, decide. One page, read from top to bottom.

The cursor moves in the transaction that records the ids it covers; a message leaves the queue of discovered messages
in the transaction that stores it. So a crash anywhere loses nothing, and running again adds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from app import addressed, crm_calls, ingest, mirror, offers
from app.crash_points import crash_point
from app.errors import Conflict, CrmRests, CursorExpired, ProviderError, TransientError, Unavailable
from app.installation import Installation
from app.linking.addresses import is_ours, normalize, parse_list
from app.model import Account, ProviderMessage
from app.ports import (
    ChangePage,
    CrmConnection,
    FailedMessage,
    Fetched,
    FetchOutcome,
    FilteredMessage,
    GoneMessage,
    Mailbox,
    MailConnector,
)
from app.smart_bcc import PROVIDER
from app.store import account_folders, accounts, crm_connections, discovered, queue
from app.store import mirror as mirror_rows

# A provider's index may lag its notification: ask again after 2, 5, 15 and 60 seconds, then leave it to the poll.
LAG_WAITS_S = (2, 5, 15, 60)
# A message that cannot be read is tried this often before it is parked for a person to look at.
MAX_ATTEMPTS = 12
# How long mail waits for a mirror that is being brought up to date.
CATCH_UP_FOR = timedelta(seconds=10)
ADDRESS_HEADERS = frozenset({"from", "to", "cc"})
# How far before the last good moment a recovery starts.
RECOVERY_MARGIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Synced:
    """What a run did, and when to come back without being asked (None: when the next hint comes)."""

    discovered: int
    stored: int
    again_at: datetime | None


def sync_account(
    installation: Installation,
    team_id: int,
    account_id: int,
    *,
    until: str | None = None,
    close: Callable[[sa.Connection, datetime | None], None] | None = None,
) -> Synced:
    """Read what changed in one mailbox, store it and decide on it; `until` is the position a notification named.

    `close` is called in the transaction that records the end, with when to ask again. Raises ProviderError when the
    mailbox cannot be read at all; what was discovered before that stays.
    """
    with installation.database.for_team(team_id) as connection:
        reading = accounts.reading(connection, account_id)
        if reading.position.cursor is None or reading.list_again_from is not None:
            accounts.set_state(connection, account_id, "backfilling", installation.clock.now())
        crms = installation.crm_connections_in(connection)
    account = reading.account
    connector = installation.mail[account.provider]
    mailbox = Mailbox(account, installation.credentials_of(account), reading.history_from)
    for crm in crms:
        _refresh(installation, crm)
    crash_point("sync.mirror_refreshed")

    found, complete = _discover(installation, connector, mailbox, reading, until)
    if reading.list_again_from is not None:
        found += _list_again(installation, connector, mailbox, reading.list_again_from)
    stored = 0
    while True:
        now = installation.clock.now()
        with installation.database.for_team(team_id) as connection:
            batch = _next_batch(connection, connector, account, now)
            if not batch.ids:
                again_at = _end(connection, account_id, now, complete=complete)
                if close is not None:
                    close(connection, again_at)
                crash_point("sync.before_end_committed")
                break
        stored += _read_batch(installation, connector, mailbox, batch, crms)
    return Synced(found, stored, again_at)


def _end(connection: sa.Connection, account_id: int, now: datetime, *, complete: bool) -> datetime | None:
    """Record that the mailbox was read to its end; return when to ask again."""
    accounts.synced(connection, account_id, now)
    due = [discovered.next_due(connection, account_id)]
    if not complete:
        due.append(_lag_over(accounts.last_push_at(connection, account_id), now))
    return min((at for at in due if at is not None), default=None)


def refresh_mirror(installation: Installation, team_id: int, *, max_age_s: int | None = None) -> None:
    """Bring the local copy of the CRM up to date when it is older than allowed; links follow their items with it.

    Without max_age_s, before decisions, it takes a moment at most: a first load goes on in a job of its own, and a CRM
    that is left alone or fails holds up no mail. With it, as a job, it reads to the end, what webhooks named included.
    """
    for crm in installation.crm_connections(team_id):
        _refresh(installation, crm, max_age_s)


def _refresh(installation: Installation, crm: CrmConnection, max_age_s: int | None = None) -> None:
    try:
        if max_age_s is None:
            _catch_up(installation, crm)
        else:
            _read_to_the_end(installation, crm, max_age_s)
    except (ProviderError, Conflict, CrmRests):
        return  # mail is decided on what the mirror holds; crm_calls remembers, and the doctor says how old it is


def _catch_up(installation: Installation, crm: CrmConnection) -> None:
    with installation.database.for_team(crm.team_id) as connection:
        age = mirror_rows.age(connection, crm.id)
        breaker = crm_connections.breaker(connection, crm.id)
    now, allowed = installation.clock.now(), timedelta(seconds=installation.settings.mirror_max_age_s)
    if age.refreshed_at is not None and now - age.refreshed_at < allowed:
        return
    with crm_calls.calling(installation, crm, breaker) as adapter:
        mirror.refresh(
            installation.database,
            adapter,
            crm,
            installation.clock,
            follow=offers.following(installation, crm.team_id),
            until=now + CATCH_UP_FOR,
        )
    if age.refreshed_at is not None:
        return
    with installation.database.for_team(crm.team_id) as connection:
        if mirror_rows.age(connection, crm.id).refreshed_at is None:
            queue.defer(connection, "refresh_mirror", [({"team_id": crm.team_id}, f"mirror:{crm.team_id}")])


def _read_to_the_end(installation: Installation, crm: CrmConnection, max_age_s: int) -> None:
    database, follow = installation.database, offers.following(installation, crm.team_id)
    with database.for_team(crm.team_id) as connection:
        crm_connections.take(connection, crm.id)
        crm_connections.forget_events(connection, crm.id, installation.clock.now())
    with crm_calls.calling(installation, crm) as adapter:
        mirror.refresh_if_stale(database, adapter, crm, installation.clock, max_age_s=max_age_s, follow=follow)
        mirror.read_named(database, adapter, crm, follow=follow)
        mirror.read_users(database, adapter, crm, installation.clock)


def _look_up(
    installation: Installation, team_id: int, crms: Sequence[CrmConnection], messages: Sequence[ProviderMessage]
) -> None:
    """Ask CRMs whose changes may lag about addresses that nobody is known with, before the mail is decided on."""
    if not crms:
        return
    written = [value for message in messages for name, value in message.headers if name.lower() in ADDRESS_HEADERS]
    found = {normalize(address) for value in written for _, address in parse_list(value)}
    for crm in crms if found else ():
        with installation.database.for_team(team_id) as connection:
            ours = accounts.ours(connection)
            theirs = [address for address in found if address and not is_ours(address, ours)]
            unknown = mirror.not_looked_up(connection, crm, installation.clock, theirs)
        if not unknown:
            continue
        try:
            with crm_calls.calling(installation, crm) as adapter:
                follow = offers.following(installation, team_id)
                mirror.look_up(installation.database, adapter, crm, installation.clock, unknown, follow=follow)
        except (ProviderError, Conflict, CrmRests):
            continue


def audit_account(installation: Installation, team_id: int, account_id: int, window: timedelta) -> int:
    """Compare what the provider lists for the last days with what was discovered; return how many were missing."""
    with installation.database.for_team(team_id) as connection:
        account = accounts.account(connection, account_id)
    connector = installation.mail[account.provider]
    mailbox = Mailbox(account, installation.credentials_of(account))
    now = installation.clock.now()
    missing = _record_window(installation, connector, mailbox, now - window)
    with installation.database.for_team(team_id) as connection:
        accounts.audited(connection, account_id, now)
    return missing


def _list_again(installation: Installation, connector: MailConnector, mailbox: Mailbox, since: datetime) -> int:
    """Record the earlier mail of folders that were chosen since, so that it is read; return how many messages."""
    found = _record_window(installation, connector, mailbox, since)
    with installation.database.for_team(mailbox.account.team_id) as connection:
        account_folders.listed_again(connection, mailbox.account.id, mailbox.account.folders)
    return found


def _record_window(installation: Installation, connector: MailConnector, mailbox: Mailbox, since: datetime) -> int:
    """Record everything since a moment; return how many messages were not known, or left out until now."""
    account, missing = mailbox.account, 0
    for changes in connector.list_window(mailbox, since):
        now = installation.clock.now()
        with installation.database.for_team(account.team_id) as connection:
            missing += discovered.record(connection, account.team_id, account.id, changes, now)["pending"]
        crash_point("audit.window_recorded")
    return missing


def _lag_over(last_push_at: datetime | None, now: datetime) -> datetime | None:
    """Return when to ask again for what a push promised and the provider does not show yet; None to give up."""
    waited_s = (now - last_push_at).total_seconds() if last_push_at else LAG_WAITS_S[-1]
    wait_s = next((wait_s for wait_s in LAG_WAITS_S if waited_s < wait_s), None)
    return now + timedelta(seconds=wait_s) if wait_s else None


def _discover(
    installation: Installation,
    connector: MailConnector,
    mailbox: Mailbox,
    reading: accounts.Reading,
    until: str | None,
) -> tuple[int, bool]:
    """Record every page of changes, moving the cursor with each; return how many ids, and whether all were shown."""
    pages = connector.list_changes(mailbox, reading.position.cursor, until)
    try:
        return _record_pages(installation, mailbox.account, reading.position, pages)
    except CursorExpired:
        since = (reading.last_sync_at or mailbox.history_from or installation.clock.now()) - RECOVERY_MARGIN
    crash_point("sync.cursor_expired")
    with installation.database.for_team(mailbox.account.team_id) as connection:
        position = accounts.reading(connection, mailbox.account.id).position
    return _record_pages(installation, mailbox.account, position, connector.recover(mailbox, since))


def _record_pages(
    installation: Installation, account: Account, position: discovered.Position, pages: Iterable[ChangePage]
) -> tuple[int, bool]:
    found, complete = 0, True
    for page in pages:
        now = installation.clock.now()
        with installation.database.for_team(account.team_id) as connection:
            position, touched = discovered.record_page(connection, account.team_id, account.id, page, position, now)
            ingest.refresh_notes(connection, account.team_id, touched)
            crash_point("sync.before_page_committed")
        crash_point("sync.page_committed")
        found += len(page.changes)
        complete = page.complete
    return found, complete


@dataclass(frozen=True, slots=True)
class _Batch:
    """Pending messages that are read together; those in `known` are stored already."""

    ids: Sequence[str]
    known: frozenset[str]


def _next_batch(connection: sa.Connection, connector: MailConnector, account: Account, now: datetime) -> _Batch:
    """Choose what is read next, and settle what is stored already: no message is read twice."""
    ids = discovered.pending(connection, account.id, connector.capabilities.batch_size, now)
    known = ingest.known_copies(connection, account.id, ids)
    if known:
        discovered.settle(connection, account.id, [(provider_id, "stored", "") for provider_id in known], now)
    return _Batch(ids, known)


def _read_batch(
    installation: Installation,
    connector: MailConnector,
    mailbox: Mailbox,
    batch: _Batch,
    crms: Sequence[CrmConnection],
) -> int:
    """Fetch and store a batch of pending messages; return how many were stored."""
    account = mailbox.account
    wanted = [provider_id for provider_id in batch.ids if provider_id not in batch.known]
    crash_point("sync.batch_chosen")
    outcomes = connector.fetch(mailbox, wanted) if wanted else []
    crash_point("sync.batch_fetched")
    answered = {outcome.provider_id for outcome in outcomes}
    unanswered = [FailedMessage(i, Unavailable(provider=account.provider)) for i in wanted if i not in answered]
    lagging = [crm for crm in crms if installation.open_crm(crm).capabilities.read_through]
    messages = [outcome.message for outcome in outcomes if isinstance(outcome, Fetched)]
    _look_up(installation, account.team_id, lagging, messages)
    if account.provider == PROVIDER:
        addressed.create_persons(installation, account, crms, messages)
    stored = _store(installation, connector, account, [*outcomes, *unanswered])
    crash_point("sync.batch_committed")
    return stored


def _store(
    installation: Installation, connector: MailConnector, account: Account, outcomes: Sequence[FetchOutcome]
) -> int:
    """Store a batch in one transaction; when one message breaks it, store one by one and park that one."""
    try:
        with installation.database.for_team(account.team_id) as connection:
            return _store_batch(installation, connection, connector, account, outcomes)
    except (ValueError, TypeError, LookupError, RecursionError, sa.exc.DataError) as error:
        if len(outcomes) > 1:
            return sum(_store(installation, connector, account, [outcome]) for outcome in outcomes)
        poison, why = outcomes[0].provider_id, f"unreadable: {type(error).__name__}"
        with installation.database.for_team(account.team_id) as connection:
            discovered.settle(connection, account.id, [(poison, "parked", why)], installation.clock.now())
        return 0


def _store_batch(
    installation: Installation,
    connection: sa.Connection,
    connector: MailConnector,
    account: Account,
    outcomes: Sequence[FetchOutcome],
) -> int:
    now = installation.clock.now()
    messages = [outcome.message for outcome in outcomes if isinstance(outcome, Fetched)]
    discovered.forget_erased(connection, account.id, [message.provider_id for message in messages])
    ingest.ingest(
        connection,
        account,
        messages,
        authserv_id=connector.capabilities.authserv_id,
        now=now,
        retention=timedelta(days=installation.settings.body_retention_days),
    )
    addressed.link(connection, account, messages, now)
    settled = [(message.provider_id, "stored", "") for message in messages]
    settled += [(o.provider_id, "filtered", o.rule) for o in outcomes if isinstance(o, FilteredMessage)]
    gone = [o.provider_id for o in outcomes if isinstance(o, GoneMessage)]
    ingest.refresh_notes(connection, account.team_id, discovered.erase(connection, account.id, gone, now))
    failed = [o for o in outcomes if isinstance(o, FailedMessage)]
    tried = discovered.attempts(connection, account.id, [o.provider_id for o in failed])
    retried = []
    for outcome in failed:
        attempt, why = tried.get(outcome.provider_id, 0) + 1, type(outcome.error).__name__
        if not isinstance(outcome.error, TransientError) or attempt >= MAX_ATTEMPTS:
            settled.append((outcome.provider_id, "parked", why))
            continue
        wait_s = max(outcome.error.retry_after_s or 0, min(2.0**attempt, 3600))
        retried.append((outcome.provider_id, why, now + timedelta(seconds=wait_s)))
    discovered.settle(connection, account.id, settled, now)
    discovered.retry(connection, account.id, retried)
    crash_point("sync.before_batch_committed")
    return len(messages)
