"""Who is told of what: a team's webhooks, and the notices and letters to its members."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA

from app.store.schema.columns import EMPTY_ARRAY, Text, Time, metadata, points_to, public_id, row_id, team_id, text

# --- whom a team wants to be told ---

webhook = sa.Table(
    "webhook",
    metadata,
    team_id(),
    row_id(),
    public_id(),
    sa.Column("member_id", sa.BigInteger, nullable=False),  # for whom it is judged what it may tell
    text("url", None),
    sa.Column("kinds", ARRAY(Text), nullable=False, server_default=EMPTY_ARRAY),
    sa.Column("ciphertext", BYTEA, nullable=False),  # the secrets it is signed with
    text("state", "live"),
    text("state_reason"),
    sa.Column("state_since", Time, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),  # since something got through
    sa.Column("rest_until", Time),
    sa.Column("delivered_at", Time),
    sa.Column("created_at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    sa.CheckConstraint("state in ('live','disabled')", name="state"),
    points_to("member", "member_id"),
    comment="Addresses that a team wants to be told at; each acts for the administrator who added it.",
)

webhook_delivery = sa.Table(
    "webhook_delivery",
    metadata,
    team_id(),
    row_id(),
    public_id(),
    sa.Column("webhook_id", sa.BigInteger, nullable=False),
    text("kind", None),
    sa.Column("conversation_id", sa.BigInteger),
    sa.Column("crm_connection_id", sa.BigInteger),
    sa.Column("item_kind", Text),
    sa.Column("item_id", Text),
    text("reason"),
    sa.Column("at", Time, nullable=False),
    text("state", "pending"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_at", Time),  # null: at once
    text("answer"),  # the status of the last answer, or why there was none
    sa.Column("settled_at", Time),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    sa.CheckConstraint("state in ('pending','delivered','dropped','failed')", name="state"),
    points_to("webhook", "webhook_id"),
    points_to("conversation", "conversation_id"),
    sa.Index("ix_webhook_delivery_webhook", "team_id", "webhook_id", "id"),
    sa.Index("ix_webhook_delivery_conversation", "team_id", "conversation_id"),
    sa.Index(
        "ix_webhook_delivery_pending",
        sa.text("next_at NULLS FIRST"),
        postgresql_where=sa.text("state = 'pending'"),
    ),
    comment="What a webhook is told: ids, kind, reason and time, never content.",
)

# --- notices ---

account_notice = sa.Table(
    "account_notice",
    metadata,
    team_id(),
    row_id(),
    sa.Column("account_id", sa.BigInteger, nullable=False),
    text("code", None),
    sa.Column("found_at", Time, nullable=False),
    sa.Column("announced_at", Time),
    sa.Column("recovered_at", Time),
    sa.PrimaryKeyConstraint("team_id", "id"),
    points_to("account", "account_id"),
    sa.Index(
        "uq_account_notice_open",
        "team_id",
        "account_id",
        unique=True,
        postgresql_where=sa.text("recovered_at is null"),
    ),
    comment="Accounts in trouble, since when, and when that was announced and over.",
)

letter = sa.Table(
    "letter",
    metadata,
    team_id(),
    row_id(),
    sa.Column("member_id", sa.BigInteger, nullable=False),
    text("kind", None),
    text("about", None),
    sa.Column("account_id", sa.BigInteger),
    sa.Column("made_at", Time, nullable=False),
    sa.Column("next_at", Time),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("sent_at", Time),
    text("error"),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "member_id", "kind", "about"),
    sa.CheckConstraint("kind in ('account_sick','account_well','digest','webhook_off','mail_held')", name="kind"),
    points_to("member", "member_id"),
    points_to("account", "account_id"),
    sa.Index("ix_letter_due", "next_at", postgresql_where=sa.text("next_at is not null")),
    comment="E-mail that is owed to members, or was sent: what about, never what it says.",
)
