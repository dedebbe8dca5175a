"""Conversations: read whole, with all that rules and readers look at, in a fixed number of queries; who may read."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from app.model import Attachment, Conversation, Copy, ItemRef, Level, Link, Message, Participant, Tombstone

_RELATED = sa.text(
    """
    WITH hit AS (
      SELECT DISTINCT m.conversation_id FROM conversation_alias a
      JOIN message m ON m.team_id = a.team_id AND m.id = a.message_id
      WHERE a.key = ANY(:keys)
    ), claiming AS (
      SELECT DISTINCT m.conversation_id FROM hit
      JOIN message known ON known.conversation_id = hit.conversation_id
      JOIN conversation_alias fact ON fact.team_id = known.team_id AND fact.message_id = known.id AND NOT fact.claimed
      JOIN conversation_alias claim ON claim.team_id = fact.team_id AND claim.key = fact.key AND claim.claimed
      JOIN message m ON m.team_id = claim.team_id AND m.id = claim.message_id
    )
    SELECT conversation_id FROM hit UNION SELECT conversation_id FROM claiming
    """
)

_CONVERSATIONS = sa.text(
    """
    SELECT c.id, c.public_id, c.namespace, c.visibility, d.conversation_id IS NOT NULL AS dismissed
    FROM conversation c LEFT JOIN dismissal d ON d.team_id = c.team_id AND d.conversation_id = c.id
    WHERE c.id = ANY(:ids) AND c.merged_into IS NULL
    """
)

_MESSAGES = sa.text(
    """
    SELECT id, public_id, conversation_id, namespace, mid_hash, fingerprint, internet_id, subject, base_subject, at,
           date_header, joined, automated, is_reply, is_forward, in_reply_to, refs, other_ids, bounce_of, thread_index,
           flags
    FROM message WHERE conversation_id = ANY(:ids) ORDER BY at, mid_hash
    """
)

_COPIES = sa.text(
    """
    SELECT c.id, c.message_id, c.account_id, c.provider_id, c.provider_thread_id, c.at, c.in_sent, c.verdict, c.joined,
           c.snippet, c.attachments, c.genuine, c.deleted_at IS NOT NULL AS deleted, b.text
    FROM message m
    JOIN message_copy c ON c.team_id = m.team_id AND c.message_id = m.id
    LEFT JOIN message_body b ON :with_text AND b.team_id = c.team_id AND b.copy_id = c.id
    WHERE m.conversation_id = ANY(:ids) ORDER BY c.id
    """
)

_PARTICIPANTS = sa.text(
    """
    SELECT p.message_id, p.copy_id, p.role, p.address, p.name
    FROM message m JOIN participant p ON p.team_id = m.team_id AND p.message_id = m.id
    WHERE m.conversation_id = ANY(:ids) ORDER BY p.message_id, p.position
    """
)

_LINKS = sa.text(
    """
    SELECT id, conversation_id, crm_connection_id, kind, external_id, title, is_primary, origin, made_by, made_at
    FROM link WHERE conversation_id = ANY(:ids) AND removed_at IS NULL ORDER BY id
    """
)

_TOMBSTONES = sa.text(
    """
    SELECT conversation_id, crm_connection_id, kind, external_id, title, member_name, at
    FROM tombstone WHERE conversation_id = ANY(:ids) ORDER BY at, external_id
    """
)


def related(connection: sa.Connection, keys: Collection[bytes]) -> list[int]:
    """Return the conversations with one of these keys, and those that claim a message of one of them."""
    if not keys:
        return []
    return list(connection.execute(_RELATED, {"keys": sorted(keys)}).scalars())


def load(connection: sa.Connection, ids: Iterable[int], *, with_text: bool = False) -> list[Conversation]:
    """Read these conversations whole; what is unknown to the team or merged away is left out."""
    wanted = {"ids": sorted(set(ids))}
    if not wanted["ids"]:
        return []
    heads = connection.execute(_CONVERSATIONS, wanted).all()
    bcc, people = _people(connection.execute(_PARTICIPANTS, wanted).all())
    copies: dict[int, list[Copy]] = defaultdict(list)
    for row in connection.execute(_COPIES, {**wanted, "with_text": with_text}):
        copies[row.message_id].append(_copy(row, bcc.get(row.id, [])))
    messages: dict[int, list[Message]] = defaultdict(list)
    for row in connection.execute(_MESSAGES, wanted):
        messages[row.conversation_id].append(_message(row, people.get(row.id, []), copies.get(row.id, [])))
    links: dict[int, list[Link]] = defaultdict(list)
    for row in connection.execute(_LINKS, wanted):
        links[row.conversation_id].append(
            Link(row.id, _ref(row), row.is_primary, row.origin, row.made_by, row.made_at, row.title)
        )
    tombstones: dict[int, list[Tombstone]] = defaultdict(list)
    for row in connection.execute(_TOMBSTONES, wanted):
        tombstones[row.conversation_id].append(Tombstone(_ref(row), row.member_name, row.at, row.title))
    return [
        Conversation(
            id=head.id,
            messages=tuple(messages[head.id]),
            links=tuple(links[head.id]),
            tombstones=tuple(tombstones[head.id]),
            visibility=head.visibility,
            namespace=head.namespace,
            public_id=str(head.public_id),
            dismissed=head.dismissed,
        )
        for head in heads
    ]


def id_of(connection: sa.Connection, public_id: str) -> int | None:
    """Return the conversation behind a public id, following merges; None when the team has none."""
    return connection.execute(
        sa.text(
            """
            WITH RECURSIVE chain AS (
              SELECT id, merged_into FROM conversation WHERE public_id = CAST(:public_id AS uuid)
              UNION ALL
              SELECT c.id, c.merged_into FROM chain JOIN conversation c ON c.id = chain.merged_into
            )
            SELECT id FROM chain WHERE merged_into IS NULL
            """
        ),
        {"public_id": public_id},
    ).scalar()


def ids_of(connection: sa.Connection, public_ids: Sequence[str]) -> dict[str, int]:
    """Return the conversations behind public ids, following merges; what the team does not have is left out."""
    rows = connection.execute(
        sa.text(
            """
            WITH RECURSIVE chain AS (
              SELECT public_id AS asked, id, merged_into FROM conversation WHERE public_id = ANY(CAST(:ids AS uuid[]))
              UNION ALL
              SELECT chain.asked, c.id, c.merged_into FROM chain JOIN conversation c ON c.id = chain.merged_into
            )
            SELECT asked, id FROM chain WHERE merged_into IS NULL
            """
        ),
        {"ids": list(public_ids)},
    )
    return {str(row.asked): row.id for row in rows}


def of_copies(connection: sa.Connection, account_id: int, provider_ids: Collection[str]) -> dict[str, int]:
    """Return the conversation of each of an account's copies, by the provider's id."""
    rows = connection.execute(
        sa.text(
            """
            SELECT c.provider_id, m.conversation_id FROM message_copy c
            JOIN message m ON m.team_id = c.team_id AND m.id = c.message_id
            WHERE c.account_id = :account AND c.provider_id = ANY(:ids)
            """
        ),
        {"account": account_id, "ids": sorted(provider_ids)},
    )
    return {row.provider_id: row.conversation_id for row in rows}


def by_internet_id(connection: sa.Connection, internet_ids: Sequence[str]) -> dict[str, int]:
    """Return the conversation of each of these Message-IDs that is stored."""
    rows = connection.execute(
        sa.text("SELECT internet_id, conversation_id FROM message WHERE internet_id = ANY(:ids) ORDER BY id"),
        {"ids": list(internet_ids)},
    )
    return {row.internet_id: row.conversation_id for row in rows}


def set_visibility(connection: sa.Connection, levels: Mapping[int, Level | None]) -> None:
    """Store the owners' choices of who may read conversations; None follows the accounts."""
    connection.execute(
        sa.text(
            """
            UPDATE conversation c SET visibility = r.level
            FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r (id bigint, level text) WHERE c.id = r.id
            """
        ),
        {"rows": json.dumps([{"id": key, "level": level} for key, level in levels.items()])},
    )


def _people(
    rows: Sequence[sa.Row[Any]],
) -> tuple[dict[int, list[Participant]], dict[int, list[Participant]]]:
    """Split participants into those seen on one copy (Bcc, by copy) and those of the message (by message)."""
    bcc: dict[int, list[Participant]] = defaultdict(list)
    people: dict[int, list[Participant]] = defaultdict(list)
    for row in rows:
        participant = Participant(row.address, row.role, row.name)
        if row.copy_id is None:
            people[row.message_id].append(participant)
        else:
            bcc[row.copy_id].append(participant)
    return bcc, people


def _copy(row: sa.Row[Any], bcc: Sequence[Participant]) -> Copy:
    return Copy(
        id=row.id,
        account_id=row.account_id,
        provider_id=row.provider_id,
        provider_thread_id=row.provider_thread_id,
        at=row.at,
        in_sent=row.in_sent,
        verdict=row.verdict,
        joined=row.joined,
        bcc=tuple(bcc),
        snippet=row.snippet,
        text=row.text or "",
        attachments=tuple(Attachment(**attachment) for attachment in row.attachments),
        deleted=row.deleted,
        genuine=row.genuine,
    )


def _message(row: sa.Row[Any], people: Sequence[Participant], copies: Sequence[Copy]) -> Message:
    return Message(
        id=row.id,
        internet_id=row.internet_id,
        mid_hash=bytes(row.mid_hash),
        fingerprint=bytes(row.fingerprint),
        at=row.at,
        subject=row.subject,
        base_subject=row.base_subject,
        participants=tuple(people),
        joined=row.joined,
        copies=tuple(copies),
        references=tuple(row.refs),
        in_reply_to=row.in_reply_to,
        other_ids=tuple(row.other_ids),
        bounce_of=row.bounce_of,
        automated=row.automated,
        is_reply=row.is_reply,
        is_forward=row.is_forward,
        thread_index=row.thread_index,
        date_header=row.date_header,
        flags=tuple(row.flags),
        namespace=row.namespace,
        public_id=str(row.public_id),
    )


def _ref(row: sa.Row[Any]) -> ItemRef:
    return ItemRef(row.kind, row.external_id, row.crm_connection_id)
