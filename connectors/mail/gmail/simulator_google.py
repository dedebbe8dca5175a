"""The simulated Google around the mailboxes: signing keys, consent, tokens. Part of the simulator."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from connectors.simulated_keys import Signer

CLIENT_ID = "simulated.apps.googleusercontent.test"
CLIENT_SECRET = "simulated-secret"  # noqa: S105  # the simulator's own
PUSH_SERVICE_ACCOUNT = "push@simulated.iam.gserviceaccount.test"
ISSUER = "https://accounts.google.com"
TOKEN_LASTS_S = 3599
PUSH_TOKEN_LASTS_S = 3600


class ConsentRefusedError(Exception):
    """What a browser or a token request is refused with; the text is Google's error code."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a mailbox owner agreed to."""

    address: str
    scope: str
    number: int
    lent_for: tuple[str, str] | None = None  # the one message an add-on's token reads, and the token of that message


@dataclass(slots=True)
class _Code:
    grant: Grant
    redirect_uri: str
    challenge: str
    nonce: str


@dataclass
class Consents:
    """Codes, refresh tokens and access tokens that were given out; the simulator's lock is held by whoever calls."""

    signer: Signer
    _codes: dict[str, _Code] = field(default_factory=dict)
    _refresh: dict[str, Grant] = field(default_factory=dict)
    _access: dict[str, tuple[Grant, datetime]] = field(default_factory=dict)
    _revoked: set[int] = field(default_factory=set)
    _made: int = 0

    def agree(self, authorization_url: str, address: str, *, without_gmail: bool = False) -> str:
        """Give consent as the owner of a mailbox; return where the browser is sent. Raises ConsentRefusedError."""
        query = {key: values[0] for key, values in parse_qs(urlsplit(authorization_url).query).items()}
        if query.get("client_id") != CLIENT_ID:
            raise ConsentRefusedError("invalid_client")
        if query.get("response_type") != "code" or query.get("code_challenge_method") != "S256":
            raise ConsentRefusedError("invalid_request")
        asked = query.get("scope", "").replace("email", "https://www.googleapis.com/auth/userinfo.email", 1).split()
        scope = " ".join(name for name in asked if not (without_gmail and "/auth/gmail" in name))
        code = self._name("code")
        grant = Grant(address, scope, self._made)
        self._codes[code] = _Code(grant, query["redirect_uri"], query["code_challenge"], query.get("nonce", ""))
        back = {"state": query.get("state", ""), "iss": ISSUER, "code": code, "scope": scope, "authuser": "0"}
        return f"{query['redirect_uri']}?{urlencode(back)}"

    def token(self, form: Mapping[str, str], user_ids: Mapping[str, str], now: datetime) -> dict[str, Any]:
        """Answer a token request. Raises ConsentRefusedError with Google's error code."""
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            raise ConsentRefusedError("invalid_client")
        if form.get("grant_type") == "authorization_code":
            return self._exchange(form, user_ids, now)
        if form.get("grant_type") != "refresh_token":
            raise ConsentRefusedError("unsupported_grant_type")
        grant = self._refresh.get(form.get("refresh_token", ""))
        if grant is None or grant.number in self._revoked:
            raise ConsentRefusedError("invalid_grant")
        return self._answer(grant, "", user_ids, now)

    def owner_of(self, token: str, now: datetime) -> Grant | None:
        """Return whose access token this is; None when it is unknown, has ended or was revoked."""
        grant, ends_at = self._access.get(token, (None, now))
        return grant if grant is not None and ends_at > now and grant.number not in self._revoked else None

    def lend(self, address: str, scopes: Sequence[str], lent_for: tuple[str, str], now: datetime) -> str:
        """Return an access token for an add-on that is open beside one message."""
        token = self._name("lent")
        grant = Grant(address, " ".join(scopes), self._made, lent_for)
        self._access[token] = (grant, datetime.fromtimestamp(now.timestamp() + TOKEN_LASTS_S, UTC))
        return token

    def revoke(self, token: str) -> bool:
        """End the consent a token belongs to; return whether there was one."""
        grant = self._refresh.get(token) or self._access.get(token, (None, None))[0]
        if grant is None or grant.number in self._revoked:
            return False
        self.revoke_all(grant.address)
        return True

    def revoke_all(self, address: str) -> None:
        """End every consent of a mailbox: at Google it belongs to the project, not to the one token."""
        self._revoked |= {grant.number for grant in self._refresh.values() if grant.address == address}

    def _exchange(self, form: Mapping[str, str], user_ids: Mapping[str, str], now: datetime) -> dict[str, Any]:
        code = self._codes.pop(form.get("code", ""), None)
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if code is None or code.redirect_uri != form.get("redirect_uri"):
            raise ConsentRefusedError("invalid_grant")
        if base64.urlsafe_b64encode(challenge).rstrip(b"=").decode() != code.challenge:
            raise ConsentRefusedError("invalid_grant")
        refresh_token = self._name("refresh")
        self._refresh[refresh_token] = code.grant
        return {**self._answer(code.grant, code.nonce, user_ids, now), "refresh_token": refresh_token}

    def _answer(self, grant: Grant, nonce: str, user_ids: Mapping[str, str], now: datetime) -> dict[str, Any]:
        access_token = self._name("access")
        self._access[access_token] = (grant, datetime.fromtimestamp(now.timestamp() + TOKEN_LASTS_S, UTC))
        issued = int(now.timestamp())
        claims: dict[str, Any] = {"iss": ISSUER, "azp": CLIENT_ID, "aud": CLIENT_ID, "sub": user_ids[grant.address]}
        claims |= {"email": grant.address, "email_verified": True, "iat": issued, "exp": issued + TOKEN_LASTS_S}
        claims |= {"name": grant.address.partition("@")[0].title(), **({"nonce": nonce} if nonce else {})}
        domain = grant.address.partition("@")[2]
        claims |= {} if domain == "gmail.com" else {"hd": domain}  # a Workspace account says whose it is
        return {
            "access_token": access_token,
            "expires_in": TOKEN_LASTS_S,
            "scope": grant.scope,
            "token_type": "Bearer",
            "id_token": self.signer.sign(claims),
        }

    def _name(self, kind: str) -> str:
        self._made += 1
        return f"simulated-{kind}-{self._made}"


def metadata(origin: str) -> dict[str, Any]:
    """Return Google's OpenID Connect metadata, with the addresses of this server."""
    return {
        "issuer": ISSUER,
        "authorization_endpoint": f"{origin}/o/oauth2/v2/auth",
        "token_endpoint": f"{origin}/token",
        "revocation_endpoint": f"{origin}/revoke",
        "jwks_uri": f"{origin}/oauth2/v3/certs",
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "email", "profile"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "code_challenge_methods_supported": ["plain", "S256"],
        "authorization_response_iss_parameter_supported": True,
    }


def push_claims(audience: str, now: datetime) -> dict[str, Any]:
    """Return the claims of a push token for an audience."""
    issued = int(now.timestamp())
    return {
        "iss": ISSUER,
        "aud": audience,
        "azp": "113774264463038321964",
        "sub": "113774264463038321964",
        "email": PUSH_SERVICE_ACCOUNT,
        "email_verified": True,
        "iat": issued,
        "exp": issued + PUSH_TOKEN_LASTS_S,
    }
