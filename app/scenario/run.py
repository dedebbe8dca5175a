"""Plays a scenario in a World and reports which expectations were not met.

The World is the product with simulated providers (demo.py, tests) or a fake. It is given set up: team, members,
accounts and CRM records of the scenario exist, and its clock stands at `scenario.now`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any, Protocol

from app.scenario.check import ActionOutcome, Failure, Outcome, Questions, check, questions
from app.scenario.mail import build_mail, folder_of
from app.scenario.model import ActionEvent, CrmEvent, FaultEvent, MailEvent, Scenario


@dataclass(frozen=True, slots=True)
class Delivery:
    """One copy of a message for one mailbox, in the folder it lies in."""

    key: str
    mailbox: str
    raw: bytes
    at: datetime  # the provider's time
    folder: str
    due: datetime  # when the mailbox shows it


class World(Protocol):
    """What a scenario is played in. Every name in its arguments and answers is one of the scenario."""

    def advance(self, to: datetime) -> None:
        """Move the clock forward to that time, never back; what is due on the way (renewals, polls) happens."""
        ...

    def deliver(self, delivery: Delivery) -> None:
        """Put a copy into its mailbox; the provider pushes. The World remembers which key it stands for."""
        ...

    def change_crm(self, event: CrmEvent) -> None:
        """Let somebody work in the CRM."""
        ...

    def act(self, event: ActionEvent) -> ActionOutcome:
        """Let a member do something, confirmed where a confirmation is asked; a refusal is an outcome."""
        ...

    def fault(self, event: FaultEvent) -> None:
        """Arm a fault of a provider."""
        ...

    def settle(self) -> None:
        """Return when nothing is left to do: pushes answered, lost ones polled for, jobs done, notes written."""
        ...

    def snapshot(self, asked: Questions) -> Outcome:
        """Say what there is now; `actions` stays empty."""
        ...


@dataclass(frozen=True, slots=True)
class Report:
    """What a run came to."""

    checked: int
    failures: tuple[Failure, ...]
    outcome: Outcome  # at the end

    @property
    def ok(self) -> bool:
        """Whether every expectation was met."""
        return not self.failures

    def as_json(self) -> dict[str, Any]:
        """Return the `expectations` of the command line's JSON."""
        failed = [
            {"conversation": failure.conversation, "expected": failure.expected, "got": failure.got}
            for failure in self.failures
        ]
        return {"checked": self.checked, "failed": failed}


Step = Delivery | CrmEvent | ActionEvent | FaultEvent


def steps(scenario: Scenario, shuffle_seed: int | None = None) -> Iterator[Step]:
    """Yield what happens, by time; at one time in the order of the file and of `in:`.

    With a seed, deliveries that follow each other at one time come in another order, across mailboxes too.
    """
    order = random.Random(shuffle_seed)  # noqa: S311 - an order that can be repeated, not a secret
    events = sorted(scenario.events, key=lambda event: event.due)
    for (_, is_mail), together in groupby(events, key=lambda event: (event.due, isinstance(event, MailEvent))):
        if not is_mail:
            yield from (event for event in together if not isinstance(event, MailEvent))
            continue
        deliveries = [
            (event, mailbox) for event in together if isinstance(event, MailEvent) for mailbox in event.mailboxes
        ]
        if shuffle_seed is not None:
            order.shuffle(deliveries)
        yield from (_delivery(scenario, event, mailbox) for event, mailbox in deliveries)


def _delivery(scenario: Scenario, event: MailEvent, mailbox: str) -> Delivery:
    return Delivery(
        key=event.key,
        mailbox=mailbox,
        raw=build_mail(scenario, event, mailbox),
        at=event.at,
        folder=folder_of(scenario, event, mailbox),
        due=event.due,
    )


def run(scenario: Scenario, world: World, shuffle_seed: int | None = None) -> Report:
    """Play the scenario to its end, settling after each step, and check every expectation at its moment."""
    actions: dict[int, ActionOutcome] = {}
    failures: list[Failure] = []
    moments = list(scenario.moments)
    for step in steps(scenario, shuffle_seed):
        failures += _check_before(step.due, moments, scenario, world, actions)
        world.advance(step.due)
        _take(step, world, actions)
        world.settle()
    failures += _check_before(None, moments, scenario, world, actions)
    outcome = _outcome(scenario, None, world, actions)
    failures += check(scenario, None, outcome)
    return Report(len(scenario.expectations), tuple(failures), outcome)


def _take(step: Step, world: World, actions: dict[int, ActionOutcome]) -> None:
    if isinstance(step, Delivery):
        world.deliver(step)
    elif isinstance(step, CrmEvent):
        world.change_crm(step)
    elif isinstance(step, ActionEvent):
        actions[step.index] = world.act(step)
    else:
        world.fault(step)


def _check_before(
    due: datetime | None,
    moments: list[datetime],
    scenario: Scenario,
    world: World,
    actions: dict[int, ActionOutcome],
) -> Sequence[Failure]:
    """Check the moments that lie before the next step (None: all that are left), taking them off the list."""
    failures: list[Failure] = []
    while moments and (due is None or moments[0] < due):
        moment = moments.pop(0)
        world.advance(moment)
        world.settle()
        failures += check(scenario, moment, _outcome(scenario, moment, world, actions))
    return failures


def _outcome(scenario: Scenario, moment: datetime | None, world: World, actions: dict[int, ActionOutcome]) -> Outcome:
    return replace(world.snapshot(questions(scenario, moment)), actions=dict(actions))
