"""A page for who is signed in: in the member's language and time zone, with what the last choice did and its undo."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from urllib.parse import urlsplit
from uuid import UUID

from babel.dates import format_datetime, format_skeleton
from flask import Response, g, request

from app import notices, outgoing_webhooks
from app.linking.reasons import REASONS, day, kind_word, sentence
from app.signing_in import SignedIn
from app.store import smart_bcc
from app.store.outgoing_webhooks import Webhook
from app.web.consent import page_of
from app.web.signed_in import who
from app.web.wording import words

LONGEST_QUERY = 200


@dataclass(frozen=True, slots=True)
class Told:
    """What the last choice did: the word for it, the action to take back, how many it met and left as they are."""

    done: str
    action: str = ""
    n: int = 0
    left: int = 0


@dataclass(frozen=True, slots=True)
class Banners:
    """What stands above every whole page until it is dealt with."""

    troubles: list[notices.Trouble]
    webhooks_off: list[Webhook]
    is_mail_held: bool


def member_page(template: str, **shown: object) -> Response:
    """Render a page for who is signed in, with what the last choice did."""
    signed = who()
    shown.setdefault("told", _told(signed))
    shown.setdefault("here", _here())
    return page_of(
        template,
        signed.locale,
        signed=signed,
        banners=cache(_banners),  # asked for by whole pages, not by the parts that htmx and the add-ons fetch
        query=request.args.get("q", "")[:LONGEST_QUERY],
        sentence=lambda code, **params: sentence(code, params, signed.locale),
        has_reason=lambda code: code in REASONS,
        kind_word=lambda kind: kind_word(kind, signed.locale),
        day=lambda value: day(value, signed.locale),
        short_time=_short_time,
        full_time=full_time,
        **shown,
    )


def _banners() -> Banners:
    signed = who()
    with g.database.for_team(signed.team.id) as connection:
        return Banners(
            troubles=notices.banner(connection, signed.member),
            webhooks_off=outgoing_webhooks.turned_off(connection, signed.member),
            is_mail_held=smart_bcc.is_held(connection, signed.member.id),
        )


def _here() -> str:
    """Return the path of the page that is shown: of the one that htmx asks a part for, else the one asked for."""
    shown = request.headers.get("HX-Current-URL", "") if request.headers.get("HX-Request") == "true" else ""
    return urlsplit(shown).path or request.path


def _told(signed: SignedIn) -> Told | None:
    """Return what the address says has just happened, else what the member did last and may still take back."""
    done = request.args.get("done", "")
    if f"done_{done}" in words(signed.locale):
        return Told(
            done,
            uuid_of(request.args.get("action", "")),
            request.args.get("n", default=0, type=int),
            request.args.get("left", default=0, type=int),
        )
    last = signed.last
    return Told(last.done, last.batch_id, last.n, last.left) if last else None


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


def full_time(at: datetime) -> str:
    """Say the day and the minute, in 24 hours."""
    signed = who()
    return str(format_datetime(at, "d MMM y, HH:mm", tzinfo=signed.zone, locale=signed.locale))
