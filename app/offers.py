"""The retroactive offer: "7 earlier conversations match", made for a new or reopened item, answered by a member (B4).

Nothing is linked because an item was created: what an offer holds is worked out when somebody looks at it, from what
that member may link, and is the same rules' answer as for mail that arrives today.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import deciding, links
from app.accounts import audit
from app.acting import Acting, Seen, see
from app.errors import Conflict, NotFound
from app.installation import Installation
from app.linking.decide import decide
from app.linking.reasons import utc
from app.links import BulkResult
from app.mirror import Follow
from app.model import ITEM_KINDS, Conversation, DecisionInput, Item, ItemRef, Member
from app.store import mirror
from app.store import offers as rows
from app.store.mirror import Changed
from app.store.offers import Offer


@dataclass(frozen=True, slots=True)
class Standing:
    """An offer as a member sees it: the item, and the earlier conversations that match it, newest first."""

    offer: Offer
    item: Item
    conversations: tuple[Seen, ...]


def make(connection: sa.Connection, team_id: int, changed: Changed, now: datetime) -> None:
    """Store an offer for each item that is new or open again, and for the open items of each new person."""
    fresh = changed.created | changed.reopened
    items = {ref for ref in fresh if ref.kind in ITEM_KINDS}
    persons = [ref for ref in changed.created if ref.kind == "person"]
    items |= {item.ref for item in mirror.items_of_persons(connection, persons) if item.state == "open"}
    rows.make(connection, team_id, items, now)


def following(installation: Installation, team_id: int) -> Follow:
    """Return what follows a change of the mirror, in its transaction: links go with their items, offers are made."""

    def follow(connection: sa.Connection, changed: Changed) -> None:
        now = installation.clock.now()
        links.follow_items(connection, team_id, changed, now)
        make(connection, team_id, changed, now)

    return follow


def standing(connection: sa.Connection, member: Member) -> list[Standing]:
    """Return the offers that hold something for this member, newest first."""
    return _standing(connection, member, rows.standing(connection))


def document(standing: Standing) -> dict[str, Any]:
    """Return an offer as programs read it."""
    item = standing.item
    return {
        "id": standing.offer.public_id,
        "item": {"kind": item.ref.kind, "id": item.ref.external_id, "title": item.title},
        "made_at": utc(standing.offer.made_at),
        "conversations": [
            {"id": seen.conversation.public_id, "subject": seen.subject} for seen in standing.conversations
        ],
    }


def accept(connection: sa.Connection, acting: Acting, public_id: str) -> BulkResult:
    """Link what an offer holds for this member, as one batch that can be undone.

    Raises NotFound, Conflict (offer_settled) when nothing is left to link.
    """
    offer = _open(connection, public_id)
    found = _standing(connection, acting.member, [offer])
    if not found:
        raise Conflict("offer_settled")
    ids = [seen.conversation.id for seen in found[0].conversations]
    result = links.bulk_link(connection, acting, ids, offer.ref)
    rows.settle(connection, offer.id, "accepted", acting.member.id, acting.now)
    _audit(connection, acting, "accept_offer", offer.ref, len(result.linked))
    return result


def decline(connection: sa.Connection, acting: Acting, public_id: str) -> None:
    """Take an offer away, for everybody. Raises NotFound, Conflict (offer_settled)."""
    offer = _open(connection, public_id)
    if not _standing(connection, acting.member, [offer]):
        raise NotFound
    rows.settle(connection, offer.id, "declined", acting.member.id, acting.now)
    _audit(connection, acting, "decline_offer", offer.ref, 0)


def _audit(connection: sa.Connection, acting: Acting, action: str, ref: ItemRef, count: int) -> None:
    detail = {"item": str(ref), "conversations": count, "batch": acting.batch_id}
    audit(connection, acting.team_id, acting.member.id, action, detail, acting.now)


def _open(connection: sa.Connection, public_id: str) -> Offer:
    offer = rows.by_public_id(connection, public_id)
    if offer is None:
        raise NotFound
    if offer.state != "open":
        raise Conflict("offer_settled")
    return offer


def _standing(connection: sa.Connection, member: Member, offers: Sequence[Offer]) -> list[Standing]:
    items = mirror.items(connection, [offer.ref for offer in offers])
    hidden = mirror.hidden(connection, member, items)
    shown = [offer for offer in offers if offer.ref in items and offer.ref not in hidden]
    with_people = rows.conversations_with(connection, [offer.ref for offer in shown])
    seen = see(connection, member, {each for found in with_people.values() for each in found})
    may_link = {key: each for key, each in seen.items() if each.may_link}
    matching = _matching(connection, [each.conversation for each in may_link.values()], with_people)
    found = []
    for offer in shown:
        conversations = tuple(
            may_link[each] for each in with_people.get(offer.ref, ()) if (each, offer.ref) in matching
        )
        if conversations:
            found.append(Standing(offer, items[offer.ref], conversations))
    return found


def _matching(
    connection: sa.Connection, conversations: Sequence[Conversation], offered: dict[ItemRef, list[int]]
) -> Collection[tuple[int, ItemRef]]:
    """Return which conversations the rules would link to which offered item, were the items older than the mail."""
    of_conversation: dict[int, list[ItemRef]] = {}
    for ref, ids in offered.items():
        for conversation_id in ids:
            of_conversation.setdefault(conversation_id, []).append(ref)
    dismissed = links.dismissed(connection, [each for each in conversations if each.dismissed])
    found = set()
    for given in deciding.inputs(connection, conversations, deciding.surroundings(connection)):
        key = given.conversation.id
        if key in dismissed:
            continue
        decision = decide(_as_if_older(given))
        if decision.outcome == "link" and decision.item in of_conversation[key]:
            found.add((key, decision.item))
    return found


def _as_if_older(given: DecisionInput) -> DecisionInput:
    """Take every item for older than the mail: what is decided is then what would be for mail of today."""
    first = min(message.at for message in given.conversation.messages)
    items = tuple(replace(item, created_at=min(item.created_at, first)) for item in given.items)
    return replace(given, items=items)
