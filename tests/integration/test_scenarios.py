"""Every scenario file, played through the whole product: simulators, pushes over HTTP, worker, embedded CRM."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.demo.stage import Stage
from app.demo.world import DemoWorld
from app.scenario.model import Scenario
from app.scenario.read import built_in, load
from app.scenario.run import run
from tests.conftest import FAST
from tests.integration.inbox import stale_inbox_entries

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

FOLDER = Path(__file__).parent.parent / "scenarios"
FILES = sorted(FOLDER.glob("*.yaml"))


SCENARIOS: list[Scenario] = [built_in(), *map(load, FILES)]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_everything_expected_of_a_scenario_is_so(scenario: Scenario) -> None:
    with Stage(scenario, server_settings=FAST) as stage:
        report = run(scenario, DemoWorld(stage))
        with stage.team() as connection:
            assert stale_inbox_entries(connection) == []
    assert report.failures == ()
    assert report.checked > 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_order_of_deliveries_at_one_time_changes_nothing(seed: int) -> None:
    scenario = built_in()
    with Stage(scenario, server_settings=FAST) as stage:
        report = run(scenario, DemoWorld(stage), shuffle_seed=seed)
    assert report.failures == ()
