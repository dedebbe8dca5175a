"""Notices: an account in trouble is told of once, its recovery once; banners; the daily digest of what waits."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask

from app import notices, outgoing_webhooks, signing_in, smart_bcc
from app.installation import Installation
from app.model import Preferences
from app.settings import Settings
from app.store import accounts, teams
from app.store.database import Database
from app.web.application import application
from tests.integration.building import ADA, BEA, CAN, DAN, EVE, TOM, Office
from tests.integration.test_outgoing_mail import Taken, serve
from tests.integration.web.conftest import ORIGIN, StoppedClock
from tests.integration.web.test_inbox import Page, browse

__all__ = ["browse", "serve"]
pytestmark = [pytest.mark.integration, pytest.mark.enable_socket]

SALES = "sales@northwind.test"


@pytest.fixture
def office(database: Database, team: Callable[..., int]) -> Office:
    """Ada and Can have mailboxes that are well, Sales is shared by Can, Dan administers, Eve has nothing."""
    made = Office(database, team("Northwind"))
    made.mailbox(ADA)
    made.mailbox(CAN)
    made.mailbox(SALES, kind="team", collaborators=[CAN])
    made.member(DAN, "admin")
    made.member(EVE)
    made.person("p1", "Bea", BEA)
    made.person("p2", "Tom", TOM)
    made.deal("d1", "Rollout", "p1")
    made.deal("d2", "Lobby", "p2")
    made.deal("d3", "Spa", "p2")
    made.refresh()
    return made


@dataclass
class Watch:
    """The jobs of notices, run at the clock's time; `server` takes the mail."""

    office: Office
    installation: Installation
    clock: StoppedClock
    server: Taken

    def is_well(self, *addresses: str) -> None:
        """Let accounts be read now."""
        with self.office.database.for_team(self.office.team_id) as connection:
            connection.execute(
                sa.text(
                    "UPDATE account SET state = 'live', last_sync_at = :now, state_since = :now, last_error = NULL,"
                    " subscription_expires_at = CAST(:now AS timestamptz) + interval '6 days' WHERE address = ANY(:a)"
                ),
                {"now": self.clock.now(), "a": list(addresses)},
            )

    def falls_ill(self, address: str, state: Any = "reauth_required") -> None:
        with self.office.database.for_team(self.office.team_id) as connection:
            accounts.set_state(connection, self.office.accounts[address].id, state, self.clock.now(), reason=state)

    def later(self, **by: int) -> None:
        """Let time pass, the accounts that are well read in it, and the jobs of its end run twice."""
        self.clock.advance(timedelta(**by))
        ill = {row.address for row in self.office.rows("SELECT address FROM account WHERE state <> 'live'")}
        self.is_well(*({ADA, CAN, SALES} - ill))
        for _ in range(2):
            notices.examine(self.installation, self.office.team_id)
            self.send()

    def send(self) -> None:
        for row in self.office.rows("SELECT id FROM letter WHERE next_at <= :now ORDER BY id", now=self.clock.now()):
            notices.send(self.installation, self.office.team_id, row.id)

    @property
    def letters(self) -> list[tuple[str, str]]:
        """Who was written to, and what about."""
        return sorted((to[0], str(mail["Subject"])) for to, mail in self.server.mails)


@pytest.fixture
def watch(office: Office, installation: Installation, clock: StoppedClock, serve: Callable[..., Taken]) -> Watch:
    server = serve()
    settings = Settings(
        public_base_url=ORIGIN,
        THREADLINK_SMTP_SERVER=f"smtp://127.0.0.1:{server.port}",
        THREADLINK_MAIL_FROM="notices@threadlink.test",
        _env_file=None,
    )  # type: ignore[call-arg]  # pydantic's own argument
    made = Watch(office, replace(installation, settings=settings), clock, server)
    made.is_well(ADA, CAN, SALES)
    return made


def choose(office: Office, email: str, **chosen: Any) -> None:
    with office.database.for_team(office.team_id) as connection:
        teams.set_preferences(connection, office.members[email].id, Preferences(**chosen))


def test_an_account_in_trouble_is_told_of_once_and_so_is_its_recovery(
    office: Office, watch: Watch, browse: Callable[[str], Page]
) -> None:
    choose(office, ADA, locale="tr", time_zone="Europe/Istanbul")
    ada, can, dan, eve = (browse(each) for each in (ADA, CAN, DAN, EVE))
    watch.falls_ill(ADA)
    watch.later(minutes=9)
    assert watch.letters == []  # not for a poll period yet
    assert "has not been in step" not in dan.get("/inbox")
    watch.later(minutes=2)
    told = [(ADA, f"{ADA}: e-postalar eşitlenmiyor"), (DAN, f"{ADA}: e-mail is not in step")]
    assert watch.letters == told
    text = next(mail.get_content() for to, mail in watch.server.mails if to == [ADA])
    assert "2 Mar 2026, 11:00" in text
    assert "Yeniden bağlayın" in text
    assert f"{ORIGIN}/preferences/email-sync" in text
    for page in ("/inbox", "/doctor", "/settings/accounts"):
        assert f"{ADA} has not been in step" in dan.get(page)
    assert f"{ADA} eşit değil" in ada.get("/inbox")
    assert 'href="/preferences/email-sync">Buraya bakın' in ada.get("/inbox")
    for other in (can, eve):
        assert ADA not in other.get("/inbox")
    watch.falls_ill(ADA, "admin_blocked")
    watch.later(hours=5)
    assert watch.letters == told
    watch.is_well(ADA)
    watch.later(minutes=1)
    assert watch.letters[1::2] == [(ADA, f"{ADA}: e-postalar yeniden okunuyor"), (DAN, f"{ADA}: e-mail is read again")]
    assert "has not been in step" not in dan.get("/inbox")
    watch.later(minutes=30)
    assert len(watch.letters) == 4


def test_who_shares_an_account_is_told_and_who_paused_it_is_not(office: Office, watch: Watch) -> None:
    watch.falls_ill(SALES, "degraded")
    watch.later(minutes=11)
    assert [to for to, _ in watch.letters] == [CAN, DAN]
    with office.database.for_team(office.team_id) as connection:
        accounts.set_paused(connection, office.accounts[SALES].id, True)
    watch.later(minutes=11)
    assert len(watch.letters) == 2
    assert [row.recovered_at is None for row in office.rows("SELECT recovered_at FROM account_notice")] == [False]


def test_trouble_that_passes_is_not_told_of(office: Office, watch: Watch) -> None:
    watch.falls_ill(ADA, "throttled")
    watch.later(minutes=9)
    watch.is_well(ADA)
    watch.later(minutes=5)
    watch.falls_ill(ADA, "throttled")
    watch.later(minutes=9)
    assert watch.letters == []


def test_a_mailbox_that_was_not_read_in_time_is_given_a_poll_period_to_catch_up(office: Office, watch: Watch) -> None:
    watch.clock.advance(timedelta(hours=3))  # the machine slept
    notices.examine(watch.installation, office.team_id)
    watch.later(minutes=9)
    assert (watch.letters, office.rows("SELECT FROM account_notice WHERE recovered_at IS NULL")) == ([], [])
    for _ in range(2):
        watch.clock.advance(timedelta(hours=3))
        notices.examine(watch.installation, office.team_id)
    watch.send()
    assert {to for to, _ in watch.letters} == {ADA, CAN, DAN}


def test_a_server_that_does_not_take_a_letter_is_asked_again_and_gets_it_once(office: Office, watch: Watch) -> None:
    watch.server.refusal = "451 later"
    watch.falls_ill(ADA)
    watch.later(minutes=11)
    assert watch.letters == []
    watch.server.refusal = ""
    watch.later(minutes=6)
    assert [to for to, _ in watch.letters] == [ADA, DAN]
    watch.later(minutes=30)
    assert len(watch.letters) == 2


def test_a_letter_is_given_up_when_nobody_takes_it_for_a_day_or_ever(office: Office, watch: Watch) -> None:
    watch.server.refusal = "451 later"
    watch.falls_ill(ADA)
    watch.later(minutes=11)
    for _ in range(4):
        watch.later(hours=8)
    assert {row.next_at for row in office.rows("SELECT next_at FROM letter")} == {None}
    watch.server.refusal = "550 no"
    watch.falls_ill(CAN)
    watch.later(minutes=11)
    watch.server.refusal = ""
    watch.later(hours=1)
    assert watch.letters == []


def test_without_a_server_there_are_banners_and_no_letters(
    office: Office, watch: Watch, installation: Installation, browse: Callable[[str], Page]
) -> None:
    watch.installation = installation
    watch.falls_ill(ADA)
    watch.later(minutes=11)
    assert office.rows("SELECT FROM letter") == []
    assert "has not been in step" in browse(DAN).get("/inbox")


def test_what_stands_above_a_page_is_asked_for_by_whole_pages_alone(
    office: Office, browse: Callable[[str], Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(notices, "banner", lambda _connection, member: asked.append(member.email) or [])
    ada = browse(ADA)
    ada.get("/inbox/new?after=2000-01-01T00:00:00Z")
    ada.get("/review/changed")
    assert asked == []
    ada.get("/inbox")
    assert asked == [ADA]


def test_rows_of_an_account_that_is_not_read_are_marked(
    office: Office, watch: Watch, browse: Callable[[str], Page]
) -> None:
    office.mail("m1", BEA, ADA, subject="Hello")
    ada = browse(ADA)
    assert "no access" not in ada.get("/inbox")
    watch.falls_ill(ADA)
    assert "no access" in ada.get("/inbox")


def test_the_digest_tells_once_a_day_what_the_member_may_see(
    office: Office, watch: Watch, database: Database, browse: Callable[[str], Page]
) -> None:
    office.mail("m1", TOM, ADA, subject="Which week?")
    office.mail("m2", TOM, CAN, at=[CAN], subject="CANARY of Can")
    page = browse(ADA)
    page.post("/preferences", locale="", time_zone="Europe/Istanbul", shortcuts="on", digest="on")
    choose(office, EVE, digest=True)  # nothing waits for Eve
    watch.installation.clock.at = datetime(2026, 3, 3, 3, 50, tzinfo=UTC)  # type: ignore[attr-defined]  # 6:50 in Istanbul
    assert due(watch) == []
    watch.later(minutes=15)
    assert due(watch) == [ADA]
    watch.later(hours=1)
    assert watch.letters == [(ADA, "One conversation waits for your choice")]
    text = watch.server.mails[0][1].get_content()
    assert "Which week?" in text
    assert "CANARY" not in text
    assert f"{ORIGIN}/review" in text
    assert due(watch) == []
    watch.later(hours=2)
    assert due(watch) == [EVE]  # by now it is morning for her, too
    watch.later(hours=1)
    assert due(watch) == []
    watch.later(hours=20)
    assert due(watch) == [ADA]
    page.post("/preferences", locale="", time_zone="Europe/Istanbul")
    watch.later(minutes=10)
    assert due(watch) == []
    assert len(watch.letters) == 2


def test_a_webhook_that_is_turned_off_is_told_of_once_and_stands_above_every_page(
    office: Office, watch: Watch, browse: Callable[[str], Page]
) -> None:
    office.member(EVE)
    with office.database.for_team(office.team_id) as connection:
        acting = office.acting(DAN)
        teams.set_role(connection, office.members[EVE].id, "admin")
        made, _ = outgoing_webhooks.add(watch.installation, connection, acting, "https://hooks.acme.test/CANARY", ())
        outgoing_webhooks.send_test(connection, acting, made.public_id)
        teams.set_role(connection, office.members[DAN].id, "member")
    choose(office, EVE, locale="tr")
    for _ in range(2):
        outgoing_webhooks.deliver(watch.installation, office.team_id, made.id)
    watch.later(minutes=1)
    assert watch.letters == [(EVE, "hooks.acme.test adresindeki webhook kapatıldı")]
    text = watch.server.mails[0][1].get_content()
    assert "artık yönetici değil" in text
    assert f"{ORIGIN}/settings/webhooks/{made.public_id}" in text
    assert "CANARY" not in text
    eve = browse(EVE)
    assert "hooks.acme.test adresindeki webhook kapalı; başlangıç: 2 Mar 2026, 08:00." in eve.get("/inbox")
    assert "hooks.acme.test" not in browse(DAN).get("/inbox")
    assert eve.post(f"/settings/webhooks/{made.public_id}/enable")["done"] == "webhook_enabled"
    assert "hooks.acme.test" not in eve.get("/inbox")


def test_held_mail_is_told_of_once_a_day_and_only_when_there_is_more(office: Office, watch: Watch) -> None:
    settings = watch.installation.settings.model_copy(update={"mail_domain": "bcc.test"})
    installation = watch.installation = replace(watch.installation, settings=settings, secret=b"secret")
    with office.database.for_team(office.team_id) as connection:
        account = smart_bcc.account_of(installation, connection, office.members[EVE])
    numbers = count()

    def hold() -> None:
        office.rows(
            "INSERT INTO received_mail (team_id, account_id, provider_id, raw, received_at, held_why, held_subject)"
            " VALUES (:team, :account, :id, '', :at, 'not_proven', 'CANARY') RETURNING id",
            team=office.team_id, account=account.id, id=str(next(numbers)), at=watch.clock.now(),
        )  # fmt: skip

    def told(**by: int) -> list[str]:
        """Let time pass and the schedule run; return what the letters say waits."""
        watch.clock.advance(timedelta(**by))
        before = len(watch.server.mails)
        for _ in range(2):
            notices.owe_held_letters(installation)
            for args in taken_jobs(office, "owe_held"):
                notices.owe_held(installation, **args)
            watch.send()
        assert {tuple(to) for to, _ in watch.server.mails} <= {(EVE,)}
        texts = [mail.get_content() for _, mail in watch.server.mails[before:]]
        assert not [text for text in texts if "CANARY" in text or f"{ORIGIN}/preferences/smart-bcc" not in text]
        return [re.findall(r"Messages that wait: (\d+)", text)[0] for text in texts]

    assert told(minutes=10) == []
    hold()
    assert told(minutes=10) == ["1"]
    hold()
    assert told(hours=23) == []
    assert told(hours=1) == ["2"]
    assert told(days=3) == []
    hold()
    office.rows("UPDATE received_mail SET released_by = :eve RETURNING id", eve=office.members[EVE].id)
    assert told(days=1) == []


def test_an_invitation_is_mailed_once_a_day_and_the_page_says_whether_it_was(
    office: Office, watch: Watch, app: Flask
) -> None:
    served = application(watch.installation)
    served.test_client_class = app.test_client_class
    dan = served.test_client()
    link = signing_in.invite(watch.installation, office.team_id, office.members[DAN])
    dan.post(urlsplit(link.url).path, headers={"Origin": ORIGIN})

    def invite(address: str) -> tuple[str, str]:
        form = {"name": "Nina", "email": address}
        page = dan.post("/settings/members/invite", data=form, headers={"Origin": ORIGIN}).get_data(as_text=True)
        (shown,) = re.findall(rf'value="({ORIGIN}/invitation/[^"]+)"', page)
        return page, shown

    page, shown = invite("nina@else.test")
    assert "The link was sent to nina@else.test." in page
    ((to, mail),) = watch.server.mails
    assert (to, str(mail["Subject"])) == (["nina@else.test"], "Dan invites you to Northwind")
    assert shown in mail.get_content()
    assert "until 9 Mar 2026, 08:00 UTC" in mail.get_content()
    page, again = invite("nina@else.test")
    assert again != shown
    assert "A letter went to nina@else.test within the last day" in page
    watch.server.refusal = "550 no"
    assert "did not take the letter to olga@else.test" in invite("olga@else.test")[0]
    watch.server.refusal = ""
    assert "The link was sent to olga@else.test." in invite("olga@else.test")[0]
    watch.clock.advance(timedelta(days=1, minutes=1))
    assert "The link was sent to nina@else.test." in invite("nina@else.test")[0]
    assert len(watch.server.mails) == 3
    assert len(office.rows("SELECT FROM audit WHERE action = 'mail_invitation'")) == 3


def taken_jobs(office: Office, task: str) -> list[dict[str, Any]]:
    """Take the jobs of a task out of the queue."""
    with office.database.without_team() as connection:
        jobs = connection.execute(
            sa.text("DELETE FROM procrastinate_jobs WHERE task_name = :task RETURNING args"), {"task": task}
        ).scalars()
        return [dict(args) for args in jobs]


def due(watch: Watch) -> list[str]:
    """Run the schedule of digests and its jobs; return for whom there was one."""
    notices.owe_digests(watch.installation)
    by_id = {member.id: email for email, member in watch.office.members.items()}
    found = taken_jobs(watch.office, "owe_digest")
    for args in found:
        notices.owe_digest(watch.installation, **args)
        notices.owe_digest(watch.installation, **args)
    watch.send()
    return [by_id[args["member_id"]] for args in found]


def test_schedules_enqueue_what_is_due_once(office: Office, watch: Watch) -> None:
    watch.falls_ill(ADA)
    watch.clock.advance(timedelta(minutes=11))
    for _ in range(2):
        notices.examine_accounts(watch.installation)
    notices.examine(watch.installation, office.team_id)
    for _ in range(2):
        notices.send_letters(watch.installation)
    with office.database.without_team() as connection:
        rows = connection.execute(sa.text("SELECT task_name, args FROM procrastinate_jobs ORDER BY id")).all()
    letters = [row.id for row in office.rows("SELECT id FROM letter ORDER BY id")]
    assert {(row.task_name, row.args["team_id"]) for row in rows} == {
        ("examine_team", office.team_id),
        ("send_letter", office.team_id),
    }
    assert [row.args["letter_id"] for row in rows if row.task_name == "send_letter"] == letters
