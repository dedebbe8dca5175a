"""Signing in with Google and Microsoft over the wire: who is known, who becomes known, and who stays outside."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import api_keys, members, signing_in
from app.acting import Acting
from app.bootstrap import sign_in_issuers
from app.errors import Conflict, NotFound
from app.installation import Installation
from app.oidc import Identity
from app.settings import Settings
from app.store import identities, teams
from app.store.database import Database
from connectors.mail.gmail.simulator import GmailSimulator
from connectors.mail.graph.simulator import GraphSimulator
from connectors.mail.graph.simulator_login import TENANT_ID
from tests.integration.building import ADA, BEA, CAN, DAN, EVE, Office
from tests.integration.web.conftest import ORIGIN, StoppedClock

pytestmark = pytest.mark.integration

OWN = {"Origin": ORIGIN}
NINA = "nina@northwind.test"


@dataclass
class Issuers:
    """Google and Microsoft, with the same people at both."""

    google: GmailSimulator
    microsoft: GraphSimulator
    settings: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> GmailSimulator | GraphSimulator:
        return self.google if name == "google" else self.microsoft


@pytest.fixture
def issuers(clock: StoppedClock) -> Iterator[Issuers]:
    made = Issuers(GmailSimulator(), GraphSimulator())
    for simulator in (made.google, made.microsoft):
        made.settings |= {k: v for k, v in simulator.start(clock).items() if k.startswith("SIGN_IN_")}
        for address in (ADA, CAN, NINA, BEA, "nina@gmail.com"):
            simulator.add_mailbox(address)
    yield made
    made.google.stop()
    made.microsoft.stop()


@pytest.fixture
def installation(installation: Installation, issuers: Issuers, clock: StoppedClock) -> Installation:
    settings = Settings(public_base_url=ORIGIN, _env_file=None, **issuers.settings)  # type: ignore[call-arg, arg-type]  # pydantic's own
    return replace(installation, issuers=sign_in_issuers(settings, clock))


@pytest.fixture
def office(database: Database, team: Callable[..., int]) -> Office:
    """Ada, Can and Eve are members, Dan is their administrator."""
    made = Office(database, team("Northwind"))
    made.mailbox(ADA)
    for email in (CAN, EVE):
        made.member(email)
    made.member(DAN, "admin")
    return made


@dataclass
class Visitor:
    """A browser that goes to an issuer and comes back."""

    client: FlaskClient
    issuers: Issuers

    def post(self, path: str, **form: object) -> TestResponse:
        return self.client.post(path, data=form, headers=OWN)

    def there(self, path: str, issuer: str, address: str) -> str:
        """Begin with a form; return the path the issuer sends the browser back to."""
        answer = self.post(path)
        assert answer.status_code == 303, answer.status_code
        back = urlsplit(self.issuers[issuer].consent(answer.headers["Location"], address))
        return f"{back.path}?{back.query}"

    def sign_in(self, issuer: str = "google", address: str = NINA) -> TestResponse:
        return self.client.get(self.there(f"/sign-in/{issuer}/start", issuer, address))

    def by_link(self, installation: Installation, office: Office, email: str) -> Visitor:
        link = signing_in.invite(installation, office.team_id, office.members[email])
        self.post(urlsplit(link.url).path)
        return self

    @property
    def is_in(self) -> bool:
        return self.client.get("/preferences").status_code == 200

    @property
    def cookie(self) -> str:
        held = self.client.get_cookie("__Host-threadlink-member", domain="threadlink.test")
        return held.value if held else ""


@pytest.fixture
def visitor(app: Flask, issuers: Issuers) -> Callable[[], Visitor]:
    return lambda: Visitor(app.test_client(), issuers)


def invite(office: Office, email: str = NINA, name: str = "Nina", role: str = "member") -> str:
    """Invite as the administrator; return the path of the link."""
    with office.database.for_team(office.team_id) as connection:
        sent = members.invite(connection, office.acting(DAN), name, email, role)  # type: ignore[arg-type]  # both are
    return f"/invitation/{sent.token}"


def member(office: Office, email: str) -> teams.Member | None:
    with office.database.for_team(office.team_id) as connection:
        return next((each for each in teams.members(connection) if each.email == email), None)


@pytest.mark.parametrize("issuer", ["google", "microsoft"])
def test_an_invitation_makes_a_member_who_is_known_again(
    visitor: Callable[[], Visitor], office: Office, issuer: str
) -> None:
    link, nina = invite(office, role="admin"), visitor()
    page = nina.client.get(link).get_data(as_text=True)
    assert "Join Northwind" in page
    assert "Dan invited Nina" in page
    assert member(office, NINA) is None  # looking, as a scanner does, makes nobody
    answer = nina.client.get(nina.there(f"{link}/{issuer}", issuer, "nina@gmail.com"))
    assert answer.headers["Location"] == "/inbox"
    made = member(office, NINA)
    assert made is not None
    assert (made.name, made.role) == ("Nina", "admin")
    assert visitor().client.get(link).status_code == 404  # it worked once
    before = nina.cookie
    assert nina.sign_in(issuer, "nina@gmail.com").headers["Location"] == "/inbox"
    assert nina.cookie != before  # a new id with each sign-in, and the old one ended
    old = visitor()
    old.client.set_cookie("__Host-threadlink-member", before, domain="threadlink.test", secure=True)
    assert (nina.is_in, old.is_in) == (True, False)
    assert visitor().sign_in("microsoft" if issuer == "google" else "google", "nina@gmail.com").status_code == 403


def test_an_address_that_is_a_members_gets_nobody_in(visitor: Callable[[], Visitor], office: Office) -> None:
    for issuer in ("google", "microsoft"):
        answer = visitor().sign_in(issuer, ADA)
        assert answer.status_code == 403
        assert "Ask your administrator for an invitation." in answer.get_data(as_text=True)
    assert "Google" in visitor().client.get("/sign-in").get_data(as_text=True)


def test_a_state_is_good_once_for_its_browser_its_issuer_and_ten_minutes(
    visitor: Callable[[], Visitor], office: Office, clock: StoppedClock
) -> None:
    link, nina, victim = invite(office), visitor(), visitor()
    victim.there("/sign-in/google/start", "google", NINA)  # a browser that is known, and has begun something else
    path = f"{link}/google"
    for spoilt in (
        visitor().client.get,
        victim.client.get,  # begun by an attacker, opened by a victim (W6)
        lambda back: nina.client.get(
            back.replace("/google/", "/microsoft/").replace("&iss=", "&was=")
        ),  # mixed up (W8)
        lambda back: nina.client.get(re.sub("state=[^&]+", "state=forged", back)),
        lambda back: nina.client.get(re.sub("state=[^&]+", "", back)),
        lambda back: nina.client.get(re.sub("iss=[^&]+", "iss=https://evil.test", back)),
        lambda back: nina.client.get(re.sub("code=[^&]+", "code=guessed", back)),
        lambda back: nina.client.get(re.sub("code=[^&]+", "error=access_denied", back)),
        lambda back: (clock.advance(timedelta(minutes=10)), nina.client.get(back))[1],
    ):
        assert spoilt(nina.there(path, "google", NINA)).status_code in (403, 404)
    mixed_up = nina.there(path, "google", NINA).replace("/google/", "/microsoft/")
    assert nina.client.get(mixed_up).status_code == 404  # before anybody asks Microsoft
    used = nina.there(path, "google", NINA)
    assert nina.client.get(used).status_code == 303
    assert nina.client.get(used).status_code == 404
    other = nina.there("/sign-in/google/start", "google", NINA)
    code = dict(parse_qsl(urlsplit(used).query))["code"]
    replayed = nina.client.get(re.sub("code=[^&]+", f"code={code}", other))
    assert (replayed.status_code, "could not be verified" in replayed.get_data(as_text=True)) == (403, True)


def test_another_site_begins_no_sign_in(visitor: Callable[[], Visitor], office: Office) -> None:
    for path in ("/sign-in/google/start", f"{invite(office)}/google"):
        assert visitor().client.post(path, headers={"Origin": "https://evil.test"}).status_code == 403
    for path in ("/sign-in/nobody/start", "/invitation/x/google"):
        assert visitor().post(path).status_code == 404
    assert visitor().post("/preferences/sign-in/google").headers["Location"] == "/sign-in"


def test_a_member_adds_and_removes_what_they_sign_in_with(
    visitor: Callable[[], Visitor], installation: Installation, office: Office
) -> None:
    ada, can = (visitor().by_link(installation, office, email) for email in (ADA, CAN))
    assert (
        ada.client.get(ada.there("/preferences/sign-in/google", "google", BEA)).headers["Location"].endswith("=bound")
    )
    assert visitor().sign_in("google", BEA).status_code == 303
    answer = can.client.get(can.there("/preferences/sign-in/google", "google", BEA))
    assert (answer.status_code, "Choose another account" in answer.get_data(as_text=True)) == (409, True)
    began = ada.there("/preferences/sign-in/microsoft", "microsoft", BEA)
    ada.by_link(installation, office, CAN)  # somebody else at the same browser meanwhile
    assert ada.client.get(began).status_code == 404
    ada.by_link(installation, office, ADA)
    page = ada.client.get("/preferences/sign-in").get_data(as_text=True)
    assert BEA in page
    (unbind,) = re.findall(r'action="(/preferences/sign-in/[^"]+/unbind)"', page)
    assert can.post(unbind).status_code == 404
    assert ada.post(unbind).headers["Location"].endswith("=unbound")
    assert visitor().sign_in("google", BEA).status_code == 403


def test_an_identity_that_two_bind_at_the_same_moment_is_one_members(office: Office) -> None:
    shared, outcomes = Identity("google", "17", "", "Nina", NINA), list[str]()

    def bind(email: str) -> None:
        try:
            with office.database.for_team(office.team_id) as connection:
                members.bind(connection, office.acting(email), shared)
            outcomes.append("bound")
        except Conflict as error:
            outcomes.append(error.reason)

    second = threading.Thread(target=bind, args=[CAN])
    with office.database.for_team(office.team_id) as connection:
        members.bind(connection, office.acting(ADA), shared)
        second.start()
        second.join(0.3)  # it waits for what becomes of Ada's
        assert outcomes == []
    second.join()
    assert outcomes == ["identity_in_use"]
    bind(ADA)  # once more changes nothing
    assert outcomes == ["identity_in_use", "bound"]
    assert [row.member_id for row in office.rows("SELECT member_id FROM audit WHERE action = 'bind_identity'")] == [
        office.members[ADA].id
    ]


def test_who_was_removed_has_nothing_left(
    visitor: Callable[[], Visitor], installation: Installation, office: Office, clock: StoppedClock
) -> None:
    ada = visitor().by_link(installation, office, ADA)
    ada.client.get(ada.there("/preferences/sign-in/google", "google", ADA))
    link = urlsplit(signing_in.invite(installation, office.team_id, office.members[ADA]).url).path
    with office.database.for_team(office.team_id) as connection:
        acting = Acting(office.team_id, office.members[ADA], clock.now())
        _, key = api_keys.make(connection, acting, "CRM", may_write=True)
        teams.configure(connection, domains=["northwind.test"])
        identities.set_joining(connection, office.team_id, "google", "northwind.test", may_join=True, now=clock.now())
        members.remove(connection, office.acting(DAN), office.members[ADA].public_id)
    assert not ada.is_in
    assert visitor().post(link).status_code == 404
    asked = {"Authorization": f"Bearer {key}"}
    assert visitor().client.get("/api/v1/accounts", headers=asked).status_code == 401
    assert visitor().sign_in("google", ADA).status_code == 403  # not by an organization that joins either
    assert office.rows("SELECT paused FROM account")[0].paused
    # The same address makes somebody new, who gets none of the old mail; the same identity brings the person back.
    new = visitor()
    new.client.get(new.there(f"{invite(office, ADA, 'Ada')}/microsoft", "microsoft", ADA))
    made = member(office, ADA)
    assert made is not None
    assert made.id != office.members[ADA].id
    old = visitor()
    old.client.get(old.there(f"{invite(office, NINA, 'Ada')}/google", "google", ADA))
    back = member(office, NINA)
    assert back is not None
    assert back.id == office.members[ADA].id
    assert not ada.is_in


def test_an_organization_joins_only_when_its_own_administrator_let_it(
    visitor: Callable[[], Visitor], installation: Installation, office: Office
) -> None:
    with office.database.for_team(office.team_id) as connection:
        by = office.acting(DAN)
        with pytest.raises(NotFound):  # Dan has shown no account of that organization
            members.set_joining(connection, by, "google", "northwind.test", may_join=True)
    dan = visitor().by_link(installation, office, DAN)
    dan.client.get(dan.there("/preferences/sign-in/google", "google", CAN))
    dan.client.get(dan.there("/preferences/sign-in/microsoft", "microsoft", CAN))
    assert visitor().sign_in("google", NINA).status_code == 403
    for issuer, organization in (("google", "northwind.test"), ("microsoft", TENANT_ID)):
        form = {"issuer": issuer, "organization": organization, "may_join": "on"}
        assert dan.post("/settings/members/joining", **form).status_code == 303
    assert visitor().sign_in("google", NINA).headers["Location"] == "/inbox"
    made = member(office, NINA)
    assert made is not None
    assert (made.role, made.name) == ("member", "Nina")
    assert visitor().sign_in("google", NINA).status_code == 303
    assert visitor().sign_in("google", ADA).status_code == 403  # somebody has that address
    assert visitor().sign_in("microsoft", BEA).status_code == 403  # of the tenant, with an address elsewhere
    assert visitor().sign_in("google", "nina@gmail.com").status_code == 403  # of no organization
    dan.post("/settings/members/joining", issuer="google", organization="northwind.test")
    assert "need an invitation" in dan.client.get("/settings/members").get_data(as_text=True)


def test_who_belongs_to_two_teams_says_which(
    visitor: Callable[[], Visitor], office: Office, team: Callable[..., int]
) -> None:
    other = Office(office.database, team("Brightwater"))
    other.member(DAN, "admin")
    third = Office(office.database, team("Acme"))
    nina = visitor()
    for each in (office, other):
        nina.client.get(nina.there(f"{invite(each)}/google", "google", NINA))
    nina = visitor()
    page = nina.sign_in("google", NINA).get_data(as_text=True)
    ids = dict(re.findall(r'name="team" value="([^"]+)">([^<]+)<', page))
    assert sorted(ids.values()) == ["Brightwater", "Northwind"]
    (state,) = re.findall(r'name="state" value="([^"]+)"', page)
    chosen = next(key for key, name in ids.items() if name == "Brightwater")
    assert visitor().post("/sign-in/google/choose", state=state, team=chosen).status_code == 404
    assert nina.post("/sign-in/google/choose", state=state, team=chosen).headers["Location"] == "/inbox"
    assert "Brightwater" in nina.client.get("/preferences").get_data(as_text=True)
    assert nina.post("/sign-in/google/choose", state=state, team=chosen).status_code == 404
    again = visitor()
    (state,) = re.findall(r'name="state" value="([^"]+)"', again.sign_in("google", NINA).get_data(as_text=True))
    assert again.client.get(f"/sign-in/google/callback?state={state}&code=x").status_code == 404
    (state,) = re.findall(r'name="state" value="([^"]+)"', again.sign_in("google", NINA).get_data(as_text=True))
    with third.database.for_team(third.team_id) as connection:
        foreign = teams.team(connection)
    assert foreign is not None
    assert again.post("/sign-in/google/choose", state=state, team=foreign.public_id).status_code == 403


def test_an_issuer_that_does_not_answer_is_said_to(visitor: Callable[[], Visitor], issuers: Issuers) -> None:
    issuers.google.fault("token_endpoint_down")
    answer = visitor().sign_in("google", NINA)
    assert (answer.status_code, "does not answer now" in answer.get_data(as_text=True)) == (503, True)
    issuers.google.fault("invalid_client")
    assert visitor().sign_in("google", NINA).status_code == 502
