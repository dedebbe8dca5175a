"""The doctor: what became of a mail, to whom that is told, and a report without content."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from app.model import NOT_CHOSEN
from tests.integration.building import ADA, BEA, CAN, DAN, EVE, Office
from tests.integration.web.conftest import StoppedClock
from tests.integration.web.test_inbox import Page, browse, office

__all__ = ["browse", "office"]
pytestmark = pytest.mark.integration

Browse = Callable[[str], Page]


def discover(office: Office, address: str, provider_id: str, state: str, rule: str = "") -> None:
    """Let a mailbox have listed a mail."""
    with office.database.for_team(office.team_id) as connection:
        connection.execute(
            sa.text(
                "INSERT INTO discovered_message"
                " (team_id, account_id, provider_id, state, rule, discovered_at, settled_at)"
                " VALUES (:team, :account, :id, :state, :rule, :at, :at)"
            ),
            {
                "team": office.team_id, "account": office.accounts[address].id, "id": provider_id, "state": state,
                "rule": rule, "at": office.now,
            },
        )  # fmt: skip


def steps(page: str) -> list[str]:
    return [each.strip() for each in re.findall(r"<li class=\"step-(\w+)", page)]


def test_it_says_what_became_of_a_mail_and_when(office: Office, browse: Browse) -> None:
    office.mail("m1", BEA, ADA, subject="Prices for Bea")
    (copy,) = office.rows("SELECT provider_id FROM message_copy")
    discover(office, ADA, copy.provider_id, "stored")
    with office.database.for_team(office.team_id) as connection:
        connection.execute(sa.text("UPDATE crm_write SET state = 'written', written_at = :at"), {"at": office.now})
    ada = browse(ADA)
    for query in ("<m1@x.test>", "m1@x.test", BEA, "for bea"):
        page = ada.client.get("/doctor", query_string={"q": query}).text
        assert steps(page) == ["sent", "seen", "stored", "decided", "written"], query
    assert "Linked: the only open item of Bea." in page
    assert "2 Mar 2026, 08:01" in page
    report = page.partition("<textarea")[2].partition("</textarea>")[0]
    assert "m1@x.test" in report
    assert "decided only_open_item" in report
    assert "linked to deal/d1" in report
    for content in ("Prices", BEA, ADA, "Rollout", "Linked: "):
        assert content not in report


def test_a_mail_among_colleagues_is_not_said_to_be_in_the_crm(office: Office, browse: Browse) -> None:
    office.mail("m1", BEA, ADA, subject="Prices")
    office.mail("m2", ADA, CAN, at=[ADA, CAN], subject="Re: Prices", answers="m1", refers=["m1"])
    with office.database.for_team(office.team_id) as connection:
        connection.execute(sa.text("UPDATE crm_write SET state = 'written', written_at = :at"), {"at": office.now})
    ada = browse(ADA)
    assert steps(ada.get("/doctor?q=m1@x.test"))[-1] == "written"
    page = ada.get("/doctor?q=m2@x.test")
    assert steps(page)[-1] == "kept"
    assert "Not shown in the CRM" in page


def test_a_mail_that_was_left_out_is_named_with_its_rule(office: Office, browse: Browse, clock: StoppedClock) -> None:
    clock.at = office.now + timedelta(hours=1)
    discover(office, ADA, "18c0ffee", "filtered", "spam")
    discover(office, ADA, "18c0fff0", "filtered", NOT_CHOSEN)
    discover(office, CAN, "18c0ff00", "filtered", "trash")
    ada = browse(ADA)
    page = ada.get("/doctor?q=18c0ffee")
    assert steps(page) == ["filtered"]
    assert "in none of the labels or folders that are read" in ada.get("/doctor?q=18c0fff0")
    page = ada.get("/doctor?q=something")
    assert "No such mail in your mailboxes" in page
    assert f"{ADA} <strong>Left out by a rule</strong> (spam): 1" in page
    assert CAN not in page
    assert steps(ada.get("/doctor?q=18c0ff00")) == []


def test_others_mail_is_as_if_it_were_not_there(office: Office, browse: Browse) -> None:
    office.mail("m1", BEA, ADA, subject="Secret prices")
    office.share(ADA, office.conversation_of("m1"), "private")
    eve = browse(EVE)
    for query in ("m1@x.test", "Secret", BEA):
        assert steps(eve.get(f"/doctor?q={query}")) == []
        assert eve.status(f"/doctor?q={query}&all=1") == 403


def test_an_administrator_asks_all_mailboxes_by_id_or_sender_and_that_is_written_down(
    office: Office, browse: Browse
) -> None:
    office.mail("m1", BEA, [ADA], at=[ADA, CAN], subject="Secret prices")
    office.share(ADA, office.conversation_of("m1"), "private")
    with office.database.for_team(office.team_id) as connection:
        connection.execute(sa.text("UPDATE account SET visibility = 'private'"))
    for row in office.rows("SELECT a.address, c.provider_id FROM message_copy c JOIN account a ON a.id = c.account_id"):
        discover(office, row.address, row.provider_id, "stored")
    dan = browse(DAN)
    assert steps(dan.get("/doctor?q=m1@x.test")) == []
    page = dan.get("/doctor?q=m1@x.test&all=1")
    assert sorted(steps(page)) == ["decided", "seen", "seen", "sent", "stored", "stored"]
    assert "Secret" not in page
    found = page.partition("What is not as it should be")[0]
    assert ADA in found
    assert CAN not in found  # who was in Bcc
    assert steps(dan.get("/doctor?q=Secret&all=1")) == []
    trail = office.rows("SELECT member_id, detail FROM audit WHERE action = 'doctor' ORDER BY id")
    assert [row.member_id for row in trail] == [office.members[DAN].id] * 2
    assert "m1" not in str([row.detail for row in trail])
    assert "Secret" not in str([row.detail for row in trail])
