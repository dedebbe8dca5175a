"""Playing scenarios in a world that only writes down what happens."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.scenario.check import ActionOutcome, ConversationOutcome, Outcome, Questions
from app.scenario.model import ActionEvent, CrmEvent, FaultEvent, Scenario
from app.scenario.run import Delivery, Report, run, steps
from tests.unit.scenario.scenarios import ADA, CAN, scenario


class Diary:
    """A world that notes what happens and puts every message into a conversation of its own."""

    def __init__(self, read: Scenario) -> None:
        self.clock = read.now
        self.entries: list[str] = []
        self.delivered: list[str] = []
        self.asked: list[Questions] = []

    def advance(self, to: datetime) -> None:
        self.clock = max(self.clock, to)

    def deliver(self, delivery: Delivery) -> None:
        self.entries.append(f"{self.clock:%H:%M} {delivery.key} {delivery.folder} {delivery.mailbox.partition('@')[0]}")
        self.delivered.append(delivery.key)

    def change_crm(self, event: CrmEvent) -> None:
        self.entries.append(f"{self.clock:%H:%M} crm {type(event.operation).__name__}")

    def act(self, event: ActionEvent) -> ActionOutcome:
        self.entries.append(f"{self.clock:%H:%M} {event.member} {type(event.action).__name__}")
        return ActionOutcome("not_owner")

    def fault(self, event: FaultEvent) -> None:
        self.entries.append(f"{self.clock:%H:%M} fault {event.kind}")

    def settle(self) -> None:
        self.entries.append("settled")

    def snapshot(self, asked: Questions) -> Outcome:
        self.entries.append(f"{self.clock:%H:%M} snapshot")
        self.asked.append(asked)
        return Outcome(
            conversations=tuple(ConversationOutcome(f"c-{key}", (frozenset({key}),)) for key in set(self.delivered))
        )


def mail(key: str, at: str, *, mailboxes: str = ADA, extra: str = "") -> str:
    return f"- {{at: 2026-03-02T{at}:00Z, message: {{key: {key}, in: [{mailboxes}], from: b@acme.test{extra}}}}}\n"


def play(read: Scenario, seed: int | None = None) -> tuple[Diary, Report]:
    diary = Diary(read)
    return diary, run(read, diary, seed)


def test_every_kind_of_event_happens_at_its_time_and_settles():
    diary, report = play(
        scenario(
            mail("m1", "09:00", mailboxes=f"{CAN}, {ADA}")
            + "- {at: 2026-03-02T09:05:00Z, crm: {delete: {kind: deal, id: d1}}}\n"
            "- {at: 2026-03-02T09:10:00Z, as: Can, do: {dismiss: m1}}\n"
            "- {at: 2026-03-02T09:20:00Z, fault: {provider: gmail, kind: history_expired}}\n"
        )
    )

    assert [entry for entry in diary.entries if entry != "settled"] == [
        "09:00 m1 inbox can",
        "09:00 m1 inbox ada",
        "09:05 crm DeleteRecord",
        f"09:10 {CAN} DismissAction",
        "09:20 fault history_expired",
        "09:20 snapshot",
    ]
    assert diary.entries[1::2] == ["settled"] * 5
    assert report.outcome.actions == {2: ActionOutcome("not_owner")}


def test_a_late_message_is_delivered_when_the_mailbox_shows_it():
    late = mail("m1", "09:00", extra=", delivered_at: 2026-03-02T10:00:00Z")

    diary, _ = play(scenario(late + mail("m2", "09:30")))

    assert diary.delivered == ["m2", "m1"]


def test_a_delivery_carries_the_bytes_and_the_providers_time():
    read = scenario(mail("m1", "09:00", extra=", delivered_at: 2026-03-02T10:00:00Z, subject: Prices"))

    (delivery,) = steps(read)

    assert isinstance(delivery, Delivery)
    assert b"Subject: Prices" in delivery.raw
    assert (delivery.at, delivery.due) == (
        datetime(2026, 3, 2, 9, tzinfo=UTC),
        datetime(2026, 3, 2, 10, tzinfo=UTC),
    )


def many_at_once() -> Scenario:
    events = "".join(mail(f"m{number}", "09:00", mailboxes=f"{ADA}, {CAN}") for number in range(6))
    return scenario(events + mail("later", "09:01"))


def order(read: Scenario, seed: int | None) -> list[tuple[str, str]]:
    return [(step.key, step.mailbox) for step in steps(read, seed) if isinstance(step, Delivery)]


def test_shuffling_reorders_what_is_due_at_one_time_and_loses_nothing():
    read = many_at_once()

    plain, shuffled = order(read, None), order(read, 7)

    assert shuffled != plain
    assert sorted(shuffled) == sorted(plain)
    assert shuffled[-1] == ("later", ADA)


def test_shuffling_is_the_same_for_the_same_seed_and_another_for_another():
    read = many_at_once()

    assert order(read, 7) == order(read, 7)
    assert order(read, 7) != order(read, 8)


def test_shuffling_does_not_move_mail_across_an_action_at_the_same_time():
    action = "- {at: 2026-03-02T09:00:00Z, as: Ada, do: {dismiss: a}}\n"
    read = scenario(mail("a", "09:00", mailboxes=f"{ADA}, {CAN}") + action + mail("b", "09:00"))

    for seed in range(5):
        kinds = [getattr(step, "key", "action") for step in steps(read, seed)]
        assert kinds == ["a", "a", "action", "b"]


def test_an_expectation_with_a_moment_is_checked_before_what_comes_later():
    diary, report = play(
        scenario(
            mail("m1", "09:00") + mail("m2", "09:10"),
            "- {same_conversation: [m1, m2], at: 2026-03-02T09:05:00Z}\n"
            "- {different_conversations: [m1, m2], at: 2026-03-02T09:10:00Z}\n"
            "- {conversation: m1, messages: 1}\n",
        )
    )

    assert report.checked == 3
    assert [(failure.conversation, failure.got) for failure in report.failures] == [("m1 + m2", "m1; not stored: m2")]
    assert [entry for entry in diary.entries if "snapshot" in entry] == [
        "09:05 snapshot",
        "09:10 snapshot",
        "09:10 snapshot",
    ]


def test_a_moment_after_the_last_event_is_waited_for():
    diary, _ = play(scenario(mail("m1", "09:00"), "- {conversation: m1, link: null, at: 2026-03-02T12:00:00Z}\n"))

    assert "12:00 snapshot" in diary.entries


def test_a_moment_before_the_first_event_is_checked_first():
    diary, _ = play(scenario(mail("m1", "09:00"), "- {note: deal/d1, count: 0, at: 2026-03-02T08:30:00Z}\n"))

    assert diary.entries[:2] == ["settled", "08:30 snapshot"]


def test_actions_are_known_to_the_expectations_of_their_moment():
    _, report = play(
        scenario(
            mail("m1", "09:00") + "- {at: 2026-03-02T09:10:00Z, as: Can, do: {dismiss: m1}}\n",
            "- {event: 1, refused: not_owner, at: 2026-03-02T09:10:00Z}\n- {event: 1, refused: not_owner}\n",
        )
    )

    assert report.ok


@pytest.mark.parametrize(
    ("expect", "failed"),
    [
        ("- {conversation: m1, messages: 1}\n", []),
        (
            "- {conversation: m1, messages: 2}\n",
            [{"conversation": "m1", "expected": "messages 2", "got": "messages 1"}],
        ),
    ],
)
def test_the_report_has_the_json_of_the_command_line(expect, failed):
    _, report = play(scenario(mail("m1", "09:00"), expect))

    assert report.as_json() == {"checked": 1, "failed": failed}
    assert report.ok == (not failed)
