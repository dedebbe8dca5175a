"""Stores messages: reads their headers, places them in conversations, decides. One transaction for a batch.

The team's lock is held, so that two mailboxes that receive the same mail at the same time agree on its conversation.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from app import deciding
from app.linking import headers
from app.linking.search import words_of
from app.linking.threads import Threads, keys
from app.model import Account, Conversation, Message, ProviderMessage
from app.store import conversations, inbox, merges, messages

MERGE_WINDOW = timedelta(hours=1)


def ingest(
    connection: sa.Connection,
    account: Account,
    received: Sequence[ProviderMessage],
    *,
    authserv_id: str | None,
    now: datetime,
    retention: timedelta,
) -> None:
    """Store what one mailbox received, place it, and decide on every conversation it touched.

    The originals that a forward brought along are messages of their own, in its conversation.
    """
    if not received:
        return
    lock_team(connection, account.team_id)
    around = deciding.surroundings(connection)
    whole = (each for message in received for each in (message, *message.quoted))
    read = sorted(
        (headers.read(m, account_id=account.id, ours=around.ours, authserv_id=authserv_id) for m in whole),
        key=lambda message: (message.at, message.mid_hash),
    )
    known = conversations.load(
        connection, conversations.related(connection, {key.digest for message in read for key in keys(message)})
    )
    _place(connection, messages.Writing(connection, account.team_id, account.id, now, retention), known, read, around)


def place_again(connection: sa.Connection, team_id: int, message: Message, now: datetime) -> int:
    """Place a stored message as if it just arrived, and decide: somebody said of its copies that they are genuine.

    The caller holds the team's lock. Returns the conversation it is in now.
    """
    around = deciding.surroundings(connection)
    known = conversations.load(connection, conversations.related(connection, {key.digest for key in keys(message)}))
    copy = next(copy for copy in message.copies if copy.verdict == "fail")
    writing = messages.Writing(connection, team_id, copy.account_id, now, timedelta(0))  # no new text is written
    genuine = replace(message, copies=(replace(copy, genuine=True),))
    threads, touched = _place(connection, writing, known, [genuine], around)
    placed_in = threads.conversation_of(message.id)
    if placed_in not in touched:  # it stays where it is, and counts for something now
        deciding.decide_all(connection, team_id, conversations.load(connection, [placed_in]), around, now)
    return placed_in


def _place(
    connection: sa.Connection,
    writing: messages.Writing,
    known: Sequence[Conversation],
    read: Sequence[Message],
    around: deciding.Surroundings,
) -> tuple[Threads, frozenset[int]]:
    """Place messages in the conversations they are related to, store that, and decide on all that were touched."""
    threads = Threads(
        known,
        around.ours,
        merges_this_hour=merges.recent(connection, writing.now - MERGE_WINDOW),
        kept_apart=merges.kept_apart(connection, [conversation.id for conversation in known]),
    )
    for message in read:
        threads.place(message)
    written = messages.write(writing, known, threads)
    deciding.want_notes(connection, writing.team_id, written.orphaned_notes)
    before = {conversation.id: len(conversation.messages) for conversation in known}
    only_copies = {c.id for c in written.touched if before.get(c.id) == len(c.messages)}
    deciding.decide_all(connection, writing.team_id, written.touched, around, writing.now, only_copies=only_copies)
    inbox.write_words(connection, {each.id: words_of(each) for each in written.touched})
    return threads, frozenset(conversation.id for conversation in written.touched)


def known_copies(connection: sa.Connection, account_id: int, provider_ids: Collection[str]) -> frozenset[str]:
    """Return which of these ids are stored already, so that no message is read twice."""
    if not provider_ids:
        return frozenset()
    rows = connection.execute(
        sa.text(
            """
            SELECT provider_id FROM message_copy
            WHERE account_id = :account AND provider_id = ANY(:ids) AND deleted_at IS NULL
            """
        ),
        {"account": account_id, "ids": sorted(provider_ids)},
    )
    return frozenset(rows.scalars())


def refresh_notes(connection: sa.Connection, team_id: int, conversation_ids: Collection[int]) -> None:
    """Ask for the notes of these conversations to be looked at: a copy was deleted or shown to other people."""
    inbox.refresh(connection, conversation_ids)
    found = conversations.load(connection, conversation_ids)
    inbox.write_words(connection, {each.id: words_of(each) for each in found})
    wanted = {(each.id, each.primary_link.ref) for each in found if each.primary_link is not None}
    deciding.want_notes(connection, team_id, wanted)


def lock_team(connection: sa.Connection, team_id: int) -> None:
    """Hold the team's conversations until the transaction ends."""
    connection.execute(
        sa.text("SELECT pg_advisory_xact_lock(hashtextextended('threadlink.ingest', :team))"), {"team": team_id}
    )
