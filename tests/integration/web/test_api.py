"""The API: who calls, what a member may see and do, repeated writes, problems, and the document that describes it."""

from __future__ import annotations

import json
import re
import shlex
import uuid
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import api_keys, work
from app.store.database import Database
from app.web.api import docs
from tests.integration.building import ADA, BEA, CAN, DAN, PROVEN_FALSE, TOM, Office, northwind
from tests.integration.web.conftest import ORIGIN
from tests.integration.web.program import Program

pytestmark = pytest.mark.integration


def id_of(office: Office, conversation: int) -> str:
    return office.load(conversation).public_id


# --- who calls ---


@pytest.mark.parametrize(
    "authorization",
    [None, "Bearer", "Bearer x", "Bearer tl_unknown", "Basic dGxfeDp5", "Bearer " + "tl_" + "x" * 5000],
)
def test_without_a_valid_key_nothing_is_answered(client: FlaskClient, authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    answer = client.get("/api/v1/accounts", headers=headers)
    assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")
    assert answer.headers["WWW-Authenticate"].lower().startswith("bearer")


def test_a_revoked_key_and_a_removed_member_are_nobody(office: Office, program: Callable[..., Program]) -> None:
    ada, can = program(ADA), program(CAN)
    assert ada.get("/accounts")[0] == can.get("/accounts")[0] == 200
    with office.database.for_team(office.team_id) as connection:
        api_keys.revoke(connection, office.acting(ADA), ada.key_id)
    office.rows("UPDATE member SET removed_at = now() WHERE email = :email RETURNING id", email=CAN)
    assert ada.get("/accounts")[0] == can.get("/accounts")[0] == 401


def test_a_key_is_stored_as_a_hash_alone(office: Office, program: Callable[..., Program]) -> None:
    key = program(ADA).key
    (row,) = office.rows("SELECT CAST(k AS text) AS everything FROM api_key k")
    assert key not in row.everything


def test_a_key_that_reads_changes_nothing(office: Office, program: Callable[..., Program]) -> None:
    conversation = office.mail("m1", BEA, ADA)
    reader = program(ADA, may_write=False)
    status, problem = reader.post(f"/conversations/{id_of(office, conversation)}/unlink")
    assert (status, problem["reason"]) == (403, "key_reads_only")
    assert office.linked(conversation) == "deal/d1"


# --- what a member may see and do ---


def test_an_account_says_when_it_was_last_brought_up_to_date(office: Office, program: Callable[..., Program]) -> None:
    office.rows("UPDATE account SET last_sync_at = '2026-03-02T14:05:00+02:00' WHERE address = :a RETURNING id", a=ADA)
    found = {each["address"]: each["last_sync_at"] for each in program(DAN).get("/accounts")[1]["accounts"]}
    assert found == {ADA: "2026-03-02T12:05:00Z", CAN: None}


def test_a_conversation_is_explained(office: Office, program: Callable[..., Program]) -> None:
    conversation = office.mail("m1", BEA, ADA)
    status, told = program(ADA).get(f"/conversations/{id_of(office, conversation)}")
    assert status == 200
    assert (told["subject"], told["link"]["id"], told["decision"]["reason"]) == ("Prices", "d1", "only_open_item")
    assert told["may_link"] is True


def test_what_a_member_may_not_see_is_like_what_is_not_there(office: Office, program: Callable[..., Program]) -> None:
    hidden = office.mail("m1", "stranger@else.test", ADA)
    can = program(CAN)
    for path, ask in (("", can.get), ("/suggestions", can.get), ("/unlink", can.post), ("/dismiss", can.post)):
        assert ask(f"/conversations/{id_of(office, hidden)}{path}") == ask(f"/conversations/{uuid.uuid4()}{path}")
        assert ask(f"/conversations/{id_of(office, hidden)}{path}")[0] == 404


def test_another_teams_conversation_is_not_there(
    office: Office, database: Database, team: Callable[..., int], program: Callable[..., Program]
) -> None:
    other = northwind(database, team)
    theirs = other.mail("m1", BEA, ADA)
    assert program(ADA).get(f"/conversations/{id_of(other, theirs)}")[0] == 404


def test_suggestions_are_ranked_with_their_evidence(office: Office, program: Callable[..., Program]) -> None:
    conversation = office.mail("m1", TOM, ADA, subject="Refit")
    _, told = program(ADA).get(f"/conversations/{id_of(office, conversation)}/suggestions")
    assert [each["id"] for each in told["suggestions"]] == ["d2", "d3"]
    assert "The subject names its title." in told["suggestions"][0]["evidence"]


def test_a_conversation_is_linked_moved_unlinked_and_that_is_taken_back(
    office: Office, program: Callable[..., Program]
) -> None:
    conversation = office.mail("m1", TOM, ADA)
    path, ada = f"/conversations/{id_of(office, conversation)}", program(ADA)
    refit, spa = ({"item": {"kind": "deal", "id": each}} for each in ("d2", "d3"))
    assert ada.post(f"{path}/link", refit)[1]["outcome"] == "linked"
    status, problem = ada.post(f"{path}/link", spa)
    assert (status, problem["reason"]) == (409, "already_linked")
    assert ada.post(f"{path}/link", {**spa, "move": True})[0] == 200
    unlinked = ada.post(f"{path}/unlink")[1]
    assert office.linked(conversation) is None
    assert ada.post("/undo", {"action": unlinked["action"]})[1]["undone"] == [id_of(office, conversation)]
    assert office.linked(conversation) == "deal/d3"
    assert ada.post(f"{path}/visibility", {"level": "private"})[0] == 200


def test_who_sees_but_does_not_own_may_not_link(office: Office, program: Callable[..., Program]) -> None:
    conversation = office.mail("m1", BEA, ADA)
    status, problem = program(CAN).post(f"/conversations/{id_of(office, conversation)}/unlink")
    assert (status, problem["reason"]) == (403, "not_owner")


def test_many_are_linked_at_once_with_a_reason_for_each_that_is_not(
    office: Office, program: Callable[..., Program]
) -> None:
    first, second = office.mail("m1", TOM, ADA), office.mail("m2", TOM, ADA)
    elsewhere = office.mail("m3", BEA, ADA)
    hidden = office.mail("m4", TOM, CAN, at=[CAN])
    unknown = str(uuid.uuid4())
    asked = [*(id_of(office, each) for each in (first, second, elsewhere, hidden)), unknown]
    _, done = program(ADA).post(
        "/conversations/bulk-link", {"conversations": asked, "item": {"kind": "deal", "id": "d2"}}
    )
    assert set(done["linked"]) == set(asked[:2])
    assert done["not_linked"] == {asked[2]: "already_linked", asked[3]: "not_found", unknown: "not_found"}


def test_more_than_a_few_are_work_that_names_nothing_hidden(
    office: Office, program: Callable[..., Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "AT_ONCE", 2)
    mine = [office.mail(f"m{n}", TOM, ADA) for n in range(3)]
    hidden = office.mail("m4", TOM, CAN, at=[CAN])
    asked = [*(id_of(office, each) for each in (*mine, hidden)), str(uuid.uuid4())]
    ada = program(ADA)
    _, told = ada.post("/conversations/bulk-link", {"conversations": asked, "item": {"kind": "deal", "id": "d2"}})
    assert (told["linked"], told["not_linked"]) == ([], dict.fromkeys(asked[3:], "not_found"))
    assert ada.get(f"/work/{told['work']}")[1]["total"] == 3
    with office.database.for_team(office.team_id) as connection:
        found = work.of_member(connection, office.acting(ADA).member, told["work"])
        while work.advance(connection, office.team_id, found.id, office.now):
            pass
    shown = ada.get(f"/work/{told['work']}")[1]
    assert (shown["state"], shown["counts"], shown["action"]) == ("done", {"done": 3}, told["action"])
    assert {office.linked(each) for each in mine} == {"deal/d2"}


def test_many_are_dismissed_at_once_and_the_others_left(office: Office, program: Callable[..., Program]) -> None:
    choice, linked, hidden = (
        office.mail("m1", TOM, ADA),
        office.mail("m2", BEA, ADA),
        office.mail("m3", TOM, CAN, at=[CAN]),
    )
    asked, ada = [id_of(office, each) for each in (choice, linked, hidden)], program(ADA)
    _, told = ada.post("/conversations/bulk-dismiss", {"conversations": asked})
    assert (told["dismissed"], told["left"]) == (asked[:1], {asked[1]: "already_linked", asked[2]: "not_found"})
    assert ada.get("/conversations", state="dismissed")[1]["conversations"][0]["id"] == asked[0]
    assert ada.post("/undo", {"action": told["action"]})[1]["undone"] == asked[:1]


def test_messages_are_told_as_far_as_the_caller_may_read_them(office: Office, program: Callable[..., Program]) -> None:
    office.mail("m1", BEA, ADA)
    conversation = office.mail("m2", ADA, BEA, bcc="nora@kestrel.test", answers="m1")
    office.share(ADA, conversation, "subject")
    path = f"/conversations/{id_of(office, conversation)}/messages"
    _, told = program(ADA).get(path)
    first, second = told["messages"]
    assert (first["from"]["address"], first["text"], first["readable"]) == (BEA, "Text of m1.", "full")
    assert (second["to"][0]["address"], second["bcc"][0]["address"]) == (BEA, "nora@kestrel.test")
    assert {each["address"]: each["is_ours"] for each in told["people"]} == {
        BEA: False,
        "nora@kestrel.test": False,
        ADA: True,
    }
    _, seen = program(CAN).get(path)
    assert [(each["subject"], each["text"], each["bcc"]) for each in seen["messages"]] == [("Prices", None, [])] * 2
    assert "nora" not in str(seen)


def test_a_sender_in_doubt_is_trusted(office: Office, program: Callable[..., Program]) -> None:
    conversation = office.mail("m1", BEA, ADA, headers=[PROVEN_FALSE])
    path, ada = f"/conversations/{id_of(office, conversation)}", program(ADA)
    assert office.linked(conversation) is None
    assert ada.get(f"{path}/messages")[1]["messages"][0]["in_doubt"] is True
    assert ada.post(f"{path}/trust")[1]["outcome"] == "trusted"
    assert office.linked(conversation) == "deal/d1"
    assert ada.post(f"{path}/trust")[1]["reason"] == "sender_not_in_doubt"


def test_items_are_found_and_read(office: Office, program: Callable[..., Program]) -> None:
    ada = program(ADA)
    assert [each["id"] for each in ada.get("/items", q="refi")[1]["items"]] == ["d2"]
    assert ada.get("/items", q="refi", kind="lead")[1]["items"] == []
    assert ada.get("/items/deal/d2")[1] == {"kind": "deal", "id": "d2", "title": "Refit", "state": "open"}
    assert ada.get("/items/deal/nothing")[1]["reason"] == "item_unknown"
    assert ada.get("/items/person/p1")[0] == 404
    assert ada.get("/items/deal/a%00b")[0] == 404


def test_members_see_their_accounts_and_administrators_all(office: Office, program: Callable[..., Program]) -> None:
    def seen(email: str) -> dict[str, bool]:
        return {each["address"]: each["is_mine"] for each in program(email).get("/accounts")[1]["accounts"]}

    assert seen(ADA) == {ADA: True}
    assert seen(DAN) == {ADA: False, CAN: False}


def test_only_its_owner_flips_the_switch_of_an_account(office: Office, program: Callable[..., Program]) -> None:
    path = f"/accounts/{office.accounts[ADA].public_id}/auto-link"
    assert program(CAN).post(path, {"auto_link": False})[0] == 404
    assert program(DAN).post(path, {"auto_link": False})[1]["reason"] == "not_owner"
    assert program(ADA).post(path, {"auto_link": False})[0] == 200
    assert office.rows("SELECT auto_link FROM account WHERE address = :ada", ada=ADA)[0].auto_link is False


def test_the_doctor_finds_the_callers_mail(office: Office, program: Callable[..., Program]) -> None:
    office.mail("m1", BEA, ADA)
    assert [each["subject"] for each in program(ADA).get("/doctor", q="<m1@x.test>")[1]["conversations"]] == ["Prices"]
    (mail,) = program(ADA).get("/doctor", q="<m1@x.test>")[1]["mails"]
    assert [step["step"] for step in mail["steps"]] == ["sent", "decided"]
    assert (mail["steps"][0]["at"], mail["steps"][1]["reason"]) == ("2026-03-02T08:01:00Z", "only_open_item")
    nothing = {"conversations": [], "mails": [], "not_stored": [], "left_out": []}
    assert program(CAN).get("/doctor", q="<m1@x.test>")[1] == nothing


# --- repeated writes ---


def test_a_repeated_write_is_answered_as_the_first_time_and_done_once(
    office: Office, program: Callable[..., Program]
) -> None:
    conversation = office.mail("m1", BEA, ADA)
    path, ada = f"/conversations/{id_of(office, conversation)}/unlink", program(ADA)
    first = ada.post(path, once="k1")
    assert ada.post(path, once="k1") == first
    assert ada.post(path, once="k2")[1]["reason"] == "not_linked"
    assert [action for action, _ in office.trail(conversation)] == ["unlink"]


def test_a_refused_write_may_be_repeated_with_the_same_key(office: Office, program: Callable[..., Program]) -> None:
    conversation = office.mail("m1", TOM, ADA)
    path, ada = f"/conversations/{id_of(office, conversation)}", program(ADA)
    assert ada.post(f"{path}/unlink", once="k1")[1]["reason"] == "not_linked"
    ada.post(f"{path}/link", {"item": {"kind": "deal", "id": "d2"}})
    assert ada.post(f"{path}/unlink", once="k1")[0] == 200


def test_a_key_stands_for_one_request_of_one_program(office: Office, program: Callable[..., Program]) -> None:
    first, second = office.mail("m1", BEA, ADA), office.mail("m2", BEA, ADA)
    ada = program(ADA)
    assert ada.post(f"/conversations/{id_of(office, first)}/unlink", once="k1")[0] == 200
    status, problem = ada.post(f"/conversations/{id_of(office, second)}/unlink", once="k1")
    assert (status, problem["reason"]) == (409, "idempotency_key_reused")
    assert program(ADA).post(f"/conversations/{id_of(office, second)}/unlink", once="k1")[0] == 200


@pytest.mark.parametrize("key", ["", "x" * 201])
def test_an_idempotency_key_has_a_length(office: Office, program: Callable[..., Program], key: str) -> None:
    conversation = office.mail("m1", BEA, ADA)
    status, problem = program(ADA).post(f"/conversations/{id_of(office, conversation)}/unlink", once=key)
    assert (status, problem["fields"][0]["field"]) == (422, "Idempotency-Key")


# --- problems and the document ---


def test_what_no_view_looks_at_has_a_reason_too(program: Callable[..., Program]) -> None:
    ada = program(ADA)
    key = {"Authorization": f"Bearer {ada.key}"}
    client = ada.client
    answers = [
        client.get("/api/v1/accounts"),
        client.get("/api/v1/nothing", headers=key),
        client.delete("/api/v1/accounts", headers=key),
        client.put("/api/v1/policy", headers=key, data='{"blocklist": [],}', content_type="application/json"),
        client.put("/api/v1/policy", headers=key, json=[]),
        client.post("/api/v1/undo", headers=key, data="x" * 70_000, content_type="application/json"),
        client.post("/api/v1/undo", headers=key, data="action=1"),
    ]
    assert [(answer.status_code, answer.json["reason"]) for answer in answers] == [
        (401, "key_not_valid"),
        (404, "not_found"),
        (405, "method_not_allowed"),
        (422, "invalid_request"),
        (422, "invalid_request"),
        (413, "too_large"),
        (415, "not_json"),
    ]
    assert {answer.mimetype for answer in answers} == {"application/problem+json"}
    assert answers[3].json["fields"] == [{"field": "body", "message": "must be a JSON object"}]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/undo", {"action": "no uuid"}),
        ("/undo", {}),
        ("/undo", []),
        ("/undo", {"action": str(uuid.UUID(int=1)), "team_id": 2}),
        ("/conversations/bulk-link", {"conversations": [], "item": {"kind": "deal", "id": "d1"}}),
        ("/conversations/bulk-link", {"conversations": [str(uuid.UUID(int=1))] * 201, "item": {"kind": "x", "id": ""}}),
    ],
)
def test_what_does_not_fit_names_the_fields_and_not_their_values(
    program: Callable[..., Program], path: str, body: Any
) -> None:
    status, problem = program(ADA).post(path, body)
    assert (status, problem["reason"]) == (422, "invalid_request")
    assert problem["fields"]
    assert "no uuid" not in str(problem)


def test_limits_and_queries_are_bounded(program: Callable[..., Program]) -> None:
    ada = program(ADA)
    for query in (
        {"q": "x" * 201},
        {"q": "x", "limit": 10**9},
        {"q": ""},
        {},
        {"q": "x", "kind": "person"},
    ):
        assert ada.get("/items", **query)[0] == 422
    status, problem = ada.get("/items", q="a\0b")  # no request may hold it, whatever it asks for
    assert (status, problem["status"]) == (400, 400)


def test_the_document_describes_every_route(app: Flask, client: FlaskClient) -> None:
    answer = client.get("/api/openapi.json")
    document = answer.json
    assert answer.status_code == 200
    assert document["openapi"].startswith("3.1")
    routes = {
        (method.lower(), rule.rule)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    documented = [operation for path in document["paths"].values() for operation in path.values()]
    assert len(documented) == len(routes)
    for operation in documented:
        assert operation["summary"]
        assert operation["security"] == [{"key": []}]
        assert "application/problem+json" in operation["responses"]["401"]["content"]


def test_the_document_is_pages_for_people_too(client: FlaskClient) -> None:
    document = client.get("/api/openapi.json").json
    chapters = {operation["tags"][0] for path in document["paths"].values() for operation in path.values()}
    pages = {name: client.get(f"/api/docs{name}") for name in ["", "/reasons", *(f"/{each}" for each in chapters)]}
    assert {(page.status_code, page.mimetype) for page in pages.values()} == {(200, "text/html")}
    ids = {
        (f"/api/docs{name}", each) for name, page in pages.items() for each in re.findall(r' id="([^"]+)"', page.text)
    }
    for name, page in pages.items():
        links = re.findall(r'href="(/api/docs[^"#]*)?#([^"]+)"', page.text)
        assert {(path or f"/api/docs{name}", target) for path, target in links} <= ids
        assert "<script" not in page.text
    for path, methods in document["paths"].items():
        for operation in methods.values():
            page = pages[f"/{operation['tags'][0]}"].text
            assert f"<code>{path}</code>" in page
            assert f'id="{operation["operationId"]}"' in page
    assert client.get("/api/docs/nothing").status_code == 404
    assert client.get("/api/openapi.json").json == document  # asking again adds nothing


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Give a schema what it refers to, with nothing let through that it does not name."""
    shapes = {name: {"additionalProperties": False, **each} for name, each in document["components"]["schemas"].items()}
    return {**schema, "components": {"schemas": shapes}}


def test_every_route_has_an_example_that_its_schema_lets_through(client: FlaskClient) -> None:
    document = client.get("/api/openapi.json").json
    found = 0
    for methods in document["paths"].values():
        for operation in methods.values():
            bodies = [operation["responses"]["200"]["content"]["application/json"]]
            bodies += [operation["requestBody"]["content"]["application/json"]] if "requestBody" in operation else []
            given = [each for each in operation["parameters"] if "example" in each]
            assert {each["name"] for each in operation["parameters"] if each["required"]} <= {e["name"] for e in given}
            for each in (*bodies, *given):
                jsonschema.validate(each["example"], _resolved(document, each["schema"]))
                found += 1
    for methods in document["webhooks"].values():
        told = methods["post"]["requestBody"]["content"]["application/json"]
        jsonschema.validate(told["example"], _resolved(document, told["schema"]))
    assert found > 60
    assert {"422", "429", "503"} <= methods_of(document)["link"]["responses"].keys()


def test_an_example_is_a_command_that_a_shell_understands(client: FlaskClient) -> None:
    document = client.get("/api/openapi.json").json
    for path, operation in docs.operations(document):
        words = shlex.split(operation.request.replace("\\\n", ""))
        url = next(word for word in words if word.startswith(ORIGIN))
        assert "{" not in url, path
        if operation.body:
            assert (
                json.loads(words[words.index("-d") + 1])
                == methods_of(document)[operation.name]["requestBody"]["content"]["application/json"]["example"]
            )


def methods_of(document: dict[str, Any]) -> dict[str, Any]:
    return {operation["operationId"]: operation for path in document["paths"].values() for operation in path.values()}


def test_a_write_says_in_the_document_that_it_may_be_repeated(client: FlaskClient) -> None:
    paths = client.get("/api/openapi.json").json["paths"]
    for path in paths.values():
        for method, operation in path.items():
            names = {parameter["name"] for parameter in operation.get("parameters", [])}
            assert ("Idempotency-Key" in names) == (method != "get")


def test_choices_and_offers_are_listed_and_an_offer_is_accepted_and_declined(
    office: Office, program: Callable[..., Program]
) -> None:
    earlier = office.mail("old1", "nora@kestrel.test", ADA)
    office.clock.step(days=1)
    office.person("p9", "Nora", "nora@kestrel.test")
    office.deal("d9", "Gatehouse", "p9", created_at=office.now)
    office.refresh()
    ada = program(ADA)
    _, found = ada.get("/review")
    (offer,) = found["offers"]
    assert [each["id"] for each in offer["conversations"]] == [office.load(earlier).public_id]
    _, accepted = ada.post(f"/offers/{offer['id']}/accept")
    assert (accepted["linked"], office.linked(earlier)) == (1, "deal/d9")
    refused = ada.post(f"/offers/{offer['id']}/decline")
    assert (refused[0], refused[1]["reason"]) == (409, "offer_settled")
