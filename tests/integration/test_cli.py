"""The command line on a real database: documents for programs, lines for people, and the exit status."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from app import cli, errors
from app.cli.frame import Answer, Command, Group, run
from app.store.database import Database

pytestmark = pytest.mark.integration

Run = Callable[..., tuple[int, Any]]


@pytest.fixture
def threadlink(
    database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    """Run a command with --json; returns its exit status and the document."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("THREADLINK_ENCRYPTION_KEYS", Fernet.generate_key().decode())
    monkeypatch.setenv("PUBLIC_BASE_URL", "https://threadlink.test")
    monkeypatch.setattr("app.log.configure", lambda *_: None)

    def call(*words: str) -> tuple[int, Any]:
        status = run(cli.threadlink, [*words, "--json"])
        return status, json.loads(capsys.readouterr().out)

    return call


@pytest.fixture
def northwind(threadlink: Run) -> None:
    threadlink("teams", "add", "Northwind", "--domain", "northwind.test", "--admin", "Ada <ada@northwind.test>")


def test_a_team_is_added_with_its_administrator(threadlink: Run, northwind: None) -> None:
    status, document = threadlink("teams", "list")
    assert status == 0
    (team,) = document["teams"]
    assert (team["name"], team["domains"], team["members"], team["accounts"]) == ("Northwind", ["northwind.test"], 1, 0)
    _, people = threadlink("members", "list")
    assert [(member["email"], member["role"]) for member in people["members"]] == [("ada@northwind.test", "admin")]


def test_replay_reports_on_the_last_days(threadlink: Run, northwind: None, tmp_path: Path) -> None:
    told = {"looked_at": 0, "cut": False, "would_link": 0, "would_choose": 0, "would_differ": 0, "conversations": []}
    status, document = threadlink("replay", "--since", "30d")
    assert (status, {**document, "since": ""}) == (0, {"since": "", **told})
    policy = tmp_path / "policy.yaml"
    policy.write_text("max_counterparts: 10\n")
    assert threadlink("replay", "--since", "2w", "--policy", str(policy))[0] == 0
    for text in ("max_counterparts: none", "nonsense: 1", "- 1", "{", "\xff"):
        policy.write_bytes(text.encode("latin-1"))
        assert threadlink("replay", "--since", "2w", "--policy", str(policy))[0] == 2
    for span in ("30", "0d", "99999d", "d", "1y"):
        assert threadlink("replay", "--since", span)[0] == 2


def test_keys_are_rotated_and_the_old_one_may_go(
    threadlink: Run, northwind: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    threadlink("crm", "connect", "embedded")
    old, new = os.environ["THREADLINK_ENCRYPTION_KEYS"], Fernet.generate_key().decode()
    monkeypatch.setenv("THREADLINK_ENCRYPTION_KEYS", f"{new},{old}")
    assert threadlink("rotate-keys")[0] == 0
    monkeypatch.setenv("THREADLINK_ENCRYPTION_KEYS", new)
    assert threadlink("teams", "list")[0] == 0
    monkeypatch.setenv("THREADLINK_ENCRYPTION_KEYS", old)
    assert threadlink("teams", "list")[0] == 2


@pytest.mark.parametrize(
    "words",
    [
        ("teams", "add", "X", "--admin", "nobody"),
        ("teams", "add", "X", "--admin", "a@x.test", "--domain", "no domain"),
        ("teams", "add", "X", "--admin", "a@x.test", "--domain", "gmail.com"),
        ("teams", "add", "X"),
        ("accounts", "add"),
        ("members", "list"),
        ("nonsense",),
        ("link", "x"),
    ],
)
def test_wrong_use_is_told_with_status_2(threadlink: Run, words: tuple[str, ...]) -> None:
    status, document = threadlink(*words)
    assert status == 2
    assert document["error"]["message"]


def test_a_member_is_added_once(threadlink: Run, northwind: None) -> None:
    assert threadlink("members", "add", "Bob <BOB@northwind.test>") == (
        0,
        {"added": True, "email": "bob@northwind.test"},
    )
    status, document = threadlink("members", "add", "Bob <bob@northwind.test>")
    assert (status, document["added"]) == (1, False)


def test_several_teams_are_told_apart(threadlink: Run, northwind: None) -> None:
    threadlink("teams", "add", "Agency", "--admin", "Eve <eve@agency.test>")
    assert threadlink("members", "list")[0] == 2
    _, document = threadlink("members", "list", "--team", "Agency")
    assert [member["email"] for member in document["members"]] == ["eve@agency.test"]


def test_a_mailbox_is_connected_by_a_link(threadlink: Run, northwind: None) -> None:
    status, document = threadlink("accounts", "add", "--gmail")
    assert status == 0
    assert document["url"].startswith("https://threadlink.test/connect/")


def test_a_lite_team_gets_no_link(threadlink: Run) -> None:
    threadlink("teams", "add", "Small", "--admin", "Ada <ada@small.test>", "--plan", "lite")
    status, document = threadlink("accounts", "add", "--gmail")
    assert (status, document["error"]["reason"]) == (1, "plan_required")
    assert "Change the plan" in document["error"]["message"]


@pytest.fixture
def account(threadlink: Run, northwind: None, database: Database) -> str:
    """Store a live account of Ada's, as if it had been connected."""
    with database.without_team() as connection:
        team_id = connection.execute(sa.text("SELECT id FROM threadlink_teams()")).scalar_one()
    with database.for_team(team_id) as connection:
        connection.execute(
            sa.text(
                """
                INSERT INTO account (team_id, provider, kind, address, mailbox, owner_id, state, state_since)
                SELECT team_id, 'gmail', 'personal', email, email, id, 'live', now() FROM member;
                INSERT INTO hint (team_id, account_id) SELECT team_id, id FROM account;
                """
            )
        )
    return "ada@northwind.test"


def test_an_account_is_listed_paused_and_resumed(threadlink: Run, account: str) -> None:
    def state() -> str:
        (found,) = threadlink("accounts", "list")[1]["accounts"]
        return str(found["state"])

    assert state() == "live"
    assert threadlink("accounts", "pause", account)[0] == 0
    assert state() == "paused"
    assert threadlink("accounts", "resume", account.upper())[0] == 0
    assert state() == "live"
    assert threadlink("accounts", "pause", "nobody@northwind.test")[0] == 1


def test_the_switch_is_its_owners_and_others_get_status_4(threadlink: Run, account: str) -> None:
    threadlink("members", "add", "Bob <bob@northwind.test>", "--admin")
    assert threadlink("accounts", "auto-link", account, "off", "--as", account)[0] == 0
    status, document = threadlink("accounts", "auto-link", account, "on", "--as", "bob@northwind.test")
    assert (status, document["error"]["reason"]) == (4, "not_owner")
    assert threadlink("accounts", "list")[1]["accounts"][0]["auto_link"] is False


def test_the_doctor_names_what_is_wrong_and_is_content_otherwise(
    threadlink: Run, account: str, database: Database
) -> None:
    status, document = threadlink("doctor")
    assert (status, [finding["code"] for finding in document["findings"]]) == (1, ["pushes_off", "mail_unset"])
    with database.without_team() as connection:
        team_id = connection.execute(sa.text("SELECT id FROM threadlink_teams()")).scalar_one()
    with database.for_team(team_id) as connection:
        connection.execute(sa.text("UPDATE account SET subscription_expires_at = now() + interval '7 days'"))
    status, document = threadlink("doctor")  # that no notice is sent is said, and is no trouble
    assert (status, [finding["code"] for finding in document["findings"]]) == (0, ["mail_unset"])
    with database.for_team(team_id) as connection:
        connection.execute(sa.text("UPDATE account SET state = 'reauth_required'"))
    assert [finding["code"] for finding in threadlink("doctor")[1]["findings"]] == ["reauth_required", "mail_unset"]


def test_an_unknown_conversation_is_not_there(threadlink: Run, northwind: None) -> None:
    for words in (
        ("explain", "<nothing@x.test>"),
        ("unlink", "4b4c9f8a-0000-4000-8000-000000000000"),
        ("dismiss", "x"),
    ):
        status, document = threadlink(*words)
        assert (status, document["error"]["reason"]) == (1, "not_found")


def test_a_link_needs_a_crm_and_an_item(threadlink: Run, northwind: None) -> None:
    assert threadlink("link", "<x@x.test>", "person/5")[0] == 2
    threadlink("crm", "connect", "embedded")
    assert threadlink("doctor", "nothing of this kind")[0] == 1


def test_the_embedded_crm_is_filled_from_a_file(threadlink: Run, northwind: None, tmp_path: Path) -> None:
    file = tmp_path / "crm.csv"
    file.write_text("kind,id,name,emails,person\nperson,p1,Bea,bea@acme.test,\ndeal,d1,Rollout,,p1\n")
    assert threadlink("crm", "seed", str(file))[0] == 2
    threadlink("crm", "connect", "embedded")
    assert threadlink("crm", "seed", str(file)) == (0, {"written": {"person": 1, "deal": 1}})
    file.write_text("kind,id\n")
    assert threadlink("crm", "seed", str(file))[0] == 2


def test_without_a_server_the_status_is_3(threadlink: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    status, document = threadlink("teams", "list")
    assert (status, document["error"]["reason"]) == (3, "DatabaseUnreachable")
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("THREADLINK_DATA", "/nonexistent/threadlink")
    assert threadlink("teams", "list")[0] == 3


def test_settings_that_are_missing_are_one_line(
    threadlink: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("THREADLINK_ENCRYPTION_KEYS")
    assert run(cli.threadlink, ["teams", "list"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("threadlink: THREADLINK_ENCRYPTION_KEYS is required")
    assert captured.err.count("\n") == 1


def test_settings_are_read_from_a_file_too(
    threadlink: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str
) -> None:
    key = Fernet.generate_key().decode()
    monkeypatch.delenv("THREADLINK_ENCRYPTION_KEYS")
    (tmp_path / ".env").write_text(f"THREADLINK_ENCRYPTION_KEYS={key}\n")
    status, _ = threadlink("teams", "list")
    assert status == 0


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NotAllowed("not_owner"), 4),
        (errors.NotFound(), 1),
        (errors.Conflict("already_linked"), 1),
        (errors.SettingsError("x"), 2),
        (errors.ScenarioError("x"), 2),
        (errors.DatabaseUnreachable("x"), 3),
        (errors.Unavailable(), 3),
        (errors.RateLimited(), 3),
        (errors.ApplicationMisconfigured(), 3),
        (errors.Rejected(), 1),
        (errors.ThreadlinkError("x"), 1),
    ],
)
def test_the_class_of_an_error_gives_the_exit_status(
    error: Exception, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command(cls=Command)
    def fail() -> Answer:
        raise error

    assert run(Group("x", commands=[fail]), ["fail"]) == status
    assert capsys.readouterr().err.startswith("threadlink: ")


def test_an_unforeseen_error_is_not_hidden() -> None:
    @click.command(cls=Command)
    def fail() -> Answer:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(Group("x", commands=[fail]), ["fail"])


def test_the_threads_of_a_folder(threadlink: Run, tmp_path: Path) -> None:
    first = (
        "From: bea@acme.test\nTo: ada@northwind.test\nMessage-ID: <1@acme.test>\nSubject: Prices\n"
        "Date: Mon, 2 Mar 2026 09:00:00 +0000\n\nHello\n"
    )
    reply = (
        "From: ada@northwind.test\nTo: bea@acme.test\nMessage-ID: <2@northwind.test>\nIn-Reply-To: <1@acme.test>\n"
        "Subject: Re: Prices\nDate: Mon, 2 Mar 2026 10:00:00 +0000\n\nHi\n"
    )
    (tmp_path / "1.eml").write_text(first)
    (tmp_path / "2.eml").write_text(reply)
    (tmp_path / "3.eml").write_text("")
    status, document = threadlink("threads", str(tmp_path))
    assert status == 0
    assert document["conversations"] == [{"messages": ["<1@acme.test>", "<2@northwind.test>"]}]
    assert [unreadable["file"] for unreadable in document["unreadable"]] == ["3.eml"]
