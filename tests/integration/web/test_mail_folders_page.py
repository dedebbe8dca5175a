"""Choosing labels or folders on the page: what is offered, kept and said, and whose choice it is."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from app.errors import AccessRevoked, Unavailable
from app.ports import MailCapabilities, MailFolder
from tests.integration.building import ADA, CAN, DAN, EVE, Office
from tests.integration.web.conftest import ORIGIN, ObedientMail
from tests.integration.web.test_email_sync import OWN, SALES, TEAM, office, path_of
from tests.integration.web.test_inbox import Page, browse

__all__ = ["browse", "office"]
pytestmark = pytest.mark.integration

Browse = Callable[[str], Page]


def chosen(office: Office, address: str) -> list[str]:
    (row,) = office.rows("SELECT folders FROM account WHERE address = :address", address=address)
    return list(row.folders)


def ticked(page: str) -> set[str]:
    return set(re.findall(r'name="folder" value="(\w+)" checked', page))


def test_labels_are_chosen_and_everything_is_read_again(office: Office, browse: Browse, mail: ObedientMail) -> None:
    ada, path = browse(ADA), f"{path_of(office, ADA)}/folders"
    page = ada.get(OWN)
    assert "Every folder and label is read" in page
    assert f'href="{path}"' in page
    assert mail.asked == [], "the page of accounts does not wait for the provider"
    page = ada.get(path)
    assert ">Inbox" in page.replace("> ", ">"), "under its own name, not as Gmail writes it"
    assert "Customers" in page
    assert ticked(page) == set()
    assert ada.post(path, reads="chosen", folder=["c", "gone"])["done"] == "saved"
    assert chosen(office, ADA) == ["c"]
    assert "only the chosen ones are read (1), and sent mail" in ada.get(OWN)
    mail.folders = [MailFolder("n", "News")]
    page = ada.get(path)
    assert "no longer in the mailbox: 1" in page
    ada.post(path, reads="everything", folder="n")  # what is ticked below does not count
    assert chosen(office, ADA) == []
    assert office.rows("SELECT folders_grew FROM account WHERE address = :a", a=ADA)[0].folders_grew
    ada.post(path, reads="everything")  # nothing changed
    trail = office.rows("SELECT member_id, detail FROM audit WHERE action = 'set_folders' ORDER BY id")
    assert [(row.member_id, row.detail["before"], row.detail["folders"]) for row in trail] == [
        (office.members[ADA].id, [], ["c"]),
        (office.members[ADA].id, ["c"], []),
    ]
    assert "Labels and folders to read changed" in browse(DAN).get("/settings/audit")
    hints = office.rows(
        "SELECT generation FROM hint h JOIN account a ON a.id = h.account_id WHERE a.address = :a", a=ADA
    )
    assert hints[0].generation == 2, "the mailbox is read at once"


def test_the_inbox_of_a_team_account_is_always_read(office: Office, browse: Browse) -> None:
    can, dan, path = browse(CAN), browse(DAN), f"{path_of(office, SALES)}/folders"
    assert "disabled" in can.get(path)
    can.post(path, reads="chosen")
    assert chosen(office, SALES) == ["I"]
    done = dan.post(path, reads="chosen", folder="n", back="team")
    assert (done["path"], done["done"]) == (TEAM, "saved")
    assert chosen(office, SALES) == ["I", "n"]
    assert ticked(dan.get(f"{path}?back=team")) == {"I", "n"}


def test_what_cannot_be_chosen_is_said_in_words(office: Office, browse: Browse, mail: ObedientMail) -> None:
    ada, path = browse(ADA), f"{path_of(office, ADA)}/folders"

    def post(**form: str) -> tuple[int, str]:
        answer = ada.client.post(path, data=form, headers={"Origin": ORIGIN, "Accept": "text/html"})
        return answer.status_code, answer.get_data(as_text=True)

    status, page = post(reads="chosen")
    assert status == 422
    assert "Tick at least one, or choose everything." in page
    for error, expected, words in (
        (Unavailable(provider="gmail", operation="labels"), 503, "does not answer at the moment"),
        (AccessRevoked(provider="gmail", operation="labels"), 409, "does not accept our access"),
    ):
        mail.fails_with = error
        answer = ada.client.get(path)
        assert (answer.status_code, words in answer.get_data(as_text=True)) == (expected, True)
        status, page = post(reads="chosen", folder="c")
        assert (status, words in page) == (expected, True)
    assert post(reads="everything")[0] == 303, "for that nobody has to be asked"
    mail.fails_with = None
    office.rows("UPDATE account SET state = 'disconnected' RETURNING id")
    assert ada.client.get(path).status_code == 409
    mail.capabilities = MailCapabilities(25, 3600)
    assert f'href="{path}"' not in ada.get(OWN)
    assert ada.client.get(path).status_code == 409
    assert chosen(office, ADA) == []


def test_whose_account_it_is_not_sees_and_changes_nothing(office: Office, browse: Browse, mail: ObedientMail) -> None:
    for email, address in ((CAN, ADA), (DAN, ADA), (EVE, SALES)):
        path = f"{path_of(office, address)}/folders"
        assert browse(email).status(path) == 404
        assert browse(email).refused(path, reads="chosen", folder="c") == 404
    assert mail.asked == []
    assert (chosen(office, ADA), chosen(office, SALES)) == ([], [])
