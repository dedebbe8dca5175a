"""Calls of the Gmail add-on: only Google's own, for the very URL and our client; and the message that is open."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any

import pytest

from app.errors import NotificationForged, NotificationMalformed, ProviderError, VerificationUnavailable
from app.ports import AddonCall, AddonConnector, PushRequest
from connectors.mail.gmail.addon import OPEN_MESSAGE, WHO, api_id
from connectors.mail.gmail.simulator_addon import ADDON_CLIENT_ID, AddonClick, system_claims, user_claims
from connectors.simulated_keys import Signer
from tests.integration.gmail.conftest import ADDRESS, Gmail

pytestmark = pytest.mark.addon

URL = "https://threadlink.test/gmail/message"
# Google's own token, changed in one respect.
FORGED: list[dict[str, Any]] = [
    {"aud": "https://threadlink.test/gmail/home"},
    {"aud": "https://elsewhere.test/gmail/message"},
    {"iss": "https://accounts.elsewhere.test"},
    {"email": "service-2@gcp-sa-gsuiteaddons.iam.gserviceaccount.test"},
    {"email": ""},
    {"email_verified": False},
    {"iat": 0, "exp": 1},
    {"exp": True},
]


def request(gmail: Gmail, click: AddonClick | None = None, **claims: Any) -> PushRequest:
    headers, body = gmail.simulator.addon.call(URL, click or AddonClick(ADDRESS), **claims)
    return PushRequest("POST", {name.lower(): value for name, value in headers.items()}, {}, body)


def read(gmail: Gmail, click: AddonClick | None = None, **claims: Any) -> AddonCall:
    connector: AddonConnector = gmail.connector
    return connector.read_addon_call(request(gmail, click, **claims), URL)


def test_a_call_says_who_and_what(gmail: Gmail) -> None:
    message_id = gmail.deliver(1)
    fields = {"item": ["deal/d1"], "words": ["ışık"]}
    click = AddonClick(ADDRESS, message_id, {"c": "x"}, fields, locale="tr-TR", time_zone="Europe/Istanbul")
    call = read(gmail, click)
    assert (call.user_id, call.address, call.message_id) == ("1000000000000000001", ADDRESS, message_id)
    assert (call.locale, call.time_zone, call.missing) == ("tr-TR", "Europe/Istanbul", ())
    assert (call.parameters, call.inputs) == ({"c": "x"}, {"item": ("deal/d1",), "words": ("ışık",)})
    assert "simulated-lent" not in repr(call)


@pytest.mark.parametrize("claims", FORGED, ids=str)
def test_another_system_token_is_refused(gmail: Gmail, claims: dict[str, Any]) -> None:
    with pytest.raises(NotificationForged):
        read(gmail, **claims)


def test_a_token_that_google_did_not_sign_is_refused(gmail: Gmail) -> None:
    good = request(gmail)
    token = good.headers["authorization"].removeprefix("Bearer ")
    now = gmail.clock.now()
    forger = Signer()
    forger.number = 7_000
    header = base64.urlsafe_b64encode(b'{"alg":"none","kid":"simulated-key-0"}').rstrip(b"=").decode()
    hs256 = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"simulated-key-0"}').rstrip(b"=").decode()
    claims = token.split(".")[1]
    public = next(iter(gmail.simulator.signer.certificates().values())).encode()
    mac = base64.urlsafe_b64encode(hmac.digest(public, f"{hs256}.{claims}".encode(), hashlib.sha256)).decode()
    mailbox = gmail.simulator._mailboxes[ADDRESS]
    for wrong in (
        "",
        "Bearer",
        f"Basic {token}",
        f"Bearer {forger.sign(system_claims(URL, now), kid='simulated-key-0')}",
        f"Bearer {header}.{claims}.",
        f"Bearer {hs256}.{claims}.{mac.rstrip('=')}",
        f"Bearer {gmail.simulator.signer.sign(user_claims(mailbox, now))}",  # the person's token in Google's place
    ):
        forged = replace(good, headers={**good.headers, "authorization": wrong})
        with pytest.raises(NotificationForged):
            gmail.connector.read_addon_call(forged, URL)


@pytest.mark.parametrize(
    "claims",
    [{"aud": "other.apps.googleusercontent.test"}, {"sub": ""}, {"sub": 7}, {"exp": 1}, {"aud": URL}],
    ids=str,
)
def test_a_persons_token_of_another_application_is_refused(gmail: Gmail, claims: dict[str, Any]) -> None:
    good = request(gmail)
    event = json.loads(good.body)
    mine = user_claims(gmail.simulator._mailboxes[ADDRESS], gmail.clock.now())
    assert mine["aud"] == ADDON_CLIENT_ID
    event["authorizationEventObject"]["userIdToken"] = gmail.simulator.signer.sign({**mine, **claims})
    with pytest.raises(NotificationForged):
        gmail.connector.read_addon_call(replace(good, body=json.dumps(event).encode()), URL)


def test_without_settings_every_call_is_refused(gmail: Gmail) -> None:
    for name in ("GMAIL_ADDON_SERVICE_ACCOUNTS", "GMAIL_ADDON_CLIENT_ID"):
        connector = gmail.new_connector(**{name: ""})
        with pytest.raises(NotificationForged):
            connector.read_addon_call(request(gmail), URL)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 100_000, b"{}" + b" " * 300_000])
def test_a_body_that_is_no_event_is_malformed(gmail: Gmail, body: bytes) -> None:
    with pytest.raises(NotificationMalformed):
        gmail.connector.read_addon_call(replace(request(gmail), body=body), URL)


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"commonEventObject": [], "authorizationEventObject": 7, "gmail": "x"},
        {"commonEventObject": {"parameters": [1, {"key": "a"}], "formInputs": {"f": {"stringInputs": []}}}},
        {"gmail": {"messageId": "msg-a:r-1"}, "commonEventObject": {"userLocale": "en\x00"}},
    ],
    ids=str,
)
def test_an_event_of_another_shape_is_read_as_far_as_it_goes(gmail: Gmail, event: dict[str, Any]) -> None:
    call = gmail.connector.read_addon_call(replace(request(gmail), body=json.dumps(event).encode()), URL)
    assert (call.user_id, call.message_id, call.locale, call.missing) == ("", "", "", (WHO,))


def test_keys_at_hand_serve_while_google_is_down(gmail: Gmail) -> None:
    read(gmail)
    gmail.simulator.fault("certs_down", count=-1)
    gmail.clock.step(hours=25)
    assert read(gmail).user_id
    with pytest.raises(VerificationUnavailable):
        gmail.new_connector().read_addon_call(request(gmail), URL)


def test_what_was_not_allowed_is_said(gmail: Gmail) -> None:
    message_id = gmail.deliver(1)
    gmail.simulator.addon.withheld = frozenset({OPEN_MESSAGE})
    call = read(gmail, AddonClick(ADDRESS, message_id))
    assert (call.user_id != "", call.missing) == (True, (OPEN_MESSAGE,))
    with pytest.raises(ProviderError):
        gmail.connector.read_open_message(call)
    gmail.simulator.addon.withheld = frozenset({OPEN_MESSAGE, WHO})
    assert read(gmail).missing == (OPEN_MESSAGE, WHO)


def test_the_open_message_is_read_with_the_tokens_of_the_call(gmail: Gmail) -> None:
    first, second = gmail.deliver(1), gmail.deliver(2)
    call = read(gmail, AddonClick(ADDRESS, first))
    message = gmail.connector.read_open_message(call)
    assert message is not None
    assert (message.provider_id, message.text) == (first, "")
    assert ("Message-ID", "<m1@acme.test>") in message.headers
    with pytest.raises(ProviderError):  # those tokens open no other message
        gmail.connector.read_open_message(replace(call, message_id=second))
    gmail.simulator.delete(ADDRESS, first)
    assert gmail.connector.read_open_message(call) is None
    assert gmail.connector.read_open_message(replace(call, tokens={})) is None


def test_ids_of_the_add_on_are_those_of_the_api() -> None:
    assert api_id("msg-f:1839020948823205830") == "198583cf351be7c6"
    assert api_id("198583cf351be7c6") == "198583cf351be7c6"
    assert [api_id(odd) for odd in ("", "msg-a:r-5", "msg-f:x", "a/b", "a" * 65)] == [""] * 5
