"""Connecting a mailbox: the one-time link, the consent, the account that comes of it.

The page that shows this is web/connect.py. A link belongs to the browser that first used its button, a state belongs to
that browser and one provider, and a mailbox that is not the member's own is confirmed before it becomes an account: so
nobody attaches somebody else's mailbox to a team (threats.md W6, W8). What a member starts on a page
belongs to that session.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app.accounts import audit, check_plan, current_team, is_read_by_others
from app.errors import Conflict, NotAllowed, NotFound, ProviderError
from app.installation import Installation
from app.linking.addresses import normalize
from app.model import Account, AccountKind, Level, Member
from app.ports import ConnectedMailbox, LockedCredentials, Mailbox, SharedMailConnector
from app.store import accounts, connect_requests, lookups, queue, teams
from app.store.connect_requests import ConnectRequest
from app.store.teams import Team

LINK_LIFETIME = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Invitation:
    """A one-time link that connects a mailbox."""

    url: str
    expires_at: datetime

    @property
    def token(self) -> str:
        """What names the link."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class OpenedLink:
    """What the page of a link shows."""

    team: Team
    member: Member
    request: ConnectRequest


@dataclass(frozen=True, slots=True)
class Connected:
    """The mailbox is an account now."""

    team: Team
    member: Member
    address: str
    kind: AccountKind


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """The consent is for another mailbox than the member's own: the browser must say that it was meant."""

    team: Team
    member: Member
    address: str
    state: str


# --- the link ---


def invite(
    installation: Installation,
    team_id: int,
    member: Member,
    provider: str,
    *,
    kind: AccountKind = "personal",
    address: str = "",
    collaborators: Collection[int] = (),
    history_from: datetime | None = None,
    visibility: Level = "full",
    made_by: int | None = None,
) -> Invitation:
    """Make a link with which `member` connects a mailbox; it is valid once and for an hour.

    `made_by` is the member who asks for it; None: the command line.

    Raises NotFound (unknown_provider), Conflict (plan_required, address_in_use).
    """
    if provider not in installation.mail:
        raise NotFound("unknown_provider", provider=provider)
    token, now = secrets.token_urlsafe(32), installation.clock.now()
    with installation.database.for_team(team_id) as connection:
        check_plan(current_team(connection))
        known = accounts.account_by_address(connection, address) if address else None
        if known is not None and known.state != "disconnected" and not _is_same_account(known, kind, member.id):
            raise Conflict("address_in_use", address=address)
        connect_requests.add(
            connection,
            team_id,
            token_hash=hashed(token),
            member_id=member.id,
            provider=provider,
            kind=kind,
            address=address,
            collaborators=collaborators,
            history_from=history_from,
            expires_at=now + LINK_LIFETIME,
            visibility=visibility,
        )
        detail = {"member": member.id, "provider": provider, "address": address}
        audit(connection, team_id, made_by, "begin_connecting", detail, now)
    return Invitation(f"{installation.settings.public_base_url}/connect/{token}", now + LINK_LIFETIME)


def open_link(installation: Installation, token: str) -> OpenedLink:
    """Return what a link is for, without using it up: mail scanners open links too. Raises NotFound."""
    with team_of_link(installation, token_hash=hashed(token)) as (connection, _):
        request = connect_requests.usable(connection, hashed(token), installation.clock.now())
        if request is None or request.provider not in installation.mail:
            raise NotFound("link_not_valid")
        return opened_link(connection, request)


def start_consent(installation: Installation, token: str, browser: str, *, auto_link: bool) -> str:
    """Bind a link to a browser and return the provider's page where the mailbox owner gives consent.

    Raises NotFound for a link that is used, expired or bound to another browser, Conflict (plan_required).
    """
    opened = open_link(installation, token)
    check_plan(opened.team)
    request, state = opened.request, secrets.token_urlsafe(32)
    connector, come_back = installation.mail[request.provider], redirect_uri(installation, request.provider)
    if request.kind == "team" and request.address and isinstance(connector, SharedMailConnector):
        authorization = connector.authorize_shared(come_back, state, request.address)
    else:
        authorization = connector.authorize(come_back, state, request.address or opened.member.email)
    with installation.database.for_team(opened.team.id) as connection:
        started = connect_requests.start(
            connection,
            request.id,
            browser_hash=hashed(browser),
            state_hash=hashed(state),
            kept=seal(installation, opened.team.id, request.id, authorization.kept),
            auto_link=auto_link,
            now=installation.clock.now(),
        )
    if not started:
        raise NotFound("link_not_valid")
    return authorization.url


def start_here(
    installation: Installation,
    team_id: int,
    member: Member,
    session: str,
    provider: str,
    *,
    auto_link: bool,
    kind: AccountKind = "personal",
    address: str = "",
    collaborators: Collection[int] = (),
    history_from: datetime | None = None,
    visibility: Level = "full",
) -> str:
    """Let a signed-in member connect a mailbox at once; return the provider's page. The way back asks for `session`.

    Raises NotAllowed (not_administrator) for a team account, and what invite() and start_consent() raise.
    """
    if kind == "team" and member.role != "admin":
        raise NotAllowed("not_administrator")
    invitation = invite(
        installation,
        team_id,
        member,
        provider,
        kind=kind,
        address=address,
        collaborators=collaborators,
        history_from=history_from,
        visibility=visibility,
        made_by=member.id,
    )
    return start_consent(installation, invitation.token, session, auto_link=auto_link)


def finish_consent(
    installation: Installation, provider: str, args: Mapping[str, str], *browser: str
) -> Connected | Unconfirmed:
    """Take what the browser brought back from the provider and make the account, or ask which mailbox was meant.

    `browser` are its cookies, by one of which the consent was started.

    Raises NotFound for a state that is not this browser's or not this provider's, Conflict (plan_required,
    address_in_use, other_mailbox), and the connector's ProviderError.
    """
    with team_of_link(installation, state_hash=hashed(args.get("state", ""))) as (connection, team_id):
        opened = taken(connection, installation, provider, args.get("state", ""), *browser)
    kept = unseal(installation, team_id, opened.request)
    connected = installation.mail[provider].connect(redirect_uri(installation, provider), args, kept)
    if _is_own(opened.member, connected.address):
        return _admit(installation, team_id, opened, connected)
    state = secrets.token_urlsafe(32)
    with installation.database.for_team(team_id) as connection:
        connect_requests.wait_for_confirmation(
            connection,
            opened.request.id,
            state_hash=hashed(state),
            kept=seal(installation, team_id, opened.request.id, asdict(connected)),
        )
    return Unconfirmed(opened.team, opened.member, connected.address, state)


def confirm(installation: Installation, provider: str, state: str, *browser: str, meant: bool) -> Connected | None:
    """Make the account of a mailbox that was asked about; None when it was not meant and the consent is given back."""
    with team_of_link(installation, state_hash=hashed(state)) as (connection, team_id):
        opened = taken(connection, installation, provider, state, *browser)
    connected = ConnectedMailbox(**unseal(installation, team_id, opened.request))
    if meant:
        return _admit(installation, team_id, opened, connected)
    with installation.database.for_team(team_id) as connection:
        connect_requests.finish(connection, opened.request.id, installation.clock.now())
    _give_back(installation, opened.request.provider, team_id, connected)
    return None


def redirect_uri(installation: Installation, provider: str) -> str:
    """Return where the provider sends the browser back to: one path for each provider (W8)."""
    return f"{installation.settings.public_base_url}/connect/{provider}/callback"


# --- inside ---


def _admit(installation: Installation, team_id: int, opened: OpenedLink, connected: ConnectedMailbox) -> Connected:
    """Store the account with its secrets and enqueue its subscription; a refused mailbox gets its consent back."""
    try:
        with installation.database.for_team(team_id) as connection:
            account_id = _store(installation, connection, team_id, opened, connected)
            queue.defer(
                connection,
                "renew_subscription",
                [({"team_id": team_id, "account_id": account_id}, f"renew:{account_id}")],
            )
            queue.hint_accounts(connection, [account_id])
    except Conflict:
        _give_back(installation, opened.request.provider, team_id, connected)
        raise
    return Connected(opened.team, opened.member, connected.address, opened.request.kind)


def _store(
    installation: Installation, connection: sa.Connection, team_id: int, opened: OpenedLink, connected: ConnectedMailbox
) -> int:
    request, now = opened.request, installation.clock.now()
    check_plan(opened.team)
    known = accounts.matching(connection, request.provider, connected)
    if known is not None and (refusal := _refusal(connection, known, request, connected)) is not None:
        if known.state != "disconnected":
            raise refusal
        accounts.retire(connection, known.id)
        known = None
    if known is None:
        account_id = accounts.add(
            connection,
            team_id,
            request.provider,
            request.kind,
            connected,
            owner_id=request.member_id if request.kind == "personal" else None,
            auto_link=request.auto_link,
            history_from=request.history_from,
            now=now,
            collaborators=request.collaborators,
            visibility=request.visibility,
        )
    else:
        account_id = known.id
        accounts.reconnect(connection, account_id, connected.address, auto_link=request.auto_link, now=now)
    installation.secrets.store_account(connection, team_id, account_id, connected.secrets)
    connect_requests.finish(connection, request.id, now)
    action = "connect_account" if known is None else "connect_account_again"
    audit(connection, team_id, request.member_id, action, {"account_id": account_id}, now)
    return account_id


def _refusal(
    connection: sa.Connection, known: Account, request: ConnectRequest, connected: ConnectedMailbox
) -> Conflict | None:
    """Refuse an address that is connected another way (S17), and a recycled one that is another mailbox now (T9)."""
    if not _is_same_account(known, request.kind, request.member_id):
        return Conflict("address_in_use", address=connected.address)
    same_user = accounts.provider_user_id(connection, known.id) == connected.provider_user_id
    if known.provider != request.provider or known.mailbox != connected.mailbox or not same_user:
        return Conflict("other_mailbox", address=connected.address)
    return None


def _is_same_account(known: Account, kind: AccountKind, member_id: int) -> bool:
    return known.kind == kind and (kind == "team" or known.owner_id == member_id)


def _is_own(member: Member, address: str) -> bool:
    return normalize(member.email) == normalize(address)


@contextmanager
def team_of_link(installation: Installation, **known_by: bytes) -> Iterator[tuple[sa.Connection, int]]:
    """Open a transaction in the team of a link; which team that is shows only its hash."""
    with installation.database.without_team() as connection:
        team_id = lookups.team_of_connect_request(connection, **known_by)
    if team_id is None:
        raise NotFound("link_not_valid")
    with installation.database.for_team(team_id) as connection:
        yield connection, team_id


def taken(
    connection: sa.Connection, installation: Installation, provider: str, state: str, *browser: str
) -> OpenedLink:
    """Use up a state, once, for its provider and its browser, known by one of its cookies. Raises NotFound."""
    request = connect_requests.take(
        connection,
        provider=provider,
        state_hash=hashed(state),
        browser_hashes=[hashed(cookie) for cookie in browser if cookie],
        now=installation.clock.now(),
    )
    if request is None:
        raise NotFound("link_not_valid")
    return opened_link(connection, request)


def opened_link(connection: sa.Connection, request: ConnectRequest) -> OpenedLink:
    """Return whom and what a link is for. Raises NotFound when its member was removed since."""
    member = teams.member_by_id(connection, request.member_id)
    if member is None:  # removed since the link was made
        raise NotFound("link_not_valid")
    return OpenedLink(current_team(connection), member, request)


def _give_back(installation: Installation, provider: str, team_id: int, connected: ConnectedMailbox) -> None:
    """Revoke a consent that came to nothing, unless some account lives by it; best effort."""
    account = Account(
        id=0,
        public_id="",
        team_id=team_id,
        provider=provider,
        kind="personal",
        address=connected.address,
        mailbox=connected.mailbox,
        own_addresses=frozenset({connected.address}),
        auto_link=False,
        visibility="private",
        owner_id=None,
    )
    if is_read_by_others(installation, account):
        return
    try:
        installation.mail[provider].disconnect(Mailbox(account, Unstored(connected.secrets)), last=True)
    except ProviderError:
        return  # nothing is stored here; the grant ends with the provider's own rules


@dataclass(frozen=True, slots=True)
class Unstored:
    """Secrets that no row holds."""

    secrets: Mapping[str, Any]

    def read(self) -> dict[str, Any]:
        """Return the secrets."""
        return dict(self.secrets)

    @contextmanager
    def locked(self) -> Iterator[LockedCredentials]:
        """Hold nothing: nobody else knows of them."""
        yield self

    def write(self, secrets: Mapping[str, Any]) -> None:
        """Keep nothing."""


def seal(installation: Installation, team_id: int, request_id: int, value: Mapping[str, Any]) -> bytes:
    """Encrypt what a consent needs when the browser is back."""
    return installation.secrets.seal(dict(value), team_id=team_id, owner=f"connect_request/{request_id}", kind="kept")


def unseal(installation: Installation, team_id: int, request: ConnectRequest) -> dict[str, Any]:
    """Decrypt what was kept for a link. Raises NotFound when nothing is."""
    if request.kept is None:
        raise NotFound("link_not_valid")
    owner = f"connect_request/{request.id}"
    return installation.secrets.open(request.kept, team_id=team_id, owner=owner, kind="kept")


def hashed(value: str) -> bytes:
    """Return how a token, a state or a browser is stored."""
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest()
