"""Reading the mirror: the local copy of a CRM's persons, addresses, organizations and items, in all states.

Decisions, suggestions and searches read it and never the CRM. Each function is one query, however much is asked for,
and sees only the company that its CRM connection belongs to (threats.md T8). mirror_pages.py writes it.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app.linking.addresses import normalize
from app.linking.suggest import fold
from app.model import ITEM_KINDS, Item, ItemRef, Member, Person
from app.ports import Merge, SearchHit
from app.store.mirror_records import records

MAX_QUERY_CHARS = 200
MAX_QUERY_WORDS = 8
MAX_HITS = 200
MAX_SEARCHED_CHARS = 400  # of a title; a word in the index is at most 2 kB

_WORD = re.compile(r"\w+")
# The primary keys begin with the company, so each look-up goes through the connection, which knows it.
_PERSONS = """
    SELECT p.connection_id, p.external_id, p.name, p.deleted, p.created_at, p.visibility,
      o.external_id AS organization_id, o.name AS organization_name,
      ARRAY(SELECT a.address FROM mirror_address a
            WHERE (a.team_id, a.connection_id, a.company, a.person_id)
              = (p.team_id, p.connection_id, p.company, p.external_id)
            ORDER BY a.position, a.address) AS addresses
    FROM mirror_person p
    JOIN crm_connection c ON (c.team_id, c.id, c.company) = (p.team_id, p.connection_id, p.company)
    LEFT JOIN mirror_organization o ON (o.team_id, o.connection_id, o.company, o.external_id)
      = (p.team_id, p.connection_id, p.company, p.organization_id) AND NOT o.deleted
"""
_ITEMS = """
    SELECT i.connection_id, i.kind, i.external_id, i.title, i.state, i.organization_id, i.created_at, i.updated_at,
      i.visibility,
      ARRAY(SELECT ARRAY[x.role, x.person_id] FROM mirror_item_person x
            WHERE (x.team_id, x.connection_id, x.company, x.kind, x.item_id)
              = (i.team_id, i.connection_id, i.company, i.kind, i.external_id)
            ORDER BY x.person_id) AS people
    FROM mirror_item i
    JOIN crm_connection c ON (c.team_id, c.id, c.company) = (i.team_id, i.connection_id, i.company)
"""
_REFS = "jsonb_to_recordset(CAST(:refs AS jsonb)) AS r (connection_id bigint, kind text, external_id text)"
_IN_ORDER = "ORDER BY i.connection_id, i.kind, i.external_id"

# ix_mirror_address_address and ix_mirror_address_match_key, then the primary key. The keys first and apart: in a mirror
# that was filled a moment ago and not analysed yet, the planner would try every person with every address.
_BY_ADDRESS = sa.text(
    f"""
    WITH theirs AS MATERIALIZED (
      SELECT DISTINCT team_id, connection_id, company, person_id FROM mirror_address
      WHERE address = ANY(:addresses) OR match_key = ANY(:keys)
    )
    {_PERSONS}
    JOIN theirs t ON (t.team_id, t.connection_id, t.company, t.person_id)
      = (p.team_id, p.connection_id, p.company, p.external_id)
    WHERE NOT p.deleted
    ORDER BY p.connection_id, p.external_id
    """
)
# ix_mirror_item_person_person, then the primary key; the keys first and apart, for the same reason.
_OF_PERSONS = sa.text(
    f"""
    WITH theirs AS MATERIALIZED (
      SELECT DISTINCT x.team_id, x.connection_id, x.company, x.kind, x.item_id FROM {_REFS}
      JOIN mirror_item_person x ON (x.connection_id, x.person_id) = (r.connection_id, r.external_id)
    )
    {_ITEMS}
    JOIN theirs t ON (t.team_id, t.connection_id, t.company, t.kind, t.item_id)
      = (i.team_id, i.connection_id, i.company, i.kind, i.external_id)
    {_IN_ORDER}
    """
)
# ix_mirror_item_organization
_OF_ORGANIZATIONS = sa.text(
    f"{_ITEMS} JOIN {_REFS} ON (r.connection_id, r.external_id) = (i.connection_id, i.organization_id) {_IN_ORDER}"
)
_BY_REF = sa.text(
    f"{_ITEMS} JOIN {_REFS} ON (r.connection_id, r.kind, r.external_id) = (i.connection_id, i.kind, i.external_id)"
)
# The function goes by ix_mirror_item_words, which row-level security would keep from being used (threats.md F3).
_BY_WORDS = sa.text(
    """
    SELECT i.connection_id, i.kind, i.external_id, i.title, i.state, i.visibility, o.name AS organization_name
    FROM threadlink_search_items(:words, :kinds, :limit) s
    JOIN mirror_item i ON (i.connection_id, i.company, i.kind, i.external_id)
      = (s.connection_id, s.company, s.kind, s.external_id)
    LEFT JOIN mirror_organization o ON (o.team_id, o.connection_id, o.company, o.external_id)
      = (i.team_id, i.connection_id, i.company, i.organization_id) AND NOT o.deleted
    ORDER BY s.position
    """
)


@dataclass(frozen=True, slots=True)
class Audience:
    """What a member sees in the CRMs of the team: as the CRM user with the member's address, else as anybody (C13)."""

    users: Mapping[int, frozenset[str]] = field(default_factory=dict)  # by connection: usually one user
    everything: frozenset[int] = frozenset()  # connections to which the CRM hides nothing from the member

    def sees(self, record: Item | Person) -> bool:
        """Say whether the CRM shows a record to the member."""
        return self.is_in(record.ref.connection_id, record.visible_to)

    def is_in(self, connection_id: int, visible_to: Sequence[str] | None) -> bool:
        """Say whether the member is among those a record of a connection is visible to."""
        if visible_to is None or connection_id in self.everything:
            return True
        return not self.users.get(connection_id, frozenset()).isdisjoint(visible_to)


OLD_AFTER = timedelta(hours=2)  # when it is said how old the mirror's data is


@dataclass(frozen=True, slots=True)
class Age:
    """How fresh the mirror is, and the cursor it goes on from.

    Without refreshed_at the first load is not over: since started_at it brought so many records.
    """

    cursor: str | None
    refreshed_at: datetime | None
    started_at: datetime | None = None
    records: int = 0
    users_at: datetime | None = None  # when it was last read who works in the CRM


@dataclass(frozen=True, slots=True)
class Changed:
    """What happened to records that links may point at; each page says it once.

    `deleted` and `restored` name items, persons and organizations. A record that went into another is in `merges`
    alone, in the order in which links have to follow.
    """

    deleted: frozenset[ItemRef] = frozenset()
    restored: frozenset[ItemRef] = frozenset()
    merges: tuple[Merge, ...] = ()
    items: frozenset[ItemRef] = frozenset()  # every item that was written
    records: int = 0  # how many records of all kinds were written
    # Open items and persons that are new since the mirror was first filled, and items that are open again.
    created: frozenset[ItemRef] = frozenset()
    reopened: frozenset[ItemRef] = frozenset()

    def then(self, later: Changed) -> Changed:
        """Return what happened when both did, one after the other."""
        return Changed(
            deleted=self.deleted - later.restored | later.deleted,
            restored=self.restored - later.deleted | later.restored,
            merges=self.merges + later.merges,
            items=self.items | later.items,
            created=self.created | later.created,
            reopened=self.reopened | later.reopened,
            records=self.records + later.records,
        )


def persons_by_addresses(
    connection: sa.Connection, addresses: Collection[str], match_keys: Collection[str]
) -> list[Person]:
    """Return the persons who have one of these addresses or match keys; deleted ones are left out."""
    if not addresses and not match_keys:
        return []
    rows = connection.execute(_BY_ADDRESS, {"addresses": list(addresses), "keys": list(match_keys)})
    return [_person(row) for row in rows]


def items_of_persons(connection: sa.Connection, persons: Collection[ItemRef]) -> list[Item]:
    """Return every item, in any state, whose main contact or participant is one of these persons."""
    return _items(connection, _OF_PERSONS, persons)


def items_of_organizations(connection: sa.Connection, organizations: Collection[ItemRef]) -> list[Item]:
    """Return every item, in any state, of these organizations."""
    return _items(connection, _OF_ORGANIZATIONS, organizations)


def items(connection: sa.Connection, refs: Collection[ItemRef]) -> dict[ItemRef, Item]:
    """Return those of the items that the mirror knows, in any state."""
    return {item.ref: item for item in _items(connection, _BY_REF, refs)}


def item(connection: sa.Connection, ref: ItemRef) -> Item | None:
    """Return one item in any state, or None when the mirror does not know it."""
    return items(connection, [ref]).get(ref)


def names_of_persons(connection: sa.Connection, refs: Collection[ItemRef]) -> dict[ItemRef, str]:
    """Return the names of these persons, without those that were deleted."""
    named = [{"connection_id": ref.connection_id, "external_id": ref.external_id} for ref in refs]
    rows = connection.execute(
        sa.text(
            """
            SELECT p.connection_id, p.external_id, p.name
            FROM jsonb_to_recordset(CAST(:refs AS jsonb)) AS r (connection_id bigint, external_id text)
            JOIN crm_connection c ON c.id = r.connection_id
            JOIN mirror_person p ON (p.team_id, p.connection_id, p.company, p.external_id)
              = (c.team_id, c.id, c.company, r.external_id) AND NOT p.deleted
            """
        ),
        {"refs": json.dumps(named)},
    )
    return {ItemRef("person", row.external_id, row.connection_id): row.name for row in rows}


def hidden(connection: sa.Connection, member: Member, refs: Collection[ItemRef]) -> frozenset[ItemRef]:
    """Return those of the records that the CRM hides from a member; what the mirror does not know is not hidden."""
    restricted = [each for each in records(connection, refs).values() if each.visible_to is not None]
    if not restricted:
        return frozenset()
    reader = audience(connection, member)
    return frozenset(each.ref for each in restricted if not reader.is_in(each.ref.connection_id, each.visible_to))


def as_shown(connection: sa.Connection, member: Member, persons: Collection[Person]) -> list[Person]:
    """Return the persons whom the CRM shows to a member, without the name of an organization that it hides."""
    gone = hidden(connection, member, refs_of(persons))
    return [
        replace(person, organization_name="") if person.organization in gone else person
        for person in persons
        if person.ref not in gone
    ]


def refs_of(persons: Collection[Person]) -> set[ItemRef]:
    """Return the persons and their organizations."""
    return {person.ref for person in persons} | {person.organization for person in persons if person.organization}


def is_shown(connection: sa.Connection, reader: Audience, ref: ItemRef) -> bool:
    """Say whether the mirror knows a person or an organization that the CRM shows to the reader."""
    table = {"person": "mirror_person", "organization": "mirror_organization"}[ref.kind]
    row = connection.execute(
        sa.text(
            f"""
            SELECT r.visibility FROM {table} r
            JOIN crm_connection c ON (c.team_id, c.id, c.company) = (r.team_id, r.connection_id, r.company)
            WHERE r.connection_id = :connection_id AND r.external_id = :external_id AND NOT r.deleted
            """
        ),
        {"connection_id": ref.connection_id, "external_id": ref.external_id},
    ).one_or_none()
    return row is not None and reader.is_in(ref.connection_id, _visible_to(row))


def audience(connection: sa.Connection, member: Member) -> Audience:
    """Return what a member sees in the CRMs: members are CRM users by their address."""
    return audiences(connection, [member])[member.id]


def audiences(connection: sa.Connection, members: Collection[Member]) -> dict[int, Audience]:
    """Return what each of the members sees in the CRMs, by the member's id."""
    addresses = {member.id: normalize(member.email) or "" for member in members}
    rows = connection.execute(
        sa.text(
            """
            SELECT u.email, u.connection_id, u.external_id, u.sees_everything FROM crm_user u
            JOIN crm_connection c ON (c.team_id, c.id, c.company) = (u.team_id, u.connection_id, u.company)
            WHERE u.email = ANY(:emails) AND u.email <> ''
            """
        ),
        {"emails": sorted(set(addresses.values()))},
    )
    users: dict[str, dict[int, frozenset[str]]] = {}
    everything: dict[str, set[int]] = {}
    for row in rows:
        known = users.setdefault(row.email, {})
        known[row.connection_id] = known.get(row.connection_id, frozenset()) | {row.external_id}
        if row.sees_everything:
            everything.setdefault(row.email, set()).add(row.connection_id)
    return {
        member_id: Audience(users.get(address, {}), frozenset(everything.get(address, ())))
        for member_id, address in addresses.items()
    }


def search_items(
    connection: sa.Connection,
    query: str,
    kinds: Sequence[str] = ITEM_KINDS,
    limit: int = 20,
    *,
    reader: Audience | None = None,
) -> list[SearchHit]:
    """Find items whose title has a word that begins with each word of the query, closed ones included.

    Open ones come first, then the most recently changed. A vague query is answered from the team's newest 2,000 items,
    any other from at most 1,000 that fit. What the CRM hides from the reader is left out; without one, nothing is.
    """
    words = search_words(query[:MAX_QUERY_CHARS])[:MAX_QUERY_WORDS]
    if not words:
        return []
    wanted = max(1, min(limit, MAX_HITS))
    # Hits the reader may not see must not push out those that may be seen: more are read where something may be hidden.
    most = wanted if reader is None else MAX_HITS
    rows = connection.execute(_BY_WORDS, {"words": words, "kinds": list(kinds), "limit": most})
    hits = [
        SearchHit(
            ItemRef(row.kind, row.external_id, row.connection_id), row.title, row.state, row.organization_name or ""
        )
        for row in rows
        if reader is None or reader.is_in(row.connection_id, _visible_to(row))
    ]
    return hits[:wanted]


def search_words(text: str) -> list[str]:
    """Return the folded words that titles are found by."""
    return _WORD.findall(fold(text)[:MAX_SEARCHED_CHARS])


def age(connection: sa.Connection, connection_id: int) -> Age:
    """Return how fresh the mirror of a CRM connection is."""
    row = connection.execute(
        sa.text("SELECT * FROM mirror_cursor WHERE connection_id = :id"), {"id": connection_id}
    ).one_or_none()
    if row is None:
        return Age(None, None)
    return Age(row.cursor, row.refreshed_at, row.started_at, row.records, row.users_at)


def _items(connection: sa.Connection, query: sa.TextClause, refs: Collection[ItemRef]) -> list[Item]:
    if not refs:
        return []
    named = [{"connection_id": ref.connection_id, "kind": ref.kind, "external_id": ref.external_id} for ref in refs]
    return [_item(row) for row in connection.execute(query, {"refs": json.dumps(named)})]


def _person(row: sa.Row[Any]) -> Person:
    organization = row.organization_id and ItemRef("organization", row.organization_id, row.connection_id)
    return Person(
        ref=ItemRef("person", row.external_id, row.connection_id),
        name=row.name,
        addresses=tuple(row.addresses),
        organization=organization,
        organization_name=row.organization_name or "",
        deleted=row.deleted,
        created_at=row.created_at,
        visible_to=_visible_to(row),
    )


def _item(row: sa.Row[Any]) -> Item:
    people: dict[str, list[ItemRef]] = defaultdict(list)
    for role, person_id in row.people:
        people[role].append(ItemRef("person", person_id, row.connection_id))
    return Item(
        ref=ItemRef(row.kind, row.external_id, row.connection_id),
        title=row.title,
        state=row.state,
        created_at=row.created_at,
        updated_at=row.updated_at,
        person=next(iter(people["contact"]), None),
        participants=tuple(people["participant"]),
        organization=row.organization_id and ItemRef("organization", row.organization_id, row.connection_id),
        visible_to=_visible_to(row),
    )


def _visible_to(row: sa.Row[Any]) -> tuple[str, ...] | None:
    return None if row.visibility is None else tuple(row.visibility)
