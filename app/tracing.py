"""What became of a mail, step by step: seen, left out by which rule, stored, decided, written to the CRM (B8).

A member asks about own mailboxes. An administrator may ask about all of them, by Message-ID or sender alone: words of a
subject would say what is in mail that an administrator does not read (C12).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from app.acting import Seen, may_name, see
from app.linking.addresses import normalize
from app.linking.reasons import sentence, utc
from app.linking.visibility import Reader, note_messages
from app.model import Account, Member, Message
from app.store import accounts as account_rows
from app.store import crm, decisions
from app.store.crm import CrmWrite
from app.store.decisions import StoredDecision

MOST_FOUND = 20
LONGEST_QUERY = 1_000  # a Message-ID is at most that long
LEFT_OUT_SINCE = timedelta(days=30)

StepCode = Literal[
    "sent", "seen", "filtered", "gone", "parked", "pending", "stored", "decided", "written", "kept", "refused"
]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened: what, when as far as that is known, and where."""

    code: StepCode
    at: datetime | None
    account: str = ""
    told: str = ""  # a decision's sentence
    reason: str = ""  # its stable code, or the rule that left a mail out


@dataclass(frozen=True, slots=True)
class Traced:
    """A mail that is stored, with what happened to it; `subject` is None where the member may not read it."""

    conversation: str
    message: str
    internet_id: str
    subject: str | None
    link: str  # as deal/42; "" for none
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How many mails of an account a rule left out in the last 30 days, and when the last of them was seen."""

    account: str
    state: str
    rule: str
    count: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Trace:
    """What was found; where nothing is stored, what lies under that very id at the provider, and what is left out."""

    found: tuple[Traced, ...]
    conversations: tuple[Seen, ...]  # those of what was found
    not_stored: tuple[Step, ...]
    left_out: tuple[LeftOut, ...]


def trace(
    connection: sa.Connection, member: Member, query: str, locale: str, now: datetime, *, everywhere: bool = False
) -> Trace:
    """Return what became of the newest MOST_FOUND mails with this Message-ID, sender or words of the subject.

    With `everywhere`, for administrators, in all mailboxes of the team and without looking at subjects.
    """
    known = {account.id: account for account in account_rows.accounts(connection)}
    asked = sorted(known if everywhere else Reader.of(member, known.values()).account_ids)
    query = query[:LONGEST_QUERY]
    rows = _copies(connection, asked, query, by_subject=not everywhere)
    seen = see(connection, member, {row.conversation_id for row in rows})
    of_message: dict[int, list[sa.Row[Any]]] = {}
    for row in rows:
        of_message.setdefault(row.message_id, []).append(row)
    messages = {m.id: (each, m) for each in seen.values() for m in each.known if m.id in of_message}
    decided = decisions.triggered_by(connection, list(messages))
    named = may_name(connection, member, [(messages[key][0], each.decision) for key, each in decided.items()])
    notes: dict[int, list[CrmWrite]] = {}
    for note in crm.notes_of(connection, list(seen)):
        notes.setdefault(note.conversation_id, []).append(note)
    found = tuple(
        _traced(
            *messages[key],
            of_message[key],
            known,
            decided.get(key),
            notes,
            is_named=messages[key][0].conversation.id in named,
            locale=locale,
        )
        for key in of_message
        if key in messages
    )
    return Trace(
        found,
        tuple({seen.conversation.id: seen for seen, _ in messages.values()}.values()),
        () if found else _not_stored(connection, known, asked, query),
        () if found else _left_out(connection, known, asked, now - LEFT_OUT_SINCE),
    )


def document(traced: Trace) -> dict[str, Any]:
    """Return what was found as programs read it."""
    return {
        "mails": [
            {
                "conversation": each.conversation,
                "message": each.message,
                "internet_id": each.internet_id,
                "subject": each.subject,
                "link": each.link or None,
                "steps": [_step_document(step) for step in each.steps],
            }
            for each in traced.found
        ],
        "not_stored": [_step_document(step) for step in traced.not_stored],
        "left_out": [
            {
                "account": left.account,
                "state": left.state,
                "rule": left.rule,
                "count": left.count,
                "last_at": utc(left.last_at),
            }
            for left in traced.left_out
        ],
    }


def _step_document(step: Step) -> dict[str, Any]:
    return {
        "step": step.code,
        "at": utc(step.at) if step.at else None,
        "account": step.account,
        "reason": step.reason,
        "sentence": step.told,
    }


def report(traced: Trace, query_kind: str, now: datetime) -> str:
    """Write a trace for somebody else to read: ids, times and codes; no address, subject, name or title."""
    lines = [f"threadlink doctor, {utc(now)}, asked by {query_kind}"]
    for each in traced.found:
        lines += ["", each.internet_id, f"conversation {each.conversation}, linked to {each.link or 'nothing'}"]
        lines += [f"  {_moment(step)} {step.code} {step.reason}".rstrip() for step in each.steps]
    lines += [f"not stored: {_moment(step)} {step.code} {step.reason}".rstrip() for step in traced.not_stored]
    for left in traced.left_out:
        lines.append(f"left out in 30 days: {left.count} {left.state} {left.rule}, the last {utc(left.last_at)}")
    return "\n".join(lines)


def kind_of(query: str) -> str:
    """Say what a query looks like, for the audit trail: its words are nobody's business."""
    if query.startswith("<") or ("@" in query and normalize(query) is None):
        return "message id"
    return "message id or sender" if "@" in query else "words"


def _moment(step: Step) -> str:
    return utc(step.at) if step.at else "-"


def _copies(
    connection: sa.Connection, account_ids: Sequence[int], query: str, *, by_subject: bool
) -> Sequence[sa.Row[Any]]:
    """Return the copies of the mails that fit, newest mail first, with when each was seen and stored."""
    return connection.execute(
        sa.text(
            f"""
            SELECT f.conversation_id, f.id AS message_id, c.account_id, c.at, d.discovered_at, d.settled_at
            FROM (
              SELECT m.team_id, m.id, m.conversation_id, m.at FROM message m
              WHERE (m.internet_id IN (:query, '<' || :query || '>')
                  {"OR strpos(lower(m.subject), lower(:query)) > 0" if by_subject else ""}
                  OR EXISTS (SELECT FROM participant p WHERE p.team_id = m.team_id AND p.message_id = m.id
                             AND p.role = 'from' AND p.address = :address))
                AND EXISTS (SELECT FROM message_copy c WHERE c.team_id = m.team_id AND c.message_id = m.id
                            AND c.account_id = ANY(:accounts))
              ORDER BY m.at DESC, m.id DESC LIMIT :most
            ) f
            JOIN message_copy c ON c.team_id = f.team_id AND c.message_id = f.id AND c.account_id = ANY(:accounts)
            LEFT JOIN discovered_message d
              ON d.team_id = c.team_id AND d.account_id = c.account_id AND d.provider_id = c.provider_id
            ORDER BY f.at DESC, f.id DESC, c.at
            """  # a condition of ours
        ),
        {"query": query, "address": normalize(query) or "", "accounts": list(account_ids), "most": MOST_FOUND},
    ).all()


def _traced(
    seen: Seen,
    message: Message,
    copies: Sequence[sa.Row[Any]],
    accounts: Mapping[int, Account],
    decided: StoredDecision | None,
    notes: Mapping[int, Sequence[CrmWrite]],
    *,
    is_named: bool,
    locale: str,
) -> Traced:
    primary = seen.conversation.primary_link
    steps = [Step("sent", message.at)]
    for row in copies:
        address = _address(seen, message, accounts[row.account_id])
        steps += [Step("seen", row.discovered_at, address)] if row.discovered_at else []
        steps += [Step("stored", row.settled_at, address)] if row.settled_at else []
    if decided is not None:
        decision = decided.decision
        told = sentence(decision.reason, decision.params if is_named else {}, locale)
        steps.append(Step("decided", decided.at, told=told, reason=decision.reason))
    for note in notes.get(seen.conversation.id, ()):
        if primary is None or note.ref != primary.ref:
            continue
        if note.state == "parked":
            steps.append(Step("refused", None, reason=note.error.partition(":")[0]))
        elif note.written_at is not None:
            steps.append(Step("written", note.written_at) if _is_shown(seen, message) else Step("kept", None))
    return Traced(
        conversation=seen.conversation.public_id,
        message=message.public_id,
        internet_id=message.internet_id,
        subject=message.subject if seen.level_of(message) in ("subject", "full") else None,
        link=str(primary.ref) if primary is not None and seen.sees_item else "",
        steps=tuple(steps),
    )


def _is_shown(seen: Seen, message: Message) -> bool:
    """Whether a note of the conversation holds this message: none among colleagues, and none that is not shared."""
    return any(
        (each.at, each.internet_id) == (message.at, message.internet_id)
        for each in note_messages(seen.conversation, seen.accounts, seen.ours)
    )


def _address(seen: Seen, message: Message, account: Account) -> str:
    """Return where a copy lies; a mailbox of others that is not named on the mail would say who was in Bcc."""
    named = {person.address for person in message.participants}
    is_known = account.id in seen.reader.account_ids or not named.isdisjoint({account.address, *account.own_addresses})
    return account.address if is_known else ""


def _not_stored(
    connection: sa.Connection, accounts: Mapping[int, Account], account_ids: Sequence[int], query: str
) -> tuple[Step, ...]:
    """Return what became of a mail that is not stored, by the id that its provider gives it."""
    rows = connection.execute(
        sa.text(
            """
            SELECT account_id, state, rule, discovered_at FROM discovered_message
            WHERE account_id = ANY(:accounts) AND provider_id = :query AND state <> 'stored' ORDER BY discovered_at
            """
        ),
        {"accounts": list(account_ids), "query": query},
    )
    return tuple(Step(row.state, row.discovered_at, accounts[row.account_id].address, reason=row.rule) for row in rows)


def _left_out(
    connection: sa.Connection, accounts: Mapping[int, Account], account_ids: Collection[int], since: datetime
) -> tuple[LeftOut, ...]:
    rows = connection.execute(
        sa.text(
            """
            SELECT account_id, state, rule, count(*) AS n, max(discovered_at) AS last_at FROM discovered_message
            WHERE account_id = ANY(:accounts) AND state IN ('filtered', 'parked', 'pending') AND discovered_at >= :since
            GROUP BY account_id, state, rule ORDER BY account_id, state, rule LIMIT 100
            """
        ),
        {"accounts": list(account_ids), "since": since},
    )
    return tuple(LeftOut(accounts[row.account_id].address, row.state, row.rule, row.n, row.last_at) for row in rows)
