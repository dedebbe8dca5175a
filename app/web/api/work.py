"""Long work: how far it is, what became of each conversation, and beginning what was looked at."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Response, jsonify

from app import work as long_work
from app.acting import Acting
from app.linking.reasons import sentence
from app.model import ItemRef
from app.web.api.answered import WorkOut
from app.web.api.asked import BeginIn, WorkQuery
from app.web.api.frame import Frame, locale_of

_TAG = "work"


def add(frame: Frame) -> None:
    """Add the routes."""

    @frame.route("GET", "/work/<uuid:work>", WorkOut, _TAG)
    def get_work(work: UUID, query: WorkQuery) -> Response:
        """Say how far something is that takes long, and what became of each conversation."""
        with frame.reading() as (connection, member):
            locale = locale_of(connection, member)
            shown = long_work.show(connection, member, str(work), locale, query.after)
        return jsonify(document(shown, locale))

    @frame.route("POST", "/work/<uuid:work>/begin", WorkOut, _TAG)
    def begin_work(work: UUID, json: BeginIn) -> Response:
        """Do what was looked at and is `ready`: save the policy, apply the replay, link the conversations."""

        def act(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            begun = long_work.begin(connection, acting, str(work), elsewhere=json.elsewhere)
            locale = locale_of(connection, acting.member)
            return document(long_work.show(connection, acting.member, begun.public_id, locale), locale)

        return frame.writing(act)


def document(shown: long_work.Shown, locale: str) -> dict[str, Any]:
    """Return a piece of work as programs read it."""
    return {
        "id": shown.work.public_id,
        "kind": shown.work.kind,
        "state": shown.work.state,
        "done": shown.work.done,
        "total": shown.work.total,
        "counts": dict(shown.counts),
        "action": shown.work.batch_id,
        "conversations": [_line(line, locale) for line in shown.lines],
        "next": shown.end,
    }


def _line(line: long_work.Line, locale: str) -> dict[str, Any]:
    entry, told = line.entry, line.difference
    reason = entry.reason or (told.reason if told else None)
    said = told.sentence if told and not entry.reason else sentence(entry.reason, {}, locale) if entry.reason else None
    primary = line.seen.conversation.primary_link
    stands = _named(primary.ref, primary.title if line.seen.sees_item else "") if primary else None
    return {
        "id": line.seen.conversation.public_id,
        "subject": line.seen.subject,
        "outcome": "refused" if entry.state == "refused" else str((entry.detail or {}).get("kind")),
        "reason": reason,
        "sentence": said,
        "linked_to": _named(told.linked_to, told.linked_title) if told else stands,
        "item": _named(told.item, told.item_title) if told else None,
    }


def _named(ref: ItemRef | None, title: str) -> dict[str, str] | None:
    return {"kind": ref.kind, "id": ref.external_id, "title": title} if ref else None
