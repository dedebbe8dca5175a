"""Signing a member in with a one-time link that the command line prints, and knowing the browser again.

A link is good once and for ten minutes; opening it shows a button, for link scanners open links too (threats.md W10). A
session is asked about with each request, so it ends with its member, and rights are those of that moment (T13).
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from app.accounts import audit, current_team
from app.errors import NotFound
from app.installation import Installation
from app.model import Member
from app.store import lookups, sessions, teams
from app.store.teams import Team

LINK_LIFETIME = timedelta(minutes=10)
SESSION_LIFETIME = timedelta(days=14)
LONGEST_TOKEN = 100


@dataclass(frozen=True, slots=True)
class SignInLink:
    """A one-time link that signs a member in."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who is at the browser."""

    team: Team
    member: Member

    @property
    def locale(self) -> str:
        """The language the member reads."""
        return self.member.preferences.locale or self.team.locale

    @property
    def zone(self) -> ZoneInfo:
        """The time zone the member reads times in."""
        return ZoneInfo(self.member.preferences.time_zone or "UTC")


def invite(installation: Installation, team_id: int, member: Member) -> SignInLink:
    """Make a link that signs this member in, once and within ten minutes."""
    token, now = secrets.token_urlsafe(32), installation.clock.now()
    with installation.database.for_team(team_id) as connection:
        sessions.add_link(connection, team_id, member.id, _hash(token), now + LINK_LIFETIME, now)
    return SignInLink(f"{installation.settings.public_base_url}/sign-in/{token}", now + LINK_LIFETIME)


def open_link(installation: Installation, token: str) -> SignedIn:
    """Return whom a link would sign in, without using it up. Raises NotFound."""
    team_id = _team(installation, token)
    with installation.database.for_team(team_id) as connection:
        member_id = sessions.member_of_link(connection, _hash(token), installation.clock.now())
        member = teams.member_by_id(connection, member_id) if member_id is not None else None
        if member is None:
            raise NotFound("link_not_valid")
        return SignedIn(current_team(connection), member)


def sign_in(installation: Installation, token: str) -> str:
    """Use a link up and begin a session; return what the browser's cookie holds. Raises NotFound."""
    team_id, now, cookie = _team(installation, token), installation.clock.now(), secrets.token_urlsafe(32)
    with installation.database.for_team(team_id) as connection:
        member_id = sessions.use_link(connection, _hash(token), now)
        member = teams.member_by_id(connection, member_id) if member_id is not None else None
        if member is None:
            raise NotFound("link_not_valid")
        sessions.begin(connection, team_id, member.id, _hash(cookie), now + SESSION_LIFETIME, now)
        audit(connection, team_id, member.id, "sign_in", {}, now)
    return cookie


def signed_in(installation: Installation, cookie: str) -> SignedIn | None:
    """Return who is at a browser; None when the session ended or its member was removed."""
    if not cookie or len(cookie) > LONGEST_TOKEN:
        return None
    with installation.database.without_team() as connection:
        team_id = lookups.team_of_session(connection, _hash(cookie))
    if team_id is None:
        return None
    with installation.database.for_team(team_id) as connection:
        member_id = sessions.member_of(connection, _hash(cookie), installation.clock.now())
        member = teams.member_by_id(connection, member_id) if member_id is not None else None
        return SignedIn(current_team(connection), member) if member else None


def sign_out(installation: Installation, cookie: str) -> None:
    """End the session of a browser; one that has ended is no error."""
    with installation.database.without_team() as connection:
        team_id = lookups.team_of_session(connection, _hash(cookie))
    if team_id is not None:
        with installation.database.for_team(team_id) as connection:
            sessions.end(connection, _hash(cookie))


def _team(installation: Installation, token: str) -> int:
    if len(token) > LONGEST_TOKEN:
        raise NotFound("link_not_valid")
    with installation.database.without_team() as connection:
        team_id = lookups.team_of_sign_in_link(connection, _hash(token))
    if team_id is None:
        raise NotFound("link_not_valid")
    return team_id


def _hash(value: str) -> bytes:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest()
