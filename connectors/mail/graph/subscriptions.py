"""Our registrations for Graph's pushes: one for each mailbox, whoever of its accounts made it.

An account remembers the id it renewed last. When that is gone, ours is looked for before a new one is made; one that
is in the way of the new one all the same is ended. So two accounts of one mailbox, or two workers, end with one
(threats.md T10).
Vendor page: learn.microsoft.com/graph/api/resources/subscription
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from app.errors import Gone, MailboxUnavailable, Rejected, Unavailable, Unsupported
from app.ports import Clock, Mailbox, Subscription
from connectors.mail.graph.api import Access, GraphApi, list_of_objects, quoted
from connectors.mail.graph.failures import PROVIDER
from connectors.mail.graph.push import ClientStates
from connectors.mail.graph.rich import RichNotifications

LIFETIME = timedelta(minutes=10_065)  # Graph ends a subscription after 10,080
RENEW_BEFORE = timedelta(hours=48)
RICH_LIFETIME = timedelta(minutes=1_425)  # after 1,440 with content
RICH_RENEW_BEFORE = timedelta(hours=8)
ABOUT_TO_END = timedelta(seconds=60)
POLLED = "Graph pushes nothing about a mailbox that is read with another person's access: it is polled."


class Subscriptions:
    """Creates, renews and ends subscriptions."""

    def __init__(
        self, api: GraphApi, states: ClientStates, rich: RichNotifications | None, url: str, clock: Clock
    ) -> None:
        self._api = api
        self._states = states
        self._rich = rich
        self._url = url
        self._clock = clock
        self._lifetime = RICH_LIFETIME if rich else LIFETIME

    def renew(self, mailbox: Mailbox) -> Subscription:
        """Renew the mailbox's subscription, or make it. Raises Unsupported for a mailbox that is only polled."""
        secrets = mailbox.credentials.read()
        if secrets.get("kind") == "shared":
            raise Unsupported(POLLED, provider=PROVIDER, operation="subscribe")
        access = Access.of(mailbox)
        renewed = self._renewed(access, secrets.get("subscription"))
        if renewed is None:
            renewed = self._renewed(access, self._find(access))
        if renewed is None:
            renewed = self._create(access)
        if renewed.external_id != secrets.get("subscription"):
            with mailbox.credentials.locked() as row:
                row.write({**row.read(), "subscription": renewed.external_id})
        return renewed

    def end(self, mailbox: Mailbox) -> None:
        """End the mailbox's subscription; one that is gone already is what is wanted."""
        if mailbox.credentials.read().get("kind") == "shared":
            return
        access = Access.of(mailbox)
        with suppress(Gone):
            found = self._find(access)
            if found:
                self._delete(access, found)

    def _renewed(self, access: Access, subscription_id: object) -> Subscription | None:
        """Set the end of a subscription anew, which also gives Graph a fresh token; None when it is there no longer."""
        if not isinstance(subscription_id, str) or not subscription_id:
            return None
        body = {"expirationDateTime": _written(self._clock.now() + self._lifetime)}
        try:
            answer = self._api.call(access, "renew", "PATCH", f"/subscriptions/{quoted(subscription_id)}", body)
        except (Gone, MailboxUnavailable, Rejected):
            return None
        return self._read(answer)

    def _create(self, access: Access) -> Subscription:
        resource = access.user[1:] + "/messages"
        body: dict[str, Any] = {
            "changeType": "created,updated",
            "notificationUrl": self._url,
            "lifecycleNotificationUrl": self._url,  # cannot be added later
            "resource": resource,
            "expirationDateTime": _written(self._clock.now() + self._lifetime),
            "clientState": self._states.new(access.name),
            "latestSupportedTlsVersion": "v1_2",
        }
        if self._rich is not None:
            body |= {
                "resource": f"{resource}?$select=id",
                "includeResourceData": True,
                "encryptionCertificate": self._rich.certificate,
                "encryptionCertificateId": self._rich.certificate_id,
            }
        try:
            return self._read(self._api.call(access, "subscribe", "POST", "/subscriptions", body))
        except Rejected:
            # 409: one stands there that was not found before. Graph shows no clientState, so nobody can know whether
            # what it pushes would count: it makes room.
            found = self._find(access)
            if found is None:
                raise
            self._delete(access, found)
            return self._read(self._api.call(access, "subscribe", "POST", "/subscriptions", body))

    def _find(self, access: Access) -> str | None:
        """Return the id of a subscription of ours to this mailbox. One of another form is in the way and is ended."""
        wanted = access.user[1:].lower() + "/messages"
        for page in self._api.pages(access, "subscriptions", "/subscriptions"):
            for entry in list_of_objects(page):
                resource = str(entry.get("resource", "")).lower().lstrip("/")
                is_ours = entry.get("notificationUrl") == self._url and resource.partition("?")[0] == wanted
                if not is_ours or not isinstance(entry.get("id"), str):
                    continue
                if ("?" in resource) == (self._rich is not None):
                    return str(entry["id"])
                self._delete(access, str(entry["id"]))
        return None

    def _delete(self, access: Access, subscription_id: str) -> None:
        with suppress(Gone):
            self._api.call(access, "unsubscribe", "DELETE", f"/subscriptions/{quoted(subscription_id)}")

    def _read(self, answer: Mapping[str, Any]) -> Subscription:
        subscription_id, ends_at = answer.get("id"), _moment(answer.get("expirationDateTime"))
        if not isinstance(subscription_id, str) or ends_at is None or ends_at < self._clock.now() + ABOUT_TO_END:
            raise Unavailable("Graph's subscription has no end", provider=PROVIDER, operation="subscribe")
        return Subscription(subscription_id, ends_at)


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.0000000Z")


def _moment(value: object) -> datetime | None:
    """Read Graph's time; it writes seven digits after the second."""
    try:
        return datetime.fromisoformat(value[:40]) if isinstance(value, str) and value.endswith("Z") else None
    except ValueError:
        return None
