"""Says what is not healthy, why, and what to do: accounts, CRM connections, jobs, and what became of a mail.

Everything is judged from rows, at a given time, so that a sick account says so within one poll period.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import outgoing_mail, outgoing_webhooks, tracing
from app.explain import explain
from app.installation import Installation
from app.model import Member
from app.settings import Settings
from app.store import accounts, crm, figures, mirror, smart_bcc
from app.store.account_health import AccountHealth, health_of_accounts
from app.store.crm_connections import DISCONNECTED

# A poll that was due and did not happen: two periods, so that a running one is not called late.
LATE_POLLS = 2
OLDEST_PENDING = timedelta(minutes=15)
FOUND_BY_POLL_LIMIT = 0.2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be, or that somebody should know: what it concerns, a code, what to do."""

    about: str
    code: str
    text: str
    is_trouble: bool = True


# What a person reads for the state an account is in, and does about it.
STATES = {
    "reauth_required": "The mailbox no longer accepts our access. Connect it again: threadlink accounts add.",
    "admin_blocked": "An administrator's policy blocks the access. Allow threadlink there, then connect it again.",
    "mailbox_unavailable": "The mailbox is gone or has no mail service; it is tried once a day.",
    "disconnected": "The account was disconnected.",
    "paused": "The account is paused: threadlink accounts resume.",
    "throttled": "The provider asked us to slow down; reading goes on by itself.",
    "degraded": "The provider does not answer; reading goes on by itself.",
}
# These are somebody's choice, not trouble.
_CHOSEN = frozenset({"disconnected", "paused"})


def account_findings(health: AccountHealth, now: datetime, poll_quiet_s: int) -> Iterator[Finding]:
    """Yield what is wrong with one account."""
    address, state = health.account.address, health.account.state
    if state in STATES and state not in _CHOSEN:
        yield Finding(address, state, STATES[state])
    if state not in accounts.WORKING_STATES:
        return
    late = timedelta(seconds=LATE_POLLS * poll_quiet_s)
    last = max((at for at in (health.last_sync_at, health.state_since) if at is not None), default=None)
    if state == "live" and last is not None and now - last > late:
        yield Finding(address, "sync_late", "The mailbox was not read for two poll periods. Is a worker running?")
    if health.subscription_expires_at is None or health.subscription_expires_at <= now:
        yield Finding(address, "pushes_off", "There is no registration for pushes; new mail waits for the poll.")
    if health.oldest_pending_at is not None and now - health.oldest_pending_at > OLDEST_PENDING:
        yield Finding(address, "messages_waiting", f"{health.pending} messages wait, the oldest too long.")
    if health.parked:
        yield Finding(address, "messages_parked", f"{health.parked} messages could not be read and are parked.")


def installation_findings(connection: sa.Connection, now: datetime) -> Iterator[Finding]:
    """Yield what is wrong beyond single accounts."""
    failed = figures.jobs(connection).get("failed", 0)
    if failed:
        yield Finding("jobs", "jobs_failed", f"{failed} jobs were given up.")
    share = figures.behind(connection, now).found_by_poll_share
    if share > FOUND_BY_POLL_LIMIT:
        yield Finding(
            "pushes", "found_by_poll", f"{share:.0%} of the last hour's mail came without a push: check them."
        )


def mail_findings(settings: Settings) -> Iterator[Finding]:
    """Say that nobody is told by e-mail of an account in trouble, which may be meant."""
    if not outgoing_mail.is_set_up(settings):
        text = "No notice is sent by e-mail: set THREADLINK_SMTP_SERVER and THREADLINK_MAIL_FROM."
        yield Finding("notices", "mail_unset", text, is_trouble=False)


def crm_findings(connection: sa.Connection, now: datetime) -> Iterator[Finding]:
    """Name what is wrong with the team's CRM, and how far its first load is or how old its data."""
    for row in crm.connections(connection):
        if row.state == DISCONNECTED:
            continue
        about, age = f"CRM {row.adapter}", mirror.age(connection, row.id)
        if row.state != "live":
            yield Finding(about, "crm_trouble", f"{row.state_reason or row.state}: it is asked again; nothing is lost.")
        if age.refreshed_at is None:
            text = f"The first load goes on: {age.records:,} records so far. Mail is linked to what is there."
            yield Finding(about, "crm_loading", text)
        elif now - age.refreshed_at > mirror.OLD_AFTER:
            text = f"Its data is from {age.refreshed_at:%Y-%m-%d %H:%M} UTC: mail is linked to what was true then."
            yield Finding(about, "crm_data_old", text)


def held_findings(connection: sa.Connection) -> Iterator[Finding]:
    """Yield whose mail to Smart BCC waits for its member."""
    for address, count in smart_bcc.held_counts(connection).items():
        text = f"{count} mails to Smart BCC are held back until their member releases them (preferences, Smart BCC)."
        yield Finding(address, "mail_held", text)


def examine(installation: Installation, team_id: int) -> tuple[list[AccountHealth], list[Finding]]:
    """Return how the team's accounts are doing, and every finding."""
    now = installation.clock.now()
    with installation.database.for_team(team_id) as connection:
        healths = health_of_accounts(connection)
        findings = [*crm_findings(connection, now), *installation_findings(connection, now)]
        findings += held_findings(connection)
        findings += [Finding(*found) for found in outgoing_webhooks.findings(connection, now)]
    for health in healths:
        findings += account_findings(health, now, installation.settings.poll_quiet_s)
    findings += mail_findings(installation.settings)
    return healths, findings


def trace(connection: sa.Connection, member: Member, query: str, locale: str, now: datetime) -> dict[str, Any]:
    """Say what became of mail in the member's own mailboxes, step by step, and how its conversations stand."""
    found = tracing.trace(connection, member, query, locale, now)
    told = [explain(connection, seen, locale) for seen in found.conversations]
    return {"conversations": told, **tracing.document(found)}
