"""Conversations: lists, explain, decisions, suggestions, every choice and its undo, and what became of a mail."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Response, jsonify

from app import doctor, inbox, links, offers, review
from app import work as long_work
from app.acting import NOBODYS, Acting, see_one
from app.errors import NotFound
from app.explain import decided, explain
from app.model import ItemRef
from app.store import conversations as rows
from app.store import crm, teams
from app.store.work import Work
from app.web import paging
from app.web.api.answered import (
    Accepted,
    Acted,
    Conversations,
    Decisions,
    Declined,
    Explained,
    Listed,
    Review,
    Suggestions,
    Traced,
    Undone,
)
from app.web.api.asked import BulkLinkIn, DoctorIn, ItemIn, LinkIn, ListIn, UndoIn, VisibilityIn
from app.web.api.frame import Frame

_TAG = "conversations"


def add(frame: Frame) -> None:
    """Add the routes."""
    _add_lists(frame)
    _add_reading(frame)
    _add_choices(frame)
    _add_batches(frame)


def _add_lists(frame: Frame) -> None:
    @frame.route("GET", "/conversations", Listed, _TAG)
    def list_conversations(query: ListIn) -> Response:
        """List the conversations of the caller's own accounts by state and words, newest mail first, page by page."""
        team_id = frame.caller.team_id
        with frame.reading() as (connection, member):
            after = paging.place(frame.installation, team_id, member, query.cursor or "")
            if query.cursor and after is None:
                raise NotFound("page_unknown")
            wanted = inbox.Wanted(query.state, (query.q or "").strip(), str(query.account or ""))
            listing = inbox.listing(connection, member, locale_of(connection), wanted, after, limit=query.limit)
            if wanted.account and wanted.account not in {account.public_id for account in listing.accounts}:
                raise NotFound
        return jsonify(
            {
                "conversations": [inbox.row_document(row) for row in listing.rows],
                "counts": listing.counts,
                "next": paging.sealed(frame.installation, team_id, member, listing.end) or None,
            }
        )

    @frame.route("GET", "/conversations/<uuid:conversation>/decisions", Decisions, _TAG)
    def list_decisions(conversation: UUID) -> Response:
        """List every decision that was made on a conversation, with its candidates and their evidence."""
        with frame.reading() as (connection, member):
            told = decided(connection, see_one(connection, member, str(conversation)), locale_of(connection))
        return jsonify({"decisions": told})


def _add_reading(frame: Frame) -> None:
    @frame.route("GET", "/conversations/<uuid:conversation>", Explained, _TAG)
    def explain_conversation(conversation: UUID) -> Response:
        """Say what a conversation is linked to, why, and what would change that."""
        with frame.reading() as (connection, member):
            return jsonify(explain(connection, see_one(connection, member, str(conversation)), locale_of(connection)))

    @frame.route("GET", "/conversations/<uuid:conversation>/suggestions", Suggestions, _TAG)
    def suggest_items(conversation: UUID) -> Response:
        """Rank the items to link a conversation to, best first, each with its evidence."""
        with frame.reading() as (connection, member):
            locale = locale_of(connection)
            found = review.suggestions(connection, see_one(connection, member, str(conversation)))
        return jsonify({"suggestions": [review.suggestion_document(each, locale) for each in found]})

    @frame.route("GET", "/review", Review, _TAG)
    def list_choices() -> Response:
        """List what needs a choice of the caller, and the offers of new or reopened items."""
        with frame.reading() as (connection, member):
            locale = locale_of(connection)
            choices, offered = review.choices(connection, member), offers.standing(connection, member)
        return jsonify(
            {
                "choices": [review.document(each, locale) for each in choices],
                "offers": [offers.document(each) for each in offered],
            }
        )

    @frame.route("GET", "/doctor", Traced, _TAG)
    def trace(query: DoctorIn) -> Response:
        """Say what became of a mail in the mailboxes of the caller, step by step, and how its conversations stand."""
        with frame.reading() as (connection, member):
            now = frame.installation.clock.now()
            return jsonify(doctor.trace(connection, member, query.q, locale_of(connection), now))


def _add_choices(frame: Frame) -> None:
    @frame.route("POST", "/conversations/<uuid:conversation>/link", Acted, _TAG)
    def link(conversation: UUID, json: LinkIn) -> Response:
        """Link a conversation to an item by hand."""

        def work(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            links.link(connection, acting, _id(connection, conversation), ref_of(connection, json.item), move=json.move)
            return _acted("linked", acting)

        return frame.writing(work)

    @frame.route("POST", "/conversations/<uuid:conversation>/unlink", Acted, _TAG)
    def unlink(conversation: UUID) -> Response:
        """Take a conversation off its item; automatic linking does not put it back."""

        def work(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            links.unlink(connection, acting, _id(connection, conversation))
            return _acted("unlinked", acting)

        return frame.writing(work)

    @frame.route("POST", "/conversations/<uuid:conversation>/dismiss", Acted, _TAG)
    def dismiss(conversation: UUID) -> Response:
        """Say that a conversation is not about any item, until it has a new candidate."""

        def work(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            links.dismiss(connection, acting, _id(connection, conversation))
            return _acted("dismissed", acting)

        return frame.writing(work)

    @frame.route("POST", "/conversations/<uuid:conversation>/visibility", Acted, _TAG)
    def set_visibility(conversation: UUID, json: VisibilityIn) -> Response:
        """Set who may read a conversation; only its owners may."""

        def work(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            links.set_visibility(connection, acting, _id(connection, conversation), json.level)
            return _acted("visibility_set", acting)

        return frame.writing(work)


def _add_batches(frame: Frame) -> None:
    @frame.route("POST", "/conversations/bulk-link", Conversations, _TAG)
    def bulk_link(json: BulkLinkIn) -> Response:
        """Link many conversations to one item as one action; each one refused is listed with its reason."""

        def work(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            asked = [str(each) for each in json.conversations]
            ids = rows.ids_of(connection, asked)
            item = ref_of(connection, json.item)
            done = links.bulk_link(connection, acting, list(ids.values()), item, elsewhere=json.elsewhere)
            public = {conversation_id: public_id for public_id, conversation_id in ids.items()}
            refused = {public[conversation_id]: reason for conversation_id, reason in done.not_linked.items()}
            unknown = {public_id: "not_found" for public_id in asked if public_id not in ids}
            return {
                "linked": [public[conversation_id] for conversation_id in done.linked],
                "not_linked": {**refused, **unknown},
                "action": done.batch_id,
            }

        return frame.writing(work)

    @frame.route("POST", "/offers/<uuid:offer>/accept", Accepted, _TAG)
    def accept_offer(offer: UUID) -> Response:
        """Link the earlier conversations of an offer to its item, as one action."""

        def work(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            done = offers.accept(connection, acting, str(offer))
            return {**_acted("accepted", acting), "linked": len(done.linked), "not_linked": len(done.not_linked)}

        return frame.writing(work)

    @frame.route("POST", "/offers/<uuid:offer>/decline", Declined, _TAG)
    def decline_offer(offer: UUID) -> Response:
        """Take an offer away, for everybody in the team."""

        def work(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            offers.decline(connection, acting, str(offer))
            return {"outcome": "declined"}

        return frame.writing(work)

    @frame.route("POST", "/undo", Undone, _TAG)
    def undo(json: UndoIn) -> Response:
        """Take an action back, by the id it answered with."""

        def work(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            undone = long_work.undo(connection, acting, str(json.action))
            if isinstance(undone, Work):
                return {"undone": [], "work": undone.public_id}
            seen = links.see(connection, acting.member, undone)
            return {"undone": [each.conversation.public_id for each in seen.values()], "work": None}

        return frame.writing(work)


def locale_of(connection: sa.Connection) -> str:
    """Return the team's language."""
    team = teams.team(connection)
    return team.locale if team else "en"


def ref_of(connection: sa.Connection, item: ItemIn) -> ItemRef:
    """Name an item of the team's CRM. Raises NotFound (item_unknown) when the team has no CRM."""
    return crm.item_ref(connection, item.kind, item.id)


def _id(connection: sa.Connection, conversation: UUID) -> int:
    return rows.id_of(connection, str(conversation)) or NOBODYS


def _acted(outcome: str, acting: Acting) -> dict[str, Any]:
    return {"outcome": outcome, "action": acting.batch_id}
