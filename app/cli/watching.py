"""doctor: what is not healthy, why, and what to do."""

from __future__ import annotations

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

    QUERY is a Message-ID, a sender's address or words of the subject; the mailboxes of the member are searched. Exits
    with 1 when something was found to be wrong, or no mail was found.
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
            traced = examination.trace(connection, acting, query, found.locale if found else "en")
    if not traced:
        return Answer({"conversations": []}, ["No such mail in the mailboxes of this member."], ANSWER_IS_NO)
    return Answer({"conversations": traced}, [line for told in traced for line in explained(told)])
