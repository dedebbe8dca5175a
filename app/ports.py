"""The two vendor-facing contracts, MailConnector and CrmAdapter, and what an implementation is given.

A connector or adapter is an ordinary object; testing.MailConnectorSuite and testing.CrmAdapterSuite say what it must
do. Everything it needs from threadlink comes through the small protocols below, so it can be tested alone.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from app.errors import ProviderError
from app.model import (
    Account,
    ConversationNote,
    Handshake,
    Item,
    ItemKind,
    ItemRef,
    Notification,
    Person,
    ProviderMessage,
    RecordKind,
)

# --- what threadlink gives ---


class Clock(Protocol):
    """The time, injected."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...


class Credentials(Protocol):
    """The secrets of one account or CRM connection, encrypted at rest, bound to their row."""

    def read(self) -> dict[str, Any]:
        """Return the stored secrets; empty when there are none."""
        ...

    def locked(self) -> AbstractContextManager[LockedCredentials]:
        """Hold the row lock while secrets are refreshed, so that two processes never refresh at once."""
        ...


class LockedCredentials(Protocol):
    """Secrets whose row is locked: read again, then write."""

    def read(self) -> dict[str, Any]: ...

    def write(self, secrets: Mapping[str, Any]) -> None: ...


class Database(Protocol):
    """A team's transaction, for the vendors that live in our own PostgreSQL (crm/embedded, mail/smart_bcc)."""

    def transaction(self, team_id: int) -> AbstractContextManager[Any]:
        """Open a SQLAlchemy connection in a transaction under that team's row-level security."""
        ...


class Slots(Protocol):
    """Places that all processes share, where a provider bears only so many requests at once."""

    def hold(self, name: str, wanted: int, of: int) -> AbstractContextManager[None]:
        """Hold `wanted` of the `of` places of a name. Raises TimeoutError when they do not come free in time."""
        ...


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """What a team's webhook answered; nothing of the body."""

    status: int
    retry_after_s: float | None = None


class WebhookSender(Protocol):
    """Calling the addresses that teams name (entry point `threadlink.webhooks`), which nobody vouches for (W13)."""

    def accepts(self, url: str) -> bool:
        """Say whether an address is one that may be called, as far as it shows without looking it up."""
        ...

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        """Post a body once. Raises Rejected for an address that may not be called, Unavailable without an answer."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """What a connector or adapter is built with."""

    clock: Clock
    public_base_url: str
    environ: Mapping[str, str]  # where a vendor's own settings class reads
    database: Database | None = None
    slots: Slots | None = None  # None: whoever is built limits itself within its process
    mail_domain: str = ""  # of the addresses at which this installation takes mail itself; "" when it takes none
    # What only this installation knows, the same in all its processes; one made up where none is given.
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An account a connector is asked about, with its secrets."""

    account: Account
    credentials: Credentials
    history_from: datetime | None = None  # how far back a first read or a recovery goes; None means from now on


# --- mail: inbound ---


@dataclass(frozen=True, slots=True)
class PushRequest:
    """A webhook request as plain data; header names are lower case."""

    method: str
    headers: Mapping[str, str]
    args: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class MailCapabilities:
    """What a connector can do; `missing` maps an absent capability to the sentence shown for it."""

    batch_size: int  # messages a fetch reads at once
    subscription_renew_before_s: int  # renew when fewer seconds are left
    authserv_id: str | None = None  # whose Authentication-Results count; "" = the topmost; None = nobody's
    subscriptions: bool = True
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Authorization:
    """Where to send the browser to give consent, and what to keep until it comes back."""

    url: str
    kept: Mapping[str, str]  # PKCE verifier and the like; stored encrypted, given back to connect()


@dataclass(frozen=True, slots=True)
class ConnectedMailbox:
    """A mailbox whose owner gave consent."""

    mailbox: str  # the provider's name of the mailbox in notifications: unique per provider
    provider_user_id: str  # stable id of the person or mailbox at the provider, never an address
    address: str
    secrets: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Subscription:
    """Our registration for pushes."""

    external_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """One message id that a mailbox reported. `filtered_by` names the rule that leaves it out, or is None."""

    provider_id: str
    provider_thread_id: str = ""
    deleted: bool = False
    filtered_by: str | None = None  # draft, spam, trash, chat


@dataclass(frozen=True, slots=True)
class ChangePage:
    """Changes, and the cursor that is right once they are recorded.

    `complete` is False when the provider has not yet shown all that a notification promised: ask again soon.
    """

    changes: tuple[Change, ...]
    cursor: str
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Fetched:
    provider_id: str
    message: ProviderMessage


@dataclass(frozen=True, slots=True)
class GoneMessage:
    """The provider has it no more."""

    provider_id: str


@dataclass(frozen=True, slots=True)
class FilteredMessage:
    """Left out by a named rule that only showed when it was read (draft, spam, trash, chat)."""

    provider_id: str
    rule: str


@dataclass(frozen=True, slots=True)
class FailedMessage:
    """This one message could not be read now (or, with a PermanentError, ever); the others are not held up."""

    provider_id: str
    error: ProviderError


FetchOutcome = Fetched | GoneMessage | FilteredMessage | FailedMessage


@runtime_checkable
class MailConnector(Protocol):
    """Inbound mail of one provider. Raises only errors of app.errors."""

    provider: str
    capabilities: MailCapabilities

    def read_push(self, request: PushRequest) -> list[Notification] | Handshake:
        """Verify and decode a push without calling the provider's mail API.

        Raises NotificationForged, NotificationMalformed or VerificationUnavailable.
        """
        ...

    def authorize(self, redirect_uri: str, state: str, login_hint: str | None) -> Authorization:
        """Start the consent of one mailbox owner."""
        ...

    def connect(self, redirect_uri: str, args: Mapping[str, str], kept: Mapping[str, str]) -> ConnectedMailbox:
        """Turn what the browser brought back into a mailbox. Raises AccessRevoked, AdminBlocked, …"""
        ...

    def disconnect(self, mailbox: Mailbox, *, last: bool) -> None:
        """Forget our access; end subscription and consent at the provider only for the last account of the mailbox."""
        ...

    def subscribe(self, mailbox: Mailbox) -> Subscription:
        """Create or renew our registration for pushes; calling it again is harmless. The cursor is not touched.

        Raises Unsupported for a mailbox about which the provider does not push: it is polled.
        """
        ...

    def own_addresses(self, mailbox: Mailbox) -> frozenset[str]:
        """Return every address the mailbox sends or receives as, the main one included, lower case."""
        ...

    def list_changes(self, mailbox: Mailbox, cursor: str | None, until: str | None = None) -> Iterator[ChangePage]:
        """Yield what changed since the cursor, page by page, oldest first; without one, the mail since history_from.

        Each page may be recorded and its cursor kept: a later call goes on from there. `until` is the highest
        position a notification named. Raises CursorExpired when the provider forgot the cursor.
        """
        ...

    def recover(self, mailbox: Mailbox, since: datetime) -> Iterator[ChangePage]:
        """Read the mailbox again since a moment, after CursorExpired: the position is pinned before the first page."""
        ...

    def list_window(self, mailbox: Mailbox, since: datetime) -> Iterator[tuple[Change, ...]]:
        """Yield every message id since a moment without touching a cursor: the audit compares them with ours."""
        ...

    def fetch(self, mailbox: Mailbox, provider_ids: Sequence[str]) -> list[FetchOutcome]:
        """Read at most `capabilities.batch_size` messages, one outcome each, in any order."""
        ...


@dataclass(frozen=True, slots=True)
class Pulled:
    """A batch of notifications that were fetched; empty when none came for a while.

    `acknowledge` is called once their hints are committed. Without it they come again, which is harmless.
    """

    notifications: tuple[Notification, ...]
    acknowledge: Callable[[], None]
    unreadable: int = 0  # messages left out: acknowledged as well, for sending them again would not help


class NotificationSource(Protocol):
    """Where notifications are fetched by an installation that the provider cannot push to."""

    def pull(self, stop: Callable[[], bool]) -> Iterator[Pulled]:
        """Yield batches until stop() is true; it may wait minutes for the next one.

        Raises ProviderError; whoever pulls calls it again after a while.
        """
        ...


@runtime_checkable
class PullingConnector(Protocol):
    """What a MailConnector offers besides when its provider's notifications can be fetched."""

    def pull_source(self) -> NotificationSource | None:
        """Return where to fetch them, or None when that is not set up. Raises SettingsError when it is set up wrong."""
        ...


@runtime_checkable
class SharedMailConnector(Protocol):
    """What a MailConnector offers besides when access to a shared mailbox is given in another way than to one's own."""

    def authorize_shared(self, redirect_uri: str, state: str, address: str) -> Authorization:
        """Start the consent for the shared mailbox with this address; connect() ends it."""
        ...


@dataclass(frozen=True, slots=True)
class AddonCall:
    """What somebody did in an add-on that a vendor shows beside a mailbox; the vendor vouches for who it is.

    `parameters` and `inputs` come from that person's screen: like all that is asked, they are judged by the person's
    rights.
    """

    user_id: str  # as `provider_user_id` or `mailbox` of a ConnectedMailbox; "" when the person does not let us know it
    issuer: str = ""  # what signing in calls the OpenID Connect issuer to which `user_id` is a person too
    address: str = ""  # what people call that person's mailbox: for showing, never for knowing somebody by it
    message_id: str = ""  # the provider's id of the open message; "" when none is open
    locale: str = ""
    time_zone: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()  # permissions that the person did not give, as the vendor calls them
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)  # of this call alone, for read_open_message()


@runtime_checkable
class AddonConnector(Protocol):
    """What a MailConnector offers besides when its vendor shows an add-on of ours beside a message."""

    def read_addon_call(self, request: PushRequest, url: str) -> AddonCall:
        """Verify that the vendor called this very URL for our add-on, and read the call; the mail API is not asked.

        Raises NotificationForged, NotificationMalformed or VerificationUnavailable.
        """
        ...

    def read_open_message(self, call: AddonCall) -> ProviderMessage | None:
        """Read the headers of the open message with what the call brought; None when it is gone, or was not allowed.

        Raises ProviderError.
        """
        ...


@dataclass(frozen=True, slots=True)
class PaneSignIn:
    """What a page of ours needs that a vendor frames beside a message: its script, and how its people sign in there."""

    client_id: str
    authority: str
    scope: str  # of the access token for our own API
    script_url: str


@runtime_checkable
class PaneConnector(Protocol):
    """What a MailConnector offers besides when its vendor frames a page of ours beside a message (Outlook)."""

    pane_sign_in: PaneSignIn

    def read_pane_token(self, token: str) -> AddonCall:
        """Verify an access token that the vendor gave the page for our own API; return who it is, and nothing else.

        `user_id` is as `ConnectedMailbox.mailbox`. Raises NotificationForged or VerificationUnavailable.
        """
        ...


@runtime_checkable
class OriginalMail(Protocol):
    """What a MailConnector offers besides when a mail can be read again where it lies."""

    def fetch_original(self, mailbox: Mailbox, provider_id: str) -> bytes:
        """Return a mail whole, as it arrived (RFC 5322).

        Raises Gone for one that was deleted or thrown away, Rejected for one that is too large, Unsupported when the
        consent covers headers only.
        """
        ...

    def web_url(self, mailbox: Mailbox, provider_id: str) -> str:
        """Return where the owner of the mailbox reads this mail in a browser. Raises as fetch_original() does."""
        ...


class SimulatedMail(Protocol):
    """An HTTP server that behaves like a mail provider, for demo, tests and benchmarks."""

    provider: str

    def start(self, clock: Clock) -> Mapping[str, str]:
        """Start serving on a free local port; return the settings (environment) that point the connector at it."""
        ...

    def stop(self) -> None: ...

    def push_to(self, url: str) -> None:
        """Send pushes to this URL from now on; each is signed as the provider signs."""
        ...

    def add_mailbox(self, address: str, aliases: Sequence[str] = ()) -> None: ...

    def consent(self, authorization_url: str, address: str) -> str:
        """Act as the mailbox owner's browser: give consent, return the URL the browser is sent back to."""
        ...

    def deliver(self, address: str, raw: bytes, *, at: datetime, folder: str = "inbox", push: bool = True) -> str:
        """Put a message (RFC 5322 bytes) into a mailbox; return its provider id."""
        ...

    def delete(self, address: str, provider_id: str) -> None: ...

    def fault(self, kind: str, **params: Any) -> None:
        """Arm a fault; `fault_kinds` lists the names."""
        ...

    @property
    def fault_kinds(self) -> frozenset[str]: ...

    def settle(self) -> None:
        """Return when every push sent so far was answered or given up."""
        ...

    def usage(self, address: str) -> Mapping[str, int]:
        """Return what the mailbox cost so far: `units`, `requests`, and a count for each operation."""
        ...

    def message_ids(self, address: str) -> frozenset[str]:
        """Return every message id the mailbox ever listed."""
        ...


@runtime_checkable
class SimulatedAddonHost(Protocol):
    """What a SimulatedMail offers besides when it shows an add-on beside its messages, in a browser."""

    def show_addon(self, deployment: Mapping[str, Any]) -> str:
        """Install the add-on of this deployment (manifest.gmail); return the address of the page where to see it."""
        ...


@runtime_checkable
class SimulatedPaneHost(Protocol):
    """What a SimulatedMail offers besides when it frames a page of ours beside its messages, in a browser."""

    def show_pane(self, url: str) -> str:
        """Frame the page at this URL; return the address of the page where to see it."""
        ...


# --- CRM: outbound ---


@dataclass(frozen=True, slots=True)
class CrmCapabilities:
    """What an adapter can do; `missing` maps an absent capability to the sentence shown for it."""

    kinds: frozenset[ItemKind]
    create_person: bool = True
    create_item: bool = True
    webhooks: bool = False  # read_webhook() answers
    records: bool = False  # implements CrmRecords
    read_through: bool = False  # changes_since() may lag: an address that the mirror does not know is asked for once
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CrmIdentity:
    """Whose CRM this is; items are keyed by company."""

    company: str
    user_id: str
    user_name: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class CrmOrganization:
    ref: ItemRef
    name: str
    deleted: bool = False
    visible_to: tuple[str, ...] | None = None  # ids of CRM users, sorted; None: everybody in the company


@dataclass(frozen=True, slots=True)
class Merge:
    """One record went into another: a lead converted to a deal, persons merged."""

    gone: ItemRef
    into: ItemRef


@dataclass(frozen=True, slots=True)
class CrmChanges:
    """A page of records as they are now, and the cursor that is right once they are mirrored."""

    cursor: str
    persons: tuple[Person, ...] = ()
    organizations: tuple[CrmOrganization, ...] = ()
    items: tuple[Item, ...] = ()
    merges: tuple[Merge, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchHit:
    ref: ItemRef
    title: str
    state: str
    organization_name: str = ""


@dataclass(frozen=True, slots=True)
class LinkWrite:
    """A conversation to show on an item, with the records it is related to."""

    item: ItemRef
    persons: tuple[ItemRef, ...]
    organizations: tuple[ItemRef, ...]
    note: ConversationNote


@dataclass(frozen=True, slots=True)
class WrittenLink:
    """What the CRM holds for a written link."""

    external_id: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class CrmEvent:
    """A CRM webhook's hint that records may have changed. It carries no truth: what it names is read again.

    The references' connection_id may be 0.
    """

    connection_public_id: str
    event_id: str = ""  # the CRM's name of the event, the same when it is sent again; "" when it has none
    records: tuple[ItemRef, ...] = ()
    merges: tuple[Merge, ...] = ()  # as the event claims; CrmRereading.read_records() says which are true


@dataclass(frozen=True, slots=True)
class CrmUser:
    """Somebody who works in the CRM."""

    user_id: str
    name: str
    email: str
    is_active: bool = True
    sees_everything: bool = False  # an administrator to whom the CRM hides nothing


@dataclass(frozen=True, slots=True)
class CrmConnection:
    """A team's CRM, as an adapter is opened with."""

    id: int
    team_id: int
    public_id: str
    adapter: str
    company: str
    credentials: Credentials
    settings: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class CrmAdapter(Protocol):
    """Outbound port: one CRM connection of one team. Raises only errors of app.errors."""

    capabilities: CrmCapabilities

    def who_am_i(self) -> CrmIdentity: ...

    def people_by_address(self, addresses: Sequence[str]) -> list[Person]:
        """Return every person with one of the addresses (primary or secondary), exact match, case ignored."""
        ...

    def items_of_people(self, persons: Sequence[ItemRef]) -> list[Item]:
        """Return the deals, leads and projects whose main contact or participant is one of the persons, any state."""
        ...

    def search(self, query: str, kinds: Sequence[str] = (), limit: int = 20) -> list[SearchHit]:
        """Find items by words of their title, closed ones included; folds case and marks (Turkish and Latin)."""
        ...

    def get(self, ref: ItemRef) -> Item | None:
        """Return the item as it is now; None when the CRM does not know it."""
        ...

    def create_person(self, name: str, addresses: Sequence[str], organization: ItemRef | None = None) -> Person: ...

    def create_item(
        self, kind: ItemKind, title: str, person: ItemRef | None, organization: ItemRef | None = None
    ) -> Item: ...

    def find_link(self, write: LinkWrite) -> WrittenLink | None:
        """Look for our own marker on the item: what an unfinished intent left behind."""
        ...

    def write_link(self, write: LinkWrite) -> WrittenLink:
        """Show the conversation on the item and its related records, in one call. Raises Gone for a deleted item."""
        ...

    def update_link(self, written: WrittenLink, write: LinkWrite) -> WrittenLink:
        """Bring it up to date. Raises Gone when somebody deleted it in the CRM."""
        ...

    def remove_link(self, written: WrittenLink, item: ItemRef) -> None:
        """Take it off the item; removing what is gone already is no error."""
        ...

    def changes_since(self, cursor: str | None) -> Iterator[CrmChanges]:
        """Yield records of all states changed since the cursor, oldest first; everything without one."""
        ...

    def read_webhook(self, request: PushRequest) -> list[CrmEvent]:
        """Verify and decode a push of the CRM without calling it; a hint, never truth.

        Empty for what this connection itself did. Raises NotificationForged (wrong secret, another company, a webhook
        that is not this connection's), NotificationMalformed, Unsupported.
        """
        ...


# --- what a CrmAdapter offers besides, where its CRM can ---


@runtime_checkable
class CrmRereading(Protocol):
    """Reading single records again: for a CRM whose changes_since() does not show every deletion or merge."""

    def read_records(self, records: Sequence[ItemRef], merges: Sequence[Merge] = ()) -> CrmChanges:
        """Return these records as they are now, and those of the merges that the CRM confirms.

        A record that the CRM knows no more comes back as deleted, when its kind and id are all that is known of it with
        an empty name; the cursor of the answer is not read. At most 100 records and merges a call.
        """
        ...


@runtime_checkable
class CrmSubscribing(Protocol):
    """Having the CRM send webhooks."""

    def subscribe(self, url: str) -> None:
        """Have the CRM push to this URL; called after connecting and once a day, it creates only what is missing.

        Secrets that the pushes are verified with are kept in the connection's credentials.
        """
        ...

    def unsubscribe(self) -> None:
        """End every push to us; one that is gone already is no error."""
        ...


@runtime_checkable
class CrmDirectory(Protocol):
    """Knowing who works in the CRM: needed where records have `visible_to`, to know which members may see them."""

    def users(self) -> list[CrmUser]:
        """Return everybody who works in the CRM; members are recognised by their address."""
        ...


@runtime_checkable
class CrmRevoking(Protocol):
    """Giving our access back."""

    def revoke(self) -> None:
        """End our access at the CRM; ending it twice is no error."""
        ...


# --- connecting a CRM ---


@dataclass(frozen=True, slots=True)
class ConnectedCrm:
    """A CRM whose owner gave consent, or whose token works."""

    identity: CrmIdentity
    secrets: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)  # nothing secret: kept readable beside the connection


@dataclass(frozen=True, slots=True)
class CrmUninstall:
    """A CRM's word that a company took our access away."""

    company: str
    user_id: str = ""  # whose access ended; "" for the whole company's


class CrmConsent(Protocol):
    """How a CRM is connected (entry point `threadlink.crm_consent`): in the browser, with a token, or both.

    An adapter without one needs neither, as the embedded CRM.
    """

    by_browser: bool  # an application of ours is set up at the CRM, so authorize() and connect() work
    options: Mapping[str, str]  # what connect_with_token() may be given, each with one line for `--option NAME=VALUE`

    def authorize(self, redirect_uri: str, state: str) -> Authorization:
        """Start the consent. Raises Unsupported unless by_browser."""
        ...

    def connect(self, redirect_uri: str, args: Mapping[str, str], kept: Mapping[str, str]) -> ConnectedCrm:
        """Turn what the browser brought back into a connected CRM. Raises AccessRevoked, AdminBlocked, …"""
        ...

    def connect_with_token(self, token: str, options: Mapping[str, str]) -> ConnectedCrm:
        """Try a token (or password) at the CRM. Raises Unsupported, AccessRevoked when it is wrong, Rejected."""
        ...

    def read_uninstall(self, request: PushRequest) -> CrmUninstall:
        """Verify and decode what the CRM sends to the redirect URI when our application is removed.

        Raises NotificationForged, NotificationMalformed, Unsupported.
        """
        ...


@dataclass(frozen=True, slots=True)
class PanelVisit:
    """Which of the CRM's users looks at which record; the CRM vouches for the user, not for the record."""

    company: str
    user_id: str
    kind: RecordKind
    external_id: str


class CrmPanel(Protocol):
    """A panel of ours inside the CRM's own pages (entry point `threadlink.crm_panel`)."""

    ancestors: str  # the sites that may frame it, as frame-ancestors of a Content-Security-Policy names them
    script: str  # a file of app/web/static/vendor that the CRM wants a panel to load; "" for none

    def read_visit(self, args: Mapping[str, str]) -> PanelVisit:
        """Verify and read a visit. Raises NotificationForged, NotificationMalformed, Unsupported."""
        ...


class CrmRecords(Protocol):
    """Keeping the records themselves: the embedded CRM, and simulated ones. Ids are the caller's, as text."""

    def put_organization(self, external_id: str, name: str) -> None: ...

    def put_person(
        self, external_id: str, name: str, addresses: Sequence[str], organization: str | None = None
    ) -> None: ...

    def put_item(
        self,
        kind: ItemKind,
        external_id: str,
        title: str,
        *,
        state: str = "open",
        created_at: datetime | None = None,
        person: str | None = None,
        participants: Sequence[str] = (),
        organization: str | None = None,
    ) -> None:
        """Create the item or overwrite it; created_at defaults to now and is kept when it exists."""
        ...

    def change(self, kind: str, external_id: str, changes: Mapping[str, Any]) -> None:
        """Set fields (status, title, person, participants, organization, name, emails) of an existing record."""
        ...

    def delete(self, kind: str, external_id: str) -> None: ...

    def restore(self, kind: str, external_id: str) -> None: ...

    def convert_lead(self, lead: str, deal: str) -> None:
        """Make a deal from a lead: the deal keeps the lead's creation time, the lead becomes converted."""
        ...

    def merge_persons(self, gone: str, into: str) -> None: ...

    def notes(self, kind: str, external_id: str) -> list[str]:
        """Return the plain text of every note on the record, oldest first."""
        ...


class SimulatedCrm(CrmRecords, Protocol):
    """An HTTP server that behaves like a CRM, for demo, tests and benchmarks. Its records keep the caller's ids too."""

    company: str  # what who_am_i() of the connection says
    secrets: Mapping[str, Any]  # what a connection holds once an administrator connected it

    def start(self, clock: Clock) -> Mapping[str, str]:
        """Start serving on a free local port; return the settings (environment) that point the adapter at it."""
        ...

    def stop(self) -> None: ...

    def push_to(self, url: str) -> None:
        """Reach the addresses webhooks were registered with at this origin from now on."""
        ...

    def fault(self, kind: str, **params: Any) -> None:
        """Arm a fault; `fault_kinds` lists the names."""
        ...

    @property
    def fault_kinds(self) -> frozenset[str]: ...

    def settle(self) -> None:
        """Return when every webhook sent so far was answered or given up."""
        ...

    def usage(self) -> Mapping[str, int]:
        """Return what the CRM was asked for so far: `requests`, `tokens`, `reads`, `writes`, and each operation."""
        ...

    def crm_id(self, kind: str, external_id: str) -> str:
        """Return the id the CRM itself gave a record that was put under the caller's."""
        ...

    def callers_id(self, kind: str, crm_id: str) -> str:
        """Return the caller's id of a record; the CRM's own when it was made through the API."""
        ...
