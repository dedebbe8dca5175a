"""Where webhooks go in tests: kept instead of sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.errors import Unavailable
from app.ports import WebhookAnswer


@dataclass
class Target:
    """A sender that keeps what it was to send, and answers as it is told."""

    status: int = 204
    retry_after_s: float | None = None
    sent: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def accepts(self, url: str) -> bool:
        """Take every https address."""
        return url.startswith("https:")

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        """Keep it; status 0 is no answer."""
        self.sent.append((url, dict(headers), body))
        if self.status == 0:
            raise Unavailable
        return WebhookAnswer(self.status, self.retry_after_s)

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """Return what was sent since the last call, as (type, data)."""
        sent, self.sent = self.sent, []
        return [(body["type"], body["data"]) for body in (json.loads(each[2]) for each in sent)]
