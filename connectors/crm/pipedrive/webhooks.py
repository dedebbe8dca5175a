"""Pipedrive's webhooks (version 2): having them sent, and reading what comes. They are hints, never truth.

Nothing is signed: a password of our own comes back by HTTP Basic.
Vendor page: pipedrive.readme.io/docs/guide-for-webhooks-v2
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Any, cast

from app.errors import Gone, NotificationForged, NotificationMalformed, Unavailable
from app.model import ItemRef, RecordKind
from app.ports import Credentials, CrmEvent, Merge, PushRequest
from connectors.crm.pipedrive import mapping, operations
from connectors.crm.pipedrive.api import PipedriveApi
from connectors.crm.pipedrive.failures import PROVIDER

KINDS = frozenset({"deal", "lead", "project", "person", "organization"})
NAME, USER = "threadlink", "threadlink"
MAX_BYTES = 1_000_000


class PipedriveWebhooks:
    """One webhook for everything: the list of objects that Pipedrive documents lacks projects, `*` has them."""

    def __init__(self, api: PipedriveApi, credentials: Credentials, public_id: str, company: str) -> None:
        self._api = api
        self._credentials = credentials
        self._public_id = public_id
        self._company = company

    def subscribe(self, url: str) -> None:
        """Have Pipedrive push to this URL; what is there already stays, what was left behind goes."""
        self._api.me()  # refreshes the token before the row is locked
        with self._credentials.locked() as row:
            stored = row.read()
            kept = stored.get("webhook") or {}
            there = [hook for hook in self._api.rows_of_one(operations.WEBHOOKS) if hook.get("subscription_url") == url]
            live = [
                hook for hook in there if hook.get("is_active") not in (False, 0, "0") and not hook.get("remove_time")
            ]
            if any(mapping.number(hook.get("id")) == kept.get("id") for hook in live) and kept.get("url") == url:
                return
            for hook in there:
                self._delete(mapping.number(hook.get("id")))
            password = secrets.token_urlsafe(32)
            made = self._api.data(
                operations.ADD_WEBHOOK,
                body={
                    "subscription_url": url,
                    "event_action": "*",
                    "event_object": "*",
                    "name": NAME,
                    "http_auth_user": USER,
                    "http_auth_password": password,
                    "version": "2.0",
                },
            )
            webhook_id = mapping.number(made.get("id"))
            if webhook_id is None:
                raise Unavailable("Pipedrive's webhook has no id", provider=PROVIDER, operation="add_webhook")
            me = mapping.number(self._api.me().get("id"))
            row.write({**stored, "webhook": {"id": webhook_id, "url": url, "password": password, "user_id": me}})

    def unsubscribe(self) -> None:
        """End the webhook; one that is gone already is no error."""
        kept = self._credentials.read().get("webhook") or {}
        self._delete(kept.get("id"))
        with self._credentials.locked() as row:
            row.write({name: value for name, value in row.read().items() if name != "webhook"})

    def _delete(self, webhook_id: str | None) -> None:
        if webhook_id is None:
            return
        try:
            self._api.call(operations.DELETE_WEBHOOK, webhook_id)
        except Gone:
            return

    def read(self, request: PushRequest) -> list[CrmEvent]:
        """Verify and decode a push. Raises NotificationForged, NotificationMalformed."""
        kept = self._credentials.read().get("webhook") or {}
        _require_password(request.headers.get("authorization", ""), kept)
        meta, body = _read(request.body)
        if str(meta.get("company_id")) != self._company or str(meta.get("webhook_id")) != str(kept.get("id")):
            raise NotificationForged("The webhook is of another company or another subscription.")
        if meta.get("change_source") == "api" and str(meta.get("user_id")) == str(kept.get("user_id")):
            return []  # our own doing
        kind, external_id = meta.get("entity"), str(meta.get("entity_id") or meta.get("id"))
        if kind not in KINDS or not mapping.is_id(str(kind), external_id):
            return []
        ref = ItemRef(cast("RecordKind", kind), external_id)
        records, merges = [ref], []
        data = body.get("data")
        source = data.get("source_lead_id") if isinstance(data, dict) and kind == "deal" else None
        if isinstance(source, str) and mapping.is_id("lead", source):
            records.append(ItemRef("lead", source))
        for name in ("merged_to_id", "merged_from_id"):
            other = mapping.number(meta.get(name))
            if other is not None and kind != "lead":
                end = ItemRef(ref.kind, other)
                merges.append(Merge(ref, end) if name == "merged_to_id" else Merge(end, ref))
        return [CrmEvent(self._public_id, str(meta.get("id") or "")[:200], tuple(records), tuple(merges))]


def _require_password(header: str, kept: Mapping[str, Any]) -> None:
    scheme, _, encoded = header.partition(" ")
    try:
        given = base64.b64decode(encoded.strip(), validate=True) if scheme.lower() == "basic" else b""
    except (binascii.Error, ValueError):
        given = b""
    wanted = f"{USER}:{kept.get('password') or ''}".encode()
    if not kept.get("password") or not hmac.compare_digest(given, wanted):
        raise NotificationForged("The webhook does not carry our password.")


def _read(body: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    if len(body) > MAX_BYTES:
        raise NotificationMalformed("The webhook is too long.")
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        raise NotificationMalformed("The webhook is not JSON.") from None
    meta = read.get("meta") if isinstance(read, dict) else None
    if not isinstance(meta, dict):
        raise NotificationMalformed("The webhook says nothing about itself.")
    return meta, read
