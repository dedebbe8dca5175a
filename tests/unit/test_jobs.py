"""What each class of error leads to, how long it waits, and that whatever is enqueued has a task."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import procrastinate
import procrastinate.testing
import pytest

import app
from app import jobs
from app.errors import AccessRevoked, ApplicationMisconfigured, ProviderError, RateLimited, Unavailable
from app.installation import Installation

SOURCES = Path(app.__file__).parent
FIXED = [error for error, action in jobs.ACTIONS.items() if action.wait_s is not None]
DRAWS = 200


def leaves(error: type[ProviderError]) -> Iterator[type[ProviderError]]:
    subclasses = [each for each in error.__subclasses__() if each.__module__ == "app.errors"]
    if not subclasses:
        yield error
    for each in subclasses:
        yield from leaves(each)


def waits(error: ProviderError, failures: int) -> list[float]:
    return [jobs._wait_s(jobs.ACTIONS[type(error)], error, failures) for _ in range(DRAWS)]


def tasks() -> dict[str, Any]:
    queue = procrastinate.App(connector=procrastinate.testing.InMemoryConnector())
    jobs.add_tasks(queue, cast("Installation", None))
    return {name: task for name, task in queue.tasks.items() if not name.startswith("builtin")}


def test_every_class_of_error_leads_to_something() -> None:
    assert set(jobs.ACTIONS) == {*leaves(ProviderError), RateLimited}  # which is raised itself too


def test_only_a_person_leads_on_from_an_account_that_is_refused() -> None:
    assert jobs.ACTIONS[AccessRevoked] == jobs.Action("reauth_required", again=False)


def test_an_application_set_up_wrongly_changes_no_account() -> None:
    action = jobs.ACTIONS[ApplicationMisconfigured]
    assert (action.state, action.again) == (None, True)


@pytest.mark.parametrize("error", [RateLimited, Unavailable])
def test_waits_grow_with_each_failure_up_to_an_hour(error: type[ProviderError]) -> None:
    longest = [max(waits(error(), failures)) for failures in (0, 2, 4, 6, 8)]
    assert longest == sorted(longest)
    assert longest[-1] > 8 * longest[0]
    assert max(waits(error(), 1000)) <= 1 + jobs.LONGEST_WAIT_S


@pytest.mark.parametrize("failures", [0, 1, 5, 11])
def test_jitter_spreads_a_wait_from_one_second_to_its_bound(failures: int) -> None:
    drawn = waits(Unavailable(), failures)
    bound = min(2.0 ** (failures + 1), jobs.LONGEST_WAIT_S)
    assert all(1 <= wait_s <= 1 + bound for wait_s in drawn)
    assert min(drawn) < 1 + bound / 2 < max(drawn)


@pytest.mark.parametrize("error", [RateLimited, Unavailable])
def test_what_the_vendor_asks_for_is_the_least_that_is_waited(error: type[RateLimited]) -> None:
    assert set(waits(error(retry_after_s=7200.0), 0)) == {7200.0}
    assert min(waits(error(retry_after_s=3.0), 9)) >= 3


@pytest.mark.parametrize("error", FIXED)
def test_a_wait_of_its_own_does_not_grow(error: type[ProviderError]) -> None:
    assert set(waits(error(), 0)) == set(waits(error(), 9)) == {jobs.ACTIONS[error].wait_s}


def test_every_task_that_is_enqueued_is_registered() -> None:
    python = "\n".join(path.read_text() for path in SOURCES.rglob("*.py"))
    enqueued = set(re.findall(r"queue\.defer\(\s*\w+,\s*\"(\w+)\"", python))
    sql = "\n".join(path.read_text() for path in SOURCES.rglob("*.sql"))
    enqueued |= set(re.findall(r"ROW \('default', '(\w+)'", sql))
    assert {"sync_account", "wake_account", "crm_write", "renew_subscription", "refresh_mirror"} <= enqueued
    assert enqueued <= set(tasks())


def test_every_call_that_enqueues_names_its_task_in_words() -> None:
    python = "\n".join(path.read_text() for path in SOURCES.rglob("*.py"))
    named = re.findall(r"queue\.defer\(\s*\w+,\s*\"\w+\"", python)
    assert len(named) == len(re.findall(r"queue\.defer\(", python))


def test_the_schedules_are_those_of_the_design() -> None:
    queue = procrastinate.App(connector=procrastinate.testing.InMemoryConnector())
    jobs.add_tasks(queue, cast("Installation", None))
    crons = {task.task.name: task.cron for task in queue.periodic_registry.periodic_tasks.values()}
    assert crons == {
        "poll_quiet": "* * * * *",
        "write_due": "* * * * *",
        "work_due": "* * * * *",
        "deliver_due_webhooks": "* * * * *",
        "examine_accounts": "* * * * *",
        "send_letters": "* * * * *",
        "owe_digests": "*/10 * * * *",
        "owe_held_letters": "*/10 * * * *",
        "refresh_mirrors": "* * * * *",
        "subscribe_crms": "23 * * * *",
        "renew_subscriptions": "*/10 * * * *",
        "audit_windows": "17 * * * *",
        "purge_bodies": "42 3 * * *",
        "retry_stalled": "* * * * * */10",
    }
