"""The adapter on a real Tryton: what people see there, sessions that end, answers that are lost, refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app import registry
from app.errors import AccessRevoked, AdminBlocked, CursorExpired, Gone, Rejected, Unavailable, Unsupported
from app.model import ItemRef
from app.ports import LinkWrite, PushRequest
from app.testing.crm_stage import NOON, a_note, read_changes
from app.testing.fakes import MemoryCredentials
from connectors.crm.tryton import consent
from connectors.crm.tryton.adapter import TrytonCrm
from connectors.http import Answer, OutgoingHttp
from tests.tryton.desk import TrytonDesk
from tests.tryton.opening import credentials, open_tryton, services
from tests.tryton.rpc import DATABASE
from tests.tryton.server import RELATION, USER, USER_PASSWORD, TrytonServer

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("tryton"), pytest.mark.timeout(300)]


@pytest.fixture
def secrets() -> MemoryCredentials:
    return credentials()


@pytest.fixture
def crm(tryton: TrytonServer, tryton_desk: TrytonDesk, secrets: MemoryCredentials) -> TrytonCrm:
    tryton_desk.put_organization("o1", "Acme")
    tryton_desk.put_person("p1", "Bea Işık", ["bea@acme.test", "bea@home.test"], "o1")
    tryton_desk.put_item("deal", "d1", "Işık Holding görüşmesi", person="p1", organization="o1", created_at=NOON)
    return open_tryton(tryton, secrets)


@pytest.fixture
def write(crm: TrytonCrm) -> LinkWrite:
    (bea,) = crm.people_by_address(["bea@acme.test"])
    (deal,) = crm.items_of_people([bea.ref])
    assert bea.organization is not None
    return LinkWrite(deal.ref, (bea.ref,), (bea.organization,), a_note())


def losing_answers(monkeypatch: pytest.MonkeyPatch, method: str, times: int = 1) -> None:
    """Let Tryton do what it is asked by this method, and lose its answer."""
    send, left = OutgoingHttp.request, [None] * times

    def lose(self: OutgoingHttp, *args: Any, **options: Any) -> Answer:
        answer = send(self, *args, **options)
        if options["json_body"]["method"] == method and left:
            left.pop()
            raise Unavailable("lost", provider="tryton")
        return answer

    monkeypatch.setattr(OutgoingHttp, "request", lose)


# --- conversations on records ---


def test_a_link_is_a_note_on_the_record_for_tryton_s_own_clients(
    crm: TrytonCrm, tryton_desk: TrytonDesk, write: LinkWrite
) -> None:
    written = crm.write_link(write)
    resource = f"sale.opportunity,{write.item.external_id}"
    rows = tryton_desk.rpc.call(
        "ir.note.search_read", [["resource", "=", resource]], 0, None, None, ["message", "last_user"]
    )
    (row,) = rows
    assert row["last_user"] == "threadlink"
    assert "bea@acme.test" in row["message"]
    assert row["message"].endswith(
        f"threadlink {write.note.marker} {write.persons[0].external_id} {write.organizations[0].external_id}"
    )
    assert written.url is not None
    assert written.url.endswith(f"/#{DATABASE}/model/sale.opportunity/{write.item.external_id}")


def test_a_note_whose_answer_was_lost_is_found_and_not_written_twice(
    crm: TrytonCrm, tryton_desk: TrytonDesk, write: LinkWrite, monkeypatch: pytest.MonkeyPatch
) -> None:
    losing_answers(monkeypatch, "model.ir.note.create")
    with pytest.raises(Unavailable):
        crm.write_link(write)
    found = crm.find_link(write)
    assert found is not None
    crm.update_link(found, write)
    for kind, external_id in (("deal", "d1"), ("person", "p1"), ("organization", "o1")):
        assert len(tryton_desk.notes(kind, external_id)) == 1


@pytest.mark.parametrize("lost", ["model.ir.note.create", "model.ir.note.delete"])
def test_an_update_that_was_cut_off_leaves_one_note_once_it_is_repeated(
    crm: TrytonCrm, tryton_desk: TrytonDesk, write: LinkWrite, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    written = crm.write_link(write)
    newer = replace(write, note=a_note("Delivery", marker=write.note.marker))
    losing_answers(monkeypatch, lost)
    with pytest.raises(Unavailable):
        crm.update_link(written, newer)
    crm.update_link(written, newer)
    for kind, external_id in (("deal", "d1"), ("person", "p1"), ("organization", "o1")):
        (text,) = tryton_desk.notes(kind, external_id)
        assert "Delivery" in text


def test_unlinking_after_a_lost_answer_takes_the_notes_off_the_parties_too(
    crm: TrytonCrm, tryton_desk: TrytonDesk, write: LinkWrite
) -> None:
    crm.write_link(write)
    found = crm.find_link(replace(write, persons=(), organizations=()))
    assert found is not None
    crm.remove_link(found, write.item)
    for kind, external_id in (("deal", "d1"), ("person", "p1"), ("organization", "o1")):
        assert tryton_desk.notes(kind, external_id) == []


def test_a_note_on_a_deleted_item_is_gone(crm: TrytonCrm, tryton_desk: TrytonDesk, write: LinkWrite) -> None:
    written = crm.write_link(write)
    tryton_desk.delete("deal", "d1")
    for call in (lambda: crm.update_link(written, write), lambda: crm.find_link(write), lambda: crm.write_link(write)):
        with pytest.raises(Gone):
            call()
    crm.remove_link(written, write.item)
    assert tryton_desk.notes("person", "p1") == []


def test_what_names_no_note_is_gone_and_removed(crm: TrytonCrm, write: LinkWrite) -> None:
    written = crm.write_link(write)
    with pytest.raises(Gone):
        crm.update_link(replace(written, external_id="x"), write)
    crm.remove_link(replace(written, external_id="x"), write.item)
    assert crm.find_link(write) == written


# --- reading ---


def test_both_addresses_of_a_person_lead_to_its_deal(crm: TrytonCrm) -> None:
    for address in ("BEA@acme.test", "bea@home.test"):
        (bea,) = crm.people_by_address([address])
        assert [item.title for item in crm.items_of_people([bea.ref])] == ["Işık Holding görüşmesi"]


@pytest.mark.parametrize("query", ["isik", "IŞIK HOLDİNG", "Görüşmesi", "gorusme ışık"])
def test_turkish_letters_find_and_are_found(crm: TrytonCrm, query: str) -> None:
    (hit,) = crm.search(query)
    assert (hit.title, hit.state, hit.organization_name) == ("Işık Holding görüşmesi", "open", "Acme")


def test_the_company_itself_and_its_employees_are_no_customers(crm: TrytonCrm) -> None:
    seen = read_changes(crm)
    names = {person.name for person in seen.persons.values()} | {one.name for one in seen.organizations.values()}
    assert names == {"Bea Işık", "Acme"}


def test_a_lead_is_converted_for_whoever_still_asks_for_it(crm: TrytonCrm, tryton_desk: TrytonDesk) -> None:
    tryton_desk.put_item("lead", "l1", "Training", person="p1")
    lead = ItemRef("lead", str(tryton_desk.ids["lead", "l1"]), 1)
    found = crm.get(lead)
    assert (found and found.state) == "open"
    assert crm.get(replace(lead, kind="deal")) is None
    tryton_desk.convert_lead("l1", "d2")
    found = crm.get(lead)
    assert (found and found.ref, found and found.state) == (lead, "converted")


def test_an_opportunity_that_went_back_to_a_lead_is_followed(crm: TrytonCrm, tryton_desk: TrytonDesk) -> None:
    before = read_changes(crm)
    number = tryton_desk.ids["deal", "d1"]
    tryton_desk.rpc.call("sale.opportunity.lead", [number])
    after = read_changes(crm, before)
    assert after.states() == {f"deal/{number}": "converted", f"lead/{number}": "open"}
    assert [(str(merge.gone), str(merge.into)) for merge in after.merges] == [(f"deal/{number}", f"lead/{number}")]


def test_a_deleted_project_is_noticed_by_its_absence(crm: TrytonCrm, tryton_desk: TrytonDesk) -> None:
    tryton_desk.put_item("project", "j1", "Move", person="p1")
    before = read_changes(crm)
    tryton_desk.delete("project", "j1")
    number = tryton_desk.ids["project", "j1"]
    assert read_changes(crm, before).states()[f"project/{number}"] == "deleted"


def test_a_deleted_deal_keeps_its_title(crm: TrytonCrm, tryton_desk: TrytonDesk) -> None:
    before = read_changes(crm)
    tryton_desk.delete("deal", "d1")
    (deal,) = read_changes(crm, before).items.values()
    assert (deal.title, deal.state, deal.created_at) == ("Işık Holding görüşmesi", "deleted", NOON)


def test_an_address_that_changes_changes_its_person(crm: TrytonCrm, tryton_desk: TrytonDesk) -> None:
    before = read_changes(crm)
    bea = tryton_desk.ids["person", "p1"]
    (mechanism,) = tryton_desk.rpc.call(
        "party.contact_mechanism.search", [["party", "=", bea], ["value", "=", "bea@home.test"]], 0, None, None
    )
    tryton_desk.rpc.call("party.contact_mechanism.write", [mechanism], {"value": "bea@new.test"})
    (person,) = read_changes(crm, before).persons.values()
    assert person.addresses == ("bea@acme.test", "bea@new.test")


def test_a_person_without_a_relation_type_has_no_organization(tryton: TrytonServer, crm: TrytonCrm) -> None:
    alone = open_tryton(tryton, relation="")
    (bea,) = alone.people_by_address(["bea@acme.test"])
    assert bea.organization is None
    assert "organizations" in alone.capabilities.missing
    assert crm.people_by_address(["bea@acme.test"])[0].organization is not None


def test_a_relation_type_that_is_not_there_is_named(tryton: TrytonServer, crm: TrytonCrm) -> None:
    organization = crm.people_by_address(["bea@acme.test"])[0].organization
    with pytest.raises(AdminBlocked, match="organization_relation"):
        open_tryton(tryton, relation="is the boss of").create_person("Eve", ["eve@acme.test"], organization)


def test_a_cursor_of_another_crm_is_refused(crm: TrytonCrm) -> None:
    with pytest.raises(CursorExpired):
        list(crm.changes_since("17"))


def test_an_opportunity_that_is_refused_leaves_no_lead_behind(crm: TrytonCrm) -> None:
    with pytest.raises(Rejected):
        crm.create_item("deal", "Nobody's", None)
    assert crm.search("nobody") == []


# --- sessions and refusals ---


def test_a_session_is_kept_and_used_by_the_next(
    tryton: TrytonServer, crm: TrytonCrm, secrets: MemoryCredentials
) -> None:
    crm.who_am_i()
    open_tryton(tryton, secrets).who_am_i()
    assert secrets.writes == 1


def test_a_session_that_ended_is_begun_again(crm: TrytonCrm, secrets: MemoryCredentials) -> None:
    identity = crm.who_am_i()
    crm.revoke()
    crm.revoke()
    assert crm.who_am_i() == identity
    assert secrets.writes == 2


def test_a_wrong_password_asks_for_a_reconnect(tryton: TrytonServer, tryton_desk: TrytonDesk) -> None:
    with pytest.raises(AccessRevoked):
        open_tryton(tryton, MemoryCredentials({"login": USER, "password": "wrong"})).who_am_i()
    with pytest.raises(AccessRevoked):
        open_tryton(tryton, MemoryCredentials({})).who_am_i()


def test_a_server_that_nobody_listed_is_not_reached(
    tryton: TrytonServer, crm: TrytonCrm, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = replace(services(tryton), environ={})
    with pytest.raises(Rejected, match="not one of"):
        consent(refused).connect_with_token(USER_PASSWORD, {"url": tryton.url, "database": DATABASE, "login": USER})


def test_a_tryton_is_connected_with_a_password(tryton: TrytonServer, tryton_desk: TrytonDesk) -> None:
    way = registry.crm_consent("tryton", services(tryton))
    assert way is not None
    options = {"url": tryton.url + "/", "database": DATABASE, "login": USER, "organization_relation": RELATION}
    assert set(options) == set(way.options)
    connected = way.connect_with_token(USER_PASSWORD, options)
    assert connected.identity.company == f"127.0.0.1/{DATABASE}/1"
    assert connected.identity.user_name == "threadlink"
    assert connected.settings == {"url": tryton.url, "database": DATABASE, "organization_relation": RELATION}
    assert open_tryton(tryton, MemoryCredentials(connected.secrets)).who_am_i() == connected.identity


@pytest.mark.parametrize(
    ("options", "password", "error"),
    [
        ({"database": "other"}, USER_PASSWORD, AdminBlocked),
        ({"database": ""}, USER_PASSWORD, Rejected),
        ({"login": ""}, USER_PASSWORD, AccessRevoked),
        ({}, "wrong", AccessRevoked),
    ],
)
def test_a_connection_that_does_not_work_is_refused(
    tryton: TrytonServer, tryton_desk: TrytonDesk, options: dict[str, str], password: str, error: type[Exception]
) -> None:
    given = {"url": tryton.url, "database": DATABASE, "login": USER, **options}
    with pytest.raises(error):
        consent(services(tryton)).connect_with_token(password, given)


def test_nothing_is_connected_in_the_browser(tryton: TrytonServer) -> None:
    way = consent(services(tryton))
    for call in (
        lambda: way.authorize("https://threadlink.test/callback", "state"),
        lambda: way.connect("https://threadlink.test/callback", {}, {}),
        lambda: way.read_uninstall(PushRequest("DELETE", {}, {}, b"")),
    ):
        with pytest.raises(Unsupported):
            call()
