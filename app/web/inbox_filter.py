"""What a link into the inbox asks for, and back: the one reading of its query string."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import request

from app.inbox import RECORD_KINDS, Wanted, state_named
from app.store.inbox import COUNTED_UP_TO, MOST_FOUND, State
from app.web.member_page import LONGEST_QUERY, uuid_of

LONGEST_VIEW = 1_000


def wanted(args: Mapping[str, str] | None = None) -> Wanted:
    """Read what the request, or the given fields, ask to be shown; what makes no sense is left out."""
    given = request.args if args is None else args
    kind, _, external_id = given.get("about", "")[:LONGEST_QUERY].partition("/")
    of = given.get("of", "")
    return Wanted(
        state=state_named(given.get("state", "")),
        query=given.get("s", "")[:LONGEST_QUERY].strip(),
        account=uuid_of(given.get("account", "")),
        kind="personal" if of == "mine" else "team" if of == "team" else None,
        record=(kind, external_id) if kind in RECORD_KINDS and external_id else None,
        since=_day(given.get("since", "")),
        until=_day(given.get("until", "")),
    )


def shown_view() -> Wanted:
    """Read the list that the browser shows: a form names it, htmx sends its address."""
    view = request.form.get("view", "") or urlsplit(request.headers.get("HX-Current-URL", "")).query
    return wanted(dict(parse_qsl(view[:LONGEST_VIEW])))


def fields_of(asked: Wanted) -> dict[str, str]:
    """Write what is asked for as the fields of a form or of a link, without what is not."""
    fields = {
        "state": asked.state or "",
        "s": asked.query,
        "account": asked.account,
        "of": {"personal": "mine", "team": "team", None: ""}[asked.kind],
        "about": "/".join(asked.record) if asked.record else "",
        "since": asked.since.isoformat() if asked.since else "",
        "until": asked.until.isoformat() if asked.until else "",
    }
    return {name: value for name, value in fields.items() if value}


def query_of(asked: Wanted, **changed: Any) -> str:
    """Write what is asked for, with some of it changed, as it stands behind the ? of a link."""
    return urlencode(fields_of(replace(asked, **changed)))


def link_of(asked: Wanted, **changed: Any) -> str:
    """Write the link to a list."""
    query = query_of(asked, **changed)
    return f"/inbox?{query}" if query else "/inbox"


def total(counts: Mapping[State, int], asked: Wanted) -> int:
    """Return how many conversations a list has on all of its pages, as far as they are counted."""
    return counts[asked.state] if asked.state else sum(n for state, n in counts.items() if state != "dismissed")


def counted(n: int, asked: Wanted) -> str:
    """Say a number of a list as far as it is counted: 1000+, or 300+ of a search."""
    most = MOST_FOUND if asked.query else COUNTED_UP_TO
    return f"{most}+" if n >= most else str(n)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None
