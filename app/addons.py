"""Who uses an add-on. A provider vouches for a person by its own id; that the person is a member, the member says.

A member says so by connecting that person's mailbox as a personal account, by signing in with that person's account, or
on a page behind a one-time link that the add-on shows. An e-mail address never makes somebody a member; it only keeps
the wrong one from confirming a link.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

import sqlalchemy as sa

from app.accounts import audit, current_team
from app.acting import Acting
from app.errors import Conflict, NotFound, ThreadlinkError
from app.installation import Installation
from app.linking.addresses import is_ours, normalize
from app.model import Member
from app.ports import AddonCall
from app.signing_in import SignedIn
from app.store import accounts, addons, lookups, teams
from app.store.lookups import AddonUser

LINK_LIFETIME = timedelta(minutes=10)
CHOICE_LASTS = timedelta(minutes=10)
SESSION_LASTS = timedelta(minutes=10)
LONGEST_TOKEN = 4_000
_NO_TEAM = 0  # before a person is known, no team is


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a one-time link of an add-on is for."""

    provider: str
    user_id: str
    address: str
    made_at: datetime


def member_of(installation: Installation, provider: str, user_id: str, issuer: str = "") -> SignedIn | None:
    """Return which member a person at a provider is; None when nobody said so, or it would be somebody in two teams.

    Who signs in with that very account of the `issuer` is known by it too.
    """
    with installation.database.without_team() as connection:
        found = lookups.addon_users(connection, provider, user_id)
        if not found and issuer and user_id:
            same = lookups.members_of_identity(connection, issuer, user_id)
            found = [AddonUser(team_id, member_id, None) for team_id, member_id in same]
    if not found or (found[0].made_at is None and len(found) > 1):
        return None
    with installation.database.for_team(found[0].team_id) as connection:
        member = teams.member_by_id(connection, found[0].member_id)
        return SignedIn(current_team(connection), member) if member else None


def invite(installation: Installation, provider: str, call: AddonCall) -> str:
    """Return the token of a link on which a signed-in member says to be this person: once, within ten minutes."""
    value = {"user": call.user_id, "address": call.address, "at": installation.clock.now().isoformat()}
    return installation.secrets.seal(value, team_id=_NO_TEAM, owner=f"addon/{provider}", kind="invitation").decode()


def open_invitation(installation: Installation, provider: str, token: str) -> Invitation:
    """Return what a link is for, without using it up. Raises NotFound (link_not_valid)."""
    if not token.isascii() or len(token) > LONGEST_TOKEN:
        raise NotFound("link_not_valid")
    try:
        value = installation.secrets.open(
            token.encode(), team_id=_NO_TEAM, owner=f"addon/{provider}", kind="invitation"
        )
    except ThreadlinkError:
        raise NotFound("link_not_valid") from None
    made_at = datetime.fromisoformat(value["at"])
    if installation.clock.now() - made_at > LINK_LIFETIME:
        raise NotFound("link_not_valid")
    return Invitation(provider, value["user"], value["address"], made_at)


def accept(installation: Installation, signed: SignedIn, invitation: Invitation) -> None:
    """Remember that the member is this person at the provider.

    Raises NotFound when the link was used, Conflict (not_your_mailbox) for a mailbox that is another member's or is
    none of the team's: such a link was made by somebody else.
    """
    now = installation.clock.now()
    with installation.database.without_team() as connection:
        known = lookups.addon_users(connection, invitation.provider, invitation.user_id)
    if any(each.made_at is not None and each.made_at >= invitation.made_at for each in known):
        raise NotFound("link_not_valid")
    with installation.database.for_team(signed.team.id) as connection:
        if not _may_be(connection, signed.member, invitation.address):
            raise Conflict("not_your_mailbox", address=invitation.address)
        addons.add_user(connection, signed.team.id, invitation.provider, invitation.user_id, signed.member.id, now)
        audit(connection, signed.team.id, signed.member.id, "use_addon", {"provider": invitation.provider}, now)


# --- a choice that counts once (threats.md W11) ---


def choice(installation: Installation, signed: SignedIn, about: str) -> str:
    """Return what a button carries: one choice about something, for this member, within ten minutes.

    Made twice, by an impatient finger or by somebody who listened, it counts once.
    """
    value = {"id": str(uuid4()), "conversation": about, "at": installation.clock.now().isoformat()}
    owner, team_id = f"member/{signed.member.id}", signed.team.id
    return installation.secrets.seal(value, team_id=team_id, owner=owner, kind="addon_choice").decode()


def acting(installation: Installation, signed: SignedIn, about: str, sealed: str) -> Acting:
    """Return who acts, under the id of the choice that a button carried. Raises Conflict (choice_expired)."""
    now, team_id, owner = installation.clock.now(), signed.team.id, f"member/{signed.member.id}"
    try:
        value = installation.secrets.open(sealed.encode(), team_id=team_id, owner=owner, kind="addon_choice")
    except ThreadlinkError:
        raise Conflict("choice_expired") from None
    is_fresh = timedelta(0) <= now - datetime.fromisoformat(value["at"]) <= CHOICE_LASTS
    if not is_fresh or value["conversation"] != about:
        raise Conflict("choice_expired")
    return Acting(team_id, signed.member, now, value["id"])


# --- a page that a vendor frames (threats.md W17) ---


def begin_session(installation: Installation, provider: str, call: AddonCall) -> str:
    """Return what a framed page proves itself with for ten minutes: who the provider said it is, sealed.

    It cannot be renewed: another one takes another token of the provider.
    """
    now = installation.clock.now()
    value = {"user": call.user_id, "issuer": call.issuer, "address": call.address, "at": now.isoformat()}
    return installation.secrets.seal(value, team_id=_NO_TEAM, owner=f"addon/{provider}", kind="session").decode()


def person_of_session(installation: Installation, provider: str, bearer: str) -> AddonCall | None:
    """Return who a framed page is open for; None when what it brought is not ours or has expired."""
    if not bearer.isascii() or len(bearer) > LONGEST_TOKEN:
        return None
    try:
        value = installation.secrets.open(bearer.encode(), team_id=_NO_TEAM, owner=f"addon/{provider}", kind="session")
    except ThreadlinkError:
        return None
    age = installation.clock.now() - datetime.fromisoformat(value["at"])
    if not timedelta(0) <= age <= SESSION_LASTS:
        return None
    return AddonCall(value["user"], value["issuer"], value["address"])


def forget(installation: Installation, signed: SignedIn, provider: str, user_id: str) -> None:
    """Forget which member a person at a provider is; what follows from a personal account stays."""
    now = installation.clock.now()
    with installation.database.for_team(signed.team.id) as connection:
        if addons.remove_user(connection, provider, user_id):
            audit(connection, signed.team.id, signed.member.id, "leave_addon", {"provider": provider}, now)


def _may_be(connection: sa.Connection, member: Member, address: str) -> bool:
    """Whether a mailbox may be used by a member: the member's own, or one of the team that is nobody else's."""
    known_as = normalize(address) or ""
    if known_as == normalize(member.email):
        return True
    account = accounts.account_by_address(connection, known_as)
    is_of_another = account is not None and account.kind == "personal" and account.owner_id != member.id
    is_of_another |= any(normalize(each.email) == known_as for each in teams.members(connection))
    return bool(known_as) and not is_of_another and is_ours(known_as, accounts.ours(connection))
