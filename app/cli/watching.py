"""doctor: what is not healthy, why, and what to do."""

from __future__ import annotations

from typing import Any

import click

from app import doctor as examination
from app.cli.choosing import as_member, member_of, team_of, team_option
from app.cli.frame import ANSWER_IS_NO, DONE, Answer, Command, opened
from app.cli.linking import explained
from app.store import teams


@click.command(cls=Command)
@click.argument("query", required=False)
@as_member
@team_option
def doctor(query: str | None, member: str | None, team: str | None) -> Answer:
    """Say what is not healthy, or with QUERY what became of a mail.

    QUERY is a Message-ID, a sender's address or words of the subject; the mailboxes of the member are searched. Each
    mail is told step by step; where there is none, what rules left out in 30 days. Exits with 1 when something was
    found to be wrong, or no mail was found.
    """
    with opened() as installation:
        team_id = team_of(installation, team)
        if query is None:
            healths, findings = examination.examine(installation, team_id)
            lines = [f"{finding.about}: {finding.text}" for finding in findings]
            document = {
                "accounts": len(healths),
                "findings": [{"about": f.about, "code": f.code, "text": f.text} for f in findings],
            }
            if any(finding.is_trouble for finding in findings):
                return Answer(document, lines, ANSWER_IS_NO)
            return Answer(document, [f"All is well: {len(healths)} accounts.", *lines], DONE)
        with installation.database.for_team(team_id) as connection:
            found = teams.team(connection)
            acting = member_of(connection, member)
            locale, now = found.locale if found else "en", installation.clock.now()
            traced = examination.trace(connection, acting, query, locale, now)
    if not traced["mails"]:
        lines = ["No such mail in the mailboxes of this member.", *map(_step, traced["not_stored"])]
        lines += [
            f"  {left['account']}: {left['state']} {left['rule']}: {left['count']}, the last {left['last_at']}"
            for left in traced["left_out"]
        ]
        return Answer(traced, lines, ANSWER_IS_NO)
    lines = [line for told in traced["conversations"] for line in explained(told)]
    for mail in traced["mails"]:
        lines += [mail["internet_id"], *map(_step, mail["steps"])]
    return Answer(traced, lines)


def _step(step: dict[str, Any]) -> str:
    """Say in a line what happened to a mail."""
    told = [step["at"] or "-", step["step"], step["account"], step["reason"]]
    return "  " + " ".join(part for part in told if part)
