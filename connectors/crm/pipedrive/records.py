"""Reading Pipedrive's records: single ones again, those of people, and what is on a deal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.errors import AdminBlocked, Gone
from app.model import Item, ItemKind, ItemRef, Person
from app.ports import Clock, CrmChanges, CrmOrganization, Merge
from connectors.crm.pipedrive import mapping, operations
from connectors.crm.pipedrive.api import Json, PipedriveApi

DEAL_EXTRAS = {"include_fields": "participants_count,source_lead_id"}
DEAL_STATES = "open,won,lost"
PROJECT_STATES = "open,completed,canceled"
RECENT_DEALS = 100  # among these a lead that was just converted is looked for


class PipedriveRecords:
    """Reads records of one connection into the model. `kinds` are those that the company's plan has."""

    def __init__(
        self, api: PipedriveApi, clock: Clock, connection_id: int, kinds: frozenset[ItemKind], *, groups: bool
    ) -> None:
        self._api = api
        self._clock = clock
        self._connection_id = connection_id
        self._kinds = kinds
        self._groups = groups

    # --- one ---

    def person(self, external_id: str, organization_name: str | None = None) -> Person | None:
        """Return a person with its organization's name, which costs a call unless it is given."""
        row = self._one(operations.PERSON, external_id)
        found = row and mapping.person(row, self._connection_id, groups=self._groups)
        if not row or not found:
            return None
        if organization_name is None and found.organization is not None:
            owner = self.organization(found.organization.external_id)
            organization_name = owner.name if owner else ""
        return mapping.person(row, self._connection_id, groups=self._groups, organization_name=organization_name or "")

    def organization(self, external_id: str) -> CrmOrganization | None:
        """Return an organization."""
        row = self._one(operations.ORGANIZATION, external_id)
        return mapping.organization(row, self._connection_id, groups=self._groups) if row else None

    def item(self, kind: str, external_id: str) -> Item | None:
        """Return a deal, lead or project as it is now; None when Pipedrive does not know it."""
        found, _ = self._item_with_source(kind, external_id)
        return found

    def _item_with_source(self, kind: str, external_id: str) -> tuple[Item | None, Json | None]:
        if kind == "deal":
            row = self._one(operations.DEAL, external_id, DEAL_EXTRAS)
            return (self.deal(row) if row else None), row
        if kind == "lead":
            row = self._one(operations.LEAD, external_id)
            return (mapping.lead(row, self._connection_id, groups=self._groups) if row else None), None
        row = self._one(operations.PROJECT, external_id) if "project" in self._kinds else None
        return (mapping.project(row, self._connection_id) if row else None), None

    def _one(
        self, operation: operations.Operation, external_id: str, params: dict[str, str] | None = None
    ) -> Json | None:
        try:
            return self._api.data(operation, external_id, params=params)
        except Gone:
            return None

    def deal(self, row: Json) -> Item | None:
        """Read a deal; its participants cost a call when it has any."""
        people: tuple[str, ...] = ()
        if mapping.has_participants(row) and row.get("is_deleted") is not True:
            try:
                people = mapping.participants(self._api.rows(operations.DEAL_PARTICIPANTS, mapping.number(row["id"])))
            except Gone:  # deleted between the two calls: the next catch-up says so
                people = ()
        return mapping.deal(row, people, self._connection_id, groups=self._groups)

    # --- of people ---

    def items_of(self, person_ids: Sequence[str]) -> list[Item]:
        """Return the deals, leads and projects of these people, in any state, each once."""
        found: dict[ItemRef, Item] = {}
        for external_id in person_ids:
            for item in self._items_of(external_id):
                found.setdefault(item.ref, item)
        return list(found.values())

    def _items_of(self, person_id: str) -> Iterable[Item]:
        of_person = {"person_id": person_id}
        for operation, params in (
            (operations.DEALS, {"status": DEAL_STATES, **DEAL_EXTRAS}),
            (operations.ARCHIVED_DEALS, DEAL_EXTRAS),
        ):
            for row in self._api.rows(operation, params={**of_person, **params}):
                if deal := self.deal(row):
                    yield deal
                    if source := mapping.lead_of(row, deal):
                        yield source[0]
        for operation in (operations.LEADS, operations.ARCHIVED_LEADS):
            for row in self._api.rows(operation, params=of_person):
                if lead := mapping.lead(row, self._connection_id, groups=self._groups):
                    yield lead
        if "project" in self._kinds:
            yield from self._projects_of(person_id)

    def _projects_of(self, person_id: str) -> Iterable[Item]:
        rows = self._api.rows(operations.PROJECTS, params={"person_id": person_id, "status": PROJECT_STATES})
        archived = self._api.rows(operations.ARCHIVED_PROJECTS)  # cannot be asked for by person
        for row in (*rows, *(row for row in archived if int(person_id) in (row.get("person_ids") or ()))):
            if project := mapping.project(row, self._connection_id):
                yield project

    # --- again ---

    def read(self, records: Sequence[ItemRef], merges: Sequence[Merge]) -> CrmChanges:
        """Return these records as they are now, and the merges that Pipedrive confirms."""
        ends = [ref for merge in merges for ref in (merge.gone, merge.into)]
        persons: dict[str, Person] = {}
        organizations: dict[str, CrmOrganization] = {}
        items: dict[ItemRef, Item] = {}
        told: list[Merge] = []
        for ref in dict.fromkeys((*records, *ends)):
            own = ItemRef(ref.kind, ref.external_id, self._connection_id)
            if not mapping.is_id(ref.kind, ref.external_id):
                continue
            if ref.kind == "person":
                persons[ref.external_id] = self.person(ref.external_id) or Person(own, "", (), deleted=True)
            elif ref.kind == "organization":
                found = self.organization(ref.external_id)
                organizations[ref.external_id] = found or CrmOrganization(own, "", deleted=True)
            else:
                self._read_item(own, items, told)
        confirmed = [merge for each in merges if (merge := self._confirmed(each, persons, items))]
        return CrmChanges(
            cursor="",
            persons=tuple(persons.values()),
            organizations=tuple(organizations.values()),
            items=tuple(items.values()),
            merges=tuple(dict.fromkeys((*told, *confirmed))),
        )

    def _read_item(self, ref: ItemRef, items: dict[ItemRef, Item], told: list[Merge]) -> None:
        item, row = self._item_with_source(ref.kind, ref.external_id)
        if item is None and ref.kind == "lead" and (items.get(ref) or self._find_conversion(ref, items, told)):
            return  # it went into a deal
        items[ref] = item or Item(ref, "", "deleted", self._clock.now())
        if item is not None and row is not None:
            self._follow_source(row, item, items, told)

    def _find_conversion(self, lead: ItemRef, items: dict[ItemRef, Item], told: list[Merge]) -> bool:
        """Look among the newest deals for the one a lead went into: Pipedrive says it nowhere else."""
        params = {"sort_by": "add_time", "sort_direction": "desc", **DEAL_EXTRAS}
        rows, _ = next(iter(self._api.pages(operations.DEALS, params=params, limit=RECENT_DEALS)))
        for row in rows:
            if row.get("source_lead_id") == lead.external_id and (deal := self.deal(row)):
                items[deal.ref] = deal
                self._follow_source(row, deal, items, told)
                return True
        return False

    def _follow_source(self, row: Json, deal: Item, items: dict[ItemRef, Item], told: list[Merge]) -> None:
        if source := mapping.lead_of(row, deal):
            items[source[0].ref] = source[0]
            told.append(source[1])

    def _confirmed(self, merge: Merge, persons: dict[str, Person], items: dict[ItemRef, Item]) -> Merge | None:
        """Return a merge whose one end is gone and whose other stands, under our own references."""
        gone = ItemRef(merge.gone.kind, merge.gone.external_id, self._connection_id)
        into = ItemRef(merge.into.kind, merge.into.external_id, self._connection_id)

        def is_gone(ref: ItemRef) -> bool | None:
            if ref.kind == "person":
                person = persons.get(ref.external_id)
                return None if person is None else person.deleted
            item = items.get(ref)
            return None if item is None else item.state in {"deleted", "converted"}

        return Merge(gone, into) if is_gone(gone) is True and is_gone(into) is False and gone != into else None


def has_projects(api: PipedriveApi) -> bool:
    """Ask whether the company's plan has projects."""
    try:
        next(iter(api.pages(operations.PROJECTS, limit=1)))
    except (AdminBlocked, Gone):
        return False
    return True
