"""Merging two conversations and taking a merge back: rows only; linking.threads decides which merge."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app.model import ItemRef, Message
from app.store import inbox, links, schema
from app.store.rows import insert_rows

UNDO_FOR = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Merging:
    """One merge to write: `message_ids` are the messages the absorbed conversation had before it."""

    survivor_id: int
    absorbed_id: int
    message_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Apart:
    """Two conversations that look like one and were left apart."""

    conversation_id: int
    other_id: int
    why: str
    message_id: int


def merge(
    connection: sa.Connection, team_id: int, account_id: int, merging: Sequence[Merging], now: datetime
) -> list[tuple[int, ItemRef]]:
    """Write merges in their order; return the (absorbed conversation, item) whose notes have to go.

    Messages and standing links move; tombstones are copied; decisions stay where they were made and are read through
    the redirect. What stood before is kept for undo.
    """
    notes: list[tuple[int, ItemRef]] = []
    for one in merging:
        params = {"survivor": one.survivor_id, "absorbed": one.absorbed_id, "now": now}
        joined = _joined(connection, one.message_ids)
        moved, ended = _move_links(connection, params)
        notes += [
            (one.absorbed_id, ItemRef(row.kind, row.external_id, row.crm_connection_id))
            for row in (*moved, *ended)
            if row.is_primary
        ]
        connection.execute(
            sa.text(
                """
                INSERT INTO tombstone (team_id, conversation_id, crm_connection_id, kind, external_id, title, member_id,
                                       member_name, at)
                SELECT team_id, :survivor, crm_connection_id, kind, external_id, title, member_id, member_name, at
                FROM tombstone WHERE conversation_id = :absorbed ON CONFLICT DO NOTHING
                """
            ),
            params,
        )
        connection.execute(
            sa.text("UPDATE message SET conversation_id = :survivor WHERE conversation_id = :absorbed"), params
        )
        connection.execute(sa.text("UPDATE conversation SET merged_into = :survivor WHERE id = :absorbed"), params)
        insert_rows(
            connection,
            schema.conversation_merge,
            [
                {
                    "team_id": team_id,
                    "survivor_id": one.survivor_id,
                    "absorbed_id": one.absorbed_id,
                    "account_id": account_id,
                    "before": {
                        "message_ids": list(one.message_ids),
                        "moved_link_ids": [row.id for row in moved],
                        "ended_link_ids": [row.id for row in ended],
                        "joined": joined,
                    },
                    "at": now,
                }
            ],
        )
    inbox.refresh(connection, [one.absorbed_id for one in merging])
    return notes


def leave_apart(connection: sa.Connection, team_id: int, pairs: Sequence[Apart], now: datetime) -> None:
    """Store the pairs for the review queue; what a person took apart stays so."""
    insert_rows(
        connection,
        schema.merge_pair,
        [
            {
                "team_id": team_id,
                "conversation_id": pair.conversation_id,
                "other_id": pair.other_id,
                "why": pair.why,
                "message_id": pair.message_id,
                "at": now,
            }
            for pair in pairs
        ],
        on_conflict=(
            "(team_id, conversation_id, other_id) DO UPDATE SET why = excluded.why, message_id = excluded.message_id"
            " WHERE merge_pair.why <> 'undone' AND merge_pair.why <> excluded.why"
        ),
    )


def kept_apart(connection: sa.Connection, conversation_ids: Sequence[int]) -> list[tuple[int, int]]:
    """Return the pairs among these conversations whose merge a person took back."""
    rows = connection.execute(
        sa.text(
            "SELECT conversation_id, other_id FROM merge_pair WHERE why = 'undone' AND conversation_id = ANY(:ids)"
        ),
        {"ids": list(conversation_ids)},
    )
    return [(row.conversation_id, row.other_id) for row in rows]


def recent(connection: sa.Connection, since: datetime) -> dict[int, int]:
    """Return how many merges each account caused since a moment."""
    rows = connection.execute(
        sa.text("SELECT account_id, count(*) AS merges FROM conversation_merge WHERE at > :since GROUP BY account_id"),
        {"since": since},
    )
    return {row.account_id: row.merges for row in rows}


def into(connection: sa.Connection, survivor_id: int) -> list[sa.Row[Any]]:
    """Return the merges into a conversation that were not undone, newest first."""
    return list(
        connection.execute(
            sa.text(
                """
                SELECT m.*, c.public_id AS absorbed_public_id FROM conversation_merge m
                JOIN conversation c ON c.team_id = m.team_id AND c.id = m.absorbed_id
                WHERE m.survivor_id = :id AND m.undone_at IS NULL ORDER BY m.id DESC
                """
            ),
            {"id": survivor_id},
        )
    )


def survivor_of(connection: sa.Connection, merge_id: int) -> int | None:
    """Return the conversation that another was merged into; None for an unknown merge."""
    return connection.execute(
        sa.text("SELECT survivor_id FROM conversation_merge WHERE id = :id"), {"id": merge_id}
    ).scalar()


def undo(connection: sa.Connection, team_id: int, row: sa.Row[Any], now: datetime) -> None:
    """Give the absorbed conversation its messages and links back, and keep the two apart from now on.

    A link that ended with the merge returns where nothing was linked meanwhile.
    """
    params = {
        "survivor": row.survivor_id,
        "absorbed": row.absorbed_id,
        "messages": row.before["message_ids"],
        "joined": json.dumps([{"id": int(key), "joined": joined} for key, joined in row.before["joined"].items()]),
        "moved": row.before["moved_link_ids"],
        "now": now,
        "merge": row.id,
    }
    for statement in (
        "UPDATE conversation SET merged_into = NULL WHERE id = :absorbed",
        "UPDATE message SET conversation_id = :absorbed WHERE conversation_id = :survivor AND id = ANY(:messages)",
        """
        UPDATE message m SET joined = r.joined
        FROM jsonb_to_recordset(CAST(:joined AS jsonb)) AS r (id bigint, joined text)
        WHERE m.id = r.id AND m.conversation_id = :absorbed
        """,
        "UPDATE link SET conversation_id = :absorbed WHERE conversation_id = :survivor AND id = ANY(:moved)",
        "UPDATE conversation_merge SET undone_at = :now WHERE id = :merge",
        """
        UPDATE conversation c SET first_message_at = m.first_at, last_message_at = m.last_at, message_count = m.count,
          subject = m.subjects[1]
        FROM (SELECT conversation_id, min(at) AS first_at, max(at) AS last_at, count(*) AS count,
                array_agg(subject ORDER BY at, mid_hash) AS subjects
              FROM message WHERE conversation_id IN (:absorbed, :survivor) GROUP BY conversation_id) m
        WHERE c.id = m.conversation_id
        """,
    ):
        connection.execute(sa.text(statement), params)
    links.bring_back(connection, row.before["ended_link_ids"], now)
    insert_rows(
        connection,
        schema.merge_pair,
        [
            {
                "team_id": team_id,
                "conversation_id": row.absorbed_id,
                "other_id": row.survivor_id,
                "why": "undone",
                "at": now,
            }
        ],
        on_conflict="(team_id, conversation_id, other_id) DO UPDATE SET why = excluded.why, at = excluded.at",
    )
    inbox.refresh(connection, [row.absorbed_id, row.survivor_id])


def set_rights(connection: sa.Connection, messages: Sequence[Message]) -> None:
    """Store how these messages and their copies came into their conversation, and what is said about that."""
    connection.execute(
        sa.text(
            """
            UPDATE message m SET joined = r.joined, flags = r.flags
            FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r (id bigint, joined text, flags text[]) WHERE m.id = r.id
            """
        ),
        {"rows": json.dumps([{"id": m.id, "joined": m.joined, "flags": list(m.flags)} for m in messages])},
    )
    connection.execute(
        sa.text(
            """
            UPDATE message_copy c SET joined = r.joined
            FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r (id bigint, joined text) WHERE c.id = r.id
            """
        ),
        {"rows": json.dumps([{"id": copy.id, "joined": copy.joined} for m in messages for copy in m.copies])},
    )


def _joined(connection: sa.Connection, message_ids: Sequence[int]) -> dict[int, str]:
    rows = connection.execute(
        sa.text("SELECT id, joined FROM message WHERE id = ANY(:ids)"), {"ids": list(message_ids)}
    )
    return {row.id: row.joined for row in rows}


def _move_links(
    connection: sa.Connection, params: dict[str, Any]
) -> tuple[Sequence[sa.Row[Any]], Sequence[sa.Row[Any]]]:
    """Move the absorbed conversation's links; of two links to one record the one made by hand stays.

    Returns the moved rows and the ended ones.
    """
    ended = connection.execute(
        sa.text(
            """
            UPDATE link l SET removed_at = :now, removed_why = 'merged'
            FROM link twin
            WHERE l.team_id = twin.team_id AND l.id <> twin.id AND l.removed_at IS NULL AND twin.removed_at IS NULL
              AND ((l.conversation_id = :survivor AND twin.conversation_id = :absorbed)
                OR (l.conversation_id = :absorbed AND twin.conversation_id = :survivor))
              AND (l.crm_connection_id, l.kind, l.external_id) = (twin.crm_connection_id, twin.kind, twin.external_id)
              AND CASE WHEN l.conversation_id = :absorbed
                       THEN NOT (l.origin = 'manual' AND twin.origin <> 'manual')
                       ELSE twin.origin = 'manual' AND l.origin <> 'manual' END
            RETURNING l.*
            """
        ),
        params,
    ).all()
    moved = connection.execute(
        sa.text(
            """
            UPDATE link SET conversation_id = :survivor
            WHERE conversation_id = :absorbed AND removed_at IS NULL RETURNING *
            """
        ),
        params,
    ).all()
    return moved, ended
