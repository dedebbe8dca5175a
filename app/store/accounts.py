"""Connected accounts: who owns them, what state they are in, which addresses make a participant ours."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from app.errors import Conflict, NotFound
from app.linking.addresses import make_ours
from app.model import Account, AccountKind, Level, Ours
from app.ports import ConnectedMailbox, Subscription
from app.store.discovered import Position

AccountState = Literal[
    "connecting",
    "backfilling",
    "live",
    "degraded",
    "throttled",
    "reauth_required",
    "admin_blocked",
    "mailbox_unavailable",
    "disconnected",
]
SMART_BCC = "smart_bcc"  # the provider of accounts that read no mailbox: they hold what was sent to us
# Mail is read in these states.
WORKING_STATES: frozenset[str] = frozenset({"connecting", "backfilling", "live", "degraded", "throttled"})
# Only somebody who connects the mailbox again leads out of these: a job that is late must not.
_UNTIL_CONNECTED_AGAIN: frozenset[str] = frozenset({"reauth_required", "admin_blocked"})
_STOPPED_STATES: frozenset[str] = _UNTIL_CONNECTED_AGAIN | {"mailbox_unavailable", "disconnected"}

_SELECT = """
    SELECT a.id, a.public_id, a.team_id, a.provider, a.kind, a.address, a.mailbox, a.own_addresses, a.auto_link,
           a.visibility, a.owner_id, CASE WHEN a.paused THEN 'paused' ELSE a.state END AS state,
           a.cursor, a.cursor_version, a.history_from, a.last_sync_at, a.throttled_until, a.folders,
           CASE WHEN a.folders_grew THEN coalesce(a.history_from, a.created_at) END AS list_again_from,
           ARRAY(SELECT c.member_id FROM account_collaborator c
                 WHERE c.team_id = a.team_id AND c.account_id = a.id) AS collaborator_ids
    FROM account a
"""


def accounts(connection: sa.Connection) -> list[Account]:
    """Return every account of the team, disconnected ones included; the state of a paused one reads `paused`."""
    return [_account(row) for row in connection.execute(sa.text(f"{_SELECT} ORDER BY a.id"))]


def account_by_id(connection: sa.Connection, account_id: int) -> Account | None:
    """Return one account of the team."""
    row = connection.execute(sa.text(f"{_SELECT} WHERE a.id = :id"), {"id": account_id}).one_or_none()
    return _account(row) if row else None


def account(connection: sa.Connection, account_id: int) -> Account:
    """Return one account of the team. Raises NotFound when it was deleted meanwhile."""
    found = account_by_id(connection, account_id)
    if found is None:
        raise NotFound
    return found


def account_by_address(connection: sa.Connection, address: str) -> Account | None:
    """Return the account with this address in normal form."""
    row = connection.execute(sa.text(f"{_SELECT} WHERE a.address = :address"), {"address": address}).one_or_none()
    return _account(row) if row else None


def account_of_owner(connection: sa.Connection, provider: str, owner_id: int) -> Account | None:
    """Return the account that a member owns with a provider of which nobody has two."""
    asked = {"provider": provider, "owner": owner_id}
    row = connection.execute(
        sa.text(f"{_SELECT} WHERE a.provider = :provider AND a.owner_id = :owner"), asked
    ).one_or_none()
    return _account(row) if row else None


def account_by_public_id(connection: sa.Connection, public_id: str) -> Account | None:
    """Return the account with this public id, a uuid."""
    row = connection.execute(
        sa.text(f"{_SELECT} WHERE a.public_id = CAST(:public_id AS uuid)"), {"public_id": public_id}
    ).one_or_none()
    return _account(row) if row else None


def matching(connection: sa.Connection, provider: str, connected: ConnectedMailbox) -> Account | None:
    """Return the account that has the address or is the mailbox. Raises Conflict when those are two accounts."""
    rows = connection.execute(
        sa.text(f"{_SELECT} WHERE a.address = :address OR (a.provider = :provider AND a.mailbox = :mailbox)"),
        {"address": connected.address, "provider": provider, "mailbox": connected.mailbox},
    ).all()
    if len(rows) > 1:
        raise Conflict("address_in_use", address=connected.address)
    return _account(rows[0]) if rows else None


def ours(connection: sa.Connection) -> Ours:
    """Return what makes an address ours: every account of the team with its aliases, and the team's domains."""
    row = connection.execute(
        sa.text(
            """
            SELECT coalesce((SELECT domains FROM team), '{}') AS domains,
                   ARRAY(SELECT address FROM account UNION SELECT unnest(own_addresses) FROM account) AS addresses
            """
        )
    ).one()
    return make_ours(row.addresses, row.domains)


@dataclass(frozen=True, slots=True)
class Reading:
    """How the reading of a mailbox stands: how far it came, how far back a first read goes, and what it waits for.

    `list_again_from` is set when folders were chosen whose earlier mail was left out so far: since when that is read.
    """

    account: Account
    position: Position
    history_from: datetime | None
    last_sync_at: datetime | None
    throttled_until: datetime | None
    list_again_from: datetime | None

    def rests_until(self, now: datetime, rest: timedelta) -> datetime | None:
        """Return until when the mailbox rests, when it was read less than `rest` ago."""
        last = self.last_sync_at
        return last + rest if last is not None and last <= now < last + rest else None

    def may_be_asked(self, now: datetime) -> bool:
        """Whether mail is read, and the provider did not ask us to wait."""
        is_throttled = self.throttled_until is not None and self.throttled_until > now
        return self.account.state in WORKING_STATES and not is_throttled


def find_reading(connection: sa.Connection, account_id: int) -> Reading | None:
    """Return how the reading of an account stands, or None when it was deleted meanwhile."""
    row = connection.execute(sa.text(f"{_SELECT} WHERE a.id = :id"), {"id": account_id}).one_or_none()
    if row is None:
        return None
    position = Position(row.cursor, row.cursor_version)
    return Reading(
        _account(row), position, row.history_from, row.last_sync_at, row.throttled_until, row.list_again_from
    )


def reading(connection: sa.Connection, account_id: int) -> Reading:
    """Return how the reading of an account stands. Raises NotFound when it was deleted meanwhile."""
    found = find_reading(connection, account_id)
    if found is None:
        raise NotFound
    return found


def last_push_at(connection: sa.Connection, account_id: int) -> datetime | None:
    """Return when the provider last pushed something about the mailbox."""
    return connection.execute(sa.text("SELECT pushed_at FROM hint WHERE account_id = :id"), {"id": account_id}).scalar()


def provider_user_id(connection: sa.Connection, account_id: int) -> str | None:
    """Return the provider's stable id of the person or mailbox behind an account."""
    return connection.execute(
        sa.text("SELECT provider_user_id FROM account WHERE id = :id"), {"id": account_id}
    ).scalar()


# --- changes ---


def add(
    connection: sa.Connection,
    team_id: int,
    provider: str,
    kind: AccountKind,
    connected: ConnectedMailbox,
    *,
    owner_id: int | None,
    auto_link: bool,
    history_from: datetime | None,
    now: datetime,
    collaborators: Collection[int] = (),
    visibility: Level = "full",
) -> int:
    """Store a newly connected mailbox with its hint row, and return the account's id."""
    account_id: int = connection.execute(
        sa.text(
            """
            INSERT INTO account (team_id, provider, kind, address, mailbox, provider_user_id, owner_id, own_addresses,
                                 auto_link, visibility, state, state_since, history_from, created_at)
            VALUES (:team_id, :provider, :kind, :address, :mailbox, :provider_user_id, :owner_id, ARRAY[:address],
                    :auto_link, :visibility, 'connecting', :now, :history_from, :now)
            RETURNING id
            """
        ),
        {
            "team_id": team_id,
            "provider": provider,
            "kind": kind,
            "address": connected.address,
            "mailbox": connected.mailbox,
            "provider_user_id": connected.provider_user_id,
            "owner_id": owner_id,
            "auto_link": auto_link,
            "visibility": visibility,
            "history_from": history_from,
            "now": now,
        },
    ).scalar_one()
    connection.execute(
        sa.text("INSERT INTO hint (team_id, account_id) VALUES (:team_id, :account_id)"),
        {"team_id": team_id, "account_id": account_id},
    )
    _add_collaborators(connection, team_id, account_id, collaborators)
    return account_id


def _add_collaborators(connection: sa.Connection, team_id: int, account_id: int, member_ids: Collection[int]) -> None:
    connection.execute(
        sa.text(
            """
            INSERT INTO account_collaborator (team_id, account_id, member_id)
            SELECT :team_id, :account_id, member_id FROM unnest(CAST(:members AS bigint[])) AS member_id
            ON CONFLICT DO NOTHING
            """
        ),
        {"team_id": team_id, "account_id": account_id, "members": sorted(member_ids)},
    )


def may_become(state: str, new: AccountState) -> bool:
    """Say whether an account in `state` may take the new one."""
    if state == "disconnected":
        return new in ("connecting", "disconnected")
    if state in _UNTIL_CONNECTED_AGAIN:
        return new == "connecting" or new in _STOPPED_STATES
    return True


def set_state(
    connection: sa.Connection,
    account_id: int,
    state: AccountState,
    now: datetime,
    *,
    reason: str = "",
    throttled_until: datetime | None = None,
) -> bool:
    """Move an account to a state with the reason a person reads; a move that is not allowed changes nothing.

    Returns True when the state is another one than before, so that its owner is told once.
    """
    allowed = [old for old in sorted(WORKING_STATES | _STOPPED_STATES) if may_become(old, state)]
    before = connection.execute(
        sa.text(
            """
            UPDATE account SET state = :state, state_reason = :reason, throttled_until = :throttled_until,
                   state_since = CASE WHEN account.state = :state THEN account.state_since ELSE :now END
            FROM (SELECT team_id, id, state FROM account WHERE id = :id FOR UPDATE) AS before
            WHERE account.team_id = before.team_id AND account.id = before.id AND before.state = ANY(:allowed)
            RETURNING before.state
            """
        ),
        {
            "id": account_id,
            "state": state,
            "reason": reason,
            "throttled_until": throttled_until,
            "now": now,
            "allowed": allowed,
        },
    ).scalar()
    return before is not None and before != state


def synced(connection: sa.Connection, account_id: int, now: datetime) -> None:
    """Record that a mailbox was read to its end: it is live, and its earlier failures are over.

    The first time, of one whose earlier mail was wanted, what that came to is kept.
    """
    was_live = connection.execute(
        sa.text(
            """
            UPDATE account SET last_sync_at = :now, last_error = NULL, failures = 0,
              first_read_at = CASE WHEN last_sync_at IS NULL AND history_from IS NOT NULL THEN :now
                                   ELSE first_read_at END,
              first_read_messages = CASE WHEN last_sync_at IS NULL AND history_from IS NOT NULL THEN
                  (SELECT count(*) FROM discovered_message d
                   WHERE d.team_id = account.team_id AND d.account_id = account.id AND d.state = 'stored')
                ELSE first_read_messages END
            WHERE id = :id
            RETURNING state = 'live' AND state_reason = '' AND throttled_until IS NULL
            """
        ),
        {"id": account_id, "now": now},
    ).scalar()
    if not was_live:
        set_state(connection, account_id, "live", now)


def audited(connection: sa.Connection, account_id: int, now: datetime) -> None:
    """Record that the last days of a mailbox were compared with what is stored."""
    connection.execute(
        sa.text("UPDATE account SET last_audit_at = :now WHERE id = :id"), {"id": account_id, "now": now}
    )


def failed(connection: sa.Connection, account_id: int, error: str) -> int:
    """Count a failed run under the class name of its error; return how many failed in a row."""
    return (
        connection.execute(
            sa.text(
                "UPDATE account SET failures = failures + 1, last_error = :error WHERE id = :id RETURNING failures"
            ),
            {"id": account_id, "error": error},
        ).scalar()
        or 0
    )


def throttle(connection: sa.Connection, account_id: int, until: datetime) -> None:
    """Ask the provider nothing about an account before then; its state stays, for it is not at fault."""
    connection.execute(
        sa.text("UPDATE account SET throttled_until = :until WHERE id = :id"), {"id": account_id, "until": until}
    )


def reconnect(connection: sa.Connection, account_id: int, address: str, *, auto_link: bool, now: datetime) -> None:
    """Let an account whose owner consented again go on from where it was, under the address it has now."""
    connection.execute(
        sa.text("UPDATE account SET address = :address, auto_link = :auto_link, paused = false WHERE id = :id"),
        {"id": account_id, "address": address, "auto_link": auto_link},
    )
    set_state(connection, account_id, "connecting", now)


def set_paused(connection: sa.Connection, account_id: int, paused: bool) -> bool:
    """Pause an account or let it go on; True when that changed something."""
    return _changed(
        connection, "UPDATE account SET paused = :value WHERE id = :id AND paused <> :value", account_id, paused
    )


def pause_mailboxes(connection: sa.Connection) -> list[int]:
    """Pause every account of the team that reads a mailbox; return those that were read."""
    paused = connection.execute(
        sa.text("UPDATE account SET paused = true WHERE NOT paused AND provider <> :without_mailbox RETURNING id"),
        {"without_mailbox": SMART_BCC},
    )
    return sorted(paused.scalars())


def set_auto_link(connection: sa.Connection, account_id: int, auto_link: bool) -> bool:
    """Flip the auto-link switch; nothing is linked retroactively (S4). True when that changed something."""
    return _changed(
        connection,
        "UPDATE account SET auto_link = :value WHERE id = :id AND auto_link <> :value",
        account_id,
        auto_link,
    )


def set_visibility(connection: sa.Connection, account_id: int, visibility: Level) -> bool:
    """Set who may read an account's conversations where they have no setting of their own; True when that changed."""
    return _changed(
        connection,
        "UPDATE account SET visibility = :value WHERE id = :id AND visibility <> :value",
        account_id,
        visibility,
    )


def set_collaborators(connection: sa.Connection, account: Account, member_ids: Collection[int]) -> None:
    """Replace who shares a team account."""
    connection.execute(
        sa.text("DELETE FROM account_collaborator WHERE account_id = :id AND member_id <> ALL(:members)"),
        {"id": account.id, "members": sorted(member_ids)},
    )
    _add_collaborators(connection, account.team_id, account.id, member_ids)


def set_own_addresses(connection: sa.Connection, account_id: int, addresses: Collection[str]) -> bool:
    """Store the addresses a mailbox sends and receives as, its main one always among them."""
    return _changed(
        connection,
        """
        UPDATE account SET own_addresses = ARRAY(SELECT DISTINCT unnest(CAST(:value AS text[]) || address) ORDER BY 1)
        WHERE id = :id
        """,
        account_id,
        sorted(addresses),
    )


def set_subscription(connection: sa.Connection, account_id: int, subscription: Subscription | None) -> None:
    """Store our registration for pushes, or that there is none."""
    connection.execute(
        sa.text(
            """
            UPDATE account SET subscription_id = :external_id, subscription_expires_at = :expires_at WHERE id = :id
            """
        ),
        {
            "id": account_id,
            "external_id": subscription.external_id if subscription else None,
            "expires_at": subscription.expires_at if subscription else None,
        },
    )


def retire(connection: sa.Connection, account_id: int) -> None:
    """Free the address of a disconnected account for another one: it never gets the old one's cursor and rights (T9).

    Mail of the old account stays readable for those who could read it, and its address stays one of ours.
    """
    connection.execute(
        sa.text(
            """
            UPDATE account SET own_addresses = array_append(own_addresses, address),
                   address = address || ' (ended ' || public_id || ')',
                   mailbox = mailbox || ' (ended ' || public_id || ')'
            WHERE id = :id
            """
        ),
        {"id": account_id},
    )


def is_retired(account: Account) -> bool:
    """Say whether an account was ended and its address freed for another one."""
    return account.mailbox.endswith(f" (ended {account.public_id})")


def delete(connection: sa.Connection, account_id: int) -> bool:
    """Erase an account with its copies, texts, credentials and hints; False when the team has no such account."""
    return _changed(connection, "DELETE FROM account WHERE id = :id AND :value", account_id, True)


def _changed(connection: sa.Connection, sql: str, account_id: int, value: object) -> bool:
    return connection.execute(sa.text(sql), {"id": account_id, "value": value}).rowcount > 0


def _account(row: sa.Row[Any]) -> Account:
    return Account(
        id=row.id,
        public_id=str(row.public_id),
        team_id=row.team_id,
        provider=row.provider,
        kind=row.kind,
        address=row.address,
        mailbox=row.mailbox,
        own_addresses=frozenset(row.own_addresses) | {row.address},
        auto_link=row.auto_link,
        visibility=row.visibility,
        owner_id=row.owner_id,
        collaborator_ids=frozenset(row.collaborator_ids),
        state=row.state,
        folders=frozenset(row.folders),
    )
