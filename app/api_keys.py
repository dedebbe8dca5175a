"""Making, using and ending a member's API keys. A key acts with the rights its member has at that moment."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from app.accounts import audit
from app.acting import Acting
from app.errors import InvalidRequest, NotFound
from app.installation import Installation
from app.model import Member
from app.store import api_keys as rows
from app.store import lookups, teams
from app.store.api_keys import ApiKey

PREFIX = "tl_"  # lets secret scanners and people recognise one
LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls the API: a member, by one of that member's keys."""

    team_id: int
    member: Member
    key: ApiKey


def make(connection: sa.Connection, acting: Acting, name: str, *, may_write: bool) -> tuple[ApiKey, str]:
    """Make a key for who acts; its text is returned this once and stored nowhere. Raises InvalidRequest (no name)."""
    if not name:
        raise InvalidRequest([{"field": "name", "message": "must say what the key is for"}])
    text = PREFIX + secrets.token_urlsafe(32)
    key = rows.add(
        connection,
        acting.team_id,
        acting.member.id,
        name=name[:LONGEST_NAME],
        key_hash=_hash(text),
        may_write=may_write,
        now=acting.now,
    )
    _audit(connection, acting, "make_api_key", key.public_id)
    return key, text


def revoke(connection: sa.Connection, acting: Acting, public_id: str) -> None:
    """End a key of who acts, from the next request on. Raises NotFound."""
    if not rows.revoke(connection, acting.member.id, public_id, acting.now):
        raise NotFound
    _audit(connection, acting, "revoke_api_key", public_id)


def caller_of(installation: Installation, text: str, now: datetime) -> Caller | None:
    """Return who calls with this key; None when it is no key, was revoked, or its member was removed."""
    if not text.startswith(PREFIX) or len(text) > 100:
        return None
    key_hash = _hash(text)
    with installation.database.without_team() as connection:
        team_id = lookups.team_of_api_key(connection, key_hash)
    if team_id is None:
        return None
    with installation.database.for_team(team_id) as connection:
        key = rows.use(connection, key_hash, now)
        member = teams.member_by_id(connection, key.member_id) if key else None
    return Caller(team_id, member, key) if key and member else None


def _hash(text: str) -> bytes:
    """Return what is stored of a key: it has 256 random bits, so a plain hash cannot be reversed."""
    return hashlib.sha256(text.encode()).digest()


def _audit(connection: sa.Connection, acting: Acting, action: str, public_id: str) -> None:
    audit(connection, acting.team_id, acting.member.id, action, {"key": public_id}, acting.now)
