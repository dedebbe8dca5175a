"""The page of one conversation, and the choices that are made on it."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import sqlalchemy as sa
from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app import conversation as core
from app import links
from app.acting import NOBODYS, Acting
from app.errors import NotFound
from app.installation import Installation
from app.store import conversations
from app.web.choosing import act, found_items, named_item, reading
from app.web.member_page import member_page
from app.web.signed_in import Browser, who


def blueprint(installation: Installation, browser: Browser) -> Blueprint:
    """Build the pages of a conversation."""
    pages = Blueprint("conversation", __name__)
    _add_reading(pages, installation, browser)
    _add_choices(pages, installation, browser)
    return pages


def _add_reading(pages: Blueprint, installation: Installation, browser: Browser) -> None:
    @pages.get("/conversations/<uuid:conversation>")
    @browser.members_only
    def show_conversation(conversation: UUID) -> Response:
        with reading(installation) as connection:
            shown = core.shown(connection, who().member, str(conversation), who().locale)
            hits = found_items(connection)
        if shown is None:
            raise NotFound
        return member_page("conversation.html", shown=shown, hits=hits)


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


def _id(connection: sa.Connection, conversation: UUID) -> int:
    return conversations.id_of(connection, str(conversation)) or NOBODYS
