"""teams, accounts: who uses threadlink, and with which mailboxes. Their people: members.py."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import click

from app import accounts as account_rules
from app import connecting, registry, team_settings
from app.cli.choosing import account_of, as_member, member_of, person, team_of, team_option
from app.cli.frame import Answer, Group, opened, table
from app.linking.reasons import sentence
from app.model import AccountKind
from app.store import accounts as account_rows
from app.store import lookups
from app.store import teams as team_rows
from app.store.account_health import AccountHealth, health_of_accounts
from app.web.wording import provider_name


@click.group(cls=Group)
def teams() -> None:
    """Customer organisations; each sees its own data alone."""


@teams.command("add")
@click.argument("name")
@click.option("--domain", "domains", multiple=True, help="A mail domain of the team; repeat for more.")
@click.option("--admin", required=True, metavar="'NAME <ADDRESS>'", help="The first member, an administrator.")
@click.option(
    "--plan", type=click.Choice(["unrestricted", "growth", "lite"]), default="unrestricted", show_default=True
)
@click.option("--locale", type=click.Choice(["en", "tr"]), default="en", show_default=True)
def add_team(name: str, domains: tuple[str, ...], admin: str, plan: str, locale: str) -> Answer:
    """Add a team with its first administrator."""
    administrator = person(admin)
    with opened() as installation:
        team = team_settings.add(installation, name, administrator, domains=domains, plan=plan, locale=locale)
    return Answer({"team": {"id": team.public_id, "name": name}}, [f"Added the team {name} with {administrator[1]}."])


@teams.command("list")
def list_teams() -> Answer:
    """List every team."""
    with opened() as installation:
        with installation.database.without_team() as connection:
            names = lookups.all_teams(connection)
        found = []
        for name in names:
            with installation.database.for_team(name.id) as connection:
                team = team_rows.team(connection)
                counted = len(team_rows.members(connection)), len(account_rows.accounts(connection))
            if team is not None:
                found.append((team, *counted))
    document = [
        {
            "id": team.public_id,
            "name": team.name,
            "plan": team.plan,
            "locale": team.locale,
            "domains": list(team.domains),
            "members": members_count,
            "accounts": accounts_count,
        }
        for team, members_count, accounts_count in found
    ]
    lines = table(
        [("TEAM", "PLAN", "DOMAINS", "MEMBERS", "ACCOUNTS")]
        + [(team.name, team.plan, ", ".join(team.domains) or "-", people, boxes) for team, people, boxes in found]
    )
    return Answer({"teams": document}, lines)


@click.group(cls=Group)
def accounts() -> None:
    """Connected mailboxes."""


# Those whose mailboxes somebody connects; the others' mail is sent to us.
_CONNECTED = tuple(n for n in registry.names(registry.MAIL) if n not in registry.names(registry.MAIL_SERVERS))


def _provider_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give the command a flag for each installed mail provider, by its name and by what people call it: --gmail, …"""
    for provider in _CONNECTED:
        called = provider_name(provider)
        flags = dict.fromkeys([f"--{called.lower()}", f"--{provider}"])
        command = click.option(*flags, "provider", flag_value=provider, help=f"At {called}.")(command)
    return command


@accounts.command("add")
@_provider_flags
@team_option
@click.option("--member", "email", metavar="ADDRESS", help="Who connects it; needed when the team has several members.")
@click.option("--address", default="", help="The mailbox; else the one that is chosen at the provider.")
@click.option("--team-account", is_flag=True, help="A shared mailbox instead of the member's own.")
@click.option("--collaborator", "collaborators", multiple=True, metavar="ADDRESS", help="Who works in a team account.")
@click.option(
    "--history", "history_days", type=click.IntRange(0, 3650), default=0, help="Days of mail to read at first."
)
def add_account(
    provider: str | None,
    team: str | None,
    email: str | None,
    address: str,
    team_account: bool,
    collaborators: tuple[str, ...],
    history_days: int,
) -> Answer:
    """Print a one-time link with which a member connects a mailbox in the browser."""
    if provider is None:
        flags = ", ".join(f"--{provider_name(name).lower()}" for name in _CONNECTED)
        raise click.UsageError(f"Say where the mailbox is: {flags}.")
    kind: AccountKind = "team" if team_account else "personal"
    with opened() as installation:
        team_id = team_of(installation, team)
        with installation.database.for_team(team_id) as connection:
            member = member_of(connection, email)
            shared_by = [member_of(connection, collaborator).id for collaborator in collaborators]
        now = installation.clock.now()
        invitation = connecting.invite(
            installation,
            team_id,
            member,
            provider,
            kind=kind,
            address=person(address)[1] if address else "",
            collaborators=shared_by or ([member.id] if team_account else []),
            history_from=now - timedelta(days=history_days) if history_days else None,
        )
    return Answer(
        {"url": invitation.url, "expires_at": invitation.expires_at.isoformat()},
        [
            f"Open this link as {member.name}; it works once, until {invitation.expires_at:%H:%M} UTC:",
            f"  {invitation.url}",
        ],
    )


@accounts.command("list")
@team_option
def list_accounts(team: str | None) -> Answer:
    """List the mailboxes of a team and how each is doing."""
    with opened() as installation, installation.database.for_team(team_of(installation, team)) as connection:
        found = health_of_accounts(connection)
    lines = table(
        [("ACCOUNT", "KIND", "STATE", "AUTO-LINK", "LAST PUSH", "LAST SYNC", "PENDING")]
        + [
            (
                health.account.address,
                health.account.kind,
                health.account.state,
                "on" if health.account.auto_link else "off",
                _time(health.last_push_at),
                _time(health.last_sync_at),
                health.pending,
            )
            for health in found
        ]
    )
    return Answer({"accounts": [_as_json(health) for health in found]}, lines)


@accounts.command("pause")
@click.argument("address")
@team_option
def pause_account(address: str, team: str | None) -> Answer:
    """Stop reading a mailbox until it is resumed."""
    with opened() as installation:
        team_id = team_of(installation, team)
        changed = account_rules.pause(installation, team_id, account_of(installation, team_id, address).id)
    return Answer({"paused": True, "changed": changed}, [f"{address} is paused."])


@accounts.command("resume")
@click.argument("address")
@team_option
def resume_account(address: str, team: str | None) -> Answer:
    """Read a paused mailbox again, from where it was."""
    with opened() as installation:
        team_id = team_of(installation, team)
        changed = account_rules.resume(installation, team_id, account_of(installation, team_id, address).id)
    return Answer({"paused": False, "changed": changed}, [f"{address} is being read."])


@accounts.command("auto-link")
@click.argument("address")
@click.argument("switch", type=click.Choice(["on", "off"]))
@as_member
@team_option
def switch_auto_link(address: str, switch: str, member: str | None, team: str | None) -> Answer:
    """Turn automatic linking of a mailbox on or off; nothing is linked retroactively."""
    with opened() as installation:
        team_id = team_of(installation, team)
        with installation.database.for_team(team_id) as connection:
            acting = member_of(connection, member)
            account_rules.set_auto_link(connection, acting, address, switch == "on", installation.clock.now())
    return Answer({"auto_link": switch == "on"}, [f"Automatic linking is {switch} for {address}."])


@accounts.command("disconnect")
@click.argument("address")
@click.option("--erase", is_flag=True, help="Delete what it brought as well, here and in the notes of the CRM.")
@team_option
def disconnect_account(address: str, erase: bool, team: str | None) -> Answer:
    """End the access to a mailbox; what is stored stays unless it is erased."""
    with opened() as installation:
        team_id = team_of(installation, team)
        account = account_of(installation, team_id, address)
        account_rules.disconnect(installation, team_id, account.id, None, erase=erase)
    return Answer({"disconnected": True, "erased": erase}, [f"{address} is disconnected."])


def _as_json(health: AccountHealth) -> dict[str, Any]:
    account = health.account
    return {
        "id": account.public_id,
        "address": account.address,
        "provider": account.provider,
        "kind": account.kind,
        "state": account.state,
        "reason": health.state_reason,
        "sentence": sentence(health.state_reason, {"account": account.address}) if health.state_reason else "",
        "since": health.state_since.isoformat(),
        "auto_link": account.auto_link,
        "last_push_at": health.last_push_at.isoformat() if health.last_push_at else None,
        "last_sync_at": health.last_sync_at.isoformat() if health.last_sync_at else None,
        "subscription_expires_at": (
            health.subscription_expires_at.isoformat() if health.subscription_expires_at else None
        ),
        "pending": health.pending,
        "parked": health.parked,
    }


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else "-"
