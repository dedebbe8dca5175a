"""What calls cost at a simulated Pipedrive, and its limits: two seconds, searches, the day. Part of the simulator."""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from datetime import date, datetime

from connectors.crm.pipedrive.simulator_answers import CLOUDFLARE_PAGE, refusal
from connectors.crm.pipedrive.simulator_v2 import Route
from connectors.simulated_http import Reply

WINDOW_S = 2.0
SEARCHES = 10  # in two seconds, on every plan
BURST = {True: 80, False: 20}  # in two seconds: with a consent (Lite), with an API token (Lite)
REFUSALS_UNTIL_CLOUDFLARE = 10  # within a minute, with an API token
TOKENS_A_DAY = 30_000


class Meter:
    """Counts what a company is asked for, and says when it is too much. The caller holds the lock."""

    def __init__(self) -> None:
        self.usage: Counter[str] = Counter()
        self.tokens_a_day = TOKENS_A_DAY
        self._spent: Counter[date] = Counter()
        self._calls: defaultdict[str, deque[float]] = defaultdict(deque)
        self._searches: defaultdict[str, deque[float]] = defaultdict(deque)
        self._refused: defaultdict[str, deque[float]] = defaultdict(deque)

    def use_up(self, now: datetime, *, gone: bool = True) -> None:
        """Use up the day's tokens, or give them back."""
        self._spent[now.date()] = self.tokens_a_day if gone else 0

    def count(self, route: Route, now: datetime) -> None:
        """Count a call that was carried out."""
        kind = "reads" if route.method == "GET" else "writes"
        self.usage.update({"requests": 1, "tokens": route.tokens, kind: 1, route.operation: 1})
        self._spent[now.date()] += route.tokens

    def refuse(self, route: Route, token: str, now: datetime, *, by_consent: bool) -> Reply | None:
        """Return the refusal of a call that is too much, or None; the call counts for the next ones."""
        tick = time.monotonic()
        refused = self._last(self._refused[token], tick, 60.0)
        if not by_consent and len(refused) > REFUSALS_UNTIL_CLOUDFLARE:
            return Reply(403, CLOUDFLARE_PAGE, "text/html; charset=UTF-8")
        calls = self._last(self._calls[token], tick, WINDOW_S)
        searches = self._last(self._searches[token], tick, WINDOW_S)
        headers = self.headers(token, by_consent=by_consent)
        if self._spent[now.date()] + route.tokens > self.tokens_a_day:
            refused.append(tick)
            return refusal(429, "Daily API token budget exceeded", **headers)
        if len(calls) >= BURST[by_consent] or (route.is_search and len(searches) >= SEARCHES):
            refused.append(tick)
            return refusal(429, "Request over limit", **{**headers, "x_ratelimit_remaining": "0"})
        calls.append(tick)
        if route.is_search:
            searches.append(tick)
        return None

    def headers(self, token: str, *, by_consent: bool) -> dict[str, str]:
        """Return the headers every answer has; none says how much of the day is left."""
        calls = self._last(self._calls[token], time.monotonic(), WINDOW_S)
        limit = BURST[by_consent]
        return {
            "x_ratelimit_limit": str(limit),
            "x_ratelimit_remaining": str(max(0, limit - len(calls))),
            "x_ratelimit_reset": str(int(WINDOW_S)),
        }

    @staticmethod
    def _last(ticks: deque[float], now: float, seconds: float) -> deque[float]:
        while ticks and ticks[0] <= now - seconds:
            ticks.popleft()
        return ticks
