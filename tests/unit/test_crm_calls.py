"""Who waits for a CRM: behind calls that have just begun a moment, behind one that hangs not at all."""

from __future__ import annotations

import threading
import time

import pytest

from app import crm_calls


def test_who_comes_behind_quick_calls_waits_and_gets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crm_calls, "PATIENCE_S", 30.0)
    lanes = crm_calls._Lanes()
    places = [lanes.enter(1) for _ in range(crm_calls.AT_ONCE)]
    assert lanes.enter(2) is not None  # another CRM is not held up
    answered: list[float | None] = []
    waiting = threading.Thread(target=lambda: answered.append(lanes.enter(1)))
    waiting.start()
    waiting.join(0.05)
    assert answered == []
    assert places[0] is not None
    lanes.leave(1, places[0])
    waiting.join(10)
    assert len(answered) == 1
    assert answered[0] is not None


def test_who_comes_behind_calls_that_hang_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crm_calls, "PATIENCE_S", 0.01)
    lanes = crm_calls._Lanes()
    places = [lanes.enter(1) for _ in range(crm_calls.AT_ONCE)]
    assert None not in places
    time.sleep(0.02)
    monkeypatch.setattr(lanes, "_left", _NeverWaits())
    assert lanes.enter(1) is None


class _NeverWaits(threading.Condition):
    def wait(self, timeout: float | None = None) -> bool:
        raise AssertionError(f"waited for {timeout} s")
