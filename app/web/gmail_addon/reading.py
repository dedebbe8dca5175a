"""Functions of the add-on that show something and change nothing."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from app import addons, audience, beside, inbox, review
from app.acting import Seen, see_one
from app.beside import Beside
from app.errors import Conflict, NotFound
from app.linking.visibility import Reader
from app.model import ITEM_KINDS, Account, ItemKind, ItemRef, Link
from app.smart_bcc import is_offered
from app.store import accounts, crm, mirror
from app.store import addons as rows
from app.web.gmail_addon import conversation_cards, other_cards
from app.web.gmail_addon.frame import LONGEST_QUERY, PROVIDER, Asked
from app.web.gmail_addon.widgets import Card, Stood, asking_for, clicked

Answer = dict[str, Any]
HITS = 10


# --- cards ---


def home(asked: Asked) -> Card:
    """Return the homepage."""
    with asked.reading() as connection:
        listing = inbox.listing(connection, asked.signed.member, asked.look.locale, limit=other_cards.MOST_RECENT)
    return other_cards.home_card(asked.look, listing)


def message(asked: Asked) -> Card:
    """Return the card of the open message. Raises ProviderError when Gmail is needed and does not answer."""
    found = beside.open_message(asked.installation, asked.signed, PROVIDER, asked.call, asked.look.locale)
    if found.told is None:
        if asked.call.missing:
            return other_cards.permission_card(asked.look, knows_who=True)
        invitation = "" if found.is_connected else addons.invite(asked.installation, PROVIDER, asked.call)
        return conversation_cards.not_stored_card(asked.look, found, invitation)
    return _card(asked, found)


def conversation(asked: Asked) -> Card:
    """Return the card of the conversation that a button names. Raises NotFound."""
    with asked.reading() as connection:
        found = beside.conversation(
            asked.installation, connection, asked.signed.member, asked.conversation, asked.look.locale
        )
    return _card(asked, found)


def reviewing(asked: Asked) -> Card:
    """Return the review queue."""
    of_each = other_cards.SUGGESTIONS_OF_A_CHOICE
    with asked.reading() as connection:
        shown = review.choices(connection, asked.signed.member)[: other_cards.MOST_CHOICES]
        previews = beside.previews(
            connection, [(each.seen, [offered.ref for offered in each.suggestions[:of_each]]) for each in shown]
        )
    made = [asked.choice(each.seen.conversation.public_id) for each in shown]
    return other_cards.review_card(asked.look, list(zip(shown, previews, made, strict=True)))


def settings(asked: Asked) -> Card:
    """Return the member's mailboxes, the one that is open first."""
    with asked.reading() as connection:
        takes_mail = is_offered(asked.installation)
        address = beside.addresses(asked.installation, connection, asked.signed.member).own if takes_mail else ""
        own = own_accounts(asked, accounts.accounts(connection))
        here = rows.account_of(connection, PROVIDER, asked.call.user_id, [account.id for account in own])
        may_leave = rows.is_user(connection, PROVIDER, asked.call.user_id)
    own.sort(key=lambda account: account.id != here)
    return other_cards.settings_card(asked.look, asked.signed, own, address, may_leave=may_leave)


def own_accounts(asked: Asked, known: list[Account]) -> list[Account]:
    """Return the accounts that are the member's, owned or shared as a collaborator."""
    ids = Reader.of(asked.signed.member, known).account_ids
    return [account for account in known if account.id in ids and account.state != "disconnected"]


# --- what buttons ask for ---


def back(_asked: Asked) -> Answer:
    """Leave a question as it is."""
    return clicked({"pop": True})


def refresh(asked: Asked) -> Answer:
    """Look again: at the open message, else at the homepage."""
    return clicked({"updateCard": message(asked) if asked.call.message_id else home(asked)})


def show_conversation(asked: Asked) -> Answer:
    """Show a conversation of a list."""
    return clicked({"pushCard": conversation(asked)})


def show_review(asked: Asked) -> Answer:
    """Show the review queue."""
    return clicked({"pushCard": reviewing(asked)})


def show_settings(asked: Asked) -> Answer:
    """Show the settings."""
    return clicked({"pushCard": settings(asked)})


def permit(asked: Asked) -> Answer:
    """Have Google ask for what is missing; when nothing is any more, look again."""
    return asking_for(asked.call.missing) if asked.call.missing else refresh(asked)


def search(asked: Asked) -> Answer:
    """Show the items whose title has the words of the field."""
    query = asked.field("q")[:LONGEST_QUERY]
    with asked.reading() as connection:
        seen = see_one(connection, asked.signed.member, asked.conversation)
        reader = mirror.audience(connection, asked.signed.member)
        hits = mirror.search_items(connection, query, limit=HITS, reader=reader) if query else []
        (previews,) = beside.previews(connection, [(seen, [hit.ref for hit in hits])])
    is_linked, made_choice = seen.conversation.primary_link is not None, asked.choice(asked.conversation)
    shown = conversation_cards.hits_card(
        asked.look, asked.conversation, query, hits, previews, made_choice, is_linked=is_linked
    )
    return clicked({"pushCard": shown})


def ask_unlink(asked: Asked) -> Answer:
    """Ask before a link is taken off. Raises Conflict (not_linked)."""
    with asked.reading() as connection:
        seen, link = _linked(asked, connection)
    made_choice = asked.choice(asked.conversation)
    shown = conversation_cards.unlink_card(asked.look, asked.conversation, link, made_choice, sees_item=seen.sees_item)
    return clicked({"pushCard": shown})


def ask_move(asked: Asked) -> Answer:
    """Ask before a link is replaced. Raises NotFound (item_unknown), Conflict (not_linked)."""
    with asked.reading() as connection:
        seen, link = _linked(asked, connection)
        ref = item_ref(asked, connection)
        item = mirror.item(connection, ref)
        if item is None or not mirror.audience(connection, asked.signed.member).sees(item):
            raise NotFound("item_unknown", item=str(ref))
        (previews,) = audience.previews(connection, [(seen, [ref])])
    made_choice, stood = asked.choice(asked.conversation), Stood.of(asked.call.parameters).higher()
    shown = conversation_cards.move_card(
        asked.look, asked.conversation, link, item, previews[ref], made_choice, stood, sees_item=seen.sees_item
    )
    return clicked({"pushCard": shown})


def ask_create(asked: Asked) -> Answer:
    """Ask for what a new item needs."""
    with asked.reading() as connection:
        seen = see_one(connection, asked.signed.member, asked.conversation)
        people = beside.people_of(connection, seen)
    made_choice = asked.choice(asked.conversation)
    shown = conversation_cards.create_card(
        asked.look, asked.conversation, item_kind(asked), seen.subject or "", people, made_choice
    )
    return clicked({"pushCard": shown})


def smart_bcc(asked: Asked) -> Answer:
    """Show where mail for the linked item may be sent. Raises NotFound, Conflict (not_linked, smart_bcc_off)."""
    with asked.reading() as connection:
        found = beside.addresses(asked.installation, connection, asked.signed.member, asked.conversation)
    return clicked({"pushCard": conversation_cards.addresses_card(asked.look, found)})


# --- what a button names ---


def item_ref(asked: Asked, connection: sa.Connection) -> ItemRef:
    """Return the item that a button names. Raises NotFound (item_unknown) for what is none."""
    kind, _, external_id = asked.call.parameters.get("i", "").partition("/")
    return crm.item_ref(connection, kind, external_id)


def item_kind(asked: Asked) -> ItemKind:
    """Return the kind of item that a button names. Raises NotFound."""
    kind = asked.call.parameters.get("k", "")
    if kind not in ITEM_KINDS:
        raise NotFound
    return kind


def _linked(asked: Asked, connection: sa.Connection) -> tuple[Seen, Link]:
    """Return the conversation that a button names, with its link. Raises NotFound, Conflict (not_linked)."""
    seen = see_one(connection, asked.signed.member, asked.conversation)
    link = seen.conversation.primary_link
    if link is None:
        raise Conflict("not_linked")
    return seen, link


def _card(asked: Asked, found: Beside) -> Card:
    """Return the card of a conversation. Raises NotFound."""
    if found.told is None:
        raise NotFound
    made_choice = asked.choice(found.told.seen.conversation.public_id)
    takes_mail = is_offered(asked.installation)
    return conversation_cards.conversation_card(asked.look, found.told, found, made_choice, takes_mail=takes_mail)
