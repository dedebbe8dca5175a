"""The loop that pulls: the order of its steps, how long it waits after failures, and that it never ends by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from app import pulling
from app.errors import ApplicationMisconfigured, DatabaseUnreachable, RateLimited, SettingsError, Unavailable
from app.installation import Installation
from app.model import Notification
from app.ports import NotificationSource, Pulled
from app.testing.fakes import SteppedClock

NOTIFICATION = Notification("stub", "ada@northwind.test", "7")


class Stop(threading.Event):
    """Remembers the waits instead of waiting, and is set after so many of them."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.waits: list[float] = []
        self._after = after

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waits.append(timeout)
        if len(self.waits) >= self._after:
            self.set()
        return self.is_set()


class Source:
    """Plays a script: a batch is yielded, an error raised; then it is at the end of its script and stops the loop."""

    def __init__(self, stop: threading.Event, *script: Pulled | Exception) -> None:
        self._stop = stop
        self._script = list(script)

    def pull(self, stop: Callable[[], bool]) -> Iterator[Pulled]:
        while not stop():
            if not self._script:
                self._stop.set()
                return
            step = self._script.pop(0)
            if isinstance(step, Exception):
                raise step
            yield step


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done, in order."""
    done: list[str] = []
    monkeypatch.setattr(pulling.queue, "hint", lambda *_: done.append("hint"))
    return done


@pytest.fixture
def installation(steps: list[str]) -> Installation:
    @contextmanager
    def autocommit() -> Iterator[None]:
        yield
        steps.append("committed")

    database = SimpleNamespace(autocommit=autocommit)
    return cast("Installation", SimpleNamespace(database=database, clock=SteppedClock(), mail={}))


def batch(steps: list[str], *notifications: Notification, unreadable: int = 0) -> Pulled:
    return Pulled(notifications, lambda: steps.append("acknowledged"), unreadable)


def pulling_thread() -> threading.Thread:
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "pull-stub"]
    return thread


def run(stop: Stop, installation: Installation, *script: Pulled | Exception) -> list[Any]:
    with capture_logs() as logs:
        pulling.pull_until(stop, installation, "stub", Source(stop, *script))
    return logs


def test_a_batch_is_acknowledged_after_its_hints_are_committed(installation: Installation, steps: list[str]) -> None:
    run(Stop(9), installation, batch(steps, NOTIFICATION), batch(steps, NOTIFICATION))
    assert steps == ["hint", "committed", "acknowledged"] * 2


def test_a_batch_whose_hints_are_not_stored_is_not_acknowledged(
    installation: Installation, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise DatabaseUnreachable

    monkeypatch.setattr(pulling.queue, "hint", unreachable)
    stop = Stop(9)
    run(stop, installation, batch(steps, NOTIFICATION))
    assert steps == []
    assert len(stop.waits) == 1


def test_what_cannot_be_read_is_logged_by_number_and_acknowledged(installation: Installation, steps: list[str]) -> None:
    logs = run(Stop(9), installation, batch(steps, unreadable=3))
    assert [(log["event"], log["count"]) for log in logs] == [("pulled notifications malformed", 3)]
    assert steps == ["acknowledged"]


def test_waits_double_up_to_five_minutes_with_jitter(installation: Installation) -> None:
    stop = Stop(12)
    run(stop, installation, *[Unavailable()] * 12)
    for number, wait_s in enumerate(stop.waits):
        whole_s = min(3.0 * 2**number, 300.0)
        assert whole_s / 2 <= wait_s <= whole_s
    assert len({round(wait_s / 300, 6) for wait_s in stop.waits[7:]}) > 1


def test_a_success_begins_the_waits_anew(installation: Installation, steps: list[str]) -> None:
    stop = Stop(9)
    run(stop, installation, *[Unavailable()] * 4, batch(steps, NOTIFICATION), Unavailable())
    assert stop.waits[3] >= 12
    assert stop.waits[4] <= 3


def test_a_request_that_was_cut_off_after_a_long_silence_is_soon_made_again(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling, "HELD_S", -1.0)
    stop = Stop(8)
    run(stop, installation, *[Unavailable()] * 8)
    assert max(stop.waits) <= 3


def test_what_the_provider_asks_for_is_waited(installation: Installation) -> None:
    stop = Stop(1)
    run(stop, installation, RateLimited(retry_after_s=90))
    assert stop.waits == [90]


def test_a_source_that_has_nothing_at_once_is_not_asked_in_a_tight_loop(
    installation: Installation, steps: list[str]
) -> None:
    stop = Stop(9)
    run(stop, installation, batch(steps), batch(steps))
    assert stop.waits == [pulling.REST_S] * 2


def test_a_wrong_set_up_is_logged_with_what_to_do_and_tried_again(installation: Installation, steps: list[str]) -> None:
    error = ApplicationMisconfigured("The queue does not exist: create it", provider="stub", operation="pull")
    (log,) = run(Stop(9), installation, error, batch(steps, NOTIFICATION))
    assert (log["event"], log["log_level"], log["provider"]) == ("The queue does not exist: create it", "error", "stub")
    assert steps == ["hint", "committed", "acknowledged"]


def test_what_nobody_foresaw_does_not_end_the_pulls(installation: Installation, steps: list[str]) -> None:
    (log,) = run(Stop(9), installation, RuntimeError("a bug"), batch(steps, NOTIFICATION))
    assert isinstance(log["exc_info"], RuntimeError)
    assert steps == ["hint", "committed", "acknowledged"]


def test_only_connectors_that_offer_a_source_are_pulled(installation: Installation) -> None:
    source = cast("NotificationSource", object())
    installation.mail.update(  # type: ignore[attr-defined]  # a dict here
        {
            "pushes": SimpleNamespace(),
            "not-set-up": SimpleNamespace(pull_source=lambda: None),
            "pulls": SimpleNamespace(pull_source=lambda: source),
        }
    )
    assert pulling.sources(installation) == {"pulls": source}


def test_a_source_set_up_wrong_is_said_at_once(installation: Installation) -> None:
    def wrong() -> None:
        raise SettingsError("GMAIL_SUBSCRIPTION: must be named.")

    installation.mail["wrong"] = SimpleNamespace(pull_source=wrong)  # type: ignore[index]  # a dict here
    with pytest.raises(SettingsError, match="GMAIL_SUBSCRIPTION"):
        pulling.sources(installation)


def test_the_threads_end_with_the_block(installation: Installation) -> None:
    asked = threading.Event()

    class Idle:
        def pull(self, stop: Callable[[], bool]) -> Iterator[Pulled]:
            while not stop():
                asked.set()
                yield Pulled((), lambda: None)

    with pulling.pulling(installation, {"stub": Idle()}):
        assert asked.wait(5)
        thread = pulling_thread()
    assert not thread.is_alive()


def test_nobody_waits_for_a_provider_that_has_nothing_to_say(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling, "STOP_WITHIN_S", 0.01)
    asked, answers = threading.Event(), threading.Event()

    class Silent:
        def pull(self, stop: Callable[[], bool]) -> Iterator[Pulled]:
            asked.set()
            answers.wait(30)
            yield Pulled((), lambda: None)

    with pulling.pulling(installation, {"stub": Silent()}):
        assert asked.wait(5)
        thread = pulling_thread()
    assert thread.is_alive()
    answers.set()
    thread.join(5)
    assert not thread.is_alive()
