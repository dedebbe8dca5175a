"""Connections: the role, the team's setting, time limits, and what an error may say."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator

import psycopg
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from app.errors import DatabaseUnreachable, SettingsError
from app.store import lookups, roles
from app.store.database import Database, engine_url
from tests.conftest import Server

SETTING = sa.text("SELECT current_setting('threadlink.team', true)")


@pytest.fixture
def single(database_url: str) -> Iterator[Database]:
    """Open a database with one connection, so that every borrower gets the same."""
    opened = Database(database_url, pool_size=1)
    yield opened
    opened.close()


def test_one_connection_lent_a_thousand_times_shows_each_team_its_own(single: Database) -> None:
    with single.without_team() as connection:
        teams = [lookups.add_team(connection, f"Team {n}") for n in range(5)]
    for turn in range(1000):
        match turn % 7:
            case 5:
                with single.without_team() as connection:
                    assert connection.execute(sa.text("SELECT id FROM team")).all() == []
            case 6:
                with single.autocommit() as connection:
                    assert connection.execute(sa.text("SELECT id FROM team")).all() == []
            case choice:
                with single.for_team(teams[choice]) as connection:
                    assert connection.execute(sa.text("SELECT id FROM team")).scalars().all() == [teams[choice]]


def test_a_failed_transaction_leaves_no_team_behind(single: Database) -> None:
    with pytest.raises(ZeroDivisionError), single.for_team(7):
        1 / 0  # noqa: B018 - raises
    with single.autocommit() as connection:
        assert not connection.execute(SETTING).scalar()


def test_the_team_ends_with_its_transaction(database: Database) -> None:
    with database.for_team(7) as connection:
        assert connection.execute(SETTING).scalar() == "7"
        connection.commit()
        assert not connection.execute(SETTING).scalar()


def test_a_connection_that_kept_a_team_is_not_lent_again(single: Database) -> None:
    with single.without_team() as connection:
        before = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar()
        connection.execute(sa.text("SELECT set_config('threadlink.team', '7', false)"))
    with capture_logs() as said, single.without_team() as connection:
        assert not connection.execute(SETTING).scalar()
        assert connection.execute(sa.text("SELECT pg_backend_pid()")).scalar() != before
    assert [entry["log_level"] for entry in said] == ["error"]


def test_nothing_is_kept_of_a_transaction_that_raised(database: Database, team: Callable[..., int]) -> None:
    team_id = team()
    with pytest.raises(sa.exc.ProgrammingError), database.for_team(team_id) as connection:
        connection.execute(sa.text("UPDATE team SET name = 'Changed'; SELECT * FROM nowhere"))
    with database.for_team(team_id) as connection:
        assert connection.execute(sa.text("SELECT name FROM team")).scalar() == "Acme"


def test_an_acknowledgement_is_durable_statement_by_statement(database: Database) -> None:
    with database.autocommit() as connection, database.without_team() as other:
        lookups.add_team(connection, "Kept")
        assert [team.name for team in lookups.all_teams(other)] == ["Kept"]


def test_resetting_the_role_does_not_help_an_injected_statement_on_the_embedded_server(
    server: Server, database: Database, team: Callable[..., int]
) -> None:
    if server.data_dir is None:
        pytest.skip("the login of an external server is the operator's")
    team()
    with pytest.raises(sa.exc.ProgrammingError, match="permission denied"), database.without_team() as connection:
        connection.execute(sa.text("RESET ROLE; SELECT * FROM team"))


@pytest.mark.parametrize("role", [roles.OWNER, "session_user"])
def test_any_other_role_is_refused(database: Database, role: str) -> None:
    def become_other(connection: psycopg.Connection[object], *_: object) -> None:
        connection.autocommit = True
        connection.execute("RESET ROLE" if role == "session_user" else f"SET ROLE {role}")
        connection.autocommit = False

    sa.event.listen(database.engine, "connect", become_other)
    with pytest.raises(SettingsError, match="can see every team"):
        database.check_role()


@pytest.mark.parametrize("power", ["SUPERUSER", "BYPASSRLS"])
def test_an_app_role_above_the_policies_is_refused(
    server: Server, database: Database, superuser: psycopg.Connection[object], power: str
) -> None:
    superuser.execute(f"ALTER ROLE {roles.APP} {power}")
    try:
        with pytest.raises(SettingsError, match="without SUPERUSER"):
            database.check_role()
    finally:
        superuser.execute(f"ALTER ROLE {roles.APP} NO{power}")


def test_an_app_role_that_may_become_the_owner_is_refused(
    database: Database, superuser: psycopg.Connection[object]
) -> None:
    superuser.execute(f"GRANT {roles.OWNER} TO {roles.APP}")
    try:
        with pytest.raises(SettingsError, match="owner of no table"):
            database.check_role()
    finally:
        superuser.execute(f"REVOKE {roles.OWNER} FROM {roles.APP}")


def test_a_login_that_cannot_become_the_app_role_is_told_what_to_do(
    server: Server, superuser: psycopg.Connection[object]
) -> None:
    superuser.execute("CREATE ROLE stranger LOGIN PASSWORD 'pw'")
    url = engine_url(server.url).set(username="stranger", password="pw").render_as_string(hide_password=False)
    try:
        with pytest.raises(SettingsError, match="threadlink migrate"):
            Database(url).check_role()
    finally:
        superuser.execute("DROP ROLE stranger")


@pytest.mark.parametrize("url", ["not a url", "mysql://u:secret@host/db", "", "postgresql://u:secret@host:port/db"])
def test_a_url_that_is_not_one_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Database(url)
    assert "secret" not in str(refused.value)


def test_an_unreachable_server_is_said_without_its_address_or_password() -> None:
    database = Database("postgresql://somebody:secret@127.0.0.1:1/name")
    for opened in (database.for_team(1), database.without_team(), database.autocommit()):
        with pytest.raises(DatabaseUnreachable) as unreachable, opened:
            pass
        assert unreachable.value.__cause__ is None
        assert not any(word in str(unreachable.value) for word in ("somebody", "secret", "127.0.0.1"))


def test_connections_cut_by_a_restart_are_replaced_unseen(
    database: Database, team: Callable[..., int], superuser: psycopg.Connection[object]
) -> None:
    team_id = team()
    superuser.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with database.for_team(team_id) as connection:
        assert connection.execute(sa.text("SELECT name FROM team")).scalar() == "Acme"


def test_a_lock_that_is_not_given_in_time_is_unreachable(database_url: str, team: Callable[..., int]) -> None:
    team_id = team()
    impatient = Database(database_url, lock_timeout_s=0.05)
    update = sa.text("UPDATE team SET name = 'x'")
    with impatient.for_team(team_id) as holder:
        holder.execute(update)
        with pytest.raises(DatabaseUnreachable, match="LockNotAvailable"), impatient.for_team(team_id) as other:
            other.execute(update)
    impatient.close()


def test_a_statement_that_runs_away_is_stopped(database_url: str) -> None:
    impatient = Database(database_url, statement_timeout_s=0.05)
    with pytest.raises(DatabaseUnreachable, match="QueryCanceled"), impatient.without_team() as connection:
        connection.execute(sa.text("SELECT pg_sleep(5)"))
    impatient.close()


def test_time_limits_are_those_of_the_contract(database: Database) -> None:
    with database.without_team() as connection:
        limits = {
            name: connection.execute(sa.text(f"SHOW {name}")).scalar()
            for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
        }
    assert limits == {
        "statement_timeout": "15s",
        "lock_timeout": "2s",
        "idle_in_transaction_session_timeout": "30s",
    }


def test_a_pool_that_is_used_up_is_unreachable(single: Database) -> None:
    single.engine.pool._timeout = 0.05
    with single.without_team(), pytest.raises(DatabaseUnreachable, match="in use"), single.without_team():
        pass


def test_many_threads_share_the_pool(database: Database, team: Callable[..., int]) -> None:
    teams = [team(str(n)) for n in range(4)]
    wrong: list[object] = []

    def work(team_id: int) -> None:
        for _ in range(50):
            with database.for_team(team_id) as connection:
                seen = connection.execute(sa.text("SELECT id FROM team")).scalars().all()
                if seen != [team_id]:
                    wrong.append(seen)

    threads = [threading.Thread(target=work, args=[team_id]) for team_id in teams * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO member (team_id, name, email, role) VALUES (:team_id, :name, :email, 'king')",
        "INSERT INTO member (team_id, name, email) VALUES (:team_id, :name, NULL), (:team_id, :email, :name)",
        "INSERT INTO member (team_id, name, email) VALUES (:team_id, :name, :email), (:team_id, :name, :email)",
        # PostgreSQL itself is silent about rows under a policy; this table has none.
        "INSERT INTO installation (key, value) VALUES (:name || :email || :team_id, NULL)",
    ],
)
def test_no_private_text_reaches_an_error_or_the_servers_log(
    server: Server, database: Database, team: Callable[..., int], statement: str
) -> None:
    private = {"team_id": team(), "name": "Confidential canary", "email": "canary@secret.example"}
    with pytest.raises(sa.exc.IntegrityError) as failed, database.for_team(private["team_id"]) as connection:
        connection.execute(sa.text(statement), private)
    assert "violates" in str(failed.value)
    assert "canary" not in "".join(traceback.format_exception(failed.value))
    if server.data_dir is not None:
        log = (server.data_dir / "postgres" / "cluster" / "server.log").read_text()
        assert "ready to accept connections" in log
        assert "canary" not in log


def test_a_value_that_an_error_repeats_stays_out_of_the_servers_log(server: Server, database: Database) -> None:
    if server.data_dir is None:
        pytest.skip("the log of an external server is the operator's")
    with pytest.raises(sa.exc.DataError), database.without_team() as connection:
        connection.execute(sa.text("SELECT CAST(:value AS integer)"), {"value": "canary"})
    assert "canary" not in (server.data_dir / "postgres" / "cluster" / "server.log").read_text()
