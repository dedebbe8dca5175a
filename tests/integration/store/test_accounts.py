"""Teams, accounts and connect links as rows, under row-level security."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from app.errors import Conflict, NotFound
from app.ports import ConnectedMailbox, Subscription
from app.store import accounts, connect_requests, teams
from app.store.account_health import health_of_accounts
from app.store.database import Database

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
MAILBOX = ConnectedMailbox("ada@northwind.test", "user-1", "ada@northwind.test", {"refresh_token": "r"})

pytestmark = pytest.mark.integration


@pytest.fixture
def team_id(team: Callable[..., int]) -> int:
    return team("Northwind")


@pytest.fixture
def member_id(database: Database, team_id: int) -> int:
    with database.for_team(team_id) as connection:
        added = teams.add_member(connection, team_id, "Ada", "ada@northwind.test", "admin")
    assert added is not None
    return added


@pytest.fixture
def account_id(database: Database, team_id: int, member_id: int) -> int:
    with database.for_team(team_id) as connection:
        return add(connection, team_id, member_id)


def add(connection: sa.Connection, team_id: int, member_id: int, mailbox: ConnectedMailbox = MAILBOX) -> int:
    return accounts.add(
        connection,
        team_id,
        "gmail",
        "personal",
        mailbox,
        owner_id=member_id,
        auto_link=True,
        history_from=None,
        now=NOW,
        collaborators=[member_id],
    )


def test_a_team_is_read_by_its_own_transaction_alone(database: Database, team: Callable[..., int]) -> None:
    one, other = team("One"), team("Other")
    with database.for_team(other) as connection:
        read = teams.team(connection)
    assert read is not None
    assert (read.id, read.name, read.plan, read.locale) == (other, "Other", "unrestricted", "en")
    assert one != other


def test_there_is_no_team_without_one(database: Database, team_id: int) -> None:
    with database.without_team() as connection:
        assert teams.team(connection) is None


def test_a_member_is_added_once_and_comes_back_after_removal(database: Database, team_id: int, member_id: int) -> None:
    with database.for_team(team_id) as connection:
        assert teams.add_member(connection, team_id, "Ada again", "ada@northwind.test") is None
        connection.execute(sa.text("UPDATE member SET removed_at = now()"))
        assert teams.members(connection) == []
        assert teams.add_member(connection, team_id, "Ada again", "ada@northwind.test") == member_id
        (found,) = teams.members(connection)
    assert (found.name, found.role) == ("Ada again", "member")


def test_an_account_comes_back_as_it_was_added(
    database: Database, team_id: int, account_id: int, member_id: int
) -> None:
    with database.for_team(team_id) as connection:
        account = accounts.account(connection, account_id)
        assert accounts.accounts(connection) == [account]
        assert accounts.account_by_address(connection, "ada@northwind.test") == account
        assert accounts.provider_user_id(connection, account_id) == "user-1"
    assert (account.state, account.kind, account.owner_id, account.auto_link) == (
        "connecting",
        "personal",
        member_id,
        True,
    )
    assert account.own_addresses == {"ada@northwind.test"}
    assert account.collaborator_ids == {member_id}


def test_an_account_of_another_team_is_not_there(database: Database, team: Callable[..., int], account_id: int) -> None:
    with database.for_team(team("Other")) as connection:
        assert accounts.accounts(connection) == []
        assert accounts.account_by_id(connection, account_id) is None
        with pytest.raises(NotFound):
            accounts.account(connection, account_id)
        assert not accounts.set_state(connection, account_id, "live", NOW)
        assert not accounts.delete(connection, account_id)


def test_a_new_state_is_told_once(database: Database, team_id: int, account_id: int) -> None:
    with database.for_team(team_id) as connection:
        assert accounts.set_state(connection, account_id, "reauth_required", NOW, reason="revoked")
        assert not accounts.set_state(connection, account_id, "reauth_required", LATER, reason="revoked")
        (health,) = health_of_accounts(connection)
    assert (health.state, health.state_reason, health.state_since) == ("reauth_required", "revoked", NOW)


@pytest.mark.parametrize(
    ("state", "new", "allowed"),
    [
        ("connecting", "backfilling", True),
        ("backfilling", "live", True),
        ("live", "degraded", True),
        ("degraded", "live", True),
        ("throttled", "live", True),
        ("live", "reauth_required", True),
        ("mailbox_unavailable", "live", True),
        ("reauth_required", "live", False),
        ("reauth_required", "throttled", False),
        ("admin_blocked", "backfilling", False),
        ("reauth_required", "connecting", True),
        ("reauth_required", "disconnected", True),
        ("disconnected", "live", False),
        ("disconnected", "reauth_required", False),
        ("disconnected", "connecting", True),
    ],
)
def test_a_late_job_does_not_lead_an_account_out_of_where_a_person_must(
    database: Database, team_id: int, account_id: int, state: str, new: accounts.AccountState, allowed: bool
) -> None:
    with database.for_team(team_id) as connection:
        connection.execute(sa.text("UPDATE account SET state = :state"), {"state": state})
        assert accounts.set_state(connection, account_id, new, NOW) == allowed
        assert accounts.account(connection, account_id).state == (new if allowed else state)


def test_a_paused_account_says_so_and_goes_on_where_it_was(database: Database, team_id: int, account_id: int) -> None:
    with database.for_team(team_id) as connection:
        accounts.set_state(connection, account_id, "live", NOW)
        assert accounts.set_paused(connection, account_id, True)
        assert not accounts.set_paused(connection, account_id, True)
        assert accounts.account(connection, account_id).state == "paused"
        assert accounts.set_paused(connection, account_id, False)
        assert accounts.account(connection, account_id).state == "live"


def test_own_addresses_keep_the_main_one(database: Database, team_id: int, account_id: int) -> None:
    with database.for_team(team_id) as connection:
        accounts.set_own_addresses(connection, account_id, {"a@northwind.test"})
        account = accounts.account(connection, account_id)
    assert account.own_addresses == {"a@northwind.test", "ada@northwind.test"}


def test_ours_are_all_addresses_and_the_domains_of_the_team(database: Database, team_id: int, account_id: int) -> None:
    with database.for_team(team_id) as connection:
        connection.execute(sa.text("UPDATE team SET domains = ARRAY['northwind.test', 'gmail.com']"))
        accounts.set_own_addresses(connection, account_id, {"sales@other.test"})
        ours = accounts.ours(connection)
    assert {"ada@northwind.test", "sales@other.test"} <= ours.addresses
    assert ours.domains == {"northwind.test"}


def test_a_subscription_is_stored_and_forgotten(database: Database, team_id: int, account_id: int) -> None:
    with database.for_team(team_id) as connection:
        accounts.set_subscription(connection, account_id, Subscription("sub", LATER))
        assert health_of_accounts(connection)[0].subscription_expires_at == LATER
        accounts.set_subscription(connection, account_id, None)
        assert health_of_accounts(connection)[0].subscription_expires_at is None


def test_health_counts_what_waits_and_what_is_parked(database: Database, team_id: int, account_id: int) -> None:
    with database.for_team(team_id) as connection:
        for provider_id, state in (("1", "pending"), ("2", "pending"), ("3", "parked"), ("4", "stored")):
            connection.execute(
                sa.text(
                    "INSERT INTO discovered_message (team_id, account_id, provider_id, state, discovered_at)"
                    " VALUES (:team_id, :account_id, :provider_id, :state, :at)"
                ),
                {
                    "team_id": team_id,
                    "account_id": account_id,
                    "provider_id": provider_id,
                    "state": state,
                    "at": NOW + timedelta(minutes=int(provider_id)),
                },
            )
        (health,) = health_of_accounts(connection)
    assert (health.pending, health.parked, health.oldest_pending_at) == (2, 1, NOW + timedelta(minutes=1))


def test_a_mailbox_is_matched_by_address_or_name_but_never_as_two_accounts(
    database: Database, team_id: int, member_id: int, account_id: int
) -> None:
    renamed = ConnectedMailbox("ada@northwind.test", "user-1", "ada.king@northwind.test", {})
    second = ConnectedMailbox("bob@northwind.test", "user-2", "bob@northwind.test", {})
    mixed = ConnectedMailbox("bob@northwind.test", "user-2", "ada@northwind.test", {})
    with database.for_team(team_id) as connection:
        found = accounts.matching(connection, "gmail", renamed)
        assert found is not None
        assert found.id == account_id
        assert accounts.matching(connection, "gmail", second) is None
        add(connection, team_id, member_id, second)
        with pytest.raises(Conflict) as refused:
            accounts.matching(connection, "gmail", mixed)
    assert refused.value.reason == "address_in_use"


def test_an_erased_account_takes_its_rows_along(database: Database, team_id: int, account_id: int) -> None:
    with database.for_team(team_id) as connection:
        assert accounts.delete(connection, account_id)
        left = connection.execute(sa.text("SELECT count(*) FROM hint")).scalar_one()
    assert left == 0


# --- connect links ---


@pytest.fixture
def request_id(database: Database, team_id: int, member_id: int) -> int:
    with database.for_team(team_id) as connection:
        return connect_requests.add(
            connection,
            team_id,
            token_hash=b"token",
            member_id=member_id,
            provider="gmail",
            kind="personal",
            address="",
            collaborators=[],
            history_from=None,
            expires_at=NOW + timedelta(hours=1),
        )


def start(connection: sa.Connection, request_id: int, browser: bytes = b"browser", now: datetime = NOW) -> bool:
    return connect_requests.start(
        connection, request_id, browser_hash=browser, state_hash=b"state", kept=b"kept", auto_link=False, now=now
    )


def take(
    connection: sa.Connection, provider: str = "gmail", state: bytes = b"state", browser: bytes = b"browser"
) -> connect_requests.ConnectRequest | None:
    return connect_requests.take(connection, provider=provider, state_hash=state, browser_hashes=[browser], now=NOW)


def test_looking_at_a_link_does_not_use_it_up(database: Database, team_id: int, request_id: int) -> None:
    with database.for_team(team_id) as connection:
        for _ in range(3):
            assert connect_requests.usable(connection, b"token", NOW) is not None
        assert connect_requests.usable(connection, b"other", NOW) is None
        assert connect_requests.usable(connection, b"token", NOW + timedelta(hours=1)) is None


def test_a_link_belongs_to_the_browser_that_used_its_button(database: Database, team_id: int, request_id: int) -> None:
    with database.for_team(team_id) as connection:
        assert start(connection, request_id)
        assert start(connection, request_id)
        assert not start(connection, request_id, browser=b"another")
        assert not start(connection, request_id, now=NOW + timedelta(hours=2))


def test_a_state_is_taken_once(database: Database, team_id: int, request_id: int) -> None:
    with database.for_team(team_id) as connection:
        start(connection, request_id)
        taken = take(connection)
        assert taken is not None
        assert (taken.id, taken.kept, taken.auto_link) == (request_id, b"kept", False)
        assert take(connection) is None


@pytest.mark.parametrize("wrong", [{"provider": "graph"}, {"state": b"forged"}, {"browser": b"another"}])
def test_a_state_is_refused_for_another_provider_value_or_browser(
    database: Database, team_id: int, request_id: int, wrong: dict[str, object]
) -> None:
    with database.for_team(team_id) as connection:
        start(connection, request_id)
        assert take(connection, **wrong) is None  # type: ignore[arg-type]  # one of three
        assert take(connection) is not None


def test_a_finished_link_is_over_and_keeps_no_secret(database: Database, team_id: int, request_id: int) -> None:
    with database.for_team(team_id) as connection:
        start(connection, request_id)
        connect_requests.wait_for_confirmation(connection, request_id, state_hash=b"second", kept=b"mailbox")
        connect_requests.finish(connection, request_id, NOW)
        assert take(connection, state=b"second") is None
        assert not start(connection, request_id)
        assert connect_requests.usable(connection, b"token", NOW) is None
        kept = connection.execute(sa.text("SELECT kept FROM connect_request")).scalar_one()
    assert kept is None
