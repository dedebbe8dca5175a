"""CrmAdapter: finding items and writing links in one CRM, and what an adapter may offer besides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from app.model import ConversationNote, Item, ItemKind, ItemRef, Person
from app.ports.http import PushRequest
from app.ports.services import Credentials


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
