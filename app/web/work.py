"""The page of long work: what would be done, a progress bar while it is done, then what became of each conversation."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app import policy as policies
from app import work
from app.acting import Acting
from app.installation import Installation
from app.links import Elsewhere
from app.web import came_from
from app.web.choosing import reading
from app.web.member_page import member_page
from app.web.signed_in import Browser, who

REFRESH_S = 2


def blueprint(installation: Installation, browser: Browser) -> Blueprint:
    """Build the page."""
    pages = Blueprint("work", __name__)

    @pages.get("/work/<uuid:public_id>")
    @browser.members_only
    def show_work(public_id: UUID) -> Response:
        after = request.args.get("after", default=0, type=int)
        with reading(installation) as connection:
            shown = work.show(connection, who().member, str(public_id), who().locale, min(max(after, 0), work.MOST))
        asked = shown.work.request
        changes = policies.differences(asked["before"], asked["policy"]) if shown.work.kind == "policy" else {}
        came = came_from.asked_from()
        page = member_page("work.html", shown=shown, work=shown.work, changes=changes, most=work.MOST, came=came)
        if shown.work.is_running:
            page.headers["Refresh"] = str(REFRESH_S)
        return page

    @pages.post("/work/<uuid:public_id>/begin")
    @browser.members_only
    def begin_work(public_id: UUID) -> WerkzeugResponse:
        acting = Acting(who().team.id, who().member, installation.clock.now())
        elsewhere: Elsewhere = "move" if request.form.get("elsewhere") == "move" else "skip"
        with reading(installation) as connection:
            begun = work.begin(connection, acting, str(public_id), elsewhere=elsewhere)
        carried = came_from.asked_from().carried
        return redirect(f"/work/{begun.public_id}" + (f"?{carried}" if carried else ""), 303)

    return pages
