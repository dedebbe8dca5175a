"""A connected mailbox at the simulated Gmail, read through Google's own client library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from app.model import Account
from app.ports import Change, ConnectedMailbox, FetchOutcome, Mailbox, PushRequest
from app.testing.fakes import MemoryCredentials, PushListener, SteppedClock
from connectors.mail.gmail.connector import GmailConnector
from connectors.mail.gmail.settings import load
from connectors.mail.gmail.simulator import GmailSimulator

ADDRESS = "ada@northwind.test"
REDIRECT_URI = "https://threadlink.test/connect/gmail"


def mail(number: int, **headers: str) -> bytes:
    named = {"From": "bea@acme.test", "To": ADDRESS, "Subject": f"Prices {number}", **headers}
    named.setdefault("Message-ID", f"<m{number}@acme.test>")
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in named.items())
    return f"{head}\r\nText {number}\r\n".encode()


@dataclass
class Gmail:
    """The simulator, the connector and one mailbox, with the moves the tests make."""

    clock: SteppedClock
    simulator: GmailSimulator
    environ: Mapping[str, str]
    slept: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.connector = self.new_connector()

    def new_connector(self, **settings: str) -> GmailConnector:
        return GmailConnector(
            load({**self.environ, **settings}), "https://threadlink.test", self.clock, sleep=self.slept.append
        )

    def consent(self, connector: GmailConnector | None = None) -> ConnectedMailbox:
        connector = connector or self.connector
        authorization = connector.authorize(REDIRECT_URI, "state", None)
        back = dict(parse_qsl(urlsplit(self.simulator.consent(authorization.url, ADDRESS)).query))
        return connector.connect(REDIRECT_URI, back, authorization.kept)

    def connect(self, connector: GmailConnector | None = None) -> Mailbox:
        connected = self.consent(connector)
        account = Account(
            id=1,
            public_id="00000000-0000-4000-8000-000000000001",
            team_id=1,
            provider="gmail",
            kind="personal",
            address=connected.address,
            mailbox=connected.mailbox,
            own_addresses=frozenset(),
            auto_link=True,
            visibility="full",
            owner_id=1,
        )
        return Mailbox(account, MemoryCredentials(connected.secrets))

    def deliver(self, number: int, folder: str = "inbox", **headers: str) -> str:
        return self.simulator.deliver(ADDRESS, mail(number, **headers), at=self.clock.now(), folder=folder)

    def read(
        self, mailbox: Mailbox, cursor: str | None, until: str | None = None
    ) -> tuple[dict[str, Change], str, bool]:
        """Read every page; return the changes by id, the cursor reached, and whether that was all."""
        changes: dict[str, Change] = {}
        complete = True
        for page in self.connector.list_changes(mailbox, cursor, until):
            changes |= {change.provider_id: change for change in page.changes}
            cursor, complete = page.cursor, page.complete
        assert cursor is not None
        return changes, cursor, complete

    def fetch(self, mailbox: Mailbox, *provider_ids: str) -> dict[str, FetchOutcome]:
        return {outcome.provider_id: outcome for outcome in self.connector.fetch(mailbox, provider_ids)}

    def usage(self) -> Mapping[str, int]:
        return dict(self.simulator.usage(ADDRESS))

    def push(self, position: int | str | None = None, address: str = ADDRESS, **changed: Any) -> PushRequest:
        """Return a push as Pub/Sub would send it now; `changed` replaces headers or body."""
        headers, body = self.simulator.push_request(address, position)
        lower = {name.lower(): value for name, value in headers.items()}
        return PushRequest("POST", {**lower, **changed.get("headers", {})}, {}, changed.get("body", body))


@pytest.fixture
def gmail() -> Iterator[Gmail]:
    clock, simulator = SteppedClock(), GmailSimulator()
    environ = simulator.start(clock)
    simulator.add_mailbox(ADDRESS, ["a.l@northwind.test"])
    yield Gmail(clock, simulator, environ)
    simulator.stop()


@pytest.fixture
def mailbox(gmail: Gmail) -> Mailbox:
    return gmail.connect()


@pytest.fixture
def start(gmail: Gmail, mailbox: Mailbox) -> str:
    """Return a cursor that points at now."""
    return gmail.read(mailbox, None)[1]


@pytest.fixture
def listener(gmail: Gmail, mailbox: Mailbox) -> Iterator[PushListener]:
    with PushListener(gmail.connector.read_push) as listener:
        gmail.simulator.push_to(listener.url)
        gmail.connector.subscribe(mailbox)
        gmail.simulator.settle()
        listener.notifications.clear()
        yield listener
