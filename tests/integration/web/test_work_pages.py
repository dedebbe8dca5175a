"""The team's rules, replay and long work in the browser: shown first, then done, then taken back."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from functools import partial

import pytest

from app import inbox, work
from app.model import Policy
from app.store.database import Database
from tests.integration.building import ADA, BEA, CAN, DAN, SOMEBODY, TOM, Office, northwind
from tests.integration.web.test_inbox import Page, browse, office, path_of

__all__ = ["browse", "office"]
pytestmark = pytest.mark.integration

RULES = {"retroactive": "message", "blocklist_scope": "sole", "max_counterparts": "25", "skip_automated": "on"}


def figures(page: str) -> dict[str, int]:
    return {name: int(n) for name, n in re.findall(r"<dt>(.*?)</dt><dd>(\d+)</dd>", page)}


def late_item(office: Office, *keys: str) -> list[int]:
    ids = [office.mail(key, SOMEBODY, ADA, subject=f"Late {key}") for key in keys]
    office.person("p9", "Sam", SOMEBODY)
    office.deal("d9", "Sofas", "p9")
    office.refresh()
    return ids


@pytest.mark.parametrize("path", ["/settings/policy", "/settings/replay", "/settings/team"])
def test_the_pages_of_the_team_are_for_administrators(browse: Callable[[str], Page], path: str) -> None:
    ada, dan = browse(ADA), browse(DAN)
    assert (ada.status(path), ada.refused(path, **RULES)) == (403, 403)
    page = dan.get(path)
    assert f'href="{path}" aria-current="page"' in page
    assert "<script>" not in page


def test_the_page_of_the_rules_has_every_field_of_the_policy(browse: Callable[[str], Page]) -> None:
    named = set(re.findall(r'name="(\w+)"', browse(DAN).get("/settings/policy")))
    assert {field.name for field in fields(Policy)} == named - {"address", "viewport"}


def test_rules_are_tried_then_saved_as_they_were_shown(office: Office, browse: Callable[[str], Page]) -> None:
    blocked = office.mail("m1", BEA, ADA)
    dan = browse(DAN)
    tried = dan.post("/settings/policy", **RULES, blocklist="acme.test\n\n@Spam.Example \n", learned_auto_link="on")
    page = dan.get(tried["path"])
    assert figures(page) == {"Would be decided otherwise": 1}
    assert "added: @Spam.Example, acme.test" in page
    assert "<del>off</del> <ins>on</ins>" in page
    assert "acme.test" not in dan.get("/settings/policy")
    saved = dan.post(f"{tried['path']}/begin", blocklist="everything.test")
    assert "These rules are saved." in dan.get(saved["path"])
    page = dan.get("/settings/policy?address=Bea@mail.acme.test")
    assert "acme.test</textarea>" in page
    assert "everything.test" not in page
    assert "Yes: bea@mail.acme.test is blocked by “acme.test”." in page
    assert "when nobody else outside the team takes part." in page
    assert "No: nothing in the list blocks bea@other.test." in dan.get("/settings/policy?address=bea@other.test")
    assert "This is no e-mail address." in dan.get("/settings/policy?address=bea")
    assert office.linked(blocked) == "deal/d1"
    assert dan.refused(f"{tried['path']}/begin") == 409


def test_rules_that_make_no_sense_come_back_with_what_is_wrong(office: Office, browse: Callable[[str], Page]) -> None:
    dan = browse(DAN)
    for field, value, said in [
        ("max_counterparts", "0", "Give a whole number, 1 or more."),
        ("max_counterparts", "many", "Give a whole number, 1 or more."),
        ("retroactive", "always", "Choose one of the two."),
        ("blocklist", "acme.test\nno domain at all", "Each line must be an address or a domain"),
    ]:
        answer = dan.client.post(
            "/settings/policy", data={**RULES, field: value}, headers={"Origin": "https://threadlink.test"}
        )
        page = answer.get_data(as_text=True)
        assert (answer.status_code, said in page) == (422, True)
        assert value.splitlines()[-1] in page or field == "retroactive"
    long = "\n".join(f"x{n}.example" for n in range(9_000))
    assert dan.post("/settings/policy", **{**RULES, "blocklist": long})["path"].startswith("/work/")


def test_a_team_is_configured_and_a_plan_without_mailboxes_pauses_them(
    office: Office, browse: Callable[[str], Page]
) -> None:
    dan = browse(DAN)
    office.rows("UPDATE account SET provider = 'smart_bcc' WHERE id = :id RETURNING id", id=office.accounts[CAN].id)
    for domains, status in (("gmail.com", 422), ("no domain", 422), ("northwind.test\nNorthwind.Example", 303)):
        answer = dan.client.post(
            "/settings/team",
            data={"domains": domains, "locale": "tr", "plan": "lite"},
            headers={"Origin": "https://threadlink.test"},
        )
        assert answer.status_code == status
    (team,) = office.rows("SELECT domains, locale, plan FROM team")
    assert (team.domains, team.locale, team.plan) == (["northwind.example", "northwind.test"], "tr", "lite")
    paused = office.rows("SELECT DISTINCT provider = 'smart_bcc' AS is_bcc, paused FROM account")
    assert sorted(tuple(row) for row in paused) == [(False, True), (True, False)]
    assert "northwind.example" in dan.get("/settings/team")
    assert [row.detail["fields"] for row in office.rows("SELECT detail FROM audit WHERE action = 'change_team'")] == [
        ["domains", "locale", "plan"]
    ]


def test_a_replay_is_reported_applied_and_taken_back(office: Office, browse: Callable[[str], Page]) -> None:
    (late,) = late_item(office, "m1")
    dan = browse(DAN)
    report = dan.post("/settings/replay", days="30")["path"]
    assert figures(dan.get(report)) == {"Would be linked": 1}
    assert office.linked(late) is None
    dan.post(f"{report}/begin")
    page = dan.get(report)
    assert (figures(page), office.linked(late)) == ({"Done": 1}, "deal/d9")
    action = re.search(r'name="action" value="([0-9a-f-]+)"', page)
    assert action is not None
    assert dan.post("/undo", action=action[1], back=report)["path"] == report
    assert ("This was undone." in dan.get(report), office.linked(late)) == (True, None)
    assert report in dan.get("/settings/replay")


def test_a_bulk_link_says_first_what_is_to_be_said(office: Office, browse: Callable[[str], Page]) -> None:
    free, elsewhere = office.mail("m1", TOM, ADA), office.mail("m2", BEA, ADA, subject="Elsewhere")
    ada = browse(ADA)
    ticked = [office.load(each).public_id for each in (free, elsewhere)]
    asked = ada.post("/conversations/link", c=ticked, item="deal/d2", back="/inbox")["path"]
    page = ada.get(asked)
    assert figures(page) == {"Will be linked": 1, "Linked to another item": 1}
    assert "Linked to “Rollout”." in page
    ada.post(f"{asked}/begin", elsewhere="move")
    assert [office.linked(each) for each in (free, elsewhere)] == ["deal/d2"] * 2
    assert figures(ada.get(asked)) == {"Done": 2}


def test_all_that_match_are_linked_by_a_job_with_a_progress_bar(
    office: Office, browse: Callable[[str], Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "AT_ONCE", 1)
    monkeypatch.setattr(work, "PART", 2)
    ids = [office.mail(f"m{n}", TOM, ADA, subject=f"Spa {n}") for n in range(3)]
    others = [office.mail("m8", TOM, ADA, subject="Lamps"), office.mail("m9", BEA, ADA, subject="Spa of Bea")]
    ada = browse(ADA)
    asked = ada.post("/conversations/link", all="1", state="review", s="spa", item="deal/d2")["path"]
    (job,) = office.rows("SELECT args FROM procrastinate_jobs WHERE task_name = 'do_work'")
    answer = ada.client.get(asked)
    assert answer.headers["Refresh"] == "2"
    assert re.search(r'<progress[^>]* max="3" value="0">', answer.get_data(as_text=True))
    with office.database.for_team(office.team_id) as connection:
        while work.advance(connection, job.args["team_id"], job.args["work_id"], office.now):
            pass
    assert [office.linked(each) for each in (*ids, *others)] == ["deal/d2"] * 3 + [None, "deal/d1"]
    answer = ada.client.get(asked)
    assert "Refresh" not in answer.headers
    assert figures(answer.get_data(as_text=True)) == {"Done": 3}
    undoing = ada.post("/undo", action=office.rows("SELECT batch_id FROM work")[0].batch_id, back=asked)["path"]
    assert undoing != asked


def test_all_that_match_are_taken_out_of_the_list_on_every_page_and_taken_back(
    office: Office, browse: Callable[[str], Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.inbox.inbox.listing", partial(inbox.listing, limit=2))
    ids = [office.mail(f"m{n}", SOMEBODY, ADA, subject=f"News {n}") for n in range(3)]
    linked = office.mail("m8", BEA, ADA, subject="News for Bea")
    other = office.mail("m9", SOMEBODY, ADA, subject="Lamps")
    ada = browse(ADA)
    assert 'name="all" value="1" data-n="4"' in ada.get("/inbox?s=news")
    assert 'name="all"' not in ada.get("/inbox?s=lamps")  # there is no other page
    told = ada.post("/conversations/dismiss", all="1", back="/inbox", view="s=news&state=unlinked")
    assert (told["path"], told["n"], told["s"]) == ("/inbox", "3", "news")
    assert [office.is_dismissed(each) for each in (*ids, other)] == [True] * 3 + [False]
    ada.post("/undo", action=told["action"])
    assert not any(office.is_dismissed(each) for each in ids)
    asked = ada.post("/conversations/dismiss", all="1", view="s=news")["path"]  # one of them is linked: that is said
    page = ada.get(asked)
    assert (figures(page), office.linked(linked)) == ({"Done": 3, "Not done": 1}, "deal/d1")
    assert "Linked to “Rollout”." in page
    assert page.count('data-key="z"') == 1  # the undo stays, here and elsewhere


def test_nobody_else_opens_it(
    office: Office, browse: Callable[[str], Page], database: Database, team: Callable[..., int]
) -> None:
    late_item(office, "m1")
    dan = browse(DAN)
    report = dan.post("/settings/replay", days="30")["path"]
    for email in (ADA, CAN):
        stranger = browse(email)
        assert (stranger.status(report), stranger.refused(f"{report}/begin")) == (404, 404)
    assert dan.status("/work/00000000-0000-4000-8000-000000000000") == 404
    other = northwind(database, team)
    with database.for_team(other.team_id) as connection:
        theirs = work.look_back(connection, other.acting(DAN), work.DRY_RUN_OVER)
    assert dan.status(f"/work/{theirs.public_id}") == 404


def test_lines_beyond_a_page_are_a_page_away(
    office: Office, browse: Callable[[str], Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "SHOWN", 2)
    ids = late_item(office, "m1", "m2", "m3")
    for each in ids:
        office.share(ADA, each, "full")
    dan = browse(DAN)
    report = dan.post("/settings/replay", days="30")["path"]
    first = dan.get(report)
    more = re.search(r'class="more" href="([^"]+)"', first)
    assert more is not None
    shown = [re.findall(r'href="(/conversations/[^"]+)"', page) for page in (first, dan.get(more[1]))]
    assert [len(each) for each in shown] == [2, 1]
    assert {*shown[0], *shown[1]} == {path_of(office, each) for each in ids}
