"""Pages beside the inbox: what a member prefers."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app import outgoing_mail, preferences
from app.installation import Installation
from app.model import Preferences
from app.web.settings_frame import PREFERENCES_PAGES, SETTINGS_PAGES, administrators_only, settings_page
from app.web.signed_in import Browser, who


def blueprint(installation: Installation, browser: Browser) -> Blueprint:
    """Build the pages."""
    pages = Blueprint("settings", __name__)
    database = installation.database

    @pages.get("/settings")
    @browser.members_only
    @administrators_only
    def team_settings() -> WerkzeugResponse:
        first, _ = (*SETTINGS_PAGES, *PREFERENCES_PAGES)[0]
        return redirect(first, 303)

    @pages.get("/preferences")
    @browser.members_only
    def show_preferences() -> Response:
        return settings_page(
            "preferences.html",
            chosen=who().member.preferences,
            zones=preferences.time_zones(),
            sends_mail=outgoing_mail.is_set_up(installation.settings),
        )

    @pages.post("/preferences")
    @browser.members_only
    def choose() -> WerkzeugResponse:
        chosen = Preferences(
            locale=request.form.get("locale", ""),
            time_zone=request.form.get("time_zone", ""),
            shortcuts="shortcuts" in request.form,
            digest="digest" in request.form,
        )
        with database.for_team(who().team.id) as connection:
            preferences.set_preferences(connection, who().member, chosen)
        return redirect("/preferences?done=saved", 303)

    return pages
