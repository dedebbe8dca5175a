"""HTTP servers that behave like a vendor, for demo, tests and benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from app.ports.crm import CrmRecords
from app.ports.services import Clock


class SimulatedMail(Protocol):
    """An HTTP server that behaves like a mail provider, for demo, tests and benchmarks."""

    provider: str

    def start(self, clock: Clock) -> Mapping[str, str]:
        """Start serving on a free local port; return the settings (environment) that point the connector at it."""
        ...

    def stop(self) -> None: ...

    def push_to(self, url: str) -> None:
        """Send pushes to this URL from now on; each is signed as the provider signs."""
        ...

    def add_mailbox(self, address: str, aliases: Sequence[str] = ()) -> None: ...

    def consent(self, authorization_url: str, address: str) -> str:
        """Act as the mailbox owner's browser: give consent, return the URL the browser is sent back to."""
        ...

    def deliver(self, address: str, raw: bytes, *, at: datetime, folder: str = "inbox", push: bool = True) -> str:
        """Put a message (RFC 5322 bytes) into a mailbox; return its provider id.

        `folder` is inbox, sent, draft, spam, trash, or the name of a label or folder of the owner's, which is made.
        """
        ...

    def move(self, address: str, provider_id: str, folder: str) -> None:
        """Put a message elsewhere, as the owner would."""
        ...

    def delete(self, address: str, provider_id: str) -> None: ...

    def fault(self, kind: str, **params: Any) -> None:
        """Arm a fault; `fault_kinds` lists the names."""
        ...

    @property
    def fault_kinds(self) -> frozenset[str]: ...

    def settle(self) -> None:
        """Return when every push sent so far was answered or given up."""
        ...

    def usage(self, address: str) -> Mapping[str, int]:
        """Return what the mailbox cost so far: `units`, `requests`, and a count for each operation."""
        ...

    def message_ids(self, address: str) -> frozenset[str]:
        """Return every message id the mailbox ever listed."""
        ...


@runtime_checkable
class SimulatedAddonHost(Protocol):
    """What a SimulatedMail offers besides when it shows an add-on beside its messages, in a browser."""

    def show_addon(self, deployment: Mapping[str, Any]) -> str:
        """Install the add-on of this deployment (manifest.gmail); return the address of the page where to see it."""
        ...


@runtime_checkable
class SimulatedPaneHost(Protocol):
    """What a SimulatedMail offers besides when it frames a page of ours beside its messages, in a browser."""

    def show_pane(self, url: str) -> str:
        """Frame the page at this URL; return the address of the page where to see it."""
        ...


class SimulatedCrm(CrmRecords, Protocol):
    """An HTTP server that behaves like a CRM, for demo, tests and benchmarks. Its records keep the caller's ids too."""

    company: str  # what who_am_i() of the connection says
    secrets: Mapping[str, Any]  # what a connection holds once an administrator connected it

    def start(self, clock: Clock) -> Mapping[str, str]:
        """Start serving on a free local port; return the settings (environment) that point the adapter at it."""
        ...

    def stop(self) -> None: ...

    def push_to(self, url: str) -> None:
        """Reach the addresses webhooks were registered with at this origin from now on."""
        ...

    def fault(self, kind: str, **params: Any) -> None:
        """Arm a fault; `fault_kinds` lists the names."""
        ...

    @property
    def fault_kinds(self) -> frozenset[str]: ...

    def settle(self) -> None:
        """Return when every webhook sent so far was answered or given up."""
        ...

    def usage(self) -> Mapping[str, int]:
        """Return what the CRM was asked for so far: `requests`, `tokens`, `reads`, `writes`, and each operation."""
        ...

    def crm_id(self, kind: str, external_id: str) -> str:
        """Return the id the CRM itself gave a record that was put under the caller's."""
        ...

    def callers_id(self, kind: str, crm_id: str) -> str:
        """Return the caller's id of a record; the CRM's own when it was made through the API."""
        ...
