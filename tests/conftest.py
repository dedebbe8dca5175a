"""What tests of every kind share: one PostgreSQL for each worker, and a database that is empty for each test."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import psycopg
import pytest
from psycopg import sql

from app.store import embedded, lookups, roles
from app.store.database import Database, engine_url
from app.store.migrate import migrate
from tests.tryton.desk import TrytonDesk
from tests.tryton.server import NoNetwork, TrytonServer, running

# A server to test on instead of the embedded one; its login may create databases and roles.
EXTERNAL_URL = os.environ.get("THREADLINK_TEST_DATABASE_URL", "")
# How long an example takes says something about the machine, not about what is tested.
hypothesis.settings.register_profile(
    "threadlink", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("threadlink")
# Tests lose nothing in a crash of the machine.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


# Where the pure code is tested, of which every branch is asked for. Everything else is much slower when it is traced.
TRACED = ("tests/unit/", "tests/contract/")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Measure coverage in the tests of the pure code alone."""
    for item in items:
        if not item.path.relative_to(config.rootpath).as_posix().startswith(TRACED):
            item.add_marker(pytest.mark.no_cover)


@dataclass(frozen=True)
class Server:
    """A PostgreSQL with a migrated database that holds no rows."""

    url: str
    data_dir: Path | None  # of the embedded server

    def empty(self) -> None:
        """Cut every connection and delete every row."""
        with psycopg.connect(self.url) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
            connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(roles.OWNER)))
            for table in (
                "team",
                "installation",
                "sign_in_attempt",
                "procrastinate_periodic_defers",
                "procrastinate_jobs",
            ):
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
            connection.execute("DELETE FROM procrastinate_workers")


@pytest.fixture(scope="session")
def short_dir() -> Iterator[Callable[[], Path]]:
    """Make directories whose paths are short enough for a socket and open enough for root's server user."""
    made: list[Path] = []

    def make() -> Path:
        path = Path(tempfile.mkdtemp(prefix="tl-"))
        path.chmod(0o711)
        made.append(path)
        return path

    yield make
    for path in made:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def server(short_dir: Callable[[], Path]) -> Iterator[Server]:
    """Start this worker's server, or make this worker's database on the external one, and migrate it."""
    if EXTERNAL_URL:
        name = f"threadlink_test_{os.getpid()}"
        url = engine_url(EXTERNAL_URL).set(drivername="postgresql", database=name).render_as_string(hide_password=False)
        with psycopg.connect(EXTERNAL_URL, autocommit=True) as connection:
            connection.execute("SELECT pg_advisory_lock(1)")  # roles belong to the server, not to the database
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            migrate(url)
        yield Server(url, None)
        with psycopg.connect(EXTERNAL_URL, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        return
    data_dir = short_dir()
    with embedded.start(data_dir, FAST) as running:
        migrate(running.url)
        yield Server(running.url, data_dir)


@pytest.fixture
def database_url(server: Server) -> Iterator[str]:
    """Return the URL of a database without rows, for tests that start processes."""
    yield server.url
    server.empty()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Open a database without rows."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def team(database: Database) -> Callable[..., int]:
    """Make teams; the call returns the team's id."""

    def add(name: str = "Acme") -> int:
        with database.without_team() as connection:
            return lookups.add_team(connection, name)

    return add


@pytest.fixture(scope="session")
def tryton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrytonServer]:
    """Start a Tryton; tests that use it are skipped only where its packages cannot be downloaded."""
    try:
        with running(tmp_path_factory.mktemp("tryton")) as server:
            yield server
    except NoNetwork as error:
        pytest.skip(f"Tryton is not installed yet and its packages cannot be downloaded from here: {error}")


@pytest.fixture(scope="session")
def _one_desk(tryton: TrytonServer) -> Iterator[TrytonDesk]:
    desk = TrytonDesk(tryton)
    yield desk
    desk.rpc.close()


@pytest.fixture
def tryton_desk(_one_desk: TrytonDesk) -> TrytonDesk:
    """Return somebody at an empty desk."""
    _one_desk.clear()
    return _one_desk
