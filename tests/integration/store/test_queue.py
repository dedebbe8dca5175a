"""Hints and jobs: who enqueues, what coalesces, and that nothing is lost however transactions interleave and fail."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from app.model import AccountKind
from app.ports import ConnectedMailbox
from app.store import accounts, queue
from app.store.database import Database
from app.store.queue import Hint

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def connect(database: Database) -> Callable[..., int]:
    """Connect mailboxes; the call returns the account's id."""

    def add(team_id: int, mailbox: str = "anna", provider: str = "gmail", kind: AccountKind = "team") -> int:
        connected = ConnectedMailbox(mailbox, f"user-{mailbox}", f"{mailbox}@{provider}.example", {})
        with database.for_team(team_id) as connection:
            return accounts.add(
                connection,
                team_id,
                provider,
                kind,
                connected,
                owner_id=None,
                auto_link=True,
                history_from=None,
                now=NOW,
            )

    return add


def jobs(database: Database) -> list[tuple[str, str | None, dict[str, int]]]:
    with database.without_team() as connection:
        rows = connection.execute(sa.text("SELECT task_name, lock, args FROM procrastinate_jobs ORDER BY id"))
        return [(row.task_name, row.lock, row.args) for row in rows]


def sync_job(team_id: int, account_id: int) -> tuple[str, str, dict[str, int]]:
    return "sync_account", f"account:{account_id}", {"team_id": team_id, "account_id": account_id}


def hint_of(database: Database, team_id: int, account_id: int) -> Hint:
    with database.for_team(team_id) as connection:
        return queue.generation(connection, account_id)


# --- hints ---


def test_a_push_raises_the_hint_and_enqueues_one_job_with_ids_alone(
    database: Database, team: Callable[..., int], connect: Callable[..., int]
) -> None:
    account_id = connect(team_id := team())
    with database.autocommit() as connection:
        assert queue.hint(connection, "gmail", [("anna", "100")]) == 1
    assert hint_of(database, team_id, account_id) == Hint(1, 0, "100")
    assert jobs(database) == [sync_job(team_id, account_id)]


def test_a_hundred_pushes_for_one_account_make_one_job(
    database: Database, team: Callable[..., int], connect: Callable[..., int]
) -> None:
    account_id = connect(team_id := team())
    with database.autocommit() as connection:
        for number in range(100):
            queue.hint(connection, "gmail", [("anna", str(number))])
    assert hint_of(database, team_id, account_id) == Hint(100, 0, "99")
    assert len(jobs(database)) == 1


def test_an_acknowledgement_is_one_statement(
    database: Database, team: Callable[..., int], connect: Callable[..., int]
) -> None:
    connect(team())
    with database.autocommit():
        pass
    sent: list[str] = []
    with database.autocommit() as connection:
        sa.event.listen(connection, "before_cursor_execute", lambda _c, _cur, sql, *_: sent.append(sql))
        queue.hint(connection, "gmail", [("anna", "1"), ("bob", "2")])
    assert len(sent) == 1


def test_a_push_for_an_unknown_mailbox_or_provider_changes_nothing(
    database: Database, team: Callable[..., int], connect: Callable[..., int]
) -> None:
    connect(team())
    with database.autocommit() as connection:
        assert queue.hint(connection, "gmail", [("nobody", "1")]) == 0
        assert queue.hint(connection, "graph", [("anna", "1")]) == 0
        assert queue.hint(connection, "gmail", []) == 0
    assert jobs(database) == []


def test_one_mailbox_of_two_teams_is_hinted_in_both(
    database: Database, team: Callable[..., int], connect: Callable[..., int]
) -> None:
    teams = team("Agency"), team("Customer")
    expected = [sync_job(team_id, connect(team_id)) for team_id in teams]
    with database.autocommit() as connection:
        assert queue.hint(connection, "gmail", [("anna", None)]) == 2
    assert jobs(database) == expected


def test_a_batch_names_a_mailbox_twice_and_is_one_hint(
    database: Database, team: Callable[..., int], connect: Callable[..., int]
) -> None:
    account_id = connect(team_id := team())
    with database.autocommit() as connection:
        assert queue.hint(connection, "gmail", [("anna", "99"), ("anna", "100"), ("anna", None)]) == 1
    assert hint_of(database, team_id, account_id) == Hint(1, 0, "100")


@pytest.mark.parametrize(
    ("first", "second", "latest"),
    [("9", "10", "10"), ("10", "9", "10"), (None, "5", "5"), ("5", None, "5"), (None, None, None), ("12", "13", "13")],
)
def test_the_latest_position_is_kept(
    database: Database,
    team: Callable[..., int],
    connect: Callable[..., int],
    first: str | None,
    second: str | None,
    latest: str | None,
) -> None:
    account_id = connect(team_id := team())
    with database.autocommit() as connection:
        queue.hint(connection, "gmail", [("anna", first)])
        queue.hint(connection, "gmail", [("anna", second)])
    assert hint_of(database, team_id, account_id).position == latest


def test_a_push_is_noted_on_the_account_and_a_poll_is_not(
    database: Database, team: Callable[..., int], connect: Callable[..., int]
) -> None:
    account_id = connect(team_id := team())
    with database.autocommit() as connection:
        queue.hint(connection, "gmail", [("anna", "1")], at=NOW)
        queue.hint_accounts(connection, [account_id], at=NOW + timedelta(hours=1))
    with database.for_team(team_id) as connection:
        pushed_at = connection.execute(sa.text("SELECT pushed_at FROM hint")).scalar_one()
    assert pushed_at == NOW


def test_a_push_does_not_wait_for_a_sync_that_holds_the_account(
    database: Database, team: Callable[..., int], connect: Callable[..., int]
) -> None:
    account_id = connect(team_id := team())
    with database.for_team(team_id) as sync, database.autocommit() as connection:
        sync.execute(sa.text("UPDATE account SET cursor = '5'"))
        assert queue.hint(connection, "gmail", [("anna", "1")]) == 1
    assert hint_of(database, team_id, account_id).is_open


@pytest.mark.parametrize("state", ["reauth_required", "admin_blocked", "mailbox_unavailable", "disconnected", "paused"])
def test_an_account_that_is_not_read_keeps_its_hint_and_gets_no_job(
    database: Database, team: Callable[..., int], connect: Callable[..., int], state: str
) -> None:
    account_id = connect(team_id := team())
    change = "paused = true" if state == "paused" else f"state = '{state}'"
    with database.for_team(team_id) as connection:
        connection.execute(sa.text(f"UPDATE account SET {change}"))
    with database.autocommit() as connection:
        assert queue.hint(connection, "gmail", [("anna", "1")]) == 1
    assert hint_of(database, team_id, account_id).generation == 1
    assert jobs(database) == []
    with database.for_team(team_id) as connection:
        connection.execute(sa.text("UPDATE account SET paused = false, state = 'live'"))
        queue.hint_accounts(connection, [account_id])
    assert jobs(database) == [sync_job(team_id, account_id)]


def test_hints_by_account_raise_many_at_once(
    database: Database, team: Callable[..., int], connect: Callable[..., int]
) -> None:
    team_id = team()
    ids = [connect(team_id, f"box{n}") for n in range(5)]
    with database.without_team() as connection:
        assert queue.hint_accounts(connection, [*reversed(ids), ids[0], 0]) == 5
    assert jobs(database) == [sync_job(team_id, account_id) for account_id in ids]


def test_a_team_cannot_hint_the_accounts_of_another(
    database: Database, team: Callable[..., int], connect: Callable[..., int]
) -> None:
    ours, theirs = team(), team()
    account_id = connect(theirs)
    with database.for_team(ours) as connection:
        assert queue.hint_accounts(connection, [account_id]) == 0
    assert jobs(database) == []


def test_a_hint_that_is_rolled_back_leaves_neither_generation_nor_job(
    database: Database, team: Callable[..., int], connect: Callable[..., int]
) -> None:
    account_id = connect(team_id := team())
    with database.without_team() as connection:
        queue.hint(connection, "gmail", [("anna", "1")])
        connection.rollback()
    assert hint_of(database, team_id, account_id) == Hint(0, 0)
    assert jobs(database) == []


# --- the job's side ---


def test_taking_a_hint_lets_the_next_push_enqueue_again(
    database: Database, team: Callable[..., int], connect: Callable[..., int]
) -> None:
    account_id = connect(team_id := team())
    with database.autocommit() as connection:
        queue.hint(connection, "gmail", [("anna", "1")])
        with database.for_team(team_id) as job:
            assert queue.take(job, account_id) == Hint(1, 0, "1")
        queue.hint(connection, "gmail", [("anna", "2")])
    assert jobs(database) == [sync_job(team_id, account_id)] * 2


def test_taking_waits_for_a_hint_that_is_not_committed_yet(
    database: Database, team: Callable[..., int], connect: Callable[..., int]
) -> None:
    account_id = connect(team_id := team())

    def take() -> Hint:
        with database.for_team(team_id) as job:
            return queue.take(job, account_id)

    with ThreadPoolExecutor(1) as other, database.without_team() as connection:
        queue.hint(connection, "gmail", [("anna", "1")])
        taken = other.submit(take)
        time.sleep(0.1)
        assert not taken.done()
        connection.commit()
        assert taken.result().generation == 1


def test_a_hint_that_waited_for_a_job_to_begin_enqueues_the_next(
    database: Database, team: Callable[..., int], connect: Callable[..., int]
) -> None:
    account_id = connect(team_id := team())

    def push() -> None:
        with database.autocommit() as connection:
            queue.hint(connection, "gmail", [("anna", "1")])

    push()
    with ThreadPoolExecutor(1) as other, database.for_team(team_id) as job:
        queue.take(job, account_id)
        pushed = other.submit(push)
        time.sleep(0.1)
        assert not pushed.done()
        job.commit()
        pushed.result()
    assert jobs(database) == [sync_job(team_id, account_id)] * 2


def test_a_round_ends_with_the_generation_it_began_with(
    database: Database, team: Callable[..., int], connect: Callable[..., int]
) -> None:
    account_id = connect(team_id := team())
    with database.for_team(team_id) as connection:
        queue.hint_accounts(connection, [account_id])
        taken = queue.take(connection, account_id)
        queue.hint_accounts(connection, [account_id])
        after = queue.synced(connection, account_id, taken.generation)
        assert (after.generation, after.synced_generation, after.is_open) == (2, 1, True)
        assert not queue.synced(connection, account_id, 2).is_open
        assert queue.synced(connection, account_id, 1).synced_generation == 2


def test_an_account_that_is_gone_has_nothing_to_do(database: Database, team: Callable[..., int]) -> None:
    with database.for_team(team()) as connection:
        assert not queue.take(connection, 0).is_open
        assert not queue.synced(connection, 0, 5).is_open


def test_another_team_cannot_take_a_hint(
    database: Database, team: Callable[..., int], connect: Callable[..., int]
) -> None:
    account_id = connect(team_id := team())
    with database.autocommit() as connection:
        queue.hint(connection, "gmail", [("anna", "1")])
    with database.for_team(team()) as connection:
        assert not queue.take(connection, account_id).is_open
    assert hint_of(database, team_id, account_id).is_open


# --- jobs of other kinds ---


def test_jobs_are_deferred_in_order_with_their_locks_and_time(database: Database) -> None:
    with database.without_team() as connection:
        queue.defer(connection, "crm_write", [({"write_id": 2}, "crm_write:2"), ({"write_id": 1}, None)], at=NOW)
        queue.defer(connection, "crm_write", [])
    assert jobs(database) == [("crm_write", "crm_write:2", {"write_id": 2}), ("crm_write", None, {"write_id": 1})]
    with database.without_team() as connection:
        times = connection.execute(sa.text("SELECT DISTINCT scheduled_at, queue_name FROM procrastinate_jobs")).all()
    assert [tuple(row) for row in times] == [(NOW, "default")]


def test_a_job_is_deferred_with_its_transaction_or_not_at_all(database: Database, team: Callable[..., int]) -> None:
    with database.for_team(team()) as connection:
        queue.defer(connection, "crm_write", [({"write_id": 1}, None)])
        connection.rollback()
    assert jobs(database) == []


# --- the whole protocol, under stress ---


@dataclass
class Mailboxes:
    """What the provider holds: changes that were there before their push, and what syncs have seen of them."""

    changes: Counter[int] = field(default_factory=Counter)
    seen: Counter[int] = field(default_factory=Counter)


class Workers:
    """Fetches and ends jobs through the queue's own functions, failing at random as a killed or retried job does."""

    def __init__(self, database: Database, mailboxes: Mailboxes, chance: random.Random) -> None:
        self.database = database
        self.mailboxes = mailboxes
        self.chance = chance
        self.writers_ended = threading.Event()
        self.runs = 0

    def work(self) -> None:
        while True:
            ended = self.writers_ended.is_set()
            with self.database.without_team() as connection:
                job = connection.execute(
                    sa.text("SELECT id, args FROM procrastinate_fetch_job_v2(NULL, NULL) WHERE id IS NOT NULL")
                ).one_or_none()
            if job is None:
                if ended:
                    return
                time.sleep(0.002)
                continue
            self.runs += 1
            succeeded = self.run(job.args["team_id"], job.args["account_id"])
            with self.database.without_team() as connection:
                if succeeded:
                    end = "SELECT procrastinate_finish_job_v1(:id, 'succeeded', true)"
                else:
                    end = "SELECT procrastinate_retry_job_v2(:id, now(), NULL, NULL, NULL)"
                connection.execute(sa.text(end), {"id": job.id})

    def run(self, team_id: int, account_id: int) -> bool:
        with self.database.for_team(team_id) as connection:
            taken = queue.take(connection, account_id)
        while taken.is_open:
            if self.chance.random() < 0.2:
                return False
            seen = self.mailboxes.changes[account_id]
            time.sleep(self.chance.random() * 0.005)
            if self.chance.random() < 0.2:
                return False
            self.mailboxes.seen[account_id] = max(seen, self.mailboxes.seen[account_id])
            with self.database.for_team(team_id) as connection:
                taken = queue.synced(connection, account_id, taken.generation)
        return True


@pytest.mark.parametrize("seed", [1, 2])
def test_two_thousand_hints_by_six_writers_lose_nothing_and_make_few_jobs(
    database_url: str, team: Callable[..., int], connect: Callable[..., int], seed: int
) -> None:
    database = Database(database_url, pool_size=12, lock_timeout_s=10)
    team_id = team()
    account_ids = [connect(team_id, f"box{n}") for n in range(5)]
    mailboxes = Mailboxes()
    changing = threading.Lock()
    workers = Workers(database, mailboxes, random.Random(seed))

    def write(writer: int) -> None:
        chance = random.Random(seed * 100 + writer)
        for _ in range(2000 // 6 + 1):
            chosen = sorted(chance.sample(range(5), chance.choice([1, 1, 1, 3])))
            with changing:
                mailboxes.changes.update(account_ids[n] for n in chosen)
            while True:  # a provider sends again what was not acknowledged
                with database.without_team() as connection:
                    queue.hint(connection, "gmail", [(f"box{n}", None) for n in reversed(chosen)])
                    time.sleep(chance.random() * 0.002)
                    if chance.random() < 0.15:
                        connection.rollback()
                        continue
                break

    with ThreadPoolExecutor(8) as threads:
        working = [threads.submit(workers.work) for _ in range(2)]
        for writing in [threads.submit(write, writer) for writer in range(6)]:
            writing.result()
        workers.writers_ended.set()
        for work in working:
            work.result()

    assert mailboxes.seen == mailboxes.changes
    for account_id in account_ids:
        assert not hint_of(database, team_id, account_id).is_open
    with database.without_team() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM procrastinate_jobs")).scalar() == 0
    assert workers.runs < 1000
    database.close()


def test_a_hint_during_a_run_that_then_retries_is_not_lost(
    database: Database, team: Callable[..., int], connect: Callable[..., int]
) -> None:
    account_id = connect(team_id := team())
    mailboxes = Mailboxes(Counter({account_id: 1}))
    workers = Workers(database, mailboxes, random.Random(0))
    with database.autocommit() as connection:
        queue.hint(connection, "gmail", [("anna", "1")])
        fetched = connection.execute(sa.text("SELECT id FROM procrastinate_fetch_job_v2(NULL, NULL)")).scalar_one()
        with database.for_team(team_id) as job:
            queue.take(job, account_id)
        mailboxes.changes[account_id] += 1
        queue.hint(connection, "gmail", [("anna", "2")])
        connection.execute(sa.text("SELECT procrastinate_retry_job_v2(:id, now(), NULL, NULL, NULL)"), {"id": fetched})
    workers.writers_ended.set()
    workers.work()
    assert mailboxes.seen == mailboxes.changes
    assert not hint_of(database, team_id, account_id).is_open
