"""What is asked of the API: bodies and queries; the OpenAPI document is made from these.

Ids are the public ones. Text comes out as PostgreSQL stores it and UTF-8 says it.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from app.inbox import RECORD_KINDS
from app.linking.addresses import normalize
from app.model import AccountKind, ItemKind, Level
from app.outgoing_webhooks import LONGEST_URL
from app.store.inbox import State
from app.store.outgoing_webhooks import KINDS, Kind
from app.web.paging import LONGEST_CURSOR

LONGEST_QUERY = 200
MOST_IN_BULK = 500
MOST_ON_A_PAGE = 200
LONGEST_NAME = 200
MOST_ADDRESSES = 20
_FULL_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _is_storable(text: str) -> str:
    """Let through what PostgreSQL stores and UTF-8 can say."""
    if any(sign == "\x00" or "\ud800" <= sign <= "\udfff" for sign in text):
        raise ValueError("must not hold NUL or half a surrogate pair")
    return text


def _line(text: str) -> str:
    """Return a name on one line: one of blanks is none."""
    words = _is_storable(text).split()
    if not words:
        raise ValueError("must not be blank")
    return " ".join(words)


def _address(text: str) -> str:
    """Return an address in its normal form."""
    normal = normalize(text)
    if normal is None:
        raise ValueError("must be an e-mail address")
    return normal


def _day(text: object) -> object:
    """Let through a day as RFC 3339 writes it; a number would be taken for seconds since 1970."""
    if isinstance(text, str) and not _FULL_DATE.fullmatch(text):
        raise ValueError("must be a day as 2026-03-31")
    return text


def _record(text: str) -> str:
    """Let through what names a person or an organization."""
    kind, _, external_id = _is_storable(text).partition("/")
    if kind not in RECORD_KINDS or not external_id:
        raise ValueError("must be person/ID or organization/ID")
    return text


Day = Annotated[date, BeforeValidator(_day)]
Id = Annotated[UUID, Field(description="A public id.")]
Text = Annotated[str, AfterValidator(_is_storable), Field(json_schema_extra={"pattern": "^[^\\u0000]*$"})]
ItemId = Annotated[Text, Field(min_length=1, max_length=200, description="The CRM's own id, as text.")]

Line = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_NAME,
        json_schema_extra={"pattern": "^[^\\u0000]*[^\\s\\u0000-\\u001f\\u0085][^\\u0000]*$"},
    ),
    AfterValidator(_line),
]
Address = Annotated[
    str,
    Field(min_length=3, max_length=320, json_schema_extra={"format": "email"}),
    AfterValidator(_address),
]
RecordRef = Annotated[
    str,
    Field(max_length=220, json_schema_extra={"pattern": "^(person|organization)/[^\\u0000]+$"}),
    AfterValidator(_record),
]


class Closed(BaseModel):
    """What comes in: a field that is not known is an error."""

    model_config = ConfigDict(extra="forbid")


class ItemIn(Closed):
    kind: ItemKind
    id: ItemId


class LinkIn(Closed):
    item: ItemIn
    move: bool = Field(False, description="Take it off the item it is linked to now.")


class BulkLinkIn(Closed):
    conversations: list[Id] = Field(min_length=1, max_length=MOST_IN_BULK)
    item: ItemIn
    elsewhere: Literal["skip", "move"] = Field(
        "skip", description="What becomes of conversations that are linked to another item."
    )


class BulkDismissIn(Closed):
    conversations: list[Id] = Field(min_length=1, max_length=MOST_IN_BULK)


class VisibilityIn(Closed):
    level: Level | None = Field(description="null follows the accounts.")


class UndoIn(Closed):
    action: Id = Field(description="The `action` that a write answered with.")


class AutoLinkIn(Closed):
    auto_link: bool


Blocklist = Annotated[list[Text], Field(max_length=10_000, description="Addresses, and domains without an @.")]


class PolicyIn(Closed):
    """The fields of the policy that are to differ; those left out keep their value."""

    retroactive: Literal["message", "conversation"] | None = None
    blocklist: Blocklist | None = None
    blocklist_scope: Literal["sole", "any"] | None = None
    skip_automated: bool | None = None
    max_counterparts: int | None = Field(None, ge=1, le=100_000)
    learned_auto_link: bool | None = None
    sender_must_be_known: bool | None = None
    smart_bcc_creates: Literal["nobody", "recipients", "everybody"] | None = None


class ReplayIn(Closed):
    days: int = Field(30, ge=1, le=366)
    policy: PolicyIn | None = Field(None, description="How the policy is to differ from the team's; null: it is that.")


class BeginIn(Closed):
    elsewhere: Literal["skip", "move"] = Field(
        "skip", description="What becomes of conversations that are linked to another item, in a bulk link."
    )


class WorkQuery(Closed):
    after: int = Field(0, ge=0, le=10_000, description="Where the last page ended: its `next`.")


class SearchIn(Closed):
    q: Text = Field(min_length=1, max_length=LONGEST_QUERY, description="The beginnings of words of the title.")
    kind: ItemKind | None = None
    limit: int = Field(20, ge=1, le=50)


class WebhookIn(Closed):
    url: Text = Field(min_length=1, max_length=LONGEST_URL, description="An https address on the internet.")
    kinds: list[Kind] = Field(min_length=1, max_length=len(KINDS))


class ListIn(Closed):
    state: State | None = Field(None, description="Without it: all but what was dismissed.")
    q: Text | None = Field(
        None,
        max_length=LONGEST_QUERY,
        description="The beginnings of words of a subject, a snippet, a name or address.",
    )
    account: Id | None = Field(None, description="One of the caller's own accounts.")
    account_kind: AccountKind | None = Field(None, description="Of the accounts: personal ones, or those of the team.")
    about: RecordRef | None = Field(None, description="A person or an organization of the CRM, as person/7.")
    since: Day | None = Field(None, description="Mail of this day or later, in the time zone of the caller.")
    until: Day | None = Field(None, description="Mail of this day or earlier, in the time zone of the caller.")
    limit: int = Field(50, ge=1, le=MOST_ON_A_PAGE)
    cursor: str | None = Field(None, max_length=LONGEST_CURSOR, description="The `next` of the page before.")


class PersonIn(Closed):
    name: Line
    addresses: list[Address] = Field(min_length=1, max_length=MOST_ADDRESSES)
    organization: ItemId | None = None


class NewItemIn(Closed):
    kind: ItemKind
    title: Line
    person: ItemId | None = Field(None, description="The contact person.")
    organization: ItemId | None = None
    conversation: Id | None = Field(None, description="A conversation without a link, to link to the item at once.")


class DoctorIn(Closed):
    q: Text = Field(
        min_length=1, max_length=LONGEST_QUERY, description="A Message-ID, a sender's address, or words of the subject."
    )
