"""api-keys: the keys with which a member's programs call the API."""

from __future__ import annotations

import uuid

import click

from app import api_keys as rules
from app.acting import Acting
from app.cli.choosing import as_member, member_of, team_of, team_option
from app.cli.frame import Answer, Group, opened, table
from app.store import api_keys as rows


@click.group(cls=Group, name="api-keys")
def api_keys() -> None:
    """Keys for the API; each acts with the rights of its member."""


@api_keys.command("add")
@click.argument("name")
@click.option("--write", is_flag=True, help="Let it change things as well, not only read.")
@as_member
@team_option
def add_key(name: str, write: bool, member: str | None, team: str | None) -> Answer:
    """Make a key, and print it this once."""
    with opened() as installation:
        team_id = team_of(installation, team)
        with installation.database.for_team(team_id) as connection:
            acting = Acting(team_id, member_of(connection, member), installation.clock.now())
            key, text = rules.make(connection, acting, name, may_write=write)
    return Answer({"id": key.public_id, "key": text, "may_write": write}, [text])


@api_keys.command("list")
@as_member
@team_option
def list_keys(member: str | None, team: str | None) -> Answer:
    """List a member's keys."""
    with opened() as installation, installation.database.for_team(team_of(installation, team)) as connection:
        known = rows.of_member(connection, member_of(connection, member).id)
    document = [
        {
            "id": key.public_id,
            "name": key.name,
            "may_write": key.may_write,
            "created_at": key.created_at.isoformat(),
            "last_used_at": key.last_used_at.isoformat() if key.last_used_at else None,
        }
        for key in known
    ]
    lines = [("ID", "NAME", "MAY", "LAST USED")]
    lines += [
        (
            key.public_id,
            key.name,
            "write" if key.may_write else "read",
            f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "-",
        )
        for key in known
    ]
    return Answer({"api_keys": document}, table(lines))


@api_keys.command("revoke")
@click.argument("key_id", metavar="ID", type=click.UUID)
@as_member
@team_option
def revoke_key(key_id: uuid.UUID, member: str | None, team: str | None) -> Answer:
    """End a key from the next request on."""
    with opened() as installation:
        team_id = team_of(installation, team)
        with installation.database.for_team(team_id) as connection:
            acting = Acting(team_id, member_of(connection, member), installation.clock.now())
            rules.revoke(connection, acting, str(key_id))
    return Answer({"revoked": str(key_id)}, ["The key is revoked."])
