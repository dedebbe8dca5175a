"""What a member chooses for the pages: language, time zone, single keys, the daily digest."""

from __future__ import annotations

from functools import cache
from zoneinfo import available_timezones

import sqlalchemy as sa

from app.errors import InvalidRequest
from app.model import Member, Preferences
from app.store import teams

LOCALES = ("en", "tr")


def set_preferences(connection: sa.Connection, member: Member, chosen: Preferences) -> None:
    """Store a member's choices. Raises InvalidRequest for a language or time zone that there is not."""
    if chosen.locale not in ("", *LOCALES):
        raise InvalidRequest([{"field": "locale", "message": "must be a language of the pages"}])
    if chosen.time_zone not in ("", *time_zones()):
        raise InvalidRequest([{"field": "time_zone", "message": "must be an IANA time zone, such as Europe/Istanbul"}])
    teams.set_preferences(connection, member.id, chosen)


@cache
def time_zones() -> tuple[str, ...]:
    """Return the IANA names that people know: Area/City, and UTC."""
    named = (name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/")))
    return ("UTC", *sorted(named))
