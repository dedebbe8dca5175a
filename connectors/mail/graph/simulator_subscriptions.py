"""Subscriptions of a simulated Graph, and the pushes that follow from them. Part of the simulator."""

from __future__ import annotations

import http.client
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

from app.ports import Clock
from connectors.mail.graph.simulator_login import TENANT_ID, Grant, Login
from connectors.mail.graph.simulator_mailbox import SimulatedMailbox, SimulatedMessage
from connectors.mail.graph.simulator_rich import encrypted
from connectors.mail.graph.simulator_view import View, etag, time_shown
from connectors.simulated_faults import Faults
from connectors.simulated_http import Call
from connectors.simulated_push import PushDelivery

LONGEST = timedelta(minutes=10_080)
LONGEST_RICH = timedelta(minutes=1_440)
SHORTEST = timedelta(minutes=45)
VALIDATION_TIMEOUT_S = 10.0
CHANGE_TYPES = frozenset({"created", "updated", "deleted"})
_RESOURCE = re.compile(
    r"/?(?:me|users/([^/]+))(?:/mailfolders/([^/]+))?/messages(?:\?\$select=([\w,]+))?", re.IGNORECASE
)


class RefusedError(Exception):
    """A subscription that Graph does not accept."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass
class SimulatedSubscription:
    """A registration for pushes, as it was asked for."""

    id: str
    mailbox: str
    asked: Mapping[str, Any]
    expires_at: datetime
    immutable_ids: bool
    folder: str | None
    select: str
    held: list[dict[str, Any]] | None = None  # what waits until it is authorized again

    def show(self) -> dict[str, Any]:
        """Return it as Graph shows it; clientState only to whoever just made it."""
        shown = {name: value for name, value in self.asked.items() if name != "encryptionCertificate"}
        return {**shown, "id": self.id, "expirationDateTime": time_shown(self.expires_at)}


@dataclass
class Subscriptions:
    """Every subscription, and what is pushed to it. `lock` is the simulator's; validation is done without it."""

    clock: Clock
    faults: Faults
    login: Login
    lock: threading.RLock
    pushes: PushDelivery
    url: str | None = None  # where pushes to any other origin go instead: a way round the public address
    active: dict[str, SimulatedSubscription] = field(default_factory=dict)
    sent: list[dict[str, Any]] = field(default_factory=list)  # every body that was pushed
    _held: list[tuple[datetime | None, str, str, dict[str, Any]]] = field(default_factory=list)
    _made: int = 0

    # --- asked for by a client ---

    def create(
        self, body: Mapping[str, Any], call: Call, grant: Grant, find: Callable[[str], SimulatedMailbox | None]
    ) -> SimulatedSubscription:
        """Make a subscription. Raises RefusedError."""
        with self.lock:
            made = self._asked(body, call, grant, find)
        for name in ("notificationUrl", "lifecycleNotificationUrl"):
            if body.get(name):
                self._validate(str(body[name]), made.mailbox)
        with self.lock:
            self._refuse_second(made)
            self.active[made.id] = made
        return made

    def renew(self, subscription_id: str, body: Mapping[str, Any]) -> SimulatedSubscription:
        """Change when a subscription ends; this authorizes it again as well. Raises RefusedError."""
        found = self.find(subscription_id)
        allowed = {"expirationDateTime", "encryptionCertificate", "encryptionCertificateId", "notificationUrl"}
        if set(body) - allowed:
            raise RefusedError(400, "InvalidRequest", f"{min(set(body) - allowed)} cannot be changed.")
        if "expirationDateTime" in body:
            found.expires_at = self._expiry(str(body["expirationDateTime"]), is_rich=found.asked["includeResourceData"])
        found.asked = {**found.asked, **{name: body[name] for name in body if name != "expirationDateTime"}}
        self.reauthorize(subscription_id)
        return found

    def reauthorize(self, subscription_id: str) -> None:
        """Let what was held back go out. Raises RefusedError."""
        found = self.find(subscription_id)
        held, found.held = found.held or [], None
        for item in held:
            self._push(found, item)

    def find(self, subscription_id: str) -> SimulatedSubscription:
        """Return one that has not ended. Raises RefusedError."""
        found = self.active.get(subscription_id)
        if found is None or found.expires_at <= self.clock.now():
            self.active.pop(subscription_id, None)
            raise RefusedError(404, "ResourceNotFound", "The object was not found.")
        return found

    def all(self, mailbox: SimulatedMailbox | None = None) -> list[SimulatedSubscription]:
        """Return those that have not ended, of one mailbox or of all."""
        now = self.clock.now()
        wanted = {None, mailbox.address if mailbox else None}
        return [s for s in self.active.values() if s.expires_at > now and (mailbox is None or s.mailbox in wanted)]

    # --- what Graph does by itself ---

    def changed(self, mailbox: SimulatedMailbox, message: SimulatedMessage, kind: str, folder_id: str) -> None:
        """Tell the subscribers of a mailbox that a message was created, updated or deleted."""
        for subscription in self.all(mailbox):
            of_folder = mailbox.folder(subscription.folder) if subscription.folder else None
            if kind not in subscription.asked["changeType"].split(",") or (of_folder and of_folder.id != folder_id):
                continue
            item = self._item(subscription, mailbox, message, kind)
            if subscription.held is not None:
                subscription.held.append(item)
            else:
                self._push(subscription, item)

    def lifecycle(self, mailbox: SimulatedMailbox, event: str) -> None:
        """Tell the subscribers of a mailbox what became of their subscriptions."""
        for subscription in self.all(mailbox):
            if event == "reauthorizationRequired":
                subscription.held = subscription.held or []
            elif event == "subscriptionRemoved":
                del self.active[subscription.id]
            url = subscription.asked.get("lifecycleNotificationUrl")
            if url:
                self._send(str(url), {**self._head(subscription), "lifecycleEvent": event})

    def end(self, mailbox: SimulatedMailbox) -> None:
        """Let the subscriptions of a mailbox end without a word."""
        for subscription in self.all(mailbox):
            del self.active[subscription.id]

    def settle(self) -> None:
        """Send the late pushes that are due by now, and wait until every push was answered."""
        with self.lock:
            now = self.clock.now()
            due = [held for held in self._held if held[0] is not None and held[0] <= now]
            self._held = [held for held in self._held if held not in due]
            for _, _, url, body in due:
                self._deliver(url, body)
        self.pushes.settle()

    def body_of(self, *items: Mapping[str, Any], is_forged: bool = False) -> dict[str, Any]:
        """Return the body of a push with these items; with encrypted ones, it proves who sends it."""
        body: dict[str, Any] = {"value": list(items)}
        if any("encryptedContent" in item for item in items):
            body["validationTokens"] = [self.login.validation_token(self.clock.now(), is_forged=is_forged)]
        return body

    # --- checking what is asked for ---

    def _asked(
        self, body: Mapping[str, Any], call: Call, grant: Grant, find: Callable[[str], SimulatedMailbox | None]
    ) -> SimulatedSubscription:
        match = _RESOURCE.fullmatch(str(body.get("resource", "")))
        kinds = [kind.strip() for kind in str(body.get("changeType", "")).split(",")]
        if match is None or not kinds or set(kinds) - CHANGE_TYPES:
            raise RefusedError(400, "InvalidRequest", "The resource or the changeType is not supported.")
        if not urlsplit(str(body.get("notificationUrl", ""))).scheme.startswith("http"):
            raise RefusedError(400, "InvalidRequest", "notificationUrl must be a valid URL.")
        if len(str(body.get("clientState", ""))) > 128:
            raise RefusedError(400, "InvalidRequest", "clientState must be 128 characters at most.")
        mailbox = find(match[1] or grant.address)
        if mailbox is None:
            raise RefusedError(404, "ResourceNotFound", "The user was not found.")
        if grant.address and grant.address != mailbox.address:
            raise RefusedError(403, "ExtensionError", "Operation: Create; Exception: [Status Code: Forbidden]")
        if self.faults.take("subscription_refused", mailbox.address):
            raise RefusedError(403, "ExtensionError", "Operation: Create; Exception: [Status Code: Forbidden]")
        is_rich = bool(body.get("includeResourceData"))
        if is_rich and not (match[3] and body.get("encryptionCertificate") and body.get("encryptionCertificateId")):
            raise RefusedError(400, "InvalidRequest", "Resource data needs $select and an encryption certificate.")
        made = SimulatedSubscription(
            id=str(uuid.uuid4()),  # a name that never comes again, as Graph's
            mailbox=mailbox.address,
            asked={**body, "changeType": ",".join(kinds), "includeResourceData": is_rich},
            expires_at=self._expiry(str(body.get("expirationDateTime")), is_rich=is_rich),
            immutable_ids='idtype="immutableid"' in call.headers.get("prefer", "").lower(),
            folder=match[2],
            select=match[3] or "",
        )
        if self.faults.take("subscription_conflict", mailbox.address):
            other = {**made.asked, "clientState": "nobody knows", "notificationUrl": body["notificationUrl"]}
            twin = SimulatedSubscription(str(uuid.uuid4()), mailbox.address, other, made.expires_at, True, match[2], "")
            self.active[twin.id] = twin
        self._refuse_second(made)
        return made

    def _refuse_second(self, made: SimulatedSubscription) -> None:
        for other in self.all():
            same = all(other.asked.get(n) == made.asked.get(n) for n in ("changeType", "resource", "notificationUrl"))
            if same and other.mailbox == made.mailbox:
                message = f"Subscription Id {other.id} already exists for the requested combination"
                raise RefusedError(409, "Conflict", message)

    def _expiry(self, written: str, *, is_rich: bool) -> datetime:
        now = self.clock.now()
        try:
            asked = datetime.fromisoformat(written)
        except ValueError as error:
            raise RefusedError(400, "InvalidRequest", "expirationDateTime is no time.") from error
        longest = LONGEST_RICH if is_rich else LONGEST
        if asked.tzinfo is None or not now < asked <= now + longest:
            minutes = int(longest.total_seconds() // 60)
            raise RefusedError(
                400, "InvalidRequest", f"Subscription expiration can only be {minutes} minutes in the future."
            )
        return max(asked, now + SHORTEST)

    def _validate(self, url: str, mailbox: str) -> None:
        """Ask the address to give back a word (the handshake). Raises RefusedError."""
        word = (
            f"Validation: Testing client application reachability for subscription Request-Id: {uuid.uuid4()} a+b&c=<d>"
        )
        if self.faults.take("validation_timeout", mailbox):
            raise RefusedError(400, "ValidationError", "Subscription validation request timed out.")
        target = self._target(url)
        if target is None:
            raise RefusedError(400, "ValidationError", "Subscription validation request failed. Nobody answers there.")
        status, content_type, answer = _post(f"{target}{'&' if '?' in target else '?'}validationToken={quote(word)}")
        if status != 200 or not content_type.startswith("text/plain") or answer.decode("utf-8", "replace") != word:
            message = f"Subscription validation request failed. HTTP status code is '{status}'."
            raise RefusedError(400, "ValidationError", message)

    # --- pushing ---

    def _head(self, subscription: SimulatedSubscription) -> dict[str, Any]:
        return {
            "subscriptionId": subscription.id,
            "subscriptionExpirationDateTime": time_shown(subscription.expires_at),
            "clientState": subscription.asked.get("clientState"),
            "tenantId": TENANT_ID,
        }

    def _item(
        self, subscription: SimulatedSubscription, mailbox: SimulatedMailbox, message: SimulatedMessage, kind: str
    ) -> dict[str, Any]:
        shown_id = message.id if subscription.immutable_ids else message.default_id
        self._made += 1
        users = ("Users", "users")[self._made % 2]  # both are seen
        resource = f"{users}/{mailbox.user_id}/Messages/{shown_id}"
        item = {
            **self._head(subscription),
            "changeType": kind,
            "resource": resource,
            "resourceData": {
                "@odata.type": "#Microsoft.Graph.Message",
                "@odata.id": resource,
                "@odata.etag": etag(message),
                "id": shown_id,
            },
        }
        if subscription.asked["includeResourceData"] and kind != "deleted":
            asked = Call("GET", "", {"$select": [subscription.select]}, {"prefer": 'IdType="ImmutableId"'})
            content = {"@odata.id": resource, **View.of(asked, is_basic=False).show(mailbox, message)}
            item["encryptedContent"] = encrypted(
                content, subscription.asked["encryptionCertificate"], subscription.asked["encryptionCertificateId"]
            )
        return item

    def _push(self, subscription: SimulatedSubscription, item: dict[str, Any]) -> None:
        """Send an item, unless a fault has it otherwise."""
        address, url = subscription.mailbox, str(subscription.asked["notificationUrl"])
        if self.faults.take("lost_push", address):
            return
        is_forged = self.faults.take("forged_push", address) is not None
        if is_forged:
            item = {**item, "clientState": "c29tZWJvZHkgZWxzZQ"}
        items = [item]
        if self.faults.take("mixed_push", address):
            unknown = {**item, "subscriptionId": str(uuid.uuid4()), "clientState": None}
            items = [{**item, "clientState": "c29tZWJvZHkgZWxzZQ"}, unknown, item]
        body = self.body_of(*items, is_forged=is_forged)
        if late := self.faults.take("late_push", address):
            due = self.clock.now() + timedelta(seconds=late.params.get("by_s", 3600))
            self._held.append((due, address, url, body))
            return
        if self.faults.take("out_of_order_push", address):
            self._held.append((None, address, url, body))
            return
        self._deliver(url, body)
        if self.faults.take("duplicate_push", address):
            self._deliver(url, body)
        for held in list(self._overtaken(address)):
            self._held.remove(held)
            self._deliver(held[2], held[3])

    def _overtaken(self, address: str) -> Iterator[tuple[datetime | None, str, str, dict[str, Any]]]:
        return (held for held in self._held if held[0] is None and held[1] == address)

    def _send(self, url: str, item: dict[str, Any]) -> None:
        self._deliver(url, self.body_of(item))

    def _deliver(self, url: str, body: dict[str, Any]) -> None:
        self.sent.append(body)
        self.pushes.send(json.dumps(body).encode(), url=self._target(url))

    def _target(self, url: str) -> str | None:
        """Return where a push to an address really goes: origin and path are those of `url`, the query stays."""
        if self.url is None:
            return None
        query = urlsplit(url).query
        return f"{self.url}?{query}" if query else self.url


def _post(url: str) -> tuple[int, str, bytes]:
    """Post nothing, and return status, content type and body; status 0 when nobody answers."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=VALIDATION_TIMEOUT_S)
    try:
        connection.request("POST", f"{parts.path or '/'}?{parts.query}", b"", {"Content-Type": "text/plain"})
        response = connection.getresponse()
        return response.status, response.headers.get_content_type(), response.read(100_000)
    except (OSError, http.client.HTTPException):
        return 0, "", b""
    finally:
        connection.close()
