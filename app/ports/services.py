"""What threadlink gives a connector or an adapter, so that it can be tested alone."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol


class Clock(Protocol):
    """The time, injected."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...


class Credentials(Protocol):
    """The secrets of one account or CRM connection, encrypted at rest, bound to their row."""

    def read(self) -> dict[str, Any]:
        """Return the stored secrets; empty when there are none."""
        ...

    def locked(self) -> AbstractContextManager[LockedCredentials]:
        """Hold the row lock while secrets are refreshed, so that two processes never refresh at once."""
        ...


class LockedCredentials(Protocol):
    """Secrets whose row is locked: read again, then write."""

    def read(self) -> dict[str, Any]: ...

    def write(self, secrets: Mapping[str, Any]) -> None: ...


class Database(Protocol):
    """A team's transaction, for the vendors that live in our own PostgreSQL (crm/embedded, mail/smart_bcc)."""

    def transaction(self, team_id: int) -> AbstractContextManager[Any]:
        """Open a SQLAlchemy connection in a transaction under that team's row-level security."""
        ...


class Slots(Protocol):
    """Places that all processes share, where a provider bears only so many requests at once."""

    def hold(self, name: str, wanted: int, of: int) -> AbstractContextManager[None]:
        """Hold `wanted` of the `of` places of a name. Raises TimeoutError when they do not come free in time."""
        ...


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """What a team's webhook answered; nothing of the body."""

    status: int
    retry_after_s: float | None = None


class WebhookSender(Protocol):
    """Calling the addresses that teams name (entry point `threadlink.webhooks`), which nobody vouches for (W13)."""

    def accepts(self, url: str) -> bool:
        """Say whether an address is one that may be called, as far as it shows without looking it up."""
        ...

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        """Post a body once. Raises Rejected for an address that may not be called, Unavailable without an answer."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """What a connector or adapter is built with."""

    clock: Clock
    public_base_url: str
    environ: Mapping[str, str]  # where a vendor's own settings class reads
    database: Database | None = None
    slots: Slots | None = None  # None: whoever is built limits itself within its process
    mail_domain: str = ""  # of the addresses at which this installation takes mail itself; "" when it takes none
    # What only this installation knows, the same in all its processes; one made up where none is given.
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
