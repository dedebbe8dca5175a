"""Items of the CRM, as the mirror knows them, closed ones included; new items and persons, made in the CRM itself."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify
from pydantic import ValidationError

from app import creating, inbox
from app.acting import Acting
from app.errors import NotFound
from app.item_history import history
from app.model import ITEM_KINDS, Item
from app.store import mirror
from app.web.api.answered import FoundItems, ItemOut, MadeItemOut, MadePerson
from app.web.api.answered_conversations import OfItem
from app.web.api.asked import ItemIn, NewItemIn, PersonIn, SearchIn
from app.web.api.frame import Frame, locale_of, ref_of

_TAG = "items"
_ITEM = "/items/<any(deal, lead, project):kind>/<string:item>"


def add(frame: Frame) -> None:
    """Add the routes."""

    @frame.route("GET", "/items", FoundItems, _TAG)
    def search_items(query: SearchIn) -> Response:
        """Find items by the beginnings of words of their title; case and marks make no difference."""
        kinds = [query.kind] if query.kind else ITEM_KINDS
        with frame.reading() as (connection, member):
            reader = mirror.audience(connection, member)
            hits = mirror.search_items(connection, query.q, kinds, query.limit, reader=reader)
        return jsonify(
            {
                "items": [
                    {
                        "kind": hit.ref.kind,
                        "id": hit.ref.external_id,
                        "title": hit.title,
                        "state": hit.state,
                        "organization": hit.organization_name,
                    }
                    for hit in hits
                ]
            }
        )

    @frame.route("GET", _ITEM, ItemOut, _TAG)
    def get_item(kind: str, item: str) -> Response:
        """Return one item in any state."""
        asked = _asked(kind, item)
        with frame.reading() as (connection, member):
            found = mirror.item(connection, ref_of(connection, asked))
            is_shown = found is not None and mirror.audience(connection, member).sees(found)
        if found is None or not is_shown:
            raise NotFound("item_unknown", item=f"{kind}/{item}")
        return jsonify(_told(found))

    @frame.route("GET", f"{_ITEM}/conversations", OfItem, _TAG)
    def list_conversations_of_item(kind: str, item: str) -> Response:
        """List the conversations that are linked to an item, and those without a link of its people."""
        asked = _asked(kind, item)
        with frame.reading() as (connection, member):
            shown = history(connection, member, ref_of(connection, asked), locale_of(connection, member))
        if shown is None:
            raise NotFound("item_unknown", item=f"{kind}/{item}")
        return jsonify(
            {
                "linked": [inbox.row_document(row) for row in shown.linked],
                "unlinked": [inbox.row_document(row) for row in shown.unlinked],
            }
        )

    @frame.route("POST", "/items", MadeItemOut, _TAG)
    def create_item(json: NewItemIn) -> Response:
        """Create an open item in the CRM, and link a conversation to it where one is named."""

        def work(acting: Acting) -> dict[str, Any]:
            made = creating.create_item(
                frame.installation,
                acting,
                json.kind,
                json.title,
                person=json.person,
                organization=json.organization,
                conversation=str(json.conversation) if json.conversation else None,
            )
            return {
                "item": _told(made.item),
                "linked": made.is_linked,
                "not_linked": made.not_linked,
                "action": acting.batch_id if made.is_linked else None,
            }

        return frame.calling(work)

    @frame.route("POST", "/persons", MadePerson, "persons")
    def create_person(json: PersonIn) -> Response:
        """Create a person in the CRM."""

        def work(acting: Acting) -> dict[str, Any]:
            made = creating.create_person(
                frame.installation, acting, json.name, list(dict.fromkeys(json.addresses)), json.organization
            )
            return {"id": made.ref.external_id, "name": made.name, "addresses": list(made.addresses)}

        return frame.calling(work)


def _asked(kind: str, item: str) -> ItemIn:
    """Read the item of a path. Raises NotFound for what no item can be called."""
    try:
        return ItemIn(kind=kind, id=item)  # type: ignore[arg-type]  # the route lets no other kind through
    except ValidationError:
        raise NotFound("item_unknown", item=kind) from None


def _told(item: Item) -> dict[str, Any]:
    return {"kind": item.ref.kind, "id": item.ref.external_id, "title": item.title, "state": item.state}
