"""Keeps what we ask of one company below Pipedrive's limits: tokens of the day, requests and searches in two seconds.

Each process keeps its own count; what another process (or another app) spends shows as a refusal, which is honoured
here for everybody. Source: pipedrive.readme.io/docs/core-api-concepts-rate-limiting
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from app.errors import DailyLimitReached, RateLimited
from app.ports import Clock
from connectors.crm.pipedrive.failures import BURST_S, DAY_GONE_PAUSE_S, PROVIDER
from connectors.crm.pipedrive.operations import FOR_PEOPLE, Operation
from connectors.crm.pipedrive.settings import PipedriveSettings

LONGEST_SLEEP_S = 10.0  # a worker that would wait longer does something else meanwhile
REFUSALS_OF_A_DAY = 3  # so many in a row, though we keep to the burst limits: the day is used up
LONGEST_PAUSE_S = 3600.0
MAX_METERS = 10_000


@dataclass(slots=True)
class Lane:
    """When the last calls of one kind went out, by the machine's own clock."""

    most: int
    sent: deque[float] = field(default_factory=deque)

    def book(self, now: float) -> float:
        """Take the next free place and return when it is."""
        at = max(now, self.sent[-self.most] + BURST_S) if len(self.sent) >= self.most else now
        at = max(at, self.sent[-1] if self.sent else at)
        self.sent.append(at)
        while len(self.sent) > self.most:
            self.sent.popleft()
        return at


class Meter:
    """What one company's calls cost today, and when the next may go out."""

    def __init__(
        self,
        settings: PipedriveSettings,
        clock: Clock,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reserve_percent = settings.reserve_percent
        self._clock = clock
        self._sleep = sleep
        self._monotonic = monotonic
        self._requests = Lane(settings.requests_per_2s)
        self._searches = Lane(settings.searches_per_2s)
        self._lock = threading.Lock()
        self._day: date | None = None
        self._spent = 0
        self._refusals = 0
        self._blocked_until: datetime | None = None
        self._blocked_by: type[RateLimited] = RateLimited

    @property
    def spent_today(self) -> int:
        """Return the tokens that this process spent since midnight UTC."""
        with self._lock:
            self._turn_day(self._clock.now())
            return self._spent

    def spend(self, operation: Operation, daily_tokens: int) -> None:
        """Take the operation's tokens and wait for its turn, up to LONGEST_SLEEP_S.

        Raises RateLimited when it would take longer, or when the day's tokens are used up; the share in reserve is for
        what people wait for.
        """
        with self._lock:
            self._refuse_without_tokens(operation, daily_tokens)
            self._refuse_while_blocked(operation)
            now = self._monotonic()
            lanes = [self._requests, *([self._searches] if operation.is_search else [])]
            waits = [lane.sent[-lane.most] + BURST_S - now for lane in lanes if len(lane.sent) >= lane.most]
            if max(waits, default=0.0) > LONGEST_SLEEP_S:
                raise _slow_down("Too many calls to Pipedrive are waiting", operation, max(waits))
            at = max(lane.book(now) for lane in lanes)
            self._spent += operation.tokens
        if at > now:
            self._sleep(at - now)

    def refused(self, error: RateLimited) -> RateLimited:
        """Send everybody away for as long as Pipedrive said; return the error with how long that is.

        Asking on would end at Cloudflare. Several refusals in a row mean that the day is used up.
        """
        with self._lock:
            self._refusals += 1
            wait_s = error.retry_after_s or BURST_S
            if self._refusals >= REFUSALS_OF_A_DAY:
                wait_s = max(wait_s, DAY_GONE_PAUSE_S)
            wait_s = min(wait_s, LONGEST_PAUSE_S)
            until = self._clock.now() + timedelta(seconds=wait_s)
            self._blocked_until = max(self._blocked_until or until, until)
            self._blocked_by = type(error)
        error.retry_after_s = wait_s
        return error

    def answered(self) -> None:
        """Forget the refusals: a call went through."""
        with self._lock:
            self._refusals = 0

    def _refuse_while_blocked(self, operation: Operation) -> None:
        left_s = (self._blocked_until - self._clock.now()).total_seconds() if self._blocked_until else 0.0
        if 0 < left_s <= LONGEST_PAUSE_S:  # longer: the machine's clock was set back
            raise _slow_down("Pipedrive asked us to wait", operation, left_s, self._blocked_by)
        self._blocked_until = None

    def _refuse_without_tokens(self, operation: Operation, daily_tokens: int) -> None:
        now = self._clock.now()
        self._turn_day(now)
        kept = 0 if operation in FOR_PEOPLE else daily_tokens * self._reserve_percent // 100
        if self._spent + operation.tokens > daily_tokens - kept:
            midnight = datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), datetime.min.time(), UTC)
            wait_s = (midnight - now).total_seconds()
            raise _slow_down(
                "The company's Pipedrive API tokens of the day are used up", operation, wait_s, DailyLimitReached
            )

    def _turn_day(self, now: datetime) -> None:
        today = now.astimezone(UTC).date()
        if self._day != today:
            self._day, self._spent = today, 0


class Meters:
    """One meter for each company and connection, for as long as the process lives."""

    def __init__(self) -> None:
        self._meters: dict[tuple[str, ...], Meter] = {}
        self._lock = threading.Lock()

    def of(self, key: tuple[str, ...], make: Callable[[], Meter]) -> Meter:
        """Return the meter of a company, made on first use."""
        with self._lock:
            if key not in self._meters:
                if len(self._meters) >= MAX_METERS:
                    self._meters.pop(next(iter(self._meters)))
                self._meters[key] = make()
            return self._meters[key]


METERS = Meters()


def _slow_down(message: str, operation: Operation, wait_s: float, kind: type[RateLimited] = RateLimited) -> RateLimited:
    return kind(message, provider=PROVIDER, operation=operation.name, retry_after_s=max(wait_s, 0.1))
