"""explain, link, unlink, undo and trust on the command line: what they answer, and with which exit status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from app import cli
from app.cli.frame import run
from app.store.database import Database
from tests.integration.building import ADA, BEA, CAN, DAN, PROVEN_FALSE, Office

pytestmark = pytest.mark.integration

Run = Callable[..., tuple[int, Any]]
UNKNOWN = "4b4c9f8a-0000-4000-8000-000000000000"


@pytest.fixture
def office(database: Database, team: Callable[..., int]) -> Office:
    made = Office(database, team("Northwind"))
    made.mailbox(ADA)
    made.mailbox(CAN)
    made.person("p1", "Bea", BEA)
    made.deal("d1", "Rollout", "p1")
    made.deal("d2", "Spa", "p1", state="won")
    made.refresh()
    return made


@pytest.fixture
def configured(office: Office, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("THREADLINK_ENCRYPTION_KEYS", Fernet.generate_key().decode())
    monkeypatch.setattr("app.log.configure", lambda *_: None)


@pytest.fixture
def threadlink(configured: None, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: str) -> tuple[int, Any]:
        status = run(cli.threadlink, [*words, "--json"])
        return status, json.loads(capsys.readouterr().out)

    return call


def test_an_unlink_is_taken_back_by_the_id_it_answered_with(threadlink: Run, office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    status, answer = threadlink("unlink", "m1@x.test", "--as", ADA)
    assert (status, office.linked(conversation)) == (0, None)
    status, undone = threadlink("undo", answer["action"], "--as", ADA)
    assert (status, undone["outcome"], office.linked(conversation)) == (0, "undone", "deal/d1")
    status, again = threadlink("undo", answer["action"], "--as", ADA)
    assert (status, again["error"]["reason"]) == (1, "nothing_to_undo")


def test_a_merge_is_taken_back_by_the_name_explain_gives_it(threadlink: Run, office: Office) -> None:
    office.mail("a1", BEA, ADA, subject="Lamps")
    office.mail("b1", BEA, ADA, subject="Parking")
    office.mail("b2", BEA, ADA, subject="Re: Parking", answers="b1", refers=["a1", "b1"])
    office.rows("UPDATE conversation_merge SET at = now() RETURNING id")
    (merge,) = threadlink("explain", "a1@x.test", "--as", ADA)[1]["merged"]
    assert threadlink("undo", merge, "--as", CAN)[0] == 4
    status, answer = threadlink("undo", merge, "--as", ADA)
    assert (status, answer["outcome"]) == (0, "merge_undone")
    assert office.conversation_of("a1") != office.conversation_of("b1")


@pytest.mark.parametrize(
    ("action", "status"),
    [(UNKNOWN, 1), ("merge/4711", 1), ("merge/x", 2), ("merge/" + "9" * 40, 2), ("merge/²", 2), ("nothing", 2)],
)
def test_what_is_no_action_cannot_be_undone(threadlink: Run, office: Office, action: str, status: int) -> None:
    assert threadlink("undo", action, "--as", ADA)[0] == status


def test_a_sender_is_trusted_from_the_command_line(threadlink: Run, office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA, headers=[PROVEN_FALSE])
    assert threadlink("trust", "m1@x.test", "--as", CAN)[0] == 1
    status, answer = threadlink("trust", "m1@x.test", "--as", ADA)
    assert (status, answer["outcome"], office.linked(conversation)) == (0, "sender_trusted", "deal/d1")
    assert threadlink("trust", "m1@x.test", "--as", ADA)[1]["error"]["reason"] == "sender_not_in_doubt"


def test_another_members_private_conversation_is_answered_like_an_unknown_one(threadlink: Run, office: Office) -> None:
    private = office.load(office.mail("m1", "nora@kestrel.test", CAN, at=[CAN])).public_id
    for words in (("explain",), ("unlink",), ("dismiss",), ("trust",)):
        of_private, of_unknown = (threadlink(*words, each, "--as", ADA) for each in (private, UNKNOWN))
        assert of_private == of_unknown
        assert of_private[1]["error"]["reason"] == "not_found"
    assert threadlink("link", private, "deal/d1", "--as", ADA) == threadlink("link", UNKNOWN, "deal/d1", "--as", ADA)


def test_explain_says_in_lines_why_an_item_was_ruled_out(
    configured: None, office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    office.deal("d3", "Sauna", "p1")
    office.refresh()
    office.mail("m1", BEA, ADA)
    assert run(cli.threadlink, ["explain", "m1@x.test", "--as", ADA]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "  - deal/d2 Spa: Spa is won; only open items are linked automatically." in lines
    assert "  What would change it: Choose" in lines


def test_review_lists_choices_and_offers_and_an_offer_is_accepted_and_undone(threadlink: Run, office: Office) -> None:
    earlier = office.mail("m1", "nora@kestrel.test", ADA)
    office.deal("d3", "Second rollout", "p1")
    office.refresh()
    choice = office.mail("m2", BEA, ADA, subject="Which one")
    office.clock.step(days=1)
    office.person("p9", "Nora", "nora@kestrel.test")
    office.deal("d9", "Gatehouse", "p9", created_at=office.now)
    office.refresh()
    status, found = threadlink("review", "--as", ADA)
    assert status == 0
    assert [each["id"] for each in found["choices"]] == [office.load(choice).public_id]
    assert {each["id"] for each in found["choices"][0]["suggestions"]} == {"d1", "d2", "d3"}
    (offer,) = found["offers"]
    assert (offer["item"]["id"], [each["id"] for each in offer["conversations"]]) == (
        "d9",
        [office.load(earlier).public_id],
    )
    status, accepted = threadlink("offers", "accept", offer["id"], "--as", ADA)
    assert (status, accepted["linked"], office.linked(earlier)) == (0, 1, "deal/d9")
    status, _ = threadlink("undo", accepted["action"], "--as", ADA)
    assert (status, office.linked(earlier)) == (0, None)
    status, refused = threadlink("offers", "decline", offer["id"], "--as", ADA)
    assert (status, refused["error"]["reason"]) == (1, "offer_settled")


@pytest.mark.parametrize("offer", ["x", UNKNOWN])
def test_an_offer_that_is_not_there(threadlink: Run, office: Office, offer: str) -> None:
    status, _ = threadlink("offers", "accept", offer, "--as", ADA)
    assert status == (2 if offer == "x" else 1)


def test_a_replay_is_applied_by_an_administrator_and_taken_back_as_one(
    threadlink: Run, office: Office, configured: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    linked, by_hand = office.mail("m1", BEA, ADA), office.mail("m2", BEA, ADA)
    office.link(ADA, by_hand, office.ref("deal", "d2"), move=True)
    office.member(DAN, "admin")
    policy = tmp_path / "policy.yaml"
    policy.write_text("blocklist: [acme.test]\n")
    words = ("replay", "--since", "400d", "--policy", str(policy), "--apply")
    assert threadlink(*words, "--as", ADA)[0] == 4
    assert office.linked(linked) == "deal/d1"
    status, done = threadlink(*words, "--as", DAN)
    assert (status, done["counts"], done["not_done"]) == (0, {"done": 1}, [])
    assert (office.linked(linked), office.linked(by_hand)) == (None, "deal/d2")
    assert threadlink("undo", done["action"], "--as", DAN)[0] == 0
    assert office.linked(linked) == "deal/d1"
    assert run(cli.threadlink, [*words, "--as", DAN]) == 0
    assert "1 conversations were changed." in capsys.readouterr().out
