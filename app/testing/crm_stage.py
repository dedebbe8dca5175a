"""What CrmAdapterSuite plays with: a time, states, a note, and somebody who reads what changed."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from app.model import ConversationNote, Item, ItemKind, ItemRef, NoteMessage, Person
from app.ports import CrmAdapter, CrmChanges, CrmOrganization, Merge

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
STATES: dict[ItemKind, tuple[str, ...]] = {
    "deal": ("open", "won", "lost", "archived"),
    "lead": ("open", "archived", "converted"),
    "project": ("open", "completed", "canceled", "archived"),
}
NOT_FIT_TO_SHOW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass
class Seen:
    """What somebody knows of a CRM who applies the changes one after the other."""

    persons: dict[ItemRef, Person] = field(default_factory=dict)
    organizations: dict[ItemRef, CrmOrganization] = field(default_factory=dict)
    items: dict[ItemRef, Item] = field(default_factory=dict)
    merges: list[Merge] = field(default_factory=list)
    cursor: str | None = None

    def apply(self, pages: Iterable[CrmChanges]) -> Seen:
        """Return what is known after these pages too."""
        seen = replace(
            self,
            persons=dict(self.persons),
            organizations=dict(self.organizations),
            items=dict(self.items),
            merges=list(self.merges),
        )
        for page in pages:
            seen.persons |= {person.ref: person for person in page.persons}
            seen.organizations |= {organization.ref: organization for organization in page.organizations}
            seen.items |= {item.ref: item for item in page.items}
            seen.merges += page.merges
            seen.cursor = page.cursor
        return seen

    def states(self) -> dict[str, str]:
        """Return the state of every item by its name, as deal/5."""
        return {str(ref): item.state for ref, item in self.items.items()}


def read_changes(adapter: CrmAdapter, seen: Seen | None = None) -> Seen:
    """Read on from what is known."""
    seen = seen or Seen()
    return seen.apply(adapter.changes_since(seen.cursor))


def a_note(subject: str | None = "Prices", text: str = "What does it cost?", *, marker: str = "") -> ConversationNote:
    """Make a note about one message from Bea."""
    return ConversationNote(
        marker=marker or str(uuid.uuid4()),
        subject=subject,
        people=(("Bea Işık", "bea@acme.test"),),
        messages=(
            NoteMessage(
                at=NOON,
                from_name="Bea Işık",
                from_address="bea@acme.test",
                direction="inbound",
                subject=subject,
                snippet=text,
                attachments=("quote.pdf",),
            ),
        ),
        url="https://threadlink.test/conversations/1",
    )


def read_item(adapter: CrmAdapter, title: str) -> Item:
    """Return the one item with this title."""
    (item,) = (item for item in read_changes(adapter).items.values() if item.title == title)
    return item
