"""Connecting a CRM whose own shop sent the browser: a code without a state of ours (threats.md W7).

Nobody of ours asked for it, so whoever makes a browser open that address must gain nothing. The code waits, sealed, in
the browser's own cookie for some minutes. A signed-in administrator says that it was meant, then it is exchanged; then
the page names the company and asks again, and only that answer connects it. Every step is a POST of our own page.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from datetime import timedelta

from app import connecting_crm
from app.connecting import hashed, seal, taken, team_of_link, unseal
from app.connecting_crm import ConnectedTeam, name_of
from app.errors import NotAllowed, NotFound, SettingsError
from app.installation import Installation
from app.model import Member
from app.ports import ConnectedCrm, CrmIdentity
from app.store import connect_requests
from app.store.teams import Team

CODE_LIFETIME = timedelta(minutes=10)
LONGEST_CODE = 1000  # sealed it must fit a cookie
_OWNER, _KIND = "crm_install", "code"
NO_TEAM = 0


@dataclass(frozen=True, slots=True)
class Installed:
    """A company whose CRM was exchanged and not stored: the administrator is asked about it by `state`."""

    adapter: str
    identity: CrmIdentity
    state: str


def keep(installation: Installation, adapter: str, code: str) -> str:
    """Seal a code for the cookie of the browser that brought it. Raises NotFound for what is none."""
    if adapter not in installation.consents or not 0 < len(code) <= LONGEST_CODE:
        raise NotFound
    until = (installation.clock.now() + CODE_LIFETIME).timestamp()
    kept = {"adapter": adapter, "code": code, "until": until}
    return installation.secrets.seal(kept, team_id=NO_TEAM, owner=_OWNER, kind=_KIND).decode()


def adapter_of(installation: Installation, sealed: str) -> str:
    """Return which CRM a kept code is of. Raises NotFound for one that is over or was not kept here."""
    return _kept(installation, sealed)[0]


def exchange(installation: Installation, team: Team, member: Member, session: str, sealed: str) -> Installed:
    """Exchange a kept code for an administrator who said that it was meant; nothing is connected yet.

    Raises NotAllowed (not_administrator), NotFound, and the consent's ProviderError.
    """
    if member.role != "admin":
        raise NotAllowed("not_administrator")
    adapter, code = _kept(installation, sealed)
    come_back = connecting_crm.redirect_uri(installation, adapter)
    connected = installation.consents[adapter].connect(come_back, {"code": code}, {})
    token, state, now = secrets.token_urlsafe(32), secrets.token_urlsafe(32), installation.clock.now()
    with installation.database.for_team(team.id) as connection:
        request_id = connect_requests.add(
            connection,
            team.id,
            token_hash=hashed(token),
            member_id=member.id,
            provider=name_of(adapter),
            kind="team",
            address="",
            collaborators=(),
            history_from=None,
            expires_at=now + CODE_LIFETIME,
        )
        connect_requests.start(
            connection,
            request_id,
            browser_hash=hashed(session),
            state_hash=hashed(state),
            kept=seal(installation, team.id, request_id, asdict(connected)),
            auto_link=True,
            now=now,
        )
    return Installed(adapter, connected.identity, state)


def confirm(installation: Installation, adapter: str, state: str, session: str, *, meant: bool) -> ConnectedTeam | None:
    """Connect the company that was asked about; None when it was not meant and the consent is given back.

    Raises NotFound, NotAllowed (not_administrator) for who is none any more, Conflict (other_company).
    """
    with team_of_link(installation, state_hash=hashed(state)) as (connection, team_id):
        opened = taken(connection, installation, name_of(adapter), state, session)
    if opened.member.role != "admin":
        raise NotAllowed("not_administrator")
    kept = unseal(installation, team_id, opened.request)
    connected = ConnectedCrm(CrmIdentity(**kept["identity"]), kept["secrets"], kept["settings"])
    if meant:
        return connecting_crm.admit(installation, opened, adapter, connected)
    with installation.database.for_team(team_id) as connection:
        connect_requests.finish(connection, opened.request.id, installation.clock.now())
    connecting_crm.give_back(installation, team_id, adapter, connected)
    return None


def _kept(installation: Installation, sealed: str) -> tuple[str, str]:
    try:
        kept = installation.secrets.open(sealed.encode(), team_id=NO_TEAM, owner=_OWNER, kind=_KIND)
    except SettingsError:
        raise NotFound("link_not_valid") from None
    if kept["until"] <= installation.clock.now().timestamp() or kept["adapter"] not in installation.consents:
        raise NotFound("link_not_valid")
    return kept["adapter"], kept["code"]
