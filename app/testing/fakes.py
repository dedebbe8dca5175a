"""Stand-ins for what threadlink gives a connector: a clock to move, credentials in memory, an address for pushes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from app.errors import NotificationForged, NotificationMalformed, VerificationUnavailable
from app.model import Handshake, Notification
from app.ports import PushRequest

BEGINNING = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


class SteppedClock:
    """Stands still until it is moved."""

    def __init__(self, now: datetime = BEGINNING) -> None:
        self._now = now

    def now(self) -> datetime:
        """Return the time it was last moved to."""
        return self._now

    def step(self, **passed: float) -> None:
        """Move on by a timedelta: step(hours=1)."""
        self._now += timedelta(**passed)


class MemoryCredentials:
    """Secrets in memory; `writes` counts how often they were replaced."""

    def __init__(self, secrets: Mapping[str, Any]) -> None:
        self._secrets = dict(secrets)
        self._row = threading.Lock()
        self.writes = 0

    def read(self) -> dict[str, Any]:
        """Return the secrets."""
        return dict(self._secrets)

    def write(self, secrets: Mapping[str, Any]) -> None:
        """Replace the secrets; only whoever holds the lock calls it."""
        self._secrets = dict(secrets)
        self.writes += 1

    @contextmanager
    def locked(self) -> Iterator[MemoryCredentials]:
        """Hold the lock."""
        with self._row:
            yield self


class PushListener:
    """Receives pushes the way the webhook does: forged 403, unreadable 204, not verifiable 503, stored 204."""

    def __init__(self, read_push: Callable[[PushRequest], list[Notification] | Handshake]) -> None:
        self.requests: list[PushRequest] = []
        self.notifications: list[Notification] = []
        self.forged = 0
        self._read_push = read_push
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="push-listener", daemon=True
        )

    @property
    def url(self) -> str:
        """Where pushes go."""
        return f"http://127.0.0.1:{self._server.server_port}/webhooks/provider"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, request: PushRequest) -> Handshake:
        self.requests.append(request)
        try:
            read = self._read_push(request)
        except NotificationForged:
            self.forged += 1
            return Handshake("", status=403)
        except NotificationMalformed:
            return Handshake("", status=204)
        except VerificationUnavailable:
            return Handshake("", status=503)
        if isinstance(read, Handshake):
            return read
        self.notifications += read
        return Handshake("", status=204)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the name http.server looks for
                parts = urlsplit(self.path)
                answer = listener._answer(  # one class in two parts
                    PushRequest(
                        method="POST",
                        headers={name.lower(): value for name, value in self.headers.items()},
                        args=dict(parse_qsl(parts.query)),
                        body=self.rfile.read(int(self.headers.get("Content-Length") or 0)),
                    )
                )
                body = answer.body.encode()
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name http.server gives
                """Stay silent."""

        return Handler
