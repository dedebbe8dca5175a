"""Connecting a team's CRM with a token or in the browser, and ending that again. See connecting.py for mailboxes.

The access is tried at the CRM before anything is stored. In the browser the way is that of a mailbox: an
administrator's one-time link, or a button on a page, bound to the browser that uses it; a code that comes without such
a start is never exchanged here (threats.md W7; installing_crm.py asks an administrator). A company that was connected
before is the same connection again, with its links and its mirror; another company is a new one, which a team has once
the old one was ended (T8).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.accounts import audit
from app.connecting import (
    LINK_LIFETIME,
    Invitation,
    OpenedLink,
    Unstored,
    hashed,
    opened_link,
    seal,
    taken,
    team_of_link,
    unseal,
)
from app.errors import (
    AccessRevoked,
    AdminBlocked,
    Conflict,
    NotAllowed,
    NotFound,
    ProviderError,
    Unsupported,
)
from app.installation import Installation
from app.model import Member
from app.ports import ConnectedCrm, CrmConnection, CrmConsent, CrmDirectory, CrmRevoking, CrmSubscribing, PushRequest
from app.store import connect_requests, crm, crm_connections, lookups, queue
from app.store.connect_requests import ConnectRequest
from app.store.crm_connections import DISCONNECTED
from app.store.teams import Team


@dataclass(frozen=True, slots=True)
class ConnectedTeam:
    """Which team's CRM was connected, and which company it leads to."""

    team: Team
    company: str


EMBEDDED = "embedded"  # keeps its records in threadlink's own database, and needs no consent


def connect_with_token(
    installation: Installation,
    team_id: int,
    adapter: str,
    token: str,
    options: Mapping[str, str],
    member_id: int | None = None,
) -> str:
    """Connect a team's CRM and return the company it leads to.

    Raises Unsupported for an adapter that takes no token, AccessRevoked or Rejected for a token or an option that does
    not work, Conflict (other_company) when the team has another CRM.
    """
    consent = installation.consents.get(adapter)
    if consent is None:
        raise Unsupported(
            f"The package of {adapter} says not how to connect it: it needs an entry point threadlink.crm_consent.",
            provider=adapter,
            operation="connect",
        )
    unknown = sorted(options.keys() - consent.options.keys())
    if unknown:
        known = "; ".join(f"{name}: {meaning}" for name, meaning in consent.options.items())
        raise Unsupported(f"No option of {adapter}: {', '.join(unknown)}. There are: {known}.", provider=adapter)
    connected = consent.connect_with_token(token, options)
    with installation.database.for_team(team_id) as connection:
        store(installation, connection, team_id, adapter, connected, member_id)
    return connected.identity.company


# --- in the browser ---


def invite(installation: Installation, team_id: int, member: Member, adapter: str) -> Invitation:
    """Make a link with which an administrator connects the team's CRM; it is valid once and for an hour.

    Raises NotAllowed (not_administrator), Unsupported for an adapter that is not connected in the browser.
    """
    if member.role != "admin":
        raise NotAllowed("not_administrator")
    _consent_by_browser(installation, adapter)
    token, now = secrets.token_urlsafe(32), installation.clock.now()
    with installation.database.for_team(team_id) as connection:
        connect_requests.add(
            connection,
            team_id,
            token_hash=hashed(token),
            member_id=member.id,
            provider=name_of(adapter),
            kind="team",
            address="",
            collaborators=(),
            history_from=None,
            expires_at=now + LINK_LIFETIME,
        )
        audit(connection, team_id, member.id, "begin_connecting", {"adapter": adapter}, now)
    return Invitation(f"{installation.settings.public_base_url}/connect/crm/{token}", now + LINK_LIFETIME)


def open_link(installation: Installation, token: str) -> OpenedLink:
    """Return what a link is for, without using it up. Raises NotFound."""
    with team_of_link(installation, token_hash=hashed(token)) as (connection, _):
        request = connect_requests.usable(connection, hashed(token), installation.clock.now())
        if request is None or adapter_of(request) not in installation.consents:
            raise NotFound("link_not_valid")
        return opened_link(connection, request)


def start_consent(installation: Installation, token: str, browser: str) -> str:
    """Bind a link to a browser and return the CRM's page where an administrator gives consent. Raises NotFound."""
    opened, state = open_link(installation, token), secrets.token_urlsafe(32)
    adapter = adapter_of(opened.request)
    consent = _consent_by_browser(installation, adapter)
    authorization = consent.authorize(redirect_uri(installation, adapter), state)
    with installation.database.for_team(opened.team.id) as connection:
        started = connect_requests.start(
            connection,
            opened.request.id,
            browser_hash=hashed(browser),
            state_hash=hashed(state),
            kept=seal(installation, opened.team.id, opened.request.id, authorization.kept),
            auto_link=True,
            now=installation.clock.now(),
        )
    if not started:
        raise NotFound("link_not_valid")
    return authorization.url


def start_here(installation: Installation, team_id: int, member: Member, session: str, adapter: str) -> str:
    """Let a signed-in administrator connect the CRM at once; return its page. The way back asks for `session`."""
    return start_consent(installation, invite(installation, team_id, member, adapter).token, session)


def finish_consent(installation: Installation, adapter: str, args: Mapping[str, str], *browser: str) -> ConnectedTeam:
    """Take what the browser, known by one of its cookies, brought back and connect the CRM.

    Raises NotFound for a state that is not this browser's, NotAllowed (not_administrator) for who is none any more,
    Conflict (other_company), and the consent's ProviderError.
    """
    with team_of_link(installation, state_hash=hashed(args.get("state", ""))) as (connection, team_id):
        opened = taken(connection, installation, name_of(adapter), args.get("state", ""), *browser)
    if opened.member.role != "admin":
        raise NotAllowed("not_administrator")
    kept = unseal(installation, team_id, opened.request)
    connected = installation.consents[adapter].connect(redirect_uri(installation, adapter), args, kept)
    return admit(installation, opened, adapter, connected)


def admit(installation: Installation, opened: OpenedLink, adapter: str, connected: ConnectedCrm) -> ConnectedTeam:
    """Store what an administrator connected; a company that is refused gets its consent back. Raises Conflict."""
    team_id = opened.team.id
    try:
        with installation.database.for_team(team_id) as connection:
            store(installation, connection, team_id, adapter, connected, opened.member.id)
            connect_requests.finish(connection, opened.request.id, installation.clock.now())
    except Conflict:
        give_back(installation, team_id, adapter, connected)
        raise
    return ConnectedTeam(opened.team, connected.identity.company)


def uninstalled(installation: Installation, adapter: str, request: PushRequest) -> None:
    """Look whether a company that took our access away is still to be reached, and end the connections that are not.

    What the CRM sends is a hint alone. Raises NotificationForged, NotificationMalformed, Unsupported.
    """
    consent = installation.consents.get(adapter)
    if consent is None:
        raise Unsupported(f"The CRM {adapter} takes no consent.", provider=adapter, operation="read_uninstall")
    removed = consent.read_uninstall(request)
    with installation.database.without_team() as connection:
        found = lookups.crm_connections_of(connection, adapter, removed.company)
    for team_id, connection_id in found:
        for each in installation.crm_connections(team_id):
            if each.id == connection_id and not _is_reached(installation, each):
                with installation.database.for_team(team_id) as connection:
                    crm_connections.disconnect(connection, connection_id, "uninstalled")
                    _audit(installation, connection, team_id, "crm_uninstalled", adapter, None)


def redirect_uri(installation: Installation, adapter: str) -> str:
    """Return where the CRM sends the browser back to, and tells us of removals."""
    return f"{installation.settings.public_base_url}/connect/crm/{adapter}/callback"


def adapter_of(request: ConnectRequest) -> str:
    """Return which CRM a link connects; "" for a mailbox's link."""
    kind, _, adapter = request.provider.partition(":")
    return adapter if kind == "crm" else ""


def name_of(adapter: str) -> str:
    """Return what a link that connects a CRM has for a provider."""
    return f"crm:{adapter}"


def _consent_by_browser(installation: Installation, adapter: str) -> CrmConsent:
    consent = installation.consents.get(adapter)
    if consent is None:
        raise Unsupported(f"The CRM {adapter} is not connected in the browser.", provider=adapter, operation="connect")
    if not consent.by_browser:  # says what has to be set
        consent.authorize(redirect_uri(installation, adapter), "")
    return consent


def _is_reached(installation: Installation, crm: CrmConnection) -> bool:
    try:
        adapter = installation.open_crm(crm)
        if isinstance(adapter, CrmDirectory):
            adapter.users()  # asks the CRM for sure: whose access it is may be remembered
        else:
            adapter.who_am_i()
    except (AccessRevoked, AdminBlocked):
        return False
    except ProviderError:
        return True  # not known now; the next call that is refused tells
    return True


def give_back(installation: Installation, team_id: int, adapter: str, connected: ConnectedCrm) -> None:
    """End a consent that came to nothing, best effort; one by which another team lives is left as it is."""
    if _is_shared(installation, adapter, connected.identity.company, None):
        return
    held = CrmConnection(
        0, team_id, "", adapter, connected.identity.company, Unstored(connected.secrets), connected.settings
    )
    try:
        opened = installation.open_crm(held)
        if isinstance(opened, CrmRevoking):
            opened.revoke()
    except ProviderError:
        return


def _is_shared(installation: Installation, adapter: str, company: str, but: int | None) -> bool:
    """Say whether a company's CRM is connected, by another connection than `but`: a CRM revokes them all at once."""
    with installation.database.without_team() as connection:
        found = lookups.crm_connections_of(connection, adapter, company)
    for team_id, connection_id in found:
        if connection_id == but:
            continue
        with installation.database.for_team(team_id) as connection:
            row = crm.connection_row(connection, connection_id)
        if row is not None and row.state != DISCONNECTED:
            return True
    return False


# --- either way ---


def store(
    installation: Installation,
    connection: sa.Connection,
    team_id: int,
    adapter: str,
    connected: ConnectedCrm,
    member_id: int | None,
) -> None:
    """Make a connection of a CRM that works, or let the one to the same company go on.

    Raises Conflict (other_company).
    """
    company = connected.identity.company
    _refuse_second(connection, adapter, company)
    known = crm_connections.of_company(connection, adapter, company)
    if known is None:
        connection_id = crm.add_connection(connection, team_id, adapter, company, connected.settings)
        owed: list[int] = []
    else:
        connection_id = known.id
        owed = crm_connections.connect_again(connection, connection_id, connected.settings)
    installation.secrets.store_connection(connection, team_id, connection_id, connected.secrets)
    _begin(connection, team_id, connection_id, owed)
    _audit(installation, connection, team_id, "connect_crm", adapter, connected, member_id)


def connect_embedded(installation: Installation, team_id: int, member_id: int | None = None) -> None:
    """Give a team the embedded CRM; connecting it again changes nothing. Raises Conflict (other_company)."""
    with installation.database.for_team(team_id) as connection:
        _refuse_second(connection, EMBEDDED, EMBEDDED)
        known = crm_connections.of_company(connection, EMBEDDED, EMBEDDED)
        if known is None:
            crm.add_connection(connection, team_id, EMBEDDED, company=EMBEDDED)
        elif known.state == DISCONNECTED:
            _begin(connection, team_id, known.id, crm_connections.connect_again(connection, known.id, known.settings))
        if known is None or known.state == DISCONNECTED:
            _audit(installation, connection, team_id, "connect_crm", EMBEDDED, None, member_id)


def disconnect(installation: Installation, team_id: int, member_id: int | None = None) -> str:
    """End the team's CRM connection and return its adapter: links and mirror stay, nothing is written any more.

    Our webhooks and our access are ended at the CRM as far as it answers, the access unless another team lives by it.
    A CRM that does not answer does not keep a connection alive: the secrets are deleted here whatever it says.
    Raises NotFound when there is none.
    """
    found = next(iter(installation.crm_connections(team_id)), None)
    if found is None:
        raise NotFound
    errors = _end_access(installation, found)
    with installation.database.for_team(team_id) as connection:
        crm_connections.disconnect(connection, found.id, DISCONNECTED)
        _audit(installation, connection, team_id, "disconnect_crm", found.adapter, None, member_id, errors)
    return found.adapter


def _end_access(installation: Installation, held: CrmConnection) -> list[str]:
    """End our webhooks, then our access; return the classes of the errors that were met, for the trail."""
    adapter = installation.open_crm(held)
    steps: list[Callable[[], None]] = []
    if isinstance(adapter, CrmSubscribing):
        steps.append(adapter.unsubscribe)
    if isinstance(adapter, CrmRevoking) and not _is_shared(installation, held.adapter, held.company, held.id):
        steps.append(adapter.revoke)
    errors = []
    for end in steps:
        try:
            end()
        except ProviderError as error:  # a CRM that does not answer keeps neither the other step nor the team waiting
            errors.append(type(error).__name__)
    return errors


def _refuse_second(connection: sa.Connection, adapter: str, company: str) -> None:
    for row in crm.connections(connection):
        if row.state != DISCONNECTED and (row.adapter, row.company) != (adapter, company):
            raise Conflict("other_company")


def write_again(connection: sa.Connection, member: Member, team_id: int, now: datetime) -> int:
    """Try once more what a CRM refused and was parked; return how many notes that are. Raises NotAllowed."""
    if member.role != "admin":
        raise NotAllowed("not_administrator")
    writes = [
        write_id
        for row in crm.connections(connection)
        if row.state != DISCONNECTED
        for write_id in crm_connections.retry_parked(connection, row.id)
    ]
    queue.defer(connection, "crm_write", [crm.job(team_id, write_id) for write_id in writes])
    audit(connection, team_id, member.id, "retry_crm_writes", {"notes": len(writes)}, now)
    return len(writes)


def _begin(connection: sa.Connection, team_id: int, connection_id: int, owed: list[int]) -> None:
    """Enqueue the first look at the CRM, its webhooks, and the notes that wait for it."""
    queue.defer(connection, "refresh_mirror", [({"team_id": team_id}, f"mirror:{team_id}")])
    job = {"team_id": team_id, "connection_id": connection_id}
    queue.defer(connection, "subscribe_crm", [(job, f"subscribe_crm:{connection_id}")])
    queue.defer(connection, "crm_write", [crm.job(team_id, write_id) for write_id in owed])


def _audit(
    installation: Installation,
    connection: sa.Connection,
    team_id: int,
    action: str,
    adapter: str,
    connected: ConnectedCrm | None,
    member_id: int | None = None,
    errors: Sequence[str] = (),
) -> None:
    detail: dict[str, Any] = {"adapter": adapter}
    if errors:
        detail["errors"] = list(errors)
    if connected is not None:
        detail["company"] = connected.identity.company
    audit(connection, team_id, member_id, action, detail, installation.clock.now())
