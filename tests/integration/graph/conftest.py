"""A connected mailbox at the simulated Graph, read through msal and requests; `wire` asks without the connector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from app.model import Account, Handshake, Notification
from app.ports import Change, ConnectedMailbox, FetchOutcome, Mailbox, MailConnector, PushRequest, Services
from app.testing.fakes import MemoryCredentials, PushListener, SteppedClock
from connectors.mail import graph as package
from connectors.mail.graph.simulator import GraphSimulator
from connectors.mail.graph.slots import LocalSlots
from tests.integration.graph.wire import ADDRESS, Wire, mail

ORIGIN = "https://threadlink.test"
REDIRECT_URI = f"{ORIGIN}/connect/graph/callback"


@dataclass
class Graph:
    """The simulator, the connector and one mailbox, with the moves the tests make."""

    clock: SteppedClock
    simulator: GraphSimulator
    environ: Mapping[str, str]
    slots: LocalSlots = field(default_factory=LocalSlots)  # of every connector, as processes share them

    def __post_init__(self) -> None:
        self.connector = self.new_connector()

    def new_connector(self, **settings: str) -> MailConnector:
        return package.create(
            Services(self.clock, ORIGIN, {**self.environ, **settings}, slots=self.slots, secret=b"s" * 32)
        )

    def consent(
        self, connector: MailConnector | None = None, *, as_: str = ADDRESS, hint: str | None = None
    ) -> ConnectedMailbox:
        connector = connector or self.connector
        authorization = connector.authorize(REDIRECT_URI, "state", hint)
        back = dict(parse_qsl(urlsplit(self.simulator.consent(authorization.url, as_)).query))
        return connector.connect(REDIRECT_URI, back, authorization.kept)

    def connect(self, connector: MailConnector | None = None) -> Mailbox:
        return mailbox_of(self.consent(connector))

    def deliver(self, number: int, folder: str = "inbox", *headers: str) -> str:
        return self.simulator.deliver(ADDRESS, mail(number, *headers), at=self.clock.now(), folder=folder)

    def read(
        self, mailbox: Mailbox, cursor: str | None, connector: MailConnector | None = None
    ) -> tuple[dict[str, Change], str]:
        """Read every page; return the changes by id, and the cursor reached."""
        changes: dict[str, Change] = {}
        for page in (connector or self.connector).list_changes(mailbox, cursor):
            changes |= {change.provider_id: change for change in page.changes}
            cursor = page.cursor
        assert cursor is not None
        return changes, cursor

    def fetch(self, mailbox: Mailbox, *provider_ids: str) -> dict[str, FetchOutcome]:
        return {outcome.provider_id: outcome for outcome in self.connector.fetch(mailbox, provider_ids)}

    def usage(self, operation: str) -> int:
        return self.simulator.usage(ADDRESS).get(operation, 0)


def mailbox_of(connected: ConnectedMailbox, kind: Any = "personal") -> Mailbox:
    account = Account(
        id=1,
        public_id="00000000-0000-4000-8000-000000000001",
        team_id=1,
        provider="graph",
        kind=kind,
        address=connected.address,
        mailbox=connected.mailbox,
        own_addresses=frozenset(),
        auto_link=True,
        visibility="full",
        owner_id=1,
    )
    return Mailbox(account, MemoryCredentials(connected.secrets))


@pytest.fixture
def graph() -> Iterator[Graph]:
    clock, simulator = SteppedClock(), GraphSimulator()
    environ = simulator.start(clock)
    simulator.add_mailbox(ADDRESS, ["a.l@northwind.test"])
    yield Graph(clock, simulator, environ)
    simulator.stop()


@pytest.fixture
def mailbox(graph: Graph) -> Mailbox:
    return graph.connect()


@pytest.fixture
def start(graph: Graph, mailbox: Mailbox) -> str:
    """Return a cursor that points at now."""
    return graph.read(mailbox, None)[1]


@pytest.fixture
def listener(graph: Graph, mailbox: Mailbox) -> Iterator[PushListener]:
    """Receive pushes the way the webhook does; the mailbox is subscribed."""
    with PushListener(graph.connector.read_push) as listener:
        graph.simulator.push_to(listener.url)
        graph.connector.subscribe(mailbox)
        graph.simulator.settle()
        listener.notifications.clear()
        listener.requests.clear()
        yield listener


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


@pytest.fixture
def wire_listener(wire: Wire) -> Iterator[PushListener]:
    with PushListener(_echo) as listener:
        wire.simulator.push_to(listener.url)
        yield listener


def _echo(request: PushRequest) -> list[Notification] | Handshake:
    if "validationToken" in request.args:
        return Handshake(request.args["validationToken"])
    return []
