"""Notices to members: an account in trouble, once, its recovery, once; a webhook that was turned off, once; mail that
is held back, once a day at most; and a daily digest of what waits for a choice.

What is found and who is told are rows (`account_notice`, `letter`), written in one transaction; the letters are sent by
jobs of their own, each until the SMTP server took it or a day has passed. A notice stands as a banner on every page of
those it is for until the account recovers. Without an SMTP server there are banners alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from babel.dates import format_datetime

from app import outgoing_mail, outgoing_webhooks, review
from app.accounts import current_team
from app.doctor import account_findings
from app.errors import ApplicationMisconfigured, ProviderError, TransientError
from app.installation import Installation
from app.model import Account, Member
from app.notice_wording import words
from app.outgoing_mail import Letter
from app.store import accounts, lookups, queue, teams
from app.store import notices as rows
from app.store import smart_bcc as mail_rows
from app.store.account_health import AccountHealth, health_of_accounts
from app.store.notices import Notice, Owed
from app.store.teams import Team

# One unreadable message is no trouble of its account: the doctor names it.
_NO_NOTICE = frozenset({"messages_parked"})
# Whoever paused or ended an account knows.
_CHOSEN = frozenset({"paused", "disconnected"})
GIVE_UP_AFTER = timedelta(days=1)
TRY_AGAIN = timedelta(minutes=5)
MORNING, NOON = 7, 12  # hours of the member's day in which a digest is sent
SHOWN_IN_DIGEST = 10
HELD_TOLD_EVERY = timedelta(days=1)
SCHEDULE_LIMIT = 10_000  # rows a schedule looks at in one run; the next run takes the rest


@dataclass(frozen=True, slots=True)
class Trouble:
    """An account in trouble, for the banner of who is told of it."""

    account: Account
    code: str
    since: datetime
    is_own: bool  # else it is a colleague's, and an administrator is told


# --- finding ---


def examine(installation: Installation, team_id: int) -> None:
    """Note which accounts of a team are in trouble and which recovered, and owe the letters that say so."""
    now, patience = installation.clock.now(), timedelta(seconds=installation.settings.poll_quiet_s)
    with installation.database.for_team(team_id) as connection:
        known = {notice.account_id: notice for notice in rows.open_notices(connection)}
        sick: list[Notice] = []
        well: list[int] = []
        news: list[tuple[str, Account]] = []
        for health in health_of_accounts(connection):
            account, before = health.account, known.get(health.account.id)
            code, since = trouble(installation, health, now)
            if code:
                noted = replace(before, code=code) if before else Notice(0, account.id, code, since, None)
                if noted.announced_at is None and now - noted.found_at > patience:
                    noted = replace(noted, announced_at=now)
                    news.append(("account_sick", account))
                sick.append(noted)
            elif before is not None:
                well.append(account.id)
                if before.announced_at is not None and account.state not in _CHOSEN:
                    news.append(("account_well", account))
        ids = {each.account_id: each.id for each in known.values()} | rows.write(connection, team_id, sick, well, now)
        if news and outgoing_mail.is_set_up(installation.settings):
            members = teams.members(connection)
            owed = [
                (member.id, kind, str(ids[account.id]), account.id)
                for kind, account in news
                for member in members
                if is_told(member, account)
            ]
            rows.owe(connection, team_id, owed, now)


def trouble(installation: Installation, health: AccountHealth, now: datetime) -> tuple[str, datetime]:
    """Return the code of what is wrong with an account and since when; "" for one that is well, paused or ended.

    What is only seen by looking (a late read, messages that wait) counts from now on: after a machine slept, say, it is
    over before anybody has to hear of it.
    """
    poll_s, is_pushed = installation.settings.poll_quiet_s, _is_pushed(installation, health)
    codes = [finding.code for finding in account_findings(health, now, poll_s)]
    code = next((each for each in codes if each not in _NO_NOTICE and (each != "pushes_off" or is_pushed)), "")
    return code, health.state_since if code == health.state else now


def is_told(member: Member, account: Account) -> bool:
    """Say whether a member hears of an account: its owner, who shares it, and administrators."""
    return member.role == "admin" or _is_of(member, account)


def banner(connection: sa.Connection, member: Member) -> list[Trouble]:
    """Return the accounts in trouble that a member is told of, the own ones first; one query while there is none."""
    announced = {notice.account_id: notice for notice in rows.open_notices(connection) if notice.announced_at}
    if not announced:
        return []
    found = [
        Trouble(account, notice.code, notice.found_at, _is_of(member, account))
        for account in accounts.accounts(connection)
        if (notice := announced.get(account.id)) is not None and is_told(member, account)
    ]
    return sorted(found, key=lambda each: not each.is_own)


def _is_pushed(installation: Installation, health: AccountHealth) -> bool:
    connector = installation.mail.get(health.account.provider)
    return connector is not None and connector.capabilities.subscriptions


def _is_of(member: Member, account: Account) -> bool:
    return account.owner_id == member.id or member.id in account.collaborator_ids


# --- the digest ---


def is_digest_due(now: datetime, time_zone: str, last: str) -> bool:
    """Say whether it is morning in this time zone, of a day after the one of the last digest."""
    local = now.astimezone(ZoneInfo(time_zone or "UTC"))
    return MORNING <= local.hour < NOON and local.date().isoformat() > last


def owe_digest(installation: Installation, team_id: int, member_id: int) -> None:
    """Owe a member the digest of today, once, unless nothing waits: then there is none today."""
    now = installation.clock.now()
    with installation.database.for_team(team_id) as connection:
        member = teams.member_by_id(connection, member_id)
        if member is None or not member.preferences.digest or not outgoing_mail.is_set_up(installation.settings):
            return
        today = now.astimezone(ZoneInfo(member.preferences.time_zone or "UTC")).date().isoformat()
        rows.owe(connection, team_id, [(member_id, "digest", today, None)], now)


# --- mail that is held back ---


def owe_held(installation: Installation, team_id: int, member_id: int) -> None:
    """Owe a member the letter that mail to Smart BCC is held back, once a day."""
    now = installation.clock.now()
    with installation.database.for_team(team_id) as connection:
        rows.owe(connection, team_id, [(member_id, "mail_held", now.date().isoformat(), None)], now)


# --- sending ---


def send(installation: Installation, team_id: int, letter_id: int) -> None:
    """Send a letter that is owed; what the SMTP server does not take now is tried again for a day."""
    now = installation.clock.now()
    with installation.database.for_team(team_id) as connection:
        owed = rows.owed(connection, letter_id)
        if owed is None:
            return
        letter = _written(installation, connection, owed)
        if letter is None:
            rows.settle(connection, letter_id, now, "nothing to say")
            return
    try:
        is_sent = outgoing_mail.send(installation.settings, letter, now)
    except ProviderError as error:
        is_final = not isinstance(error, TransientError | ApplicationMisconfigured)
        with installation.database.for_team(team_id) as connection:
            if is_final or now - owed.made_at > GIVE_UP_AFTER:
                rows.settle(connection, letter_id, None, type(error).__name__)
            else:
                rows.postpone(connection, letter_id, now + TRY_AGAIN * 2 ** min(owed.attempts, 4), type(error).__name__)
        return
    with installation.database.for_team(team_id) as connection:
        rows.settle(connection, letter_id, now if is_sent else None, "" if is_sent else "no server")


def _written(installation: Installation, connection: sa.Connection, owed: Owed) -> Letter | None:
    """Write a letter as things are now; None when its member is gone or there is nothing to say any more."""
    member, team = teams.member_by_id(connection, owed.member_id), current_team(connection)
    if member is None:
        return None
    if owed.kind == "digest":
        return _digest(installation, connection, team, member, owed)
    if owed.kind == "webhook_off":
        return _webhook_off(installation, connection, team, member, owed)
    if owed.kind == "mail_held":
        return _mail_held(installation, connection, team, member, owed)
    account = accounts.account_by_id(connection, owed.account_id) if owed.account_id is not None else None
    if account is None or not is_told(member, account):
        return None
    text, base = words(_locale(team, member)), installation.settings.public_base_url
    path = "/preferences/email-sync" if _is_of(member, account) else "/settings/accounts"
    notice = rows.notice(connection, int(owed.about))
    said = {
        "name": member.name,
        "address": account.address,
        "team": team.name,
        "url": f"{base}{path}",
        "at": _time(notice.found_at, team, member) if notice else "",
        "what": text[f"notice_{notice.code}"] if notice and owed.kind == "account_sick" else "",
    }
    return _letter(installation, member, team, owed, text[f"{owed.kind}_subject"], text[f"{owed.kind}_text"], said)


def _digest(
    installation: Installation, connection: sa.Connection, team: Team, member: Member, owed: Owed
) -> Letter | None:
    choices = review.choices(connection, member)
    if not choices:
        return None
    locale = _locale(team, member)
    text = words(locale)
    lines = [
        f"- {choice['subject'] or text['no_subject']}\n  {choice['sentence']}"
        for choice in (review.document(each, locale) for each in choices[:SHOWN_IN_DIGEST])
    ]
    if len(choices) > SHOWN_IN_DIGEST:
        lines.append(text["digest_more"].format(n=len(choices) - SHOWN_IN_DIGEST))
    said = {
        "name": member.name,
        "team": team.name,
        "n": str(len(choices)),
        "lines": "\n".join(lines),
        "url": f"{installation.settings.public_base_url}/review",
        "stop": f"{installation.settings.public_base_url}/preferences",
    }
    subject = text["digest_subject_one" if len(choices) == 1 else "digest_subject"]
    return _letter(installation, member, team, owed, subject, text["digest_text"], said)


def _webhook_off(
    installation: Installation, connection: sa.Connection, team: Team, member: Member, owed: Owed
) -> Letter | None:
    named = owed.about.partition(" ")[0]
    off = outgoing_webhooks.turned_off(connection, member)
    webhook = next((each for each in off if each.public_id == named), None)
    if webhook is None:
        return None
    text = words(_locale(team, member))
    said = {
        "name": member.name,
        "team": team.name,
        "host": webhook.host,
        "at": _time(webhook.state_since, team, member),
        "what": text[f"webhook_off_{webhook.state_reason}"],
        "url": f"{installation.settings.public_base_url}/settings/webhooks/{webhook.public_id}",
    }
    return _letter(installation, member, team, owed, text["webhook_off_subject"], text["webhook_off_text"], said)


def _mail_held(
    installation: Installation, connection: sa.Connection, team: Team, member: Member, owed: Owed
) -> Letter | None:
    account = accounts.account_of_owner(connection, accounts.SMART_BCC, member.id)
    n = mail_rows.held_counts(connection).get(account.address, 0) if account is not None else 0
    if not n:
        return None
    text = words(_locale(team, member))
    url = f"{installation.settings.public_base_url}/preferences/smart-bcc"
    said = {"name": member.name, "team": team.name, "n": str(n), "url": url}
    return _letter(installation, member, team, owed, text["mail_held_subject"], text["mail_held_text"], said)


def _letter(
    installation: Installation, member: Member, team: Team, owed: Owed, subject: str, text: str, said: dict[str, str]
) -> Letter:
    return Letter(
        to_name=member.name,
        to_address=member.email,
        locale=_locale(team, member),
        subject=subject.format(**said),
        text=text.format(**said),
        key=f"{installation.settings.public_base_url}/{team.public_id}/letter/{owed.id}",
    )


def _locale(team: Team, member: Member) -> str:
    return member.preferences.locale or team.locale


def _time(at: datetime, team: Team, member: Member) -> str:
    zone = ZoneInfo(member.preferences.time_zone or "UTC")
    return str(format_datetime(at, "d MMM y, HH:mm", tzinfo=zone, locale=_locale(team, member)))


# --- schedules ---


def examine_accounts(installation: Installation) -> None:
    """Enqueue a look at each team with an account that may be in trouble, or is noted as such."""
    now, poll_s = installation.clock.now(), installation.settings.poll_quiet_s
    with installation.database.without_team() as connection:
        due = lookups.teams_to_examine(connection, now, poll_s, SCHEDULE_LIMIT)
        queue.defer(connection, "examine_team", [({"team_id": each}, f"examine:{each}") for each in due])


def send_letters(installation: Installation) -> None:
    """Enqueue the letters that are owed and that no job looks after."""
    with installation.database.without_team() as connection:
        due = lookups.due_letters(connection, installation.clock.now(), SCHEDULE_LIMIT)
        jobs = [({"team_id": team_id, "letter_id": each}, f"letter:{each}") for team_id, each in due]
        queue.defer(connection, "send_letter", jobs)


def owe_digests(installation: Installation) -> None:
    """Enqueue the digest of each member who wants one, whose morning it is, and who was not owed today's."""
    now = installation.clock.now()
    with installation.database.without_team() as connection:
        jobs = [
            ({"team_id": each.team_id, "member_id": each.member_id}, f"digest:{each.member_id}")
            for each in lookups.digest_readers(connection)
            if is_digest_due(now, each.time_zone, each.last)
        ]
        queue.defer(connection, "owe_digest", jobs)


def owe_held_letters(installation: Installation) -> None:
    """Enqueue the letter to each member with mail that was held back since the last one, a day ago or more."""
    if not outgoing_mail.is_set_up(installation.settings):
        return
    since = installation.clock.now() - HELD_TOLD_EVERY
    with installation.database.without_team() as connection:
        due = lookups.held_to_tell(connection, since, SCHEDULE_LIMIT)
        jobs = [({"team_id": team_id, "member_id": each}, f"held:{each}") for team_id, each in due]
        queue.defer(connection, "owe_held", jobs)
