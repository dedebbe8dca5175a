"""Google's signing keys: one fetch a minute, nobody waits for it who need not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import pytest

from app.errors import Unavailable, VerificationUnavailable
from app.testing.fakes import SteppedClock
from connectors.mail.gmail import signed
from connectors.mail.gmail.signed import SigningKeys
from connectors.simulated_keys import Signer

CERTIFICATES = Signer().certificates()
(KEY_ID,) = CERTIFICATES


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


def counted(answers: Callable[[], Mapping[str, str]]) -> tuple[list[int], Callable[[], Mapping[str, str]]]:
    calls: list[int] = []

    def fetch() -> Mapping[str, str]:
        calls.append(1)
        return answers()

    return calls, fetch


def test_keys_are_fetched_once_a_day(clock: SteppedClock) -> None:
    calls, fetch = counted(lambda: CERTIFICATES)
    keys = SigningKeys(fetch, clock)
    for _ in range(23):
        assert keys.find(KEY_ID)
        clock.step(hours=1)
    assert len(calls) == 1
    clock.step(hours=2)
    assert keys.find(KEY_ID)
    assert len(calls) == 2


def test_an_empty_answer_replaces_no_key(clock: SteppedClock) -> None:
    answers: list[Mapping[str, str]] = [CERTIFICATES, {}]
    keys = SigningKeys(lambda: answers.pop(0), clock)
    assert keys.find(KEY_ID)
    clock.step(hours=25)
    assert keys.find(KEY_ID)
    assert answers == []


def test_while_one_fetches_the_others_use_the_keys_at_hand(clock: SteppedClock) -> None:
    fetching, done = threading.Event(), threading.Event()
    first = True

    def fetch() -> Mapping[str, str]:
        nonlocal first
        if not first:
            fetching.set()
            done.wait(5)
        first = False
        return CERTIFICATES

    keys = SigningKeys(fetch, clock)
    assert keys.find(KEY_ID)
    clock.step(hours=25)
    one = threading.Thread(target=keys.find, args=(KEY_ID,))
    one.start()
    assert fetching.wait(5)
    assert keys.find(KEY_ID)  # would wait for ever: the first one is still fetching
    assert not done.is_set()
    done.set()
    one.join()


def test_without_keys_everybody_waits_for_the_one_fetch(clock: SteppedClock) -> None:
    calls, fetch = counted(lambda: CERTIFICATES)
    keys = SigningKeys(fetch, clock)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(keys.find(KEY_ID))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(found)
    assert len(calls) == 1


@pytest.mark.parametrize("wrong", [{"k": "no certificate"}, {"k": 7}])
def test_what_is_no_certificate_is_no_key(clock: SteppedClock, wrong: dict[str, str]) -> None:
    with pytest.raises(VerificationUnavailable):
        SigningKeys(lambda: wrong, clock).find(KEY_ID)


def test_a_failed_fetch_is_not_repeated_within_a_minute(clock: SteppedClock) -> None:
    def away() -> Mapping[str, str]:
        raise Unavailable

    calls, fetch = counted(away)
    keys = SigningKeys(fetch, clock)
    for _ in range(10):
        with pytest.raises(VerificationUnavailable):
            keys.find(KEY_ID)
        clock.step(seconds=7)
    assert len(calls) == 2


def test_unknown_keys_are_remembered_within_bounds(clock: SteppedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signed, "MAX_UNKNOWN_KEYS", 10)
    keys = SigningKeys(lambda: CERTIFICATES, clock)
    for number in range(100):
        assert keys.find(f"unknown-{number}") is None
    assert len(keys._unknown) <= 10


def test_a_clock_that_went_back_stops_no_fetch(clock: SteppedClock) -> None:
    calls, fetch = counted(lambda: CERTIFICATES)
    keys = SigningKeys(fetch, clock)
    assert keys.find(KEY_ID)
    clock.step(days=-30)
    assert keys.find(KEY_ID)
    assert len(calls) == 2
