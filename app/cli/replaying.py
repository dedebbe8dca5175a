"""replay: what today's policy, or a changed one, would do with the mail of the last days."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa
import yaml

from app import policy as policies
from app import replay as reports
from app import work
from app.acting import Acting
from app.cli.choosing import as_member, member_of, team_of, team_option
from app.cli.frame import Answer, Command, opened
from app.installation import Installation
from app.linking.reasons import kind_word, sentence
from app.model import ItemRef
from app.replay import Difference, Report
from app.store import teams
from app.store.work import Work

_SPAN = re.compile(r"([1-9][0-9]{0,3})([hdw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}
_LARGEST_FILE = 1_000_000
_HEADINGS = {
    "would_link": "Would be linked",
    "would_choose": "Would need a choice",
    "would_differ": "Linked, and would be decided otherwise",
}


class Span(click.ParamType[timedelta]):
    """A length of time such as 30d, 12h or 2w."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read it, or say what it should look like."""
        found = _SPAN.fullmatch(str(value))
        if found is None:
            self.fail(f"{value!r} is no length of time: say 30d, 12h or 2w.", param, ctx)
        return timedelta(**{_UNITS[found[2]]: int(found[1])})


@click.command(cls=Command)
@click.option("--since", type=Span(), required=True, help="How far back: 30d, 12h, 2w.")
@click.option(
    "--policy",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A YAML file with the fields of the policy that are to differ.",
)
@click.option("--apply", "applied", is_flag=True, help="Do it, as one action that `threadlink undo` takes back.")
@as_member
@team_option
def replay(since: timedelta, file: Path | None, applied: bool, member: str | None, team: str | None) -> Answer:
    """Say what the policy would do with the mail of the last days; without --apply nothing is changed.

    Looks at the conversations that the member may link. Links made by hand are never touched. Only an administrator
    may apply it.
    """
    given = _fields(file) if file else None
    with opened() as installation:
        team_id = team_of(installation, team)
        if applied:
            return _applied(installation, team_id, member, since, given)
        with installation.database.for_team(team_id) as connection:
            policy = policies.read(given, policies.current(connection)) if given is not None else None
            found = teams.team(connection)
            begin = installation.clock.now() - since
            locale = found.locale if found else "en"
            report = reports.replay(connection, member_of(connection, member), begin, policy, locale)
    return Answer(_document(report), list(_lines(report, locale)))


def _applied(
    installation: Installation, team_id: int, member: str | None, since: timedelta, given: dict[str, Any] | None
) -> Answer:
    """Look back and do what was found, in this process; should it die, a worker goes on."""
    with installation.database.for_team(team_id) as connection:
        acting = Acting(team_id, member_of(connection, member), installation.clock.now())
        asked = work.look_back(connection, acting, since, given)
    work.run(installation, team_id, asked.id)
    with installation.database.for_team(team_id) as connection:
        work.begin(connection, acting, asked.public_id)
    work.run(installation, team_id, asked.id)
    with installation.database.for_team(team_id) as connection:
        found = teams.team(connection)
        return _done(connection, acting, asked, found.locale if found else "en")


def _done(connection: sa.Connection, acting: Acting, asked: Work, locale: str) -> Answer:
    """Say how many were changed, and why each of the others was not."""
    pages = [work.show(connection, acting.member, asked.public_id, locale)]
    while pages[-1].end is not None:
        pages.append(work.show(connection, acting.member, asked.public_id, locale, pages[-1].end))
    refused = [line for page in pages for line in page.lines if line.entry.state == "refused"]
    not_done = [
        {
            "id": line.seen.conversation.public_id,
            "subject": line.seen.subject,
            "reason": line.entry.reason,
            "sentence": sentence(line.entry.reason, {}, locale),
        }
        for line in refused
    ]
    counts = pages[0].counts
    lines = [
        f"{counts.get('done', 0)} conversations were changed.",
        f"To take that back: threadlink undo {asked.batch_id}",
        *(f"  {each['subject'] or '(no subject shown)'}  [{each['id']}]: {each['sentence']}" for each in not_done),
    ]
    return Answer({"action": asked.batch_id, "counts": dict(counts), "not_done": not_done}, lines)


def _fields(file: Path) -> dict[str, Any]:
    if file.stat().st_size > _LARGEST_FILE:
        raise click.BadParameter("The file is too large for a policy.", param_hint="--policy")
    try:
        given = yaml.safe_load(file.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        raise click.BadParameter(f"{file} is no YAML.", param_hint="--policy") from None
    if not isinstance(given, dict):
        raise click.BadParameter(f"{file} must hold fields such as `max_counterparts: 10`.", param_hint="--policy")
    return given


def _document(report: Report) -> dict[str, Any]:
    return {
        "since": report.since.isoformat(),
        "looked_at": report.looked_at,
        "cut": report.is_cut,
        **{kind: report.count(kind) for kind in ("would_link", "would_choose", "would_differ")},
        "conversations": [
            {
                "would": difference.kind.removeprefix("would_"),
                "id": difference.conversation,
                "subject": difference.subject,
                "at": difference.at.isoformat(),
                "link": _item(difference.linked_to, difference.linked_title),
                "item": _item(difference.item, difference.item_title),
                "reason": difference.reason,
                "sentence": difference.sentence,
            }
            for difference in report.differences
        ],
    }


def _item(ref: ItemRef | None, title: str) -> dict[str, str] | None:
    return {"kind": ref.kind, "id": ref.external_id, "title": title} if ref else None


def _lines(report: Report, locale: str) -> Iterator[str]:
    yield f"{report.looked_at} conversations since {report.since:%Y-%m-%d %H:%M} UTC; nothing was changed."
    if report.is_cut:
        yield f"There are more: these are the newest {reports.MOST:,}."
    for kind, heading in _HEADINGS.items():
        of_kind = [difference for difference in report.differences if difference.kind == kind]
        if of_kind:
            yield f"{heading}: {len(of_kind)}"
            for difference in of_kind:
                yield from _told(difference, locale)


def _named(ref: ItemRef, title: str, locale: str) -> str:
    return f"{kind_word(ref.kind, locale)} {f'“{title}”' if title else ref.external_id}"


def _told(difference: Difference, locale: str) -> Iterator[str]:
    yield f"  {difference.subject or '(no subject shown)'}  [{difference.conversation}]"
    if difference.linked_to is not None:
        yield f"    is linked to the {_named(difference.linked_to, difference.linked_title, locale)}"
    if difference.item is not None:
        yield f"    would be linked to the {_named(difference.item, difference.item_title, locale)}"
    yield f"    {difference.sentence}"
