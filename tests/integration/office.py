"""An office: a team with mailboxes at StubMail and a FakeCrm, on a real database, and the moves the tests make."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from app import jobs, links, sync
from app.installation import Installation
from app.model import Account, AccountKind, ItemRef, Level, Member
from app.ports import ConnectedMailbox
from app.settings import Settings
from app.store import accounts, crm, schema, teams
from app.store.crm import CrmWrite
from app.store.database import Database
from app.store.secrets import SecretBox
from app.testing.fake_crm import FakeCrm
from app.testing.fakes import SteppedClock
from tests.integration.stub_mail import StubMail

ADA = "ada@northwind.test"


class Killed(BaseException):
    """The process was killed here: nothing may catch it."""


@dataclass
class Office:
    """What the tests of sync, jobs and writes play with; `account_id` is Ada's mailbox, deal d1 is Bea's."""

    installation: Installation
    clock: SteppedClock
    mail: StubMail
    crm: FakeCrm
    team_id: int
    account_id: int
    crm_id: int
    members: dict[str, Member]

    def team(self) -> AbstractContextManager[sa.Connection]:
        return self.installation.database.for_team(self.team_id)

    def sync(self, account_id: int | None = None, *, until: str | None = None) -> sync.Synced:
        return sync.sync_account(self.installation, self.team_id, account_id or self.account_id, until=until)

    def run_job(self) -> None:
        """Do what the queue does with a waiting sync_account job."""
        jobs.sync_account(self.installation, self.team_id, self.account_id)

    def write_notes(self) -> None:
        """Do what the queue does with the crm_write jobs that may run now."""
        for _ in range(10):
            due = self.jobs("crm_write")
            if not due:
                return
            with self.installation.database.without_team() as connection:
                connection.execute(
                    sa.text("DELETE FROM procrastinate_jobs WHERE id = ANY(:ids)"), {"ids": [job.id for job in due]}
                )
            for job in due:
                jobs.crm_write(self.installation, job.args["team_id"], job.args["write_id"])
        pytest.fail("the jobs of the notes keep starting again")

    def jobs(self, task: str | None = None, *, waiting: bool = False) -> list[sa.Row[Any]]:
        """Return the jobs in the queue; `waiting` ones included, which start later by the office's clock."""
        with self.installation.database.without_team() as connection:
            return list(
                connection.execute(
                    sa.text(
                        """
                        SELECT id, task_name, lock, args, scheduled_at FROM procrastinate_jobs
                        WHERE status = 'todo' AND (:task IS NULL OR task_name = :task)
                          AND (:waiting OR scheduled_at IS NULL OR scheduled_at <= now()) ORDER BY id
                        """
                    ).bindparams(sa.bindparam("task", type_=sa.Text)),
                    {"task": task, "waiting": waiting},
                )
            )

    def forget_jobs(self) -> None:
        with self.installation.database.without_team() as connection:
            connection.execute(sa.text("DELETE FROM procrastinate_jobs"))

    def waits_s(self, job: sa.Row[Any]) -> float:
        """Return how long from now, to the nearest second, a job waits."""
        return float(round((job.scheduled_at - self.installation.due(self.clock.now())).total_seconds()))

    def rows(self, sql: str, **parameters: object) -> list[sa.Row[Any]]:
        with self.team() as connection:
            return list(connection.execute(sa.text(sql), parameters))

    def value(self, sql: str, **parameters: object) -> Any:
        ((value,),) = self.rows(sql, **parameters)
        return value

    def change(self, sql: str, **parameters: object) -> None:
        with self.team() as connection:
            connection.execute(sa.text(sql), parameters)

    def account(self, account_id: int | None = None) -> Account:
        with self.team() as connection:
            return accounts.account(connection, account_id or self.account_id)

    def states(self) -> dict[str, tuple[str, str]]:
        """Return the state and rule of every discovered id."""
        found = self.rows("SELECT provider_id, state, rule FROM discovered_message")
        return {row.provider_id: (row.state, row.rule) for row in found}

    def notes(self, item: str = "d1") -> list[str]:
        return self.crm.notes("deal", item)

    def write_rows(self) -> list[CrmWrite]:
        with self.team() as connection:
            ids = list(connection.execute(sa.text("SELECT DISTINCT conversation_id FROM crm_write")).scalars())
            return crm.notes_of(connection, sorted(ids))

    def contents(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return every row of every table of the team, the times of the machine's own clock apart."""
        found = {}
        with self.team() as connection:
            for table in schema.metadata.sorted_tables:
                columns = [column for column in table.c if column.name not in ("created_at", "updated_at")]
                found[table.name] = sorted((tuple(row) for row in connection.execute(sa.select(*columns))), key=repr)
        return found

    def picture(self) -> dict[str, Any]:
        """Return what a person would call the state of things, without ids: to compare two offices."""
        return {
            "discovered": self.states(),
            "cursor": self.value("SELECT cursor FROM account WHERE id = :id", id=self.account_id),
            "conversations": [
                tuple(row)
                for row in self.rows(
                    """
                    SELECT array_agg(m.internet_id ORDER BY m.internet_id) AS ids, c.message_count, d.outcome, d.reason,
                      (SELECT count(*) FROM decision t WHERE t.conversation_id = c.id) AS decisions,
                      ARRAY(SELECT kind || external_id FROM link l
                            WHERE l.conversation_id = c.id AND removed_at IS NULL ORDER BY 1) AS links,
                      (SELECT count(*) FROM crm_write w WHERE w.conversation_id = c.id) AS notes
                    FROM conversation c JOIN message m ON m.conversation_id = c.id
                    JOIN decision d ON d.id = c.decision_id
                    GROUP BY c.team_id, c.id, d.team_id, d.id ORDER BY 1
                    """
                )
            ],
            "copies": [
                tuple(row)
                for row in self.rows(
                    """
                    SELECT c.provider_id, c.snippet, b.text FROM message_copy c
                    LEFT JOIN message_body b ON b.copy_id = c.id ORDER BY 1
                    """
                )
            ],
        }

    def link(self, conversation_id: int, item: str) -> None:
        """Link by hand, as Ada."""
        with self.team() as connection:
            acting = links.Acting(self.team_id, self.members["ada"], self.clock.now())
            links.link(connection, acting, conversation_id, ItemRef("deal", item, self.crm_id), move=True)


@contextmanager
def killed_at(database: Database, step: int) -> Iterator[list[str]]:
    """Kill the process at its n-th step: before a commit, or after one, when the next transaction begins.

    Yields the steps met so far. The step after the last one is never met.
    """
    met: list[str] = []

    def meet(kind: str) -> None:
        met.append(kind)
        if len(met) == step + 1:
            raise Killed

    def on_begin(_connection: sa.Connection) -> None:
        meet("begin")

    def on_commit(_connection: sa.Connection) -> None:
        meet("commit")

    sa.event.listen(database.engine, "begin", on_begin)
    sa.event.listen(database.engine, "commit", on_commit)
    try:
        yield met
    finally:
        sa.event.remove(database.engine, "begin", on_begin)
        sa.event.remove(database.engine, "commit", on_commit)


def open_office(
    database: Database,
    team: Callable[..., int],
    *,
    history_from: datetime | None = None,
    batch_size: int = 3,
    page_size: int = 2,
    **settings: Any,
) -> Office:
    """Make a team with Ada's mailbox and a CRM with Bea's deal; `settings` are those of app.settings."""
    clock = SteppedClock()
    mail = StubMail(clock, batch_size=batch_size, page_size=page_size)
    team_id = team("Northwind")
    with database.for_team(team_id) as connection:
        teams.configure(connection, domains=["northwind.test"])
        for name in ("ada", "bob"):
            teams.add_member(connection, team_id, name.title(), f"{name}@northwind.test")
        members = {member.name.lower(): member for member in teams.members(connection)}
        crm_id = crm.add_connection(connection, team_id, "fake", company="fake")
    fake = FakeCrm(clock, connection_id=crm_id, page_size=50)
    fake.put_organization("o1", "Acme")
    fake.put_person("p1", "Bea", ["bea@acme.test"], "o1")
    fake.put_item("deal", "d1", "Acme rollout", created_at=clock.now() - timedelta(days=30), person="p1")
    chosen = {"note_interval_s": 0, "public_base_url": "https://threadlink.test", **settings}
    installation = Installation(
        Settings(**chosen, _env_file=None),  # type: ignore[arg-type,call-arg]  # pydantic's own argument
        database,
        SecretBox([Fernet.generate_key().decode()]),
        clock,
        {"stub": mail},
        lambda _connection: fake,
    )
    office = Office(installation, clock, mail, fake, team_id, 0, crm_id, members)
    office.account_id = connect(office, ADA, members["ada"].id, history_from=history_from)
    return office


def connect(
    office: Office,
    address: str,
    owner_id: int | None,
    *,
    kind: AccountKind = "personal",
    visibility: Level = "full",
    history_from: datetime | None = None,
) -> int:
    """Connect a mailbox; returns the account's id."""
    with office.team() as connection:
        return accounts.add(
            connection,
            office.team_id,
            "stub",
            kind,
            ConnectedMailbox(address, f"user of {address}", address, {}),
            owner_id=owner_id,
            auto_link=True,
            history_from=history_from,
            now=office.clock.now(),
            visibility=visibility,
        )
