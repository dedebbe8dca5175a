"""A connected mailbox at the simulated Graph, read through msal and requests; `wire` asks without the connector."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.model import Handshake, Notification
from app.ports import PushRequest
from app.testing.fakes import PushListener, SteppedClock
from connectors.mail.graph.simulator import GraphSimulator
from tests.integration.graph.wire import ADDRESS, Wire


@pytest.fixture
def wire() -> Iterator[Wire]:
    clock, simulator = SteppedClock(), GraphSimulator()
    environ = simulator.start(clock)
    simulator.add_mailbox(ADDRESS, ["a.l@northwind.test"])
    wire = Wire(clock, simulator, environ)
    wire.sign_in(wire.consent()["access_token"])
    yield wire
    wire.session.close()
    simulator.stop()


def read_push(request: PushRequest) -> list[Notification] | Handshake:
    if "validationToken" in request.args:
        return Handshake(request.args["validationToken"])
    return []


@pytest.fixture
def wire_listener(wire: Wire) -> Iterator[PushListener]:
    with PushListener(read_push) as listener:
        wire.simulator.push_to(listener.url)
        yield listener
