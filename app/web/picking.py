"""Choosing an item from a list, for one conversation or those that are ticked: a page without scripts, a part with."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, request

from app import picking
from app.inbox import counts
from app.installation import Installation
from app.store import crm
from app.web.choosing import MOST_AT_ONCE, chosen, is_in_place, reading
from app.web.inbox_filter import counted, query_of, shown_view, total, wanted_in
from app.web.member_page import LONGEST_QUERY, member_page
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
            view=query_of(shown_view() if is_in_place() else wanted_in(request.args.get("view", ""))),
        )

    @pages.post("/conversations/pick")
    @browser.members_only
    def pick_for_many() -> Response:
        query = request.form.get("q", "")[:LONGEST_QUERY].strip()
        with reading(installation) as connection:
            ids = chosen(connection, MOST_AT_ONCE)  # of all that match a filter, the newest suggest
            found = picking.for_many(connection, who().member, ids, query)
            found_counts = counts(connection, who().member, shown_view(), who().zone)
        return member_page(
            "pick_many_part.html" if is_in_place() else "pick_many.html",
            pick=found,
            total=counted(total(found_counts, shown_view()), shown_view()) if "all" in request.form else "",
            typed=query,
            view=query_of(shown_view()),
        )

    return pages
