"""Faults that simulators of vendors are armed with, taken one moment at a time. No connector needs it to work."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ALWAYS = -1


@dataclass(slots=True)
class Fault:
    """An armed fault, for `left` moments (ALWAYS: until it is disarmed); `whose` None strikes everybody."""

    kind: str
    whose: str | None
    left: int
    params: Mapping[str, Any]


class Faults:
    """Armed faults; `limit` names the parameter that limits a fault to one of the vendor's customers (`mailbox`)."""

    def __init__(self, limit: str) -> None:
        self._limit = limit
        self._armed: list[Fault] = []
        self._lock = threading.Lock()

    def arm(self, kind: str, *, count: int = 1, **params: Any) -> None:
        """Arm a fault for `count` moments, ALWAYS, or 0 to disarm it."""
        whose = params.pop(self._limit, None)
        with self._lock:
            if count == 0:
                self._armed = [fault for fault in self._armed if fault.kind != kind or whose not in {None, fault.whose}]
            else:
                self._armed.append(Fault(kind, whose, count, params))

    def take(self, kind: str, whose: str | None = None, **moment: str) -> Fault | None:
        """Return the fault that strikes now and count it; `moment` must agree with what the fault was limited to."""
        with self._lock:
            for fault in self._armed:
                if fault.kind != kind or fault.whose not in {None, whose}:
                    continue
                if any(fault.params.get(name, value) != value for name, value in moment.items()):
                    continue
                if fault.left != ALWAYS:
                    fault.left -= 1
                    if fault.left == 0:
                        self._armed.remove(fault)
                return fault
        return None
