"""Consent and tokens, with msal: a person's own access (delegated), or the application's in one tenant.

A person's tokens are msal's cache, kept as text in the account's encrypted secrets; it is refreshed only under that
row's lock, so that two processes never use one refresh token at once. What Microsoft signs for rich notifications is
verified in rich.py. Vendor pages: learn.microsoft.com/entra/msal/python,
learn.microsoft.com/entra/identity-platform/v2-admin-consent
"""

from __future__ import annotations

import json
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import msal

from app.errors import (
    AccessRevoked,
    ApplicationMisconfigured,
    ProviderError,
    Rejected,
    SettingsError,
    Unavailable,
)
from app.ports import Authorization, Clock, Credentials
from connectors.http import OutgoingHttp
from connectors.mail.graph.failures import PROVIDER, api_error, token_error
from connectors.mail.graph.settings import GraphSettings

LOGIN_HOSTS = (
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "login.chinacloudapi.cn",
)
PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"  # the tenant all outlook.com accounts are in
REFRESH_BEFORE_S = 120  # a token about to end is not used to start a long read
TOKEN_TIMEOUT_S = 10.0
LARGEST_KEY_FILE = 100_000


@dataclass(frozen=True, slots=True)
class Consent:
    """What came of a consent: who gave it, for which mailbox, and the secrets to keep."""

    tenant: str
    user: str  # object id of the person who signed in; "" when the application reads
    mailbox: str  # address of the mailbox that was asked for; "" means the person's own
    secrets: Mapping[str, Any]


class GraphAuth:
    """Speaks with Entra for this installation's application registration."""

    def __init__(self, settings: GraphSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        permission = "Mail.ReadBasic" if settings.scopes == "basic" else "Mail.Read"
        self.permission = permission
        self._scopes = [f"{settings.resource}/{permission}", f"{settings.resource}/User.Read"]
        shared = "Mail.ReadBasic.Shared" if settings.scopes == "basic" else "Mail.Read.Shared"
        self._shared_scopes = [f"{settings.resource}/{shared}", *self._scopes[1:]]
        self._http = _MsalHttp(settings, clock)
        self._credential = _client_credential(settings)
        self._applications: dict[str, msal.ConfidentialClientApplication] = {}
        self._applications_lock = threading.Lock()

    def authorize(self, redirect_uri: str, state: str, login_hint: str | None, mailbox: str = "") -> Authorization:
        """Start a person's consent, with PKCE; `mailbox` is the shared mailbox it is for, or empty for their own."""
        scopes = self._shared_scopes if mailbox else self._scopes
        with warnings.catch_warnings():
            # msal would rather have the answer POSTed; a cookie that is Lax stays behind on a POST from elsewhere.
            warnings.filterwarnings("ignore", message="response_mode='form_post'", category=UserWarning)
            flow = self._asking(
                "authorize",
                lambda: self._client().initiate_auth_code_flow(
                    scopes, redirect_uri=redirect_uri, state=state, login_hint=login_hint, prompt="select_account"
                ),
            )
        url = self._http.plain(flow.pop("auth_uri"))
        return Authorization(url, {"flow": json.dumps(flow), "mailbox": mailbox})

    def authorize_application(self, redirect_uri: str, state: str, mailbox: str) -> Authorization:
        """Start an administrator's consent to the application, for reading `mailbox` without anybody signed in."""
        self._require_tenant("authorize")
        query = {"redirect_uri": redirect_uri, "state": state}
        return Authorization(f"{self.admin_consent_url()}&{urlencode(query)}", {"mailbox": mailbox, "state": state})

    def admin_consent_url(self) -> str:
        """Return where an administrator gives consent for the whole tenant."""
        query = {"client_id": self._settings.client_id, "scope": f"{self._settings.resource}/.default"}
        return f"{self._settings.login_url}/{self._settings.tenant}/v2.0/adminconsent?{urlencode(query)}"

    def exchange(self, args: Mapping[str, str], kept: Mapping[str, str]) -> Consent:
        """Turn what a browser brought back into a consent. Raises AccessRevoked, AdminBlocked, Rejected …"""
        if args.get("error"):
            raise token_error(args, operation="connect", consent_url=self.admin_consent_url())
        if "flow" not in kept:
            return self._application_consent(args, kept)
        cache = msal.SerializableTokenCache()
        try:
            flow = json.loads(kept["flow"])
            result = self._asking(
                "connect", lambda: self._client(cache).acquire_token_by_auth_code_flow(flow, dict(args))
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Rejected("Microsoft brought back no code", provider=PROVIDER, operation="connect") from error
        if "error" in result:
            raise self._code_refused(result)
        return self._delegated_consent(result, cache, kept.get("mailbox", ""))

    def token(self, credentials: Credentials, refused: str | None = None, claims: str | None = None) -> str:
        """Return an access token that lasts a while yet and is not the refused one.

        `claims` is what Graph asked for with a 401 (continuous access evaluation). Raises AccessRevoked, AdminBlocked,
        ApplicationMisconfigured or a TransientError.
        """
        stored = credentials.read()
        if stored.get("kind") == "application":
            return self._application_token(str(stored.get("tenant", "")), refused, claims)
        found = self._cached(stored, refused)
        if found is None:
            with credentials.locked() as row:
                stored = row.read()
                found = self._cached(stored, refused)  # somebody else refreshed while we waited for the lock
                if found is None:
                    found, kept = self._refresh(stored, claims)
                    row.write({**stored, **kept})
        return found

    # --- inside ---

    def _delegated_consent(self, result: Mapping[str, Any], cache: Any, mailbox: str) -> Consent:
        claims = result.get("id_token_claims")
        claims = claims if isinstance(claims, dict) else {}
        tenant, user = claims.get("tid"), claims.get("oid")
        if claims.get("aud") != self._settings.client_id or not _is_name(tenant) or not _is_name(user):
            raise Unavailable("Microsoft did not say who signed in", provider=PROVIDER, operation="connect")
        granted = {scope.rpartition("/")[2].lower() for scope in str(result.get("scope", "")).split()}
        wanted = (self._shared_scopes if mailbox else self._scopes)[0].rpartition("/")[2]
        if wanted.lower() not in granted:
            raise AccessRevoked(f"{wanted} was not granted: connect again", provider=PROVIDER, operation="connect")
        accounts = cache.search(msal.TokenCache.CredentialType.ACCOUNT)
        home = next((entry.get("home_account_id") for entry in accounts), None)
        if not home or not list(cache.search(msal.TokenCache.CredentialType.REFRESH_TOKEN)):
            raise Unavailable("Microsoft gave no lasting access", provider=PROVIDER, operation="connect")
        secrets = {"kind": "shared" if mailbox else "delegated", "tenant": tenant, "home": home}
        return Consent(str(tenant), str(user), mailbox, {**secrets, "cache": cache.serialize()})

    def _application_consent(self, args: Mapping[str, str], kept: Mapping[str, str]) -> Consent:
        # The browser's word for the tenant counts for nothing: only the operator's own tenant is ever read this way.
        self._require_tenant("connect")
        is_ours = bool(kept.get("state")) and args.get("state") == kept["state"]
        if not is_ours or args.get("admin_consent", "").lower() != "true" or not kept.get("mailbox"):
            raise Rejected("Microsoft brought back no consent", provider=PROVIDER, operation="connect")
        tenant = self._asking("connect", lambda: self._client().authority.tenant)
        if not _is_name(tenant) or args.get("tenant", tenant).lower() != tenant.lower():
            raise Rejected("The consent is another tenant's", provider=PROVIDER, operation="connect")
        return Consent(tenant, "", kept["mailbox"], {"kind": "application", "tenant": tenant})

    def _application_token(self, tenant: str, refused: str | None, claims: str | None) -> str:
        self._require_tenant("token")
        with self._applications_lock:
            client = self._applications.get(tenant)
            if client is None:
                client = self._applications[tenant] = self._asking("token", lambda: self._client(tenant=tenant))
            result = self._ask_for_application(client, claims)
            if refused is not None and result.get("access_token") == refused:
                client.remove_tokens_for_client()
                result = self._ask_for_application(client, claims)
        if "error" in result or not isinstance(result.get("access_token"), str):
            raise token_error(result, operation="token", consent_url=self.admin_consent_url())
        return str(result["access_token"])

    def _ask_for_application(self, client: Any, claims: str | None) -> dict[str, Any]:
        scope = [f"{self._settings.resource}/.default"]
        asked: dict[str, Any] = self._asking(
            "token", lambda: client.acquire_token_for_client(scope, claims_challenge=claims)
        )
        return asked

    def _cached(self, stored: Mapping[str, Any], refused: str | None) -> str | None:
        """Return a token of msal's cache that is still good, without asking anybody."""
        cache = _open_cache(stored)
        if cache is None:
            return None
        # msal notes when a token ends by the machine's clock, so that clock is asked here.
        until = time.time() + REFRESH_BEFORE_S
        for entry in cache.search(msal.TokenCache.CredentialType.ACCESS_TOKEN):
            secret, ends_at = entry.get("secret"), str(entry.get("expires_on"))
            if isinstance(secret, str) and secret != refused and ends_at.isdecimal() and int(ends_at) > until:
                return secret
        return None

    def _refresh(self, stored: Mapping[str, Any], claims: str | None) -> tuple[str, dict[str, Any]]:
        cache = _open_cache(stored)
        if cache is None:
            raise AccessRevoked(provider=PROVIDER, operation="refresh")
        client = self._client(cache)
        account = next((a for a in client.get_accounts() if a.get("home_account_id") == stored.get("home")), None)
        scopes = self._shared_scopes if stored.get("kind") == "shared" else self._scopes
        result = self._asking(
            "refresh",
            lambda: client.acquire_token_silent_with_error(
                scopes, account, force_refresh=True, claims_challenge=claims
            ),
        )
        if result is None:
            raise AccessRevoked(provider=PROVIDER, operation="refresh")
        if "error" in result or not isinstance(result.get("access_token"), str):
            # msal keeps a refused refresh token on purpose, for it may serve elsewhere: we decide what follows.
            raise token_error(result, operation="refresh", consent_url=self.admin_consent_url())
        return str(result["access_token"]), {"cache": cache.serialize()}

    def _client(self, cache: Any = None, tenant: str | None = None) -> Any:
        if not self._settings.client_id or not self._credential:
            missing = "GRAPH_CLIENT_ID, and GRAPH_CLIENT_SECRET or GRAPH_CERTIFICATE, are not set"
            raise ApplicationMisconfigured(missing, provider=PROVIDER, operation="token")
        return msal.ConfidentialClientApplication(
            self._settings.client_id,
            client_credential=self._credential,
            authority=f"{self._http.login_url}/{tenant or self._settings.tenant}",
            token_cache=cache,
            http_client=self._http,
            instance_discovery=False,  # the operator named the endpoint
            client_capabilities=["CP1"],  # we answer claims challenges
        )

    def _asking(self, operation: str, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except ProviderError as error:
            error.operation = operation
            raise
        except ValueError as error:
            if "authority" not in str(error):
                raise
            unknown = "Entra does not know GRAPH_TENANT"
            raise ApplicationMisconfigured(unknown, provider=PROVIDER, operation=operation) from error

    def _code_refused(self, result: Mapping[str, Any]) -> ProviderError:
        error = token_error(result, operation="connect", consent_url=self.admin_consent_url())
        if isinstance(error, AccessRevoked) and result.get("error") == "invalid_grant":
            return Rejected("The code was used or is too old: connect again", provider=PROVIDER, operation="connect")
        return error

    def _require_tenant(self, operation: str) -> None:
        if not self._settings.names_a_tenant:
            needed = "GRAPH_TENANT must name your tenant when GRAPH_TEAM_ACCESS is application"
            raise ApplicationMisconfigured(needed, provider=PROVIDER, operation=operation)


@dataclass(frozen=True, slots=True)
class _MsalAnswer:
    """An answer as msal wants it."""

    status_code: int
    text: str
    headers: Mapping[str, str]

    def raise_for_status(self) -> None:
        """Do nothing: what msal must not see was raised before."""


class _MsalHttp:
    """msal's way out: the guarded client, whose errors pass through msal as they are.

    msal knows https only. Where the operator's sign-in endpoint is http (a simulator), its addresses are shown to msal
    as https and asked for over http.
    """

    def __init__(self, settings: GraphSettings, clock: Clock) -> None:
        self._clock = clock
        self._http = OutgoingHttp(PROVIDER, LOGIN_HOSTS, settings.changed_urls, timeout_s=TOKEN_TIMEOUT_S)
        parts = urlsplit(settings.login_url)
        self._plain = f"http://{parts.netloc}/" if parts.scheme == "http" else ""
        self._shown = f"https://{parts.netloc}/"
        self.login_url = f"https://{parts.netloc}{parts.path}"

    def plain(self, url: str) -> str:
        """Return an address as it is asked for."""
        return self._plain + url.removeprefix(self._shown) if self._plain and url.startswith(self._shown) else url

    def get(self, url: str, **asked: Any) -> _MsalAnswer:
        """Fetch a document."""
        return self._request("GET", url, asked)

    def post(self, url: str, **asked: Any) -> _MsalAnswer:
        """Send a form."""
        return self._request("POST", url, asked)

    def close(self) -> None:
        """Keep the connections: they belong to the process."""

    def _request(self, method: str, url: str, asked: Mapping[str, Any]) -> _MsalAnswer:
        answer = self._http.request(
            method,
            self.plain(url),
            operation="token",
            headers=asked.get("headers"),
            params=asked.get("params"),
            data=asked.get("data"),
        )
        if answer.status == 429 or answer.status >= 500:
            raise api_error(answer, operation="token", now=self._clock.now())
        text = answer.body.decode("utf-8", "replace")
        if self._plain and method == "GET":
            text = text.replace(self._plain, self._shown)
        return _MsalAnswer(answer.status, text, answer.headers)


def _open_cache(stored: Mapping[str, Any]) -> Any:
    kept = stored.get("cache")
    if not isinstance(kept, str) or not kept:
        return None
    cache = msal.SerializableTokenCache()
    cache.deserialize(kept)
    return cache


def _client_credential(settings: GraphSettings) -> str | dict[str, str]:
    if not settings.certificate:
        return settings.client_secret.get_secret_value()
    pem = read_pem(settings.certificate, "GRAPH_CERTIFICATE")
    return {"private_key": pem, "public_certificate": pem[pem.index("-----BEGIN CERTIFICATE") :]}


def read_pem(path: str, setting: str) -> str:
    """Read a PEM file with a private key and a certificate. Raises SettingsError, which names the setting."""
    try:
        with Path(path).open("rb") as file:
            pem = file.read(LARGEST_KEY_FILE).decode("ascii")
    except (OSError, ValueError) as error:
        raise SettingsError(f"{setting}: the file cannot be read ({type(error).__name__}).") from None
    if "PRIVATE KEY-----" not in pem or "-----BEGIN CERTIFICATE-----" not in pem:
        raise SettingsError(f"{setting}: must be a PEM file with a private key and a certificate.")
    return pem


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 100 and value.replace("-", "").isalnum()
