"""OpenID Connect with one issuer: only its own, fresh, well-signed answer to our question names anybody."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import responses

from app.errors import ApplicationMisconfigured, IssuerUnavailable, NotAllowed
from app.oidc import Identity, Issuer, OpenIdClient, _Document
from app.testing.fakes import SteppedClock
from connectors.simulated_keys import Signer

TENANT, OTHER_TENANT = "5d3b2f10-6a0e-4d0a-9a8b-0c1d2e3f4a5b", "00000000-0000-4000-8000-000000000001"
PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
METADATA, KEYS, TOKEN = "https://id.test/metadata", "https://id.test/keys", "https://id.test/token"
BACK = "https://threadlink.test/sign-in/one/callback"


@dataclass
class World:
    """One issuer, and what it answers."""

    http: responses.RequestsMock
    client: OpenIdClient
    clock: SteppedClock
    issuer: str
    named: dict[str, str]
    signer: Signer = field(default_factory=Signer)

    def claims(self, nonce: str) -> dict[str, Any]:
        now = int(self.clock.now().timestamp())
        issuer = self.issuer.replace("{tenantid}", TENANT)
        return {"iss": issuer, "aud": "us", "nonce": nonce, "iat": now, "exp": now + 3600, "name": "Ada", **self.named}

    def come_back(self, *, args: dict[str, str] | None = None, header: Any = None, **claims: Any) -> Identity:
        """Sign in; `claims` replace those of the token, None leaves one out."""
        asked = self.client.authorize(BACK, "state")
        token = {
            key: value for key, value in {**self.claims(asked.kept["nonce"]), **claims}.items() if value is not None
        }
        answer = {"id_token": self.signer.sign(token, **(header or {})), "access_token": "a", "token_type": "Bearer"}
        self.http.upsert(responses.POST, TOKEN, json=answer)
        return self.client.identify(BACK, {"code": "c", **(args or {})}, dict(asked.kept))

    @property
    def codes_sent(self) -> int:
        return sum(call.request.url == TOKEN for call in self.http.calls)

    def publish(self, **more: Any) -> None:
        document = {"issuer": self.issuer, "authorization_endpoint": "https://id.test/auth", "token_endpoint": TOKEN}
        self.http.upsert(responses.GET, METADATA, json={**document, "jwks_uri": KEYS, **more})
        self.http.upsert(responses.GET, KEYS, json=self.signer.key_set())


def _world(http: responses.RequestsMock, issuer: str, subject: tuple[str, ...], named: dict[str, str]) -> World:
    clock = SteppedClock()
    client = OpenIdClient(
        Issuer("one", METADATA, "us", "secret", subject, "hd" if subject == ("sub",) else "tid", PERSONAL_TENANT), clock
    )
    made = World(http, client, clock, issuer, named)
    made.publish()
    return made


@pytest.fixture
def http() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        yield mocked


@pytest.fixture
def world(http: responses.RequestsMock) -> World:
    """An issuer like Google."""
    return _world(http, "https://id.test", ("sub",), {"sub": "17"})


@pytest.fixture
def tenants(http: responses.RequestsMock) -> World:
    """An issuer like Entra: many tenants, each with an issuer of its own."""
    return _world(http, "https://id.test/{tenantid}/v2.0", ("tid", "oid"), {"sub": "p", "tid": TENANT, "oid": "9"})


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(NotAllowed) as caught:
        act()
    return caught.value.reason


def test_the_way_there_carries_pkce_a_nonce_and_no_secret(world: World) -> None:
    asked = world.client.authorize(BACK, "the state")
    query = {name: values[0] for name, values in parse_qs(urlsplit(asked.url).query).items()}
    assert asked.url.startswith("https://id.test/auth?")
    assert query["code_challenge_method"] == "S256"
    assert query["code_challenge"] != asked.kept["verifier"]
    assert (query["state"], query["nonce"], query["redirect_uri"]) == ("the state", asked.kept["nonce"], BACK)
    assert "secret" not in asked.url
    assert world.client.authorize(BACK, "x").kept["nonce"] != asked.kept["nonce"]


def test_a_person_is_named_by_the_claims_that_never_change(world: World) -> None:
    ada = world.come_back(email="ada@northwind.test", email_verified=True, hd="northwind.test")
    assert ada == Identity("one", "17", "northwind.test", "Ada", "ada@northwind.test")
    asked = parse_qs(next(str(call.request.body) for call in world.http.calls if call.request.url == TOKEN))
    assert {"code", "code_verifier", "redirect_uri", "client_secret"} <= asked.keys()
    assert world.come_back(email="ceo@victim.test", email_verified=False).address == ""


def test_a_person_of_a_tenant_is_named_by_tenant_and_object(tenants: World) -> None:
    bob = tenants.come_back(email="ceo@victim.test", preferred_username="bob@contoso.test")
    assert bob == Identity("one", f"{TENANT}/9", TENANT, "Ada", "bob@contoso.test")


def test_a_personal_account_is_of_no_organization(tenants: World) -> None:
    eve = tenants.come_back(tid=PERSONAL_TENANT, iss=f"https://id.test/{PERSONAL_TENANT}/v2.0")
    assert (eve.subject, eve.organization) == (f"{PERSONAL_TENANT}/9", "")


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": "somebody else"},
        {"aud": ["us", "somebody else"]},
        {"aud": ["us", "somebody else"], "azp": "somebody else"},
        {"aud": "somebody else", "azp": "us"},
        {"azp": "somebody else"},
        {"iss": "https://evil.test"},
        {"iss": None},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"iat": 4_000_000_000},
        {"nbf": 4_000_000_000},
        {"sub": None},
        {"sub": 17},
        {"sub": "x" * 300},
        {"header": {"alg": "none"}},
        {"header": {"alg": "HS256"}},
        {"header": {"kid": "nobody's"}},
        {"header": {"kid": None}},
        {"at_hash": "of another token"},
    ],
    ids=str,
)
def test_a_token_that_is_not_the_answer_to_our_question_names_nobody(world: World, wrong: dict[str, Any]) -> None:
    assert refusal(lambda: world.come_back(**wrong)) == "sign_in_not_proven"
    assert world.come_back().subject == "17"


def test_a_token_that_somebody_else_signed_names_nobody(world: World) -> None:
    world.come_back()
    forger = Signer()
    forger.number = 7
    real, world.signer = world.signer, forger
    assert refusal(lambda: world.come_back(header={"kid": real.key_id})) == "sign_in_not_proven"


@pytest.mark.parametrize(
    "wrong",
    [
        {"tid": OTHER_TENANT},
        {"tid": None},
        {"tid": "evil"},
        {"oid": None},
        {"iss": f"https://id.test/{OTHER_TENANT}/v2.0"},
        {"iss": "https://id.test/{tenantid}/v2.0"},
        {"iss": "https://id.test/evil/v2.0", "tid": "evil"},
    ],
    ids=str,
)
def test_a_tenant_speaks_for_itself_alone(tenants: World, wrong: dict[str, Any]) -> None:
    assert refusal(lambda: tenants.come_back(**wrong)) == "sign_in_not_proven"


def test_a_key_signs_for_its_own_tenant_alone(tenants: World) -> None:
    keys = [{**key, "issuer": f"https://id.test/{OTHER_TENANT}/v2.0"} for key in tenants.signer.key_set()["keys"]]
    tenants.http.upsert(responses.GET, KEYS, json={"keys": keys})
    assert refusal(tenants.come_back) == "sign_in_not_proven"


@pytest.mark.parametrize("args", [{"iss": "https://evil.test"}, {}], ids=["another issuer", "no issuer"])
def test_the_code_of_another_issuer_is_sent_nowhere(world: World, args: dict[str, str]) -> None:
    world.publish(authorization_response_iss_parameter_supported=True)
    assert refusal(lambda: world.come_back(args=args)) == "sign_in_not_proven"
    assert world.codes_sent == 0
    assert world.come_back(args={"iss": "https://id.test"}).subject == "17"


def test_who_says_no_is_told_so(world: World) -> None:
    assert refusal(lambda: world.come_back(args={"error": "access_denied"})) == "sign_in_declined"
    assert world.codes_sent == 0


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"status": 400, "json": {"error": "invalid_grant"}}, NotAllowed),
        ({"status": 401, "json": {"error": "invalid_client"}}, ApplicationMisconfigured),
        ({"status": 503, "body": "<html>"}, IssuerUnavailable),
        ({"status": 200, "body": "<html>"}, IssuerUnavailable),
        ({"status": 200, "json": []}, IssuerUnavailable),
        ({"status": 200, "json": {"access_token": "a"}}, NotAllowed),
        ({"status": 200, "body": "x" * 1_000_001}, IssuerUnavailable),
        ({"status": 302, "headers": {"Location": "https://evil.test"}}, IssuerUnavailable),
        ({"body": requests.ConnectionError()}, IssuerUnavailable),
    ],
    ids=str,
)
def test_what_the_token_endpoint_may_answer(world: World, answer: dict[str, Any], expected: type[Exception]) -> None:
    asked = world.client.authorize(BACK, "state")
    world.http.add(responses.POST, TOKEN, **answer)
    with pytest.raises(expected):
        world.client.identify(BACK, {"code": "c"}, dict(asked.kept))


def test_metadata_and_keys_are_kept_for_a_day_and_longer_when_the_issuer_is_down(world: World) -> None:
    world.come_back()
    world.come_back()
    assert [call.request.url for call in world.http.calls].count(METADATA) == 1
    for url in (METADATA, KEYS):
        world.http.upsert(responses.GET, url, status=503)
    world.clock.step(days=2)
    assert world.come_back().subject == "17"


def test_nobody_signs_in_while_there_were_never_any_keys(world: World) -> None:
    world.http.upsert(responses.GET, KEYS, status=503)
    with pytest.raises(IssuerUnavailable):
        world.come_back()
    world.publish()
    assert world.come_back().subject == "17"


def test_who_wait_for_the_first_document_take_what_one_of_them_got(monkeypatch: pytest.MonkeyPatch) -> None:
    fetches, asked, lock = [], threading.Semaphore(0), threading.Lock()

    def fetch() -> dict[str, Any]:
        fetches.append(1)
        assert all(asked.acquire(timeout=20) for _ in range(3))  # everybody is here before there is an answer
        raise requests.ConnectionError

    @dataclass
    class Door:
        release: Callable[[], None] = lock.release

        def acquire(self, *, blocking: bool) -> bool:
            asked.release()
            return lock.acquire(blocking=blocking)

    document = _Document(fetch, SteppedClock())
    monkeypatch.setattr(document, "_fetching", Door())
    with ThreadPoolExecutor(3) as threads:
        assert [each.result() for each in [threads.submit(document.fetch_again) for _ in range(3)]] == [False] * 3
    assert len(fetches) == 1


def test_a_new_key_is_looked_for_once_a_minute(world: World) -> None:
    world.come_back()
    world.signer.rotate()
    world.publish()
    assert refusal(world.come_back) == "sign_in_not_proven"  # asked within the minute
    world.clock.step(minutes=2)
    assert world.come_back().subject == "17"
    assert [call.request.url for call in world.http.calls].count(KEYS) == 2


def test_an_address_that_is_not_https_is_not_asked(world: World) -> None:
    world.publish(token_endpoint="http://id.test/token")
    with pytest.raises(IssuerUnavailable):
        world.come_back()
    assert world.codes_sent == 0
