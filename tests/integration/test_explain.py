"""What a conversation is linked to and why, told to each reader; on a real database."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from app import doctor, links
from app.explain import describe, explain
from app.store.database import Database
from tests.integration.building import ADA, BEA, CAN, DAN, EVE, PROVEN_FALSE, TOM, Office

pytestmark = pytest.mark.integration

SECRET = "carla@secret.test"


@pytest.fixture
def office(database: Database, team: Callable[..., int]) -> Office:
    """Ada and Can have mailboxes, Dan is an administrator. Bea and Tom have one open deal each, Carla one."""
    made = Office(database, team("Northwind"))
    made.mailbox(ADA)
    made.mailbox(CAN)
    made.member(DAN, "admin")
    made.crm.put_organization("o1", "Acme")
    made.person("p1", "Bea", BEA, organization="o1")
    made.person("p2", "Tom", TOM)
    made.crm.put_organization("o9", "Hush")
    made.person("p9", "Carla", SECRET, organization="o9")
    made.deal("d1", "Rollout", "p1")
    made.deal("d2", "Refit", "p2")
    made.deal("d9", "Quiet merger", "p9")
    made.refresh()
    return made


def told(office: Office, email: str, conversation: int, locale: str = "en") -> dict[str, Any]:
    with office.database.for_team(office.team_id) as connection:
        return explain(connection, office.seen(connection, email, conversation), locale)


def described(office: Office, conversation: int, locale: str = "en") -> dict[str, Any]:
    with office.database.for_team(office.team_id) as connection:
        return describe(connection, [conversation], locale)[0]


# --- what is told ---


def test_a_linked_conversation_is_told_with_its_people_and_its_reason(office: Office) -> None:
    conversation = office.mail("m1", f"Bea <{BEA}>", ADA)
    found = told(office, ADA, conversation)
    assert found["subject"] == "Prices"
    assert (found["accounts"], found["providers"]) == ([ADA], ["gmail"])
    assert found["link"] == {"kind": "deal", "id": "d1", "title": "Rollout", "origin": "automatic"}
    assert found["persons"] == [{"id": "p1", "name": "Bea"}]
    assert found["organizations"] == [{"id": "o1", "name": "Acme"}]
    assert found["decision"]["sentence"] == "Linked: the only open item of Bea."
    assert found["action"] == {"code": "unlink", "label": "Unlink"}
    assert found["trigger"] == "<m1@x.test>"
    assert found["may_link"] is True
    (message,) = found["messages"]
    assert (message["internet_id"], message["direction"], message["readable"]) == ("<m1@x.test>", "inbound", "full")
    assert [note["item"] for note in found["notes"]] == ["deal/d1"]


def test_a_candidate_says_what_speaks_for_it_and_in_which_state_it_is(office: Office) -> None:
    office.deal("d3", "Spa", "p2", state="won")
    office.deal("d4", "Sauna", "p2")
    office.refresh()
    conversation = office.mail("m1", TOM, ADA)
    candidates = {c["id"]: c for c in told(office, ADA, conversation)["decision"]["candidates"]}
    assert candidates.keys() == {"d2", "d3", "d4"}
    assert candidates["d2"]["why_not"] is None
    assert "Tom is the contact person." in candidates["d2"]["evidence"]
    assert candidates["d3"]["why_not"] == "Spa is won; only open items are linked automatically."
    assert described(office, conversation)["decision"]["candidates"] == list(candidates.values())


def test_an_item_that_was_opened_again_is_not_called_open_and_ruled_out(office: Office) -> None:
    office.deal("d3", "Spa", "p2", state="won")
    office.refresh()
    conversation = office.mail("m1", TOM, ADA)
    office.crm.change("deal", "d3", {"status": "open"})
    office.refresh()
    (spa,) = (c for c in told(office, ADA, conversation)["decision"]["candidates"] if c["id"] == "d3")
    assert spa["why_not"] == "Spa is closed; only open items are linked automatically."


def test_a_candidate_that_a_person_took_off_says_who(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    office.unlink(ADA, conversation)
    found = told(office, ADA, conversation)
    (candidate,) = found["decision"]["candidates"]
    assert candidate["why_not"] == "Ada removed the link to Rollout on 2 March 2026."
    assert found["decision"]["sentence"] == candidate["why_not"]
    assert found["action"]["code"] == "link_by_hand"


def test_it_is_told_in_turkish(office: Office) -> None:
    office.deal("d3", "Spa", "p2", state="won")
    office.deal("d4", "Sauna", "p2")
    office.refresh()
    conversation = office.mail("m1", TOM, ADA)
    found = told(office, ADA, conversation, "tr")
    assert found["decision"]["sentence"] == "Tom için 2 açık öğe var. Birini seçin."
    assert found["action"]["label"] == "Seç"
    assert found["decision"]["candidates"][2]["why_not"] == ("Spa kazanıldı; yalnızca açık öğeler otomatik bağlanır.")
    assert found["decision"]["candidates"][0]["evidence"][0] == "İletişim kişisi: Tom."


def test_the_history_holds_every_decision_with_its_sentence(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    office.mail("m2", BEA, ADA, subject="Re: Prices", answers="m1")
    office.unlink(ADA, conversation)
    history = told(office, ADA, conversation)["history"]
    assert [(entry["outcome"], entry["reason"]) for entry in history] == [
        ("link", "only_open_item"),
        ("keep", "follows_conversation"),
        ("none", "unlinked_by_person"),
    ]
    assert history[0]["sentence"] == "Linked: the only open item of Bea."
    assert history[0]["at"] == "2026-03-02T08:01:00Z"


def test_a_claim_names_the_conversation_it_claims(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    answer = office.mail("m2", BEA, ADA, subject="Re: Prices", answers="m1", headers=[PROVEN_FALSE])
    assert told(office, ADA, answer)["claims"] == [
        {"conversation": office.load(conversation).public_id, "why": "sender_failed"}
    ]


def test_a_merge_is_named_to_who_may_take_it_back(office: Office) -> None:
    elder = office.mail("a1", BEA, ADA, subject="Lamps")
    office.mail("b1", BEA, ADA, subject="Parking")
    office.mail("b2", BEA, ADA, subject="Re: Parking", answers="b1", refers=["a1", "b1"])
    (merge,) = office.rows("SELECT id FROM conversation_merge")
    assert told(office, ADA, elder)["merged"] == [f"merge/{merge.id}"]
    assert told(office, CAN, elder)["merged"] == []


def test_a_dismissed_conversation_says_so(office: Office) -> None:
    office.deal("d4", "Sauna", "p2")
    office.refresh()
    conversation = office.mail("m1", TOM, ADA)
    office.dismiss(ADA, conversation)
    assert told(office, ADA, conversation)["dismissed"] is True


# --- for its reader (V4) ---


def test_who_sees_it_through_the_item_reads_what_the_account_shares(office: Office) -> None:
    office.mailbox(EVE, visibility="metadata")
    conversation = office.mail("m1", BEA, EVE, at=[EVE], subject="CANARY subject")
    found = told(office, CAN, conversation)
    assert found["subject"] is None
    assert found["messages"][0]["readable"] == "metadata"
    assert found["may_link"] is False
    assert "CANARY" not in json.dumps(found)


def test_an_administrator_sees_people_and_dates_of_a_private_conversation(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA, subject="CANARY subject")
    office.share(ADA, conversation, "private")
    found = told(office, DAN, conversation)
    assert found["subject"] is None
    assert found["persons"] == [{"id": "p1", "name": "Bea"}]
    assert "CANARY" not in json.dumps(found)


def test_the_subject_is_that_of_the_first_message_the_reader_may_read(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA, subject="CANARY Lamps")
    office.mail("m2", BEA, CAN, at=[CAN], subject="Re: Lamps", answers="m1")
    office.share(ADA, conversation, "private")
    found = told(office, CAN, conversation)
    assert [message["internet_id"] for message in found["messages"]] == ["<m2@x.test>"]
    assert found["subject"] == "Re: Lamps"
    assert (found["accounts"], found["trigger"]) == ([CAN], "<m2@x.test>")
    assert "CANARY" not in json.dumps(found)
    assert "m1@" not in json.dumps(found)


def test_a_bcc_recipient_is_told_to_the_sender_alone(office: Office) -> None:
    conversation = office.mail("m1", ADA, BEA, bcc=SECRET)
    assert office.decision(conversation).decision.params["n"] == 2
    mine, others = told(office, ADA, conversation), told(office, DAN, conversation)
    assert {candidate["id"] for candidate in mine["decision"]["candidates"]} == {"d1", "d9"}
    assert mine["decision"]["sentence"] == "Bea and Carla have 2 open items. Choose one."
    assert {person["name"] for person in mine["persons"]} == {"Bea", "Carla"}
    assert {candidate["id"] for candidate in others["decision"]["candidates"]} == {"d1"}
    assert others["persons"] == [{"id": "p1", "name": "Bea"}]
    assert others["organizations"] == [{"id": "o1", "name": "Acme"}]
    everything = json.dumps(others)
    assert [word for word in ("Carla", SECRET, "Quiet merger", "Hush", " 2 ") if word in everything] == []


def test_a_decision_on_a_bcc_recipient_alone_names_nobody_to_others(office: Office) -> None:
    office.crm.change("deal", "d9", {"status": "lost"})
    office.refresh()
    conversation = office.mail("m1", ADA, "nora@kestrel.test", bcc=SECRET)
    assert office.decision(conversation).decision.reason == "item_closed"
    found = told(office, DAN, conversation)
    assert found["decision"]["sentence"] == "the item is closed; only open items are linked automatically."
    assert found["decision"]["candidates"] == []
    everything = json.dumps(found)
    assert [word for word in ("Carla", SECRET, "Quiet merger", "Hush", "lost") if word in everything] == []


def test_a_colleague_in_bcc_is_not_told_by_the_mailbox_that_holds_a_copy(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA, at=[ADA, CAN])
    assert told(office, ADA, conversation)["accounts"] == [ADA]
    assert told(office, CAN, conversation)["accounts"] == [ADA, CAN]
    assert described(office, conversation)["accounts"] == [ADA, CAN]


def test_automatic_linking_that_is_off_names_the_mailboxes_a_reader_may_know_of(office: Office) -> None:
    office.mailbox(EVE, auto_link=False)
    office.mailbox("zoe@northwind.test", auto_link=False)
    conversation = office.mail("m1", BEA, EVE, at=[EVE, "zoe@northwind.test"])
    assert told(office, EVE, conversation)["decision"]["sentence"] == f"Automatic linking is off for {EVE}."


def test_a_claim_on_a_conversation_the_reader_may_not_see_is_not_told(office: Office) -> None:
    private = office.mail("m1", "nora@kestrel.test", CAN, at=[CAN], subject="Lamps")
    claiming = office.mail("m2", BEA, ADA, subject="Re: Lamps", answers="m1")
    assert told(office, ADA, claiming)["claims"] == []
    (claim,) = told(office, DAN, claiming)["claims"]
    assert claim["conversation"] == office.load(private).public_id


def test_a_private_conversation_of_another_member_is_answered_like_an_unknown_one(office: Office) -> None:
    private = office.mail("m1", "nora@kestrel.test", CAN, at=[CAN])
    statements: list[str] = []
    listener = lambda *arguments: statements.append(arguments[2])  # noqa: E731 - SQLAlchemy gives the statement third
    sa.event.listen(office.database.engine, "before_cursor_execute", listener)
    with office.database.for_team(office.team_id) as connection:
        assert links.see(connection, office.members[ADA], [private]) == {}
        asked_of_private = statements.copy()
        statements.clear()
        assert links.see(connection, office.members[ADA], [0]) == {}
    sa.event.remove(office.database.engine, "before_cursor_execute", listener)
    assert [statement for statement in asked_of_private if "SET LOCAL threadlink.team" not in statement] == statements


def test_the_history_names_a_bcc_recipient_to_the_sender_alone(office: Office) -> None:
    conversation = office.mail("m1", ADA, BEA, bcc=SECRET)
    office.link(ADA, conversation, office.ref("deal", "d1"))
    assert told(office, ADA, conversation)["history"][0]["sentence"] == "Bea and Carla have 2 open items. Choose one."
    assert told(office, CAN, conversation)["history"][0]["sentence"] == "Bea has some open items. Choose one."


# --- the doctor ---


def traced(office: Office, email: str, query: str) -> list[str]:
    with office.database.for_team(office.team_id) as connection:
        found = doctor.trace(connection, office.members[email], query, "en", office.now)
    assert len(found["conversations"]) == len({mail["conversation"] for mail in found["mails"]})
    return [mail["internet_id"] for mail in found["mails"]]


@pytest.mark.parametrize("query", ["<m1@x.test>", "m1@x.test", BEA, "BEA@ACME.test", "prices"])
def test_the_doctor_finds_mail_by_id_sender_and_subject(office: Office, query: str) -> None:
    office.mail("m1", BEA, ADA)
    office.mail("m2", TOM, ADA, subject="Other")
    assert traced(office, ADA, query) == ["<m1@x.test>"]


@pytest.mark.parametrize("query", ["<m1@x.test>", BEA, "Prices"])
def test_the_doctor_finds_nothing_in_mailboxes_of_others_not_even_for_an_administrator(
    office: Office, query: str
) -> None:
    office.mail("m1", BEA, ADA)
    assert traced(office, CAN, query) == []
    assert traced(office, DAN, query) == []


def test_the_doctor_tells_a_member_no_more_than_explain_does(office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA, subject="CANARY Lamps")
    office.mail("m2", BEA, CAN, at=[CAN], subject="Re: Lamps", answers="m1")
    office.share(ADA, conversation, "private")
    with office.database.for_team(office.team_id) as connection:
        found = doctor.trace(connection, office.members[CAN], "m2@x.test", "en", office.now)
    assert found["conversations"] == [told(office, CAN, conversation)]
    (mail,) = found["mails"]
    assert [step["step"] for step in mail["steps"]] == ["sent", "decided"]
    assert mail["steps"][1]["reason"] == "follows_conversation"
    assert traced(office, CAN, "CANARY") == []
