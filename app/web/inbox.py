"""The inbox, a conversation and the review queue: what a member sees, and the choices that are made there.

Everything works without scripts: a choice is a form, and its page says what happened and offers to take it back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID

import sqlalchemy as sa
from cryptography.fernet import InvalidToken
from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app import inbox, links, offers, review
from app.acting import NOBODYS, Acting
from app.errors import NotFound, ThreadlinkError
from app.installation import Installation
from app.model import ItemRef
from app.ports import SearchHit
from app.store import conversations, crm, mirror
from app.store.inbox import COUNTED_UP_TO, STATES, Place, State
from app.web.member_page import LONGEST_QUERY, member_page, uuid_of
from app.web.signed_in import Browser, who

Work = Callable[[sa.Connection, Acting], dict[str, Any] | None]

MOST_AT_ONCE = 200
_PLACES = ("/inbox", "/review", "/conversations/", "/items/")


def blueprint(installation: Installation, browser: Browser) -> Blueprint:
    """Build the pages of the inbox."""
    pages = Blueprint("inbox", __name__)
    _add_reading(pages, installation, browser)
    _add_choices(pages, installation, browser)
    _add_offers(pages, installation, browser)
    return pages


def _add_reading(pages: Blueprint, installation: Installation, browser: Browser) -> None:
    @pages.get("/")
    def home() -> WerkzeugResponse:
        return redirect("/inbox", 303)

    @pages.get("/inbox")
    @browser.members_only
    def show_inbox() -> Response:
        state = cast("State | None", request.args.get("state") if request.args.get("state") in STATES else None)
        with _reading(installation) as connection:
            after = _place(installation, request.args.get("after", ""))
            words = request.args.get("s", "")[:LONGEST_QUERY].strip()
            found = inbox.listing(connection, who().member, who().locale, state, after, words)
            hits = _search(connection)
        return member_page(
            "inbox.html",
            listing=found,
            state=state,
            states=STATES,
            more=_sealed(installation, found.end),
            hits=hits,
            words=words,
            counted_up_to=COUNTED_UP_TO,
        )

    @pages.get("/conversations/<uuid:conversation>")
    @browser.members_only
    def show_conversation(conversation: UUID) -> Response:
        with _reading(installation) as connection:
            shown = inbox.conversation(connection, who().member, str(conversation), who().locale)
            hits = _search(connection)
        if shown is None:
            raise NotFound
        return member_page("conversation.html", shown=shown, hits=hits)

    @pages.get("/review")
    @browser.members_only
    def show_review() -> Response:
        with _reading(installation) as connection:
            choices = review.choices(connection, who().member)
            offered = offers.standing(connection, who().member)
        documents = [review.document(choice, who().locale) for choice in choices]
        return member_page("review.html", choices=documents, offers=[offers.document(each) for each in offered])


def _add_choices(pages: Blueprint, installation: Installation, browser: Browser) -> None:
    def act_on(done: str, conversation: UUID, work: Callable[[sa.Connection, Acting, int], None]) -> WerkzeugResponse:
        return _act(installation, done, lambda connection, by: work(connection, by, _id(connection, conversation)))

    @pages.post("/conversations/<uuid:conversation>/link")
    @browser.members_only
    def link(conversation: UUID) -> WerkzeugResponse:
        def work(connection: sa.Connection, acting: Acting, conversation_id: int) -> None:
            links.link(connection, acting, conversation_id, _item(connection), move="move" in request.form)

        return act_on("linked", conversation, work)

    @pages.post("/conversations/<uuid:conversation>/unlink")
    @browser.members_only
    def unlink(conversation: UUID) -> WerkzeugResponse:
        return act_on("unlinked", conversation, links.unlink)

    @pages.post("/conversations/<uuid:conversation>/dismiss")
    @browser.members_only
    def dismiss(conversation: UUID) -> WerkzeugResponse:
        return act_on("dismissed", conversation, links.dismiss)

    @pages.post("/conversations/link")
    @browser.members_only
    def bulk_link() -> WerkzeugResponse:
        def work(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            ids = conversations.ids_of(connection, _ticked())
            done = links.bulk_link(connection, acting, list(ids.values()), _item(connection))
            return {"n": len(done.linked), "left": len(done.not_linked)}

        return _act(installation, "bulk", work)

    @pages.post("/undo")
    @browser.members_only
    def undo() -> WerkzeugResponse:
        action = uuid_of(request.form.get("action", ""))
        return _act(installation, "undone", lambda connection, acting: _undo(connection, acting, action))


def _add_offers(pages: Blueprint, installation: Installation, browser: Browser) -> None:
    @pages.post("/offers/<uuid:offer>/accept")
    @browser.members_only
    def accept_offer(offer: UUID) -> WerkzeugResponse:
        def work(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            return {"n": len(offers.accept(connection, acting, str(offer)).linked)}

        return _act(installation, "accepted", work)

    @pages.post("/offers/<uuid:offer>/decline")
    @browser.members_only
    def decline_offer(offer: UUID) -> WerkzeugResponse:
        return _act(installation, "declined", lambda connection, by: offers.decline(connection, by, str(offer)))


def _act(installation: Installation, done: str, work: Work) -> WerkzeugResponse:
    """Let the member act once, then show the page again with what happened."""
    acting = Acting(who().team.id, who().member, installation.clock.now())
    with installation.database.for_team(acting.team_id) as connection:
        told = work(connection, acting) or {}
    return redirect(_back({"done": done, "action": acting.batch_id, **told}), 303)


# --- what a request says ---


@contextmanager
def _reading(installation: Installation) -> Iterator[sa.Connection]:
    with installation.database.for_team(who().team.id) as connection:
        yield connection


def _search(connection: sa.Connection) -> list[SearchHit] | None:
    """Return the items that were searched for; None when nothing was asked."""
    query = request.args.get("q", "")[:LONGEST_QUERY].strip()
    if not query:
        return None
    return mirror.search_items(connection, query, limit=10, reader=mirror.audience(connection, who().member))


def _id(connection: sa.Connection, conversation: UUID) -> int:
    return conversations.id_of(connection, str(conversation)) or NOBODYS


def _item(connection: sa.Connection) -> ItemRef:
    kind, _, external_id = request.form.get("item", "").partition("/")
    return crm.item_ref(connection, kind, external_id)


def _ticked() -> Sequence[str]:
    found = [each for each in (uuid_of(value) for value in request.form.getlist("c")[:MOST_AT_ONCE]) if each]
    if not found:
        raise NotFound
    return list(dict.fromkeys(found))


def _undo(connection: sa.Connection, acting: Acting, action: str) -> None:
    if not action:
        raise NotFound
    links.undo(connection, acting, action)


def _back(told: dict[str, Any]) -> str:
    """Return the page that the form stood on, with what happened; only pages of ours."""
    path = request.form.get("back", "")
    if not path.startswith(_PLACES) or any(sign in path for sign in "\\?#\r\n") or "//" in path:
        path = "/inbox"
    state = request.form.get("state", "")
    return f"{path}?{urlencode({**({'state': state} if state in STATES else {}), **told})}"


def _sealed(installation: Installation, place: Place | None) -> str:
    """Return where a page ends as nobody else can write it."""
    if place is None:
        return ""
    value = {"at": place.at.isoformat(), "id": place.conversation_id}
    team = who().team.id
    return installation.secrets.seal(value, team_id=team, owner=f"member/{who().member.id}", kind="page").decode()


def _place(installation: Installation, text: str) -> Place | None:
    if not text or len(text) > 1_000:
        return None
    try:
        value = installation.secrets.open(
            text.encode(), team_id=who().team.id, owner=f"member/{who().member.id}", kind="page"
        )
        return Place(datetime.fromisoformat(value["at"]), int(value["id"]))
    except (ValueError, KeyError, TypeError, InvalidToken, ThreadlinkError):
        return None
