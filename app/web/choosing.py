"""A choice is a form: its view lets the member act once and shows the page again, with what happened and its undo."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from flask import Response, redirect, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app.acting import Acting
from app.errors import NotFound
from app.inbox import counts, matching, rows_of
from app.installation import Installation
from app.model import ItemRef
from app.ports import SearchHit
from app.store import conversations, crm, last_actions, mirror
from app.store import links as link_rows
from app.store.last_actions import LastAction
from app.undoing import OVERTAKEN_BY
from app.web import came_from
from app.web.inbox_filter import counted, link_of, query_of, shown_view, wanted
from app.web.member_page import LONGEST_QUERY, Told, member_page, uuid_of
from app.web.signed_in import who

Work = Callable[[sa.Connection, Acting], dict[str, Any] | None]

MOST_AT_ONCE = 200
PARTS = ("list", "plain", "review")  # where a choice is answered in place: rows with ticks, without, the review queue
_PLACES = ("/inbox", "/review", "/conversations/", "/items/", "/work/")


def act(installation: Installation, done: str, work: Work) -> WerkzeugResponse:
    """Let the member act once, then show the page again with what happened; its undo stays until it is dismissed.

    To htmx on a list the rows that changed are sent in place, with the counts and what happened.
    """
    signed = who()
    acting = Acting(signed.team.id, signed.member, installation.clock.now())
    part = request.form.get("in", "")
    in_place = is_in_place() and part in PARTS
    with installation.database.for_team(acting.team_id) as connection:
        told = work(connection, acting) or {}
        if "to" in told:  # it goes on, or asks, on a page of its own
            carried = came_from.asked_from().carried
            return _sent_to(f"{told['to']}?{carried}" if carried else told["to"])
        trail = link_rows.audited(connection, acting.batch_id)
        last = LastAction(acting.batch_id, done, told.get("n", 0), told.get("left", 0))
        is_undoable = any(entry.action in OVERTAKEN_BY for entry in trail)
        if is_undoable:
            last_actions.remember(connection, acting.team_id, acting.member.id, last)
        if in_place:
            touched = {entry.conversation_id: None for entry in trail if entry.conversation_id}
            came = came_from.asked_from()
            rows = rows_of(connection, acting.member, touched, signed.locale) if part != "review" else ()
            is_counted = part != "review" and came.path == "/inbox"
            of_states = counts(connection, acting.member, came.asked, signed.zone) if is_counted else {}
    if not in_place:
        return back({"done": done, **told, **({"action": acting.batch_id} if is_undoable else {})})
    answer = member_page(
        "changed.html",
        told=Told(done, acting.batch_id if is_undoable else "", last.n, last.left),
        rows=rows,
        counts=of_states,
        counted=counted,
        asked=came.asked,
        link_of=link_of,
        came=came,
        part=part,
    )
    if done == "undone":
        answer.headers["HX-Trigger"] = "undone"
    return answer


def _sent_to(path: str) -> WerkzeugResponse:
    if not is_in_place():
        return redirect(path, 303)
    answer = Response()
    answer.headers["HX-Redirect"] = path
    return answer


def is_in_place() -> bool:
    """Say whether htmx asks for a part of a page."""
    return request.headers.get("HX-Request") == "true"


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


def ticked() -> list[str]:
    """Return the conversations that a form names, each once. Raises NotFound when there are none."""
    found = [each for each in (uuid_of(value) for value in request.form.getlist("c")[:MOST_AT_ONCE]) if each]
    if not found:
        raise NotFound
    return list(dict.fromkeys(found))


def chosen(connection: sa.Connection, most: int) -> list[int]:
    """Return the conversations that a form means: with `all=1` those that match its filter, else the ticked ones."""
    if request.form.get("all") == "1":
        asked = shown_view() if "view" in request.form else wanted(request.form)
        return matching(connection, who().member, asked, most, who().zone)
    return list(conversations.ids_of(connection, ticked()).values())


def back(told: dict[str, Any]) -> WerkzeugResponse:
    """Lead to the page that the form stood on, with what happened; only to pages of ours."""
    path = request.form.get("back", "")
    if not path.startswith(_PLACES) or any(sign in path for sign in "\\?#\r\n") or "//" in path:
        path = "/inbox"
    view = query_of(shown_view()) if path == "/inbox" else ""
    if path.startswith("/conversations/"):
        view = came_from.asked_from().carried
    query = "&".join(part for part in (view, urlencode(told)) if part)
    return redirect(f"{path}?{query}" if query else path, 303)
