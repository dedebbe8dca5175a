"""Reads what Graph pushes: is it for a subscription of ours, and which mailbox is it about. Graph is not called here.

What proves a notification is its clientState, a secret of its subscription: it names the mailbox and is sealed with a
secret of the installation, so any process can check it without asking the database, and any account of a mailbox may
take over the subscription that another made. An item that does not fit is left out; the others of the batch count.
Vendor pages: learn.microsoft.com/graph/change-notifications-delivery-webhooks,
learn.microsoft.com/graph/change-notifications-lifecycle-events
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import uuid
from collections.abc import Mapping
from typing import Any

from app.errors import NotificationForged, NotificationMalformed
from app.model import Handshake, Notification
from app.ports import PushRequest
from connectors.mail.graph.failures import PROVIDER
from connectors.mail.graph.rich import RichNotifications

LONGEST_VALIDATION_TOKEN = 2_048
LONGEST_CLIENT_STATE = 128  # Graph's own limit
MAX_ITEMS = 2_000
_NONCE_BYTES, _SEAL_BYTES = 12, 20
# What a lifecycle event says about the subscription; `missed` only says that mail may have been missed.
_RENEWING = frozenset({"reauthorizationRequired", "subscriptionRemoved"})


class ClientStates:
    """Makes and checks the secrets of subscriptions: nonce, mailbox, seal."""

    def __init__(self, secret: bytes) -> None:
        self._key = hashlib.sha256(b"threadlink graph clientState\0" + secret).digest()

    def new(self, mailbox: str) -> str:
        """Return a fresh clientState for a subscription to this mailbox; no two are equal."""
        content = secrets.token_bytes(_NONCE_BYTES) + _packed(mailbox)
        state = base64.urlsafe_b64encode(self._seal(content) + content).rstrip(b"=").decode()
        if len(state) > LONGEST_CLIENT_STATE:
            raise ValueError("The name of the mailbox is too long for a clientState")
        return state

    def mailbox(self, state: object) -> str | None:
        """Return the mailbox a clientState was made for, or None when it is none of ours."""
        if not isinstance(state, str) or not state.isascii() or len(state) > LONGEST_CLIENT_STATE:
            return None
        try:
            whole = base64.urlsafe_b64decode(state + "=" * (-len(state) % 4))
        except ValueError:
            return None
        seal, content = whole[:_SEAL_BYTES], whole[_SEAL_BYTES:]
        if not hmac.compare_digest(seal, self._seal(content)):
            return None
        return _unpacked(content[_NONCE_BYTES:])

    def _seal(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, "sha256")[:_SEAL_BYTES]


def _packed(mailbox: str) -> bytes:
    """Write a mailbox in few bytes: two GUIDs mostly, which as text would not leave room for the seal."""
    try:
        tenant, user = (uuid.UUID(name) for name in mailbox.split("/"))
    except ValueError:
        return b"t" + mailbox.encode()
    packed = b"g" + tenant.bytes + user.bytes
    return packed if _unpacked(packed) == mailbox else b"t" + mailbox.encode()


def _unpacked(packed: bytes) -> str:
    if packed[:1] == b"g":
        return f"{uuid.UUID(bytes=packed[1:17])}/{uuid.UUID(bytes=packed[17:])}"
    return packed[1:].decode()


class PushReader:
    """Reads notifications and lifecycle events, which come to the same address."""

    def __init__(self, states: ClientStates, rich: RichNotifications | None) -> None:
        self._states = states
        self._rich = rich

    def read(self, request: PushRequest) -> list[Notification] | Handshake:
        """Return one notification for each mailbox that a batch is about, or the answer to a validation.

        Raises NotificationForged when not one item is for a subscription of ours, NotificationMalformed,
        VerificationUnavailable.
        """
        token = request.args.get("validationToken")
        if token is not None:  # before anything is parsed: the body is empty
            return _handshake(token)
        items, tokens = _items(request.body)
        genuine = [(mailbox, item) for item in items if (mailbox := self._states.mailbox(item.get("clientState")))]
        if self._rich is not None and genuine:
            genuine = self._rich.genuine(genuine, tokens)
        if items and not genuine:
            raise NotificationForged("No item carries the secret of a subscription of ours")
        renewing: dict[str, bool] = {}
        for mailbox, item in genuine:
            renewing[mailbox] = renewing.get(mailbox, False) or item.get("lifecycleEvent") in _RENEWING
        return [Notification(PROVIDER, mailbox, renew=renew) for mailbox, renew in renewing.items()]


def _handshake(token: str) -> Handshake:
    """Answer a validation with its own token, as plain text that no browser takes for a page."""
    if not 0 < len(token) <= LONGEST_VALIDATION_TOKEN:
        raise NotificationMalformed("This is no validation token")
    return Handshake(token)


def _items(body: bytes) -> tuple[list[Mapping[str, Any]], list[str]]:
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        read = None
    values = read.get("value") if isinstance(read, dict) else None
    if not isinstance(read, dict) or not isinstance(values, list) or len(values) > MAX_ITEMS:
        raise NotificationMalformed("The push is not a list of notifications")
    tokens = read.get("validationTokens")
    tokens = [token for token in tokens if isinstance(token, str)] if isinstance(tokens, list) else []
    return [item for item in values if isinstance(item, dict)], tokens
