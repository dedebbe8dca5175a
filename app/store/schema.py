"""The tables, as SQLAlchemy Core sees them. Migrations create them; a test holds the two equal.

Every tenant table carries team_id first in its keys, its foreign keys and its unique indexes, and is under row-level
security. Public ids are random uuids; the bigint ids never leave the process.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSONB, TIMESTAMP, UUID

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Text = sa.Text
Time = TIMESTAMP(timezone=True)
NOW = sa.func.now()
EMPTY_JSON = sa.text("'{}'::jsonb")
EMPTY_LIST = sa.text("'[]'::jsonb")
EMPTY_ARRAY = sa.text("'{}'::text[]")


def _team() -> sa.Column[int]:
    return sa.Column("team_id", sa.BigInteger, nullable=False)


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False)


def _public_id() -> sa.Column[object]:
    return sa.Column("public_id", UUID(as_uuid=False), nullable=False, server_default=sa.func.gen_random_uuid())


def _flag(name: str, default: bool = False) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.true() if default else sa.false())


def _text(name: str, default: str | None = "") -> sa.Column[str]:
    return sa.Column(name, Text, nullable=False, server_default=default)


def _to(table: str, column: str, *, ondelete: str | None = "CASCADE") -> sa.ForeignKeyConstraint:
    """Point at another tenant table, team first."""
    return sa.ForeignKeyConstraint(["team_id", column], [f"{table}.team_id", f"{table}.id"], ondelete=ondelete)


def _of_team() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["team_id"], ["team.id"], ondelete="CASCADE")


# --- the installation ---

installation = sa.Table(
    "installation",
    metadata,
    sa.Column("key", Text, primary_key=True),
    sa.Column("value", Text, nullable=False),
    comment="Facts of this installation that belong to no team: the encryption canary.",
)

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

# --- who ---

team = sa.Table(
    "team",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    _public_id(),
    _text("name", None),
    _text("plan", "unrestricted"),
    _text("locale", "en"),
    sa.Column("domains", ARRAY(Text), nullable=False, server_default=EMPTY_ARRAY),
    sa.Column("policy", JSONB, nullable=False, server_default=EMPTY_JSON),
    sa.Column("created_at", Time, nullable=False, server_default=NOW),
    sa.UniqueConstraint("public_id"),
)

member = sa.Table(
    "member",
    metadata,
    _team(),
    _id(),
    _public_id(),
    _text("name", None),
    _text("email", None),
    _text("role", "member"),
    sa.Column("removed_at", Time),
    sa.Column("created_at", Time, nullable=False, server_default=NOW),
    sa.Column("preferences", JSONB, nullable=False, server_default=EMPTY_JSON),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    sa.UniqueConstraint("team_id", "email"),
    sa.CheckConstraint("role in ('admin','member')", name="role"),
    _of_team(),
)

account = sa.Table(
    "account",
    metadata,
    _team(),
    _id(),
    _public_id(),
    _text("provider", None),
    _text("kind", None),
    _text("address", None),
    _text("mailbox", None),
    _text("provider_user_id"),
    sa.Column("owner_id", sa.BigInteger),
    sa.Column("own_addresses", ARRAY(Text), nullable=False, server_default=EMPTY_ARRAY),
    _flag("auto_link", True),
    _text("visibility", "full"),
    _text("state", "connecting"),
    _text("state_reason"),
    sa.Column("state_since", Time, nullable=False, server_default=NOW),
    _flag("paused"),
    sa.Column("cursor", Text),
    sa.Column("cursor_version", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("history_from", Time),
    sa.Column("subscription_id", Text),
    sa.Column("subscription_expires_at", Time),
    sa.Column("throttled_until", Time),
    sa.Column("last_sync_at", Time),
    sa.Column("last_audit_at", Time),
    sa.Column("last_error", Text),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", Time, nullable=False, server_default=NOW),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    sa.UniqueConstraint("team_id", "provider", "mailbox"),
    sa.UniqueConstraint("team_id", "address"),
    sa.CheckConstraint("kind in ('personal','team')", name="kind"),
    sa.CheckConstraint("visibility in ('private','metadata','subject','full')", name="visibility"),
    _of_team(),
    _to("member", "owner_id", ondelete=None),
    sa.Index("ix_account_id", "id"),
    sa.Index("ix_account_mailbox", "provider", "mailbox"),  # a push names a mailbox, whatever teams have connected it
    sa.Index("ix_account_provider_user_id", "provider", "provider_user_id"),  # an add-on names a person
)

account_collaborator = sa.Table(
    "account_collaborator",
    metadata,
    _team(),
    sa.Column("account_id", sa.BigInteger, nullable=False),
    sa.Column("member_id", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "account_id", "member_id"),
    _to("account", "account_id"),
    _to("member", "member_id"),
)

account_credential = sa.Table(
    "account_credential",
    metadata,
    _team(),
    sa.Column("account_id", sa.BigInteger, nullable=False),
    _text("kind", "oauth"),
    sa.Column("ciphertext", BYTEA, nullable=False),
    sa.Column("updated_at", Time, nullable=False, server_default=NOW),
    sa.PrimaryKeyConstraint("team_id", "account_id", "kind"),
    _to("account", "account_id"),
)

connect_request = sa.Table(
    "connect_request",
    metadata,
    _team(),
    _id(),
    sa.Column("token_hash", BYTEA, nullable=False),
    sa.Column("member_id", sa.BigInteger, nullable=False),
    _text("provider", None),
    _text("kind", None),
    _text("address"),
    sa.Column("collaborators", ARRAY(sa.BigInteger), nullable=False, server_default=sa.text("'{}'::bigint[]")),
    _flag("auto_link", True),
    sa.Column("history_from", Time),
    sa.Column("browser_hash", BYTEA),
    sa.Column("state_hash", BYTEA),
    sa.Column("kept", BYTEA),
    sa.Column("expires_at", Time, nullable=False),
    sa.Column("used_at", Time),
    _text("visibility", "full"),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "token_hash"),
    _to("member", "member_id"),
    sa.Index("ix_connect_request_token_hash", "token_hash"),
    sa.Index("ix_connect_request_state_hash", "state_hash"),
    comment="One-time links that connect a mailbox, bound to the browser that opens them.",
)

# --- signing in ---

sign_in_link = sa.Table(
    "sign_in_link",
    metadata,
    _team(),
    _id(),
    sa.Column("token_hash", BYTEA, nullable=False),
    sa.Column("member_id", sa.BigInteger, nullable=False),
    sa.Column("expires_at", Time, nullable=False),
    sa.Column("used_at", Time),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "token_hash"),
    _to("member", "member_id"),
    sa.Index("ix_sign_in_link_token_hash", "token_hash"),
    comment="One-time links that sign a member in, as hashes.",
)

member_session = sa.Table(
    "member_session",
    metadata,
    _team(),
    _id(),
    sa.Column("token_hash", BYTEA, nullable=False),
    sa.Column("member_id", sa.BigInteger, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("expires_at", Time, nullable=False),
    _public_id(),
    sa.Column("last_seen_at", Time),
    _text("browser"),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "token_hash"),
    sa.UniqueConstraint("team_id", "public_id"),
    _to("member", "member_id"),
    sa.Index("ix_member_session_token_hash", "token_hash"),
    comment="Browsers that a member is signed in with, as hashes of their cookies.",
)

member_identity = sa.Table(
    "member_identity",
    metadata,
    _team(),
    _id(),
    _public_id(),
    sa.Column("member_id", sa.BigInteger, nullable=False),
    _text("issuer", None),
    _text("subject", None),  # the name of the person that never changes: never an e-mail address
    _text("organization"),  # who manages the person there; empty for a private account
    _text("shown"),  # what a member recognises it by
    sa.Column("bound_at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    sa.UniqueConstraint("team_id", "issuer", "subject"),
    _to("member", "member_id"),
    sa.Index("ix_member_identity_subject", "issuer", "subject"),  # who comes back names no team
    comment="Google and Microsoft accounts that a member signs in with.",
)

invitation = sa.Table(
    "invitation",
    metadata,
    _team(),
    _id(),
    _public_id(),
    sa.Column("token_hash", BYTEA, nullable=False),
    _text("name", None),
    _text("email", None),
    _text("role", "member"),
    sa.Column("invited_by", sa.BigInteger, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("expires_at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    sa.UniqueConstraint("team_id", "token_hash"),
    sa.UniqueConstraint("team_id", "email"),
    sa.CheckConstraint("role in ('admin','member')", name="role"),
    _to("member", "invited_by"),
    sa.Index("ix_invitation_token_hash", "token_hash"),
    comment="Links with which somebody becomes a member, once; an open one for each address.",
)

joining = sa.Table(
    "joining",
    metadata,
    _team(),
    _text("issuer", None),
    _text("organization", None),
    sa.Column("at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "issuer", "organization"),
    _of_team(),
    sa.Index("ix_joining_organization", "issuer", "organization"),
    comment="Organizations at Google and Microsoft whose people join the team by signing in.",
)

addon_user = sa.Table(
    "addon_user",
    metadata,
    _team(),
    _id(),
    _text("provider", None),
    _text("provider_user_id", None),
    sa.Column("member_id", sa.BigInteger, nullable=False),
    sa.Column("made_at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "provider", "provider_user_id"),
    _to("member", "member_id"),
    sa.Index("ix_addon_user_provider_user_id", "provider", "provider_user_id"),
    comment="Whom a member said to be at a mail provider, for an add-on that the provider shows.",
)

# --- what a member keeps on the pages ---

saved_filter = sa.Table(
    "saved_filter",
    metadata,
    _team(),
    _id(),
    _public_id(),
    sa.Column("member_id", sa.BigInteger, nullable=False),
    _text("name", None),
    _text("query", None),  # as it stands in a link
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    sa.UniqueConstraint("team_id", "member_id", "name"),
    _to("member", "member_id"),
    comment="Filters of the inbox that a member keeps under a name.",
)

last_action = sa.Table(
    "last_action",
    metadata,
    _team(),
    sa.Column("member_id", sa.BigInteger, nullable=False),
    sa.Column("batch_id", UUID(as_uuid=False), nullable=False),
    _text("done", None),  # the key of what the pages say
    sa.Column("n", sa.Integer, nullable=False, server_default="0"),
    sa.Column("left_as_is", sa.Integer, nullable=False, server_default="0"),
    sa.PrimaryKeyConstraint("team_id", "member_id"),
    _to("member", "member_id"),
    comment="What each member did last and has neither undone nor dismissed: the pages offer its undo.",
)

# --- the API ---

api_key = sa.Table(
    "api_key",
    metadata,
    _team(),
    _id(),
    _public_id(),
    sa.Column("member_id", sa.BigInteger, nullable=False),
    _text("name", None),
    sa.Column("key_hash", BYTEA, nullable=False),
    _flag("may_write"),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("last_used_at", Time),
    sa.Column("revoked_at", Time),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    sa.UniqueConstraint("team_id", "key_hash"),
    _to("member", "member_id"),
    sa.Index("ix_api_key_key_hash", "key_hash"),
    comment="Personal API keys, as hashes; each acts with the rights of its member.",
)

api_answer = sa.Table(
    "api_answer",
    metadata,
    _team(),
    sa.Column("api_key_id", sa.BigInteger, nullable=False),
    sa.Column("idempotency_hash", BYTEA, nullable=False),
    sa.Column("request_digest", BYTEA, nullable=False),
    sa.Column("document", JSONB),
    sa.Column("at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "api_key_id", "idempotency_hash"),
    _to("api_key", "api_key_id"),
    comment="What a write with an Idempotency-Key answered, for a day; no document while it runs.",
)

# --- whom a team wants to be told ---

webhook = sa.Table(
    "webhook",
    metadata,
    _team(),
    _id(),
    _public_id(),
    sa.Column("member_id", sa.BigInteger, nullable=False),  # for whom it is judged what it may tell
    _text("url", None),
    sa.Column("kinds", ARRAY(Text), nullable=False, server_default=EMPTY_ARRAY),
    sa.Column("ciphertext", BYTEA, nullable=False),  # the secrets it is signed with
    _text("state", "live"),
    _text("state_reason"),
    sa.Column("state_since", Time, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),  # since something got through
    sa.Column("rest_until", Time),
    sa.Column("delivered_at", Time),
    sa.Column("created_at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    sa.CheckConstraint("state in ('live','disabled')", name="state"),
    _to("member", "member_id"),
    comment="Addresses that a team wants to be told at; each acts for the administrator who added it.",
)

webhook_delivery = sa.Table(
    "webhook_delivery",
    metadata,
    _team(),
    _id(),
    _public_id(),
    sa.Column("webhook_id", sa.BigInteger, nullable=False),
    _text("kind", None),
    sa.Column("conversation_id", sa.BigInteger),
    sa.Column("crm_connection_id", sa.BigInteger),
    sa.Column("item_kind", Text),
    sa.Column("item_id", Text),
    _text("reason"),
    sa.Column("at", Time, nullable=False),
    _text("state", "pending"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_at", Time),  # null: at once
    _text("answer"),  # the status of the last answer, or why there was none
    sa.Column("settled_at", Time),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    sa.CheckConstraint("state in ('pending','delivered','dropped','failed')", name="state"),
    _to("webhook", "webhook_id"),
    _to("conversation", "conversation_id"),
    sa.Index("ix_webhook_delivery_webhook", "team_id", "webhook_id", "id"),
    sa.Index("ix_webhook_delivery_conversation", "team_id", "conversation_id"),
    sa.Index(
        "ix_webhook_delivery_pending",
        sa.text("next_at NULLS FIRST"),
        postgresql_where=sa.text("state = 'pending'"),
    ),
    comment="What a webhook is told: ids, kind, reason and time, never content.",
)

# --- mail ---

hint = sa.Table(
    "hint",
    metadata,
    _team(),
    sa.Column("account_id", sa.BigInteger, nullable=False),
    sa.Column("generation", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("synced_generation", sa.BigInteger, nullable=False, server_default="0"),
    _flag("queued"),
    # The generation that enqueued the waiting job: an UPDATE can tell by it whether it was itself that did.
    sa.Column("queued_generation", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("position", Text),
    sa.Column("pushed_at", Time),
    sa.PrimaryKeyConstraint("team_id", "account_id"),
    _to("account", "account_id"),
)

discovered_message = sa.Table(
    "discovered_message",
    metadata,
    _team(),
    sa.Column("account_id", sa.BigInteger, nullable=False),
    sa.Column("provider_id", Text, nullable=False),
    _text("provider_thread_id"),
    _text("state", "pending"),  # pending stored filtered gone parked
    _text("rule"),  # what filtered it, or why it is parked
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_at", Time, nullable=False, server_default=NOW),
    sa.Column("discovered_at", Time, nullable=False, server_default=NOW),
    sa.Column("settled_at", Time),
    sa.PrimaryKeyConstraint("team_id", "account_id", "provider_id"),
    sa.CheckConstraint("state in ('pending','stored','filtered','gone','parked')", name="state"),
    _to("account", "account_id"),
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
    _team(),
    _id(),
    _public_id(),
    _text("namespace"),
    _text("subject"),
    sa.Column("first_message_at", Time, nullable=False),
    sa.Column("last_message_at", Time, nullable=False),
    sa.Column("message_count", sa.Integer, nullable=False, server_default="0"),
    sa.Column("visibility", Text),
    sa.Column("merged_into", sa.BigInteger),
    sa.Column("decision_id", sa.BigInteger),
    sa.Column("created_at", Time, nullable=False, server_default=NOW),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    _of_team(),
    _to("conversation", "merged_into", ondelete=None),
    sa.Index("ix_conversation_recent", "team_id", sa.text("last_message_at DESC"), sa.text("id DESC")),
)

message = sa.Table(
    "message",
    metadata,
    _team(),
    _id(),
    _public_id(),
    sa.Column("conversation_id", sa.BigInteger, nullable=False),
    _text("namespace"),
    sa.Column("mid_hash", BYTEA, nullable=False),
    sa.Column("fingerprint", BYTEA, nullable=False),
    _text("internet_id", None),
    _text("subject"),
    _text("base_subject"),
    sa.Column("at", Time, nullable=False),
    sa.Column("date_header", Time),
    _text("joined", "founded"),
    sa.Column("automated", Text),
    _flag("is_reply"),
    _flag("is_forward"),
    sa.Column("in_reply_to", Text),
    sa.Column("refs", ARRAY(Text), nullable=False, server_default=EMPTY_ARRAY),
    sa.Column("other_ids", ARRAY(Text), nullable=False, server_default=EMPTY_ARRAY),
    sa.Column("bounce_of", Text),
    sa.Column("thread_index", Text),
    sa.Column("flags", ARRAY(Text), nullable=False, server_default=EMPTY_ARRAY),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    sa.UniqueConstraint("team_id", "namespace", "mid_hash", "fingerprint"),
    _to("conversation", "conversation_id"),
    sa.Index("ix_message_conversation", "team_id", "conversation_id"),
)

conversation_alias = sa.Table(
    "conversation_alias",
    metadata,
    _team(),
    sa.Column("key", BYTEA, nullable=False),  # what linking.threads.keys made
    sa.Column("message_id", sa.BigInteger, nullable=False),
    _flag("claimed"),  # the message only refers to it (References); false: it is a fact about the message
    sa.PrimaryKeyConstraint("team_id", "key", "message_id"),
    _to("message", "message_id"),
    sa.Index("ix_conversation_alias_message", "team_id", "message_id"),
)

message_copy = sa.Table(
    "message_copy",
    metadata,
    _team(),
    _id(),
    sa.Column("message_id", sa.BigInteger, nullable=False),
    sa.Column("account_id", sa.BigInteger, nullable=False),
    _text("provider_id", None),
    _text("provider_thread_id"),
    sa.Column("at", Time, nullable=False),
    _flag("in_sent"),
    _text("verdict", "none"),
    _text("joined", "founded"),
    _text("snippet"),
    sa.Column("attachments", JSONB, nullable=False, server_default=EMPTY_LIST),
    _flag("genuine"),
    sa.Column("parked", Text),
    sa.Column("deleted_at", Time),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "account_id", "provider_id"),
    _to("message", "message_id"),
    _to("account", "account_id"),
    sa.Index("ix_message_copy_message", "team_id", "message_id"),
    sa.Index("ix_message_copy_provider_thread_id", "team_id", "account_id", "provider_thread_id"),
)

participant = sa.Table(
    "participant",
    metadata,
    _team(),
    sa.Column("message_id", sa.BigInteger, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("copy_id", sa.BigInteger),  # the copy a Bcc recipient is seen on
    _text("role", None),
    _text("address", None),
    _text("name"),
    sa.PrimaryKeyConstraint("team_id", "message_id", "position"),
    _to("message", "message_id"),
    _to("message_copy", "copy_id"),
    sa.Index("ix_participant_address", "team_id", "address"),
)

message_body = sa.Table(
    "message_body",
    metadata,
    _team(),
    sa.Column("copy_id", sa.BigInteger, nullable=False),
    _text("text"),
    sa.Column("expires_at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "copy_id"),
    _to("message_copy", "copy_id"),
    sa.Index("ix_message_body_expires_at", "expires_at"),
)

conversation_merge = sa.Table(
    "conversation_merge",
    metadata,
    _team(),
    _id(),
    sa.Column("survivor_id", sa.BigInteger, nullable=False),
    sa.Column("absorbed_id", sa.BigInteger, nullable=False),
    sa.Column("account_id", sa.BigInteger),
    sa.Column("before", JSONB, nullable=False, server_default=EMPTY_JSON),  # the partition and links before it
    sa.Column("at", Time, nullable=False),
    sa.Column("undone_at", Time),
    sa.PrimaryKeyConstraint("team_id", "id"),
    _to("conversation", "survivor_id"),
    _to("conversation", "absorbed_id"),
    sa.Index("ix_conversation_merge_account", "team_id", "account_id", "at"),
)

merge_pair = sa.Table(
    "merge_pair",
    metadata,
    _team(),
    sa.Column("conversation_id", sa.BigInteger, nullable=False),
    sa.Column("other_id", sa.BigInteger, nullable=False),
    _text("why"),  # claims, different_links, visibility, counterparts, many_merges, undone
    sa.Column("message_id", sa.BigInteger),
    sa.Column("at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "conversation_id", "other_id"),
    _to("conversation", "conversation_id"),
    _to("conversation", "other_id"),
    comment="Conversations that look like one and were left apart; the review queue shows them.",
)

# --- decisions and links ---

decision = sa.Table(
    "decision",
    metadata,
    _team(),
    _id(),
    sa.Column("conversation_id", sa.BigInteger, nullable=False),
    sa.Column("digest", BYTEA, nullable=False),
    _text("outcome", None),
    _text("reason", None),
    sa.Column("detail", JSONB, nullable=False, server_default=EMPTY_JSON),  # params, candidates, persons, action …
    sa.Column("trigger_id", sa.BigInteger),
    sa.Column("at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "conversation_id", "digest"),
    _to("conversation", "conversation_id"),
)

link = sa.Table(
    "link",
    metadata,
    _team(),
    _id(),
    _public_id(),
    sa.Column("conversation_id", sa.BigInteger, nullable=False),
    sa.Column("crm_connection_id", sa.BigInteger, nullable=False),
    _text("kind", None),
    _text("external_id", None),
    _text("title"),
    _flag("is_primary"),
    _text("origin", None),
    sa.Column("made_by", sa.BigInteger),
    sa.Column("made_at", Time, nullable=False),
    sa.Column("decision_id", sa.BigInteger),
    sa.Column("counterparts", BYTEA),  # digest of the counterparts when a person chose (T5)
    sa.Column("batch_id", UUID(as_uuid=False)),
    sa.Column("removed_at", Time),
    sa.Column("removed_by", sa.BigInteger),
    sa.Column("removed_batch_id", UUID(as_uuid=False)),
    _text("removed_why"),  # unlinked, replaced, item_deleted, merged, undone
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    _to("conversation", "conversation_id"),
    _to("crm_connection", "crm_connection_id"),
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
    _team(),
    sa.Column("conversation_id", sa.BigInteger, nullable=False),
    sa.Column("crm_connection_id", sa.BigInteger, nullable=False),
    _text("kind", None),
    _text("external_id", None),
    _text("title"),
    sa.Column("member_id", sa.BigInteger),
    _text("member_name"),
    sa.Column("at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "conversation_id", "crm_connection_id", "kind", "external_id"),
    _to("conversation", "conversation_id"),
    _to("crm_connection", "crm_connection_id"),
)

dismissal = sa.Table(
    "dismissal",
    metadata,
    _team(),
    sa.Column("conversation_id", sa.BigInteger, nullable=False),
    sa.Column("member_id", sa.BigInteger),
    sa.Column("candidates", JSONB, nullable=False, server_default=EMPTY_LIST),  # those known then
    sa.Column("at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "conversation_id"),
    _to("conversation", "conversation_id"),
)

inbox_entry = sa.Table(
    "inbox_entry",
    metadata,
    _team(),
    sa.Column("account_id", sa.BigInteger, nullable=False),
    sa.Column("conversation_id", sa.BigInteger, nullable=False),
    _text("state", None),
    sa.Column("last_message_at", Time, nullable=False),
    _text("words"),  # linking.search: folded, each once
    sa.PrimaryKeyConstraint("team_id", "account_id", "conversation_id"),
    _to("account", "account_id"),
    _to("conversation", "conversation_id"),
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
    _team(),
    _id(),
    _public_id(),
    sa.Column("connection_id", sa.BigInteger, nullable=False),
    _text("kind", None),
    _text("external_id", None),
    _text("state", "open"),
    sa.Column("made_at", Time, nullable=False),
    sa.Column("settled_at", Time),
    sa.Column("settled_by", sa.BigInteger),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    sa.UniqueConstraint("team_id", "connection_id", "kind", "external_id"),
    _to("crm_connection", "connection_id"),
    sa.CheckConstraint("state in ('open','accepted','declined')", name="state"),
    comment="Items that were created or opened again: earlier conversations may belong to them.",
)

# --- CRM ---

crm_connection = sa.Table(
    "crm_connection",
    metadata,
    _team(),
    _id(),
    _public_id(),
    _text("adapter", None),
    _text("company"),
    sa.Column("settings", JSONB, nullable=False, server_default=EMPTY_JSON),
    sa.Column("ciphertext", BYTEA),
    _text("state", "live"),
    _text("state_reason"),
    sa.Column("throttled_until", Time),
    sa.Column("created_at", Time, nullable=False, server_default=NOW),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),  # calls that failed since one succeeded
    sa.Column("subscribed_at", Time),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    _of_team(),
    sa.Index("ix_crm_connection_public_id", "public_id"),
)

crm_user = sa.Table(
    "crm_user",
    metadata,
    _team(),
    sa.Column("connection_id", sa.BigInteger, nullable=False),
    _text("company"),
    _text("external_id", None),
    _text("name"),
    _text("email"),
    _flag("sees_everything"),
    sa.PrimaryKeyConstraint("team_id", "connection_id", "company", "external_id"),
    _to("crm_connection", "connection_id"),
    sa.Index("ix_crm_user_email", "team_id", "email"),
)

crm_event = sa.Table(
    "crm_event",
    metadata,
    _team(),
    sa.Column("connection_id", sa.BigInteger, nullable=False),
    _text("event_id", None),
    sa.Column("at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "connection_id", "event_id"),
    _to("crm_connection", "connection_id"),
    comment="Webhook events of the last day: one that is sent again says nothing new.",
)

crm_hint = sa.Table(
    "crm_hint",
    metadata,
    _team(),
    sa.Column("connection_id", sa.BigInteger, nullable=False),
    _text("kind", None),
    _text("external_id", None),
    _text("merged_into"),  # as deal/5, when the event claims that
    # Who was named again while it was being read is read once more.
    sa.Column("generation", sa.BigInteger, sa.Identity(always=True), nullable=False),
    sa.PrimaryKeyConstraint("team_id", "connection_id", "kind", "external_id", "merged_into"),
    _to("crm_connection", "connection_id"),
    comment="Records that a CRM webhook named and that were not read again yet.",
)

crm_write = sa.Table(
    "crm_write",
    metadata,
    _team(),
    _id(),
    sa.Column("conversation_id", sa.BigInteger, nullable=False),
    sa.Column("crm_connection_id", sa.BigInteger, nullable=False),
    _text("kind", None),
    _text("external_id", None),
    sa.Column("marker", UUID(as_uuid=False), nullable=False, server_default=sa.func.gen_random_uuid()),
    _text("state", "wanted"),  # wanted intended written parked removed
    sa.Column("wanted", sa.BigInteger, nullable=False, server_default="1"),  # raised to ask for a look at the note
    sa.Column("written", sa.BigInteger, nullable=False, server_default="0"),  # the wanted this note answers
    sa.Column("content_digest", BYTEA),
    sa.Column("written_id", Text),  # the CRM's id of the note
    sa.Column("writes", sa.Integer, nullable=False, server_default="0"),
    sa.Column("reads", sa.Integer, nullable=False, server_default="0"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_at", Time),
    sa.Column("written_at", Time),
    _text("error"),
    sa.Column("created_at", Time, nullable=False, server_default=NOW),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "conversation_id", "crm_connection_id", "kind", "external_id"),
    sa.CheckConstraint("state in ('wanted','intended','written','parked','removed')", name="state"),
    sa.Index("ix_crm_write_due", "next_at", postgresql_where=sa.text("state in ('wanted','intended')")),
    _to("conversation", "conversation_id"),
    _to("crm_connection", "crm_connection_id"),
)

mirror_person = sa.Table(
    "mirror_person",
    metadata,
    _team(),
    sa.Column("connection_id", sa.BigInteger, nullable=False),
    _text("company"),
    _text("external_id", None),
    _text("name"),
    sa.Column("organization_id", Text),
    sa.Column("merged_into", Text),
    _flag("deleted"),
    sa.Column("visibility", JSONB),
    sa.Column("created_at", Time),
    sa.Column("updated_at", Time),
    sa.PrimaryKeyConstraint("team_id", "connection_id", "company", "external_id"),
    _to("crm_connection", "connection_id"),
)

mirror_address = sa.Table(
    "mirror_address",
    metadata,
    _team(),
    sa.Column("connection_id", sa.BigInteger, nullable=False),
    _text("company"),
    _text("person_id", None),
    _text("address", None),
    _text("match_key", None),
    sa.Column("position", sa.Integer, nullable=False, server_default="0"),
    sa.PrimaryKeyConstraint("team_id", "connection_id", "company", "person_id", "address"),
    _to("crm_connection", "connection_id"),
    sa.Index("ix_mirror_address_address", "team_id", "address"),
    sa.Index("ix_mirror_address_match_key", "team_id", "match_key"),
)

mirror_organization = sa.Table(
    "mirror_organization",
    metadata,
    _team(),
    sa.Column("connection_id", sa.BigInteger, nullable=False),
    _text("company"),
    _text("external_id", None),
    _text("name"),
    _flag("deleted"),
    sa.Column("visibility", JSONB),
    sa.Column("updated_at", Time),
    sa.PrimaryKeyConstraint("team_id", "connection_id", "company", "external_id"),
    _to("crm_connection", "connection_id"),
)

mirror_item = sa.Table(
    "mirror_item",
    metadata,
    _team(),
    sa.Column("connection_id", sa.BigInteger, nullable=False),
    _text("company"),
    _text("kind", None),
    _text("external_id", None),
    _text("title"),
    _text("search"),  # folded title, linking.suggest.fold
    _text("state", "open"),
    sa.Column("organization_id", Text),
    sa.Column("merged_into", Text),
    sa.Column("visibility", JSONB),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("updated_at", Time),
    sa.PrimaryKeyConstraint("team_id", "connection_id", "company", "kind", "external_id"),
    _to("crm_connection", "connection_id"),
    sa.Index("ix_mirror_item_organization", "team_id", "organization_id"),
    sa.Index("ix_mirror_item_newest", "team_id", "created_at"),  # for threadlink_search_items, both
    sa.Index(
        "ix_mirror_item_words",
        sa.text(
            "array_to_tsvector(string_to_array((team_id::text || ':'::text)"
            " || replace(search, ' '::text, (' '::text || team_id::text) || ':'::text), ' '::text))"
        ),
        postgresql_using="gin",
    ),
)

mirror_item_person = sa.Table(
    "mirror_item_person",
    metadata,
    _team(),
    sa.Column("connection_id", sa.BigInteger, nullable=False),
    _text("company"),
    _text("kind", None),
    _text("item_id", None),
    _text("person_id", None),
    _text("role", None),  # contact or participant
    sa.PrimaryKeyConstraint("team_id", "connection_id", "company", "kind", "item_id", "person_id"),
    _to("crm_connection", "connection_id"),
    sa.Index("ix_mirror_item_person_person", "team_id", "person_id", "connection_id"),
)

mirror_cursor = sa.Table(
    "mirror_cursor",
    metadata,
    _team(),
    sa.Column("connection_id", sa.BigInteger, nullable=False),
    sa.Column("cursor", Text),
    sa.Column("refreshed_at", Time),
    _flag("queued"),  # a webhook enqueued a refresh that has not begun
    sa.Column("started_at", Time),  # the first load, and how many records it has brought so far
    sa.Column("records", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("users_at", Time),
    sa.PrimaryKeyConstraint("team_id", "connection_id"),
    _to("crm_connection", "connection_id"),
)

mirror_unknown = sa.Table(
    "mirror_unknown",
    metadata,
    _team(),
    sa.Column("connection_id", sa.BigInteger, nullable=False),
    _text("company"),
    _text("address", None),
    sa.Column("asked_at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "connection_id", "company", "address"),
    _to("crm_connection", "connection_id"),
    comment="Addresses that the CRM was asked about and knew nobody with.",
)

# --- long work ---

work = sa.Table(
    "work",
    metadata,
    _team(),
    _id(),
    _public_id(),
    sa.Column("member_id", sa.BigInteger, nullable=False),  # who asked
    _text("kind", None),
    _text("state", None),
    _text("reason"),  # why it stopped
    sa.Column("request", JSONB, nullable=False, server_default=EMPTY_JSON),
    sa.Column("batch_id", UUID(as_uuid=False), nullable=False),  # what it does is taken back by it
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("done", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("ended_at", Time),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    sa.UniqueConstraint("team_id", "batch_id"),
    sa.CheckConstraint("kind in ('bulk_link','undo','replay','policy')", name="kind"),
    sa.CheckConstraint("state in ('looking','ready','doing','done','stopped')", name="state"),
    _to("member", "member_id"),
    sa.Index("ix_work_running", "team_id", "kind", postgresql_where=sa.text("state in ('looking','doing')")),
    comment="What a member asked to be done to many conversations, and how far it is.",
)

work_entry = sa.Table(
    "work_entry",
    metadata,
    _team(),
    sa.Column("work_id", sa.BigInteger, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("conversation_id", sa.BigInteger, nullable=False),
    _text("state", "waiting"),
    _text("reason"),  # a code: why it was refused
    sa.Column("detail", JSONB, nullable=False, server_default=EMPTY_JSON),  # what a report found
    sa.PrimaryKeyConstraint("team_id", "work_id", "position"),
    sa.CheckConstraint("state in ('waiting','found','done','refused')", name="state"),
    _to("work", "work_id"),
    _to("conversation", "conversation_id"),
    sa.Index("ix_work_entry_conversation", "team_id", "conversation_id"),
    comment="The conversations of a piece of work, each with what became of it.",
)

# --- notices ---

account_notice = sa.Table(
    "account_notice",
    metadata,
    _team(),
    _id(),
    sa.Column("account_id", sa.BigInteger, nullable=False),
    _text("code", None),
    sa.Column("found_at", Time, nullable=False),
    sa.Column("announced_at", Time),
    sa.Column("recovered_at", Time),
    sa.PrimaryKeyConstraint("team_id", "id"),
    _to("account", "account_id"),
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
    _team(),
    _id(),
    sa.Column("member_id", sa.BigInteger, nullable=False),
    _text("kind", None),
    _text("about", None),
    sa.Column("account_id", sa.BigInteger),
    sa.Column("made_at", Time, nullable=False),
    sa.Column("next_at", Time),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("sent_at", Time),
    _text("error"),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "member_id", "kind", "about"),
    sa.CheckConstraint("kind in ('account_sick','account_well','digest')", name="kind"),
    _to("member", "member_id"),
    _to("account", "account_id"),
    sa.Index("ix_letter_due", "next_at", postgresql_where=sa.text("next_at is not null")),
    comment="E-mail that is owed to members, or was sent: what about, never what it says.",
)

# --- trail ---

audit = sa.Table(
    "audit",
    metadata,
    _team(),
    _id(),
    sa.Column("at", Time, nullable=False, server_default=NOW),
    sa.Column("member_id", sa.BigInteger),
    _text("action", None),
    sa.Column("conversation_id", sa.BigInteger),
    sa.Column("batch_id", UUID(as_uuid=False)),  # one action of a person; undo works by it
    sa.Column("detail", JSONB, nullable=False, server_default=EMPTY_JSON),
    sa.PrimaryKeyConstraint("team_id", "id"),
    _of_team(),
    sa.Index("ix_audit_conversation", "team_id", "conversation_id"),
    sa.Index("ix_audit_member", "team_id", "member_id", "id"),
    sa.Index("ix_audit_action", "team_id", "action", "id"),
    sa.Index("ix_audit_batch", "team_id", "batch_id", postgresql_where=sa.text("batch_id is not null")),
)

# --- the embedded CRM (connectors/crm/embedded): tenant tables like the others ---

crm_record = sa.Table(
    "crm_record",
    metadata,
    _team(),
    sa.Column("connection_id", sa.BigInteger, nullable=False),
    _text("kind", None),  # person organization deal lead project
    _text("external_id", None),
    _text("name"),
    _text("search"),
    _text("state", "open"),
    sa.Column("organization_id", Text),
    sa.Column("person_id", Text),
    sa.Column("participants", ARRAY(Text), nullable=False, server_default=EMPTY_ARRAY),
    sa.Column("addresses", ARRAY(Text), nullable=False, server_default=EMPTY_ARRAY),
    sa.Column("merged_into", Text),  # "deal/5" or "person/2"
    sa.Column("state_before", Text),  # what a deletion took it from, for restore
    sa.Column("created_at", Time, nullable=False),
    sa.Column("changed", sa.BigInteger, sa.Identity(always=False), nullable=False),  # rises with every change
    sa.PrimaryKeyConstraint("team_id", "connection_id", "kind", "external_id"),
    _to("crm_connection", "connection_id"),
    sa.Index("ix_crm_record_changed", "team_id", "connection_id", "changed"),
)

crm_note = sa.Table(
    "crm_note",
    metadata,
    _team(),
    _id(),
    sa.Column("connection_id", sa.BigInteger, nullable=False),
    _text("kind", None),
    _text("external_id", None),
    sa.Column("marker", UUID(as_uuid=False), nullable=False),
    sa.Column("related", ARRAY(Text), nullable=False, server_default=EMPTY_ARRAY),  # "person/1", "organization/2"
    _text("text"),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("updated_at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "id"),
    _to("crm_connection", "connection_id"),
    sa.Index("ix_crm_note_record", "team_id", "connection_id", "kind", "external_id"),
    sa.Index("ix_crm_note_marker", "team_id", "marker"),
)

# --- Smart BCC: what our own SMTP server takes (connectors/mail/smart_bcc) ---

smart_bcc_address = sa.Table(
    "smart_bcc_address",
    metadata,
    _team(),
    _id(),
    sa.Column("member_id", sa.BigInteger),  # None: whoever of the team sends
    sa.Column("connection_id", sa.BigInteger),
    _text("kind"),  # of the item that mail to it is linked to; "" for none
    _text("external_id"),
    _text("slug", None),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),  # rises when the address is changed
    sa.Column("token_hash", BYTEA, nullable=False),
    sa.Column("created_at", Time, nullable=False, server_default=NOW),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint(
        "team_id",
        "member_id",
        "connection_id",
        "kind",
        "external_id",
        name="uq_smart_bcc_address_purpose",
        postgresql_nulls_not_distinct=True,
    ),
    sa.UniqueConstraint("team_id", "token_hash"),
    _to("member", "member_id"),
    _to("crm_connection", "connection_id"),
    sa.Index("ix_smart_bcc_address_token_hash", "token_hash"),
    comment="Addresses that mail is sent to, as hashes: of a member or the team, for any item or one.",
)

received_mail = sa.Table(
    "received_mail",
    metadata,
    _team(),
    _id(),
    _public_id(),
    sa.Column("account_id", sa.BigInteger, nullable=False),
    _text("provider_id", None),
    sa.Column("connection_id", sa.BigInteger),
    _text("kind"),
    _text("external_id"),
    _text("mail_from"),
    _text("peer"),
    _text("helo"),
    sa.Column("raw", BYTEA, nullable=False),
    sa.Column("received_at", Time, nullable=False),
    _text("held_why"),  # not_proven, unknown_sender; "" when it is not held back
    _text("held_from"),
    _text("held_subject"),
    sa.Column("released_by", sa.BigInteger),  # member
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    sa.UniqueConstraint("team_id", "account_id", "provider_id"),
    _to("account", "account_id"),
    sa.Index("ix_received_mail_account", "team_id", "account_id", "id"),
    sa.Index(
        "ix_received_mail_held",
        "team_id",
        "account_id",
        postgresql_where=sa.text("held_why <> '' AND released_by IS NULL"),
    ),
    sa.Index("ix_received_mail_received_at", "received_at"),
    comment="Mail that our own SMTP server took, until it is stored as a message; held_why says why it is held back.",
)

member_address = sa.Table(
    "member_address",
    metadata,
    _team(),
    sa.Column("member_id", sa.BigInteger, nullable=False),
    _text("address", None),
    sa.Column("token_hash", BYTEA),
    sa.Column("asked_at", Time),
    sa.Column("verified_at", Time),
    _flag("unsigned"),
    sa.Column("created_at", Time, nullable=False, server_default=NOW),
    sa.PrimaryKeyConstraint("team_id", "member_id", "address"),
    _to("member", "member_id"),
    sa.Index("ix_member_address_address", "address", "asked_at"),
    sa.Index("ix_member_address_token_hash", "token_hash", postgresql_where=sa.text("token_hash IS NOT NULL")),
    comment="Other addresses a member sends from; unsigned: taken as theirs although nothing proves it.",
)

# Rows outside the tenant rules: the installation's own, and the root of them all.
WITHOUT_TEAM = frozenset({"installation", "sign_in_attempt"})
