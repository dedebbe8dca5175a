"""Who uses an add-on, and which conversation the message is in that is open beside it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa


def add_user(
    connection: sa.Connection, team_id: int, provider: str, provider_user_id: str, member_id: int, now: datetime
) -> None:
    """Store which member a person at the provider is; the newest word counts."""
    connection.execute(
        sa.text(
            """
            INSERT INTO addon_user (team_id, provider, provider_user_id, member_id, made_at)
            VALUES (:team, :provider, :user, :member, :now)
            ON CONFLICT (team_id, provider, provider_user_id)
            DO UPDATE SET member_id = excluded.member_id, made_at = excluded.made_at
            """
        ),
        {"team": team_id, "provider": provider, "user": provider_user_id, "member": member_id, "now": now},
    )


def remove_user(connection: sa.Connection, provider: str, provider_user_id: str) -> bool:
    """Forget which member a person at the provider is; False when nobody had said it."""
    return (
        connection.execute(
            sa.text("DELETE FROM addon_user WHERE provider = :provider AND provider_user_id = :user"),
            {"provider": provider, "user": provider_user_id},
        ).rowcount
        > 0
    )


def is_user(connection: sa.Connection, provider: str, provider_user_id: str) -> bool:
    """Say whether a member of the team said to be this person at the provider."""
    return bool(
        connection.execute(
            sa.text("SELECT EXISTS (SELECT FROM addon_user WHERE provider = :provider AND provider_user_id = :user)"),
            {"provider": provider, "user": provider_user_id},
        ).scalar()
    )


def account_of(
    connection: sa.Connection, provider: str, provider_user_id: str, account_ids: Collection[int]
) -> int | None:
    """Return which of these accounts is the mailbox of a person at the provider."""
    return connection.execute(
        sa.text(
            """
            SELECT id FROM account WHERE provider = :provider AND (provider_user_id = :user OR mailbox = :user)
              AND id = ANY(:accounts) AND state <> 'disconnected' ORDER BY id LIMIT 1
            """
        ),
        {"provider": provider, "user": provider_user_id, "accounts": sorted(account_ids)},
    ).scalar()


def conversation_of_copy(connection: sa.Connection, account_id: int, provider_id: str) -> int | None:
    """Return the conversation that a mailbox's message is in."""
    return connection.execute(
        sa.text(
            """
            SELECT m.conversation_id FROM message_copy c
            JOIN message m ON m.team_id = c.team_id AND m.id = c.message_id
            WHERE c.account_id = :account AND c.provider_id = :id
            """
        ),
        {"account": account_id, "id": provider_id},
    ).scalar()


def conversation_of_named(
    connection: sa.Connection, account_ids: Collection[int], mid_hash: bytes, thread_id: str
) -> int | None:
    """Return the conversation of the message with a Message-ID, or else of a thread, that one of these accounts holds.

    Of several messages under one Message-ID the one in the thread counts: a Message-ID is what its sender wrote.
    """
    return connection.execute(
        sa.text(
            """
            SELECT conversation_id FROM (
              SELECT m.conversation_id, 0 AS guess, c.provider_thread_id IS DISTINCT FROM :thread AS elsewhere, c.at
              FROM message m JOIN message_copy c ON c.team_id = m.team_id AND c.message_id = m.id
              WHERE m.namespace = '' AND m.mid_hash = :hash AND c.account_id = ANY(:accounts)
              UNION ALL
              SELECT m.conversation_id, 1, false, c.at
              FROM message_copy c JOIN message m ON m.team_id = c.team_id AND m.id = c.message_id
              WHERE c.account_id = ANY(:accounts) AND c.provider_thread_id = :thread AND :thread <> ''
            ) AS found ORDER BY guess, elsewhere, at DESC LIMIT 1
            """
        ),
        {"accounts": sorted(account_ids), "hash": mid_hash, "thread": thread_id},
    ).scalar()


def conversations_of_message(connection: sa.Connection, mid_hash: bytes, fingerprint: bytes) -> list[int]:
    """Return the conversations that hold this very message: the same Message-ID and the same fingerprint."""
    rows = connection.execute(
        sa.text(
            "SELECT conversation_id FROM message WHERE mid_hash = :hash AND fingerprint = :fingerprint ORDER BY id"
        ),
        {"hash": mid_hash, "fingerprint": fingerprint},
    )
    return list(rows.scalars())


def conversations_of_hashes(
    connection: sa.Connection, account_ids: Collection[int], mid_hashes: Collection[bytes]
) -> list[int]:
    """Return the conversations of messages with these Message-IDs that one of these accounts holds, each once."""
    rows = connection.execute(
        sa.text(
            """
            SELECT DISTINCT m.conversation_id FROM message m
            JOIN message_copy c ON c.team_id = m.team_id AND c.message_id = m.id
            WHERE m.namespace = '' AND m.mid_hash = ANY(:hashes) AND c.account_id = ANY(:accounts)
            ORDER BY m.conversation_id
            """
        ),
        {"accounts": sorted(account_ids), "hashes": list(mid_hashes)},
    )
    return list(rows.scalars())
