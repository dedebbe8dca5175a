"""What Google sends when somebody uses a Gmail add-on, signed as Google signs. Part of the simulator."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.ports import Clock
from connectors.mail.gmail.simulator_google import ISSUER, Consents
from connectors.mail.gmail.simulator_mailbox import SimulatedMailbox
from connectors.simulated_keys import Signer

ADDON_SERVICE_ACCOUNT = "service-1@gcp-sa-gsuiteaddons.iam.gserviceaccount.test"
ADDON_CLIENT_ID = "simulated-addon.apps.googleusercontent.test"
TOKEN_LASTS_S = 3600


@dataclass(frozen=True, slots=True)
class AddonClick:
    """What somebody does in the add-on: in whose mailbox, beside which message, with which fields and parameters."""

    address: str
    message_id: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    locale: str = "en"
    time_zone: str = "UTC"


class SimulatedAddon:
    """Google as the host of one add-on; `withheld` are the permissions its users did not give."""

    def __init__(
        self,
        mailboxes: Mapping[str, SimulatedMailbox],
        consents: Consents,
        signer: Signer,
        clock: Clock,
        lock: threading.RLock,
    ) -> None:
        self._mailboxes = mailboxes
        self._consents = consents
        self._signer = signer
        self._clock = clock
        self._lock = lock
        self.scopes: tuple[str, ...] = (
            "https://www.googleapis.com/auth/userinfo.email",
            "https://www.googleapis.com/auth/gmail.addons.execute",
            "https://www.googleapis.com/auth/gmail.addons.current.message.metadata",
        )
        self.withheld: frozenset[str] = frozenset()

    def call(self, url: str, click: AddonClick, **claims: Any) -> tuple[dict[str, str], bytes]:
        """Return headers and body of the call Google makes; `claims` replace those of Google's own token."""
        now = self._clock.now()
        mailbox = self._mailboxes[click.address.lower()]
        given = [scope for scope in self.scopes if scope not in self.withheld]
        system_token = self._signer.sign({**system_claims(url, now), **claims})
        authorization: dict[str, Any] = {"systemIdToken": system_token, "authorizedScopes": given}
        if any(scope.endswith("userinfo.email") for scope in given):
            authorization["userIdToken"] = self._signer.sign(user_claims(mailbox, now))
        gmail = {}
        if click.message_id:
            message_token = f"simulated-message-token-{click.message_id}"
            gmail = {
                "messageId": f"msg-f:{int(click.message_id, 16)}",
                "threadId": f"thread-f:{int(click.message_id, 16)}",
                "accessToken": message_token,
            }
        with self._lock:
            lent_for = (click.message_id, gmail.get("accessToken", ""))
            authorization["userOAuthToken"] = self._consents.lend(mailbox.address, given, lent_for, now)
        fields = {name: {"stringInputs": {"value": list(values)}} for name, values in click.inputs.items()}
        event = {
            "commonEventObject": {
                "hostApp": "GMAIL",
                "platform": "WEB",
                "userLocale": click.locale,
                "timeZone": {"id": click.time_zone, "offset": "0"},
                "parameters": dict(click.parameters),
                **({"formInputs": fields} if fields else {}),
            },
            "authorizationEventObject": authorization,
            **({"gmail": gmail} if gmail else {}),
        }
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {system_token}"}
        return headers, json.dumps(event).encode()


def system_claims(url: str, now: datetime) -> dict[str, Any]:
    """Return the claims of Google's own token for a URL of the add-on."""
    issued = int(now.timestamp())
    return {
        "iss": ISSUER,
        "aud": url,
        "azp": "103774264463038321964",
        "sub": "103774264463038321964",
        "email": ADDON_SERVICE_ACCOUNT,
        "email_verified": True,
        "iat": issued,
        "exp": issued + TOKEN_LASTS_S,
    }


def user_claims(mailbox: SimulatedMailbox, now: datetime) -> dict[str, Any]:
    """Return the claims of the token that says who uses the add-on."""
    issued = int(now.timestamp())
    return {
        "iss": ISSUER,
        "aud": ADDON_CLIENT_ID,
        "azp": ADDON_CLIENT_ID,
        "sub": mailbox.user_id,
        "email": mailbox.address,
        "email_verified": True,
        "iat": issued,
        "exp": issued + TOKEN_LASTS_S,
    }
