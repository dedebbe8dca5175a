"""The keys that Entra signs with, kept for a day; what they sign is verified in rich.py and pane.py.

Vendor page: learn.microsoft.com/entra/identity-platform/signing-key-rollover
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt

from app.errors import ProviderError, VerificationUnavailable
from app.ports import Clock
from connectors.http import OutgoingHttp
from connectors.mail.graph.auth import LOGIN_HOSTS
from connectors.mail.graph.failures import PROVIDER
from connectors.mail.graph.settings import GraphSettings

KEYS_LAST = timedelta(hours=24)
REFRESH_AT_MOST_EVERY = timedelta(seconds=60)
FETCH_TIMEOUT_S = 2.0  # Graph itself waits 3 for our answer to a notification
ANY_TENANT = "{tenantid}"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key, and the issuer whose tokens it signs: {tenantid} in it is every tenant, "" says nothing."""

    public: Any
    issuer: str

    def signs_for(self, issuer: str, tenant: str) -> bool:
        """Whether a token of this issuer may be signed with the key."""
        return not self.issuer or self.issuer.replace(ANY_TENANT, tenant) == issuer


class SigningKeys:
    """Entra's public keys by their id; old ones are used rather than none."""

    def __init__(self, settings: GraphSettings, clock: Clock) -> None:
        self._url = f"{settings.login_url}/common/discovery/v2.0/keys"
        self._clock = clock
        self._http = OutgoingHttp(PROVIDER, LOGIN_HOSTS, settings.changed_urls, timeout_s=FETCH_TIMEOUT_S)
        self._keys: dict[str, SigningKey] = {}
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._fetching = threading.Lock()

    def find(self, key_id: str) -> SigningKey | None:
        """Return a key. Raises VerificationUnavailable while none could be fetched at all."""
        now = self._clock.now()
        is_old = self._fetched_at is None or abs(now - self._fetched_at) > KEYS_LAST
        if key_id not in self._keys or is_old:
            with self._fetching:
                self._refresh(now)
        if not self._keys:
            raise VerificationUnavailable("Microsoft's signing keys could not be fetched")
        return self._keys.get(key_id)

    def _refresh(self, now: datetime) -> None:
        # A key that nobody knows is looked for once a minute at most, whoever asks (threats.md W1).
        if self._tried_at is not None and abs(now - self._tried_at) < REFRESH_AT_MOST_EVERY:
            return
        self._tried_at = now
        try:
            answer = self._http.request("GET", self._url, operation="keys")
            listed = answer.json()["keys"] if answer.status == 200 else []
            keys = {
                str(entry["kid"]): SigningKey(jwt.PyJWK(entry, algorithm="RS256").key, str(entry.get("issuer", "")))
                for entry in listed
            }
        except (ProviderError, jwt.PyJWTError, ValueError, TypeError, KeyError):
            return  # the keys we have stay in use
        if keys:
            self._keys, self._fetched_at = keys, now
