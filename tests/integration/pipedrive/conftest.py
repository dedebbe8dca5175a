"""A simulated Pipedrive on the wire, its calls held to Pipedrive's own description where that is here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from app.testing.fakes import SteppedClock
from connectors.crm.pipedrive.simulator import PipedriveSimulator
from tests.contract import pipedrive_description as description


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def pipedrive(clock: SteppedClock) -> Iterator[PipedriveSimulator]:
    """Start Pipedrive; an answer or a request that does not fit its description fails the test."""
    simulator = PipedriveSimulator()
    misfits = description.Misfits()
    if description.is_here():
        simulator.observers.append(misfits)
    simulator.environ = dict(simulator.start(clock))
    yield simulator
    simulator.stop()
    assert misfits == []


class Client:
    """Calls the API as one company's administrator."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["x-api-token"] = token

    def __call__(self, method: str, path: str, **arguments: object) -> requests.Response:
        return self._session.request(method, f"{self._url}{path}", timeout=5, **arguments)

    def close(self) -> None:
        self._session.close()


@pytest.fixture
def call(pipedrive: PipedriveSimulator) -> Iterator[Client]:
    """Return what calls Pipedrive with an API token."""
    client = Client(pipedrive.environ["PIPEDRIVE_API_URL"], pipedrive.api_token())
    yield client
    client.close()
