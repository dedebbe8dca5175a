"""Writing the mirror: a page of what changed in a CRM, and what links have to follow because of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import sqlalchemy as sa

from app.linking.addresses import match_key, normalize
from app.linking.text import is_storable, one_line
from app.model import Item, ItemRef, Person
from app.ports import CrmChanges, CrmConnection, CrmOrganization, Merge
from app.store import mirror, schema
from app.store.mirror import Changed
from app.store.rows import insert_rows

MAX_NAME_CHARS = 500
MAX_ADDRESSES = 100  # of one person
MAX_PEOPLE = 1000  # of one item

_Record = TypeVar("_Record", Person, CrmOrganization, Item)

_KNOWN = sa.text(
    """
    WITH named AS (SELECT * FROM jsonb_to_recordset(CAST(:refs AS jsonb)) AS r (kind text, external_id text))
    SELECT kind, external_id, i.state = 'deleted' AS deleted, i.merged_into, i.state = 'open' AS is_open
    FROM named JOIN mirror_item i USING (kind, external_id)
    WHERE i.connection_id = :connection_id AND i.company = :company
    UNION ALL
    SELECT 'person', external_id, p.deleted, p.merged_into, NOT p.deleted
    FROM named JOIN mirror_person p USING (external_id)
    WHERE kind = 'person' AND p.connection_id = :connection_id AND p.company = :company
    UNION ALL
    SELECT 'organization', external_id, o.deleted, NULL, NOT o.deleted
    FROM named JOIN mirror_organization o USING (external_id)
    WHERE kind = 'organization' AND o.connection_id = :connection_id AND o.company = :company
    """
)
_FORGET_ADDRESSES = sa.text(
    """
    DELETE FROM mirror_address
    WHERE connection_id = :connection_id AND company = :company AND person_id = ANY(:persons)
    """
)
_FORGET_PEOPLE = sa.text(
    """
    DELETE FROM mirror_item_person x
    USING jsonb_to_recordset(CAST(:items AS jsonb)) AS r (kind text, external_id text)
    WHERE x.connection_id = :connection_id AND x.company = :company
      AND (x.kind, x.item_id) = (r.kind, r.external_id)
    """
)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the mirror held of a record before."""

    deleted: bool
    merged_into: str | None
    is_open: bool


def lock(connection: sa.Connection, connection_id: int) -> mirror.Age:
    """Be alone in writing to this connection's mirror until the transaction ends; return how fresh it is."""
    connection.execute(
        sa.text("SELECT pg_advisory_xact_lock(hashtextextended('threadlink.mirror', :id))"), {"id": connection_id}
    )
    return mirror.age(connection, connection_id)


def write(connection: sa.Connection, crm: CrmConnection, page: CrmChanges, *, moves: bool = True) -> Changed:
    """Write the records of a page as they are now, move the cursor over it, and return what happened.

    Without `moves` the cursor stays: single records were read.

    A fixed number of statements. A record whose id PostgreSQL cannot hold is left out; of two with one id the last
    counts. Only what the mirror knew can have links, so the first read of a CRM reports nothing to follow; nor is
    anything new before that read is over.
    """
    is_loaded = mirror.age(connection, crm.id).refreshed_at is not None
    persons, organizations, items = _unique(page.persons), _unique(page.organizations), _unique(page.items)
    merges = [merge for merge in page.merges if _id_of(merge.gone) and _id_of(merge.into)]
    merged = {_key(merge.gone): str(merge.into) for merge in merges}
    deleted = {_key(person.ref): person.deleted for person in persons}
    deleted |= {_key(organization.ref): organization.deleted for organization in organizations}
    deleted |= {_key(item.ref): item.state == "deleted" for item in items}
    known = _known(connection, crm, {*deleted, *merged})
    _write_organizations(connection, crm, organizations)
    _write_persons(connection, crm, persons, merged)
    _write_items(connection, crm, items, merged)
    if moves:
        _move(connection, crm, cursor=page.cursor)
    is_open = {_key(item.ref): item.is_open for item in items}
    is_open |= {_key(person.ref): not person.deleted for person in persons}
    survivors = {_key(merge.into) for merge in merges}  # what became of something else is not new
    opened = {key for key, now in is_open.items() if now and key not in survivors} if is_loaded else set()
    changed = _compare(crm, merges, deleted, known)
    return changed.then(
        Changed(
            items=frozenset(_ours(crm, item.ref) for item in items),
            created=frozenset(_ref(crm, key) for key in opened - known.keys()),
            reopened=frozenset(
                _ref(crm, key) for key in opened & known.keys() if not known[key].is_open and not known[key].deleted
            ),
            records=len(deleted),
        )
    )


def load_began(connection: sa.Connection, crm: CrmConnection, at: datetime, records: int) -> None:
    """Count what the first load of a CRM has brought so far."""
    connection.execute(
        sa.text(
            """
            UPDATE mirror_cursor SET started_at = coalesce(started_at, :at), records = records + :records
            WHERE connection_id = :id AND refreshed_at IS NULL
            """
        ),
        {"id": crm.id, "at": at, "records": records},
    )


def forget_cursor(connection: sa.Connection, crm: CrmConnection) -> None:
    """Read everything again next time; nothing that is mirrored goes away."""
    _move(connection, crm, cursor=None)


def refreshed(connection: sa.Connection, crm: CrmConnection, at: datetime) -> None:
    """Say that the mirror holds everything that the CRM held at this time."""
    insert_rows(
        connection,
        schema.mirror_cursor,
        [{"team_id": crm.team_id, "connection_id": crm.id, "refreshed_at": at}],
        on_conflict=(
            "(team_id, connection_id) DO UPDATE"
            " SET refreshed_at = greatest(mirror_cursor.refreshed_at, excluded.refreshed_at)"
        ),
    )


def _compare(
    crm: CrmConnection,
    merges: Iterable[Merge],
    deleted: Mapping[tuple[str, str], bool],
    known: Mapping[tuple[str, str], _Known],
) -> Changed:
    new = []
    for merge in merges:
        before = known.get(_key(merge.gone))
        if before is not None and before.merged_into != str(merge.into):
            new.append(Merge(_ours(crm, merge.gone), _ours(crm, merge.into)))
    gone = {_key(merge.gone) for merge in new}
    turned = {key for key in known.keys() & deleted.keys() - gone if known[key].deleted != deleted[key]}
    return Changed(
        deleted=frozenset(_ref(crm, key) for key in turned if deleted[key]),
        restored=frozenset(_ref(crm, key) for key in turned if not deleted[key]),
        merges=tuple(new),
    )


def _known(
    connection: sa.Connection, crm: CrmConnection, keys: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], _Known]:
    rows = connection.execute(_KNOWN, {**_scope(crm), "refs": _named(keys)})
    return {(row.kind, row.external_id): _Known(row.deleted, row.merged_into, row.is_open) for row in rows}


def _write_organizations(
    connection: sa.Connection, crm: CrmConnection, organizations: Sequence[CrmOrganization]
) -> None:
    insert_rows(
        connection,
        schema.mirror_organization,
        [
            {
                **_tenant(crm),
                "external_id": organization.ref.external_id,
                "name": one_line(organization.name, MAX_NAME_CHARS),
                "deleted": organization.deleted,
                "visibility": _visibility(organization),
            }
            for organization in organizations
        ],
        on_conflict=(
            "(team_id, connection_id, company, external_id) DO UPDATE SET name = excluded.name,"
            " deleted = excluded.deleted, visibility = excluded.visibility"
        ),
    )


def _write_persons(
    connection: sa.Connection, crm: CrmConnection, persons: Sequence[Person], merged: Mapping[tuple[str, str], str]
) -> None:
    insert_rows(
        connection,
        schema.mirror_person,
        [
            {
                **_tenant(crm),
                "external_id": person.ref.external_id,
                "name": one_line(person.name, MAX_NAME_CHARS),
                "organization_id": _id_of(person.organization),
                "merged_into": merged.get(_key(person.ref)),
                "deleted": person.deleted,
                "created_at": person.created_at,
                "visibility": _visibility(person),
            }
            for person in persons
        ],
        on_conflict=(
            "(team_id, connection_id, company, external_id) DO UPDATE SET name = excluded.name,"
            " organization_id = excluded.organization_id, merged_into = excluded.merged_into,"
            " deleted = excluded.deleted, created_at = excluded.created_at, visibility = excluded.visibility"
        ),
    )
    connection.execute(_FORGET_ADDRESSES, {**_scope(crm), "persons": [person.ref.external_id for person in persons]})
    insert_rows(
        connection,
        schema.mirror_address,
        [
            {
                **_tenant(crm),
                "person_id": person.ref.external_id,
                "address": address,
                "match_key": match_key(address),
                "position": position,
            }
            for person in persons
            for position, address in enumerate(_addresses(person))
        ],
    )


def _write_items(
    connection: sa.Connection, crm: CrmConnection, items: Sequence[Item], merged: Mapping[tuple[str, str], str]
) -> None:
    insert_rows(
        connection,
        schema.mirror_item,
        [
            {
                **_tenant(crm),
                "kind": item.ref.kind,
                "external_id": item.ref.external_id,
                "title": one_line(item.title, MAX_NAME_CHARS),
                "search": " ".join(mirror.search_words(item.title)),
                "state": item.state,
                "organization_id": _id_of(item.organization),
                "merged_into": merged.get(_key(item.ref)),
                "created_at": item.created_at,
                "updated_at": item.updated_at,
                "visibility": _visibility(item),
            }
            for item in items
        ],
        on_conflict=(
            "(team_id, connection_id, company, kind, external_id) DO UPDATE SET title = excluded.title,"
            " search = excluded.search, state = excluded.state, organization_id = excluded.organization_id,"
            " merged_into = excluded.merged_into, created_at = excluded.created_at, updated_at = excluded.updated_at,"
            " visibility = excluded.visibility"
        ),
    )
    connection.execute(_FORGET_PEOPLE, {**_scope(crm), "items": _named(_key(item.ref) for item in items)})
    insert_rows(
        connection,
        schema.mirror_item_person,
        [
            {
                **_tenant(crm),
                "kind": item.ref.kind,
                "item_id": item.ref.external_id,
                "person_id": person_id,
                "role": role,
            }
            for item in items
            for person_id, role in _people(item).items()
        ],
    )


def _move(connection: sa.Connection, crm: CrmConnection, *, cursor: str | None) -> None:
    insert_rows(
        connection,
        schema.mirror_cursor,
        [{"team_id": crm.team_id, "connection_id": crm.id, "cursor": cursor}],
        on_conflict="(team_id, connection_id) DO UPDATE SET cursor = excluded.cursor",
    )


def _visibility(record: Person | CrmOrganization | Item) -> list[str] | None:
    return None if record.visible_to is None else list(record.visible_to)


def _unique(records: Sequence[_Record]) -> list[_Record]:
    by_key = {_key(record.ref): record for record in records if _id_of(record.ref)}
    return list(by_key.values())


def _addresses(person: Person) -> list[str]:
    """Return the addresses that mail can be matched with: those of a deleted person match nothing."""
    if person.deleted:
        return []
    normal = (normalize(address) for address in person.addresses[:MAX_ADDRESSES])
    return list(dict.fromkeys(address for address in normal if address is not None))


def _people(item: Item) -> dict[str, str]:
    people = {_id_of(ref): "participant" for ref in item.participants[:MAX_PEOPLE]}
    people[_id_of(item.person)] = "contact"
    return {person_id: role for person_id, role in people.items() if person_id}


def _id_of(ref: ItemRef | None) -> str | None:
    return ref.external_id if ref and ref.external_id and is_storable(ref.external_id) else None


def _key(ref: ItemRef) -> tuple[str, str]:
    return ref.kind, ref.external_id


def _ours(crm: CrmConnection, ref: ItemRef) -> ItemRef:
    return ItemRef(ref.kind, ref.external_id, crm.id)


def _ref(crm: CrmConnection, key: tuple[str, str]) -> ItemRef:
    return ItemRef(key[0], key[1], crm.id)  # type: ignore[arg-type]  # the kind was a RecordKind


def _named(keys: Iterable[tuple[str, str]]) -> str:
    return json.dumps([{"kind": kind, "external_id": external_id} for kind, external_id in keys])


def _scope(crm: CrmConnection) -> dict[str, object]:
    return {"connection_id": crm.id, "company": crm.company}


def _tenant(crm: CrmConnection) -> dict[str, object]:
    return {"team_id": crm.team_id, **_scope(crm)}
