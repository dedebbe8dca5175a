"""Who uses an add-on. A provider vouches for a person by its own id; that the person is a member, the member says.

A member says so by connecting that person's mailbox as a personal account, by signing in with that person's account, or
on a page behind a one-time link that the add-on shows. An e-mail address never makes somebody a member; it only keeps
the wrong one from confirming a link.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from app import passes
from app.accounts import audit, current_team
from app.errors import Conflict, NotFound
from app.installation import Installation
from app.linking.addresses import is_ours, normalize
from app.model import Member
from app.ports import AddonCall
from app.signing_in import SignedIn
from app.store import accounts, addons, lookups, teams
from app.store.lookups import AddonUser

LINK_LIFETIME = timedelta(minutes=10)
SESSION_LASTS = timedelta(minutes=10)


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
    return passes.sealed(installation, "invitation", value, owner=_of(provider))


def open_invitation(installation: Installation, provider: str, token: str) -> Invitation:
    """Return what a link is for, without using it up. Raises NotFound (link_not_valid)."""
    value = passes.opened(installation, "invitation", token, owner=_of(provider), lasts=LINK_LIFETIME)
    if value is None:
        raise NotFound("link_not_valid")
    return Invitation(provider, value["user"], value["address"], datetime.fromisoformat(value["at"]))


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


# --- a page that a vendor frames (threats.md W17) ---


def begin_session(installation: Installation, provider: str, call: AddonCall) -> str:
    """Return what a framed page proves itself with for ten minutes: who the provider said it is, sealed.

    It cannot be renewed: another one takes another token of the provider.
    """
    value = {"user_id": call.user_id, "issuer": call.issuer, "address": call.address}
    return passes.sealed(installation, "session", value, owner=_of(provider))


def person_of_session(installation: Installation, provider: str, bearer: str) -> AddonCall | None:
    """Return who a framed page is open for; None when what it brought is not ours or has expired."""
    value = passes.opened(installation, "session", bearer, owner=_of(provider), lasts=SESSION_LASTS)
    return AddonCall(**value) if value else None


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


def _of(provider: str) -> str:
    return f"addon/{provider}"
