"""What the suite of mail connectors stands on: a started simulator, a connected mailbox, and a few moves.

Made for subclasses of mail_suite.MailConnectorSuite, which say which simulator and which connector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import pytest

from app.model import Account
from app.ports import (
    Change,
    FetchOutcome,
    FilteredMessage,
    Mailbox,
    MailConnector,
    OriginalMail,
    Services,
    SimulatedMail,
)
from app.testing.fakes import MemoryCredentials, PushListener, SteppedClock

ADDRESS = "ada@northwind.test"
ALIAS = "ada.lovelace@northwind.test"
BASE_URL = "https://threadlink.test"
REDIRECT_URI = f"{BASE_URL}/connect/back"

FaultOf = tuple[str, Mapping[str, Any]]


def mail(number: int, **headers: str) -> bytes:
    """Return the RFC 5322 bytes of a message with a subject and an id of its own."""
    named = {
        "From": "Bea <bea@acme.test>",
        "To": f"Ada <{ADDRESS}>",
        "Subject": f"Prices {number}",
        "Message-ID": f"<m{number}@acme.test>",
        "Date": "Mon, 02 Mar 2026 08:00:00 +0000",
        "Content-Type": "text/plain; charset=utf-8",
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"{head}\r\nText of message {number}, in Turkish: iğne.\r\n".encode()


class MailStage:
    """What a subclass gives, and what is made of it.

    `faults` names the simulator's fault, with its parameters, for each of the suite's own words: `cursor_expired`,
    `throttled` (with a time to wait), `revoked`, `part_failed` (one message of a batch), `forged_push`, `unavailable`.
    `several_pages` is a number of messages that fill more than one page.
    """

    faults: ClassVar[Mapping[str, FaultOf]] = {}
    several_pages: ClassVar[int] = 600

    # --- what a subclass gives ---

    @pytest.fixture
    def simulator(self) -> SimulatedMail:
        """Return the simulated provider, not started."""
        raise NotImplementedError

    @pytest.fixture
    def create(self) -> Callable[[Services], MailConnector]:
        """Return what the entry point names."""
        raise NotImplementedError

    # --- what the suite makes of it ---

    @pytest.fixture
    def clock(self) -> SteppedClock:
        return SteppedClock()

    @pytest.fixture
    def connector(
        self, simulator: SimulatedMail, create: Callable[[Services], MailConnector], clock: SteppedClock
    ) -> Iterator[MailConnector]:
        environ = simulator.start(clock)
        simulator.add_mailbox(ADDRESS, [ALIAS])
        yield create(Services(clock, BASE_URL, environ))
        simulator.stop()

    @pytest.fixture
    def mailbox(self, connector: MailConnector, simulator: SimulatedMail) -> Mailbox:
        return self.connect(connector, simulator)

    @pytest.fixture
    def listener(self, connector: MailConnector, simulator: SimulatedMail) -> Iterator[PushListener]:
        with PushListener(connector.read_push) as listener:
            simulator.push_to(listener.url)
            yield listener

    def connect(self, connector: MailConnector, simulator: SimulatedMail, address: str = ADDRESS) -> Mailbox:
        """Connect a mailbox as its owner would."""
        authorization = connector.authorize(REDIRECT_URI, "the-state", address)
        back = dict(parse_qsl(urlsplit(simulator.consent(authorization.url, address)).query))
        connected = connector.connect(REDIRECT_URI, back, authorization.kept)
        account = Account(
            id=1,
            public_id="00000000-0000-4000-8000-000000000001",
            team_id=1,
            provider=connector.provider,
            kind="personal",
            address=connected.address,
            mailbox=connected.mailbox,
            own_addresses=frozenset({connected.address}),
            auto_link=True,
            visibility="full",
            owner_id=1,
        )
        return Mailbox(account, MemoryCredentials(connected.secrets))

    def strike(self, simulator: SimulatedMail, word: str) -> None:
        """Arm the simulator's fault for one of the suite's words."""
        kind, params = self.faults[word]
        simulator.fault(kind, **params)

    def deliver(self, simulator: SimulatedMail, clock: SteppedClock, number: int, folder: str = "inbox") -> str:
        """Put a message into the mailbox now."""
        return simulator.deliver(ADDRESS, mail(number), at=clock.now(), folder=folder)

    def originals(self, connector: MailConnector) -> OriginalMail:
        """Return the connector as one that reads mail again where it lies; skip where that is not offered."""
        if not isinstance(connector, OriginalMail):
            pytest.skip("mail is not read again where it lies")
        return connector

    def read(self, connector: MailConnector, mailbox: Mailbox, cursor: str | None) -> tuple[dict[str, Change], str]:
        """Read all changes after a cursor; return them by id, with the cursor reached."""
        pages: list[tuple[Change, ...]] = []
        for page in connector.list_changes(mailbox, cursor):
            pages.append(page.changes)
            cursor = page.cursor
        assert cursor is not None
        return self.merged(pages), cursor

    def merged(self, pages: Iterable[Sequence[Change]]) -> dict[str, Change]:
        """Return the changes by id; one that says to read a message outweighs those that leave it out."""
        changes: dict[str, Change] = {}
        for change in (each for page in pages for each in page):
            known = changes.get(change.provider_id)
            if known is None or known.filtered_by is not None or change.filtered_by is None:
                changes[change.provider_id] = change
        return changes

    def choosing(self, connector: MailConnector, mailbox: Mailbox, *names: str) -> Mailbox:
        """Return the mailbox limited to the labels or folders of these names; skip where it cannot be limited."""
        if not connector.capabilities.folders:
            pytest.skip("mail cannot be limited to labels or folders")
        chosen = frozenset(each.id for each in connector.list_folders(mailbox) if each.name in names)
        assert len(chosen) == len(names)
        return replace(mailbox, account=replace(mailbox.account, folders=chosen))

    def fate(self, connector: MailConnector, mailbox: Mailbox, changes: Mapping[str, Change]) -> dict[str, str]:
        """Return what becomes of reported messages: `read`, or the rule that leaves one out, now or when it is read."""
        became = {key: change.filtered_by for key, change in changes.items() if change.filtered_by is not None}
        wanted = [key for key, change in changes.items() if change.filtered_by is None and not change.deleted]
        for key, outcome in self.fetch(connector, mailbox, wanted).items():
            became[key] = outcome.rule if isinstance(outcome, FilteredMessage) else "read"
        return became

    def fetch(self, connector: MailConnector, mailbox: Mailbox, provider_ids: Sequence[str]) -> dict[str, FetchOutcome]:
        """Fetch messages, as many at once as the connector takes."""
        size = connector.capabilities.batch_size
        batches = [provider_ids[first : first + size] for first in range(0, len(provider_ids), size)]
        return {outcome.provider_id: outcome for batch in batches for outcome in connector.fetch(mailbox, batch)}

    def check_every_cursor(
        self, connector: MailConnector, mailbox: Mailbox, cursor: str | None, delivered: set[str]
    ) -> None:
        """Stop after each page in turn and go on from its cursor: nothing may be missing."""
        pages = list(connector.list_changes(mailbox, cursor))
        assert sum(bool(page.changes) for page in pages) > 1
        seen: set[str] = set()
        for page in pages:
            seen |= {change.provider_id for change in page.changes}
            rest, _ = self.read(connector, mailbox, page.cursor)
            assert seen | set(rest) == delivered
