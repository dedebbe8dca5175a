"""A CRM connected in the browser: an administrator's one-time link, consent at the simulated Pipedrive, its removal."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from werkzeug.test import Client, TestResponse

from app import connecting, connecting_crm, jobs, signing_in, sync
from app.bootstrap import create_app, open_installation
from app.errors import NotAllowed, NotFound, Unsupported
from app.installation import Installation
from app.model import Member
from app.settings import load_settings
from app.store import crm, teams
from app.testing.fakes import SteppedClock
from connectors.crm.pipedrive.simulator import PipedriveSimulator
from connectors.crm.pipedrive.simulator_oauth import CLIENT_ID, CLIENT_SECRET

pytestmark = pytest.mark.integration

ORIGIN = "https://threadlink.test"


@dataclass
class Desk:
    """An administrator with a browser, a team, and Pipedrive."""

    installation: Installation
    pipedrive: PipedriveSimulator
    team_id: int
    members: dict[str, Member]
    client: Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.browser()

    def browser(self) -> Client:
        return create_app(self.installation).test_client()

    def invite(self, who: str = "admin") -> str:
        invited = connecting_crm.invite(self.installation, self.team_id, self.members[who], "pipedrive")
        return urlsplit(invited.url).path

    def get(self, url: str, client: Client | None = None) -> TestResponse:
        return (client or self.client).get(url, base_url=ORIGIN)

    def post(
        self, path: str, client: Client | None = None, origin: str = ORIGIN, data: dict[str, str] | None = None
    ) -> TestResponse:
        return (client or self.client).post(path, base_url=ORIGIN, headers={"Origin": origin}, data=data)

    def consent(self, path: str) -> str:
        """Open the link, press the button, agree at Pipedrive; return where the browser is sent."""
        assert self.get(path).status_code == 200
        away = self.post(path)
        assert away.status_code == 303
        back = urlsplit(self.pipedrive.consent(away.headers["Location"]))
        return f"{back.path}?{back.query}"

    def connections(self) -> list[tuple[str, str, str]]:
        with self.installation.database.for_team(self.team_id) as connection:
            return [(row.adapter, row.company, row.state) for row in crm.connections(connection)]

    def uninstall(self, secret: str = CLIENT_SECRET, **body: object) -> int:
        basic = base64.b64encode(f"{CLIENT_ID}:{secret}".encode()).decode()
        return self.client.delete(
            "/connect/crm/pipedrive/callback",
            base_url=ORIGIN,
            headers={"Authorization": f"Basic {basic}"},
            data=json.dumps({"company_id": int(self.pipedrive.company), "user_id": 1, **body}),
        ).status_code


@pytest.fixture
def desk(database_url: str, team: Callable[..., int]) -> Iterator[Desk]:
    clock, simulator = SteppedClock(), PipedriveSimulator()
    environ = simulator.start(clock)
    settings = load_settings(public_base_url=ORIGIN, encryption_keys=Fernet.generate_key().decode())
    installation = open_installation(settings, database_url, clock=clock, environ=environ)
    team_id = team("Northwind")
    with installation.database.for_team(team_id) as connection:
        teams.add_member(connection, team_id, "Ada", "ada@northwind.test", "admin")
        teams.add_member(connection, team_id, "Can", "can@northwind.test", "member")
        members = {member.role: member for member in teams.members(connection)}
    yield Desk(installation, simulator, team_id, members)
    installation.database.close()
    simulator.stop()


def test_an_administrators_link_connects_the_company_that_agreed(desk: Desk) -> None:
    done = desk.get(desk.consent(desk.invite()))
    assert done.status_code == 200
    assert desk.pipedrive.company in done.get_data(as_text=True)
    assert desk.connections() == [("pipedrive", desk.pipedrive.company, "live")]
    desk.pipedrive.put_person("p1", "Bea", ["bea@acme.test"])
    sync.refresh_mirror(desk.installation, desk.team_id, max_age_s=0)
    with desk.installation.database.for_team(desk.team_id) as connection:
        assert connection.execute(sa.text("SELECT address FROM mirror_address")).scalars().all() == ["bea@acme.test"]
        secrets = connection.execute(sa.text("SELECT ciphertext FROM crm_connection")).scalar_one()
    assert b"refresh_token" not in bytes(secrets)


def test_a_link_is_good_once_and_for_one_browser(desk: Desk) -> None:
    path = desk.invite()
    back = desk.consent(path)
    stranger = desk.browser()
    assert desk.post(path, stranger).status_code == 404
    assert desk.get(back, stranger).status_code == 404
    assert desk.connections() == []
    assert desk.get(back).status_code == 200
    assert [desk.get(each).status_code for each in (back, path)] == [404, 404]


def test_another_site_cannot_press_the_button(desk: Desk) -> None:
    path = desk.invite()
    assert desk.post(path, origin="https://evil.test").status_code == 403
    assert desk.get(path).status_code == 200


def test_only_an_administrator_makes_a_link(desk: Desk) -> None:
    with pytest.raises(NotAllowed):
        desk.invite("member")


def test_a_crm_that_is_not_connected_in_the_browser_says_so(desk: Desk) -> None:
    for adapter in ("tryton", "embedded"):
        with pytest.raises(Unsupported):
            connecting_crm.invite(desk.installation, desk.team_id, desk.members["admin"], adapter)


def code_of(desk: Desk) -> str:
    """Install the app from the CRM's own shop: a code, and no state of ours."""
    away = desk.post(desk.invite()).headers["Location"]
    return dict(part.split("=") for part in urlsplit(desk.pipedrive.consent(away)).query.split("&"))["code"]


def sign_in(desk: Desk, who: str, client: Client | None = None) -> str:
    """Sign a member in; return where the browser is sent."""
    link = signing_in.invite(desk.installation, desk.team_id, desk.members[who])
    return desk.post(urlsplit(link.url).path, client).headers["Location"]


def state_in(page: TestResponse) -> str:
    return page.get_data(as_text=True).partition('name="state" value="')[2].partition('"')[0]


def test_an_installation_from_the_shop_is_looked_at_and_confirmed_by_an_administrator(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, exchange = [], desk.pipedrive.grants.token
    monkeypatch.setattr(desk.pipedrive.grants, "token", lambda *call: asked.append(call) or exchange(*call))
    sent_on = desk.get(f"/connect/crm/pipedrive/callback?code={code_of(desk)}")
    assert sent_on.headers["Location"] == "/settings/crm/install"
    assert "HttpOnly" in sent_on.headers["Set-Cookie"]
    assert desk.get("/settings/crm/install").headers["Location"] == "/sign-in"
    assert sign_in(desk, "admin") == "/settings/crm/install"
    assert "nothing is connected to team Northwind before you say so" in desk.get("/settings/crm/install").text
    assert desk.post("/settings/crm/install", origin="https://evil.test").status_code == 403
    assert asked == []  # however often it was looked at
    found = desk.post("/settings/crm/install")
    assert desk.pipedrive.company in found.text
    assert desk.connections() == []
    path, form = "/settings/crm/install/pipedrive", {"state": state_in(found), "meant": "yes"}
    stranger = desk.browser()
    sign_in(desk, "admin", stranger)
    assert desk.post(path, stranger, data=form).status_code == 404  # another browser of the same member
    assert desk.post(path, data=form).headers["Location"] == "/settings/crm?done=crm_connected"
    assert desk.connections() == [("pipedrive", desk.pipedrive.company, "live")]
    assert desk.post(path, data=form).status_code == 404
    assert desk.post("/settings/crm/install").status_code == 404  # the code is used up


def test_an_installation_that_was_not_meant_is_given_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    revoked, revoke = [], desk.pipedrive.grants.revoke
    monkeypatch.setattr(desk.pipedrive.grants, "revoke", lambda call: revoked.append(call) or revoke(call))
    sign_in(desk, "admin")
    desk.get(f"/connect/crm/pipedrive/callback?code={code_of(desk)}")
    form = {"state": state_in(desk.post("/settings/crm/install")), "meant": "no"}
    done = desk.post("/settings/crm/install/pipedrive", data=form)
    assert done.headers["Location"] == "/settings/crm?done=crm_declined"
    assert (desk.connections(), len(revoked)) == ([], 1)


def test_an_installation_waits_some_minutes_and_for_an_administrator(desk: Desk) -> None:
    desk.get(f"/connect/crm/pipedrive/callback?code={code_of(desk)}")
    sign_in(desk, "member")
    assert desk.get("/settings/crm/install").status_code == 403
    assert desk.post("/settings/crm/install").status_code == 403
    sign_in(desk, "admin")
    desk.installation.clock.step(minutes=11)  # type: ignore[attr-defined]  # the desk's own
    assert desk.post("/settings/crm/install").status_code == 404
    desk.client.set_cookie("threadlink-install", "forged", domain="threadlink.test", secure=True)
    assert desk.get("/settings/crm/install").status_code == 404
    assert "threadlink crm connect" in desk.get("/connect/crm/pipedrive/callback").text
    assert desk.connections() == []


# --- the page ---


def test_an_administrator_connects_and_ends_the_crm_on_its_page(desk: Desk) -> None:
    sign_in(desk, "admin")
    assert "No CRM is connected" in desk.get("/settings/crm").text
    away = desk.post("/settings/crm/connect", data={"crm": "pipedrive", "browser": "yes"})
    back = urlsplit(desk.pipedrive.consent(away.headers["Location"]))
    assert desk.get(f"{back.path}?{back.query}", desk.browser()).status_code == 404  # W6
    done = desk.get(f"{back.path}?{back.query}")
    assert done.headers["Location"] == "/settings/crm?done=crm_connected"
    page = desk.get("/settings/crm").text
    assert "The first load goes on" in page
    assert desk.post("/settings/crm/connect", data={"crm": "embedded"}).status_code == 409
    assert "Notes that stand in the CRM" in desk.get("/settings/crm/disconnect").text
    assert desk.connections()[0][2] == "live"
    assert desk.post("/settings/crm/disconnect").headers["Location"] == "/settings/crm?done=crm_disconnected"
    assert desk.connections()[0][2] == "disconnected"


def test_a_token_is_tried_on_the_page_and_a_refusal_says_why(desk: Desk) -> None:
    sign_in(desk, "admin")
    wrong = desk.post("/settings/crm/connect", data={"crm": "pipedrive", "token": "no-such-token-at-all"})
    assert (wrong.status_code, "does not accept this token" in wrong.text) == (422, True)
    odd = desk.post("/settings/crm/connect", data={"crm": "pipedrive", "token": "x", "option.mode": "telepathy"})
    assert (odd.status_code, "no Pipedrive API token" in odd.text) == (422, True)
    assert desk.connections() == []
    token = desk.pipedrive.grants.api_token(desk.pipedrive.records)
    form = {"crm": "pipedrive", "token": token, "option.mode": "activity"}
    assert desk.post("/settings/crm/connect", data=form).headers["Location"] == "/settings/crm?done=crm_connected"
    page = desk.get("/settings/crm").text
    assert "an activity" in page
    assert token not in page


def test_notes_that_were_given_up_are_told_and_tried_again(desk: Desk) -> None:
    database, team_id = desk.installation.database, desk.team_id
    connecting_crm.connect_embedded(desk.installation, team_id)
    with database.for_team(team_id) as connection:
        connection.execute(
            sa.text(
                """
                WITH c AS (INSERT INTO conversation (team_id, first_message_at, last_message_at)
                           VALUES (:team, now(), now()) RETURNING id)
                INSERT INTO crm_write (team_id, conversation_id, crm_connection_id, kind, external_id, state, error)
                SELECT :team, c.id, k.id, 'deal', 'd1', 'parked', 'Rejected' FROM c, crm_connection k
                """
            ),
            {"team": team_id},
        )
    sign_in(desk, "admin")
    page = desk.get("/settings/crm").text
    assert "The CRM refused the content." in page
    assert desk.post("/settings/crm/retry").headers["Location"] == "/settings/crm?done=crm_retried&n=1"
    with database.for_team(team_id) as connection:
        assert connection.execute(sa.text("SELECT state FROM crm_write")).scalar_one() == "intended"
    assert "The CRM refused the content." not in desk.get("/settings/crm").text


def test_the_page_of_the_crm_is_for_administrators(desk: Desk) -> None:
    sign_in(desk, "member")
    assert desk.get("/settings/crm").status_code == 403
    for path in ("connect", "retry", "disconnect", "install", "install/pipedrive"):
        assert desk.post(f"/settings/crm/{path}", data={"crm": "embedded"}).status_code == 403
    assert desk.connections() == []


def test_a_refusal_at_the_crm_connects_nothing(desk: Desk) -> None:
    desk.pipedrive.fault("consent_refused")
    assert desk.get(desk.consent(desk.invite())).status_code == 403
    assert desk.connections() == []


def test_another_company_is_refused_and_its_consent_given_back(desk: Desk) -> None:
    assert desk.get(desk.consent(desk.invite())).status_code == 200
    other = desk.pipedrive.add_company("globex")
    path = desk.invite()
    away = desk.post(path).headers["Location"]
    back = urlsplit(desk.pipedrive.consent(away, "globex"))
    assert desk.get(f"{back.path}?{back.query}").status_code == 409
    assert desk.connections() == [("pipedrive", desk.pipedrive.company, "live")]
    assert other.company != desk.pipedrive.company


def test_a_removed_app_ends_the_connection_and_links_stay(desk: Desk) -> None:
    desk.get(desk.consent(desk.invite()))
    assert desk.uninstall("wrong") == 401
    assert desk.uninstall() == 200  # the access still works: whatever sent this was wrong
    assert desk.connections()[0][2] == "live"
    desk.pipedrive.fault("grant_revoked")
    assert desk.uninstall(company_id="nonsense") == 400
    assert desk.uninstall() == 200
    assert desk.connections()[0][2] == "disconnected"


def test_a_crms_link_is_no_mailboxs_link(desk: Desk) -> None:
    token = desk.invite().rpartition("/")[2]
    assert desk.get(f"/connect/{token}").status_code == 404
    invited = connecting.invite(desk.installation, desk.team_id, desk.members["admin"], "gmail")
    assert desk.get(f"/connect/crm/{invited.url.rpartition('/')[2]}").status_code == 404
    assert desk.get("/connect/crm/unknown/callback?state=x").status_code == 404


def test_who_is_no_administrator_any_more_connects_nothing(desk: Desk) -> None:
    back = desk.consent(desk.invite())
    with desk.installation.database.for_team(desk.team_id) as connection:
        connection.execute(sa.text("UPDATE member SET role = 'member' WHERE email = 'ada@northwind.test'"))
    assert desk.get(back).status_code == 403
    assert desk.connections() == []


def test_a_consent_by_which_another_team_lives_is_not_revoked(
    desk: Desk, team: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, revoke = [], desk.pipedrive.grants.revoke
    monkeypatch.setattr(desk.pipedrive.grants, "revoke", lambda call: asked.append(call) or revoke(call))
    desk.get(desk.consent(desk.invite()))
    other = team("Southwind")
    installation = desk.installation
    with installation.database.for_team(other) as connection:
        row = crm.add_connection(connection, other, "pipedrive", desk.pipedrive.company)
    connecting_crm.disconnect(installation, desk.team_id)
    assert desk.connections()[0][2] == "disconnected"
    assert asked == []
    with installation.database.for_team(other) as connection:
        connection.execute(sa.text("DELETE FROM crm_connection WHERE id = :id"), {"id": row})
    desk.get(desk.consent(desk.invite()))
    connecting_crm.disconnect(installation, desk.team_id)
    assert len(asked) == 1


def test_a_crm_that_does_not_answer_is_disconnected_and_asked_for_the_rest_all_the_same(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, revoke = [], desk.pipedrive.grants.revoke
    monkeypatch.setattr(desk.pipedrive.grants, "revoke", lambda call: asked.append(call) or revoke(call))
    desk.get(desk.consent(desk.invite()))
    installation = desk.installation
    (held,) = installation.crm_connections(desk.team_id)
    jobs.subscribe_crm(installation, desk.team_id, held.id)
    desk.pipedrive.fault("server_error", count=-1, operation="deleteWebhook")
    connecting_crm.disconnect(installation, desk.team_id)
    assert (desk.connections()[0][2], len(asked)) == ("disconnected", 1)
    with installation.database.for_team(desk.team_id) as connection:
        assert crm.connections(connection)[0].ciphertext is None
        trail = connection.execute(sa.text("SELECT detail FROM audit WHERE action = 'disconnect_crm'")).scalar_one()
    assert trail == {"adapter": "pipedrive", "errors": ["Unavailable"]}


def test_links_by_hand_go_to_the_crm_that_is_connected_now(desk: Desk) -> None:
    desk.get(desk.consent(desk.invite()))
    database = desk.installation.database
    with database.for_team(desk.team_id) as connection:
        first = crm.item_ref(connection, "deal", "7").connection_id
    connecting_crm.disconnect(desk.installation, desk.team_id)
    with database.for_team(desk.team_id) as connection:
        assert crm.item_ref(connection, "deal", "7").connection_id == first
    connecting_crm.connect_embedded(desk.installation, desk.team_id)
    with database.for_team(desk.team_id) as connection:
        assert crm.item_ref(connection, "deal", "7").connection_id != first
        for kind, external_id in (("person", "7"), ("deal", ""), ("deal", "x" * 201), ("deal", "a\nb")):
            with pytest.raises(NotFound):
                crm.item_ref(connection, kind, external_id)
