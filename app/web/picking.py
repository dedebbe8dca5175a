"""Choosing an item from a list, for one conversation or those that are ticked: a page without scripts, a part with."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request

from app import picking
from app.inbox import counts
from app.installation import Installation
from app.store import crm
from app.web import came_from
from app.web.choosing import MOST_AT_ONCE, PARTS, chosen, is_in_place, reading
from app.web.inbox_filter import counted, total
from app.web.member_page import LONGEST_QUERY, member_page, uuid_of
from app.web.signed_in import Browser, who


def blueprint(installation: Installation, browser: Browser) -> Blueprint:
    """Build the pages that choose an item."""
    pages = Blueprint("picking", __name__)

    @pages.get("/conversations/<uuid:conversation>/pick")
    @browser.members_only
    def pick(conversation: UUID) -> Response:
        signed, query = who(), request.args.get("q", "")[:LONGEST_QUERY].strip()
        kind, _, external_id = request.args.get("item", "").partition("/")
        with reading(installation) as connection:
            chosen = crm.item_ref(connection, kind, external_id) if kind else None
            found = picking.for_one(connection, signed.member, str(conversation), signed.locale, query, chosen)
        return member_page(
            "pick_part.html" if is_in_place() else "pick.html",
            pick=found,
            typed=query,
            **_place(),
        )

    @pages.post("/conversations/pick")
    @browser.members_only
    def pick_for_many() -> Response:
        query = request.form.get("q", "")[:LONGEST_QUERY].strip()
        with reading(installation) as connection:
            ids = chosen(connection, MOST_AT_ONCE)  # of all that match a filter, the newest suggest
            found = picking.for_many(connection, who().member, ids, query)
            asked = came_from.asked_from().asked
            of_states = counts(connection, who().member, asked, who().zone) if "all" in request.form else {}
        return member_page(
            "pick_many_part.html" if is_in_place() else "pick_many.html",
            pick=found,
            total=counted(total(of_states, asked), asked) if of_states else "",
            typed=query,
            group=uuid_of(request.form.get("group", "")),
            **_place(),
        )

    return pages


def _place() -> dict[str, Any]:
    """Return where a choice is made: the list, the part of it that the answer changes, and whether htmx asks."""
    part = request.values.get("in", "")
    return {"came": came_from.asked_from(), "part": part if part in PARTS else "list", "live": is_in_place()}
