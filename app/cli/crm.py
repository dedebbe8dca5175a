"""crm: a team's CRM, and the package of an adapter for another one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast

import click

from app import connecting_crm, crm_seed, registry
from app import crm_new as packages
from app.cli.choosing import as_member, member_of, team_of, team_option
from app.cli.frame import Answer, Group, opened, table
from app.installation import Installation
from app.ports import CrmRecords
from app.store import crm as crm_rows
from app.store import mirror as mirror_rows
from app.store import queue


@click.group(cls=Group)
def crm() -> None:
    """The CRM of a team."""


@crm.command("connect")
@click.argument("adapter", type=click.Choice(registry.names(registry.CRM)))
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="What the CRM wants to know besides.")
@click.option("--token-stdin", is_flag=True, help="Read the token from standard input instead of asking for it.")
@click.option("--browser", is_flag=True, help="Make a link with which an administrator connects it in the browser.")
@as_member
@team_option
def connect_crm(
    adapter: str, options: tuple[str, ...], token_stdin: bool, browser: bool, member: str | None, team: str | None
) -> Answer:
    """Give a team its CRM; `embedded` is a small one in threadlink's own database, every other asks for a token.

    The token is tried at once and stored encrypted. With --browser, `--as` an administrator, it prints a one-time link.
    """
    given = dict(_name_and_value(option) for option in options)
    if browser and (given or token_stdin):
        raise click.UsageError("With --browser the CRM asks in the browser: leave --option and --token-stdin away.")
    with opened() as installation:
        team_id = team_of(installation, team)
        if browser:
            return _invited(installation, team_id, adapter, member)
        if adapter == connecting_crm.EMBEDDED:
            if given or token_stdin:
                raise click.UsageError(f"The CRM {adapter} takes neither a token nor options.")
            connecting_crm.connect_embedded(installation, team_id)
            return Answer({"connected": adapter}, [f"Connected the CRM {adapter}."])
        token = sys.stdin.readline() if token_stdin else click.prompt("Token", hide_input=True, err=True)
        company = connecting_crm.connect_with_token(installation, team_id, adapter, token.strip(), given)
    line = f"Connected the CRM {adapter} of {company}; its people and items are being read."
    return Answer({"connected": adapter, "company": company}, [line])


def _invited(installation: Installation, team_id: int, adapter: str, member: str | None) -> Answer:
    with installation.database.for_team(team_id) as connection:
        administrator = member_of(connection, member)
    invitation = connecting_crm.invite(installation, team_id, administrator, adapter)
    document = {"url": invitation.url, "expires_at": invitation.expires_at.isoformat()}
    return Answer(document, [f"Open this once, within an hour: {invitation.url}"])


@crm.command("status")
@team_option
def crm_status(team: str | None) -> Answer:
    """Say how a team's CRM is doing, how much of it was read, and how fresh that is."""
    with opened() as installation, installation.database.for_team(team_of(installation, team)) as connection:
        found = [(row, mirror_rows.age(connection, row.id)) for row in crm_rows.connections(connection)]
    document = [
        {
            "id": str(row.public_id),
            "adapter": row.adapter,
            "company": row.company,
            "state": row.state,
            "reason": row.state_reason,
            "refreshed_at": age.refreshed_at.isoformat() if age.refreshed_at else None,
            "records_loaded": None if age.refreshed_at else age.records,
        }
        for row, age in found
    ]
    lines = table(
        [("CRM", "COMPANY", "STATE", "DATA FROM")]
        + [(row.adapter, row.company, row.state, _data_from(age)) for row, age in found]
    )
    return Answer({"crm": document}, lines)


@crm.command("disconnect")
@team_option
def disconnect_crm(team: str | None) -> Answer:
    """End a team's CRM connection: links stay, nothing is written any more, the access is given back."""
    with opened() as installation:
        adapter = connecting_crm.disconnect(installation, team_of(installation, team))
    return Answer({"disconnected": adapter}, [f"The CRM {adapter} is disconnected."])


def _name_and_value(option: str) -> tuple[str, str]:
    name, sign, value = option.partition("=")
    if not name or not sign:
        raise click.BadParameter(f"{option!r} is not NAME=VALUE.", param_hint="--option")
    return name, value


@crm.command("seed")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@team_option
def seed_crm(files: tuple[Path, ...], team: str | None) -> Answer:
    """Fill the embedded CRM from CSV files that belong together."""
    rows = crm_seed.parse(files)
    with opened() as installation:
        connections = installation.crm_connections(team_of(installation, team))
        adapters = [installation.open_crm(connection) for connection in connections]
        records = next((adapter for adapter in adapters if adapter.capabilities.records), None)
        if records is None:
            raise click.UsageError("The team has no CRM that keeps its records here: threadlink crm connect embedded.")
        seeded = crm_seed.seed(cast("CrmRecords", records), rows)
        for connection in connections:
            with installation.database.for_team(connection.team_id) as transaction:
                queue.defer(
                    transaction, "refresh_mirror", [({"team_id": connection.team_id}, f"mirror:{connection.team_id}")]
                )
    return Answer({"written": dict(seeded)}, [f"{kind}: {count}" for kind, count in seeded.items()])


@crm.command("new")
@click.argument("name")
@click.option(
    "--into",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    show_default="this folder",
    help="Where the package is written.",
)
def new_crm(name: str, into: Path) -> Answer:
    """Write the package of an adapter for the CRM NAME, with a conformance test that fails until it is done."""
    target = packages.write(name, into)
    test = f"uv run pytest -x --rootdir {target} {target}"
    lines = [f"Wrote {target}. Install it with `uv pip install -e {target}`, then work down `{test}`."]
    return Answer({"package": str(target)}, lines)


def _data_from(age: mirror_rows.Age) -> str:
    if age.refreshed_at is not None:
        return f"{age.refreshed_at:%Y-%m-%d %H:%M}"
    return f"loading: {age.records:,} records" if age.started_at else "-"
