"""The administrators' pages of the CRM: its health, connecting and ending it, and an installation from its shop."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app import connecting_crm, crm_page, installing_crm
from app.errors import AccessRevoked, AdminBlocked, PermanentError, Rejected, Unsupported
from app.installation import Installation
from app.web.consent import Consent
from app.web.settings_frame import administrators_only, settings_page
from app.web.signed_in import INSTALL_COOKIE, Browser, who

PATH = "/settings/crm"


def blueprint(installation: Installation, browser: Browser) -> Blueprint:
    """Build the pages."""
    pages = Blueprint("crm_settings", __name__)
    database, consent = installation.database, Consent(installation.settings.public_base_url)

    @pages.get(PATH)
    @browser.members_only
    @administrators_only
    def show() -> Response:
        return _page(None)

    @pages.post(f"{PATH}/connect")
    @browser.members_only
    @administrators_only
    def connect() -> WerkzeugResponse:
        adapter = request.form.get("crm", "")
        try:
            if "browser" in request.form:
                url = connecting_crm.start_here(installation, who().team.id, who().member, browser.cookie, adapter)
                return redirect(url, 303)
            if adapter == connecting_crm.EMBEDDED:
                connecting_crm.connect_embedded(installation, who().team.id, who().member.id)
            else:
                given = request.form.items()
                options = {
                    name.removeprefix("option."): value.strip()
                    for name, value in given
                    if name.startswith("option.") and value.strip()
                }
                token = request.form.get("token", "").strip()
                connecting_crm.connect_with_token(installation, who().team.id, adapter, token, options, who().member.id)
        except (AccessRevoked, AdminBlocked, Rejected, Unsupported) as error:
            return _page(error)
        return redirect(f"{PATH}?done=crm_connected", 303)

    @pages.post(f"{PATH}/retry")
    @browser.members_only
    @administrators_only
    def retry() -> WerkzeugResponse:
        with database.for_team(who().team.id) as connection:
            n = connecting_crm.write_again(connection, who().member, who().team.id, installation.clock.now())
        return redirect(f"{PATH}?done=crm_retried&n={n}", 303)

    @pages.get(f"{PATH}/disconnect")
    @browser.members_only
    @administrators_only
    def ask_disconnect() -> Response:
        with database.for_team(who().team.id) as connection:
            shown = crm_page.show(installation, connection)
        return settings_page("crm_disconnect.html", connected=shown.connected)

    @pages.post(f"{PATH}/disconnect")
    @browser.members_only
    @administrators_only
    def disconnect() -> WerkzeugResponse:
        connecting_crm.disconnect(installation, who().team.id, who().member.id)
        return redirect(f"{PATH}?done=crm_disconnected", 303)

    def _page(refused: PermanentError | None) -> Response:
        with database.for_team(who().team.id) as connection:
            shown = crm_page.show(installation, connection)
        page = consent.leading_away(settings_page("crm.html", shown=shown, refused=refused, reason=_reason(refused)))
        page.status_code = 200 if refused is None else 422
        return page

    return pages


def installing(installation: Installation, browser: Browser) -> Blueprint:
    """Build the pages of an installation that the CRM's own shop began (threats.md W7)."""
    pages = Blueprint("installing_crm", __name__)
    is_https = installation.settings.public_base_url.startswith("https:")

    @pages.get(f"{PATH}/install")
    @browser.members_only
    @administrators_only
    def ask_install() -> Response:
        adapter = installing_crm.adapter_of(installation, request.cookies.get(INSTALL_COOKIE, ""))
        return settings_page("crm_install.html", crm=adapter, installed=None)

    @pages.post(f"{PATH}/install")
    @browser.members_only
    @administrators_only
    def install() -> Response:
        sealed = request.cookies.get(INSTALL_COOKIE, "")
        found = installing_crm.exchange(installation, who().team, who().member, browser.cookie, sealed)
        page = settings_page("crm_install.html", crm=found.adapter, installed=found)
        page.delete_cookie(INSTALL_COOKIE, httponly=True, samesite="Lax", secure=is_https)
        return page

    @pages.post(f"{PATH}/install/<adapter>")
    @browser.members_only
    @administrators_only
    def confirm_install(adapter: str) -> WerkzeugResponse:
        state, meant = request.form.get("state", ""), request.form.get("meant") == "yes"
        done = installing_crm.confirm(installation, adapter, state, browser.cookie, meant=meant)
        return redirect(f"{PATH}?done={'crm_connected' if done else 'crm_declined'}", 303)

    return pages


def _reason(refused: PermanentError | None) -> str:
    if isinstance(refused, AccessRevoked):
        return "token"
    return "admin" if isinstance(refused, AdminBlocked) else "said"
