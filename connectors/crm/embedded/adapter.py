"""The embedded CRM as an adapter: what decisions read from it, and the conversations shown on its records."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from app.errors import Gone, Unsupported
from app.model import ITEM_KINDS, Item, ItemKind, ItemRef, Person
from app.ports import (
    CrmCapabilities,
    CrmChanges,
    CrmEvent,
    CrmIdentity,
    LinkWrite,
    PushRequest,
    SearchHit,
    WrittenLink,
)
from connectors.crm import note
from connectors.crm.embedded import mapping
from connectors.crm.embedded.records import SELECT, EmbeddedRecords
from connectors.crm.words import addresses_of, words

PAGE_SIZE = 500
MAX_HITS = 200

_BY_ADDRESS = sa.text(
    f"{SELECT} AND r.kind = 'person' AND r.state <> 'deleted' AND r.addresses && CAST(:addresses AS text[])"
    " ORDER BY r.external_id"
)
_OF_PEOPLE = sa.text(
    f"{SELECT} AND r.kind = ANY(:kinds)"
    " AND (r.person_id = ANY(:persons) OR r.participants && CAST(:persons AS text[])) ORDER BY r.kind, r.external_id"
)
_BY_WORDS = sa.text(
    f"{SELECT} AND r.kind = ANY(:kinds) AND r.state <> 'deleted'"
    " AND ' ' || r.search LIKE ALL(CAST(:patterns AS text[]))"
    " ORDER BY r.state <> 'open', r.created_at DESC, r.kind, r.external_id LIMIT :limit"
)
_ONE = sa.text(f"{SELECT} AND r.kind = :kind AND r.external_id = :id")
_CHANGED = sa.text(f"{SELECT} AND r.changed > :after ORDER BY r.changed LIMIT {PAGE_SIZE}")
_OF_RECORD = "team_id = :team AND connection_id = :connection AND kind = :kind AND external_id = :id"
_FIND_NOTE = sa.text(f"SELECT id FROM crm_note WHERE {_OF_RECORD} AND marker = CAST(:marker AS uuid)")
_ADD_NOTE = sa.text(
    """
    INSERT INTO crm_note (team_id, connection_id, kind, external_id, marker, related, text, created_at, updated_at)
    VALUES (:team, :connection, :kind, :id, CAST(:marker AS uuid), :related, :text, :now, :now) RETURNING id
    """
)
_UPDATE_NOTE = sa.text(
    f"UPDATE crm_note SET related = :related, text = :text, updated_at = :now WHERE {_OF_RECORD} AND id = :note"
)
_REMOVE_NOTE = sa.text(f"DELETE FROM crm_note WHERE {_OF_RECORD} AND id = :note")


class EmbeddedCrm(EmbeddedRecords):
    """One team's embedded CRM (ports.CrmAdapter and ports.CrmRecords).

    Persons and items are visible to the whole team. Its company is the one its connection was made with: the records
    live under the connection, which cannot be pointed elsewhere.
    """

    capabilities = CrmCapabilities(
        kinds=frozenset(ITEM_KINDS),
        records=True,
        missing={"webhooks": "The embedded CRM sends no webhooks: its changes are read before each decision."},
    )

    @property
    def company(self) -> str:
        """Return whose CRM this is."""
        return self._connection.company or self._connection.public_id

    def who_am_i(self) -> CrmIdentity:
        """Return the CRM's identity; everything is done in threadlink's own name."""
        return CrmIdentity(company=self.company, user_id="threadlink", user_name="threadlink")

    # --- reading ---

    def people_by_address(self, addresses: Sequence[str]) -> list[Person]:
        """Return every person with one of the addresses, primary or secondary, case ignored."""
        wanted = list(addresses_of(addresses))
        return [mapping.person(row, self._connection_id) for row in self._rows(_BY_ADDRESS, addresses=wanted)]

    def items_of_people(self, persons: Sequence[ItemRef]) -> list[Item]:
        """Return the items whose main contact or participant is one of the persons, in any state."""
        wanted = [ref.external_id for ref in persons if ref.kind == "person" and self._is_ours(ref)]
        rows = self._rows(_OF_PEOPLE, kinds=list(ITEM_KINDS), persons=wanted)
        return [mapping.item(row, self._connection_id) for row in rows]

    def search(self, query: str, kinds: Sequence[str] = (), limit: int = 20) -> list[SearchHit]:
        """Find records whose name has words that begin with those of the query, open ones first, then the newest."""
        wanted = words(query)
        if not wanted:
            return []
        rows = self._rows(
            _BY_WORDS,
            kinds=list(kinds or ITEM_KINDS),
            patterns=[f"% {word}%" for word in wanted],
            limit=max(1, min(limit, MAX_HITS)),
        )
        return [mapping.hit(row, self._connection_id) for row in rows]

    def get(self, ref: ItemRef) -> Item | None:
        """Return the item as it is now, deleted ones included; None when it never was."""
        if ref.kind not in ITEM_KINDS or not self._is_ours(ref):
            return None
        rows = self._rows(_ONE, kind=ref.kind, id=ref.external_id)
        return mapping.item(rows[0], self._connection_id) if rows else None

    def changes_since(self, cursor: str | None) -> Iterator[CrmChanges]:
        """Yield what changed since the cursor, oldest first, PAGE_SIZE records a page, each page read by itself.

        Nothing is missed: _writing() says why. Raises CursorExpired for a cursor that is none of ours.
        """
        after = mapping.position(cursor)
        while rows := self._rows(_CHANGED, after=after):
            yield mapping.page(rows, self._connection_id)
            if len(rows) < PAGE_SIZE:
                return
            after = rows[-1].changed

    def read_webhook(self, request: PushRequest) -> list[CrmEvent]:  # noqa: ARG002 - the port's signature
        """Refuse: there is nobody who would send one."""
        raise Unsupported(self.capabilities.missing["webhooks"], provider="embedded", operation="read_webhook")

    # --- creating ---

    def create_person(self, name: str, addresses: Sequence[str], organization: ItemRef | None = None) -> Person:
        """Create a person with an id of ours."""
        made = self._put("person", _new_id(), name, None, addresses=addresses, organization=_id_of(organization))
        return mapping.person(self._row(made.kind, made.external_id), self._connection_id)

    def create_item(
        self, kind: ItemKind, title: str, person: ItemRef | None, organization: ItemRef | None = None
    ) -> Item:
        """Create an open item with an id of ours, made now."""
        made = self._put(kind, _new_id(), title, None, person=_id_of(person), organization=_id_of(organization))
        return mapping.item(self._row(made.kind, made.external_id), self._connection_id)

    # --- conversations on records ---

    def find_link(self, write: LinkWrite) -> WrittenLink | None:
        """Look for the note with this marker on the item."""
        with self._reading() as connection:
            found = self._find(connection, write)
        return None if found is None else WrittenLink(str(found))

    def write_link(self, write: LinkWrite) -> WrittenLink:
        """Show the conversation on the item and its related records; writing the same marker again updates the note.

        Raises Gone for an item that is deleted or unknown.
        """
        with self._writing() as connection:
            self._refuse_deleted(connection, write.item)
            found = self._find(connection, write)
            if found is None:
                found = connection.execute(_ADD_NOTE, self._note(write)).scalar_one()
            else:
                connection.execute(_UPDATE_NOTE, {**self._note(write), "note": found})
        return WrittenLink(str(found))

    def update_link(self, written: WrittenLink, write: LinkWrite) -> WrittenLink:
        """Bring the note up to date. Raises Gone when the note or its item was deleted."""
        with self._writing() as connection:
            self._refuse_deleted(connection, write.item)
            values = {**self._note(write), "note": mapping.note_id(written.external_id)}
            if connection.execute(_UPDATE_NOTE, values).rowcount == 0:
                raise Gone("The note was deleted in the CRM.", provider="embedded", operation="update_link")
        return written

    def remove_link(self, written: WrittenLink, item: ItemRef) -> None:
        """Take the note off the item; one that is gone already is no error."""
        if self._is_ours(item):
            note_id = mapping.note_id(written.external_id)
            with self._writing() as connection:
                connection.execute(_REMOVE_NOTE, {**self._of(item), "note": note_id})

    # --- pieces ---

    def _rows(self, query: sa.TextClause, **values: Any) -> list[Any]:
        with self._reading() as connection:
            return list(connection.execute(query, self._scope | values))

    def _row(self, kind: str, external_id: str) -> Any:
        return self._rows(_ONE, kind=kind, id=external_id)[0]

    def _is_ours(self, ref: ItemRef) -> bool:
        return ref.connection_id in (0, self._connection_id) and mapping.is_id(ref.external_id)

    def _of(self, ref: ItemRef) -> dict[str, Any]:
        return {**self._scope, "kind": ref.kind, "id": ref.external_id}

    def _find(self, connection: Any, write: LinkWrite) -> int | None:
        if not self._is_ours(write.item):
            return None
        values = {**self._of(write.item), "marker": mapping.marker(write.note.marker)}
        found: int | None = connection.execute(_FIND_NOTE, values).scalar()
        return found

    def _refuse_deleted(self, connection: Any, item: ItemRef) -> None:
        row = connection.execute(_ONE, self._of(item)).one_or_none() if self._is_ours(item) else None
        if row is None or row.state == "deleted":
            raise Gone("The item was deleted in the CRM.", provider="embedded", operation="write_link")

    def _note(self, write: LinkWrite) -> Mapping[str, Any]:
        return {
            **self._of(write.item),
            "marker": mapping.marker(write.note.marker),
            "related": self._related((*write.persons, *write.organizations)),
            "text": note.text(write.note),
            "now": self._clock.now(),
        }

    def _related(self, refs: Collection[ItemRef]) -> list[str]:
        return sorted({str(ref) for ref in refs if self._is_ours(ref)})


def _id_of(ref: ItemRef | None) -> str | None:
    return None if ref is None else ref.external_id


def _new_id() -> str:
    return uuid.uuid4().hex
