"""Conversations: lists, one with its messages, why it stands as it does, suggestions, and what became of a mail."""

from __future__ import annotations

from uuid import UUID

from flask import Response, jsonify

from app import doctor, inbox, offers, review
from app.acting import see_one
from app.conversation import messages_document
from app.errors import NotFound
from app.explain import decided, explain
from app.web import paging
from app.web.api.answered_conversations import Decisions, Explained, Listed, Messages, Review, Suggestions, Traced
from app.web.api.asked import DoctorIn, ListIn
from app.web.api.frame import Frame, locale_of, zone_of

_TAG = "conversations"


def add(frame: Frame) -> None:
    """Add the routes."""
    _add_lists(frame)
    _add_one(frame)


def _add_lists(frame: Frame) -> None:
    @frame.route("GET", "/conversations", Listed, _TAG)
    def list_conversations(query: ListIn) -> Response:
        """List the conversations of the caller's own accounts by state and words, newest mail first, page by page."""
        team_id = frame.caller.team_id
        with frame.reading() as (connection, member):
            after = paging.place(frame.installation, team_id, member, query.cursor or "")
            if query.cursor and after is None:
                raise NotFound("page_unknown")
            wanted, zone = _wanted(query), zone_of(member)
            listing = inbox.listing(
                connection, member, locale_of(connection, member), wanted, after, zone, limit=query.limit
            )
            if wanted.account and wanted.account not in {account.public_id for account in listing.accounts}:
                raise NotFound
        return jsonify(
            {
                "conversations": [inbox.row_document(row) for row in listing.rows],
                "counts": listing.counts,
                "next": paging.sealed(frame.installation, team_id, member, listing.end) or None,
            }
        )

    @frame.route("GET", "/review", Review, "review")
    def list_choices() -> Response:
        """List what needs a choice of the caller, and the offers of new or reopened items."""
        with frame.reading() as (connection, member):
            locale = locale_of(connection, member)
            choices, offered = review.choices(connection, member), offers.standing(connection, member)
        return jsonify(
            {
                "choices": [review.document(each, locale) for each in choices],
                "offers": [offers.document(each) for each in offered],
            }
        )

    @frame.route("GET", "/doctor", Traced, "doctor")
    def trace(query: DoctorIn) -> Response:
        """Say what became of a mail in the mailboxes of the caller, step by step, and how its conversations stand."""
        with frame.reading() as (connection, member):
            now = frame.installation.clock.now()
            return jsonify(doctor.trace(connection, member, query.q, locale_of(connection, member), now))


def _add_one(frame: Frame) -> None:
    @frame.route("GET", "/conversations/<uuid:conversation>", Explained, _TAG)
    def explain_conversation(conversation: UUID) -> Response:
        """Say what a conversation is linked to, why, and what would change that."""
        with frame.reading() as (connection, member):
            seen = see_one(connection, member, str(conversation))
            return jsonify(explain(connection, seen, locale_of(connection, member)))

    @frame.route("GET", "/conversations/<uuid:conversation>/messages", Messages, _TAG)
    def list_messages(conversation: UUID) -> Response:
        """List the messages of a conversation, oldest first, and who takes part, as far as the caller may read them."""
        with frame.reading() as (connection, member):
            return jsonify(messages_document(connection, see_one(connection, member, str(conversation))))

    @frame.route("GET", "/conversations/<uuid:conversation>/decisions", Decisions, _TAG)
    def list_decisions(conversation: UUID) -> Response:
        """List every decision that was made on a conversation, with its candidates and their evidence."""
        with frame.reading() as (connection, member):
            seen = see_one(connection, member, str(conversation))
            told = decided(connection, seen, locale_of(connection, member))
        return jsonify({"decisions": told})

    @frame.route("GET", "/conversations/<uuid:conversation>/suggestions", Suggestions, _TAG)
    def suggest_items(conversation: UUID) -> Response:
        """Rank the items to link a conversation to, best first, each with its evidence."""
        with frame.reading() as (connection, member):
            locale = locale_of(connection, member)
            found = review.suggestions(connection, see_one(connection, member, str(conversation)))
        return jsonify({"suggestions": [review.suggestion_document(each, locale) for each in found]})


def _wanted(query: ListIn) -> inbox.Wanted:
    kind, _, external_id = (query.about or "").partition("/")
    return inbox.Wanted(
        state=query.state,
        query=(query.q or "").strip(),
        account=str(query.account or ""),
        kind=query.account_kind,
        record=(kind, external_id) if query.about else None,
        since=query.since,
        until=query.until,
    )
