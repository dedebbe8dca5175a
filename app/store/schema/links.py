"""What was decided about a conversation, its links, and where it stands for each account."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA, JSONB, UUID

from app.store.schema.columns import (
    EMPTY_JSON,
    EMPTY_LIST,
    Time,
    flag,
    metadata,
    points_to,
    public_id,
    row_id,
    team_id,
    text,
)

decision = sa.Table(
    "decision",
    metadata,
    team_id(),
    row_id(),
    sa.Column("conversation_id", sa.BigInteger, nullable=False),
    sa.Column("digest", BYTEA, nullable=False),
    text("outcome", None),
    text("reason", None),
    sa.Column("detail", JSONB, nullable=False, server_default=EMPTY_JSON),  # params, candidates, persons, action …
    sa.Column("trigger_id", sa.BigInteger),
    sa.Column("at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "conversation_id", "digest"),
    points_to("conversation", "conversation_id"),
)

link = sa.Table(
    "link",
    metadata,
    team_id(),
    row_id(),
    public_id(),
    sa.Column("conversation_id", sa.BigInteger, nullable=False),
    sa.Column("crm_connection_id", sa.BigInteger, nullable=False),
    text("kind", None),
    text("external_id", None),
    text("title"),
    flag("is_primary"),
    text("origin", None),
    sa.Column("made_by", sa.BigInteger),
    sa.Column("made_at", Time, nullable=False),
    sa.Column("decision_id", sa.BigInteger),
    sa.Column("counterparts", BYTEA),  # digest of the counterparts when a person chose (T5)
    sa.Column("batch_id", UUID(as_uuid=False)),
    sa.Column("removed_at", Time),
    sa.Column("removed_by", sa.BigInteger),
    sa.Column("removed_batch_id", UUID(as_uuid=False)),
    text("removed_why"),  # unlinked, replaced, item_deleted, merged, undone
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    points_to("conversation", "conversation_id"),
    points_to("crm_connection", "crm_connection_id"),
    sa.Index(
        "uq_link_primary",
        "team_id",
        "conversation_id",
        unique=True,
        postgresql_where=sa.text("is_primary and removed_at is null"),
    ),
    sa.Index(
        "uq_link_record",
        "team_id",
        "conversation_id",
        "crm_connection_id",
        "kind",
        "external_id",
        unique=True,
        postgresql_where=sa.text("removed_at is null"),
    ),
    sa.Index("ix_link_record", "team_id", "crm_connection_id", "kind", "external_id"),
    sa.Index("ix_link_counterparts", "team_id", "counterparts", postgresql_where=sa.text("counterparts is not null")),
)

tombstone = sa.Table(
    "tombstone",
    metadata,
    team_id(),
    sa.Column("conversation_id", sa.BigInteger, nullable=False),
    sa.Column("crm_connection_id", sa.BigInteger, nullable=False),
    text("kind", None),
    text("external_id", None),
    text("title"),
    sa.Column("member_id", sa.BigInteger),
    text("member_name"),
    sa.Column("at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "conversation_id", "crm_connection_id", "kind", "external_id"),
    points_to("conversation", "conversation_id"),
    points_to("crm_connection", "crm_connection_id"),
)

dismissal = sa.Table(
    "dismissal",
    metadata,
    team_id(),
    sa.Column("conversation_id", sa.BigInteger, nullable=False),
    sa.Column("member_id", sa.BigInteger),
    sa.Column("candidates", JSONB, nullable=False, server_default=EMPTY_LIST),  # those known then
    sa.Column("at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "conversation_id"),
    points_to("conversation", "conversation_id"),
)

inbox_entry = sa.Table(
    "inbox_entry",
    metadata,
    team_id(),
    sa.Column("account_id", sa.BigInteger, nullable=False),
    sa.Column("conversation_id", sa.BigInteger, nullable=False),
    text("state", None),
    sa.Column("last_message_at", Time, nullable=False),
    text("words"),  # linking.search: folded, each once
    sa.PrimaryKeyConstraint("team_id", "account_id", "conversation_id"),
    points_to("account", "account_id"),
    points_to("conversation", "conversation_id"),
    sa.CheckConstraint("state in ('linked','review','unlinked','dismissed')", name="state"),
    sa.Index(
        "ix_inbox_entry_recent",
        "team_id",
        "account_id",
        sa.text("last_message_at DESC"),
        sa.text("conversation_id DESC"),
    ),
    sa.Index(
        "ix_inbox_entry_state",
        "team_id",
        "account_id",
        "state",
        sa.text("last_message_at DESC"),
        sa.text("conversation_id DESC"),
    ),
    sa.Index("ix_inbox_entry_conversation", "team_id", "conversation_id"),
    sa.Index(
        "ix_inbox_entry_words",
        sa.text(
            "array_to_tsvector(string_to_array((account_id::text || ':'::text)"
            " || replace(words, ' '::text, (' '::text || account_id::text) || ':'::text), ' '::text))"
        ),
        postgresql_using="gin",
    ),
    comment="What each account holds of a conversation, for lists and counts.",
)

offer = sa.Table(
    "offer",
    metadata,
    team_id(),
    row_id(),
    public_id(),
    sa.Column("connection_id", sa.BigInteger, nullable=False),
    text("kind", None),
    text("external_id", None),
    text("state", "open"),
    sa.Column("made_at", Time, nullable=False),
    sa.Column("settled_at", Time),
    sa.Column("settled_by", sa.BigInteger),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    sa.UniqueConstraint("team_id", "connection_id", "kind", "external_id"),
    points_to("crm_connection", "connection_id"),
    sa.CheckConstraint("state in ('open','accepted','declined')", name="state"),
    comment="Items that were created or opened again: earlier conversations may belong to them.",
)
