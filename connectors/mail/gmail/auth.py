"""Consent and tokens of one Google account: authorize, exchange, refresh, revoke.

Tokens live encrypted on the account's row; they are refreshed only under that row's lock, so that two processes never
refresh at once. What Google signs for pushes and add-ons is verified in signed.py. Vendor page:
developers.google.com/identity/protocols/oauth2/web-server
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import google.auth.credentials

from app.errors import AccessRevoked, ApplicationMisconfigured, ProviderError, Rejected, Unavailable
from app.ports import Authorization, Clock, Credentials, LockedCredentials
from connectors.http import Answer, OutgoingHttp
from connectors.mail.gmail.failures import PROVIDER, consent_error, token_error
from connectors.mail.gmail.settings import GmailSettings

ISSUER = "https://accounts.google.com"
ISSUERS = frozenset({ISSUER, "accounts.google.com"})
GOOGLE_HOSTS = ("googleapis.com", "accounts.google.com")
SCOPES = {
    "readonly": "https://www.googleapis.com/auth/gmail.readonly",
    "metadata": "https://www.googleapis.com/auth/gmail.metadata",
}
REFRESH_BEFORE_S = 120  # a token about to end is not used to start a long read
TOKEN_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Consent:
    """What a code was exchanged for."""

    user_id: str  # the `sub` of the id token: the one name of an account that never changes
    secrets: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class UnstoredCredentials:
    """The credentials of a mailbox that has no row (yet): nothing is shared, so nothing is locked or kept."""

    secrets: Mapping[str, Any]

    def read(self) -> dict[str, Any]:
        """Return what was handed over."""
        return dict(self.secrets)

    def write(self, secrets: Mapping[str, Any]) -> None:
        """Keep nothing: the first call for a connected account refreshes again."""

    def locked(self) -> AbstractContextManager[LockedCredentials]:
        """Lock nothing."""
        return nullcontext(self)


class TokenSource(google.auth.credentials.Credentials):
    """The access token of one mailbox, as Google's library wants it; `refresh` is asked for after a 401."""

    def __init__(self, current: Callable[[str | None], str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # google-auth has no types
        self._current = current

    def refresh(self, request: object) -> None:  # noqa: ARG002  # the library's own transport is not used
        """Get a token that is not the one that was just refused."""
        self.token = self._current(self.token)


class GmailAuth:
    """Speaks OAuth with Google for this installation's client."""

    def __init__(self, settings: GmailSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._scope = SCOPES[settings.scopes]
        self._http = OutgoingHttp(PROVIDER, GOOGLE_HOSTS, settings.changed_urls, timeout_s=TOKEN_TIMEOUT_S)

    def authorize(self, redirect_uri: str, state: str, login_hint: str | None) -> Authorization:
        """Build the address of Google's consent page, with PKCE.

        `include_granted_scopes` is left out on purpose: a gmail.metadata grant of old would come along and make Gmail
        refuse searches and bodies.
        """
        self._require_client("authorize")
        verifier = secrets.token_urlsafe(64)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "client_id": self._settings.client_id,
            "redirect_uri": redirect_uri,
            "response_type": "code",
            "scope": f"openid email {self._scope}",
            "state": state,
            "access_type": "offline",
            "prompt": "consent",  # without it Google gives a refresh token only the first time
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        if login_hint:
            query["login_hint"] = login_hint
        return Authorization(f"{self._settings.authorize_url}?{urlencode(query)}", {"verifier": verifier})

    def exchange(self, redirect_uri: str, args: Mapping[str, str], kept: Mapping[str, str]) -> Consent:
        """Turn the code a browser brought back into tokens. Raises AccessRevoked when reading Gmail was not granted."""
        self._require_client("connect")
        if args.get("error"):
            raise consent_error(args["error"], operation="connect")
        if args.get("iss", "https://accounts.google.com") not in ISSUERS:  # RFC 9207: another issuer's answer
            raise Rejected("This consent does not come from Google", provider=PROVIDER, operation="connect")
        code, verifier = args.get("code"), kept.get("verifier")
        if not code or not verifier:
            raise Rejected("Google brought back no code", provider=PROVIDER, operation="connect")
        answer = self._ask_token(
            {
                "grant_type": "authorization_code",
                "code": code,
                "code_verifier": verifier,
                "redirect_uri": redirect_uri,
            },
            "connect",
        )
        if self._scope not in str(answer.get("scope", "")).split():
            raise AccessRevoked(
                "The permission to read Gmail was not ticked: connect again", provider=PROVIDER, operation="connect"
            )
        user_id = self._subject(answer.get("id_token"))
        if not user_id or not isinstance(answer.get("refresh_token"), str):
            raise Unavailable("Google gave no lasting access", provider=PROVIDER, operation="connect")
        return Consent(user_id, {**self._stored(answer), "refresh_token": answer["refresh_token"], "sub": user_id})

    def tokens(self, credentials: Credentials) -> TokenSource:
        """Return the access token of an account for Google's library, refreshed when needed."""
        return TokenSource(lambda refused: self.access_token(credentials, refused))

    def access_token(self, credentials: Credentials, refused: str | None = None) -> str:
        """Return a token that lasts a while yet and is not the refused one.

        Raises AccessRevoked, ApplicationMisconfigured or a TransientError.
        """
        stored = credentials.read()
        if self._is_usable(stored, refused):
            return str(stored["access_token"])
        with credentials.locked() as row:
            stored = row.read()
            if self._is_usable(stored, refused):  # somebody else refreshed while we waited for the lock
                return str(stored["access_token"])
            refreshed = self._refresh(stored)
            row.write({**stored, **refreshed})
        return str(refreshed["access_token"])

    def revoke(self, credentials: Credentials) -> None:
        """End the consent at Google; a consent that has ended already is no error."""
        token = credentials.read().get("refresh_token")
        if not token:
            return
        answer = self._http.request("POST", self._settings.revoke_url, operation="revoke", data={"token": str(token)})
        if answer.status not in {200, 400}:
            raise self._refusal(answer, "revoke")

    def _refresh(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        self._require_client("refresh")
        refresh_token = stored.get("refresh_token")
        if not refresh_token:
            raise AccessRevoked(provider=PROVIDER, operation="refresh")
        answer = self._ask_token({"grant_type": "refresh_token", "refresh_token": str(refresh_token)}, "refresh")
        user_id = self._subject(answer.get("id_token"))
        if user_id and user_id != stored.get("sub", user_id):
            raise AccessRevoked("Google answered for another account", provider=PROVIDER, operation="refresh")
        return self._stored(answer)

    def _ask_token(self, form: Mapping[str, str], operation: str) -> dict[str, Any]:
        client = {
            "client_id": self._settings.client_id,
            "client_secret": self._settings.client_secret.get_secret_value(),
        }
        answer = self._http.request("POST", self._settings.token_url, operation=operation, data={**form, **client})
        if answer.status != 200:
            raise self._refusal(answer, operation)
        body = answer.json()
        if not isinstance(body, dict) or not isinstance(body.get("access_token"), str):
            raise Unavailable("Google's answer holds no token", provider=PROVIDER, operation=operation)
        return body

    def _stored(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        lasts_s = answer.get("expires_in")
        lasts_s = lasts_s if isinstance(lasts_s, int | float) else 0
        stored = {
            "access_token": answer["access_token"],
            "expires_at": self._clock.now().timestamp() + lasts_s,
            "scope": str(answer.get("scope", "")),
        }
        consent_lasts_s = answer.get("refresh_token_expires_in")  # access that the owner limited in time
        if isinstance(consent_lasts_s, int | float):
            stored["consent_expires_at"] = self._clock.now().timestamp() + consent_lasts_s
        return stored

    def _is_usable(self, stored: Mapping[str, Any], refused: str | None) -> bool:
        token, expires_at = stored.get("access_token"), stored.get("expires_at")
        if not token or token == refused or not isinstance(expires_at, int | float):
            return False
        return expires_at - REFRESH_BEFORE_S > self._clock.now().timestamp()

    def _subject(self, id_token: object) -> str:
        """Read the `sub` of an id token that came straight from Google over TLS (OpenID Connect Core 3.1.3.7)."""
        claims = unverified_claims(id_token) if isinstance(id_token, str) else {}
        if claims.get("iss") not in ISSUERS or claims.get("aud") != self._settings.client_id:
            return ""
        return str(claims.get("sub", ""))[:255]

    def _require_client(self, operation: str) -> None:
        if not self._settings.client_id:
            raise ApplicationMisconfigured("GMAIL_CLIENT_ID is not set", provider=PROVIDER, operation=operation)

    def _refusal(self, answer: Answer, operation: str) -> ProviderError:
        return token_error(answer, operation=operation, now=self._clock.now())


def unverified_claims(token: str) -> dict[str, Any]:
    """Return the claims of a JWT without looking at its signature; empty when they cannot be read."""
    segments = token[:20_000].split(".")
    if len(segments) != 3:
        return {}
    return json_segment(segments[1])


def json_segment(segment: str) -> dict[str, Any]:
    """Read one base64url JSON object of a JWT; empty when it is something else."""
    try:
        read = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}
