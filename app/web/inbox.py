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

from app import inbox, offers, review, work
from app.acting import Acting
from app.errors import NotFound
from app.installation import Installation
from app.store import conversations
from app.store.inbox import COUNTED_UP_TO, STATES, State
from app.store.work import Work
from app.web import paging
from app.web.choosing import act, back, found_items, named_item, reading
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
        """Link many conversations to one item; what is to be said first, or takes long, leads to a page of its own.

        The form sends `item` (KIND/ID), and which conversations: a `c` for each ticked one, or `all=1` with the filter
        of the list, `state` and `s`, for all that match it on every page. `back` is where to lead when all is done.
        """
        acting = Acting(who().team.id, who().member, installation.clock.now())
        with reading(installation) as connection:
            ids = _chosen(connection)
            begun = work.bulk_link(connection, acting, ids, named_item(connection))
            counts = work.counts(connection, begun)
        if begun.state == "done" and counts.keys() == {"done"}:
            return back({"done": "bulk", "action": begun.batch_id, "n": counts["done"]})
        return redirect(f"/work/{begun.public_id}", 303)

    @pages.post("/undo")
    @browser.members_only
    def undo() -> WerkzeugResponse:
        action = uuid_of(request.form.get("action", ""))
        if not action:
            raise NotFound
        acting = Acting(who().team.id, who().member, installation.clock.now())
        with reading(installation) as connection:
            undone = work.undo(connection, acting, action)
        if isinstance(undone, Work):
            return redirect(f"/work/{undone.public_id}", 303)
        return back({"done": "undone", "action": acting.batch_id})


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


def _chosen(connection: sa.Connection) -> list[int]:
    """Return the conversations that a form means: all that match its filter, or the ticked ones."""
    if request.form.get("all") == "1":
        state = request.form.get("state", "")
        words = request.form.get("s", "")[:LONGEST_QUERY].strip()
        return inbox.matching(connection, who().member, state if state in STATES else None, words, work.MOST)
    return list(conversations.ids_of(connection, _ticked()).values())


def _ticked() -> Sequence[str]:
    found = [each for each in (uuid_of(value) for value in request.form.getlist("c")[:MOST_AT_ONCE]) if each]
    if not found:
        raise NotFound
    return list(dict.fromkeys(found))
