"""Delivers the pushes of a simulated provider: at least once, retried until they are answered.

No connector needs it to work.
"""

from __future__ import annotations

import heapq
import http.client
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

ACKNOWLEDGED = frozenset({102, 200, 201, 202, 204})
MAX_ATTEMPTS = 6
FIRST_RETRY_S = 0.05
TIMEOUT_S = 10.0


@dataclass(order=True)
class _Push:
    due: float  # time.monotonic
    number: int
    body: bytes = field(compare=False)
    url: str | None = field(compare=False)
    attempts: int = field(default=0, compare=False)


class PushDelivery:
    """One thread that sends pushes in the order they fall due, each with the headers of the moment.

    A push goes to the address it was put in line with, else to `url`; without either nobody listens.
    """

    def __init__(self, headers_for: Callable[[str], Mapping[str, str]]) -> None:
        self.url: str | None = None
        self.answers: list[int] = []  # every status that came back; 0 for no connection
        self._headers_for = headers_for
        self._waiting: list[_Push] = []
        self._in_flight = 0
        self._made = 0
        self._stopping = False
        self._changed = threading.Condition()
        self._connection: http.client.HTTPConnection | None = None
        self._thread = threading.Thread(target=self._run, name="simulated-push", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; what still waits is dropped."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(timeout=TIMEOUT_S)

    def send(self, body: bytes, *, url: str | None = None, delay_s: float = 0.0) -> None:
        """Put a push in line."""
        with self._changed:
            self._made += 1
            heapq.heappush(self._waiting, _Push(time.monotonic() + delay_s, self._made, body, url))
            self._changed.notify_all()

    def settle(self) -> None:
        """Return when everything in line was answered or given up."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or not (self._waiting or self._in_flight))

    def _run(self) -> None:
        while (push := self._next()) is not None:
            status = self._post(push.url or self.url, push.body)
            push.attempts += 1
            with self._changed:
                self.answers.append(status)
                self._in_flight -= 1
                if status not in ACKNOWLEDGED and push.attempts < MAX_ATTEMPTS:
                    push.due = time.monotonic() + FIRST_RETRY_S * 2 ** (push.attempts - 1)
                    heapq.heappush(self._waiting, push)
                self._changed.notify_all()
        self._disconnect()

    def _next(self) -> _Push | None:
        with self._changed:
            while not self._stopping:
                wait_s = self._waiting[0].due - time.monotonic() if self._waiting else None
                if wait_s is not None and wait_s <= 0:
                    self._in_flight += 1
                    return heapq.heappop(self._waiting)
                self._changed.wait(wait_s)
            return None

    def _post(self, url: str | None, body: bytes) -> int:
        if url is None:
            return 204  # nobody listens, so nobody can refuse
        parts = urlsplit(url)
        headers = {"Content-Type": "application/json", **self._headers_for(url)}
        path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        for is_last in (False, True):  # a connection kept open may have been closed at the other end
            try:
                if self._connection is None or (self._connection.host, self._connection.port) != (
                    parts.hostname,
                    parts.port or 80,
                ):
                    self._disconnect()
                    self._connection = http.client.HTTPConnection(
                        parts.hostname or "", parts.port or 80, timeout=TIMEOUT_S
                    )
                self._connection.request("POST", path, body, headers)
                response = self._connection.getresponse()
                response.read()
            except (OSError, http.client.HTTPException):
                self._disconnect()
                if is_last:
                    return 0
            else:
                return response.status
        return 0

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
