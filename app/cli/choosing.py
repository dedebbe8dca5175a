"""Which team, member, account or conversation a command means."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
import sqlalchemy as sa

from app.acting import NOBODYS
from app.cli.frame import opened
from app.errors import NotFound
from app.installation import Installation
from app.linking.addresses import normalize, parse_list
from app.links import Acting
from app.model import Account, Member
from app.store import accounts, conversations, lookups, teams


def team_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give the command --team."""
    return click.option("--team", metavar="TEAM", help="Name or id; needed when there are several teams.")(command)


def as_member(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give the command --as."""
    return click.option(
        "--as", "member", metavar="ADDRESS", help="Who acts, with that member's rights; needed when there are several."
    )(command)


def team_of(installation: Installation, wanted: str | None) -> int:
    """Return the team that --team names, or the only one."""
    with installation.database.without_team() as connection:
        known = lookups.all_teams(connection)
    found = [team for team in known if wanted is None or wanted in (team.name, team.public_id)]
    if len(found) == 1:
        return found[0].id
    if not known:
        raise click.UsageError("There is no team yet: add one with `threadlink teams add`.")
    names = ", ".join(f"{team.name} ({team.public_id})" for team in found or known)
    raise click.UsageError(f"Say which team with --team: {names}.")


def member_of(connection: sa.Connection, wanted: str | None) -> Member:
    """Return the member with this address, or the only one."""
    known = teams.members(connection)
    found = [member for member in known if wanted is None or member.email == normalize(wanted)]
    if len(found) == 1:
        return found[0]
    raise click.UsageError(f"Say which member: {', '.join(member.email for member in known)}.")


def account_of(installation: Installation, team_id: int, address: str) -> Account:
    """Return the team's account with this address. Raises NotFound."""
    with installation.database.for_team(team_id) as connection:
        found = accounts.account_by_address(connection, normalize(address) or "")
    if found is None:
        raise NotFound
    return found


def conversation_of(connection: sa.Connection, wanted: str) -> int:
    """Return the conversation with this id, or that holds this Message-ID.

    NOBODYS for an unknown one: it is looked at like another member's, so the two answers cannot be told apart.
    """
    try:
        found = conversations.id_of(connection, str(uuid.UUID(wanted)))
    except ValueError:
        message_id = wanted if wanted.startswith("<") else f"<{wanted}>"
        found = conversations.by_internet_id(connection, [message_id]).get(message_id)
    return NOBODYS if found is None else found


def person(text: str) -> tuple[str, str]:
    """Read `Name <address>` or an address alone."""
    found = parse_list(text)
    if len(found) != 1:
        raise click.BadParameter(f"{text!r} is no 'Name <address>'.")
    name, address = found[0]
    return name or address.partition("@")[0], address


@contextmanager
def acting_as(member: str | None, team: str | None) -> Iterator[tuple[sa.Connection, Acting]]:
    """Open a transaction in which a member acts."""
    with opened() as installation:
        team_id = team_of(installation, team)
        with installation.database.for_team(team_id) as connection:
            yield connection, Acting(team_id, member_of(connection, member), installation.clock.now())
