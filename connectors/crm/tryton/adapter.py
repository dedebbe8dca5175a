"""Tryton as an adapter: what decisions read from it, and the conversations shown on its records.

A person is a party with an e-mail address, an organization a party without one or the party that the connection's
`organization_relation` leads to. A sale opportunity is a lead until it became an opportunity, a deal from then on:
one record, so one item. A project is a project.work of type project.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from app.errors import AdminBlocked, ProviderError, Rejected, Unsupported
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
from connectors.crm.tryton import mapping, position
from connectors.crm.tryton.auth import Place, TrytonSession
from connectors.crm.tryton.changes import Changes
from connectors.crm.tryton.mapping import OPPORTUNITY, PARTY, WORK, Domain, Row
from connectors.crm.tryton.notes import Notes
from connectors.crm.tryton.reading import IS_PROJECT, Records
from connectors.crm.tryton.rpc import PROVIDER
from connectors.crm.words import addresses_of, line, words

MAX_HITS = 200
MAX_LOOKED_AT = 5000  # titles a search reads at most, the newest first
_BATCH = 500

_MISSING = {
    "webhooks": "Tryton sends no webhooks: its changes are read before decisions.",
    "participants": "Tryton has one contact on an opportunity and one party on a project: there are no participants.",
    "lead_converted": "In Tryton a lead and its opportunity are one record: the lead is not listed beside its deal.",
    "project_canceled": "Tryton has no canceled projects, only open and done ones.",
    "project_archived": "Tryton has no archived projects, only open and done ones.",
    "note_in_place": "Tryton lets nobody change a note: each update replaces it by a new one.",
    "merge_notes": "Tryton leaves the notes of a replaced party with it; the next update of ours is on the new one.",
    "deleted_before": "Tryton does not tell what was deleted before it was first read.",
}
_NO_ORGANIZATION = "This connection names no organization_relation, so persons have no organization."


class TrytonCrm:
    """One team's Tryton (ports.CrmAdapter), seen with the rights of the connection's user."""

    def __init__(self, session: TrytonSession, where: Place, connection_id: int) -> None:
        missing = _MISSING if where.organization_relation else {**_MISSING, "organizations": _NO_ORGANIZATION}
        self.capabilities = CrmCapabilities(kinds=frozenset(ITEM_KINDS), missing=missing)
        self._session = session
        self._where = where
        self._connection_id = connection_id
        self._relation = where.organization_relation
        self._records = Records(session, where.organization_relation, connection_id)
        self._notes = Notes(self._records)

    def who_am_i(self) -> CrmIdentity:
        """Return whose Tryton this is: server, database and the user's company in it."""
        return self._session.identity("who_am_i")

    def revoke(self) -> None:
        """Sign out of Tryton; the user and its password are the administrator's to remove."""
        self._session.end()

    # --- reading ---

    def people_by_address(self, addresses: Sequence[str]) -> list[Person]:
        """Return every active party with one of the addresses among its e-mails in use, case ignored."""
        wanted = addresses_of(addresses)
        if not wanted:
            return []
        found = self._records.persons(mapping.with_address(wanted), "people_by_address")
        return [person for person in found if set(wanted).intersection(person.addresses)]

    def items_of_people(self, persons: Sequence[ItemRef]) -> list[Item]:
        """Return opportunities and projects of these persons, in any state."""
        ids = [number for ref in persons if ref.kind == "person" and (number := mapping.record_id(ref.external_id))]
        if not ids:
            return []
        operation = "items_of_people"
        alone: Domain = [["contact", "=", None], ["party", "in", ids]]
        opportunities = self._records.opportunities(["OR", ["contact.party", "in", ids], alone], operation)
        works = self._records.works([["party", "in", ids]], operation)
        return [item for item in (*opportunities, *works) if item.person is not None]

    def search(self, query: str, kinds: Sequence[str] = (), limit: int = 20) -> list[SearchHit]:
        """Find items by the beginnings of the words of their titles, newest first.

        Tryton compares case, and marks only on some databases: it narrows the titles down, and at most the newest
        MAX_LOOKED_AT of them are looked at here.
        """
        wanted = words(query)
        limit = max(1, min(limit, MAX_HITS))
        hits: list[SearchHit] = []
        if wanted and {"lead", "deal"}.intersection(kinds or ITEM_KINDS):
            hits += self._hits(OPPORTUNITY, "description", wanted, kinds, limit)
        if wanted and "project" in (kinds or ITEM_KINDS):
            hits += self._hits(WORK, "name", wanted, kinds, limit)
        return sorted(hits, key=lambda hit: hit.state != "open")[:limit]

    def get(self, ref: ItemRef) -> Item | None:
        """Return the item as it is now; a lead that became an opportunity is converted. None when there is none."""
        number = mapping.record_id(ref.external_id)
        if number is None or ref.kind not in ITEM_KINDS or ref.connection_id not in (0, self._connection_id):
            return None
        domain: Domain = [["id", "=", number]]
        found = (self._records.works if ref.kind == "project" else self._records.opportunities)(domain, "get")
        item = next(iter(found), None)
        if item is None or item.ref.kind == ref.kind:
            return item
        return replace(item, ref=replace(item.ref, kind=ref.kind), state="converted") if ref.kind == "lead" else None

    def changes_since(self, cursor: str | None) -> Iterator[CrmChanges]:
        """Yield records of all states changed since the cursor, deleted ones by comparing ids.

        An address that is deleted in Tryton's list of contact mechanisms, and not on its party, is noticed when its
        party changes.
        """
        at = position.from_text(cursor)
        now = self._session.server_time("changes_since")
        yield from Changes(self._records, self._relation).since(at, now)

    # --- creating ---

    def create_person(self, name: str, addresses: Sequence[str], organization: ItemRef | None = None) -> Person:
        """Create a party with e-mail addresses, related to its organization where the connection names a relation."""
        operation = "create_person"
        mechanisms = [{"type": "email", "value": address} for address in addresses_of(addresses)]
        values: dict[str, object] = {"name": line(name), "contact_mechanisms": [["create", mechanisms]]}
        employer = mapping.record_id(organization.external_id) if organization else None
        if employer is not None and self._relation:
            values["relations"] = [["create", [{"to": employer, "type": self._relation_type(operation)}]]]
        (number,) = self._records.call(f"{PARTY}.create", [values], operation=operation)
        (person,) = self._records.persons([["id", "=", number]], operation)
        return person

    def create_item(
        self, kind: ItemKind, title: str, person: ItemRef | None, organization: ItemRef | None = None
    ) -> Item:
        """Create an open item of a person, on the organization where there is one.

        A deal begins as a lead and is made an opportunity, as in Tryton itself; a lead whose opportunity is refused
        (Tryton wants an employee) does not stay behind. A project has one party: the person.
        """
        operation = "create_item"
        contact = mapping.record_id(person.external_id) if person else None
        party = mapping.record_id(organization.external_id) if organization else None
        if kind == "project":
            values = {"name": line(title), "type": "project", "party": contact or party}
            (number,) = self._records.call(f"{WORK}.create", [values], operation=operation)
        else:
            number = self._create_opportunity(kind, line(title), contact, party, operation)
        item = self.get(ItemRef(kind, str(number), self._connection_id))
        if item is None:
            raise Rejected("Tryton does not show what it created", provider=PROVIDER, operation=operation)
        return item

    # --- conversations on items ---

    def find_link(self, write: LinkWrite) -> WrittenLink | None:
        """Look for our note on the item. Raises Gone for a deleted item."""
        found = self._notes.find(write)
        return None if found is None else self._written(found, write.item)

    def write_link(self, write: LinkWrite) -> WrittenLink:
        """Put a note on the item and on each related party. Raises Gone for a deleted item."""
        return self._written(self._notes.add(write), write.item)

    def update_link(self, written: WrittenLink, write: LinkWrite) -> WrittenLink:
        """Replace the notes by newer ones. Raises Gone when the item or its note is there no more."""
        return self._written(self._notes.update(written.external_id, write), write.item)

    def remove_link(self, written: WrittenLink, item: ItemRef) -> None:
        """Take the notes off the item and its related parties."""
        self._notes.remove(written.external_id, item)

    def read_webhook(self, request: PushRequest) -> list[CrmEvent]:  # noqa: ARG002  # refused unread
        """Refuse: Tryton sends none."""
        raise Unsupported(self.capabilities.missing["webhooks"], provider=PROVIDER, operation="read_webhook")

    # --- pieces ---

    def _hits(self, model: str, field: str, wanted: Sequence[str], kinds: Sequence[str], limit: int) -> list[SearchHit]:
        hits: list[SearchHit] = []
        domain = mapping.with_words(field, wanted)
        if model == WORK:
            domain = [IS_PROJECT, *domain]
        for offset in range(0, MAX_LOOKED_AT, _BATCH):
            rows = self._records.rows(
                model, domain, "search", order=[["id", "DESC"]], offset=offset, limit=_BATCH, active_test=True
            )
            found = [row for row in rows if mapping.matches(row[field] or "", wanted)]
            hits += (hit for hit in self._as_hits(model, found) if not kinds or hit.ref.kind in kinds)
            if len(rows) < _BATCH or len(hits) >= limit:
                break
        return hits

    def _as_hits(self, model: str, rows: Sequence[Row]) -> list[SearchHit]:
        if model == WORK:
            items = [mapping.work(row, self._connection_id) for row in rows]
        else:
            items = self._records.opportunities_of(rows, "search")
        return [
            SearchHit(item.ref, item.title, item.state, mapping.organization_name(row))
            for item, row in zip(items, rows, strict=True)
        ]

    def _create_opportunity(
        self, kind: ItemKind, title: str, contact: int | None, party: int | None, operation: str
    ) -> int:
        call = self._records.call
        values: dict[str, object] = {"description": title, "party": party or contact}
        if contact is not None and party is not None:
            domain = [["party", "=", contact], ["type", "=", "email"], ["active", "=", True]]
            mechanisms = call("party.contact_mechanism.search", domain, 0, 1, None, operation=operation)
            values["contact"] = next(iter(mechanisms), None)
        (number,) = call(f"{OPPORTUNITY}.create", [values], operation=operation)
        if kind == "deal":
            try:
                call(f"{OPPORTUNITY}.opportunity", [number], operation=operation)
            except ProviderError:
                call(f"{OPPORTUNITY}.cancel", [number], operation=operation)
                call(f"{OPPORTUNITY}.delete", [number], operation=operation)
                raise
        return int(number)

    def _relation_type(self, operation: str) -> int:
        domain = [["name", "=", self._relation]]
        found = self._records.call("party.relation.type.search", domain, 0, 1, None, operation=operation)
        if not found:
            message = "Tryton has no relation type with the name in organization_relation"
            raise AdminBlocked(message, provider=PROVIDER, operation=operation)
        return int(found[0])

    def _written(self, external_id: str, item: ItemRef) -> WrittenLink:
        url = f"{self._where.url}/#{self._where.database}/model/{mapping.MODELS[item.kind]}/{item.external_id}"
        return WrittenLink(external_id, url)
