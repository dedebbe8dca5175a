"""Running the processes: the web server, several commands as one, and a server in this process for demo and tests."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import structlog
from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from werkzeug.serving import WSGIRequestHandler, make_server

from app.errors import SettingsError

DRAIN_S = 30  # how long requests and jobs may take to end after SIGTERM
CHECK_EVERY_S = 0.2

log = structlog.get_logger(__name__)


# --- the web server ---


def serve_web(make_app: Callable[[], Flask], listen: str, *, threads: int) -> None:
    """Serve the application until SIGTERM or SIGINT, then let running requests end.

    `make_app` is called in the serving process, so that its database pool is not shared over a fork.
    """
    log.info("web starting", threads=threads, port=int(listen.rpartition(":")[2] or 0))
    _Server(
        make_app,
        {
            "bind": listen,
            "workers": 1,
            "worker_class": "gthread",
            "threads": threads,
            "graceful_timeout": DRAIN_S,
            "keepalive": 75,  # longer than a load balancer's, so that it never meets a connection we just closed
            "limit_request_line": 8190,
            "forwarded_allow_ips": "",  # addresses come from PUBLIC_BASE_URL, never from a header
            "logger_class": _QuietLogger,
            "proc_name": "threadlink-web",
            "control_socket_disable": True,
        },
    ).run()


class _Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    def __init__(self, make_app: Callable[[], Flask], options: dict[str, Any]) -> None:
        self._make_app = make_app
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            if name in self.cfg.settings:  # the control socket came with gunicorn 25
                self.cfg.set(name, value)

    def load(self) -> Flask:
        return self._make_app()


class _QuietLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """Leaves where and how to log to app.log; requests are counted, not logged: their paths hold one-time links."""

    def setup(self, _cfg: object) -> None:
        self.error_log.handlers[:] = []
        self.error_log.propagate = True
        self.error_log.setLevel(logging.WARNING)

    def access(self, *_request: object) -> None:
        """Log nothing."""


# --- several commands as one ---


def run_together(commands: Sequence[Sequence[str]]) -> int:
    """Run commands until one ends or SIGTERM or SIGINT arrives, then stop all; return the exit status of the first.

    A signal that ends them is no failure: the status is 0 then.
    """
    stop = threading.Event()

    def leave(signum: int, _frame: FrameType | None) -> None:
        log.info("stopping", signal=signal.Signals(signum).name)
        stop.set()

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    # Sessions of their own: Ctrl-C goes to us alone, and we end them in order.
    processes = [subprocess.Popen(command, start_new_session=True) for command in commands]  # noqa: S603 - our commands
    try:
        while not stop.wait(CHECK_EVERY_S):
            ended = [status for process in processes if (status := process.poll()) is not None]
            if ended:
                log.warning("process ended", status=ended[0])
                return ended[0] or 1
        return 0
    finally:
        _stop(processes)
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + DRAIN_S + 5
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


# --- inside this process ---


@contextmanager
def listening_locally(port: int = 0) -> Iterator[socket.socket]:
    """Listen on this machine only; 0 takes a port that is free. Raises SettingsError when the port is taken."""
    try:
        listening = socket.create_server(("127.0.0.1", port))
    except OSError:  # Werkzeug would end the process
        raise SettingsError(f"Port {port} of this machine is taken.") from None
    with listening:
        yield listening


@contextmanager
def serve_locally(app: Flask, listening: socket.socket) -> Iterator[str]:
    """Serve the application from threads of this process where it listens already; give its URL."""
    port = listening.getsockname()[1]
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_SilentHandler, fd=listening.fileno())
    thread = threading.Thread(target=server.serve_forever, name="web", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _SilentHandler(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Log nothing: paths hold one-time links."""
