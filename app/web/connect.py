"""Connecting a mailbox in the browser: the page of a one-time link, the way to the provider and back, the question.

A GET never uses a link up: mail scanners open links too. What changes something is a POST from our own page, told by
its Origin, and the whole way belongs to one browser, told by a cookie that only this server reads: the session's, when
a member started it on a page (email_sync.py).
"""

from __future__ import annotations

import secrets

from flask import Blueprint, Response, abort, redirect, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app import connecting
from app.installation import Installation
from app.web.consent import Consent, page_of
from app.web.signed_in import Browser
from app.web.wording import browser_locale


def blueprint(installation: Installation, members: Browser) -> Blueprint:
    """Build the pages that connect a mailbox."""
    pages = Blueprint("connect", __name__)
    consent = Consent(installation.settings.public_base_url)

    @pages.get("/connect/<token>")
    def show(token: str) -> Response:
        opened = connecting.open_link(installation, token)
        page = page_of("connect.html", opened.team.locale, opened=opened, provider=opened.request.provider)
        return consent.leading_away(page)

    @pages.post("/connect/<token>")
    def start(token: str) -> WerkzeugResponse:
        consent.require_own_page()
        browser = consent.browser or secrets.token_urlsafe(32)
        url = connecting.start_consent(installation, token, browser, auto_link="auto_link" in request.form)
        return consent.sent_on(url, browser)

    @pages.get("/connect/<provider>/callback")
    def callback(provider: str) -> WerkzeugResponse:
        if provider not in installation.mail:
            abort(404)
        session = members.session
        args = request.args.to_dict()
        outcome = connecting.finish_consent(installation, provider, args, consent.browser, session)
        if isinstance(outcome, connecting.Unconfirmed):
            return page_of("confirm.html", outcome.team.locale, unconfirmed=outcome, provider=provider)
        return _done(outcome, session)

    @pages.post("/connect/<provider>/confirm")
    def confirm(provider: str) -> WerkzeugResponse:
        consent.require_own_page()
        session = members.session
        connected = connecting.confirm(
            installation,
            provider,
            request.form.get("state", ""),
            consent.browser,
            session,
            meant=request.form.get("meant") == "yes",
        )
        return _done(connected, session) if connected else page_of("declined.html", browser_locale(request))

    return pages


def _done(connected: connecting.Connected, session: str) -> WerkzeugResponse:
    if session:
        is_settings = connected.kind == "team" and connected.member.role == "admin"
        path = "/settings/accounts" if is_settings else "/preferences/email-sync"
        return redirect(f"{path}?done=connected", 303)
    return page_of("done.html", connected.team.locale, address=connected.address)
