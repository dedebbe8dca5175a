"""What a MailConnector offers besides when its vendor shows us beside a message: an add-on, or a page of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from app.model import ProviderMessage
from app.ports.http import PushRequest


@dataclass(frozen=True, slots=True)
class AddonCall:
    """What somebody did in an add-on that a vendor shows beside a mailbox; the vendor vouches for who it is.

    `parameters` and `inputs` come from that person's screen: like all that is asked, they are judged by the person's
    rights.
    """

    user_id: str  # as `provider_user_id` or `mailbox` of a ConnectedMailbox; "" when the person does not let us know it
    issuer: str = ""  # what signing in calls the OpenID Connect issuer to which `user_id` is a person too
    address: str = ""  # what people call that person's mailbox: for showing, never for knowing somebody by it
    message_id: str = ""  # the provider's id of the open message; "" when none is open
    locale: str = ""
    time_zone: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()  # permissions that the person did not give, as the vendor calls them
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)  # of this call alone, for read_open_message()


@runtime_checkable
class AddonConnector(Protocol):
    """What a MailConnector offers besides when its vendor shows an add-on of ours beside a message."""

    def read_addon_call(self, request: PushRequest, url: str) -> AddonCall:
        """Verify that the vendor called this very URL for our add-on, and read the call; the mail API is not asked.

        Raises NotificationForged, NotificationMalformed or VerificationUnavailable.
        """
        ...

    def read_open_message(self, call: AddonCall) -> ProviderMessage | None:
        """Read the headers of the open message with what the call brought; None when it is gone, or was not allowed.

        Raises ProviderError.
        """
        ...


@dataclass(frozen=True, slots=True)
class PaneSignIn:
    """What a page of ours needs that a vendor frames beside a message: its script, and how its people sign in there."""

    client_id: str
    authority: str
    scope: str  # of the access token for our own API
    script_url: str


@runtime_checkable
class PaneConnector(Protocol):
    """What a MailConnector offers besides when its vendor frames a page of ours beside a message (Outlook)."""

    pane_sign_in: PaneSignIn

    def read_pane_token(self, token: str) -> AddonCall:
        """Verify an access token that the vendor gave the page for our own API; return who it is, and nothing else.

        `user_id` is as `ConnectedMailbox.mailbox`. Raises NotificationForged or VerificationUnavailable.
        """
        ...
