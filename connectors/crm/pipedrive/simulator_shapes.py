"""Records as the JSON of Pipedrive's API, version 1 and 2. Part of the simulator; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from connectors.crm.pipedrive.simulator_records import Company, Record

VISIBLE_TO_COMPANY = 3
Json = dict[str, Any]


def seconds(at: datetime) -> str:
    """Return a time as version 2 shows it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def spaced(at: datetime) -> str:
    """Return a time as version 1 shows it."""
    return at.strftime("%Y-%m-%d %H:%M:%S")


def milliseconds(at: datetime) -> str:
    """Return a time as leads show it."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _emails(record: Record) -> list[Json]:
    return [{"value": value, "primary": number == 0, "label": "work"} for number, value in enumerate(record.emails)]


# --- version 2 ---


def person(_company: Company, record: Record) -> Json:
    """Return a person."""
    first, _, last = record.title.partition(" ")
    return {
        "id": record.id,
        "name": record.title,
        "first_name": first,
        "last_name": last or None,
        "owner_id": record.user_id,
        "org_id": record.organization,
        "add_time": seconds(record.add_time),
        "update_time": seconds(record.update_time),
        "emails": _emails(record),
        "phones": [],
        "is_deleted": record.is_deleted,
        "visible_to": VISIBLE_TO_COMPANY,
        "label_ids": [],
        "picture_id": None,
        "custom_fields": {},
    }


def organization(_company: Company, record: Record) -> Json:
    """Return an organization."""
    return {
        "id": record.id,
        "name": record.title,
        "owner_id": record.user_id,
        "add_time": seconds(record.add_time),
        "update_time": seconds(record.update_time),
        "is_deleted": record.is_deleted,
        "visible_to": VISIBLE_TO_COMPANY,
        "label_ids": [],
        "website": None,
        "custom_fields": {},
    }


def deal(_company: Company, record: Record) -> Json:
    """Return a deal; what a request may include besides is in EXTRAS."""
    return {
        "id": record.id,
        "title": record.title,
        "owner_id": record.user_id,
        "person_id": record.person,
        "org_id": record.organization,
        "pipeline_id": 1,
        "stage_id": 1,
        "value": 0,
        "currency": "EUR",
        "add_time": seconds(record.add_time),
        "update_time": seconds(record.update_time),
        "stage_change_time": None,
        "is_deleted": record.is_deleted,
        "is_archived": record.is_archived,
        "status": "deleted" if record.is_deleted else record.status,
        "probability": None,
        "lost_reason": None,
        "visible_to": VISIBLE_TO_COMPANY,
        "close_time": None,
        "won_time": None,
        "lost_time": None,
        "expected_close_date": None,
        "label_ids": [],
        "origin": "ManuallyCreated",
        "origin_id": None,
        "channel": None,
        "channel_id": None,
        "source_lead_id": record.source_lead_id,
        "custom_fields": {},
    }


def project(_company: Company, record: Record) -> Json:
    """Return a project."""
    return {
        "id": record.id,
        "title": record.title,
        "description": None,
        "status": "deleted" if record.is_deleted else record.status,
        "board_id": 1,
        "phase_id": 1,
        "owner_id": record.user_id,
        "start_date": None,
        "end_date": None,
        "deal_ids": [],
        "person_ids": list(record.people),
        "org_ids": [record.organization] if record.organization else [],
        "label_ids": [],
        "health_status": None,
        "add_time": seconds(record.add_time),
        "update_time": seconds(record.update_time),
        "status_change_time": seconds(record.update_time),
        "archive_time": seconds(record.update_time) if record.is_archived else None,
        "custom_fields": {},
    }


def activity(_company: Company, record: Record) -> Json:
    """Return an activity."""
    links = record.links
    return {
        "subject": record.title,
        "type": "task",
        "done": False,
        "due_date": None,
        "due_time": None,
        "duration": None,
        "busy": False,
        "public_description": "",
        "note": "",
        **record.fields,
        "id": record.id,
        "owner_id": record.user_id,
        "creator_user_id": record.user_id,
        "is_deleted": record.is_deleted,
        "add_time": seconds(record.add_time),
        "update_time": seconds(record.update_time),
        "deal_id": links.get("deal_id"),
        "lead_id": links.get("lead_id"),
        "person_id": links.get("person_id"),
        "org_id": links.get("org_id"),
        "project_id": links.get("project_id"),
    }


EXTRAS: Mapping[str, Callable[[Company, Record], Any]] = {
    "smart_bcc_email": lambda company, record: f"{company.domain}+deal{record.id}@pipedrivemail.com",
    "participants_count": lambda _company, record: len(record.people),
    "source_lead_id": lambda _company, record: record.source_lead_id,
    "email_messages_count": lambda _company, _record: 0,
    "last_incoming_mail_time": lambda _company, _record: None,
    "last_outgoing_mail_time": lambda _company, _record: None,
    "notes_count": lambda company, record: len(company.notes_on(record.kind, record.id)),
    "open_deals_count": lambda company, record: sum(
        deal.person == record.id and deal.status == "open" for deal in company.standing("deal")
    ),
    "participant_open_deals_count": lambda company, record: sum(
        record.id in deal.participants and deal.status == "open" for deal in company.standing("deal")
    ),
    "related_open_deals_count": lambda company, record: sum(
        record.id in deal.people and deal.status == "open" for deal in company.standing("deal")
    ),
}


# --- version 1 ---


def lead(company: Company, record: Record) -> Json:
    """Return a lead."""
    return {
        "id": record.id,
        "title": record.title,
        "owner_id": record.user_id,
        "creator_id": record.user_id,
        "label_ids": [],
        "person_id": record.person,
        "organization_id": record.organization,
        "source_name": "Manually created",
        "origin": "ManuallyCreated",
        "origin_id": None,
        "channel": None,
        "channel_id": None,
        "source_deal_id": None,
        "is_archived": record.is_archived,
        "was_seen": True,
        "value": None,
        "expected_close_date": None,
        "next_activity_id": None,
        "add_time": milliseconds(record.add_time),
        "update_time": milliseconds(record.update_time),
        "visible_to": str(VISIBLE_TO_COMPANY),
        "cc_email": f"{company.domain}+{company.id}+lead{record.id}@pipedrivemail.com",
    }


def note(company: Company, record: Record) -> Json:
    """Return a note."""
    user = company.users[record.user_id]
    links = record.links
    shown: Json = {
        "id": record.id,
        "active_flag": not record.is_deleted,
        "add_time": spaced(record.add_time),
        "update_time": spaced(record.update_time),
        "content": record.content,
        "deal_id": links.get("deal_id"),
        "lead_id": links.get("lead_id"),
        "person_id": links.get("person_id"),
        "org_id": links.get("org_id"),
        "project_id": links.get("project_id"),
        "task_id": None,
        "last_update_user_id": record.user_id,
        "user_id": record.user_id,
        "user": {"email": user.email, "icon_url": None, "is_you": True, "name": user.name},
    }
    for name, kind, title in (
        ("deal", "deal", "title"),
        ("project", "project", "title"),
        ("person", "person", "name"),
        ("organization", "organization", "name"),
    ):
        linked = links.get("org_id" if name == "organization" else f"{name}_id")
        record_of = company.get(kind, linked) if linked is not None else None
        shown[name] = {title: record_of.title} if record_of else None
        shown[f"pinned_to_{name}_flag"] = bool(record.fields.get(f"pinned_to_{name}_flag"))
    return shown


def recent(record: Record) -> Json:
    """Return a person, organization, deal or note as /recents of version 1 shows it: deleted ones stay in the list."""
    shown: Json = {
        "id": record.id,
        "add_time": spaced(record.add_time),
        "update_time": spaced(record.update_time),
        "active_flag": not record.is_deleted,
        "owner_id": record.user_id,
        "org_id": record.organization,
        "visible_to": str(VISIBLE_TO_COMPANY),
    }
    if record.kind == "deal":
        status = "deleted" if record.is_deleted else record.status
        return shown | {
            "title": record.title,
            "person_id": record.person,
            "status": status,
            "deleted": record.is_deleted,
            "active": not record.is_deleted and status == "open",
            "is_archived": record.is_archived,
        }
    shown["name"] = record.title
    if record.kind == "organization":
        shown["owner_id"] = {"id": record.user_id, "value": record.user_id}
    if record.kind == "person":
        shown["email"] = _emails(record)
        shown["merge_what_id"] = record.merge_what_id
    return shown


def participant(company: Company, deal_record: Record, person_record: Record, number: int) -> Json:
    """Return a participant of a deal; the main contact is one of them."""
    email = _emails(person_record)
    known = {
        "name": person_record.title,
        "email": email,
        "phone": [],
        "owner_id": person_record.user_id,
        "company_id": company.id,
        "active_flag": not person_record.is_deleted,
    }
    return {
        "id": int(deal_record.id) * 1000 + number,
        "person_id": {**known, "value": person_record.id},
        "person": {"id": person_record.id, "name": person_record.title},
        "add_time": spaced(deal_record.add_time),
        "active_flag": True,
        "related_item_data": {"deal_id": deal_record.id, "title": deal_record.title},
        "related_item_type": "deal",
        "related_item_id": deal_record.id,
    }


def found(company: Company, record: Record) -> Json:
    """Return a record as the search shows it."""
    shown: Json = {
        "id": record.id,
        "type": record.kind,
        "visible_to": VISIBLE_TO_COMPANY,
        "owner": {"id": record.user_id},
        "custom_fields": [],
        "notes": [],
    }
    of = company.get("organization", record.organization) if record.organization else None
    if record.kind != "organization":
        shown["organization"] = {"id": of.id, "name": of.title, "address": None} if of else None
    if record.kind in ("person", "organization"):
        shown["name"] = record.title
        if record.kind == "person":
            shown |= {"emails": list(record.emails), "phones": []}
        return shown
    main = company.get("person", record.person) if record.person else None
    shown |= {"title": record.title, "person": {"id": main.id, "name": main.title} if main else None}
    if record.kind in ("deal", "project"):
        shown["status"] = record.status
    if record.kind in ("deal", "lead"):
        shown |= {"value": 0, "currency": "EUR", "is_archived": record.is_archived}
    if record.kind == "deal":
        shown["stage"] = {"id": 1, "name": "Qualified"}
    return shown


SHAPES: Mapping[str, Callable[[Company, Record], Json]] = {
    "person": person,
    "organization": organization,
    "deal": deal,
    "project": project,
    "activity": activity,
    "lead": lead,
    "note": note,
}
