"""The nouns of threadlink, as frozen dataclasses without behaviour beyond what they are.

Words: one per idea, used by every module, class, table and page (README, "Words"). Times are aware datetimes in
UTC. Addresses are in normal form (linking.addresses) unless a field says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Role = Literal["from", "sender", "reply_to", "to", "cc", "bcc"]
MemberRole = Literal["admin", "member"]
Verdict = Literal["own", "pass", "none", "weak", "fail"]
Direction = Literal["inbound", "outbound", "internal"]
Automated = Literal["bounce", "receipt", "auto_reply", "calendar", "bulk"]
# How a message or copy came into its conversation (conversations.md J): it founded it, had a witness, or had none.
Joined = Literal["founded", "w1", "w2", "w3"]
Level = Literal["private", "metadata", "subject", "full"]
ItemKind = Literal["deal", "lead", "project"]
RecordKind = Literal["deal", "lead", "project", "person", "organization"]
ItemState = Literal["open", "won", "lost", "completed", "canceled", "archived", "converted", "deleted"]
Origin = Literal["automatic", "manual", "smart_bcc", "rule_replay"]
Outcome = Literal["link", "keep", "ambiguous", "none"]
AccountKind = Literal["personal", "team"]
Folder = Literal["inbox", "sent", "other"]

# The rule that leaves out a message which lies in none of its account's chosen labels or folders.
NOT_CHOSEN = "folder_not_chosen"

ITEM_KINDS: tuple[ItemKind, ...] = ("deal", "lead", "project")


# --- what a provider delivers ---


@dataclass(frozen=True, slots=True)
class Notification:
    """A provider's hint that a mailbox may have changed; it carries no truth."""

    provider: str
    mailbox: str  # the provider's name of the mailbox, as `ConnectedMailbox.mailbox`
    position: str | None = None  # how far the provider says the mailbox has come; a hint as well
    renew: bool = False  # the provider says that our registration for pushes ends or is gone


@dataclass(frozen=True, slots=True)
class Handshake:
    """The literal answer a provider expects instead of an acknowledgement."""

    body: str
    content_type: str = "text/plain"
    status: int = 200


@dataclass(frozen=True, slots=True)
class Attachment:
    name: str
    size_bytes: int
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class ProviderMessage:
    """One copy of a message as one mailbox holds it, vendor shapes removed, nothing judged yet.

    `headers` are (name, value) pairs in the order of the mail, topmost first, names in any case, values unfolded but
    not decoded. Connectors whose vendor gives structured addresses write them as header values (RFC 5322).
    """

    provider_id: str
    provider_thread_id: str
    at: datetime  # the provider's time, never the Date header
    folder: Folder
    headers: tuple[tuple[str, str], ...]
    text: str = ""
    snippet: str = ""
    attachments: tuple[Attachment, ...] = ()
    part_types: tuple[str, ...] = ()  # lower-case content types of the MIME parts with their parameters
    size_bytes: int = 0
    related_ids: tuple[str, ...] = ()  # Message-IDs found in message/rfc822 and text/rfc822-headers parts
    parked: str | None = None  # why part of it was not read ("too large"), None when whole
    # Of mail that was sent to a Smart BCC address: the namespace of the conversation it makes, with the originals that
    # a forward brought along; what is to be said about it; the item whose address it was sent to.
    namespace: str = ""
    quoted: tuple[ProviderMessage, ...] = ()
    flags: tuple[str, ...] = ()
    item: ItemRef | None = None


# --- people ---


@dataclass(frozen=True, slots=True)
class Participant:
    address: str
    role: Role
    name: str = ""


@dataclass(frozen=True, slots=True)
class Ours:
    """What makes an address ours: every connected account of the team with its aliases, and the team's domains."""

    addresses: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a member chose for the pages; an empty locale is the team's, an empty time zone is UTC."""

    locale: str = ""
    time_zone: str = ""  # IANA name
    shortcuts: bool = True  # whether single keys act in the inbox
    digest: bool = False  # whether the review queue comes by e-mail once a day


@dataclass(frozen=True, slots=True)
class Member:
    id: int
    public_id: str
    name: str
    email: str
    role: MemberRole
    preferences: Preferences = Preferences()


@dataclass(frozen=True, slots=True)
class Account:
    """One connected mail address."""

    id: int
    public_id: str
    team_id: int
    provider: str
    kind: AccountKind
    address: str
    mailbox: str  # the provider's name of the mailbox, used in notifications
    own_addresses: frozenset[str]
    auto_link: bool
    visibility: Level
    owner_id: int | None  # member; None for a team account
    collaborator_ids: frozenset[int] = frozenset()
    state: str = "live"
    folders: frozenset[str] = frozenset()  # the provider's ids of the labels or folders that are read; empty: every one


# --- messages and conversations ---


@dataclass(frozen=True, slots=True)
class Copy:
    """What one mailbox received of a message: content, Bcc and provider facts belong to the copy."""

    id: int
    account_id: int
    provider_id: str
    provider_thread_id: str
    at: datetime
    in_sent: bool
    verdict: Verdict
    joined: Joined
    bcc: tuple[Participant, ...] = ()
    snippet: str = ""
    text: str = ""
    attachments: tuple[Attachment, ...] = ()
    deleted: bool = False
    genuine: bool = False  # somebody said "it is genuine" of a sender whose verdict is fail


@dataclass(frozen=True, slots=True)
class Message:
    """One e-mail: the same Message-ID and the same fingerprint (conversations.md I), whoever holds a copy.

    `id` is 0 for a message that is not stored yet. `at` is the earliest provider time over the copies.
    """

    id: int
    internet_id: str  # normalised Message-ID with brackets; synthetic when the mail had none
    mid_hash: bytes  # sha256 of internet_id
    fingerprint: bytes
    at: datetime
    subject: str
    base_subject: str
    participants: tuple[Participant, ...]  # everybody but Bcc
    joined: Joined = "founded"
    copies: tuple[Copy, ...] = ()
    references: tuple[str, ...] = ()  # normalised ids: References, then In-Reply-To, without itself and doubles
    in_reply_to: str | None = None
    other_ids: tuple[str, ...] = ()  # further ids of this very message (X-Google-Original-Message-ID)
    bounce_of: str | None = None  # the id a bounce reports about
    automated: Automated | None = None
    is_reply: bool = False
    is_forward: bool = False
    thread_index: str | None = None  # the GUID of an Exchange Thread-Index, hex
    date_header: datetime | None = None
    # message_id_reused, new_here, synthetic_id, header_cut, quoted, forwarded_by:ADDRESS, named:NAME …
    flags: tuple[str, ...] = ()
    namespace: str = ""
    public_id: str = ""


@dataclass(frozen=True, slots=True)
class ItemRef:
    """Names a CRM record across companies and connections."""

    kind: RecordKind
    external_id: str
    connection_id: int = 0

    def __str__(self) -> str:
        return f"{self.kind}/{self.external_id}"


@dataclass(frozen=True, slots=True)
class Person:
    """A CRM person in the mirror."""

    ref: ItemRef
    name: str
    addresses: tuple[str, ...]
    organization: ItemRef | None = None
    organization_name: str = ""
    deleted: bool = False
    created_at: datetime | None = None
    visible_to: tuple[str, ...] | None = None  # ids of CRM users, sorted; None: everybody in the company


@dataclass(frozen=True, slots=True)
class Item:
    """A deal, lead or project in the mirror, in any state."""

    ref: ItemRef
    title: str
    state: ItemState
    created_at: datetime
    updated_at: datetime | None = None
    person: ItemRef | None = None  # the main contact
    participants: tuple[ItemRef, ...] = ()  # other persons on the item
    organization: ItemRef | None = None
    visible_to: tuple[str, ...] | None = None  # ids of CRM users, sorted; None: everybody in the company

    @property
    def is_open(self) -> bool:
        return self.state == "open"


@dataclass(frozen=True, slots=True)
class Link:
    """A stored association of a conversation with a CRM record."""

    id: int
    ref: ItemRef
    is_primary: bool
    origin: Origin
    made_by: int | None  # member
    made_at: datetime
    title: str = ""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A person took this item off this conversation; automatic linking does not put it back."""

    ref: ItemRef
    member_name: str
    at: datetime
    title: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages that belong together, with what hangs on them."""

    id: int
    messages: tuple[Message, ...] = ()
    links: tuple[Link, ...] = ()
    tombstones: tuple[Tombstone, ...] = ()
    visibility: Level | None = None  # the owner's override; None follows the accounts
    namespace: str = ""
    public_id: str = ""
    dismissed: bool = False

    @property
    def primary_link(self) -> Link | None:
        return next((link for link in self.links if link.is_primary), None)


# --- decisions ---


@dataclass(frozen=True, slots=True)
class Policy:
    """The choices of a team that the rules read."""

    retroactive: Literal["message", "conversation"] = "message"
    blocklist: frozenset[str] = frozenset()  # addresses, and domains without an @
    blocklist_scope: Literal["sole", "any"] = "sole"
    skip_automated: bool = True
    max_counterparts: int = 25
    learned_auto_link: bool = False
    sender_must_be_known: bool = False
    # Whom mail to a Smart BCC address makes a person of the CRM when nobody there has the address: those a member's own
    # mail went to, or also the authors of what a member forwarded.
    smart_bcc_creates: Literal["nobody", "recipients", "everybody"] = "nobody"


@dataclass(frozen=True, slots=True)
class RememberedChoice:
    """How often people linked conversations with the same counterparts to an item by hand."""

    ref: ItemRef
    times: int


@dataclass(frozen=True, slots=True)
class DecisionInput:
    """Everything decide() sees. Equal inputs give equal decisions."""

    conversation: Conversation
    accounts: tuple[Account, ...]  # those that hold a copy
    ours: Ours
    persons: tuple[Person, ...]  # mirror persons with an address of a participant
    items: tuple[Item, ...]  # every item of those persons, all states
    policy: Policy = Policy()
    remembered: tuple[RememberedChoice, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that speaks for a candidate: a code of linking.reasons and what fills its sentence."""

    code: str
    params: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An item that was looked at: what spoke for it, and what ruled it out (a reason code) or None."""

    ref: ItemRef
    title: str
    ruled_out: str | None
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What decide() answers. `reason` is stable; `params` fill its sentence (linking.reasons.sentence)."""

    outcome: Outcome
    reason: str
    params: Mapping[str, object] = field(default_factory=dict)
    candidates: tuple[Candidate, ...] = ()
    item: ItemRef | None = None  # the item to link; set when outcome is "link"
    item_title: str = ""
    persons: tuple[ItemRef, ...] = ()  # to relate (S6)
    organizations: tuple[ItemRef, ...] = ()  # to relate (S7)
    trigger_id: int | None = None  # the message that "arrived"
    action: str | None = None  # the one thing that would change the decision
    earlier_messages: int = 0  # how many messages before the trigger come along (S9)


# --- what the CRM is told ---


@dataclass(frozen=True, slots=True)
class NoteMessage:
    """One message in a CRM note: only what everybody who sees the item may read (conversations.md V4)."""

    at: datetime
    from_name: str
    from_address: str
    direction: Direction
    subject: str | None
    snippet: str | None
    attachments: tuple[str, ...] = ()
    internet_id: str = ""  # the RFC 5322 Message-ID: a CRM with its own mail sync knows the message by it


@dataclass(frozen=True, slots=True)
class ConversationNote:
    """What write_link() puts on the item."""

    marker: str  # uuid of the conversation in this CRM: finds our own note again after a lost answer
    subject: str | None
    people: tuple[tuple[str, str], ...]  # (name, address)
    messages: tuple[NoteMessage, ...]
    url: str | None
    locale: str = "en"
