"""What the API answers; the OpenAPI document is made from these.

Ids are the public ones. Times are UTC, ISO 8601. What a reader may not know is null or left out.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from app.model import Level
from app.store.inbox import State
from app.tracing import StepCode
from app.web.api.asked import Id


class Problem(BaseModel):
    """RFC 9457."""

    type: str
    status: int
    title: str = Field(description="One sentence for a person, in the language asked for.")
    reason: str = Field(description="A stable code.")
    fields: list[dict[str, str]] | None = Field(None, description="What did not fit, field by field.")


class Acted(BaseModel):
    outcome: str
    action: Id = Field(description="Takes it back: POST /undo.")


class Conversations(BaseModel):
    linked: list[Id]
    not_linked: dict[str, str] = Field(description="A reason for each conversation that was not linked.")
    action: Id


class Undone(BaseModel):
    undone: list[Id]
    work: Id | None = Field(description="What takes it back, when that takes long: GET /work/ID says how far it is.")


class PolicyOut(BaseModel):
    retroactive: str
    blocklist: list[str]
    blocklist_scope: str
    skip_automated: bool
    max_counterparts: int
    learned_auto_link: bool
    sender_must_be_known: bool
    smart_bcc_creates: str


class NamedItem(BaseModel):
    kind: str
    id: str
    title: str


class WorkLine(BaseModel):
    """A conversation that was refused, or with which something would be done."""

    id: Id
    subject: str | None
    outcome: str = Field(description="refused, would_link, would_move, would_choose, would_differ or would_leave.")
    reason: str | None
    sentence: str | None
    linked_to: NamedItem | None
    item: NamedItem | None


class WorkOut(BaseModel):
    """Long work: `looking` and `doing` run, `ready` waits for POST /work/ID/begin, `done` and `stopped` are over."""

    id: Id
    kind: str
    state: str
    done: int = Field(description="Of `total` conversations, in the state it is in.")
    total: int
    counts: dict[str, int] = Field(description="How many conversations were done, refused, or would be dealt with how.")
    action: Id = Field(description="Takes back what was done: POST /undo.")
    conversations: list[WorkLine] = Field(description="Empty while it runs.")
    next: int | None = Field(description="Where the next page begins; null for the last.")


class Record(BaseModel):
    id: str
    name: str


class LinkOut(BaseModel):
    kind: str
    id: str
    title: str
    origin: str


class CandidateOut(BaseModel):
    kind: str
    id: str
    title: str
    ruled_out: str | None
    why_not: str | None
    evidence: list[str]


class DecisionOut(BaseModel):
    outcome: str
    reason: str
    sentence: str
    candidates: list[CandidateOut]


class ActionOut(BaseModel):
    code: str
    label: str


class MessageOut(BaseModel):
    internet_id: str
    sent_at: str
    direction: str
    readable: Level


class ClaimOut(BaseModel):
    conversation: str
    why: str


class NoteOut(BaseModel):
    item: str
    state: str
    error: str
    written_at: str | None


class EarlierDecision(BaseModel):
    at: str
    outcome: str
    reason: str
    sentence: str


class Explained(BaseModel):
    """A conversation: what it is linked to, why, and what would change that."""

    id: str
    subject: str | None
    accounts: list[str]
    providers: list[str]
    messages: list[MessageOut]
    decision: DecisionOut | None
    link: LinkOut | None
    persons: list[Record]
    organizations: list[Record]
    crm: dict[str, int]
    action: ActionOut | None
    trigger: str | None
    may_link: bool
    dismissed: bool
    claims: list[ClaimOut]
    merged: list[str]
    notes: list[NoteOut]
    history: list[EarlierDecision]


class StoredDecisionOut(DecisionOut):
    at: str
    is_current: bool


class Decisions(BaseModel):
    """Every decision on a conversation, oldest first."""

    decisions: list[StoredDecisionOut]


class RowOut(BaseModel):
    """A conversation in a list."""

    id: str
    subject: str | None
    last_message_at: str
    state: State
    people: list[str] = Field(description="Who else takes part, the newest first.")
    more_people: int
    snippet: str
    messages: int
    accounts: list[str] = Field(description="The caller's own accounts that hold it.")
    link: LinkOut | None
    sentence: str = Field(description="Why it is not linked; empty when it is.")


class Counts(BaseModel):
    """How many conversations there are of each state, counted up to 1,000."""

    review: int
    unlinked: int
    linked: int
    dismissed: int


class Listed(BaseModel):
    """A page of what the caller's own accounts hold, newest mail first."""

    conversations: list[RowOut]
    counts: Counts = Field(description="Of the caller's own accounts, or of the one asked for.")
    next: str | None = Field(description="The `cursor` of the next page; null on the last.")


class OfItem(BaseModel):
    """The conversations of an item, at most 50 of each, newest mail first."""

    linked: list[RowOut]
    unlinked: list[RowOut] = Field(description="Without a link, of the item's people.")


class SuggestionOut(BaseModel):
    kind: str
    id: str
    title: str
    state: str
    evidence: list[str]


class Suggestions(BaseModel):
    suggestions: list[SuggestionOut]


class ChoiceOut(BaseModel):
    id: str
    subject: str | None
    last_message_at: str
    reason: str
    sentence: str
    suggestions: list[SuggestionOut]


class OfferedItem(BaseModel):
    kind: str
    id: str
    title: str


class OfferedConversation(BaseModel):
    id: str
    subject: str | None


class OfferOut(BaseModel):
    id: str
    item: OfferedItem
    made_at: str
    conversations: list[OfferedConversation]


class Review(BaseModel):
    """What needs a choice of the caller, and the offers of new or reopened items."""

    choices: list[ChoiceOut]
    offers: list[OfferOut]


class Accepted(BaseModel):
    """What accepting an offer did; `action` takes it back."""

    outcome: str
    action: str
    linked: int
    not_linked: int


class Declined(BaseModel):
    """An offer is gone."""

    outcome: str


class ItemOut(BaseModel):
    kind: str
    id: str
    title: str
    state: str


class MadePerson(BaseModel):
    id: str
    name: str
    addresses: list[str]


class MadeItemOut(BaseModel):
    item: ItemOut
    linked: bool
    not_linked: str | None = Field(description="Why the conversation is not linked to the item after all.")
    action: str | None = Field(description="Takes the link back: POST /undo. The item stays in the CRM.")


class FoundItem(ItemOut):
    organization: str


class FoundItems(BaseModel):
    items: list[FoundItem]


class AccountOut(BaseModel):
    id: str
    address: str
    provider: str
    kind: str
    state: str
    paused: bool
    auto_link: bool
    visibility: Level
    is_mine: bool
    last_sync_at: str | None
    pending: int
    parked: int


class Accounts(BaseModel):
    accounts: list[AccountOut]


class TraceStep(BaseModel):
    """One thing that happened to a mail."""

    step: StepCode
    at: str | None = Field(description="null where the time is not kept.")
    account: str = Field(description="The mailbox; empty where it is none, or the caller may not know it.")
    reason: str = Field(description="The code of a decision, or the rule that left the mail out.")
    sentence: str = Field(description="A decision in words.")


class TracedMail(BaseModel):
    conversation: str
    message: str
    internet_id: str
    subject: str | None
    link: str | None = Field(description="As deal/42.")
    steps: list[TraceStep]


class LeftOutMail(BaseModel):
    """How many mails of a mailbox a rule left out in the last 30 days, or wait or could not be read."""

    account: str
    state: str
    rule: str
    count: int
    last_at: str


class Traced(BaseModel):
    """What was found; without any mail, what lies under that id at the provider, and what is left out."""

    conversations: list[Explained]
    mails: list[TracedMail]
    not_stored: list[TraceStep]
    left_out: list[LeftOutMail]


class WebhookOut(BaseModel):
    """A team's webhook. The secret is told when it is made or changed, once; in a repeated answer it is null."""

    id: str
    url: str
    kinds: list[str]
    state: Literal["live", "disabled"]
    state_reason: str = Field(description="Why it is off: gone, unreachable, no_administrator.")
    created_at: str
    delivered_at: str | None = Field(description="When it was last told something.")


class WebhookMade(WebhookOut):
    secret: str | None


class Webhooks(BaseModel):
    webhooks: list[WebhookOut]


class WebhookRemoved(BaseModel):
    outcome: str


class WebhookTested(BaseModel):
    delivery: str


class DeliveryOut(BaseModel):
    """What a webhook was or will be told."""

    id: str = Field(description="The `webhook-id` it is sent with.")
    kind: str
    conversation: str | None
    at: str
    state: Literal["pending", "delivered", "dropped", "failed"]
    attempts: int
    answer: str = Field(description="The status of the last answer, not_reached or refused.")
    next_at: str | None


class Deliveries(BaseModel):
    """The last 50, newest first; what was settled is kept for a week."""

    deliveries: list[DeliveryOut]
