"""The lists of the API: pages, counts and searches of what the caller may read, and of nothing else (C11, W16)."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from app.store.database import Database
from tests.integration.building import ADA, BEA, CAN, DAN, TOM, Office, northwind
from tests.integration.web.program import Program

pytestmark = pytest.mark.integration

Programs = Callable[..., Program]


def pages(program: Program, **query: Any) -> list[list[str]]:
    """Read a list to its end; return the subjects of each page."""
    found, cursor = [], {}
    while True:
        _, page = program.get("/conversations", **query, **cursor)
        found.append([each["subject"] for each in page["conversations"]])
        if page["next"] is None:
            return found
        cursor = {"cursor": page["next"]}


def test_a_list_is_read_page_by_page_with_its_counts(office: Office, program: Programs) -> None:
    for number in range(3):
        office.mail(f"t{number}", TOM, ADA, subject=f"Choice {number}")
    office.mail("m1", BEA, ADA, subject="Linked")
    ada = program(ADA)
    assert pages(ada, limit=2) == [["Linked", "Choice 2"], ["Choice 1", "Choice 0"]]
    assert pages(ada, state="review", limit=2) == [["Choice 2", "Choice 1"], ["Choice 0"]]
    assert pages(ada, q="choi", limit=1) == [["Choice 2"], ["Choice 1"], ["Choice 0"]]
    _, page = ada.get("/conversations", state="linked")
    assert page["counts"] == {"review": 3, "unlinked": 0, "linked": 1, "dismissed": 0}
    (row,) = page["conversations"]
    assert row["link"] == {"kind": "deal", "id": "d1", "title": "Rollout", "origin": "automatic"}
    assert (row["people"], row["accounts"], row["snippet"]) == ([BEA], [office.accounts[ADA].public_id], "Text of m1.")


def test_a_list_holds_only_what_the_callers_accounts_hold(
    office: Office, database: Database, team: Callable[..., int], program: Programs
) -> None:
    office.mail("m1", "x@else.test", ADA, subject="Merger talks")
    northwind(database, team).mail("m1", BEA, ADA, subject="Merger of others")
    nothing = {"conversations": [], "counts": dict.fromkeys(("review", "unlinked", "linked", "dismissed"), 0)}
    for somebody in (program(CAN), program(DAN)):
        assert somebody.get("/conversations")[1] == {**nothing, "next": None}
        assert somebody.get("/conversations", q="merger")[1] == {**nothing, "next": None}
    assert pages(program(ADA), q="merger") == [["Merger talks"]]


def test_one_account_is_looked_at_alone_and_anothers_is_not_there(office: Office, program: Programs) -> None:
    office.mailbox("sales@northwind.test", kind="team", collaborators=[ADA])
    office.mail("m1", TOM, ADA, subject="Mine")
    office.mail("m2", TOM, "sales@northwind.test", at=["sales@northwind.test"], subject="Shared")
    ada = program(ADA)
    assert pages(ada) == [["Shared", "Mine"]]
    assert pages(ada, account=office.accounts["sales@northwind.test"].public_id) == [["Shared"]]
    theirs, unknown = office.accounts[CAN].public_id, str(uuid.uuid4())
    assert ada.get("/conversations", account=theirs) == ada.get("/conversations", account=unknown)
    assert ada.get("/conversations", account=theirs)[0] == 404


def test_a_list_is_narrowed_by_people_and_days(office: Office, program: Programs) -> None:
    office.mailbox("sales@northwind.test", kind="team", collaborators=[ADA])
    office.mail("m1", BEA, ADA, subject="Bea")
    office.mail("m2", TOM, "sales@northwind.test", at=["sales@northwind.test"], subject="Tom")
    ada = program(ADA)
    assert pages(ada, account_kind="team") == [["Tom"]]
    assert pages(ada, account_kind="personal") == pages(ada, about="person/p1") == [["Bea"]]
    assert pages(ada, about="person/nobody") == [[]]
    assert pages(ada, since="2026-03-03") == pages(ada, until="2026-03-01") == [[]]
    assert pages(ada, since="0001-01-01", until="9999-12-31") == [["Tom", "Bea"]]
    for wrong in (
        {"about": "deal/d1"},
        {"since": "yesterday"},
        {"since": "0"},
        {"until": "20260303"},
        {"account_kind": "mine"},
    ):
        assert ada.get("/conversations", **wrong)[0] == 422


def test_a_cursor_is_worth_nothing_to_others_and_cannot_be_made(office: Office, program: Programs) -> None:
    for number in range(2):
        office.mail(f"t{number}", TOM, [ADA, CAN], at=[ADA, CAN])
    ada, can = program(ADA), program(CAN)
    given = ada.get("/conversations", limit=1)[1]["next"]
    assert ada.get("/conversations", limit=1, cursor=given)[0] == 200
    for cursor, caller in ((given, can), (given[:-2] + "AA", ada), ("x", ada)):
        status, problem = caller.get("/conversations", limit=1, cursor=cursor)
        assert (status, problem["reason"]) == (404, "page_unknown")


@pytest.mark.parametrize(
    "query",
    [{"limit": 10**9}, {"limit": 0}, {"limit": 201}, {"q": "x" * 201}, {"state": "all"}, {"cursor": "x" * 1001}],
    ids=str,
)
def test_what_a_list_may_cost_is_bounded(program: Programs, query: dict[str, Any]) -> None:
    status, problem = program(ADA).get("/conversations", **query)
    assert (status, problem["reason"]) == (422, "invalid_request")


def test_an_item_lists_its_conversations_as_the_caller_may_see_them(office: Office, program: Programs) -> None:
    office.mail("m1", BEA, ADA, subject="Linked")
    office.unlink(ADA, office.mail("m2", BEA, ADA, subject="Off"))
    office.mail("m3", BEA, CAN, at=[CAN], subject="Of Can")
    office.share(CAN, office.conversation_of("m3"), "private")

    def listed(email: str) -> dict[str, list[str]]:
        _, told = program(email).get("/items/deal/d1/conversations")
        return {name: [each["subject"] for each in rows] for name, rows in told.items()}

    assert listed(ADA) == {"linked": ["Linked"], "unlinked": ["Off"]}
    assert listed(CAN) == {"linked": ["Of Can", "Linked"], "unlinked": []}
    assert listed(DAN) == {"linked": [None, "Linked"], "unlinked": [None]}  # an administrator sees who and when
    assert program(ADA).get("/items/deal/other/conversations")[1]["reason"] == "item_unknown"


def test_every_decision_is_told_as_the_caller_may_know_it(office: Office, program: Programs) -> None:
    conversation = office.mail("m1", BEA, ADA)
    office.unlink(ADA, conversation)
    path = f"/conversations/{office.load(conversation).public_id}/decisions"
    _, told = program(ADA).get(path)
    first, last = told["decisions"]
    assert (first["outcome"], first["reason"], first["is_current"]) == ("link", "only_open_item", False)
    assert first["candidates"][0]["id"] == "d1"
    assert (last["is_current"], last["candidates"][0]["ruled_out"]) == (True, "unlinked_by_person")
    assert program(CAN).get(path) == program(CAN).get(f"/conversations/{uuid.uuid4()}/decisions")


def test_a_decision_names_a_bcc_recipient_to_the_sender_alone(office: Office, program: Programs) -> None:
    office.person("p9", "Nora", "nora@kestrel.test")
    office.deal("d9", "Gatehouse", "p9")
    office.refresh()
    conversation = office.mail("m1", ADA, BEA, bcc="nora@kestrel.test")
    office.link(ADA, conversation, office.ref("deal", "d1"))
    path = f"/conversations/{office.load(conversation).public_id}/decisions"
    assert "Nora" in str(program(ADA).get(path)[1])
    told = str(program(CAN).get(path)[1])
    assert "Rollout" in told
    assert "nora" not in told.lower()
    assert "Gatehouse" not in told


def test_a_value_that_is_given_twice_is_refused(office: Office, program: Programs) -> None:
    for name, value in (("q", "rollout"), ("since", "2026-03-02"), ("limit", "5")):
        assert program(ADA).get("/conversations", **{name: [value, value]})[0] == 422
