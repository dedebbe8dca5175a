"""The caller's mailboxes, how they are doing, and their switch."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Response, jsonify

from app import accounts as rules
from app.acting import Acting
from app.errors import NotFound
from app.linking.reasons import utc
from app.model import Member
from app.store.account_health import AccountHealth, health_of_accounts
from app.web.api.answered import Accounts, Acted
from app.web.api.asked import AutoLinkIn
from app.web.api.frame import Frame

_TAG = "accounts"


def add(frame: Frame) -> None:
    """Add the routes."""

    @frame.route("GET", "/accounts", Accounts, _TAG)
    def list_accounts() -> Response:
        """List the caller's own and shared accounts and how they are doing; an administrator's are all of the team."""
        with frame.reading() as (connection, member):
            known = _visible(connection, member)
        return jsonify({"accounts": [_told(health, member) for health in known]})

    @frame.route("POST", "/accounts/<uuid:account>/auto-link", Acted, _TAG)
    def switch_auto_link(account: UUID, json: AutoLinkIn) -> Response:
        """Turn automatic linking on or off: new mail only, nothing is linked retroactively."""

        def work(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            known = {health.account.public_id: health.account for health in _visible(connection, acting.member)}
            found = known.get(str(account))
            if found is None:
                raise NotFound
            rules.set_auto_link(connection, acting.member, found.address, json.auto_link, acting.now)
            return {"outcome": "auto_link_set", "action": acting.batch_id}

        return frame.writing(work)


def _visible(connection: sa.Connection, member: Member) -> list[AccountHealth]:
    return [health for health in health_of_accounts(connection) if member.role == "admin" or _is_of(member, health)]


def _is_of(member: Member, health: AccountHealth) -> bool:
    return health.account.owner_id == member.id or member.id in health.account.collaborator_ids


def _told(health: AccountHealth, member: Member) -> dict[str, Any]:
    account = health.account
    return {
        "id": account.public_id,
        "address": account.address,
        "provider": account.provider,
        "kind": account.kind,
        "state": health.state,
        "paused": health.paused,
        "auto_link": account.auto_link,
        "visibility": account.visibility,
        "is_mine": _is_of(member, health),
        "last_sync_at": utc(health.last_sync_at) if health.last_sync_at else None,
        "pending": health.pending,
        "parked": health.parked,
    }
