"""What members asked for and what was done: long work, and the audit trail."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, UUID

from app.store.schema.columns import (
    EMPTY_JSON,
    NOW,
    Time,
    metadata,
    of_team,
    points_to,
    public_id,
    row_id,
    team_id,
    text,
)

work = sa.Table(
    "work",
    metadata,
    team_id(),
    row_id(),
    public_id(),
    sa.Column("member_id", sa.BigInteger, nullable=False),  # who asked
    text("kind", None),
    text("state", None),
    text("reason"),  # why it stopped
    sa.Column("request", JSONB, nullable=False, server_default=EMPTY_JSON),
    sa.Column("batch_id", UUID(as_uuid=False), nullable=False),  # what it does is taken back by it
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("done", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("ended_at", Time),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    sa.UniqueConstraint("team_id", "batch_id"),
    sa.CheckConstraint("kind in ('bulk_link','bulk_dismiss','undo','replay','policy')", name="kind"),
    sa.CheckConstraint("state in ('looking','ready','doing','done','stopped')", name="state"),
    points_to("member", "member_id"),
    sa.Index("ix_work_running", "team_id", "kind", postgresql_where=sa.text("state in ('looking','doing')")),
    comment="What a member asked to be done to many conversations, and how far it is.",
)

work_entry = sa.Table(
    "work_entry",
    metadata,
    team_id(),
    sa.Column("work_id", sa.BigInteger, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("conversation_id", sa.BigInteger, nullable=False),
    text("state", "waiting"),
    text("reason"),  # a code: why it was refused
    sa.Column("detail", JSONB, nullable=False, server_default=EMPTY_JSON),  # what a report found
    sa.PrimaryKeyConstraint("team_id", "work_id", "position"),
    sa.CheckConstraint("state in ('waiting','found','done','refused')", name="state"),
    points_to("work", "work_id"),
    points_to("conversation", "conversation_id"),
    sa.Index("ix_work_entry_conversation", "team_id", "conversation_id"),
    comment="The conversations of a piece of work, each with what became of it.",
)

audit = sa.Table(
    "audit",
    metadata,
    team_id(),
    row_id(),
    sa.Column("at", Time, nullable=False, server_default=NOW),
    sa.Column("member_id", sa.BigInteger),
    text("action", None),
    sa.Column("conversation_id", sa.BigInteger),
    sa.Column("batch_id", UUID(as_uuid=False)),  # one action of a person; undo works by it
    sa.Column("detail", JSONB, nullable=False, server_default=EMPTY_JSON),
    sa.PrimaryKeyConstraint("team_id", "id"),
    of_team(),
    sa.Index("ix_audit_conversation", "team_id", "conversation_id"),
    sa.Index("ix_audit_member", "team_id", "member_id", "id"),
    sa.Index("ix_audit_action", "team_id", "action", "id"),
    sa.Index("ix_audit_batch", "team_id", "batch_id", postgresql_where=sa.text("batch_id is not null")),
)
