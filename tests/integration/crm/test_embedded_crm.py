"""The embedded CRM in the database: who sees it, what a page holds, and that no change is missed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
import sqlalchemy as sa

from app.errors import CursorExpired, Gone, Rejected, SettingsError
from app.model import ItemRef
from app.ports import CrmConnection, LinkWrite, Services, WrittenLink
from app.store.database import Database
from app.testing.crm_stage import NOON, a_note, read_changes
from app.testing.fakes import SteppedClock
from connectors.crm.embedded import create, mapping
from connectors.crm.embedded.adapter import PAGE_SIZE, EmbeddedCrm
from tests.integration.crm.opening import open_connection, open_embedded

pytestmark = pytest.mark.integration

DEAL = ItemRef("deal", "d1")


@pytest.fixture
def acme(database: Database, team: Callable[..., int]) -> CrmConnection:
    return open_connection(database, team("Acme"))


@pytest.fixture
def crm(database: Database, acme: CrmConnection) -> EmbeddedCrm:
    opened = open_embedded(database, acme)
    opened.put_person("p1", "Bea", ["bea@acme.test"])
    opened.put_item("deal", "d1", "Rollout", person="p1", created_at=NOON)
    return opened


def test_another_team_sees_nothing_of_it_even_with_the_same_connection_id(
    database: Database, team: Callable[..., int], acme: CrmConnection, crm: EmbeddedCrm
) -> None:
    crm.write_link(LinkWrite(DEAL, (), (), a_note()))
    intruder = open_embedded(database, replace(acme, team_id=team("Other")))
    assert intruder.people_by_address(["bea@acme.test"]) == []
    assert intruder.get(DEAL) is None
    assert intruder.search("rollout") == []
    assert intruder.items_of_people([ItemRef("person", "p1")]) == []
    assert intruder.notes("deal", "d1") == []
    assert list(intruder.changes_since(None)) == []
    with pytest.raises(Rejected):
        intruder.change("deal", "d1", {"title": "Taken"})
    with database.for_team(team("Third")) as connection:
        counts = [connection.execute(sa.text(f"SELECT count(*) FROM {t}")).scalar() for t in ("crm_record", "crm_note")]
    assert counts == [0, 0]


def test_two_connections_of_one_team_are_two_crms(database: Database, acme: CrmConnection, crm: EmbeddedCrm) -> None:
    second = open_embedded(database, open_connection(database, acme.team_id, company="second"))
    assert second.get(DEAL) is None
    second.put_item("deal", "d1", "Another deal", created_at=NOON)
    (ours,) = crm.search("rollout")
    assert ours.ref == ItemRef("deal", "d1", acme.id)
    assert second.get(ours.ref) is None
    with pytest.raises(Gone):
        second.write_link(LinkWrite(ours.ref, (), (), a_note()))
    assert second.who_am_i().company != crm.who_am_i().company


def test_changes_come_in_pages_in_the_order_of_their_change(crm: EmbeddedCrm) -> None:
    records = [mapping.new_record("deal", f"n{number}", "New", NOON) for number in range(PAGE_SIZE)]
    with crm._writing() as connection:
        crm._save(connection, records)
    pages = list(crm.changes_since(None))
    assert [len(page.items) + len(page.persons) for page in pages] == [PAGE_SIZE, 2]
    found = [item.ref.external_id for page in pages for item in page.items]
    assert found == ["d1", *(record.external_id for record in records)]
    crm.change("deal", "d1", {"title": "Rollout 2"})
    assert [item.title for page in crm.changes_since(pages[-1].cursor) for item in page.items] == ["Rollout 2"]


def test_a_reader_never_passes_a_change_that_is_not_committed_yet(database: Database, crm: EmbeddedCrm) -> None:
    """Two writers at once: without the lock, the later number could be seen before the earlier one."""
    seen = read_changes(crm)
    first_has_drawn, first_may_commit = threading.Event(), threading.Event()

    def write_first() -> None:
        with crm._writing() as connection:
            crm._save(connection, [mapping.new_record("deal", "first", "First", NOON)])
            first_has_drawn.set()
            assert first_may_commit.wait(10)

    def write_second() -> None:
        crm.put_item("deal", "second", "Second", created_at=NOON)

    first, second = threading.Thread(target=write_first), threading.Thread(target=write_second)
    first.start()
    assert first_has_drawn.wait(10)
    second.start()
    second.join(0.3)
    seen = read_changes(crm, seen)
    first_may_commit.set()
    first.join(10)
    second.join(10)
    seen = read_changes(crm, seen)
    assert {"deal/first", "deal/second"} < set(seen.states())


@pytest.mark.parametrize("cursor", ["nonsense", "", "-1"])
def test_a_cursor_of_somebody_else_has_expired(crm: EmbeddedCrm, cursor: str) -> None:
    with pytest.raises(CursorExpired):
        list(crm.changes_since(cursor))


def test_writing_the_same_marker_again_keeps_one_note(crm: EmbeddedCrm) -> None:
    write = LinkWrite(DEAL, (), (), a_note())
    newer = replace(write, note=a_note("Delivery", marker=write.note.marker))
    assert crm.write_link(write) == crm.write_link(newer)
    (text,) = crm.notes("deal", "d1")
    assert "Delivery" in text


def test_two_writers_of_one_marker_leave_one_note(crm: EmbeddedCrm) -> None:
    write = LinkWrite(DEAL, (), (), a_note())
    written: list[WrittenLink] = []
    writers = [threading.Thread(target=lambda: written.append(crm.write_link(write))) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(10)
    assert len(written) == 4
    assert len(set(written)) == 1
    assert len(crm.notes("deal", "d1")) == 1


def test_a_note_deleted_by_hand_is_gone_for_an_update(
    database: Database, acme: CrmConnection, crm: EmbeddedCrm
) -> None:
    write = LinkWrite(DEAL, (), (), a_note())
    written = crm.write_link(write)
    with database.for_team(acme.team_id) as connection:
        connection.execute(sa.text("DELETE FROM crm_note"))
    with pytest.raises(Gone):
        crm.update_link(written, write)


@pytest.mark.parametrize("external_id", ["x", "", "-1", "9" * 40])
def test_an_id_that_no_note_has_is_gone_and_removed_without_an_error(crm: EmbeddedCrm, external_id: str) -> None:
    with pytest.raises(Gone):
        crm.update_link(WrittenLink(external_id), LinkWrite(DEAL, (), (), a_note()))
    crm.remove_link(WrittenLink(external_id), DEAL)


def test_a_note_of_another_item_is_neither_updated_nor_removed(crm: EmbeddedCrm) -> None:
    written = crm.write_link(LinkWrite(DEAL, (), (), a_note()))
    crm.put_item("deal", "d2", "Renewal", created_at=NOON)
    other = ItemRef("deal", "d2")
    with pytest.raises(Gone):
        crm.update_link(written, LinkWrite(other, (), (), a_note("Taken")))
    crm.remove_link(written, other)
    assert len(crm.notes("deal", "d1")) == 1


def test_a_note_on_another_connections_item_is_neither_found_nor_removed(crm: EmbeddedCrm, acme: CrmConnection) -> None:
    write = LinkWrite(DEAL, (), (), a_note())
    written = crm.write_link(write)
    elsewhere = replace(DEAL, connection_id=acme.id + 1)
    assert crm.find_link(replace(write, item=elsewhere)) is None
    crm.remove_link(written, elsewhere)
    assert crm.find_link(write) == written


def test_a_marker_that_is_no_uuid_is_refused(crm: EmbeddedCrm) -> None:
    with pytest.raises(Rejected):
        crm.write_link(LinkWrite(DEAL, (), (), a_note(marker="x")))


def test_putting_an_item_again_keeps_its_creation_time(
    database: Database, acme: CrmConnection, crm: EmbeddedCrm
) -> None:
    crm.put_item("deal", "d1", "Rollout 2", state="won")
    item = crm.get(DEAL)
    assert item is not None
    assert (item.title, item.state, item.created_at) == ("Rollout 2", "won", NOON)


def test_an_item_put_without_a_creation_time_was_made_now(database: Database, acme: CrmConnection) -> None:
    clock = SteppedClock()
    crm = open_embedded(database, acme, clock)
    crm.put_item("project", "1", "Move")
    item = crm.get(ItemRef("project", "1"))
    assert item is not None
    assert item.created_at == clock.now()


def test_a_lead_is_not_converted_into_a_deal_that_exists(crm: EmbeddedCrm) -> None:
    crm.put_item("lead", "l1", "Training")
    with pytest.raises(Rejected):
        crm.convert_lead("l1", "d1")


@pytest.mark.parametrize(("kind", "external_id"), [("deal", "unknown"), ("deal", "\x00"), ("invoice", "1")])
def test_what_does_not_exist_cannot_be_changed(crm: EmbeddedCrm, kind: str, external_id: str) -> None:
    for act in (crm.delete, crm.restore, lambda k, i: crm.change(k, i, {"title": "x"})):
        with pytest.raises(Rejected):
            act(kind, external_id)
    assert crm.notes(kind, external_id) == []


def test_text_that_postgresql_cannot_hold_is_taken_as_far_as_it_can(crm: EmbeddedCrm) -> None:
    crm.put_person("p2", "Can\x00\ud800", ["can\x00@acme.test"])
    assert read_changes(crm).persons
    assert crm.people_by_address(["\x00", "\ud800"]) == []
    assert crm.search("\x00 \ud800") == []
    assert crm.items_of_people([ItemRef("person", "\x00")]) == []


def test_reading_takes_one_query_however_much_is_asked_for(database: Database, crm: EmbeddedCrm) -> None:
    statements: list[str] = []
    sa.event.listen(database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    people = [ItemRef("person", f"p{number}") for number in range(100)]
    for read in (
        lambda: crm.people_by_address([f"a{number}@acme.test" for number in range(100)]),
        lambda: crm.items_of_people(people),
        lambda: crm.search("rollout bea acme"),
        lambda: crm.notes("deal", "d1"),
    ):
        statements.clear()
        read()
        assert len([statement for statement in statements if "crm_" in statement]) == 1


def test_the_embedded_crm_needs_a_database(acme: CrmConnection) -> None:
    with pytest.raises(SettingsError):
        create(Services(SteppedClock(), "https://threadlink.test", {}), acme)
