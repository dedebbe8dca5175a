"""How often somebody may ask: a client address, a member, a team (threats.md W16, W18). Each process counts for itself.

Never limited: the webhooks of mail providers and CRMs, calls of the Gmail add-on, health, and static files.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Mapping
from typing import Literal

from flask import Flask, current_app, request
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from app.errors import TooManyRequests
from app.settings import Settings

Kind = Literal["requests", "sign_ins", "writes", "searches", "heavy"]

TEAM_FACTOR = 5  # a team may do so many times what one member may
_EXTENSION = "threadlink.limits"
# Blueprints. The calls of the Gmail add-on come from a few addresses of Google, for everybody.
_NEVER = frozenset({"health", "webhooks", "gmail_addon"})
_KNOCKING = ("/sign-in/", "/connect/")  # what an issuer or a provider sends a browser back with could be guessed
_HEAVY = frozenset({"doctor", "replay", "export", "original", "attachments"})  # words of a path
_SEARCHING = frozenset({"q", "s"})  # arguments


class Limits:
    """The counters of this process."""

    def __init__(self, settings: Settings) -> None:
        self._is_behind_proxies = settings.proxies > 0
        self._strategy = FixedWindowRateLimiter(MemoryStorage())
        figures: Mapping[Kind, int] = {
            "requests": settings.limit_requests,
            "sign_ins": settings.limit_sign_ins,
            "writes": settings.limit_writes,
            "searches": settings.limit_searches,
            "heavy": settings.limit_heavy,
        }
        self._of_one = {kind: RateLimitItemPerMinute(figure, namespace=kind) for kind, figure in figures.items()}
        self._of_team = {
            kind: RateLimitItemPerMinute(figure * TEAM_FACTOR, namespace=kind) for kind, figure in figures.items()
        }

    def count_address(self) -> None:
        """Count the request for the address it comes from. Raises TooManyRequests."""
        if request.blueprint in _NEVER or request.endpoint == "static":
            return
        client = self._client()
        if client is None:
            return
        self._count(self._of_one["requests"], "address", client)
        if request.path.startswith(_KNOCKING) or "token" in (request.view_args or ()):
            self._count(self._of_one["sign_ins"], "address", client)

    def count_member(self, team_id: int, member_id: int) -> None:
        """Count the request for who asks, and for the team. Raises TooManyRequests."""
        kind = _kind()
        if kind is not None:
            self._count(self._of_one[kind], "member", f"{team_id}/{member_id}")
            self._count(self._of_team[kind], "team", str(team_id))

    def _count(self, item: RateLimitItem, *who: str) -> None:
        if not self._strategy.hit(item, *who):
            ends_at = self._strategy.get_window_stats(item, *who).reset_time
            raise TooManyRequests(max(1.0, ends_at - time.time()))

    def _client(self) -> str | None:
        """Return whose address it is: an IPv6 network is one client; a proxy that nobody told us of is none.

        A socket that listens on IPv6 names those who come by IPv4 as ::ffff:a.b.c.d: each is a client of its own.
        """
        try:
            address = ipaddress.ip_address(request.remote_addr or "")
        except ValueError:
            return None
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if not self._is_behind_proxies and not address.is_global:
            return None
        if isinstance(address, ipaddress.IPv6Address):
            return str(ipaddress.IPv6Network((address, 64), strict=False))
        return str(address)


def limit(flask: Flask, settings: Settings) -> None:
    """Have every request counted for its address before it is looked at."""
    limits = flask.extensions[_EXTENSION] = Limits(settings)
    flask.before_request(limits.count_address)


def count_member(team_id: int, member_id: int) -> None:
    """Count the request for the member who turned out to ask. Raises TooManyRequests."""
    limits: Limits = current_app.extensions[_EXTENSION]
    limits.count_member(team_id, member_id)


def _kind() -> Kind | None:
    """Return what a request costs: what looks through much or asks a mailbox, what changes something, what searches."""
    if not _HEAVY.isdisjoint(request.path.split("/")):
        return "heavy"
    if request.method not in ("GET", "HEAD"):
        return "writes"
    if any(request.args.get(name) for name in _SEARCHING):
        return "searches"
    return None
