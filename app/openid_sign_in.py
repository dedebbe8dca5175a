"""Signing in with Google or Microsoft: a browser begins it, comes back, and is somebody a team knows.

A state belongs to one browser and one issuer and is good once, for ten minutes (threats.md W6, W8). What it was begun
for is kept with it: to sign in, to accept an invitation, or to bind one more identity to who is signed in already.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from app import members
from app.accounts import current_team
from app.acting import Acting
from app.errors import NotAllowed, NotFound
from app.installation import Installation
from app.model import Member
from app.oidc import Identity, OpenIdClient
from app.signing_in import LONGEST_TOKEN, SignedIn, begin_session, sign_out
from app.store import identities, invitations, lookups, teams
from app.store.invitations import Invitation
from app.store.lookups import TeamName
from app.store.sessions import hashed
from app.store.teams import Team

ATTEMPT_LASTS = timedelta(minutes=10)
NO_TEAM = 0  # which it will be shows when the browser is back


@dataclass(frozen=True, slots=True)
class AtBrowser:
    """The browser that asks: the secret it was given when it began, what it calls itself, and its session."""

    secret: str
    name: str
    cookie: str
    signed_in: SignedIn | None


@dataclass(frozen=True, slots=True)
class Entered:
    """A session began; `cookie` is what the browser's cookie holds from now on."""

    cookie: str


@dataclass(frozen=True, slots=True)
class Bound:
    """The identity belongs to who is signed in."""


@dataclass(frozen=True, slots=True)
class SeveralTeams:
    """The person belongs to several teams and says which; `state` is what the choice comes with."""

    state: str
    teams: tuple[TeamName, ...]


@dataclass(frozen=True, slots=True)
class OpenedInvitation:
    """What the page of an invitation shows."""

    team: Team
    invitation: Invitation
    invited_by: str


# --- to the issuer ---


def begin(
    installation: Installation, issuer: str, browser: AtBrowser, *, invitation: str = "", bind: bool = False
) -> str:
    """Return the issuer's page on which the browser goes on.

    Raises NotFound for an issuer that is not set up, for an invitation that is not open, and for binding without a
    session; IssuerUnavailable.
    """
    client = _client(installation, issuer)
    kept: dict[str, Any] = {"purpose": "sign_in"}
    if invitation:
        open_invitation(installation, invitation)
        kept = {"purpose": "invitation", "invitation": invitation}
    if bind:
        if browser.signed_in is None:
            raise NotFound
        kept = {"purpose": "bind", "member": [browser.signed_in.team.id, browser.signed_in.member.id]}
    state = secrets.token_urlsafe(32)
    authorization = client.authorize(redirect_uri(installation, issuer), state)
    _keep(installation, issuer, state, browser, {**kept, "authorization": dict(authorization.kept)})
    return authorization.url


def open_invitation(installation: Installation, token: str) -> OpenedInvitation:
    """Return what an invitation is to, without using it up: mail scanners open links too. Raises NotFound."""
    team_id = _team_of_invitation(installation, token)
    with installation.database.for_team(team_id) as connection:
        found = invitations.find(connection, hashed(token), installation.clock.now())
        by = teams.member_by_id(connection, found.invited_by) if found else None
        if found is None or by is None:
            raise NotFound("link_not_valid")
        return OpenedInvitation(current_team(connection), found, by.name)


def redirect_uri(installation: Installation, issuer: str) -> str:
    """Return where the issuer sends the browser back to: one path for each issuer (W8)."""
    return f"{installation.settings.public_base_url}/sign-in/{issuer}/callback"


# --- and back ---


def finish(
    installation: Installation, issuer: str, args: Mapping[str, str], browser: AtBrowser
) -> Entered | Bound | SeveralTeams:
    """Take what the browser brought back from the issuer.

    Raises NotFound (sign_in_not_valid) for a state that is not this browser's or this issuer's or was used, NotAllowed
    (sign_in_declined, sign_in_not_proven, sign_in_unknown), Conflict (identity_in_use, member_exists), and what
    OpenIdClient.identify raises.
    """
    client = _client(installation, issuer)
    kept = _taken(installation, issuer, args.get("state", ""), browser)
    if kept["purpose"] == "choose":
        raise NotFound("sign_in_not_valid")
    identity = client.identify(redirect_uri(installation, issuer), args, kept["authorization"])
    if kept["purpose"] == "bind":
        return _bind(installation, identity, browser, kept["member"])
    if kept["purpose"] == "invitation":
        return accept(installation, kept["invitation"], identity, browser)
    return _enter(installation, identity, browser)


def choose(installation: Installation, issuer: str, state: str, team: str, browser: AtBrowser) -> Entered:
    """Sign in to the team that was chosen. Raises NotFound, NotAllowed (sign_in_unknown)."""
    kept = _taken(installation, issuer, state, browser)
    if kept["purpose"] != "choose":
        raise NotFound("sign_in_not_valid")
    return _enter_team(installation, Identity(**kept["identity"]), browser, [t for t in kept["teams"] if t[1] == team])


def accept(installation: Installation, token: str, identity: Identity | None, browser: AtBrowser) -> Entered:
    """Make a member of who has an invitation, and sign them in. Without an issuer there is no identity.

    Raises NotFound (link_not_valid), Conflict (identity_in_use, member_exists).
    """
    if identity is None and installation.issuers:
        raise NotFound("link_not_valid")
    team_id = _team_of_invitation(installation, token)
    with installation.database.for_team(team_id) as connection:
        member = members.accept(connection, team_id, token, identity, installation.clock.now())
        by = identity.issuer if identity else "invitation"
        cookie = begin_session(installation, connection, team_id, member, browser.name, by)
    sign_out(installation, browser.cookie)
    return Entered(cookie)


# --- inside ---


def _client(installation: Installation, issuer: str) -> OpenIdClient:
    client = installation.issuers.get(issuer)
    if client is None:
        raise NotFound
    return client


def _enter(installation: Installation, identity: Identity, browser: AtBrowser) -> Entered | SeveralTeams:
    """Sign in to the team that knows the identity, else to the one its organization joins."""
    with installation.database.without_team() as connection:
        found = [team for team, _ in lookups.members_of_identity(connection, identity.issuer, identity.subject)]
        if not found and identity.organization:
            found = lookups.teams_joined_by(connection, identity.issuer, identity.organization)
        known = {team.id: team for team in lookups.teams_of(connection, found)} if len(found) > 1 else {}
    if len(found) < 2:
        return _enter_team(installation, identity, browser, [(team_id, "") for team_id in found])
    state = secrets.token_urlsafe(32)
    teams_of = [(team_id, known[team_id].public_id) for team_id in found if team_id in known]
    _keep(
        installation,
        identity.issuer,
        state,
        browser,
        {"purpose": "choose", "identity": asdict(identity), "teams": teams_of},
    )
    return SeveralTeams(state, tuple(known[team_id] for team_id, _ in teams_of))


def _enter_team(
    installation: Installation, identity: Identity, browser: AtBrowser, found: list[tuple[int, str]]
) -> Entered:
    if len(found) != 1:
        raise NotAllowed("sign_in_unknown")
    team_id = found[0][0]
    with installation.database.for_team(team_id) as connection:
        member = _member(connection, team_id, identity, installation)
        if member is None:
            raise NotAllowed("sign_in_unknown")
        cookie = begin_session(installation, connection, team_id, member, browser.name, identity.issuer)
    sign_out(installation, browser.cookie)
    return Entered(cookie)


def _member(connection: sa.Connection, team_id: int, identity: Identity, installation: Installation) -> Member | None:
    holder = identities.holder(connection, identity.issuer, identity.subject)
    if holder is None:
        return members.join(connection, team_id, identity, installation.clock.now())
    return teams.member_by_id(connection, holder[0])


def _bind(installation: Installation, identity: Identity, browser: AtBrowser, begun_by: list[int]) -> Bound:
    who = browser.signed_in
    if who is None or [who.team.id, who.member.id] != begun_by:
        raise NotFound("sign_in_not_valid")
    with installation.database.for_team(who.team.id) as connection:
        members.bind(connection, Acting(who.team.id, who.member, installation.clock.now()), identity)
    return Bound()


def _team_of_invitation(installation: Installation, token: str) -> int:
    team_id = None
    if len(token) <= LONGEST_TOKEN:
        with installation.database.without_team() as connection:
            team_id = lookups.team_of_invitation(connection, hashed(token))
    if team_id is None:
        raise NotFound("link_not_valid")
    return team_id


def _keep(installation: Installation, issuer: str, state: str, browser: AtBrowser, kept: Mapping[str, Any]) -> None:
    now = installation.clock.now()
    with installation.database.without_team() as connection:
        identities.begin_attempt(
            connection,
            state_hash=hashed(state),
            browser_hash=hashed(browser.secret),
            issuer=issuer,
            kept=installation.secrets.seal(kept, team_id=NO_TEAM, owner="sign_in_attempt", kind="kept"),
            expires_at=now + ATTEMPT_LASTS,
            now=now,
        )


def _taken(installation: Installation, issuer: str, state: str, browser: AtBrowser) -> dict[str, Any]:
    """Use a state up, once, for its browser and its issuer. Raises NotFound (sign_in_not_valid)."""
    kept = None
    if browser.secret and len(state) <= LONGEST_TOKEN:
        with installation.database.without_team() as connection:
            kept = identities.take_attempt(
                connection,
                state_hash=hashed(state),
                browser_hash=hashed(browser.secret),
                issuer=issuer,
                now=installation.clock.now(),
            )
    if kept is None:
        raise NotFound("sign_in_not_valid")
    return installation.secrets.open(kept, team_id=NO_TEAM, owner="sign_in_attempt", kind="kept")
