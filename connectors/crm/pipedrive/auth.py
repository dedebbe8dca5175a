"""Access to one Pipedrive company: an API token, or the tokens of a consent, refreshed under their row's lock.

Vendor page: pipedrive.readme.io/docs/marketplace-oauth-authorization
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode, urlsplit

from app.errors import AccessRevoked, ApplicationMisconfigured, Rejected, Unavailable
from app.ports import Authorization, Clock, Credentials
from connectors.crm.pipedrive.failures import PROVIDER, consent_error, token_error
from connectors.crm.pipedrive.settings import PipedriveSettings
from connectors.http import OutgoingHttp

PIPEDRIVE_HOSTS = ("pipedrive.com",)
REFRESH_BEFORE_S = 120


@dataclass(frozen=True, slots=True)
class Access:
    """Where a company's API is, and what proves that we may ask it."""

    base_v1: str
    base_v2: str
    headers: Mapping[str, str]
    token: str

    def url(self, version: int, path: str) -> str:
        """Return the address of a call."""
        return f"{self.base_v1 if version == 1 else self.base_v2}{path}"


@lru_cache(maxsize=16)
def http_client(settings: PipedriveSettings) -> OutgoingHttp:
    """Return the guarded client: one for each set of settings, so that connections are used again."""
    return OutgoingHttp(PROVIDER, PIPEDRIVE_HOSTS, settings.changed_urls, timeout_s=settings.timeout_s)


class PipedriveAuth:
    """Speaks OAuth with Pipedrive for this installation's app, and knows API tokens."""

    def __init__(self, settings: PipedriveSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._http = http_client(settings)

    @property
    def has_app(self) -> bool:
        """Whether an app is set up, so that a browser can give consent."""
        return bool(self._settings.client_id and self._settings.client_secret.get_secret_value())

    def authorize(self, redirect_uri: str, state: str) -> Authorization:
        """Build the address of Pipedrive's consent page; the scopes are the app's own."""
        self._require_app("authorize")
        query = {"client_id": self._settings.client_id, "redirect_uri": redirect_uri, "state": state}
        return Authorization(f"{self._settings.authorize_url}?{urlencode(query)}", {})

    def exchange(self, redirect_uri: str, args: Mapping[str, str]) -> dict[str, Any]:
        """Turn the code a browser brought back, with or without a state, into secrets."""
        self._require_app("connect")
        if args.get("error"):
            raise consent_error(args["error"], operation="connect")
        code = args.get("code", "")
        if not code or len(code) > 2000:
            raise Rejected("Pipedrive brought back no code", provider=PROVIDER, operation="connect")
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        answer = self._ask_token(form, "connect")
        if not isinstance(answer.get("refresh_token"), str):
            raise Unavailable("Pipedrive gave no lasting access", provider=PROVIDER, operation="connect")
        return self._stored(answer, "connect")

    def access(self, credentials: Credentials, refused: str | None = None) -> Access:
        """Return access that lasts a while yet and is not the refused one.

        Raises AccessRevoked, ApplicationMisconfigured or a TransientError.
        """
        stored = credentials.read()
        if self._is_usable(stored, refused):
            return self._of(stored)
        if "refresh_token" not in stored:
            raise AccessRevoked(
                "Pipedrive does not accept the API token: connect it again", provider=PROVIDER, operation="access"
            )
        with credentials.locked() as row:
            stored = row.read()
            if not self._is_usable(stored, refused):  # else somebody else refreshed while we waited for the lock
                stored = {**stored, **self._refresh(stored)}
                row.write(stored)
        return self._of(stored)

    def revoke(self, stored: Mapping[str, Any]) -> None:
        """End a consent at Pipedrive; one that has ended is no error. An API token is its user's own and stays."""
        token = stored.get("refresh_token")
        if not token or not self.has_app:
            return
        answer = self._http.request(
            "POST", self._settings.revoke_url, operation="revoke", data={"token": str(token)}, headers=self._client()
        )
        if answer.status not in {200, 204, 400, 401}:
            raise token_error(answer, operation="revoke", now=self._clock.now())

    def _refresh(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        self._require_app("refresh")
        refresh_token = stored.get("refresh_token")
        if not refresh_token:
            raise AccessRevoked("Connect Pipedrive again", provider=PROVIDER, operation="refresh")
        answer = self._ask_token({"grant_type": "refresh_token", "refresh_token": str(refresh_token)}, "refresh")
        return self._stored(answer, "refresh")

    def _ask_token(self, form: Mapping[str, str], operation: str) -> dict[str, Any]:
        answer = self._http.request(
            "POST", self._settings.token_url, operation=operation, data=dict(form), headers=self._client()
        )
        if answer.status != 200:
            raise token_error(answer, operation=operation, now=self._clock.now())
        body = answer.json()
        if not isinstance(body, dict) or not isinstance(body.get("access_token"), str):
            raise Unavailable("Pipedrive's answer holds no token", provider=PROVIDER, operation=operation)
        return body

    def _stored(self, answer: Mapping[str, Any], operation: str) -> dict[str, Any]:
        lasts_s = answer.get("expires_in")
        domain = answer.get("api_domain")
        if not isinstance(domain, str) or urlsplit(domain).scheme not in {"http", "https"}:
            raise Unavailable("Pipedrive's answer names no API domain", provider=PROVIDER, operation=operation)
        stored = {
            "access_token": answer["access_token"],
            "expires_at": self._clock.now().timestamp() + (lasts_s if isinstance(lasts_s, int | float) else 0),
            "api_domain": domain.rstrip("/"),
            "scope": str(answer.get("scope", "")),
        }
        if isinstance(answer.get("refresh_token"), str):
            stored["refresh_token"] = answer["refresh_token"]
        return stored

    def _is_usable(self, stored: Mapping[str, Any], refused: str | None) -> bool:
        if stored.get("api_token"):
            return str(stored["api_token"]) != refused
        token, expires_at = stored.get("access_token"), stored.get("expires_at")
        if not token or token == refused or not isinstance(expires_at, int | float):
            return False
        return expires_at - REFRESH_BEFORE_S > self._clock.now().timestamp()

    def _of(self, stored: Mapping[str, Any]) -> Access:
        if stored.get("api_token"):
            base, token = self._settings.api_url, str(stored["api_token"])
            return Access(f"{base}/v1", f"{base}/api/v2", {"x-api-token": token}, token)
        base, token = str(stored["api_domain"]), str(stored["access_token"])
        return Access(f"{base}/api/v1", f"{base}/api/v2", {"authorization": f"Bearer {token}"}, token)

    def _client(self) -> dict[str, str]:
        named = f"{self._settings.client_id}:{self._settings.client_secret.get_secret_value()}"
        return {"authorization": f"Basic {base64.b64encode(named.encode()).decode()}"}

    def _require_app(self, operation: str) -> None:
        if not self.has_app:
            raise ApplicationMisconfigured(
                "PIPEDRIVE_CLIENT_ID and PIPEDRIVE_CLIENT_SECRET are not set", provider=PROVIDER, operation=operation
            )
