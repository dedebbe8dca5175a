"""Holds the entries of the inbox to the rows they come from."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from app.linking.search import words_of
from app.store import conversations

_AS_IT_IS = """
    SELECT mc.account_id, c.id AS conversation_id,
           CASE WHEN bool_or(l.id IS NOT NULL) THEN 'linked'
                WHEN bool_or(d.conversation_id IS NOT NULL) THEN 'dismissed'
                WHEN bool_or(s.outcome = 'ambiguous') THEN 'review' ELSE 'unlinked' END AS state,
           max(mc.at) AS last_message_at
    FROM conversation c
    JOIN message m ON m.conversation_id = c.id
    JOIN message_copy mc ON mc.message_id = m.id AND mc.deleted_at IS NULL
    LEFT JOIN link l ON l.conversation_id = c.id AND l.is_primary AND l.removed_at IS NULL
    LEFT JOIN dismissal d ON d.conversation_id = c.id
    LEFT JOIN decision s ON s.id = c.decision_id
    WHERE c.merged_into IS NULL GROUP BY mc.account_id, c.id
"""
_ENTRIES = "SELECT account_id, conversation_id, state, last_message_at FROM inbox_entry"


def stale_inbox_entries(connection: sa.Connection) -> list[Any]:
    """Return what the inbox of the team shows otherwise than it is, and what it leaves out."""
    wrong = connection.execute(sa.text(f"{_ENTRIES} EXCEPT {_AS_IT_IS}")).all()
    missing = connection.execute(sa.text(f"{_AS_IT_IS} EXCEPT {_ENTRIES}")).all()
    entries = connection.execute(sa.text("SELECT account_id, conversation_id, words FROM inbox_entry")).all()
    found = conversations.load(connection, {entry.conversation_id for entry in entries})
    words = {each.id: words_of(each) for each in found}
    unfound = [entry for entry in entries if words[entry.conversation_id][entry.account_id] != entry.words]
    return [*wrong, *missing, *unfound]
