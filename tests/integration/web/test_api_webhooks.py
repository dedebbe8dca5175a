"""Webhooks of a team: who names them, what they are told and what not, and what follows when nothing gets through."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from app import doctor, jobs, outgoing_webhooks
from app.installation import Installation
from app.store.outgoing_webhooks import KINDS
from app.store.secrets import rotate
from tests.integration.building import ADA, BEA, CAN, DAN, TOM, Office
from tests.integration.web.conftest import StoppedClock
from tests.integration.web.program import Program
from tests.integration.web.target import Target

pytestmark = pytest.mark.integration

Programs = Callable[..., Program]
TARGET = "https://hooks.acme.test/threadlink"


@pytest.fixture
def target() -> Target:
    return Target()


@pytest.fixture
def installation(installation: Installation, target: Target) -> Installation:
    return replace(installation, webhooks=target)


@pytest.fixture
def deliver(installation: Installation, office: Office) -> Callable[[], None]:
    """Let the worker look after every webhook that has something to be told."""

    def run() -> None:
        for row in office.rows("SELECT id FROM webhook ORDER BY id"):
            outgoing_webhooks.deliver(installation, office.team_id, row.id)

    return run


@pytest.fixture
def hook(program: Programs) -> dict[str, Any]:
    status, made = program(DAN).post("/webhooks", {"url": TARGET, "kinds": list(KINDS)})
    assert status == 200
    return dict(made)


def public_id(office: Office, conversation: int) -> str:
    return office.load(conversation).public_id


def test_links_unlinks_and_choices_are_told_by_id_reason_and_time(
    office: Office, hook: dict[str, Any], target: Target, deliver: Callable[[], None]
) -> None:
    linked, choice = office.mail("m1", BEA, ADA, subject="CANARY"), office.mail("m2", TOM, ADA, subject="CANARY")
    deliver()
    d1 = {"kind": "deal", "id": "d1"}
    assert [json.loads(each[2])["timestamp"] for each in target.sent] == [
        "2026-03-02T08:01:01Z",
        "2026-03-02T08:02:01Z",
    ]
    assert "CANARY" not in str(target.sent)
    assert target.told() == [
        ("conversation.linked", {"conversation": public_id(office, linked), "reason": "only_open_item", "item": d1}),
        ("conversation.needs_review", {"conversation": public_id(office, choice), "reason": "several_open_items"}),
    ]
    office.unlink(ADA, linked)
    office.link(ADA, choice, office.ref("deal", "d2"))
    office.link(ADA, choice, office.ref("deal", "d3"), move=True)
    deliver()
    assert [(kind, data["reason"], data.get("item", {}).get("id")) for kind, data in target.told()] == [
        ("conversation.unlinked", "unlinked", "d1"),
        ("conversation.linked", "manual", "d2"),
        ("conversation.unlinked", "replaced", "d2"),
        ("conversation.linked", "manual", "d3"),
    ]
    office.mail("m3", TOM, ADA, answers="m2")  # a further message changes nothing
    deliver()
    assert target.told() == []


def test_what_is_brought_back_is_told_with_the_time_of_that(
    office: Office, hook: dict[str, Any], target: Target, deliver: Callable[[], None]
) -> None:
    linked = office.mail("m1", BEA, ADA)
    office.clock.step(minutes=1)
    unlinked = office.unlink(ADA, linked)
    office.clock.step(minutes=1)
    office.undo(ADA, unlinked)
    choice = office.mail("m2", TOM, ADA)
    chosen = office.link(ADA, choice, office.ref("deal", "d2"))
    office.clock.step(minutes=1)
    office.undo(ADA, chosen)
    deliver()
    told = [json.loads(body) for _, _, body in target.sent]
    assert [each["type"].partition(".")[2] for each in told] == [
        *("linked", "unlinked", "linked"),
        *("needs_review", "linked", "unlinked", "needs_review"),
    ]
    for conversation in (linked, choice):
        times = [e["timestamp"] for e in told if e["data"]["conversation"] == public_id(office, conversation)]
        assert times == sorted(times)
        assert times[-1] > times[0]
    assert told[2]["timestamp"] > told[1]["timestamp"]


def test_a_webhook_is_told_only_the_kinds_it_asked_for_from_then_on(
    office: Office, program: Programs, target: Target, deliver: Callable[[], None]
) -> None:
    office.mail("m0", BEA, ADA)
    program(DAN).post("/webhooks", {"url": TARGET, "kinds": ["conversation.unlinked"]})
    office.unlink(ADA, office.mail("m1", BEA, ADA))
    deliver()
    assert [kind for kind, _ in target.told()] == ["conversation.unlinked"]


def test_a_change_that_is_not_committed_is_not_told(
    office: Office, hook: dict[str, Any], target: Target, deliver: Callable[[], None]
) -> None:
    with pytest.raises(RuntimeError), office.receiving("m1", BEA, ADA):
        raise RuntimeError
    deliver()
    assert target.told() == []
    assert office.rows("SELECT FROM webhook_delivery") == []


def test_the_job_comes_with_the_change(office: Office, hook: dict[str, Any], installation: Installation) -> None:
    office.mail("m1", BEA, ADA)
    (row,) = office.rows("SELECT id FROM webhook")
    with office.database.without_team() as connection:
        waiting = connection.exec_driver_sql(
            "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'deliver_webhook' AND lock = %s",
            (f"webhook:{row.id}",),
        ).scalar_one()
        assert waiting == 1
        connection.exec_driver_sql("DELETE FROM procrastinate_jobs")
    jobs.deliver_due_webhooks(installation)  # a job that was lost is made again
    with office.database.without_team() as connection:
        assert connection.exec_driver_sql("SELECT task_name FROM procrastinate_jobs").scalars().all() == [
            "deliver_webhook"
        ]


def test_a_delivery_is_signed_as_the_standard_says_and_a_rotated_secret_counts_for_a_day(
    office: Office,
    program: Programs,
    hook: dict[str, Any],
    target: Target,
    deliver: Callable[[], None],
    clock: StoppedClock,
) -> None:
    def signed_with(secret: str) -> bool:
        _, headers, body = target.sent[-1]
        try:
            Verifier(secret).verify(body, headers)
        except WebhookVerificationError:
            return False
        return True

    dan = program(DAN)
    dan.post(f"/webhooks/{hook['id']}/test")
    deliver()
    assert hook["secret"].startswith("whsec_")
    assert signed_with(hook["secret"])
    fresh = dan.post(f"/webhooks/{hook['id']}/rotate")[1]["secret"]
    dan.post(f"/webhooks/{hook['id']}/test")
    deliver()
    assert signed_with(fresh)
    assert signed_with(hook["secret"])
    clock.advance(timedelta(days=1, seconds=1))
    dan.post(f"/webhooks/{hook['id']}/test")
    deliver()
    assert signed_with(fresh)
    assert not signed_with(hook["secret"])


def test_a_secret_is_told_once_and_lies_encrypted(
    office: Office, program: Programs, installation: Installation, target: Target, deliver: Callable[[], None]
) -> None:
    dan, asked = program(DAN), {"url": TARGET, "kinds": ["conversation.linked"]}
    secret = dan.post("/webhooks", asked, once="k")[1]["secret"]
    assert dan.post("/webhooks", asked, once="k")[1]["secret"] is None
    everything = str(office.rows("SELECT w::text, a::text, x::text FROM webhook w, api_answer a, audit x"))
    assert TARGET in everything
    assert secret not in everything
    assert "secret" not in dan.get("/webhooks")[1]["webhooks"][0]
    before = office.rows("SELECT ciphertext FROM webhook")[0].ciphertext
    rotate(office.database, installation.secrets)
    assert office.rows("SELECT ciphertext FROM webhook")[0].ciphertext != before
    office.mail("m1", BEA, ADA)
    deliver()
    assert len(target.told()) == 1


def test_only_administrators_have_webhooks_and_another_teams_are_not_there(
    office: Office, program: Programs, hook: dict[str, Any]
) -> None:
    ada, dan = program(ADA), program(DAN)
    paths = [("", ada.get), ("", lambda path: ada.post(path, {"url": TARGET, "kinds": list(KINDS)}))]
    of_one = ("rotate", "enable", "test", "remove")
    paths += [(f"/{hook['id']}/{name}", ada.post) for name in of_one] + [(f"/{hook['id']}/deliveries", ada.get)]
    for path, ask in paths:
        status, problem = ask(f"/webhooks{path}")
        assert (status, problem["reason"]) == (403, "not_administrator")
    unknown = "00000000-0000-4000-8000-000000000000"
    assert {dan.post(f"/webhooks/{unknown}/{name}")[0] for name in of_one} == {404}
    assert dan.post(f"/webhooks/{hook['id']}/remove")[1] == {"outcome": "removed"}
    assert dan.get("/webhooks")[1] == {"webhooks": []}
    trail = [row.action for row in office.rows("SELECT action FROM audit WHERE action LIKE '%webhook%' ORDER BY id")]
    assert trail == ["add_webhook", "remove_webhook"]


def test_what_may_not_be_called_and_too_many_are_refused(program: Programs) -> None:
    dan, kinds = program(DAN), list(KINDS)
    assert (
        dan.post("/webhooks", {"url": "http://hooks.acme.test", "kinds": kinds})[1]["reason"] == "webhook_url_refused"
    )
    assert dan.post("/webhooks", {"url": TARGET, "kinds": []})[0] == 422
    assert dan.post("/webhooks", {"url": TARGET, "kinds": ["message.received"]})[0] == 422
    answers = [dan.post("/webhooks", {"url": TARGET, "kinds": kinds})[0] for _ in range(11)]
    assert answers == [200] * 10 + [409]


def test_a_webhook_is_told_what_its_administrator_may_know(
    office: Office, hook: dict[str, Any], target: Target, deliver: Callable[[], None]
) -> None:
    office.rows("UPDATE mirror_item SET visibility = '[\"somebody\"]' WHERE external_id = 'd1' RETURNING 1")
    hidden = office.mail("m1", BEA, ADA)
    settled = office.mail("m2", TOM, ADA)
    office.dismiss(ADA, settled)  # needs no choice any more when it is told
    deliver()
    assert target.told() == [
        ("conversation.linked", {"conversation": public_id(office, hidden), "reason": "only_open_item"})
    ]
    office.rows("UPDATE member SET role = 'member' WHERE email = :dan RETURNING id", dan=DAN)
    office.unlink(ADA, hidden)
    deliver()
    assert target.told() == []
    (row,) = office.rows("SELECT state, state_reason FROM webhook")
    assert tuple(row) == ("disabled", "no_administrator")


def test_another_administrator_turns_it_on_again_and_it_acts_for_that_one(
    office: Office, program: Programs, hook: dict[str, Any], target: Target, deliver: Callable[[], None]
) -> None:
    office.rows("UPDATE member SET removed_at = now() WHERE email = :dan RETURNING id", dan=DAN)
    office.rows("UPDATE member SET role = 'admin' WHERE email = :can RETURNING id", can=CAN)
    office.mail("m1", BEA, ADA)
    deliver()
    can = program(CAN)
    assert can.post(f"/webhooks/{hook['id']}/test")[1]["reason"] == "webhook_disabled"
    assert can.post(f"/webhooks/{hook['id']}/enable")[1]["state"] == "live"
    office.mail("m2", BEA, ADA)
    deliver()
    assert len(target.told()) == 1  # what happened while it was off is not told later


@pytest.mark.parametrize("chance", [0.8, 1.2])
def test_what_does_not_get_through_is_tried_for_a_day_and_then_said(
    office: Office,
    program: Programs,
    installation: Installation,
    hook: dict[str, Any],
    target: Target,
    deliver: Callable[[], None],
    clock: StoppedClock,
    chance: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outgoing_webhooks.random, "uniform", lambda _least, _most: chance)
    began = clock.at
    target.status = 0
    office.mail("m1", BEA, ADA)
    office.mail("m2", BEA, ADA)
    deliver()
    assert len(target.sent) == 1  # the second one is not tried on top
    deliver()
    assert len(target.sent) == 1  # nor is the first one tried before its time
    clock.advance(timedelta(minutes=20))
    deliver()
    _, found = doctor.examine(installation, office.team_id)
    assert "webhook_failing" in [finding.code for finding in found]
    while office.rows("SELECT state FROM webhook")[0].state == "live":
        clock.advance(timedelta(minutes=10))
        deliver()
    assert timedelta(hours=18) < clock.at - began < timedelta(hours=36)
    messages = [each[1]["webhook-id"] for each in target.sent]
    assert 9 <= messages.count(messages[0]) <= 10  # the same id each time
    _, found = doctor.examine(installation, office.team_id)
    assert [each.code for each in found if each.about == "webhook hooks.acme.test"] == ["webhook_unreachable"]
    _, told = program(DAN).get(f"/webhooks/{hook['id']}/deliveries")
    assert {(each["state"], each["answer"]) for each in told["deliveries"]} == {("failed", "not_reached")}


def test_a_target_that_is_gone_is_told_nothing_more(
    office: Office, hook: dict[str, Any], target: Target, deliver: Callable[[], None]
) -> None:
    target.status = 410
    office.mail("m1", BEA, ADA)
    office.mail("m2", BEA, ADA)
    deliver()
    assert len(target.sent) == 1
    (row,) = office.rows("SELECT state, state_reason FROM webhook")
    assert tuple(row) == ("disabled", "gone")
    assert {row.state for row in office.rows("SELECT state FROM webhook_delivery")} == {"failed"}


def test_one_event_that_is_refused_does_not_hold_up_the_others(
    office: Office, hook: dict[str, Any], target: Target, deliver: Callable[[], None], clock: StoppedClock
) -> None:
    target.status, target.retry_after_s = 503, 600.0
    office.mail("m1", BEA, ADA)
    deliver()
    target.status, target.retry_after_s = 200, None
    office.mail("m2", BEA, ADA)
    clock.advance(timedelta(seconds=590))
    deliver()
    assert len(target.sent) == 1  # it asked for ten minutes
    clock.advance(timedelta(seconds=11))
    deliver()
    assert len(target.sent) == 3
    assert {row.state for row in office.rows("SELECT state FROM webhook_delivery")} == {"delivered"}
