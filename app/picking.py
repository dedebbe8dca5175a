"""Choosing an item for one conversation or for many: suggestions first, what a search finds, what stands in the way.

A choice replaces another only after a page that names both (linking.md T7).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import sqlalchemy as sa

from app import audience, review
from app.acting import Seen, see, see_one
from app.audience import Preview
from app.errors import NotAllowed, NotFound
from app.linking.reasons import sentence
from app.model import Item, ItemRef, Link, Member
from app.ports import SearchHit
from app.store import mirror

MOST_HITS = 10
MOST_SHARED = 8


@dataclass(frozen=True, slots=True)
class Offered:
    """An item to choose, with what speaks for it."""

    ref: ItemRef
    title: str
    state: str
    evidence: tuple[str, ...] = ()
    fits: int = 0  # how many of the ticked conversations it suggests itself for
    preview: Preview | None = None  # what linking to it would change (B7); None when all there is to choose say it once


@dataclass(frozen=True, slots=True)
class Pick:
    """What to choose from for one conversation; with `chosen`, what has to be confirmed."""

    seen: Seen
    link: Link | None  # what it is linked to now; without its title for who may not see the item
    offered: tuple[Offered, ...]
    hits: tuple[Offered, ...] | None  # None when nothing was searched for
    chosen: Item | None = None
    preview: Preview | None = None  # of what is chosen, or of all that there is to choose from when it is the same


@dataclass(frozen=True, slots=True)
class BulkPick:
    """What to choose from for many conversations, and what will be refused or left where it is."""

    ids: tuple[str, ...]
    offered: tuple[Offered, ...]
    hits: tuple[Offered, ...] | None
    refused: tuple[Seen, ...]  # the member may not link these
    elsewhere: tuple[Seen, ...]  # these are linked, and stay unless the member says move
    preview: Preview | None = None  # of all that there is to choose from, when it is the same

    @property
    def may_link(self) -> int:
        """How many of them the member may link."""
        return len(self.ids) - len(self.refused)


_Pick = TypeVar("_Pick", Pick, BulkPick)


def for_one(
    connection: sa.Connection,
    member: Member,
    public_id: str,
    locale: str,
    query: str = "",
    chosen: ItemRef | None = None,
) -> Pick:
    """Return what to choose from. Raises NotFound, NotAllowed (not_owner)."""
    seen = see_one(connection, member, public_id)
    if not seen.may_link:
        raise NotAllowed("not_owner")
    link = seen.conversation.primary_link
    item = mirror.item(connection, chosen) if chosen else None
    if chosen and (item is None or mirror.hidden(connection, member, [chosen])):
        raise NotFound("item_unknown", item=str(chosen))
    suggested = review.suggestions(connection, seen)
    pick = Pick(
        seen=seen,
        link=link,
        offered=tuple(
            Offered(s.ref, s.title, s.state, tuple(sentence(e.code, e.params, locale) for e in s.evidence))
            for s in suggested
            if link is None or s.ref != link.ref
        ),
        hits=_hits(connection, member, query),
        chosen=item,
    )
    return _with_previews(connection, [seen], pick, chosen)


@dataclass(frozen=True, slots=True)
class Foretold:
    """What linking to one of several items would change: said of all at once where it is the same, else of each."""

    of_all: Preview | None
    of_each: Mapping[ItemRef, Preview]


def foretell(connection: sa.Connection, wanted: Sequence[tuple[Sequence[Seen], Sequence[ItemRef]]]) -> list[Foretold]:
    """Say who could read groups of conversations once each is linked to one of its items (B7). Three queries in all.

    The mirror knows the items.
    """
    found = iter(audience.previews(connection, [(seen, refs) for group, refs in wanted for seen in group]))
    told = []
    for group, refs in wanted:
        of_group = [next(found) for _ in group]
        of_each = {ref: audience.together([each[ref] for each in of_group if ref in each]) for ref in refs}
        of_all = audience.same(of_each.values())
        told.append(Foretold(of_all, {} if of_all else of_each))
    return told


def for_many(connection: sa.Connection, member: Member, ids: Sequence[int], query: str = "") -> BulkPick:
    """Return what to choose from for those that exist for the member; first what fits most. Raises NotFound."""
    seen = see(connection, member, ids)
    if not seen:
        raise NotFound
    suggested = review.suggestions_of(connection, [each for each in seen.values() if each.may_link])
    fits: dict[ItemRef, int] = {}
    named: dict[ItemRef, Offered] = {}
    for ranked in suggested.values():
        for each in ranked:
            fits[each.ref] = fits.get(each.ref, 0) + 1
            named[each.ref] = Offered(each.ref, each.title, each.state)
    most = sorted(fits, key=lambda ref: (-fits[ref], named[ref].state != "open", str(ref)))[:MOST_SHARED]
    pick = BulkPick(
        ids=tuple(each.conversation.public_id for each in seen.values()),
        offered=tuple(Offered(ref, named[ref].title, named[ref].state, fits=fits[ref]) for ref in most),
        hits=_hits(connection, member, query),
        refused=tuple(each for each in seen.values() if not each.may_link),
        elsewhere=tuple(each for each in seen.values() if each.may_link and each.conversation.primary_link),
    )
    return _with_previews(connection, [each for each in seen.values() if each.may_link], pick)


def _with_previews(
    connection: sa.Connection, conversations: Sequence[Seen], pick: _Pick, chosen: ItemRef | None = None
) -> _Pick:
    """Say who could read the conversations after a choice."""
    refs = [chosen] if chosen else [each.ref for each in (*pick.offered, *(pick.hits or ()))]
    (told,) = foretell(connection, [(conversations, refs)])

    def with_own(offered: Sequence[Offered]) -> tuple[Offered, ...]:
        return tuple(replace(each, preview=told.of_each.get(each.ref)) for each in offered)

    hits = with_own(pick.hits) if pick.hits is not None else None
    return replace(pick, preview=told.of_all, offered=with_own(pick.offered), hits=hits)


def _hits(connection: sa.Connection, member: Member, query: str) -> tuple[Offered, ...] | None:
    if not query:
        return None
    found = mirror.search_items(connection, query, limit=MOST_HITS, reader=mirror.audience(connection, member))
    return tuple(_hit(hit) for hit in found)


def _hit(hit: SearchHit) -> Offered:
    return Offered(hit.ref, hit.title, hit.state, (hit.organization_name,) if hit.organization_name else ())
