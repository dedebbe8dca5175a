"""A panel of ours inside a CRM's own pages: which member looks at it, and at what.

The CRM vouches for its user; that the user is a member, the member says once (addons.py), never an e-mail address. The
browser keeps no cookie of ours inside another site's page, so each form carries a pass: sealed, good for ten minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from app import addons
from app.accounts import current_team
from app.errors import NotAllowed, NotFound, ThreadlinkError
from app.installation import Installation
from app.model import ItemRef
from app.ports import AddonCall, CrmPanel, PanelVisit
from app.signing_in import SignedIn
from app.store import crm, lookups, teams

PASS_LIFETIME = timedelta(minutes=10)
LONGEST_PASS = 4_000
_NO_TEAM = 0  # before a pass is opened, no team is known


@dataclass(frozen=True, slots=True)
class Visitor:
    """A member who looks at a record in the CRM, with the pass that the forms of the panel carry."""

    signed: SignedIn
    ref: ItemRef
    text: str


@dataclass(frozen=True, slots=True)
class Stranger:
    """A user of the CRM whom no member has said to be, with the token of the link to say it."""

    company: str
    token: str


def panel_of(installation: Installation, adapter: str) -> CrmPanel:
    """Return the panel of a CRM. Raises NotFound for one without."""
    panel = installation.panels.get(adapter)
    if panel is None:
        raise NotFound
    return panel


def enter(installation: Installation, adapter: str, args: Mapping[str, str]) -> Visitor | Stranger:
    """Return who looks. Raises NotFound, NotificationForged, NotificationMalformed, Unsupported."""
    visit = panel_of(installation, adapter).read_visit(args)
    provider = provider_of(adapter, visit.company)
    signed = addons.member_of(installation, provider, visit.user_id)
    if signed is None:
        call = AddonCall(visit.user_id, address=_address(installation, adapter, visit))
        return Stranger(visit.company, addons.invite(installation, provider, call))
    with installation.database.for_team(signed.team.id) as connection:
        found = crm.connection_of_company(connection, adapter, visit.company)
    if found is None:
        raise NotFound("item_unknown", item="")
    return _with_pass(installation, signed, ItemRef(visit.kind, visit.external_id, found))


def again(installation: Installation, text: str) -> Visitor:
    """Return who looks, by the pass of a form. Raises NotAllowed (pass_expired)."""
    try:
        if not text.isascii() or len(text) > LONGEST_PASS:
            raise NotAllowed("pass_expired")
        value = installation.secrets.open(text.encode(), team_id=_NO_TEAM, owner="panel", kind="pass")
    except ThreadlinkError:
        raise NotAllowed("pass_expired") from None
    if datetime.fromisoformat(value["until"]) < installation.clock.now():
        raise NotAllowed("pass_expired")
    with installation.database.for_team(value["team"]) as connection:
        member = teams.member_by_id(connection, value["member"])
        if member is None:
            raise NotAllowed("pass_expired")
        signed = SignedIn(current_team(connection), member)
    return Visitor(signed, ItemRef(value["kind"], value["id"], value["connection"]), text)


def provider_of(adapter: str, company: str) -> str:
    """Return what addons.py knows the users of a company's CRM by."""
    return f"crm/{adapter}/{company}"


def _with_pass(installation: Installation, signed: SignedIn, ref: ItemRef) -> Visitor:
    value = {
        "team": signed.team.id,
        "member": signed.member.id,
        "kind": ref.kind,
        "id": ref.external_id,
        "connection": ref.connection_id,
        "until": (installation.clock.now() + PASS_LIFETIME).isoformat(),
    }
    sealed = installation.secrets.seal(value, team_id=_NO_TEAM, owner="panel", kind="pass")
    return Visitor(signed, ref, sealed.decode())


def _address(installation: Installation, adapter: str, visit: PanelVisit) -> str:
    """Return the address of a user of the CRM, to show and to keep a wrong member from saying yes; "" when unknown."""
    with installation.database.without_team() as connection:
        known = lookups.crm_connections_of(connection, adapter, visit.company)
    for team_id, connection_id in known:
        with installation.database.for_team(team_id) as connection:
            address = crm.address_of_user(connection, connection_id, visit.company, visit.user_id)
        if address:
            return address
    return ""
