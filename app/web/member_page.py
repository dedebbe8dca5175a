"""A page for who is signed in: in the member's language and time zone, with what the last choice did and its undo."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from babel.dates import format_datetime, format_skeleton
from flask import Response, g, request

from app import notices
from app.linking.reasons import REASONS, day, kind_word, sentence
from app.web.consent import page_of
from app.web.signed_in import who
from app.web.wording import words

LONGEST_QUERY = 200


def member_page(template: str, **shown: object) -> Response:
    """Render a page for who is signed in, with what the last choice did."""
    signed = who()
    done = request.args.get("done", "")
    return page_of(
        template,
        signed.locale,
        signed=signed,
        here=request.path,
        troubles=_troubles(),
        query=request.args.get("q", "")[:LONGEST_QUERY],
        done=done if f"done_{done}" in words(signed.locale) else "",
        action=uuid_of(request.args.get("action", "")),
        n=request.args.get("n", default=0, type=int),
        left=request.args.get("left", default=0, type=int),
        sentence=lambda code, **params: sentence(code, params, signed.locale),
        has_reason=lambda code: code in REASONS,
        kind_word=lambda kind: kind_word(kind, signed.locale),
        day=lambda value: day(value, signed.locale),
        short_time=_short_time,
        full_time=_full_time,
        **shown,
    )


def _troubles() -> list[notices.Trouble]:
    with g.database.for_team(who().team.id) as connection:
        return notices.banner(connection, who().member)


def uuid_of(text: str) -> str:
    """Return the id that a request names, in its one spelling; "" when it is none."""
    try:
        return str(UUID(text))
    except ValueError:
        return ""


def _short_time(at: datetime) -> str:
    """Say when, as a list does: the hour of today, the day of this year, else the date."""
    signed, zone = who(), who().zone
    then, now = at.astimezone(zone), g.now.astimezone(zone)
    if then.date() == now.date():
        return then.strftime("%H:%M")
    return str(format_skeleton("MMMd" if then.year == now.year else "yMMMd", then, locale=signed.locale))


def _full_time(at: datetime) -> str:
    """Say the day and the minute, in 24 hours."""
    signed = who()
    return str(format_datetime(at, "d MMM y, HH:mm", tzinfo=signed.zone, locale=signed.locale))
