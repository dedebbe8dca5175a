"""The page behind the one-time link of an add-on: a signed-in member says to be the person who opened the add-on there.

As with other one-time links a GET changes nothing; what does is a POST from our own page.
"""

from __future__ import annotations

from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app import addons, connecting
from app.addons import Invitation
from app.errors import NotFound
from app.installation import Installation
from app.linking.visibility import Reader
from app.signing_in import SignedIn
from app.store import accounts
from app.store import addons as rows
from app.web.consent import page_of
from app.web.signed_in import Browser, who
from app.web.wording import browser_locale

PROVIDERS = {"gmail": "gmail", "outlook": "graph"}  # by the beginning of the address


def blueprint(installation: Installation, browser: Browser) -> Blueprint:
    """Build the page."""
    pages = Blueprint("addon_connect", __name__)

    def opened(host: str, token: str) -> Invitation:
        return addons.open_invitation(installation, PROVIDERS[host], token)

    @pages.get("/<any(gmail, outlook):host>/connect/<token>")
    def show(host: str, token: str) -> Response:
        invitation, signed = opened(host, token), browser.signed_in()
        state = _state(installation, signed, invitation) if signed else "sign_in"
        locale = signed.locale if signed else browser_locale(request)
        page = page_of("addon_connect.html", locale, host=host, state=state, signed=signed, invitation=invitation)
        # Gmail opened this window, and loads its card again when it closes: it must be able to see that.
        page.headers["Cross-Origin-Opener-Policy"] = "unsafe-none"
        return page

    @pages.post("/<any(gmail, outlook):host>/connect/<token>")
    @browser.members_only
    def accept(host: str, token: str) -> WerkzeugResponse:
        addons.accept(installation, who(), opened(host, token))
        return redirect(f"/{host}/connect/{token}", 303)

    @pages.post("/<any(gmail, outlook):host>/connect/<token>/mailbox")
    @browser.members_only
    def connect_mailbox(host: str, token: str) -> WerkzeugResponse:
        invitation, signed = opened(host, token), who()
        if _state(installation, signed, invitation) != "mailbox":
            raise NotFound("link_not_valid")
        link = connecting.invite(
            installation,
            signed.team.id,
            signed.member,
            PROVIDERS[host],
            address=invitation.address,
            made_by=signed.member.id,
        )
        return redirect(link.url, 303)

    return pages


def _state(installation: Installation, signed: SignedIn, invitation: Invitation) -> str:
    """Return what the page is about: `ask`, `mailbox` where the add-on is connected and the mailbox is not, `done`."""
    known = addons.member_of(installation, invitation.provider, invitation.user_id)
    if known is None or known.member != signed.member:
        return "ask"
    with installation.database.for_team(signed.team.id) as connection:
        own = Reader.of(signed.member, accounts.accounts(connection)).account_ids
        account_id = rows.account_of(connection, invitation.provider, invitation.user_id, own)
    return "done" if account_id is not None else "mailbox"
