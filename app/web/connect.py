"""Connecting a mailbox in the browser: the page of a one-time link, the way to the provider and back, the question.

A GET never uses a link up: mail scanners open links too. What changes something is a POST from our own page, told by
its Origin, and the whole way belongs to one browser, told by a cookie that only this server reads.
"""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, redirect, render_template, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app import connecting
from app.errors import NotAllowed
from app.installation import Installation
from app.web.security import policy
from app.web.wording import browser_locale, provider_name, words


def blueprint(installation: Installation) -> Blueprint:
    """Build the pages that connect a mailbox."""
    pages = Blueprint("connect", __name__)
    public = urlsplit(installation.settings.public_base_url)
    origin, is_https = f"{public.scheme}://{public.netloc}", public.scheme == "https"
    cookie_name = "__Host-threadlink" if is_https else "threadlink"

    @pages.get("/connect/<token>")
    def show(token: str) -> Response:
        opened = connecting.open_link(installation, token)
        page = _page("connect.html", opened.team.locale, opened=opened, provider=opened.request.provider)
        # Chrome applies form-action to the redirect behind the form too; a simulated provider is plain http.
        page.headers["Content-Security-Policy"] = policy(form_action="'self' https:" + ("" if is_https else " http:"))
        return page

    @pages.post("/connect/<token>")
    def start(token: str) -> WerkzeugResponse:
        _require_own_page(origin)
        browser = request.cookies.get(cookie_name) or secrets.token_urlsafe(32)
        url = connecting.start_consent(installation, token, browser, auto_link="auto_link" in request.form)
        answer = redirect(url, 303)
        answer.set_cookie(
            cookie_name,
            browser,
            max_age=connecting.LINK_LIFETIME,
            secure=is_https,
            httponly=True,
            samesite="Lax",  # Strict would stay behind when the provider sends the browser back
        )
        return answer

    @pages.get("/connect/<provider>/callback")
    def callback(provider: str) -> Response:
        if provider not in installation.mail:
            abort(404)
        outcome = connecting.finish_consent(
            installation, provider, request.args.to_dict(), request.cookies.get(cookie_name, "")
        )
        if isinstance(outcome, connecting.Unconfirmed):
            return _page("confirm.html", outcome.team.locale, unconfirmed=outcome, provider=provider)
        return _done(outcome)

    @pages.post("/connect/<provider>/confirm")
    def confirm(provider: str) -> Response:
        _require_own_page(origin)
        connected = connecting.confirm(
            installation,
            provider,
            request.form.get("state", ""),
            request.cookies.get(cookie_name, ""),
            meant=request.form.get("meant") == "yes",
        )
        return _done(connected) if connected else _page("declined.html", browser_locale(request))

    return pages


def _done(connected: connecting.Connected) -> Response:
    return _page("done.html", connected.team.locale, address=connected.address)


def _page(template: str, locale: str, **shown: object) -> Response:
    return Response(render_template(template, text=words(locale), locale=locale, provider_name=provider_name, **shown))


def _require_own_page(origin: str) -> None:
    if request.headers.get("Origin") != origin:
        raise NotAllowed("other_origin")
