"""The page of Smart BCC: addresses, mail that is held back, and the addresses a member sends from."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from pydantic import SecretStr

from app import outgoing_mail, smart_bcc
from app.installation import Installation
from app.intake import Intake
from app.model import Attachment
from app.outgoing_mail import Letter
from app.store import smart_bcc as rows
from app.store import teams
from tests.integration.building import ADA, BEA, CAN, DAN, Office
from tests.integration.web.conftest import StoppedClock
from tests.integration.web.test_inbox import Page, browse, office, path_of

__all__ = ["browse", "office"]
pytestmark = [pytest.mark.integration, pytest.mark.smtp]

PATH = "/preferences/smart-bcc"


@pytest.fixture
def installation(installation: Installation) -> Installation:
    changed = {"mail_domain": "in.threadlink.test", "smtp_server": SecretStr("smtp://mx.test"), "mail_from": "x@y.test"}
    return replace(installation, settings=installation.settings.model_copy(update=changed))


def addresses_on(page: str) -> list[str]:
    return re.findall(r'readonly value="([^"]+)"', page)


def local(address: str) -> str:
    return address.partition("@")[0]


def test_addresses_stand_on_the_page_and_on_items_and_change_when_they_are_to(
    installation: Installation, browse: Callable[[str], Page]
) -> None:
    ada, can, intake = browse(ADA), browse(CAN), Intake(installation)
    own, team = addresses_on(ada.get(PATH))
    item, of_team = addresses_on(ada.get("/items/deal/d1"))
    assert [own, team] == addresses_on(ada.get(PATH))
    assert len({own, team, item, of_team, *addresses_on(can.get(PATH)), *addresses_on(can.get("/items/deal/d1"))}) == 6
    assert re.fullmatch(r"northwind-[0-9a-f]{6}\+[a-z2-7]{16}@in\.threadlink\.test", own)
    found = intake.recipient(local(item.upper()))
    assert found is not None
    assert (str(found.item), found.item is not None) == ("deal/d1", True)
    assert ada.post(f"{PATH}/change")["done"] == "bcc_changed"
    assert [intake.recipient(local(each)) for each in (own, item)] == [None, None]
    renewed, still = addresses_on(ada.get(PATH))
    assert (renewed != own, still) == (True, team)
    assert intake.recipient(local(renewed)) is not None
    assert intake.recipient(local(addresses_on(ada.get("/items/deal/d1"))[0])) is not None
    assert addresses_on(browse(DAN).get("/settings/team")) == [team]
    account = ada.get("/preferences/email-sync").partition("ada=northwind.test@in.threadlink.test")[2]
    account = account.partition("</section>")[0]
    assert "It takes what you send to your Smart BCC address." in account
    assert not [said for said in ("Pushes until", "in step with the mailbox", "Every folder") if said in account]
    assert ada.refused(f"{PATH}/change-team") == 403
    browse(DAN).post(f"{PATH}/change-team")
    assert intake.recipient(local(of_team)) is None
    assert intake.recipient(local(team)) is not None


def test_a_member_who_ended_the_account_has_no_address_until_another_is_taken(
    installation: Installation, browse: Callable[[str], Page], office: Office
) -> None:
    ada, intake = browse(ADA), Intake(installation)
    own, of_team = addresses_on(ada.get(PATH))
    with office.database.for_team(office.team_id) as connection:
        account = smart_bcc.account_of(installation, connection, office.members[ADA])
    office.rows("UPDATE account SET state = 'disconnected' WHERE id = :id RETURNING id", id=account.id)
    assert intake.recipient(local(own)) is None
    team = intake.recipient(local(of_team))
    assert team is not None
    assert intake.member_who_sends(team, ADA) is None
    assert intake.member_who_sends(team, CAN) == office.members[CAN].id
    ada.post(f"{PATH}/change")
    assert intake.member_who_sends(team, ADA) == office.members[ADA].id
    assert intake.recipient(local(addresses_on(ada.get(PATH))[0])) is not None


def test_who_has_the_address_of_a_removed_member_has_an_account_of_its_own(
    installation: Installation, office: Office
) -> None:
    ada = office.members[ADA]
    with office.database.for_team(office.team_id) as connection:
        before = smart_bcc.account_of(installation, connection, ada)
        teams.remove_member(connection, ada.id, office.now)
        teams.free_address(connection, ADA)
        added = teams.add_member(connection, office.team_id, "Another Ada", ADA)
        new = teams.member_by_id(connection, added) if added else None
        assert new is not None
        account = smart_bcc.account_of(installation, connection, new)
        assert (account.owner_id, account.id != before.id) == (new.id, True)
        assert smart_bcc.account_of(installation, connection, new) == account
        teams.bring_back(connection, ada.id, "Ada", "ada.k@northwind.test", "member")
        again = teams.member_by_id(connection, ada.id)
        assert again is not None
        assert smart_bcc.account_of(installation, connection, again).id == before.id


def test_held_mail_is_shown_to_its_member_alone_and_released_or_thrown_away(
    installation: Installation, browse: Callable[[str], Page], office: Office
) -> None:
    ada, can = browse(ADA), browse(CAN)
    for number, why in enumerate(("not_proven", "unknown_sender")):
        hold(installation, office, f"p{number}", why)
    page = ada.get(PATH)
    assert ["is held back: nothing shows" in each for each in (page, ada.get("/inbox"), can.get("/inbox"))] == [
        False,
        True,
        False,
    ]
    assert "Prices of p0" in page
    assert page.count("Add this address to mine") == 1  # of the stranger, who may be Ada elsewhere
    assert "nothing proves that" in page
    assert "Prices of p0" not in can.get(PATH)
    first, second = re.findall(rf"{PATH}/held/([0-9a-f-]+)/release", page)
    assert can.refused(f"{PATH}/held/{first}/release") == 404
    assert ada.post(f"{PATH}/held/{first}/discard")["done"] == "mail_discarded"
    assert ada.post(f"{PATH}/held/{second}/release")["done"] == "mail_released"
    assert "No mail is held back." in ada.get(PATH)
    assert "is held back: nothing shows" not in ada.get("/inbox")
    assert ada.refused(f"{PATH}/held/{second}/release") == 404
    assert [tuple(row) for row in office.rows("SELECT provider_id, state FROM discovered_message")] == [
        ("p0", "pending")
    ]


def hold(installation: Installation, office: Office, provider_id: str, why: str) -> None:
    with office.database.for_team(office.team_id) as connection:
        account = smart_bcc.account_of(installation, connection, office.members[ADA])
        rows.receive(
            connection,
            office.team_id,
            account.id,
            provider_id,
            None,
            raw=b"From: ada@northwind.test\r\n\r\n",
            mail_from=ADA,
            peer="192.0.2.1",
            helo="mx",
            received_at=office.now,
            needs_proof=False,
        )
    office.rows(
        "UPDATE received_mail SET held_why = :why, held_from = :ada, held_subject = :subject"
        " WHERE provider_id = :id RETURNING id",
        why=why,
        ada=ADA,
        subject=f"Prices of {provider_id}",
        id=provider_id,
    )


def test_another_address_is_verified_by_the_letter_that_went_to_it(
    installation: Installation,
    browse: Callable[[str], Page],
    office: Office,
    clock: StoppedClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[Letter] = []
    monkeypatch.setattr(outgoing_mail, "send", lambda _settings, letter, _now: bool(sent.append(letter)))
    ada, can = browse(ADA), browse(CAN)
    assert ada.refused(f"{PATH}/senders", address="no address") == 422
    for page in (ada, can):
        page.post(f"{PATH}/senders", address="Ada@Home.test")
    assert ada.refused(f"{PATH}/senders/ask", address="other@home.test") == 404  # nobody typed it
    ada.post(f"{PATH}/senders/ask", address="ada@home.test")
    assert can.refused(f"{PATH}/senders/ask", address="ada@home.test") == 409  # one letter a day, whoever asks
    (letter,) = sent
    assert (letter.to_address, "Ada" in letter.text) == ("ada@home.test", True)
    path = re.search(rf"{PATH}/verify/\S+", letter.text)
    assert path is not None
    assert "Is this your address?" in ada.get(path[0])
    with office.database.for_team(office.team_id) as connection:
        assert rows.member_of_author(connection, "ada@home.test") is None  # opening it is not yet a yes
    assert can.refused(path[0]) == 404
    assert ada.post(path[0])["done"] == "sender_verified"
    assert ada.refused(path[0]) == 404
    with office.database.for_team(office.team_id) as connection:
        assert rows.member_of_author(connection, "ada@home.test") == office.members[ADA].id
    assert ada.refused(f"{PATH}/senders/unsigned", address="x@else.test", unsigned="on") == 404
    ada.post(f"{PATH}/senders/unsigned", address="ada@home.test", unsigned="on")
    assert "taken without proof" in ada.get(PATH)
    ada.post(f"{PATH}/senders/forget", address="ada@home.test")
    clock.advance(timedelta(days=1, minutes=1))
    can.post(f"{PATH}/senders/ask", address="ada@home.test")
    assert len(sent) == 2


def test_a_conversation_says_whose_word_a_forwarded_mail_is(browse: Callable[[str], Page], office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    office.rows("UPDATE message SET flags = ARRAY['quoted', :flag] RETURNING id", flag=f"forwarded_by:{ADA}")
    page = browse(ADA)
    assert f"as forwarded by {ADA}" in page.get(path_of(office, conversation))
    office.rows("UPDATE message SET flags = flags || ARRAY['named:Bea L'] RETURNING id")
    assert "Bea L" not in page.get(path_of(office, conversation))  # it names its author by address
    office.rows("DELETE FROM participant WHERE role = 'from' RETURNING message_id")
    assert "Bea L" in page.get(path_of(office, conversation))


def test_a_mail_that_lies_in_no_mailbox_says_what_of_it_is_not_kept(
    installation: Installation, browse: Callable[[str], Page], office: Office
) -> None:
    listed = [Attachment("offer.pdf", 9, "application/pdf")]
    sent_here = office.mail("m1", BEA, ADA, attachments=listed)
    in_both = office.mail("m2", BEA, ADA, at=[ADA, CAN], attachments=listed)
    with office.database.for_team(office.team_id) as connection:
        account = smart_bcc.account_of(installation, connection, office.members[ADA])
    move = "UPDATE message_copy SET account_id = :to WHERE account_id = :account RETURNING id"
    office.rows(move, to=account.id, account=office.accounts[ADA].id)
    office.rows(move, to=office.accounts[ADA].id, account=office.accounts[CAN].id)
    office.rows("UPDATE message SET flags = '{no_original,msg_file}' RETURNING id")
    ada = browse(ADA)
    page = ada.get(path_of(office, sent_here))
    assert "not kept here" in page
    assert "Outlook file (.msg) cannot be read" in page
    assert ("offer.pdf" in page, "/attachments/0" in page, "Show the original" in page) == (True, False, False)
    assert ada.status(f"{path_of(office, sent_here)}?original={uuid4()}") == 200
    page = ada.get(path_of(office, in_both))  # a mailbox of hers holds it, too
    assert ("not kept here" in page, "/attachments/0" in page, "Show the original" in page) == (False, True, True)


def test_an_installation_without_a_mail_domain_says_so(
    installation: Installation, browse: Callable[[str], Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smart_bcc, "is_offered", lambda _installation: False)
    ada = browse(ADA)
    assert "takes no mail by itself" in ada.get(PATH)
    assert addresses_on(ada.get("/items/deal/d1")) == []
