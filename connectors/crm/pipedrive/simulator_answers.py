"""How Pipedrive answers and refuses, pages of lists, and reading what a request asks. Part of the simulator."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from connectors.crm.pipedrive.simulator_records import Company, Record, User
from connectors.crm.pipedrive.simulator_shapes import Json
from connectors.simulated_http import Call, Reply, json_reply

CLOUDFLARE_PAGE = (
    b"<!DOCTYPE html><html><head><title>Attention Required! | Cloudflare</title></head>"
    b"<body><h1>Sorry, you have been blocked</h1><p>You are unable to access pipedrive.com</p></body></html>"
)


class RefusedError(Exception):
    """A request is refused with this status."""

    def __init__(self, status: int, error: str, info: str = "") -> None:
        super().__init__(error)
        self.status = status
        self.info = info


@dataclass(frozen=True, slots=True)
class Asked:
    """An authorized request: whose, and what it asks."""

    call: Call
    company: Company
    user: User
    path_ids: dict[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str | None:
        """Return a query parameter; None when it is absent or empty."""
        return self.call.one(name) or None

    def number(self, name: str) -> int | None:
        """Return a query parameter that is a number."""
        return None if (written := self.text(name)) is None else as_number(name, written)

    def words(self, name: str) -> frozenset[str]:
        """Return the parts of a comma separated parameter, however often it is given."""
        return frozenset(part for value in self.call.query.get(name, []) for part in value.split(",") if part)

    def time(self, name: str) -> datetime | None:
        """Return a query parameter that is a time."""
        written = self.text(name)
        if written is None:
            return None
        try:
            at = datetime.fromisoformat(written)
        except ValueError:
            raise RefusedError(400, f"Parameter '{name}' must be a valid date") from None
        return at if at.tzinfo else at.replace(tzinfo=UTC)

    def id(self, name: str = "id") -> int:
        """Return an id in the path that is a number."""
        return as_number(name, self.path_ids[name])

    def body(self) -> Json:
        """Return the JSON body."""
        try:
            read = json.loads(self.call.body or b"{}")
        except ValueError:
            raise RefusedError(400, "Request body is not JSON") from None
        if not isinstance(read, dict):
            raise RefusedError(400, "Request body must be an object")
        return read

    def form(self) -> dict[str, str]:
        """Return the body of a form."""
        return form_of(self.call)

    def the(self, kind: str, name: str = "id") -> Record:
        """Return the record the path names, in any state, or refuse with 404."""
        crm_id = self.path_ids[name] if kind == "lead" else self.id(name)
        record = self.company.get(kind, crm_id)
        if record is None:
            raise not_found(kind)
        return record


def as_number(name: str, written: object) -> int:
    """Read a number. Refuses with 400."""
    if isinstance(written, str) and written.isascii() and written.isdecimal() and len(written) < 19:
        return int(written)
    if isinstance(written, int) and not isinstance(written, bool):
        return written
    raise RefusedError(400, f"Parameter '{name}' must be a number")


def not_found(kind: str) -> RefusedError:
    """Refuse because there is no such record."""
    return RefusedError(404, f"{kind.capitalize()} not found")


def form_of(call: Call) -> dict[str, str]:
    """Return the fields of a form, empty ones included."""
    fields = parse_qs(call.body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}


def refusal(status: int, error: str, info: str = "", **headers: str) -> Reply:
    """Answer the way Pipedrive refuses."""
    body: Json = {"success": False, "error": error, "errorCode": status, "error_info": info or "", "data": None}
    return json_reply(body, status, **headers)


def success(data: Any, status: int = 200, **more: Any) -> Reply:
    """Answer a request that was carried out."""
    return json_reply({"success": True, "data": data, **more}, status)


def page_by_cursor(
    asked: Asked, records: Iterable[Record], shape: Callable[[Record], Json], *, most: int = 500, sort: str = "id"
) -> Reply:
    """Answer with a page of version 2, sorted by `sort` and then by id, after the cursor's place."""
    limit = _limit(asked, most)
    descending = asked.text("sort_direction") == "desc"

    def place(record: Record) -> tuple[Any, Any]:
        return (record.id if sort == "id" else getattr(record, sort).isoformat()), record.id

    ordered = sorted(records, key=place, reverse=descending)
    after = _cursor(asked)
    if after is not None:
        last = tuple(after)
        ordered = [record for record in ordered if (place(record) < last if descending else place(record) > last)]
    shown = ordered[:limit]
    cursor = _as_cursor(place(shown[-1])) if len(ordered) > limit else None
    return success([shape(record) for record in shown], additional_data={"next_cursor": cursor})


def page_of_hits(asked: Asked, hits: Sequence[Json], *, most: int, **more: Any) -> Reply:
    """Answer with a page of search results."""
    limit, start = _limit(asked, most), (_cursor(asked) or [0])[0]
    items = [{"result_score": round(1 / (start + n + 1), 5), "item": hit} for n, hit in enumerate(hits[start:][:limit])]
    cursor = _as_cursor([start + limit]) if len(hits) > start + limit else None
    return success({"items": items, **more}, additional_data={"next_cursor": cursor})


def page_by_start(asked: Asked, shown: Sequence[Json], *, nested: bool = True) -> Reply:
    """Answer with a page of version 1; `nested` puts its place into `pagination`, as most of version 1 does."""
    start, limit = asked.number("start") or 0, _limit(asked, 500)
    more = len(shown) > start + limit
    place: Json = {"start": start, "limit": limit, "more_items_in_collection": more}
    if nested:
        place = {"pagination": place | ({"next_start": start + limit} if more else {})}
    return success(list(shown[start : start + limit]), additional_data=place)


def _limit(asked: Asked, most: int) -> int:
    limit = asked.number("limit")
    if limit is None:
        return min(100, most)
    if not 1 <= limit <= most:
        raise RefusedError(400, f"Parameter 'limit' must be between 1 and {most}")
    return limit


def _as_cursor(place: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(list(place)).encode()).decode().rstrip("=")


def _cursor(asked: Asked) -> list[Any] | None:
    written = asked.text("cursor")
    if written is None:
        return None
    try:
        return list(json.loads(base64.urlsafe_b64decode(written + "=" * (-len(written) % 4))))
    except ValueError:
        raise RefusedError(400, "Parameter 'cursor' is not valid") from None
