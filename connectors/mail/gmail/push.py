"""Reads what Pub/Sub pushes: is it Google's, and which mailbox does it name. No mail API is called here.

What is pulled instead (pull.py) holds the same messages and is read by read_message().

Vendor page: cloud.google.com/pubsub/docs/authenticate-push-subscriptions
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from app.errors import NotificationForged, NotificationMalformed
from app.model import Notification
from app.ports import PushRequest
from connectors.mail.gmail.failures import PROVIDER
from connectors.mail.gmail.settings import GmailSettings
from connectors.mail.gmail.signed import SignedTokens, bearer, decode

LONGEST_BODY = 100_000


class PushReader:
    """Verifies and decodes pushes for one audience and one service account."""

    def __init__(self, settings: GmailSettings, public_base_url: str, tokens: SignedTokens) -> None:
        self._settings = settings
        self._audience = settings.push_audience or f"{public_base_url}/webhooks/{PROVIDER}"
        self._tokens = tokens

    def read(self, request: PushRequest) -> list[Notification]:
        """Return the mailbox a push names.

        Raises NotificationForged, NotificationMalformed or VerificationUnavailable.
        """
        token = bearer(request.headers.get("authorization", ""))
        self._tokens.of_service_account(token, self._audience, [self._settings.push_service_account])
        body = _json_object(request.body)
        is_wrapped = "message" in body
        name = (
            body.get("subscription", "") if is_wrapped else request.headers.get("x-goog-pubsub-subscription-name", "")
        )
        if self._settings.subscription and name not in ("", self._settings.subscription):
            raise NotificationForged("The push belongs to another subscription")
        return [read_message(body["message"]) if is_wrapped else _notification(body)]


def read_message(message: object) -> Notification:
    """Return the mailbox that a message of Pub/Sub names, pushed or pulled. Raises NotificationMalformed."""
    data = message.get("data") if isinstance(message, dict) else None
    if not isinstance(data, str):
        raise NotificationMalformed("The push carries no data")
    return _notification(_json_object(decode(data)))


def _notification(data: Mapping[str, Any]) -> Notification:
    address = data.get("emailAddress")
    # What cannot be printed (NUL, half a surrogate pair) cannot be stored either.
    if not isinstance(address, str) or not 3 <= len(address) <= 320 or "@" not in address or not address.isprintable():
        raise NotificationMalformed("The push names no mailbox")
    return Notification(PROVIDER, address.strip().lower(), _position(data.get("historyId")))


def _json_object(content: bytes) -> dict[str, Any]:
    try:
        read = json.loads(content) if len(content) <= LONGEST_BODY else None
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise NotificationMalformed("The push is not a JSON object")
    return read


def _position(value: object) -> str | None:
    """Read a history id, which Gmail sends as a number or as text; None when it is neither."""
    text = str(value) if isinstance(value, int | str) else ""
    return str(int(text)) if re.fullmatch(r"[0-9]{1,20}", text) else None
