"""Signing in with a one-time link, signing out, and who is at the browser: what every page for members stands on.

Signing in with Google or Microsoft: openid.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from flask import Blueprint, Response, g, redirect, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app import signing_in
from app.installation import Installation
from app.signing_in import SESSION_LIFETIME, SignedIn
from app.web import limits
from app.web.consent import Consent, page_of
from app.web.wording import browser_locale

View = Callable[..., Response | WerkzeugResponse]
INSTALL_COOKIE = "threadlink-install"  # a code that a CRM's shop sent with the browser, sealed (crm_settings.py)


class Browser:
    """The cookie that a member is known by, and the guard of the pages."""

    def __init__(self, installation: Installation) -> None:
        base = installation.settings.public_base_url
        self._installation = installation
        self._is_https = base.startswith("https:")
        self._cookie = "__Host-threadlink-member" if self._is_https else "threadlink-member"
        self._consent = Consent(base)

    @property
    def session(self) -> str:
        """The cookie of who is signed in, by which a consent is bound to the member who starts it; "" for nobody."""
        cookie = request.cookies.get(self._cookie, "")
        return cookie if signing_in.signed_in(self._installation, cookie) else ""

    def signed_in(self) -> SignedIn | None:
        """Return who is at the browser, for a page that strangers see too."""
        return signing_in.signed_in(self._installation, self.cookie)

    def members_only(self, view: View) -> View:
        """Let only a member who is signed in to a view; a change must come from a page of ours."""

        @wraps(view)
        def guarded(*args: object, **kwargs: object) -> Response | WerkzeugResponse:
            who = self.signed_in()
            if who is None:
                return _to_sign_in()
            g.browsing = who  # also for the page of an error
            admit(self._installation, who)
            if request.method not in ("GET", "HEAD"):
                self._consent.require_own_page()
            return view(*args, **kwargs)

        return guarded

    @property
    def cookie(self) -> str:
        """What the request's cookie holds; "" for a browser that nobody is signed in with."""
        return request.cookies.get(self._cookie, "")

    @property
    def name(self) -> str:
        """What the browser calls itself."""
        return request.headers.get("User-Agent", "")

    def let_in(self, cookie: str) -> WerkzeugResponse:
        """Show the inbox, or the installation that waits, to who has just signed in; know the browser from now on."""
        answer = redirect("/settings/crm/install" if INSTALL_COOKIE in request.cookies else "/inbox", 303)
        answer.set_cookie(
            self._cookie, cookie, max_age=SESSION_LIFETIME, secure=self._is_https, httponly=True, samesite="Lax"
        )
        return answer

    def blueprint(self) -> Blueprint:
        """Build the pages that sign in and out."""
        pages = Blueprint("sign_in", __name__)

        @pages.get("/sign-in")
        def ask() -> Response:
            issuers = list(self._installation.issuers)
            page = page_of("sign_in.html", browser_locale(request), opened=None, issuers=issuers)
            return self._consent.leading_away(page)

        @pages.get("/sign-in/<token>")
        def show(token: str) -> Response:
            opened = signing_in.open_link(self._installation, token)
            return page_of("sign_in.html", opened.team.locale, opened=opened)

        @pages.post("/sign-in/<token>")
        def sign_in(token: str) -> WerkzeugResponse:
            self._consent.require_own_page()
            return self.let_in(signing_in.sign_in(self._installation, token, self.name, self.cookie))

        @pages.post("/sign-out")
        def sign_out() -> WerkzeugResponse:
            self._consent.require_own_page()
            signing_in.sign_out(self._installation, self.cookie)
            answer = redirect("/sign-in", 303)
            answer.delete_cookie(self._cookie, secure=self._is_https, httponly=True, samesite="Lax")
            return answer

        return pages


def admit(installation: Installation, signed: SignedIn, *, is_counted: bool = True) -> None:
    """Make a member the one whom the request is answered for; a question that comes as a POST is not counted.

    Raises TooManyRequests.
    """
    if is_counted:
        limits.count_member(signed.team.id, signed.member.id)
    g.signed_in, g.now, g.database = signed, installation.clock.now(), installation.database


def _to_sign_in() -> Response | WerkzeugResponse:
    """Ask who is there; htmx, which asked for a part of a page, leaves that page."""
    if request.headers.get("HX-Request") != "true":
        return redirect("/sign-in", 303)
    answer = Response()
    answer.headers["HX-Redirect"] = "/sign-in"
    return answer


def who() -> SignedIn:
    """Return who is at the browser, in a view that is for members only."""
    signed: SignedIn = g.signed_in
    return signed
