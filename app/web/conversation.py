"""The page of one conversation, and the choices that are made on it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import get_args
from uuid import UUID

import sqlalchemy as sa
from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app import beside, links, undoing
from app import conversation as core
from app.acting import NOBODYS, Acting
from app.errors import InvalidRequest
from app.installation import Installation
from app.model import Level
from app.ports import OriginalMail
from app.store import conversations, crm
from app.web import came_from, making
from app.web.came_from import CameFrom
from app.web.choosing import act, found_items, named_item, reading
from app.web.member_page import member_page, uuid_of
from app.web.security import policy
from app.web.signed_in import Browser, who
from app.web.wording import mailbox_name

LEVELS: tuple[Level, ...] = get_args(Level)


def blueprint(installation: Installation, browser: Browser) -> Blueprint:
    """Build the pages of a conversation."""
    pages = Blueprint("conversation", __name__)
    _add_reading(pages, installation, browser)
    _add_choices(pages, installation, browser)
    _add_repairs(pages, installation, browser)
    making.add(pages, installation, browser, partial(_page, installation))
    return pages


def _add_reading(pages: Blueprint, installation: Installation, browser: Browser) -> None:
    @pages.get("/conversations/<uuid:conversation>")
    @browser.members_only
    def show_conversation(conversation: UUID) -> Response:
        return _page(installation, conversation)

    @pages.get("/conversations/<uuid:conversation>/move")
    @browser.members_only
    def confirm_move(conversation: UUID) -> Response | WerkzeugResponse:
        kind, _, external_id = request.args.get("item", "").partition("/")
        came = came_from.asked_from()
        with reading(installation) as connection:
            ref = crm.item_ref(connection, kind, external_id)
            move = core.move(connection, who().member, str(conversation), ref)
        if move is None:  # it was unlinked meanwhile: there is nothing to confirm
            return redirect(f"/conversations/{conversation}{_within(came)['carried']}", 303)
        return member_page("move.html", move=move, conversation=conversation, **_within(came))


def _add_choices(pages: Blueprint, installation: Installation, browser: Browser) -> None:
    def act_on(done: str, conversation: UUID, work: Callable[[sa.Connection, Acting, int], None]) -> WerkzeugResponse:
        return act(installation, done, lambda connection, by: work(connection, by, _id(connection, conversation)))

    @pages.post("/conversations/<uuid:conversation>/link")
    @browser.members_only
    def link(conversation: UUID) -> WerkzeugResponse:
        def work(connection: sa.Connection, acting: Acting, conversation_id: int) -> None:
            links.link(connection, acting, conversation_id, named_item(connection), move="move" in request.form)

        return act_on("linked", conversation, work)

    @pages.post("/conversations/<uuid:conversation>/unlink")
    @browser.members_only
    def unlink(conversation: UUID) -> WerkzeugResponse:
        return act_on("unlinked", conversation, links.unlink)

    @pages.post("/conversations/<uuid:conversation>/dismiss")
    @browser.members_only
    def dismiss(conversation: UUID) -> WerkzeugResponse:
        return act_on("dismissed", conversation, links.dismiss)

    @pages.post("/conversations/<uuid:conversation>/visibility")
    @browser.members_only
    def set_visibility(conversation: UUID) -> WerkzeugResponse:
        level = request.form.get("level", "")

        def work(connection: sa.Connection, acting: Acting, conversation_id: int) -> None:
            chosen = next((each for each in LEVELS if each == level), None)
            if level and chosen is None:
                raise InvalidRequest([{"field": "level", "problem": "unknown"}])
            links.set_visibility(connection, acting, conversation_id, chosen)

        return act_on("shared", conversation, work)


def _add_repairs(pages: Blueprint, installation: Installation, browser: Browser) -> None:
    @pages.post("/conversations/<uuid:conversation>/trust")
    @browser.members_only
    def trust_sender(conversation: UUID) -> WerkzeugResponse:
        def work(connection: sa.Connection, acting: Acting) -> None:
            links.trust_sender(connection, acting, _id(connection, conversation))

        return act(installation, "trusted", work)

    @pages.post("/conversations/<uuid:conversation>/part")
    @browser.members_only
    def undo_merge(conversation: UUID) -> WerkzeugResponse:
        def work(connection: sa.Connection, acting: Acting) -> None:
            undoing.part(connection, acting, _id(connection, conversation), uuid_of(request.form.get("merged", "")))

        return act(installation, "parted", work)


def _page(installation: Installation, conversation: UUID, trouble: str = "") -> Response:
    """Show a conversation, with what went wrong when something was asked for on its page. Raises NotFound."""
    came = came_from.asked_from()
    with reading(installation) as connection:
        hits = found_items(connection)
        refs = [hit.ref for hit in hits or ()]
        now = installation.clock.now()
        shown = core.shown(connection, who().member, str(conversation), who().locale, now, refs)
        neighbours = came_from.neighbours(connection, shown.seen, came, who().zone)
        crm_can = beside.crm_of(installation, connection)
    original = uuid_of(request.args.get("original", ""))
    page = member_page(
        "conversation.html",
        here=f"/conversations/{conversation}",
        shown=shown,
        hits=hits,
        original=original,
        kept=frozenset(name for name, connector in installation.mail.items() if _keeps_originals(connector)),
        mailbox_name=mailbox_name,
        levels=LEVELS,
        neighbours=neighbours,
        list=came.link,
        crm_can=crm_can,
        counterparts=shown.seen.counterparts,
        once=making.choice(installation, conversation),
        trouble=trouble,
        **_within(came),
    )
    if original:
        frame = f"{installation.settings.public_base_url}/conversations/{conversation}/messages/{original}/original"
        page.headers["Content-Security-Policy"] = policy(frames=frame)
    return page


def _within(came: CameFrom) -> dict[str, str]:
    """Return the list that was come from, for the forms of a page and for its links."""
    return {"view": came.view, "carried": f"?{came.carried}" if came.carried else ""}


def _keeps_originals(connector: object) -> bool:
    return isinstance(connector, OriginalMail)


def _id(connection: sa.Connection, conversation: UUID) -> int:
    return conversations.id_of(connection, str(conversation)) or NOBODYS
