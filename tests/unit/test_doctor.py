"""The doctor names each sickness of an account, and none of a healthy one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.doctor import STATES, account_findings
from app.model import Account
from app.store.account_health import AccountHealth

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
POLL_S = 600
ACCOUNT = Account(
    id=1,
    public_id="x",
    team_id=1,
    provider="gmail",
    kind="personal",
    address="ada@northwind.test",
    mailbox="ada@northwind.test",
    own_addresses=frozenset(),
    auto_link=True,
    visibility="full",
    owner_id=1,
)
HEALTHY = AccountHealth(
    account=ACCOUNT,
    state="live",
    state_reason="",
    state_since=NOW - timedelta(days=3),
    paused=False,
    history_from=None,
    subscription_expires_at=NOW + timedelta(days=6),
    throttled_until=None,
    last_push_at=NOW - timedelta(minutes=3),
    last_sync_at=NOW - timedelta(minutes=3),
    last_audit_at=NOW - timedelta(hours=5),
    last_error=None,
    failures=0,
    pending=0,
    oldest_pending_at=None,
    parked=0,
    first_read_at=None,
    first_read_messages=None,
)


def codes(health: AccountHealth) -> list[str]:
    return [finding.code for finding in account_findings(health, NOW, POLL_S)]


def in_state(state: str) -> AccountHealth:
    return replace(HEALTHY, account=replace(ACCOUNT, state=state), state=state)


def test_a_healthy_account_has_no_finding() -> None:
    assert codes(HEALTHY) == []


@pytest.mark.parametrize("state", sorted(STATES.keys() - {"disconnected", "paused"}))
def test_a_sick_state_is_named_with_what_to_do(state: str) -> None:
    (finding,) = account_findings(in_state(state), NOW, POLL_S)
    assert (finding.about, finding.code, finding.text) == ("ada@northwind.test", state, STATES[state])


@pytest.mark.parametrize("state", ["disconnected", "paused"])
def test_what_somebody_chose_is_no_sickness(state: str) -> None:
    sick = replace(in_state(state), subscription_expires_at=None, parked=3)
    assert codes(sick) == []


@pytest.mark.parametrize(
    ("sick", "code"),
    [
        ({"last_sync_at": NOW - timedelta(seconds=2 * POLL_S + 1)}, "sync_late"),
        ({"last_sync_at": None}, "sync_late"),
        ({"subscription_expires_at": None}, "pushes_off"),
        ({"subscription_expires_at": NOW}, "pushes_off"),
        ({"pending": 4, "oldest_pending_at": NOW - timedelta(minutes=16)}, "messages_waiting"),
        ({"parked": 1}, "messages_parked"),
    ],
)
def test_each_sickness_is_named(sick: dict[str, Any], code: str) -> None:
    assert codes(replace(HEALTHY, **sick)) == [code]


@pytest.mark.parametrize(
    "still_well",
    [
        {"last_sync_at": NOW - timedelta(seconds=2 * POLL_S)},
        {"last_sync_at": None, "state_since": NOW - timedelta(minutes=1)},
        {"pending": 4, "oldest_pending_at": NOW - timedelta(minutes=14)},
        {"last_push_at": None},
    ],
)
def test_what_is_within_its_time_is_no_false_alarm(still_well: dict[str, Any]) -> None:
    assert codes(replace(HEALTHY, **still_well)) == []
