"""Smart BCC: what our own SMTP server takes (connectors/mail/smart_bcc)."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA

from app.store.schema.columns import NOW, Time, flag, metadata, points_to, public_id, row_id, team_id, text

smart_bcc_address = sa.Table(
    "smart_bcc_address",
    metadata,
    team_id(),
    row_id(),
    sa.Column("member_id", sa.BigInteger),  # None: whoever of the team sends
    sa.Column("connection_id", sa.BigInteger),
    text("kind"),  # of the item that mail to it is linked to; "" for none
    text("external_id"),
    text("slug", None),
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
    points_to("member", "member_id"),
    points_to("crm_connection", "connection_id"),
    sa.Index("ix_smart_bcc_address_token_hash", "token_hash"),
    comment="Addresses that mail is sent to, as hashes: of a member or the team, for any item or one.",
)

received_mail = sa.Table(
    "received_mail",
    metadata,
    team_id(),
    row_id(),
    public_id(),
    sa.Column("account_id", sa.BigInteger, nullable=False),
    text("provider_id", None),
    sa.Column("connection_id", sa.BigInteger),
    text("kind"),
    text("external_id"),
    text("mail_from"),
    text("peer"),
    text("helo"),
    sa.Column("raw", BYTEA, nullable=False),
    sa.Column("received_at", Time, nullable=False),
    text("held_why"),  # not_proven, unknown_sender; "" when it is not held back
    text("held_from"),
    text("held_subject"),
    sa.Column("released_by", sa.BigInteger),  # member
    flag("needs_proof"),
    sa.PrimaryKeyConstraint("team_id", "id"),
    sa.UniqueConstraint("team_id", "public_id"),
    sa.UniqueConstraint("team_id", "account_id", "provider_id"),
    points_to("account", "account_id"),
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
    team_id(),
    sa.Column("member_id", sa.BigInteger, nullable=False),
    text("address", None),
    sa.Column("token_hash", BYTEA),
    sa.Column("asked_at", Time),
    sa.Column("verified_at", Time),
    flag("unsigned"),
    sa.Column("created_at", Time, nullable=False, server_default=NOW),
    sa.PrimaryKeyConstraint("team_id", "member_id", "address"),
    points_to("member", "member_id"),
    sa.Index("ix_member_address_address", "address", "asked_at"),
    sa.Index("ix_member_address_token_hash", "token_hash", postgresql_where=sa.text("token_hash IS NOT NULL")),
    comment="Other addresses a member sends from; unsigned: taken as theirs although nothing proves it.",
)
