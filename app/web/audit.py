"""The audit log, for administrators: page by page, and as a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlencode

from flask import Blueprint, Response, request

from app import audit_log
from app.acting import Acting
from app.audit_log import Entry, Filter
from app.installation import Installation
from app.web import paging
from app.web.csv_export import csv_file
from app.web.settings_frame import administrators_only, settings_page
from app.web.signed_in import Browser, who
from app.web.wording import provider_name, words
from app.web.wording.audit import EN

LONGEST_FILTER = 100
ACTIONS = tuple(key.removeprefix("audit_") for key in EN if key.startswith("audit_"))
_NAMED_AT = ("issuer", "by", "adapter", "provider")  # values that are called by a name of their own


def blueprint(installation: Installation, browser: Browser) -> Blueprint:
    """Build the pages."""
    pages = Blueprint("audit", __name__)

    @pages.get("/settings/audit")
    @browser.members_only
    @administrators_only
    def show() -> Response:
        chosen, reader = _filter(request.args), who().member
        before = paging.row_id(installation, who().team.id, reader, request.args.get("after", ""))
        with installation.database.for_team(who().team.id) as connection:
            log = audit_log.page(connection, reader, chosen, before)
        after = paging.sealed_row(installation, who().team.id, reader, log.more)
        return settings_page(
            "audit.html",
            log=log,
            chosen=chosen,
            actions=sorted(ACTIONS, key=lambda action: words(who().locale)[f"audit_{action}"]),
            about=lambda entry: about(entry, who().locale),
            did=lambda entry: did(entry, who().locale),
            more=urlencode({"member": chosen.member, "action": chosen.action, "after": after}) if after else "",
        )

    @pages.post("/settings/audit/export")
    @browser.members_only
    @administrators_only
    def export() -> Response:
        acting, chosen = Acting(who().team.id, who().member, installation.clock.now()), _filter(request.form)
        with installation.database.for_team(acting.team_id) as connection:
            newest = audit_log.begin_export(connection, acting)
        entries = audit_log.export(installation.database, acting, chosen, newest)
        return csv_file("threadlink-audit.csv", _table(entries, who().locale, installation.settings.public_base_url))

    return pages


def did(entry: Entry, locale: str) -> str:
    """Say what was done; what a version after this one did has no word here."""
    text = words(locale)
    return text.get(f"audit_{entry.action}", text["log_something"])


def about(entry: Entry, locale: str) -> list[str]:
    """Say what it was done to, in words."""
    return [_said(name, value, locale) for name, value in entry.about.items()]


def _said(name: str, value: str, locale: str) -> str:
    text = words(locale)
    if name in _NAMED_AT:
        return text.get(f"by_{value}", provider_name(value))
    if name == "role":
        return text[f"role_{value}"]
    if name == "switch":
        return text[f"switch_{value}"]
    return value


def _table(entries: Iterator[Entry], locale: str, base_url: str) -> Iterator[Sequence[str]]:
    text = words(locale)
    yield [text[f"column_{name}"] for name in ("at", "by", "address", "did", "about", "conversation", "subject")]
    for entry in entries:
        by, link = entry.by, f"{base_url}/conversations/{entry.conversation}" if entry.conversation else ""
        yield [
            entry.at.isoformat(),
            by.name if by else text["by_nobody"],
            by.email if by else "",
            did(entry, locale),
            " · ".join(about(entry, locale)),
            link,
            entry.subject,
        ]


def _filter(given: Mapping[str, str]) -> Filter:
    action = given.get("action", "")
    return Filter(given.get("member", "")[:LONGEST_FILTER], action if action in ACTIONS else "")
