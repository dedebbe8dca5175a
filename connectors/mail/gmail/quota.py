"""Keeps what we ask of one mailbox below Gmail's quota, in quota units per minute and per mailbox.

Each process keeps its own count; what another process spends shows as a refusal, which is honoured here as well.
Vendor page: developers.google.com/gmail/api/reference/quota
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.errors import RateLimited
from app.ports import Clock
from connectors.mail.gmail.failures import PROVIDER

# Quota units of 2026, by operation.
UNITS = {"profile": 1, "watch": 100, "stop": 50, "history": 2, "list": 5, "get": 20, "labels": 1, "send_as": 1}
LONGEST_SLEEP_S = 10.0  # a worker that would wait longer does something else meanwhile
BURST_S = 20.0  # units saved up while idle; burst + rate stay below Google's 6,000 a minute
MAX_BUCKETS = 20_000
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class _Bucket:
    units: float
    at: datetime
    blocked_until: datetime = LONG_AGO


class Quota:
    """A token bucket per mailbox; a caller waits in line for a few seconds and is sent away for longer waits."""

    def __init__(self, units_per_minute: int, clock: Clock, sleep: Callable[[float], None] = time.sleep) -> None:
        self._per_second = units_per_minute / 60
        self._most = self._per_second * BURST_S
        self._clock = clock
        self._sleep = sleep
        self._buckets: dict[str, _Bucket] = {}
        self._lock = threading.Lock()

    def spend(self, mailbox: str, units: int, operation: str) -> None:
        """Take units, waiting up to LONGEST_SLEEP_S for them. Raises RateLimited when it would take longer."""
        with self._lock:
            now = self._clock.now()
            bucket = self._filled(mailbox, now)
            wait_s = max(0.0, (units - bucket.units) / self._per_second)
            blocked_s = (bucket.blocked_until - now).total_seconds()
            if blocked_s > 0 or wait_s > LONGEST_SLEEP_S:
                raise RateLimited(
                    "The mailbox's Gmail quota is used up for now",
                    provider=PROVIDER,
                    operation=operation,
                    retry_after_s=max(wait_s, blocked_s),
                )
            bucket.units -= units  # below zero is a debt: whoever comes next waits for it too
        if wait_s > 0:
            self._sleep(wait_s)

    def block(self, mailbox: str, seconds: float) -> None:
        """Send everybody away for a while: Gmail has said so."""
        with self._lock:
            now = self._clock.now()
            self._filled(mailbox, now).blocked_until = now + timedelta(seconds=seconds)

    def _filled(self, mailbox: str, now: datetime) -> _Bucket:
        bucket = self._buckets.get(mailbox)
        if bucket is None:
            if len(self._buckets) >= MAX_BUCKETS:
                self._forget_the_idle(now)
            bucket = self._buckets[mailbox] = _Bucket(self._most, now)
        passed_s = max(0.0, (now - bucket.at).total_seconds())
        bucket.units, bucket.at = min(self._most, bucket.units + passed_s * self._per_second), now
        return bucket

    def _forget_the_idle(self, now: datetime) -> None:
        """Drop the buckets that have filled up again: a new one would be the same."""
        busy_since = now - timedelta(seconds=2 * BURST_S)
        self._buckets = {
            name: bucket
            for name, bucket in self._buckets.items()
            if bucket.at > busy_since or bucket.blocked_until > now
        }
