"""MailConnector: reading the mail of one provider, and what a connector may offer besides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from app.errors import ProviderError
from app.model import Account, Handshake, Notification, ProviderMessage
from app.ports.http import Authorization, PushRequest
from app.ports.services import Credentials


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An account a connector is asked about, with its secrets.

    Of an account with chosen `folders` only messages in one of those are read, and sent mail; drafts, spam and trash
    never. Every other message is reported as left out by app.model.NOT_CHOSEN.
    """

    account: Account
    credentials: Credentials
    history_from: datetime | None = None  # how far back a first read or a recovery goes; None means from now on


@dataclass(frozen=True, slots=True)
class MailCapabilities:
    """What a connector can do; `missing` maps an absent capability to the sentence shown for it."""

    batch_size: int  # messages a fetch reads at once
    subscription_renew_before_s: int  # renew when fewer seconds are left
    authserv_id: str | None = None  # whose Authentication-Results count; "" = the topmost; None = nobody's
    subscriptions: bool = True
    folders: bool = False  # mail can be limited to chosen labels or folders: list_folders() says which there are
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConnectedMailbox:
    """A mailbox whose owner gave consent."""

    mailbox: str  # the provider's name of the mailbox in notifications: unique per provider
    provider_user_id: str  # stable id of the person or mailbox at the provider, never an address
    address: str
    secrets: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MailFolder:
    """A label or folder of a mailbox that may be chosen: none of sent mail, drafts, spam or trash."""

    id: str
    name: str  # as its owner wrote it; of a folder inside another with the names of those around it
    well_known: str = ""  # inbox, or another word that pages have a name for; "" for one the owner made


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
    filtered_by: str | None = None  # draft, spam, trash, chat, NOT_CHOSEN


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
    """Left out by a named rule that only showed when it was read (draft, spam, trash, chat, NOT_CHOSEN)."""

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

    def list_folders(self, mailbox: Mailbox) -> Sequence[MailFolder]:
        """Return the labels or folders that an account may be limited to; raises Unsupported without that capability.

        Exactly one is the inbox.
        """
        ...

    def list_changes(self, mailbox: Mailbox, cursor: str | None, until: str | None = None) -> Iterator[ChangePage]:
        """Yield what changed since the cursor, page by page, oldest first; without one, the mail since history_from.

        Each page may be recorded and its cursor kept: a later call goes on from there. A message that is reported
        both as left out and as one to read is read; one that comes into a chosen folder later is reported again.
        `until` is the highest position a notification named. Raises CursorExpired when the provider forgot the cursor.
        """
        ...

    def recover(self, mailbox: Mailbox, since: datetime) -> Iterator[ChangePage]:
        """Read the mailbox again since a moment, after CursorExpired: the position is pinned before the first page."""
        ...

    def list_window(self, mailbox: Mailbox, since: datetime) -> Iterator[tuple[Change, ...]]:
        """Yield every message id since a moment without touching a cursor: the audit compares them with ours.

        As in list_changes(), those left out by NOT_CHOSEN say so.
        """
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
