"""The page of a CRM record: its conversations, and those of its people that are not linked."""

from __future__ import annotations

from dataclasses import replace

from flask import Blueprint, Response, request

from app import smart_bcc
from app.errors import NotFound
from app.installation import Installation
from app.item_history import history
from app.model import ITEM_KINDS
from app.store import crm
from app.web import crm_state, paging
from app.web.came_from import KINDS, CameFrom
from app.web.choosing import reading
from app.web.member_page import member_page
from app.web.signed_in import Browser, who


def blueprint(installation: Installation, browser: Browser) -> Blueprint:
    """Build the page."""
    pages = Blueprint("items", __name__)

    @pages.get("/items/<kind>/<path:external_id>")
    @browser.members_only
    def show_record(kind: str, external_id: str) -> Response:
        with reading(installation) as connection:
            ref = crm.item_ref(connection, kind, external_id, KINDS)
            after = paging.row_id(installation, who().team.id, who().member, request.args.get("after", ""))
            shown = history(connection, who().member, ref, who().locale, after)
            if shown is None:
                raise NotFound("item_unknown", item="")
            crm_said = crm_state.said(crm.standing(connection))
            is_item = kind in ITEM_KINDS
            takes_mail = is_item and smart_bcc.is_offered(installation)
            addresses = smart_bcc.addresses(installation, connection, who().member, ref) if takes_mail else None
        came = CameFrom(record=(kind, external_id))
        return member_page(
            "item.html",
            shown=shown,
            is_item=is_item,
            addresses=addresses,
            more=paging.sealed_row(installation, who().team.id, who().member, shown.end),
            came=came,
            crm_said=crm_said,
            came_unlinked=replace(came, is_unlinked=True),
        )

    return pages
