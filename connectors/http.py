"""The one way out: a guarded HTTP client, and the one reading of a vendor's answer as an error of ours.

Every vendor spoken to with requests uses it, and so does every sign-in and certificate call. It retries nothing: what
happens next is decided by the error's class (app.errors). Gmail's own API calls go through Google's library instead.
"""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.util.connection import create_connection

from app.errors import (
    AccessRevoked,
    AdminBlocked,
    Gone,
    ProviderError,
    RateLimited,
    Rejected,
    TransientError,
    Unavailable,
)

CONNECT_TIMEOUT_S = 5
LONGEST_RETRY_AFTER_S = 86_400.0
_CHUNK_BYTES = 65_536
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: a gateway makes IPv4 of it
_UNICAST = ipaddress.IPv6Network("2000::/3")  # RFC 4291: all that anybody was given of IPv6
# Of every other sign (a backslash, a tab) two readers of URLs may make two hosts (threats.md W13).
_HOST = re.compile(r"[a-z0-9._-]{1,255}|[0-9a-f:.]{2,45}")  # a name or an IPv4 address; an IPv6 address, no zone


@dataclass(frozen=True, slots=True)
class Answer:
    """What a vendor answered; header names are lower case, the body is unpacked and within the size cap."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON, or None when it is something else (an HTML error page, half an answer)."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True, slots=True)
class Finding:
    """What a vendor's own reason code makes of an answer, where its status alone says too little."""

    kind: type[ProviderError]
    message: str = ""
    retry_after_s: float | None = None


ReasonHook = Callable[[Answer], Finding | None]


def error_of(
    answer: Answer, *, provider: str, operation: str, now: datetime, reason: ReasonHook | None = None
) -> ProviderError:
    """Return the error an unsuccessful answer stands for; the vendor's hook is asked before the status is."""
    finding = (reason(answer) if reason else None) or Finding(_kind_of(answer.status))
    message = finding.message or f"{provider} answered {answer.status} to {operation}"
    request_id = answer.headers.get("request-id") or answer.headers.get("x-request-id")
    if not issubclass(finding.kind, TransientError):
        return finding.kind(message, provider=provider, operation=operation, request_id=request_id)
    wait_s = finding.retry_after_s
    if wait_s is None:
        wait_s = retry_after_s(answer.headers.get("retry-after"), now)
    return finding.kind(message, provider=provider, operation=operation, request_id=request_id, retry_after_s=wait_s)


def _kind_of(status: int) -> type[ProviderError]:
    if status == 429:
        return RateLimited
    if status >= 500 or status < 400 or status == 408:  # a redirect is never followed, so it is no answer
        return Unavailable
    return {401: AccessRevoked, 403: AdminBlocked, 404: Gone, 410: Gone}.get(status, Rejected)


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Read a Retry-After header, seconds or a date, as seconds from now; None when absent, unreadable or past."""
    if not value:
        return None
    if re.fullmatch(r"\s*[0-9]{1,9}(\.[0-9]{0,9})?\s*", value):
        wait_s = float(value)
    else:
        try:
            when = parsedate_to_datetime(value[:100])
        except (ValueError, TypeError, OverflowError):
            return None
        wait_s = ((when if when.tzinfo else when.replace(tzinfo=UTC)) - now).total_seconds()
    return min(wait_s, LONGEST_RETRY_AFTER_S) if wait_s > 0 else None


@dataclass(frozen=True)
class OutgoingHttp:
    """A client that talks to one vendor only (threats.md W13, W14).

    A URL must be https on a host of `allowed_hosts` or below one of them (None: on any host, where a team names it),
    and its address must be public. The origins of `operator_urls` are the operator's own choice: they may be http and
    private (a simulator, a self-hosted CRM). Redirects are never followed. With a proxy in the environment the address
    check is the proxy's.
    """

    provider: str
    allowed_hosts: tuple[str, ...] | None
    operator_urls: Iterable[str] = ()
    timeout_s: float = 15.0
    max_bytes: int = 10_000_000
    _trusted: frozenset[tuple[str, str, int]] = field(init=False)
    _sessions: threading.local = field(init=False, default_factory=threading.local)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_trusted", frozenset(_origin(url) for url in self.operator_urls))

    def request(
        self,
        method: str,
        url: str,
        *,
        operation: str,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | bytes | None = None,
        json_body: Any = None,
        timeout_s: float | None = None,
    ) -> Answer:
        """Send one request and return the answer, whatever its status.

        Raises Rejected for a URL that is not this vendor's, Unavailable when no whole answer came.
        """
        is_trusted = self.check(url, operation=operation)
        limit_s = timeout_s or self.timeout_s
        deadline = time.monotonic() + 2 * limit_s  # against a body that arrives drop by drop
        try:
            with self._session(is_trusted).request(
                method,
                url,
                headers=headers,
                params=params,
                data=data,
                json=json_body,
                timeout=(min(CONNECT_TIMEOUT_S, limit_s), limit_s),
                allow_redirects=False,
                stream=True,
                proxies=get_environ_proxies(url),
            ) as response:
                body = self._read(response, deadline, operation)
                lower = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status_code, lower, body)
        except (requests.RequestException, HTTPError, OSError) as error:
            raise self._unavailable(f"{self.provider} could not be reached", operation) from error

    def check(self, url: str, *, operation: str) -> bool:
        """Say whether a URL is the operator's own choice; nothing is looked up. Raises Rejected for one not allowed."""
        try:
            scheme, host, port = origin = _origin(url)
        except ValueError:
            scheme, host, port = origin = "", "", 0
        if origin in self._trusted:
            return True
        is_allowed = (
            _may_be_public(host)
            if self.allowed_hosts is None
            else any(host == allowed or host.endswith(f".{allowed}") for allowed in self.allowed_hosts)
        )
        if scheme != "https" or port != 443 or not is_allowed:
            raise Rejected(f"This address is not one of {self.provider}", provider=self.provider, operation=operation)
        return False

    def _session(self, is_trusted: bool) -> requests.Session:
        name = "trusted" if is_trusted else "guarded"
        session: requests.Session | None = getattr(self._sessions, name, None)
        if session is None:
            session = requests.Session()
            session.trust_env = False  # a .netrc must not add its own passwords
            if not is_trusted:
                session.mount("https://", _PublicAddressAdapter())
            setattr(self._sessions, name, session)
        return session

    def _read(self, response: requests.Response, deadline: float, operation: str) -> bytes:
        body = bytearray()
        for chunk in response.iter_content(_CHUNK_BYTES):
            body += chunk
            if len(body) > self.max_bytes:
                raise Rejected(f"{self.provider} sent too much", provider=self.provider, operation=operation)
            if time.monotonic() > deadline:
                raise self._unavailable(f"{self.provider} answered too slowly", operation)
        return bytes(body)

    def _unavailable(self, message: str, operation: str) -> Unavailable:
        return Unavailable(message, provider=self.provider, operation=operation)


def _origin(url: str) -> tuple[str, str, int]:
    """Return (scheme, host, port) of a URL. Raises ValueError when it has none or carries a password."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or parts.username is not None:
        raise ValueError("not an http address")
    if parts.hostname is None or not _HOST.fullmatch(parts.hostname):
        raise ValueError("not a host")
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _may_be_public(host: str) -> bool:
    """Say whether a host could have a public address: a name with a dot, or such an address itself."""
    try:
        return is_public(host)
    except ValueError:
        return "." in host.strip(".")


class _PublicAddressConnection(HTTPSConnection):
    """Resolves the host once, refuses a private address, and connects to the very address that was looked at."""

    def _new_conn(self) -> socket.socket:
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
            addresses = [str(entry[4][0]) for entry in found]
            if not addresses or not all(is_public(address) for address in addresses):
                raise NewConnectionError(self, "The host has a private address")
            timeout = self.timeout if isinstance(self.timeout, int | float) else CONNECT_TIMEOUT_S
            return create_connection((addresses[0], self.port), timeout, socket_options=self.socket_options)
        except OSError as error:
            raise NewConnectionError(self, f"No connection: {type(error).__name__}") from error


def is_public(address: str) -> bool:
    """Whether an IP address is reachable by everybody; an IPv4 address inside an IPv6 one is looked at as IPv4."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour
        if parsed in _NAT64:
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFF_FFFF)
        if inner is not None:
            parsed = inner
        elif parsed not in _UNICAST:
            return False
    return parsed.is_global and not parsed.is_multicast


class _PublicAddressPool(HTTPSConnectionPool):
    ConnectionCls = _PublicAddressConnection


class _PublicAddressAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": HTTPConnectionPool, "https": _PublicAddressPool}
