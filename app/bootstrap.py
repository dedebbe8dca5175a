"""The one place that chooses implementations: settings in, a working installation, web application or worker out."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import procrastinate
import psycopg
from flask import Flask

from app import jobs, pulling, registry
from app.crash_points import crash_point
from app.installation import Installation, SystemClock
from app.intake import Intake
from app.oidc import Issuer, OpenIdClient
from app.ports import Clock, CrmAdapter, CrmConnection, MailConnector, Services
from app.reception import MailServer, Serving
from app.settings import Settings
from app.smart_bcc import PROVIDER
from app.store import embedded
from app.store.database import Database
from app.store.roles import APP
from app.store.secrets import installation_secret, open_box
from app.store.slots import SharedSlots
from app.web.application import PARTS, application

# A batch of mail is many small objects that live until it is stored: to look through them less often leaves a worker
# more of its time.
GARBAGE_THRESHOLDS = (10_000, 20, 50)
# Jobs at hand before a thread is free, so that none waits while the next one is asked for.
TAKEN_AHEAD = 2
# A worker that was told to stop finishes what it does; a page or a note takes seconds.
DRAIN_S = 30.0
# Of a job that waited for its time, or for another of the same mailbox, nobody tells the worker.
POLL_S = 0.25


def database_url(settings: Settings) -> str:
    """Return where the database is: DATABASE_URL, else the embedded server that runs. Raises DatabaseUnreachable."""
    return settings.database_url or embedded.attach(settings.data_dir)


def open_installation(
    settings: Settings,
    url: str,
    *,
    clock: Clock | None = None,
    environ: Mapping[str, str] | None = None,
    pool_size: int = 10,
) -> Installation:
    """Connect to a migrated database and build every installed connector.

    Raises SettingsError when the database role is not the application's, when the encryption key is not the one the
    database was filled with, or when a vendor's settings are wrong.
    """
    database = Database(url, pool_size=pool_size)
    try:
        return _installation(settings, database, clock or SystemClock(), os.environ if environ is None else environ)
    except BaseException:
        database.close()
        raise


def _installation(settings: Settings, database: Database, clock: Clock, environ: Mapping[str, str]) -> Installation:
    database.check_role()
    box = open_box(settings, database)
    secret = installation_secret(database, box)
    services = Services(
        clock=clock,
        public_base_url=settings.public_base_url,
        environ=environ,
        database=database,
        slots=SharedSlots(database),
        mail_domain=settings.mail_domain,
        secret=secret,
    )
    mail: dict[str, MailConnector] = {
        provider: registry.mail_connector(provider, services) for provider in registry.names(registry.MAIL)
    }

    def open_crm(connection: CrmConnection) -> CrmAdapter:
        return registry.crm_adapter(services, connection)

    found = {adapter: registry.crm_consent(adapter, services) for adapter in registry.names(registry.CRM)}
    consents = {adapter: consent for adapter, consent in found.items() if consent is not None}
    issuers = sign_in_issuers(settings, clock)
    webhooks = registry.webhook_sender(services, settings.webhook_allowed_urls)
    panels = {adapter: registry.crm_panel(adapter, services) for adapter in registry.names(registry.CRM_PANEL)}
    return Installation(
        settings, database, box, services.clock, mail, open_crm, consents, issuers, webhooks, secret, panels
    )


def sign_in_issuers(settings: Settings, clock: Clock) -> dict[str, OpenIdClient]:
    """Return those with which people may sign in, by name, and by which claims a person is known there.

    developers.google.com/identity/openid-connect/openid-connect,
    learn.microsoft.com/entra/identity-platform/id-token-claims-reference
    """
    known = (
        Issuer(
            "google",
            settings.google_metadata_url,
            settings.google_client_id,
            settings.google_client_secret.get_secret_value(),
            subject=("sub",),
            organization="hd",
        ),
        Issuer(
            "microsoft",
            settings.microsoft_metadata_url,
            settings.microsoft_client_id,
            settings.microsoft_client_secret.get_secret_value(),
            subject=("tid", "oid"),
            organization="tid",
            unmanaged="9188040d-6c67-4c5b-b112-36a304b66dad",  # the tenant that all personal accounts are in
        ),
    )
    return {issuer.name: OpenIdClient(issuer, clock) for issuer in known if issuer.client_id}


def create_mail_server(installation: Installation, environ: Mapping[str, str] | None = None) -> MailServer:
    """Build the server that takes mail for the Smart BCC addresses. Raises SettingsError when it is set up wrong."""
    serving = Serving(
        reception=Intake(installation),
        environ=os.environ if environ is None else environ,
        domain=installation.settings.mail_domain,
        now=installation.clock.now,
        spool=str(installation.settings.data_dir.expanduser() / "spool"),
        step=crash_point,
    )
    return registry.mail_server(PROVIDER, serving)


def create_app(installation: Installation, parts: Collection[str] = PARTS) -> Flask:
    """Build the web application, or the part of it that this process serves (`webhooks`, `pages`)."""
    return application(installation, parts)


class Worker:
    """Runs jobs, and pulls notifications where a provider cannot push, until it is stopped.

    In the foreground, or on a thread of its own (demo, tests). Raises SettingsError when a source is set up wrong.
    """

    def __init__(self, installation: Installation, url: str, *, concurrency: int | None = None) -> None:
        self._concurrency = concurrency or installation.settings.worker_concurrency
        # Jobs hold a connection each; without as many as run at once they would wait for one another.
        self._installation = installation
        self._sources = pulling.sources(installation)
        self._app = procrastinate.App(connector=_connector(url))
        jobs.add_tasks(self._app, installation)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: asyncio.Task[None] | None = None

    def run(self) -> None:
        """Run until SIGTERM or SIGINT; the jobs at hand get 30 seconds to end."""
        asyncio.run(self._run(until_told=True))

    def start(self) -> None:
        """Run on a thread of its own until stop()."""
        ready = threading.Event()

        def main() -> None:
            asyncio.run(self._run(until_told=False, ready=ready))

        self._thread = threading.Thread(target=main, name="worker", daemon=True)
        self._thread.start()
        ready.wait()

    def stop(self) -> None:
        """Stop the thread that start() began, after the jobs at hand. Calling it again is harmless."""
        if self._thread is None or self._loop is None or self._running is None:
            return
        self._loop.call_soon_threadsafe(self._running.cancel)
        self._thread.join(DRAIN_S + 5)
        self._thread = None

    async def _run(self, *, until_told: bool, ready: threading.Event | None = None) -> None:
        gc.set_threshold(*GARBAGE_THRESHOLDS)
        loop = asyncio.get_running_loop()
        if until_told:  # before anything runs: pulling began already when Procrastinate would listen for signals
            _cancel_when_told(loop, asyncio.current_task(loop))
        with (
            suppress(asyncio.CancelledError),
            pulling.pulling(self._installation, self._sources),
            ThreadPoolExecutor(self._concurrency, thread_name_prefix="job") as executor,
        ):
            loop.set_default_executor(executor)
            async with self._app.open_async():
                self._loop = loop
                self._running = asyncio.ensure_future(
                    self._app.run_worker_async(
                        concurrency=self._concurrency + TAKEN_AHEAD,
                        fetch_job_polling_interval=POLL_S,
                        shutdown_graceful_timeout=DRAIN_S,
                        update_heartbeat_interval=jobs.HEARTBEAT_S,
                        stalled_worker_timeout=jobs.STALLED_AFTER_S,
                        delete_jobs="successful",
                        install_signal_handlers=False,
                    )
                )
                if ready is not None:
                    ready.set()
                await self._running


def _cancel_when_told(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None] | None) -> None:
    """Cancel the task at the first SIGTERM or SIGINT; a second one ends the process at once."""

    def told() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        if task is not None:
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told)


def _connector(url: str) -> procrastinate.PsycopgConnector:
    """Return the queue's own connections, as the application's role."""

    async def become_app(connection: psycopg.AsyncConnection[Any]) -> None:
        await connection.set_autocommit(True)
        await connection.execute(f"SET ROLE {APP}")

    return procrastinate.PsycopgConnector(conninfo=url, configure=become_app)
