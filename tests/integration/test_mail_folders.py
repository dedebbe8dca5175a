"""An account that reads chosen folders only: what is left out can be told, and is read when the choice grows."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import timedelta

import pytest

from app import sync
from app.errors import RateLimited
from app.model import NOT_CHOSEN
from app.store import account_folders
from tests.integration.office import ADA, Office

pytestmark = pytest.mark.integration

LEFT_OUT = ("filtered", NOT_CHOSEN)
STORED = ("stored", "")


def choose(office: Office, folders: Collection[str]) -> bool:
    with office.team() as connection:
        return account_folders.set_folders(connection, office.account_id, folders)


def test_mail_that_was_left_out_is_read_when_the_choice_grows(make_office: Callable[..., Office]) -> None:
    office = make_office()
    office.change("UPDATE account SET history_from = :at", at=office.clock.now() - timedelta(days=3))
    choose(office, {"other"})
    assert office.value("SELECT folders_grew FROM account") is False, "nothing was listed before"
    long_ago = office.clock.now() - timedelta(days=2)
    office.mail.deliver(ADA, 1, folder="inbox", at=long_ago, is_logged=False)
    office.mail.deliver(ADA, 2, folder="other", at=long_ago, is_logged=False)
    office.sync()
    office.mail.deliver(ADA, 3, folder="inbox")
    office.mail.deliver(ADA, 4, folder="sent")
    office.sync()
    assert office.states() == {"ada-1": LEFT_OUT, "ada-2": STORED, "ada-3": LEFT_OUT, "ada-4": STORED}
    assert sync.audit_account(office.installation, office.team_id, office.account_id, timedelta(hours=48)) == 0
    assert office.states()["ada-3"] == LEFT_OUT, "an audit takes it for what it is"

    assert choose(office, {"inbox", "other"})
    assert not choose(office, {"inbox", "other"})
    office.mail.fail("list_window", RateLimited())
    with pytest.raises(RateLimited):
        office.sync()
    assert office.value("SELECT state FROM account") == "backfilling"
    assert office.sync().stored == 2, "what failed is done by the next run"
    assert set(office.states().values()) == {STORED}
    windows = office.mail.calls["list_window"]
    office.sync()
    assert office.mail.calls["list_window"] == windows, "once is enough"


def test_a_smaller_choice_takes_nothing_away_and_a_change_in_between_is_not_forgotten(office: Office) -> None:
    office.sync()
    office.clock.step(minutes=1)
    office.mail.deliver(ADA, 1, folder="inbox")
    office.sync()
    choose(office, {"other"})
    office.mail.deliver(ADA, 2, folder="inbox")
    office.sync()
    assert office.states() == {"ada-1": STORED, "ada-2": LEFT_OUT}
    choose(office, {"other", "archive"})
    with office.team() as connection:  # a run that began before this choice ends after it
        account_folders.listed_again(connection, office.account_id, {"other"})
    choose(office, set())
    office.sync()
    assert office.states() == {"ada-1": STORED, "ada-2": STORED}
    assert office.value("SELECT folders_grew FROM account") is False
