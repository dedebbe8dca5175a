"""Decisions: the audit trail of linking, never overwritten; a conversation points at its current one."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.model import Candidate, Decision, Evidence, ItemRef
from app.store import schema
from app.store.rows import insert_rows


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision with its place in the trail."""

    id: int
    conversation_id: int
    decision: Decision
    at: datetime


def record(
    connection: sa.Connection, team_id: int, decided: Sequence[tuple[int, bytes, Decision]], at: datetime
) -> dict[int, int]:
    """Store (conversation, digest of the input, decision) and point each conversation at it.

    A decision on an input that was decided before is the one already there. Returns conversation -> decision id.
    """
    if not decided:
        return {}
    insert_rows(
        connection,
        schema.decision,
        [
            {
                "team_id": team_id,
                "conversation_id": conversation_id,
                "digest": digest,
                "outcome": decision.outcome,
                "reason": decision.reason,
                "detail": _detail(decision),
                "trigger_id": decision.trigger_id,
                "at": at,
            }
            for conversation_id, digest, decision in decided
        ],
        on_conflict="(team_id, conversation_id, digest) DO NOTHING",
    )
    rows = connection.execute(
        sa.text(
            """
            UPDATE conversation c SET decision_id = d.id
            FROM jsonb_to_recordset(CAST(:decided AS jsonb)) AS r (conversation_id bigint, digest text)
            JOIN decision d ON d.conversation_id = r.conversation_id AND d.digest = decode(r.digest, 'hex')
            WHERE c.id = r.conversation_id AND c.team_id = d.team_id
            RETURNING c.id, d.id AS decision_id
            """
        ),
        {
            "decided": json.dumps(
                [{"conversation_id": conversation_id, "digest": digest.hex()} for conversation_id, digest, _ in decided]
            )
        },
    )
    return {row.id: row.decision_id for row in rows}


def current(connection: sa.Connection, conversation_ids: Sequence[int]) -> dict[int, StoredDecision]:
    """Return the current decision of each conversation that has one."""
    rows = connection.execute(
        sa.text(
            """
            SELECT d.* FROM conversation c JOIN decision d ON d.team_id = c.team_id AND d.id = c.decision_id
            WHERE c.id = ANY(:ids)
            """
        ),
        {"ids": list(conversation_ids)},
    )
    return {row.conversation_id: _stored(row) for row in rows}


def undecided(connection: sa.Connection, accounts: Collection[int] | None, limit: int) -> list[int]:
    """Return the conversations of these accounts (None: of all) that wait for a choice, newest mail first.

    What several items fit and nobody linked, and links that a rule wants looked at: to an item that closed while
    another is open, to a lead younger than its conversation.
    """
    return list(
        connection.execute(  # ix_conversation_recent
            sa.text(
                """
                SELECT c.id FROM conversation c
                JOIN decision d ON d.team_id = c.team_id AND d.id = c.decision_id
                LEFT JOIN link l ON l.team_id = c.team_id AND l.conversation_id = c.id
                  AND l.is_primary AND l.removed_at IS NULL
                WHERE c.merged_into IS NULL
                  AND ((d.outcome = 'ambiguous' AND l.id IS NULL)
                       OR (d.detail -> 'params' ? 'review' AND l.id IS NOT NULL))
                  AND (CAST(:accounts AS bigint[]) IS NULL OR EXISTS (
                    SELECT FROM inbox_entry e WHERE e.team_id = c.team_id AND e.conversation_id = c.id
                      AND e.account_id = ANY(:accounts)))
                ORDER BY c.last_message_at DESC, c.id DESC LIMIT :limit
                """
            ),
            {"accounts": None if accounts is None else sorted(accounts), "limit": limit},
        ).scalars()
    )


def triggered_by(connection: sa.Connection, message_ids: Collection[int]) -> dict[int, StoredDecision]:
    """Return the first decision that each of the messages brought about."""
    rows = connection.execute(
        sa.text(
            """
            SELECT DISTINCT ON (d.trigger_id) d.* FROM message m
            JOIN decision d ON d.team_id = m.team_id AND d.conversation_id = m.conversation_id AND d.trigger_id = m.id
            WHERE m.id = ANY(:ids) ORDER BY d.trigger_id, d.id
            """
        ),
        {"ids": list(message_ids)},
    )
    return {row.trigger_id: _stored(row) for row in rows}


def trail(connection: sa.Connection, conversation_id: int) -> list[StoredDecision]:
    """Return every decision on a conversation, oldest first."""
    rows = connection.execute(
        sa.text("SELECT * FROM decision WHERE conversation_id = :id ORDER BY id"), {"id": conversation_id}
    )
    return [_stored(row) for row in rows]


def _detail(decision: Decision) -> dict[str, Any]:
    return {
        "params": dict(decision.params),
        "candidates": [
            {
                **_ref(candidate.ref),
                "title": candidate.title,
                "ruled_out": candidate.ruled_out,
                "evidence": [
                    {"code": evidence.code, "params": dict(evidence.params)} for evidence in candidate.evidence
                ],
            }
            for candidate in decision.candidates
        ],
        "item": _ref(decision.item) if decision.item else None,
        "item_title": decision.item_title,
        "persons": [_ref(person) for person in decision.persons],
        "organizations": [_ref(organization) for organization in decision.organizations],
        "action": decision.action,
        "earlier_messages": decision.earlier_messages,
    }


def _ref(ref: ItemRef) -> dict[str, object]:
    return {"kind": ref.kind, "external_id": ref.external_id, "connection_id": ref.connection_id}


def _stored(row: sa.Row[Any]) -> StoredDecision:
    detail: Mapping[str, Any] = row.detail
    decision = Decision(
        outcome=row.outcome,
        reason=row.reason,
        params=detail["params"],
        candidates=tuple(
            Candidate(
                ref=ItemRef(candidate["kind"], candidate["external_id"], candidate["connection_id"]),
                title=candidate["title"],
                ruled_out=candidate["ruled_out"],
                evidence=tuple(Evidence(evidence["code"], evidence["params"]) for evidence in candidate["evidence"]),
            )
            for candidate in detail["candidates"]
        ),
        item=ItemRef(**detail["item"]) if detail["item"] else None,
        item_title=detail["item_title"],
        persons=tuple(ItemRef(**ref) for ref in detail["persons"]),
        organizations=tuple(ItemRef(**ref) for ref in detail["organizations"]),
        trigger_id=row.trigger_id,
        action=detail["action"],
        earlier_messages=detail["earlier_messages"],
    )
    return StoredDecision(row.id, row.conversation_id, decision, row.at)
