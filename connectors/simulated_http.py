"""The HTTP server that simulators of vendors stand on. No connector needs it to work."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as plain data; header names are lower case."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes = b""

    def one(self, name: str, default: str = "") -> str:
        """Return the first value of a query parameter."""
        return self.query.get(name, [default])[0]

    @classmethod
    def of(cls, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Call:
        """Build a call from a request line."""
        parts = urlsplit(target)
        return cls(method, unquote(parts.path), parse_qs(parts.query, keep_blank_values=True), headers, body)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. `cut` sends half the body it promises; `drop` hangs up without a word."""

    status: int
    body: bytes = b""
    content_type: str = "application/json; charset=UTF-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    cut: bool = False
    drop: bool = False


def json_reply(value: Any, status: int = 200, **headers: str) -> Reply:
    """Answer with JSON."""
    return Reply(status, json.dumps(value).encode(), headers=headers)


class SimulatorServer:
    """Serves one function on a free local port, a thread for each connection."""

    def __init__(self, answer: Callable[[Call], Reply]) -> None:
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler_for(answer, self._connections, self._lock))
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="simulated-vendor", daemon=True
        )

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and hang up on everybody."""
        self._server.shutdown()
        self._server.server_close()
        with self._lock:
            for connection in self._connections:
                _hang_up(connection)
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256


def _handler_for(
    answer: Callable[[Call], Reply], connections: set[socket.socket], lock: threading.Lock
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            with lock:
                connections.add(self.connection)

        def finish(self) -> None:
            with lock:
                connections.discard(self.connection)
            super().finish()

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:  # the other end hung up
                self.close_connection = True

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = answer(Call.of(self.command, self.path, headers, self.rfile.read(length)))
            if reply.delay_s:
                time.sleep(reply.delay_s)
            if reply.drop:
                self.close_connection = True
                return
            # One write: two would wait for each other's acknowledgement on a connection kept open.
            self.wfile.write(head_of(reply) + (reply.body[: len(reply.body) // 2] if reply.cut else reply.body))
            self.close_connection = reply.cut

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815  # the names http.server looks for

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name http.server gives
            """Stay silent."""

    return Handler


def head_of(reply: Reply) -> bytes:
    """Return the status line and the headers of an answer."""
    lines = [f"HTTP/1.1 {reply.status} {_phrase(reply.status)}", f"Content-Length: {len(reply.body)}"]
    if reply.body:
        lines.append(f"Content-Type: {reply.content_type}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in reply.headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # it was gone already
        return
