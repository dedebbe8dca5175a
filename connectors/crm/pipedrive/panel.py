"""The panel of ours that Pipedrive shows beside a deal, a person or an organization: whose screen it is on.

Vendor pages: pipedrive.readme.io/docs/custom-ui-extensions-panels; devcommunity.pipedrive.com/t/7347: the token is
signed with the panel's secret, or with the app's.
"""

from __future__ import annotations

from collections.abc import Mapping

import jwt

from app.errors import NotificationForged, NotificationMalformed, Unsupported
from app.model import RecordKind
from app.ports import Clock, PanelVisit
from connectors.crm.pipedrive import mapping
from connectors.crm.pipedrive.failures import PROVIDER
from connectors.crm.pipedrive.settings import PipedriveSettings

LONGEST_TOKEN = 4_000
CLOCK_SKEW_S = 60
_KINDS: Mapping[str, RecordKind] = {"deal": "deal", "person": "person", "organization": "organization"}


class PipedrivePanel:
    """ports.CrmPanel for Pipedrive."""

    ancestors = "https://*.pipedrive.com"
    script = "pipedrive-app-extensions-sdk.js"

    def __init__(self, settings: PipedriveSettings, clock: Clock) -> None:
        self._secret = settings.panel_secret.get_secret_value() or settings.client_secret.get_secret_value()
        self._clock = clock

    def read_visit(self, args: Mapping[str, str]) -> PanelVisit:
        """Verify who looks and read at what. Raises NotificationForged, NotificationMalformed, Unsupported."""
        if not self._secret:
            raise Unsupported("No Pipedrive app is set up.", provider=PROVIDER, operation="read_visit")
        claims = self._verified(args.get("token", ""))
        company, user = mapping.number(claims.get("companyId")), mapping.number(claims.get("userId"))
        kind, external_id = _KINDS.get(args.get("resource", "")), mapping.number(args.get("selectedIds"))
        if company is None or user is None or kind is None or external_id is None:
            raise NotificationMalformed("The panel names no user, company or record.")
        return PanelVisit(company, user, kind, external_id)

    def _verified(self, token: str) -> Mapping[str, object]:
        if len(token) > LONGEST_TOKEN:
            raise NotificationForged("The token is too long.")
        try:
            claims: Mapping[str, object] = jwt.decode(
                token,
                self._secret,
                algorithms=["HS256"],
                options={"require": ["exp"], "verify_exp": False, "verify_iat": False, "verify_aud": False},
            )
        except jwt.PyJWTError as error:
            raise NotificationForged(type(error).__name__) from error
        expires = claims["exp"]  # by our clock, which tests set
        if not isinstance(expires, int | float) or expires + CLOCK_SKEW_S < self._clock.now().timestamp():
            raise NotificationForged("The token has expired.")
        return claims
