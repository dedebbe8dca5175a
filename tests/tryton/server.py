"""Installs, prepares and starts trytond, which is GPL-3: a process of its own that nothing here imports.

Installing and making the database takes about a minute and is done once for each user and recipe, in the user's cache
directory; a file lock keeps two test runs from doing it at the same time.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
import requests

from tests.tryton.rpc import ADMIN, ADMIN_PASSWORD, DATABASE, TrytonRpc

PACKAGES = (
    "trytond==8.2.*",
    "trytond-party==8.2.*",
    "trytond-party-relationship==8.2.*",
    "trytond-sale-opportunity==8.2.*",
    "trytond-project==8.2.*",
)
MODULES = ("party", "party_relationship", "sale_opportunity", "project")
USER, USER_PASSWORD = "threadlink", "a-long-password-7"
RELATION = "works for"
GROUPS = ("Sales", "Sale Opportunity", "Project Administration")
# How uv says that it did not reach the package index, as opposed to that an installation failed.
_NO_NETWORK = ("Failed to fetch", "error sending request", "dns error", "Could not connect", "network is unreachable")
_RECIPE = hashlib.sha256(b"".join(path.read_bytes() for path in (Path(__file__),))).hexdigest()[:12]


class NoNetwork(Exception):
    """Tryton's packages could not be downloaded."""


@dataclass(frozen=True)
class TrytonServer:
    """A running Tryton with a company, its employee, and a user for threadlink who is no administrator."""

    url: str
    database_file: Path
    log: Path

    def execute(self, statement: str, *values: Any) -> list[Any]:
        """Run a statement on the database, for what no user of Tryton can do: dates, and starting afresh."""
        with closing(sqlite3.connect(self.database_file, timeout=30)) as connection, connection:
            return connection.execute(statement, values).fetchall()


@contextmanager
def running(directory: Path) -> Iterator[TrytonServer]:
    """Start a Tryton on a copy of the prepared database. Raises NoNetwork."""
    prepared = prepare()
    (directory / "db").mkdir()
    database_file = directory / "db" / f"{DATABASE}.sqlite"
    shutil.copy(prepared / "db" / database_file.name, database_file)
    with _serving(prepared / "venv", directory) as server:
        yield server


def prepare() -> Path:
    """Return the directory with the environment and the database, made on first use."""
    cache = Path(os.environ.get("THREADLINK_TEST_CACHE") or platformdirs.user_cache_dir("threadlink-tests"))
    cache.mkdir(parents=True, exist_ok=True)
    prepared = cache / f"tryton-{_RECIPE}-py{sys.version_info[0]}{sys.version_info[1]}"
    with (cache / "tryton.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (prepared / "ready").exists():
            shutil.rmtree(prepared, ignore_errors=True)
            prepared.mkdir()
            _install(prepared / "venv")
            _make_database(prepared)
            (prepared / "ready").touch()
    return prepared


def _install(venv: Path) -> None:
    uv = shutil.which("uv")
    if uv is None:
        raise RuntimeError("uv is not on the path; the tests are run with `uv run pytest`.")
    _run([uv, "venv", "--quiet", "--python", sys.executable, str(venv)])
    installing = [uv, "pip", "install", "--quiet", "--python", str(venv / "bin" / "python"), *PACKAGES]
    result = subprocess.run(installing, capture_output=True, text=True, timeout=300, check=False, env=_environment())
    if result.returncode:
        if any(words.lower() in result.stderr.lower() for words in _NO_NETWORK):
            raise NoNetwork(result.stderr.strip().splitlines()[0])
        raise RuntimeError(f"Tryton could not be installed: {result.stderr}")


def _make_database(prepared: Path) -> None:
    (prepared / "db").mkdir()
    database_file = prepared / "db" / f"{DATABASE}.sqlite"
    database_file.touch()
    _configure(prepared, 0)
    password_file = prepared / "password"
    password_file.write_text(ADMIN_PASSWORD)
    admin = [str(prepared / "venv" / "bin" / "trytond-admin"), "-c", str(prepared / "trytond.conf"), "-d", DATABASE]
    options = ["-u", *MODULES, "--activate-dependencies", "--email", "admin@example.com"]
    _run([*admin, *options], TRYTONPASSFILE=str(password_file))
    with _serving(prepared / "venv", prepared) as server:
        _fill(TrytonRpc(server.url, ADMIN, ADMIN_PASSWORD))
    with closing(sqlite3.connect(database_file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")


def _fill(admin: TrytonRpc) -> None:
    """Set up what every company has: a currency, itself, an employee, and here the user for threadlink."""
    rate = {
        "date": {"__class__": "date", "year": 2000, "month": 1, "day": 1},
        "rate": {"__class__": "Decimal", "decimal": "1"},
    }
    euro = {"name": "Euro", "symbol": "€", "code": "EUR", "rates": [["create", [rate]]]}
    (currency,) = admin.call("currency.currency.create", [euro])
    (ours, ada) = admin.call("party.party.create", [{"name": "Northwind"}, {"name": "Ada"}])
    (company,) = admin.call("company.company.create", [{"party": ours, "currency": currency}])
    (employee,) = admin.call("company.employee.create", [{"party": ada, "company": company}])
    works_here = {
        "companies": [["add", [company]]],
        "company": company,
        "employees": [["add", [employee]]],
        "employee": employee,
    }
    admin.call("res.user.write", [admin.user_id], works_here)
    groups = admin.call("res.group.search", [["name", "in", list(GROUPS)]], 0, None, None)
    user = {"name": "threadlink", "login": USER, "password": USER_PASSWORD, "groups": [["add", groups]], **works_here}
    admin.call("res.user.create", [user])
    admin.call("party.relation.type.create", [{"name": RELATION}])


@contextmanager
def _serving(venv: Path, directory: Path) -> Iterator[TrytonServer]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    _configure(directory, port)
    log = directory / "trytond.log"
    command = [str(venv / "bin" / "trytond"), "-c", str(directory / "trytond.conf"), "-d", DATABASE]
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=_environment())
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url, process, log)
        yield TrytonServer(url, directory / "db" / f"{DATABASE}.sqlite", log)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    asked = {"id": 1, "method": "common.server.version", "params": []}
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.post(f"{url}/rpc/", json=asked, timeout=5).status_code == 200:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise RuntimeError(f"Tryton did not start: {log.read_text()[-2000:]}")


def _configure(directory: Path, port: int) -> None:
    lines = ("[database]", "uri = sqlite://", f"path = {directory / 'db'}", "[web]", f"listen = 127.0.0.1:{port}")
    (directory / "trytond.conf").write_text("\n".join(lines) + "\n")


def _run(command: Sequence[str], **environment: str) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env={**_environment(), **environment}
    )
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} failed: {done.stderr[-2000:]}")


def _environment() -> dict[str, str]:
    """Return our environment without what would mix Tryton's interpreter with ours."""
    ours = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "COVERAGE_PROCESS_START", "PYTHONWARNINGS"}
    return {name: value for name, value in os.environ.items() if name not in ours}
