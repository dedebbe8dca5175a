"""Webhooks version 2: registered, called with basic auth, tried four times. Part of the simulator.

Source: pipedrive.readme.io/docs/guide-for-webhooks-v2
"""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from app.ports import Clock
from connectors.crm.pipedrive.simulator_answers import Asked, RefusedError, not_found
from connectors.crm.pipedrive.simulator_records import Change, Company
from connectors.crm.pipedrive.simulator_shapes import SHAPES, Json, milliseconds
from connectors.simulated_faults import Faults
from connectors.simulated_http import Reply, json_reply

RETRY_AFTER_S = (0.03, 0.3, 1.5)  # a hundredth of Pipedrive's 3, 30 and 150 seconds
BANNED_FOR = timedelta(minutes=30)
FAILURES_UNTIL_BAN = 10
MOST = 40
ACTIONS = frozenset({"create", "change", "delete", "*"})
TIMEOUT_S = 10.0


@dataclass(slots=True)
class Webhook:
    """One registration."""

    id: int
    company: Company
    user_id: int
    url: str
    action: str
    entity: str
    name: str
    auth_user: str | None
    auth_password: str | None
    add_time: datetime
    failures: int = 0
    banned_until: datetime | None = None
    last_status: int | None = None


@dataclass(slots=True)
class Delivery:
    """One event on its way to one registration."""

    webhook: Webhook
    body: Json
    forged: bool
    attempt: int = 1
    due: datetime | None = None  # held back until the simulated time
    timer: threading.Timer | None = field(default=None, repr=False)


class Webhooks:
    """Registrations and deliveries of every company."""

    def __init__(self, clock: Clock, faults: Faults, lock: threading.RLock) -> None:
        self.origin: str | None = None  # where registered addresses are reached instead
        self.answers: list[int] = []
        self._clock = clock
        self._faults = faults
        self._lock = lock
        self._registered: dict[int, Webhook] = {}
        self._numbers = itertools.count(1)
        self._events = itertools.count(1)
        self._idle = threading.Condition()
        self._underway: set[int] = set()  # ids of deliveries that wait or are sent
        self._held: list[Delivery] = []
        self._stopping = False

    # --- registrations ---

    def listed(self, asked: Asked) -> Reply:
        """List the company's registrations."""
        found = [_shown(hook) for hook in self._registered.values() if hook.company is asked.company]
        return json_reply({"success": True, "status": "ok", "data": found})

    def add(self, asked: Asked) -> Reply:
        """Register an address: https, or this machine's own for tests."""
        body = asked.body()
        parts = urlsplit(str(body.get("subscription_url") or ""))
        if not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname == "127.0.0.1")):
            raise RefusedError(400, "subscription_url must be a public https address")
        if body.get("event_action") not in ACTIONS or not body.get("event_object") or not body.get("name"):
            raise RefusedError(400, "event_action, event_object and name are required")
        if sum(hook.company is asked.company for hook in self._registered.values()) >= MOST:
            raise RefusedError(400, "The maximum number of webhooks is reached")
        number = next(self._numbers)
        hook = Webhook(
            id=number,
            company=asked.company,
            user_id=asked.user.id,
            url=str(body["subscription_url"]),
            action=str(body["event_action"]),
            entity=str(body["event_object"]),
            name=str(body["name"]),
            auth_user=body.get("http_auth_user"),
            auth_password=body.get("http_auth_password"),
            add_time=self._clock.now(),
        )
        self._registered[number] = hook
        return json_reply({"success": True, "status": "ok", "data": _shown(hook)}, 201)

    def remove(self, asked: Asked) -> Reply:
        """End a registration."""
        hook = self._registered.get(asked.id())
        if hook is None or hook.company is not asked.company:
            raise not_found("webhook")
        del self._registered[hook.id]
        return json_reply({"success": True, "status": "ok"})

    def remove_all(self) -> None:
        """Forget every registration."""
        self._registered.clear()

    # --- events ---

    def tell(self, company: Company, change: Change) -> None:
        """Send a change to whoever registered for it. The caller holds the lock."""
        for hook in list(self._registered.values()):
            is_wanted = hook.action in ("*", change.action) and hook.entity in ("*", change.record.kind)
            if hook.company is company and is_wanted and change.record.kind in SHAPES:
                self._line_up(hook, _event(company, change, hook, next(self._events), self._clock.now()))

    def _line_up(self, hook: Webhook, body: Json) -> None:
        now, domain = self._clock.now(), hook.company.domain
        if hook.banned_until is not None and now < hook.banned_until:
            return
        if self._faults.take("lost_webhook", domain):
            return
        delivery = Delivery(hook, body, forged=self._faults.take("forged_webhook", domain) is not None)
        if late := self._faults.take("late_webhook", domain):
            delivery.due = now + timedelta(seconds=late.params.get("by_s", 3600))
            self._held.append(delivery)
            return
        self._send_after(delivery, 0.0)
        if self._faults.take("duplicate_webhook", domain):
            self._send_after(Delivery(hook, body, forged=False), 0.0)

    def settle(self) -> None:
        """Return when everything that is due was answered or given up."""
        with self._lock:
            now = self._clock.now()
            due = [delivery for delivery in self._held if delivery.due is not None and delivery.due <= now]
            self._held = [delivery for delivery in self._held if delivery not in due]
        for delivery in due:
            self._send_after(delivery, 0.0)
        with self._idle:
            self._idle.wait_for(lambda: self._stopping or not self._underway)

    def stop(self) -> None:
        """Send nothing any more."""
        with self._idle:
            self._stopping = True
            self._idle.notify_all()

    def _send_after(self, delivery: Delivery, delay_s: float) -> None:
        with self._idle:
            self._underway.add(id(delivery))
        delivery.timer = threading.Timer(delay_s, self._send, [delivery])
        delivery.timer.daemon = True
        delivery.timer.start()

    def _send(self, delivery: Delivery) -> None:
        status = 0 if self._stopping else self._post(delivery)
        hook, is_answered = delivery.webhook, 200 <= status < 300
        with self._lock:
            self.answers.append(status)
            hook.last_status = status
            if delivery.attempt == 1:
                hook.failures = 0 if is_answered else hook.failures + 1
            if hook.failures >= FAILURES_UNTIL_BAN:
                hook.banned_until, hook.failures = self._clock.now() + BANNED_FOR, 0
        if not is_answered and delivery.attempt <= len(RETRY_AFTER_S) and not self._stopping:
            delivery.attempt += 1
            self._send_after(delivery, RETRY_AFTER_S[delivery.attempt - 2])
            return
        with self._idle:
            self._underway.discard(id(delivery))
            self._idle.notify_all()

    def _post(self, delivery: Delivery) -> int:
        hook = delivery.webhook
        registered, reached = urlsplit(hook.url), urlsplit(self.origin or hook.url)
        if reached.scheme != "http" or reached.hostname is None:
            return 204  # a public address that no test listens at
        body = json.dumps({**delivery.body, "meta": {**delivery.body["meta"], "attempt": delivery.attempt}})
        headers = {"Content-Type": "application/json", "User-Agent": "Pipedrive Webhooks"}
        if hook.auth_user is not None or hook.auth_password is not None:
            password = "forged" if delivery.forged else hook.auth_password
            named = base64.b64encode(f"{hook.auth_user or ''}:{password or ''}".encode()).decode()
            headers["Authorization"] = f"Basic {named}"
        path = f"{registered.path or '/'}{'?' + registered.query if registered.query else ''}"
        connection = http.client.HTTPConnection(reached.hostname, reached.port or 80, timeout=TIMEOUT_S)
        try:
            connection.request("POST", path, body.encode(), headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()


def _event(company: Company, change: Change, hook: Webhook, number: int, now: datetime) -> Json:
    record, previous = change.record, change.previous
    shape: Callable[[Company, Any], Json] = SHAPES[record.kind]
    is_deletion = change.action == "delete"
    shown, before = shape(company, record), shape(company, previous) if previous else None
    if before is not None and not is_deletion:
        before = {name: value for name, value in before.items() if value != shown[name]}
    meta: Json = {
        "action": change.action,
        "entity": record.kind,
        "company_id": str(company.id),
        "correlation_id": f"correlation-{number}",
        "entity_id": str(record.id),
        "id": f"event-{company.id}-{number}",
        "is_bulk_edit": False,
        "timestamp": milliseconds(now),
        "type": "application",
        "user_id": str(change.user_id),
        "version": "2.0",
        "webhook_id": str(hook.id),
        "webhook_owner_id": str(hook.user_id),
        "change_source": "api" if change.by_api else "app",
        "attempt": 1,
        "host": f"{company.domain}.pipedrive.com",
        "permitted_user_ids": [str(user) for user in company.users],
    }
    merged: Mapping[str, Any] = {"merged_to_id": change.merged_to, "merged_from_id": change.merged_from}
    meta |= {name: str(value) for name, value in merged.items() if value is not None}
    return {"meta": meta, "data": None if is_deletion else shown, "previous": before}


def _shown(hook: Webhook) -> Json:
    return {
        "id": hook.id,
        "company_id": hook.company.id,
        "owner_id": hook.user_id,
        "user_id": hook.user_id,
        "event_action": hook.action,
        "event_object": hook.entity,
        "subscription_url": hook.url,
        "version": "2.0",
        "is_active": 1,
        "add_time": milliseconds(hook.add_time),
        "remove_time": None,
        "type": "application",
        "http_auth_user": hook.auth_user,
        "http_auth_password": hook.auth_password,
        "remove_reason": None,
        "last_delivery_time": None,
        "last_http_status": hook.last_status,
        "admin_id": hook.user_id,
        "name": hook.name,
    }
