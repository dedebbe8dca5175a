"""The policy, replay and long work through the API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

from app import work
from app.model import Policy
from app.web.api.answered import PolicyOut
from app.web.api.asked import PolicyIn
from tests.integration.building import ADA, BEA, CAN, DAN, TOM, Office
from tests.integration.web.program import Program

pytestmark = pytest.mark.integration


def test_the_api_knows_every_field_of_the_policy() -> None:
    names = [field.name for field in fields(Policy)]
    assert list(PolicyIn.model_fields) == list(PolicyOut.model_fields) == names


def put(program: Program, body: Any) -> tuple[int, Any]:
    answer = program.client.put("/api/v1/policy", json=body, headers={"Authorization": f"Bearer {program.key}"})
    return answer.status_code, answer.json


def test_the_policy_is_read_changed_and_tried(office: Office, program: Callable[..., Program]) -> None:
    office.mail("m1", BEA, ADA)
    dan, ada = program(DAN), program(ADA)
    assert dan.get("/policy")[1]["max_counterparts"] == 25
    assert put(dan, {"max_counterparts": 5})[1]["max_counterparts"] == 5
    status, tried = dan.post("/policy/dry-run", {"blocklist": ["acme.test"]})
    assert (status, tried["state"], tried["counts"]) == (200, "ready", {"would_differ": 1})
    (line,) = tried["conversations"]
    assert (line["outcome"], line["reason"], line["linked_to"]["id"], line["item"]) == (
        "would_differ",
        "blocked_address",
        "d1",
        None,
    )
    assert dan.get("/policy")[1]["blocklist"] == []
    assert dan.post(f"/work/{tried['id']}/begin")[1]["state"] == "done"
    assert (dan.get("/policy")[1]["blocklist"], dan.get("/policy")[1]["max_counterparts"]) == (["acme.test"], 5)
    tries = (ada.get("/policy"), put(ada, {"max_counterparts": 5}), ada.post("/policy/dry-run"), ada.post("/replay"))
    for answer in tries:
        assert (answer[0], answer[1]["reason"]) == (403, "not_administrator")
    for wrong in ({"max_counterparts": 0}, {"blocklist": ["no domain"]}, {"unknown": 1}, {"retroactive": "always"}):
        assert put(dan, wrong)[0] == 422


def test_a_replay_is_reported_applied_and_taken_back(office: Office, program: Callable[..., Program]) -> None:
    conversation = office.mail("m1", BEA, ADA)
    dan = program(DAN)
    _, report = dan.post("/replay", {"days": 30, "policy": {"blocklist": ["acme.test"]}})
    assert (report["state"], report["total"], office.linked(conversation)) == ("ready", 1, "deal/d1")
    _, done = dan.post(f"/work/{report['id']}/begin", once="k1")
    assert (done["state"], done["counts"], office.linked(conversation)) == ("done", {"done": 1}, None)
    assert dan.post(f"/work/{report['id']}/begin", once="k1")[1] == done
    assert dan.post(f"/work/{report['id']}/begin")[1]["reason"] == "work_begun"
    assert dan.post("/undo", {"action": report["action"]})[1] == {
        "undone": [office.load(conversation).public_id],
        "work": None,
    }
    assert office.linked(conversation) == "deal/d1"


def test_only_who_asked_is_told_how_far_it_is(
    office: Office, program: Callable[..., Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "AT_ONCE", 1)
    ids = [office.mail(f"m{n}", TOM, ADA) for n in range(2)]
    with office.database.for_team(office.team_id) as connection:
        asked = work.bulk_link(connection, office.acting(ADA), ids, office.ref("deal", "d2"))
    ada = program(ADA)
    _, told = ada.get(f"/work/{asked.public_id}")
    assert (told["state"], told["done"], told["total"], told["conversations"]) == ("looking", 0, 2, [])
    for other in (program(CAN), program(DAN)):
        assert other.get(f"/work/{asked.public_id}")[0] == other.post(f"/work/{asked.public_id}/begin")[0] == 404
    with office.database.for_team(office.team_id) as connection:
        while work.advance(connection, office.team_id, asked.id, office.now):
            pass
    assert ada.get(f"/work/{asked.public_id}")[1]["counts"] == {"done": 2}
    _, undone = ada.post("/undo", {"action": asked.batch_id})
    assert (undone["undone"], ada.get(f"/work/{undone['work']}")[1]["kind"]) == ([], "undo")
