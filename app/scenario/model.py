"""A scenario in memory: a team, its mail, its CRM, what happens, and what must be true afterwards.

Records of the CRM are named as people write them: "deal/d1" for an item, the bare id for a person or an organization.
Members are named by e-mail, accounts by address, messages and their conversations by key. read.py reads the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal

from app.model import AccountKind, Level, Policy

Elsewhere = Literal["skip", "move"]


# --- what stands there from the start --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ScenarioTeam:
    domains: tuple[str, ...] = ()
    plan: str = "unrestricted"
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True, slots=True)
class ScenarioMember:
    name: str
    email: str
    role: Literal["admin", "member"]


@dataclass(frozen=True, slots=True)
class ScenarioAccount:
    """One mail address; `owner` is a member's e-mail, None for a team account."""

    address: str
    provider: str
    kind: AccountKind
    owner: str | None
    collaborators: tuple[str, ...] = ()
    auto_link: bool = True
    aliases: tuple[str, ...] = ()
    visibility: Level = "full"

    @property
    def own_addresses(self) -> frozenset[str]:
        """Every address the mailbox sends as, lower case."""
        return frozenset(address.lower() for address in (self.address, *self.aliases))


@dataclass(frozen=True, slots=True)
class CrmOrganizationRecord:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class CrmPersonRecord:
    id: str
    name: str
    emails: tuple[str, ...] = ()
    organization: str | None = None


@dataclass(frozen=True, slots=True)
class CrmItemRecord:
    kind: str
    id: str
    title: str
    status: str
    created_at: datetime
    person: str | None = None
    participants: tuple[str, ...] = ()
    organization: str | None = None


CrmRecord = CrmOrganizationRecord | CrmPersonRecord | CrmItemRecord


# --- what happens ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MailEvent:
    """A message and the mailboxes that get a copy of it, in the order of delivery.

    `headers` are (name, value) pairs as written, topmost first; they replace the generated headers of the same name,
    and None leaves the header out. With `eml` the bytes of that file are the message.
    """

    index: int
    at: datetime  # the provider's time
    key: str
    mailboxes: tuple[str, ...]
    sender: str | None = None
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    reply_to: str | None = None
    subject: str | None = None
    text: str = ""
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    message_id: str | None = None
    date_header: str | None = None
    attachments: tuple[str, ...] = ()
    headers: tuple[tuple[str, str | None], ...] = ()
    folders: Mapping[str, str] = field(default_factory=dict)
    eml: bytes | None = None
    delivered_at: datetime | None = None  # when the mailbox shows it, if later

    @property
    def due(self) -> datetime:
        """When the mailbox shows it."""
        return self.delivered_at or self.at


@dataclass(frozen=True, slots=True)
class CreateRecord:
    record: CrmRecord


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    kind: str
    id: str
    changes: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class DeleteRecord:
    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class RestoreRecord:
    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class ConvertLead:
    lead: str
    deal: str


@dataclass(frozen=True, slots=True)
class MergePersons:
    gone: str
    into: str


CrmOperation = CreateRecord | ChangeRecord | DeleteRecord | RestoreRecord | ConvertLead | MergePersons


@dataclass(frozen=True, slots=True)
class CrmEvent:
    """Somebody works in the CRM."""

    index: int
    at: datetime
    operation: CrmOperation

    @property
    def due(self) -> datetime:
        """When it happens."""
        return self.at


@dataclass(frozen=True, slots=True)
class LinkAction:
    conversation: str
    item: str


@dataclass(frozen=True, slots=True)
class UnlinkAction:
    conversation: str


@dataclass(frozen=True, slots=True)
class DismissAction:
    conversation: str


@dataclass(frozen=True, slots=True)
class AcceptAction:
    """Take the first suggestion of the review queue."""

    conversation: str


@dataclass(frozen=True, slots=True)
class BulkLinkAction:
    conversations: tuple[str, ...]
    item: str
    elsewhere: Elsewhere


@dataclass(frozen=True, slots=True)
class UndoAction:
    event: int  # the index of the action that is undone


@dataclass(frozen=True, slots=True)
class SetAccountAction:
    address: str
    auto_link: bool


@dataclass(frozen=True, slots=True)
class SetVisibilityAction:
    conversation: str
    level: Level


Action = (
    LinkAction
    | UnlinkAction
    | DismissAction
    | AcceptAction
    | BulkLinkAction
    | UndoAction
    | SetAccountAction
    | SetVisibilityAction
)


@dataclass(frozen=True, slots=True)
class ActionEvent:
    """A member does something; what needs a confirmation is confirmed."""

    index: int
    at: datetime
    member: str
    action: Action

    @property
    def due(self) -> datetime:
        """When it happens."""
        return self.at


@dataclass(frozen=True, slots=True)
class FaultEvent:
    """A provider misbehaves from now on, as its simulator defines the kind."""

    index: int
    at: datetime
    provider: str
    kind: str
    params: Mapping[str, object] = field(default_factory=dict)

    @property
    def due(self) -> datetime:
        """When it happens."""
        return self.at


Event = MailEvent | CrmEvent | ActionEvent | FaultEvent


# --- what must be true -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConversationExpectation:
    """Facts about one conversation, by their key in the file (expectations.FACT_KEYS); sets are frozensets.

    `facts` holds only those that the file names.
    """

    conversation: str
    facts: Mapping[str, object]
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SameConversation:
    keys: tuple[str, ...]
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DifferentConversations:
    keys: tuple[str, ...]
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RefusedExpectation:
    """The action at that index was refused with that code; None: it was not refused."""

    event: int
    refused: str | None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BulkExpectation:
    """What a bulk action linked, and why it did not link the others."""

    event: int
    linked: frozenset[str] | None
    not_linked: Mapping[str, str] | None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NoteExpectation:
    """How many notes the CRM holds on a record, what must stand in one of them and what in none."""

    record: str
    count: int | None = None
    contains: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReadableExpectation:
    """Whether a member may read subject and text of the message that the key names; None: not asked."""

    member: str
    key: str
    subject: bool | None
    text: bool | None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RecordedExpectation:
    """Every copy delivered so far is stored, filtered by a named rule, or parked."""

    recorded: bool
    at: datetime | None = None


Expectation = (
    ConversationExpectation
    | SameConversation
    | DifferentConversations
    | RefusedExpectation
    | BulkExpectation
    | NoteExpectation
    | ReadableExpectation
    | RecordedExpectation
)


@dataclass(frozen=True)
class Scenario:
    """Everything a scenario file says."""

    name: str
    now: datetime
    locale: Literal["en", "tr"]
    team: ScenarioTeam
    members: tuple[ScenarioMember, ...]
    accounts: tuple[ScenarioAccount, ...]
    organizations: tuple[CrmOrganizationRecord, ...]
    persons: tuple[CrmPersonRecord, ...]
    items: tuple[CrmItemRecord, ...]
    events: tuple[Event, ...]
    expectations: tuple[Expectation, ...]

    @property
    def moments(self) -> tuple[datetime, ...]:
        """The times at which something is expected before the end, in order, each once."""
        return tuple(sorted({expected.at for expected in self.expectations if expected.at is not None}))

    @cached_property
    def messages(self) -> Mapping[str, MailEvent]:
        """The messages by key, in the order of the file."""
        return {event.key: event for event in self.events if isinstance(event, MailEvent)}

    def account(self, address: str) -> ScenarioAccount:
        """Return the account with that address. Raises KeyError."""
        for account in self.accounts:
            if account.address == address:
                return account
        raise KeyError(address)
