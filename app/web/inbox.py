"""The inbox: what a member's accounts hold, narrowed and counted, what came since, and choices for many at once.

Everything works without scripts: a choice is a form, and its page says what happened and offers to take it back.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Blueprint, Response, g, redirect, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app import inbox, work
from app.acting import Acting
from app.errors import NotFound
from app.inbox import Wanted
from app.installation import Installation
from app.links import Elsewhere
from app.store import last_actions, saved_filters
from app.store.work import Work
from app.web import crm_state, paging
from app.web.choosing import act, back, chosen, is_in_place, named_item, reading
from app.web.inbox_filter import counted, fields_of, link_of, query_of, shown_view, total, wanted
from app.web.member_page import member_page, uuid_of
from app.web.signed_in import Browser, who

LONGEST_NAME = 60
MOST_FILTERS = 30


def blueprint(installation: Installation, browser: Browser) -> Blueprint:
    """Build the pages of the inbox."""
    pages = Blueprint("inbox", __name__)
    _add_list(pages, installation, browser)
    _add_choices(pages, installation, browser)
    _add_filters(pages, installation, browser)
    return pages


def _add_list(pages: Blueprint, installation: Installation, browser: Browser) -> None:
    @pages.get("/")
    def home() -> WerkzeugResponse:
        return redirect("/inbox", 303)

    @pages.get("/inbox")
    @browser.members_only
    def show_inbox() -> Response:
        signed, asked = who(), wanted()
        after = paging.place(installation, signed.team.id, signed.member, request.args.get("after", ""))
        with reading(installation) as connection:
            found = inbox.listing(connection, signed.member, signed.locale, asked, after, signed.zone)
            saved = saved_filters.saved_filters(connection, signed.member.id)
        return member_page(
            "inbox.html",
            **_list_shown(asked, found),
            more=paging.sealed(installation, signed.team.id, signed.member, found.end),
            is_first=after is None,
            saved=saved,
            ticked_all=request.args.get("tick") == "page",
            this=request.args.get("after", "") if after else "",
        )

    @pages.get("/inbox/new")
    @browser.members_only
    def show_new() -> Response:
        """Say how many conversations came since; with `rows` bring them."""
        signed, asked = who(), wanted()
        since = _time(request.args.get("after", "")) or g.now
        with reading(installation) as connection:
            if "rows" in request.args:
                found = inbox.listing(connection, signed.member, signed.locale, asked, zone=signed.zone)
                fresh = [row for row in found.rows if row.at > since]
                return member_page(
                    "arrived_rows.html", **_list_shown(asked, found), fresh=fresh, since=found.newest or since
                )
            n = inbox.arrived(connection, signed.member, asked, since, signed.zone)
        return member_page("arrived.html", asked=asked, query_of=query_of, n=n, since=since)


def _list_shown(asked: Wanted, found: inbox.Listing) -> dict[str, Any]:
    return {
        "asked": asked,
        "listing": found,
        "counts": found.counts,
        "counted": counted,
        "link_of": link_of,
        "query_of": query_of,
        "fields": fields_of(asked),
        "blank": Wanted(),
        "total": total(found.counts, asked),
        "now": g.now,
        "crm_said": crm_state.said(found.crm),
    }


def _add_choices(pages: Blueprint, installation: Installation, browser: Browser) -> None:
    @pages.post("/conversations/link")
    @browser.members_only
    def bulk_link() -> WerkzeugResponse:
        """Link many conversations to one item; what is to be said first, or takes long, leads to a page of its own.

        The form sends `item` (KIND/ID), and which conversations: a `c` for each ticked one, or `all=1` with the filter
        of the list for all that match it on every page. A form that has said what stands in the way (`in`) sends `move`
        when the member wants those moved that are linked elsewhere. `back` is where to lead when all is done.
        """
        has_said = "in" in request.form and "all" not in request.form

        def do(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            elsewhere: Elsewhere | None = ("move" if "move" in request.form else "skip") if has_said else None
            item = named_item(connection)
            begun = work.bulk_link(connection, acting, chosen(connection, work.MOST), item, elsewhere=elsewhere)
            return _outcome(connection, begun, stays=has_said)

        return act(installation, "bulk", do)

    @pages.post("/conversations/dismiss")
    @browser.members_only
    def bulk_dismiss() -> WerkzeugResponse:
        """Take many conversations out of the list: those that are ticked, or with `all=1` those that match its filter.

        What takes long, or leaves some of all that match as they are, leads to a page of its own.
        """

        def do(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            begun = work.bulk_dismiss(connection, acting, chosen(connection, work.MOST))
            return _outcome(connection, begun, stays="all" not in request.form)

        return act(installation, "bulk_dismissed", do)

    @pages.post("/undo")
    @browser.members_only
    def undo() -> WerkzeugResponse:
        action = uuid_of(request.form.get("action", ""))

        def do(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            if not action:
                raise NotFound
            last_actions.forget(connection, acting.member.id, action)
            undone = work.undo(connection, acting, action)
            return {"to": f"/work/{undone.public_id}"} if isinstance(undone, Work) else {}

        return act(installation, "undone", do)

    @pages.post("/last-action/dismiss")
    @browser.members_only
    def dismiss_last() -> WerkzeugResponse:
        action = uuid_of(request.form.get("action", ""))
        with reading(installation) as connection:
            if action:
                last_actions.forget(connection, who().member.id, action)
        if is_in_place():
            return member_page("changed.html", told=None, rows=(), counts={})
        return back({})


def _outcome(connection: sa.Connection, begun: Work, *, stays: bool) -> dict[str, Any]:
    """Tell what was done, or lead to the page of the work: it goes on, asks, or has refusals nobody was told of."""
    counts = work.counts(connection, begun)
    if begun.state == "done" and (stays or counts.keys() == {"done"}):
        n = counts.pop("done", 0)
        return {"n": n, **({"left": sum(counts.values())} if counts else {})}
    return {"to": f"/work/{begun.public_id}"}


def _add_filters(pages: Blueprint, installation: Installation, browser: Browser) -> None:
    @pages.post("/inbox/filters")
    @browser.members_only
    def save_filter() -> WerkzeugResponse:
        asked, name = shown_view(), " ".join(request.form.get("name", "").split())[:LONGEST_NAME]
        with reading(installation) as connection:
            kept = {each.name for each in saved_filters.saved_filters(connection, who().member.id)}
            if name and (name in kept or len(kept) < MOST_FILTERS):
                saved_filters.save(connection, who().team.id, who().member.id, name, query_of(asked))
        return redirect(link_of(asked), 303)

    @pages.post("/inbox/filters/<uuid:saved>/delete")
    @browser.members_only
    def delete_filter(saved: UUID) -> WerkzeugResponse:
        with reading(installation) as connection:
            if not saved_filters.delete(connection, who().member.id, str(saved)):
                raise NotFound
        return redirect(link_of(shown_view()), 303)


def _time(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text[:40].replace(" ", "+"))
    except ValueError:
        return None
    return at if at.tzinfo and at.date() <= inbox.LAST_DAY else None
