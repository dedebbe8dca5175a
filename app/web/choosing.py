"""A choice is a form: its view lets the member act once and shows the page again, with what happened and its undo."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from flask import redirect, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app.acting import Acting
from app.installation import Installation
from app.model import ItemRef
from app.ports import SearchHit
from app.store import crm, mirror
from app.store.inbox import STATES
from app.web.member_page import LONGEST_QUERY
from app.web.signed_in import who

Work = Callable[[sa.Connection, Acting], dict[str, Any] | None]

_PLACES = ("/inbox", "/review", "/conversations/", "/items/", "/work/")


def act(installation: Installation, done: str, work: Work) -> WerkzeugResponse:
    """Let the member act once, then show the page again with what happened."""
    acting = Acting(who().team.id, who().member, installation.clock.now())
    with installation.database.for_team(acting.team_id) as connection:
        told = work(connection, acting) or {}
    return back({"done": done, "action": acting.batch_id, **told})


@contextmanager
def reading(installation: Installation) -> Iterator[sa.Connection]:
    """Open the team's transaction for who is signed in."""
    with installation.database.for_team(who().team.id) as connection:
        yield connection


def found_items(connection: sa.Connection) -> list[SearchHit] | None:
    """Return the items that were searched for; None when nothing was asked."""
    query = request.args.get("q", "")[:LONGEST_QUERY].strip()
    if not query:
        return None
    return mirror.search_items(connection, query, limit=10, reader=mirror.audience(connection, who().member))


def named_item(connection: sa.Connection) -> ItemRef:
    """Return the item that a form names. Raises NotFound when no CRM is connected."""
    kind, _, external_id = request.form.get("item", "").partition("/")
    return crm.item_ref(connection, kind, external_id)


def back(told: dict[str, Any]) -> WerkzeugResponse:
    """Lead to the page that the form stood on, with what happened; only to pages of ours."""
    path = request.form.get("back", "")
    if not path.startswith(_PLACES) or any(sign in path for sign in "\\?#\r\n") or "//" in path:
        path = "/inbox"
    state = request.form.get("state", "")
    return redirect(f"{path}?{urlencode({**({'state': state} if state in STATES else {}), **told})}", 303)
