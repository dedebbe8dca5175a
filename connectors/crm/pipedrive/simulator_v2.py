"""Version 2 of Pipedrive's API as far as an adapter needs it. Part of the simulator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.crm.pipedrive import simulator_shapes as shapes
from connectors.crm.pipedrive.simulator_answers import (
    Asked,
    RefusedError,
    as_number,
    not_found,
    page_by_cursor,
    page_of_hits,
    success,
)
from connectors.crm.pipedrive.simulator_html import sanitized
from connectors.crm.pipedrive.simulator_records import ITEM_KINDS, NOTE_FIELDS, Company, Id, Record
from connectors.crm.pipedrive.simulator_shapes import EXTRAS, SHAPES, Json
from connectors.crm.words import fold
from connectors.simulated_http import Reply


@dataclass(frozen=True, slots=True)
class Route:
    """One operation, by the name and at the price of Pipedrive's API description."""

    method: str
    path: str
    operation: str
    tokens: int
    answer: Callable[[Asked], Reply]

    @property
    def is_search(self) -> bool:
        """Whether it counts against the search limit."""
        return self.path.endswith(("/search", "/itemSearch"))


SORTS = {"id", "update_time", "add_time"}


def linked_records(company: Company, body: Mapping[str, Any], kinds: Mapping[str, str] = NOTE_FIELDS) -> dict[str, Id]:
    """Return the records a body names; refuses with 404 when one is not there or was deleted."""
    links: dict[str, Id] = {}
    for name, kind in kinds.items():
        if body.get(name) is None:
            continue
        crm_id: Id = str(body[name]) if kind == "lead" else as_number(name, body[name])
        record = company.get(kind, crm_id)
        if record is None or record.is_deleted:
            raise not_found(kind)
        links[name] = crm_id
    return links


# --- lists ---


def _listed(kind: str, *, archived: bool = False) -> Callable[[Asked], Reply]:
    def answer(asked: Asked) -> Reply:
        sort = asked.text("sort_by") or "id"
        if sort not in SORTS:
            raise RefusedError(400, "Parameter 'sort_by' is not supported")
        records = (
            record
            for record in asked.company.all(kind)
            if record.is_archived == archived and _has_status(record, asked) and _is_asked_for(record, asked)
        )
        return page_by_cursor(asked, records, lambda record: _shape(asked, record), sort=sort)

    return answer


def _has_status(record: Record, asked: Asked) -> bool:
    statuses = asked.words("status") if record.kind in ITEM_KINDS else frozenset()
    status = "deleted" if record.is_deleted else record.status
    return status in statuses if statuses else not record.is_deleted


def _is_asked_for(record: Record, asked: Asked) -> bool:
    ids = asked.words("ids")
    if len(ids) > 100:
        raise RefusedError(400, "Parameter 'ids' must not have more than 100 ids")
    updated = record.update_time.replace(microsecond=0)
    since, until = asked.time("updated_since"), asked.time("updated_until")
    person, organization, deal = asked.number("person_id"), asked.number("org_id"), asked.number("deal_id")
    links = record.links
    return (
        (not ids or str(record.id) in ids)
        and (since is None or updated >= since)
        and (until is None or updated < until)
        and (person is None or person in record.people or links.get("person_id") == person)
        and (organization is None or organization in (record.organization, links.get("org_id")))
        and (deal is None or _is_on_deal(record, asked, deal))
        and asked.text("lead_id") in {None, links.get("lead_id")}
    )


def _is_on_deal(record: Record, asked: Asked, deal_id: int) -> bool:
    if record.kind != "person":
        return record.links.get("deal_id") == deal_id
    deal = asked.company.get("deal", deal_id)
    return deal is not None and record.id in deal.people


def _shape(asked: Asked, record: Record) -> Json:
    extras = {name: EXTRAS[name](asked.company, record) for name in asked.words("include_fields") if name in EXTRAS}
    return SHAPES[record.kind](asked.company, record) | extras


def _one(kind: str) -> Callable[[Asked], Reply]:
    return lambda asked: success(_shape(asked, asked.the(kind)))


def _delete(kind: str) -> Callable[[Asked], Reply]:
    def answer(asked: Asked) -> Reply:
        record = asked.the(kind)
        if record.is_deleted:
            raise not_found(kind)
        asked.company.delete_record(record, user_id=asked.user.id)
        return success({"id": record.id})

    return answer


# --- making and changing ---


def _fields(asked: Asked, kind: str, body: Json) -> dict[str, Any]:
    """Return what a body says of a person, organization, deal or project."""
    fields: dict[str, Any] = {}
    title = "name" if kind in ("person", "organization") else "title"
    if title in body:
        if not isinstance(body[title], str) or not body[title].strip():
            raise RefusedError(400, f"'{title}' must be a string")
        fields["title"] = body[title]
    for name, of in (("person_id", "person"), ("org_id", "organization")):
        if name in body:
            linked = linked_records(asked.company, body, {name: of})
            fields[of] = linked.get(name)
    if "emails" in body:
        fields["emails"] = tuple(str(entry["value"]) for entry in body["emails"])
    if kind == "project":
        people = tuple(as_number("person_ids", person) for person in body.get("person_ids", ()))
        organizations = [as_number("org_ids", organization) for organization in body.get("org_ids", ())]
        fields |= {"participants": people} if people else {}
        fields |= {"organization": organizations[0]} if organizations else {}
    if body.get("status") in ("open", "won", "lost", "completed", "canceled"):
        fields["status"] = body["status"]
    return fields


def _add(kind: str, status: int = 200) -> Callable[[Asked], Reply]:
    def answer(asked: Asked) -> Reply:
        fields = _fields(asked, kind, asked.body())
        if "title" not in fields:
            raise RefusedError(400, "name is required" if kind in ("person", "organization") else "title is required")
        record = asked.company.add(kind, fields.pop("title"), user_id=asked.user.id, **fields)
        return success(_shape(asked, record), status)

    return answer


def _patch(kind: str) -> Callable[[Asked], Reply]:
    def answer(asked: Asked) -> Reply:
        record = asked.the(kind)
        if record.is_deleted or record.is_archived:
            raise RefusedError(400, f"{kind.capitalize()} is deleted or archived and cannot be changed")
        fields = _fields(asked, kind, asked.body())
        return success(_shape(asked, asked.company.update(record, user_id=asked.user.id, **fields)))

    return answer


def _write_activity(asked: Asked) -> Reply:
    """Add an activity, or change the one the path names; the persons come from `participants`."""
    body = asked.body()
    there = asked.the("activity") if "id" in asked.path_ids else None
    if there is not None and there.is_deleted:
        raise not_found("activity")
    links = dict(there.links) if there else {}
    given = {name: body[name] for name in NOTE_FIELDS if name in body and name != "person_id"}
    links = {name: crm_id for name, crm_id in links.items() if name not in given}
    links |= linked_records(asked.company, given)
    kept = {name: body[name] for name in _ACTIVITY_FIELDS if name in body}
    people: tuple[int, ...] = there.participants if there else ()
    if "participants" in body:
        people = tuple(as_number("person_id", entry["person_id"]) for entry in body["participants"])
        links = {name: crm_id for name, crm_id in links.items() if name != "person_id"}
        links |= {"person_id": people[0]} if people else {}
    for name in ("note", "public_description"):
        kept |= {name: sanitized(str(kept[name]))} if name in kept else {}
    fields: dict[str, Any] = {"links": links, "participants": people}
    if there is None:
        record = asked.company.add(
            "activity", str(body.get("subject") or "Task"), user_id=asked.user.id, fields=kept, **fields
        )
    else:
        fields |= {"title": str(body["subject"])} if "subject" in body else {}
        kept = {**there.fields, **kept}
        record = asked.company.update(there, user_id=asked.user.id, fields=kept, **fields)
    return success(_shape(asked, record))


_ACTIVITY_FIELDS = (
    "subject", "type", "done", "due_date", "due_time", "duration", "busy", "note", "public_description", "participants",
    "attendees", "location", "priority",
)  # fmt: skip


# --- search ---


def _hits(asked: Asked, kinds: frozenset[str]) -> list[Record]:
    """Return the records that a search finds, newest change first."""
    term = (asked.text("term") or "").strip()
    is_exact = asked.text("exact_match") in ("true", "1")
    if len(term) < (1 if is_exact else 2):
        raise RefusedError(400, "Search term must be at least 2 characters long.")
    fields = asked.words("fields") or frozenset({"name", "title", "email"})
    person, organization = asked.number("person_id"), asked.number("organization_id")
    return [
        record
        for record in reversed(asked.company.records.values())
        if record.kind in kinds
        and not record.is_deleted
        and (person is None or person in record.people)
        and (organization is None or record.organization == organization)
        and asked.text("status") in {None, record.status}
        and any(_matches(term, text, exact=is_exact) for text in _texts(record, fields))
    ]


def _texts(record: Record, fields: frozenset[str]) -> list[str]:
    is_named = "name" in fields if record.kind in ("person", "organization") else "title" in fields
    return [*([record.title] if is_named else []), *(record.emails if "email" in fields else [])]


def _matches(term: str, text: str, *, exact: bool) -> bool:
    if exact:
        return term.casefold() == text.casefold()
    words, there = fold(term).split(), f" {fold(text)}"
    return bool(words) and all(f" {word}" in there for word in words)


def _search(kind: str) -> Callable[[Asked], Reply]:
    def answer(asked: Asked) -> Reply:
        hits = [shapes.found(asked.company, record) for record in _hits(asked, frozenset({kind}))]
        return page_of_hits(asked, hits, most=500)

    return answer


def _item_search(asked: Asked) -> Reply:
    kinds = asked.words("item_types") or frozenset({*ITEM_KINDS, "person", "organization"})
    hits = _hits(asked, kinds)
    related: list[Record] = []
    if asked.text("search_for_related_items") in ("true", "1"):
        for hit in hits:
            related += _related(asked.company, hit)
    shown = [shapes.found(asked.company, record) for record in hits]
    around = [
        {"result_score": 0, "item": shapes.found(asked.company, record)}
        for record in {record.key: record for record in related}.values()
    ]
    return page_of_hits(asked, shown, most=100, related_items=around)


def _related(company: Company, hit: Record) -> list[Record]:
    def newest(kind: str) -> list[Record]:
        return sorted(company.standing(kind), key=lambda record: record.add_time, reverse=True)

    if hit.kind not in ("person", "organization"):
        return []
    related: list[Record] = []
    for kind in ("deal", "lead"):
        found = [r for r in newest(kind) if hit.id in (r.people if hit.kind == "person" else (r.organization,))]
        related += found[:100]
    return related


# --- leads that become deals ---


def _convert(asked: Asked) -> Reply:
    lead = asked.the("lead")
    if lead.is_deleted:
        raise not_found("lead")
    asked.company.convert(lead)
    return success({"conversion_id": lead.id})


def _conversion(asked: Asked) -> Reply:
    lead = asked.the("lead")
    deals = [deal for deal in asked.company.all("deal") if deal.source_lead_id == lead.id]
    if not deals or asked.path_ids["conversion_id"] != lead.id:
        raise not_found("conversion")
    return success(
        {"lead_id": lead.id, "deal_id": deals[0].id, "conversion_id": lead.id, "status": "completed"},
        additional_data=None,
    )


ROUTES = (
    Route("GET", "/persons", "getPersons", 10, _listed("person")),
    Route("POST", "/persons", "addPerson", 5, _add("person")),
    Route("GET", "/persons/search", "searchPersons", 20, _search("person")),
    Route("GET", "/persons/{id}", "getPerson", 1, _one("person")),
    Route("PATCH", "/persons/{id}", "updatePerson", 5, _patch("person")),
    Route("DELETE", "/persons/{id}", "deletePerson", 3, _delete("person")),
    Route("GET", "/organizations", "getOrganizations", 10, _listed("organization")),
    Route("POST", "/organizations", "addOrganization", 5, _add("organization")),
    Route("GET", "/organizations/search", "searchOrganization", 20, _search("organization")),
    Route("GET", "/organizations/{id}", "getOrganization", 1, _one("organization")),
    Route("DELETE", "/organizations/{id}", "deleteOrganization", 3, _delete("organization")),
    Route("GET", "/deals", "getDeals", 10, _listed("deal")),
    Route("POST", "/deals", "addDeal", 5, _add("deal")),
    Route("GET", "/deals/archived", "getArchivedDeals", 20, _listed("deal", archived=True)),
    Route("GET", "/deals/search", "searchDeals", 20, _search("deal")),
    Route("GET", "/deals/{id}", "getDeal", 1, _one("deal")),
    Route("PATCH", "/deals/{id}", "updateDeal", 5, _patch("deal")),
    Route("DELETE", "/deals/{id}", "deleteDeal", 3, _delete("deal")),
    Route("GET", "/projects", "getProjects", 10, _listed("project")),
    Route("POST", "/projects", "addProject", 5, _add("project", 201)),
    Route("GET", "/projects/archived", "getArchivedProjects", 10, _listed("project", archived=True)),
    Route("GET", "/projects/search", "searchProjects", 20, _search("project")),
    Route("GET", "/projects/{id}", "getProject", 1, _one("project")),
    Route("GET", "/activities", "getActivities", 10, _listed("activity")),
    Route("POST", "/activities", "addActivity", 5, _write_activity),
    Route("GET", "/activities/{id}", "getActivity", 1, _one("activity")),
    Route("PATCH", "/activities/{id}", "updateActivity", 5, _write_activity),
    Route("DELETE", "/activities/{id}", "deleteActivity", 3, _delete("activity")),
    Route("GET", "/leads/search", "searchLeads", 20, _search("lead")),
    Route("POST", "/leads/{id}/convert/deal", "convertLeadToDeal", 40, _convert),
    Route("GET", "/leads/{id}/convert/status/{conversion_id}", "getLeadConversionStatus", 1, _conversion),
    Route("GET", "/itemSearch", "searchItem", 20, _item_search),
)
