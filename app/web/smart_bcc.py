"""The page of a member's Smart BCC: the addresses, mail that is held back, and the addresses the member sends from."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import sqlalchemy as sa
from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app import outgoing_mail, sender_addresses, smart_bcc
from app.acting import Acting
from app.installation import Installation
from app.store import smart_bcc as rows
from app.web.choosing import reading
from app.web.settings_frame import administrators_only, settings_page
from app.web.signed_in import Browser, who

HOME = "/preferences/smart-bcc"


def blueprint(installation: Installation, browser: Browser) -> Blueprint:
    """Build the page and what its buttons do."""
    pages = Blueprint("smart_bcc", __name__)
    _add_page(pages, installation, browser)
    _add_senders(pages, installation, browser)
    return pages


def _add_page(pages: Blueprint, installation: Installation, browser: Browser) -> None:
    @pages.get(HOME)
    @browser.members_only
    def show() -> Response:
        member, is_offered = who().member, smart_bcc.is_offered(installation)
        with reading(installation) as connection:
            return settings_page(
                "smart_bcc.html",
                addresses=smart_bcc.addresses(installation, connection, member, None) if is_offered else None,
                was_shown=rows.was_shown(connection, member.id),
                held=smart_bcc.held_for(connection, member),
                senders=rows.known_addresses(connection, member.id),
                others=rows.member_addresses(connection, member.id),
                can_verify=outgoing_mail.is_set_up(installation.settings),
            )

    @pages.post(f"{HOME}/change")
    @browser.members_only
    def change() -> WerkzeugResponse:
        with reading(installation) as connection:
            smart_bcc.change_addresses(installation, connection, who().member)
        return _back("bcc_changed")

    @pages.post(f"{HOME}/change-team")
    @browser.members_only
    @administrators_only
    def change_team() -> WerkzeugResponse:
        with reading(installation) as connection:
            smart_bcc.change_team_addresses(installation, connection, who().member)
        return _back("bcc_changed")

    @pages.post(f"{HOME}/held/<uuid:mail>/release")
    @browser.members_only
    def release(mail: UUID) -> WerkzeugResponse:
        with reading(installation) as connection:
            smart_bcc.release(installation, connection, who().member, str(mail))
        return _back("mail_released")

    @pages.post(f"{HOME}/held/<uuid:mail>/discard")
    @browser.members_only
    def discard(mail: UUID) -> WerkzeugResponse:
        with reading(installation) as connection:
            smart_bcc.discard(installation, connection, who().member, str(mail))
        return _back("mail_discarded")


def _add_senders(pages: Blueprint, installation: Installation, browser: Browser) -> None:
    def act(done: str, work: Callable[[sa.Connection, Acting, str], None]) -> WerkzeugResponse:
        with reading(installation) as connection:
            work(connection, _acting(installation), request.form.get("address", ""))
        return _back(done)

    @pages.post(f"{HOME}/senders")
    @browser.members_only
    def add() -> WerkzeugResponse:
        def work(connection: sa.Connection, acting: Acting, written: str) -> None:
            sender_addresses.add(connection, acting, written)

        return act("sender_added", work)

    @pages.post(f"{HOME}/senders/ask")
    @browser.members_only
    def ask() -> WerkzeugResponse:
        address, team = request.form.get("address", ""), who().team.name
        with reading(installation) as connection:
            letter = sender_addresses.letter_to(
                installation, connection, _acting(installation), address, team=team, locale=who().locale
            )
        outgoing_mail.send(installation.settings, letter, installation.clock.now())
        return _back("sender_asked")

    @pages.post(f"{HOME}/senders/unsigned")
    @browser.members_only
    def unsigned() -> WerkzeugResponse:
        is_on = request.form.get("unsigned") == "on"

        def work(connection: sa.Connection, acting: Acting, address: str) -> None:
            sender_addresses.set_unsigned(connection, acting, address, is_on)

        return act("saved", work)

    @pages.post(f"{HOME}/senders/forget")
    @browser.members_only
    def forget() -> WerkzeugResponse:
        return act("saved", sender_addresses.forget)

    @pages.get(f"{HOME}/verify/<token>")
    @browser.members_only
    def show_verify(token: str) -> Response:
        return settings_page("verify_sender.html", token=token)

    @pages.post(f"{HOME}/verify/<token>")
    @browser.members_only
    def verify(token: str) -> WerkzeugResponse:
        with reading(installation) as connection:
            sender_addresses.verify(connection, _acting(installation), token)
        return _back("sender_verified")


def _acting(installation: Installation) -> Acting:
    return Acting(who().team.id, who().member, installation.clock.now())


def _back(done: str) -> WerkzeugResponse:
    return redirect(f"{HOME}?done={done}", 303)
