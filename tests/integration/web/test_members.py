"""Members, keys and browsers: what an administrator does about others, and everybody about themselves."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import members
from app.acting import Acting
from app.errors import Conflict, NotAllowed
from app.store.database import Database
from app.web.personal_access import browser_name
from tests.integration.building import ADA, CAN, DAN, EVE, Office, refused
from tests.integration.web.conftest import ORIGIN
from tests.integration.web.test_inbox import Page, browse, office

__all__ = ["browse", "office"]
pytestmark = pytest.mark.integration

ROUTES = ("invite", "joining", "{id}/role", "{id}/remove", "invitations/{id}/revoke")


def test_a_member_reaches_nothing_of_an_administrators(office: Office, browse: Callable[[str], Page]) -> None:
    ada, eve = browse(ADA), office.members[EVE].public_id
    assert ada.status("/settings/members") == 403
    for route in ROUTES:
        assert ada.refused(f"/settings/members/{route.format(id=eve)}", role="admin", name="X", email="x@y.test") == 403
    assert "/settings/members" not in ada.get("/preferences")
    acting = office.acting(ADA)
    with office.database.for_team(office.team_id) as connection:
        for act in (
            lambda: members.invite(connection, acting, "X", "x@y.test", "admin"),
            lambda: members.change_role(connection, acting, eve, "admin"),
            lambda: members.remove(connection, acting, eve),
            lambda: members.revoke_invitation(connection, acting, eve),
            lambda: members.set_joining(connection, acting, "google", "y.test", may_join=False),
        ):
            assert refused(act) == (NotAllowed, "not_administrator")


def test_an_administrator_invites_and_takes_it_back(
    office: Office, browse: Callable[[str], Page], client: FlaskClient
) -> None:
    dan = browse(DAN)
    answer = dan.client.post(
        "/settings/members/invite",
        data={"name": "Nina <b>", "email": " Nina@Northwind.test ", "role": "admin"},
        headers={"Origin": ORIGIN},
    )
    page = answer.get_data(as_text=True)
    (link,) = re.findall(r'value="https://threadlink.test(/invitation/[^"]+)"', page)
    assert "Nina &lt;b&gt;" in page
    assert "Join Northwind" in client.get(link).get_data(as_text=True)
    listed = dan.get("/settings/members")
    assert link not in listed
    assert "nina@northwind.test" in listed
    (revoke,) = re.findall(r'action="(/settings/members/invitations/[^"]+/revoke)"', listed)
    assert dan.post(revoke)["done"] == "invitation_revoked"
    assert client.get(link).status_code == 404
    assert dan.refused(revoke) == 404
    for wrong in (
        {"name": "", "email": "x@y.test"},
        {"name": "X", "email": "x"},
        {"name": "x" * 101, "email": "x@y.test"},
    ):
        assert dan.refused("/settings/members/invite", **wrong) == 422
    assert dan.refused("/settings/members/invite", name="Eve", email=EVE) == 409


def test_without_an_issuer_the_link_itself_lets_in_once(
    office: Office, browse: Callable[[str], Page], app: Flask
) -> None:
    with office.database.for_team(office.team_id) as connection:
        link = f"/invitation/{members.invite(connection, office.acting(DAN), 'Nina', 'nina@x.test', 'member').token}"
    nina = app.test_client()
    assert nina.post(link).status_code == 403
    assert nina.post(link, headers={"Origin": ORIGIN}).headers["Location"] == "/inbox"
    assert "nina@x.test" in nina.get("/preferences").get_data(as_text=True)
    assert app.test_client().post(link, headers={"Origin": ORIGIN}).status_code == 404


def test_the_last_administrator_stays(office: Office, browse: Callable[[str], Page], database: Database) -> None:
    dan, ids = browse(DAN), {email: member.public_id for email, member in office.members.items()}
    for route in ("role", "remove"):
        assert dan.refused(f"/settings/members/{ids[DAN]}/{route}", role="member") == 409
    dan.post(f"/settings/members/{ids[ADA]}/role", role="admin")
    # Two administrators who lower each other at the same moment: one of them stays.
    outcomes: list[str] = []
    ready = threading.Barrier(2)

    def lower(by: str, whom: str) -> None:
        acting = Acting(office.team_id, office.members[by], office.now)
        ready.wait()
        try:
            with database.for_team(office.team_id) as connection:
                members.change_role(connection, acting, ids[whom], "member")
            outcomes.append("done")
        except (NotAllowed, Conflict) as error:
            outcomes.append(error.reason)

    threads = [threading.Thread(target=lower, args=pair) for pair in ((DAN, ADA), (ADA, DAN))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["done", "not_administrator"]
    assert office.rows("SELECT count(*) AS n FROM member WHERE role = 'admin'")[0].n == 1


def test_who_is_lowered_invites_nobody_any_more(
    office: Office, browse: Callable[[str], Page], client: FlaskClient
) -> None:
    dan, ada = browse(DAN), browse(ADA)
    dan.post(f"/settings/members/{office.members[ADA].public_id}/role", role="admin")
    assert ada.status("/settings/members") == 200  # rights are those of the moment
    with office.database.for_team(office.team_id) as connection:
        link = f"/invitation/{members.invite(connection, office.acting(ADA), 'Nina', 'n@x.test', 'admin').token}"
    dan.post(f"/settings/members/{office.members[ADA].public_id}/role", role="member")
    assert (ada.status("/settings/members"), client.get(link).status_code) == (403, 404)


def test_another_teams_members_are_not_there(
    office: Office, browse: Callable[[str], Page], database: Database, team: Callable[..., int]
) -> None:
    other = Office(database, team("Brightwater"))
    stranger = other.member("x@brightwater.test", "admin")
    with database.for_team(other.team_id) as connection:
        members.invite(connection, other.acting("x@brightwater.test"), "Y", "y@brightwater.test", "admin")
    (invitation,) = other.rows("SELECT public_id FROM invitation")
    dan = browse(DAN)
    assert "brightwater" not in dan.get("/settings/members")
    for route, public_id in (
        ("{id}/role", stranger.public_id),
        ("{id}/remove", stranger.public_id),
        ("invitations/{id}/revoke", invitation.public_id),
    ):
        assert dan.refused(f"/settings/members/{route.format(id=public_id)}", role="member") == 404
    assert other.rows("SELECT removed_at, role FROM member")[0] == (None, "admin")


def test_a_key_is_shown_once_and_ends_when_it_is_revoked(browse: Callable[[str], Page], app: Flask) -> None:
    ada, can = browse(ADA), browse(CAN)
    answer = ada.client.post("/preferences/keys", data={"name": "Reports", "may": "write"}, headers={"Origin": ORIGIN})
    (key,) = re.findall(r'value="(tl_[^"]+)"', answer.get_data(as_text=True))
    asked = {"Authorization": f"Bearer {key}"}
    assert app.test_client().get("/api/v1/accounts", headers=asked).status_code == 200
    page = ada.get("/preferences/keys")
    assert key not in page
    assert ("Reports" in page, "read and write" in page, "last used 2 Mar 2026" in page) == (True, True, True)
    assert "Reports" not in can.get("/preferences/keys")
    (revoke,) = re.findall(r'action="(/preferences/keys/[^"]+/revoke)"', page)
    assert can.refused(revoke) == 404
    assert ada.post(revoke)["done"] == "key_revoked"
    assert app.test_client().get("/api/v1/accounts", headers=asked).status_code == 401
    assert ada.refused("/preferences/keys", name=" ") == 422


def test_a_member_signs_out_other_browsers(browse: Callable[[str], Page]) -> None:
    here, phone, tablet, can = browse(ADA), browse(ADA), browse(ADA), browse(CAN)
    ends = re.findall(r'action="(/preferences/sessions/[0-9a-f-]{36}/end)"', here.get("/preferences/sign-in"))
    assert len(ends) == 2  # not the one that asks
    assert can.refused(ends[0]) == 404
    assert here.post(ends[0])["n"] == "1"
    assert sorted(each.status("/inbox") for each in (phone, tablet)) == [200, 303]
    assert here.post("/preferences/sessions/end-others")["n"] == "1"
    assert [each.status("/inbox") for each in (here, phone, tablet, can)] == [200, 303, 303, 200]
    assert here.client.post("/preferences/sessions/end-others").status_code == 403


def test_a_browser_is_called_by_its_name() -> None:
    edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0 Safari/537.36 Edg/131.0"
    safari = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.1 Safari/605.1.15"
    assert [browser_name(called) for called in (edge, safari, "curl/8", "")] == [
        "Edge, Windows",
        "Safari, macOS",
        "",
        "",
    ]
