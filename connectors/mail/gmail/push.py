"""Reads what Pub/Sub pushes: is it Google's, and which mailbox does it name. No mail API is called here.

What is pulled instead (pull.py) holds the same messages and is read by read_message().

The token is verified with Google's certificates, which are kept for a day. Keys that cannot be fetched again stay in
use; a key id nobody knows is looked for once a minute at most, whoever asks (threats.md W1). Vendor page:
cloud.google.com/pubsub/docs/authenticate-push-subscriptions
"""

from __future__ import annotations

import base64
import json
import math
import re
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from google.auth.crypt import RSAVerifier

from app.errors import NotificationForged, NotificationMalformed, ProviderError, VerificationUnavailable
from app.model import Notification
from app.ports import Clock, PushRequest
from connectors.http import OutgoingHttp
from connectors.mail.gmail.auth import GOOGLE_HOSTS, ISSUERS, json_segment
from connectors.mail.gmail.failures import PROVIDER
from connectors.mail.gmail.settings import GmailSettings

KEYS_LAST = timedelta(hours=24)
REFRESH_AT_MOST_EVERY = timedelta(seconds=60)
UNKNOWN_KEY_STAYS_UNKNOWN = timedelta(hours=1)
MAX_UNKNOWN_KEYS = 1_000
CLOCK_SKEW_S = 10
FETCH_TIMEOUT_S = 5.0  # Pub/Sub itself waits 10
LONGEST_TOKEN = 8_000
LONGEST_BODY = 100_000


class SigningKeys:
    """Google's signing keys: at most one fetch a minute, and old keys rather than none."""

    def __init__(self, fetch: Callable[[], Mapping[str, str]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, RSAVerifier] = {}
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._unknown: dict[str, datetime] = {}
        self._fetching = threading.Lock()

    def find(self, key_id: str) -> RSAVerifier | None:
        """Return the key, or None when Google does not know it. Raises VerificationUnavailable without any keys."""
        now = self._clock.now()
        known = self._keys.get(key_id)
        is_old = self._fetched_at is None or abs(now - self._fetched_at) > KEYS_LAST
        if known is not None and not is_old:
            return known
        if known is not None or not self._is_known_unknown(key_id, now):
            self._refresh(now)
        if not self._keys:
            raise VerificationUnavailable("Google's signing keys could not be fetched")
        found = self._keys.get(key_id)
        if found is None:
            self._remember_unknown(key_id, now)
        return found

    def _refresh(self, now: datetime) -> None:
        # With keys at hand nobody waits for the one thread that fetches; without any, everybody must.
        if not self._fetching.acquire(blocking=not self._keys):
            return
        try:
            if self._tried_at is not None and abs(now - self._tried_at) < REFRESH_AT_MOST_EVERY:
                return
            self._tried_at = now
            keys = {key_id: _verifier(pem) for key_id, pem in self._fetch().items()}
            if keys:
                self._keys, self._fetched_at = keys, now
        except (ProviderError, ValueError, TypeError):  # the keys we have stay in use
            return
        finally:
            self._fetching.release()

    def _is_known_unknown(self, key_id: str, now: datetime) -> bool:
        since = self._unknown.get(key_id)
        return since is not None and abs(now - since) < UNKNOWN_KEY_STAYS_UNKNOWN

    def _remember_unknown(self, key_id: str, now: datetime) -> None:
        if len(self._unknown) >= MAX_UNKNOWN_KEYS:
            self._unknown = {}
        self._unknown.setdefault(key_id, now)


class PushReader:
    """Verifies and decodes pushes for one audience and one service account."""

    def __init__(self, settings: GmailSettings, public_base_url: str, clock: Clock) -> None:
        self._settings = settings
        self._audience = settings.push_audience or f"{public_base_url}/webhooks/{PROVIDER}"
        self._clock = clock
        http = OutgoingHttp(PROVIDER, GOOGLE_HOSTS, settings.changed_urls, timeout_s=FETCH_TIMEOUT_S)
        self.keys = SigningKeys(lambda: _certificates(http, settings.certificates_url), clock)

    def read(self, request: PushRequest) -> list[Notification]:
        """Return the mailbox a push names.

        Raises NotificationForged, NotificationMalformed or VerificationUnavailable.
        """
        self._verify(request.headers.get("authorization", ""))
        body = _json_object(request.body)
        is_wrapped = "message" in body
        name = (
            body.get("subscription", "") if is_wrapped else request.headers.get("x-goog-pubsub-subscription-name", "")
        )
        if self._settings.subscription and name not in ("", self._settings.subscription):
            raise NotificationForged("The push belongs to another subscription")
        return [read_message(body["message"]) if is_wrapped else _notification(body)]

    def _verify(self, authorization: str) -> None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.isascii() or len(token) > LONGEST_TOKEN or token.count(".") != 2:
            raise NotificationForged("The push carries no token")
        header, claims, signature = token.split(".")
        read_header = json_segment(header)
        key_id = read_header.get("kid")
        if read_header.get("alg") != "RS256" or not isinstance(key_id, str) or not 0 < len(key_id) <= 200:
            raise NotificationForged("The token is not signed the way Google signs")
        # What costs nothing comes first: a token with wrong claims never makes us look for its key.
        self._check_claims(json_segment(claims))
        key = self.keys.find(key_id)
        if key is None or not key.verify(f"{header}.{claims}".encode(), _decode(signature)):
            raise NotificationForged("The token is not signed by Google")

    def _check_claims(self, claims: Mapping[str, Any]) -> None:
        now_s = self._clock.now().timestamp()
        if claims.get("iss") not in ISSUERS:
            raise NotificationForged("The token has another issuer")
        if claims.get("aud") != self._audience:
            raise NotificationForged("The token is for somebody else")
        if not self._settings.push_service_account or claims.get("email") != self._settings.push_service_account:
            raise NotificationForged("The token belongs to another service account")
        if claims.get("email_verified") is not True:
            raise NotificationForged("The token's service account is not verified")
        if not _seconds(claims.get("iat")) - CLOCK_SKEW_S <= now_s <= _seconds(claims.get("exp")) + CLOCK_SKEW_S:
            raise NotificationForged("The token is not valid now")


def _seconds(claim: object) -> float:
    """Read a time of a token; one that is no number compares with nothing."""
    if isinstance(claim, bool) or not isinstance(claim, int | float) or abs(claim) > 2**53:
        return math.nan
    return float(claim)


def _verifier(pem: str) -> RSAVerifier:
    verifier: RSAVerifier = RSAVerifier.from_string(pem)  # type: ignore[no-untyped-call]  # google-auth has no types
    return verifier


def _certificates(http: OutgoingHttp, url: str) -> Mapping[str, str]:
    answer = http.request("GET", url, operation="certificates")
    keys = answer.json()
    if answer.status != 200 or not isinstance(keys, dict):
        raise ValueError("no certificates")
    return keys


def read_message(message: object) -> Notification:
    """Return the mailbox that a message of Pub/Sub names, pushed or pulled. Raises NotificationMalformed."""
    data = message.get("data") if isinstance(message, dict) else None
    if not isinstance(data, str):
        raise NotificationMalformed("The push carries no data")
    return _notification(_json_object(_decode(data)))


def _notification(data: Mapping[str, Any]) -> Notification:
    address = data.get("emailAddress")
    # What cannot be printed (NUL, half a surrogate pair) cannot be stored either.
    if not isinstance(address, str) or not 3 <= len(address) <= 320 or "@" not in address or not address.isprintable():
        raise NotificationMalformed("The push names no mailbox")
    return Notification(PROVIDER, address.strip().lower(), _position(data.get("historyId")))


def _json_object(content: bytes) -> dict[str, Any]:
    try:
        read = json.loads(content) if len(content) <= LONGEST_BODY else None
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise NotificationMalformed("The push is not a JSON object")
    return read


def _decode(encoded: str) -> bytes:
    """Decode base64 in either alphabet, padded or not; what is no base64 gives nothing."""
    plain = encoded.strip().rstrip("=").replace("+", "-").replace("/", "_")
    try:
        return base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4))
    except ValueError:
        return b""


def _position(value: object) -> str | None:
    """Read a history id, which Gmail sends as a number or as text; None when it is neither."""
    text = str(value) if isinstance(value, int | str) else ""
    return str(int(text)) if re.fullmatch(r"[0-9]{1,20}", text) else None
