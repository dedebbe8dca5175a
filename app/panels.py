"""A panel of ours inside a CRM's own pages: which member looks at it, and at what.

The CRM vouches for its user; that the user is a member, the member says once (addons.py), never an e-mail address. The
browser keeps no cookie of ours inside another site's page, so each form carries a pass: sealed, good for ten minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta

from app import addons, passes
from app.errors import NotAllowed, NotFound
from app.installation import Installation
from app.model import ItemRef
from app.ports import AddonCall, CrmPanel, PanelVisit
from app.signing_in import SignedIn
from app.store import crm, lookups

PASS_LIFETIME = timedelta(minutes=10)
_VISIT = "visit"


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
    text = passes.sealed(installation, _VISIT, asdict(visit), owner=_of(adapter))
    visitor = _visitor(installation, adapter, visit, text)
    if visitor is None:
        call = AddonCall(visit.user_id, address=_address(installation, adapter, visit))
        return Stranger(visit.company, addons.invite(installation, provider_of(adapter, visit.company), call))
    return visitor


def again(installation: Installation, adapter: str, text: str) -> Visitor:
    """Return who looks, by the pass of a form. Raises NotAllowed (pass_expired), NotFound."""
    value = passes.opened(installation, _VISIT, text, owner=_of(adapter), lasts=PASS_LIFETIME)
    visitor = _visitor(installation, adapter, PanelVisit(**value), text) if value else None
    if visitor is None:
        raise NotAllowed("pass_expired")
    return visitor


def provider_of(adapter: str, company: str) -> str:
    """Return what addons.py knows the users of a company's CRM by."""
    return f"crm/{adapter}/{company}"


def _visitor(installation: Installation, adapter: str, visit: PanelVisit, text: str) -> Visitor | None:
    """Return which member a user of the CRM is; None for who said to be none. Raises NotFound (item_unknown)."""
    signed = addons.member_of(installation, provider_of(adapter, visit.company), visit.user_id)
    if signed is None:
        return None
    with installation.database.for_team(signed.team.id) as connection:
        found = crm.connection_of_company(connection, adapter, visit.company)
    if found is None:
        raise NotFound("item_unknown", item="")
    return Visitor(signed, ItemRef(visit.kind, visit.external_id, found), text)


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


def _of(adapter: str) -> str:
    return f"panel/{adapter}"
