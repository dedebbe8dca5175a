"""The inbox of a member: the conversations that the member's accounts hold, by state and by the time of newest mail.

Whatever changes a link, a dismissal, a decision or a copy calls refresh() in the same transaction; the tests of the
scenarios compare the entries with the rows they come from.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from app.model import ItemRef
from app.store import outgoing_webhooks

State = Literal["linked", "review", "unlinked", "dismissed"]

STATES: tuple[State, ...] = ("review", "unlinked", "linked", "dismissed")
COUNTED_UP_TO = 1_000  # counting further costs time and tells nobody anything
MOST_ACCOUNTS = 200
MAX_QUERY_WORDS = 10
MOST_FOUND = 300  # of a search: the newest, shown and counted
MOST_OF_RECORD = 5_000

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
# Each account is read from its own place in ix_inbox_entry_recent or ix_inbox_entry_state; the pages are merged. What a
# further account holds with newer mail stands where that mail stands, and not here again (ix_inbox_entry_conversation).
_PAGE = """
    SELECT page.conversation_id, page.last_message_at AS at FROM unnest(CAST(:accounts AS bigint[])) AS a (id)
    CROSS JOIN LATERAL (
      SELECT e.conversation_id, e.last_message_at FROM inbox_entry e
      WHERE e.account_id = a.id{where}{once}
      ORDER BY e.last_message_at {order}, e.conversation_id {order} LIMIT :limit
    ) AS page
    ORDER BY at {order}, conversation_id {order} LIMIT :limit
"""
_ONCE = """ AND NOT EXISTS (
        SELECT FROM inbox_entry o WHERE o.team_id = e.team_id AND o.conversation_id = e.conversation_id
          AND o.account_id = ANY(:accounts)
          AND (o.last_message_at, o.account_id) > (e.last_message_at, e.account_id))"""
# ix_link_record, then the key of inbox_entry.
_OF_RECORD = """
    SELECT e.conversation_id, max(e.last_message_at) AS at, max(e.state) AS state FROM (
      SELECT l.team_id, l.conversation_id FROM link l
      WHERE (l.crm_connection_id, l.kind, l.external_id) = (:crm, :kind, :external_id) AND l.removed_at IS NULL
      ORDER BY l.id DESC LIMIT :most_of_record
    ) AS r
    JOIN inbox_entry e ON (e.team_id, e.conversation_id) = (r.team_id, r.conversation_id)
    WHERE e.account_id = ANY(:accounts){where} GROUP BY e.conversation_id
"""
_FOUND = """
    SELECT e.conversation_id, e.last_message_at AS at FROM threadlink_search_inbox(:words, :accounts, :state, :most) e
    WHERE true{where}
"""
_AROUND = """
    SELECT c.public_id, n.is_older FROM (
      (SELECT conversation_id, false AS is_older FROM ({newer}) AS p ORDER BY at, conversation_id LIMIT 1)
      UNION ALL
      (SELECT conversation_id, true AS is_older FROM ({older}) AS p ORDER BY at DESC, conversation_id DESC LIMIT 1)
    ) AS n JOIN conversation c ON c.id = n.conversation_id
"""
_RELATED = """ AND EXISTS (
      SELECT FROM link l WHERE l.conversation_id = e.conversation_id
        AND (l.crm_connection_id, l.kind, l.external_id) = (:crm, :kind, :external_id) AND l.removed_at IS NULL)"""
_COUNT = """
    SELECT e.state, count(*) AS n FROM unnest(CAST(:states AS text[])) AS s (state)
    CROSS JOIN LATERAL (
      SELECT DISTINCT s.state, conversation_id FROM (
        SELECT i.conversation_id FROM unnest(CAST(:accounts AS bigint[])) AS a (id)
        CROSS JOIN LATERAL (
          SELECT e.conversation_id FROM inbox_entry e WHERE e.account_id = a.id AND e.state = s.state{where} LIMIT :most
        ) AS i
      ) AS held LIMIT :most
    ) AS e GROUP BY e.state
"""
# LATERAL with a limit: a join would be made by reading every entry of the team.
_FOUND_STATES = """
    SELECT f.conversation_id, f.at, x.state FROM ({found}) AS f
    CROSS JOIN LATERAL (
      SELECT i.state FROM inbox_entry i
      WHERE i.conversation_id = f.conversation_id AND i.account_id = ANY(:accounts) LIMIT 1
    ) AS x
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ends: the next one begins after it."""

    at: datetime
    conversation_id: int

    def is_after(self, other: Place) -> bool:
        """Say whether this comes after the other in a list, which begins with the newest."""
        return (self.at, self.conversation_id) < (other.at, other.conversation_id)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The public ids of the conversations next to one in a list; "" at its ends."""

    newer: str = ""
    older: str = ""

    @classmethod
    def of(cls, order: Sequence[str], public_id: str, place: int) -> Neighbours:
        """Find them in a list that is given whole; a conversation that is not in it would stand at a place."""
        others = list(order)
        if public_id in others:
            place = others.index(public_id)
            del others[place]
        return cls(others[place - 1] if place else "", others[place] if place < len(others) else "")


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list shows: of these accounts, what fits all that is given. Without a state all but what was dismissed.

    Words are beginnings of words; a search answers from the newest MOST_FOUND that have them, or from as many as are
    asked for, a record (a person or an organization) from its newest MOST_OF_RECORD conversations.
    """

    account_ids: frozenset[int] = frozenset()
    state: State | None = None
    words: tuple[str, ...] = ()
    record: ItemRef | None = None
    since: datetime | None = None  # newest mail then or later
    until: datetime | None = None  # and before


def refresh(connection: sa.Connection, conversation_ids: Iterable[int], at: datetime | None = None) -> None:
    """Write the entries of these conversations as they are now, and tell the team's webhooks what changed.

    `at` is when somebody brought an earlier state back, which the rows do not say.
    """
    ids = sorted(set(conversation_ids))
    if ids:
        changed = connection.execute(_REFRESH, {"ids": ids}).all()
        outgoing_webhooks.announce(connection, [(row.conversation_id, row.was, row.is_now) for row in changed], at)


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


def page(connection: sa.Connection, wanted: Filter, after: Place | None = None, limit: int = 50) -> list[Place]:
    """Return a page of what fits, newest mail first. One query."""
    if not wanted.account_ids or limit < 1:
        return []
    listed = _listed(wanted, "<" if after else "")
    rows = connection.execute(
        sa.text(f"SELECT conversation_id, at FROM ({listed}) AS p ORDER BY at DESC, conversation_id DESC LIMIT :limit"),
        {
            **_given(wanted),
            "limit": limit,
            "most": max(limit, MOST_FOUND),
            **({"place_at": after.at, "place_id": after.conversation_id} if after else {}),
        },
    )
    return [Place(row.at, row.conversation_id) for row in rows]


def around(connection: sa.Connection, wanted: Filter, place: Place) -> Neighbours:
    """Return what stands right before and right after a place of the list, whether or not that is in it. One query."""
    if not wanted.account_ids:
        return Neighbours()
    found = connection.execute(
        sa.text(_AROUND.format(newer=_listed(wanted, ">"), older=_listed(wanted, "<"))),
        {**_given(wanted), "limit": 1, "place_at": place.at, "place_id": place.conversation_id},
    )
    ids = {row.is_older: str(row.public_id) for row in found}
    return Neighbours(ids.get(False, ""), ids.get(True, ""))


def counts(connection: sa.Connection, wanted: Filter) -> dict[State, int]:
    """Return how much fits in each state, whatever the filter's own, counted up to COUNTED_UP_TO. One query."""
    found: dict[State, int] = dict.fromkeys(STATES, 0)
    if not wanted.account_ids:
        return found
    where = _times(wanted)
    if wanted.words:
        return found | Counter(state for _, state in search(connection, wanted))
    if wanted.record:
        query = f"SELECT state, count(*) AS n FROM ({_OF_RECORD.format(where=where)}) AS r GROUP BY state"
    else:
        query = _COUNT.format(where=where)
    given = {**_given(wanted), "state": None, "states": list(STATES)}
    return found | {row.state: min(row.n, COUNTED_UP_TO) for row in connection.execute(sa.text(query), given)}


def _listed(wanted: Filter, side: Literal["", "<", ">"]) -> str:
    """Return the query of a list, of all of it or of what is older (<) or newer (>) than a place, the nearest first."""
    where = _times(wanted) + (
        f" AND (e.last_message_at, e.conversation_id) {side} (:place_at, :place_id)" if side else ""
    )
    of_state = " AND e.state = :state" if wanted.state else " AND e.state <> 'dismissed'"
    if wanted.words:
        found = _FOUND.format(where=where + (_RELATED if wanted.record else ""))
        if wanted.state:
            return found
        states = _FOUND_STATES.format(found=found)
        return f"SELECT conversation_id, at FROM ({states}) AS s WHERE state <> 'dismissed'"
    if wanted.record:
        return _OF_RECORD.format(where=where + of_state)
    once = _ONCE if len(wanted.account_ids) > 1 else ""
    return _PAGE.format(where=of_state + where, once=once, order="ASC" if side == ">" else "DESC")


def search(connection: sa.Connection, wanted: Filter) -> list[tuple[Place, State]]:
    """Return all that is found by words, whatever the filter's own state, newest mail first: at most MOST_FOUND."""
    if not wanted.account_ids:
        return []
    found = _FOUND.format(where=_times(wanted) + (_RELATED if wanted.record else ""))
    states = f"{_FOUND_STATES.format(found=found)} ORDER BY f.at DESC, f.conversation_id DESC"
    rows = connection.execute(sa.text(states), {**_given(wanted), "state": None})
    return [(Place(row.at, row.conversation_id), row.state) for row in rows]


def _times(wanted: Filter) -> str:
    return (" AND e.last_message_at >= :since" if wanted.since else "") + (
        " AND e.last_message_at < :until" if wanted.until else ""
    )


def _given(wanted: Filter) -> dict[str, Any]:
    given: dict[str, Any] = {
        "accounts": sorted(wanted.account_ids)[:MOST_ACCOUNTS],
        "state": wanted.state,
        "words": list(wanted.words)[:MAX_QUERY_WORDS],
        "most": MOST_FOUND,
        "most_of_record": MOST_OF_RECORD,
        "since": wanted.since,
        "until": wanted.until,
    }
    if wanted.record:
        record = wanted.record
        given |= {"crm": record.connection_id, "kind": record.kind, "external_id": record.external_id}
    return given
