"""Who is at the Outlook pane: the access token for our own API that Entra gave the pane.

A person is the tenant and the object id together, as `mailbox` of a Graph account and the OpenID identity have them,
never an address. Vendor pages: learn.microsoft.com/entra/identity-platform/access-tokens,
learn.microsoft.com/office/dev/add-ins/develop/enable-nested-app-authentication-in-your-add-in
"""

from __future__ import annotations

import re
from typing import Any

import jwt

from app.errors import NotificationForged
from app.ports import AddonCall, Clock, PaneSignIn
from connectors.mail.graph.auth import PERSONAL_TENANT
from connectors.mail.graph.settings import GraphSettings
from connectors.mail.graph.signing_keys import SigningKeys

SCOPE = "access_as_user"
ISSUER = "microsoft"  # what signing in calls it (bootstrap.sign_in_issuers)
CLOCK_SKEW_S = 60
LONGEST_TOKEN = 8_000
REQUIRED = ("exp", "nbf", "iss", "aud", "tid", "oid", "scp")

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class PaneTokens:
    """Verifies the tokens of one application registration."""

    def __init__(self, settings: GraphSettings, clock: Clock, keys: SigningKeys) -> None:
        self._settings = settings
        self._clock = clock
        self._keys = keys
        self.sign_in = PaneSignIn(
            client_id=settings.client_id,
            authority=f"{settings.login_url}/{settings.tenant}",
            scope=f"api://{settings.client_id}/{SCOPE}",
            script_url=settings.office_js_url,
        )

    def read(self, token: str) -> AddonCall:
        """Return whose token it is. Raises NotificationForged, VerificationUnavailable."""
        claims = self._claims(token)
        tenant, person = claims["tid"], claims["oid"]
        if not self._is_allowed(tenant) or not isinstance(person, str) or not _ID.fullmatch(person):
            raise NotificationForged("The token is of nobody who may use the pane")
        scopes = claims["scp"]
        if not isinstance(scopes, str) or SCOPE not in scopes.split():
            raise NotificationForged("The token is not for us to act with")
        address = claims.get("preferred_username")
        return AddonCall(
            user_id=f"{tenant}/{person}",
            issuer=ISSUER,
            address=address.lower() if isinstance(address, str) and _is_shown(address) else "",
        )

    def _claims(self, token: str) -> dict[str, Any]:
        """Return the claims of a token that is Entra's, for us, of now."""
        if not self._settings.client_id or len(token) > LONGEST_TOKEN:
            raise NotificationForged("No such token is taken")
        try:
            key = self._keys.find(str(jwt.get_unverified_header(token).get("kid")))
            if key is None:
                raise NotificationForged("The token is not signed by Entra")
            claims: dict[str, Any] = jwt.decode(
                token,
                key.public,
                algorithms=["RS256"],
                audience=self._settings.client_id,
                # The times are compared with the clock we were given, below.
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "require": list(REQUIRED)},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise NotificationForged("The token is not Entra's, or not for us") from error
        now_s, begins, ends = self._clock.now().timestamp(), claims["nbf"], claims["exp"]
        is_time = isinstance(begins, int) and isinstance(ends, int)
        if not is_time or not begins - CLOCK_SKEW_S <= now_s <= ends + CLOCK_SKEW_S:
            raise NotificationForged("The token has expired")
        issuer = f"{self._settings.login_url}/{claims['tid']}/v2.0"
        if claims["iss"] != issuer or not key.signs_for(issuer, str(claims["tid"])):
            raise NotificationForged("The token has another issuer")
        return claims

    def _is_allowed(self, tenant: object) -> bool:
        """Whether people of a tenant may use the pane; a domain in GRAPH_TENANT names none, GRAPH_PANE_TENANTS does."""
        if not isinstance(tenant, str) or not _ID.fullmatch(tenant):
            return False
        if self._settings.pane_tenants:
            return tenant in self._settings.pane_tenants
        if self._settings.tenant == "organizations":
            return tenant != PERSONAL_TENANT
        if self._settings.tenant == "consumers":
            return tenant == PERSONAL_TENANT
        return tenant == self._settings.tenant.lower()


def _is_shown(address: str) -> bool:
    return len(address) <= 320 and address.isprintable()
