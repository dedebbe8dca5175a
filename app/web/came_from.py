"""The list that a page was opened from: it stands in the links and forms of the pages within it, and leads back.

Anybody can write it, so it is read as what is known here: a list of the inbox, the review queue, or one of the two
lists of a CRM record. Anything else is the whole inbox.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from flask import request

from app import inbox, item_history, review
from app.acting import Seen
from app.errors import NotFound
from app.inbox import RECORD_KINDS, Wanted
from app.model import ITEM_KINDS
from app.store import crm
from app.store.inbox import Neighbours
from app.web.inbox_filter import LONGEST_VIEW, link_of, query_of, wanted
from app.web.member_page import LONGEST_QUERY

KINDS = (*ITEM_KINDS, *RECORD_KINDS)
_REVIEW = "review"


@dataclass(frozen=True, slots=True)
class CameFrom:
    """A list of the inbox, unless it is the review queue or a record's."""

    asked: Wanted = field(default_factory=Wanted)
    is_review: bool = False
    record: tuple[str, str] | None = None  # kind and id
    is_unlinked: bool = False  # the second list of a record, not its history

    @property
    def path(self) -> str:
        """The page of the list, without what narrows it."""
        if self.record:
            kind, external_id = self.record
            return f"/items/{kind}/{quote(external_id)}"
        return "/review" if self.is_review else "/inbox"

    @property
    def link(self) -> str:
        """The link back to the list."""
        return link_of(self.asked) if self.path == "/inbox" else self.path

    @property
    def view(self) -> str:
        """The list as it stands in a form or behind view= in a link; "" for the whole inbox."""
        if self.record:
            return urlencode({"from": "/".join(self.record), **({"list": "unlinked"} if self.is_unlinked else {})})
        return urlencode({"from": _REVIEW}) if self.is_review else query_of(self.asked)

    @property
    def carried(self) -> str:
        """The list as it stands behind the ? of a link; "" for the whole inbox."""
        return urlencode({"view": self.view}) if self.view else ""


def read(view: str) -> CameFrom:
    """Read what a link, a form or a header of ours brings back."""
    given = dict(parse_qsl(view[:LONGEST_VIEW]))
    if given.get("from") == _REVIEW:
        return CameFrom(is_review=True)
    kind, _, external_id = given.get("from", "")[:LONGEST_QUERY].partition("/")
    if kind in KINDS and external_id:
        return CameFrom(record=(kind, external_id), is_unlinked=given.get("list") == "unlinked")
    return CameFrom(wanted(given))


def asked_from() -> CameFrom:
    """Read the list that a link names, or a form; to htmx, which need not name it, the one that the browser shows."""
    view = request.values.get("view", "")
    shown = urlsplit(request.headers.get("HX-Current-URL", ""))
    return read(view or (shown.query if shown.path == "/inbox" else ""))


def neighbours(connection: sa.Connection, seen: Seen, came: CameFrom, zone: ZoneInfo) -> Neighbours:
    """Return what stands next to a conversation in the list, as its reader sees the list now.

    One that has left the list, as after a choice, keeps its place by the time of its newest mail. As many queries
    however long the list is.
    """
    if came.is_review:
        return review.neighbours(connection, seen)
    if came.record is None:
        return inbox.neighbours(connection, seen, came.asked, zone)
    try:
        ref = crm.item_ref(connection, *came.record, KINDS)
    except NotFound:  # no CRM is connected any more
        return Neighbours()
    return item_history.neighbours(connection, seen, ref, is_unlinked=came.is_unlinked)
