"""How a member gets in: accounts at Google or Microsoft, browsers that are signed in, and keys for programs."""

from __future__ import annotations

import re
from collections.abc import Callable
from uuid import UUID

import sqlalchemy as sa
from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app import api_keys, members, signing_in
from app.acting import Acting
from app.installation import Installation
from app.store import api_keys as key_rows
from app.store import identities, sessions
from app.web.consent import Consent
from app.web.settings_frame import settings_page
from app.web.signed_in import Browser, who

# What a browser calls itself holds the names of others too: the first that is found counts.
_BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = ("Windows", "Android", "iPhone", "iPad", "Mac OS X", "Linux")


def blueprint(installation: Installation, browser: Browser) -> Blueprint:
    """Build the pages."""
    pages = Blueprint("personal_access", __name__)
    consent = Consent(installation.settings.public_base_url)
    _add_signing_in(pages, installation, browser, consent)
    _add_keys(pages, installation, browser)
    return pages


def _add_signing_in(pages: Blueprint, installation: Installation, browser: Browser, consent: Consent) -> None:
    def act(work: Callable[[sa.Connection, Acting], str]) -> WerkzeugResponse:
        with installation.database.for_team(who().team.id) as connection:
            done = work(connection, _acting(installation))
        return redirect(f"/preferences/sign-in?done={done}", 303)

    @pages.get("/preferences/sign-in")
    @browser.members_only
    def show() -> Response:
        member, now = who().member, installation.clock.now()
        with installation.database.for_team(who().team.id) as connection:
            bound = identities.of_member(connection, member.id)
            browsers = sessions.of_member(connection, member.id, sessions.hashed(browser.cookie), now)
        page = settings_page(
            "signing_in.html", bound=bound, browsers=browsers, issuers=list(installation.issuers), called=browser_name
        )
        return consent.leading_away(page)

    @pages.post("/preferences/sign-in/<uuid:identity>/unbind")
    @browser.members_only
    def unbind(identity: UUID) -> WerkzeugResponse:
        def work(connection: sa.Connection, acting: Acting) -> str:
            members.unbind(connection, acting, str(identity))
            return "unbound"

        return act(work)

    @pages.post("/preferences/sessions/<uuid:session>/end")
    @browser.members_only
    def end(session: UUID) -> WerkzeugResponse:
        def work(connection: sa.Connection, acting: Acting) -> str:
            signing_in.end_session(connection, acting, str(session))
            return "ended&n=1"

        return act(work)

    @pages.post("/preferences/sessions/end-others")
    @browser.members_only
    def end_others() -> WerkzeugResponse:
        return act(
            lambda connection, acting: f"ended&n={signing_in.end_other_sessions(connection, acting, browser.cookie)}"
        )


def _add_keys(pages: Blueprint, installation: Installation, browser: Browser) -> None:
    @pages.get("/preferences/keys")
    @browser.members_only
    def show_keys() -> Response:
        with installation.database.for_team(who().team.id) as connection:
            keys = key_rows.of_member(connection, who().member.id)
        return settings_page("api_keys.html", keys=keys, made="")

    @pages.post("/preferences/keys")
    @browser.members_only
    def make() -> Response:
        """Answer with the page itself: the text of a key must stand in no address."""
        name, may_write = request.form.get("name", "").strip(), request.form.get("may") == "write"
        with installation.database.for_team(who().team.id) as connection:
            _, text = api_keys.make(connection, _acting(installation), name, may_write=may_write)
            keys = key_rows.of_member(connection, who().member.id)
        return settings_page("api_keys.html", keys=keys, made=text)

    @pages.post("/preferences/keys/<uuid:key>/revoke")
    @browser.members_only
    def revoke(key: UUID) -> WerkzeugResponse:
        with installation.database.for_team(who().team.id) as connection:
            api_keys.revoke(connection, _acting(installation), str(key))
        return redirect("/preferences/keys?done=key_revoked", 303)


def _acting(installation: Installation) -> Acting:
    return Acting(who().team.id, who().member, installation.clock.now())


def browser_name(called: str) -> str:
    """Return the browser and the system of what a browser calls itself, as Firefox, Windows; "" when it is neither."""
    name = next((shown for sign, shown in _BROWSERS if sign in called), "")
    system = next((system for system in _SYSTEMS if re.search(rf"\b{system}\b", called)), "")
    return ", ".join(filter(None, (name, system.replace("Mac OS X", "macOS"))))
