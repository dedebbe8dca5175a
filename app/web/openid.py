"""Signing in with Google or Microsoft in the browser: the way there and back, and the page of an invitation.

What connect.py says of GET, Origin and cookie holds here too: what begins or accepts something is a POST of our own
page, and the state that comes back is this browser's.
"""

from __future__ import annotations

import secrets

from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app import openid_sign_in, signing_in
from app.installation import Installation
from app.openid_sign_in import AtBrowser, Bound, Entered
from app.web.consent import Consent, page_of
from app.web.signed_in import Browser
from app.web.wording import browser_locale


def blueprint(installation: Installation, browser: Browser) -> Blueprint:
    """Build the pages."""
    pages = Blueprint("openid", __name__)
    consent = Consent(installation.settings.public_base_url)

    def at_browser(secret: str) -> AtBrowser:
        return AtBrowser(secret, browser.name, browser.cookie, signing_in.signed_in(installation, browser.cookie))

    def begin(issuer: str, *, invitation: str = "", bind: bool = False) -> WerkzeugResponse:
        consent.require_own_page()
        secret = consent.browser or secrets.token_urlsafe(32)
        url = openid_sign_in.begin(installation, issuer, at_browser(secret), invitation=invitation, bind=bind)
        return consent.sent_on(url, secret)

    @pages.post("/sign-in/<issuer>/start")
    def start(issuer: str) -> WerkzeugResponse:
        return begin(issuer)

    @pages.post("/preferences/sign-in/<issuer>")
    @browser.members_only
    def start_binding(issuer: str) -> WerkzeugResponse:
        return begin(issuer, bind=True)

    @pages.get("/invitation/<token>")
    def show_invitation(token: str) -> Response:
        opened = openid_sign_in.open_invitation(installation, token)
        issuers = list(installation.issuers)
        return consent.leading_away(
            page_of("invitation.html", opened.team.locale, opened=opened, issuers=issuers, here=request.path)
        )

    @pages.post("/invitation/<token>")
    def join(token: str) -> WerkzeugResponse:
        consent.require_own_page()
        return browser.let_in(openid_sign_in.accept(installation, token, None, at_browser("")).cookie)

    @pages.post("/invitation/<token>/<issuer>")
    def start_joining(token: str, issuer: str) -> WerkzeugResponse:
        return begin(issuer, invitation=token)

    @pages.get("/sign-in/<issuer>/callback")
    def callback(issuer: str) -> Response | WerkzeugResponse:
        outcome = openid_sign_in.finish(installation, issuer, request.args.to_dict(), at_browser(consent.browser))
        if isinstance(outcome, Entered):
            return browser.let_in(outcome.cookie)
        if isinstance(outcome, Bound):
            return redirect("/preferences/sign-in?done=bound", 303)
        return page_of("choose_team.html", browser_locale(request), several=outcome, issuer=issuer)

    @pages.post("/sign-in/<issuer>/choose")
    def choose(issuer: str) -> WerkzeugResponse:
        consent.require_own_page()
        state, team = request.form.get("state", ""), request.form.get("team", "")
        entered = openid_sign_in.choose(installation, issuer, state, team, at_browser(consent.browser))
        return browser.let_in(entered.cookie)

    return pages
