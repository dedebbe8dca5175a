"""What the API answers about conversations; the OpenAPI document is made from these.

Ids are the public ones. Times are UTC, ISO 8601. What a reader may not know is null or left out.
"""

from __future__ import annotations

from pydantic import BaseModel, Field

from app.model import Direction, Level
from app.store.inbox import State
from app.tracing import StepCode


class Record(BaseModel):
    id: str
    name: str


class LinkOut(BaseModel):
    kind: str
    id: str
    title: str = Field(description="Empty when the CRM hides the item from the caller.")
    origin: str = Field(description="automatic, manual, smart_bcc or rule_replay.")


class CandidateOut(BaseModel):
    kind: str
    id: str
    title: str
    ruled_out: str | None = Field(description="The reason it was not taken; null when it could be.")
    why_not: str | None = Field(description="The same as a sentence.")
    evidence: list[str] = Field(description="What speaks for it, a sentence each.")


class DecisionOut(BaseModel):
    outcome: str = Field(description="link, keep (it stays as it is), ambiguous (a person chooses) or none.")
    reason: str = Field(description="A stable code.")
    sentence: str
    candidates: list[CandidateOut]


class ActionOut(BaseModel):
    """The one thing that would change the decision."""

    code: str
    label: str


class MessageOut(BaseModel):
    internet_id: str
    sent_at: str
    direction: str
    readable: Level


class ClaimOut(BaseModel):
    """Another conversation that may be the same one."""

    conversation: str
    why: str


class NoteOut(BaseModel):
    """What the CRM was told of the conversation."""

    item: str = Field(description="As deal/42.")
    state: str = Field(description="wanted, intended, written, removed or parked: an administrator tries again.")
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
    crm: dict[str, int] = Field(description="How often the CRM was written to and asked for it.")
    action: ActionOut | None
    trigger: str | None = Field(description="The Message-ID of the message that was decided on.")
    may_link: bool = Field(description="Whether the caller may link it.")
    dismissed: bool
    claims: list[ClaimOut]
    merged: list[str] = Field(description="What was joined into it, as the command `threadlink undo` takes it.")
    notes: list[NoteOut]
    history: list[EarlierDecision]


class AddressOut(BaseModel):
    address: str
    name: str = Field(description="As it stood in the mail; empty without one.")


class AttachmentOut(BaseModel):
    name: str
    size_bytes: int


class FullMessageOut(BaseModel):
    """A message as far as its reader may read it, which `readable` says."""

    id: str
    internet_id: str = Field(description="The Message-ID.")
    sent_at: str
    direction: Direction
    readable: Level
    sender: AddressOut | None = Field(alias="from")
    to: list[AddressOut] = Field(description="Cc included.")
    bcc: list[AddressOut] = Field(description="Of mail that the caller sent.")
    subject: str | None
    text: str | None = Field(description="Without formatting, cut at 64 kB; a snippet when the text is kept no longer.")
    attachments: list[AttachmentOut]
    in_doubt: bool = Field(description="The mail provider could not verify the sender, and nobody said it is genuine.")


class PersonOut(BaseModel):
    """Somebody who takes part, with who that is in the CRM."""

    address: str
    name: str
    is_ours: bool = Field(description="Of the team.")
    person: str | None = Field(description="The name of the CRM's person.")
    organization: str | None


class Messages(BaseModel):
    messages: list[FullMessageOut]
    people: list[PersonOut] = Field(description="Those who are not of the team first.")


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
