"""Codes turned into the sentences a person reads, English and Turkish. The texts themselves: wording.py, refusals.py.

A code is stable and meant for programs; people only ever see its sentence and, beside it, the one action that would
change it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Literal

from app.linking import wording
from app.linking.refusals import REFUSALS
from app.linking.wording import ACTIONS, Text

Locale = Literal["en", "tr"]

# Every code that has a sentence. Groups never share a code (a test holds that).
REASONS: dict[str, Text] = {
    **wording.DECISIONS,
    **wording.REVIEWS,
    **REFUSALS,
    **wording.NOTICES,
    **wording.EVIDENCE,
}
_SHOWN_OF_A_LIST = 3


def sentence(code: str, params: Mapping[str, object] | None = None, locale: str = "en") -> str:
    """Return what a person reads for a code. Never raises.

    An unknown code gives a plain sentence, a missing param a plain word. Dates may be ISO text or date objects and
    are shown as they stand, so a caller who knows the reader's zone converts first.
    """
    language = _language(locale)
    params = params or {}
    text = REASONS.get(code, wording.UNKNOWN)
    template = _of(text, language)
    if language == "en" and text.en_many and any(_is_many(params.get(name)) for name in ("person", "address")):
        template = text.en_many
    return template.format_map(_Words(params, language))


def action_for(code: str) -> str | None:
    """Return the code of the one thing that would change what this reason says; None when nothing would."""
    return REASONS.get(code, wording.UNKNOWN).action


def action_label(action: str, locale: str = "en") -> str:
    """Return the words of the button for an action."""
    return _of(ACTIONS[action], _language(locale))


def outcome_word(outcome: str, locale: str = "en") -> str:
    """Return an outcome in words a person reads."""
    return _of(wording.OUTCOMES[outcome], _language(locale))


def state_word(state: str, locale: str = "en") -> str:
    """Return an item's state in words; a state we don't know stays as the CRM calls it."""
    known = wording.STATES.get(state)
    return _of(known, _language(locale)) if known else state


def kind_word(kind: str, locale: str = "en") -> str:
    """Return the noun for a kind of CRM record."""
    return _of(wording.KINDS.get(kind, wording.KINDS["item"]), _language(locale))


def day(value: object, locale: str = "en") -> str:
    """Return a date as a person writes it: 2 March 2026, 2 Mart 2026. What is no date stays as it is."""
    found = _date(value)
    if found is None:
        return str(value)
    months = _of(wording.MONTHS, _language(locale)).split()
    return f"{found.day} {months[found.month - 1]} {found.year}"


def moment(value: object, locale: str = "en") -> str:
    """Return a date with its time, 24 h: 2 March 2026, 14:05. Without a time it is the day alone."""
    found = _date(value)
    if not isinstance(found, datetime):
        return day(value, locale)
    separator = ", " if _language(locale) == "en" else " "
    return f"{day(found, locale)}{separator}{found:%H:%M}"


def utc(at: datetime) -> str:
    """Return a time as programs read it: RFC 3339, UTC, with a Z."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


class _Words(dict[str, str]):
    """The params of one sentence, each turned into words when the sentence asks for it."""

    def __init__(self, params: Mapping[str, object], language: Locale) -> None:
        super().__init__()
        self._params = params
        self._language = language

    def __missing__(self, name: str) -> str:
        if name in ("kind", "to_kind", "of_kind"):
            return self._kind(name)
        value = self._params.get(name)
        if value is None or value in ("", [], ()):
            return _of(wording.MISSING.get(name, wording.MISSING_OTHERWISE), self._language)
        return _in_words(name, value, self._language)

    def _kind(self, name: str) -> str:
        kind = str(self._params.get("kind"))
        if name == "kind":
            return kind_word(kind, self._language)
        to_kind, of_kind = wording.TURKISH_CASES.get(kind, wording.TURKISH_CASES["item"])
        return to_kind if name == "to_kind" else of_kind


def _in_words(name: str, value: object, language: Locale) -> str:
    if name == "state":
        return state_word(str(value), language)
    if name == "date":
        return day(value, language)
    if name == "at":
        return moment(value, language)
    if isinstance(value, int):
        return f"{value:,}" if language == "en" else f"{value:,}".replace(",", ".")
    if isinstance(value, list | tuple):
        return _listed([str(one) for one in value], language)
    return str(value)


def _listed(values: Sequence[str], language: Locale) -> str:
    """Join a list as a person says it; a long one is cut and counted."""
    shown, rest = list(values[:_SHOWN_OF_A_LIST]), len(values) - _SHOWN_OF_A_LIST
    if rest > 0:
        shown.append(f"{rest} more" if language == "en" else f"{rest} diğeri")
    if len(shown) == 1:
        return shown[0]
    return f"{', '.join(shown[:-1])} {'and' if language == 'en' else 've'} {shown[-1]}"


def _is_many(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) > 1


def _date(value: object) -> date | None:
    if isinstance(value, date):
        return value
    try:
        return datetime.fromisoformat(str(value)) if len(str(value)) > 10 else date.fromisoformat(str(value))
    except ValueError:
        return None


def _of(text: Text, language: Locale) -> str:
    return text.tr if language == "tr" else text.en


def _language(locale: str) -> Locale:
    return "tr" if locale.lower().startswith("tr") else "en"
