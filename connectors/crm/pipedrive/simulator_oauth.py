"""Pipedrive's consent page and token endpoint. Part of the simulator."""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from connectors.crm.pipedrive.simulator_answers import form_of
from connectors.crm.pipedrive.simulator_records import Company, User
from connectors.simulated_http import Call, Reply, json_reply

CLIENT_ID, CLIENT_SECRET = "simulated-app", "simulated-app-secret"  # the simulator's own
ACCESS_SERVES_S = 3599
SCOPES = "base contacts:full deals:full leads:full projects:full search:read activities:full mail:full webhooks:full"


@dataclass(slots=True)
class Grant:
    """What a token stands for; an API token never expires."""

    company: Company
    user: User
    by_consent: bool
    expires_at: datetime | None = None


class Grants:
    """Codes and tokens given out. The caller holds the lock."""

    def __init__(self) -> None:
        self._codes: dict[str, tuple[Company, User, str]] = {}
        self._refresh: dict[str, tuple[Company, User]] = {}
        self._access: dict[str, Grant] = {}

    def api_token(self, company: Company, user_id: int = 1) -> str:
        """Return a user's API token."""
        token = secrets.token_hex(20)
        self._access[token] = Grant(company, company.users[user_id], by_consent=False)
        return token

    def code(self, company: Company, redirect_uri: str, user_id: int = 1) -> str:
        """Return a code, as a browser brings it back after the consent."""
        code = secrets.token_hex(16)
        self._codes[code] = (company, company.users[user_id], redirect_uri)
        return code

    def secrets_of(self, company: Company, now: datetime, api_domain: str) -> dict[str, Any]:
        """Return what somebody who was given consent keeps."""
        given = self._tokens(company, company.users[1], now, api_domain)
        return {
            "access_token": given["access_token"],
            "refresh_token": given["refresh_token"],
            "expires_at": now.timestamp() + ACCESS_SERVES_S,
            "api_domain": api_domain,
            "scope": SCOPES,
        }

    def of(self, call: Call, now: datetime) -> tuple[str, Grant] | None:
        """Return the token of a request and what it stands for; None when it is not accepted."""
        scheme, _, bearer = call.headers.get("authorization", "").partition(" ")
        api_token = call.headers.get("x-api-token", "")
        token = bearer if scheme.lower() == "bearer" else api_token
        grant = self._access.get(token)
        if grant is None or grant.by_consent != (scheme.lower() == "bearer"):
            return None
        return None if grant.expires_at is not None and grant.expires_at <= now else (token, grant)

    def expire_access(self) -> None:
        """Let every access token expire."""
        self._access = {token: grant for token, grant in self._access.items() if not grant.by_consent}

    def revoke_all(self, company: Company | None) -> None:
        """Withdraw consents and API tokens: of one company, or of all."""
        self._refresh = {t: pair for t, pair in self._refresh.items() if company not in (None, pair[0])}
        self._access = {t: grant for t, grant in self._access.items() if company not in (None, grant.company)}

    def token(self, call: Call, now: datetime, api_domain: str) -> Reply:
        """Answer the token endpoint. A refresh token is not replaced when it is used."""
        if not _is_our_app(call):
            return json_reply({"success": False, "error": "invalid_client", "message": "Client is invalid"}, 401)
        form = form_of(call)
        if form.get("grant_type") == "authorization_code":
            found = self._codes.pop(form.get("code", ""), None)
            if found is not None and found[2] == form.get("redirect_uri"):
                return json_reply(self._tokens(found[0], found[1], now, api_domain))
        elif form.get("grant_type") == "refresh_token":
            token = form.get("refresh_token", "")
            if token in self._refresh:
                return json_reply(self._tokens(*self._refresh[token], now, api_domain, token))
        return json_reply({"success": False, "error": "invalid_grant", "message": "Invalid grant"}, 400)

    def revoke(self, call: Call) -> Reply:
        """Answer the revocation endpoint."""
        if not _is_our_app(call):
            return json_reply({"success": False, "error": "invalid_client"}, 401)
        pair = self._refresh.pop(form_of(call).get("token", ""), None)
        if pair is not None:
            self._access = {t: g for t, g in self._access.items() if (g.company, g.user) != pair or not g.by_consent}
        return Reply(200)

    def _tokens(
        self, company: Company, user: User, now: datetime, api_domain: str, refresh_token: str = ""
    ) -> dict[str, Any]:
        access = secrets.token_hex(20)
        refresh = refresh_token or secrets.token_hex(20)
        self._access[access] = Grant(company, user, True, now + timedelta(seconds=ACCESS_SERVES_S))
        self._refresh[refresh] = (company, user)
        return {
            "access_token": access,
            "token_type": "Bearer",
            "refresh_token": refresh,
            "scope": SCOPES.replace(" ", ","),
            "expires_in": ACCESS_SERVES_S,
            "api_domain": api_domain,
        }


def back_to(authorization_url: str, code: str | None) -> str:
    """Return where the consent page sends a browser back to: with a code, or with the refusal."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(authorization_url).query).items()}
    if query.get("client_id") != CLIENT_ID:
        raise ValueError("This is not the consent page of the simulated app.")
    told = {"code": code} if code else {"error": "user_denied"}
    told |= {"state": query["state"]} if "state" in query else {}
    return f"{query['redirect_uri']}?{urlencode(told)}"


def _is_our_app(call: Call) -> bool:
    _, _, given = call.headers.get("authorization", "").partition(" ")
    try:
        return base64.b64decode(given, validate=True).decode() == f"{CLIENT_ID}:{CLIENT_SECRET}"
    except (binascii.Error, ValueError):
        return False
