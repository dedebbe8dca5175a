"""What may be asked across teams: ids alone, and only those that were asked for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from app.model import ItemRef
from app.ports import ConnectedMailbox
from app.store import accounts, connect_requests, crm, lookups, queue, teams
from app.store.database import Database
from app.store.lookups import TeamName

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def connect(database: Database) -> Callable[..., int]:
    """Connect a live mailbox, with columns of its row set to SQL; the call returns the account's id."""

    def add(team_id: int, mailbox: str = "anna", **columns: object) -> int:
        connected = ConnectedMailbox(mailbox, mailbox, f"{mailbox}@acme.example", {})
        with database.for_team(team_id) as connection:
            account_id = accounts.add(
                connection,
                team_id,
                "gmail",
                "team",
                connected,
                owner_id=None,
                auto_link=True,
                history_from=None,
                now=NOW,
            )
            for name, value in columns.items():
                update = sa.text(f"UPDATE account SET {name} = :value WHERE id = :id")
                connection.execute(update, {"value": value, "id": account_id})
        return account_id

    return add


def test_teams_are_listed_with_what_a_person_names_them_by(database: Database) -> None:
    with database.without_team() as connection:
        ids = [lookups.add_team(connection, name) for name in ("Acme", "Bolt")]
        found = lookups.all_teams(connection)
        assert [(team.id, team.name) for team in found] == [(ids[0], "Acme"), (ids[1], "Bolt")]
        assert lookups.team_of_public_id(connection, found[1].public_id) == ids[1]
        assert lookups.team_of_public_id(connection, UNKNOWN) is None
    assert isinstance(found[0], TeamName)


def test_an_account_leads_to_its_team(
    database: Database, team: Callable[..., int], connect: Callable[..., int]
) -> None:
    account_id = connect(team_id := team())
    with database.without_team() as connection:
        assert lookups.team_of_account(connection, account_id) == team_id
        assert lookups.team_of_account(connection, 0) is None


def test_a_mailbox_leads_to_its_accounts_of_every_team(
    database: Database, team: Callable[..., int], connect: Callable[..., int]
) -> None:
    pairs = [(team_id, connect(team_id)) for team_id in (team("Agency"), team("Customer"))]
    connect(pairs[0][0], "bob")
    with database.without_team() as connection:
        assert lookups.accounts_of_mailbox(connection, "gmail", "anna") == pairs
        assert lookups.accounts_of_mailbox(connection, "graph", "anna") == []


def test_a_connect_link_leads_to_its_team_until_it_was_used(database: Database, team: Callable[..., int]) -> None:
    with database.for_team(team_id := team()) as connection:
        request_id = connect_requests.add(
            connection,
            team_id,
            token_hash=b"token",
            member_id=teams.add_member(connection, team_id, "Ann", "ann@acme.example"),
            provider="gmail",
            kind="personal",
            address="",
            collaborators=[],
            history_from=None,
            expires_at=NOW + HOUR,
        )
        connect_requests.start(
            connection, request_id, browser_hash=b"b", state_hash=b"state", kept=b"", auto_link=True, now=NOW
        )
    with database.without_team() as connection:
        assert lookups.team_of_connect_request(connection, token_hash=b"token") == team_id
        assert lookups.team_of_connect_request(connection, state_hash=b"state") == team_id
        for nothing in ({"token_hash": b"state"}, {"state_hash": b"token"}, {}):
            assert lookups.team_of_connect_request(connection, **nothing) is None
    with database.for_team(team_id) as connection:
        connect_requests.finish(connection, request_id, NOW)
        assert lookups.team_of_connect_request(connection, token_hash=b"token") is None


def test_a_crm_connection_leads_to_its_team(database: Database, team: Callable[..., int]) -> None:
    with database.for_team(team_id := team()) as connection:
        connection_id = crm.add_connection(connection, team_id, "embedded", "acme")
        public_id = str(crm.connections(connection)[0].public_id)
    with database.without_team() as connection:
        assert lookups.crm_connection(connection, public_id) == (team_id, connection_id)
        assert lookups.crm_connection(connection, UNKNOWN) is None


STOPPED = [
    {"state": "reauth_required"},
    {"state": "admin_blocked"},
    {"state": "mailbox_unavailable"},
    {"state": "disconnected"},
    {"paused": True},
]


@pytest.mark.parametrize("stopped", STOPPED, ids=str)
def test_nothing_is_due_for_an_account_that_is_not_read(
    database: Database, team: Callable[..., int], connect: Callable[..., int], stopped: dict[str, object]
) -> None:
    connect(team(), **stopped)
    with database.without_team() as connection:
        assert lookups.due_subscriptions(connection, "gmail", NOW, 10) == []
        for due in (lookups.quiet_accounts, lookups.due_audits):
            assert due(connection, NOW, 10) == []


def test_subscriptions_are_due_by_their_end_and_last_those_that_are_missing(
    database: Database, team: Callable[..., int], connect: Callable[..., int]
) -> None:
    one, two = team(), team()
    missing = connect(one, "missing")
    connect(one, "later", subscription_expires_at=NOW + HOUR)
    second = connect(two, "second", subscription_expires_at=NOW - HOUR)
    first = connect(one, "first", subscription_expires_at=NOW - 2 * HOUR)
    with database.without_team() as connection:
        assert lookups.due_subscriptions(connection, "gmail", NOW, 10) == [(one, first), (two, second), (one, missing)]
        assert lookups.due_subscriptions(connection, "gmail", NOW, 1) == [(one, first)]
        assert lookups.due_subscriptions(connection, "graph", NOW, 10) == []


def test_an_account_is_quiet_without_push_and_read_and_job(
    database: Database, team: Callable[..., int], connect: Callable[..., int]
) -> None:
    team_id = team()
    never = connect(team_id, "never")
    silent = connect(team_id, "silent", last_sync_at=NOW - 2 * HOUR)
    pushed = connect(team_id, "pushed", last_sync_at=NOW - 2 * HOUR)
    synced = connect(team_id, "synced", last_sync_at=NOW + HOUR)
    with database.for_team(team_id) as connection:
        for account_id, at in ((silent, NOW - HOUR), (pushed, NOW + HOUR), (synced, NOW - 2 * HOUR)):
            connection.execute(
                sa.text("UPDATE hint SET pushed_at = :at WHERE account_id = :id"), {"at": at, "id": account_id}
            )
    with database.without_team() as connection:
        assert lookups.quiet_accounts(connection, NOW, 10) == [(team_id, never), (team_id, silent)]
        assert lookups.quiet_accounts(connection, NOW, 1) == [(team_id, never)]
        queue.hint_accounts(connection, [never])
        assert lookups.quiet_accounts(connection, NOW, 10) == [(team_id, silent)]


def test_audits_are_due_by_the_last_one(
    database: Database, team: Callable[..., int], connect: Callable[..., int]
) -> None:
    team_id = team()
    old = connect(team_id, "old", last_audit_at=NOW - HOUR)
    connect(team_id, "new", last_audit_at=NOW)
    never = connect(team_id, "never")
    with database.without_team() as connection:
        assert lookups.due_audits(connection, NOW, 10) == [(team_id, never), (team_id, old)]


def test_crm_writes_are_due_while_no_job_looks_after_them(database: Database, team: Callable[..., int]) -> None:
    with database.for_team(team_id := team()) as connection:
        connection_id = crm.add_connection(connection, team_id, "embedded", "acme")
        conversation_id = connection.execute(
            sa.text(
                "INSERT INTO conversation (team_id, first_message_at, last_message_at)"
                " VALUES (:team_id, now(), now()) RETURNING id"
            ),
            {"team_id": team_id},
        ).scalar_one()
        refs = {(conversation_id, ItemRef("deal", str(n), connection_id)) for n in range(5)}
        now_due, later, done, parked, intended = crm.want_notes(connection, team_id, refs)
        for write_id, change in {
            later: "next_at = :now + interval '1 hour'",
            done: "state = 'written'",
            parked: "state = 'parked'",
            intended: "state = 'intended', next_at = :now",
        }.items():
            connection.execute(sa.text(f"UPDATE crm_write SET {change} WHERE id = :id"), {"id": write_id, "now": NOW})
    with database.without_team() as connection:
        assert lookups.due_crm_writes(connection, NOW, 10) == [(team_id, now_due), (team_id, intended)]
        queue.defer(connection, "crm_write", [({"write_id": now_due}, f"crm_write:{now_due}")])
        assert lookups.due_crm_writes(connection, NOW, 10) == [(team_id, intended)]
        connection.execute(sa.text("UPDATE procrastinate_jobs SET status = 'failed'"))
        assert lookups.due_crm_writes(connection, NOW, 1) == [(team_id, now_due)]


def test_texts_are_erased_when_their_retention_is_over(
    database: Database, team: Callable[..., int], connect: Callable[..., int]
) -> None:
    account_id = connect(team_id := team())
    with database.for_team(team_id) as connection:
        connection.execute(
            sa.text(
                """
                WITH c AS (INSERT INTO conversation (team_id, first_message_at, last_message_at)
                           VALUES (:team_id, :now, :now) RETURNING id),
                m AS (INSERT INTO message (team_id, conversation_id, mid_hash, fingerprint, internet_id, at)
                      SELECT :team_id, id, 'm', 'f', '<m>', :now FROM c RETURNING id),
                p AS (INSERT INTO message_copy (team_id, message_id, account_id, provider_id, at)
                      SELECT :team_id, id, :account_id, n::text, :now FROM m, generate_series(0, 3) n RETURNING *)
                INSERT INTO message_body (team_id, copy_id, text, expires_at)
                SELECT :team_id, id, provider_id, :now + provider_id::int * interval '1 hour' FROM p
                """
            ),
            {"team_id": team_id, "account_id": account_id, "now": NOW},
        )
    with database.without_team() as connection:
        assert lookups.purge_bodies(connection, NOW + 2 * HOUR, 2) == 2
        assert lookups.purge_bodies(connection, NOW + 2 * HOUR, 2) == 1
        assert lookups.purge_bodies(connection, NOW + 2 * HOUR, 2) == 0
    with database.for_team(team_id) as connection:
        assert connection.execute(sa.text("SELECT text FROM message_body")).scalars().all() == ["3"]
