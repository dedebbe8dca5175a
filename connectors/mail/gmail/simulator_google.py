"""The simulated Google around the mailboxes: signing keys, consent, tokens. Part of the simulator."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

CLIENT_ID = "simulated.apps.googleusercontent.test"
CLIENT_SECRET = "simulated-secret"  # noqa: S105  # the simulator's own
PUSH_SERVICE_ACCOUNT = "push@simulated.iam.gserviceaccount.test"
ISSUER = "https://accounts.google.com"
TOKEN_LASTS_S = 3599
PUSH_TOKEN_LASTS_S = 3600


@cache
def _key(number: int) -> tuple[rsa.RSAPrivateKey, str]:
    """Make a key and its certificate, once for each number in a process: making one takes a moment."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"simulated-{number}")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), number + 1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2040, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    return key, certificate.public_bytes(serialization.Encoding.PEM).decode()


class Signer:
    """Signs as Google does and shows the certificates; `rotate` brings a new key in."""

    def __init__(self) -> None:
        self.number = 0

    @property
    def key_id(self) -> str:
        """The id of the key that signs now."""
        return f"simulated-key-{self.number}"

    def rotate(self) -> None:
        """Sign with a new key from now on; the one before stays published."""
        self.number += 1

    def certificates(self) -> dict[str, str]:
        """Return key id to PEM, as /oauth2/v1/certs does."""
        return {f"simulated-key-{n}": _key(n)[1] for n in range(max(0, self.number - 1), self.number + 1)}

    def sign(self, claims: Mapping[str, Any], **header: Any) -> str:
        """Return a JWT with these claims; `header` replaces what its header says."""
        shown = {"alg": "RS256", "kid": self.key_id, "typ": "JWT", **header}
        signed = f"{_segment(shown)}.{_segment(claims)}"
        signature = _key(self.number)[0].sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _segment(value: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class ConsentRefusedError(Exception):
    """What a browser or a token request is refused with; the text is Google's error code."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a mailbox owner agreed to."""

    address: str
    scope: str
    number: int


@dataclass(slots=True)
class _Code:
    grant: Grant
    redirect_uri: str
    challenge: str


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
        self._codes[code] = _Code(grant, query["redirect_uri"], query["code_challenge"])
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
        return self._answer(grant, user_ids, now)

    def owner_of(self, token: str, now: datetime) -> Grant | None:
        """Return whose access token this is; None when it is unknown, has ended or was revoked."""
        grant, ends_at = self._access.get(token, (None, now))
        return grant if grant is not None and ends_at > now and grant.number not in self._revoked else None

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
        return {**self._answer(code.grant, user_ids, now), "refresh_token": refresh_token}

    def _answer(self, grant: Grant, user_ids: Mapping[str, str], now: datetime) -> dict[str, Any]:
        access_token = self._name("access")
        self._access[access_token] = (grant, datetime.fromtimestamp(now.timestamp() + TOKEN_LASTS_S, UTC))
        issued = int(now.timestamp())
        claims: dict[str, Any] = {"iss": ISSUER, "azp": CLIENT_ID, "aud": CLIENT_ID, "sub": user_ids[grant.address]}
        claims |= {"email": grant.address, "email_verified": True, "iat": issued, "exp": issued + TOKEN_LASTS_S}
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
