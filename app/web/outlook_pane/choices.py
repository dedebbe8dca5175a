"""What somebody chooses in the pane: link, move, unlink, dismiss, create, leave. Each choice counts once (W11)."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from flask import Response, request

from app import addons, beside, links
from app.acting import NOBODYS, Acting, act_once
from app.errors import NotFound
from app.linking.addresses import normalize
from app.linking.reasons import sentence
from app.linking.text import one_line
from app.links import BulkResult, Elsewhere
from app.store import conversations
from app.web.member_page import uuid_of
from app.web.outlook_pane import reading
from app.web.outlook_pane.asked import PROVIDER, Asked, field, item_kind, item_ref
from app.web.outlook_pane.reading import MANY, MOST_SELECTED
from app.web.wording import words

LONGEST_TITLE = 200


def link(asked: Asked) -> Response:
    """Link the conversation to the item of the button; `move` replaces a link, as somebody confirmed."""
    is_move = bool(field("move"))

    def work(connection: sa.Connection, acting: Acting, conversation_id: int) -> None:
        links.link(connection, acting, conversation_id, item_ref(connection), move=is_move)

    return _act(asked, work, "done_linked")


def unlink(asked: Asked) -> Response:
    """Take the link off."""
    return _act(asked, links.unlink, "done_unlinked")


def dismiss(asked: Asked) -> Response:
    """Say that the conversation is not about any item."""
    return _act(asked, links.dismiss, "done_dismissed")


def create_person(asked: Asked) -> Response:
    """Make the person behind an address in the CRM."""
    address = normalize(field("address")) or ""
    if not address:
        raise NotFound
    is_new = beside.make_person(asked.installation, asked.acting(asked.conversation), asked.conversation, address)
    text = words(asked.signed.locale)
    said = text["addon_created_person"].format(name=address) if is_new else text["addon_done_already"]
    return reading.conversation(asked, said)


def create_item(asked: Asked) -> Response:
    """Make an item in the CRM and link the conversation to it."""
    kind, address, text = item_kind(), normalize(field("person")) or "", words(asked.signed.locale)
    title = one_line(field("title"), LONGEST_TITLE) or text["no_subject"]
    acting = asked.acting(asked.conversation)
    made = beside.make_item(asked.installation, acting, asked.conversation, kind, title, address)
    said = text["addon_created_item" if made else "addon_done_already"]
    if made and made.not_linked:
        said = sentence(made.not_linked, {"item": made.item.title, "kind": kind}, asked.signed.locale)
    return reading.conversation(asked, said)


def link_many(asked: Asked) -> Response:
    """Link the conversations of the selected messages to one item, and say one line for each that was not."""
    acting = asked.acting(MANY)
    named = list(dict.fromkeys(filter(None, map(uuid_of, request.form.getlist("c")[:MOST_SELECTED]))))
    done: list[BulkResult] = []
    with asked.reading() as connection:
        ids = conversations.ids_of(connection, named)

        def work() -> None:
            elsewhere: Elsewhere = "move" if field("move") else "skip"
            ref = item_ref(connection)
            done.append(links.bulk_link(connection, acting, list(ids.values()), ref, elsewhere=elsewhere))

        act_once(connection, acting, work)
    refused = [reason for each in done for reason in each.not_linked.values()]
    refused += ["not_found"] * (len(named) - len(ids)) if done else []  # like what is hidden
    not_linked = [sentence(reason, {}, asked.signed.locale) for reason in refused]
    linked = len(done[0].linked) if done else 0
    return reading.part(asked, "outlook_many_done.html", linked=linked, not_linked=not_linked, is_new=bool(done))


def leave(asked: Asked) -> Response:
    """Forget that the member uses the pane here."""
    addons.forget(asked.installation, asked.signed, PROVIDER, asked.person.user_id)
    return reading.part(asked, "outlook_left.html")


def _act(asked: Asked, work: Callable[[sa.Connection, Acting, int], None], done: str) -> Response:
    """Let the member act once, then show the conversation as it is now."""
    acting = asked.acting(asked.conversation)
    with asked.reading() as connection:
        conversation_id = conversations.id_of(connection, asked.conversation) or NOBODYS
        is_new = act_once(connection, acting, lambda: work(connection, acting, conversation_id))
    return reading.conversation(asked, words(asked.signed.locale)[done if is_new else "addon_done_already"])
