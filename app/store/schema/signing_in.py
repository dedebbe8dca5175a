"""How somebody proves who they are: in a browser, in an add-on, with an API key; and who may come in."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA, JSONB

from app.store.schema.columns import Text, Time, flag, metadata, of_team, points_to, public_id, row_id, team_id, text

sign_in_attempt = sa.Table(
    "sign_in_attempt",
    metadata,
    sa.Column("state_hash", BYTEA, primary_key=True),
    sa.Column("browser_hash", BYTEA, nullable=False),
    sa.Column("issuer", Text, nullable=False),
    sa.Column("kept", BYTEA, nullable=False),
    sa.Column("expires_at", Time, nullable=False),
    sa.Index("ix_sign_in_attempt_expires_at", "expires_at"),
    comment="Sign-ins that were begun with Google or Microsoft, while nobody knows yet whose they are.",
)

sign_in_link = sa.Table(
    "sign_in_link",
    metadata,
    team_id(),
    row_id(),
    sa.Column("token_hash", BYTEA, nullable=False),
    sa.Column("member_id", sa.BigInteger, nullable=False),
    sa.Column("expires_at", Time, nullable=False),
    sa.Column("used_at", Time),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "token_hash"),
    points_to("member", "member_id"),
    sa.Index("ix_sign_in_link_token_hash", "token_hash"),
    comment="One-time links that sign a member in, as hashes.",
)

member_session = sa.Table(
    "member_session",
    metadata,
    team_id(),
    row_id(),
    sa.Column("token_hash", BYTEA, nullable=False),
    sa.Column("member_id", sa.BigInteger, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("expires_at", Time, nullable=False),
    public_id(),
    sa.Column("last_seen_at", Time),
    text("browser"),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "token_hash"),
    sa.UniqueConstraint("team_id", "public_id"),
    points_to("member", "member_id"),
    sa.Index("ix_member_session_token_hash", "token_hash"),
    comment="Browsers that a member is signed in with, as hashes of their cookies.",
)

member_identity = sa.Table(
    "member_identity",
    metadata,
    team_id(),
    row_id(),
    public_id(),
    sa.Column("member_id", sa.BigInteger, nullable=False),
    text("issuer", None),
    text("subject", None),  # the name of the person that never changes: never an e-mail address
    text("organization"),  # who manages the person there; empty for a private account
    text("shown"),  # what a member recognises it by
    sa.Column("bound_at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    sa.UniqueConstraint("team_id", "issuer", "subject"),
    points_to("member", "member_id"),
    sa.Index("ix_member_identity_subject", "issuer", "subject"),  # who comes back names no team
    comment="Google and Microsoft accounts that a member signs in with.",
)

invitation = sa.Table(
    "invitation",
    metadata,
    team_id(),
    row_id(),
    public_id(),
    sa.Column("token_hash", BYTEA, nullable=False),
    text("name", None),
    text("email", None),
    text("role", "member"),
    sa.Column("invited_by", sa.BigInteger, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("expires_at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    sa.UniqueConstraint("team_id", "token_hash"),
    sa.UniqueConstraint("team_id", "email"),
    sa.CheckConstraint("role in ('admin','member')", name="role"),
    points_to("member", "invited_by"),
    sa.Index("ix_invitation_token_hash", "token_hash"),
    comment="Links with which somebody becomes a member, once; an open one for each address.",
)

joining = sa.Table(
    "joining",
    metadata,
    team_id(),
    text("issuer", None),
    text("organization", None),
    sa.Column("at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "issuer", "organization"),
    of_team(),
    sa.Index("ix_joining_organization", "issuer", "organization"),
    comment="Organizations at Google and Microsoft whose people join the team by signing in.",
)

addon_user = sa.Table(
    "addon_user",
    metadata,
    team_id(),
    row_id(),
    text("provider", None),
    text("provider_user_id", None),
    sa.Column("member_id", sa.BigInteger, nullable=False),
    sa.Column("made_at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "provider", "provider_user_id"),
    points_to("member", "member_id"),
    sa.Index("ix_addon_user_provider_user_id", "provider", "provider_user_id"),
    comment="Whom a member said to be at a mail provider, for an add-on that the provider shows.",
)

# --- the API ---

api_key = sa.Table(
    "api_key",
    metadata,
    team_id(),
    row_id(),
    public_id(),
    sa.Column("member_id", sa.BigInteger, nullable=False),
    text("name", None),
    sa.Column("key_hash", BYTEA, nullable=False),
    flag("may_write"),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("last_used_at", Time),
    sa.Column("revoked_at", Time),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    sa.UniqueConstraint("team_id", "key_hash"),
    points_to("member", "member_id"),
    sa.Index("ix_api_key_key_hash", "key_hash"),
    comment="Personal API keys, as hashes; each acts with the rights of its member.",
)

api_answer = sa.Table(
    "api_answer",
    metadata,
    team_id(),
    sa.Column("api_key_id", sa.BigInteger, nullable=False),
    sa.Column("idempotency_hash", BYTEA, nullable=False),
    sa.Column("request_digest", BYTEA, nullable=False),
    sa.Column("document", JSONB),
    sa.Column("at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "api_key_id", "idempotency_hash"),
    points_to("api_key", "api_key_id"),
    comment="What a write with an Idempotency-Key answered, for a day; no document while it runs.",
)
