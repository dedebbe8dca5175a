"""Migrations: one URL is enough, again changes nothing, stepwise equals at once, several may start together."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import procrastinate
import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from app.errors import DatabaseUnreachable, SettingsError
from app.store import embedded, roles
from app.store.database import Database, engine_url
from app.store.migrate import migrate
from tests.conftest import Server

numbers = itertools.count()


@pytest.fixture
def empty_database(
    server: Server, superuser: psycopg.Connection[object], login: Callable[[str], str]
) -> Iterator[Callable[[str], str]]:
    """Make databases without tables that belong to a role, and drop them before it; the call returns the URL."""
    made: list[str] = []

    def make(owner: str) -> str:
        name = f"{superuser.info.dbname}_{next(numbers)}"
        superuser.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(owner)))
        made.append(name)
        return engine_url(server.url).set(drivername="postgresql", database=name).render_as_string(hide_password=False)

    yield make
    for name in made:
        superuser.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def login(superuser: psycopg.Connection[object]) -> Iterator[Callable[[str], str]]:
    """Make logins with the given attributes; the call returns the name, which is the password as well."""
    made: list[str] = []

    def make(attributes: str) -> str:
        name = f"login_{superuser.info.backend_pid}_{next(numbers)}"
        superuser.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{name}' {attributes}")
        made.append(name)
        return name

    yield make
    for name in made:
        superuser.execute(f"DROP ROLE {name}")


def as_login(url: str, name: str) -> str:
    return (
        engine_url(url).set(drivername="postgresql", username=name, password=name).render_as_string(hide_password=False)
    )


def test_running_it_again_changes_nothing(database: Database, database_url: str, team: Callable[..., int]) -> None:
    team_id = team()
    migrate(database_url)
    with database.for_team(team_id) as connection:
        assert connection.execute(sa.text("SELECT name FROM team")).scalar() == "Acme"


def test_revisions_one_by_one_and_all_at_once_make_the_same_database(
    server: Server, empty_database: Callable[[str], str]
) -> None:
    if server.data_dir is None:
        pytest.skip("needs pg_dump of the server's version")
    at_once, stepwise = empty_database(roles.OWNER), empty_database(roles.OWNER)
    migrate(at_once)
    for revision in ("0001", "0002", "head"):
        migrate(stepwise, revision)
    assert "CREATE POLICY" in dump(at_once)
    assert dump(stepwise) == dump(at_once)


def dump(url: str) -> str:
    pg_dump = embedded._Home(embedded.Path("/"), None).programs() / "pg_dump"
    done = subprocess.run(
        [pg_dump, "--schema-only", "--restrict-key=same", f"--role={roles.OWNER}", url],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_the_queue_is_the_one_that_revision_0002_was_written_for() -> None:
    """A newer one needs a revision of its own, and 0002 a copy of this schema."""
    assert procrastinate.__version__.startswith("3.10.")


def test_processes_that_start_together_migrate_once(empty_database: Callable[[str], str]) -> None:
    url = empty_database(roles.OWNER)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(migrate, [url] * 4))
    database = Database(url)
    database.check_role()
    database.close()


def test_a_plain_owner_of_the_database_sets_it_up_once_it_may_become_the_roles(
    superuser: psycopg.Connection[object], empty_database: Callable[[str], str], login: Callable[[str], str]
) -> None:
    name = login("")
    url = as_login(empty_database(name), name)
    with pytest.raises(SettingsError, match=f'CREATE ROLE {roles.OWNER}(.|\n)*TO "{name}"(.|\n)*ON SCHEMA public'):
        migrate(url)
    superuser.execute(f"GRANT {roles.OWNER}, {roles.APP} TO {name}")
    migrate(url)
    database = Database(url)
    database.check_role()
    database.close()


def test_a_login_that_may_make_roles_needs_no_administrator(
    superuser: psycopg.Connection[object], empty_database: Callable[[str], str], login: Callable[[str], str]
) -> None:
    name = login("CREATEROLE")
    if superuser.info.server_version >= 160000:  # there it may only give away roles it made, or administers
        superuser.execute(f"GRANT {roles.OWNER}, {roles.APP} TO {name} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
    url = as_login(empty_database(name), name)
    migrate(url)
    database = Database(url)
    database.check_role()
    database.close()


def test_a_revision_that_waits_too_long_lets_others_go_first_and_tries_again(
    empty_database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = empty_database(roles.OWNER)
    migrate(url, "0001")
    holder = psycopg.connect(url)
    holder.execute(f"SET ROLE {roles.OWNER}")
    holder.execute("LOCK TABLE alembic_version IN ACCESS SHARE MODE")
    holder.execute("UPDATE alembic_version SET version_num = version_num")
    waited: list[float] = []

    def let_go(seconds: float) -> None:
        waited.append(seconds)
        holder.close()

    monkeypatch.setattr("app.store.migrate.time.sleep", let_go)
    migrate(url)
    assert waited == [1]


def test_a_revision_that_fails_leaves_the_database_as_it_was(empty_database: Callable[[str], str]) -> None:
    url = empty_database(roles.OWNER)
    with psycopg.connect(url) as connection:
        connection.execute(f"SET ROLE {roles.OWNER}")
        connection.execute("CREATE TABLE tombstone ()")
    with pytest.raises(sa.exc.ProgrammingError, match="already exists"):
        migrate(url)
    with psycopg.connect(url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert {name for (name,) in tables} <= {"tombstone", "alembic_version"}


def test_an_unreachable_server_is_said_without_its_address_or_password() -> None:
    with pytest.raises(DatabaseUnreachable) as unreachable:
        migrate("postgresql://somebody:secret@127.0.0.1:1/name")
    assert not any(word in str(unreachable.value) for word in ("somebody", "secret", "127.0.0.1"))
