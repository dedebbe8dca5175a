"""Tryton's JSON into the model and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from app.errors import Rejected
from app.model import Item, ItemRef, Person
from app.ports import CrmOrganization, LinkWrite
from app.testing.crm_stage import a_note
from connectors.crm.tryton import mapping

NOON = datetime(2026, 3, 2, 12, 0, 0, 5, tzinfo=UTC)
MARKER = "6f0c1c5e-6b8f-4b53-9b0e-0d4f6f3b7a11"


def at(moment: datetime) -> dict[str, Any]:
    return mapping.as_moment(moment)


def a_party(**fields: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": 4,
        "name": "Bea Işık",
        "active": True,
        "replaced_by": None,
        "create_date": at(NOON),
        "write_date": None,
    }
    return row | fields


def an_opportunity(**fields: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": 7,
        "description": "Rollout",
        "number": "12",
        "state": "opportunity",
        "create_date": at(NOON),
        "write_date": at(NOON + timedelta(days=1)),
        "party": 3,
        "party.": {"id": 3, "name": "Acme", "email": ""},
        "contact.": {"id": 9, "party": 4},
    }
    return row | fields


def an_email(value: str, **fields: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"type": "email", "value": value, "active": True, "create_date": at(NOON), "write_date": None}
    return row | fields


def a_relation(number: int, to: int, name: str = "works for", **fields: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"id": number, "to": to, "to.": {"name": f"Firm {to}"}, "type.": {"name": name}}
    return row | {"active": True} | fields


def test_a_moment_is_utc_there_and_back() -> None:
    here = NOON.astimezone(timezone(timedelta(hours=3)))
    assert mapping.moment(at(here)) == NOON
    assert mapping.moment(None) is None
    assert mapping.moment({"__class__": "date", "year": 2026, "month": 3, "day": 2}) is None


def test_a_record_is_as_new_as_its_newest_part() -> None:
    later = NOON + timedelta(hours=1)
    assert mapping.stamp(a_party()) == NOON
    assert mapping.stamp({"contact_mechanisms.": [an_email("a@b.test", write_date=at(later))], **a_party()}) == later
    assert mapping.stamp({}) == mapping.EPOCH


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("2147483647", 2**31 - 1)])
def test_an_id_is_a_number(text: str, number: int) -> None:
    assert mapping.record_id(text) == number


@pytest.mark.parametrize("text", ["", "0", "-1", "1.0", "2147483648", "9" * 1000, "١", "1 ", "\x00", "../1"])
def test_what_is_no_id_is_never_asked_for(text: str) -> None:
    assert mapping.record_id(text) is None
    assert mapping.resource(ItemRef("deal", text)) is None


def test_a_note_names_its_record() -> None:
    assert mapping.resource(ItemRef("lead", "5")) == "sale.opportunity,5"
    assert mapping.resource(ItemRef("project", "5")) == "project.work,5"


def test_what_changed_is_asked_for_by_each_date() -> None:
    assert mapping.changed_since(None, "write_date") == []
    moment = at(NOON)
    assert mapping.changed_since(NOON, "a", "b") == ["OR", ["a", ">=", moment], ["b", ">=", moment]]


def test_an_address_is_asked_for_without_wildcards() -> None:
    ((_, _, asked),) = mapping.with_address(["a_%\\b@acme.test"])
    assert asked == [["type", "=", "email"], ["OR", ["value", "ilike", "a\\_\\%\\\\b@acme.test"]]]


def test_a_search_leaves_open_what_may_carry_a_mark() -> None:
    assert mapping.with_words("name", ["isik", "x42"]) == [["name", "ilike", "%___k%"], ["name", "ilike", "%x42%"]]


@pytest.mark.parametrize(
    ("title", "words", "fits"),
    [
        ("Işık Holding görüşmesi", ["isik", "gorus"], True),
        ("Işık Holding", ["holding", "isik"], True),
        ("Işık Holding", ["olding"], False),
        ("Isak", ["isik"], False),
    ],
)
def test_a_title_is_looked_at_closely(title: str, words: list[str], fits: bool) -> None:
    assert mapping.matches(title, words) is fits


def test_a_party_with_addresses_is_a_person() -> None:
    mechanisms = [
        an_email("Bea@acme.test"),
        an_email("old@acme.test", active=False),
        an_email("+90 212", type="phone"),
        an_email("bea@home.test"),
    ]
    relations = [
        a_relation(3, 8),
        a_relation(2, 5),
        a_relation(1, 6, active=False),
        a_relation(0, 7, "is married to"),
    ]
    row = a_party(**{"contact_mechanisms.": mechanisms, "relations.": relations})
    assert mapping.person(row, "works for", 1) == Person(
        ItemRef("person", "4", 1),
        "Bea Işık",
        ("bea@acme.test", "bea@home.test"),
        ItemRef("organization", "5", 1),
        "Firm 5",
        created_at=NOON,
    )


def test_a_party_that_is_not_active_is_deleted() -> None:
    row = a_party(active=0, name=None)
    assert mapping.person(row, "", 1) == Person(ItemRef("person", "4", 1), "", (), deleted=True, created_at=NOON)
    assert mapping.organization(row, 1) == CrmOrganization(ItemRef("organization", "4", 1), "", deleted=True)


def test_an_opportunity_has_its_contact_and_its_party() -> None:
    assert mapping.opportunity(an_opportunity(), (), 1) == Item(
        ItemRef("deal", "7", 1),
        "Rollout",
        "open",
        NOON,
        NOON + timedelta(days=1),
        person=ItemRef("person", "4", 1),
        organization=ItemRef("organization", "3", 1),
    )


@pytest.mark.parametrize(
    ("party", "contact", "person", "organization"),
    [
        ({"id": 3, "name": "Acme", "email": "info@acme.test"}, None, "3", None),
        ({"id": 3, "name": "Acme", "email": ""}, None, None, "3"),
        ({"id": 3, "name": "Acme", "email": "info@acme.test"}, {"id": 1, "party": 3}, "3", None),
        ({"id": 3, "name": "Acme", "email": "info@acme.test"}, {"id": 1, "party": 4}, "4", "3"),
        (None, None, None, None),
    ],
)
def test_who_is_the_contact_and_who_the_organization(
    party: dict[str, Any] | None, contact: dict[str, Any] | None, person: str | None, organization: str | None
) -> None:
    row = an_opportunity(**{"party": party and party["id"], "party.": party, "contact.": contact})
    item = mapping.opportunity(row, (), 1)
    assert (item.person and item.person.external_id) == person
    assert (item.organization and item.organization.external_id) == organization
    assert mapping.organization_name(row) == ("Acme" if organization else "")


@pytest.mark.parametrize(
    ("state", "was_deal", "kind", "means"),
    [
        ("lead", False, "lead", "open"),
        ("lead", True, "lead", "open"),
        ("opportunity", False, "deal", "open"),
        ("converted", False, "deal", "open"),
        ("won", False, "deal", "won"),
        ("lost", True, "deal", "lost"),
        ("lost", False, "lead", "lost"),
        ("cancelled", True, "deal", "archived"),
        ("cancelled", False, "lead", "archived"),
        ("a state of somebody's module", False, "deal", "archived"),
    ],
)
def test_a_state_says_what_an_opportunity_is(state: str, was_deal: bool, kind: str, means: str) -> None:
    item = mapping.opportunity(an_opportunity(state=state), [7] if was_deal else [], 1)
    assert (item.ref.kind, item.state) == (kind, means)
    assert mapping.needs_history({"state": state}) == (state in ("lost", "cancelled"))


def test_an_opportunity_without_words_is_called_by_its_number() -> None:
    row = an_opportunity(description=None, create_date=None, write_date=None)
    item = mapping.opportunity(row, (), 1)
    assert (item.title, item.created_at, item.updated_at) == ("#12", mapping.EPOCH, None)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({"id": 1, "progress": None}, "open"),
        ({"id": 2, "progress": 0.5}, "open"),
        ({"id": 3, "progress": 1.0}, "completed"),
        (None, "open"),
    ],
)
def test_a_project_is_completed_when_all_of_it_is_done(status: dict[str, Any] | None, state: str) -> None:
    row: dict[str, Any] = {
        "id": 5,
        "name": "Move",
        "number": "3",
        "create_date": at(NOON),
        "write_date": None,
        "status.": status,
        "party": 4,
        "party.": {"id": 4, "name": "Bea", "email": "bea@acme.test"},
    }
    item = mapping.work(row, 1)
    assert (item.ref, item.title, item.state, item.person) == (
        ItemRef("project", "5", 1),
        "Move",
        state,
        ItemRef("person", "4", 1),
    )
    assert mapping.work(row | {"name": ""}, 1).title == "#3"


def test_a_marker_is_a_uuid() -> None:
    assert mapping.marker(MARKER.upper()) == MARKER
    with pytest.raises(Rejected):
        mapping.marker("%")


def test_a_conversation_is_shown_on_each_party_once() -> None:
    persons = (ItemRef("person", "4"), ItemRef("person", "5"), ItemRef("person", "x"))
    write = LinkWrite(ItemRef("deal", "7"), persons, (ItemRef("organization", "4"),), a_note())
    assert mapping.parties(write) == (4, 5)


def test_a_note_is_ours_by_its_last_line() -> None:
    text = mapping.message("Prices", MARKER, (4, 5))
    assert text.endswith(f"\n\nthreadlink {MARKER} 4 5")
    assert mapping.marked(text + "\n", MARKER) == (4, 5)
    assert mapping.marked(mapping.message("Prices", MARKER, ()), MARKER) == ()
    assert mapping.marked(text, MARKER.replace("6", "7")) is None
    assert mapping.marked(f"threadlink {MARKER}\nText: a mail that quotes it", MARKER) is None


def test_what_was_written_is_read_again() -> None:
    assert mapping.written_notes(mapping.written_id(12, {4: 13, 5: 14})) == (12, {4: 13, 5: 14})
    assert mapping.written_notes(mapping.written_id(12, {})) == (12, {})
    for text in ("", "x", "12 13", "12  13@4", "1" * 11):
        assert mapping.written_notes(text) is None
