"""The pages of e-mail accounts: a member's own and shared ones, and all of the team's for administrators.

Connecting from here is the consent of a one-time link (connect.py), started by the signed-in member and bound to that
session (threats.md W6).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app import account_pages, accounts, connecting
from app.errors import InvalidRequest
from app.installation import Installation
from app.linking.addresses import MAX_ADDRESS_CHARS, normalize
from app.policy import try_address
from app.web.consent import Consent
from app.web.member_page import member_page, uuid_of
from app.web.settings_frame import administrators_only, settings_page
from app.web.signed_in import Browser, who

OWN, TEAM = "/preferences/email-sync", "/settings/accounts"
LONGEST_HISTORY_DAYS = 3650


def blueprint(installation: Installation, browser: Browser) -> Blueprint:
    """Build the pages and what connects a mailbox from them."""
    pages = Blueprint("email_sync", __name__)
    database, consent = installation.database, Consent(installation.settings.public_base_url)

    @pages.get(OWN)
    @browser.members_only
    def show_own() -> Response:
        with database.for_team(who().team.id) as connection:
            shown = account_pages.own(installation, connection, who().member)
        tested = request.args.get("address", "")[:MAX_ADDRESS_CHARS].strip()
        page = settings_page(
            "accounts.html",
            shown=shown,
            days=account_pages.HISTORY_DAYS,
            tested=tested,
            test=try_address(shown.policy, tested) if tested else None,
        )
        return consent.leading_away(page)

    @pages.get(TEAM)
    @browser.members_only
    @administrators_only
    def show_team() -> Response:
        return _team_page()

    @pages.get(f"{OWN}/<uuid:account>/health")
    @browser.members_only
    def show_health(account: UUID) -> Response:
        with database.for_team(who().team.id) as connection:
            shown = account_pages.health_of(installation, connection, who().member, str(account))
        return member_page("account_health.html", account=shown)

    @pages.post(f"{OWN}/connect")
    @browser.members_only
    def connect_own() -> WerkzeugResponse:
        url = connecting.start_here(
            installation,
            who().team.id,
            who().member,
            browser.cookie,
            request.form.get("provider", ""),
            address=_address(),
            auto_link="auto_link" in request.form,
            history_from=_history_from(installation.clock.now()),
            visibility=accounts.visibility_of(request.form.get("visibility", "full")),
        )
        return redirect(url, 303)

    @pages.post(f"{TEAM}/connect")
    @browser.members_only
    @administrators_only
    def connect_shared() -> WerkzeugResponse:
        now, chosen = installation.clock.now(), request.form.getlist("member")
        with database.for_team(who().team.id) as connection:
            collaborators = accounts.members_of(connection, [uuid_of(each) for each in chosen])
        if "by_link" in request.form:
            invitation = connecting.invite(
                installation,
                who().team.id,
                who().member,
                request.form.get("by_link", ""),
                kind="team",
                address=_address(),
                collaborators=collaborators,
                history_from=_history_from(now),
                visibility=accounts.visibility_of(request.form.get("visibility", "full")),
                made_by=who().member.id,
            )
            return _team_page(invitation)
        url = connecting.start_here(
            installation,
            who().team.id,
            who().member,
            browser.cookie,
            request.form.get("provider", ""),
            kind="team",
            address=_address(),
            collaborators=collaborators,
            auto_link="auto_link" in request.form,
            history_from=_history_from(now),
            visibility=accounts.visibility_of(request.form.get("visibility", "full")),
        )
        return redirect(url, 303)

    def _team_page(invitation: connecting.Invitation | None = None) -> Response:
        with database.for_team(who().team.id) as connection:
            shown = account_pages.of_team(installation, connection)
        page = settings_page("team_accounts.html", shown=shown, days=account_pages.HISTORY_DAYS, invitation=invitation)
        return consent.leading_away(page)

    return pages


def changes(installation: Installation, browser: Browser) -> Blueprint:
    """Build what changes an account, on either page."""
    pages = Blueprint("accounts", __name__)
    database = installation.database

    def _id(account: UUID) -> int:
        with database.for_team(who().team.id) as connection:
            return accounts.changeable(connection, who().member, str(account)).id

    @pages.post(f"{OWN}/<uuid:account>")
    @browser.members_only
    def switch(account: UUID) -> WerkzeugResponse:
        is_on = request.form.get("auto_link") == "on"
        with database.for_team(who().team.id) as connection:
            found = accounts.changeable(connection, who().member, str(account))
            accounts.set_auto_link(connection, who().member, found.address, is_on, installation.clock.now())
        return back_to_accounts("auto_on" if is_on else "auto_off")

    @pages.post(f"{OWN}/<uuid:account>/visibility")
    @browser.members_only
    def set_visibility(account: UUID) -> WerkzeugResponse:
        level, now = request.form.get("visibility", ""), installation.clock.now()
        with database.for_team(who().team.id) as connection:
            found = accounts.changeable(connection, who().member, str(account))
            accounts.set_visibility(connection, who().member, found, level, now)
        return back_to_accounts("saved")

    @pages.post(f"{OWN}/<uuid:account>/collaborators")
    @browser.members_only
    def set_collaborators(account: UUID) -> WerkzeugResponse:
        chosen = [uuid_of(each) for each in request.form.getlist("member")]
        with database.for_team(who().team.id) as connection:
            found = accounts.changeable(connection, who().member, str(account))
            accounts.set_collaborators(connection, who().member, found, chosen, installation.clock.now())
        return back_to_accounts("saved")

    @pages.post(f"{OWN}/<uuid:account>/pause")
    @browser.members_only
    def pause(account: UUID) -> WerkzeugResponse:
        accounts.pause(installation, who().team.id, _id(account), who().member.id)
        return back_to_accounts("paused")

    @pages.post(f"{OWN}/<uuid:account>/resume")
    @browser.members_only
    def resume(account: UUID) -> WerkzeugResponse:
        accounts.resume(installation, who().team.id, _id(account), who().member.id)
        return back_to_accounts("resumed")

    @pages.get(f"{OWN}/<uuid:account>/disconnect")
    @browser.members_only
    def ask_disconnect(account: UUID) -> Response:
        with database.for_team(who().team.id) as connection:
            found = accounts.changeable(connection, who().member, str(account))
        return settings_page("disconnect.html", account=found, back=request.args.get("back", ""))

    @pages.post(f"{OWN}/<uuid:account>/disconnect")
    @browser.members_only
    def disconnect(account: UUID) -> WerkzeugResponse:
        erase = request.form.get("stored") == "erase"
        accounts.disconnect(installation, who().team.id, _id(account), who().member.id, erase=erase)
        return back_to_accounts("erased" if erase else "disconnected")

    return pages


def back_to_accounts(done: str) -> WerkzeugResponse:
    """Lead back to the page of accounts that a form was on, and say there what was done."""
    return redirect(f"{TEAM if request.form.get('back') == 'team' else OWN}?done={done}", 303)


def _address() -> str:
    given = request.form.get("address", "").strip()
    address = normalize(given) if given else ""
    if address is None:
        raise InvalidRequest([{"field": "address", "message": "must be an e-mail address"}])
    return address


def _history_from(now: datetime) -> datetime | None:
    days = request.form.get("history_days", "0")
    if not days.isascii() or not days.isdecimal() or int(days[:6]) > LONGEST_HISTORY_DAYS:
        raise InvalidRequest([{"field": "history_days", "message": f"must be 0 to {LONGEST_HISTORY_DAYS}"}])
    return now - timedelta(days=int(days[:6])) if int(days[:6]) else None
