"""What happens to a connected account: paused, resumed, its switch flipped, its access ended. See connecting.py."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.errors import Conflict, NotAllowed, NotFound, ProviderError
from app.installation import Installation
from app.linking.addresses import normalize
from app.model import Account, Member
from app.ports import Mailbox
from app.store import accounts, links, lookups, queue, teams
from app.store.teams import Team

LITE_PLAN = "lite"


def pause(installation: Installation, team_id: int, account_id: int) -> bool:
    """Stop reading a mailbox until it is resumed; what is stored stays. False when it is paused already."""
    with installation.database.for_team(team_id) as connection:
        return accounts.set_paused(connection, account_id, True)


def resume(installation: Installation, team_id: int, account_id: int) -> bool:
    """Read a paused mailbox again, from where it was; False when it was not paused. Raises Conflict (plan_required)."""
    with installation.database.for_team(team_id) as connection:
        check_plan(current_team(connection))
        if not accounts.set_paused(connection, account_id, False):
            return False
        queue.hint_accounts(connection, [account_id])
    return True


def set_auto_link(connection: sa.Connection, member: Member, address: str, auto_link: bool, now: datetime) -> None:
    """Flip an account's auto-link switch; nothing is linked retroactively (S4).

    The owner flips a personal account's, collaborators and administrators a team account's. Raises NotFound,
    NotAllowed (not_owner).
    """
    account = accounts.account_by_address(connection, normalize(address) or "")
    if account is None:
        raise NotFound
    is_shared_by = member.id in account.collaborator_ids or member.role == "admin"
    if not (account.owner_id == member.id if account.kind == "personal" else is_shared_by):
        raise NotAllowed("not_owner")
    accounts.set_auto_link(connection, account.id, auto_link)
    detail = {"account": account.public_id, "auto_link": auto_link}
    audit(connection, account.team_id, member.id, "set_auto_link", detail, now)


def disconnect(
    installation: Installation, team_id: int, account_id: int, member_id: int | None, *, erase: bool
) -> None:
    """End our access to a mailbox; `erase` deletes its copies and texts as well.

    The watch ends and the consent is revoked only with the last account of the mailbox (T10). A provider that does not
    answer does not keep an account alive: the secrets are deleted here whatever it says.
    """
    now = installation.clock.now()
    with installation.database.for_team(team_id) as connection:
        account = accounts.account(connection, account_id)
    last = not is_read_by_others(installation, account)
    mailbox = Mailbox(account, installation.credentials_of(account))
    try:
        installation.mail[account.provider].disconnect(mailbox, last=last)
    except ProviderError as error:
        outcome = type(error).__name__
    else:
        outcome = "revoked" if last else "kept_for_others"
    with installation.database.for_team(team_id) as connection:
        installation.secrets.forget_account(connection, account_id)
        accounts.set_subscription(connection, account_id, None)
        accounts.set_paused(connection, account_id, False)
        accounts.set_state(connection, account_id, "disconnected", now, reason="disconnected")
        if erase:
            accounts.delete(connection, account_id)
        detail = {"account": account.public_id, "erased": erase, "provider": outcome}
        audit(connection, team_id, member_id, "disconnect_account", detail, now)


# --- what connecting asks as well ---


def check_plan(team: Team) -> None:
    """Refuse a team whose plan has no mailboxes (S0). Raises Conflict (plan_required)."""
    if team.plan == LITE_PLAN:
        raise Conflict("plan_required", plan=team.plan)


def current_team(connection: sa.Connection) -> Team:
    """Return the team whose transaction this is. Raises NotFound when it was deleted."""
    team = teams.team(connection)
    if team is None:
        raise NotFound
    return team


def is_read_by_others(installation: Installation, account: Account) -> bool:
    """Say whether another account, of whatever team, lives by the same watch and consent."""
    with installation.database.without_team() as connection:
        known = lookups.accounts_of_mailbox(connection, account.provider, account.mailbox)
    for team_id, account_id in known:
        if account_id == account.id:
            continue
        with installation.database.for_team(team_id) as connection:
            other = accounts.account_by_id(connection, account_id)
        if other is not None and other.state != "disconnected":
            return True
    return False


def audit(
    connection: sa.Connection,
    team_id: int,
    member_id: int | None,
    action: str,
    detail: Mapping[str, Any],
    now: datetime,
) -> None:
    """Write an audit row: who did what to which account, without content."""
    links.audit(connection, team_id, [{"at": now, "member_id": member_id, "action": action, "detail": dict(detail)}])
