"""Records of the mirror by name, persons and organizations among them: what they are called and what became of them."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import cast

import sqlalchemy as sa

from app.model import ItemRef, RecordKind

_BY_REF = sa.text(
    """
    WITH r AS MATERIALIZED (
      SELECT c.team_id, c.id AS connection_id, c.company, r.kind, r.external_id
      FROM jsonb_to_recordset(CAST(:refs AS jsonb)) AS r (connection_id bigint, kind text, external_id text)
      JOIN crm_connection c ON c.id = r.connection_id
    )
    SELECT r.connection_id, r.kind, r.external_id, i.title, i.state, i.merged_into, i.visibility FROM r
    JOIN mirror_item i ON (i.team_id, i.connection_id, i.company, i.kind, i.external_id)
      = (r.team_id, r.connection_id, r.company, r.kind, r.external_id)
    UNION ALL
    SELECT r.connection_id, r.kind, r.external_id, p.name, CASE WHEN p.deleted THEN 'deleted' ELSE '' END,
      p.merged_into, p.visibility FROM r
    JOIN mirror_person p ON (p.team_id, p.connection_id, p.company, p.external_id)
      = (r.team_id, r.connection_id, r.company, r.external_id) AND r.kind = 'person'
    UNION ALL
    SELECT r.connection_id, r.kind, r.external_id, o.name, CASE WHEN o.deleted THEN 'deleted' ELSE '' END,
      NULL, o.visibility FROM r
    JOIN mirror_organization o ON (o.team_id, o.connection_id, o.company, o.external_id)
      = (r.team_id, r.connection_id, r.company, r.external_id) AND r.kind = 'organization'
    """
)


@dataclass(frozen=True, slots=True)
class Record:
    """A deal, lead, project, person or organization. A person's and an organization's state is "" or "deleted"."""

    ref: ItemRef
    title: str
    state: str
    merged_into: ItemRef | None
    visible_to: tuple[str, ...] | None  # ids of CRM users; None: everybody in the company


def records(connection: sa.Connection, refs: Collection[ItemRef]) -> dict[ItemRef, Record]:
    """Return those of the records that the mirror knows. One query."""
    if not refs:
        return {}
    named = [{"connection_id": ref.connection_id, "kind": ref.kind, "external_id": ref.external_id} for ref in refs]
    found = {}
    for row in connection.execute(_BY_REF, {"refs": json.dumps(named)}):
        ref = ItemRef(row.kind, row.external_id, row.connection_id)
        kind, _, external_id = (row.merged_into or "").partition("/")
        # the mirror writes it from an ItemRef
        into = ItemRef(cast("RecordKind", kind), external_id, row.connection_id) if external_id else None
        visible_to = None if row.visibility is None else tuple(row.visibility)
        found[ref] = Record(ref, row.title, row.state, into, visible_to)
    return found
