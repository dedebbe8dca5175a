"""The shipped CRM suite on Pipedrive, against its simulator: by consent and with an API token.

Every request of the adapter, and every answer, is held to Pipedrive's own description where that lies beside the
project.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from app.ports import CrmConnection
from app.testing.crm_suite import CrmAdapterSuite
from app.testing.fakes import MemoryCredentials, SteppedClock
from connectors.crm.pipedrive.adapter import PipedriveCrm
from connectors.crm.pipedrive.settings import load
from connectors.crm.pipedrive.simulator import PipedriveSimulator
from tests.contract import pipedrive_description as description

pytestmark = [pytest.mark.conformance, pytest.mark.enable_socket]


class TestPipedrive(CrmAdapterSuite):
    mode = "note"
    requests_per_2s = 80

    @pytest.fixture
    def clock(self) -> SteppedClock:
        return SteppedClock()

    @pytest.fixture
    def started(self, clock: SteppedClock) -> Iterator[tuple[PipedriveSimulator, dict[str, str]]]:
        simulator, misfits = PipedriveSimulator(), description.Misfits()
        if description.is_here():
            simulator.observers.append(misfits)
        yield simulator, {**simulator.start(clock), "PIPEDRIVE_CATCH_UP_S": "0", "PIPEDRIVE_PAGE_SIZE": "50"}
        simulator.stop()
        assert misfits == []

    @pytest.fixture
    def records(self, started: tuple[PipedriveSimulator, dict[str, str]]) -> PipedriveSimulator:
        return started[0]

    @pytest.fixture
    def environ(self, started: tuple[PipedriveSimulator, dict[str, str]]) -> dict[str, str]:
        return started[1]

    @pytest.fixture
    def secrets(self, records: PipedriveSimulator, environ: dict[str, str]) -> dict[str, object]:
        return dict(records.secrets)

    @pytest.fixture
    def adapter(
        self,
        records: PipedriveSimulator,
        environ: dict[str, str],
        clock: SteppedClock,
        secrets: dict[str, object],
    ) -> PipedriveCrm:
        connection = CrmConnection(
            1, 1, str(uuid4()), "pipedrive", records.company, MemoryCredentials(secrets), {"mode": self.mode}
        )
        settings = load({**environ, "PIPEDRIVE_REQUESTS_PER_2S": str(self.requests_per_2s)})
        return PipedriveCrm(settings, clock, connection, "https://threadlink.test")


def test_the_descriptions_were_there() -> None:
    if not description.is_here():
        pytest.skip("Pipedrive's OpenAPI descriptions do not lie beside the project: requests were not held to them")
    assert len(description.operations()) > 300


class TestPipedriveWithAToken(TestPipedrive):
    requests_per_2s = 20

    @pytest.fixture
    def secrets(self, records: PipedriveSimulator, environ: dict[str, str]) -> dict[str, object]:
        return {"api_token": records.api_token()}


class TestPipedriveWithActivities(TestPipedrive):
    mode = "activity"
