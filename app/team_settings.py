"""What a team is: its mail domains, language and plan, as the operator adds it and an administrator sets them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from app import members
from app.accounts import LITE_PLAN, audit, current_team
from app.acting import Acting
from app.errors import InvalidRequest, NotAllowed
from app.installation import Installation
from app.linking.addresses import FREEMAIL_DOMAINS, normalize_domain
from app.preferences import LOCALES
from app.store import accounts, links, lookups, teams
from app.store.teams import Team

PLANS = ("unrestricted", "growth", LITE_PLAN)
MOST_DOMAINS = 200


def add(
    installation: Installation,
    name: str,
    administrator: tuple[str, str],
    *,
    domains: Sequence[str],
    locale: str,
    plan: str,
) -> Team:
    """Add a team with its first administrator, (name, address).

    Raises InvalidRequest with the field that does not fit.
    """
    own, now = _checked(domains, locale, plan), installation.clock.now()
    with installation.database.without_team() as connection:
        team_id = lookups.add_team(connection, name)
    with installation.database.for_team(team_id) as connection:
        teams.set_team(connection, domains=own, locale=locale, plan=plan)
        audit(connection, team_id, None, "add_team", {}, now)
        members.add(connection, team_id, *administrator, "admin", now)
        return current_team(connection)


def configure(connection: sa.Connection, acting: Acting, *, domains: Sequence[str], locale: str, plan: str) -> Team:
    """Store a team's domains, language and plan; a plan that includes no mailbox pauses those there are (S0).

    Raises NotAllowed (not_administrator), InvalidRequest with the field that does not fit.
    """
    if acting.member.role != "admin":
        raise NotAllowed("not_administrator")
    own = _checked(domains, locale, plan)
    before = current_team(connection)
    teams.set_team(connection, domains=own, locale=locale, plan=plan)
    paused = accounts.pause_mailboxes(connection) if plan == LITE_PLAN and before.plan != LITE_PLAN else []
    after = current_team(connection)
    changed = [name for name in ("domains", "locale", "plan") if getattr(before, name) != getattr(after, name)]
    audit(connection, acting.team_id, acting.member.id, "change_team", {"fields": changed}, acting.now)
    common = {"at": acting.now, "member_id": acting.member.id, "action": "pause_account"}
    links.audit(connection, acting.team_id, [{**common, "detail": {"account_id": each}} for each in paused])
    return after


def _checked(domains: Sequence[str], locale: str, plan: str) -> list[str]:
    """Return the domains in their normal form. Raises InvalidRequest."""
    own = [normalize_domain(domain.strip().removeprefix("@")) for domain in domains]
    _require("domains", len(own) <= MOST_DOMAINS, f"must be at most {MOST_DOMAINS}")
    _require("domains", None not in own, "must be domains, such as northwind.example")
    _require("domains", FREEMAIL_DOMAINS.isdisjoint(own), "must be the team's own, not everybody's")
    _require("locale", locale in LOCALES, "must be a language of the pages")
    _require("plan", plan in PLANS, f"must be one of {', '.join(PLANS)}")
    return [domain for domain in own if domain]


def _require(field: str, is_so: bool, message: str) -> None:
    if not is_so:
        raise InvalidRequest([{"field": field, "message": message}])
