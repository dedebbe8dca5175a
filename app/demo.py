"""The whole product on one machine: embedded PostgreSQL, simulated providers, real HTTP pushes, web and worker.

A Stage is the World that a scenario is played in. Nothing in it takes a short cut: mailboxes are connected through the
consent flow, mail arrives as pushes over HTTP, people act through app.links with their own rights.
"""

from __future__ import annotations

import os
import shutil
import socket
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

from app import accounts, explain, jobs, links, registry
from app.bootstrap import Worker, create_app, open_installation
from app.errors import RequestRefused, ThreadlinkError, Unsupported
from app.installation import Installation
from app.model import Conversation, ItemRef, Message
from app.ports import CrmRecords, SimulatedMail
from app.scenario import model as scenes
from app.scenario.check import ActionOutcome, ConversationOutcome, Outcome, Questions, Readable
from app.scenario.run import Delivery
from app.serving import serve_locally
from app.settings import Settings, load_settings
from app.store import accounts as account_rows
from app.store import conversations, crm, decisions, embedded, lookups, queue, teams
from app.store.decisions import StoredDecision
from app.store.migrate import migrate

PORT = 8080
# What is due later than this is not waited for: a mailbox that is away for a day stays away in the demo.
LONGEST_WAIT = timedelta(hours=2)
SETTLE_TIMEOUT_S = 60.0


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
    """One scenario's world, running. Use it as a context manager: leaving it stops everything and deletes its data."""

    def __init__(self, scenario: scenes.Scenario, *, crm_name: str = "embedded", port: int | None = None) -> None:
        self.scenario = scenario
        self.clock = StageClock(scenario.now)
        self.first_link_s: float | None = None
        self._crm_name = crm_name
        self._port = port or _free_port()
        self._started = time.monotonic()
        self._exit = ExitStack()
        self._keys: dict[tuple[str, str], str] = {}  # (mailbox, provider id) -> key
        self._batches: dict[int, str] = {}  # event index -> batch of the action
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
        """How long it took from the start until all stood ready, and until the first link was stored."""
        return {"ready": round(self._ready_s, 1), "first_link": self.first_link_s}

    def describe(self) -> list[dict[str, Any]]:
        """Return every conversation in the shape of command-line.md."""
        with self._team() as connection:
            ids = connection.execute(sa.text("SELECT id FROM conversation WHERE merged_into IS NULL")).scalars().all()
            return explain.describe(connection, list(ids), self.scenario.locale)

    # --- World: what happens ---

    def advance(self, to: datetime) -> None:
        """Move the clock, and let the schedules run that the time between calls for."""
        quiet_for = to - self.clock.now()
        self.clock.advance(to)
        if quiet_for > timedelta(seconds=self.installation.settings.poll_quiet_s):
            jobs.poll_quiet(self.installation)
            jobs.renew_subscriptions(self.installation)
            self.settle()

    def deliver(self, delivery: Delivery) -> None:
        """Put a copy into its mailbox; the simulator pushes."""
        simulator = self._simulators[self.scenario.account(delivery.mailbox).provider]
        provider_id = simulator.deliver(delivery.mailbox, delivery.raw, at=delivery.at, folder=delivery.folder)
        self._keys[delivery.mailbox, provider_id] = delivery.key

    def change_crm(self, event: scenes.CrmEvent) -> None:
        """Change a record, and hint as the CRM's webhook would."""
        operation, records = event.operation, self._records
        if isinstance(operation, scenes.CreateRecord):
            self._put(operation.record)
        elif isinstance(operation, scenes.ChangeRecord):
            records.change(operation.kind, operation.id, operation.changes)
        elif isinstance(operation, scenes.DeleteRecord):
            records.delete(operation.kind, operation.id)
        elif isinstance(operation, scenes.RestoreRecord):
            records.restore(operation.kind, operation.id)
        elif isinstance(operation, scenes.ConvertLead):
            records.convert_lead(operation.lead, operation.deal)
        else:
            records.merge_persons(operation.gone, operation.into)
        with self._team() as connection:
            queue.defer(connection, "refresh_mirror", [({"team_id": self._team_id}, f"mirror:{self._team_id}")])

    def act(self, event: scenes.ActionEvent) -> ActionOutcome:
        """Let a member act through app.links, with that member's rights."""
        try:
            with self._team() as connection:
                acting = links.Acting(self._team_id, self._members[event.member], self.clock.now())
                self._batches[event.index] = acting.batch_id
                return self._act(connection, acting, event.action)
        except RequestRefused as refusal:
            return ActionOutcome(refused=refusal.reason)

    def fault(self, event: scenes.FaultEvent) -> None:
        """Arm a fault of a simulated provider."""
        simulator = self._simulators.get(event.provider)
        if simulator is None or event.kind not in simulator.fault_kinds:
            known = ", ".join(sorted(simulator.fault_kinds)) if simulator else ", ".join(self._simulators)
            raise Unsupported(f"event {event.index}: {event.provider} has no fault {event.kind!r}; known: {known}")
        simulator.fault(event.kind, **dict(event.params))

    def settle(self) -> None:
        """Wait until pushes are answered, jobs done, and every message the mailboxes hold was discovered."""
        deadline = time.monotonic() + SETTLE_TIMEOUT_S
        while time.monotonic() < deadline:
            for simulator in self._simulators.values():
                simulator.settle()
            if self._is_working():
                time.sleep(0.01)
            elif not (self._fast_forward() or self._poll_for_lost()):
                self._note_first_link()
                return
        raise ThreadlinkError("The demo did not come to rest within a minute; its jobs keep starting again.")

    def snapshot(self, asked: Questions) -> Outcome:
        """Say what there is now, in the names of the scenario."""
        with self._team() as connection:
            addresses = {account.id: account.address for account in account_rows.accounts(connection)}
            ids = connection.execute(sa.text("SELECT id FROM conversation WHERE merged_into IS NULL")).scalars().all()
            found = conversations.load(connection, ids)
            decided = decisions.current(connection, ids)
            claims = dict(
                connection.execute(
                    sa.text("SELECT conversation_id, array_agg(other_id) FROM merge_pair GROUP BY conversation_id")
                ).all()
            )
            rows = connection.execute(sa.text("SELECT account_id, provider_id, state, rule FROM discovered_message"))
            became = {(addresses[row.account_id], row.provider_id): row.rule or row.state for row in rows}
            readable = {
                (member, key): self._readable(connection, member, key, found, addresses)
                for member, key in asked.readable
            }
        return Outcome(
            conversations=tuple(
                self._conversation(conversation, decided.get(conversation.id), claims, addresses)
                for conversation in found
            ),
            notes={name: tuple(self._records.notes(*name.split("/", 1))) for name in asked.notes},
            readable=readable,
            recorded={
                (key, mailbox): became[mailbox, provider_id]
                for (mailbox, provider_id), key in self._keys.items()
                if (mailbox, provider_id) in became
            },
        )

    # --- setting up ---

    def _open(self) -> None:
        data_dir = Path(tempfile.gettempdir()) / f"threadlink-demo-{os.getpid()}"
        self._exit.callback(shutil.rmtree, data_dir, ignore_errors=True)
        server = self._exit.enter_context(embedded.start(data_dir))
        migrate(server.url)
        settings = _settings(data_dir, self.url)
        self._simulators = self._start_simulators()
        self._installation = open_installation(
            settings, server.url, clock=self.clock, environ=self._environ, pool_size=settings.worker_concurrency + 8
        )
        self._exit.callback(self.installation.database.close)
        self._exit.enter_context(serve_locally(create_app(self.installation), self._port))
        self._make_team()
        self._fill_crm()
        worker = Worker(self.installation, server.url)
        worker.start()
        self._exit.callback(worker.stop)
        for account in self.scenario.accounts:
            self._connect(account)
        self.settle()
        self._ready_s = time.monotonic() - self._started

    @property
    def installation(self) -> Installation:
        """The installation that the web process and the worker share."""
        return self._installation

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

    def _make_team(self) -> None:
        scene = self.scenario
        with self.installation.database.without_team() as connection:
            self._team_id = lookups.add_team(connection, "Demo")
        policy = asdict(scene.team.policy)
        with self._team() as connection:
            teams.configure(
                connection,
                domains=scene.team.domains,
                plan=scene.team.plan,
                locale=scene.locale,
                policy={**policy, "blocklist": sorted(policy["blocklist"])},
            )
            for member in scene.members:
                teams.add_member(connection, self._team_id, member.name, member.email, member.role)
            self._members = {member.email: member for member in teams.members(connection)}
            crm.add_connection(connection, self._team_id, self._crm_name, company="demo")

    def _fill_crm(self) -> None:
        connection = self.installation.crm_connections(self._team_id)[0]
        self._crm_id = connection.id
        self._records = cast("CrmRecords", self.installation.open_crm(connection))
        for record in (*self.scenario.organizations, *self.scenario.persons, *self.scenario.items):
            self._put(record)

    def _put(self, record: scenes.CrmRecord) -> None:
        if isinstance(record, scenes.CrmOrganizationRecord):
            self._records.put_organization(record.id, record.name)
        elif isinstance(record, scenes.CrmPersonRecord):
            self._records.put_person(record.id, record.name, record.emails, record.organization)
        else:
            self._records.put_item(
                cast("Any", record.kind),
                record.id,
                record.title,
                state=record.status,
                created_at=record.created_at,
                person=record.person,
                participants=record.participants,
                organization=record.organization,
            )

    def _connect(self, account: scenes.ScenarioAccount) -> None:
        """Connect a mailbox as its owner would: one-time link, consent at the provider, confirmation."""
        simulator = self._simulators[account.provider]
        simulator.add_mailbox(account.address, account.aliases)
        owner = self._members[account.owner] if account.owner else next(iter(self._members.values()))
        invitation = accounts.invite(
            self.installation,
            self._team_id,
            owner,
            account.provider,
            kind=account.kind,
            address=account.address,
            collaborators=[self._members[email].id for email in account.collaborators],
        )
        browser, token = "demo", invitation.url.rpartition("/")[2]
        consent = accounts.start_consent(self.installation, token, browser, auto_link=account.auto_link)
        back = dict(parse_qsl(urlsplit(simulator.consent(consent, account.address)).query))
        finished = accounts.finish_consent(self.installation, account.provider, back, browser)
        if isinstance(finished, accounts.Unconfirmed):
            accounts.confirm(self.installation, account.provider, finished.state, browser, meant=True)
        with self._team() as connection:
            stored = account_rows.account_by_address(connection, account.address)
            if stored is not None:
                account_rows.set_visibility(connection, stored.id, account.visibility)

    # --- acting ---

    def _act(self, connection: sa.Connection, acting: links.Acting, action: scenes.Action) -> ActionOutcome:
        if isinstance(action, scenes.BulkLinkAction):
            return self._bulk_link(connection, acting, action)
        if isinstance(action, scenes.UndoAction):
            links.undo(connection, acting, self._batches[action.event])
        elif isinstance(action, scenes.SetAccountAction):
            accounts.set_auto_link(connection, acting.member, action.address, action.auto_link, acting.now)
        else:
            self._act_on_one(connection, acting, action)
        return ActionOutcome()

    def _act_on_one(
        self,
        connection: sa.Connection,
        acting: links.Acting,
        action: scenes.LinkAction
        | scenes.UnlinkAction
        | scenes.DismissAction
        | scenes.AcceptAction
        | scenes.SetVisibilityAction,
    ) -> None:
        conversation_id = self._conversation_ids(connection, [action.conversation])[action.conversation]
        if isinstance(action, scenes.LinkAction):
            links.link(connection, acting, conversation_id, self._ref(action.item), move=True)
        elif isinstance(action, scenes.UnlinkAction):
            links.unlink(connection, acting, conversation_id)
        elif isinstance(action, scenes.DismissAction):
            links.dismiss(connection, acting, conversation_id)
        elif isinstance(action, scenes.SetVisibilityAction):
            links.set_visibility(connection, acting, conversation_id, action.level)
        else:
            links.accept(connection, acting, conversation_id)

    def _bulk_link(
        self, connection: sa.Connection, acting: links.Acting, action: scenes.BulkLinkAction
    ) -> ActionOutcome:
        ids = self._conversation_ids(connection, action.conversations)
        result = links.bulk_link(
            connection, acting, list(ids.values()), self._ref(action.item), elsewhere=action.elsewhere
        )
        return ActionOutcome(
            linked=frozenset(key for key, i in ids.items() if i in result.linked),
            not_linked={key: result.not_linked[i] for key, i in ids.items() if i in result.not_linked},
        )

    def _ref(self, name: str) -> ItemRef:
        kind, _, external_id = name.partition("/")
        return ItemRef(cast("Any", kind), external_id, self._crm_id)

    def _conversation_ids(self, connection: sa.Connection, keys: Sequence[str]) -> dict[str, int]:
        """Return the conversation of each message key; 0, which nobody may see, for one that is not stored."""
        rows = connection.execute(
            sa.text(
                """
                SELECT a.address, c.provider_id, m.conversation_id FROM message_copy c
                JOIN account a ON a.team_id = c.team_id AND a.id = c.account_id
                JOIN message m ON m.team_id = c.team_id AND m.id = c.message_id
                """
            )
        )
        stored = {self._keys.get((row.address, row.provider_id)): row.conversation_id for row in rows}
        return {key: stored.get(key, 0) for key in keys}

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
        with self._team() as connection:
            known = set(
                connection.execute(
                    sa.text(
                        """
                        SELECT a.address, d.provider_id FROM discovered_message d
                        JOIN account a ON a.team_id = d.team_id AND a.id = d.account_id
                        """
                    )
                ).tuples()
            )
        lost = frozenset(self._keys) - known
        if not lost or lost == self._polled_for:
            return False
        self._polled_for = lost
        self.clock.advance(self.clock.now() + timedelta(seconds=self.installation.settings.poll_quiet_s + 1))
        jobs.poll_quiet(self.installation)
        return True

    def _note_first_link(self) -> None:
        if self.first_link_s is not None:
            return
        with self._team() as connection:
            if connection.execute(sa.text("SELECT EXISTS (SELECT FROM link WHERE is_primary)")).scalar():
                self.first_link_s = round(time.monotonic() - self._started, 1)

    # --- looking ---

    def _readable(
        self,
        connection: sa.Connection,
        member: str,
        key: str,
        found: Sequence[Conversation],
        addresses: Mapping[int, str],
    ) -> Readable:
        for conversation in found:
            for message in conversation.messages:
                if key in self._keys_of(message, addresses):
                    seen = links.see(connection, self._members[member], [conversation.id]).get(conversation.id)
                    level = seen.level_of(message) if seen else "private"
                    return Readable(subject=level in ("subject", "full"), text=level == "full")
        return Readable(subject=False, text=False)

    def _conversation(
        self,
        conversation: Conversation,
        decided: StoredDecision | None,
        claims: Mapping[int, Sequence[int]],
        addresses: Mapping[int, str],
    ) -> ConversationOutcome:
        primary = conversation.primary_link
        decision = decided.decision if decided else None
        return ConversationOutcome(
            id=str(conversation.id),
            messages=tuple(self._keys_of(message, addresses) for message in conversation.messages),
            link=str(primary.ref) if primary else None,
            origin=primary.origin if primary else None,
            outcome=decision.outcome if decision else None,
            reason=decision.reason if decision else None,
            candidates=frozenset(str(c.ref) for c in decision.candidates if c.ruled_out is None)
            if decision
            else frozenset(),
            persons=frozenset(link.ref.external_id for link in conversation.links if link.ref.kind == "person"),
            organizations=frozenset(
                link.ref.external_id for link in conversation.links if link.ref.kind == "organization"
            ),
            claims=frozenset(str(other) for other in claims.get(conversation.id, ())),
        )

    def _keys_of(self, message: Message, addresses: Mapping[int, str]) -> frozenset[str]:
        names = {(addresses[copy.account_id], copy.provider_id) for copy in message.copies}
        return frozenset(self._keys[name] for name in names if name in self._keys)

    def _team(self) -> AbstractContextManager[sa.Connection]:
        return self.installation.database.for_team(self._team_id)


def _settings(data_dir: Path, url: str) -> Settings:
    """Return the settings of a demo: nothing of the machine's own installation is read."""
    return load_settings(
        database_url="",
        data_dir=data_dir,
        encryption_keys=(),
        public_base_url=url,
        listen=urlsplit(url).netloc,
        mirror_max_age_s=0,
        note_interval_s=0,
    )


def _free_port() -> int:
    """Return the usual port when it is free, else any other."""
    for port in (PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ThreadlinkError("No local port is free.")
