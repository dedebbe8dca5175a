"""Making a person or an item of the CRM from the page of a conversation, which is linked to the item at once.

A refusal shows the page again, with its sentence. A form counts once: sent twice, the CRM would make the record twice.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app import beside, passes
from app.acting import Acting
from app.errors import Conflict, CrmNotReached, NotFound, Unsupported
from app.installation import Installation
from app.linking.addresses import normalize
from app.linking.reasons import sentence
from app.linking.text import one_line
from app.model import ITEM_KINDS, ItemKind
from app.store import last_actions
from app.store.last_actions import LastAction
from app.web.choosing import back, reading
from app.web.signed_in import Browser, who
from app.web.wording import words

LONGEST = 200

ShowAgain = Callable[[UUID, str], Response]


def choice(installation: Installation, conversation: UUID) -> str:
    """Return what the forms of a page carry, so that each counts once: a choice of this member about a conversation."""
    return passes.choice(installation, who().team.id, who().member, str(conversation))


def add(pages: Blueprint, installation: Installation, browser: Browser, show_again: ShowAgain) -> None:
    """Add the forms; `show_again` shows the page of a conversation with what went wrong."""

    def answered(conversation: UUID, make: Callable[[Acting], str]) -> WerkzeugResponse:
        try:
            acting = _acting(installation, conversation)
            done = make(acting)
        except (Conflict, CrmNotReached, Unsupported) as refusal:
            if isinstance(refusal, Unsupported):
                told = str(refusal)
            else:
                told = sentence(refusal.reason, refusal.params, who().locale)
            page = show_again(conversation, told)
            page.status_code = 503 if isinstance(refusal, CrmNotReached) else 409
            return page
        if done != "created_item":
            return back({"done": done})
        with reading(installation) as connection:
            last = LastAction(acting.batch_id, done, 0, 0)
            last_actions.remember(connection, acting.team_id, acting.member.id, last)
        return back({"done": done, "action": acting.batch_id})

    @pages.post("/conversations/<uuid:conversation>/create-person")
    @browser.members_only
    def create_person(conversation: UUID) -> WerkzeugResponse:
        """Make a counterpart (`address`) a person of the CRM, called `name`."""
        address = normalize(request.form.get("address", "")) or ""
        if not address:
            raise NotFound
        name = one_line(request.form.get("name", ""), LONGEST)

        def make(acting: Acting) -> str:
            is_new = beside.make_person(installation, acting, str(conversation), address, called=name)
            return "created_person" if is_new else "asked_before"

        return answered(conversation, make)

    @pages.post("/conversations/<uuid:conversation>/create-item")
    @browser.members_only
    def create_item(conversation: UUID) -> WerkzeugResponse:
        """Make an item (`kind`, `title`) for a counterpart (`address`) or nobody, and link the conversation to it."""
        kind, address = _kind(), normalize(request.form.get("address", "")) or ""
        title = one_line(request.form.get("title", ""), LONGEST) or words(who().locale)["no_subject"]

        def make(acting: Acting) -> str:
            made = beside.make_item(installation, acting, str(conversation), kind, title, address)
            if made is None:
                return "asked_before"
            return "created_item" if made.is_linked else "created_not_linked"

        return answered(conversation, make)


def _kind() -> ItemKind:
    found = next((kind for kind in ITEM_KINDS if kind == request.form.get("kind")), None)
    if found is None:
        raise NotFound
    return found


def _acting(installation: Installation, conversation: UUID) -> Acting:
    """Return who acts, however long the page was open. Raises Conflict (choice_expired)."""
    once = request.form.get("once", "")
    return passes.acting(installation, who().team.id, who().member, str(conversation), once, lasts=None)
