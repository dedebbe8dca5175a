"""The installation, its teams, their members, and the mail accounts they connect."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSONB, UUID

from app.store.schema.columns import (
    EMPTY_ARRAY,
    EMPTY_JSON,
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

installation = sa.Table(
    "installation",
    metadata,
    sa.Column("key", Text, primary_key=True),
    sa.Column("value", Text, nullable=False),
    comment="Facts of this installation that belong to no team: the encryption canary.",
)

team = sa.Table(
    "team",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    public_id(),
    text("name", None),
    text("plan", "unrestricted"),
    text("locale", "en"),
    sa.Column("domains", ARRAY(Text), nullable=False, server_default=EMPTY_ARRAY),
    sa.Column("policy", JSONB, nullable=False, server_default=EMPTY_JSON),
    sa.Column("created_at", Time, nullable=False, server_default=NOW),
    sa.UniqueConstraint("public_id"),
)

member = sa.Table(
    "member",
    metadata,
    team_id(),
    row_id(),
    public_id(),
    text("name", None),
    text("email", None),
    text("role", "member"),
    sa.Column("removed_at", Time),
    sa.Column("created_at", Time, nullable=False, server_default=NOW),
    sa.Column("preferences", JSONB, nullable=False, server_default=EMPTY_JSON),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    sa.UniqueConstraint("team_id", "email"),
    sa.CheckConstraint("role in ('admin','member')", name="role"),
    of_team(),
)

account = sa.Table(
    "account",
    metadata,
    team_id(),
    row_id(),
    public_id(),
    text("provider", None),
    text("kind", None),
    text("address", None),
    text("mailbox", None),
    text("provider_user_id"),
    sa.Column("owner_id", sa.BigInteger),
    sa.Column("own_addresses", ARRAY(Text), nullable=False, server_default=EMPTY_ARRAY),
    flag("auto_link", True),
    text("visibility", "full"),
    text("state", "connecting"),
    text("state_reason"),
    sa.Column("state_since", Time, nullable=False, server_default=NOW),
    flag("paused"),
    sa.Column("cursor", Text),
    sa.Column("cursor_version", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("history_from", Time),
    sa.Column("folders", ARRAY(Text), nullable=False, server_default=EMPTY_ARRAY),
    flag("folders_grew"),
    sa.Column("subscription_id", Text),
    sa.Column("subscription_expires_at", Time),
    sa.Column("throttled_until", Time),
    sa.Column("last_sync_at", Time),
    sa.Column("last_audit_at", Time),
    sa.Column("first_read_at", Time),  # when the mail since history_from was read
    sa.Column("first_read_messages", sa.Integer),  # how many messages that were
    sa.Column("last_error", Text),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", Time, nullable=False, server_default=NOW),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    sa.UniqueConstraint("team_id", "provider", "mailbox"),
    sa.UniqueConstraint("team_id", "address"),
    sa.CheckConstraint("kind in ('personal','team')", name="kind"),
    sa.CheckConstraint("visibility in ('private','metadata','subject','full')", name="visibility"),
    of_team(),
    points_to("member", "owner_id", ondelete=None),
    sa.Index("ix_account_id", "id"),
    sa.Index("ix_account_mailbox", "provider", "mailbox"),  # a push names a mailbox, whatever teams have connected it
    sa.Index("ix_account_provider_user_id", "provider", "provider_user_id"),  # an add-on names a person
)

account_collaborator = sa.Table(
    "account_collaborator",
    metadata,
    team_id(),
    sa.Column("account_id", sa.BigInteger, nullable=False),
    sa.Column("member_id", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "account_id", "member_id"),
    points_to("account", "account_id"),
    points_to("member", "member_id"),
)

account_credential = sa.Table(
    "account_credential",
    metadata,
    team_id(),
    sa.Column("account_id", sa.BigInteger, nullable=False),
    text("kind", "oauth"),
    sa.Column("ciphertext", BYTEA, nullable=False),
    sa.Column("updated_at", Time, nullable=False, server_default=NOW),
    sa.PrimaryKeyConstraint("team_id", "account_id", "kind"),
    points_to("account", "account_id"),
)

connect_request = sa.Table(
    "connect_request",
    metadata,
    team_id(),
    row_id(),
    sa.Column("token_hash", BYTEA, nullable=False),
    sa.Column("member_id", sa.BigInteger, nullable=False),
    text("provider", None),
    text("kind", None),
    text("address"),
    sa.Column("collaborators", ARRAY(sa.BigInteger), nullable=False, server_default=sa.text("'{}'::bigint[]")),
    flag("auto_link", True),
    sa.Column("history_from", Time),
    sa.Column("browser_hash", BYTEA),
    sa.Column("state_hash", BYTEA),
    sa.Column("kept", BYTEA),
    sa.Column("expires_at", Time, nullable=False),
    sa.Column("used_at", Time),
    text("visibility", "full"),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "token_hash"),
    points_to("member", "member_id"),
    sa.Index("ix_connect_request_token_hash", "token_hash"),
    sa.Index("ix_connect_request_state_hash", "state_hash"),
    comment="One-time links that connect a mailbox, bound to the browser that opens them.",
)

# --- what a member keeps on the pages ---

saved_filter = sa.Table(
    "saved_filter",
    metadata,
    team_id(),
    row_id(),
    public_id(),
    sa.Column("member_id", sa.BigInteger, nullable=False),
    text("name", None),
    text("query", None),  # as it stands in a link
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    sa.UniqueConstraint("team_id", "member_id", "name"),
    points_to("member", "member_id"),
    comment="Filters of the inbox that a member keeps under a name.",
)

last_action = sa.Table(
    "last_action",
    metadata,
    team_id(),
    sa.Column("member_id", sa.BigInteger, nullable=False),
    sa.Column("batch_id", UUID(as_uuid=False), nullable=False),
    text("done", None),  # the key of what the pages say
    sa.Column("n", sa.Integer, nullable=False, server_default="0"),
    sa.Column("left_as_is", sa.Integer, nullable=False, server_default="0"),
    sa.PrimaryKeyConstraint("team_id", "member_id"),
    points_to("member", "member_id"),
    comment="What each member did last and has neither undone nor dismissed: the pages offer its undo.",
)
