"""Connecting a team's CRM from the command line: a token that is tried at once, reconnecting, ending it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from app import cli, jobs, sync
from app.bootstrap import open_installation
from app.cli.frame import run
from app.settings import load_settings
from app.store import lookups, mirror
from app.store.database import Database
from app.testing.fakes import SteppedClock
from connectors.crm.pipedrive.simulator import PipedriveSimulator

pytestmark = pytest.mark.integration

Run = Callable[..., tuple[int, Any]]


@pytest.fixture
def pipedrive(monkeypatch: pytest.MonkeyPatch) -> Iterator[PipedriveSimulator]:
    simulator = PipedriveSimulator()
    for name, value in simulator.start(SteppedClock()).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PIPEDRIVE_CATCH_UP_S", "0")
    yield simulator
    simulator.stop()


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

    def call(*words: str, token: str = "") -> tuple[int, Any]:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{token}\n"))
        status = run(cli.threadlink, [*words, "--json"])
        return status, json.loads(capsys.readouterr().out)

    call("teams", "add", "Northwind", "--domain", "northwind.test", "--admin", "Ada <ada@northwind.test>")
    return call


def test_a_pipedrive_is_connected_with_a_token_and_read(
    threadlink: Run, pipedrive: PipedriveSimulator, database: Database, database_url: str
) -> None:
    pipedrive.put_person("p1", "Bea", ["bea@acme.test"])
    pipedrive.put_item("deal", "d1", "Rollout", person="p1")
    status, told = threadlink(
        "crm", "connect", "pipedrive", "--token-stdin", "--option", "mode=note", token=pipedrive.api_token()
    )
    assert (status, told["connected"]) == (0, "pipedrive")
    with database.without_team() as connection:
        (team,) = lookups.all_teams(connection)
    installation = open_installation(load_settings(), database_url)
    try:
        sync.refresh_mirror(installation, team.id, max_age_s=0)
        (crm,) = installation.crm_connections(team.id)
        assert crm.settings["mode"] == "note"
        assert pipedrive.api_token() not in str(crm.settings)
        with database.for_team(team.id) as connection:
            assert [hit.title for hit in mirror.search_items(connection, "rollout")] == ["Rollout"]
        jobs.subscribe_crm(installation, team.id, crm.id)  # what the queue does next
    finally:
        installation.database.close()
    _, document = threadlink("crm", "status")
    assert [(row["adapter"], row["state"]) for row in document["crm"]] == [("pipedrive", "live")]
    assert document["crm"][0]["refreshed_at"]


def test_a_token_that_does_not_work_connects_nothing(threadlink: Run, pipedrive: PipedriveSimulator) -> None:
    for token in ("wrong-token-of-nobody", "", "two words"):
        status, told = threadlink("crm", "connect", "pipedrive", "--token-stdin", token=token)
        assert status == 1
        assert "wrong-token" not in told["error"]["message"]
    assert threadlink("crm", "status")[1] == {"crm": []}


@pytest.mark.parametrize("option", ["mode", "=note", "mode=poem", "unknown=1"])
def test_an_option_that_makes_no_sense_connects_nothing(
    threadlink: Run, pipedrive: PipedriveSimulator, option: str
) -> None:
    status, told = threadlink(
        "crm", "connect", "pipedrive", "--token-stdin", "--option", option, token=pipedrive.api_token()
    )
    assert status in (1, 2)
    assert told["error"]["message"]
    assert threadlink("crm", "status")[1] == {"crm": []}


def test_a_team_has_one_crm_and_comes_back_to_it(threadlink: Run, pipedrive: PipedriveSimulator) -> None:
    connect = ("crm", "connect", "pipedrive", "--token-stdin")
    assert threadlink(*connect, token=pipedrive.api_token())[0] == 0
    before = threadlink("crm", "status")[1]["crm"][0]["id"]
    assert threadlink("crm", "connect", "embedded")[1]["error"]["reason"] == "other_company"
    assert threadlink("crm", "disconnect") == (0, {"disconnected": "pipedrive"})
    assert threadlink("crm", "disconnect")[0] == 1
    assert threadlink("crm", "status")[1]["crm"][0]["state"] == "disconnected"
    assert threadlink(*connect, token=pipedrive.api_token())[0] == 0
    (again,) = threadlink("crm", "status")[1]["crm"]
    assert (again["id"], again["state"]) == (before, "live")


def test_the_embedded_crm_takes_no_token(threadlink: Run) -> None:
    assert threadlink("crm", "connect", "embedded", "--token-stdin")[0] == 2
    assert threadlink("crm", "connect", "embedded")[0] == 0
    assert threadlink("crm", "connect", "embedded")[0] == 0
    assert len(threadlink("crm", "status")[1]["crm"]) == 1
