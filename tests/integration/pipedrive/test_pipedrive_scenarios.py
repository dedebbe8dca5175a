"""Scenarios on the whole product with the simulated Pipedrive as the CRM, its calls held to Pipedrive's description."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.demo.stage import Stage
from app.demo.world import DemoWorld
from app.scenario.read import built_in, load
from app.scenario.run import run
from connectors.crm.pipedrive.simulator import PipedriveSimulator
from tests.contract import pipedrive_description as description

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

FOLDER = Path(__file__).parents[2] / "scenarios" / "pipedrive"
SCENARIOS = [built_in(), *map(load, sorted(FOLDER.glob("*.yaml")))]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_everything_expected_of_a_scenario_is_so(scenario: object) -> None:
    misfits = description.Misfits()
    with Stage(scenario, crm_name="pipedrive") as stage:  # type: ignore[arg-type]  # pytest's parameters are untyped
        simulator = stage.crm_simulator
        assert isinstance(simulator, PipedriveSimulator)
        if description.is_here():
            simulator.observers.append(misfits)
        report = run(scenario, DemoWorld(stage))  # type: ignore[arg-type]
        spent = stage.crm_shows(stage.describe())
    assert report.failures == ()
    assert report.checked > 0
    assert misfits == []
    assert spent["usage"]["tokens"] > 0
    assert all("threadlink" in note["text"] for note in spent["notes"])
