"""Conversations as notes on Tryton's records: one on the item and one on each related party, found by our marker.

Tryton lets nobody change the text of a note: an update writes new notes and then deletes the old ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.errors import Gone
from app.model import ItemRef
from app.ports import LinkWrite
from connectors.crm import note
from connectors.crm.tryton import mapping
from connectors.crm.tryton.mapping import PARTY
from connectors.crm.tryton.reading import Records
from connectors.crm.tryton.rpc import PROVIDER

_NOTE = "ir.note"


@dataclass(frozen=True, slots=True)
class _Marked:
    """A note with our marker, and the parties it says have the same one."""

    number: int
    resource: str
    parties: tuple[int, ...]


class Notes:
    """The notes of the connection's user."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def find(self, write: LinkWrite) -> str | None:
        """Return what names the notes with this marker on the item and its parties; None when there are none."""
        operation = "find_link"
        marker = mapping.marker(write.note.marker)
        resource = self._existing(write.item, operation)
        on_item = next(iter(self._marked([resource], marker, operation)), None)
        if on_item is None:
            return None
        parties = dict.fromkeys((*on_item.parties, *mapping.parties(write)))
        newest_last = reversed(self._marked(list(map(_party, parties)), marker, operation))
        numbers = {marked.resource: marked.number for marked in newest_last}
        there = {party: numbers[_party(party)] for party in parties if _party(party) in numbers}
        return mapping.written_id(on_item.number, there)

    def add(self, write: LinkWrite) -> str:
        """Put the notes on item and parties, all or none. Raises Gone for a deleted item."""
        operation = "write_link"
        resource = self._existing(write.item, operation)
        return self._create(resource, self._existing_parties(mapping.parties(write), operation), write, operation)

    def update(self, external_id: str, write: LinkWrite) -> str:
        """Replace the notes by newer ones. Raises Gone when the item or its note is there no more.

        What was left behind by an update that was cut off goes with the old notes.
        """
        operation = "update_link"
        marker = mapping.marker(write.note.marker)
        resource = self._existing(write.item, operation)
        written = mapping.written_notes(external_id)
        on_item = self._marked([resource], marker, operation) if written else []
        if written is None or not on_item:
            raise Gone("The note was deleted in Tryton", provider=PROVIDER, operation=operation)
        named = {party for marked in on_item for party in marked.parties}
        parties = self._existing_parties(mapping.parties(write), operation)
        on_parties = self._marked(list(map(_party, {*written[1], *named, *parties})), marker, operation)
        updated = self._create(resource, parties, write, operation)
        self._delete([marked.number for marked in (*on_item, *on_parties)], operation)
        return updated

    def remove(self, external_id: str, item: ItemRef) -> None:
        """Take the notes off item and parties; those that are gone already are no error."""
        operation = "remove_link"
        written = mapping.written_notes(external_id)
        if written is None:
            return
        number, on_parties = written
        resources = list(map(_party, on_parties))
        resource = mapping.resource(item)
        if resource is not None and self._records.exists(item, operation):  # with a deleted item its notes went too
            resources.append(resource)
        if resources:
            domain = [["resource", "in", resources], ["id", "in", [number, *on_parties.values()]]]
            self._delete(sorted(self._records.ids(_NOTE, domain, operation)), operation)

    def _marked(self, resources: Sequence[str], marker: str, operation: str) -> list[_Marked]:
        """Return the notes with our marker on these records, the newest first."""
        if not resources:
            return []
        domain = [["resource", "in", list(resources)], ["message", "ilike", f"%threadlink {marker}%"]]
        fields, newest_first = ["message", "resource"], [["id", "DESC"]]
        rows = self._records.call(f"{_NOTE}.search_read", domain, 0, None, newest_first, fields, operation=operation)
        found = ((row, mapping.marked(row["message"] or "", marker)) for row in rows)
        return [_Marked(row["id"], row["resource"], parties) for row, parties in found if parties is not None]

    def _create(self, resource: str, parties: Sequence[int], write: LinkWrite, operation: str) -> str:
        """Put a note on each record in one call, which Tryton does as a whole or not at all."""
        text = mapping.message(note.text(write.note), mapping.marker(write.note.marker), parties)
        notes = [{"resource": one, "message": text} for one in (resource, *map(_party, parties))]
        on_item, *on_parties = self._records.call(f"{_NOTE}.create", notes, operation=operation)
        return mapping.written_id(on_item, dict(zip(parties, on_parties, strict=True)))

    def _delete(self, numbers: Sequence[int], operation: str) -> None:
        if numbers:
            self._records.call(f"{_NOTE}.delete", list(numbers), operation=operation)

    def _existing(self, item: ItemRef, operation: str) -> str:
        resource = mapping.resource(item)
        if resource is None or not self._records.exists(item, operation):
            raise Gone("The item was deleted in Tryton", provider=PROVIDER, operation=operation)
        return resource

    def _existing_parties(self, parties: Sequence[int], operation: str) -> tuple[int, ...]:
        there = self._records.ids(PARTY, [["id", "in", list(parties)]], operation) if parties else set()
        return tuple(party for party in parties if party in there)


def _party(number: int) -> str:
    return f"{PARTY},{number}"
