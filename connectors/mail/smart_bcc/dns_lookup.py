"""The DNS as the checks of a sender ask it: TXT records for DKIM, ARC and DMARC, every kind for SPF."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import dns.exception
import dns.resolver


class LookupFailed(Exception):
    """The DNS did not answer, or not now; asking later may help."""


class Dns(Protocol):
    """Answers questions about names. Raises LookupFailed."""

    def records(self, name: str, kind: str) -> list[Any]:
        """Return the records of a kind: strings for TXT and addresses, (preference, name) for MX; empty when none."""
        ...


class SystemDns:
    """The resolver of the machine."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s

    def records(self, name: str, kind: str) -> list[Any]:
        """Ask the resolver."""
        try:
            answer = dns.resolver.resolve(name.rstrip("."), kind, lifetime=self._timeout_s, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except (dns.exception.DNSException, OSError, ValueError) as error:
            if isinstance(error, dns.exception.SyntaxError | dns.name.LabelTooLong | dns.name.EmptyLabel | ValueError):
                return []  # no name that could have records
            raise LookupFailed from error
        return [_plain(record, kind) for record in answer]


def text_of(records: Sequence[str], beginning: str = "") -> str | None:
    """Return the first TXT record, or the one that begins as asked."""
    return next((record for record in records if record.startswith(beginning)), None)


def _plain(record: Any, kind: str) -> Any:
    if kind == "TXT":
        return b"".join(record.strings).decode("utf-8", "replace")
    if kind == "MX":
        return (record.preference, record.exchange.to_text(omit_final_dot=True))
    if kind in {"PTR", "CNAME"}:
        return record.target.to_text(omit_final_dot=True)
    return record.address
