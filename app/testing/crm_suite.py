"""CrmAdapterSuite: what every CRM adapter must do, as pytest tests for the authors of adapters.

Subclass it and override the fixtures. Tests name capabilities, never vendors: what an adapter says it cannot do must
raise Unsupported with the sentence shown to people.

    class TestMyCrm(CrmAdapterSuite):
        @pytest.fixture
        def adapter(self) -> CrmAdapter:
            return MyCrm(...)

        @pytest.fixture
        def records(self) -> CrmRecords:
            return MySimulator(...)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import pytest

from app.errors import Gone, NotificationError, Unsupported
from app.model import ITEM_KINDS, ItemRef
from app.ports import CrmAdapter, CrmDirectory, CrmRecords, CrmRereading, LinkWrite, Merge, PushRequest
from app.testing.crm_stage import NOON, NOT_FIT_TO_SHOW, STATES, Seen, a_note, read_changes, read_item


class CrmAdapterSuite:
    """Tests of ports.CrmAdapter; override `adapter`, and `records` where the adapter does not keep records itself."""

    @pytest.fixture
    def adapter(self) -> CrmAdapter:
        """Open an empty CRM."""
        raise NotImplementedError

    @pytest.fixture
    def records(self, adapter: CrmAdapter) -> CrmRecords:
        """Return what puts records into the adapter's CRM."""
        return cast("CrmRecords", adapter)

    @pytest.fixture
    def acme(self, records: CrmRecords) -> CrmRecords:
        """Put Acme, its people Bea and Can, and a deal of Bea's into the CRM."""
        records.put_organization("o1", "Acme")
        records.put_person("p1", "Bea Işık", ["bea@acme.test", "bea@home.test"], "o1")
        records.put_person("p2", "Can", ["can@acme.test"], "o1")
        records.put_item("deal", "d1", "Rollout", person="p1", organization="o1", created_at=NOON)
        return records

    @pytest.fixture
    def write(self, adapter: CrmAdapter, acme: CrmRecords) -> LinkWrite:
        """Return a conversation with Bea of Acme, about the deal."""
        bea = adapter.people_by_address(["bea@acme.test"])[0]
        assert bea.organization is not None
        deal = adapter.items_of_people([bea.ref])[0]
        return LinkWrite(deal.ref, (bea.ref,), (bea.organization,), a_note())

    # --- identity ---

    def test_says_the_same_company_every_time(self, adapter: CrmAdapter) -> None:
        assert adapter.who_am_i().company
        assert adapter.who_am_i() == adapter.who_am_i()

    def test_says_which_kinds_of_items_it_has(self, adapter: CrmAdapter) -> None:
        assert adapter.capabilities.kinds
        assert adapter.capabilities.kinds <= set(ITEM_KINDS)

    def test_has_a_sentence_for_each_missing_capability(self, adapter: CrmAdapter) -> None:
        names = ("create_person", "create_item", "webhooks")
        missing = {name for name in names if not getattr(adapter.capabilities, name)}
        assert missing <= adapter.capabilities.missing.keys()
        assert all(sentence.endswith(".") for sentence in adapter.capabilities.missing.values())

    def test_names_every_record_by_its_connection(self, adapter: CrmAdapter, acme: CrmRecords) -> None:
        (bea,) = adapter.people_by_address(["bea@acme.test"])
        found = [bea.ref, bea.organization, *(item.ref for item in adapter.items_of_people([bea.ref]))]
        found += [item.person for item in adapter.items_of_people([bea.ref])]
        found += [hit.ref for hit in adapter.search("rollout")]
        if adapter.capabilities.create_item:
            found.append(adapter.create_item("deal", "Renewal", bea.ref).ref)
        (connection_id,) = {ref.connection_id for ref in found if ref is not None}
        assert connection_id != 0

    # --- people ---

    @pytest.mark.parametrize("address", ["bea@acme.test", "bea@home.test", "BEA@Acme.Test"])
    def test_finds_a_person_by_each_address_in_any_case(
        self, adapter: CrmAdapter, acme: CrmRecords, address: str
    ) -> None:
        (bea,) = adapter.people_by_address([address])
        assert bea.name == "Bea Işık"
        assert set(bea.addresses) == {"bea@acme.test", "bea@home.test"}
        assert (bea.organization and bea.organization.kind, bea.organization_name) == ("organization", "Acme")

    @pytest.mark.parametrize("address", ["a@acme.test", "bea@acme.tes", "bea@acme.test.evil", "%", "be_@acme.test", ""])
    def test_finds_nobody_by_half_an_address(self, adapter: CrmAdapter, acme: CrmRecords, address: str) -> None:
        assert adapter.people_by_address([address]) == []

    def test_finds_everybody_who_shares_an_address(self, adapter: CrmAdapter, acme: CrmRecords) -> None:
        acme.put_person("p3", "Dan", ["bea@home.test"])
        found = adapter.people_by_address(["bea@home.test", "can@acme.test", "bea@acme.test"])
        assert sorted(person.name for person in found) == ["Bea Işık", "Can", "Dan"]

    def test_does_not_find_a_deleted_person(self, adapter: CrmAdapter, acme: CrmRecords) -> None:
        acme.delete("person", "p1")
        assert adapter.people_by_address(["bea@acme.test"]) == []

    # --- items ---

    def test_returns_items_of_a_person_in_every_state(self, adapter: CrmAdapter, records: CrmRecords) -> None:
        records.put_person("p1", "Bea", ["bea@acme.test"])
        expected = set()
        for kind in sorted(adapter.capabilities.kinds):
            for state in STATES[kind]:
                if f"{kind}_{state}" in adapter.capabilities.missing:
                    continue
                records.put_item(kind, f"{kind}-{state}", "Rollout", person="p1", state=state, created_at=NOON)
                expected.add((kind, state))
        bea = adapter.people_by_address(["bea@acme.test"])[0].ref
        assert {(item.ref.kind, item.state) for item in adapter.items_of_people([bea])} == expected

    def test_returns_an_item_once_with_its_contact_and_its_participants(
        self, adapter: CrmAdapter, acme: CrmRecords
    ) -> None:
        acme.put_item("deal", "d2", "Renewal", person="p1", participants=["p2"], created_at=NOON)
        bea, can = (adapter.people_by_address([f"{name}@acme.test"])[0].ref for name in ("bea", "can"))
        if "participants" in adapter.capabilities.missing:
            assert adapter.items_of_people([can]) == []
        else:
            (item,) = adapter.items_of_people([can])
            assert (item.title, item.person, item.participants, item.created_at) == ("Renewal", bea, (can,), NOON)
        assert sorted(item.title for item in adapter.items_of_people([bea, can])) == ["Renewal", "Rollout"]

    def test_returns_no_items_of_nobody(self, adapter: CrmAdapter, acme: CrmRecords) -> None:
        assert adapter.items_of_people([]) == []
        assert adapter.items_of_people([ItemRef("person", "nobody")]) == []

    def test_gets_an_item_as_it_is_now(self, adapter: CrmAdapter, acme: CrmRecords) -> None:
        ref = read_item(adapter, "Rollout").ref
        acme.change("deal", "d1", {"title": "Rollout 2", "status": "won", "person": "p2"})
        item = adapter.get(ref)
        assert item is not None
        assert (item.title, item.state, item.created_at) == ("Rollout 2", "won", NOON)
        assert item.person == adapter.people_by_address(["can@acme.test"])[0].ref

    @pytest.mark.parametrize("external_id", ["unknown", "", "1' OR '1'='1", "\x00", "\ud800", "../1", "9" * 1000])
    def test_gets_none_for_an_unknown_item(self, adapter: CrmAdapter, acme: CrmRecords, external_id: str) -> None:
        assert adapter.get(ItemRef("deal", external_id)) is None

    # --- search ---

    @pytest.mark.parametrize("query", ["isik", "IŞIK", "ışık", "Işık gorus", "goruşmesi IŞIK"])
    def test_finds_a_title_whatever_its_case_and_marks(
        self, adapter: CrmAdapter, records: CrmRecords, query: str
    ) -> None:
        records.put_item("deal", "d1", "Işık Holding görüşmesi", created_at=NOON)
        records.put_item("deal", "d2", "Rollout", created_at=NOON)
        assert [hit.title for hit in adapter.search(query)] == ["Işık Holding görüşmesi"]

    def test_finds_closed_items_and_says_so(self, adapter: CrmAdapter, acme: CrmRecords) -> None:
        acme.change("deal", "d1", {"status": "lost"})
        (hit,) = adapter.search("rollout")
        assert (hit.title, hit.state, hit.organization_name) == ("Rollout", "lost", "Acme")
        assert adapter.get(hit.ref) is not None

    def test_does_not_find_deleted_items(self, adapter: CrmAdapter, acme: CrmRecords) -> None:
        acme.delete("deal", "d1")
        assert adapter.search("rollout") == []

    def test_finds_only_the_kinds_that_are_asked_for(self, adapter: CrmAdapter, records: CrmRecords) -> None:
        for kind in adapter.capabilities.kinds:
            records.put_item(kind, f"{kind}-1", "Rollout", created_at=NOON)
        for kind in adapter.capabilities.kinds:
            assert {hit.ref.kind for hit in adapter.search("rollout", [kind])} == {kind}

    def test_finds_no_more_than_the_limit(self, adapter: CrmAdapter, records: CrmRecords) -> None:
        for number in range(5):
            records.put_item("deal", f"d{number}", f"Rollout {number}", created_at=NOON)
        assert len(adapter.search("rollout", limit=3)) == 3

    @pytest.mark.parametrize("query", ["", "   ", "%", "_", "\x00", "nothing like it", "x" * 10_000])
    def test_finds_nothing_for_no_words_of_a_title(self, adapter: CrmAdapter, acme: CrmRecords, query: str) -> None:
        assert adapter.search(query) == []

    # --- creating ---

    def test_creates_a_person_who_is_found_afterwards(self, adapter: CrmAdapter, acme: CrmRecords) -> None:
        organization = adapter.people_by_address(["bea@acme.test"])[0].organization
        if not adapter.capabilities.create_person:
            with pytest.raises(Unsupported) as refusal:
                adapter.create_person("Eve", ["eve@acme.test"], organization)
            assert str(refusal.value) == adapter.capabilities.missing["create_person"]
            return
        eve = adapter.create_person("Eve", ["Eve@acme.test"], organization)
        assert (eve.name, eve.addresses, eve.organization) == ("Eve", ("eve@acme.test",), organization)
        assert adapter.people_by_address(["eve@acme.test"]) == [eve]

    def test_creates_an_open_item_of_a_person(self, adapter: CrmAdapter, acme: CrmRecords) -> None:
        can = adapter.people_by_address(["can@acme.test"])[0]
        for kind in sorted(adapter.capabilities.kinds):
            if not adapter.capabilities.create_item:
                with pytest.raises(Unsupported) as refusal:
                    adapter.create_item(kind, "Training", can.ref, can.organization)
                assert str(refusal.value) == adapter.capabilities.missing["create_item"]
                continue
            item = adapter.create_item(kind, f"Training {kind}", can.ref, can.organization)
            assert (item.ref.kind, item.title, item.state, item.person) == (kind, f"Training {kind}", "open", can.ref)
            assert item in adapter.items_of_people([can.ref])
            assert adapter.get(item.ref) == item

    # --- conversations on items ---

    def test_shows_a_conversation_on_the_item_and_on_related_records(
        self, adapter: CrmAdapter, acme: CrmRecords, write: LinkWrite
    ) -> None:
        adapter.write_link(write)
        for kind, external_id in (("deal", "d1"), ("person", "p1"), ("organization", "o1")):
            (text,) = acme.notes(kind, external_id)
            for shown in ("Prices", "Bea Işık", "bea@acme.test", "What does it cost?", "quote.pdf"):
                assert shown in text
        assert acme.notes("person", "p2") == []

    def test_finds_its_own_note_again_after_a_lost_answer(
        self, adapter: CrmAdapter, acme: CrmRecords, write: LinkWrite
    ) -> None:
        assert adapter.find_link(write) is None
        written = adapter.write_link(write)
        found = adapter.find_link(write)
        assert found is not None
        assert found.external_id == written.external_id
        assert adapter.find_link(replace(write, note=a_note())) is None

    def test_keeps_conversations_on_one_item_apart(
        self, adapter: CrmAdapter, acme: CrmRecords, write: LinkWrite
    ) -> None:
        adapter.write_link(write)
        adapter.write_link(replace(write, note=a_note("Delivery")))
        assert len(acme.notes("deal", "d1")) == 2

    def test_brings_a_note_up_to_date_in_place(self, adapter: CrmAdapter, acme: CrmRecords, write: LinkWrite) -> None:
        written = adapter.write_link(write)
        can = adapter.people_by_address(["can@acme.test"])[0].ref
        newer = replace(write, persons=(can,), note=a_note("Delivery", marker=write.note.marker))
        updated = adapter.update_link(written, newer)
        (text,) = acme.notes("deal", "d1")
        assert ("Delivery" in text, "Prices" in text) == (True, False)
        assert acme.notes("person", "p2") == [text]
        assert acme.notes("person", "p1") == []
        found = adapter.find_link(newer)
        assert found is not None
        assert found.external_id == updated.external_id

    def test_says_gone_when_the_note_was_deleted(self, adapter: CrmAdapter, acme: CrmRecords, write: LinkWrite) -> None:
        written = adapter.write_link(write)
        adapter.remove_link(written, write.item)
        with pytest.raises(Gone):
            adapter.update_link(written, write)
        assert adapter.find_link(write) is None

    def test_says_gone_when_the_item_was_deleted(self, adapter: CrmAdapter, acme: CrmRecords, write: LinkWrite) -> None:
        acme.delete("deal", "d1")
        with pytest.raises(Gone):
            adapter.write_link(write)

    def test_removes_a_note_everywhere_and_twice_without_an_error(
        self, adapter: CrmAdapter, acme: CrmRecords, write: LinkWrite
    ) -> None:
        written = adapter.write_link(write)
        adapter.remove_link(written, write.item)
        adapter.remove_link(written, write.item)
        assert [acme.notes(*record) for record in (("deal", "d1"), ("person", "p1"), ("organization", "o1"))] == [
            [],
            [],
            [],
        ]

    def test_removes_a_note_from_a_deleted_item(self, adapter: CrmAdapter, acme: CrmRecords, write: LinkWrite) -> None:
        written = adapter.write_link(write)
        acme.delete("deal", "d1")
        adapter.remove_link(written, write.item)
        acme.restore("deal", "d1")
        assert acme.notes("deal", "d1") == []

    # --- text from outside ---

    def test_shows_markup_formulas_and_controls_in_a_note_as_harmless_text(
        self, adapter: CrmAdapter, acme: CrmRecords, write: LinkWrite
    ) -> None:
        subject = "=HYPERLINK(1)\r\n<script>alert(1)</script> &amp; \x00\x1b[31m\u202e"
        adapter.write_link(replace(write, note=a_note(subject, "@SUM(1)\n+1\n-1 <img src=//t.example/p.gif>")))
        (text,) = acme.notes("deal", "d1")
        assert "<script>alert(1)</script> &amp;" in text
        assert "<img src=//t.example/p.gif>" in text
        assert not NOT_FIT_TO_SHOW.search(text)
        assert not [line for line in text.splitlines() if line.startswith(("=", "+", "-", "@"))]

    def test_keeps_a_title_as_text_on_one_line(self, adapter: CrmAdapter, records: CrmRecords) -> None:
        records.put_item("deal", "d1", "=1+1 <b>Rollout</b> &amp;\n\x00\u202e2", created_at=NOON)
        item = read_item(adapter, "=1+1 <b>Rollout</b> &amp; 2")
        assert adapter.get(item.ref) == item

    # --- what changed ---

    def test_reads_everything_without_a_cursor(self, adapter: CrmAdapter, acme: CrmRecords) -> None:
        seen = read_changes(adapter)
        assert sorted(person.name for person in seen.persons.values()) == ["Bea Işık", "Can"]
        assert [organization.name for organization in seen.organizations.values()] == ["Acme"]
        (item,) = seen.items.values()
        assert (item.title, item.state, item.created_at) == ("Rollout", "open", NOON)
        assert item.person in seen.persons
        assert item.organization in seen.organizations

    def test_reads_nothing_new_when_nothing_changed(self, adapter: CrmAdapter, acme: CrmRecords) -> None:
        seen = read_changes(adapter)
        again = list(adapter.changes_since(seen.cursor))
        assert [(page.persons, page.organizations, page.items, page.merges) for page in again] in ([], [((),) * 4])

    def test_reads_to_the_same_end_from_every_cursor(self, adapter: CrmAdapter, acme: CrmRecords) -> None:
        stops = [Seen(), read_changes(adapter)]
        changes: tuple[Callable[[], None], ...] = (
            lambda: acme.change("deal", "d1", {"status": "won"}),
            lambda: acme.put_person("p3", "Dan", ["dan@acme.test"]),
            lambda: acme.change("person", "p3", {"name": "Daniel", "emails": ["daniel@acme.test"]}),
            lambda: acme.put_item("deal", "d2", "Renewal", person="p3", created_at=NOON),
            lambda: acme.delete("deal", "d1"),
        )
        for change in changes:
            change()
            stops.append(read_changes(adapter, stops[-1]))
        ends = [read_changes(adapter, stop) for stop in stops]
        if "deleted_before" in adapter.capabilities.missing:  # who reads for the first time hears only of what is there
            first, ends = ends[0], ends[1:]
            assert first.items.items() <= ends[0].items.items()
            assert [item.state for item in first.items.values()] == ["open"]
        for end in ends:
            assert (end.persons, end.organizations, end.items) == (
                ends[0].persons,
                ends[0].organizations,
                ends[0].items,
            )
        assert sorted(item.state for item in ends[-1].items.values()) == ["deleted", "open"]
        assert {"Daniel"} < {person.name for person in ends[0].persons.values()}

    def test_can_be_stopped_and_continued_after_each_page(self, adapter: CrmAdapter, acme: CrmRecords) -> None:
        whole = read_changes(adapter)
        seen = Seen()
        for page in adapter.changes_since(None):
            seen = seen.apply([page])
            rest = read_changes(adapter, seen)
            assert (rest.persons, rest.items) == (whole.persons, whole.items)

    def test_reports_deletions_and_restorations(self, adapter: CrmAdapter, acme: CrmRecords) -> None:
        acme.change("deal", "d1", {"status": "won"})
        before = read_changes(adapter) if "deleted_before" in adapter.capabilities.missing else Seen()
        for kind, external_id in (("deal", "d1"), ("person", "p1"), ("organization", "o1")):
            acme.delete(kind, external_id)
        gone = read_changes(adapter, before)
        assert [item.state for item in gone.items.values()] == ["deleted"]
        assert {person.name for person in gone.persons.values() if person.deleted} == {"Bea Işık"}
        assert [organization.deleted for organization in gone.organizations.values()] == [True]
        for kind, external_id in (("deal", "d1"), ("person", "p1"), ("organization", "o1")):
            acme.restore(kind, external_id)
        back = read_changes(adapter, gone)
        assert [item.state for item in back.items.values()] == ["won"]
        assert not [person for person in back.persons.values() if person.deleted]
        assert [organization.deleted for organization in back.organizations.values()] == [False]

    def test_reports_a_lead_that_became_a_deal_with_the_leads_creation_time(
        self, adapter: CrmAdapter, acme: CrmRecords
    ) -> None:
        if not {"lead", "deal"} <= adapter.capabilities.kinds:
            pytest.skip("no leads that become deals")
        acme.put_item("lead", "l1", "Training", person="p2", organization="o1", created_at=NOON)
        before = read_changes(adapter)
        acme.convert_lead("l1", "d9")
        after = read_changes(adapter, before)
        (lead,) = (item for item in after.items.values() if item.ref.kind == "lead")
        (deal,) = (item for item in after.items.values() if item.title == "Training" and item.ref.kind == "deal")
        assert (lead.state, deal.state, deal.created_at) == ("converted", "open", NOON)
        assert (deal.person, deal.organization) == (lead.person, lead.organization)
        assert after.merges == [Merge(lead.ref, deal.ref)]

    def test_reports_merged_persons_and_gives_the_survivor_everything(
        self, adapter: CrmAdapter, acme: CrmRecords, write: LinkWrite
    ) -> None:
        adapter.write_link(write)
        acme.put_item("deal", "d2", "Renewal", person="p2", participants=["p1"], created_at=NOON)
        before = read_changes(adapter)
        bea, can = (adapter.people_by_address([f"{name}@acme.test"])[0].ref for name in ("bea", "can"))
        acme.merge_persons("p1", "p2")
        after = read_changes(adapter, before)
        assert after.merges == [Merge(bea, can)]
        assert (after.persons[bea].deleted, after.persons[can].deleted) == (True, False)
        assert set(after.persons[can].addresses) == {"can@acme.test", "bea@acme.test", "bea@home.test"}
        assert [person.ref for person in adapter.people_by_address(["bea@home.test"])] == [can]
        assert {(item.title, item.person, item.participants) for item in adapter.items_of_people([can])} == {
            ("Rollout", can, ()),
            ("Renewal", can, ()),
        }
        assert {item.title: item.person for item in after.items.values()} == {"Rollout": can, "Renewal": can}
        assert len(acme.notes("person", "p2")) == (0 if "merge_notes" in adapter.capabilities.missing else 1)

    def test_leads_to_the_last_survivor_of_several_merges(self, adapter: CrmAdapter, acme: CrmRecords) -> None:
        acme.put_person("p3", "Dan", ["dan@acme.test"])
        refs = {person.name: person.ref for person in read_changes(adapter).persons.values()}
        acme.merge_persons("p1", "p2")
        acme.merge_persons("p2", "p3")
        stands = refs["Bea Işık"]
        for merge in read_changes(adapter).merges:
            stands = merge.into if merge.gone == stands else stands
        assert stands == refs["Dan"]

    # --- what some adapters offer besides ---

    def test_reads_single_records_again_as_they_are_now(self, adapter: CrmAdapter, acme: CrmRecords) -> None:
        if not isinstance(adapter, CrmRereading):
            pytest.skip("changes_since() shows everything")
        seen = read_changes(adapter)
        (deal,) = seen.items
        bea, can = (adapter.people_by_address([f"{name}@acme.test"])[0].ref for name in ("bea", "can"))
        acme.change("deal", "d1", {"title": "Rollout 2"})
        acme.merge_persons("p1", "p2")
        unknown = ItemRef("deal", deal.external_id + "0000")
        page = adapter.read_records([deal, can, unknown], [Merge(bea, can)])
        found = {str(item.ref): item for item in page.items}
        assert (found[str(deal)].title, found[str(deal)].person) == ("Rollout 2", can)
        assert found[str(unknown)].state == "deleted"
        assert set(page.merges) == {Merge(bea, can)}
        assert "bea@home.test" in next(person for person in page.persons if person.ref == can).addresses

    def test_does_not_confirm_a_merge_that_did_not_happen(self, adapter: CrmAdapter, acme: CrmRecords) -> None:
        if not isinstance(adapter, CrmRereading):
            pytest.skip("changes_since() shows everything")
        bea, can = (adapter.people_by_address([f"{name}@acme.test"])[0].ref for name in ("bea", "can"))
        page = adapter.read_records([bea, can], [Merge(bea, can)])
        assert page.merges == ()
        assert [person.deleted for person in page.persons] == [False, False]

    def test_names_everybody_once_who_works_in_the_crm(self, adapter: CrmAdapter) -> None:
        if not isinstance(adapter, CrmDirectory):
            pytest.skip("everybody sees everything")
        users = adapter.users()
        assert adapter.who_am_i().user_id in {user.user_id for user in users}
        assert len({user.user_id for user in users}) == len(users)

    def test_hides_nothing_unless_it_can_say_from_whom(self, adapter: CrmAdapter, acme: CrmRecords) -> None:
        seen = read_changes(adapter)
        audiences = [person.visible_to for person in seen.persons.values()]
        audiences += [item.visible_to for item in seen.items.values()]
        audiences += [organization.visible_to for organization in seen.organizations.values()]
        assert set(audiences) == {None} or isinstance(adapter, CrmDirectory)

    # --- webhooks ---

    def test_refuses_a_webhook_that_proves_nothing(self, adapter: CrmAdapter) -> None:
        request = PushRequest("POST", {"content-type": "application/json"}, {}, b"{}")
        if adapter.capabilities.webhooks:
            with pytest.raises(NotificationError):
                adapter.read_webhook(request)
            return
        with pytest.raises(Unsupported) as refusal:
            adapter.read_webhook(request)
        assert str(refusal.value) == adapter.capabilities.missing["webhooks"]
