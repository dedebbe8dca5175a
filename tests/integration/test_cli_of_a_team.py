"""explain, link, unlink, dismiss, doctor and demo, beside a running installation with mail in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app import cli
from app.cli.frame import run
from app.demo.stage import Stage
from app.demo.world import DemoWorld
from app.scenario.read import parse
from app.scenario.run import run as play
from tests.conftest import FAST

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180), pytest.mark.xdist_group("cli_of_a_team")]

MORNING = """
now: 2026-03-02T08:00:00Z
team: {domains: [northwind.test]}
members:
  - {name: Ada, email: ada@northwind.test, role: admin}
  - {name: Can, email: can@northwind.test, role: member}
accounts: [{address: ada@northwind.test, provider: gmail, kind: personal}]
crm:
  persons: [{id: p1, name: Bea, emails: [bea@acme.test]}, {id: p2, name: Cem, emails: [cem@kum.test]}]
  items:
    - {kind: deal, id: d1, title: Rollout, person: p1, created_at: 2026-02-01T10:00:00Z}
    - {kind: deal, id: d2, title: Sand, person: p2, created_at: 2026-02-01T10:00:00Z}
    - {kind: lead, id: l1, title: Enquiry, status: archived, created_at: 2026-02-01T10:00:00Z}
events:
  - {at: 2026-03-02T09:00:00Z, message: {key: m1, in: [ada@northwind.test], from: "Bea <bea@acme.test>",
     to: [ada@northwind.test], subject: Prices for lamps, message_id: <m1@acme.test>}}
  - {at: 2026-03-02T09:05:00Z, message: {key: m2, in: [ada@northwind.test], from: "Stranger <s@elsewhere.test>",
     to: [ada@northwind.test], subject: Parking, message_id: <m2@elsewhere.test>}}
  - {at: 2026-03-02T09:10:00Z, message: {key: m3, in: [ada@northwind.test], from: "Cem <cem@kum.test>",
     to: [ada@northwind.test], subject: Forty tons, message_id: <m3@kum.test>}}
expect:
  - {conversation: m1, link: deal/d1}
"""

Run = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    scenario = parse(MORNING, Path("morning.yaml"))
    with Stage(scenario, server_settings=FAST) as running:
        assert play(scenario, DemoWorld(running)).ok
        yield running


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("app.log.configure", lambda *_: None)


@pytest.fixture
def threadlink(stage: Stage, quiet: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command with --json beside the running embedded server; returns its exit status and the document."""
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("THREADLINK_DATA", str(stage.installation.settings.data_dir))

    def call(*words: str) -> tuple[int, Any]:
        status = run(cli.threadlink, [*words, "--json"])
        return status, json.loads(capsys.readouterr().out)

    return call


def test_explain_says_what_why_and_what_would_change_it(threadlink: Run) -> None:
    status, told = threadlink("explain", "<m1@acme.test>", "--as", "ada@northwind.test")
    assert status == 0
    assert (told["subject"], told["link"]["id"]) == ("Prices for lamps", "d1")
    assert told["decision"]["reason"] == "only_open_item"
    _, unlinked = threadlink("explain", "m2@elsewhere.test", "--as", "ada@northwind.test")
    assert unlinked["link"] is None
    assert unlinked["action"]["code"] == "create_person"
    assert threadlink("explain", told["id"], "--as", "ada@northwind.test")[1]["id"] == told["id"]


def test_explain_in_lines_shows_no_code(stage: Stage, threadlink: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli.threadlink, ["explain", "<m1@acme.test>", "--as", "ada@northwind.test"]) == 0
    said = capsys.readouterr().out
    assert "linked to deal/d1 Rollout (automatic)" in said
    assert "Linked: the only open item of Bea." in said
    assert "Bea is the contact person." in said
    assert "only_open_item" not in said


def test_who_may_not_see_it_gets_the_answer_of_what_is_not_there(threadlink: Run) -> None:
    hidden = threadlink("explain", "<m2@elsewhere.test>", "--as", "can@northwind.test")
    missing = threadlink("explain", "<m9@elsewhere.test>", "--as", "can@northwind.test")
    assert hidden == missing
    assert hidden[0] == 1


def test_a_person_unlinks_links_moves_and_dismisses(threadlink: Run) -> None:
    """On a conversation of its own: the stage is shared, and tests run in any order."""
    as_ada = ("--as", "ada@northwind.test")

    def linked() -> str | None:
        link = threadlink("explain", "<m3@kum.test>", *as_ada)[1]["link"]
        return f"{link['kind']}/{link['id']}" if link else None

    assert threadlink("unlink", "<m3@kum.test>", *as_ada)[0] == 0
    assert linked() is None
    assert threadlink("unlink", "<m3@kum.test>", *as_ada)[1]["error"]["reason"] == "not_linked"
    assert threadlink("link", "<m3@kum.test>", "lead/l1", *as_ada)[0] == 0
    assert linked() == "lead/l1"
    status, refused = threadlink("link", "<m3@kum.test>", "deal/d2", *as_ada)
    assert (status, refused["error"]["reason"]) == (1, "already_linked")
    assert threadlink("link", "<m3@kum.test>", "deal/d2", "--move", *as_ada)[0] == 0
    assert linked() == "deal/d2"
    assert threadlink("unlink", "<m3@kum.test>", *as_ada)[0] == 0
    assert threadlink("dismiss", "<m3@kum.test>", *as_ada)[0] == 0


def test_an_item_that_is_none_is_wrong_use(threadlink: Run) -> None:
    assert threadlink("link", "<m1@acme.test>", "person/p1", "--as", "ada@northwind.test")[0] == 2
    assert threadlink("link", "<m1@acme.test>", "deal/nothing", "--as", "ada@northwind.test")[0] == 1


@pytest.mark.parametrize("query", ["<m1@acme.test>", "m1@acme.test", "bea@acme.test", "prices FOR"])
def test_the_doctor_finds_mail_by_id_sender_and_subject(threadlink: Run, query: str) -> None:
    status, found = threadlink("doctor", query, "--as", "ada@northwind.test")
    assert status == 0
    assert [told["subject"] for told in found["conversations"]] == ["Prices for lamps"]
    assert [step["step"] for step in found["mails"][0]["steps"][:4]] == ["sent", "seen", "stored", "decided"]


def test_the_doctor_searches_nobody_elses_mail(threadlink: Run) -> None:
    assert threadlink("doctor", "<m2@elsewhere.test>", "--as", "can@northwind.test") == (
        1,
        {"conversations": [], "mails": [], "not_stored": [], "left_out": []},
    )


def test_the_demo_ends_with_its_expectations(quiet: None, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    scenario = tmp_path / "morning.yaml"
    scenario.write_text(MORNING)
    assert run(cli.threadlink, ["demo", "--once", "--scenario", str(scenario), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["expectations"] == {"checked": 1, "failed": []}
    assert {told["subject"] for told in document["conversations"]} == {"Prices for lamps", "Parking", "Forty tons"}
    assert document["seconds"]["ready"] > 0


def test_the_demo_says_no_when_an_expectation_fails(
    quiet: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    scenario = tmp_path / "morning.yaml"
    scenario.write_text(MORNING.replace("{conversation: m1, link: deal/d1}", "{conversation: m1, link: null}"))
    assert run(cli.threadlink, ["demo", "--once", "--scenario", str(scenario)]) == 1
    said = capsys.readouterr().out
    assert "0 of 1 expectations met" in said
    assert "FAILED m1" in said


def test_a_scenario_that_cannot_be_read_is_wrong_use(
    quiet: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    scenario = tmp_path / "morning.yaml"
    scenario.write_text("nonsense: 1\n")
    assert run(cli.threadlink, ["demo", "--once", "--scenario", str(scenario)]) == 2
    assert "morning.yaml" in capsys.readouterr().err
