"""What mail providers and CRMs are both given of HTTP: a request that came in, and a consent that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PushRequest:
    """A webhook request as plain data; header names are lower case."""

    method: str
    headers: Mapping[str, str]
    args: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Authorization:
    """Where to send the browser to give consent, and what to keep until it comes back."""

    url: str
    kept: Mapping[str, str]  # PKCE verifier and the like; stored encrypted, given back to connect()
