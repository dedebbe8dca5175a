"""members: the people of a team. `add` is the operator's; what an administrator does as well asks for one with --as."""

from __future__ import annotations

from collections.abc import Mapping

import click

from app import members as rules
from app.acting import Acting
from app.cli.choosing import acting_as, as_member, member_of, person, team_of, team_option
from app.cli.frame import ANSWER_IS_NO, Answer, Group, opened, table
from app.model import MemberRole
from app.store import teams as team_rows

_MAILED: Mapping[rules.Mailed, str] = {
    "sent": "Sent to {address}",
    "not_taken": "The mail server did not take the letter. Send this to {address}",
    "sent_today": "A letter went there within the last day. Send this to {address}",
    "no_server": "Send this to {address}",
}


@click.group(cls=Group)
def members() -> None:
    """The people of a team."""


@members.command("add")
@click.argument("who", metavar="'NAME <ADDRESS>'")
@click.option("--admin", is_flag=True, help="Make an administrator.")
@team_option
def add_member(who: str, admin: bool, team: str | None) -> Answer:
    """Add a member to a team."""
    name, email = person(who)
    with opened() as installation:
        team_id = team_of(installation, team)
        with installation.database.for_team(team_id) as connection:
            added = rules.add(connection, team_id, name, email, _role(admin), installation.clock.now())
    if added is None:
        return Answer({"added": False, "email": email}, [f"{email} is a member already."], ANSWER_IS_NO)
    return Answer({"added": True, "email": email}, [f"Added {name} ({email})."])


@members.command("list")
@team_option
def list_members(team: str | None) -> Answer:
    """List the members of a team."""
    with opened() as installation, installation.database.for_team(team_of(installation, team)) as connection:
        found = team_rows.members(connection)
    return Answer(
        {"members": [{"id": m.public_id, "name": m.name, "email": m.email, "role": m.role} for m in found]},
        table([("MEMBER", "ADDRESS", "ROLE"), *((m.name, m.email, m.role) for m in found)]),
    )


@members.command("invite")
@click.argument("who", metavar="'NAME <ADDRESS>'")
@click.option("--admin", is_flag=True, help="Make an administrator of who comes.")
@as_member
@team_option
def invite(who: str, admin: bool, member: str | None, team: str | None) -> Answer:
    """Print a link with which somebody becomes a member: good once, and for a week."""
    name, email = person(who)
    with opened() as installation:
        team_id = team_of(installation, team)
        with installation.database.for_team(team_id) as connection:
            acting = Acting(team_id, member_of(connection, member), installation.clock.now())
        sent, mailed = rules.invite_by_mail(installation, acting, name, email, _role(admin))
        url = rules.link_of(installation, sent)
    document = {"url": url, "expires_at": sent.expires_at.isoformat(), "email": sent.email, "mailed": mailed}
    return Answer(
        document,
        [f"{_MAILED[mailed].format(address=sent.email)}; it works once, until {sent.expires_at:%Y-%m-%d}:", f"  {url}"],
    )


@members.command("role")
@click.argument("address")
@click.argument("role", type=click.Choice(["admin", "member"]))
@as_member
@team_option
def change_role(address: str, role: MemberRole, member: str | None, team: str | None) -> Answer:
    """Make a member an administrator, or no longer."""
    with acting_as(member, team) as (connection, acting):
        found = member_of(connection, address)
        rules.change_role(connection, acting, found.public_id, role)
    return Answer({"email": found.email, "role": role}, [f"{found.name} is {role} now."])


@members.command("remove")
@click.argument("address")
@as_member
@team_option
def remove(address: str, member: str | None, team: str | None) -> Answer:
    """Remove a member: sessions, links and keys end at once, personal mailboxes are no longer read."""
    with acting_as(member, team) as (connection, acting):
        found = member_of(connection, address)
        rules.remove(connection, acting, found.public_id)
    return Answer({"removed": found.email}, [f"{found.name} is removed."])


def _role(admin: bool) -> MemberRole:
    return "admin" if admin else "member"
