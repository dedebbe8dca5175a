"""What the lists of the inbox and of an item show a member.

Everything is judged for its reader, message by message and copy by copy (conversations.md V).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import links
from app.acting import Seen, may_name, see
from app.errors import NotFound
from app.linking.addresses import is_ours
from app.linking.reasons import sentence, utc
from app.linking.search import query_words
from app.linking.visibility import Reader
from app.model import Account, Item, ItemRef, Link, Member
from app.store import accounts as account_rows
from app.store import decisions, mirror
from app.store import inbox as rows
from app.store import links as link_rows
from app.store import offers as offer_rows
from app.store.decisions import StoredDecision
from app.store.inbox import Place, State

PAGE_SIZE = 50
MOST_FOUND = 1_000  # by words, for all pages together
SHOWN_PEOPLE = 3


@dataclass(frozen=True, slots=True)
class Row:
    """A conversation in a list."""

    seen: Seen
    at: datetime
    state: State
    people: tuple[str, ...]  # who else takes part, as far as the reader may know, the newest first
    more_people: int
    snippet: str
    messages: int
    link: Link | None
    reason: str  # why it is not linked, as a sentence

    @property
    def stopped(self) -> Account | None:
        """The reader's account that holds it, when none of those is read any more: an answer would not show."""
        held = {copy.account_id for message in self.seen.known for copy in message.copies}
        own = [each for each in self.seen.accounts if each.id in held & self.seen.reader.account_ids]
        is_read = any(each.state in account_rows.WORKING_STATES for each in own)
        return own[0] if own and not is_read else None


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of the inbox, where it ends, and how much there is of each state."""

    rows: tuple[Row, ...]
    end: Place | None
    counts: Mapping[State, int]


def listing(
    connection: sa.Connection,
    member: Member,
    locale: str,
    state: State | None = None,
    after: Place | None = None,
    query: str = "",
    *,
    account: str | None = None,
    limit: int = PAGE_SIZE,
) -> Listing:
    """Return a page of what the member's own accounts hold, with as many queries as for one conversation.

    A query finds the conversations that have its words in a subject, a snippet or somebody's name or address; its pages
    go through the newest MOST_FOUND. `account` names one of the own accounts to look at alone. Raises NotFound.
    """
    known = account_rows.accounts(connection)
    own = Reader.of(member, known).account_ids
    if account is not None:
        own = frozenset(each.id for each in known if each.id in own and each.public_id == account)
        if not own:
            raise NotFound
    if query:
        # The first page asks for no more than it shows; what follows is cut out of all that is found.
        found = rows.search(connection, own, query_words(query), state, limit + 1 if after is None else MOST_FOUND)
        places = [each for each in found if after is None or each.is_after(after)][: limit + 1]
    else:
        places = rows.page(connection, own, state, after, limit + 1)
    shown = places[:limit]
    listed = _listed(connection, member, {place.conversation_id: place.at for place in shown}, locale)
    return Listing(listed, shown[-1] if len(places) > limit else None, rows.counts(connection, own))


def row_document(row: Row) -> dict[str, Any]:
    """Return a conversation of a list as programs read it."""
    conversation, link = row.seen.conversation, row.link
    held = {copy.account_id for message in conversation.messages for copy in message.copies}
    return {
        "id": conversation.public_id,
        "subject": row.seen.subject,
        "last_message_at": utc(row.at),
        "state": row.state,
        "people": list(row.people),
        "more_people": row.more_people,
        "snippet": row.snippet,
        "messages": row.messages,
        "accounts": [
            account.public_id
            for account in row.seen.accounts
            if account.id in held and account.id in row.seen.reader.account_ids
        ],
        "link": {
            "kind": link.ref.kind,
            "id": link.ref.external_id,
            "title": link.title if row.seen.sees_item else "",
            "origin": link.origin,
        }
        if link
        else None,
        "sentence": row.reason,
    }


def matching(connection: sa.Connection, member: Member, state: State | None, query: str, most: int) -> list[int]:
    """Return every conversation of a listing, on all of its pages, newest first; at most so many."""
    own = Reader.of(member, account_rows.accounts(connection)).account_ids
    if query:
        places = rows.search(connection, own, query_words(query), state, most)
    else:
        places = rows.page(connection, own, state, None, most)
    return [place.conversation_id for place in places]


@dataclass(frozen=True, slots=True)
class ShownItem:
    """An item with what belongs to it, as far as the member may see: linked conversations, and those that could be."""

    item: Item
    people: tuple[str, ...]
    linked: tuple[Row, ...]
    unlinked: tuple[Row, ...]


def item(connection: sa.Connection, member: Member, ref: ItemRef, locale: str) -> ShownItem | None:
    """Return an item for its page; None when the mirror does not know it, or the CRM hides it from the member."""
    found = mirror.item(connection, ref)
    if found is None or not mirror.audience(connection, member).sees(found):
        return None
    linked = link_rows.conversations_of(connection, ref, PAGE_SIZE)
    unlinked = offer_rows.conversations_with(connection, [ref]).get(ref, [])[:PAGE_SIZE]
    people = [each for each in (found.person, *found.participants) if each is not None]
    names = mirror.names_of_persons(connection, people)
    return ShownItem(
        item=found,
        people=tuple(names[each] for each in dict.fromkeys(people) if each in names),
        linked=_listed(connection, member, dict.fromkeys(linked), locale),
        unlinked=_listed(connection, member, dict.fromkeys(unlinked), locale),
    )


def _listed(
    connection: sa.Connection, member: Member, times: Mapping[int, datetime | None], locale: str
) -> tuple[Row, ...]:
    """Return the rows of a list, those that do not exist for the member left out.

    `times` are the conversations in their order, each with what it is listed by, or None for its newest message that
    the member may know of.
    """
    ids = list(times)
    seen = see(connection, member, ids)
    decided = decisions.current(connection, ids)
    asked = [each.conversation for each in seen.values() if each.conversation.dismissed]
    dismissed = links.dismissed(connection, asked)
    reasons = _reasons(connection, member, seen, decided, locale)
    return tuple(
        _row(
            seen[each],
            times[each],
            decided.get(each),
            reasons.get(each, ""),
            is_dismissed=each in dismissed,
        )
        for each in ids
        if each in seen
    )


def _reasons(
    connection: sa.Connection,
    member: Member,
    seen: Mapping[int, Seen],
    decided: Mapping[int, StoredDecision],
    locale: str,
) -> dict[int, str]:
    """Return why each conversation stands as it does; what a sentence names is left out for who may not know it all."""
    told = {key: stored.decision for key, stored in decided.items() if key in seen}
    named = may_name(connection, member, [(seen[key], decision) for key, decision in told.items()])
    return {
        key: sentence(decision.reason, decision.params if key in named else {}, locale)
        for key, decision in told.items()
    }


def _row(seen: Seen, at: datetime | None, stored: StoredDecision | None, reason: str, *, is_dismissed: bool) -> Row:
    conversation, known = seen.conversation, seen.known
    people: dict[str, str] = {}
    for message in reversed(known):
        for person in message.participants:
            if person.role != "reply_to" and not is_ours(person.address, seen.ours):
                people.setdefault(person.address, person.name or person.address)
    newest = next((message for message in reversed(known) if seen.level_of(message) == "full"), None)
    snippet = seen.copy_of(newest) if newest else None
    names = tuple(people.values())
    state: State = "unlinked"
    if conversation.primary_link is not None:
        state = "linked"
    elif is_dismissed:
        state = "dismissed"
    elif stored is not None and stored.decision.outcome == "ambiguous":
        state = "review"
    return Row(
        seen=seen,
        at=at or known[-1].at,
        state=state,
        people=names[:SHOWN_PEOPLE],
        more_people=max(0, len(names) - SHOWN_PEOPLE),
        snippet=snippet.snippet if snippet else "",
        messages=len(known),
        link=conversation.primary_link,
        reason=reason if conversation.primary_link is None else "",
    )
