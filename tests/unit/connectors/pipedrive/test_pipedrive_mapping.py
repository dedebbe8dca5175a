"""Pipedrive's JSON into the model, odd answers included."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.model import ItemRef
from app.ports import Merge
from connectors.crm.pipedrive import mapping

LEAD = "46c3b0e1-db35-59ca-1828-4817378dff71"
DEAL: dict[str, Any] = {
    "id": 7, "title": "Rollout", "status": "won", "person_id": 1, "org_id": 3, "owner_id": 9, "visible_to": 3,
    "add_time": "2026-03-02T12:00:00Z", "update_time": "2026-03-03T12:00:00Z", "is_deleted": False,
}  # fmt: skip


def test_reads_a_deal() -> None:
    deal = mapping.deal(DEAL, ["1", "2", "2"], 5, groups=False)
    assert deal is not None
    assert (deal.ref, deal.title, deal.state) == (ItemRef("deal", "7", 5), "Rollout", "won")
    assert (deal.person, deal.participants) == (ItemRef("person", "1", 5), (ItemRef("person", "2", 5),))
    assert (deal.organization, deal.visible_to) == (ItemRef("organization", "3", 5), None)
    assert deal.created_at == datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ({"status": "open"}, "open"),
        ({"status": "lost"}, "lost"),
        ({"status": "new in 2027"}, "open"),
        ({"is_archived": True}, "archived"),
        ({"status": "deleted", "is_archived": True}, "deleted"),
        ({"is_deleted": True}, "deleted"),
    ],
)
def test_reads_the_state_of_a_deal(told: dict[str, Any], state: str) -> None:
    deal = mapping.deal(DEAL | told, (), 5, groups=False)
    assert deal is not None
    assert deal.state == state


@pytest.mark.parametrize(
    ("told", "groups", "seen_by"),
    [
        ({"visible_to": 3}, False, None),
        ({"visible_to": "3"}, False, None),
        ({"visible_to": 3}, True, ("9",)),
        ({"visible_to": 7}, True, None),
        ({"visible_to": 1}, False, ("9",)),
        ({"visible_to": 5}, True, ("9",)),
        ({"visible_to": 1, "owner_id": None, "owner": {"id": 4}}, False, ("4",)),
        ({"visible_to": 1, "owner_id": None}, False, ()),
        ({"visible_to": None}, True, None),
        ({"visible_to": "all"}, True, None),
    ],
)
def test_shows_a_record_to_no_more_people_than_pipedrive(
    told: dict[str, Any], groups: bool, seen_by: tuple[str, ...] | None
) -> None:
    assert mapping.visible(DEAL | told, groups=groups) == seen_by


@pytest.mark.parametrize("external_id", [None, "", "x", True, 1.5, "1' OR", "9" * 30, [], {"value": None}])
def test_reads_nothing_without_an_id(external_id: object) -> None:
    row = {"id": external_id}
    assert mapping.deal(row, (), 5, groups=False) is None
    assert mapping.person(row, 5, groups=False) is None
    assert mapping.organization(row, 5, groups=False) is None
    assert mapping.lead(row, 5, groups=False) is None
    assert mapping.project(row, 5) is None
    assert mapping.user(row) is None
    assert mapping.hit({"item": {"type": "deal", **row}}, 5) is None


def test_reads_a_person_with_the_primary_address_first() -> None:
    addresses = [{"value": "B@acme.test", "primary": False}, {"value": "a@acme.test", "primary": True}, {"value": 5}, 6]
    person = mapping.person(
        {"id": 1, "name": "Bea\n Işık", "emails": addresses, "org_id": 3}, 5, groups=False, organization_name="Acme"
    )
    assert person is not None
    assert (person.name, person.addresses) == ("Bea Işık", ("a@acme.test", "b@acme.test"))
    assert (person.organization, person.organization_name, person.deleted) == (
        ItemRef("organization", "3", 5),
        "Acme",
        False,
    )


def test_reads_addresses_as_a_search_shows_them_and_none_where_there_are_none() -> None:
    assert mapping.emails(["B@acme.test", "b@acme.test"]) == ("b@acme.test",)
    assert mapping.emails(None) == ()


def test_reads_what_version_1_says_of_the_deleted() -> None:
    row = {"id": 1, "name": "Bea", "active_flag": False, "org_id": {"value": 3, "name": "Acme"}}
    person, organization = mapping.person(row, 5, groups=False), mapping.organization(row, 5, groups=False)
    assert person is not None
    assert organization is not None
    assert (person.deleted, organization.deleted) == (True, True)
    assert person.organization == ItemRef("organization", "3", 5)


@pytest.mark.parametrize(
    ("told", "has"),
    [
        ({"participants_count": 1}, False),
        ({"participants_count": 2}, True),
        ({"participants_count": 1, "person_id": None}, True),
        ({}, False),
    ],
)
def test_counts_the_main_contact_among_the_participants(told: dict[str, Any], has: bool) -> None:
    assert mapping.has_participants({"person_id": 1, **told}) is has


def test_reads_participants_of_version_1() -> None:
    rows = [{"person_id": {"value": 2}}, {"person": {"id": 3}}, {"person_id": 2}, {}]
    assert mapping.participants(rows) == ("2", "3")


def test_tells_of_a_lead_what_its_deal_says() -> None:
    deal = mapping.deal(DEAL, (), 5, groups=False)
    assert deal is not None
    found = mapping.lead_of({"source_lead_id": LEAD}, deal)
    assert found is not None
    lead, merge = found
    assert (lead.state, lead.title, lead.created_at, lead.person) == (
        "converted",
        "Rollout",
        deal.created_at,
        deal.person,
    )
    assert merge == Merge(ItemRef("lead", LEAD, 5), deal.ref)
    assert mapping.lead_of({"source_lead_id": None}, deal) is None
    assert mapping.lead_of({"source_lead_id": "../1"}, deal) is None


@pytest.mark.parametrize(("archived", "state"), [(True, "archived"), (False, "open")])
def test_reads_a_lead(archived: bool, state: str) -> None:
    lead = mapping.lead(
        {"id": LEAD, "title": "Training", "is_archived": archived, "organization_id": 3}, 5, groups=False
    )
    assert lead is not None
    assert (lead.ref, lead.state, lead.created_at, lead.person) == (
        ItemRef("lead", LEAD, 5),
        state,
        mapping.EPOCH,
        None,
    )


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ({"status": "completed"}, "completed"),
        ({"status": "open", "archive_time": "2026-03-02T12:00:00Z"}, "archived"),
        ({"status": "deleted", "archive_time": "2026-03-02T12:00:00Z"}, "deleted"),
        ({}, "open"),
    ],
)
def test_reads_a_project_whose_first_person_is_the_contact(told: dict[str, Any], state: str) -> None:
    project = mapping.project({"id": 4, "title": "Build", "person_ids": [2, 1, "x"], "org_ids": [3], **told}, 5)
    assert project is not None
    assert (project.state, project.person, project.participants) == (
        state,
        ItemRef("person", "2", 5),
        (ItemRef("person", "1", 5),),
    )


def test_reads_a_project_of_nobody() -> None:
    project = mapping.project({"id": 4, "person_ids": None}, 5)
    assert project is not None
    assert (project.person, project.organization, project.title) == (None, None, "")


def test_reads_what_a_search_found() -> None:
    deal = {"type": "deal", "id": 7, "title": "Rollout", "status": "lost", "organization": {"name": "Acme"}}
    found = [
        mapping.hit({"item": item}, 5)
        for item in (
            deal,
            {"type": "lead", "id": LEAD, "title": "T", "is_archived": True},
            {"type": "project", "id": 4, "status": "completed"},
        )
    ]
    assert [(hit.state, hit.organization_name) for hit in found if hit] == [
        ("lost", "Acme"),
        ("archived", ""),
        ("completed", ""),
    ]
    assert mapping.hit({"item": {"type": "product", "id": 1}}, 5) is None
    assert mapping.hit({}, 5) is None


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-03-02 12:00:00", datetime(2026, 3, 2, 12, tzinfo=UTC)),
        ("2026-03-02T14:00:00.5+02:00", datetime(2026, 3, 2, 12, 0, 0, 500_000, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),
        ("yesterday", None),
        ("2" * 50, None),
        (5, None),
    ],
)
def test_reads_times_of_both_versions(written: object, read: datetime | None) -> None:
    assert mapping.time(written) == read


def test_writes_times_for_both_versions() -> None:
    at = datetime(2026, 3, 2, 12, tzinfo=UTC)
    assert (mapping.rfc3339(at), mapping.spaced(at)) == ("2026-03-02T12:00:00Z", "2026-03-02 12:00:00")


def test_knows_when_a_record_changed() -> None:
    assert mapping.changed_at(DEAL) == datetime(2026, 3, 3, 12, tzinfo=UTC)
    assert mapping.changed_at({"add_time": "2026-03-02T12:00:00Z"}) == datetime(2026, 3, 2, 12, tzinfo=UTC)
    assert mapping.changed_at({}) == mapping.EPOCH


def test_tells_merges_of_recent_persons() -> None:
    assert mapping.merge_of({"id": 2, "merge_what_id": 1}, 5) == Merge(
        ItemRef("person", "1", 5), ItemRef("person", "2", 5)
    )
    for row in ({"id": 2}, {"merge_what_id": 1}, {"id": 1, "merge_what_id": 1}):
        assert mapping.merge_of(row, 5) is None


@pytest.mark.parametrize(
    ("access", "sees"),
    [
        ([{"app": "sales", "admin": True}], True),
        ([{"app": "projects", "admin": True}], False),
        ([5], False),
        (None, False),
    ],
)
def test_reads_users_and_who_sees_everything(access: object, sees: bool) -> None:
    user = mapping.user({"id": 1, "name": "Ada", "email": "ada@acme.test", "active_flag": True, "access": access})
    assert user is not None
    assert (user.user_id, user.is_active, user.sees_everything) == ("1", True, sees)
