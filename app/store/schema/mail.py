"""Mail: what a mailbox reported, the messages, and the conversations they make."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSONB

from app.store.schema.columns import (
    EMPTY_ARRAY,
    EMPTY_JSON,
    EMPTY_LIST,
    NOW,
    Text,
    Time,
    flag,
    metadata,
    of_team,
    points_to,
    public_id,
    row_id,
    team_id,
    text,
)

hint = sa.Table(
    "hint",
    metadata,
    team_id(),
    sa.Column("account_id", sa.BigInteger, nullable=False),
    sa.Column("generation", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("synced_generation", sa.BigInteger, nullable=False, server_default="0"),
    flag("queued"),
    # The generation that enqueued the waiting job: an UPDATE can tell by it whether it was itself that did.
    sa.Column("queued_generation", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("position", Text),
    sa.Column("pushed_at", Time),
    sa.PrimaryKeyConstraint("team_id", "account_id"),
    points_to("account", "account_id"),
)

discovered_message = sa.Table(
    "discovered_message",
    metadata,
    team_id(),
    sa.Column("account_id", sa.BigInteger, nullable=False),
    sa.Column("provider_id", Text, nullable=False),
    text("provider_thread_id"),
    text("state", "pending"),  # pending stored filtered gone parked
    text("rule"),  # what filtered it, or why it is parked
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_at", Time, nullable=False, server_default=NOW),
    sa.Column("discovered_at", Time, nullable=False, server_default=NOW),
    sa.Column("settled_at", Time),
    sa.PrimaryKeyConstraint("team_id", "account_id", "provider_id"),
    sa.CheckConstraint("state in ('pending','stored','filtered','gone','parked')", name="state"),
    points_to("account", "account_id"),
    sa.Index("ix_discovered_message_discovered_at", "discovered_at", postgresql_using="brin"),
    sa.Index("ix_discovered_message_parked", "team_id", "account_id", postgresql_where=sa.text("state = 'parked'")),
    sa.Index(
        "ix_discovered_message_pending",
        "team_id",
        "account_id",
        "next_at",
        postgresql_where=sa.text("state = 'pending'"),
    ),
)

conversation = sa.Table(
    "conversation",
    metadata,
    team_id(),
    row_id(),
    public_id(),
    text("namespace"),
    text("subject"),
    sa.Column("first_message_at", Time, nullable=False),
    sa.Column("last_message_at", Time, nullable=False),
    sa.Column("message_count", sa.Integer, nullable=False, server_default="0"),
    sa.Column("visibility", Text),
    sa.Column("merged_into", sa.BigInteger),
    sa.Column("decision_id", sa.BigInteger),
    sa.Column("created_at", Time, nullable=False, server_default=NOW),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    of_team(),
    points_to("conversation", "merged_into", ondelete=None),
    sa.Index("ix_conversation_recent", "team_id", sa.text("last_message_at DESC"), sa.text("id DESC")),
)

message = sa.Table(
    "message",
    metadata,
    team_id(),
    row_id(),
    public_id(),
    sa.Column("conversation_id", sa.BigInteger, nullable=False),
    text("namespace"),
    sa.Column("mid_hash", BYTEA, nullable=False),
    sa.Column("fingerprint", BYTEA, nullable=False),
    text("internet_id", None),
    text("subject"),
    text("base_subject"),
    sa.Column("at", Time, nullable=False),
    sa.Column("date_header", Time),
    text("joined", "founded"),
    sa.Column("automated", Text),
    flag("is_reply"),
    flag("is_forward"),
    sa.Column("in_reply_to", Text),
    sa.Column("refs", ARRAY(Text), nullable=False, server_default=EMPTY_ARRAY),
    sa.Column("other_ids", ARRAY(Text), nullable=False, server_default=EMPTY_ARRAY),
    sa.Column("bounce_of", Text),
    sa.Column("thread_index", Text),
    sa.Column("flags", ARRAY(Text), nullable=False, server_default=EMPTY_ARRAY),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    sa.UniqueConstraint("team_id", "namespace", "mid_hash", "fingerprint"),
    points_to("conversation", "conversation_id"),
    sa.Index("ix_message_conversation", "team_id", "conversation_id"),
)

conversation_alias = sa.Table(
    "conversation_alias",
    metadata,
    team_id(),
    sa.Column("key", BYTEA, nullable=False),  # what linking.threads.keys made
    sa.Column("message_id", sa.BigInteger, nullable=False),
    flag("claimed"),  # the message only refers to it (References); false: it is a fact about the message
    sa.PrimaryKeyConstraint("team_id", "key", "message_id"),
    points_to("message", "message_id"),
    sa.Index("ix_conversation_alias_message", "team_id", "message_id"),
)

message_copy = sa.Table(
    "message_copy",
    metadata,
    team_id(),
    row_id(),
    sa.Column("message_id", sa.BigInteger, nullable=False),
    sa.Column("account_id", sa.BigInteger, nullable=False),
    text("provider_id", None),
    text("provider_thread_id"),
    sa.Column("at", Time, nullable=False),
    flag("in_sent"),
    text("verdict", "none"),
    text("joined", "founded"),
    text("snippet"),
    sa.Column("attachments", JSONB, nullable=False, server_default=EMPTY_LIST),
    flag("genuine"),
    sa.Column("parked", Text),
    sa.Column("deleted_at", Time),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "account_id", "provider_id"),
    points_to("message", "message_id"),
    points_to("account", "account_id"),
    sa.Index("ix_message_copy_message", "team_id", "message_id"),
    sa.Index("ix_message_copy_provider_thread_id", "team_id", "account_id", "provider_thread_id"),
)

participant = sa.Table(
    "participant",
    metadata,
    team_id(),
    sa.Column("message_id", sa.BigInteger, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("copy_id", sa.BigInteger),  # the copy a Bcc recipient is seen on
    text("role", None),
    text("address", None),
    text("name"),
    sa.PrimaryKeyConstraint("team_id", "message_id", "position"),
    points_to("message", "message_id"),
    points_to("message_copy", "copy_id"),
    sa.Index("ix_participant_address", "team_id", "address"),
)

message_body = sa.Table(
    "message_body",
    metadata,
    team_id(),
    sa.Column("copy_id", sa.BigInteger, nullable=False),
    text("text"),
    sa.Column("expires_at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "copy_id"),
    points_to("message_copy", "copy_id"),
    sa.Index("ix_message_body_expires_at", "expires_at"),
)

conversation_merge = sa.Table(
    "conversation_merge",
    metadata,
    team_id(),
    row_id(),
    sa.Column("survivor_id", sa.BigInteger, nullable=False),
    sa.Column("absorbed_id", sa.BigInteger, nullable=False),
    sa.Column("account_id", sa.BigInteger),
    sa.Column("before", JSONB, nullable=False, server_default=EMPTY_JSON),  # the partition and links before it
    sa.Column("at", Time, nullable=False),
    sa.Column("undone_at", Time),
    sa.PrimaryKeyConstraint("team_id", "id"),
    points_to("conversation", "survivor_id"),
    points_to("conversation", "absorbed_id"),
    sa.Index("ix_conversation_merge_account", "team_id", "account_id", "at"),
)

merge_pair = sa.Table(
    "merge_pair",
    metadata,
    team_id(),
    sa.Column("conversation_id", sa.BigInteger, nullable=False),
    sa.Column("other_id", sa.BigInteger, nullable=False),
    text("why"),  # claims, different_links, visibility, counterparts, many_merges, undone
    sa.Column("message_id", sa.BigInteger),
    sa.Column("at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "conversation_id", "other_id"),
    points_to("conversation", "conversation_id"),
    points_to("conversation", "other_id"),
    comment="Conversations that look like one and were left apart; the review queue shows them.",
)
