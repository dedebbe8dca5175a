"""How much one sender, address, team or peer may: counted in this process, in windows that begin with the first."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_REMEMBERED = 10_000  # of each kind; who floods us with names must not fill our memory


@dataclass
class Rate:
    """So many of each name in a window of seconds."""

    most: int
    window_s: float
    now: Callable[[], float] = time.monotonic
    _counted: dict[object, tuple[float, int]] = field(default_factory=dict)

    def is_over(self, name: object) -> bool:
        """Say whether a name has used up what it may."""
        since, count = self._counted.get(name, (0.0, 0))
        return count >= self.most and self.now() - since < self.window_s

    def count(self, name: object) -> None:
        """Count one more for a name."""
        now = self.now()
        since, count = self._counted.get(name, (now, 0))
        if now - since >= self.window_s:
            since, count = now, 0
        if name not in self._counted and len(self._counted) >= MOST_REMEMBERED:
            self._counted = {each: kept for each, kept in self._counted.items() if now - kept[0] < self.window_s}
            if len(self._counted) >= MOST_REMEMBERED:
                self._counted.pop(next(iter(self._counted)))
        self._counted[name] = (since, count + 1)


class Connections:
    """Who is connected now."""

    def __init__(self, most: int, most_per_ip: int) -> None:
        self._most = most
        self._most_per_ip = most_per_ip
        self._open: Counter[str] = Counter()

    def enter(self, peer: str) -> bool:
        """Count a connection; False, and nothing is counted, when there are too many."""
        if self._open.total() >= self._most or self._open[peer] >= self._most_per_ip:
            return False
        self._open[peer] += 1
        return True

    def leave(self, peer: str) -> None:
        """Count a connection that ended."""
        self._open[peer] -= 1
        if self._open[peer] <= 0:
            del self._open[peer]
