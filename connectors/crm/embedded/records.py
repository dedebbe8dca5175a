"""Keeping the records of the embedded CRM: what threadlink's demo, `crm seed` and its pages do to them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from app.errors import Rejected
from app.model import ItemKind
from app.ports import Clock, CrmConnection, Database
from connectors.crm.embedded import mapping
from connectors.crm.embedded.mapping import Record
from connectors.crm.words import line

# Under row-level security; the team is named as well, because every index begins with it.
SELECT = """
    SELECT r.kind, r.external_id, r.name, r.state, r.organization_id, o.name AS organization_name, r.person_id,
      r.participants, r.addresses, r.merged_into, r.state_before, r.created_at, r.changed
    FROM crm_record r
    LEFT JOIN crm_record o ON o.team_id = r.team_id AND o.connection_id = r.connection_id
      AND o.kind = 'organization' AND o.external_id = r.organization_id
    WHERE r.team_id = :team AND r.connection_id = :connection
"""
_NAMED = "EXISTS (SELECT FROM unnest(CAST(:kinds AS text[]), CAST(:ids AS text[])) n (kind, id)"
_BY_KEY = sa.text(f"{SELECT} AND {_NAMED} WHERE (n.kind, n.id) = (r.kind, r.external_id))")
_OF_PERSON = sa.text(
    f"{SELECT} AND (r.person_id = :person OR r.participants @> ARRAY[CAST(:person AS text)] OR r.merged_into = :key)"
)
_NOTES = sa.text(
    """
    SELECT text FROM crm_note WHERE team_id = :team AND connection_id = :connection
      AND ((kind = :kind AND external_id = :id) OR related @> ARRAY[CAST(:key AS text)])
    ORDER BY created_at, id
    """
)
_MOVE_NOTES = sa.text(
    """
    UPDATE crm_note SET related = CASE WHEN related @> ARRAY[CAST(:into AS text)] THEN array_remove(related, :gone)
      ELSE array_replace(related, :gone, :into) END
    WHERE team_id = :team AND connection_id = :connection AND related @> ARRAY[CAST(:gone AS text)]
    """
)
_STORED = (
    "kind text, external_id text, name text, search text, state text, organization_id text, person_id text,"
    " participants text[], addresses text[], merged_into text, state_before text, created_at timestamptz"
)
_COLUMNS = ", ".join(column.split()[0] for column in _STORED.split(", "))
# A row that was there takes the number the insert drew for it: `changed` rises with every change.
_SAVE = sa.text(
    f"INSERT INTO crm_record (team_id, connection_id, {_COLUMNS})"
    f" SELECT :team, :connection, {_COLUMNS} FROM jsonb_to_recordset(:records) AS r ({_STORED})"
    " ON CONFLICT (team_id, connection_id, kind, external_id) DO UPDATE SET changed = excluded.changed, "
    + ", ".join(f"{column} = excluded.{column}" for column in _COLUMNS.split(", ")[2:])
).bindparams(sa.bindparam("records", type_=JSONB))


class EmbeddedRecords:
    """The records of one team's embedded CRM (ports.CrmRecords). Raises Rejected for what cannot be done."""

    def __init__(self, database: Database, clock: Clock, connection: CrmConnection) -> None:
        self._database = database
        self._clock = clock
        self._connection = connection
        self._team_id = connection.team_id
        self._connection_id = connection.id
        self._scope = {"team": connection.team_id, "connection": connection.id}

    def put_organization(self, external_id: str, name: str) -> None:
        """Create the organization or overwrite it."""
        self._put("organization", external_id, name, None)

    def put_person(
        self, external_id: str, name: str, addresses: Sequence[str], organization: str | None = None
    ) -> None:
        """Create the person or overwrite it."""
        self._put("person", external_id, name, None, addresses=addresses, organization=organization)

    def put_item(
        self,
        kind: ItemKind,
        external_id: str,
        title: str,
        *,
        state: str = "open",
        created_at: datetime | None = None,
        person: str | None = None,
        participants: Sequence[str] = (),
        organization: str | None = None,
    ) -> None:
        """Create the item or overwrite it; without created_at it is made now, or keeps the time it has."""
        self._put(
            kind,
            external_id,
            title,
            created_at,
            state=state,
            person=person,
            participants=participants,
            organization=organization,
        )

    def change(self, kind: str, external_id: str, changes: Mapping[str, Any]) -> None:
        """Set fields of an existing record."""
        with self._writing() as connection:
            self._save(connection, [mapping.changed(self._the(connection, kind, external_id), changes)])

    def delete(self, kind: str, external_id: str) -> None:
        """Delete a record; its notes stay with it."""
        with self._writing() as connection:
            self._save(connection, [mapping.deleted(self._the(connection, kind, external_id))])

    def restore(self, kind: str, external_id: str) -> None:
        """Bring a deleted record back in the state it had."""
        with self._writing() as connection:
            self._save(connection, [mapping.restored(self._the(connection, kind, external_id))])

    def convert_lead(self, lead: str, deal: str) -> None:
        """Make a deal from a lead: the deal keeps the lead's creation time, the lead becomes converted."""
        with self._writing() as connection:
            found = self._load(connection, [("lead", lead), ("deal", deal)])
            if f"deal/{deal}" in found:
                raise Rejected("There is a deal with this id already.")
            self._save(connection, mapping.converted(_the(found, "lead", lead), deal))

    def merge_persons(self, gone: str, into: str) -> None:
        """Merge two persons: addresses, items and notes of the one that goes are the survivor's."""
        with self._writing() as connection:
            found = self._load(connection, [("person", gone), ("person", into)])
            gone_person, into_person = _the(found, "person", gone), _the(found, "person", into)
            rows = connection.execute(_OF_PERSON, {**self._scope, "person": gone, "key": gone_person.key})
            others = [mapping.moved(mapping.record(row), gone_person, into_person) for row in rows]
            self._save(connection, [*mapping.merged(gone_person, into_person), *others])
            connection.execute(_MOVE_NOTES, {**self._scope, "gone": gone_person.key, "into": into_person.key})

    def notes(self, kind: str, external_id: str) -> list[str]:
        """Return the plain text of every note on the record or related to it, oldest first."""
        if not mapping.is_id(external_id):
            return []
        record = {"kind": kind, "id": external_id, "key": f"{kind}/{external_id}"}
        with self._reading() as connection:
            return [row.text for row in connection.execute(_NOTES, self._scope | record)]

    def _put(self, kind: str, external_id: str, name: str, created_at: datetime | None, **fields: Any) -> Record:
        record = mapping.new_record(kind, external_id, name, created_at or self._clock.now(), **fields)
        with self._writing() as connection:
            stored = self._load(connection, [(kind, external_id)]).get(record.key)
            saved = mapping.overwritten(stored, record, keep_created_at=created_at is None)
            self._save(connection, [saved])
        return saved

    def _the(self, connection: Any, kind: str, external_id: str) -> Record:
        return _the(self._load(connection, [(kind, external_id)]), kind, external_id)

    @contextmanager
    def _reading(self) -> Iterator[Any]:
        with self._database.transaction(self._team_id) as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Any]:
        """Open a transaction that is alone in writing to this CRM.

        So the numbers in `changed`, drawn inside, become visible in the order in which they were drawn: a reader that
        has seen a number will never be shown a smaller one, and changes_since() misses nothing.
        """
        with self._database.transaction(self._team_id) as connection:
            connection.execute(
                sa.text("SELECT pg_advisory_xact_lock(hashtextextended('threadlink.crm_record', :connection))"),
                {"connection": self._connection_id},
            )
            yield connection

    def _load(self, connection: Any, keys: Collection[tuple[str, str]]) -> dict[str, Record]:
        keys = [(kind, external_id) for kind, external_id in keys if mapping.is_id(external_id)]
        named = {"kinds": [kind for kind, _ in keys], "ids": [external_id for _, external_id in keys]}
        records = map(mapping.record, connection.execute(_BY_KEY, self._scope | named))
        return {record.key: record for record in records}

    def _save(self, connection: Any, records: Sequence[Record]) -> None:
        rows = [mapping.columns(record) for record in records]
        connection.execute(_SAVE, {**self._scope, "records": rows})


def _the(found: Mapping[str, Record], kind: str, external_id: str) -> Record:
    record = found.get(f"{kind}/{external_id}")
    if record is None:
        raise Rejected(f"The embedded CRM has no {line(kind, 20)} {line(external_id, 50)}.")
    return record
