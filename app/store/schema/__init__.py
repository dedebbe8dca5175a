"""The tables, as SQLAlchemy Core sees them. Migrations create them; a test holds the two equal.

Every tenant table carries team_id first in its keys, its foreign keys and its unique indexes, and is under row-level
security. Public ids are random uuids; the bigint ids never leave the process.

A module for each aggregate, all in one metadata. A new table is named here too, so that `schema.NAME` finds it.
"""

from __future__ import annotations

from app.store.schema.columns import metadata
from app.store.schema.crm import (
    crm_connection,
    crm_event,
    crm_hint,
    crm_note,
    crm_record,
    crm_user,
    crm_write,
    mirror_address,
    mirror_cursor,
    mirror_item,
    mirror_item_person,
    mirror_organization,
    mirror_person,
    mirror_unknown,
)
from app.store.schema.links import decision, dismissal, inbox_entry, link, offer, tombstone
from app.store.schema.mail import (
    conversation,
    conversation_alias,
    conversation_merge,
    discovered_message,
    hint,
    merge_pair,
    message,
    message_body,
    message_copy,
    participant,
)
from app.store.schema.signing_in import (
    addon_user,
    api_answer,
    api_key,
    invitation,
    joining,
    member_identity,
    member_session,
    sign_in_attempt,
    sign_in_link,
)
from app.store.schema.smart_bcc import member_address, received_mail, smart_bcc_address
from app.store.schema.telling import account_notice, letter, webhook, webhook_delivery
from app.store.schema.trail import audit, work, work_entry
from app.store.schema.who import (
    account,
    account_collaborator,
    account_credential,
    connect_request,
    installation,
    last_action,
    member,
    saved_filter,
    team,
)

__all__ = [
    "WITHOUT_TEAM",
    "account",
    "account_collaborator",
    "account_credential",
    "account_notice",
    "addon_user",
    "api_answer",
    "api_key",
    "audit",
    "connect_request",
    "conversation",
    "conversation_alias",
    "conversation_merge",
    "crm_connection",
    "crm_event",
    "crm_hint",
    "crm_note",
    "crm_record",
    "crm_user",
    "crm_write",
    "decision",
    "discovered_message",
    "dismissal",
    "hint",
    "inbox_entry",
    "installation",
    "invitation",
    "joining",
    "last_action",
    "letter",
    "link",
    "member",
    "member_address",
    "member_identity",
    "member_session",
    "merge_pair",
    "message",
    "message_body",
    "message_copy",
    "metadata",
    "mirror_address",
    "mirror_cursor",
    "mirror_item",
    "mirror_item_person",
    "mirror_organization",
    "mirror_person",
    "mirror_unknown",
    "offer",
    "participant",
    "received_mail",
    "saved_filter",
    "sign_in_attempt",
    "sign_in_link",
    "smart_bcc_address",
    "team",
    "tombstone",
    "webhook",
    "webhook_delivery",
    "work",
    "work_entry",
]

# Tables outside the tenant rules: they belong to the installation and to no team.
WITHOUT_TEAM = frozenset({"installation", "sign_in_attempt"})
