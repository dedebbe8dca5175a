"""Links, tombstones, dismissals and the audit trail: rows only; app.links holds what they mean."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.model import ItemRef, Origin, RememberedChoice, Tombstone
from app.store import inbox, schema
from app.store.rows import insert_rows


@dataclass(frozen=True, slots=True)
class NewLink:
    """A link about to be stored."""

    conversation_id: int
    ref: ItemRef
    title: str
    is_primary: bool
    origin: Origin
    made_at: datetime
    made_by: int | None = None
    decision_id: int | None = None
    counterparts: bytes | None = None
    batch_id: str | None = None


def add(connection: sa.Connection, team_id: int, links: Sequence[NewLink], *, refresh: bool = True) -> None:
    """Store links; one that is there already, or a second primary link, changes nothing.

    Without `refresh` the caller brings the inbox up to date, with what else it changes.
    """
    insert_rows(
        connection,
        schema.link,
        [
            {
                "team_id": team_id,
                "conversation_id": link.conversation_id,
                "crm_connection_id": link.ref.connection_id,
                "kind": link.ref.kind,
                "external_id": link.ref.external_id,
                "title": link.title,
                "is_primary": link.is_primary,
                "origin": link.origin,
                "made_by": link.made_by,
                "made_at": link.made_at,
                "decision_id": link.decision_id,
                "counterparts": link.counterparts,
                "batch_id": link.batch_id,
            }
            for link in links
        ],
        on_conflict="DO NOTHING",
    )
    if refresh:
        inbox.refresh(connection, {link.conversation_id for link in links if link.is_primary})


def remove(
    connection: sa.Connection,
    link_ids: Collection[int],
    *,
    why: str,
    at: datetime,
    by: int | None = None,
    batch_id: str | None = None,
) -> None:
    """End links; the rows stay as history."""
    ended = connection.execute(
        sa.text(
            """
            UPDATE link SET removed_at = :at, removed_by = :by, removed_why = :why,
              removed_batch_id = CAST(:batch AS uuid)
            WHERE id = ANY(:ids) AND removed_at IS NULL RETURNING conversation_id
            """
        ),
        {"ids": sorted(link_ids), "at": at, "by": by, "why": why, "batch": batch_id},
    )
    inbox.refresh(connection, ended.scalars(), at)


def of_batch(connection: sa.Connection, batch_id: str) -> list[sa.Row[Any]]:
    """Return the links a batch made or ended, oldest first."""
    return list(
        connection.execute(
            sa.text(
                """
                SELECT * FROM link
                WHERE batch_id = CAST(:batch AS uuid) OR removed_batch_id = CAST(:batch AS uuid) ORDER BY id
                """
            ),
            {"batch": batch_id},
        )
    )


def bring_back(connection: sa.Connection, link_ids: Collection[int], at: datetime) -> list[sa.Row[Any]]:
    """Make ended links count again where the conversation has no other primary link by now; return those."""
    returned = list(
        connection.execute(
            sa.text(
                """
                UPDATE link l SET removed_at = NULL, removed_by = NULL, removed_why = '', removed_batch_id = NULL
                WHERE l.id = ANY(:ids) AND l.removed_at IS NOT NULL
                  AND NOT EXISTS (
                    SELECT FROM link o WHERE o.team_id = l.team_id AND o.conversation_id = l.conversation_id
                      AND o.removed_at IS NULL
                      AND ((l.is_primary AND o.is_primary)
                        OR (o.crm_connection_id, o.kind, o.external_id) = (l.crm_connection_id, l.kind, l.external_id)))
                RETURNING l.*
                """
            ),
            {"ids": sorted(link_ids)},
        )
    )
    inbox.refresh(connection, [row.conversation_id for row in returned], at)
    return returned


def to_records(connection: sa.Connection, refs: Collection[ItemRef], *, ended_because: str | None = None) -> list[Any]:
    """Return the links to these CRM records: those that stand, or those that ended for the given reason."""
    return list(
        connection.execute(
            sa.text(
                """
                SELECT l.* FROM link l JOIN jsonb_to_recordset(CAST(:refs AS jsonb))
                  AS r (connection_id bigint, kind text, external_id text)
                  ON (l.crm_connection_id, l.kind, l.external_id) = (r.connection_id, r.kind, r.external_id)
                WHERE CASE WHEN CAST(:why AS text) IS NULL THEN l.removed_at IS NULL ELSE l.removed_why = :why END
                ORDER BY l.id
                """
            ),
            {"refs": _refs(refs), "why": ended_because},
        )
    )


def primary_refs(links: Collection[sa.Row[Any]]) -> set[tuple[int, ItemRef]]:
    """Return the items of those rows that are primary links: (conversation, item)."""
    return {
        (row.conversation_id, ItemRef(row.kind, row.external_id, row.crm_connection_id))
        for row in links
        if row.is_primary
    }


def conversations_of(
    connection: sa.Connection, ref: ItemRef, limit: int, *, after: int | None = None, before: int | None = None
) -> list[int]:
    """Return the conversations that are linked to an item, or related to a person or an organization, newest first.

    Those that stand `after` a conversation, or those that stand `before` one, the nearest first.
    """
    side, order = (">", "ASC") if before is not None else ("<", "DESC")
    beside = before if before is not None else after
    place = "(SELECT b.last_message_at, b.id FROM conversation b WHERE b.id = :beside)"
    where = f"AND (c.last_message_at, c.id) {side} {place}" if beside is not None else ""
    rows = connection.execute(  # ix_link_record
        sa.text(
            f"""
            SELECT c.id FROM link l
            JOIN conversation c ON c.team_id = l.team_id AND c.id = l.conversation_id
            WHERE (l.crm_connection_id, l.kind, l.external_id) = (:connection, :kind, :id)
              AND l.removed_at IS NULL AND c.merged_into IS NULL {where}
            ORDER BY c.last_message_at {order}, c.id {order} LIMIT :limit
            """
        ),
        {
            "connection": ref.connection_id,
            "kind": ref.kind,
            "id": ref.external_id,
            "limit": limit,
            **({"beside": beside} if beside is not None else {}),
        },
    )
    return list(rows.scalars())


def remembered(connection: sa.Connection, digests: Collection[bytes]) -> dict[bytes, tuple[RememberedChoice, ...]]:
    """Return, for each digest of counterparts, what people chose for them by hand and how often (T5)."""
    if not digests:
        return {}
    rows = connection.execute(
        sa.text(
            """
            SELECT counterparts, crm_connection_id, kind, external_id, count(*) AS times FROM link
            WHERE counterparts = ANY(:digests) AND origin = 'manual' AND is_primary
              AND removed_why IN ('', 'item_deleted', 'merged')
            GROUP BY counterparts, crm_connection_id, kind, external_id
            ORDER BY times DESC, kind, external_id
            """
        ),
        {"digests": sorted(digests)},
    )
    found: dict[bytes, tuple[RememberedChoice, ...]] = {}
    for row in rows:
        choice = RememberedChoice(ItemRef(row.kind, row.external_id, row.crm_connection_id), row.times)
        found[bytes(row.counterparts)] = (*found.get(bytes(row.counterparts), ()), choice)
    return found


# --- tombstones and dismissals ---


def bury(
    connection: sa.Connection,
    team_id: int,
    tombstones: Sequence[tuple[int, Tombstone]],
    member_id: int | None,
) -> None:
    """Remember that a person took items off conversations: (conversation, tombstone)."""
    insert_rows(
        connection,
        schema.tombstone,
        [
            {
                "team_id": team_id,
                "conversation_id": conversation_id,
                "crm_connection_id": tombstone.ref.connection_id,
                "kind": tombstone.ref.kind,
                "external_id": tombstone.ref.external_id,
                "title": tombstone.title,
                "member_id": member_id,
                "member_name": tombstone.member_name,
                "at": tombstone.at,
            }
            for conversation_id, tombstone in tombstones
        ],
        on_conflict=(
            "(team_id, conversation_id, crm_connection_id, kind, external_id)"
            " DO UPDATE SET member_id = excluded.member_id, member_name = excluded.member_name, at = excluded.at"
        ),
    )


def follow_tombstones(connection: sa.Connection, gone: ItemRef, into: ItemRef) -> None:
    """Let tombstones follow a record that went into another: what was taken off stays off under its new name."""
    connection.execute(
        sa.text(
            """
            INSERT INTO tombstone (team_id, conversation_id, crm_connection_id, kind, external_id, title, member_id,
                                   member_name, at)
            SELECT team_id, conversation_id, :into_connection_id, :into_kind, :into_id, title, member_id, member_name,
              at
            FROM tombstone WHERE (crm_connection_id, kind, external_id) = (:connection_id, :kind, :external_id)
            ON CONFLICT DO NOTHING
            """
        ),
        {
            "connection_id": gone.connection_id,
            "kind": gone.kind,
            "external_id": gone.external_id,
            "into_connection_id": into.connection_id,
            "into_kind": into.kind,
            "into_id": into.external_id,
        },
    )


def unbury(connection: sa.Connection, tombstones: Collection[tuple[int, ItemRef]]) -> None:
    """Forget that items were taken off conversations: (conversation, item)."""
    connection.execute(
        sa.text(
            """
            DELETE FROM tombstone t
            USING jsonb_to_recordset(CAST(:rows AS jsonb))
              AS r (conversation_id bigint, connection_id bigint, kind text, external_id text)
            WHERE (t.conversation_id, t.crm_connection_id, t.kind, t.external_id)
              = (r.conversation_id, r.connection_id, r.kind, r.external_id)
            """
        ),
        {"rows": json.dumps([{"conversation_id": key, **_ref(ref)} for key, ref in tombstones])},
    )


def dismiss(
    connection: sa.Connection,
    team_id: int,
    candidates: Mapping[int, Collection[str]],
    at: datetime,
    member_id: int | None,
) -> None:
    """Take conversations out of the review queue until they have a candidate beyond these: conversation -> items."""
    insert_rows(
        connection,
        schema.dismissal,
        [
            {
                "team_id": team_id,
                "conversation_id": conversation_id,
                "member_id": member_id,
                "candidates": sorted(known),
                "at": at,
            }
            for conversation_id, known in sorted(candidates.items())
        ],
        on_conflict=(
            "(team_id, conversation_id) DO UPDATE SET member_id = excluded.member_id,"
            " candidates = excluded.candidates, at = excluded.at"
        ),
    )
    inbox.refresh(connection, candidates)


def dismissed_candidates(connection: sa.Connection, conversation_ids: Sequence[int]) -> dict[int, frozenset[str]]:
    """Return, for each dismissed conversation, the candidates known when it was dismissed."""
    rows = connection.execute(
        sa.text("SELECT conversation_id, candidates FROM dismissal WHERE conversation_id = ANY(:ids)"),
        {"ids": list(conversation_ids)},
    )
    return {row.conversation_id: frozenset(row.candidates) for row in rows}


def undismiss(connection: sa.Connection, conversation_ids: Collection[int], at: datetime) -> None:
    """Put dismissed conversations back."""
    connection.execute(
        sa.text("DELETE FROM dismissal WHERE conversation_id = ANY(:ids)"), {"ids": sorted(conversation_ids)}
    )
    inbox.refresh(connection, conversation_ids, at)


# --- the audit trail ---


def audit(connection: sa.Connection, team_id: int, entries: Sequence[Mapping[str, Any]]) -> None:
    """Write audit rows: `at`, `member_id`, `action`, `conversation_id`, `batch_id`, `detail`."""
    insert_rows(connection, schema.audit, [{"team_id": team_id, **entry} for entry in entries])


def audited(connection: sa.Connection, batch_id: str) -> list[sa.Row[Any]]:
    """Return what a batch wrote into the audit trail, newest first."""
    return list(
        connection.execute(
            sa.text("SELECT * FROM audit WHERE batch_id = CAST(:batch AS uuid) ORDER BY id DESC"), {"batch": batch_id}
        )
    )


def trail(connection: sa.Connection, conversation_id: int) -> list[sa.Row[Any]]:
    """Return what people did to a conversation, oldest first, with the name of each."""
    return list(
        connection.execute(
            sa.text(
                """
                SELECT a.id, a.at, a.action, a.batch_id, a.detail, m.name AS member_name FROM audit a
                LEFT JOIN member m ON m.team_id = a.team_id AND m.id = a.member_id
                WHERE a.conversation_id = :id ORDER BY a.id
                """
            ),
            {"id": conversation_id},
        )
    )


def taken_back(connection: sa.Connection, batch_id: str) -> frozenset[int]:
    """Return the conversations on which a batch was undone."""
    return frozenset(
        connection.execute(
            sa.text("SELECT conversation_id FROM audit WHERE action = 'undo' AND detail->>'batch_id' = :batch"),
            {"batch": batch_id},
        ).scalars()
    )


def settled(connection: sa.Connection, member_id: int, since: datetime, until: datetime) -> int:
    """Return for how many conversations a member chose an item, or none, in a time; of the newest 5,000 entries."""
    return int(
        connection.execute(  # ix_audit_member
            sa.text(
                """
                SELECT count(DISTINCT conversation_id) FROM (
                  SELECT conversation_id, action, at FROM audit WHERE member_id = :member ORDER BY id DESC LIMIT 5000
                ) AS newest WHERE at >= :since AND at < :until AND action IN ('link', 'dismiss')
                """
            ),
            {"member": member_id, "since": since, "until": until},
        ).scalar_one()
    )


def later_actions(connection: sa.Connection, batch_id: str) -> frozenset[tuple[int, str]]:
    """Return what was done to a batch's conversations after it and stands: (conversation, action)."""
    found = connection.execute(
        sa.text(
            """
            SELECT DISTINCT later.conversation_id, later.action FROM audit one
            JOIN audit later ON later.team_id = one.team_id AND later.conversation_id = one.conversation_id
              AND later.id > one.id
            WHERE one.batch_id = CAST(:batch AS uuid) AND later.batch_id <> one.batch_id
              AND NOT EXISTS (
                SELECT FROM audit undone WHERE undone.team_id = later.team_id
                  AND undone.conversation_id = later.conversation_id AND undone.action = 'undo'
                  AND undone.detail->>'batch_id' = later.batch_id::text)
            """
        ),
        {"batch": batch_id},
    )
    return frozenset((row.conversation_id, row.action) for row in found)


def _refs(refs: Collection[ItemRef]) -> str:
    return json.dumps([_ref(ref) for ref in refs])


def _ref(ref: ItemRef) -> dict[str, object]:
    return {"connection_id": ref.connection_id, "kind": ref.kind, "external_id": ref.external_id}
