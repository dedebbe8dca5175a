"""How many requests to one mailbox run at once, within this process: what stands in where no other limit is given."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class LocalSlots:
    """Places that the threads of this process share (ports.Slots)."""

    def __init__(self, longest_wait_s: float = 10.0) -> None:
        self._longest_wait_s = longest_wait_s
        self._changed = threading.Condition()
        self._taken: dict[str, int] = {}

    @contextmanager
    def hold(self, name: str, wanted: int, of: int) -> Iterator[None]:
        """Hold `wanted` of the `of` places of a name. Raises TimeoutError when they do not come free in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._taken.get(name, 0) + wanted <= of, self._longest_wait_s):
                raise TimeoutError
            self._taken[name] = self._taken.get(name, 0) + wanted
        try:
            yield
        finally:
            with self._changed:
                self._taken[name] -= wanted
                if not self._taken[name]:
                    del self._taken[name]
                self._changed.notify_all()
