"""Says what a conversation is linked to and why, as plain data for the command line, the demo and later the pages.

With a reader, everything is what that reader may see (conversations.md V4); without one it is the operator's view.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from app.linking.authenticity import direction
from app.linking.reasons import action_label, sentence
from app.links import Seen
from app.model import Account, Candidate, Conversation, Link, Ours
from app.store import accounts, conversations, crm, decisions, merges
from app.store.decisions import StoredDecision


def describe(connection: sa.Connection, conversation_ids: Sequence[int], locale: str) -> list[dict[str, Any]]:
    """Return conversations in the shape of command-line.md, oldest first."""
    by_id = {account.id: account for account in accounts.accounts(connection)}
    ours = accounts.ours(connection)
    decided = decisions.current(connection, conversation_ids)
    calls: dict[int, Counter[str]] = defaultdict(Counter)
    for note in crm.notes_of(connection, conversation_ids):
        calls[note.conversation_id].update(writes=note.writes, reads=note.reads)
    found = sorted(conversations.load(connection, conversation_ids), key=_first)
    return [
        {
            "id": conversation.public_id,
            "subject": conversation.messages[0].subject if conversation.messages else "",
            **_holders(conversation, by_id),
            "messages": _messages(conversation, ours),
            "decision": decision_json(decided.get(conversation.id), locale),
            "link": _link(conversation.primary_link),
            "persons": _related(conversation, "person"),
            "organizations": _related(conversation, "organization"),
            "crm": {kind: calls[conversation.id][kind] for kind in ("writes", "reads")},
        }
        for conversation in found
    ]


def explain(connection: sa.Connection, seen: Seen, locale: str) -> dict[str, Any]:
    """Return all that a member may know of one conversation: what it is, why, what would change it, and its history."""
    conversation = seen.conversation
    shown = describe(connection, [conversation.id], locale)[0]
    levels = {message.id: seen.level_of(message) for message in conversation.messages}
    decided = decisions.current(connection, [conversation.id]).get(conversation.id)
    action = decided.decision.action if decided else None
    return {
        **shown,
        "subject": shown["subject"] if seen.reads_subject else None,
        "messages": [
            {**told, "readable": levels[message.id]}
            for told, message in zip(shown["messages"], conversation.messages, strict=True)
        ],
        "action": {"code": action, "label": action_label(action, locale)} if action else None,
        "trigger": _trigger(conversation, decided),
        "may_link": seen.may_link,
        "claims": _claims(connection, conversation),
        "merged": [row.id for row in merges.into(connection, conversation.id)],
        "notes": [
            {"item": str(note.ref), "state": note.state, "error": note.error, "written_at": _utc(note.written_at)}
            for note in crm.notes_of(connection, [conversation.id])
        ],
        "history": [
            {
                "at": _utc(earlier.at),
                "outcome": earlier.decision.outcome,
                "reason": earlier.decision.reason,
                "sentence": sentence(earlier.decision.reason, earlier.decision.params, locale),
            }
            for earlier in decisions.trail(connection, conversation.id)
        ],
    }


def decision_json(stored: StoredDecision | None, locale: str) -> dict[str, Any] | None:
    """Return a decision with its sentence and every candidate with its evidence."""
    if stored is None:
        return None
    decision = stored.decision
    return {
        "outcome": decision.outcome,
        "reason": decision.reason,
        "sentence": sentence(decision.reason, decision.params, locale),
        "candidates": [_candidate(candidate, locale) for candidate in decision.candidates],
    }


def _candidate(candidate: Candidate, locale: str) -> dict[str, Any]:
    return {
        "kind": candidate.ref.kind,
        "id": candidate.ref.external_id,
        "title": candidate.title,
        "ruled_out": candidate.ruled_out,
        "evidence": [sentence(evidence.code, evidence.params, locale) for evidence in candidate.evidence],
    }


def _holders(conversation: Conversation, by_id: dict[int, Account]) -> dict[str, list[str]]:
    holders = {copy.account_id for message in conversation.messages for copy in message.copies}
    found = [by_id[account_id] for account_id in sorted(holders) if account_id in by_id]
    return {
        "accounts": sorted(account.address for account in found),
        "providers": sorted({account.provider for account in found}),
    }


def _messages(conversation: Conversation, ours: Ours) -> list[dict[str, Any]]:
    return [
        {
            "internet_id": message.internet_id,
            "sent_at": _utc(message.at),
            "direction": direction(message, ours),
        }
        for message in conversation.messages
    ]


def _link(link: Link | None) -> dict[str, Any] | None:
    if link is None:
        return None
    return {"kind": link.ref.kind, "id": link.ref.external_id, "title": link.title, "origin": link.origin}


def _related(conversation: Conversation, kind: str) -> list[dict[str, Any]]:
    return [{"id": link.ref.external_id, "name": link.title} for link in conversation.links if link.ref.kind == kind]


def _trigger(conversation: Conversation, stored: StoredDecision | None) -> str | None:
    if stored is None:
        return None
    return next((m.internet_id for m in conversation.messages if m.id == stored.decision.trigger_id), None)


def _claims(connection: sa.Connection, conversation: Conversation) -> list[dict[str, str]]:
    """Return the conversations this one says it answers without a witness."""
    rows = connection.execute(
        sa.text(
            """
            SELECT c.public_id, p.why FROM merge_pair p
            JOIN conversation c ON c.team_id = p.team_id AND c.id = p.other_id
            WHERE p.conversation_id = :id ORDER BY p.at, c.id
            """
        ),
        {"id": conversation.id},
    )
    return [{"conversation": str(row.public_id), "why": row.why} for row in rows]


def _first(conversation: Conversation) -> tuple[datetime, int]:
    return (conversation.messages[0].at if conversation.messages else datetime.max.replace(tzinfo=UTC), conversation.id)


def _utc(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None
