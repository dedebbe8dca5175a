"""How a team's CRM is connected, and how a panel of ours inside the CRM knows who looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from app.model import RecordKind
from app.ports.crm import CrmIdentity
from app.ports.http import Authorization, PushRequest


@dataclass(frozen=True, slots=True)
class ConnectedCrm:
    """A CRM whose owner gave consent, or whose token works."""

    identity: CrmIdentity
    secrets: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)  # nothing secret: kept readable beside the connection


@dataclass(frozen=True, slots=True)
class CrmUninstall:
    """A CRM's word that a company took our access away."""

    company: str
    user_id: str = ""  # whose access ended; "" for the whole company's


class CrmConsent(Protocol):
    """How a CRM is connected (entry point `threadlink.crm_consent`): in the browser, with a token, or both.

    Only the embedded CRM, which there is nothing to ask, has none.
    """

    by_browser: bool  # an application of ours is set up at the CRM, so authorize() and connect() work
    options: Mapping[str, str]  # what connect_with_token() may be given, each with one line for `--option NAME=VALUE`

    def authorize(self, redirect_uri: str, state: str) -> Authorization:
        """Start the consent. Raises Unsupported unless by_browser."""
        ...

    def connect(self, redirect_uri: str, args: Mapping[str, str], kept: Mapping[str, str]) -> ConnectedCrm:
        """Turn what the browser brought back into a connected CRM. Raises AccessRevoked, AdminBlocked, …"""
        ...

    def connect_with_token(self, token: str, options: Mapping[str, str]) -> ConnectedCrm:
        """Try a token (or password) at the CRM. Raises Unsupported, AccessRevoked when it is wrong, Rejected."""
        ...

    def read_uninstall(self, request: PushRequest) -> CrmUninstall:
        """Verify and decode what the CRM sends to the redirect URI when our application is removed.

        Raises NotificationForged, NotificationMalformed, Unsupported.
        """
        ...


@dataclass(frozen=True, slots=True)
class PanelVisit:
    """Which of the CRM's users looks at which record; the CRM vouches for the user, not for the record."""

    company: str
    user_id: str
    kind: RecordKind
    external_id: str


class CrmPanel(Protocol):
    """A panel of ours inside the CRM's own pages (entry point `threadlink.crm_panel`)."""

    ancestors: str  # the sites that may frame it, as frame-ancestors of a Content-Security-Policy names them
    script: str  # a file of app/web/static/vendor that the CRM wants a panel to load; "" for none

    def read_visit(self, args: Mapping[str, str]) -> PanelVisit:
        """Verify and read a visit. Raises NotificationForged, NotificationMalformed, Unsupported."""
        ...
