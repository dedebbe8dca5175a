"""The embedded CRM's rows, and what happens to its records."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from app.errors import CursorExpired, Rejected
from app.model import Item, ItemRef, Person
from app.ports import CrmOrganization, Merge, SearchHit
from connectors.crm.embedded import mapping

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def a_record(kind: str = "deal", external_id: str = "1", name: str = "Rollout", **fields: Any) -> mapping.Record:
    return mapping.new_record(kind, external_id, name, NOON, **fields)


def a_row(record: mapping.Record, *, changed: int = 1, organization_name: str | None = None) -> Any:
    columns = mapping.columns(record) | {"created_at": record.created_at}
    return SimpleNamespace(**columns, changed=changed, organization_name=organization_name)


@pytest.mark.parametrize("external_id", ["1", "a-b_c", "Işık 7"])
def test_an_id_is_printable_text(external_id: str) -> None:
    assert mapping.is_id(external_id)


@pytest.mark.parametrize("external_id", ["", "\x00", "a\nb", "\ud800", "x" * (mapping.MAX_ID_CHARS + 1)])
def test_other_text_is_no_id(external_id: str) -> None:
    assert not mapping.is_id(external_id)


# --- records ---


def test_a_new_record_is_open_and_clean() -> None:
    record = a_record(name=" Roll\x00out ", participants=["p2", "p2", "p3"], person="p1", organization=None)
    assert record == mapping.Record("deal", "1", "Roll out", NOON, person="p1", participants=("p2", "p3"))


@pytest.mark.parametrize(
    ("kind", "external_id", "fields"),
    [
        ("invoice", "1", {}),
        ("deal", "", {}),
        ("deal", "1", {"state": "sold"}),
        ("deal", "1", {"person": ""}),
        ("deal", "1", {"participants": ["p1", "\x00"]}),
        ("deal", "1", {"organization": "x" * 999}),
    ],
)
def test_a_record_that_cannot_be_is_refused(kind: str, external_id: str, fields: dict[str, Any]) -> None:
    with pytest.raises(Rejected):
        a_record(kind, external_id, **fields)


def test_a_put_record_keeps_the_creation_time_unless_a_new_one_is_given() -> None:
    stored, put = a_record(), mapping.new_record("deal", "1", "Renewal", NOON + timedelta(days=1))
    assert mapping.overwritten(None, put, keep_created_at=True) == put
    assert mapping.overwritten(stored, put, keep_created_at=False) == put
    assert mapping.overwritten(stored, put, keep_created_at=True) == replace(put, created_at=NOON)


def test_a_record_put_as_deleted_remembers_what_it_was() -> None:
    won, put = a_record(state="won"), a_record(state="deleted")
    deleted = mapping.overwritten(won, put, keep_created_at=True)
    assert mapping.restored(deleted).state == "won"
    assert mapping.restored(mapping.overwritten(deleted, put, keep_created_at=True)).state == "won"


def test_changes_use_the_public_names_of_fields() -> None:
    changes = {"title": " New ", "status": "won", "person": None, "participants": ["p3"], "organization": "o2"}
    changed = mapping.changed(a_record(person="p1"), changes)
    assert changed == mapping.Record("deal", "1", "New", NOON, "won", "o2", None, ("p3",))
    person = mapping.changed(a_record("person"), {"name": "Bea", "emails": ["Bea@acme.test"]})
    assert (person.name, person.addresses) == ("Bea", ("bea@acme.test",))
    assert mapping.changed(a_record("organization"), {"name": "Acme"}).name == "Acme"


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("deal", {"name": "x"}),
        ("person", {"status": "won"}),
        ("organization", {"emails": []}),
        ("deal", {"status": 7}),
        ("deal", {"kind": "lead"}),
    ],
)
def test_a_change_that_does_not_fit_is_refused(kind: str, changes: dict[str, Any]) -> None:
    with pytest.raises(Rejected):
        mapping.changed(a_record(kind), changes)


def test_a_deletion_and_its_restoration_leave_everything_as_it_was() -> None:
    won = a_record(state="won")
    deleted = mapping.deleted(won)
    assert (deleted.state, deleted.state_before) == ("deleted", "won")
    assert mapping.deleted(deleted) == deleted
    assert mapping.restored(deleted) == won
    assert mapping.restored(won) == won


def test_a_deal_made_from_a_lead_has_its_age_and_its_people() -> None:
    lead = a_record("lead", person="p1", participants=["p2"], organization="o1")
    converted, deal = mapping.converted(lead, "9")
    assert converted == replace(lead, state="converted", merged_into="deal/9")
    assert deal == replace(lead, kind="deal", external_id="9")
    assert mapping.restored(mapping.deleted(converted)) == converted


def test_a_lead_that_is_opened_again_is_no_longer_its_deal() -> None:
    converted, _ = mapping.converted(a_record("lead"), "9")
    assert mapping.changed(converted, {"status": "open"}).merged_into is None


@pytest.mark.parametrize("state", ["converted", "deleted"])
def test_a_lead_is_converted_once(state: str) -> None:
    with pytest.raises(Rejected):
        mapping.converted(a_record("lead", state=state), "9")


def test_a_merge_gives_the_survivor_all_addresses_and_an_organization() -> None:
    gone = a_record("person", "1", addresses=["a@acme.test", "b@acme.test"], organization="o1")
    into = a_record("person", "2", addresses=["b@acme.test", "c@acme.test"])
    left, stays = mapping.merged(gone, into)
    assert (left.state, left.merged_into) == ("deleted", "person/2")
    assert stays == replace(into, addresses=("b@acme.test", "c@acme.test", "a@acme.test"), organization="o1")
    assert mapping.restored(left) == gone


@pytest.mark.parametrize(
    ("gone", "into"),
    [
        (a_record("person", "1"), a_record("person", "1")),
        (a_record("person", "1", state="deleted"), a_record("person", "2")),
        (a_record("person", "1"), a_record("person", "2", state="deleted")),
    ],
)
def test_only_two_standing_persons_are_merged(gone: mapping.Record, into: mapping.Record) -> None:
    with pytest.raises(Rejected):
        mapping.merged(gone, into)


def test_a_merge_renames_people_on_items_and_follows_earlier_merges() -> None:
    gone, into = a_record("person", "1"), a_record("person", "2")
    assert mapping.moved(a_record(person="1", participants=["2", "3"]), gone, into) == a_record(
        person="2", participants=["3"]
    )
    assert mapping.moved(a_record(person="3", participants=["1", "2"]), gone, into) == a_record(
        person="3", participants=["2"]
    )
    earlier = replace(a_record("person", "0", state="deleted"), merged_into="person/1")
    assert mapping.moved(earlier, gone, into).merged_into == "person/2"


# --- rows ---


def test_a_stored_record_is_read_as_it_was() -> None:
    record = mapping.deleted(a_record(person="p1", participants=["p2"], organization="o1"))
    assert mapping.record(a_row(record)) == record


def test_rows_become_a_page_with_the_last_change_as_its_cursor() -> None:
    person = a_record("person", "p1", "Bea", addresses=["bea@acme.test"], organization="o1")
    converted, deal = mapping.converted(a_record("lead", "l1", person="p1", participants=["p2"]), "d1")
    rows = [
        a_row(person, changed=3, organization_name="Acme"),
        a_row(mapping.deleted(a_record("organization", "o1", "Acme")), changed=4),
        a_row(converted, changed=7),
        a_row(deal, changed=8),
    ]
    page = mapping.page(rows, 5)
    bea, lead_ref, deal_ref = ItemRef("person", "p1", 5), ItemRef("lead", "l1", 5), ItemRef("deal", "d1", 5)
    acme = ItemRef("organization", "o1", 5)
    assert page.cursor == "8"
    assert page.persons == (Person(bea, "Bea", ("bea@acme.test",), acme, "Acme", created_at=NOON),)
    assert page.organizations == (CrmOrganization(acme, "Acme", deleted=True),)
    others = (ItemRef("person", "p2", 5),)
    assert page.items == (
        Item(lead_ref, "Rollout", "converted", NOON, person=bea, participants=others),
        Item(deal_ref, "Rollout", "open", NOON, person=bea, participants=others),
    )
    assert page.merges == (Merge(lead_ref, deal_ref),)


def test_a_hit_names_its_organization() -> None:
    row = a_row(a_record(state="won"), organization_name="Acme")
    assert mapping.hit(row, 5) == SearchHit(ItemRef("deal", "1", 5), "Rollout", "won", "Acme")


def test_a_cursor_is_a_number_of_ours() -> None:
    assert mapping.position(None) == 0
    assert mapping.position("17") == 17


@pytest.mark.parametrize("cursor", ["", "-1", "1.5", "٣", "9" * 30, "DROP"])
def test_any_other_cursor_has_expired(cursor: str) -> None:
    with pytest.raises(CursorExpired):
        mapping.position(cursor)


def test_a_marker_is_a_uuid() -> None:
    assert mapping.marker("{00000000-0000-0000-0000-00000000000A}") == "00000000-0000-0000-0000-00000000000a"
    with pytest.raises(Rejected):
        mapping.marker("x")


def test_only_a_number_is_the_id_of_a_note() -> None:
    assert mapping.note_id("12") == 12
    assert mapping.note_id("made-1") is None
