"""What only version 1 of Pipedrive's API has: leads, notes, mail, participants, merges. Part of the simulator."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from connectors.crm.pipedrive import simulator_mail as mail
from connectors.crm.pipedrive import simulator_shapes as shapes
from connectors.crm.pipedrive.simulator_answers import (
    Asked,
    RefusedError,
    as_number,
    not_found,
    page_by_start,
    success,
)
from connectors.crm.pipedrive.simulator_html import MAX_CHARS, sanitized
from connectors.crm.pipedrive.simulator_records import NOTE_FIELDS, Record
from connectors.crm.pipedrive.simulator_v2 import Route, linked_records
from connectors.simulated_http import Reply

RECENT_KINDS = ("person", "organization", "deal", "note")


def _me(asked: Asked) -> Reply:
    user, company = asked.user, asked.company
    return success(
        {
            "id": user.id,
            "name": user.name,
            "default_currency": "EUR",
            "locale": "en_US",
            "lang": 1,
            "email": user.email,
            "phone": None,
            "activated": True,
            "last_login": "2026-03-02 07:00:00",
            "created": "2024-01-15 09:00:00",
            "modified": None,
            "has_created_company": True,
            "access": [{"app": "sales", "admin": True, "permission_set_id": "3f3b0c1e-1d4e-4c0e-9b6f-0d2b8f3e1a55"}],
            "active_flag": True,
            "timezone_name": "Europe/Tallinn",
            "timezone_offset": "+02:00",
            "role_id": 1,
            "icon_url": None,
            "is_you": True,
            "is_deleted": False,
            "company_id": company.id,
            "company_name": company.domain.capitalize(),
            "company_domain": company.domain,
            "company_country": "EE",
            "company_industry": "Manufacturing",
            "language": {"language_code": "en", "country_code": "US"},
        }
    )


def _users(asked: Asked) -> Reply:
    users = [
        {"id": user.id, "name": user.name, "email": user.email, "active_flag": True, "is_deleted": False}
        | {"access": [{"app": "sales", "admin": user.id == 1, "permission_set_id": "1"}], "is_you": user == asked.user}
        for user in asked.company.users.values()
    ]
    return success(users)


def _role_settings(_asked: Asked) -> Reply:
    levels = {f"{kind}_default_visibility": 3 for kind in ("deal", "lead", "org", "person", "product")}
    return success(levels)


# --- leads ---


def _leads(*, archived: bool) -> Callable[[Asked], Reply]:
    def answer(asked: Asked) -> Reply:
        person, organization = asked.number("person_id"), asked.number("organization_id")
        since = None if archived else asked.time("updated_since")
        leads = [
            lead
            for lead in asked.company.standing("lead")
            if lead.is_archived == archived
            and person in (None, lead.person)
            and organization in (None, lead.organization)
            and (since is None or lead.update_time >= since)
        ]
        leads.sort(key=lambda lead: (lead.add_time, str(lead.id)))
        return page_by_start(asked, [shapes.lead(asked.company, lead) for lead in leads], nested=False)

    return answer


def _lead(asked: Asked) -> Reply:
    return success(shapes.lead(asked.company, _standing_lead(asked)))


def _standing_lead(asked: Asked) -> Record:
    lead = asked.the("lead")
    if lead.is_deleted:
        raise not_found("lead")
    return lead


def _add_lead(asked: Asked) -> Reply:
    body = asked.body()
    if not isinstance(body.get("title"), str) or not body["title"].strip():
        raise RefusedError(400, "title is required")
    links = linked_records(asked.company, body, {"person_id": "person", "organization_id": "organization"})
    if not links:
        raise RefusedError(400, "A lead must be linked to a person or an organization.")
    lead = asked.company.add(
        "lead",
        body["title"],
        user_id=asked.user.id,
        person=links.get("person_id"),
        organization=links.get("organization_id"),
    )
    return success(shapes.lead(asked.company, lead), 201)


def _delete_lead(asked: Asked) -> Reply:
    lead = asked.company.delete_record(_standing_lead(asked), user_id=asked.user.id)
    return success({"id": lead.id})


# --- notes ---


def _notes(asked: Asked) -> Reply:
    since = asked.time("updated_since")
    wanted: dict[str, Any] = {
        name: asked.text(name) if kind == "lead" else asked.number(name)
        for name, kind in NOTE_FIELDS.items()
        if asked.text(name) is not None
    }
    notes = [
        note
        for note in asked.company.standing("note")
        if all(note.links.get(name) == crm_id for name, crm_id in wanted.items())
        and (since is None or note.update_time.replace(microsecond=0) >= since)
    ]
    notes.sort(key=lambda note: int(note.id))
    for part in reversed((asked.text("sort") or "").split(",")):
        name, _, direction = part.strip().partition(" ")
        if name in ("id", "add_time", "update_time"):
            notes.sort(key=attrgetter(name), reverse=direction.upper() == "DESC")
    return page_by_start(asked, [shapes.note(asked.company, note) for note in notes])


def _standing_note(asked: Asked) -> Record:
    note = asked.the("note")
    if note.is_deleted:
        raise not_found("note")
    return note


def _content(body: dict[str, Any]) -> str:
    content = body.get("content")
    if not isinstance(content, str) or not content.strip():
        raise RefusedError(400, "Note content can not be empty.")
    if len(content) > MAX_CHARS:
        raise RefusedError(413, "Note content is too long.")
    return sanitized(content)


def _add_note(asked: Asked) -> Reply:
    body = asked.body()
    content, links = _content(body), linked_records(asked.company, body)
    if not links:
        raise RefusedError(400, "One of deal_id, lead_id, person_id, org_id or project_id must be given.")
    pinned = {name: bool(value) for name, value in body.items() if name.startswith("pinned_to_")}
    note = asked.company.add("note", "", user_id=asked.user.id, content=content, links=links, fields=pinned)
    return success(shapes.note(asked.company, note))


def _update_note(asked: Asked) -> Reply:
    note, body = _standing_note(asked), asked.body()
    fields: dict[str, Any] = {"content": _content(body)} if "content" in body else {}
    changed = {name: body[name] for name in NOTE_FIELDS if name in body and body[name] != note.links.get(name)}
    links = {name: crm_id for name, crm_id in note.links.items() if name not in changed}
    fields["links"] = links | linked_records(asked.company, changed)
    if not fields["links"]:
        raise RefusedError(400, "A note must stay on at least one record.")
    return success(shapes.note(asked.company, asked.company.update(note, user_id=asked.user.id, **fields)))


def _delete_note(asked: Asked) -> Reply:
    asked.company.delete_record(_standing_note(asked), user_id=asked.user.id)
    return success(data=True)


# --- deals, persons, what changed ---


def _participants(asked: Asked) -> Reply:
    deal = asked.the("deal")
    people = [asked.company.get("person", person) for person in deal.people]
    shown = [shapes.participant(asked.company, deal, person, number) for number, person in enumerate(people) if person]
    return page_by_start(asked, shown, nested=False)


def _merge_persons(asked: Asked) -> Reply:
    gone = asked.the("person")
    into = asked.company.get("person", as_number("merge_with_id", asked.body().get("merge_with_id")))
    if into is None or into.is_deleted or gone.is_deleted or into == gone:
        raise not_found("person")
    survivor = asked.company.merge(gone, into)
    return success(shapes.recent(survivor) | {"company_id": asked.company.id})


def _recents(asked: Asked) -> Reply:
    try:
        since = datetime.strptime(asked.text("since_timestamp") or "", "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        raise RefusedError(400, "since_timestamp must be YYYY-MM-DD HH:MM:SS") from None
    kinds = asked.words("items") or frozenset(RECENT_KINDS)
    records = [
        record
        for record in asked.company.records.values()
        if record.kind in kinds and record.kind in RECENT_KINDS and record.update_time.replace(microsecond=0) >= since
    ]
    records.sort(key=lambda record: record.update_time)
    return page_by_start(
        asked,
        [
            {
                "item": record.kind,
                "id": record.id,
                "data": shapes.note(asked.company, record) if record.kind == "note" else shapes.recent(record),
            }
            for record in records
        ],
    )


def _project_activities(asked: Asked) -> Reply:
    found = asked.company.activities_on("project", asked.the("project").id)
    return success([shapes.activity(asked.company, activity) for activity in found])


def _boards(_asked: Asked) -> Reply:
    board = {"id": 1, "name": "Projects", "order_nr": 1}
    return success([board | {"add_time": "2024-01-15T09:00:00Z", "update_time": "2024-01-15T09:00:00Z"}])


def _phases(asked: Asked) -> Reply:
    if asked.number("board_id") != 1:
        raise not_found("board")
    times = {"add_time": "2024-01-15T09:00:00Z", "update_time": "2024-01-15T09:00:00Z"}
    return success([{"id": 1, "name": "Kick-off", "board_id": 1, "order_nr": 1, **times}])


ROUTES = (
    Route("GET", "/users/me", "getCurrentUser", 2, _me),
    Route("GET", "/users", "getUsers", 20, _users),
    Route("GET", "/users/{id}/roleSettings", "getUserRoleSettings", 10, _role_settings),
    Route("GET", "/leads", "getLeads", 20, _leads(archived=False)),
    Route("GET", "/leads/archived", "getArchivedLeads", 40, _leads(archived=True)),
    Route("POST", "/leads", "addLead", 10, _add_lead),
    Route("GET", "/leads/{id}", "getLead", 2, _lead),
    Route("DELETE", "/leads/{id}", "deleteLead", 6, _delete_lead),
    Route("GET", "/notes", "getNotes", 20, _notes),
    Route("POST", "/notes", "addNote", 10, _add_note),
    Route("GET", "/notes/{id}", "getNote", 2, lambda asked: success(shapes.note(asked.company, _standing_note(asked)))),
    Route("PUT", "/notes/{id}", "updateNote", 10, _update_note),
    Route("DELETE", "/notes/{id}", "deleteNote", 6, _delete_note),
    Route("GET", "/deals/{id}/participants", "getDealParticipants", 10, _participants),
    Route("PUT", "/persons/{id}/merge", "mergePersons", 40, _merge_persons),
    Route("GET", "/recents", "getRecents", 20, _recents),
    Route("GET", "/projects/{id}/activities", "getProjectActivities", 20, _project_activities),
    Route("GET", "/projects/boards", "getProjectsBoards", 20, _boards),
    Route("GET", "/projects/phases", "getProjectsPhases", 20, _phases),
    Route("GET", "/mailbox/mailThreads", "getMailThreads", 20, mail.threads),
    Route("GET", "/mailbox/mailThreads/{id}", "getMailThread", 20, mail.thread),
    Route("PUT", "/mailbox/mailThreads/{id}", "updateMailThreadDetails", 10, mail.update_thread),
    Route("GET", "/mailbox/mailThreads/{id}/mailMessages", "getMailThreadMessages", 20, mail.thread_messages),
    Route("GET", "/persons/{id}/mailMessages", "getPersonMailMessages", 20, mail.messages_of("person")),
    Route("GET", "/deals/{id}/mailMessages", "getDealMailMessages", 20, mail.messages_of("deal")),
    Route(
        "GET", "/organizations/{id}/mailMessages", "getOrganizationMailMessages", 20, mail.messages_of("organization")
    ),
)
