"""Processes that a benchmark serves: threadlink's own web process, or the bare route it is compared with."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from app.store import embedded
from app.store.migrate import migrate

THREADS = 16


@contextmanager
def database_server() -> Iterator[tuple[Path, str]]:
    """Start an embedded server with a migrated database; give its directory and its URL, and delete both after."""
    data_dir = Path(tempfile.mkdtemp(prefix="tl-bench-"))
    data_dir.chmod(0o711)  # root's server runs as another user
    try:
        with embedded.start(data_dir) as server:
            migrate(server.url)
            yield data_dir, server.url
    finally:
        shutil.rmtree(data_dir, ignore_errors=True)


@contextmanager
def web(data_dir: Path, port: int, environ: Mapping[str, str]) -> Iterator[None]:
    """Serve threadlink on a port, over the embedded server of a directory."""
    settings = {
        "THREADLINK_DATA": str(data_dir),
        "DATABASE_URL": "",
        "THREADLINK_LISTEN": f"127.0.0.1:{port}",
        "THREADLINK_WEB_THREADS": str(THREADS),
        "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
    }
    with _serving([sys.executable, "-m", "app.cli", "web"], port, {**environ, **settings}):
        yield


@contextmanager
def bare(port: int) -> Iterator[None]:
    """Serve a bare route behind the same gunicorn with the same threads."""
    with _serving([sys.executable, "-m", "tests.bench.bare", str(port), str(THREADS)], port, {}):
        yield


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _serving(command: list[str], port: int, environ: Mapping[str, str]) -> Iterator[None]:
    process = subprocess.Popen(command, env={**os.environ, **environ}, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("the server did not come up")
