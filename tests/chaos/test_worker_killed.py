"""A worker that is killed (SIGKILL) after any step, or at any other moment, loses nothing and doubles nothing."""

from __future__ import annotations

import random
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import app
from tests.chaos import day
from tests.chaos.running import PATIENCE_S, Day, running

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

WithoutFaults = Callable[[str], dict[str, Any]]


def _steps() -> list[str]:
    """Return every crash point that the code names, apart from those of the web process."""
    root = Path(app.__file__).parent
    found = [name for path in root.rglob("*.py") for name in re.findall(r'crash_point\("([^"]+)"\)', path.read_text())]
    assert len(found) == len(set(found)), "each step has a name of its own"
    return sorted(name for name in found if not name.startswith("push."))


STEPS = _steps()
# The day is resumed after each kill, with a part of its mail for each; several days run side by side.
EXPIRED = ("history_expired", "delta_expired")  # a provider's word for a position that it forgot
DAYS = 3
KILLS = 8


def test_the_day_is_worth_surviving(provider: str, without_faults: WithoutFaults) -> None:
    picture = without_faults(provider)
    linked = [links for _, _, links, _ in picture["conversations"] if any("deal/" in link for link in links)]
    assert len(picture["conversations"]) == day.CONVERSATIONS
    assert sum(count for _, count, _, _ in picture["conversations"]) == day.MESSAGES
    assert len({reason for *_, reason in picture["conversations"]}) >= 5
    assert sum(sum(notes.values()) for notes in picture["notes"].values()) >= len(linked) >= 10


@pytest.mark.parametrize("steps", [STEPS[n::DAYS] for n in range(DAYS)], ids=" ".join)
def test_a_worker_killed_after_any_step_loses_and_doubles_nothing(
    provider: str, steps: list[str], without_faults: WithoutFaults, log: Path
) -> None:
    with running(provider, log) as today:
        for step, wave in zip(steps, day.waves(today.copies, len(steps)), strict=True):
            _bring_about(today, step)
            today.deliver(wave)
            worker = today.start_worker(crash_at=step)
            worker.join(PATIENCE_S)
            assert worker.exitcode == -signal.SIGKILL, f"the worker never came to {step}: {today.left()}"
            today.notice_death()
        today.finish()
        assert today.picture() == without_faults(provider)


def test_a_worker_killed_at_any_moment_loses_and_doubles_nothing(
    provider: str, without_faults: WithoutFaults, log: Path
) -> None:
    moments = random.Random(7)
    with running(provider, log) as today:
        for wave in day.waves(today.copies, KILLS):
            today.deliver(wave)
            worker = today.start_worker()
            time.sleep(0.3 + moments.random())
            worker.kill()
            worker.join(PATIENCE_S)
            today.notice_death()
        today.finish()
        assert today.picture() == without_faults(provider)


def _bring_about(today: Day, step: str) -> None:
    """See to it that the work of the next worker comes by a step that a quiet day has not."""
    if step.startswith(("renew.", "audit.")):
        today.renew_and_audit()
    if step.startswith("work."):
        today.look_back()
    if step == "sync.cursor_expired":
        today.simulator.fault(next(kind for kind in EXPIRED if kind in today.simulator.fault_kinds))
    if step in {"sync.failed", "sync.failure_committed", "wake.hinted"}:
        today.simulator.fault("rate_limited", retry_after_s=1)
