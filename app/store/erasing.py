"""Erasing what a mailbox brought: its copies, and the messages that no other mailbox holds. Rows only."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa


def conversations_of(connection: sa.Connection, account_id: int, limit: int) -> list[int]:
    """Return conversations of which an account holds a copy, at most `limit`."""
    rows = connection.execute(
        sa.text(
            """
            SELECT DISTINCT m.conversation_id
            FROM (SELECT team_id, message_id FROM message_copy WHERE account_id = :account LIMIT :limit) c
            JOIN message m ON m.team_id = c.team_id AND m.id = c.message_id
            """
        ),
        {"account": account_id, "limit": limit},
    )
    return list(rows.scalars())


def erase_copies(connection: sa.Connection, account_id: int, conversation_ids: Collection[int]) -> list[int]:
    """Delete an account's copies in these conversations, with the messages that nobody holds any more.

    Returns the conversations that lost a message. Of those nothing stays that said what it was: subject, decisions,
    reports. Links stay, so that their notes are taken back.
    """
    params = {"account": account_id, "ids": sorted(conversation_ids)}
    connection.execute(
        sa.text(
            """
            DELETE FROM message_copy c USING message m
            WHERE m.team_id = c.team_id AND m.id = c.message_id AND c.account_id = :account
              AND m.conversation_id = ANY(:ids)
            """
        ),
        params,
    )
    rows = connection.execute(
        sa.text(
            """
            DELETE FROM message m WHERE m.conversation_id = ANY(:ids)
              AND NOT EXISTS (SELECT FROM message_copy c WHERE c.team_id = m.team_id AND c.message_id = m.id)
            RETURNING m.conversation_id
            """
        ),
        params,
    )
    lost = sorted(set(rows.scalars()))
    _strip(connection, lost)
    return lost


def _strip(connection: sa.Connection, conversation_ids: Collection[int]) -> None:
    """Take what was written down of conversations from them, and from those that were merged into them."""
    whole = list(
        connection.execute(
            sa.text(
                """
                WITH RECURSIVE part AS (
                  SELECT team_id, id FROM conversation WHERE id = ANY(:ids)
                  UNION
                  SELECT c.team_id, c.id FROM conversation c
                  JOIN part p ON c.team_id = p.team_id AND c.merged_into = p.id
                )
                SELECT id FROM part
                """
            ),
            {"ids": list(conversation_ids)},
        ).scalars()
    )
    for statement in (
        "DELETE FROM decision WHERE conversation_id = ANY(:ids)",
        "DELETE FROM work_entry WHERE conversation_id = ANY(:ids) AND detail ? 'about'",  # a report's finding
        """
        UPDATE conversation c SET decision_id = NULL, subject = coalesce(m.subjects[1], ''),
          first_message_at = coalesce(m.first_at, c.first_message_at),
          last_message_at = coalesce(m.last_at, c.last_message_at), message_count = coalesce(m.count, 0)
        FROM unnest(CAST(:ids AS bigint[])) AS asked (id)
        LEFT JOIN (SELECT conversation_id, min(at) AS first_at, max(at) AS last_at, count(*) AS count,
                     array_agg(subject ORDER BY at, mid_hash) AS subjects
                   FROM message WHERE conversation_id = ANY(:ids) GROUP BY conversation_id) m
          ON m.conversation_id = asked.id
        WHERE c.id = asked.id
        """,
    ):
        connection.execute(sa.text(statement), {"ids": whole})
