"""What the pane shows and changes nothing with: each function answers a part of it."""

from __future__ import annotations

from flask import Response, request

from app import addons, audience, beside, picking
from app.acting import see_one
from app.beside import Beside, OpenItem
from app.errors import Conflict, NotFound
from app.linking.text import one_line
from app.smart_bcc import is_offered
from app.store import addons as rows
from app.store import mirror
from app.web.member_page import LONGEST_QUERY, member_page
from app.web.outlook_pane.asked import PROVIDER, Asked, field, item_kind, item_ref

HITS = 10
MOST_SELECTED = 100  # as many as Outlook lets somebody select for an add-in
MANY = "many"  # what a choice about several conversations is about


def item(asked: Asked) -> Response:
    """Show the conversation of the open message, or why there is none."""
    claimed = OpenItem(
        field("message"), field("thread"), field("sender"), one_line(field("sender_name"), 200), field("subject")
    )
    found = beside.open_item(
        asked.installation, asked.signed, PROVIDER, asked.person.user_id, claimed, asked.signed.locale
    )
    if found.told is not None:
        return shown(asked, found)
    invitation = "" if found.is_connected else addons.invite(asked.installation, PROVIDER, asked.person)
    return part(asked, "outlook_not_stored.html", found=found, invitation=invitation, may_leave=_may_leave(asked))


def conversation(asked: Asked, did: str = "") -> Response:
    """Show the conversation that the form names, with what has just happened to it. Raises NotFound."""
    with asked.reading() as connection:
        found = beside.conversation(
            asked.installation, connection, asked.signed.member, asked.conversation, asked.signed.locale
        )
    return shown(asked, found, did)


def search(asked: Asked) -> Response:
    """Show the items whose title has the words of the field."""
    query = field("q")[:LONGEST_QUERY]
    with asked.reading() as connection:
        seen = see_one(connection, asked.signed.member, asked.conversation)
        reader = mirror.audience(connection, asked.signed.member)
        hits = mirror.search_items(connection, query, limit=HITS, reader=reader) if query else []
        (previews,) = beside.previews(connection, [(seen, [hit.ref for hit in hits])])
    return part(
        asked,
        "outlook_hits.html",
        hits=hits,
        previews=previews,
        of_all=audience.same(previews.values()),
        is_linked=seen.conversation.primary_link is not None,
        choice=asked.choice(asked.conversation),
        id=asked.conversation,
    )


def ask_unlink(asked: Asked) -> Response:
    """Ask before a link is taken off. Raises Conflict (not_linked)."""
    with asked.reading() as connection:
        seen = see_one(connection, asked.signed.member, asked.conversation)
    link, choice = seen.conversation.primary_link, asked.choice(asked.conversation)
    if link is None:
        raise Conflict("not_linked")
    return part(asked, "outlook_unlink.html", link=link, seen=seen, choice=choice, id=asked.conversation)


def ask_move(asked: Asked) -> Response:
    """Ask before a link is replaced, naming both items (linking.md T7). Raises NotFound, Conflict (not_linked)."""
    with asked.reading() as connection:
        pick = picking.for_one(
            connection, asked.signed.member, asked.conversation, asked.signed.locale, chosen=item_ref(connection)
        )
    if pick.link is None:
        raise Conflict("not_linked")
    return part(asked, "outlook_move.html", pick=pick, choice=asked.choice(asked.conversation), id=asked.conversation)


def ask_create(asked: Asked) -> Response:
    """Ask for what a new item needs."""
    with asked.reading() as connection:
        seen = see_one(connection, asked.signed.member, asked.conversation)
        people = beside.people_of(connection, seen)
    return part(
        asked,
        "outlook_create.html",
        kind=item_kind(),
        seen=seen,
        people=people,
        choice=asked.choice(asked.conversation),
        id=asked.conversation,
    )


def smart_bcc(asked: Asked) -> Response:
    """Show where copies of mail may be sent, for the item of the conversation that the form names, else for any.

    Raises NotFound, Conflict (not_linked, smart_bcc_off).
    """
    of_item = asked.conversation if field("c") else ""
    with asked.reading() as connection:
        found = beside.addresses(asked.installation, connection, asked.signed.member, of_item)
    return part(asked, "outlook_smart_bcc.html", addresses=found, of_item=of_item)


def items(asked: Asked) -> Response:
    """Show what the selected messages could be linked to together. Raises NotFound when none is known."""
    named = [each[:1_000] for each in request.form.getlist("message")[:MOST_SELECTED]]
    with asked.reading() as connection:
        ids = beside.own_conversations(connection, asked.signed.member, named)
        if not ids:
            raise NotFound
        pick = picking.for_many(connection, asked.signed.member, ids, field("q")[:LONGEST_QUERY])
    return part(asked, "outlook_many.html", pick=pick, named=named, typed=field("q"), choice=asked.choice(MANY))


def shown(asked: Asked, found: Beside, did: str = "") -> Response:
    """Show a conversation. Raises NotFound."""
    if found.told is None:
        raise NotFound
    return part(
        asked,
        "outlook_item.html",
        found=found,
        shown=found.told,
        of_all=audience.same(found.told.previews.values()),
        choice=asked.choice(found.told.seen.conversation.public_id),
        did=did,
        may_leave=_may_leave(asked),
    )


def _may_leave(asked: Asked) -> bool:
    """Whether the member said to be this person; who is known by an own mailbox cannot take that back here."""
    with asked.reading() as connection:
        return rows.is_user(connection, PROVIDER, asked.person.user_id)


def part(asked: Asked, template: str, **given: object) -> Response:
    """Render a part of the pane; its links lead to pages of the public address, whatever address the pane has."""
    return member_page(
        template,
        told=None,
        base=asked.installation.settings.public_base_url,
        takes_mail=is_offered(asked.installation),
        **given,
    )
