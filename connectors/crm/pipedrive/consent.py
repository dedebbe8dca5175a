"""How a team connects Pipedrive: in the browser with the operator's app, or with an API token; and its removal.

Vendor pages: pipedrive.readme.io/docs/marketplace-oauth-authorization, app-uninstallation
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, get_args

from app.errors import AdminBlocked, Gone, NotificationForged, NotificationMalformed, Rejected, Unsupported
from app.ports import Authorization, Clock, ConnectedCrm, CrmIdentity, CrmUninstall, LockedCredentials, PushRequest
from connectors.crm.pipedrive import mapping, operations
from connectors.crm.pipedrive.api import Json, PipedriveApi
from connectors.crm.pipedrive.auth import PipedriveAuth
from connectors.crm.pipedrive.failures import PROVIDER
from connectors.crm.pipedrive.records import has_projects
from connectors.crm.pipedrive.settings import PipedriveSettings

MODES: tuple[str, ...] = get_args(PipedriveSettings.model_fields["write_mode"].annotation)
# What the plans multiply the daily tokens with, and which of them have visibility groups.
PLANS: Mapping[str, int] = {"lite": 1, "growth": 2, "premium": 5, "ultimate": 7}
_WITH_GROUPS = frozenset({"premium", "ultimate"})
_TOKENS_OF_A_SEAT = 30_000


@dataclass(slots=True)
class _Unstored:
    """Secrets that no row holds yet."""

    secrets: dict[str, Any]

    def read(self) -> dict[str, Any]:
        return dict(self.secrets)

    def write(self, secrets: Mapping[str, Any]) -> None:
        self.secrets = dict(secrets)

    @contextmanager
    def locked(self) -> Iterator[LockedCredentials]:
        yield self


class PipedriveConsent:
    """ports.CrmConsent for Pipedrive."""

    options: Mapping[str, str] = {
        "mode": f"how conversations are shown: {', '.join(MODES)}",
        "plan": f"the company's Pipedrive plan, for its limits and visibility: {', '.join(PLANS)}",
        "seats": "how many seats the company has, for its daily tokens",
        "daily_tokens": "API tokens to spend in a day, instead of what plan and seats give",
    }

    def __init__(self, settings: PipedriveSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._auth = PipedriveAuth(settings, clock)

    @property
    def by_browser(self) -> bool:
        """Whether an app is set up."""
        return self._auth.has_app

    def authorize(self, redirect_uri: str, state: str) -> Authorization:
        """Start the consent. Raises Unsupported without an app."""
        if not self.by_browser:
            raise Unsupported(
                "Set PIPEDRIVE_CLIENT_ID and PIPEDRIVE_CLIENT_SECRET, or connect with an API token.",
                provider=PROVIDER,
                operation="authorize",
            )
        return self._auth.authorize(redirect_uri, state)

    def connect(self, redirect_uri: str, args: Mapping[str, str], kept: Mapping[str, str]) -> ConnectedCrm:  # noqa: ARG002 - Pipedrive knows no PKCE
        """Exchange the code and ask whose company it is; an installation from the Marketplace comes without a state."""
        return self._connected(self._auth.exchange(redirect_uri, args), {})

    def connect_with_token(self, token: str, options: Mapping[str, str]) -> ConnectedCrm:
        """Try an API token. Raises AccessRevoked when it is wrong, Rejected for an option that makes no sense."""
        token = token.strip()
        if not token.isascii() or not token.isprintable() or not 8 <= len(token) <= 500 or " " in token:
            raise Rejected("This is no Pipedrive API token.", provider=PROVIDER, operation="connect")
        return self._connected({"api_token": token}, settings_of(options))

    def read_uninstall(self, request: PushRequest) -> CrmUninstall:
        """Verify and decode the DELETE that Pipedrive sends to the redirect URI when the app is removed."""
        if not self.by_browser:
            raise Unsupported("No Pipedrive app is set up.", provider=PROVIDER, operation="read_uninstall")
        wanted = f"{self._settings.client_id}:{self._settings.client_secret.get_secret_value()}".encode()
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        try:
            given = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            given = b""
        if scheme.lower() != "basic" or not hmac.compare_digest(given, wanted):
            raise NotificationForged("The removal does not carry the app's secret.")
        try:
            body = json.loads(request.body[:100_000])
        except (ValueError, RecursionError):
            body = None
        company = mapping.number(body.get("company_id")) if isinstance(body, dict) else None
        if company is None:
            raise NotificationMalformed("The removal names no company.")
        return CrmUninstall(company, mapping.number(body.get("user_id")) or "")

    def _connected(self, secrets: dict[str, Any], settings: dict[str, Any]) -> ConnectedCrm:
        held = _Unstored(secrets)
        key = ("connecting", str(secrets.get("api_domain", "")))
        api = PipedriveApi(self._settings, self._clock, held, meter_key=key)
        me = api.me()
        settings.setdefault("projects", has_projects(api))
        settings.setdefault("visibility_groups", _has_groups(api, me))
        settings["domain"] = str(me.get("company_domain", ""))[:200]
        return ConnectedCrm(identity_of(me), held.read(), settings)


def identity_of(me: Json) -> CrmIdentity:
    """Return whose Pipedrive it is, by what /users/me says."""
    domain = str(me.get("company_domain") or "")
    is_label = domain.isascii() and domain.replace("-", "").isalnum()
    return CrmIdentity(
        company=str(me["company_id"]),
        user_id=str(me["id"]),
        user_name=str(me.get("name") or "")[:200],
        url=f"https://{domain}.pipedrive.com" if is_label else None,
    )


def settings_of(options: Mapping[str, str]) -> dict[str, Any]:
    """Read the options of a connection. Raises Rejected."""
    settings: dict[str, Any] = {}
    if mode := options.get("mode"):
        settings["mode"] = _one_of("mode", mode, MODES)
    if plan := options.get("plan"):
        settings["visibility_groups"] = _one_of("plan", plan, tuple(PLANS)) in _WITH_GROUPS
        settings["daily_tokens"] = _TOKENS_OF_A_SEAT * PLANS[plan] * _count("seats", options.get("seats", "1"))
    elif options.get("seats"):
        raise Rejected("Seats count together with the plan: give both.", provider=PROVIDER, operation="connect")
    if tokens := options.get("daily_tokens"):
        settings["daily_tokens"] = _count("daily_tokens", tokens)
    return settings


def _one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise Rejected(f"{name} is one of {', '.join(known)}.", provider=PROVIDER, operation="connect")
    return value


def _count(name: str, value: str) -> int:
    if not value.isascii() or not value.isdecimal() or not 0 < len(value) < 10 or int(value) == 0:
        raise Rejected(f"{name} is a number from 1.", provider=PROVIDER, operation="connect")
    return int(value)


def _has_groups(api: PipedriveApi, me: Json) -> bool:
    """Whether the plan has visibility groups, as far as the user's defaults show it."""
    try:
        defaults = api.data(operations.ROLE_SETTINGS, me["id"])
    except (AdminBlocked, Gone):
        return False
    return any(str(value) in {"5", "7"} for value in defaults.values())
