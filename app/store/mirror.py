"""The rows of the mirror: the local copy of a CRM's persons, addresses, organizations and items, in all states."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.linking.addresses import match_key
from app.linking.suggest import fold
from app.model import Item, ItemRef, Person
from app.ports import CrmConnection, CrmOrganization, Merge
from app.store import schema
from app.store.rows import insert_rows

_PERSONS = """
    SELECT p.connection_id, p.external_id, p.name, p.organization_id, o.name AS organization_name, p.deleted,
           p.created_at,
           ARRAY(SELECT a.address FROM mirror_address a
                 WHERE (a.team_id, a.connection_id, a.company, a.person_id)
                     = (p.team_id, p.connection_id, p.company, p.external_id)
                 ORDER BY a.position, a.address) AS addresses
    FROM mirror_person p
    LEFT JOIN mirror_organization o ON (o.team_id, o.connection_id, o.company, o.external_id)
                                     = (p.team_id, p.connection_id, p.company, p.organization_id) AND NOT o.deleted
"""

_ITEMS = """
    SELECT i.connection_id, i.kind, i.external_id, i.title, i.state, i.organization_id, i.created_at, i.updated_at,
           coalesce((SELECT jsonb_agg(jsonb_build_array(x.person_id, x.role) ORDER BY x.person_id)
                     FROM mirror_item_person x
                     WHERE (x.team_id, x.connection_id, x.company, x.kind, x.item_id)
                         = (i.team_id, i.connection_id, i.company, i.kind, i.external_id)), '[]') AS people
    FROM mirror_item i
"""


@dataclass(frozen=True, slots=True)
class Age:
    """How fresh the mirror is, and the cursor it goes on from."""

    cursor: str | None
    refreshed_at: datetime | None


@dataclass
class Changed:
    """What a refresh found that links must follow."""

    deleted: set[ItemRef] = field(default_factory=set)
    restored: set[ItemRef] = field(default_factory=set)
    merges: list[Merge] = field(default_factory=list)
    records: int = 0


# --- reading ---


def persons_by_addresses(
    connection: sa.Connection, addresses: Collection[str], match_keys: Collection[str]
) -> list[Person]:
    """Return the persons who have one of these addresses or match keys, deleted ones left out."""
    if not addresses and not match_keys:
        return []
    rows = connection.execute(
        sa.text(
            f"""{_PERSONS}
            JOIN (SELECT DISTINCT team_id, connection_id, company, person_id FROM mirror_address
                  WHERE address = ANY(:addresses) OR match_key = ANY(:keys)) AS hit
              ON (hit.team_id, hit.connection_id, hit.company, hit.person_id)
               = (p.team_id, p.connection_id, p.company, p.external_id)
            WHERE NOT p.deleted ORDER BY p.connection_id, p.external_id
            """
        ),
        {"addresses": sorted(addresses), "keys": sorted(match_keys)},
    )
    return [_person(row) for row in rows]


def items_of_persons(connection: sa.Connection, persons: Collection[ItemRef]) -> list[Item]:
    """Return every item, in any state, whose main contact or participant is one of these persons."""
    if not persons:
        return []
    rows = connection.execute(
        sa.text(
            f"""{_ITEMS}
            WHERE (i.team_id, i.connection_id, i.company, i.kind, i.external_id) IN (
              SELECT x.team_id, x.connection_id, x.company, x.kind, x.item_id FROM mirror_item_person x
              JOIN jsonb_to_recordset(CAST(:persons AS jsonb)) AS r (connection_id bigint, external_id text)
                ON x.connection_id = r.connection_id AND x.person_id = r.external_id)
            ORDER BY i.connection_id, i.kind, i.external_id
            """
        ),
        {"persons": _refs(persons)},
    )
    return [_item(row) for row in rows]


def items_of_organizations(connection: sa.Connection, organizations: Collection[ItemRef]) -> list[Item]:
    """Return every item, in any state, of these organizations."""
    if not organizations:
        return []
    rows = connection.execute(
        sa.text(
            f"""{_ITEMS}
            JOIN jsonb_to_recordset(CAST(:organizations AS jsonb)) AS r (connection_id bigint, external_id text)
              ON i.connection_id = r.connection_id AND i.organization_id = r.external_id
            ORDER BY i.connection_id, i.kind, i.external_id
            """
        ),
        {"organizations": _refs(organizations)},
    )
    return [_item(row) for row in rows]


def items(connection: sa.Connection, refs: Collection[ItemRef]) -> dict[ItemRef, Item]:
    """Return those of the items that the mirror knows."""
    if not refs:
        return {}
    rows = connection.execute(
        sa.text(
            f"""{_ITEMS}
            JOIN jsonb_to_recordset(CAST(:refs AS jsonb)) AS r (connection_id bigint, kind text, external_id text)
              ON (i.connection_id, i.kind, i.external_id) = (r.connection_id, r.kind, r.external_id)
            """
        ),
        {"refs": _refs(refs)},
    )
    return {item.ref: item for item in map(_item, rows)}


def item(connection: sa.Connection, ref: ItemRef) -> Item | None:
    """Return one item, or None when the mirror does not know it."""
    return items(connection, [ref]).get(ref)


def age(connection: sa.Connection, connection_id: int) -> Age:
    """Return how fresh the mirror of a CRM connection is."""
    row = connection.execute(
        sa.text("SELECT cursor, refreshed_at FROM mirror_cursor WHERE connection_id = :id"), {"id": connection_id}
    ).one_or_none()
    return Age(row.cursor, row.refreshed_at) if row else Age(None, None)


# --- writing ---


def lock(connection: sa.Connection, connection_id: int) -> bool:
    """Take the right to refresh a CRM connection's mirror until the transaction ends; False when another has it."""
    return bool(
        connection.execute(
            sa.text("SELECT pg_try_advisory_xact_lock(hashtextextended('threadlink.mirror', :id))"),
            {"id": connection_id},
        ).scalar()
    )


def put_persons(connection: sa.Connection, crm: CrmConnection, persons: Sequence[Person], now: datetime) -> None:
    """Write persons with their addresses as they are now."""
    key = _key(crm)
    insert_rows(
        connection,
        schema.mirror_person,
        [
            {
                **key,
                "external_id": person.ref.external_id,
                "name": person.name,
                "organization_id": person.organization.external_id if person.organization else None,
                "deleted": person.deleted,
                "created_at": person.created_at,
                "updated_at": now,
            }
            for person in persons
        ],
        on_conflict=(
            "(team_id, connection_id, company, external_id) DO UPDATE SET name = excluded.name,"
            " organization_id = excluded.organization_id, deleted = excluded.deleted, updated_at = excluded.updated_at"
        ),
    )
    connection.execute(
        sa.text(
            "DELETE FROM mirror_address WHERE connection_id = :id AND company = :company AND person_id = ANY(:ids)"
        ),
        {"id": crm.id, "company": crm.company, "ids": [person.ref.external_id for person in persons]},
    )
    insert_rows(
        connection,
        schema.mirror_address,
        [
            {
                **key,
                "person_id": person.ref.external_id,
                "address": address,
                "match_key": match_key(address),
                "position": position,
            }
            for person in persons
            if not person.deleted
            for position, address in enumerate(dict.fromkeys(person.addresses))
        ],
    )


def put_organizations(
    connection: sa.Connection, crm: CrmConnection, organizations: Sequence[CrmOrganization], now: datetime
) -> None:
    """Write organizations as they are now."""
    insert_rows(
        connection,
        schema.mirror_organization,
        [
            {
                **_key(crm),
                "external_id": organization.ref.external_id,
                "name": organization.name,
                "deleted": organization.deleted,
                "updated_at": now,
            }
            for organization in organizations
        ],
        on_conflict=(
            "(team_id, connection_id, company, external_id) DO UPDATE SET name = excluded.name,"
            " deleted = excluded.deleted, updated_at = excluded.updated_at"
        ),
    )


def put_items(connection: sa.Connection, crm: CrmConnection, changed: Sequence[Item]) -> None:
    """Write items with their people as they are now."""
    key = _key(crm)
    insert_rows(
        connection,
        schema.mirror_item,
        [
            {
                **key,
                "kind": item.ref.kind,
                "external_id": item.ref.external_id,
                "title": item.title,
                "search": fold(item.title),
                "state": item.state,
                "organization_id": item.organization.external_id if item.organization else None,
                "created_at": item.created_at,
                "updated_at": item.updated_at,
            }
            for item in changed
        ],
        on_conflict=(
            "(team_id, connection_id, company, kind, external_id) DO UPDATE SET title = excluded.title,"
            " search = excluded.search, state = excluded.state, organization_id = excluded.organization_id,"
            " created_at = excluded.created_at, updated_at = excluded.updated_at"
        ),
    )
    connection.execute(
        sa.text(
            """
            DELETE FROM mirror_item_person x
            USING jsonb_to_recordset(CAST(:refs AS jsonb)) AS r (kind text, external_id text)
            WHERE x.connection_id = :id AND x.company = :company AND (x.kind, x.item_id) = (r.kind, r.external_id)
            """
        ),
        {"id": crm.id, "company": crm.company, "refs": _refs([item.ref for item in changed])},
    )
    insert_rows(
        connection,
        schema.mirror_item_person,
        [
            {**key, "kind": item.ref.kind, "item_id": item.ref.external_id, "person_id": person_id, "role": role}
            for item in changed
            for person_id, role in _people(item).items()
        ],
    )


def put_merges(connection: sa.Connection, crm: CrmConnection, merges: Sequence[Merge]) -> None:
    """Remember what went into what."""
    if not merges:
        return
    pairs = json.dumps(
        [{"kind": m.gone.kind, "gone": m.gone.external_id, "into": str(m.into)} for m in merges], ensure_ascii=False
    )
    for table, kind in (("mirror_item", "t.kind"), ("mirror_person", "'person'")):
        connection.execute(
            sa.text(
                f"""
                UPDATE {table} t SET merged_into = r."into"
                FROM jsonb_to_recordset(CAST(:pairs AS jsonb)) AS r (kind text, gone text, "into" text)
                WHERE t.connection_id = :id AND t.company = :company AND {kind} = r.kind AND t.external_id = r.gone
                """
            ),
            {"id": crm.id, "company": crm.company, "pairs": pairs},
        )


def advance(connection: sa.Connection, crm: CrmConnection, cursor: str | None, refreshed_at: datetime | None) -> None:
    """Move the cursor over a page that is written, and say when the last page was."""
    insert_rows(
        connection,
        schema.mirror_cursor,
        [{"team_id": crm.team_id, "connection_id": crm.id, "cursor": cursor, "refreshed_at": refreshed_at}],
        on_conflict=(
            "(team_id, connection_id) DO UPDATE SET cursor = excluded.cursor,"
            " refreshed_at = coalesce(excluded.refreshed_at, mirror_cursor.refreshed_at)"
        ),
    )


def _key(crm: CrmConnection) -> dict[str, object]:
    return {"team_id": crm.team_id, "connection_id": crm.id, "company": crm.company}


def _people(item: Item) -> dict[str, str]:
    people = {ref.external_id: "participant" for ref in item.participants}
    if item.person is not None:
        people[item.person.external_id] = "contact"
    return people


def _person(row: sa.Row[Any]) -> Person:
    return Person(
        ref=ItemRef("person", row.external_id, row.connection_id),
        name=row.name,
        addresses=tuple(row.addresses),
        organization=ItemRef("organization", row.organization_id, row.connection_id) if row.organization_name else None,
        organization_name=row.organization_name or "",
        deleted=row.deleted,
        created_at=row.created_at,
    )


def _item(row: sa.Row[Any]) -> Item:
    people: dict[str, list[ItemRef]] = defaultdict(list)
    for person_id, role in row.people:
        people[role].append(ItemRef("person", person_id, row.connection_id))
    return Item(
        ref=ItemRef(row.kind, row.external_id, row.connection_id),
        title=row.title,
        state=row.state,
        created_at=row.created_at,
        updated_at=row.updated_at,
        person=people["contact"][0] if people["contact"] else None,
        participants=tuple(people["participant"]),
        organization=ItemRef("organization", row.organization_id, row.connection_id) if row.organization_id else None,
    )


def _refs(refs: Collection[ItemRef]) -> str:
    return json.dumps(
        [{"connection_id": ref.connection_id, "kind": ref.kind, "external_id": ref.external_id} for ref in refs]
    )
