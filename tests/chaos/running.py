"""A day that is being worked on: traffic in, worker processes that come and go, and what is there in the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import sqlalchemy as sa

from app import work
from app.acting import Acting
from app.demo.stage import Stage
from app.ports import SimulatedMail
from app.scenario.run import Delivery
from app.store import queue, teams
from tests.chaos import day, worker_process
from tests.conftest import FAST

# How long a busy machine may take for what usually takes seconds.
PATIENCE_S = 120.0


class Day:
    """The stage of one provider with its traffic; no worker runs until one is started."""

    def __init__(self, provider: str, stage: Stage, log: Path) -> None:
        self.provider = provider
        self.stage = stage
        self.log = log
        self.copies = day.deliveries(stage.scenario)
        self._workers: list[BaseProcess] = []

    @property
    def simulator(self) -> SimulatedMail:
        return self.stage.simulators[self.provider]

    def deliver(self, copies: Iterable[Delivery], *, push: bool = True) -> None:
        """Put copies into their mailboxes, which push."""
        for copy in copies:
            provider_id = self.simulator.deliver(copy.mailbox, copy.raw, at=copy.at, folder=copy.folder, push=push)
            self.stage.delivered.add((copy.mailbox, provider_id))
        self.simulator.settle()

    # --- workers ---

    def start_worker(self, crash_at: str = "") -> BaseProcess:
        """Start a worker as an operator would."""
        worker = worker_process.start("worker", self.stage.environ, self.log, crash_at)
        self._workers.append(worker)
        return worker

    def stop_workers(self) -> None:
        """End every worker that still runs, in order."""
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            worker.join(PATIENCE_S)
        self._workers.clear()

    def notice_death(self) -> None:
        """Let the time pass after which the jobs of a worker that died are started again."""
        with self.stage.installation.database.without_team() as connection:
            connection.execute(sa.text("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 hour'"))
            queue.defer(connection, "retry_stalled", [({"timestamp": 0}, None)])

    def finish(self, workers: int = 1) -> None:
        """Have living workers do everything that is left to do."""
        for _ in range(workers):
            self.start_worker()
        try:
            wait_until(self.is_done, lambda: f"not done: {self.left()}; the log is {self.log}")
        finally:
            self.stop_workers()

    def is_done(self) -> bool:
        """Whether all mail that the mailboxes hold is dealt with, all notes are written and no job waits or runs."""
        return not any(self.left().values())

    def left(self) -> dict[str, int]:
        """Count what is still to be done."""
        with self.stage.team() as connection:
            known = set(
                connection.execute(
                    sa.text(
                        """
                        SELECT a.address, d.provider_id FROM discovered_message d
                        JOIN account a ON a.team_id = d.team_id AND a.id = d.account_id WHERE d.state <> 'pending'
                        """
                    )
                )
            )
            notes = connection.execute(sa.text("SELECT count(*) FROM crm_write WHERE written < wanted")).scalar_one()
            hints = connection.execute(
                sa.text("SELECT count(*) FROM hint WHERE generation > synced_generation")
            ).scalar_one()
            running = connection.execute(
                sa.text("SELECT count(*) FROM work WHERE state IN ('looking', 'doing')")
            ).scalar_one()
            jobs = connection.execute(
                sa.text(
                    """
                    SELECT count(*) FROM procrastinate_jobs WHERE task_name IN ('sync_account', 'crm_write')
                      AND (status = 'doing' OR (status = 'todo' AND coalesce(scheduled_at, now()) <= now()))
                    """
                )
            ).scalar_one()
        return {
            "messages": len(self.stage.delivered - {tuple(row) for row in known}),
            "notes": notes,
            "hints": hints,
            "jobs": jobs,
            "work": running,
        }

    # --- schedules: what time brings about ---

    def renew_and_audit(self) -> None:
        """Have the registrations renewed and the mailboxes audited, as their schedules do when they are due."""
        with self.stage.team() as connection:
            ids = [
                {"team_id": row.team_id, "account_id": row.id}
                for row in connection.execute(sa.text("SELECT team_id, id FROM account"))
            ]
            queue.defer(connection, "renew_subscription", [(each, f"renew:{each['account_id']}") for each in ids])
            queue.defer(connection, "audit_account", [(each, f"audit:{each['account_id']}") for each in ids])

    # --- what a member asks for ---

    def look_back(self) -> None:
        """Have an administrator ask what the rules would do with the day's mail: a job that changes nothing."""
        with self.stage.team() as connection:
            team = teams.team(connection)
            administrator = next(member for member in teams.members(connection) if member.role == "admin")
            assert team is not None
            acting = Acting(team.id, administrator, self.stage.clock.now())
            with patch.object(work, "AT_ONCE", -1):  # however few there are, they are left to the worker
                work.look_back(connection, acting, timedelta(days=1))

    # --- what is there ---

    def picture(self) -> dict[str, Any]:
        """Return the final state without ids: conversations with links and why, outcomes, and the CRM's notes."""
        with self.stage.team() as connection:
            conversations = [
                tuple(row)
                for row in connection.execute(
                    sa.text(
                        """
                        SELECT ARRAY(SELECT m.internet_id || ' in ' ||
                                       (SELECT string_agg(a.address, ',' ORDER BY a.address) FROM message_copy k
                                        JOIN account a ON a.team_id = k.team_id AND a.id = k.account_id
                                        WHERE k.team_id = m.team_id AND k.message_id = m.id)
                                     FROM message m WHERE m.conversation_id = c.id ORDER BY 1) AS messages,
                          c.message_count,
                          ARRAY(SELECT l.kind || '/' || l.external_id || ' ' || l.origin FROM link l
                                WHERE l.conversation_id = c.id AND l.removed_at IS NULL ORDER BY 1) AS links,
                          coalesce(
                            (SELECT d.reason FROM link l
                             JOIN decision d ON d.team_id = l.team_id AND d.id = l.decision_id
                             WHERE l.conversation_id = c.id AND l.is_primary AND l.removed_at IS NULL),
                            (SELECT d.reason FROM decision d WHERE d.id = c.decision_id)) AS reason
                        FROM conversation c WHERE c.merged_into IS NULL ORDER BY 1
                        """
                    )
                )
            ]
            discovered = connection.execute(
                sa.text(
                    """
                    SELECT a.address, d.state, d.rule, count(*) FROM discovered_message d
                    JOIN account a ON a.team_id = d.team_id AND a.id = d.account_id GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
                    """
                )
            )
            outcomes = [tuple(row) for row in discovered]
        notes = {
            f"{item.kind}/{item.id}": Counter(self._without_ids(note) for note in written)
            for item in self.stage.scenario.items
            if (written := self.stage.crm_records.notes(item.kind, item.id))  # type: ignore[arg-type]  # an item's kind
        }
        return {"conversations": conversations, "outcomes": outcomes, "notes": notes}

    def _without_ids(self, note: str) -> str:
        """Cut off where a note leads: conversations have other public ids in each run."""
        with self.stage.team() as connection:
            for public_id in connection.execute(sa.text("SELECT public_id FROM conversation")).scalars():
                note = note.replace(str(public_id), "…")
        return note.replace(self.stage.url, "")


@contextmanager
def running(provider: str, log: Path) -> Iterator[Day]:
    """Set the day up: everything connected, nothing delivered yet."""
    with Stage(day.scenario(provider), server_settings=FAST) as stage:
        stage.pause_worker()
        today = Day(provider, stage, log)
        try:
            yield today
        finally:
            today.stop_workers()


def wait_until(is_true: Callable[[], bool], otherwise: Callable[[], str], patience_s: float = PATIENCE_S) -> None:
    """Wait until something is true, or fail with a sentence."""
    deadline = time.monotonic() + patience_s
    while not is_true():
        if time.monotonic() > deadline:
            pytest.fail(otherwise())
        time.sleep(0.05)
