"""The token bucket of a mailbox."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.errors import RateLimited
from app.testing.fakes import SteppedClock
from connectors.mail.gmail import quota as gmail_quota
from connectors.mail.gmail.quota import Quota


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def quota(clock: SteppedClock, slept: list[float]) -> Quota:
    return Quota(6_000, clock, slept.append)  # 100 units a second, 2,000 saved up


def test_what_was_saved_up_is_spent_without_waiting(quota: Quota, slept: list[float]) -> None:
    quota.spend("a", 2_000, "get")
    assert slept == []


def test_a_short_wait_is_slept(quota: Quota, slept: list[float]) -> None:
    quota.spend("a", 2_000, "get")
    quota.spend("a", 500, "get")
    assert slept == [pytest.approx(5)]


def test_whoever_comes_next_waits_for_the_one_before_too(quota: Quota, slept: list[float]) -> None:
    quota.spend("a", 2_000, "get")
    quota.spend("a", 500, "get")
    quota.spend("a", 500, "get")
    assert slept == [pytest.approx(5), pytest.approx(10)]


def test_a_long_wait_is_refused_and_costs_nothing(quota: Quota, clock: SteppedClock, slept: list[float]) -> None:
    quota.spend("a", 2_000, "get")
    with pytest.raises(RateLimited) as raised:
        quota.spend("a", 1_500, "get")
    assert raised.value.retry_after_s == pytest.approx(15)
    clock.step(seconds=15)
    quota.spend("a", 1_500, "get")
    assert slept == []


def test_time_fills_the_bucket_up_to_its_rim(quota: Quota, clock: SteppedClock, slept: list[float]) -> None:
    quota.spend("a", 2_000, "get")
    clock.step(days=1)
    quota.spend("a", 2_000, "get")
    quota.spend("a", 100, "get")
    assert slept == [pytest.approx(1)]


def test_a_clock_that_goes_back_takes_nothing_away(quota: Quota, clock: SteppedClock, slept: list[float]) -> None:
    quota.spend("a", 1_000, "get")
    clock.step(hours=-1)
    quota.spend("a", 1_000, "get")
    assert slept == []


def test_each_mailbox_has_its_own(quota: Quota, slept: list[float]) -> None:
    quota.spend("a", 2_000, "get")
    quota.spend("b", 2_000, "get")
    assert slept == []


def test_no_minute_costs_more_than_gmail_allows(clock: SteppedClock) -> None:
    quota, spent = Quota(4_500, clock, lambda _: None), 0
    started = clock.now()
    while clock.now() - started < timedelta(minutes=1):
        try:
            quota.spend("a", 500, "get")
        except RateLimited as error:
            clock.step(seconds=error.retry_after_s or 0)
        else:
            spent += 500
    assert spent <= 6_000 + 750  # what is spent ahead is slept for: at most ten seconds' worth


def test_a_mailbox_gmail_has_blocked_is_left_alone(quota: Quota, clock: SteppedClock, slept: list[float]) -> None:
    quota.block("a", 40)
    with pytest.raises(RateLimited) as raised:
        quota.spend("a", 1, "get")
    assert raised.value.retry_after_s == pytest.approx(40)
    quota.spend("b", 1, "get")
    clock.step(seconds=40)
    quota.spend("a", 1, "get")
    assert slept == []


def test_idle_mailboxes_are_forgotten(clock: SteppedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gmail_quota, "MAX_BUCKETS", 3)
    quota = Quota(6_000, clock, lambda _: None)
    for name in ("idle", "also idle", "blocked"):
        quota.spend(name, 2_000, "get")
    quota.block("blocked", 3_600)
    clock.step(minutes=5)
    quota.spend("new", 1, "get")
    assert set(quota._buckets) == {"blocked", "new"}
