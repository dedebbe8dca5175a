"""Pulling instead of being pushed to: from a mail to its job, on the simulated Pub/Sub and a real database."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from structlog.testing import capture_logs

from app import pulling
from app.bootstrap import Worker
from app.errors import ApplicationMisconfigured
from app.installation import Installation
from app.ports import ConnectedMailbox, NotificationSource, Pulled
from app.settings import Settings
from app.store import accounts
from app.store.database import Database
from app.store.secrets import SecretBox
from app.testing.fakes import SteppedClock
from connectors.mail.gmail.simulator import GmailSimulator
from connectors.mail.gmail.simulator_pubsub import PulledSubscription
from tests.integration.gmail.conftest import ADDRESS, Gmail

pytestmark = [pytest.mark.integration, pytest.mark.enable_socket]


@dataclass
class Pulling:
    """An installation that pulls, with one watched mailbox whose first notifications were acknowledged."""

    gmail: Gmail
    subscription: PulledSubscription
    installation: Installation
    team_id: int
    account_id: int

    def source(self) -> NotificationSource:
        source = self.gmail.new_connector().pull_source()
        assert source is not None
        return source

    def pull_once(self) -> Pulled:
        return next(self.source().pull(lambda: False))

    def hint(self) -> Any:
        """Read the hint on a connection of its own: what is not committed does not show."""
        with self.installation.database.for_team(self.team_id) as connection:
            return connection.execute(sa.text("SELECT generation, position, pushed_at FROM hint")).one()

    def jobs(self) -> list[Any]:
        with self.installation.database.without_team() as connection:
            return list(
                connection.execute(
                    sa.text("SELECT args FROM procrastinate_jobs WHERE task_name = 'sync_account'")
                ).scalars()
            )

    def forget_jobs(self) -> None:
        """Leave the queue as a worker does that has taken every job."""
        with self.installation.database.for_team(self.team_id) as connection:
            connection.execute(sa.text("DELETE FROM procrastinate_jobs"))
            connection.execute(sa.text("UPDATE hint SET queued = false"))

    def settle(self) -> None:
        """Return when every notification was pulled, stored and acknowledged."""
        with pulling.pulling(self.installation, pulling.sources(self.installation)):
            self.gmail.simulator.settle()


@pytest.fixture
def pulls(database: Database, team: Callable[..., int]) -> Iterator[Pulling]:
    clock, simulator = SteppedClock(), GmailSimulator()
    subscription = simulator.pull_instead_of_push()
    gmail = Gmail(clock, simulator, simulator.start(clock))
    simulator.add_mailbox(ADDRESS)
    gmail.connector.subscribe(gmail.connect())
    settings = Settings(public_base_url="https://threadlink.test", _env_file=None)  # type: ignore[call-arg]  # pydantic's own argument

    def no_crm(_connection: object) -> Any:
        raise AssertionError("pulling asks no CRM")

    box = SecretBox([Fernet.generate_key().decode()])
    installation = Installation(settings, database, box, clock, {"gmail": gmail.connector}, no_crm)
    team_id = team("Northwind")
    with database.for_team(team_id) as connection:
        account_id = accounts.add(
            connection,
            team_id,
            "gmail",
            "team",
            ConnectedMailbox(ADDRESS, "user-1", ADDRESS, {}),
            owner_id=None,
            auto_link=True,
            history_from=None,
            now=clock.now(),
        )
    made = Pulling(gmail, subscription, installation, team_id, account_id)
    made.settle()
    made.forget_jobs()
    yield made
    simulator.stop()


def message(data: object) -> dict[str, str]:
    return {"data": base64.b64encode(json.dumps(data).encode()).decode()}


def test_a_delivered_mail_is_pulled_hinted_and_enqueued(pulls: Pulling) -> None:
    before = pulls.hint()
    pulls.gmail.clock.step(minutes=1)
    pulls.gmail.deliver(1)
    assert pulls.hint() == before
    pulls.settle()
    after = pulls.hint()
    assert after.generation == before.generation + 1
    assert int(after.position) > int(before.position or 0)
    assert after.pushed_at == pulls.gmail.clock.now()
    assert pulls.jobs() == [{"team_id": pulls.team_id, "account_id": pulls.account_id}]


def test_a_message_is_acknowledged_only_when_everybody_can_see_its_hint(pulls: Pulling) -> None:
    before, seen = pulls.hint().generation, []

    class Watched:
        def pull(self, stop: Callable[[], bool]) -> Iterator[Pulled]:
            for pulled in pulls.source().pull(stop):
                yield Pulled(pulled.notifications, lambda whole=pulled: acknowledge(whole))

    def acknowledge(pulled: Pulled) -> None:
        if pulled.notifications:
            seen.append(pulls.hint().generation)
        pulled.acknowledge()

    pulls.gmail.deliver(1)
    with pulling.pulling(pulls.installation, {"gmail": Watched()}):
        pulls.gmail.simulator.settle()
    assert seen == [before + 1]


def test_dying_between_hint_and_acknowledgement_costs_one_hint_more(pulls: Pulling) -> None:
    before = pulls.hint().generation
    pulls.gmail.deliver(1)
    pulling._store(pulls.installation, "gmail", pulls.pull_once())  # and then the process is killed
    acknowledged = pulls.subscription.acknowledged
    assert pulls.pull_once().notifications == ()  # it is held for the one that died
    pulls.gmail.clock.step(seconds=11)
    pulls.settle()
    assert pulls.subscription.acknowledged == acknowledged + 1
    assert pulls.hint().generation == before + 2
    assert len(pulls.jobs()) == 1


def test_an_acknowledgement_that_comes_too_late_brings_the_message_again(pulls: Pulling) -> None:
    pulls.gmail.deliver(1)
    late = pulls.pull_once()
    pulls.gmail.clock.step(seconds=11)
    late.acknowledge()
    assert pulls.pull_once().notifications == late.notifications


def test_two_processes_pull_at_once_and_share_what_there_is(pulls: Pulling) -> None:
    acknowledged = pulls.subscription.acknowledged
    sources = {"gmail": pulls.source()}
    with pulling.pulling(pulls.installation, sources), pulling.pulling(pulls.installation, {"gmail": pulls.source()}):
        for number in range(40):
            pulls.gmail.deliver(number)
        pulls.gmail.simulator.settle()
    assert pulls.subscription.acknowledged == acknowledged + 40
    assert len(pulls.jobs()) == 1
    assert int(pulls.hint().position) == pulls.gmail.simulator._mailboxes[ADDRESS].history_id


def test_a_burst_of_one_mailbox_is_one_batch_and_one_hint(pulls: Pulling) -> None:
    before = pulls.hint().generation
    for number in range(20):
        pulls.gmail.deliver(number)
    pulls.settle()
    assert pulls.hint().generation == before + 1


def test_messages_of_unknown_mailboxes_are_acknowledged_and_change_nothing(pulls: Pulling) -> None:
    before = pulls.hint()
    pulls.subscription.publish(message({"emailAddress": "nobody@elsewhere.test", "historyId": 7}))
    pulls.settle()
    assert pulls.hint() == before
    assert pulls.jobs() == []


@pytest.mark.parametrize(
    "content",
    [{}, {"data": "!!!"}, {"data": 5}, message([]), message({"emailAddress": "nul\x00@b.test"})],
    ids=lambda content: repr(content)[:40],
)
def test_a_message_that_cannot_be_read_goes_away_and_holds_nothing_up(
    pulls: Pulling, content: Mapping[str, Any]
) -> None:
    before, acknowledged = pulls.hint().generation, pulls.subscription.acknowledged
    pulls.subscription.publish(content)
    pulls.gmail.deliver(1)
    with capture_logs() as logs:
        pulls.settle()
    assert pulls.subscription.acknowledged == acknowledged + 2
    assert pulls.hint().generation == before + 1
    assert [log["count"] for log in logs if log["event"] == "pulled notifications malformed"] == [1]


def test_a_message_without_the_envelope_of_a_push_is_read(pulls: Pulling) -> None:
    pulls.gmail.simulator.fault("unwrapped_push")
    pulls.gmail.deliver(1)
    assert [notification.mailbox for notification in pulls.pull_once().notifications] == [ADDRESS]


def test_a_deleted_subscription_is_said_with_what_to_do(pulls: Pulling) -> None:
    pulls.gmail.simulator.fault("pull_refused", status=404)
    with pytest.raises(ApplicationMisconfigured, match="create it again as a pull subscription"):
        pulls.pull_once()


def test_pulling_goes_on_when_the_subscription_is_back(pulls: Pulling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulling, "FIRST_WAIT_S", 0.01)
    pulls.gmail.simulator.fault("pull_refused", status=404, count=2)
    pulls.gmail.simulator.fault("pull_refused", status=503)
    pulls.gmail.simulator.fault("acknowledge_refused")
    pulls.gmail.deliver(1)
    pulls.settle()
    assert len(pulls.jobs()) == 1


def test_a_token_that_ended_early_is_replaced(pulls: Pulling) -> None:
    source = pulls.source()
    pulls.gmail.deliver(1)
    next(source.pull(lambda: False)).acknowledge()
    pulls.subscription.end_tokens()
    pulls.gmail.deliver(2)
    pulled = next(source.pull(lambda: False))
    pulls.subscription.end_tokens()
    pulled.acknowledge()
    assert len(pulled.notifications) == 1


def test_a_key_that_google_does_not_know_is_the_operators_matter(pulls: Pulling, tmp_path: Path) -> None:
    key = json.loads(Path(pulls.gmail.environ["GMAIL_PUBSUB_CREDENTIALS"]).read_text())
    file = tmp_path / "key.json"
    file.write_text(json.dumps({**key, "client_email": "somebody@else.test"}))
    source = pulls.gmail.new_connector(GMAIL_PUBSUB_CREDENTIALS=str(file)).pull_source()
    assert source is not None
    with pytest.raises(ApplicationMisconfigured, match="make a new one"):
        next(source.pull(lambda: False))


def test_without_a_key_nothing_is_pulled(pulls: Pulling) -> None:
    assert pulls.gmail.new_connector(GMAIL_PUBSUB_CREDENTIALS="").pull_source() is None


def test_a_worker_pulls_while_it_runs(pulls: Pulling, database_url: str) -> None:
    worker = Worker(pulls.installation, database_url, concurrency=1)
    before = pulls.hint().generation
    worker.start()
    try:
        pulls.gmail.deliver(1)
        pulls.gmail.simulator.settle()
    finally:
        worker.stop()
    assert pulls.hint().generation > before


def test_a_worker_process_pulls_and_ends_when_it_is_told(pulls: Pulling, database_url: str, tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("THREADLINK_", "GMAIL_"))}
    environ |= {
        **pulls.gmail.environ,
        "DATABASE_URL": database_url,
        "PUBLIC_BASE_URL": "http://127.0.0.1:8080",
        "THREADLINK_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    acknowledged = pulls.subscription.acknowledged
    pulls.gmail.deliver(1)
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "worker"], env=environ, cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 60
        while pulls.subscription.acknowledged == acknowledged and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert pulls.subscription.acknowledged == acknowledged + 1
    assert process.returncode == 0
    assert ADDRESS not in said
    assert "Traceback" not in said
