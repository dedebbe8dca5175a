"""What happens to a connected account: paused, resumed, its settings changed, its access ended. See connecting.py.

Who may do it: a personal account's owner; a team account's collaborators and administrators (S4). To anybody else an
account is not there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, cast, get_args

import sqlalchemy as sa

from app import erasing
from app.errors import Conflict, InvalidRequest, NotAllowed, NotFound, ProviderError
from app.installation import Installation
from app.linking.addresses import normalize
from app.model import Account, Level, Member
from app.ports import Mailbox
from app.store import accounts, crm, links, lookups, queue, teams
from app.store.teams import Team

LITE_PLAN = "lite"
LEVELS: tuple[str, ...] = get_args(Level)


def changeable(connection: sa.Connection, member: Member, public_id: str) -> Account:
    """Return the account with this id that the member may change. Raises NotFound for every other."""
    found = accounts.account_by_public_id(connection, public_id)
    if found is None or not may_change(member, found):
        raise NotFound
    return found


def may_change(member: Member, account: Account) -> bool:
    """Say whether a member may change an account's settings, pause it and end it."""
    if account.kind == "personal":
        return account.owner_id == member.id
    return member.id in account.collaborator_ids or member.role == "admin"


def pause(installation: Installation, team_id: int, account_id: int, member_id: int | None = None) -> bool:
    """Stop reading a mailbox until it is resumed; what is stored stays. False when it is paused already."""
    with installation.database.for_team(team_id) as connection:
        changed = accounts.set_paused(connection, account_id, True)
        if changed:
            audit(connection, team_id, member_id, "pause_account", {"account_id": account_id}, installation.clock.now())
    return changed


def resume(installation: Installation, team_id: int, account_id: int, member_id: int | None = None) -> bool:
    """Read a paused mailbox again, from where it was; False when it was not paused. Raises Conflict (plan_required).

    Smart BCC reads no mailbox: every plan includes it.
    """
    with installation.database.for_team(team_id) as connection:
        if accounts.account(connection, account_id).provider != accounts.SMART_BCC:
            check_plan(current_team(connection))
        if not accounts.set_paused(connection, account_id, False):
            return False
        queue.hint_accounts(connection, [account_id])
        audit(connection, team_id, member_id, "resume_account", {"account_id": account_id}, installation.clock.now())
    return True


def set_auto_link(connection: sa.Connection, member: Member, address: str, auto_link: bool, now: datetime) -> None:
    """Flip an account's auto-link switch; nothing is linked retroactively (S4).

    Raises NotFound, NotAllowed (not_owner).
    """
    account = accounts.account_by_address(connection, normalize(address) or "")
    if account is None:
        raise NotFound
    if not may_change(member, account):
        raise NotAllowed("not_owner")
    accounts.set_auto_link(connection, account.id, auto_link)
    detail = {"account": account.public_id, "auto_link": auto_link}
    audit(connection, account.team_id, member.id, "set_auto_link", detail, now)


def set_visibility(connection: sa.Connection, member: Member, account: Account, visibility: str, now: datetime) -> None:
    """Set who may read the conversations of an account that have no setting of their own; their notes follow (V5).

    Raises InvalidRequest for a level that there is not.
    """
    level = visibility_of(visibility)
    if accounts.set_visibility(connection, account.id, level):
        crm.want_notes_of_account(connection, account.id)
        detail = {"account": account.public_id, "visibility": level, "before": account.visibility}
        audit(connection, account.team_id, member.id, "set_account_visibility", detail, now)


def visibility_of(text: str) -> Level:
    """Read a level of visibility. Raises InvalidRequest."""
    if text not in LEVELS:
        raise InvalidRequest([{"field": "visibility", "message": f"must be one of {', '.join(LEVELS)}"}])
    return cast("Level", text)


def set_collaborators(
    connection: sa.Connection, member: Member, account: Account, public_ids: Collection[str], now: datetime
) -> None:
    """Say who shares a team account; from then on they read and link its conversations, and who left does not.

    Raises NotAllowed (not_administrator), NotFound for who is no member.
    """
    if member.role != "admin":
        raise NotAllowed("not_administrator")
    chosen = members_of(connection, public_ids)
    if account.kind != "team":
        raise NotFound
    accounts.set_collaborators(connection, account, chosen)
    detail = {"account": account.public_id, "members": sorted(chosen), "before": sorted(account.collaborator_ids)}
    audit(connection, account.team_id, member.id, "set_collaborators", detail, now)


def members_of(connection: sa.Connection, public_ids: Collection[str]) -> frozenset[int]:
    """Return the ids of these members. Raises NotFound when somebody is none."""
    known = {each.public_id: each.id for each in teams.members(connection)}
    if not known.keys() >= set(public_ids):
        raise NotFound
    return frozenset(known[each] for each in public_ids)


def disconnect(
    installation: Installation, team_id: int, account_id: int, member_id: int | None, *, erase: bool
) -> None:
    """End our access to a mailbox; `erase` deletes what it brought as well, here and in the CRM's notes.

    The watch ends and the consent is revoked only with the last account of the mailbox (T10). A provider that does not
    answer does not keep an account alive: the secrets are deleted here whatever it says.
    """
    now = installation.clock.now()
    with installation.database.for_team(team_id) as connection:
        account = accounts.account(connection, account_id)
    outcome = "ended_before" if account.state == "disconnected" else _give_access_back(installation, account)
    with installation.database.for_team(team_id) as connection:
        installation.secrets.forget_account(connection, account_id)
        accounts.set_subscription(connection, account_id, None)
        accounts.set_paused(connection, account_id, False)
        accounts.set_state(connection, account_id, "disconnected", now, reason="disconnected")
        if erase:
            erasing.begin(installation, connection, team_id, account_id)
        detail = {"account": account.public_id, "erased": erase, "provider": outcome}
        audit(connection, team_id, member_id, "disconnect_account", detail, now)


def _give_access_back(installation: Installation, account: Account) -> str:
    last = not is_read_by_others(installation, account)
    mailbox = Mailbox(account, installation.credentials_of(account))
    try:
        installation.mail[account.provider].disconnect(mailbox, last=last)
    except ProviderError as error:
        return type(error).__name__
    return "revoked" if last else "kept_for_others"


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
    *,
    batch_id: str | None = None,
) -> None:
    """Write an audit row: who (None: the command line, or threadlink itself) did what, without content."""
    entry = {"at": now, "member_id": member_id, "action": action, "detail": dict(detail), "batch_id": batch_id}
    links.audit(connection, team_id, [entry])
