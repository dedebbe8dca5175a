"""migrate, rotate-keys, web, worker, smtp, serve: an installation and its processes.

What only one of them needs is imported there: every other command would wait for it.
"""

from __future__ import annotations

import sys

import click

from app.cli.frame import Answer, Command, configured, opened
from app.errors import SettingsError
from app.installation import Installation
from app.settings import Settings
from app.store import embedded

_SMTP_POOL_SIZE = 8


@click.command(cls=Command)
def migrate() -> Answer:
    """Create or bring up to date the roles, tables and functions of the database."""
    from app.store.migrate import migrate as migrate_database

    settings = configured()
    if settings.is_embedded:
        with embedded.start(settings.data_dir) as server:
            migrate_database(server.url)
    else:
        migrate_database(settings.database_url)
    return Answer({"migrated": True}, ["The database is up to date."])


@click.command(cls=Command, name="rotate-keys")
def rotate_keys() -> Answer:
    """Encrypt every stored secret again with the first key of THREADLINK_ENCRYPTION_KEYS.

    Give every process the new key first, before the old one; when this has run the old one may go. Running again, or
    beside running processes, is harmless.
    """
    from app.store import secrets

    with opened() as installation:
        count = secrets.rotate(installation.database, installation.secrets)
    return Answer({"rotated": count}, [f"{count} secrets are sealed with the first key; the others may be removed."])


@click.command(cls=Command)
@click.option("--only", type=click.Choice(["webhooks", "pages"]), help="Serve this part alone (the rest elsewhere).")
def web(only: str | None) -> None:
    """Serve webhooks and pages until stopped."""
    from app import bootstrap, serving

    settings = configured("INFO")
    _check(settings)
    parts = (only,) if only else ("webhooks", "pages")

    def make_app() -> object:
        return bootstrap.create_app(_open(settings, settings.web_threads), parts)

    serving.serve_web(make_app, settings.listen, threads=settings.web_threads)  # type: ignore[arg-type]  # a Flask application


@click.command(cls=Command)
def worker() -> None:
    """Read mailboxes, decide, and write to the CRM until stopped."""
    from app import bootstrap

    settings = configured("INFO")
    _check(settings)
    installation = _open(settings, settings.worker_concurrency + 2)
    try:
        bootstrap.Worker(installation, bootstrap.database_url(settings)).run()
    finally:
        installation.database.close()


@click.command(cls=Command)
def smtp() -> None:
    """Take mail for the Smart BCC addresses of THREADLINK_MAIL_DOMAIN until stopped."""
    from app import bootstrap

    settings = configured("INFO")
    _check(settings)
    installation = _open(settings, _SMTP_POOL_SIZE)
    try:
        bootstrap.create_mail_server(installation).run()
    finally:
        installation.database.close()


@click.command(cls=Command)
def serve() -> None:
    """Run everything on this machine: the embedded database when DATABASE_URL is empty, web, worker and smtp."""
    from app.serving import run_together
    from app.store.migrate import migrate as migrate_database

    settings = configured("INFO")
    commands = [[sys.executable, "-m", "app.cli", name] for name in _processes(settings)]
    if not settings.is_embedded:
        _exit_with(run_together(commands))
        return
    with embedded.start(settings.data_dir) as server:
        migrate_database(server.url)
        click.echo(f"threadlink answers at {settings.public_base_url}; its data is in {settings.data_dir}.", err=True)
        _exit_with(run_together(commands))


def _processes(settings: Settings) -> tuple[str, ...]:
    return ("web", "worker", "smtp") if settings.mail_domain else ("web", "worker")


def _exit_with(status: int) -> None:
    if status:
        raise click.exceptions.Exit(status)


def _check(settings: Settings) -> None:
    """Fail here, with one line, instead of in a process of the web server."""
    from app.store import revision

    installation = _open(settings, 1)
    try:
        with installation.database.without_team() as connection:
            if not revision.is_current(connection):
                raise SettingsError("The database is older than this release. Run `threadlink migrate`.")
    finally:
        installation.database.close()


def _open(settings: Settings, pool_size: int) -> Installation:
    from app import bootstrap

    return bootstrap.open_installation(settings, bootstrap.database_url(settings), pool_size=pool_size)
