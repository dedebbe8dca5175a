"""What may be asked across teams, through the owner's functions: ids alone, which are read again as their team.

Every function works in any transaction; the schedulers use Database.without_team().
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa


@dataclass(frozen=True, slots=True)
class TeamName:
    id: int
    public_id: str
    name: str


# --- teams ---


def add_team(connection: sa.Connection, name: str) -> int:
    """Add a team and return its id; Database.for_team opens it once this is committed."""
    return int(_value(connection, "threadlink_add_team(:name)", name=name))


def all_teams(connection: sa.Connection) -> list[TeamName]:
    """Return every team, oldest first."""
    rows = connection.execute(sa.text("SELECT id, public_id, name FROM threadlink_teams()"))
    return [TeamName(row.id, str(row.public_id), row.name) for row in rows]


def teams_of(connection: sa.Connection, ids: Sequence[int]) -> list[TeamName]:
    """Return the teams with these ids, oldest first."""
    rows = connection.execute(
        sa.text("SELECT id, public_id, name FROM threadlink_teams() WHERE id = ANY(:ids)"), {"ids": list(ids)}
    )
    return [TeamName(row.id, str(row.public_id), row.name) for row in rows]


def team_of_public_id(connection: sa.Connection, public_id: str) -> int | None:
    """Return the team with this public id, a uuid."""
    return _id(_value(connection, "threadlink_team_of_public_id(CAST(:public_id AS uuid))", public_id=public_id))


def team_of_account(connection: sa.Connection, account_id: int) -> int | None:
    """Return the team that an account belongs to."""
    return _id(_value(connection, "threadlink_team_of_account(:account_id)", account_id=account_id))


def team_of_connect_request(
    connection: sa.Connection, *, token_hash: bytes | None = None, state_hash: bytes | None = None
) -> int | None:
    """Return the team whose unused connect link has this token, or whose consent carries this state."""
    function = "threadlink_team_of_connect_request(CAST(:token_hash AS bytea), CAST(:state_hash AS bytea))"
    return _id(_value(connection, function, token_hash=token_hash, state_hash=state_hash))


def team_of_api_key(connection: sa.Connection, key_hash: bytes) -> int | None:
    """Return the team whose API key has this hash and was not revoked."""
    return _id(_value(connection, "threadlink_team_of_api_key(CAST(:key_hash AS bytea))", key_hash=key_hash))


def team_of_sign_in_link(connection: sa.Connection, token_hash: bytes) -> int | None:
    """Return the team of the unused sign-in link with this hash."""
    return _id(_value(connection, "threadlink_team_of_sign_in_link(CAST(:token_hash AS bytea))", token_hash=token_hash))


def team_of_session(connection: sa.Connection, token_hash: bytes) -> int | None:
    """Return the team of the session with this hash."""
    return _id(_value(connection, "threadlink_team_of_session(CAST(:token_hash AS bytea))", token_hash=token_hash))


def team_of_invitation(connection: sa.Connection, token_hash: bytes) -> int | None:
    """Return the team that the invitation with this hash is to."""
    return _id(_value(connection, "threadlink_team_of_invitation(CAST(:token_hash AS bytea))", token_hash=token_hash))


def members_of_identity(connection: sa.Connection, issuer: str, subject: str) -> list[tuple[int, int]]:
    """Return (team, member) of everybody who signs in with this identity, without those who were removed."""
    return _pairs(connection, "threadlink_members_of_identity(:issuer, :subject)", issuer=issuer, subject=subject)


def teams_joined_by(connection: sa.Connection, issuer: str, organization: str) -> list[int]:
    """Return the teams that let this organization's people join."""
    rows = connection.execute(
        sa.text("SELECT team_id FROM threadlink_teams_joined_by(:issuer, :organization)"),
        {"issuer": issuer, "organization": organization},
    )
    return list(rows.scalars())


@dataclass(frozen=True, slots=True)
class AddonUser:
    """Which member a person at a provider is; `made_at` is None where it follows from a personal account."""

    team_id: int
    member_id: int
    made_at: datetime | None


def addon_users(connection: sa.Connection, provider: str, provider_user_id: str) -> list[AddonUser]:
    """Return who somebody at a provider is, in whatever team: what members said first, the newest word first."""
    rows = connection.execute(
        sa.text("SELECT * FROM threadlink_addon_users(:provider, :user)"),
        {"provider": provider, "user": provider_user_id},
    )
    return [AddonUser(row.team_id, row.member_id, row.made_at) for row in rows]


def crm_connection(connection: sa.Connection, public_id: str) -> tuple[int, int] | None:
    """Return (team, connection) of the CRM connection with this public id, a uuid."""
    pairs = _pairs(connection, "threadlink_crm_connection(CAST(:public_id AS uuid))", public_id=public_id)
    return pairs[0] if pairs else None


def crm_connections_of(connection: sa.Connection, adapter: str, company: str) -> list[tuple[int, int]]:
    """Return (team, connection) of every connection to this company's CRM, of whatever team."""
    return _pairs(connection, "threadlink_crm_connections_of(:adapter, :company)", adapter=adapter, company=company)


def accounts_of_mailbox(connection: sa.Connection, provider: str, mailbox: str) -> list[tuple[int, int]]:
    """Return (team, account) of every account that reads this mailbox, of whatever team."""
    function = "threadlink_accounts_of_mailbox(:provider, :mailbox)"
    return _pairs(connection, function, provider=provider, mailbox=mailbox)


# --- what is due, the most urgent first ---


def due_subscriptions(connection: sa.Connection, provider: str, before: datetime, limit: int) -> list[tuple[int, int]]:
    """Return (team, account) of a provider whose registration for pushes ends before then; at the end those without."""
    function = "threadlink_due_subscriptions(:provider, :before, :limit)"
    return _pairs(connection, function, provider=provider, before=before, limit=limit)


def quiet_accounts(connection: sa.Connection, before: datetime, limit: int) -> list[tuple[int, int]]:
    """Return (team, account) that had neither push nor read since then, and for which no job waits."""
    return _pairs(connection, "threadlink_quiet_accounts(:before, :limit)", before=before, limit=limit)


def due_audits(connection: sa.Connection, before: datetime, limit: int) -> list[tuple[int, int]]:
    """Return (team, account) whose last audit was before then, or never."""
    return _pairs(connection, "threadlink_due_audits(:before, :limit)", before=before, limit=limit)


def due_crm_writes(connection: sa.Connection, now: datetime, limit: int) -> list[tuple[int, int]]:
    """Return (team, crm_write) of notes that are owed by now and that no job with lock `crm_write:<id>` looks after."""
    return _pairs(connection, "threadlink_due_crm_writes(:now, :limit)", now=now, limit=limit)


def due_webhooks(connection: sa.Connection, now: datetime, limit: int) -> list[tuple[int, int]]:
    """Return (team, webhook) of live ones with something to tell now, at rest no more, that no job looks after."""
    return _pairs(connection, "threadlink_due_webhooks(:now, :limit)", now=now, limit=limit)


def due_work(connection: sa.Connection, limit: int) -> list[tuple[int, int]]:
    """Return (team, work) of long work that is not at its end and that no job with lock `work:<id>` looks after."""
    return _pairs(connection, "threadlink_due_work(:limit)", limit=limit)


def due_mirrors(connection: sa.Connection, before: datetime, now: datetime, limit: int) -> list[tuple[int, int]]:
    """Return (team, connection) whose mirror was not refreshed since then, that may be asked now, and no job serves."""
    return _pairs(connection, "threadlink_due_mirrors(:before, :now, :limit)", before=before, now=now, limit=limit)


def due_crm_subscriptions(connection: sa.Connection, before: datetime, limit: int) -> list[tuple[int, int]]:
    """Return (team, connection) whose webhooks were not looked after since then, or never."""
    return _pairs(connection, "threadlink_due_crm_subscriptions(:before, :limit)", before=before, limit=limit)


@dataclass(frozen=True, slots=True)
class DigestReader:
    """A member who wants a digest; `last` is the day of the last one, "" for none."""

    team_id: int
    member_id: int
    time_zone: str
    last: str


def teams_to_examine(connection: sa.Connection, now: datetime, poll_s: int, limit: int) -> list[int]:
    """Return the teams with an account that may be in trouble, or that is noted as such."""
    late = now - timedelta(seconds=poll_s)
    rows = connection.execute(
        sa.text("SELECT team_id FROM threadlink_teams_to_examine(:now, :late, :limit)"),
        {"now": now, "late": late, "limit": limit},
    )
    return [int(team_id) for team_id in rows.scalars()]


def due_letters(connection: sa.Connection, now: datetime, limit: int) -> list[tuple[int, int]]:
    """Return (team, letter) of letters that are owed by now and that no job with lock `letter:<id>` looks after."""
    return _pairs(connection, "threadlink_due_letters(:now, :limit)", now=now, limit=limit)


def digest_readers(connection: sa.Connection) -> list[DigestReader]:
    """Return every member who wants a digest."""
    return [DigestReader(*row) for row in connection.execute(sa.text("SELECT * FROM threadlink_digest_readers()"))]


def held_to_tell(connection: sa.Connection, since: datetime, limit: int) -> list[tuple[int, int]]:
    """Return (team, member) with mail held back since the last letter that said so, none of those being since then."""
    rows = connection.execute(
        sa.text("SELECT team_id, member_id FROM threadlink_held_to_tell(:since, :limit)"),
        {"since": since, "limit": limit},
    )
    return [(row.team_id, row.member_id) for row in rows]


def purge_bodies(connection: sa.Connection, now: datetime, limit: int) -> int:
    """Erase at most `limit` message texts whose retention is over; return how many it were."""
    return int(_value(connection, "threadlink_purge_bodies(:now, :limit)", now=now, limit=limit))


def _value(connection: sa.Connection, function: str, **parameters: object) -> Any:
    return connection.execute(sa.text(f"SELECT {function}"), parameters).scalar()


def _id(value: Any) -> int | None:
    return None if value is None else int(value)


def _pairs(connection: sa.Connection, function: str, **parameters: object) -> list[tuple[int, int]]:
    rows = connection.execute(sa.text(f"SELECT * FROM {function}"), parameters)
    return [(row[0], row[1]) for row in rows]
