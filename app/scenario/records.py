"""Reads what the CRM holds: under `crm` from the start, or by a `create` event later."""

from __future__ import annotations

from datetime import datetime
from typing import get_args

import yaml

from app.model import ITEM_KINDS, ItemState
from app.scenario.model import CrmItemRecord, CrmOrganizationRecord, CrmPersonRecord, CrmRecord
from app.scenario.names import Names
from app.scenario.nodes import Section, error_at, texts_of

STATES: tuple[str, ...] = get_args(ItemState)
ITEM_KEYS = "kind id title person participants organization status created_at"
PERSON_KEYS = "id name emails organization"
ORGANIZATION_KEYS = "id name"
CREATE_KEYS = {"person": f"kind {PERSON_KEYS}", "organization": f"kind {ORGANIZATION_KEYS}"}
CHANGEABLE = {
    "person": ("name", "emails", "organization"),
    "organization": ("name",),
    "item": ("title", "status", "person", "participants", "organization"),
}
RECORD_KINDS = (*ITEM_KINDS, "person", "organization")


def define(names: Names, kind: str, section: Section) -> None:
    """Note the name of a record before anything that refers to it is read."""
    node, written = section.required("id"), section.text("id")
    if kind == "person":
        names.define(names.persons, written, node)
    elif kind == "organization":
        names.define(names.organizations, written, node)
    else:
        names.define(names.items, f"{kind}/{written}", node)


def read_organization(section: Section) -> CrmOrganizationRecord:
    """Read an organization."""
    return CrmOrganizationRecord(section.text("id"), section.text("name"))


def read_person(section: Section, names: Names) -> CrmPersonRecord:
    """Read a person."""
    organization = section.node_of("organization")
    return CrmPersonRecord(
        id=section.text("id"),
        name=section.text("name"),
        emails=section.texts("emails"),
        organization=None if organization is None else names.organization(organization),
    )


def read_item(section: Section, names: Names, *, created_at: datetime) -> CrmItemRecord:
    """Read a deal, lead or project; `created_at` is used when the file does not say."""
    person, organization = section.node_of("person"), section.node_of("organization")
    return CrmItemRecord(
        kind=section.choice("kind", ITEM_KINDS),
        id=section.text("id"),
        title=section.text("title"),
        status=section.choice("status", STATES, "open"),
        created_at=section.time_or_none("created_at") or created_at,
        person=None if person is None else names.person(person),
        participants=tuple(names.person(node) for node in section.nodes("participants")),
        organization=None if organization is None else names.organization(organization),
    )


def create_section(node: yaml.Node) -> Section:
    """Take a `create` apart; which keys it may have depends on its kind."""
    kind = Section(node, "create", f"{ITEM_KEYS} name emails").choice("kind", RECORD_KINDS)
    return Section(node, f"create of a {kind}", CREATE_KEYS.get(kind, ITEM_KEYS))


def read_created(section: Section, names: Names, *, at: datetime) -> CrmRecord:
    """Read the record of a `create`."""
    kind = section.choice("kind", RECORD_KINDS)
    if kind == "person":
        return read_person(section, names)
    if kind == "organization":
        return read_organization(section)
    return read_item(section, names, created_at=at)


def read_changes(section: Section, kind: str, names: Names) -> dict[str, object]:
    """Read the fields a `change` sets; null takes a person or an organization off."""
    changeable = CHANGEABLE.get(kind, CHANGEABLE["item"])
    changes: dict[str, object] = {}
    for key in section.written():
        if key in ("kind", "id"):
            continue
        if key not in changeable:
            raise section.error(f"a {kind} has no {key!r} to change; it has {', '.join(changeable)}")
        changes[key] = _value(section, key, names)
    if not changes:
        raise section.error("a change needs at least one field to set")
    return changes


def _value(section: Section, key: str, names: Names) -> object:
    node = section.node_of(key)
    if key in ("person", "organization"):
        return None if node is None else names.record(key, node)
    if key == "participants":
        return tuple(names.person(entry) for entry in section.nodes(key))
    if key == "emails":
        return texts_of(section.required(key), repr(key))
    if key == "status" and section.text(key) not in STATES:
        raise error_at(section.required(key), f"'status' must be one of {', '.join(STATES)}")
    return section.text(key)
