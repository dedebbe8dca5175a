"""Making persons and items in the CRM through the API: once, for who may, and with the link at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.errors import RateLimited, Rejected, Unavailable
from tests.integration.building import ADA, BEA, CAN, TOM, Office
from tests.integration.web.program import Program

pytestmark = pytest.mark.integration

Programs = Callable[..., Program]
REFIT = {"kind": "deal", "title": "New refit", "person": "p2"}


@pytest.fixture
def open_crm(office: Office) -> Callable[[object], Any]:
    return lambda _connection: office.crm


def public_id(office: Office, conversation: int) -> str:
    return office.load(conversation).public_id


def test_an_item_is_made_and_its_conversation_linked_at_once(office: Office, program: Programs) -> None:
    conversation, ada = office.mail("m1", TOM, ADA), program(ADA)
    status, made = ada.post("/items", {**REFIT, "conversation": public_id(office, conversation)}, once="k")
    assert (status, made["linked"], made["item"]["title"], made["item"]["state"]) == (200, True, "New refit", "open")
    assert office.linked(conversation) == f"deal/{made['item']['id']}"
    assert ada.get(f"/items/deal/{made['item']['id']}")[0] == 200  # without waiting for the next refresh
    assert ada.post("/items", {**REFIT, "conversation": public_id(office, conversation)}, once="k")[1] == made
    assert office.crm.calls["create_item"] == 1
    assert ada.post("/undo", {"action": made["action"]})[0] == 200
    assert office.linked(conversation) is None
    (written,) = office.rows("SELECT detail FROM audit WHERE action = 'create_record'")
    assert written.detail == {"record": f"deal/{made['item']['id']}"}


def test_a_person_is_made_once(office: Office, program: Programs) -> None:
    ada = program(ADA)
    status, made = ada.post("/persons", {"name": " Nora  Kestrel ", "addresses": ["Nora@Kestrel.test"]})
    assert (status, made["name"], made["addresses"]) == (200, "Nora Kestrel", ["nora@kestrel.test"])
    status, problem = ada.post("/persons", {"name": "Nora", "addresses": ["nora@kestrel.test"]})
    assert (status, problem["reason"]) == (409, "person_exists")
    assert "Nora Kestrel" in problem["title"]


def test_what_is_refused_is_refused_before_the_crm_is_asked(office: Office, program: Programs) -> None:
    linked, hidden = office.mail("m1", BEA, ADA), office.mail("m2", "x@else.test", CAN, at=[CAN])
    ada = program(ADA)

    def refusal(who: Program, **body: Any) -> tuple[int, str]:
        status, problem = who.post("/items", {**REFIT, **body})
        return status, problem["reason"]

    assert refusal(ada, conversation=public_id(office, linked)) == (409, "already_linked")
    assert refusal(ada, conversation=public_id(office, hidden)) == (404, "not_found")
    assert refusal(program(CAN), conversation=public_id(office, linked)) == (403, "not_owner")
    assert refusal(ada, person="nobody") == (404, "record_unknown")
    assert refusal(program(ADA, may_write=False)) == (403, "key_reads_only")
    assert refusal(ada, title="   ") == (422, "invalid_request")
    assert ada.post("/persons", {"name": "X", "addresses": ["no address"]})[0] == 422
    assert office.crm.calls["create_item"] == 0


def test_a_person_the_crm_hides_is_not_there(office: Office, program: Programs) -> None:
    office.rows("UPDATE mirror_person SET visibility = '[\"somebody\"]' WHERE external_id = 'p2' RETURNING 1")
    ada = program(ADA)
    assert ada.post("/items", REFIT)[1] == ada.post("/items", {**REFIT, "person": "nobody"})[1]
    assert ada.post("/persons", {"name": "Tom", "addresses": [TOM]})[0] == 200


def test_a_missing_capability_answers_with_its_sentence(office: Office, program: Programs) -> None:
    sentence = "The fake CRM makes no deals."
    able = office.crm.capabilities
    office.crm.capabilities = replace(able, create_item=False, missing={**able.missing, "create_item": sentence})
    status, problem = program(ADA).post("/items", REFIT)
    assert (status, problem["reason"], problem["title"]) == (409, "not_supported", sentence)
    office.crm.capabilities = replace(able, kinds=frozenset({"deal"}))
    assert program(ADA).post("/items", {**REFIT, "kind": "project"})[1]["reason"] == "not_supported"


def test_a_request_whose_outcome_is_not_known_is_not_repeated(office: Office, program: Programs) -> None:
    ada = program(ADA)
    office.crm.drop_answer("create_item")
    status, problem = ada.post("/items", REFIT, once="k")
    assert (status, problem["reason"]) == (503, "crm_unreachable")
    assert ada.post("/items", REFIT, once="k")[1]["reason"] == "still_running"
    assert office.crm.calls["create_item"] == 1


@pytest.mark.parametrize(
    ("error", "answer"), [(RateLimited(), (503, "crm_unreachable")), (Rejected(), (409, "crm_refused"))], ids=str
)
def test_what_was_surely_not_done_may_be_repeated(
    office: Office, program: Programs, error: RateLimited | Rejected, answer: tuple[int, str]
) -> None:
    ada = program(ADA)
    office.crm.fail("create_item", error)
    status, problem = ada.post("/items", REFIT, once="k")
    assert (status, problem["reason"]) == answer
    assert ada.post("/items", REFIT, once="k")[0] == 200


def test_a_crm_that_rests_is_not_asked(office: Office, program: Programs) -> None:
    office.crm.fail("create_item", Unavailable(retry_after_s=30.0))
    ada = program(ADA)
    assert ada.post("/items", REFIT)[0] == ada.post("/items", REFIT)[0] == 503
    assert office.crm.calls["create_item"] == 1
