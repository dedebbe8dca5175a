"""Functions of the add-on by which somebody chooses: link, move, unlink, dismiss, create, switch.

Each choice about a conversation counts once, however often its request comes (threats.md W11).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from app import accounts, addons, beside, links
from app.acting import NOBODYS, Acting, act_once
from app.errors import NotFound
from app.linking.addresses import normalize
from app.linking.reasons import sentence
from app.linking.text import one_line
from app.model import Account
from app.store import accounts as account_rows
from app.store import conversations
from app.web.gmail_addon import other_cards, reading
from app.web.gmail_addon.frame import PROVIDER, Asked
from app.web.gmail_addon.reading import Answer
from app.web.gmail_addon.widgets import Stood, clicked

LONGEST_TITLE = 200


def link(asked: Asked) -> Answer:
    """Link the conversation to the item of the button; `m` moves a link that somebody confirmed."""
    is_move = bool(asked.call.parameters.get("m"))

    def work(connection: sa.Connection, acting: Acting, conversation_id: int) -> None:
        links.link(connection, acting, conversation_id, reading.item_ref(asked, connection), move=is_move)

    return _act(asked, work, "done_linked")


def unlink(asked: Asked) -> Answer:
    """Take the link off."""
    return _act(asked, links.unlink, "done_unlinked")


def dismiss(asked: Asked) -> Answer:
    """Say that the conversation is not about any item."""
    return _act(asked, links.dismiss, "done_dismissed")


def create_person(asked: Asked) -> Answer:
    """Make the person behind an address in the CRM."""
    address = normalize(asked.call.parameters.get("a", "")) or ""
    if not address:
        raise NotFound
    is_new = beside.make_person(asked.installation, asked.acting(), asked.conversation, address)
    said = asked.look.text["addon_created_person"].format(name=address)
    shown = {"updateCard": reading.conversation(asked)}
    return clicked(shown, said=said if is_new else asked.look.text["addon_done_already"], has_changed=True)


def create_item(asked: Asked) -> Answer:
    """Make an item in the CRM and link the conversation to it."""
    kind, address = reading.item_kind(asked), normalize(asked.field("person")) or ""
    title = one_line(asked.field("title"), LONGEST_TITLE) or asked.look.text["no_subject"]
    made = beside.make_item(asked.installation, asked.acting(), asked.conversation, kind, title, address)
    said = asked.look.text["addon_created_item" if made else "addon_done_already"]
    if made and made.not_linked:
        said = sentence(made.not_linked, {"item": made.item.title, "kind": kind}, asked.look.locale)
    return clicked(*_after(asked), said=said, has_changed=True)


def set_auto_link(asked: Asked) -> Answer:
    """Flip the switch of one of the member's accounts."""
    is_on = bool(asked.field("auto_link"))
    with asked.reading() as connection:
        address = _account(asked, connection).address
        accounts.set_auto_link(connection, asked.signed.member, address, is_on, asked.installation.clock.now())
    said = asked.look.text["done_auto_on" if is_on else "done_auto_off"]
    return clicked({"updateCard": reading.settings(asked)}, said=said)


def set_visibility(asked: Asked) -> Answer:
    """Set who may read the mail of one of the member's accounts."""
    with asked.reading() as connection:
        account, now = _account(asked, connection), asked.installation.clock.now()
        accounts.set_visibility(connection, asked.signed.member, account, asked.field("visibility"), now)
    return clicked({"updateCard": reading.settings(asked)}, said=asked.look.text["addon_visibility_set"])


def leave(asked: Asked) -> Answer:
    """Forget that the member uses the add-on here."""
    addons.forget(asked.installation, asked.signed, PROVIDER, asked.call.user_id)
    invitation = addons.invite(asked.installation, PROVIDER, asked.call)
    shown = other_cards.connect_card(asked.look, invitation)
    return clicked({"popToRoot": True}, {"updateCard": shown}, said=asked.look.text["addon_left"], has_changed=True)


def _act(asked: Asked, work: Callable[[sa.Connection, Acting, int], None], done: str) -> Answer:
    """Let the member act once; then show what the card shows that the button stood on."""
    acting, conversation_id = asked.acting(), _id(asked)
    with asked.reading() as connection:
        is_new = act_once(connection, acting, lambda: work(connection, acting, conversation_id))
    said = asked.look.text[done if is_new else "addon_done_already"]
    return clicked(*_after(asked), said=said, has_changed=True)


def _after(asked: Asked) -> list[dict[str, Any]]:
    """Return the way back to the card of the conversation, or to the review queue, as it is now."""
    stood = Stood.of(asked.call.parameters)
    shown = reading.reviewing(asked) if stood.card == "review" else reading.conversation(asked)
    return [*[{"pop": True}] * stood.above, {"updateCard": shown}]


def _id(asked: Asked) -> int:
    with asked.reading() as connection:
        return conversations.id_of(connection, asked.conversation) or NOBODYS


def _account(asked: Asked, connection: sa.Connection) -> Account:
    own = reading.own_accounts(asked, account_rows.accounts(connection))
    named = asked.call.parameters.get("a", "")
    found = next((account for account in own if account.public_id == named), None)
    if found is None or not accounts.may_change(asked.signed.member, found):
        raise NotFound
    return found
