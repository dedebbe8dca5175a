"""What the pages of e-mail accounts show a member: the own and shared ones, and to administrators all of the team's.

Of somebody else's personal account an administrator is shown its health and nothing else (threats.md C12).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from app.accounts import LITE_PLAN, current_team
from app.deciding import policy_of
from app.doctor import STATES, account_findings
from app.errors import NotFound
from app.installation import Installation
from app.model import Account, Member, Policy
from app.ports import MailConnector, SharedMailConnector
from app.store import teams
from app.store.account_health import AccountHealth, EarlierReading, earlier_readings, health_of_accounts
from app.store.accounts import SMART_BCC, WORKING_STATES, is_retired

HISTORY_DAYS = (0, 7, 30, 90, 365)


@dataclass(frozen=True, slots=True)
class Provider:
    """A mail provider that a mailbox can be connected at, and what its connector can do."""

    name: str
    is_set_up: bool
    is_shared_apart: bool  # a shared mailbox has a consent of its own, which its administrator gives
    pushes: bool
    reads_texts: bool


@dataclass(frozen=True, slots=True)
class ShownAccount:
    """An account and how it is doing; `troubles` are the doctor's codes beside the state's own."""

    health: AccountHealth
    troubles: tuple[str, ...]
    reading: EarlierReading | None  # of its earlier mail; None when there is none to read, or it was read
    can_choose_folders: bool

    @property
    def is_mailbox(self) -> bool:
        """Whether it reads a mailbox; what is sent to Smart BCC comes by itself."""
        return self.health.account.provider != SMART_BCC

    @property
    def is_reading(self) -> bool:
        """Whether its earlier mail is being read, so that what is shown changes by itself."""
        return self.reading is not None and self.health.account.state in WORKING_STATES


@dataclass(frozen=True, slots=True)
class OwnAccounts:
    """What a member's page shows."""

    personal: tuple[ShownAccount, ...]
    shared: tuple[ShownAccount, ...]
    policy: Policy
    providers: tuple[Provider, ...]
    has_plan: bool


@dataclass(frozen=True, slots=True)
class TeamAccounts:
    """What the administrators' page shows; `members` are who may share an account, `owners` their names by id."""

    team: tuple[ShownAccount, ...]
    personal: tuple[ShownAccount, ...]
    members: tuple[Member, ...]
    owners: Mapping[int, str]
    providers: tuple[Provider, ...]
    has_plan: bool


def own(installation: Installation, connection: sa.Connection, member: Member) -> OwnAccounts:
    """Return a member's personal accounts, and the team accounts that the member shares."""
    shown = _shown(installation, connection)
    team = current_team(connection)
    return OwnAccounts(
        personal=tuple(each for each in shown if each.health.account.owner_id == member.id),
        shared=tuple(each for each in shown if member.id in each.health.account.collaborator_ids),
        policy=policy_of(team.policy),
        providers=providers(installation.mail),
        has_plan=team.plan != LITE_PLAN,
    )


def of_team(installation: Installation, connection: sa.Connection) -> TeamAccounts:
    """Return every account of the team, for an administrator."""
    shown, members = _shown(installation, connection), teams.members(connection)
    return TeamAccounts(
        team=tuple(each for each in shown if each.health.account.kind == "team"),
        personal=tuple(each for each in shown if each.health.account.kind == "personal"),
        members=tuple(members),
        owners={each.id: each.name for each in members},
        providers=providers(installation.mail),
        has_plan=current_team(connection).plan != LITE_PLAN,
    )


def health_of(installation: Installation, connection: sa.Connection, member: Member, public_id: str) -> ShownAccount:
    """Return how an account is doing that one of the pages shows this member. Raises NotFound for every other."""
    for shown in _shown(installation, connection):
        account = shown.health.account
        is_of = member.id in {account.owner_id, *account.collaborator_ids}
        if account.public_id == public_id and (is_of or member.role == "admin"):
            return shown
    raise NotFound


def providers(mail: Mapping[str, MailConnector]) -> tuple[Provider, ...]:
    """Say where mailboxes can be connected, by name; not where there is nothing to consent to."""
    return tuple(
        Provider(
            name=name,
            is_set_up="connect" not in connector.capabilities.missing,
            is_shared_apart=isinstance(connector, SharedMailConnector),
            pushes=connector.capabilities.subscriptions,
            reads_texts="texts" not in connector.capabilities.missing,
        )
        for name, connector in sorted(mail.items())
        if "consent" not in connector.capabilities.missing
    )


def _shown(installation: Installation, connection: sa.Connection) -> list[ShownAccount]:
    now, poll_quiet_s = installation.clock.now(), installation.settings.poll_quiet_s
    readings = earlier_readings(connection)
    return [
        ShownAccount(
            health,
            tuple(
                finding.code for finding in account_findings(health, now, poll_quiet_s) if finding.code not in STATES
            ),
            readings.get(health.account.id),
            health.account.state != "disconnected" and _can_be_limited(installation, health.account),
        )
        for health in health_of_accounts(connection)
        if not is_retired(health.account)
    ]


def _can_be_limited(installation: Installation, account: Account) -> bool:
    connector = installation.mail.get(account.provider)
    return connector is not None and connector.capabilities.folders
