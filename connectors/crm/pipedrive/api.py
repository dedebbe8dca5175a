"""One company's Pipedrive API: authorised, metered, its envelope opened, its refusals told as errors of ours."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from app.errors import RateLimited, Rejected, Unavailable
from app.ports import Clock, Credentials
from connectors.crm.pipedrive import operations
from connectors.crm.pipedrive.auth import PipedriveAuth, http_client
from connectors.crm.pipedrive.budget import METERS, Meter
from connectors.crm.pipedrive.failures import PROVIDER, api_error
from connectors.crm.pipedrive.operations import Operation
from connectors.crm.pipedrive.settings import PipedriveSettings
from connectors.http import Answer

Json = dict[str, Any]
MAX_PAGES = 20_000  # a list that never ends is a mistake
IDENTITY_KEPT_S = 3600.0
_MAX_IDENTITIES = 1000


class PipedriveApi:
    """Calls Pipedrive as one connection. `meter_key` names whose tokens are spent."""

    def __init__(
        self,
        settings: PipedriveSettings,
        clock: Clock,
        credentials: Credentials,
        *,
        meter_key: tuple[str, ...],
        daily_tokens: int | None = None,
        meter: Meter | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._credentials = credentials
        self._auth = PipedriveAuth(settings, clock)
        self._http = http_client(settings)
        self._daily_tokens = daily_tokens or settings.daily_tokens
        self.meter = meter or METERS.of(meter_key, lambda: Meter(settings, clock))

    def call(
        self,
        operation: Operation,
        record: str | int | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Json:
        """Make one call and return the whole envelope. A refused token is refreshed once."""
        path = operation.path if record is None else operation.path.replace("{id}", quote(str(record), safe=""))
        query = {name: _query(value) for name, value in (params or {}).items() if value is not None}
        refused: str | None = None
        while True:
            access = self._auth.access(self._credentials, refused)
            self.meter.spend(operation, self._daily_tokens)
            answer = self._http.request(
                operation.method,
                access.url(operation.version, path),
                operation=operation.name,
                headers={**access.headers, "accept": "application/json"},
                params=query or None,
                json_body=body,
                data=form,
            )
            if answer.status == 401 and refused is None:
                refused = access.token
                continue
            return self._opened(answer, operation)

    def data(self, operation: Operation, record: str | int | None = None, **kwargs: Any) -> Json:
        """Make one call whose data is one object. Raises Unavailable for another."""
        data = self.call(operation, record, **kwargs).get("data")
        if not isinstance(data, dict):
            raise Unavailable("Pipedrive's answer holds no record", provider=PROVIDER, operation=operation.name)
        return data

    def pages(
        self,
        operation: Operation,
        record: str | int | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        place: str | None = None,
        limit: int | None = None,
    ) -> Iterator[tuple[list[Json], str | None]]:
        """Yield the pages of a list, each with the place of the next, which is None at the end.

        A place is a cursor in version 2 and a number in version 1; a later call may go on from it.
        """
        name = "cursor" if operation.version == 2 else "start"
        for _ in range(MAX_PAGES):
            asked = {**(params or {}), "limit": limit or self._settings.page_size, name: place}
            envelope = self.call(operation, record, params=asked)
            data = envelope.get("data")
            data = data.get("items") if isinstance(data, dict) else data
            rows = [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []
            place = _next_place(envelope, operation.version, place, len(rows))
            yield rows, place
            if place is None:
                return

    def rows(self, operation: Operation, record: str | int | None = None, **kwargs: Any) -> list[Json]:
        """Return a whole list."""
        return [row for page, _ in self.pages(operation, record, **kwargs) for row in page]

    def rows_of_one(self, operation: Operation) -> list[Json]:
        """Return a list that has no pages."""
        data = self.call(operation).get("data")
        return [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []

    def me(self) -> Json:
        """Return whom the token belongs to. A token never changes hands, so it is asked for once an hour."""
        key = hashlib.sha256(self._auth.access(self._credentials).token.encode()).digest()
        found = _IDENTITIES.get(key, self._clock.now().timestamp())
        if found is None:
            found = self.data(operations.ME)
            if not isinstance(found.get("company_id"), int) or not isinstance(found.get("id"), int):
                raise Unavailable("Pipedrive does not say whose token this is", provider=PROVIDER, operation="users_me")
            _IDENTITIES.put(key, found, self._clock.now().timestamp())
        return found

    def revoke(self) -> None:
        """End our access."""
        self._auth.revoke(self._credentials.read())

    def _opened(self, answer: Answer, operation: Operation) -> Json:
        if not 200 <= answer.status < 300:
            error = api_error(answer, operation=operation.name, now=self._clock.now())
            raise self.meter.refused(error) if isinstance(error, RateLimited) else error
        self.meter.answered()
        envelope = answer.json()
        if not isinstance(envelope, dict):
            raise Unavailable("Pipedrive did not answer whole", provider=PROVIDER, operation=operation.name)
        if envelope.get("success") is False:
            raise Rejected("Pipedrive refused what was asked", provider=PROVIDER, operation=operation.name)
        return envelope


class _Identities:
    """Whom tokens belong to, by the digest of the token."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[float, Json]] = {}
        self._lock = threading.Lock()

    def get(self, key: bytes, now: float) -> Json | None:
        with self._lock:
            at, found = self._known.get(key, (0.0, {}))
        return found if found and abs(now - at) < IDENTITY_KEPT_S else None

    def put(self, key: bytes, found: Json, now: float) -> None:
        with self._lock:
            if len(self._known) >= _MAX_IDENTITIES:
                self._known.clear()
            self._known[key] = (now, found)


_IDENTITIES = _Identities()


def _query(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _next_place(envelope: Json, version: int, place: str | None, count: int) -> str | None:
    more = envelope.get("additional_data")
    more = more if isinstance(more, dict) else {}
    if version == 2:
        cursor = more.get("next_cursor")
        return cursor if isinstance(cursor, str) and cursor and cursor != place else None
    pagination = more.get("pagination")
    pagination = pagination if isinstance(pagination, dict) else more  # leads have it a level higher
    if not pagination.get("more_items_in_collection") or not count:
        return None
    following = pagination.get("next_start")
    return str(following if isinstance(following, int) else int(place or 0) + count)
