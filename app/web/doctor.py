"""The page of the doctor: what became of a mail, a report to hand on, and what is not as it should be."""

from __future__ import annotations

from flask import Blueprint, Response, request

from app import accounts, doctor, tracing
from app.errors import NotAllowed
from app.installation import Installation
from app.web.member_page import member_page
from app.web.signed_in import Browser, who


def blueprint(installation: Installation, browser: Browser) -> Blueprint:
    """Build the page."""
    pages = Blueprint("doctor", __name__)

    @pages.get("/doctor")
    @browser.members_only
    def show_doctor() -> Response:
        member, team = who().member, who().team
        query = request.args.get("q", "")[: tracing.LONGEST_QUERY].strip()
        everywhere = "all" in request.args
        if everywhere and member.role != "admin":
            raise NotAllowed("not_administrator")
        now = installation.clock.now()
        found = None
        with installation.database.for_team(team.id) as connection:
            if query:
                found = tracing.trace(connection, member, query, who().locale, now, everywhere=everywhere)
            if query and everywhere:
                detail = {"asked_by": tracing.kind_of(query), "found": len(found.found) if found else 0}
                accounts.audit(connection, team.id, member.id, "doctor", detail, now)
        return member_page(
            "doctor.html",
            found=found,
            asked=query,
            everywhere=everywhere,
            report=tracing.report(found, tracing.kind_of(query), now) if found else "",
            findings=doctor.examine(installation, team.id)[1] if member.role == "admin" else [],
        )

    return pages
