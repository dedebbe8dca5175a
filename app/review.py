"""What may be suggested for a conversation, computed for its reader, and taking the first suggestion."""

from __future__ import annotations

import sqlalchemy as sa

from app import deciding, links
from app.errors import Conflict, NotFound
from app.linking.decide import decide
from app.linking.suggest import SuggestInput, Suggestion, suggest
from app.links import Acting, Seen
from app.store import mirror


def suggestions(connection: sa.Connection, seen: Seen) -> tuple[Suggestion, ...]:
    """Rank the items to link a conversation to, best first, each with its evidence."""
    given = deciding.inputs(connection, [seen.conversation], deciding.surroundings(connection))[0]
    related = set(decide(given).persons)
    persons = tuple(person for person in given.persons if person.ref in related)
    organizations = {person.organization for person in persons if person.organization}
    items = (*given.items, *mirror.items_of_organizations(connection, organizations))
    hidden = mirror.hidden(connection, seen.member, {item.ref for item in items if item.visible_to is not None})
    return suggest(
        SuggestInput(
            subject=seen.subject or "",
            items=tuple(item for item in items if item.ref not in hidden),
            persons=persons,
            remembered=given.remembered,
            tombstones=seen.conversation.tombstones,
        )
    )


def accept(connection: sa.Connection, acting: Acting, conversation_id: int) -> None:
    """Link a conversation to its first suggestion, by hand.

    Raises NotFound, NotAllowed (not_owner), Conflict (no_open_item, already_linked).
    """
    seen = links.see(connection, acting.member, [conversation_id]).get(conversation_id)
    if seen is None:
        raise NotFound
    first = next(iter(suggestions(connection, seen)), None)
    if first is None:
        raise Conflict("no_open_item")
    links.link(connection, acting, conversation_id, first.ref)
