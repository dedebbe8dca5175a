"""The one place that calls Graph: each request carries the mailbox's token, takes its places, and fails as app.errors.

Exchange runs four requests of an application to one mailbox at once; the parts of a $batch count like requests. So a
$batch takes as many of the mailbox's four places as it has parts, across all processes. Vendor pages:
learn.microsoft.com/graph/throttling-limits, learn.microsoft.com/graph/json-batching
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from app.errors import CursorExpired, ProviderError, RateLimited, Rejected, Unavailable
from app.ports import Clock, Credentials, Mailbox, Slots
from connectors.http import Answer, OutgoingHttp
from connectors.mail.graph.auth import GraphAuth
from connectors.mail.graph.failures import PROVIDER, api_error
from connectors.mail.graph.settings import GraphSettings

GRAPH_HOSTS = (
    "graph.microsoft.com",
    "graph.microsoft.us",
    "dod-graph.microsoft.us",
    "microsoftgraph.chinacloudapi.cn",
)
IMMUTABLE_IDS = 'IdType="ImmutableId"'
BATCH_PARTS = 20
PLACES = 4  # requests of one application that Exchange runs at once for one mailbox
WAIT_FOR_PLACE_S = 5.0
MAX_ANSWER_BYTES = 30_000_000
ACCEPTED = "application/json, */*;q=0.5"  # a mail's own bytes are text/plain
_ID = re.compile(r"[A-Za-z0-9_=+/.@-]{1,512}")
_CLAIMS = re.compile(r'claims="([A-Za-z0-9+/=_-]{1,8000})"')


@dataclass(frozen=True, slots=True)
class Access:
    """Whose mailbox is asked, and with which token. `name` is `tenant/user`, as in notifications."""

    name: str
    credentials: Credentials
    chosen: frozenset[str] = frozenset()  # the folders that are read; empty: every one

    @classmethod
    def of(cls, mailbox: Mailbox) -> Access:
        """Return the access an account has."""
        return cls(mailbox.account.mailbox, mailbox.credentials, mailbox.account.folders)

    @property
    def user(self) -> str:
        """The path of the mailbox: an object id, or the address of a shared mailbox."""
        return f"/users/{quoted(self.name.partition('/')[2])}"


@dataclass(frozen=True, slots=True)
class Part:
    """The answer to one part of a $batch."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    content: Any = None

    @property
    def body(self) -> Mapping[str, Any]:
        """The JSON object that was answered; empty when it is something else."""
        return self.content if isinstance(self.content, dict) else {}

    @property
    def answer(self) -> Answer:
        """The part as an answer of its own."""
        return Answer(self.status, self.headers, json.dumps(self.content).encode())

    def raw(self) -> bytes:
        """Return a body that is no JSON: Graph sends it as base64."""
        try:
            return base64.b64decode(self.content) if isinstance(self.content, str) else b""
        except (binascii.Error, ValueError):
            return b""


class GraphApi:
    """Calls Graph for one mailbox at a time, from any thread."""

    def __init__(self, settings: GraphSettings, auth: GraphAuth, slots: Slots, clock: Clock) -> None:
        self._url = settings.api_url
        self._auth = auth
        self._slots = slots
        self._clock = clock
        self._http = OutgoingHttp(
            PROVIDER, GRAPH_HOSTS, settings.changed_urls, timeout_s=settings.timeout_s, max_bytes=MAX_ANSWER_BYTES
        )

    def call(
        self, access: Access, operation: str, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]:
        """Make one call and return the JSON object that was answered; empty when nothing was (204)."""
        answer = self._send(access, operation, method, path, body, places=1)
        if answer.status >= 300 or answer.status < 200:
            raise self.error(answer, operation)
        if answer.status == 204 or not answer.body:
            return {}
        read = answer.json()
        if not isinstance(read, dict):
            raise Unavailable("Graph's answer is not an object", provider=PROVIDER, operation=operation)
        return read

    def content(self, access: Access, operation: str, path: str) -> bytes:
        """Get what is no JSON, as it is. Raises Rejected above MAX_ANSWER_BYTES."""
        answer = self._send(access, operation, "GET", path, None, places=1)
        if answer.status != 200:
            raise self.error(answer, operation)
        return answer.body

    def batch(
        self, access: Access, operation: str, paths: Mapping[str, str], prefer: Sequence[str] = ()
    ) -> dict[str, Part]:
        """Get several paths with as few $batch requests as can be; return a part for each that was answered.

        Raises what concerns all of them: no connection, no token, too many requests.
        """
        parts: dict[str, Part] = {}
        keys = list(paths)
        for first in range(0, len(keys), BATCH_PARTS):
            some = {key: paths[key] for key in keys[first : first + BATCH_PARTS]}
            found = self._batch(access, operation, some, prefer)
            if any(part.status == 401 for part in found.values()):  # the token ended while the batch ran
                refused = self._auth.token(access.credentials)
                self._auth.token(access.credentials, refused)
                found = self._batch(access, operation, some, prefer)
            parts |= found
        return parts

    def error(self, answer: Answer | Part, operation: str) -> ProviderError:
        """Return what an unsuccessful answer stands for."""
        whole = answer.answer if isinstance(answer, Part) else answer
        return api_error(whole, operation=operation, now=self._clock.now())

    def unanswered(self, operation: str) -> Unavailable:
        """Return the error for a part of a $batch that was left out."""
        return Unavailable("The batch held no answer for it", provider=PROVIDER, operation=operation)

    def relative(self, link: object, operation: str) -> str:
        """Return a link that Graph gave, below our endpoint. Raises Rejected for one that leads elsewhere."""
        prefix = f"{self._url}/"
        if not isinstance(link, str) or len(link) > 20_000 or not link.startswith(prefix):
            raise Rejected("Graph gave a link that leads elsewhere", provider=PROVIDER, operation=operation)
        return f"/{link.removeprefix(prefix)}"

    def pages(self, access: Access, operation: str, path: str) -> Iterator[Mapping[str, Any]]:
        """Yield the pages of a list, following its links."""
        while True:
            page = self.call(access, operation, "GET", path)
            yield page
            if "@odata.nextLink" not in page:
                return
            path = self.relative(page["@odata.nextLink"], operation)

    def _batch(
        self, access: Access, operation: str, paths: Mapping[str, str], prefer: Sequence[str]
    ) -> dict[str, Part]:
        headers = {"Prefer": ", ".join((*prefer, IMMUTABLE_IDS))}  # each part by itself: the outer header is not theirs
        keys = dict(enumerate(paths))
        requests = [
            {"id": str(number), "method": "GET", "url": paths[key], "headers": headers} for number, key in keys.items()
        ]
        answer = self._send(access, operation, "POST", "/$batch", {"requests": requests}, places=len(requests))
        if answer.status != 200:
            raise self.error(answer, operation)
        read = answer.json()
        responses = read.get("responses") if isinstance(read, dict) else None
        parts: dict[str, Part] = {}
        for response in responses if isinstance(responses, list) else []:
            number, part = _part(response)
            if part is not None and number in keys:
                parts[keys[number]] = part
        return parts

    def _send(
        self,
        access: Access,
        operation: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        places: int,
    ) -> Answer:
        token = self._auth.token(access.credentials)  # before a place is taken: the refresh may wait for a row
        answer = self._send_with(access, operation, method, path, body, places, token)
        if answer.status == 401:
            token = self._auth.token(access.credentials, refused=token, claims=_claims(answer))
            answer = self._send_with(access, operation, method, path, body, places, token)
        return answer

    def _send_with(
        self,
        access: Access,
        operation: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        places: int,
        token: str,
    ) -> Answer:
        with ExitStack() as held:
            try:
                held.enter_context(self._slots.hold(f"{PROVIDER}:{access.name}", min(places, PLACES), PLACES))
            except TimeoutError:
                raise RateLimited(
                    "Others are reading this mailbox",
                    provider=PROVIDER,
                    operation=operation,
                    retry_after_s=WAIT_FOR_PLACE_S,
                ) from None
            return self._http.request(
                method,
                self._url + path,
                operation=operation,
                headers={"Authorization": f"Bearer {token}", "Prefer": IMMUTABLE_IDS, "Accept": ACCEPTED},
                json_body=body,
            )


def quoted(identifier: str) -> str:
    """Return an id or address for a path. Raises Rejected for what is none (threats.md W3)."""
    if not _ID.fullmatch(identifier):
        raise Rejected("This is no id of Graph", provider=PROVIDER, operation="path")
    return quote(identifier, safe="")


def query(**options: str) -> str:
    """Return a query string of OData options, `$` put before each name."""
    return urlencode({f"${name}": value for name, value in options.items()}, quote_via=quote, safe="$,()' :=/")


def list_of_objects(answer: Mapping[str, Any], key: str = "value") -> Sequence[Mapping[str, Any]]:
    """Return the objects of a list in an answer; a page without the list is an empty page."""
    listed = answer.get(key)
    return [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []


def expired(operation: str) -> CursorExpired:
    """Return the error for a position that cannot be used."""
    return CursorExpired(provider=PROVIDER, operation=operation)


def _part(response: object) -> tuple[int, Part | None]:
    if not isinstance(response, dict):
        return -1, None
    number, status, headers = str(response.get("id")), response.get("status"), response.get("headers")
    if not re.fullmatch(r"[0-9]{1,3}", number) or not isinstance(status, int):
        return -1, None
    lower = {str(name).lower(): str(value) for name, value in headers.items()} if isinstance(headers, dict) else {}
    return int(number), Part(status, lower, response.get("body"))


def _claims(answer: Answer) -> str | None:
    """Read the claims challenge of a 401 (continuous access evaluation); None when there is none."""
    found = _CLAIMS.search(answer.headers.get("www-authenticate", "")[:20_000])
    if found is None:
        return None
    encoded = found[1].replace("-", "+").replace("_", "/").rstrip("=")
    try:
        read = base64.b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
        return read if isinstance(json.loads(read), dict) else None
    except ValueError:
        return None
