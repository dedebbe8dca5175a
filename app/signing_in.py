"""Signing a member in with a one-time link that the command line prints, and knowing the browser again.

A link is good once and for ten minutes; opening it shows a button, for link scanners open links too (threats.md W10). A
session is asked about with each request, so it ends with its member, and rights are those of that moment (T13).
Signing in with Google or Microsoft: openid_sign_in.py.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from app.accounts import audit, current_team
from app.acting import Acting
from app.errors import NotFound
from app.installation import Installation
from app.model import Member
from app.store import last_actions, lookups, sessions, teams
from app.store.last_actions import LastAction
from app.store.sessions import hashed
from app.store.teams import Team

LINK_LIFETIME = timedelta(minutes=10)
SESSION_LIFETIME = timedelta(days=14)
LONGEST_TOKEN = 100
LONGEST_BROWSER = 300  # characters of what a browser calls itself


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
    last: LastAction | None = None  # what the member did last and may still take back

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
        sessions.add_link(connection, team_id, member.id, hashed(token), now + LINK_LIFETIME, now)
        audit(connection, team_id, None, "make_sign_in_link", {"member": member.id}, now)
    return SignInLink(f"{installation.settings.public_base_url}/sign-in/{token}", now + LINK_LIFETIME)


def open_link(installation: Installation, token: str) -> SignedIn:
    """Return whom a link would sign in, without using it up. Raises NotFound."""
    team_id = _team(installation, token)
    with installation.database.for_team(team_id) as connection:
        member_id = sessions.member_of_link(connection, hashed(token), installation.clock.now())
        member = teams.member_by_id(connection, member_id) if member_id is not None else None
        if member is None:
            raise NotFound("link_not_valid")
        return SignedIn(current_team(connection), member)


def sign_in(installation: Installation, token: str, browser: str = "", cookie: str = "") -> str:
    """Use a link up and begin a session; return what the browser's cookie holds. Raises NotFound.

    `browser` is what it calls itself; `cookie` is what it held before, whose session ends once another has begun.
    """
    team_id = _team(installation, token)
    with installation.database.for_team(team_id) as connection:
        member_id = sessions.use_link(connection, hashed(token), installation.clock.now())
        member = teams.member_by_id(connection, member_id) if member_id is not None else None
        if member is None:
            raise NotFound("link_not_valid")
        begun = begin_session(installation, connection, team_id, member, browser, "link")
    sign_out(installation, cookie)
    return begun


def begin_session(
    installation: Installation, connection: sa.Connection, team_id: int, member: Member, browser: str, by: str
) -> str:
    """Begin a session with an id that nobody had before; return what the browser's cookie holds."""
    now, cookie = installation.clock.now(), secrets.token_urlsafe(32)
    called = browser.replace("\x00", "")[:LONGEST_BROWSER]
    sessions.begin(connection, team_id, member.id, hashed(cookie), called, now + SESSION_LIFETIME, now)
    audit(connection, team_id, member.id, "sign_in", {"by": by}, now)
    return cookie


def signed_in(installation: Installation, cookie: str) -> SignedIn | None:
    """Return who is at a browser; None when the session ended or its member was removed."""
    team_id = _team_of_session(installation, cookie)
    if team_id is None:
        return None
    with installation.database.for_team(team_id) as connection:
        member_id = sessions.member_of(connection, hashed(cookie), installation.clock.now())
        member = teams.member_by_id(connection, member_id) if member_id is not None else None
        return (
            SignedIn(current_team(connection), member, last_actions.last_of(connection, member.id)) if member else None
        )


def sign_out(installation: Installation, cookie: str) -> None:
    """End the session of a browser; one that has ended is no error."""
    team_id = _team_of_session(installation, cookie)
    if team_id is None:
        return
    with installation.database.for_team(team_id) as connection:
        member_id = sessions.end(connection, hashed(cookie))
        if member_id is not None and teams.member_by_id(connection, member_id) is not None:
            audit(connection, team_id, member_id, "sign_out", {}, installation.clock.now())


def end_session(connection: sa.Connection, acting: Acting, public_id: str) -> None:
    """Sign one of a member's browsers out. Raises NotFound."""
    if not sessions.end_of_member(connection, acting.member.id, public_id):
        raise NotFound
    audit(connection, acting.team_id, acting.member.id, "end_session", {"n": 1}, acting.now)


def end_other_sessions(connection: sa.Connection, acting: Acting, cookie: str) -> int:
    """Sign every browser of a member out but the one with this cookie; return how many it were."""
    ended = sessions.end_all(connection, acting.member.id, but=hashed(cookie))
    if ended:
        audit(connection, acting.team_id, acting.member.id, "end_session", {"n": ended}, acting.now)
    return ended


def _team_of_session(installation: Installation, cookie: str) -> int | None:
    if not cookie or len(cookie) > LONGEST_TOKEN:
        return None
    with installation.database.without_team() as connection:
        return lookups.team_of_session(connection, hashed(cookie))


def _team(installation: Installation, token: str) -> int:
    if len(token) > LONGEST_TOKEN:
        raise NotFound("link_not_valid")
    with installation.database.without_team() as connection:
        team_id = lookups.team_of_sign_in_link(connection, hashed(token))
    if team_id is None:
        raise NotFound("link_not_valid")
    return team_id
