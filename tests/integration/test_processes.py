"""The processes as an operator starts them: serve on the embedded server, web and worker on a database."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import requests
from cryptography.fernet import Fernet

from app.store.database import Database
from app.store.secrets import SecretBox, check_canary

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180), pytest.mark.enable_socket]


# A team to whom nothing happens.
QUIET = """
now: 2026-03-02T08:00:00Z
team: {domains: [northwind.test]}
members:
  - {name: Ada, email: ada@northwind.test, role: admin}
accounts:
  - {address: ada@northwind.test, provider: gmail, kind: personal, owner: ada@northwind.test}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def environ() -> dict[str, str]:
    port = free_port()
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("THREADLINK_", "GMAIL_"))},
        "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
        "THREADLINK_LISTEN": f"127.0.0.1:{port}",
        "THREADLINK_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    }


@contextmanager
def running(words: list[str], environ: dict[str, str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", *words],
        env={**environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=60)


def wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if requests.get(f"{url}/readyz", timeout=5).status_code == 200:
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.2)
    pytest.fail("The web process did not become ready within a minute.")


def wait_until_at_work(database_url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with psycopg.connect(database_url) as connection:
            connection.execute("SET ROLE threadlink_app")
            if connection.execute("SELECT 1 FROM procrastinate_workers").fetchone():
                return
        time.sleep(0.2)
    pytest.fail("The worker did not start within a minute.")


def wait_until_gone(pid: int) -> None:
    """Wait for the last steps of a process that nobody here started: its files are gone before it is."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("PostgreSQL runs on.")


def answered(words: list[str], environ: dict[str, str], folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", *words],
        env={**environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_serve_runs_everything_and_ends_in_order(
    environ: dict[str, str], short_dir: Callable[[], Path], tmp_path: Path
) -> None:
    environ |= {"DATABASE_URL": "", "THREADLINK_DATA": str(short_dir() / "data")}
    url = environ["PUBLIC_BASE_URL"]
    with running(["serve"], environ, tmp_path) as process:
        wait_until_ready(url)
        status, said = answered(["teams", "add", "X", "--admin", "a@x.test"], environ, tmp_path)
        assert (status, said) == (0, "Added the team X with a@x.test.\n")
        assert requests.post(f"{url}/webhooks/gmail", data="{}", timeout=10).status_code == 403
        assert requests.get(f"{url}/connect/CANARYtoken", timeout=10).status_code == 404
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=60)
        assert process.returncode == 0
    assert "CANARYtoken" not in log
    status, said = answered(["teams", "list"], environ, tmp_path)
    assert status == 3
    assert "threadlink serve" in said


def test_a_demo_that_is_told_to_end_leaves_nothing_behind(
    environ: dict[str, str], short_dir: Callable[[], Path], tmp_path: Path
) -> None:
    folder = short_dir()
    scenario = tmp_path / "quiet.yaml"
    scenario.write_text(QUIET)
    with running(["demo", "--scenario", str(scenario)], {**environ, "TMPDIR": str(folder)}, tmp_path) as process:
        assert process.stderr is not None
        assert any("Stop it with Ctrl-C." in line for line in process.stderr)
        (data,) = folder.glob("threadlink-demo-*")
        (pid,) = [int(each.read_text().split()[0]) for each in data.rglob("postmaster.pid")]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert not data.exists()
    wait_until_gone(pid)


def test_webhooks_run_in_a_process_of_their_own(environ: dict[str, str], database_url: str, tmp_path: Path) -> None:
    environ["DATABASE_URL"] = database_url
    url = environ["PUBLIC_BASE_URL"]
    with running(["web", "--only", "webhooks"], environ, tmp_path) as process:
        wait_until_ready(url)
        assert requests.post(f"{url}/webhooks/gmail", data="{}", timeout=10).status_code == 403
        assert requests.get(f"{url}/static/page.css", timeout=10).status_code == 200
        assert requests.post(f"{url}/connect/x", timeout=10).json()["status"] == 404
        assert requests.get(f"{url}/healthz", headers={"Host": "evil.test"}, timeout=10).status_code == 400
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 0


def test_a_worker_ends_when_it_is_told(environ: dict[str, str], database_url: str, tmp_path: Path) -> None:
    environ["DATABASE_URL"] = database_url
    with running(["worker"], environ, tmp_path) as process:
        wait_until_at_work(database_url)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 0


@pytest.mark.parametrize("command", ["web", "worker"])
def test_a_process_with_another_key_refuses_to_start_in_one_line(
    environ: dict[str, str], database: Database, database_url: str, tmp_path: Path, command: str
) -> None:
    check_canary(database, SecretBox([Fernet.generate_key().decode()]))
    environ["DATABASE_URL"] = database_url
    status, said = answered([command], environ, tmp_path)
    assert status == 2
    assert said.startswith("threadlink: ")
    assert said.count("\n") == 1


def test_migrate_may_be_run_again(environ: dict[str, str], database_url: str, tmp_path: Path) -> None:
    environ["DATABASE_URL"] = database_url
    assert answered(["migrate"], environ, tmp_path) == (0, "The database is up to date.\n")
