"""demo and threads: the two commands that need no installation."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app import log, registry
from app.cli.frame import ANSWER_IS_NO, DONE, Answer, Command
from app.cli.linking import explained
from app.scenario.read import built_in, load
from app.scenario.run import Report, run
from app.threads_command import conversations_of

if TYPE_CHECKING:
    from app.demo.stage import Stage


@click.command(cls=Command)
@click.option("--once", is_flag=True, help="End after the scenario instead of staying up.")
@click.option("--scenario", "file", type=click.Path(dir_okay=False, path_type=Path), help="Play this file.")
@click.option(
    "--crm", "crm_name", type=click.Choice(registry.names(registry.CRM)), default="embedded", show_default=True
)
@click.option("--shuffle", "seed", type=int, metavar="SEED", help="Deliver what is due at one time in another order.")
def demo(once: bool, file: Path | None, crm_name: str, seed: int | None) -> Answer:
    """Play a morning of mail on the whole product, with simulated providers and a database of its own.

    Exits with 1 when an expectation of the scenario is not met.
    """
    from app.demo.stage import Stage
    from app.demo.world import DemoWorld

    log.configure("WARNING")
    scenario = load(file) if file else built_in()
    click.echo("Starting PostgreSQL, the simulated providers, web and worker …", err=True)
    with _ended_by_sigterm(), Stage(scenario, crm_name=crm_name) as stage:
        report = run(scenario, DemoWorld(stage), seed)
        conversations = stage.describe()
        document = {
            "conversations": conversations,
            "crm": {"name": crm_name, **stage.crm_shows(conversations)},
            "expectations": report.as_json(),
            "seconds": stage.seconds,
        }
        if not once:
            _stay(document, report, stage)
    return Answer(document, list(_told(document, report)), DONE if report.ok else ANSWER_IS_NO)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the demo as Ctrl-C does: what it started ends with it, and its data is deleted."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stay(document: dict[str, Any], report: Report, stage: Stage) -> None:
    for line in _told(document, report):
        click.echo(line, err=True)
    click.echo(f"Open the inbox, once and within ten minutes: {stage.sign_in_link()}", err=True)
    if page := stage.addon_page():
        click.echo(f"See the Gmail add-on beside a message: {page}", err=True)
    if page := stage.pane_page():
        click.echo(f"See the Outlook pane beside a message: {page}", err=True)
    click.echo(
        f"Smart BCC: mail from {next(iter(stage.members))} to {stage.smart_bcc_address()}, "
        f"by SMTP on 127.0.0.1 port {stage.mail_port}, appears there as well.",
        err=True,
    )
    try:
        click.echo(f"threadlink answers at {stage.url} ({stage.url}/metrics). Stop it with Ctrl-C.", err=True)
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        click.echo("", err=True)


def _told(document: dict[str, Any], report: Report) -> Iterator[str]:
    for conversation in document["conversations"]:
        yield from explained(conversation)
    yield from _in_the_crm(document["crm"])
    seconds = document["seconds"]
    yield f"ready after {seconds['ready']} s, first link after {seconds['first_link']} s"
    for failure in report.failures:
        yield f"FAILED {failure.conversation}: expected {failure.expected}, got {failure.got}"
    yield f"{report.checked - len(report.failures)} of {report.checked} expectations met"


def _in_the_crm(crm: dict[str, Any]) -> Iterator[str]:
    """Say what stands on the items of a CRM that people look at, and what it cost to write it there."""
    if crm["name"] == "embedded":  # nobody looks at it but threadlink
        return
    for note in crm["notes"]:
        yield f"note on {note['kind']} {note['id']} ({note['title']})"
        yield from (f"  | {line}" for line in note["text"].splitlines() if line.strip())
    usage = crm["usage"]
    if "tokens" in usage:
        told = f"{usage['tokens']:,} tokens for {usage['requests']:,} requests"
        yield f"{crm['name']} spent {told}: {usage['reads']:,} reads, {usage['writes']:,} writes"


@click.command(cls=Command)
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--ours", multiple=True, metavar="ADDRESS|DOMAIN", help="Whose mailbox it is; repeat for more.")
def threads(path: Path, ours: tuple[str, ...]) -> Answer:
    """Group the mails below PATH (.eml files, maildir, mbox) into conversations."""
    log.configure("WARNING")
    found = conversations_of(path, ours)
    lines = []
    for number, conversation in enumerate(found["conversations"], start=1):
        lines += [f"conversation {number}", *(f"  {message}" for message in conversation["messages"])]
    lines += [f"unreadable: {unreadable['file']}: {unreadable['why']}" for unreadable in found["unreadable"]]
    return Answer(found, lines)
