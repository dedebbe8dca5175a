"""Microsoft Graph as a MailConnector: the facade over consent, pushes, changes and reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.errors import PermanentError, Unavailable
from app.model import Handshake, Notification
from app.ports import (
    AddonCall,
    Authorization,
    Change,
    ChangePage,
    Clock,
    ConnectedMailbox,
    FetchOutcome,
    LockedCredentials,
    Mailbox,
    MailCapabilities,
    MailFolder,
    PushRequest,
    Services,
    Slots,
    Subscription,
)
from connectors.mail.graph.api import BATCH_PARTS, Access, GraphApi
from connectors.mail.graph.auth import PERSONAL_TENANT, Consent, GraphAuth
from connectors.mail.graph.changes import MailboxChanges
from connectors.mail.graph.failures import PROVIDER
from connectors.mail.graph.folders import FolderNames
from connectors.mail.graph.pane import PaneTokens
from connectors.mail.graph.push import ClientStates, PushReader
from connectors.mail.graph.reading import TEXTS_MISSING, MessageReader
from connectors.mail.graph.rich import RichNotifications
from connectors.mail.graph.settings import GraphSettings
from connectors.mail.graph.signing_keys import SigningKeys
from connectors.mail.graph.slots import LocalSlots
from connectors.mail.graph.subscriptions import RENEW_BEFORE, RICH_RENEW_BEFORE, Subscriptions

_PERSON = "$select=id,mail,userPrincipalName,proxyAddresses,otherMails"


@dataclass(frozen=True, slots=True)
class _NewConsent:
    """The credentials of a mailbox that has no row yet: nothing is shared, so nothing is locked or kept."""

    secrets: Mapping[str, Any]

    def read(self) -> dict[str, Any]:
        return dict(self.secrets)

    def write(self, secrets: Mapping[str, Any]) -> None:
        """Keep nothing: the first call for the connected account refreshes again."""

    def locked(self) -> AbstractContextManager[LockedCredentials]:
        return nullcontext(self)


class GraphConnector:
    """Reads Exchange Online mailboxes."""

    provider = PROVIDER

    def __init__(self, settings: GraphSettings, services: Services) -> None:
        clock: Clock = services.clock
        slots: Slots = services.slots or LocalSlots()
        keys = SigningKeys(settings, clock)
        rich = RichNotifications(settings, clock, keys) if settings.notifications == "rich" else None
        states = ClientStates(services.secret)
        self._settings = settings
        self._auth = GraphAuth(settings, clock)
        self._push = PushReader(states, rich)
        self._pane = PaneTokens(settings, clock, keys)
        self.pane_sign_in = self._pane.sign_in
        self._api = GraphApi(settings, self._auth, slots, clock)
        names = FolderNames(self._api, clock)
        url = f"{services.public_base_url}/webhooks/{PROVIDER}"
        self._subscriptions = Subscriptions(self._api, states, rich, url, clock)
        self._names = names
        self._changes = MailboxChanges(self._api, names, settings, clock)
        self._reader = MessageReader(self._api, names, settings)
        self.capabilities = MailCapabilities(
            batch_size=BATCH_PARTS,
            subscription_renew_before_s=int((RICH_RENEW_BEFORE if rich else RENEW_BEFORE).total_seconds()),
            authserv_id="",  # Exchange Online writes none: the topmost is its own
            subscriptions=settings.notifications != "off",
            folders=True,
            missing=_missing(settings),
        )

    def read_push(self, request: PushRequest) -> list[Notification] | Handshake:
        """Verify and decode what Graph pushed."""
        return self._push.read(request)

    def read_pane_token(self, token: str) -> AddonCall:
        """Verify a token of the Outlook pane."""
        return self._pane.read(token)

    def authorize(self, redirect_uri: str, state: str, login_hint: str | None) -> Authorization:
        """Start the consent of one Microsoft account."""
        return self._auth.authorize(redirect_uri, state, login_hint)

    def authorize_shared(self, redirect_uri: str, state: str, address: str) -> Authorization:
        """Start the consent for a shared mailbox, as GRAPH_TEAM_ACCESS says."""
        if self._settings.team_access == "application":
            return self._auth.authorize_application(redirect_uri, state, address)
        return self._auth.authorize(redirect_uri, state, None, mailbox=address)

    def connect(self, redirect_uri: str, args: Mapping[str, str], kept: Mapping[str, str]) -> ConnectedMailbox:  # noqa: ARG002  # msal keeps the address with the flow
        """Exchange the code, check what was granted, and ask Graph for the mailbox's own name."""
        consent = self._auth.exchange(args, kept)
        if consent.mailbox and consent.user:
            return self._shared_mailbox(consent)
        access = Access(f"{consent.tenant}/{consent.mailbox}", _NewConsent(consent.secrets))
        path = "/me" if consent.user else access.user
        person = self._api.call(access, "user", "GET", f"{path}?{_PERSON}")
        user, address = person.get("id"), _address(person)
        is_other = consent.user and consent.tenant != PERSONAL_TENANT and user != consent.user
        if not isinstance(user, str) or not user or not address or is_other:
            raise Unavailable("Graph did not say whose mailbox it is", provider=PROVIDER, operation="connect")
        return ConnectedMailbox(f"{consent.tenant}/{user}", user, address, consent.secrets)

    def disconnect(self, mailbox: Mailbox, *, last: bool) -> None:
        """Forget the tokens; for the last account of the mailbox end the subscription, which all accounts share.

        Microsoft has no way to take one application's consent back for a person: they do it at myapps.microsoft.com.
        """
        if last and mailbox.credentials.read():
            with suppress(PermanentError):  # access that has ended already is what is wanted
                self._subscriptions.end(mailbox)
        with mailbox.credentials.locked() as row:
            row.write({})

    def subscribe(self, mailbox: Mailbox) -> Subscription:
        """Renew the mailbox's subscription or make it. Raises Unsupported for a mailbox that is only polled."""
        return self._subscriptions.renew(mailbox)

    def own_addresses(self, mailbox: Mailbox) -> frozenset[str]:
        """Return the mailbox's address and its aliases."""
        addresses = {mailbox.account.address.lower()}
        if mailbox.credentials.read().get("kind") != "shared":  # another person's record is not ours to read
            access = Access.of(mailbox)
            person = self._api.call(access, "user", "GET", f"{access.user}?{_PERSON}")
            proxies = person.get("proxyAddresses")
            listed = [_address(person), *(proxies if isinstance(proxies, list) else [])]
            for entry in listed[:500]:
                kind, _, address = str(entry).rpartition(":")
                if kind.lower() in {"", "smtp"} and "@" in address:
                    addresses.add(address.strip().lower())
        return frozenset(addresses)

    def list_folders(self, mailbox: Mailbox) -> Sequence[MailFolder]:
        """Return the folders to choose from."""
        return self._names.listed(Access.of(mailbox))

    def list_changes(self, mailbox: Mailbox, cursor: str | None, until: str | None = None) -> Iterator[ChangePage]:  # noqa: ARG002  # Graph's pushes name no position
        """Yield what changed since the cursor, page by page."""
        return self._changes.since_cursor(mailbox, cursor)

    def recover(self, mailbox: Mailbox, since: datetime) -> Iterator[ChangePage]:
        """Read the mailbox again since a moment, from positions made before."""
        return self._changes.recover(mailbox, since)

    def list_window(self, mailbox: Mailbox, since: datetime) -> Iterator[tuple[Change, ...]]:
        """Yield every message id since a moment."""
        return self._changes.window(mailbox, since)

    def fetch(self, mailbox: Mailbox, provider_ids: Sequence[str]) -> list[FetchOutcome]:
        """Read messages in one batch."""
        return self._reader.fetch(mailbox, provider_ids)

    def fetch_original(self, mailbox: Mailbox, provider_id: str) -> bytes:
        """Return a mail whole, as it arrived."""
        return self._reader.original(mailbox, provider_id)

    def web_url(self, mailbox: Mailbox, provider_id: str) -> str:
        """Return the mail's page in Outlook on the web."""
        return self._reader.web_url(mailbox, provider_id)

    def _shared_mailbox(self, consent: Consent) -> ConnectedMailbox:
        """Make sure that whoever signed in may read the shared mailbox; its address is the only name they know."""
        address = consent.mailbox.lower()
        access = Access(f"{consent.tenant}/{address}", _NewConsent(consent.secrets))
        self._api.call(access, "folders", "GET", f"{access.user}/mailFolders/inbox?$select=id")
        return ConnectedMailbox(access.name, address, address, consent.secrets)


def _address(person: Mapping[str, Any]) -> str:
    for key in ("mail", "userPrincipalName"):
        value = person.get(key)
        if isinstance(value, str) and "@" in value and len(value) <= 320:
            return value.strip().lower()
    return ""


def _missing(settings: GraphSettings) -> dict[str, str]:
    missing = {}
    if not settings.client_id:
        missing["connect"] = "GRAPH_CLIENT_ID is not set: no mailbox can be connected."
    if settings.notifications == "off":
        missing["subscriptions"] = "GRAPH_NOTIFICATIONS is off: new mail is found by asking every few minutes."
    if settings.scopes == "basic":
        missing["texts"] = TEXTS_MISSING
    return missing
