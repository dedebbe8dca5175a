"""Webhooks that a team wants to be called, and what each is still to be told: rows; app.outgoing_webhooks delivers."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

import sqlalchemy as sa

from app.model import ItemRef
from app.store import queue

Kind = Literal["conversation.linked", "conversation.unlinked", "conversation.needs_review"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LINKED, UNLINKED, NEEDS_REVIEW = KINDS
TEST = "webhook.test"

Settled = Literal["delivered", "dropped", "failed"]


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that is told; it acts for the administrator who added it."""

    id: int
    public_id: str
    team_id: int
    member_id: int
    url: str
    kinds: tuple[str, ...]
    sealed: bytes
    state: Literal["live", "disabled"]
    state_reason: str
    state_since: datetime
    failures: int
    rest_until: datetime | None
    delivered_at: datetime | None
    created_at: datetime

    @property
    def host(self) -> str:
        """What people know it by: the rest of its address may be a secret."""
        return urlsplit(self.url).hostname or ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing a webhook is told. `answer` is the status it answered with, or a word for why there was none."""

    id: int
    public_id: str
    kind: str
    conversation_id: int | None
    conversation: str | None  # its public id
    item: ItemRef | None
    reason: str
    at: datetime
    state: Literal["pending", "delivered", "dropped", "failed"]
    attempts: int
    next_at: datetime | None
    answer: str


# An automatic link's reason is that of the decision that made it, any other's its origin; an unlinked one's is why it
# ended. The item is that of the link that stands, or of the one that ended last.
_ANNOUNCE = sa.text(
    """
    INSERT INTO webhook_delivery
      (team_id, webhook_id, kind, conversation_id, crm_connection_id, item_kind, item_id, reason, at)
    SELECT w.team_id, w.id, t.kind, c.id, l.crm_connection_id, l.kind, l.external_id,
      CASE t.kind WHEN 'conversation.unlinked' THEN l.removed_why
                  WHEN 'conversation.linked' THEN CASE l.origin WHEN 'automatic' THEN d.reason ELSE l.origin END
                  ELSE d.reason END,
      greatest(CASE t.kind WHEN 'conversation.unlinked' THEN l.removed_at WHEN 'conversation.linked' THEN l.made_at
                           ELSE d.at END, CAST(:at AS timestamptz))
    FROM jsonb_to_recordset(CAST(:told AS jsonb)) AS t (position bigint, conversation_id bigint, kind text)
    JOIN webhook w ON w.state = 'live' AND t.kind = ANY(w.kinds)
    JOIN conversation c ON c.team_id = w.team_id AND c.id = t.conversation_id
    LEFT JOIN LATERAL (
      SELECT x.* FROM link x
      WHERE x.team_id = c.team_id AND x.conversation_id = c.id AND x.is_primary
        AND (x.removed_at IS NULL) = (t.kind = 'conversation.linked')
      ORDER BY x.removed_at DESC NULLS FIRST, x.id DESC LIMIT 1
    ) AS l ON t.kind <> 'conversation.needs_review'
    LEFT JOIN decision d ON d.team_id = c.team_id AND d.id = coalesce(l.decision_id, c.decision_id)
    WHERE t.kind = 'conversation.needs_review' OR l.id IS NOT NULL
    ORDER BY t.position, w.id
    RETURNING team_id, webhook_id
    """
)
_DELIVERIES = """
    SELECT d.*, c.public_id AS conversation_public_id FROM webhook_delivery d
    LEFT JOIN conversation c ON c.team_id = d.team_id AND c.id = d.conversation_id
"""


def announce(
    connection: sa.Connection, changed: Sequence[tuple[int, str | None, str]], at: datetime | None = None
) -> None:
    """Owe the team's webhooks what changed, as (conversation, its state before, its state now), with this transaction.

    It happened when the rows say, not before `at`: a receiver goes by the newest time. The jobs that deliver it are
    enqueued with it.
    """
    told = [
        {"position": position, "conversation_id": conversation_id, "kind": kind}
        for position, (conversation_id, was, now) in enumerate(changed)
        for kind in _kinds(was, now)
    ]
    if told:
        _look_after(connection, connection.execute(_ANNOUNCE, {"told": json.dumps(told), "at": at}))


def _kinds(was: str | None, now: str) -> list[Kind]:
    found = [UNLINKED] if was == "linked" else []
    if now == "linked":
        found.append(LINKED)
    elif now == "review":
        found.append(NEEDS_REVIEW)
    return found


def announce_test(connection: sa.Connection, webhook: Webhook, now: datetime) -> str:
    """Owe one webhook a test; return the delivery's public id."""
    row = connection.execute(
        sa.text(
            """
            INSERT INTO webhook_delivery (team_id, webhook_id, kind, at) VALUES (:team_id, :webhook_id, :kind, :now)
            RETURNING public_id
            """
        ),
        {"team_id": webhook.team_id, "webhook_id": webhook.id, "kind": TEST, "now": now},
    ).one()
    queue.defer(connection, "deliver_webhook", [job(webhook.team_id, webhook.id)])
    return str(row.public_id)


def job(team_id: int, webhook_id: int) -> tuple[Mapping[str, int], str]:
    """Return the job that looks after a webhook, with its lock: one delivers at a time."""
    return {"team_id": team_id, "webhook_id": webhook_id}, f"webhook:{webhook_id}"


def _look_after(connection: sa.Connection, owed: sa.CursorResult[Any]) -> None:
    webhooks = sorted({(row.team_id, row.webhook_id) for row in owed})
    queue.defer(connection, "deliver_webhook", [job(*each) for each in webhooks])


# --- the webhooks ---


def add(
    connection: sa.Connection,
    team_id: int,
    member_id: int,
    public_id: str,
    url: str,
    kinds: Collection[str],
    sealed: bytes,
    now: datetime,
) -> None:
    """Store a webhook."""
    connection.execute(
        sa.text(
            """
            INSERT INTO webhook (team_id, public_id, member_id, url, kinds, ciphertext, state_since, created_at)
            VALUES (:team_id, CAST(:public_id AS uuid), :member_id, :url, :kinds, :sealed, :now, :now)
            """
        ),
        {
            "team_id": team_id,
            "public_id": public_id,
            "member_id": member_id,
            "url": url,
            "kinds": sorted(kinds),
            "sealed": sealed,
            "now": now,
        },
    )


def webhooks(connection: sa.Connection) -> list[Webhook]:
    """Return the team's webhooks, oldest first."""
    return [_webhook(row) for row in connection.execute(sa.text("SELECT * FROM webhook ORDER BY id"))]


def lock(connection: sa.Connection, webhook_id: int) -> Webhook | None:
    """Return a webhook that nobody else changes before the transaction ends."""
    row = connection.execute(
        sa.text("SELECT * FROM webhook WHERE id = :id FOR NO KEY UPDATE"), {"id": webhook_id}
    ).one_or_none()
    return _webhook(row) if row else None


def remove(connection: sa.Connection, webhook_id: int) -> None:
    """Delete a webhook with all it was told."""
    connection.execute(sa.text("DELETE FROM webhook WHERE id = :id"), {"id": webhook_id})


def reseal(connection: sa.Connection, webhook_id: int, sealed: bytes) -> None:
    """Store other secrets."""
    connection.execute(
        sa.text("UPDATE webhook SET ciphertext = :sealed WHERE id = :id"), {"id": webhook_id, "sealed": sealed}
    )


def enable(connection: sa.Connection, webhook_id: int, member_id: int, now: datetime) -> None:
    """Tell a webhook again, for this member, what happens from now on."""
    connection.execute(
        sa.text(
            """
            UPDATE webhook SET state = 'live', state_reason = '', state_since = :now, member_id = :member_id,
              failures = 0, rest_until = NULL WHERE id = :id
            """
        ),
        {"id": webhook_id, "member_id": member_id, "now": now},
    )


def disable(connection: sa.Connection, webhook_id: int, reason: str, now: datetime) -> None:
    """Tell a webhook nothing any more, what it is owed included."""
    parameters = {"id": webhook_id, "reason": reason, "now": now}
    connection.execute(
        sa.text(
            "UPDATE webhook SET state = 'disabled', state_reason = :reason, state_since = :now, rest_until = NULL"
            " WHERE id = :id"
        ),
        parameters,
    )
    connection.execute(
        sa.text(
            "UPDATE webhook_delivery SET state = 'failed', settled_at = :now, next_at = NULL"
            " WHERE webhook_id = :id AND state = 'pending'"
        ),
        parameters,
    )


# --- what they are told ---


def due(connection: sa.Connection, webhook_id: int, now: datetime, limit: int) -> list[Delivery]:
    """Return what a webhook is to be told now, in the order in which it happened."""
    rows = connection.execute(
        sa.text(
            f"""{_DELIVERIES} WHERE d.webhook_id = :id AND d.state = 'pending'
              AND (d.next_at IS NULL OR d.next_at <= :now) ORDER BY d.id LIMIT :limit"""
        ),
        {"id": webhook_id, "now": now, "limit": limit},
    )
    return [_delivery(row) for row in rows]


def deliveries(connection: sa.Connection, webhook_id: int, limit: int) -> list[Delivery]:
    """Return what a webhook was or will be told, newest first."""
    rows = connection.execute(
        sa.text(f"{_DELIVERIES} WHERE d.webhook_id = :id ORDER BY d.id DESC LIMIT :limit"),
        {"id": webhook_id, "limit": limit},
    )
    return [_delivery(row) for row in rows]


def waiting_for_review(connection: sa.Connection, conversation_ids: Collection[int]) -> frozenset[int]:
    """Return those of the conversations that need a choice now."""
    rows = connection.execute(
        sa.text(
            "SELECT DISTINCT conversation_id FROM inbox_entry WHERE conversation_id = ANY(:ids) AND state = 'review'"
        ),
        {"ids": sorted(conversation_ids)},
    )
    return frozenset(rows.scalars())


def settle(connection: sa.Connection, delivery_id: int, state: Settled, answer: str, now: datetime) -> None:
    """End a delivery."""
    connection.execute(
        sa.text(
            "UPDATE webhook_delivery SET state = :state, answer = :answer, settled_at = :now, next_at = NULL,"
            " attempts = attempts + CAST(:state <> 'dropped' AS integer) WHERE id = :id"
        ),
        {"id": delivery_id, "state": state, "answer": answer, "now": now},
    )


def postpone(connection: sa.Connection, delivery_id: int, answer: str, next_at: datetime) -> None:
    """Note a try that failed, and when the next one is."""
    connection.execute(
        sa.text(
            "UPDATE webhook_delivery SET attempts = attempts + 1, answer = :answer, next_at = :next_at WHERE id = :id"
        ),
        {"id": delivery_id, "answer": answer, "next_at": next_at},
    )


def got_through(connection: sa.Connection, webhook_id: int, now: datetime) -> None:
    """Note that a webhook was told something."""
    connection.execute(
        sa.text("UPDATE webhook SET delivered_at = :now, failures = 0, rest_until = NULL WHERE id = :id"),
        {"id": webhook_id, "now": now},
    )


def rest(connection: sa.Connection, webhook_id: int, until: datetime) -> None:
    """Note that a webhook could not be told something, and leave it alone for a while."""
    connection.execute(
        sa.text("UPDATE webhook SET failures = failures + 1, rest_until = :until WHERE id = :id"),
        {"id": webhook_id, "until": until},
    )


def forget(connection: sa.Connection, webhook_id: int, before: datetime) -> None:
    """Delete what was settled before then."""
    connection.execute(
        sa.text("DELETE FROM webhook_delivery WHERE webhook_id = :id AND settled_at < :before"),
        {"id": webhook_id, "before": before},
    )


def _webhook(row: sa.Row[Any]) -> Webhook:
    return Webhook(
        row.id,
        str(row.public_id),
        row.team_id,
        row.member_id,
        row.url,
        tuple(row.kinds),
        bytes(row.ciphertext),
        row.state,
        row.state_reason,
        row.state_since,
        row.failures,
        row.rest_until,
        row.delivered_at,
        row.created_at,
    )


def _delivery(row: sa.Row[Any]) -> Delivery:
    return Delivery(
        row.id,
        str(row.public_id),
        row.kind,
        row.conversation_id,
        str(row.conversation_public_id) if row.conversation_public_id else None,
        ItemRef(row.item_kind, row.item_id, row.crm_connection_id) if row.item_kind else None,
        row.reason,
        row.at,
        row.state,
        row.attempts,
        row.next_at,
        row.answer,
    )
