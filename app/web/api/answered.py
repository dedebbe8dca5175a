"""What the API answers, but about conversations (answered_conversations.py); the OpenAPI document is made from these.

Ids are the public ones. Times are UTC, ISO 8601. What a reader may not know is null or left out.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from app.model import Level
from app.web.api.asked import Id

_GOES_ON = (
    "Of more than 50 conversations: GET /work/ID says how far it is and what was refused. `{what}` is empty then."
)


class Problem(BaseModel):
    """Why a request was not answered (RFC 9457)."""

    type: str
    status: int
    title: str = Field(description="One sentence for a person, in the language asked for.")
    reason: str = Field(description="A stable code.")
    fields: list[dict[str, str]] | None = Field(None, description="What did not fit, field by field.")


class Acted(BaseModel):
    outcome: str
    action: Id = Field(description="Takes it back: POST /undo.")


class BulkLinked(BaseModel):
    linked: list[Id]
    not_linked: dict[str, str] = Field(description="A reason for each conversation that was not linked.")
    action: Id = Field(description="Takes it back: POST /undo.")
    work: Id | None = Field(description=_GOES_ON.format(what="linked"))


class BulkDismissed(BaseModel):
    dismissed: list[Id]
    left: dict[str, str] = Field(description="A reason for each conversation that was left as it is.")
    action: Id = Field(description="Takes it back: POST /undo.")
    work: Id | None = Field(description=_GOES_ON.format(what="dismissed"))


class Undone(BaseModel):
    undone: list[Id]
    work: Id | None = Field(description=_GOES_ON.format(what="undone"))


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


class EventItem(BaseModel):
    kind: str
    id: str


class EventData(BaseModel):
    conversation: str | None = Field(None, description="Its id; none in a test.")
    reason: str | None = Field(
        None,
        description="The decision's; manual, smart_bcc, rule_replay; unlinked, replaced, undone, merged, item_deleted.",
    )
    item: EventItem | None = Field(None, description="Left out when the administrator may not see it in the CRM.")


class WebhookEvent(BaseModel):
    """What a webhook is told: ids, a reason and a time, never content."""

    type: str = Field(description="One of the kinds the webhook asked for, or webhook.test.")
    timestamp: str = Field(description="When it happened: of two about one conversation, the later one counts.")
    data: EventData
