"""Delivering webhooks to the addresses that teams name, which nobody vouches for: through the guarded client."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.errors import Rejected
from app.ports import Services, WebhookAnswer
from connectors.http import OutgoingHttp, retry_after_s

PROVIDER = "webhook"
TIMEOUT_S = 15.0
MAX_ANSWER_BYTES = 64_000  # nothing of it is read


class Sender:
    """ports.WebhookSender: https to any public address, and to the origins that the operator listed."""

    def __init__(self, services: Services, allowed_urls: Iterable[str] = ()) -> None:
        self._clock = services.clock
        self._http = OutgoingHttp(PROVIDER, None, tuple(allowed_urls), timeout_s=TIMEOUT_S, max_bytes=MAX_ANSWER_BYTES)

    def accepts(self, url: str) -> bool:
        """Say whether an address is one that may be called, as far as it shows without looking it up."""
        try:
            self._http.check(url, operation="add")
        except Rejected:
            return False
        return True

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        """Post a body once, and return the status it was answered with; redirects are not followed."""
        answer = self._http.request("POST", url, operation="deliver", headers=headers, data=body)
        return WebhookAnswer(answer.status, retry_after_s(answer.headers.get("retry-after"), self._clock.now()))


def create(services: Services, allowed_urls: Iterable[str] = ()) -> Sender:
    """Build the sender (entry point `threadlink.webhooks`)."""
    return Sender(services, allowed_urls)
