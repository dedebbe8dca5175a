"""What the pages say, in English and Turkish: a module an area. The sentences of reasons stand in linking.reasons."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Request

from app.web.wording import (
    audit,
    connecting,
    conversation,
    crm,
    email_accounts,
    frame,
    gmail_addon,
    inbox,
    lists,
    members,
    outlook_pane,
    panels,
    policy,
    problems,
    settings,
    signing_in,
    smart_bcc,
    webhooks,
    work,
)

LOCALES = ("en", "tr")
DEFAULT_LOCALE = "en"
AREAS = (
    audit,
    connecting,
    conversation,
    crm,
    email_accounts,
    frame,
    gmail_addon,
    inbox,
    lists,
    members,
    outlook_pane,
    panels,
    policy,
    problems,
    settings,
    signing_in,
    smart_bcc,
    webhooks,
    work,
)

_EN = {key: text for area in AREAS for key, text in area.EN.items()}
_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": _EN,
    "tr": {key: text for area in AREAS for key, text in area.TR.items()},
}
_MAILBOXES = {"gmail": "Gmail", "graph": "Outlook"}
_PROVIDERS = {
    "gmail": "Google",
    "graph": "Microsoft",
    "google": "Google",
    "microsoft": "Microsoft",
    "smart_bcc": "Smart BCC",
}


def words(locale: str) -> Mapping[str, str]:
    """Return every text of the pages in a locale; an unknown locale gets English."""
    return _WORDS.get(locale, _EN)


def provider_name(provider: str) -> str:
    """Return what people call a provider; one that came as a plug-in is called by its own name."""
    return _PROVIDERS.get(provider, provider)


def mailbox_name(provider: str) -> str:
    """Return what people call the program in which they read a provider's mail."""
    return _MAILBOXES.get(provider, provider)


def browser_locale(request: Request) -> str:
    """Return the locale a browser asks for, for pages that know no team."""
    return request.accept_languages.best_match(LOCALES) or DEFAULT_LOCALE
