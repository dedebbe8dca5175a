"""What changed in Pipedrive since a cursor: list after list, each with its own mark, each page resumable.

A list is asked for what changed since its newest record of last time, less OVERLAP_S, for a change may show late. What
was read already is left out by its digest. Leads that are deleted are in no list: webhooks and reading again tell it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app.errors import AdminBlocked, CursorExpired, Gone
from app.model import Item, ItemKind, ItemRef, Person
from app.ports import Clock, CrmChanges, CrmOrganization, Merge
from connectors.crm.pipedrive import mapping, operations
from connectors.crm.pipedrive.api import Json, PipedriveApi
from connectors.crm.pipedrive.failures import PROVIDER
from connectors.crm.pipedrive.records import DEAL_EXTRAS, PipedriveRecords

OVERLAP_S = 120
DELETED_KEPT_DAYS = 30  # after that Pipedrive forgets a deleted record itself
MAX_SEEN = 2000  # digests kept of one list; a record beyond them is read twice, which is harmless
_STAGES = ("organizations", "persons", "deals", "archived_deals", "leads", "archived_leads", "projects",
           "archived_projects", "recents")  # fmt: skip


@dataclass(slots=True)
class _Position:
    """Where a pass through the lists is. `marks` and `seen` are of the last whole pass of each list."""

    at: str = ""  # when the pass began, by our clock
    stage: int = 0
    place: str | None = None
    marks: dict[str, str] = field(default_factory=dict)
    seen: dict[str, list[str]] = field(default_factory=dict)
    newest: str = ""  # of the list that is being read
    read: list[list[str]] = field(default_factory=list)  # [time, digest] of what this list told so far

    def text(self) -> str:
        return json.dumps([self.at, self.stage, self.place, self.marks, self.seen, self.newest, self.read])


@dataclass(slots=True)
class _Found:
    """The records of one row, with when it changed."""

    at: datetime
    persons: tuple[Person, ...] = ()
    organizations: tuple[CrmOrganization, ...] = ()
    items: tuple[Item, ...] = ()
    merges: tuple[Merge, ...] = ()

    @property
    def digest(self) -> str:
        told = repr((self.persons, self.organizations, self.items, self.merges))
        return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:12]


class PipedriveChanges:
    """Lists what changed, at most every `catch_up_s` seconds."""

    def __init__(
        self,
        api: PipedriveApi,
        records: PipedriveRecords,
        clock: Clock,
        connection_id: int,
        kinds: frozenset[ItemKind],
        *,
        groups: bool,
        catch_up_s: int,
    ) -> None:
        self._api = api
        self._records = records
        self._clock = clock
        self._connection_id = connection_id
        self._has_projects = "project" in kinds
        self._groups = groups
        self._catch_up_s = catch_up_s

    def since(self, cursor: str | None) -> Iterator[CrmChanges]:
        """Yield what changed, a page at a time. Raises CursorExpired for a cursor that is none of ours."""
        position = _position(cursor)
        now = self._clock.now()
        is_between_passes = position.stage == 0 and position.place is None
        if is_between_passes:
            last = mapping.time(position.at)
            if last is not None and timedelta() <= now - last < timedelta(seconds=self._catch_up_s):
                return
            position.at = now.isoformat()
        while position.stage < len(_STAGES):
            yield from self._stage(position)
        position.stage = 0
        yield CrmChanges(cursor=position.text())

    def _stage(self, position: _Position) -> Iterator[CrmChanges]:
        stage = _STAGES[position.stage]
        mark = mapping.time(position.marks.get(stage))
        since = mark - timedelta(seconds=OVERLAP_S) if mark else None
        known = set(position.seen.get(stage, ()))
        for rows, place in self._pages(stage, since, position.place):
            found = [each for row in rows if (each := self._found(stage, row))]
            recent = [each for each in found if since is None or each.at >= since.replace(microsecond=0)]
            new = [each for each in recent if each.digest not in known]
            self._remember(position, recent)
            is_last = place is None or (stage == "archived_leads" and bool(rows) and len(recent) < len(found))
            if is_last:
                _finish(position, stage)
            else:
                position.place = place
            if new:
                yield _page(new, position.text())
            if is_last:
                return
        _finish(position, stage)  # a list that this company does not have

    def _pages(self, stage: str, since: datetime | None, place: str | None) -> Iterator[tuple[list[Json], str | None]]:
        updated = {"updated_since": mapping.rfc3339(since)} if since else {}
        by_id = {"sort_by": "id", "sort_direction": "asc"}
        if stage == "organizations":
            return self._api.pages(operations.ORGANIZATIONS, params={**updated, **by_id}, place=place)
        if stage == "persons":
            return self._api.pages(operations.PERSONS, params={**updated, **by_id}, place=place)
        if stage == "deals":
            states = {"status": "open,won,lost,deleted"}
            return self._api.pages(operations.DEALS, params={**updated, **by_id, **states, **DEAL_EXTRAS}, place=place)
        if stage == "archived_deals":
            return self._api.pages(operations.ARCHIVED_DEALS, params={**updated, **by_id, **DEAL_EXTRAS}, place=place)
        if stage == "leads":
            return self._api.pages(operations.LEADS, params={**updated, "sort": "add_time ASC"}, place=place)
        if stage == "archived_leads":  # cannot be asked for since a time: the newest first, until they are old
            return self._api.pages(operations.ARCHIVED_LEADS, params={"sort": "update_time DESC"}, place=place)
        if stage == "recents":
            return self._recents(since, place)
        if not self._has_projects:
            return iter(())
        if stage == "projects":
            states = {"status": "open,completed,canceled,deleted"}
            return self._api.pages(operations.PROJECTS, params=states, place=place)
        return self._api.pages(operations.ARCHIVED_PROJECTS, place=place)

    def _recents(self, since: datetime | None, place: str | None) -> Iterator[tuple[list[Json], str | None]]:
        """List persons and organizations of version 1, where deleted and merged ones stay for a while.

        An app without the scope recents:read, or a company without this list, hears of them by webhooks alone.
        """
        since = since or self._clock.now() - timedelta(days=DELETED_KEPT_DAYS)
        params = {"since_timestamp": mapping.spaced(since), "items": "person,organization"}
        try:
            yield from self._api.pages(operations.RECENTS, params=params, place=place)
        except (AdminBlocked, Gone):
            return

    def _found(self, stage: str, row: Json) -> _Found | None:
        if stage == "recents":
            return self._recent(row)
        at = mapping.changed_at(row)
        if stage == "organizations":
            organization = mapping.organization(row, self._connection_id, groups=self._groups)
            return _Found(at, organizations=(organization,)) if organization else None
        if stage == "persons":
            person = mapping.person(row, self._connection_id, groups=self._groups)
            return _Found(at, persons=(person,)) if person else None
        if stage in {"deals", "archived_deals"}:
            deal = self._records.deal(row)
            if deal is None:
                return None
            lead, merge = mapping.lead_of(row, deal) or (None, None)
            return _Found(at, items=(deal, lead) if lead else (deal,), merges=(merge,) if merge else ())
        if stage in {"leads", "archived_leads"}:
            item = mapping.lead(row, self._connection_id, groups=self._groups)
        else:
            item = mapping.project(row, self._connection_id)
        return _Found(at, items=(item,)) if item else None

    def _recent(self, row: Json) -> _Found | None:
        """Return what /recents tells beyond the other lists: who was deleted, and who was merged into whom."""
        kind, data = row.get("item"), row.get("data")
        data = data if isinstance(data, dict) else {"id": row.get("id"), "active_flag": False}
        external_id = mapping.number(row.get("id"))
        if external_id is None or kind not in {"person", "organization"}:
            return None
        data = {**data, "id": external_id}
        merge = mapping.merge_of(data, self._connection_id) if kind == "person" else None
        found = _Found(mapping.changed_at(data), merges=(merge,) if merge else ())
        if data.get("active_flag") is False and kind == "person":
            person = mapping.person(data, self._connection_id, groups=self._groups)
            found.persons = (person,) if person else ()
        elif data.get("active_flag") is False:
            organization = mapping.organization(data, self._connection_id, groups=self._groups)
            found.organizations = (organization,) if organization else ()
        return found if found.persons or found.organizations or found.merges else None

    def _remember(self, position: _Position, found: list[_Found]) -> None:
        for each in found:
            at = each.at.isoformat()
            position.newest = max(position.newest, at)
            position.read.append([at, each.digest])
        if len(position.read) > MAX_SEEN:
            position.read = sorted(position.read)[-MAX_SEEN:]


def _finish(position: _Position, stage: str) -> None:
    """Set the list's mark to its newest record, and keep the digests that the overlap will show again."""
    if position.newest:
        position.marks[stage] = max(position.newest, position.marks.get(stage, ""))
    mark = mapping.time(position.marks.get(stage))
    if mark is not None and position.read:
        since = (mark - timedelta(seconds=OVERLAP_S)).replace(microsecond=0).isoformat()
        position.seen[stage] = sorted({digest for at, digest in position.read if at >= since})
    position.stage, position.place, position.newest, position.read = position.stage + 1, None, "", []


def _page(found: list[_Found], cursor: str) -> CrmChanges:
    return CrmChanges(
        cursor=cursor,
        persons=tuple(person for each in found for person in each.persons),
        organizations=tuple(organization for each in found for organization in each.organizations),
        items=tuple(_each_once([item for each in found for item in each.items])),
        merges=tuple(merge for each in found for merge in each.merges),
    )


def _each_once(items: list[Item]) -> list[Item]:
    by_ref: dict[ItemRef, Item] = {item.ref: item for item in items}
    return list(by_ref.values())


def _position(cursor: str | None) -> _Position:
    if cursor is None:
        return _Position()
    try:
        read: Any = json.loads(cursor)
        position = _Position(*read)
        is_ours = (
            isinstance(position.at, str)
            and isinstance(position.stage, int)
            and 0 <= position.stage <= len(_STAGES)
            and all(isinstance(part, dict) for part in (position.marks, position.seen))
            and isinstance(position.newest, str)
            and isinstance(position.read, list)
        )
    except (ValueError, TypeError, RecursionError):
        is_ours = False
    if not is_ours:
        raise CursorExpired(
            "The position in Pipedrive cannot be read; everything is read again", provider=PROVIDER, operation="changes"
        )
    return position
