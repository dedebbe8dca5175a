"""One mailbox that two teams connect: one watch, pushes for both, and an end only with the last (threats.md T10)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from app import accounts, connecting, registry, subscriptions, sync
from app.bootstrap import create_app, open_installation
from app.installation import Installation
from app.ports import SimulatedMail
from app.serving import listening_locally, serve_locally
from app.settings import load_settings
from app.store import accounts as account_rows
from app.store import lookups, teams
from app.store.database import Database
from app.testing.fakes import SteppedClock
from app.testing.mail_stage import mail

pytestmark = pytest.mark.integration

ADDRESS = "ada@freelance.test"


@dataclass
class Shared:
    """The mailbox at its provider, and the accounts of it: (team, account)."""

    installation: Installation
    simulator: SimulatedMail
    provider: str
    accounts: list[tuple[int, int]]

    def connect(self, team_id: int) -> None:
        database = self.installation.database
        with database.for_team(team_id) as connection:
            teams.add_member(connection, team_id, "Ada", ADDRESS, "admin")
            member = teams.members(connection)[0]
        invited = connecting.invite(self.installation, team_id, member, self.provider)
        consent = connecting.start_consent(self.installation, invited.url.rpartition("/")[2], "browser", auto_link=True)
        back = dict(parse_qsl(urlsplit(self.simulator.consent(consent, ADDRESS)).query))
        assert isinstance(
            connecting.finish_consent(self.installation, self.provider, back, "browser"), connecting.Connected
        )
        with database.for_team(team_id) as connection:
            account = account_rows.account_by_address(connection, ADDRESS)
        assert account is not None
        self.accounts.append((team_id, account.id))
        subscriptions.renew(self.installation, team_id, account.id)
        sync.sync_account(self.installation, team_id, account.id)

    def hinted(self) -> list[int]:
        """Return how often each account was hinted at."""
        found = []
        for team_id, account_id in self.accounts:
            with self.installation.database.for_team(team_id) as connection:
                query = sa.text("SELECT generation FROM hint WHERE account_id = :id")
                found.append(int(connection.execute(query, {"id": account_id}).scalar_one()))
        return found

    def stored(self) -> list[int]:
        found = []
        for team_id, account_id in self.accounts:
            sync.sync_account(self.installation, team_id, account_id)
            with self.installation.database.for_team(team_id) as connection:
                found.append(int(connection.execute(sa.text("SELECT count(*) FROM message_copy")).scalar_one()))
        return found

    def deliver(self, number: int) -> None:
        self.simulator.deliver(ADDRESS, mail(number, To=ADDRESS), at=self.installation.clock.now())
        self.simulator.settle()


@pytest.fixture(params=["gmail", "graph"])
def shared(request: pytest.FixtureRequest, database: Database, database_url: str) -> Iterator[Shared]:
    clock, simulator = SteppedClock(), registry.simulator(request.param)
    environ = simulator.start(clock)
    try:
        with listening_locally() as listening:
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            settings = load_settings(public_base_url=url, encryption_keys=Fernet.generate_key().decode())
            installation = open_installation(settings, database_url, clock=clock, environ=environ)
            simulator.add_mailbox(ADDRESS)
            simulator.push_to(f"{url}/webhooks/{request.param}")
            with serve_locally(create_app(installation), listening):
                yield Shared(installation, simulator, request.param, [])
                simulator.settle()
            installation.database.close()
    finally:
        simulator.stop()


@pytest.fixture
def two(shared: Shared, database: Database) -> Shared:
    for name in ("Agency", "Client"):
        with database.without_team() as connection:
            team_id = lookups.add_team(connection, name)
        with database.for_team(team_id) as connection:
            teams.configure(connection, domains=["freelance.test"])
        shared.connect(team_id)
    return shared


def test_a_push_reaches_the_accounts_of_both_teams(two: Shared) -> None:
    before = two.hinted()
    two.deliver(1)
    assert all(after > earlier for after, earlier in zip(two.hinted(), before, strict=True))
    assert two.stored() == [1, 1]


def test_neither_team_ends_what_the_other_lives_by(two: Shared) -> None:
    for team_id, account_id in two.accounts * 2:  # each renews, and again: nobody deletes the other's
        subscriptions.renew(two.installation, team_id, account_id)
        assert two.simulator.is_watched(ADDRESS)
    if two.provider == "graph":
        assert len(two.simulator.subscriptions.active) == 1  # type: ignore[attr-defined]  # the Graph simulator's own
    first, second = two.accounts
    accounts.disconnect(two.installation, *first, None, erase=False)
    assert two.simulator.is_watched(ADDRESS)
    before = two.hinted()
    two.deliver(2)
    assert two.hinted()[1] > before[1]
    two.accounts = [second]
    assert two.stored() == [1]


def test_the_last_account_ends_the_watch(two: Shared) -> None:
    for team_id, account_id in two.accounts:
        accounts.disconnect(two.installation, team_id, account_id, None, erase=False)
    assert not two.simulator.is_watched(ADDRESS)
