"""The review queue: what needs a choice, a person at a time, and offers for new items."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Blueprint, Response, g, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app import offers, picking, review
from app.acting import Acting
from app.installation import Installation
from app.signing_in import SignedIn
from app.store import crm
from app.store import links as link_rows
from app.web import crm_state
from app.web.came_from import CameFrom
from app.web.choosing import act, reading
from app.web.member_page import member_page
from app.web.signed_in import Browser, who


def blueprint(installation: Installation, browser: Browser) -> Blueprint:
    """Build the pages of the review queue."""
    pages = Blueprint("review", __name__)

    @pages.get("/review")
    @browser.members_only
    def show_review() -> Response:
        signed = who()
        with reading(installation) as connection:
            groups = review.groups(connection, signed.member)
            offered = offers.standing(connection, signed.member)
            settled = _settled_yesterday(connection, signed)
            asked = [([each.seen for each in g.choices], [each.ref for each in g.suggestions]) for g in groups]
            foretold = picking.foretell(connection, asked)
            standing = crm.standing(connection)
        return member_page(
            "review.html",
            groups=groups,
            documents={
                choice.seen.conversation.id: review.document(choice, signed.locale)
                for group in groups
                for choice in group.choices
            },
            offers=[offers.document(each) for each in offered],
            settled=settled,
            foretold=dict(zip((group.id for group in groups), foretold, strict=True)),
            marks=review.marks(groups),
            came=CameFrom(is_review=True),
            crm_said=crm_state.said(standing),
        )

    @pages.get("/review/changed")
    @browser.members_only
    def show_changed() -> Response:
        """Say whether there is something else to choose, or to choose from, than the page still shows (`shown`)."""
        with reading(installation) as connection:
            marks = review.marks(review.groups(connection, who().member))
        return member_page("review_changed.html", is_other=set(marks.values()) != set(request.args.getlist("shown")))

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

    return pages


def _settled_yesterday(connection: sa.Connection, signed: SignedIn) -> int:
    """Return for how many conversations the member chose yesterday, in the member's time zone."""
    today = datetime.combine(g.now.astimezone(signed.zone).date(), time(), signed.zone)
    return link_rows.settled(connection, signed.member.id, today - timedelta(days=1), today)
