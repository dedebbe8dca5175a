"""Scenarios on the whole product with the simulated Pipedrive as the CRM, its calls held to Pipedrive's description."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app import cli
from app.cli.frame import run as run_command
from app.demo.stage import Stage
from app.demo.world import DemoWorld
from app.scenario.read import built_in, load
from app.scenario.run import run
from connectors.crm.pipedrive.simulator import PipedriveSimulator
from tests.conftest import FAST
from tests.contract import pipedrive_description as description

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

FOLDER = Path(__file__).parents[2] / "scenarios" / "pipedrive"
SCENARIOS = [built_in(), *map(load, sorted(FOLDER.glob("*.yaml")))]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_everything_expected_of_a_scenario_is_so(scenario: object) -> None:
    misfits = description.Misfits()
    with Stage(scenario, crm_name="pipedrive", server_settings=FAST) as stage:  # type: ignore[arg-type]  # pytest's parameters are untyped
        simulator = stage.crm_simulator
        assert isinstance(simulator, PipedriveSimulator)
        if description.is_here():
            simulator.observers.append(misfits)
        report = run(scenario, DemoWorld(stage))
        spent = stage.crm_shows(stage.describe())
    assert report.failures == ()
    assert report.checked > 0
    assert misfits == []
    assert spent["usage"]["tokens"] > 0
    assert all("threadlink" in note["text"] for note in spent["notes"])


def test_the_demo_prints_the_notes_and_the_tokens_spent(capsys: pytest.CaptureFixture[str]) -> None:
    scenario = str(FOLDER / "one_conversation.yaml")
    assert run_command(cli.threadlink, ["demo", "--once", "--crm", "pipedrive", "--scenario", scenario]) == 0
    said = capsys.readouterr().out
    assert "note on deal" in said
    assert "  | Text: Please send them." in said
    # A note, and the webhook where a minute began meanwhile.
    assert re.search(r"pipedrive spent \d+ tokens for \d+ requests: \d+ reads, [12] writes", said)
