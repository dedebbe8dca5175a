"""What Google signs: id tokens of service accounts and of people, and the certificates they are verified with.

The certificates are kept for a day. Keys that cannot be fetched again stay in use; a key id nobody knows is looked for
once a minute at most, whoever asks (threats.md W1). Vendor page:
developers.google.com/identity/openid-connect/openid-connect#validatinganidtoken
"""

from __future__ import annotations

import base64
import math
import threading
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from google.auth.crypt import RSAVerifier

from app.errors import NotificationForged, ProviderError, VerificationUnavailable
from app.ports import Clock
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


class SignedTokens:
    """Verifies the tokens that reach this installation from outside. Safe to call from any thread."""

    def __init__(self, settings: GmailSettings, clock: Clock) -> None:
        http = OutgoingHttp(PROVIDER, GOOGLE_HOSTS, settings.changed_urls, timeout_s=FETCH_TIMEOUT_S)
        self._clock = clock
        self.keys = SigningKeys(lambda: _certificates(http, settings.certificates_url), clock)

    def of_service_account(self, token: str, audience: str, accounts: Collection[str]) -> None:
        """Accept a token that Google gave one of these service accounts for this audience, and no other.

        Raises NotificationForged or VerificationUnavailable.
        """

        def check(claims: Mapping[str, Any]) -> None:
            if not claims.get("email") or claims["email"] not in accounts:
                raise NotificationForged("The token belongs to another service account")
            if claims.get("email_verified") is not True:
                raise NotificationForged("The token's service account is not verified")

        self._verified(token, audience, check)

    def of_person(self, token: str, client_id: str) -> Mapping[str, Any]:
        """Return the claims of a person's id token that was made for this OAuth client; `sub` is never empty.

        Raises NotificationForged or VerificationUnavailable.
        """

        def check(claims: Mapping[str, Any]) -> None:
            subject = claims.get("sub")
            if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
                raise NotificationForged("The token names nobody")

        return self._verified(token, client_id, check)

    def _verified(self, token: str, audience: str, check: Callable[[Mapping[str, Any]], None]) -> Mapping[str, Any]:
        if not token.isascii() or len(token) > LONGEST_TOKEN or token.count(".") != 2:
            raise NotificationForged("There is no token")
        header, segment, signature = token.split(".")
        read_header = json_segment(header)
        key_id = read_header.get("kid")
        if read_header.get("alg") != "RS256" or not isinstance(key_id, str) or not 0 < len(key_id) <= 200:
            raise NotificationForged("The token is not signed the way Google signs")
        # What costs nothing comes first: a token with wrong claims never makes us look for its key.
        claims = json_segment(segment)
        self._check_frame(claims, audience)
        check(claims)
        key = self.keys.find(key_id)
        if key is None or not key.verify(f"{header}.{segment}".encode(), decode(signature)):
            raise NotificationForged("The token is not signed by Google")
        return claims

    def _check_frame(self, claims: Mapping[str, Any], audience: str) -> None:
        now_s = self._clock.now().timestamp()
        if claims.get("iss") not in ISSUERS:
            raise NotificationForged("The token has another issuer")
        if not audience or claims.get("aud") != audience:
            raise NotificationForged("The token is for somebody else")
        if not _seconds(claims.get("iat")) - CLOCK_SKEW_S <= now_s <= _seconds(claims.get("exp")) + CLOCK_SKEW_S:
            raise NotificationForged("The token is not valid now")


def bearer(authorization: str) -> str:
    """Return the token of an Authorization header; "" when it carries none."""
    scheme, _, token = authorization.partition(" ")
    return token if scheme.lower() == "bearer" else ""


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


def decode(encoded: str) -> bytes:
    """Decode base64 in either alphabet, padded or not; what is no base64 gives nothing."""
    plain = encoded.strip().rstrip("=").replace("+", "-").replace("/", "_")
    try:
        return base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4))
    except ValueError:
        return b""
