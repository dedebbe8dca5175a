"""The local copy of a CRM: refreshed page by page, read by decisions and searches, and what links must follow."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app import mirror
from app.errors import Conflict, CursorExpired, RateLimited, Unavailable
from app.linking.addresses import match_key
from app.model import Item, ItemRef, Person
from app.ports import CrmChanges, CrmConnection, CrmOrganization, Merge
from app.store import mirror as rows
from app.store.database import Database
from app.store.mirror import Changed
from app.testing.crm_stage import NOON
from app.testing.fake_crm import FakeCrm
from app.testing.fakes import SteppedClock
from tests.integration.crm.filling import analyze, fill
from tests.integration.crm.opening import open_connection, open_embedded

pytestmark = pytest.mark.integration


class ScriptedCrm(FakeCrm):
    """Answers changes_since() with the pages it is given, whatever the cursor."""

    def __init__(self, *pages: CrmChanges) -> None:
        super().__init__(SteppedClock(), company="acme")
        self.pages = pages

    def changes_since(self, cursor: str | None) -> Iterator[CrmChanges]:
        yield from self.pages


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def acme(database: Database, team: Callable[..., int]) -> CrmConnection:
    return open_connection(database, team("Acme"), adapter="fake")


@pytest.fixture
def crm(clock: SteppedClock, acme: CrmConnection) -> FakeCrm:
    """Acme with Bea (contact of the deal) and Can (its participant, contact of a closed lead)."""
    fake = FakeCrm(clock, connection_id=acme.id, company="acme")
    fake.put_organization("o1", "Acme")
    fake.put_person("p1", "Bea Işık", ["bea@acme.test", "b.ea+crm@gmail.com"], "o1")
    fake.put_person("p2", "Can", ["can@acme.test"])
    fake.put_item("deal", "d1", "Işık rollout", person="p1", participants=["p2"], organization="o1", created_at=NOON)
    fake.put_item("lead", "l1", "Training", person="p2", state="archived", created_at=NOON)
    return fake


@pytest.fixture
def refresh(database: Database, crm: FakeCrm, acme: CrmConnection, clock: SteppedClock) -> Callable[[], Changed]:
    return lambda: mirror.refresh(database, crm, acme, clock)


def persons(database: Database, team_id: int, *addresses: str) -> list[Person]:
    with database.for_team(team_id) as connection:
        return rows.persons_by_addresses(connection, addresses, [match_key(address) for address in addresses])


def items_of(database: Database, team_id: int, *found: Person) -> list[Item]:
    with database.for_team(team_id) as connection:
        return rows.items_of_persons(connection, [person.ref for person in found])


def titles(database: Database, team_id: int, query: str, **options: Any) -> list[str]:
    with database.for_team(team_id) as connection:
        return [hit.title for hit in rows.search_items(connection, query, **options)]


# --- reading ---


def test_persons_are_found_by_address_and_by_match_key(
    database: Database, acme: CrmConnection, refresh: Callable[[], Changed]
) -> None:
    refresh()
    (bea,) = persons(database, acme.team_id, "bea@acme.test")
    assert bea == Person(
        ItemRef("person", "p1", acme.id),
        "Bea Işık",
        ("bea@acme.test", "b.ea+crm@gmail.com"),
        ItemRef("organization", "o1", acme.id),
        "Acme",
        created_at=bea.created_at,
    )
    assert persons(database, acme.team_id, "bea@googlemail.com") == [bea]
    assert [person.name for person in persons(database, acme.team_id, "can@acme.test", "bea@acme.test")] == [
        "Bea Işık",
        "Can",
    ]
    assert persons(database, acme.team_id, "nobody@acme.test") == []
    assert persons(database, acme.team_id) == []


def test_items_of_persons_come_in_every_state_with_their_people(
    database: Database, crm: FakeCrm, acme: CrmConnection, refresh: Callable[[], Changed]
) -> None:
    refresh()
    everybody = persons(database, acme.team_id, "bea@acme.test", "can@acme.test")
    found = items_of(database, acme.team_id, *everybody)
    assert found == [crm.get(ItemRef("deal", "d1")), crm.get(ItemRef("lead", "l1"))]
    assert items_of(database, acme.team_id) == []


def test_items_are_found_by_organization_and_by_name(
    database: Database, crm: FakeCrm, acme: CrmConnection, refresh: Callable[[], Changed]
) -> None:
    refresh()
    deal, unknown = ItemRef("deal", "d1", acme.id), ItemRef("deal", "d9", acme.id)
    with database.for_team(acme.team_id) as connection:
        of_acme = rows.items_of_organizations(connection, [ItemRef("organization", "o1", acme.id)])
        by_ref = rows.items(connection, [deal, unknown])
        assert (rows.item(connection, deal), rows.item(connection, unknown)) == (crm.get(deal), None)
    assert of_acme == [crm.get(deal)]
    assert by_ref == {deal: crm.get(deal)}


@pytest.mark.parametrize("query", ["isik", "IŞIK", "rollout ışık", "roll", "Rollout!"])
def test_titles_are_found_by_the_beginnings_of_their_words(
    database: Database, acme: CrmConnection, refresh: Callable[[], Changed], query: str
) -> None:
    refresh()
    with database.for_team(acme.team_id) as connection:
        (hit,) = rows.search_items(connection, query)
    assert (hit.ref, hit.title, hit.state, hit.organization_name) == (
        ItemRef("deal", "d1", acme.id),
        "Işık rollout",
        "open",
        "Acme",
    )


@pytest.mark.parametrize("query", ["", "  ", "ollout", "'", "\\", "rollout & !x", ":*", "isik' | 'training", "\x00"])
def test_other_queries_find_nothing(
    database: Database, acme: CrmConnection, refresh: Callable[[], Changed], query: str
) -> None:
    refresh()
    assert titles(database, acme.team_id, query) == []


def test_a_word_of_two_characters_must_fit_whole(
    database: Database, crm: FakeCrm, acme: CrmConnection, refresh: Callable[[], Changed]
) -> None:
    crm.put_item("deal", "d2", "Phase 2 in Rome", created_at=NOON)
    refresh()
    assert titles(database, acme.team_id, "2 in") == ["Phase 2 in Rome"]
    assert titles(database, acme.team_id, "ro") == []


def test_a_search_shows_open_items_first_then_the_newest_and_no_deleted_ones(
    database: Database, crm: FakeCrm, acme: CrmConnection, refresh: Callable[[], Changed]
) -> None:
    for number, state in enumerate(("won", "open", "open", "deleted")):
        crm.put_item("project", str(number), f"Move {number}", state=state, created_at=NOON + timedelta(days=number))
    crm.put_item("deal", "move", "Move", state="lost", created_at=NOON + timedelta(days=9))
    refresh()
    assert titles(database, acme.team_id, "move") == ["Move 2", "Move 1", "Move", "Move 0"]
    assert titles(database, acme.team_id, "move", limit=2) == ["Move 2", "Move 1"]
    assert titles(database, acme.team_id, "move", kinds=["deal"]) == ["Move"]


def test_a_title_of_one_endless_word_is_stored_and_found(
    database: Database, crm: FakeCrm, acme: CrmConnection, refresh: Callable[[], Changed]
) -> None:
    crm.put_item("deal", "d2", "語" * 500, created_at=NOON)
    refresh()
    assert titles(database, acme.team_id, "語語語") == ["語" * 500]


def test_another_team_sees_nothing_of_a_mirror(
    database: Database, acme: CrmConnection, refresh: Callable[[], Changed], team: Callable[..., int]
) -> None:
    refresh()
    other = team("Other")
    assert persons(database, other, "bea@acme.test", "b.ea+crm@gmail.com") == []
    assert titles(database, other, "rollout") == []
    with database.for_team(other) as connection:
        assert rows.item(connection, ItemRef("deal", "d1", acme.id)) is None
        assert rows.items_of_persons(connection, [ItemRef("person", "p1", acme.id)]) == []
        assert rows.age(connection, acme.id) == rows.Age(None, None)


def test_without_a_team_a_search_finds_nothing(database: Database, refresh: Callable[[], Changed]) -> None:
    refresh()
    with database.without_team() as connection:
        assert rows.search_items(connection, "rollout") == []


def test_rows_of_a_company_the_connection_no_longer_leads_to_are_not_seen(
    database: Database, acme: CrmConnection, refresh: Callable[[], Changed]
) -> None:
    refresh()
    with database.for_team(acme.team_id) as connection:
        connection.execute(sa.text("UPDATE crm_connection SET company = 'elsewhere'"))
        assert rows.item(connection, ItemRef("deal", "d1", acme.id)) is None
        assert rows.items_of_persons(connection, [ItemRef("person", "p1", acme.id)]) == []
        assert rows.persons_by_addresses(connection, ["bea@acme.test"], []) == []
        assert rows.search_items(connection, "rollout") == []


# --- refreshing ---


def test_a_refresh_ends_at_what_the_crm_holds(
    database: Database, crm: FakeCrm, acme: CrmConnection, refresh: Callable[[], Changed]
) -> None:
    refresh()
    crm.change("person", "p1", {"emails": ["new@acme.test"], "organization": None})
    crm.change("deal", "d1", {"title": "Renewal", "person": "p2", "participants": [], "status": "won"})
    crm.delete("organization", "o1")
    refresh()
    assert persons(database, acme.team_id, "bea@acme.test") == []
    (bea,) = persons(database, acme.team_id, "new@acme.test")
    assert (bea.organization, bea.organization_name) == (None, "")
    with database.for_team(acme.team_id) as connection:
        assert rows.item(connection, ItemRef("deal", "d1", acme.id)) == crm.get(ItemRef("deal", "d1"))
    assert items_of(database, acme.team_id, bea) == []
    assert titles(database, acme.team_id, "rollout") == []


def test_an_organization_that_was_deleted_is_nobodys(
    database: Database, crm: FakeCrm, acme: CrmConnection, refresh: Callable[[], Changed]
) -> None:
    crm.delete("organization", "o1")
    refresh()
    (bea,) = persons(database, acme.team_id, "bea@acme.test")
    assert bea.organization is None


def test_a_second_refresh_reads_only_what_changed(crm: FakeCrm, refresh: Callable[[], Changed]) -> None:
    assert refresh().records == 5
    assert refresh().records == 0
    crm.change("deal", "d1", {"title": "Renewal"})
    changed = refresh()
    assert (changed.records, {ref.external_id for ref in changed.items}) == (1, {"d1"})


def test_the_first_read_of_a_crm_gives_links_nothing_to_follow(crm: FakeCrm, refresh: Callable[[], Changed]) -> None:
    crm.delete("deal", "d1")
    crm.merge_persons("p1", "p2")
    changed = refresh()
    assert (changed.deleted, changed.restored, changed.merges) == (frozenset(), frozenset(), ())


def test_a_deletion_is_told_once_and_so_is_its_restoration(
    crm: FakeCrm, acme: CrmConnection, refresh: Callable[[], Changed]
) -> None:
    refresh()
    records = [("deal", "d1"), ("person", "p2"), ("organization", "o1")]
    refs = {ItemRef(kind, external_id, acme.id) for kind, external_id in records}
    for record in records:
        crm.delete(*record)
    changed = refresh()
    assert (changed.deleted, changed.restored) == (refs, frozenset())
    crm.change("deal", "d1", {"title": "Still deleted"})
    assert refresh().deleted == frozenset()
    for record in records:
        crm.restore(*record)
    changed = refresh()
    assert (changed.deleted, changed.restored) == (frozenset(), refs)
    crm.change("deal", "d1", {"title": "Back"})
    assert refresh().restored == frozenset()


def test_a_merged_person_and_a_converted_lead_are_told_as_merges_alone(
    database: Database, crm: FakeCrm, acme: CrmConnection, refresh: Callable[[], Changed]
) -> None:
    refresh()
    crm.merge_persons("p1", "p2")
    crm.convert_lead("l1", "d7")
    changed = refresh()
    assert set(changed.merges) == {
        Merge(ItemRef("person", "p1", acme.id), ItemRef("person", "p2", acme.id)),
        Merge(ItemRef("lead", "l1", acme.id), ItemRef("deal", "d7", acme.id)),
    }
    assert (changed.deleted, changed.restored) == (frozenset(), frozenset())
    crm.change("lead", "l1", {"title": "Training, old"})
    assert refresh().merges == ()
    assert [person.name for person in persons(database, acme.team_id, "bea@acme.test")] == ["Can"]


def test_what_happened_on_several_pages_adds_up() -> None:
    deal, lead = ItemRef("deal", "1"), ItemRef("lead", "1")
    gone = Changed(deleted=frozenset({deal, lead}), records=2)
    back = Changed(restored=frozenset({deal}), merges=(Merge(lead, deal),), items=frozenset({deal}), records=1)
    assert gone.then(back) == Changed(frozenset({lead}), frozenset({deal}), (Merge(lead, deal),), frozenset({deal}), 3)
    assert back.then(gone) == Changed(frozenset({deal, lead}), frozenset(), (Merge(lead, deal),), frozenset({deal}), 3)


def test_links_follow_in_the_transaction_that_writes_the_page(
    database: Database, crm: FakeCrm, acme: CrmConnection, clock: SteppedClock, refresh: Callable[[], Changed]
) -> None:
    refresh()
    crm.delete("deal", "d1")

    def fail(_connection: sa.Connection, _changed: Changed) -> None:
        raise RuntimeError("killed here")

    with pytest.raises(RuntimeError):
        mirror.refresh(database, crm, acme, clock, follow=fail)
    followed: list[Changed] = []
    mirror.refresh(database, crm, acme, clock, follow=lambda _, changed: followed.append(changed))
    assert [changed.deleted for changed in followed] == [{ItemRef("deal", "d1", acme.id)}]


def test_a_refresh_that_fails_half_way_goes_on_from_its_last_page(
    database: Database, crm: FakeCrm, acme: CrmConnection, clock: SteppedClock
) -> None:
    class Breaking(FakeCrm):
        def changes_since(self, cursor: str | None) -> Iterator[CrmChanges]:
            for number, page in enumerate(crm.changes_since(cursor)):
                if number == 1:
                    raise Unavailable
                yield page

    with pytest.raises(Unavailable):
        mirror.refresh(database, Breaking(clock, company="acme"), acme, clock)
    with database.for_team(acme.team_id) as connection:
        age = rows.age(connection, acme.id)
    assert (age.cursor, age.refreshed_at) == ("2", None)
    assert mirror.refresh(database, crm, acme, clock).records == 3


def test_a_mirror_is_refreshed_when_it_is_older_than_allowed(
    database: Database, crm: FakeCrm, acme: CrmConnection, clock: SteppedClock
) -> None:
    def refresh_if_stale(max_age_s: float) -> Changed | None:
        return mirror.refresh_if_stale(database, crm, acme, clock, max_age_s=max_age_s)

    assert refresh_if_stale(60) is not None
    clock.step(seconds=59)
    assert refresh_if_stale(60) is None
    assert crm.calls["changes_since"] == 1
    assert refresh_if_stale(0) is not None
    clock.step(seconds=60)
    assert refresh_if_stale(60) is not None


def test_a_failed_refresh_leaves_the_mirror_stale(
    database: Database, crm: FakeCrm, acme: CrmConnection, clock: SteppedClock
) -> None:
    crm.fail("changes_since", RateLimited(retry_after_s=5))
    with pytest.raises(RateLimited):
        mirror.refresh_if_stale(database, crm, acme, clock, max_age_s=60)
    assert mirror.refresh_if_stale(database, crm, acme, clock, max_age_s=60) is not None


def test_a_connection_that_leads_to_another_company_is_refused(
    database: Database, crm: FakeCrm, acme: CrmConnection, clock: SteppedClock
) -> None:
    crm.company = "somebody else"
    with pytest.raises(Conflict):
        mirror.refresh(database, crm, acme, clock)
    assert crm.calls["changes_since"] == 0
    assert persons(database, acme.team_id, "bea@acme.test") == []


def test_an_expired_cursor_means_reading_everything_again(
    database: Database, crm: FakeCrm, acme: CrmConnection, refresh: Callable[[], Changed]
) -> None:
    refresh()
    crm.delete("deal", "d1")
    with database.for_team(acme.team_id) as connection:
        connection.execute(sa.text("UPDATE mirror_cursor SET cursor = 'not ours'"))
    changed = refresh()
    assert (changed.records, changed.deleted) == (5, {ItemRef("deal", "d1", acme.id)})


def test_a_crm_whose_cursors_always_expire_is_given_up(
    database: Database, crm: FakeCrm, acme: CrmConnection, refresh: Callable[[], Changed]
) -> None:
    refresh()
    crm.fail("changes_since", CursorExpired(), times=9)
    with pytest.raises(CursorExpired):
        refresh()
    assert crm.calls["changes_since"] == 3


def test_who_finds_the_cursor_moved_goes_on_from_there_and_writes_nothing_old(
    database: Database, crm: FakeCrm, acme: CrmConnection, clock: SteppedClock
) -> None:
    """The slow worker has read the deal as open; before it writes, another one has mirrored that it was won."""

    class Slow(FakeCrm):
        def changes_since(self, cursor: str | None) -> Iterator[CrmChanges]:
            pages = list(crm.changes_since(cursor))
            if cursor is None:
                crm.change("deal", "d1", {"status": "won"})
                mirror.refresh(database, crm, acme, clock)
            yield from pages

    mirror.refresh(database, Slow(clock, company="acme"), acme, clock)
    with database.for_team(acme.team_id) as connection:
        item = rows.item(connection, ItemRef("deal", "d1", acme.id))
    assert item is not None
    assert item.state == "won"


def test_workers_that_refresh_at_once_tell_each_deletion_to_one_of_them(
    database: Database, crm: FakeCrm, acme: CrmConnection, clock: SteppedClock, refresh: Callable[[], Changed]
) -> None:
    refresh()
    crm.delete("deal", "d1")
    told: list[Changed] = []
    workers = [threading.Thread(target=lambda: told.append(refresh())) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
    assert sorted(len(changed.deleted) for changed in told) == [0, 0, 0, 1]


def test_a_page_takes_a_fixed_number_of_statements(
    database: Database, acme: CrmConnection, clock: SteppedClock
) -> None:
    def statements_for(size: int) -> int:
        people = tuple(Person(ItemRef("person", f"p{n}"), "Bea", (f"p{n}@acme.test",)) for n in range(size))
        items = tuple(Item(ItemRef("deal", f"d{n}"), "Deal", "open", NOON, person=people[n].ref) for n in range(size))
        seen: list[str] = []
        listen: Callable[..., None] = lambda *args: seen.append(args[2])  # noqa: E731 - removed again below
        sa.event.listen(database.engine, "before_cursor_execute", listen)
        mirror.refresh(database, ScriptedCrm(CrmChanges(str(size), people, (), items)), acme, clock)
        sa.event.remove(database.engine, "before_cursor_execute", listen)
        return len(seen)

    assert statements_for(300) == statements_for(3)


@pytest.mark.parametrize(
    "page",
    [
        CrmChanges("1", persons=(Person(ItemRef("person", "\x00"), "", ()),)),
        CrmChanges("1", items=(Item(ItemRef("deal", "\ud800"), "x", "open", NOON),)),
        CrmChanges("1", organizations=(CrmOrganization(ItemRef("organization", ""), "x"),)),
        CrmChanges("1", merges=(Merge(ItemRef("lead", "\x00"), ItemRef("deal", "1")),)),
        CrmChanges(
            "1",
            persons=(
                Person(
                    ItemRef("person", "1"),
                    "\x00\ud800",
                    ("\x00@x", "no address", "Bea@Acme.TEST", "bea@acme.test"),
                    ItemRef("organization", "\x00"),
                ),
            ),
            items=(
                Item(ItemRef("deal", "1"), "a\x00b\ud800" * 999, "open", NOON, person=ItemRef("person", "\x00")),
                Item(ItemRef("deal", "1"), "the last counts", "open", NOON, participants=(ItemRef("person", ""),)),
            ),
        ),
    ],
)
def test_what_postgresql_cannot_hold_does_not_stop_a_refresh(
    database: Database, acme: CrmConnection, clock: SteppedClock, page: CrmChanges
) -> None:
    mirror.refresh(database, ScriptedCrm(page), acme, clock)
    with database.for_team(acme.team_id) as connection:
        assert rows.age(connection, acme.id).cursor == "1"
        assert {item.title for item in rows.items(connection, [ItemRef("deal", "1", acme.id)]).values()} <= {
            "the last counts"
        }
    assert [person.addresses for person in persons(database, acme.team_id, "bea@acme.test")] in (
        [],
        [("bea@acme.test",)],
    )


def test_a_merge_without_its_record_is_told_too(
    database: Database, acme: CrmConnection, clock: SteppedClock, refresh: Callable[[], Changed]
) -> None:
    refresh()
    merge = Merge(ItemRef("person", "p1"), ItemRef("person", "p2"))
    changed = mirror.refresh(database, ScriptedCrm(CrmChanges("99", merges=(merge,))), acme, clock)
    assert changed.merges == (Merge(ItemRef("person", "p1", acme.id), ItemRef("person", "p2", acme.id)),)


def test_the_embedded_crm_is_mirrored_as_it_is(
    database: Database, team: Callable[..., int], clock: SteppedClock
) -> None:
    connection_of_team = open_connection(database, team())
    crm = open_embedded(database, connection_of_team, clock)
    crm.put_person("p1", "Bea", ["bea@acme.test"])
    crm.put_item("lead", "l1", "Training", person="p1", created_at=NOON)
    mirror.refresh(database, crm, connection_of_team, clock)
    crm.convert_lead("l1", "d1")
    changed = mirror.refresh(database, crm, connection_of_team, clock)
    lead, deal = (ItemRef(kind, number, connection_of_team.id) for kind, number in (("lead", "l1"), ("deal", "d1")))
    assert changed.merges == (Merge(lead, deal),)
    found = items_of(
        database, connection_of_team.team_id, *persons(database, connection_of_team.team_id, "bea@acme.test")
    )
    assert found == [crm.get(deal), crm.get(lead)]
    assert crm.get(replace(lead, connection_id=0)) == crm.get(lead)


def test_each_look_up_goes_by_an_index_as_the_app_role(
    database: Database, database_url: str, acme: CrmConnection
) -> None:
    fill(database, acme, 20_000)
    analyze(database_url)
    refs = f'[{{"connection_id": {acme.id}, "kind": "deal", "external_id": "77"}}]'
    look_ups: list[tuple[sa.TextClause, dict[str, Any], str]] = [
        (rows._BY_ADDRESS, {"addresses": ["p7@acme.test"], "keys": ["p7@acme.test"]}, "ix_mirror_address_match_key"),
        (rows._OF_PERSONS, {"refs": refs}, "ix_mirror_item_person_person"),
        (rows._OF_ORGANIZATIONS, {"refs": refs}, "ix_mirror_item_organization"),
        (rows._BY_REF, {"refs": refs}, "pk_mirror_item"),
    ]
    with database.for_team(acme.team_id) as connection:
        for query, values, index in look_ups:
            plan = "\n".join(connection.execute(sa.text(f"EXPLAIN {query.text}"), values).scalars())
            assert index in plan
            assert "Seq Scan on mirror_" not in plan


def test_the_items_of_a_person_are_found_at_once_in_a_mirror_that_was_not_analysed_yet(
    database: Database, acme: CrmConnection
) -> None:
    """Decisions begin as soon as a first load is in; a plan that tries every item with every person takes minutes."""
    fill(database, acme, 10_000)
    with database.for_team(acme.team_id) as connection:
        connection.execute(sa.text("SET LOCAL statement_timeout = '5s'"))
        (bea,) = rows.persons_by_addresses(connection, ["p77@acme.test"], [])
        assert len(rows.items_of_persons(connection, [bea.ref])) == 1


def test_a_search_goes_by_the_index_of_words(database: Database, database_url: str, acme: CrmConnection) -> None:
    """The function is opaque to EXPLAIN: the counters of the index say whether it was used."""
    fill(database, acme, 20_000)
    analyze(database_url)
    assert titles(database, acme.team_id, "rollout 1234", limit=1) == ["Rollout 1234"]
    with database.for_team(acme.team_id) as connection:
        connection.execute(
            sa.text("SELECT count(*) FROM threadlink_search_items(ARRAY['rollout', '1234'], ARRAY['deal'], 9)")
        )
        used = connection.execute(
            sa.text("SELECT pg_stat_get_xact_numscans('ix_mirror_item_words'::regclass)"),
        ).scalar()
    assert used == 1
