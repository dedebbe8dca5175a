"""Writing what a batch of messages changed: one statement a table, however many messages."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app.linking.threads import MergeDone, Threads, keys
from app.model import Conversation, Copy, ItemRef, Message, Participant
from app.store import merges, schema
from app.store.rows import insert_rows

# A Bcc recipient hangs on one copy: its position begins here, so that it never meets those of the message.
_BCC_POSITION = 100_000


@dataclass(frozen=True, slots=True)
class Writing:
    """The transaction a batch is written in."""

    connection: sa.Connection
    team_id: int
    account_id: int
    now: datetime
    retention: timedelta


@dataclass(frozen=True, slots=True)
class Written:
    """What a batch left: the conversations it touched, and (absorbed conversation, item) whose notes have to go."""

    touched: list[Conversation]
    orphaned_notes: list[tuple[int, ItemRef]]


def write(writing: Writing, known: Sequence[Conversation], threads: Threads) -> Written:
    """Store what placing a batch changed. Ids below zero are new; what is returned has the ids it was given."""
    before = {conversation.id: conversation for conversation in known}
    stored = {message.id: (c.id, message) for c in known for message in c.messages}
    after = threads.touched
    conversation_ids = _write_conversations(writing, after, threads.merges)
    message_ids = _write_messages(writing, after, conversation_ids)
    copy_ids = _write_copies(writing, after, message_ids)
    touched = [_with_ids(c, conversation_ids, message_ids, copy_ids) for c in after]
    new_messages, new_copies = set(message_ids.values()), set(copy_ids.values())
    messages = [(conversation.id, message) for conversation in touched for message in conversation.messages]
    _write_participants(writing, messages, new_messages, new_copies)
    _write_bodies(writing, messages, new_copies)
    _write_aliases(writing, messages, new_copies)
    merging = _merging(threads, before, conversation_ids, message_ids)
    orphaned = merges.merge(writing.connection, writing.team_id, writing.account_id, merging, writing.now)
    _update_messages(writing, messages, stored)
    _update_conversations(writing, touched, before)
    merges.leave_apart(writing.connection, writing.team_id, _pairs(threads, conversation_ids, message_ids), writing.now)
    return Written(touched, orphaned)


def mark_genuine(connection: sa.Connection, message_id: int) -> None:
    """Note that somebody said of a message's refused copies that they are genuine."""
    connection.execute(
        sa.text("UPDATE message_copy SET genuine = true WHERE message_id = :id AND verdict = 'fail'"),
        {"id": message_id},
    )


def _write_conversations(writing: Writing, after: Sequence[Conversation], done: Sequence[MergeDone]) -> dict[int, int]:
    """Insert the new conversations, those that merged away at once included; return new id by old."""
    new = {c.id: c for c in (*after, *(merge.absorbed_before for merge in done)) if c.id < 0}
    return _inserted(
        writing,
        schema.conversation,
        [(old_id, {"namespace": c.namespace, **_span(c.messages)}) for old_id, c in new.items()],
    )


def _merging(
    threads: Threads,
    before: Mapping[int, Conversation],
    conversation_ids: Mapping[int, int],
    message_ids: Mapping[int, int],
) -> list[merges.Merging]:
    """Return the merges to write: those that were done, and conversations whose messages all found a better place."""
    done = [(merge.survivor, merge.absorbed_before) for merge in threads.merges]
    absorbed = {conversation.id for _, conversation in done}
    for conversation in before.values():
        homes = [threads.conversation_of(message.id) for message in conversation.messages]
        if homes and conversation.id not in homes and conversation.id not in absorbed:
            done.append((homes[0], conversation))
    return [
        merges.Merging(
            conversation_ids.get(survivor, survivor),
            conversation_ids.get(absorbed.id, absorbed.id),
            tuple(message_ids.get(i, i) for i in _stood_in(absorbed, before.get(absorbed.id))),
        )
        for survivor, absorbed in done
    ]


def _stood_in(absorbed: Conversation, stored: Conversation | None) -> dict[int, None]:
    """Return the messages to give back: a stored one may itself be what brought the two conversations together."""
    messages = (*absorbed.messages, *(stored.messages if stored else ()))
    return dict.fromkeys(message.id for message in messages)


def _pairs(threads: Threads, conversation_ids: Mapping[int, int], message_ids: Mapping[int, int]) -> list[merges.Apart]:
    return [
        merges.Apart(
            conversation_ids.get(pair.conversation, pair.conversation),
            conversation_ids.get(pair.other, pair.other),
            pair.why,
            message_ids.get(pair.message_id, pair.message_id),
        )
        for pair in threads.pairs
    ]


def _write_messages(
    writing: Writing, after: Sequence[Conversation], conversation_ids: Mapping[int, int]
) -> dict[int, int]:
    new = [(c.id, message) for c in after for message in c.messages if message.id < 0]
    return _inserted(
        writing,
        schema.message,
        [(message.id, {"conversation_id": conversation_ids.get(i, i), **_message_row(message)}) for i, message in new],
    )


def _write_copies(
    writing: Writing, after: Sequence[Conversation], message_ids: Mapping[int, int]
) -> dict[tuple[int, str], int]:
    """Insert the new copies; return their ids by (account, provider id)."""
    rows = insert_rows(
        writing.connection,
        schema.message_copy,
        [
            {
                "team_id": writing.team_id,
                "message_id": message_ids.get(message.id, message.id),
                "account_id": copy.account_id,
                "provider_id": copy.provider_id,
                "provider_thread_id": copy.provider_thread_id,
                "at": copy.at,
                "in_sent": copy.in_sent,
                "verdict": copy.verdict,
                "joined": copy.joined,
                "snippet": copy.snippet,
                "attachments": [
                    {"name": a.name, "size_bytes": a.size_bytes, "content_type": a.content_type}
                    for a in copy.attachments
                ],
            }
            for conversation in after
            for message in conversation.messages
            for copy in message.copies
            if copy.id <= 0
        ],
        returning=["id", "account_id", "provider_id"],
        # A message that was deleted and came back under the same id.
        on_conflict=(
            "(team_id, account_id, provider_id) DO UPDATE SET message_id = excluded.message_id, at = excluded.at,"
            " in_sent = excluded.in_sent, snippet = excluded.snippet, deleted_at = NULL"
        ),
    )
    return {(row.account_id, row.provider_id): row.id for row in rows}


def _write_participants(
    writing: Writing, messages: Sequence[tuple[int, Message]], new_messages: set[int], new_copies: set[int]
) -> None:
    rows: list[dict[str, Any]] = []
    for _, message in messages:
        people: list[tuple[int | None, int, Participant]] = []
        if message.id in new_messages:
            people += [(None, i, p) for i, p in enumerate(message.participants)]
        for index, copy in enumerate(message.copies):
            if copy.id in new_copies:
                people += [(copy.id, _BCC_POSITION * (index + 1) + i, p) for i, p in enumerate(copy.bcc)]
        rows += [
            {
                "team_id": writing.team_id,
                "message_id": message.id,
                "position": position,
                "copy_id": copy_id,
                "role": participant.role,
                "address": participant.address,
                "name": participant.name,
            }
            for copy_id, position, participant in people
        ]
    insert_rows(writing.connection, schema.participant, rows, on_conflict="DO NOTHING")


def _write_bodies(writing: Writing, messages: Sequence[tuple[int, Message]], new_copies: set[int]) -> None:
    insert_rows(
        writing.connection,
        schema.message_body,
        [
            {
                "team_id": writing.team_id,
                "copy_id": copy.id,
                "text": copy.text,
                "expires_at": max(copy.at, writing.now) + writing.retention,
            }
            for _, message in messages
            for copy in message.copies
            if copy.id in new_copies and copy.text
        ],
        on_conflict="(team_id, copy_id) DO UPDATE SET text = excluded.text, expires_at = excluded.expires_at",
    )


def _write_aliases(writing: Writing, messages: Sequence[tuple[int, Message]], new_copies: set[int]) -> None:
    insert_rows(
        writing.connection,
        schema.conversation_alias,
        [
            {"team_id": writing.team_id, "key": key.digest, "message_id": message.id, "claimed": key.claimed}
            for _, message in messages
            if any(copy.id in new_copies for copy in message.copies)
            for key in keys(message)
        ],
        on_conflict="DO NOTHING",
    )


def _update_messages(
    writing: Writing,
    messages: Sequence[tuple[int, Message]],
    stored: Mapping[int, tuple[int, Message]],
) -> None:
    """Bring stored messages and copies up to what a later copy or witness made of them."""
    changed = [
        {
            "id": m.id,
            "conversation_id": i,
            "namespace": m.namespace,
            "at": m.at.isoformat(),
            "joined": m.joined,
            "flags": list(m.flags),
        }
        for i, m in messages
        if m.id in stored and (i, *_mutable(m)) != (stored[m.id][0], *_mutable(stored[m.id][1]))
    ]
    if changed:
        writing.connection.execute(
            sa.text(
                """
                UPDATE message m SET conversation_id = r.conversation_id, namespace = r.namespace, at = r.at,
                  joined = r.joined, flags = r.flags
                FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r
                  (id bigint, conversation_id bigint, namespace text, at timestamptz, joined text, flags text[])
                WHERE m.id = r.id
                """
            ),
            {"rows": json.dumps(changed)},
        )
    joined = {copy.id: copy.joined for _, message in stored.values() for copy in message.copies}
    copies = [
        {"id": copy.id, "joined": copy.joined}
        for _, message in messages
        for copy in message.copies
        if joined.get(copy.id, copy.joined) != copy.joined
    ]
    if copies:
        writing.connection.execute(
            sa.text(
                """
                UPDATE message_copy c SET joined = r.joined
                FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r (id bigint, joined text) WHERE c.id = r.id
                """
            ),
            {"rows": json.dumps(copies)},
        )


def _mutable(message: Message) -> tuple[object, ...]:
    return message.namespace, message.at, message.joined, message.flags


def _update_conversations(writing: Writing, after: Iterable[Conversation], before: Mapping[int, Conversation]) -> None:
    """Keep the span, count, subject and namespace of conversations that were there before."""
    changed = [c for c in after if c.id in before and c.messages != before[c.id].messages]
    if not changed:
        return
    writing.connection.execute(
        sa.text(
            """
            UPDATE conversation c SET first_message_at = r.first_message_at, last_message_at = r.last_message_at,
              message_count = r.message_count, subject = r.subject, namespace = r.namespace
            FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r (id bigint, first_message_at timestamptz,
              last_message_at timestamptz, message_count int, subject text, namespace text)
            WHERE c.id = r.id
            """
        ),
        {
            "rows": json.dumps(
                [{"id": c.id, "namespace": c.namespace, **_span(c.messages)} for c in changed],
                default=datetime.isoformat,
            )
        },
    )


def _span(messages: Sequence[Message]) -> dict[str, Any]:
    ordered = sorted(messages, key=lambda message: (message.at, message.mid_hash))
    return {
        "first_message_at": ordered[0].at,
        "last_message_at": ordered[-1].at,
        "message_count": len(ordered),
        "subject": ordered[0].subject,
    }


def _message_row(message: Message) -> dict[str, Any]:
    return {
        "namespace": message.namespace,
        "mid_hash": message.mid_hash,
        "fingerprint": message.fingerprint,
        "internet_id": message.internet_id,
        "subject": message.subject,
        "base_subject": message.base_subject,
        "at": message.at,
        "date_header": message.date_header,
        "joined": message.joined,
        "automated": message.automated,
        "is_reply": message.is_reply,
        "is_forward": message.is_forward,
        "in_reply_to": message.in_reply_to,
        "refs": list(message.references),
        "other_ids": list(message.other_ids),
        "bounce_of": message.bounce_of,
        "thread_index": message.thread_index,
        "flags": list(message.flags),
    }


def _inserted(writing: Writing, table: sa.Table, rows: Sequence[tuple[int, Mapping[str, Any]]]) -> dict[int, int]:
    """Insert (old id, row) and return the new id of each; public ids, made here, tell which is which."""
    public = {str(uuid.uuid4()): old_id for old_id, _ in rows}
    inserted = insert_rows(
        writing.connection,
        table,
        [
            {"team_id": writing.team_id, "public_id": public_id, **row}
            for public_id, (_, row) in zip(public, rows, strict=True)
        ],
        returning=["id", "public_id"],
    )
    return {public[str(row.public_id)]: row.id for row in inserted}


def _with_ids(
    conversation: Conversation,
    conversation_ids: Mapping[int, int],
    message_ids: Mapping[int, int],
    copy_ids: Mapping[tuple[int, str], int],
) -> Conversation:
    def named(copy: Copy) -> Copy:
        return replace(copy, id=copy_ids[copy.account_id, copy.provider_id]) if copy.id <= 0 else copy

    return replace(
        conversation,
        id=conversation_ids.get(conversation.id, conversation.id),
        messages=tuple(
            replace(message, id=message_ids.get(message.id, message.id), copies=tuple(map(named, message.copies)))
            if message.id < 0 or any(copy.id <= 0 for copy in message.copies)
            else message
            for message in conversation.messages
        ),
    )
