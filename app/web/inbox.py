"""The inbox and the review queue: what a member sees, and the choices that are made there.

Everything works without scripts: a choice is a form, and its page says what happened and offers to take it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app import inbox, links, offers, review
from app.acting import Acting
from app.errors import NotFound
from app.installation import Installation
from app.store import conversations
from app.store.inbox import COUNTED_UP_TO, STATES, State
from app.web import paging
from app.web.choosing import act, found_items, named_item, reading
from app.web.member_page import LONGEST_QUERY, member_page, uuid_of
from app.web.signed_in import Browser, who

MOST_AT_ONCE = 200


def blueprint(installation: Installation, browser: Browser) -> Blueprint:
    """Build the pages of the inbox."""
    pages = Blueprint("inbox", __name__)
    _addreading(pages, installation, browser)
    _add_choices(pages, installation, browser)
    _add_offers(pages, installation, browser)
    return pages


def _addreading(pages: Blueprint, installation: Installation, browser: Browser) -> None:
    @pages.get("/")
    def home() -> WerkzeugResponse:
        return redirect("/inbox", 303)

    @pages.get("/inbox")
    @browser.members_only
    def show_inbox() -> Response:
        state = cast("State | None", request.args.get("state") if request.args.get("state") in STATES else None)
        with reading(installation) as connection:
            after = paging.place(installation, who().team.id, who().member, request.args.get("after", ""))
            words = request.args.get("s", "")[:LONGEST_QUERY].strip()
            found = inbox.listing(connection, who().member, who().locale, state, after, words)
            hits = found_items(connection)
        return member_page(
            "inbox.html",
            listing=found,
            state=state,
            states=STATES,
            more=paging.sealed(installation, who().team.id, who().member, found.end),
            hits=hits,
            words=words,
            counted_up_to=COUNTED_UP_TO,
        )

    @pages.get("/review")
    @browser.members_only
    def show_review() -> Response:
        with reading(installation) as connection:
            choices = review.choices(connection, who().member)
            offered = offers.standing(connection, who().member)
        documents = [review.document(choice, who().locale) for choice in choices]
        return member_page("review.html", choices=documents, offers=[offers.document(each) for each in offered])


def _add_choices(pages: Blueprint, installation: Installation, browser: Browser) -> None:
    @pages.post("/conversations/link")
    @browser.members_only
    def bulk_link() -> WerkzeugResponse:
        def work(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            ids = conversations.ids_of(connection, _ticked())
            done = links.bulk_link(connection, acting, list(ids.values()), named_item(connection))
            return {"n": len(done.linked), "left": len(done.not_linked)}

        return act(installation, "bulk", work)

    @pages.post("/undo")
    @browser.members_only
    def undo() -> WerkzeugResponse:
        action = uuid_of(request.form.get("action", ""))
        return act(installation, "undone", lambda connection, acting: _undo(connection, acting, action))


def _add_offers(pages: Blueprint, installation: Installation, browser: Browser) -> None:
    @pages.post("/offers/<uuid:offer>/accept")
    @browser.members_only
    def accept_offer(offer: UUID) -> WerkzeugResponse:
        def work(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            return {"n": len(offers.accept(connection, acting, str(offer)).linked)}

        return act(installation, "accepted", work)

    @pages.post("/offers/<uuid:offer>/decline")
    @browser.members_only
    def decline_offer(offer: UUID) -> WerkzeugResponse:
        return act(installation, "declined", lambda connection, by: offers.decline(connection, by, str(offer)))


# --- what a request says ---


def _ticked() -> Sequence[str]:
    found = [each for each in (uuid_of(value) for value in request.form.getlist("c")[:MOST_AT_ONCE]) if each]
    if not found:
        raise NotFound
    return list(dict.fromkeys(found))


def _undo(connection: sa.Connection, acting: Acting, action: str) -> None:
    if not action:
        raise NotFound
    links.undo(connection, acting, action)
