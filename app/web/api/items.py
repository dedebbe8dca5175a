"""Items of the CRM, as the mirror knows them: search and get, closed ones included."""

from __future__ import annotations

from flask import Response, jsonify
from pydantic import ValidationError

from app.errors import NotFound
from app.model import ITEM_KINDS
from app.store import mirror
from app.web.api.conversations import ref_of
from app.web.api.frame import Frame
from app.web.api.shapes import FoundItems, ItemIn, ItemOut, SearchIn

_TAG = "items"


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

    @frame.route("GET", "/items/<any(deal, lead, project):kind>/<string:item>", ItemOut, _TAG)
    def get_item(kind: str, item: str) -> Response:
        """Return one item in any state."""
        try:
            asked = ItemIn(kind=kind, id=item)  # type: ignore[arg-type]  # the route lets no other kind through
        except ValidationError:
            raise NotFound("item_unknown", item=kind) from None
        with frame.reading() as (connection, member):
            found = mirror.item(connection, ref_of(connection, asked))
            is_shown = found is not None and mirror.audience(connection, member).sees(found)
        if found is None or not is_shown:
            raise NotFound("item_unknown", item=f"{kind}/{item}")
        return jsonify({"kind": kind, "id": item, "title": found.title, "state": found.state})
