"""What a member chooses for conversations: one, many at once, offers, and taking any of it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Response

from app import links, offers
from app import work as long_work
from app.acting import NOBODYS, Acting
from app.store import conversations as rows
from app.store.work import Work
from app.web.api.answered import Acted, BulkDismissed, BulkLinked, Undone
from app.web.api.answered_conversations import Accepted, Declined
from app.web.api.asked import BulkDismissIn, BulkLinkIn, LinkIn, UndoIn, VisibilityIn
from app.web.api.frame import Frame, ref_of

_TAG = "conversations"


def add(frame: Frame) -> None:
    """Add the routes."""
    _add_choices(frame)
    _add_bulk(frame)
    _add_offers(frame)

    @frame.route("POST", "/undo", Undone, "work")
    def undo(json: UndoIn) -> Response:
        """Take an action back, by the id it answered with."""

        def act(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            undone = long_work.undo(connection, acting, str(json.action))
            if isinstance(undone, Work):
                return {"undone": [], "work": undone.public_id}
            seen = links.see(connection, acting.member, undone)
            return {"undone": [each.conversation.public_id for each in seen.values()], "work": None}

        return frame.writing(act)


def _add_choices(frame: Frame) -> None:
    def choose(conversation: UUID, outcome: str, choice: Callable[[sa.Connection, Acting, int], object]) -> Response:
        def act(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            choice(connection, acting, rows.id_of(connection, str(conversation)) or NOBODYS)
            return _acted(outcome, acting)

        return frame.writing(act)

    @frame.route("POST", "/conversations/<uuid:conversation>/link", Acted, _TAG)
    def link(conversation: UUID, json: LinkIn) -> Response:
        """Link a conversation to an item by hand."""

        def choice(connection: sa.Connection, acting: Acting, conversation_id: int) -> None:
            links.link(connection, acting, conversation_id, ref_of(connection, json.item), move=json.move)

        return choose(conversation, "linked", choice)

    @frame.route("POST", "/conversations/<uuid:conversation>/unlink", Acted, _TAG)
    def unlink(conversation: UUID) -> Response:
        """Take a conversation off its item; automatic linking does not put it back."""
        return choose(conversation, "unlinked", links.unlink)

    @frame.route("POST", "/conversations/<uuid:conversation>/dismiss", Acted, _TAG)
    def dismiss(conversation: UUID) -> Response:
        """Say that a conversation is not about any item, until it has a new candidate."""
        return choose(conversation, "dismissed", links.dismiss)

    @frame.route("POST", "/conversations/<uuid:conversation>/trust", Acted, _TAG)
    def trust_sender(conversation: UUID) -> Response:
        """Say that the sender whom the mail provider could not verify is genuine; the conversation is decided anew."""
        return choose(conversation, "trusted", links.trust_sender)

    @frame.route("POST", "/conversations/<uuid:conversation>/visibility", Acted, _TAG)
    def set_visibility(conversation: UUID, json: VisibilityIn) -> Response:
        """Set who may read a conversation; only its owners may."""

        def choice(connection: sa.Connection, acting: Acting, conversation_id: int) -> None:
            links.set_visibility(connection, acting, conversation_id, json.level)

        return choose(conversation, "visibility_set", choice)


def _add_bulk(frame: Frame) -> None:
    @frame.route("POST", "/conversations/bulk-link", BulkLinked, _TAG)
    def bulk_link(json: BulkLinkIn) -> Response:
        """Link many conversations to one item as one action; more than 50 are work that goes on by itself."""

        def act(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            known, not_there = _known(connection, acting, json.conversations)
            item = ref_of(connection, json.item)
            if len(known) > long_work.AT_ONCE:
                begun = long_work.bulk_link(connection, acting, list(known.values()), item, elsewhere=json.elsewhere)
                return {"linked": [], "not_linked": not_there, "action": begun.batch_id, "work": begun.public_id}
            done = links.bulk_link(connection, acting, list(known.values()), item, elsewhere=json.elsewhere)
            refused = {asked: done.not_linked[key] for asked, key in known.items() if key in done.not_linked}
            return {
                "linked": [asked for asked in known if asked not in refused],
                "not_linked": {**refused, **not_there},
                "action": done.batch_id,
                "work": None,
            }

        return frame.writing(act)

    @frame.route("POST", "/conversations/bulk-dismiss", BulkDismissed, _TAG)
    def bulk_dismiss(json: BulkDismissIn) -> Response:
        """Say of many conversations that they are not about any item; more than 50 are work that goes on by itself."""

        def act(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            known, not_there = _known(connection, acting, json.conversations)
            if len(known) > long_work.AT_ONCE:
                begun = long_work.bulk_dismiss(connection, acting, list(known.values()))
                return {"dismissed": [], "left": not_there, "action": begun.batch_id, "work": begun.public_id}
            refused = links.bulk_dismiss(connection, acting, list(known.values()))
            left = {asked: refused[key] for asked, key in known.items() if key in refused}
            return {
                "dismissed": [asked for asked in known if asked not in left],
                "left": {**left, **not_there},
                "action": acting.batch_id,
                "work": None,
            }

        return frame.writing(act)


def _add_offers(frame: Frame) -> None:
    @frame.route("POST", "/offers/<uuid:offer>/accept", Accepted, "review")
    def accept_offer(offer: UUID) -> Response:
        """Link the earlier conversations of an offer to its item, as one action."""

        def act(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            done = offers.accept(connection, acting, str(offer))
            return {**_acted("accepted", acting), "linked": len(done.linked), "not_linked": len(done.not_linked)}

        return frame.writing(act)

    @frame.route("POST", "/offers/<uuid:offer>/decline", Declined, "review")
    def decline_offer(offer: UUID) -> Response:
        """Take an offer away, for everybody in the team."""

        def act(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            offers.decline(connection, acting, str(offer))
            return {"outcome": "declined"}

        return frame.writing(act)


def _known(connection: sa.Connection, acting: Acting, asked: list[UUID]) -> tuple[dict[str, int], dict[str, str]]:
    """Return the conversations that exist for who acts, and the refusal of each of the others."""
    ids = rows.ids_of(connection, [str(each) for each in asked])
    seen = links.see(connection, acting.member, set(ids.values()))
    known = {public_id: key for public_id, key in ids.items() if key in seen}
    return known, {str(each): "not_found" for each in asked if str(each) not in known}


def _acted(outcome: str, acting: Acting) -> dict[str, Any]:
    return {"outcome": outcome, "action": acting.batch_id}
