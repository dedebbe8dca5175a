"""A panel of ours inside a CRM's own pages: the conversations of a record, linked and unlinked there.

It is framed by another site, where browsers keep no cookie of ours: the CRM's token opens it, and each form carries a
pass instead (threats.md W17). A form is answered with the panel itself: there is no address to go back to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sqlalchemy as sa
from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app import addons, links, panels, undoing
from app.acting import NOBODYS, Acting
from app.errors import (
    NotAllowed,
    NotFound,
    NotificationForged,
    NotificationMalformed,
    RequestRefused,
    TooManyRequests,
    Unsupported,
)
from app.installation import Installation
from app.item_history import history
from app.linking.reasons import sentence
from app.model import ITEM_KINDS
from app.panels import Stranger, Visitor
from app.ports import CrmPanel
from app.store import conversations
from app.web.consent import page_of
from app.web.member_page import member_page, uuid_of
from app.web.security import policy
from app.web.signed_in import Browser, admit, who
from app.web.wording import browser_locale

Work = Callable[[sa.Connection, Acting, Visitor], object]

MOST_AT_ONCE = 50
_STATUS: Mapping[type[RequestRefused], int] = {NotFound: 404, TooManyRequests: 429}


def blueprint(installation: Installation, browser: Browser) -> Blueprint:
    """Build the panel of every CRM that shows one."""
    pages = Blueprint("panels", __name__)
    _add_panel(pages, installation)
    _add_choices(pages, installation)
    _add_saying_who(pages, installation, browser)
    return pages


def _add_panel(pages: Blueprint, installation: Installation) -> None:
    @pages.get("/panels/<adapter>")
    def show(adapter: str) -> Response:
        panel = panels.panel_of(installation, adapter)
        try:
            entered = panels.enter(installation, adapter, request.args.to_dict())
        except (NotificationForged, NotificationMalformed, Unsupported):
            return _refused(panel, NotAllowed("panel_not_proven"))
        except RequestRefused as refused:
            return _refused(panel, refused)
        if isinstance(entered, Stranger):
            shown = {"adapter": adapter, "base": installation.settings.public_base_url, "script": panel.script}
            return _framed(panel, page_of("panel_stranger.html", browser_locale(request), stranger=entered, **shown))
        admit(installation, entered.signed)
        return _shown(installation, adapter, entered)


def _add_choices(pages: Blueprint, installation: Installation) -> None:
    def choose(adapter: str, done: str, work: Work) -> Response:
        panel = panels.panel_of(installation, adapter)
        try:
            visitor = panels.again(installation, adapter, request.form.get("pass", ""))
            admit(installation, visitor.signed)
        except RequestRefused as refused:
            return _refused(panel, refused)
        acting = Acting(visitor.signed.team.id, visitor.signed.member, installation.clock.now())
        try:
            with installation.database.for_team(acting.team_id) as connection:
                work(connection, acting, visitor)
        except RequestRefused as refused:
            return _shown(installation, adapter, visitor, refused=refused)
        return _shown(installation, adapter, visitor, done=done, action=acting.batch_id)

    @pages.post("/panels/<adapter>/link")
    def link(adapter: str) -> Response:
        def work(connection: sa.Connection, acting: Acting, visitor: Visitor) -> None:
            if visitor.ref.kind not in ITEM_KINDS:
                raise NotFound("item_unknown", item="")
            ticked = [each for each in map(uuid_of, request.form.getlist("c")[:MOST_AT_ONCE]) if each]
            links.bulk_link(connection, acting, list(conversations.ids_of(connection, ticked).values()), visitor.ref)

        return choose(adapter, "linked", work)

    @pages.post("/panels/<adapter>/unlink")
    def unlink(adapter: str) -> Response:
        def work(connection: sa.Connection, acting: Acting, _visitor: Visitor) -> None:
            named = uuid_of(request.form.get("c", ""))
            found = conversations.id_of(connection, named) if named else None
            links.unlink(connection, acting, found or NOBODYS)

        return choose(adapter, "unlinked", work)

    @pages.post("/panels/<adapter>/undo")
    def undo(adapter: str) -> Response:
        def work(connection: sa.Connection, acting: Acting, _visitor: Visitor) -> None:
            action = uuid_of(request.form.get("action", ""))
            if not action:
                raise NotFound
            undoing.undo(connection, acting, action)

        return choose(adapter, "undone", work)


def _add_saying_who(pages: Blueprint, installation: Installation, browser: Browser) -> None:
    @pages.get("/panels/<adapter>/connect/<company>/<token>")
    @browser.members_only
    def ask(adapter: str, company: str, token: str) -> Response:
        invitation = addons.open_invitation(installation, panels.provider_of(adapter, company), token)
        known = addons.member_of(installation, invitation.provider, invitation.user_id)
        is_done = known is not None and known.member == who().member
        return page_of("panel_connect.html", who().locale, signed=who(), invitation=invitation, is_done=is_done)

    @pages.post("/panels/<adapter>/connect/<company>/<token>")
    @browser.members_only
    def accept(adapter: str, company: str, token: str) -> WerkzeugResponse:
        addons.accept(
            installation, who(), addons.open_invitation(installation, panels.provider_of(adapter, company), token)
        )
        return redirect(request.path, 303)


def _shown(
    installation: Installation,
    adapter: str,
    visitor: Visitor,
    *,
    done: str = "",
    action: str = "",
    refused: RequestRefused | None = None,
) -> Response:
    panel = panels.panel_of(installation, adapter)
    with installation.database.for_team(visitor.signed.team.id) as connection:
        shown = history(connection, visitor.signed.member, visitor.ref, visitor.signed.locale)
    page = member_page(
        "panel.html",
        shown=shown,
        adapter=adapter,
        is_item=visitor.ref.kind in ITEM_KINDS,
        pass_text=visitor.text,
        script=panel.script,
        base=installation.settings.public_base_url,
        trouble=_said(refused, visitor.signed.locale) if refused else "",
        did=done,
        batch=action,
    )
    return _framed(panel, page)


def _refused(panel: CrmPanel, refused: RequestRefused) -> Response:
    """Say inside the panel why there is none: a page that the CRM may not frame would be blank."""
    locale = browser_locale(request)
    page = page_of("problem.html", locale, title=_said(refused, locale))
    page.status_code = next((status for kind, status in _STATUS.items() if isinstance(refused, kind)), 403)
    return _framed(panel, page)


def _said(refused: RequestRefused, locale: str) -> str:
    return sentence(refused.reason, refused.params, locale)


def _framed(panel: CrmPanel, page: Response) -> Response:
    page.headers["Content-Security-Policy"] = policy(ancestors=panel.ancestors)
    return page
