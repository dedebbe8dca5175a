"""The simulated Entra: metadata, consent, tokens, and the keys that sign them. Part of the simulator.

Only what msal and threadlink ask for is there. A refresh token stays good until the consent ends; a new one comes with
each use, as Entra's do.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from connectors.mail.graph.simulator_client import CLIENT_ID, ClientKeys
from connectors.simulated_keys import Signer

TENANT_ID = "5d3b2f10-6a0e-4d0a-9a8b-0c1d2e3f4a5b"
CHANGE_TRACKING = "0bf30f3b-4a52-48df-9a82-234910c4a086"  # the application that sends notifications
TOKEN_LASTS_S = 3_999
AUTOMATIC = frozenset({"openid", "profile", "offline_access", "email"})
MAIL_SCOPES = ("Mail.Read", "Mail.ReadBasic", "Mail.ReadWrite", "Mail.Read.Shared", "Mail.ReadBasic.Shared")


class LoginRefusedError(Exception):
    """What a token request or a browser is refused with: Entra's error and its AADSTS number."""

    def __init__(self, error: str, code: int, message: str) -> None:
        super().__init__(message)
        self.error, self.code = error, code


@dataclass(frozen=True, slots=True)
class Grant:
    """What was agreed to: by the owner of a mailbox, or (with an empty address) for the application itself."""

    address: str
    scope: str
    number: int

    @property
    def may_read(self) -> bool:
        """Whether mail may be read at all."""
        return any(name.rpartition("/")[2] in {*MAIL_SCOPES, ".default"} for name in self.scope.split())

    @property
    def is_basic(self) -> bool:
        """Whether only what Mail.ReadBasic shows may be read."""
        names = {name.rpartition("/")[2] for name in self.scope.split()}
        return self.may_read and not names & {"Mail.Read", "Mail.ReadWrite", "Mail.Read.Shared", ".default"}


@dataclass(slots=True)
class _Code:
    grant: Grant
    redirect_uri: str
    challenge: str
    nonce: str


@dataclass
class Login:
    """Codes and tokens that were given out; the simulator's lock is held by whoever calls."""

    signer: Signer
    keys: ClientKeys
    refreshed: int = 0  # how often a refresh token was used
    _codes: dict[str, _Code] = field(default_factory=dict)
    _refresh: dict[str, Grant] = field(default_factory=dict)
    _access: dict[str, tuple[Grant, datetime]] = field(default_factory=dict)
    _ended: dict[int, int] = field(default_factory=dict)  # number of the grant -> AADSTS number
    _claims: set[str] = field(default_factory=set)  # access tokens that answer a claims challenge
    _made: int = 0

    def agree(self, authorization_url: str, address: str, *, without_mail: bool = False) -> str:
        """Give consent as the owner of a mailbox; return where the browser is sent. Raises LoginRefusedError."""
        query = {key: values[0] for key, values in parse_qs(urlsplit(authorization_url).query).items()}
        if query.get("client_id") != CLIENT_ID:
            raise LoginRefusedError("unauthorized_client", 700016, "The application was not found in the directory.")
        if query.get("response_type") != "code" or query.get("code_challenge_method") != "S256":
            raise LoginRefusedError("invalid_request", 900144, "The request body must contain a code_challenge.")
        asked = query.get("scope", "").split()
        scope = " ".join(name for name in asked if not (without_mail and "Mail." in name))
        code = self._name("code")
        grant = Grant(address, scope, self._made)
        self._codes[code] = _Code(grant, query["redirect_uri"], query["code_challenge"], query.get("nonce", ""))
        back = {"code": code, "state": query.get("state", ""), "session_state": self._name("session")}
        return f"{query['redirect_uri']}?{urlencode(back)}"

    def token(self, form: Mapping[str, str], tenant: str, user_ids: Mapping[str, str], now: datetime) -> dict[str, Any]:
        """Answer a token request. Raises LoginRefusedError."""
        self.keys.check(form)
        kind = form.get("grant_type")
        if kind == "client_credentials":
            if tenant in {"organizations", "common", "consumers"}:
                raise LoginRefusedError("invalid_request", 53003, "A tenant must be named for client credentials.")
            return self._answer(Grant("", form.get("scope", ""), 0), "", user_ids, now, form)
        if kind == "authorization_code":
            return self._exchange(form, user_ids, now)
        if kind != "refresh_token":
            raise LoginRefusedError("unsupported_grant_type", 70003, "The grant type is not supported.")
        grant = self._refresh.get(form.get("refresh_token", ""))
        if grant is None:
            raise LoginRefusedError("invalid_grant", 9002313, "The refresh token is malformed.")
        if grant.number in self._ended:
            raise LoginRefusedError("invalid_grant", self._ended[grant.number], "The provided grant has expired.")
        self.refreshed += 1
        return self._answer(grant, "", user_ids, now, form)

    def grant_of(self, token: str, now: datetime) -> Grant | None:
        """Return what an access token gives; None when it is unknown, has ended or was revoked."""
        grant, ends_at = self._access.get(token, (None, now))
        return grant if grant is not None and ends_at > now and grant.number not in self._ended else None

    def has_claims(self, token: str) -> bool:
        """Whether a token was asked for with a claims challenge."""
        return token in self._claims

    def end(self, address: str, code: int) -> None:
        """End every consent of a mailbox: its password was changed, it was disabled, the consent withdrawn."""
        self._ended |= {grant.number: code for grant in self._refresh.values() if grant.address == address}

    def validation_token(self, now: datetime, *, is_forged: bool = False) -> str:
        """Return the proof that comes with rich notifications."""
        issued = int(now.timestamp())
        claims = {
            "aud": CLIENT_ID,
            "iss": f"https://sts.windows.net/{TENANT_ID}/",
            "iat": issued - 60,
            "nbf": issued - 60,
            "exp": issued + 3_600,
            "appid": CHANGE_TRACKING,
            "azp": CHANGE_TRACKING,
            "tid": TENANT_ID,
            "ver": "1.0",
        }
        if not is_forged:
            return self.signer.sign(claims)
        forger = Signer()
        forger.number = self.signer.number + 1_000  # a key Microsoft never had, under the name of one it has
        return forger.sign(claims, kid=self.signer.key_id)

    def pane_token(self, issuer: str, address: str, user_id: str, now: datetime, **changed: Any) -> str:
        """Return the access token for threadlink's own API that the Outlook pane of a person is given."""
        issued = int(now.timestamp())
        claims = {
            "aud": CLIENT_ID,
            "iss": f"{issuer}/{TENANT_ID}/v2.0",
            "iat": issued,
            "nbf": issued,
            "exp": issued + TOKEN_LASTS_S,
            "azp": CLIENT_ID,
            "name": address.partition("@")[0].title(),
            "oid": user_id,
            "preferred_username": address,
            "scp": "access_as_user",
            "sub": _base64url({"pairwise": address}),
            "tid": TENANT_ID,
            "ver": "2.0",
        }
        return self.signer.sign({name: value for name, value in {**claims, **changed}.items() if value is not None})

    def metadata(self, origin: str, tenant: str, scheme: str = "https") -> dict[str, Any]:
        """Return the openid configuration of a tenant; its endpoints are named as https, like Microsoft's."""
        host = f"{scheme}://{urlsplit(origin).netloc}"
        shown = TENANT_ID if tenant not in {"organizations", "common", "consumers"} else tenant
        issuer = TENANT_ID if shown == TENANT_ID else "{tenantid}"
        return {
            "token_endpoint": f"{host}/{tenant}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "jwks_uri": f"{host}/{tenant}/discovery/v2.0/keys",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": f"https://login.microsoftonline.com/{issuer}/v2.0",
            "authorization_endpoint": f"{host}/{tenant}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{host}/{tenant}/oauth2/v2.0/devicecode",
            "end_session_endpoint": f"{host}/{tenant}/oauth2/v2.0/logout",
            "tenant_region_scope": None,
            "cloud_instance_name": "microsoftonline.com",
            "msgraph_host": urlsplit(origin).netloc,
        }

    def instances(self, origin: str) -> dict[str, Any]:
        """Return the instance discovery: which names are one and the same cloud."""
        host = urlsplit(origin).netloc
        return {
            "tenant_discovery_endpoint": f"https://{host}/organizations/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
        }

    def _exchange(self, form: Mapping[str, str], user_ids: Mapping[str, str], now: datetime) -> dict[str, Any]:
        code = self._codes.pop(form.get("code", ""), None)
        if code is None:
            raise LoginRefusedError("invalid_grant", 54005, "The authorization code was already redeemed.")
        if code.redirect_uri != form.get("redirect_uri"):
            raise LoginRefusedError("invalid_grant", 500112, "The reply address does not match.")
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(challenge).rstrip(b"=").decode() != code.challenge:
            raise LoginRefusedError("invalid_grant", 501481, "The code_verifier does not match the code_challenge.")
        return self._answer(code.grant, code.nonce, user_ids, now, form)

    def _answer(
        self, grant: Grant, nonce: str, user_ids: Mapping[str, str], now: datetime, form: Mapping[str, str]
    ) -> dict[str, Any]:
        access_token = self._name("access")
        self._access[access_token] = (grant, now + timedelta(seconds=TOKEN_LASTS_S))
        if "nbf" in form.get("claims", ""):  # what a challenge asks for; msal alone only says what it can do
            self._claims.add(access_token)
        answer: dict[str, Any] = {
            "token_type": "Bearer",
            "scope": " ".join(name for name in grant.scope.split() if name not in AUTOMATIC - {"openid", "profile"}),
            "expires_in": TOKEN_LASTS_S,
            "ext_expires_in": TOKEN_LASTS_S,
            "access_token": access_token,
        }
        if not grant.address:
            return {name: value for name, value in answer.items() if name != "scope"}
        refresh_token = self._name("refresh")
        self._refresh[refresh_token] = grant
        issued = int(now.timestamp())
        claims = {
            "aud": CLIENT_ID,
            "iss": f"https://login.microsoftonline.com/{TENANT_ID}/v2.0",
            "iat": issued,
            "nbf": issued,
            "exp": issued + TOKEN_LASTS_S,
            "name": grant.address.partition("@")[0].title(),
            "oid": user_ids[grant.address],
            "preferred_username": grant.address,
            "sub": _base64url({"pairwise": grant.address}),
            "tid": TENANT_ID,
            "ver": "2.0",
            **({"nonce": nonce} if nonce else {}),
        }
        return {
            **answer,
            "refresh_token": refresh_token,
            "id_token": self.signer.sign(claims),
            "client_info": _base64url({"uid": user_ids[grant.address], "utid": TENANT_ID}),
        }

    def _name(self, kind: str) -> str:
        self._made += 1
        return f"simulated-{kind}-{self._made}"


def _base64url(value: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
