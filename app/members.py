"""Who belongs to a team: invitations, roles, removal, and what members sign in with at Google or Microsoft.

A person becomes known by an invitation and is known again by the issuer's own name for them, never by an e-mail address
(threats.md W9). What somebody may do ends with the transaction that removes them (T13).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa
import structlog
from babel.dates import format_datetime

from app import notice_wording, outgoing_mail
from app.accounts import audit, current_team
from app.acting import Acting
from app.errors import Conflict, InvalidRequest, NotAllowed, NotFound, ProviderError
from app.installation import Installation
from app.linking.addresses import domain_of, normalize
from app.model import Member, MemberRole
from app.oidc import Identity
from app.outgoing_mail import Letter
from app.store import api_keys, identities, invitations, sessions, teams
from app.store import audit as audit_rows
from app.store.identities import BoundIdentity
from app.store.sessions import hashed
from app.store.teams import Team

log = structlog.get_logger(__name__)

INVITATION_LASTS = timedelta(days=7)
MAIL_AGAIN_AFTER = timedelta(days=1)  # to one address, or an administrator could flood a stranger's mailbox
LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Sent:
    """An invitation that was just made; its token is shown this once."""

    token: str
    email: str
    expires_at: datetime


Mailed = Literal["sent", "not_taken", "sent_today", "no_server"]


@dataclass(frozen=True, slots=True)
class Organization:
    """Whose people may join a team by signing in."""

    issuer: str
    name: str  # a Workspace domain, an Entra tenant
    may_join: bool
    is_own: bool  # whether the administrator who asks belongs to it, and so may let it in


# --- the operator ---


def add(
    connection: sa.Connection, team_id: int, name: str, email: str, role: MemberRole, now: datetime
) -> Member | None:
    """Add a member without asking anybody, or bring a removed one back; None when the address is a member's already."""
    member_id = teams.add_member(connection, team_id, name, email, role)
    if member_id is None:
        return None
    audit(connection, team_id, None, "add_member", {"member": member_id, "role": role}, now)
    return teams.member_by_id(connection, member_id)


# --- administrators ---


def invite(connection: sa.Connection, acting: Acting, name: str, email: str, role: MemberRole) -> Sent:
    """Make a link with which somebody becomes a member, once and within a week; it replaces an older one.

    Raises NotAllowed (not_administrator), InvalidRequest, Conflict (member_exists).
    """
    _require_administrator(connection, acting)
    name, address = _entered(name, email)
    if any(member.email == address for member in teams.members(connection)):
        raise Conflict("member_exists", address=address)
    token, expires_at = secrets.token_urlsafe(32), acting.now + INVITATION_LASTS
    invitations.add(
        connection,
        acting.team_id,
        token_hash=hashed(token),
        name=name,
        email=address,
        role=role,
        invited_by=acting.member.id,
        expires_at=expires_at,
        now=acting.now,
    )
    _audit(connection, acting, "invite_member", {"address": address, "role": role})
    return Sent(token, address, expires_at)


def invite_by_mail(
    installation: Installation, acting: Acting, name: str, email: str, role: MemberRole
) -> tuple[Sent, Mailed]:
    """Invite somebody, and send them the link where an SMTP server is set up, once a day to an address.

    Raises what invite() raises; a server that does not take the letter is no error: the link is shown as well.
    """
    now, database = acting.now, installation.database
    with database.for_team(acting.team_id) as connection:
        sent, team = invite(connection, acting, name, email, role), current_team(connection)
        was_mailed = audit_rows.was_done_to(connection, "mail_invitation", sent.email, now - MAIL_AGAIN_AFTER)
    if not outgoing_mail.is_set_up(installation.settings):
        return sent, "no_server"
    if was_mailed:
        return sent, "sent_today"
    try:
        outgoing_mail.send(installation.settings, _letter(installation, team, acting.member, name.strip(), sent), now)
    except ProviderError as error:
        log.warning("invitation_not_mailed", team=acting.team_id, error=type(error).__name__)
        return sent, "not_taken"
    with database.for_team(acting.team_id) as connection:
        _audit(connection, acting, "mail_invitation", {"address": sent.email})
    return sent, "sent"


def link_of(installation: Installation, sent: Sent) -> str:
    """Return the page that an invitation opens."""
    return f"{installation.settings.public_base_url}/invitation/{sent.token}"


def revoke_invitation(connection: sa.Connection, acting: Acting, public_id: str) -> None:
    """Take an invitation back. Raises NotAllowed (not_administrator), NotFound."""
    _require_administrator(connection, acting)
    address = invitations.revoke(connection, public_id)
    if address is None:
        raise NotFound
    _audit(connection, acting, "revoke_invitation", {"address": address})


def change_role(connection: sa.Connection, acting: Acting, public_id: str, role: MemberRole) -> None:
    """Make a member an administrator, or no longer; what they may do changes with their next request.

    Raises NotAllowed (not_administrator), NotFound, Conflict (last_administrator).
    """
    administrators = _require_administrator(connection, acting)
    member = member_of(connection, public_id)
    if member.role == role:
        return
    if role == "member":
        _require_another(administrators, member)
        invitations.revoke_of(connection, member.id)
    teams.set_role(connection, member.id, role)
    _audit(connection, acting, "change_role", {"member": member.id, "role": role})


def remove(connection: sa.Connection, acting: Acting, public_id: str) -> None:
    """Remove a member: sessions, links and API keys end at once, personal mailboxes are no longer read (T13).

    Raises NotAllowed (not_administrator), NotFound, Conflict (last_administrator).
    """
    administrators = _require_administrator(connection, acting)
    member = member_of(connection, public_id)
    _require_another(administrators, member)
    teams.remove_member(connection, member.id, acting.now)
    sessions.end_all(connection, member.id)
    sessions.end_links_of(connection, member.id)
    api_keys.revoke_all(connection, member.id, acting.now)
    invitations.revoke_of(connection, member.id)
    _audit(connection, acting, "remove_member", {"member": member.id})


def member_of(connection: sa.Connection, public_id: str) -> Member:
    """Return the member with this public id, a uuid. Raises NotFound."""
    found = next((member for member in teams.members(connection) if member.public_id == public_id), None)
    if found is None:
        raise NotFound
    return found


def organizations(connection: sa.Connection, member: Member) -> list[Organization]:
    """Return the organizations that may join, and those an administrator could let in: their own."""
    own = {
        (identity.issuer, identity.organization)
        for identity in identities.of_member(connection, member.id)
        if identity.organization
    }
    joining = identities.joining(connection)
    return [Organization(*each, each in joining, each in own) for each in sorted(own | joining)]


def set_joining(connection: sa.Connection, acting: Acting, issuer: str, organization: str, *, may_join: bool) -> None:
    """Let everybody of an organization join by signing in, or no longer.

    Only who belongs to it lets an organization in: its name alone proves nothing. Raises NotAllowed
    (not_administrator), NotFound.
    """
    _require_administrator(connection, acting)
    known = organizations(connection, acting.member)
    if not any((each.issuer, each.name) == (issuer, organization) and (each.is_own or not may_join) for each in known):
        raise NotFound
    if identities.set_joining(connection, acting.team_id, issuer, organization, may_join=may_join, now=acting.now):
        detail = {"issuer": issuer, "organization": organization, "may_join": may_join}
        _audit(connection, acting, "set_joining", detail)


# --- who comes ---


def accept(connection: sa.Connection, team_id: int, token: str, identity: Identity | None, now: datetime) -> Member:
    """Use an invitation up: its bearer becomes a member, known by the identity from now on.

    Only the same identity brings a removed member back; the same address makes a new one, who gets none of the old
    one's mail. Raises NotFound (link_not_valid), Conflict (member_exists, identity_in_use).
    """
    invitation = invitations.use(connection, hashed(token), now)
    if invitation is None:
        raise NotFound("link_not_valid")
    known = identities.holder(connection, identity.issuer, identity.subject) if identity else None
    if known is not None and not known[1]:
        raise Conflict("identity_in_use")
    if any(member.email == invitation.email for member in teams.members(connection)):
        raise Conflict("member_exists", address=invitation.email)
    member_id = known[0] if known else None
    teams.free_address(connection, invitation.email, but=member_id)
    if member_id is not None:
        teams.bring_back(connection, member_id, invitation.name, invitation.email, invitation.role)
    else:
        member_id = teams.add_member(connection, team_id, invitation.name, invitation.email, invitation.role)
    member = teams.member_by_id(connection, member_id) if member_id is not None else None
    if member is None:
        raise Conflict("member_exists", address=invitation.email)
    acting = Acting(team_id, member, now)
    _audit(connection, acting, "join_by_invitation", {"role": invitation.role})
    if identity is not None and known is None:
        bind(connection, acting, identity)
    return member


def join(connection: sa.Connection, team_id: int, identity: Identity, now: datetime) -> Member | None:
    """Make a member of somebody whose organization joins by signing in; None for who may not.

    The identity is nobody's in the team, not a removed member's either. The address must be of the team's own domains,
    and nobody's yet.
    """
    team, address = teams.team(connection), normalize(identity.address)
    if (identity.issuer, identity.organization) not in identities.joining(connection) or team is None:
        return None
    if address is None or domain_of(address) not in team.domains:
        return None
    name = identity.name[:LONGEST_NAME] or address.partition("@")[0]
    if teams.is_known(connection, address):
        return None
    member_id = teams.add_member(connection, team_id, name, address)
    member = teams.member_by_id(connection, member_id) if member_id is not None else None
    if member is None:
        return None
    acting = Acting(team_id, member, now)
    _audit(connection, acting, "join_by_organization", {"issuer": identity.issuer})
    bind(connection, acting, identity)
    return member


# --- what a member signs in with ---


def bind(connection: sa.Connection, acting: Acting, identity: Identity) -> None:
    """Let a member sign in with an identity; one that is theirs already stays. Raises Conflict (identity_in_use)."""
    is_new = identities.bind(
        connection,
        acting.team_id,
        acting.member.id,
        issuer=identity.issuer,
        subject=identity.subject,
        organization=identity.organization,
        shown=identity.address or identity.name,
        now=acting.now,
    )
    if is_new:
        _audit(connection, acting, "bind_identity", {"issuer": identity.issuer})
        return
    known = identities.holder(connection, identity.issuer, identity.subject)
    if known is None or known[0] != acting.member.id:
        raise Conflict("identity_in_use")


def unbind(connection: sa.Connection, acting: Acting, public_id: str) -> None:
    """Let a member no longer sign in with an identity. Raises NotFound."""
    issuer = identities.unbind(connection, acting.member.id, public_id)
    if issuer is None:
        raise NotFound
    _audit(connection, acting, "unbind_identity", {"issuer": issuer})


def bound_to(connection: sa.Connection) -> dict[int, list[BoundIdentity]]:
    """Return, for each member by id, what they sign in with."""
    found: dict[int, list[BoundIdentity]] = {}
    for identity in identities.of_team(connection):
        found.setdefault(identity.member_id, []).append(identity)
    return found


# --- inside ---


def _require_administrator(connection: sa.Connection, acting: Acting) -> frozenset[int]:
    """Return the administrators, locked, of whom who acts must be one at this moment."""
    administrators = teams.lock_administrators(connection)
    if acting.member.id not in administrators:
        raise NotAllowed("not_administrator")
    return administrators


def _require_another(administrators: frozenset[int], member: Member) -> None:
    if administrators == {member.id}:
        raise Conflict("last_administrator")


def _entered(name: str, email: str) -> tuple[str, str]:
    address = normalize(email.strip())
    wrong = [
        *(
            []
            if 0 < len(name.strip()) <= LONGEST_NAME
            else [{"field": "name", "message": "must be 1 to 100 characters"}]
        ),
        *([] if address else [{"field": "email", "message": "must be an e-mail address"}]),
    ]
    if wrong or address is None:
        raise InvalidRequest(wrong)
    return name.strip(), address


def _letter(installation: Installation, team: Team, by: Member, name: str, sent: Sent) -> Letter:
    text = notice_wording.words(team.locale)
    said = {
        "name": name,
        "by": by.name,
        "team": team.name,
        "until": format_datetime(sent.expires_at, "d MMM y, HH:mm z", tzinfo=UTC, locale=team.locale),
        "url": link_of(installation, sent),
    }
    return Letter(
        to_name=name,
        to_address=sent.email,
        locale=team.locale,
        subject=text["invitation_subject"].format(**said),
        text=text["invitation_text"].format(**said),
        key=f"invitation {sent.token}",
    )


def _audit(connection: sa.Connection, acting: Acting, action: str, detail: Mapping[str, Any]) -> None:
    audit(connection, acting.team_id, acting.member.id, action, detail, acting.now)
