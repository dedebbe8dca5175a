"""sign-in: a one-time link that signs a member in."""

from __future__ import annotations

import click

from app import signing_in
from app.cli.choosing import as_member, member_of, team_of, team_option
from app.cli.frame import Answer, Command, opened


@click.command("sign-in", cls=Command)
@as_member
@team_option
def sign_in(member: str | None, team: str | None) -> Answer:
    """Print a link that signs a member in: good once, and for ten minutes."""
    with opened() as installation:
        team_id = team_of(installation, team)
        with installation.database.for_team(team_id) as connection:
            found = member_of(connection, member)
        link = signing_in.invite(installation, team_id, found)
    document = {"url": link.url, "expires_at": link.expires_at.isoformat(), "member": found.email}
    return Answer(document, [f"Sign in as {found.name}, once, within ten minutes: {link.url}"])
