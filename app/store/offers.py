"""Offers to link earlier conversations to an item that is new or open again (linking.md B4)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from app.model import ItemKind, ItemRef

State = Literal["open", "accepted", "declined"]

MOST_OFFERS = 50
MOST_CONVERSATIONS = 100  # of one offer, the newest ones

# Goes by ix_mirror_item_person's key, ix_participant_address and the key of message.
_MATCHING = sa.text(
    """
    WITH asked AS MATERIALIZED (
      SELECT * FROM unnest(CAST(:connections AS bigint[]), CAST(:kinds AS text[]), CAST(:ids AS text[]))
        AS a (connection_id, kind, external_id)
    ), theirs AS MATERIALIZED (
      SELECT DISTINCT a.connection_id, a.kind, a.external_id, d.team_id, d.address FROM asked a
      JOIN mirror_item_person p
        ON (p.connection_id, p.kind, p.item_id) = (a.connection_id, a.kind, a.external_id)
      JOIN mirror_address d
        ON (d.team_id, d.connection_id, d.company, d.person_id) = (p.team_id, p.connection_id, p.company, p.person_id)
    ), found AS (
      SELECT DISTINCT t.connection_id, t.kind, t.external_id, c.id, c.last_message_at FROM theirs t
      JOIN participant w ON (w.team_id, w.address) = (t.team_id, t.address)
      JOIN message m ON (m.team_id, m.id) = (w.team_id, w.message_id)
      JOIN conversation c ON (c.team_id, c.id) = (m.team_id, m.conversation_id) AND c.merged_into IS NULL
      WHERE NOT EXISTS (SELECT FROM link l WHERE (l.team_id, l.conversation_id) = (c.team_id, c.id)
                        AND l.is_primary AND l.removed_at IS NULL)
    )
    SELECT connection_id, kind, external_id, id FROM (
      SELECT *, row_number() OVER (PARTITION BY connection_id, kind, external_id ORDER BY last_message_at DESC, id DESC)
      FROM found
    ) AS numbered WHERE row_number <= :most ORDER BY row_number
    """
)


@dataclass(frozen=True, slots=True)
class Offer:
    """An item for which earlier conversations may be looked through."""

    id: int
    public_id: str
    ref: ItemRef
    made_at: datetime
    state: State


def make(connection: sa.Connection, team_id: int, refs: Collection[ItemRef], at: datetime) -> None:
    """Offer these items; one that was offered before is offered afresh."""
    for_items = [
        {"team": team_id, "connection": ref.connection_id, "kind": ref.kind, "id": ref.external_id, "at": at}
        for ref in sorted(refs, key=str)
    ]
    if not for_items:
        return
    connection.execute(
        sa.text(
            """
            INSERT INTO offer (team_id, connection_id, kind, external_id, made_at)
            VALUES (:team, :connection, :kind, :id, :at)
            ON CONFLICT (team_id, connection_id, kind, external_id)
            DO UPDATE SET made_at = :at, state = 'open', settled_at = NULL, settled_by = NULL
            """
        ),
        for_items,
    )


def standing(connection: sa.Connection) -> list[Offer]:
    """Return the offers that nobody settled and whose item is open, the newest first, at most MOST_OFFERS."""
    rows = connection.execute(
        sa.text(
            """
            SELECT o.id, o.public_id, o.connection_id, o.kind, o.external_id, o.made_at, o.state FROM offer o
            JOIN crm_connection c ON (c.team_id, c.id) = (o.team_id, o.connection_id)
            JOIN mirror_item i ON (i.team_id, i.connection_id, i.company, i.kind, i.external_id)
              = (o.team_id, o.connection_id, c.company, o.kind, o.external_id)
            WHERE o.state = 'open' AND i.state = 'open' ORDER BY o.made_at DESC, o.id DESC LIMIT :most
            """
        ),
        {"most": MOST_OFFERS},
    )
    return [_offer(row) for row in rows]


def by_public_id(connection: sa.Connection, public_id: str) -> Offer | None:
    """Return one offer; the row stays locked until the transaction ends."""
    row = connection.execute(
        sa.text(
            "SELECT id, public_id, connection_id, kind, external_id, made_at, state FROM offer"
            " WHERE public_id = CAST(:id AS uuid) FOR UPDATE"
        ),
        {"id": public_id},
    ).one_or_none()
    return _offer(row) if row else None


def settle(connection: sa.Connection, offer_id: int, state: State, member_id: int, at: datetime) -> None:
    """Record what a member answered."""
    connection.execute(
        sa.text("UPDATE offer SET state = :state, settled_by = :member, settled_at = :at WHERE id = :id"),
        {"id": offer_id, "state": state, "member": member_id, "at": at},
    )


def conversations_with(connection: sa.Connection, refs: Collection[ItemRef]) -> dict[ItemRef, list[int]]:
    """Return, for each item, the conversations without a link that somebody of the item takes part in, newest first."""
    wanted = sorted(refs, key=str)
    if not wanted:
        return {}
    rows = connection.execute(
        _MATCHING,
        {
            "connections": [ref.connection_id for ref in wanted],
            "kinds": [ref.kind for ref in wanted],
            "ids": [ref.external_id for ref in wanted],
            "most": MOST_CONVERSATIONS,
        },
    )
    found: dict[ItemRef, list[int]] = defaultdict(list)
    for row in rows:
        found[ItemRef(row.kind, row.external_id, row.connection_id)].append(row.id)
    return found


def _offer(row: sa.Row[tuple[object, ...]]) -> Offer:
    kind: ItemKind = row.kind
    return Offer(row.id, str(row.public_id), ItemRef(kind, row.external_id, row.connection_id), row.made_at, row.state)
