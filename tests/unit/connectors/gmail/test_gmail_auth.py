"""What the token endpoint may answer, one call at a time."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import responses

from app.errors import AccessRevoked, Unavailable
from app.testing.fakes import MemoryCredentials, SteppedClock
from connectors.mail.gmail.auth import GmailAuth, json_segment, unverified_claims
from connectors.mail.gmail.settings import load

TOKEN_URL = "https://oauth2.googleapis.com/token"
REVOKE_URL = "https://oauth2.googleapis.com/revoke"
SCOPE = "https://www.googleapis.com/auth/gmail.readonly"


def id_token(**claims: Any) -> str:
    shown = {"iss": "https://accounts.google.com", "aud": "client", "sub": "117", **claims}
    return f"e30.{base64.urlsafe_b64encode(json.dumps(shown).encode()).decode().rstrip('=')}.c2ln"


def answer(**changed: Any) -> dict[str, Any]:
    given = {"access_token": "a", "refresh_token": "r", "expires_in": 3599, "scope": f"openid {SCOPE}"}
    whole = {**given, "id_token": id_token(), **changed}
    return {name: value for name, value in whole.items() if value is not None}


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def auth(clock: SteppedClock) -> GmailAuth:
    return GmailAuth(load({"GMAIL_CLIENT_ID": "client", "GMAIL_CLIENT_SECRET": "secret"}), clock)


def exchange(auth: GmailAuth) -> dict[str, Any]:
    consent = auth.exchange("https://threadlink.test/back", {"code": "c"}, {"verifier": "v"})
    return {"user_id": consent.user_id, **consent.secrets}


@responses.activate
def test_a_whole_answer_is_kept(auth: GmailAuth, clock: SteppedClock) -> None:
    responses.post(TOKEN_URL, json=answer())
    kept = exchange(auth)
    assert (kept["user_id"], kept["sub"], kept["access_token"], kept["refresh_token"]) == ("117", "117", "a", "r")
    assert kept["expires_at"] == clock.now().timestamp() + 3599


@responses.activate
def test_a_consent_limited_in_time_says_until_when(auth: GmailAuth, clock: SteppedClock) -> None:
    responses.post(TOKEN_URL, json=answer(refresh_token_expires_in=604_800))
    assert exchange(auth)["consent_expires_at"] == clock.now().timestamp() + 604_800


@pytest.mark.parametrize(
    "given",
    [
        {},
        [],
        None,
        answer(access_token=None),
        answer(access_token=7),
        answer(refresh_token=None),
        answer(id_token=None),
        answer(id_token="nonsense"),
        answer(id_token=id_token(aud="another client")),
        answer(id_token=id_token(iss="https://evil.test")),
        answer(id_token=id_token(sub="")),
    ],
    ids=lambda given: str(given)[:60],
)
@responses.activate
def test_half_an_answer_connects_nobody(auth: GmailAuth, given: object) -> None:
    responses.post(TOKEN_URL, json=given)
    with pytest.raises(Unavailable):
        exchange(auth)


@pytest.mark.parametrize("scope", ["", "openid", f"{SCOPE}.other", None])
@responses.activate
def test_a_scope_that_is_missing_is_named(auth: GmailAuth, scope: str | None) -> None:
    responses.post(TOKEN_URL, json=answer(scope=scope))
    with pytest.raises(AccessRevoked):
        exchange(auth)


@pytest.mark.parametrize("lasts_s", [None, "3599", -1, 0, 60])
@responses.activate
def test_a_token_that_does_not_say_how_long_is_used_once(auth: GmailAuth, lasts_s: object) -> None:
    responses.post(TOKEN_URL, json=answer(expires_in=lasts_s, refresh_token=None))
    credentials = MemoryCredentials({"refresh_token": "r"})
    auth.access_token(credentials)
    auth.access_token(credentials)
    assert len(responses.calls) == 2
    assert credentials.read()["refresh_token"] == "r"


def test_without_a_lasting_token_access_has_ended(auth: GmailAuth) -> None:
    with pytest.raises(AccessRevoked):
        auth.access_token(MemoryCredentials({}))


@responses.activate
def test_the_token_that_was_refused_is_not_given_again(auth: GmailAuth, clock: SteppedClock) -> None:
    responses.post(TOKEN_URL, json=answer(access_token="new"))
    soon = clock.now().timestamp() + 3_000
    credentials = MemoryCredentials({"access_token": "old", "expires_at": soon, "refresh_token": "r"})
    assert auth.access_token(credentials) == "old"
    assert auth.access_token(credentials, refused="old") == "new"
    assert auth.access_token(credentials, refused="old") == "new"  # somebody else has refreshed meanwhile
    assert len(responses.calls) == 1


@pytest.mark.parametrize("status", [200, 400])
@responses.activate
def test_a_consent_that_has_ended_already_may_be_ended(auth: GmailAuth, status: int) -> None:
    responses.post(REVOKE_URL, status=status)
    auth.revoke(MemoryCredentials({"refresh_token": "r"}))
    assert responses.calls[0].request.body == "token=r"


@responses.activate
def test_an_end_that_google_does_not_confirm_is_tried_again(auth: GmailAuth) -> None:
    responses.post(REVOKE_URL, status=503)
    with pytest.raises(Unavailable):
        auth.revoke(MemoryCredentials({"refresh_token": "r"}))


@responses.activate
def test_without_a_consent_there_is_nothing_to_end(auth: GmailAuth) -> None:
    auth.revoke(MemoryCredentials({}))
    assert len(responses.calls) == 0


@pytest.mark.parametrize("token", ["", "a.b", "a.!!.c", "a.bnVsbA.c", "a." + "W" * 30_000 + ".c"])
def test_a_token_that_cannot_be_read_claims_nothing(token: str) -> None:
    assert unverified_claims(token) == {}


def test_a_deep_segment_is_no_object() -> None:
    assert json_segment(base64.urlsafe_b64encode(b"[" * 100_000).decode()) == {}
