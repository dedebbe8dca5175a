"""The embedded server: private, behind a password, stopped by its last holder, taken over when that was killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from app.errors import DatabaseUnreachable, SettingsError
from app.store import embedded, roles
from app.store.database import Database
from app.store.migrate import migrate
from tests.conftest import FAST

HOLDER = """
import sys, time
from pathlib import Path
from app.store import embedded
server = embedded.start(Path(sys.argv[1]))
server.stop_on_signals()
print(server.url, flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def data_dir(short_dir: Callable[[], Path]) -> Path:
    """A directory with a cluster that no test changes for good."""
    path = short_dir()
    embedded.start(path, FAST).stop()
    return path


@pytest.fixture
def running(data_dir: Path) -> Iterator[embedded.EmbeddedServer]:
    with embedded.start(data_dir, FAST) as server:
        yield server


def answers(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_server_is_reached_through_one_private_socket_alone(
    data_dir: Path, running: embedded.EmbeddedServer
) -> None:
    with psycopg.connect(running.url) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    assert (data_dir / "postgres" / "socket" / ".s.PGSQL.5432").is_socket()
    assert mode(data_dir / "postgres" / "socket") == 0o700
    assert mode(data_dir / "postgres" / "cluster") == 0o700
    assert mode(data_dir / "postgres" / "passwords") == 0o600


def test_nobody_comes_in_without_the_password(data_dir: Path, running: embedded.EmbeddedServer) -> None:
    sockets = str(data_dir / "postgres" / "socket")
    for user in (embedded.LOGIN_ROLE, "postgres"):
        for password in ("", "wrong"):
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(host=sockets, user=user, dbname="postgres", password=password)
    rules = (data_dir / "postgres" / "cluster" / "pg_hba.conf").read_text()
    assert rules == "local all all scram-sha-256\n"


def test_the_application_gets_a_login_without_rights_of_its_own(running: embedded.EmbeddedServer) -> None:
    with psycopg.connect(running.url) as connection:
        row = connection.execute(
            "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolinherit FROM pg_roles"
            " WHERE rolname = session_user"
        ).fetchone()
    assert row == (False, False, False, False, False)


def test_a_role_that_sees_every_team_is_refused(data_dir: Path, running: embedded.EmbeddedServer) -> None:
    migrate(running.url)
    database = Database(running.url)
    database.check_role()
    home = embedded._Home(data_dir / "postgres", None)
    with psycopg.connect(embedded._url(home, "postgres", "threadlink"), autocommit=True) as superuser:
        superuser.execute(f"ALTER ROLE {roles.APP} SUPERUSER")
        try:
            with pytest.raises(SettingsError, match="can see every team"):
                database.check_role()
        finally:
            superuser.execute(f"ALTER ROLE {roles.APP} NOSUPERUSER")
    database.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("log_error_verbosity", "terse"),
        ("log_min_error_statement", "panic"),
        ("log_parameter_max_length_on_error", "0"),
        ("log_statement", "none"),
        ("password_encryption", "scram-sha-256"),
        ("max_connections", "200"),
        ("TimeZone", "UTC"),
        ("server_encoding", "UTF8"),
    ],
)
def test_the_server_is_set_up_for_privacy(running: embedded.EmbeddedServer, name: str, value: str) -> None:
    with psycopg.connect(running.url) as connection:
        assert connection.execute(f"SHOW {name}").fetchone() == (value,)


def test_letters_of_every_language_fold(running: embedded.EmbeddedServer) -> None:
    with psycopg.connect(running.url) as connection:
        assert connection.execute("SELECT lower('ÇĞÖŞÜÉ'), 'Ö' ILIKE 'ö'").fetchone() == ("çğöşüé", True)


def test_a_running_server_is_attached_to(data_dir: Path, running: embedded.EmbeddedServer) -> None:
    assert embedded.attach(data_dir) == running.url
    assert answers(running.url)


def test_without_a_running_server_it_is_said_what_to_do(data_dir: Path, tmp_path: Path) -> None:
    for nothing in (data_dir, tmp_path, tmp_path / "missing"):
        with pytest.raises(DatabaseUnreachable, match=r"threadlink serve.*DATABASE_URL"):
            embedded.attach(nothing)
    assert list(tmp_path.iterdir()) == []


def test_the_last_holder_stops_the_server(data_dir: Path) -> None:
    first, second = embedded.start(data_dir, FAST), embedded.start(data_dir, FAST)
    assert first.url == second.url
    first.stop()
    first.stop()
    assert answers(second.url)
    second.stop()
    assert not answers(second.url)


def test_data_and_passwords_outlive_a_restart(data_dir: Path) -> None:
    with embedded.start(data_dir, FAST) as server, psycopg.connect(server.url) as connection:
        connection.execute(f"SET ROLE {roles.OWNER}")
        connection.execute("CREATE TABLE IF NOT EXISTS kept AS SELECT 5 AS x")
    with embedded.start(data_dir, FAST) as again, psycopg.connect(again.url) as connection:
        assert again.url == server.url
        connection.execute(f"SET ROLE {roles.OWNER}")
        assert connection.execute("SELECT x FROM kept").fetchone() == (5,)
        connection.execute("DROP TABLE kept")


def test_a_forked_child_does_not_stop_its_parents_server(running: embedded.EmbeddedServer) -> None:
    running._pid += 1
    running.stop()
    running._pid -= 1
    assert answers(running.url)


@pytest.fixture
def holder(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """Start another process that holds the server and waits; it has printed the URL."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(data_dir)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("postgresql://")
        yield process
        process.kill()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_stops_holder_and_server(data_dir: Path, holder: subprocess.Popen[str], sent: signal.Signals) -> None:
    url = embedded.attach(data_dir)
    holder.send_signal(sent)
    assert holder.wait(10) != 0
    assert not answers(url)


def test_a_server_whose_holder_was_killed_is_taken_over_and_then_stopped(
    data_dir: Path, holder: subprocess.Popen[str]
) -> None:
    holder.kill()
    holder.wait(10)
    assert answers(embedded.attach(data_dir))
    with embedded.start(data_dir, FAST) as server:
        assert answers(server.url)
    assert not answers(server.url)


def test_a_server_that_was_killed_starts_again(data_dir: Path) -> None:
    with embedded.start(data_dir, FAST):
        os.kill(int((data_dir / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    with embedded.start(data_dir, FAST) as server:
        assert answers(server.url)


def test_a_directory_that_others_can_enter_is_refused(data_dir: Path) -> None:
    sockets = data_dir / "postgres" / "socket"
    sockets.chmod(0o755)
    try:
        with pytest.raises(SettingsError, match="mode 0700"):
            embedded.start(data_dir, FAST)
    finally:
        sockets.chmod(0o700)


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="shorter"):
        embedded.start(tmp_path / ("x" * 100))
    assert list(tmp_path.iterdir()) == []


def test_a_cluster_of_another_postgresql_is_refused(data_dir: Path, short_dir: Callable[[], Path]) -> None:
    old = short_dir()
    shutil.copytree(data_dir / "postgres", old / "postgres")
    for private in ("cluster", "socket"):
        shutil.chown(old / "postgres" / private, (data_dir / "postgres" / private).stat().st_uid)
    (old / "postgres" / "cluster" / "PG_VERSION").write_text("12\n")
    with pytest.raises(SettingsError, match=r"PostgreSQL 12.*pg_dump"):
        embedded.start(old)


def test_a_server_that_does_not_start_says_where_its_log_is(data_dir: Path) -> None:
    with pytest.raises(DatabaseUnreachable, match=r"pg_ctl failed.*server\.log"):
        embedded.start(data_dir, {"shared_buffers": "nonsense"})
    with embedded.start(data_dir, FAST) as server:
        assert answers(server.url)


def test_passwords_are_neither_in_the_log_nor_in_the_servers_arguments(
    data_dir: Path, running: embedded.EmbeddedServer
) -> None:
    passwords = json.loads((data_dir / "postgres" / "passwords").read_text()).values()
    seen = (data_dir / "postgres" / "cluster" / "server.log").read_text()
    seen += (data_dir / "postgres" / "cluster" / "postmaster.opts").read_text()
    assert len(set(passwords)) == 2
    assert not any(password in seen for password in passwords)


@pytest.mark.skipif(os.geteuid() != 0, reason="PostgreSQL refuses root alone")
def test_roots_server_runs_as_another_user_and_opens_no_parent_directory(short_dir: Callable[[], Path]) -> None:
    closed = short_dir()
    closed.chmod(0o700)
    with pytest.raises(SettingsError, match=f"cannot be in {closed}"):
        embedded.start(closed / "data")
    assert mode(closed) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="PostgreSQL refuses root alone")
def test_programs_that_roots_server_may_not_reach_are_copied(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_closed_parent", lambda path: path if path.name == "pginstall" else None)
    with embedded.start(data_dir, FAST) as server:
        assert answers(server.url)
        (copy,) = (data_dir / "postgres").glob("programs-*")
        pid = (data_dir / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0]
        assert Path(f"/proc/{pid}/exe").resolve().is_relative_to(copy)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes users")
def test_processes_that_start_at_once_on_a_new_machine_make_one_user() -> None:
    name = f"tl-test-{os.getpid()}"
    program = (
        "import pwd, sys; from app.store import embedded; embedded.SYSTEM_USER = sys.argv[1];"
        " found = embedded._system_user(); assert pwd.getpwuid(found[0]).pw_name == sys.argv[1]; print(*found)"
    )
    try:
        started = [
            subprocess.Popen([sys.executable, "-c", program, name], stdout=subprocess.PIPE, text=True) for _ in range(6)
        ]
        said = {process.communicate(timeout=60)[0] for process in started}
        assert [process.returncode for process in started] == [0] * len(started)
        assert len(said) == 1
    finally:
        subprocess.run(["/usr/sbin/userdel", name], check=False, capture_output=True)
