"""What is read of a Tryton's records, one call for each question; shared by the adapter and by changes_since()."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from app.model import Item, ItemRef, Person
from connectors.crm.tryton import mapping
from connectors.crm.tryton.auth import TrytonSession
from connectors.crm.tryton.mapping import OPPORTUNITY, PARTY, WORK, Domain, Row

IS_PROJECT = ["type", "=", "project"]
_BECAME_DEAL = ["state:opportunity", "state:converted"]
_LAST_REVISIONS = 20  # how many moments of deletion are looked back at in one go


class Records:
    """Parties, opportunities and projects that the connection's user may see."""

    def __init__(self, session: TrytonSession, relation: str, connection_id: int) -> None:
        self._session = session
        self._relation = relation
        self.connection_id = connection_id
        party = (*mapping.PARTY_FIELDS, *(mapping.RELATION_FIELDS if relation else ()))
        self._fields: Mapping[str, Sequence[str]] = {
            PARTY: party,
            OPPORTUNITY: mapping.OPPORTUNITY_FIELDS,
            WORK: mapping.WORK_FIELDS,
        }

    @cached_property
    def not_ours(self) -> Domain:
        """Ask for parties that are neither a company that works with this Tryton nor one of its employees."""
        own: set[int] = set()
        for model in ("company.company", "company.employee"):
            rows = self.call(f"{model}.search_read", [], 0, None, None, ["party"], operation="own_parties")
            own.update(row["party"] for row in rows)
        return [["id", "not in", sorted(own)]]

    def call(self, method: str, *params: Any, operation: str, **context: Any) -> Any:
        """Call a model's method, archived records included where the context does not say otherwise."""
        return self._session.call(method, *params, operation=operation, **{"active_test": False, **context})

    def ids(self, model: str, domain: Domain, operation: str) -> set[int]:
        """Return the ids of all records like this."""
        return set(self.call(f"{model}.search", domain, 0, None, [["id", "ASC"]], operation=operation))

    def count(self, model: str, domain: Domain, operation: str) -> int:
        """Count the records like this."""
        return int(self.call(f"{model}.search_count", domain, 0, None, operation=operation))

    def rows(
        self,
        model: str,
        domain: Domain,
        operation: str,
        *,
        order: Sequence[Sequence[str]] = (("id", "ASC"),),
        offset: int = 0,
        limit: int | None = None,
        **context: Any,
    ) -> list[Row]:
        """Read records like this."""
        found: list[Row] = self.call(
            f"{model}.search_read", domain, offset, limit, order, self._fields[model], operation=operation, **context
        )
        return found

    def persons(self, domain: Domain, operation: str) -> list[Person]:
        """Read active parties as persons."""
        rows = self.rows(PARTY, [*domain, *self.not_ours], operation, active_test=True)
        return [mapping.person(row, self._relation, self.connection_id) for row in rows]

    def opportunities(self, domain: Domain, operation: str) -> list[Item]:
        """Read opportunities as what they are now."""
        return self.opportunities_of(self.rows(OPPORTUNITY, domain, operation, active_test=True), operation)

    def opportunities_of(self, rows: Iterable[Row], operation: str) -> list[Item]:
        """Say of rows whether they are leads or deals; of closed ones Tryton's log knows."""
        rows = list(rows)
        closed = [row["id"] for row in rows if mapping.needs_history(row)]
        were_deals = self._were_deals(closed, operation) if closed else frozenset()
        return [mapping.opportunity(row, were_deals, self.connection_id) for row in rows]

    def works(self, domain: Domain, operation: str) -> list[Item]:
        """Read projects."""
        rows = self.rows(WORK, [IS_PROJECT, *domain], operation, active_test=True)
        return [mapping.work(row, self.connection_id) for row in rows]

    def exists(self, ref: ItemRef, operation: str) -> bool:
        """Say whether there is such a record."""
        number = mapping.record_id(ref.external_id)
        return number is not None and bool(self.ids(mapping.MODELS[ref.kind], [["id", "=", number]], operation))

    def last_seen(self, ids: Collection[int], operation: str) -> dict[int, Row]:
        """Read deleted opportunities as they were just before, from Tryton's history."""
        revisions = self.call(f"{OPPORTUNITY}.history_revisions", sorted(ids), operation=operation)
        ended: dict[int, datetime] = {}
        for at, number, *_ in revisions:
            when = mapping.moment(at)
            if when is not None:
                ended[number] = max(when, ended.get(number, when))
        found: dict[int, Row] = {}
        for end in sorted(set(ended.values()), reverse=True)[:_LAST_REVISIONS]:
            before = mapping.as_moment(end - timedelta(microseconds=1))
            of_then = sorted(number for number in ids if ended.get(number) == end)
            rows = self.rows(OPPORTUNITY, [["id", "in", of_then]], operation, active_test=True, _datetime=before)
            found |= {row["id"]: row for row in rows}
        return found

    def _were_deals(self, ids: Collection[int], operation: str) -> frozenset[int]:
        domain = [
            ["resource", "in", [f"{OPPORTUNITY},{number}" for number in ids]],
            ["event", "=", "transition"],
            ["target", "in", _BECAME_DEAL],
        ]
        rows = self.call("ir.model.log.search_read", domain, 0, None, None, ["resource"], operation=operation)
        return frozenset(int(row["resource"].partition(",")[2]) for row in rows)
