"""The whole product on one machine: embedded PostgreSQL, simulated providers, real HTTP pushes, web and worker.

Nothing here takes a short cut: mailboxes are connected through the consent flow, and mail arrives as pushes over HTTP.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import parse_qsl, urlsplit

import sqlalchemy as sa

from app import connecting, explain, jobs, manifest, registry, signing_in, smart_bcc
from app.bootstrap import Worker, create_app, create_mail_server, open_installation
from app.errors import SettingsError, ThreadlinkError
from app.model import ItemRef
from app.ports import CrmRecords, SimulatedAddonHost, SimulatedCrm, SimulatedMail, SimulatedPaneHost
from app.scenario import model as scenes
from app.serving import listening_locally, serve_locally
from app.settings import Settings, load_settings
from app.store import accounts as account_rows
from app.store import crm, embedded, lookups, teams
from app.store.migrate import migrate

# What is due later than this is not waited for: a mailbox that is away for a day stays away in the demo.
LONGEST_WAIT = timedelta(hours=2)
SETTLE_TIMEOUT_S = 60.0
MAIL_DOMAIN = "in.threadlink.test"


@dataclass
class StageClock:
    """The scenario's time: it ticks like the machine's and is moved forward between events."""

    base: datetime
    started: float = field(default_factory=time.monotonic)

    def now(self) -> datetime:
        """Return the scenario's time."""
        return self.base + timedelta(seconds=time.monotonic() - self.started)

    def advance(self, to: datetime) -> None:
        """Move forward to a time; it never goes back."""
        if to > self.now():
            self.base, self.started = to, time.monotonic()


class Stage:
    """One scenario's team, mailboxes and CRM, running. Leaving the context stops everything and deletes its data.

    `crm_name` is the adapter, `server_settings` are PostgreSQL settings on top of the embedded server's, `settings` are
    vendors' settings on top of the simulators'.
    `crm_records` keeps the records of the simulated CRM, `members` are the team's members by e-mail, `delivered` are
    the (mailbox, provider id) of every message that was put into a mailbox.
    """

    def __init__(
        self,
        scenario: scenes.Scenario,
        *,
        crm_name: str = "embedded",
        port: int | None = None,
        server_settings: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.scenario = scenario
        self.clock = StageClock(scenario.now)
        self._polled_at = scenario.now
        self.delivered: set[tuple[str, str]] = set()
        self._crm_name = crm_name
        self._server_settings = server_settings
        self._vendor_settings = settings or {}
        self._port = port or 0  # the one that is listened on, once open
        self._started = time.monotonic()
        self._first_link_s: float | None = None
        self._exit = ExitStack()
        self._polled_for: frozenset[tuple[str, str]] = frozenset()

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self._exit.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._exit.close()

    @property
    def url(self) -> str:
        """Where the web process answers."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def seconds(self) -> dict[str, float | None]:
        """How long it took from the start until all stood ready, until the first link was stored, and until now."""
        whole_s = round(time.monotonic() - self._started, 1)
        return {"ready": round(self._ready_s, 1), "first_link": self._first_link_s, "whole": whole_s}

    @property
    def environ(self) -> dict[str, str]:
        """The settings with which another process joins this stage (its clock is the machine's own)."""
        settings = self.installation.settings
        return {
            **self._environ,
            "DATABASE_URL": "",
            "THREADLINK_DATA": str(settings.data_dir),
            "PUBLIC_BASE_URL": self.url,
            "THREADLINK_MIRROR_MAX_AGE_S": str(settings.mirror_max_age_s),
            "THREADLINK_NOTE_INTERVAL_S": str(settings.note_interval_s),
        }

    def team(self) -> AbstractContextManager[sa.Connection]:
        """Open a transaction in the team of the scenario."""
        return self.installation.database.for_team(self.team_id)

    def describe(self) -> list[dict[str, Any]]:
        """Return every conversation in the shape of command-line.md."""
        with self.team() as connection:
            ids = connection.execute(sa.text("SELECT id FROM conversation WHERE merged_into IS NULL")).scalars().all()
            return explain.describe(connection, list(ids), self.scenario.locale)

    def crm_shows(self, conversations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return what people see in the CRM of these: the notes on each item, and what they cost if the CRM counts."""
        links = [conversation["link"] for conversation in conversations if conversation["link"]]
        items = {(link["kind"], link["id"]): link["title"] for link in links}
        simulator = self.crm_simulator
        notes = []
        for (kind, external_id), title in items.items():
            known_as = simulator.callers_id(kind, external_id) if simulator else external_id
            texts = self.crm_records.notes(kind, known_as)
            notes += [{"kind": kind, "id": external_id, "title": title, "text": text} for text in texts]
        return {"notes": notes, "usage": dict(simulator.usage()) if simulator else {}}

    def sign_in_link(self) -> str:
        """Return a link that signs the first member in."""
        return signing_in.invite(self.installation, self.team_id, next(iter(self.members.values()))).url

    def addon_page(self) -> str | None:
        """Return where a browser shows the messages of the simulated Gmail with our cards beside them."""
        gmail = self.simulators.get("gmail")
        return gmail.show_addon(manifest.gmail(self.url)) if isinstance(gmail, SimulatedAddonHost) else None

    def pane_page(self) -> str | None:
        """Return where a browser shows the messages of the simulated Outlook with our pane beside them."""
        outlook = self.simulators.get("graph")
        return outlook.show_pane(manifest.Site(self.url).pane_url) if isinstance(outlook, SimulatedPaneHost) else None

    def smart_bcc_address(self) -> str:
        """Return the Smart BCC address of the first member."""
        with self.team() as connection:
            member = next(iter(self.members.values()))
            return smart_bcc.addresses(self.installation, connection, member, None).own

    def pause_worker(self) -> None:
        """Stop the worker for good; jobs wait in the queue."""
        self._worker.stop()

    def advance(self, to: datetime) -> None:
        """Move the clock, and let the schedules run that the time between calls for."""
        self.clock.advance(to)
        if to - self._polled_at > timedelta(seconds=self.installation.settings.poll_quiet_s):
            self._polled_at = to
            jobs.poll_quiet(self.installation)
            jobs.renew_subscriptions(self.installation)
            self.settle()

    def settle(self) -> None:
        """Wait until pushes are answered, jobs done, and every message the mailboxes hold was discovered."""
        deadline = time.monotonic() + SETTLE_TIMEOUT_S
        while time.monotonic() < deadline:
            for simulator in self.simulators.values():
                simulator.settle()
            if self.crm_simulator is not None:
                self.crm_simulator.settle()
            if self._is_working():
                time.sleep(0.01)
            elif not (self._fast_forward() or self._poll_for_lost()):
                self._note_first_link()
                return
        raise ThreadlinkError("The demo did not come to rest within a minute; its jobs keep starting again.")

    def put(self, record: scenes.CrmRecord) -> None:
        """Create a record in the CRM."""
        if isinstance(record, scenes.CrmOrganizationRecord):
            self.crm_records.put_organization(record.id, record.name)
        elif isinstance(record, scenes.CrmPersonRecord):
            self.crm_records.put_person(record.id, record.name, record.emails, record.organization)
        else:
            self.crm_records.put_item(
                cast("Any", record.kind),
                record.id,
                record.title,
                state=record.status,
                created_at=record.created_at,
                person=record.person,
                participants=record.participants,
                organization=record.organization,
            )

    def simulator_of(self, vendor: str) -> SimulatedMail | SimulatedCrm | None:
        """Return the simulator of a provider or of the CRM, by its name."""
        return self.crm_simulator if vendor == self._crm_name else self.simulators.get(vendor)

    def ref(self, name: str) -> ItemRef:
        """Return how the CRM calls a record the scenario calls kind/id."""
        kind, _, external_id = name.partition("/")
        if self.crm_simulator is not None:
            external_id = self.crm_simulator.crm_id(kind, external_id)
        return ItemRef(cast("Any", kind), external_id, self.crm_id)

    def name_of(self, ref: ItemRef) -> str:
        """Return how the scenario calls a record of the CRM, as kind/id."""
        if self.crm_simulator is None:
            return str(ref)
        return f"{ref.kind}/{self.crm_simulator.callers_id(ref.kind, ref.external_id)}"

    # --- setting up ---

    def _open(self) -> None:
        listening = self._exit.enter_context(listening_locally(self._port))  # from now on nobody else gets the port
        self._port = listening.getsockname()[1]
        data_dir = Path(tempfile.gettempdir()) / f"threadlink-demo-{os.getpid()}-{self._port}"
        self._exit.callback(shutil.rmtree, data_dir, ignore_errors=True)
        server = self._exit.enter_context(embedded.start(data_dir, self._server_settings))
        migrate(server.url)
        self.simulators = self._start_simulators()
        self.crm_simulator = self._start_crm_simulator()
        # Nobody in the DNS says who may send for the scenario's domains: this machine may.
        self._environ |= {"SMART_BCC_LISTEN": "127.0.0.1:0", "SMART_BCC_TRUSTED_NETWORKS": "127.0.0.0/8"}
        self._environ |= self._vendor_settings
        settings = _settings(data_dir, self.url, self._environ)
        self.installation = open_installation(
            settings, server.url, clock=self.clock, environ=self._environ, pool_size=settings.worker_concurrency + 8
        )
        self._exit.callback(self.installation.database.close)
        self._exit.enter_context(serve_locally(create_app(self.installation), listening))
        self._make_team()
        self._fill_crm()
        self.database_url = server.url
        self.mail_server = create_mail_server(self.installation, self._environ)
        self.mail_port = self.mail_server.start()
        self._exit.callback(self.mail_server.stop)
        self._worker = Worker(self.installation, server.url)
        self._worker.start()
        self._exit.callback(self._worker.stop)
        for account in self.scenario.accounts:
            self._connect(account)
        self.settle()
        self._ready_s = time.monotonic() - self._started

    def _start_simulators(self) -> dict[str, SimulatedMail]:
        simulators: dict[str, SimulatedMail] = {}
        self._environ: dict[str, str] = {}
        for provider in sorted({account.provider for account in self.scenario.accounts}):
            simulator = registry.simulator(provider)
            self._environ |= simulator.start(self.clock)
            self._exit.callback(simulator.stop)
            simulator.push_to(f"{self.url}/webhooks/{provider}")
            simulators[provider] = simulator
        return simulators

    def _start_crm_simulator(self) -> SimulatedCrm | None:
        """Start the CRM's simulator, if it has one; another CRM must keep its records itself."""
        if self._crm_name not in registry.names(registry.CRM_SIMULATORS):
            return None
        simulator = registry.crm_simulator(self._crm_name)
        self._environ |= simulator.start(self.clock)
        self._exit.callback(simulator.stop)
        simulator.push_to(self.url)
        return simulator

    def _make_team(self) -> None:
        scene = self.scenario
        with self.installation.database.without_team() as connection:
            self.team_id = lookups.add_team(connection, "Demo")
        policy = asdict(scene.team.policy)
        with self.team() as connection:
            teams.configure(
                connection,
                domains=scene.team.domains,
                plan=scene.team.plan,
                locale=scene.locale,
                policy={**policy, "blocklist": sorted(policy["blocklist"])},
            )
            for member in scene.members:
                teams.add_member(connection, self.team_id, member.name, member.email, member.role)
            self.members = {member.email: member for member in teams.members(connection)}
            company = "demo" if self.crm_simulator is None else self.crm_simulator.company
            crm.add_connection(connection, self.team_id, self._crm_name, company=company)

    def _fill_crm(self) -> None:
        connection = self.installation.crm_connections(self.team_id)[0]
        self.crm_id = connection.id
        if self.crm_simulator is not None:
            with connection.credentials.locked() as locked:
                locked.write(self.crm_simulator.secrets)
        adapter = self.installation.open_crm(connection)
        if self.crm_simulator is None and not adapter.capabilities.records:
            raise SettingsError(
                f"{self._crm_name} has no simulator and keeps no records here: it cannot play the demo."
            )
        self.crm_records = self.crm_simulator or cast("CrmRecords", adapter)
        records: tuple[scenes.CrmRecord, ...] = (
            *self.scenario.organizations,
            *self.scenario.persons,
            *self.scenario.items,
        )
        for record in records:
            self.put(record)

    def _connect(self, account: scenes.ScenarioAccount) -> None:
        """Connect a mailbox as its owner would: one-time link, consent at the provider, confirmation."""
        simulator = self.simulators[account.provider]
        simulator.add_mailbox(account.address, account.aliases)
        owner = self.members[account.owner] if account.owner else next(iter(self.members.values()))
        invitation = connecting.invite(
            self.installation,
            self.team_id,
            owner,
            account.provider,
            kind=account.kind,
            address=account.address,
            collaborators=[self.members[email].id for email in account.collaborators],
        )
        browser, token = "demo", invitation.url.rpartition("/")[2]
        consent = connecting.start_consent(self.installation, token, browser, auto_link=account.auto_link)
        back = dict(parse_qsl(urlsplit(simulator.consent(consent, account.address)).query))
        finished = connecting.finish_consent(self.installation, account.provider, back, browser)
        if isinstance(finished, connecting.Unconfirmed):
            connecting.confirm(self.installation, account.provider, finished.state, browser, meant=True)
        with self.team() as connection:
            stored = account_rows.account_by_address(connection, account.address)
            if stored is not None:
                account_rows.set_visibility(connection, stored.id, account.visibility)

    # --- coming to rest ---

    def _is_working(self) -> bool:
        """Whether a job runs or could run now."""
        with self.installation.database.without_team() as connection:
            return bool(
                connection.execute(
                    sa.text(
                        """
                        SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE status = 'doing'
                          OR (status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now())))
                        """
                    )
                ).scalar()
            )

    def _fast_forward(self) -> bool:
        """Move the clock to the next job that waits, and start it; False when none waits."""
        with self.installation.database.without_team() as connection:
            wait_s = connection.execute(
                sa.text(
                    """
                    SELECT extract(epoch FROM min(scheduled_at) - now())::float FROM procrastinate_jobs
                    WHERE status = 'todo' AND scheduled_at <= now() + make_interval(secs => :longest)
                    """
                ),
                {"longest": LONGEST_WAIT.total_seconds()},
            ).scalar()
            if wait_s is None:
                return False
            self.clock.advance(self.clock.now() + timedelta(seconds=max(wait_s, 0) + 1))
            connection.execute(
                sa.text(
                    """
                    UPDATE procrastinate_jobs SET scheduled_at = now()
                    WHERE status = 'todo' AND scheduled_at <= now() + make_interval(secs => :wait)
                    """
                ),
                {"wait": max(wait_s, 0) + 1},
            )
        return True

    def _poll_for_lost(self) -> bool:
        """Let the poll period pass when a mailbox holds a message that no push told us of; False when none does."""
        with self.team() as connection:
            known = set(
                connection.execute(
                    sa.text(
                        """
                        SELECT a.address, d.provider_id FROM discovered_message d
                        JOIN account a ON a.team_id = d.team_id AND a.id = d.account_id
                        """
                    )
                )
            )
        lost = frozenset(self.delivered) - known
        if not lost or lost == self._polled_for:
            return False
        self._polled_for = lost
        self.clock.advance(self.clock.now() + timedelta(seconds=self.installation.settings.poll_quiet_s + 1))
        jobs.poll_quiet(self.installation)
        return True

    def _note_first_link(self) -> None:
        if self._first_link_s is not None:
            return
        with self.team() as connection:
            if connection.execute(sa.text("SELECT EXISTS (SELECT FROM link WHERE is_primary)")).scalar():
                self._first_link_s = round(time.monotonic() - self._started, 1)


def _settings(data_dir: Path, url: str, environ: Mapping[str, str]) -> Settings:
    """Return the settings of a demo: nothing of the machine's own installation is read."""
    of_vendors = {name: environ[name] for name in environ if name.startswith(("SIGN_IN_", "THREADLINK_PANE_"))}
    return load_settings(
        **of_vendors,
        database_url="",
        data_dir=data_dir,
        encryption_keys=(),
        public_base_url=url,
        listen=urlsplit(url).netloc,
        mail_domain=MAIL_DOMAIN,
        mirror_max_age_s=0,
        note_interval_s=0,
    )
