"""OpenID Connect with one issuer: the way to its sign-in page, and who it says came back.

Authorization code with PKCE and a nonce; the token's signature and claims are verified here (OpenID Connect Core 1.0,
3.1.3.7; RFC 9700). What an issuer is shows in its metadata document alone, so a simulator can stand in. A person is
named by claims that never change, never by an e-mail address (threats.md W9).
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import requests
import structlog
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies

from app.errors import ApplicationMisconfigured, IssuerUnavailable, NotAllowed
from app.ports import Authorization, Clock

SCOPE = "openid email profile"
DOCUMENTS_LAST = timedelta(hours=24)
FETCH_AT_MOST_EVERY = timedelta(seconds=60)
CLOCK_SKEW_S = 60
TIMEOUT_S = (5, 10)  # to connect, to answer
LONGEST_ANSWER = 1_000_000
LONGEST_TOKEN = 16_000
LONGEST_CLAIM = 255
ANY_TENANT = "{tenantid}"  # in the issuer of an Entra application that every tenant may use
_TENANT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Issuer:
    """Where people sign in, as this installation is registered there."""

    name: str
    metadata_url: str
    client_id: str
    client_secret: str
    subject: tuple[str, ...]  # the claims that together name a person for good
    organization: str  # the claim that names who manages the person's account
    unmanaged: str = ""  # what that claim says of accounts that nobody but their owners manage


@dataclass(frozen=True, slots=True)
class Identity:
    """Who came back from an issuer."""

    issuer: str
    subject: str
    organization: str  # "" for an account that nobody but its owner manages
    name: str
    address: str  # to show, and to enter for who joins; recognises nobody


class OpenIdClient:
    """Speaks with one issuer; its metadata and keys are kept for a day, and old ones are used rather than none."""

    def __init__(self, issuer: Issuer, clock: Clock) -> None:
        self.issuer = issuer
        self._clock = clock
        self._metadata = _Document(lambda: self._get(issuer.metadata_url), clock)
        self._keys = _Document(lambda: self._get(self._endpoint("jwks_uri")), clock)

    def authorize(self, redirect_uri: str, state: str) -> Authorization:
        """Return the issuer's sign-in page for this state, and what identify() needs. Raises IssuerUnavailable."""
        verifier, nonce = secrets.token_urlsafe(64), secrets.token_urlsafe(32)
        with self._session(redirect_uri) as session:
            url, _ = session.create_authorization_url(
                self._endpoint("authorization_endpoint"),
                state=state,
                code_verifier=verifier,
                nonce=nonce,
                prompt="select_account",  # else a browser with one account never offers another
            )
        return Authorization(url, {"verifier": verifier, "nonce": nonce})

    def identify(self, redirect_uri: str, args: Mapping[str, str], kept: Mapping[str, str]) -> Identity:
        """Return who came back with these arguments.

        Raises NotAllowed (sign_in_declined, sign_in_not_proven), IssuerUnavailable, ApplicationMisconfigured.
        """
        self._check_sender(args)
        if args.get("error"):
            log.info("sign-in declined", issuer=self.issuer.name)
            raise NotAllowed("sign_in_declined")
        answer = self._exchange(redirect_uri, args.get("code", ""), kept["verifier"])
        claims = self._verified(answer, kept["nonce"])
        if args.get("iss", claims["iss"]) != claims["iss"]:
            raise self._not_proven("the answer came from another issuer than its token")
        return self._identity(claims)

    # --- what the issuer answers ---

    def _check_sender(self, args: Mapping[str, str]) -> None:
        """Refuse another issuer's answer before its code is sent anywhere (RFC 9207, threats.md W8)."""
        metadata = self._metadata.current()
        if metadata.get("authorization_response_iss_parameter_supported") is True and "iss" not in args:
            raise self._not_proven("the answer names no issuer")
        if "iss" in args and not self._is_issuer(args["iss"]):
            raise self._not_proven("the answer came from another issuer")

    def _exchange(self, redirect_uri: str, code: str, verifier: str) -> Mapping[str, Any]:
        if not code:
            raise self._not_proven("no code came back")
        url = self._endpoint("token_endpoint")
        try:
            with self._session(redirect_uri) as session:
                answer: Mapping[str, Any] = session.fetch_token(url, code=code, code_verifier=verifier, **_sending(url))
        except OAuthError as error:
            if error.error in ("invalid_client", "unauthorized_client"):
                raise ApplicationMisconfigured(provider=self.issuer.name, operation="sign_in") from error
            raise self._not_proven(f"the code was refused: {str(error.error)[:50]}") from error
        except (requests.RequestException, ValueError) as error:
            raise IssuerUnavailable from error
        return answer

    def _verified(self, answer: Mapping[str, Any], nonce: str) -> CodeIDToken:
        token = answer.get("id_token")
        if not isinstance(token, str) or len(token) > LONGEST_TOKEN:
            raise self._not_proven("no id token came back")
        try:
            signed = self._signed(token)
            claims = CodeIDToken(
                signed.claims,
                signed.header,
                options={
                    "iss": {"essential": True},
                    "aud": {"essential": True, "values": [self.issuer.client_id]},
                    "nonce": {"essential": True},
                },
                params={
                    "nonce": nonce,
                    "client_id": self.issuer.client_id,
                    "access_token": answer.get("access_token"),
                },
            )
            claims.validate(now=int(self._clock.now().timestamp()), leeway=CLOCK_SKEW_S)
        except (JoseError, ValueError, TypeError) as error:
            raise self._not_proven(type(error).__name__) from error
        if not self._is_issuer(claims["iss"], claims.get("tid")):
            raise self._not_proven("the token has another issuer")
        return claims

    def _signed(self, token: str) -> jwt.Token:
        """Verify the signature; a key that is not known yet is looked for once a minute at most."""
        try:
            return self._decode(token, self._keys.current())
        except (JoseError, ValueError):
            if not self._keys.fetch_again():
                raise
        return self._decode(token, self._keys.current())

    def _decode(self, token: str, keys: Mapping[str, Any]) -> jwt.Token:
        usable = {"keys": [key for key in keys.get("keys", []) if isinstance(key, dict) and key.get("kty") == "RSA"]}
        signed = jwt.decode(token, KeySet.import_key_set(usable), algorithms=["RS256"])  # type: ignore[arg-type]  # checked above
        key = next((key for key in usable["keys"] if key.get("kid") == signed.header.get("kid")), None)
        if key is None:
            raise ValueError("the token names no key")
        # Entra says of each key whose tokens it signs: learn.microsoft.com/entra/identity-platform/access-tokens
        signs_for = str(key.get("issuer", signed.claims.get("iss"))).replace(ANY_TENANT, str(signed.claims.get("tid")))
        if signs_for != signed.claims.get("iss"):
            raise ValueError("the key is another tenant's")
        return signed

    def _is_issuer(self, named: object, tenant: object = None) -> bool:
        """Whether this is the issuer of the metadata; of many tenants, with a tenant (or the tenant) filled in."""
        expected = str(self._metadata.current().get("issuer"))
        if ANY_TENANT not in expected:
            return bool(named == expected)
        if tenant is None:
            before, after = expected.split(ANY_TENANT, 1)
            tenant = str(named).removeprefix(before).removesuffix(after)
        return _TENANT.fullmatch(str(tenant)) is not None and named == expected.replace(ANY_TENANT, str(tenant))

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        subject = [claims.get(claim) for claim in self.issuer.subject]
        if not all(isinstance(each, str) and 0 < len(each) <= LONGEST_CLAIM for each in subject):
            raise self._not_proven("the token names nobody")
        # A claim `email` that the issuer has not verified is whatever its owner typed.
        address = claims.get("email") if claims.get("email_verified") is True else claims.get("preferred_username")
        organization = _short(claims.get(self.issuer.organization))
        return Identity(
            self.issuer.name,
            "/".join(str(each) for each in subject),
            "" if organization == self.issuer.unmanaged else organization,
            _short(claims.get("name")),
            _short(address),
        )

    def _not_proven(self, why: str) -> NotAllowed:
        log.warning("sign-in not proven", issuer=self.issuer.name, why=why)
        return NotAllowed("sign_in_not_proven")

    # --- asking it ---

    def _session(self, redirect_uri: str) -> OAuth2Session:
        session = OAuth2Session(
            self.issuer.client_id,
            self.issuer.client_secret,
            scope=SCOPE,
            redirect_uri=redirect_uri,
            token_endpoint_auth_method="client_secret_post",  # noqa: S106  # the name of a method
            code_challenge_method="S256",
        )
        _guard(session)
        return session

    def _endpoint(self, name: str) -> str:
        """Return an address of the metadata; https, unless the operator named the metadata itself without."""
        url = self._metadata.current().get(name)
        schemes = {"https", urlsplit(self.issuer.metadata_url).scheme}
        if not isinstance(url, str) or urlsplit(url).scheme not in schemes:
            log.error("issuer names no usable address", issuer=self.issuer.name, address=name)
            raise IssuerUnavailable
        return url

    def _get(self, url: str) -> dict[str, Any]:
        with requests.Session() as session:
            _guard(session)
            answer = session.get(url, **_sending(url))
        answer.raise_for_status()
        document = answer.json()
        if not isinstance(document, dict):
            raise TypeError("not a document")
        return document


class _Document:
    """A document of the issuer: fetched when it is a day old, at most once a minute, and kept when that fails."""

    def __init__(self, fetch: Callable[[], dict[str, Any]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._document: dict[str, Any] | None = None
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._tries = 0  # that have ended
        self._fetching = threading.Lock()

    def current(self) -> dict[str, Any]:
        """Return the document. Raises IssuerUnavailable when there never was one."""
        if self._fetched_at is None or abs(self._clock.now() - self._fetched_at) > DOCUMENTS_LAST:
            self.fetch_again()
        if self._document is None:
            raise IssuerUnavailable
        return self._document

    def fetch_again(self) -> bool:
        """Fetch the document, unless that was tried within a minute; return whether there is a new one."""
        # With a document at hand nobody waits for the one thread that fetches; without any, everybody waits for it and
        # takes what it got: one after the other, each would wait for all before it.
        tries = self._tries
        if not self._fetching.acquire(blocking=self._document is None):
            return False
        try:
            if self._tries != tries:
                return self._document is not None
            now = self._clock.now()
            is_too_soon = self._tried_at is not None and abs(now - self._tried_at) < FETCH_AT_MOST_EVERY
            if is_too_soon and self._document is not None:
                return False
            self._tried_at = now
            self._document, self._fetched_at = self._fetch(), now
        except (requests.RequestException, IssuerUnavailable, ValueError, TypeError) as error:
            log.warning("issuer did not answer", error=type(error).__name__)
            return False
        finally:
            self._tries += 1
            self._fetching.release()
        return True


class _CappedAdapter(HTTPAdapter):
    """Reads no more of an answer than it may be long (threats.md W14)."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        answer = super().send(request, *args, **{**kwargs, "stream": True})
        with answer:
            body = answer.raw.read(LONGEST_ANSWER + 1, decode_content=True)
        if len(body) > LONGEST_ANSWER:
            raise requests.exceptions.ContentDecodingError("The answer is too long")
        answer._content, answer._content_consumed = body, True  # type: ignore[attr-defined]  # noqa: SLF001  # requests has no other place for a body that was read
        return answer


def _guard(session: requests.Session) -> None:
    session.trust_env = False  # a .netrc must not add its own passwords
    session.mount("https://", _CappedAdapter())
    session.mount("http://", _CappedAdapter())


def _sending(url: str) -> dict[str, Any]:
    return {"timeout": TIMEOUT_S, "allow_redirects": False, "proxies": get_environ_proxies(url)}


def _short(claim: object) -> str:
    return claim.replace("\x00", "")[:LONGEST_CLAIM] if isinstance(claim, str) else ""
