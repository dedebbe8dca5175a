"""Stores the hints of pushes that arrive at the same time with one statement and one commit.

A burst of pushes from many threads would otherwise cost as many statements and commits. Whoever comes first stores at
once; those who come meanwhile gather, and one of them stores for all. No push is answered before its hint is committed.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime

from app.model import Notification
from app.store import queue
from app.store.database import Database


class _Waiting:
    """The notifications of one push, and what became of storing them."""

    __slots__ = ("at", "error", "is_stored", "notifications", "woken")

    def __init__(self, notifications: Sequence[Notification], at: datetime) -> None:
        self.notifications = notifications
        self.at = at
        self.woken = threading.Event()  # it is stored, or it is its turn to store what has gathered
        self.is_stored = False
        self.error: BaseException | None = None


class Acknowledger:
    """Takes the hints of all threads of a process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._gathered: list[_Waiting] = []
        self._is_storing = False

    def store(self, notifications: Sequence[Notification], at: datetime) -> None:
        """Return when the hints are committed. Raises DatabaseUnreachable when they are not."""
        mine = _Waiting(notifications, at)
        with self._lock:
            self._gathered.append(mine)
            waits, self._is_storing = self._is_storing, True
        if waits:
            mine.woken.wait()
        if not mine.is_stored:
            self._store_gathered()
        if mine.error is not None:
            raise mine.error

    def _store_gathered(self) -> None:
        """Store everything that has gathered, then give the turn to one of those who came meanwhile."""
        with self._lock:
            batch, self._gathered = self._gathered, []
        error: BaseException | None = None
        try:
            self._store_batch(batch)
        except BaseException as raised:  # noqa: BLE001 - every push of the batch raises it in its own thread
            error = raised
        with self._lock:
            following = self._gathered[0] if self._gathered else None
            self._is_storing = following is not None
        if following is not None:
            following.woken.set()
        for waiting in batch:
            waiting.error, waiting.is_stored = error, True
            waiting.woken.set()

    def _store_batch(self, batch: Sequence[_Waiting]) -> None:
        pushed: dict[str, list[tuple[str, str | None]]] = {}
        renewing: dict[str, set[str]] = {}
        for waiting in batch:
            for notification in waiting.notifications:
                pushed.setdefault(notification.provider, []).append((notification.mailbox, notification.position))
                if notification.renew:
                    renewing.setdefault(notification.provider, set()).add(notification.mailbox)
        at = max(waiting.at for waiting in batch)
        with self._database.autocommit() as connection:
            for provider, mailboxes in pushed.items():
                queue.hint(connection, provider, mailboxes, at)
            for provider, names in renewing.items():
                queue.renew(connection, provider, names)
