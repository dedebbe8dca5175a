"""How every command answers: lines for people or one JSON document, and an exit status that scripts rely on.

0 done; 1 the answer is no; 2 wrong use; 3 a vendor or the database could not be reached; 4 not allowed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click
from dotenv import load_dotenv

from app import log
from app.errors import (
    ApplicationMisconfigured,
    DatabaseUnreachable,
    InvalidRequest,
    NotAllowed,
    RequestRefused,
    ScenarioError,
    SeedError,
    SettingsError,
    ThreadlinkError,
    TransientError,
)
from app.installation import Installation
from app.linking.reasons import REASONS, sentence
from app.settings import Settings, load_settings

DONE, ANSWER_IS_NO, WRONG_USE, UNREACHABLE, NOT_ALLOWED = range(5)

# The exit status of an error; the first class that fits counts, any other ThreadlinkError is a no.
STATUSES: tuple[tuple[type[ThreadlinkError], int], ...] = (
    (NotAllowed, NOT_ALLOWED),
    (SettingsError, WRONG_USE),
    (ScenarioError, WRONG_USE),
    (SeedError, WRONG_USE),
    (InvalidRequest, WRONG_USE),
    (DatabaseUnreachable, UNREACHABLE),
    (TransientError, UNREACHABLE),
    (ApplicationMisconfigured, UNREACHABLE),
)
_POOL_SIZE = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command found: a document for programs, lines for people, and the exit status."""

    document: Any
    lines: Sequence[str]
    status: int = DONE


class Command(click.Command):
    """A command that returns an Answer, or nothing when it has run until it was stopped."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(["--json", "as_json"], is_flag=True, expose_value=False, callback=_note_json, help=_JSON_HELP)
        )

    def invoke(self, ctx: click.Context) -> int:
        """Run the command, print its answer and return the exit status."""
        answer = super().invoke(ctx)
        if answer is None:
            return DONE
        if _wants_json(ctx):
            click.echo(json.dumps(answer.document, ensure_ascii=False, indent=2))
        else:
            for line in answer.lines:
                click.echo(line)
        return int(answer.status)


class Group(click.Group):
    """A group of commands that take --json."""

    command_class = Command
    group_class = type


_JSON_HELP = "Print one JSON document on standard output, and nothing else there."


def run(group: click.Group, arguments: Sequence[str] | None = None) -> int:
    """Run the command line; print an error as one line, or as a document with --json, and return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    wants_json = "--json" in words
    try:
        status = group.main(words, prog_name="threadlink", standalone_mode=False)
    except click.exceptions.Abort:
        return _fail("stopped", "Stopped.", ANSWER_IS_NO, wants_json=wants_json)
    except click.ClickException as error:
        if not wants_json:
            error.show()
            return WRONG_USE
        return _fail("wrong_use", error.format_message(), WRONG_USE, wants_json=True)
    except ThreadlinkError as error:
        status_of = next((status for kind, status in STATUSES if isinstance(error, kind)), ANSWER_IS_NO)
        reason = error.reason if isinstance(error, RequestRefused) else type(error).__name__
        return _fail(reason, _message(error), status_of, wants_json=wants_json)
    return int(status or DONE)


@contextmanager
def opened(pool_size: int = _POOL_SIZE) -> Iterator[Installation]:
    """Open the installation that the settings name, for one command."""
    from app import bootstrap  # web server, queue and connectors: a second of imports

    settings = configured()
    installation = bootstrap.open_installation(settings, bootstrap.database_url(settings), pool_size=pool_size)
    try:
        yield installation
    finally:
        installation.database.close()


def configured(level: str = "WARNING") -> Settings:
    """Read the settings, a vendor's among them, and send the log to standard error."""
    load_dotenv(".env")  # into the environment: a vendor's settings are read there
    settings = load_settings()
    log.configure(settings.log_level if level == "INFO" else level)
    return settings


def table(rows: Iterable[Sequence[object]]) -> list[str]:
    """Lay rows out in columns."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in texts]


def _message(error: ThreadlinkError) -> str:
    if isinstance(error, InvalidRequest):
        return "; ".join(f"{each['field']}: {each['message']}" for each in error.fields)
    if isinstance(error, RequestRefused):
        return sentence(error.reason, error.params) if error.reason in REASONS else str(error)
    return str(error) or (type(error).__doc__ or "").splitlines()[0]


def _fail(reason: str, message: str, status: int, *, wants_json: bool) -> int:
    if wants_json:
        click.echo(json.dumps({"error": {"reason": reason, "message": message}}, ensure_ascii=False, indent=2))
    else:
        click.echo(f"threadlink: {message}", err=True)
    return status


def _note_json(ctx: click.Context, _option: click.Parameter, value: bool) -> None:
    ctx.meta["json"] = value


def _wants_json(ctx: click.Context) -> bool:
    return bool(ctx.meta.get("json"))
