"""Connecting a CRM in the browser: an administrator's one-time link, the way to the CRM and back, and its removal.

What connect.py says of GET, Origin and cookie holds here too. A code that comes without a link of ours is kept for an
administrator to look at, and not used (threats.md W7; crm_settings.py).
"""

from __future__ import annotations

import secrets

from flask import Blueprint, Response, abort, redirect, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app import connecting_crm, installing_crm
from app.errors import NotificationForged, NotificationMalformed, Unsupported
from app.installation import Installation
from app.ports import PushRequest
from app.web.consent import Consent, page_of
from app.web.signed_in import INSTALL_COOKIE, Browser
from app.web.wording import browser_locale


def blueprint(installation: Installation, members: Browser) -> Blueprint:
    """Build the pages that connect a CRM."""
    pages = Blueprint("connect_crm", __name__)
    consent = Consent(installation.settings.public_base_url)

    @pages.get("/connect/crm/<token>")
    def show(token: str) -> Response:
        opened = connecting_crm.open_link(installation, token)
        crm = connecting_crm.adapter_of(opened.request)
        page = page_of("connect_crm.html", opened.team.locale, opened=opened, crm=crm)
        return consent.leading_away(page)

    @pages.post("/connect/crm/<token>")
    def start(token: str) -> WerkzeugResponse:
        consent.require_own_page()
        browser = consent.browser or secrets.token_urlsafe(32)
        return consent.sent_on(connecting_crm.start_consent(installation, token, browser), browser)

    @pages.get("/connect/crm/<adapter>/callback")
    def callback(adapter: str) -> WerkzeugResponse:
        if adapter not in installation.consents:
            abort(404)
        if "state" not in request.args:  # installed from the CRM's own shop: nobody of ours asked for it (W7)
            return installed(adapter)
        session, args = members.session, request.args.to_dict()
        done = connecting_crm.finish_consent(installation, adapter, args, consent.browser, session)
        if session:
            return redirect("/settings/crm?done=crm_connected", 303)
        return page_of("crm_done.html", done.team.locale, crm=adapter, company=done.company)

    def installed(adapter: str) -> WerkzeugResponse:
        if not request.args.get("code"):
            return page_of("crm_installed.html", browser_locale(request), crm=adapter)
        answer = redirect("/settings/crm/install", 303)
        answer.set_cookie(
            INSTALL_COOKIE,
            installing_crm.keep(installation, adapter, request.args["code"]),
            max_age=installing_crm.CODE_LIFETIME,
            secure=consent.is_https,
            httponly=True,
            samesite="Lax",  # the CRM sent the browser: a Strict one would not come along
        )
        return answer

    @pages.delete("/connect/crm/<adapter>/callback")
    def uninstalled(adapter: str) -> Response:
        headers = {name.lower(): value for name, value in request.headers}
        pushed = PushRequest(request.method, headers, request.args.to_dict(), request.get_data(cache=False))
        try:
            connecting_crm.uninstalled(installation, adapter, pushed)
        except (NotificationForged, Unsupported):
            return Response(status=401)
        except NotificationMalformed:
            return Response(status=400)
        return Response(status=200)

    return pages
