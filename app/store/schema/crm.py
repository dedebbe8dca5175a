"""The CRM: its connection, what waits to be written or read, our mirror of it; and the one that we keep ourselves."""

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

crm_connection = sa.Table(
    "crm_connection",
    metadata,
    team_id(),
    row_id(),
    public_id(),
    text("adapter", None),
    text("company"),
    sa.Column("settings", JSONB, nullable=False, server_default=EMPTY_JSON),
    sa.Column("ciphertext", BYTEA),
    text("state", "live"),
    text("state_reason"),
    sa.Column("throttled_until", Time),
    sa.Column("created_at", Time, nullable=False, server_default=NOW),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),  # calls that failed since one succeeded
    sa.Column("subscribed_at", Time),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    of_team(),
    sa.Index("ix_crm_connection_public_id", "public_id"),
)

crm_user = sa.Table(
    "crm_user",
    metadata,
    team_id(),
    sa.Column("connection_id", sa.BigInteger, nullable=False),
    text("company"),
    text("external_id", None),
    text("name"),
    text("email"),
    flag("sees_everything"),
    sa.PrimaryKeyConstraint("team_id", "connection_id", "company", "external_id"),
    points_to("crm_connection", "connection_id"),
    sa.Index("ix_crm_user_email", "team_id", "email"),
)

crm_event = sa.Table(
    "crm_event",
    metadata,
    team_id(),
    sa.Column("connection_id", sa.BigInteger, nullable=False),
    text("event_id", None),
    sa.Column("at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "connection_id", "event_id"),
    points_to("crm_connection", "connection_id"),
    comment="Webhook events of the last day: one that is sent again says nothing new.",
)

crm_hint = sa.Table(
    "crm_hint",
    metadata,
    team_id(),
    sa.Column("connection_id", sa.BigInteger, nullable=False),
    text("kind", None),
    text("external_id", None),
    text("merged_into"),  # as deal/5, when the event claims that
    # Who was named again while it was being read is read once more.
    sa.Column("generation", sa.BigInteger, sa.Identity(always=True), nullable=False),
    sa.PrimaryKeyConstraint("team_id", "connection_id", "kind", "external_id", "merged_into"),
    points_to("crm_connection", "connection_id"),
    comment="Records that a CRM webhook named and that were not read again yet.",
)

crm_write = sa.Table(
    "crm_write",
    metadata,
    team_id(),
    row_id(),
    sa.Column("conversation_id", sa.BigInteger, nullable=False),
    sa.Column("crm_connection_id", sa.BigInteger, nullable=False),
    text("kind", None),
    text("external_id", None),
    sa.Column("marker", UUID(as_uuid=False), nullable=False, server_default=sa.func.gen_random_uuid()),
    text("state", "wanted"),  # wanted intended written parked removed
    sa.Column("wanted", sa.BigInteger, nullable=False, server_default="1"),  # raised to ask for a look at the note
    sa.Column("written", sa.BigInteger, nullable=False, server_default="0"),  # the wanted this note answers
    sa.Column("content_digest", BYTEA),
    sa.Column("written_id", Text),  # the CRM's id of the note
    sa.Column("writes", sa.Integer, nullable=False, server_default="0"),
    sa.Column("reads", sa.Integer, nullable=False, server_default="0"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_at", Time),
    sa.Column("written_at", Time),
    text("error"),
    sa.Column("created_at", Time, nullable=False, server_default=NOW),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "conversation_id", "crm_connection_id", "kind", "external_id"),
    sa.CheckConstraint("state in ('wanted','intended','written','parked','removed')", name="state"),
    sa.Index("ix_crm_write_due", "next_at", postgresql_where=sa.text("state in ('wanted','intended')")),
    points_to("conversation", "conversation_id"),
    points_to("crm_connection", "crm_connection_id"),
)

mirror_person = sa.Table(
    "mirror_person",
    metadata,
    team_id(),
    sa.Column("connection_id", sa.BigInteger, nullable=False),
    text("company"),
    text("external_id", None),
    text("name"),
    sa.Column("organization_id", Text),
    sa.Column("merged_into", Text),
    flag("deleted"),
    sa.Column("visibility", JSONB),
    sa.Column("created_at", Time),
    sa.Column("updated_at", Time),
    sa.PrimaryKeyConstraint("team_id", "connection_id", "company", "external_id"),
    points_to("crm_connection", "connection_id"),
)

mirror_address = sa.Table(
    "mirror_address",
    metadata,
    team_id(),
    sa.Column("connection_id", sa.BigInteger, nullable=False),
    text("company"),
    text("person_id", None),
    text("address", None),
    text("match_key", None),
    sa.Column("position", sa.Integer, nullable=False, server_default="0"),
    sa.PrimaryKeyConstraint("team_id", "connection_id", "company", "person_id", "address"),
    points_to("crm_connection", "connection_id"),
    sa.Index("ix_mirror_address_address", "team_id", "address"),
    sa.Index("ix_mirror_address_match_key", "team_id", "match_key"),
)

mirror_organization = sa.Table(
    "mirror_organization",
    metadata,
    team_id(),
    sa.Column("connection_id", sa.BigInteger, nullable=False),
    text("company"),
    text("external_id", None),
    text("name"),
    flag("deleted"),
    sa.Column("visibility", JSONB),
    sa.Column("updated_at", Time),
    sa.PrimaryKeyConstraint("team_id", "connection_id", "company", "external_id"),
    points_to("crm_connection", "connection_id"),
)

mirror_item = sa.Table(
    "mirror_item",
    metadata,
    team_id(),
    sa.Column("connection_id", sa.BigInteger, nullable=False),
    text("company"),
    text("kind", None),
    text("external_id", None),
    text("title"),
    text("search"),  # folded title, linking.suggest.fold
    text("state", "open"),
    sa.Column("organization_id", Text),
    sa.Column("merged_into", Text),
    sa.Column("visibility", JSONB),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("updated_at", Time),
    sa.PrimaryKeyConstraint("team_id", "connection_id", "company", "kind", "external_id"),
    points_to("crm_connection", "connection_id"),
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
    team_id(),
    sa.Column("connection_id", sa.BigInteger, nullable=False),
    text("company"),
    text("kind", None),
    text("item_id", None),
    text("person_id", None),
    text("role", None),  # contact or participant
    sa.PrimaryKeyConstraint("team_id", "connection_id", "company", "kind", "item_id", "person_id"),
    points_to("crm_connection", "connection_id"),
    sa.Index("ix_mirror_item_person_person", "team_id", "person_id", "connection_id"),
)

mirror_cursor = sa.Table(
    "mirror_cursor",
    metadata,
    team_id(),
    sa.Column("connection_id", sa.BigInteger, nullable=False),
    sa.Column("cursor", Text),
    sa.Column("refreshed_at", Time),
    flag("queued"),  # a webhook enqueued a refresh that has not begun
    sa.Column("started_at", Time),  # the first load, and how many records it has brought so far
    sa.Column("records", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("users_at", Time),
    sa.PrimaryKeyConstraint("team_id", "connection_id"),
    points_to("crm_connection", "connection_id"),
)

mirror_unknown = sa.Table(
    "mirror_unknown",
    metadata,
    team_id(),
    sa.Column("connection_id", sa.BigInteger, nullable=False),
    text("company"),
    text("address", None),
    sa.Column("asked_at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "connection_id", "company", "address"),
    points_to("crm_connection", "connection_id"),
    comment="Addresses that the CRM was asked about and knew nobody with.",
)

# --- the embedded CRM (connectors/crm/embedded): tenant tables like the others ---

crm_record = sa.Table(
    "crm_record",
    metadata,
    team_id(),
    sa.Column("connection_id", sa.BigInteger, nullable=False),
    text("kind", None),  # person organization deal lead project
    text("external_id", None),
    text("name"),
    text("search"),
    text("state", "open"),
    sa.Column("organization_id", Text),
    sa.Column("person_id", Text),
    sa.Column("participants", ARRAY(Text), nullable=False, server_default=EMPTY_ARRAY),
    sa.Column("addresses", ARRAY(Text), nullable=False, server_default=EMPTY_ARRAY),
    sa.Column("merged_into", Text),  # "deal/5" or "person/2"
    sa.Column("state_before", Text),  # what a deletion took it from, for restore
    sa.Column("created_at", Time, nullable=False),
    sa.Column("changed", sa.BigInteger, sa.Identity(always=False), nullable=False),  # rises with every change
    sa.PrimaryKeyConstraint("team_id", "connection_id", "kind", "external_id"),
    points_to("crm_connection", "connection_id"),
    sa.Index("ix_crm_record_changed", "team_id", "connection_id", "changed"),
)

crm_note = sa.Table(
    "crm_note",
    metadata,
    team_id(),
    row_id(),
    sa.Column("connection_id", sa.BigInteger, nullable=False),
    text("kind", None),
    text("external_id", None),
    sa.Column("marker", UUID(as_uuid=False), nullable=False),
    sa.Column("related", ARRAY(Text), nullable=False, server_default=EMPTY_ARRAY),  # "person/1", "organization/2"
    text("text"),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("updated_at", Time, nullable=False),
    sa.PrimaryKeyConstraint("team_id", "id"),
    points_to("crm_connection", "connection_id"),
    sa.Index("ix_crm_note_record", "team_id", "connection_id", "kind", "external_id"),
    sa.Index("ix_crm_note_marker", "team_id", "marker"),
)
