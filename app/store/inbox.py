"""The inbox of a member: the conversations that the member's accounts hold, by state and by the time of newest mail.

Whatever changes a link, a dismissal, a decision or a copy calls refresh() in the same transaction; the tests of the
scenarios compare the entries with the rows they come from.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from app.store import outgoing_webhooks

State = Literal["linked", "review", "unlinked", "dismissed"]

STATES: tuple[State, ...] = ("review", "unlinked", "linked", "dismissed")
COUNTED_UP_TO = 1_000  # counting further costs time and tells nobody anything
MOST_ACCOUNTS = 200
MAX_QUERY_WORDS = 10

# What is as it was is not touched. How a conversation stood before is read only where somebody wants to be told.
_REFRESH = sa.text(
    """
    WITH now AS MATERIALIZED (
      SELECT c.team_id, x.account_id, c.id AS conversation_id, x.last_message_at,
             CASE WHEN l.id IS NOT NULL THEN 'linked' WHEN d.conversation_id IS NOT NULL THEN 'dismissed'
                  WHEN s.outcome = 'ambiguous' THEN 'review' ELSE 'unlinked' END AS state
      FROM conversation c
      JOIN LATERAL (
        SELECT mc.account_id, max(mc.at) AS last_message_at FROM message m
        JOIN message_copy mc ON mc.team_id = m.team_id AND mc.message_id = m.id AND mc.deleted_at IS NULL
        WHERE m.team_id = c.team_id AND m.conversation_id = c.id GROUP BY mc.account_id
      ) x ON true
      LEFT JOIN link l
        ON l.team_id = c.team_id AND l.conversation_id = c.id AND l.is_primary AND l.removed_at IS NULL
      LEFT JOIN dismissal d ON d.team_id = c.team_id AND d.conversation_id = c.id
      LEFT JOIN decision s ON s.team_id = c.team_id AND s.id = c.decision_id
      WHERE c.id = ANY(:ids) AND c.merged_into IS NULL
    ), before AS MATERIALIZED (
      SELECT DISTINCT e.conversation_id, e.state FROM inbox_entry e
      WHERE e.conversation_id = ANY(:ids) AND EXISTS (SELECT FROM webhook w WHERE w.state = 'live')
    ), gone AS (
      DELETE FROM inbox_entry e WHERE e.conversation_id = ANY(:ids) AND NOT EXISTS (
        SELECT FROM now n WHERE n.account_id = e.account_id AND n.conversation_id = e.conversation_id)
    ), written AS (
      INSERT INTO inbox_entry AS e (team_id, account_id, conversation_id, state, last_message_at)
      SELECT n.team_id, n.account_id, n.conversation_id, n.state, n.last_message_at FROM now n
      ON CONFLICT (team_id, account_id, conversation_id) DO UPDATE
        SET state = excluded.state, last_message_at = excluded.last_message_at
        WHERE (e.state, e.last_message_at) IS DISTINCT FROM (excluded.state, excluded.last_message_at)
    )
    SELECT DISTINCT n.conversation_id, b.state AS was, n.state AS is_now
    FROM now n LEFT JOIN before b ON b.conversation_id = n.conversation_id
    WHERE b.state IS DISTINCT FROM n.state AND EXISTS (SELECT FROM webhook w WHERE w.state = 'live')
    """
)
# Each account is read from its own place in ix_inbox_entry_recent or ix_inbox_entry_state; the pages are merged.
_PAGE = """
    SELECT conversation_id, max(last_message_at) AS at FROM unnest(CAST(:accounts AS bigint[])) AS a (id)
    CROSS JOIN LATERAL (
      SELECT e.conversation_id, e.last_message_at FROM inbox_entry e
      WHERE e.account_id = a.id{state}{before}
      ORDER BY e.last_message_at DESC, e.conversation_id DESC LIMIT :limit
    ) AS page
    GROUP BY conversation_id ORDER BY at DESC, conversation_id DESC LIMIT :limit
"""
_COUNT = """
    SELECT e.state, count(*) AS n FROM unnest(CAST(:states AS text[])) AS s (state)
    CROSS JOIN LATERAL (
      SELECT DISTINCT s.state, conversation_id FROM (
        SELECT i.conversation_id FROM unnest(CAST(:accounts AS bigint[])) AS a (id)
        CROSS JOIN LATERAL (
          SELECT x.conversation_id FROM inbox_entry x WHERE x.account_id = a.id AND x.state = s.state LIMIT :most
        ) AS i
      ) AS held LIMIT :most
    ) AS e GROUP BY e.state
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ends: the next one begins after it."""

    at: datetime
    conversation_id: int

    def is_after(self, other: Place) -> bool:
        """Say whether this comes after the other in a list, which begins with the newest."""
        return (self.at, self.conversation_id) < (other.at, other.conversation_id)


def refresh(connection: sa.Connection, conversation_ids: Iterable[int]) -> None:
    """Write the entries of these conversations as they are now, and tell the team's webhooks what changed."""
    ids = sorted(set(conversation_ids))
    if ids:
        changed = connection.execute(_REFRESH, {"ids": ids}).all()
        outgoing_webhooks.announce(connection, [(row.conversation_id, row.was, row.is_now) for row in changed])


def write_words(connection: sa.Connection, words: Mapping[int, Mapping[int, str]]) -> None:
    """Store by which words conversations are found: conversation -> account -> words."""
    entries = [
        {"conversation": conversation_id, "account": account_id, "words": text}
        for conversation_id, by_account in words.items()
        for account_id, text in by_account.items()
    ]
    if not entries:
        return
    connection.execute(
        sa.text(
            """
            UPDATE inbox_entry e SET words = r.words
            FROM jsonb_to_recordset(CAST(:entries AS jsonb)) AS r (conversation bigint, account bigint, words text)
            WHERE (e.account_id, e.conversation_id) = (r.account, r.conversation) AND e.words <> r.words
            """
        ),
        {"entries": json.dumps(entries)},
    )


def search(
    connection: sa.Connection,
    account_ids: Collection[int],
    words: Sequence[str],
    state: State | None = None,
    limit: int = 50,
) -> list[Place]:
    """Return what these accounts hold that has a word beginning with each of the words, newest mail first."""
    if not account_ids or not words:
        return []
    rows = connection.execute(
        sa.text("SELECT * FROM threadlink_search_inbox(:words, :accounts, :state, :limit)"),
        {
            "words": list(words)[:MAX_QUERY_WORDS],
            "accounts": sorted(account_ids)[:MOST_ACCOUNTS],
            "state": state,
            "limit": limit,
        },
    )
    return [Place(row.last_message_at, row.conversation_id) for row in rows]


def page(
    connection: sa.Connection,
    account_ids: Collection[int],
    state: State | None = None,
    after: Place | None = None,
    limit: int = 50,
) -> list[Place]:
    """Return a page of what these accounts hold, newest mail first; without a state all but what was dismissed."""
    if not account_ids:
        return []
    of_state = " AND e.state = :state" if state else " AND e.state <> 'dismissed'"
    before = " AND (e.last_message_at, e.conversation_id) < (:at, :id)" if after else ""
    rows = connection.execute(
        sa.text(_PAGE.format(state=of_state, before=before)),
        {
            "accounts": sorted(account_ids)[:MOST_ACCOUNTS],
            "limit": limit,
            **({"state": state} if state else {}),
            **({"at": after.at, "id": after.conversation_id} if after else {}),
        },
    )
    return [Place(row.at, row.conversation_id) for row in rows]


def counts(connection: sa.Connection, account_ids: Collection[int]) -> dict[State, int]:
    """Return how many conversations these accounts hold in each state, counted up to COUNTED_UP_TO."""
    found: dict[State, int] = dict.fromkeys(STATES, 0)
    if account_ids:
        rows = connection.execute(
            sa.text(_COUNT),
            {"accounts": sorted(account_ids)[:MOST_ACCOUNTS], "states": list(STATES), "most": COUNTED_UP_TO},
        )
        found |= {row.state: row.n for row in rows}
    return found
