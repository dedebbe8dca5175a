"""What a team is: its mail domains, language and plan, as an administrator sets them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from app.accounts import LITE_PLAN, audit, current_team
from app.acting import Acting
from app.errors import InvalidRequest, NotAllowed
from app.linking.addresses import FREEMAIL_DOMAINS, normalize_domain
from app.preferences import LOCALES
from app.store import accounts, teams
from app.store.teams import Team

PLANS = ("unrestricted", "growth", LITE_PLAN)
MOST_DOMAINS = 200


def configure(connection: sa.Connection, acting: Acting, *, domains: Sequence[str], locale: str, plan: str) -> Team:
    """Store a team's domains, language and plan; a plan that includes no mailbox pauses those there are (S0).

    Raises NotAllowed (not_administrator), InvalidRequest with the field that does not fit.
    """
    if acting.member.role != "admin":
        raise NotAllowed("not_administrator")
    own = {domain: normalize_domain(domain.strip().removeprefix("@")) for domain in domains}
    _require("domains", len(own) <= MOST_DOMAINS, f"must be at most {MOST_DOMAINS}")
    _require("domains", None not in own.values(), "must be domains, such as northwind.example")
    _require("domains", FREEMAIL_DOMAINS.isdisjoint(own.values()), "must be the team's own, not everybody's")
    _require("locale", locale in LOCALES, "must be a language of the pages")
    _require("plan", plan in PLANS, f"must be one of {', '.join(PLANS)}")
    before = current_team(connection)
    teams.set_team(connection, domains=[domain for domain in own.values() if domain], locale=locale, plan=plan)
    if plan == LITE_PLAN and before.plan != LITE_PLAN:
        accounts.pause_mailboxes(connection)
    after = current_team(connection)
    changed = [name for name in ("domains", "locale", "plan") if getattr(before, name) != getattr(after, name)]
    audit(connection, acting.team_id, acting.member.id, "change_team", {"fields": changed}, acting.now)
    return after


def _require(field: str, is_so: bool, message: str) -> None:
    if not is_so:
        raise InvalidRequest([{"field": field, "message": message}])
